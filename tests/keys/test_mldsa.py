"""ML-DSA-44 keys: one DER spelling, the seed form of private keys, a typed error where the library is too old."""

import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from mingzheng.keys import mldsa
from mingzheng.keys.alg import Alg, parse_public_key, spki_of_raw, verify
from mingzheng.keys.errors import BadPrivateKeyError, BadSpkiError, MldsaUnavailableError, SignatureInvalidError
from mingzheng.keys.signer import InMemorySigner

SEED = bytes(range(32))
LIBRARY = "cryptography.hazmat.primitives.asymmetric.mldsa"


@pytest.fixture(scope="module")
def made() -> InMemorySigner:
    return InMemorySigner.from_private_bytes(Alg.ML_DSA_44, SEED)


def test_is_the_librarys_key(made: InMemorySigner) -> None:
    theirs = MLDSA44PrivateKey.from_seed_bytes(SEED)
    assert made.public_key.raw() == theirs.public_key().public_bytes_raw()
    assert made.public_key.spki == theirs.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    verify(made.public_key, signature=theirs.sign(b"m"), message=b"m")
    theirs.public_key().verify(made.sign(b"m"), b"m")


def test_private_key_is_the_seed_form(made: InMemorySigner) -> None:
    plain = mldsa.private_info(SEED)
    theirs = load_der_private_key(plain, None)
    assert isinstance(theirs, MLDSA44PrivateKey)
    assert theirs.private_bytes_raw() == SEED
    assert theirs.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) == plain
    assert mldsa.read_private_info(plain) == SEED
    for i in range(len(plain) - 32):
        with pytest.raises(BadPrivateKeyError):
            mldsa.read_private_info(plain[:i] + bytes([plain[i] ^ 1]) + plain[i + 1 :])
    for other in (plain[:-1], plain + b"\0", b""):
        with pytest.raises(BadPrivateKeyError):
            mldsa.read_private_info(other)


def test_one_spelling_of_a_public_key(made: InMemorySigner) -> None:
    spki = made.public_key.spki
    head = len(mldsa.SPKI_HEAD)
    assert len(spki) == head + 1312
    for i in range(head):
        with pytest.raises(BadSpkiError):
            parse_public_key(spki[:i] + bytes([spki[i] ^ 1]) + spki[i + 1 :], alg=Alg.ML_DSA_44)
    for other in (spki[:-1], spki + b"\0", spki[:head], b""):
        with pytest.raises(BadSpkiError):
            parse_public_key(other, alg=Alg.ML_DSA_44)
    assert spki_of_raw(made.public_key.raw(), alg=Alg.ML_DSA_44) == spki


@pytest.mark.parametrize("size", [0, 64, 2419, 2421])
def test_refuses_other_lengths(made: InMemorySigner, size: int) -> None:
    with pytest.raises(SignatureInvalidError, match="2420"):
        verify(made.public_key, signature=bytes(size), message=b"m")


def test_refuses_changed_signatures_and_messages(made: InMemorySigner) -> None:
    good = made.sign(b"m")
    with pytest.raises(SignatureInvalidError):
        verify(made.public_key, signature=good, message=b"n")
    for i in range(0, 2420, 97):
        with pytest.raises(SignatureInvalidError):
            verify(made.public_key, signature=good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :], message=b"m")


def test_says_so_where_the_library_is_too_old(made: InMemorySigner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are read and kept all the same: trust data that name such a witness still load."""
    signature = made.sign(b"m")
    assert mldsa.available()
    monkeypatch.setitem(sys.modules, LIBRARY, None)
    assert not mldsa.available()
    key = parse_public_key(made.public_key.spki, alg=Alg.ML_DSA_44)
    assert key == made.public_key
    with pytest.raises(MldsaUnavailableError) as caught:
        verify(key, signature=signature, message=b"m")
    assert caught.value.code == "mldsa.unavailable"
    with pytest.raises(MldsaUnavailableError):
        InMemorySigner.from_private_bytes(Alg.ML_DSA_44, SEED)
