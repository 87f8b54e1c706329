"""Pictures of pages compared: what is the same to the eye, and what is not."""

import io

import pytest
from PIL import Image, ImageDraw, ImageFilter

from mingzheng.formats import likeness
from mingzheng.formats.likeness import COARSE_DPI, FINE_DPI, LIMIT, TINT_DPI
from mingzheng.formats.page import Rect


def paper(dpi: int, mode: str = "L") -> Image.Image:
    side = round(60 * dpi / 25.4)
    return Image.new(mode, (side, side), 255 if mode == "L" else (255, 255, 255))


def lined(dpi: int, *lines: tuple[int, int, int, int], shift: int = 0, width: int = 5) -> Image.Image:
    picture = paper(dpi)
    for line in lines:
        ImageDraw.Draw(picture).line([value + shift for value in line], fill=0, width=width)
    return picture


LONG, SHORT = (100, 100, 150, 100), (100, 100, 142, 100)


def test_equal_pictures_have_no_changed_tile() -> None:
    picture = lined(COARSE_DPI, (20, 20, 60, 20))
    assert likeness.changed_tiles(picture, picture.copy(), COARSE_DPI) == ()
    other = picture.copy()
    other.putpixel((130, 70), 200)
    assert likeness.changed_tiles(picture, other, COARSE_DPI) == ((2, 1),)


@pytest.mark.parametrize("shift", range(4))
def test_a_small_shift_and_a_blur_are_no_difference(shift: int) -> None:
    picture = lined(FINE_DPI, LONG, (120, 60, 120, 150))
    other = lined(FINE_DPI, LONG, (120, 60, 120, 150), shift=shift).filter(ImageFilter.GaussianBlur(0.8))
    tiles = likeness.tiles_of(picture, FINE_DPI)
    assert likeness.unlike_tiles(picture, other, tiles, FINE_DPI, most=99) == ()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_longer_stroke_is_a_difference(swapped: bool) -> None:
    one, other = lined(FINE_DPI, LONG), lined(FINE_DPI, SHORT)
    pair = (other, one) if swapped else (one, other)
    (tile,) = likeness.unlike_tiles(*pair, ((0, 0),), FINE_DPI, most=99)
    assert tile.score >= LIMIT
    assert 142 * 25.4 / FINE_DPI - 1 < tile.rect.x_mm < 150 * 25.4 / FINE_DPI


def test_the_search_ends_when_enough_is_found() -> None:
    one, other = lined(FINE_DPI, (10, 10, 900, 900), width=9), paper(FINE_DPI)
    tiles = likeness.tiles_of(one, FINE_DPI)
    assert len(likeness.unlike_tiles(one, other, tiles, FINE_DPI, most=2)) == 2
    assert max(likeness.scores(one, other, tiles[:1], FINE_DPI)) > LIMIT


def test_a_pale_colour_is_seen_from_afar() -> None:
    one = paper(TINT_DPI, "RGB")
    other = one.copy()
    ImageDraw.Draw(other).rectangle((200, 200, 260, 260), fill=(255, 240, 60))
    assert likeness.tinted_places(one, one, TINT_DPI) == ()
    assert likeness.tint(one, other, TINT_DPI) > 26
    places = likeness.tinted_places(one, other, TINT_DPI)
    assert places
    assert all(place.meets(Rect(x_mm=15, y_mm=15, width_mm=9, height_mm=9)) for place in places)


def test_ink_in_an_empty_place() -> None:
    empty = lined(COARSE_DPI, (5, 5, 200, 5), width=2)
    assert not likeness.has_ink(empty, empty)
    signed = empty.copy()
    ImageDraw.Draw(signed).line((30, 30, 90, 70), fill=60, width=3)
    assert likeness.has_ink(empty, signed)
    assert likeness.marked(signed)
    assert not likeness.marked(paper(COARSE_DPI))
    assert likeness.inked_tiles(empty, COARSE_DPI) > 0


def test_red_ink_and_other_ink() -> None:
    one = paper(COARSE_DPI, "RGB")
    for colour, good in (((230, 20, 20), True), ((190, 10, 10), True), ((0, 0, 0), False), ((20, 20, 200), False)):
        other = one.copy()
        ImageDraw.Draw(other).ellipse((40, 40, 160, 160), outline=colour, width=5)
        assert likeness.only_red(one, other) is good
        assert likeness.is_grey(other) is (colour == (0, 0, 0))


def test_bounds_of_ink() -> None:
    assert likeness.ink_bounds(paper(COARSE_DPI), COARSE_DPI) is None
    bounds = likeness.ink_bounds(lined(COARSE_DPI, (59, 59, 118, 59), width=1), COARSE_DPI)
    assert bounds is not None
    assert (round(bounds.x_mm), round(bounds.y_mm), round(bounds.width_mm)) == (10, 10, 10)


def test_transplanted_places_are_not_compared() -> None:
    one, other = paper(COARSE_DPI), lined(COARSE_DPI, (20, 20, 60, 20))
    likeness.transplant(other, one, [Rect(x_mm=2, y_mm=2, width_mm=20, height_mm=10)], COARSE_DPI, grow_mm=0.5)
    assert other.getextrema() == (255, 255)
    likeness.transplant(other, one, [Rect(x_mm=900, y_mm=2, width_mm=20, height_mm=10)], COARSE_DPI, grow_mm=0)


def test_two_pictures_side_by_side() -> None:
    one = paper(72, "RGB")
    png = likeness.paired_png(one, one, [(10, 10, 40, 40)])
    picture = Image.open(io.BytesIO(png))
    assert picture.width == 2 * one.width + 8
    assert picture.getpixel((10, 20)) == picture.getpixel((one.width + 18, 20)) == (220, 0, 0)
