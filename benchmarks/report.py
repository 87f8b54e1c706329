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

NOTES = """Page of a PDF: ours draws the page like the peer does, for a code anywhere on it may be the one that a person
scans, reads it twice, and then draws the expected page as well and compares both as pictures; pyHanko + pdfium + pyzbar
compares nothing. Reading only the place where our code stands would be far quicker and would miss a second code.
A bare loop over cbor2 checks less: no strict spelling, no scope, no rules, no status list. cbor2 is compiled
code; made as strict as ours by encoding again and comparing, it is slower. merkle-py has no domain separation, so the
forgery shown below verifies."""


FLOORS = (
    *("hash_only_raw", "ours_seals_only", "ours_sealing", "sha256_of_the_file", "unzip_parse_sm3", "decode_alone"),
    "signature_alone",
)
PEER = "pyhanko_pdfium_200_dpi_pyzbar"
# What was aimed at: words, at least, and where it is measured (program, tables and contestant).
AIMS = (
    ("sealed PDF with our attachment, page not looked at: seal and attachment, as far as the peer goes", 80,
     ("bench_documents", "pdf_one_seal", "seal_and_attachment", PEER)),
    ("the same to the verdict: credential, receipt, status, trust in the seal", 80,
     ("bench_documents", "pdf_one_seal", "page_not_compared", PEER)),
    ("with the visible code read beside it", 10, ("bench_documents", "pdf_one_seal", "visible_code", PEER)),
    ("photo of 12 million pixels, decode + pyzbar", 12,
     ("bench_documents", "photo_12_million_pixels", "table", "decode_and_pyzbar")),
    ("sealed OFD as issued (260 KB), to the verdict, page not compared, gmssl", 100,
     ("bench_documents", "ofd_one_seal", "page_not_compared_and_gmssl", "gmssl")),
    ("sealed OFD of 370 KB: seal, digests, coverage, gmssl", 100, ("bench_seal", "ofd_1_seal", "peer", "gmssl")),
    ("the same beside the floor of unzip, parse, SM3", 0.6, ("bench_seal", "ofd_1_seal", "floor", "unzip_parse_sm3")),
    ("issue one sealed PDF (P-256), qrcode + reportlab + pyHanko (RSA) as documented", 10,
     ("bench_issue", "one_sealed_pdf_p256", "qrcode_reportlab_pyhanko_tutorial_rsa")),
    ("the same with RSA, pyHanko with everything kept", 10,
     ("bench_issue", "one_sealed_pdf_rsa", "qrcode_reportlab_pyhanko_kept_rsa")),
    ("a verdict by hashing alone (30,000 a second), the signature path (9,000 a second)", 3.3,
     ("bench_landmark", "token_cpu", "contestants", "signature_path_to_the_verdict")),
)  # fmt: skip


def aims(results: Mapping[str, Any]) -> Iterator[str]:
    """What was aimed at, and what was measured."""
    yield from ("| work, beside | aim: times ours | measured | lower quartile | |", "|---|---|---|---|---|")
    for words, least, path in AIMS:
        row: Any = results
        for name in path:
            row = row.get(name, {}) if isinstance(row, dict) else {}
        if row:
            got = row["times_ours"]
            low = row.get("times_ours_lower_quartile", got)
            yield f"| {words} | ≥ {least:g} | {got:.3g} | {low:.3g} | {'reached' if got >= least else '**missed**'} |"


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
                if row["times_ours"] < 1 and contestant not in FLOORS:
                    where = " · ".join((name, *path)).replace("_", " ")
                    yield f"- {where}: {contestant.replace('_', ' ')} takes {row['times_ours']:g} of our time"


def page(results: Mapping[str, Any]) -> str:
    """The whole page."""
    lines = [HEAD, "## Aims", "", *aims(results), ""]
    lines += ["## Where others take less time", "", NOTES, "", *losses(results), ""]
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
