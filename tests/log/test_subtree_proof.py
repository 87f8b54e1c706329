"""Subtree consistency proofs (draft-ietf-plants-merkle-tree-certs section 4.4): every subtree of every small tree."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.log.errors import HashLengthError, ProofError, ProofLengthError, ProofSizeError, RootMismatchError
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import MAX_SIZE
from mingzheng.log.proof import (
    SubtreeProof,
    build_consistency,
    build_inclusion,
    build_subtree,
    is_subtree,
    verify_subtree,
)

LEAVES = [leaf_hash(b"%d" % i) for i in range(70)]


def mth(start: int, end: int) -> Hash:
    """RFC 9162 section 2.1.1 by its own recursive words, apart from the library's tree."""
    if end - start == 1:
        return LEAVES[start]
    k = 1
    while 2 * k < end - start:
        k *= 2
    return Hash(hashlib.sha256(b"\x01" + mth(start, start + k) + mth(start + k, end)).digest())


CACHE: dict[tuple[int, int], Hash] = {}


def read(level: int, index: int) -> Hash:
    if (level, index) not in CACHE:
        CACHE[level, index] = mth(index << level, (index + 1) << level)
    return CACHE[level, index]


def subproof(start: int, end: int, base: int, size: int, whole: bool) -> list[Hash]:
    """SUBTREE_SUBPROOF of section 4.4.1, word by word."""
    if (start, end) == (0, size):
        return [] if whole else [mth(base, base + size)]
    k = 1
    while 2 * k < size:
        k *= 2
    if end <= k:
        return [*subproof(start, end, base, k, whole), mth(base + k, base + size)]
    if k <= start:
        return [*subproof(start - k, end - k, base + k, size - k, whole), mth(base, base + k)]
    assert start == 0
    return [*subproof(0, end - k, base + k, size - k, False), mth(base, base + k)]


def is_valid(start: int, end: int) -> bool:
    """Section 4.1: start is a multiple of the least power of two that is >= end - start."""
    power = 1
    while power < end - start:
        power *= 2
    return start % power == 0


@pytest.mark.parametrize("size", range(1, 33))
def test_every_subtree_of_every_small_tree(size: int) -> None:
    root = mth(0, size)
    for start in range(size):
        for end in range(start + 1, size + 1):
            assert is_subtree(start, end) == is_valid(start, end)
            if not is_subtree(start, end):
                with pytest.raises(ProofSizeError):
                    build_subtree(start, end, size, read)
                continue
            proof = build_subtree(start, end, size, read)
            assert list(proof.hashes) == subproof(start, end, 0, size, True)
            verify_subtree(proof, mth(start, end), root)
            if start == 0:
                assert proof.hashes == build_consistency(end, size, read).hashes
            if end == start + 1:
                assert proof.hashes == build_inclusion(start, size, read).hashes


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13, 14, 21])
def test_nothing_else_verifies(size: int) -> None:
    """A hash changed, left out, added or moved; another root, subtree, place or size."""
    root = mth(0, size)
    places = [(s, e) for s in range(size) for e in range(s + 1, size + 1) if is_subtree(s, e)]
    for start, end in places:
        part, proof = mth(start, end), build_subtree(start, end, size, read)
        hashes = list(proof.hashes)
        bad = [hashes[:-1], [*hashes, LEAVES[0]], hashes[1:]] if hashes else [[LEAVES[0]]]
        bad += [[*hashes[:i], Hash(bytes(32)), *hashes[i + 1 :]] for i in range(len(hashes))]
        if len(set(hashes)) > 1:
            bad.append(hashes[::-1])
        for other in bad:
            with pytest.raises(ProofError):
                verify_subtree(SubtreeProof(start=start, end=end, size=size, hashes=tuple(other)), part, root)
        with pytest.raises(RootMismatchError):
            verify_subtree(proof, Hash(bytes(32)), root)
        with pytest.raises(RootMismatchError):
            verify_subtree(proof, part, Hash(bytes(32)))
        for s, e in places:
            if (s, e) != (start, end):
                with pytest.raises(ProofError):
                    verify_subtree(SubtreeProof(start=s, end=e, size=size, hashes=proof.hashes), part, root)


def by_bits(start: int, end: int, size: int, hashes: list[Hash], node: Hash) -> tuple[Hash, Hash] | None:
    """The procedure of section 4.4.2, which walks on the bits of the three numbers: the roots it comes to."""
    fn, sn, tn = start, end - 1, size - 1
    if sn == tn:
        while fn != sn:
            fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
    else:
        while fn != sn and sn & 1:
            fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
    rest = list(hashes)
    fr = sr = node if fn == sn else rest.pop(0)
    for item in rest:
        if tn == 0:
            return None
        if sn & 1 or sn == tn:
            if fn < sn:
                fr = Hash(hashlib.sha256(b"\x01" + item + fr).digest())
            sr = Hash(hashlib.sha256(b"\x01" + item + sr).digest())
            while not sn & 1:
                fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
        else:
            sr = Hash(hashlib.sha256(b"\x01" + sr + item).digest())
        fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
    return None if tn else (fr, sr)


@pytest.mark.parametrize("size", range(1, 33))
def test_proofs_verify_by_the_draft_s_other_procedure(size: int) -> None:
    for start in range(size):
        for end in range(start + 1, size + 1):
            if is_subtree(start, end):
                part = mth(start, end)
                hashes = list(build_subtree(start, end, size, read).hashes)
                assert by_bits(start, end, size, hashes, part) == (part, mth(0, size))


def test_the_example_of_tlog_witness_has_the_length_of_its_place() -> None:
    """The request in C2SP tlog-witness, "sign-subtree": 8 13 of 14 takes four hashes (there they are made up)."""
    assert len(build_subtree(8, 13, 14, read).hashes) == 4


@pytest.mark.parametrize(
    ("start", "end", "size"),
    [(0, 0, 1), (-1, 1, 1), (1, 1, 1), (0, 2, 1), (2, 1, 3), (1, 3, 4), (0, 1, 0), (0, 1, MAX_SIZE + 1)],
)
def test_places_that_are_none(start: int, end: int, size: int) -> None:
    with pytest.raises(ProofSizeError):
        verify_subtree(SubtreeProof(start=start, end=end, size=size, hashes=()), LEAVES[0], LEAVES[0])


def test_hashes_have_32_bytes() -> None:
    proof = build_subtree(0, 1, 2, read)
    for bad in (SubtreeProof(start=0, end=1, size=2, hashes=(Hash(b"x"),)), proof):
        with pytest.raises((HashLengthError, ProofLengthError)):
            verify_subtree(bad, Hash(b"short"), mth(0, 2))


@given(st.integers(0, MAX_SIZE), st.integers(0, MAX_SIZE), st.integers(0, MAX_SIZE), st.integers(0, 130))
def test_any_numbers_end_soon(start: int, width: int, size: int, count: int) -> None:
    proof = SubtreeProof(start=start, end=start + width, size=size, hashes=(LEAVES[0],) * count)
    with pytest.raises(ProofError):
        verify_subtree(proof, LEAVES[1], LEAVES[2])
