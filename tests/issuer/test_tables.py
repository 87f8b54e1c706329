"""Bytes to rows: any table in any encoding under any separator reads back equal; what is no table is told apart."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.issuer import recordfile, tables
from mingzheng.issuer.columns import ADDED, CHINESE, COLUMNS, count_known, is_note, nearest_column, resolve
from mingzheng.issuer.record import parse_csv, parse_table
from mingzheng.issuer.recordfile import read_records
from mingzheng.issuer.tables import FileKind, Row, Table, decode_text, read_csv, tell

HEADER = ("kind", "name", "employer")
# Cells as they come back: no blanks around them, line ends as LF.
cells = st.text(st.characters(codec="gb18030", exclude_characters="\x00\r\ufeff"), max_size=12).map(
    lambda text: text.strip(" \t\u3000\n")
)
ENCODINGS = {
    "utf-8": ("utf-8", b""),
    "utf-8 with a mark": ("utf-8", b"\xef\xbb\xbf"),
    "gb18030": ("gb18030", b""),
    "utf-16-le with a mark": ("utf-16-le", b"\xff\xfe"),
    "utf-16-be with a mark": ("utf-16-be", b"\xfe\xff"),
}


def written(rows: list[tuple[str, ...]], separator: str, end: str) -> str:
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL  # LF is quoted only where it ends lines
    csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting).writerows([HEADER, *rows])
    return out.getvalue()


@given(
    st.lists(st.tuples(cells.filter(bool), cells, cells), max_size=5),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(",;\t"),
    st.sampled_from(["\r\n", "\n", "\r"]),
)
def test_any_table_in_any_encoding_reads_back_equal(
    rows: list[tuple[str, ...]], encoding: str, separator: str, end: str
) -> None:
    codec, mark = ENCODINGS[encoding]
    text = written(rows, separator, end)
    data = mark + text.encode(codec)
    if encoding == "gb18030":
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            data = text.encode("ascii", "ignore")  # the same bytes under both: nothing to tell apart
            rows = [tuple(cell.encode("ascii", "ignore").decode().strip(" \t\n") for cell in row) for row in rows]
    found = read_csv(data)
    assert found.faults == ()
    wanted = [HEADER, *(row for row in rows if any(row))]
    assert [row.cells for row in found.rows] == wanted


@given(st.lists(st.tuples(cells.filter(bool), cells, cells), max_size=5), st.booleans())
def test_utf16_without_a_mark_is_told_by_its_separators(rows: list[tuple[str, ...]], little: bool) -> None:
    data = written(rows, ",", "\n").encode("utf-16-le" if little else "utf-16-be")
    if 0 in data[0 if little else 1 : 4096 : 2]:
        return  # a zero byte at the other place: then it is not told, see the next test
    found = read_csv(data)
    assert [row.cells for row in found.rows] == [HEADER, *(row for row in rows if any(row))]
    assert [note.code for note in found.notes] == ["record.encoding_guessed"]


@pytest.mark.parametrize("data", [b"a\0\0b", b"\0\0", "a,\u4e00,\u0100".encode("utf-16-le"), b"\xff\xfe\0\0a\0\0\0"])
def test_what_could_be_two_encodings_is_neither(data: bytes) -> None:
    assert [fault.code for fault in read_csv(data).faults] == ["record.encoding"]


@pytest.mark.parametrize(("text", "sure"), [("name\n鲁迅", False), ("name\n王小明,³Ѹ", True)])
def test_chinese_that_reads_as_other_letters_is_said(text: str, sure: bool) -> None:
    data = text.encode() if sure else text.encode("gb18030")
    assert decode_text(data)[1:] == ("utf-8", sure)
    assert [note.code for note in read_csv(data).notes] == ([] if sure else ["record.encoding_guessed"])


def test_a_cut_character_is_an_error_only_at_the_end_of_the_file() -> None:
    data = "姓名".encode()[:-1]
    assert decode_text(data)[0] != "姓名"
    assert decode_text(data, cut=True) == ("姓", "utf-8", True)


def test_sep_line_and_rows_as_a_spreadsheet_counts_them() -> None:
    table = read_csv(b"sep=;\nkind;name\n\na;b\n")
    assert table.rows == (Row(number=2, cells=("kind", "name")), Row(number=4, cells=("a", "b")))
    assert read_csv(b"sep=x\nkind,name\n").rows[0].cells == ("sep=x",)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", FileKind.TEXT),
        (b"kind,name", FileKind.TEXT),
        (b"\xff\x80", FileKind.TEXT),
        (b"\xef\xbb\xbf \n[", FileKind.JSON),
        (b"{}", FileKind.JSON),
        ("[".encode("utf-16"), FileKind.JSON),
        ("<HTML>".encode("utf-16"), FileKind.HTML),
        (b"MIME-Version: 1.0", FileKind.HTML),
        (b"PK\x03\x04", FileKind.OTHER),
        (b"PK\x03\x04..OFD.xml", FileKind.OTHER),
        (b"<" + b"x" * 5_000, FileKind.TEXT),
        (b"\x05admin" + b" " * 49 + "\x05admin".encode("utf-16-le") + b" \0" * 49, FileKind.OTHER),  # ~$records.xlsx
        (b"\x05admin" + b" " * 49 + "\x05admin".encode("utf-16-le") + b" \0" * 50, FileKind.TEXT),
    ],
)
def test_told_by_the_bytes(data: bytes, kind: FileKind) -> None:
    assert tell(data)[0] is kind


@given(st.binary(max_size=200))
def test_any_bytes_are_something(data: bytes) -> None:
    kind, name = tell(data)
    assert bool(name) == (kind is FileKind.OTHER)
    read_csv(data)


def test_rows_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 1)
    monkeypatch.setattr(tables, "SPACE_ROWS", 2)
    assert read_csv(b"a\nb\nc").faults == ()
    assert [fault.code for fault in read_csv(b"a\nb\nc\nd").faults] == ["record.too_many_rows"]


def test_empty_rows_are_no_records_and_end_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_csv(b"a,b\n1,2\n" + b",\n" * 60_000 + b"3,4\n,\n")
    assert [(row.number, row.cells) for row in table.rows] == [(1, ("a", "b")), (2, ("1", "2")), (60_003, ("3", "4"))]
    monkeypatch.setattr(tables, "_LAST_ROW", 3)
    assert read_csv(b"a\n\n").faults == ()
    assert [fault.code for fault in read_csv(b"a\n\n\n").faults] == ["record.too_many_rows"]


def test_columns_have_a_limit() -> None:
    assert read_csv(b"," * 255 + b"a").rows[0].cells[255] == "a"
    for data in (b"," * 256 + b"a", b"x\n" + b"," * 256 + b"a"):
        (fault,) = read_csv(data).faults
        assert (fault.code, fault.row) == ("record.xlsx_columns", 1 + data.count(b"\n"))
    (row,) = read_csv(b"a" + b"," * 16_384).rows  # empty columns, as sheets that were formatted have them
    assert len(row.cells) == 256


@pytest.mark.parametrize(
    "data", ["姓名," * 1_000_000, "kind;name\n" + ";" * 1_000_000, 'x\n"\n' + '",,,,"\n' * 300_000]
)
def test_a_row_of_very_many_cells_is_refused_before_they_are_made(data: str) -> None:
    tracemalloc.start()
    table = read_csv(data.encode())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [fault.code for fault in table.faults] == ["record.xlsx_columns"]
    assert most < 16 * len(data) + 4_000_000


@pytest.mark.parametrize("data", [b"kind,name\n", b"PK\x03\x04[Content_Types].xml xl/", b"%PDF"])
def test_files_have_a_limit_whatever_they_are(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordfile, "MAX_FILE_BYTES", len(data) - 1)
    found = read_records(data)
    assert [fault.code for fault in found.parsed.faults] == ["record.file_too_large"]
    assert found.rows == ()


# Columns


def test_every_column_has_one_chinese_name_at_least_and_no_name_stands_twice() -> None:
    assert set(CHINESE.values()) == set(COLUMNS)
    assert not set(CHINESE) & {*COLUMNS, *ADDED}


def test_header_cells() -> None:
    assert [resolve(cell) for cell in ("kind", " 姓名*", "\ufeff性别", "fault_row", "单位", "Kind")] == [
        "kind", "name", "sex", "fault_row", None, None,
    ]  # fmt: skip
    assert nearest_column("发证机关") == "issuing_body"
    assert nearest_column("姓名") == "name"
    assert count_known(["kind", "证书种类", "x", "name"]) == 2
    assert is_note(["", "#x"])
    assert is_note(["＃"])
    assert not is_note(["x", "#"])
    assert not is_note([])


def test_a_table_that_was_refused_stays_refused() -> None:
    table = read_csv(b"\xff\x80")
    assert parse_table(table).faults == table.faults
    assert parse_table(Table(rows=())).faults[0].code == "record.empty_file"
    assert parse_csv(b"x,y\n1,2\n").columns == ()
