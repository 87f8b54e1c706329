"""The HTTP face of a witness in Sanic: bytes in, `WitnessNode.handle`, bytes out. Nothing is decided here.

Limits stand before a body is read: header 8 KiB, body 128 KiB, ten seconds from the first byte for the header and ten
more for the body and its answer (`server.WholeTime`). Imported only by `witness serve` (extra `server`). One process:
the memory is one SQLite file, and a request takes microseconds beside its fsync.
"""

import asyncio
import logging
import time
from types import SimpleNamespace
from typing import Final

from sanic import HTTPResponse, Request, Sanic
from sanic.config import Config
from sanic.exceptions import SanicException

from mingzheng.log.server import MAX_HEADER_BYTES, WholeTime, only_kinds_of_faults
from mingzheng.log.witness import MAX_REQUEST_BYTES, Answer, refuse
from mingzheng.log.witnessnode import WitnessNode

TIMEOUT: Final = 10  # seconds for a request to arrive, and between two of one connection

_logger = logging.getLogger(__name__)


def create_app(
    node: WitnessNode, *, prefix: str = "", name: str = "mingzheng-witness"
) -> "Sanic[Config, SimpleNamespace]":
    """The application: every path under `prefix` goes to the node, as one request at a time."""
    app = Sanic(name, configure_logging=False)
    app.config.update(
        REQUEST_MAX_SIZE=MAX_REQUEST_BYTES,
        REQUEST_MAX_HEADER_SIZE=MAX_HEADER_BYTES,
        REQUEST_TIMEOUT=TIMEOUT,
        KEEP_ALIVE_TIMEOUT=TIMEOUT,
        RESPONSE_TIMEOUT=TIMEOUT,
        GRACEFUL_SHUTDOWN_TIMEOUT=TIMEOUT,
        ACCESS_LOG=False,
        FALLBACK_ERROR_FORMAT="text",
        OAS=False,
    )
    turn = asyncio.Lock()

    async def handle(request: Request, path: str = "") -> HTTPResponse:
        body = request.body or b""
        async with turn:
            answer = await asyncio.to_thread(
                node.handle, request.method, request.path.removeprefix(prefix), body, now=int(time.time())
            )
        return _response(answer)

    app.add_route(handle, "/<path:path>", methods=["GET", "POST", "PUT", "DELETE", "PATCH"], name="witness")
    app.exception(Exception)(_failed)
    return app


def serve(node: WitnessNode, *, host: str, port: int, prefix: str = "") -> None:
    """Answer requests until the process is told to stop. Raises OSError if the address cannot be had."""
    app = create_app(node, prefix=prefix)
    only_kinds_of_faults()
    app.run(host=host, port=port, protocol=WholeTime, single_process=True, access_log=False, motd=False)


async def _failed(_request: Request, error: Exception) -> HTTPResponse:
    """What Sanic refuses keeps its status; anything else is ours and tells nothing."""
    if isinstance(error, SanicException):
        return _response(refuse(error.status_code, "refused"))
    _logger.error("failed error=%s", type(error).__name__, exc_info=error)
    return _response(refuse(500, "internal error"))


def _response(answer: Answer) -> HTTPResponse:
    return HTTPResponse(body=answer.body, status=answer.status, content_type=answer.content_type)
