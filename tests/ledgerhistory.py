"""One history of a ledger, written through the `Ledger` of any released program: copies in every state and status.

`tests/vectors/make_ledger_vectors.py` runs it with the programs of before; the upgrade test with this one. What a later
version knows more exactly (the time of logging) is chosen to be what an upgrade assumes of the earlier ones.
"""

import inspect
import sqlite3
import sys
from pathlib import Path
from typing import Any

import mingzheng.issuer.rows as rows
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.schema import SCHEMA_VERSION, CopyStatus, RegistrationState

DAY = 20_600
NOON = DAY * 86_400 + 14_400


class Order:
    """Randomness that is none."""

    def shuffle(self, items: list[int]) -> None:
        items.reverse()

    def salt(self) -> bytes:
        return bytes(16)


def order(number: int, *, issuer: int = 1, record: bytes = b"", images: bool = True) -> rows.Order:
    name = f"{issuer}/{number}".encode()
    digest = record or b"record " + name
    return rows.Order(
        key=(b"key " + name).ljust(32, b"."),
        request=(b"request " + name).ljust(32, b"."),
        batch=b"batch".ljust(32, b"."),
        registration=rows.Registration(issuer=issuer, kind=1, registration_no=f"京{issuer:03d}{number:05d}"),
        record_digest=digest,
        record_body=b"body of " + digest,
        day=DAY,
        reason=f"事由 {number}",
        photo=(b"photo " + name).ljust(32, b".") if images else None,
        signature_image=(b"sign " + name).ljust(32, b".") if images else None,
    )


def logged(issuer: int, serial: int) -> rows.Logged:
    fields: dict[str, Any] = {"leaf_index": 10 * issuer + serial, "receipt": b"receipt", "proof": b"proof"}
    if "logged_at" in inspect.signature(rows.Logged).parameters:
        fields["logged_at"] = NOON
    return rows.Logged(issuer=issuer, serial=serial, **fields)


def rendered(ledger: Ledger, issuer: int, serial: int) -> None:
    name, digest = f"{issuer}-{serial}.pdf", bytes([serial]) * 32
    if hasattr(rows, "FileRow"):
        from mingzheng.issuer.schema import FileForm

        ledger.store_rendered(issuer, serial, [rows.FileRow(form=FileForm.PDF, name=name, sha256=digest)])
    else:
        ledger.store_rendered(issuer, serial, file_name=name, file_sha256=digest)  # type: ignore[call-arg]


def act(ledger: Ledger, kind: int, serials: tuple[int, ...], status: CopyStatus, decision: Any = None) -> None:
    new = rows.NewAct(issuer=1, act=kind, serials=serials, day=DAY + 1, reason="因故", status=status)
    ledger.store_acts([new], sign=lambda _new, number: b"entry %d" % number, decision=decision)


def play(ledger: Ledger) -> None:
    """Eleven copies of two issuers, five acts, decisions, a status list, a generation, a clock."""

    def claims(wanted: rows.Order, serial: int, salt: bytes) -> bytes:
        return b"claims %d of " % serial + wanted.record_digest + salt

    orders = [order(number, images=number % 2 == 0) for number in range(10)] + [order(0, issuer=2)]
    ledger.plan(orders, make_claims=claims, randomness=Order())
    serials = {row.registration_no: row.serial for row in ledger.all_copies() if row.issuer == 1}
    of = [serials[order(number).registration.registration_no] for number in range(10)]
    ledger.store_signed([(1, of[number], b"signed %d" % number) for number in range(1, 9)])
    ledger.store_logged([logged(1, of[number]) for number in range(2, 9)])
    for number in range(3, 9):
        rendered(ledger, 1, of[number])
    for number in range(4, 9):
        ledger.store_delivered(1, of[number])
    gone = rows.Decision(
        registration=order(5).registration, state=RegistrationState.REVOKED, day=DAY + 1, reason="死亡"
    )
    held = rows.Decision(
        registration=order(6).registration, state=RegistrationState.SUSPENDED, day=DAY + 1, reason="调查"
    )
    act(ledger, 1, (of[5],), CopyStatus.REVOKED, gone)
    act(ledger, 2, (of[6],), CopyStatus.SUSPENDED, held)
    act(ledger, 4, (of[7],), CopyStatus.SUPERSEDED)
    act(ledger, 5, (of[8],), CopyStatus.VOID)
    act(ledger, 5, (of[9],), CopyStatus.VOID)  # planned, never logged
    ledger.store_acts_logged([(1, number, 100 + number) for number in range(4)])
    ledger.store_status(rows.StatusRow(issuer=1, covered=104, this_update=NOON, list=b"list", proof=b"proof"))
    ledger.next_generation(at_least=3)
    if hasattr(ledger, "advance_clock"):
        ledger.advance_clock(NOON)


def dump(path: Path, *, journal: bool = True) -> str:
    """The whole file as SQL; without `journal` the tables of the journal are empty, as if all was done before it."""
    database = sqlite3.connect(path)
    names = ("application_id", "user_version")
    application, version = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    if not journal and version == SCHEMA_VERSION:
        whole, database = database, sqlite3.connect(":memory:")
        whole.backup(database)
        whole.close()
        for table in ("act", "decision"):
            database.execute(f"UPDATE {table} SET journal = NULL")
    lines = [f"PRAGMA application_id = {application};", f"PRAGMA user_version = {version};", *database.iterdump()]
    database.close()
    if not journal:
        lines = [line for line in lines if not line.startswith('INSERT INTO "journal')]
    return "\n".join(lines) + "\n"


def take_back(path: Path) -> None:
    """Make a ledger one of the version before: take away what the last version brings.

    Tables with their rows, indexes, triggers, columns.
    """
    from mingzheng.issuer.schema import MIGRATIONS, SCHEMA_VERSION

    database = sqlite3.connect(path, isolation_level=None)
    for statement in reversed(MIGRATIONS[SCHEMA_VERSION]):
        words = [word for word in statement.split() if word != "UNIQUE"]
        if words[0] == "CREATE":
            database.execute(f"DROP {words[1]} IF EXISTS {words[2]}")
        elif words[0] == "INSERT":  # into a table that goes as well
            assert any(other.split()[:3] == ["CREATE", "TABLE", words[2]] for other in MIGRATIONS[SCHEMA_VERSION])
        else:
            assert (words[0], words[3:5]) == ("ALTER", ["ADD", "COLUMN"])
            database.execute(f"ALTER TABLE {words[2]} DROP COLUMN {words[5]}")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
    database.close()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    with Ledger.create(target) as made:
        play(made)
    Path(sys.argv[2]).write_text(dump(target), encoding="utf-8")
