"""The text rule: what is refused, and that the quick way agrees with the slow one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import text as text_module
from mingzheng.formats.errors import (
    TextCharacterError,
    TextError,
    TextLengthError,
    TextNotNormalizedError,
)
from mingzheng.formats.repertoire import is_printable
from mingzheng.formats.text import check_text

TABLE_SIZE = 153359  # code points in the fixed table

BAD = {
    "control": "\x00\x07\x0a\x0d\x09\x1b\x7f\x85",
    "bidi": "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "zero width": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u2061\u2064",
    "private use": "\ue000\uf8ff\U000f0000\U0010fffd",
    "unassigned": "\u0378\ufdd0\uffff\U0001ffff\U000e0fff",
    "surrogate": "\ud800\udfff",
    "other white space": "\u00a0\u1680\u2000\u2009\u2028\u2029\u202f\u205f\u3000",
    "invisible": "\u115f\u1160\u3164\uffa0\u2800\u180b\u180f\ufe00\ufe0f\U000e0100\U000e01ef\u17b4",
    "tags": "\U000e0001\U000e0041\U000e007f",
}


@pytest.mark.parametrize("char", [char for chars in BAD.values() for char in chars], ids=lambda c: f"U+{ord(c):04X}")
@pytest.mark.parametrize("around", ["张{}三", "{}张三", "张三{}", "{}"])
def test_rejects_character(char: str, around: str) -> None:
    text = around.format(char)
    with pytest.raises(TextCharacterError) as caught:
        check_text(text, min_chars=1, max_chars=40)
    assert caught.value.codepoint == ord(char)
    assert text[caught.value.index] == char
    assert char not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "张三",
            "喆堃燚犇镕珺𬭎䶮𠮷",
            "Ångström",
            "阿卜杜拉·买买提",
            "A B  C",
            "中建三局（上海）有限公司",
            "沪1312015",
        ),
        *("𱍐", "𮯰", "𲎰", "〇", "한글", "Nguyễn Văn An", "é", "x" * 40),
    ],
)
def test_accepts(text: str) -> None:
    check_text(text, min_chars=1, max_chars=40)


@pytest.mark.parametrize("text", [" ", "  ", " 张三", "张三 ", " A B "])
def test_rejects_outer_space(text: str) -> None:
    with pytest.raises(TextCharacterError):
        check_text(text, min_chars=1, max_chars=40)


@pytest.mark.parametrize("text", ["e\u0301", "\uf900", "\u212b", "\u1100\u1161", "A\u030a"])
def test_rejects_other_normal_forms(text: str) -> None:
    with pytest.raises(TextNotNormalizedError):
        check_text(text, min_chars=1, max_chars=40)


@pytest.mark.parametrize(("length", "cut"), [(0, 0), (41, 1), (50, 10)])
def test_length_borders(length: int, cut: int) -> None:
    with pytest.raises(TextLengthError) as caught:
        check_text("甲" * length, min_chars=1, max_chars=40)
    assert caught.value.cut == cut


def test_quick_way_knows_only_visible_assigned_normal_characters() -> None:
    for number in range(0x110000):
        char = chr(number)
        if text_module.PLAIN.fullmatch(char):
            text_module._check_slowly(char)


@given(st.text(max_size=45))
def test_raises_only_text_errors_and_accepts_only_by_the_rule(text: str) -> None:
    try:
        check_text(text, min_chars=1, max_chars=40)
    except TextError:
        return
    assert unicodedata.is_normalized("NFC", text)
    assert text == text.strip()
    assert all(is_printable(ord(char)) or char == " " for char in text)


# Later ideographs that the table holds although the oldest Python does not know them.
LATER_IDEOGRAPHS = (*range(0x31350, 0x323B0), *range(0x2EBF0, 0x2EE5E), *range(0x323B0, 0x3347A))
IGNORABLE = {
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="the table is Unicode 14.0; compared under 3.11")
def test_table_is_what_unicode_14_says() -> None:
    refused = {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}
    later = frozenset(LATER_IDEOGRAPHS)
    for number in range(0x110000):
        visible = unicodedata.category(chr(number)) not in refused and number not in IGNORABLE
        assert is_printable(number) == (visible or number in later), hex(number)


def test_table_does_not_follow_the_running_python() -> None:
    held = sum(map(is_printable, range(0x110000)))
    assert held == TABLE_SIZE


@given(st.text(alphabet=" 张三·A（e", min_size=1, max_size=12))
def test_quick_and_slow_agree(text: str) -> None:
    try:
        text_module._check_slowly(text)
        slow = True
    except TextError:
        slow = False
    assert (text_module.PLAIN.fullmatch(text) is not None) == slow
