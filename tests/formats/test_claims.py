"""Claims: reference bytes, both identities, every bound, and messages that help."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import cbor, claims
from mingzheng.formats.civil import MAX_DAY, MIN_DAY, parse_day
from mingzheng.formats.claims import Claims, Copy, Sex, Specialty, encode_claims, parse_claims
from mingzheng.formats.errors import (
    CborError,
    ClaimsError,
    ClaimTextError,
    ClaimTooLongError,
    FormatError,
    UnknownVersionError,
)

SAMPLE = json.loads((pathlib.Path(__file__).parents[1] / "vectors" / "credential" / "sample.json").read_text("utf-8"))
PAYLOAD = bytes.fromhex(SAMPLE["references"][0]["payload"])


def claims_of_words(words: dict[str, Any]) -> Claims:
    """Our claims from the words of the sample file."""
    photo, signature = words["photo_text"], words["signature_text"]
    return Claims(
        name=words["name"],
        sex=Sex(words["sex"]),
        birth=parse_day(words["birth"]),
        kind=words["kind"],
        jurisdiction=words["jurisdiction"],
        registration_no=words["registration_no"],
        specialties=tuple(
            Specialty(code=s["code"], first_day=parse_day(s["first_day"]), last_day=parse_day(s["last_day"]))
            for s in words["specialties"]
        ),
        certificate_issued_on=parse_day(words["certificate_issued_on"]),
        employer=words["employer"],
        registered_until=parse_day(words["registered_until"]),
        copy=Copy(words["copy"]),
        purpose=words["purpose"],
        issuing_body=words["issuing_body"],
        sealing_body=words["sealing_body"],
        serial=words["serial"],
        salt=bytes.fromhex(words["salt"]),
        image_digest=claims.image_digest(
            None if photo is None else photo.encode(), None if signature is None else signature.encode()
        ),
        template=words["template"],
        copy_issued_on=parse_day(words["copy_issued_on"]),
        usage_until=parse_day(words["usage_until"]),
    )


GOOD = claims_of_words(SAMPLE["claims"])

days = st.integers(MIN_DAY, MAX_DAY)
codes = st.integers(1, 65535)
texts = st.text(st.sampled_from("张三欧阳abcZ09·（）𠮷é-"), min_size=1, max_size=40)
specialties = st.lists(st.tuples(codes, days, days), max_size=16, unique_by=lambda item: item[0]).map(
    lambda items: tuple(Specialty(code=code, first_day=min(a, b), last_day=max(a, b)) for code, a, b in sorted(items))
)
any_claims = st.builds(
    Claims,
    name=texts,
    sex=st.sampled_from(Sex),
    birth=st.integers(MIN_DAY, claims.BIRTH_MAX),
    kind=codes,
    jurisdiction=st.just(0) | st.integers(11, 82),
    registration_no=texts,
    specialties=specialties,
    certificate_issued_on=days,
    employer=st.none() | texts,
    registered_until=days,
    copy=st.sampled_from(Copy),
    purpose=st.none() | texts,
    issuing_body=codes,
    sealing_body=codes,
    serial=st.integers(0, claims.SERIAL_MAX),
    salt=st.binary(min_size=16, max_size=16),
    image_digest=st.binary(min_size=32, max_size=32),
    template=codes,
    copy_issued_on=st.integers(1, MAX_DAY),
    usage_until=st.none() | st.integers(0, MAX_DAY),
)


def test_reference_bytes() -> None:
    assert encode_claims(GOOD) == PAYLOAD
    assert parse_claims(PAYLOAD) == GOOD


@given(any_claims)
def test_encode_then_parse(value: Claims) -> None:
    assert parse_claims(encode_claims(value)) == value


@given(any_claims, st.data())
def test_parse_then_encode_of_a_changed_payload(value: Claims, data: st.DataObject) -> None:
    """Whatever one changed byte leaves acceptable is written back byte for byte."""
    payload = bytearray(encode_claims(value))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_claims(bytes(payload))
    except FormatError:
        return
    assert encode_claims(parsed) == bytes(payload)


@given(st.binary(max_size=200))
def test_raises_only_typed_errors(payload: bytes) -> None:
    with pytest.raises((CborError, ClaimsError)):
        parse_claims(payload)


def test_every_single_byte_change_of_the_sample() -> None:
    """All 255 other values at every place: refused with a typed error or another certificate."""
    accepted = 0
    for at in range(len(PAYLOAD)):
        for flip in (0x01, 0x02, 0x10, 0x20, 0x40, 0x80, 0xFF):
            changed = PAYLOAD[:at] + bytes((PAYLOAD[at] ^ flip,)) + PAYLOAD[at + 1 :]
            try:
                parsed = parse_claims(changed)
            except FormatError:
                continue
            accepted += 1
            assert parsed != GOOD
            assert encode_claims(parsed) == changed
    assert accepted > 100


def test_every_prefix_and_suffix_is_refused() -> None:
    for cut in range(len(PAYLOAD)):
        with pytest.raises(FormatError):
            parse_claims(PAYLOAD[:cut])
        with pytest.raises(FormatError):
            parse_claims(PAYLOAD[cut + 1 :])


# Bounds, both directions

BAD: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": ""}),
    ("name", {"name": "甲" * 41}),
    ("name", {"name": "张\u200b三"}),
    ("registration_no", {"registration_no": " 1"}),
    ("employer", {"employer": ""}),
    ("purpose", {"purpose": "a\u202eb"}),
    ("sex", {"sex": 3}),
    ("sex", {"sex": 0}),
    ("copy", {"copy": 3}),
    ("certificate_issued_on", {"certificate_issued_on": MAX_DAY + 1}),
    ("registered_until", {"registered_until": MIN_DAY - 1}),
    ("issuing_body", {"issuing_body": 65536}),
    ("sealing_body", {"sealing_body": 0}),
    ("template", {"template": 65536}),
    ("birth", {"birth": MIN_DAY - 1}),
    ("birth", {"birth": claims.BIRTH_MAX + 1}),
    ("kind", {"kind": 0}),
    ("kind", {"kind": 65536}),
    ("jurisdiction", {"jurisdiction": -1}),
    ("jurisdiction", {"jurisdiction": 10}),
    ("jurisdiction", {"jurisdiction": 83}),
    ("certificate_issued_on", {"certificate_issued_on": MIN_DAY - 1}),
    ("registered_until", {"registered_until": MAX_DAY + 1}),
    ("copy", {"copy": 0}),
    ("issuing_body", {"issuing_body": 0}),
    ("sealing_body", {"sealing_body": 65536}),
    ("serial", {"serial": -1}),
    ("serial", {"serial": 1 << 40}),
    ("salt", {"salt": bytes(15)}),
    ("image_digest", {"image_digest": bytes(31)}),
    ("template", {"template": 0}),
    ("copy_issued_on", {"copy_issued_on": 0}),
    ("copy_issued_on", {"copy_issued_on": MAX_DAY + 1}),
    ("usage_until", {"usage_until": -1}),
    ("usage_until", {"usage_until": MAX_DAY + 1}),
    ("specialties", {"specialties": tuple(Specialty(code=c, first_day=0, last_day=0) for c in range(1, 18))}),
    ("specialties", {"specialties": (Specialty(code=0, first_day=0, last_day=0),)}),
    ("specialties", {"specialties": (Specialty(code=2, first_day=0, last_day=0),) * 2}),
    ("specialties", {"specialties": (Specialty(code=2, first_day=1, last_day=0),)}),
    ("specialties", {"specialties": (Specialty(code=2, first_day=MIN_DAY - 1, last_day=0),)}),
    ("specialties", {"specialties": (Specialty(code=2, first_day=0, last_day=MAX_DAY + 1),)}),
]


@pytest.mark.parametrize(("field", "change"), BAD, ids=lambda value: str(value)[:40])
def test_issuer_is_told_the_field(field: str, change: dict[str, Any]) -> None:
    with pytest.raises(ClaimsError) as caught:
        encode_claims(dataclasses.replace(GOOD, **change))
    assert caught.value.field == field


def test_issuer_is_told_how_many_characters_to_cut() -> None:
    with pytest.raises(ClaimTooLongError) as caught:
        encode_claims(dataclasses.replace(GOOD, employer="甲" * 43))
    assert (caught.value.field, caught.value.cut) == ("employer", 3)
    assert "cut 3" in str(caught.value)
    assert "请删减 3 个字符" in str(caught.value)


def test_error_never_repeats_the_text() -> None:
    with pytest.raises(ClaimTextError) as caught:
        encode_claims(dataclasses.replace(GOOD, name="张三丰\u200b"))
    assert "张" not in str(caught.value)


def _maps() -> tuple[dict[cbor.Key, cbor.Value], dict[cbor.Key, cbor.Value]]:
    outer = cbor.decode(PAYLOAD, max_bytes=4096, max_depth=6)
    assert isinstance(outer, dict)
    fields = outer[claims.FIELDS]
    assert isinstance(fields, dict)
    return dict(outer), dict(fields)


@pytest.mark.parametrize("key", range(19))
@pytest.mark.parametrize("value", [b"bytes", "text", -1, (), {}, (1,)], ids=repr)
def test_wrong_type_of_any_field(key: int, value: cbor.Value) -> None:
    outer, fields = _maps()
    if type(fields[key]) is type(value) and key not in (7, 11, 16, 17):
        value = b"x" if type(value) is not bytes else "x"
    fields[key] = value
    if (value == -1 and key in (3, 8, 10)) or (value == "text" and key in (1, 6, 9, 12)):
        return
    outer[claims.FIELDS] = fields
    with pytest.raises(ClaimsError):
        parse_claims(cbor.encode(outer))


@pytest.mark.parametrize("label", [claims.EXP, claims.IAT])
@pytest.mark.parametrize("value", [b"", "text", (), {}, 0, -1, 86_400, 57_601, -28_800 - 86_400], ids=repr)
def test_wrong_exp_and_iat(label: int, value: cbor.Value) -> None:
    outer, _ = _maps()
    outer[label] = value
    with pytest.raises(ClaimsError):
        parse_claims(cbor.encode(outer))


def test_exp_absent_is_no_window() -> None:
    outer, _ = _maps()
    del outer[claims.EXP]
    assert parse_claims(cbor.encode(outer)) == dataclasses.replace(GOOD, usage_until=None)


@pytest.mark.parametrize("label", [1, 2, 3, 5, 7, 8, 393, "iss", -65538, b""], ids=repr)
def test_no_other_claim(label: cbor.Key) -> None:
    outer, _ = _maps()
    outer[label] = 1
    with pytest.raises(ClaimsError):
        parse_claims(cbor.encode(outer))


@pytest.mark.parametrize("version", [2, 23, 24, 2**63])
def test_other_version_is_named_whatever_else_it_holds(version: int) -> None:
    for fields in ({0: version}, {0: version, 1: (1, 2), 40: "x"}):
        with pytest.raises(UnknownVersionError) as caught:
            parse_claims(cbor.encode({claims.FIELDS: fields, 99: 1}))
        assert caught.value.version == version


@pytest.mark.parametrize("version", [-1, "1", b"", ()], ids=repr)
def test_a_version_is_an_unsigned_integer(version: cbor.Value) -> None:
    with pytest.raises(ClaimsError):
        parse_claims(cbor.encode({claims.FIELDS: {0: version}}))


@pytest.mark.parametrize("value", [0, "x", (), {}, {claims.FIELDS: 1}, {claims.FIELDS: {}}], ids=repr)
def test_no_claims_map(value: cbor.Value) -> None:
    with pytest.raises(ClaimsError):
        parse_claims(cbor.encode(value))


# Image digest


def test_image_digest_order_and_absence() -> None:
    zero, a, b = bytes(32), hashlib.sha256(b"a").digest(), hashlib.sha256(b"b").digest()
    for photo, signature, joined in ((b"a", b"b", a + b), (b"b", b"a", b + a), (b"a", None, a + zero)):
        assert claims.image_digest(photo, signature) == hashlib.sha256(joined).digest()
    assert claims.image_digest(None, b"a") == hashlib.sha256(zero + a).digest()
    assert claims.image_digest(None, None) == hashlib.sha256(zero + zero).digest()
