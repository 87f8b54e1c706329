"""Seal keys: what signs seals on PDF and OFD files, with the certificate a reader is shown.

Source: GM/T 0009-2012 §7.3 (SM2 with SM3, user id 1234567812345678), RFC 5480 and RFC 6979 (ECDSA, deterministic),
RFC 8017 §8.2 (RSASSA-PKCS1-v1_5). Signatures come in the form X.509, CMS and GB/T 38540 embed: DER SEQUENCE {r, s}, or
the RSA bytes. Keeping the keys on disk is `custody`'s business, making them too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NoReturn, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from mingzheng.keys.errors import BadPrivateKeyError, SealKeyMismatchError
from mingzheng.keys.pkcs8 import read_sm2_private_info, sm2_private_info
from mingzheng.keys.sm2 import OID_SM2_SM3, SPKI_HEAD, message_digest, signature_to_der, sm2_engine
from mingzheng.keys.x509 import (
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    OID_ECDSA_SHA256,
    OID_RSA_SHA256,
    CertAlg,
    parse_certificate,
)


class SealAlg(StrEnum):
    """With what a seal is signed."""

    SM2 = "sm2-sm3"
    P256 = "ecdsa-p256-sha256"
    RSA = "rsa-sha256"

    @property
    def oid(self) -> str:
        """The signature algorithm in certificates and seals."""
        return _OIDS[self]


_OIDS: Final = {SealAlg.SM2: OID_SM2_SM3, SealAlg.P256: OID_ECDSA_SHA256, SealAlg.RSA: OID_RSA_SHA256}
_CERT_ALGS: Final = {SealAlg.SM2: CertAlg.SM2, SealAlg.P256: CertAlg.P256, SealAlg.RSA: CertAlg.RSA}


class SealKey(Protocol):
    """Something that signs seals: in memory, in a token, behind a socket."""

    @property
    def alg(self) -> SealAlg:
        """With what it signs."""
        ...

    @property
    def certificate(self) -> bytes:
        """DER of the key's own certificate."""
        ...

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER of the certificates above it, its issuer's first; may be empty."""
        ...

    def sign(self, message: bytes) -> bytes:
        """DER SEQUENCE {r, s}, or the bytes of RSASSA-PKCS1-v1_5, over `message`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SealPrivate:
    """A private key for seals, without a certificate yet. Only `parse_seal_private` makes it."""

    alg: SealAlg
    spki: bytes
    _sign: Callable[[bytes], bytes] = field(repr=False, compare=False)
    _pkcs8: bytes = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """See SealKey.sign."""
        return self._sign(message)

    def private_bytes(self) -> bytes:
        """PrivateKeyInfo in clear, for `custody` to encrypt. Never print, log or send it."""
        return self._pkcs8

    def __reduce__(self) -> NoReturn:
        """A private key does not travel by pickle."""
        raise TypeError("SealPrivate cannot be pickled")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySealKey:
    """A SealKey whose private key lives in this process. `make_seal_key` makes it."""

    alg: SealAlg
    certificate: bytes
    chain: tuple[bytes, ...]
    _private: SealPrivate = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """See SealKey."""
        return self._private.sign(message)


def parse_seal_private(pkcs8: bytes, *, alg: SealAlg) -> SealPrivate:
    """Load a PrivateKeyInfo (RFC 5958) for use with `alg`.

    Raises BadPrivateKeyError for bytes that are no such key; for SM2 also Sm2UnavailableError where nothing can sign.
    """
    if alg is SealAlg.SM2:
        key = sm2_engine().private_key(read_sm2_private_info(pkcs8))

        def sign(message: bytes) -> bytes:
            return signature_to_der(key.sign(message_digest(key.point, message)))

        spki = SPKI_HEAD + key.point
        return SealPrivate(alg=alg, spki=spki, _sign=sign, _pkcs8=bytes(pkcs8))
    try:
        loaded = load_der_private_key(pkcs8, None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise BadPrivateKeyError("not a private key in PKCS #8 that is known here") from error
    signer: Callable[[bytes], bytes]
    if alg is SealAlg.P256 and isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name == "secp256r1":
        signer = _ecdsa(loaded)
    elif alg is SealAlg.RSA and isinstance(loaded, rsa.RSAPrivateKey):
        if not MIN_RSA_BITS <= loaded.key_size <= MAX_RSA_BITS:
            raise BadPrivateKeyError(f"RSA key of {loaded.key_size} bits, expected {MIN_RSA_BITS} to {MAX_RSA_BITS}")
        signer = _rsa(loaded)
    else:
        raise BadPrivateKeyError(f"private key is not one for {alg}")
    public = loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    plain = loaded.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return SealPrivate(alg=alg, spki=public, _sign=signer, _pkcs8=plain)


def sm2_seal_private(scalar: bytes) -> SealPrivate:
    """An SM2 seal key from its scalar of 32 bytes; raises BadPrivateKeyError, Sm2UnavailableError."""
    point = sm2_engine().private_key(scalar).point
    return parse_seal_private(sm2_private_info(scalar, point), alg=SealAlg.SM2)


def make_seal_key(private: SealPrivate, *, certificate: bytes, chain: tuple[bytes, ...] = ()) -> MemorySealKey:
    """A private key together with its certificate.

    Raises SealKeyMismatchError if the certificate is of another key, and what `parse_certificate` raises.
    """
    parsed = parse_certificate(certificate)
    for above in chain:
        parse_certificate(above)
    if parsed.key_alg is not _CERT_ALGS[private.alg] or parsed.spki != private.spki:
        raise SealKeyMismatchError("the certificate is not of this private key")
    return MemorySealKey(alg=private.alg, certificate=bytes(certificate), chain=tuple(chain), _private=private)


def _ecdsa(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    return lambda message: key.sign(message, algorithm)


def _rsa(key: rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    return lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256())
