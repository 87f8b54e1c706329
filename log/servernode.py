"""A log's server without its socket: a request in, an answer out (docs/spec/server.md). The HTTP face is `log.server`.

Reading goes to the public files, writing through the gate into the sequencer's queue. Called from one event loop.
"""

import asyncio
import base64
import json
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias

from mingzheng.log.errors import BundleError
from mingzheng.log.intake import Appended, Intake, IssuerAnswer, IssuerQuestion, IssuerState
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.reqsign import Target
from mingzheng.log.servererrors import (
    BadRequestError,
    BodyTooLargeError,
    BusyError,
    LogUnavailableError,
    MediaError,
    MethodError,
    NotServedError,
    ServerError,
    SubmitScopeError,
)
from mingzheng.log.serverfiles import PublicFiles
from mingzheng.log.servergate import Admitted, Gate, Nonces, check_entries
from mingzheng.log.servermetrics import Metrics
from mingzheng.log.serverqueue import Clocks
from mingzheng.log.tile import TILE_WIDTH, parse_bundle

MAX_BODY_BYTES: Final = 256 << 10
MAX_LAG_SECONDS: Final = 2.0
BYTES: Final = "application/octet-stream"
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
HEADERS: Final = (
    *("content-digest", "log-origin", "signature-input", "signature"),
    *("content-type", "content-encoding", "if-none-match"),
)
"""The request headers that mean anything here."""

_READS: Final = "GET, HEAD"
_ISSUER: Final = re.compile(r"/v1/issuers/([1-9][0-9]{0,4})(?:/serials/(0|[1-9][0-9]{0,12}))?", re.ASCII)
_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})

_Later: TypeAlias = "Coroutine[None, None, Reply]"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """`target`: path and query as sent. `headers`: those of HEADERS, twins joined by a comma. `peer`: an address."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    peer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `code`: of a refusal."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What the writing side needs; a server without it only reads."""

    origin_name: str
    gate: Gate
    sequencing: Intake
    clocks: Clocks
    nonces: "Nonces[Future[tuple[Appended, ...]]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What every answer may need. `gauges`: memory and open files now; `chinese`: the sentence of a code."""

    metrics: Metrics
    monotonic: Callable[[], float]
    gauges: Callable[[], Mapping[str, float]]
    chinese: Callable[[str], str]
    openapi: bytes = field(repr=False)


class LogNode:
    """Answers requests. What a client sends never raises; a fault of ours does, and the HTTP face answers for it."""

    def __init__(self, files: PublicFiles, face: Face, writing: Writing | None) -> None:
        self._files, self._face, self._writing = files, face, writing
        self.lag_seconds = 0.0  # how late the event loop is: kept by whoever runs it

    async def handle(self, request: HttpRequest) -> Reply:
        """The answer to one request."""
        start = self._face.monotonic()
        route, kid = route_of(request.target), None
        try:
            if "?" in request.target:
                raise BadRequestError("no path takes a query")
            if route == "entries" or route == "issuer":
                admitted, waiting = self._write(request, route)
                kid = admitted.record.kid.hex()
                reply = await waiting()
            else:
                reply = self._read(request, route)
        except (ServerError, SubmissionError) as error:
            reply = self.refusal(error)
        seconds = self._face.monotonic() - start
        self.count(request.method, route, reply, seconds)
        said = logging.DEBUG if reply.code is None and route != "entries" else logging.INFO
        if _logger.isEnabledFor(said):
            fields = {"method": _method(request.method), "route": route, "status": reply.status, "code": reply.code}
            fields |= {"ms": round(seconds * 1000, 1), "bytes": len(reply.body), "kid": kid}
            _logger.log(said, "request", extra={"fields": fields})
        return reply

    def refusal(self, error: ServerError | SubmissionError) -> Reply:
        """An error as RFC 9457 has it."""
        status = 422 if isinstance(error, SubmissionError) else error.status
        body: dict[str, str | int] = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "code": error.code,
            "detail": str(error),
            "message_zh": self._face.chinese(error.code),
        }
        headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
        if isinstance(error, SubmissionError):
            body |= {"position": error.position, "reason": error.reason, "detail": error.detail}
        elif error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, MethodError):
            headers["Allow"] = error.allow
        if isinstance(error, LogUnavailableError):
            body["reason"] = error.reason
        return Reply(status=status, headers=headers, body=_json(body), code=error.code)

    def count(self, method: str, route: str, reply: Reply, seconds: float) -> None:
        """Count an answer that was given."""
        self._face.metrics.answered(
            route=route, method=_method(method), status=reply.status, code=reply.code, seconds=seconds
        )

    # --- reading

    def _read(self, request: HttpRequest, route: str) -> Reply:
        if route == "other":
            raise NotServedError
        if request.method not in ("GET", "HEAD"):
            raise MethodError(_READS)
        match route:
            case "checkpoint" | "tile":
                return self._file(request)
            case "openapi":
                return _answer(self._face.openapi, JSON, cache="public, max-age=3600")
            case "metrics":
                return _answer(self._metrics().encode(), "text/plain; version=0.0.4; charset=utf-8")
            case "readyz":
                self._check_ready()
        if route == "healthz" and self._writing is not None and not self._writing.sequencing.alive:
            raise LogUnavailableError(self._writing.sequencing.trouble or "log.not_open")
        return _answer(b'{"status":"ok"}', JSON)

    def _file(self, request: HttpRequest) -> Reply:
        found = self._files.get(request.target[1:])
        headers = {"Content-Type": found.media_type, "Cache-Control": found.cache, "ETag": found.etag}
        headers["X-Content-Type-Options"] = "nosniff"
        if found.matches(request.headers.get("if-none-match")):
            return Reply(status=304, headers=headers, body=b"")
        return Reply(status=200, headers=headers, body=found.data)

    def _check_ready(self) -> None:
        if self._writing is not None:
            self._writing.sequencing.check_room()

    def _metrics(self) -> str:
        gauges = dict(self._face.gauges())
        if self._writing is not None:
            sequencing = self._writing.sequencing
            gauges["loop_lag_seconds"] = self.lag_seconds
            gauges |= {"queue_entries": sequencing.waiting(), "ready": float(sequencing.trouble is None)}
        return self._face.metrics.text(gauges)

    # --- writing

    def _write(self, request: HttpRequest, route: str) -> "tuple[Admitted, Callable[[], _Later]]":
        """Check and queue; what is returned waits for the answer. Raises ServerError, SubmissionError."""
        writing = self._writing
        if writing is None:
            raise NotServedError
        allow = "POST" if route == "entries" else "GET"
        if request.method != allow:
            raise MethodError(allow)
        if len(request.body) > MAX_BODY_BYTES:
            raise BodyTooLargeError
        if route == "entries" and (
            request.headers.get("content-type") != BYTES or "content-encoding" in request.headers
        ):
            raise MediaError
        if self.lag_seconds > MAX_LAG_SECONDS:
            raise BusyError
        writing.sequencing.check_room()
        at, now = writing.clocks.monotonic(), writing.clocks.now()
        target = Target(method=request.method, path=request.target, body=request.body, origin=writing.origin_name)
        admitted = writing.gate.admit(request.headers, target, peer=request.peer, now=now, at=at)
        if route == "entries":
            appended = self._append(writing, admitted, request.body)
            return admitted, lambda: self._appended(appended)
        question = _question(admitted, request.target)
        writing.gate.charge(admitted, 1, at=writing.clocks.monotonic())
        asked = writing.sequencing.ask_issuer(question)
        return admitted, lambda: _told(asked, question.issuer)

    def _append(self, writing: Writing, admitted: Admitted, body: bytes) -> "Future[tuple[Appended, ...]]":
        known = writing.nonces.find(admitted)
        if known is not None and not (known.done() and known.exception() is not None):
            return known
        entries = read_entries(body)
        check_entries(entries, issuer=admitted.record.issuer)
        writing.gate.charge(admitted, len(entries), at=writing.clocks.monotonic())
        future = writing.sequencing.take(entries, issuer=admitted.record.issuer)
        writing.nonces.keep(admitted, future, entries=len(entries), now=writing.clocks.now())
        return future

    @staticmethod
    async def _appended(future: "Future[tuple[Appended, ...]]") -> Reply:
        appended = await asyncio.wrap_future(future)
        rows = [{"index": x.index, "receipt": base64.b64encode(x.receipt).decode("ascii")} for x in appended]
        return _answer(_json({"entries": rows}), JSON)


def route_of(target: str) -> str:
    """The name of a path, of a closed set: for counting and logging."""
    path = target.partition("?")[0]
    if path.startswith("/tile/"):
        return "tile"
    if path in ("/checkpoint", "/healthz", "/readyz", "/metrics"):
        return path[1:]
    if path == "/v1/entries":
        return "entries"
    if path == "/openapi.json":
        return "openapi"
    return "issuer" if _ISSUER.fullmatch(path) else "other"


def read_entries(body: bytes) -> tuple[bytes, ...]:
    """The 1 to 256 entries of a bundle. Raises BadRequestError."""
    at = count = 0
    while at < len(body) and count <= TILE_WIDTH:
        at += 2 + int.from_bytes(body[at : at + 2])
        count += 1
    try:
        return parse_bundle(body, width=count)
    except BundleError as error:
        raise BadRequestError(f"the body is no bundle of 1 to {TILE_WIDTH} entries") from error


def _question(admitted: Admitted, target: str) -> IssuerQuestion:
    """What a path of the route `issuer` asks. Raises SubmitScopeError."""
    found = _ISSUER.fullmatch(target)
    assert found is not None  # the route is of that form
    number = int(found[1])
    if number != admitted.record.issuer:
        raise SubmitScopeError(f"the key is not one of issuer {number}")
    return IssuerQuestion(issuer=number, serial=None if found[2] is None else int(found[2]))


async def _told(future: "Future[IssuerAnswer]", issuer: int) -> Reply:
    answer = await asyncio.wrap_future(future)
    if isinstance(answer, IssuerState):
        numbers = {"next_act": answer.next_act, "next_notice": answer.next_notice, "next_serial": answer.next_serial}
        return _answer(_json({"issuer": issuer, **numbers, "size": answer.size}), JSON)
    return _answer(_json({"index": answer.index}), JSON)


def _answer(body: bytes, media_type: str, *, cache: str = "no-store") -> Reply:
    return Reply(status=200, headers={"Content-Type": media_type, "Cache-Control": cache}, body=body)


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _method(method: str) -> str:
    return method if method in _KNOWN_METHODS else "other"
