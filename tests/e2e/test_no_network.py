"""No network anywhere: the whole demo and every check in a namespace that has none, and what a check imports.

DESIGN §1: a verifier on a building site has no signal; a bid committee sits in a sealed room.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from simulator import HOUR, World

from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.keys.snapshot import save_store
from mingzheng.verifier.cli import verify

CLIENTS = {
    "_ssl", "aiohttp", "ftplib", "http.client", "http.server", "httpx", "requests", "smtplib", "socketserver", "ssl",
    "telnetlib", "urllib.request", "urllib3", "websockets", "xmlrpc.client",
}  # fmt: skip
HEAVY = {"pyhanko", "sanic", "tuf"}
PDF_LIBRARIES = {"pypdfium2"}


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, World]:
    """A trust store and one good copy, as text and as picture."""
    world = World()
    good = world.issue_one()
    world.publish_status()
    save_store(tmp_path / "trust", world.trust_files())
    (tmp_path / "code.txt").write_text(good.text)
    (tmp_path / "code.png").write_bytes(matrix_to_png(encode_qr(good.text), 4))
    return tmp_path, world


@pytest.mark.parametrize("name", ["code.txt", "code.png"])
def test_a_check_imports_no_network_client_and_no_server(place: tuple[Path, World], name: str) -> None:
    words = ["verify", str(place[0] / name), "--trust", str(place[0] / "trust"), "--policy", "site"]
    program = f"""
import json, sys
from mingzheng.cli import cli
cli.main({words!r}, standalone_mode=False)
print(json.dumps(sorted(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    modules = set(json.loads(done.stdout.decode("utf-8").splitlines()[-1]))
    assert not modules & CLIENTS
    assert not {module.split(".")[0] for module in modules} & (HEAVY | PDF_LIBRARIES)
    if name == "code.txt":
        assert "zxingcpp" not in modules


@pytest.mark.parametrize("name", ["code.txt", "code.png"])
def test_a_check_connects_nowhere(place: tuple[Path, World], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a check must not use the network")

    for method in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, method, refuse)
    for function in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, function, refuse)
    monkeypatch.setattr(time, "time", lambda: float(place[1].now + HOUR))
    words = [str(place[0] / name), "--trust", str(place[0] / "trust"), "--policy", "site", "--json"]
    result = CliRunner().invoke(verify, words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["verdict"] == "VALID_COMPARE"


def _isolated(place: Path, *words: str | Path, status: int = 0) -> str:
    """Run the command where there is no network, not even a loopback that is up."""
    command = ["unshare", "-n", sys.executable, "-m", "mingzheng", *map(str, words)]
    environment = {**os.environ, "XDG_STATE_HOME": str(place / "state")}
    done = subprocess.run(command, capture_output=True, check=False, timeout=300, cwd=place, env=environment)
    assert done.returncode == status, (done.stdout + done.stderr).decode("utf-8")
    return done.stdout.decode("utf-8")


@pytest.mark.root
def test_the_whole_demo_and_every_check_run_without_a_network(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this system lets even root make no network namespace")
    probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    isolated = subprocess.run(["unshare", "-n", sys.executable, "-c", probe], capture_output=True, check=False)
    assert b"Network is unreachable" in isolated.stderr
    assert "0 例意外" in _isolated(tmp_path, "demo", "--out", "out")
    trust = ("--trust", tmp_path / "out" / "trust", "--policy", "site", "--json")
    picture = json.loads(_isolated(tmp_path, "verify", "out/cases/code.png", *trust))
    assert picture["verdict"] == "VALID_COMPARE"
    rows = (tmp_path / "out" / "reports" / "trust.ndjson").read_text("utf-8").splitlines()
    good = [row["file"] for row in map(json.loads, rows) if row["verdict"] == "VALID"]
    assert {Path(file).suffix for file in good} == {".pdf", ".ofd"}
    for file in {Path(file).suffix: file for file in good}.values():
        document = json.loads(_isolated(tmp_path, "verify", file, *trust))
        assert document["verdict"] == "VALID"
    audit = _isolated(tmp_path, "log", "audit", "out/log", "--trust", "out/trust")
    assert audit.strip().endswith("没有异常。")


@pytest.mark.strace
def test_a_check_opens_no_socket_at_all(place: tuple[Path, World]) -> None:
    trace = place[0] / "trace"
    words = ["verify", place[0] / "code.png", "--trust", place[0] / "trust", "--policy", "site"]
    command = ["strace", "-f", "-qq", "-e", "trace=network", "-o", trace, sys.executable, "-m", "mingzheng", *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False, timeout=120)
    assert done.returncode in {0, 3}, done.stderr.decode()  # the trust data of the test may be old by the clock
    assert b"[" in done.stdout
    assert "AF_INET" not in trace.read_text()
