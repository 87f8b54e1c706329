"""The rules of the notices: the table of dated cases, and the shape of every answer.

Each case of tests/vectors/rules/dated.json names the step that decides and the clause that step must cite.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mingzheng.formats.civil import format_day, parse_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import Citation, Profile, WindowFacts, usage_window
from mingzheng.formats.rules_change import ChangeAnswer, ChangeFacts, change_application
from mingzheng.formats.rules_ends import EndsAnswer, EndsFacts, ends_on
from mingzheng.formats.rules_extend import EndFacts, extended_end
from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.formats.rules_forms import FormAnswer, FormFacts, form_standing, which_holds
from mingzheng.formats.rules_handwriting import Ink, InkAnswer, judge_ink
from mingzheng.formats.rules_images import ImageAnswer, required_images
from mingzheng.formats.rules_lock import LockAnswer, LockFacts, lock_state
from mingzheng.formats.rules_model import FormName, PolicyName
from mingzheng.formats.rules_pick import governing_or_next, own_or_national
from mingzheng.formats.rules_reissue import ReissueAnswer, ReissueFacts, data_change, exchange
from mingzheng.formats.rules_renewal import ApplicationFacts, RenewalAnswer, renewal_application, renewed_validity
from mingzheng.formats.rules_seals import SealAnswer, required_seals
from mingzheng.formats.rules_trace import Outcome

TABLE = json.loads((Path(__file__).parent.parent / "vectors/rules/dated.json").read_text("utf-8"))
CASES = TABLE["cases"]
Facts = dict[str, Any]


def pick(case: dict[str, Any]) -> Profile:
    """The profile that answers, as the command picks it."""
    facts, profiles = case["facts"], load_shipped_profiles()
    day = facts.get("--on") or facts.get("--download") or facts["--issued-on"]
    code = profiles.code_of(case["kind"])
    assert code is not None
    choose = {"seal": governing_or_next, "form": own_or_national, "precedence": own_or_national}
    found = choose.get(case["ask"], own_or_national if case["ask"] == "extension" else type(profiles).select)(
        profiles, code, case["jurisdiction"], parse_day(day)
    )
    assert found is not None
    return found


def day(facts: Facts, name: str) -> int | None:
    return parse_day(facts[name]) if name in facts else None


def text(value: int | None) -> str | None:
    return None if value is None else format_day(value)


def some(value: int | None) -> int:
    assert value is not None
    return value


def ask_renewal(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    (end,) = facts["--until"]
    asked = ApplicationFacts(end=parse_day(end), on=some(day(facts, "--on")), birth=day(facts, "--birth"))
    return renewal_application(profile, asked), {}


def ask_renewed(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    found = renewed_validity(profile, approved_on=some(day(facts, "--approved-on")), birth=day(facts, "--birth"))
    return found, {"valid_from": text(found.valid_from), "valid_until": text(found.valid_until)}


def ask_change(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    asked = ChangeFacts(end=some(day(facts, "--until")), on=some(day(facts, "--on")), birth=day(facts, "--birth"))
    return change_application(profile, asked), {}


def ask_reissue(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    until, pending = some(day(facts, "--registered-until")), facts.get("--pending", False)
    on, birth = some(day(facts, "--on")), day(facts, "--birth")
    found = exchange(profile, ReissueFacts(on=on, registered_until=until, pending=pending, birth=birth))
    return found, {
        "issued_on": text(found.issued_on),
        "registered_until": text(found.registered_until),
        "supersedes": found.supersedes,
    }


def ask_seal(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    found = required_seals(profile, issued_on=some(day(facts, "--issued-on")), present=facts["--seal"])
    return found, {"missing": list(found.missing), "others": list(found.others)}


def ask_form(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    asked = FormFacts(
        form=FormName(facts["--form"]),
        on=some(day(facts, "--on")),
        issued_on=day(facts, "--issued-on"),
        valid_until=day(facts, "--valid-until"),
    )
    return form_standing(profile, asked), {}


def granted(given: str, profile: Profile, place: int) -> BlanketExtension:
    days = [parse_day(part) for part in given.split(":")]
    return BlanketExtension(
        first_end=days[0],
        last_end=days[1],
        new_end=days[2],
        kinds=(profile.code,),
        jurisdictions=(place,),
        effective_on=days[3],
        retracted_on=days[4] if len(days) > 4 else None,
        moves_usage_window=False,
        revives_copies=False,
        citation=Citation(notice=None, clause=None, by_analogy_zh="假设", by_analogy_en="assumed"),
    )


def ask_extension(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    place = facts["place"]
    given = [granted(one, profile, place) for one in facts.get("--grant", [])]
    asked = EndFacts(
        jurisdiction=place,
        end=some(day(facts, "--until")),
        usage_until=day(facts, "--usage-until"),
        on=some(day(facts, "--on")),
    )
    found = extended_end(profile, given, asked)
    return found, {
        "until": text(found.end),
        "usage_until": text(found.usage_until),
        "apply_again": found.apply_again,
    }


def ask_ends(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    asked = EndsFacts(
        on=some(day(facts, "--on")),
        registered_until=some(day(facts, "--registered-until")),
        specialty_untils=tuple(map(parse_day, facts.get("--specialty-until", []))),
    )
    found = ends_on(profile, asked)
    return found, {"ended": [format_day(end) for end in found.ended]}


def ask_ink(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    found = judge_ink(profile, ink=Ink(facts["--ink"]), policy=PolicyName(facts["--policy"]))
    return found, {"severity": found.severity}


def ask_images(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    found = required_images(profile, photo=facts["--photo"], signature_image=facts["--signature-image"])
    return found, {"missing": list(found.missing)}


def ask_lock(profile: Profile, facts: Facts) -> tuple[Outcome[Any], Facts]:
    asked = LockFacts(
        locked_on=some(day(facts, "--locked-on")),
        unlocked_on=day(facts, "--unlocked-on"),
        on=some(day(facts, "--on")),
    )
    found = lock_state(profile, asked)
    return found, {"public": found.public, "copies_out_affected": found.copies_out_affected}


ASK: dict[str, Callable[[Profile, Facts], tuple[Outcome[Any], Facts]]] = {
    "ends": ask_ends,
    "renewal": ask_renewal,
    "renewed": ask_renewed,
    "change": ask_change,
    "reissue": ask_reissue,
    "data_changed": lambda profile, _: (data_change(profile), {}),
    "seal": ask_seal,
    "form": ask_form,
    "precedence": lambda profile, _: (which_holds(profile), {}),
    "extension": ask_extension,
    "handwriting": ask_ink,
    "images": ask_images,
    "lock": ask_lock,
}


def cited(case: dict[str, Any], citations: list[Citation]) -> None:
    """One of the deciding steps of that name cites the case's notice and clause, by analogy or not."""
    notice = case["notice"] and TABLE["notices"][case["notice"]]
    if notice:
        assert case["clause"] in notice["clauses"], "the clause is quoted in the table"
    want = (notice and notice["key"], case["clause"], case["by_analogy"])
    found = [(one.notice and one.notice.key, one.clause, one.by_analogy) for one in citations]
    assert want in found


@pytest.mark.parametrize("case", [one for one in CASES if one["ask"] == "window"], ids=lambda case: str(case["id"]))
def test_window_case(case: dict[str, Any]) -> None:
    facts = case["facts"]
    found = usage_window(
        pick(case),
        WindowFacts(
            download=parse_day(facts["--download"]),
            specialty_untils=tuple(map(parse_day, facts.get("--specialty-until", []))),
            registered_until=day(facts, "--registered-until"),
            birth=day(facts, "--birth"),
        ),
    )
    assert text(found.usage_until) == case["expect"]["usage_until"]
    assert list(found.binding) == case["expect"]["binding"]
    if case["step"] == "NO_WINDOW":
        assert found.no_window is not None
        cited(case, [found.no_window])
    else:
        cited(case, [step.citation for step in found.trace if step.binding and step.rule == case["step"]])


@pytest.mark.parametrize("case", [one for one in CASES if one["ask"] != "window"], ids=lambda case: str(case["id"]))
def test_case(case: dict[str, Any]) -> None:
    profile = pick(case)
    found, more = ASK[case["ask"]](profile, case["facts"] | {"place": case["jurisdiction"]})
    expect = dict(case["expect"])
    assert found.answer == expect.pop("answer")
    assert {key: more[key] for key in expect} == expect
    assert found.binding
    assert case["step"] in found.binding
    cited(case, [step.citation for step in found.trace if step.binding and step.rule == case["step"]])


# The table itself


def test_every_rule_has_five_cases_and_every_notice_is_cited() -> None:
    counts = Counter(case["rule"] for case in CASES)
    assert len(counts) == 24
    assert min(counts.values()) >= 5, counts
    assert {case["notice"] for case in CASES} == {*TABLE["notices"], None}
    assert len({case["id"] for case in CASES}) == len(CASES)


def test_every_rule_and_every_question_has_five_cases_with_notice_and_clause() -> None:
    """Dated, and each citing both: a case by a convention of ours does not count."""
    dated = [case for case in CASES if {"--on", "--download", "--issued-on"} & case["facts"].keys()]
    assert len(dated) == len(CASES)
    full = [case for case in CASES if case["notice"] and case["clause"]]
    by_rule, by_ask = Counter(case["rule"] for case in full), Counter(case["ask"] for case in full)
    assert {rule: by_rule[rule] for rule in {case["rule"] for case in CASES} if by_rule[rule] < 5} == {}
    assert {ask: by_ask[ask] for ask in {"window", *ASK} if by_ask[ask] < 5} == {}


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        ("ends", set(EndsAnswer)),
        ("renewal-ministry", {RenewalAnswer.TOO_EARLY, RenewalAnswer.OPEN, RenewalAnswer.EXPIRED_LAPSED}),
        ("renewal-transition", {RenewalAnswer.OPEN_TRANSITION, RenewalAnswer.EXPIRED_LAPSED}),
        ("renewal-liaoning", {RenewalAnswer.TOO_EARLY, RenewalAnswer.TOO_LATE, RenewalAnswer.EXPIRED_AUTO_CANCEL}),
        ("age-limit", {RenewalAnswer.OPEN, RenewalAnswer.CLOSED_BY_AGE}),
        ("change", set(ChangeAnswer) - {ChangeAnswer.CLOSED_BY_AGE}),
        ("reissue", set(ReissueAnswer) - {ReissueAnswer.CLOSED_BY_AGE}),
        ("age-limit", {ReissueAnswer.ALLOWED, ReissueAnswer.CLOSED_BY_AGE}),
        ("seals-together", set(SealAnswer)),
        ("paper-shaanxi", {FormAnswer.VALID_CONTINUES, FormAnswer.EXPIRED, FormAnswer.NOT_IN_USE}),
        ("paper-architect", {FormAnswer.VALID_EQUAL, FormAnswer.FORM_RETIRED}),
        ("handwriting", set(InkAnswer)),
        ("images", set(ImageAnswer)),
        ("lock", {LockAnswer.FREE, LockAnswer.NO_NEW_COPY}),
    ],
)
def test_the_table_has_both_sides(rule: str, answers: set[str]) -> None:
    assert {str(one) for one in answers} <= {case["expect"]["answer"] for case in CASES if case["rule"] == rule}


def test_borders_come_in_pairs() -> None:
    """Two neighbouring days with different answers, for every rule that has days at all."""
    without = {"data-changed", "seals-together", "precedence", "handwriting", "images", "several-specialties"}
    without |= {"usage-window", "renewed-validity", "reissue", "extension-retracted"}  # pairs in the facts, not in --on
    for rule in {case["rule"] for case in CASES} - without:
        days = {}
        for case in CASES:
            if case["rule"] == rule:
                facts = case["facts"]
                on = parse_day(facts.get("--on") or facts["--issued-on"])
                days.setdefault(on, set()).add(case["expect"]["answer"])
        assert any(on + 1 in days and days[on] != days[on + 1] for on in days), rule
