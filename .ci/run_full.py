"""The full counts: every suite with MINGZHENG_FULL=1, a soak beside them; results go to docs/results/full.md.

The README's tests run here once, under coverage and at the counts of `.ci/run`. Stages can be named, to run only those:
`sh .ci/full marked full`; then nothing is written.
"""

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from suites import MARKED, PYTHON, ROOT, Runner, install_python, install_system, machine

SOAK_MINUTES = 30


def static(runner: Runner) -> None:
    """What needs no test run."""
    runner.command("lint", [PYTHON, "-m", "ruff", "check", "."])
    runner.command("format", [PYTHON, "-m", "ruff", "format", "--check", "."])
    runner.command("types", [PYTHON, "-m", "mypy", "-p", "mingzheng"])


def counts(runner: Runner) -> None:
    """Every unmarked test at its full count, while a served log soaks."""
    unmarked = " and ".join(f"not {name}" for name in MARKED)
    soak = runner.started([PYTHON, "-m", "benchmarks.load_log", "--only-soak", "--soak", str(SOAK_MINUTES)])
    try:
        runner.tests("full counts", [PYTHON, "-m", "pytest", "-q", "-n", "auto", "-m", unmarked])
        runner.ended(f"soak of {SOAK_MINUTES} minutes", soak)
    finally:
        if soak.poll() is None:
            soak.terminate()
            soak.wait(60)


def coverage(runner: Runner) -> None:
    """The README's tests and most marked suites, at the counts of `.ci/run`."""
    runner.environment["MINGZHENG_FULL"] = "0"
    runner.command("coverage", [PYTHON, ROOT / ".ci" / "coverage_gate.py"])
    runner.environment["MINGZHENG_FULL"] = "1"


def benchmarks(runner: Runner) -> None:
    """Side by side, at full rounds."""
    runner.command("benchmarks", [PYTHON, "-m", "benchmarks"])


STAGES: dict[str, Callable[[Runner], None]] = {
    "static": static,
    "marked": Runner.marked,
    "counts": counts,
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
    if not named:
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        head = f"# Full run of {today}\n\nMachine: {before}; commit {commit.stdout.strip()}\n\n"
        (ROOT / "docs" / "results").mkdir(exist_ok=True)
        page = head + "```\n" + "\n".join(runner.lines) + "\n```\n"
        (ROOT / "docs" / "results" / "full.md").write_text(page, encoding="utf-8")
    return runner.finish()


if __name__ == "__main__":
    raise SystemExit(main())
