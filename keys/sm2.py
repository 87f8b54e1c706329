"""SM2 signatures: the curve, the digest that is signed, verification in plain Python, and a faster engine's slot.

Source: GB/T 32918.2-2016 (GM/T 0003.2-2012) §5.5 (Z), §7 (verification); GB/T 32918.5-2017 (GM/T 0003.5-2012)
(curve, examples); GM/T 0009-2012 §10 (user id 1234567812345678). Verification touches public values only and
needs no constant time. Signing does, so it is never done here: an `Sm2Engine` (`sm2backend` puts OpenSSL's libcrypto
in the slot) signs, and verifies faster. Left out: encryption, key exchange.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol

from mingzheng.keys.der import SEQUENCE, der_integer, der_sequence, expect, parse_der, read_integer
from mingzheng.keys.errors import BadPrivateKeyError, BadSpkiError, DerValueError, Sm2UnavailableError
from mingzheng.keys.sm3 import Sm3, sm3

DEFAULT_ID: Final = b"1234567812345678"
MAX_ID_BYTES: Final = 8191  # its length in bits fills two bytes
POINT_BYTES: Final = 65
SIGNATURE_BYTES: Final = 64
PRIVATE_BYTES: Final = 32
# The one accepted DER head of a SubjectPublicKeyInfo (GM/T 0009-2012 §7.1): the point follows.
SPKI_HEAD: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
OID_EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
OID_SM2_CURVE: Final = "1.2.156.10197.1.301"
OID_SM2_SM3: Final = "1.2.156.10197.1.501"
OID_SM3: Final = "1.2.156.10197.1.401"

# GB/T 32918.5-2017 §2: y² = x³ + ax + b over the field of P, a = P − 3, base point of order N.
P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A: Final = P - 3
B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX: Final = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY: Final = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0

_CURVE: Final = b"".join(n.to_bytes(32) for n in (A, B, GX, GY))
_G_WIDTH: Final = 7
_KEY_WIDTH: Final = 5

# (X, Y, Z) stands for (X / Z², Y / Z³); Z = 0 is the point at infinity.
_Point = tuple[int, int, int]
_INFINITY: Final[_Point] = (1, 1, 0)


class Sm2Private(Protocol):
    """A private key held by an engine."""

    @property
    def point(self) -> bytes:
        """The 65 bytes of its public point."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """r ‖ s over the digest SM3(Z ‖ M)."""
        ...


class Sm2Engine(Protocol):
    """What can verify faster than this module, and sign."""

    @property
    def name(self) -> str:
        """For people: library and version."""
        ...

    def verify(self, point: bytes, digest: bytes, signature: bytes) -> bool:
        """Does the signature hold over the digest SM3(Z ‖ M)?"""
        ...

    def private_key(self, scalar: bytes) -> Sm2Private:
        """Load 32 bytes of a scalar in 1 … n−2; raises Sm2UnavailableError where nothing can sign."""
        ...


@dataclass(slots=True)
class _Slot:
    engine: Sm2Engine | None = field(default=None)


_SLOT: Final = _Slot()


def use_engine(engine: Sm2Engine | None) -> None:
    """Put an engine in the slot for the whole process; None leaves verification to plain Python."""
    _SLOT.engine = engine


def sm2_engine() -> Sm2Engine:
    """The engine in the slot; raises Sm2UnavailableError when there is none."""
    if _SLOT.engine is None:
        raise Sm2UnavailableError("signing with SM2 needs OpenSSL's libcrypto 3.0 or newer")
    return _SLOT.engine


def sm2_verify(point: bytes, message: bytes, signature: bytes, user_id: bytes = DEFAULT_ID) -> bool:
    """Does `signature` (r ‖ s) of the key `point` hold over `message`? By the engine, else in plain Python."""
    if _SLOT.engine is None:
        return sm2_verify_pure(point, message, signature, user_id)
    if not _in_range(signature):
        return False
    return _SLOT.engine.verify(point, message_digest(point, message, user_id), signature)


def sm2_verify_pure(point: bytes, message: bytes, signature: bytes, user_id: bytes = DEFAULT_ID) -> bool:
    """The same in plain Python: about 2 ms. `point` must have passed `check_point`."""
    return verify_digest(point, message_digest(point, message, user_id), signature)


def verify_digest(point: bytes, digest: bytes, signature: bytes) -> bool:
    """GB/T 32918.2 §7.1 from B5 on, over the digest e = SM3(Z ‖ M)."""
    if not _in_range(signature):
        return False
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    t = (r + s) % N
    if t == 0:
        return False
    x, _, z = _two_products(s, t, point)
    if z == 0:
        return False
    # (e + x₁) mod n = r, without dividing by Z²: x₁ is (r − e) mod n, or that plus n while below p.
    want = (r - int.from_bytes(digest)) % N
    square = z * z % P
    return want * square % P == x or (want + N < P and (want + N) * square % P == x)


def message_digest(point: bytes, message: bytes, user_id: bytes = DEFAULT_ID) -> bytes:
    """What is signed: e = SM3(Z ‖ M)."""
    digest = Sm3(z_value(point, user_id))
    digest.update(message)
    return digest.digest()


@lru_cache(maxsize=256)
def z_value(point: bytes, user_id: bytes = DEFAULT_ID) -> bytes:
    """Z of a key (GB/T 32918.2 §5.5): SM3 over the id, the curve and the public point."""
    if len(user_id) > MAX_ID_BYTES:
        raise ValueError(f"user id of {len(user_id)} bytes, cap is {MAX_ID_BYTES}")
    return sm3((8 * len(user_id)).to_bytes(2) + user_id + _CURVE + point[1:])


def check_point(point: bytes) -> None:
    """Refuse bytes that are no uncompressed point of the curve; raises BadSpkiError."""
    if len(point) != POINT_BYTES or point[0] != 4:
        raise BadSpkiError("not an uncompressed SM2 point")
    x, y = int.from_bytes(point[1:33]), int.from_bytes(point[33:])
    if x >= P or y >= P or (y * y - (x * x + A) * x - B) % P:
        raise BadSpkiError("SM2 point is not on the curve")


def point_of_spki(spki: bytes) -> bytes:
    """The 65-byte point of the one accepted SubjectPublicKeyInfo of an SM2 key; raises BadSpkiError."""
    if not spki.startswith(SPKI_HEAD):
        raise BadSpkiError("not the DER SubjectPublicKeyInfo of an uncompressed SM2 key")
    point = spki[len(SPKI_HEAD) :]
    check_point(point)
    return point


def check_scalar(scalar: bytes) -> None:
    """Refuse bytes that are no private key: 32 bytes, 1 … n−2; raises BadPrivateKeyError."""
    if len(scalar) != PRIVATE_BYTES:
        raise BadPrivateKeyError(f"private key is {len(scalar)} bytes, expected {PRIVATE_BYTES}")
    if not 0 < int.from_bytes(scalar) < N - 1:
        raise BadPrivateKeyError("SM2 scalar is not in 1 … n−2")


def signature_to_der(signature: bytes) -> bytes:
    """r ‖ s of 64 bytes as SEQUENCE {r, s} (GM/T 0009-2012 §7.3; ECDSA alike)."""
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    return der_sequence(der_integer(r), der_integer(s))


def signature_from_der(data: bytes) -> bytes:
    """r ‖ s of 64 bytes from strict DER; raises a leaf of DerError."""
    parts = expect(parse_der(data, max_depth=2, max_bytes=80), SEQUENCE).children()
    numbers = [read_integer(part) for part in parts]
    if len(numbers) != 2 or not all(0 < number < 1 << 256 for number in numbers):
        raise DerValueError("not two integers of 1 to 256 bits")
    return b"".join(number.to_bytes(32) for number in numbers)


def _in_range(signature: bytes) -> bool:
    """64 bytes with 0 < r, s < n (§7.1 B1, B2)."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    return 0 < int.from_bytes(signature[:32]) < N and 0 < int.from_bytes(signature[32:]) < N


def _two_products(s: int, t: int, point: bytes) -> _Point:
    """[s]G + [t]P, both scalars in one run of doublings (Straus with signed windows)."""
    digits = ((_signed_windows(s, _G_WIDTH), _base_table()), (_signed_windows(t, _KEY_WIDTH), _key_table(point)))
    total = _INFINITY
    for i in range(max(len(digits[0][0]), len(digits[1][0])) - 1, -1, -1):
        total = _double(total)
        for windows, table in digits:
            if i < len(windows) and (digit := windows[i]):
                x, y, z = table[abs(digit) >> 1]
                total = _add(total, (x, y if digit > 0 else P - y, z))
    return total


def _signed_windows(scalar: int, width: int) -> list[int]:
    """The scalar in digits of weight 1, 2, 4 …: each 0 or odd and below 2^(width − 1) in size."""
    digits = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar & (1 << width) - 1
            if digit >> width - 1:
                digit -= 1 << width
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    return digits


@lru_cache(maxsize=1)
def _base_table() -> tuple[_Point, ...]:
    return _odd_multiples((GX, GY, 1), _G_WIDTH)


@lru_cache(maxsize=64)
def _key_table(point: bytes) -> tuple[_Point, ...]:
    return _odd_multiples((int.from_bytes(point[1:33]), int.from_bytes(point[33:]), 1), _KEY_WIDTH)


def _odd_multiples(point: _Point, width: int) -> tuple[_Point, ...]:
    """[1]P, [3]P, [5]P … below 2^(width − 1)."""
    twice, multiples = _double(point), [point]
    while len(multiples) < 1 << width - 2:
        multiples.append(_add(multiples[-1], twice))
    return tuple(multiples)


def _double(point: _Point) -> _Point:
    """dbl-2001-b of the Explicit-Formulas Database, a = −3; infinity stays infinity (Z = 0)."""
    x, y, z = point
    delta = z * z % P
    gamma = y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, 2 * y * z % P


def _add(one: _Point, two: _Point) -> _Point:
    """add-1986-cc of the Explicit-Formulas Database, with its exceptions."""
    x1, y1, z1 = one
    x2, y2, z2 = two
    if z1 == 0:
        return two
    if z2 == 0:
        return one
    square1, square2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * square2 % P, x2 * square1 % P
    s1, s2 = y1 * square2 * z2 % P, y2 * square1 * z1 % P
    if u1 == u2:
        return _double(one) if s1 == s2 else _INFINITY
    h, r = u2 - u1, s2 - s1
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - s1 * hhh) % P, h * z1 * z2 % P
