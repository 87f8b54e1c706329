"""A front end's way to the signer: requests into the queue in the database, answers out of it.

Source: docs/spec/server.md, "Front ends". One thread, one connection; the event loop never waits for the database.
Nothing is acknowledged but by an answer row; what cannot be queued now is refused before anything is promised.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from mingzheng.log.intake import Appended, IssuerAnswer, IssuerQuestion
from mingzheng.log.queueform import (
    REQUEST_BYTES,
    ROWS_AT_ONCE,
    Beat,
    FrontTable,
    Load,
    QueueRow,
    QueueRowError,
    decode_answer,
    standing,
)
from mingzheng.log.refusal import StorageError, SubmissionError
from mingzheng.log.servererrors import BusyError, LogUnavailableError
from mingzheng.log.serverqueue import NOT_OPEN, Clocks, Observer
from mingzheng.log.tile import encode_bundle
from mingzheng.log.wake import Wake

NO_ANSWER: Final = "log.no_answer"
STOP_SECONDS: Final = 30.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontLimits:
    """`entries`, `size_bytes`: what may wait in the queue, of all front ends together. Seconds: how long an answer is
    waited for; how often the database is looked at unasked; after which a lost connection is tried again."""

    entries: int = 4_096
    size_bytes: int = 16 << 20
    answer_seconds: float = 25.0
    look_seconds: float = 0.5
    again_seconds: float = 1.0


@dataclass(slots=True, eq=False)
class _Asked:
    row: QueueRow
    taken: float
    future: "Future[Any]" = field(default_factory=Future)


class FrontQueue:
    """See `intake.Intake`. Use `start`, then requests from one thread, then `stop`."""

    def __init__(
        self, connect: Callable[[], FrontTable], *, vkey: str, limits: FrontLimits, clocks: Clocks, observer: Observer
    ) -> None:
        """`connect` is called in the thread, and again after a fault. `vkey`: the log that requests are meant for."""
        self._connect, self._vkey = connect, vkey
        self._limits, self._clocks, self._observer = limits, clocks, observer
        self._lock, self._wake = threading.Lock(), Wake()
        self._fresh: deque[_Asked] = deque()
        self._queued: dict[bytes, _Asked] = {}
        self._entries = self._bytes = 0  # of both
        self._full, self._stopping = False, False
        self._trouble: str | None = NOT_OPEN
        self._table: FrontTable | None = None
        self._look_at = self._again_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="front", daemon=True)

    def start(self) -> None:
        """Begin. Whether there is a signer shows later: `trouble`."""
        self._thread.start()

    def stop(self) -> None:
        """What waits is answered as not promised. More than once is fine."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._wake.close()

    @property
    def trouble(self) -> str | None:
        """See Intake."""
        return self._trouble

    @property
    def alive(self) -> bool:
        """See Intake."""
        return self._thread.is_alive()

    def waiting(self) -> int:
        """See Intake: those of this front end."""
        return self._entries

    def check_room(self) -> None:
        """See Intake."""
        if self._trouble is not None:
            raise LogUnavailableError(self._trouble)
        if self._full or self._entries >= self._limits.entries or self._bytes >= self._limits.size_bytes:
            raise BusyError

    def take(self, entries: Sequence[bytes], *, issuer: int) -> "Future[tuple[Appended, ...]]":
        """See Intake."""
        return self._ask(
            QueueRow(
                request=os.urandom(REQUEST_BYTES),
                issuer=issuer,
                serial=None,
                bundle=encode_bundle(entries),
                entries=len(entries),
            )
        )

    def ask_issuer(self, question: IssuerQuestion) -> "Future[IssuerAnswer]":
        """See Intake."""
        request = os.urandom(REQUEST_BYTES)
        return self._ask(
            QueueRow(request=request, issuer=question.issuer, serial=question.serial, bundle=None, entries=1)
        )

    def _ask(self, row: QueueRow) -> "Future[Any]":
        asked = _Asked(row, self._clocks.monotonic())
        asked.future.set_running_or_notify_cancel()  # a client that leaves cancels nothing
        with self._lock:
            if self._trouble is not None or self._stopping:
                raise LogUnavailableError(self._trouble or NOT_OPEN)
            over = self._entries + row.entries > self._limits.entries
            if over or self._bytes + row.size_bytes > self._limits.size_bytes:
                raise BusyError
            self._fresh.append(asked)
            self._entries += row.entries
            self._bytes += row.size_bytes
        self._wake.set()
        return asked.future

    # --- in the thread

    def _run(self) -> None:
        try:
            while not self._stopping:
                self.turn()
                self._rest()
        finally:  # after any error too: the thread is gone, and says so
            self._stopping = True
            self._fail_all(self._trouble or NOT_OPEN)
            if self._table is not None:
                self._table.close()

    def turn(self) -> None:
        """Hand over what is new, look for answers, see whether the signer lives. Called by the thread, or a test."""
        now = self._clocks.monotonic()
        try:
            if self._table is None and now >= self._again_at:
                self._table = self._connect()
                self._look_at = float("-inf")
            if self._table is not None:
                look = now >= self._look_at
                self._hand_over(self._table, look=look)
                self._collect(self._table, look=look)
                if look:
                    self._look_at = now + self._limits.look_seconds
        except StorageError as error:
            self._lost(error, now)
        for asked in [asked for asked in self._queued.values() if now - asked.taken > self._limits.answer_seconds]:
            self._end(asked, LogUnavailableError(NO_ANSWER))

    def _rest(self) -> None:
        if self._table is None:
            self._wake.wait(self._limits.look_seconds)
            return
        try:
            self._table.wait(self._wake, self._limits.look_seconds)
        except StorageError as error:
            self._lost(error, self._clocks.monotonic())

    def _hand_over(self, table: FrontTable, *, look: bool) -> None:
        """Queue as many as fit. The room and the signer's beat are read where nobody else inserts meanwhile."""
        with self._lock:
            batch = [self._fresh.popleft() for _ in range(min(len(self._fresh), ROWS_AT_ONCE))]
        if not batch:
            if look:
                self._see(*table.look())
            return
        refused: list[tuple[_Asked, Exception]] = []

        def judge(beat: Beat | None, load: Load) -> list[QueueRow]:
            refused.clear()
            trouble, rows = self._see(beat, load), []
            entries, size = load.entries, load.size_bytes
            for asked in batch:
                row = asked.row
                if trouble is not None:
                    refused.append((asked, LogUnavailableError(trouble)))
                elif entries + row.entries > self._limits.entries or size + row.size_bytes > self._limits.size_bytes:
                    refused.append((asked, BusyError()))
                else:
                    entries, size = entries + row.entries, size + row.size_bytes
                    rows.append(row)
            return rows

        try:
            table.put(judge)
        except StorageError as error:  # whether it was queued is not known; asking again tells
            for asked in batch:
                self._end(asked, LogUnavailableError(error.code))
            raise
        for asked, why in refused:
            self._end(asked, why)
        turned_away = {id(asked) for asked, _why in refused}
        self._queued |= {asked.row.request: asked for asked in batch if id(asked) not in turned_away}

    def _see(self, beat: Beat | None, load: Load) -> str | None:
        """Note how the signer and the queue are."""
        trouble = standing(beat, self._vkey)
        if trouble != self._trouble:
            said = _logger.info if trouble is None else _logger.error
            said("signer %s", "takes entries" if trouble is None else f"takes nothing code={trouble}")
        self._trouble = trouble
        self._full = load.entries >= self._limits.entries or load.size_bytes >= self._limits.size_bytes
        return trouble

    def _collect(self, table: FrontTable, *, look: bool) -> None:
        """Give answers to who waits for them. What is neither queued nor answered any more is given up."""
        if not self._queued:
            return
        there = table.queued(self._queued) if look else set(self._queued)  # first: it may be answered between the two
        answers = table.answers(self._queued)
        now = self._clocks.monotonic()
        for request, asked in list(self._queued.items()):
            body = answers.get(request)
            if body is not None:
                self._answer(asked, body, now)
            elif request not in there:
                self._end(asked, LogUnavailableError(NO_ANSWER))

    def _answer(self, asked: _Asked, body: bytes, now: float) -> None:
        try:
            answer = decode_answer(body, asked.row)
        except QueueRowError as error:
            _logger.error("answer not read code=%s", error.code)
            self._end(asked, LogUnavailableError(error.code))
            return
        if isinstance(answer, SubmissionError | LogUnavailableError):
            self._end(asked, answer)
            return
        self._forget(asked)
        asked.future.set_result(answer)
        if asked.row.bundle is not None:
            self._observer.request_done(entries=asked.row.entries, seconds=now - asked.taken)

    def _end(self, asked: _Asked, error: Exception) -> None:
        self._forget(asked)
        asked.future.set_exception(error)

    def _forget(self, asked: _Asked) -> None:
        self._queued.pop(asked.row.request, None)
        with self._lock:
            self._entries -= asked.row.entries
            self._bytes -= asked.row.size_bytes

    def _lost(self, error: StorageError, now: float) -> None:
        """The database failed: connect again later. What is queued is looked for then."""
        _logger.error("queue failed code=%s error=%s", error.code, type(error).__name__)
        self._trouble = error.code
        self._again_at = now + self._limits.again_seconds
        table, self._table = self._table, None
        if table is not None:
            table.close()
        with self._lock:
            fresh, self._fresh = self._fresh, deque()
        for asked in fresh:
            self._end(asked, LogUnavailableError(error.code))

    def _fail_all(self, code: str) -> None:
        with self._lock:
            self._trouble = code
            fresh, self._fresh = self._fresh, deque()
        for asked in [*fresh, *self._queued.values()]:
            self._end(asked, LogUnavailableError(code))


__all__ = ["NO_ANSWER", "FrontLimits", "FrontQueue"]
