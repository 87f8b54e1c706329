"""Verified reading: foreign and own logs read in full, every forgery refused, nothing opened outside the layout."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logworld import IDENTITY, LogWorld, issue

from mingzheng.keys.errors import KeysError
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log import client as client_module
from mingzheng.log.client import CHECKPOINT, DirectoryFetcher, FetchError, LogReader, TileUntrueError
from mingzheng.log.errors import CheckpointOriginError, LogError, MalformedError, ProofIndexError
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.proof import verify_consistency, verify_inclusion
from mingzheng.log.receipt import parse_tlog_proof
from mingzheng.log.tile import Tile

LOGS = Path(__file__).parent.parent / "vectors" / "log"


def _reader(directory: Path, name: str = "synthetic_log600") -> LogReader:
    return LogReader(DirectoryFetcher(directory), parse_vkey((LOGS / name / "log.vkey").read_text().strip()))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The synthetic log of 600 entries, to be damaged."""
    target = tmp_path / "log"
    shutil.copytree(LOGS / "synthetic_log600", target)
    return target


@pytest.mark.parametrize(("name", "size"), [("tessera_log15", 15), ("synthetic_log600", 600)])
def test_reads_foreign_logs_in_full(name: str, size: int) -> None:
    reader = _reader(LOGS / name, name)
    assert reader.checkpoint().size == size
    entries = [entry for _first, bundle in reader.bundles() for entry in bundle]
    assert len(entries) == size
    assert [index for index, _entry in reader.entries(0, size)] == list(range(size))
    assert reader.note() == (LOGS / name / CHECKPOINT).read_bytes()


def test_reads_tessera_log_at_every_size() -> None:
    reader = _reader(LOGS / "tessera_log15", "tessera_log15")
    newest = reader.checkpoint()
    roots = [reader.root_at(size) for size in range(16)]
    for size in range(16):
        older = _reader(LOGS / "tessera_log15", "tessera_log15")
        older.use((LOGS / f"tessera_log15/checkpoint.{size}").read_bytes())
        assert older.checkpoint().root == roots[size]
        assert len(list(older.entries(0, 99))) == size
        if size:
            verify_consistency(reader.consistency(size), roots[size], newest.root)


def test_proofs_of_every_entry_verify() -> None:
    reader = _reader(LOGS / "synthetic_log600")
    root = reader.checkpoint().root
    for index in range(0, 600, 7):
        verify_inclusion(reader.inclusion(index), leaf_hash(reader.entry(index)), root)
        assert reader.leaf(index) == leaf_hash(reader.entry(index))
    with pytest.raises(ProofIndexError):
        reader.inclusion(600)


def test_the_same_proofs_as_another_maker() -> None:
    reader = _reader(LOGS / "synthetic_log600")
    for index in (0, 300, 599):
        theirs = parse_tlog_proof((LOGS / f"synthetic_log600/proofs/{index}.tlog-proof").read_bytes())
        assert reader.inclusion(index).hashes == theirs.hashes


def test_forged_leaf_in_the_first_tile_is_refused(copy: Path) -> None:
    """GO-2026-6179 / CVE-2026-56865: a client that does not check level 0 against its parents returns this leaf."""
    tile = copy / "tile/0/000"
    forged = leaf_hash(b"forged")
    tile.write_bytes(forged + tile.read_bytes()[32:])
    bundle = (copy / "tile/entries/000").read_bytes()
    rest = bundle[2 + int.from_bytes(bundle[:2]) :]
    (copy / "tile/entries/000").write_bytes(b"\x00\x06forged" + rest)
    reader = _reader(copy)
    for attempt in (
        lambda: reader.leaf(0),
        lambda: reader.entry(0),
        lambda: reader.inclusion(0),
        lambda: reader.leaf(255),
    ):
        with pytest.raises(TileUntrueError):
            attempt()
    assert reader.leaf(256)  # the other tiles are still good


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "full tile": lambda log: _flip(log / "tile/0/001", 8191),
    "partial tile": lambda log: _flip(log / "tile/0/002.p/88", 0),
    "top tile": lambda log: _flip(log / "tile/1/000.p/2", 63),
    "full bundle": lambda log: _flip(log / "tile/entries/000", 2),
    "partial bundle": lambda log: _flip(log / "tile/entries/002.p/88", 2),
    "bundle length": lambda log: _flip(log / "tile/entries/002.p/88", 0),
    "tile cut": lambda log: (log / "tile/0/000").write_bytes(bytes(32)),
    "tile empty": lambda log: (log / "tile/0/000").write_bytes(b""),
    "tile missing": lambda log: (log / "tile/0/000").unlink(),
    "top tile missing": lambda log: (log / "tile/1/000.p/2").unlink(),
    "bundle missing": lambda log: (log / "tile/entries/001").unlink(),
    "bundle a directory": lambda log: ((log / "tile/entries/001").unlink(), (log / "tile/entries/001").mkdir()),
    "bundle with one entry more": lambda log: (log / "tile/entries/002.p/88").write_bytes(
        (log / "tile/entries/002.p/88").read_bytes() + b"\x00\x01x"
    ),
    "older checkpoint's size": lambda log: (log / CHECKPOINT).write_bytes(
        (log / "old/checkpoint.599").read_bytes().replace(b"\n599\n", b"\n600\n")
    ),
    "checkpoint missing": lambda log: (log / CHECKPOINT).unlink(),
    "checkpoint too long": lambda log: (log / CHECKPOINT).write_bytes(bytes((1 << 20) + 1)),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_every_damage_stops_a_full_reading(copy: Path, case: str) -> None:
    DAMAGE[case](copy)
    with pytest.raises((LogError, KeysError)):
        list(_reader(copy).bundles())


@given(st.integers(0, 1 << 60), st.integers(0, 7))
def test_any_flipped_bit_of_any_tile_is_found(tmp_path_factory: pytest.TempPathFactory, where: int, bit: int) -> None:
    files = sorted(path for path in (LOGS / "synthetic_log600/tile").rglob("*") if path.is_file())
    target = tmp_path_factory.mktemp("flip")
    for path in files:
        place = target / path.relative_to(LOGS / "synthetic_log600")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    shutil.copy(LOGS / "synthetic_log600/checkpoint", target)
    victim = target / files[where % len(files)].relative_to(LOGS / "synthetic_log600")
    data = bytearray(victim.read_bytes())
    data[where % len(data)] ^= 1 << bit
    victim.write_bytes(data)
    with pytest.raises((TileUntrueError, FetchError)):
        list(_reader(target).bundles())


def test_a_fuller_tile_serves_for_a_partial_one_that_is_gone(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(9)))
    note = log.checkpoint()
    world.submit(log, *(issue(serial) for serial in range(9, 300)))
    assert not (world.public / "tile/0/000.p").exists()
    reader = LogReader(DirectoryFetcher(world.public), IDENTITY.vkey())
    reader.use(note)
    assert [entry for _index, entry in reader.entries(0, 9)] == [issue(serial) for serial in range(9)]
    assert len(list(reader.bundles())) == 1


def test_tiles_are_forgotten_and_read_again_within_a_bound(world: LogWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_CACHED_TILES", 2)
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(1500)))
    reader = log.reader()
    for index in (0, 300, 600, 900, 1200, 1501, 0, 700):
        assert reader.leaf(index) == leaf_hash(reader.entry(index))


def test_the_empty_log_reads_as_empty(world: LogWorld) -> None:
    log = world.create()
    assert list(log.reader().bundles()) == []
    assert list(log.reader().entries(0, 10)) == []


def test_a_tile_of_another_size_is_refused() -> None:
    reader = _reader(LOGS / "synthetic_log600")
    with pytest.raises(TileUntrueError):
        reader.tile(Tile(level=0, index=2, width=7))


def test_another_origin_or_key_is_refused() -> None:
    vkey = parse_vkey((LOGS / "synthetic_log600/log.vkey").read_text().strip())
    with pytest.raises(CheckpointOriginError):
        LogReader(DirectoryFetcher(LOGS / "synthetic_log600"), vkey, origin="other").checkpoint()
    other = LogReader(DirectoryFetcher(LOGS / "tessera_log15"), vkey)
    with pytest.raises(KeysError):
        other.refresh()


BAD_PATHS = ["../secret", "tile/0/../../x", "/etc/passwd", "tile/0/0", "tile/8/000", "", "tile/0/000.p/0", "log.sqlite"]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_only_paths_of_the_layout_are_opened(tmp_path: Path, path: str) -> None:
    with pytest.raises(MalformedError):
        DirectoryFetcher(tmp_path).fetch(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in directories on this system")
@pytest.mark.parametrize("kind", ["pipe", "directory"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "checkpoint"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    with pytest.raises(FetchError, match="cannot be read"):
        DirectoryFetcher(tmp_path).fetch("checkpoint")
