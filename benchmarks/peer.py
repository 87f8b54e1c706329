"""A program of others in an environment of its own, kept running between rounds: one line asked, one line answered.

MINGZHENG_PEERS_PYTHON names the interpreter (requirements/peers.lock); without it the benchmarks leave such peers out.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "peers"
END_SECONDS = 60


def peers_python() -> str | None:
    """The interpreter of the peers' environment."""
    return os.environ.get("MINGZHENG_PEERS_PYTHON")


class Peer:
    """A program of benchmarks/peers; `versions` is its answer to the job."""

    def __init__(self, python: str, program: str, job: object) -> None:
        self.process = subprocess.Popen(
            [python, str(FOLDER / program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.versions: dict[str, str] = self.ask(json.dumps(job))

    def ask(self, line: str = "") -> Any:
        """Send one line, wait for the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the peer gave up: {' '.join(map(str, self.process.args))}")  # type: ignore[arg-type]
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=END_SECONDS)
