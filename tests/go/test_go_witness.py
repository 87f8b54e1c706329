"""Witnesses that are not ours: litewitness (torchwood), Tessera's client, cosignatures by transparency-dev's formats.

Their witness serves our client, our witness serves their client, and each side verifies what the other signed.
"""

import base64
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from witnessworld import LOG_KEY, LOG_VKEY, MAIN, NOW, ORIGIN, Branch, cosigner, signer

from mingzheng.keys.alg import Alg
from mingzheng.keys.note import parse_note
from mingzheng.keys.vkey import VerifierKey, format_vkey, parse_vkey
from mingzheng.log.checkpoint import parse_foreign_checkpoint
from mingzheng.log.cosign import Subtree, open_cosigned, verify_subtree_line
from mingzheng.log.hashing import EMPTY_ROOT
from mingzheng.log.merkle import subtree_root
from mingzheng.log.policy import count_cosignatures, parse_policy
from mingzheng.log.proof import is_subtree
from mingzheng.log.witnessclient import Collected, Head, HttpTransport, collect

pytestmark = pytest.mark.go

HERE = Path(__file__).parent / "witness"
PROGRAMS = {
    "witnesscheck": ".",
    "litewitness": "filippo.io/torchwood/cmd/litewitness",
    "posix-oneshot": "github.com/transparency-dev/tessera/cmd/examples/posix-oneshot",
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("go-witness")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    command = ["go", "build", "-o", f"{target}/", *PROGRAMS.values()]
    built = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True)
    if built.returncode != 0 and "proxy" in built.stderr:
        pytest.skip(f"the modules cannot be fetched: {built.stderr.strip()[-200:]}")
    assert built.returncode == 0, built.stderr
    return target


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a program that is stopped at the end."""
    running: list[subprocess.Popen[str]] = []

    def run(*command: object) -> "subprocess.Popen[str]":
        made = subprocess.Popen(
            [str(part) for part in command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(made)
        return made

    yield run
    for process in running:
        process.terminate()
        process.communicate(timeout=60)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[str]") -> None:
    for _ in range(1200):
        assert process.poll() is None, process.communicate()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nothing listens")


# --- their witness, our client


def their_witness(
    programs: Path, directory: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> tuple[str, VerifierKey]:
    """litewitness for our log: its key lives in an SSH agent, its logs in an SQLite file of its own form."""
    agent = start(programs / "witnesscheck", "agent", directory / "agent.sock")
    assert agent.stdout is not None
    fingerprint = agent.stdout.readline().strip()
    connection = sqlite3.connect(directory / "witness.db")
    connection.executescript(
        "CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);"
        "CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin));"
    )
    connection.execute("INSERT INTO log VALUES (?, 0, ?)", (ORIGIN, base64.b64encode(EMPTY_ROOT).decode()))
    connection.execute("INSERT INTO key VALUES (?, ?)", (ORIGIN, format_vkey(LOG_VKEY)))
    connection.commit()
    connection.close()
    port = free_port()
    options = ("-name", "litewitness.example/w", "-db", "witness.db", "-ssh-agent", "agent.sock", "-key", fingerprint)
    process = start(programs / "litewitness", *options, "-listen", f"127.0.0.1:{port}")
    assert process.stderr is not None
    vkey = next(line for line in process.stderr if "vkey=" in line).split("vkey=")[1].strip().strip('"')
    wait_for(port, process)
    return f"http://127.0.0.1:{port}", parse_vkey(vkey)


def ask(
    url: str, vkey: VerifierKey, size: int, *, branch: Branch = MAIN, sizes: dict[str, int] | None = None
) -> Collected:
    policy = parse_policy(f"witness w {format_vkey(vkey)} {url}\nquorum w\n".encode())
    head = Head(note=branch.note(size), vkey=LOG_VKEY, origin=ORIGIN, prove=lambda old: branch.prove(old, size))
    return collect(head, policy, transport=HttpTransport(), sizes=sizes or {})


def test_their_witness_serves_our_client(
    programs: Path, tmp_path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    url, vkey = their_witness(programs, tmp_path, start)
    sizes: dict[str, int] = {}
    for size in (1, 2, 2, 7, 8, 64, 300):
        found = ask(url, vkey, size, sizes=sizes)
        assert found.witnessed.satisfied, found.failures
        assert abs(found.witnessed.times["w"] - time.time()) < 60
        sizes = dict(found.sizes)
    assert ask(url, vkey, 301).witnessed.satisfied  # a client that knows nothing learns the size by 409
    behind = ask(url, vkey, 5)
    assert (behind.failures["w"].status, behind.failures["w"].fork) == (409, False)
    forked = ask(url, vkey, 310, branch=Branch("fork", 200))
    assert forked.failures["w"].fork
    assert ask(url, vkey, 310).witnessed.satisfied


# --- our witness, their client


TESSERA_ORIGIN = "tessera.example/log"


class Tessera:
    """A live log of Tessera's own program, which publishes a head only once its witnesses cosigned it."""

    def __init__(self, program: Path, base: Path, policy: str) -> None:
        self.program, self.base = program, base
        self.storage, self.entries = base / "storage", base / "entries"
        self.entries.mkdir()
        key = signer("tessera")
        public = key.public_key.raw()
        hashed = hashlib.sha256(TESSERA_ORIGIN.encode() + b"\n\x01" + public).hexdigest()[:8]
        self.vkey = parse_vkey(f"{TESSERA_ORIGIN}+{hashed}+{base64.b64encode(bytes([1]) + public).decode()}")
        secret = base64.b64encode(bytes([1]) + key.private_bytes()).decode()
        (base / "log.key").write_text(f"PRIVATE+KEY+{TESSERA_ORIGIN}+{hashed}+{secret}")
        (base / "policy").write_text(policy)

    def add(self, *texts: str, storage: Path | None = None, timeout: float = 60) -> bool:
        """Add entries; False if no head came out in time."""
        for path in self.entries.iterdir():
            path.unlink()
        for number, text in enumerate(texts):
            (self.entries / f"{number}").write_text(text)
        command = [
            *(str(self.program), f"--storage_dir={storage or self.storage}", f"--entries={self.entries}/*"),
            *(f"--private_key={self.base / 'log.key'}", f"--witness_policy_file={self.base / 'policy'}"),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def checkpoint(self, storage: Path | None = None) -> bytes:
        return ((storage or self.storage) / "checkpoint").read_bytes()


@pytest.mark.server
def test_our_witness_serves_their_client(
    programs: Path, tmp_path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a passphrase of some length\n")
    secret.chmod(0o600)
    ours = [sys.executable, "-m", "mingzheng", "witness"]
    made = subprocess.run(
        [*ours, "init", tmp_path / "w1", "--name", "w1.example.cn", "--passphrase-file", secret],
        capture_output=True,
        text=True,
        check=True,
    )
    witness = parse_vkey(made.stdout.splitlines()[0])  # the Ed25519 key: Tessera 1.0 knows no other
    port = free_port()
    policy = f"witness w1 {format_vkey(witness)} http://127.0.0.1:{port}\nquorum w1\n"
    tessera = Tessera(programs / "posix-oneshot", tmp_path, policy)
    subprocess.run([*ours, "add-log", tmp_path / "w1", format_vkey(tessera.vkey)], check=True)
    server = start(*ours, "serve", tmp_path / "w1", "--port", port, "--passphrase-file", secret)
    wait_for(port, server)
    rounds = (["one"], ["two", "three"], [f"entry {i}" for i in range(300)])
    for added in rounds:
        assert tessera.add(*added)
        seen = count_cosignatures(
            tessera.checkpoint(), parse_policy(policy.encode()), origin=TESSERA_ORIGIN, log_vkeys=[tessera.vkey]
        )
        assert seen.satisfied
    assert seen.checkpoint.size == 303
    shown = json.loads(
        subprocess.run([*ours, "show", tmp_path / "w1", "--json"], capture_output=True, check=True).stdout
    )
    assert (shown["logs"][0]["size"], shown["logs"][0]["root"]) == (303, seen.checkpoint.root.hex())


@pytest.mark.server
def test_their_log_cannot_fork_past_our_witness(
    programs: Path, tmp_path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Tessera's storage is set back and grows another way: our witness answers 422, and no head is published."""
    secret = tmp_path / "secret"
    secret.write_text("a passphrase of some length\n")
    secret.chmod(0o600)
    ours = [sys.executable, "-m", "mingzheng", "witness"]
    init = [*ours, "init", tmp_path / "w1", "--name", "w1.example.cn", "--alg", "ed25519", "--passphrase-file", secret]
    made = subprocess.run(init, capture_output=True, text=True, check=True)
    port = free_port()
    tessera = Tessera(
        programs / "posix-oneshot", tmp_path, f"witness w1 {made.stdout.strip()} http://127.0.0.1:{port}\nquorum w1\n"
    )
    subprocess.run([*ours, "add-log", tmp_path / "w1", format_vkey(tessera.vkey)], check=True)
    wait_for(port, start(*ours, "serve", tmp_path / "w1", "--port", port, "--passphrase-file", secret))
    assert tessera.add("one", "two")
    shutil.copytree(tessera.storage, tmp_path / "back")
    assert tessera.add("three", "four")
    before = tessera.checkpoint(tmp_path / "back")
    assert not tessera.add("another three", "another four", storage=tmp_path / "back", timeout=12)
    after = tessera.checkpoint(tmp_path / "back")
    assert parse_foreign_checkpoint(parse_note(after).text) == parse_foreign_checkpoint(parse_note(before).text)


# --- cosignatures both ways


def run(programs: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [str(programs / "witnesscheck"), *(str(part) for part in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_they_verify_our_cosignatures(programs: Path, tmp_path: Path) -> None:
    ours = cosigner("w1")
    for size in (0, 1, 14, 300):
        text = parse_note(MAIN.note(size)).text
        path = tmp_path / "checkpoint"
        path.write_bytes(MAIN.note(size) + ours.cosign(text, time=NOW).encode())
        vkeys = ",".join(format_vkey(vkey) for vkey in ours.vkeys)
        done = run(programs, "verify", "-checkpoint", path, "-witness", vkeys)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split().count(str(NOW)) == 2
        path.write_bytes(path.read_bytes().replace(f"\n{size}\n".encode(), f"\n{size + 1}\n".encode(), 1))
        assert run(programs, "verify", "-checkpoint", path, "-witness", vkeys).returncode == 1


def test_they_verify_our_subtree_cosignatures(programs: Path) -> None:
    ours = cosigner("w1", Alg.ML_DSA_44)
    for start_at, end in [(s, e) for s in range(9) for e in range(s + 1, 10) if is_subtree(s, e)]:
        root = subtree_root(start_at, end, MAIN.read)
        line = ours.cosign_subtree(Subtree(origin=ORIGIN, start=start_at, end=end, root=root))
        words = ("-witness", format_vkey(ours.vkeys[0]), "-origin", ORIGIN, "-root", base64.b64encode(root).decode())
        place = ("-start", start_at, "-signature", line.split(" ")[2].strip())
        assert run(programs, "subtree", *words, *place, "-end", end).returncode == 0
        assert run(programs, "subtree", *words, *place, "-end", end + 1).returncode == 1


def test_we_verify_their_cosignatures(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    for size, start_at, end in ((14, 8, 13), (300, 256, 300), (1, 0, 1)):
        path.write_bytes(MAIN.note(size, LOG_KEY))
        root = subtree_root(start_at, end, MAIN.read)
        encoded = base64.b64encode(root).decode()
        place = ("-start", start_at, "-end", end, "-root", encoded)
        done = run(programs, "sign", "-name", "their.example/w", "-checkpoint", path, *place)
        assert done.returncode == 0, done.stderr
        vkey_text, whole, part = done.stdout.splitlines()
        vkey = parse_vkey(vkey_text)
        note = path.read_bytes() + f"{whole}\n".encode()
        head = open_cosigned(note, origin=ORIGIN, log_vkeys=[LOG_VKEY], witnesses=[vkey])
        assert [item.vkey for item in head.cosignatures] == [vkey]
        (line,) = parse_note(f"x\n\n{part}\n".encode()).signatures
        verify_subtree_line(line, Subtree(origin=ORIGIN, start=start_at, end=end, root=root), vkey=vkey)
