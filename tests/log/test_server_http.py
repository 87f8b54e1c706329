"""The HTTP face in this process: what Sanic is given and what it gives back, its own refusals under our codes."""

import asyncio
import itertools
import json
import logging
import socket
from pathlib import Path

import pytest
from logworld import issue
from serverworld import Served, posted, served

pytest.importorskip("sanic")

from sanic.exceptions import ExpectationFailed, RequestTimeout, ServiceUnavailable

import mingzheng.log.server as face

NUMBERS = itertools.count()  # Sanic wants a new name for every application of a process


async def _speak(node: Served, requests: list[bytes]) -> list[bytes]:
    app = face.create_app(node.node, name=f"log-{next(NUMBERS)}")
    app.config.TOUCHUP = False  # Sanic rewrites its own classes, for one application a process
    sock = socket.create_server(("127.0.0.1", 0))  # Sanic takes port 0 for 8000
    server = await app.create_server(sock=sock, protocol=face.WholeTime, return_asyncio_server=True)
    assert server is not None
    await server.startup()
    await server.before_start()
    await server.after_start()
    port = server.server.sockets[0].getsockname()[1]
    answers = []
    try:
        for data in requests:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for at in range(0, len(data), 40):  # in pieces, as a network may deliver it
                writer.write(data[at : at + 40])
                await writer.drain()
            answers.append(await asyncio.wait_for(reader.read(), 20))
            writer.close()
            await writer.wait_closed()
    finally:
        app.shutdown_tasks(1)
        await server.close()
    return answers


def test_requests_and_answers_over_a_socket(tmp_path: Path) -> None:
    with served(tmp_path) as node:
        request = posted(issue(0))
        headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        length = f"Content-Length: {len(request.body)}\r\nConnection: close\r\n\r\n"
        answers = asyncio.run(
            _speak(
                node,
                [
                    f"POST /v1/entries HTTP/1.1\r\n{headers}{length}".encode() + request.body,
                    b"GET /checkpoint HTTP/1.1\r\nConnection: close\r\n\r\n",
                    b"HEAD /checkpoint HTTP/1.1\r\nConnection: close\r\n\r\n",
                    b"GET /checkpoint?x HTTP/1.1\r\nConnection: close\r\n\r\n",
                    b"BREW /checkpoint HTTP/1.1\r\nConnection: close\r\n\r\n",
                    b"POST /v1/entries HTTP/1.1\r\nContent-Length: 300000\r\nConnection: close\r\n\r\n",
                ],
            )
        )
    assert [answer.split(b" ")[1] for answer in answers] == [b"200", b"200", b"200", b"400", b"405", b"413"]
    assert b'{"entries":[{"index":0,' in answers[0]
    assert answers[1].endswith((node.world.public / "checkpoint").read_bytes())
    assert answers[2].endswith(b"\r\n\r\n")
    for answer in answers[3:]:
        assert b"content-type: application/problem+json" in answer.lower()
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"].startswith("server.")


def test_every_refusal_of_sanics_has_a_code_of_ours() -> None:
    cases = {
        RequestTimeout("x"): "server.timeout",
        ServiceUnavailable("x"): "server.log_unavailable",
        ExpectationFailed("x"): "server.bad_request",
        ZeroDivisionError("x"): "server.internal",
    }
    for error, code in cases.items():
        found = face._as_ours(error)
        assert found.code == code
        assert "x" not in str(found).split()


def test_what_sanic_logs_goes_on_without_what_it_quotes(caplog: pytest.LogCaptureFixture) -> None:
    record = logging.LogRecord(
        "sanic.error", logging.ERROR, "f", 1, "secret", None, (ValueError, ValueError("s"), None)
    )
    with caplog.at_level(logging.WARNING, "mingzheng.log.server"):
        face._Faults().handle(record)
    assert caplog.messages == ["http fault error=ValueError"]
