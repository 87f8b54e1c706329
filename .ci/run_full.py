"""The full counts: every suite with MINGZHENG_FULL=1, a soak beside them; results go to docs/results/full.md.

The README's tests run here once, under coverage and at the counts of `.ci/run`. Stages can be named, to run only those:
`sh .ci/full log marked`; their lines replace the ones of before. Every line tells the commit it was measured at.
"""

import datetime
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from suites import MARKED, PYTHON, ROOT, Runner, install_python, install_system, machine

SOAK_MINUTES = 30
JUDGES = ("java", "poppler", "qpdf", "zbar", "pkcs11", "wheel")
KEPT = re.compile(r"(?:ok  |FAIL) .{28} .*; \d{4}-\d\d-\d\d, commit [0-9a-f]+; .*")


def static(runner: Runner) -> None:
    """What needs no test run."""
    runner.command("lint", [PYTHON, "-m", "ruff", "check", "."])
    runner.command("format", [PYTHON, "-m", "ruff", "format", "--check", "."])
    runner.command("types", [PYTHON, "-m", "mypy", "-p", "mingzheng"])


def soak(runner: Runner) -> None:
    """A served log under a steady load, beside the stages that follow; `benchmarks` waits for its end."""
    runner.begin(
        f"soak of {SOAK_MINUTES} minutes",
        [PYTHON, "-m", "benchmarks.load_log", "--only-soak", "--soak", str(SOAK_MINUTES)],
    )


def log(runner: Runner) -> None:
    """The unmarked tests of log and keys at their full counts."""
    _counts(runner, "log", "tests/log", "tests/keys", "tests/faults")


def documents(runner: Runner) -> None:
    """The unmarked tests of formats and verifier at their full counts."""
    _counts(runner, "documents", "tests/formats", "tests/verifier")


def rest(runner: Runner) -> None:
    """All other unmarked tests at their full counts."""
    others = [f"--ignore=tests/{name}" for name in ("log", "keys", "faults", "formats", "verifier")]
    _counts(runner, "all others", "tests", *others)


def _counts(runner: Runner, name: str, *where: str) -> None:
    unmarked = " and ".join(f"not {mark}" for mark in MARKED)
    runner.tests(f"full counts: {name}", [PYTHON, "-m", "pytest", "-q", "-n", "auto", "-m", unmarked, *where])


def judges(runner: Runner) -> None:
    """Marked suites about files: other programs judge our PDF, OFD and codes, keys in tokens, the wheel."""
    runner.marked(JUDGES)


def marked(runner: Runner) -> None:
    """The other marked suites."""
    runner.marked([name for name in MARKED if name not in JUDGES])


def coverage(runner: Runner) -> None:
    """The README's tests and most marked suites, at the counts of `.ci/run`."""
    runner.environment["MINGZHENG_FULL"] = "0"
    runner.command("coverage", [PYTHON, ROOT / ".ci" / "coverage_gate.py"])
    runner.environment["MINGZHENG_FULL"] = "1"


def benchmarks(runner: Runner) -> None:
    """Side by side, at full rounds."""
    runner.end()
    runner.command("benchmarks", [PYTHON, "-m", "benchmarks"])


STAGES: dict[str, Callable[[Runner], None]] = {
    "static": static,
    "soak": soak,
    "log": log,
    "documents": documents,
    "rest": rest,
    "judges": judges,
    "marked": marked,
    "coverage": coverage,
    "benchmarks": benchmarks,
}


def main() -> int:
    named = sys.argv[1:]
    if unknown := [name for name in named if name not in STAGES]:
        raise SystemExit(f"no such stage: {', '.join(unknown)}; there are {', '.join(STAGES)}")
    runner = Runner(full=True)
    before = machine()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    demo = [sys.executable, ROOT / "run.py", "demo", "--out", ROOT / "demo-out", "--force"]
    runner.command("README: run.py demo", demo)
    if not PYTHON.exists():
        return runner.finish()
    install_system()
    install_python()
    runner.with_everything()
    for name, stage in STAGES.items():
        if not named or name in named:
            stage(runner)
    runner.end()
    keep(
        runner.lines, f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, commit {commit.stdout.strip()}", before
    )
    return runner.finish()


def keep(lines: list[str], when: str, where: str) -> None:
    """Put the lines of this run into the page, over the ones of the same names."""
    page = ROOT / "docs" / "results" / "full.md"
    page.parent.mkdir(exist_ok=True)
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    rows = {_name(line): line for line in before.splitlines() if KEPT.fullmatch(line)}
    rows |= {_name(line): f"{line}; {when}; {where}" for line in lines}
    head = "# Full counts\n\nWritten by `sh .ci/full [stage …]`: each line with date, commit and machine.\n"
    page.write_text("\n".join([head, "```", *rows.values(), "```", ""]), encoding="utf-8")


def _name(line: str) -> str:
    return line[5:33].rstrip()


if __name__ == "__main__":
    raise SystemExit(main())
