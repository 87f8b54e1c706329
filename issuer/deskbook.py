"""The part of the ledger that says who did what: requests of one operator to another, and the journal.

Source: docs/workspace.md (Operators, Journal). What `Ledger` does is entered in its own transaction, so no act is
stored without its row; what is asked for and withdrawn has a transaction here.
`note_in` enters what is done to a ledger as a whole: a backup, a restoring.
"""

import contextlib
import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Final

from mingzheng.issuer.approvalerrors import RequestDoneError
from mingzheng.issuer.journal import Deed, StoredAct, Told, chained, encode_deed, parse_deed, reason_digest
from mingzheng.issuer.ledgerfile import ledger_version
from mingzheng.issuer.refusals import LedgerWriteError
from mingzheng.issuer.rows import DESK, By, Decision, JournalRow, NamingAct, Registration, RequestRow
from mingzheng.issuer.schema import RegistrationState, RequestState

__all__ = ["DeskBook", "note_in", "packed", "unpacked"]

_BUSY_SECONDS: Final = 300.0  # of a backup that is made: as long as it waited for its moment
_JOURNAL_SINCE: Final = 4  # the ledger's schema that has one
_SALT_BYTES: Final = 16
_REQUEST: Final = "SELECT id, issuer, body, target, reason, operator, seal, state FROM request"


class DeskBook:
    """Requests and journal of an open ledger."""

    def __init__(self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._db, self._transaction = db, transaction

    # within a transaction of the ledger's

    def enter(
        self,
        what: str,
        issuer: int,
        serials: Sequence[int],
        *,
        by: By,
        reason: str,
        act: int | None,
        decision: int = 0,
        time: int = 0,
    ) -> int:
        """Add a row; its number. `act`: the act's number, None if it is none. `time`: of what leaves the ledger's clock
        as it is; else the clock has it."""
        deed = replace(
            self._blank(what, issuer, by),
            time=max(time, self._clock()),
            count=len(serials),
            serials=hashlib.sha256(packed(serials)).digest() if serials else b"",
            acts=() if act is None else (act,),
            decision=decision,
        )
        return self._with_reason(deed, reason)

    def enter_moved(self, what: str, issuer: int, serials: Sequence[int], *, by: By, acts: tuple[int, ...]) -> int:
        """Add a row about an act of another number than before (`acts`: the old one and the new one), or one that is
        taken back (`acts`: its number)."""
        digest = hashlib.sha256(packed(serials)).digest() if serials else b""
        return self._append(replace(self._blank(what, issuer, by), count=len(serials), serials=digest, acts=acts))

    def enter_foreign(self, what: str, issuer: int, count: int, *, by: By = DESK, reason: str = "") -> int:
        """Add a row about that many foreign entries of the log."""
        return self._with_reason(replace(self._blank(what, issuer, by), count=count), reason)

    def _blank(self, what: str, issuer: int, by: By) -> Deed:
        """Of no copy, no act and no reason."""
        return Deed(
            number=0,
            time=self._clock(),
            what=what,
            issuer=issuer,
            count=0,
            serials=b"",
            acts=(),
            decision=0,
            operators=by.operators,
            reason=reason_digest(secrets.token_bytes(_SALT_BYTES), ""),
            request=by.request,
        )

    def _with_reason(self, deed: Deed, reason: str) -> int:
        salt = secrets.token_bytes(_SALT_BYTES)
        number = self._append(replace(deed, reason=reason_digest(salt, reason)))
        if reason:
            self._db.execute("INSERT INTO journal_reason VALUES (?, ?, ?)", (number, salt, reason))
        return number

    def note(self, what: str, *, time: int, count: int, issuer: int = 0, by: By = DESK) -> None:
        """Add a row about the ledger itself, which names no act, no copy and no reason. Issuer 0: all of it."""
        deed = Deed(
            number=0,
            time=max(time, self._clock()),
            what=what,
            issuer=issuer,
            count=count,
            serials=b"",
            acts=(),
            decision=0,
            operators=by.operators,
            reason=reason_digest(secrets.token_bytes(_SALT_BYTES), ""),
            request=b"",
        )
        self._append(deed)

    def finish(self, request: bytes) -> None:
        """An open request is done. Raises RequestDoneError for any other."""
        changed = self._db.execute("UPDATE request SET state = 'done' WHERE id = ? AND state = 'open'", (request,))
        if changed.rowcount != 1:
            raise RequestDoneError(request.hex())

    # requests

    def store_request(self, row: RequestRow, serials: Sequence[int], *, now: int) -> None:
        """Keep a new request, and enter it."""
        values = (row.id, row.issuer, row.body, row.target, row.reason, row.operator, row.seal, str(row.state))
        by = By(operators=(row.operator,), request=row.id)
        with self._transaction():
            self._db.execute("INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            self.enter("request", row.issuer, serials, by=by, reason=row.reason, act=None, time=now)

    def close_request(self, row: RequestRow, state: RequestState, *, by: By, now: int, reason: str = "") -> None:
        """An open request is withdrawn or has expired; nothing for one that is not open."""
        with self._transaction():
            statement = "UPDATE request SET state = ? WHERE id = ? AND state = 'open'"
            if self._db.execute(statement, (str(state), row.id)).rowcount:
                self.enter(f"request-{state}", row.issuer, (), by=by, reason=reason, act=None, time=now)

    def request(self, request: bytes) -> RequestRow | None:
        """The request of that id."""
        return next(self._requests("WHERE id = ?", (request,)), None)

    def all_requests(self) -> tuple[RequestRow, ...]:
        """Every request there was."""
        return tuple(self._requests("ORDER BY id", ()))

    def open_requests(self) -> tuple[RequestRow, ...]:
        """What waits for a second person."""
        return tuple(self._requests("WHERE state = 'open' ORDER BY id", ()))

    def _requests(self, where: str, values: tuple[object, ...]) -> Iterator[RequestRow]:
        for row in self._db.execute(f"{_REQUEST} {where}", values):
            identity, issuer, body, target, reason, operator, seal, state = row
            yield RequestRow(
                id=identity,
                issuer=issuer,
                body=body,
                target=target,
                reason=reason,
                operator=operator,
                seal=seal,
                state=RequestState(state),
            )

    # decisions

    def decisions(self, registration: Registration) -> dict[int, Decision]:
        """Every decision about a registration by the number of its row, the first one first."""
        rows = self._db.execute(
            "SELECT id, state, day, reason FROM decision WHERE issuer = ? AND kind = ? AND registration_no = ? "
            "ORDER BY id",
            (registration.issuer, registration.kind, registration.registration_no),
        )
        return {
            number: Decision(registration=registration, state=RegistrationState(state), day=day, reason=reason)
            for number, state, day, reason in rows
        }

    # what the story of a registration is told by

    def acts_naming(self, issuer: int, serials: Iterable[int]) -> tuple[NamingAct, ...]:
        """The acts that name one of these serials, by number."""
        numbers: set[int] = set()
        for serial in serials:
            found = self._db.execute(
                "SELECT number FROM act_serial WHERE issuer = ? AND serial = ?", (issuer, packed([serial]))
            )
            numbers.update(row[0] for row in found)
        acts = []
        for number in sorted(numbers):
            row = self._db.execute(
                "SELECT act, day, reason, serials, shard, leaf_index FROM act WHERE issuer = ? AND number = ?",
                (issuer, number),
            ).fetchone()
            act, day, reason, raw, shard, index = row
            acts.append(
                NamingAct(
                    number=number,
                    act=act,
                    day=day,
                    reason=reason,
                    serials=unpacked(raw),
                    shard=shard,
                    leaf_index=index,
                )
            )
        return tuple(acts)

    def deed(self, number: int) -> Deed | None:
        """The row of the journal of that number."""
        return self._deed("SELECT body FROM journal WHERE number = ?", (number,))

    def deed_of_act(self, issuer: int, number: int) -> Deed | None:
        """The row that tells of that act; None for one of before the journal."""
        row = self._db.execute(
            "SELECT body, COALESCE(first_number, act.number) FROM act JOIN journal ON journal.number = act.journal "
            "WHERE issuer = ? AND act.number = ?",
            (issuer, number),
        ).fetchone()
        deed = None if row is None else parse_deed(row[0])
        return deed if deed is not None and deed.issuer == issuer and row[1] in deed.acts else None

    def deed_of_decision(self, decision: int) -> Deed | None:
        """The row that tells of that decision; None for one of before the journal."""
        deed = self._deed(
            "SELECT body FROM decision JOIN journal ON journal.number = decision.journal WHERE id = ?", (decision,)
        )
        return deed if deed is not None and deed.decision == decision else None

    def _deed(self, statement: str, values: tuple[object, ...]) -> Deed | None:
        row = self._db.execute(statement, values).fetchone()
        return None if row is None else parse_deed(row[0])

    # the journal

    def journal(self) -> Iterator[JournalRow]:
        """Every row, from the first."""
        rows = self._db.execute(
            "SELECT number, body, digest, salt, reason FROM journal LEFT JOIN journal_reason USING (number) "
            "ORDER BY number"
        )
        for number, body, digest, salt, reason in rows:
            yield JournalRow(number=number, body=body, digest=digest, salt=salt, reason=reason)

    def journal_head(self) -> tuple[int, bytes]:
        """How many rows there are, and the digest of the last one (empty for none)."""
        last = self._db.execute("SELECT number, digest FROM journal ORDER BY number DESC LIMIT 1").fetchone()
        return (0, b"") if last is None else (last[0], last[1])

    def told(self) -> Told:
        """What acts and decisions there are, and the rows they lead to: for the check of the journal."""
        rows = self._db.execute("SELECT issuer, number, act, serials, journal FROM act")
        acts = {
            (issuer, number): StoredAct(act=act, serials=serials, journal=journal)
            for issuer, number, act, serials, journal in rows
        }
        return Told(acts=acts, decisions=dict(self._db.execute("SELECT id, journal FROM decision")))

    def positions(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Where in the logs each act stands (shard, leaf index), by issuer and number; unlogged ones are left out."""
        rows = self._db.execute("SELECT issuer, number, shard, leaf_index FROM act WHERE leaf_index IS NOT NULL")
        return {(issuer, number): (shard, index) for issuer, number, shard, index in rows}

    def journal_starts(self) -> dict[int, int]:
        """From which act number of an issuer on there are rows."""
        return dict(self._db.execute("SELECT issuer, next_act FROM journal_start"))

    # within

    def _append(self, deed: Deed) -> int:
        """Store it as the next row; its number."""
        last = self._db.execute("SELECT number, digest FROM journal ORDER BY number DESC LIMIT 1").fetchone()
        deed = replace(deed, number=1 if last is None else last[0] + 1)
        body = encode_deed(deed)
        digest = chained(None if last is None else last[1], body)
        self._db.execute("INSERT INTO journal (number, body, digest) VALUES (?, ?, ?)", (deed.number, body, digest))
        return deed.number

    def _clock(self) -> int:
        clock = self._db.execute("SELECT value FROM meta WHERE name = 'clock'").fetchone()
        return 0 if clock is None else int(clock[0])


def note_in(path: Path, what: str, *, time: int, count: int) -> None:
    """`DeskBook.note` in a ledger that is not open here; nothing for one of before the journal.

    Raises LedgerWriteError.
    """
    if ledger_version(path) < _JOURNAL_SINCE:
        return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)) as database:
        try:
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            DeskBook(database, contextlib.nullcontext).note(what, time=time, count=count)
            database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise LedgerWriteError(str(error)) from error


def packed(serials: Sequence[int]) -> bytes:
    """Serials as 8-byte big-endian numbers."""
    return b"".join(serial.to_bytes(8, "big") for serial in serials)


def unpacked(data: bytes) -> tuple[int, ...]:
    """What `packed` was given."""
    return tuple(int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 8))
