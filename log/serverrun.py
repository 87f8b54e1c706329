"""Everything of a log's server put together and run: clocks, memory figures, JSON log lines, trust data read again.

Source: docs/spec/server.md, "Operating". Sanic is imported when a server runs, not before.
"""

import contextlib
import importlib.resources
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import KeyRecord
from mingzheng.log.client import Fetcher
from mingzheng.log.frontqueue import FrontLimits, FrontQueue
from mingzheng.log.intake import Appended, Intake
from mingzheng.log.queuefeed import FeedLimits, QueueFeed
from mingzheng.log.queueform import FrontTable, SignerTable
from mingzheng.log.serverfiles import PublicFiles
from mingzheng.log.servergate import Gate, GateLimits, Nonces
from mingzheng.log.servermetrics import Metrics
from mingzheng.log.servernode import Face, LogNode, Writing
from mingzheng.log.serverqueue import Clocks, QueueLimits, Sequencing
from mingzheng.log.writer import Log

SWITCH_SECONDS: Final = 0.0005
"""How long the sequencer's thread may keep the interpreter from the event loop: a tenth of Python's default."""

START_SECONDS: Final = 600.0  # a recovery may have much to read

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPlan:
    """The queue through which front ends reach the signer. `epoch`: see QueueFeed."""

    connect: Callable[[], SignerTable]
    epoch: Callable[[], int | None]
    vkey: str
    limits: FeedLimits = field(default_factory=FeedLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePlan:
    """The writing side. `records` reads the submit keys, at the start and at every SIGHUP. `feed` None: the log's
    only requests are this server's own."""

    open_log: Callable[[], Log]
    origin_number: int
    origin_name: str
    records: Callable[[], Callable[[Kid], KeyRecord | None]]
    queue: QueueLimits = field(default_factory=QueueLimits)
    gate: GateLimits = field(default_factory=GateLimits)
    feed: FeedPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPlan:
    """The writing side of a front end: it queues, another process signs. `vkey`: of the log it is for."""

    connect: Callable[[], FrontTable]
    vkey: str
    origin_number: int
    origin_name: str
    records: Callable[[], Callable[[Kid], KeyRecord | None]]
    queue: FrontLimits = field(default_factory=FrontLimits)
    gate: GateLimits = field(default_factory=GateLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServePlan:
    """What to serve and where. `write` None: only reading."""

    fetcher: Fetcher
    host: str
    port: int
    chinese: Callable[[str], str]
    write: WritePlan | FrontPlan | None


class SystemClocks:
    """See serverqueue.Clocks."""

    def now(self) -> int:
        """Seconds since the epoch."""
        return int(time.time())

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, what, and the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, object] = {"time": stamp, "level": record.levelname.lower(), "event": record.getMessage()}
        line["from"] = record.name.removeprefix("mingzheng.")
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= {name: value for name, value in fields.items() if value is not None}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def run(plan: ServePlan) -> None:
    """Serve until the process is told to stop. Raises what opening the log raises, OSError for the address."""
    from mingzheng.log.server import serve  # Sanic takes half a second to import

    sys.setswitchinterval(SWITCH_SECONDS)
    with node_of(plan) as node:
        _logger.info("serving", extra={"fields": {"host": plan.host, "port": plan.port}})
        serve(node, host=plan.host, port=plan.port)


@contextlib.contextmanager
def node_of(plan: ServePlan) -> Iterator[LogNode]:
    """The node, its sequencer running while the context is open."""
    clocks, metrics = SystemClocks(), Metrics()
    face = Face(metrics=metrics, monotonic=clocks.monotonic, gauges=gauges, chinese=plan.chinese, openapi=openapi())
    files = PublicFiles(plan.fetcher)
    write = plan.write
    if write is None:
        yield LogNode(files, face, None)
        return
    gate = Gate(origin=write.origin_number, name=write.origin_name, record=write.records(), limits=write.gate)
    nonces: Nonces[Future[tuple[Appended, ...]]] = Nonces(most=write.gate.nonces, entries=write.gate.answered)
    intake = _front(write, clocks, metrics) if isinstance(write, FrontPlan) else _own(write, clocks, metrics)
    with intake as taking, _on_hangup(lambda: _read_again(gate, write)):
        writing = Writing(origin_name=write.origin_name, gate=gate, sequencing=taking, clocks=clocks, nonces=nonces)
        yield LogNode(files, face, writing)


@contextlib.contextmanager
def _own(write: WritePlan, clocks: Clocks, metrics: Metrics) -> Iterator[Intake]:
    """This process signs, and takes from the queue what front ends put there."""
    sequencing = Sequencing(write.open_log, limits=write.queue, clocks=clocks, observer=metrics)
    feed = write.feed
    feeding = None
    if feed is not None:
        feeding = QueueFeed(
            feed.connect, sequencing, vkey=feed.vkey, epoch=feed.epoch, limits=feed.limits, clocks=clocks
        )
    sequencing.start(timeout=START_SECONDS)
    try:
        if feeding is not None:
            feeding.start()
        yield sequencing
    finally:
        sequencing.stop()
        if feeding is not None:
            feeding.stop()  # after it: what was sequenced last is answered, too


@contextlib.contextmanager
def _front(write: FrontPlan, clocks: Clocks, metrics: Metrics) -> Iterator[Intake]:
    """Another process signs."""
    front = FrontQueue(write.connect, vkey=write.vkey, limits=write.queue, clocks=clocks, observer=metrics)
    front.start()
    try:
        yield front
    finally:
        front.stop()


def openapi() -> bytes:
    """The interface's description, as shipped."""
    return importlib.resources.files("mingzheng.log").joinpath("openapi.json").read_bytes()


def gauges() -> dict[str, float]:
    """Memory and open files of this process, where the system tells (Linux)."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        found["resident_bytes"] = float(pages * os.sysconf("SC_PAGE_SIZE"))
        found["open_files"] = float(len(os.listdir("/proc/self/fd")))
    return found


def _read_again(gate: Gate, write: WritePlan | FrontPlan) -> None:
    try:
        gate.record = write.records()
    except (KeysError, OSError) as error:
        _logger.error("trust data not read again, the old ones stand error=%s", type(error).__name__)
    else:
        _logger.info("trust data read again")


@contextlib.contextmanager
def _on_hangup(action: Callable[[], None]) -> Iterator[None]:
    """SIGHUP runs `action` in the main thread; where there is no such signal, nothing does."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.signal(signal.SIGHUP, lambda _number, _frame: action())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


__all__ = [
    *("FeedPlan", "FrontPlan", "JsonLines", "ServePlan", "SystemClocks", "WritePlan"),
    *("gauges", "node_of", "openapi", "run"),
]
