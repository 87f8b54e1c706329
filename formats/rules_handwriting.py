"""Ink on a print: what a notice says of a missing or different signature, and what follows under a policy.

Spec: docs/profiles.md, "Ink". Whether ink is there and like the image is for a person; this says what it means. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mingzheng.formats.profile_model import Handwriting, Profile
from mingzheng.formats.rules_model import PolicyName, Severity
from mingzheng.formats.rules_trace import Outcome, step

__all__ = ["Ink", "InkAnswer", "InkJudgement", "judge_ink"]


class Ink(StrEnum):
    """What a person saw where the holder signs."""

    MISSING = "missing"
    DIFFERS = "differs"
    MATCHES = "matches"
    UNSEEN = "unseen"


class InkAnswer(StrEnum):
    """What the notice makes of it."""

    INVALID = "INVALID"
    NOT_USABLE = "NOT_USABLE"
    NOT_AS_REQUIRED = "NOT_AS_REQUIRED"
    MET = "MET"
    TO_COMPARE = "TO_COMPARE"
    NOT_ASKED = "NOT_ASKED"


_UNMET: Final = {
    Handwriting.INVALID_UNLESS_MATCHING: InkAnswer.INVALID,
    Handwriting.MUST_MATCH: InkAnswer.NOT_AS_REQUIRED,
    Handwriting.MUST_SIGN: InkAnswer.NOT_USABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InkJudgement(Outcome[InkAnswer]):
    """`severity`: what it means under the policy asked for; None where nothing is amiss."""

    severity: Severity | None


def judge_ink(profile: Profile, *, ink: Ink, policy: PolicyName) -> InkJudgement:
    """Tell what the notice makes of the ink on a print, and what follows under `policy`."""
    rule, levels = profile.handwriting, profile.rules.handwriting_severity
    answer = _answer(rule.value, ink)
    severity = None
    if ink is Ink.MISSING:
        severity = levels.missing[policy]
    elif ink is Ink.DIFFERS:
        severity = levels.differs[policy]
    trace = (
        step("HANDWRITING", rule.citation, True, word=rule.value),
        step("SEVERITY", levels.citation, severity is not None, word=severity),
    )
    return InkJudgement(answer=answer, trace=trace, severity=severity)


def _answer(rule: Handwriting, ink: Ink) -> InkAnswer:
    if rule is Handwriting.SILENT:
        return InkAnswer.NOT_ASKED
    if ink is Ink.UNSEEN:
        return InkAnswer.TO_COMPARE
    unmet = ink is Ink.MISSING or (ink is Ink.DIFFERS and rule is not Handwriting.MUST_SIGN)
    return _UNMET[rule] if unmet else InkAnswer.MET
