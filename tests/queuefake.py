"""The queue between front ends and the signer in memory: the tables survive, the faces are a process's own."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from mingzheng.log.intake import Appended, IssuerAnswer, IssuerQuestion, IssuerState, SerialPlace
from mingzheng.log.queueform import Beat, Judge, Load, QueueRow
from mingzheng.log.refusal import FencedError, StateUnavailableError
from mingzheng.log.servererrors import BusyError, LogUnavailableError
from mingzheng.log.wake import Wake


@dataclass
class Ticks:
    """Time, as the test says."""

    at: float = 1_000.0

    def now(self) -> int:
        return int(self.at)

    def monotonic(self) -> float:
        return self.at


@dataclass
class Tables:
    """What the database holds. `faults`: names of calls that fail next."""

    clock: Ticks = field(default_factory=Ticks)
    epoch: int = 1
    queue: dict[bytes, QueueRow] = field(default_factory=dict)
    answer: dict[bytes, tuple[bytes, float]] = field(default_factory=dict)
    beat: tuple[float, str | None, str] | None = None
    made: bool = False
    faults: list[str] = field(default_factory=list)

    def check(self, name: str) -> None:
        if name in self.faults:
            self.faults.remove(name)
            raise StateUnavailableError(f"fault in {name}")

    def load(self) -> Load:
        rows = self.queue.values()
        return Load(entries=sum(row.entries for row in rows), size_bytes=sum(row.size_bytes for row in rows))

    def look(self) -> tuple[Beat | None, Load]:
        if self.beat is None:
            return None, self.load()
        at, trouble, vkey = self.beat
        return Beat(age_seconds=self.clock.at - at, trouble=trouble, vkey=vkey), self.load()


class Front:
    """See FrontTable."""

    def __init__(self, tables: Tables) -> None:
        tables.check("connect")
        self._tables = tables

    def put(self, judge: Judge) -> None:
        self._tables.check("put")
        rows = judge(*self._tables.look())
        self._tables.queue |= {row.request: row for row in rows}
        self._tables.check("put answer")

    def look(self) -> tuple[Beat | None, Load]:
        self._tables.check("look")
        return self._tables.look()

    def queued(self, requests: Collection[bytes]) -> set[bytes]:
        return set(requests) & self._tables.queue.keys()

    def answers(self, requests: Collection[bytes]) -> dict[bytes, bytes]:
        self._tables.check("answers")
        return {request: self._tables.answer[request][0] for request in requests if request in self._tables.answer}

    def wait(self, wake: Wake, seconds: float) -> None:
        self._tables.check("wait")
        wake.wait(min(seconds, 0.002))

    def close(self) -> None:
        """Nothing is held."""


class Feed:
    """See SignerTable."""

    def __init__(self, tables: Tables) -> None:
        tables.check("feed connect")
        self._tables = tables

    def _fenced(self, epoch: int) -> None:
        if epoch != self._tables.epoch:
            raise FencedError

    def prepare(self, epoch: int) -> None:
        self._fenced(epoch)
        self._tables.made = True

    def rows(self, *, but: Collection[bytes]) -> list[QueueRow]:
        self._tables.check("rows")
        return [row for request, row in self._tables.queue.items() if request not in but]

    def answer(self, epoch: int, bodies: Mapping[bytes, bytes]) -> None:
        self._tables.check("answer")
        self._fenced(epoch)
        for request, body in bodies.items():
            self._tables.answer.setdefault(request, (body, self._tables.clock.at))
            self._tables.queue.pop(request, None)

    def beat(self, epoch: int, *, vkey: str, trouble: str | None, alive: bool) -> None:
        self._fenced(epoch)
        self._tables.beat = (self._tables.clock.at - (0 if alive else 86_400), trouble, vkey)

    def sweep(self, epoch: int, *, seconds: int) -> int:
        self._fenced(epoch)
        old = [request for request, (_body, at) in self._tables.answer.items() if at < self._tables.clock.at - seconds]
        for request in old:
            del self._tables.answer[request]
        return len(old)

    def wait(self, wake: Wake, seconds: float) -> None:
        self._tables.check("feed wait")
        wake.wait(min(seconds, 0.002))

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Sink:
    """An intake that appends at once, or when told to: the same entry gets the same index. `entries` survives."""

    entries: list[bytes] = field(default_factory=list)
    trouble: str | None = None
    alive: bool = True
    room: int = 10_000
    held: list[tuple[tuple[bytes, ...], "Future[Any]"]] | None = None
    offered: int = 0

    def waiting(self) -> int:
        return sum(len(entries) for entries, _future in self.held or ())

    def check_room(self) -> None:
        """There is some."""

    def take(self, entries: Sequence[bytes], *, issuer: int) -> "Future[tuple[Appended, ...]]":
        if self.trouble is not None:
            raise LogUnavailableError(self.trouble)
        if self.waiting() + len(entries) > self.room:
            raise BusyError
        self.offered += 1
        future: Future[Any] = Future()
        if self.held is None:
            self._append(tuple(entries), future)
        else:
            self.held.append((tuple(entries), future))
        return future

    def go(self) -> None:
        assert self.held is not None
        for entries, future in self.held:
            self._append(entries, future)
        self.held.clear()

    def ask_issuer(self, question: IssuerQuestion) -> "Future[IssuerAnswer]":
        future: Future[IssuerAnswer] = Future()
        if question.serial is None:
            future.set_result(
                IssuerState(next_act=question.issuer, next_notice=1, next_serial=9, size=len(self.entries))
            )
        else:
            future.set_result(SerialPlace(index=question.serial if question.serial < 100 else None))
        return future

    def _append(self, entries: tuple[bytes, ...], future: "Future[Any]") -> None:
        for entry in entries:
            if entry not in self.entries:
                self.entries.append(entry)
        future.set_result(
            tuple(Appended(index=self.entries.index(entry), receipt=b"receipt of " + entry[:4]) for entry in entries)
        )
