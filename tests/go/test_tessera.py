"""Our logs served live and read by Tessera: its client and fsck, from the Go module proxy."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from logserver import serving, static
from logworld import IDENTITY, NOW, ORIGIN_KEYS, LogWorld, act, issue, rounded, write_log

from mingzheng.log.acts import ActType
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.mirror import Mirror

pytestmark = pytest.mark.go

HERE = Path(__file__).parent / "tessera"
Check = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Runs the built program on a directory that is served meanwhile."""
    program = tmp_path_factory.mktemp("tessera") / "tesseracheck"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    fetched = subprocess.run(["go", "mod", "download"], cwd=HERE, env=environment, capture_output=True, text=True)
    if fetched.returncode != 0:
        assert "checksum mismatch" not in fetched.stderr, fetched.stderr
        pytest.skip(f"Tessera cannot be fetched: {fetched.stderr.strip()[-200:]}")
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=HERE, env=environment, check=True)

    def run(directory: Path, *more: str) -> "subprocess.CompletedProcess[str]":
        with serving(static(directory)) as server:
            command = [str(program), "-url", server.url + "/", "-vkey", IDENTITY.vkey_text(), *more]
            return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_a_growing_log_is_followed_recomputed_and_proved(check: Check, world: LogWorld, tmp_path: Path) -> None:
    log, old, serial = world.create(), [], 0
    for count in (1, 253, 1, 300, 800):
        world.submit(log, *(issue(at) for at in range(serial, serial + count)))
        serial += count
        size = log.head()[0]
        done = check(world.public, "-old", ",".join(map(str, old)), "-step", "7")
        assert done.returncode == 0, done.stderr
        assert f"size={size} proved={-(-size // 7)} old={len(old)}" in done.stdout
        old.append(tmp_path / f"checkpoint.{size}")
        old[-1].write_bytes((world.public / "checkpoint").read_bytes())


def test_a_mirror_is_as_good(check: Check, world: LogWorld, tmp_path: Path) -> None:
    log = world.create()
    world.submit(log, *(issue(at) for at in range(600)), act(0, ActType.REVOKE, [5]))
    Mirror(tmp_path / "mirror", ORIGIN_KEYS).follow(DirectoryFetcher(world.public), now=NOW)
    done = check(tmp_path / "mirror")
    assert f"size={log.head()[0]} proved={log.head()[0]}" in done.stdout, done.stderr


def test_what_we_refuse_tessera_refuses_too(check: Check, tmp_path: Path) -> None:
    public = tmp_path / "log"
    write_log(public, rounded([issue(at) for at in range(600)]))
    for name in ("tile/entries/001", "tile/0/000", "tile/1/000.p/2", "checkpoint"):
        good = (public / name).read_bytes()
        (public / name).write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
        assert check(public).returncode == 1, name
        (public / name).write_bytes(good)
    assert check(public).returncode == 0
    older = tmp_path / "older"
    older.write_bytes(write_log(tmp_path / "fork", rounded([issue(9)])))
    assert check(public, "-old", str(older)).returncode == 1
