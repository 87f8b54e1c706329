"""Ends of a registration and of each of its specialties: what is still in force on a day.

Spec: docs/profiles.md, "Ends". A specialty ends by itself; the others, and copies that name them, go on. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.profile_model import Profile, Requirement
from mingzheng.formats.rules_age import border_steps
from mingzheng.formats.rules_model import Renewal, Unit
from mingzheng.formats.rules_source import Citation
from mingzheng.formats.rules_trace import Outcome, RuleFactError, step

__all__ = ["EndsAnswer", "EndsFacts", "EndsState", "ends_on"]


class EndsAnswer(StrEnum):
    """What is in force on a day."""

    IN_FORCE = "IN_FORCE"
    SOME_ENDED = "SOME_ENDED"
    ALL_ENDED = "ALL_ENDED"
    REGISTRATION_ENDED = "REGISTRATION_ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsFacts:
    """The day asked for, the end of the registration, the ends of its specialties."""

    on: int
    registered_until: int
    specialty_untils: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsState(Outcome[EndsAnswer]):
    """`ended`: the ends of specialties that lie before the day, in the order given."""

    ended: tuple[int, ...]


def ends_on(profile: Profile, facts: EndsFacts) -> EndsState:
    """Tell what of a registration is in force on `facts.on`; the last day itself is inside.

    Raises RuleFactError if the kind always has specialties and none was given.
    """
    ends = facts.specialty_untils
    if profile.specialty.value is Requirement.REQUIRED and not ends:
        raise RuleFactError("specialty_until", profile_id=profile.id)
    ended = tuple(end for end in ends if end < facts.on)
    if facts.on > facts.registered_until:
        answer = EndsAnswer.REGISTRATION_ENDED
    elif not ended:
        answer = EndsAnswer.IN_FORCE
    else:
        answer = EndsAnswer.ALL_ENDED if len(ended) == len(ends) else EndsAnswer.SOME_ENDED
    over = answer is EndsAnswer.REGISTRATION_ENDED
    source = _source(profile, Unit.REGISTRATION)
    steps = [step("REGISTRATION", source, over or not ended, day=facts.registered_until)]
    for place, end in enumerate(ends, 1):
        binding = not over and (not ended or end < facts.on)
        steps.append(step(f"SPECIALTY{place}", _source(profile, Unit.SPECIALTY), binding, day=end))
    last = next((end for end in (facts.registered_until, *ends) if end == facts.on), None)
    return EndsState(
        answer=answer,
        trace=(*steps, *border_steps(profile, facts.on, borders=(), end=last, age=None)),
        ended=ended,
    )


def _source(profile: Profile, unit: Unit) -> Citation:
    """Where it stands that a unit ends: the rule of its renewal, else that the kind has it, else the convention."""
    renewal = profile.rules.renewal
    if isinstance(renewal, Renewal) and renewal.unit.value is unit:
        return renewal.unrenewed.citation
    return profile.specialty.citation if unit is Unit.SPECIALTY else profile.rules.conventions.last_day.citation
