"""SM3: the standard's examples, and pieces like the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.sm3 import DIGEST_BYTES, Sm3, sm3

# GB/T 32905-2016 A.1, A.2
EXAMPLES = [
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
]


@pytest.mark.parametrize(("message", "digest"), EXAMPLES)
def test_examples_of_the_standard(message: bytes, digest: str) -> None:
    assert sm3(message).hex() == digest
    assert Sm3(message).digest().hex() == digest


@given(st.lists(st.binary(max_size=150), max_size=5))
def test_pieces_are_the_whole(pieces: list[bytes]) -> None:
    digest = Sm3()
    for piece in pieces:
        digest.update(piece)
        assert len(digest.digest()) == DIGEST_BYTES  # asking does not end it
    assert digest.digest() == sm3(b"".join(pieces))
