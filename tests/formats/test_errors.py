"""Errors: stable codes, one each, and what they carry."""

from __future__ import annotations

from collections import Counter

from mingzheng.formats import errors
from mingzheng.formats.errors import FormatError


def _leaves(base: type[FormatError]) -> list[type[FormatError]]:
    return [base, *(leaf for sub in base.__subclasses__() for leaf in _leaves(sub))]


def test_every_error_has_a_code_of_its_own() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, FormatError)]
    codes = Counter(value.code for value in classes)
    assert len(classes) > 20
    assert [code for code, times in codes.items() if times > 1] == []
    assert all("." in code for code in codes)


def test_offset_is_kept_and_shown() -> None:
    error = errors.CborTrailingError("bytes after the end", offset=7)
    assert error.offset == 7
    assert str(error) == "bytes after the end (byte 7)"
    assert error.detail == "bytes after the end"
    assert str(errors.CborError("x")) == "x"


def test_length_error_says_how_many_characters_to_cut() -> None:
    error = errors.TextLengthError(min_chars=1, max_chars=40, got=43)
    assert error.cut == 3
    assert "cut 3" in str(error)
    assert "请删减 3 个字符" in str(error)
    assert errors.TextLengthError(min_chars=1, max_chars=40, got=0).cut == 0


def test_claims_error_names_the_field() -> None:
    assert str(errors.ClaimsError("salt", "must be 16 bytes")) == "salt: must be 16 bytes"
    assert str(errors.ClaimsError("", "no map")) == "no map"


def test_resource_limit_names_the_limit() -> None:
    assert str(errors.ResourceLimitError("pixels", limit=5)) == "pixels: limit 5"
    assert str(errors.ResourceLimitError("pixels", limit=5, got=6)) == "pixels: limit 5, file has 6"


def test_subclasses_share_one_base() -> None:
    assert issubclass(errors.ClaimTooLongError, errors.ClaimsError)
    assert not issubclass(errors.UnknownVersionError, errors.ClaimsError)
    assert errors.CborTypeError in _leaves(FormatError)
