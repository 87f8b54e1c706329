"""Change of a registration: how many days must be left to its end.

Spec: docs/profiles.md, "Change". Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.profile_model import Profile
from mingzheng.formats.rules_age import border_steps, leap_steps, limit_step
from mingzheng.formats.rules_model import Change
from mingzheng.formats.rules_trace import Outcome, step

__all__ = ["ChangeAnswer", "ChangeApplication", "ChangeFacts", "change_application"]


class ChangeAnswer(StrEnum):
    """Whether a change may be applied for on a day."""

    OPEN = "OPEN"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"
    CLOSED_BY_AGE = "CLOSED_BY_AGE"
    NO_RULE = "NO_RULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFacts:
    """The end of the registration, the day of application, the date of birth."""

    end: int
    on: int
    birth: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeApplication(Outcome[ChangeAnswer]):
    """Whether one may apply; `closes` is the last day (None without a rule)."""

    closes: int | None


def change_application(profile: Profile, facts: ChangeFacts) -> ChangeApplication:
    """Tell whether a change may be applied for on `facts.on`.

    Raises RuleFactError if the profile has an age limit and no date of birth was given.
    """
    rule = profile.rules.change
    limit = limit_step(profile, facts.birth, facts.on)
    aged = limit is not None and limit.binding
    trace = [] if limit is None else [limit]
    if not isinstance(rule, Change):
        answer = ChangeAnswer.CLOSED_BY_AGE if aged else ChangeAnswer.NO_RULE
        trace.append(step("NO_CHANGE", rule, not aged))
        return ChangeApplication(answer=answer, trace=tuple(trace), closes=None)
    closes = facts.end - rule.days_left.value
    if aged:
        answer = ChangeAnswer.CLOSED_BY_AGE
    elif facts.on > facts.end:
        answer = ChangeAnswer.EXPIRED
    else:
        answer = ChangeAnswer.OPEN if facts.on <= closes else ChangeAnswer.REFUSED
    trace.insert(0, step("CHANGE_CLOSES", rule.days_left.citation, not aged, day=closes))
    if answer is ChangeAnswer.OPEN:
        age = None if limit is None else limit.day
        trace += border_steps(profile, facts.on, borders=(closes,), end=None, age=age)
    if limit is not None:
        trace += leap_steps(profile.rules.conventions.leap_day.citation, facts.birth)
    return ChangeApplication(answer=answer, trace=tuple(trace), closes=closes)
