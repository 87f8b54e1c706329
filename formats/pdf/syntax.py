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

__all__ = ["Name", "NotPlainError", "Ref", "StreamValue", "Value", "parse_value", "read_value"]

_DEPTH: Final = 24
_SPACE: Final = rb"[\0\t\n\f\r ]"
_REGULAR: Final = rb"[^\0\t\n\f\r ()<>\[\]{}/%]"
_TOKEN: Final = re.compile(
    _SPACE + rb"*+(?:"
    rb"(?P<ref>(\d{1,10})" + _SPACE + rb"++(\d{1,5})" + _SPACE + rb"++R(?!" + _REGULAR + rb"))"
    rb"|(?P<name>/(" + _REGULAR + rb"*+))"
    rb"|(?P<number>[+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?!" + _REGULAR + rb"))"
    rb"|(?P<open><<)|(?P<close>>>)|(?P<begin>\[)|(?P<end>\])"
    rb"|(?P<hex><([0-9A-Fa-f\0\t\n\f\r ]*+)>)"
    rb"|(?P<text>\()"
    rb"|(?P<word>(?:true|false|null)(?!" + _REGULAR + rb")))"
)
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
_SPACES: Final = re.compile(_SPACE + rb"+")
_HEX_PAIR: Final = re.compile(rb"#([0-9A-Fa-f]{2})")


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
    if _SPACES.sub(b"", data[place:end]):
        raise NotPlainError("more than one value in an object", offset=place)
    return value


def read_value(data: bytes, start: int, end: int) -> tuple[Value, int]:
    """The value that begins at `start`, and where it ends. Raises NotPlainError."""
    return _Reader(data, end).value(start, _DEPTH)


class _Reader:
    """Recursive descent over one stretch of the file."""

    def __init__(self, data: bytes, end: int) -> None:
        self._data, self._end = data, end

    def value(self, place: int, depth: int) -> tuple[Value, int]:
        match = self._token(place)
        return self._of(match, depth)

    def _token(self, place: int) -> re.Match[bytes]:
        match = _TOKEN.match(self._data, place, self._end)
        if match is None:
            raise NotPlainError("no PDF value", offset=place)
        return match

    def _of(self, match: re.Match[bytes], depth: int) -> tuple[Value, int]:
        if depth == 0:
            raise NotPlainError("values nested too deep", offset=match.start())
        place = match.end()
        match match.lastgroup:
            case "name":
                return _name(match), place
            case "ref":
                return Ref(int(match[2]), int(match[3])), place
            case "number":
                text = match["number"]
                return (float(text) if b"." in text else int(text)), place
            case "open":
                return self._dictionary(place, depth - 1)
            case "begin":
                return self._array(place, depth - 1)
            case "hex":
                return _hex(match["hex"][1:-1], place), place
            case "text":
                return self._text(place)
            case "word":
                return _WORDS[match["word"]], place
            case _:
                raise NotPlainError("a bracket that nothing opened", offset=match.start())

    def _array(self, place: int, depth: int) -> tuple[Value, int]:
        items: list[Value] = []
        while True:
            match = self._token(place)
            if match.lastgroup == "end":
                return tuple(items), match.end()
            item, place = self._of(match, depth)
            items.append(item)

    def _dictionary(self, place: int, depth: int) -> tuple[Value, int]:
        entries: dict[str, Value] = {}
        while True:
            match = self._token(place)
            if match.lastgroup == "close":
                return entries, match.end()
            if match.lastgroup != "name":
                raise NotPlainError("a key that is no name", offset=match.start())
            key = _name(match)
            if key in entries:
                raise NotPlainError("a key twice in a dictionary", offset=match.start())
            entries[str(key)], place = self.value(match.end(), depth)

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


def _name(match: re.Match[bytes]) -> Name:
    text = match["name"][1:]
    if b"#" in text:
        text = _HEX_PAIR.sub(lambda pair: bytes([int(pair[1], 16)]), text)
    return Name(text.decode("latin-1"))


def _hex(digits: bytes, place: int) -> bytes:
    digits = _SPACES.sub(b"", digits)
    if len(digits) % 2:
        raise NotPlainError("an odd number of hexadecimal digits", offset=place)
    return bytes.fromhex(digits.decode("ascii"))
