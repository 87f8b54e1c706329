"""Bytes of a records file to rows of cells: what the file is, how it is encoded, which separator it uses.

Spec: docs/records.md, "Files". Told by the bytes, never by a name. CSV after RFC 4180 with comma, semicolon or tab
(the one under which the header names most columns; a first line `sep=;` says so itself), rows counted as a spreadsheet
counts them. Workbooks are read by `workbook`; JSON by `record`. Pure.
"""

import codecs
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from types import MappingProxyType
from typing import Final

from mingzheng.issuer.columns import count_known
from mingzheng.issuer.faults import Fault, make_fault
from mingzheng.issuer.packed import Packed, pack_values, unpack_values

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_ROWS",
    "SPACE_ROWS",
    "CellKind",
    "FileKind",
    "Row",
    "Table",
    "decode_text",
    "read_csv",
    "tell",
]

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_ROWS: Final = 50_000
SPACE_ROWS: Final = 1_000  # notes and titles beside the records
_LAST_ROW: Final = 1_048_576  # of any sheet: a file of empty rows, too, ends somewhere
MAX_COLUMNS: Final = 256
SEPARATORS: Final = ",;\t"
_TOLD_BY: Final = 50  # lines among which the separator is looked for
_MOST_SEPARATORS: Final = 16_384  # of one row: as many columns as a sheet has, most of them empty


class FileKind(StrEnum):
    """What a file is; each that is no table has a fault of its own."""

    TEXT = "text"
    JSON = "json"
    XLSX = "xlsx"
    XLS = "xls"
    XLSB = "xlsb"
    ODS = "ods"
    ENCRYPTED = "encrypted"
    HTML = "html"
    OTHER = "other"


class CellKind(StrEnum):
    """What a workbook says of a cell that is no text."""

    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    ERROR = "error"
    UNCALCULATED = "uncalculated"  # a formula without a stored value
    ROUNDED = "rounded"  # a number of more than 15 digits


_TEXT_ONLY: Final[Mapping[int, CellKind]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as a spreadsheet counts it; `kinds` by place (from 0) of the cells that are not text."""

    number: int
    cells: tuple[str, ...]
    kinds: Mapping[int, CellKind] = field(default_factory=lambda: _TEXT_ONLY)
    faults: tuple[Fault, ...] = ()  # of the row as such: hidden, merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows with content, header first, and what is wrong with or to be said of the file."""

    rows: Sequence[Row]
    faults: tuple[Fault, ...] = ()  # of the whole file; then nothing is read
    notes: tuple[Fault, ...] = ()


_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BIFF: Final = (b"\x09\x08\x10\x00", b"\x09\x08\x08\x00", b"\x09\x04\x06\x00", b"\x09\x02\x06\x00", b"\x09\x00\x04\x00")
_ODS: Final = b"application/vnd.oasis.opendocument.spreadsheet"
_OTHERS: Final = (
    (b"%PDF", "PDF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"Rar!", "RAR"),
    (b"7z\xbc\xaf", "7z"),
    (b"\x1f\x8b", "gzip"),
    (b"{\\rtf", "RTF"),
    (b"SQLite format 3", "SQLite"),
)
_OWNER_BYTES: Final = 165  # what a spreadsheet program keeps as ~$name beside a table that is open in it
_OWNER_NAME: Final = 54
_PAGES: Final = ("<html", "<!doctype", "<table", "<meta", "<head", "<body", "<?xml", "<style", "mime-version:")
_BLANKS: Final = " \t\r\n\ufeff\u00a0\u3000"


def tell(data: bytes) -> tuple[FileKind, str]:
    """What the bytes are, and for OTHER its name."""
    if data.startswith(_OLE):
        return _tell_ole(data)
    if data.startswith(b"PK\x03\x04"):
        return _tell_zip(data)
    if data.startswith(_BIFF):
        return FileKind.XLS, ""
    for magic, name in _OTHERS:
        if data.startswith(magic):
            return FileKind.OTHER, name
    if len(data) == _OWNER_BYTES and 0 < data[0] <= _OWNER_NAME:
        return FileKind.OTHER, "~$ lock file"
    text, _, _ = decode_text(data[:4096], cut=len(data) > 4096)
    begin = (text or "").lstrip(_BLANKS)
    if begin.lower().startswith(_PAGES):
        return FileKind.HTML, ""
    return (FileKind.JSON if begin.startswith(("[", "{")) else FileKind.TEXT), ""


def _tell_ole(data: bytes) -> tuple[FileKind, str]:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return FileKind.ENCRYPTED, ""
    if any(name.encode("utf-16-le") in data for name in ("Workbook", "Book")):
        return FileKind.XLS, ""
    return FileKind.OTHER, "OLE"


def _tell_zip(data: bytes) -> tuple[FileKind, str]:
    if b"xl/workbook.bin" in data:
        return FileKind.XLSB, ""
    if b"[Content_Types].xml" in data and b"xl/" in data:
        return FileKind.XLSX, ""
    if _ODS in data[:200]:
        return FileKind.ODS, ""
    named = ((b"word/document.xml", "Word"), (b"OFD.xml", "OFD"))
    return FileKind.OTHER, next((name for mark, name in named if mark in data), "ZIP")


def decode_text(data: bytes, *, cut: bool = False) -> tuple[str | None, str, bool]:
    """(text, encoding, whether the encoding was said by a mark or is beyond doubt); text None: none fits.

    `cut`: the bytes may end within a character.
    """
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            wide = data.startswith(codecs.BOM_UTF32_LE)
            return (None if wide else _decoded(data[len(mark) :], name, cut)), name, True
    if b"\0" in data:
        wide_name = _utf16_of(data)
        return (None if wide_name is None else _decoded(data, wide_name, cut)), wide_name or "", False
    for name in ("utf-8", "gb18030"):
        text = _decoded(data, name, cut)
        if text is not None:
            return text, name, name == "utf-8" and not _may_be_chinese(data, text)
    return None, "", False


def _may_be_chinese(data: bytes, text: str) -> bool:
    """Whether what reads as UTF-8 without one Chinese character reads as GB18030, too: 鲁迅 is ³Ѹ then."""
    return not text.isascii() and max(text) < "\u0800" and _decoded(data, "gb18030", cut=True) is not None


def _decoded(data: bytes, encoding: str, cut: bool) -> str | None:
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(data, not cut)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _utf16_of(data: bytes) -> str | None:
    """UTF-16 without a mark shows itself by the zero bytes of its separators: all at even or all at odd places."""
    high, low = data[:4096:2].count(0), data[1:4096:2].count(0)
    if high and not low:
        return "utf-16-be"
    return "utf-16-le" if low and not high else None


def read_csv(data: bytes) -> Table:
    """Read a text file as rows; never raises on input. Cells keep their inner form; blanks around them go."""
    if len(data) > MAX_FILE_BYTES:
        return _refused("record.file_too_large", limit=MAX_FILE_BYTES)
    text, encoding, sure = decode_text(data)
    if text is None:
        return _refused("record.encoding")
    rows = Packed(_packed_row, _unpacked_row)
    number = 0
    try:
        for number, cells in _csv_rows(text):
            if number > _LAST_ROW or (any(cells) and len(rows) == MAX_ROWS + SPACE_ROWS):
                return _refused("record.too_many_rows", limit=MAX_ROWS)
            if any(cells[MAX_COLUMNS:]):
                return _too_wide(number)
            if any(cells):
                rows.append(Row(number=number, cells=cells[:MAX_COLUMNS]))
    except _TooWideError:
        return _too_wide(number + 1)
    except csv.Error:
        return Table(rows=(), faults=(make_fault(number + 1, "", "record.csv_syntax"),))
    notes = () if sure else (make_fault(0, "", "record.encoding_guessed", encoding=encoding.upper()),)
    return Table(rows=rows, notes=notes)


def _refused(code: str, **arguments: int | str) -> Table:
    return Table(rows=(), faults=(make_fault(0, "", code, **arguments),))


def _too_wide(row: int) -> Table:
    return Table(rows=(), faults=(make_fault(row, "", "record.xlsx_columns", limit=MAX_COLUMNS),))


class _TooWideError(Exception):
    """A row of more cells than any sheet has."""


def _csv_rows(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Rows by number. Raises _TooWideError before the cells of such a row are made, csv.Error."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    begin, first, separator = next(_lines(text)), 0, ""
    if len(begin) == 5 and begin.lower().startswith("sep=") and begin[4] in SEPARATORS:
        first, separator = 1, begin[4]
    separator = separator or _separator(list(islice(_lines(text), first, first + _TOLD_BY)))
    found = 0

    def narrow() -> Iterator[str]:
        nonlocal found
        for line in islice(_lines(text), first, None):
            found += line.count(separator)
            if found > _MOST_SEPARATORS:
                raise _TooWideError
            yield line + "\n"

    for number, cells in enumerate(csv.reader(narrow(), delimiter=separator, strict=True), start=first + 1):
        found = 0
        yield number, tuple([cell.strip(" \t\u3000\n") for cell in cells])


def _lines(text: str) -> Iterator[str]:
    """As `text.split("\n")`, one at a time."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _packed_row(row: Row) -> bytes:
    """A row of a text file: it has neither kinds nor faults."""
    return pack_values((row.number, row.cells))


def _unpacked_row(data: bytes) -> Row:
    number, cells = unpack_values(data)
    assert isinstance(number, int)
    assert isinstance(cells, list)
    return Row(number=number, cells=tuple(cells))


def _separator(lines: Sequence[str]) -> str:
    """The separator under which one of the first lines names most columns; the comma if none does."""
    found, best = ",", 0
    for line in [line for line in lines if line.strip()][:10]:
        for separator in SEPARATORS:
            if line.count(separator) > _MOST_SEPARATORS:
                continue
            try:
                cells = next(csv.reader([line], delimiter=separator), [])
            except csv.Error:
                continue
            known = count_known(cells)
            if known > best:
                found, best = separator, known
    return found
