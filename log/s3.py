"""A small client of S3-compatible object stores: get, conditional put, list, delete (docs/spec/storage.md).

Requests are signed (`sigv4`), answers have caps, lost connections and "try again" answers are tried again. A put that
was tried again may find its own first effect; `objects` compares what is there. TLS is required off this machine.
"""

import datetime
import http.client
import ipaddress
import ssl
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from mingzheng.log.refusal import StorageError
from mingzheng.log.sigv4 import Account, Request, signed_headers, target

MAX_BODY_BYTES = 32 << 20
ATTEMPTS = 4
TIMEOUT_SECONDS = 20.0
_AGAIN = frozenset({409, 429, 500, 502, 503, 504})
_SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class ObjectsUnavailableError(StorageError):
    """The object store cannot be reached, or answers what we do not understand."""

    code: ClassVar[str] = "log.objects_unavailable"


class ObjectsRefusedError(StorageError):
    """The object store refuses us: keys, rights or bucket are wrong."""

    code: ClassVar[str] = "log.objects_refused"


class EndpointError(StorageError):
    """The address of the object store is no https:// address, nor http:// on this machine."""

    code: ClassVar[str] = "log.bad_endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bucket of one store. `endpoint`: scheme, host and port."""

    endpoint: str
    name: str
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, ETag and body of an answer."""

    status: int
    etag: str
    body: bytes


class S3Client:
    """Requests to one bucket. For several threads: each has its own connection."""

    def __init__(
        self,
        bucket: Bucket,
        *,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urllib.parse.urlsplit(bucket.endpoint)
        local = parts.scheme == "http" and _is_loopback(parts.hostname or "")
        if not (parts.scheme == "https" or local) or not parts.hostname or parts.path not in ("", "/"):
            raise EndpointError("the object store's address must be https://host[:port], or http:// on this machine")
        self._bucket, self._clock, self._pause = bucket, clock, pause
        self._secure, self._host = parts.scheme == "https", parts.netloc
        self._local = threading.local()
        self._all: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close every connection; a later request opens one again."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
        self._local = threading.local()

    def get(self, key: str) -> Answer | None:
        """An object, None if there is none."""
        answer = self._ask("GET", key)
        return None if answer.status == 404 else _good(answer, 200)

    def put(self, key: str, body: bytes, *, if_match: str | None) -> Answer | None:
        """Put an object where one of that ETag is, or (None) where there is none; None if that is not so."""
        condition = {"if-none-match": "*"} if if_match is None else {"if-match": if_match}
        answer = self._ask("PUT", key, headers={**condition, "content-type": "application/octet-stream"}, body=body)
        if answer.status == 412 or (answer.status == 404 and if_match is not None):
            return None
        return _good(answer, 200)

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone already is fine."""
        answer = self._ask("DELETE", key)
        if answer.status != 404:
            _good(answer, 200, 204)

    def names(self, prefix: str, *, most: int = 1_000) -> Iterator[str]:
        """Keys that begin with `prefix`, in the store's order (of UTF-8 bytes)."""
        token = ""
        while True:
            query = [("list-type", "2"), ("prefix", prefix), ("max-keys", str(most))]
            if token:
                query.append(("continuation-token", token))
            found, token = _parse_listing(_good(self._ask("GET", "", query=query), 200).body)
            yield from found
            if not token:
                return

    def _ask(
        self,
        method: str,
        key: str,
        *,
        query: list[tuple[str, str]] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        path = f"/{self._bucket.name}/{key}" if key else f"/{self._bucket.name}"
        request = Request(
            method=method, host=self._host, path=path, query=query or (), headers=headers or {}, body=body
        )
        problem: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(0.05 * 2**attempt)
            try:
                answer = self._once(request)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                problem = error
                continue
            if answer.status not in _AGAIN:
                return answer
            problem = ObjectsUnavailableError(f"{method}: status {answer.status}")
        raise ObjectsUnavailableError(f"the object store does not answer: {problem}") from problem

    def _once(self, request: Request) -> Answer:
        at = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
        headers = signed_headers(request, self._bucket.account, at=at)
        connection = self._connection()
        connection.request(request.method, target(request), body=request.body or None, headers=headers)
        with connection.getresponse() as response:
            body = response.read(MAX_BODY_BYTES + 1)
            if len(body) > MAX_BODY_BYTES:
                self._drop()
                raise ObjectsUnavailableError(f"an answer of more than {MAX_BODY_BYTES} bytes")
            return Answer(status=response.status, etag=response.headers.get("ETag", ""), body=body)

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            found = (
                http.client.HTTPSConnection(self._host, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
                if self._secure
                else http.client.HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)
            )
            self._local.connection = found
            with self._lock:
                self._all.append(found)
        return found

    def _drop(self) -> None:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is not None:
            found.close()
            self._local.connection = None
            with self._lock:
                if found in self._all:
                    self._all.remove(found)


def _good(answer: Answer, *wanted: int) -> Answer:
    if answer.status in wanted:
        return answer
    if answer.status in (301, 307, 400, 401, 403, 404):
        raise ObjectsRefusedError(f"the object store refuses: status {answer.status}")
    raise ObjectsUnavailableError(f"the object store answers with status {answer.status}")


def _parse_listing(body: bytes) -> tuple[list[str], str]:
    """Keys and the token of the next page. No document type: that is where entities would hide; in UTF-16, too."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body or b"\0" in body:
        raise ObjectsUnavailableError("a listing with a document type")
    try:
        top = ET.fromstring(body)  # noqa: S314 no entities without a document type
    except ET.ParseError as error:
        raise ObjectsUnavailableError("a listing that is no XML") from error
    space = _SPACE if top.tag.startswith(_SPACE) else ""
    keys = [item.findtext(f"{space}Key", "") for item in top.iter(f"{space}Contents")]
    more = top.findtext(f"{space}IsTruncated", "") == "true"
    token = top.findtext(f"{space}NextContinuationToken", "")
    if more and not token:
        raise ObjectsUnavailableError("a listing that goes on without saying where")
    return keys, token if more else ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
