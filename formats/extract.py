"""Read a file of any kind this program knows: the only place that looks at the kind of a file.

Kinds by their first bytes (`sniff`); limits before anything is decoded; typed errors only. Libraries for PDF
and pictures are loaded when such a file comes, so the check of a text starts without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.errors import (
    FileTooHungryError,
    PictureKindError,
    ResourceLimitError,
    TiffError,
    UnreadableError,
)
from mingzheng.formats.onekind import check_one_kind
from mingzheng.formats.sniff import FileKind, sniff

if TYPE_CHECKING:
    from mingzheng.formats.limits import Limits

__all__ = ["UnsupportedKindError", "check_file", "extract"]

MIRRORED: Final = "image.mirrored"

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF 6.0 §2, BigTIFF
_PICTURES: Final = (b"GIF8", b"BM", b"\0\0\x01\0", b"\xff\x0a")
_STILLS: Final = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif")  # ISO/IEC 23008-12, AVIF


class UnsupportedKindError(UnreadableError):
    """A file of a kind this program knows by name but does not read: an archive that is no OFD package."""

    code: ClassVar[str] = "file.unsupported_kind"

    def __init__(self, kind: FileKind) -> None:
        super().__init__("压缩包请先解压，再逐个核验其中的文件 / an archive: unpack it and check the files in it")
        self.kind = kind


def extract(data: bytes, *, limits: Limits) -> Extracted:
    """Everything in a file that may be a credential.

    Raises UnreadableError (empty, damaged, encrypted, of no known kind), TwoKindsError, UnsupportedKindError
    (a ZIP that is no OFD package), ResourceLimitError, among it FileTooHungryError. A file without any code is no
    error: it has no candidates.
    """
    try:
        return _extract(data, limits)
    except MemoryError as error:
        raise FileTooHungryError("memory", limit=0) from error


def check_file(data: bytes, *, limits: Limits) -> FileKind:
    """The one kind of a file, told by its first bytes; raises the errors of `extract` that need no reading."""
    if len(data) > limits.file_bytes:
        raise ResourceLimitError("file_bytes", limit=limits.file_bytes, got=len(data))
    if not data:
        raise UnreadableError("an empty file / 空文件")
    kind = sniff(data)
    check_one_kind(data, kind)
    return kind


def _extract(data: bytes, limits: Limits) -> Extracted:
    match kind := check_file(data, limits=limits):
        case FileKind.PDF:
            from mingzheng.formats.pdf.extract import extract_pdf

            return extract_pdf(data, limits=limits)
        case FileKind.PNG | FileKind.JPEG:
            return _image(data, kind, limits)
        case FileKind.TEXT:
            return _text(data, limits)
        case FileKind.OFD:
            from mingzheng.formats.ofd.extract import extract_ofd

            return extract_ofd(data, limits=limits)
        case FileKind.ZIP:
            raise UnsupportedKindError(kind)
        case FileKind.UNKNOWN:
            raise _unknown(data)


def _unknown(data: bytes) -> UnreadableError:
    """What to say of a file that is not read: pictures of other kinds are told by name."""
    if data[:4] in _TIFF:
        return TiffError("TIFF pictures are not read: convert to PDF or PNG / 请转成 PDF 或 PNG")
    if data.startswith(_PICTURES) or (data[4:8] == b"ftyp" and data[8:12] in _STILLS) or data[8:12] == b"WEBP":
        return PictureKindError("only PNG and JPEG pictures are read: convert it / 请转成 PNG 或 JPEG")
    return UnreadableError("a file of no known kind / 无法识别的文件")


def _image(data: bytes, kind: FileKind, limits: Limits) -> Extracted:
    from mingzheng.formats.qrimage import read_qr

    candidates = []
    symbols = read_qr(data, limits=limits)
    for place, symbol in enumerate(symbols, start=1):
        text, body = (symbol.text, None) if isinstance(symbol.text, str) else (None, symbol.text)
        candidates.append(Candidate(source=Source.QR, page=None, text=text, data=body, where=f"image:code:{place}"))
    problems = ((MIRRORED, "a code is seen from behind"),) if any(symbol.mirrored for symbol in symbols) else ()
    return Extracted(kind=kind, candidates=tuple(candidates), facts=_facts(kind), problems=problems)


def _text(data: bytes, limits: Limits) -> Extracted:
    """The text of a QR code in a file; the line end that editors add is no part of it."""
    if len(data) > limits.text_bytes:
        raise ResourceLimitError("text_bytes", limit=limits.text_bytes, got=len(data))
    text = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    candidate = Candidate(source=Source.TEXT, page=None, text=text, data=None, where="text")
    return Extracted(kind=FileKind.TEXT, candidates=(candidate,), facts=_facts(FileKind.TEXT), problems=())


def _facts(kind: FileKind) -> FileFacts:
    return FileFacts(kind=kind, pages=0, attachments=(), full_receipts=(), seals=())
