"""Candidates out of a PDF file: attachments first, then always the visible code as well.

Reader: PDFium through pypdfium2, loaded when the first PDF is read (not safe for several threads at once). All
its errors become UnreadableError. The page is rendered with annotations and form fields, as the eye sees it.
Every page is looked at as a whole at 200 dpi, and the place where our pages carry the code once more at 100:
a code anywhere else on the page may be the one that a person scans, so it is never left out for another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.errors import ResourceLimitError, UnreadableError
from mingzheng.formats.page import QR_PLACE, Rect
from mingzheng.formats.pdf.inflate import STREAM_MAX, TOTAL_MAX, check_inflated
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.sniff import FileKind

if TYPE_CHECKING:
    from mingzheng.formats.limits import Limits
    from mingzheng.formats.qrimage import QrSymbol

__all__ = ["EncryptedError", "extract_pdf"]

CREDENTIAL: Final = "credential"
RECEIPT: Final = "receipt"
NO_VISIBLE_CODE: Final = "pdf.no_visible_code"

_A4_POINTS: Final = (595.276, 841.89)
_SLACK_POINTS: Final = 3.0  # printers and converters move a page this far
_POINTS_PER_MM: Final = 72 / 25.4
_PLACE_MARGIN_MM: Final = 3.0
_PLACE_DPI: Final = 100
_PAGE_DPI: Final = 200


class EncryptedError(UnreadableError):
    """A PDF that is encrypted; our certificates never are."""

    code: ClassVar[str] = "file.encrypted"


def extract_pdf(data: bytes, *, limits: Limits) -> Extracted:
    """Candidates and facts of a PDF file.

    Raises UnreadableError (damaged, encrypted, without pages), ResourceLimitError (bytes, pages, attachments,
    pixels, codes).
    """
    if len(data) > limits.pdf_bytes:
        raise ResourceLimitError("pdf_bytes", limit=limits.pdf_bytes, got=len(data))
    check_inflated(data, stream_max=STREAM_MAX, total_max=TOTAL_MAX)
    with _opened(data) as document:
        pages = len(document)
        if pages < 1:
            raise UnreadableError("a PDF without pages")
        if pages > limits.pdf_pages:
            raise ResourceLimitError("pdf_pages", limit=limits.pdf_pages, got=pages)
        files = list(_attachments(document, limits))
        candidates = [
            Candidate(source=Source.ATTACHMENT, page=None, text=None, data=body, where=f"attachment:{CREDENTIAL}")
            for label, body in files
            if label == CREDENTIAL and body is not None
        ]
        visible = [candidate for index in range(pages) for candidate in _page(document, index, limits)]
    seals, faults = check_pdf(data)
    problems = ((NO_VISIBLE_CODE, "attachment without a readable code on the page"),)
    return Extracted(
        kind=FileKind.PDF,
        candidates=(*candidates, *visible),
        facts=FileFacts(
            kind=FileKind.PDF,
            pages=pages,
            attachments=tuple(label for label, _ in files),
            full_receipts=tuple(body for label, body in files if label == RECEIPT and body is not None),
            seals=seals,
            faults=faults,
        ),
        problems=problems if candidates and not visible else (),
    )


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """The document, closed afterwards; every error of the reader in here becomes UnreadableError."""
    import pypdfium2

    document = None
    try:
        document = pypdfium2.PdfDocument(data)
        if pypdfium2.raw.FPDF_GetSecurityHandlerRevision(document) != -1:
            raise EncryptedError("the PDF is encrypted / PDF 已加密")
        if document.get_formtype() != pypdfium2.raw.FORMTYPE_NONE:
            document.init_forms()
        yield document
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise EncryptedError("the PDF is encrypted / PDF 已加密") from error
        raise UnreadableError("the PDF is damaged / PDF 已损坏") from error
    except (UnicodeError, OverflowError) as error:
        raise UnreadableError("the PDF is damaged / PDF 已损坏") from error
    finally:
        if document is not None:
            document.close()


def _attachments(document: Any, limits: Limits) -> Iterator[tuple[str, bytes | None]]:
    """Names of all attachments, and the bytes of ours."""
    count = document.count_attachments()
    if count > limits.pdf_attachments:
        raise ResourceLimitError("pdf_attachments", limit=limits.pdf_attachments, got=count)
    for index in range(count):
        attachment = document.get_attachment(index)
        label = str(attachment.get_name())
        yield label, _content(attachment, limits) if label in (CREDENTIAL, RECEIPT) else None


def _content(attachment: Any, limits: Limits) -> bytes:
    """The bytes of one attachment; its length is asked for before memory is set aside."""
    import ctypes

    from pypdfium2 import PdfiumError, raw

    length = ctypes.c_ulong()
    if not raw.FPDFAttachment_GetFile(attachment, None, 0, length):
        raise PdfiumError("attachment without data")
    if length.value > limits.attachment_bytes:
        raise ResourceLimitError("attachment_bytes", limit=limits.attachment_bytes, got=length.value)
    return bytes(attachment.get_data()) if length.value else b""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A code and its upright bounds in points from the top left corner of the page."""

    symbol: QrSymbol
    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def covers(self, point: tuple[float, float]) -> bool:
        return self.left <= point[0] <= self.right and self.top <= point[1] <= self.bottom

    def repeats(self, other: _Seen) -> bool:
        """The same code on the same spot, seen a second time."""
        return self.symbol.text == other.symbol.text and (self.covers(other.centre) or other.covers(self.centre))


def _page(document: Any, index: int, limits: Limits) -> Iterator[Candidate]:
    """Every code a person would find on one page; those in the place of ours first."""
    page = document[index]
    number = index + 1
    elsewhere = _look(page, _PAGE_DPI, limits, None)
    if _is_our_format(page):
        left, top, right, bottom = _points(QR_PLACE)
        there = _look(page, _PLACE_DPI, limits, QR_PLACE)
        for seen in elsewhere:
            inside = left <= seen.centre[0] <= right and top <= seen.centre[1] <= bottom
            if inside and not any(seen.repeats(other) for other in there):
                there.append(seen)
        yield from (_candidate(seen.symbol, number, f"page:{number}:qr") for seen in there)
        elsewhere = [seen for seen in elsewhere if not any(seen is one or seen.repeats(one) for one in there)]
    for place, seen in enumerate(elsewhere, start=1):
        yield _candidate(seen.symbol, number, f"page:{number}:code:{place}")


def _look(page: Any, dpi: int, limits: Limits, place: Rect | None) -> list[_Seen]:
    """The codes of the page or of one place on it, in reading order."""
    from mingzheng.formats.qrimage import read_qr

    points = 72 / dpi
    left, top = (0.0, 0.0) if place is None else _points(place)[:2]
    found = []
    for symbol in read_qr(_render(page, dpi, limits, place=place), limits=limits):
        xs, ys = zip(*symbol.position, strict=True)
        found.append(
            _Seen(
                symbol=symbol,
                left=left + min(xs) * points,
                top=top + min(ys) * points,
                right=left + max(xs) * points,
                bottom=top + max(ys) * points,
            )
        )
    return found


def _candidate(symbol: QrSymbol, page: int, where: str) -> Candidate:
    text, data = (symbol.text, None) if isinstance(symbol.text, str) else (None, symbol.text)
    return Candidate(source=Source.QR, page=page, text=text, data=data, where=where)


def _points(place: Rect) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a place with its margin."""
    return (
        (place.x_mm - _PLACE_MARGIN_MM) * _POINTS_PER_MM,
        (place.y_mm - _PLACE_MARGIN_MM) * _POINTS_PER_MM,
        (place.right_mm + _PLACE_MARGIN_MM) * _POINTS_PER_MM,
        (place.bottom_mm + _PLACE_MARGIN_MM) * _POINTS_PER_MM,
    )


def _is_our_format(page: Any) -> bool:
    """A4 upright, whatever the page says of its rotation."""
    width, height = _size(page)
    return abs(width - _A4_POINTS[0]) <= _SLACK_POINTS and abs(height - _A4_POINTS[1]) <= _SLACK_POINTS


def _render(page: Any, dpi: int, limits: Limits, *, place: Rect | None = None) -> Any:
    """The page, or one place on it with some margin, as a grey picture."""
    width, height = _size(page)
    crop = (0.0, 0.0, 0.0, 0.0)
    if place is not None:
        left, top, right, bottom = _points(place)
        crop = (left, height - bottom, width - right, top)
    scale = dpi / 72
    pixels = int(width * scale + 1) * int(height * scale + 1)
    if not pixels or pixels > limits.image_pixels or max(width, height) * scale > limits.image_side:
        raise ResourceLimitError("page pixels", limit=limits.image_pixels, got=pixels)
    bitmap = page.render(scale=scale, crop=crop, grayscale=True)
    return bitmap.to_pil()


def _size(page: Any) -> tuple[float, float]:
    width, height = page.get_size()
    return float(width), float(height)
