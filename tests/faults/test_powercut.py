"""Power cuts: names and bytes that were not forced to disk are lost, torn or kept, in any order.

The database keeps what it committed; files live on a simulated disk: until a directory is synced each of its renames
and new directories may be lost, until a file is synced its bytes may be torn. After each cut the log is opened again
and every promise checked. Controls without fsync of files, or of directories, must fail.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import FULL
from logstores import Memory, MemoryState
from logworld import IDENTITY, NAME, NOW, Keys, issue, keyed

from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.errors import LogError
from mingzheng.log.fsck import check_storage
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.state import NOTHING_CARRIED
from mingzheng.log.store import PosixStore
from mingzheng.log.writer import Log

STATES = 5_000 if FULL else 16
BATCHES = ([issue(0)], [issue(serial) for serial in range(1, 262)], [issue(300), issue(301)])
EXPECTED = 2 + 262 + 4


class Cut(Exception):
    """The power is gone."""


class Disk:
    """Counts steps, cuts the power at one of them, and remembers what is not yet on disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, syncs_files: bool = True, syncs_names: bool = True) -> None:
        self.syncs_files, self.syncs_names = syncs_files, syncs_names
        self.count, self.at = 0, -1
        self.torn: set[Path] = set()  # files whose bytes are not on disk
        self.names: list[tuple[Path, bytes | None]] = []  # renames: target, and what it held before
        self.dirs: list[Path] = []
        for name in ("write_file", "replace", "fsync_dir", "make_dirs", "publish"):
            monkeypatch.setattr(f"mingzheng.log.store.{name}", getattr(self, name))

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            raise Cut

    def write_file(self, path: Path, data: bytes) -> None:
        self.torn.add(path)
        path.write_bytes(data)
        self.step()
        if self.syncs_files:
            self.torn.discard(path)

    def replace(self, source: Path, target: Path) -> None:
        self.step()
        self.names.append((target, target.read_bytes() if target.exists() else None))
        os.replace(source, target)
        if source in self.torn:
            self.torn.discard(source)
            self.torn.add(target)

    def fsync_dir(self, path: Path) -> None:
        self.step()
        if self.syncs_names:
            self.names = [item for item in self.names if item[0].parent != path]
            self.dirs = [made for made in self.dirs if made.parent != path]

    def make_dirs(self, path: Path) -> None:
        if path.is_dir():
            return
        self.make_dirs(path.parent)
        self.step()
        path.mkdir()
        self.dirs.append(path)
        self.fsync_dir(path.parent)

    def publish(self, path: Path, data: bytes, *, temporary: Path) -> None:
        self.write_file(temporary, data)
        self.replace(temporary, path)
        self.fsync_dir(path.parent)

    def lose(self, chance: random.Random) -> None:
        """What a cut may do: any of the unsynced names gone, any of the unsynced bytes torn."""
        for path in sorted(self.torn):
            if path.exists() and chance.random() < 0.7:
                data = path.read_bytes()
                kept = chance.randrange(len(data) + 1)
                path.write_bytes(chance.choice([data[:kept], data[:kept] + bytes(len(data) - kept)]))
        for target, before in reversed(self.names):
            if chance.random() < 0.5 and target.parent.is_dir():
                if before is not None:
                    target.write_bytes(before)
                else:
                    target.unlink(missing_ok=True)
        for made in reversed(self.dirs):
            if chance.random() < 0.3:
                shutil.rmtree(made, ignore_errors=True)
        self.torn.clear()
        self.names.clear()
        self.dirs.clear()


class Machine:
    """A log on the simulated disk, and what was promised."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.disk, self.there = disk, Memory()
        self.public, self.temporary = root / "public", root / "temporary"
        root.mkdir()
        self.acknowledged: dict[bytes, int] = {}
        self.notes: list[bytes] = []

    def store(self) -> PosixStore:
        return PosixStore(self.public, self.temporary)

    def run(self) -> Log:
        self.there.hook = lambda _name, _when: self.disk.step()
        self.there.holder = None
        log = Log(self.store(), MemoryState(self.there), IDENTITY, act_keys=Keys(), memory=None)
        if self.there.rows is None:
            shutil.rmtree(self.public, ignore_errors=True)
            log.begin(NOTHING_CARRIED)
        else:
            log.resume()
        for number, batch in enumerate(BATCHES):
            indexes = log.submit(keyed(batch), now=NOW + number)
            for entry, index in zip(batch, indexes, strict=True):
                assert self.acknowledged.setdefault(entry, index) == index
            self.notes.append(log.checkpoint())
        return log

    def cut_at(self, step: int, chance: random.Random) -> None:
        self.disk.count, self.disk.at = 0, step
        with suppress(Cut):
            self.run()
        self.disk.at = -1
        self.disk.lose(chance)

    def kill_at(self, step: int) -> None:
        """The process alone is gone: what it had written is there, on disk or not."""
        self.disk.count, self.disk.at = 0, step
        with suppress(Cut):
            self.run()
        self.disk.at = -1

    def open(self) -> Log:
        self.there.hook = lambda _name, _when: None
        self.there.holder = None
        log = Log(self.store(), MemoryState(self.there), IDENTITY, act_keys=Keys(), memory=None)
        log.resume()
        return log

    def check(self) -> None:
        log = self.run()
        assert log.head()[0] == EXPECTED
        entries = [data for _index, data in log.reader().entries(0, EXPECTED)]
        for entry, index in self.acknowledged.items():
            assert entries[index] == entry
        leaves = [leaf_hash(data) for data in entries]
        for note in dict.fromkeys(self.notes):
            head = open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=NAME)
            assert root_of(leaves[: head.size]) == head.root
        assert check_storage(self.store(), log._db(), vkey=IDENTITY.vkey()).faults == ()
        log.close()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """In memory where there is memory: the disk is simulated anyway."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        yield Path(name)


def _states(scratch: Path, disk: Disk, count: int) -> int:
    """Cut `count` times, twice in a row now and then; how many broke a promise."""
    chance = random.Random(11)
    broken = 0
    whole = Machine(scratch / "whole", disk)
    whole.run()
    steps = disk.count
    for number in range(count):
        machine = Machine(scratch / str(number), disk)
        try:
            machine.cut_at(1 + number % steps, chance)
            if chance.random() < 0.4:
                machine.cut_at(chance.randrange(1, 40), chance)
            machine.check()
        except (AssertionError, LogError):
            broken += 1
        shutil.rmtree(scratch / str(number))
    return broken


def test_a_cut_breaks_no_promise(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = Disk(monkeypatch)
    assert _states(scratch, disk, STATES) == 0
    with capsys.disabled():
        print(f"\npower cuts: {STATES} states, no promise broken")


def test_what_a_killed_writer_left_is_on_disk_before_it_is_signed(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is there may be so in the page cache alone; whoever goes on forces its name to disk."""
    disk = Disk(monkeypatch)
    Machine(scratch / "whole", disk).run()
    steps, looked_at = disk.count, 0
    for step in range(1, steps, 1 if FULL else 2):
        disk.names.clear()
        machine = Machine(scratch / str(step), disk)
        machine.kill_at(step)
        if machine.there.rows is not None:
            looked_at += bool(disk.names or disk.dirs)
            machine.open().close()
            tiles = [name for name, _before in disk.names if name.name != "checkpoint"]  # that is published again
            assert (tiles, disk.dirs) == ([], []), step
        disk.dirs.clear()
    assert looked_at > steps // 20


@pytest.mark.parametrize("control", ["files", "names"])
def test_a_build_without_fsync_fails(scratch: Path, monkeypatch: pytest.MonkeyPatch, control: str) -> None:
    disk = Disk(monkeypatch, syncs_files=control != "files", syncs_names=control != "names")
    assert _states(scratch, disk, 25) > 0
