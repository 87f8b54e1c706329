"""Servers that drip: the time of an answer, of its head and of a handshake too, runs in all."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from mingzheng.keys import tuffetch
from mingzheng.keys.deadline import within
from mingzheng.keys.tuferrors import TufSlowError
from mingzheng.keys.tuffetch import HttpSource

DRIPS = {
    "answer": b"",
    "header": b"HTTP/1.1 200 OK\r\nX: ",
    "header of a file that is missing": b"HTTP/1.1 404 Not Found\r\nX: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n",
    "size of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
}


@contextlib.contextmanager
def dripping(begin: bytes) -> Iterator[int]:
    """The port of a server that says this and then goes on byte by byte, to everyone who comes."""
    over = threading.Event()

    def answer(listening: socket.socket) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                wire, _ = listening.accept()
                with wire:
                    wire.recv(65_536)
                    wire.sendall(begin)
                    while not over.wait(0.02):
                        wire.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("where", DRIPS)
def test_a_publication_that_drips_is_left(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuffetch, "WHOLE_SECONDS", 0.2)
    with dripping(DRIPS[where]) as port:
        source = HttpSource(f"http://127.0.0.1:{port}/")
        begun = time.monotonic()
        with pytest.raises(TufSlowError, match=r"took over 0\.2 seconds"):
            source.read("timestamp.json", most=100_000)
        assert time.monotonic() - begun < 30  # the drip would go on for ever
        with pytest.raises(TufSlowError):  # of all reads together
            source.read("timestamp.json", most=100_000)


def test_a_handshake_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of TLS announced, and then a byte at a time."""
    monkeypatch.setattr(tuffetch, "WHOLE_SECONDS", 0.2)
    with dripping(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc") as port:
        begun = time.monotonic()
        with pytest.raises(TufSlowError):
            HttpSource(f"https://127.0.0.1:{port}/").read("timestamp.json", most=100_000)
        assert time.monotonic() - begun < 30


def test_a_proxy_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuffetch, "WHOLE_SECONDS", 0.2)
    with dripping(b"HTTP/1.1 200 OK\r\nX: ") as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        begun = time.monotonic()
        with pytest.raises(TufSlowError):
            HttpSource("https://mirror.example/").read("timestamp.json", most=100_000)
        assert time.monotonic() - begun < 30


def test_a_socket_that_comes_late_is_shut_as_well() -> None:
    """While a connection is secured its socket is not to be had."""
    near, far = socket.socketpair()
    asked = threading.Event()
    sockets: list[socket.socket] = []

    def find() -> socket.socket | None:
        asked.set()
        return sockets[0] if sockets else None

    with near, far, pytest.raises(TimeoutError), within(find, 0):
        assert asked.wait(30)
        sockets.append(near)
        assert near.recv(1) == b""


def test_what_fails_in_time_fails_as_it_does() -> None:
    with pytest.raises(ConnectionError), within(lambda: None, 1e12):
        raise ConnectionError
    with within(lambda: None, 60):
        pass


def test_what_fails_late_was_too_slow() -> None:
    asked = threading.Event()

    def find() -> None:
        asked.set()

    with pytest.raises(TimeoutError) as slow, within(find, -1):
        assert asked.wait(30)
        raise ConnectionError
    assert isinstance(slow.value.__cause__, ConnectionError)
