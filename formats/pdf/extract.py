"""Candidates out of a PDF file: attachments first, then always the visible code as well.

Reader: PDFium through pypdfium2, loaded when the first PDF is read (not safe for several threads at once). All
its errors become UnreadableError. The page is rendered with annotations and form fields, as the eye sees it.
Order per page: the place where our pages carry the code at 100 dpi, else the whole page at 100 and 200 dpi.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.errors import ResourceLimitError, UnreadableError
from mingzheng.formats.page import QR_PLACE, Rect
from mingzheng.formats.pdf.inflate import STREAM_MAX, TOTAL_MAX, check_inflated
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
_PAGE_DPIS: Final = (100, 200)


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
    problems = ((NO_VISIBLE_CODE, "attachment without a readable code on the page"),)
    return Extracted(
        kind=FileKind.PDF,
        candidates=(*candidates, *visible),
        facts=FileFacts(
            kind=FileKind.PDF,
            pages=pages,
            attachments=tuple(label for label, _ in files),
            full_receipts=tuple(body for label, body in files if label == RECEIPT and body is not None),
            seals=0,
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
    except (UnicodeError, OverflowError, MemoryError) as error:
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


def _page(document: Any, index: int, limits: Limits) -> Iterator[Candidate]:
    """The codes a person would find on one page."""
    from mingzheng.formats.qrimage import read_qr

    page = document[index]
    number = index + 1
    if _is_our_format(page):
        found = read_qr(_render(page, _PLACE_DPI, limits, place=QR_PLACE), limits=limits)
        if found:
            yield from (_candidate(symbol, number, f"page:{number}:qr") for symbol in found)
            return
    for dpi in _PAGE_DPIS:
        found = read_qr(_render(page, dpi, limits), limits=limits)
        if found:
            for place, symbol in enumerate(found, start=1):
                yield _candidate(symbol, number, f"page:{number}:code:{place}")
            return


def _candidate(symbol: QrSymbol, page: int, where: str) -> Candidate:
    text, data = (symbol.text, None) if isinstance(symbol.text, str) else (None, symbol.text)
    return Candidate(source=Source.QR, page=page, text=text, data=data, where=where)


def _is_our_format(page: Any) -> bool:
    """A4 upright, whatever the page says of its rotation."""
    width, height = _size(page)
    return abs(width - _A4_POINTS[0]) <= _SLACK_POINTS and abs(height - _A4_POINTS[1]) <= _SLACK_POINTS


def _render(page: Any, dpi: int, limits: Limits, *, place: Rect | None = None) -> Any:
    """The page, or one place on it with some margin, as a grey picture."""
    width, height = _size(page)
    crop = (0.0, 0.0, 0.0, 0.0)
    if place is not None:
        left = (place.x_mm - _PLACE_MARGIN_MM) * _POINTS_PER_MM
        top = (place.y_mm - _PLACE_MARGIN_MM) * _POINTS_PER_MM
        right = (place.right_mm + _PLACE_MARGIN_MM) * _POINTS_PER_MM
        bottom = (place.bottom_mm + _PLACE_MARGIN_MM) * _POINTS_PER_MM
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
