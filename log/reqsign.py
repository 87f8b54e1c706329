"""Signed requests to a log's server: RFC 9421 (HTTP Message Signatures) and RFC 9530 (Content-Digest), narrowed to
one spelling (docs/spec/server.md, "Signed requests").

Covered: method, path, digest of the body, origin of the log; parameters: time, nonce, key, algorithm, purpose. Pure.
Left out: every other component, label, algorithm and order that the RFCs allow.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mingzheng.keys.alg import Alg, PublicKey, verify
from mingzheng.keys.errors import SignatureInvalidError
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import Signer
from mingzheng.keys.vkey import decode_base64
from mingzheng.log.servererrors import SubmitDigestError, SubmitForgedError, SubmitHeaderError, SubmitOriginError

WINDOW_SECONDS: Final = 300
"""How far the time of a request may lie from the server's clock, either way."""

_ALGS: Final[Mapping[Alg, str]] = {Alg.ED25519: "ed25519", Alg.ESP256: "ecdsa-p256-sha256"}
_DIGEST: Final = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):", re.ASCII)
_SIGNATURE: Final = re.compile(r"mingzheng=:([A-Za-z0-9+/]{86}==):", re.ASCII)
_INPUT: Final = re.compile(
    r'mingzheng=(\("@method" "@path" "content-digest" "log-origin"\);created=([1-9][0-9]{0,11})'
    r';nonce="([A-Za-z0-9_-]{16,64})";keyid="([0-9a-f]{16})";alg="(ed25519|ecdsa-p256-sha256)";tag="mingzheng-submit")',
    re.ASCII,
)
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a signature covers besides its parameters. `path`: as sent, from the slash on."""

    method: str
    path: str
    body: bytes
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHeaders:
    """The headers of a signed request, read but not verified."""

    digest: str
    origin: str
    params: str
    created: int
    nonce: str
    kid: Kid
    alg: str
    signature: bytes


def sign_request(target: Target, *, signer: Signer, created: int, nonce: str) -> dict[str, str]:
    """The four headers that make a request a signed one. Raises KeyError for a key of another algorithm."""
    key = signer.public_key
    digest, origin = _digest_of(target.body), origin_header(target.origin)
    params = (
        f'("@method" "@path" "content-digest" "log-origin");created={created};nonce="{nonce}"'
        f';keyid="{key.kid.hex()}";alg="{_ALGS[key.alg]}";tag="mingzheng-submit"'
    )
    signature = signer.sign(_base(target, digest=digest, origin=origin, params=params))
    return {
        "Content-Digest": digest,
        "Log-Origin": origin,
        "Signature-Input": f"mingzheng={params}",
        "Signature": f"mingzheng=:{base64.b64encode(signature).decode('ascii')}:",
    }


def parse_signed(headers: Mapping[str, str]) -> SignedHeaders:
    """Read the headers, by lower-case name; raises SubmitHeaderError for any but their one spelling."""
    digest = headers.get("content-digest", "")
    if (found := _DIGEST.fullmatch(digest)) is None or decode_base64(found[1]) is None:
        raise SubmitHeaderError("Content-Digest")
    if (given := _INPUT.fullmatch(headers.get("signature-input", ""))) is None:
        raise SubmitHeaderError("Signature-Input")
    if (found := _SIGNATURE.fullmatch(headers.get("signature", ""))) is None:
        raise SubmitHeaderError("Signature")
    signature = decode_base64(found[1])
    if signature is None:
        raise SubmitHeaderError("Signature")
    params, created, nonce, kid, alg = given.groups()
    return SignedHeaders(
        digest=digest,
        origin=headers.get("log-origin", ""),
        params=params,
        created=int(created),
        nonce=nonce,
        kid=Kid(bytes.fromhex(kid)),
        alg=alg,
        signature=signature,
    )


def verify_signed(signed: SignedHeaders, target: Target, *, key: PublicKey) -> None:
    """Check that `key` signed this request for this log. The time is the caller's to judge.

    Raises SubmitOriginError, SubmitDigestError, SubmitForgedError.
    """
    if signed.origin != origin_header(target.origin):
        raise SubmitOriginError
    if signed.digest != _digest_of(target.body):
        raise SubmitDigestError
    if signed.alg != _ALGS.get(key.alg):
        raise SubmitForgedError
    message = _base(target, digest=signed.digest, origin=signed.origin, params=signed.params)
    try:
        verify(key, signature=signed.signature, message=message)
    except SignatureInvalidError as error:
        raise SubmitForgedError from error


def origin_header(origin: str) -> str:
    """The log's name as header text: UTF-8, percent-encoded where it is not A–Z a–z 0–9 - . _ ~ / :"""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in origin.encode())


def _digest_of(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def _base(target: Target, *, digest: str, origin: str, params: str) -> bytes:
    """The signature base of RFC 9421 §2.5."""
    lines = (
        f'"@method": {target.method}',
        f'"@path": {target.path}',
        f'"content-digest": {digest}',
        f'"log-origin": {origin}',
        f'"@signature-params": {params}',
    )
    return "\n".join(lines).encode()


__all__ = [
    "WINDOW_SECONDS",
    "SignedHeaders",
    "Target",
    "origin_header",
    "parse_signed",
    "sign_request",
    "verify_signed",
]
