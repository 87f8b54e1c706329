"""Writes `ledger/version-N.sql`: the history of `tests/ledgerhistory.py` as the last program of each version wrote it.

    python tests/vectors/make_ledger_vectors.py

Needs a clone with history: the programs come out of it. A version that was released is written once.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAST = {1: "cbd2a37", 2: "15d0071", 3: "3119843"}  # version -> the last commit whose program writes it


def main() -> None:
    """Write every dump."""
    for version, commit in LAST.items():
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            with tarfile.open(fileobj=BytesIO(archive)) as files:
                files.extractall(place / "program", filter="data")
            target = ROOT / "tests" / "vectors" / "ledger" / f"version-{version}.sql"
            words = [sys.executable, str(ROOT / "tests" / "ledgerhistory.py"), str(place / "ledger"), str(target)]
            subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(place / "program")})


if __name__ == "__main__":
    main()
