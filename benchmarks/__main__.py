"""Runs every `bench_*.py` beside this file and gathers their JSON: `python -m benchmarks [--smoke]`.

`--smoke` runs each at its smallest count, only to show that it works; nothing is kept. Without it, results go to
`benchmarks/results/latest.json` and the tables of `docs/benchmarks.md` are written from them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def run(name: str, *, smoke: bool) -> dict[str, object]:
    """One benchmark program in a process of its own; its standard output is one JSON object."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--smoke"] if smoke else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONUTF8": "1"})
    if done.returncode != 0:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def main() -> int:
    """Run all; print one line per program."""
    smoke = "--smoke" in sys.argv[1:]
    results = {}
    for path in sorted(HERE.glob("bench_*.py")):
        results[path.stem] = run(path.stem, smoke=smoke)
        print(f"{path.stem}: {len(json.dumps(results[path.stem]))} bytes of results", flush=True)
    if not smoke:
        folder = HERE / "results"
        folder.mkdir(exist_ok=True)
        text = json.dumps(results, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        (folder / "latest.json").write_text(text, encoding="utf-8")
    print(f"{len(results)} benchmark programs ran")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
