"""A sample records file for one kind of certificate: column names, a row of notes, and one invented person.

Spec: docs/records.md, "Template". The row of notes begins with # and is skipped when the file is read. The person's
dates are counted from the day the sample is made for, by the rules of the kind, so that it is in force that day. Pure.
"""

from collections.abc import Mapping
from typing import Final

from mingzheng.formats.civil import MAX_DAY, MIN_DAY, birthday, date_of, day_of, format_day
from mingzheng.formats.profile import NumberForm, Profile, Requirement
from mingzheng.formats.rules_model import Renewal
from mingzheng.issuer.columns import COLUMNS, IN_CHINESE, REQUIRED
from mingzheng.issuer.spreadsheet import BOM, quoted

__all__ = ["format_sample", "sample_rows"]

_NOTES: Final[Mapping[str, tuple[str, str]]] = {
    "kind": ("证书种类标识", "id of the kind of certificate"),
    "jurisdiction": ("全国写 0；省级写两位代码，如 31", "0 for national, else two digits such as 31"),
    "name": ("姓名；间隔号用 ·", "name; dots as ·"),
    "sex": ("男 或 女", "男 or 女"),
    "birth_date": ("如 1985-03-03", "such as 1985-03-03"),
    "id_type": (
        "空着即居民身份证；另有护照、港澳居民来往内地通行证、台湾居民来往大陆通行证、港澳台居民居住证、"
        "外国人永久居留身份证",
        "empty: resident identity card; else passport, hk-macao-pass, taiwan-pass, residence-permit, "
        "permanent-resident",
    ),
    "id_number": ("证件号码；单元格须为文本格式", "number of the document; keep the cell formatted as text"),
    "registration_no": ("注册编号；单元格须为文本格式", "registration number; keep the cell formatted as text"),
    "specialties": ("名称:起:止，多个用分号隔开", "name:from:to, several joined by semicolons"),
    "certificate_issued_on": ("签发日期", "day of issue of the certificate"),
    "employer": ("聘用企业，最多 40 字", "employer, at most 40 characters"),
    "registered_until": ("注册有效期最后一日", "last day of the registration"),
    "issuing_body": ("颁发机关的名称或编号", "name or number of the issuing body"),
    "sealing_body": ("签章机关；空着即颁发机关", "sealing body; empty: the issuing body"),
    "photo": ("照片文件，相对于本文件", "file of the photo, relative to this file"),
    "signature_image": ("签名图像文件，相对于本文件", "file of the signature image, relative to this file"),
    "purpose": ("用途；批准件不填", "purpose; not on approval copies"),
}
_PREFIXES: Final = {31: "沪", 21: "辽", 61: "陕"}
_TERM: Final = 3  # years, of a kind without a rule of renewal
_AGE: Final = 41  # of the person, in whole years or one less
_NEEDED: Final = {Requirement.REQUIRED: ("必填", "required"), Requirement.NONE: ("不填", "leave empty")}


def sample_rows(profile: Profile, *, jurisdiction: int, zh: bool, day: int) -> list[list[str]]:
    """Header, notes, one person. The person's row has no fault on `day` but for images that are not there."""
    header = [IN_CHINESE[column] if zh else column for column in COLUMNS]
    person = _person(profile, jurisdiction, day)
    return [header, [_note(column, profile, zh) for column in COLUMNS], [person.get(column, "") for column in COLUMNS]]


def format_sample(rows: list[list[str]]) -> bytes:
    """The rows as CSV: UTF-8 with a byte order mark, so that spreadsheets read it right."""
    return (BOM + "".join(",".join(map(quoted, row)) + "\r\n" for row in rows)).encode()


def _note(column: str, profile: Profile, zh: bool) -> str:
    needs = {
        "specialties": profile.specialty.value,
        "employer": profile.employer.value,
        "photo": profile.photo.value,
        "signature_image": profile.signature_image.value,
    }
    need = Requirement.REQUIRED if column in REQUIRED else needs.get(column)
    words = _NEEDED.get(need) if need is not None else None
    mark = (words or ("可空", "may be empty"))[0 if zh else 1]
    return f"#{mark}：{_NOTES[column][0]}" if zh else f"#{mark}: {_NOTES[column][1]}"


def _person(profile: Profile, jurisdiction: int, day: int) -> dict[str, str]:
    issued, end = _validity(profile, day)
    person = {
        "kind": profile.id,
        "jurisdiction": str(jurisdiction),
        "name": "王小明",
        "sex": "男",
        "birth_date": format_day(_years(day_of(date_of(day).replace(month=3, day=3)), -_AGE)),
        "registration_no": _number(profile, jurisdiction),
        "certificate_issued_on": issued,
        "registered_until": end,
        "issuing_body": "1",
        "sealing_body": "1",
    }
    if profile.specialty.value is Requirement.REQUIRED:
        names = [entry.name_zh for entry in profile.specialties.values()]
        person["specialties"] = f"{names[0]}:{issued}:{end}"
    if profile.employer.value is not Requirement.NONE:
        person["employer"] = "北京示例建设有限公司"
    if profile.photo.value is Requirement.REQUIRED:
        person["photo"] = "photos/1.jpg"
    if profile.signature_image.value is Requirement.REQUIRED:
        person["signature_image"] = "signatures/1.png"
    return person


def _validity(profile: Profile, day: int) -> tuple[str, str]:
    """First and last day of a registration that began a year ago, or today where a term is one year."""
    renewal = profile.rules.renewal
    term = renewal.term.value if isinstance(renewal, Renewal) else _TERM
    first = _years(day, -1) if term > 1 else day
    return format_day(first), format_day(_years(first, term))


def _years(day: int, years: int) -> int:
    """The same day of another year; 29 February: the 28th in common years. Inside the days that records may bear."""
    date = date_of(day)
    year = date.year + years
    if year > date_of(MAX_DAY).year:
        return MAX_DAY
    return max(MIN_DAY, birthday(day, years)) if year > 0 else MIN_DAY


def _number(profile: Profile, jurisdiction: int) -> str:
    grades = {NumberForm.CONSTRUCTOR_1: "1", NumberForm.CONSTRUCTOR_2: "2"}
    grade = grades.get(profile.registration_no.value)
    if grade is None:
        return "20240000001"
    return f"{_PREFIXES.get(jurisdiction, '京')}{grade}{jurisdiction or 11}2006200712345"
