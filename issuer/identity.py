"""Numbers of identity documents: their forms, check characters, and the birth date and sex some of them hold.

Spec: docs/records.md, "Identity documents", which names the source of each form: GB 11643-1999 (resident identity
card, and by reference the residence permit of 2018 and the permanent-residence card of 2023), the Ministry of Public
Security's rule for the pass of Hong Kong and Macao residents, ICAO Doc 9303 for passports. Where no published form is
known, a limited set of characters. Pure.
"""

import re
from enum import StrEnum
from typing import Final

from mingzheng.formats.civil import date_of
from mingzheng.formats.claims import Sex
from mingzheng.issuer.cells import CellError

__all__ = ["IdType", "check_id_number", "read_id_number", "read_id_type"]


class IdType(StrEnum):
    """Which document the number is of; the value is what the ledger keeps."""

    RESIDENT = "居民身份证"
    PASSPORT = "护照"
    HK_MACAO_PASS = "港澳居民来往内地通行证"  # noqa: S105 - a document, no password
    TAIWAN_PASS = "台湾居民来往大陆通行证"  # noqa: S105
    RESIDENCE_PERMIT = "港澳台居民居住证"
    PERMANENT_RESIDENT = "外国人永久居留身份证"


_OTHER_NAMES: Final[dict[str, IdType]] = {
    "身份证": IdType.RESIDENT,
    "resident": IdType.RESIDENT,
    "passport": IdType.PASSPORT,
    "外国护照": IdType.PASSPORT,
    "港澳通行证": IdType.HK_MACAO_PASS,
    "回乡证": IdType.HK_MACAO_PASS,
    "hk-macao-pass": IdType.HK_MACAO_PASS,
    "台胞证": IdType.TAIWAN_PASS,
    "taiwan-pass": IdType.TAIWAN_PASS,
    "香港居民居住证": IdType.RESIDENCE_PERMIT,
    "澳门居民居住证": IdType.RESIDENCE_PERMIT,
    "港澳居民居住证": IdType.RESIDENCE_PERMIT,
    "台湾居民居住证": IdType.RESIDENCE_PERMIT,
    "residence-permit": IdType.RESIDENCE_PERMIT,
    "外国人永久居留证": IdType.PERMANENT_RESIDENT,
    "永居证": IdType.PERMANENT_RESIDENT,
    "permanent-resident": IdType.PERMANENT_RESIDENT,
}
_TYPES: Final = {str(item): item for item in IdType} | _OTHER_NAMES

_FORMS: Final = {
    IdType.RESIDENT: re.compile(r"[1-9][0-9]{16}[0-9X]"),
    IdType.PASSPORT: re.compile(r"[A-Z0-9]{5,20}"),
    IdType.HK_MACAO_PASS: re.compile(r"[HM](?:[0-9]{8}|[0-9]{10})"),
    IdType.TAIWAN_PASS: re.compile(r"[A-Z0-9]{8,12}"),
    IdType.RESIDENCE_PERMIT: re.compile(r"8[123]0000[0-9]{11}[0-9X]"),
    IdType.PERMANENT_RESIDENT: re.compile(r"9[0-9]{16}[0-9X]|[A-Z]{3}[0-9]{12}"),
}
_FORM_CODES: Final = {
    IdType.RESIDENT: "record.id_number_form",
    IdType.PASSPORT: "record.passport_form",
    IdType.HK_MACAO_PASS: "record.hk_macao_pass_form",
    IdType.TAIWAN_PASS: "record.taiwan_pass_form",
    IdType.RESIDENCE_PERMIT: "record.residence_permit_form",
    IdType.PERMANENT_RESIDENT: "record.permanent_resident_form",
}
_CHECKS: Final = "10X98765432"  # GB 11643: check character by sum modulo 11
_LENGTH: Final = 18
_ROUNDED: Final = "000"  # what a number of 18 digits ends in after a spreadsheet kept 15 of them


def read_id_type(cell: str) -> IdType:
    """Read the name of a document, or one of its usual short names."""
    found = _TYPES.get(cell) or _TYPES.get(cell.lower())
    if found is None:
        raise CellError("record.id_type")
    return found


def read_id_number(cell: str, kind: IdType) -> str:
    """Read a number in the form of its document; where it has a check character, that is tested."""
    number = cell.upper()
    if not cell.isascii() or _FORMS[kind].fullmatch(number) is None:
        raise CellError(_FORM_CODES[kind])
    if len(number) == _LENGTH and kind not in (IdType.PASSPORT, IdType.TAIWAN_PASS):
        total = sum(int(digit) * (1 << (17 - place)) for place, digit in enumerate(number[:17]))
        if _CHECKS[total % 11] != number[17]:
            raise CellError("record.id_number_rounded" if number.endswith(_ROUNDED) else "record.id_number_check")
    return number


def check_id_number(number: str, kind: IdType, *, birth: int | None, sex: Sex | None) -> list[str]:
    """Return the codes of what a number contradicts, or makes doubtful; None: that cell was faulty already.

    The permanent-residence card of 2023 holds the birth date; that its sequence tells the sex is not published.
    """
    if len(number) != _LENGTH or kind in (IdType.PASSPORT, IdType.TAIWAN_PASS):
        return []
    codes = []
    if birth is not None and number[6:14] != date_of(birth).strftime("%Y%m%d"):
        codes.append("record.id_number_birth")
    if sex is not None and kind is not IdType.PERMANENT_RESIDENT and (int(number[16]) % 2 == 1) != (sex is Sex.MALE):
        codes.append("record.id_number_sex")
    if number.endswith(_ROUNDED):
        codes.append("record.id_number_zeros")
    return codes
