"""The log in memory, with faults at will; and one interface to logs in memory, directory, and database + object store.

`Memory` is what survives a process: objects, rows, who holds the lock. Every call of MemoryStore and MemoryState asks
its `hook` before and after it takes effect; a hook that raises is a crash, a lost answer or a fault at that point.
An object that was written once may never change: the fake fails the test.
"""

import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import cloudservers
from logworld import IDENTITY, LogWorld

from mingzheng.keys.kid import Kid
from mingzheng.log.fsck import FsckReport, check_storage, fsck
from mingzheng.log.hashing import Hash
from mingzheng.log.instance import HeadMemory
from mingzheng.log.refusal import (
    DiskDisagreesError,
    FencedError,
    LogExistsError,
    LogMissingError,
    RestoredBackupError,
    StorageError,
    WriterActiveError,
    WriterBrokenError,
)
from mingzheng.log.sequencer import LogIdentity
from mingzheng.log.state import (
    NOTHING_CARRIED,
    Carry,
    FrozenHead,
    HeadRow,
    IssuerRow,
    LogRow,
    RoundRows,
    Standing,
    StateRows,
)
from mingzheng.log.store import CHECKPOINT
from mingzheng.log.tile import Tile
from mingzheng.log.writer import Log

if TYPE_CHECKING:
    from mingzheng.log.cloud import CloudPlace

When = Literal["before", "after"]
Hook = Callable[[str, When], None]


@dataclass
class Rows:
    """The tables."""

    log: LogRow
    head: HeadRow | None
    epoch: int | None = 1
    copy: bool = False
    staged: dict[int, bytes] = field(default_factory=dict)
    submission: dict[bytes, int] = field(default_factory=dict)
    serial: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    round: dict[int, int] = field(default_factory=dict)
    retired: dict[tuple[int, Kid], int] = field(default_factory=dict)
    issuer: dict[int, IssuerRow] = field(default_factory=dict)
    shard: tuple[FrozenHead, ...] = ()
    carried: bytes = b""

    def clone(self) -> "Rows":
        """An independent copy: a backup, or what a transaction would leave."""
        tables = {name: dict(getattr(self, name)) for name in ("staged", "submission", "serial", "round")}
        return replace(self, **tables, retired=dict(self.retired), issuer=dict(self.issuer))


@dataclass
class Memory:
    """What survives every process."""

    objects: dict[str, bytes] = field(default_factory=dict)
    version: int = 0  # of the checkpoint: its ETag
    rows: Rows | None = None
    holder: object | None = None
    hook: Hook = lambda _name, _when: None
    written: dict[str, bytes] = field(default_factory=dict)  # every immutable object there ever was


class MemoryStore:
    """See Store."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._version: int | None = None

    def prepare(self) -> None:
        self.read_checkpoint()

    def close(self) -> None:
        """Nothing is held."""

    def read(self, tile: Tile) -> bytes:
        return self.fetch(tile.path())

    def fetch(self, path: str) -> bytes:
        if path not in self._memory.objects:
            raise DiskDisagreesError(f"{path} is missing")
        return self._memory.objects[path]

    def write(self, files: Iterable[tuple[Tile, bytes]]) -> None:
        for tile, data in files:
            path = tile.path()
            self._memory.hook("put", "before")
            there = self._memory.objects.setdefault(path, data)
            if there != data:
                raise DiskDisagreesError(f"{path} is there with other bytes; it may never change")
            assert self._memory.written.setdefault(path, data) == data, f"{path} changed"
            self._memory.hook("put", "after")

    def read_checkpoint(self) -> bytes | None:
        self._version = self._memory.version
        return self._memory.objects.get(CHECKPOINT)

    def publish_checkpoint(self, note: bytes) -> None:
        self._memory.hook("publish", "before")
        if self._version != self._memory.version:
            raise FencedError("another process has published a checkpoint of this log")
        self._memory.objects[CHECKPOINT] = note
        self._memory.version += 1
        self._version = self._memory.version
        self._memory.hook("publish", "after")

    def remove_partials(self, tile: Tile) -> None:
        for path in [path for path in self._memory.objects if path.startswith(f"{tile.path()}.p/")]:
            self._memory.hook("remove", "before")
            self._memory.objects.pop(path, None)
            self._memory.hook("remove", "after")

    def is_empty(self) -> bool:
        return not self._memory.objects

    def names(self) -> Iterator[str]:
        yield from sorted(self._memory.objects)


class MemoryState:
    """See State. `take_over`: as of PostgresState; the holder is not asked."""

    def __init__(self, memory: Memory, *, take_over: bool = False) -> None:
        self._memory, self._take_over = memory, take_over
        self._epoch: int | None = None
        self._open = False

    def open(self) -> None:
        if self._memory.holder is not None and not self._take_over:
            raise WriterActiveError("memory")
        self._memory.holder, self._open = self, True
        if self._memory.rows is not None:
            if self._memory.rows.epoch is None:
                raise LogMissingError("the signer row is gone from the database: refusing to sign beside another")
            self._memory.rows.epoch += 1
            self._epoch = self._memory.rows.epoch

    def close(self) -> None:
        self._open = False
        if self._memory.holder is self:
            self._memory.holder = None

    def _rows(self) -> Rows:
        if not self._open:
            raise WriterBrokenError("the state is not open")
        if self._memory.rows is None:
            raise LogMissingError("no log")
        return self._memory.rows

    @contextmanager
    def _writing(self, name: str) -> Iterator[Rows]:
        """A transaction: all of it or nothing."""
        self._memory.hook(name, "before")
        rows = self._rows()
        if rows.epoch != self._epoch:
            raise FencedError
        after = rows.clone() if name == "commit_round" else rows
        yield after
        self._memory.rows = after
        self._memory.hook(name, "after")

    def is_complete(self) -> bool:
        return self._memory.rows is not None

    def initialise(self, row: LogRow, root: Hash, carry: Carry) -> None:
        self._memory.hook("initialise", "before")
        head = HeadRow(size=0, root=root, last_time=carry.last_time, cleaned=0, note=None, signed_size=None)
        rows = Rows(log=row, head=head, shard=tuple(carry.heads), issuer=dict(carry.issuers))
        rows.serial = {(issuer, serial): (state, -1) for issuer, serial, state in carry.serials}
        rows.retired, rows.carried = dict(carry.retired), carry.blob
        self._memory.rows, self._epoch = rows, 1
        self._memory.hook("initialise", "after")

    def import_rows(self, source: StateRows) -> None:
        self._memory.hook("import_rows", "before")
        if self.is_complete() and self.log_row().standing is not Standing.IMPORTING:
            raise LogExistsError("there is a log")
        rows = Rows(
            log=replace(source.log_row(), standing=Standing.IMPORTING),
            head=source.head(),
            staged=dict(source.staged()),
            submission=dict(source.all_submissions()),
            serial={(issuer, serial): (state, index) for issuer, serial, state, index in source.all_serials()},
            round=dict(source.all_rounds()),
            retired=source.retired(),
            issuer={number: source.issuer_row(number) for number in (0, *source.issuers())},
            shard=source.frozen_heads(),
            carried=source.carried(),
        )
        self._memory.rows, self._epoch = rows, 1
        self._memory.hook("import_rows", "after")

    def doubt(self) -> StorageError | None:
        return RestoredBackupError("a copy") if self._rows().copy else None

    def vouch(self) -> None:
        with self._writing("vouch") as rows:
            rows.copy = False

    def log_row(self) -> LogRow:
        return self._rows().log

    def set_standing(self, standing: Standing) -> None:
        with self._writing("set_standing") as rows:
            rows.log = replace(rows.log, standing=standing)

    def frozen_heads(self) -> tuple[FrozenHead, ...]:
        return self._rows().shard

    def carried(self) -> bytes:
        return self._rows().carried

    def head(self) -> HeadRow:
        head = self._rows().head
        if head is None:
            raise LogMissingError("the head row is gone from the database: refusing to start from nothing")
        return head

    def staged(self) -> list[tuple[int, bytes]]:
        return sorted(self._rows().staged.items())

    def commit_round(self, rows: RoundRows) -> None:
        with self._writing("commit_round") as tables:
            self._move(rows, tables)

    @staticmethod
    def _move(rows: RoundRows, tables: Rows) -> None:
        head = tables.head
        if head is None or (head.size, head.root) != (rows.old.size, rows.old.root):
            raise DiskDisagreesError(f"the head row is no longer the one of size {rows.old.size}")
        tables.head = replace(head, size=rows.size, root=rows.root, last_time=rows.time)
        tables.staged.update(enumerate(rows.entries, rows.old.size))
        tables.round[rows.old.size] = rows.size
        for key, index in rows.keys:
            assert key not in tables.submission
            tables.submission[key] = index
        for place, (state, index) in rows.serials.items():
            tables.serial[place] = (state, tables.serial[place][1] if place in tables.serial else index)
        tables.issuer.update(rows.issuers)
        for place, index in rows.retired.items():
            tables.retired.setdefault(place, index)
        if rows.closes:
            tables.log = replace(tables.log, standing=Standing.FROZEN)

    def store_note(self, note: bytes, head: HeadRow) -> None:
        with self._writing("store_note") as rows:
            found = rows.head
            if found is None or (found.size, found.root) != (head.size, head.root):
                raise DiskDisagreesError(f"the head row is no longer the one of size {head.size}")
            rows.head = replace(found, note=note, signed_size=head.size)
            rows.staged = {index: entry for index, entry in rows.staged.items() if index >= head.size}

    def set_cleaned(self, size: int) -> None:
        with self._writing("set_cleaned") as rows:
            rows.head = replace(self.head(), cleaned=size)

    def set_time(self, time: int) -> None:
        with self._writing("set_time") as rows:
            rows.head = replace(self.head(), last_time=time)

    def indexes_of(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        return {key: self._rows().submission[key] for key in keys if key in self._rows().submission}

    def serials(self, issuer: int, serials: Iterable[int]) -> dict[int, int]:
        found = self._rows().serial
        return {serial: found[issuer, serial][0] for serial in serials if (issuer, serial) in found}

    def serials_in_state(self, issuer: int, state: int) -> list[int]:
        found = self._rows().serial.items()
        return sorted(serial for (number, serial), (is_, _i) in found if number == issuer and is_ == state and is_ > 1)

    def serial_index(self, issuer: int, serial: int) -> int | None:
        found = self._rows().serial.get((issuer, serial))
        return None if found is None else found[1]

    def issuer_row(self, issuer: int) -> IssuerRow:
        return self._rows().issuer.get(issuer, IssuerRow())

    def retired(self) -> dict[tuple[int, Kid], int]:
        return dict(self._rows().retired)

    def round_of(self, index: int) -> tuple[int, int]:
        for start, stop in self._rows().round.items():
            if start <= index < stop:
                return start, stop
        raise DiskDisagreesError(f"the database knows no round with entry {index}")

    def issuers(self) -> list[int]:
        return sorted(number for number in self._rows().issuer if number)

    def first_indexes(self, issuer: int, serials: Iterable[int]) -> dict[int, int]:
        found = self._rows().serial
        return {serial: found[issuer, serial][1] for serial in serials if (issuer, serial) in found}

    def all_serials(self) -> Iterable[tuple[int, int, int, int]]:
        return [(*place, *value) for place, value in sorted(self._rows().serial.items())]

    def all_rounds(self) -> Iterable[tuple[int, int]]:
        return sorted(self._rows().round.items())

    def all_submissions(self) -> Iterable[tuple[bytes, int]]:
        return sorted(self._rows().submission.items(), key=lambda item: (item[1], item[0]))

    def integrity_faults(self) -> list[str]:
        return []


@dataclass
class MemoryWorld(LogWorld):
    """A log in memory; the machine's memory of heads is on disk."""

    there: Memory = field(default_factory=Memory)

    def create(self, *, identity: LogIdentity = IDENTITY, carry: Carry = NOTHING_CARRIED) -> Log:
        log = self._make(identity, remember=True, take_over=False)
        log.begin(carry)
        return log

    def open(self, *, identity: LogIdentity = IDENTITY, remember: bool = True, take_over: bool = False) -> Log:
        log = self._make(identity, remember=remember, take_over=take_over)
        log.resume()
        return log

    def _make(self, identity: LogIdentity, *, remember: bool, take_over: bool) -> Log:
        memory = HeadMemory(self.memory, identity.vkey_text()) if remember else None
        state = MemoryState(self.there, take_over=take_over)
        log = Log(MemoryStore(self.there), state, identity, act_keys=self.keys, memory=memory)
        self.opened.append(log)
        return log

    def published(self) -> bytes | None:
        return self.there.objects.get(CHECKPOINT)

    def fsck(self) -> FsckReport:
        state = MemoryState(self.there, take_over=True)
        state._open = True
        return check_storage(MemoryStore(self.there), state, vkey=IDENTITY.vkey())


_NUMBERS = itertools.count()
_RUN = secrets.token_hex(4)


def new_place() -> "CloudPlace":
    """A schema and a prefix that nobody used, on the servers of this test run."""
    from mingzheng.log.cloud import CloudPlace
    from mingzheng.log.s3 import Bucket
    from mingzheng.log.sigv4 import Account

    endpoint = cloudservers.s3()
    assert cloudservers.make_bucket(endpoint, "logs")
    name = f"log_{_RUN}_{next(_NUMBERS)}"
    account = Account(
        access_key=cloudservers.ACCESS_KEY, secret_key=cloudservers.SECRET_KEY, region=cloudservers.REGION
    )
    bucket = Bucket(endpoint=endpoint, name="logs", account=account)
    return CloudPlace(database=cloudservers.postgres().conninfo, schema=name, bucket=bucket, prefix=f"{name}/")


@dataclass
class CloudWorld(LogWorld):
    """A log in PostgreSQL and an object store."""

    place: "CloudPlace" = field(default_factory=new_place)

    def create(self, *, identity: LogIdentity = IDENTITY, carry: Carry = NOTHING_CARRIED) -> Log:
        from mingzheng.log.cloud import CloudLog

        log = CloudLog.create(self.place, identity, act_keys=self.keys, memory_dir=self.memory, carry=carry)
        self.opened.append(log)
        return log

    def open(self, *, identity: LogIdentity = IDENTITY, remember: bool = True, take_over: bool = False) -> Log:
        from mingzheng.log.cloud import CloudLog

        memory = self.memory if remember else None
        log = CloudLog.open(self.place, identity, act_keys=self.keys, memory_dir=memory, take_over=take_over)
        self.opened.append(log)
        return log

    def published(self) -> bytes | None:
        store = self.place.store()
        try:
            return store.read_checkpoint()
        finally:
            store.close()

    def fsck(self) -> FsckReport:
        state, store = self.place.state(), self.place.store()
        state.open()
        try:
            return check_storage(store, state, vkey=IDENTITY.vkey())
        finally:
            state.close()
            store.close()


@dataclass
class DirectoryWorld(LogWorld):
    """A log in a directory."""

    def published(self) -> bytes | None:
        path = self.public / CHECKPOINT
        return path.read_bytes() if path.is_file() else None

    def fsck(self) -> FsckReport:
        return fsck(self.directory, vkey=IDENTITY.vkey())


World = MemoryWorld | CloudWorld | DirectoryWorld
