"""Seal keys in a token behind PKCS #11 (OASIS PKCS #11 v2.40): the private key never leaves it.

P-256 by CKM_ECDSA over our own SHA-256, RSA by CKM_SHA256_RSA_PKCS. The certificate comes from the caller and its
public key is compared with what the token signs, once, when it is opened. A request for a certificate needs the public
key, which most tokens show. Needs the extra `pkcs11`. Left out: SM2 (no mechanism in the standard that tokens agree
on), several slots of one label, protected authentication paths.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mingzheng.keys.errors import CertSignatureError, SealKeyMismatchError, SealTokenError
from mingzheng.keys.sealkey import SealAlg
from mingzheng.keys.x509 import CertAlg, parse_certificate, verify_signed

__all__ = ["TokenPlace", "TokenRequestKey", "TokenSealKey", "open_request_key", "open_token_key"]

_ALGS: Final = {CertAlg.P256: SealAlg.P256, CertAlg.RSA: SealAlg.RSA}
_PROBE: Final = b"mingzheng: does this key belong to this certificate?"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlace:
    """Where a key lives: the maker's library, the label of the token, the label of the key, its id, or both."""

    library: Path
    token: str
    key: str | None
    key_id: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSealKey:
    """A SealKey in a token. `open_token_key` makes it; the session stays open as long as it lives."""

    alg: SealAlg
    certificate: bytes
    chain: tuple[bytes, ...]
    _key: Any = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """See SealKey. Raises SealTokenError if the token fails."""
        return _sign(self._key, self.alg, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequestKey:
    """A key in a token that has no certificate yet: it signs the request for one. `open_request_key` makes it."""

    alg: SealAlg
    spki: bytes
    _key: Any = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """See SealKey. Raises SealTokenError if the token fails."""
        return _sign(self._key, self.alg, message)


def open_token_key(place: TokenPlace, *, pin: str, certificate: bytes, chain: tuple[bytes, ...] = ()) -> TokenSealKey:
    """The key of a token with its certificate (DER).

    Raises SealTokenError (no library, token or key of that name, wrong PIN), SealKeyMismatchError if the key is not
    the certificate's, and what `parse_certificate` raises.
    """
    parsed = parse_certificate(certificate)
    alg = _ALGS.get(parsed.key_alg)
    if alg is None:
        raise SealTokenError("keys in tokens are P-256 or RSA")
    for above in chain:
        parse_certificate(above)
    _, private = _objects(place, pin)
    opened = TokenSealKey(alg=alg, certificate=certificate, chain=chain, _key=private)
    try:
        verify_signed(parsed, algorithm_oid=alg.oid, message=_PROBE, signature=opened.sign(_PROBE))
    except CertSignatureError as error:
        raise SealKeyMismatchError("the certificate is not of the token's key") from error
    return opened


def open_request_key(place: TokenPlace, *, pin: str) -> TokenRequestKey | None:
    """The key of a token that waits for a certificate; None if the token does not show its public key.

    Raises SealTokenError as `open_token_key`, also for a key that is neither P-256 nor RSA.
    """
    public, private = _objects(place, pin)
    if public is None:
        return None
    try:
        alg, spki = _spki(public)
    except (KeyError, ValueError, TypeError) as error:
        raise SealTokenError("keys in tokens are P-256 or RSA") from error
    return TokenRequestKey(alg=alg, spki=spki, _key=private)


def _sign(key: Any, alg: SealAlg, message: bytes) -> bytes:
    import pkcs11

    try:
        if alg is SealAlg.RSA:
            return bytes(key.sign(message, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))
        raw = bytes(key.sign(hashlib.sha256(message).digest(), mechanism=pkcs11.Mechanism.ECDSA))
    except pkcs11.PKCS11Error as error:
        raise SealTokenError(_reason(error)) from error
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def _spki(public: Any) -> tuple[SealAlg, bytes]:
    """Algorithm and DER SubjectPublicKeyInfo of a public key object. EC_POINT stands in an OCTET STRING, or bare."""
    from pkcs11 import Attribute, KeyType

    found: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    if public[Attribute.KEY_TYPE] is KeyType.RSA:
        modulus, exponent = (int.from_bytes(public[name]) for name in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT))
        alg, found = SealAlg.RSA, rsa.RSAPublicNumbers(exponent, modulus).public_key()
    else:
        point = bytes(public[Attribute.EC_POINT])
        point = point[2:] if point[:2] == b"\x04\x41" else point
        alg, found = SealAlg.P256, ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    return alg, found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _objects(place: TokenPlace, pin: str) -> tuple[Any, Any]:
    """The public key, None if the token shows none, and the private one."""
    try:
        import pkcs11
    except ImportError as error:
        raise SealTokenError("python-pkcs11 is not installed (mingzheng[pkcs11])") from error
    try:
        token = pkcs11.lib(str(place.library)).get_token(token_label=place.token)
        try:
            session = token.open(user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:  # another key of the same token is in use: its login holds for the process
            session = token.open()
        private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=place.key, id=place.key_id)
        try:
            public = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=place.key, id=place.key_id)
        except pkcs11.NoSuchKey:
            public = None
        return public, private
    except (pkcs11.PKCS11Error, RuntimeError) as error:  # RuntimeError: the library cannot be loaded
        raise SealTokenError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """The kind of a token's refusal; its text may carry labels."""
    return f"the token refused: {type(error).__name__}"
