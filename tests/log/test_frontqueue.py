"""Front ends and the signer's feed over tables in memory, turn by turn: nobody is told what no answer row says."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logworld import NOW, issue
from queuefake import Feed, Front, Sink, Tables

from mingzheng.log.entry import CloseEntry, TimeEntry, encode_entry
from mingzheng.log.frontqueue import NO_ANSWER, FrontLimits, FrontQueue
from mingzheng.log.intake import Answer, Appended, IssuerQuestion, IssuerState, SerialPlace
from mingzheng.log.queuefeed import FeedLimits, QueueFeed
from mingzheng.log.queueform import (
    NO_SIGNER,
    OTHER_LOG,
    STALE_SECONDS,
    Beat,
    QueueRow,
    QueueRowError,
    decode_answer,
    encode_answer,
    standing,
)
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.rounds import NOT_SUBMITTABLE
from mingzheng.log.servererrors import BusyError, LogUnavailableError
from mingzheng.log.servermetrics import Metrics
from mingzheng.log.serverqueue import NOT_OPEN
from mingzheng.log.tile import encode_bundle
from mingzheng.log.wake import Wake

VKEY = "log.example.cn/1+key"
WAIT = 20.0


_MADE: list[FrontQueue | QueueFeed] = []


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    while _MADE:
        _MADE.pop().stop()


class Parts:
    """Tables, a signer that feeds a sink, and front ends."""

    def __init__(self, feed_look: float = 0.5, **limits: Any) -> None:
        self.tables, self.sink, self.feed_look = Tables(), Sink(), feed_look
        self.limits = FrontLimits(**limits)
        self.feed = self.new_feed()
        self.feed.turn()

    def new_feed(self, sink: Sink | None = None, epoch: Callable[[], int | None] = lambda: 1) -> QueueFeed:
        clock, limits = self.tables.clock, FeedLimits(look_seconds=self.feed_look)
        feed = QueueFeed(
            lambda: Feed(self.tables), sink or self.sink, vkey=VKEY, epoch=epoch, limits=limits, clocks=clock
        )
        _MADE.append(feed)
        return feed

    def new_front(self, vkey: str = VKEY) -> FrontQueue:
        clock = self.tables.clock
        front = FrontQueue(lambda: Front(self.tables), vkey=vkey, limits=self.limits, clocks=clock, observer=Metrics())
        _MADE.append(front)
        return front

    def front(self, vkey: str = VKEY) -> FrontQueue:
        """One that has looked once."""
        front = self.new_front(vkey)
        front.turn()
        return front

    def pass_on(self, front: FrontQueue) -> None:
        """Front, signer twice (take, store), front."""
        front.turn()
        self.feed.turn()
        self.feed.turn()
        front.turn()


def _why(future: "Future[Any]") -> str:
    error = future.exception(0)
    return error.reason if isinstance(error, LogUnavailableError) else type(error).__name__


def test_a_request_goes_through_the_queue_and_its_answer_comes_back() -> None:
    parts = Parts()
    front = parts.front()
    assert front.trouble is None
    front.check_room()
    asked = front.take([issue(0), issue(1)], issuer=1)
    assert front.waiting() == 2
    front.turn()
    assert not asked.done()
    assert len(parts.tables.queue) == 1
    parts.pass_on(front)
    assert [item.index for item in asked.result(0)] == [0, 1]
    assert (front.waiting(), parts.tables.queue) == (0, {})


def test_questions_go_the_same_way() -> None:
    parts = Parts()
    front = parts.front()
    asked = [front.ask_issuer(IssuerQuestion(issuer=3, serial=serial)) for serial in (None, 5, 500)]
    parts.pass_on(front)
    assert [future.result(0) for future in asked] == [
        IssuerState(next_act=3, next_notice=1, next_serial=9, size=0),
        SerialPlace(index=5),
        SerialPlace(index=None),
    ]


def test_the_same_entries_at_two_front_ends_get_the_same_indexes() -> None:
    parts = Parts()
    one, two = parts.front(), parts.front()
    first, second = one.take([issue(0)], issuer=1), two.take([issue(0)], issuer=1)
    one.turn()
    parts.pass_on(two)
    one.turn()
    assert first.result(0) == second.result(0)
    assert len(parts.sink.entries) == 1


def test_without_a_living_signer_nothing_is_taken() -> None:
    parts = Parts()
    parts.tables.beat = None
    front = parts.front()
    assert front.trouble == NO_SIGNER
    with pytest.raises(LogUnavailableError):
        front.check_room()
    with pytest.raises(LogUnavailableError):
        front.take([issue(0)], issuer=1)
    with pytest.raises(LogUnavailableError):
        front.ask_issuer(IssuerQuestion(issuer=1, serial=None))
    assert not parts.tables.queue


def test_a_signer_that_died_after_the_last_look_is_seen_where_the_row_would_be_put() -> None:
    parts = Parts()
    front = parts.front()
    parts.tables.clock.at += STALE_SECONDS + 0.1
    asked = front.take([issue(0)], issuer=1)  # the last look was good
    front.turn()
    assert _why(asked) == NO_SIGNER
    assert not parts.tables.queue
    parts.feed.turn()
    parts.tables.clock.at += 1
    front.turn()
    assert front.trouble is None


@pytest.mark.parametrize(
    ("beat", "why"),
    [
        (None, NO_SIGNER),
        (Beat(age_seconds=STALE_SECONDS, trouble=None, vkey=VKEY), None),
        (Beat(age_seconds=STALE_SECONDS + 0.01, trouble=None, vkey=VKEY), NO_SIGNER),
        (Beat(age_seconds=-STALE_SECONDS - 0.01, trouble=None, vkey=VKEY), NO_SIGNER),
        (Beat(age_seconds=0.0, trouble="log.storage", vkey=VKEY), "log.storage"),
        (Beat(age_seconds=0.0, trouble="log.storage", vkey="other"), OTHER_LOG),
    ],
)
def test_what_a_beat_says(beat: Beat | None, why: str | None) -> None:
    assert standing(beat, VKEY) == why


def test_a_front_end_of_another_log_queues_nothing() -> None:
    parts = Parts()
    assert parts.front(vkey="log.example.cn/2+key").trouble == OTHER_LOG


def test_the_signers_trouble_is_the_front_ends() -> None:
    parts = Parts()
    parts.sink.trouble = "log.storage"
    parts.tables.clock.at += 1
    parts.feed.turn()
    assert parts.front().trouble == "log.storage"


def test_what_does_not_fit_into_the_queue_is_refused_and_the_rest_is_taken() -> None:
    parts = Parts(entries=4, size_bytes=10_000)
    one, two = parts.front(), parts.front()
    kept = one.take([issue(0), issue(1)], issuer=1)
    one.turn()
    asked = [two.take([issue(serial) for serial in serials], issuer=1) for serials in ((2, 3, 4), (5,))]
    with pytest.raises(BusyError):
        two.take([issue(6)], issuer=1)  # its own room
    two.turn()
    assert _why(asked[0]) == "BusyError"
    assert not asked[1].done()
    more = one.take([issue(7)], issuer=1)
    one.turn()
    assert not more.done()
    parts.tables.clock.at += 1
    two.turn()
    with pytest.raises(BusyError):
        two.check_room()
    parts.pass_on(one)
    two.turn()
    assert all(future.exception(0) is None for future in (kept, asked[1], more))
    assert len(parts.sink.entries) == 4


def test_bytes_are_bounded_too() -> None:
    size = len(encode_bundle([issue(0)]))
    parts = Parts(size_bytes=2 * size - 1)
    one, two = parts.front(), parts.front()
    one.take([issue(0)], issuer=1)
    one.turn()
    with pytest.raises(BusyError):
        one.take([issue(1)], issuer=1)
    other = two.take([issue(1)], issuer=1)
    two.turn()
    assert _why(other) == "BusyError"


@pytest.mark.parametrize("fault", ["put", "put answer"])
def test_a_database_that_fails_promises_nothing_and_is_tried_again(fault: str) -> None:
    parts = Parts()
    front = parts.front()
    parts.tables.faults.append(fault)
    asked, later = front.take([issue(0)], issuer=1), None
    front.turn()
    assert _why(asked) == "log.state_unavailable"
    assert front.trouble == "log.state_unavailable"
    parts.tables.faults.append("connect")
    for _ in range(3):
        parts.tables.clock.at += 1.1
        parts.feed.turn()
        front.turn()
    assert front.trouble is None
    later = front.take([issue(0)], issuer=1)
    parts.pass_on(front)
    assert later.result(0)[0].index == 0
    assert parts.sink.entries == [issue(0)]


def test_what_is_queued_is_answered_over_a_new_connection() -> None:
    parts = Parts()
    front = parts.front()
    asked = front.take([issue(0)], issuer=1)
    front.turn()
    parts.tables.faults.append("answers")
    waiting = front.take([issue(1)], issuer=1)
    front.turn()
    parts.feed.turn()
    parts.feed.turn()
    assert not asked.done()
    parts.tables.clock.at += 1.1
    front.turn()
    assert [future.result(0)[0].index for future in (asked, waiting)] == [0, 1]


def test_an_answer_that_does_not_come_is_given_up() -> None:
    parts = Parts()
    front = parts.front()
    asked = front.take([issue(0)], issuer=1)
    front.turn()
    parts.tables.clock.at += 25.1
    front.turn()
    assert _why(asked) == NO_ANSWER
    assert front.waiting() == 0
    parts.feed.turn()
    parts.feed.turn()
    front.turn()
    assert parts.sink.entries == [issue(0)]  # it was not promised, and it may have happened


def test_a_row_that_vanished_is_given_up() -> None:
    parts = Parts()
    front = parts.front()
    asked = front.take([issue(0)], issuer=1)
    front.turn()
    parts.tables.queue.clear()
    parts.tables.clock.at += 1
    front.turn()
    assert _why(asked) == NO_ANSWER


def test_a_refusal_and_a_forged_answer() -> None:
    parts = Parts()
    front = parts.front()
    asked = [front.take([issue(serial)], issuer=1) for serial in range(3)]
    front.turn()
    first, second, third = parts.tables.queue
    parts.tables.answer[first] = (encode_answer(SubmissionError(0, "rule.serial_order", "是")), 0.0)
    parts.tables.answer[second] = (b"\xff", 0.0)
    parts.tables.answer[third] = (encode_answer(LogUnavailableError("log.clock_jump")), 0.0)
    front.turn()
    error = asked[0].exception(0)
    assert isinstance(error, SubmissionError)
    assert (error.position, error.reason, error.detail) == (0, "rule.serial_order", "是")
    assert [_why(future) for future in asked[1:]] == ["log.queue_row", "log.clock_jump"]


# --- the signer's end


def test_a_signer_that_died_after_sequencing_leaves_the_row_and_the_next_gives_the_same_index() -> None:
    parts = Parts()
    front = parts.front()
    asked = front.take([issue(0)], issuer=1)
    front.turn()
    parts.feed.turn()  # sequenced; dies before it stores the answer
    assert parts.sink.entries == [issue(0)]
    parts.sink.entries.insert(0, issue(9))
    parts.tables.epoch = 2
    parts.feed = parts.new_feed(epoch=lambda: 2)
    parts.pass_on(front)
    assert asked.result(0)[0].index == 1


def test_a_fenced_signer_stores_no_answer_and_no_beat() -> None:
    parts = Parts()
    parts.sink.held = []
    front = parts.front()
    asked = front.take([issue(0)], issuer=1)
    front.turn()
    parts.feed.turn()
    parts.tables.epoch = 2
    parts.sink.go()
    before = parts.tables.beat
    parts.tables.clock.at += 3
    for _ in range(3):
        parts.feed.turn()
    assert (parts.tables.answer, parts.tables.beat) == ({}, before)
    front.turn()
    assert not asked.done()


def test_opened_again_under_a_new_epoch_it_offers_again() -> None:
    parts, epoch = Parts(), [1]
    parts.sink.held = []
    parts.feed = parts.new_feed(epoch=lambda: epoch[0])
    front = parts.front()
    asked = front.take([issue(0)], issuer=1)
    front.turn()
    parts.feed.turn()
    epoch[0] = parts.tables.epoch = 2
    parts.sink.go()
    parts.sink.held = None
    parts.pass_on(front)
    assert asked.result(0)[0].index == 0
    assert parts.sink.offered == 2


def test_while_the_log_is_not_open_nothing_is_fed() -> None:
    parts = Parts()
    front = parts.front()
    front.take([issue(0)], issuer=1)
    front.turn()
    idle = parts.new_feed(epoch=lambda: None)
    idle.turn()
    assert len(parts.tables.queue) == 1


HOSTILE: dict[str, tuple[bytes, int, int, str]] = {
    "no bundle": (b"\x00", 1, 1, "server.bad_request"),
    "empty": (b"", 1, 1, "server.bad_request"),
    "no entry": (encode_bundle([b"\x00"]), 1, 1, "entry.malformed"),
    "another issuer's": (encode_bundle([issue(0, issuer=2)]), 1, 1, "submit.not_allowed"),
    "the sequencer's own": (encode_bundle([encode_entry(TimeEntry(seconds=NOW))]), 1, 1, NOT_SUBMITTABLE),
    "the operator's own": (
        encode_bundle([encode_entry(CloseEntry(successor=8))]),
        1,
        1,
        "submit.not_allowed",
    ),
    "counted wrongly": (encode_bundle([issue(0)]), 1, 2, "server.bad_request"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_front_end_gets_nothing_in_that_a_submit_key_would_not(case: str) -> None:
    bundle, issuer, entries, reason = HOSTILE[case]
    parts = Parts()
    row = QueueRow(request=bytes(16), issuer=issuer, serial=None, bundle=bundle, entries=entries)
    parts.tables.queue[row.request] = row
    parts.feed.turn()
    parts.feed.turn()
    assert parts.sink.offered == 0
    answer = decode_answer(parts.tables.answer[row.request][0], row)
    assert isinstance(answer, SubmissionError)
    assert answer.reason == reason


def test_what_the_signer_has_no_room_for_stays_in_the_queue() -> None:
    parts = Parts()
    parts.sink.held, parts.sink.room = [], 2
    front = parts.front()
    asked = [front.take([issue(serial)], issuer=1) for serial in range(4)]
    front.turn()
    parts.feed.turn()
    assert (parts.sink.offered, len(parts.tables.queue)) == (2, 4)
    for _ in range(2):
        parts.sink.go()
        parts.feed.turn()
    parts.feed.turn()
    front.turn()
    assert [future.result(0)[0].index for future in asked] == [0, 1, 2, 3]  # in order of arrival


def test_a_database_that_fails_under_the_feed_loses_nothing() -> None:
    parts = Parts()
    front = parts.front()
    asked = front.take([issue(0)], issuer=1)
    front.turn()
    for fault in ("rows", "feed connect", "answer", "feed connect"):
        parts.tables.faults.append(fault)
    for _ in range(12):
        parts.tables.clock.at += 1.1
        parts.feed.turn()
    front.turn()
    assert asked.result(0)[0].index == 0
    assert not parts.tables.faults


def test_answers_are_swept_and_the_last_beat_says_so() -> None:
    parts = Parts()
    front = parts.front()
    asked = front.take([issue(0)], issuer=1)
    front.turn()
    parts.feed.turn()
    parts.feed.turn()
    assert len(parts.tables.answer) == 1
    parts.tables.clock.at += 601
    parts.feed.turn()
    assert not parts.tables.answer
    front.turn()
    assert asked.done()
    parts.feed.turn(last=True)
    assert parts.front().trouble == NO_SIGNER


# --- both as threads


def _ask_until_answered(parts: Parts, front: FrontQueue) -> tuple[Appended, ...]:
    """As a client does: what is refused for now is asked again. Time goes on while it waits."""
    end = time.monotonic() + WAIT
    while True:
        try:
            asked = front.take([issue(0)], issuer=1)
            while not asked.done() and time.monotonic() < end:
                parts.tables.clock.at += 0.002
                time.sleep(0.002)
            if not parts.tables.faults:
                return asked.result(0)
        except LogUnavailableError:
            if time.monotonic() > end:
                raise
        parts.tables.clock.at += 0.05
        time.sleep(0.002)


def test_threads_from_start_to_stop() -> None:
    parts = Parts(look_seconds=0.01, feed_look=0.01)
    front = parts.new_front()
    parts.tables.faults += ["connect", "wait", "feed wait"]
    parts.feed.start()
    front.start()
    first = _ask_until_answered(parts, front)
    assert first[0].index == 0
    assert len(parts.sink.entries) == 1
    assert parts.tables.faults == []
    assert front.alive
    parts.sink.held = []
    last = front.take([issue(1)], issuer=1)
    front.stop()
    parts.feed.stop()
    front.stop()
    assert isinstance(last.exception(WAIT), LogUnavailableError)
    assert not front.alive
    with pytest.raises(LogUnavailableError):
        front.take([issue(2)], issuer=1)


def test_never_started_says_so() -> None:
    front = Parts().new_front()
    assert (front.trouble, front.alive) == (NOT_OPEN, False)
    front.stop()


def test_a_wake_wakes_once_and_after_its_end_nobody() -> None:
    wake = Wake()
    wake.set()
    assert not wake.wait(WAIT)
    other = Wake()
    other.set()
    assert wake.wait(WAIT, other=other._here.fileno())
    wake.close()
    wake.close()
    wake.set()
    other.close()


# --- answers as bytes

QUESTION = QueueRow(request=bytes(16), issuer=1, serial=None, bundle=None, entries=1)
NUMBERS = st.integers(0, 2**63 - 1)
APPENDED = st.lists(st.builds(Appended, index=NUMBERS, receipt=st.binary(max_size=300)), min_size=1, max_size=256)


def _row(answer: Answer) -> QueueRow:
    match answer:
        case tuple():
            return replace(QUESTION, bundle=b"", entries=len(answer))
        case SerialPlace():
            return replace(QUESTION, serial=1)
    return QUESTION


@given(
    st.one_of(
        APPENDED.map(tuple),
        st.builds(IssuerState, next_act=NUMBERS, next_notice=NUMBERS, next_serial=NUMBERS, size=NUMBERS),
        st.builds(SerialPlace, index=st.none() | NUMBERS),
    ),
    st.integers(0, 1 << 30),
)
def test_answers_come_back_as_they_went_and_no_other_question_takes_them(answer: Answer, place: int) -> None:
    data, row = encode_answer(answer), _row(answer)
    assert decode_answer(data, row) == answer
    for other in (replace(QUESTION, bundle=b"", entries=255), QUESTION, replace(QUESTION, serial=1)):
        if (other.bundle is None, other.serial) != (row.bundle is None, row.serial):
            with pytest.raises(QueueRowError):
                decode_answer(data, other)
    flipped = bytearray(data)
    flipped[place % len(data)] ^= 1 << place % 8
    with contextlib.suppress(QueueRowError):
        decode_answer(bytes(flipped), row)


NO_ANSWERS = (
    *("", "f6", "80", "8101", "820180", "82018100", "8201818120", "82018182204101", "8404200000", "820520"),
    "840220603060",
)


@pytest.mark.parametrize("hex_", NO_ANSWERS)
def test_bytes_that_are_no_answer(hex_: str) -> None:
    data = bytes.fromhex(hex_)
    for row in (QUESTION, replace(QUESTION, serial=1), replace(QUESTION, bundle=b"", entries=1)):
        with pytest.raises(QueueRowError):
            decode_answer(data, row)


@given(st.text(max_size=100))
def test_any_detail_of_a_refusal_can_be_told(detail: str) -> None:
    answer = decode_answer(encode_answer(SubmissionError(0, "rule.x", detail + "\ud800e\u0301")), QUESTION)
    assert isinstance(answer, SubmissionError)
