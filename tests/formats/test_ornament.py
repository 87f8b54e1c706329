"""Ornament is path data of the page's grammar and stays inside its rectangle."""

import re

import pytest

from mingzheng.formats.ornament import band, ellipse, rectangle, rosette
from mingzheng.formats.page import Rect

RECT = Rect(x_mm=10, y_mm=20, width_mm=100, height_mm=150)
GRAMMAR = re.compile(r"(M( -?\d+\.\d\d){2}|L( -?\d+\.\d\d){2}|C( -?\d+\.\d\d){6}|Z)( |$)")


def ends(data: str) -> list[tuple[float, float]]:
    """The points on the path, control points left out."""
    found = []
    for part in re.findall(r"[MLCZ][^MLCZ]*", data):
        values = [float(value) for value in part[1:].split()]
        if values:
            found.append((values[-2], values[-1]))
    return found


@pytest.mark.parametrize(
    "data",
    [
        band(RECT, depth_mm=7, wave_mm=7, strands=3),
        ellipse(RECT),
        rectangle(RECT),
        rosette(60, 95, radius_mm=50, petals=31, inner=0.3, turns=9, points=500),
    ],
)
def test_path_data_follows_the_grammar_and_stays_inside(data: str) -> None:
    assert GRAMMAR.sub("", data) == ""
    for x, y in ends(data):
        assert RECT.x_mm - 0.01 <= x <= RECT.right_mm + 0.01
        assert RECT.y_mm - 0.01 <= y <= RECT.bottom_mm + 0.01


def test_band_leaves_the_middle_free() -> None:
    inner = Rect(x_mm=17.01, y_mm=27.01, width_mm=85.98, height_mm=135.98)
    for x, y in ends(band(RECT, depth_mm=7, wave_mm=7, strands=3)):
        assert not (inner.x_mm < x < inner.right_mm and inner.y_mm < y < inner.bottom_mm)


def test_the_same_rectangle_gives_the_same_band() -> None:
    again = Rect(x_mm=10, y_mm=20, width_mm=100, height_mm=150)
    assert band(RECT, depth_mm=7, wave_mm=7, strands=2) == band(again, depth_mm=7, wave_mm=7, strands=2)
