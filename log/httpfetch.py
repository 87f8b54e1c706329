"""A log's public files over http(s): `client.Fetcher` with caps, time limits and no surprises (docs/audit.md).

GET below one prefix, nothing else. No proxy is used whatever the environment says; a redirect is followed only to
the same scheme, host and port; replies are capped and never decompressed. Nothing that comes is trusted: the reader
above believes only what the signed head covers.
"""

import http.client
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from mingzheng.keys.deadline import within
from mingzheng.log.client import CHECKPOINT, MAX_CHECKPOINT_BYTES, MAX_FILE_BYTES, FetchError
from mingzheng.log.errors import LogError
from mingzheng.log.tile import parse_path

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 65_536
_PORTS = {"http": 80, "https": 443}


class LogUrlError(LogError):
    """Not the address of a log: http or https, a host, no user, query or fragment."""

    code: ClassVar[str] = "client.bad_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Seconds for each wait, and for a file in all."""

    wait: float = 20.0
    total: float = 120.0


class HttpFetcher:
    """One log at an address. Keeps its connection; use it as a context, or `close` it."""

    def __init__(self, url: str, *, limits: HttpLimits, context: ssl.SSLContext | None = None) -> None:
        """`context`: None for the system's roots (https). Raises LogUrlError."""
        self._base = parse_log_url(url)
        self._limits = limits
        self._context = context
        self._late = False
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None  # the connection forgets it where the server will close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def fetch(self, path: str) -> bytes:
        """See Fetcher. Only `checkpoint` and well-formed tile paths are ever asked for."""
        cap = MAX_CHECKPOINT_BYTES if path == CHECKPOINT else MAX_FILE_BYTES
        if path != CHECKPOINT:
            parse_path(path)
        self._late = False
        try:
            with within(self._break_off, self._limits.total):
                return self._follow_to(path, cap)
        except TimeoutError as error:
            raise FetchError(path, f"took more than {self._limits.total:.0f} seconds") from error

    def _follow_to(self, path: str, cap: int) -> bytes:
        target = self._base._replace(path=f"{self._base.path}/{path}")
        for _ in range(MAX_REDIRECTS + 1):
            reply = self._get(path, target)
            if reply.status not in _REDIRECTS:
                return self._body(path, reply, cap)
            target = self._follow(path, target, reply.getheader("Location"))
            self.close()
        raise FetchError(path, f"more than {MAX_REDIRECTS} redirects")

    def _break_off(self) -> socket.socket | None:
        """The time is over, whatever the server is still dripping: this is what is waited on."""
        self._late = True
        connection = self._connection
        return (None if connection is None else connection.sock) or self._socket

    def _get(self, path: str, target: SplitResult) -> http.client.HTTPResponse:
        """Ask once; once more on a kept connection that the server has closed meanwhile."""
        kept = self._connection is not None
        try:
            return self._ask(target)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept or self._late or isinstance(error, TimeoutError):
                raise FetchError(path, f"cannot be fetched ({type(error).__name__})") from error
        try:
            return self._ask(target)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise FetchError(path, f"cannot be fetched ({type(error).__name__})") from error

    def _ask(self, target: SplitResult) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._connect()
        if self._connection.sock is None:
            self._connection.connect()
        self._socket = self._connection.sock
        headers = {"Accept-Encoding": "identity", "User-Agent": "mingzheng-log-audit"}
        where = target.path + (f"?{target.query}" if target.query else "")
        self._connection.request("GET", where, headers=headers)
        return self._connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = _place(self._base)[1:]
        if self._base.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._limits.wait)
        context = ssl.create_default_context() if self._context is None else self._context
        return http.client.HTTPSConnection(host, port, timeout=self._limits.wait, context=context)

    def _body(self, path: str, reply: http.client.HTTPResponse, cap: int) -> bytes:
        try:
            if reply.status != 200:
                raise FetchError(path, "is missing" if reply.status in (404, 410) else f"status {reply.status}")
            if reply.getheader("Content-Encoding", "identity").lower() != "identity":
                raise FetchError(path, "came compressed, which was not asked for")
            data = self._read(path, reply, cap)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise FetchError(path, f"broke off ({type(error).__name__})") from error
        except FetchError:
            self.close()  # the rest of the reply is not waited for
            raise
        return data

    def _read(self, path: str, reply: http.client.HTTPResponse, cap: int) -> bytes:
        parts: list[bytes] = []
        count = 0
        while chunk := reply.read1(_CHUNK):
            count += len(chunk)
            if count > cap:
                raise FetchError(path, f"is larger than {cap} bytes")
            parts.append(chunk)
        length = reply.getheader("Content-Length")
        if length is not None and length != str(count):
            raise FetchError(path, f"has {count} bytes of {length[:20]}")
        reply.close()  # the connection is free for the next
        return b"".join(parts)

    def _follow(self, path: str, target: SplitResult, location: str | None) -> SplitResult:
        try:
            found = urlsplit(urljoin(target.geturl(), location or ""))
            same = _place(found) == _place(self._base) and found.username is None and bool(location)
        except ValueError:
            same = False
        if not same:
            raise FetchError(path, "is redirected to another host")
        return found


def parse_log_url(url: str) -> SplitResult:
    """The address of a log, without a trailing slash; raises LogUrlError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LogUrlError("not an address") from error
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or parts.scheme not in _PORTS or not host or port == 0:
        raise LogUrlError("expected http:// or https:// and a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise LogUrlError("an address without user, query and fragment is expected")
    return parts._replace(path=parts.path.rstrip("/"))


def is_log_url(text: str) -> bool:
    """Whether the text is an address rather than the name of a directory."""
    return text.startswith(("http://", "https://"))


def _place(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
