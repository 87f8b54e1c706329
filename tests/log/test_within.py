"""Peers that drip: the time of an answer runs in all, not from byte to byte."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mingzheng.log.client import FetchError
from mingzheng.log.httpfetch import HttpFetcher, HttpLimits
from mingzheng.log.submitclient import HttpTransport as SubmitTransport
from mingzheng.log.witnessclient import HttpTransport, TransportError

DRIPS = {
    "header": b"HTTP/1.1 200 OK\r\nX: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n",
    "body to the end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
}


@contextlib.contextmanager
def _peer(speak: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            wire, _ = listening.accept()
            with wire, contextlib.suppress(OSError):
                wire.recv(65_536)
                speak(wire, over)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def _drip(begin: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def speak(wire: socket.socket, over: threading.Event) -> None:
        wire.sendall(begin)
        while not over.wait(0.02):
            wire.sendall(b"a")

    return speak


@pytest.mark.parametrize("where", DRIPS)
def test_a_witness_that_drips_is_left(where: str) -> None:
    with _peer(_drip(DRIPS[where])) as url:
        start = time.monotonic()
        with pytest.raises(TransportError):
            HttpTransport().post(f"{url}/add-checkpoint", b"x", timeout=0.2)
        assert time.monotonic() - start < 30  # the drip would go on for ever


@pytest.mark.parametrize("where", DRIPS)
def test_a_log_s_server_that_drips_is_left_and_asked_again(where: str) -> None:
    with _peer(_drip(DRIPS[where])) as url:
        start = time.monotonic()
        transport = SubmitTransport(url, timeout=0.2)
        with pytest.raises((TimeoutError, http.client.HTTPException)):  # which are repeated
            transport.ask("POST", "/v1/entries", {}, b"x")
        transport.close()
        assert time.monotonic() - start < 30


@pytest.mark.parametrize("where", DRIPS)
def test_a_log_s_files_that_drip_are_left(where: str) -> None:
    with _peer(_drip(DRIPS[where])) as url:
        start = time.monotonic()
        with (
            HttpFetcher(url, limits=HttpLimits(wait=60.0, total=0.2)) as fetcher,
            pytest.raises(FetchError),
        ):
            fetcher.fetch("checkpoint")
        assert time.monotonic() - start < 30


def test_an_answer_that_was_cut_off_is_asked_again_not_called_untrue() -> None:
    def cut(wire: socket.socket, _over: threading.Event) -> None:
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        wire.shutdown(socket.SHUT_RDWR)

    with _peer(cut) as url, pytest.raises(http.client.IncompleteRead):
        SubmitTransport(url).ask("GET", "/v1/issuers/1", {}, b"")
