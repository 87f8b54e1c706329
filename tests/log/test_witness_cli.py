"""`mingzheng witness`: from an empty directory to a running witness, and what each command refuses."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from witnessworld import LOG_VKEY, MAIN, ORIGIN, signer

from mingzheng.keys import custody
from mingzheng.keys.errors import WrongPassphraseError
from mingzheng.keys.note import open_note
from mingzheng.keys.vkey import VerifierKey, format_vkey, parse_vkey
from mingzheng.log import witness_cli
from mingzheng.log.policy import parse_policy
from mingzheng.log.witness_cli import ServerMissingError, witness_group
from mingzheng.log.witnessclient import Head, HttpTransport, collect
from mingzheng.log.witnessstore import (
    WitnessAnchorError,
    WitnessCopiedError,
    WitnessExistsError,
    WitnessLogError,
    WitnessStore,
)

NAME = "w1.example.cn"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(witness_group, [str(item) for item in arguments])


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files say what they cost: 0.2 s each is for products."""
    monkeypatch.setattr(custody, "SCRYPT_N", 2)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("a passphrase of some length\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def made(tmp_path: Path, secret: Path) -> Path:
    good("init", tmp_path / "w1", "--name", NAME, "--passphrase-file", secret)
    return tmp_path / "w1"


def test_init_makes_keys_that_only_their_owner_reads(made: Path) -> None:
    for name in ("ed25519.pem", "ml-dsa-44.pem"):
        assert (made / "keys" / name).stat().st_mode & 0o077 == 0
    shown = json.loads(good("show", made, "--json"))
    assert shown["name"] == NAME
    assert [parse_vkey(text).sig_type for text in shown["vkeys"]] == [4, 6]
    assert shown["logs"] == []


@pytest.mark.parametrize(("alg", "types"), [("ed25519", [4]), ("ml-dsa-44", [6])])
def test_init_with_one_key(tmp_path: Path, secret: Path, alg: str, types: list[int]) -> None:
    output = good("init", tmp_path / "w", "--name", NAME, "--alg", alg, "--passphrase-file", secret)
    assert [parse_vkey(line).sig_type for line in output.splitlines()] == types


def test_init_refuses(made: Path, tmp_path: Path, secret: Path) -> None:
    again = run("init", made, "--name", NAME, "--passphrase-file", secret)
    assert isinstance(again.exception, WitnessExistsError)
    for name in ("", "a b", "a+b", "日" * 86):
        assert run("init", tmp_path / "x", "--name", name, "--passphrase-file", secret).exit_code == 2
    assert not (tmp_path / "x").exists()


def test_logs_are_added_by_text_or_file(made: Path, tmp_path: Path) -> None:
    good("add-log", made, format_vkey(LOG_VKEY))
    (tmp_path / "log.vkey").write_text(format_vkey(LOG_VKEY) + "\n")
    good("add-log", made, tmp_path / "log.vkey", "--origin", "another origin")
    shown = json.loads(good("show", made, "--json"))
    assert [log["origin"] for log in shown["logs"]] == ["another origin", ORIGIN]
    assert "还没有见证过" in good("show", made)
    for bad in ("a+b+c", format_vkey(LOG_VKEY)[:-2]):
        assert run("add-log", made, bad).exit_code == 2
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert run("add-log", made, tmp_path / "bytes").exit_code == 2
    missing = run("add-log", made, tmp_path / "no such file")
    assert missing.exit_code == 2
    assert "neither a verifier key" in missing.output
    own = json.loads(good("show", made, "--json"))["vkeys"][0]
    assert isinstance(run("add-log", made, own).exception, WitnessLogError)


def test_a_copy_must_be_adopted(made: Path, tmp_path: Path, secret: Path) -> None:
    good("add-log", made, format_vkey(LOG_VKEY))
    shutil.copytree(made, tmp_path / "copy")
    copied = run("serve", tmp_path / "copy", "--passphrase-file", secret)
    assert isinstance(copied.exception, (WitnessCopiedError, ServerMissingError))
    assert isinstance(run("add-log", tmp_path / "copy", format_vkey(LOG_VKEY)).exception, WitnessCopiedError)
    good("show", tmp_path / "copy")
    assert isinstance(run("adopt", tmp_path / "copy").exception, WitnessAnchorError)
    assert isinstance(run("add-log", tmp_path / "copy", format_vkey(LOG_VKEY)).exception, WitnessCopiedError)
    good("adopt", tmp_path / "copy", "--as-remembered", ORIGIN)
    good("add-log", tmp_path / "copy", format_vkey(LOG_VKEY))


def test_serve_says_what_is_missing(made: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mingzheng.log.witnessserver", None)
    monkeypatch.delattr("mingzheng.log.witnessserver", raising=False)
    result = run("serve", made, "--passphrase-file", secret)
    assert isinstance(result.exception, ServerMissingError)


def test_the_keys_open_with_their_passphrase_only(made: Path) -> None:
    store = WitnessStore(made)
    assert witness_cli._load(made, store, b"a passphrase of some length").vkeys == store.vkeys
    with pytest.raises(WrongPassphraseError):
        witness_cli._load(made, store, b"another passphrase here")
    store.close()


# --- served


class Running:
    """`mingzheng witness serve` as a process."""

    def __init__(self, directory: Path, secret: Path) -> None:
        self.directory, self.secret = directory, secret
        self.port = _free_port()
        self.vkeys: list[VerifierKey] = [
            parse_vkey(text) for text in json.loads(good("show", directory, "--json"))["vkeys"]
        ]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/w1"

    def start(self) -> None:
        command = [sys.executable, "-m", "mingzheng", "witness", "serve", str(self.directory)]
        options = ["--port", str(self.port), "--prefix", "/w1/", "--passphrase-file", str(self.secret)]
        self.process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(1200):
            if self.process.poll() is not None:
                raise AssertionError(self.process.communicate()[1].decode())
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the witness does not come up")

    def stop(self, how: int) -> None:
        self.process.send_signal(how)
        self.process.communicate(timeout=60)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body)
            found = connection.getresponse()
            return found.status, found.getheader("Content-Type", ""), found.read()
        finally:
            connection.close()

    def collect(self, size: int, sizes: dict[str, int] | None = None) -> bool:
        text = "".join(f"witness k{i} {format_vkey(key)} {self.url}\n" for i, key in enumerate(self.vkeys))
        policy = parse_policy(f"{text}group g all k0 k1\nquorum g\n".encode())
        head = Head(note=MAIN.note(size), vkey=LOG_VKEY, origin=ORIGIN, prove=lambda old: MAIN.prove(old, size))
        return collect(head, policy, transport=HttpTransport(), sizes=sizes or {}).witnessed.satisfied


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture
def running(made: Path, secret: Path) -> Iterator[Running]:
    good("add-log", made, format_vkey(LOG_VKEY))
    found = Running(made, secret)
    yield found
    if found.process.poll() is None:
        found.stop(signal.SIGTERM)


@pytest.mark.server
def test_a_served_witness_cosigns_and_remembers_over_kills(running: Running, made: Path) -> None:
    assert running.collect(5)
    running.stop(signal.SIGKILL)
    running.start()
    assert running.collect(9)
    assert running.ask("POST", "/w1/add-checkpoint", MAIN.request(5, 6))[::2] == (409, b"9\n")
    running.stop(signal.SIGTERM)
    assert running.process.returncode in (0, -signal.SIGTERM)
    (log,) = json.loads(good("show", made, "--json"))["logs"]
    assert (log["size"], log["root"]) == (9, MAIN.root(9).hex())
    assert "大小 size 9" in good("show", made)
    assert os.listdir(made / "keys")


@pytest.mark.server
def test_a_served_witness_answers_as_the_specification_says(running: Running) -> None:
    status, kind, _ = running.ask("POST", "/w1/add-checkpoint", MAIN.request(0, 3))
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    assert running.ask("POST", "/w1/add-checkpoint", MAIN.request(0, 3)) == (409, "text/x.tlog.size", b"3\n")
    assert running.ask("POST", "/w1/add-checkpoint", MAIN.request(0, 3, note=MAIN.note(3, signer("x"))))[0] == 403
    assert running.ask("POST", "/w1/add-checkpoint", b"")[0] == 400
    assert running.ask("POST", "/w1/add-checkpoint", b"x" * 131_072)[0] == 400
    assert running.ask("POST", "/w1/add-checkpoint", b"x" * 131_073)[0] == 413
    assert running.ask("PUT", "/w1/add-checkpoint", b"")[0] == 405
    assert running.ask("GET", "/w1/add-checkpoint")[0] == 405
    for path in ("/", "/w1", "/w1/", "/w2/add-checkpoint", "/w1/../../etc/passwd", "/w1/%00"):
        assert running.ask("GET", path)[0] in (400, 404)
    status, _, body = running.ask("GET", f"/w1/{hashlib.sha256(ORIGIN.encode()).hexdigest()}/checkpoint")
    assert status == 200
    assert len(open_note(body, [LOG_VKEY, *running.vkeys]).verified) == 3


@pytest.mark.server
def test_many_at_once_get_one_cosignature_a_size(running: Running) -> None:
    """32 requests from one old size in 8 threads: one wins, and every other one is told the winner's size."""
    assert running.collect(4)
    answers: list[tuple[int, str, bytes]] = []

    def ask(part: int) -> None:
        for step in range(4):
            body = MAIN.request(4, 5 + 4 * part + step)
            answers.append(running.ask("POST", "/w1/add-checkpoint", body))

    threads = [threading.Thread(target=ask, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _, _ in answers) == [200] + [409] * 31
    assert len({body for status, _, body in answers if status == 409}) == 1
