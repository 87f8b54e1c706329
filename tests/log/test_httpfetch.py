"""A log over http: caps, time limits, redirects, compressed and broken replies, no proxies."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from logserver import Handler, serving, static
from logworld import ORIGIN_KEYS, LogWorld, issue, trust

from mingzheng.log import httpfetch
from mingzheng.log.client import MAX_CHECKPOINT_BYTES, FetchError
from mingzheng.log.errors import TilePathError
from mingzheng.log.httpfetch import HttpFetcher, HttpLimits, LogUrlError, is_log_url, parse_log_url
from mingzheng.log.monitor import AuditPlan, audit

LIMITS = HttpLimits(wait=60.0, total=120.0)


def test_an_audit_over_http_is_one_over_the_directory(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(600)))
    world.submit(log, issue(600))
    with serving(static(world.public)) as server, HttpFetcher(server.url + "/", limits=LIMITS) as fetcher:
        plan = AuditPlan(fetcher=fetcher, keys=ORIGIN_KEYS, trust=trust(), state_file=None, receipts_dir=None)
        report = audit(plan)
        assert report.clean
        assert report.entries == log.head()[0]
        assert server.asked[0] == "/checkpoint"
        assert all(path == "/checkpoint" or path.startswith("/tile/") for path in server.asked)


def test_a_prefix_is_kept_and_one_connection_serves() -> None:
    ports: set[int] = set()

    def reply(handler: Handler) -> None:
        ports.add(handler.client_address[1])
        handler.send(b"x")

    with serving(reply) as server, HttpFetcher(server.url + "/logs/7/", limits=LIMITS) as fetcher:
        assert [fetcher.fetch(path) for path in ("checkpoint", "tile/0/000", "tile/entries/x001/002.p/3")] == [b"x"] * 3
        assert server.asked == ["/logs/7/checkpoint", "/logs/7/tile/0/000", "/logs/7/tile/entries/x001/002.p/3"]
    assert len(ports) == 1


@pytest.mark.parametrize("path", ["../secret", "tile/0/../../x", "tile/0/000?x=1", "/etc/passwd", "tile/9/000", ""])
def test_only_paths_of_a_log_are_asked_for(path: str) -> None:
    with serving(lambda handler: handler.send(b"x")) as server:
        with HttpFetcher(server.url, limits=LIMITS) as fetcher, pytest.raises(TilePathError):
            fetcher.fetch(path)
        assert server.asked == []


def _chunked(handler: Handler, *chunks: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for chunk in chunks:
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    handler.wfile.write(b"0\r\n\r\n")


def _endless(handler: Handler) -> None:
    handler.close_connection = True
    handler.send_response(200)
    handler.end_headers()
    for _ in range(MAX_CHECKPOINT_BYTES // 65_536 + 8):
        handler.wfile.write(bytes(65_536))


def _broken_chunk(handler: Handler) -> None:
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"zz\r\n")


def _short(handler: Handler) -> None:
    handler.close_connection = True
    handler.send(b"abc", Content_Length="9")


def _garbage(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"not http at all\r\n\r\n")


def _headers(handler: Handler) -> None:
    handler.close_connection = True
    handler.send(b"x", **{f"X_{number}": "y" for number in range(200)})


def _to(address: str) -> Callable[[Handler], None]:
    return lambda handler: handler.send(b"", status=302, Location=address)


FAULTS: dict[str, tuple[Callable[[Handler], None], str]] = {
    "missing": (lambda handler: handler.send(b"no", status=404), "is missing"),
    "gone": (lambda handler: handler.send(b"no", status=410), "is missing"),
    "server error": (lambda handler: handler.send(b"no", status=500), "status 500"),
    "partial content": (lambda handler: handler.send(b"x", status=206), "status 206"),
    "too large by its header": (lambda handler: handler.send(bytes(MAX_CHECKPOINT_BYTES + 1)), "is larger than"),
    "endless": (_endless, "is larger than"),
    "too large in chunks": (lambda handler: _chunked(handler, *[bytes(65_536)] * 17), "is larger than"),
    "compressed": (lambda handler: handler.send(b"x", Content_Encoding="gzip"), "compressed"),
    "cut short": (_short, "broke off|has 3 bytes of 9"),
    "bad chunk": (_broken_chunk, "broke off"),
    "no HTTP": (_garbage, "cannot be fetched"),
    "too many headers": (_headers, "cannot be fetched"),
    "another host": (_to("http://example.org/checkpoint"), "another host"),
    "another port": (_to("http://127.0.0.1:1/checkpoint"), "another host"),
    "another scheme": (lambda handler: handler.send(b"", status=302, Location="file:///etc/passwd"), "another host"),
    "no address": (lambda handler: handler.send(b"", status=302, Location="http://[x"), "another host"),
    "no location": (lambda handler: handler.send(b"", status=301), "another host"),
    "round and round": (lambda handler: handler.send(b"", status=307, Location="/checkpoint"), "more than 3 redirects"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_bad_reply_is_a_fetch_error(case: str) -> None:
    reply, text = FAULTS[case]
    with serving(reply) as server, HttpFetcher(server.url, limits=LIMITS) as fetcher:
        with pytest.raises(FetchError, match=text):
            fetcher.fetch("checkpoint")
        server.reply = lambda handler: handler.send(b"again")
        assert fetcher.fetch("checkpoint") == b"again"


@pytest.mark.parametrize("size", [0, MAX_CHECKPOINT_BYTES])
def test_a_reply_at_the_cap_is_taken(size: int) -> None:
    with (
        serving(lambda handler: handler.send(bytes(size))) as server,
        HttpFetcher(server.url, limits=LIMITS) as fetcher,
    ):
        assert len(fetcher.fetch("checkpoint")) == size
    chunks = [b"ab", b"c"]
    with (
        serving(lambda handler: _chunked(handler, *chunks)) as server,
        HttpFetcher(server.url, limits=LIMITS) as fetcher,
    ):
        assert fetcher.fetch("checkpoint") == b"abc"


def test_redirects_on_the_same_host_are_followed() -> None:
    def reply(handler: Handler) -> None:
        if handler.path == "/checkpoint":
            handler.send(b"", status=302, Location="/v2/checkpoint?x=1")
        else:
            handler.send(handler.path.encode())

    with serving(reply) as server, HttpFetcher(server.url, limits=LIMITS) as fetcher:
        assert fetcher.fetch("checkpoint") == b"/v2/checkpoint?x=1"


def test_a_kept_connection_that_the_server_closed_is_made_again() -> None:
    def reply(handler: Handler) -> None:
        handler.send(b"x")
        handler.close_connection = True  # without saying so

    with serving(reply) as server, HttpFetcher(server.url, limits=LIMITS) as fetcher:
        assert [fetcher.fetch("checkpoint") for _ in range(3)] == [b"x"] * 3


def test_a_dripping_server_is_left_when_the_time_is_over() -> None:
    over = threading.Event()

    def reply(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.02):
            handler.wfile.write(b"X: y\r\n"[:1])

    with serving(reply) as server:
        limits = HttpLimits(wait=60.0, total=0.2)
        with HttpFetcher(server.url, limits=limits) as fetcher, pytest.raises(FetchError):
            fetcher.fetch("checkpoint")
        over.set()


def test_a_silent_server_is_left_after_the_wait() -> None:
    over = threading.Event()
    with serving(lambda _handler: bool(over.wait(60)) or None) as server:
        limits = HttpLimits(wait=0.1, total=60.0)
        with HttpFetcher(server.url, limits=limits) as fetcher, pytest.raises(FetchError, match="TimeoutError"):
            fetcher.fetch("checkpoint")
        over.set()


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(lambda handler: handler.send(b"x")) as server, HttpFetcher(server.url, limits=LIMITS) as fetcher:
        assert fetcher.fetch("checkpoint") == b"x"


def test_nobody_listens() -> None:
    with serving(lambda handler: handler.send(b"x")) as server:
        url = server.url
    with HttpFetcher(url, limits=LIMITS) as fetcher, pytest.raises(FetchError, match="ConnectionRefusedError"):
        fetcher.fetch("checkpoint")


def test_https_needs_a_certificate_that_is_trusted() -> None:
    """A server that does not even speak TLS is refused, not spoken to in the clear."""
    with serving(lambda handler: handler.send(b"x")) as server:
        url = server.url.replace("http:", "https:")
        with HttpFetcher(url, limits=LIMITS) as fetcher, pytest.raises(FetchError, match="SSLError"):
            fetcher.fetch("checkpoint")


@pytest.mark.parametrize(
    "url",
    ["", "log", "ftp://a/", "http://", "http:///x", "http://u:p@a/", "http://a/?q", "http://a/#f", "http://a:0/",
     "http://a:99999/", "http://[x/", "http://a b/", "http://ä/", "file:///etc", "http://a/\n"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(LogUrlError):
        parse_log_url(url)


def test_addresses() -> None:
    assert parse_log_url("https://log.example.cn:8443/1/").path == "/1"
    assert parse_log_url("http://[::1]:80").hostname == "::1"
    assert is_log_url("https://a")
    assert not is_log_url("httpdir")
    assert httpfetch.MAX_REDIRECTS == 3


def test_the_directory_server_of_the_tests_serves(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"c")
    with serving(static(tmp_path)) as server, HttpFetcher(server.url, limits=LIMITS) as fetcher:
        assert fetcher.fetch("checkpoint") == b"c"
        with pytest.raises(FetchError, match="is missing"):
            fetcher.fetch("tile/0/000")
