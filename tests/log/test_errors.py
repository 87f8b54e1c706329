"""Every error of the log has a stable code of its own under one base."""

import inspect

from mingzheng.log import errors
from mingzheng.log.errors import LogError, MalformedError


def leaves() -> list[type[LogError]]:
    found = [item for _name, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, LogError)]
    assert len(found) > 25
    return found


def test_codes_are_unique_and_spelled_room_dot_what() -> None:
    codes = [error.code for error in leaves()]
    assert len(set(codes)) == len(codes)
    for code in codes:
        room, _dot, what = code.partition(".")
        assert room.isidentifier()
        assert what.isidentifier()


def test_a_malformed_error_says_where() -> None:
    plain = MalformedError("bad")
    assert str(plain) == "log.malformed: bad"
    placed = MalformedError("bad", field="kid", offset=3)
    assert str(placed) == "log.malformed in kid at offset 3: bad"
    assert (placed.field, placed.offset, placed.detail) == ("kid", 3, "bad")
