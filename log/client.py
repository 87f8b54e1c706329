"""Verified reading of any C2SP tlog-tiles log: nothing is returned that the signed root does not cover.

A tile is believed only after its own root was found in the tile above it, up to the right edge, which must fold
to the checkpoint's root: every hash of every tile used is covered, level 0 too (the reader in which some were not
is GO-2026-6179 / CVE-2026-56865). Extension lines of foreign checkpoints are read over.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Protocol

from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.checkpoint import Checkpoint, open_foreign_checkpoint
from mingzheng.log.errors import LogError, MalformedError
from mingzheng.log.hashing import HASH_BYTES, Hash, leaf_hash
from mingzheng.log.merkle import root_of, tree_root
from mingzheng.log.proof import ConsistencyProof, InclusionProof, build_consistency, build_inclusion
from mingzheng.log.tail import stored_node
from mingzheng.log.tile import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    parse_bundle,
    parse_path,
    parse_tile,
)

CHECKPOINT = "checkpoint"
MAX_CHECKPOINT_BYTES = 1 << 20
MAX_FILE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)
_CACHED_TILES = 1_024


class FetchError(LogError):
    """A file of the log cannot be had: `path` is below the log's prefix."""

    code: ClassVar[str] = "client.fetch_failed"

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path


class TileUntrueError(LogError):
    """A tile or bundle that the signed root does not cover: the log serves something it never signed."""

    code: ClassVar[str] = "client.tile_untrue"

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.path = path


class Fetcher(Protocol):
    """Where the public files come from."""

    def fetch(self, path: str) -> bytes:
        """The bytes at a path below the log's prefix; raises FetchError."""


class DirectoryFetcher:
    """A log in a directory. Only `checkpoint` and well-formed tile paths are ever opened."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, path: str) -> bytes:
        """See Fetcher. At most 16.8 MB are read; links out of the directory are the owner's business."""
        cap = MAX_CHECKPOINT_BYTES if path == CHECKPOINT else MAX_FILE_BYTES
        if path != CHECKPOINT:
            parse_path(path)
        try:
            data = read_regular(self._root / path, cap + 1)
        except FileNotFoundError as error:
            raise FetchError(path, "is missing") from error
        except OSError as error:
            raise FetchError(path, f"cannot be read ({error.strerror})") from error
        if len(data) > cap:
            raise FetchError(path, f"is larger than {cap} bytes")
        return data


def read_regular(path: Path, count: int) -> bytes:
    """At most `count` bytes of a regular file; a pipe or device in its place is refused, never waited for.

    Raises OSError.
    """
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # where the system has them
        flags |= getattr(os, name, 0)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(count)


class LogReader:
    """Reads one log under its checkpoint key. `refresh` (or the first use) takes the checkpoint in force."""

    def __init__(self, fetcher: Fetcher, vkey: VerifierKey, *, origin: str | None = None) -> None:
        """`origin`: None where it is the key's name, as in our own logs."""
        self._fetcher, self._vkey = fetcher, vkey
        self._origin = vkey.name if origin is None else origin
        self._checkpoint: Checkpoint | None = None
        self._note = b""
        self._tiles: dict[Tile, bytes] = {}
        self._edge_checked = False

    def refresh(self) -> Checkpoint:
        """Read and verify the published checkpoint; later reads are under it. Raises KeysError, LogError."""
        note = self._fetcher.fetch(CHECKPOINT)
        self.use(note)
        return self.checkpoint()

    def use(self, note: bytes) -> None:
        """Read under this checkpoint from now on, once its signature is verified."""
        self._checkpoint = open_foreign_checkpoint(note, vkeys=[self._vkey], origin=self._origin)
        self._note = note
        self._tiles.clear()
        self._edge_checked = False

    def checkpoint(self) -> Checkpoint:
        """The verified head that reads are under."""
        return self._checkpoint if self._checkpoint is not None else self.refresh()

    def note(self) -> bytes:
        """The signed note of `checkpoint`."""
        self.checkpoint()
        return self._note

    def node(self, level: int, index: int) -> Hash:
        """The stored hash (level, index), covered by the root. Raises FetchError, TileUntrueError."""
        return stored_node(level, index, self.checkpoint().size, self.tile)

    def root_at(self, size: int) -> Hash:
        """Root that the log had at `size` (not above the checkpoint's)."""
        head = self.checkpoint()
        return head.root if size == head.size else tree_root(size, self.node)

    def inclusion(self, index: int) -> InclusionProof:
        """Proof of entry `index` under the checkpoint, from verified tiles; raises ProofIndexError as well."""
        return build_inclusion(index, self.checkpoint().size, self.node)

    def consistency(self, old: int) -> ConsistencyProof:
        """Proof that the tree of size `old` is a prefix; raises ProofSizeError as well."""
        return build_consistency(old, self.checkpoint().size, self.node)

    def leaf(self, index: int) -> Hash:
        """Leaf hash of an entry."""
        return self.node(0, index)

    def entry(self, index: int) -> bytes:
        """One entry's bytes."""
        return next(self.entries(index, index + 1))[1]

    def entries(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Entries of [start, end) with their indexes, each checked against its verified leaf hash."""
        size = self.checkpoint().size
        end = min(end, size)
        for number in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
            first = number * TILE_WIDTH
            for index, entry in enumerate(self._bundle(number, size), first):
                if start <= index < end:
                    yield index, entry

    def bundles(self, start: int = 0) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        """Every entry from the bundle of entry `start` on, 256 at a time with the first one's index; as `entries`."""
        size = self.checkpoint().size
        for number in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
            yield number * TILE_WIDTH, self._bundle(number, size)

    def tile(self, tile: Tile) -> bytes:
        """A tile's bytes, every hash of it covered by the root. Raises FetchError, TileUntrueError."""
        if tile in self._tiles:
            return self._tiles[tile]
        if not self._edge_checked:
            self._check_edge()
            if tile in self._tiles:
                return self._tiles[tile]
        if tile.width != TILE_WIDTH:
            raise TileUntrueError(tile.path(), f"is no tile of the tree of size {self.checkpoint().size}")
        data = self._fetch_tile(tile)
        want = stored_node(TILE_HEIGHT * (tile.level + 1), tile.index, self.checkpoint().size, self.tile)
        if root_of(parse_tile(data, width=tile.width)) != want:
            raise TileUntrueError(tile.path(), "its hashes do not give the hash in the tile above")
        self._keep(tile, data)
        return data

    def _check_edge(self) -> None:
        """Fold the last tile of every level; together they must give the root. Only then are they believed."""
        head = self.checkpoint()
        edge = {tile: self._fetch_tile(tile) for tile in _edge_tiles(head.size)}
        carry: Hash | None = None
        for tile in sorted(edge, key=lambda item: item.level):
            hashes = list(parse_tile(edge[tile], width=tile.width))
            carry = _fold_tile(hashes, carry)
        if carry is not None and carry != head.root:
            raise TileUntrueError(CHECKPOINT, "the last tiles of all levels do not give the signed root")
        self._tiles.update(edge)
        self._edge_checked = True

    def _fetch_tile(self, tile: Tile) -> bytes:
        data = _fetch_or_fuller(self._fetcher, tile)[: tile.width * HASH_BYTES]
        if len(data) != tile.width * HASH_BYTES:
            raise TileUntrueError(tile.path(), f"has {len(data)} bytes, not {tile.width} hashes")
        return data

    def _bundle(self, number: int, size: int) -> tuple[bytes, ...]:
        width = min(TILE_WIDTH, size - number * TILE_WIDTH)
        bundle = Tile(level=ENTRIES, index=number, width=width)
        try:
            entries = _parse_bundle(_fetch_or_fuller(self._fetcher, bundle), width)
        except MalformedError as error:
            raise TileUntrueError(bundle.path(), str(error)) from error
        hashes = self.tile(Tile(level=0, index=number, width=width))
        if b"".join([leaf_hash(entry) for entry in entries]) != hashes:
            raise TileUntrueError(bundle.path(), "its entries do not hash to the verified leaves")
        return entries

    def _keep(self, tile: Tile, data: bytes) -> None:
        if len(self._tiles) >= _CACHED_TILES:
            edge = set(_edge_tiles(self.checkpoint().size))
            self._tiles = {known: held for known, held in self._tiles.items() if known in edge}
        self._tiles[tile] = data


def _edge_tiles(size: int) -> Iterator[Tile]:
    """The partial last tile of every level that has one."""
    level = 0
    while (count := size >> (TILE_HEIGHT * level)) > 0:
        if count % TILE_WIDTH:
            yield Tile(level=level, index=count // TILE_WIDTH, width=count % TILE_WIDTH)
        level += 1


def _fold_tile(hashes: list[Hash], carry: Hash | None) -> Hash:
    """Root over complete subtrees of one size and, behind them, the incomplete one that `carry` is the root of.

    RFC 9162 splits at the largest power of two below the number of leaves; counting the incomplete subtree as one
    item gives the same split.
    """
    return root_of(hashes if carry is None else [*hashes, carry])


def _fetch_or_fuller(fetcher: Fetcher, tile: Tile) -> bytes:
    """A partial tile may be gone once the full one is there (C2SP tlog-tiles): take that instead."""
    try:
        return fetcher.fetch(tile.path())
    except FetchError:
        if tile.width == TILE_WIDTH:
            raise
        return fetcher.fetch(Tile(level=tile.level, index=tile.index, width=TILE_WIDTH).path())


def _parse_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """The first `width` entries of a bundle, which may be a fuller one."""
    try:
        return parse_bundle(data, width=width)
    except MalformedError:
        return parse_bundle(data, width=TILE_WIDTH)[:width]


__all__ = ["DirectoryFetcher", "FetchError", "Fetcher", "LogReader", "TileUntrueError"]
