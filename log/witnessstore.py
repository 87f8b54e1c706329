"""What a witness must never forget: the newest head it cosigned of each log, in one SQLite file.

WAL with synchronous=FULL: COMMIT returns after the bytes are on disk. Reading the head, deciding and writing the new
one happen in one exclusive transaction, so no two requests can roll the witness back; the answer leaves `decide` only
after COMMIT. A directory restored from a backup would sign forks: the file `instance` tells a copy (`log.instance`),
and a copy signs nothing until `adopt` was told the newest head of every log.
"""

import contextlib
import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

from mingzheng.keys.cosignature import MAX_ORIGIN_BYTES
from mingzheng.keys.errors import KeysError
from mingzheng.keys.note import open_note
from mingzheng.keys.vkey import TYPE_ED25519, VerifierKey, format_vkey, parse_vkey
from mingzheng.log.checkpoint import parse_foreign_checkpoint
from mingzheng.log.durable import fsync_dir
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import Hash
from mingzheng.log.instance import Instance, make_instance, read_instance
from mingzheng.log.witness import Answer, Decision, Seen

DATABASE: Final = "witness.sqlite"
INSTANCE: Final = "instance"
SCHEMA: Final = 1
_TABLES: Final = """
CREATE TABLE witness (
    one INTEGER PRIMARY KEY CHECK (one = 1), schema INTEGER NOT NULL, name TEXT NOT NULL, vkeys TEXT NOT NULL,
    device INTEGER NOT NULL, inode INTEGER NOT NULL, changed INTEGER NOT NULL
);
CREATE TABLE log (origin TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, vkeys TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, time INTEGER NOT NULL, note BLOB NOT NULL
) WITHOUT ROWID;
"""


class WitnessMissingError(LogError):
    """The directory holds no witness of this program, or one that was damaged."""

    code: ClassVar[str] = "witness.missing"


class WitnessExistsError(LogError):
    """The directory holds a witness already: it is not made anew over what it has seen."""

    code: ClassVar[str] = "witness.exists"


class WitnessCopiedError(LogError):
    """The directory is a copy or was restored: it may have forgotten heads it signed, so it signs nothing."""

    code: ClassVar[str] = "witness.copied"


class WitnessLogError(LogError):
    """A log that cannot be witnessed: its name, its key, or another key under its name."""

    code: ClassVar[str] = "witness.bad_log"


class WitnessAnchorError(LogError):
    """A head shown to a restored witness that it did not cosign, or of a log it does not know, or a log left out."""

    code: ClassVar[str] = "witness.bad_anchor"


class WitnessStore:
    """One witness's memory. Every method is one transaction, durable on return; safe to call from several threads."""

    def __init__(self, directory: Path, *, allow_copy: bool = False) -> None:
        """Open the witness in `directory`. Raises WitnessMissingError, and WitnessCopiedError unless `allow_copy`."""
        if not (directory / DATABASE).is_file():
            raise WitnessMissingError(f"{directory.name}: there is no {DATABASE}")
        self._directory = directory
        self._lock = threading.Lock()
        self._connection = _connect(directory / DATABASE)
        try:
            self.name, self.vkeys = self._read_witness()
            if not allow_copy:
                self._check_instance()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, directory: Path, *, name: str, vkeys: Sequence[VerifierKey]) -> "WitnessStore":
        """Make an empty witness. Raises WitnessExistsError if there is one."""
        if (directory / DATABASE).exists():
            raise WitnessExistsError(f"{directory.name}: there is a {DATABASE}")
        found = make_instance(directory / INSTANCE)
        connection = _connect(directory / DATABASE)
        run = connection.execute
        run("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";")[:-1]:
            run(statement)
        row = (SCHEMA, name, json.dumps([format_vkey(vkey) for vkey in vkeys]))
        run("INSERT INTO witness VALUES (1, ?, ?, ?, ?, ?, ?)", (*row, *_numbers(found)))
        run("COMMIT")
        connection.close()
        fsync_dir(directory)
        return cls(directory)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def add_log(self, vkey: VerifierKey, *, origin: str) -> None:
        """Witness this log from now on; a further key of a known log is added to it.

        Raises WitnessLogError for a key that signs no checkpoints or a name that is no origin.
        """
        if vkey.sig_type != TYPE_ED25519:
            raise WitnessLogError("a log's key is an Ed25519 note key")
        if not 1 <= len(origin.encode()) <= MAX_ORIGIN_BYTES or "\n" in origin:
            raise WitnessLogError(f"an origin is one line of 1 to {MAX_ORIGIN_BYTES} bytes")
        if vkey.key in [own.key for own in self.vkeys]:
            raise WitnessLogError("the witness's own key is no log's")
        keys = dict.fromkeys([*(format_vkey(key) for key in self.log_vkeys(origin)), format_vkey(vkey)])
        with self._lock:
            self._connection.execute(
                "INSERT INTO log VALUES (?, ?, ?) ON CONFLICT (origin) DO UPDATE SET vkeys = excluded.vkeys",
                (origin, hashlib.sha256(origin.encode()).hexdigest(), json.dumps(list(keys))),
            )

    def logs(self) -> list[str]:
        """The origins that are witnessed."""
        with self._lock:
            return [row[0] for row in self._connection.execute("SELECT origin FROM log ORDER BY origin")]

    def log_vkeys(self, origin: str) -> tuple[VerifierKey, ...]:
        """The keys known of an origin; none if it is unknown."""
        with self._lock:
            found = self._connection.execute("SELECT vkeys FROM log WHERE origin = ?", (origin,)).fetchone()
        return () if found is None else tuple(parse_vkey(text) for text in json.loads(found[0]))

    def seen(self, origin: str) -> Seen | None:
        """The newest head cosigned of an origin."""
        with self._lock:
            return self._seen(origin)

    def seen_by_hash(self, origin_hash: str) -> Seen | None:
        """The same by the SHA-256 of the origin in lower-case hex."""
        with self._lock:
            query = "SELECT origin FROM log WHERE hash = ?"
            found = self._connection.execute(query, (origin_hash,)).fetchone()
            return None if found is None else self._seen(found[0])

    def update(self, origin: str, decide: Callable[[Seen | None], Decision]) -> Answer:
        """Decide on the newest head and persist the new one, as one step; the answer may go out when this returns."""
        with self._lock, self._transaction():
            before = self._seen(origin)
            decision = decide(before)
            if decision.state is not None:
                self._write(origin, before, decision.state)
        return decision.answer

    def adopt(self, notes: Sequence[bytes], *, as_remembered: Collection[str]) -> None:
        """Let a moved or restored directory sign again, after these heads: the newest it ever cosigned of every log.

        Older ones than it remembers change nothing. `as_remembered`: origins of which nothing newer was cosigned than
        what is here. Raises WitnessAnchorError for a note without its own signature or that of a known log, for two
        heads that contradict each other or what it remembers, and for a log of which nothing is said.
        """
        anchors = [self._anchor(note) for note in notes]
        self._check_anchors(anchors, as_remembered)
        found = make_instance(self._directory / INSTANCE)
        fsync_dir(self._directory)
        with self._lock, self._transaction():
            for origin, anchor in anchors:
                before = self._seen(origin)
                if before is None or (before.size, before.time) <= (anchor.size, anchor.time):
                    self._write(origin, before, anchor)
            query = "UPDATE witness SET device = ?, inode = ?, changed = ?"
            self._connection.execute(query, _numbers(found))

    def _check_anchors(self, anchors: Sequence[tuple[str, Seen]], as_remembered: Collection[str]) -> None:
        told = {origin for origin, _ in anchors}
        silent = [origin for origin in self.logs() if origin not in told and origin not in as_remembered]
        if silent:
            raise WitnessAnchorError(f"the newest head it cosigned of {silent[0]!r} is needed")
        roots: dict[tuple[str, int], Hash] = {}
        remembered = [(origin, self.seen(origin)) for origin in told]
        for origin, head in [*remembered, *anchors]:
            if head is not None and roots.setdefault((origin, head.size), head.root) != head.root:
                raise WitnessAnchorError(f"two roots of {origin!r} at size {head.size}: a fork was cosigned")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Exclusive; all or nothing, also where COMMIT fails or SQLite has rolled back of itself."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _anchor(self, note: bytes) -> tuple[str, Seen]:
        try:
            origin = open_note(note, self.vkeys).text.split("\n", 1)[0]
            opened = open_note(note, [*self.vkeys, *self.log_vkeys(origin)])
            head, _ = parse_foreign_checkpoint(opened.text)
        except (KeysError, LogError) as error:
            raise WitnessAnchorError(f"not a head that this witness cosigned: {error}") from error
        times = [good.timestamp for good in opened.verified if good.timestamp]
        if not times or all(good.vkey in self.vkeys for good in opened.verified):
            raise WitnessAnchorError("a head needs the signatures of its log and of this witness")
        return origin, Seen(size=head.size, root=head.root, time=max(times), note=note)

    def _seen(self, origin: str) -> Seen | None:
        query = "SELECT size, root, time, note FROM seen WHERE origin = ?"
        found = self._connection.execute(query, (origin,)).fetchone()
        return None if found is None else Seen(size=found[0], root=Hash(found[1]), time=found[2], note=found[3])

    def _write(self, origin: str, before: Seen | None, after: Seen) -> None:
        """The new head, against exactly the one decided on. The transaction is the caller's."""
        values = (after.size, after.root, after.time, after.note)
        if before is None:
            self._connection.execute("INSERT INTO seen VALUES (?, ?, ?, ?, ?)", (origin, *values))
            return
        query = "UPDATE seen SET size = ?, root = ?, time = ?, note = ? WHERE origin = ? AND size = ? AND root = ?"
        moved = self._connection.execute(query, (*values, origin, before.size, before.root))
        assert moved.rowcount == 1  # read in this very transaction

    def _read_witness(self) -> tuple[str, tuple[VerifierKey, ...]]:
        try:
            found = self._connection.execute("SELECT schema, name, vkeys FROM witness").fetchone()
        except sqlite3.DatabaseError as error:
            raise WitnessMissingError(f"{DATABASE} holds no witness: {error}") from error
        if found is None or found[0] != SCHEMA:
            raise WitnessMissingError(f"{DATABASE} holds no witness of schema {SCHEMA}")
        return found[1], tuple(parse_vkey(text) for text in json.loads(found[2]))

    def _check_instance(self) -> None:
        device, inode, changed = self._connection.execute("SELECT device, inode, changed FROM witness").fetchone()
        try:
            found = read_instance(self._directory / INSTANCE)
        except FileNotFoundError as error:
            raise WitnessCopiedError(f"the file {INSTANCE} is gone") from error
        if not found.is_same_file(Instance(device=device, inode=inode, changed_ns=changed)):
            raise WitnessCopiedError(f"{self._directory.name} is a copy of the directory this witness was made in")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise WitnessMissingError(f"{path.name} is no database") from error
    return connection


def _numbers(found: Instance) -> tuple[int, int, int]:
    return found.device, found.inode, found.changed_ns
