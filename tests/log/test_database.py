"""SQLite's errors are typed: a disk that is full or fails is never taken for a log that is not there."""

from pathlib import Path

import pytest
from logworld import LogWorld, issue

from mingzheng.log.database import Database
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
