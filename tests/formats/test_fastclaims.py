"""The fast way to read claims is the slow way, on every kind of input: values and errors alike."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from conftest import FULL
from hypothesis import given
from hypothesis import strategies as st
from strategies import claims as any_claims

from mingzheng.formats import cbor, fastclaims
from mingzheng.formats.claims import Claims, Copy, Sex, Specialty, encode_claims, parse_claims
from mingzheng.formats.errors import CborError, ClaimsError, UnknownVersionError
from mingzheng.formats.fastclaims import read_claims

GOOD = Claims(
    name="张三丰", sex=Sex.MALE, birth=-4_000, kind=1, jurisdiction=31, registration_no="京111200620080001",
    specialties=(Specialty(code=1, first_day=20_000, last_day=21_000), Specialty(code=300, first_day=-5, last_day=23)),
    certificate_issued_on=19_000, employer="某某建设集团有限公司", registered_until=21_000, copy=Copy.USAGE,
    purpose="甲项目投标", issuing_body=1, sealing_body=2, serial=70_000, salt=bytes(range(16)),
    image_digest=bytes(range(32)), template=1, copy_issued_on=20_700, usage_until=20_880,
)  # fmt: skip


def outcome(read: Callable[[bytes], Claims], data: bytes) -> object:
    try:
        return read(data)
    except (CborError, ClaimsError, UnknownVersionError) as error:
        return type(error), str(error)


def same(data: bytes) -> None:
    assert outcome(read_claims, data) == outcome(parse_claims, data)


@given(any_claims())
def test_every_claims_set_reads_the_same(value: Claims) -> None:
    data = encode_claims(value)
    assert read_claims(data) == value
    same(data)


def test_ordinary_claims_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastclaims, "parse_claims", None)
    for value in (GOOD, replace(GOOD, employer=None), replace(GOOD, purpose=None, usage_until=None, specialties=())):
        assert read_claims(encode_claims(value)) == value


def test_flipped_bits_and_cuts_read_the_same() -> None:
    data = encode_claims(GOOD)
    places = range(len(data) * 8) if FULL else random.Random(1).sample(range(len(data) * 8), 800)
    for position in places:
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        same(bytes(changed))
    for cut in range(len(data)):
        same(data[:cut])
        same(data[cut:])
        same(data[:cut] + b"\x00" + data[cut:])
        same(data[:cut] + data[cut + 1 :])


@pytest.mark.parametrize(
    "name", ["e\u0301cole", "Ａ", "a  b", " a", "a ", "\u200ba", "张" * 40, "张" * 41, "", "a\x7f", "𠮷", "\ud7ff"]
)
def test_unusual_texts_read_the_same(name: str) -> None:
    data = encode_claims(GOOD)
    for old in ("张三丰", "甲项目投标"):
        coded, was = (b"\x78" + bytes([len(text.encode())]) + text.encode() if len(text.encode()) > 23
                      else bytes([0x60 + len(text.encode())]) + text.encode() for text in (name, old))  # fmt: skip
        assert data.count(was) == 1
        same(data.replace(was, coded))


NUMBERS = (-(2**63), -25_568, -25_567, -1, 0, 1, 2, 3, 10, 11, 23, 24, 82, 83, 255, 256, 47_481, 47_482, 65_535, 65_536,
           2_932_896, 2_932_897, 2**32, 2**40 - 1, 2**40, 2**63)  # fmt: skip


@pytest.mark.parametrize("key", [0, 2, 3, 4, 5, 8, 10, 11, 13, 14, 15, 18])
def test_every_number_at_its_edges_reads_the_same(key: int) -> None:
    outer = cbor.decode(encode_claims(GOOD), max_bytes=1000, max_depth=4)
    assert isinstance(outer, dict)
    fields = outer[-65537]
    assert isinstance(fields, dict)
    for number in NUMBERS:
        same(cbor.encode({**outer, -65537: {**fields, key: number}}))
    for claim in (4, 6):
        for number in NUMBERS:
            same(cbor.encode({**outer, claim: number}))
            same(cbor.encode({**outer, claim: number * 86_400 - 28_800} if abs(number) < 2**40 else outer))


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17])
def test_specialties_of_every_count_read_the_same(count: int) -> None:
    outer = cbor.decode(encode_claims(GOOD), max_bytes=1000, max_depth=4)
    assert isinstance(outer, dict)
    fields = outer[-65537]
    assert isinstance(fields, dict)
    items = tuple((code, 1, 2) for code in range(1, count + 1))
    for value in (items, tuple(reversed(items)), (*items, (1, 1)), (*items, (1, 2, 1)), (*items, (1, 1, 1, 1))):
        same(cbor.encode({**outer, -65537: {**fields, 7: value}}))
    whole = cbor.encode({**outer, -65537: {**fields, 7: items}})
    if count:
        same(whole.replace(b"\x07" + cbor.head(4, count), b"\x07" + cbor.head(4, count - 1)))


@given(st.binary(max_size=400))
def test_random_bytes_read_the_same(data: bytes) -> None:
    same(data)
