"""The ledger's tables hold what the states promise, whatever a program tries to write."""

import sqlite3

import pytest

from mingzheng.issuer.deskbook import packed
from mingzheng.issuer.schema import MIGRATIONS, SCHEMA_VERSION, CopyState, CopyStatus, FileForm, RegistrationState

COLUMNS = (
    "issuer, serial, key, request, batch, kind, registration_no, record, day, claims, reason, state, status, "
    "signed, leaf_index, receipt, logged_at"
)


@pytest.fixture
def tables() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    for version in sorted(MIGRATIONS):
        for statement in MIGRATIONS[version]:
            connection.execute(statement)
    connection.execute("INSERT INTO record VALUES (x'01', x'02')")
    connection.execute("INSERT INTO registration VALUES (1, 1, 'n', 'active', x'01')")
    return connection


def insert(tables: sqlite3.Connection, **changes: object) -> None:
    row: dict[str, object] = {
        "issuer": 1,
        "serial": 0,
        "key": b"k",
        "request": b"q",
        "batch": b"b",
        "kind": 1,
        "registration_no": "n",
        "record": b"\x01",
        "day": 1,
        "claims": b"c",
        "reason": "",
        "state": "planned",
        "status": "live",
        "signed": None,
        "leaf_index": None,
        "receipt": None,
        "logged_at": None,
    }
    row |= changes
    marks = ", ".join("?" * len(row))
    tables.execute(f"INSERT INTO copy ({COLUMNS}) VALUES ({marks})", tuple(row.values()))


def test_versions_are_dense_from_one() -> None:
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION + 1))


def test_a_whole_row_is_taken(tables: sqlite3.Connection) -> None:
    insert(tables, state="logged", signed=b"s", leaf_index=1, receipt=b"r", logged_at=9)
    tables.execute("INSERT INTO file VALUES (1, 0, 'ofd', 'f.ofd', x'01')")
    tables.execute("UPDATE copy SET state = 'rendered'")
    tables.execute("UPDATE copy SET state = 'delivered'")


@pytest.mark.parametrize("state", ["rendered", "delivered"])
def test_a_copy_without_a_file_is_not_rendered(tables: sqlite3.Connection, state: str) -> None:
    insert(tables, state="logged", signed=b"s", leaf_index=1, receipt=b"r", logged_at=9)
    with pytest.raises(sqlite3.IntegrityError):
        tables.execute("UPDATE copy SET state = ?", (state,))


def test_a_file_is_of_a_copy_and_of_a_known_form_once(tables: sqlite3.Connection) -> None:
    insert(tables)
    for values in ("(1, 1, 'pdf', 'f', x'01')", "(1, 0, 'doc', 'f', x'01')", "(1, 0, 'pdf', 'f', NULL)"):
        with pytest.raises(sqlite3.IntegrityError):
            tables.execute(f"INSERT INTO file VALUES {values}")
    tables.execute("INSERT INTO file VALUES (1, 0, 'pdf', 'f', x'01')")
    with pytest.raises(sqlite3.IntegrityError):
        tables.execute("INSERT INTO file VALUES (1, 0, 'pdf', 'g', x'02')")


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "posted"},
        {"status": "lost"},
        {"state": "signed"},
        {"state": "logged", "signed": b"s"},
        {"state": "logged", "signed": b"s", "leaf_index": 1, "receipt": b"r"},
        {"state": "rendered", "signed": b"s", "leaf_index": 1, "receipt": b"r", "logged_at": 9},
        {"registration_no": "other"},
        {"record": b"\x09"},
        {"serial": "zero"},
    ],
)
def test_rows_that_contradict_their_state_are_refused(tables: sqlite3.Connection, changes: dict[str, object]) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        insert(tables, **changes)


def test_one_live_copy_per_key_and_one_row_per_serial(tables: sqlite3.Connection) -> None:
    insert(tables)
    with pytest.raises(sqlite3.IntegrityError):
        insert(tables, serial=1)
    with pytest.raises(sqlite3.IntegrityError):
        insert(tables, key=b"other")
    tables.execute("UPDATE copy SET status = 'void'")
    insert(tables, serial=1)


def test_words_are_the_ones_the_tables_know() -> None:
    text = " ".join(statement for step in MIGRATIONS.values() for statement in step)
    for word in (*CopyState, *CopyStatus, *FileForm, *RegistrationState):
        assert f"'{word}'" in text


def test_the_serials_of_acts_of_before_are_taken_apart() -> None:
    """What the upgrade writes beside acts is what storing them writes: every serial of each, none for none."""
    database = sqlite3.connect(":memory:")
    for version in range(1, 4):
        for statement in MIGRATIONS[version]:
            database.execute(statement)
    acts = {(1, 0): (), (1, 1): (7,), (1, 2): (3, 7), (2, 0): tuple(range(2**39, 2**39 + 4_096))}
    for (issuer, number), serials in acts.items():
        row = (issuer, number, 1, packed(serials), 1, "", b"", None, 0)
        database.execute("INSERT INTO act VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    for statement in MIGRATIONS[4]:
        database.execute(statement)
    want = sorted((*place, packed([serial])) for place, serials in acts.items() for serial in serials)
    found = database.execute("SELECT issuer, number, serial FROM act_serial ORDER BY 1, 2, 3").fetchall()
    database.close()
    assert found == want
