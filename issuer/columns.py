"""Columns of a records file: their names, what people call them, and which kind of value each holds.

Spec: docs/records.md, "Columns". A header may use the names of the table or the Chinese names; the columns that
`faults.csv` adds are known and skipped. Pure.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from mingzheng.issuer.faults import Fault, make_fault

__all__ = [
    "ADDED",
    "CHINESE",
    "COLUMNS",
    "IN_CHINESE",
    "REQUIRED",
    "Holds",
    "count_known",
    "header_faults",
    "holds",
    "is_note",
    "nearest",
    "nearest_column",
    "resolve",
]


class Holds(Enum):
    """What a column holds; decides how a cell is tidied."""

    CODE = auto()  # one of a closed list
    NUMBER = auto()  # digits and letters that name somebody
    DATE = auto()
    NAME = auto()
    TEXT = auto()
    PATH = auto()
    SPECIALTIES = auto()


_HOLDS: Final[Mapping[str, Holds]] = {
    "kind": Holds.CODE,
    "jurisdiction": Holds.CODE,
    "name": Holds.NAME,
    "sex": Holds.CODE,
    "birth_date": Holds.DATE,
    "id_type": Holds.CODE,
    "id_number": Holds.NUMBER,
    "registration_no": Holds.NUMBER,
    "specialties": Holds.SPECIALTIES,
    "certificate_issued_on": Holds.DATE,
    "employer": Holds.TEXT,
    "registered_until": Holds.DATE,
    "issuing_body": Holds.TEXT,
    "sealing_body": Holds.TEXT,
    "photo": Holds.PATH,
    "signature_image": Holds.PATH,
    "purpose": Holds.TEXT,
}
COLUMNS: Final = tuple(_HOLDS)
REQUIRED: Final = (
    "kind",
    "jurisdiction",
    "name",
    "sex",
    "birth_date",
    "registration_no",
    "certificate_issued_on",
    "registered_until",
    "issuing_body",
)
# Taken in a header as they stand.
CHINESE: Final[Mapping[str, str]] = {
    "证书种类": "kind",
    "地区": "jurisdiction",
    "姓名": "name",
    "性别": "sex",
    "出生日期": "birth_date",
    "证件类型": "id_type",
    "证件号码": "id_number",
    "身份证号": "id_number",
    "身份证号码": "id_number",
    "公民身份号码": "id_number",
    "注册编号": "registration_no",
    "证书编号": "registration_no",
    "注册专业": "specialties",
    "签发日期": "certificate_issued_on",
    "聘用企业": "employer",
    "注册有效期至": "registered_until",
    "颁发机关": "issuing_body",
    "签章机关": "sealing_body",
    "照片": "photo",
    "签名图像": "signature_image",
    "用途": "purpose",
}
IN_CHINESE: Final[Mapping[str, str]] = {column: name for name, column in reversed(tuple(CHINESE.items()))}
# Too vague to be taken; only to name the nearest one.
_CALLED: Final[Mapping[str, str]] = {
    "种类": "kind",
    "省份": "jurisdiction",
    "birthday": "birth_date",
    "证件种类": "id_type",
    "专业": "specialties",
    "发证日期": "certificate_issued_on",
    "issue_date": "certificate_issued_on",
    "聘用单位": "employer",
    "单位": "employer",
    "company": "employer",
    "注册有效期": "registered_until",
    "有效期": "registered_until",
    "有效期至": "registered_until",
    "valid_until": "registered_until",
    "发证机关": "issuing_body",
    "签名": "signature_image",
}
ADDED: Final = ("fault_row", "fault_code", "fault_remedy")  # what faults.csv puts before the cells
_AROUND: Final = " \t\r\n\u00a0\u3000\ufeff*＊"


def holds(column: str) -> Holds:
    """What a column of `COLUMNS` holds."""
    return _HOLDS[column]


def resolve(cell: str) -> str | None:
    """The column or added column a header cell names; None: none."""
    name = cell.strip(_AROUND)
    return name if name in _HOLDS or name in ADDED else CHINESE.get(name)


def count_known(cells: Sequence[str]) -> int:
    """How many different columns these cells name."""
    return len({resolve(cell) for cell in cells} - {None})


def is_note(cells: Sequence[str]) -> bool:
    """Whether a row is a note of the template: its first filled cell begins with #."""
    first = next((cell for cell in cells if cell), "")
    return first.startswith(("#", "＃"))


def header_faults(row: int, header: Sequence[str]) -> Iterator[Fault]:
    """Faults of the column names; an unknown name is not repeated: without a header it would be a person's data."""
    named = [resolve(cell) for cell in header]
    for place, (cell, name) in enumerate(zip(header, named, strict=True), start=1):
        if name is None:
            yield make_fault(row, "", "record.unknown_column", place=place, nearest=nearest_column(cell))
        elif name in named[: place - 1]:
            yield make_fault(row, name, "record.duplicate_column", place=place)
    for name in REQUIRED:
        if name not in named:
            yield make_fault(row, name, "record.missing_column")


@lru_cache(maxsize=1_024)  # a key that is not known stands in every object of a file
def nearest_column(word: str) -> str:
    """The column somebody most likely means."""
    return CHINESE.get(word) or _CALLED.get(word) or nearest(word, COLUMNS)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most like `word`, the first one if none is."""
    words = list(known)
    found = difflib.get_close_matches(word[:60], words, n=1, cutoff=0.0)
    return found[0] if found else words[0]
