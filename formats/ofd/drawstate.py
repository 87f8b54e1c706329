"""Numbers, colours and line styles of OFD page objects, read strictly, and the error of what is not drawn.

Source: GB/T 33190 §8. Whatever two readers could take differently (an unknown attribute or element, an element given
twice, a number that is none) is refused: a page that is drawn here looks the same everywhere. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from mingzheng.formats.errors import FormatError

if TYPE_CHECKING:
    from mingzheng.formats.ofd.document import OfdResource
    from mingzheng.formats.ofd.xmlread import Element

__all__ = [
    "IDENTITY",
    "DrawUnsupportedError",
    "Matrix",
    "Paint",
    "Style",
    "apply",
    "check_known",
    "flag",
    "matrix_of",
    "multiply",
    "number_of",
    "numbers_of",
    "only",
    "style_of",
]

Matrix = tuple[float, float, float, float, float, float]  # a b c d e f as in PDF: x' = a·x + c·y + e

IDENTITY: Final[Matrix] = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_NUMBER_MAX: Final = 1e6
_NUMBERS_MAX: Final = 400_000
_PARAM_DEPTH: Final = 8
_LINE_WIDTH_MM: Final = 0.353
_MITER: Final = 3.528
_PARAM_ATTRIBUTES: Final = frozenset(
    {"ID", "Relative", "LineWidth", "Join", "Cap", "DashOffset", "DashPattern", "MiterLimit"}
)
_SPACES: Final = {"GRAY": 1, "RGB": 3, "CMYK": 4}


class DrawUnsupportedError(FormatError):
    """The page has something that is not drawn here, or that readers draw differently; `reason` says what."""

    code: ClassVar[str] = "ofd.draw.unsupported"

    def __init__(self, reason: str) -> None:
        super().__init__(f"not drawn: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """A colour of 1 (grey), 3 (RGB) or 4 (CMYK) parts from 0 to 1, and its opacity."""

    parts: tuple[float, ...] = (0.0,)
    alpha: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How lines and areas are painted."""

    fill: Paint = Paint()
    stroke: Paint = Paint()
    width: float = _LINE_WIDTH_MM
    join: str = "Miter"
    cap: str = "Butt"
    miter: float = _MITER
    dash: tuple[float, ...] = ()
    dash_offset: float = 0.0


def only(parent: Element, tag: str) -> Element | None:
    """The one child of this name, None without any; twice is one too many."""
    found = list(parent.every(tag))
    if len(found) > 1:
        raise DrawUnsupportedError("twice")
    return found[0] if found else None


def check_known(item: Element, attributes: frozenset[str], children: frozenset[str]) -> None:
    """Refuse an element with attributes or children other than these."""
    if not item.attributes.keys() <= attributes or not {child.tag for child in item.children} <= children:
        raise DrawUnsupportedError(f"unknown in {item.tag}" if item.tag.isalnum() else "unknown")


def numbers_of(text: str | None) -> tuple[float, ...]:
    """Numbers with blanks between them."""
    try:
        found = tuple(float(part) for part in (text or "").split())
    except ValueError:
        raise DrawUnsupportedError("number") from None
    if len(found) > _NUMBERS_MAX or not all(math.isfinite(value) and abs(value) <= _NUMBER_MAX for value in found):
        raise DrawUnsupportedError("number")
    return found


def number_of(item: Element, name: str, default: float) -> float:
    """The one number of an attribute."""
    text = item.get(name)
    if text is None:
        return default
    found = numbers_of(text)
    if len(found) != 1:
        raise DrawUnsupportedError("number")
    return found[0]


def flag(item: Element, name: str, *, default: bool) -> bool:
    """An xs:boolean."""
    text = item.get(name)
    if text is None:
        return default
    if text not in ("true", "false", "1", "0"):
        raise DrawUnsupportedError("boolean")
    return text in ("true", "1")


def matrix_of(item: Element) -> Matrix:
    """The attribute CTM."""
    text = item.get("CTM")
    if text is None:
        return IDENTITY
    found = numbers_of(text)
    if len(found) != 6:
        raise DrawUnsupportedError("matrix")
    return found


def multiply(first: Matrix, then: Matrix) -> Matrix:
    """The matrix that does `first`, then `then`."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def apply(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    """Where a point goes."""
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def style_of(base: Style, item: Element, resources: Mapping[str, OfdResource]) -> Style:
    """The style of an object or layer: what it inherits, its DrawParam, its own attributes."""
    style = base
    key = item.get("DrawParam")
    if key is not None:
        style = _param(style, key, resources, _PARAM_DEPTH)
    return _own(style, item, resources)


def _param(base: Style, key: str, resources: Mapping[str, OfdResource], depth: int) -> Style:
    resource = resources.get(key)
    if resource is None or resource.kind != "DrawParam" or not depth:
        raise DrawUnsupportedError("draw parameter")
    item = resource.element
    check_known(item, _PARAM_ATTRIBUTES, frozenset({"FillColor", "StrokeColor"}))
    relative = item.get("Relative")
    if relative is not None:
        base = _param(base, relative, resources, depth - 1)
    return _own(base, item, resources)


def _own(style: Style, item: Element, resources: Mapping[str, OfdResource]) -> Style:
    fill, stroke = only(item, "FillColor"), only(item, "StrokeColor")
    dash = item.get("DashPattern")
    return replace(
        style,
        fill=style.fill if fill is None else _paint(fill, resources),
        stroke=style.stroke if stroke is None else _paint(stroke, resources),
        width=number_of(item, "LineWidth", style.width),
        join=item.get("Join") or style.join,
        cap=item.get("Cap") or style.cap,
        miter=number_of(item, "MiterLimit", style.miter),
        dash=style.dash if dash is None else numbers_of(dash),
        dash_offset=number_of(item, "DashOffset", style.dash_offset),
    )


def _paint(item: Element, resources: Mapping[str, OfdResource]) -> Paint:
    """A colour given by its values: no patterns, shadings, palettes or profiles."""
    check_known(item, frozenset({"Value", "ColorSpace", "Alpha"}), frozenset())
    alpha = number_of(item, "Alpha", 255) / 255
    text = item.get("Value")
    parts = numbers_of(text) if text is not None else ()
    count, key = 3, item.get("ColorSpace")
    if key is not None:
        space = resources.get(key)
        if space is None or space.kind != "ColorSpace":
            raise DrawUnsupportedError("colour space")
        count = _SPACES.get((space.element.get("Type") or "RGB").upper(), 0)
        if (
            space.element.children
            or space.element.get("Profile")
            or space.element.get("BitsPerComponent")
            not in (
                None,
                "8",
            )
        ):
            raise DrawUnsupportedError("colour space")
    if text is None:
        return Paint(alpha=alpha)
    if len(parts) != count or not all(0 <= part <= 255 for part in parts) or not 0 <= alpha <= 1:
        raise DrawUnsupportedError("colour")
    return Paint(parts=tuple(part / 255 for part in parts), alpha=alpha)
