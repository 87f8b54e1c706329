"""Order of durable steps, and errors of the system calls themselves.

A SIGKILL leaves the page cache, so a missing fsync would not show in the crash tests. Here every call is recorded, and
at each publication of `checkpoint` everything that it vouches for must have been forced to disk before. Two controls
without fsync must fail. Under strace, calls of the kernel fail with EIO and ENOSPC, or kill.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logworld import IDENTITY, LogWorld, act, issue, keyed

from mingzheng.log.acts import ActType
from mingzheng.log.fsck import fsck
from mingzheng.log.refusal import LogMissingError

FULL = os.environ.get("MINGZHENG_FULL") == "1"
# Which occurrence of a system call is hit; MINGZHENG_STRACE=all takes every one (about 1,000 runs, over 20 minutes).
EVERY = os.environ.get("MINGZHENG_STRACE") == "all"
OCCURRENCES = range(1, 60) if EVERY else range(1, 60, 6) if FULL else (2, 7, 15)
BATCHES = ([issue(0)], [issue(serial) for serial in range(1, 270)], [act(0, ActType.REVOKE, [0])])


class Recorder:
    """What is not yet on disk, and every publication that came too early."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: dict[int, str] = {}
        self.dirty_files: set[str] = set()
        self.dirty_directories: set[str] = set()
        self.faults: list[str] = []
        self.publications = 0
        for name in ("open", "write", "fsync", "replace", "mkdir"):
            self._wrap(monkeypatch, name, getattr(self, f"_{name}"))

    @staticmethod
    def _wrap(monkeypatch: pytest.MonkeyPatch, name: str, note: Callable[..., None]) -> None:
        real = getattr(os, name)

        def wrapper(*arguments: Any, **named: Any) -> Any:
            result = real(*arguments, **named)
            note(result, *arguments)
            return result

        monkeypatch.setattr(os, name, wrapper)

    def _open(self, descriptor: int, path: object, *_rest: object) -> None:
        self.paths[descriptor] = str(path)

    def _write(self, _count: int, descriptor: int, _data: bytes) -> None:
        self.dirty_files.add(self.paths[descriptor])

    def _fsync(self, _none: None, descriptor: int) -> None:
        self.dirty_files.discard(self.paths[descriptor])
        self.dirty_directories.discard(self.paths[descriptor])

    def _replace(self, _none: None, source: object, target: object) -> None:
        if str(source) in self.dirty_files:
            self.faults.append(f"{source} renamed before its bytes were on disk")
        if Path(str(target)).name == "checkpoint":
            self.publications += 1
            self.faults += [f"published before {name} was on disk" for name in sorted(self.dirty_directories)]
        self.dirty_directories.add(str(Path(str(target)).parent))

    def _mkdir(self, _none: None, path: object, *_rest: object) -> None:
        self.dirty_directories.add(str(Path(str(path)).parent))


def _live(root: Path) -> None:
    world = LogWorld(root=root)
    log = world.create()
    for batch in BATCHES:
        world.submit(log, *batch)
    world.close()


def test_nothing_is_published_before_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    _live(tmp_path)
    assert recorder.faults == []
    assert recorder.publications == 4


def test_a_build_without_directory_fsync_fails_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("durable", "store"):
        monkeypatch.setattr(f"mingzheng.log.{module}.fsync_dir", lambda _path: None)
    recorder = Recorder(monkeypatch)
    _live(tmp_path)
    assert recorder.faults


def test_a_build_without_file_fsync_fails_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(descriptor, data)
        os.close(descriptor)

    for module in ("durable", "store"):
        monkeypatch.setattr(f"mingzheng.log.{module}.write_file", hasty)
    recorder = Recorder(monkeypatch)
    _live(tmp_path)
    assert recorder.faults


def test_the_database_forces_every_commit_to_disk(tmp_path: Path) -> None:
    world = LogWorld(root=tmp_path)
    log = world.create()
    connection = log._db()._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    world.close()


# --- the kernel's own answers

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_log_durability import write
write(Path(sys.argv[2]))
"""


def write(root: Path) -> None:
    """What runs under strace: create or open, submit, print what was acknowledged."""
    world = LogWorld(root=root)
    try:
        log = world.open()
    except LogMissingError:
        log = world.create()
    for number, batch in enumerate(BATCHES):
        line = " ".join(map(str, (number, *log.submit(keyed(batch), now=world.now + number))))
        os.write(1, f"{line}\n".encode())  # one call: a fault may hit it too; half a line is no promise
    world.close()


def _traced(root: Path, call: str, fault: str, when: int) -> tuple[int, list[str]]:
    here = Path(__file__).parent
    command = [
        "strace",
        "-f",
        "-qq",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:{fault}:when={when}",
        "-o",
        os.devnull,
    ]
    program = [sys.executable, "-c", PROGRAM, str(here), str(root)]
    environment = {**os.environ, "PYTHONPATH": str(here.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*command, *program], capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout[: done.stdout.rfind("\n") + 1].splitlines()


CALLS = ("fsync", "fdatasync", "rename", "mkdir", "pwrite64", "write")
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")


@pytest.mark.strace
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_failing_system_calls_break_no_promise(tmp_path: Path, call: str, fault: str) -> None:
    stopped = 0
    for when in OCCURRENCES:
        root = tmp_path / str(when)
        root.mkdir()
        acknowledged = {}
        status, lines = _traced(root, call, fault, when)
        stopped += status != 0
        for line in lines:
            number, *indexes = map(int, line.split())
            acknowledged[number] = tuple(indexes)
        world = LogWorld(root=root)
        try:
            log = world.open()
        except LogMissingError:
            log = world.create()
        for number, batch in enumerate(BATCHES):
            indexes = log.submit(keyed(batch), now=world.now + number)
            assert acknowledged.get(number, indexes) == indexes
        assert log.head()[0] == 2 + 270 + 2
        world.close()
        assert fsck(world.directory, vkey=IDENTITY.vkey()).faults == ()
        shutil.rmtree(root)
    assert stopped >= 2  # the fault was felt, not only ordered
