"""RFC 9162 section 2.1.1 hashing."""

from hashlib import sha256

import pytest

from mingzheng.log.errors import HashLengthError
from mingzheng.log.hashing import EMPTY_ROOT, leaf_hash, node_hash, parse_hash


def test_known_answers_of_rfc6962_test_data() -> None:
    # Published with RFC 6962 implementations: the empty tree and the leaf of an empty entry.
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_leaf_and_node_are_separated_by_their_first_byte() -> None:
    left, right = leaf_hash(b"l"), leaf_hash(b"r")
    assert node_hash(left, right) == sha256(b"\x01" + left + right).digest()
    assert node_hash(left, right) != leaf_hash(left + right)
    assert node_hash(left, right) != node_hash(right, left)


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_refuses_a_hash_of_another_length(length: int) -> None:
    with pytest.raises(HashLengthError) as caught:
        parse_hash(bytes(length))
    assert caught.value.got == length
    assert caught.value.code == "proof.bad_hash"


def test_takes_32_bytes() -> None:
    assert parse_hash(bytes(32)) == bytes(32)
