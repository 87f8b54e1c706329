"""The signer's end of the queue in the database: what front ends put there goes into the log, answers come back.

Source: docs/spec/server.md, "Front ends". One thread, one connection. A row stays in the queue until its answer is
stored in the same transaction: a signer that dies between the two leaves it to its successor, whom the same entries
give the same indexes. A front end is believed no more than a submit key: its rows pass the same check again.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from mingzheng.log.intake import Answer, Intake, IssuerQuestion
from mingzheng.log.queueform import QueueRow, SignerTable, encode_answer
from mingzheng.log.refusal import FencedError, StorageError, SubmissionError
from mingzheng.log.servererrors import BadRequestError, BusyError, LogUnavailableError, SubmitScopeError
from mingzheng.log.servergate import check_entries
from mingzheng.log.servernode import read_entries
from mingzheng.log.serverqueue import NOT_OPEN, Clocks
from mingzheng.log.wake import Wake

STOP_SECONDS: Final = 30.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """`ahead`: entries that may wait in this process before rows are left in the queue. Seconds: how often the
    database is looked at unasked, told that the signer lives, swept, tried again after a fault; how long answers
    are kept."""

    ahead: int = 1_024
    look_seconds: float = 0.5
    beat_seconds: float = 1.0
    sweep_seconds: float = 60.0
    again_seconds: float = 1.0
    keep_seconds: int = 600


class QueueFeed:
    """Use `start`, and `stop` after the intake was stopped."""

    def __init__(
        self,
        connect: Callable[[], SignerTable],
        intake: Intake,
        *,
        vkey: str,
        epoch: Callable[[], int | None],
        limits: FeedLimits,
        clocks: Clocks,
    ) -> None:
        """`epoch`: under which this process opened the log; None while it is not open for writing."""
        self._connect, self._intake, self._vkey, self._epoch = connect, intake, vkey, epoch
        self._limits, self._clocks = limits, clocks
        self._wake = Wake()
        self._held: dict[bytes, Future[Any]] = {}
        self._prepared: int | None = None
        self._fenced: int | None = None
        self._table: SignerTable | None = None
        self._again_at = self._beat_at = self._sweep_at = float("-inf")
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Store the answers there are, say that there is no signer any more. More than once is fine."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._wake.close()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self.turn()
                self._rest()
            self.turn(last=True)
        finally:
            if self._table is not None:
                self._table.close()

    def turn(self, *, last: bool = False) -> None:
        """Store answers, take rows, tell that we live. Called by the thread, or a test."""
        now, epoch = self._clocks.monotonic(), self._epoch()
        if epoch is None or epoch == self._fenced:
            self._held.clear()
            return
        try:
            if self._table is None:
                if now < self._again_at:
                    return
                self._table = self._connect()
            self._serve(self._table, epoch, now, last=last)
        except FencedError:
            _logger.error("fenced: another process answers the queue")
            self._fenced = epoch
            self._held.clear()
        except StorageError as error:
            self._lost(error, now)

    def _serve(self, table: SignerTable, epoch: int, now: float, *, last: bool) -> None:
        if epoch != self._prepared:
            table.prepare(epoch)
            self._held.clear()  # answers of an earlier opening are not told: the rows are offered again
            self._prepared, self._beat_at = epoch, now
        self._store(table, epoch)
        if last:
            table.beat(epoch, vkey=self._vkey, trouble=NOT_OPEN, alive=False)
            return
        if now >= self._beat_at:
            table.beat(epoch, vkey=self._vkey, trouble=self._intake.trouble, alive=True)
            self._beat_at = now + self._limits.beat_seconds
        self._feed(table)
        if now >= self._sweep_at:
            table.sweep(epoch, seconds=self._limits.keep_seconds)
            self._sweep_at = now + self._limits.sweep_seconds

    def _store(self, table: SignerTable, epoch: int) -> None:
        """Store what was answered. What the intake had no room for after all is offered again."""
        done = {request: _answer_of(future) for request, future in self._held.items() if future.done()}
        bodies = {request: encode_answer(answer) for request, answer in done.items() if answer is not None}
        if bodies:
            table.answer(epoch, bodies)
        for request in done:
            del self._held[request]

    def _feed(self, table: SignerTable) -> None:
        while self._intake.trouble is None and self._intake.waiting() < self._limits.ahead:
            rows = table.rows(but=self._held)
            try:
                for row in rows:
                    future = self._offer(row)
                    self._held[row.request] = future
                    future.add_done_callback(lambda _future: self._wake.set())
            except (BusyError, LogUnavailableError):  # it stays in the queue
                return
            if not rows:
                return

    def _offer(self, row: QueueRow) -> "Future[Any]":
        """Hand a row on, or refuse it as the gate would. Raises BusyError, LogUnavailableError."""
        if row.bundle is None:
            return self._intake.ask_issuer(IssuerQuestion(issuer=row.issuer, serial=row.serial))
        try:
            entries = read_entries(row.bundle)
            check_entries(entries, issuer=row.issuer)
            if len(entries) != row.entries:
                raise BadRequestError("the row counts its entries wrongly")
        except SubmissionError as error:
            return _refused(error)
        except (BadRequestError, SubmitScopeError) as error:
            return _refused(SubmissionError(0, error.code, str(error)))
        return self._intake.take(entries, issuer=row.issuer)

    def _rest(self) -> None:
        if self._table is None:
            self._wake.wait(self._limits.look_seconds)
            return
        try:
            self._table.wait(self._wake, self._limits.look_seconds)
        except StorageError as error:
            self._lost(error, self._clocks.monotonic())

    def _lost(self, error: StorageError, now: float) -> None:
        """The database failed: connect again later, and offer again what was not answered."""
        _logger.error("queue failed code=%s error=%s", error.code, type(error).__name__)
        self._again_at = now + self._limits.again_seconds
        self._held.clear()
        table, self._table = self._table, None
        if table is not None:
            table.close()


def _answer_of(future: "Future[Any]") -> Answer | None:
    """What to store; None where nothing was decided, and the row is offered again."""
    error = future.exception()
    match error:
        case None:
            found: Answer = future.result()
            return found
        case SubmissionError() | LogUnavailableError():
            return error
    return None


def _refused(error: SubmissionError) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


__all__ = ["FeedLimits", "QueueFeed"]
