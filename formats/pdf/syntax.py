"""Values of a PDF file (ISO 32000-1 §7.3), read strictly: what our own writers write, nothing else.

Names become `Name`, strings bytes, references `Ref`, arrays tuples, dictionaries plain dicts without the slash.
Left out on purpose: comments, duplicate keys, numbers with exponents, deep nesting. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, TypeAlias

from mingzheng.formats.errors import FormatError

__all__ = ["Name", "NotPlainError", "Ref", "StreamValue", "Value", "check_value", "parse_value", "read_value"]

_DEPTH: Final = 24
_SPACE: Final = rb"[\0\t\n\f\r ]"
_REGULAR: Final = rb"[^\0\t\n\f\r ()<>\[\]{}/%]"
_ANY: Final = (
    rb"(?:/(" + _REGULAR + rb"*+)"
    rb"|(\d{1,10})" + _SPACE + rb"++(\d{1,5})" + _SPACE + rb"++R(?!" + _REGULAR + rb")"
    rb"|([+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?!" + _REGULAR + rb"))"
    rb"|(<<)|(\[)"
    rb"|<([0-9A-Fa-f\0\t\n\f\r ]*+)>"
    rb"|\(([^()\\\r]*+)\)"
    rb"|(\()"
    rb"|(true|false|null)(?!" + _REGULAR + rb"))"
)
_VALUE: Final = re.compile(_SPACE + rb"*+()" + _ANY)
_PAIR: Final = re.compile(_SPACE + rb"*+/(" + _REGULAR + rb"*+)" + _SPACE + rb"*+" + _ANY)
_KEY, _NAME, _REF, _NUMBER, _OPEN, _BEGIN, _HEX, _STRING, _TEXT, _WORD = 1, 2, *range(4, 12)  # groups of both
_CLOSE: Final = re.compile(_SPACE + rb"*+>>")
_END: Final = re.compile(_SPACE + rb"*+\]")
_WORDS: Final[Mapping[bytes, bool | None]] = {b"true": True, b"false": False, b"null": None}
_PLAIN_TEXT: Final = re.compile(rb"[^()\\\r]*+")
_ESCAPES: Final = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"b": b"\b",
    b"f": b"\f",
    b"(": b"(",
    b")": b")",
    b"\\": b"\\",
}
_OCTAL: Final = re.compile(rb"[0-7]{1,3}")
_SPACES: Final = b"\0\t\n\f\r "
_HEX_PAIR: Final = re.compile(rb"#([0-9A-Fa-f]{2})")

# An entry of a dictionary that `_Reader` surely reads, if no key comes twice: part of its language, nested a few times
# at most. Every token begins in its own way and ends where it must: one way to match, in linear time.
_SIMPLE: Final = (
    rb"/" + _REGULAR + rb"*+"
    rb"|\d{1,10}+" + _SPACE + rb"++\d{1,5}+" + _SPACE + rb"++R(?!" + _REGULAR + rb")"
    rb"|[+-]?+(?:\d{1,12}+(?:\.\d{0,12}+)?|\.\d{1,12}+)(?!" + _REGULAR + rb")"
    rb"|<(?:[0-9A-Fa-f]{2})*>"
    rb"|\([^()\\\r]*+\)"
    rb"|(?:true|false|null)(?!" + _REGULAR + rb")"
)
_QUICK_MAX: Final = 1 << 16  # bytes; an expression remembers every step of its way
_LABEL: Final = rb"[^\0\t\n\f\r ()<>\[\]{}/%#]*+"


def _array(item: bytes) -> bytes:
    return rb"\[(?:" + _SPACE + rb"*+(?:" + item + rb"))*" + _SPACE + rb"*+\]"


def _entry(label: bytes, item: bytes) -> bytes:
    return rb"/" + label + _SPACE + rb"*+(?:" + item + rb")" + _SPACE + rb"*+"


def _dictionary(item: bytes) -> bytes:
    return rb"<<" + _SPACE + rb"*+(?:" + _entry(_LABEL, item) + rb")*>>"


_FLAT: Final = _SIMPLE + rb"|" + _array(_SIMPLE + rb"|" + _array(_SIMPLE))
_NESTED: Final = _dictionary(_FLAT + rb"|" + _dictionary(_FLAT))
_ENTRY: Final = re.compile(rb"(" + _entry(rb"(" + _LABEL + rb")", _FLAT + rb"|(" + _NESTED + rb")") + rb")")


class NotPlainError(FormatError):
    """The PDF is not built the plain way our own writers build it; nothing is said about its truth."""

    code: ClassVar[str] = "pdf.not_plain"


class Name(str):
    """A name object without its slash."""

    __slots__ = ()


class Ref(NamedTuple):
    """A reference to an object."""

    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class StreamValue:
    """A stream object: its dictionary and where its coded data lies in the file."""

    entries: Mapping[str, Value]
    start: int
    end: int


Value: TypeAlias = (
    "bool | int | float | bytes | Name | Ref | tuple[Value, ...] | Mapping[str, Value] | StreamValue | None"
)


def parse_value(data: bytes, start: int, end: int) -> Value:
    """The one value in data[start:end], with nothing but white space around it. Raises NotPlainError."""
    value, place = read_value(data, start, end)
    if data[place:end].strip(_SPACES):
        raise NotPlainError("more than one value in an object", offset=place)
    return value


def check_value(data: bytes, start: int, end: int) -> None:
    """Raises NotPlainError where `parse_value` does, and nowhere else; no value is made of what we write ourselves."""
    if end - start > _QUICK_MAX or not _is_readable(data[start:end].strip(_SPACES)):
        parse_value(data, start, end)


def _is_readable(text: bytes) -> bool:
    """Whether the text is a dictionary of entries without a gap between them, its keys all different."""
    entries = _ENTRY.findall(text)
    nested = {key: value for _, key, value in entries}
    if len(nested) != len(entries) or text[:2] != b"<<" or text[-2:] != b">>":
        return False
    if text[2:-2].lstrip(_SPACES) != b"".join([whole for whole, _, _ in entries]):
        return False
    return all(map(_is_readable, filter(None, nested.values())))


def read_value(data: bytes, start: int, end: int) -> tuple[Value, int]:
    """The value that begins at `start`, and where it ends. Raises NotPlainError."""
    return _Reader(data, end).value(start, _DEPTH)


class _Reader:
    """Recursive descent over one stretch of the file."""

    def __init__(self, data: bytes, end: int) -> None:
        self._data, self._end = data, end

    def value(self, place: int, depth: int) -> tuple[Value, int]:
        match = _VALUE.match(self._data, place, self._end)
        if match is None:
            raise NotPlainError("no PDF value", offset=place)
        return self._of(match, depth)

    def _of(self, match: re.Match[bytes], depth: int) -> tuple[Value, int]:
        if depth == 0:
            raise NotPlainError("values nested too deep", offset=match.start())
        kind, place = match.lastindex, match.end()
        if kind == _NAME:
            return Name(_name(match[_NAME])), place
        if kind == _REF:
            return Ref(int(match[_REF - 1]), int(match[_REF])), place
        if kind == _NUMBER:
            text = match[_NUMBER]
            return (float(text) if b"." in text else int(text)), place
        if kind == _OPEN:
            return self._dictionary(place, depth - 1)
        if kind == _BEGIN:
            return self._array(place, depth - 1)
        if kind == _HEX:
            return _hex(match[_HEX], place), place
        if kind == _STRING:
            return match[_STRING], place
        if kind == _TEXT:
            return self._text(place)
        return _WORDS[match[_WORD]], place

    def _array(self, place: int, depth: int) -> tuple[Value, int]:
        items: list[Value] = []
        while (match := _VALUE.match(self._data, place, self._end)) is not None:
            item, place = self._of(match, depth)
            items.append(item)
        end = _END.match(self._data, place, self._end)
        if end is None:
            raise NotPlainError("no value and no end of the array", offset=place)
        return tuple(items), end.end()

    def _dictionary(self, place: int, depth: int) -> tuple[Value, int]:
        entries: dict[str, Value] = {}
        while (match := _PAIR.match(self._data, place, self._end)) is not None:
            key = _name(match[_KEY])
            if key in entries:
                raise NotPlainError("a key twice in a dictionary", offset=place)
            entries[key], place = self._of(match, depth)
        end = _CLOSE.match(self._data, place, self._end)
        if end is None:
            raise NotPlainError("no entry and no end of the dictionary", offset=place)
        return entries, end.end()

    def _text(self, place: int) -> tuple[bytes, int]:
        """A literal string (§7.3.4.2), after its opening bracket."""
        out, depth = bytearray(), 1
        while True:
            match = _PLAIN_TEXT.match(self._data, place, self._end)
            assert match is not None
            out += match[0]
            place = match.end()
            mark = self._data[place : min(place + 1, self._end)]
            place += 1
            if mark == b"(":
                depth += 1
            elif mark == b")":
                depth -= 1
                if not depth:
                    return bytes(out), place
            elif mark == b"\\":
                piece, place = self._escape(place)
                out += piece
                continue
            else:
                raise NotPlainError("a string without its end", offset=place)
            out += mark

    def _escape(self, place: int) -> tuple[bytes, int]:
        octal = _OCTAL.match(self._data, place, self._end)
        if octal is not None and int(octal[0], 8) < 256:
            return bytes([int(octal[0], 8)]), octal.end()
        mark = self._data[place : min(place + 1, self._end)]
        if mark not in _ESCAPES:
            raise NotPlainError("an unknown escape in a string", offset=place)
        return _ESCAPES[mark], place + 1


def _name(text: bytes) -> str:
    if b"#" in text:
        text = _HEX_PAIR.sub(lambda pair: bytes([int(pair[1], 16)]), text)
    return text.decode("latin-1")


def _hex(digits: bytes, place: int) -> bytes:
    digits = digits.translate(None, _SPACES)
    if len(digits) % 2:
        raise NotPlainError("an odd number of hexadecimal digits", offset=place)
    return bytes.fromhex(digits.decode("ascii"))
