"""The fonts a page is set in: the shipped one and, behind it, a configured fallback (docs/fonts.md).

Fonts are TrueType outlines (`glyf`) with a Unicode cmap, ISO/IEC 14496-22. Text is set without shaping: the
certificate's scripts are Chinese and Latin, one glyph per character. HarfBuzz reads and subsets; it is loaded
when the first font is. Effectful: reads files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from struct import unpack_from
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mingzheng.formats.errors import FormatError
from mingzheng.formats.page import MissingGlyphError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mingzheng.formats.sealshape import Outline

__all__ = ["Font", "FontError", "FontSet", "FontSubset", "load_font", "load_fonts"]

SHIPPED_FONT: Final = "MingZhengKai-Regular.ttf"
FONT_BYTES_MAX: Final = 64 * 1024 * 1024
_SFNT: Final = (b"\x00\x01\x00\x00", b"true")
_NOT_DRAWN: Final = ("GDEF", "GSUB", "GPOS", "BASE", "DSIG", "gasp", "vhea", "vmtx")
_NOT_EMBEDDED: Final = ("name", "post", "OS/2", *_NOT_DRAWN)
_RESTRICTED: Final = 0x0002  # OS/2 fsType: may not be embedded
_KNOWN_MAX: Final = 8192  # characters whose width is kept


class FontError(FormatError):
    """A font file that cannot serve: not TrueType, damaged, or not allowed to be embedded."""

    code: ClassVar[str] = "font.unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class FontSubset:
    """A font cut down to some characters; widths in 1/1000 em, boxes likewise, keyed by character."""

    data: bytes
    glyphs: Mapping[int, int]
    widths: Mapping[int, int]


class Font:
    """One TrueType font held in memory."""

    def __init__(self, data: bytes, *, name: str) -> None:
        import uharfbuzz as hb

        if data[:4] not in _SFNT:
            raise FontError(f"{name}: not a TrueType font (collections and CFF outlines are not read)")
        self.name = name
        self._face: Any = hb.Face(data)
        tables = set(self._face.table_tags)
        if not {"glyf", "loca", "cmap", "hmtx", "hhea", "head", "maxp"} <= tables:
            raise FontError(f"{name}: a table of a TrueType font is missing")
        if "OS/2" in tables and _fs_type(self._face) & 0x000F == _RESTRICTED:
            raise FontError(f"{name}: the font's licence bits forbid embedding")
        self._font: Any = hb.Font(self._face)
        self.units_per_em: int = self._face.upem
        self.postscript_name = _plain(name)
        self.ascent, self.descent, self.box = _vertical(self._face)

    def advance(self, char: str) -> float | None:
        """Width of a character in em, None if the font lacks it."""
        glyph = self._font.get_nominal_glyph(ord(char))
        return None if glyph is None else self._font.get_glyph_h_advance(glyph) / self.units_per_em

    def outline(self, char: str) -> Outline | None:
        """The contours of a character in em, y upwards; None if the font lacks it."""
        glyph = self._font.get_nominal_glyph(ord(char))
        if glyph is None:
            return None
        pen = _Pen(1 / self.units_per_em)
        self._font.draw_glyph_with_pen(glyph, pen)
        return tuple(pen.steps)

    def subset(self, points: Iterable[int], *, standalone: bool = False) -> FontSubset:
        """The font with these characters only, as a TrueType file with a cmap.

        `standalone`: with the tables that systems ask of a font file by itself (name, post, OS/2); PDF does not.
        """
        import uharfbuzz as hb

        wanted = sorted(set(points))
        plan = hb.SubsetInput()
        plan.unicode_set.update(wanted)
        dropped = _NOT_DRAWN if standalone else _NOT_EMBEDDED
        plan.drop_table_tag_set.update(int.from_bytes(tag.encode(), "big") for tag in dropped)
        plan.flags = hb.SubsetFlags.NO_HINTING | hb.SubsetFlags.NOTDEF_OUTLINE
        face = hb.subset(self._face, plan)
        font = hb.Font(face)
        glyphs = {point: font.get_nominal_glyph(point) or 0 for point in wanted}
        scale = 1000 / self.units_per_em
        widths = {point: round(font.get_glyph_h_advance(glyph) * scale) for point, glyph in glyphs.items()}
        return FontSubset(data=bytes(face.blob.data), glyphs=glyphs, widths=widths)


class FontSet:
    """The fonts of a page in order of preference; a `textfit.TextMeasure`."""

    def __init__(self, fonts: tuple[Font, ...]) -> None:
        self.fonts = fonts
        self._known = _Known(fonts)

    def width(self, text: str, size_mm: float) -> float:
        """Advance width of `text`; MissingGlyphError if no font has one of its characters."""
        known = self._known
        return sum([known[char][1] for char in text]) * size_mm

    def split(self, text: str) -> tuple[tuple[int, str], ...]:
        """`text` in stretches of one font each, as (index of the font, stretch)."""
        known = self._known
        return tuple((index, "".join(stretch)) for index, stretch in groupby(text, key=lambda char: known[char][0]))

    def outline(self, char: str) -> Outline:
        """The contours of a character in em, y upwards; MissingGlyphError if no font has it."""
        found = self.fonts[self._known[char][0]].outline(char)
        assert found is not None  # the font that has its advance has its outline
        return found


class _Pen:
    """Collects contours; the quadratic curves of TrueType become cubic ones."""

    def __init__(self, scale: float) -> None:
        self.steps: list[tuple[str, tuple[float, ...]]] = []
        self._scale = scale
        self._at = (0.0, 0.0)

    def moveTo(self, to: tuple[float, float]) -> None:
        """Start of a contour."""
        self._add("M", to)

    def lineTo(self, to: tuple[float, float]) -> None:
        """A straight line."""
        self._add("L", to)

    def qCurveTo(self, control: tuple[float, float], to: tuple[float, float]) -> None:
        """A quadratic curve."""
        first = _between(self._at, control)
        last = _between(to, control)
        self._add("C", first, last, to)

    def curveTo(self, first: tuple[float, float], last: tuple[float, float], to: tuple[float, float]) -> None:
        """A cubic curve."""
        self._add("C", first, last, to)

    def closePath(self) -> None:
        """End of a contour."""
        self._add("Z")

    def _add(self, step: str, *points: tuple[float, float]) -> None:
        self.steps.append((step, tuple(value * self._scale for point in points for value in point)))
        if points:
            self._at = points[-1]


class _Known(dict[str, tuple[int, float]]):
    """Character -> (index of its font, advance in em), looked up once each."""

    def __init__(self, fonts: tuple[Font, ...]) -> None:
        super().__init__()
        self._fonts = fonts

    def __missing__(self, char: str) -> tuple[int, float]:
        for index, font in enumerate(self._fonts):
            advance = font.advance(char)
            if advance is not None:
                if len(self) >= _KNOWN_MAX:
                    self.clear()
                self[char] = (index, advance)
                return index, advance
        raise MissingGlyphError(char)


def _between(end: tuple[float, float], control: tuple[float, float]) -> tuple[float, float]:
    """Two thirds of the way to the control point: what a quadratic curve's is as a cubic one's."""
    return end[0] + 2 * (control[0] - end[0]) / 3, end[1] + 2 * (control[1] - end[1]) / 3


def load_fonts(fallback: Path | None = None) -> FontSet:
    """The shipped font, and behind it the font of a file for characters the shipped one lacks."""
    shipped = _shipped()
    return FontSet((shipped,)) if fallback is None else FontSet((shipped, load_font(fallback)))


def load_font(path: Path) -> Font:
    """A TrueType font from a file; FontError if it cannot serve, OSError if it cannot be read."""
    with path.open("rb") as stream:
        data = stream.read(FONT_BYTES_MAX + 1)
    if len(data) > FONT_BYTES_MAX:
        raise FontError(f"{path.name}: more than {FONT_BYTES_MAX} bytes")
    return Font(data, name=path.name)


@cache
def _shipped() -> Font:
    return Font(files("mingzheng.formats.fonts").joinpath(SHIPPED_FONT).read_bytes(), name=SHIPPED_FONT)


def _plain(name: str) -> str:
    """A file name as a PostScript name: ASCII letters, digits and hyphens."""
    stem = name.rpartition(".")[0] or name
    return "".join(char for char in stem if char.isascii() and (char.isalnum() or char == "-"))[:63] or "Font"


def _vertical(face: Any) -> tuple[int, int, tuple[int, int, int, int]]:
    """Ascent, descent and bounding box in 1/1000 em, from the tables `hhea` and `head`."""
    scale = 1000 / face.upem
    hhea, head = bytes(face.reference_table("hhea").data), bytes(face.reference_table("head").data)
    if len(hhea) < 36 or len(head) < 54:
        raise FontError("a table of the font is too short")
    ascent, descent = unpack_from(">hh", hhea, 4)
    left, low, right, high = unpack_from(">hhhh", head, 36)
    box = (round(left * scale), round(low * scale), round(right * scale), round(high * scale))
    return round(ascent * scale), round(descent * scale), box


def _fs_type(face: Any) -> int:
    table = bytes(face.reference_table("OS/2").data)
    return int.from_bytes(table[8:10], "big")
