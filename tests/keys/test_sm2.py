"""SM2: the standard's example, other makers' signatures, every border, and both engines alike."""

import json
import pathlib
from collections.abc import Iterator

import pytest
from algs import NEEDS_SM2
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys import sm2
from mingzheng.keys.errors import BadPrivateKeyError, BadSpkiError, DerError, Sm2UnavailableError
from mingzheng.keys.sm2 import (
    DEFAULT_ID,
    GX,
    GY,
    MAX_ID_BYTES,
    N,
    P,
    check_point,
    check_scalar,
    message_digest,
    point_of_spki,
    signature_from_der,
    signature_to_der,
    sm2_engine,
    sm2_verify,
    sm2_verify_pure,
    use_engine,
    verify_digest,
    z_value,
)
from mingzheng.keys.sm2backend import Backend, sign

# GB/T 32918.5-2017 Annex A.
PRIVATE = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
POINT = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
MESSAGE = b"message digest"
Z = "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"
E = "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
CASES = json.loads((pathlib.Path(__file__).parents[1] / "vectors" / "sm2" / "signatures.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def _engine_back() -> Iterator[None]:
    yield
    use_engine(Backend())


def test_example_of_the_standard() -> None:
    check_point(POINT)
    assert z_value(POINT).hex() == Z
    assert message_digest(POINT, MESSAGE).hex() == E
    assert sm2_verify_pure(POINT, MESSAGE, SIGNATURE)
    assert not sm2_verify_pure(POINT, MESSAGE + b" ", SIGNATURE)
    assert not sm2_verify_pure(POINT, MESSAGE, SIGNATURE, b"1234567812345679")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case['message']) // 2}B-{len(case['id']) // 2}")
def test_signatures_of_another_maker(case: dict[str, str]) -> None:
    point, user_id, message, signature, der = (
        bytes.fromhex(case[key]) for key in ("point", "id", "message", "signature", "der")
    )
    check_point(point)
    for engine in (None, Backend()):
        use_engine(engine)
        assert sm2_verify(point, message, signature, user_id)
        assert sm2_verify(point, message, signature_from_der(der), user_id)
        assert not sm2_verify(point, message + b"\0", signature, user_id)
        assert not sm2_verify(point, message, signature, user_id + b"\0")
        assert not sm2_verify(POINT, message, signature, user_id)


def test_every_flipped_bit_of_a_signature() -> None:
    digest = message_digest(POINT, MESSAGE)
    for bit in range(0, 512, 3):
        changed = bytearray(SIGNATURE)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify_digest(POINT, digest, bytes(changed))


BORDERS = [0, 1, N - 1, N, N + 1, P, 2**256 - 1]


@pytest.mark.parametrize("engine", [None, Backend()], ids=["python", "library"])
@pytest.mark.parametrize("r", BORDERS)
@pytest.mark.parametrize("s", BORDERS)
def test_r_and_s_at_the_borders(r: int, s: int, engine: Backend | None) -> None:
    use_engine(engine)
    assert not sm2_verify(POINT, MESSAGE, r.to_bytes(32) + s.to_bytes(32))


@pytest.mark.parametrize("engine", [None, Backend()], ids=["python", "library"])
def test_values_outside_the_range_that_fit_modulo_n(engine: Backend | None) -> None:
    use_engine(engine)
    r, s = int.from_bytes(SIGNATURE[:32]), int.from_bytes(SIGNATURE[32:])
    assert sm2_verify(POINT, MESSAGE, SIGNATURE)
    for twin in ((r, N - s), (N - r, s), (s, r), (r, N - r)):
        assert not sm2_verify(POINT, MESSAGE, twin[0].to_bytes(32) + twin[1].to_bytes(32))
    for size in (0, 63, 65, 128):
        assert not sm2_verify(POINT, MESSAGE, (SIGNATURE * 2)[:size])


def test_small_values_plus_the_order_are_refused() -> None:
    """e and a made so that (r, s) is small: r + n fits in 32 bytes and would verify modulo n."""
    k, r = 7, 5
    x, _, z = _times(k)
    e = (r - x * pow(z * z, -1, P) % P) % N
    private = 11
    s = (k - r * private) * pow(1 + private, -1, N) % N
    point = _affine(_times(private))
    good = r.to_bytes(32) + s.to_bytes(32)
    assert verify_digest(point, e.to_bytes(32), good)
    assert not verify_digest(point, e.to_bytes(32), (r + N).to_bytes(32) + good[32:])


def test_an_x_beyond_the_order_counts() -> None:
    """x₁ in n … p−1 (met once in 2^128): the comparison modulo n must take both candidates."""
    x = N + 2  # a point of the curve has this x
    while (y := _root((x**3 + sm2.A * x + sm2.B) % P)) is None:
        x += 1
    assert N < x < P
    point = b"\x04" + x.to_bytes(32) + y.to_bytes(32)
    q = sm2._add((x, y, 1), (GX, GY, 1))
    key = _affine(q)  # [n−1]G + [1](Q + G) = Q
    r = (1 - (N - 1)) % N  # t = r + s = 1
    e = (r - x) % N
    check_point(point)
    assert verify_digest(key, e.to_bytes(32), r.to_bytes(32) + (N - 1).to_bytes(32))


def test_a_sum_at_infinity_is_refused() -> None:
    """[s]G + [t]Q = O for Q = −2G, s = 2t: there is no x₁."""
    x, y, z = _times(2)
    key = _affine((x, P - y, z))
    s, t = 10, 5
    assert sm2._two_products(s, t, key)[2] == 0
    assert not verify_digest(key, bytes(32), ((t - s) % N).to_bytes(32) + s.to_bytes(32))


def _times(scalar: int) -> tuple[int, int, int]:
    return sm2._two_products(scalar, N, POINT) if scalar else (1, 1, 0)


def _affine(point: tuple[int, int, int]) -> bytes:
    x, y, z = point
    inverse = pow(z, -1, P)
    return b"\x04" + (x * inverse**2 % P).to_bytes(32) + (y * inverse**3 % P).to_bytes(32)


def _root(square: int) -> int | None:
    root = pow(square, (P + 1) // 4, P)
    return root if root * root % P == square else None


# Curve arithmetic


def test_multiples_by_addition_and_by_windows() -> None:
    """[k]G for k = 1 … 300 by adding G each time, which meets doubling and infinity, too."""
    total = (1, 1, 0)
    for k in range(1, 300):
        total = sm2._add(total, (GX, GY, 1))
        assert _affine(total) == _affine(_times(k))
        check_point(_affine(total))
    assert sm2._add(_times(5), _times(N - 5))[2] == 0
    assert sm2._add(_times(5), (1, 1, 0)) == _times(5)
    assert sm2._double((1, 1, 0))[2] == 0
    assert _affine(_times(int.from_bytes(PRIVATE))) == POINT


@given(st.integers(0, N - 1), st.integers(2, 8))
def test_signed_windows_sum_up(scalar: int, width: int) -> None:
    digits = sm2._signed_windows(scalar, width)
    assert sum(digit << i for i, digit in enumerate(digits)) == scalar
    assert all(digit == 0 or (digit % 2 and abs(digit) < 1 << width - 1) for digit in digits)


# Keys and their spellings


@pytest.mark.parametrize(
    "point",
    [
        b"",
        POINT[:-1],
        POINT + b"\0",
        b"\x02" + POINT[1:33],
        b"\x06" + POINT[1:],
        b"\x04" + bytes(64),
        POINT[:33] + POINT[1:33],
        b"\x04" + (P + 1).to_bytes(32) + POINT[33:],
        b"\x04" + POINT[1:33] + b"\xff" * 32,
    ],
)
def test_refuses_points(point: bytes) -> None:
    with pytest.raises(BadSpkiError):
        check_point(point)
    with pytest.raises(BadSpkiError):
        point_of_spki(sm2.SPKI_HEAD + point)


def test_spki() -> None:
    assert point_of_spki(sm2.SPKI_HEAD + POINT) == POINT
    with pytest.raises(BadSpkiError):
        point_of_spki(b"\x31" + sm2.SPKI_HEAD[1:] + POINT)


@pytest.mark.parametrize("scalar", [0, N - 1, N, 2**256 - 1])
def test_refuses_scalars(scalar: int) -> None:
    with pytest.raises(BadPrivateKeyError):
        check_scalar(scalar.to_bytes(32))


def test_takes_scalars() -> None:
    for scalar in (1, N - 2):
        check_scalar(scalar.to_bytes(32))
    for size in (0, 31, 33):
        with pytest.raises(BadPrivateKeyError):
            check_scalar(b"\1" * size)


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_signatures_in_der_and_back(r: int, s: int) -> None:
    raw = r.to_bytes(32) + s.to_bytes(32)
    assert signature_from_der(signature_to_der(raw)) == raw


@pytest.mark.parametrize(
    "data",
    [
        "", "3000", "3003020101", "3009020101020102020103", "3006020100020101", "30060201010201ff", "3006040101040101",
        "300702020001020101", "30080201010201010500", "3106020101020101",
        "3026" + "0221" + "01" + "00" * 32 + "020101",
    ],
)  # fmt: skip
def test_refuses_signatures_in_der(data: str) -> None:
    with pytest.raises(DerError):
        signature_from_der(bytes.fromhex(data))


def test_user_id_has_a_cap() -> None:
    assert z_value(POINT, bytes(MAX_ID_BYTES))
    with pytest.raises(ValueError, match="user id"):
        z_value(POINT, bytes(MAX_ID_BYTES + 1))
    assert z_value(POINT, b"") != z_value(POINT, DEFAULT_ID)


# The slot


def test_without_an_engine_nothing_signs() -> None:
    use_engine(None)
    with pytest.raises(Sm2UnavailableError):
        sm2_engine()
    assert sm2_verify(POINT, MESSAGE, SIGNATURE)
    engine = Backend()
    use_engine(engine)
    assert sm2_engine() is engine


@NEEDS_SM2
@given(st.integers(1, N - 2), st.binary(max_size=100), st.binary(max_size=20))
def test_what_the_library_signs_verifies_here(private: int, message: bytes, user_id: bytes) -> None:
    engine = Backend()
    scalar = private.to_bytes(32)
    point = engine.private_key(scalar).point
    check_point(point)
    signature = sign(scalar, message, user_id)
    digest = message_digest(point, message, user_id)
    assert verify_digest(point, digest, signature)
    assert engine.verify(point, digest, signature)
    changed = signature[:-1] + bytes([signature[-1] ^ 1])
    assert verify_digest(point, digest, changed) is engine.verify(point, digest, changed) is False
