"""Which profile answers a question about a day before it: rules of what was stand in the file of what followed.

Spec: docs/profiles.md, "Which profile governs". Pure.
"""

from mingzheng.formats.profile import NATIONAL, Profile, ProfileSet


def governing_or_next(profiles: ProfileSet, kind: int, jurisdiction: int, day: int) -> Profile | None:
    """Return the profile that governs on `day`; before the first, the first: the jurisdiction's own, else national."""
    found = profiles.select(kind, jurisdiction, day)
    if found is not None:
        return found
    return _next(profiles, kind, jurisdiction, day) or _next(profiles, kind, NATIONAL, day)


def own_or_national(profiles: ProfileSet, kind: int, jurisdiction: int, day: int) -> Profile | None:
    """Return the jurisdiction's own profile of `day`, or its own next one; else as `governing_or_next`."""
    found = profiles.select(kind, jurisdiction, day)
    if found is not None and found.jurisdiction == jurisdiction:
        return found
    return _next(profiles, kind, jurisdiction, day) or found or _next(profiles, kind, NATIONAL, day)


def _next(profiles: ProfileSet, kind: int, jurisdiction: int, day: int) -> Profile | None:
    later = [one for one in profiles.of_kind(kind) if one.jurisdiction == jurisdiction and one.effective_from > day]
    first = min(later, key=lambda one: one.effective_from, default=None)
    return None if first is None else first.profile
