"""The embedded log: what its directory makes possible: damage, restored copies. Rounds: `logsuite`, `test_stores`."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logstores import MemoryWorld
from logworld import (
    ACT,
    CHECKPOINT,
    CREDENTIAL,
    IDENTITY,
    NAME,
    NOW,
    Keys,
    LogWorld,
    act,
    issue,
    keyed,
    signer,
)

from mingzheng.log.acts import ActType, SerialEvent, SerialState, step
from mingzheng.log.book import CODE_OF
from mingzheng.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mingzheng.log.errors import ActOrderError
from mingzheng.log.hashing import EMPTY_ROOT, Hash
from mingzheng.log.instance import default_memory_dir
from mingzheng.log.refusal import (
    AnchorRefusedError,
    BehindMemoryError,
    DiskDisagreesError,
    ForkedHeadError,
    LogExistsError,
    LogMissingError,
    RestoredBackupError,
    StorageError,
    SubmissionError,
    WriterBrokenError,
)
from mingzheng.log.sequencer import EmbeddedLog, Submission

# --- creation and the empty log


def test_empty_log_publishes_a_signed_checkpoint_of_size_zero(world: LogWorld) -> None:
    log = world.create()
    note = (world.public / "checkpoint").read_bytes()
    assert note == log.checkpoint()
    assert open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=NAME) == Checkpoint(
        origin=NAME, size=0, root=EMPTY_ROOT
    )
    assert log.head() == (0, EMPTY_ROOT)


def test_creating_where_only_the_database_was_lost_is_refused(world: LogWorld) -> None:
    log = world.create()
    log.close()
    (world.directory / "log.sqlite").unlink()
    with pytest.raises(LogExistsError, match="database is gone"):
        world.create()
    with pytest.raises(LogMissingError):
        world.open()


def test_creating_where_only_the_files_were_lost_is_refused(world: LogWorld) -> None:
    world.create().close()
    shutil.rmtree(world.public)
    shutil.rmtree(world.memory)
    with pytest.raises(LogExistsError):
        world.create()


def test_creating_again_under_a_remembered_key_is_refused(world: LogWorld) -> None:
    world.create().close()
    shutil.rmtree(world.directory)
    with pytest.raises(LogExistsError, match="remembers"):
        world.create()


def test_creation_cut_short_before_the_database_was_complete_may_be_repeated(world: LogWorld) -> None:
    world.directory.mkdir()
    sqlite3.connect(world.directory / "log.sqlite").close()
    (world.directory / "log.sqlite").write_bytes(b"")
    assert EmbeddedLog.exists(world.directory)
    with pytest.raises(LogMissingError):
        world.open()
    assert world.create().head()[0] == 0


# --- rounds


def test_partial_tiles_go_when_the_full_one_is_there(world: LogWorld) -> None:
    log = world.create()
    for serial in range(0, 300, 30):
        world.submit(log, *(issue(serial + at) for at in range(30)))
    tiles = world.public / "tile"
    assert (tiles / "0/000").is_file()
    assert not (tiles / "0/000.p").exists()
    assert not (tiles / "entries/000.p").exists()
    assert (tiles / "1/000.p/1").is_file()
    assert sorted((tiles / "0/001.p").iterdir())


# --- idempotency


# --- refusals: the position and the code, and nothing appended


# --- acts, notices, key events, heads


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(SerialEvent))), max_size=25))
def test_any_sequence_of_events_is_taken_as_the_state_machine_says(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, SerialEvent]]
) -> None:
    world = MemoryWorld(root=tmp_path_factory.mktemp("events"))
    log = world.create()
    states = dict.fromkeys(range(5), SerialState.UNKNOWN)
    number = 0
    for at, (serial, event) in enumerate(events):
        entry = issue(serial) if event == SerialEvent.ISSUE else act(number, ActType(event), [serial])
        submission = [Submission(key=b"%d" % at, entry=entry)]
        try:
            states[serial] = step(states[serial], event)
        except ActOrderError:
            with pytest.raises(SubmissionError):
                log.submit(submission, now=NOW)
            continue
        number += event != SerialEvent.ISSUE
        log.submit(submission, now=NOW)
    for state in list(SerialState)[2:]:
        assert log.serials_in_state(1, CODE_OF[state]) == [s for s, found in states.items() if found is state]
    world.close()


# --- receipts


def test_a_bit_that_flipped_on_disk_is_never_signed_in_a_receipt(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(280)))
    tile = world.public / "tile/0/000"
    data = bytearray(tile.read_bytes())
    data[32 * 100 + 5] ^= 1
    tile.write_bytes(data)
    for index in (100, 101, 255):
        with pytest.raises(DiskDisagreesError):
            log.compact_receipt(index)
    with pytest.raises(DiskDisagreesError):
        log.full_receipt(100)


# --- one writer, the right one


# --- rolling forward, disk against database


def _sqlite(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path / "log.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()


def test_without_a_memory_the_log_works_as_well(world: LogWorld) -> None:
    log = EmbeddedLog.create(world.directory, IDENTITY, act_keys=Keys(), memory_dir=None)
    with log:
        world.submit(log, issue(0))
    with world.open(remember=False) as log:
        assert log.head()[0] == 2


DAMAGE: dict[str, Callable[[LogWorld], object]] = {
    "head row deleted": lambda w: _sqlite(w.directory, "DELETE FROM head"),
    "log row deleted": lambda w: _sqlite(w.directory, "DELETE FROM log"),
    "root of the row changed": lambda w: _sqlite(w.directory, "UPDATE head SET root = zeroblob(32)"),
    "size of the row smaller": lambda w: _sqlite(w.directory, "UPDATE head SET size = 300"),
    "size of the row greater": lambda w: _sqlite(w.directory, "UPDATE head SET size = 304"),
    "queue with a gap": lambda w: _sqlite(w.directory, "INSERT INTO staged VALUES (3, x'00')"),
    "queue with another entry": lambda w: _sqlite(w.directory, "INSERT INTO staged VALUES (301, x'00')"),
    "last bundle missing": lambda w: (w.public / "tile/entries/001.p/46").unlink(),
    "last tile missing": lambda w: (w.public / "tile/0/001.p/46").unlink(),
    "top tile missing": lambda w: (w.public / "tile/1/000.p/1").unlink(),
    "last bundle cut": lambda w: (w.public / "tile/entries/001.p/46").write_bytes(b"\x00\x05abc"),
    "last tile cut": lambda w: (w.public / "tile/0/001.p/46").write_bytes(bytes(31)),
    "last tile flipped": lambda w: _flip(w.public / "tile/0/001.p/46", 40),
    "last bundle flipped": lambda w: _flip(w.public / "tile/entries/001.p/46", 40),
    "top tile flipped": lambda w: _flip(w.public / "tile/1/000.p/1", 4),
    "checkpoint of nobody": lambda w: (w.public / "checkpoint").write_bytes(b"x\n1\n\n"),
    "tiles restored from an older state": lambda w: shutil.rmtree(w.public / "tile"),
}


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("case", DAMAGE)
@pytest.mark.parametrize("remember", [True, False])
def test_disk_and_database_that_disagree_are_refused(world: LogWorld, case: str, remember: bool) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(150)))
    world.submit(log, *(issue(serial) for serial in range(150, 299)))
    assert log.head()[0] == 302
    log.close()
    published = (world.public / "checkpoint").read_bytes()
    DAMAGE[case](world)
    damaged = (world.public / "checkpoint").read_bytes()
    with pytest.raises(StorageError):
        world.open(remember=remember)
    assert (world.public / "checkpoint").read_bytes() == damaged
    assert damaged == published or case.startswith("checkpoint")


def test_a_missing_published_checkpoint_is_put_back(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    note = log.checkpoint()
    log.close()
    (world.public / "checkpoint").unlink()
    world.open()
    assert (world.public / "checkpoint").read_bytes() == note


def test_a_round_that_failed_half_way_breaks_the_object_until_it_is_opened_again(
    world: LogWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = world.create()
    world.submit(log, issue(0))

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mingzheng.log.store.write_file", full)
        with pytest.raises(OSError, match="No space"):
            world.submit(log, issue(1))
    with pytest.raises(WriterBrokenError):
        world.submit(log, issue(2))
    with pytest.raises(WriterBrokenError):
        log.compact_receipt(0)
    log.close()
    log = world.open()
    assert world.submit(log, issue(1)) == (2,)  # rolled forward: it was in the queue
    assert log.head()[0] == 4


def test_a_head_row_that_moved_under_the_writer_is_not_overwritten(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    _sqlite(world.directory, "UPDATE head SET size = 4")
    with pytest.raises(DiskDisagreesError):
        world.submit(log, issue(1))


def test_an_immutable_tile_with_other_bytes_stops_the_writer(world: LogWorld) -> None:
    log = world.create()
    squatter = world.public / "tile/0/000.p/2"
    squatter.parent.mkdir(parents=True)
    squatter.write_bytes(bytes(64))
    with pytest.raises(DiskDisagreesError, match="never change"):
        world.submit(log, issue(0))


# --- restored backups


def _restore(world: LogWorld, backup: Path, *parts: str) -> None:
    for part in parts:
        target = world.directory / part
        if target.is_dir():
            shutil.rmtree(target)
            shutil.copytree(backup / part, target)
        else:
            for old in world.directory.glob(f"{part}*"):
                old.unlink()
            shutil.copy2(backup / part, target)


def _signed_things(log: EmbeddedLog) -> None:
    """Nothing of this may succeed on a log that must not sign."""
    for attempt in (
        lambda: log.submit(keyed([issue(900)]), now=NOW + 1000),
        lambda: log.compact_receipt(0),
    ):
        with pytest.raises(StorageError):
            attempt()


@pytest.fixture
def aged(world: LogWorld) -> tuple[LogWorld, Path, bytes]:
    """A log that went on after a backup; closed. With the newest checkpoint."""
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(150)))
    log.close()
    backup = world.backup("backup")
    log = world.open()
    world.submit(log, *(issue(serial) for serial in range(150, 299)))
    note = log.checkpoint()
    log.close()
    return world, backup, note


@pytest.mark.parametrize("remember", [True, False])
def test_a_restored_whole_directory_signs_nothing(aged: tuple[LogWorld, Path, bytes], remember: bool) -> None:
    world, backup, newest = aged
    shutil.rmtree(world.directory)
    shutil.copytree(backup, world.directory)
    before = (world.public / "checkpoint").read_bytes()
    log = world.open(remember=remember)
    assert isinstance(log.read_only, RestoredBackupError)
    assert log.read_only.code == "log.restored_backup"
    _signed_things(log)
    assert log.full_receipt(0)  # an old head may be shown, no new one signed
    with pytest.raises(AnchorRefusedError) as caught:
        log.resume_from_anchor(newest)
    assert caught.value.missing == 150
    _signed_things(log)
    assert (world.public / "checkpoint").read_bytes() == before


def test_a_copy_that_lost_nothing_resumes_from_the_newest_checkpoint(aged: tuple[LogWorld, Path, bytes]) -> None:
    world, _backup, newest = aged
    copy = world.backup("copy")
    shutil.rmtree(world.directory)
    shutil.copytree(copy, world.directory)
    log = world.open()
    _signed_things(log)
    log.resume_from_anchor(newest)
    assert log.read_only is None
    log.resume_from_anchor(b"anything")  # already writing: nothing to do
    assert world.submit(log, issue(299)) == (302,)
    log.close()
    assert world.open().read_only is None


def test_resuming_needs_an_anchor_of_ours_and_of_this_size(aged: tuple[LogWorld, Path, bytes]) -> None:
    world, backup, newest = aged
    copy = world.backup("copy")
    shutil.rmtree(world.directory)
    shutil.copytree(copy, world.directory)
    log = world.open()
    size, root = log.head()
    older = (backup / "public/checkpoint").read_bytes()
    stranger = sign_checkpoint(Checkpoint(origin=NAME, size=size, root=root), signer=signer("stranger"))
    other_log = sign_checkpoint(Checkpoint(origin="other/1", size=size, root=root), signer=CHECKPOINT)
    for anchor in (older, stranger, other_log, b"", newest[:-1], newest.replace(b"\n302\n", b"\n303\n")):
        with pytest.raises(AnchorRefusedError):
            log.resume_from_anchor(anchor)
    with pytest.raises(ForkedHeadError) as caught:
        fork = sign_checkpoint(Checkpoint(origin=NAME, size=size, root=Hash(bytes(32))), signer=CHECKPOINT)
        log.resume_from_anchor(fork)
    assert caught.value.theirs == fork
    assert caught.value.ours == newest
    _signed_things(log)


def test_a_missing_instance_file_means_restored(aged: tuple[LogWorld, Path, bytes]) -> None:
    world, _backup, newest = aged
    (world.directory / "instance").unlink()
    log = world.open()
    assert isinstance(log.read_only, RestoredBackupError)
    log.resume_from_anchor(newest)
    log.close()
    assert world.open().read_only is None


@pytest.mark.parametrize("remember", [True, False])
def test_a_restored_database_alone_is_refused(aged: tuple[LogWorld, Path, bytes], remember: bool) -> None:
    world, backup, _newest = aged
    _restore(world, backup, "log.sqlite")
    with pytest.raises(DiskDisagreesError, match="older database"):
        world.open(remember=remember)


@pytest.mark.parametrize("remember", [True, False])
def test_restored_tiles_alone_are_refused(aged: tuple[LogWorld, Path, bytes], remember: bool) -> None:
    world, backup, _newest = aged
    _restore(world, backup, "public")
    with pytest.raises(StorageError):
        world.open(remember=remember)


def test_restored_tiles_and_database_are_caught_by_the_memory_alone(aged: tuple[LogWorld, Path, bytes]) -> None:
    """`instance` is the live one: only the machine's memory of signed heads knows (a file system snapshot)."""
    world, backup, newest = aged
    _restore(world, backup, "public", "log.sqlite")
    log = world.open()
    assert isinstance(log.read_only, BehindMemoryError)
    assert (log.read_only.size, log.read_only.remembered) == (152, 302)
    _signed_things(log)
    own = (world.public / "checkpoint").read_bytes()
    with pytest.raises(BehindMemoryError):
        log.resume_from_anchor(own)
    with pytest.raises(AnchorRefusedError):
        log.resume_from_anchor(newest)


def test_a_fork_in_the_memory_is_refused_with_both_heads(aged: tuple[LogWorld, Path, bytes]) -> None:
    world, _backup, newest = aged
    (remembered,) = world.memory.iterdir()
    for size in (302, 152):
        fork = sign_checkpoint(Checkpoint(origin=NAME, size=size, root=Hash(bytes(32))), signer=CHECKPOINT)
        remembered.write_bytes(fork)
        with pytest.raises(ForkedHeadError) as caught:
            world.open()
        assert (caught.value.ours, caught.value.theirs) == (newest, fork)
    remembered.write_bytes(b"not a note")
    with pytest.raises(DiskDisagreesError):
        world.open()


def test_a_clone_that_ran_ahead_stops_the_other_before_it_signs(world: LogWorld) -> None:
    """Both have the live `instance` (hard-linked clone): the memory is read before each signature is let out."""
    log = world.create()
    world.submit(log, issue(0))
    (remembered,) = world.memory.iterdir()
    ahead = sign_checkpoint(Checkpoint(origin=NAME, size=8, root=Hash(bytes(32))), signer=CHECKPOINT)
    remembered.write_bytes(ahead)
    before = (world.public / "checkpoint").read_bytes()
    with pytest.raises(BehindMemoryError):
        world.submit(log, issue(1))
    remembered.write_bytes(sign_checkpoint(Checkpoint(origin=NAME, size=4, root=Hash(bytes(32))), signer=CHECKPOINT))
    log.close()
    with pytest.raises(ForkedHeadError):
        world.open()
    assert (world.public / "checkpoint").read_bytes() == before


def test_moving_the_directory_on_its_file_system_is_no_restore(aged: tuple[LogWorld, Path, bytes]) -> None:
    world, _backup, _newest = aged
    moved = world.root / "moved"
    world.directory.rename(moved)
    log = EmbeddedLog.open(moved, IDENTITY, act_keys=Keys(), memory_dir=world.memory)
    assert log.read_only is None
    log.close()


def test_memory_lives_in_the_users_state_directory() -> None:
    assert default_memory_dir({"XDG_STATE_HOME": "/state"}) == Path("/state/mingzheng/heads")
    home = {"HOME": "/home/u", "XDG_STATE_HOME": "relative"}
    assert default_memory_dir(home) == Path("/home/u/.local/state/mingzheng/heads")


# --- corners


def test_opening_with_an_empty_memory_fills_it(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    log.close()
    (remembered,) = world.memory.iterdir()
    note = remembered.read_bytes()
    remembered.unlink()
    assert world.open().read_only is None
    assert remembered.read_bytes() == note


def test_a_remembered_fork_of_the_same_size_stops_the_signature(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    (remembered,) = world.memory.iterdir()
    remembered.write_bytes(sign_checkpoint(Checkpoint(origin=NAME, size=4, root=Hash(bytes(32))), signer=CHECKPOINT))
    with pytest.raises(ForkedHeadError):
        world.submit(log, issue(1))


def test_a_log_that_never_opened_says_nothing(world: LogWorld) -> None:
    world.directory.mkdir()
    log = EmbeddedLog(world.directory, IDENTITY, act_keys=Keys(), memory=None)
    for attempt in (log.head, log.checkpoint, log.issuers):
        with pytest.raises(WriterBrokenError):
            attempt()
    log.close()


def test_a_signed_head_between_the_tiles_and_the_row_is_refused(world: LogWorld) -> None:
    """The queue says the tiles end at 2, yet a head of 4 is published: somebody edited the database."""
    log = world.create()
    world.submit(log, issue(0))
    world.submit(log, issue(1))
    world.submit(log, issue(2))
    log.close()
    log_two = (world.root / "log/public/checkpoint").read_bytes()
    _sqlite(world.directory, "INSERT INTO staged VALUES (2, x'00'), (3, x'00'), (4, x'00'), (5, x'00')")
    _sqlite(world.directory, "UPDATE head SET size = 8")
    assert log_two
    with pytest.raises(DiskDisagreesError, match="the tiles end at 2"):
        world.open()


def test_a_queue_with_other_entries_does_not_give_the_root(world: LogWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    log = world.create()
    world.submit(log, issue(0))

    def stop(*_arguments: object) -> None:
        raise OSError(5, "stopped")

    monkeypatch.setattr("mingzheng.log.store.write_file", stop)
    with pytest.raises(OSError, match="stopped"):
        world.submit(log, issue(1))
    log.close()
    monkeypatch.undo()
    _sqlite(world.directory, "UPDATE staged SET entry = x'820108' WHERE idx = 2")
    with pytest.raises(DiskDisagreesError, match="durable queue"):
        world.open()
    with pytest.raises(DiskDisagreesError):
        world.open(remember=False)


def test_a_lost_round_row_stops_receipts(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    _sqlite(world.directory, "DELETE FROM round")
    with pytest.raises(DiskDisagreesError, match="no round"):
        log.compact_receipt(0)


def test_caches_are_bounded(world: LogWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.log.writer._CACHED_BLOCKS", 2)
    monkeypatch.setattr("mingzheng.log.writer._CACHED_TILES", 2)
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(700)))
    receipts = [log.compact_receipt(index) for index in range(0, 700, 50)]
    assert [log.compact_receipt(index) for index in range(0, 700, 50)] == receipts
    assert log.database_faults() == []


@pytest.mark.parametrize("role", ["credential", "act"])
def test_a_key_that_trust_data_call_compromised_writes_no_more(world: LogWorld, role: str) -> None:
    lost = {"credential": CREDENTIAL, "act": ACT}[role].public_key.kid
    keys = Keys()
    keys.of[lost] = replace(keys.of[lost], compromised={7: 2})
    log = EmbeddedLog.create(world.directory, IDENTITY, act_keys=keys, memory_dir=None)
    world.opened.append(log)
    world.submit(log, issue(0))  # below the last good size
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, issue(1) if role == "credential" else act(0, ActType.REVOKE, [0]))
    assert caught.value.reason == "rule.key_compromised"
