"""The log's SQLite file: the row that says what may be signed, the durable queue, idempotency, serial states.

WAL with synchronous=FULL: COMMIT returns after the bytes are on disk. The row `head` is the compare-and-swap
cell: (size, root) moves only by an UPDATE that names the old pair. Everything else can be derived again from
the entries. Schema changes raise SCHEMA and refuse other versions (docs/adr/0010-storage-commit-order.md).
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mingzheng.keys.kid import Kid
from mingzheng.log.hashing import Hash
from mingzheng.log.instance import Instance
from mingzheng.log.noticebody import FIRST_NUMBER
from mingzheng.log.refusal import DiskDisagreesError, LogMissingError, StateUnavailableError
from mingzheng.log.state import Carry, FrozenHead, HeadRow, IssuerRow, LogRow, RoundRows, Standing

SCHEMA = 4
_UPGRADED = (2, 3)  # before: without shards and standing; without notice numbers
_CHUNK = 500  # parameters per statement; SQLite allows 999 everywhere
_Item = TypeVar("_Item")

_TABLES = """
CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1), schema INTEGER NOT NULL,
    origin INTEGER NOT NULL, name TEXT NOT NULL, height INTEGER NOT NULL, vkey TEXT NOT NULL, receipt BLOB NOT NULL,
    device INTEGER NOT NULL, inode INTEGER NOT NULL, changed INTEGER NOT NULL, standing TEXT NOT NULL DEFAULT 'open'
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
    last_index INTEGER NOT NULL, status_index INTEGER, status_time INTEGER, status_sizes TEXT NOT NULL,
    next_notice INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE shard (origin INTEGER PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL);
CREATE TABLE carried (one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL);
"""
_UPGRADE_FROM_2 = (
    "ALTER TABLE log ADD COLUMN standing TEXT NOT NULL DEFAULT 'open'",
    "CREATE TABLE shard (origin INTEGER PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL)",
    "CREATE TABLE carried (one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL)",
)
_UPGRADE = ("ALTER TABLE issuer ADD COLUMN next_notice INTEGER NOT NULL DEFAULT 1", "UPDATE log SET schema = 4")


class _Rows:
    """What a statement gives; reading on may fail as the statement itself."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self.rowcount = cursor.rowcount

    def fetchone(self) -> Any:
        return next(self, None)

    def fetchall(self) -> list[Any]:
        return list(self)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._cursor)
        except sqlite3.Error as error:
            raise _failed(error) from error


class _Connection:
    """SQLite's errors (a full or failing disk, a damaged file) as StateUnavailableError."""

    def __init__(self, target: Path | str, *, uri: bool = False) -> None:
        try:
            self._raw = sqlite3.connect(target, uri=uri, isolation_level=None, timeout=10.0)
        except sqlite3.Error as error:
            raise _failed(error) from error

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> _Rows:
        try:
            return _Rows(self._raw.execute(sql, parameters))
        except sqlite3.Error as error:
            raise _failed(error) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        try:
            self._raw.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _failed(error) from error

    def rollback(self) -> None:
        """End the transaction if SQLite did not already end it by itself, as it does when the disk is full."""
        if self._raw.in_transaction:
            self.execute("ROLLBACK")

    def copy_to(self, target: Path) -> None:
        copy = sqlite3.connect(target, isolation_level=None)
        try:
            self._raw.backup(copy)
        except sqlite3.Error as error:
            raise _failed(error) from error
        finally:
            copy.close()

    def close(self) -> None:
        self._raw.close()


def _failed(error: sqlite3.Error) -> StateUnavailableError:
    return StateUnavailableError(
        f"the database of the log cannot be read or written ({error}): free space on the disk, or let it be written "
        "to, then run the same command again"
    )


def _names_nothing(error: StateUnavailableError) -> bool:
    """Whether a table or column is not there, as opposed to a disk that fails."""
    return isinstance(error.__cause__, sqlite3.OperationalError) and str(error.__cause__).startswith("no such ")


class Database:
    """One connection. Every method is one transaction, durable on return; all raise StateUnavailableError."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only:
            self._connection = _Connection(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            return
        self._connection = _Connection(path)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA wal_autocheckpoint=4000")
        self._upgrade()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def hold(self) -> None:
        """From here on see one moment, whatever others write, until `let_go`: for copies."""
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def let_go(self) -> None:
        """End what `hold` began; without it nothing."""
        self._connection.rollback()

    def copy_to(self, target: Path) -> None:
        """SQLite's online backup of what this connection sees, into a new file."""
        self._connection.copy_to(target)

    def _upgrade(self) -> None:
        """Bring a database of a schema before to this one."""
        run = self._connection.execute
        if not run("SELECT 1 FROM sqlite_master WHERE name = 'log'").fetchone():
            return
        found = run("SELECT schema FROM log").fetchone()
        if found is not None and found[0] in _UPGRADED:
            run("BEGIN IMMEDIATE")
            for statement in (*(_UPGRADE_FROM_2 if found[0] == 2 else ()), *_UPGRADE):
                run(statement)
            run("COMMIT")

    def initialise(self, row: LogRow, root: Hash, carry: Carry, instance: Instance) -> None:
        """Make the tables, what is carried over and the head row of the empty tree, all in one transaction."""
        run, many = self._connection.execute, self._connection.executemany
        run("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";")[:-1]:
            run(statement)
        run(
            "INSERT INTO log VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(SCHEMA, row.origin, row.name, row.height, row.vkey, row.receipt_kid),
                *(instance.device, instance.inode, instance.changed_ns, row.standing),
            ),
        )
        run("INSERT INTO head VALUES (1, 0, ?, ?, 0, NULL, NULL)", (root, carry.last_time))
        if carry.heads:
            run("INSERT INTO carried VALUES (1, ?)", (carry.blob,))
            many("INSERT INTO shard VALUES (?, ?, ?, ?)", [(x.origin, x.name, x.size, x.root) for x in carry.heads])
            many("INSERT INTO issuer VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_issuer_values, carry.issuers.items()))
            many("INSERT INTO serial VALUES (?, ?, ?, -1)", carry.serials)
            many("INSERT INTO retired VALUES (?, ?, ?)", [(*key, index) for key, index in carry.retired.items()])
        run("COMMIT")

    def is_complete(self) -> bool:
        """Whether tables and row are there."""
        try:
            self.log_row()
        except LogMissingError:
            return False
        return True

    def log_row(self) -> LogRow:
        """What log this is. Raises LogMissingError if the tables or the row are not there."""
        query = "SELECT schema, origin, name, height, vkey, receipt FROM log"
        try:
            found = self._connection.execute(query).fetchone()
        except StateUnavailableError as error:
            if not _names_nothing(error):
                raise
            raise LogMissingError("the database holds no log: creation was cut short, or it was replaced") from error
        if found is None or found[0] not in (SCHEMA, *_UPGRADED):
            raise LogMissingError(f"the database holds no log of schema {SCHEMA}")
        standing = "open"
        if found[0] > 2:
            (standing,) = self._connection.execute("SELECT standing FROM log").fetchone()
        return LogRow(
            origin=found[1],
            name=found[2],
            height=found[3],
            vkey=found[4],
            receipt_kid=found[5],
            standing=Standing(standing),
        )

    def instance(self) -> Instance:
        """The file `instance` as it looked when the log was made."""
        device, inode, changed = self._connection.execute("SELECT device, inode, changed FROM log").fetchone()
        return Instance(device=device, inode=inode, changed_ns=changed)

    def set_standing(self, standing: Standing) -> None:
        """Change whether rounds may be appended."""
        self._connection.execute("UPDATE log SET standing = ?", (standing,))

    def frozen_heads(self) -> tuple[FrozenHead, ...]:
        """The earlier shards, by rising origin number."""
        try:
            found = self._connection.execute("SELECT origin, name, size, root FROM shard ORDER BY origin").fetchall()
        except StateUnavailableError as error:
            if not _names_nothing(error):
                raise
            return ()  # the schema before, opened for reading
        return tuple(FrozenHead(origin=row[0], name=row[1], size=row[2], root=Hash(row[3])) for row in found)

    def carried(self) -> bytes:
        """The encoded carried state that the log began with; empty for one that goes on from none."""
        if not self.frozen_heads():
            return b""
        found = self._connection.execute("SELECT data FROM carried").fetchone()
        if found is None:
            raise DiskDisagreesError("the carried state is gone from the database")
        return bytes(found[0])

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
            issuers = map(_issuer_values, rows.issuers.items())
            many("INSERT OR REPLACE INTO issuer VALUES (?, ?, ?, ?, ?, ?, ?, ?)", issuers)
            retired = [(issuer, kid, index) for (issuer, kid), index in rows.retired.items()]
            many("INSERT OR IGNORE INTO retired VALUES (?, ?, ?)", retired)
            if rows.closes:
                run("UPDATE log SET standing = ?", (Standing.FROZEN,))
        except BaseException:
            self._connection.rollback()
            raise
        run("COMMIT")

    def store_note(self, note: bytes, head: HeadRow) -> None:
        """Keep the signed checkpoint of `head`; the staged entries are in durable, re-read tiles by now: drop them."""
        run, size = self._connection.execute, head.size
        run("BEGIN IMMEDIATE")
        try:
            moved = run(
                "UPDATE head SET note = ?, signed_size = ? WHERE size = ? AND root = ?", (note, size, size, head.root)
            )
            if moved.rowcount != 1:
                raise DiskDisagreesError(f"the head row is no longer the one of size {size}")
            run("DELETE FROM staged WHERE idx < ?", (size,))
        except BaseException:
            self._connection.rollback()
            raise
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
        found = self._connection.execute("SELECT * FROM issuer WHERE issuer = ?", (issuer,)).fetchone()
        if found is None:
            return IssuerRow()
        _issuer, act, serial, last, index, time, sizes, *notice = found
        return IssuerRow(
            next_act=act,
            next_notice=notice[0] if notice else FIRST_NUMBER,  # a schema before, opened for reading, has none
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

    def all_serials(self) -> Iterable[tuple[int, int, int, int]]:
        """Every (issuer, serial, state, index)."""
        return self._connection.execute("SELECT issuer, serial, state, idx FROM serial ORDER BY issuer, serial")

    def all_rounds(self) -> Iterable[tuple[int, int]]:
        """Every round [start, stop), rising."""
        return self._connection.execute("SELECT start, stop FROM round ORDER BY start")

    def all_submissions(self) -> Iterable[tuple[bytes, int]]:
        """Every idempotency key with its index, by index, then key."""
        return self._connection.execute("SELECT key, idx FROM submission ORDER BY idx, key")

    def integrity_faults(self) -> list[str]:
        """SQLite's own check of the file; empty when sound."""
        try:
            found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check")]
        except StateUnavailableError as error:
            return [str(error)]
        return [] if found == ["ok"] else found


def _issuer_values(item: tuple[int, IssuerRow]) -> tuple[object, ...]:
    number, row = item
    sizes = json.dumps(sorted(row.status_sizes.items()))
    status = (row.status_index, row.status_time, sizes)
    return (number, row.next_act, row.next_serial, row.last_index, *status, row.next_notice)


def _chunks(items: list[_Item]) -> Iterable[list[_Item]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
