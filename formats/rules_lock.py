"""Lock: no new copy can be obtained; nothing is published; copies already out stay as they are.

Spec: docs/profiles.md, "Lock". Apart from suspension, which is an act in the log. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.profile_model import Profile
from mingzheng.formats.rules_source import Citation
from mingzheng.formats.rules_trace import Outcome, no_rule, step

__all__ = ["LockAnswer", "LockFacts", "LockState", "lock_state"]


class LockAnswer(StrEnum):
    """Whether a new copy can be obtained on a day."""

    NO_NEW_COPY = "NO_NEW_COPY"
    FREE = "FREE"
    NO_RULE = "NO_RULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFacts:
    """First day of the lock, first day after it (None: still locked), the day asked for."""

    locked_on: int
    unlocked_on: int | None
    on: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockState(Outcome[LockAnswer]):
    """`public` and `copies_out_affected` are always False: the notice goes no further, nor does the program."""

    public: bool
    copies_out_affected: bool


def lock_state(profile: Profile, facts: LockFacts) -> LockState:
    """Tell whether a new copy can be obtained on `facts.on`; the day of the lock is inside, that of the unlock not."""
    rule = profile.rules.lock
    if isinstance(rule, Citation):
        trace = no_rule("NO_LOCK", rule)
        return LockState(answer=LockAnswer.NO_RULE, trace=trace, public=False, copies_out_affected=False)
    locked = facts.locked_on <= facts.on and (facts.unlocked_on is None or facts.on < facts.unlocked_on)
    steps = (
        step("LOCK_STOPS", rule.stops.citation, True, day=facts.locked_on, word=rule.stops.value),
        step("LOCK_SHOWN", rule.shown.citation, locked, word=rule.shown.value),
        step("LOCK_COPIES_OUT", rule.copies_out.citation, locked, word=rule.copies_out.value),
    )
    answer = LockAnswer.NO_NEW_COPY if locked else LockAnswer.FREE
    return LockState(answer=answer, trace=steps, public=False, copies_out_affected=False)
