"""The boxes of a page as OFD page objects (GB/T 33190 §8, §9, §11): XML with ids, relative to their boundaries.

Advances are differences of rounded places, so that no character is ever more than a thousandth of a millimetre
from where the page has it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from mingzheng.formats.ofd.xmlwrite import box, element, escape, number, numbers
from mingzheng.formats.ornament import ellipse, rectangle
from mingzheng.formats.page import Colour, PageSpec, Path, Rect, Role, SealShape, SealSlot

__all__ = ["GlyphRun", "image_object", "path_object", "slot_outline", "text_object"]

_OPERATORS: Final = {"M": ("M", 2), "L": ("L", 2), "C": ("B", 6), "Z": ("C", 0)}  # page.Path -> AbbreviatedData
_SEAL_DASH_MM: Final = 1.2
_SEAL_LINE_MM: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class GlyphRun:
    """Text of one font: first baseline point, advance of every character, how far the font reaches up and down."""

    text: str
    advances_mm: Sequence[float]
    glyph: int | None  # of the one character outside the basic plane
    x_mm: float
    y_mm: float
    size_mm: float
    ascent: float  # em
    descent: float  # em, positive
    colour: Colour


def text_object(run: GlyphRun, *, number_: int, font: int) -> str:
    """A TextObject. With a glyph given, it is a character outside the basic plane, alone.

    Readers count text in units of UTF-16: they take such a character for two, look both up in vain, and are one
    advance behind from there on. So it stands alone, and its glyph is named for both units (CGTransform).
    """
    left, top = round(run.x_mm, 3), round(run.y_mm - run.ascent * run.size_mm, 3)
    places, x = [], run.x_mm
    for advance in run.advances_mm:
        places.append(round((x - left) * 1000))
        x += advance
    attributes = {"X": number(places[0] / 1000), "Y": number(run.y_mm - top)}
    if len(places) > 1:
        attributes["DeltaX"] = numbers((after - before) / 1000 for before, after in pairwise(places))
    parts = [_colour("FillColor", run.colour)]
    if run.glyph is not None:
        named = {"CodePosition": 0, "CodeCount": len(run.text.encode("utf-16-le")) // 2, "GlyphCount": 1}
        parts.append(element("CGTransform", named, element("Glyphs", None, str(run.glyph))))
    parts.append(element("TextCode", attributes, escape(run.text)))
    head = {
        "ID": str(number_),
        "Boundary": box(left, top, x - left, (run.ascent + run.descent) * run.size_mm),
        "Font": str(font),
        "Size": number(run.size_mm),
    }
    return element("TextObject", head, *parts)


def path_object(path: Path, *, number_: int, page: PageSpec) -> str:
    """A PathObject, stroked with its line or filled; the boundary leaves room for the line."""
    half, rect = path.line_mm / 2, path.rect
    left, top = max(0.0, rect.x_mm - half), max(0.0, rect.y_mm - half)
    right, bottom = min(page.width_mm, rect.right_mm + half), min(page.height_mm, rect.bottom_mm + half)
    left, top = round(left, 3), round(top, 3)
    attributes = {"ID": str(number_), "Boundary": box(left, top, right - left, bottom - top)}
    if path.line_mm:
        attributes["LineWidth"] = number(path.line_mm)
        if path.dash_mm:
            attributes["DashPattern"] = numbers(path.dash_mm)
        colour = _colour("StrokeColor", path.colour)
    else:
        attributes |= {"Stroke": "false", "Fill": "true"}
        colour = _colour("FillColor", path.colour)
    data = " ".join(_operations(path.data, left, top))
    return element("PathObject", attributes, colour, element("AbbreviatedData", None, data))


def _operations(data: str, left: float, top: float) -> Iterator[str]:
    words = iter(data.split())
    for word in words:
        operator, count = _OPERATORS[word]
        yield operator
        for at in range(count):
            yield number(float(next(words)) - (top if at % 2 else left))


def image_object(rect: Rect, *, number_: int, resource: int) -> str:
    """An ImageObject: a unit square stretched over the rectangle."""
    attributes = {
        "ID": str(number_),
        "Boundary": box(rect.x_mm, rect.y_mm, rect.width_mm, rect.height_mm),
        "CTM": numbers((rect.width_mm, 0, 0, rect.height_mm, 0, 0)),
        "ResourceID": str(resource),
    }
    return element("ImageObject", attributes)


def slot_outline(slot: SealSlot) -> Path:
    """The dashed outline of a place for a seal, as the PDF has it."""
    return Path(
        name=slot.name,
        role=Role.DECORATION,
        alt="",
        rect=slot.rect,
        data=ellipse(slot.rect) if slot.shape is SealShape.CIRCLE else rectangle(slot.rect),
        line_mm=_SEAL_LINE_MM,
        dash_mm=(_SEAL_DASH_MM, _SEAL_DASH_MM),
        colour=slot.colour,
    )


def _colour(tag: str, colour: Colour) -> str:
    return element(tag, {"Value": " ".join(map(str, colour))})
