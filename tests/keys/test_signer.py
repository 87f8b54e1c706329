"""Signers: RFC test vectors, the same bytes every time, nothing secret shown."""

import copy
import pickle

import pytest
from algs import ALGS, NEEDS_SM2
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.alg import Alg, verify
from mingzheng.keys.errors import BadPrivateKeyError
from mingzheng.keys.signer import InMemorySigner, Signer
from mingzheng.keys.sm2 import N as SM2_N

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# RFC 8032 §7.1, tests 1 to 3: seed, message, signature
RFC8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
]

# RFC 6979 A.2.5, P-256 with SHA-256: message, r, s
RFC6979_KEY = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
RFC6979 = [
    (
        b"sample",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ),
    (
        b"test",
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
        "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
    ),
]


@pytest.mark.parametrize(("seed", "message", "signature"), RFC8032)
def test_signs_as_rfc_8032(seed: str, message: str, signature: str) -> None:
    made = InMemorySigner.from_private_bytes(Alg.ED25519, bytes.fromhex(seed))
    assert made.sign(bytes.fromhex(message)).hex() == signature


@pytest.mark.parametrize(("message", "r", "s"), RFC6979)
def test_signs_as_rfc_6979(message: bytes, r: str, s: str) -> None:
    key = bytes.fromhex(RFC6979_KEY)
    assert InMemorySigner.from_private_bytes(Alg.ESP256, key).sign(message).hex() == r + s


@pytest.mark.parametrize("alg", ALGS)
@given(seed=st.binary(min_size=32, max_size=32).filter(any), message=st.binary(max_size=300))
def test_signs_the_same_each_time_and_verifies(alg: Alg, seed: bytes, message: bytes) -> None:
    if alg in (Alg.ESP256, Alg.ES256, Alg.SM2) and int.from_bytes(seed) >= min(N, SM2_N - 1):
        seed = bytes(31) + b"\x01"
    made: Signer = InMemorySigner.from_private_bytes(alg, seed)
    signature = made.sign(message)
    assert len(signature) == (2420 if alg is Alg.ML_DSA_44 else 64)
    if alg not in (Alg.SM2, Alg.ML_DSA_44):  # their random numbers are new each time
        assert InMemorySigner.from_private_bytes(alg, seed).sign(message) == signature
    assert made.public_key.alg is alg
    verify(made.public_key, signature=signature, message=message)


@pytest.mark.parametrize("alg", ALGS)
@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_refuses_other_lengths(alg: Alg, size: int) -> None:
    with pytest.raises(BadPrivateKeyError):
        InMemorySigner.from_private_bytes(alg, b"\x01" * size)


@pytest.mark.parametrize("scalar", [0, N, N + 1, 2**256 - 1])
def test_refuses_scalars_out_of_range(scalar: int) -> None:
    with pytest.raises(BadPrivateKeyError):
        InMemorySigner.from_private_bytes(Alg.ESP256, scalar.to_bytes(32))


@pytest.mark.parametrize("scalar", [1, N - 1])
def test_takes_scalars_at_the_borders(scalar: int) -> None:
    made = InMemorySigner.from_private_bytes(Alg.ESP256, scalar.to_bytes(32))
    verify(made.public_key, signature=made.sign(b"m"), message=b"m")


@NEEDS_SM2
@pytest.mark.parametrize("scalar", [0, SM2_N - 1, SM2_N, 2**256 - 1])
def test_refuses_scalars_out_of_range_of_sm2(scalar: int) -> None:
    with pytest.raises(BadPrivateKeyError):
        InMemorySigner.from_private_bytes(Alg.SM2, scalar.to_bytes(32))


@NEEDS_SM2
@pytest.mark.parametrize("scalar", [1, SM2_N - 2])
def test_takes_scalars_at_the_borders_of_sm2(scalar: int) -> None:
    made = InMemorySigner.from_private_bytes(Alg.SM2, scalar.to_bytes(32))
    verify(made.public_key, signature=made.sign(b"m"), message=b"m")


@pytest.mark.parametrize("alg", [pytest.param(Alg.SM2, marks=NEEDS_SM2), Alg.ML_DSA_44])
def test_signs_anew_each_time(alg: Alg) -> None:
    made = InMemorySigner.from_private_bytes(alg, b"\x01" * 32)
    assert made.sign(b"m") != made.sign(b"m")


@pytest.mark.parametrize("alg", ALGS)
def test_shows_no_secret(alg: Alg) -> None:
    secret = bytes(range(1, 33))
    made = InMemorySigner.from_private_bytes(alg, secret)
    for shown in (repr(made), str(made), f"{made}"):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
        assert str(int.from_bytes(secret)) not in shown
    assert made.private_bytes() == secret


def test_does_not_travel() -> None:
    made = InMemorySigner.from_private_bytes(Alg.ED25519, b"\x01" * 32)
    with pytest.raises(TypeError):
        pickle.dumps(made)
    with pytest.raises(TypeError):
        copy.deepcopy(made)
