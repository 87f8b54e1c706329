"""Application records from CSV or JSON: every fault of a file at once, no record from a faulty row.

Spec: docs/records.md. CSV: UTF-8 with or without byte order mark, comma, RFC 4180 quotes, column names in the first
row. JSON: an array of objects with the same names. What depends on the kind of certificate or on the issuer is
checked by `plan.check_records`. Pure.
"""

import csv
import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Sex
from mingzheng.issuer.cells import (
    CellError,
    RecordSpecialty,
    check_id_number,
    read_date,
    read_id_number,
    read_jurisdiction,
    read_path,
    read_sex,
    read_specialties,
    read_text,
)
from mingzheng.issuer.faults import Fault, make_fault

__all__ = [
    "COLUMNS",
    "ApplicationRecord",
    "Fault",
    "ParsedRecords",
    "RecordSpecialty",
    "format_record",
    "nearest",
    "parse_csv",
    "parse_json",
    "records_template",
]

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_ROWS: Final = 50_000
MAX_CELL_CHARS: Final = 1_000

COLUMNS: Final = (
    "kind",
    "jurisdiction",
    "name",
    "sex",
    "birth_date",
    "id_number",
    "registration_no",
    "specialties",
    "certificate_issued_on",
    "employer",
    "registered_until",
    "issuing_body",
    "sealing_body",
    "photo",
    "signature_image",
    "purpose",
)
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
# What people call the columns; only to name the nearest one.
_CALLED: Final = {
    "种类": "kind",
    "证书种类": "kind",
    "地区": "jurisdiction",
    "省份": "jurisdiction",
    "姓名": "name",
    "性别": "sex",
    "出生日期": "birth_date",
    "birthday": "birth_date",
    "身份证号": "id_number",
    "身份证号码": "id_number",
    "注册编号": "registration_no",
    "证书编号": "registration_no",
    "注册专业": "specialties",
    "专业": "specialties",
    "签发日期": "certificate_issued_on",
    "issue_date": "certificate_issued_on",
    "聘用企业": "employer",
    "聘用单位": "employer",
    "company": "employer",
    "注册有效期": "registered_until",
    "有效期至": "registered_until",
    "valid_until": "registered_until",
    "颁发机关": "issuing_body",
    "发证机关": "issuing_body",
    "签章机关": "sealing_body",
    "照片": "photo",
    "签名图像": "signature_image",
    "签名": "signature_image",
    "用途": "purpose",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRecord:
    """One registration as the authority's own system gives it; well-formed by itself, not yet by its profile.

    `kind` is an id such as `cn.constructor.1`; bodies are names or numbers as the issuer's record has them; images
    are relative paths. The identity number goes to the ledger and nowhere else, and is kept out of `repr`.
    """

    row: int
    kind: str
    jurisdiction: int
    name: str
    sex: Sex
    birth: int
    id_number: str | None = field(repr=False)
    registration_no: str
    specialties: tuple[RecordSpecialty, ...]
    certificate_issued_on: int
    employer: str | None
    registered_until: int
    issuing_body: str
    sealing_body: str
    photo: str | None
    signature_image: str | None
    purpose: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRecords:
    """What a file gave: records of the faultless rows in file order, and every fault in file order."""

    records: tuple[ApplicationRecord, ...]
    faults: tuple[Fault, ...]


def parse_csv(data: bytes) -> ParsedRecords:
    """Read a CSV file; never raises on input. A fault of the file or its header leaves no record."""
    text, fault = _text(data)
    if fault is not None:
        return _none(fault)
    rows: list[list[str]] = []
    try:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for cells in csv.reader((line + "\n" for line in lines), strict=True):
            if len(rows) > MAX_ROWS + 1:
                return _none(make_fault(0, "", "record.too_many_rows", limit=MAX_ROWS))
            rows.append([cell.strip(" \t\u3000") for cell in cells])
    except csv.Error:
        return _none(make_fault(len(rows) + 1, "", "record.csv_syntax"))
    filled = [(row, cells) for row, cells in enumerate(rows, start=1) if any(cells)]
    if len(filled) < 2:
        return _none(make_fault(0, "", "record.empty_file"))
    header_row, header = filled[0]
    faults = list(_header_faults(header_row, header))
    if faults:
        return ParsedRecords(records=(), faults=tuple(faults))
    good: list[tuple[int, Mapping[str, str]]] = []
    for row, cells in filled[1:]:
        if len(cells) != len(header):
            faults.append(make_fault(row, "", "record.cell_count", got=len(cells), want=len(header)))
        else:
            good.append((row, dict(zip(header, cells, strict=True))))
    return _records(good, faults)


def parse_json(data: bytes) -> ParsedRecords:
    """Read a JSON array of objects; `specialties` as in CSV or as objects with name, from, to. Never raises."""
    text, fault = _text(data)
    if fault is not None:
        return _none(fault)
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError):  # also integers of thousands of digits
        return _none(make_fault(0, "", "record.json_syntax"))
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        return _none(make_fault(0, "", "record.json_syntax"))
    if not document:
        return _none(make_fault(0, "", "record.empty_file"))
    if len(document) > MAX_ROWS:
        return _none(make_fault(0, "", "record.too_many_rows", limit=MAX_ROWS))
    faults: list[Fault] = []
    good: list[tuple[int, Mapping[str, str]]] = []
    for row, item in enumerate(document, start=1):
        found, cells = _json_cells(row, item)
        faults += found
        if not found:
            good.append((row, cells))
    return _records(good, faults)


def records_template(kind: str) -> bytes:
    """Return a sample CSV for a kind id: UTF-8 with byte order mark, so that spreadsheets read it right."""
    sample = {
        "kind": kind,
        "jurisdiction": "0",
        "name": "王小明",
        "sex": "男",
        "birth_date": "1985-03-03",
        "id_number": "",
        "registration_no": "京1112006200712345",
        "specialties": "建筑工程:2024-01-01:2027-01-01;市政公用工程:2025-06-01:2028-06-01",
        "certificate_issued_on": "2024-01-01",
        "employer": "北京示例建设有限公司",
        "registered_until": "2028-06-01",
        "issuing_body": "1",
        "sealing_body": "1",
        "photo": "photos/1.jpg",
        "signature_image": "signatures/1.png",
        "purpose": "",
    }
    if kind == "cn.constructor.2":
        sample |= {"jurisdiction": "31", "registration_no": "沪2312006200712345"}
    elif kind != "cn.constructor.1":
        sample |= {"registration_no": "20240000001", "specialties": ""}
    lines = (",".join(COLUMNS), ",".join(sample[column] for column in COLUMNS))
    return ("\ufeff" + "".join(line + "\r\n" for line in lines)).encode()


def format_record(record: ApplicationRecord) -> bytes:
    """Return a record as canonical JSON that `parse_json` reads back (inside `[...]`); identity number included.

    Row and image paths are left out: they say where it came from, not what it is. Sorted keys, no spaces, UTF-8.
    """
    cells: dict[str, object] = {
        "kind": record.kind,
        "jurisdiction": str(record.jurisdiction),
        "name": record.name,
        "sex": str(int(record.sex)),
        "birth_date": format_day(record.birth),
        "id_number": record.id_number,
        "registration_no": record.registration_no,
        "specialties": [
            {"name": item.name, "from": format_day(item.first_day), "to": format_day(item.last_day)}
            for item in record.specialties
        ],
        "certificate_issued_on": format_day(record.certificate_issued_on),
        "employer": record.employer,
        "registered_until": format_day(record.registered_until),
        "issuing_body": record.issuing_body,
        "sealing_body": record.sealing_body,
        "purpose": record.purpose,
    }
    filled = {key: value for key, value in cells.items() if value not in (None, [])}
    return json.dumps(filled, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most like `word`, the first one if none is."""
    words = list(known)
    found = difflib.get_close_matches(word[:60], words, n=1, cutoff=0.0)
    return found[0] if found else words[0]


# The file


def _text(data: bytes) -> tuple[str, Fault | None]:
    if len(data) > MAX_FILE_BYTES:
        return "", make_fault(0, "", "record.file_too_large", limit=MAX_FILE_BYTES)
    try:
        return data.decode("utf-8-sig", "strict"), None
    except UnicodeDecodeError:
        return "", make_fault(0, "", "record.encoding")


def _none(fault: Fault) -> ParsedRecords:
    return ParsedRecords(records=(), faults=(fault,))


def _header_faults(row: int, header: Sequence[str]) -> Iterable[Fault]:
    """Faults of the column names; an unknown name is not repeated: without a header it would be a person's data."""
    for place, name in enumerate(header, start=1):
        if name not in COLUMNS:
            column = _CALLED.get(name) or nearest(name, COLUMNS)
            yield make_fault(row, "", "record.unknown_column", place=place, nearest=column)
        elif name in header[: place - 1]:
            yield make_fault(row, name, "record.duplicate_column", place=place)
    for name in REQUIRED:
        if name not in header:
            yield make_fault(row, name, "record.missing_column")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _refuse(_literal: str) -> object:
    raise ValueError("not used in records")


def _json_cells(row: int, item: Mapping[str, object]) -> tuple[list[Fault], dict[str, str]]:
    faults: list[Fault] = []
    cells: dict[str, str] = {}
    for key, value in item.items():
        if key not in COLUMNS:
            faults.append(make_fault(row, "", "record.unknown_key", nearest=_CALLED.get(key) or nearest(key, COLUMNS)))
        elif value is None:
            continue
        elif key == "specialties" and isinstance(value, list):
            text = _joined_specialties(value)
            if text is None:
                faults.append(make_fault(row, key, "record.specialty_syntax", place=1))
            else:
                cells[key] = text
        elif isinstance(value, str):
            cells[key] = value.strip(" \t\u3000")
        elif key == "jurisdiction" and isinstance(value, int) and not isinstance(value, bool):
            cells[key] = str(value)
        else:
            faults.append(make_fault(row, key, "record.not_text"))
    return faults, cells


def _joined_specialties(items: Sequence[object]) -> str | None:
    """Objects {name, from, to} as the text of a CSV cell; None if one is not of that shape."""
    parts = []
    for item in items:
        if not isinstance(item, dict) or item.keys() != {"name", "from", "to"}:
            return None
        values = [item["name"], item["from"], item["to"]]
        if not all(isinstance(value, str) and not set(":;：；") & set(value) for value in values):
            return None
        parts.append(":".join(values))
    return ";".join(parts)


# The rows


def _records(rows: Sequence[tuple[int, Mapping[str, str]]], faults: list[Fault]) -> ParsedRecords:
    records = []
    for row, cells in rows:
        record, found = _record(row, cells)
        faults += found
        if record is not None:
            records.append(record)
    clashes = list(_clashes(records))
    faulty = {fault.row for fault in clashes}
    faults = sorted(faults + clashes, key=lambda fault: fault.row)  # stable: order within a row is kept
    return ParsedRecords(records=tuple(record for record in records if record.row not in faulty), faults=tuple(faults))


class _Row:
    """Reads the cells of one row and gathers their faults."""

    def __init__(self, row: int, cells: Mapping[str, str]) -> None:
        self.row, self.faults = row, list[Fault]()
        self._cells = cells

    def optional(self, column: str, read: Callable[[str], T]) -> T | None:
        """Read a cell; None if it is empty or faulty."""
        cell = self._cells.get(column, "")
        if not cell:
            return None
        try:
            if len(cell) > MAX_CELL_CHARS:
                cut = len(cell) - MAX_CELL_CHARS
                raise CellError("record.cell_too_long", got=len(cell), limit=MAX_CELL_CHARS, cut=cut)
            return read(cell)
        except CellError as error:
            self.faults.append(make_fault(self.row, column, error.code, **error.arguments))
            return None

    def required(self, column: str, read: Callable[[str], T], instead: T) -> T:
        """Read a cell that must not be empty; `instead` if it is faulty (the row is dropped then)."""
        if not self._cells.get(column, ""):
            self.fault(column, "record.required")
            return instead
        value = self.optional(column, read)
        return instead if value is None else value

    def sound(self, *columns: str) -> bool:
        """Tell whether none of the columns has a fault."""
        return not any(fault.field in columns for fault in self.faults)

    def fault(self, column: str, code: str) -> None:
        """Add a fault without arguments."""
        self.faults.append(make_fault(self.row, column, code))


def _record(row: int, cells: Mapping[str, str]) -> tuple[ApplicationRecord | None, list[Fault]]:
    reader = _Row(row, cells)
    issuing = reader.required("issuing_body", _body, "")
    record = ApplicationRecord(
        row=row,
        kind=reader.required("kind", read_text, ""),
        jurisdiction=reader.required("jurisdiction", read_jurisdiction, 0),
        name=reader.required("name", read_text, ""),
        sex=reader.required("sex", read_sex, Sex.MALE),
        birth=reader.required("birth_date", lambda cell: read_date(cell, birth=True), 0),
        id_number=reader.optional("id_number", read_id_number),
        registration_no=reader.required("registration_no", read_text, ""),
        specialties=reader.optional("specialties", read_specialties) or (),
        certificate_issued_on=reader.required("certificate_issued_on", read_date, 0),
        employer=reader.optional("employer", read_text),
        registered_until=reader.required("registered_until", read_date, 0),
        issuing_body=issuing,
        sealing_body=reader.optional("sealing_body", _body) or issuing,
        photo=reader.optional("photo", read_path),
        signature_image=reader.optional("signature_image", read_path),
        purpose=reader.optional("purpose", read_text),
    )
    _compare(reader, record)
    return (None if reader.faults else record), reader.faults


def _compare(reader: _Row, record: ApplicationRecord) -> None:
    """Faults that only two cells together show; cells with a fault of their own are left out."""
    birth = record.birth if reader.sound("birth_date") else None
    sex = record.sex if reader.sound("sex") else None
    if record.id_number is not None:
        for code in check_id_number(record.id_number, birth=birth, sex=sex):
            reader.fault("id_number", code)
    issued = record.certificate_issued_on if reader.sound("certificate_issued_on") else None
    if birth is not None and issued is not None and birth >= issued:
        reader.fault("birth_date", "record.birth_after_issue")
    if issued is not None and reader.sound("registered_until") and issued > record.registered_until:
        reader.fault("registered_until", "record.issue_after_end")


def _body(cell: str) -> str:
    return read_text(cell, max_chars=100)


def _clashes(records: Sequence[ApplicationRecord]) -> Iterable[Fault]:
    """Rows that say the same twice, or different things of one registration (both rows are faulty then)."""
    by_registration: dict[tuple[str, str], ApplicationRecord] = {}
    by_copy: dict[tuple[str, str, str | None], ApplicationRecord] = {}
    for record in records:
        registration = (record.kind, record.registration_no)
        first = by_registration.setdefault(registration, record)
        twin = by_copy.setdefault((*registration, record.purpose), record)
        if first is not record and format_record(first) != format_record(_with_purpose(record, first)):
            yield make_fault(first.row, "registration_no", "record.conflicting_rows", other=record.row)
            yield make_fault(record.row, "registration_no", "record.conflicting_rows", other=first.row)
        elif twin is not record:
            yield make_fault(record.row, "registration_no", "record.duplicate_row", other=twin.row)


def _with_purpose(record: ApplicationRecord, other: ApplicationRecord) -> ApplicationRecord:
    return replace(record, purpose=other.purpose)
