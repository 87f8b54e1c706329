"""Workbooks: what is written reads back, what openpyxl and others write is read, hostile ones are refused in time."""

import datetime
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ofdforge import Zipped, deflated, zipped

from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.errors import OfdHeaderError
from mingzheng.formats.ofd.package import read_package
from mingzheng.issuer import sheetscan, workbook
from mingzheng.issuer.cells import CellError, read_date
from mingzheng.issuer.sheetscan import WORKBOOK_LIMITS, SheetError, plain_styles, read_book, scan_sheet, scan_strings
from mingzheng.issuer.tables import CellKind, Table
from mingzheng.issuer.workbook import read_workbook, write_workbook

openpyxl = pytest.importorskip("openpyxl", reason='openpyxl is not installed: pip install "mingzheng[xlsx]"')

MAIN = sheetscan._MAIN
STYLES = "xl/styles.xml"
cells = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=8).map(
    lambda text: text.strip(" \t\u3000\n")
)


def cells_of(table: Table) -> list[tuple[str, ...]]:
    assert table.faults == ()
    return [row.cells for row in table.rows]


@given(st.lists(st.tuples(cells.filter(bool), cells, cells), min_size=1, max_size=4))
def test_what_is_written_reads_back(rows: list[tuple[str, str, str]]) -> None:
    rows = [row for row in rows if not any("_x00" in cell for cell in row)]
    wanted = [("kind", "name", "sex"), *rows]
    assert cells_of(read_workbook(write_workbook(wanted))) == wanted


def test_formulas_typed_as_text_stay_text() -> None:
    rows = [("kind", "name"), ("=1+1", "'x"), ("=0", "#N/A")]
    assert cells_of(read_workbook(write_workbook(rows))) == rows


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("甲_x000D_\n乙", "甲\n乙"),
        ("甲_x000d_乙", "甲\n乙"),
        ("甲_x000B_乙", "甲\x0b乙"),
        ("甲_x0000_乙", "甲\x01乙"),
        ("甲_x0009_乙", "甲\t乙"),
        ("甲_x0041_乙", "甲_x0041_乙"),
        ("甲乙_x000D_", "甲乙"),
    ],
)
def test_control_characters_are_what_they_are(cell: str, text: str) -> None:
    assert cells_of(read_workbook(write_workbook([["name"], [cell]]))) == [("name",), (text,)]


def made(change: object = None, **values: object) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    for place, (name, value) in enumerate(values.items(), start=1):
        sheet.cell(1, place, name)
        sheet.cell(2, place, value)
    if callable(change):
        change(book, sheet)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_cells_of_every_type_as_openpyxl_writes_them() -> None:
    day = datetime.datetime(2022, 6, 27)  # noqa: DTZ001
    table = read_workbook(
        made(a="x", b=12, c=1.5, d=True, e=day, f=day.date(), g=datetime.time(8), h=110101198503030371, i=2.0, j=None)
    )
    (row,) = table.rows[1:]
    assert row.cells == (
        "x",
        "12",
        "1.5",
        "TRUE",
        "2022-06-27",
        "2022-06-27",
        "08:00:00",
        "110101198503030400",
        "2",
        "",
    )
    assert row.kinds == {
        1: CellKind.NUMBER, 2: CellKind.NUMBER, 3: CellKind.BOOLEAN, 4: CellKind.DATE, 5: CellKind.DATE,
        6: CellKind.DATE, 7: CellKind.ROUNDED, 8: CellKind.NUMBER,
    }  # fmt: skip


def test_a_sheet_with_pictures_comments_and_filters_is_read() -> None:
    def change(book: object, sheet: object) -> None:
        sheet.auto_filter.ref = "A1:B2"  # type: ignore[attr-defined]
        sheet["A1"].comment = openpyxl.comments.Comment("x", "y")  # type: ignore[index]
        book.defined_names["n"] = openpyxl.workbook.defined_name.DefinedName("n", attr_text="Sheet!$A$1")  # type: ignore[attr-defined]

    assert cells_of(read_workbook(made(change, a="x", b="y"))) == [("a", "b"), ("x", "y")]


def test_duration_and_padding() -> None:
    def change(_: object, sheet: object) -> None:
        sheet["A2"].number_format = "[h]:mm:ss"  # type: ignore[index]
        sheet["B2"].number_format = "000000"  # type: ignore[index]
        sheet["C2"].number_format = "0.00"  # type: ignore[index]

    (row,) = read_workbook(made(change, a=1.5, b=12, c=12)).rows[1:]
    assert row.cells[1:] == ("000012", "12")
    assert row.kinds[0] is CellKind.DATE


@pytest.mark.parametrize("from_1904", [False, True])
def test_the_leap_day_that_never_was_is_no_other_day(from_1904: bool) -> None:
    def change(book: object, sheet: object) -> None:
        if from_1904:
            book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904  # type: ignore[attr-defined]
        for cell in sheet["A2:F2"][0]:  # type: ignore[index]
            cell.number_format = "yyyy-mm-dd"

    data = made(change, a=59, b=60, c=61, d=60.5, e="60", f=datetime.date(2022, 6, 27))
    days = read_workbook(data).rows[1].cells
    if from_1904:
        assert days[:3] == ("1904-02-29", "1904-03-01", "1904-03-02")
    else:
        assert days[:4] == ("1900-02-28", "1900-02-29", "1900-03-01", "1900-02-29 12:00:00")
    assert days[4:] == ("60", "2022-06-27")
    with pytest.raises(CellError, match=r"record\.bad_date"):
        read_date("1900-02-29", birth=True)


# The container


def repacked(data: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        parts = {info.filename: old.read(info) for info in old.infolist()} | dict(changes)
        for name, body in parts.items():
            if body is not None:
                new.writestr(name, body)
    return out.getvalue()


def refusal(data: bytes) -> str:
    (fault,) = read_workbook(data).faults
    return fault.code


def test_parts_that_are_missing_or_elsewhere() -> None:
    data = made(a="x")
    assert refusal(repacked(data, {"xl/worksheets/sheet1.xml": None})) == "record.xlsx_damaged"
    assert refusal(repacked(data, {"xl/_rels/workbook.xml.rels": None})) == "record.xlsx_damaged"
    assert refusal(repacked(data, {"xl/workbook.xml": b"<workbook/>"})) == "record.xlsx_damaged"
    empty = f'<workbook xmlns="{MAIN}"/>'.encode()
    assert refusal(repacked(data, {"xl/workbook.xml": empty})) == "record.empty_file"
    assert refusal(repacked(data, {"xl/workbook.xml": b"<"})) == "record.xlsx_unsafe"
    assert refusal(repacked(data, {"xl/worksheets/sheet1.xml": b"<"})) == "record.xlsx_damaged"
    many = "".join(f'<sheet name="{n}"/>' for n in range(257))
    crowd = f'<workbook xmlns="{MAIN}"><sheets>{many}</sheets></workbook>'.encode()
    assert refusal(repacked(data, {"xl/workbook.xml": crowd})) == "record.xlsx_too_large"
    assert cells_of(read_workbook(repacked(data, {"xl/styles.xml": b"<styleSheet/>"}))) == [("a",), ("x",)]
    absolute = b'Target="/xl/worksheets/sheet1.xml"'
    links = zipfile.ZipFile(io.BytesIO(data)).read("xl/_rels/workbook.xml.rels")
    assert absolute in links
    assert cells_of(read_workbook(repacked(data, {"xl/_rels/workbook.xml.rels": links.replace(b"/xl/w", b"w")})))


def test_an_encrypted_entry() -> None:
    data = bytearray(made(a="x"))
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(magic) + place
        data[at] |= 1
    assert refusal(bytes(data)) == "record.file_encrypted"


def test_a_growth_hint_is_taken_from_workbooks_only() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("a.xml", (2026, 1, 1, 0, 0, 0))
        info.extra = struct.pack("<HH", 0xA220, 500) + bytes(500)
        archive.writestr(info, b"x")
    assert dict(read_package(out.getvalue(), limits=WORKBOOK_LIMITS, padded=True).files) == {"a.xml": b"x"}
    with pytest.raises(OfdHeaderError):
        read_package(out.getvalue(), limits=OFD_LIMITS)
    info.extra = struct.pack("<HH", 0xA220, 5_000) + bytes(5_000)
    longer = io.BytesIO()
    with zipfile.ZipFile(longer, "w") as archive:
        archive.writestr(info, b"x")
    with pytest.raises(OfdHeaderError):
        read_package(longer.getvalue(), limits=WORKBOOK_LIMITS, padded=True)


def streamed(name: str, body: bytes, *, said: bool, size: int | None = None) -> Zipped:
    """An entry as Java writers of workbooks stream it: sizes of 64 bits behind the data."""
    tail = struct.pack("<L2Q", zlib.crc32(body), len(deflated(body)), len(body) if size is None else size)
    field = struct.pack("<2H", 1, 28) + bytes(28)
    sizes = {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "extra": field} if said else {"packed": 0, "size": 0}
    return Zipped(name=name.encode(), body=body, flags=0x0008, local={"crc": 0, **sizes}, descriptor=b"PK\7\x08" + tail)


@pytest.mark.parametrize("said", [False, True])
def test_a_streamed_workbook_is_read_and_its_sizes_must_be_true(said: bool) -> None:
    with zipfile.ZipFile(io.BytesIO(made(kind="x"))) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    data = zipped([streamed(name, body, said=said) for name, body in parts.items()])
    assert cells_of(read_workbook(data)) == [("kind",), ("x",)]
    with pytest.raises(OfdHeaderError):
        read_package(data, limits=OFD_LIMITS)
    false = [streamed(name, body, said=said, size=len(body) + 1) for name, body in parts.items()]
    assert refusal(zipped(false)) == "record.xlsx_damaged"


# The scan


def sheet(body: str, *, before: str = "", after: str = "") -> bytes:
    return f'<worksheet xmlns="{MAIN}">{before}<sheetData>{body}</sheetData>{after}</worksheet>'.encode()


def fault_of(data: bytes) -> str:
    with pytest.raises(SheetError) as caught:
        scan_sheet(data)
    return caught.value.code


def test_scan_counts_what_has_content() -> None:
    scan = scan_sheet(
        sheet(
            '<row><c/><c><v>1</v></c></row><row r="5" hidden="1"><c r="C5"><f>1</f><v>2</v></c>'
            '<c r="D5"><f>1</f></c></row><row r="9"><c r="Z9" s="1"/></row>',
            before='<cols><col min="2" max="3" hidden="1"/><col min="9"/></cols>',
            after='<mergeCells><mergeCell ref="A1:B3"/><mergeCell ref="A7"/></mergeCells>',
        )
    )
    assert (scan.cells, scan.last_row, scan.last_column) == (4, 5, 4)
    assert (scan.hidden_rows, scan.formulas, scan.uncalculated) == ({5}, {3: 1}, {(5, 4)})
    assert [scan.is_hidden(column) for column in (1, 2, 3, 4)] == [False, True, True, False]
    assert [scan.is_merged(row) for row in (1, 3, 4, 7)] == [True, True, False, True]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('<row r="0"/>', "record.xlsx_unsafe"),
        ('<row r="1048577"/>', "record.xlsx_unsafe"),
        ('<row r="-1"/>', "record.xlsx_damaged"),
        ('<row r="１"/>', "record.xlsx_damaged"),
        ('<row r="12345678"/>', "record.xlsx_damaged"),
        ('<row r="2"/><row r="2"/>', "record.xlsx_unsafe"),
        ('<row><c r="a1"/></row>', "record.xlsx_unsafe"),
        ('<row><c r="A2"/></row>', "record.xlsx_unsafe"),
        ('<row><c r="B1"/><c r="A1"/></row>', "record.xlsx_unsafe"),
        ('<row><c r="IW1"><v>1</v></c></row>', "record.xlsx_columns"),
        ("<a>" * 33 + "</a>" * 33, "record.xlsx_unsafe"),
    ],
)
def test_scan_refuses(body: str, code: str) -> None:
    assert fault_of(sheet(body)) == code


def test_all_sheets_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    body = sheet("<row><c><v>1</v></c><c><f/></c></row>")
    assert scan_sheet(body, cells_before=sheetscan.MAX_CELLS - 2).cells == 2
    with pytest.raises(SheetError) as caught:
        scan_sheet(body, cells_before=sheetscan.MAX_CELLS - 1)
    assert caught.value.code == "record.xlsx_too_large"
    monkeypatch.setattr(sheetscan, "MAX_UNCALCULATED", 1)
    assert len(scan_sheet(body).uncalculated) == 1
    assert fault_of(sheet("<row><c><f/></c><c><f/></c></row>")) == "record.xlsx_too_large"


def test_the_cells_of_every_sheet_count(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = openpyxl.Workbook(), openpyxl.Workbook()
    for book in (one, two):
        book["Sheet"]["A1"] = "kind"
    two.create_sheet("more")["A1"] = "x"
    two["more"].sheet_state = "hidden"
    monkeypatch.setattr(sheetscan, "MAX_CELLS", 1)
    assert [read_workbook(_saved(book)).faults == () for book in (one, two)] == [True, False]


def _saved(book: Any) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_merged_ranges_in_any_order_and_over_each_other() -> None:
    refs = ("A9:B9", "A2:A4", "C3:C3", "D4:D6", "A20:A10")
    merges = "".join(f'<mergeCell ref="{ref}"/>' for ref in refs)
    scan = scan_sheet(sheet("", after=f"<mergeCells>{merges}</mergeCells>"))
    assert [row for row in range(1, 25) if scan.is_merged(row)] == [2, 3, 4, 5, 6, 9]
    assert len(scan.merges) <= 3


def test_scan_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheetscan, "MAX_CELLS", 2)
    monkeypatch.setattr(sheetscan, "MAX_MERGES", 1)
    monkeypatch.setattr(sheetscan, "MAX_STRINGS", 1)
    row = "<row>" + "<c><v>1</v></c>" * 2
    assert scan_sheet(sheet(row + "</row>")).cells == 2
    assert fault_of(sheet(row + "<c><v>1</v></c></row>")) == "record.xlsx_too_large"
    merge = '<mergeCell ref="A1:A2"/>'
    assert len(scan_sheet(sheet("", after=merge)).merges) == 1
    assert fault_of(sheet("", after=merge * 2)) == "record.xlsx_too_large"
    assert fault_of(sheet("", after='<mergeCell ref="1:2"/>')) == "record.xlsx_damaged"
    assert fault_of(sheet("", before='<col hidden="1" min="x"/>')) == "record.xlsx_damaged"
    assert fault_of(sheet("", before='<col hidden="1"/>' * 257)) == "record.xlsx_damaged"
    scan_strings(f'<sst xmlns="{MAIN}"><si/></sst>'.encode())
    with pytest.raises(SheetError) as caught:
        scan_strings(f'<sst xmlns="{MAIN}"><si/><si/></sst>'.encode())
    assert caught.value.code == "record.xlsx_too_large"


def test_what_holds_no_value_has_limits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheetscan, "MAX_MARKS", 3)
    monkeypatch.setattr(sheetscan, "MAX_COLUMN", 2)
    monkeypatch.setattr(sheetscan, "MAX_INSIDE", 2)
    monkeypatch.setattr(sheetscan, "MAX_OUTSIDE", 4)
    pair = "<row><c/><c/></row>"
    assert fault_of(sheet("<row><c/><c/><c/></row>")) == "record.xlsx_unsafe"
    assert scan_sheet(sheet(pair + "<row><c/></row>")).cells == 0
    assert fault_of(sheet(pair * 2)) == "record.xlsx_too_large"
    assert scan_sheet(sheet("<row><c><a/><a/></c></row>" * 3)).cells == 0
    assert fault_of(sheet("<row><c><a/><a/><a/></c></row>")) == "record.xlsx_too_large"
    assert scan_sheet(sheet('<row r="9"/>', before="<a/>", after="<a/>")).cells == 0  # and worksheet, sheetData
    assert fault_of(sheet('<row r="9"/>', before="<a/>", after="<a/><a/>")) == "record.xlsx_too_large"
    scan_strings(f'<sst xmlns="{MAIN}"><si><t/><t/></si><si><t/><t/></si></sst>'.encode())
    with pytest.raises(SheetError) as caught:
        scan_strings(f'<sst xmlns="{MAIN}"><si><t/><t/><t/></si></sst>'.encode())
    assert caught.value.code == "record.xlsx_too_large"


def test_one_long_text_in_many_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_workbook([["kind", "name"], ["abcd ", "abcd "]])
    monkeypatch.setattr(workbook, "_MAX_TEXT", 16)
    assert read_workbook(data).faults == ()
    monkeypatch.setattr(workbook, "_MAX_TEXT", 15)
    assert [fault.code for fault in read_workbook(data).faults] == ["record.xlsx_too_large"]


@pytest.mark.parametrize("data", [b"", b"<a>", b"<a>\xff</a>", b"\xff\xfe<"])
def test_scan_of_what_is_no_xml(data: bytes) -> None:
    assert fault_of(data) == "record.xlsx_damaged"


@pytest.mark.parametrize("name", ["x-none", "gbk", "utf-16", "utf-7"])
def test_other_encodings_are_refused(name: str) -> None:
    assert fault_of(f'<?xml version="1.0" encoding="{name}"?><a/>'.encode()) == "record.xlsx_unsafe"
    assert scan_sheet(b'<?xml version="1.0" encoding="UTF-8"?><a/>').cells == 0


def test_entities_are_refused_before_they_grow() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
    with pytest.raises(SheetError) as caught:
        scan_sheet(bomb.encode())
    assert (caught.value.code, caught.value.arguments) == ("record.xlsx_unsafe", {"what": "DOCTYPE"})
    with pytest.raises(SheetError):
        plain_styles(bomb.encode())


def test_styles_keep_number_formats_only() -> None:
    odd = f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="170" formatCode="yyyy&quot;年&quot;"/></numFmts>'
    odd += '<fonts><font><strange/></font></fonts><cellXfs><xf numFmtId="170"/><xf/></cellXfs></styleSheet>'
    text = plain_styles(odd.encode())
    assert "strange" not in text
    assert text.count("<xf numFmtId=") == 2
    assert "yyyy" in text
    assert "<cellXfs><xf/></cellXfs>" in plain_styles(f'<styleSheet xmlns="{MAIN}"/>'.encode())


@pytest.mark.parametrize("form", [*range(27, 37), *range(50, 59)])
def test_days_in_the_forms_that_chinese_spreadsheets_have_built_in(form: int) -> None:
    styles = f'<styleSheet xmlns="{MAIN}"><cellXfs><xf/><xf numFmtId="{form}"/></cellXfs></styleSheet>'
    body = sheet('<row><c t="str"><v>birth_date</v></c></row><row><c s="1"><v>44739</v></c></row>')
    data = repacked(made(a="x"), {STYLES: styles.encode(), "xl/worksheets/sheet1.xml": body})
    (row,) = read_workbook(data).rows[1:]
    assert (row.cells, row.kinds) == (("2022-06-27",), {0: CellKind.DATE})
    own = f'<numFmts><numFmt numFmtId="{form}" formatCode="0"/></numFmts>'
    styles = f'<styleSheet xmlns="{MAIN}">{own}<cellXfs><xf numFmtId="{form}"/></cellXfs></styleSheet>'
    assert f'<xf numFmtId="{form}"' in plain_styles(styles.encode())


def test_read_book_takes_worksheets_only() -> None:
    data = made(a="x")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    book = read_book(files)
    assert (len(book.visible), book.hidden, book.from_1904) == (1, (), False)
    links = files["xl/_rels/workbook.xml.rels"].replace(b"relationships/worksheet", b"relationships/chartsheet")
    assert read_book(files | {"xl/_rels/workbook.xml.rels": links}).visible == ()


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_gives_a_table_or_a_fault(place: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[place % len(data)] ^= change
    table = read_workbook(bytes(data))
    assert bool(table.rows) != bool(table.faults)


@given(st.data())
def test_one_changed_byte_inside_a_part_gives_a_table_or_a_fault(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(PARTS)))
    body = bytearray(PARTS[name])
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    table = read_workbook(stored(PARTS | {name: bytes(body)}))
    assert bool(table.rows) != bool(table.faults)


def stored(parts: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()


def parts_of(data: bytes, names: Sequence[str]) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in names}


WHOLE = made(a="x", b=12, c=datetime.date(2022, 6, 27), d=True)
PARTS = parts_of(
    WHOLE, ["[Content_Types].xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/worksheets/sheet1.xml", STYLES]
)
