"""Everything on a clean clone at reduced counts: the README's test command, then checks and marked suites.

The README's tests play the demo; coverage and the benchmarks are left to `.ci/full`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from suites import PYTHON, ROOT, Runner, install_python, install_system


def main() -> int:
    runner = Runner(full=False)
    runner.tests("README: run.py test", [sys.executable, ROOT / "run.py", "test"])
    if not PYTHON.exists():
        return runner.finish()
    install_system()
    install_python()
    runner.with_everything()
    runner.command("lint", [PYTHON, "-m", "ruff", "check", "."])
    runner.command("format", [PYTHON, "-m", "ruff", "format", "--check", "."])
    runner.command("types", [PYTHON, "-m", "mypy", "-p", "mingzheng"])
    runner.marked()
    return runner.finish()


if __name__ == "__main__":
    raise SystemExit(main())
