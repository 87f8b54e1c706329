"""Shards: a log is closed, the next goes on: order of acts and serials, lists, proofs, receipts across the border."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cbor2
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from logstores import CloudWorld, Memory, MemoryState, MemoryStore, MemoryWorld, new_place
from logworld import (
    ACT,
    AUTHORITY,
    CREDENTIAL,
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
    trust,
    write_log,
)

from mingzheng.formats import cbor
from mingzheng.keys.alg import Alg
from mingzheng.keys.snapshot import save_store
from mingzheng.keys.trust import format_trust
from mingzheng.log.acts import ActType, SerialState
from mingzheng.log.auditfiles import read_closed
from mingzheng.log.book import CODE_OF, STATES, Book
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.cli import log_group
from mingzheng.log.collected import OriginKeys
from mingzheng.log.entry import (
    CloseEntry,
    FillerEntry,
    KeyEventType,
    OriginHead,
    ShardEntry,
    TimeEntry,
    encode_entry,
    parse_entry,
)
from mingzheng.log.fsck import check_storage, fsck
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.landmarkmaker import make_landmark
from mingzheng.log.monitor import AuditPlan, Before, audit
from mingzheng.log.receipt import (
    parse_compact_receipt,
    parse_tlog_proof,
    verify_compact_receipt,
    verify_full_receipt,
)
from mingzheng.log.refusal import (
    LogExistsError,
    LogFrozenError,
    NotFrozenError,
    RolledElsewhereError,
    ShardNotBegunError,
    SubmissionError,
)
from mingzheng.log.rollover import roll_over
from mingzheng.log.rounds import NOT_SUBMITTABLE
from mingzheng.log.sequencer import EmbeddedLog, LogIdentity
from mingzheng.log.shard import (
    Carried,
    CarriedError,
    CarriedIssuer,
    book_after,
    carried_of_book,
    encode_carried,
    parse_before,
    parse_carried,
    shard_entry,
)
from mingzheng.log.state import Carry
from mingzheng.log.statusmaker import make_status, status_body
from mingzheng.log.store import StoreFetcher
from mingzheng.log.writer import Log

NAME_8 = "log.example.cn/2"
RECEIPT_8 = signer("receipt 8", Alg.EDDSA)
LANDMARK = signer("landmark")
IDENTITY_8 = LogIdentity(
    origin_number=8,
    origin_name=NAME_8,
    block_height=4,
    checkpoint_signer=signer("checkpoint 8"),
    receipt_signer=RECEIPT_8,
)


class BothKeys(Keys):
    """The same keys may log in both shards."""

    def __init__(self) -> None:
        super().__init__()
        self.of = {kid: replace(record, origins=frozenset({7, 8, 9})) for kid, record in self.of.items()}


def act_8(number: int, kind: ActType, serials: list[int]) -> bytes:
    """An act for the second shard."""
    return act(number, kind, serials, origin=NAME_8)


@dataclass
class Shards:
    """The first shard's world, and how the second is made or opened."""

    world: LogWorld
    make: Callable[[Carry], Log]
    check: Callable[[], tuple[object, ...]]

    def roll(self, old: Log, *, successor: int = 8) -> Log:
        self.world.now += 1
        new = roll_over(old, self.make, successor=successor, now=self.world.now)
        self.world.opened.append(new)
        return new


def _memory(root: Path) -> Shards:
    there = Memory()

    def make(carry: Carry) -> Log:
        log = Log(MemoryStore(there), MemoryState(there), IDENTITY_8, act_keys=BothKeys(), memory=None)
        if there.rows is None:
            log.begin(carry)
        else:
            log.resume()
        return log

    def check() -> tuple[object, ...]:
        state = MemoryState(there, take_over=True)
        state.open()
        return check_storage(MemoryStore(there), state, vkey=IDENTITY_8.vkey()).faults

    return Shards(MemoryWorld(root=root), make, check)


def _directory(root: Path) -> Shards:
    directory = root / "second"

    def make(carry: Carry) -> Log:
        if EmbeddedLog.exists(directory):
            return EmbeddedLog.open(directory, IDENTITY_8, act_keys=BothKeys(), memory_dir=None)
        return EmbeddedLog.create(directory, IDENTITY_8, act_keys=BothKeys(), memory_dir=None, carry=carry)

    return Shards(LogWorld(root=root), make, lambda: fsck(directory, vkey=IDENTITY_8.vkey()).faults)


def _cloud(root: Path) -> Shards:
    from mingzheng.log.cloud import CloudLog

    place = new_place()

    def make(carry: Carry) -> Log:
        try:
            return CloudLog.create(place, IDENTITY_8, act_keys=BothKeys(), memory_dir=None, carry=carry)
        except LogExistsError:
            return CloudLog.open(place, IDENTITY_8, act_keys=BothKeys(), memory_dir=None)

    def check() -> tuple[object, ...]:
        state, store = place.state(take_over=True), place.store()
        state.open()
        try:
            return check_storage(store, state, vkey=IDENTITY_8.vkey()).faults
        finally:
            state.close()
            store.close()

    return Shards(CloudWorld(root=root), make, check)


CLOUD = pytest.param(_cloud, marks=[pytest.mark.postgres, pytest.mark.s3], id="cloud")


@pytest.fixture(params=[pytest.param(_memory, id="memory"), pytest.param(_directory, id="directory"), CLOUD])
def shards(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shards]:
    """Two shards in each storage."""
    made: Shards = request.param(tmp_path)
    yield made
    made.world.close()


def _lived(shards: Shards) -> Log:
    """A first shard with every state, a status list and a retired key."""
    world = shards.world
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(40)), issue(3, issuer=2))
    world.submit(log, act(0, ActType.SUSPEND, [1, 2]), act(1, ActType.REVOKE, [2, 3]), act(2, ActType.SUPERSEDE, [4]))
    world.submit(log, act(3, ActType.VOID, [5, 60]), key_event(4, KeyEventType.RETIRED, STATUS.public_key.kid))
    make_status(log, 1, signer=STATUS, now=world.now)
    return log


# --- the border


def test_the_old_log_ends_with_its_close_entry_and_takes_nothing_more(shards: Shards) -> None:
    old = _lived(shards)
    size = old.head()[0]
    new = shards.roll(old)
    entries = [parse_entry(data) for _index, data in old.reader().entries(size, old.head()[0])]
    assert entries[:2] == [CloseEntry(successor=8), TimeEntry(seconds=shards.world.now)]
    assert entries[2:] in ([], [FillerEntry()])
    assert isinstance(old.read_only, LogFrozenError)
    for attempt in (
        lambda: old.submit(keyed([issue(900)]), now=shards.world.now),
        lambda: old.confirm_clock(shards.world.now + 5),
    ):
        with pytest.raises(LogFrozenError):
            attempt()
    old.close_for(8, now=shards.world.now)  # closed already: nothing
    old.close()
    again = shards.world.open()
    assert isinstance(again.read_only, LogFrozenError)
    assert again.read_only.code == "log.frozen"
    assert new.head()[0] == 2


def test_the_new_log_begins_with_the_frozen_head(shards: Shards) -> None:
    old = _lived(shards)
    new = shards.roll(old)
    size, root = old.head()
    entry = parse_entry(new.reader().entry(0))
    assert isinstance(entry, ShardEntry)
    assert entry.origins == (OriginHead(7, size, root),)
    assert new.frozen_heads() == entry.origins


def test_order_of_acts_and_serials_goes_on(shards: Shards) -> None:
    old = _lived(shards)
    new = shards.roll(old)
    world = shards.world
    assert new.next_act_number(1) == 5
    assert new.issuer_row(1).next_serial == 61
    for state, want in ((SerialState.REVOKED, [2, 3]), (SerialState.SUSPENDED, [1]), (SerialState.VOID, [5, 60])):
        assert new.serials_in_state(1, CODE_OF[state]) == want
    for entry, reason in (
        (issue(7), "rule.serial_order"),  # a serial of the old shard
        (issue(60), "rule.serial_order"),  # void there
        (act_8(0, ActType.REVOKE, [7]), "rule.act_number"),
        (act_8(5, ActType.REINSTATE, [2]), "rule.serial_order"),
        (act(5, ActType.REVOKE, [7]), "rule.act_signature"),  # signed for the old shard
    ):
        with pytest.raises(SubmissionError) as caught:
            world.submit(new, entry)
        assert caught.value.reason == reason
    assert world.submit(new, issue(61), act_8(5, ActType.REVOKE, [7]), act_8(6, ActType.REINSTATE, [1])) == (2, 3, 4)
    assert new.serials_in_state(1, CODE_OF[SerialState.REVOKED]) == [2, 3, 7]
    assert new.index_of_serial(1, 61) == 2
    assert new.index_of_serial(1, 7) is None  # not in this shard
    new.close()
    assert shards.check() == ()


def test_notice_numbers_go_on_and_no_notice_is_announced_twice(shards: Shards) -> None:
    world = shards.world
    log = world.create()
    world.submit(log, issue(0), notice(0), notice(1, 2))
    new = shards.roll(log)
    assert new.issuer_row(1).next_notice == 3
    for said in (1, 2, 4):
        with pytest.raises(SubmissionError) as caught:
            world.submit(new, signed(parse_entry(notice(2, said)), origin=NAME_8))  # type: ignore[arg-type]
        assert caught.value.reason == "rule.notice_number"
    world.submit(new, signed(parse_entry(notice(2, 3)), origin=NAME_8))  # type: ignore[arg-type]
    new.close()
    assert shards.check() == ()


def test_a_retired_key_stays_retired(shards: Shards) -> None:
    world = shards.world
    log = world.create()
    world.submit(log, issue(0), key_event(0, KeyEventType.RETIRED, CREDENTIAL.public_key.kid))
    new = shards.roll(log)
    with pytest.raises(SubmissionError) as caught:
        world.submit(new, issue(1))
    assert caught.value.reason == "rule.key_retired"


def test_lists_of_the_new_shard_name_the_frozen_head(shards: Shards) -> None:
    old = _lived(shards)
    new = shards.roll(old)
    world = shards.world
    world.submit(new, issue(61))
    body = status_body(new, 1, now=world.now)
    assert [head.origin for head in body.origins] == [7, 8]
    assert body.revoked == (2, 3)
    made = make_status(new, 1, signer=STATUS, now=world.now)
    assert made.body == body
    frozen, own = body.origins
    for heads, reason in (
        ((own,), "rule.origin_missing"),
        ((frozen._replace(size=frozen.size - 2), own), "rule.wrong_head"),
        ((frozen._replace(root=Hash(bytes(32))), own), "rule.wrong_head"),
    ):
        from mingzheng.log.status import status_entry

        later = replace(body, origins=heads, this_update=world.now, next_update=world.now + 9)
        with pytest.raises(SubmissionError) as caught:
            world.submit(new, encode_entry(status_entry(later)))
        assert caught.value.reason == reason


def test_receipts_of_the_frozen_log_go_on_and_prove_under_the_new_one(shards: Shards) -> None:
    """leaf → frozen head by its own proof, frozen head → newest checkpoint by the proof of entry 0."""
    old = _lived(shards)
    before = old.compact_receipt(3)
    new = shards.roll(old)
    shards.world.submit(new, issue(61))
    assert old.compact_receipt(3) == before
    receipt = parse_compact_receipt(before)
    assert verify_compact_receipt(receipt, leaf_hash(issue(3)), key=RECEIPT.public_key, block_height=4) == 3
    proof = parse_tlog_proof(old.full_receipt(3))
    head = verify_full_receipt(proof, leaf_hash(issue(3)), vkey=IDENTITY.vkey(), origin=NAME)
    first = new.reader().entry(0)
    link = parse_tlog_proof(new.full_receipt(0))
    newest = verify_full_receipt(link, leaf_hash(first), vkey=IDENTITY_8.vkey(), origin=NAME_8)
    entry = parse_entry(first)
    assert isinstance(entry, ShardEntry)
    assert (head.size, head.root) == entry.origins[0][1:]
    assert newest == open_checkpoint(new.checkpoint(), vkeys=[IDENTITY_8.vkey()], origin=NAME_8)
    other = parse_compact_receipt(new.compact_receipt(2))
    assert (other.origin, receipt.origin) == (8, 7)
    assert verify_compact_receipt(other, leaf_hash(issue(61)), key=RECEIPT_8.public_key, block_height=4) == 2


def _plan(log: Log, identity: LogIdentity, before: Before | None) -> AuditPlan:
    data = trust()
    receipt_8, checkpoint_8 = RECEIPT_8.public_key, IDENTITY_8.checkpoint_signer.public_key
    keys = {
        kid: replace(record, origins=frozenset({7, 8})) if record.issuer else record
        for kid, record in data.keys.items()
    }
    keys[receipt_8.kid] = replace(
        keys[RECEIPT.public_key.kid], kid=receipt_8.kid, public_key=receipt_8, origins=frozenset({8})
    )
    keys[checkpoint_8.kid] = replace(
        keys[IDENTITY.checkpoint_signer.public_key.kid],
        kid=checkpoint_8.kid,
        public_key=checkpoint_8,
        origins=frozenset({8}),
        name=NAME_8,
    )
    origins = {**data.origins, 8: replace(data.origins[7], number=8, name=NAME_8)}
    return AuditPlan(
        fetcher=StoreFetcher(log._store),
        keys=OriginKeys(
            number=identity.origin_number,
            name=identity.origin_name,
            block_height=4,
            vkey=identity.vkey(),
            receipt_key=identity.receipt_signer.public_key,
        ),
        trust=replace(data, keys=keys, origins=origins),
        state_file=None,
        receipts_dir=None,
        before=before,
    )


def test_an_auditor_follows_over_the_border(tmp_path: Path) -> None:
    shards = _memory(tmp_path)
    world = shards.world
    old = world.create()
    world.submit(old, *(issue(serial) for serial in range(40)))
    world.submit(old, act(0, ActType.SUSPEND, [1, 2]), act(1, ActType.REVOKE, [2, 3]), act(2, ActType.VOID, [60]))
    make_status(old, 1, signer=STATUS, now=world.now)
    assert audit(_plan(old, IDENTITY, None)).closed is None
    new = shards.roll(old)
    world.submit(new, issue(61), act_8(3, ActType.REVOKE, [7]), act_8(4, ActType.REINSTATE, [1]))
    make_status(new, 1, signer=STATUS, now=world.now)
    first = audit(_plan(old, IDENTITY, None))
    assert (first.alarms, first.size) == ((), old.head()[0])
    assert first.closed is not None
    second = audit(_plan(new, IDENTITY_8, first.closed))
    assert (second.alarms, second.size) == ((), new.head()[0])
    alone = audit(_plan(new, IDENTITY_8, None))
    assert alone.alarms[0].code == "rule.wrong_shard"  # what it goes on from is not known
    other = replace(first.closed, carried=encode_carried(Carried(issuers={}, retired=frozenset())))
    assert audit(_plan(new, IDENTITY_8, other)).alarms[0].code == "rule.wrong_shard"


def test_each_log_has_landmark_lists_of_its_own(tmp_path: Path) -> None:
    """A list names its own log alone: what the lists of the frozen log said is not said again."""
    shards = _memory(tmp_path)
    world = shards.world
    old = world.create()
    world.submit(old, issue(0), issue(1))
    make_landmark(old, signer=LANDMARK, now=world.now)
    new = shards.roll(old)
    world.submit(new, issue(61))
    for _ in range(2):
        world.now += 60
        make_landmark(new, signer=LANDMARK, now=world.now)
    first = audit(_plan(old, IDENTITY, None))
    second = audit(_plan(new, IDENTITY_8, first.closed))
    assert (first.alarms, second.alarms, second.size) == ((), (), new.head()[0])
    new.close_for(9, now=world.now)
    assert dict(new.carry().issuers[0].status_sizes).keys() == {8}


def test_what_the_audit_of_a_closed_log_leaves_serves_the_next(tmp_path: Path) -> None:
    """Through the file beside the state, by the command too."""
    shards = _memory(tmp_path)
    world = shards.world
    old = world.create()
    world.submit(old, issue(0), issue(1), act(0, ActType.REVOKE, [1]))
    assert audit(replace(_plan(old, IDENTITY, None), state_file=tmp_path / "7.json")).closed is None
    assert not (tmp_path / "7.json.closed").exists()
    new = shards.roll(old)
    world.submit(new, issue(61))
    make_status(new, 1, signer=STATUS, now=world.now)
    first = audit(replace(_plan(old, IDENTITY, None), state_file=tmp_path / "7.json"))
    before = read_closed(tmp_path / "7.json.closed")
    assert before == first.closed
    plan = replace(_plan(new, IDENTITY_8, before), state_file=tmp_path / "8.json")
    assert audit(plan).clean
    again = audit(plan)
    assert (again.clean, again.resumed_from) == (True, new.head()[0])
    alone = audit(replace(plan, before=None))  # judged by another book: from the start
    assert (alone.alarms[0].code, alone.resumed_from) == ("rule.wrong_shard", 0)
    other = replace(before, carried=encode_carried(Carried(issuers={}, retired=frozenset())))
    assert audit(replace(plan, before=other)).alarms[0].code == "rule.wrong_shard"
    entries = [new.reader().entry(index) for index in range(new.head()[0])]
    public, store = tmp_path / "public", tmp_path / "trust"
    write_log(public, entries)
    (public / "checkpoint").write_bytes(new.checkpoint())
    assert plan.trust is not None
    save_store(store, format_trust(plan.trust))
    arguments = ["audit", str(public), "--trust", str(store)]
    done = CliRunner().invoke(log_group, [*arguments, "--before", str(tmp_path / "7.json.closed")])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(log_group, arguments)
    assert (done.exit_code, "--before" in done.output) == (1, True), done.output
    arguments = ["audit", str(public), "--vkey", IDENTITY_8.vkey_text(), "--before", str(tmp_path / "7.json.closed")]
    assert CliRunner().invoke(log_group, arguments).exit_code == 2


BAD_BEFORE = [
    b"",
    b"\x80",
    cbor.encode((2, (), b"")),
    cbor.encode((1, ((7, 0, bytes(32)),), encode_carried(Carried(issuers={}, retired=frozenset())))),
    cbor.encode((2, ((7, 0, bytes(32)),), 7)),
    cbor.encode((2, ((7, 0, bytes(31)),), encode_carried(Carried(issuers={}, retired=frozenset())))),
    cbor.encode((2, ((7, 0, bytes(32)),), b"\x80")),
]


@pytest.mark.parametrize("data", BAD_BEFORE)
def test_a_file_that_says_nothing_of_a_closed_log_is_refused(data: bytes) -> None:
    with pytest.raises(CarriedError):
        parse_before(data)


# --- cut short


def test_a_roll_over_cut_short_anywhere_is_made_again(tmp_path: Path) -> None:
    class Cut(Exception):
        pass

    reached = 0
    for point in range(60):
        shards = _memory(tmp_path / str(point))
        old = _lived(shards)
        assert isinstance(shards.world, MemoryWorld)
        there, count = shards.world.there, 0

        def hook(_name: str, _when: str, point: int = point) -> None:
            nonlocal count
            if count == point:
                raise Cut
            count += 1

        made: list[Memory] = []

        def make(carry: Carry, shards: Shards = shards, made: list[Memory] = made) -> Log:
            memory = shards.make.__closure__  # the same world on every try
            assert memory is not None
            found = next(cell.cell_contents for cell in memory if isinstance(cell.cell_contents, Memory))
            found.hook, found.holder = hook, None
            made.append(found)
            return shards.make(carry)

        there.hook = hook
        try:
            roll_over(old, make, successor=8, now=NOW + 100).close()
        except Cut:
            reached += 1
        for memory in (there, *made):
            memory.hook, memory.holder = lambda _name, _when: None, None
        old = shards.world.open()
        new = roll_over(old, shards.make, successor=8, now=NOW + 101)
        assert isinstance(parse_entry(new.reader().entry(0)), ShardEntry)
        assert new.submit(keyed([issue(61)]), now=NOW + 102) == (2,)
        new.close()
        assert shards.check() == ()
        old.close()
        assert shards.world.fsck().faults == ()
        if point >= 30 and reached <= point:
            break
    assert reached >= 20


def test_a_shard_that_never_wrote_its_first_entry_takes_nothing(tmp_path: Path) -> None:
    shards = _memory(tmp_path)
    old = _lived(shards)
    old.close_for(8, now=NOW + 100)
    new = shards.make(old.carry())
    with pytest.raises(ShardNotBegunError):
        new.submit(keyed([issue(61)]), now=NOW + 101)
    new.begin_shard(now=NOW + 101)
    new.begin_shard(now=NOW + 101)
    assert new.submit(keyed([issue(61)]), now=NOW + 102) == (2,)


def test_a_log_closed_for_one_successor_has_no_other(tmp_path: Path) -> None:
    shards = _memory(tmp_path)
    old = _lived(shards)
    with pytest.raises(NotFrozenError):
        old.carry()
    shards.roll(old)
    with pytest.raises(RolledElsewhereError):
        shards.roll(old, successor=9)


def test_a_new_log_that_follows_another_is_refused(tmp_path: Path) -> None:
    first, second = _memory(tmp_path / "1"), _memory(tmp_path / "2")
    one, two = _lived(first), second.world.create()
    first.world.submit(one, issue(50))
    new = first.roll(one)
    new.close()
    two.close_for(8, now=NOW + 100)
    with pytest.raises(RolledElsewhereError):
        roll_over(two, first.make, successor=8, now=NOW + 101)


def test_nobody_submits_the_entries_of_the_border(tmp_path: Path) -> None:
    world = MemoryWorld(root=tmp_path)
    log = world.create()
    for entry in (CloseEntry(successor=8), ShardEntry(origins=(OriginHead(7, 0, Hash(bytes(32))),), sha256=bytes(32))):
        with pytest.raises(SubmissionError) as caught:
            world.submit(log, encode_entry(entry))
        assert caught.value.reason == NOT_SUBMITTABLE


# --- the rule book at the border


BEGINS = shard_entry([OriginHead(7, 10, Hash(bytes(32)))], encode_carried(Carried(issuers={}, retired=frozenset())))


def _codes(book: Book, entry: bytes, index: int) -> list[str]:
    return [fault.code for fault in book.apply(parse_entry(entry), index, lambda _size: None)]


def test_entry_0_must_be_what_follows() -> None:
    def book(begins: ShardEntry | None) -> Book:
        return Book(origin=8, origin_name=NAME_8, keys=None, begins=begins)

    good = encode_entry(BEGINS)
    assert _codes(book(BEGINS), good, 0) == []
    assert _codes(book(BEGINS), issue(0), 0) == ["rule.wrong_shard"]
    assert _codes(book(BEGINS), encode_entry(replace(BEGINS, sha256=bytes(32))), 0) == ["rule.wrong_shard"]
    assert _codes(book(BEGINS), good, 4) == ["rule.wrong_shard"]
    assert _codes(book(None), good, 0) == ["rule.wrong_shard"]  # its predecessor is not known: nothing can be checked


def test_after_the_close_entry_only_the_rest_of_the_round() -> None:
    book = Book(origin=7, origin_name=NAME, keys=None)
    assert _codes(book, encode_entry(CloseEntry(successor=8)), 4) == []
    assert _codes(book, encode_entry(TimeEntry(seconds=NOW)), 5) == []
    assert _codes(book, encode_entry(FillerEntry()), 5) == []
    assert _codes(book, issue(0), 6) == ["rule.log_closed"]
    assert _codes(book, encode_entry(CloseEntry(successor=9)), 8) == ["rule.log_closed"]
    assert book.closed == 4


# --- the carried state


def test_rows_and_entries_carry_the_same(tmp_path: Path) -> None:
    """What the sequencer hands over from its rows is what an auditor draws from the entries."""
    shards = _memory(tmp_path)
    old = _lived(shards)
    new = shards.roll(old)
    book = Book(origin=7, origin_name=NAME, keys=None)
    reader = old.reader()
    for index, data in reader.entries(0, old.head()[0]):
        assert book.apply(parse_entry(data), index, reader.root_at) == []
    blob = encode_carried(carried_of_book(book))
    assert shard_entry([OriginHead(7, *old.head())], blob) == parse_entry(new.reader().entry(0))
    after = book_after(parse_carried(blob), BEGINS, Book(origin=8, origin_name=NAME_8, keys=None))
    assert {number: dict(found.states) for number, found in after.issuers.items()} == {
        number: dict(found.states) for number, found in book.issuers.items()
    }
    assert after.issuers[1].next_act == 5


_KIDS = st.binary(min_size=8, max_size=8)


@st.composite
def carried_states(draw: st.DrawFn) -> Carried:
    """Any carried state."""
    issuers = {}
    for number in draw(st.sets(st.integers(0, 65_535), max_size=3)):
        states = draw(st.dictionaries(st.integers(0, 60), st.integers(1, len(STATES) - 1), max_size=30))
        book = Book(origin=1, origin_name="x", keys=None)
        book.issuer(number).states.update(states)
        found = carried_of_book(book).issuers[number]
        issuers[number] = replace(
            found,
            next_act=draw(st.integers(0, 2**40)),
            next_notice=draw(st.integers(1, 65_536)),
            next_serial=draw(st.integers(0, 2**40)),
            status_time=draw(st.none() | st.integers(1, 2**40 - 1)),
            status_sizes=draw(st.dictionaries(st.integers(1, 65_535), st.integers(0, 2**63 - 1), max_size=3)),
        )
    retired = draw(st.sets(st.tuples(st.integers(1, 65_535), _KIDS), max_size=4))
    return Carried(issuers=issuers, retired=frozenset(retired))  # type: ignore[arg-type]


@given(carried_states())
def test_carried_states_survive_their_encoding(carried: Carried) -> None:
    data = encode_carried(carried)
    assert parse_carried(data) == carried
    assert encode_carried(parse_carried(data)) == data
    for number, issuer in carried.issuers.items():
        assert sorted(issuer.serials()) == sorted(
            (serial, state) for owner, serial, state in carried.serials() if owner == number
        )


GOOD = [2, [[1, 0, 1, 9, 0, [[7, 4]], [[1, [0, 3, 5, 1]], [2, [3, 1]]]]], [[1, bytes(8)]]]
BAD = {
    "no array": 7,
    "too short": [2, []],
    "version 1": [1, [], []],
    "version as text": ["2", [], []],
    "issuers twice": [2, [GOOD[1][0], GOOD[1][0]], []],  # type: ignore[index]
    "issuer of six items": [2, [[1, 0, 1, 9, 0, []]], []],
    "issuer too high": [2, [[65_536, 0, 1, 9, 0, [], []]], []],
    "negative act": [2, [[1, -1, 1, 9, 0, [], []]], []],
    "notice number 0": [2, [[1, 0, 0, 9, 0, [], []]], []],
    "notice number too high": [2, [[1, 0, 65_537, 9, 0, [], []]], []],
    "sizes not rising": [2, [[1, 0, 1, 9, 0, [[7, 4], [7, 5]], []]], []],
    "size of a list of one": [2, [[1, 0, 1, 9, 0, [[7]], []]], []],
    "state 0": [2, [[1, 0, 1, 9, 0, [], [[0, [1, 1]]]]], []],
    "state 6": [2, [[1, 0, 1, 9, 0, [], [[len(STATES), [1, 1]]]]], []],
    "states not rising": [2, [[1, 0, 1, 9, 0, [], [[2, [1, 1]], [1, [3, 1]]]]], []],
    "no run": [2, [[1, 0, 1, 9, 0, [], [[1, []]]]], []],
    "half a run": [2, [[1, 0, 1, 9, 0, [], [[1, [1]]]]], []],
    "empty run": [2, [[1, 0, 1, 9, 0, [], [[1, [1, 0]]]]], []],
    "runs that touch": [2, [[1, 0, 1, 9, 0, [], [[1, [1, 2, 3, 1]]]]], []],
    "run over the end": [2, [[1, 0, 1, 9, 0, [], [[1, [2**40 - 1, 2]]]]], []],
    "kid of seven bytes": [2, [], [[1, bytes(7)]]],
    "retired not rising": [2, [], [[2, bytes(8)], [1, bytes(8)]]],
    "retired of issuer 0": [2, [], [[0, bytes(8)]]],
}


@pytest.mark.parametrize("case", BAD)
def test_other_carried_states_are_refused(case: str) -> None:
    assert parse_carried(cbor2.dumps(GOOD, canonical=True))
    with pytest.raises(CarriedError):
        parse_carried(cbor2.dumps(BAD[case], canonical=True))


def test_carried_states_that_could_not_be_read_back_are_not_written() -> None:
    lone = CarriedIssuer(next_act=-1, next_notice=1, next_serial=0, status_time=None, status_sizes={}, runs={})
    with pytest.raises(CarriedError):
        encode_carried(Carried(issuers={1: lone}, retired=frozenset()))
    with pytest.raises(CarriedError):
        parse_carried(cbor2.dumps(GOOD, canonical=True) + b"\x00")
    assert ACT.public_key.kid != AUTHORITY.public_key.kid
