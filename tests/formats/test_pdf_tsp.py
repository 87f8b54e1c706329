"""Asking for time stamps: the question as asn1crypto reads it, answers of pyHanko's authority, and bad ones."""

import hashlib
from functools import cache
from typing import Any

import pytest
import stampworld
from asn1crypto import tsp
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.pdf.tsp import TimeStampError, read_time_stamp_response, time_stamp_request
from mingzheng.keys.der import der_integer, der_sequence

DIGEST = hashlib.sha256(b"signature").digest()


@cache
def answer(digest: bytes = DIGEST, nonce: int = 7) -> bytes:
    """What the authority says to our question."""
    request = tsp.TimeStampReq.load(time_stamp_request(digest, nonce=nonce), strict=True)
    data: bytes = stampworld.respond(request).dump()
    return data


@given(st.binary(min_size=32, max_size=32), st.integers(0, (1 << 64) - 1))
def test_the_question_says_what_is_asked(digest: bytes, nonce: int) -> None:
    request: Any = tsp.TimeStampReq.load(time_stamp_request(digest, nonce=nonce), strict=True).native
    assert request["version"] == "v1"
    assert request["message_imprint"]["hash_algorithm"]["algorithm"] == "sha256"
    assert request["message_imprint"]["hashed_message"] == digest
    assert (request["nonce"], request["cert_req"]) == (nonce, True)


def test_the_token_of_a_good_answer() -> None:
    data = answer()
    token = read_time_stamp_response(data, digest=DIGEST, nonce=7)
    assert data.endswith(token)


def test_answers_to_other_questions_are_refused() -> None:
    for digest, nonce in ((DIGEST, 8), (bytes(32), 7)):
        with pytest.raises(TimeStampError):
            read_time_stamp_response(answer(), digest=digest, nonce=nonce)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        der_sequence(),
        der_sequence(der_sequence()),
        der_sequence(der_sequence(der_integer(0))),
        der_sequence(der_sequence(der_integer(2)), der_sequence()),
        der_sequence(der_sequence(der_integer(0)), der_sequence()),
        bytes(70_000),
    ],
)
def test_refuses_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(TimeStampError):
        read_time_stamp_response(data, digest=DIGEST, nonce=7)


@given(st.data())
def test_a_changed_answer_is_refused_or_says_the_same(data: st.DataObject) -> None:
    good = answer()
    bad = bytearray(good)
    bad[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        token = read_time_stamp_response(bytes(bad), digest=DIGEST, nonce=7)
    except TimeStampError:
        return
    assert read_time_stamp_response(good, digest=DIGEST, nonce=7)[-300:] == token[-300:] or len(token) == len(good) - 9
