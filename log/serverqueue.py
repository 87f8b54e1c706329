"""The one thread that owns a log: takes requests off a bounded queue, sequences them in rounds, answers with receipts.

Nothing is promised before a round is durable and published. A fault of the storage closes the log; it is opened again,
which rolls forward or refuses, and what was in flight is asked once more: the same entries give the same indexes.
"""

import hashlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from mingzheng.keys.errors import KeysError
from mingzheng.log.errors import LogError
from mingzheng.log.intake import Appended, IssuerAnswer, IssuerQuestion, IssuerState, SerialPlace
from mingzheng.log.refusal import ClockBackwardsError, ClockJumpError, SubmissionError
from mingzheng.log.rounds import Submission
from mingzheng.log.servererrors import BusyError, LogUnavailableError
from mingzheng.log.writer import Log

NOT_OPEN: Final = "log.not_open"
STORAGE: Final = "log.storage"
_MAX_QUESTIONS: Final = 256

_FAULTS: Final = (LogError, KeysError, OSError, sqlite3.Error)
_Answer = TypeVar("_Answer")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """`entries`, `size_bytes`: what may wait. `round_entries`: of one round. Seconds: how long a round waits for more
    entries after its first one; how long after a failed opening the next one is tried."""

    entries: int = 4_096
    size_bytes: int = 16 << 20
    round_entries: int = 1_024
    linger_seconds: float = 0.1
    reopen_seconds: float = 5.0


class Clocks(Protocol):
    """The time: of day, and for measuring."""

    def now(self) -> int:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


class Observer(Protocol):
    """Who counts what happens."""

    def round_done(self, *, entries: int, seconds: float, size: int) -> None:
        """A round is published and its receipts are made."""

    def request_done(self, *, entries: int, seconds: float) -> None:
        """A request was answered this long after it was taken."""


@dataclass(slots=True, eq=False)
class _Request:
    entries: tuple[bytes, ...]
    size_bytes: int
    taken: float
    future: "Future[tuple[Appended, ...]]" = field(default_factory=Future)
    tries: int = 0


@dataclass(frozen=True, slots=True)
class _Question:
    answer: Callable[[Log], None]
    cancel: Callable[[], None]


class Sequencing:
    """Use `start`, then `offer` and `ask` from any thread, then `stop`. An `intake.Intake`."""

    def __init__(self, open_log: Callable[[], Log], *, limits: QueueLimits, clocks: Clocks, observer: Observer) -> None:
        """`open_log` is called in the thread that then owns the log."""
        self._open_log, self._limits, self._clocks, self._observer = open_log, limits, clocks, observer
        self._wake = threading.Condition()
        self._requests: deque[_Request] = deque()
        self._questions: deque[_Question] = deque()
        self._waiting_entries = self._waiting_bytes = 0
        self._stopping = False
        self._trouble: str | None = NOT_OPEN
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)

    def start(self, *, timeout: float) -> None:
        """Open the log and begin; raises what opening raises the first time, LogUnavailableError after `timeout`."""
        opened: Future[None] = Future()
        self._opened: Future[None] | None = opened
        self._thread.start()
        try:
            opened.result(timeout)
        except TimeoutError as error:
            raise LogUnavailableError(NOT_OPEN) from error

    def stop(self) -> None:
        """Sequence what was taken, close the log. More than once is fine."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def trouble(self) -> str | None:
        """Why no entries are taken: a code; None if they are."""
        return self._trouble

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def waiting(self) -> int:
        """Entries in the queue."""
        return self._waiting_entries

    def check_room(self) -> None:
        """Raise BusyError or LogUnavailableError if nothing would be taken now; cheap, before anything is verified."""
        if self._trouble is not None:
            raise LogUnavailableError(self._trouble)
        if self._waiting_entries >= self._limits.entries or self._waiting_bytes >= self._limits.size_bytes:
            raise BusyError

    def offer(self, entries: Sequence[bytes]) -> "Future[tuple[Appended, ...]]":
        """Queue entries to be appended together. Raises BusyError, LogUnavailableError.

        The future gives one Appended for each, or SubmissionError (position within these entries), or
        LogUnavailableError: then nothing is promised, and asking again tells.
        """
        size = sum(map(len, entries))
        with self._wake:
            if self._trouble is not None or self._stopping:
                raise LogUnavailableError(self._trouble or NOT_OPEN)
            over = self._waiting_entries + len(entries) > self._limits.entries
            if over or self._waiting_bytes + size > self._limits.size_bytes:
                raise BusyError
            request = _Request(tuple(entries), size, self._clocks.monotonic())
            request.future.set_running_or_notify_cancel()  # a client that leaves cancels nothing
            self._requests.append(request)
            self._waiting_entries += len(entries)
            self._waiting_bytes += size
            self._wake.notify_all()
        return request.future

    def ask(self, question: Callable[[Log], _Answer]) -> "Future[_Answer]":
        """Have the thread ask the log something between rounds. Raises BusyError, LogUnavailableError."""
        future: Future[_Answer] = Future()
        future.set_running_or_notify_cancel()

        def answer(log: Log) -> None:
            try:
                future.set_result(question(log))
            except LogError as error:
                future.set_exception(LogUnavailableError(error.code))
            except BaseException:  # it ends the session or the thread; who asked is told first
                future.set_exception(LogUnavailableError(STORAGE))
                raise

        def cancel() -> None:
            future.set_exception(LogUnavailableError(self._trouble or NOT_OPEN))

        with self._wake:
            if self._trouble is not None or self._stopping:
                raise LogUnavailableError(self._trouble or NOT_OPEN)
            if len(self._questions) >= _MAX_QUESTIONS:
                raise BusyError
            self._questions.append(_Question(answer, cancel))
            self._wake.notify_all()
        return future

    def take(self, entries: Sequence[bytes], *, issuer: int) -> "Future[tuple[Appended, ...]]":
        """See Intake: `offer`, whoever the issuer is."""
        del issuer
        return self.offer(entries)

    def ask_issuer(self, question: IssuerQuestion) -> "Future[IssuerAnswer]":
        """See Intake."""
        return self.ask(lambda log: _issuer_answer(log, question))

    # --- in the thread

    def _run(self) -> None:
        held: list[_Request] = []
        try:
            while not self._stopping or held:
                try:
                    self._session(held)
                except _FAULTS as error:
                    self._failed(error, held)
                    if self._say_opened(error):
                        break
                    self._wait(0.0 if held else self._limits.reopen_seconds)
        finally:  # after any other error too: the thread is gone, and says so
            self._stopping = True
            self._trouble = self._trouble or NOT_OPEN
            self._say_opened(LogUnavailableError(self._trouble))
            self._drain(held)

    def _session(self, held: list[_Request]) -> None:
        """Open the log and serve until told to stop, or until it fails."""
        with self._open_log() as log:
            self._trouble = None if log.read_only is None else log.read_only.code
            self._say_opened(None)
            if self._trouble is None:
                self._serve(log, held)
            else:
                self._drain(held)
                self._wait(self._limits.reopen_seconds)

    def _serve(self, log: Log, held: list[_Request]) -> None:
        """Rounds until told to stop. `held`: taken and not yet answered; what is left in it is asked again."""
        while True:
            if not held:
                self._take(held)
            while self._questions:
                self._questions.popleft().answer(log)
            if held:
                self._round(log, held)
            elif self._stopping:
                return

    def _take(self, held: list[_Request]) -> None:
        """Wait for a request (or a question, or the end), linger for more, and take a round's worth."""
        limits = self._limits
        with self._wake:
            self._wake.wait_for(lambda: self._requests or self._questions or self._stopping)
            if self._requests and not self._stopping:
                self._wake.wait_for(
                    lambda: self._waiting_entries >= limits.round_entries or self._stopping, limits.linger_seconds
                )
            count = 0
            while self._requests and count + len(self._requests[0].entries) <= limits.round_entries:
                request = self._requests.popleft()
                count += len(request.entries)
                self._waiting_bytes -= request.size_bytes
                held.append(request)
            self._waiting_entries -= count

    def _round(self, log: Log, held: list[_Request]) -> None:
        """One round; a request with an entry that may not stand is answered alone, the others go on without it."""
        start = self._clocks.monotonic()
        for request in held:
            request.tries += 1
        while held:
            submissions = [
                Submission(key=hashlib.sha256(entry).digest(), entry=entry) for item in held for entry in item.entries
            ]
            try:
                indexes = log.submit(submissions, now=self._clocks.now())
                break
            except SubmissionError as error:
                self._refuse(error, held)
            except (ClockBackwardsError, ClockJumpError) as error:
                _logger.error("clock refused code=%s", error.code)
                self._answer_all(held, LogUnavailableError(error.code))
        else:
            return
        appended = [Appended(index=index, receipt=log.compact_receipt(index)) for index in indexes]
        end, at = self._clocks.monotonic(), 0
        self._observer.round_done(entries=len(indexes), seconds=end - start, size=log.head()[0])
        while held:
            request = held.pop(0)
            request.future.set_result(tuple(appended[at : at + len(request.entries)]))
            at += len(request.entries)
            self._observer.request_done(entries=len(request.entries), seconds=end - request.taken)

    def _refuse(self, error: SubmissionError, held: list[_Request]) -> None:
        """Answer the request that `error.position` of the whole round falls into, and leave the others."""
        position = error.position
        for at, request in enumerate(held):
            if position < len(request.entries):
                del held[at]
                request.future.set_exception(SubmissionError(position, error.reason, error.detail))
                return
            position -= len(request.entries)
        raise error

    def _failed(self, error: Exception, held: list[_Request]) -> None:
        """Note why; what failed twice, or waits for a log that does not open, is given up."""
        served = self._trouble is None
        self._trouble = error.code if isinstance(error, LogError | KeysError) else STORAGE
        _logger.error("log failed code=%s error=%s", self._trouble, type(error).__name__)
        again = [request for request in held if request.tries < 2 and served]
        self._answer_all([request for request in held if request not in again], LogUnavailableError(self._trouble))
        held[:] = again
        if not again:
            self._drain(held)

    def _say_opened(self, error: Exception | None) -> bool:
        """Tell `start`, once, how the first opening went; True if it failed."""
        opened, self._opened = self._opened, None
        if opened is None:
            return False
        if error is None:
            opened.set_result(None)
            return False
        opened.set_exception(error)
        return True

    def _wait(self, seconds: float) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._stopping, seconds)

    def _drain(self, held: list[_Request]) -> None:
        """Answer everything that waits: the log does not write."""
        with self._wake:
            held += self._requests
            self._requests.clear()
            self._questions, questions = deque(), self._questions
            self._waiting_entries = self._waiting_bytes = 0
        self._answer_all(held, LogUnavailableError(self._trouble or NOT_OPEN))
        for question in questions:
            question.cancel()

    @staticmethod
    def _answer_all(held: list[_Request], error: LogUnavailableError) -> None:
        while held:
            held.pop().future.set_exception(LogUnavailableError(error.reason))


def _issuer_answer(log: Log, question: IssuerQuestion) -> IssuerAnswer:
    if question.serial is not None:
        return SerialPlace(index=log.index_of_serial(question.issuer, question.serial))
    row = log.issuer_row(question.issuer)
    return IssuerState(
        next_act=row.next_act, next_notice=row.next_notice, next_serial=row.next_serial, size=log.head()[0]
    )


__all__ = ["Appended", "Clocks", "Observer", "QueueLimits", "Sequencing"]
