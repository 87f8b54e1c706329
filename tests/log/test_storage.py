"""The small parts of storage: durable writes, lock, tail, store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.log import durable
from mingzheng.log.errors import BundleError
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.lock import WriterLock
from mingzheng.log.merkle import root_of
from mingzheng.log.refusal import DiskDisagreesError, WriterActiveError
from mingzheng.log.store import PosixStore
from mingzheng.log.tail import EMPTY_TAIL, append, check_tail, load_tail
from mingzheng.log.tile import ENTRIES, Tile, bundles_of, tiles_of


def test_a_write_that_the_system_cuts_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    durable.write_file(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_what_is_gone_already_may_be_removed(tmp_path: Path) -> None:
    durable.unlink(tmp_path / "nothing")
    durable.remove_dir(tmp_path / "nothing")
    durable.make_dirs(tmp_path / "a" / "b")
    durable.make_dirs(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        durable.make_dirs(tmp_path / "file" / "x")


def test_a_directory_made_by_someone_else_meanwhile_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.mkdir

    def raced(path: Path) -> None:
        real(path)
        real(path)

    monkeypatch.setattr(os, "mkdir", raced)
    durable.make_dirs(tmp_path / "a")
    assert (tmp_path / "a").is_dir()
    monkeypatch.setattr(os, "mkdir", lambda path: (Path(path).touch(), real(path)))
    with pytest.raises(FileExistsError):
        durable.make_dirs(tmp_path / "b")


def test_without_directory_fsync_nothing_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_HAS_DIRECTORY_FSYNC", False)
    durable.fsync_dir(tmp_path / "nowhere")


def test_the_lock_excludes_other_processes_and_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = WriterLock(path)
    program = f"from pathlib import Path; from mingzheng.log.lock import WriterLock; WriterLock(Path({str(path)!r}))"
    command = [sys.executable, "-c", program]
    held = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (held.returncode, "WriterActiveError" in held.stderr) == (1, True)
    with pytest.raises(WriterActiveError):
        WriterLock(path)
    lock.release()
    lock.release()
    assert subprocess.run(command, check=False).returncode == 0
    WriterLock(path).release()


@given(st.lists(st.integers(0, 400), max_size=6))
def test_growing_in_any_steps_gives_the_same_files(steps: list[int]) -> None:
    entries = [b"%d" % number for number in range(sum(steps))]
    files: dict[Tile, bytes] = {}
    tail = EMPTY_TAIL
    for step in steps:
        done = append(tail, entries[tail.edge.size : tail.edge.size + step])
        for tile, data in done.files:
            assert files.setdefault(tile, data) == data
        assert load_tail(done.tail.edge.size, files.__getitem__).bundle == done.tail.bundle
        old, tail = tail, done.tail
        check_tail(old.edge.size, tail.edge.size, tail.edge.root(), files.__getitem__)
    size = len(entries)
    whole = append(EMPTY_TAIL, entries)
    assert tail.edge == whole.tail.edge
    assert tail.bundle == whole.tail.bundle
    assert tail.edge.root() == root_of([leaf_hash(entry) for entry in entries])
    assert {tile for tile, _data in whole.files} == {*tiles_of(size), *bundles_of(size)}
    for tile, data in whole.files:
        assert files[tile] == data


def test_an_entry_over_the_bundle_limit_is_refused() -> None:
    assert append(EMPTY_TAIL, [bytes(65_535)]).tail.edge.size == 1
    with pytest.raises(BundleError):
        append(EMPTY_TAIL, [bytes(65_536)])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_check_tail_finds_any_damage_of_what_was_written(size: int) -> None:
    whole = append(EMPTY_TAIL, [b"entry %d" % number for number in range(size)])
    files = dict(whole.files)
    root = whole.tail.edge.root()
    check_tail(0, size, root, files.__getitem__)
    with pytest.raises(DiskDisagreesError):
        check_tail(0, size, Hash(bytes(32)), files.__getitem__)
    for tile, data in whole.files:
        for bad in (bytes([data[0] ^ 128]) + data[1:], data[:-1], data[:5] + bytes([data[5] ^ 1]) + data[6:]):
            with pytest.raises(DiskDisagreesError):
                check_tail(0, size, root, {**files, tile: bad}.__getitem__)


def test_the_store_writes_once_and_reads_back(tmp_path: Path) -> None:
    store = PosixStore(tmp_path / "public", tmp_path / "temporary")
    assert store.is_empty()
    store.prepare()
    assert store.is_empty()
    tile = Tile(level=ENTRIES, index=1_234_567, width=256)
    store.write([(tile, b"data")])
    store.write([(tile, b"data")])
    assert not store.is_empty()
    assert (tmp_path / "public/tile/entries/x001/x234/567").read_bytes() == b"data"
    with pytest.raises(DiskDisagreesError):
        store.write([(tile, b"other")])
    with pytest.raises(DiskDisagreesError):
        store.read(Tile(level=0, index=0, width=256))
    assert store.read_checkpoint() is None
    store.publish_checkpoint(b"note")
    assert store.read_checkpoint() == b"note"


def test_half_written_files_are_swept(tmp_path: Path) -> None:
    store = PosixStore(tmp_path / "public", tmp_path / "temporary")
    store.prepare()
    (tmp_path / "temporary" / "3.tmp").write_bytes(b"half")
    store.prepare()
    assert list((tmp_path / "temporary").iterdir()) == []
    store.remove_partials(Tile(level=0, index=0, width=256))
