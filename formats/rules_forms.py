"""Forms of a certificate: paper, the former electronic one, the present one, and what each is worth on a day.

Spec: docs/profiles.md, "Forms". Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.profile_model import Profile
from mingzheng.formats.rules_age import border_steps
from mingzheng.formats.rules_model import Form, FormName, Period, Precedence, Standing
from mingzheng.formats.rules_trace import Outcome, RuleFactError, RuleStep, step

__all__ = ["FormAnswer", "FormFacts", "FormStanding", "WhichHolds", "WhichHoldsAnswer", "form_standing", "which_holds"]


class FormAnswer(StrEnum):
    """What a certificate of a form is worth on a day."""

    VALID_EQUAL = "VALID_EQUAL"
    VALID_CONTINUES = "VALID_CONTINUES"
    EXPIRED = "EXPIRED"
    FORM_RETIRED = "FORM_RETIRED"
    NOT_IN_USE = "NOT_IN_USE"
    NO_RULE = "NO_RULE"


class WhichHoldsAnswer(StrEnum):
    """Which form holds where two of them differ."""

    ELECTRONIC = "ELECTRONIC"
    NO_RULE = "NO_RULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormFacts:
    """The form, the day judged, and of the certificate: its day of issue (None: not known), its own end."""

    form: FormName
    on: int
    issued_on: int | None
    valid_until: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormStanding(Outcome[FormAnswer]):
    """What the certificate is worth; `void_from`: the first day on which its form is no certificate, if one is set."""

    void_from: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhichHolds(Outcome[WhichHoldsAnswer]):
    """Which form holds where paper and electronic certificate differ."""


def form_standing(profile: Profile, facts: FormFacts) -> FormStanding:
    """Tell what a certificate of `facts.form` is worth on `facts.on`.

    Raises RuleFactError if its form is good only while it is itself, and its own end was not given.
    """
    form = next((one for one in profile.rules.forms if one.name is facts.form), None)
    if form is None:
        known = tuple(step("FORMS", one.citation, True, word=one.name) for one in profile.rules.forms)
        return FormStanding(answer=FormAnswer.NO_RULE, trace=known, void_from=None)
    period = next((one for one in form.periods if _within(facts.on, one.first_day, one.last_day)), None)
    issued = facts.issued_on is None or _within(facts.issued_on, form.issued_from, form.issued_until)
    answer = _answer(profile, facts, period if issued else None)
    trace = [
        step(
            "ISSUED",
            form.citation,
            not issued,
            day=_broken(facts.issued_on, form),
            word=form.name,
        )
    ]
    trace += [
        step(
            "STANDING", one.citation, issued and (one is period or period is None), day=one.first_day, word=one.standing
        )
        for one in form.periods
    ]
    if period is not None and answer is FormAnswer.VALID_CONTINUES:
        trace += border_steps(profile, facts.on, borders=(), end=facts.valid_until, age=None)
    void = next((one.first_day for one in form.periods if one.standing is Standing.VOID), None)
    return FormStanding(answer=answer, trace=tuple(trace), void_from=void)


def which_holds(profile: Profile) -> WhichHolds:
    """Tell which form holds where paper and electronic certificate differ."""
    rule = profile.rules.precedence
    electronic = rule.value is Precedence.ELECTRONIC
    trace: tuple[RuleStep, ...] = (step("PRECEDENCE", rule.citation, True, word=rule.value),)
    return WhichHolds(answer=WhichHoldsAnswer.ELECTRONIC if electronic else WhichHoldsAnswer.NO_RULE, trace=trace)


def _answer(profile: Profile, facts: FormFacts, period: Period | None) -> FormAnswer:
    if period is None:
        return FormAnswer.NOT_IN_USE
    if period.standing is Standing.VOID:
        return FormAnswer.FORM_RETIRED
    if period.standing is Standing.EQUAL:
        return FormAnswer.VALID_EQUAL
    if facts.valid_until is None:
        raise RuleFactError("valid_until", profile_id=profile.id)
    return FormAnswer.VALID_CONTINUES if facts.on <= facts.valid_until else FormAnswer.EXPIRED


def _broken(issued_on: int | None, form: Form) -> int | None:
    """The bound of the days of issue that counts: the one `issued_on` is beyond, else the last one set."""
    if issued_on is not None and form.issued_from is not None and issued_on < form.issued_from:
        return form.issued_from
    return form.issued_from if form.issued_until is None else form.issued_until


def _within(day: int, first: int | None, last: int | None) -> bool:
    return (first is None or first <= day) and (last is None or day <= last)
