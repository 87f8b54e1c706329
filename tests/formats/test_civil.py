"""Civil days at UTC+08:00: against datetime, and the strict spelling."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import civil

CHINA = datetime.timezone(datetime.timedelta(hours=8))


def test_constants_are_the_dates_they_name() -> None:
    assert civil.day_of(datetime.date(1970, 1, 1)) == 0
    assert civil.day_of(datetime.date(1900, 1, 1)) == civil.MIN_DAY
    assert civil.day_of(datetime.date.max) == civil.MAX_DAY


@given(st.dates())
def test_day_and_date_are_inverse(date: datetime.date) -> None:
    assert civil.date_of(civil.day_of(date)) == date


@pytest.mark.parametrize("day", [-719_163, civil.MAX_DAY + 1, 2**70, -(2**70)])
def test_rejects_days_outside_the_calendar(day: int) -> None:
    with pytest.raises(ValueError, match="no date"):
        civil.date_of(day)


def test_first_day_of_the_calendar() -> None:
    assert civil.date_of(-719_162) == datetime.date.min


@given(st.dates(min_value=datetime.date(1900, 1, 1), max_value=datetime.date(9999, 12, 30)))
def test_day_start_is_midnight_in_china(date: datetime.date) -> None:
    midnight = datetime.datetime(date.year, date.month, date.day, tzinfo=CHINA)
    start = civil.day_start(civil.day_of(date))
    assert start == int(midnight.timestamp())
    assert start % 86_400 == 57_600
    assert civil.day_of_time(start) == civil.day_of(date)
    assert civil.day_of_time(start - 1) == civil.day_of(date) - 1
    assert civil.day_of_time(start + 86_399) == civil.day_of(date)


@given(st.dates())
def test_parse_and_format_are_inverse(date: datetime.date) -> None:
    assert civil.format_day(civil.parse_day(date.isoformat())) == date.isoformat()


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-1-1", "2026-11-21 ", " 2026-11-21", "2026-11-21\n", "2026/11/21", "20261121", "２０２６-11-21"),
        *("2026-02-29", "2026-13-01", "2026-00-10", "0000-01-01", "+026-01-01", "2026-W01-1", "12026-01-01"),
    ],
)
def test_rejects_other_spellings(text: str) -> None:
    with pytest.raises(ValueError):
        civil.parse_day(text)


def test_chinese_spelling() -> None:
    assert civil.format_day_zh(civil.parse_day("2026-01-05")) == "2026年1月5日"


@pytest.mark.parametrize(
    ("born", "years", "turns"),
    [
        ("1961-11-21", 65, "2026-11-21"),
        ("1960-02-29", 65, "2025-02-28"),  # common year
        ("1960-02-29", 60, "2020-02-29"),
        ("2000-02-29", 100, "2100-02-28"),  # a century that is no leap year
        ("1960-02-29", 40, "2000-02-29"),  # one that is
        ("1961-02-28", 65, "2026-02-28"),
        ("1961-12-31", 0, "1961-12-31"),
    ],
)
def test_birthday(born: str, years: int, turns: str) -> None:
    assert civil.format_day(civil.birthday(civil.parse_day(born), years)) == turns


@given(st.dates(min_value=datetime.date(1900, 1, 1), max_value=datetime.date(2099, 12, 31)), st.integers(0, 120))
def test_birthday_is_in_the_right_year_and_month(born: datetime.date, years: int) -> None:
    turns = civil.date_of(civil.birthday(civil.day_of(born), years))
    assert (turns.year, turns.month) == (born.year + years, born.month)
    assert born.day - turns.day in (0, 1)
