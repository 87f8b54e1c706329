"""What must hold of the rules for anybody on any day. MINGZHENG_FULL=1: 10^5 people and days, else fewer."""

import os
import random
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mingzheng.formats.civil import MAX_DAY, MIN_DAY, birthday, date_of, day_of, parse_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import (
    Cap,
    CapVerb,
    Citation,
    Profile,
    SpecialtyPick,
    WindowClosedError,
    WindowFacts,
    usage_last_day,
    usage_window,
)
from mingzheng.formats.rules_change import ChangeAnswer, ChangeFacts, change_application
from mingzheng.formats.rules_extension import (
    BlanketExtension,
    ExtensionAnswer,
    ExtensionError,
    ExtensionFacts,
    ExtensionState,
    moved_end,
)
from mingzheng.formats.rules_forms import FormFacts, form_standing
from mingzheng.formats.rules_model import Change, FormName, Renewal
from mingzheng.formats.rules_renewal import (
    ApplicationFacts,
    RenewalAnswer,
    RenewedAnswer,
    renewal_application,
    renewed_validity,
)
from mingzheng.formats.rules_source import Cited

PEOPLE = 100_000 if os.environ.get("MINGZHENG_FULL") == "1" else 4_000
PROFILES = load_shipped_profiles().profiles
WITH_WINDOW = [item for item in PROFILES if item.usage_window is not None]
RENEWING = [item for item in PROFILES if isinstance(item.rules.renewal, Renewal)]
FIRST, LAST = parse_day("2021-02-01"), parse_day("2060-12-31")
DAYS = st.integers(FIRST, LAST)
BIRTHS = st.integers(parse_day("1930-01-01"), parse_day("2005-12-31"))
NAMES = {"ids": lambda item: f"{item.id}.{item.jurisdiction}"}


def cap_day(profile: Profile, cap: Cap, facts: WindowFacts) -> int:
    """The last day a cap allows, in words of its own."""
    match cap.verb:
        case CapVerb.SPECIALTY_UNTIL:
            rule = profile.usage_window
            assert rule is not None
            assert rule.several_specialties is not None
            ends = sorted(facts.specialty_untils)
            return ends[-1] if rule.several_specialties.value is SpecialtyPick.LATEST else ends[0]
        case CapVerb.REGISTERED_UNTIL:
            assert facts.registered_until is not None
            return facts.registered_until
        case CapVerb.HOLDER_TURNS:
            assert facts.birth is not None
            born = date_of(facts.birth)
            years = cap.years or 0
            if (born.month, born.day) == (2, 29) and (born.year + years) % 4:
                born = born.replace(day=28)
            return day_of(born.replace(year=born.year + years))


def test_no_window_outlives_a_cap() -> None:
    """Random people, days and profiles; half of them near a border."""
    source = random.Random(20210201)
    closed = 0
    for _ in range(PEOPLE):
        profile = source.choice(WITH_WINDOW)
        download = source.randint(FIRST, LAST)
        near = source.random() < 0.5
        birth = birthday(download, 0) - 23_741 + source.randint(-2, 200) if near else source.randint(-14_000, 13_000)
        ends = tuple(download + source.randint(-3, 200 if near else 1_100) for _ in range(source.randint(1, 4)))
        facts = WindowFacts(download=download, specialty_untils=ends, registered_until=source.choice(ends), birth=birth)
        rule = profile.usage_window
        assert rule is not None
        caps = [cap_day(profile, cap, facts) for cap in rule.caps]
        limit = min([download + rule.days.value, *caps])
        assert usage_last_day(profile, facts) == (limit if limit >= download else None)
        try:
            found = usage_window(profile, facts)
        except WindowClosedError:
            assert limit < download
            closed += 1
            continue
        assert found.usage_until is not None
        assert download <= found.usage_until <= min([download + 180, *caps])
        assert found.usage_until == limit
    assert 0 < closed < PEOPLE


def age_of(rule: Renewal, birth: int) -> int | None:
    return birthday(birth, rule.age_cut.value) if isinstance(rule.age_cut, Cited) else None


@pytest.mark.parametrize("profile", RENEWING, **NAMES)  # type: ignore[arg-type]
@given(approved=DAYS, birth=BIRTHS)
@example(approved=parse_day("2021-06-01"), birth=parse_day("1956-06-01"))
@example(approved=parse_day("2024-02-29"), birth=parse_day("1960-02-29"))
def test_no_renewal_passes_the_birthday_where_the_rule_cuts(profile: Profile, approved: int, birth: int) -> None:
    rule = profile.rules.renewal
    assert isinstance(rule, Renewal)
    found = renewed_validity(profile, approved_on=approved, birth=birth)
    age = age_of(rule, birth)
    if found.answer is RenewedAnswer.CLOSED_BY_AGE:
        assert age is not None
        assert age < approved
        assert (found.valid_from, found.valid_until) == (None, None)
        return
    assert found.valid_from == approved
    assert found.valid_until is not None
    assert approved <= found.valid_until <= approved + 3 * 366
    if age is not None:
        assert found.valid_until <= age
        assert (found.valid_until == age) == (age <= birthday(approved, 3))


@pytest.mark.parametrize("profile", RENEWING, **NAMES)  # type: ignore[arg-type]
@given(end=DAYS, birth=BIRTHS)
def test_applications_open_and_close_once(profile: Profile, end: int, birth: int) -> None:
    """Walking day by day to the end and past it, answers never go back."""
    order = [
        RenewalAnswer.TOO_EARLY,
        RenewalAnswer.OPEN,
        RenewalAnswer.TOO_LATE,
        RenewalAnswer.OPEN_TRANSITION,
        RenewalAnswer.EXPIRED_LAPSED,
        RenewalAnswer.EXPIRED_AUTO_CANCEL,
        RenewalAnswer.CLOSED_BY_AGE,
    ]
    rule = profile.rules.renewal
    assert isinstance(rule, Renewal)
    seen = []
    for on in range(end - rule.opens.value - 2, end + 3):
        found = renewal_application(profile, ApplicationFacts(end=end, on=on, birth=birth))
        assert found.binding
        seen.append(order.index(found.answer))
        if found.answer is RenewalAnswer.OPEN:
            assert found.opens is not None
            assert found.closes is not None
            assert found.opens <= on <= found.closes <= end
    assert seen == sorted(seen)


@pytest.mark.parametrize("profile", PROFILES, **NAMES)  # type: ignore[arg-type]
@given(end=DAYS, left=st.integers(-3, 40), birth=BIRTHS)
def test_a_change_needs_the_days_its_notice_names(profile: Profile, end: int, left: int, birth: int) -> None:
    found = change_application(profile, ChangeFacts(end=end, on=end - left, birth=birth))
    rule = profile.rules.change
    if found.answer is ChangeAnswer.OPEN:
        assert isinstance(rule, Change)
        assert left >= rule.days_left.value
    elif found.answer in (ChangeAnswer.REFUSED, ChangeAnswer.EXPIRED):
        assert isinstance(rule, Change)
        assert left < rule.days_left.value
    assert found.binding


@pytest.mark.parametrize("profile", PROFILES, **NAMES)  # type: ignore[arg-type]
@given(on=st.integers(parse_day("2018-01-01"), LAST), until=DAYS)
def test_a_void_form_never_comes_back(profile: Profile, on: int, until: int) -> None:
    for form in FormName:
        found = form_standing(profile, FormFacts(form=form, on=on, issued_on=None, valid_until=until))
        later = form_standing(profile, FormFacts(form=form, on=on + 1, issued_on=None, valid_until=until))
        assert found.binding
        if found.answer == "FORM_RETIRED":
            assert later.answer == "FORM_RETIRED"
        if found.void_from is not None:
            assert (found.answer == "FORM_RETIRED") == (on >= found.void_from)


# Extensions

REASON = Citation(notice=None, clause=None, by_analogy_zh="假设", by_analogy_en="assumed")
PLAIN = BlanketExtension(
    first_end=10,
    last_end=20,
    new_end=30,
    kinds=(2,),
    jurisdictions=(21,),
    effective_on=5,
    retracted_on=None,
    moves_usage_window=False,
    revives_copies=False,
    citation=REASON,
)


@st.composite
def extensions(draw: st.DrawFn) -> BlanketExtension:
    first, last, new = sorted(draw(st.tuples(*[st.integers(0, 60)] * 3)))
    effective = draw(st.integers(0, 30))
    return BlanketExtension(
        first_end=first,
        last_end=last,
        new_end=new,
        kinds=draw(st.sampled_from([(2,), (3,), (2, 3)])),
        jurisdictions=draw(st.sampled_from([(21,), (0,), (21, 31), (31,)])),
        effective_on=effective,
        retracted_on=draw(st.none() | st.integers(effective, 40)),
        moves_usage_window=draw(st.booleans()),
        revives_copies=draw(st.booleans()),
        citation=REASON,
    )


SETS = st.lists(extensions(), max_size=6)
ENDS, ON = st.integers(0, 70), st.integers(0, 45)


def facts(end: int, on: int, usage_until: int | None = None) -> ExtensionFacts:
    return ExtensionFacts(kind=2, jurisdiction=21, end=end, usage_until=usage_until, on=on)


@given(known=SETS, end=ENDS, on=ON)
def test_extending_twice_is_extending_once(known: list[BlanketExtension], end: int, on: int) -> None:
    once = moved_end(known, facts(end, on))
    twice = moved_end(known, facts(once.end, on))
    assert twice.end == once.end
    assert twice.answer is ExtensionAnswer.UNMOVED
    assert once.end >= end
    assert (once.answer is ExtensionAnswer.MOVED) == (once.end > end)


@given(known=SETS, more=extensions(), end=ENDS, on=ON, seed=st.randoms())
def test_more_extensions_never_shorten_and_their_order_is_nothing(
    known: list[BlanketExtension], more: BlanketExtension, end: int, on: int, seed: random.Random
) -> None:
    found = moved_end(known, facts(end, on))
    assert moved_end([*known, more], facts(end, on)).end >= found.end
    mixed = list(known)
    seed.shuffle(mixed)
    assert moved_end(mixed, facts(end, on)).end == found.end


@given(known=SETS, end=ENDS, on=ON, usage=ENDS)
def test_the_usage_window_moves_only_where_the_notice_says_so(
    known: list[BlanketExtension], end: int, on: int, usage: int
) -> None:
    found = moved_end(known, facts(end, on, usage))
    assert found.usage_until is not None
    assert found.usage_until >= usage
    silent = [replace(one, moves_usage_window=False) for one in known]
    assert moved_end(silent, facts(end, on, usage)).usage_until == usage
    applied = [use.extension for use in found.history if use.state is ExtensionState.APPLIED]
    assert bool(applied) == (found.answer is ExtensionAnswer.MOVED)
    assert found.apply_again == (bool(applied) and not all(one.revives_copies for one in applied))


@given(known=SETS, end=ENDS, on=ON)
def test_what_is_retracted_stays_in_the_history_and_moves_nothing(
    known: list[BlanketExtension], end: int, on: int
) -> None:
    gone = [replace(one, effective_on=0, retracted_on=0) for one in known]
    found = moved_end(gone, facts(end, on))
    assert found.end == end
    ours = [one for one in gone if one.concerns(2, 21)]
    assert len(found.history) == len(ours)
    assert {use.state for use in found.history} <= {ExtensionState.RETRACTED}


def test_states_of_extensions() -> None:
    chain = replace(PLAIN, first_end=30, last_end=35, new_end=40, effective_on=6)
    short = replace(PLAIN, new_end=25, effective_on=7)
    found = moved_end([chain, short, PLAIN, replace(PLAIN, first_end=1, last_end=2, effective_on=8)], facts(15, 10))
    assert found.end == 40
    assert [(use.extension.new_end, use.state) for use in found.history] == [
        (30, ExtensionState.APPLIED),
        (40, ExtensionState.APPLIED),
        (25, ExtensionState.OUTRUN),
        (30, ExtensionState.OUT_OF_RANGE),
    ]
    assert found.binding == ("EXTENSION1", "EXTENSION2")
    assert moved_end([PLAIN], facts(15, 4)).history[0].state is ExtensionState.NOT_YET
    other = ExtensionFacts(kind=2, jurisdiction=31, end=15, usage_until=None, on=10)
    assert moved_end([PLAIN], other).history == ()
    assert moved_end([replace(PLAIN, jurisdictions=(0,))], other).end == 30


@pytest.mark.parametrize(
    "change",
    [
        {"first_end": 21},
        {"last_end": 31},
        {"new_end": 19},
        {"retracted_on": 4},
        {"kinds": ()},
        {"kinds": (3, 2)},
        {"kinds": (2, 2)},
        {"jurisdictions": ()},
        {"jurisdictions": (31, 21)},
        {"new_end": MAX_DAY + 1},
        {"effective_on": MIN_DAY - 1},
        {"effective_on": MIN_DAY, "retracted_on": MAX_DAY + 1},
    ],
)
def test_extensions_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ExtensionError) as caught:
        replace(PLAIN, **change)  # type: ignore[arg-type]
    assert caught.value.code == "rules.bad_extension"


def test_too_many_extensions() -> None:
    assert moved_end([PLAIN] * 1_000, facts(15, 10)).end == 30
    with pytest.raises(ExtensionError, match="1001"):
        moved_end([PLAIN] * 1_001, facts(15, 10))


def test_one_extension_that_does_not_revive_is_enough() -> None:
    first, then = replace(PLAIN, revives_copies=True), replace(PLAIN, first_end=30, last_end=35, new_end=40)
    assert moved_end([first, then], facts(15, 10)).apply_again
    assert not moved_end([first, replace(then, revives_copies=True)], facts(15, 10)).apply_again


def test_a_long_chain_is_followed() -> None:
    chain = [replace(PLAIN, first_end=n, last_end=n, new_end=n + 1) for n in range(1_000)]
    assert moved_end(chain, facts(0, 10)).end == 1_000
