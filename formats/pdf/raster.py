"""A PDF page as pictures, as the eye sees it: annotations and form fields drawn, on the screen and on paper.

Renderer: PDFium through pypdfium2, loaded with the first page (not safe for several threads at once). All its
errors become UnreadableError. Sizes are checked before memory is set aside. Left out: what a page says as text;
only what it shows counts here. Effectful: a renderer in C is at work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mingzheng.formats.errors import ResourceLimitError, UnreadableError

if TYPE_CHECKING:
    from mingzheng.formats.limits import Limits
    from mingzheng.formats.page import Rect

__all__ = ["ImageStream", "Sheet", "open_sheet"]

_MM_PER_INCH: Final = 25.4
_POINTS: Final = 72
_OBJECTS_MAX: Final = 20_000  # objects of a page looked at
_IMAGES_MAX: Final = 16  # image streams handed out
_LAYER_MARKS: Final = (b"/OC", b"/ObjStm")
_ESCAPED: Final = re.compile(rb"/[A-Za-z]{0,8}#[0-9A-Fa-f]{2}[A-Za-z#0-9]{0,24}")  # of names as they matter here
_HIDING: Final = 0x02 | 0x20  # hidden, no view
_PRINTED: Final = 0x04
_WHOLE: Final = 0.8  # of the page: a picture this large is a picture of a page


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStream:
    """One image as it lies in the file, still coded; `filters` by their names in ISO 32000-1 §7.4."""

    data: bytes
    filters: tuple[str, ...]
    width: int
    height: int
    bits_per_pixel: int


class Sheet:
    """The first page of an open document."""

    def __init__(self, document: Any, data: bytes, limits: Limits) -> None:
        self._data, self._limits = data, limits
        self.pages: int = len(document)
        self._page: Any = document[0]
        width, height = self._page.get_size()
        self.width_mm, self.height_mm = (float(side) * _MM_PER_INCH / _POINTS for side in (width, height))

    def render(
        self, dpi: float, *, colour: bool = False, paper: bool = False, place: Rect | None = None, bare: bool = False
    ) -> Any:
        """The page, or one place on it, as a grey or RGB picture.

        `paper`: as it would be printed; `bare`: without annotations and form fields, seals among them.
        """
        scale = dpi / _POINTS
        width, height = self._page.get_size()
        pixels = int(width * scale + 1) * int(height * scale + 1)
        if pixels > self._limits.image_pixels or max(width, height) * scale > self._limits.image_side:
            raise ResourceLimitError("page pixels", limit=self._limits.image_pixels, got=pixels)
        crop = (0.0, 0.0, 0.0, 0.0)
        if place is not None:
            points = _POINTS / _MM_PER_INCH
            crop = (
                max(0.0, place.x_mm * points),
                max(0.0, height - place.bottom_mm * points),
                max(0.0, width - place.right_mm * points),
                max(0.0, place.y_mm * points),
            )
        mode = "print" if paper else None
        with _guarded():
            bitmap = self._page.render(
                scale=scale,
                crop=crop,
                grayscale=not colour,
                optimize_mode=mode,
                draw_annots=not bare,
                may_draw_forms=not bare,
            )
            drawn = bitmap.to_pil()
            if drawn.mode != "RGB":  # three bytes a pixel are unpacked into memory of their own, others are shared
                drawn = drawn.convert("RGB") if colour else drawn.copy()
            bitmap.close()
        return drawn

    def may_differ_on_paper(self) -> bool:
        """Tell whether the document has means to show one thing on the screen and another on paper.

        Optional content (ISO 32000-1 §8.11) and annotations of which the flags hide one or the other (§12.5.3). What
        cannot be seen in the bytes, in object streams or behind escaped names, counts as there.
        """
        from pypdfium2 import raw

        if any(mark in self._data for mark in _LAYER_MARKS):
            return True
        if any(_plain(name).startswith(_LAYER_MARKS) for name in _ESCAPED.findall(self._data)):
            return True
        with _guarded():
            for index in range(raw.FPDFPage_GetAnnotCount(self._page)):
                note = raw.FPDFPage_GetAnnot(self._page, index)
                flags = raw.FPDFAnnot_GetFlags(note) if note else 0
                if note:
                    raw.FPDFPage_CloseAnnot(note)
                if flags & _HIDING or not flags & _PRINTED:
                    return True
        return False

    def is_picture(self) -> bool:
        """Tell whether one picture covers nearly the whole page: a scan, or a page made into a picture."""
        from pypdfium2 import raw

        width, height = self._page.get_size()
        with _guarded():
            for number, item in enumerate(self._page.get_objects(max_depth=4)):
                if number >= _OBJECTS_MAX:
                    break
                if item.type == raw.FPDF_PAGEOBJ_IMAGE:
                    left, low, right, high = item.get_bounds()
                    if (right - left) * (high - low) >= _WHOLE * width * height:
                        return True
        return False

    def image_streams(self) -> tuple[ImageStream, ...]:
        """The images of the page as they lie in the file, the first few."""
        from pypdfium2 import raw

        found: list[ImageStream | None] = []
        with _guarded():
            objects = self._page.get_objects(max_depth=4)
            for number, item in enumerate(objects):
                if number >= _OBJECTS_MAX or len(found) >= _IMAGES_MAX:
                    break
                if item.type == raw.FPDF_PAGEOBJ_IMAGE:
                    found.append(self._stream(item))
        return tuple(item for item in found if item is not None)

    def _stream(self, item: Any) -> ImageStream | None:
        from pypdfium2 import raw

        length = raw.FPDFImageObj_GetImageDataRaw(item, None, 0)
        if not 0 < length <= self._limits.image_bytes:
            return None
        facts = item.get_metadata()
        return ImageStream(
            data=bytes(item.get_data()),
            filters=tuple(item.get_filters()),
            width=facts.width,
            height=facts.height,
            bits_per_pixel=facts.bits_per_pixel,
        )


def _plain(name: bytes) -> bytes:
    """A name without escapes (ISO 32000-1 §7.3.5)."""
    return re.sub(rb"#([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), name)


@contextmanager
def open_sheet(data: bytes, *, limits: Limits) -> Iterator[Sheet]:
    """The first page of a PDF file; UnreadableError or ResourceLimitError if it cannot be shown."""
    import pypdfium2

    if len(data) > limits.pdf_bytes:
        raise ResourceLimitError("pdf_bytes", limit=limits.pdf_bytes, got=len(data))
    with _guarded():
        document = pypdfium2.PdfDocument(data)
    try:
        with _guarded():
            if document.get_formtype() != pypdfium2.raw.FORMTYPE_NONE:
                document.init_forms()
            sheet = Sheet(document, data, limits) if len(document) else None
        if sheet is None:
            raise UnreadableError("a PDF without pages")
        yield sheet
    finally:
        document.close()


@contextmanager
def _guarded() -> Iterator[None]:
    """Every error of the reader becomes UnreadableError."""
    import pypdfium2

    try:
        yield
    except (pypdfium2.PdfiumError, UnicodeError, OverflowError, MemoryError, ValueError) as error:
        raise UnreadableError("the PDF page cannot be drawn / PDF 页面无法显示") from error
