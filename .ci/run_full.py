"""The full counts: after the README's tests every suite with MINGZHENG_FULL=1; results go to docs/results/."""

import datetime
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from suites import MARKED, PYTHON, ROOT, Runner, install_python, install_system, machine


def main() -> int:
    runner = Runner(full=True)
    before = machine()
    runner.tests("README: run.py test", [sys.executable, ROOT / "run.py", "test"])
    install_system()
    install_python()
    runner.with_everything()
    runner.command("lint", [PYTHON, "-m", "ruff", "check", "."])
    runner.command("format", [PYTHON, "-m", "ruff", "format", "--check", "."])
    runner.command("types", [PYTHON, "-m", "mypy", "-p", "mingzheng"])
    runner.marked()
    unmarked = " and ".join(f"not {name}" for name in MARKED)
    runner.tests("full counts", [PYTHON, "-m", "pytest", "-q", "-n", "auto", "-m", unmarked])
    runner.environment["MINGZHENG_FULL"] = "0"
    runner.command("coverage", [PYTHON, ROOT / ".ci" / "coverage_gate.py"])
    runner.command("benchmarks", [PYTHON, "-m", "benchmarks"])
    runner.command("demo", [sys.executable, ROOT / "run.py", "demo", "--out", ROOT / "demo-out", "--force"])
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    text = f"# Full run of {today}\n\nMachine: {before}\n\n```\n" + "\n".join(runner.lines) + "\n```\n"
    (ROOT / "docs" / "results").mkdir(exist_ok=True)
    (ROOT / "docs" / "results" / "full.md").write_text(text, encoding="utf-8")
    return runner.finish()


if __name__ == "__main__":
    raise SystemExit(main())
