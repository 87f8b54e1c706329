"""The tables of a log in PostgreSQL: those of the schema before are brought to this one."""

import cloudservers
import pytest
from logworld import IDENTITY, NOW

from mingzheng.log.hashing import EMPTY_ROOT, Hash
from mingzheng.log.refusal import LogMissingError
from mingzheng.log.state import NOTHING_CARRIED, IssuerRow, RoundRows
from mingzheng.log.writer import row_of

pytestmark = pytest.mark.postgres


def test_tables_of_the_schema_before_are_brought_to_this_one() -> None:
    import psycopg

    from mingzheng.log.postgres import SCHEMA, PostgresState

    server = cloudservers.postgres()
    state = PostgresState(server.conninfo, "before")
    state.open()
    state.initialise(row_of(IDENTITY), EMPTY_ROOT, NOTHING_CARRIED)
    state.close()
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute("ALTER TABLE before.issuer DROP COLUMN next_notice")
        connection.execute("INSERT INTO before.issuer VALUES (1, 3, 9, 4, NULL, NULL, '[[7, 4]]')")
        connection.execute("UPDATE before.log SET version = 1")
    state.open()
    row = state.issuer_row(1)
    assert row == IssuerRow(next_act=3, next_serial=9, last_index=4, status_sizes={7: 4})
    assert (row.next_notice, state.log_row().name) == (1, IDENTITY.origin_name)
    changed = IssuerRow(next_act=4, next_notice=2, next_serial=9, last_index=5, status_sizes={7: 4})
    rows = RoundRows(
        old=state.head(),
        size=2,
        root=Hash(bytes(32)),
        time=NOW,
        entries=[b"a", b"b"],
        keys=[],
        serials={},
        issuers={1: changed, 2: changed},
        retired={},
    )
    state.commit_round(rows)
    state.close()
    state.open()
    assert (state.issuer_row(1), state.issuer_row(2)) == (changed, changed)
    state.close()
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        assert connection.execute("SELECT version FROM before.log").fetchone() == (SCHEMA,)
        connection.execute("UPDATE before.log SET version = %s", (SCHEMA + 1,))
    state.open()
    with pytest.raises(LogMissingError):
        state.log_row()
    state.close()
