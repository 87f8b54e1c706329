"""Order of durable writes; `test_syscall_faults` has the errors of the system calls themselves.

A SIGKILL leaves the page cache, so a missing fsync would not show in the crash tests. Here every call is recorded, and
at each publication of `checkpoint` everything that it vouches for must have been forced to disk before. Two controls
without fsync must fail.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logworld import LogWorld, act, issue

from mingzheng.log.acts import ActType

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
