"""Kids: 8 bytes of SHA-256 over the SubjectPublicKeyInfo."""

import hashlib

import pytest

from mingzheng.keys.errors import BadKidError
from mingzheng.keys.kid import kid_of_spki, parse_kid


def test_is_the_head_of_the_digest() -> None:
    assert kid_of_spki(b"any") == hashlib.sha256(b"any").digest()[:8]


@pytest.mark.parametrize("size", [0, 1, 7, 9, 32])
def test_refuses_other_lengths(size: int) -> None:
    with pytest.raises(BadKidError):
        parse_kid(bytes(size))


def test_takes_8_bytes() -> None:
    assert parse_kid(bytearray(range(8))) == bytes(range(8))
