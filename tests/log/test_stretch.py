"""Stretches: every one of every small tree folds to its root, and to no other."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.log.errors import HashLengthError, ProofError, ProofIndexError, ProofLengthError
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import range_nodes, root_of, subtree_root
from mingzheng.log.stretch import Stretch, build_stretch, stretch_root

ENTRIES = [b"entry %d" % at for at in range(70)]
ZERO = Hash(bytes(32))
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def _read(level: int, index: int) -> Hash:
    return root_of(LEAVES[index << level : (index + 1) << level])


def test_every_stretch_of_every_tree_up_to_33_leaves() -> None:
    for size in range(1, 34):
        root = root_of(LEAVES[:size])
        for start in range(size):
            for end in range(start + 1, size + 1):
                stretch = build_stretch(start, ENTRIES[start:end], size, _read)
                assert stretch.end == end
                assert stretch_root(stretch, size) == root


@given(st.integers(0, 69), st.integers(1, 20), st.integers(0, 19), st.data())
def test_what_is_changed_does_not_fold(start: int, count: int, at: int, data: st.DataObject) -> None:
    size = 70
    end = min(start + count, size)
    good = build_stretch(start, ENTRIES[start:end], size, _read)
    root = root_of(LEAVES)
    entries = list(good.entries)
    entries[at % len(entries)] += b"x"
    cases = [Stretch(start=start, entries=tuple(entries), left=good.left, right=good.right)]
    if good.left:
        cases.append(
            Stretch(start=start, entries=good.entries, left=(Hash(bytes(32)), *good.left[1:]), right=good.right)
        )
    if good.right:
        cases.append(
            Stretch(start=start, entries=good.entries, left=good.left, right=(*good.right[:-1], Hash(bytes(32))))
        )
    moved = data.draw(st.integers(0, 69))
    cases.append(Stretch(start=moved, entries=good.entries, left=good.left, right=good.right))
    for case in cases[: None if moved != start else -1]:
        with contextlib.suppress(ProofError):
            assert stretch_root(case, size) != root


def test_shapes_that_cannot_be_are_refused() -> None:
    good = build_stretch(3, ENTRIES[3:5], 9, _read)
    for start, count, size in ((0, 0, 9), (8, 2, 9), (-1, 1, 9), (0, 1, 2**63)):
        with pytest.raises(ProofIndexError):
            stretch_root(Stretch(start=start, entries=(b"",) * count, left=(), right=()), size)
    with pytest.raises(ProofIndexError):
        build_stretch(9, [b""], 9, _read)
    with pytest.raises(ProofLengthError):
        stretch_root(Stretch(start=3, entries=good.entries, left=(), right=good.right), 9)
    with pytest.raises(ProofLengthError):
        stretch_root(Stretch(start=3, entries=good.entries, left=good.left, right=()), 9)
    with pytest.raises(HashLengthError):
        stretch_root(Stretch(start=3, entries=good.entries, left=good.left, right=(Hash(b""),) * len(good.right)), 9)


def test_a_single_leaf_is_an_inclusion_proof() -> None:
    for index in range(70):
        stretch = build_stretch(index, ENTRIES[index : index + 1], 70, _read)
        assert len(stretch.left) + len(stretch.right) == len(range_nodes(0, index)) + len(range_nodes(index + 1, 70))
    assert subtree_root(0, 70, _read) == root_of(LEAVES)
