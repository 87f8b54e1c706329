"""Signed requests to S3-compatible object stores: AWS Signature Version 4 with the signature in the header.

Pure: a request in, its headers out. Source: AWS "Create a signed AWS API request" and "Signature calculations for
the authorization header" (single chunk). Left out: presigned URLs, chunked uploads, session tokens.
"""

import datetime
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_SERVICE = "s3"
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who asks. The secret stays out of `repr`."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `path` and `query` are not yet percent-encoded; `headers` besides those that signing adds."""

    method: str
    host: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def target(request: Request) -> str:
    """Path and query as they stand in the request line: the canonical encoding, so that both sides sign one text."""
    path = _path(request)
    query = _query(request)
    return f"{path}?{query}" if query else path


def signed_headers(request: Request, account: Account, *, at: datetime.datetime) -> dict[str, str]:
    """Every header to send. `at`: aware; stores refuse what is more than 15 minutes off."""
    moment = at.astimezone(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {name.lower(): value.strip() for name, value in request.headers.items()}
    headers |= {
        "host": request.host,
        "x-amz-content-sha256": hashlib.sha256(request.body).hexdigest(),
        "x-amz-date": moment,
    }
    scope = f"{moment[:8]}/{account.region}/{_SERVICE}/aws4_request"
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        (
            request.method,
            _path(request),
            _query(request),
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            headers["x-amz-content-sha256"],
        )
    )
    text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = hmac.new(_key(account, moment[:8]), text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={account.access_key}/{scope},SignedHeaders={names},Signature={signature}"
    )
    return headers


def _path(request: Request) -> str:
    return "/".join(map(_quote, request.path.split("/")))


def _quote(text: str) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())


def _query(request: Request) -> str:
    pairs = sorted((_quote(name), _quote(value)) for name, value in request.query)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _key(account: Account, date: str) -> bytes:
    key = f"AWS4{account.secret_key}".encode()
    for part in (date, account.region, _SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
