"""Blocks: every even interval to 300 at every height, and blocks that never change."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.log.block import DEFAULT_HEIGHT, MAX_HEIGHT, Block, block_of, blocks, is_block
from mingzheng.log.errors import BlockError

VECTORS = Path(__file__).parents[1] / "vectors" / "log" / "log.json"


@pytest.mark.parametrize("height", range(1, MAX_HEIGHT + 1))
def test_blocks_tile_every_even_interval_to_300(height: int) -> None:
    for start in range(0, 300, 2):
        for end in range(start + 2, 301, 2):
            at = start
            for block in blocks(start, end, height):
                width = block.end - block.start
                assert block.start == at
                assert 2 <= width <= 2**height
                assert width.bit_count() == 1
                assert block.start % width == 0
                at = block.end
            assert at == end


@pytest.mark.parametrize("height", range(1, MAX_HEIGHT + 1))
def test_blocks_are_maximal(height: int) -> None:
    """No two neighbours could be one block: the cut is the only one with fewest parts."""
    for start in range(0, 80, 2):
        for end in range(start + 2, 81, 2):
            cut = blocks(start, end, height)
            for left, right in pairwise(cut):
                joined = right.end - left.start
                assert left.width != right.width or joined > 2**height or left.start % joined


def test_block_of_is_the_one_of_the_cut_that_holds_the_leaf() -> None:
    for start, end in ((0, 2), (0, 300), (2, 34), (14, 64), (6, 130), (298, 300)):
        for height in (1, 4, 8):
            for block in blocks(start, end, height):
                for index in range(block.start, block.end):
                    assert block_of(index, start=start, end=end, height=height) == block


def test_blocks_of_the_reference_rounds() -> None:
    log = json.loads(VECTORS.read_text())
    cut = [block for start, end in log["rounds"] for block in blocks(start, end, DEFAULT_HEIGHT)]
    assert log["blocks"]["height"] == DEFAULT_HEIGHT
    assert [[block.start, block.end] for block in cut] == log["blocks"]["blocks"]


def test_shape_of_a_block() -> None:
    for start in range(-4, 70):
        for end in range(-4, 70):
            width = end - start
            want = start >= 0 and width in (2, 4, 8, 16) and start % width == 0
            assert is_block(start, end, 4) is want


@given(st.integers(0, 2**61), st.integers(1, 2000), st.integers(1, MAX_HEIGHT))
def test_blocks_far_out_have_the_shape_of_blocks(half_start: int, pairs: int, height: int) -> None:
    start, end = 2 * half_start, 2 * (half_start + pairs)
    cut = blocks(start, end, height)
    assert all(is_block(block.start, block.end, height) for block in cut)
    assert sum(block.width for block in cut) == end - start
    assert cut[0].start == start


@pytest.mark.parametrize(
    ("start", "end", "height"),
    [(0, 0, 4), (2, 0, 4), (1, 4, 4), (0, 3, 4), (-2, 2, 4), (0, 2, 0), (0, 2, 9), (0, 2, -1), (0, 2**63, 4)],
)
def test_refuses_intervals_and_heights_that_no_round_has(start: int, end: int, height: int) -> None:
    with pytest.raises(BlockError) as caught:
        blocks(start, end, height)
    assert (caught.value.start, caught.value.end, caught.value.height) == (start, end, height)
    with pytest.raises(BlockError):
        block_of(start, start=start, end=end, height=height)


@pytest.mark.parametrize("index", [-1, 3, 10])
def test_refuses_a_leaf_outside_the_round(index: int) -> None:
    with pytest.raises(BlockError, match="outside"):
        block_of(index, start=4, end=10, height=4)


def test_width() -> None:
    assert Block(start=8, end=16).width == 8
