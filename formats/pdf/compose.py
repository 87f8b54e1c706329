"""A page as a PDF file: tagged, fonts subset and embedded, credential and receipt attached.

Specs: ISO 32000-1 (PDF 1.7), ISO 32000-2 §14.13 for associated files, PDF/A-3 level A (ISO 19005-3), PDF/UA-1
(ISO 14289-1). The same page, fonts and attachments give the same bytes. Left out: sealing (`pdf.seal` adds it to
these bytes). Effectful by the house's list: it drives the font and image libraries; it opens no file and reads no
clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from mingzheng.formats.fontfile import FontSet
from mingzheng.formats.imagehead import read_head
from mingzheng.formats.images import decode_image
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.page import Box, ImageBox, PageSpec, Path, QrSlot, Role, SealSlot, TextRun
from mingzheng.formats.pdf import content
from mingzheng.formats.pdf.archive import ComposeError, PdfMetadata, date_string, info, output_intents, xmp
from mingzheng.formats.pdf.fontembed import EmbeddedFont, FontFacts, embed_font
from mingzheng.formats.pdf.imageembed import embed_direct, embed_pixels
from mingzheng.formats.pdf.objects import LEVEL, PdfObjects, array, dictionary, name, number, ref, stream, text_string
from mingzheng.formats.pdf.structure import Element, Structure

__all__ = ["ComposeError", "PdfMetadata", "compose_pdf", "page_objects"]

_STORED: Final = 0
_MEDIA_TYPES: Final = {"credential": "application/cose", "receipt": "text/plain"}
_DESCRIPTIONS: Final = {
    "credential": "签名数据（COSE_Sign1）/ signed data (COSE_Sign1)",
    "receipt": "日志回执（C2SP tlog-proof）/ log receipt (C2SP tlog-proof)",
}


def compose_pdf(page: PageSpec, *, fonts: FontSet, attachments: Mapping[str, bytes], metadata: PdfMetadata) -> bytes:
    """The PDF file of a page.

    `attachments` are embedded files by name ("credential", "receipt"; ASCII). Raises MissingGlyphError,
    ImageError or ComposeError.
    """
    objects = PdfObjects()
    catalogue, pages, leaf = objects.reserve(), objects.reserve(), objects.reserve()
    writer = _write_page(page, fonts, objects, leaf=leaf, above=pages)
    objects.set(pages, dictionary(Type=b"/Pages", Kids=array([ref(leaf)]), Count=b"1"))
    files = [(label, _attach(objects, label, attachments[label], metadata.made_on)) for label in sorted(attachments)]
    entries = {
        "Type": b"/Catalog",
        "Pages": ref(pages),
        "Lang": text_string(page.language),
        "MarkInfo": b"<</Marked true>>",
        "StructTreeRoot": ref(writer.structure.write(objects, page=leaf)),
        "ViewerPreferences": b"<</DisplayDocTitle true /PrintScaling /None>>",
        "OutputIntents": output_intents(objects),
        "Metadata": ref(objects.add(xmp(page.title, page.language, metadata))),
    }
    if files:
        names = array(part for label, number_ in files for part in (_ascii(label), ref(number_)))
        entries["Names"] = dictionary(EmbeddedFiles=dictionary(Names=names))
        entries["AF"] = array(ref(number_) for _, number_ in files)
    objects.set(catalogue, dictionary(entries))
    return objects.file(root=catalogue, info=objects.add(info(page.title, metadata)))


def page_objects(page: PageSpec, *, fonts: FontSet) -> tuple[bytes, ...]:
    """The objects of `compose_pdf` up to the page's content, in the order of their numbers from 1.

    The catalogue and the tree of pages, which come first, are empty here. Everything that the page draws is among
    the others: the page itself is the third. Streams that `compose_pdf` deflates may be stored here as they are, in
    the same format: what they unpack to is the same.
    """
    objects = PdfObjects()
    _catalogue, pages, leaf = objects.reserve(), objects.reserve(), objects.reserve()
    _write_page(page, fonts, objects, leaf=leaf, above=pages, level=_STORED)
    return objects.written()


def _write_page(
    page: PageSpec, fonts: FontSet, objects: PdfObjects, *, leaf: int, above: int, level: int = LEVEL
) -> _PageWriter:
    """Write the page and all it draws; its objects stand in a row behind the reserved ones."""
    writer = _PageWriter(page, fonts, objects, level)
    body = writer.content()
    objects.set(
        leaf,
        dictionary(
            Type=b"/Page",
            Parent=ref(above),
            MediaBox=array(number(mm * content.POINTS_PER_MM) for mm in (0, 0, page.width_mm, page.height_mm)),
            Resources=writer.resources(),
            Contents=ref(objects.add(stream(body, level=level))),
            StructParents=b"0",
            Tabs=b"/S",
        ),
    )
    return writer


class _PageWriter:
    """Writes the boxes of one page and remembers which resources they need."""

    def __init__(self, page: PageSpec, fonts: FontSet, objects: PdfObjects, level: int) -> None:
        self._page, self._fonts, self._objects, self._level = page, fonts, objects, level
        self._embedded = self._embed_fonts()
        self._drawn: dict[str, int] = {}
        self.structure = Structure()

    def resources(self) -> bytes:
        """The resource dictionary, once the content is written."""
        fonts = {f"F{index}": ref(font.number) for index, font in self._embedded.items()}
        drawn = {label: ref(item) for label, item in self._drawn.items()}
        return dictionary(Font=dictionary(fonts), XObject=dictionary(drawn))

    def content(self) -> bytes:
        """The content stream: decoration first, then every group of boxes as one marked stretch."""
        boxes = self._page.boxes
        lead = next((at for at, box in enumerate(boxes) if not _is_decoration(box)), len(boxes))
        parts = []
        if lead:
            ground = self._name(self._objects.add(_ground(boxes[:lead], self._page.width_mm, self._page.height_mm)))
            parts.append(b"/Artifact BMC /%b Do EMC" % ground.encode())
        opened = ""
        for box in boxes[lead:]:
            group = box.group if isinstance(box, TextRun) else ""
            if opened and group != opened:
                parts.append(b"ET EMC")
                opened = ""
            if isinstance(box, TextRun):
                if not opened:
                    parts.append(self.structure.begin(_element(box, self._page)) + b" BT")
                    opened = group
                parts.extend(self._text(box))
            elif _is_decoration(box):
                parts.append(b"/Artifact BMC\n%b\nEMC" % self._shape(box))
            else:
                parts.append(b"%b\n%b\nEMC" % (self.structure.begin(_element(box, self._page)), self._shape(box)))
        if opened:
            parts.append(b"ET EMC")
        return b"\n".join(parts)

    def _shape(self, box: Box) -> bytes:
        height = self._page.height_mm
        match box:
            case Path():
                return content.path(box, height)
            case QrSlot():
                return content.qr(box, height)
            case SealSlot():
                return content.seal(box, height)
            case ImageBox():
                head = read_head(box.data)
                image = embed_direct(self._objects, head, box.data)
                if image is None:
                    image = embed_pixels(self._objects, decode_image(box.data, limits=LIMITS_DEFAULT))
                return content.image(self._name(image), box.rect, height)
            case TextRun():  # pragma: no cover - text is written by _text
                raise AssertionError("text is not a shape")

    def _text(self, run: TextRun) -> Iterator[bytes]:
        yield content.colour_operands(run.colour) + b" rg"
        x, y = run.x_mm, (self._page.height_mm - run.y_mm) * content.POINTS_PER_MM
        for index, stretch in self._fonts.split(run.text):
            yield content.text(
                self._embedded[index].encode(stretch),
                font=f"F{index}",
                size_mm=run.size_mm,
                tracking_mm=run.tracking_mm,
                x=x * content.POINTS_PER_MM,
                y=y,
            )
            x += self._fonts.width(stretch, run.size_mm) + run.tracking_mm * len(stretch)

    def _embed_fonts(self) -> dict[int, EmbeddedFont]:
        points: dict[int, set[int]] = {}
        for box in self._page.boxes:
            if isinstance(box, TextRun):
                for index, stretch in self._fonts.split(box.text):
                    points.setdefault(index, set()).update(map(ord, stretch))
        embedded = {}
        for index in sorted(points):
            font = self._fonts.fonts[index]
            part = font.subset(points[index])
            facts = FontFacts(
                base_name=font.postscript_name,
                data=part.data,
                glyphs=part.glyphs,
                widths=part.widths,
                ascent=font.ascent,
                descent=font.descent,
                box=font.box,
            )
            embedded[index] = embed_font(self._objects, facts, level=self._level)
        return embedded

    def _name(self, item: int) -> str:
        label = f"X{len(self._drawn)}"
        self._drawn[label] = item
        return label


def _is_decoration(box: Box) -> bool:
    return isinstance(box, Path) and box.role is Role.DECORATION


def _element(box: Box, page: PageSpec) -> Element:
    if isinstance(box, TextRun):
        return Element(role=box.role, language=None if box.language == page.language else box.language)
    return Element(role=Role.FIGURE, alt=box.alt, corners=content.to_points(box.rect, page.height_mm))


@lru_cache(maxsize=16)
def _ground(boxes: tuple[Box, ...], width_mm: float, height_mm: float) -> bytes:
    """The leading decoration as a form object (ISO 32000-1 §8.10), the same for every copy of a template."""
    shapes = b"\n".join(content.path(box, height_mm) for box in boxes if isinstance(box, Path))
    size = array(number(mm * content.POINTS_PER_MM) for mm in (0, 0, width_mm, height_mm))
    return stream(shapes, {"Type": b"/XObject", "Subtype": b"/Form", "BBox": size, "Resources": b"<<>>"}, level=9)


def _attach(objects: PdfObjects, label: str, data: bytes, made_on: int | None) -> int:
    """An embedded file and its specification (ISO 32000-1 §7.11.4, ISO 32000-2 §14.13, ISO 19005-3 §6.8)."""
    params = {"Size": b"%d" % len(data)}
    if made_on is not None:
        params["ModDate"] = date_string(made_on)
    media = _MEDIA_TYPES.get(label, "application/octet-stream")
    file = objects.add(
        stream(
            data,
            {"Type": b"/EmbeddedFile", "Subtype": name(media), "Params": dictionary(params)},
            compress=False,
        )
    )
    return objects.add(
        dictionary(
            Type=b"/Filespec",
            F=_ascii(label),
            UF=text_string(label),
            EF=dictionary(F=ref(file), UF=ref(file)),
            Desc=text_string(_DESCRIPTIONS.get(label, label)),
            AFRelationship=b"/Data",
        )
    )


def _ascii(label: str) -> bytes:
    if not (label.isascii() and label.isidentifier()):
        raise ComposeError("the name of an attachment is ASCII letters, digits and underscores")
    return b"(" + label.encode() + b")"
