"""Verify a document with its pages: extracted data in, rows out, with pictures where a report is to show them.

Source: docs/spec/verdicts.md, "Page". What is needed to lay pages out again is made once per trust data. Effectful:
it drives the page comparison and its renderers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Final

from mingzheng.formats.candidate import Extracted
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import Limits
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.pagecheck import FilePages, PageResult
from mingzheng.verifier.pagekit import PageKit
from mingzheng.verifier.pageoutcome import PageOutcome, Pictures
from mingzheng.verifier.pageproof import proved_rows
from mingzheng.verifier.pipeline import verify_extracted
from mingzheng.verifier.report import Report

__all__ = ["PageBench"]

MOST_DIFFERENCES: Final = 8  # drawn in a report; all are listed


class PageBench:
    """Compares the pages of documents for one context; templates and fonts are made ready with the first."""

    def __init__(self, ctx: VerifyContext, *, limits: Limits, drawn: bool) -> None:
        self._ctx, self._limits, self._drawn = ctx, limits, drawn

    def rows(self, data: bytes, extracted: Extracted, name: str) -> tuple[Report, ...]:
        """The rows of a PDF or OFD that was read, with pictures if `drawn`."""
        pages = FilePages(data, extracted.kind, self._kit, limits=self._limits)
        reports = verify_extracted(extracted, self._ctx, name, pages=pages)
        return tuple(_plain(report, pages if self._drawn else None) for report in reports)

    def proved_rows(self, data: bytes, kind: FileKind, name: str) -> tuple[Report, ...]:
        """The rows of a file of ours whose page need not be drawn to be compared; none if it has to be."""
        pages = FilePages(data, kind, self._kit, limits=self._limits)
        reports = proved_rows(data, kind, name, self._ctx, self._kit, limits=self._limits)
        return tuple(_plain(report, pages if self._drawn else None) for report in reports)

    @cached_property
    def _kit(self) -> PageKit:
        return PageKit.from_trust(self._ctx.trust)


def _plain(report: Report, pages: FilePages | None) -> Report:
    """The report with values only: what it needs to draw stays in this process."""
    outcome = report.outcome
    pictures = Pictures() if pages is None else _pictures(outcome, pages)
    if isinstance(outcome, PageResult):
        outcome = PageOutcome(
            compared=outcome.compared,
            reason=outcome.reason,
            mismatches=outcome.mismatches,
            unproved=outcome.unproved,
            filled=outcome.filled,
            empty=outcome.empty,
        )
    return replace(report, outcome=outcome, pictures=pictures)


def _pictures(outcome: PageOutcome | None, pages: FilePages) -> Pictures:
    try:
        drawn = tuple(pages.pictures())
    except FormatError:
        drawn = ()
    return Pictures(pages=drawn, differences=tuple(_differences(outcome)))


def _differences(outcome: PageOutcome | None) -> Iterator[tuple[str, bytes]]:
    if isinstance(outcome, PageResult) and outcome.picture is not None:
        for mismatch in outcome.mismatches[:MOST_DIFFERENCES]:
            try:
                yield mismatch.name, outcome.picture(mismatch)
            except FormatError:
                return
