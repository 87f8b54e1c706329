"""C2SP tlog-tiles: coordinates and paths of tiles and entry bundles, and what growth adds to them.

A tile of level L and index N holds the hashes of tree level 8 * L from N * 256 on, at most 256 of them;
an entry bundle holds the entries of the level-0 tile of the same index, each after its big-endian uint16 length.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mingzheng.log.errors import BundleError, TileBytesError, TilePathError
from mingzheng.log.hashing import HASH_BYTES, Hash
from mingzheng.log.merkle import MAX_SIZE, Growth, root_of

TILE_HEIGHT = 8
TILE_WIDTH = 256
ENTRIES = -1
"""Level of entry bundles, spelled `entries` in paths."""

MAX_ENTRY_BYTES = 65_535
MAX_PATH_CHARS = 64

# Levels end at 7: a tile of level 8 would stand for more than 2**63 leaves.
_PATH = re.compile(r"tile/(entries|[0-7])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile or (level `ENTRIES`) one entry bundle; `width` 256 is a full one."""

    level: int
    index: int
    width: int

    def path(self) -> str:
        """The path below the log's prefix, as `tile/0/x001/x234/067.p/3`."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{partial}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePart:
    """New hashes of one tile: `data` goes behind the `offset` hashes it already held.

    `tile.width` counts old and new together; a full tile never changes again.
    """

    tile: Tile
    offset: int
    data: bytes


def parse_path(path: str) -> Tile:
    """Read a tile path; raises TilePathError for any but its one spelling."""
    match = _PATH.fullmatch(path) if len(path) <= MAX_PATH_CHARS else None
    if match is None:
        raise TilePathError("not a tile path", field="path")
    level, number, width = match.groups()
    tile = Tile(
        level=ENTRIES if level == "entries" else int(level),
        index=int(number.replace("x", "").replace("/", "")),
        width=TILE_WIDTH if width is None else int(width),
    )
    if tile.path() != path or tile.width > TILE_WIDTH or _first_leaf_after(tile) > MAX_SIZE:
        raise TilePathError("not the one spelling of a tile", field="path")
    return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of the tree of `size` leaves (no bundles), level by level, partial ones at their last width."""
    level = 0
    while (count := size >> (TILE_HEIGHT * level)) > 0:
        for index in range(count // TILE_WIDTH):
            yield Tile(level=level, index=index, width=TILE_WIDTH)
        if count % TILE_WIDTH:
            yield Tile(level=level, index=count // TILE_WIDTH, width=count % TILE_WIDTH)
        level += 1


def bundles_of(size: int) -> Iterator[Tile]:
    """Every entry bundle of the log of `size` entries."""
    return (Tile(level=ENTRIES, index=t.index, width=t.width) for t in tiles_of(size) if t.level == 0)


def bundle_of(index: int, size: int) -> Tile:
    """The entry bundle that holds entry `index` in the log of `size` entries."""
    number = index // TILE_WIDTH
    return Tile(level=ENTRIES, index=number, width=min(TILE_WIDTH, size - number * TILE_WIDTH))


def tile_of_node(level: int, index: int, size: int) -> tuple[Tile, int, int]:
    """Where the stored hash (level, index) comes from in the log of `size` leaves: tile, first hash, how many.

    One hash is the node itself; 2^n hashes are joined with `node_of_hashes`.
    """
    tile_level, height = divmod(level, TILE_HEIGHT)
    first = index << height
    number = first // TILE_WIDTH
    width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * tile_level)) - number * TILE_WIDTH)
    return Tile(level=tile_level, index=number, width=width), first % TILE_WIDTH, 1 << height


def node_from_tile(data: bytes, *, tile: Tile, first: int, count: int) -> Hash:
    """The node over `count` hashes of a tile's bytes; raises TileBytesError if they do not reach."""
    hashes = parse_tile(data, width=tile.width)
    if first + count > len(hashes):
        raise TileBytesError(f"hash {first + count} of a tile {len(hashes)} wide", field=tile.path())
    return root_of(hashes[first : first + count])


def parse_tile(data: bytes, *, width: int) -> tuple[Hash, ...]:
    """A tile's hashes; raises TileBytesError unless it has exactly `width` of them."""
    if not 1 <= width <= TILE_WIDTH or len(data) != width * HASH_BYTES:
        raise TileBytesError(f"{len(data)} bytes are not {width} hashes", field="tile")
    return tuple(Hash(data[at : at + HASH_BYTES]) for at in range(0, len(data), HASH_BYTES))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Join up to 256 entries; raises BundleError if there are more or one exceeds 65,535 bytes."""
    if len(entries) > TILE_WIDTH:
        raise BundleError(f"{len(entries)} entries, at most {TILE_WIDTH} fit", field="bundle")
    parts = []
    for number, entry in enumerate(entries):
        if len(entry) > MAX_ENTRY_BYTES:
            raise BundleError(f"{len(entry)} bytes, at most {MAX_ENTRY_BYTES} fit", field="entry", offset=number)
        parts += [len(entry).to_bytes(2), entry]
    return b"".join(parts)


def parse_bundle(data: bytes, *, width: int) -> tuple[bytes, ...]:
    """A bundle's entries; raises BundleError unless it holds exactly `width` (1 to 256) and nothing else."""
    if not 1 <= width <= TILE_WIDTH:
        raise BundleError(f"width {width} is not 1 to {TILE_WIDTH}", field="bundle")
    entries: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        after = at + 2 + int.from_bytes(data[at : at + 2])
        if after > end:
            raise BundleError("entry is cut short", field="bundle", offset=at)
        if len(entries) == width:
            raise BundleError(f"more than {width} entries", field="bundle", offset=at)
        entries.append(data[at + 2 : after])
        at = after
    if len(entries) != width:
        raise BundleError(f"{len(entries)} entries instead of {width}", field="bundle", offset=at)
    return tuple(entries)


def new_tiles(growth: Growth) -> Iterator[TilePart]:
    """Every tile that this growth starts or continues, with the hashes it adds (no entry bundles)."""
    for level in range(0, len(growth.levels), TILE_HEIGHT):
        data = growth.levels[level]
        first = growth.old.size >> level
        last = growth.edge.size >> level
        for index in range(first // TILE_WIDTH, -(-last // TILE_WIDTH)):
            start = max(first, index * TILE_WIDTH)
            end = min(last, (index + 1) * TILE_WIDTH)
            yield TilePart(
                tile=Tile(level=level // TILE_HEIGHT, index=index, width=end - index * TILE_WIDTH),
                offset=start - index * TILE_WIDTH,
                data=data[(start - first) * HASH_BYTES : (end - first) * HASH_BYTES],
            )


def _first_leaf_after(tile: Tile) -> int:
    level = max(tile.level, 0)
    return (tile.index * TILE_WIDTH + tile.width) << (TILE_HEIGHT * level)
