"""Credential: claims signed as COSE_Sign1, its identity and its receipt (docs/spec/credential.md).

`parse_credential` checks the shape and gives an `UnverifiedCredential`; `open_credential` checks
it against the one key of its kid and gives a `Credential`. Only there, and in
`open_logged_credential` for a caller that trusts a log instead, does unverified become verified.
Identity is SHA-256 of the signed bytes, so that adding, removing or changing a receipt or the
signature bytes leaves it as it is. Scope of the key, receipt, status and rules come later, in the
verifier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NewType

from mingzheng.formats import cbor, cose
from mingzheng.formats.claims import Claims, encode_claims
from mingzheng.formats.errors import (
    CborError,
    ClaimsError,
    CoseError,
    CredentialForgedError,
    CredentialKeyError,
    UnknownVersionError,
)
from mingzheng.formats.fastclaims import read_claims
from mingzheng.formats.limits import LIMITS_CREDENTIAL
from mingzheng.keys.alg import verify
from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import KID_BYTES, Kid
from mingzheng.keys.signer import Signer
from mingzheng.keys.trust import KeyRecord, Role

CredentialBytes = NewType("CredentialBytes", bytes)

# Tag 18, array of four, protected header up to the kid: the algorithm, and where the kid begins.
_BEGINS: Final = {
    b"\xd2\x84" + cbor.head(2, len(head) + KID_BYTES) + head: alg for head, alg in cose.PROTECTED_HEADS.items()
}
_SIGNED_BEGIN: Final = b"\x84\x6aSignature1"
_RECEIPTS_BEGIN: Final = b"\xa1\x19\x01\x8a\x81"  # {394: [
_SHORTEST: Final = 84  # with an empty payload
_KID_AT: Final = {begin[2]: len(begin) for begin in _BEGINS}  # by the byte string's head


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedCredential:
    """A credential of the right shape; nothing in it has been checked against a key."""

    data: bytes
    alg: int
    kid: Kid
    payload: bytes  # claims, not yet decoded
    signature: bytes  # 64 bytes
    signed: bytes  # Sig_structure: the bytes the signature is over
    identity: bytes  # SHA-256(signed)
    receipt: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A credential whose signature by `key` holds, or a trusted log's word for it; its claims are well-formed."""

    claims: Claims
    kid: Kid
    key: KeyRecord
    identity: bytes
    receipt: bytes | None


def parse_credential(data: bytes) -> UnverifiedCredential:
    """The parts of a credential; CborError or CoseError if a byte is not as the format says."""
    return _parse_fast(data) or parse_credential_generic(data)


def parse_credential_generic(data: bytes) -> UnverifiedCredential:
    """What `parse_credential` means, through the general CBOR decoder.

    `parse_credential` cuts the common spelling at fixed places instead and comes here for the
    rest, so a refusal always carries this function's reason; a test holds the two equal.
    """
    parts = cose.parse_sign1(data, limits=LIMITS_CREDENTIAL)
    alg, kid = cose.parse_protected(parts.protected)
    assert parts.payload is not None  # parse_sign1 without `detached`
    signed = cose.sig_structure(parts.protected, parts.payload)
    return UnverifiedCredential(
        data=data,
        alg=alg,
        kid=kid,
        payload=parts.payload,
        signature=parts.signature,
        signed=signed,
        identity=hashlib.sha256(signed).digest(),
        receipt=_receipt_of(parts),
    )


def open_credential(unverified: UnverifiedCredential, key: KeyRecord) -> Credential:
    """Check algorithm, signature and claims under `key`, the trust data's record for the kid.

    Raises CredentialForgedError (wrong algorithm, signature or claims), UnknownVersionError (the
    signature holds, the claims are of another version), CredentialKeyError (`key` is another key
    or not of role `credential`: the caller looked up wrongly). Order: algorithm, signature,
    version, claims.
    """
    _check_key(unverified, key)
    if unverified.alg != key.public_key.alg:
        raise CredentialForgedError("algorithm in the header is not the key's")
    try:
        verify(key.public_key, signature=unverified.signature, message=unverified.signed)
    except KeysError as error:
        raise CredentialForgedError("signature does not hold") from error
    try:
        claims = read_claims(unverified.payload)
    except (CborError, ClaimsError) as error:
        raise CredentialForgedError(f"signed claims are malformed: {error.detail}") from error
    return _credential(unverified, key, claims)


def open_logged_credential(
    unverified: UnverifiedCredential, key: KeyRecord, is_logged: Callable[[Claims], bool]
) -> Credential | None:
    """Take a log's word in place of the signature under `key`; None where it does not give it: check the signature.

    `is_logged` says whether a log that the caller trusts for this holds the entry of these claims under this kid and
    identity, which covers every signed byte. Nothing else is left out: the header's algorithm is the key's, the claims
    are strictly read. Raises CredentialKeyError as `open_credential`.
    """
    _check_key(unverified, key)
    if unverified.alg != key.public_key.alg:
        return None
    try:
        claims = read_claims(unverified.payload)
    except (CborError, ClaimsError, UnknownVersionError):
        return None
    if not is_logged(claims):
        return None
    return _credential(unverified, key, claims)


def sign_credential(claims: Claims, signer: Signer) -> CredentialBytes:
    """Sign claims as a credential without receipt; ClaimsError if a claim is out of bounds."""
    key = signer.public_key
    if key.alg not in cose.ALGS_CREDENTIAL:
        raise CredentialKeyError("a credential is signed with Ed25519 (-19), ESP256 (-9) or SM2 (-66037)")
    protected = cose.protected_header(key.alg, key.kid)
    payload = encode_claims(claims)
    signature = signer.sign(cose.sig_structure(protected, payload))
    sign1 = cose.Sign1(protected=protected, unprotected={}, payload=payload, signature=signature)
    data = cose.encode_sign1(sign1)
    parse_credential(data)  # size and shape: never hand out what no verifier would read
    return CredentialBytes(data)


def attach_receipt(credential: bytes, receipt: bytes | None) -> CredentialBytes:
    """The same credential with `receipt` in place of the one it may carry; None takes it off."""
    parts = cose.parse_sign1(credential, limits=LIMITS_CREDENTIAL)
    sign1 = cose.Sign1(
        protected=parts.protected,
        unprotected={} if receipt is None else {cose.RECEIPTS: (receipt,)},
        payload=parts.payload,
        signature=parts.signature,
    )
    data = cose.encode_sign1(sign1)
    parse_credential(data)
    return CredentialBytes(data)


def detach_receipt(credential: bytes) -> tuple[CredentialBytes, bytes | None]:
    """The credential without its receipt, and the receipt."""
    return attach_receipt(credential, None), parse_credential(credential).receipt


def _check_key(unverified: UnverifiedCredential, key: KeyRecord) -> None:
    if key.role is not Role.CREDENTIAL or key.kid != unverified.kid:
        raise CredentialKeyError("the key record is not the credential key of this kid")


def _credential(unverified: UnverifiedCredential, key: KeyRecord, claims: Claims) -> Credential:
    return Credential(
        claims=claims,
        kid=unverified.kid,
        key=key,
        identity=unverified.identity,
        receipt=unverified.receipt,
    )


def _receipt_of(parts: cose.Sign1) -> bytes | None:
    if not parts.unprotected:
        return None
    receipts = parts.unprotected.get(cose.RECEIPTS)
    if len(parts.unprotected) != 1 or type(receipts) is not tuple or len(receipts) != 1:
        raise CoseError("unprotected header is neither empty nor one receipt under 394")
    receipt = receipts[0]
    if type(receipt) is not bytes:
        raise CoseError("receipt is no byte string")
    return receipt


def _parse_fast(data: bytes) -> UnverifiedCredential | None:
    """Cut a credential at fixed places; None for anything not exactly of the one spelling."""
    if not _SHORTEST <= len(data) <= LIMITS_CREDENTIAL.max_bytes:
        return None
    kid_at = _KID_AT.get(data[2], 0)
    alg = _BEGINS.get(data[:kid_at])
    if alg is None:
        return None
    receipt = None
    head_end = kid_at + KID_BYTES
    start = head_end + 1
    if data[head_end] != 0xA0:
        if data[head_end : head_end + 5] != _RECEIPTS_BEGIN:
            return None
        begin, start = _string_bounds(data, head_end + 5)
        receipt = data[begin:start]
    begin, end = _string_bounds(data, start)
    if data[end : end + 2] != b"\x58\x40" or len(data) != end + 66 or begin < start:
        return None
    signed = b"".join((_SIGNED_BEGIN, data[2:head_end], b"\x40", data[start:end]))
    return UnverifiedCredential(
        data=data,
        alg=alg,
        kid=Kid(data[kid_at:head_end]),
        payload=data[begin:end],
        signature=data[end + 2 :],
        signed=signed,
        identity=hashlib.sha256(signed).digest(),
        receipt=receipt,
    )


def _string_bounds(data: bytes, pos: int) -> tuple[int, int]:
    """Where the content of the byte string at `pos` begins and ends; (0, 0) if its head is not minimal."""
    if pos + 3 > len(data):
        return 0, 0
    first = data[pos]
    if first == 0x58 and data[pos + 1] > 23:
        return pos + 2, pos + 2 + data[pos + 1]
    if first == 0x59 and data[pos + 1]:
        return pos + 3, pos + 3 + (data[pos + 1] << 8 | data[pos + 2])
    if 0x40 <= first < 0x58:
        return pos + 1, pos + 1 + (first & 31)
    return 0, 0
