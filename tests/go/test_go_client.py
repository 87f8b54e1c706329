"""Our logs read by a client that is not ours: golang.org/x/mod/sumdb/{note,tlog}, which recomputes everything."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from logworld import IDENTITY, LogWorld, issue, signer

from mingzheng.keys.vkey import format_vkey, vkey_for
from mingzheng.log.checkpoint import Checkpoint, sign_checkpoint
from mingzheng.log.sequencer import EmbeddedLog, Submission
from mingzheng.log.store import PosixStore
from mingzheng.log.tail import EMPTY_TAIL, append
from mingzheng.log.tile import Tile

pytestmark = pytest.mark.go

HERE = Path(__file__).parent
LOGS = HERE.parent / "vectors" / "log"
FULL = os.environ.get("MINGZHENG_FULL") == "1"
SEQUENCED = (2, 254, 256, 258, 65_534, 65_536, 65_538)
PLAIN = (1, 255, 257, 65_535, 65_537)


@dataclass
class Client:
    """The built program."""

    program: Path

    def check(self, directory: Path, vkey: str, *more: str) -> str:
        done = self.run(directory, vkey, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, directory: Path, vkey: str, *more: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.program), "-dir", str(directory), "-vkey", vkey, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    program = tmp_path_factory.mktemp("go") / "logcheck"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    fetched = subprocess.run(["go", "mod", "download"], cwd=HERE, env=environment, capture_output=True, text=True)
    if fetched.returncode != 0:
        pytest.skip(f"golang.org/x/mod cannot be fetched: {fetched.stderr.strip()[-200:]}")
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=HERE, env=environment, check=True)
    return Client(program)


def _vkey(name: str) -> str:
    return (LOGS / name / "log.vkey").read_text().strip()


def test_reads_tessera_log_with_every_older_head(client: Client) -> None:
    old = ",".join(str(LOGS / f"tessera_log15/checkpoint.{size}") for size in range(16))
    assert "size=15 old=16" in client.check(LOGS / "tessera_log15", _vkey("tessera_log15"), "-old", old)


def test_reads_the_synthetic_log(client: Client) -> None:
    old = ",".join(str(path) for path in sorted((LOGS / "synthetic_log600/old").iterdir()))
    assert "size=600 old=4" in client.check(LOGS / "synthetic_log600", _vkey("synthetic_log600"), "-old", old)


def test_reads_what_our_sequencer_writes(client: Client, tmp_path: Path) -> None:
    world = LogWorld(root=tmp_path)
    log = world.create()
    vkey = IDENTITY.vkey_text()
    assert "size=0" in client.check(world.public, vkey)
    heads = [_keep_head(world.public, tmp_path, 0)]
    serial = 0
    for size in SEQUENCED:
        serial = _grow_to(log, size, serial, world.now)
        assert log.head()[0] == size
        old = ",".join(str(path) for path in heads)
        assert f"size={size} old={len(heads)}" in client.check(world.public, vkey, "-old", old)
        heads.append(_keep_head(world.public, tmp_path, size))
    world.close()


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="a log of 10^6 entries: set MINGZHENG_FULL=1")
def test_reads_a_million_entries(client: Client, tmp_path: Path) -> None:
    world = LogWorld(root=tmp_path)
    log = world.create()
    serial = 0
    for size in range(10_000, 1_000_001, 10_000):
        serial = _grow_to(log, size, serial, world.now)
    assert log.head()[0] == 1_000_000
    assert "size=1000000" in client.check(world.public, IDENTITY.vkey_text(), "-proofs", "100")
    world.close()


def _grow_to(log: EmbeddedLog, size: int, serial: int, now: int) -> int:
    """One round that ends at `size` (even): entries, time, and the filler if it takes one."""
    count = size - log.head()[0] - 1
    if count > 60_000:
        serial = _grow_to(log, log.head()[0] + 60_000, serial, now)
        count -= 60_000
    entries = [issue(at) for at in range(serial, serial + count)]
    log.submit([Submission(key=hashlib.sha256(entry).digest(), entry=entry) for entry in entries], now=now)
    return serial + count


def _keep_head(public: Path, target: Path, size: int) -> Path:
    return Path(shutil.copy(public / "checkpoint", target / f"checkpoint.{size}"))


def test_reads_what_our_tile_writer_writes_without_rounds(client: Client, tmp_path: Path) -> None:
    store = PosixStore(tmp_path / "public", tmp_path / "temporary")
    store.prepare()
    key = signer("plain log")
    vkey = format_vkey(vkey_for("plain.example/log", key.public_key))
    tail = EMPTY_TAIL
    heads: list[Path] = []
    for size in PLAIN:
        plan = append(tail, [b"entry %d" % index for index in range(tail.edge.size, size)])
        store.write(plan.files)
        tail = plan.tail
        head = Checkpoint(origin="plain.example/log", size=size, root=tail.edge.root())
        store.publish_checkpoint(sign_checkpoint(head, signer=key))
        old = ",".join(str(path) for path in heads)
        assert f"size={size} old={len(heads)}" in client.check(tmp_path / "public", vkey, "-old", old)
        heads.append(_keep_head(tmp_path / "public", tmp_path, size))


# --- it must also fail


def _copy(tmp_path: Path) -> Path:
    target = tmp_path / "log"
    shutil.copytree(LOGS / "synthetic_log600", target)
    return target


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


FORGED: dict[str, Callable[[Path], object]] = {
    "leaf in a full tile": lambda log: _flip(log / "tile/0/000", 320),
    "leaf in the partial tile": lambda log: _flip(log / "tile/0/002.p/88", 320),
    "hash in the upper tile": lambda log: _flip(log / "tile/1/000.p/2", 3),
    "entry": lambda log: _flip(log / "tile/entries/001", 10),
    "checkpoint": lambda log: _flip(log / "checkpoint", 24),
    "missing tile": lambda log: (log / "tile/0/001").unlink(),
    "missing bundle": lambda log: (log / "tile/entries/000").unlink(),
}


@pytest.mark.parametrize("case", FORGED)
def test_forgeries_fail(client: Client, tmp_path: Path, case: str) -> None:
    log = _copy(tmp_path)
    FORGED[case](log)
    assert client.run(log, _vkey("synthetic_log600")).returncode == 1


def test_forged_entry_with_its_tile_fails_in_the_authenticating_reader_too(client: Client, tmp_path: Path) -> None:
    """GO-2026-6179: before x/mod 0.40.0 a forged leaf in tile/0/000 of this log came back without an error."""
    log = _copy(tmp_path)
    bundle = bytearray((log / "tile/entries/000").read_bytes())
    bundle[5] ^= 1
    (log / "tile/entries/000").write_bytes(bundle)
    first = bytes(bundle[2 : 2 + int.from_bytes(bundle[:2])])
    tile = bytearray((log / "tile/0/000").read_bytes())
    tile[:32] = hashlib.sha256(b"\x00" + first).digest()
    (log / "tile/0/000").write_bytes(tile)
    assert client.run(log, _vkey("synthetic_log600")).returncode == 1
    assert client.run(log, _vkey("synthetic_log600"), "-tiles-only", "-proofs", "600").returncode == 1
    assert client.run(LOGS / "synthetic_log600", _vkey("synthetic_log600"), "-tiles-only").returncode == 0


def test_a_fork_of_an_older_head_fails(client: Client, tmp_path: Path) -> None:
    world = LogWorld(root=tmp_path / "a")
    other = LogWorld(root=tmp_path / "b")
    with world.create() as log:
        world.submit(log, issue(0))
        world.submit(log, issue(1))
    with other.create() as log:
        other.submit(log, issue(9))
    forked = other.public / "checkpoint"
    assert client.run(world.public, IDENTITY.vkey_text(), "-old", str(forked)).returncode == 1


def test_tile_paths_are_those_of_the_specification() -> None:
    assert Tile(level=0, index=1_234_067, width=3).path() == "tile/0/x001/x234/067.p/3"
