"""Where a rule comes from: notices, citations, values that carry one.

Spec: docs/profiles.md, "File". Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A public notice that rules are taken from."""

    key: str
    issuer: str
    title: str
    number: str | None
    issued_on: int | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Where a value comes from; `by_analogy_*` is the reason when no clause gives it for this kind."""

    notice: Notice | None
    clause: str | None
    by_analogy_zh: str | None
    by_analogy_en: str | None

    @property
    def by_analogy(self) -> bool:
        """True when no clause gives the value for this very kind and jurisdiction."""
        return self.by_analogy_zh is not None

    def text_zh(self) -> str:
        """Return the citation as one Chinese phrase."""
        source = self._source()
        if self.by_analogy_zh is None:
            return source
        return f"类推（{source}）：{self.by_analogy_zh}" if source else f"本规则文件规定：{self.by_analogy_zh}"

    def text_en(self) -> str:
        """Return the citation as one English phrase; titles of notices stay Chinese."""
        source = self._source()
        if self.by_analogy_en is None:
            return source
        return (
            f"by analogy with {source}: {self.by_analogy_en}"
            if source
            else f"set by this profile: {self.by_analogy_en}"
        )

    def _source(self) -> str:
        if self.notice is None:
            return ""
        number = f"（{self.notice.number}）" if self.notice.number else ""
        return f"《{self.notice.title}》{number}{self.clause}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited(Generic[T]):
    """A value and its source."""

    value: T
    citation: Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason that several values of a file share."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the entries of one file may cite, by key."""

    notices: Mapping[str, Notice]
    reasons: Mapping[str, Reason]
