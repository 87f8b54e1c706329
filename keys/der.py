"""DER, strict: one tree of nodes out of bytes, and the few writers certificates and seals need.

Source: ITU-T X.690 (2021) §8, §10, §11; X.680 §8.6 (tags). Minimal lengths, minimal integers, no
indefinite length, no constructed strings, no bytes left over. Every byte of a constructed node is read
at once, so that a held `Node` is well-formed down to its leaves. Left out on purpose: tags of 31 and
above, application and private tags, REAL, and the order of a SET OF (nothing here re-encodes what it
read: digests and signatures are over the bytes as they came).
"""

import datetime
import re
from dataclasses import dataclass, field
from typing import Final

from mingzheng.keys.errors import DerLimitError, DerTagError, DerTruncatedError, DerValueError

MAX_BYTES: Final = 16 << 20
MAX_NODES: Final = 16384
MAX_INTEGER_BYTES: Final = 1032  # RSA with 8,192 bits and a sign byte
MAX_OID_BYTES: Final = 64

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
UTF8: Final = 0x0C
PRINTABLE: Final = 0x13
IA5: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31

_CONSTRUCTED: Final = 0x20
_CONTEXT: Final = 0x80
_TAGS: Final = frozenset(  # primitive but for SEQUENCE and SET, which never are; context tags either way
    (
        *(number | (_CONSTRUCTED if number in (SEQUENCE & 0x1F, SET & 0x1F) else 0) for number in range(1, 0x1F)),
        *(_CONTEXT | form | number for form in (0, _CONSTRUCTED) for number in range(0x1F)),
    )
)
_UTC_TIME: Final = re.compile(rb"[0-9]{12}Z")
_GENERALIZED: Final = re.compile(rb"([0-9]{14})(?:\.[0-9]*[1-9])?Z")
_PRINTABLE: Final = re.compile(rb"[A-Za-z0-9 '()+,\-./:=?]*")
_OID_TEXT: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Node:
    """One TLV. It begins at `start`, its content at `header`, and ends before `end`, all in `data`."""

    tag: int
    start: int
    header: int
    end: int
    data: bytes = field(repr=False, compare=False)
    _children: tuple["Node", ...] = field(repr=False, compare=False)

    def children(self) -> tuple["Node", ...]:
        """The nodes inside; raises DerTagError for a primitive node."""
        if not self.tag & _CONSTRUCTED:
            raise DerTagError(f"offset {self.start}: tag {self.tag:#04x} has nothing inside")
        return self._children

    def raw(self) -> bytes:
        """The whole TLV as it stands in the data."""
        return self.data[self.start : self.end]

    def content(self) -> bytes:
        """The content octets."""
        return self.data[self.header : self.end]


def parse_der(data: bytes, *, max_depth: int = 16, max_bytes: int = MAX_BYTES) -> Node:
    """The one value that `data` is, read down to its leaves.

    Raises DerLimitError over a cap, DerTruncatedError for a length that is wrong, too long or not
    minimal, DerTagError for a tag that is not read here. Cost: about 1 µs per node.
    """
    data = bytes(data)
    if len(data) > max_bytes:
        raise DerLimitError(f"{len(data)} bytes, cap is {max_bytes}")
    node = _Reader(data, max_depth).read(0, len(data), 1)
    if node.end != len(data):
        raise DerTruncatedError(f"{len(data) - node.end} bytes after the end of the value")
    return node


class _Reader:
    """Reads one value; counts its nodes."""

    def __init__(self, data: bytes, max_depth: int) -> None:
        self._data, self._max_depth, self._nodes = data, max_depth, 0

    def read(self, start: int, end: int, depth: int) -> Node:
        self._nodes += 1
        if depth > self._max_depth or self._nodes > MAX_NODES:
            raise DerLimitError(f"offset {start}: over {self._max_depth} levels or {MAX_NODES} values")
        if end - start < 2:
            raise DerTruncatedError(f"offset {start}: a value of at least two bytes expected")
        tag, size, header = self._data[start], self._data[start + 1], start + 2
        if tag not in _TAGS:
            raise DerTagError(f"offset {start}: tag {tag:#04x} is not read here, or not DER")
        if size >= 0x80:
            header, size = self._length(start, end)
        if size > end - header:
            raise DerTruncatedError(f"offset {start}: {size} bytes announced, {end - header} there")
        inside = self._inside(header, header + size, depth + 1) if tag & _CONSTRUCTED else ()
        return Node(tag, start, header, header + size, self._data, inside)

    def _inside(self, start: int, end: int, depth: int) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while start < end:
            node = self.read(start, end, depth)
            nodes.append(node)
            start = node.end
        return tuple(nodes)

    def _length(self, start: int, end: int) -> tuple[int, int]:
        """Where the content begins, and its size, for a first octet of 80 or above (X.690 §8.1.3, §10.1)."""
        first = self._data[start + 1]
        octets = first & 0x7F
        if not 1 <= octets <= 4:
            raise DerTruncatedError(f"offset {start}: indefinite or over-long length")
        header = start + 2 + octets
        if header > end:
            raise DerTruncatedError(f"offset {start}: length is cut off")
        size = int.from_bytes(self._data[start + 2 : header])
        if size < 0x80 or size < 1 << 8 * (octets - 1):
            raise DerTruncatedError(f"offset {start}: length is not in its shortest form")
        return header, size


# readers: each takes a node of its type


def expect(node: Node, tag: int) -> Node:
    """The node itself; raises DerTagError if its tag is another."""
    if node.tag != tag:
        raise DerTagError(f"offset {node.start}: tag {tag:#04x} expected, found {node.tag:#04x}")
    return node


def read_bool(node: Node) -> bool:
    """BOOLEAN: 00 or FF (X.690 §11.1)."""
    body = expect(node, BOOLEAN).content()
    if body not in (b"\x00", b"\xff"):
        raise DerValueError(f"offset {node.start}: not a BOOLEAN")
    return body == b"\xff"


def read_integer(node: Node) -> int:
    """INTEGER of at most 1,032 bytes, in its shortest form (X.690 §8.3.2)."""
    body = expect(node, INTEGER).content()
    if not body or len(body) > MAX_INTEGER_BYTES:
        raise DerValueError(f"offset {node.start}: INTEGER of {len(body)} bytes")
    if len(body) > 1 and (body[0], body[1] >> 7) in ((0, 0), (0xFF, 1)):
        raise DerValueError(f"offset {node.start}: INTEGER is padded")
    return int.from_bytes(body, signed=True)


def read_null(node: Node) -> None:
    """NULL."""
    if expect(node, NULL).content():
        raise DerValueError(f"offset {node.start}: NULL is not empty")


def read_oid(node: Node) -> str:
    """OBJECT IDENTIFIER as "1.2.840.10045" (X.690 §8.19)."""
    body = expect(node, OID).content()
    if not body or len(body) > MAX_OID_BYTES or body[-1] & 0x80:
        raise DerValueError(f"offset {node.start}: not an object identifier")
    arcs: list[int] = []
    value, fresh = 0, True
    for byte in body:
        if fresh and byte == 0x80:
            raise DerValueError(f"offset {node.start}: an arc is padded")
        value, fresh = value << 7 | byte & 0x7F, byte < 0x80
        if fresh:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def read_octets(node: Node) -> bytes:
    """OCTET STRING."""
    return expect(node, OCTET_STRING).content()


def read_bits(node: Node) -> bytes:
    """BIT STRING of whole octets: no unused bits."""
    unused, body = read_named_bits(node)
    if unused:
        raise DerValueError(f"offset {node.start}: BIT STRING of no whole octets")
    return body


def read_named_bits(node: Node) -> tuple[int, bytes]:
    """BIT STRING: how many bits of the last octet are unused, and the octets (X.690 §8.6, §11.2.1)."""
    body = expect(node, BIT_STRING).content()
    if not body or body[0] > 7 or (body[0] and (len(body) == 1 or body[-1] & (1 << body[0]) - 1)):
        raise DerValueError(f"offset {node.start}: not a BIT STRING")
    return body[0], body[1:]


def read_utf8(node: Node) -> str:
    """UTF8String."""
    try:
        return expect(node, UTF8).content().decode("utf-8")
    except UnicodeDecodeError:
        raise DerValueError(f"offset {node.start}: not UTF-8") from None


def read_ia5(node: Node) -> str:
    """IA5String: ASCII."""
    try:
        return expect(node, IA5).content().decode("ascii")
    except UnicodeDecodeError:
        raise DerValueError(f"offset {node.start}: not ASCII") from None


def read_printable(node: Node) -> str:
    """PrintableString (X.680 §41.4)."""
    body = expect(node, PRINTABLE).content()
    if not _PRINTABLE.fullmatch(body):
        raise DerValueError(f"offset {node.start}: not a PrintableString")
    return body.decode("ascii")


def read_time(node: Node) -> int:
    """UTCTime (1950 to 2049) or GeneralizedTime, in UTC: whole seconds since 1970 (X.690 §11.7, §11.8).

    A fraction of GeneralizedTime is allowed without trailing zeros, and dropped.
    """
    body = node.content()
    if node.tag == UTC_TIME and _UTC_TIME.fullmatch(body):
        digits = (b"19" if body[:2] >= b"50" else b"20") + body[:12]
    elif node.tag == GENERALIZED_TIME and (match := _GENERALIZED.fullmatch(body)):
        digits = match[1]
    elif node.tag in (UTC_TIME, GENERALIZED_TIME):
        raise DerValueError(f"offset {node.start}: not a time in UTC as DER writes it")
    else:
        raise DerTagError(f"offset {node.start}: a time expected, found tag {node.tag:#04x}")
    month, day, hour, minute, second = (int(digits[i : i + 2]) for i in range(4, 14, 2))
    try:
        moment = datetime.datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        raise DerValueError(f"offset {node.start}: there is no such time") from None
    return (moment - _EPOCH) // datetime.timedelta(seconds=1)


# writers


def der_tlv(tag: int, body: bytes) -> bytes:
    """Identifier, shortest length, content."""
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    octets = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | octets)) + size.to_bytes(octets) + body


def der_sequence(*parts: bytes) -> bytes:
    """SEQUENCE of ready TLVs."""
    return der_tlv(SEQUENCE, b"".join(parts))


def der_set(*parts: bytes) -> bytes:
    """SET OF ready TLVs, sorted as DER demands (X.690 §11.6)."""
    return der_tlv(SET, b"".join(sorted(parts)))


def der_bool(value: bool) -> bytes:
    """BOOLEAN."""
    return der_tlv(BOOLEAN, b"\xff" if value else b"\x00")


def der_integer(number: int) -> bytes:
    """INTEGER."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return der_tlv(INTEGER, number.to_bytes(size, signed=True))


def der_null() -> bytes:
    """NULL."""
    return b"\x05\x00"


def der_oid(text: str) -> bytes:
    """OBJECT IDENTIFIER from "1.2.840.10045"; raises DerValueError for what is none."""
    if not _OID_TEXT.fullmatch(text):
        raise DerValueError(f"not an object identifier: {text[:80]!r}")
    first, second, *rest = map(int, text.split("."))
    if first < 2 and second > 39:
        raise DerValueError(f"not an object identifier: {text[:80]!r}")
    return der_tlv(OID, b"".join(map(_arc, (40 * first + second, *rest))))


def der_octets(data: bytes) -> bytes:
    """OCTET STRING."""
    return der_tlv(OCTET_STRING, data)


def der_bits(data: bytes, *, unused: int = 0) -> bytes:
    """BIT STRING; `unused` low bits of the last octet are padding and must be 0."""
    return der_tlv(BIT_STRING, bytes((unused,)) + data)


def der_utf8(text: str) -> bytes:
    """UTF8String."""
    return der_tlv(UTF8, text.encode("utf-8"))


def der_ia5(text: str) -> bytes:
    """IA5String; raises DerValueError for other characters."""
    if not text.isascii():
        raise DerValueError("an IA5String takes ASCII alone")
    return der_tlv(IA5, text.encode("ascii"))


def der_printable(text: str) -> bytes:
    """PrintableString; raises DerValueError for other characters."""
    body = text.encode("utf-8")
    if not _PRINTABLE.fullmatch(body):
        raise DerValueError("characters that no PrintableString takes")
    return der_tlv(PRINTABLE, body)


def der_utctime(at: int) -> bytes:
    """UTCTime of unix seconds, 1950 to 2049."""
    moment = _moment(at)
    if not 1950 <= moment.year <= 2049:
        raise DerValueError(f"UTCTime has no year {moment.year}")
    return der_tlv(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode("ascii"))


def der_generalized(at: int) -> bytes:
    """GeneralizedTime of unix seconds."""
    moment = _moment(at)
    return der_tlv(GENERALIZED_TIME, f"{moment.year:04}{moment:%m%d%H%M%SZ}".encode("ascii"))


def der_explicit(number: int, part: bytes) -> bytes:
    """[number] EXPLICIT around a ready TLV."""
    return der_tlv(_CONTEXT | _CONSTRUCTED | number, part)


def der_implicit(number: int, part: bytes) -> bytes:
    """[number] IMPLICIT: a ready TLV under a context tag (constructed if it was)."""
    return bytes((_CONTEXT | part[0] & _CONSTRUCTED | number,)) + part[1:]


def _arc(value: int) -> bytes:
    septets = [value & 0x7F]
    while value := value >> 7:
        septets.append(0x80 | value & 0x7F)
    return bytes(reversed(septets))


def _moment(at: int) -> datetime.datetime:
    try:
        return _EPOCH + datetime.timedelta(seconds=at)
    except OverflowError:
        raise DerValueError(f"there is no time {at}") from None
