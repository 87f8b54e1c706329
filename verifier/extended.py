"""Where the ends of a copy stand under the blanket extensions of its issuer.

Source: docs/spec/notices.md, "Extension"; the rule itself is `formats.rules_extension`. A registration's or specialty's
end is moved by every extension. Until when the copy itself holds is moved only by those that move usage windows (and
then only if it had not run out before the extension took effect) or revive old copies, and never past what the
profile's rules give for the moved ends: not past day 180, not past a birthday. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mingzheng.formats.claims import Claims
from mingzheng.formats.profile import Profile, WindowFacts
from mingzheng.formats.rules_copy import copy_end
from mingzheng.formats.rules_extension import ExtensionFacts, moved_end
from mingzheng.verifier.notices import Extension, IssuerNotices, Notice


@dataclass(frozen=True, slots=True)
class End:
    """A last day, and the notices that moved it there, in order; none: it stands where the claims say."""

    day: int
    by: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """A copy's ends on the judging day."""

    registration: End
    specialties: tuple[End, ...]  # in the order of the claims
    copy: int  # until when this copy itself holds: its usage window, or the registration end it was issued with
    caps: WindowFacts  # what its usage window may rest on


def ends_of(notices: IssuerNotices, claims: Claims, profile: Profile | None, *, on: int) -> Ends:
    """The ends of a copy, judged on a day."""
    own = claims.registered_until if claims.usage_until is None else claims.usage_until
    untouched = Ends(
        registration=End(claims.registered_until),
        specialties=tuple(End(item.last_day) for item in claims.specialties),
        copy=own,
        caps=_facts(claims, claims.registered_until, [item.last_day for item in claims.specialties]),
    )
    if not notices.extensions:
        return untouched
    ours = notices.extensions
    every = _moved(ours, claims, untouched, on)
    windows = _moved([item for item in ours if item.rule.moves_usage_window], claims, untouched, on)
    caps = _facts(claims, windows.registration.day, [end.day for end in windows.specialties])
    return replace(every, copy=copy_end([item.rule for item in ours], claims, profile, on=on), caps=caps)


def _moved(extensions: Sequence[Extension], claims: Claims, untouched: Ends, on: int) -> Ends:
    return replace(
        untouched,
        registration=_end(extensions, claims, untouched.registration.day, on),
        specialties=tuple(_end(extensions, claims, end.day, on) for end in untouched.specialties),
    )


def _end(extensions: Sequence[Extension], claims: Claims, end: int, on: int) -> End:
    facts = ExtensionFacts(kind=claims.kind, jurisdiction=claims.jurisdiction, end=end, usage_until=None, on=on)
    found = moved_end([item.rule for item in extensions], facts)
    notices = {id(item.rule): item.notice for item in extensions}
    return End(found.end, tuple(notices[id(rule)] for rule in found.applied))


def _facts(claims: Claims, registered_until: int, specialties: Sequence[int]) -> WindowFacts:
    return WindowFacts(
        download=claims.copy_issued_on,
        specialty_untils=tuple(specialties),
        registered_until=registered_until,
        birth=claims.birth,
    )
