"""The authority's own book: every record, copy and act, in one SQLite file (WAL, synchronous=FULL).

Source: docs/life-of-a-certificate.md. A copy goes planned → signed → logged → rendered → delivered; each step is one
transaction, so a kill between any two statements leaves the step undone or done. Serials are dense per issuer and
are fixed together with salt and claims in the `planned` transaction; signed bytes and signed acts are stored before
anything is submitted to the log. Identity numbers and the reasons of acts are here and nowhere else.
Left out: keys (`custody`) and images (`imagestore`).
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mingzheng.issuer.applicationbook import ApplicationBook
from mingzheng.issuer.deskbook import DeskBook, packed
from mingzheng.issuer.foreignbook import ForeignBook
from mingzheng.issuer.journal import deed_name
from mingzheng.issuer.ledgerfile import connect_ledger, connect_to_read
from mingzheng.issuer.lockbook import LockBook
from mingzheng.issuer.lockerrors import NewCopiesLockedError
from mingzheng.issuer.randomness import Randomness
from mingzheng.issuer.refusals import (
    ClockBehindError,
    LedgerCorruptError,
    LedgerWriteError,
    NotALedgerError,
    RegistrationClosedError,
    RegistrationLockedError,
    SerialUnknownError,
    SweepBusyError,
)
from mingzheng.issuer.rows import (
    DESK,
    NOTICE_ACT,
    ActRow,
    By,
    CopyRow,
    Decision,
    FileRow,
    Logged,
    NewAct,
    NoticeRow,
    Order,
    Registration,
    StatusRow,
)
from mingzheng.issuer.schema import CopyState, CopyStatus, FileForm, RegistrationState

__all__ = ["Ledger"]

_COPY_COLUMNS: Final = (
    "issuer, serial, key, request, batch, kind, registration_no, record, day, claims, reason, photo, signature_image, "
    "state, status, signed, leaf_index, shard, receipt, proof, logged_at"
)
_COPY_FIELDS: Final = tuple(_COPY_COLUMNS.replace(" ", "").split(","))

# A logged copy of any day that answers a request: it, or another copy of the same command, is still undelivered.
_ANSWERS: Final = """request = ? AND status = 'live' AND (state IN ('logged', 'rendered') OR batch = ? AND EXISTS (
    SELECT 1 FROM copy AS other WHERE other.batch = ? AND other.status = 'live'
    AND other.state IN ('logged', 'rendered')))"""


class Ledger:
    """An open ledger. One process at a time writes: the workspace holds the lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.desk = DeskBook(connection, self._transaction)
        self.locks = LockBook(connection, self._transaction, self.desk)
        self.applications = ApplicationBook(connection, self.desk)
        self.foreign = ForeignBook(connection, self._transaction, self.desk)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a new ledger file, readable by its owner only; refuses one that exists (FileExistsError)."""
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return cls(connect_ledger(path, create=True))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger whose tables are of this program's version.

        Raises NotALedgerError, LedgerNewerError, LedgerOlderError (`upgrade` brings it up) or LedgerCorruptError.
        """
        if not path.is_file():
            raise NotALedgerError(path.name)
        return cls(connect_ledger(path, create=False))

    @classmethod
    def open_to_read(cls, path: Path, *, settled: bool) -> Self:
        """As `open`; a ledger that cannot be written is read as it is. `settled`: nobody writes it meanwhile.

        Raises also LedgerUnreadableError.
        """
        try:
            return cls.open(path)
        except LedgerWriteError:
            return cls(connect_to_read(path, settled=settled))

    @classmethod
    def upgrade(cls, path: Path) -> Self:
        """Open a ledger and bring its tables to this program's version, each step one transaction. Raises as `open`."""
        if not path.is_file():
            raise NotALedgerError(path.name)
        return cls(connect_ledger(path, create=False, upgrade=True))

    def close(self) -> None:
        """Close the file; more than once is fine."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # copies

    def plan(
        self,
        orders: Sequence[Order],
        *,
        make_claims: Callable[[Order, int, bytes], bytes],
        randomness: Randomness,
        by: Mapping[int, By] | None = None,
    ) -> tuple[CopyRow, ...]:
        """Fix serial, salt and claims of every order that has no copy yet; one transaction for all.

        New serials go to the orders in random order: a sorted input leaves no order behind. An order whose key has a
        copy gets that copy. A logged copy of an earlier day answers its request as long as it, or any copy of the same
        command, is undelivered: a command cut short is finished, not repeated. `by`: who orders, for each issuer that
        has operators; the journal says so of what is planned now.

        Returns the copies in the order of `orders`. Raises RegistrationClosedError, NewCopiesLockedError, what
        `ApplicationBook.check` raises for an order's application; then nothing is planned.
        """
        named = self.plan_serials(orders, make_claims=make_claims, randomness=randomness, by=by)
        return tuple(self.copy(*copy) for copy in named)

    def plan_serials(
        self,
        orders: Sequence[Order],
        *,
        make_claims: Callable[[Order, int, bytes], bytes],
        randomness: Randomness,
        by: Mapping[int, By] | None = None,
    ) -> list[tuple[int, int]]:
        """As `plan`; gives issuer and serial of each copy. One order at a time is taken, and its claims made next."""
        with self._transaction():
            keys: set[bytes] = set()
            new: dict[int, list[int]] = {}
            for place, order in enumerate(orders):
                if order.key not in keys and self._answer(order) is None:
                    keys.add(order.key)
                    self._open_registration(order)
                    new.setdefault(order.registration.issuer, []).append(place)
            for issuer, places in sorted(new.items()):
                serials = self._allocate(issuer, (orders, places), make_claims, randomness)
                who = (by or {}).get(issuer, DESK)
                self.desk.enter("issue", issuer, serials, by=who, reason="", act=None)
            named = []
            for order in orders:
                found = self._answer(order)
                assert found is not None  # just inserted
                self.applications.attach(order, found[1], by=(by or {}).get(found[0], DESK))
                named.append(found)
        return named

    def existing(self, order: Order) -> CopyRow | None:
        """The copy that would answer this order without planning a new one."""
        found = self._answer(order)
        return None if found is None else self.copy(*found)

    def copy(self, issuer: int, serial: int) -> CopyRow:
        """One copy. Raises SerialUnknownError."""
        for row in self._copies("issuer = ? AND serial = ?", (issuer, serial)):
            return row
        raise SerialUnknownError(issuer, serial)

    def copies_of(self, registration: Registration) -> tuple[CopyRow, ...]:
        """All copies of a registration, by serial."""
        where = "issuer = ? AND kind = ? AND registration_no = ?"
        return tuple(self._copies(where, (registration.issuer, registration.kind, registration.registration_no)))

    def unlogged(self) -> tuple[CopyRow, ...]:
        """Copies planned or signed and not void, by issuer and serial."""
        return tuple(self._copies("state IN ('planned', 'signed') AND status <> 'void'", ()))

    def live_from(self, issuer: int, index: int, *, shard: int = 0) -> Iterator[CopyRow]:
        """An issuer's live and suspended copies at that leaf index of that log and above, and of later logs."""
        where = "issuer = ? AND (shard, leaf_index) >= (?, ?) AND status IN ('live', 'suspended')"
        yield from self._copies(where, (issuer, shard, index))

    def all_copies(self) -> Iterator[CopyRow]:
        """Every copy, by issuer and serial."""
        yield from self._copies("1", ())

    def store_signed(self, items: Iterable[tuple[int, int, bytes]]) -> None:
        """Store (issuer, serial, signed bytes) of planned copies; what is stored stays."""
        self._update(
            "UPDATE copy SET state = 'signed', signed = ?3 WHERE issuer = ?1 AND serial = ?2 AND state = 'planned'",
            items,
        )

    def store_logged(self, items: Iterable[Logged]) -> None:
        """Store index and receipts of signed copies."""
        self._update(
            "UPDATE copy SET state = 'logged', leaf_index = ?3, receipt = ?4, proof = ?5, logged_at = ?6, shard = ?7 "
            "WHERE issuer = ?1 AND serial = ?2 AND state = 'signed'",
            ((i.issuer, i.serial, i.leaf_index, i.receipt, i.proof, i.logged_at, i.shard) for i in items),
        )

    def store_proofs(self, items: Iterable[tuple[int, int, bytes]]) -> None:
        """Store better full receipts (issuer, serial, proof) of copies that no file carries yet."""
        statement = "UPDATE copy SET proof = ?3 WHERE issuer = ?1 AND serial = ?2 AND state = 'logged'"
        self._update(statement, items)

    def store_rendered(self, issuer: int, serial: int, files: Iterable[FileRow]) -> None:
        """Store what files a logged copy became; a later rendering replaces the file of the same form."""
        rows = [(issuer, serial, str(file.form), file.name, file.sha256) for file in files]
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO file (issuer, serial, form, name, sha256) SELECT ?1, ?2, ?3, ?4, ?5 "
                "FROM copy WHERE issuer = ?1 AND serial = ?2 AND state NOT IN ('planned', 'signed')",
                rows,
            )
            self._db.execute(
                "UPDATE copy SET state = 'rendered' "
                "WHERE issuer = ? AND serial = ? AND state IN ('logged', 'delivered')",
                (issuer, serial),
            )

    def store_delivered(self, issuer: int, serial: int) -> None:
        """Every file was read back and found true."""
        self._update(
            "UPDATE copy SET state = 'delivered' WHERE issuer = ?1 AND serial = ?2 AND state = 'rendered'",
            [(issuer, serial)],
        )

    # registrations and records

    def registration_state(self, registration: Registration) -> RegistrationState | None:
        """Whether copies may be planned; None: never seen."""
        row = self._registration_row(registration)
        return None if row is None else RegistrationState(row[0])

    def current_record(self, registration: Registration) -> tuple[bytes, bytes] | None:
        """Digest and body of the record last planned from; None: never seen."""
        row = self._registration_row(registration)
        return None if row is None else (row[1], self.record_body(row[1]))

    def record_body(self, digest: bytes) -> bytes:
        """The canonical record of a digest. Raises LedgerCorruptError if it is not there."""
        row = self._db.execute("SELECT body FROM record WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise LedgerCorruptError("a record is missing")
        return bytes(row[0])

    def registrations(self, kind: int, registration_no: str) -> tuple[Registration, ...]:
        """Every issuer's registration of that kind and number."""
        rows = self._db.execute(
            "SELECT issuer FROM registration WHERE kind = ? AND registration_no = ? ORDER BY issuer",
            (kind, registration_no),
        )
        return tuple(Registration(issuer=row[0], kind=kind, registration_no=registration_no) for row in rows)

    def open_registrations(self) -> Iterator[Registration]:
        """Every registration that is not revoked, by issuer, kind and number."""
        for row in self._db.execute(
            "SELECT issuer, kind, registration_no FROM registration WHERE state <> 'revoked' ORDER BY 1, 2, 3"
        ).fetchall():
            yield Registration(issuer=row[0], kind=row[1], registration_no=row[2])

    # acts

    def store_acts(
        self,
        acts: Sequence[NewAct],
        *,
        sign: Callable[[NewAct, int], bytes],
        decision: Decision | None = None,
        by: By = DESK,
    ) -> tuple[ActRow, ...]:
        """Number, sign and store acts and what they make of their copies, and a decision about a registration.

        One transaction for all, the rows of the journal and the end of a request with them. Raises
        RegistrationLockedError if a copy of that registration, or one that an act names, is still on its way to the
        log, RequestDoneError for a request that is not open.
        """
        rows = []
        with self._transaction():
            if by.request:
                self.desk.finish(by.request)
            decided = 0 if decision is None else self._decide(decision)
            if decision is not None and not acts:
                what, issuer = f"registration-{decision.state}", decision.registration.issuer
                row = self.desk.enter(what, issuer, (), by=by, reason=decision.reason, act=None, decision=decided)
                self._db.execute("UPDATE decision SET journal = ? WHERE id = ?", (row, decided))
            for act in acts:
                self._check_unlocked(act)
                number = self._counters(act.issuer)[1]
                entry = sign(act, number)
                self._db.execute("UPDATE counter SET next_act = next_act + 1 WHERE issuer = ?", (act.issuer,))
                self._db.execute(
                    "INSERT INTO act (issuer, number, act, serials, day, reason, entry) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (act.issuer, number, act.act, packed(act.serials), act.day, act.reason, entry),
                )
                self._apply(act)
                self._enter(act, number, by, decided)
                rows.append(
                    ActRow(
                        issuer=act.issuer,
                        number=number,
                        act=act.act,
                        day=act.day,
                        reason=act.reason,
                        entry=entry,
                        leaf_index=None,
                    )
                )
        return tuple(rows)

    def unlogged_acts(self) -> tuple[ActRow, ...]:
        """Stored acts that the log has not confirmed, by issuer and number."""
        return tuple(self._acts("leaf_index IS NULL"))

    def all_acts(self) -> tuple[ActRow, ...]:
        """Every act, by issuer and number."""
        return tuple(self._acts("1"))

    def notices(self, issuer: int) -> tuple[NoticeRow, ...]:
        """An issuer's notices, in the order of their numbers: foreign ones, which hold theirs, with them."""
        rows = self._db.execute(
            "SELECT day, reason, entry, leaf_index, shard, 0, number < 0, number "  # noqa: S608 (constants)
            f"FROM act INDEXED BY act_notice WHERE issuer = ?1 AND act > {NOTICE_ACT} "
            "UNION ALL SELECT day, '', entry, leaf_index, shard, 1, 0, number "
            f"FROM foreign_entry WHERE issuer = ?1 AND act > {NOTICE_ACT} ORDER BY 7, 8",
            (issuer,),
        )
        return tuple(
            NoticeRow(
                issuer=issuer, day=day, reason=reason, entry=entry, leaf_index=index, shard=shard, foreign=bool(foreign)
            )
            for day, reason, entry, index, shard, foreign, _waits, _number in rows
        )

    def store_acts_redated(self, acts: Sequence[tuple[ActRow, By]]) -> None:
        """Store the new day and entry of acts that the log has not confirmed, and who signed them again."""
        statement = "UPDATE act SET day = ? , entry = ? WHERE issuer = ? AND number = ? AND leaf_index IS NULL"
        with self._transaction():
            for act, by in acts:
                self._db.execute(statement, (act.day, act.entry, act.issuer, act.number))
                what = f"{deed_name(act.act)}-again"
                self.desk.enter(what, act.issuer, (), by=by, reason=f"act {act.number}", act=None)

    def store_acts_logged(self, items: Iterable[tuple[int, int, int]], *, shard: int = 0) -> None:
        """Store (issuer, act number, leaf index) of what that log took."""
        where = "WHERE issuer = ?1 AND number = ?2 AND leaf_index IS NULL"
        rows = [(*item, shard) for item in items]
        self._update(f"UPDATE act SET leaf_index = ?3, shard = ?4 {where}", rows)  # noqa: S608 (constants)

    def counters(self, issuer: int) -> tuple[int, int]:
        """(next serial, next act number) of an issuer; (0, 0) if it never issued or acted."""
        row = self._db.execute("SELECT next_serial, next_act FROM counter WHERE issuer = ?", (issuer,)).fetchone()
        return (0, 0) if row is None else (row[0], row[1])

    # status lists and the export's generation

    def status(self, issuer: int) -> StatusRow | None:
        """The last status list of an issuer."""
        row = self._db.execute(
            "SELECT covered, this_update, list, proof FROM status_list WHERE issuer = ?", (issuer,)
        ).fetchone()
        if row is None:
            return None
        return StatusRow(issuer=issuer, covered=row[0], this_update=row[1], list=row[2], proof=row[3])

    def store_status(self, row: StatusRow) -> None:
        """Keep a status list in place of the issuer's last one."""
        self._update(
            "INSERT OR REPLACE INTO status_list (issuer, covered, this_update, list, proof) VALUES (?, ?, ?, ?, ?)",
            [(row.issuer, row.covered, row.this_update, row.list, row.proof)],
        )

    def last_event_index(self, issuer: int, *, shard: int = 0) -> int:
        """The highest leaf index of an issuer's copies and acts in that log, -1 if there is none."""
        row = self._db.execute(
            "SELECT MAX(i) FROM (SELECT MAX(leaf_index) AS i FROM copy WHERE issuer = ?1 AND shard = ?2 "
            "UNION ALL SELECT MAX(leaf_index) FROM act WHERE issuer = ?1 AND shard = ?2 "
            "UNION ALL SELECT MAX(leaf_index) FROM foreign_entry WHERE issuer = ?1 AND shard = ?2)",
            (issuer, shard),
        ).fetchone()
        return -1 if row[0] is None else int(row[0])

    def next_generation(self, *, at_least: int) -> int:
        """The next trust generation, never twice the same and never under `at_least`."""
        with self._transaction():
            row = self._db.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
            value = max(at_least, 1 if row is None else row[0] + 1)
            self._db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('generation', ?)", (value,))
        return value

    def check_clock(self, now: int) -> None:
        """Raise ClockBehindError if a later time was seen."""
        seen = self._clock()
        if seen is not None and now < seen:
            raise ClockBehindError(now, seen)

    def advance_clock(self, now: int) -> None:
        """Remember the time of this command. Raises ClockBehindError if a later one was seen."""
        self.check_clock(now)
        if now != self._clock():
            self._update("INSERT OR REPLACE INTO meta (name, value) VALUES ('clock', ?)", [(now,)])

    # what goes beside the rows of copies

    @contextlib.contextmanager
    def step(self) -> Iterator[sqlite3.Connection]:
        """One transaction for a module of its own statements (`forget`). Raises LedgerWriteError."""
        with self._transaction():
            yield self._db

    def sweep(self) -> None:
        """Write the file anew without what was deleted, and empty its WAL.

        Raises LedgerWriteError (disk full), SweepBusyError while another program reads the ledger.
        """
        try:
            self._db.execute("VACUUM")
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise LedgerWriteError(str(error)) from error
        if busy:
            raise SweepBusyError

    # within

    def _clock(self) -> int | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = 'clock'").fetchone()
        return None if row is None else int(row[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):  # disk full, read-only, locked: not our rows' fault
                raise LedgerWriteError(str(error)) from error
            raise

    def _update(self, statement: str, items: Iterable[tuple[object, ...]]) -> None:
        with self._transaction():
            self._db.executemany(statement, items)

    def _copies(self, where: str, values: tuple[object, ...]) -> Iterator[CopyRow]:
        statement = f"SELECT {_COPY_COLUMNS} FROM copy WHERE {where} ORDER BY issuer, serial"  # noqa: S608 (constants)
        for row in self._db.execute(statement, values):
            fields = dict(zip(_COPY_FIELDS, row, strict=True))
            fields["state"], fields["status"] = CopyState(fields["state"]), CopyStatus(fields["status"])
            yield CopyRow(**fields, files=self._files(fields["issuer"], fields["serial"]))

    def _files(self, issuer: int, serial: int) -> tuple[FileRow, ...]:
        rows = self._db.execute(
            "SELECT form, name, sha256 FROM file WHERE issuer = ? AND serial = ? ORDER BY form DESC", (issuer, serial)
        )
        return tuple(FileRow(form=FileForm(form), name=name, sha256=digest) for form, name, digest in rows)

    def _acts(self, where: str) -> Iterator[ActRow]:
        statement = (
            "SELECT issuer, number, act, day, reason, entry, leaf_index FROM act "  # noqa: S608 (constants)
            f"WHERE {where} ORDER BY issuer, number"
        )
        for row in self._db.execute(statement):
            issuer, number, act, day, reason, entry, leaf_index = row
            yield ActRow(
                issuer=issuer, number=number, act=act, day=day, reason=reason, entry=entry, leaf_index=leaf_index
            )

    def _answer(self, order: Order) -> tuple[int, int] | None:
        """Issuer and serial of the copy that answers an order."""
        asked = (("key = ? AND status <> 'void'", (order.key,)), (_ANSWERS, (order.request, order.batch, order.batch)))
        for where, values in asked:
            statement = f"SELECT issuer, serial FROM copy WHERE {where} ORDER BY issuer, serial LIMIT 1"  # noqa: S608
            for issuer, serial in self._db.execute(statement, values):
                return issuer, serial
        return None

    def _registration_row(self, registration: Registration) -> tuple[str, bytes] | None:
        row = self._db.execute(
            "SELECT state, record FROM registration WHERE issuer = ? AND kind = ? AND registration_no = ?",
            (registration.issuer, registration.kind, registration.registration_no),
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def _open_registration(self, order: Order) -> None:
        registration = order.registration
        state = self.registration_state(registration)
        if state not in (None, RegistrationState.ACTIVE):
            raise RegistrationClosedError(str(state))
        if self.locks.is_locked(registration):
            raise NewCopiesLockedError
        self._db.execute(
            "INSERT OR IGNORE INTO record (digest, body) VALUES (?, ?)", (order.record_digest, order.record_body)
        )
        self._db.execute(
            "INSERT INTO registration (issuer, kind, registration_no, state, record) VALUES (?, ?, ?, 'active', ?) "
            "ON CONFLICT (issuer, kind, registration_no) DO UPDATE SET record = excluded.record",
            (registration.issuer, registration.kind, registration.registration_no, order.record_digest),
        )

    def _allocate(
        self,
        issuer: int,
        asked: tuple[Sequence[Order], list[int]],
        make_claims: Callable[[Order, int, bytes], bytes],
        randomness: Randomness,
    ) -> list[int]:
        """Give the orders at those places serials; these, rising."""
        orders, places = asked
        serials = self.foreign.free(issuer, self._counters(issuer)[0], len(places))
        mixed = list(range(len(places)))
        randomness.shuffle(mixed)

        def rows() -> Iterator[tuple[object, ...]]:
            for serial, offset in zip(serials, mixed, strict=True):
                order = orders[places[offset]]
                claims = make_claims(order, serial, randomness.salt())
                place = (order.registration.kind, order.registration.registration_no)
                yield (
                    *(issuer, serial, order.key, order.request, order.batch, *place, order.record_digest, order.day),
                    *(claims, order.reason, order.photo, order.signature_image),
                )

        self._db.execute("UPDATE counter SET next_serial = ? WHERE issuer = ?", (serials[-1] + 1, issuer))
        self._db.executemany(
            "INSERT INTO copy (issuer, serial, key, request, batch, kind, registration_no, record, day, claims, "
            "reason, photo, signature_image, state, status) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned', 'live')",
            rows(),
        )
        return serials

    def _counters(self, issuer: int) -> tuple[int, int]:
        self._db.execute("INSERT OR IGNORE INTO counter (issuer, next_serial, next_act) VALUES (?, 0, 0)", (issuer,))
        return self.counters(issuer)

    def _check_unlocked(self, act: NewAct) -> None:
        """Acts come after the copies they name; only void may close a serial the log never saw."""
        for serial in act.serials:
            if self.copy(act.issuer, serial).is_unlogged and act.status is not CopyStatus.VOID:
                raise RegistrationLockedError(act.issuer, serial)

    def _decide(self, decision: Decision) -> int:
        """Store it; the number of its row."""
        named = decision.registration
        for row in self.copies_of(named):
            if row.is_unlogged:
                raise RegistrationLockedError(row.issuer, row.serial)
        place = (named.issuer, named.kind, named.registration_no)
        self._db.execute(
            "UPDATE registration SET state = ? WHERE issuer = ? AND kind = ? AND registration_no = ?",
            (str(decision.state), *place),
        )
        made = self._db.execute(
            "INSERT INTO decision (issuer, kind, registration_no, state, day, reason) VALUES (?, ?, ?, ?, ?, ?)",
            (*place, str(decision.state), decision.day, decision.reason),
        )
        return made.lastrowid or 0

    def _enter(self, act: NewAct, number: int, by: By, decision: int) -> None:
        """Its row of the journal, and what leads there."""
        what = deed_name(act.act)
        row = self.desk.enter(what, act.issuer, act.serials, by=by, reason=act.reason, act=number, decision=decision)
        self._db.execute("UPDATE act SET journal = ? WHERE issuer = ? AND number = ?", (row, act.issuer, number))
        if decision:
            self._db.execute("UPDATE decision SET journal = ? WHERE id = ?", (row, decision))
        named = [(act.issuer, packed([serial]), number) for serial in act.serials]
        self._db.executemany("INSERT INTO act_serial (issuer, serial, number) VALUES (?, ?, ?)", named)

    def _apply(self, act: NewAct) -> None:
        self._db.executemany(
            "UPDATE copy SET status = ? WHERE issuer = ? AND serial = ?",
            [(str(act.status), act.issuer, serial) for serial in act.serials],
        )
