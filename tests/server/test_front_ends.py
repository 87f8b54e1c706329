"""Several front ends and one signer on a real database and object store: killed, taken over, full, forged, fenced."""

import contextlib
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cloudservers
import pytest
from conftest import FULL
from frontprogram import started
from logstores import CloudWorld, new_place
from logworld import IDENTITY, ORIGIN_KEYS, issue, keyed
from serverprogram import Server, wait_ready
from serverworld import STRANGER, SUBMIT, SUBMIT_2, posted

from mingzheng.formats.civil import day_of_time
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.queueform import QueueRow
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.log.refusal import FencedError, StateUnavailableError
from mingzheng.log.servernode import HttpRequest
from mingzheng.log.submitclient import RemoteLog, ServerUnreachableError
from mingzheng.log.wake import Wake
from mingzheng.log.writer import Log

if TYPE_CHECKING:
    from mingzheng.log.queuetable import PostgresFeed, PostgresFront

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.server, pytest.mark.postgres, pytest.mark.s3]


def _today(serial: int) -> bytes:
    return issue(serial, day=day_of_time(int(time.time())))


def _remote(server: Server, patience: float = 60.0) -> RemoteLog:
    log = RemoteLog.at(f"http://127.0.0.1:{server.port}", ORIGIN_KEYS, signers={1: SUBMIT, 2: SUBMIT_2})
    log._patience = type(log._patience)(seconds=patience, pause=0.5)
    return log


@dataclass
class Cloud:
    """The world of one module: a log, a signer's memory, processes."""

    world: CloudWorld
    root: Path

    def signer(self, **options: object) -> "contextlib.AbstractContextManager[Server]":
        return started("signer", self.world.place, self.root, memory=str(self.world.memory), **options)

    def front(self, **options: object) -> "contextlib.AbstractContextManager[Server]":
        return started("front", self.world.place, self.root, **options)  # type: ignore[arg-type]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        import psycopg

        with psycopg.connect(self.world.place.database) as connection:
            return connection.execute(query.replace("{s}", self.world.place.schema).encode()).fetchall()

    def told(self) -> str:
        """The last lines of every process, and what the database's sessions do and hold: for a test that waits."""
        tails = [
            f"--- {path.name}\n" + "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
            for path in sorted(self.root.iterdir())
            if path.name.startswith(("signer-", "front-"))
        ]
        sessions = self.rows(
            "SELECT pid, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid), "
            "clock_timestamp() - state_change, left(query, 120) FROM pg_stat_activity WHERE backend_type = "
            "'client backend' AND pid <> pg_backend_pid() ORDER BY pid"
        )
        locks = self.rows(
            "SELECT pid, locktype, relation::regclass::text, mode, granted FROM pg_locks "
            "WHERE pid <> pg_backend_pid() AND (NOT granted OR locktype IN ('advisory', 'tuple', 'transactionid')) "
            "ORDER BY pid"
        )
        return "\n".join([*tails, "--- sessions", *map(str, sessions), "--- locks", *map(str, locks)])

    def do(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.world.place.database) as connection:
            connection.execute(statement.replace("{s}", self.world.place.schema).encode())


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    world = CloudWorld(tmp_path)
    world.create().close()
    yield Cloud(world, tmp_path)
    world.close()


@dataclass
class Writers:
    """Clients that write until told to stop; what they were told."""

    told: dict[bytes, int] = field(default_factory=dict)
    faults: list[BaseException] = field(default_factory=list)
    gave_up: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, server: Server, base: int, *, each: int = 3) -> None:
        thread = threading.Thread(target=self._write, args=(server, base, each))
        self.threads.append(thread)
        thread.start()

    def _write(self, server: Server, base: int, each: int) -> None:
        try:
            with _remote(server) as log:
                for start in itertools.count(base, each):
                    entries = [_today(serial) for serial in range(start, start + each)]
                    try:
                        indexes = log.submit(keyed(entries), now=0)
                    except ServerUnreachableError:
                        self.gave_up += 1
                        return
                    self.told |= dict(zip(entries, indexes, strict=True))
                    if self.stop.is_set():
                        return
        except (LogError, OSError, AssertionError) as error:
            self.faults.append(error)

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(90)
            assert not thread.is_alive()
        assert not self.faults, self.faults


def _check(cloud: Cloud, told: dict[bytes, int]) -> None:
    """Every acknowledged entry where its client was told, once; proved under the signed head; fsck is clean."""
    log = cloud.world.open(take_over=True)
    held = [data for _index, data in log.reader().entries(0, log.head()[0])]
    assert told
    for entry, index in told.items():
        assert held[index] == entry
        assert held.count(entry) == 1 if len(told) < 200 else True
    for entry, index in list(told.items())[:: max(1, len(told) // 20)]:
        proof = parse_tlog_proof(log.full_receipt(index))
        verify_full_receipt(proof, leaf_hash(entry), vkey=IDENTITY.vkey(), origin=IDENTITY.origin_name)
    assert len(set(held) & set(told)) == len(told)
    log.close()
    assert cloud.world.fsck().faults == ()


def test_two_front_ends_eight_clients_and_a_signer_that_is_killed(cloud: Cloud) -> None:
    """Killed in the middle of rounds, or put to sleep and woken after its successor went on: what was in flight is
    answered by a signer that holds the right, or 503."""
    writers = Writers()
    with cloud.front(ready=False) as one, cloud.front(ready=False) as two, contextlib.ExitStack() as signers:
        signer = signers.enter_context(cloud.signer(ready=False))
        for server in (signer, one, two):
            wait_ready(server)
        for number in range(8):
            writers.start((one, two)[number % 2], 100_000 * number)

        def more(count: int = 24) -> None:
            before = len(writers.told)
            _until(
                lambda: len(writers.told) > before + count,
                told=lambda: f"turn {turn}, faults {writers.faults}, gave up {writers.gave_up}\n{cloud.told()}",
            )

        turn = 0
        for turn in range(6 if FULL else 1):
            time.sleep(3.0 if FULL else 0.7)
            _until(lambda: cloud.rows("SELECT count(*) FROM {s}.queue") != [(0,)])  # something is in flight
            asleep = turn % 2 == 1
            signer.process.send_signal(signal.SIGSTOP if asleep else signal.SIGKILL)
            last = signer
            signer = signers.enter_context(cloud.signer(take_over=True, ready=False))
            more()
            if asleep:
                last.process.send_signal(signal.SIGCONT)
                more()
        cloud.do(  # every connection to the queue is cut, the signer's and both front ends'
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mingzheng-queue'"
        )
        more()
        writers.end()
        with _remote(one) as here, _remote(two) as there:
            entries = [_today(900_000)]
            assert here.submit(keyed(entries), now=0) == there.submit(keyed(entries), now=0)
            (index,) = there.submit(keyed(entries), now=0)
            proof = parse_tlog_proof(here.full_receipt(index))
            verify_full_receipt(proof, leaf_hash(entries[0]), vkey=IDENTITY.vkey(), origin=IDENTITY.origin_name)
            assert here.issuer_row(1).next_serial == there.issuer_row(1).next_serial == 900_001
    assert cloud.rows("SELECT count(*) FROM {s}.queue") == [(0,)]
    _check(cloud, writers.told)
    print(f"{len(writers.told)} acknowledged")


def _until(condition: Callable[[], bool], seconds: float = 60, *, told: Callable[[], str] = str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            pytest.fail(f"not within {seconds} s\n{told()}", pytrace=True)
        time.sleep(0.03)


@pytest.mark.skipif(not FULL, reason="a database server of its own, ended four times: half a minute")
def test_a_database_that_crashes_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Ended at once, as in a crash, and started again: rows that waited for no disk may go, answers may not."""
    home = Path(tempfile.mkdtemp(prefix="mingzheng-postgres-"))
    server = cloudservers.start_postgres(home)
    user = home.joinpath("data").owner() if os.geteuid() == 0 else None
    try:
        world = CloudWorld(tmp_path, place=replace(new_place(), database=server.conninfo))
        world.create().close()
        cloud, writers = Cloud(world, tmp_path), Writers()
        with cloud.signer(ready=False) as signer, cloud.front(ready=False) as one, cloud.front(ready=False) as two:
            for process in (signer, one, two):
                wait_ready(process)
            for number in range(8):
                writers.start((one, two)[number % 2], 100_000 * number)
            for _ in range(4):
                time.sleep(2)
                server.process.send_signal(signal.SIGQUIT)
                server.process.wait(30)
                before = len(writers.told)
                server = cloudservers.run_postgres(home, server.port, user)
                _until(lambda before=before: len(writers.told) > before + 24)  # type: ignore[misc]
            writers.end()
        assert cloud.rows("SELECT count(*) FROM {s}.queue") == [(0,)]
        _check(cloud, writers.told)
        world.close()
    finally:
        server.process.send_signal(signal.SIGINT)
        server.process.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def test_a_killed_front_end_loses_nothing_that_the_other_finds_again(cloud: Cloud) -> None:
    slow = {"linger_seconds": 1.0}
    with cloud.front(ready=False) as one, cloud.front(ready=False) as two, cloud.signer(queue=slow):
        for front in (one, two):
            wait_ready(front)
        request = posted(_today(1), created=int(time.time()))
        asking = threading.Thread(target=lambda: _quietly(one, request))
        asking.start()
        _until(lambda: cloud.rows("SELECT count(*) FROM {s}.queue") != [(0,)])
        os.kill(one.process.pid, signal.SIGKILL)
        asking.join(20)
        _until(lambda: cloud.rows("SELECT count(*) FROM {s}.answer") != [(0,)])
        status, _headers, body = two.ask(request.method, request.target, request.body, request.headers)
        assert (status, json.loads(body)["entries"][0]["index"]) == (200, 0)
    _check(cloud, {_today(1): 0})


def _quietly(server: Server, request: HttpRequest) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.ask(request.method, request.target, request.body, request.headers)


def test_a_front_end_alone_promises_nothing(cloud: Cloud) -> None:
    """No signer ever; forged requests; a full queue; another log's queue; then a signer that goes."""
    with cloud.front(ready=False) as front, cloud.front(ready=False, vkey="other+key") as stranger:
        _until(lambda: _code(front) == (503, "log.no_signer"))
        with cloud.signer():
            wait_ready(front)
            for number in range(500 if FULL else 100):
                forged = posted(_today(number), key=STRANGER, created=int(time.time()))
                status, _headers, _body = front.ask(forged.method, forged.target, forged.body, forged.headers)
                assert status == 403
            assert cloud.rows("SELECT count(*), (SELECT count(*) FROM {s}.answer) FROM {s}.queue") == [(0, 0)]
            assert cloud.rows("SELECT last_value, is_called FROM {s}.queue_place_seq") == [(1, False)]  # never used
            _until(lambda: _code(stranger) == (503, "log.wrong_identity"))
        _until(lambda: _code(front) == (503, "log.no_signer"))
        cloud.do("UPDATE {s}.beat SET beat_at = clock_timestamp() + interval '4 seconds', trouble = NULL")
        wait_ready(front)
        cloud.do(
            "INSERT INTO {s}.queue (request, issuer, bundle, entries) "
            "SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 1, '', 256 FROM generate_series(1, 16) AS n"
        )
        request = posted(_today(1), created=int(time.time()))
        status, headers, body = front.ask(request.method, request.target, request.body, request.headers)
        assert (status, headers["Retry-After"], json.loads(body)["code"]) == (503, "1", "server.busy")
        assert cloud.rows("SELECT count(*) FROM {s}.queue WHERE octet_length(bundle) > 0") == [(0,)]


def _code(server: Server) -> tuple[int, str]:
    try:
        status, _headers, body = server.ask("GET", "/readyz")
    except OSError:  # it does not listen yet
        return 0, ""
    return status, json.loads(body).get("reason", "")


# --- the tables alone, without processes


def _epoch(log: Log) -> int:
    epoch = getattr(log, "epoch", None)
    assert isinstance(epoch, int)
    return epoch


def _tables(cloud: Cloud, epoch: int) -> "tuple[PostgresFront, PostgresFeed]":
    feed = cloud.world.place.feed()
    feed.prepare(epoch)
    return cloud.world.place.front(), feed


def _row(number: int) -> QueueRow:
    return QueueRow(request=bytes(15) + bytes([number]), issuer=1, serial=None, bundle=bytes([number]), entries=1)


def test_a_fenced_signer_writes_no_answer_no_beat_and_sweeps_nothing(cloud: Cloud) -> None:
    old = _epoch(cloud.world.open())
    front, feed = _tables(cloud, old)
    front.put(lambda _beat, _load: [_row(1), _row(2)])
    feed.answer(old, {_row(1).request: b"a"})
    new = _epoch(cloud.world.open(take_over=True))
    assert new == old + 1
    for attempt in (
        lambda: feed.answer(old, {_row(2).request: b"b"}),
        lambda: feed.beat(old, vkey="v", trouble=None, alive=True),
        lambda: feed.sweep(old, seconds=0),
        lambda: feed.prepare(old),
    ):
        with pytest.raises(FencedError):
            attempt()
    assert front.answers([_row(1).request, _row(2).request]) == {_row(1).request: b"a"}
    assert front.queued([_row(1).request, _row(2).request]) == {_row(2).request}
    feed.answer(new, {_row(2).request: b"b"})
    assert feed.sweep(new, seconds=600) == 0
    assert feed.sweep(new, seconds=0) == 2
    front.close()
    feed.close()


def test_a_signer_asleep_inside_a_transaction_of_the_queue_is_taken_over(cloud: Cloud) -> None:
    """It holds the row that says who signs until the database ends its session."""
    old = _epoch(cloud.world.open())
    front, feed = _tables(cloud, old)
    front.put(lambda _beat, _load: [_row(1)])
    with pytest.raises(StateUnavailableError), feed._fenced(old):  # woken, it finds its session gone
        new = _epoch(cloud.world.open(take_over=True))
    assert new == old + 1
    feed.close()
    feed = cloud.world.place.feed()
    with pytest.raises(FencedError):
        feed.answer(old, {_row(1).request: b"a"})
    feed.answer(new, {_row(1).request: b"b"})
    assert front.answers([_row(1).request]) == {_row(1).request: b"b"}
    front.close()
    feed.close()


def test_a_front_end_asleep_while_it_inserts_stops_no_other(cloud: Cloud) -> None:
    front, feed = _tables(cloud, _epoch(cloud.world.open()))
    other = cloud.world.place.front()

    def judge(_beat: object, _load: object) -> list[QueueRow]:
        other.put(lambda _beat, _load: [_row(2)])
        return [_row(1)]

    with pytest.raises(StateUnavailableError):
        front.put(judge)
    assert [row.request for row in feed.rows(but=[])] == [_row(2).request]
    for table in (front, feed, other):
        table.close()


def test_rows_come_in_order_of_arrival_and_both_sides_are_woken(cloud: Cloud) -> None:
    epoch = _epoch(cloud.world.open())
    front, feed = _tables(cloud, epoch)
    other, wake = cloud.world.place.front(), Wake()
    for number in range(1, 7):
        (front, other)[number % 2].put(lambda _beat, load, number=number: [_row(number)] * (load.entries < 5))  # type: ignore[misc]
    start = time.monotonic()
    feed.wait(wake, 20.0)
    assert feed.rows(but=[_row(2).request]) == [_row(number) for number in (1, 3, 4, 5)]
    feed.answer(epoch, {_row(1).request: b"a"})
    front.wait(wake, 20.0)
    other.wait(wake, 20.0)
    assert time.monotonic() - start < 15
    beat, load = front.look()
    assert (beat, load.entries, load.size_bytes) == (None, 4, 4)
    feed.beat(epoch, vkey="v", trouble="log.storage", alive=True)
    beat, _load = front.look()
    assert beat is not None
    assert (beat.trouble, beat.vkey, 0 <= beat.age_seconds < 10) == ("log.storage", "v", True)
    for table in (front, feed, other):
        table.close()
    wake.close()


def test_a_front_ends_account_can_write_nothing_but_requests(cloud: Cloud) -> None:
    """The grants of docs/spec/storage.md are enough for it, and for nothing else."""
    import psycopg

    epoch = _epoch(cloud.world.open())
    schema = cloud.world.place.schema
    for table in _tables(cloud, epoch):
        table.close()
    grants = re.findall(r"^GRANT .*;$", (ROOT / "docs/spec/storage.md").read_text(encoding="utf-8"), flags=re.M)
    assert len(grants) == 3
    role = f"front_{schema}"
    cloud.do(f"CREATE ROLE {role} LOGIN")
    for grant in grants:
        cloud.do(grant.replace("jzs_2026", schema).replace("front_end", role))
    conninfo = cloud.world.place.database.replace("user=mingzheng", f"user={role}")
    front = replace(cloud.world.place, database=conninfo).front()
    front.put(lambda _beat, _load: [_row(1)])
    assert front.queued([_row(1).request]) == {_row(1).request}
    assert front.answers([_row(1).request]) == {}
    assert front.look()[1].entries == 1
    front.close()
    forbidden = [
        "UPDATE {s}.queue SET entries = 2",
        "DELETE FROM {s}.queue",
        "INSERT INTO {s}.answer (request, body) VALUES ('x', 'y')",
        "UPDATE {s}.beat SET trouble = NULL",
        "UPDATE {s}.signer SET epoch = epoch + 1",
        "UPDATE {s}.head SET size = 0",
        "SELECT * FROM {s}.staged",
        "SELECT * FROM {s}.log",
        "CREATE TABLE {s}.mine (x int)",
    ]
    for statement in forbidden:
        with psycopg.connect(conninfo) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.replace("{s}", schema).encode())
