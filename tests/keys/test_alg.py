"""Algorithms: one spelling per key, weak points refused, signatures of one form."""

import copy
import hashlib
import pickle
from collections.abc import Callable

import pytest
from algs import ALGS, DISTINCT, HERE, NEEDS_SM2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys import alg as alg_module
from mingzheng.keys.alg import (
    Alg,
    PublicKey,
    check_ed25519_point,
    parse_alg,
    parse_public_key,
    spki_of_raw,
    verify,
)
from mingzheng.keys.errors import BadSpkiError, SignatureInvalidError, UnknownAlgError, WeakKeyError
from mingzheng.keys.kid import kid_of_spki
from mingzheng.keys.signer import InMemorySigner

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED = (Alg.ED25519, Alg.EDDSA)
EC = (Alg.ESP256, Alg.ES256)

# The eight points of order 1, 2, 4 and 8 in their canonical encodings.
TORSION = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
# x = 0 with the sign bit set: not canonical either.
NEGATIVE_ZERO = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def signer(alg: Alg, fill: int = 1) -> InMemorySigner:
    return InMemorySigner.from_private_bytes(alg, bytes([fill]) * 32)


@pytest.mark.parametrize("alg", ALGS)
def test_parse_gives_back_the_same_key(alg: Alg) -> None:
    key = signer(alg).public_key
    again = parse_public_key(bytearray(key.spki), alg=alg)
    assert again == key
    assert again.kid == kid_of_spki(key.spki)
    assert spki_of_raw(key.raw(), alg=alg) == key.spki
    if alg is Alg.SM2:  # the library knows no SM2; test_sm2 asks openssl
        return
    loaded = load_der_public_key(key.spki)
    assert loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == key.spki


def test_raw_is_the_key_itself() -> None:
    # RFC 8032 §7.1, test 1
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = InMemorySigner.from_private_bytes(Alg.ED25519, seed).public_key
    assert key.raw().hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    point = signer(Alg.ESP256).public_key.raw()
    assert len(point) == 65
    assert point[0] == 4


@pytest.mark.parametrize("alg", ALGS)
def test_travels_by_pickle_and_copy(alg: Alg) -> None:
    made = signer(alg)
    for key in (pickle.loads(pickle.dumps(made.public_key)), copy.deepcopy(made.public_key)):
        assert isinstance(key, PublicKey)
        assert key == made.public_key
        assert hash(key) == hash(made.public_key)
        verify(key, signature=made.sign(b"m"), message=b"m")


def test_equal_bytes_of_another_algorithm_are_another_key() -> None:
    assert signer(Alg.ED25519).public_key != signer(Alg.EDDSA).public_key


def test_is_frozen() -> None:
    with pytest.raises(AttributeError):
        signer(Alg.ED25519).public_key.alg = Alg.ESP256  # type: ignore[misc]


@pytest.mark.parametrize("number", [0, 1, -6, -10, -18, -20, -35, -36, -257, 4, 5, -65536, -65537, -66036, -66038])
def test_refuses_unknown_numbers(number: int) -> None:
    with pytest.raises(UnknownAlgError):
        parse_alg(number)


@pytest.mark.parametrize("alg", ALGS)
def test_knows_its_numbers(alg: Alg) -> None:
    assert parse_alg(int(alg)) is alg


def test_the_set_is_closed() -> None:
    assert {int(alg) for alg in Alg} == {-19, -9, -8, -7, -48, -66037}


def spki(make: Callable[[], object]) -> bytes:
    key = make().public_key()  # type: ignore[attr-defined]
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert isinstance(data, bytes)
    return data


OTHER_KEYS = {
    "ed448": spki(ed448.Ed448PrivateKey.generate),
    "x25519": spki(x25519.X25519PrivateKey.generate),
    "p384": spki(lambda: ec.generate_private_key(ec.SECP384R1())),
    "p521": spki(lambda: ec.generate_private_key(ec.SECP521R1())),
    "secp256k1": spki(lambda: ec.generate_private_key(ec.SECP256K1())),
    "brainpool": spki(lambda: ec.generate_private_key(ec.BrainpoolP256R1())),
    "rsa": spki(lambda: rsa.generate_private_key(65537, 2048)),
    "dsa": spki(lambda: dsa.generate_private_key(1024)),
    "empty": b"",
}


@pytest.mark.parametrize("alg", ALGS)
@pytest.mark.parametrize("kind", OTHER_KEYS)
def test_refuses_other_kinds_of_key(alg: Alg, kind: str) -> None:
    with pytest.raises(BadSpkiError):
        parse_public_key(OTHER_KEYS[kind], alg=alg)


def test_refuses_the_other_algorithms_key() -> None:
    for alg, other in ((Alg.ED25519, Alg.ESP256), (Alg.ESP256, Alg.ED25519), (Alg.EDDSA, Alg.ES256)):
        with pytest.raises(BadSpkiError):
            parse_public_key(signer(other).public_key.spki, alg=alg)


@NEEDS_SM2
def test_refuses_the_other_algorithms_key_of_sm2() -> None:
    for alg, other in ((Alg.SM2, Alg.ESP256), (Alg.ESP256, Alg.SM2), (Alg.SM2, Alg.ED25519), (Alg.ED25519, Alg.SM2)):
        with pytest.raises(BadSpkiError):
            parse_public_key(signer(other).public_key.spki, alg=alg)


@pytest.mark.parametrize("alg", DISTINCT)
def test_refuses_every_cut_and_every_added_byte(alg: Alg) -> None:
    data = signer(alg).public_key.spki
    for end in range(len(data)):
        with pytest.raises(BadSpkiError):
            parse_public_key(data[:end], alg=alg)
        with pytest.raises(BadSpkiError):
            parse_public_key(data[end + 1 :], alg=alg)
    for place in range(len(data) + 1):
        with pytest.raises(BadSpkiError):
            parse_public_key(data[:place] + b"\x00" + data[place:], alg=alg)


@pytest.mark.parametrize("alg", DISTINCT)
def test_refuses_every_flipped_bit_of_the_head(alg: Alg) -> None:
    data = signer(alg).public_key.spki
    head = 12 if alg is Alg.ED25519 else 27
    for bit in range(head * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSpkiError):
            parse_public_key(bytes(changed), alg=alg)


def test_refuses_other_ber_spellings() -> None:
    data = signer(Alg.ED25519).public_key.spki
    for variant in (
        b"\x30\x81\x2a" + data[2:],  # length in long form
        b"\x30\x80" + data[2:] + b"\x00\x00",  # indefinite length
        bytes.fromhex("302c300706032b65700500032100") + data[12:],  # NULL parameters
        bytes.fromhex("302a300506032b6570032101") + data[12:],  # an unused bit
    ):
        with pytest.raises(BadSpkiError):
            parse_public_key(variant, alg=Alg.ED25519)


def test_refuses_compressed_and_hybrid_points() -> None:
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), signer(Alg.ESP256).public_key.raw())
    raw = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    compressed = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + raw
    load_der_public_key(compressed)  # others take it
    with pytest.raises(BadSpkiError):
        parse_public_key(compressed, alg=Alg.ESP256)
    hybrid = bytearray(signer(Alg.ESP256).public_key.spki)
    hybrid[26] = 6 | raw[0] & 1
    with pytest.raises(BadSpkiError):
        parse_public_key(bytes(hybrid), alg=Alg.ESP256)


def test_refuses_explicit_curve_parameters() -> None:
    # The algorithm identifier carries a SEQUENCE (explicit parameters) in place of the curve's name.
    data = signer(Alg.ESP256).public_key.spki
    body = bytes.fromhex("06072a8648ce3d0201") + bytes.fromhex("3003020101")
    explicit = bytes.fromhex("3050") + bytes([0x30, len(body)]) + body + data[23:]
    with pytest.raises(BadSpkiError):
        parse_public_key(explicit, alg=Alg.ESP256)


@pytest.mark.parametrize("point", [bytes(64), b"\x01" * 64, b"\xff" * 64])
def test_refuses_points_off_p256(point: bytes) -> None:
    with pytest.raises(BadSpkiError):
        parse_public_key(spki_of_raw(b"\x04" + point, alg=Alg.ESP256), alg=Alg.ESP256)


@pytest.mark.parametrize("alg", ED)
@pytest.mark.parametrize("point", TORSION + NEGATIVE_ZERO)
def test_refuses_small_order_points(point: str, alg: Alg) -> None:
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(point))  # the library takes it
    with pytest.raises(WeakKeyError, match="small order"):
        parse_public_key(spki_of_raw(bytes.fromhex(point), alg=alg), alg=alg)


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", range(P, 2**255))
def test_refuses_every_non_canonical_y(y: int, sign: int) -> None:
    raw = (y | sign << 255).to_bytes(32, "little")
    with pytest.raises(WeakKeyError, match="canonical"):
        parse_public_key(spki_of_raw(raw, alg=Alg.ED25519), alg=Alg.ED25519)


def fault_of(y: int) -> str:
    """What is wrong with that y; empty if nothing."""
    try:
        check_ed25519_point(y.to_bytes(32, "little"))
    except WeakKeyError as error:
        return str(error)
    return ""


def test_y_just_below_the_prime_is_canonical() -> None:
    assert not any("canonical" in fault_of(y) for y in range(P - 20, P))


def test_refuses_points_off_the_curve() -> None:
    faults = [fault_of(y) for y in range(2, 60)]
    assert all(fault in ("", "Ed25519 point is not on the curve") for fault in faults)
    assert 15 < sum(map(bool, faults)) < 45  # about half of all y


def test_the_list_of_small_orders_is_complete() -> None:
    """Orders 1, 2, 4 have y = 1, −1, 0; order 8 doubles to y = 0, so that d·y⁴ + 2·y² = 1."""
    d = -121665 * pow(121666, -1, P) % P
    found = {int.from_bytes(bytes.fromhex(h), "little") & (2**255 - 1) for h in TORSION}
    order8 = {y for y in found if (d * pow(y, 4, P) + 2 * y * y - 1) % P == 0}
    assert len(order8) == 2
    assert found == {0, 1, P - 1} | order8


@given(st.binary(min_size=32, max_size=32))
def test_takes_every_honest_key(seed: bytes) -> None:
    made = InMemorySigner.from_private_bytes(Alg.ED25519, seed)
    check_ed25519_point(made.public_key.raw())


def test_small_order_key_would_verify_anything() -> None:
    """The reason for the rule: under the neutral point, R = point of order 1 and s = 0 always verify."""
    neutral = bytes.fromhex(TORSION[0])
    Ed25519PublicKey.from_public_bytes(neutral).verify(neutral + bytes(32), b"any message at all")


@pytest.mark.parametrize("alg", ALGS)
@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 96, 128])
def test_signature_is_64_bytes(alg: Alg, size: int) -> None:
    made = signer(alg)
    signature = (made.sign(b"m") * 2)[:size]
    with pytest.raises(SignatureInvalidError):
        verify(made.public_key, signature=signature, message=b"m")


@pytest.mark.parametrize("alg", ALGS)
def test_refuses_every_flipped_bit(alg: Alg) -> None:
    made = signer(alg)
    signature = made.sign(b"message")
    verify(made.public_key, signature=signature, message=b"message")
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureInvalidError):
            verify(made.public_key, signature=bytes(changed), message=b"message")


@pytest.mark.parametrize("alg", ALGS)
def test_refuses_another_message_and_another_key(alg: Alg) -> None:
    made = signer(alg)
    with pytest.raises(SignatureInvalidError):
        verify(made.public_key, signature=made.sign(b"a"), message=b"b")
    with pytest.raises(SignatureInvalidError):
        verify(signer(alg, 2).public_key, signature=made.sign(b"a"), message=b"a")


def test_refuses_s_beyond_the_group_order() -> None:
    made = signer(Alg.ED25519)
    signature = made.sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    for multiple in range(1, 15):
        bigger = (s + multiple * L).to_bytes(32, "little")
        with pytest.raises(SignatureInvalidError):
            verify(made.public_key, signature=signature[:32] + bigger, message=b"m")


@pytest.mark.parametrize("alg", EC)
def test_takes_high_and_low_s(alg: Alg) -> None:
    made = signer(alg)
    signature = made.sign(b"m")
    other = signature[:32] + (N - int.from_bytes(signature[32:])).to_bytes(32)
    verify(made.public_key, signature=signature, message=b"m")
    verify(made.public_key, signature=other, message=b"m")


@pytest.mark.parametrize("r", [0, 1, N - 1, N, N + 1, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, N - 1, N, N + 1, 2**256 - 1])
def test_refuses_r_and_s_at_the_borders(r: int, s: int) -> None:
    signature = r.to_bytes(32) + s.to_bytes(32)
    with pytest.raises(SignatureInvalidError):
        verify(signer(Alg.ESP256).public_key, signature=signature, message=b"m")


class TakesAll:
    """A library that checks nothing: the borders must hold without its help."""

    def verify(self, *unused: object) -> None:
        return


@pytest.mark.parametrize("part", [0, 32])
@pytest.mark.parametrize(("value", "good"), [(0, False), (1, True), (N - 1, True), (N, False), (2**256 - 1, False)])
def test_borders_are_our_own(part: int, value: int, good: bool) -> None:
    signature = bytearray(b"\x01" * 64)
    signature[part : part + 32] = value.to_bytes(32)
    if good:
        alg_module._verify_p256(TakesAll(), bytes(signature), b"")  # type: ignore[arg-type]
    else:
        with pytest.raises(InvalidSignature):
            alg_module._verify_p256(TakesAll(), bytes(signature), b"")  # type: ignore[arg-type]


def test_refuses_s_plus_n() -> None:
    """A signature made so that s is small: s + n fits in 32 bytes and would verify modulo n."""
    s, message, nonce = 1, b"m", 7
    r = _x_of_multiple(nonce)
    digest = int.from_bytes(hashlib.sha256(message).digest())
    private = (s * nonce - digest) * pow(r, -1, N) % N
    made = InMemorySigner.from_private_bytes(Alg.ESP256, private.to_bytes(32))
    verify(made.public_key, signature=r.to_bytes(32) + s.to_bytes(32), message=message)
    for other in ((s + N).to_bytes(32), s.to_bytes(31), s.to_bytes(33)):
        with pytest.raises(SignatureInvalidError):
            verify(made.public_key, signature=r.to_bytes(32) + other, message=message)


def _x_of_multiple(scalar: int) -> int:
    numbers = ec.derive_private_key(scalar, ec.SECP256R1()).public_key().public_numbers()
    return numbers.x % N


@given(st.sampled_from(HERE), st.binary(max_size=200), st.binary(min_size=64, max_size=64))
def test_random_signatures_never_verify(alg: Alg, message: bytes, signature: bytes) -> None:
    with pytest.raises(SignatureInvalidError):
        verify(signer(alg).public_key, signature=signature, message=message)


@given(st.sampled_from(HERE), st.binary(max_size=120))
def test_random_bytes_are_no_key(alg: Alg, data: bytes) -> None:
    with pytest.raises(BadSpkiError):
        parse_public_key(data, alg=alg)
