"""OFD pages as PDF: what is drawn, what is refused, and the parts it is made of."""

import struct
from collections.abc import Mapping

import ofdoffice
import pagepress
import pypdfium2
import pytest

from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.document import OfdFile, OfdResource, read_ofd
from mingzheng.formats.ofd.draw import ofd_pictures, ofd_to_pdf
from mingzheng.formats.ofd.drawfont import CharacterMap
from mingzheng.formats.ofd.drawobjects import draw_layer
from mingzheng.formats.ofd.drawstate import DrawUnsupportedError, Style, apply, multiply, numbers_of
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.xmlread import Element, parse_xml

SUBSET = load_fonts().fonts[0].subset(map(ord, "张建国A"))


def opened(data: bytes) -> OfdFile:
    return read_ofd(read_package(data, limits=OFD_LIMITS), limits=OFD_LIMITS)


class Paper:
    """A canvas that remembers opacities; its only font is the subset above."""

    def __init__(self, *resources: str) -> None:
        parts = [parse_xml(item.encode(), limits=OFD_LIMITS) for item in resources]
        self.resources: Mapping[str, OfdResource] = {
            part.get("ID") or "": OfdResource(id=part.get("ID") or "", kind=part.tag, element=part, file=None)
            for part in parts
        }
        self.opacities: list[tuple[float, float]] = []

    def font(self, key: str) -> tuple[bytes, CharacterMap]:
        return b"F0", CharacterMap(SUBSET.data)

    def image(self, key: str) -> bytes:
        return b"X0"

    def opacity(self, fill: float, stroke: float) -> bytes:
        self.opacities.append((fill, stroke))
        return b"G0"


def layer(inner: str) -> Element:
    return parse_xml(f"<Layer>{inner}</Layer>".encode(), limits=OFD_LIMITS)


def drawn(inner: str, paper: Paper | None = None) -> bytes:
    return b"\n".join(draw_layer(paper or Paper(), layer(inner), Style()))


def test_a_sealed_file_is_drawn_with_its_seals() -> None:
    made = pagepress.everyday()
    bare = pagepress.rendered(ofd_to_pdf(opened(ofdoffice.composed(made.page, seals=1))), 50)
    for vector in (False, True):
        picture = pagepress.rendered(ofd_to_pdf(opened(ofdoffice.sealed(made.page, vector=vector))), 50)
        colours = picture.getcolors(1 << 20) or []
        red = sum(count for count, colour in colours if colour[0] > 180 and colour[1] < 120)  # type: ignore[index]
        assert red > 500
        assert picture.size == bare.size


def test_the_pages_have_their_size_and_the_pictures_their_bytes() -> None:
    made = pagepress.everyday()
    file = opened(pagepress.ofd(made.page))
    document = pypdfium2.PdfDocument(ofd_to_pdf(file))
    width, height = document[0].get_size()
    document.close()
    assert (round(width * 25.4 / 72, 2), round(height * 25.4 / 72, 2)) == (210, 297)
    assert {pagepress.photo(1), pagepress.signature(1)} <= set(ofd_pictures(file))


PATH = '<PathObject ID="1" Boundary="10 20 30 40" {0}><AbbreviatedData>{1}</AbbreviatedData></PathObject>'
TEXT = (
    '<TextObject ID="1" Boundary="10 20 30 10" Font="1" Size="5" {0}>{1}'
    '<TextCode X="0" Y="5"{2}>{3}</TextCode></TextObject>'
)


def test_paths() -> None:
    assert b"1 0 0 1 10 20 cm" in drawn(PATH.format("", "M 0 0 L 9 9"))
    both = drawn(PATH.format('Fill="true" Rule="Even-Odd"', "S 0 0 B 1 1 2 2 3 3 Q 4 4 6 6 C"))
    assert b"3.666667 3.666667 4.666667 4.666667 6 6 c" in both
    assert both.endswith(b"h\nB*\nQ")
    assert drawn(PATH.format('Stroke="false" Fill="true"', "M 0 0 L 1 1")).endswith(b"f\nQ")
    assert b"l" not in drawn(PATH.format('Stroke="false"', "M 0 0 L 1 1")).split(b"cm")[1]
    dashed = drawn(PATH.format('DashPattern="1 2" DashOffset="0.5" Join="Round" Cap="Square"', "M 0 0 L 1 1"))
    assert b"[1 2] 0.5 d" in dashed
    assert b"1 j 2 J" in dashed


def test_draw_parameters_and_opacity() -> None:
    params = (
        '<DrawParam ID="7" LineWidth="2"><StrokeColor Value="255 0 0" Alpha="51"/></DrawParam>',
        '<DrawParam ID="8" Relative="7" Cap="Round"/>',
        '<ColorSpace ID="9" Type="GRAY"/>',
    )
    paper = Paper(*params)
    body = drawn(PATH.format('DrawParam="8"', "M 0 0 L 1 1"), paper)
    assert b"1 0 0 RG" in body
    assert b"2 w 0 j 1 J" in body
    assert paper.opacities == [(1.0, 0.2)]
    grey = PATH.replace("<Abb", '<StrokeColor Value="51" ColorSpace="9"/><Abb').format("", "M 0 0 L 1 1")
    assert b"0.2 G" in drawn(grey, paper)


def test_text() -> None:
    glyphs = [CharacterMap(SUBSET.data).glyph(char) for char in "张建"]
    body = drawn(TEXT.format("", "", ' DeltaX="6"', "张建"))
    assert b"5 0 0 -5 0 5 Tm <%04X> Tj" % glyphs[0] in body
    assert b"5 0 0 -5 6 5 Tm <%04X> Tj" % glyphs[1] in body
    assert b"2 0 0 -5 0 5 Tm" in drawn(TEXT.format('HScale="0.4"', "", "", "张"))
    repeated = drawn(TEXT.format("", "", ' DeltaX="g 2 3.5"', "张建国"))
    assert b" 7 5 Tm" in repeated
    down = drawn(TEXT.format("", "", ' DeltaY="2"', "张建"))
    assert b" 0 7 Tm" in down


def test_composites_are_cut_to_their_size() -> None:
    unit = '<CompositeGraphicUnit ID="5" Width="9" Height="8"><Content>{}</Content></CompositeGraphicUnit>'
    inner = '<PathObject ID="3" Boundary="0 0 5 5"><AbbreviatedData>M 0 0 L 5 5</AbbreviatedData></PathObject>'
    use = '<CompositeObject ID="2" Boundary="1 1 9 8" ResourceID="5"/>'
    assert b"0 0 9 8 re W n" in drawn(use, Paper(unit.format(inner)))
    endless = unit.format('<CompositeObject ID="2" Boundary="0 0 9 8" ResourceID="5"/>')
    with pytest.raises(DrawUnsupportedError):
        drawn(use, Paper(endless))
    with pytest.raises(DrawUnsupportedError):
        drawn(use)


def test_pictures_need_a_matrix_and_stay_inside() -> None:
    image = '<ImageObject ID="1" Boundary="5 5 10 10" {} ResourceID="1"/>'
    assert drawn(image.format('CTM="10 0 0 10 0 0" Alpha="51"')).endswith(b"/G0 gs\n1 0 0 -1 0 1 cm /X0 Do\nQ")
    for matrix in ("", 'CTM="12 0 0 10 0 0"', 'CTM="10 0 0 10"'):
        with pytest.raises(DrawUnsupportedError):
            drawn(image.format(matrix))


@pytest.mark.parametrize(
    "inner",
    [
        PATH.format("", "M 0 0 A 1 1 0 0 0 2 2"),
        PATH.format("", "M 0 0 L 1"),
        PATH.format("", "M 0 0 L 1 x"),
        PATH.format("", "M 0 0 L 90 1"),
        PATH.format('Rule="Odd"', "M 0 0"),
        PATH.format('Cap="Pointed"', "M 0 0 L 1 1"),
        PATH.format('DashPattern="0 0"', "M 0 0 L 1 1"),
        PATH.format('Alpha="300"', "M 0 0 L 1 1"),
        PATH.format('Fill="yes"', "M 0 0 L 1 1"),
        PATH.format('DrawParam="404"', "M 0 0 L 1 1"),
        PATH.replace("<Abb", '<StrokeColor Value="1 2"/><Abb').format("", "M 0 0"),
        PATH.replace("<Abb", '<StrokeColor Value="1 2 3" ColorSpace="404"/><Abb').format("", "M 0 0"),
        PATH.replace("<Abb", "<StrokeColor><Pattern/></StrokeColor><Abb").format("", "M 0 0"),
        PATH.replace("<Abb", "<AbbreviatedData/><Abb").format("", "M 0 0"),
        '<PathObject ID="1" Boundary="1 1 1 1"/>',
        '<PathObject ID="1"/>',
        TEXT.format('Italic="true"', "", "", "张"),
        TEXT.format('Weight="700"', "", "", "张"),
        TEXT.format('HScale="0"', "", "", "张"),
        TEXT.format("", "", "", "龘"),
        TEXT.format("", "", "", "张建"),
        TEXT.format("", "", ' DeltaX="g 2"', "张建"),
        TEXT.format("", "", ' DeltaX="6"', "张𠮷"),
        TEXT.format("", '<CGTransform CodePosition="0" CodeCount="2"><Glyphs>1</Glyphs></CGTransform>', "", "张"),
        TEXT.format("", '<CGTransform CodePosition="3"><Glyphs>1</Glyphs></CGTransform>', "", "张"),
        TEXT.format("", '<CGTransform CodePosition="0"><Glyphs>999</Glyphs></CGTransform>', "", "张"),
        TEXT.format("", '<CGTransform CodePosition="0"><Glyphs>1.5</Glyphs></CGTransform>', "", "张"),
        '<TextObject ID="1" Boundary="0 0 9 9" Font="1" Size="5"><TextCode>张</TextCode></TextObject>',
        "<PageBlock>" * 9 + "</PageBlock>" * 9,
        "<Video/>",
    ],
)
def test_what_is_not_drawn_is_refused(inner: str) -> None:
    with pytest.raises(DrawUnsupportedError):
        drawn(inner)


def test_a_hidden_object_is_not_drawn() -> None:
    assert drawn(PATH.format('Visible="false"', "M 0 0 L 1 1")) == b""
    assert drawn(TEXT.format('Fill="false"', "", "", "张")).count(b"Tj") == 0


def test_matrices() -> None:
    assert apply(multiply((2, 0, 0, 2, 0, 0), (1, 0, 0, 1, 5, 6)), 1, 1) == (7, 8)
    assert numbers_of(" 1  -2.5 ") == (1, -2.5)
    for text in ("1e9", "inf", "nan", "x"):
        with pytest.raises(DrawUnsupportedError):
            numbers_of(text)


def font_with(*maps: tuple[int, int, bytes], tables: tuple[bytes, ...] = ()) -> bytes:
    """The skeleton of a font with these character maps."""
    head = b"\0" * 18 + struct.pack(">H", 1000) + b"\0" * 34
    maxp = b"\0\1\0\0" + struct.pack(">H", 50)
    records, bodies, at = b"", b"", 4 + 8 * len(maps)
    for platform, encoding, body in maps:
        records += struct.pack(">HHL", platform, encoding, at + len(bodies))
        bodies += body
    parts = {b"cmap": struct.pack(">HH", 0, len(maps)) + records + bodies, b"head": head, b"maxp": maxp}
    parts |= dict.fromkeys((b"glyf", b"loca", b"hhea", b"hmtx", *tables), b"\x00" * 8)
    directory, body, start = b"", b"", 12 + 16 * len(parts)
    for tag, data in parts.items():
        directory += struct.pack(">4sLLL", tag, 0, start + len(body), len(data))
        body += data
    return b"\0\1\0\0" + struct.pack(">HHHH", len(parts), 0, 0, 0) + directory + body


def format6(glyph: int) -> bytes:
    return struct.pack(">HHHHHH", 6, 12, 0, 65, 1, glyph)


def format12(glyph: int) -> bytes:
    return struct.pack(">HHLLLLLL", 12, 0, 28, 0, 1, 65, 66, glyph)


def format0(glyph: int) -> bytes:
    return struct.pack(">HHH", 0, 262, 0) + bytes(glyph if code == 65 else 0 for code in range(256))


def test_character_maps() -> None:
    for body in (format0(7), format6(7), format12(7)):
        assert CharacterMap(font_with((3, 1, body))).glyph("A") == 7
    assert CharacterMap(font_with((0, 3, format6(7)), (3, 10, format12(7)), (1, 0, format0(9)))).glyph("A") == 7
    found = CharacterMap(SUBSET.data)
    assert {char: found.glyph(char) for char in "张建国A"} == {
        chr(code): glyph for code, glyph in SUBSET.glyphs.items()
    }


@pytest.mark.parametrize(
    "data",
    [
        font_with((0, 3, format6(7)), (3, 1, format6(8))),  # the maps disagree
        font_with((3, 1, format6(60))),  # a glyph the font has not
        font_with((1, 0, format6(7))),  # no Unicode map
        font_with((3, 1, format6(7)), tables=(b"COLR",)),
        font_with((3, 1, struct.pack(">H", 2))),
        font_with((3, 1, struct.pack(">HHLLLLLL", 12, 0, 28, 0, 1, 0, 0x200000, 1))),
        font_with((3, 1, format6(7)))[:-4],
        b"OTTO" + bytes(64),
        b"",
    ],
)
def test_fonts_that_readers_draw_differently_are_refused(data: bytes) -> None:
    with pytest.raises(DrawUnsupportedError):
        CharacterMap(data).glyph("A")


@pytest.mark.parametrize("at", range(0, len(SUBSET.data), max(1, len(SUBSET.data) // 60)))
def test_a_cut_font_is_refused_and_never_crashes(at: int) -> None:
    with pytest.raises(DrawUnsupportedError):
        CharacterMap(SUBSET.data[:at]).glyph("张")
