"""Schemathesis reads `/openapi.json` from a running server and tries what the file allows, and what it does not."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import FULL
from serverprogram import running

pytestmark = [pytest.mark.server, pytest.mark.peers]
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance"
)


def test_no_answer_breaks_what_the_file_says(tmp_path: Path) -> None:
    program = Path(os.environ["MINGZHENG_PEERS_PYTHON"]).with_name("schemathesis")
    if not program.exists():
        pytest.skip("the environment of peers has no schemathesis")
    with running(tmp_path, level="WARNING") as server:
        command = [str(program), "run", f"http://127.0.0.1:{server.port}/openapi.json", "--checks", CHECKS]
        command += ["--phases", "coverage,fuzzing", "--suppress-health-check", "all"]
        command += ["--max-examples", "100" if FULL else "15"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout[-5000:]
        assert server.ask("GET", "/readyz")[0] == 200
    print(next(line for line in done.stdout.splitlines() if "generated" in line))
