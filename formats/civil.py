"""Civil days at fixed UTC+08:00 as integers (docs/spec/credential.md, "Conventions").

A day counts from 1970-01-01. China has one zone and no summer time since 1991; the format
fixes +08:00 for every day, so no time-zone database takes part. All arithmetic is on integers;
`datetime` serves only to name a day.
"""

from __future__ import annotations

import datetime
import re
from typing import Final

SECONDS_PER_DAY: Final = 86_400
UTC_OFFSET: Final = 28_800  # +08:00
MIN_DAY: Final = -25_567  # 1900-01-01
MAX_DAY: Final = 2_932_896  # 9999-12-31, also written for "no end"

_EPOCH_ORDINAL: Final = 719_163  # date(1970, 1, 1).toordinal()
_DAY_TEXT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_of(date: datetime.date) -> int:
    """The day number of a civil date."""
    return date.toordinal() - _EPOCH_ORDINAL


def date_of(day: int) -> datetime.date:
    """The civil date of a day number; ValueError outside 0001-01-01 … 9999-12-31."""
    if not 1 <= day + _EPOCH_ORDINAL <= MAX_DAY + _EPOCH_ORDINAL:
        raise ValueError(f"day {day} is no date of the calendar")
    return datetime.date.fromordinal(day + _EPOCH_ORDINAL)


def day_start(day: int) -> int:
    """Seconds since the epoch at 00:00+08:00 of `day`."""
    return day * SECONDS_PER_DAY - UTC_OFFSET


def day_of_time(seconds: int) -> int:
    """The day at UTC+08:00 in which the instant `seconds` falls."""
    return (seconds + UTC_OFFSET) // SECONDS_PER_DAY


def parse_day(text: str) -> int:
    """The day of a text like "2026-11-21"; ASCII digits and this spelling only, else ValueError."""
    if _DAY_TEXT.fullmatch(text) is None:
        raise ValueError("a day is written YYYY-MM-DD")
    return day_of(datetime.date(int(text[:4]), int(text[5:7]), int(text[8:])))


def format_day(day: int) -> str:
    """A day as "2026-11-21"."""
    return date_of(day).isoformat()


def format_day_zh(day: int) -> str:
    """A day as "2026年11月21日", months and days without leading zero."""
    date = date_of(day)
    return f"{date.year}年{date.month}月{date.day}日"


def birthday(birth_day: int, years: int) -> int:
    """The day on which a person born on `birth_day` turns `years`.

    Someone born on 29 February turns a year older on 28 February of a common year
    (a convention of ours: the notices do not say).
    """
    born = date_of(birth_day)
    year = born.year + years
    if born.month == 2 and born.day == 29 and not _is_leap(year):
        return day_of(datetime.date(year, 2, 28))
    return day_of(datetime.date(year, born.month, born.day))


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
