"""Application records: every fault of a file at once, no record from a faulty row, no personal data in a fault."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import Sex
from mingzheng.issuer import columns, tables
from mingzheng.issuer import record as module
from mingzheng.issuer.faults import FAULTS, Severity, make_fault
from mingzheng.issuer.identity import IdType
from mingzheng.issuer.record import (
    COLUMNS,
    ApplicationRecord,
    ParsedRecords,
    format_record,
    nearest,
    parse_csv,
    parse_json,
    parse_stored,
)
from mingzheng.issuer.tables import read_csv

GOOD = {
    "kind": "cn.constructor.1",
    "jurisdiction": "0",
    "name": "王小明",
    "sex": "男",
    "birth_date": "1985-03-03",
    "id_number": "11010119850303037X",
    "registration_no": "京1112006200712345",
    "specialties": "建筑工程:2023-01-01:2026-01-01;市政公用工程:2023年5月1日:2026/5/1",
    "certificate_issued_on": "2023-01-01",
    "employer": "北京示例建设有限公司",
    "registered_until": "2026-05-01",
    "issuing_body": "1",
    "sealing_body": "住房和城乡建设部",
    "photo": "photos/1.jpg",
    "signature_image": "1.png",
    "purpose": "A项目投标",
}


def to_csv(*rows: Mapping[str, str], columns: tuple[str, ...] = COLUMNS) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return out.getvalue().encode()


def codes(parsed: ParsedRecords) -> list[tuple[int, str, str]]:
    return [(fault.row, fault.field, fault.code) for fault in parsed.faults]


def of_row(**cells: str) -> list[tuple[int, str, str]]:
    parsed = parse_csv(to_csv(GOOD | cells))
    assert bool(parsed.records) != bool(parsed.faults)
    return codes(parsed)


def good() -> ApplicationRecord:
    parsed = parse_csv(to_csv(GOOD))
    assert parsed.faults == ()
    return parsed.records[0]


def test_reads_a_row() -> None:
    record = good()
    assert record.row == 2
    assert record.name == "王小明"
    assert record.sex is Sex.MALE
    assert record.birth == parse_day("1985-03-03")
    assert [item.name for item in record.specialties] == ["建筑工程", "市政公用工程"]
    assert record.specialties[1].first_day == parse_day("2023-05-01")
    assert record.specialties[1].last_day == parse_day("2026-05-01")
    assert record.sealing_body == "住房和城乡建设部"
    assert record.purpose == "A项目投标"


def test_identity_number_stays_out_of_repr() -> None:
    record = good()
    assert record.id_number == "11010119850303037X"
    assert "0119850303" not in repr(record)


def test_optional_cells_may_be_empty() -> None:
    optional = ("id_number", "specialties", "employer", "sealing_body", "photo", "signature_image", "purpose")
    record = parse_csv(to_csv(GOOD | dict.fromkeys(optional, ""))).records[0]
    assert record.sealing_body == record.issuing_body == "1"
    assert (record.id_number, record.specialties, record.employer, record.photo) == (None, (), None, None)


@pytest.mark.parametrize("column", [*module.REQUIRED])
def test_required_cells(column: str) -> None:
    assert of_row(**{column: " \u3000"}) == [(2, column, "record.required")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_byte_order_mark_line_ends_and_blank_rows(newline: str) -> None:
    text = to_csv(GOOD).decode().replace("\r\n", newline + newline)
    parsed = parse_csv(b"\xef\xbb\xbf" + text.encode())
    assert parsed.faults == ()
    assert [record.row for record in parsed.records] == [3]


def test_quoted_cells_with_commas_and_line_ends() -> None:
    assert of_row(employer="甲,乙公司") == []
    parsed = parse_csv(to_csv(GOOD | {"employer": "甲\n乙"}))
    assert parsed.records[0].employer == "甲 乙"
    assert [note.code for note in parsed.notes] == ["record.odd_space"]


def test_all_faults_of_a_file_at_once_and_the_good_rows_kept() -> None:
    other = GOOD | {"registration_no": "京1112006200754321"}
    parsed = parse_csv(
        to_csv(
            GOOD | {"sex": "x", "birth_date": "03/03/1985", "jurisdiction": "99"},
            other,
            GOOD | {"name": "", "registered_until": "2026-13-01"},
        )
    )
    assert codes(parsed) == [
        (2, "jurisdiction", "record.bad_jurisdiction"),
        (2, "sex", "record.bad_sex"),
        (2, "birth_date", "record.bad_date"),
        (4, "name", "record.required"),
        (4, "registered_until", "record.bad_date"),
    ]
    assert [record.row for record in parsed.records] == [3]


# The file as a whole


def test_lists_within_lists_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(
        [GOOD | {"specialties": [{"name": "建筑工程", "from": "2023-01-01", "to": "2026-01-01"}]}]
    ).encode()
    for name, most in (("_MOST_LISTS", 2), ("_MOST_INSIDE", 2)):
        monkeypatch.setattr(module, name, most)
        assert len(parse_json(data).records) == 1
    for name in ("_MOST_LISTS", "_MOST_INSIDE"):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 1)
            assert [fault.code for fault in parse_json(data).faults] == ["record.json_syntax"]


def test_empty_columns_at_the_end_are_none() -> None:
    columns = (*COLUMNS, "", "")
    assert parse_csv(to_csv(GOOD, columns=columns)).records == parse_csv(to_csv(GOOD)).records
    assert parse_csv(to_csv(GOOD, columns=columns)).columns == COLUMNS
    parsed = parse_csv(to_csv(GOOD, columns=columns).replace(b",,\r\n", b",,\r\n", 1)[:-3] + b"x,\r\n")
    assert codes(parsed) == [(1, "", "record.unknown_column")]
    assert codes(parse_csv(to_csv(GOOD, columns=("", *COLUMNS)))) == [(1, "", "record.unknown_column")]


def test_header_faults_name_the_nearest_column_and_never_the_cell() -> None:
    columns = ("姓名甲", "brith_date", "发证机关", *COLUMNS[4:], "sex", "sex")
    parsed = parse_csv(to_csv(GOOD, columns=columns))
    assert parsed.records == ()
    assert codes(parsed) == [
        (1, "", "record.unknown_column"),
        (1, "", "record.unknown_column"),
        (1, "", "record.unknown_column"),
        (1, "sex", "record.duplicate_column"),
        (1, "kind", "record.missing_column"),
        (1, "jurisdiction", "record.missing_column"),
        (1, "name", "record.missing_column"),
    ]
    assert "birth_date" in parsed.faults[1].remedy_en
    assert "issuing_body" in parsed.faults[2].remedy_zh
    assert "brith" not in str(parsed.faults)


def test_a_file_without_header_shows_nobody() -> None:
    data = to_csv(GOOD, GOOD).split(b"\r\n", 1)[1]
    parsed = parse_csv(data)
    assert parsed.records == ()
    assert parsed.faults
    assert "王小明" not in str(parsed.faults)
    assert "0119850303" not in str(parsed.faults)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "record.empty_file"),
        (b"\n\n,,\n", "record.empty_file"),
        (to_csv(), "record.empty_file"),
        (b"\xff\x80", "record.encoding"),
        (to_csv(GOOD).decode().encode("utf-32"), "record.encoding"),
        (b"a\x00\x00b", "record.encoding"),
        (to_csv(GOOD) + b'"', "record.csv_syntax"),
        (to_csv(GOOD) + b'"a"b,', "record.csv_syntax"),
        (to_csv(GOOD) + b"x" * 200_000, "record.csv_syntax"),
    ],
)
def test_files_refused_whole(data: bytes, code: str) -> None:
    parsed = parse_csv(data)
    assert parsed.records == ()
    assert [fault.code for fault in parsed.faults] == [code]


def test_limits_on_bytes_rows_and_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_FILE_BYTES", len(to_csv(GOOD)))
    assert parse_csv(to_csv(GOOD)).faults == ()
    assert codes(parse_csv(to_csv(GOOD) + b"\n")) == [(0, "", "record.file_too_large")]
    monkeypatch.undo()
    monkeypatch.setattr(module, "MAX_ROWS", 2)
    rows = [GOOD | {"purpose": str(number)} for number in range(4)]
    assert len(parse_csv(to_csv(*rows[:2])).records) == 2
    assert codes(parse_csv(to_csv(*rows[:3]))) == [(0, "", "record.too_many_rows")]
    assert codes(parse_csv(to_csv(*rows))) == [(0, "", "record.too_many_rows")]
    assert codes(parse_json(json.dumps(rows).encode())) == [(0, "", "record.too_many_rows")]
    assert of_row(name="王" * 40) == []
    assert of_row(name="王" * 41) == [(2, "name", "record.cell_too_long")]
    assert of_row(specialties="x" * 1_001) == [(2, "specialties", "record.cell_too_long")]


def test_short_numbers_are_looked_for_within_their_kind_and_once_a_row() -> None:
    class Counting(str):
        """A kind that counts how often it is compared."""

        __slots__ = ()
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Counting.compared += 1
            return str.__eq__(self, other)

    record = good()
    rows = [replace(record, kind=Counting(f"k{n}"), registration_no="2024") for n in range(300)]
    rows += [replace(record, kind="k", registration_no=number) for number in ("2024", *["12345"] * 5)]
    assert [(fault.code, fault.row) for fault in module._short_numbers(rows)] == [("record.short_number", record.row)]
    assert Counting.compared < 2 * len(rows)


def test_too_long_a_text_says_how_much_to_cut() -> None:
    fault = parse_csv(to_csv(GOOD | {"employer": "司" * 47})).faults[0]
    assert "7" in fault.remedy_zh
    assert fault.remedy_en == "cut 7 characters"


def test_cells_too_many_or_too_few() -> None:
    parsed = parse_csv(to_csv(GOOD) + b"a,b\n")
    assert codes(parsed) == [(3, "", "record.cell_count")]
    assert len(parsed.records) == 1
    assert "17" in parsed.faults[0].message_en


# Cells against each other and rows against each other


def test_identity_number_against_birth_and_sex() -> None:
    assert of_row(id_number="11010119850303002X") == [(2, "id_number", "record.id_number_sex")]
    assert of_row(birth_date="1985-03-04") == [(2, "id_number", "record.id_number_birth")]
    assert of_row(id_number="110101198503030371") == [(2, "id_number", "record.id_number_check")]
    assert of_row(id_number="11010119850303037") == [(2, "id_number", "record.id_number_form")]
    assert of_row(birth_date="x", sex="x") == [(2, "sex", "record.bad_sex"), (2, "birth_date", "record.bad_date")]


def test_no_fault_ever_repeats_a_value() -> None:
    bad = GOOD | {
        "id_number": "110101198503030371",
        "name": "王\u200b小明",
        "registration_no": "京" * 50,
        "birth_date": "三月三日",
        "photo": "../私密.jpg",
    }
    text = str(parse_csv(to_csv(bad)).faults)
    for value in ("11010119850303", "小明", "京京", "三月", "私密"):
        assert value not in text


def test_birth_issue_and_end_in_order() -> None:
    assert of_row(birth_date="2023-01-01", id_number="") == [(2, "birth_date", "record.birth_after_issue")]
    assert of_row(registered_until="2022-12-31") == [(2, "registered_until", "record.issue_after_end")]
    assert of_row(registered_until="2023-01-01") == []


def test_duplicate_and_conflicting_rows() -> None:
    second = GOOD | {"purpose": "B项目投标"}
    assert parse_csv(to_csv(GOOD, second)).faults == ()
    parsed = parse_csv(to_csv(GOOD, second, GOOD))
    assert codes(parsed) == [(4, "registration_no", "record.duplicate_row")]
    assert [record.row for record in parsed.records] == [2, 3]
    parsed = parse_csv(to_csv(GOOD, second | {"employer": "别的公司"}))
    assert codes(parsed) == [
        (2, "registration_no", "record.conflicting_rows"),
        (3, "registration_no", "record.conflicting_rows"),
    ]
    assert parsed.records == ()


# JSON


def test_json_reads_the_same() -> None:
    as_text = parse_json(json.dumps([GOOD]).encode())
    assert as_text.faults == ()
    specialties = [
        {"name": "建筑工程", "from": "2023-01-01", "to": "2026-01-01"},
        {"name": "市政公用工程", "from": "2023-05-01", "to": "2026-05-01"},
    ]
    as_objects = parse_json(json.dumps([GOOD | {"specialties": specialties, "jurisdiction": 0}]).encode())
    assert as_objects == as_text
    assert format_record(as_text.records[0]) == format_record(good())
    empty = parse_json(json.dumps([GOOD | {"purpose": None, "specialties": []}]).encode()).records[0]
    assert (empty.purpose, empty.specialties) == (None, ())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"[" * 100_000,
        b'[{"name": "a", "name": "b"}]',
        b'[{"jurisdiction": 1.5}]',
        b'[{"jurisdiction": NaN}]',
        b"[" + b"9" * 10_000 + b"]",
    ],
)
def test_json_refused_whole(data: bytes) -> None:
    assert codes(parse_json(data)) == [(0, "", "record.json_syntax")]


def test_a_key_that_every_object_has_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(columns, "nearest", lambda word, _known: asked.append(word) or "kind")
    found = parse_json(json.dumps([{"审批意见": "同意"}] * 50).encode())
    columns.nearest_column.cache_clear()
    assert [fault.code for fault in found.faults].count("record.unknown_key") == 50
    assert asked == ["审批意见"]


def test_rows_of_json_beyond_the_most_are_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 2)
    rows = json.dumps([GOOD, GOOD, GOOD]).encode()[:-1]
    assert codes(parse_json(rows + b", [" * 9)) == [(0, "", "record.too_many_rows")]
    assert codes(parse_json(b"[" + b"{}," * 1_000_000 + b"{}]")) == [(0, "", "record.too_many_rows")]


def test_keys_that_are_no_columns_are_compared_only_while_they_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def nearest_column(word: str) -> str:
        compared.append(word)
        return "name"

    monkeypatch.setattr(module, "nearest_column", nearest_column)
    most = module.MAX_UNKNOWN_KEYS
    few = parse_json(json.dumps([{f"x{n}": "" for n in range(most)}]).encode())
    assert {fault.code for fault in few.faults} >= {"record.unknown_key"}
    assert len(compared) == most
    for rows in ([{f"x{n}": "" for n in range(100_000)}], [{f"x{n}": ""} for n in range(40_000)]):
        compared.clear()
        assert codes(parse_json(json.dumps(rows).encode())) == [(0, "", "record.too_many_keys")]
        assert len(compared) <= most


@pytest.mark.parametrize(
    "data", [b"[{}", b"[{} {}]", b"[{},]", b"[,{}]", b"[{}]]", b"[{}] {}", b"[", b"", b"[{}}", b"]"]
)
def test_json_that_is_no_whole_array(data: bytes) -> None:
    assert codes(parse_json(data)) == [(0, "", "record.json_syntax")]


@pytest.mark.parametrize("space", [b"", b" ", b"\r\n\t "])
def test_space_in_json(space: bytes) -> None:
    one = json.dumps(GOOD).encode()
    assert len(parse_json(space.join([b"", b"[", one, b"]", b""])).records) == 1
    other = json.dumps(GOOD | {"purpose": "B"}).encode()
    assert len(parse_json(space.join([b"", b"[", one, b",", other, b"]", b""])).records) == 2
    assert codes(parse_json(space.join([b"", b"[", b"]", b""]))) == [(0, "", "record.empty_file")]


def test_json_files_refused_like_csv() -> None:
    assert codes(parse_json(b"\xff")) == [(0, "", "record.encoding")]
    assert codes(parse_json(b"[]")) == [(0, "", "record.empty_file")]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"nmae": "x"}, (1, "", "record.unknown_key")),
        ({"姓名": "x"}, (1, "", "record.unknown_key")),
        ({"name": "王\ue000"}, (1, "name", "record.private_use")),
        ({"name": 5}, (1, "name", "record.not_text")),
        ({"name": ["x"]}, (1, "name", "record.not_text")),
        ({"jurisdiction": True}, (1, "jurisdiction", "record.not_text")),
        ({"specialties": ["x"]}, (1, "specialties", "record.specialty_syntax")),
        ({"specialties": [{"name": "x"}]}, (1, "specialties", "record.specialty_syntax")),
        (
            {"specialties": [{"name": "x;y", "from": "2023-01-01", "to": "2023-01-01"}]},
            (1, "specialties", "record.specialty_syntax"),
        ),
        (
            {"specialties": [{"name": "x", "from": 5, "to": "2023-01-01"}]},
            (1, "specialties", "record.specialty_syntax"),
        ),
    ],
)
def test_json_rows_refused(cells: dict[str, Any], expected: tuple[int, str, str]) -> None:
    parsed = parse_json(json.dumps([GOOD | cells, GOOD]).encode())
    assert codes(parsed) == [expected]
    assert [record.row for record in parsed.records] == [2]


def test_format_record_is_canonical_and_reads_back() -> None:
    record = good()
    data = format_record(record)
    assert parse_json(b"[" + data + b"]").faults == ()
    again = parse_json(b"[" + data + b"]").records[0]
    assert format_record(again) == data
    assert b'"id_number":"11010119850303037X"' in data
    assert b"photos" not in data


def test_a_stored_record_is_read_as_it_is() -> None:
    """What the ledger holds was accepted when it came: newer checks of characters are for what comes now."""
    old = replace(good(), name="王\u2fa6", id_type=IdType.PASSPORT, id_number="E12345678")
    data = b"[" + format_record(old) + b"]"
    assert codes(parse_json(data)) == [(1, "name", "record.compatibility")]
    (again,) = parse_stored(data).records
    assert (again.name, again.id_type, again.id_number) == (old.name, old.id_type, old.id_number)
    assert b"id_type" not in format_record(good())


def test_json_has_the_limit_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1)
    assert codes(parse_json(b"[]")) == [(0, "", "record.file_too_large")]


# Everything


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_faults_not_exceptions(data: bytes) -> None:
    for parsed in (parse_csv(data), parse_json(data)):
        assert parsed.records == ()
        assert parsed.faults
    assert read_csv(data) == read_csv(data)


@given(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=60), max_size=4))
def test_any_cells_give_a_record_or_a_fault(cells: dict[str, str]) -> None:
    for parsed in (
        parse_csv(to_csv(GOOD | cells)),
        parse_json(json.dumps([GOOD | cells]).encode("utf-8", "surrogatepass")),
    ):
        assert len(parsed.records) == (0 if parsed.faults else 1)


def test_nearest() -> None:
    assert nearest("brith", COLUMNS) == "birth_date"
    assert nearest("\u4e00", ["a", "b"]) in {"a", "b"}
    assert nearest("", ["a"]) == "a"


def test_every_fault_speaks_both_languages_and_offers_a_remedy() -> None:
    arguments: dict[str, int | str] = {
        "limit": 1, "got": 2, "want": 3, "cut": 4, "place": 5, "other": 6, "nearest": "x", "low": "a", "high": "b",
        "encoding": "c", "what": "d", "count": 7, "codepoint": "e", "instead": "f", "serial": 8, "day": "g",
    }  # fmt: skip
    for code in FAULTS:
        fault = make_fault(3, "name", code, **arguments)
        assert code.startswith("record.")
        for text in (fault.message_zh, fault.message_en, fault.remedy_zh, fault.remedy_en):
            assert text
            assert "{" not in text
        assert not fault.message_zh.isascii()


def test_the_page_about_records_names_every_column_and_fault() -> None:
    page = (Path(__file__).parent.parent.parent / "docs/records.md").read_text("utf-8")
    assert all(f"`{column}`" in page for column in COLUMNS)
    for code, text in FAULTS.items():
        words = (text.message_zh, text.message_en, text.remedy_zh, text.remedy_en)
        assert f"| `{code}` | {' | '.join(words)} |" in page
        assert (f"| `{code}` |" in page.partition("## Codes of notes")[2]) == (text.severity is Severity.NOTE)
