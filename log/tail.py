"""The growing end of a log: what must be known to append, and which files an append adds (C2SP tlog-tiles).

Pure. Memory: the right edge and the partial tiles and bundle at the end, whatever the size of the log.
`check_tail` recomputes from the stored bytes by another way than `grow` did: the second opinion before signing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from mingzheng.log.errors import MalformedError
from mingzheng.log.hashing import HASH_BYTES, Hash, leaf_hash
from mingzheng.log.merkle import EMPTY_EDGE, RightEdge, grow, read_edge, root_of, tree_root
from mingzheng.log.refusal import DiskDisagreesError
from mingzheng.log.tile import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    encode_bundle,
    new_tiles,
    node_from_tile,
    parse_bundle,
    parse_tile,
    tile_of_node,
)

TileReader = Callable[[Tile], bytes]
"""Gives a tile's or bundle's stored bytes; raises DiskDisagreesError if there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a log of `edge.size` entries. `partials[L]`: bytes of the partial tile of level L, may be empty."""

    edge: RightEdge
    partials: tuple[bytes, ...]
    bundle: tuple[bytes, ...]


EMPTY_TAIL = Tail(edge=EMPTY_EDGE, partials=(), bundle=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What appending does: the new end and the files to write, bundles first, each with its whole content."""

    tail: Tail
    files: tuple[tuple[Tile, bytes], ...]


def append(tail: Tail, entries: Sequence[bytes]) -> Append:
    """Plan the files that add `entries`. Raises BundleError if one exceeds 65,535 bytes."""
    growth = grow(tail.edge, [leaf_hash(entry) for entry in entries])
    files = list(_bundles(tail, entries))
    partials = list(tail.partials) + [b""] * (-(-len(growth.levels) // TILE_HEIGHT) - len(tail.partials))
    for part in new_tiles(growth):
        level = part.tile.level
        data = (partials[level] if part.offset else b"") + part.data
        files.append((part.tile, data))
        partials[level] = data if part.tile.width < TILE_WIDTH else b""
    rest = (growth.edge.size) % TILE_WIDTH
    bundle = (tail.bundle + tuple(entries))[-rest:] if rest else ()
    return Append(tail=Tail(edge=growth.edge, partials=tuple(partials), bundle=bundle), files=tuple(files))


def load_tail(size: int, read: TileReader) -> Tail:
    """The end of a stored log of `size` entries, unchecked: call `check_tail` too."""
    if size == 0:
        return EMPTY_TAIL
    partials = []
    level = 0
    while (count := size >> (TILE_HEIGHT * level)) > 0:
        width = count % TILE_WIDTH
        partials.append(read(Tile(level=level, index=count // TILE_WIDTH, width=width)) if width else b"")
        level += 1
    rest = size % TILE_WIDTH
    last = Tile(level=ENTRIES, index=size // TILE_WIDTH, width=rest)
    bundle = parse_bundle(read(last), width=rest) if rest else ()
    edge = read_edge(size, lambda level, index: stored_node(level, index, size, read))
    return Tail(edge=edge, partials=tuple(partials), bundle=bundle)


def check_tail(old: int, size: int, root: Hash, read: TileReader) -> None:
    """Recompute, from stored bytes, all that growth from `old` to `size` wrote, and the root.

    Every entry of the touched bundles against its leaf hash, every touched tile's root against the tile above,
    the root from the right edge. With old = size the last of each is looked at. Raises DiskDisagreesError naming
    the first fault.
    """
    try:
        _check_bundles(old, size, read)
        _check_levels(old, size, read)
        got = tree_root(size, lambda level, index: stored_node(level, index, size, read))
    except MalformedError as error:
        raise DiskDisagreesError(f"stored bytes are malformed: {error}") from error
    if got != root:
        raise DiskDisagreesError(f"the tiles of size {size} give root {got.hex()}, the database says {root.hex()}")


def _bundles(tail: Tail, entries: Sequence[bytes]) -> Iterator[tuple[Tile, bytes]]:
    pending = [*tail.bundle, *entries]
    first = tail.edge.size // TILE_WIDTH
    for start in range(0, len(pending), TILE_WIDTH):
        part = pending[start : start + TILE_WIDTH]
        yield Tile(level=ENTRIES, index=first + start // TILE_WIDTH, width=len(part)), encode_bundle(part)


def _check_bundles(old: int, size: int, read: TileReader) -> None:
    for index in range(min(old, max(size - 1, 0)) // TILE_WIDTH, -(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        bundle = Tile(level=ENTRIES, index=index, width=width)
        hashes = [sha256(b"\x00" + entry).digest() for entry in parse_bundle(read(bundle), width=width)]
        if b"".join(hashes) != read(Tile(level=0, index=index, width=width)):
            raise DiskDisagreesError(f"{bundle.path()} does not hash to the tile of level 0 beside it")


def _check_levels(old: int, size: int, read: TileReader) -> None:
    level = 1
    while (count := size >> (TILE_HEIGHT * level)) > 0:
        for index in range(min(old >> (TILE_HEIGHT * level), count - 1), count):
            below = Tile(level=level - 1, index=index, width=TILE_WIDTH)
            want = root_of(parse_tile(read(below), width=TILE_WIDTH))
            if stored_node(TILE_HEIGHT * level, index, size, read) != want:
                raise DiskDisagreesError(f"the root of {below.path()} does not stand in the tile above it")
        level += 1


def stored_node(level: int, index: int, size: int, read: TileReader) -> Hash:
    """The stored hash (level, index) of the tree of `size` leaves, from its tile's bytes (unauthenticated)."""
    tile, first, count = tile_of_node(level, index, size)
    data = read(tile)
    if len(data) != tile.width * HASH_BYTES or first + count > tile.width:
        return node_from_tile(data, tile=tile, first=first, count=count)  # says what is wrong
    nodes = [data[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(first, first + count)]
    while len(nodes) > 1:  # a power of two of them
        pairs = iter(nodes)
        nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return Hash(nodes[0])
