"""Check every stored byte of an embedded log: entries → hashes → tiles → root → signed heads → database rows.

Everything is computed again from the entry bundles; a difference is laid at the file whose hash does not stand in the
tile above. Nothing is written. Run it while nobody writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mingzheng.keys.errors import KeysError
from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.book import Book, IssuerBook, RootAt
from mingzheng.log.checkpoint import Checkpoint, open_checkpoint
from mingzheng.log.database import Database
from mingzheng.log.densestates import DenseStates
from mingzheng.log.entry import OWN_ENTRIES, ActEntry, IssueEntry, TimeEntry
from mingzheng.log.errors import EntryError, LogError, MalformedError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.hashing import HASH_BYTES, Hash, leaf_hash
from mingzheng.log.merkle import EMPTY_EDGE, grow, root_of
from mingzheng.log.recovery import root_at
from mingzheng.log.refusal import DiskDisagreesError
from mingzheng.log.shard import book_after, parse_carried
from mingzheng.log.state import HeadRow, StateRows, issuer_row_of
from mingzheng.log.store import CHECKPOINT, PosixStore, Store
from mingzheng.log.tile import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    bundles_of,
    parse_bundle,
    parse_path,
    parse_tile,
    tiles_of,
)
from mingzheng.log.writer import begins_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`path`: below the log's directory, or `log.sqlite` with the row in `detail`."""

    path: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """All faults, and how much was looked at."""

    faults: tuple[Fault, ...]
    size: int
    tiles: int
    bundles: int

    @property
    def clean(self) -> bool:
        """No fault."""
        return not self.faults


def fsck(directory: Path, *, vkey: VerifierKey) -> FsckReport:
    """Check the log in `directory`, whose checkpoints `vkey` signs (its name is the origin). Raises OSError."""
    path = directory / "log.sqlite"
    if not path.is_file():
        return FsckReport(faults=(Fault(path=path.name, detail="is missing"),), size=0, tiles=0, bundles=0)
    database = Database(path, read_only=True)
    try:
        return check_storage(PosixStore(directory / "public", directory / "temporary"), database, vkey=vkey)
    finally:
        database.close()


def check_storage(store: Store, rows: StateRows, *, vkey: VerifierKey) -> FsckReport:
    """The same for a log in any storage."""
    check = _Fsck(store, rows, vkey)
    faults = tuple(check.run())
    return FsckReport(faults=faults, size=check.size, tiles=check.tiles, bundles=check.bundles)


class _Fsck:
    def __init__(self, store: Store, database: StateRows, vkey: VerifierKey) -> None:
        self._store, self._database, self._vkey = store, database, vkey
        self.size = self.tiles = self.bundles = 0

    def run(self) -> Iterator[Fault]:
        database = self._database
        try:
            yield from (_row_fault(fault) for fault in database.integrity_faults())
            row, head = database.log_row(), database.head()
            if row.name != self._vkey.name:
                yield _row_fault(f"origin {row.name!r}, expected {self._vkey.name!r}")
            yield from self._check(database, head, row.origin)
        except LogError as error:
            yield _row_fault(str(error))

    def _check(self, database: StateRows, head: HeadRow, origin: int) -> Iterator[Fault]:
        staged = database.staged()
        signed = head.signed_size or 0
        self.size = signed if staged else head.size
        if staged or signed != head.size:
            yield _row_fault(f"a round up to {head.size} is not through: open the log once, then check again")
        root = head.root if self.size == head.size else None
        rows = _RowCheck(database, origin, self._vkey.name, self._root)
        yield from self._tree(rows, root)
        yield from rows.finish(self.size)
        yield from self._heads(head)
        yield from self._strays()

    def _root(self, size: int) -> Hash | None:
        try:
            return root_at(size, self.size, self._store)
        except (LogError, OSError):
            return None

    def _tree(self, rows: "_RowCheck", root: Hash | None) -> Iterator[Fault]:
        """Bundles against level 0, then every level against the one below; the root last."""
        edge = EMPTY_EDGE
        for bundle in bundles_of(self.size):
            self.bundles += 1
            self.tiles += 1
            tile = Tile(level=0, index=bundle.index, width=bundle.width)
            entries, fault = self._entries(bundle)
            stored = self._hashes(tile)
            computed = None if entries is None else tuple(leaf_hash(entry) for entry in entries)
            if stored is None:
                yield _fault(tile, "is missing or has a wrong length")
            if fault is not None:
                yield fault
            elif stored is not None and computed is not None and stored != computed:
                yield from self._blame(bundle, tile, stored, computed)
            edge = grow(edge, computed or stored or [Hash(bytes(HASH_BYTES))] * bundle.width).edge
            if entries is not None:
                yield from rows.take(bundle.index * TILE_WIDTH, entries)
        yield from self._upper_levels()
        if root is not None and edge.root() != root:
            yield _row_fault(f"head: the entries give root {edge.root().hex()}, the row says {root.hex()}")

    def _upper_levels(self) -> Iterator[Fault]:
        for tile in tiles_of(self.size):
            if tile.level == 0:
                continue
            self.tiles += 1
            stored = self._hashes(tile)
            if stored is None:
                yield _fault(tile, "is missing or has a wrong length")
                continue
            for number, have in enumerate(stored):
                below = Tile(level=tile.level - 1, index=tile.index * TILE_WIDTH + number, width=TILE_WIDTH)
                hashes = self._hashes(below)
                if hashes is not None and root_of(hashes) != have:
                    yield _fault(tile, f"hash {number} is not the root of {below.path()}")

    def _blame(self, bundle: Tile, tile: Tile, stored: tuple[Hash, ...], computed: tuple[Hash, ...]) -> Iterator[Fault]:
        above = Tile(level=1, index=tile.index // TILE_WIDTH, width=min(TILE_WIDTH, self._above(tile)))
        parents = self._hashes(above) if tile.width == TILE_WIDTH else None
        want = None if parents is None else parents[tile.index % TILE_WIDTH]
        if want is None or want != root_of(stored):
            yield _fault(tile, "its hashes are not those of the entries")
        if want is None or want != root_of(computed):
            yield _fault(bundle, "its entries do not hash to the tile of level 0")

    def _above(self, tile: Tile) -> int:
        return (self.size >> TILE_HEIGHT) - tile.index // TILE_WIDTH * TILE_WIDTH

    def _entries(self, bundle: Tile) -> tuple[tuple[bytes, ...] | None, Fault | None]:
        try:
            return parse_bundle(self._store.read(bundle), width=bundle.width), None
        except DiskDisagreesError:
            return None, _fault(bundle, "is missing")
        except MalformedError as error:
            return None, _fault(bundle, error.detail)

    def _hashes(self, tile: Tile) -> tuple[Hash, ...] | None:
        try:
            return parse_tile(self._store.read(tile), width=tile.width)
        except LogError:
            return None

    def _heads(self, head: HeadRow) -> Iterator[Fault]:
        """The stored and the published checkpoint: signed, equal, and of this tree."""
        published = self._store.read_checkpoint()
        if published != head.note:
            yield Fault(path=f"public/{CHECKPOINT}", detail="is not the checkpoint stored in the database")
        for where, note in ((f"public/{CHECKPOINT}", published), ("log.sqlite", head.note)):
            if note is not None:
                yield from self._head(where, note, head)

    def _head(self, where: str, note: bytes, head: HeadRow) -> Iterator[Fault]:
        try:
            found: Checkpoint = open_checkpoint(note, vkeys=[self._vkey], origin=self._vkey.name)
        except (KeysError, LogError) as error:
            yield Fault(path=where, detail=f"the checkpoint does not verify: {error}")
            return
        if found.size != head.signed_size or self._root(found.size) != found.root:
            yield Fault(path=where, detail=f"the checkpoint of size {found.size} is no head of these tiles")

    def _strays(self) -> Iterator[Fault]:
        """Older partial files must be prefixes of what replaced them; nothing else may lie about."""
        expected = {item.path() for item in tiles_of(self.size)} | {item.path() for item in bundles_of(self.size)}
        for name in self._store.names():
            if name != CHECKPOINT and name not in expected:
                yield from self._older(name)

    def _older(self, name: str) -> Iterator[Fault]:
        where = f"public/{name}"
        try:
            tile = parse_path(name)
        except MalformedError:
            yield Fault(path=where, detail="is no file of a log")
            return
        level = max(tile.level, 0)
        width = min(TILE_WIDTH, (self.size >> (TILE_HEIGHT * level)) - tile.index * TILE_WIDTH)
        if tile.width >= width:
            yield Fault(path=where, detail=f"lies beyond the size {self.size}")
            return
        try:
            full = self._store.read(Tile(level=tile.level, index=tile.index, width=width))
            data = self._store.fetch(name)
            whole = len(data) == tile.width * HASH_BYTES
            if tile.level == ENTRIES:
                whole = len(parse_bundle(data, width=tile.width)) == tile.width
        except LogError:
            full, data, whole = b"", b"", False
        if not whole or not full.startswith(data):
            yield Fault(path=where, detail="is no prefix of the tile that replaced it")


class _RowCheck:
    """Replay the entries and compare what they say with the database's rows."""

    def __init__(self, database: StateRows, origin: int, name: str, root: RootAt) -> None:
        self._database = database
        begins, carried = begins_of(database), database.carried()
        self._book = Book(origin=origin, origin_name=name, keys=None)
        if begins is not None:
            self._book = book_after(parse_carried(carried), begins, self._book)
        self._root = root
        self._rounds = [tuple(item) for item in database.all_rounds()]
        self._round = 0
        self._submitted = bytearray()  # 1 for every entry that a key must stand for

    def take(self, first: int, entries: tuple[bytes, ...]) -> Iterator[Fault]:
        """Rules, and the index that each serial's row gives."""
        named: dict[int, dict[int, int]] = {}
        for index, data in enumerate(entries, first):
            try:
                entry = read_entry(data)
            except EntryError as error:
                self._submitted.append(0)
                yield Fault(path=f"entry {index}", detail=str(error))
                continue
            self._submitted.append(not isinstance(entry, OWN_ENTRIES))
            if isinstance(entry, TimeEntry):
                yield from self._end_round(index)
            if isinstance(entry, IssueEntry | ActEntry):
                book = self._book.issuers.setdefault(entry.issuer, IssuerBook(states=DenseStates()))
                serials = (entry.serial,) if isinstance(entry, IssueEntry) else entry.serials
                for serial in serials:
                    if serial not in book.states:
                        named.setdefault(entry.issuer, {})[serial] = index
            for fault in self._book.apply(entry, index, self._root):
                yield Fault(path=f"entry {index}", detail=f"{fault.code}: {fault}")
        for issuer, wanted in named.items():
            found = self._database.first_indexes(issuer, wanted)
            for serial, index in wanted.items():
                if found.get(serial) != index:
                    yield _row_fault(f"serial {issuer}/{serial}: index {found.get(serial)}, the entry is at {index}")

    def finish(self, size: int) -> Iterator[Fault]:
        """States, counters, retired keys, rounds and idempotency rows against the replay."""
        seen = 0
        for issuer, serial, state, _index in self._database.all_serials():
            seen += 1
            book = self._book.issuers.get(issuer)
            want = None if book is None else book.states.get(serial)
            if want != state:
                yield _row_fault(f"serial {issuer}/{serial}: state {state}, the entries say {want}")
        known = sum(len(book.states) for book in self._book.issuers.values())
        if seen < known:
            yield _row_fault(f"serial: {seen} rows, the entries name {known}")
        for number in sorted({*self._book.issuers, *self._database.issuers()}):
            yield from self._counters(number)
        if self._database.retired() != self._book.retired:
            yield _row_fault("retired: not the keys that the entries retire")
        if self._round != len(self._rounds):
            yield _row_fault(f"round: {len(self._rounds)} rows, the entries have {self._round} rounds")
        yield from self._submissions(size)

    def _counters(self, number: int) -> Iterator[Fault]:
        book = self._book.issuer(number)
        row = self._database.issuer_row(number)
        want = issuer_row_of(book)
        if row != want:
            yield _row_fault(f"issuer {number}: {row}, the entries say {want}")

    def _end_round(self, index: int) -> Iterator[Fault]:
        stop = index + 1 + (index + 1) % 2
        start = self._rounds[self._round - 1][1] if 0 < self._round <= len(self._rounds) else 0
        if self._round >= len(self._rounds) or self._rounds[self._round] != (start, stop):
            yield _row_fault(f"round: none is [{start}, {stop})")
        self._round += 1

    def _submissions(self, size: int) -> Iterator[Fault]:
        """Exactly one idempotency key for every entry that somebody submitted."""
        for _key, index in self._database.all_submissions():
            if not 0 <= index < len(self._submitted) or not self._submitted[index]:
                yield _row_fault(f"submission: a key for index {index}, which no key may stand for")
            else:
                self._submitted[index] = 0
        missing = sum(self._submitted)
        if missing:
            yield _row_fault(f"submission: {missing} of {size} entries have no key")


def _fault(tile: Tile, detail: str) -> Fault:
    return Fault(path=f"public/{tile.path()}", detail=detail)


def _row_fault(detail: str) -> Fault:
    return Fault(path="log.sqlite", detail=detail)
