"""The rounds of a log, whatever it is stored in: run over every storage by `tests/log/test_stores.py`."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from logworld import (
    ACT,
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
    by_two,
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
from mingzheng.log.acts import ActType, SerialState
from mingzheng.log.block import blocks
from mingzheng.log.book import CODE_OF
from mingzheng.log.entry import (
    ActEntry,
    FillerEntry,
    KeyEventType,
    LandmarkEntry,
    NoticeEntry,
    OriginHead,
    StatusEntry,
    TimeEntry,
    encode_entry,
    parse_entry,
)
from mingzheng.log.hashing import EMPTY_ROOT, Hash, leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.receipt import (
    parse_compact_receipt,
    parse_tlog_proof,
    verify_compact_receipt,
    verify_full_receipt,
)
from mingzheng.log.refusal import (
    ClockBackwardsError,
    ClockJumpError,
    DiskDisagreesError,
    IndexNotLoggedError,
    LogExistsError,
    RoundTooLargeError,
    SubmissionError,
    WriterActiveError,
    WriterBrokenError,
    WrongIdentityError,
)
from mingzheng.log.sequencer import MAX_CLOCK_JUMP, Submission
from mingzheng.log.state import RoundRows


def test_creating_over_a_log_is_refused(world: LogWorld) -> None:
    world.create().close()
    with pytest.raises(LogExistsError):
        world.create()


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


def test_the_whole_life_of_serials(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(6)))
    world.submit(log, act(0, ActType.SUSPEND, [0, 1]), act(1, ActType.REINSTATE, [0]), act(2, ActType.REVOKE, [1, 2]))
    world.submit(log, act(3, ActType.SUPERSEDE, [3]), act(4, ActType.VOID, [4, 9]), notice(5))
    assert log.next_act_number(1) == 6
    assert (log.issuer_row(1).next_notice, log.issuer_row(1).next_serial) == (2, 10)
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


def test_notices_are_numbered_from_one_and_no_number_comes_twice(world: LogWorld) -> None:
    log = world.create()
    assert log.issuer_row(1).next_notice == 1
    world.submit(log, notice(0))
    log.close()
    log = world.open()
    for made, reason in (
        (notice(1), "rule.notice_number"),
        (notice(1, 3), "rule.notice_number"),
        (notice(1, body=b"notice"), "rule.notice_body"),
    ):
        with pytest.raises(SubmissionError) as caught:
            world.submit(log, made)
        assert caught.value.reason == reason
    world.submit(log, notice(1, 2), notice(2, 3))
    assert log.issuer_row(1).next_notice == 4


def test_operators_revoke_and_give_notice_by_two(world: LogWorld) -> None:
    world.keys = Keys(operators=2)
    log = world.create()
    world.submit(log, issue(0), issue(1), issue(2))
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, act(0, ActType.VOID, [2, 7]))
    assert caught.value.reason == "rule.one_person"
    alone = parse_entry(act(0, ActType.REVOKE, [0])), parse_entry(notice(0))
    for entry in alone:
        assert isinstance(entry, ActEntry | NoticeEntry)
        with pytest.raises(SubmissionError) as caught:
            world.submit(log, encode_entry(entry))
        assert caught.value.reason == "rule.one_person"
    revoke, told = alone
    assert isinstance(revoke, ActEntry)
    assert isinstance(told, NoticeEntry)
    world.submit(log, encode_entry(by_two(revoke)), encode_entry(by_two(replace(told, act_number=1))))
    world.submit(log, act(2, ActType.SUSPEND, [1]), act(3, ActType.VOID, [7, 8]))
    assert log.serials_in_state(1, CODE_OF[SerialState.REVOKED]) == [0]
    assert log.serials_in_state(1, CODE_OF[SerialState.VOID]) == [7, 8]
    log.close()
    log = world.open()
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, act(4, ActType.VOID, [1]))
    assert caught.value.reason == "rule.one_person"
    void = parse_entry(act(4, ActType.VOID, [1]))
    assert isinstance(void, ActEntry)
    world.submit(log, encode_entry(by_two(void)))
    with pytest.raises(SubmissionError) as caught:
        world.submit(log, encode_entry(by_two(replace(revoke, act_number=5))))
    assert caught.value.reason == "rule.serial_order"


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


def test_a_round_or_note_of_another_head_than_the_rows_is_not_stored(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    state = log._db()
    head = state.head()
    for other in (replace(head, size=4), replace(head, root=EMPTY_ROOT)):
        with pytest.raises(DiskDisagreesError):
            state.store_note(b"note", other)
        rows = RoundRows(
            old=other, size=6, root=EMPTY_ROOT, time=NOW, entries=(), keys=(), serials={}, issuers={}, retired={}
        )
        with pytest.raises(DiskDisagreesError):
            state.commit_round(rows)
    assert state.head() == head


def test_opening_again_changes_nothing(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(300)))
    head, note = log.head(), log.checkpoint()
    log.close()
    log = world.open()
    assert (log.head(), log.checkpoint(), log.read_only) == (head, note, None)
    assert world.submit(log, issue(300)) == (302,)


def test_a_head_without_a_note_gives_no_checkpoint(world: LogWorld) -> None:
    log = world.create()
    log._head = replace(log._head, note=None)  # type: ignore[type-var]
    with pytest.raises(WriterBrokenError):
        log.checkpoint()
    with pytest.raises(IndexNotLoggedError):
        log.full_receipt(0)


def test_heads_of_earlier_sizes_are_known_and_later_ones_are_not(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    with pytest.raises(
        SubmissionError
    ) as caught:  # two new entries precede it: 4 is not beyond its index, but unsigned
        log.submit(keyed([issue(1), issue(2), _head_entry(4, bytes(32))]), now=world.now)
    assert caught.value.reason == "rule.wrong_head"


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
