"""The sequencer's thread: rounds, refusals alone, faults of the storage and what was in flight, the end."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from logworld import IDENTITY, NOW, Keys, LogWorld, act, issue
from serverworld import QUICK, Clock

from mingzheng.log.acts import ActType
from mingzheng.log.refusal import LogMissingError, StorageError, SubmissionError, WriterActiveError
from mingzheng.log.sequencer import EmbeddedLog
from mingzheng.log.servererrors import BusyError, LogUnavailableError
from mingzheng.log.servermetrics import Metrics
from mingzheng.log.serverqueue import QueueLimits, Sequencing
from mingzheng.log.writer import Log

WAIT = 30.0


@pytest.fixture
def world(tmp_path: Path) -> LogWorld:
    world = LogWorld(tmp_path)
    world.create().close()
    return world


class Gated:
    """Opens the world's log; its rounds wait until the gate is opened, and fail as often as told."""

    def __init__(self, world: LogWorld) -> None:
        self.world, self.gate = world, threading.Event()
        self.gate.set()
        self.faults: list[Exception] = []
        self.opening: list[Exception] = []
        self.after = False
        self.opened = 0

    def __call__(self) -> Log:
        if self.opening:
            raise self.opening.pop(0)
        self.opened += 1
        log = self.world.open()
        real = log.submit

        def submit(*given: object, **named: object) -> tuple[int, ...]:
            assert self.gate.wait(WAIT)
            if self.faults and self.after:
                real(*given, **named)  # type: ignore[arg-type]
            if self.faults:
                raise self.faults.pop(0)
            return real(*given, **named)  # type: ignore[arg-type]

        log.submit = submit  # type: ignore[method-assign,assignment]
        return log


def _sequencing(opener: Callable[[], Log], limits: QueueLimits = QUICK, clock: Clock | None = None) -> Sequencing:
    return Sequencing(opener, limits=limits, clocks=clock or Clock(), observer=Metrics())


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.002)


def test_requests_that_wait_together_make_one_round(world: LogWorld) -> None:
    gated = Gated(world)
    sequencing = _sequencing(gated)
    sequencing.start(timeout=WAIT)
    gated.gate.clear()
    first = sequencing.offer([issue(0)])
    _until(lambda: sequencing.waiting() == 0)
    later = [sequencing.offer([issue(serial), issue(serial + 1)]) for serial in (1, 3, 5)]
    gated.gate.set()
    assert [item.index for item in first.result(WAIT)] == [0]
    assert [item.index for future in later for item in future.result(WAIT)] == [2, 3, 4, 5, 6, 7]
    sequencing.stop()
    assert not sequencing.alive
    assert world.open().head()[0] == 10


def test_a_request_that_may_not_stand_is_answered_alone(world: LogWorld) -> None:
    gated = Gated(world)
    sequencing = _sequencing(gated)
    sequencing.start(timeout=WAIT)
    gated.gate.clear()
    sequencing.offer([issue(100)])
    _until(lambda: sequencing.waiting() == 0)
    good, bad, worse, last = (
        sequencing.offer(entries)
        for entries in ([issue(0)], [issue(1), issue(0, kind=2)], [act(5, ActType.REVOKE, [0])], [issue(2)])
    )
    gated.gate.set()
    assert [good.result(WAIT)[0].index, last.result(WAIT)[0].index] == [2, 3]
    with pytest.raises(SubmissionError) as caught:
        bad.result(WAIT)
    assert (caught.value.position, caught.value.reason) == (1, "rule.serial_order")
    with pytest.raises(SubmissionError) as caught:
        worse.result(WAIT)
    assert caught.value.position == 0
    sequencing.stop()
    log = world.open()
    assert log.index_of_serial(1, 1) is None


def test_the_queue_is_bounded_in_entries_and_bytes(world: LogWorld) -> None:
    gated = Gated(world)
    sequencing = _sequencing(gated, QueueLimits(entries=4, size_bytes=1_000, linger_seconds=0.0))
    sequencing.start(timeout=WAIT)
    gated.gate.clear()
    futures = [sequencing.offer([issue(100)])]
    _until(lambda: sequencing.waiting() == 0)
    futures += [sequencing.offer([issue(0), issue(1), issue(2)])]
    with pytest.raises(BusyError):
        sequencing.offer([issue(3), issue(4)])
    with pytest.raises(BusyError):
        sequencing.offer([bytes(1_000)])
    futures += [sequencing.offer([issue(3)])]
    with pytest.raises(BusyError):
        sequencing.check_room()
    gated.gate.set()
    assert all(future.result(WAIT) for future in futures)
    sequencing.check_room()
    sequencing.stop()


def test_questions_are_answered_between_rounds_and_are_bounded(world: LogWorld) -> None:
    gated = Gated(world)
    sequencing = _sequencing(gated)
    sequencing.start(timeout=WAIT)
    assert sequencing.ask(lambda log: log.head()[0]).result(WAIT) == 0
    failing: Future[bytes] = sequencing.ask(lambda log: log.compact_receipt(5))
    with pytest.raises(LogUnavailableError) as caught:
        failing.result(WAIT)
    assert caught.value.reason == "log.index_not_logged"
    gated.gate.clear()
    held = sequencing.offer([issue(0)])
    _until(lambda: sequencing.waiting() == 0)
    asked = [sequencing.ask(lambda log: log.head()[0]) for _ in range(256)]
    with pytest.raises(BusyError):
        sequencing.ask(lambda log: log.head()[0])
    gated.gate.set()
    assert held.result(WAIT)
    assert {future.result(WAIT) for future in asked} == {2}
    sequencing.stop()
    with pytest.raises(LogUnavailableError):
        sequencing.ask(lambda log: log.head()[0])


@pytest.mark.parametrize("after", [False, True], ids=["before it was durable", "after it was durable"])
@pytest.mark.parametrize("fault", [StorageError("gone"), OSError(28, "no space")])
def test_a_fault_opens_the_log_again_and_asks_once_more(world: LogWorld, after: bool, fault: Exception) -> None:
    gated = Gated(world)
    gated.faults, gated.after = [fault], after
    sequencing = _sequencing(gated)
    sequencing.start(timeout=WAIT)
    future = sequencing.offer([issue(0), issue(1)])
    assert [item.index for item in future.result(WAIT)] == [0, 1]
    assert gated.opened == 2
    assert sequencing.trouble is None
    sequencing.stop()
    assert world.open().head()[0] == 4


def test_what_fails_twice_is_given_back_unpromised_and_the_log_goes_on(world: LogWorld) -> None:
    gated = Gated(world)
    gated.faults = [StorageError("gone"), StorageError("gone again")]
    sequencing = _sequencing(gated)
    sequencing.start(timeout=WAIT)
    with pytest.raises(LogUnavailableError) as caught:
        sequencing.offer([issue(0)]).result(WAIT)
    assert caught.value.reason == "log.storage"
    _until(lambda: sequencing.trouble is None)
    assert sequencing.offer([issue(0)]).result(WAIT)[0].index == 0
    sequencing.stop()


def test_a_log_that_does_not_open_again_takes_nothing(world: LogWorld) -> None:
    gated = Gated(world)
    gated.faults = [StorageError("gone")]
    gated.opening = []
    sequencing = _sequencing(gated, QueueLimits(linger_seconds=0.0, reopen_seconds=0.01))
    sequencing.start(timeout=WAIT)
    gated.opening = [LogMissingError("no")] * 3
    with pytest.raises(LogUnavailableError):
        sequencing.offer([issue(0)]).result(WAIT)
    _until(lambda: sequencing.trouble is None)
    sequencing.stop()


def test_a_clock_that_went_back_promises_nothing(world: LogWorld) -> None:
    clock = Clock()
    sequencing = _sequencing(Gated(world), clock=clock)
    sequencing.start(timeout=WAIT)
    sequencing.offer([issue(0)]).result(WAIT)
    clock.seconds = NOW - 10
    with pytest.raises(LogUnavailableError) as caught:
        sequencing.offer([issue(1)]).result(WAIT)
    assert caught.value.reason == "log.clock_backwards"
    clock.seconds = NOW
    assert sequencing.offer([issue(1)]).result(WAIT)[0].index == 2
    sequencing.stop()


def test_a_restored_copy_takes_nothing(world: LogWorld) -> None:
    copy = world.backup("copy")
    sequencing = _sequencing(lambda: EmbeddedLog.open(copy, IDENTITY, act_keys=Keys(), memory_dir=None))
    sequencing.start(timeout=WAIT)
    assert sequencing.trouble == "log.restored_backup"
    with pytest.raises(LogUnavailableError) as caught:
        sequencing.offer([issue(0)])
    assert caught.value.reason == "log.restored_backup"
    sequencing.stop()


def test_a_second_server_on_the_log_does_not_start(world: LogWorld) -> None:
    first = _sequencing(Gated(world))
    first.start(timeout=WAIT)
    second = _sequencing(Gated(world))
    with pytest.raises(WriterActiveError):
        second.start(timeout=WAIT)
    second.stop()
    assert first.offer([issue(0)]).result(WAIT)
    first.stop()


def test_the_end_answers_what_was_taken_and_refuses_the_rest(world: LogWorld) -> None:
    sequencing = _sequencing(Gated(world), QueueLimits(linger_seconds=WAIT))
    sequencing.start(timeout=WAIT)
    futures = [sequencing.offer([issue(serial)]) for serial in range(10)]
    sequencing.stop()
    assert [future.result(0)[0].index for future in futures] == list(range(10))
    with pytest.raises(LogUnavailableError):
        sequencing.offer([issue(10)])
    sequencing.stop()


def test_who_asks_is_told_when_the_storage_fails_under_the_question(world: LogWorld) -> None:
    gated = Gated(world)
    sequencing = _sequencing(gated)
    sequencing.start(timeout=WAIT)

    def broken(_log: Log) -> int:
        raise OSError("the disk is gone")

    with pytest.raises(LogUnavailableError):
        sequencing.ask(broken).result(WAIT)
    _until(lambda: gated.opened == 2 and sequencing.trouble is None)
    assert sequencing.ask(lambda log: log.head()[0]).result(WAIT) == 0
    sequencing.stop()


def test_an_error_that_nobody_foresaw_ends_the_thread_and_shows(world: LogWorld) -> None:
    gated = Gated(world)
    gated.faults = [ZeroDivisionError("a bug")]
    sequencing = _sequencing(gated)
    sequencing.start(timeout=WAIT)
    before, threading.excepthook = threading.excepthook, lambda _args: None
    try:
        with pytest.raises(LogUnavailableError):
            sequencing.offer([issue(0)]).result(WAIT)
        _until(lambda: not sequencing.alive)
    finally:
        threading.excepthook = before
    with pytest.raises(LogUnavailableError):
        sequencing.check_room()
