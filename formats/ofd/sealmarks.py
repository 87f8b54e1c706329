"""Where the seals of an OFD document stand, and whether each stands on a page and clear of the others.

Source: GB/T 33190 §18.2.3 (StampAnnot: page, boundary, clip). A riding seal shows a slice on every page, and its
boundary reaches over the edge on purpose: what counts is the visible part. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mingzheng.formats.candidate import SealMark
from mingzheng.formats.page import Rect

if TYPE_CHECKING:
    from mingzheng.formats.ofd.document import OfdBody
    from mingzheng.formats.ofd.signedinfo import SignedInfo

__all__ = ["MARK", "OVERLAP", "mark_faults", "seal_marks"]

MARK: Final = "seal.mark"
OVERLAP: Final = "seal.mark_overlap"

_SLACK_MM: Final = 0.5  # makers round to whole millimetres at the edge of the page


def seal_marks(info: SignedInfo, body: OfdBody) -> tuple[SealMark, ...]:
    """The visible places of one seal; those on no page of the document are left out."""
    numbers = {page.id: page.number for page in reversed(body.pages)}
    return tuple(
        SealMark(page=numbers[stamp.page_id], rect=stamp.visible) for stamp in info.stamps if stamp.page_id in numbers
    )


def mark_faults(info: SignedInfo, body: OfdBody, earlier: Sequence[SealMark]) -> tuple[str, ...]:
    """MARK if a stamp is on no page or beyond its edge, OVERLAP if it lies over one of an earlier seal."""
    pages = {page.number: Rect(x_mm=0, y_mm=0, width_mm=page.box.width_mm, height_mm=page.box.height_mm)
             for page in body.pages}  # fmt: skip
    marks = seal_marks(info, body)
    faults = []
    if len(marks) != len(info.stamps) or not all(_on(mark.rect, pages[mark.page]) for mark in marks):
        faults.append(MARK)
    if any(mark.page == other.page and mark.rect.meets(other.rect, slack_mm=_SLACK_MM)
           for mark in marks for other in earlier):  # fmt: skip
        faults.append(OVERLAP)
    return tuple(faults)


def _on(rect: Rect, page: Rect) -> bool:
    return rect.width_mm > 0 and rect.height_mm > 0 and rect.inside(page, slack_mm=_SLACK_MM)
