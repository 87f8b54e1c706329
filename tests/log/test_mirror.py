"""The mirror: byte for byte, whole at every moment, never of a forked log; repair from it, and only what is signed."""

import random
import shutil
from pathlib import Path

import pytest
from conftest import FULL
from logserver import serving, static
from logworld import IDENTITY, ORIGIN_KEYS, LogWorld, issue, rounded, signer, trust, write_log

from mingzheng.keys.errors import KeysError
from mingzheng.log import mirror as mirror_module
from mingzheng.log.client import DirectoryFetcher, FetchError, TileUntrueError
from mingzheng.log.cosign import Cosigner, open_cosigned
from mingzheng.log.fsck import fsck
from mingzheng.log.httpfetch import HttpFetcher, HttpLimits
from mingzheng.log.mirror import Mirror, MirrorRefusedError
from mingzheng.log.monitor import AuditPlan, audit
from mingzheng.log.refusal import WriterActiveError
from mingzheng.log.repair import LogBehindError, NoHeadError, RepairForkError, repair

FLIPS = 1_000 if FULL else 40
NOW = 1_790_000_500


def _files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _follow(public: Path, mirror: Path) -> int:
    return Mirror(mirror, ORIGIN_KEYS).follow(DirectoryFetcher(public), now=NOW).files


@pytest.fixture
def grown(world: LogWorld) -> LogWorld:
    """A log of 700 entries in several rounds: partial tiles and older partials."""
    log = world.create()
    serial = 0
    for count in (3, 250, 1, 300, 140):
        world.submit(log, *(issue(at) for at in range(serial, serial + count)))
        serial += count
    return world


# --- mirror


def test_a_mirror_is_the_log_byte_for_byte(world: LogWorld, tmp_path: Path) -> None:
    log, mirror, serial = world.create(), tmp_path / "mirror", 0
    assert _follow(world.public, mirror) == 0
    for count in (1, 254, 1, 2, 600, 5):
        world.submit(log, *(issue(at) for at in range(serial, serial + count)))
        serial += count
        assert _follow(world.public, mirror) > 0
        ours, theirs = _files(world.public), _files(mirror)
        assert theirs.items() <= ours.items() | theirs.items()
        assert all(theirs[name] == ours[name] for name in theirs if name in ours)
        fresh = tmp_path / f"fresh{serial}"
        _follow(world.public, fresh)
        assert all(theirs[name] == data for name, data in _files(fresh).items())
        assert audit(_plan(mirror)).clean
    assert _follow(world.public, mirror) == 0
    assert not any((mirror.with_name("mirror.temporary")).iterdir())


def _plan(public: Path) -> AuditPlan:
    return AuditPlan(
        fetcher=DirectoryFetcher(public), keys=ORIGIN_KEYS, trust=trust(), state_file=None, receipts_dir=None
    )


def test_a_mirror_of_a_mirror_over_http(grown: LogWorld, tmp_path: Path) -> None:
    limits = HttpLimits(wait=5.0, total=10.0)
    with serving(static(grown.public)) as server, HttpFetcher(server.url, limits=limits) as fetcher:
        done = Mirror(tmp_path / "one", ORIGIN_KEYS).follow(fetcher, now=NOW)
    assert (done.before, done.head.size) == (None, grown.opened[0].head()[0])
    with serving(static(tmp_path / "one")) as server, HttpFetcher(server.url, limits=limits) as fetcher:
        Mirror(tmp_path / "two", ORIGIN_KEYS).follow(fetcher, now=NOW)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_a_mirror_cosigns_what_it_stores(grown: LogWorld, tmp_path: Path) -> None:
    cosigner = Cosigner("mirror.example.cn/1", [signer("mirror")])
    mirror = Mirror(tmp_path / "mirror", ORIGIN_KEYS, cosigner=cosigner)
    mirror.follow(DirectoryFetcher(grown.public), now=NOW)
    note = (tmp_path / "mirror/checkpoint").read_bytes()
    head = open_cosigned(note, origin=IDENTITY.origin_name, log_vkeys=[IDENTITY.vkey()], witnesses=cosigner.vkeys)
    assert [item.time for item in head.cosignatures] == [NOW]
    assert head.checkpoint.size == grown.opened[0].head()[0]
    assert mirror.follow(DirectoryFetcher(grown.public), now=NOW + 5).files == 0
    assert (tmp_path / "mirror/checkpoint").read_bytes() == note


def test_a_mirror_is_followed_by_one_process_at_a_time(grown: LogWorld, tmp_path: Path) -> None:
    class Slow(DirectoryFetcher):
        def fetch(self, path: str) -> bytes:
            with pytest.raises(WriterActiveError):
                _follow(grown.public, tmp_path / "mirror")
            return super().fetch(path)

    Mirror(tmp_path / "mirror", ORIGIN_KEYS).follow(Slow(grown.public), now=NOW)
    assert _files(tmp_path / "mirror")["checkpoint"] == _files(grown.public)["checkpoint"]
    assert _follow(grown.public, tmp_path / "mirror") == 0


@pytest.mark.parametrize("code", ["audit.split_view", "audit.history_changed", "audit.rollback"])
def test_a_fork_is_refused_and_nothing_stored(tmp_path: Path, code: str) -> None:
    write_log(tmp_path / "a", rounded([issue(0)], [issue(1)]))
    more = {"audit.split_view": [[issue(2)]], "audit.history_changed": [[issue(2)], [issue(3)]], "audit.rollback": []}
    write_log(tmp_path / "b", rounded([issue(0)], *more[code]))
    _follow(tmp_path / "a", tmp_path / "mirror")
    kept = _files(tmp_path / "mirror")
    with pytest.raises(MirrorRefusedError) as caught:
        _follow(tmp_path / "b", tmp_path / "mirror")
    assert caught.value.found.alarm.code == code
    assert _files(tmp_path / "mirror") == kept


def test_untrue_bytes_and_strange_heads_are_not_stored(grown: LogWorld, tmp_path: Path) -> None:
    log = tmp_path / "log2"
    shutil.copytree(grown.public, log)
    _flip(log / "tile/entries/001", 99, 0)
    with pytest.raises(TileUntrueError):
        _follow(log, tmp_path / "mirror")
    assert "checkpoint" not in _files(tmp_path / "mirror")
    assert _follow(grown.public, tmp_path / "mirror") > 0
    _flip(log / "checkpoint", 40, 0)
    with pytest.raises(KeysError):
        _follow(log, tmp_path / "mirror")
    (log / "checkpoint").unlink()
    with pytest.raises(FetchError):
        _follow(log, tmp_path / "mirror")


def test_a_mirror_killed_at_any_write_serves_a_whole_log_and_goes_on(
    world: LogWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file that a run puts in place is its last one, once."""
    log, mirror = world.create(), tmp_path / "mirror"
    world.submit(log, *(issue(at) for at in range(300)))
    _follow(world.public, mirror)
    world.submit(log, *(issue(at) for at in range(300, 900)))
    monkeypatch.setattr(mirror_module, "_BATCH_FILES", 1)
    real, step = mirror_module.PosixStore.write, 0
    while True:
        left = step

        def write(store: object, files: list[object]) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            real(store, files)  # type: ignore[arg-type]

        monkeypatch.setattr(mirror_module.PosixStore, "write", write)
        broken = tmp_path / f"broken{step}"
        shutil.copytree(mirror, broken)
        try:
            _follow(world.public, broken)
        except KeyboardInterrupt:
            monkeypatch.setattr(mirror_module.PosixStore, "write", real)
            assert audit(_plan(broken)).clean
            _follow(world.public, broken)
            step += 1
        else:
            break
        finally:
            monkeypatch.setattr(mirror_module.PosixStore, "write", real)
        assert _files(broken)["checkpoint"] == _files(world.public)["checkpoint"]
        assert audit(_plan(broken)).entries == log.head()[0]
    assert step > 4


# --- repair


def _flip(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_every_flipped_bit_is_found_and_repaired(grown: LogWorld, tmp_path: Path) -> None:
    """Acceptance: single-bit flips in bundles, tiles and the checkpoint; fsck finds each, repair restores each."""
    mirror = tmp_path / "mirror"
    _follow(grown.public, mirror)
    grown.close()
    before = _files(grown.public)
    note = before["checkpoint"]
    names = sorted(before)
    random_bits = random.Random(4)
    found = 0
    for number in range(FLIPS):
        name = names[number % len(names)]
        path = grown.public / name
        at, bit = random_bits.randrange(len(before[name])), random_bits.randrange(8)
        _flip(path, at, bit)
        report = fsck(grown.directory, vkey=IDENTITY.vkey())
        assert not report.clean, (name, at, bit)
        found += 1
        done = repair(grown.public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=note)
        assert (done.repaired, done.lost) == ((name,), ()), (name, at, bit)
        assert path.read_bytes() == before[name]
    assert _files(grown.public) == before
    assert fsck(grown.directory, vkey=IDENTITY.vkey()).clean
    print(f"flips {found}, found {found}, repaired {found}")


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 512, 700, *((65_536 + 300,) if FULL else ())])
def test_whatever_was_lost_comes_back(tmp_path: Path, size: int) -> None:
    """Every file gone, one after the other and all at once; sizes at the borders of tiles."""
    public, mirror = tmp_path / "log", tmp_path / "mirror"
    note = write_log(public, [b"entry %d" % at for at in range(size)])
    _follow(public, mirror)
    before = _files(public)
    names = sorted(before)
    for name in names[:: 1 + len(names) // 12]:
        (public / name).unlink()
        done = repair(public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=note)
        assert (done.repaired, done.lost) == ((name,), ())
        assert _files(public) == before
    shutil.rmtree(public)
    done = repair(public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=note)
    assert done.lost == ()
    assert _files(public) == before
    assert repair(public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=None).repaired == ()


def test_what_nobody_has_is_named_and_nothing_false_is_written(grown: LogWorld, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    _follow(grown.public, mirror)
    before = _files(grown.public)
    for directory in (grown.public, mirror):
        _flip(directory / "tile/entries/001", 77, 3)
    damaged = _files(grown.public)
    done = repair(grown.public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=None)
    assert (done.repaired, done.lost) == ((), ("tile/entries/001",))
    assert _files(grown.public) == damaged != before


def test_the_last_tiles_are_computed_where_both_copies_are_bad(grown: LogWorld, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    _follow(grown.public, mirror)
    before = _files(grown.public)
    edge = [name for name in before if ".p/" in name and "entries" not in name and name in _files(mirror)]
    assert len(edge) >= 2
    for name in edge:
        for directory in (grown.public, mirror):
            _flip(directory / name, 5, 1)
    done = repair(grown.public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=None)
    assert set(done.repaired) == set(edge)
    assert _files(grown.public) == before


def test_a_mirror_that_lags_repairs_what_it_has(world: LogWorld, tmp_path: Path) -> None:
    log, mirror = world.create(), tmp_path / "mirror"
    world.submit(log, *(issue(at) for at in range(600)))
    _follow(world.public, mirror)
    world.submit(log, *(issue(at) for at in range(600, 900)))
    before = _files(world.public)
    for name in ("tile/entries/000", "tile/0/001"):
        _flip(world.public / name, 9, 0)
    done = repair(world.public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=None)
    assert (sorted(done.repaired), done.lost) == (["tile/0/001", "tile/entries/000"], ())
    assert _files(world.public) == before


def test_a_log_behind_its_mirror_or_forked_from_it_is_not_touched(world: LogWorld, tmp_path: Path) -> None:
    log, mirror = world.create(), tmp_path / "mirror"
    world.submit(log, issue(0))
    backup = tmp_path / "backup"
    shutil.copytree(world.public, backup)
    world.submit(log, issue(1))
    _follow(world.public, mirror)
    kept = _files(backup)
    with pytest.raises(LogBehindError):
        repair(backup, DirectoryFetcher(mirror), ORIGIN_KEYS, note=None)
    for entries in (rounded([issue(5)]), rounded([issue(5)], [issue(6)])):
        shutil.rmtree(tmp_path / "fork", ignore_errors=True)
        write_log(tmp_path / "fork", entries)
        with pytest.raises(RepairForkError):
            repair(tmp_path / "fork", DirectoryFetcher(mirror), ORIGIN_KEYS, note=None)
    assert _files(backup) == kept


def test_without_a_signed_head_nothing_is_repaired(grown: LogWorld, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    _follow(grown.public, mirror)
    note = (grown.public / "checkpoint").read_bytes()
    _flip(grown.public / "checkpoint", 40, 0)
    kept = _files(grown.public)
    with pytest.raises(NoHeadError):
        repair(grown.public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=None)
    (grown.public / "checkpoint").unlink()
    with pytest.raises(NoHeadError):
        repair(grown.public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=None)
    assert {**_files(grown.public), "checkpoint": kept["checkpoint"]} == kept
    assert repair(grown.public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=note).repaired == ("checkpoint",)


def test_an_older_partial_is_cut_from_what_replaced_it(world: LogWorld, tmp_path: Path) -> None:
    log, mirror = world.create(), tmp_path / "mirror"
    world.submit(log, *(issue(at) for at in range(300)))
    _follow(world.public, mirror)
    world.submit(log, *(issue(at) for at in range(300, 400)))
    _follow(world.public, mirror)
    before = _files(world.public)
    old = next(name for name in before if name.startswith("tile/0/001.p/"))
    _flip(world.public / old, 1, 1)
    (world.public / "tile/0/readme").write_bytes(b"no file of a log")
    done = repair(world.public, DirectoryFetcher(mirror), ORIGIN_KEYS, note=None)
    assert done.repaired == (old,)
    assert (world.public / old).read_bytes() == before[old]
