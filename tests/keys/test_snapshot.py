"""The trust store: old or new generation whatever stops the writer; nothing read that was not written."""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mingzheng.keys import snapshot
from mingzheng.keys.errors import (
    KeysError,
    RollbackError,
    StoreBusyError,
    StoreDamagedError,
    StoreMissingError,
    StoreWriteError,
    TrustMalformedError,
    TrustTooLargeError,
)
from mingzheng.keys.snapshot import load_store, save_store
from mingzheng.keys.trust import TrustData, fingerprint, format_trust

FULL = os.environ.get("MINGZHENG_FULL") == "1"

Files = dict[str, bytes]


@pytest.fixture
def generation(world: TrustData) -> Callable[[int], Files]:
    """The files of that generation; each generation has a blob of its own."""

    def make(number: int) -> Files:
        blobs = {**world.blobs, f"profiles/only.{number}.toml": b"%d" % number}
        return format_trust(dataclasses.replace(world, generation=number, blobs=blobs))

    return make


@pytest.fixture
def store(tmp_path: Path, generation: Callable[[int], Files]) -> Path:
    """A store holding generation 3."""
    directory = tmp_path / "信任 store"
    save_store(directory, generation(3))
    return directory


def test_load_gives_what_save_got(store: Path, generation: Callable[[int], Files]) -> None:
    stored = load_store(store)
    assert stored.files == generation(3)
    assert format_trust(stored.data) == generation(3)
    assert stored.fingerprint == fingerprint(generation(3))
    assert stored.signed_by_tuf is False


def test_manifest_is_what_sha256sum_checks(store: Path) -> None:
    home = store / "generations" / "3"
    manifest = (home / "SHA256SUMS").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == load_store(store).fingerprint
    for line in manifest.decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((home / "files" / name).read_bytes()).hexdigest() == digest


def test_replaces_and_keeps_the_generation_before(store: Path, generation: Callable[[int], Files]) -> None:
    for number in (4, 7, 8):
        save_store(store, generation(number))
        assert load_store(store).data.generation == number
    assert sorted(p.name for p in (store / "generations").iterdir()) == ["7", "8"]
    assert sorted(p.name for p in store.iterdir()) == ["CURRENT", "LOCK", "generations"]


def test_saving_the_same_again_does_nothing(store: Path, generation: Callable[[int], Files]) -> None:
    before = (store / "generations" / "3").stat()
    save_store(store, generation(3))
    assert (store / "generations" / "3").stat().st_mtime_ns == before.st_mtime_ns


def test_rollback_is_refused(store: Path, generation: Callable[[int], Files]) -> None:
    for number in (1, 2):
        with pytest.raises(RollbackError):
            save_store(store, generation(number))
    assert load_store(store).data.generation == 3


def test_one_generation_never_has_two_contents(store: Path, generation: Callable[[int], Files]) -> None:
    with pytest.raises(RollbackError, match="raise the generation"):
        save_store(store, {**generation(3), "more": b""})
    assert "more" not in load_store(store).files


def test_bad_files_are_never_saved(tmp_path: Path, generation: Callable[[int], Files]) -> None:
    with pytest.raises(TrustMalformedError):
        save_store(tmp_path / "new", {**generation(3), "trust.json": b"{}"})
    assert not (tmp_path / "new").exists()


def test_no_store(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreMissingError):
            load_store(directory)


# --- damage ------------------------------------------------------------------------------------------


def regular_files(store: Path) -> list[Path]:
    return sorted(p for p in (store / "generations").rglob("*") if p.is_file())


def test_every_changed_file_is_seen(store: Path) -> None:
    for path in regular_files(store):
        good = path.read_bytes()
        for bad in (good + b"x", good[:-1] if good else b"y", bytes(len(good)) or b"z"):
            path.write_bytes(bad)
            with pytest.raises(KeysError):
                load_store(store)
        path.unlink()
        with pytest.raises(StoreDamagedError):
            load_store(store)
        path.write_bytes(good)
        load_store(store)


@pytest.mark.parametrize("name", ["extra", "profiles/extra", ".hidden", "new/extra", "UPPER"])
def test_an_extra_file_is_seen(store: Path, name: str) -> None:
    path = store / "generations/3/files" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(StoreDamagedError, match="extra"):
        load_store(store)


def test_an_extra_directory_is_seen(store: Path) -> None:
    (store / "generations/3/files/empty").mkdir()
    with pytest.raises(StoreDamagedError, match="extra directory"):
        load_store(store)


@pytest.mark.parametrize("name", ["CURRENT", "generations", "generations/3", "generations/3/files"])
def test_links_are_refused(store: Path, tmp_path: Path, name: str) -> None:
    moved = tmp_path / "moved"
    (store / name).rename(moved)
    (store / name).symlink_to(moved)
    with pytest.raises(StoreDamagedError):
        load_store(store)


def test_links_among_the_files_are_refused(store: Path, tmp_path: Path) -> None:
    for path in regular_files(store):
        moved = tmp_path / "moved"
        path.rename(moved)
        path.symlink_to(moved)
        with pytest.raises(StoreDamagedError):
            load_store(store)
        path.unlink()
        moved.rename(path)
    folder = store / "generations/3/files/profiles"
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(StoreDamagedError, match="regular"):
        load_store(store)


def test_pipes_are_refused_and_do_not_block(store: Path) -> None:
    os.mkfifo(store / "generations/3/files/pipe")
    with pytest.raises(StoreDamagedError, match="regular"):
        load_store(store)
    (store / "CURRENT").unlink()
    os.mkfifo(store / "CURRENT")
    with pytest.raises(StoreDamagedError, match="regular"):
        load_store(store)
    (store / "CURRENT").unlink()
    (store / "CURRENT").mkdir()
    with pytest.raises(StoreDamagedError, match="regular"):
        load_store(store)


@pytest.mark.parametrize("text", [b"", b"3", b"03\n", b"3\n\n", b"+3\n", b"3 \n", b"../3\n", b"0\n", b"9\n", b"x\n"])
def test_current_has_one_spelling(store: Path, text: bytes) -> None:
    (store / "CURRENT").write_bytes(text)
    with pytest.raises(StoreDamagedError):
        load_store(store)


def test_current_is_small(store: Path) -> None:
    (store / "CURRENT").write_bytes(b"3" * 33)
    with pytest.raises(TrustTooLargeError):
        load_store(store)


def test_a_generation_under_another_number_is_refused(store: Path) -> None:
    (store / "generations/3").rename(store / "generations/4")
    (store / "CURRENT").write_bytes(b"4\n")
    with pytest.raises(StoreDamagedError, match="generation 3"):
        load_store(store)


def manifest_path(store: Path) -> Path:
    return store / "generations/3/SHA256SUMS"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.replace(b"  ", b" "),
        lambda m: m.upper(),
        lambda m: m + b"x\n",
        lambda m: m + m.splitlines()[0] + b"\n",
        lambda m: b"\n".join(reversed(m.splitlines())) + b"\n",
        lambda m: m[:-1],
        lambda m: m.replace(b"\n", b"\r\n"),
        lambda m: m + b"\xff",
        lambda m: m + b"0" * 64 + b"  ../../../secret\n",
        lambda m: b"0" * 64 + b"  ../CURRENT\n" + m,
    ],
)
def test_manifest_has_one_spelling(store: Path, change: Callable[[bytes], bytes]) -> None:
    path = manifest_path(store)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(StoreDamagedError):
        load_store(store)


def test_caps_are_checked_before_reading(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(regular_files(store)) - 1
    sizes = [p.stat().st_size for p in regular_files(store) if p.name != "SHA256SUMS"]
    for name, at_cap in (
        ("MAX_MANIFEST_BYTES", manifest_path(store).stat().st_size),
        ("MAX_FILES", count),
        ("MAX_FILE_BYTES", max(sizes)),
        ("MAX_TOTAL_BYTES", sum(sizes)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(snapshot, name, at_cap)
            load_store(store)
            patch.setattr(snapshot, name, at_cap - 1)
            with pytest.raises(TrustTooLargeError):
                load_store(store)


def test_too_many_files_are_not_walked(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_parse_manifest", lambda manifest: {})
    monkeypatch.setattr(snapshot, "MAX_FILES", 2)
    with pytest.raises(TrustTooLargeError, match="more than 2"):
        load_store(store)


def test_a_file_that_grows_while_read_is_refused(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fstat

    def small(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[stat.ST_SIZE] = 0
        return os.stat_result(fields)

    (store / "CURRENT").write_bytes(b"3" * 100)
    monkeypatch.setattr(os, "fstat", small)
    with pytest.raises(TrustTooLargeError, match="grew"):
        load_store(store)


def test_system_errors_while_reading_are_typed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> Iterator[Any]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StoreDamagedError, match="Permission denied"):
        load_store(store)


# --- faults ------------------------------------------------------------------------------------------

CALLS = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir")


class Crash(BaseException):
    """The process is gone: no handler of ours may run on it."""


class Faults:
    """Counts the system's writing calls and stops before or after the n-th, by crash or by error."""

    def __init__(self, patch: pytest.MonkeyPatch, *, stop_at: int, after: bool, error: type[BaseException]) -> None:
        self.count = 0
        self.names: list[str] = []
        for name in CALLS:
            patch.setattr(os, name, self._wrap(name, getattr(os, name)))
        self._plan = (stop_at, after, error)

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            stop_at, after, error = self._plan
            self.count += 1
            self.names.append(name)
            hit = self.count == stop_at
            if hit and not after:
                self._raise(error)
            result = None if name == "fsync" else real(*args, **kwargs)  # a test needs no power cut
            if hit:
                if name == "open":
                    os.close(result)
                self._raise(error)
            return result

        return call

    @staticmethod
    def _raise(error: type[BaseException]) -> None:
        raise error(28, "No space left on device")


def count_calls(directory: Path, files: Files) -> int:
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch, stop_at=0, after=False, error=OSError)
        save_store(directory, files)
    assert set(faults.names) >= {"open", "write", "fsync", "rename", "replace", "mkdir"}
    return faults.count


@pytest.mark.parametrize("first", [True, False], ids=["new store", "next generation"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [Crash, OSError], ids=["crash", "disk full"])
def test_every_fault_leaves_old_or_new(
    tmp_path: Path,
    generation: Callable[[int], Files],
    monkeypatch: pytest.MonkeyPatch,
    first: bool,
    after: bool,
    error: type[BaseException],
) -> None:
    """Stop at every writing call; reload; save again; the store is right each time."""

    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    if not first:
        save_store(tmp_path / "model", generation(3))
        save_store(tmp_path / "model", generation(4))

    def fresh(name: str) -> Path:
        directory = tmp_path / name
        if not first:
            shutil.copytree(tmp_path / "model", directory)
        return directory

    calls = count_calls(fresh("count"), generation(5))
    assert calls > 20
    outcomes = set()
    for stop_at in range(1, calls + 1, 1 if FULL else 3):
        directory = fresh(f"at{stop_at}")
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, stop_at=stop_at, after=after, error=error)
            with contextlib.suppress(Crash, KeysError):  # an OSError must not come through
                save_store(directory, generation(5))
        try:
            found = load_store(directory).data.generation
        except StoreMissingError:
            found = 0
        assert found in ((0, 5) if first else (4, 5))
        outcomes.add(found)
        save_store(directory, generation(5))
        assert load_store(directory).files == generation(5)
        if list((directory / "generations").glob(".*")):  # stopped while tidying up: the next save does it
            save_store(directory, generation(6))
            assert load_store(directory).files == generation(6)
            assert not list((directory / "generations").glob(".*"))
        shutil.rmtree(directory)
    assert outcomes == ({0, 5} if first else {4, 5})


def test_torn_writes_are_completed(tmp_path: Path, generation: Callable[[int], Files]) -> None:
    real = os.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
        save_store(tmp_path / "s", generation(3))
    assert load_store(tmp_path / "s").files == generation(3)


def test_what_a_stopped_writer_left_is_not_trusted(store: Path, generation: Callable[[int], Files]) -> None:
    """A staging directory and a generation above CURRENT are thrown away, never completed."""
    shutil.copytree(store / "generations/3", store / "generations/4")
    shutil.copytree(store / "generations/3", store / "generations/.staging")
    (store / "generations/4/files/evil").write_bytes(b"")
    (store / "generations/.staging/files/evil").write_bytes(b"")
    (store / "CURRENT.new").write_bytes(b"9\n")
    save_store(store, generation(4))
    assert load_store(store).files == generation(4)


@pytest.mark.parametrize("name", [".staging", ".discard", "4"])
def test_links_in_the_way_of_the_writer_are_refused(
    store: Path, tmp_path: Path, generation: Callable[[int], Files], name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    (store / "generations" / name).symlink_to(outside)
    with pytest.raises(StoreDamagedError):
        save_store(store, generation(4))
    assert (outside / "precious").read_bytes() == b"x"
    assert load_store(store).data.generation == 3


def test_tidying_up_may_fail(store: Path, tmp_path: Path, generation: Callable[[int], Files]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (store / "generations/1").symlink_to(outside)
    save_store(store, generation(4))
    assert load_store(store).data.generation == 4


def test_two_writers_do_not_meet(store: Path, generation: Callable[[int], Files]) -> None:
    with open(store / "LOCK", "rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreBusyError):
            save_store(store, generation(4))
    save_store(store, generation(4))


def test_a_reader_between_two_writers_finds_its_generation(
    store: Path, generation: Callable[[int], Files], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = snapshot._read_current

    def slow(directory: Path) -> int | None:
        number = real(directory)
        monkeypatch.setattr(snapshot, "_read_current", real)
        save_store(store, generation(4))
        return number

    monkeypatch.setattr(snapshot, "_read_current", slow)
    assert load_store(store).data.generation == 3


def test_files_where_the_store_should_be(tmp_path: Path, generation: Callable[[int], Files]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreWriteError):
        save_store(tmp_path / "file", generation(3))
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "generations").symlink_to(tmp_path)
    with pytest.raises(StoreDamagedError):
        save_store(tmp_path / "linked", generation(3))
