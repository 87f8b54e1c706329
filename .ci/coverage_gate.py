"""Branch coverage of the unmarked tests: at least 95 % over all, 100 % on keys, the pure log and the codec."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OVERALL = 95.0
MARKS = "not go and not strace and not wheel and not java"  # they run as suites of their own and measure nothing here
# Complete: every line and every branch.
COMPLETE = [
    *(f"keys/{name}.py" for name in ("alg", "custody", "errors", "kid", "note", "signer", "snapshot", "trust", "vkey")),
    *(f"keys/{name}.py" for name in ("cosignature", "mldsa")),
    *(f"log/{name}.py" for name in ("cosign", "policy", "quorum", "witness", "witnessstore")),
    *(
        f"log/{name}.py"
        for name in (
            "acts", "block", "checkpoint", "entry", "errors", "hashing", "merkle", "proof", "receipt", "status", "tile",
        )
    ),
    *(
        f"formats/{name}.py"
        for name in ("cbor", "claims", "cose", "credential", "qrtext", "repertoire", "text", "civil")
    ),
]  # fmt: skip


def main() -> int:
    environment = {**os.environ, "COVERAGE_CORE": os.environ.get("COVERAGE_CORE", "ctrace")}
    with tempfile.TemporaryDirectory() as scratch:
        environment["COVERAGE_FILE"] = str(Path(scratch) / "data")
        report = Path(scratch) / "report.json"
        run = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", MARKS]
        run += ["--cov", f"--cov-report=json:{report}", "--cov-report="]
        done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stdout[-4000:], done.stderr[-2000:])
            return 1
        data = json.loads(report.read_text())
        ran = done.stdout.strip().splitlines()[-1].strip("= ")
    bad = []
    for name in COMPLETE:
        summary = data["files"].get(name, {}).get("summary")
        if summary is None or summary["percent_covered"] < 100.0:
            missing = data["files"].get(name, {})
            lines, branches = missing.get("missing_lines"), missing.get("missing_branches")
            bad.append(f"{name}: {summary and summary['percent_covered']:.1f} %, lines {lines}, branches {branches}")
    for name, entry in sorted(data["files"].items()):
        if entry["summary"]["percent_covered"] < OVERALL:
            print(f"{entry['summary']['percent_covered']:6.1f} %  {name}  lines {entry['missing_lines'][:40]}")
    total = data["totals"]["percent_covered"]
    print("\n".join(f"not complete: {line}" for line in bad))
    print(
        f"{ran}; branch coverage {total:.1f} % over all, {len(COMPLETE) - len(bad)} of {len(COMPLETE)} modules complete"
    )
    return 0 if total >= OVERALL and not bad else 1


if __name__ == "__main__":
    raise SystemExit(main())
