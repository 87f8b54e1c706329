"""The part of the ledger that says which registrations are locked: nothing of it is published.

Source: docs/workspace.md (Lock). A change and its row of the journal are one transaction; the last change holds.
"""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.deskbook import DeskBook
from mingzheng.issuer.rows import By, LockRow, Registration

__all__ = ["LockBook"]

_OF: Final = "WHERE issuer = ? AND kind = ? AND registration_no = ?"


class LockBook:
    """Locks of an open ledger."""

    def __init__(
        self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]], desk: DeskBook
    ) -> None:
        self._db, self._transaction, self._desk = db, transaction, desk

    def changes(self, registration: Registration) -> tuple[LockRow, ...]:
        """Every lock and unlock, the first one first."""
        rows = self._db.execute(
            f"SELECT locked, day, reason, journal FROM lock_change {_OF} ORDER BY id",  # noqa: S608 (constants)
            _place(registration),
        )
        return tuple(
            LockRow(locked=bool(locked), day=day, reason=reason, journal=journal)
            for locked, day, reason, journal in rows
        )

    def is_locked(self, registration: Registration) -> bool:
        """Whether no new copy may be made."""
        changes = self.changes(registration)
        return bool(changes) and changes[-1].locked

    def store(self, registration: Registration, *, locked: bool, now: int, reason: str, by: By) -> bool:
        """Lock or unlock, and enter it; False if it is so already, and nothing is stored."""
        with self._transaction():
            if self.is_locked(registration) is locked:
                return False
            what = "lock" if locked else "unlock"
            number = self._desk.enter(what, registration.issuer, (), by=by, reason=reason, act=None, time=now)
            self._db.execute(
                "INSERT INTO lock_change (issuer, kind, registration_no, locked, day, reason, journal) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*_place(registration), int(locked), day_of_time(now), reason, number),
            )
        return True


def _place(registration: Registration) -> tuple[int, int, str]:
    return registration.issuer, registration.kind, registration.registration_no
