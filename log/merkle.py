"""The tree of RFC 9162 section 2.1 as stored hashes: complete subtrees only, addressed (level, index).

Node (L, i) covers the leaves [i * 2^L, (i + 1) * 2^L) and exists once they all do. Growth needs the right
edge alone: O(log n) memory at any size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from mingzheng.log.errors import ProofIndexError
from mingzheng.log.hashing import EMPTY_ROOT, Hash, node_hash

HashReader = Callable[[int, int], Hash]
"""Gives the stored hash (level, index) of a complete subtree."""

MAX_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RightEdge:
    """The complete subtrees whose leaves are [0, size): all that appending and the root need.

    `hashes`: one per one-bit of `size`, largest (leftmost) subtree first.
    """

    size: int
    hashes: tuple[Hash, ...]

    def root(self) -> Hash:
        """Root hash of the tree of `size` leaves."""
        return fold(self.hashes) if self.hashes else EMPTY_ROOT


EMPTY_EDGE = RightEdge(size=0, hashes=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What appending leaves added.

    `levels[L]`: the new complete hashes of level L joined (32 bytes each), first index `old.size >> L`.
    """

    old: RightEdge
    edge: RightEdge
    levels: tuple[bytes, ...]


def range_nodes(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """The fewest stored hashes (level, index) that cover [start, end), left to right."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append((level, start >> level))
        start += 1 << level
    return tuple(nodes)


def fold(hashes: Sequence[Hash]) -> Hash:
    """Join subtree hashes that get smaller from left to right into their root; at least one hash."""
    root = hashes[-1]
    for left in hashes[-2::-1]:
        root = node_hash(left, root)
    return root


def read_edge(size: int, read: HashReader) -> RightEdge:
    """The right edge of the tree of `size` leaves, from stored hashes."""
    return RightEdge(size=size, hashes=tuple(read(level, index) for level, index in range_nodes(0, size)))


def tree_root(size: int, read: HashReader) -> Hash:
    """Root of the tree of `size` leaves, from stored hashes; at most 63 reads."""
    return read_edge(size, read).root()


def subtree_root(start: int, end: int, read: HashReader) -> Hash:
    """Root of the tree over the leaves [start, end) alone, as RFC 9162 builds it.

    `start` must be a multiple of the least power of two >= end - start (so that stored hashes serve).
    Raises ProofIndexError otherwise or if the range is empty.
    """
    width = end - start
    if start < 0 or width < 1 or start % (1 << (width - 1).bit_length()):
        raise ProofIndexError(index=start, size=width)
    return fold([read(level, index) for level, index in range_nodes(start, end)])


def root_of(leaves: Sequence[Hash]) -> Hash:
    """Root of the tree over these leaf hashes."""
    return grow(EMPTY_EDGE, leaves).edge.root()


def grow(old: RightEdge, leaves: Sequence[Hash]) -> Growth:
    """Append leaf hashes to the tree behind a right edge. Cost: one hash per leaf, about log2(n) more.

    Works level by level: the new nodes of a level, preceded by the edge's node where the pair is odd,
    are joined in pairs to the new nodes of the next level.
    """
    size = old.size + len(leaves)
    before = dict(_by_level(old))
    after: dict[int, Hash] = {}
    levels: list[bytes] = []
    nodes: list[Hash] = list(leaves)
    level = 0
    while (size >> level) > 0:
        if nodes:
            levels.append(b"".join(nodes))
        if (old.size >> level) & 1:
            nodes.insert(0, before[level])
        if (size >> level) & 1:
            after[level] = nodes.pop()
        pairs = iter(nodes)
        nodes = [Hash(sha256(b"\x01" + left + right).digest()) for left, right in zip(pairs, pairs, strict=True)]
        level += 1
    edge = RightEdge(size=size, hashes=tuple(after[level] for level in sorted(after, reverse=True)))
    return Growth(old=old, edge=edge, levels=tuple(levels))


def _by_level(edge: RightEdge) -> list[tuple[int, Hash]]:
    levels = [level for level in range(edge.size.bit_length() - 1, -1, -1) if (edge.size >> level) & 1]
    return list(zip(levels, edge.hashes, strict=True))
