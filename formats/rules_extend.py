"""Blanket extensions under a profile: those its notices granted, and those of signed notices.

Spec: docs/profiles.md, "Extension". Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mingzheng.formats.profile_model import Profile
from mingzheng.formats.rules_extension import (
    BlanketExtension,
    ExtensionAnswer,
    ExtensionFacts,
    MovedEnd,
    moved_end,
)
from mingzheng.formats.rules_model import ExtensionRule
from mingzheng.formats.rules_trace import no_rule, step

__all__ = ["EndFacts", "extended_end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndFacts:
    """Whose end it is: the province of the holder; the end, the last usable day of a copy, the day judged."""

    jurisdiction: int
    end: int
    usage_until: int | None
    on: int


def extended_end(profile: Profile, extensions: Iterable[BlanketExtension], facts: EndFacts) -> MovedEnd:
    """Return where an end stands under what the profile's notices granted and `extensions` of signed notices.

    NO_RULE: the profile has no rule of extensions, and none of `extensions` concerns its kind and the jurisdiction.

    Raises ExtensionError if there are too many.
    """
    rule = profile.rules.extension
    granted = rule.granted if isinstance(rule, ExtensionRule) else ()
    found = moved_end(
        (*granted, *extensions),
        ExtensionFacts(
            kind=profile.code,
            jurisdiction=facts.jurisdiction,
            end=facts.end,
            usage_until=facts.usage_until,
            on=facts.on,
        ),
    )
    if not isinstance(rule, ExtensionRule):
        if found.history:
            return found
        return replace(found, answer=ExtensionAnswer.NO_RULE, trace=no_rule("NO_EXTENSION", rule))
    moved = found.answer is ExtensionAnswer.MOVED
    steps = (
        step("MOVES", rule.moves.citation, not moved, word=rule.moves.value),
        *found.trace,
        step("USAGE_WINDOW", rule.usage_window.citation, moved, word=rule.usage_window.value),
        step("OLD_COPIES", rule.old_copies.citation, moved, word=rule.old_copies.value),
    )
    return replace(found, trace=steps)
