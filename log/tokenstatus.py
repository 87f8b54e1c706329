"""Status lists as IETF Token Status Lists, for programs that read those (draft-ietf-oauth-status-list-21).

One way only: two bits a serial, 0 valid, 1 invalid (revoked, superseded or void), 2 suspended, compressed by zlib;
signed as CWT or JWT by the status key. What the draft's form cannot carry stays behind: the log, the witnesses, and
which serials were never issued (they read as valid). A reader of ours never takes this form.
"""

import base64
import json
import zlib
from enum import IntEnum
from typing import ClassVar, Final

from mingzheng.formats import cbor, cose
from mingzheng.keys.alg import Alg
from mingzheng.keys.signer import Signer
from mingzheng.log.errors import StatusError
from mingzheng.log.status import STATUS_ALGS, StatusBody

BITS: Final = 2
MAX_STATUSES: Final = 1 << 27
"""Serials in one exported list: 32 MiB before compression."""

MAX_URI_CHARS: Final = 2_048
CWT_TYPE: Final = "application/statuslist+cwt"
JWT_TYPE: Final = "statuslist+jwt"
# COSE and JOSE names under which readers of today check these keys (docs/adr/0007).
_COSE_ALGS: Final = {Alg.ED25519: -8, Alg.ESP256: -7}
_JOSE_ALGS: Final = {Alg.ED25519: "EdDSA", Alg.ESP256: "ES256"}
_KID, _TYP = 4, 16  # COSE header parameters
_SUB, _EXP, _IAT, _TTL, _STATUS_LIST = 2, 4, 6, 65_534, 65_533  # CWT claims


class TokenStatusError(StatusError):
    """A list that cannot be written as a Token Status List."""

    code: ClassVar[str] = "status.not_exportable"


class TokenStatus(IntEnum):
    """Status types of section 7.1 of the draft."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


def pack_statuses(body: StatusBody) -> bytes:
    """Two bits a serial below `next_serial`, the first in the lowest bits of the first byte (section 4.1).

    Raises TokenStatusError over 2^27 serials.
    """
    if body.next_serial > MAX_STATUSES:
        raise TokenStatusError(f"{body.next_serial} serials, at most {MAX_STATUSES} fit a list")
    packed = bytearray(max(1, -(-body.next_serial // 4)))
    for serials, status in (
        (body.revoked, TokenStatus.INVALID),
        (body.superseded, TokenStatus.INVALID),
        (body.void, TokenStatus.INVALID),
        (body.suspended, TokenStatus.SUSPENDED),
    ):
        for serial in serials:
            packed[serial >> 2] |= status << (2 * (serial & 3))
    return bytes(packed)


def status_cwt(body: StatusBody, *, uri: str, signer: Signer) -> bytes:
    """A Status List Token as CWT (section 5.2). `uri`: where the list is served, its `sub`.

    Raises TokenStatusError.
    """
    alg = _alg(signer, uri)
    key = signer.public_key
    claims: dict[cbor.Key, cbor.Value] = {
        _SUB: uri,
        _EXP: body.next_update,
        _IAT: body.this_update,
        _STATUS_LIST: {"bits": BITS, "lst": zlib.compress(pack_statuses(body), 9)},
        _TTL: body.next_update - body.this_update,
    }
    payload = cbor.encode(claims)
    protected = cbor.encode({1: _COSE_ALGS[alg], _KID: bytes(key.kid), _TYP: CWT_TYPE})
    signature = signer.sign(cose.sig_structure(protected, payload))
    return cose.encode_sign1(cose.Sign1(protected=protected, unprotected={}, payload=payload, signature=signature))


def status_jwt(body: StatusBody, *, uri: str, signer: Signer) -> str:
    """A Status List Token as JWT (section 5.1). Raises TokenStatusError."""
    alg = _alg(signer, uri)
    header = {"alg": _JOSE_ALGS[alg], "kid": signer.public_key.kid.hex(), "typ": JWT_TYPE}
    claims = {
        "sub": uri,
        "iat": body.this_update,
        "exp": body.next_update,
        "ttl": body.next_update - body.this_update,
        "status_list": {"bits": BITS, "lst": _base64url(zlib.compress(pack_statuses(body), 9))},
    }
    parts = [_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    message = ".".join(parts)
    return f"{message}.{_base64url(signer.sign(message.encode()))}"


def _alg(signer: Signer, uri: str) -> Alg:
    alg = signer.public_key.alg
    if alg not in STATUS_ALGS:
        raise TokenStatusError(f"a status key has algorithm -19 or -9, not {int(alg)}")
    if not uri.isascii() or not uri.isprintable() or not 1 <= len(uri) <= MAX_URI_CHARS or ":" not in uri:
        raise TokenStatusError(f"the address of the list is no URI of at most {MAX_URI_CHARS} characters")
    return alg


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
