"""Strict JSON: one meaning per document, and every fault typed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.errors import KeysError, TrustMalformedError, TrustTooLargeError
from mingzheng.keys.strictjson import (
    check_printable,
    load_json,
    take_date,
    take_hex,
    take_int,
    take_list,
    take_object,
    take_string,
    take_text,
)

HOSTILE = {
    "empty": b"",
    "bom": b'\xef\xbb\xbf{"a": 1}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "not utf-8": b'"\xff"',
    "duplicate key": b'{"a": 1, "a": 1}',
    "duplicate key below": b'[{"b": {"a": 1, "\\u0061": 2}}]',
    "float": b"1.0",
    "exponent": b"1e3",
    "nan": b"NaN",
    "infinity": b"Infinity",
    "minus infinity": b"[-Infinity]",
    "minus zero": b"-0",
    "leading zero": b"01",
    "plus": b"+1",
    "long integer": b"1" * 21,
    "very long integer": b"1" * 5000,
    "trailing comma": b"[1,]",
    "comment": b"[1] // x",
    "trailing bytes": b"{} {}",
    "single quotes": b"{'a': 1}",
    "control character": b'"\x01"',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "undefined": b"undefined",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_refuses_hostile_documents(case: str) -> None:
    with pytest.raises(TrustMalformedError):
        load_json(HOSTILE[case])


@pytest.mark.parametrize("value", [{}, [], "", 0, -1, 2**63 - 1, -(2**63), True, None, {"a": [1, {"b": "c"}]}])
def test_takes_plain_documents(value: object) -> None:
    assert load_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=80))
def test_raises_only_its_own_error(data: bytes) -> None:
    try:
        value = load_json(data)
    except TrustMalformedError:
        return
    assert json.loads(data) == value


def test_take_object() -> None:
    assert take_object({"a": 1, "b": 2}, "x", ("b", "a")) == {"a": 1, "b": 2}
    for value in ({"a": 1}, {"a": 1, "b": 2, "c": 3}, [], "a", None, 1):
        with pytest.raises(TrustMalformedError):
            take_object(value, "x", ("a", "b"))  # type: ignore[arg-type]


def test_take_list() -> None:
    assert take_list([1, 2], "x", most=2) == [1, 2]
    with pytest.raises(TrustTooLargeError):
        take_list([1, 2, 3], "x", most=2)
    for value in ({}, "ab", None, 1):
        with pytest.raises(TrustMalformedError):
            take_list(value, "x", most=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1, 5])
def test_take_int_at_the_borders(value: int) -> None:
    assert take_int(value, "x", low=1, high=5) == value


@pytest.mark.parametrize("value", [0, 6, True, False, None, "1", [], {}])
def test_take_int_refuses(value: object) -> None:
    with pytest.raises(TrustMalformedError):
        take_int(value, "x", low=1, high=5)  # type: ignore[arg-type]


def test_take_string() -> None:
    assert take_string("abc", "x", most=3) == "abc"
    for value in ("abcd", 1, None, [], {}):
        with pytest.raises(TrustMalformedError):
            take_string(value, "x", most=3)  # type: ignore[arg-type]


BAD_TEXTS = ["", " a", "a ", "a\nb", "a\tb", "e\u0301", "a\u200bb", "a\u202eb", "\ue000", "\u0378", "\ud800", "\u2028"]
BAD_TEXTS += ["a\x7f", "\ufeffa", "ﾊﾞ" + "か\u3099", "a" * 9]


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_take_text_refuses(text: str) -> None:
    with pytest.raises(TrustMalformedError):
        take_text(text, "x", most=8)


@pytest.mark.parametrize("text", ["a", "住房 厅", "𠮷", "Ü·é", "a" * 8])
def test_take_text(text: str) -> None:
    assert take_text(text, "x", most=8) == text


def test_check_printable_allows_what_it_is_told() -> None:
    check_printable("a\nb\n", "x", allowed="\n")
    with pytest.raises(TrustMalformedError):
        check_printable("a\nb\n", "x", allowed="")


@pytest.mark.parametrize("text", ["", "2026-1-1", "20260101", "2026-W01-1", "2026-01-01T", "٢٠٢٦-01-01", "2026-01-1x"])
def test_take_date_refuses(text: str) -> None:
    with pytest.raises(TrustMalformedError):
        take_date(text, "x")


def test_take_date() -> None:
    assert take_date("2026-11-21", "x") == "2026-11-21"


@pytest.mark.parametrize("text", ["", "0", "AB", "0x", "abc", "a\n", "٠٠", 5])
def test_take_hex_refuses(text: object) -> None:
    with pytest.raises(KeysError):
        take_hex(text, "x", size=1)  # type: ignore[arg-type]


def test_take_hex() -> None:
    assert take_hex("00ff", "x", size=2) == b"\x00\xff"
