"""COSE_Sign1 of the profile (RFC 9052 §4.2, §4.4) in strict CBOR, and its two-key header.

Tag 18 is required, the signature is 64 raw bytes, the protected header of credentials is
exactly `{1: alg, 4: kid}`. COSE registers no SM2: -66037 is private use (docs/adr/0014). Nothing is
verified here and no key chosen: `credential` does that. Left out on purpose: every other COSE
structure, header and algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mingzheng.formats import cbor
from mingzheng.formats.errors import CoseError
from mingzheng.formats.limits import LIMITS_CREDENTIAL, CborLimits
from mingzheng.keys.kid import KID_BYTES, Kid, parse_kid

TAG_SIGN1: Final = 0xD2  # tag 18 in one byte
SIGNATURE_BYTES: Final = 64
RECEIPTS: Final = 394  # RFC 9942 §7: header parameter "receipts"

ALGS_CREDENTIAL: Final = frozenset((-19, -9, -66037))  # RFC 9864 Ed25519 and ESP256; SM2 with SM3, private use
# Everything of a protected header before the 8 bytes of the kid.
PROTECTED_HEADS: Final = {b"\xa2\x01" + cbor.encode(alg) + b"\x04\x48": alg for alg in ALGS_CREDENTIAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign1:
    """The four parts of a COSE_Sign1; `payload` is None when detached."""

    protected: bytes
    unprotected: Mapping[cbor.Key, cbor.Value]
    payload: bytes | None
    signature: bytes  # 64 bytes


def parse_sign1(data: bytes, *, limits: CborLimits = LIMITS_CREDENTIAL, detached: bool = False) -> Sign1:
    """The parts of a tagged COSE_Sign1; CborError or CoseError.

    `detached` demands a `null` payload (receipts); otherwise the payload must be a byte string.
    """
    if data[:1] != b"\xd2":
        raise CoseError("does not begin with tag 18 (COSE_Sign1)", offset=0)
    value = cbor.decode(data[1:], max_bytes=limits.max_bytes - 1, max_depth=limits.max_depth, allow_null=detached)
    if type(value) is not tuple or len(value) != 4:
        raise CoseError("not an array of four")
    protected, unprotected, payload, signature = value
    if type(protected) is not bytes:
        raise CoseError("protected header is no byte string")
    if not isinstance(unprotected, dict):
        raise CoseError("unprotected header is no map")
    if detached:
        cbor.encode(unprotected)  # null is for the payload alone: refuse it inside the header
    if payload is not None and (detached or type(payload) is not bytes):
        raise CoseError("payload is not null, as detached" if detached else "payload is no byte string")
    if type(signature) is not bytes or len(signature) != SIGNATURE_BYTES:
        raise CoseError("signature is not 64 bytes")
    return Sign1(protected=protected, unprotected=unprotected, payload=payload, signature=signature)


def encode_sign1(sign1: Sign1) -> bytes:
    """The tagged bytes of a COSE_Sign1."""
    parts = (sign1.protected, sign1.unprotected, sign1.payload, sign1.signature)
    return b"\xd2" + cbor.encode(parts, allow_null=sign1.payload is None)


def sig_structure(protected: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """The bytes that are signed: `["Signature1", protected, external_aad, payload]` (RFC 9052 §4.4)."""
    return b"".join(
        (
            b"\x84\x6aSignature1",
            cbor.head(2, len(protected)),
            protected,
            cbor.head(2, len(external_aad)),
            external_aad,
            cbor.head(2, len(payload)),
            payload,
        )
    )


def protected_header(alg: int, kid: Kid) -> bytes:
    """The protected header `{1: alg, 4: kid}` as bytes."""
    return cbor.encode({1: int(alg), 4: bytes(kid)})


def parse_protected(protected: bytes) -> tuple[int, Kid]:
    """Algorithm and kid of a credential's protected header: exactly {1: alg, 4: kid}, alg -19, -9 or -66037."""
    alg = PROTECTED_HEADS.get(protected[:-KID_BYTES])
    if alg is None:
        raise CoseError("protected header is not {1: alg, 4: kid} with -19 (Ed25519), -9 (ESP256) or -66037 (SM2)")
    return alg, parse_kid(protected[-KID_BYTES:])
