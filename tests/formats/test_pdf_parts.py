"""Objects, content operators, fonts, images and tags: the parts a PDF file is made of."""

import dataclasses
import io
import re
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mingzheng.formats.imagehead import ImageError, read_head
from mingzheng.formats.page import Path, QrSlot, Rect, Role, SealShape, SealSlot
from mingzheng.formats.pdf import content
from mingzheng.formats.pdf.fontembed import FontFacts, embed_font
from mingzheng.formats.pdf.imageembed import Pixels, embed_direct, embed_pixels
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, name, number, ref, stream, text_string
from mingzheng.formats.pdf.structure import Element, Structure

RECT = Rect(x_mm=10, y_mm=20, width_mm=30, height_mm=40)


def written(objects: PdfObjects) -> bytes:
    return objects.file(root=1, info=1)


def png(mode: str, *, size: tuple[int, int] = (4, 3), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(buffer, "PNG", **options)
    return buffer.getvalue()


class TestObjects:
    def test_spellings(self) -> None:
        assert ref(7) == b"7 0 R"
        assert name("application/cose") == b"/application#2Fcose"
        assert name("中") == b"/#E4#B8#AD"
        assert text_string("A中𠮷") == b"<FEFF00414E2DD842DFB7>"
        assert array([b"1", b"2"]) == b"[1 2]"
        assert dictionary({"A": b"1"}, B=b"2") == b"<</A 1 /B 2>>"

    @pytest.mark.parametrize(
        ("value", "text"), [(0, b"0"), (-0.0001, b"0"), (1.5, b"1.5"), (100, b"100"), (1 / 3, b"0.333"), (1e-9, b"0")]
    )
    def test_numbers_have_no_exponent_and_at_most_three_decimals(self, value: float, text: bytes) -> None:
        assert number(value) == text

    @given(st.floats(min_value=-1e6, max_value=1e6))
    def test_numbers_come_back(self, value: float) -> None:
        assert re.fullmatch(rb"-?[0-9]+(\.[0-9]{1,3})?", number(value))
        assert float(number(value)) == pytest.approx(value, abs=0.0006)

    def test_stream_is_deflated_unless_it_is_already(self) -> None:
        deflated = stream(b"x" * 1000)
        assert b"/Filter /FlateDecode" in deflated
        assert len(deflated) < 200
        assert stream(b"\xff\xd8", {"Filter": b"/DCTDecode"}, compress=False) == (
            b"<</Filter /DCTDecode /Length 2>>\nstream\n\xff\xd8\nendstream"
        )

    def test_cross_reference_table_points_at_every_object(self) -> None:
        objects = PdfObjects()
        late = objects.reserve()
        objects.add(b"(two)")
        objects.set(late, b"(one)")
        file = written(objects)
        start = int(file.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
        lines = file[start:].split(b"\n")
        assert lines[:3] == [b"xref", b"0 3", b"0000000000 65535 f "]
        for index, line in enumerate(lines[3:5], start=1):
            assert len(line) == 19
            assert file[int(line[:10]) :].startswith(b"%d 0 obj\n" % index)
        assert file.endswith(b"%%EOF\n")

    def test_identifier_is_the_digest_of_the_body(self) -> None:
        ids = []
        for body in (b"(a)", b"(a)", b"(b)"):
            objects = PdfObjects()
            objects.add(body)
            found = re.search(rb"/ID \[<([0-9A-F]{32})> <\1>\]", written(objects))
            assert found is not None
            ids.append(found[1])
        assert ids[0] == ids[1] != ids[2]

    def test_a_reserved_object_must_be_written_once(self) -> None:
        objects = PdfObjects()
        first = objects.reserve()
        with pytest.raises(AssertionError, match="never written"):
            written(objects)
        objects.set(first, b"1")
        with pytest.raises(AssertionError):
            objects.set(first, b"2")


class TestContent:
    def test_points_grow_upwards(self) -> None:
        left, low, right, high = content.to_points(RECT, 297)
        assert (left, right) == (pytest.approx(28.346, abs=1e-3), pytest.approx(113.386, abs=1e-3))
        assert high - low == pytest.approx(40 * 72 / 25.4)
        assert high == pytest.approx((297 - 20) * 72 / 25.4)

    def test_paths_are_stroked_or_filled(self) -> None:
        path = Path(
            name="p",
            role=Role.DECORATION,
            alt="",
            rect=RECT,
            data="M 0 0 L 25.4 0 C 1 1 2 2 3 3 Z",
            line_mm=0.5,
            dash_mm=(1, 1),
            colour=(255, 0, 0),
        )
        stroked = content.path(path, 25.4)
        assert stroked.startswith(b"q\n1 0 0 RG 1.417 w [2.835 2.835] 0 d\n0.00 72.00 m\n72.00 72.00 l\n")
        assert stroked.endswith(b"h\nS Q")
        filled = content.path(dataclasses.replace(path, line_mm=0), 25.4)
        assert filled.startswith(b"q\n1 0 0 rg\n")
        assert filled.endswith(b"f Q")

    @pytest.mark.parametrize(("shape", "operator"), [(SealShape.CIRCLE, b" c\n"), (SealShape.SQUARE, b" l\n")])
    def test_seal_places_are_dashed(self, shape: SealShape, operator: bytes) -> None:
        slot = SealSlot(name="s", alt="", rect=RECT, shape=shape, body="某部", colour=(150, 150, 150))
        drawn = content.seal(slot, 297)
        assert operator in drawn
        assert b"] 0 d" in drawn

    @given(st.integers(1, 12).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), min_size=n, max_size=n)))
    def test_every_dark_module_is_covered_once(self, drawn: list[bytes]) -> None:
        rows = tuple(bytes(module & 1 for module in row) for row in drawn)
        operators = content.qr(QrSlot(name="qr", alt="", rect=RECT, rows=rows), 297)
        covered: dict[tuple[int, int], int] = {}
        for found in re.finditer(rb"^(\d+) (\d+) (\d+) (\d+) re$", operators, re.MULTILINE):
            x, y, width, height = map(int, found.groups())
            for cell in ((cx, cy) for cx in range(x, x + width) for cy in range(y, y + height)):
                covered[cell] = covered.get(cell, 0) + 1
        dark = {(x + 4, y + 4) for y, row in enumerate(rows) for x, module in enumerate(row) if module}
        assert covered == dict.fromkeys(dark, 1)


class TestFonts:
    FACTS = FontFacts(
        base_name="Kai-Regular",
        data=b"font file",
        glyphs={0x4E00: 2, 0x2F00: 2, 0x20BB7: 1},
        widths={0x4E00: 1000, 0x2F00: 1000, 0x20BB7: 990},
        ascent=880,
        descent=-120,
        box=(0, -120, 1000, 880),
    )

    def test_characters_that_share_a_glyph_have_codes_of_their_own(self) -> None:
        objects = PdfObjects()
        font = embed_font(objects, self.FACTS)
        assert len(set(font.cids.values())) == 3
        assert font.encode("一\u2f00𠮷") == b"<000200010003>"
        streams = [
            zlib.decompress(body) for body in re.findall(rb"stream\n(.*?)\nendstream", written(objects), re.DOTALL)
        ]
        assert b"\0\0" + struct.pack(">3H", 2, 2, 1) in streams
        (unicode,) = (body for body in streams if b"begincmap" in body)
        assert b"<0001> <2F00>\n<0002> <4E00>\n<0003> <D842DFB7>\n" in unicode

    def test_many_characters_go_into_blocks_of_a_hundred(self) -> None:
        points = range(0x4E00, 0x4E00 + 250)
        objects = PdfObjects()
        embed_font(
            objects,
            dataclasses.replace(self.FACTS, glyphs=dict.fromkeys(points, 1), widths=dict.fromkeys(points, 1000)),
        )
        (unicode,) = (
            body
            for body in map(zlib.decompress, re.findall(rb"stream\n(.*?)\nendstream", written(objects), re.DOTALL))
            if b"begincmap" in body
        )
        assert re.findall(rb"(\d+) beginbfchar", unicode) == [b"100", b"100", b"50"]
        assert b"<00FA> <4EF9>" in unicode

    def test_subset_has_a_tag_of_its_own(self) -> None:
        tags = []
        for data in (b"one", b"one", b"two"):
            objects = PdfObjects()
            embed_font(objects, dataclasses.replace(self.FACTS, data=data))
            found = re.search(rb"/FontName /([A-Z]{6})\+Kai-Regular", written(objects))
            assert found is not None
            tags.append(found[1])
        assert tags[0] == tags[1] != tags[2]


class TestImages:
    def embedded(self, data: bytes) -> bytes:
        objects = PdfObjects()
        number_ = embed_direct(objects, read_head(data), data)
        assert number_ == 1
        return written(objects)

    @pytest.mark.parametrize(("mode", "space"), [("L", b"/DeviceGray"), ("RGB", b"/DeviceRGB")])
    def test_jpeg_goes_in_unchanged(self, mode: str, space: bytes) -> None:
        buffer = io.BytesIO()
        Image.new(mode, (8, 8), 90 if mode == "L" else (9, 9, 9)).save(buffer, "JPEG")
        file = self.embedded(buffer.getvalue())
        assert buffer.getvalue() in file
        assert b"/ColorSpace " + space + b" /Filter /DCTDecode" in file

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
    def test_png_data_goes_in_unchanged(self, mode: str) -> None:
        data = png(mode)
        coded = data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8]
        file = self.embedded(data)
        assert coded in file
        assert b"/Predictor 15" in file
        assert (b"/Indexed /DeviceRGB" in file) == (mode == "P")

    @pytest.mark.parametrize(
        "data", [png("LA"), png("RGBA"), png("I;16"), png("P", transparency=0), png("L", transparency=0)]
    )
    def test_png_that_pdf_cannot_take_needs_pixels(self, data: bytes) -> None:
        objects = PdfObjects()
        assert embed_direct(objects, read_head(data), data) is None

    def test_interlaced_png_needs_pixels(self) -> None:
        data = bytearray(png("L"))
        data[28] = 1
        assert embed_direct(PdfObjects(), read_head(bytes(data)), bytes(data)) is None

    def test_damaged_png_is_refused(self) -> None:
        data = png("L")
        flipped = data.replace(b"IDAT", b"IDAU")
        short, palette = data[:-12], png("P").replace(b"PLTE", b"tEXt")
        for bad in (flipped, short, data[:45], palette):
            with pytest.raises(ImageError):
                embed_direct(PdfObjects(), read_head(bad), bad)

    def test_palette_must_be_whole(self) -> None:
        head, data = read_head(png("P")), png("P")
        at = data.index(b"PLTE")
        length = int.from_bytes(data[at - 4 : at], "big")
        body = b"PLTE" + bytes(4)
        bad = data[: at - 4] + b"\0\0\0\4" + body + struct.pack(">I", zlib.crc32(body)) + data[at + 8 + length :]
        with pytest.raises(ImageError, match="palette"):
            embed_direct(PdfObjects(), head, bad)

    def test_pixels_carry_opacity_as_a_soft_mask(self) -> None:
        objects = PdfObjects()
        embed_pixels(objects, Pixels(width=1, height=1, channels=3, data=b"abc", alpha=b"a"))
        file = written(objects)
        assert b"/SMask 1 0 R" in file
        assert b"/DeviceRGB" in file
        plain = PdfObjects()
        embed_pixels(plain, Pixels(width=1, height=1, channels=1, data=b"a", alpha=None))
        assert b"SMask" not in written(plain)


class TestStructure:
    def test_tree_has_the_elements_in_reading_order(self) -> None:
        objects, structure = PdfObjects(), Structure()
        page = objects.add(b"(page)")
        assert structure.begin(Element(role=Role.TITLE)) == b"/H1 <</MCID 0>> BDC"
        figure = Element(role=Role.FIGURE, alt="照片", corners=(1, 2, 3, 4), language="en")
        assert structure.begin(figure) == b"/Figure <</MCID 1>> BDC"
        root = structure.write(objects, page=page)
        file = written(objects)
        assert root == 2
        assert b"/S /Document" in file
        assert b"/K [4 0 R 5 0 R]" in file
        assert b"/Nums [0 [4 0 R 5 0 R]]" in file
        assert b"/Alt " + text_string("照片") in file
        assert b"/BBox [1 2 3 4]" in file
        assert b"/Lang " + text_string("en") in file
