"""A kind that is announced and not yet enabled is data: a day or `not-yet`, with its source."""

import pytest

from mingzheng.formats.civil import parse_day
from mingzheng.formats.library import read_shipped_profiles
from mingzheng.formats.profile import ProfileValueError, parse_profile

FILES = read_shipped_profiles()
BASE = FILES["cn.constructor.2.0.toml"]
OVERLAY = FILES["cn.constructor.2.61.toml"]
WHY = 'notice = "shaanxi-2018"\nclause = "一"\n'


def enabled(data: bytes, value: str, why: str = WHY) -> bytes:
    """The file with `enabled_from`."""
    return data + f"\n[enabled_from]\nvalue = {value}\n{why}".encode()


def test_absent_means_from_the_first_day_on() -> None:
    profile = parse_profile(BASE)
    assert profile.enabled_from is None
    assert profile.enabled_on(profile.effective_from)


def test_not_yet_enables_no_day_and_cites_the_notice() -> None:
    profile = parse_profile(enabled(BASE, '"not-yet"'))
    assert profile.enabled_from is not None
    assert profile.enabled_from.value is None
    assert profile.enabled_from.citation.clause == "一"
    assert not any(profile.enabled_on(day) for day in (0, profile.effective_from, parse_day("9999-12-31")))


@pytest.mark.parametrize(("day", "answer"), [("2024-02-29", False), ("2024-03-01", True), ("2024-03-02", True)])
def test_a_day_enables_itself_and_all_later_ones(day: str, answer: bool) -> None:
    assert parse_profile(enabled(BASE, '"2024-03-01"')).enabled_on(parse_day(day)) is answer


def test_an_overlay_says_otherwise_for_its_province() -> None:
    announced = enabled(BASE, '"not-yet"')
    assert not parse_profile(OVERLAY, base=announced).enabled_on(parse_day("2024-03-01"))
    assert parse_profile(enabled(OVERLAY, '"2024-03-01"'), base=announced).enabled_on(parse_day("2024-03-01"))


@pytest.mark.parametrize(
    ("value", "why", "place"),
    [
        ('"None"', WHY, "enabled_from.value"),
        ('"soon"', WHY, "enabled_from.value"),
        ('"2024-2-29"', WHY, "enabled_from.value"),
        ('"2023-02-29"', WHY, "enabled_from.value"),
        ("false", WHY, "enabled_from.value"),
        ('"not-yet"', "", "enabled_from"),
        ('"not-yet"', WHY + "surplus = 1\n", "enabled_from.surplus"),
    ],
)
def test_anything_else_is_refused_by_its_place(value: str, why: str, place: str) -> None:
    with pytest.raises(ProfileValueError) as caught:
        parse_profile(enabled(BASE, value, why))
    assert caught.value.path == place
