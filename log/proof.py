"""Inclusion and consistency proofs of RFC 9162 sections 2.1.3 and 2.1.4: built from stored hashes, verified.

Subtree consistency proofs are those of draft-ietf-plants-merkle-tree-certs section 4.4: of a subtree that starts at 0
they are consistency proofs, of a single leaf inclusion proofs.

Every `verify_*` returns nothing or raises a ProofError. Consistency from size 0 is refused: such a proof
proves nothing ("no previous state" is the caller's own case).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from mingzheng.log.errors import (
    HashLengthError,
    ProofIndexError,
    ProofLengthError,
    ProofSizeError,
    RootMismatchError,
)
from mingzheng.log.hashing import HASH_BYTES, Hash, node_hash, parse_hash
from mingzheng.log.merkle import MAX_SIZE, HashReader, fold, range_nodes, subtree_root


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """Claim that a leaf is number `index` of a tree of `size`; leaf's sibling first, root's child last."""

    index: int
    size: int
    hashes: tuple[Hash, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """Claim that the tree of size `old` is a prefix of the tree of size `new`; order of RFC 9162 2.1.4.1."""

    old: int
    new: int
    hashes: tuple[Hash, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtreeProof:
    """Claim that the leaves [start, end) of the tree of `size` leaves have a root of their own; deepest hash first."""

    start: int
    end: int
    size: int
    hashes: tuple[Hash, ...]


def build_inclusion(index: int, size: int, read: HashReader) -> InclusionProof:
    """Prove leaf `index` of the tree of `size` leaves (RFC 9162 section 2.1.3.1).

    Raises ProofIndexError unless 0 <= index < size.
    """
    _check_index(index, size)
    return InclusionProof(index=index, size=size, hashes=_path(index, size, 0, read))


def build_consistency(old: int, new: int, read: HashReader) -> ConsistencyProof:
    """Prove the tree of `old` leaves a prefix of the tree of `new` leaves (RFC 9162 section 2.1.4.1).

    Raises ProofSizeError unless 0 < old <= new.
    """
    _check_sizes(old, new)
    if old == new:
        return ConsistencyProof(old=old, new=new, hashes=())
    level = (old & -old).bit_length() - 1  # the largest subtree that ends at `old`
    index = (old - 1) >> level
    first = (read(level, index),) if index else ()
    return ConsistencyProof(old=old, new=new, hashes=first + _path(old - 1, new, level, read))


def build_block_inclusion(index: int, start: int, end: int, read: HashReader) -> InclusionProof:
    """Prove leaf `index` of the log within the aligned complete subtree [start, end), a tree of its own.

    The proof's index is index - start, its size end - start. Raises ProofIndexError if the subtree is not
    aligned, not of a power-of-two width, or does not hold the index.
    """
    width = end - start
    if width < 1 or width & (width - 1) or start < 0 or start % width or not start <= index < end:
        raise ProofIndexError(index=index, size=width)
    levels = range(width.bit_length() - 1)
    hashes = tuple(read(level, (index >> level) ^ 1) for level in levels)
    return InclusionProof(index=index - start, size=width, hashes=hashes)


def is_subtree(start: int, end: int) -> bool:
    """Whether [start, end) is a subtree: start is a multiple of the least power of two >= end - start."""
    return 0 <= start < end <= MAX_SIZE and start % (1 << (end - start - 1).bit_length()) == 0


def build_subtree(start: int, end: int, size: int, read: HashReader) -> SubtreeProof:
    """Prove the subtree [start, end) part of the tree of `size` leaves (section 4.4.1 of the draft).

    Raises ProofSizeError unless it is a subtree and end <= size.
    """
    steps, base, width = _subtree_steps(start, end, size)
    whole = all(step is not _Side.BOTH for step, _, _ in steps)
    siblings = [subtree_root(low, high, read) for _, low, high in reversed(steps)]
    hashes = siblings if whole else [subtree_root(base, base + width, read), *siblings]
    return SubtreeProof(start=start, end=end, size=size, hashes=tuple(hashes))


def verify_subtree(proof: SubtreeProof, subtree: Hash, root: Hash) -> None:
    """Check that the leaves [start, end) of the tree with `root` are those of the tree with root `subtree`.

    Source: section 4.4.2 of the draft. Raises ProofSizeError unless it is a subtree and end <= size,
    ProofLengthError, HashLengthError, RootMismatchError.
    """
    steps, _, _ = _subtree_steps(proof.start, proof.end, proof.size)
    whole = all(step is not _Side.BOTH for step, _, _ in steps)
    _check_length(len(steps) + (not whole), len(proof.hashes))
    for item in (subtree, root, *proof.hashes):
        parse_hash(item)
    part = tree = subtree if whole else proof.hashes[0]
    for (step, _, _), sibling in zip(reversed(steps), proof.hashes if whole else proof.hashes[1:], strict=True):
        if step is _Side.RIGHT:
            tree = node_hash(tree, sibling)
            continue
        tree = node_hash(sibling, tree)
        if step is _Side.BOTH:
            part = node_hash(sibling, part)
    _check_root(subtree, part)
    _check_root(root, tree)


def root_from_inclusion(proof: InclusionProof, leaf: Hash) -> Hash:
    """The root that this proof gives for this leaf (RFC 9162 section 2.1.3.2). Cost: at most 63 hashes.

    Raises ProofIndexError, ProofLengthError or HashLengthError.
    """
    index, size, hashes = proof.index, proof.size, proof.hashes
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofIndexError(index=index, size=size)
    inner = (index ^ (size - 1)).bit_length()
    want = inner + (index >> inner).bit_count()
    if len(hashes) != want:
        raise ProofLengthError(want=want, got=len(hashes))
    root: bytes = parse_hash(leaf)
    path = (index & ((1 << inner) - 1)) | (-1 << inner)  # above `inner` every sibling stands left
    for sibling in hashes:
        if len(sibling) != HASH_BYTES:
            raise HashLengthError(got=len(sibling))
        root = sha256(b"\x01" + sibling + root if path & 1 else b"\x01" + root + sibling).digest()
        path >>= 1
    return Hash(root)


def verify_inclusion(proof: InclusionProof, leaf: Hash, root: Hash) -> None:
    """Check that `leaf` is leaf `proof.index` of the tree of `proof.size` leaves with this root.

    Source: RFC 9162 section 2.1.3.2. Raises ProofIndexError if index >= size, ProofLengthError if the number
    of hashes is not the one the tree requires, HashLengthError, RootMismatchError otherwise.
    """
    got = root_from_inclusion(proof, leaf)
    if got != root:
        raise RootMismatchError(want=root, got=got)


def verify_consistency(proof: ConsistencyProof, old_root: Hash, new_root: Hash) -> None:
    """Check that the tree with `old_root` is a prefix of the tree with `new_root`.

    Source: RFC 9162 section 2.1.4.2. Equal sizes need equal roots and no hashes. Raises ProofSizeError unless
    0 < old <= new, ProofLengthError, HashLengthError, RootMismatchError.
    """
    old, new, hashes = proof.old, proof.new, proof.hashes
    _check_sizes(old, new)
    if old == new:
        _check_length(0, len(hashes))
        _check_root(new_root, old_root)
        return
    for item in (old_root, new_root, *hashes):
        parse_hash(item)
    shift = (old & -old).bit_length() - 1
    inner = ((old - 1) ^ (new - 1)).bit_length() - shift
    border = (old - 1) >> (inner + shift)
    complete = old == 1 << shift  # then the old tree is itself a node of the new one
    _check_length(inner + border.bit_count() + (not complete), len(hashes))
    seed, path = (old_root, hashes) if complete else (hashes[0], hashes[1:])
    mask = (old - 1) >> shift
    old_got = new_got = seed
    for height, sibling in enumerate(path):
        if height >= inner or (mask >> height) & 1:
            old_got = Hash(sha256(b"\x01" + sibling + old_got).digest())
            new_got = Hash(sha256(b"\x01" + sibling + new_got).digest())
        else:
            new_got = Hash(sha256(b"\x01" + new_got + sibling).digest())
    _check_root(old_root, old_got)
    _check_root(new_root, new_got)


class _Side(Enum):
    """Where the sibling stands on the way down to a subtree."""

    RIGHT = 1  # right of the way, outside the subtree
    LEFT = 2  # left of it, outside
    BOTH = 3  # left of it, and itself inside the subtree


def _subtree_steps(start: int, end: int, size: int) -> tuple[list[tuple[_Side, int, int]], int, int]:
    """From the root down: each sibling's side and leaves; then first leaf and width of what the way ends at."""
    if not is_subtree(start, end) or not end <= size <= MAX_SIZE:
        raise ProofSizeError(old=end - start, new=size)
    steps: list[tuple[_Side, int, int]] = []
    base = 0
    while (start, end) != (base, base + size):
        middle = base + (1 << ((size - 1).bit_length() - 1))
        if end <= middle:
            steps.append((_Side.RIGHT, middle, base + size))
            size = middle - base
            continue
        side = _Side.LEFT if middle <= start else _Side.BOTH
        steps.append((side, base, middle))
        start, base, size = max(start, middle), middle, base + size - middle
    return steps, base, size


def _path(index: int, size: int, level: int, read: HashReader) -> tuple[Hash, ...]:
    """Siblings on the way from the subtree of `level` over leaf `index` to the root of `size` leaves."""
    inner = (index ^ (size - 1)).bit_length()
    hashes = [read(at, (index >> at) ^ 1) for at in range(level, inner - 1)]
    if inner:  # here the way leaves the right edge: the sibling may be incomplete
        start = ((index >> (inner - 1)) + 1) << (inner - 1)
        hashes.append(fold([read(at, i) for at, i in range_nodes(start, size)]))
    border = index >> inner
    while border:
        if border & 1:
            hashes.append(read(inner, border - 1))
        border >>= 1
        inner += 1
    return tuple(hashes)


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofIndexError(index=index, size=size)


def _check_sizes(old: int, new: int) -> None:
    if not 0 < old <= new <= MAX_SIZE:
        raise ProofSizeError(old=old, new=new)


def _check_length(want: int, got: int) -> None:
    if want != got:
        raise ProofLengthError(want=want, got=got)


def _check_root(want: Hash, got: Hash) -> None:
    if want != got:
        raise RootMismatchError(want=want, got=got)


def hashes_of(items: Sequence[bytes]) -> tuple[Hash, ...]:
    """Take outside byte strings as hashes; raises HashLengthError."""
    return tuple(parse_hash(item) for item in items)
