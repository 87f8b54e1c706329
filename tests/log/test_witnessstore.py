"""What a witness remembers survives every stop, and it never signs a fork or a smaller tree."""

import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FULL
from witnessworld import LOG_KEY, LOG_VKEY, MAIN, NOW, ORIGIN, Branch, WitnessWorld, cosigner, signer

from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import NoteSignerError
from mingzheng.keys.note import cosign_line, open_note, parse_note
from mingzheng.keys.vkey import cosigner_vkey, vkey_for
from mingzheng.log.checkpoint import parse_checkpoint
from mingzheng.log.errors import RootMismatchError
from mingzheng.log.proof import verify_consistency
from mingzheng.log.witness import Seen
from mingzheng.log.witnessnode import WitnessNode
from mingzheng.log.witnessstore import (
    DATABASE,
    INSTANCE,
    WitnessAnchorError,
    WitnessCopiedError,
    WitnessExistsError,
    WitnessLogError,
    WitnessMissingError,
    WitnessStore,
)

REQUESTS = 10_000 if FULL else 500
ED = cosigner("w1", Alg.ED25519)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[WitnessWorld]:
    made = WitnessWorld(tmp_path / "w", cosigner=ED)
    yield made
    made.store.close()


def test_remembers_over_restarts(world: WitnessWorld) -> None:
    assert world.add(MAIN.request(0, 5))[0] == 200
    before = world.store.seen(ORIGIN)
    world.restart()
    assert world.store.seen(ORIGIN) == before
    assert world.store.logs() == [ORIGIN]
    assert world.store.log_vkeys(ORIGIN) == (LOG_VKEY,)
    assert world.add(MAIN.request(0, 6)) == (409, b"5\n")
    assert world.add(MAIN.request(5, 6))[0] == 200


def test_what_is_committed_is_on_disk(world: WitnessWorld) -> None:
    """A power cut must not make it forget what it answered: WAL, and COMMIT waits for the disk (FULL, 2)."""
    ask = world.store._connection.execute
    assert (ask("PRAGMA journal_mode").fetchone(), ask("PRAGMA synchronous").fetchone()) == (("wal",), (2,))


def test_an_older_build_s_files_and_strangers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WitnessMissingError):
        WitnessStore(tmp_path)
    (tmp_path / DATABASE).write_bytes(b"not a database at all, just some bytes" * 40)
    with pytest.raises(WitnessMissingError):
        WitnessStore(tmp_path)
    (tmp_path / DATABASE).unlink()
    sqlite3.connect(tmp_path / DATABASE).close()
    (tmp_path / DATABASE).touch()
    with pytest.raises(WitnessMissingError):
        WitnessStore(tmp_path)
    world = WitnessWorld(tmp_path / "w", cosigner=ED)
    with pytest.raises(WitnessExistsError):
        WitnessStore.create(world.directory, name=ED.name, vkeys=ED.vkeys)
    world.store.close()
    connection = sqlite3.connect(world.directory / DATABASE)
    connection.execute("UPDATE witness SET schema = 99")
    connection.commit()
    connection.close()
    with pytest.raises(WitnessMissingError, match="schema"):
        WitnessStore(world.directory)


def test_only_its_own_keys_sign(world: WitnessWorld) -> None:
    for other in (cosigner("w2", Alg.ED25519), cosigner("w1"), cosigner("w1", Alg.ML_DSA_44)):
        with pytest.raises(NoteSignerError):
            WitnessNode(world.store, other)


def test_which_logs_can_be_witnessed(world: WitnessWorld) -> None:
    with pytest.raises(WitnessLogError):
        world.store.add_log(cosigner_vkey("x", LOG_KEY.public_key), origin="x")
    for origin in ("", "a\nb", "日" * 86):
        with pytest.raises(WitnessLogError):
            world.store.add_log(LOG_VKEY, origin=origin)
    with pytest.raises(WitnessLogError):
        world.store.add_log(vkey_for("x", signer("w1 ED25519").public_key), origin="x")
    world.store.add_log(LOG_VKEY, origin="日" * 85)
    world.store.add_log(LOG_VKEY, origin=ORIGIN)
    assert world.store.log_vkeys(ORIGIN) == (LOG_VKEY,)


# --- copies and backups


def test_a_copy_signs_nothing_until_it_is_told_the_newest_head(world: WitnessWorld, tmp_path: Path) -> None:
    _, three = world.add(MAIN.request(0, 3))
    shutil.copytree(world.directory, tmp_path / "backup")
    _, nine = world.add(MAIN.request(3, 9))
    world.store.close()
    with pytest.raises(WitnessCopiedError):
        WitnessStore(tmp_path / "backup")
    store = WitnessStore(tmp_path / "backup", allow_copy=True)
    seen = store.seen(ORIGIN)
    assert seen is not None
    assert seen.size == 3
    with pytest.raises(WitnessAnchorError, match="needed"):
        store.adopt([], as_remembered=["another log"])
    with pytest.raises(WitnessCopiedError):
        WitnessStore(tmp_path / "backup")
    store.adopt([MAIN.note(9) + nine, MAIN.note(3) + three], as_remembered=[])
    store.close()
    store = WitnessStore(tmp_path / "backup")
    node = WitnessNode(store, ED)
    assert node.handle("POST", "/add-checkpoint", MAIN.request(3, 5), now=NOW + 9).body == b"9\n"
    assert node.handle("POST", "/add-checkpoint", MAIN.request(9, 10), now=NOW + 9).status == 200
    store.close()


def test_without_its_instance_file_it_is_a_copy(world: WitnessWorld) -> None:
    world.store.close()
    (world.directory / INSTANCE).unlink()
    with pytest.raises(WitnessCopiedError):
        WitnessStore(world.directory)
    store = WitnessStore(world.directory, allow_copy=True)
    store.adopt([], as_remembered=[ORIGIN])
    store.close()
    WitnessStore(world.directory).close()


def test_anchors_are_heads_it_cosigned(world: WitnessWorld) -> None:
    _, body = world.add(MAIN.request(0, 4))
    other = cosigner("w2", Alg.ED25519)
    text = MAIN.note(4).split(b"\n\n")[0].decode() + "\n"
    fork = Branch("fork", 1)
    forked = fork.note(4).split(b"\n\n")[0].decode() + "\n"
    for bad in (
        b"",
        MAIN.note(4),  # its log's alone
        text.encode() + b"\n" + body,  # its own alone
        MAIN.note(4) + other.cosign(text, time=1).encode(),
        MAIN.note(4) + cosign_line(ED.name, signer("w1 ED25519"), text=text, timestamp=0).encode(),
        Branch(origin="else").note(4, LOG_KEY) + body,
        fork.note(4) + ED.cosign(forked, time=1).encode(),  # a fork at the size it remembers
    ):
        with pytest.raises(WitnessAnchorError):
            world.store.adopt([bad], as_remembered=[ORIGIN])
    assert world.store.seen(ORIGIN) is not None


def test_anchors_that_contradict_each_other_are_refused(world: WitnessWorld) -> None:
    fork = Branch("fork", 1)
    both = [branch.note(4) + ED.cosign(parse_note(branch.note(4)).text, time=1).encode() for branch in (MAIN, fork)]
    with pytest.raises(WitnessAnchorError, match="two roots"):
        world.store.adopt(both, as_remembered=[])
    assert world.store.seen(ORIGIN) is None


def test_an_anchor_of_an_earlier_time_does_not_set_the_clock_back(world: WitnessWorld) -> None:
    world.add(MAIN.request(0, 4))
    before = world.store.seen(ORIGIN)
    old = MAIN.note(4) + ED.cosign(parse_note(MAIN.note(4)).text, time=1).encode()
    world.store.adopt([old], as_remembered=[])
    assert world.store.seen(ORIGIN) == before


def test_a_commit_that_fails_answers_nothing_and_the_next_request_is_served(world: WitnessWorld) -> None:
    class Failing:
        def __init__(self, real: sqlite3.Connection) -> None:
            self.real, self.fails = real, 1

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

        def execute(self, query: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
            if query == "COMMIT" and self.fails:
                self.fails -= 1
                raise sqlite3.OperationalError("database or disk is full")
            return self.real.execute(query, values)

    world.store._connection = Failing(world.store._connection)  # type: ignore[assignment]
    with pytest.raises(sqlite3.OperationalError):
        world.add(MAIN.request(0, 4))
    assert world.store.seen(ORIGIN) is None
    assert world.add(MAIN.request(0, 5))[0] == 200


# --- many at once, and stops anywhere


def test_two_requests_at_once_do_not_roll_it_back(world: WitnessWorld) -> None:
    """Eight threads race from one old size to different new ones, ten times: one wins each, the others hear 409."""
    size = 0
    for _ in range(10):
        results: list[tuple[int, bytes]] = []
        bodies = [MAIN.request(size, size + step) for step in range(1, 9)]

        def run(body: bytes, into: list[tuple[int, bytes]] = results) -> None:
            answer = world.node.handle("POST", "/add-checkpoint", body, now=NOW + 100)
            into.append((answer.status, answer.body))

        threads = [threading.Thread(target=run, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _ in results) == [200] + [409] * 7
        seen = world.store.seen(ORIGIN)
        assert seen is not None
        assert seen.size > size
        size = seen.size


class Killed(BaseException):
    """The process is gone."""


class MortalStore(WitnessStore):
    """Dies at a chosen step of an update: on reading, before or after writing, after COMMIT but before the reply."""

    die_at = ""

    def _step(self, name: str) -> None:
        if self.die_at == name:
            raise Killed(name)

    def _seen(self, origin: str) -> Seen | None:
        self._step("read")
        return super()._seen(origin)

    def _write(self, origin: str, before: Seen | None, after: Seen) -> None:
        self._step("before write")
        super()._write(origin, before, after)
        self._step("after write")


STEPS = ("", "", "", "", "", "read", "before write", "after write", "after commit")


class Witnessed:
    """Everything that ever left the witness, and the promise about it."""

    def __init__(self) -> None:
        self.heads: list[tuple[int, Branch]] = []

    def take(self, world: WitnessWorld, note: bytes, body: bytes, branch: Branch) -> None:
        opened = open_note(note + body, [LOG_VKEY, *world.vkeys()])
        assert {good.vkey for good in opened.verified} == {LOG_VKEY, *world.vkeys()}
        head = parse_checkpoint(opened.text)
        assert head.root == branch.root(head.size)
        if self.heads:
            size, other = self.heads[-1]
            assert head.size >= size, "a smaller tree was cosigned"
            if size:
                try:
                    verify_consistency(branch.prove(size, head.size), other.root(size), head.root)
                except RootMismatchError:
                    raise AssertionError(f"a fork was cosigned at {head.size}") from None
        self.heads.append((head.size, branch))


def test_random_requests_with_restarts_never_cosign_a_fork_or_a_smaller_tree(tmp_path: Path) -> None:
    """500 requests by default, 10,000 at full counts: honest, stale, forks, wrong proofs; stops at every step."""
    seed = 20_261_121
    chance = random.Random(seed)
    world = WitnessWorld(tmp_path / "w", cosigner=ED, maker=MortalStore)
    branches = [MAIN, *(Branch(f"b{number}", fork) for number, fork in enumerate((0, 1, 2, 3, 7, 8, 20, 64, 200)))]
    witnessed, counts = Witnessed(), dict.fromkeys((200, 400, 409, 422, "killed"), 0)
    for _ in range(REQUESTS):
        seen = world.store.seen(ORIGIN)
        latest = 0 if seen is None else seen.size
        branch = MAIN if chance.random() < 0.4 else chance.choice(branches)
        new = max(0, latest + chance.choice((0, 0, 1, 1, 2, 3, 5, 17, -1, -7)))
        old = latest if chance.random() < 0.7 else chance.randrange(new + 2)
        body, note = branch.request(old, new), branch.note(new)
        if chance.random() < 0.1:
            other = chance.choice(branches)  # a proof of one history for the head of another
            body = other.request(old, new, note=note)
        step = chance.choice(STEPS)
        MortalStore.die_at = step
        try:
            status, answer = world.add(body)
        except Killed:
            status, answer = 0, b""
        MortalStore.die_at = ""
        if status == 0 or (step == "after commit" and status == 200):
            counts["killed"] += 1  # nothing left the process; what was committed stays
            _die(world)
            continue
        counts[status] += 1
        if status == 200:
            witnessed.take(world, note, answer, branch)
        if chance.random() < 0.02:
            world.restart()
    world.store.close()
    print(f"seed={seed} requests={REQUESTS} answers={counts} size={witnessed.heads[-1][0]}")
    assert min(counts.values()) > 0
    assert len(witnessed.heads) > REQUESTS // 10


def _die(world: WitnessWorld) -> None:
    """As after SIGKILL: an open transaction is lost, a committed one is not."""
    world.restart()
    assert world.store.log_vkeys(ORIGIN)


def test_the_promise_is_one_that_can_fail(tmp_path: Path) -> None:
    """Control: a witness that answers before it remembers cosigns a fork in the same kind of run."""

    class Forgetful(MortalStore):
        def _write(self, origin: str, before: Seen | None, after: Seen) -> None:
            return

    world = WitnessWorld(tmp_path / "w", cosigner=ED, maker=Forgetful)
    witnessed = Witnessed()
    fork = Branch("fork", 2)
    for branch in (MAIN, fork):
        status, answer = world.add(branch.request(0, 9))
        assert status == 200
        if branch is fork:
            with pytest.raises(AssertionError, match="a fork was cosigned"):
                witnessed.take(world, branch.note(9), answer, branch)
        else:
            witnessed.take(world, branch.note(9), answer, branch)
    world.store.close()
