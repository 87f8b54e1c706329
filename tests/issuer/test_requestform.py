"""A request's bytes: one spelling, limits, and signatures over all of it."""

from dataclasses import replace

import pytest
from logworld import OPERATORS

from mingzheng.formats import cbor
from mingzheng.issuer.approvalerrors import RequestForgedError, RequestMalformedError
from mingzheng.issuer.lifecycle import decode_target
from mingzheng.issuer.requestform import (
    MAX_PARTS,
    Part,
    RequestForm,
    check_form,
    encode_form,
    parse_form,
    seal_message,
)
from mingzheng.issuer.rows import RequestRow
from mingzheng.issuer.schema import RequestState
from mingzheng.log.acts import ActType
from mingzheng.log.entry import MAX_BODY_BYTES, MAX_SERIALS, Asked, NoticeType, request_message

FIRST, SECOND = OPERATORS[:2]
KID = FIRST.public_key.kid


def form(code: ActType | NoticeType, *abouts: tuple[int, ...] | bytes) -> RequestForm:
    parts = []
    for about in abouts:
        message = request_message(Asked(issuer=1, code=code, about=about), "log", kid=KID, day=100)
        parts.append(Part(about=about, signature=FIRST.sign(message)))
    return RequestForm(id=bytes(8), origin=1, issuer=1, code=code, kid=KID, day=100, parts=tuple(parts))


ACT = form(ActType.REVOKE, (1, 3), (7,))
NOTICE = form(NoticeType.SEAL_CHANGE, b"body")


def check(asked: RequestForm) -> None:
    message = seal_message(encode_form(asked), target=b"t", reason="r", operator="o")
    check_form(asked, FIRST.public_key, "log", seal=(FIRST.sign(message), message))


@pytest.mark.parametrize("asked", [ACT, NOTICE, replace(ACT, parts=())])
def test_forms_are_read_back_and_hold(asked: RequestForm) -> None:
    assert parse_form(encode_form(asked)) == asked
    check(asked)


def test_acts_name_serials_and_notices_a_body() -> None:
    assert ACT.serials == (1, 3, 7)
    assert NOTICE.serials == ()
    assert NOTICE.abouts == (b"body",)


@pytest.mark.parametrize(
    "change",
    [
        {"parts": (replace(ACT.parts[0], about=(1, 4)),)},
        {"parts": (replace(ACT.parts[0], signature=bytes(64)),)},
        {"issuer": 2},
        {"day": 101},
        {"code": ActType.VOID},
    ],
)
def test_a_part_is_signed_for_what_it_says(change: dict[str, object]) -> None:
    with pytest.raises(RequestForgedError):
        check(replace(ACT, **change))  # type: ignore[arg-type]


def test_limits_hold_at_the_border() -> None:
    signed = ACT.parts[0].signature
    most = tuple(range(MAX_SERIALS))
    for good in (
        replace(ACT, parts=(Part(about=most, signature=signed),)),
        replace(ACT, parts=(ACT.parts[0],) * MAX_PARTS),
        replace(NOTICE, parts=(Part(about=bytes(MAX_BODY_BYTES), signature=signed),)),
    ):
        assert parse_form(encode_form(good)) == good
    for bad in (
        replace(ACT, parts=(Part(about=(*most, MAX_SERIALS), signature=signed),)),
        replace(ACT, parts=(ACT.parts[0],) * (MAX_PARTS + 1)),
        replace(NOTICE, parts=(Part(about=bytes(MAX_BODY_BYTES + 1), signature=signed),)),
        replace(ACT, parts=(Part(about=(3, 3), signature=signed),)),
        replace(ACT, parts=(Part(about=(), signature=signed),)),
        replace(ACT, parts=(Part(about=b"body", signature=signed),)),
        replace(ACT, id=bytes(7)),
        replace(ACT, issuer=0),
    ):
        with pytest.raises(RequestMalformedError):
            encode_form(bad)


def test_every_field_has_its_type() -> None:
    good = cbor.decode(encode_form(ACT), max_bytes=10_000, max_depth=4)
    assert isinstance(good, tuple)
    for at in range(9):
        for wrong in ({}, -(2**40), "x", (1,), ((1, 2),)):
            with pytest.raises(RequestMalformedError):
                parse_form(cbor.encode((*good[:at], wrong, *good[at + 1 :])))
    for other in (good[:-1], (*good, 0), 7):
        with pytest.raises(RequestMalformedError):
            parse_form(cbor.encode(other))


@pytest.mark.parametrize("target", [b"", b"\x80", b"\x82\x01\x01", b"\x82\x01\x41\xff", b"\x84\x01\x40\x01\x01"])
def test_a_target_is_one_or_forged(target: bytes) -> None:
    row = RequestRow(
        id=bytes(8),
        issuer=1,
        body=b"",
        target=target,
        reason="",
        operator="",
        seal=b"",
        state=RequestState.OPEN,
    )
    with pytest.raises(RequestForgedError):
        decode_target(row)
