"""Moving a log out of its directory: every byte and row compared, one writable side at most, cut short anywhere."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from conftest import FULL
from logstores import CloudWorld, Memory, MemoryState, MemoryStore, MemoryWorld
from logworld import (
    IDENTITY,
    NAME,
    RECEIPT,
    STATUS,
    LogWorld,
    act,
    issue,
    key_event,
    keyed,
    signer,
)

from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.entry import KeyEventType
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.migrate import Migrated, MigrationDiffersError, SourceDamagedError, migrate
from mingzheng.log.receipt import parse_compact_receipt, verify_compact_receipt
from mingzheng.log.refusal import (
    LogExistsError,
    LogFrozenError,
    LogMissingError,
    LogMovedError,
    RestoredBackupError,
    StorageError,
    WriterActiveError,
    WrongIdentityError,
)
from mingzheng.log.state import Standing
from mingzheng.log.statusmaker import make_status
from mingzheng.log.writer import Log


class Cut(Exception):
    """The process that moved the log is gone."""


@dataclass
class Move:
    """A log in a directory and the place it goes to."""

    old: LogWorld
    new: MemoryWorld | CloudWorld
    notes: list[bytes] = field(default_factory=list)

    def live(self) -> None:
        """Every kind of row, full and partial tiles."""
        log = self.old.create()
        self.old.submit(log, *(issue(serial) for serial in range(200)))
        self.notes.append(log.checkpoint())
        self.old.submit(log, *(issue(serial) for serial in range(200, 300)), issue(5, issuer=2))
        self.old.submit(log, act(0, ActType.REVOKE, [1, 7]), act(1, ActType.VOID, [400]))
        self.old.submit(log, key_event(2, KeyEventType.RETIRED, STATUS.public_key.kid))
        make_status(log, 1, signer=STATUS, now=self.old.now)
        self.notes.append(log.checkpoint())
        self.new.now = self.old.now
        self.old.close()

    def move(self) -> Migrated:
        if isinstance(self.new, MemoryWorld):
            state: MemoryState = MemoryState(self.new.there)
            return migrate(self.old.directory, IDENTITY, store=MemoryStore(self.new.there), state=state)
        place = self.new.place
        return migrate(self.old.directory, IDENTITY, store=place.store(), state=place.state())

    def open_both(self) -> tuple[Log | StorageError, Log | StorageError]:
        """Each side as it opens, or why it does not."""
        sides: list[Log | StorageError] = []
        for world in (self.old, self.new):
            try:
                log = world.open(remember=False)
            except StorageError as error:
                sides.append(error)
            else:
                sides.append(log if log.read_only is None else log.read_only)
                world.close()
        return sides[0], sides[1]


CLOUD = pytest.param(CloudWorld, marks=[pytest.mark.postgres, pytest.mark.s3], id="cloud")


@pytest.fixture(params=[pytest.param(MemoryWorld, id="memory"), CLOUD])
def move(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Move]:
    """A log that lived and a place to go."""
    made = Move(LogWorld(root=tmp_path / "old"), request.param(root=tmp_path / "new"))
    made.live()
    yield made
    made.old.close()
    made.new.close()


def test_a_moved_log_goes_on_where_it_was(move: Move) -> None:
    report = move.move()
    assert (report.size, report.objects) == (312, 12)
    assert report.rows == 619
    old = move.old.open()
    assert isinstance(old.read_only, LogMovedError)
    for attempt in (lambda: old.submit(keyed([issue(900)]), now=move.old.now), lambda: old.compact_receipt(0)):
        with pytest.raises(LogMovedError):
            attempt()
    assert old.full_receipt(3)
    with pytest.raises(LogMovedError):
        old.resume_from_anchor(old.checkpoint())
    new = move.new.open()
    assert new.read_only is None
    assert new.submit(keyed([issue(0), issue(299)]), now=move.new.now) == (0, 301)  # the keys came along
    assert move.new.submit(new, issue(300), act(3, ActType.SUSPEND, [8])) == (312, 313)
    receipt = parse_compact_receipt(new.compact_receipt(3))
    assert verify_compact_receipt(receipt, leaf_hash(issue(3)), key=RECEIPT.public_key, block_height=4) == 3
    leaves = [leaf_hash(data) for _index, data in new.reader().entries(0, new.head()[0])]
    for note in [*move.notes, new.checkpoint()]:
        head = open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=NAME)
        assert root_of(leaves[: head.size]) == head.root
    new.close()
    assert move.new.fsck().faults == ()


def test_a_moved_log_publishes_nothing_more(move: Move) -> None:
    move.move()
    (move.old.public / "checkpoint").unlink()
    assert isinstance(move.old.open().read_only, LogMovedError)
    assert not (move.old.public / "checkpoint").exists()


def test_moving_twice_is_moving_once(move: Move) -> None:
    first = move.move()
    note = move.new.published()
    assert move.move() == first
    assert move.new.published() == note


def test_a_moved_log_is_not_moved_again_to_a_second_place(move: Move) -> None:
    def move_to(there: Memory) -> None:
        migrate(move.old.directory, IDENTITY, store=MemoryStore(there), state=MemoryState(there))

    def given_up(name: str, when: str) -> None:
        if (name, when) == ("import_rows", "after"):
            raise Cut

    stale = Memory(hook=given_up)
    with pytest.raises(Cut):
        move_to(stale)
    stale.hook = lambda _name, _when: None
    move.move()
    with pytest.raises(LogMovedError):
        move_to(Memory())
    with pytest.raises(MigrationDiffersError):
        move_to(stale)
    assert stale.rows is not None
    assert stale.rows.log.standing is Standing.IMPORTING
    assert stale.objects == {}
    with pytest.raises(LogMissingError):
        MemoryWorld(root=move.old.root / "stale", there=stale).open(remember=False)
    stale.rows.log = replace(stale.rows.log, origin=9, standing=Standing.OPEN)
    with pytest.raises(WrongIdentityError):
        move_to(stale)


def test_a_place_that_holds_a_log_is_refused(move: Move) -> None:
    move.new.create().close()
    with pytest.raises(LogExistsError):
        move.move()
    assert isinstance(move.open_both()[0], Log)


def test_a_prefix_that_holds_anothers_files_is_refused(move: Move) -> None:
    held = {"checkpoint": b"another's", "tile/0/000.p/9": bytes(288)}
    there = Memory(objects=dict(held))
    with pytest.raises(LogExistsError):
        migrate(move.old.directory, IDENTITY, store=MemoryStore(there), state=MemoryState(there))
    assert (there.objects, there.rows) == (held, None)


def test_another_identity_is_refused(move: Move) -> None:
    with pytest.raises(WrongIdentityError):
        migrate(
            move.old.directory,
            replace(IDENTITY, checkpoint_signer=signer("other")),
            store=MemoryStore(Memory()),
            state=MemoryState(Memory()),
        )


def test_a_log_in_use_is_not_moved(move: Move) -> None:
    move.old.open()
    with pytest.raises(WriterActiveError):
        move.move()


def test_a_damaged_log_is_not_moved(move: Move) -> None:
    path = move.old.public / "tile/0/000"
    path.write_bytes(bytes(32) + path.read_bytes()[32:])
    with pytest.raises(SourceDamagedError, match="tile/0/000"):
        move.move()
    assert move.new.published() is None


def test_a_restored_copy_is_not_moved(move: Move) -> None:
    (move.old.directory / "instance").unlink()
    with pytest.raises(RestoredBackupError):
        move.move()


def test_nothing_is_moved_from_nowhere(tmp_path: Path) -> None:
    with pytest.raises(LogMissingError):
        migrate(tmp_path, IDENTITY, store=MemoryStore(Memory()), state=MemoryState(Memory()))


def test_a_frozen_log_stays_frozen(move: Move) -> None:
    old = move.old.open()
    old.close_for(8, now=move.old.now)
    move.old.close()
    move.move()
    assert isinstance(move.new.open().read_only, LogFrozenError)


def test_an_empty_log_moves(tmp_path: Path) -> None:
    made = Move(LogWorld(root=tmp_path / "old"), MemoryWorld(root=tmp_path / "new"))
    made.old.create()
    made.old.close()
    assert made.move() == Migrated(size=0, objects=1, rows=4)
    assert made.new.submit(made.new.open(), issue(0)) == (0,)


def test_a_move_cut_short_anywhere_leaves_at_most_one_side_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also before and after the source was marked; then the log goes on where it can, and the move is run again."""
    from mingzheng.log.directory import DirectoryState

    mark = DirectoryState.set_standing
    kills = 0
    for point in range(0, 100, 1 if FULL else 4):
        made = Move(LogWorld(root=tmp_path / str(point) / "old"), MemoryWorld(root=tmp_path / str(point) / "new"))
        made.live()
        assert isinstance(made.new, MemoryWorld)
        count = 0

        def hook(_name: str, _when: str, point: int = point) -> None:
            nonlocal count
            count += 1
            if count > point:
                raise Cut

        def marked(state: DirectoryState, standing: object) -> None:
            hook("mark", "before")
            mark(state, standing)  # type: ignore[arg-type]
            hook("mark", "after")

        made.new.there.hook = hook
        with monkeypatch.context() as patch:
            patch.setattr(DirectoryState, "set_standing", marked)
            try:
                made.move()
            except Cut:
                kills += 1
            else:
                break
        made.new.there.hook, made.new.there.holder = lambda _name, _when: None, None
        old, new = made.open_both()
        assert not (isinstance(old, Log) and isinstance(new, Log)), point
        extra = isinstance(old, Log)
        if extra:  # it goes on in its directory: partial tiles become full ones
            log = made.old.open()
            made.old.submit(log, *(issue(serial) for serial in range(500, 720)))
            made.old.close()
        made.move()
        assert isinstance(made.open_both()[1], Log)
        assert made.new.fsck().faults == ()
        assert made.new.submit(made.new.open(), issue(0), issue(300))[0] == 0
    assert kills >= (20 if FULL else 6)
    with capsys.disabled():
        print(f"\nmigrate: {kills} kills, never two sides to write")


def test_what_reads_back_otherwise_is_not_switched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Move(LogWorld(root=tmp_path / "old"), MemoryWorld(root=tmp_path / "new"))
    made.live()
    for name, lie in (
        ("fetch", lambda data: bytes([data[0] ^ 1]) + data[1:]),
        ("names", lambda names: [*names, "tile/0/009"]),
    ):
        real = getattr(MemoryStore, name)
        with monkeypatch.context() as patch:
            patch.setattr(MemoryStore, name, lambda *a, real=real, lie=lie: lie(real(*a)))
            with pytest.raises(MigrationDiffersError):
                made.move()
    real_rows = MemoryState.all_submissions
    with monkeypatch.context() as patch:
        patch.setattr(MemoryState, "all_submissions", lambda state: list(real_rows(state))[1:])
        with pytest.raises(MigrationDiffersError, match="row"):
            made.move()
    real_row = MemoryState.issuer_row
    for number in ("next_act", "next_notice", "next_serial", "last_index", "status_index", "status_time"):
        with monkeypatch.context() as patch:
            patch.setattr(MemoryState, "issuer_row", lambda *a, at=number: replace(real_row(*a), **{at: 77}))
            with pytest.raises(MigrationDiffersError, match=r"row \('issuer', "):
                made.move()
    assert isinstance(made.open_both()[0], Log)
    made.move()
    assert isinstance(made.open_both()[0], LogMovedError)
