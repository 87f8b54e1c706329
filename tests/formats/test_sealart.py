"""Faces of seals: geometry by numbers, and what a renderer makes of them."""

import io
import itertools
import math
import re

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.page import MissingGlyphError, Path
from mingzheng.formats.sealart import (
    SEAL_RED,
    SealArt,
    SealArtError,
    organisation_seal,
    personal_seal,
    seal_art_pdf,
    seal_art_png,
)

FONTS = load_fonts()
MINISTRY = "中华人民共和国住房和城乡建设部"


def points(path: Path) -> list[tuple[float, float]]:
    numbers = [float(word) for word in path.data.split() if not word.isalpha()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def named(art: SealArt, name: str) -> Path:
    (path,) = (path for path in art.paths if path.name == name)
    return path


def characters(path: Path, rows: int) -> list[list[tuple[float, float]]]:
    """Contours grouped by nothing but order; only for one-contour glyphs."""
    return [points_of(part) for part in re.findall(r"M[^M]*", path.data)][:rows]


def points_of(data: str) -> list[tuple[float, float]]:
    numbers = [float(word) for word in data.split() if not word.isalpha()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_the_star_is_a_regular_pentagram() -> None:
    star = points(named(organisation_seal(MINISTRY, number=None, fonts=FONTS), "seal.star"))
    assert len(star) == 10
    reach = [math.dist(point, (21, 21)) for point in star]
    assert reach[::2] == pytest.approx([7.0] * 5, abs=0.002)
    assert reach[1::2] == pytest.approx([7.0 * math.sin(math.radians(18)) / math.sin(math.radians(54))] * 5, abs=0.002)
    assert star[0] == pytest.approx((21, 14), abs=0.002)
    # tip, two inner corners and the opposite tip lie on one line: what makes the edges of a star straight
    for at in range(0, 10, 2):
        first, near, far, last = (star[(at + step) % 10] for step in (0, 1, 3, 4))
        for point in (near, far):
            cross = (last[0] - first[0]) * (point[1] - first[1]) - (last[1] - first[1]) * (point[0] - first[0])
            assert abs(cross) < 0.05


def test_the_name_stands_evenly_on_the_upper_arc_heads_outwards() -> None:
    art = organisation_seal("一" * 9, number=None, fonts=FONTS)  # one contour each
    glyphs = characters(named(art, "seal.name"), 9)
    middles = [tuple(sum(values) / len(values) for values in zip(*glyph, strict=True)) for glyph in glyphs]
    angles = [math.degrees(math.atan2(x - 21, 21 - y)) for x, y in middles]
    steps = [after - before for before, after in itertools.pairwise(angles)]
    assert steps == pytest.approx([steps[0]] * 8, abs=0.1)
    assert angles[0] == pytest.approx(-angles[-1], abs=3)
    assert all(10 < math.dist(point, (21, 21)) < 19.8 for glyph in glyphs for point in glyph)


def test_number_and_line_stand_below() -> None:
    art = organisation_seal(MINISTRY, number="1101020012345", line="行政审批专用章", fonts=FONTS)
    number, line = points(named(art, "seal.number")), points(named(art, "seal.line"))
    assert all(y > 30 and 18 < math.dist((x, y), (21, 21)) + 1.8 < 20.9 for x, y in number)
    assert min(x for x, _ in number) < 16
    assert max(x for x, _ in number) > 26
    assert all(8 < x < 34 and 28 < y < 34 for x, y in line)


@pytest.mark.parametrize(
    ("whole", "name", "line"),
    [
        ("中华人民共和国住房和城乡建设部一级建造师行政许可专用章", MINISTRY, "一级建造师行政许可专用章"),
        ("某省住房和城乡建设厅行政审批专用章", "某省住房和城乡建设厅", "行政审批专用章"),
        ("全国注册建筑师管理委员会", "全国注册建筑师管理委员会", None),
        ("某公章专用章", "某公章专用章", None),
    ],
)
def test_the_purpose_in_a_name_goes_below_the_star(whole: str, name: str, line: str | None) -> None:
    assert organisation_seal(whole, number=None, fonts=FONTS) == organisation_seal(
        name, number=None, line=line, fonts=FONTS
    )
    assert any(path.name == "seal.line" for path in organisation_seal(whole, number=None, fonts=FONTS).paths) == bool(
        line
    )


def test_the_personal_seal_is_read_from_the_right() -> None:
    art = personal_seal("一二", fonts=FONTS)
    first = points_of(re.findall(r"M[^M]*", named(art, "seal.name").data)[0])
    assert all(x > 11 and y < 11 for x, y in first)  # 一 at the upper right, then 二 below it, 之 and 印 on the left
    rest = points_of(re.findall(r"M[^M]*", named(art, "seal.name").data)[1])
    assert all(x > 11 and y > 11 for x, y in rest)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("张三", "张三之印"),
        ("王小明", "王小明印"),
        ("艾·力", "艾力之印"),
        ("欧阳修远", "欧阳修远"),
        ("李丽章", "李丽章"),
    ],
)
def test_a_short_name_is_filled_up(name: str, same: str) -> None:
    assert personal_seal(name, fonts=FONTS) == personal_seal(same, fonts=FONTS)


@settings(max_examples=20)
@given(name=st.text(alphabet="某省市县住房和城乡建设厅委员会一丨", min_size=1, max_size=40), size=st.floats(20, 60))
def test_everything_lies_within_the_ring(name: str, size: float) -> None:
    art = organisation_seal(name, number="0123456789", size_mm=size, fonts=FONTS)
    for path in art.paths[1:]:
        assert all(math.dist(point, (size / 2, size / 2)) < size / 2 - 1.2 * size / 42 for point in points(path))
    assert art.width_mm == art.height_mm == size


@settings(max_examples=20)
@given(name=st.text(alphabet="张王李赵一丨之印", min_size=1, max_size=9))
def test_everything_lies_within_the_border(name: str) -> None:
    art = personal_seal(name, fonts=FONTS)
    for path in art.paths[1:]:
        assert all(1.5 < x < 20.5 and 1.5 < y < 20.5 for x, y in points(path))


@pytest.mark.parametrize("bad", ["", "长" * 41])
def test_refuses_what_cannot_be_a_name(bad: str) -> None:
    with pytest.raises(SealArtError):
        organisation_seal(bad, number=None, fonts=FONTS)


def test_refuses_other_texts_and_sizes() -> None:
    with pytest.raises(SealArtError):
        organisation_seal("某局", number="1" * 25, fonts=FONTS)
    with pytest.raises(SealArtError):
        organisation_seal("某局", number=None, line="长" * 13, fonts=FONTS)
    with pytest.raises(SealArtError):
        organisation_seal("某局", number=None, size_mm=9.9, fonts=FONTS)
    with pytest.raises(SealArtError):
        personal_seal("一二三四五六七八九十", fonts=FONTS)
    with pytest.raises(SealArtError):
        seal_art_png(personal_seal("张三", fonts=FONTS), dpi=49)
    with pytest.raises(MissingGlyphError):
        personal_seal("张\U0002ebf0", fonts=FONTS)


def test_png_is_transparent_red_and_of_its_size() -> None:
    picture = Image.open(io.BytesIO(seal_art_png(organisation_seal(MINISTRY, number=None, fonts=FONTS), dpi=300)))
    assert picture.mode == "RGBA"
    assert picture.size == pytest.approx((496, 496), abs=1)
    assert picture.getpixel((248, 248)) == (*SEAL_RED, 255)  # the star
    assert picture.getpixel((2, 2))[3] == 0  # type: ignore[index]
    assert picture.getpixel((248, 400))[3] == 0  # type: ignore[index]
    grey = picture.convert("LA").getpixel((248, 248))
    assert isinstance(grey, tuple)
    assert grey[0] < 100  # dark on a black-and-white printer


def test_pdf_is_one_vector_page_and_always_the_same() -> None:
    art = personal_seal("张三", fonts=FONTS)
    data = seal_art_pdf(art)
    assert data == seal_art_pdf(personal_seal("张三", fonts=FONTS))
    with pypdfium2.PdfDocument(data) as document:
        assert len(document) == 1
        assert document[0].get_size() == pytest.approx((22 / 25.4 * 72, 22 / 25.4 * 72), abs=0.01)
        assert b"/Image" not in data
