"""What a comparison of a page with the signed data says, and who makes it. Pure: the comparison itself draws pages.

Source: docs/spec/verdicts.md, "Page". The pipeline knows only this protocol, so that checking a text loads nothing
that reads documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mingzheng.formats.page import Rect

if TYPE_CHECKING:
    from mingzheng.verifier.checks import Subject

__all__ = ["Mismatch", "PageJudge", "PageOutcome", "PagePicture", "Pictures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A place on the page that does not show what was signed; `name` is the box's, no text of it."""

    name: str
    page: int  # from 1
    rect: Rect
    reason: str  # a stable code


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOutcome:
    """`compared` False: `reason` says why (a stable code).

    `unproved`: boxes that only a person can judge; `filled`, `empty`: the boxes for ink, whatever is in them.
    """

    compared: bool
    reason: str
    mismatches: tuple[Mismatch, ...]
    unproved: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePicture:
    """A page of the file as it is seen: a PNG, and its size on paper."""

    page: int  # from 1
    width_mm: float
    height_mm: float
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What was drawn for a report; `differences` are (name of the box, PNG with both sides)."""

    pages: tuple[PagePicture, ...] = ()
    differences: tuple[tuple[str, bytes], ...] = ()


class PageJudge(Protocol):
    """Compares the pages of one file with what a credential in it says."""

    def compare(self, subject: Subject, tokens: Sequence[bytes]) -> PageOutcome:
        """Rebuild the page of `subject` and compare; `tokens` are its copies met in the file. Never raises."""
        ...
