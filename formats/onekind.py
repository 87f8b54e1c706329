"""One file, one kind: bytes that another program would open as another kind of file are refused.

A picture with a good code can hold a whole PDF in a place its own format skips; a PDF reader then shows that
page, and we would judge the picture. Readers of PDF look for the header in the first 1,024 bytes (ISO 32000-1
annex H.3.4.1; some look further or do without it), readers of ZIP and OFD for a directory near the end (APPNOTE
§4.3.16). Tolerated are zeros behind a picture and what cameras write behind a JPEG (a second picture, a film, a
maker's trailer), as long as neither a PDF nor a ZIP is in it. Source: docs/spec/verdicts.md §reading. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from mingzheng.formats.errors import TruncatedError, UnreadableError
from mingzheng.formats.sniff import FileKind

__all__ = ["STRANGE_CHUNKS_MAX", "TwoKindsError", "check_one_kind", "named_kinds"]

STRANGE_CHUNKS_MAX: Final = 64 * 1024  # bytes of PNG chunks of no registered type, before the picture data

_PDF_HEAD: Final = 4096  # four times what the common readers look at
_PDF_HEADERS: Final = (b"%PDF-", b"%!PS-Adobe-")  # ISO 32000-1 annex H.3.4.1
_PDF_OBJECT: Final = re.compile(rb"[0-9][\0\t\n\f\r ]+obj")
_PDF_PARTS: Final = (b"%PDF-", b"startxref", b"trailer", b"/Root", b"/Catalog")
_BLANK: Final = b"\xef\xbb\xbf\0\t\n\f\r "
_ZIP_PARTS: Final = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06")
_PNG_MAGIC_BYTES: Final = 8
_PNG_FRAME_BYTES: Final = 12  # length, type, check sum
_PNG_CHUNKS: Final = frozenset(  # PNG third edition, its registered extensions, C2PA
    b"IHDR PLTE IDAT IEND acTL bKGD caBX cHRM cICP cLLI cLLi dSIG eXIf fcTL fdAT gAMA gIFg gIFx hIST iCCP iTXt mDCV "
    b"oFFs pCAL pHYs sBIT sCAL sPLT sRGB sTER tEXt tIME tRNS zTXt".split()
)

_ENDINGS: Final = (
    (frozenset({FileKind.PDF}), "pdf"),
    (
        frozenset({FileKind.PNG, FileKind.JPEG}),
        "png apng jpg jpeg jpe jfif gif bmp tif tiff webp heic heif avif",
    ),
    (frozenset({FileKind.TEXT}), "txt text"),
    (frozenset({FileKind.OFD, FileKind.ZIP}), "ofd zip"),
    (
        frozenset[FileKind](),
        "htm html xhtml mht mhtml xml svg svgz eps ps ai rtf doc docx dot dotx xls xlsx ppt pptx wps et dps "
        "odt ods odp rar 7z tar gz exe bat cmd js vbs lnk",
    ),
)
_SUFFIXES: Final[Mapping[str, frozenset[FileKind]]] = {
    ending: kinds for kinds, endings in _ENDINGS for ending in endings.split()
}


class TwoKindsError(UnreadableError):
    """The bytes can be read as two kinds of file: a viewer may show something else than what was checked."""

    code: ClassVar[str] = "file.two_kinds"

    def __init__(self, kind: FileKind, what: str) -> None:
        super().__init__(f"{kind.upper()} 文件中另有内容 / a {kind.upper()} file with {what}")
        self.kind, self.what = kind, what


def check_one_kind(data: bytes, kind: FileKind) -> None:
    """Refuse a file of this kind that holds a second one.

    Raises TwoKindsError, TruncatedError (a PNG whose chunks do not reach its end). Cost: a search for fixed
    strings, 50 ms for 10 MB.
    """
    match kind:
        case FileKind.PDF:
            if data[: _first(data, _PDF_HEADERS[:1])].strip(_BLANK):
                raise TwoKindsError(kind, "something before its header")
        case FileKind.PNG:
            _check_png(data)
            _check_pdf(data, kind)
        case FileKind.JPEG | FileKind.ZIP | FileKind.OFD:
            _check_pdf(data, kind)
        case FileKind.TEXT | FileKind.UNKNOWN:
            return  # a text counts only as a whole
    if kind not in (FileKind.ZIP, FileKind.OFD):
        _check_zip(data, kind)


def named_kinds(name: str) -> frozenset[FileKind] | None:
    """The kinds that a file of this name may be, none for a known name of other files; None if it says nothing."""
    last = re.split(r"[/\\]", name)[-1].rstrip(". ")
    stem, dot, suffix = last.rpartition(".")
    return _SUFFIXES.get(suffix.lower()) if stem and dot else None


def _first(data: bytes, words: tuple[bytes, ...]) -> int:
    return min((place for place in map(data.find, words) if place >= 0), default=-1)


def _check_pdf(data: bytes, kind: FileKind) -> None:
    if _first(data[:_PDF_HEAD], _PDF_HEADERS) >= 0:
        raise TwoKindsError(kind, "the header of a PDF")
    if _first(data, _PDF_PARTS) >= 0 and _PDF_OBJECT.search(data) is not None:
        raise TwoKindsError(kind, "the objects of a PDF")


def _check_zip(data: bytes, kind: FileKind) -> None:
    """Entry, directory and its end, in any order. One of them alone stands in one large picture of 200 by chance."""
    if all(part in data for part in _ZIP_PARTS):
        raise TwoKindsError(kind, "a ZIP or OFD package")


def _check_png(data: bytes) -> None:
    """Chunks from the header to IEND and nothing behind it (PNG third edition §5)."""
    place, strange, drawn, name = _PNG_MAGIC_BYTES, 0, False, b""
    while name != b"IEND":
        name = data[place + 4 : place + 8]
        size = int.from_bytes(data[place : place + 4], "big")
        if place + _PNG_FRAME_BYTES + size > len(data):
            raise TruncatedError("the end of the PNG picture is missing")
        drawn = drawn or name == b"IDAT"
        if name not in _PNG_CHUNKS and not drawn:
            strange += size
        place += _PNG_FRAME_BYTES + size
    if strange > STRANGE_CHUNKS_MAX:
        raise TwoKindsError(FileKind.PNG, f"{strange} bytes of unknown chunks")
    if data[place:].strip(b"\0"):
        raise TwoKindsError(FileKind.PNG, "something behind its end")
