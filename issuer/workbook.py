"""Workbooks (.xlsx) as tables, and tables as workbooks. openpyxl reads and writes cells; it is an extra of its own.

Source: ISO/IEC 29500; docs/records.md, "Workbooks". Before openpyxl sees anything, the container is read by the strict
ZIP reader of OFD packages under our limits, every part used is scanned (`sheetscan`), and those parts alone are put
into a new container around one sheet. Effectful: it drives the library.
"""

import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mingzheng.formats.errors import FormatError
from mingzheng.formats.ofd.errors import (
    OfdAliasError,
    OfdDuplicateError,
    OfdEncryptedError,
    OfdEntriesError,
    OfdNameError,
    OfdPathError,
    OfdRatioError,
    OfdSizeError,
)
from mingzheng.formats.ofd.package import read_package
from mingzheng.issuer.faults import Fault, make_fault
from mingzheng.issuer.sheetscan import (
    WORKBOOK_LIMITS,
    Book,
    SheetError,
    SheetScan,
    plain_styles,
    read_book,
    scan_leap_days,
    scan_sheet,
    scan_strings,
)
from mingzheng.issuer.tables import MAX_ROWS, SPACE_ROWS, CellKind, Row, Table

__all__ = ["can_write", "read_workbook", "write_workbook"]

_MAX_TEXT: Final = (
    32 * 1024 * 1024
)  # characters of all cells: as many as a text file may have; a text may stand in many
_DIGITS: Final = 15  # that a spreadsheet keeps of a number
_ESCAPED: Final = re.compile(r"_x00([01][0-9A-Fa-f])_")  # §22.9.2.19
_PADDED: Final = re.compile(r"0{2,}")  # a number format that shows leading zeros
_UNSAFE: Final = (OfdPathError, OfdNameError, OfdAliasError, OfdDuplicateError)
_TOO_LARGE: Final = (OfdSizeError, OfdEntriesError, OfdRatioError)
# What openpyxl and what it stands on raise on files that are not as they should be.
_FAILURES: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    SyntaxError,
    zipfile.BadZipFile,
)
_NOTHING: Final = "#N/A"  # what stands for a result that is not there, so that it is not taken for an empty cell
_DAY_BEFORE: Final = "1900-02-28"
_NO_DAY: Final = "1900-02-29"  # that spreadsheets count as day 60, and no calendar has
_FONT: Final = "Microsoft YaHei"


def read_workbook(data: bytes) -> Table:
    """The one sheet with content, as rows; never raises on input."""
    if not can_write():
        return _refused("record.xlsx_library")
    try:
        return _read(read_package(data, limits=WORKBOOK_LIMITS, padded=True).files)
    except SheetError as error:
        return _refused(error.code, **error.arguments)
    except OfdEncryptedError:
        return _refused("record.file_encrypted")
    except _TOO_LARGE as error:
        return _refused("record.xlsx_too_large", what=error.code.rpartition(".")[2])
    except _UNSAFE as error:
        return _refused("record.xlsx_unsafe", what=error.code.rpartition(".")[2])
    except FormatError:
        return _refused("record.xlsx_damaged")


def can_write() -> bool:
    """Whether openpyxl is installed."""
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        return False
    return True


def write_workbook(rows: Sequence[Sequence[str]], *, bold: int = 1) -> bytes:
    """A workbook of one sheet whose cells are all text, so that nothing typed into it is changed."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "records"
    sheet.freeze_panes = "A2"
    stamp = datetime.datetime(2000, 1, 1)  # noqa: DTZ001 - the same bytes every time
    book.properties.created = book.properties.modified = stamp
    for number, cells in enumerate(rows, start=1):
        for place, text in enumerate(cells, start=1):
            cell = sheet.cell(row=number, column=place, value=text or None)
            if text:
                cell.data_type = "s"  # else a text that begins with = would be a formula
            cell.number_format = "@"
            cell.font = Font(name=_FONT, bold=number <= bold)
            cell.alignment = Alignment(vertical="top", wrap_text=number == bold + 1)
    for place in range(1, len(rows[0]) + 1):
        column = sheet.column_dimensions[get_column_letter(place)]
        column.width, column.number_format = 24, "@"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _refused(code: str, **arguments: int | str) -> Table:
    return Table(rows=(), faults=(make_fault(0, "", code, **arguments),))


def _read(files: Mapping[str, bytes]) -> Table:
    book = read_book(files)
    scans: dict[str, SheetScan] = {}
    for part in (*book.visible, *book.hidden):
        scans[part] = scan_sheet(files[part], cells_before=sum(scan.cells for scan in scans.values()))
    filled = [part for part in book.visible if scans[part].cells]
    hidden = sum(1 for part in book.hidden if scans[part].cells)
    if not filled:
        raise SheetError("record.empty_file")
    if len(filled) > 1:
        raise SheetError("record.several_sheets", count=len(filled))
    scan = scans[filled[0]]
    if scan.last_row > MAX_ROWS + SPACE_ROWS:
        raise SheetError("record.too_many_rows", limit=MAX_ROWS)
    for column in range(1, scan.last_column + 1):
        if scan.is_hidden(column):
            raise SheetError("record.hidden_column", place=column)
    if book.strings is not None:
        scan_strings(files[book.strings])
    notes = [make_fault(0, "", "record.hidden_sheet", count=hidden)] if hidden else []
    notes += _formula_notes(scan)
    rows = tuple(_rows(_repacked(files, book, filled[0]), scan))
    return Table(rows=rows if book.from_1904 else _leap_days(rows, files[filled[0]]), notes=tuple(notes))


def _leap_days(rows: tuple[Row, ...], sheet: bytes) -> tuple[Row, ...]:
    """The rows with 29 February 1900 where a spreadsheet shows it: the library gives the day before for it, too."""
    if not any(cell.startswith(_DAY_BEFORE) for row in rows for cell in row.cells):
        return rows
    leap = scan_leap_days(sheet)

    def cell(row: Row, place: int, text: str) -> str:
        no_day = row.kinds.get(place) is CellKind.DATE and (row.number, place + 1) in leap
        return text.replace(_DAY_BEFORE, _NO_DAY, 1) if no_day else text

    return tuple(replace(row, cells=tuple(cell(row, at, text) for at, text in enumerate(row.cells))) for row in rows)


def _formula_notes(scan: SheetScan) -> Iterator[Fault]:
    for column, count in sorted(scan.formulas.items()):
        yield make_fault(0, "", "record.formula", place=column, count=count)


_TYPES: Final = "http://schemas.openxmlformats.org/package/2006/content-types"
_LINKS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SHEETML: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def _repacked(files: Mapping[str, bytes], book: Book, sheet: str) -> io.BytesIO:
    """A container of our own with the chosen sheet, its texts and its styles, and nothing else."""
    parts = [("worksheet", "worksheets/sheet1.xml", files[sheet])]
    if book.strings is not None:
        parts.append(("sharedStrings", "sharedStrings.xml", files[book.strings]))
    if book.styles is not None:
        parts.append(("styles", "styles.xml", plain_styles(files[book.styles]).encode()))
    types = "".join(f'<Override PartName="/xl/{name}" ContentType="{_SHEETML}.{kind}+xml"/>' for kind, name, _ in parts)
    links = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target="{name}"/>'
        for number, (kind, name, _) in enumerate(parts)
    )
    made = {
        "[Content_Types].xml": f'<Types xmlns="{_TYPES}"><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEETML}.sheet.main+xml"/>{types}</Types>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        f'<workbookPr date1904="{int(book.from_1904)}"/>'
        '<sheets><sheet name="records" sheetId="1" r:id="r0"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_LINKS}">{links}</Relationships>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, text in made.items():
            archive.writestr(name, text)
        for _, name, body in parts:
            archive.writestr(f"xl/{name}", body)
    return out


def _rows(container: io.BytesIO, scan: SheetScan) -> Iterator[Row]:
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # styles and extensions it does not know
        try:
            book: Any = load_workbook(container, read_only=True, data_only=True, keep_links=False)
            sheet: Any = book["records"]
            found = sheet.iter_rows(min_row=1, max_row=scan.last_row, max_col=scan.last_column)
            left = _MAX_TEXT
            for number, cells in enumerate(found, start=1):
                row = _row(number, cells, scan)
                if row is None:
                    continue
                left -= sum(map(len, row.cells))
                if left < 0:
                    raise SheetError("record.xlsx_too_large", what=f"> {_MAX_TEXT} characters")
                yield row
        except _FAILURES as error:
            raise SheetError("record.xlsx_damaged") from error


def _row(number: int, cells: Sequence[Any], scan: SheetScan) -> Row | None:
    texts: list[str] = []
    kinds: dict[int, CellKind] = {}
    for place, cell in enumerate(cells):
        text, kind = _cell(cell)
        if (number, place + 1) in scan.uncalculated:
            text, kind = _NOTHING, CellKind.UNCALCULATED
        texts.append(text)
        if kind is not None:
            kinds[place] = kind
    if not (kinds or any(texts)):
        return None
    faults = []
    if number in scan.hidden_rows:
        faults.append(make_fault(number, "", "record.hidden_row"))
    if scan.is_merged(number):
        faults.append(make_fault(number, "", "record.merged_cells"))
    return Row(number=number, cells=tuple(texts), kinds=kinds, faults=tuple(faults))


def _cell(cell: Any) -> tuple[str, CellKind | None]:
    """Text of a cell and what it is, if not text."""
    value = cell.value
    if value is None:
        return "", None
    if cell.data_type == "e":
        return str(value), CellKind.ERROR
    if isinstance(value, bool):
        return str(value).upper(), CellKind.BOOLEAN
    if isinstance(value, int | float):
        return _number_text(value, cell.number_format)
    if isinstance(value, datetime.datetime):
        day, clock = value.date(), value.time()
        return (day.isoformat() if clock == datetime.time() else f"{day} {clock}"), CellKind.DATE
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return str(value), CellKind.DATE
    return _ESCAPED.sub(_control, str(value).replace("_x000D_\n", "\n")).strip(" \t\u3000\n"), None


def _control(escaped: re.Match[str]) -> str:
    """A control character, which XML cannot hold: what it is, is judged with the cell. A return ends a line."""
    code = int(escaped[1], 16)
    return "\n" if code == 0x0D else chr(code or 1)  # a zero byte would make a text file of it unreadable


def _number_text(value: float, form: str) -> tuple[str, CellKind]:
    if isinstance(value, float) and not value.is_integer():
        return repr(value), CellKind.NUMBER
    text = str(int(value))
    if len(text) > _DIGITS:
        return text, CellKind.ROUNDED
    return (text.zfill(len(form)) if _PADDED.fullmatch(form) else text), CellKind.NUMBER
