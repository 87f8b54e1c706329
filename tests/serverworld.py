"""A served log: keys that may submit, a node over a log on disk, and signed requests, well made or forged."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from logworld import ACT, CREDENTIAL, DAY, IDENTITY, NAME, NOW, Keys, LogWorld, signer

from mingzheng.keys.alg import Alg
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.reqsign import Target, sign_request
from mingzheng.log.serverfiles import PublicFiles
from mingzheng.log.servergate import Gate, GateLimits, Nonces
from mingzheng.log.servermetrics import Metrics
from mingzheng.log.servernode import Face, HttpRequest, LogNode, Reply, Writing
from mingzheng.log.serverqueue import QueueLimits, Sequencing
from mingzheng.log.tile import encode_bundle

SUBMIT, SUBMIT_P256, SUBMIT_2 = signer("submit"), signer("submit p256", Alg.ESP256), signer("submit 2")
STRANGER = signer("stranger")
QUICK = QueueLimits(linger_seconds=0.0, reopen_seconds=0.01)
NO_SHARES = GateLimits(address=None)


def submit_record(key: InMemorySigner, issuer: int = 1, **changes: Any) -> KeyRecord:
    """The trust record of a submit key of this log."""
    record = KeyRecord(
        kid=key.public_key.kid,
        role=Role.SUBMIT,
        public_key=key.public_key,
        issuer=issuer,
        jurisdictions=frozenset(),
        kinds=frozenset(),
        valid_from=DAY - 100,
        valid_until=DAY + 100,
        origins=frozenset({7}),
    )
    return replace(record, **changes)


def records() -> dict[Kid, KeyRecord]:
    """The submit keys, and the log's other keys, which open no door."""
    found = dict(Keys().of)
    for record in (submit_record(SUBMIT), submit_record(SUBMIT_P256), submit_record(SUBMIT_2, issuer=2)):
        found[record.kid] = record
    return found


@dataclass
class Clock:
    """The time, as the test says."""

    seconds: int = NOW
    ticks: float = 0.0

    def now(self) -> int:
        return self.seconds

    def monotonic(self) -> float:
        self.ticks += 0.001
        return self.ticks


@dataclass
class Served:
    """A node over the log of a world; close it."""

    world: LogWorld
    clock: Clock = field(default_factory=Clock)
    records: dict[Kid, KeyRecord] = field(default_factory=records)
    limits: QueueLimits = QUICK
    gate_limits: GateLimits = NO_SHARES
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.sequencing = Sequencing(self.world.open, limits=self.limits, clocks=self.clock, observer=self.metrics)
        gate = Gate(origin=7, name=NAME, record=lambda kid: self.records.get(kid), limits=self.gate_limits)
        nonces: Nonces[Any] = Nonces(most=1_000, entries=self.gate_limits.answered)
        writing = Writing(origin_name=NAME, gate=gate, sequencing=self.sequencing, clocks=self.clock, nonces=nonces)
        self.files = PublicFiles(DirectoryFetcher(self.world.public))
        face = Face(
            metrics=self.metrics,
            monotonic=self.clock.monotonic,
            gauges=lambda: {"resident_bytes": 1.0, "open_files": 1.0},
            chinese=lambda code: f"（{code}）",
            openapi=b"{}",
        )
        self.node = LogNode(self.files, face, writing)
        self.reader = LogNode(self.files, face, None)

    def start(self) -> "Served":
        self.sequencing.start(timeout=30)
        return self

    def ask(self, request: HttpRequest) -> Reply:
        return asyncio.run(self.node.handle(request))

    def get(self, target: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask(plain(target, method=method, headers=headers))

    def post(self, *entries: bytes, **changes: Any) -> Reply:
        return self.ask(posted(*entries, **changes))


def plain(target: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> HttpRequest:
    """An unsigned request."""
    return HttpRequest(method=method, target=target, headers=headers or {}, body=b"", peer=b"192.0.2.1")


def posted(*entries: bytes, **changes: Any) -> HttpRequest:
    """A signed POST of entries. `changes`: key, created, nonce, origin."""
    return signed_request("POST", "/v1/entries", encode_bundle(entries), **changes)


def signed_request(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    key: InMemorySigner = SUBMIT,
    created: int = NOW,
    nonce: str | None = None,
    origin: str = NAME,
) -> HttpRequest:
    """A well-made signed request."""
    target = Target(method=method, path=path, body=body, origin=origin)
    headers = sign_request(target, signer=key, created=created, nonce=nonce or secrets.token_urlsafe(16))
    lowered = {name.lower(): value for name, value in headers.items()} | {"content-type": "application/octet-stream"}
    return HttpRequest(method=method, target=path, headers=lowered, body=body, peer=b"192.0.2.1")


def with_header(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    """The request with one header changed, or taken away."""
    headers = {key: text for key, text in request.headers.items() if key != name}
    return replace(request, headers=headers if value is None else {**headers, name: value})


def said(reply: Reply) -> Any:
    """The JSON of an answer."""
    return json.loads(reply.body)


@contextlib.contextmanager
def served(root: Path, **changes: Any) -> Iterator[Served]:
    """A served new log in `root`."""
    world = LogWorld(root)
    world.create().close()
    world.opened.clear()
    node = Served(world, **changes).start()
    try:
        yield node
    finally:
        node.sequencing.stop()


__all__ = ["ACT", "CREDENTIAL", "IDENTITY", "Clock", "Served", "plain", "posted", "said", "served", "signed_request"]
