"""Requests at a server over kept connections, as fast as it answers or at a fixed rate, every answer timed.

One event loop, the least parsing that HTTP/1.1 allows: the generator shares the machine with what it measures.
"""

import asyncio
import collections
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

RAMP = 200
"""Slow connections made a second."""


@dataclass
class Outcome:
    """What came back. `seconds`: of answers 200 (304), in order of arrival; `kept`: what `keep` made of a 200."""

    statuses: "collections.Counter[int]" = field(default_factory=collections.Counter)
    seconds: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    broken: int = 0
    unsent: int = 0
    took: float = 0.0

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.seconds)
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else -1.0

    def summary(self) -> dict[str, object]:
        """For the results."""
        good = self.statuses[200] + self.statuses[304]
        return {
            "answers": {str(status): count for status, count in sorted(self.statuses.items())},
            "good_per_second": round(good / self.took, 1) if self.took else 0.0,
            "p50_ms": self.quantile(0.5),
            "p99_ms": self.quantile(0.99),
            "max_ms": self.quantile(1.0),
            "broken_connections": self.broken,
            "not_sent_for_want_of_a_connection": self.unsent,
            "seconds": round(self.took, 1),
        }


class Connection(asyncio.Protocol):
    """One kept connection; one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._done: Callable[[int, bytes], None] | None = None
        self._transport: asyncio.Transport | None = None
        self.alive = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.alive = transport, True

    def connection_lost(self, _error: Exception | None) -> None:
        self.alive = False
        if self._done is not None:
            done, self._done = self._done, None
            done(0, b"")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.lower().find(b"content-length: ", 0, head)
        length = 0
        if at >= 0:
            length = int(self._buffer[at + 16 : self._buffer.find(b"\r\n", at)])
        if len(self._buffer) < head + 4 + length or self._done is None:
            return
        status, body = int(self._buffer[9:12]), bytes(self._buffer[head + 4 : head + 4 + length])
        del self._buffer[: head + 4 + length]
        done, self._done = self._done, None
        done(status, body)

    def ask(self, request: bytes, done: Callable[[int, bytes], None]) -> None:
        assert self._transport is not None
        self._done = done
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


Keep = Callable[[int, int, bytes], None]
"""Called with the number of the request, the status and the body of its answer."""


async def connect(port: int, count: int) -> list[Connection]:
    """That many connections."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


async def closed(port: int, count: int, requests: Iterator[bytes], seconds: float, keep: Keep | None = None) -> Outcome:
    """`count` clients, each asking again as soon as it is answered, for so long or until there are no requests."""
    outcome, loop = Outcome(), asyncio.get_running_loop()
    start = time.monotonic()
    end = start + seconds
    number = 0
    waiting: set[asyncio.Future[None]] = set()

    def ask(connection: Connection, finished: "asyncio.Future[None]") -> None:
        nonlocal number
        request = next(requests, None) if time.monotonic() < end else None
        if request is None or not connection.alive:
            outcome.broken += not connection.alive
            if not finished.done():
                finished.set_result(None)
            return
        begun, mine = time.monotonic(), number
        number += 1

        def done(status: int, body: bytes) -> None:
            _note(outcome, status, begun)
            if keep is not None:
                keep(mine, status, body)
            ask(connection, finished)

        connection.ask(request, done)

    connections = await connect(port, count)
    for connection in connections:
        finished: asyncio.Future[None] = loop.create_future()
        waiting.add(finished)
        ask(connection, finished)
    await asyncio.wait(waiting)
    outcome.took = time.monotonic() - start
    for connection in connections:
        connection.close()
    return outcome


async def paced(
    port: int, count: int, requests: Iterator[bytes], *, rate: float, seconds: float, keep: Keep | None = None
) -> Outcome:
    """`rate` requests a second whatever the answers, over at most `count` connections, timed from when each is due."""
    outcome = Outcome()
    idle = collections.deque(await connect(port, count))
    every = list(idle)
    start, number, open_ = time.monotonic(), 0, 0

    def send(connection: Connection, request: bytes, due: float, mine: int) -> None:
        nonlocal open_

        def done(status: int, body: bytes) -> None:
            nonlocal open_
            open_ -= 1
            _note(outcome, status, due)
            if keep is not None:
                keep(mine, status, body)
            if connection.alive:
                idle.append(connection)

        open_ += 1
        connection.ask(request, done)

    while (due := start + number / rate) < start + seconds:
        delay = due - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)
        elif number % 32 == 0:
            await asyncio.sleep(0)
        request = next(requests, None)
        if request is None:
            break
        while idle and not idle[0].alive:
            idle.popleft()
            outcome.broken += 1
        if idle:
            send(idle.popleft(), request, due, number)
        else:
            outcome.unsent += 1
        number += 1
    outcome.took = time.monotonic() - start
    for _ in range(600):
        if not open_:
            break
        await asyncio.sleep(0.05)
    for connection in every:
        connection.close()
    return outcome


def _note(outcome: Outcome, status: int, begun: float) -> None:
    now = time.monotonic()
    outcome.statuses[status] += 1
    if status in (200, 304):
        outcome.seconds.append(now - begun)
    outcome.ends.append(now)


async def slow(port: int, mode: str, count: int, stop: "asyncio.Event") -> int:
    """`count` connections that send their head, or their body, a few bytes at a time, or ask and never read.

    Cut off, each comes again. Returns how often one was cut off.
    """
    cuts = 0

    async def one(number: int) -> None:
        nonlocal cuts
        await asyncio.sleep(number / RAMP)
        while not stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            except OSError:
                await asyncio.sleep(1)
                continue
            try:
                if mode == "head":
                    writer.write(b"GET /checkpoint HTTP/1.1\r\nHost: x\r\n")
                elif mode == "body":
                    writer.write(b"POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
                else:
                    writer.write(b"GET /tile/0/000 HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
                while not stop.is_set():
                    if mode != "read":
                        writer.write(b"X-A: b\r\n" if mode == "head" else b"x")
                        await writer.drain()
                    await asyncio.sleep(2)
                    if writer.is_closing() or reader.at_eof():
                        break
            except OSError:
                pass
            cuts += not stop.is_set()
            writer.transport.abort()

    await asyncio.gather(*(one(number) for number in range(count)))
    return cuts
