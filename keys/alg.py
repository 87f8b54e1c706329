"""The closed set of signature algorithms and the public keys that use them.

Sources: RFC 8410 (Ed25519 SubjectPublicKeyInfo), RFC 5480 (P-256), RFC 9864 (algorithm numbers −19 and
−9), RFC 9053 (−8 and −7, receipts only), RFC 9964 (−48, ML-DSA-44, witnesses only), RFC 8032 §5.1.7,
GM/T 0009-2012 (SM2; its number is private use: docs/adr/0014). The algorithm is the one integer in the
trusted key's record: nothing in a message chooses it. Left out on purpose: every other curve,
compressed points, DER signatures.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mingzheng.keys import mldsa
from mingzheng.keys.errors import BadSpkiError, SignatureInvalidError, UnknownAlgError, WeakKeyError
from mingzheng.keys.kid import Kid, kid_of_spki
from mingzheng.keys.sm2 import SPKI_HEAD, point_of_spki, sm2_verify

SIGNATURE_BYTES: Final = 64  # of every algorithm but ML-DSA-44

# The one accepted DER head of each kind of key: everything before the key bytes is constant.
_ED25519_HEAD: Final = bytes.fromhex("302a300506032b6570032100")
_P256_HEAD: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_ED25519_BYTES: Final = 32
_P256_BYTES: Final = 64

# RFC 8032 §5.1: field prime and curve constant of edwards25519.
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
# FIPS 186-5 / SEC 2: order of P-256.
_N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# y of the points whose order divides 8, each with either sign bit: a signature under such a key
# verifies for many messages.
_ORDER8_Y: Final = (
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
)
_SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, *_ORDER8_Y})

_ECDSA: Final = ec.ECDSA(hashes.SHA256())


class Alg(IntEnum):
    """COSE algorithm numbers. −8 and −7 only for keys of role receipt (RFC 9942 verifiers want them).

    ML-DSA-44 only for keys of role witness. SM2 has no registered number; private use begins below −65536
    (RFC 9053 §8), and 501 is the last arc of its OID.
    """

    ED25519 = -19
    ESP256 = -9
    EDDSA = -8
    ES256 = -7
    ML_DSA_44 = -48
    SM2 = -65536 - 501


ED25519_ALGS: Final = frozenset({Alg.ED25519, Alg.EDDSA})


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key with the one algorithm it may be used for. Only `parse_public_key` makes it."""

    alg: Alg
    spki: bytes
    kid: Kid = field(compare=False)
    _verify: Callable[[bytes, bytes], None] = field(repr=False, compare=False)

    def raw(self) -> bytes:
        """The key itself: Ed25519 32 bytes, P-256 and SM2 the 65-byte uncompressed point, ML-DSA-44 1,312 bytes."""
        return self.spki[len(_raw_head(self.alg)) :]

    def __reduce__(self) -> tuple[Callable[..., "PublicKey"], tuple[bytes, int]]:
        """Travel as bytes and be parsed again: the loaded key stays in its process."""
        return _rebuild, (self.spki, int(self.alg))


def parse_alg(number: int) -> Alg:
    """The algorithm of that COSE number; raises UnknownAlgError outside the closed set."""
    try:
        return Alg(number)
    except ValueError:
        raise UnknownAlgError(f"unknown algorithm number {number!r}") from None


def parse_public_key(spki: bytes, *, alg: Alg) -> PublicKey:
    """Load the one accepted DER spelling of a key of `alg`.

    Cost: about 0.1 ms, paid once per key; `verify` loads nothing.

    Raises BadSpkiError for any other bytes (another curve, compressed point, other BER spelling, a
    point off P-256 or SM2's curve), WeakKeyError for an Ed25519 point that is off the curve, non-canonical or of
    small order.
    """
    spki = bytes(spki)
    if alg is Alg.SM2:
        check: Callable[[bytes, bytes], None] = partial(_verify_sm2, point_of_spki(spki))
        return PublicKey(alg=alg, spki=spki, kid=kid_of_spki(spki), _verify=check)
    if alg is Alg.ML_DSA_44:
        if len(spki) != len(mldsa.SPKI_HEAD) + mldsa.PUBLIC_BYTES or not spki.startswith(mldsa.SPKI_HEAD):
            raise BadSpkiError("not the DER SubjectPublicKeyInfo of an ML-DSA-44 key")
        check = mldsa.verifier(spki[len(mldsa.SPKI_HEAD) :])
        return PublicKey(alg=alg, spki=spki, kid=kid_of_spki(spki), _verify=check)
    kind, head, size = (
        ("Ed25519", _ED25519_HEAD, _ED25519_BYTES) if alg in ED25519_ALGS else ("P-256", _P256_HEAD, _P256_BYTES)
    )
    if len(spki) != len(head) + size or not spki.startswith(head):
        raise BadSpkiError(f"not the DER SubjectPublicKeyInfo of an uncompressed {kind} key")
    body = spki[len(head) :]
    verifier = _load_ed25519(body) if alg in ED25519_ALGS else _load_p256(body)
    return PublicKey(alg=alg, spki=spki, kid=kid_of_spki(spki), _verify=verifier)


def spki_of_raw(raw: bytes, *, alg: Alg) -> bytes:
    """The SubjectPublicKeyInfo around key bytes as `PublicKey.raw` gives them (checked when parsed)."""
    return _raw_head(alg) + raw


def verify(key: PublicKey, *, signature: bytes, message: bytes) -> None:
    """Check `signature` (64 raw bytes; ML-DSA-44: 2,420) of `key` over `message`.

    Ed25519: RFC 8032 §5.1.7, s below the group order. ECDSA: r ‖ s with 0 < r, s < n, high and low s
    alike. SM2: r ‖ s likewise, user id 1234567812345678, over SM3(Z ‖ message). Raises
    SignatureInvalidError, and for ML-DSA-44 MldsaUnavailableError where the library lacks it.
    """
    want = mldsa.SIGNATURE_BYTES if key.alg is Alg.ML_DSA_44 else SIGNATURE_BYTES
    if len(signature) != want:
        raise SignatureInvalidError(f"signature is {len(signature)} bytes, expected {want}")
    try:
        key._verify(signature, message)
    except InvalidSignature:
        raise SignatureInvalidError("signature does not verify") from None


def check_ed25519_point(raw: bytes) -> None:
    """Refuse an Ed25519 public key that is off the curve, spelt non-canonically or of small order.

    Source: RFC 8032 §5.1.3, and the eight torsion points. Raises WeakKeyError.
    """
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _P:
        raise WeakKeyError("Ed25519 point is not canonical: y is not below the field prime")
    if y in _SMALL_ORDER_Y:
        raise WeakKeyError("Ed25519 point has small order")
    # x² = (y² − 1) / (d·y² + 1) must be a square; Euler's criterion on numerator times denominator.
    square = (y * y - 1) * (_D * y * y + 1) % _P
    if pow(square, (_P - 1) // 2, _P) != 1:
        raise WeakKeyError("Ed25519 point is not on the curve")


def _raw_head(alg: Alg) -> bytes:
    """What stands before the key bytes in the SubjectPublicKeyInfo."""
    if alg in ED25519_ALGS:
        return _ED25519_HEAD
    if alg is Alg.ML_DSA_44:
        return mldsa.SPKI_HEAD
    return SPKI_HEAD if alg is Alg.SM2 else _P256_HEAD[:-1]


def _load_ed25519(raw: bytes) -> Callable[[bytes, bytes], None]:
    check_ed25519_point(raw)
    return Ed25519PublicKey.from_public_bytes(raw).verify


def _load_p256(raw: bytes) -> Callable[[bytes, bytes], None]:
    try:
        loaded = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + raw)
    except ValueError:
        raise BadSpkiError("P-256 point is not on the curve") from None
    return partial(_verify_p256, loaded)


def _verify_p256(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> None:
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if not (0 < r < _N and 0 < s < _N):
        raise InvalidSignature
    key.verify(encode_dss_signature(r, s), message, _ECDSA)


def _verify_sm2(point: bytes, signature: bytes, message: bytes) -> None:
    if not sm2_verify(point, message, signature):
        raise InvalidSignature


def _rebuild(spki: bytes, alg: int) -> PublicKey:
    return parse_public_key(spki, alg=parse_alg(alg))
