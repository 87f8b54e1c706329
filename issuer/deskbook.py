"""The part of the ledger that says who did what: requests of one operator to another, and the journal.

Source: docs/workspace.md (Operators, Journal). What `Ledger` does is entered in its own transaction, so no act is
stored without its row; what is asked for and withdrawn has a transaction here.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

from mingzheng.issuer.approvalerrors import RequestDoneError
from mingzheng.issuer.journal import Deed, chained, encode_deed, reason_digest
from mingzheng.issuer.rows import By, JournalRow, RequestRow
from mingzheng.issuer.schema import RequestState

__all__ = ["DeskBook", "packed"]

_SALT_BYTES: Final = 16
_REQUEST: Final = "SELECT id, issuer, body, target, reason, operator, seal, state FROM request"


class DeskBook:
    """Requests and journal of an open ledger."""

    def __init__(self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._db, self._transaction = db, transaction

    # within a transaction of the ledger's

    def enter(
        self, what: str, issuer: int, serials: Sequence[int], *, by: By, reason: str, act: int | None, decision: int = 0
    ) -> None:
        """Add a row. `act`: the act's number, None if it is none."""
        last = self._db.execute("SELECT number, digest FROM journal ORDER BY number DESC LIMIT 1").fetchone()
        clock = self._db.execute("SELECT value FROM meta WHERE name = 'clock'").fetchone()
        salt = secrets.token_bytes(_SALT_BYTES)
        deed = Deed(
            number=1 if last is None else last[0] + 1,
            time=0 if clock is None else clock[0],
            what=what,
            issuer=issuer,
            count=len(serials),
            serials=hashlib.sha256(packed(serials)).digest() if serials else b"",
            acts=() if act is None else (act,),
            decision=decision,
            operators=by.operators,
            reason=reason_digest(salt, reason),
            request=by.request,
        )
        body = encode_deed(deed)
        digest = chained(None if last is None else last[1], body)
        self._db.execute("INSERT INTO journal (number, body, digest) VALUES (?, ?, ?)", (deed.number, body, digest))
        if reason:
            self._db.execute("INSERT INTO journal_reason VALUES (?, ?, ?)", (deed.number, salt, reason))

    def finish(self, request: bytes) -> None:
        """An open request is done. Raises RequestDoneError for any other."""
        changed = self._db.execute("UPDATE request SET state = 'done' WHERE id = ? AND state = 'open'", (request,))
        if changed.rowcount != 1:
            raise RequestDoneError(request.hex())

    # requests

    def store_request(self, row: RequestRow, serials: Sequence[int]) -> None:
        """Keep a new request, and enter it."""
        values = (row.id, row.issuer, row.body, row.target, row.reason, row.operator, row.seal, str(row.state))
        by = By(operators=(row.operator,), request=row.id)
        with self._transaction():
            self._db.execute("INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            self.enter("request", row.issuer, serials, by=by, reason=row.reason, act=None)

    def close_request(self, row: RequestRow, state: RequestState, *, by: By, reason: str = "") -> None:
        """An open request is withdrawn or has expired; nothing for one that is not open."""
        with self._transaction():
            statement = "UPDATE request SET state = ? WHERE id = ? AND state = 'open'"
            if self._db.execute(statement, (str(state), row.id)).rowcount:
                self.enter(f"request-{state}", row.issuer, (), by=by, reason=reason, act=None)

    def request(self, request: bytes) -> RequestRow | None:
        """The request of that id."""
        return next(self._requests("WHERE id = ?", (request,)), None)

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

    def acts_serials(self) -> dict[tuple[int, int], bytes]:
        """The serials of every act, by issuer and number."""
        rows = self._db.execute("SELECT issuer, number, serials FROM act")
        return {(issuer, number): serials for issuer, number, serials in rows}

    def positions(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Where in the logs each act stands (shard, leaf index), by issuer and number; unlogged ones are left out."""
        rows = self._db.execute("SELECT issuer, number, shard, leaf_index FROM act WHERE leaf_index IS NOT NULL")
        return {(issuer, number): (shard, index) for issuer, number, shard, index in rows}

    def journal_starts(self) -> dict[int, int]:
        """From which act number of an issuer on there are rows."""
        return dict(self._db.execute("SELECT issuer, next_act FROM journal_start"))


def packed(serials: Sequence[int]) -> bytes:
    """Serials as 8-byte big-endian numbers."""
    return b"".join(serial.to_bytes(8, "big") for serial in serials)
