"""Fitting text into its place: shrink to a floor, then break into lines, else say that it does not fit.

Chinese text may break between any two characters except before closing and after opening punctuation (CLREQ
§3.1.5, the common set); Latin words and numbers stay whole unless a single one is wider than the line. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["LINE_PITCH", "FittedText", "TextMeasure", "fit_line", "wrap"]

LINE_PITCH: Final = 1.32  # of the text size, baseline to baseline
_NOT_FIRST: Final = frozenset("，。、；：！？）》」』】〉”’％…—·,.;:!?)]}%")
_NOT_LAST: Final = frozenset("（《「『【〈“‘([{")
_STEP_MM: Final = 0.1


class TextMeasure(Protocol):
    """Knows how wide text is in the certificate's fonts."""

    def width(self, text: str, size_mm: float) -> float:
        """Advance width in millimetres; raises MissingGlyphError."""
        ...  # pragma: no cover - protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedText:
    """Lines of one size."""

    lines: tuple[str, ...]
    size_mm: float


def fit_line(text: str, *, width_mm: float, size_mm: float, floor_mm: float, measure: TextMeasure) -> float | None:
    """The largest size from `size_mm` down to `floor_mm` at which `text` is one line, or None."""
    full = measure.width(text, size_mm)
    if full <= width_mm:
        return size_mm
    fitting = int(size_mm * width_mm / full / _STEP_MM + 1e-6) * _STEP_MM
    return fitting if fitting >= floor_mm else None


def wrap(text: str, *, width_mm: float, size_mm: float, measure: TextMeasure) -> tuple[str, ...] | None:
    """`text` in lines of at most `width_mm`, spaces at the breaks dropped; None if one character is too wide."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, width_mm=width_mm, size_mm=size_mm, measure=measure):
        if measure.width((line + piece).rstrip(" "), size_mm) <= width_mm:
            line += piece
            continue
        if not line or measure.width(piece.rstrip(" "), size_mm) > width_mm:
            return None
        lines.append(line.rstrip(" "))
        line = piece
    return (*lines, line.rstrip(" "))


def _pieces(text: str, *, width_mm: float, size_mm: float, measure: TextMeasure) -> list[str]:
    """What must stay together: characters with their punctuation, words with the space behind them."""
    pieces: list[str] = []
    for char in text:
        if pieces and _sticks(pieces[-1], char):
            joined = pieces[-1] + char
            if measure.width(joined.rstrip(" "), size_mm) <= width_mm:
                pieces[-1] = joined
                continue
        pieces.append(char)
    return pieces


def _sticks(before: str, char: str) -> bool:
    last = before[-1]
    if char in _NOT_FIRST or last in _NOT_LAST or char == " ":
        return True
    return last != " " and _is_word(last) and _is_word(char)


def _is_word(char: str) -> bool:
    return char.isascii() and not char.isspace()
