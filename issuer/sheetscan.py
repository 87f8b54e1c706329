"""What a workbook's parts say before anything else reads them: its sheets, and what is hidden, merged or calculated.

Source: ISO/IEC 29500-1 (SpreadsheetML, transitional), §18.2 and §18.3. Every part that is read passes here first, by
expat, as a stream: document types are refused, counts are limited, rows and columns must rise. What a cell holds is
read by `workbook`. Pure.
"""

import posixpath
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import OFD_LIMITS, OfdLimits
from mingzheng.formats.ofd.xmlread import Element, parse_xml
from mingzheng.issuer.tables import MAX_COLUMNS

__all__ = [
    "WORKBOOK_LIMITS",
    "Book",
    "SheetError",
    "SheetScan",
    "plain_styles",
    "read_book",
    "scan_leap_days",
    "scan_sheet",
    "scan_strings",
]

WORKBOOK_LIMITS: Final[OfdLimits] = replace(
    OFD_LIMITS,
    package_bytes=32 * 1024 * 1024,
    entries=1_000,
    total_bytes=96 * 1024 * 1024,
    ratio=500,
    name_chars=200,
    name_parts=12,
    xml_bytes=4 * 1024 * 1024,
    xml_nodes=100_000,
)
MAX_CELLS: Final = 2_000_000  # of all sheets
MAX_MARKS: Final = 4_000_000  # cells of one sheet, those counted that hold nothing but a form
MAX_COLUMN: Final = 16_384  # that any sheet has
MAX_INSIDE: Final = 10_000  # elements of one cell or of one shared text
MAX_OUTSIDE: Final = 100_000  # elements of one sheet that belong to no row
MAX_UNCALCULATED: Final = 100_000  # of one sheet
MAX_STRINGS: Final = 1_000_000
MAX_MERGES: Final = 10_000
MAX_SHEETS: Final = 256
_LAST_ROW: Final = 1_048_576
_DEPTH: Final = 32
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_STRICT: Final = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_RELATION: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_REF: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_RANGE: Final = re.compile(r"[A-Z]{1,3}([1-9][0-9]{0,6})(?::[A-Z]{1,3}([1-9][0-9]{0,6}))?")
# Forms of days and times without a text of their own in the file (§18.8.30, zh-cn and its kin): 14 says "a day", too.
_OWN_DAYS: Final = frozenset({*range(27, 37), *range(50, 59)})
_DAY: Final = 14
_WORKBOOK: Final = "xl/workbook.xml"
_ROW: Final = f"{_MAIN} row"


class SheetError(Exception):
    """The workbook is not read; `code` is a key of `faults.FAULTS`, `arguments` fill its sentences."""

    def __init__(self, code: str, **arguments: int | str) -> None:
        super().__init__(code)
        self.code, self.arguments = code, arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The worksheets by their parts, in order; which count days from 1904; the parts of texts and styles."""

    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    from_1904: bool
    strings: str | None
    styles: str | None


@dataclass(slots=True, kw_only=True)
class SheetScan:
    """What one sheet says of itself; rows and columns from 1, only those with content."""

    cells: int = 0
    last_row: int = 0
    last_column: int = 0
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    merges: list[tuple[int, int]] = field(default_factory=list)  # first and last row of each, then of where they are
    formulas: dict[int, int] = field(default_factory=dict)  # how many with a value, by column
    uncalculated: set[tuple[int, int]] = field(default_factory=set)

    def is_merged(self, row: int) -> bool:
        """Whether cells are merged in this row."""
        place = bisect_right(self.merges, row, key=lambda rows: rows[0])
        return place > 0 and row <= self.merges[place - 1][1]

    def is_hidden(self, column: int) -> bool:
        """Whether this column is hidden."""
        return any(first <= column <= last for first, last in self.hidden_columns)


def read_book(files: Mapping[str, bytes]) -> Book:
    """Find the worksheets and the parts they need. Raises SheetError."""
    book, links = _tree(files, _WORKBOOK), _tree(files, "xl/_rels/workbook.xml.rels")
    if book.namespace == _STRICT:
        raise SheetError("record.xlsx_unsafe", what="Strict Open XML")
    if book.tag != "workbook" or book.namespace != _MAIN:
        raise SheetError("record.xlsx_damaged")
    parts = {
        item.get("Id"): _part(item) for item in links.every("Relationship") if item.get("TargetMode") != "External"
    }
    kinds = {_part(item): (item.get("Type") or "").rpartition("/")[2] for item in links.every("Relationship")}
    properties, sheets = book.first("workbookPr"), book.first("sheets")
    listed = () if sheets is None else tuple(sheets.every("sheet"))
    if len(listed) > MAX_SHEETS:
        raise SheetError("record.xlsx_too_large", what=f"{len(listed)} sheets")
    visible: list[str] = []
    hidden: list[str] = []
    for sheet in listed:
        part = parts.get(sheet.attributes.get(f"{_RELATION} id"))
        if part is None or part not in files:
            raise SheetError("record.xlsx_damaged")
        if kinds[part] == "worksheet":
            (visible if sheet.get("state") in (None, "visible") else hidden).append(part)
    of_kind = {kind: part for part, kind in kinds.items() if part in files}
    return Book(
        visible=tuple(visible),
        hidden=tuple(hidden),
        from_1904=properties is not None and properties.get("date1904") in ("1", "true"),
        strings=of_kind.get("sharedStrings"),
        styles=of_kind.get("styles"),
    )


def _tree(files: Mapping[str, bytes], name: str) -> Element:
    if name not in files:
        raise SheetError("record.xlsx_damaged")
    return _parsed(files[name])


def _parsed(data: bytes) -> Element:
    try:
        return parse_xml(data, limits=WORKBOOK_LIMITS)
    except FormatError as error:
        raise SheetError("record.xlsx_unsafe", what=error.code.rpartition(".")[2]) from error


def _part(link: Element) -> str:
    target = link.get("Target") or ""
    return posixpath.normpath(target.lstrip("/") if target.startswith("/") else f"xl/{target}")


def plain_styles(data: bytes) -> str:
    """The number formats of the cells and nothing else: fonts and fills of other makers trip libraries up.

    Raises SheetError.
    """
    tree = _parsed(data)
    formats, cells = tree.first("numFmts"), tree.first("cellXfs")
    own = [] if formats is None else list(formats.every("numFmt"))
    used = [] if cells is None else list(cells.every("xf"))
    lines = [
        f'<numFmt numFmtId="{_number(item.get("numFmtId"), 0)}" formatCode={quoteattr(item.get("formatCode") or "")}/>'
        for item in own
    ]
    said = {_number(item.get("numFmtId"), 0) for item in own}
    numbers = [_number(item.get("numFmtId"), 0) for item in used]
    marks = [
        f'<xf numFmtId="{_DAY if number in _OWN_DAYS - said else number}" applyNumberFormat="1"/>' for number in numbers
    ]
    return (
        f'<styleSheet xmlns="{_MAIN}">{"<numFmts>" + "".join(lines) + "</numFmts>" if lines else ""}'
        "<fonts><font/></fonts><fills><fill><patternFill/></fill></fills><borders><border/></borders>"
        f"<cellStyleXfs><xf/></cellStyleXfs><cellXfs>{''.join(marks) or '<xf/>'}</cellXfs></styleSheet>"
    )


def scan_strings(data: bytes) -> None:
    """Count the shared texts. Raises SheetError for too many, for document types and for damage."""
    count = inside = 0

    def start(name: str, _: object) -> None:
        nonlocal count, inside
        inside += 1
        if name == f"{_MAIN} si":
            count, inside = count + 1, 0
        if count > MAX_STRINGS:
            raise SheetError("record.xlsx_too_large", what=f"> {MAX_STRINGS} texts")
        if inside > MAX_INSIDE:
            raise SheetError("record.xlsx_too_large", what=f"> {MAX_INSIDE} parts of a text")

    _stream(data, start)


def scan_sheet(data: bytes, *, cells_before: int = 0) -> SheetScan:
    """Everything `SheetScan` says of a sheet. `cells_before`: of the sheets before it. Raises SheetError."""
    scanner = _Scanner(MAX_CELLS - cells_before)
    _stream(data, scanner.start, scanner.end)
    scanner.scan.merges = _united(scanner.scan.merges)
    return scanner.scan


def scan_leap_days(data: bytes) -> frozenset[tuple[int, int]]:
    """Row and column of every cell whose number is 60: as a day 29 February 1900, which the calendar has not.

    `data`: a sheet that `scan_sheet` has been through.
    """
    scanner, parts = _Scanner(MAX_CELLS), list[str]()
    found: set[tuple[int, int]] = set()

    def start(name: str, attributes: Mapping[str, str]) -> None:
        scanner.start(name, attributes)
        parts.clear()

    def end(name: str) -> None:
        scanner.end(name)
        if name == f"{_MAIN} v" and _is_sixty("".join(parts)):
            found.add(scanner.place)

    _stream(data, start, end, parts.append)
    return frozenset(found)


def _is_sixty(text: str) -> bool:
    try:
        return 60 <= float(text) < 61
    except ValueError:
        return False


def _united(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of rows in rising order, those that meet as one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


def _stream(
    data: bytes,
    start: Callable[[str, Any], None],
    ended: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    depth = 0

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise SheetError("record.xlsx_unsafe", what="nesting")
        start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        if ended is not None:
            ended(name)

    parser: Any = expat.ParserCreate("utf-8", " ")
    parser.XmlDeclHandler = _check_declaration
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise SheetError("record.xlsx_damaged") from error


def _check_declaration(_: str, encoding: str | None, __: int) -> None:
    """Another encoding would be another text to the library behind us."""
    if encoding is not None and encoding.lower() not in ("utf-8", "utf8"):
        raise SheetError("record.xlsx_unsafe", what="encoding")


def _refuse_doctype(*_: object) -> None:
    raise SheetError("record.xlsx_unsafe", what="DOCTYPE")


class _Scanner:
    """Handles the start of every element of a sheet."""

    def __init__(self, most: int) -> None:
        self.scan, self._most, self._row, self._column, self._hidden = SheetScan(), most, 0, 0, False
        self._in_row, self._marks, self._inside, self._outside = False, 0, 0, 0
        self._handlers: Mapping[str, Callable[[Mapping[str, str]], None]] = {
            _ROW: self._start_row,
            f"{_MAIN} c": self._start_cell,
            f"{_MAIN} f": self._formula,
            f"{_MAIN} v": self._value,
            f"{_MAIN} is": self._value,
            f"{_MAIN} mergeCell": self._merge,
            f"{_MAIN} col": self._columns,
        }

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the last cell."""
        return self._row, self._column

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """One element."""
        self._count()
        handler = self._handlers.get(name)
        if handler is not None:
            handler(attributes)

    def end(self, name: str) -> None:
        """The end of one."""
        if name == _ROW:
            self._in_row = False

    def _count(self) -> None:
        """What is no cell is kept by the library behind us, too: in a cell until its row ends, elsewhere for good."""
        if self._in_row:
            self._inside += 1
        else:
            self._outside += 1
        if self._inside > MAX_INSIDE:
            raise SheetError("record.xlsx_too_large", what=f"> {MAX_INSIDE} parts of a cell")
        if self._outside > MAX_OUTSIDE:
            raise SheetError("record.xlsx_too_large", what=f"> {MAX_OUTSIDE} parts beside the rows")

    def _start_row(self, attributes: Mapping[str, str]) -> None:
        number = _number(attributes.get("r"), self._row + 1)
        if not self._row < number <= _LAST_ROW:
            raise SheetError("record.xlsx_unsafe", what="rows")
        self._row, self._column = number, 0
        self._outside -= not self._in_row  # it was counted there
        self._in_row, self._inside = True, 0
        self._hidden = attributes.get("hidden") in ("1", "true")

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        column, reference = self._column + 1, attributes.get("r")
        if reference is not None:
            match = _REF.fullmatch(reference)
            if match is None or int(match[2]) != self._row:
                raise SheetError("record.xlsx_unsafe", what="cells")
            column = _column_of(match[1])
        if not self._column < column <= MAX_COLUMN:
            raise SheetError("record.xlsx_unsafe", what="cells")
        self._column, self._inside = column, 0
        self._marks += 1
        if self._marks > MAX_MARKS:
            raise SheetError("record.xlsx_too_large", what=f"> {MAX_MARKS} cells")

    def _formula(self, _: Mapping[str, str]) -> None:
        if len(self.scan.uncalculated) >= MAX_UNCALCULATED:
            raise SheetError("record.xlsx_too_large", what=f"> {MAX_UNCALCULATED} formulas without a value")
        self.scan.uncalculated.add((self._row, self._column))
        self._filled()

    def _value(self, _: Mapping[str, str]) -> None:
        place = (self._row, self._column)
        if place in self.scan.uncalculated:
            self.scan.uncalculated.discard(place)
            self.scan.formulas[self._column] = self.scan.formulas.get(self._column, 0) + 1
        self._filled()

    def _filled(self) -> None:
        scan = self.scan
        scan.cells += 1
        if scan.cells > self._most:
            raise SheetError("record.xlsx_too_large", what=f"> {MAX_CELLS} cells")
        if self._column > MAX_COLUMNS:
            raise SheetError("record.xlsx_columns", limit=MAX_COLUMNS)
        scan.last_row, scan.last_column = self._row, max(scan.last_column, self._column)
        if self._hidden:
            scan.hidden_rows.add(self._row)

    def _merge(self, attributes: Mapping[str, str]) -> None:
        match = _RANGE.fullmatch(attributes.get("ref", ""))
        if match is None:
            raise SheetError("record.xlsx_damaged")
        if len(self.scan.merges) >= MAX_MERGES:
            raise SheetError("record.xlsx_too_large", what=f"> {MAX_MERGES} merged ranges")
        self.scan.merges.append((int(match[1]), int(match[2] or match[1])))

    def _columns(self, attributes: Mapping[str, str]) -> None:
        if attributes.get("hidden") in ("1", "true"):
            if len(self.scan.hidden_columns) >= MAX_COLUMNS:
                raise SheetError("record.xlsx_damaged")
            first = _number(attributes.get("min"), 1)
            self.scan.hidden_columns.append((first, _number(attributes.get("max"), first)))


def _number(text: str | None, instead: int) -> int:
    if text is None:
        return instead
    if not (text.isascii() and text.isdecimal() and len(text) <= 7):
        raise SheetError("record.xlsx_damaged")
    return int(text)


def _column_of(letters: str) -> int:
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return column
