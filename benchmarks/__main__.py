"""Runs the `bench_*.py` beside this file and gathers their JSON: `python -m benchmarks [--smoke] [bench_NAME …]`.

`--smoke` runs each at its smallest count, only to show that it works; nothing is kept. Without it, results go to
`benchmarks/results/latest.json`, beside those of the programs that were not named; `python -m benchmarks.report`
writes `docs/benchmarks.md` from them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LATEST = HERE / "results" / "latest.json"


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
    every = sorted(path.stem for path in HERE.glob("bench_*.py"))
    named = [word for word in sys.argv[1:] if word != "--smoke"]
    if unknown := set(named) - set(every):
        raise SystemExit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    results = {}
    for name in named or every:
        results[name] = run(name, smoke=smoke)
        print(f"{name}: {len(json.dumps(results[name]))} bytes of results", flush=True)
    if not smoke:
        LATEST.parent.mkdir(exist_ok=True)
        kept = json.loads(LATEST.read_text(encoding="utf-8")) if LATEST.exists() else {}
        kept = {name: result for name, result in kept.items() if name in every}
        text = json.dumps(kept | results, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        LATEST.write_text(text, encoding="utf-8")
    print(f"{len(results)} benchmark programs ran")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
