"""The embedded log: rounds, idempotency, refusals that append nothing, receipts, restored copies."""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logworld import (
    ACT,
    CHECKPOINT,
    CREDENTIAL,
    DAY,
    IDENTITY,
    NAME,
    NOW,
    RECEIPT,
    STATUS,
    Keys,
    LogWorld,
    act,
    issue,
    key_event,
    keyed,
    notice,
    signed,
    signer,
)

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.alg import Alg
from mingzheng.log import rounds
from mingzheng.log.acts import ActType, SerialEvent, SerialState, step
from mingzheng.log.block import blocks
from mingzheng.log.book import CODE_OF
from mingzheng.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mingzheng.log.entry import (
    FillerEntry,
    KeyEventType,
    LandmarkEntry,
    OriginHead,
    StatusEntry,
    TimeEntry,
    encode_entry,
    parse_entry,
)
from mingzheng.log.errors import ActOrderError
from mingzheng.log.hashing import EMPTY_ROOT, Hash, leaf_hash
from mingzheng.log.instance import default_memory_dir
from mingzheng.log.merkle import root_of
from mingzheng.log.receipt import (
    parse_compact_receipt,
    parse_tlog_proof,
    verify_compact_receipt,
    verify_full_receipt,
)
from mingzheng.log.refusal import (
    AnchorRefusedError,
    BehindMemoryError,
    ClockBackwardsError,
    ClockJumpError,
    DiskDisagreesError,
    ForkedHeadError,
    IndexNotLoggedError,
    LogExistsError,
    LogMissingError,
    RestoredBackupError,
    RoundTooLargeError,
    StorageError,
    SubmissionError,
    WriterActiveError,
    WriterBrokenError,
    WrongIdentityError,
)
from mingzheng.log.sequencer import MAX_CLOCK_JUMP, EmbeddedLog, Submission

# --- creation and the empty log


def test_empty_log_publishes_a_signed_checkpoint_of_size_zero(world: LogWorld) -> None:
    log = world.create()
    note = (world.public / "checkpoint").read_bytes()
    assert note == log.checkpoint()
    assert open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=NAME) == Checkpoint(
        origin=NAME, size=0, root=EMPTY_ROOT
    )
    assert log.head() == (0, EMPTY_ROOT)


def test_creating_over_a_log_is_refused(world: LogWorld) -> None:
    world.create().close()
    with pytest.raises(LogExistsError):
        world.create()


def test_creating_where_only_the_database_was_lost_is_refused(world: LogWorld) -> None:
    log = world.create()
    log.close()
    (world.directory / "log.sqlite").unlink()
    with pytest.raises(LogExistsError, match="database is gone"):
        world.create()
    with pytest.raises(LogMissingError):
        world.open()


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


@pytest.mark.parametrize("count", [1, 2, 3, 4, 253, 254, 255, 256, 257])
def test_a_round_is_entries_then_time_then_filler_if_odd(world: LogWorld, count: int) -> None:
    log = world.create()
    entries = [issue(serial) for serial in range(count)]
    indexes = world.submit(log, *entries)
    assert indexes == tuple(range(count))
    size, root = log.head()
    read = [data for _index, data in log.reader().entries(0, size)]
    assert read[:count] == entries
    assert parse_entry(read[count]) == TimeEntry(seconds=world.now)
    assert size % 2 == 0
    assert read[count + 1 :] == ([encode_entry(FillerEntry())] if count % 2 == 0 else [])
    assert root == root_of([leaf_hash(data) for data in read])


def test_many_rounds_give_the_tree_of_all_entries(world: LogWorld) -> None:
    log = world.create()
    serial = 0
    heads = []
    for count in (1, 2, 5, 250, 1, 300, 7):
        world.submit(log, *(issue(serial + at) for at in range(count)))
        serial += count
        heads.append(log.head())
    leaves = [leaf_hash(data) for _index, data in log.reader().entries(0, 1 << 40)]
    for size, root in heads:
        assert root_of(leaves[:size]) == root


def test_no_entries_make_no_round(world: LogWorld) -> None:
    log = world.create()
    before = log.checkpoint()
    assert log.submit([], now=NOW) == ()
    assert log.checkpoint() == before


def test_time_may_stand_still_but_not_go_back(world: LogWorld) -> None:
    log = world.create()
    log.submit(keyed([issue(0)]), now=NOW)
    log.submit(keyed([issue(1)]), now=NOW)
    with pytest.raises(ClockBackwardsError):
        log.submit(keyed([issue(2)]), now=NOW - 1)
    assert log.submit(keyed([issue(1)]), now=NOW - 1) == (2,)  # nothing new: no round, no clock


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


def test_the_same_submission_gives_the_same_index(world: LogWorld) -> None:
    log = world.create()
    first = world.submit(log, issue(0), issue(1))
    size = log.head()[0]
    assert world.submit(log, issue(0), issue(1)) == first
    assert log.head()[0] == size
    log.close()
    assert world.submit(world.open(), issue(1), issue(0)) == (1, 0)


def test_known_and_new_submissions_mix(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0), issue(1))
    assert world.submit(log, issue(1), issue(2), issue(0), issue(2)) == (1, 4, 0, 4)


def test_a_used_key_with_another_entry_is_refused(world: LogWorld) -> None:
    log = world.create()
    log.submit([Submission(key=b"k", entry=issue(0))], now=NOW)
    submissions = [Submission(key=b"new", entry=issue(1)), Submission(key=b"k", entry=issue(2))]
    with pytest.raises(SubmissionError) as caught:
        log.submit(submissions, now=NOW)
    assert (caught.value.position, caught.value.reason) == (1, rounds.KEY_CONFLICT)
    assert log.head()[0] == 2


def test_one_key_twice_in_a_call_with_two_entries_is_refused(world: LogWorld) -> None:
    log = world.create()
    with pytest.raises(SubmissionError) as caught:
        log.submit([Submission(key=b"k", entry=issue(0)), Submission(key=b"k", entry=issue(1))], now=NOW)
    assert (caught.value.position, caught.value.reason) == (1, rounds.KEY_CONFLICT)


# --- refusals: the position and the code, and nothing appended


def _head_entry(
    size: int, root: bytes, *, origin: int = 7, this_update: int = NOW, others: Sequence[int] = ()
) -> bytes:
    heads = (OriginHead(origin, size, Hash(root)), *(OriginHead(number, 1, Hash(bytes(32))) for number in others))
    return encode_entry(
        StatusEntry(issuer=1, origins=heads, this_update=this_update, next_update=this_update + 1, sha256=bytes(32))
    )


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "malformed": (lambda: b"\x00", "entry.malformed"),
    "empty": (lambda: b"", "entry.malformed"),
    "trailing byte": (lambda: issue(9) + b"\x00", "entry.malformed"),
    "unknown version": (lambda: b"\x82\x02\x08", "entry.unknown_version"),
    "too large": (lambda: bytes(40_001), "entry.too_large"),
    "time": (lambda: encode_entry(TimeEntry(seconds=NOW)), rounds.NOT_SUBMITTABLE),
    "filler": (lambda: encode_entry(FillerEntry()), rounds.NOT_SUBMITTABLE),
    "two days ago": (lambda: issue(9, day=DAY - 2), rounds.WRONG_DAY),
    "in two days": (lambda: issue(9, day=DAY + 2), rounds.WRONG_DAY),
    "unknown issuer": (lambda: issue(9, issuer=3), "rule.unknown_key"),
    "unknown credential key": (lambda: issue(9, kid=ACT.public_key.kid), "rule.unknown_key"),
    "serial twice": (lambda: issue(0), "rule.serial_order"),
    "serial twice, other kind": (lambda: issue(1, kind=2), "rule.serial_order"),
    "revoke of nothing": (lambda: act(0, ActType.REVOKE, [77]), "rule.serial_order"),
    "reinstate of a live serial": (lambda: act(0, ActType.REINSTATE, [0]), "rule.serial_order"),
    "second serial of an act": (lambda: act(0, ActType.REVOKE, [0, 77]), "rule.serial_order"),
    "act number too high": (lambda: act(1, ActType.REVOKE, [0]), "rule.act_number"),
    "act of another key": (lambda: act(0, ActType.REVOKE, [0], key=STATUS), "rule.act_signature"),
    "act of another origin": (lambda: act(0, ActType.REVOKE, [0], origin="other"), "rule.act_signature"),
    "act of an unknown issuer": (lambda: act(0, ActType.REVOKE, [0], issuer=3), "rule.unknown_key"),
    "status without this log": (lambda: _head_entry(0, EMPTY_ROOT, origin=8), "rule.origin_missing"),
    "status of a wrong root": (lambda: _head_entry(2, bytes(32)), "rule.wrong_head"),
    "status of a future size": (lambda: _head_entry(1000, bytes(32)), "rule.wrong_head"),
    "kind out of the key's scope": (lambda: issue(9, kind=999), "rule.key_kind"),
    "act dated two days back": (lambda: act(0, ActType.REVOKE, [0], day=DAY - 2), "rule.act_day"),
    "status before its issuer's last entry": (lambda: _head_entry(0, EMPTY_ROOT), "rule.status_incomplete"),
    "status of an unknown origin": (lambda: _head_entry(0, EMPTY_ROOT, others=(8,)), "rule.unknown_origin"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_entry_refuses_the_whole_call(world: LogWorld, case: str) -> None:
    make, code = REFUSED[case]
    log = world.create()
    world.submit(log, issue(0), issue(1))
    before = log.head()
    good = [issue(100), issue(101)]
    submissions = [Submission(key=b"%d" % at, entry=entry) for at, entry in enumerate([*good, make(), issue(102)])]
    with pytest.raises(SubmissionError) as caught:
        log.submit(submissions, now=NOW + 10)
    assert (caught.value.position, caught.value.reason) == (2, code)
    assert log.head() == before
    assert log.next_act_number(1) == 0
    assert log.submit(submissions[:2], now=NOW + 10) == (4, 5)


@pytest.mark.parametrize("day", [DAY - 1, DAY, DAY + 1])
def test_days_beside_the_civil_day_are_taken(world: LogWorld, day: int) -> None:
    assert world.submit(world.create(), issue(0, day=day)) == (0,)


def test_keys_and_calls_have_caps(world: LogWorld) -> None:
    log = world.create()
    for key in (b"", bytes(65)):
        with pytest.raises(SubmissionError) as caught:
            log.submit([Submission(key=key, entry=issue(0))], now=NOW)
        assert caught.value.reason == rounds.BAD_KEY
    assert log.submit([Submission(key=bytes(64), entry=issue(0))], now=NOW) == (0,)
    with pytest.raises(RoundTooLargeError):
        log.submit([Submission(key=b"k", entry=b"")] * (rounds.MAX_ENTRIES + 1), now=NOW)


# --- acts, notices, key events, heads


def test_the_whole_life_of_serials(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(6)))
    world.submit(log, act(0, ActType.SUSPEND, [0, 1]), act(1, ActType.REINSTATE, [0]), act(2, ActType.REVOKE, [1, 2]))
    world.submit(log, act(3, ActType.SUPERSEDE, [3]), act(4, ActType.VOID, [4, 9]), notice(5))
    assert log.next_act_number(1) == 6
    assert log.issuer_row(1).next_serial == 10
    for state, want in ((SerialState.REVOKED, [1, 2]), (SerialState.SUPERSEDED, [3]), (SerialState.VOID, [4, 9])):
        assert log.serials_in_state(1, CODE_OF[state]) == want
    for number, kind in ((6, ActType.SUSPEND), (6, ActType.REVOKE)):
        with pytest.raises(SubmissionError):
            world.submit(log, act(number, kind, [9]))
    with pytest.raises(SubmissionError):
        world.submit(log, issue(9))  # an issue after void
    assert log.index_of_serial(1, 3) == 3
    assert log.index_of_serial(1, 5) == 5
    assert log.index_of_serial(1, 50) is None
    assert log.issuers() == [1]


def test_an_act_may_follow_its_issue_in_one_round(world: LogWorld) -> None:
    log = world.create()
    assert world.submit(log, issue(0), act(0, ActType.REVOKE, [0])) == (0, 1)
    with pytest.raises(SubmissionError):
        world.submit(log, act(1, ActType.SUSPEND, [0]))


def test_replayed_act_under_a_new_key_is_refused(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0), issue(1), act(0, ActType.SUSPEND, [0]))
    with pytest.raises(SubmissionError) as caught:
        log.submit([Submission(key=b"replay", entry=act(0, ActType.SUSPEND, [0]))], now=world.now)
    assert caught.value.reason == "rule.act_number"


def test_a_retired_key_writes_no_more(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0), key_event(0, KeyEventType.RETIRED, CREDENTIAL.public_key.kid))
    log.close()
    log = world.open()
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, issue(1))
    assert caught.value.reason == "rule.key_retired"
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, key_event(1, KeyEventType.ADDED, CREDENTIAL.public_key.kid))
    assert caught.value.reason == "rule.key_retired"
    world.submit(log, key_event(1, KeyEventType.COMPROMISED, ACT.public_key.kid, 2))
    with pytest.raises(SubmissionError):
        world.submit(log, act(2, ActType.REVOKE, [0]))


def test_key_events_need_the_authority_key(world: LogWorld) -> None:
    log = world.create()
    good = parse_entry(key_event(0, KeyEventType.ADDED, STATUS.public_key.kid))
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, signed(good, key=ACT))  # type: ignore[arg-type]
    assert caught.value.reason == "rule.act_signature"
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, signed(replace(good, kid=ACT.public_key.kid), key=ACT))  # type: ignore[call-overload,arg-type]
    assert caught.value.reason == "rule.unknown_key"
    world.submit(log, encode_entry(good))


def test_status_and_landmark_entries_must_name_a_head_of_this_log(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(9)))
    first = log.head()
    world.submit(log, issue(9))
    size, root = log.head()
    world.submit(log, _head_entry(size, root), _head_entry(size, root, this_update=NOW + 1))
    landmark = LandmarkEntry(
        origins=(OriginHead(7, size, root),), this_update=NOW, next_update=NOW + 9, sha256=bytes(32)
    )
    world.submit(log, encode_entry(landmark))
    for entry, reason in (
        (_head_entry(size, root, this_update=NOW - 5), "rule.status_time"),
        (_head_entry(*first, this_update=NOW + 1), "rule.head_shrinks"),
        (_head_entry(size, root, this_update=NOW + 60), "rule.status_clock"),
        (encode_entry(replace(landmark, origins=(OriginHead(7, size, Hash(bytes(32))),))), "rule.wrong_head"),
        (encode_entry(replace(landmark, origins=(OriginHead(7, *first),))), "rule.head_shrinks"),
    ):
        with pytest.raises(SubmissionError) as caught:
            world.submit(log, entry)
        assert caught.value.reason == reason


def test_what_lists_stated_is_remembered_over_a_restart(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    first = log.head()
    world.submit(log, _head_entry(*first))
    second = log.head()
    world.submit(log, _head_entry(*second, this_update=NOW + 1))
    log.close()
    log = world.open()
    assert log.issuer_row(1).status_sizes == {7: second[0]}
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, _head_entry(*first, this_update=NOW + 1))
    assert caught.value.reason == "rule.head_shrinks"
    assert log.issuers() == [1]


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(SerialEvent))), max_size=25))
def test_any_sequence_of_events_is_taken_as_the_state_machine_says(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, SerialEvent]]
) -> None:
    world = LogWorld(root=tmp_path_factory.mktemp("events"))
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


def test_every_entry_of_every_round_gets_both_receipts(world: LogWorld) -> None:
    log = world.create()
    bounds = []
    serial = 0
    for count in (1, 3, 20, 40, 2):
        start = log.head()[0]
        world.submit(log, *(issue(serial + at) for at in range(count)))
        bounds.append((start, log.head()[0]))
        serial += count
    shapes = {(block.start, block.end) for start, stop in bounds for block in blocks(start, stop, 4)}
    for index, data in log.reader().entries(0, log.head()[0]):
        receipt = parse_compact_receipt(log.compact_receipt(index))
        assert (receipt.start, receipt.end) in shapes
        assert receipt.origin == 7
        found = verify_compact_receipt(receipt, leaf_hash(data), key=RECEIPT.public_key, block_height=4)
        assert found == index
        proof = parse_tlog_proof(log.full_receipt(index))
        assert proof.index == index
        head = verify_full_receipt(proof, leaf_hash(data), vkey=IDENTITY.vkey(), origin=NAME)
        assert (head.size, head.root) == log.head()


def test_compact_receipts_never_change(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(20)))
    first = [log.compact_receipt(index) for index in range(20)]
    world.submit(log, *(issue(serial) for serial in range(20, 300)))
    log.close()
    log = world.open()
    assert [log.compact_receipt(index) for index in range(20)] == first


@pytest.mark.parametrize("index", [-1, 2, 1 << 60])
def test_no_receipt_beyond_the_signed_size(world: LogWorld, index: int) -> None:
    log = world.create()
    world.submit(log, issue(0))
    for make in (log.compact_receipt, log.full_receipt):
        with pytest.raises(IndexNotLoggedError):
            make(index)


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


def test_two_writers_are_refused(world: LogWorld) -> None:
    world.create()
    with pytest.raises(WriterActiveError):
        world.open()


def test_a_closed_log_says_so(world: LogWorld) -> None:
    log = world.create()
    log.close()
    log.close()
    with pytest.raises(WriterBrokenError):
        log.submit(keyed([issue(0)]), now=NOW)


WRONG = {
    "origin number": replace(IDENTITY, origin_number=8),
    "origin name": replace(IDENTITY, origin_name="other.example/1"),
    "block height": replace(IDENTITY, block_height=5),
    "checkpoint key": replace(IDENTITY, checkpoint_signer=signer("other")),
    "receipt key": replace(IDENTITY, receipt_signer=signer("other", Alg.EDDSA)),
}


@pytest.mark.parametrize("what", WRONG)
def test_another_identity_is_refused(world: LogWorld, what: str) -> None:
    world.create().close()
    with pytest.raises(WrongIdentityError) as caught:
        world.open(identity=WRONG[what])
    assert caught.value.what == what


# --- rolling forward, disk against database


def _sqlite(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path / "log.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()


def test_opening_again_changes_nothing(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(300)))
    head, note = log.head(), log.checkpoint()
    log.close()
    log = world.open()
    assert (log.head(), log.checkpoint(), log.read_only) == (head, note, None)
    assert world.submit(log, issue(300)) == (302,)


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


def test_a_head_without_a_note_gives_no_checkpoint(world: LogWorld) -> None:
    log = world.create()
    log._head = replace(log._head, note=None)  # type: ignore[type-var]
    with pytest.raises(WriterBrokenError):
        log.checkpoint()
    with pytest.raises(IndexNotLoggedError):
        log.full_receipt(0)


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


def test_heads_of_earlier_sizes_are_known_and_later_ones_are_not(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    with pytest.raises(
        SubmissionError
    ) as caught:  # two new entries precede it: 4 is not beyond its index, but unsigned
        log.submit(keyed([issue(1), issue(2), _head_entry(4, bytes(32))]), now=world.now)
    assert caught.value.reason == "rule.wrong_head"


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


def test_a_clock_that_leaps_is_refused_until_somebody_confirms_it(world: LogWorld) -> None:
    """One round under a clock far ahead would refuse every honest round after it."""
    log = world.create()
    far = NOW + MAX_CLOCK_JUMP + 1
    log.check_clock(far)  # an empty log has no last round
    log.submit(keyed([issue(0)]), now=NOW)
    late = issue(1, day=day_of_time(far))
    with pytest.raises(ClockJumpError) as caught:
        log.submit(keyed([late]), now=far)
    assert (caught.value.now, caught.value.last, log.head()[0]) == (far, NOW, 2)
    log.submit(keyed([issue(2)]), now=NOW + 1)  # nothing is lost when the clock is set right
    with pytest.raises(ClockBackwardsError):
        log.confirm_clock(NOW)
    log.confirm_clock(far + 1)
    log.close()
    log = world.open()
    assert log.submit(keyed([late]), now=far + 1) == (4,)
    with pytest.raises(ClockBackwardsError):
        log.submit(keyed([issue(3)]), now=NOW + 1)


def test_the_longest_silence_needs_no_confirmation(world: LogWorld) -> None:
    log = world.create()
    log.submit(keyed([issue(0)]), now=NOW)
    late = NOW + MAX_CLOCK_JUMP
    assert log.submit(keyed([issue(1, day=day_of_time(late))]), now=late) == (2,)
