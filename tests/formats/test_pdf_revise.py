"""Our own files taken apart, and further revisions behind them."""

import io

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyhanko.pdf_utils.reader import PdfFileReader

from mingzheng.formats.pdf.objects import PdfObjects
from mingzheng.formats.pdf.revise import PdfFile, PdfSealError, append_revision, object_offset

PAGE = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] /Resources <<>>>>"


def file(*more: bytes) -> bytes:
    """A catalogue, a page tree, a page, an information dictionary, and more."""
    objects = PdfObjects()
    objects.add(b"<</Type /Catalog /Pages 2 0 R>>")
    objects.add(b"<</Type /Pages /Kids [3 0 R] /Count 1>>")
    objects.add(PAGE)
    objects.add(b"<</Producer (p)>>")
    for body in more:
        objects.add(body)
    return objects.file(root=1, info=4)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_gives_back_every_object(bodies: list[bytes]) -> None:
    found = PdfFile(file(*bodies))
    assert found.bodies[4:] == bodies
    assert (found.root, found.info, found.bodies[2]) == (1, 4, PAGE)


@given(st.integers(0, len(file())), st.integers(1, 255))
def test_a_changed_byte_is_an_object_or_refused(place: int, flip: int) -> None:
    data = bytearray(file() + b"\n")
    data[place] ^= flip
    try:
        found = PdfFile(bytes(data[:-1]))
    except PdfSealError:
        return
    assert len(found.bodies) == 4


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_truncated_files_are_refused(cut: int) -> None:
    with pytest.raises(PdfSealError):
        PdfFile(file()[: -1 - cut])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"/Size 5", b"/Size 6"),
        (b"xref\n0 5", b"xref\n0 4"),
        (b"xref\n0 5", b"xref\n1 5"),
        (b"2 0 obj", b"9 0 obj"),
        (b" 00000 n ", b" 00000 f "),
        (b"%%EOF\n", b"%%EOF\n%%EOF\n"),
        (b"startxref\n", b"startxref\n9"),
    ],
)
def test_other_shapes_are_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(PdfSealError):
        PdfFile(file().replace(old, new))


def test_revisions_are_read_by_others_and_keep_what_was_there() -> None:
    first = file()
    wide = PAGE.replace(b"72 72", b"99 72")
    second = append_revision(first, {3: wide, 5: b"<</New true>>"}, size=6, root=1, info=4)
    third = append_revision(second, {6: b"(six)", 5: b"<</New false>>"}, size=7, root=1, info=4)
    assert second.startswith(first)
    assert third.startswith(second)
    with pypdfium2.PdfDocument(third) as document:
        assert document[0].get_size() == (99, 72)
    reader = PdfFileReader(io.BytesIO(third))
    assert reader.xrefs.total_revisions == 3
    identifiers = [PdfFileReader(io.BytesIO(data)).trailer["/ID"] for data in (first, second, third)]
    assert len({bytes(pair[0].original_bytes) for pair in identifiers}) == 1
    assert len({bytes(pair[1].original_bytes) for pair in identifiers}) == 3


def test_offsets_of_the_last_revision() -> None:
    first = file()
    assert first[object_offset(first, 3) :].startswith(PAGE)
    second = append_revision(first, {3: b"[3]", 15: b"[15]"}, size=16, root=1, info=4)
    assert second[object_offset(second, 15) :].startswith(b"[15]\nendobj")
    assert second[object_offset(second, 3) :].startswith(b"[3]\nendobj")
    with pytest.raises(PdfSealError):
        object_offset(second, 2)
    with pytest.raises(PdfSealError):
        object_offset(first, 9)
