"""Candidates out of a PDF file: attachments first, then always the visible code as well.

Reader: PDFium through pypdfium2, loaded when the first PDF is read (not safe for several threads at once). All
its errors become UnreadableError. The page is rendered with annotations and form fields, as the eye sees it, and
only what is seen counts: pictures in the file are not read for themselves, one may lie under another. Every page is
looked at as a whole at 200 dpi, and the place where our pages carry the code once more, out of the same picture at
half the size: a code anywhere else on the page may be the one that a person scans, so it is never left out for
another. A page that shows no code is looked at again with patience, as far as there are not too many of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.errors import ResourceLimitError, TruncatedError, UnreadableError
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
PAGE_WITHOUT_CODE: Final = "pdf.page_without_code"
MIRRORED: Final = "image.mirrored"
PATIENT_PAGES: Final = 6  # a quarter of a second each

_A4_POINTS: Final = (595.276, 841.89)
_SLACK_POINTS: Final = 3.0  # printers and converters move a page this far
_POINTS_PER_MM: Final = 72 / 25.4
_PLACE_MARGIN_MM: Final = 3.0
_PAGE_DPI: Final = 200
_POINTS_PER_PIXEL: Final = 72 / _PAGE_DPI
_PLACE_SHARE: Final = 2  # the place is looked at in so many times fewer pixels
_WHOLE: Final = 0.8  # of the page: a picture this large is a picture of a page
_OBJECTS_MAX: Final = 2_000  # objects of a page looked at for that
_END, _OBJECT_END = b"%%EOF", b"endobj"


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
    if data.rfind(_END) < data.rfind(_OBJECT_END):
        raise TruncatedError("the end of the PDF is missing")
    check_inflated(data, stream_max=STREAM_MAX, total_max=TOTAL_MAX)
    with _opened(data) as document:
        pages = len(document)
        if pages < 1:
            raise UnreadableError("a PDF without pages")
        if pages > limits.pdf_pages:
            raise ResourceLimitError("pdf_pages", limit=limits.pdf_pages, got=pages)
        files = list(_attachments(document, limits))
        looks = _looks(document, limits)
    seals, faults = check_pdf(data)
    attached = [body for label, body in files if label == CREDENTIAL and body is not None]
    candidates = [
        Candidate(source=Source.ATTACHMENT, page=None, text=None, data=body, where=f"attachment:{CREDENTIAL}")
        for body in attached
    ]
    return Extracted(
        kind=FileKind.PDF,
        candidates=(*candidates, *(one for look in looks for one in look.candidates)),
        facts=FileFacts(
            kind=FileKind.PDF,
            pages=pages,
            attachments=tuple(label for label, _ in files),
            full_receipts=tuple(body for label, body in files if label == RECEIPT and body is not None),
            seals=seals,
            faults=faults,
            scanned=all(look.is_picture for look in looks),
        ),
        problems=tuple(_problems(looks, attached=bool(attached))),
    )


def _problems(looks: list[_Look], *, attached: bool) -> Iterator[tuple[str, str]]:
    blank = [look.page for look in looks if not look.seen]
    if attached and len(blank) == len(looks):
        yield NO_VISIBLE_CODE, "attachment without a readable code on the page"
    elif blank and len(blank) < len(looks):
        yield PAGE_WITHOUT_CODE, f"no code was read from page {blank[0]}"
    if any(one.symbol.mirrored for look in looks for one in look.seen):
        yield MIRRORED, "a code is seen from behind"


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """The document, closed afterwards; every error of the reader in here becomes UnreadableError."""
    import pypdfium2

    document = None
    try:
        # PDFium names the error of the file before where it gives none for this one: let that be "no PDF".
        pypdfium2.raw.FPDF_LoadMemDocument64(b"-", 1, None)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one page shows: the codes in the place of ours, and the others."""

    page: int  # from 1
    there: tuple[_Seen, ...]
    elsewhere: tuple[_Seen, ...]
    is_picture: bool  # nothing but a picture of a page

    @property
    def seen(self) -> tuple[_Seen, ...]:
        return (*self.there, *self.elsewhere)

    @property
    def candidates(self) -> Iterator[Candidate]:
        yield from (_candidate(seen.symbol, self.page, f"page:{self.page}:qr") for seen in self.there)
        for place, seen in enumerate(self.elsewhere, start=1):
            yield _candidate(seen.symbol, self.page, f"page:{self.page}:code:{place}")


def _looks(document: Any, limits: Limits) -> list[_Look]:
    """One for each page; with patience for the first ones that show nothing at once."""
    looks, patience = [], PATIENT_PAGES
    for index in range(len(document)):
        page = document[index]
        look = _look(page, index + 1, limits, patient=False)
        if not look.seen and patience:
            patience -= 1
            look = _look(page, index + 1, limits, patient=True)
        looks.append(look)
    return looks


def _look(page: Any, number: int, limits: Limits, *, patient: bool) -> _Look:
    """Every code a person would find on one page."""
    picture, pixels = _render(page, limits)
    whole = partial(_Look, page=number, is_picture=_is_picture(page))
    elsewhere = _read(picture, limits, at=(0.0, 0.0), points=_POINTS_PER_PIXEL, patient=patient, pixels=pixels)
    if not _is_our_format(page):
        return whole(there=(), elsewhere=tuple(elsewhere))
    left, top, right, bottom = _points(QR_PLACE)
    edges = [round(edge / _POINTS_PER_PIXEL) for edge in (left, top, right, bottom)]
    crop = picture.crop((max(0, edges[0]), max(0, edges[1]), *edges[2:])).reduce(_PLACE_SHARE)
    there = _read(crop, limits, at=(left, top), points=_POINTS_PER_PIXEL * _PLACE_SHARE)
    for seen in elsewhere:
        inside = left <= seen.centre[0] <= right and top <= seen.centre[1] <= bottom
        if inside and not any(seen.repeats(other) for other in there):
            there.append(seen)
    rest = [seen for seen in elsewhere if not any(seen is one or seen.repeats(one) for one in there)]
    return whole(there=tuple(there), elsewhere=tuple(rest))


def _read(
    picture: Any,
    limits: Limits,
    *,
    at: tuple[float, float],
    points: float,
    patient: bool = False,
    pixels: memoryview | None = None,
) -> list[_Seen]:
    """The codes of a picture in reading order; `at`: its corner on the page, `points`: the size of its pixels."""
    from mingzheng.formats.qrimage import read_qr

    found = []
    for symbol in read_qr(picture, limits=limits, patient=patient, pixels=pixels):
        xs, ys = zip(*symbol.position, strict=True)
        found.append(
            _Seen(
                symbol=symbol,
                left=at[0] + min(xs) * points,
                top=at[1] + min(ys) * points,
                right=at[0] + max(xs) * points,
                bottom=at[1] + max(ys) * points,
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


def _is_picture(page: Any) -> bool:
    """Whether one picture covers nearly the whole page: a scan, or a page made into a picture."""
    from pypdfium2 import raw

    width, height = _size(page)
    for item in islice(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3), _OBJECTS_MAX):
        left, low, right, high = item.get_bounds()
        if (right - left) * (high - low) >= _WHOLE * width * height:
            return True
    return False


def _render(page: Any, limits: Limits) -> tuple[Any, memoryview | None]:
    """The page as a grey picture, and its pixels where they lie row by row."""
    width, height = _size(page)
    scale = 1 / _POINTS_PER_PIXEL
    pixels = int(width * scale + 1) * int(height * scale + 1)
    if not pixels or pixels > limits.image_pixels or max(width, height) * scale > limits.image_side:
        raise ResourceLimitError("page pixels", limit=limits.image_pixels, got=pixels)
    bitmap = page.render(scale=scale, grayscale=True)
    flat = bitmap.mode == "L" and bitmap.stride == bitmap.width
    return bitmap.to_pil(), memoryview(bitmap.buffer).cast("B") if flat else None


def _size(page: Any) -> tuple[float, float]:
    width, height = page.get_size()
    return float(width), float(height)
