"""Bytes that another program would open as another kind of file are refused, whatever their own magic says."""

import io
import struct
import zipfile
import zlib
from typing import Any

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mingzheng.formats.errors import FormatError, UnreadableError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.onekind import STRANGE_CHUNKS_MAX, TwoKindsError, check_one_kind, named_kinds
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.formats.sniff import FileKind, sniff

PNG = matrix_to_png(encode_qr("12345"), 4)
HEAD = 8 + 25  # magic and IHDR
PDF = b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def after_header(*chunks: bytes) -> bytes:
    return PNG[:HEAD] + b"".join(chunks) + PNG[HEAD:]


def jpeg(**options: Any) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(PNG)).convert("L").save(out, "JPEG", **options)
    return out.getvalue()


def package() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("OFD.xml", b"<OFD/>")
    return out.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


JPEG = jpeg()
REFUSED = {
    "a private chunk of a PNG holds a PDF": after_header(chunk(b"prVt", PDF)),
    "a text chunk of a PNG holds a PDF": after_header(chunk(b"tEXt", b"Comment\0" + PDF)),
    "a PDF far inside a PNG": after_header(chunk(b"iTXt", b"a" * 9_000 + b"\n" + PDF)),
    "a PDF without its header inside a PNG": after_header(chunk(b"tEXt", b"a" * 2_000 + PDF[9:])),
    "an old kind of PDF header": after_header(chunk(b"tEXt", b"%!PS-Adobe-3.0 PDF-1.4")),
    "a PDF behind a PNG": PNG + PDF,
    "a ZIP behind a PNG": PNG + package(),
    "anything behind a PNG": PNG + b"x",
    "a second PNG behind a PNG": PNG + PNG,
    "a ZIP in a chunk of a PNG": after_header(chunk(b"tEXt", package())),
    "a large private chunk": after_header(chunk(b"prVt", bytes(STRANGE_CHUNKS_MAX + 1))),
    "private chunks that are large together": after_header(
        *(chunk(b"prVt", bytes(STRANGE_CHUNKS_MAX // 2 + 1)) for _ in range(2))
    ),
    "a comment of a JPEG holds a PDF": JPEG[:2] + segment(0xFE, PDF) + JPEG[2:],
    "a PDF behind a JPEG": JPEG + PDF,
    "a ZIP behind a JPEG": JPEG + package(),
    "a ZIP behind a PDF": PDF + package(),
    "a ZIP whose entries stand behind its directory": JPEG + b"PK\x01\x02" + b"PK\x05\x06" + b"PK\x03\x04",
    "a ZIP inside a PDF": PDF[:9] + b"9 0 obj <<>> stream\n" + package() + b"endstream endobj\n" + PDF[9:],
    "a picture before a PDF": b"GIF89a" + PDF,
    "text before a PDF": b"12345\n" + PDF,
    "a page before a PDF": b"<html>" + PDF,
    "a PDF in a ZIP that stores it": b"PK\x03\x04" + PDF,
}


@pytest.mark.parametrize("name", REFUSED)
def test_two_kinds_in_one_file_are_refused(name: str) -> None:
    with pytest.raises(TwoKindsError) as caught:
        extract(REFUSED[name], limits=LIMITS_DEFAULT)
    assert caught.value.code == "file.two_kinds"


def test_the_polyglot_is_one_that_a_pdf_reader_opens() -> None:
    """What the check is for: the same bytes are a picture with a good code, and a page."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    )
    page = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%b\nendobj\n" % (n, o) for n, o in enumerate(objects, 1))
    file = after_header(chunk(b"prVt", page + b"trailer\n<</Root 1 0 R>>\n%%EOF\n"))
    Image.open(io.BytesIO(file)).load()
    document = pypdfium2.PdfDocument(file)
    assert len(document) == 1
    document.close()
    with pytest.raises(TwoKindsError):
        extract(file, limits=LIMITS_DEFAULT)


KEPT = {
    "a PNG of ours": PNG,
    "a PNG padded with zeros": PNG + bytes(100),
    "a PNG with text, time and colours": after_header(
        chunk(b"tEXt", b"Comment\0" + b"a" * 100_000), chunk(b"gAMA", bytes(4)), chunk(b"iCCP", bytes(70_000))
    ),
    "a PNG with small private chunks": after_header(chunk(b"iDOT", bytes(28)), chunk(b"prVt", bytes(1_000))),
    "a JPEG": JPEG,
    "a JPEG padded with zeros": JPEG + bytes(4_096),
    "a JPEG with a second picture, as phones write them": JPEG + JPEG,
    "a JPEG with a maker's trailer": JPEG + b"Image_UTC_Data1637487600000SEFHj\0\0\0SEFT",
    "a JPEG with a small film": JPEG + bytes(3) + b"\x18ftypmp42" + bytes(500),
    "a JPEG that mentions PDF late": JPEG[:2] + segment(0xFE, b"a" * 5_000 + b"%PDF-") + JPEG[2:],
    "a JPEG in whose data one mark of a ZIP stands by chance": JPEG + b"PK\x03\x04 PK\x05\x06",
    "a PDF": PDF,
    "a PDF after a byte order mark": b"\xef\xbb\xbf" + PDF,
    "a PDF after zeros and line ends": b"\0\0\r\n" + PDF,
    "a text": b"12345",
}


@pytest.mark.parametrize("name", KEPT)
def test_files_as_honest_programs_write_them_are_kept(name: str) -> None:
    check_one_kind(KEPT[name], sniff(KEPT[name]))


@pytest.mark.parametrize(
    "data",
    [PNG[:-12], PNG[:-1], PNG[:HEAD], after_header(b"\xff\xff\xff\xffIDAT"), b"\x89PNG\r\n\x1a\n", PNG[:8] + PNG[33:]],
)
def test_a_png_without_its_end_is_damaged(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        extract(data, limits=LIMITS_DEFAULT)


def test_private_chunks_at_the_bound() -> None:
    check_one_kind(after_header(chunk(b"prVt", bytes(STRANGE_CHUNKS_MAX))), FileKind.PNG)


def test_our_certificate_and_its_photo_are_one_kind(studio: Any) -> None:
    for data in (studio.pdf(), studio.photo(), studio.signature()):
        check_one_kind(data, sniff(data))


@given(st.binary(max_size=300), st.integers(0, len(PNG)))
def test_any_bytes_give_a_typed_error_or_nothing(data: bytes, place: int) -> None:
    file = PNG[:place] + data + PNG[place:]
    try:
        check_one_kind(file, sniff(file))
    except FormatError:
        return


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("cert.pdf", {FileKind.PDF}),
        ("上传/张三.PDF", {FileKind.PDF}),
        ("a.b/code.png", {FileKind.PNG, FileKind.JPEG}),
        ("C:\\x.y\\photo.JPG", {FileKind.PNG, FileKind.JPEG}),
        ("photo.heic", {FileKind.PNG, FileKind.JPEG}),
        ("code.txt", {FileKind.TEXT}),
        ("cert.ofd", {FileKind.OFD, FileKind.ZIP}),
        ("cert.html", set()),
        ("cert.pdf ", {FileKind.PDF}),
        ("cert.pdf.", {FileKind.PDF}),
    ],
)
def test_what_a_name_promises(name: str, kinds: set[FileKind]) -> None:
    assert named_kinds(name) == kinds


@pytest.mark.parametrize("name", ["", "-", "x", "张三.一级建造师", "cert.20261121", "a.pdf/code", ".pdf/x", "."])
def test_most_names_promise_nothing(name: str) -> None:
    assert named_kinds(name) is None
