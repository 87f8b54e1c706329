"""The HTTP face of a witness in this process: its limits, and what it tells of a fault."""

import asyncio
import contextlib
import itertools
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from witnessworld import MAIN, WitnessWorld

pytest.importorskip("sanic")

import mingzheng.log.server as server
import mingzheng.log.witnessserver as face
from mingzheng.log.witness import MAX_REQUEST_BYTES

NUMBERS = itertools.count()  # Sanic wants a new name for every application of a process


@pytest.fixture
def world(tmp_path: Path) -> Iterator[WitnessWorld]:
    made = WitnessWorld(tmp_path / "w")
    yield made
    made.store.close()


@contextlib.asynccontextmanager
async def _running(world: WitnessWorld) -> AsyncIterator[int]:
    app = face.create_app(world.node, prefix="/w", name=f"witness-{next(NUMBERS)}")
    app.config.TOUCHUP = False  # Sanic rewrites its own classes, for one application a process
    sock = socket.create_server(("127.0.0.1", 0))  # Sanic takes port 0 for 8000
    served = await app.create_server(sock=sock, protocol=face.WholeTime, return_asyncio_server=True)
    assert served is not None
    await served.startup()
    await served.before_start()
    await served.after_start()
    try:
        yield served.server.sockets[0].getsockname()[1]
    finally:
        app.shutdown_tasks(1)
        await served.close()


async def _ask(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    with contextlib.suppress(OSError):
        await writer.drain()
    answer = await asyncio.wait_for(_all(reader), 60)
    writer.close()
    return answer


async def _all(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes; it resets the connection where it has not read everything."""
    got = b""
    with contextlib.suppress(OSError):
        while part := await reader.read(4_096):
            got += part
    return got


def _post(body: bytes) -> bytes:
    head = f"POST /w/add-checkpoint HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_requests_and_limits_over_a_socket(world: WitnessWorld) -> None:
    async def ask() -> list[bytes]:
        async with _running(world) as port:
            return [
                await _ask(port, data)
                for data in (
                    _post(MAIN.request(0, 3)),
                    _post(MAIN.request(0, 4)),
                    _post(bytes(MAX_REQUEST_BYTES + 1)),
                    b"GET /w/x HTTP/1.1\r\nX: " + b"a" * face.MAX_HEADER_BYTES + b"\r\n\r\n",
                    b"GET /w/../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n",
                )
            ]

    answers = asyncio.run(ask())
    assert [answer.split(b" ")[1] for answer in answers] == [b"200", b"409", b"413", b"413", b"404"]
    assert answers[1].endswith(b"\r\n\r\n3\n")


@pytest.mark.parametrize("length", [b"", b"Content-Length: 99999\r\n\r\n"], ids=["header", "body"])
def test_a_client_that_drips_is_cut_off(world: WitnessWorld, monkeypatch: pytest.MonkeyPatch, length: bytes) -> None:
    monkeypatch.setattr(face, "TIMEOUT", 0.3)
    monkeypatch.setattr(server, "LAST_SECONDS", 0.2)

    async def drip() -> bytes:
        async with _running(world) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /w/add-checkpoint HTTP/1.1\r\nHost: x\r\n" + length)
            answer, start = asyncio.ensure_future(_all(reader)), time.monotonic()
            while not answer.done() and time.monotonic() - start < 30:
                with contextlib.suppress(OSError):
                    writer.write(b"a" if length else b"A: b\r\n")
                    await writer.drain()
                await asyncio.sleep(0.02)
            writer.close()
            assert answer.done()
            return answer.result()

    assert asyncio.run(drip()).split(b" ")[1] in (b"408", b"503")


def test_what_is_served_is_run_with_these_limits(world: WitnessWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, object] = {}
    monkeypatch.setattr(face.Sanic, "run", lambda _app, **named: found.update(named))
    theirs = logging.getLogger("sanic")
    before = theirs.handlers[:], theirs.propagate
    try:
        face.serve(world.node, host="127.0.0.1", port=1)
        assert found["protocol"] is face.WholeTime
        assert not theirs.propagate
        assert [type(handler).__name__ for handler in theirs.handlers] == ["_Faults"]
    finally:
        theirs.handlers[:], theirs.propagate = before


def test_a_fault_of_ours_tells_nothing(
    world: WitnessWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(world.node, "handle", broken)

    async def ask() -> bytes:
        async with _running(world) as port:
            return await _ask(port, _post(b""))

    answer = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"secret" not in answer
    assert "failed error=ZeroDivisionError" in caplog.text
