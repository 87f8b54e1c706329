"""Every error of the room has its own stable code."""

import re

import pytest

from mingzheng.keys import errors, tuferrors
from mingzheng.keys.errors import KeysError


def leaves(base: type[KeysError]) -> list[type[KeysError]]:
    return [base, *(leaf for child in base.__subclasses__() for leaf in leaves(child))]


def test_codes_are_unique() -> None:
    codes = [error.code for error in leaves(KeysError)]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", leaves(KeysError), ids=lambda e: e.__name__)
def test_code_has_room_and_word(error: type[KeysError]) -> None:
    assert re.fullmatch(r"(key|note|trust|custody|der|sm2|mldsa|cert|seals|tuf)\.[a-z_0-9]+", error.code)
    assert "code" in vars(error), "each leaf states its own code"
    assert any(getattr(home, error.__name__, None) is error for home in (errors, tuferrors))
    assert error.__doc__
