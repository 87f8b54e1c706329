"""Lists from a served log: drawn from verified tiles, byte for byte as the log draws them; a fork stops everything."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from logworld import (
    CREDENTIAL,
    DAY,
    IDENTITY,
    NOW,
    ORIGIN_KEYS,
    STATUS,
    Keys,
    LogWorld,
    act,
    issue,
    key_event,
    keyed,
    notice,
    rounded,
    write_log,
)
from servedoffice import Watched

from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.log.acts import ActType
from mingzheng.log.auditstate import pack_state
from mingzheng.log.client import DirectoryFetcher, FetchError, TileUntrueError
from mingzheng.log.entry import KeyEventType, OriginHead, ShardEntry, StatusEntry, parse_entry
from mingzheng.log.errors import LogError
from mingzheng.log.evidence import SplitView, parse_evidence
from mingzheng.log.followed import FollowedLog, FollowPlan, HeadForkedError, HeadNotNewerError
from mingzheng.log.followstate import MAGIC, CarriedUnknownError, FollowRuleError
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.landmarkmaker import landmark_body
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.log.refusal import IndexNotLoggedError, SubmissionError
from mingzheng.log.rounds import Submission
from mingzheng.log.sequencer import EmbeddedLog
from mingzheng.log.shard import Before
from mingzheng.log.statusmaker import MAX_DRAWS, make_status, status_body
from mingzheng.log.submitclient import AnswerUntrueError


class Sending:
    """Submits into a log; `between`: what its issuer does just before each submission."""

    def __init__(self, log: EmbeddedLog) -> None:
        self.log, self.between = log, list[bytes]()

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        if self.between:
            self.log.submit(keyed([self.between.pop(0)]), now=now)
        return self.log.submit(submissions, now=now)


class Scene:
    """A log with acts of every kind, and a follower of its files."""

    def __init__(self, world: LogWorld) -> None:
        self.world, self.log = world, world.create()
        world.submit(self.log, *(issue(serial) for serial in range(600)))
        world.submit(self.log, act(0, ActType.SUSPEND, [1, 2]), act(1, ActType.REVOKE, [2, 3]), notice(2))
        world.submit(self.log, act(3, ActType.VOID, [700]), act(4, ActType.SUPERSEDE, [4]), issue(5, issuer=2))
        self.files, self.sending, self.closed = Watched(world.public), Sending(self.log), 0
        self.waits: list[float] = []
        self.state = world.root / "followed" / "7.state"

    def follower(self, **changes: object) -> FollowedLog:
        plan = FollowPlan(
            fetcher=self.files,
            keys=ORIGIN_KEYS,
            act_keys=Keys(),
            issuers=frozenset({1, 2}),
            state=self.state,
            pause=self.waits.append,
        )
        return FollowedLog(replace(plan, **changes), lambda: self.sending, close=self._count)  # type: ignore[arg-type]

    def _count(self) -> None:
        self.closed += 1


@pytest.fixture
def scene(world: LogWorld) -> Scene:
    return Scene(world)


def _same(followed: FollowedLog, log: EmbeddedLog, now: int = NOW + 9) -> None:
    assert followed.head() == log.head()
    for issuer in (1, 2, 3):
        assert status_body(followed, issuer, now=now) == status_body(log, issuer, now=now)
    assert landmark_body(followed, now=now) == landmark_body(log, now=now)
    assert list(followed.rounds()) == list(log.rounds())
    assert followed.checkpoint() == log.checkpoint()
    assert followed.frozen_heads() == log.frozen_heads()


def test_lists_are_those_that_the_log_draws_itself(scene: Scene) -> None:
    followed = scene.follower()
    _same(followed, scene.log)
    assert status_body(followed, 1, now=NOW).void == (700,)
    made = make_status(followed, 1, signer=STATUS, now=scene.world.now)
    entry = scene.log.reader().entry(made.index)
    proof = parse_tlog_proof(made.full_receipt)
    verify_full_receipt(proof, leaf_hash(entry), vkey=ORIGIN_KEYS.vkey, origin=ORIGIN_KEYS.name)
    assert made.full_receipt == scene.log.full_receipt(made.index)
    _same(followed, scene.log)
    scene.world.submit(scene.log, act(5, ActType.REINSTATE, [1]), issue(800))
    _same(scene.follower(), scene.log)
    followed.close()
    assert scene.closed == 1


def test_a_run_reads_only_what_is_new(scene: Scene) -> None:
    scene.follower().head()
    assert scene.files.bundles() == 3
    followed = scene.follower()
    followed.head()
    assert scene.files.bundles() == 0
    scene.world.submit(scene.log, act(5, ActType.REINSTATE, [1]))
    followed.head()
    assert scene.files.bundles() == 1
    followed.full_receipt(3)
    followed.issuer_row(1)
    assert scene.files.bundles() == 0


@pytest.mark.parametrize("damage", ["gone", "torn", "flipped", "empty", "other log", "other issuers"])
def test_a_state_that_is_lost_or_damaged_costs_a_run_from_the_start(scene: Scene, damage: str) -> None:
    scene.follower(issuers=frozenset({1} if damage == "other issuers" else {1, 2})).head()
    scene.files.bundles()
    data = scene.state.read_bytes()
    if damage == "gone":
        scene.state.unlink()
    elif damage == "other log":
        assert data
        scene.follower(keys=replace(ORIGIN_KEYS, number=8)).head()
        scene.files.bundles()
        keys = replace(ORIGIN_KEYS, vkey=replace(IDENTITY, origin_name="x/y").vkey(), name="x/y")
        with pytest.raises((KeysError, LogError)):
            scene.follower(keys=keys).head()
        scene.state.unlink()
    elif damage != "other issuers":
        changed = {"torn": data[:-5], "flipped": data[:-1] + bytes([data[-1] ^ 1]), "empty": b""}
        scene.state.write_bytes(changed[damage])
    followed = scene.follower()
    _same(followed, scene.log)
    assert scene.files.bundles() >= 3


def test_an_empty_log_is_followed(world: LogWorld) -> None:
    log = world.create()
    plan = FollowPlan(
        fetcher=DirectoryFetcher(world.public),
        keys=ORIGIN_KEYS,
        act_keys=Keys(),
        issuers=frozenset({1}),
        state=world.root / "s",
    )
    followed = FollowedLog(plan, lambda: log, close=lambda: None)
    assert followed.head() == log.head()
    assert status_body(followed, 1, now=NOW) == status_body(log, 1, now=NOW)
    with pytest.raises(IndexNotLoggedError):
        followed.full_receipt(0)
    assert make_status(followed, 1, signer=STATUS, now=NOW).index == 0


def test_an_older_head_is_refused(scene: Scene) -> None:
    old = {"checkpoint": scene.log.checkpoint()}
    scene.follower().head()
    kept = scene.state.read_bytes()
    scene.world.submit(scene.log, issue(900))
    followed = scene.follower()
    followed.head()
    newer = scene.state.read_bytes()
    assert newer != kept
    scene.files.change = lambda path, data: old.get(path, data)
    for reader in (followed, scene.follower()):
        with pytest.raises(HeadNotNewerError):
            reader.head()
        with pytest.raises(HeadNotNewerError):
            make_status(reader, 1, signer=STATUS, now=NOW)
    assert scene.state.read_bytes() == newer
    scene.files.change = lambda _path, data: data
    assert followed.head() == scene.log.head()


@pytest.mark.parametrize("more", [0, 1])
def test_a_fork_is_refused_and_its_proof_is_kept(scene: Scene, tmp_path: Path, more: int) -> None:
    scene.follower().head()
    size = scene.log.head()[0]
    entries = [entry for _index, entry in scene.log.reader().entries(0, size)]
    entries[7] = issue(10_007)
    write_log(tmp_path / "fork", [*entries, *rounded([issue(11_000)], now=NOW + 99) * more])
    scene.files = Watched(tmp_path / "fork")
    with pytest.raises(HeadForkedError) as caught:
        scene.follower().head()
    files = list((scene.state.parent / "7.state.evidence").iterdir())
    assert len(files) == 1
    assert files[0].name in str(caught.value)
    evidence = parse_evidence(files[0].read_bytes())
    assert isinstance(evidence, SplitView) is (more == 0)


def test_bad_tiles_and_bundles_are_refused_and_nothing_is_kept(scene: Scene) -> None:
    for part in ("tile/entries/000", "tile/0/001"):
        scene.files.change = (
            lambda path, data, part=part: (  # type: ignore[misc]
                data[:40] + bytes([data[40] ^ 1]) + data[41:] if path == part else data
            )
        )
        with pytest.raises(TileUntrueError):
            scene.follower().head()
        assert not scene.state.exists()

    def gone(path: str, data: bytes) -> bytes:
        raise FetchError(path, "is missing")

    scene.files.change = gone
    with pytest.raises(FetchError):
        scene.follower().head()


def test_failing_half_way_takes_no_entry_twice(scene: Scene) -> None:
    followed = scene.follower()
    followed.head()
    scene.world.submit(scene.log, *(issue(serial) for serial in range(1_000, 1_500)))
    left = [2]

    def fail(path: str, data: bytes) -> bytes:
        if path.startswith("tile/entries/"):
            left[0] -= 1
            if not left[0]:
                raise FetchError(path, "broke off")
        return data

    scene.files.change = fail
    with pytest.raises(FetchError):
        followed.head()
    _same(followed, scene.log)


FORGED = act(0, ActType.REVOKE, [0], key=CREDENTIAL)


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (FORGED, "rule.act_signature"),
        (act(1, ActType.REVOKE, [0]), "rule.act_number"),
        (act(0, ActType.REVOKE, [9]), "rule.serial_order"),
        (issue(0), "rule.serial_order"),
        (issue(1, kid=Kid(b"unknown!")), "rule.unknown_key"),
        (b"\x00", "entry.malformed"),
    ],
    ids=["forged act", "act number", "unknown serial", "serial twice", "unknown key", "malformed"],
)
def test_entries_that_break_the_rules_are_no_base_for_a_list(world: LogWorld, entry: bytes, rule: str) -> None:
    scene = Scene(world)
    write_log(world.root / "crooked", rounded([issue(0)], [entry]))
    scene.files = Watched(world.root / "crooked")
    with pytest.raises(FollowRuleError) as caught:
        scene.follower().head()
    assert (caught.value.index, caught.value.rule) == (2, rule)
    assert not scene.state.exists()


def test_what_others_and_later_days_say_stops_no_list(world: LogWorld) -> None:
    """Another office's issuer is its own business; a key that is called stolen by now was good when it signed."""
    scene = Scene(world)
    log = scene.log
    world.submit(log, key_event(5, KeyEventType.COMPROMISED, CREDENTIAL.public_key.kid, 0))
    write_log(world.root / "two", rounded([issue(0)], [issue(1, issuer=9)], [issue(1, issuer=9)]))
    keys = Keys()
    keys.of = {
        kid: replace(record, compromised={7: 0}, valid_until=DAY - 1, kinds=frozenset({3}))
        for kid, record in keys.of.items()
    }
    assert scene.follower(act_keys=keys).head() == log.head()
    scene.files, scene.state = Watched(world.root / "two"), world.root / "two.state"
    assert scene.follower().issuer_row(1).next_serial == 1


@pytest.mark.parametrize("between", [0, MAX_DRAWS - 1, MAX_DRAWS])
def test_a_list_is_drawn_again_if_its_issuer_acted_meanwhile(scene: Scene, between: int) -> None:
    scene.sending.between = [act(5 + number, ActType.VOID, [1_000 + number]) for number in range(between)]
    followed, now = scene.follower(), scene.world.now
    if between == MAX_DRAWS:
        with pytest.raises(SubmissionError) as caught:
            make_status(followed, 1, signer=STATUS, now=now)
        assert caught.value.reason == "rule.status_incomplete"
    else:
        made = make_status(followed, 1, signer=STATUS, now=now)
        assert made.body.void == (700, *range(1_000, 1_000 + between))
        assert isinstance(parse_entry(scene.log.reader().entry(made.index)), StatusEntry)


def test_an_entry_that_is_another_in_the_log_has_no_receipt(scene: Scene) -> None:
    followed = scene.follower()
    followed._submitter = type("Lying", (), {"submit": lambda *_args, **_named: (3,)})  # names what is not there
    with pytest.raises(AnswerUntrueError):
        make_status(followed, 1, signer=STATUS, now=NOW)
    with pytest.raises(IndexNotLoggedError):
        followed.full_receipt(100_000)


def test_a_log_that_goes_on_from_a_closed_one_needs_what_was_carried_over(world: LogWorld, tmp_path: Path) -> None:
    log = world.create()
    world.submit(log, issue(0), issue(1))
    world.submit(log, act(0, ActType.REVOKE, [1]))
    log.close_for(8, now=NOW + 9)
    carry = log.carry()
    identity = replace(IDENTITY, origin_number=8, origin_name="log.example.cn/2")
    keys = Keys()
    keys.of = {kid: replace(record, origins=frozenset({7, 8})) for kid, record in keys.of.items()}
    new = EmbeddedLog.create(tmp_path / "new", identity, act_keys=keys, memory_dir=None, carry=carry)
    new.begin_shard(now=NOW + 10)
    before = Before(heads=_heads(new), carried=carry.blob)
    plan = FollowPlan(
        fetcher=DirectoryFetcher(tmp_path / "new" / "public"),
        keys=replace(ORIGIN_KEYS, number=8, name="log.example.cn/2", vkey=identity.vkey()),
        act_keys=keys,
        issuers=frozenset({1}),
        state=tmp_path / "s",
    )
    with pytest.raises(CarriedUnknownError):
        FollowedLog(plan, lambda: new, close=lambda: None).head()
    for _run in range(2):
        followed = FollowedLog(replace(plan, before=before), lambda: new, close=lambda: None)
        body = status_body(followed, 1, now=NOW + 11)
        assert body == status_body(new, 1, now=NOW + 11)
        assert (body.revoked, [head.origin for head in body.origins]) == ((1,), [7, 8])
    with pytest.raises(CarriedUnknownError):
        FollowedLog(plan, lambda: new, close=lambda: None).head()
    with pytest.raises(FollowRuleError):
        other = replace(before, heads=(before.heads[0]._replace(size=2),))
        FollowedLog(replace(plan, before=other), lambda: new, close=lambda: None).head()
    new.close()


def _heads(log: EmbeddedLog) -> tuple[OriginHead, ...]:
    entry = parse_entry(log.reader().entry(0))
    assert isinstance(entry, ShardEntry)
    return entry.origins


@pytest.mark.parametrize("behind", [0, 1, 3, 4])
def test_a_server_whose_clock_is_a_little_behind_is_asked_again(scene: Scene, behind: int) -> None:
    now, left = scene.world.now, [behind]

    class Behind:
        def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
            left[0] -= 1
            return scene.log.submit(submissions, now=now if left[0] < 0 else now - 1)

    scene.world.now += 1
    scene.sending = Behind()  # type: ignore[assignment]
    followed = scene.follower()
    if behind == 4:
        with pytest.raises(SubmissionError) as caught:
            make_status(followed, 1, signer=STATUS, now=now + 1)
        assert caught.value.reason == "rule.status_clock"
    else:
        assert make_status(followed, 1, signer=STATUS, now=now + 1).body.this_update == now + 1
    assert scene.waits == [1.0, 2.0, 4.0][:behind]


@pytest.mark.parametrize("stale", [1, 3, 4])
def test_a_head_that_a_cache_holds_for_a_moment_is_waited_for(scene: Scene, stale: int) -> None:
    """A cache before the server shows the head of a second ago; whoever shows it for longer is refused."""
    followed = scene.follower()
    followed.head()
    old, left = scene.log.checkpoint(), [0]

    def cached(path: str, data: bytes) -> bytes:
        if path != "checkpoint" or left[0] == 0:
            return data
        left[0] -= 1
        return old

    scene.files.change = cached
    (index,) = followed.submit(keyed([issue(2_000)]), now=scene.world.now)
    left[0] = stale
    if stale == 4:
        with pytest.raises(IndexNotLoggedError):
            followed.full_receipt(index)
    else:
        assert followed.full_receipt(index) == scene.log.full_receipt(index)
    assert scene.waits == [1.0, 2.0, 4.0][:stale]


def test_a_state_of_this_form_that_no_run_wrote_is_not_taken_up(scene: Scene) -> None:
    scene.state.parent.mkdir()
    for value in ({}, {"rules": 1, "begins": None, "following": [1, 2], "issuers": [[1]]}):
        scene.state.write_bytes(pack_state(MAGIC, value))
        _same(scene.follower(), scene.log)


def test_what_is_remembered_of_tiles_has_an_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.log.followed._KEPT_TILES", 1)
    _same(scene.follower(), scene.log)
