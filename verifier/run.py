"""What only shows across the rows of one run: repeats, one person at two employers, and the exit status.

Source: docs/spec/verdicts.md, "Run". Rows are numbered from 1 in the order of the report.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from mingzheng.verifier.findings import PASSING, UNDECIDED, Code, Finding
from mingzheng.verifier.pipeline import in_order, verdict_for
from mingzheng.verifier.report import Report

EXIT_GOOD = 0
EXIT_NOT_VALID = 1
EXIT_UNDECIDED = 3


def mark_run(reports: Sequence[Report]) -> tuple[Report, ...]:
    """The reports with DUPLICATE and CONFLICT_UNIT added where rows concern each other."""
    same: dict[Hashable, list[int]] = defaultdict(list)
    people: dict[Hashable, dict[str | None, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, report in enumerate(reports):
        if report.subject is None:
            continue
        same[report.subject.credential.identity].append(row)
        if report.verdict in PASSING | UNDECIDED:  # an old copy at the last employer is no conflict
            claims = report.subject.claims
            people[claims.name, claims.birth, claims.registration_no][claims.employer].append(row)
    extra: dict[int, list[tuple[Code, str]]] = defaultdict(list)
    for rows in same.values():
        for row in rows if len(rows) > 1 else ():
            extra[row].append((Code.DUPLICATE, _rows(rows, without=row)))
    for employers in people.values():
        rows = [row for group in employers.values() for row in group]
        for group in employers.values() if len(employers) > 1 else ():
            for row in group:
                extra[row].append((Code.CONFLICT_UNIT, _rows(set(rows) - set(group), without=row)))
    return tuple(_add(report, extra.get(row, ())) for row, report in enumerate(reports))


class RunSoFar:
    """Marks each row as it comes, by the rows before it: a run that is killed has said what it had found."""

    def __init__(self) -> None:
        self._row = 0
        self._same: dict[Hashable, list[int]] = defaultdict(list)
        self._people: dict[Hashable, dict[str | None, list[int]]] = defaultdict(lambda: defaultdict(list))

    def add(self, report: Report) -> Report:
        """The next row, with DUPLICATE and CONFLICT_UNIT where an earlier row concerns it."""
        row, self._row = self._row, self._row + 1
        if report.subject is None:
            return report
        extra: list[tuple[Code, str]] = []
        if same := self._same[report.subject.credential.identity]:
            extra.append((Code.DUPLICATE, _rows(same, without=row)))
        same.append(row)
        if report.verdict in PASSING | UNDECIDED:
            claims = report.subject.claims
            employers = self._people[claims.name, claims.birth, claims.registration_no]
            others = [one for name, rows in employers.items() if name != claims.employer for one in rows]
            if others:
                extra.append((Code.CONFLICT_UNIT, _rows(others, without=row)))
            employers[claims.employer].append(row)
        return _add(report, extra)


def exit_status(verdicts: Iterable[Code]) -> int:
    """0 all pass, 1 some do not, 3 some are undecided; 1 wins over 3."""
    found = set(verdicts)
    if found - PASSING - UNDECIDED:
        return EXIT_NOT_VALID
    return EXIT_UNDECIDED if found & UNDECIDED else EXIT_GOOD


def count_verdicts(reports: Iterable[Report]) -> Mapping[Code, int]:
    """How many rows have each verdict, in the order of the codes."""
    counts: dict[Code, int] = dict.fromkeys(Code, 0)
    for report in reports:
        counts[report.verdict] += 1
    return {code: count for code, count in counts.items() if count}


def _rows(rows: Iterable[int], *, without: int) -> str:
    return " ".join(str(row + 1) for row in sorted(rows) if row != without)


def _add(report: Report, extra: Sequence[tuple[Code, str]]) -> Report:
    if not extra:
        return report
    ctx = report.context
    added: list[Finding] = [ctx.finding(code, other=other) for code, other in extra]
    findings = in_order((*report.findings, *added))
    return replace(report, findings=findings, verdict=verdict_for(findings, ctx, compared=report.compared))
