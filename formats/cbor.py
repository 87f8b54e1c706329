"""Strict deterministic CBOR: one accepted spelling per value (RFC 8949 §4.2.1).

In: unsigned and negative integers of at most 64 bits, byte strings, text strings (UTF-8, NFC),
definite arrays and maps whose keys are integers or strings, in bytewise order of their
encodings. Out: everything else, among it floats, booleans, simple values, indefinite lengths,
longer heads than needed and tags (the COSE tag 18 belongs to `cose`, at the outside only).
`null` only where the caller asks for it (the detached payload of a receipt).

For every accepted input `encode(decode(data)) == data`, for every encodable value
`decode(encode(value)) == value`. Arrays become tuples, maps dicts. Decoding a 300-byte claims
map is on the hot path of verification: hence the flat function below and no class per item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias
from unicodedata import is_normalized

from mingzheng.formats.errors import (
    CborKeyOrderError,
    CborNotCanonicalError,
    CborTextError,
    CborTooDeepError,
    CborTooLongError,
    CborTrailingError,
    CborTruncatedError,
    CborTypeError,
)

Value: TypeAlias = "int | bytes | str | tuple[Value, ...] | Mapping[Key, Value] | None"
Key: TypeAlias = "int | bytes | str"

ENCODE_DEPTH_MAX: Final = 16
_NULL: Final = 0xF6
_HEAD_MINIMUM: Final = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}


def decode(data: bytes, *, max_bytes: int, max_depth: int, allow_null: bool = False) -> Value:
    """The value of `data`, which must be exactly one item in its one accepted spelling.

    Raises a leaf of CborError. Cost: linear; at most `max_depth` calls deep.
    """
    if len(data) > max_bytes:
        raise CborTooLongError(f"{len(data)} bytes, at most {max_bytes} allowed")
    try:
        value, end = _item(data, 0, max_depth, allow_null)
    except IndexError:
        raise CborTruncatedError("item goes on beyond the end of the input", offset=len(data)) from None
    if end != len(data):
        raise CborTrailingError("bytes after the end of the item", offset=end)
    return value


def encode(value: Value, *, allow_null: bool = False) -> bytes:
    """The one accepted spelling of `value`; CborTypeError, CborTextError or CborTooDeepError."""
    out = bytearray()
    _write(out, value, ENCODE_DEPTH_MAX, allow_null)
    return bytes(out)


def head(major: int, argument: int) -> bytes:
    """The shortest head of a major type (RFC 8949 §3)."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    if argument < 1 << 8:
        return bytes((major << 5 | 24, argument))
    if argument < 1 << 16:
        return bytes((major << 5 | 25,)) + argument.to_bytes(2, "big")
    if argument < 1 << 32:
        return bytes((major << 5 | 26,)) + argument.to_bytes(4, "big")
    if argument < 1 << 64:
        return bytes((major << 5 | 27,)) + argument.to_bytes(8, "big")
    raise CborTypeError("integer or length of more than 64 bits")


def _item(data: bytes, pos: int, depth: int, allow_null: bool) -> tuple[Value, int]:
    """The item at `pos` and the position after it; IndexError where the input ends too early."""
    first = data[pos]
    argument = first & 31
    pos += 1
    if argument > 23:
        if first >= 0xC0:
            return _simple(first, pos, allow_null)
        if argument == 24 and data[pos] > 23:
            argument = data[pos]
            pos += 1
        else:
            argument, pos = _long_argument(data, pos, argument)
    if first < 0x40:  # major types 0 and 1
        return (argument if first < 0x20 else -1 - argument), pos
    if first < 0x80:  # major types 2 and 3
        end = pos + argument
        if end > len(data):
            raise CborTruncatedError("string goes on beyond the end of the input", offset=pos)
        return (data[pos:end] if first < 0x60 else _text(data, pos, end)), end
    if first >= 0xC0:
        return _simple(first, pos, allow_null)
    # Two bytes a pair, one a member, is the least: a huge count is refused before any work.
    if (argument if first < 0xA0 else 2 * argument) > len(data) - pos:
        raise CborTruncatedError("array or map goes on beyond the end of the input", offset=pos)
    if depth == 0:
        raise CborTooDeepError("arrays and maps nested too deep", offset=pos - 1)
    if first < 0xA0:
        return _array(data, pos, argument, depth - 1, allow_null)
    return _map(data, pos, argument, depth - 1, allow_null)


def _array(data: bytes, pos: int, count: int, depth: int, allow_null: bool) -> tuple[Value, int]:
    members: list[Value] = []
    for _ in range(count):
        first = data[pos]
        if first < 24:
            members.append(first)
            pos += 1
        elif first == 0x19 and data[pos + 1]:  # an integer of two bytes: a day
            members.append(data[pos + 1] << 8 | data[pos + 2])
            pos += 3
        else:
            member, pos = _item(data, pos, depth, allow_null)
            members.append(member)
    return tuple(members), pos


def _map(data: bytes, pos: int, pairs: int, depth: int, allow_null: bool) -> tuple[Value, int]:
    """The map of `pairs` pairs at `pos`. The heads our own maps are made of are read in place."""
    result: dict[Key, Value] = {}
    before = last = pos  # where the spelling of the previous key begins and ends
    for _ in range(pairs):
        start = pos
        first = data[pos]
        if first < 24:
            key: Value = first
            pos += 1
            rising = last == before or data[before] < first
        elif first < 0x80:
            key, pos = _item(data, pos, 0, False)
            rising = data[before:last] < data[start:pos]
        else:
            raise CborTypeError("a map key must be an integer or a string", offset=pos)
        if not rising:  # also catches duplicates: equal keys have equal spellings
            raise CborKeyOrderError("map keys not strictly rising", offset=start)
        before, last = start, pos
        first = data[pos]
        if first < 24:
            result[key] = first  # type: ignore[index]
            pos += 1
        elif first == 0x19 and data[pos + 1]:
            result[key] = data[pos + 1] << 8 | data[pos + 2]  # type: ignore[index]
            pos += 3
        else:
            result[key], pos = _item(data, pos, depth, allow_null)  # type: ignore[index]
    return result, pos


def _long_argument(data: bytes, pos: int, info: int) -> tuple[int, int]:
    """The argument of 1, 2, 4 or 8 bytes; refused if a shorter head would do (RFC 8949 §4.2.1)."""
    if info > 27:
        raise CborNotCanonicalError("indefinite length or reserved head", offset=pos - 1)
    end = pos + (1 << (info - 24))
    if end > len(data):
        raise CborTruncatedError("head goes on beyond the end of the input", offset=pos)
    argument = int.from_bytes(data[pos:end], "big")
    if argument < _HEAD_MINIMUM[info]:
        raise CborNotCanonicalError("head longer than needed", offset=pos - 1)
    return argument, end


def _text(data: bytes, pos: int, end: int) -> str:
    try:
        text = data[pos:end].decode("utf-8")
    except UnicodeDecodeError:
        raise CborTextError("text string is not UTF-8", offset=pos) from None
    if not is_normalized("NFC", text):
        raise CborTextError("text string is not in Normalization Form C", offset=pos)
    return text


def _simple(first: int, pos: int, allow_null: bool) -> tuple[None, int]:
    """Major types 6 and 7: nothing but null, and that only where asked for."""
    if first == _NULL and allow_null:
        return None, pos
    raise CborTypeError(f"item with initial byte 0x{first:02x} is outside the profile", offset=pos - 1)


def _write(out: bytearray, value: Value, depth: int, allow_null: bool) -> None:
    if type(value) is int:
        out += head(0, value) if value >= 0 else head(1, -1 - value)
    elif type(value) is bytes:
        out += head(2, len(value))
        out += value
    elif type(value) is str:
        encoded = _utf8(value)
        out += head(3, len(encoded))
        out += encoded
    elif value is None and allow_null:
        out.append(_NULL)
    elif not isinstance(value, tuple | Mapping):
        raise CborTypeError(f"a {type(value).__name__} is outside the profile")
    elif depth == 0:
        raise CborTooDeepError("arrays and maps nested too deep")
    elif isinstance(value, tuple):
        out += head(4, len(value))
        for member in value:
            _write(out, member, depth - 1, allow_null)
    else:
        _write_map(out, value, depth - 1, allow_null)


def _write_map(out: bytearray, value: Mapping[Key, Value], depth: int, allow_null: bool) -> None:
    pairs = []
    for key, member in value.items():
        if type(key) not in (int, bytes, str):
            raise CborTypeError("a map key must be an integer or a string")
        spelling = bytearray()
        _write(spelling, key, 0, False)
        pairs.append((bytes(spelling), member))
    out += head(5, len(pairs))
    for spelling_bytes, member in sorted(pairs, key=lambda pair: pair[0]):
        out += spelling_bytes
        _write(out, member, depth, allow_null)


def _utf8(text: str) -> bytes:
    if not is_normalized("NFC", text):
        raise CborTextError("text string is not in Normalization Form C")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise CborTextError("text string holds a lone surrogate") from None
