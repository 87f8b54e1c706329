"""Cells: one spelling or a few named ones per value."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.civil import day_of, format_day, parse_day
from mingzheng.formats.claims import Sex
from mingzheng.issuer.cells import (
    PROVINCES,
    CellError,
    read_date,
    read_jurisdiction,
    read_path,
    read_sex,
    read_specialties,
    read_text,
)


def code_of(call: object, *arguments: object, **named: object) -> str:
    assert callable(call)
    with pytest.raises(CellError) as caught:
        call(*arguments, **named)
    return caught.value.code


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)))
def test_spellings_of_a_date(date: datetime.date) -> None:
    day = day_of(date)
    for text in (
        date.isoformat(),
        f"{date.year}年{date.month}月{date.day}日",
        f"{date.year}/{date.month}/{date.day}",
        f"{date.year}/{date.month:02}/{date.day:02}",
        f"{date.year}.{date.month}.{date.day}",
        f"{date.year}-{date.month}-{date.day}",
        date.strftime("%Y%m%d"),
        f"{date.isoformat()} 00:00:00",
        f"{date.isoformat()}T00:00:00.000",
        f"{date.year}/{date.month}/{date.day} 0:00",
    ):
        assert read_date(text) == read_date(text, birth=True) == day


@pytest.mark.parametrize(
    "text",
    [
        "", "2022-6-", "27/06/2022", "6/27/2022", "22/6/27", "2022.6", "2022062", "20220231", "2022年6月27",
        "2022-02-29", "2022-00-01", "2022/13/1", "2022-06-27 ", " 2022-06-27", "２０２２-06-27", "2022–06–27",
        "2022-06-27T00:01", "2022-06-27 12:00:00", "+2022-06-27", "2022/006/27", "44739", "0000-01-01",
    ],
)  # fmt: skip
def test_other_dates_are_refused(text: str) -> None:
    assert code_of(read_date, text) == "record.bad_date"


def test_dates_out_of_range() -> None:
    assert code_of(read_date, "1899-12-31") == "record.date_range"
    assert code_of(read_date, "2100-01-01", birth=True) == "record.date_range"
    assert format_day(read_date("9999-12-31")) == "9999-12-31"


def test_sex_and_jurisdiction() -> None:
    assert [read_sex(text) for text in ("男", "1", "male")] == [Sex.MALE] * 3
    assert [read_sex(text) for text in ("女", "2", "female")] == [Sex.FEMALE] * 3
    assert code_of(read_sex, "0") == "record.bad_sex"
    assert [read_jurisdiction(text) for text in ("0", "11", "31", "82")] == [0, 11, 31, 82]
    assert [read_jurisdiction(text) for text in ("cn", "CN", "sh", "Sn", "LN")] == [0, 0, 31, 61, 21]
    assert len(PROVINCES) == len(set(PROVINCES.values())) == 34
    for text in ("", "00", "1", "10", "16", "99", "310000", "３１", "-1", "+31", "沪", "zz", "ſh", "s"):
        assert code_of(read_jurisdiction, text) == "record.bad_jurisdiction"


@pytest.mark.parametrize("dot", ["•", "‧", "∙", "⋅", "・", "･", "\u0387", "\u00b7", "᛫", "⸱"])
def test_interpuncts_become_one(dot: str) -> None:
    assert read_text(f"买买提{dot}艾力") == "买买提\u00b7艾力"


def test_text_rule() -> None:
    assert read_text("𠮷" * 40) == "𠮷" * 40
    for bad in ("王\u200b明", "王\u3000明", "王\u202e明", "王\ue000明", "王\x00明", " 王", "e\u0301"):
        assert code_of(read_text, bad) == "record.text"
    with pytest.raises(CellError) as caught:
        read_text("王" * 43)
    assert caught.value.arguments == {"got": 43, "limit": 40, "cut": 3}
    with pytest.raises(CellError) as caught:
        read_text("王e\u0301")
    assert caught.value.arguments == {"place": 3}


@pytest.mark.parametrize("path", ["1.jpg", "photos/1.jpg", "照片/王.png", "a b.png", "买买提•艾力.jpg"])
def test_paths_taken(path: str) -> None:
    assert read_path(path) == path


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "C:\\x", "C:/x", "a\\b", "a\x00b", "x" * 201]
)
def test_paths_refused(path: str) -> None:
    with pytest.raises(CellError):
        read_path(path)


def test_specialties() -> None:
    found = read_specialties("建筑工程：2023-01-01：2026-01-01； 10:2023/1/1:2026年1月1日;")
    assert [item.name for item in found] == ["建筑工程", "10"]
    assert found[0].last_day == found[1].last_day == parse_day("2026-01-01")
    one_day = read_specialties("1:2023-01-01:2023-01-01")[0]
    assert one_day.first_day == one_day.last_day


@pytest.mark.parametrize(
    ("cell", "code", "place"),
    [
        ("建筑工程", "record.specialty_syntax", 1),
        ("建筑工程:2023-01-01", "record.specialty_syntax", 1),
        ("a:2023-01-01:2023-01-02:x", "record.specialty_syntax", 1),
        ("a:2023-01-01:2023-01-02;;b:2023-01-01:2023-01-02", "record.specialty_syntax", 2),
        (":2023-01-01:2023-01-02", "record.specialty_syntax", 1),
        ("a\u200bb:2023-01-01:2023-01-02", "record.specialty_syntax", 1),
        ("a:2023-1-0:2023-01-02", "record.specialty_dates", 1),
        ("a:2023-01-02:2023-01-01", "record.specialty_dates", 1),
        ("a:2023-01-01:2023-01-02;a:2024-01-01:2024-01-02", "record.specialty_twice", 2),
    ],
)
def test_specialties_refused(cell: str, code: str, place: int) -> None:
    with pytest.raises(CellError) as caught:
        read_specialties(cell)
    assert (caught.value.code, caught.value.arguments) == (code, {"place": place})


def test_number_of_specialties() -> None:
    cells = [f"{number}:2023-01-01:2023-01-02" for number in range(1, 18)]
    assert len(read_specialties(";".join(cells[:16]))) == 16
    assert code_of(read_specialties, ";".join(cells)) == "record.specialty_count"
