"""Text shrinks to its floor, then breaks where Chinese text may break, and nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.textfit import fit_line, wrap


class Grid:
    """Chinese characters one em wide, ASCII half an em."""

    def width(self, text: str, size_mm: float) -> float:
        return sum(0.5 if char.isascii() else 1.0 for char in text) * size_mm


GRID = Grid()


@pytest.mark.parametrize(("width", "size"), [(50.0, 5.0), (49.0, 4.9), (41.0, 4.1), (40.0, 4.0), (39.9, None)])
def test_shrinks_in_tenths_down_to_the_floor(width: float, size: float | None) -> None:
    found = fit_line("十个字十个字十个字啊", width_mm=width, size_mm=5.0, floor_mm=4.0, measure=GRID)
    assert found == (None if size is None else pytest.approx(size))


def test_breaks_between_any_two_characters() -> None:
    assert wrap("一二三四五六七", width_mm=3, size_mm=1, measure=GRID) == ("一二三", "四五六", "七")


def test_closing_punctuation_never_begins_a_line() -> None:
    assert wrap("一二三，四五", width_mm=3, size_mm=1, measure=GRID) == ("一二", "三，四", "五")
    assert wrap("一二三）。四", width_mm=3, size_mm=1, measure=GRID) == ("一二", "三）。", "四")


def test_opening_punctuation_never_ends_a_line() -> None:
    assert wrap("一二（三四）", width_mm=3, size_mm=1, measure=GRID) == ("一二", "（三", "四）")


def test_words_and_numbers_stay_whole() -> None:
    assert wrap("第2026号 ab cd", width_mm=3, size_mm=1, measure=GRID) == ("第2026", "号 ab", "cd")


def test_a_word_wider_than_the_line_is_broken() -> None:
    assert wrap("abcdefgh", width_mm=2, size_mm=1, measure=GRID) == ("abcd", "efgh")


def test_spaces_at_a_break_are_dropped() -> None:
    assert wrap("ab   cd", width_mm=1, size_mm=1, measure=GRID) == ("ab", "cd")


def test_a_line_narrower_than_a_character_does_not_work() -> None:
    assert wrap("一", width_mm=0.9, size_mm=1, measure=GRID) is None
    assert wrap("a一", width_mm=0.9, size_mm=1, measure=GRID) is None


def test_empty_text_is_one_empty_line() -> None:
    assert wrap("", width_mm=1, size_mm=1, measure=GRID) == ("",)


@given(
    st.text(alphabet="一二三（），。ab1 ", min_size=1, max_size=60).map(str.strip),
    st.integers(min_value=2, max_value=20),
)
def test_nothing_is_lost_and_every_line_fits(text: str, width: int) -> None:
    lines = wrap(text, width_mm=width, size_mm=1, measure=GRID)
    assert lines is not None
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(GRID.width(line, 1) <= width for line in lines)
