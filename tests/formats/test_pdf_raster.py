"""A PDF page as pictures: sizes, limits, what differs on paper, images as they lie in the file."""

import dataclasses

import pagepress
import pytest

from mingzheng.formats.errors import ResourceLimitError, UnreadableError
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.page import Rect
from mingzheng.formats.pdf.raster import open_sheet

LEAF = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595.276 841.89]/Contents 4 0 R%b>>"


def plain(*, leaf: bytes = b"", catalogue: bytes = b"", more: tuple[bytes, ...] = ()) -> bytes:
    """A page with a black square."""
    content = b"0 g 100 100 50 50 re f"
    return pagepress.pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R%b>>" % catalogue,
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            LEAF % leaf,
            b"<</Length %d>>stream\n%b\nendstream" % (len(content), content),
            *more,
        ]
    )


def test_a_page_is_drawn_in_grey_and_in_colour() -> None:
    with open_sheet(plain(), limits=LIMITS_DEFAULT) as sheet:
        assert (round(sheet.width_mm), round(sheet.height_mm), sheet.pages) == (210, 297, 1)
        grey, colour = sheet.render(72), sheet.render(72, colour=True)
        assert (grey.mode, colour.mode, grey.size) == ("L", "RGB", colour.size)
        assert grey.getpixel((125, 842 - 125)) == 0
        part = sheet.render(72, place=Rect(x_mm=30, y_mm=240, width_mm=40, height_mm=30))
        assert part.width < 120
        assert not sheet.is_picture()
        assert sheet.image_streams() == ()


def test_limits_come_before_memory() -> None:
    with open_sheet(plain(), limits=LIMITS_DEFAULT) as sheet, pytest.raises(ResourceLimitError):
        sheet.render(2000)
    with (
        pytest.raises(ResourceLimitError),
        open_sheet(plain(), limits=dataclasses.replace(LIMITS_DEFAULT, pdf_bytes=10)),
    ):
        pass


def test_a_file_that_is_no_pdf_is_unreadable() -> None:
    with pytest.raises(UnreadableError), open_sheet(b"%PDF-1.7 nothing", limits=LIMITS_DEFAULT):
        pass


@pytest.mark.parametrize(
    ("data", "differs"),
    [
        (plain(), False),
        (plain(catalogue=b"/OCProperties<</OCGs[]/D<<>>>>"), True),
        (plain(catalogue=b"/O#43Properties<</OCGs[]/D<<>>>>"), True),
        (plain(catalogue=b"/Names#20x 4 0 R"), False),
        (plain(leaf=b"/Annots[5 0 R]", more=(b"<</Type/Annot/Subtype/Square/F 4/Rect[0 0 9 9]>>",)), False),
        (plain(leaf=b"/Annots[5 0 R]", more=(b"<</Type/Annot/Subtype/Square/F 0/Rect[0 0 9 9]>>",)), True),
        (plain(leaf=b"/Annots[5 0 R]", more=(b"<</Type/Annot/Subtype/Square/F 36/Rect[0 0 9 9]>>",)), True),
    ],
)
def test_means_to_show_two_things(data: bytes, differs: bool) -> None:
    with open_sheet(data, limits=LIMITS_DEFAULT) as sheet:
        assert sheet.may_differ_on_paper() is differs


def test_images_come_as_they_lie_in_the_file() -> None:
    made = pagepress.everyday()
    with open_sheet(pagepress.pdf(made.page), limits=LIMITS_DEFAULT) as sheet:
        streams = sheet.image_streams()
        assert {stream.filters for stream in streams} == {("DCTDecode",), ("FlateDecode",)}
        assert pagepress.photo(1) in {stream.data for stream in streams}
        assert not sheet.is_picture()
    with open_sheet(pagepress.pdf(made.page), limits=dataclasses.replace(LIMITS_DEFAULT, image_bytes=10)) as sheet:
        assert sheet.image_streams() == ()
    with open_sheet(pagepress.printed(pagepress.rendered(plain(), 50)), limits=LIMITS_DEFAULT) as sheet:
        assert sheet.is_picture()
