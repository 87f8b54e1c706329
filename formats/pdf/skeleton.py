"""The bones of a plain PDF file: revisions, cross-reference tables, objects; every byte has its place.

Spec: ISO 32000-1 §7.5 with classic tables only. Objects tile each revision without gaps, in any order; tables
list exactly the objects that are there; nothing stands before the header or after the last end mark. Whatever
else a file may do (streams of objects, streams of references, hybrid tables, free objects, comments) makes it
not plain, which says nothing about its truth: a slower reader judges it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mingzheng.formats.pdf.syntax import NotPlainError, Ref, StreamValue, Value, check_value, parse_value, read_value

__all__ = ["Revision", "Skeleton", "Span", "View", "read_skeleton"]

REVISIONS_MAX: Final = 8
OBJECTS_MAX: Final = 20_000

_S: Final = rb"[\0\t\n\f\r ]"
_WORD: Final = rb"[^\0\t\n\f\r ()<>\[\]{}/%]"
_HEADER: Final = re.compile(rb"%PDF-(?:1\.[3-7]|2\.0)\r?\n(?:%[\x80-\xff]{4,16}\r?\n)?")
_TAIL: Final = re.compile(rb"startxref\r?\n(\d{1,10})\r?\n%%EOF(?:\r?\n)?\Z")
_END: Final = re.compile(_S + rb"*+startxref\r?\n(\d{1,10})\r?\n%%EOF(?:\r?\n)?")
_SECTION: Final = re.compile(rb"(\d{1,10}) (\d{1,6}) ?\r?\n")
_ENTRY: Final = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \n| \r|\r\n)")
_ENTRY_SIZE: Final = 20
_TRAILER: Final = re.compile(rb"trailer" + _S + rb"*+")
_HEAD: Final = re.compile(rb"(\d{1,10}) 0 obj(?!" + _WORD + rb")")
# Every token up to the word that ends the dictionary or the object; strings nest at most once. Atomic groups: Python
# before 3.11.5 does not go back rightly in a possessive repetition of a group (of one character it does).
_BODY: Final = re.compile(
    rb"(?>(?:" + _S + rb"++|/" + _WORD + rb"*+|<<|>>|[\[\]]|<[0-9A-Fa-f\0\t\n\f\r ]*+>"
    rb"|\((?>(?:[^()\\]++|\\.|\((?>(?:[^()\\]++|\\.)*)\))*)\)"
    rb"|(?!(?:endobj|stream)(?!" + _WORD + rb"))" + _WORD + rb"++)*)",
    re.DOTALL,
)
_LENGTH: Final = re.compile(rb"/Length" + _S + rb"++(\d{1,9})(?=" + _S + rb"*+[/>])")
_STREAM: Final = re.compile(rb"stream\r?\n")
_STREAM_END: Final = re.compile(rb"(?:\r?\n)?endstream" + _S + rb"++endobj(?:" + _S + rb"++|\Z)")
_OBJECT_END: Final = re.compile(rb"endobj(?:" + _S + rb"++|\Z)")
_OPEN: Final = re.compile(_S + rb"*+<<")
_WHITE: Final = re.compile(_S + rb"*+")
_PLAIN_END: Final = b"\nendobj\n"
_TRAILER_KEYS: Final = frozenset({"Size", "Root", "Info", "ID", "Prev"})


class Span(NamedTuple):
    """Where one object lies: its value in start..end, its coded data in data_start..data_end if it is a stream."""

    number: int
    start: int
    end: int
    data_start: int = -1
    data_end: int = -1


@dataclass(frozen=True, slots=True)
class Revision:
    """One save of the file: objects written by it, its trailer, and the offset behind its end mark."""

    spans: Mapping[int, Span]
    trailer: Mapping[str, Value]
    end: int


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A plain file, oldest revision first."""

    data: bytes
    revisions: tuple[Revision, ...]
    _views: dict[int, View] = field(default_factory=dict, repr=False, compare=False)
    _read: dict[int, Value] = field(default_factory=dict, repr=False, compare=False)  # by the start of the span

    def view(self, count: int) -> View:
        """The document after its first `count` revisions; the same one every time, for it keeps what it has read."""
        if count not in self._views:
            self._views[count] = self._view(count)
        return self._views[count]

    def _view(self, count: int) -> View:
        spans: dict[int, Span] = {}
        for revision in self.revisions[:count]:
            spans.update(revision.spans)
        return View(self.data, spans, self.revisions[count - 1].trailer, self._read)

    def check_objects(self) -> None:
        """Raises NotPlainError if any object ever written, a replaced one too, cannot be read."""
        for revision in self.revisions:
            for span in revision.spans.values():
                if span.start not in self._read:
                    _check(self.data, span)

    def text(self) -> bytes:
        """Every object ever written, replaced ones too, without the data of streams."""
        spans = (span for revision in self.revisions for span in revision.spans.values())
        return b"\n".join([self.data[span.start : span.end] for span in spans])


@dataclass(frozen=True, slots=True)
class View:
    """The objects of one state of the document, read when they are asked for."""

    data: bytes
    spans: Mapping[int, Span]
    trailer: Mapping[str, Value]
    _read: dict[int, Value]  # shared with the other states

    def object(self, number: int) -> Value:
        """The value of an object; None if there is none (§7.3.10)."""
        span = self.spans.get(number)
        if span is None:
            return None
        if span.start not in self._read:
            self._read[span.start] = _value(self.data, span)
        return self._read[span.start]

    def resolve(self, value: Value) -> Value:
        """The value itself, or what it refers to."""
        if isinstance(value, Ref):
            if value.generation:
                raise NotPlainError("a generation other than 0")
            found = self.object(value.number)
            if isinstance(found, Ref):
                raise NotPlainError("a reference to a reference")
            return found
        return value

    def dictionary(self, value: Value) -> Mapping[str, Value]:
        """What must be a dictionary."""
        found = self.resolve(value)
        if not isinstance(found, Mapping):
            raise NotPlainError("a dictionary expected")
        return found

    def array(self, value: Value) -> tuple[Value, ...]:
        """What must be an array."""
        found = self.resolve(value)
        if not isinstance(found, tuple) or isinstance(found, Ref):
            raise NotPlainError("an array expected")
        return found


def _value(data: bytes, span: Span) -> Value:
    value = parse_value(data, span.start, span.end)
    if span.data_start >= 0:
        if not isinstance(value, Mapping):
            raise NotPlainError("a stream without a dictionary", offset=span.start)
        return StreamValue(value, span.data_start, span.data_end)
    return value


def _check(data: bytes, span: Span) -> None:
    """Raises what `_value` raises."""
    if span.data_start >= 0 and _OPEN.match(data, span.start, span.end) is None:
        _value(data, span)
    else:
        check_value(data, span.start, span.end)


def read_skeleton(data: bytes) -> Skeleton:
    """The bones of a plain file. Raises NotPlainError. Cost: about 5 µs per object."""
    header = _HEADER.match(data)
    tail = _TAIL.search(data, max(0, len(data) - 64))
    if header is None or tail is None:
        raise NotPlainError("no plain head or end of a PDF")
    tables = _tables(data, int(tail[1]))
    revisions = []
    begin, root = header.end(), None
    total = 0
    for table in tables:
        total += len(table.offsets)
        if total > OBJECTS_MAX:
            raise NotPlainError("too many objects")
        revisions.append(Revision(spans=_spans(data, table, begin), trailer=table.trailer, end=table.end))
        begin = table.end
        root = root or table.trailer["Root"]
        if table.trailer["Root"] != root:
            raise NotPlainError("another root object")
    if begin != len(data):
        raise NotPlainError("bytes after the last end mark", offset=begin)
    return Skeleton(data, tuple(revisions))


@dataclass(frozen=True, slots=True)
class _Table:
    start: int
    end: int
    offsets: Mapping[int, int]  # offset -> object number
    trailer: Mapping[str, Value]


def _tables(data: bytes, start: int) -> list[_Table]:
    """The cross-reference tables, oldest first."""
    tables: list[_Table] = []
    place: Value = start
    while place is not None:
        if not isinstance(place, int) or len(tables) == REVISIONS_MAX or (tables and place >= tables[-1].start):
            raise NotPlainError("tables out of order, or too many")
        tables.append(_table(data, place))
        place = tables[-1].trailer.get("Prev")
    tables.reverse()
    size = 0
    for table in tables:
        announced = table.trailer.get("Size")
        if not isinstance(announced, int) or announced < size or max(table.offsets.values(), default=0) >= announced:
            raise NotPlainError("a table with the wrong size")
        size = announced
    return tables


def _table(data: bytes, start: int) -> _Table:
    """One table with its trailer (§7.5.4, §7.5.5)."""
    if data[start : start + 5] != b"xref\n":
        raise NotPlainError("no table where one was announced", offset=start)
    place, offsets, last = start + 5, {}, -1
    while (section := _SECTION.match(data, place)) is not None:
        first, count = int(section[1]), int(section[2])
        place = section.end() + count * _ENTRY_SIZE
        rows = _ENTRY.findall(data[section.end() : place])
        if first <= last or len(rows) != count or not count:
            raise NotPlainError("a damaged table", offset=section.start())
        last = first + count - 1
        for number, (offset, generation, kind) in enumerate(rows, first):
            if number == 0:
                if (generation, kind) != (b"65535", b"f"):
                    raise NotPlainError("object 0 is not free", offset=section.start())
            elif kind != b"n" or generation != b"00000" or int(offset) in offsets:
                raise NotPlainError("a free, old or doubled object", offset=section.start())
            else:
                offsets[int(offset)] = number
    match = _TRAILER.match(data, place)
    if match is None:
        raise NotPlainError("no trailer", offset=place)
    trailer, place = read_value(data, match.end(), len(data))
    if (
        not isinstance(trailer, Mapping)
        or not trailer.keys() <= _TRAILER_KEYS
        or not isinstance(trailer.get("Root"), Ref)
    ):
        raise NotPlainError("a trailer with other entries", offset=match.end())
    end = _END.match(data, place)
    if end is None or int(end[1]) != start:
        raise NotPlainError("no plain end of a revision", offset=place)
    return _Table(start, end.end(), offsets, trailer)


def _spans(data: bytes, table: _Table, begin: int) -> Mapping[int, Span]:
    """The objects of one revision, which fill begin..table.start without a gap."""
    spans = {}
    white = _WHITE.match(data, begin)
    place = white.end() if white is not None else begin
    offsets = sorted(table.offsets)
    for offset, limit in zip(offsets, (*offsets[1:], table.start), strict=True):
        number = table.offsets[offset]
        if offset != place:
            raise NotPlainError("bytes that belong to no object", offset=place)
        head, body = b"%d 0 obj\n" % number, data[offset:limit]
        plain = body.startswith(head) and body.endswith(_PLAIN_END)
        if plain and b"stream" not in body and b"%" not in body:  # without these it ends at its last line
            if body.count(b"endobj") != 1:
                raise NotPlainError("two ends of one object", offset=offset)
            spans[number], place = Span(number, offset + len(head), limit - len(_PLAIN_END)), limit
        else:
            spans[number], place = _span(data, number, offset, limit)
    if place != table.start:
        raise NotPlainError("bytes that belong to no object", offset=place)
    return spans


def _span(data: bytes, number: int, offset: int, limit: int) -> tuple[Span, int]:
    head = _HEAD.match(data, offset, limit)
    if head is None or int(head[1]) != number:
        raise NotPlainError("another object than the table says", offset=offset)
    start = head.end()
    body = _BODY.match(data, start, limit)
    assert body is not None
    stop = body.end()
    end = _OBJECT_END.match(data, stop, limit)
    if end is not None:
        return Span(number, start, stop), end.end()
    stream = _STREAM.match(data, stop, limit)
    lengths = _LENGTH.findall(data, start, stop)
    if stream is None or len(lengths) != 1:
        raise NotPlainError("an object without its end", offset=stop)
    finish = stream.end() + int(lengths[0])
    end = _STREAM_END.match(data, finish, limit)
    if end is None:
        raise NotPlainError("a stream with the wrong length", offset=stop)
    return Span(number, start, stop, stream.end(), finish), end.end()
