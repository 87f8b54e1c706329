"""The log's SQLite file: the row that says what may be signed, the durable queue, idempotency, serial states.

WAL with synchronous=FULL: COMMIT returns after the bytes are on disk. The row `head` is the compare-and-swap
cell: (size, root) moves only by an UPDATE that names the old pair. Everything else can be derived again from
the entries. Schema changes raise SCHEMA and refuse other versions (docs/adr/0010-storage-commit-order.md).
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mingzheng.keys.kid import Kid
from mingzheng.log.book import IssuerBook
from mingzheng.log.hashing import Hash
from mingzheng.log.instance import Instance
from mingzheng.log.refusal import DiskDisagreesError, LogMissingError

SCHEMA = 2
_CHUNK = 500  # parameters per statement; SQLite allows 999 everywhere
_Item = TypeVar("_Item")

_TABLES = """
CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1), schema INTEGER NOT NULL,
    origin INTEGER NOT NULL, name TEXT NOT NULL, height INTEGER NOT NULL, vkey TEXT NOT NULL, receipt BLOB NOT NULL,
    device INTEGER NOT NULL, inode INTEGER NOT NULL, changed INTEGER NOT NULL
);
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, root BLOB NOT NULL,
    last_time INTEGER NOT NULL, cleaned INTEGER NOT NULL, note BLOB, signed_size INTEGER
);
CREATE TABLE staged (idx INTEGER PRIMARY KEY, entry BLOB NOT NULL);
CREATE TABLE submission (key BLOB PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE serial (
    issuer INTEGER NOT NULL, serial INTEGER NOT NULL, state INTEGER NOT NULL, idx INTEGER NOT NULL,
    PRIMARY KEY (issuer, serial)
) WITHOUT ROWID;
CREATE INDEX serial_by_state ON serial (issuer, state, serial) WHERE state > 1;
CREATE TABLE round (start INTEGER PRIMARY KEY, stop INTEGER NOT NULL);
CREATE TABLE retired (issuer INTEGER NOT NULL, kid BLOB NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (issuer, kid))
    WITHOUT ROWID;
CREATE TABLE issuer (
    issuer INTEGER PRIMARY KEY, next_act INTEGER NOT NULL, next_serial INTEGER NOT NULL,
    last_index INTEGER NOT NULL, status_index INTEGER, status_time INTEGER, status_sizes TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """What a log is: fixed at creation, but for the instance."""

    origin: int
    name: str
    height: int
    vkey: str
    receipt_kid: bytes
    instance: Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """The compare-and-swap row. `note`: the last signed checkpoint, of `signed_size`; None before the first."""

    size: int
    root: Hash
    last_time: int
    cleaned: int
    note: bytes | None
    signed_size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRow:
    """What `book.IssuerBook` keeps of an issuer, but for the states of its serials."""

    next_act: int = 0
    next_serial: int = 0
    last_index: int = -1
    status_index: int | None = None
    status_time: int | None = None
    status_sizes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRows:
    """Everything one round writes in one transaction.

    `serials`: (issuer, serial) → (state, index of the first entry that names it); `retired`: (issuer, kid) → index.
    """

    old: HeadRow
    size: int
    root: Hash
    time: int
    entries: Sequence[bytes]
    keys: Sequence[tuple[bytes, int]]
    serials: Mapping[tuple[int, int], tuple[int, int]]
    issuers: Mapping[int, IssuerRow]
    retired: Mapping[tuple[int, Kid], int]


class Database:
    """One connection. Every method is one transaction, durable on return."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0)
            return
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA wal_autocheckpoint=4000")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def initialise(self, row: LogRow, root: Hash) -> None:
        """Make the tables and the head row of the empty tree, all in one transaction."""
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";")[:-1]:
            run(statement)
        found = row.instance
        run(
            "INSERT INTO log VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(SCHEMA, row.origin, row.name, row.height, row.vkey, row.receipt_kid),
                *(found.device, found.inode, found.changed_ns),
            ),
        )
        run("INSERT INTO head VALUES (1, 0, ?, 0, 0, NULL, NULL)", (root,))
        run("COMMIT")

    def log_row(self) -> LogRow:
        """What log this is. Raises LogMissingError if the tables or the row are not there."""
        query = "SELECT schema, origin, name, height, vkey, receipt, device, inode, changed FROM log"
        try:
            found = self._connection.execute(query).fetchone()
        except sqlite3.OperationalError as error:
            raise LogMissingError("the database holds no log: creation was cut short, or it was replaced") from error
        if found is None or found[0] != SCHEMA:
            raise LogMissingError(f"the database holds no log of schema {SCHEMA}")
        instance = Instance(device=found[6], inode=found[7], changed_ns=found[8])
        return LogRow(
            origin=found[1], name=found[2], height=found[3], vkey=found[4], receipt_kid=found[5], instance=instance
        )

    def head(self) -> HeadRow:
        """The row that may be signed. Raises LogMissingError if it was deleted."""
        query = "SELECT size, root, last_time, cleaned, note, signed_size FROM head"
        found = self._connection.execute(query).fetchone()
        if found is None:
            raise LogMissingError("the head row is gone from the database: refusing to start from nothing")
        size, root, last_time, cleaned, note, signed = found
        return HeadRow(size=size, root=Hash(root), last_time=last_time, cleaned=cleaned, note=note, signed_size=signed)

    def staged(self) -> list[tuple[int, bytes]]:
        """Entries sequenced and not yet known to be in tiles, by index."""
        return self._connection.execute("SELECT idx, entry FROM staged ORDER BY idx").fetchall()

    def commit_round(self, rows: RoundRows) -> None:
        """Stage the round and move the head, or raise DiskDisagreesError if the head is not `rows.old`."""
        old, start = rows.old, rows.old.size
        run, many = self._connection.execute, self._connection.executemany
        run("BEGIN IMMEDIATE")
        try:
            moved = run(
                "UPDATE head SET size = ?, root = ?, last_time = ? WHERE size = ? AND root = ?",
                (rows.size, rows.root, rows.time, old.size, old.root),
            )
            if moved.rowcount != 1:
                raise DiskDisagreesError(f"the head row is no longer the one of size {old.size}")
            many("INSERT INTO staged VALUES (?, ?)", enumerate(rows.entries, start))
            run("INSERT INTO round VALUES (?, ?)", (start, rows.size))
            many("INSERT INTO submission VALUES (?, ?)", rows.keys)
            many(
                "INSERT INTO serial VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
                ((issuer, serial, state, index) for (issuer, serial), (state, index) in rows.serials.items()),
            )
            many(
                "INSERT OR REPLACE INTO issuer VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(number, row.next_act, row.next_serial, row.last_index, row.status_index, row.status_time),
                        json.dumps(sorted(row.status_sizes.items())),
                    )
                    for number, row in rows.issuers.items()
                ],
            )
            retired = [(issuer, kid, index) for (issuer, kid), index in rows.retired.items()]
            many("INSERT OR IGNORE INTO retired VALUES (?, ?, ?)", retired)
        except BaseException:
            run("ROLLBACK")
            raise
        run("COMMIT")

    def store_note(self, note: bytes, size: int) -> None:
        """Keep the signed checkpoint of `size`; the staged entries are in durable, re-read tiles by now: drop them."""
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        run("UPDATE head SET note = ?, signed_size = ? WHERE size = ?", (note, size, size))
        run("DELETE FROM staged WHERE idx < ?", (size,))
        run("COMMIT")

    def set_cleaned(self, size: int) -> None:
        """Obsolete partial tiles below `size` are removed."""
        self._connection.execute("UPDATE head SET cleaned = ?", (size,))

    def set_time(self, time: int) -> None:
        """Measure the next round's time from here."""
        self._connection.execute("UPDATE head SET last_time = ?", (time,))

    def set_instance(self, found: Instance) -> None:
        """Adopt this `instance` file (after an anchor proved the state to be the newest)."""
        values = (found.device, found.inode, found.changed_ns)
        self._connection.execute("UPDATE log SET device = ?, inode = ?, changed = ?", values)

    def indexes_of(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """Idempotency keys already used → the index of their entry."""
        found: dict[bytes, int] = {}
        for chunk in _chunks(list(keys)):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, idx FROM submission WHERE key IN ({marks})"  # noqa: S608 only question marks
            found.update(self._connection.execute(query, chunk))
        return found

    def serials(self, issuer: int, serials: Iterable[int]) -> dict[int, int]:
        """States of the serials that any entry named, by serial."""
        found: dict[int, int] = {}
        for chunk in _chunks(list(serials)):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT serial, state FROM serial WHERE issuer = ? AND serial IN ({marks})"  # noqa: S608 as above
            found.update(self._connection.execute(query, [issuer, *chunk]))
        return found

    def serials_in_state(self, issuer: int, state: int) -> list[int]:
        """Every serial of the issuer in one state other than unknown (0) and live (1), rising."""
        query = "SELECT serial FROM serial WHERE issuer = ? AND state = ? AND state > 1 ORDER BY serial"
        return [row[0] for row in self._connection.execute(query, (issuer, state))]

    def serial_index(self, issuer: int, serial: int) -> int | None:
        """Where the issue (or the void that came first) of a serial stands, None if the log never heard of it."""
        query = "SELECT idx FROM serial WHERE issuer = ? AND serial = ?"
        found = self._connection.execute(query, (issuer, serial)).fetchone()
        return None if found is None else int(found[0])

    def issuer_row(self, issuer: int) -> IssuerRow:
        """Counters of an issuer; all zero for one that is new here."""
        query = (
            "SELECT next_act, next_serial, last_index, status_index, status_time, status_sizes "
            "FROM issuer WHERE issuer = ?"
        )
        found = self._connection.execute(query, (issuer,)).fetchone()
        if found is None:
            return IssuerRow()
        act, serial, last, index, time, sizes = found
        return IssuerRow(
            next_act=act,
            next_serial=serial,
            last_index=last,
            status_index=index,
            status_time=time,
            status_sizes=dict(json.loads(sizes)),
        )

    def retired(self) -> dict[tuple[int, Kid], int]:
        """Keys that a key event retired or declared compromised → its index."""
        found = self._connection.execute("SELECT issuer, kid, idx FROM retired")
        return {(issuer, Kid(kid)): index for issuer, kid, index in found}

    def round_of(self, index: int) -> tuple[int, int]:
        """The round [start, stop) that holds entry `index`. Raises DiskDisagreesError if no row does."""
        query = "SELECT start, stop FROM round WHERE start <= ? ORDER BY start DESC LIMIT 1"
        found = self._connection.execute(query, (index,)).fetchone()
        if found is None or index >= found[1]:
            raise DiskDisagreesError(f"the database knows no round with entry {index}")
        return int(found[0]), int(found[1])

    def issuers(self) -> list[int]:
        """Every issuer with an entry in this log. Row 0 is the log's own: what its landmarks said."""
        query = "SELECT issuer FROM issuer WHERE issuer > 0 ORDER BY issuer"
        return [row[0] for row in self._connection.execute(query)]

    def first_indexes(self, issuer: int, serials: Iterable[int]) -> dict[int, int]:
        """Serial → index of the first entry that names it."""
        found: dict[int, int] = {}
        for chunk in _chunks(list(serials)):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT serial, idx FROM serial WHERE issuer = ? AND serial IN ({marks})"  # noqa: S608 as above
            found.update(self._connection.execute(query, [issuer, *chunk]))
        return found

    def all_serials(self) -> Iterable[tuple[int, int, int]]:
        """Every (issuer, serial, state)."""
        return self._connection.execute("SELECT issuer, serial, state FROM serial ORDER BY issuer, serial")

    def all_rounds(self) -> Iterable[tuple[int, int]]:
        """Every round [start, stop), rising."""
        return self._connection.execute("SELECT start, stop FROM round ORDER BY start")

    def all_submissions(self) -> Iterable[int]:
        """The index of every idempotency key, rising."""
        return (row[0] for row in self._connection.execute("SELECT idx FROM submission ORDER BY idx"))

    def integrity_faults(self) -> list[str]:
        """SQLite's own check of the file; empty when sound."""
        try:
            found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if found == ["ok"] else found


def issuer_row_of(found: IssuerBook) -> IssuerRow:
    """The row of an issuer's part of the book."""
    return IssuerRow(
        next_act=found.next_act,
        next_serial=found.next_serial,
        last_index=found.last_index,
        status_index=found.status_index,
        status_time=found.status_time,
        status_sizes=found.status_sizes,
    )


def _chunks(items: list[_Item]) -> Iterable[list[_Item]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
