"""Page objects of OFD as PDF operators, in millimetres with y downwards (the page turns them over once).

Source: GB/T 33190 §8 to §13. Text is drawn by the glyphs that readers show: numbers of a CGTransform before the
characters of TextCode. The standard clips an object at its boundary, many readers do not; an object that reaches
over its boundary is therefore refused, and so are clips, patterns, shadings, substitutes and turned text. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from mingzheng.formats.ofd.document import parse_box
from mingzheng.formats.ofd.drawstate import (
    DrawUnsupportedError,
    Matrix,
    Paint,
    Style,
    apply,
    check_known,
    flag,
    matrix_of,
    multiply,
    number_of,
    numbers_of,
    only,
    style_of,
)

if TYPE_CHECKING:
    from mingzheng.formats.ofd.document import OfdResource
    from mingzheng.formats.ofd.drawfont import CharacterMap
    from mingzheng.formats.ofd.xmlread import Element
    from mingzheng.formats.page import Rect

__all__ = ["Canvas", "draw_layer"]

_SLACK_MM: Final = 0.3
_DEPTH_MAX: Final = 8
_CHARS_MAX: Final = 20_000
_UNIT: Final = frozenset(
    {
        *("ID", "Boundary", "Name", "Visible", "CTM", "DrawParam", "LineWidth", "Cap", "Join", "MiterLimit"),
        *("DashOffset", "DashPattern", "Alpha"),
    }
)
_TEXT: Final = _UNIT | {
    *("Font", "Size", "Stroke", "Fill", "HScale", "ReadDirection", "CharDirection", "Weight", "Italic"),
}
_PATH: Final = _UNIT | {"Stroke", "Fill", "Rule"}
_JOINS: Final = {"Miter": 0, "Round": 1, "Bevel": 2}
_CAPS: Final = {"Butt": 0, "Round": 1, "Square": 2}
_TEXT_OPERATORS: Final = {(True, False): 0, (False, True): 1, (True, True): 2}
_OPERANDS: Final = {"S": 2, "M": 2, "L": 2, "Q": 4, "B": 6, "C": 0}


class Canvas(Protocol):
    """What the objects need of the document being written."""

    resources: Mapping[str, OfdResource]

    def font(self, key: str) -> tuple[bytes, CharacterMap]:
        """The resource name and the character map of a font."""
        ...

    def image(self, key: str) -> bytes:
        """The resource name of a picture."""
        ...

    def opacity(self, fill: float, stroke: float) -> bytes:
        """The resource name of a graphics state."""
        ...


def draw_layer(canvas: Canvas, layer: Element, style: Style, *, depth: int = _DEPTH_MAX) -> Iterator[bytes]:
    """The operators of everything in a layer, block or appearance, in order."""
    if not depth:
        raise DrawUnsupportedError("depth")
    for item in layer.children:
        match item.tag:
            case "TextObject" | "PathObject" | "ImageObject" | "CompositeObject":
                if flag(item, "Visible", default=True):
                    yield from _object(canvas, item, style, depth)
            case "PageBlock":
                check_known(item, frozenset({"ID"}), _CONTENTS)
                yield from draw_layer(canvas, item, style, depth=depth - 1)
            case _:
                raise DrawUnsupportedError("object")


_CONTENTS: Final = frozenset({"TextObject", "PathObject", "ImageObject", "CompositeObject", "PageBlock"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """An object in its place: `matrix` leads from the object's own coordinates to those of the page."""

    item: Element
    boundary: Rect
    matrix: Matrix
    style: Style
    alpha: float

    def check_point(self, x: float, y: float, slack_mm: float) -> None:
        """Refuse a point, in the object's coordinates, that lies outside the boundary."""
        _check_point(self.matrix, self.boundary, (x, y), slack_mm)


def _object(canvas: Canvas, item: Element, style: Style, depth: int) -> Iterator[bytes]:
    boundary = parse_box(item.get("Boundary"))
    if boundary is None:
        raise DrawUnsupportedError("boundary")
    place: Matrix = (1, 0, 0, 1, boundary.x_mm, boundary.y_mm)
    alpha = number_of(item, "Alpha", 255) / 255
    if not 0 <= alpha <= 1:
        raise DrawUnsupportedError("opacity")
    unit = _Unit(
        item=item,
        boundary=boundary,
        matrix=multiply(matrix_of(item), place),
        style=style_of(style, item, canvas.resources),
        alpha=alpha,
    )
    yield b"q"
    yield _operands(*unit.matrix) + b" cm"
    match item.tag:
        case "TextObject":
            yield from _text(canvas, unit)
        case "PathObject":
            yield from _path(canvas, unit)
        case "ImageObject":
            yield from _image(canvas, unit)
        case _:
            yield from _composite(canvas, unit, depth)
    yield b"Q"


def _text(canvas: Canvas, unit: _Unit) -> Iterator[bytes]:
    item = unit.item
    check_known(item, _TEXT, frozenset({"FillColor", "StrokeColor", "CGTransform", "TextCode"}))
    plain = all(number_of(item, name, 0) == 0 for name in ("ReadDirection", "CharDirection"))
    if not plain or flag(item, "Italic", default=False) or number_of(item, "Weight", 400) != 400:
        raise DrawUnsupportedError("text")
    size, across = number_of(item, "Size", 0), number_of(item, "HScale", 1)
    filled, stroked = flag(item, "Fill", default=True), flag(item, "Stroke", default=False)
    if size <= 0 or across <= 0:
        raise DrawUnsupportedError("text")
    if not filled and not stroked:
        return  # readers show nothing either
    name, glyphs = canvas.font(item.get("Font") or "")
    yield from _paints(canvas, unit, filled=filled, stroked=stroked)
    yield b"BT /%b 1 Tf %d Tr" % (name, _TEXT_OPERATORS[filled, stroked])
    for glyph, x, y in _glyphs(item, glyphs):
        unit.check_point(x, y, size * 0.5)
        unit.check_point(x + 0.5 * size * across, y - 0.5 * size, size * 0.5)
        yield _operands(size * across, 0, 0, -size, x, y) + b" Tm <%04X> Tj" % glyph
    yield b"ET"


def _glyphs(item: Element, font: CharacterMap) -> Iterator[tuple[int, float, float]]:
    """Glyph and place of every character."""
    codes, numbers = list(item.every("TextCode")), list(item.every("CGTransform"))
    if numbers and len(codes) != 1:
        raise DrawUnsupportedError("glyph numbers")
    alone = len(codes) == 1 and len(codes[0].text) == 1 and codes[0].text > "\uffff"
    given = dict(pair for each in numbers for pair in _given(each, units=2 if alone else 1))
    start: tuple[float | None, float | None] = (None, None)
    for code in codes:
        check_known(code, frozenset({"X", "Y", "DeltaX", "DeltaY"}), frozenset())
        text = code.text
        if len(text) > _CHARS_MAX or (len(text) > 1 and any(ord(char) > 0xFFFF for char in text)):
            raise DrawUnsupportedError("text")  # characters that some readers count as two
        if not given.keys() <= set(range(len(text))):
            raise DrawUnsupportedError("glyph numbers")
        start = tuple(  # type: ignore[assignment]
            number_of(code, name, 0) if code.get(name) is not None else before
            for name, before in zip(("X", "Y"), start, strict=True)
        )
        if start[0] is None or start[1] is None:
            raise DrawUnsupportedError("text")
        xs = _steps(start[0], code.get("DeltaX"), len(text), needed=code.get("DeltaY") is None)
        ys = _steps(start[1], code.get("DeltaY"), len(text), needed=False)
        for at, (char, x, y) in enumerate(zip(text, xs, ys, strict=True)):
            yield (font.known(given[at]) if at in given else font.glyph(char)), x, y


def _given(item: Element, *, units: int) -> Iterator[tuple[int, int]]:
    """Position of a character and number of its glyph; one glyph for each character of so many UTF-16 units."""
    check_known(item, frozenset({"CodePosition", "CodeCount", "GlyphCount"}), frozenset({"Glyphs"}))
    holder = only(item, "Glyphs")
    glyphs = numbers_of(None if holder is None else holder.text)
    first, codes = number_of(item, "CodePosition", -1), number_of(item, "CodeCount", 1)
    if first < 0 or len(glyphs) * units != codes or number_of(item, "GlyphCount", 1) != len(glyphs):
        raise DrawUnsupportedError("glyph numbers")
    if any(value != int(value) for value in (first, *glyphs)):
        raise DrawUnsupportedError("glyph numbers")
    return ((int(first) + at, int(glyph)) for at, glyph in enumerate(glyphs))


def _steps(start: float, deltas: str | None, count: int, *, needed: bool) -> list[float]:
    """The places of `count` characters; "g N v" in the list stands for N times v."""
    steps: list[float] = []
    words = iter((deltas or "").split())
    for word in words:
        if word == "g":
            times, value = numbers_of(next(words, "")), numbers_of(next(words, ""))
            if len(times) != 1 or len(value) != 1 or not 0 <= times[0] <= _CHARS_MAX:
                raise DrawUnsupportedError("text")
            steps += [value[0]] * int(times[0])
        else:
            steps += numbers_of(word)
    if len(steps) > _CHARS_MAX or (len(steps) < count - 1 and (needed or steps)):
        raise DrawUnsupportedError("text")
    places = [start]
    for step in (steps or [0.0] * count)[: count - 1]:
        places.append(places[-1] + step)
    return places[:count]


def _path(canvas: Canvas, unit: _Unit) -> Iterator[bytes]:
    item = unit.item
    check_known(item, _PATH, frozenset({"FillColor", "StrokeColor", "AbbreviatedData"}))
    filled, stroked = flag(item, "Fill", default=False), flag(item, "Stroke", default=True)
    rule = item.get("Rule") or "NonZero"
    data = only(item, "AbbreviatedData")
    if data is None or rule not in ("NonZero", "Even-Odd"):
        raise DrawUnsupportedError("path")
    if not filled and not stroked:
        return
    yield from _paints(canvas, unit, filled=filled, stroked=stroked)
    yield _segments(data.text, unit.matrix, unit.boundary)
    star = b"*" if rule == "Even-Odd" else b""
    yield {(True, False): b"f" + star, (False, True): b"S", (True, True): b"B" + star}[filled, stroked]


@lru_cache(maxsize=64)
def _segments(text: str, matrix: Matrix, boundary: Rect) -> bytes:
    """The lines of a path; kept, for the decoration of one template is that of every certificate of it."""
    words, here, parts = iter(text.split()), (0.0, 0.0), []
    for word in words:
        count = _OPERANDS.get(word)
        if count is None:
            raise DrawUnsupportedError("path")
        values = numbers_of(" ".join([next(words, "") for _ in range(count)]))
        if len(values) != count:
            raise DrawUnsupportedError("path")
        for x, y in zip(values[::2], values[1::2], strict=True):
            _check_point(matrix, boundary, (x, y), _SLACK_MM)
        match word:
            case "S" | "M":
                parts.append(_operands(*values) + b" m")
            case "L":
                parts.append(_operands(*values) + b" l")
            case "B":
                parts.append(_operands(*values) + b" c")
            case "Q":
                parts.append(_operands(*_cubic(here, values)) + b" c")
            case _:
                parts.append(b"h")
        here = (values[-2], values[-1]) if values else here
    return b"\n".join(parts)


def _check_point(matrix: Matrix, box: Rect, point: tuple[float, float], slack_mm: float) -> None:
    """Refuse a point, in the object's coordinates, that lies outside the boundary."""
    x, y = apply(matrix, *point)
    inside = box.x_mm - slack_mm <= x <= box.right_mm + slack_mm
    if not inside or not box.y_mm - slack_mm <= y <= box.bottom_mm + slack_mm:
        raise DrawUnsupportedError("boundary")


def _cubic(here: tuple[float, float], values: Sequence[float]) -> tuple[float, ...]:
    """A quadratic curve as a cubic one."""
    x, y, u, v = values
    return (
        *(here[0] + 2 / 3 * (x - here[0]), here[1] + 2 / 3 * (y - here[1])),
        *(u + 2 / 3 * (x - u), v + 2 / 3 * (y - v), u, v),
    )


def _image(canvas: Canvas, unit: _Unit) -> Iterator[bytes]:
    item = unit.item
    check_known(item, _UNIT | {"ResourceID"}, frozenset())
    if item.get("CTM") is None:
        raise DrawUnsupportedError("picture")
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        unit.check_point(x, y, _SLACK_MM)
    if unit.alpha < 1:
        yield b"/%b gs" % canvas.opacity(unit.alpha, unit.alpha)
    yield b"1 0 0 -1 0 1 cm /%b Do" % canvas.image(item.get("ResourceID") or "")


def _composite(canvas: Canvas, unit: _Unit, depth: int) -> Iterator[bytes]:
    item = unit.item
    check_known(item, _UNIT | {"ResourceID"}, frozenset())
    resource = canvas.resources.get(item.get("ResourceID") or "")
    if resource is None or resource.kind != "CompositeGraphicUnit" or unit.alpha != 1:
        raise DrawUnsupportedError("composite")
    check_known(resource.element, frozenset({"ID", "Width", "Height"}), frozenset({"Content"}))
    width, height = number_of(resource.element, "Width", 0), number_of(resource.element, "Height", 0)
    content = only(resource.element, "Content")
    for x, y in ((0, 0), (width, height)):
        unit.check_point(x, y, _SLACK_MM)
    yield b"0 0 %b re W n" % _operands(width, height)
    if content is not None:
        yield from draw_layer(canvas, content, Style(), depth=depth - 1)


def _paints(canvas: Canvas, unit: _Unit, *, filled: bool, stroked: bool) -> Iterator[bytes]:
    """Colours, opacity and line style, as far as they are needed."""
    style = unit.style
    fill, stroke = style.fill.alpha * unit.alpha, style.stroke.alpha * unit.alpha
    if (filled and fill < 1) or (stroked and stroke < 1):
        yield b"/%b gs" % canvas.opacity(fill, stroke)
    if filled:
        yield _colour(style.fill, (b"g", b"rg", b"k"))
    if stroked:
        if style.join not in _JOINS or style.cap not in _CAPS or style.width < 0 or style.miter < 1:
            raise DrawUnsupportedError("line")
        yield _colour(style.stroke, (b"G", b"RG", b"K"))
        yield _operands(style.width) + b" w %d j %d J " % (_JOINS[style.join], _CAPS[style.cap])
        yield _operands(style.miter) + b" M"
        if style.dash:
            if any(part < 0 for part in style.dash) or not sum(style.dash):
                raise DrawUnsupportedError("line")
            yield b"[%b] %b d" % (_operands(*style.dash), _operands(style.dash_offset))


def _colour(paint: Paint, operators: tuple[bytes, bytes, bytes]) -> bytes:
    return _operands(*paint.parts) + b" " + operators[{1: 0, 3: 1, 4: 2}[len(paint.parts)]]


def _operands(*values: float) -> bytes:
    return b" ".join(f"{value:.6f}".rstrip("0").rstrip(".").encode() for value in values)
