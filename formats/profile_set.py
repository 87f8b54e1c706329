"""Sets of profiles, and which one governs a copy.

A set knows the head of every file; the body is read when it is asked for. Spec: docs/profiles.md, "Which profile
governs". Pure.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

from mingzheng.formats.profile_model import Profile
from mingzheng.formats.strict_toml import ProfileError

__all__ = ["NATIONAL", "ProfileConflictError", "ProfileHead", "ProfileSet", "head_of"]

NATIONAL: Final = 0  # jurisdiction of a profile that holds where no province has its own


class ProfileConflictError(ProfileError):
    """Two profiles claim the same kind, jurisdiction and day, or one id has two codes."""

    code: ClassVar[str] = "profile.conflict"


@dataclass(frozen=True, kw_only=True)
class ProfileHead:
    """What decides whether a profile governs; `read` gives the profile, and is called at most once."""

    id: str
    code: int
    jurisdiction: int
    effective_from: int
    effective_until: int | None
    read: Callable[[], Profile]

    @cached_property
    def profile(self) -> Profile:
        """The whole profile. Raises ProfileError if its file is at fault."""
        return self.read()

    @property
    def loaded(self) -> Profile | None:
        """The profile if anybody has asked for it."""
        found: Profile | None = self.__dict__.get("profile")
        return found

    def effective_on(self, day: int) -> bool:
        """Tell whether this profile governs copies issued on `day`."""
        return self.effective_from <= day and (self.effective_until is None or day <= self.effective_until)


def head_of(profile: Profile) -> ProfileHead:
    """The head of a profile that is read already."""
    head = ProfileHead(
        id=profile.id,
        code=profile.code,
        jurisdiction=profile.jurisdiction,
        effective_from=profile.effective_from,
        effective_until=profile.effective_until,
        read=lambda: profile,
    )
    assert head.profile is profile
    return head


class ProfileSet:
    """Profiles of all kinds, jurisdictions and times; at most one per kind, jurisdiction and day."""

    def __init__(self, profiles: Iterable[Profile | ProfileHead]) -> None:
        heads = (one if isinstance(one, ProfileHead) else head_of(one) for one in profiles)
        self.heads = tuple(sorted(heads, key=lambda item: (item.code, item.jurisdiction, item.effective_from)))
        _refuse_two_codes(self.heads)
        for left, right in zip(self.heads, self.heads[1:], strict=False):
            same = (left.code, left.jurisdiction) == (right.code, right.jurisdiction)
            if same and (left.effective_until is None or left.effective_until >= right.effective_from):
                raise ProfileConflictError(f"{left.id} jurisdiction {left.jurisdiction}: two profiles overlap")

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """All of them, each read whole."""
        return tuple(head.profile for head in self.heads)

    def select(self, kind: int, jurisdiction: int, on_day: int) -> Profile | None:
        """Return the profile that governs on `on_day`: the jurisdiction's own, else the national one."""
        for place in (jurisdiction, NATIONAL):
            for head in self.heads:
                if (head.code, head.jurisdiction) == (kind, place) and head.effective_on(on_day):
                    return head.profile
        return None

    def code_of(self, profile_id: str) -> int | None:
        """Return the kind code of an id such as `cn.constructor.1`."""
        return next((head.code for head in self.heads if head.id == profile_id), None)

    def id_of(self, code: int) -> str | None:
        """Return the id of a kind code."""
        return next((head.id for head in self.heads if head.code == code), None)

    def ids(self) -> tuple[str, ...]:
        """The ids of all kinds, in the order of the alphabet."""
        return tuple(sorted({head.id for head in self.heads}))

    def of_kind(self, code: int) -> Iterator[ProfileHead]:
        """The heads of a kind's profiles, national ones first."""
        return (head for head in self.heads if head.code == code)


def _refuse_two_codes(heads: tuple[ProfileHead, ...]) -> None:
    pairs = {(head.id, head.code) for head in heads}
    if len({left for left, _ in pairs}) != len(pairs) or len({right for _, right in pairs}) != len(pairs):
        raise ProfileConflictError("a kind id has two codes or a code two ids")
