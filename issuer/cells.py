"""Cells of an application record: text in, value out, or a `CellError` with the code of a fault.

Spec: docs/records.md; sex: GB/T 2261.1; jurisdictions: GB/T 2260. One spelling or a few named ones per value; digits
are ASCII. What spreadsheets do to a cell is undone before (`tidy`); identity documents: `identity`. Pure.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final
from unicodedata import is_normalized

from mingzheng.formats.civil import MAX_DAY, MIN_DAY, day_of, format_day
from mingzheng.formats.claims import BIRTH_MAX, SPECIALTIES_MAX, TEXT_CHARS_MAX, Sex
from mingzheng.formats.errors import TextCharacterError, TextError, TextLengthError
from mingzheng.formats.text import check_text

__all__ = [
    "CellError",
    "RecordSpecialty",
    "read_date",
    "read_jurisdiction",
    "read_path",
    "read_sex",
    "read_specialties",
    "read_text",
]

# GB/T 2260: letters and digits of the provinces; 0 and CN are national.
PROVINCES: Final = {
    "BJ": 11, "TJ": 12, "HE": 13, "SX": 14, "NM": 15, "LN": 21, "JL": 22, "HL": 23, "SH": 31, "JS": 32, "ZJ": 33,
    "AH": 34, "FJ": 35, "JX": 36, "SD": 37, "HA": 41, "HB": 42, "HN": 43, "GD": 44, "GX": 45, "HI": 46, "CQ": 50,
    "SC": 51, "GZ": 52, "YN": 53, "XZ": 54, "SN": 61, "GS": 62, "QH": 63, "NX": 64, "XJ": 65, "TW": 71, "HK": 81,
    "MO": 82,
}  # fmt: skip
_JURISDICTIONS: Final = {"0": 0, "CN": 0} | PROVINCES | {str(code): code for code in PROVINCES.values()}
# Dots that people type inside names such as 买买提·艾力; all become U+00B7.
INTERPUNCTS: Final = dict.fromkeys(map(ord, "\u2022\u2027\u2219\u22c5\u30fb\uff65\u0387\u16eb\u2e31"), "\u00b7")

_MIDNIGHT: Final = r"(?:[ T]00?:00(?::00(?:\.0+)?)?)?"  # what databases and spreadsheets put behind a day
_DATES: Final = (
    re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})" + _MIDNIGHT),
    re.compile(r"([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日"),
    re.compile(r"([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})" + _MIDNIGHT),
    re.compile(r"([0-9]{4})\.([0-9]{1,2})\.([0-9]{1,2})"),
    re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})"),
)
_SEXES: Final = {
    "男": Sex.MALE,
    "1": Sex.MALE,
    "male": Sex.MALE,
    "女": Sex.FEMALE,
    "2": Sex.FEMALE,
    "female": Sex.FEMALE,
}


class CellError(Exception):
    """One cell is not as it should be; `code` is a key of `faults.FAULTS`, `arguments` fill its sentences."""

    def __init__(self, code: str, **arguments: int | str) -> None:
        super().__init__(code)
        self.code, self.arguments = code, arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSpecialty:
    """A specialty as written: number, official code or name, and its first and last day."""

    name: str
    first_day: int
    last_day: int


def read_text(cell: str, *, max_chars: int = TEXT_CHARS_MAX) -> str:
    """Read a text under the text rule of the credential; interpuncts become U+00B7."""
    return _checked(cell.translate(INTERPUNCTS), max_chars)


def _checked(text: str, max_chars: int) -> str:
    try:
        check_text(text, min_chars=1, max_chars=max_chars)
    except TextLengthError as error:
        raise CellError("record.cell_too_long", got=error.got, limit=max_chars, cut=error.cut) from None
    except TextCharacterError as error:
        raise CellError("record.text", place=error.index + 1) from None
    except TextError:
        raise CellError("record.text", place=_first_unnormalised(text)) from None
    return text


def read_date(cell: str, *, birth: bool = False) -> int:
    """Read 2022-06-27, 2022年6月27日, 2022/6/27, 2022.6.27 or 20220627: year first, so nothing can be swapped."""
    match = next((found for form in _DATES if (found := form.fullmatch(cell))), None)
    if match is None:
        raise CellError("record.bad_date")
    try:
        day = day_of(date(*(int(part) for part in match.groups())))
    except ValueError:
        raise CellError("record.bad_date") from None
    high = BIRTH_MAX if birth else MAX_DAY
    if not MIN_DAY <= day <= high:
        raise CellError("record.date_range", low=format_day(MIN_DAY), high=format_day(high))
    return day


def read_sex(cell: str) -> Sex:
    """Read 男/女, 1/2 or male/female."""
    if cell not in _SEXES:
        raise CellError("record.bad_sex")
    return _SEXES[cell]


def read_jurisdiction(cell: str) -> int:
    """Read 0 or cn (national), or a province by its two digits or two letters (GB/T 2260), such as 31 or sh."""
    found = _JURISDICTIONS.get(cell.upper()) if cell.isascii() else None
    if found is None:
        raise CellError("record.bad_jurisdiction")
    return found


def read_path(cell: str) -> str:
    """Read a relative path with `/` that stays below its directory; no drive, no `..`, no backslash."""
    text = _checked(cell, 200)  # a file is found by its own name alone: its dots stay as they are
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in text or ":" in text:
        raise CellError("record.bad_path")
    return text


def read_specialties(cell: str) -> tuple[RecordSpecialty, ...]:
    """Read `名称:起:止;名称:起:止`; full-width ： and ； are taken too."""
    parts = cell.replace("：", ":").replace("；", ";").rstrip(";").split(";")
    if len(parts) > SPECIALTIES_MAX:
        raise CellError("record.specialty_count", limit=SPECIALTIES_MAX)
    found = tuple(_specialty(part.strip(" "), place) for place, part in enumerate(parts, start=1))
    names = [item.name for item in found]
    for place, name in enumerate(names, start=1):
        if name in names[: place - 1]:
            raise CellError("record.specialty_twice", place=place)
    return found


def _specialty(part: str, place: int) -> RecordSpecialty:
    pieces = [piece.strip(" ") for piece in part.split(":")]
    if len(pieces) != 3 or not all(pieces):
        raise CellError("record.specialty_syntax", place=place)
    try:
        name = read_text(pieces[0])
    except CellError:
        raise CellError("record.specialty_syntax", place=place) from None
    try:
        first_day, last_day = read_date(pieces[1]), read_date(pieces[2])
    except CellError:
        raise CellError("record.specialty_dates", place=place) from None
    if first_day > last_day:
        raise CellError("record.specialty_dates", place=place)
    return RecordSpecialty(name=name, first_day=first_day, last_day=last_day)


def _first_unnormalised(text: str) -> int:
    """1-based place of the first character whose prefix is not in Normalization Form C."""
    return next(place for place in range(1, len(text) + 1) if not is_normalized("NFC", text[:place]))
