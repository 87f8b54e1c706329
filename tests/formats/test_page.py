"""Rectangles, bounds and the errors of a page."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.errors import FormatError
from mingzheng.formats.page import (
    QR_PLACE,
    MissingGlyphError,
    PageSpec,
    Path,
    QrSlot,
    QrTooLargeError,
    Rect,
    Role,
    TextOverflowError,
    TextRun,
    bounds,
)

LENGTH = st.floats(min_value=0, max_value=300)


def rect(x: float, y: float, width: float, height: float) -> Rect:
    return Rect(x_mm=x, y_mm=y, width_mm=width, height_mm=height)


def run(**changes: object) -> TextRun:
    base = TextRun(
        name="name",
        group="g",
        role=Role.TEXT,
        x_mm=10,
        y_mm=20,
        width_mm=30,
        size_mm=5,
        text="六个字的一行",
        tracking_mm=0,
        colour=(0, 0, 0),
        language="zh-CN",
    )
    return dataclasses.replace(base, **changes)


def test_edges_of_a_rectangle() -> None:
    assert (rect(1, 2, 3, 4).right_mm, rect(1, 2, 3, 4).bottom_mm) == (4, 6)


def test_inside_counts_the_edge_and_nothing_beyond() -> None:
    outer = rect(0, 0, 10, 10)
    assert outer.inside(outer)
    for outside in (rect(-1, 0, 5, 5), rect(0, -1, 5, 5), rect(6, 0, 5, 5), rect(0, 6, 5, 5)):
        assert not outside.inside(outer)


def test_neighbours_do_not_meet_and_overlaps_do() -> None:
    middle = rect(10, 10, 10, 10)
    for apart in (rect(0, 10, 10, 10), rect(20, 10, 10, 10), rect(10, 0, 10, 10), rect(10, 20, 10, 10)):
        assert not middle.meets(apart)
        assert not apart.meets(middle)
    for over in (middle, rect(19, 19, 5, 5), rect(5, 5, 30, 30), rect(12, 12, 1, 1)):
        assert middle.meets(over)
        assert over.meets(middle)


@given(LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH)
def test_meeting_is_symmetric(a: float, b: float, c: float, d: float, e: float, f: float, g: float, h: float) -> None:
    one, two = rect(a, b, c, d), rect(e, f, g, h)
    assert one.meets(two) == two.meets(one)


def test_bounds_of_text_are_its_em_boxes() -> None:
    box = bounds(run())
    assert (box.x_mm, box.width_mm) == (10, 30)
    assert box.y_mm == pytest.approx(20 - 0.88 * 5)
    assert box.bottom_mm == pytest.approx(20 + 0.12 * 5)


def test_bounds_of_everything_else_is_its_rectangle() -> None:
    path = Path(name="p", role=Role.FIGURE, alt="", rect=QR_PLACE, data="", line_mm=0, dash_mm=(), colour=(0, 0, 0))
    assert bounds(path) is QR_PLACE


def test_module_width_counts_the_quiet_zone() -> None:
    slot = QrSlot(name="qr", alt="", rect=QR_PLACE, rows=(bytes(117),) * 117)
    assert slot.module_mm == pytest.approx(42 / 125)
    assert slot.module_mm >= 0.33  # version 25 fits the place


def test_boxes_by_name() -> None:
    page = PageSpec(
        width_mm=210, height_mm=297, language="zh-CN", title="t", boxes=(run(), run(name="b"), run(text="二"))
    )
    assert [box.text for box in page.named("name") if isinstance(box, TextRun)] == ["六个字的一行", "二"]


def test_errors_carry_their_evidence_in_both_languages() -> None:
    missing = MissingGlyphError("\u4e02")
    assert (missing.char, missing.code) == ("\u4e02", "page.missing_glyph")
    assert "U+4E02" in str(missing)
    assert "字体缺字" in str(missing)
    overflow = TextOverflowError("field.name")
    assert overflow.box == "field.name"
    large = QrTooLargeError(modules=177, module_mm=0.23)
    assert (large.modules, large.module_mm) == (177, 0.23)
    assert all(isinstance(error, FormatError) for error in (missing, overflow, large))
