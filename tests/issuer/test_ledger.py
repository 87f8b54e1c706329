"""The ledger: dense serials in random order, one copy per key, states only forward, locks, migrations."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.civil import day_start
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.randomness import SALT_BYTES, SystemRandomness
from mingzheng.issuer.refusals import (
    ClockBehindError,
    LedgerCorruptError,
    LedgerNewerError,
    LedgerOlderError,
    LedgerWriteError,
    NotALedgerError,
    RegistrationClosedError,
    RegistrationLockedError,
    SerialUnknownError,
)
from mingzheng.issuer.rows import Decision, FileRow, Logged, NewAct, Order, Registration, StatusRow
from mingzheng.issuer.schema import (
    APPLICATION_ID,
    MIGRATIONS,
    SCHEMA_VERSION,
    CopyState,
    CopyStatus,
    FileForm,
    RegistrationState,
)

PDF = FileRow(form=FileForm.PDF, name="f.pdf", sha256=b"s")

OFD = FileRow(form=FileForm.OFD, name="f.ofd", sha256=b"o")


class InOrder:
    """Randomness for tests: no shuffle, salts of zeros."""

    def shuffle(self, items: list[int]) -> None:
        return

    def salt(self) -> bytes:
        return bytes(SALT_BYTES)


def order(number: int, *, issuer: int = 1, day: int = 10, data: int = 0, batch: bytes = b"b") -> Order:
    body = f"record {number} {data}".encode()
    request = b"request%d" % issuer + body
    return Order(
        key=request + bytes([day]),
        request=request,
        batch=batch,
        registration=Registration(issuer=issuer, kind=1, registration_no=str(number)),
        record_digest=b"digest" + body,
        record_body=body,
        day=day,
        reason="",
        photo=None,
        signature_image=None,
    )


def claims(asked: Order, serial: int, salt: bytes) -> bytes:
    return asked.key + serial.to_bytes(8, "big") + salt


def plan(ledger: Ledger, *orders: Order) -> list[int]:
    return [row.serial for row in ledger.plan(orders, make_claims=claims, randomness=InOrder())]


def log_all(ledger: Ledger, first: int = 0) -> None:
    rows = ledger.unlogged()
    ledger.store_signed([(row.issuer, row.serial, b"signed%d" % row.serial) for row in rows])
    ledger.store_logged(
        Logged(issuer=row.issuer, serial=row.serial, leaf_index=first + at, receipt=b"r", proof=b"p", logged_at=99)
        for at, row in enumerate(rows)
    )


def act(serials: tuple[int, ...], status: CopyStatus, number: int = 1) -> NewAct:
    return NewAct(issuer=1, act=number, serials=serials, day=10, reason="why", status=status)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger.sqlite")


def test_the_file_is_private_in_wal_mode_and_fully_synchronous(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.create(path) as ledger:
        assert path.stat().st_mode & 0o777 == 0o600
        connection = ledger._db
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    with pytest.raises(FileExistsError):
        Ledger.create(path)


def test_opens_what_it_made_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(NotALedgerError):
        Ledger.open(path)
    Ledger.create(path).close()
    with Ledger.open(path) as ledger:
        assert plan(ledger, order(1)) == [0]
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(NotALedgerError):
        Ledger.open(other)
    (tmp_path / "text").write_bytes(b"no database at all" * 100)
    with pytest.raises(NotALedgerError):
        Ledger.open(tmp_path / "text")


def test_a_newer_schema_is_refused_and_a_file_without_tables_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.close()
    with Ledger.open(path) as ledger:  # version 0: the tables are made
        assert plan(ledger, order(1)) == [0]
        ledger._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(LedgerNewerError) as caught:
        Ledger.open(path)
    assert str(SCHEMA_VERSION + 1) in str(caught.value)
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION + 1))


def test_copies_of_the_first_schema_keep_everything_and_gain_form_and_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    old = sqlite3.connect(path, isolation_level=None)
    for statement in MIGRATIONS[1]:
        old.execute(statement)
    old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    old.execute("PRAGMA user_version = 1")
    old.execute("INSERT INTO record VALUES (x'01', x'02')")
    old.execute("INSERT INTO registration VALUES (1, 1, 'n', 'active', x'01')")
    rows = (
        "(1, 0, x'10', x'20', x'30', 1, 'n', x'01', 20000, x'40', '', NULL, NULL, 'delivered', 'live', "
        "x'50', 7, x'60', x'70', 'a.pdf', x'80')",
        "(1, 1, x'11', x'20', x'30', 1, 'n', x'01', 20001, x'41', 'why', x'90', x'91', 'planned', 'live', "
        "NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    for row in rows:
        old.execute(f"INSERT INTO copy VALUES {row}")
    old.close()
    with pytest.raises(LedgerOlderError):
        Ledger.open(path)
    with Ledger.upgrade(path) as ledger:
        first, second = ledger.all_copies()
        assert first.files == (FileRow(form=FileForm.PDF, name="a.pdf", sha256=b"\x80"),)
        assert first.logged_at == day_start(20_000) + 12 * 3_600
        assert (first.state, first.leaf_index, first.proof) == (CopyState.DELIVERED, 7, b"\x70")
        assert (first.shard, second.shard, ledger.last_event_index(1)) == (0, 0, 7)
        assert (second.files, second.logged_at, second.photo, second.reason) == ((), None, b"\x90", "why")
        assert ledger.unlogged() == (second,)
        tables = {row[0] for row in ledger._db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert {"copy", "file"} <= tables
        assert not {"copy_2", "file_2"} & tables
    with Ledger.open(path) as ledger:
        assert list(ledger.all_copies()) == [first, second]


def test_a_locked_file_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.create(path).close()
    monkeypatch.setattr("mingzheng.issuer.ledgerfile._BUSY_SECONDS", 0.01)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError):
        Ledger.open(path)
    holder.close()


def test_serials_are_dense_per_issuer_and_follow_the_shuffle(ledger: Ledger) -> None:
    class Reverse(InOrder):
        def shuffle(self, items: list[int]) -> None:
            items.reverse()

    rows = ledger.plan([order(1), order(2), order(3, issuer=2), order(4)], make_claims=claims, randomness=Reverse())
    assert [row.serial for row in rows] == [2, 1, 0, 0]
    assert [row.registration.registration_no for row in rows] == ["1", "2", "3", "4"]
    assert plan(ledger, order(5), order(6, issuer=2)) == [3, 1]
    assert ledger.counters(1) == (4, 0)
    assert ledger.counters(9) == (0, 0)


def test_the_systems_randomness_shuffles_and_salts() -> None:
    source = SystemRandomness()
    items = list(range(500))
    source.shuffle(items)
    assert sorted(items) == list(range(500)) != items
    assert len({source.salt() for _ in range(100)}) == 100
    assert len(source.salt()) == SALT_BYTES


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_the_same_key_never_gets_a_second_serial(numbers: list[int]) -> None:
    ledger = Ledger(_memory())
    for number in numbers:
        plan(ledger, order(number), order(number))
    assert [row.serial for row in ledger.all_copies()] == list(range(len(set(numbers))))
    ledger.close()


def _memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for step in MIGRATIONS.values():
        for statement in step:
            connection.execute(statement)
    return connection


def test_planning_fixes_claims_and_salt_once(ledger: Ledger) -> None:
    (first,) = ledger.plan([order(1)], make_claims=claims, randomness=SystemRandomness())
    (second,) = ledger.plan([order(1)], make_claims=claims, randomness=SystemRandomness())
    assert first == second
    assert first.state is CopyState.PLANNED
    assert first.status is CopyStatus.LIVE
    assert first.is_unlogged


def test_a_failing_plan_allocates_nothing(ledger: Ledger) -> None:
    def fail(asked: Order, serial: int, salt: bytes) -> bytes:
        raise ValueError("no claims")

    with pytest.raises(ValueError, match="no claims"):
        ledger.plan([order(1)], make_claims=fail, randomness=InOrder())
    assert ledger.counters(1) == (0, 0)
    assert ledger.registration_state(order(1).registration) is None
    assert plan(ledger, order(1)) == [0]


def test_states_go_forward_only_and_signed_bytes_stay(ledger: Ledger) -> None:
    plan(ledger, order(1))
    ledger.store_delivered(1, 0)
    ledger.store_rendered(1, 0, [PDF])
    assert (ledger.copy(1, 0).state, ledger.copy(1, 0).files) == (CopyState.PLANNED, ())
    ledger.store_signed([(1, 0, b"first")])
    ledger.store_signed([(1, 0, b"second")])
    assert ledger.copy(1, 0).signed == b"first"
    logged = Logged(issuer=1, serial=0, leaf_index=7, receipt=b"r", proof=b"p", logged_at=99)
    ledger.store_logged([logged])
    ledger.store_logged([replace(logged, leaf_index=8, logged_at=100)])
    assert (ledger.copy(1, 0).leaf_index, ledger.copy(1, 0).logged_at) == (7, 99)
    ledger.store_rendered(1, 0, [PDF])
    ledger.store_delivered(1, 0)
    row = ledger.copy(1, 0)
    assert (row.state, row.files) == (CopyState.DELIVERED, (PDF,))
    assert not row.is_unlogged
    ledger.store_rendered(1, 0, [replace(PDF, sha256=b"t")])
    ledger.store_rendered(1, 0, [OFD])
    assert ledger.copy(1, 0).state is CopyState.RENDERED
    assert ledger.copy(1, 0).files == (replace(PDF, sha256=b"t"), OFD)
    assert [ledger.copy(1, 0).file(form) for form in (FileForm.OFD, FileForm.PDF)] == [OFD, replace(PDF, sha256=b"t")]
    assert ledger.last_event_index(1) == 7
    assert ledger.last_event_index(2) == -1


def test_indexes_are_of_the_log_that_they_were_given_by(ledger: Ledger) -> None:
    plan(ledger, order(1), order(2), order(3))
    ledger.store_signed([(1, serial, b"s") for serial in range(3)])
    logged = Logged(issuer=1, serial=0, leaf_index=7, receipt=b"r", proof=b"p", logged_at=99)
    ledger.store_logged([logged, replace(logged, serial=1, leaf_index=2, shard=1)])
    ledger.store_acts([act((), CopyStatus.LIVE, -1)], sign=lambda _act, _number: b"e")
    ledger.store_acts_logged([(1, 0, 5)], shard=2)
    assert [ledger.copy(1, serial).shard for serial in range(3)] == [0, 1, 0]
    assert [ledger.last_event_index(1, shard=shard) for shard in range(4)] == [7, 2, 5, -1]
    found = [[row.serial for row in ledger.live_from(1, *place)] for place in ((0,), (7,), (8,))]
    assert found == [[0, 1], [0, 1], [1]]
    assert [[row.serial for row in ledger.live_from(1, index, shard=1)] for index in (2, 3)] == [[1], []]


def test_an_unfinished_command_of_an_earlier_day_is_finished_not_repeated(ledger: Ledger) -> None:
    plan(ledger, order(1), order(2))
    log_all(ledger)
    ledger.store_rendered(1, 0, [PDF])
    ledger.store_delivered(1, 0)
    assert plan(ledger, order(1, day=11), order(2, day=11)) == [0, 1]
    assert plan(ledger, order(1, day=11, batch=b"other")) == [2]
    ledger.store_rendered(1, 1, [PDF])
    ledger.store_delivered(1, 1)
    assert plan(ledger, order(2, day=12)) == [3]


def test_a_closed_registration_plans_nothing(ledger: Ledger) -> None:
    plan(ledger, order(1))
    log_all(ledger)
    registration = order(1).registration
    decision = Decision(registration=registration, state=RegistrationState.SUSPENDED, day=10, reason="why")
    ledger.store_acts([], sign=lambda _act, _number: b"", decision=decision)
    assert ledger.registration_state(registration) is RegistrationState.SUSPENDED
    with pytest.raises(RegistrationClosedError):
        plan(ledger, order(2), order(1, data=1))
    assert ledger.counters(1) == (1, 0)
    reopened = replace(decision, state=RegistrationState.ACTIVE)
    ledger.store_acts([], sign=lambda _act, _number: b"", decision=reopened)
    assert plan(ledger, order(1, data=1)) == [1]


def test_an_act_waits_for_the_copy_it_names_but_void_does_not(ledger: Ledger) -> None:
    plan(ledger, order(1), order(2))
    decision = Decision(registration=order(1).registration, state=RegistrationState.REVOKED, day=10, reason="")
    for acts, decided in (([act((0,), CopyStatus.REVOKED)], None), ([], decision)):
        with pytest.raises(RegistrationLockedError):
            ledger.store_acts(acts, sign=lambda _act, _number: b"entry", decision=decided)
    assert ledger.counters(1) == (2, 0)
    (row,) = ledger.store_acts([act((0,), CopyStatus.VOID, 5)], sign=lambda _act, number: b"entry%d" % number)
    assert (row.number, row.entry) == (0, b"entry0")
    assert [copy.serial for copy in ledger.unlogged()] == [1]
    assert plan(ledger, order(1)) == [2]  # the voided copy gave its key back


def test_acts_are_numbered_densely_signed_once_and_applied(ledger: Ledger) -> None:
    plan(ledger, order(1), order(2), order(3))
    log_all(ledger)
    rows = ledger.store_acts(
        [act((0, 2), CopyStatus.SUSPENDED, 2), act((1,), CopyStatus.REVOKED)],
        sign=lambda new, number: b"%d:%d" % (new.act, number),
    )
    assert [row.number for row in rows] == [0, 1]
    assert [copy.status for copy in ledger.all_copies()] == [
        CopyStatus.SUSPENDED,
        CopyStatus.REVOKED,
        CopyStatus.SUSPENDED,
    ]
    assert ledger.unlogged_acts() == rows
    ledger.store_acts_logged([(1, 0, 5)])
    ledger.store_acts_logged([(1, 0, 6), (1, 1, 7)])
    assert [row.leaf_index for row in ledger.all_acts()] == [5, 7]
    assert ledger.last_event_index(1) == 7
    with pytest.raises(SerialUnknownError):
        ledger.store_acts([act((9,), CopyStatus.VOID)], sign=lambda _act, _number: b"")


def test_reads_registrations_and_records(ledger: Ledger) -> None:
    plan(ledger, order(1), order(1, issuer=2))
    registration = order(1).registration
    assert ledger.registrations(1, "1") == (registration, replace(registration, issuer=2))
    assert ledger.registrations(2, "1") == ()
    assert ledger.current_record(registration) == (order(1).record_digest, order(1).record_body)
    assert ledger.current_record(replace(registration, kind=9)) is None
    assert [row.serial for row in ledger.copies_of(registration)] == [0]
    with pytest.raises(LedgerCorruptError):
        ledger.record_body(b"nothing")
    with pytest.raises(SerialUnknownError):
        ledger.copy(1, 99)


def test_a_write_that_the_system_refuses_is_named_and_undone(ledger: Ledger) -> None:
    ledger._db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(LedgerWriteError):
        for number in range(1_000):
            plan(ledger, order(number))
    count = len(list(ledger.all_copies()))
    assert ledger.counters(1) == (count, 0)
    ledger._db.execute("PRAGMA max_page_count = 100000")
    assert plan(ledger, order(5_000)) == [count]


def test_the_clock_never_goes_back(ledger: Ledger) -> None:
    ledger.advance_clock(100)
    ledger.advance_clock(100)
    ledger.advance_clock(101)
    with pytest.raises(ClockBehindError):
        ledger.advance_clock(100)


def test_keeps_the_last_status_list_and_counts_generations(ledger: Ledger) -> None:
    assert ledger.status(1) is None
    row = StatusRow(issuer=1, covered=4, this_update=100, list=b"list", proof=b"proof")
    ledger.store_status(row)
    ledger.store_status(replace(row, this_update=200))
    assert ledger.status(1) == replace(row, this_update=200)
    assert ledger.next_generation(at_least=1) == 1
    assert ledger.next_generation(at_least=1) == 2
    assert ledger.next_generation(at_least=9) == 9
