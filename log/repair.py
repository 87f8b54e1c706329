"""Make a damaged log whole from a mirror, byte for byte, under the log's own signed head (docs/audit.md).

Every tile has at most two candidates, what is stored and what the mirror gives; the one that folds to the hash above
it (the last ones of all levels together: to the signed root) is right, and no other bytes are ever written. The head
itself is never taken from the mirror.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from mingzheng.keys.errors import KeysError
from mingzheng.log.checkpoint import Checkpoint, open_foreign_checkpoint
from mingzheng.log.client import Fetcher, FetchError, LogReader, read_regular
from mingzheng.log.collected import OriginKeys, compare_heads
from mingzheng.log.durable import fsync_dir, make_dirs, write_file
from mingzheng.log.durable import replace as rename
from mingzheng.log.errors import LogError, MalformedError
from mingzheng.log.hashing import HASH_BYTES, Hash, leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.tile import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    Tile,
    encode_bundle,
    parse_bundle,
    parse_path,
    parse_tile,
)

CHECKPOINT = "checkpoint"
_MAX_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)


class LogBehindError(LogError):
    """The mirror has a later head of this log: acknowledged entries are missing here, which no repair brings back."""

    code: ClassVar[str] = "repair.log_behind"


class RepairForkError(LogError):
    """The mirror's head and the log's contradict each other: audit both before anything is written."""

    code: ClassVar[str] = "repair.fork"


class NoHeadError(LogError):
    """There is no head that the log's key signed: nothing says what the files should be."""

    code: ClassVar[str] = "repair.no_head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Paths that were replaced, and those that nobody has the right bytes of."""

    head: Checkpoint
    looked_at: int
    repaired: tuple[str, ...]
    lost: tuple[str, ...]


def repair(directory: Path, source: Fetcher, keys: OriginKeys, *, note: bytes | None) -> Repair:
    """Repair the public files in `directory`. `note`: the head as the log's database has it, None to take `checkpoint`.

    Raises NoHeadError, LogBehindError, RepairForkError, and for the mirror's head KeysError, LogError; OSError.
    """
    return _Repair(directory, source, keys, note).run()


class _Repair:
    def __init__(self, directory: Path, source: Fetcher, keys: OriginKeys, note: bytes | None) -> None:
        self._directory, self._source, self._keys = directory, source, keys
        self._note = self._own_note(note)
        self._head = self._open(self._note)
        self._theirs = 0
        self._good: dict[Tile, bytes] = {}
        self._repaired: list[str] = []
        self._lost: list[str] = []
        self._looked_at = 0

    def run(self) -> Repair:
        self._compare()
        self._edge()
        size = self._head.size
        for level in range(7, -1, -1):
            for index in range((size >> (8 * level)) // TILE_WIDTH):
                self._full(Tile(level=level, index=index, width=TILE_WIDTH))
        for number in range(-(-size // TILE_WIDTH)):
            self._bundle(Tile(level=ENTRIES, index=number, width=min(TILE_WIDTH, size - number * TILE_WIDTH)))
        self._older_partials()
        if self._stored(CHECKPOINT) != self._note and not self._is_ours(self._stored(CHECKPOINT)):
            self._write(CHECKPOINT, self._note)
        return Repair(
            head=self._head, looked_at=self._looked_at, repaired=tuple(self._repaired), lost=tuple(self._lost)
        )

    def _own_note(self, note: bytes | None) -> bytes:
        found = self._stored(CHECKPOINT) if note is None else note
        if found is None:
            raise NoHeadError("no checkpoint is stored: give one that the log signed")
        return found

    def _open(self, note: bytes) -> Checkpoint:
        try:
            return open_foreign_checkpoint(note, vkeys=[self._keys.vkey], origin=self._keys.name)
        except (KeysError, LogError) as error:
            raise NoHeadError(f"the stored head does not verify: {error}") from error

    def _is_ours(self, note: bytes | None) -> bool:
        """Whether the published head is the same one, perhaps with more cosignatures."""
        try:
            return note is not None and self._open(note) == self._head
        except NoHeadError:
            return False

    def _compare(self) -> None:
        """Whether the mirror may be believed to hold this log: its head is ours or an older one."""
        reader = LogReader(self._source, self._keys.vkey, origin=self._keys.name)
        theirs = reader.refresh()
        self._theirs = theirs.size
        if theirs.size < self._head.size:
            return  # whether it is older or other shows in every hash that does not fit
        found = compare_heads(reader, self._note, self._head, "mirror")
        if found is not None:
            raise RepairForkError(found.alarm.detail)
        if theirs.size > self._head.size:
            raise LogBehindError(f"the log has {self._head.size} entries, the mirror {theirs.size}")

    def _edge(self) -> None:
        """The last tile of every level, right if together they give the root: some hundred ways to choose at most."""
        levels = [level for level in range(8) if (self._head.size >> (8 * level)) % TILE_WIDTH]
        tiles = [Tile(level=n, index=c // TILE_WIDTH, width=c % TILE_WIDTH) for n, c in self._counts(levels)]
        stored = [self._candidates(tile) for tile in tiles]
        for choices in (stored, [[*have, *self._computed(tile)] for have, tile in zip(stored, tiles, strict=True)]):
            for chosen in itertools.product(*choices):
                if tiles and _fold(chosen) == self._head.root:
                    for tile, data in zip(tiles, chosen, strict=True):
                        self._settle(tile, data)
                    return
        self._lost += [tile.path() for tile in tiles]

    def _computed(self, tile: Tile) -> list[bytes]:
        """What the files below it, as they are stored, give for a tile."""
        if tile.level == 0:
            bundle = self._stored(Tile(level=ENTRIES, index=tile.index, width=tile.width).path())
            below = [] if bundle is None or not _fits(bundle, replace(tile, level=ENTRIES)) else [bundle]
            return [b"".join(map(leaf_hash, parse_bundle(data, width=tile.width))) for data in below]
        hashes: list[Hash] = []
        for number in range(tile.index * TILE_WIDTH, tile.index * TILE_WIDTH + tile.width):
            child = Tile(level=tile.level - 1, index=number, width=TILE_WIDTH)
            data = self._stored(child.path())
            if data is None or not _fits(data, child):
                return []
            hashes.append(root_of(parse_tile(data, width=TILE_WIDTH)))
        return [b"".join(hashes)]

    def _counts(self, levels: Sequence[int]) -> Iterator[tuple[int, int]]:
        yield from ((level, self._head.size >> (8 * level)) for level in levels)

    def _full(self, tile: Tile) -> None:
        want = self._hash_above(tile)
        for data in self._candidates(tile):
            if root_of(parse_tile(data, width=TILE_WIDTH)) == want:
                self._settle(tile, data)
                return
        self._lost.append(tile.path())

    def _hash_above(self, tile: Tile) -> bytes | None:
        """The tile's own root as the good tile above it states it; a full tile always has one above."""
        count = self._head.size >> (8 * (tile.level + 1))
        index, at = divmod(tile.index, TILE_WIDTH)
        parent = Tile(level=tile.level + 1, index=index, width=min(TILE_WIDTH, count - index * TILE_WIDTH))
        data = self._good.get(parent)
        return None if data is None else data[at * HASH_BYTES : (at + 1) * HASH_BYTES]

    def _bundle(self, bundle: Tile) -> None:
        want = self._good.get(Tile(level=0, index=bundle.index, width=bundle.width))
        for data in self._candidates(bundle):
            entries = parse_bundle(data, width=bundle.width)
            if want is not None and b"".join([leaf_hash(entry) for entry in entries]) == want:
                self._settle(bundle, data, keep=False)
                return
        self._lost.append(bundle.path())

    def _candidates(self, tile: Tile) -> list[bytes]:
        """What is stored and what the mirror has, where they have the right form."""
        self._looked_at += 1
        found: list[bytes] = []
        for data in (self._stored(tile.path()), self._fetched(tile)):
            if data is not None and data not in found and _fits(data, tile):
                found.append(data)
        return found

    def _stored(self, path: str) -> bytes | None:
        try:
            return read_regular(self._directory / path, _MAX_BYTES + 1)
        except OSError:
            return None

    def _fetched(self, tile: Tile) -> bytes | None:
        """The mirror's, cut down from a fuller one where it has grown on. None: it has none."""
        have = (self._theirs >> (8 * max(tile.level, 0))) - tile.index * TILE_WIDTH
        for width in dict.fromkeys((tile.width, min(have, TILE_WIDTH), TILE_WIDTH)):
            if width < tile.width:
                continue
            try:
                data = self._source.fetch(Tile(level=tile.level, index=tile.index, width=width).path())
                return _cut(data, tile, width)
            except (FetchError, MalformedError):
                continue
        return None

    def _settle(self, tile: Tile, data: bytes, *, keep: bool = True) -> None:
        if keep:
            self._good[tile] = data
        if self._stored(tile.path()) != data:
            self._write(tile.path(), data)

    def _older_partials(self) -> None:
        """A partial file that lingers must be the first part of what replaced it."""
        root = self._directory / "tile"
        for path in sorted(root.rglob("*.p/*")) if root.is_dir() else ():
            name = path.relative_to(self._directory).as_posix()
            try:
                tile = parse_path(name)
            except MalformedError:
                continue  # no file of a log: `fsck` names it
            have = (self._head.size >> (8 * max(tile.level, 0))) - tile.index * TILE_WIDTH
            if tile.width < min(have, TILE_WIDTH):
                full = Tile(level=tile.level, index=tile.index, width=min(have, TILE_WIDTH))
                data = self._stored(full.path()) if full.path() not in self._lost else None
                if data is not None and self._stored(name) != (part := _cut(data, tile, full.width)):
                    self._write(name, part)

    def _write(self, path: str, data: bytes) -> None:
        """Through a file beside it, so that a killed repair leaves the old or the new."""
        target = self._directory / path
        make_dirs(target.parent)
        temporary = target.with_name(target.name + ".repair")
        write_file(temporary, data)
        rename(temporary, target)
        fsync_dir(target.parent)
        self._repaired.append(path)


def _fits(data: bytes, tile: Tile) -> bool:
    try:
        return bool(
            parse_bundle(data, width=tile.width) if tile.level == ENTRIES else parse_tile(data, width=tile.width)
        )
    except MalformedError:
        return False


def _cut(data: bytes, tile: Tile, width: int) -> bytes:
    if tile.level == ENTRIES:
        return encode_bundle(parse_bundle(data, width=width)[: tile.width])
    parse_tile(data, width=width)
    return data[: tile.width * HASH_BYTES]


def _fold(tiles: Sequence[bytes]) -> Hash:
    """The root from the last tiles, lowest level first."""
    carry: Hash | None = None
    for data in tiles:
        hashes = [Hash(data[at : at + HASH_BYTES]) for at in range(0, len(data), HASH_BYTES)]
        carry = root_of(hashes if carry is None else [*hashes, carry])
    assert carry is not None  # called with at least one
    return carry
