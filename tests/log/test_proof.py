"""Inclusion and consistency proofs: foreign probes, every tree to 100 leaves, every small mutation."""

import base64
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.log.errors import (
    HashLengthError,
    ProofError,
    ProofIndexError,
    ProofLengthError,
    ProofSizeError,
    RootMismatchError,
)
from mingzheng.log.hashing import EMPTY_ROOT, Hash, leaf_hash, node_hash
from mingzheng.log.merkle import subtree_root
from mingzheng.log.proof import (
    ConsistencyProof,
    InclusionProof,
    build_block_inclusion,
    build_consistency,
    build_inclusion,
    hashes_of,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "proof"
LEAVES = [leaf_hash(b"entry %d" % n) for n in range(300)]
INCLUSION = json.loads((VECTORS / "inclusion.json").read_text())
CONSISTENCY = json.loads((VECTORS / "consistency.json").read_text())
ROOTS = json.loads((VECTORS / "roots.json").read_text())


@cache
def root(start: int, end: int) -> Hash:
    if start == end:
        return EMPTY_ROOT
    if end - start == 1:
        return LEAVES[start]
    k = 1 << ((end - start - 1).bit_length() - 1)
    return node_hash(root(start, start + k), root(start + k, end))


def stored(level: int, index: int) -> Hash:
    assert (index + 1) << level <= len(LEAVES), "only complete subtrees are stored"
    return root(index << level, (index + 1) << level)


def flipped(data: bytes, bit: int) -> Hash:
    return Hash((int.from_bytes(data) ^ (1 << bit)).to_bytes(len(data)))


# --- foreign probes (transparency-dev/merkle)


def raw(text: str) -> Hash:
    return Hash(base64.b64decode(text))


@pytest.mark.parametrize("name", sorted(INCLUSION))
def test_inclusion_probe(name: str) -> None:
    probe = INCLUSION[name]
    hashes = tuple(map(raw, probe["proof"] or ()))
    proof = InclusionProof(index=probe["leafIdx"], size=probe["treeSize"], hashes=hashes)
    if probe["wantErr"]:
        with pytest.raises(ProofError):
            verify_inclusion(proof, raw(probe["leafHash"]), raw(probe["root"]))
    else:
        verify_inclusion(proof, raw(probe["leafHash"]), raw(probe["root"]))


@pytest.mark.parametrize("name", sorted(CONSISTENCY))
def test_consistency_probe(name: str) -> None:
    probe = CONSISTENCY[name]
    proof = ConsistencyProof(old=probe["size1"], new=probe["size2"], hashes=tuple(map(raw, probe["proof"] or ())))
    roots = raw(probe["root1"]), raw(probe["root2"])
    if probe["wantErr"]:
        with pytest.raises(ProofError):
            verify_consistency(proof, *roots)
    else:
        verify_consistency(proof, *roots)


def test_all_98_and_98_probes_are_here() -> None:
    assert (len(INCLUSION), len(CONSISTENCY)) == (98, 98)


def test_proofs_are_those_of_the_reference_vectors() -> None:
    for case in ROOTS["inclusion"]:
        proof = build_inclusion(case["index"], case["size"], stored)
        assert [h.hex() for h in proof.hashes] == case["hashes"]
    for case in ROOTS["consistency"]:
        chain = build_consistency(case["old"], case["new"], stored)
        assert [h.hex() for h in chain.hashes] == case["hashes"]


# --- every tree to 100 leaves


def test_every_inclusion_proof_to_100_leaves() -> None:
    for size in range(1, 101):
        for index in range(size):
            proof = build_inclusion(index, size, stored)
            assert (proof.index, proof.size) == (index, size)
            verify_inclusion(proof, LEAVES[index], root(0, size))


def test_every_consistency_proof_to_100_leaves() -> None:
    for new in range(1, 101):
        for old in range(1, new + 1):
            verify_consistency(build_consistency(old, new, stored), root(0, old), root(0, new))


def test_an_inclusion_proof_shows_no_other_leaf_of_its_tree_at_its_index() -> None:
    for size in range(1, 34):
        for index in range(size):
            proof = build_inclusion(index, size, stored)
            for other in range(size):
                if other != index:
                    with pytest.raises(RootMismatchError):
                        verify_inclusion(proof, LEAVES[other], root(0, size))


def test_an_inclusion_proof_shows_its_leaf_at_no_other_index_of_its_tree() -> None:
    """With the size fixed, an index is not malleable (RFC 9942 signs neither: our receipt fixes the size)."""
    for size in range(1, 34):
        for index in range(size):
            proof = build_inclusion(index, size, stored)
            for other in range(size + 2):
                if other != index:
                    with pytest.raises(ProofError):
                        verify_inclusion(replace(proof, index=other), LEAVES[index], root(0, size))


def test_a_free_size_would_make_the_index_malleable() -> None:
    """The finding that our signed header answers: some leaf of a 100-leaf tree is also 'proved' elsewhere."""
    moved = 0
    for index in range(88, 100):
        proof = build_inclusion(index, 100, stored)
        for size in range(1, 130):
            for other in range(size):
                if other != index and len(proof.hashes) == path_length(other, size):
                    moved += root_or_none(replace(proof, index=other, size=size), LEAVES[index]) == root(0, 100)
    assert moved > 0


def path_length(index: int, size: int) -> int:
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def root_or_none(proof: InclusionProof, leaf: Hash) -> Hash | None:
    try:
        return root_from_inclusion(proof, leaf)
    except ProofError:
        return None


def test_one_flipped_bit_never_verifies() -> None:
    for size in range(1, 9):
        for index in range(size):
            proof = build_inclusion(index, size, stored)
            for at, item in enumerate(proof.hashes):
                for bit in range(256):
                    hashes = (*proof.hashes[:at], flipped(item, bit), *proof.hashes[at + 1 :])
                    with pytest.raises(RootMismatchError):
                        verify_inclusion(replace(proof, hashes=hashes), LEAVES[index], root(0, size))


def test_one_flipped_bit_never_shows_consistency() -> None:
    for old, new in ((1, 2), (2, 3), (3, 7), (4, 7), (6, 8), (7, 8)):
        proof = build_consistency(old, new, stored)
        items = [root(0, old), root(0, new), *proof.hashes]
        for at, item in enumerate(items):
            for bit in range(256):
                changed = [*items[:at], flipped(item, bit), *items[at + 1 :]]
                with pytest.raises(RootMismatchError):
                    verify_consistency(replace(proof, hashes=tuple(changed[2:])), changed[0], changed[1])


def test_every_removed_added_swapped_or_doubled_hash_is_refused() -> None:
    for size in range(1, 20):
        for index in range(size):
            proof = build_inclusion(index, size, stored)
            for hashes in mutations(proof.hashes):
                with pytest.raises(ProofError):
                    verify_inclusion(replace(proof, hashes=hashes), LEAVES[index], root(0, size))
        for old in range(1, size + 1):
            chain = build_consistency(old, size, stored)
            for hashes in mutations(chain.hashes):
                with pytest.raises(ProofError):
                    verify_consistency(replace(chain, hashes=hashes), root(0, old), root(0, size))


def mutations(hashes: tuple[Hash, ...]) -> list[tuple[Hash, ...]]:
    changed = [(*hashes, LEAVES[299]), (LEAVES[299], *hashes)]
    for at in range(len(hashes)):
        changed += [hashes[:at] + hashes[at + 1 :], (*hashes[:at], hashes[at], *hashes[at:])]
        changed.append((*hashes[:at], Hash(hashes[at][:31]), *hashes[at + 1 :]))
        changed.append((*hashes[:at], Hash(hashes[at] + b"\0"), *hashes[at + 1 :]))
    changed += [
        (*hashes[:at], hashes[at + 1], hashes[at], *hashes[at + 2 :])
        for at in range(len(hashes) - 1)
        if hashes[at] != hashes[at + 1]
    ]
    return changed


# --- refusals


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 5), (-1, 5), (6, 5), (0, 2**63), (2**63, 2**64)])
def test_refuses_an_index_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ProofIndexError) as caught:
        build_inclusion(index, size, stored)
    assert (caught.value.index, caught.value.size) == (index, size)
    with pytest.raises(ProofIndexError):
        root_from_inclusion(InclusionProof(index=index, size=size, hashes=()), LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (-1, 5), (6, 5), (1, 2**63)])
def test_refuses_sizes_that_no_consistency_proof_joins(old: int, new: int) -> None:
    """Size 0 is refused: a proof that proves nothing is no proof."""
    with pytest.raises(ProofSizeError) as caught:
        build_consistency(old, new, stored)
    assert (caught.value.old, caught.value.new) == (old, new)
    with pytest.raises(ProofSizeError):
        verify_consistency(ConsistencyProof(old=old, new=new, hashes=()), EMPTY_ROOT, EMPTY_ROOT)


def test_equal_sizes_need_equal_roots_and_no_hashes() -> None:
    same = ConsistencyProof(old=5, new=5, hashes=())
    verify_consistency(same, root(0, 5), root(0, 5))
    with pytest.raises(RootMismatchError):
        verify_consistency(same, root(0, 5), root(0, 6))
    with pytest.raises(ProofLengthError) as caught:
        verify_consistency(replace(same, hashes=(LEAVES[0],)), root(0, 5), root(0, 5))
    assert (caught.value.want, caught.value.got) == (0, 1)


def test_a_node_cannot_pose_as_a_leaf() -> None:
    """The forgery that works where leaves and nodes are hashed alike: an inner node's two children as one entry."""
    forged = leaf_hash(root(0, 2) + root(2, 4))
    with pytest.raises(RootMismatchError):
        verify_inclusion(InclusionProof(index=0, size=1, hashes=()), forged, root(0, 4))
    forged = leaf_hash(LEAVES[0] + LEAVES[1])
    with pytest.raises(RootMismatchError):
        verify_inclusion(InclusionProof(index=0, size=2, hashes=(root(2, 4),)), forged, root(0, 4))


def test_a_fork_is_not_consistent() -> None:
    proof = build_consistency(5, 9, stored)
    with pytest.raises(RootMismatchError) as caught:
        verify_consistency(proof, root(1, 6), root(0, 9))
    assert caught.value.want == root(1, 6)
    with pytest.raises(RootMismatchError):
        verify_consistency(proof, root(0, 5), root(1, 10))


def test_refuses_leaf_and_roots_of_another_length() -> None:
    proof = build_inclusion(0, 2, stored)
    with pytest.raises(HashLengthError):
        verify_inclusion(proof, Hash(bytes(31)), root(0, 2))
    with pytest.raises(HashLengthError):
        verify_consistency(build_consistency(1, 2, stored), Hash(b""), root(0, 2))


def test_hashes_of_checks_each_length() -> None:
    assert hashes_of(LEAVES[:2]) == tuple(LEAVES[:2])
    with pytest.raises(HashLengthError):
        hashes_of([bytes(32), bytes(33)])


# --- blocks


def test_every_proof_inside_every_aligned_block() -> None:
    for level in range(9):
        width = 1 << level
        for start in range(0, 256, width):
            end = start + width
            for index in {start, start + width // 2, end - 1}:
                proof = build_block_inclusion(index, start, end, stored)
                assert (proof.index, proof.size, len(proof.hashes)) == (index - start, width, level)
                assert root_from_inclusion(proof, LEAVES[index]) == subtree_root(start, end, stored)


@pytest.mark.parametrize(
    ("index", "start", "end"),
    [(0, 0, 0), (1, 2, 2), (3, 2, 6), (2, 1, 3), (0, 0, 3), (8, 0, 8), (3, 4, 8), (-2, -2, 0), (0, 8, 0)],
)
def test_refuses_blocks_that_are_none(index: int, start: int, end: int) -> None:
    with pytest.raises(ProofIndexError):
        build_block_inclusion(index, start, end, stored)


@given(st.integers(1, 2**62), st.data())
def test_path_length_is_what_the_verifier_demands_at_any_size(size: int, data: st.DataObject) -> None:
    """At sizes no test can hold, building reads only complete subtrees and gives the demanded count."""
    index = data.draw(st.integers(0, size - 1))

    def read(level: int, at: int) -> Hash:
        assert (at + 1) << level <= size
        return leaf_hash(b"%d %d" % (level, at))

    proof = build_inclusion(index, size, read)
    assert len(proof.hashes) == path_length(index, size) <= 63
    got = root_from_inclusion(proof, read(0, index))
    old = data.draw(st.integers(1, size))
    chain = build_consistency(old, size, read)
    assert len(chain.hashes) <= 64
    assert len(got) == 32
