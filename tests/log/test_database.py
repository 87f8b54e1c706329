"""SQLite's errors are typed: a disk that is full or fails is never taken for a log that is not there."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from logworld import IDENTITY, NAME, LogWorld, act, issue, notice

from mingzheng.log.acts import ActType
from mingzheng.log.database import SCHEMA, Database
from mingzheng.log.fsck import fsck
from mingzheng.log.refusal import LogMissingError, StateUnavailableError


@pytest.fixture
def database(world: LogWorld) -> Database:
    log = world.create()
    world.submit(log, issue(0))
    return log._db()  # type: ignore[return-value]


def test_a_file_that_is_no_database_or_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(8_192))
    for name in ("zeros", "no/such/directory"):
        with pytest.raises(StateUnavailableError, match="cannot be read or written"):
            Database(tmp_path / name)


def test_a_connection_that_fails_is_not_a_missing_log(database: Database) -> None:
    database._connection.close()
    for ask in (database.log_row, database.head, database.frozen_heads, lambda: list(database.all_rounds())):
        with pytest.raises(StateUnavailableError):
            ask()
    (fault,) = database.integrity_faults()
    assert "cannot be read or written" in fault


def test_tables_that_are_not_there_are_a_missing_log(tmp_path: Path) -> None:
    empty = Database(tmp_path / "empty")
    with pytest.raises(LogMissingError):
        empty.log_row()
    assert empty.frozen_heads() == ()
    empty.close()


def test_a_row_that_fails_to_be_read_on(database: Database) -> None:
    calls = iter([1, 2])
    database._connection._raw.create_function("fails", 1, lambda _idx: next(calls))
    rows = database._connection.execute(
        "SELECT fails(one) FROM (SELECT 1 AS one UNION ALL SELECT 2 UNION ALL SELECT 3)"
    )
    with pytest.raises(StateUnavailableError):
        rows.fetchall()


def test_rows_that_cannot_be_written_and_a_transaction_that_sqlite_ended_itself(database: Database) -> None:
    with pytest.raises(StateUnavailableError):
        database._connection.executemany("INSERT INTO round VALUES (?, ?)", [(0, 1), (0, 1)])
    database._connection.rollback()  # none is open: nothing happens
    database._connection.execute("BEGIN")
    database._connection.rollback()
    assert not database._connection._raw.in_transaction


BEFORE = {
    2: ("DROP TABLE shard", "DROP TABLE carried", "ALTER TABLE log DROP COLUMN standing"),
    3: (),
}


@pytest.mark.parametrize("schema", BEFORE)
def test_a_database_of_a_schema_before_is_read_and_brought_to_this_one(world: LogWorld, schema: int) -> None:
    log = world.create()
    world.submit(log, issue(0), act(0, ActType.SUSPEND, [0]))
    log.close()
    path = world.directory / "log.sqlite"
    with closing(sqlite3.connect(path)) as raw, raw:
        for statement in (*BEFORE[schema], "ALTER TABLE issuer DROP COLUMN next_notice"):
            raw.execute(statement)
        raw.execute("UPDATE log SET schema = ?", (schema,))
    older = Database(path, read_only=True)
    row = older.issuer_row(1)
    assert (row.next_act, row.next_notice, row.next_serial, row.last_index) == (1, 1, 1, 1)
    assert (older.log_row().name, older.frozen_heads()) == (NAME, ())
    older.close()
    assert fsck(world.directory, vkey=IDENTITY.vkey()).clean
    log = world.open()
    assert log.issuer_row(1) == row
    world.submit(log, notice(1), act(2, ActType.REINSTATE, [0]))
    assert log.issuer_row(1).next_notice == 2
    log.close()
    assert fsck(world.directory, vkey=IDENTITY.vkey()).clean
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT schema FROM log").fetchone() == (SCHEMA,)


def test_a_database_of_a_later_schema_is_refused(world: LogWorld) -> None:
    world.create().close()
    with closing(sqlite3.connect(world.directory / "log.sqlite")) as raw, raw:
        raw.execute("UPDATE log SET schema = ?", (SCHEMA + 1,))
    with pytest.raises(LogMissingError):
        world.open()
