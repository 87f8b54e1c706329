"""The tree as stored hashes: every tree to 100 leaves against the recursive words of RFC 9162 section 2.1.1."""

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.log.errors import ProofIndexError
from mingzheng.log.hashing import EMPTY_ROOT, Hash, leaf_hash, node_hash
from mingzheng.log.merkle import (
    EMPTY_EDGE,
    RightEdge,
    fold,
    grow,
    range_nodes,
    read_edge,
    root_of,
    subtree_root,
    tree_root,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "proof"
LEAVES = [leaf_hash(b"entry %d" % n) for n in range(300)]


@cache
def naive_root(start: int, end: int) -> Hash:
    """MTH of RFC 9162 section 2.1.1, word by word."""
    if start == end:
        return EMPTY_ROOT
    if end - start == 1:
        return LEAVES[start]
    k = 1 << ((end - start - 1).bit_length() - 1)
    return node_hash(naive_root(start, start + k), naive_root(start + k, end))


def stored(level: int, index: int) -> Hash:
    return naive_root(index << level, (index + 1) << level)


def test_roots_are_those_of_the_reference_vectors() -> None:
    roots = json.loads((VECTORS / "roots.json").read_text())["roots"]
    for size, root in enumerate(roots):
        assert root_of(LEAVES[:size]).hex() == root


def test_every_root_to_100_leaves_by_all_ways() -> None:
    for size in range(101):
        assert root_of(LEAVES[:size]) == tree_root(size, stored) == naive_root(0, size)


def test_growth_from_every_size_to_every_size_gives_every_new_node_once() -> None:
    for old_size in range(70):
        old = read_edge(old_size, stored)
        for size in range(old_size, 70):
            growth = grow(old, LEAVES[old_size:size])
            assert growth.edge == read_edge(size, stored)
            assert growth.old is old
            for level in range(8):
                want = b"".join(stored(level, i) for i in range(old_size >> level, size >> level))
                got = growth.levels[level] if level < len(growth.levels) else b""
                assert got == want


@given(st.lists(st.integers(0, 40), max_size=8))
def test_growth_by_steps_is_growth_at_once(steps: list[int]) -> None:
    edge = EMPTY_EDGE
    for step in steps:
        edge = grow(edge, LEAVES[edge.size : edge.size + step]).edge
    assert edge == grow(EMPTY_EDGE, LEAVES[: edge.size]).edge
    assert len(edge.hashes) == edge.size.bit_count()


def test_range_nodes_cover_each_range_with_aligned_complete_subtrees() -> None:
    for start in range(40):
        for end in range(start, 70):
            nodes = range_nodes(start, end)
            at = start
            for level, index in nodes:
                assert index << level == at
                at += 1 << level
            assert at == end


def test_range_nodes_of_a_whole_tree_are_one_per_one_bit() -> None:
    assert range_nodes(0, 0b1011) == ((3, 0), (1, 4), (0, 10))
    assert range_nodes(0, 0) == ()


def test_subtree_roots_equal_a_tree_of_their_own() -> None:
    for width in range(1, 33):
        step = 1 << (width - 1).bit_length()
        for start in range(0, 100, step):
            assert subtree_root(start, start + width, stored) == root_of(LEAVES[start : start + width])


@pytest.mark.parametrize(("start", "end"), [(0, 0), (5, 5), (6, 5), (2, 6), (1, 3), (-2, 0), (-4, 0), (4, 9)])
def test_refuses_subtrees_that_are_empty_or_not_aligned(start: int, end: int) -> None:
    with pytest.raises(ProofIndexError):
        subtree_root(start, end, stored)


def test_fold_of_one_hash_is_the_hash() -> None:
    assert fold(LEAVES[:1]) == LEAVES[0]


def test_empty_edge_has_the_empty_root() -> None:
    assert EMPTY_EDGE.root() == EMPTY_ROOT == RightEdge(size=0, hashes=()).root()
    assert grow(EMPTY_EDGE, []).levels == ()


def test_edge_of_2_to_the_40_leaves_grows_with_one_hash_per_level() -> None:
    """Memory and work follow the logarithm: no tree of that size is ever held."""
    size = 2**40 - 1
    edge = RightEdge(size=size, hashes=tuple(LEAVES[:40]))
    growth = grow(edge, [LEAVES[50]])
    assert growth.edge.size == 2**40
    assert len(growth.edge.hashes) == 1
    assert len(growth.levels) == 41
    assert growth.edge.root() == fold([*LEAVES[:40], LEAVES[50]])
