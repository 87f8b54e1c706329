"""Until when a copy holds under blanket extensions; one reading for verifiers and issuers.

Source: docs/spec/notices.md, "Extension"; the rule itself is `rules_extension`. Pure.
"""

from collections.abc import Iterable, Sequence

from mingzheng.formats.claims import Claims
from mingzheng.formats.profile import Profile, WindowFacts, usage_last_day
from mingzheng.formats.rules_extension import BlanketExtension, ExtensionFacts, MovedEnd, for_copies, moved_end

__all__ = ["copy_end", "copy_moved"]


def copy_end(extensions: Sequence[BlanketExtension], claims: Claims, profile: Profile | None, *, on: int) -> int:
    """The last day of a copy, judged on a day: of its usage window, or of the registration end it was issued with.

    Never past what the profile gives for the moved ends: not past day 180, not past a birthday. A usage window of a
    kind without a profile is not moved.
    """
    own = claims.registered_until if claims.usage_until is None else claims.usage_until
    end = max(own, copy_moved(extensions, claims, on=on).end)
    if claims.usage_until is None or end == own:
        return end
    facts = WindowFacts(
        download=claims.copy_issued_on,
        specialty_untils=tuple(_moved(extensions, claims, item.last_day, on).end for item in claims.specialties),
        registered_until=_moved(extensions, claims, claims.registered_until, on).end,
        birth=claims.birth,
    )
    last = None if profile is None else usage_last_day(profile, facts)
    return own if last is None else max(own, min(end, last))


def copy_moved(extensions: Iterable[BlanketExtension], claims: Claims, *, on: int) -> MovedEnd:
    """Where extensions alone would take the last day of a copy, and which."""
    own = claims.registered_until if claims.usage_until is None else claims.usage_until
    return _moved(filter(None, map(for_copies, extensions)), claims, own, on)


def _moved(extensions: Iterable[BlanketExtension], claims: Claims, end: int, on: int) -> MovedEnd:
    facts = ExtensionFacts(kind=claims.kind, jurisdiction=claims.jurisdiction, end=end, usage_until=None, on=on)
    return moved_end(extensions, facts)
