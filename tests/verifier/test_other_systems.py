"""`mingzheng verify` without what only Unix has: no resource, pwd, fork, no lock of fcntl; workers are spawned.

A simulation on Linux: which of fcntl and msvcrt a module imports goes by the name of the system, so fcntl stays
importable here and fails as soon as anything of it is used.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from office import CONSTRUCTORS, NOW, Office, person

from mingzheng.issuer.exporting import export_trust

SITE = """
import os, sys, threading, types
sys.modules["fcntl"] = types.ModuleType("fcntl")  # empty
for name in ("resource", "pwd", "grp", "termios", "syslog"):
    sys.modules[name] = None  # an import of it fails
for name in ("fork", "forkpty", "sched_getaffinity", "getuid", "geteuid"):
    delattr(os, name)
threading.active_count = lambda: 2  # never fork
"""
RUN = """
import sys
import mingzheng.verifier.cli as commands
now = float(sys.argv.pop(1))
commands.time.time = lambda: now
from mingzheng.cli import main
from mingzheng.formats.confine import kernel_keeps_memory
from mingzheng.formats.pool import Start, default_start
assert default_start() is Start.SPAWN and not kernel_keeps_memory()
assert commands.__file__.startswith(sys.argv.pop(1))
main()
"""


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_files_are_read_without_what_only_unix_has(tmp_path: Path, command: str) -> None:
    office = Office(tmp_path, issuers=(CONSTRUCTORS,)).build().with_seals()
    office.issue([person(1)])
    with office.open() as workspace:
        export_trust(workspace, tmp_path / "trust", now=NOW + 60)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    import mingzheng

    package = Path(mingzheng.__file__).parent
    options = ["--trust", str(tmp_path / "trust"), "--policy", "site", "--jobs", "1"] if command == "verify" else []
    files = sorted(map(str, office.out.iterdir()))
    paths = files if command == "verify" else files[:1]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(NOW + 120), str(package), command, *paths, *options, "--json"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{package.parent}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if command == "verify":
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert [(Path(row["file"]).suffix, row["verdict"]) for row in rows] == [(".ofd", "VALID"), (".pdf", "VALID")]
    else:
        assert "credential" in done.stdout
