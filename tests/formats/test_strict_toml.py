"""Strict TOML tables: exact types, known keys, named places."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.strict_toml import (
    MAX_DOCUMENT_BYTES,
    MAX_TEXT_CHARS,
    ProfileSyntaxError,
    ProfileValueError,
    Table,
    read_document,
)


def table(text: str) -> Table:
    return Table(read_document(text.encode()), "")


def test_reads_every_shape() -> None:
    top = table('a = "x"\nn = 5\n[t]\nk = "v"\n[[list]]\nm = 1\n[[list]]\nm = 2\n')
    assert top.text("a") == "x"
    assert top.optional_text("b") is None
    assert top.integer("n", 5, 5) == 5
    assert top.table("t").choice("k", ["u", "v"]) == "v"
    assert [item.integer("m", 1, 2) for item in top.tables("list", low=0, high=2)] == [1, 2]
    assert top.tables("none", low=0, high=2) == ()
    assert top.names() == ("a", "n", "t", "list")
    top.done()


def test_unknown_key_is_refused_and_named() -> None:
    top = table("[a]\nb = 1\nc = 2\n")
    inner = top.table("a")
    inner.integer("c", 0, 9)
    with pytest.raises(ProfileValueError, match=r"a\.b: unknown key") as caught:
        inner.done()
    assert caught.value.path == "a.b"
    assert caught.value.code == "profile.value"


@pytest.mark.parametrize(
    "text",
    [
        'a = ""',
        'a = " x"',
        'a = "x\\n"',
        'a = "x\\u200b"',
        'a = "x\\u202e"',
        "a = 1",
        "a = true",
        "a = []",
        f'a = "{"x" * (MAX_TEXT_CHARS + 1)}"',
    ],
)
def test_text_refused(text: str) -> None:
    with pytest.raises(ProfileValueError, match="a: "):
        table(text).text("a")


def test_text_at_its_limit() -> None:
    assert len(table(f'a = "{"明" * MAX_TEXT_CHARS}"').text("a")) == MAX_TEXT_CHARS


@pytest.mark.parametrize("text", ["a = 4", "a = 11", "a = true", 'a = "5"', "b = 5"])
def test_integer_refused(text: str) -> None:
    with pytest.raises(ProfileValueError):
        table(text).integer("a", 5, 10)


def test_tables_refuse_other_shapes_and_counts() -> None:
    for text in ("a = 1", "a = [1]", "[a]", "[[a]]\n[[a]]\n[[a]]"):
        with pytest.raises(ProfileValueError):
            table(text).tables("a", low=1, high=2)
    with pytest.raises(ProfileValueError, match="0 members"):
        table("").tables("a", low=1, high=2)


def test_choice_and_table_refuse() -> None:
    with pytest.raises(ProfileValueError, match="none of"):
        table('a = "x"').choice("a", ["y"])
    with pytest.raises(ProfileValueError, match="table expected, str found"):
        table('a = "x"').table("a")


@pytest.mark.parametrize(
    "data",
    [
        b"a = 1.5",
        b"a = 1e3",
        b"a = inf",
        b"a = nan",
        b"a = 1\na = 2",
        b"a = ",
        b"\xff",
        b"\xef\xbb\xbfa = 1",
        b"a = " + b"[" * 30_000,
        b"a = " + b"9" * 10_000,
        b"x" * (MAX_DOCUMENT_BYTES + 1),
    ],
)
def test_syntax_refused(data: bytes) -> None:
    with pytest.raises(ProfileSyntaxError) as caught:
        read_document(data)
    assert caught.value.code == "profile.syntax"


def test_document_at_its_limit() -> None:
    data = b"a = 1\n" + b"#" * (MAX_DOCUMENT_BYTES - 6)
    assert read_document(data) == {"a": 1}


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_read_or_refused_with_a_typed_error(data: bytes) -> None:
    with contextlib.suppress(ProfileSyntaxError):
        assert isinstance(read_document(data), dict)
