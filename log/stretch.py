"""Consecutive entries of a log with the hashes that fold them to a signed root (docs/audit.md, Evidence).

Pure. Not one proof an entry but the complete subtrees left and right of all of them, as RFC 9162 section 2.1.1 cuts
the tree: at most 126 hashes, however many entries. A checker learns that they stand there, and that nothing stands
between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from mingzheng.log.errors import ProofIndexError, ProofLengthError
from mingzheng.log.hashing import Hash, leaf_hash, parse_hash
from mingzheng.log.merkle import MAX_SIZE, HashReader, range_nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The entries from `start` on. `left` and `right`: roots of the subtrees over what stands before and behind."""

    start: int
    entries: tuple[bytes, ...]
    left: tuple[Hash, ...]
    right: tuple[Hash, ...]

    @property
    def end(self) -> int:
        """One behind the last entry."""
        return self.start + len(self.entries)


def build_stretch(start: int, entries: Sequence[bytes], size: int, read: HashReader) -> Stretch:
    """Take the hashes around from stored ones. Raises ProofIndexError unless the entries are some below `size`."""
    end = start + len(entries)
    _check(start, end, size)
    return Stretch(
        start=start,
        entries=tuple(entries),
        left=tuple(read(level, index) for level, index in range_nodes(0, start)),
        right=tuple(read(level, index) for level, index in range_nodes(end, size)),
    )


def stretch_root(stretch: Stretch, size: int) -> Hash:
    """The root of the tree of `size` leaves in which the stretch stands.

    Raises ProofIndexError unless it lies below `size`, ProofLengthError for another number of hashes than the tree
    requires, HashLengthError for one that is none. Cost: a hash or two an entry.
    """
    _check(stretch.start, stretch.end, size)
    left, right = range_nodes(0, stretch.start), range_nodes(stretch.end, size)
    for want, got in ((left, stretch.left), (right, stretch.right)):
        if len(want) != len(got):
            raise ProofLengthError(want=len(want), got=len(got))
    nodes = {place: parse_hash(item) for place, item in zip(left + right, stretch.left + stretch.right, strict=True)}
    for index, entry in enumerate(stretch.entries, stretch.start):
        nodes[0, index] = leaf_hash(entry)
    return _root(0, size, nodes)


def _check(start: int, end: int, size: int) -> None:
    if not 0 <= start < end <= size <= MAX_SIZE:
        raise ProofIndexError(index=start, size=size)


def _root(start: int, end: int, nodes: dict[tuple[int, int], Hash]) -> Hash:
    """Root over the leaves [start, end), split at the largest power of two below their number (RFC 9162 2.1.1)."""
    width = end - start
    level = (width - 1).bit_length()
    found = nodes.get((level, start >> level)) if width == 1 << level else None
    if found is not None:
        return found
    middle = start + (1 << (level - 1))
    left, right = _root(start, middle, nodes), _root(middle, end, nodes)
    return Hash(sha256(b"\x01" + left + right).digest())
