"""Re-issue: the exchange of a certificate, and what changed data call for.

Spec: docs/profiles.md, "Re-issue". Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.profile_model import Profile
from mingzheng.formats.rules_age import border_steps, leap_steps, limit_step
from mingzheng.formats.rules_model import DataChanged
from mingzheng.formats.rules_source import Citation
from mingzheng.formats.rules_trace import Outcome, step

__all__ = ["DataChange", "DataChangeAnswer", "Exchange", "ReissueAnswer", "ReissueFacts", "data_change", "exchange"]


class ReissueAnswer(StrEnum):
    """Whether a certificate may be exchanged on a day."""

    ALLOWED = "ALLOWED"
    REFUSED_EXPIRED = "REFUSED_EXPIRED"
    REFUSED_PENDING = "REFUSED_PENDING"
    CLOSED_BY_AGE = "CLOSED_BY_AGE"
    NO_RULE = "NO_RULE"


class DataChangeAnswer(StrEnum):
    """What changed data call for."""

    DOWNLOAD_AGAIN = "DOWNLOAD_AGAIN"
    NO_RULE = "NO_RULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReissueFacts:
    """The day of re-issue, the end of the registration, whether another matter is pending, the date of birth."""

    on: int
    registered_until: int
    pending: bool
    birth: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Outcome[ReissueAnswer]):
    """What the new certificate bears (None where there is none) and whether earlier copies are superseded."""

    issued_on: int | None
    registered_until: int | None
    supersedes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChange(Outcome[DataChangeAnswer]):
    """What holders of copies with the former data must do."""


def exchange(profile: Profile, facts: ReissueFacts) -> Exchange:
    """Tell whether the certificate may be exchanged on `facts.on`, and what the new one bears.

    Age goes first, since it closes everything. Raises RuleFactError if the profile has an age limit and no date of
    birth was given.
    """
    rule, limit = profile.rules.reissue, limit_step(profile, facts.birth, facts.on)
    aged = limit is not None and limit.binding
    if isinstance(rule, Citation):
        answer = ReissueAnswer.CLOSED_BY_AGE if aged else ReissueAnswer.NO_RULE
        reason = step("NO_REISSUE", rule, not aged)
        trace = (reason,) if limit is None else (limit, reason)
        return Exchange(answer=answer, trace=trace, issued_on=None, registered_until=None, supersedes=False)
    if aged:
        answer = ReissueAnswer.CLOSED_BY_AGE
    elif facts.on > facts.registered_until:
        answer = ReissueAnswer.REFUSED_EXPIRED
    else:
        answer = ReissueAnswer.REFUSED_PENDING if facts.pending else ReissueAnswer.ALLOWED
    allowed = answer is ReissueAnswer.ALLOWED
    steps = [
        step("ONLY_WHILE", rule.only_while.citation, not aged, day=facts.registered_until, word=rule.only_while.value),
        step("VALIDITY", rule.validity.citation, allowed, day=facts.registered_until, word=rule.validity.value),
        step("ISSUE_DATE", rule.issue_date.citation, allowed, day=facts.on, word=rule.issue_date.value),
        step("OLD_COPIES", rule.old_copies.citation, allowed, word=rule.old_copies.value),
    ]
    if limit is not None:
        steps.append(limit)
    if allowed:
        age = None if limit is None else limit.day
        steps += border_steps(profile, facts.on, borders=(), end=facts.registered_until, age=age)
    if limit is not None:
        steps += leap_steps(profile.rules.conventions.leap_day.citation, facts.birth)
    return Exchange(
        answer=answer,
        trace=tuple(steps),
        issued_on=facts.on if allowed else None,
        registered_until=facts.registered_until if allowed else None,
        supersedes=allowed,
    )


def data_change(profile: Profile) -> DataChange:
    """Tell what changed data call for."""
    rule = profile.rules.data_changed
    again = rule.value is DataChanged.DOWNLOAD_AGAIN
    return DataChange(
        answer=DataChangeAnswer.DOWNLOAD_AGAIN if again else DataChangeAnswer.NO_RULE,
        trace=(step("DATA_CHANGED", rule.citation, True, word=rule.value),),
    )
