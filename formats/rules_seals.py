"""The seals a copy must carry: by kind, jurisdiction and day of issue, all of them together.

Spec: docs/profiles.md, "Seals". Names are compared as they stand; whether a seal is genuine is the verifier's
business and trust data. Pure.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.profile_model import Profile
from mingzheng.formats.rules_trace import Outcome, step

__all__ = ["SealAnswer", "SealCheck", "required_seals"]


class SealAnswer(StrEnum):
    """How the seals on a copy stand to those that are called for."""

    COMPLETE = "COMPLETE"
    MISSING = "MISSING"
    OTHER_BODY = "OTHER_BODY"
    NO_RULE = "NO_RULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealCheck(Outcome[SealAnswer]):
    """Names in the order of the profile: what is called for, what is not there, what does not belong there."""

    required: tuple[str, ...]
    missing: tuple[str, ...]
    others: tuple[str, ...]


def required_seals(profile: Profile, *, issued_on: int, present: Collection[str]) -> SealCheck:
    """Compare the names of the seals on a copy issued on `issued_on` with those in force that day.

    A seal that is not called for outweighs one that is missing: it was put there by somebody.
    """
    required = tuple(slot.name for slot in profile.seals_on(issued_on))
    missing = tuple(name for name in required if name not in present)
    others = tuple(sorted(set(present) - set(required)))
    if not required:
        answer = SealAnswer.NO_RULE
    elif others:
        answer = SealAnswer.OTHER_BODY
    else:
        answer = SealAnswer.MISSING if missing else SealAnswer.COMPLETE
    steps = tuple(
        step("SEAL", slot.citation, slot.in_force(issued_on) or not required, day=slot.first_day, word=slot.name)
        for slot in profile.seals
    )
    return SealCheck(answer=answer, trace=steps, required=required, missing=missing, others=others)
