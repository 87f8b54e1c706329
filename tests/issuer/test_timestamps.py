"""A time-stamping authority over HTTP: a local one stands for the real."""

import http.server
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
import stampworld
from asn1crypto import tsp

from mingzheng.formats.pdf.seal import TimeStampService
from mingzheng.formats.pdf.tsp import TimeStampError
from mingzheng.issuer.timestamps import HttpTimeStamps


class Authority(http.server.BaseHTTPRequestHandler):
    """Answers questions, or with an error when asked at /broken."""

    seen: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        question = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(self.headers["Content-Type"])
        broken = self.path == "/broken"
        body = b"no" if broken else stampworld.respond(tsp.TimeStampReq.load(question)).dump()
        self.send_response(503 if broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Authority)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_asks_and_gets_a_token(address: str) -> None:
    service: TimeStampService = HttpTimeStamps(url=address, timeout_s=60)
    token = service.stamp(bytes(32))
    assert 500 < len(token) < service.token_bytes_max
    assert service.evidence is None
    assert Authority.seen[-1] == "application/timestamp-query"


def test_an_authority_that_fails_or_is_not_there(address: str) -> None:
    for url in (f"{address}/broken", "http://127.0.0.1:1/"):
        with pytest.raises(TimeStampError):
            HttpTimeStamps(url=url, timeout_s=60).stamp(bytes(32))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/", "127.0.0.1"])
def test_refuses_other_addresses(url: str) -> None:
    with pytest.raises(TimeStampError):
        HttpTimeStamps(url=url, timeout_s=1)
