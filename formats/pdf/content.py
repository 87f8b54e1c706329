"""Content stream operators for the boxes of a page (ISO 32000-1 §8, §9.4, annex A).

Millimetres with y downwards become points with y upwards here and nowhere else. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from mingzheng.formats.ornament import ellipse, rectangle
from mingzheng.formats.page import QR_QUIET, Colour, Path, QrSlot, Rect, Role, SealShape, SealSlot
from mingzheng.formats.pdf.objects import number

__all__ = ["POINTS_PER_MM", "colour_operands", "filled_and_stroked", "image", "path", "qr", "seal", "text", "to_points"]

POINTS_PER_MM: Final = 72 / 25.4
_OPERATORS: Final = {"M": (b"m", 1), "L": (b"l", 1), "C": (b"c", 3), "Z": (b"h", 0)}
_RUN: Final = re.compile(rb"\x01+")
_SEAL_DASH_MM: Final = 1.2
_SEAL_LINE_MM: Final = 0.25


def to_points(rect: Rect, page_height_mm: float) -> tuple[float, float, float, float]:
    """Lower left and upper right corner in points."""
    return (
        rect.x_mm * POINTS_PER_MM,
        (page_height_mm - rect.bottom_mm) * POINTS_PER_MM,
        rect.right_mm * POINTS_PER_MM,
        (page_height_mm - rect.y_mm) * POINTS_PER_MM,
    )


def colour_operands(colour: Colour) -> bytes:
    """Three numbers from 0 to 1."""
    return b" ".join(number(part / 255) for part in colour)


@lru_cache(maxsize=64)
def path(box: Path, page_height_mm: float) -> bytes:
    """A path, stroked with its line or filled."""
    parts = [b"q"]
    if box.line_mm:
        dash = b" ".join(number(length * POINTS_PER_MM) for length in box.dash_mm)
        parts.append(b"%b RG %b w [%b] 0 d" % (colour_operands(box.colour), _length(box.line_mm), dash))
    else:
        parts.append(b"%b rg" % colour_operands(box.colour))
    parts.extend(_segments(box.data, page_height_mm))
    parts.append(b"S Q" if box.line_mm else b"f Q")
    return b"\n".join(parts)


def filled_and_stroked(box: Path, line_mm: float, page_height_mm: float) -> bytes:
    """A filled path whose edge is drawn with a line of the same colour, its data written once."""
    colour = colour_operands(box.colour)
    head = b"q\n%b rg %b RG %b w 1 j" % (colour, colour, _length(line_mm))
    return b"\n".join([head, *_segments(box.data, page_height_mm), b"B Q"])


def seal(box: SealSlot, page_height_mm: float) -> bytes:
    """The dashed outline of a place for a seal."""
    outline = ellipse(box.rect) if box.shape is SealShape.CIRCLE else rectangle(box.rect)
    dashed = Path(
        name=box.name,
        role=Role.DECORATION,
        alt="",
        rect=box.rect,
        data=outline,
        line_mm=_SEAL_LINE_MM,
        dash_mm=(_SEAL_DASH_MM, _SEAL_DASH_MM),
        colour=box.colour,
    )
    return path(dashed, page_height_mm)


def text(encoded: bytes, *, font: str, size_mm: float, tracking_mm: float, x: float, y: float) -> bytes:
    """Text at a baseline point; x and y in points."""
    return b"/%b %b Tf %b Tc 1 0 0 1 %b %b Tm %b Tj" % (
        font.encode(),
        _length(size_mm),
        _length(tracking_mm),
        number(x),
        number(y),
        encoded,
    )


def image(resource: str, rect: Rect, page_height_mm: float) -> bytes:
    """An image stretched over a rectangle."""
    left, low, right, high = to_points(rect, page_height_mm)
    matrix = b" ".join(number(value) for value in (right - left, 0, 0, high - low, left, low))
    return b"q %b cm /%b Do Q" % (matrix, resource.encode())


def qr(box: QrSlot, page_height_mm: float) -> bytes:
    """White ground, then all dark modules as one path, so that no renderer leaves seams between them."""
    left, low, right, high = to_points(box.rect, page_height_mm)
    module = (right - left) / (len(box.rows) + 2 * QR_QUIET)
    ground = b" ".join(number(value) for value in (left, low, right - left, high - low))
    matrix = f"{module:.5f} 0 0 {-module:.5f} {left:.3f} {high:.3f} cm".encode()
    cells = b"\n".join(_dark(box.rows))
    return b"q 1 g %b re f 0 g %b\n%b\nf Q" % (ground, matrix, cells)


def _dark(rows: tuple[bytes, ...]) -> list[bytes]:
    """Dark modules as rectangles: runs of a row, joined downwards while the next row has the same run."""
    rectangles = []
    above: dict[tuple[int, int], int] = {}  # run (first, behind the last) -> row in which it began
    for y, row in enumerate((*rows, b"")):
        runs = {found.span(): y for found in _RUN.finditer(row)}
        for run in runs.keys() & above.keys():
            runs[run] = above.pop(run)
        for (left, right), top in above.items():
            cell = (left + QR_QUIET, top + QR_QUIET, right - left, y - top)
            rectangles.append(b"%d %d %d %d re" % cell)
        above = runs
    return rectangles


def _segments(data: str, page_height_mm: float) -> Iterator[bytes]:
    words = iter(data.split())
    for word in words:
        operator, pairs = _OPERATORS[word]
        values = []
        for _ in range(pairs):
            values.append(float(next(words)) * POINTS_PER_MM)
            values.append((page_height_mm - float(next(words))) * POINTS_PER_MM)
        yield b" ".join([*(b"%.2f" % value for value in values), operator])


def _length(millimetres: float) -> bytes:
    return number(millimetres * POINTS_PER_MM)
