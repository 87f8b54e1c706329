"""Strict CBOR: the RFC's examples, hostile inputs, an oracle, and the two identities."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mingzheng.formats import cbor
from mingzheng.formats.credential import parse_credential
from mingzheng.formats.errors import (
    CborError,
    CborKeyOrderError,
    CborNotCanonicalError,
    CborTextError,
    CborTooDeepError,
    CborTooLongError,
    CborTrailingError,
    CborTruncatedError,
    CborTypeError,
    FormatError,
)

VECTORS = pathlib.Path(__file__).parents[1] / "vectors" / "cbor"
APPENDIX_A = json.loads((VECTORS / "appendix_a.json").read_text("utf-8"))
HOSTILE = json.loads((VECTORS / "vectors.json").read_text("utf-8"))


def decode(data: bytes, *, max_bytes: int = 4096, max_depth: int = 6, allow_null: bool = False) -> cbor.Value:
    return cbor.decode(data, max_bytes=max_bytes, max_depth=max_depth, allow_null=allow_null)


keys = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=8) | st.text(st.sampled_from("aé姓z"), max_size=5)
leaves = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(st.sampled_from("aé姓z\n"), max_size=30)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5).map(tuple) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


def as_lists(value: Any) -> Any:
    """What cbor2 and JSON call arrays."""
    if isinstance(value, tuple | list):
        return [as_lists(member) for member in value]
    if isinstance(value, dict):
        return {key: as_lists(member) for key, member in value.items()}
    return value


# RFC 8949 Appendix A


def _in_profile(hexed: str) -> bool:
    """By hand: no major type 6 or 7 anywhere, no indefinite length, shortest heads."""
    try:
        value = cbor2.loads(bytes.fromhex(hexed))
        text = repr(value)
    except (cbor2.CBORDecodeError, ValueError):
        return False
    plain = not any(word in text for word in ("True", "False", "None", "undefined", "Simple", "Tag", "datetime", "."))
    return plain and cbor2.dumps(value).hex() == hexed


@pytest.mark.parametrize("case", APPENDIX_A, ids=lambda case: case["hex"][:24])
def test_appendix_a(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    if data[0] >= 0xC0 or not case["roundtrip"] or not _in_profile(case["hex"]):
        with pytest.raises(CborError):
            decode(data)
        return
    value = decode(data)
    assert cbor.encode(value) == data
    if "decoded" in case:
        expected = case["decoded"]
        same = as_lists(value)
        if isinstance(same, dict):
            same = {str(key): member for key, member in same.items()}
        assert same == expected


def test_appendix_a_has_both_kinds() -> None:
    accepted = [case for case in APPENDIX_A if case["roundtrip"] and _in_profile(case["hex"])]
    assert len(APPENDIX_A) == 82
    assert len(accepted) > 35


# Hostile vectors

# Well-formed strict CBOR all the same: their fault is in what they say, or the label is wrong.
NOT_CBOR_FAULTS = {"text_nul", "name_zwsp", "name_variation"}


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case["name"])
def test_hostile_vector(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    if case["name"] in NOT_CBOR_FAULTS:
        assert cbor.encode(decode(data)) == data
    else:
        with pytest.raises(CborError):
            decode(data)
    with pytest.raises(FormatError):
        parse_credential(data)


def test_random_2000_never_accepted_as_credential_nor_untyped() -> None:
    accepted = 0
    blobs = json.loads((VECTORS / "random_2000.json").read_text("utf-8"))
    assert len(blobs) == 2000
    for hexed in blobs:
        data = bytes.fromhex(hexed)
        with pytest.raises(FormatError):
            parse_credential(data)
        try:
            value = decode(data)
        except CborError:
            continue
        accepted += 1
        assert cbor.encode(value) == data
    assert accepted < 20


@pytest.mark.parametrize(
    ("hexed", "error"),
    [
        ("", CborTruncatedError),
        ("18", CborTruncatedError),
        ("19ff", CborTruncatedError),
        ("1bffffffffffffff", CborTruncatedError),
        ("41", CborTruncatedError),
        ("6261", CborTruncatedError),
        ("8201", CborTruncatedError),
        ("a1", CborTruncatedError),
        ("a101", CborTruncatedError),
        ("a20102", CborTruncatedError),
        ("8281", CborTruncatedError),
        ("5b7fffffffffffffff", CborTruncatedError),
        ("bb7fffffffffffffff", CborTruncatedError),
        ("9bffffffffffffffff00", CborTruncatedError),
        ("a2410000", CborTruncatedError),
        ("0000", CborTrailingError),
        ("8000", CborTrailingError),
        ("1817", CborNotCanonicalError),
        ("190017", CborNotCanonicalError),
        ("1900ff", CborNotCanonicalError),
        ("1a0000ffff", CborNotCanonicalError),
        ("1b00000000ffffffff", CborNotCanonicalError),
        ("3817", CborNotCanonicalError),
        ("580161", CborNotCanonicalError),
        ("78016100", CborNotCanonicalError),
        ("980100", CborNotCanonicalError),
        ("b8010000", CborNotCanonicalError),
        ("1c", CborNotCanonicalError),
        ("1d", CborNotCanonicalError),
        ("1e", CborNotCanonicalError),
        ("1f", CborNotCanonicalError),
        ("5f4100ff", CborNotCanonicalError),
        ("7f6100ff", CborNotCanonicalError),
        ("9fff", CborNotCanonicalError),
        ("bfff", CborNotCanonicalError),
        ("a2010001", CborTruncatedError),
        ("a201000100", CborKeyOrderError),
        ("a202000100", CborKeyOrderError),
        ("a220000100", CborKeyOrderError),
        ("a261620061610000", CborKeyOrderError),
        ("a26261610061620000", CborKeyOrderError),
        ("a18000", CborTypeError),
        ("a1a000", CborTypeError),
        ("a1f600", CborTypeError),
        ("a1f400", CborTypeError),
        ("a1c10000", CborTypeError),
        ("c100", CborTypeError),
        ("d200", CborTypeError),
        ("d81200", CborTypeError),
        ("f4", CborTypeError),
        ("f5", CborTypeError),
        ("f6", CborTypeError),
        ("f7", CborTypeError),
        ("e0", CborTypeError),
        ("f8ff", CborTypeError),
        ("f90000", CborTypeError),
        ("fa00000000", CborTypeError),
        ("fb0000000000000000", CborTypeError),
        ("ff", CborTypeError),
        ("61ff", CborTextError),
        ("62c080", CborTextError),
        ("63eda080", CborTextError),
        ("6365cc81", CborTextError),
        ("8181818181818100", CborTooDeepError),
        ("81818181818180", CborTooDeepError),
        ("818181818181a0", CborTooDeepError),
    ],
)
def test_refuses_with_reason(hexed: str, error: type[CborError]) -> None:
    with pytest.raises(error):
        decode(bytes.fromhex(hexed))


@pytest.mark.parametrize("major", range(8))
def test_every_initial_byte_alone_is_typed(major: int) -> None:
    for info in range(32):
        first = bytes((major << 5 | info,))
        for tail in (b"", b"\0", b"\xff" * 8, b"\0" * 9, b"\x20" * 30):
            try:
                value = decode(first + tail)
            except CborError:
                continue
            assert cbor.encode(value) == first + tail


def test_limits_at_and_over() -> None:
    assert decode(b"\x82\x01\x02", max_bytes=3) == (1, 2)
    with pytest.raises(CborTooLongError):
        decode(b"\x82\x01\x02", max_bytes=2)
    assert decode(b"\x81" * 6 + b"\0") == ((((((0,),),),),),)
    assert decode(b"\0", max_depth=0) == 0
    with pytest.raises(CborTooDeepError):
        decode(b"\x80", max_depth=0)


def test_depth_counts_maps_and_arrays_alike() -> None:
    for wrap in (lambda value: {0: value}, lambda value: (value,)):
        value: cbor.Value = 0
        for _ in range(6):
            value = wrap(value)
        assert decode(cbor.encode(value)) == value
        for deeper in ({0: value}, (value,)):
            with pytest.raises(CborTooDeepError):
                decode(cbor.encode(deeper))


def test_null_only_where_asked_for() -> None:
    assert decode(b"\x81\xf6", allow_null=True) == (None,)
    assert cbor.encode((None,), allow_null=True) == b"\x81\xf6"
    with pytest.raises(CborTypeError):
        decode(b"\xf7", allow_null=True)
    with pytest.raises(CborTypeError):
        decode(b"\xa1\xf6\x00", allow_null=True)


def test_offset_points_at_the_fault() -> None:
    with pytest.raises(CborNotCanonicalError) as caught:
        decode(b"\x82\x01\x18\x01")
    assert caught.value.offset == 2


@given(st.binary(max_size=80))
@example(b"\xa1\x01\x02")
def test_decode_then_encode_is_the_input(data: bytes) -> None:
    try:
        value = decode(data)
    except CborError:
        return
    assert cbor.encode(value) == data


@given(values)
def test_encode_then_decode_is_the_value(value: cbor.Value) -> None:
    data = cbor.encode(value)
    assert decode(data, max_bytes=1 << 20, max_depth=16) == value


@given(values, st.data())
def test_one_changed_bit_never_decodes_to_the_same_value(value: cbor.Value, data: st.DataObject) -> None:
    encoded = cbor.encode(value)
    bit = data.draw(st.integers(0, 8 * len(encoded) - 1))
    changed = bytearray(encoded)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        other = decode(bytes(changed), max_bytes=1 << 20, max_depth=16)
    except CborError:
        return
    assert other != value


# cbor2 as an oracle


@given(values)
def test_cbor2_reads_ours_alike(value: cbor.Value) -> None:
    assert as_lists(cbor2.loads(cbor.encode(value))) == as_lists(value)


@given(st.binary(max_size=60))
def test_accepts_nothing_cbor2_reads_differently(data: bytes) -> None:
    try:
        value = decode(data)
    except CborError:
        return
    assert as_lists(cbor2.loads(data)) == as_lists(value)


@given(st.recursive(leaves, lambda inner: st.lists(inner, max_size=5).map(tuple), max_leaves=20))
def test_same_bytes_as_cbor2_canonical_without_maps(value: cbor.Value) -> None:
    assert cbor2.dumps(value, canonical=True) == cbor.encode(value)


@given(st.dictionaries(st.integers(-24, 23), st.integers(0, 2**32), max_size=20))
def test_same_bytes_as_cbor2_canonical_for_small_keys(value: dict[cbor.Key, cbor.Value]) -> None:
    assert cbor2.dumps(value, canonical=True) == cbor.encode(value)


def test_keys_are_in_bytewise_order_where_cbor2_is_length_first() -> None:
    """RFC 8949 §4.2.1 against RFC 7049 §3.9."""
    value: dict[cbor.Key, cbor.Value] = {24: 0, -1: 0}
    assert cbor.encode(value).hex() == "a21818002000"
    assert cbor2.dumps(value, canonical=True).hex() == "a22000181800"
    assert decode(cbor.encode(value)) == value
    with pytest.raises(CborKeyOrderError):
        decode(bytes.fromhex("a22000181800"))


# Encoder's refusals


@pytest.mark.parametrize(
    "value", [True, False, None, 1.0, [1], bytearray(b"a"), {1, 2}, {True: 1}, {(1,): 1}, {None: 1}]
)
def test_encoder_refuses_type(value: Any) -> None:
    with pytest.raises(CborTypeError):
        cbor.encode(value)


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1])
def test_encoder_refuses_more_than_64_bits(value: int) -> None:
    with pytest.raises(CborTypeError):
        cbor.encode(value)


@pytest.mark.parametrize("value", ["e\u0301", "\ud800", {"\ud800": 1}])
def test_encoder_refuses_text(value: Any) -> None:
    with pytest.raises(CborTextError):
        cbor.encode(value)


def test_encoder_refuses_depth() -> None:
    value: cbor.Value = 0
    for _ in range(cbor.ENCODE_DEPTH_MAX):
        value = (value,)
    assert len(cbor.encode(value)) == cbor.ENCODE_DEPTH_MAX + 1
    with pytest.raises(CborTooDeepError):
        cbor.encode((value,))
    with pytest.raises(CborTooDeepError):
        cbor.encode({0: value})


def test_head_lengths() -> None:
    for argument, length in ((23, 1), (24, 2), (255, 2), (256, 3), (65535, 3), (65536, 5), (2**32 - 1, 5), (2**32, 9)):
        assert len(cbor.head(0, argument)) == length
        assert cbor2.loads(cbor.head(0, argument)) == argument


def test_values_at_the_borders_of_head_lengths() -> None:
    """The least and the greatest of each head length, in every place the decoder reads heads."""
    for border in (24, 1 << 8, 1 << 16, 1 << 32):
        for number in (border - 1, border, -border, -border - 1):
            for value in (number, (number,), {number: 0}, {0: number}):
                assert decode(cbor.encode(value)) == value
    for length in (23, 24, 255, 256, 65_535, 65_536):
        for string in (bytes(length), "x" * length):
            for value in (string, {0: string}, {string: 0}):
                assert decode(cbor.encode(value), max_bytes=1 << 20) == value
        array = (0,) * length
        assert decode(cbor.encode(array), max_bytes=1 << 20) == array
        pairs = dict.fromkeys(range(length), 0)
        assert decode(cbor.encode(pairs), max_bytes=1 << 20) == pairs
    assert cbor.ENCODE_DEPTH_MAX == 16
