"""The shipped font covers the names of the country, is lawfully named, and never leaves a blank box."""

import io
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from mingzheng.formats.fontfile import FONT_BYTES_MAX, Font, FontError, FontSet, load_font, load_fonts
from mingzheng.formats.page import MissingGlyphError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "formats/fonts/MingZhengKai-Regular.ttf"
VECTORS = ROOT / "tests/vectors/fonts"
RARE = "\u4e02"  # in the fallback vector, not in the shipped font


def standard_characters() -> list[str]:
    lines = (VECTORS / "tgh-2013.txt").read_text(encoding="utf-8").splitlines()
    return [char for line in lines if not line.startswith("#") for char in line]


@pytest.fixture(scope="module")
def tables() -> TTFont:
    return TTFont(SHIPPED)


def test_table_of_general_standard_characters_has_8105_and_the_font_has_them_all(tables: TTFont) -> None:
    characters = standard_characters()
    assert len(characters) == len(set(characters)) == 8105
    assert "".join(characters[:5]) == "一乙二十丁"
    assert {char for char in characters if ord(char) not in tables.getBestCmap()} == set()
    fonts = load_fonts()
    assert all(fonts.width(char, 1.0) == 1.0 for char in characters)


def test_font_has_gb2312_names_letters_and_rare_ideographs(tables: TTFont) -> None:
    cmap = tables.getBestCmap()
    gb2312 = bytes(range(0xA1, 0xF8))
    for row in gb2312:
        for cell in range(0xA1, 0xFF):
            try:
                char = bytes((row, cell)).decode("gb2312")
            except UnicodeDecodeError:
                continue
            assert ord(char) in cmap, f"U+{ord(char):04X}"
    for char in "𠮷·喆堃燚犇镕珺𬭎䶮（），。：；“”—…０Ａ〇" + "".join(map(chr, range(0x20, 0x7F))):
        assert ord(char) in cmap, f"U+{ord(char):04X}"


def test_every_mapped_ideograph_has_an_outline(tables: TTFont) -> None:
    glyf = tables["glyf"]
    empty = {
        point
        for point, name in tables.getBestCmap().items()
        if glyf[name].numberOfContours == 0 and not chr(point).isspace() and point not in (0xAD, 0x3164, 0xFFA0)
    }
    assert not empty, [f"U+{point:04X}" for point in sorted(empty)][:9]


def test_font_is_truetype_without_hinting_and_of_reasonable_size(tables: TTFont) -> None:
    assert "glyf" in tables
    assert not {"fpgm", "prep", "cvt ", "CFF "} & set(tables.keys())
    assert SHIPPED.stat().st_size < 6_000_000
    assert tables["OS/2"].fsType == 0


def test_reserved_names_are_gone_and_licence_is_kept(tables: TTFont) -> None:
    names = {record.nameID: record.toUnicode() for record in tables["name"].names}
    for number, text in names.items():
        if number not in (0, 13, 14):
            assert "LXGW" not in text.upper(), number
            assert "霞鹜" not in text, number
    assert names[1] == "MingZheng Kai"
    assert names[6] == "MingZhengKai-Regular"
    assert "LXGW" in names[0]
    assert "Klee" in names[0]
    assert "SIL Open Font License" in names[13]
    licence = (SHIPPED.parent / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert names[0].splitlines()[0].split(" (")[0] in licence


def test_missing_glyph_is_an_error_that_names_the_character() -> None:
    fonts = load_fonts()
    for attempt in (lambda: fonts.width(f"张{RARE}", 5.0), lambda: fonts.split(f"张{RARE}")):
        with pytest.raises(MissingGlyphError) as caught:
            attempt()
        assert caught.value.code == "page.missing_glyph"
        assert caught.value.char == RARE
        assert "U+4E02" in str(caught.value)


def test_fallback_font_serves_what_the_shipped_one_lacks() -> None:
    fonts = load_fonts(VECTORS / "fallback.ttf")
    assert fonts.split(f"张{RARE}{RARE}三") == ((0, "张"), (1, RARE * 2), (0, "三"))
    assert fonts.width(RARE, 2.0) == pytest.approx(2.0)
    with pytest.raises(MissingGlyphError):
        fonts.width("\u0e01", 1.0)


def test_subset_has_the_characters_their_widths_and_a_cmap() -> None:
    part = load_fonts().fonts[0].subset(map(ord, "张𠮷A"))
    font = TTFont(io.BytesIO(part.data))
    assert set(font.getBestCmap()) == set(map(ord, "张𠮷A"))
    assert part.widths[ord("张")] == 1000
    assert part.widths[ord("A")] < 1000
    assert {"glyf", "cmap", "hmtx"} <= set(font.keys())
    assert not {"name", "post", "OS/2"} & set(font.keys())
    assert part.data == load_fonts().fonts[0].subset(map(ord, "A张𠮷")).data


def test_metrics_are_in_thousandths() -> None:
    font = load_fonts().fonts[0]
    assert font.postscript_name == "MingZhengKai-Regular"
    assert 700 < font.ascent < 1100
    assert -500 < font.descent < 0
    assert font.box[0] < font.box[2]
    assert Font((VECTORS / "fallback.ttf").read_bytes(), name="备用.ttf").postscript_name == "Font"


def test_advance_is_the_same_when_the_cache_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.formats.fontfile._KNOWN_MAX", 2)
    fonts = FontSet(load_fonts().fonts)
    for _ in range(3):
        assert fonts.width("张三李四王五", 2.0) == pytest.approx(12.0)
    assert len(fonts._known) <= 2


def test_refuses_files_that_cannot_serve(tmp_path: Path) -> None:
    good = (VECTORS / "fallback.ttf").read_bytes()
    for number, bad in enumerate(
        (b"", b"OTTO" + good[4:], b"ttcf" + good[4:], good[:4], good[:200], b"\0\1\0\0" + bytes(99))
    ):
        path = tmp_path / f"{number}.ttf"
        path.write_bytes(bad)
        with pytest.raises(FontError) as caught:
            load_font(path)
        assert caught.value.code == "font.unsupported"
    with pytest.raises(OSError, match="absent"):
        load_font(tmp_path / "absent.ttf")


def test_refuses_a_font_that_may_not_be_embedded() -> None:
    font = TTFont(VECTORS / "fallback.ttf")
    font["OS/2"].fsType = 2
    buffer = io.BytesIO()
    font.save(buffer)
    with pytest.raises(FontError, match="forbid"):
        Font(buffer.getvalue(), name="restricted.ttf")


def test_refuses_a_font_file_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.formats.fontfile.FONT_BYTES_MAX", 100)
    with pytest.raises(FontError, match="100"):
        load_font(VECTORS / "fallback.ttf")
    assert FONT_BYTES_MAX == 64 * 1024 * 1024
