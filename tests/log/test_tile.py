"""Tiles and bundles: two real logs recomputed, every path, every growth, hostile bytes."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.checkpoint import open_foreign_checkpoint
from mingzheng.log.errors import BundleError, TileBytesError, TilePathError
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import EMPTY_EDGE, grow, root_of, tree_root
from mingzheng.log.proof import (
    build_consistency,
    build_inclusion,
    verify_consistency,
    verify_inclusion,
)
from mingzheng.log.tile import (
    ENTRIES,
    TILE_WIDTH,
    Tile,
    bundle_of,
    bundles_of,
    encode_bundle,
    new_tiles,
    node_from_tile,
    parse_bundle,
    parse_path,
    parse_tile,
    tile_of_node,
    tiles_of,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "log"
TESSERA = VECTORS / "tessera_log15"
SYNTHETIC = VECTORS / "synthetic_log600"


# --- logs of others, read and recomputed


def head_of(log: Path, name: str) -> tuple[int, Hash]:
    vkey = parse_vkey((log / "log.vkey").read_text().strip())
    head = open_foreign_checkpoint((log / name).read_bytes(), vkeys=[vkey], origin=vkey.name)
    return head.size, head.root


def leaves_of(log: Path, size: int) -> list[Hash]:
    entries = []
    for tile in bundles_of(size):
        entries += parse_bundle((log / tile.path()).read_bytes(), width=tile.width)
    return [leaf_hash(entry) for entry in entries]


def tile_bytes(log: Path, tile: Tile) -> bytes:
    """A tile as it was at that width; the partial tile of an old head may be gone and a wider one stand there."""
    wider = [replace(tile, width=width).path() for width in range(tile.width, TILE_WIDTH + 1)]
    found = next(log / path for path in wider if (log / path).is_file())
    return found.read_bytes()[: tile.width * 32]


def reader(log: Path, size: int) -> Callable[[int, int], Hash]:
    @cache
    def read(level: int, index: int) -> Hash:
        tile, first, count = tile_of_node(level, index, size)
        return node_from_tile(tile_bytes(log, tile), tile=tile, first=first, count=count)

    return read


HEADS = [(TESSERA, f"checkpoint.{size}") for size in range(16)] + [(TESSERA, "checkpoint")]
HEADS += [(SYNTHETIC, "checkpoint"), (SYNTHETIC, "old/checkpoint.256"), (SYNTHETIC, "old/checkpoint.512")]


@pytest.mark.parametrize(("log", "name"), [h for h in HEADS if (h[0] / h[1]).exists()], ids=lambda v: Path(v).name)
def test_a_foreign_log_is_recomputed_from_its_bundles(log: Path, name: str) -> None:
    size, root = head_of(log, name)
    growth = grow(EMPTY_EDGE, leaves_of(log, size))
    assert growth.edge.root() == root
    for part in new_tiles(growth):
        assert part.offset == 0
        assert tile_bytes(log, part.tile) == part.data
    assert [part.tile for part in new_tiles(growth)] == list(tiles_of(size))
    assert tree_root(size, reader(log, size)) == root


def test_there_are_17_foreign_heads() -> None:
    assert sum((log / name).exists() for log, name in HEADS) >= 17


def test_proofs_from_a_foreign_logs_tiles_verify() -> None:
    size, root = head_of(SYNTHETIC, "checkpoint")
    read = reader(SYNTHETIC, size)
    leaves = leaves_of(SYNTHETIC, size)
    for index in range(size):
        verify_inclusion(build_inclusion(index, size, read), leaves[index], root)
    for old in (1, 256, 512, 599):
        old_size, old_root = head_of(SYNTHETIC, f"old/checkpoint.{old}")
        assert old_size == old
        verify_consistency(build_consistency(old, size, read), old_root, root)


def test_a_forged_leaf_in_a_tile_does_not_recompute() -> None:
    """GO-2026-6179: no tile is believed that the entries do not give."""
    size, root = head_of(SYNTHETIC, "checkpoint")
    leaves = leaves_of(SYNTHETIC, size)
    leaves[3] = leaf_hash(b"forged")
    assert root_of(leaves) != root


# --- paths


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, index=0, width=256), "tile/0/000"),
        (Tile(level=0, index=999, width=1), "tile/0/999.p/1"),
        (Tile(level=1, index=1000, width=255), "tile/1/x001/000.p/255"),
        (Tile(level=0, index=1_234_067, width=256), "tile/0/x001/x234/067"),
        (Tile(level=ENTRIES, index=1_234_067, width=3), "tile/entries/x001/x234/067.p/3"),
        (Tile(level=7, index=0, width=127), "tile/7/000.p/127"),
    ],
)
def test_path_spelling(tile: Tile, path: str) -> None:
    assert tile.path() == path
    assert parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/001/000", "tile/0/x000/001",
        "tile/0/x001/x000", "tile/0/x001/00", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256",
        "tile/0/000.p/01", "tile/0/000.p/999", "tile/0/000.p/-1", "tile/0/000.p/1/", "tile/8/000", "tile/00/000",
        "tile/-1/000", "tile/+1/000", "tile/63/000", "tile/data/000", "tile/entries/x000/000", "/tile/0/000",
        "tile//000", "tile/0/000 ", "tile/0/000\n", "tile/0/../000", "tile/0/００0", "tile/0/٠٠٠", "Tile/0/000",
        "tile/0/X001/000", "tile/0/000.p/1 ", "tile/7/001", "tile/7/000", "tile/7/000.p/128",
        "tile/0/000.p/257", "tile/0/" + "x999/" * 6 + "999", "tile/0/" + "x001/" * 40 + "000", "tile/0/000.p/1.p/1",
    ],
)  # fmt: skip
def test_refuses_every_other_spelling(path: str) -> None:
    with pytest.raises(TilePathError) as caught:
        parse_path(path)
    assert caught.value.code == "tile.bad_path"


@pytest.mark.parametrize("level", range(-1, 8))
def test_paths_end_where_no_log_can_reach(level: int) -> None:
    """The last tile of a log of 2**63 - 1 leaves has a path at every level, the hash after it has none."""
    count = (2**63 - 1) >> (8 * max(level, 0))
    last = Tile(level=level, index=count // 256, width=count % 256)
    assert parse_path(last.path()) == last
    with pytest.raises(TilePathError):
        parse_path(replace(last, width=256).path())


@given(st.integers(-1, 7), st.integers(0, 2**55), st.integers(1, 256))
def test_path_round_trip_or_too_far_out(level: int, index: int, width: int) -> None:
    tile = Tile(level=level, index=index, width=width)
    if ((index * 256 + width) << (8 * max(level, 0))) < 2**63:
        assert parse_path(tile.path()) == tile
    else:
        with pytest.raises(TilePathError):
            parse_path(tile.path())


@given(st.from_regex(re.compile(r"tile/(entries|[0-9]{1,2})/(x?[0-9]{1,3}/?){1,4}(\.p/[0-9]{1,3})?"), fullmatch=True))
def test_what_parses_is_spelled_as_it_was(path: str) -> None:
    try:
        tile = parse_path(path)
    except TilePathError:
        return
    assert tile.path() == path


# --- which tiles a log has


def test_tiles_and_bundles_of_sizes_around_the_borders() -> None:
    for size in (0, 1, 255, 256, 257, 65_535, 65_536, 65_537):
        tiles = list(tiles_of(size))
        for level in range(3):
            widths = [tile.width for tile in tiles if tile.level == level]
            assert sum(widths) == size >> (8 * level)
            assert all(width == TILE_WIDTH for width in widths[:-1])
        assert sum(tile.width for tile in bundles_of(size)) == size
        assert {tile.level for tile in bundles_of(size)} <= {ENTRIES}


def test_bundle_of_an_entry() -> None:
    assert bundle_of(0, 1) == Tile(level=ENTRIES, index=0, width=1)
    assert bundle_of(255, 600) == Tile(level=ENTRIES, index=0, width=256)
    assert bundle_of(599, 600) == Tile(level=ENTRIES, index=2, width=88)


def test_growth_writes_each_tile_hash_once_at_every_border() -> None:
    leaves = [leaf_hash(b"%d" % n) for n in range(70_000)]
    tiles: dict[tuple[int, int], bytes] = {}
    edge = EMPTY_EDGE
    for size in (0, 1, 2, 255, 256, 257, 512, 1000, 65_535, 65_536, 65_537, 70_000):
        growth = grow(edge, leaves[edge.size : size])
        for part in new_tiles(growth):
            place = (part.tile.level, part.tile.index)
            held = tiles.get(place, b"")
            assert len(held) == part.offset * 32
            assert part.data
            tiles[place] = held + part.data
            assert len(tiles[place]) == part.tile.width * 32
        edge = growth.edge
        assert {(tile.level, tile.index): tile.width * 32 for tile in tiles_of(size)} == {
            place: len(data) for place, data in tiles.items()
        }

    def read(level: int, index: int) -> Hash:
        tile, first, count = tile_of_node(level, index, 70_000)
        return node_from_tile(tiles[tile.level, tile.index], tile=tile, first=first, count=count)

    assert tree_root(70_000, read) == edge.root() == root_of(leaves)


# --- bytes


def test_bundle_round_trip_with_empty_and_longest_entries() -> None:
    entries = (b"", b"x", b"y" * 65_535)
    data = encode_bundle(entries)
    assert data[:5] == b"\x00\x00\x00\x01x"
    assert parse_bundle(data, width=3) == entries
    full = tuple(b"%d" % n for n in range(256))
    assert parse_bundle(encode_bundle(full), width=256) == full


def test_refuses_to_write_too_much() -> None:
    with pytest.raises(BundleError):
        encode_bundle([b""] * 257)
    with pytest.raises(BundleError) as caught:
        encode_bundle([b"", b"x" * 65_536])
    assert caught.value.offset == 1


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1), (b"\x00", 1), (b"\x00\x01", 1), (b"\x00\x02x", 1), (b"\xff\xff", 1), (b"\x00\x01x\x00", 1),
        (b"\x00\x01x", 2), (b"\x00\x01x\x00\x00", 1), (b"\x00\x00" * 257, 256), (b"\x00\x00", 0),
        (b"\x00\x00" * 257, 257), (b"", 0), (b"\x00\x00", -1),
    ],
)  # fmt: skip
def test_refuses_bundles_cut_short_or_miscounted(data: bytes, width: int) -> None:
    with pytest.raises(BundleError) as caught:
        parse_bundle(data, width=width)
    assert caught.value.code == "bundle.malformed"


@given(st.binary(max_size=300), st.integers(1, 256))
def test_a_bundle_is_its_one_spelling_or_refused(data: bytes, width: int) -> None:
    try:
        entries = parse_bundle(data, width=width)
    except BundleError:
        return
    assert encode_bundle(entries) == data
    assert len(entries) == width


@pytest.mark.parametrize(("size", "width"), [(0, 0), (0, 1), (31, 1), (33, 1), (64, 1), (257 * 32, 257), (32, 256)])
def test_refuses_tiles_of_another_length(size: int, width: int) -> None:
    with pytest.raises(TileBytesError):
        parse_tile(bytes(size), width=width)


def test_refuses_a_node_beyond_the_tile() -> None:
    tile = Tile(level=0, index=0, width=3)
    with pytest.raises(TileBytesError) as caught:
        node_from_tile(bytes(96), tile=tile, first=2, count=2)
    assert caught.value.field == "tile/0/000.p/3"
