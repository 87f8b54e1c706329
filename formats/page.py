"""The page of a certificate as boxes in millimetres: one description, any writer (PDF now, OFD later).

Spec: DESIGN §8 ("one page description in millimetres"). Origin at the top left, y downwards; the y of a text
run is its baseline. A page holds everything a writer needs, so writers decide nothing: widths are measured,
lines are broken, images keep their bytes. Reading order is the order of the boxes. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

from mingzheng.formats.errors import FormatError

__all__ = [
    "BLACK",
    "QR_MODULE_MIN_MM",
    "QR_PLACE",
    "QR_QUIET",
    "Box",
    "Colour",
    "ImageBox",
    "MissingGlyphError",
    "PageError",
    "PageSpec",
    "Path",
    "QrSlot",
    "QrTooLargeError",
    "Rect",
    "Role",
    "SealShape",
    "SealSlot",
    "TextOverflowError",
    "TextRun",
    "bounds",
    "seal_slots",
    "without_slots",
]

Colour: TypeAlias = tuple[int, int, int]  # RGB, 0..255

BLACK: Final[Colour] = (0, 0, 0)
ASCENT: Final = 0.88  # of the em box of a Chinese character, above the baseline
DESCENT: Final = 0.12

QR_QUIET: Final = 4  # modules, docs/spec/qr.md
QR_MODULE_MIN_MM: Final = 0.33


class Role(StrEnum):
    """What a box is to someone who listens to the page (structure types of ISO 32000-1 §14.8.4)."""

    TITLE = "H1"
    TEXT = "P"
    FIGURE = "Figure"
    CAPTION = "Caption"
    DECORATION = "Artifact"


class SealShape(StrEnum):
    """Outline of a place for a seal."""

    CIRCLE = "circle"
    SQUARE = "square"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rect:
    """An upright rectangle; x and y are its top left corner."""

    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float

    @property
    def right_mm(self) -> float:
        """x of the right edge."""
        return self.x_mm + self.width_mm

    @property
    def bottom_mm(self) -> float:
        """y of the lower edge."""
        return self.y_mm + self.height_mm

    def inside(self, other: Rect, *, slack_mm: float = 0.01) -> bool:
        """Tell whether this rectangle lies within `other`."""
        return (
            self.x_mm >= other.x_mm - slack_mm
            and self.y_mm >= other.y_mm - slack_mm
            and self.right_mm <= other.right_mm + slack_mm
            and self.bottom_mm <= other.bottom_mm + slack_mm
        )

    def meets(self, other: Rect, *, slack_mm: float = 0.01) -> bool:
        """Tell whether the two share more than an edge."""
        return (
            self.x_mm < other.right_mm - slack_mm
            and other.x_mm < self.right_mm - slack_mm
            and self.y_mm < other.bottom_mm - slack_mm
            and other.y_mm < self.bottom_mm - slack_mm
        )


QR_PLACE: Final = Rect(x_mm=22, y_mm=213, width_mm=42, height_mm=42)  # where readers look first


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRun:
    """One line of text in the certificate's font, left edge at x, baseline at y.

    Runs of one `group` that follow each other are one paragraph to a listener.
    """

    name: str
    group: str
    role: Role
    x_mm: float
    y_mm: float
    width_mm: float  # as measured, tracking included
    size_mm: float  # height of the em box
    text: str
    tracking_mm: float  # added after every character but the last
    colour: Colour
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Lines and shapes; `data` is "M x y L x y C x y x y x y Z …" in millimetres of the page."""

    name: str
    role: Role
    alt: str
    rect: Rect
    data: str
    line_mm: float  # 0: filled, not stroked
    dash_mm: tuple[float, ...]
    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBox:
    """A JPEG or PNG file, drawn to fill `rect`; its bytes go into the document unchanged."""

    name: str
    alt: str
    rect: Rect
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QrSlot:
    """A QR code, quiet zone inside `rect`; `rows` has one byte (0 light, 1 dark) per module."""

    name: str
    alt: str
    rect: Rect
    rows: tuple[bytes, ...]

    @property
    def module_mm(self) -> float:
        """Width of a module."""
        return self.rect.width_mm / (len(self.rows) + 2 * QR_QUIET)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSlot:
    """A place for an electronic seal that is applied later; `body` says whose."""

    name: str
    alt: str
    rect: Rect
    shape: SealShape
    body: str
    colour: Colour


Box: TypeAlias = TextRun | Path | ImageBox | QrSlot | SealSlot


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpec:
    """One page; boxes in reading order, decoration first."""

    width_mm: float
    height_mm: float
    language: str
    title: str
    boxes: tuple[Box, ...]

    def named(self, name: str) -> tuple[Box, ...]:
        """The boxes of one name, in reading order."""
        return tuple(box for box in self.boxes if box.name == name)


def bounds(box: Box) -> Rect:
    """The rectangle a box occupies; of a text run the em boxes of its characters."""
    if isinstance(box, TextRun):
        return Rect(
            x_mm=box.x_mm,
            y_mm=box.y_mm - ASCENT * box.size_mm,
            width_mm=box.width_mm,
            height_mm=(ASCENT + DESCENT) * box.size_mm,
        )
    return box.rect


def seal_slots(page: PageSpec) -> tuple[SealSlot, ...]:
    """The places for seals, in the order of sealing."""
    return tuple(box for box in page.boxes if isinstance(box, SealSlot))


def without_slots(page: PageSpec) -> PageSpec:
    """The page as it goes to be sealed: no outline and no words where a seal will stand (`seal.0`, `seal.0.body`)."""
    taken = {slot.name for slot in seal_slots(page)}
    words = {f"{name}.body" for name in taken}
    return replace(page, boxes=tuple(box for box in page.boxes if box.name not in taken | words))


class PageError(FormatError):
    """Base of what can go wrong in making a page."""

    code: ClassVar[str] = "page.error"


class MissingGlyphError(PageError):
    """No font at hand has a glyph for a character; a blank box is never printed."""

    code: ClassVar[str] = "page.missing_glyph"

    def __init__(self, char: str) -> None:
        super().__init__(
            f"字体缺字 U+{ord(char):04X}“{char}”：请配置含此字的备用字体 / "
            f"no glyph for U+{ord(char):04X}: configure a fallback font that has it"
        )
        self.char = char


class TextOverflowError(PageError):
    """A text does not fit its place even at the smallest size; `box` names the place."""

    code: ClassVar[str] = "page.text_overflow"

    def __init__(self, box: str) -> None:
        super().__init__(f"{box}: 文字放不下，请缩短 / the text does not fit its place: shorten it")
        self.box = box


class QrTooLargeError(PageError):
    """A QR code whose modules would be smaller than 0.33 mm in its place."""

    code: ClassVar[str] = "page.qr_too_large"

    def __init__(self, *, modules: int, module_mm: float) -> None:
        super().__init__(f"QR of {modules} modules: {module_mm:.3f} mm each, {QR_MODULE_MIN_MM} mm needed")
        self.modules, self.module_mm = modules, module_mm
