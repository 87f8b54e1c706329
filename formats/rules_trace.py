"""The answer of a rule: one word of a closed set, and every step that led to it with its source.

Spec: docs/profiles.md. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from mingzheng.formats.rules_source import Citation
from mingzheng.formats.strict_toml import ProfileError

A = TypeVar("A", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStep:
    """A rule that was looked at: its name, the day or the word it gives, and where it stands."""

    rule: str
    day: int | None
    word: str | None
    citation: Citation
    binding: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[A]):
    """What a rule says of given facts; every answer has at least one binding step."""

    answer: A
    trace: tuple[RuleStep, ...]

    @property
    def binding(self) -> tuple[str, ...]:
        """The names of the steps that decided, in the order of the trace."""
        return tuple(step.rule for step in self.trace if step.binding)


class RuleFactError(ProfileError):
    """A rule needs a fact that was not given."""

    code: ClassVar[str] = "rules.missing_fact"

    def __init__(self, fact: str, *, profile_id: str) -> None:
        super().__init__(f"{profile_id} needs {fact} for this rule")
        self.fact = fact


def step(rule: str, citation: Citation, binding: bool, *, day: int | None = None, word: str | None = None) -> RuleStep:
    """Make a step."""
    return RuleStep(rule=rule, day=day, word=word, citation=citation, binding=binding)


def no_rule(rule: str, citation: Citation) -> tuple[RuleStep, ...]:
    """Return the trace of an answer that there is no rule: the profile's reason why."""
    return (step(rule, citation, True),)
