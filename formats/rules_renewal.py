"""Renewal: when it may be applied for, and from when to when it is good.

Spec: docs/profiles.md, "Renewal". Two questions, since the day of approval is not the day of application. A unit
(specialty or registration) is judged by its own end. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.civil import birthday
from mingzheng.formats.profile_model import Profile
from mingzheng.formats.rules_age import age_day, age_name, border_steps, leap_steps, limit_step
from mingzheng.formats.rules_model import Renewal, Unrenewed
from mingzheng.formats.rules_source import Citation, Cited
from mingzheng.formats.rules_trace import Outcome, RuleStep, no_rule, step

__all__ = [
    "Application",
    "ApplicationFacts",
    "RenewalAnswer",
    "Renewed",
    "RenewedAnswer",
    "renewal_application",
    "renewed_validity",
]


class RenewalAnswer(StrEnum):
    """Whether a renewal may be applied for on a day."""

    OPEN = "OPEN"
    OPEN_TRANSITION = "OPEN_TRANSITION"
    TOO_EARLY = "TOO_EARLY"
    TOO_LATE = "TOO_LATE"
    EXPIRED_LAPSED = "EXPIRED_LAPSED"
    EXPIRED_AUTO_CANCEL = "EXPIRED_AUTO_CANCEL"
    CLOSED_BY_AGE = "CLOSED_BY_AGE"
    NO_RULE = "NO_RULE"


class RenewedAnswer(StrEnum):
    """Whether an approval grants a validity."""

    GRANTED = "GRANTED"
    CLOSED_BY_AGE = "CLOSED_BY_AGE"
    NO_RULE = "NO_RULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationFacts:
    """The end of a specialty or registration, the day of application, the date of birth."""

    end: int
    on: int
    birth: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Application(Outcome[RenewalAnswer]):
    """Whether one may apply; `opens` and `closes` are the first and last day (None without a rule)."""

    opens: int | None
    closes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed(Outcome[RenewedAnswer]):
    """The validity that an approval gives, both days included; None where it gives none."""

    valid_from: int | None
    valid_until: int | None


def renewal_application(profile: Profile, facts: ApplicationFacts) -> Application:
    """Tell whether a renewal may be applied for on `facts.on`.

    Age goes first, since it closes everything; then the end, then the days before it.

    Raises RuleFactError if the profile has a rule of age and no date of birth was given.
    """
    rule = profile.rules.renewal
    if isinstance(rule, Citation):
        return Application(answer=RenewalAnswer.NO_RULE, trace=no_rule("NO_RENEWAL", rule), opens=None, closes=None)
    opens, closes = facts.end - rule.opens.value, facts.end - rule.closes.value
    ages = _ages(profile, rule, facts)
    answer, deciding = _answer(rule, facts, aged=any(one.binding for one in ages))
    trace = [
        step("RENEW_OPENS", rule.opens.citation, "RENEW_OPENS" in deciding, day=opens),
        step("RENEW_CLOSES", rule.closes.citation, "RENEW_CLOSES" in deciding, day=closes),
        step("UNRENEWED", rule.unrenewed.citation, "UNRENEWED" in deciding, day=facts.end, word=rule.unrenewed.value),
    ]
    if rule.transition is not None:
        last = rule.transition
        trace.append(step("TRANSITION", last.citation, "TRANSITION" in deciding, day=last.value))
    trace += ages
    if answer in (RenewalAnswer.OPEN, RenewalAnswer.OPEN_TRANSITION):
        borders = (opens, closes) if rule.transition is None else (opens, closes, rule.transition.value)
        first_age = min((one.day for one in ages if one.day is not None), default=None)
        trace += border_steps(profile, facts.on, borders=borders, end=facts.end, age=first_age)
    if ages:
        trace += leap_steps(profile.rules.conventions.leap_day.citation, facts.birth)
    return Application(answer=answer, trace=tuple(trace), opens=opens, closes=closes)


def renewed_validity(profile: Profile, *, approved_on: int, birth: int | None) -> Renewed:
    """Return from when to when a renewal approved on `approved_on` is good.

    Raises RuleFactError if the validity is cut at an age and no date of birth was given.
    """
    rule = profile.rules.renewal
    if isinstance(rule, Citation):
        return Renewed(
            answer=RenewedAnswer.NO_RULE, trace=no_rule("NO_RENEWAL", rule), valid_from=None, valid_until=None
        )
    pins = profile.rules.conventions
    term = birthday(approved_on, rule.term.value)  # the same day and month; 29 February as for birthdays
    age = age_day(profile, rule.age_cut, birth) if isinstance(rule.age_cut, Cited) else None
    until = term if age is None else min(term, age)
    granted = until >= approved_on
    trace = [
        step("STARTS", rule.starts.citation, granted, day=approved_on),
        step(f"TERM{rule.term.value}", rule.term.citation, granted and until == term, day=term),
        step("TERM_END", rule.term_end.citation, granted and until == term, day=term),
    ]
    if isinstance(rule.age_cut, Cited):
        trace.append(step(age_name(rule.age_cut), rule.age_cut.citation, until == age, day=age))
    else:
        trace.append(step("NO_AGE_CUT", rule.age_cut, False))
    if age == term:
        trace.append(step("EXACT_TERM", pins.exact_term.citation, True, day=term))
    if age == approved_on:
        trace.append(step("BIRTHDAY", pins.birthday.citation, True, day=age))
    trace += leap_steps(pins.leap_day.citation, approved_on, None if age is None else birth)
    return Renewed(
        answer=RenewedAnswer.GRANTED if granted else RenewedAnswer.CLOSED_BY_AGE,
        trace=tuple(trace),
        valid_from=approved_on if granted else None,
        valid_until=until if granted else None,
    )


def _ages(profile: Profile, rule: Renewal, facts: ApplicationFacts) -> list[RuleStep]:
    """Return the steps of age: the limit on applications, and the age past which nothing is left to grant."""
    limit = limit_step(profile, facts.birth, facts.on)
    steps = [] if limit is None else [limit]
    if isinstance(rule.age_cut, Cited):
        day = age_day(profile, rule.age_cut, facts.birth)
        steps.append(step(age_name(rule.age_cut), rule.age_cut.citation, facts.on > day, day=day))
    return steps


def _answer(rule: Renewal, facts: ApplicationFacts, *, aged: bool) -> tuple[RenewalAnswer, frozenset[str]]:
    """Return the answer and the names of the steps that decide it; steps of age bind by themselves."""
    left = facts.end - facts.on
    if aged:
        return RenewalAnswer.CLOSED_BY_AGE, frozenset()
    if left < 0:
        if rule.transition is not None and facts.on <= rule.transition.value:
            return RenewalAnswer.OPEN_TRANSITION, frozenset({"TRANSITION"})
        if rule.unrenewed.value is Unrenewed.LAPSES:
            return RenewalAnswer.EXPIRED_LAPSED, frozenset({"UNRENEWED"})
        return RenewalAnswer.EXPIRED_AUTO_CANCEL, frozenset({"UNRENEWED"})
    if left > rule.opens.value:
        return RenewalAnswer.TOO_EARLY, frozenset({"RENEW_OPENS"})
    if left < rule.closes.value:
        return RenewalAnswer.TOO_LATE, frozenset({"RENEW_CLOSES"})
    return RenewalAnswer.OPEN, frozenset({"RENEW_OPENS", "RENEW_CLOSES"})
