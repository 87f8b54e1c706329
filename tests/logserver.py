"""A web server on loopback for tests: a directory of static files, or replies made by the test."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    """Asks the server's `reply` for what to send; says nothing to the terminal."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, LoopbackServer)
        self.server.asked.append(self.path)
        self.server.reply(self)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def send(self, body: bytes, *, status: int = 200, **headers: str) -> None:
        """A whole reply."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class LoopbackServer(http.server.ThreadingHTTPServer):
    """`asked`: the paths of all requests."""

    daemon_threads = True

    def __init__(self, reply: Callable[[Handler], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.asked = reply, list[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def serving(reply: Callable[[Handler], None]) -> Iterator[LoopbackServer]:
    """A server for the length of a block."""
    server = LoopbackServer(reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def static(root: Path) -> Callable[[Handler], None]:
    """The files of a directory, as any static web server gives them."""

    def reply(handler: Handler) -> None:
        path = root / handler.path.lstrip("/")
        if path.is_file():
            handler.send(path.read_bytes())
        else:
            handler.send(b"", status=404)

    return reply
