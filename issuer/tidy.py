"""A cell as spreadsheets leave it to a cell as it was meant: what is unambiguous is mended and noted, the rest refused.

Spec: docs/records.md, "What spreadsheets do" and "Names". Each function takes the column's `Holds` or is for one of
them, and raises `CellError` with the code of a fault. Unicode: UAX #15 (NFKC names the ordinary character for a
compatibility one), UAX #9 (bidirectional controls). Pure.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from mingzheng.issuer.cells import INTERPUNCTS, CellError
from mingzheng.issuer.columns import Holds
from mingzheng.issuer.tables import CellKind

__all__ = ["Note", "check_characters", "tidy", "tidy_name", "unwrapped"]

Note = tuple[str, Mapping[str, int | str]]  # code and arguments

# Spaces other than U+0020: no-break, of a figure's width, narrow, ideographic, tab, line end.
_ODD_SPACES: Final = dict.fromkeys(
    map(ord, "\u00a0\u1680\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t\n"), " "
)
_ALNUM: Final = {
    code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))
}
_HALF: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_AS_TEXT: Final = re.compile(r'="([^"]*)"')  # ="0123": how some programs keep a spreadsheet from reading a number
_SCIENTIFIC: Final = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+?[0-9]{1,3}")
_DECIMAL: Final = re.compile(r"([0-9]+)\.0+")
_SERIAL: Final = re.compile(r"[0-9]{4,6}(?:\.[0-9]+)?")  # days since 1900: no date is written with 4 to 6 digits
_BOOLEANS: Final = frozenset({"TRUE", "FALSE", "true", "false", "True", "False"})
_ERRORS: Final = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"})
_STRICT: Final = (Holds.CODE, Holds.NUMBER, Holds.DATE)
_REFUSED: Final = {
    CellKind.BOOLEAN: "record.cell_boolean",
    CellKind.ERROR: "record.cell_error",
    CellKind.UNCALCULATED: "record.formula_uncalculated",
}
# What GB 18030-2000 kept in the private-use area and the editions of 2005 and 2022 moved to characters of their own.
_MOVED: Final = {
    0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7, 0xE832: 0x9FB8, 0xE843: 0x9FB9, 0xE854: 0x9FBA,
    0xE863: 0x4DAE, 0xE864: 0x9FBB,
}  # fmt: skip
_UNIFIED: Final = frozenset(map(ord, "\ufa0e\ufa0f\ufa11\ufa13\ufa14\ufa1f\ufa21\ufa23\ufa24\ufa27\ufa28\ufa29"))
# Dots that are one only in a name: elsewhere ．may be a full stop of full width.
_NAME_DOTS: Final = INTERPUNCTS | dict.fromkeys(map(ord, "\uff0e\u25cf\u318d\u2e33\u2024\ufe52"), "\u00b7")
_LOST: Final = frozenset("?？\ufffd□■")


def tidy(cell: str, what: Holds, kind: CellKind | None) -> tuple[str, list[Note]]:
    """The cell as it was meant, and what was done to it. Raises CellError for what only a person can mend."""
    notes: list[Note] = []
    if kind in _REFUSED:
        raise CellError(_REFUSED[kind])
    if cell in _ERRORS:
        raise CellError("record.cell_error")
    if cell in _BOOLEANS:
        raise CellError("record.cell_boolean")
    if kind is CellKind.ROUNDED:
        raise CellError("record.number_rounded")
    if kind is CellKind.DATE and what is not Holds.DATE:
        raise CellError("record.cell_date")
    text = _tidy_form(cell, what, notes)
    if what in (Holds.CODE, Holds.NUMBER):
        text = _tidy_code(text, notes)
        if kind is CellKind.NUMBER and what is Holds.NUMBER:
            notes.append(("record.number_cell", {}))
    elif what is Holds.DATE and _SERIAL.fullmatch(text):
        raise CellError("record.date_serial")
    return text, notes


def unwrapped(cell: str) -> str:
    """What is inside of ="…"; any other cell as it is."""
    match = _AS_TEXT.fullmatch(cell)
    return cell if match is None else match[1]


def _tidy_form(cell: str, what: Holds, notes: list[Note]) -> str:
    """Apostrophe, ="…", odd spaces and full-width digits and letters: what any column may have."""
    text = unwrapped(cell)
    if text != cell:
        notes.append(("record.formula_text", {}))
    if text[:1] in ("'", "＇") and len(text) > 1:
        text = text[1:]
        notes.append(("record.apostrophe", {}))
    spaced = text.translate(_ODD_SPACES).strip(" ")
    if spaced != text.strip(" "):
        notes.append(("record.odd_space", {}))
    text = spaced
    narrow = text.translate(_HALF if what in _STRICT else _ALNUM) if what is not Holds.PATH else text
    if narrow != text:
        notes.append(("record.fullwidth", {}))
    return narrow


def _tidy_code(text: str, notes: list[Note]) -> str:
    if _SCIENTIFIC.fullmatch(text):
        raise CellError("record.scientific")
    if " " in text and text.isascii() and any(char.isdigit() for char in text):
        text = text.replace(" ", "")
        notes.append(("record.inner_space", {}))
    if (match := _DECIMAL.fullmatch(text)) is not None:
        text = match[1]
        notes.append(("record.decimal", {}))
    return text


def tidy_name(text: str, notes: list[Note]) -> str:
    """A name with one kind of dot; inner spaces are noted. Raises CellError for a character that was lost."""
    dotted = text.translate(_NAME_DOTS)
    if dotted != text:
        notes.append(("record.interpunct", {}))
    for place, char in enumerate(dotted, start=1):
        if char in _LOST:
            raise CellError("record.lost_character", place=place)
    if " " in dotted:
        notes.append(("record.name_space", {"place": dotted.index(" ") + 1}))
    return dotted


def check_characters(text: str, what: Holds) -> None:
    """Refuse by name what no text may hold: private-use, invisible, bidirectional and compatibility characters.

    In a name every compatibility character is refused; elsewhere only those that look like an ordinary ideograph.
    """
    if text.isascii() and text.isprintable():
        return
    for place, char in enumerate(text, start=1):
        code = ord(char)
        if code < 0x2000:
            odd = code < 0x20 or 0x7F <= code < 0xA0 or code in (0xAD, 0x61C, 0x180E)
        else:
            odd = unicodedata.category(char) in ("Cf", "Cc", "Cs", "Co", "Zl", "Zp")
        if odd:
            raise _invisible(char, place)
        in_name = what is Holds.NAME and code >= 0x2000 and not 0xFF01 <= code <= 0xFF5E
        if in_name or _is_look_alike(code):
            _check_compatible(char, place)


def _is_look_alike(code: int) -> bool:
    """Radicals and compatibility ideographs."""
    return 0x2E80 <= code < 0x2FE0 or 0xF900 <= code < 0xFB00 or 0x2F800 <= code < 0x2FA20


def _invisible(char: str, place: int) -> CellError:
    name = f"U+{ord(char):04X}"
    if unicodedata.category(char) != "Co":
        return CellError("record.invisible", place=place, codepoint=name)
    moved = _MOVED.get(ord(char))
    if moved is None:
        return CellError("record.private_use", place=place, codepoint=name)
    return CellError("record.compatibility", place=place, codepoint=name, instead=_named(chr(moved)))


def _check_compatible(char: str, place: int) -> None:
    if ord(char) in _UNIFIED:
        return
    meant = unicodedata.normalize("NFKC", char)
    if meant != char:
        raise CellError("record.compatibility", place=place, codepoint=f"U+{ord(char):04X}", instead=_named(meant))
    if 0x2E80 <= ord(char) < 0x2FE0:  # radicals without a character that stands for them
        raise CellError("record.radical", place=place, codepoint=f"U+{ord(char):04X}")


def _named(text: str) -> str:
    return " ".join(_each(text))


def _each(text: str) -> Iterator[str]:
    for char in text:
        yield f"{char} (U+{ord(char):04X})"
