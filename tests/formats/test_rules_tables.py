"""The rule tables of a profile: what is read, what is refused, and how overlays replace them."""

import contextlib
import copy
import tomllib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.civil import format_day, parse_day
from mingzheng.formats.library import load_shipped_profiles, read_shipped_profiles
from mingzheng.formats.profile import (
    Citation,
    Handwriting,
    Profile,
    ProfileError,
    ProfileValueError,
    parse_profile,
    parse_profiles,
)
from mingzheng.formats.rules_change import ChangeAnswer, ChangeFacts, change_application
from mingzheng.formats.rules_extend import EndFacts, extended_end
from mingzheng.formats.rules_extension import BlanketExtension, ExtensionAnswer
from mingzheng.formats.rules_forms import FormAnswer, FormFacts, form_standing
from mingzheng.formats.rules_lock import LockAnswer, LockFacts, lock_state
from mingzheng.formats.rules_model import (
    AgeLimit,
    Change,
    ExtensionRule,
    FormName,
    PolicyName,
    Reissue,
    Renewal,
    Severity,
    Unit,
)
from mingzheng.formats.rules_pick import governing_or_next, own_or_national
from mingzheng.formats.rules_renewal import ApplicationFacts, RenewalAnswer, renewal_application, renewed_validity
from mingzheng.formats.rules_trace import RuleFactError

FILES = read_shipped_profiles()
BASE, LIAONING = FILES["cn.constructor.2.0.toml"], FILES["cn.constructor.2.21.toml"]
SHANGHAI, PILOT_BASE = FILES["cn.constructor.2.31.toml"], FILES["cn.constructor.1.0.toml"]
REASON = {"by_analogy": {"zh": "甲", "en": "a"}}
Change_ = Callable[[dict[str, Any]], object]


def dump(value: object) -> str:
    """A TOML value in one line."""
    if isinstance(value, int):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(dump(item) for item in value) + "]"
    assert isinstance(value, dict)
    return "{" + ", ".join(f"{dump(key)} = {dump(item)}" for key, item in value.items()) + "}"


def changed(data: bytes, change: Change_) -> bytes:
    document = copy.deepcopy(tomllib.loads(data.decode()))
    change(document)
    return "".join(f"{dump(key)} = {dump(value)}\n" for key, value in document.items()).encode()


def put(*path_and_value: Any) -> Change_:
    *path, last, value = path_and_value

    def change(document: dict[str, Any]) -> None:
        inner: Any = document
        for step in path:
            inner = inner[step]
        inner[last] = value

    return change


def drop(*path: Any) -> Change_:
    def change(document: dict[str, Any]) -> None:
        inner: Any = document
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]

    return change


def liaoning(change: Change_ = lambda document: None) -> Profile:
    return parse_profile(changed(LIAONING, change), base=BASE)


def shanghai(change: Change_ = lambda document: None) -> Profile:
    return parse_profile(changed(SHANGHAI, change), base=BASE)


# What is read


def test_liaoning_and_the_ministry_are_kept_apart() -> None:
    here, there = liaoning().rules, parse_profile(PILOT_BASE).rules
    assert isinstance(here.renewal, Renewal)
    assert isinstance(there.renewal, Renewal)
    assert (here.renewal.opens.value, here.renewal.closes.value) == (30, 5)
    assert (there.renewal.opens.value, there.renewal.closes.value) == (30, 0)
    assert (here.renewal.unit.value, there.renewal.unit.value) == (Unit.REGISTRATION, Unit.SPECIALTY)
    assert isinstance(here.renewal.age_cut, Citation)
    assert not isinstance(there.renewal.age_cut, Citation)
    assert isinstance(here.age_limit, AgeLimit)
    assert isinstance(there.age_limit, Citation)
    assert isinstance(here.change, Change)
    assert isinstance(there.change, Citation)


@pytest.mark.parametrize("place", [11, 31, 33, 46])
def test_the_pilot_provinces_have_the_transition_and_others_not(place: int) -> None:
    profiles = load_shipped_profiles()
    pilot, other = (profiles.select(1, where, parse_day("2021-02-01")) for where in (place, 44))
    assert pilot is not None
    assert other is not None
    assert pilot.jurisdiction == place
    assert isinstance(pilot.rules.renewal, Renewal)
    assert isinstance(other.rules.renewal, Renewal)
    assert pilot.rules.renewal.transition is not None
    assert format_day(pilot.rules.renewal.transition.value) == "2021-06-30"
    assert other.rules.renewal.transition is None
    assert other.rules.renewal.opens.citation.by_analogy
    assert not pilot.rules.renewal.opens.citation.by_analogy


def test_an_extension_of_a_profile_is_of_its_kind_and_place() -> None:
    rule = liaoning().rules.extension
    assert isinstance(rule, ExtensionRule)
    (one,) = rule.granted
    assert (one.kinds, one.jurisdictions) == ((2,), (21,))
    assert not one.moves_usage_window
    assert not one.revives_copies
    assert rule.granted_from[0].value == one.effective_on
    assert rule.granted_from[0].citation.by_analogy
    assert not one.citation.by_analogy
    generous = liaoning(put("extension", "usage_window", "value", "moved")).rules.extension
    assert isinstance(generous, ExtensionRule)
    assert generous.granted[0].moves_usage_window
    reviving = liaoning(put("extension", "old_copies", "value", "revive")).rules.extension
    assert isinstance(reviving, ExtensionRule)
    assert reviving.granted[0].revives_copies


def test_ink_by_policy() -> None:
    levels = parse_profile(PILOT_BASE).rules.handwriting_severity
    assert levels.missing == {
        PolicyName.SITE: Severity.DUTY,
        PolicyName.BID: Severity.BLOCKS,
        PolicyName.AUDIT: Severity.BLOCKS,
    }
    assert shanghai().rules.handwriting_severity.differs[PolicyName.BID] is Severity.NOTE
    assert liaoning().handwriting.value is Handwriting.SILENT


def test_a_body_may_seal_for_another() -> None:
    shaanxi = parse_profile(FILES["cn.constructor.2.61.toml"], base=BASE)
    (slot,) = shaanxi.seals
    assert slot.on_behalf_of == "陕西省住房和城乡建设厅" != slot.name
    assert parse_profile(PILOT_BASE).seals[0].on_behalf_of is None


@pytest.mark.parametrize(("value", "before", "after"), [("not-yet", False, False), ("2023-01-01", False, True)])
def test_a_kind_announced_before_it_opens(value: str, before: bool, after: bool) -> None:
    profile = parse_profile(changed(PILOT_BASE, put("enabled_from", {"value": value, **REASON})))
    assert profile.enabled_on(parse_day("2022-12-31")) is before
    assert profile.enabled_on(parse_day("2023-01-01")) is after
    assert parse_profile(PILOT_BASE).enabled_on(0)


def test_a_shared_reason_is_the_reason_itself() -> None:
    short = put("photo", {"value": "required", "by_analogy": "why"})
    given = changed(changed(PILOT_BASE, short), put("reasons", "why", {"zh": "甲", "en": "a"}))
    citation = parse_profile(given).photo.citation
    assert (citation.by_analogy_zh, citation.by_analogy_en) == ("甲", "a")


# Overlays


PAIRS = ["usage_window", "renewal", "age_limit", "change", "reissue", "extension", "lock"]


@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_and_its_absence_replace_each_other(name: str) -> None:
    def absent(document: dict[str, Any]) -> None:
        document.pop(name, None)
        document[f"no_{name}"] = REASON

    profile = liaoning(absent)
    rule = profile.no_usage_window if name == "usage_window" else getattr(profile.rules, name)
    assert isinstance(rule, Citation)
    with pytest.raises(ProfileValueError, match=f"state either {name} or no_{name}"):
        liaoning(lambda document: (put(f"no_{name}", REASON)(document), put(name, {})(document)))
    base = changed(BASE, lambda document: (document.pop(name, None), document.pop(f"no_{name}", None)))
    with pytest.raises(ProfileValueError, match=f"state either {name} or no_{name}"):
        parse_profile(base)


def test_a_rule_replaces_its_absence() -> None:
    assert isinstance(parse_profile(BASE).rules.change, Citation)
    assert isinstance(liaoning().rules.change, Change)


def test_what_an_overlay_does_not_name_holds_as_in_the_base() -> None:
    base, here = parse_profile(BASE).rules, liaoning().rules
    assert here.conventions == base.conventions
    assert here.reissue == base.reissue
    assert here.lock == base.lock
    assert isinstance(here.reissue, Reissue)


def test_shared_keys_may_be_stated_again_only_as_they_are() -> None:
    base = tomllib.loads(BASE.decode())
    for table in ("notices", "reasons"):
        key = next(iter(base[table]))
        again = changed(LIAONING, lambda doc, t=table, k=key: doc.setdefault(t, {}).update({k: base[t][k]}))  # type: ignore[misc]
        assert parse_profile(again, base=BASE) == liaoning()
        other = changed(LIAONING, lambda doc, t=table, k=key: doc.setdefault(t, {}).update({k: {"zh": "乙"}}))  # type: ignore[misc]
        with pytest.raises(ProfileValueError) as caught:
            parse_profile(other, base=BASE)
        assert caught.value.path == f"{table}.{key}"
    with pytest.raises(ProfileValueError, match="reasons"):
        liaoning(put("reasons", 5))


# What is refused


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from places(item, (*path, place))


RULES = ("renewal", "age_limit", "change", "forms", "extension", "handwriting", "reissue")
MAY_GO = {"by_analogy", "from", "until", "issued_from", "issued_until", "granted"}


@pytest.mark.parametrize("data", [LIAONING, SHANGHAI], ids=["ln", "sh"])
def test_every_key_is_needed_typed_and_alone(data: bytes) -> None:
    """`granted` may be empty; a bound that is not there is open, and an analogy that is not there leaves the clause."""
    document = tomllib.loads(data.decode())
    paths = [path for path in places(document) if path[0] in RULES]
    assert len(paths) > 50
    for path in paths:
        if path[-1] not in MAY_GO and not isinstance(path[-1], int) and len(path) > 1:
            with pytest.raises(ProfileValueError):
                parse_profile(changed(data, drop(*path)), base=BASE)
        with pytest.raises(ProfileValueError):
            parse_profile(changed(data, put(*path, True)), base=BASE)
        inner: Any = document
        for step in path:
            inner = inner[step]
        if isinstance(inner, dict):
            with pytest.raises(ProfileValueError, match="unknown key"):
                parse_profile(changed(data, put(*path, "surplus", 1)), base=BASE)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (put("renewal", "closes", "value", 31), "renewal.closes"),
        (put("renewal", "opens", "value", 367), "renewal.opens.value"),
        (put("renewal", "opens", "value", -1), "renewal.opens.value"),
        (put("renewal", "term", "value", 0), "renewal.term.value"),
        (put("renewal", "term", "value", 11), "renewal.term.value"),
        (put("renewal", "unit", "value", "person"), "renewal.unit.value"),
        (put("renewal", "starts", "value", "end"), "renewal.starts.value"),
        (put("renewal", "term_end", "value", "day_before"), "renewal.term_end.value"),
        (put("renewal", "unrenewed", "value", "nothing"), "renewal.unrenewed.value"),
        (put("renewal", "transition", {"value": "30 June", **REASON}), "renewal.transition.value"),
        (put("renewal", "age_cut", {"value": 65, **REASON}), "renewal.age_cut"),
        (put("age_limit", "years", "value", 0), "age_limit.years.value"),
        (put("age_limit", "years", "value", 151), "age_limit.years.value"),
        (put("change", "days_left", "value", 0), "change.days_left.value"),
        (put("change", "days_left", "notice", "nobody"), "change.days_left.notice"),
        (put("renewal", "starts", "by_analogy", "nothing"), "renewal.starts.by_analogy"),
        (put("conventions", {}), "conventions.borders"),
        (put("data_changed", {"value": "perhaps", **REASON}), "data_changed.value"),
        (put("precedence", {"value": "paper", **REASON}), "precedence.value"),
        (put("forms", []), "forms"),
        (put("forms", 0, "form", "paper"), "forms"),
        (drop("forms", 0), "forms"),
        (put("forms", 0, "form", "stone"), "forms[0].form"),
        (put("forms", 0, "issued_until", "2022-03-06"), "forms[0].issued_until"),
        (put("forms", 0, "standing", []), "forms[0].standing"),
        (put("forms", 0, "standing", 0, "until", "2022-03-06"), "forms[0].standing[0].until"),
        (put("forms", 0, "standing", 0, "value", "good"), "forms[0].standing[0].value"),
        (put("extension", "moves", "value", "usage_window"), "extension.moves.value"),
        (put("extension", "usage_window", "value", "perhaps"), "extension.usage_window.value"),
        (put("extension", "old_copies", "value", "perhaps"), "extension.old_copies.value"),
        (put("extension", "granted", 0, "new_end", "2022-06-29"), "extension.granted[0]"),
        (put("extension", "granted", 0, "retracted", "2022-03-11"), "extension.granted[0]"),
        (put("extension", "granted", 0, "from", "2022-03-12"), "extension.granted[0].from"),
        (put("handwriting", "severity", "missing", "bid", "duty"), "handwriting.severity"),
        (put("handwriting", "severity", "differs", "site", "blocks"), "handwriting.severity"),
        (put("handwriting", "severity", "differs", "site", "shrug"), "handwriting.severity.differs.site"),
        (put("handwriting", "severity", "missing", "party", "note"), "handwriting.severity.missing.party"),
        (put("lock", {"stops": {"value": "all", **REASON}}), "lock.stops.value"),
        (put("enabled_from", {"value": "soon", **REASON}), "enabled_from.value"),
    ],
)
def test_values_outside_the_closed_sets_are_refused(change: Change_, place: str) -> None:
    with pytest.raises(ProfileValueError) as caught:
        liaoning(change)
    assert caught.value.path == place


def test_periods_of_a_form_follow_each_other() -> None:
    for first in ("2023-05-31", "2023-06-02"):
        with pytest.raises(ProfileValueError) as caught:
            shanghai(put("forms", 1, "standing", 1, "from", first))
        assert caught.value.path == "forms[1].standing[1].from"
    for change in (drop("forms", 1, "standing", 1, "from"), drop("forms", 1, "standing", 0, "until")):
        with pytest.raises(ProfileValueError, match="a period begins the day after"):
            shanghai(change)


def test_what_is_not_asked_for_is_a_note() -> None:
    with pytest.raises(ProfileValueError, match="note"):
        shanghai(put("handwriting", "severity", "differs", "bid", "duty"))
    mild = shanghai(put("handwriting", "severity", "missing", "bid", "note"))
    assert mild.rules.handwriting_severity.missing[PolicyName.BID] is Severity.NOTE


def test_a_kind_without_specialties_renews_its_registration() -> None:
    renewal = tomllib.loads(PILOT_BASE.decode())["renewal"]
    architect = FILES["cn.architect.1.0.toml"]

    def renews(document: dict[str, Any]) -> None:
        del document["no_renewal"]
        document["renewal"] = {
            key: {**value, "notice": "naab-2021", "clause": "全文"} | REASON for key, value in renewal.items()
        }

    with pytest.raises(ProfileValueError) as caught:
        parse_profile(changed(architect, renews))
    assert caught.value.path == "renewal.unit"
    both = changed(changed(architect, renews), put("renewal", "unit", "value", "registration"))
    assert isinstance(parse_profile(both).rules.renewal, Renewal)


# Answers that no shipped profile gives


END, ON = parse_day("2022-06-30"), parse_day("2022-06-20")


def test_no_rule_is_an_answer_with_its_reason() -> None:
    without = liaoning(lambda doc: (doc.pop("renewal"), put("no_renewal", REASON)(doc)))
    found = renewal_application(without, ApplicationFacts(end=END, on=ON, birth=None))
    assert (found.answer, found.binding, found.opens) == (RenewalAnswer.NO_RULE, ("NO_RENEWAL",), None)
    assert renewed_validity(without, approved_on=ON, birth=None).binding == ("NO_RENEWAL",)
    unlocked = liaoning(lambda doc: put("no_lock", REASON)(doc))
    state = lock_state(unlocked, LockFacts(locked_on=0, unlocked_on=None, on=ON))
    assert (state.answer, state.binding) == (LockAnswer.NO_RULE, ("NO_LOCK",))


def test_an_age_limit_holds_without_a_rule_of_change() -> None:
    profile = liaoning(lambda doc: (doc.pop("change"), put("no_change", REASON)(doc)))
    young, old = parse_day("1980-01-01"), parse_day("1950-01-01")
    assert change_application(profile, ChangeFacts(end=END, on=ON, birth=young)).answer is ChangeAnswer.NO_RULE
    found = change_application(profile, ChangeFacts(end=END, on=ON, birth=old))
    assert (found.answer, found.binding) == (ChangeAnswer.CLOSED_BY_AGE, ("AGE65",))


def test_a_limit_and_a_cut_together() -> None:
    both = liaoning(
        lambda doc: (
            put("renewal", "age_cut", {"value": 60, **REASON})(doc),
            drop("renewal", "no_age_cut")(doc),
        )
    )
    found = renewal_application(both, ApplicationFacts(end=END, on=ON, birth=parse_day("1960-01-01")))
    assert (found.answer, found.binding) == (RenewalAnswer.CLOSED_BY_AGE, ("AGE60",))


def test_signed_notices_hold_where_the_profile_has_no_rule() -> None:
    profile = liaoning(lambda doc: (doc.pop("extension"), put("no_extension", REASON)(doc)))
    facts = EndFacts(jurisdiction=21, end=END, usage_until=None, on=ON)
    assert extended_end(profile, (), facts).answer is ExtensionAnswer.NO_RULE
    notice = BlanketExtension(
        first_end=END,
        last_end=END,
        new_end=END + 30,
        kinds=(2,),
        jurisdictions=(21,),
        effective_on=ON,
        retracted_on=None,
        moves_usage_window=True,
        revives_copies=True,
        citation=Citation(notice=None, clause=None, by_analogy_zh="假设", by_analogy_en="assumed"),
    )
    found = extended_end(profile, [notice], EndFacts(jurisdiction=21, end=END, usage_until=END, on=ON))
    assert (found.answer, found.end, found.usage_until) == (ExtensionAnswer.MOVED, END + 30, END + 30)
    assert not found.apply_again


def test_a_form_good_only_while_it_is_itself_needs_its_end() -> None:
    facts = FormFacts(form=FormName.PAPER, on=ON, issued_on=None, valid_until=None)
    with pytest.raises(RuleFactError) as caught:
        form_standing(liaoning(), facts)
    assert (caught.value.fact, caught.value.code) == ("valid_until", "rules.missing_fact")


def test_days_of_issue_have_two_bounds() -> None:
    bounded = liaoning(put("forms", 0, "issued_until", "2023-12-31"))
    for issued, answer, bound in (
        ("2022-03-06", FormAnswer.NOT_IN_USE, "2022-03-07"),
        ("2022-03-07", FormAnswer.VALID_EQUAL, "2023-12-31"),
        ("2023-12-31", FormAnswer.VALID_EQUAL, "2023-12-31"),
        ("2024-01-01", FormAnswer.NOT_IN_USE, "2023-12-31"),
    ):
        facts = FormFacts(
            form=FormName.ELECTRONIC, on=parse_day("2024-01-01"), issued_on=parse_day(issued), valid_until=None
        )
        found = form_standing(bounded, facts)
        assert found.answer is answer
        assert found.trace[0].day == parse_day(bound)


def test_which_profile_speaks_of_a_day_before_it() -> None:
    profiles = load_shipped_profiles()
    before, after = parse_day("2022-06-26"), parse_day("2022-06-27")
    early = parse_day("2000-01-01")

    def place(found: Profile | None) -> int | None:
        return None if found is None else found.jurisdiction

    assert place(governing_or_next(profiles, 2, 31, before)) == 0
    assert place(own_or_national(profiles, 2, 31, before)) == 31
    assert place(own_or_national(profiles, 2, 31, after)) == 31
    assert place(governing_or_next(profiles, 2, 31, early)) == 31
    assert place(governing_or_next(profiles, 2, 44, early)) == 0
    assert place(own_or_national(profiles, 2, 44, after)) == 0
    assert place(own_or_national(profiles, 2, 44, early)) == 0
    assert governing_or_next(profiles, 99, 0, early) is None
    assert own_or_national(profiles, 99, 0, early) is None
    only = parse_profiles([PILOT_BASE])
    assert place(governing_or_next(only, 1, 31, early)) == 0


def test_where_no_rule_speaks_of_age_no_birth_is_needed() -> None:
    ageless = liaoning(lambda doc: (doc.pop("age_limit"), put("no_age_limit", REASON)(doc)))
    found = renewal_application(ageless, ApplicationFacts(end=END, on=ON, birth=None))
    assert (found.answer, found.binding) == (RenewalAnswer.OPEN, ("RENEW_OPENS", "RENEW_CLOSES"))
    changed_one = change_application(ageless, ChangeFacts(end=END, on=ON, birth=None))
    assert (changed_one.answer, changed_one.binding) == (ChangeAnswer.OPEN, ("CHANGE_CLOSES", "BORDERS"))
    assert renewed_validity(ageless, approved_on=ON, birth=None).valid_until == parse_day("2025-06-20")
    with pytest.raises(RuleFactError, match="birth"):
        change_application(liaoning(), ChangeFacts(end=END, on=ON, birth=None))


ODD = st.one_of(
    st.none().map(lambda _: {}),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=12),
    st.sampled_from(["2022-02-30", "0001-01-01", "9999-12-31", "not-yet", "specialty", "equal", "末段", "electronic"]),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["value", "notice", "by_analogy", "until"]), st.text(max_size=4), max_size=2),
)


@given(name=st.sampled_from(["cn.constructor.2.21.toml", "cn.constructor.2.31.toml"]), odd=ODD, where=st.randoms())
def test_a_damaged_file_is_read_or_refused(name: str, odd: object, where: Random) -> None:
    """No other error than ours, whatever stands in the place of a value."""
    document = tomllib.loads(FILES[name].decode())
    path = where.choice([path for path in places(document) if path[0] in RULES])
    with contextlib.suppress(ProfileError):
        parse_profile(changed(FILES[name], put(*path, odd)), base=BASE)
