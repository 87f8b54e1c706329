"""Worker processes that read hostile files, one file at a time, within limits; the run outlives every one of them.

A worker does its set-up once, then takes a name and bytes and answers bytes. One that takes too long is killed, one
that dies is replaced; its file is tried once more, alone, in a fresh worker, and then given up with the reason
(at once if it used up its processor time, which does not depend on what else is running).
Answers come in the order of the tasks. Linux processes without threads fork, so that what the parent has loaded
needs no second reading; all others spawn. Workers ignore Ctrl-C: the parent ends them. Source:
docs/spec/verdicts.md §reading. Effectful.
"""

from __future__ import annotations

import faulthandler
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeAlias, TypeVar

from mingzheng.formats.confine import PoolLimits, confine, grant_time, kernel_keeps_memory, resident_bytes

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from types import TracebackType

__all__ = ["Done", "Loss", "Pool", "PoolBrokenError", "Start", "Task", "WorkerMemoryError", "default_start"]

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")

Work: TypeAlias = Callable[[str, bytes], bytes]
SetUp: TypeAlias = Callable[[], Work]  # must pickle where workers are spawned

AHEAD: Final = 64  # answers kept for each worker while an earlier task is still out
_ANSWER_MAX: Final = 256 * 1024 * 1024
_START_SECONDS: Final = 60.0  # to load the trust data on a slow machine
_LOOK_SECONDS: Final = 0.1  # between looks at the memory of busy workers
_READY, _ANSWER, _MEMORY = b"R", b"A", b"M"


class PoolBrokenError(Exception):
    """A process that reads files could not be started: no fault of any file. Look at memory and, when verifying, at who
    may read the trust data; a script of your own needs `if __name__ == "__main__":` around its calls.
    """

    code: ClassVar[str] = "verifier.pool_broken"


class WorkerMemoryError(Exception):
    """For `Work` to raise: the file needs more memory than there is; it may be tried in a fresh worker."""


class Loss(StrEnum):
    """Why a task has no answer."""

    WALL = "wall"  # took too long
    CPU = "cpu"  # took too much processor time
    MEMORY = "memory"
    CRASH = "crash"  # the reader died


class Start(StrEnum):
    """How workers come into being."""

    FORK = "fork"
    SPAWN = "spawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file for a worker."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Done(Generic[_T]):
    """An answer that needed no worker and only keeps its place in the order."""

    value: _T


@dataclass(slots=True, eq=False)
class _Slot(Generic[_T]):
    """A task on its way; `answer` None: not yet."""

    task: Task | None
    answer: bytes | Loss | Done[_T] | None = None
    tries: int = 0
    again: bool = False


@dataclass(slots=True, eq=False)
class _Worker(Generic[_T]):
    """A process and our end of its line; `slot` is what it works on."""

    process: BaseProcess
    line: Connection[bytes, bytes]
    deadline: float
    slot: _Slot[_T] | None = None
    files: int = 0


def default_start() -> Start:
    """Fork on Linux if the process has no other thread that could hold a lock; spawn elsewhere."""
    return Start.FORK if sys.platform == "linux" and threading.active_count() == 1 else Start.SPAWN


class Pool(Generic[_T]):
    """At most `workers` processes, started when there is work; a context manager that leaves none behind."""

    def __init__(self, set_up: SetUp, *, workers: int, limits: PoolLimits, start: Start | None = None) -> None:
        self._set_up = set_up
        self._most = max(1, workers)
        self._limits = limits
        self._start = start or default_start()
        self._workers: list[_Worker[_T]] = []
        self._looks = not kernel_keeps_memory()

    def __enter__(self) -> Pool[_T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in tuple(self._workers):
            self._remove(worker)

    def run(self, items: Iterable[Task | Done[_T]]) -> Iterator[bytes | Loss | Done[_T]]:
        """An answer for each item, in order. An item is asked for only when a worker can take it.

        Raises PoolBrokenError if workers cannot be set up.
        """
        source = iter(items)
        line: deque[_Slot[_T]] = deque()
        more = True
        while line or more:
            while line and (answer := line[0].answer) is not None:
                line.popleft()
                yield answer
            second = next((slot for slot in line if slot.again), None)
            if second is not None:
                if not any(worker.slot for worker in self._workers):
                    self._give(self._added(), second)
                self._wait()
            elif more and len(line) < AHEAD * self._most and self._has_room():
                item = next(source, None)
                more = item is not None
                if item is not None:
                    line.append(self._begin(item))
            elif line:
                self._wait()

    def _begin(self, item: Task | Done[_T]) -> _Slot[_T]:
        if isinstance(item, Done):
            return _Slot(task=None, answer=item)
        slot: _Slot[_T] = _Slot(task=item)
        idle = next((worker for worker in self._workers if worker.slot is None), None)
        self._give(idle or self._added(), slot)
        return slot

    def _has_room(self) -> bool:
        return len(self._workers) < self._most or any(worker.slot is None for worker in self._workers)

    def _added(self) -> _Worker[_T]:
        """A fresh worker, ready to work."""
        fork = self._start is Start.FORK
        context = multiprocessing.get_context("fork") if fork else multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        others = [ours, *(worker.line for worker in self._workers)] if fork else []
        loud = logging.getLogger("mingzheng").isEnabledFor(logging.DEBUG)
        process = context.Process(
            target=work_on, args=(theirs, others, self._set_up, self._limits), kwargs={"loud": loud}, daemon=True
        )
        process.start()
        theirs.close()
        worker: _Worker[_T] = _Worker(process=process, line=ours, deadline=0.0)
        self._workers.append(worker)
        if not (ours.poll(_START_SECONDS) and _heard(ours) == _READY):
            self._remove(worker)
            raise PoolBrokenError(
                "a process that reads files could not be started: look at memory and, when verifying, at who may "
                'read the trust data; a script of your own needs `if __name__ == "__main__":` around its calls'
            )
        return worker

    def _give(self, worker: _Worker[_T], slot: _Slot[_T]) -> None:
        assert slot.task is not None
        worker.slot, slot.again = slot, False
        worker.files += 1
        worker.deadline = time.monotonic() + self._limits.wall_seconds
        try:
            worker.line.send_bytes(slot.task.name.encode("utf-8", "surrogateescape"))
            worker.line.send_bytes(slot.task.data)
        except OSError:  # it died while idle; the file is not to blame, but has its second try only
            self._lost(worker, Loss.CRASH)

    def _wait(self) -> None:
        """Until a worker answers, dies or is over its time."""
        busy = [worker for worker in self._workers if worker.slot is not None]
        if not busy:
            return
        left = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
        heard = multiprocessing.connection.wait(
            [worker.line for worker in busy], min(left, _LOOK_SECONDS) if self._looks else left
        )
        for worker in busy:
            if worker.line in heard:
                self._hear(worker)
            elif time.monotonic() >= worker.deadline:
                self._lost(worker, Loss.WALL)
            elif self._looks and (resident_bytes(worker.process.pid or 0) or 0) > self._limits.memory_bytes:
                self._lost(worker, Loss.MEMORY)

    def _hear(self, worker: _Worker[_T]) -> None:
        message = _heard(worker.line)
        if message is None:
            worker.process.join(1.0)
            self._lost(worker, _why(worker.process.exitcode))
        elif message[:1] == _MEMORY:
            self._lost(worker, Loss.MEMORY)
        elif worker.slot is not None:
            worker.slot.answer, worker.slot = message[1:], None
            if worker.files >= self._limits.files:
                self._remove(worker)

    def _lost(self, worker: _Worker[_T], loss: Loss) -> None:
        """The worker is gone; its file is tried once more, then given up."""
        slot = worker.slot
        self._remove(worker)
        _logger.info("worker lost reason=%s", loss)
        if slot is not None:
            slot.tries += 1
            slot.again = slot.tries == 1 and loss is not Loss.CPU
            slot.answer = None if slot.again else loss

    def _remove(self, worker: _Worker[_T]) -> None:
        self._workers.remove(worker)
        worker.line.close()
        worker.process.kill()
        worker.process.join()
        worker.process.close()


def work_on(
    line: Connection[bytes, bytes],
    others: Sequence[Connection[bytes, bytes]],
    set_up: SetUp,
    limits: PoolLimits,
    *,
    loud: bool,
) -> None:
    """The life of a worker: until its line is closed. `others` are ends of lines that a fork has copied."""
    for other in others:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not loud:
        _silence()
    confine(limits)
    work = set_up()
    line.send_bytes(_READY)
    while (name := _heard(line)) is not None and (data := _heard(line)) is not None:
        grant_time(limits)
        try:
            answer = work(name.decode("utf-8", "surrogateescape"), data)
        except (MemoryError, WorkerMemoryError):
            line.send_bytes(_MEMORY)
            return
        line.send_bytes(_ANSWER + answer)


def _heard(line: Connection[bytes, bytes]) -> bytes | None:
    """The next message; None if the other end is gone."""
    try:
        return line.recv_bytes(_ANSWER_MAX)
    except (EOFError, OSError):
        return None


def _why(exit_code: int | None) -> Loss:
    """What the end of a process says: SIGKILL that we did not send is the kernel short of memory."""
    if exit_code == -getattr(signal, "SIGXCPU", 0) and exit_code:
        return Loss.CPU
    return Loss.MEMORY if exit_code == -getattr(signal, "SIGKILL", 9) else Loss.CRASH


def _silence() -> None:
    """What C libraries and tracebacks print may quote the file; with -vv it is shown."""
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
