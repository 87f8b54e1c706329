"""Blocks: a round's interval cut into its maximal aligned complete subtrees (docs/spec/log.md, Rounds and blocks)."""

from dataclasses import dataclass

from mingzheng.log.errors import BlockError
from mingzheng.log.merkle import MAX_SIZE

DEFAULT_HEIGHT = 4
MAX_HEIGHT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The leaves [start, end): a power of two of them, `start` a multiple of their number."""

    start: int
    end: int

    @property
    def width(self) -> int:
        """Number of leaves."""
        return self.end - self.start


def blocks(start: int, end: int, height: int) -> tuple[Block, ...]:
    """The blocks of the round [start, end), left to right, each 2 to 2^height wide.

    Raises BlockError unless both bounds are even, start < end and 1 <= height <= 8.
    """
    _check(start, end, height)
    cut = []
    while start < end:
        block = _block_at(start, end, height)
        cut.append(block)
        start = block.end
    return tuple(cut)


def block_of(index: int, *, start: int, end: int, height: int) -> Block:
    """The block of the round [start, end) that holds leaf `index`; raises BlockError if none does."""
    _check(start, end, height)
    if not start <= index < end:
        raise BlockError(start=start, end=end, height=height, detail=f"index {index} is outside")
    first, last = index & ~1, (index & ~1) + 2
    for level in range(2, height + 1):  # the widest aligned subtree around the leaf that the round holds whole
        low = index >> level << level
        if low < start or low + (1 << level) > end:
            break
        first, last = low, low + (1 << level)
    return Block(start=first, end=last)


def is_block(start: int, end: int, height: int) -> bool:
    """Whether [start, end) has the shape of a block at this height."""
    width = end - start
    return 2 <= width <= 1 << height and not width & (width - 1) and start >= 0 and start % width == 0


def _block_at(start: int, end: int, height: int) -> Block:
    level = min(height, (end - start).bit_length() - 1)
    if start:
        level = min(level, (start & -start).bit_length() - 1)
    return Block(start=start, end=start + (1 << level))


def _check(start: int, end: int, height: int) -> None:
    if not 1 <= height <= MAX_HEIGHT:
        raise BlockError(start=start, end=end, height=height, detail=f"height is not 1 to {MAX_HEIGHT}")
    if not 0 <= start < end <= MAX_SIZE or start % 2 or end % 2:
        raise BlockError(start=start, end=end, height=height, detail="bounds are not even and rising")
