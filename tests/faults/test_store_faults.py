"""Kill the signer between any two calls of its storage, before or after each took effect; then again while it recovers.

In memory every call of Store and State is a point. With PostgreSQL and an S3 server the points are the statements and
requests themselves: a connection that is lost before or after COMMIT, an answer that is lost before or after the
object was put, a store that says 500 or 503. Promises: what was acknowledged stays where it is, every checkpoint ever
published is a head of the final tree, fsck is clean, asking again gives the same indexes.
"""

import http.client
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import FULL
from logstores import CloudWorld, Memory, MemoryWorld, Rows
from logworld import IDENTITY, NAME, RECEIPT, act, issue, keyed, notice

from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.receipt import parse_compact_receipt, verify_compact_receipt
from mingzheng.log.refusal import LogMissingError
from mingzheng.log.writer import Log

DOUBLES = 1_000 if FULL else 40
EVERY_CLOUD = 1 if FULL else 9

BATCHES: tuple[tuple[bytes, ...], ...] = (
    (issue(0), issue(1), issue(2)),
    tuple(issue(serial) for serial in range(3, 262)),
    (act(0, ActType.REVOKE, [0]), act(1, ActType.SUSPEND, [5, 6]), notice(2), issue(300)),
)
EXPECTED = 4 + 260 + 6


class Killed(BaseException):
    """The process ends here; nothing catches it."""


class Trial:
    """One world and what was promised about it."""

    def __init__(self, world: MemoryWorld | CloudWorld) -> None:
        self.world = world
        self.acknowledged: dict[bytes, int] = {}
        self.published: set[bytes] = set()

    def run(self) -> None:
        """Create or open, submit every batch; note each promise when it is made."""
        log = self.open()
        for number, batch in enumerate(BATCHES):
            indexes = log.submit(keyed(batch), now=self.world.now + number)
            for entry, index in zip(batch, indexes, strict=True):
                assert self.acknowledged.setdefault(entry, index) == index
            self.published.add(log.checkpoint())
            log.compact_receipt(0)
        log.close()

    def open(self) -> Log:
        try:
            return self.world.open(take_over=True)
        except LogMissingError:
            return self.world.create()

    def look(self) -> None:
        """What a reader sees now is published for good."""
        note = self.world.published()
        if note is not None:
            self.published.add(note)

    def check(self) -> None:
        """Finish the work, undisturbed, and hold every promise against the result."""
        self.look()
        self.run()
        log = self.open()
        assert log.head()[0] == EXPECTED
        entries = [data for _index, data in log.reader().entries(0, EXPECTED)]
        for entry, index in self.acknowledged.items():
            assert entries[index] == entry
        leaves = [leaf_hash(data) for data in entries]
        for note in {*self.published, log.checkpoint()}:
            head = open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=NAME)
            assert root_of(leaves[: head.size]) == head.root
        index = self.acknowledged[issue(300)]
        receipt = parse_compact_receipt(log.compact_receipt(index))
        verify_compact_receipt(receipt, leaf_hash(issue(300)), key=RECEIPT.public_key, block_height=4)
        log.close()
        assert self.world.fsck().faults == ()
        self.world.close()


# --- in memory: every call


def _die_at(trial: Trial, point: int) -> str | None:
    """Run until call number `point` (before: even, after: odd) and die there; its name, None if it was not reached."""
    assert isinstance(trial.world, MemoryWorld)
    there, count, died = trial.world.there, -1, None

    def hook(name: str, when: str) -> None:
        nonlocal count, died
        count += 1
        if count == point:
            died = f"{name} {when}"
            raise Killed

    there.hook = hook
    try:
        trial.run()
    except Killed:
        there.holder = None  # the session ends with the process
    finally:
        there.hook = lambda _name, _when: None
    trial.look()
    return died


def _memory_trial(tmp_path: Path, number: int) -> Trial:
    return Trial(MemoryWorld(root=tmp_path / str(number)))


def test_killed_between_any_two_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = []
    for point in range(10_000):
        trial = _memory_trial(tmp_path, point)
        name = _die_at(trial, point)
        trial.check()
        if name is None:
            break
        names.append(name)
    assert len(names) >= 40
    assert {name.split()[0] for name in names} == {
        *("initialise", "commit_round", "put", "store_note", "publish", "remove", "set_cleaned")
    }
    with capsys.disabled():
        print(f"\nmemory: {len(names)} kills, no promise broken")


def test_killed_again_while_recovering(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(5)
    both = 0
    for number in range(DOUBLES):
        trial = _memory_trial(tmp_path, number)
        _die_at(trial, chance.randrange(60))
        both += _die_at(trial, chance.randrange(16)) is not None
        trial.check()
    assert both >= DOUBLES * 3 // 5
    with capsys.disabled():
        print(f"\nmemory: {both} double kills, no promise broken")


def test_a_control_that_acknowledges_before_the_commit_is_durable_fails(tmp_path: Path) -> None:
    """The state forgets its last transaction at the kill, as a server with fsync off may."""
    broken = 0
    for number in range(5):
        trial = _memory_trial(tmp_path, number)
        assert isinstance(trial.world, MemoryWorld)
        _forget_a_commit(trial, trial.world.there)
        try:
            trial.check()
        except (AssertionError, LogError):
            broken += 1
    assert broken == 5


def _forget_a_commit(trial: Trial, there: Memory) -> None:
    kept: list[Rows] = []

    def hook(name: str, when: str) -> None:
        if name == "commit_round" and when == "before":
            assert there.rows is not None
            kept.append(there.rows.clone())

    there.hook = hook
    trial.run()
    there.hook = lambda _name, _when: None
    there.rows, there.holder = kept[-1], None


# --- PostgreSQL and an S3 server: every statement and request


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Callable[[], Trial]]:
    made: list[CloudWorld] = []

    def make() -> Trial:
        made.append(CloudWorld(root=tmp_path / str(len(made))))
        return Trial(made[-1])

    yield make
    for world in made:
        world.close()


class Faults:
    """Counts statements, commits and requests that change something; at one of them the connection is lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import psycopg

        from mingzheng.log.s3 import S3Client

        self.count, self.point, self.late, self.names = -1, -1, False, list[str]()
        once, execute = S3Client._once, psycopg.Connection.execute
        commit = psycopg.Transaction._commit_gen

        def request(client: S3Client, request: object) -> object:
            if request.method == "GET":  # type: ignore[attr-defined]
                return once(client, request)  # type: ignore[arg-type]
            return self._at(
                request.method,  # type: ignore[attr-defined]
                lambda: once(client, request),  # type: ignore[arg-type]
                lambda: http.client.RemoteDisconnected("cut off"),
            )

        def statement(connection: object, query: object, *rest: object, **named: object) -> object:
            text = query if isinstance(query, str) else query.as_string(None)  # type: ignore[attr-defined]
            call = lambda: execute(connection, query, *rest, **named)  # type: ignore[call-overload] # noqa: E731
            if text.startswith(("SELECT", "SET")) and "FOR UPDATE" not in text:
                return call()
            return self._at(text.split()[0], call, lambda: self._cut(connection))

        def committing(transaction: object) -> object:
            def call() -> object:
                return commit(transaction)  # type: ignore[arg-type]

            return self._generated(transaction, call)

        monkeypatch.setattr(S3Client, "_once", request)
        monkeypatch.setattr(psycopg.Connection, "execute", statement)
        monkeypatch.setattr(psycopg.Transaction, "_commit_gen", committing)

    def _generated(self, transaction: object, call: Callable[[], object]) -> Iterator[object]:
        here = self._here("COMMIT")
        if here and not self.late:
            raise self._cut(transaction.connection)  # type: ignore[attr-defined]
        result = yield from call()  # type: ignore[attr-defined]
        if here:
            raise self._cut(transaction.connection)  # type: ignore[attr-defined]
        return result

    def _here(self, name: str) -> bool:
        self.count += 1
        self.names.append(name)
        return self.count == self.point

    def _at(self, name: str, call: Callable[[], object], error: Callable[[], Exception]) -> object:
        here = self._here(name)
        if here and not self.late:
            raise error()
        result = call()
        if here:
            raise error()
        return result

    @staticmethod
    def _cut(connection: object) -> Exception:
        import psycopg

        connection.close()  # type: ignore[attr-defined]
        return psycopg.OperationalError("the connection is lost")

    def arm(self, point: int, late: bool) -> None:
        self.count, self.point, self.late = -1, point, late
        self.names.clear()


@pytest.mark.postgres
@pytest.mark.s3
def test_connections_lost_at_every_statement_and_request(
    cloud: Callable[[], Trial], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = Faults(monkeypatch)
    cloud().run()
    points = list(faults.names)
    assert points.count("PUT") >= 15
    assert points.count("COMMIT") >= 8
    assert points.count("DELETE") >= 3
    done = felt = 0
    for point in range(0, len(points), EVERY_CLOUD):
        for late in (False, True):
            trial = cloud()
            faults.arm(point, late)
            try:
                trial.run()
            except LogError:
                felt += 1
            finally:
                faults.arm(-1, False)
            trial.world.close()
            trial.check()
            done += 1
    with capsys.disabled():
        print(f"\ncloud: {len(points)} points, {done} lost connections, {felt} stopped the signer, no promise broken")


@pytest.mark.postgres
@pytest.mark.s3
@pytest.mark.parametrize("status", [500, 503])
def test_a_store_that_asks_to_try_again_is_asked_again(
    cloud: Callable[[], Trial], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Every third answer is an error, given before or after the request took effect."""
    from mingzheng.log.s3 import Answer, S3Client

    once, number = S3Client._once, 0

    def flaky(client: S3Client, request: object) -> Answer:
        nonlocal number
        number += 1
        if number % 6 == 0:
            return Answer(status=status, etag="", body=b"")
        answer = once(client, request)  # type: ignore[arg-type]
        return Answer(status=status, etag="", body=b"") if number % 6 == 3 else answer

    monkeypatch.setattr(S3Client, "_once", flaky)
    trial = cloud()
    trial.run()
    monkeypatch.undo()
    trial.check()
    assert number > 30


@pytest.mark.postgres
@pytest.mark.s3
def test_a_store_that_stays_away_stops_the_signer_and_loses_nothing(
    cloud: Callable[[], Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mingzheng.log.s3 import ObjectsUnavailableError, S3Client

    trial = cloud()
    log = trial.open()
    trial.world.submit(log, *BATCHES[0])
    monkeypatch.setattr(S3Client, "_once", lambda *_all: (_ for _ in ()).throw(ConnectionRefusedError()))
    with pytest.raises(ObjectsUnavailableError):
        trial.world.submit(log, *BATCHES[1])
    monkeypatch.undo()
    trial.world.close()
    trial.check()
