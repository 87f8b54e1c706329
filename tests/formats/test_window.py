"""The usage window: every case of the vector file, and a naive oracle that walks day by day."""

import datetime
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mingzheng.formats.civil import date_of, day_of, parse_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import Cited, Profile, SpecialtyPick
from mingzheng.formats.window import (
    MissingFactError,
    WindowClosedError,
    WindowFacts,
    WindowState,
    usage_last_day,
    usage_window,
    window_state,
)

CASES = json.loads((Path(__file__).parent.parent / "vectors/rules/cases.json").read_text("utf-8"))["usage"]
CONSTRUCTOR, CONSTRUCTOR_2, ARCHITECT, SAFETY = 1, 2, 3, 6


def profile(kind: int, jurisdiction: int = 0, day: str = "2023-01-01") -> Profile:
    found = load_shipped_profiles().select(kind, jurisdiction, parse_day(day))
    assert found is not None
    return found


def case_facts(case: dict[str, str]) -> WindowFacts:
    end = parse_day(case["specialty_until"])
    architect = case["scheme"] == "architect"
    return WindowFacts(
        download=parse_day(case["download"]),
        specialty_untils=() if architect else (end,),
        registered_until=end if architect else None,
        birth=parse_day(case["birth"]),
    )


def test_all_cases_are_there() -> None:
    assert len(CASES) == 65
    assert {case["scheme"] for case in CASES} == {"constructor", "architect"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_case(case: dict) -> None:
    kind = ARCHITECT if case["scheme"] == "architect" else CONSTRUCTOR
    found = usage_window(profile(kind, day=case["download"]), case_facts(case))
    end_name = "REGISTRATION" if kind == ARCHITECT else "SPECIALTY"
    assert found.usage_until == parse_day(case["expect_until"])
    assert usage_last_day(profile(kind, day=case["download"]), case_facts(case)) == found.usage_until
    assert list(found.binding) == [end_name if name == "SPECIALTY" else name for name in case["binding"]]
    for check in case.get("checks", []):
        state = window_state(first_day=found.first_day, usage_until=found.usage_until, day=parse_day(check["on"]))
        assert state == check["expect"]


def oracle(download: int, ends: list[int], birth: int | None) -> tuple[int | None, list[str]]:
    """Walk from the first day on: a day is usable while every rule, in the notice's own words, allows it."""
    start = date_of(download)

    def breaks(day: datetime.date) -> list[str]:
        broken = []
        if (day - start).days > 180:
            broken.append("D180")
        if ends and all(day > date_of(end) for end in ends):
            broken.append("END")
        if birth is not None:
            born = date_of(birth)
            years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
            had = (born.month, born.day) == (2, 29) and (day.month, day.day) == (2, 28)
            leap = day.year % 4 == 0 and (day.year % 100 != 0 or day.year % 400 == 0)
            turned_before = years >= 65 and not (
                (day.month, day.day) == (born.month, born.day) and day.year - born.year == 65
            )
            if had and not leap and day.year - born.year == 65:
                turned_before = False  # on that very day
            if turned_before:
                broken.append("AGE65")
        return broken

    day, last = start, None
    while not breaks(day):
        last, day = day, day + datetime.timedelta(days=1)
    return (None if last is None else day_of(last)), breaks(day)


DAYS = st.integers(day_of(datetime.date(2021, 8, 1)), day_of(datetime.date(2035, 1, 1)))
NEAR = st.integers(-3, 200)


@given(download=DAYS, ends=st.lists(NEAR, min_size=1, max_size=3), turns=NEAR, leap_born=st.booleans())
@example(download=parse_day("2024-12-01"), ends=[200], turns=89, leap_born=True)
def test_constructor_agrees_with_the_oracle(download: int, ends: list[int], turns: int, leap_born: bool) -> None:
    on = date_of(download + turns)
    if leap_born:
        birth = day_of(datetime.date((on.year - 65) // 4 * 4, 2, 29))
    else:
        birth = day_of(datetime.date(on.year - 65, on.month, min(on.day, 28)))
    days = [download + end for end in ends]
    facts = WindowFacts(download=download, specialty_untils=tuple(days), registered_until=None, birth=birth)
    check(profile(CONSTRUCTOR), facts, *oracle(download, days, birth), end_name="SPECIALTY")


@given(download=DAYS, end=NEAR)
def test_architect_agrees_with_the_oracle(download: int, end: int) -> None:
    facts = WindowFacts(download=download, specialty_untils=(), registered_until=download + end, birth=-20_000)
    check(profile(ARCHITECT), facts, *oracle(download, [download + end], None), end_name="REGISTRATION")


def check(rules: Profile, facts: WindowFacts, until: int | None, broken: list[str], *, end_name: str) -> None:
    assert usage_last_day(rules, facts) == until
    if until is None:
        with pytest.raises(WindowClosedError) as caught:
            usage_window(rules, facts)
        assert caught.value.last_day < facts.download
        assert caught.value.code == "profile.window_closed"
        return
    found = usage_window(rules, facts)
    assert found.usage_until == until
    assert list(found.binding) == [end_name if name == "END" else name for name in broken]
    assert found.usage_until == min(step.day for step in found.trace)
    assert [step.rule for step in found.trace if step.binding] == list(found.binding)
    assert all(step.by_analogy == step.citation.by_analogy for step in found.trace)


def test_the_latest_specialty_counts_and_the_reason_is_stated() -> None:
    rules = profile(CONSTRUCTOR)
    download = parse_day("2022-06-27")
    facts = WindowFacts(
        download=download, specialty_untils=(download + 10, download + 90), registered_until=None, birth=0
    )
    assert usage_window(rules, facts).usage_until == download + 90
    assert rules.usage_window is not None
    pick = rules.usage_window.several_specialties
    assert pick is not None
    assert pick.citation.by_analogy
    assert "SPECIALTY_LAPSED" in pick.citation.text_en()
    earliest = replace(
        rules,
        usage_window=replace(
            rules.usage_window,
            several_specialties=Cited(value=SpecialtyPick.EARLIEST, citation=pick.citation),
        ),
    )
    assert usage_window(earliest, facts).usage_until == download + 10


@pytest.mark.parametrize(
    ("kind", "fact"),
    [(CONSTRUCTOR, "specialty_until"), (CONSTRUCTOR, "birth"), (ARCHITECT, "registered_until")],
)
def test_a_missing_fact_is_never_taken_as_no_cap(kind: int, fact: str) -> None:
    facts = WindowFacts(
        download=19_000,
        specialty_untils=() if fact == "specialty_until" else (20_000,),
        registered_until=None if fact == "registered_until" else 20_000,
        birth=None if fact == "birth" else 0,
    )
    with pytest.raises(MissingFactError) as caught:
        usage_window(profile(kind), facts)
    assert caught.value.fact == fact
    assert caught.value.code == "profile.missing_fact"
    assert usage_last_day(profile(kind), facts) is None


def test_shaanxi_has_no_window_and_says_why() -> None:
    facts = WindowFacts(download=19_000, specialty_untils=(), registered_until=None, birth=None)
    found = usage_window(profile(CONSTRUCTOR_2, 61), facts)
    assert (found.usage_until, found.binding, found.trace) == (None, (), ())
    assert found.no_window is not None
    assert usage_last_day(profile(CONSTRUCTOR_2, 61), facts) is None
    assert "陕西省" in found.no_window.text_zh()
    assert window_state(first_day=19_000, usage_until=None, day=99_999) is WindowState.VALID
    assert window_state(first_day=19_000, usage_until=None, day=18_999) is WindowState.NOT_YET_VALID


def test_liaoning_has_no_cap_by_age_and_shanghai_has() -> None:
    download, birth = parse_day("2022-07-01"), parse_day("1957-09-01")
    facts = WindowFacts(download=download, specialty_untils=(download + 900,), registered_until=None, birth=birth)
    assert usage_window(profile(CONSTRUCTOR_2, 21), facts).binding == ("D180",)
    assert usage_window(profile(CONSTRUCTOR_2, 31), facts).binding == ("AGE65",)
    assert usage_window(profile(CONSTRUCTOR_2, 33), facts).binding == ("AGE65",)


def test_safety_window_is_by_analogy() -> None:
    facts = WindowFacts(download=19_000, specialty_untils=(), registered_until=19_100, birth=None)
    found = usage_window(profile(SAFETY), facts)
    assert found.binding == ("REGISTRATION",)
    assert all(step.by_analogy for step in found.trace)


def test_borders_are_inside() -> None:
    assert window_state(first_day=5, usage_until=5, day=4) is WindowState.NOT_YET_VALID
    assert window_state(first_day=5, usage_until=5, day=5) is WindowState.VALID
    assert window_state(first_day=5, usage_until=5, day=6) is WindowState.USAGE_EXPIRED
