"""Where ends stand under the issuer's own notices: registrations and specialties.

Source: docs/spec/notices.md ("Standing", "Extension"); the rule itself is `formats.rules_extension`. As a verifier
judges them: what a standing retraction has ended is left out. What is not in the log yet moves nothing. A new copy
bears the ends as they stand on its day (`as_extended`). Until when a copy holds: `formats.rules_copy`. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mingzheng.formats.profile import Profile
from mingzheng.formats.rules_extend import EndFacts, extended_end
from mingzheng.formats.rules_extension import (
    BlanketExtension,
    ExtensionFacts,
    MovedEnd,
    moved_end,
)
from mingzheng.formats.rules_model import ExtensionRule
from mingzheng.formats.rules_source import Citation
from mingzheng.issuer.record import ApplicationRecord
from mingzheng.log.noticebody import ExtensionBody, NoticeBody
from mingzheng.log.noticestanding import extension_of, standing_numbers

__all__ = ["Extended", "Scope", "as_extended", "end_on", "standing_extensions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose end it is."""

    kind: int
    jurisdiction: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """An end that a new copy bears in place of the record's; `specialty` None: of the registration."""

    specialty: str | None
    stated: int
    end: int
    citations: tuple[Citation, ...]


def as_extended(
    record: ApplicationRecord, profile: Profile, extensions: Sequence[BlanketExtension], *, on: int
) -> tuple[ApplicationRecord, tuple[Extended, ...]]:
    """The record with its ends where they stand on `on`, and which were moved, by what."""
    rule = profile.rules.extension
    if not extensions and not (isinstance(rule, ExtensionRule) and rule.granted):
        return record, ()
    scope = Scope(kind=profile.code, jurisdiction=record.jurisdiction)
    until = end_on(extensions, scope, profile, end=record.registered_until, on=on)
    lasts = [end_on(extensions, scope, profile, end=item.last_day, on=on) for item in record.specialties]
    lines = tuple(replace(item, last_day=last.end) for item, last in zip(record.specialties, lasts, strict=True))
    moved = [_extended(None, record.registered_until, until)]
    moved += [_extended(item.name, item.last_day, last) for item, last in zip(record.specialties, lasts, strict=True)]
    held = tuple(item for item in moved if item.end != item.stated)
    return replace(record, registered_until=until.end, specialties=lines), held


def _extended(specialty: str | None, stated: int, moved: MovedEnd) -> Extended:
    citations = tuple(rule.citation for rule in moved.applied)
    return Extended(specialty=specialty, stated=stated, end=moved.end, citations=citations)


def standing_extensions(bodies: Iterable[NoticeBody], day: int) -> tuple[BlanketExtension, ...]:
    """The extensions that no standing retraction has ended by that day."""
    by_number = {body.number: body for body in bodies}
    standing = (by_number[number] for number in standing_numbers(by_number, day))
    return tuple(extension_of(body) for body in standing if isinstance(body, ExtensionBody))


def end_on(
    extensions: Sequence[BlanketExtension], scope: Scope, profile: Profile | None, *, end: int, on: int
) -> MovedEnd:
    """Where the end of a registration or specialty stands; with a profile, what its notices granted counts too."""
    if profile is not None:
        facts = EndFacts(jurisdiction=scope.jurisdiction, end=end, usage_until=None, on=on)
        return extended_end(profile, extensions, facts)
    return _moved(extensions, scope, end, on)


def _moved(extensions: Iterable[BlanketExtension], scope: Scope, end: int, on: int) -> MovedEnd:
    facts = ExtensionFacts(kind=scope.kind, jurisdiction=scope.jurisdiction, end=end, usage_until=None, on=on)
    return moved_end(extensions, facts)
