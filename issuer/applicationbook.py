"""The part of the ledger that keeps what holders signed for a re-issue: nothing of it is published.

Source: docs/workspace.md (Application). A row is stored in the transaction that plans the re-issue, its row of the
journal with it. One application serves one re-issue, and a re-issue has one application.
"""

import sqlite3
from typing import Any, Final

from mingzheng.issuer.applicationerrors import AnotherApplicationError, ApplicationReplayedError
from mingzheng.issuer.deskbook import DeskBook
from mingzheng.issuer.rows import Application, ApplicationRow, By, Order, Registration

__all__ = ["ApplicationBook"]

_COLUMNS: Final = (
    "statement, issuer, kind, registration_no, record, serial, file, beside, certificate, subject, by_number, "
    "signed_at, is_stamped, day, journal"
)
# A copy that was never logged is burnt: its re-issue never happened.
_HAPPENED: Final = (
    "SELECT 1 FROM copy WHERE record = ? AND issuer = ? AND kind = ? AND registration_no = ? "
    "AND (status <> 'void' OR leaf_index IS NOT NULL)"
)


class ApplicationBook:
    """Applications of an open ledger."""

    def __init__(self, db: sqlite3.Connection, desk: DeskBook) -> None:
        self._db, self._desk = db, desk

    def of(self, registration: Registration) -> tuple[ApplicationRow, ...]:
        """Every application of a registration, in the order they came in."""
        place = (registration.issuer, registration.kind, registration.registration_no)
        return self._rows("issuer = ? AND kind = ? AND registration_no = ?", place)

    def find(self, statement: bytes) -> ApplicationRow | None:
        """The application of that statement, whosever it is."""
        return next(iter(self._rows("statement = ?", (statement,))), None)

    def check(self, facts: Application, registration: Registration, record: bytes) -> bool:
        """Whether it is attached to that re-issue already.

        Raises ApplicationReplayedError if it served another one, AnotherApplicationError if this one has another.
        """
        found = self.find(facts.statement)
        if found is not None and (found.registration, found.record) == (registration, record):
            return True
        if found is not None and (found.registration != registration or self._happened(found)):
            raise ApplicationReplayedError
        if self._rows("record = ?", (record,)):
            raise AnotherApplicationError
        return False

    def attach(self, order: Order, serial: int, *, by: By) -> None:
        """Within a transaction of the ledger's: store the application of an order, unless it is. Raises as `check`."""
        new = order.application
        if new is None or self.check(new.facts, order.registration, order.record_digest):
            return
        facts, place = new.facts, order.registration
        number = self._desk.enter("application", place.issuer, (serial,), by=by, reason="", act=None)
        values = (
            *(facts.statement, place.issuer, place.kind, place.registration_no, order.record_digest, serial),
            *(facts.file, facts.beside, facts.certificate, facts.subject, int(facts.by_number)),
            *(facts.signed_at, int(facts.is_stamped), order.day, number),
        )
        marks = ", ".join("?" * len(values))
        self._db.execute(
            f"INSERT OR REPLACE INTO application ({_COLUMNS}) VALUES ({marks})",  # noqa: S608 (constants)
            values,
        )

    def _happened(self, row: ApplicationRow) -> bool:
        place = (row.registration.issuer, row.registration.kind, row.registration.registration_no)
        return self._db.execute(_HAPPENED, (row.record, *place)).fetchone() is not None

    def _rows(self, where: str, values: tuple[object, ...]) -> tuple[ApplicationRow, ...]:
        statement = f"SELECT {_COLUMNS} FROM application WHERE {where} ORDER BY journal"  # noqa: S608 (constants)
        return tuple(_row(row) for row in self._db.execute(statement, values))


def _row(row: tuple[Any, ...]) -> ApplicationRow:
    named: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
    facts = Application(
        file=named["file"],
        beside=named["beside"],
        statement=named["statement"],
        certificate=named["certificate"],
        subject=named["subject"],
        by_number=bool(named["by_number"]),
        signed_at=named["signed_at"],
        is_stamped=bool(named["is_stamped"]),
    )
    registration = Registration(
        issuer=named["issuer"],
        kind=named["kind"],
        registration_no=named["registration_no"],
    )
    return ApplicationRow(
        facts=facts,
        registration=registration,
        record=named["record"],
        serial=named["serial"],
        day=named["day"],
        journal=named["journal"],
    )
