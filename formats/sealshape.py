"""The face of a seal as paths in millimetres: round seal of an organisation, square seal of a person.

Source: 国发〔1999〕25号 (round, 42 mm for ministries, star in the middle, name around it from left to right) and the
usual proportions of such seals: ring 1.2 mm, star 14 mm across its tips; a person's seal is read in columns from the
right. Characters are outlines of the certificate's own fonts, narrowed to their place on the arc. Lengths scale with
the size asked for. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import cos, pi, radians, sin
from typing import ClassVar, Final, Protocol, TypeAlias

from mingzheng.formats.errors import FormatError
from mingzheng.formats.ornament import ellipse, rectangle
from mingzheng.formats.page import DESCENT, Colour, Path, Rect, Role

__all__ = [
    "SEAL_RED",
    "GlyphOutlines",
    "Outline",
    "SealArt",
    "SealArtError",
    "organisation_seal",
    "personal_seal",
]

Outline: TypeAlias = tuple[tuple[str, tuple[float, ...]], ...]  # steps M, L, C, Z with their points in em, y upwards

SEAL_RED: Final[Colour] = (210, 14, 22)
NAME_MAX: Final = 40  # characters around the ring
PERSON_MAX: Final = 9
NUMBER_MAX: Final = 24
LINE_MAX: Final = 12
_SIZES_MM: Final = (10.0, 100.0)

_PURPOSE: Final = re.compile(r"(.{2,40}?[部厅委局办府院会处心站司社校])(.{2,9}专用章)")

# Of a round seal of 42 mm.
_RING: Final = 1.2
_STAR_RADIUS: Final = 7.0
_STAR_INNER: Final = 0.381966  # sin 18° / sin 54°: the points where the five lines of a pentagram cross
_GAP: Final = 1.3  # between ring and name
_NAME_HIGH: Final = 6.6
_NAME_WIDEST: Final = 0.78  # of the height
_NAME_FILL: Final = 0.9  # of the pitch a little below the middle of the characters
_NAME_SPAN: Final = 258.0  # degrees from the first character's middle to the last one's
_NAME_SPAN_LINE: Final = 216.0  # where a line below the star needs the room
_NAME_PITCH: Final = 29.0  # degrees, at most
_NUMBER_HIGH: Final = 1.7
_NUMBER_SPAN: Final = 62.0
_NUMBER_PITCH: Final = 5.2
_LINE_HIGH: Final = 3.5
_LINE_WIDE: Final = 26.0
_LINE_MIDDLE: Final = 10.6  # below the centre

# Of a square seal of 22 mm.
_BORDER: Final = 1.0
_MARGIN: Final = 1.0
_BETWEEN: Final = 0.9

_FITTED_MIN: Final = 0.7  # of the em: 一 is not drawn as high as the others
_WEIGHT: Final = 0.022  # of the character's height: thin strokes break up in print


class SealArtError(FormatError):
    """A seal that cannot be drawn: empty or too long a text, a size outside 10 to 100 mm."""

    code: ClassVar[str] = "seal_art.refused"


class GlyphOutlines(Protocol):
    """Knows the contours of characters."""

    def outline(self, char: str) -> Outline:
        """Contours in em, y upwards from the baseline; raises MissingGlyphError."""
        ...  # pragma: no cover - protocol


@dataclass(frozen=True, slots=True)
class _Cached:
    """Fonts as part of a cache's key: the same object, the same outlines."""

    fonts: GlyphOutlines = field(compare=False)
    identity: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", id(self.fonts))


@dataclass(frozen=True, slots=True, kw_only=True)
class SealArt:
    """A seal's face; the paths lie within (0, 0) and (width, height), y downwards."""

    width_mm: float
    height_mm: float
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a character's em box goes: middle of its lower edge, its size, and the turn (clockwise, radians)."""

    x: float
    y: float
    width: float
    height: float
    turn: float

    def place(self, across: float, up: float) -> str:
        """A point given from the middle of the lower edge, in millimetres."""
        x = self.x + across * cos(self.turn) + up * sin(self.turn)
        y = self.y + across * sin(self.turn) - up * cos(self.turn)
        return f"{x:.3f} {y:.3f}"


def organisation_seal(
    name: str, *, number: str | None, size_mm: float = 42.0, fonts: GlyphOutlines, line: str | None = None
) -> SealArt:
    """A round seal: ring, star, `name` on the upper arc, `number` on the lower arc, `line` below the star.

    Without a `line` the purpose at the end of a name goes there: 某部行政许可专用章 is 某部 and 行政许可专用章.
    Raises SealArtError or MissingGlyphError.
    """
    if line is None and (parted := _PURPOSE.fullmatch(name)) is not None:
        name, line = parted[1], parted[2]
    return _round(name, number, line, size_mm, _Cached(fonts))


@lru_cache(maxsize=16)
def _round(name: str, number: str | None, line: str | None, size_mm: float, cached: _Cached) -> SealArt:
    fonts = cached.fonts
    _check(name, NAME_MAX, size_mm)
    scale, centre = size_mm / 42.0, size_mm / 2
    whole = Rect(x_mm=0, y_mm=0, width_mm=size_mm, height_mm=size_mm)
    ring = _inset(whole, _RING * scale / 2)
    span = _NAME_SPAN if line is None else _NAME_SPAN_LINE
    parts = [
        _path("seal.ring", whole, ellipse(ring), line_mm=_RING * scale),
        _path("seal.star", whole, _star(centre, _STAR_RADIUS * scale)),
        *_glyphs("seal.name", whole, name, _arc(len(name), scale, span), fonts),
    ]
    if number is not None:
        _check(number, NUMBER_MAX, size_mm)
        parts.extend(_glyphs("seal.number", whole, number, _lower_arc(len(number), scale), fonts))
    if line is not None:
        _check(line, LINE_MAX, size_mm)
        parts.extend(_glyphs("seal.line", whole, line, _straight(len(line), scale), fonts))
    return SealArt(width_mm=size_mm, height_mm=size_mm, paths=tuple(parts))


def personal_seal(name: str, *, size_mm: float = 22.0, fonts: GlyphOutlines) -> SealArt:
    """A square seal with a border, read in columns from the right: 张三 becomes 张三之印, 王小明 becomes 王小明印.

    Interpuncts are left out. Raises SealArtError or MissingGlyphError.
    """
    text = "".join(char for char in name if char not in "·• ")
    if not text.endswith(("印", "章")):
        text += {2: "之印", 3: "印"}.get(len(text), "")
    return _square(text, size_mm, _Cached(fonts))


@lru_cache(maxsize=16)
def _square(text: str, size_mm: float, cached: _Cached) -> SealArt:
    fonts = cached.fonts
    _check(text, PERSON_MAX, size_mm)
    scale = size_mm / 22.0
    whole = Rect(x_mm=0, y_mm=0, width_mm=size_mm, height_mm=size_mm)
    border = _inset(whole, _BORDER * scale / 2)
    inside = _inset(whole, (_BORDER + _MARGIN) * scale)
    parts = [
        _path("seal.border", whole, rectangle(border), line_mm=_BORDER * scale),
        *_glyphs("seal.name", whole, text, _columns(len(text), inside, _BETWEEN * scale), fonts),
    ]
    return SealArt(width_mm=size_mm, height_mm=size_mm, paths=tuple(parts))


def _check(text: str, most: int, size_mm: float) -> None:
    if not 0 < len(text) <= most:
        raise SealArtError(f"印文须为 1 至 {most} 个字符 / the text of a seal has 1 to {most} characters")
    if not _SIZES_MM[0] <= size_mm <= _SIZES_MM[1]:
        raise SealArtError("印章尺寸须为 10 至 100 毫米 / a seal measures 10 to 100 mm")


def _star(centre: float, radius: float) -> str:
    """A five-pointed star, one point upwards."""
    corners = []
    for step in range(10):
        reach = radius * (_STAR_INNER if step % 2 else 1.0)
        angle = pi * step / 5
        corners.append(f"{centre + reach * sin(angle):.3f} {centre - reach * cos(angle):.3f}")
    return f"M {corners[0]} L " + " L ".join(corners[1:]) + " Z"


def _arc(count: int, scale: float, span: float) -> Iterator[_Frame]:
    """Places on the upper arc, from the left, evenly spaced, heads outwards."""
    centre = 21.0 * scale
    foot = (21.0 - _RING - _GAP - _NAME_HIGH) * scale
    middle = foot + _NAME_HIGH * scale * 0.4
    pitch = min(_NAME_PITCH, span / max(1, count - 1))
    width = min(radians(pitch) * middle * _NAME_FILL, _NAME_WIDEST * _NAME_HIGH * scale)
    for place in range(count):
        angle = radians((place - (count - 1) / 2) * pitch)
        yield _Frame(centre + foot * sin(angle), centre - foot * cos(angle), width, _NAME_HIGH * scale, angle)


def _lower_arc(count: int, scale: float) -> Iterator[_Frame]:
    """Places on the lower arc, from the left, heads inwards."""
    centre, foot = 21.0 * scale, (21.0 - _RING - 0.7) * scale
    pitch = min(_NUMBER_PITCH, _NUMBER_SPAN / max(1, count - 1))
    width = radians(pitch) * (foot - _NUMBER_HIGH * scale / 2)
    for place in range(count):
        angle = radians((place - (count - 1) / 2) * pitch)
        yield _Frame(centre + foot * sin(angle), centre + foot * cos(angle), width, _NUMBER_HIGH * scale, -angle)


def _straight(count: int, scale: float) -> Iterator[_Frame]:
    """Places on a level line below the star."""
    high = _LINE_HIGH * scale
    pitch = min(high, _LINE_WIDE * scale / count)
    low = (21.0 + _LINE_MIDDLE) * scale + high / 2
    for place in range(count):
        yield _Frame(21.0 * scale + (place - (count - 1) / 2) * pitch, low, pitch * _NAME_FILL, high, 0.0)


def _columns(count: int, inside: Rect, between: float) -> Iterator[_Frame]:
    """Places in columns from the right, each from the top; the columns on the left take what is left over."""
    number = 1 if count == 1 else 2 if count <= 6 else 3
    width = (inside.width_mm - between * (number - 1)) / number
    for column in range(number):
        rows = count // number + (1 if column >= number - count % number else 0)
        height = (inside.height_mm - between * (rows - 1)) / rows
        x = inside.right_mm - column * (width + between) - width / 2
        for row in range(rows):
            yield _Frame(x, inside.y_mm + row * (height + between) + height, width, height, 0.0)


def _glyphs(
    name: str, whole: Rect, text: str, frames: Iterator[_Frame] | Sequence[_Frame], fonts: GlyphOutlines
) -> Iterator[Path]:
    """All characters as one filled path, and its outline as a line that makes the strokes a little heavier."""
    parts: list[str] = []
    height = 0.0
    for char, frame in zip(text, frames, strict=True):
        if char != " ":
            parts.extend(_steps(fonts.outline(char), frame, fitted=not char.isascii()))
        height = frame.height
    data = " ".join(parts)
    yield _path(name, whole, data)
    yield _path(f"{name}.weight", whole, data, line_mm=round(height * _WEIGHT, 3))


def _steps(outline: Outline, frame: _Frame, *, fitted: bool) -> Iterator[str]:
    """The contours of one character in its frame; a Chinese one fills its frame, a Latin one keeps the em box."""
    left, low, right, high = _extent(outline) if fitted else (0.0, -DESCENT, _advance(outline), 1 - DESCENT)
    wide, tall = max(right - left, _FITTED_MIN if fitted else 0.01), max(high - low, _FITTED_MIN)
    middle, base = (left + right) / 2, (low + high) / 2
    for step, points in outline:
        yield step
        for at in range(0, len(points), 2):
            across = (points[at] - middle) / wide * frame.width
            yield frame.place(across, frame.height / 2 + (points[at + 1] - base) / tall * frame.height)


def _extent(outline: Outline) -> tuple[float, float, float, float]:
    xs = [value for _, points in outline for value in points[::2]] or [0.0]
    ys = [value for _, points in outline for value in points[1::2]] or [0.0]
    return min(xs), min(ys), max(xs), max(ys)


def _advance(outline: Outline) -> float:
    """About the advance of a Latin character: as much white behind it as before it."""
    left, _, right, _ = _extent(outline)
    return left + right


def _path(name: str, whole: Rect, data: str, *, line_mm: float = 0.0) -> Path:
    return Path(
        name=name, role=Role.DECORATION, alt="", rect=whole, data=data, line_mm=line_mm, dash_mm=(), colour=SEAL_RED
    )


def _inset(rect: Rect, by: float) -> Rect:
    return Rect(
        x_mm=rect.x_mm + by, y_mm=rect.y_mm + by, width_mm=rect.width_mm - 2 * by, height_mm=rect.height_mm - 2 * by
    )
