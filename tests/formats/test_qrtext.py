"""QR text: digits and nothing else, listed prefixes only, addresses never honoured."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.errors import NotOurFormatError, QrCapacityError
from mingzheng.formats.limits import QR_BYTES_MAX, QR_DIGITS_MAX
from mingzheng.formats.qrtext import escape_address, is_prefix, parse_qr_text, to_digits

SAMPLE = json.loads((pathlib.Path(__file__).parents[1] / "vectors" / "qr" / "sample.json").read_text("utf-8"))
DIGITS = SAMPLE[0]["digits"]
DATA = bytes.fromhex(SAMPLE[0]["hex"])
PREFIX = SAMPLE[0]["prefix"]


def refuse(text: str, prefixes: tuple[str, ...] = (PREFIX,)) -> NotOurFormatError:
    with pytest.raises(NotOurFormatError) as caught:
        parse_qr_text(text, prefixes=prefixes)
    return caught.value


@pytest.mark.parametrize("item", SAMPLE, ids=lambda item: item["name"])
def test_reference(item: dict[str, str]) -> None:
    data = bytes.fromhex(item["hex"])
    assert to_digits(data) == item["digits"]
    bare = parse_qr_text(item["digits"], prefixes=())
    assert (bare.data, bare.prefix) == (data, None)
    behind = parse_qr_text(item["prefix"] + item["digits"], prefixes=(item["prefix"],))
    assert (behind.data, behind.prefix) == (data, item["prefix"])
    assert len(item["prefix"]) == 26


@given(st.binary(max_size=QR_BYTES_MAX - 1))
def test_digits_then_parse(tail: bytes) -> None:
    data = b"\xd2" + tail
    assert parse_qr_text(to_digits(data), prefixes=()).data == data


@given(st.from_regex(r"\A[1-9][0-9]{0,1200}\Z"))
def test_parse_then_digits(digits: str) -> None:
    try:
        data = parse_qr_text(digits, prefixes=()).data
    except NotOurFormatError:
        return
    assert to_digits(data) == digits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0" + DIGITS,
        "00" + DIGITS,
        "+" + DIGITS,
        "-" + DIGITS,
        " " + DIGITS,
        DIGITS + " ",
        DIGITS + "\n",
        DIGITS + "\r\n",
        "\n" + DIGITS,
        "\ufeff" + DIGITS,
        DIGITS + "\0",
        DIGITS[:10] + "_" + DIGITS[10:],
        DIGITS[:10] + " " + DIGITS[10:],
        DIGITS[:10] + "," + DIGITS[10:],
        DIGITS + ".0",
        DIGITS + "e0",
        "0x" + DIGITS,
        DIGITS.translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
        DIGITS[:-1] + chr(0xFF10 + int(DIGITS[-1])),
        DIGITS.translate({ord("0") + n: 0x0660 + n for n in range(10)}),
        DIGITS[:-1] + "²",
        DIGITS[:-1] + "一",
        "\u200b" + DIGITS,
        "\u202e" + DIGITS,
        PREFIX,
        PREFIX + "0" + DIGITS,
        PREFIX + DIGITS + "\n",
        PREFIX + " " + DIGITS,
        PREFIX.upper() + DIGITS,
        PREFIX + PREFIX + DIGITS,
    ],
    ids=lambda text: repr(text[:14]) + ".." + repr(text[-4:]),
)
def test_refuses_other_spellings(text: str) -> None:
    refuse(text)


@pytest.mark.parametrize("first", [n for n in range(1, 256) if n != 0xD2])
def test_first_byte_must_be_the_tag(first: int) -> None:
    data = bytes((first,)) + DATA[1:]
    refuse(str(int.from_bytes(data, "big")))
    with pytest.raises(NotOurFormatError):
        to_digits(data)


def test_lengths_at_and_over_the_cap() -> None:
    longest = next(
        digits
        for digits in (str(0xD2 << 8 * n) for n in range(QR_BYTES_MAX + 1, 0, -1))
        if len(digits) <= QR_DIGITS_MAX
    )
    assert len(longest) >= QR_DIGITS_MAX - 3
    assert to_digits(parse_qr_text(longest, prefixes=()).data) == longest
    refuse("1" * (QR_DIGITS_MAX + 1))
    refuse("1" * 100_000)
    refuse("9" * QR_DIGITS_MAX)
    with pytest.raises(QrCapacityError):
        to_digits(b"\xd2" + b"\xff" * QR_BYTES_MAX)
    with pytest.raises(QrCapacityError):
        to_digits(b"\xd2" + bytes(4095))
    assert len(to_digits(b"\xd2" + b"\xff" * (QR_BYTES_MAX - 1))) <= QR_DIGITS_MAX


def test_empty_bytes_are_no_credential() -> None:
    with pytest.raises(NotOurFormatError):
        to_digits(b"")


# Prefixes


@pytest.mark.parametrize(
    "text",
    [
        "https://zs.example.cn.evil.example/v1/#" + DIGITS,
        "https://zs.example.cn/v1/#x" + DIGITS,
        "https://zs.example.cn/v1/" + DIGITS,
        "http://zs.example.cn/v1/#" + DIGITS,
        "https://zs-example.cn/v1/#" + DIGITS,
        "https://user@zs.example.cn/v1/#" + DIGITS,
        "HTTPS://ZS.EXAMPLE.CN/V1/#" + DIGITS,
        "https://zs.example.cn/v1/?q=#" + DIGITS,
        "https://zs.еxample.cn/v1/#" + DIGITS,
        "weixin://dl/business/?t=" + DIGITS,
        "www.example.cn",
        "example.cn/x",
        "example.cn:8080",
        "例子.中国/验证",
        " https://evil.example/",
        "\u200bhttps://evil.example/",
        "javascript://evil",
    ],
)
def test_unlisted_address_is_a_lookalike(text: str) -> None:
    error = refuse(text)
    assert error.lookalike
    assert error.url is not None
    assert re.fullmatch(r"[!-~…]+", error.url)
    assert len(error.url) <= 200 * 10 + 1


@pytest.mark.parametrize("text", ["hello", "1234", "HC1:6BF", "姓名：张三", "{}", "1.5", "a.b", "12.34/5", "", "."])
def test_other_text_is_no_lookalike(text: str) -> None:
    error = refuse(text)
    assert (error.lookalike, error.url) == (False, None)


def test_prefix_is_honoured_only_if_listed() -> None:
    assert refuse(PREFIX + DIGITS, ()).lookalike
    other = "https://other.example/#"
    assert parse_qr_text(PREFIX + DIGITS, prefixes=(other, PREFIX)).prefix == PREFIX


@pytest.mark.parametrize("listed", ["", "1", DIGITS[:5], "https://", "http://a.example/#", "https://zs.example.cn/v1/"])
def test_listed_text_that_is_no_prefix_is_ignored(listed: str) -> None:
    assert not is_prefix(listed)
    refuse(listed + "x" + DIGITS, (listed,))
    assert parse_qr_text(DIGITS, prefixes=(listed,)).prefix is None


def test_prefix_form() -> None:
    assert is_prefix(PREFIX)
    assert is_prefix("https://a.cn:8443/x/y#")
    assert is_prefix("https://a.cn/" + "x" * 50 + "#")
    assert not is_prefix("https://a.cn/" + "x" * 51 + "#")
    for text in ("https://a.cn/#\n", "https://a.cn/?x#", "https://a.cn/##", "https://例子.cn/#", "https://A.cn/#", "#"):
        assert not is_prefix(text)


# The address as shown


def test_escaped_address_is_plain_and_short() -> None:
    assert escape_address("https://a.cn/\u202e\n\\x 张") == "https://a.cn/\\u{202e}\\u{a}\\u{5c}x\\u{20}\\u{5f20}"
    assert escape_address("a" * 200) == "a" * 200
    assert escape_address("a" * 201) == "a" * 200 + "…"


@given(st.text(max_size=300))
def test_raises_only_typed_errors(text: str) -> None:
    error = refuse(text)
    assert error.lookalike == (error.url is not None)


def test_long_hostile_text_takes_no_time() -> None:
    for text in ("a." * 4000, "-" * 8000, "9" * 8000 + ".cn", ":" * 8000, "a-" * 4000 + "://"):
        refuse(text)
