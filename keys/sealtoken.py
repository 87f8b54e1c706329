"""Seal keys in a token behind PKCS #11 (OASIS PKCS #11 v2.40): the private key never leaves it.

P-256 by CKM_ECDSA over our own SHA-256, RSA by CKM_SHA256_RSA_PKCS. The certificate comes from the caller and its
public key is compared with what the token signs, once, when it is opened. Needs the extra `pkcs11`. Left out: SM2 (no
mechanism in the standard that tokens agree on), several slots of one label, protected authentication paths.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mingzheng.keys.errors import CertSignatureError, SealKeyMismatchError, SealTokenError
from mingzheng.keys.sealkey import SealAlg
from mingzheng.keys.x509 import CertAlg, parse_certificate, verify_signed

__all__ = ["TokenPlace", "TokenSealKey", "open_token_key"]

_ALGS: Final = {CertAlg.P256: SealAlg.P256, CertAlg.RSA: SealAlg.RSA}
_PROBE: Final = b"mingzheng: does this key belong to this certificate?"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlace:
    """Where a key lives: the maker's library, the label of the token, the label of the key."""

    library: Path
    token: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSealKey:
    """A SealKey in a token. `open_token_key` makes it; the session stays open as long as it lives."""

    alg: SealAlg
    certificate: bytes
    chain: tuple[bytes, ...]
    _key: Any = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """See SealKey. Raises SealTokenError if the token fails."""
        import pkcs11

        try:
            if self.alg is SealAlg.RSA:
                return bytes(self._key.sign(message, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))
            raw = bytes(self._key.sign(hashlib.sha256(message).digest(), mechanism=pkcs11.Mechanism.ECDSA))
        except pkcs11.PKCS11Error as error:
            raise SealTokenError(_reason(error)) from error
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def open_token_key(place: TokenPlace, *, pin: str, certificate: bytes, chain: tuple[bytes, ...] = ()) -> TokenSealKey:
    """The key of a token with its certificate (DER).

    Raises SealTokenError (no library, token or key of that name, wrong PIN), SealKeyMismatchError if the key is not
    the certificate's, and what `parse_certificate` raises.
    """
    parsed = parse_certificate(certificate)
    alg = _ALGS.get(parsed.key_alg)
    if alg is None:
        raise SealTokenError("keys in tokens are P-256 or RSA")
    opened = TokenSealKey(alg=alg, certificate=certificate, chain=chain, _key=_private(place, pin))
    try:
        verify_signed(parsed, algorithm_oid=alg.oid, message=_PROBE, signature=opened.sign(_PROBE))
    except CertSignatureError as error:
        raise SealKeyMismatchError("the certificate is not of the token's key") from error
    return opened


def _private(place: TokenPlace, pin: str) -> Any:
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
        return session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=place.key)
    except (pkcs11.PKCS11Error, RuntimeError) as error:  # RuntimeError: the library cannot be loaded
        raise SealTokenError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """The kind of a token's refusal; its text may carry labels."""
    return f"the token refused: {type(error).__name__}"
