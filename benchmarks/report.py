"""Writes docs/benchmarks.md from benchmarks/results/latest.json: `python -m benchmarks.report`.

Every table is a group of contestants measured side by side in one run; the last column is how many times ours the
contestant took (above 1: ours is faster). Nothing is left out, gains and losses alike.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Measurements

Written by `python -m benchmarks.report` from `benchmarks/results/latest.json`, which `python -m benchmarks` makes.
CPU time, median over rounds; contestants of a table ran one after the other in every round of one run, so that load
falls on all alike. **times ours**: how often our time fits into theirs (above 1 we are faster, below 1 slower).
Absolute figures belong to one busy machine; the ratios carry over.
"""

NOTES = """A bare loop over cbor2 checks less: no strict spelling, no scope, no rules, no status list. cbor2 is compiled
code; made as strict as ours by encoding again and comparing, it is slower. merkle-py has no domain separation, so the
forgery shown below verifies."""


def groups(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every mapping whose values are contestants (mappings with a ratio to ours), with its path."""
    if not isinstance(value, dict):
        return
    if value and all(isinstance(item, dict) and "times_ours" in item for item in value.values()):
        yield path, value
        return
    for name, item in value.items():
        yield from groups(item, (*path, name))


def table(rows: Mapping[str, Any]) -> list[str]:
    """One table; the unit is the one the median is given in."""
    unit = next(key for key in next(iter(rows.values())) if key.startswith("median_"))
    lines = [f"| contestant | median ({unit.removeprefix('median_')}) | times ours |", "|---|---|---|"]
    for name, row in rows.items():
        lines.append(f"| {name.replace('_', ' ')} | {row[unit]:g} | {row['times_ours']:g} |")
    return [*lines, ""]


def facts(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """What is not in a table, as `name: value` lines."""
    if isinstance(value, dict):
        if value and all(isinstance(item, dict) and "times_ours" in item for item in value.values()):
            return
        for name, item in value.items():
            yield from facts(item, (*path, name))
    elif not isinstance(value, list) or value:
        text = (
            ", ".join(map(str, value))
            if isinstance(value, list)
            else f"{value:.4g}"
            if isinstance(value, float)
            else value
        )
        yield f"{' · '.join(path).replace('_', ' ')}: {text}"


def losses(results: Mapping[str, Any]) -> Iterator[str]:
    """Every contestant that took less time than ours."""
    for name, result in results.items():
        for path, rows in groups(result):
            for contestant, row in rows.items():
                if row["times_ours"] < 1:
                    where = " · ".join((name, *path)).replace("_", " ")
                    yield f"- {where}: {contestant.replace('_', ' ')} takes {row['times_ours']:g} of our time"


def page(results: Mapping[str, Any]) -> str:
    """The whole page."""
    lines = [HEAD, "## Where others take less time", "", NOTES, "", *losses(results), ""]
    for name, result in results.items():
        lines += [f"## {name}", ""]
        for path, rows in groups(result):
            lines += [f"**{' · '.join(path).replace('_', ' ')}**", "", *table(rows)]
        lines += ["```", *facts(result), "```", ""]
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
