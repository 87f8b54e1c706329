"""Signer: what signs. The protocol every key holder follows, and the one that holds its key in memory.

ECDSA is deterministic (RFC 6979), so a repeated run gives the same bytes and no bad random number can
betray the key. SM2 is signed by the engine in the slot of `sm2` (OpenSSL), with a random number each time, ML-DSA-44
likewise hedged.
Keeping keys on disk is `custody`'s business, making them too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mingzheng.keys import mldsa
from mingzheng.keys.alg import ED25519_ALGS, Alg, PublicKey, parse_public_key
from mingzheng.keys.errors import BadPrivateKeyError
from mingzheng.keys.sm2 import SPKI_HEAD, check_scalar, message_digest, sm2_engine

PRIVATE_BYTES = 32


class Signer(Protocol):
    """Something that signs with one key: in memory, in a token, behind a socket."""

    @property
    def public_key(self) -> PublicKey:
        """The key the signatures verify under."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes: RFC 8032, or r ‖ s; ML-DSA-44: 2,420 bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemorySigner:
    """A signer whose private key lives in this process. Only its constructors below make it."""

    public_key: PublicKey
    _sign: Callable[[bytes], bytes] = field(repr=False, compare=False)
    _private: bytes = field(repr=False, compare=False)

    @classmethod
    def from_private_bytes(cls, alg: Alg, raw: bytes) -> "InMemorySigner":
        """From 32 bytes: an Ed25519 seed (RFC 8032 §5.1.5) a scalar of P-256 or SM2, big-endian, or the
        seed of an ML-DSA-44 key (FIPS 204 §5.1).

        Raises BadPrivateKeyError for another length or a scalar outside 1 … n−1 (SM2: n−2), and for SM2
        Sm2UnavailableError (ML-DSA-44: MldsaUnavailableError) where no library signs with it.
        """
        if len(raw) != PRIVATE_BYTES:
            raise BadPrivateKeyError(f"private key is {len(raw)} bytes, expected {PRIVATE_BYTES}")
        sign, spki = _loader(alg)(raw)
        return cls(public_key=parse_public_key(spki, alg=alg), _sign=sign, _private=bytes(raw))

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes over `message`, the same every time (SM2 and ML-DSA-44 apart)."""
        return self._sign(message)

    def private_bytes(self) -> bytes:
        """The 32 secret bytes, for `custody` to encrypt. Never print, log or send them."""
        return self._private

    def __reduce__(self) -> NoReturn:
        """A private key does not travel by pickle."""
        raise TypeError("InMemorySigner cannot be pickled")


def _loader(alg: Alg) -> Callable[[bytes], tuple[Callable[[bytes], bytes], bytes]]:
    if alg in ED25519_ALGS:
        return _load_ed25519
    if alg is Alg.ML_DSA_44:
        return mldsa.signer
    return _load_sm2 if alg is Alg.SM2 else _load_p256


def _load_ed25519(raw: bytes) -> tuple[Callable[[bytes], bytes], bytes]:
    key = Ed25519PrivateKey.from_private_bytes(raw)
    return key.sign, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _load_p256(raw: bytes) -> tuple[Callable[[bytes], bytes], bytes]:
    try:
        key = ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())
    except ValueError:
        raise BadPrivateKeyError("P-256 scalar is not in 1 … n−1") from None
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, algorithm))
        return r.to_bytes(32) + s.to_bytes(32)

    return sign, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _load_sm2(raw: bytes) -> tuple[Callable[[bytes], bytes], bytes]:
    check_scalar(raw)
    key = sm2_engine().private_key(raw)
    return lambda message: key.sign(message_digest(key.point, message)), SPKI_HEAD + key.point
