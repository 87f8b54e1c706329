"""Application records from a table or JSON: every fault of a file at once, no record from a faulty row.

Spec: docs/records.md. Files to rows: `tables`, `workbook`; columns: `columns`; what is done to a cell before it is
read: `tidy`. What depends on the kind of certificate or on the issuer is checked by `plan.check_records`. Pure.
"""

import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any, Final, TypeVar

from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Sex
from mingzheng.issuer.cells import (
    CellError,
    RecordSpecialty,
    read_date,
    read_jurisdiction,
    read_path,
    read_sex,
    read_specialties,
    read_text,
)
from mingzheng.issuer.columns import (
    ADDED,
    COLUMNS,
    REQUIRED,
    Holds,
    count_known,
    header_faults,
    holds,
    is_note,
    nearest,
    nearest_column,
    resolve,
)
from mingzheng.issuer.faults import FAULTS, Fault, Severity, make_fault, name_cells
from mingzheng.issuer.identity import IdType, check_id_number, read_id_number, read_id_type
from mingzheng.issuer.packed import Packed, pack_values, unpack_values
from mingzheng.issuer.tables import MAX_FILE_BYTES, MAX_ROWS, CellKind, Row, Table, decode_text, read_csv
from mingzheng.issuer.tidy import Note, check_characters, tidy, tidy_name

__all__ = [
    "COLUMNS",
    "REQUIRED",
    "ApplicationRecord",
    "Fault",
    "ParsedRecords",
    "RecordSpecialty",
    "format_record",
    "nearest",
    "pack_record",
    "packed_records",
    "parse_csv",
    "parse_json",
    "parse_stored",
    "parse_table",
    "rows_named_twice",
    "unpack_record",
]

MAX_CELL_CHARS: Final = 1_000
MAX_UNKNOWN_KEYS: Final = 32  # of a JSON file, different ones
_HEADER_WITHIN: Final = 10  # rows in which column names are looked for, to say where they stand
_SAME_LENGTH: Final = 0.8  # share of the numbers of a kind that makes their length the usual one
_MOST_KEYS: Final = len(COLUMNS) + len(ADDED) + MAX_UNKNOWN_KEYS  # of one object
_MOST_LISTS: Final = MAX_ROWS * 20  # brackets of a file: a record has one list
_MOST_INSIDE: Final = 100  # objects within one: as many as specialties
_BLANKS: Final = " \t\u3000"
_JSON_SPACE: Final = re.compile(r"[ \t\n\r]*")
_NO_OBJECTS: Final = re.compile(r"[ \t\n\r]*\[[ \t\n\r]*\][ \t\n\r]*")

T = TypeVar("T")
_Cells = Mapping[str, tuple[str, CellKind | None]]


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
    id_type: IdType = IdType.RESIDENT
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


_FIELDS: Final = tuple(item.name for item in fields(ApplicationRecord))
_SPECIALTIES: Final = _FIELDS.index("specialties")
_IN_COMMON: Final = ("kind", "issuing_body", "sealing_body")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRecords:
    """What a file gave: records of the faultless rows, every fault and every note, each in file order."""

    records: Sequence[ApplicationRecord]
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...] = ()
    columns: tuple[str, ...] = ()  # of the file, in its order; none where there is no header


def parse_csv(data: bytes) -> ParsedRecords:
    """Read a text file of rows; never raises on input. A fault of the file or its header leaves no record."""
    return parse_table(read_csv(data))


def parse_table(table: Table) -> ParsedRecords:
    """Read the rows of a table. A fault of the file or its header leaves no record."""
    if table.faults:
        return ParsedRecords(records=(), faults=table.faults, notes=table.notes)
    count = sum(1 for _ in _filled(table))
    if count < 2:
        return _none(make_fault(0, "", "record.empty_file"))
    if count - 1 > MAX_ROWS:
        return _none(make_fault(0, "", "record.too_many_rows", limit=MAX_ROWS))
    rows = list(islice(_filled(table), _HEADER_WITHIN))
    if (below := _header_below(rows)) is not None:
        return _none(make_fault(rows[0].number, "", "record.rows_above_header", place=below))
    header = _named_cells(rows[0].cells, table)
    faults = [*rows[0].faults, *header_faults(rows[0].number, header)]
    if faults:
        return ParsedRecords(records=(), faults=tuple(faults), notes=table.notes)
    columns = [resolve(cell) or "" for cell in header]
    found = _records(_good_rows(islice(_filled(table), 1, None), columns, faults), faults, list(table.notes))
    return replace(
        found,
        faults=name_cells(found.faults, columns),
        notes=name_cells(found.notes, columns),
        columns=tuple(columns),
    )


def parse_json(data: bytes) -> ParsedRecords:
    """Read a JSON array of objects; `specialties` as in CSV or as objects with name, from, to. Never raises."""
    return _parse_json(data, stored=False)


def parse_stored(data: bytes) -> ParsedRecords:
    """Read what `format_record` wrote, inside `[...]`: nothing is tidied, nothing refused for its characters."""
    return _parse_json(data, stored=True)


def _parse_json(data: bytes, *, stored: bool) -> ParsedRecords:
    if len(data) > MAX_FILE_BYTES:
        return _none(make_fault(0, "", "record.file_too_large", limit=MAX_FILE_BYTES))
    text, _, _ = decode_text(data)
    if text is None:
        return _none(make_fault(0, "", "record.encoding"))
    if text.count("[") > _MOST_LISTS:  # a list of empty lists takes thirty times its bytes
        return _none(make_fault(0, "", "record.json_syntax"))
    faults: list[Fault] = []
    try:
        return _records(_json_rows(text, faults), faults, [], stored=stored)
    except _WholeFileError as error:
        return _none(error.fault)


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
    if record.id_type is not IdType.RESIDENT:
        cells["id_type"] = str(record.id_type)
    filled = {key: value for key, value in cells.items() if value not in (None, [])}
    return json.dumps(filled, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def packed_records(records: Iterable[ApplicationRecord] = ()) -> Packed[ApplicationRecord]:
    """Records in little memory."""
    return Packed(pack_record, unpack_record, records)


def pack_record(record: ApplicationRecord) -> bytes:
    """Every field of a record, for `unpack_record`; is stored nowhere."""
    values = [getattr(record, name) for name in _FIELDS]
    values[_SPECIALTIES] = [(item.name, item.first_day, item.last_day) for item in record.specialties]
    return pack_values(values)


def unpack_record(data: bytes) -> ApplicationRecord:
    """The record that `pack_record` was given."""
    found: dict[str, Any] = dict(zip(_FIELDS, unpack_values(data), strict=True))
    for name in _IN_COMMON:
        found[name] = _shared(found[name])
    return ApplicationRecord(
        **found
        | {
            "sex": Sex(found["sex"]),
            "id_type": IdType(found["id_type"]),
            "specialties": tuple(
                RecordSpecialty(name=name, first_day=first, last_day=last) for name, first, last in found["specialties"]
            ),
        }
    )


# The table


def _none(fault: Fault) -> ParsedRecords:
    return ParsedRecords(records=(), faults=(fault,))


def _header_below(rows: Sequence[Row]) -> int | None:
    """Where the column names stand if not in the first row."""
    if count_known(rows[0].cells) > 1:
        return None
    return next((row.number for row in rows[1:_HEADER_WITHIN] if count_known(row.cells) > 2), None)


def _named_cells(header: tuple[str, ...], table: Table) -> tuple[str, ...]:
    """The header without empty cells at its end below which nothing stands: spreadsheets write them."""
    named = max((place for place, cell in enumerate(header, start=1) if cell), default=0)
    if named < len(header):
        below = (place for row in table.rows for place, cell in enumerate(row.cells[: len(header)], start=1) if cell)
        named = max(named, max(below, default=0))
    return header[:named]


def _fitted(cells: tuple[str, ...], columns: Sequence[str]) -> tuple[str, ...] | None:
    """As many cells as columns: spreadsheets leave out or add empty ones at the end. None: others are missing."""
    if any(cells[len(columns) :]) or any(column in REQUIRED for column in columns[len(cells) :]):
        return None
    return (*cells[: len(columns)], *("" for _ in columns[len(cells) :]))


def _filled(table: Table) -> Iterator[Row]:
    """The rows that are no notes."""
    return (row for row in table.rows if not is_note(row.cells))


def _good_rows(rows: Iterable[Row], columns: Sequence[str], faults: list[Fault]) -> Iterator[tuple[int, _Cells]]:
    """The rows that can be read, one at a time; the faults of the others."""
    for row in rows:
        cells = _fitted(row.cells, columns)
        if row.faults:
            faults += row.faults
        elif cells is None:
            faults.append(make_fault(row.number, "", "record.cell_count", got=len(row.cells), want=len(columns)))
        else:
            yield row.number, _by_column(columns, cells, row)


def _by_column(columns: Sequence[str], cells: Sequence[str], row: Row) -> _Cells:
    return {
        column: (cell, row.kinds.get(place))
        for place, (column, cell) in enumerate(zip(columns, cells, strict=True))
        if (cell or place in row.kinds) and column not in ADDED
    }


# JSON


class _WholeFileError(Exception):
    """The file is not read any further."""

    def __init__(self, code: str, **arguments: int | str) -> None:
        super().__init__(code)
        self.fault = make_fault(0, "", code, **arguments)


def _json_rows(text: str, faults: list[Fault]) -> Iterator[tuple[int, _Cells]]:
    """The objects that can be read, one at a time; the faults of the others. Raises _WholeFileError."""
    unknown: set[str] = set()
    row = 0
    for row, item in enumerate(_objects(text), start=1):
        if row > MAX_ROWS:
            raise _WholeFileError("record.too_many_rows", limit=MAX_ROWS)
        unknown.update(key for key in item if key not in COLUMNS and key not in ADDED)
        if len(unknown) > MAX_UNKNOWN_KEYS:  # each is compared with every column, to say which one is meant
            raise _WholeFileError("record.too_many_keys", limit=MAX_UNKNOWN_KEYS)
        found, cells = _json_cells(row, item)
        faults += found
        if not found:
            yield row, {column: (cell, None) for column, cell in cells.items()}
    if row == 0:
        raise _WholeFileError("record.empty_file")


def _objects(text: str) -> Iterator[dict[str, object]]:
    """The objects of an array, each read when the one before is done with. Raises _WholeFileError."""
    if _NO_OBJECTS.fullmatch(text):
        return
    inside = 0

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal inside
        inside += 1
        if inside > _MOST_INSIDE:
            raise _WholeFileError("record.json_syntax")
        return _unique(pairs)

    decoder = json.JSONDecoder(object_pairs_hook=unique, parse_float=_refuse, parse_constant=_refuse)
    mark, at = _token(text, 0, "[")
    while mark != "]":
        inside = 0
        try:
            item, at = decoder.raw_decode(text, _space(text, at))
        except (ValueError, RecursionError):  # also integers of thousands of digits
            raise _WholeFileError("record.json_syntax") from None
        if not isinstance(item, dict):
            raise _WholeFileError("record.json_syntax")
        yield item
        mark, at = _token(text, at, ",]")
    if _space(text, at) != len(text):
        raise _WholeFileError("record.json_syntax")


def _token(text: str, at: int, marks: str) -> tuple[str, int]:
    """One of the marks after any space, and where it ends."""
    at = _space(text, at)
    mark = text[at : at + 1]
    if not mark or mark not in marks:
        raise _WholeFileError("record.json_syntax")
    return mark, at + 1


def _space(text: str, at: int) -> int:
    """Where the space that may begin there ends."""
    found = _JSON_SPACE.match(text, at)
    return at if found is None else found.end()


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > _MOST_KEYS:
        raise _WholeFileError("record.too_many_keys", limit=MAX_UNKNOWN_KEYS)
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
            if key not in ADDED:
                faults.append(make_fault(row, "", "record.unknown_key", nearest=nearest_column(key)))
        elif value is None:
            continue
        elif key == "specialties" and isinstance(value, list):
            text = _joined_specialties(value)
            if text is None:
                faults.append(make_fault(row, key, "record.specialty_syntax", place=1))
            else:
                cells[key] = text
        elif isinstance(value, str):
            cells[key] = value.strip(_BLANKS)
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


def _records(
    rows: Iterable[tuple[int, _Cells]], faults: list[Fault], notes: list[Fault], *, stored: bool = False
) -> ParsedRecords:
    records = packed_records()
    for row, cells in rows:
        reader = _Row(row, cells, stored=stored)
        record = _record(reader)
        faults += (fault for fault in reader.found if fault.severity is Severity.FAULT)
        notes += (fault for fault in reader.found if fault.severity is Severity.NOTE)
        if not reader.faulty:
            records.append(record)
    clashes = list(_clashes(_named_twice(records)))
    faulty = {fault.row for fault in clashes}
    notes += _short_numbers(records)
    return ParsedRecords(
        records=packed_records(r for r in records if r.row not in faulty) if faulty else records,
        faults=tuple(sorted(faults + clashes, key=lambda fault: fault.row)),  # stable: order within a row is kept
        notes=tuple(sorted(notes, key=lambda fault: fault.row)),
    )


class _Row:
    """Reads the cells of one row and gathers their faults and notes."""

    def __init__(self, row: int, cells: _Cells, *, stored: bool) -> None:
        self.row, self.found, self.faulty = row, list[Fault](), False
        self._cells, self._stored = cells, stored

    def optional(self, column: str, read: Callable[[str], T]) -> T | None:
        """Read a cell; None if it is empty or faulty."""
        cell, kind = self._cells.get(column, ("", None))
        if not cell and kind is None:
            return None
        notes: list[Note] = []
        try:
            if len(cell) > MAX_CELL_CHARS:
                cut = len(cell) - MAX_CELL_CHARS
                raise CellError("record.cell_too_long", got=len(cell), limit=MAX_CELL_CHARS, cut=cut)
            text = cell if self._stored else _meant(cell, holds(column), kind, notes)
            return read(text) if text else None
        except CellError as error:
            self.fault(column, error.code, **error.arguments)
            return None
        finally:
            for code, arguments in notes:
                self.fault(column, code, **arguments)

    def required(self, column: str, read: Callable[[str], T], instead: T) -> T:
        """Read a cell that must not be empty; `instead` if it is faulty (the row is dropped then)."""
        before = len(self.found)
        value = self.optional(column, read)
        if value is None and not any(fault.severity is Severity.FAULT for fault in self.found[before:]):
            self.fault(column, "record.required")
        return instead if value is None else value

    def sound(self, *columns: str) -> bool:
        """Tell whether none of the columns has a fault."""
        return not any(fault.field in columns and fault.severity is Severity.FAULT for fault in self.found)

    def fault(self, column: str, code: str, **arguments: int | str) -> None:
        """Add a fault or a note."""
        self.found.append(make_fault(self.row, column, code, **arguments))
        self.faulty |= FAULTS[code].severity is Severity.FAULT


def _meant(cell: str, what: Holds, kind: CellKind | None, notes: list[Note]) -> str:
    """A cell as it was meant (`tidy`), its characters checked."""
    text, found = tidy(cell, what, kind)
    notes += found
    if what is Holds.NAME:
        text = tidy_name(text, notes)
    if what is not Holds.DATE:
        check_characters(text, what)
    return text


@lru_cache(maxsize=1_024)
def _shared(value: str) -> str:
    """The same text, one object for all rows: for what nearly all rows of a file have in common, and no person's."""
    return value


@lru_cache(maxsize=1_024)
def _shared_day(day: int) -> int:
    return day


def _record(reader: _Row) -> ApplicationRecord:
    issuing = _shared(reader.required("issuing_body", _body, ""))
    id_type = reader.optional("id_type", read_id_type) or IdType.RESIDENT
    sound = reader.sound("id_type")
    record = ApplicationRecord(
        row=reader.row,
        kind=_shared(reader.required("kind", read_text, "")),
        jurisdiction=reader.required("jurisdiction", read_jurisdiction, 0),
        name=reader.required("name", read_text, ""),
        sex=reader.required("sex", read_sex, Sex.MALE),
        birth=reader.required("birth_date", lambda cell: read_date(cell, birth=True), 0),
        id_type=id_type,
        id_number=reader.optional("id_number", lambda cell: read_id_number(cell, id_type)) if sound else None,
        registration_no=reader.required("registration_no", read_text, ""),
        specialties=reader.optional("specialties", read_specialties) or (),
        certificate_issued_on=_shared_day(reader.required("certificate_issued_on", read_date, 0)),
        employer=reader.optional("employer", read_text),
        registered_until=_shared_day(reader.required("registered_until", read_date, 0)),
        issuing_body=issuing,
        sealing_body=reader.optional("sealing_body", _body) or issuing,
        photo=reader.optional("photo", read_path),
        signature_image=reader.optional("signature_image", read_path),
        purpose=reader.optional("purpose", read_text),
    )
    _compare(reader, record)
    return record


def _compare(reader: _Row, record: ApplicationRecord) -> None:
    """Faults that only two cells together show; cells with a fault of their own are left out."""
    birth = record.birth if reader.sound("birth_date") else None
    sex = record.sex if reader.sound("sex") else None
    if record.id_number is not None:
        for code in check_id_number(record.id_number, record.id_type, birth=birth, sex=sex):
            reader.fault("id_number", code)
    issued = record.certificate_issued_on if reader.sound("certificate_issued_on") else None
    if birth is not None and issued is not None and birth >= issued:
        reader.fault("birth_date", "record.birth_after_issue")
    if issued is not None and reader.sound("registered_until") and issued > record.registered_until:
        reader.fault("registered_until", "record.issue_after_end")


def _short_numbers(records: Sequence[ApplicationRecord]) -> Iterable[Fault]:
    """Notes on numbers that are all digits and shorter than nearly all others of their kind."""
    lengths: dict[str, Counter[int]] = {}
    for record in records:
        if record.registration_no.isdecimal():
            lengths.setdefault(record.kind, Counter())[len(record.registration_no)] += 1
    usual: dict[str, int] = {}
    for kind, found in lengths.items():
        length, count = found.most_common(1)[0]
        if count >= 3 and count >= _SAME_LENGTH * found.total() and min(found) < length:
            usual[kind] = length
    for record in records if usual else ():
        missing = usual.get(record.kind, 0) - len(record.registration_no)
        if missing > 0 and record.registration_no.isdecimal():
            yield make_fault(record.row, "registration_no", "record.short_number", count=missing)


def rows_named_twice(records: Sequence[ApplicationRecord]) -> frozenset[int]:
    """The rows that may speak of a registration of which another speaks, too."""
    return frozenset(record.row for record in _named_twice(records))


def _body(cell: str) -> str:
    return read_text(cell, max_chars=100)


def _named_twice(records: Sequence[ApplicationRecord]) -> Iterator[ApplicationRecord]:
    """The records that another may be of the same registration; told by numbers alone, they are few."""
    hashes = array("q", (hash((record.kind, record.registration_no)) for record in records))
    twice = {one for one, two in pairwise(sorted(hashes)) if one == two}
    return (records[place] for place, found in enumerate(hashes) if found in twice)


def _clashes(records: Iterable[ApplicationRecord]) -> Iterable[Fault]:
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
