"""The HTTP face of a log in Sanic: bytes in, `LogNode.handle`, bytes out. Nothing is decided here.

Limits stand before a body is read. Sanic is imported by this module and the witness's, and they only by `log serve`
and `witness serve` (extra `server`). One process: the sequencer's thread owns the log, the event loop everything else.
"""

import asyncio
import logging
import time
from types import SimpleNamespace
from typing import Final

from sanic import HTTPResponse, Request, Sanic
from sanic.config import Config
from sanic.exceptions import SanicException
from sanic.http import Stage
from sanic.server.protocols.http_protocol import HttpProtocol

from mingzheng.log.servererrors import (
    BadRequestError,
    BodyTooLargeError,
    InternalError,
    LogUnavailableError,
    MethodError,
    NotServedError,
    ServerError,
    TimeoutRequestError,
)
from mingzheng.log.servernode import HEADERS, MAX_BODY_BYTES, HttpRequest, LogNode, Reply, route_of

HEADER_SECONDS: Final = 10
ANSWER_SECONDS: Final = 30  # from the end of the header: body, round, and a reader that takes its time
IDLE_SECONDS: Final = 15
LAST_SECONDS: Final = 1
MAX_HEADER_BYTES: Final = 8 << 10
WATCH_SECONDS: Final = 0.05
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")

_logger = logging.getLogger(__name__)


def create_app(node: LogNode, *, name: str = "mingzheng-log") -> "Sanic[Config, SimpleNamespace]":
    """The application: every path goes to the node."""
    app = Sanic(name, configure_logging=False)
    app.config.update(
        REQUEST_MAX_SIZE=MAX_BODY_BYTES,
        REQUEST_MAX_HEADER_SIZE=MAX_HEADER_BYTES,
        REQUEST_TIMEOUT=HEADER_SECONDS,
        RESPONSE_TIMEOUT=ANSWER_SECONDS,
        KEEP_ALIVE_TIMEOUT=IDLE_SECONDS,
        GRACEFUL_SHUTDOWN_TIMEOUT=ANSWER_SECONDS,
        ACCESS_LOG=False,
        FALLBACK_ERROR_FORMAT="text",
        OAS=False,
    )

    async def handle(request: Request, path: str = "") -> HTTPResponse:
        return _response(await node.handle(_request(request)))

    async def failed(request: Request, error: Exception) -> HTTPResponse:
        reply = node.refusal(_as_ours(error))
        target = request.raw_url.decode("ascii", "replace") if request is not None else ""
        node.count(request.method or "", route_of(target), reply, 0.0)
        return _response(reply)

    async def watch() -> None:
        while True:
            due = time.monotonic() + WATCH_SECONDS
            await asyncio.sleep(WATCH_SECONDS)
            node.lag_seconds = max(time.monotonic() - due, 0.9 * node.lag_seconds - 0.01, 0.0)

    app.add_task(watch())
    app.add_route(handle, "/<path:path>", methods=METHODS, name="log")
    app.exception(Exception)(failed)
    return app


class WholeTime(HttpProtocol):
    """Sanic begins to count anew at every byte, so that a client who drips holds its connection for ever: here a
    request has its seconds from its first byte on, and is let go when they are over."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        begun = None if self.http is None or self.http.stage is Stage.IDLE else self._time
        super().data_received(data)
        if begun is not None:
            self._time = begun

    def check_timeouts(self) -> None:
        """See HttpProtocol. Once a time is over Sanic answers and looks no more, and what is left of a body may drip
        for ever: a client has LAST_SECONDS to read the answer."""
        looking = self._callback_check_timeouts
        super().check_timeouts()  # type: ignore[no-untyped-call]
        if self._callback_check_timeouts is looking:
            self.loop.call_later(LAST_SECONDS, self._let_go)

    def _let_go(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Faults(logging.Handler):
    """What Sanic logs quotes what clients sent: of it only the kind of an error goes on, as a line of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        if record.levelno >= logging.WARNING:
            kind = record.exc_info[0] if record.exc_info else None
            _logger.warning("http fault error=%s", "none" if kind is None else kind.__name__)


def serve(node: LogNode, *, host: str, port: int) -> None:
    """Answer requests until the process is told to stop. Raises OSError if there is no such address."""
    app = create_app(node)
    only_kinds_of_faults()
    app.run(host=host, port=port, protocol=WholeTime, single_process=True, access_log=False, motd=False, backlog=1_024)


def only_kinds_of_faults() -> None:
    """From here on Sanic's own lines quote nothing that a client sent."""
    theirs = logging.getLogger("sanic")
    theirs.handlers[:], theirs.propagate = [_Faults()], False


def _request(request: Request) -> HttpRequest:
    given = request.headers
    headers = {name: ", ".join(given.getall(name)) for name in HEADERS if name in given}
    return HttpRequest(
        method=request.method,
        target=request.raw_url.decode("ascii", "replace"),
        headers=headers,
        body=request.body or b"",
        peer=request.ip.encode(),
    )


def _response(reply: Reply) -> HTTPResponse:
    headers = dict(reply.headers)
    return HTTPResponse(reply.body, status=reply.status, content_type=headers.pop("Content-Type"), headers=headers)


def _as_ours(error: Exception) -> ServerError:
    """What Sanic refuses, under our codes; anything else is a fault of ours and tells nothing."""
    status = error.status_code if isinstance(error, SanicException) else 500
    match status:
        case 404:
            return NotServedError()
        case 405:
            return MethodError("GET, HEAD, POST")
        case 408:
            return TimeoutRequestError()
        case 413:
            return BodyTooLargeError()
        case 503:
            return LogUnavailableError("server.timeout")
    if 400 <= status < 500:
        return BadRequestError("not a request this server can read")
    _logger.error("failed error=%s", type(error).__name__, exc_info=error)
    return InternalError()
