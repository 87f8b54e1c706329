"""fsck: clean on every honest directory, and every flipped bit, missing file and wrong row is found."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from logworld import (
    ACT,
    CREDENTIAL,
    IDENTITY,
    STATUS,
    LogWorld,
    act,
    issue,
    key_event,
    signer,
    write_log,
)

from mingzheng.keys.vkey import vkey_for
from mingzheng.log.acts import ActType
from mingzheng.log.entry import KeyEventType
from mingzheng.log.fsck import FsckReport, fsck
from mingzheng.log.statusmaker import make_status

FLIPS = 1000 if os.environ.get("MINGZHENG_FULL") == "1" else 120


def _fsck(directory: Path) -> FsckReport:
    return fsck(directory, vkey=IDENTITY.vkey())


@pytest.fixture
def lived(world: LogWorld) -> LogWorld:
    """A closed log with every kind of entry, several tiles and older partial files."""
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(100)))
    world.submit(log, *(issue(serial) for serial in range(100, 260)), issue(5, issuer=2))
    world.submit(log, act(0, ActType.REVOKE, [1, 7]), act(1, ActType.VOID, [400]))
    world.submit(log, key_event(2, KeyEventType.RETIRED, ACT.public_key.kid))
    make_status(log, 1, signer=STATUS, now=world.now)
    log.close()
    return world


def test_an_honest_log_is_clean(lived: LogWorld) -> None:
    report = _fsck(lived.directory)
    assert report.faults == ()
    assert (report.clean, report.size, report.bundles, report.tiles) == (True, 272, 2, 3)


def test_the_empty_log_is_clean(world: LogWorld) -> None:
    world.create().close()
    assert _fsck(world.directory).clean


def test_every_flipped_bit_on_disk_is_found(lived: LogWorld) -> None:
    files = sorted(path for path in lived.public.rglob("*") if path.is_file())
    assert len(files) >= 8
    chance = random.Random(1)
    for number in range(FLIPS):
        path = files[number % len(files)]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        faults = _fsck(lived.directory).faults
        name = path.relative_to(lived.directory).as_posix()
        assert any(fault.path == name for fault in faults), (name, faults)
        path.write_bytes(good)
    assert _fsck(lived.directory).clean


def test_a_flip_in_a_full_tile_is_laid_at_the_file_that_has_it(lived: LogWorld) -> None:
    for name in ("tile/0/000", "tile/entries/000"):
        path = lived.public / name
        good = path.read_bytes()
        bad = bytearray(good)
        bad[100] ^= 1
        path.write_bytes(bad)
        assert {fault.path for fault in _fsck(lived.directory).faults if "entry" not in fault.path} >= {
            f"public/{name}"
        }
        other = {"tile/0/000": "tile/entries/000", "tile/entries/000": "tile/0/000"}[name]
        assert f"public/{other}" not in {fault.path for fault in _fsck(lived.directory).faults}
        path.write_bytes(good)


def test_every_missing_file_is_found(lived: LogWorld) -> None:
    needed = [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/16",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/16",
    ]
    for name in needed:
        path = lived.public / name
        good = path.read_bytes()
        path.unlink()
        assert f"public/{name}" in {fault.path for fault in _fsck(lived.directory).faults}
        path.write_bytes(good)


STRAYS = [
    "tile/0/001.p/200",
    "tile/0/009",
    "tile/2/000",
    "notes.txt",
    "tile/0/1",
    "tile/entries/001.p/3",
    "tile/0/001.p/3",
]


@pytest.mark.parametrize("name", STRAYS)
def test_files_that_do_not_belong_are_found(lived: LogWorld, name: str) -> None:
    path = lived.public / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x00\x01x")
    assert [fault.path for fault in _fsck(lived.directory).faults] == [f"public/{name}"]


ROWS: dict[str, str] = {
    "serial state": "UPDATE serial SET state = 1 WHERE issuer = 1 AND serial = 7",
    "serial index": "UPDATE serial SET idx = 3 WHERE issuer = 1 AND serial = 7",
    "serial gone": "DELETE FROM serial WHERE issuer = 1 AND serial = 7",
    "serial made up": "INSERT INTO serial VALUES (1, 999, 3, 0)",
    "serial of an issuer made up": "INSERT INTO serial VALUES (9, 999, 3, 0)",
    "act number": "UPDATE issuer SET next_act = 2 WHERE issuer = 1",
    "notice number": "UPDATE issuer SET next_notice = 2 WHERE issuer = 1",
    "next serial": "UPDATE issuer SET next_serial = 5 WHERE issuer = 1",
    "issuer gone": "DELETE FROM issuer WHERE issuer = 2",
    "status time": "UPDATE issuer SET status_time = 1 WHERE issuer = 1",
    "round bounds": "UPDATE round SET stop = stop + 2 WHERE start = 0",
    "round gone": "DELETE FROM round WHERE start > 0",
    "round made up": "INSERT INTO round VALUES (9000, 9002)",
    "key gone": "DELETE FROM submission WHERE idx = 7",
    "key for a time entry": "UPDATE submission SET idx = 100 WHERE idx = 99",
    "key beyond": "UPDATE submission SET idx = 5000 WHERE idx = 7",
    "two keys for one entry": "UPDATE submission SET idx = 6 WHERE idx = 7",
    "retired key forgotten": "DELETE FROM retired",
    "root": "UPDATE head SET root = zeroblob(32)",
    "size": "UPDATE head SET size = 270",
    "signed size": "UPDATE head SET signed_size = 270",
    "note": "UPDATE head SET note = x'00'",
    "note of another head": "UPDATE head SET note = NULL",
    "head gone": "DELETE FROM head",
    "log gone": "DELETE FROM log",
    "table gone": "DROP TABLE round",
    "name": "UPDATE log SET name = 'other'",
    "queue": "INSERT INTO staged VALUES (272, x'00')",
}


@pytest.mark.parametrize("case", ROWS)
def test_every_wrong_row_is_found(lived: LogWorld, case: str) -> None:
    connection = sqlite3.connect(lived.directory / "log.sqlite")
    with connection:
        connection.execute(ROWS[case])
    connection.close()
    report = _fsck(lived.directory)
    assert report.faults
    assert {fault.path for fault in report.faults} & {"log.sqlite", "public/checkpoint"}


BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "no database": lambda path: path.write_bytes(b"nothing of the kind" * 100),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:9000]),
    "page overwritten": lambda path: path.write_bytes(
        path.read_bytes()[:8192] + bytes(4096) + path.read_bytes()[12288:]
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_database_is_found(lived: LogWorld, case: str) -> None:
    BROKEN[case](lived.directory / "log.sqlite")
    assert "log.sqlite" in {fault.path for fault in _fsck(lived.directory).faults}


def test_a_head_signed_by_another_key_is_found(lived: LogWorld) -> None:
    other = vkey_for(IDENTITY.origin_name, signer("other").public_key)
    faults = fsck(lived.directory, vkey=other).faults
    assert {fault.path for fault in faults} == {"public/checkpoint", "log.sqlite"}


def test_entries_that_break_rules_are_named(world: LogWorld, tmp_path: Path) -> None:
    """Bytes that hash well and yet are no honest log: fsck reads them too."""
    log = world.create()
    world.submit(log, issue(0), issue(1))
    log.close()
    shutil.rmtree(world.public)
    entries = [issue(0), b"\x00", issue(0), CREDENTIAL.public_key.kid]
    (world.public / "checkpoint").parent.mkdir(parents=True)
    write_log(world.public, entries)
    faults = _fsck(world.directory).faults
    assert {"entry 1", "entry 2", "entry 3", "log.sqlite"} <= {fault.path for fault in faults}


def test_a_round_that_is_not_through_is_named(world: LogWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    log = world.create()
    world.submit(log, issue(0))

    def stop(*_arguments: object) -> None:
        raise OSError(5, "stopped")

    monkeypatch.setattr("mingzheng.log.store.write_file", stop)
    with pytest.raises(OSError, match="stopped"):
        world.submit(log, issue(1))
    log.close()
    faults = _fsck(world.directory).faults
    assert any("is not through" in fault.detail for fault in faults)
    monkeypatch.undo()
    world.open().close()
    assert _fsck(world.directory).clean
