"""How large the deflated streams of a PDF become, found out before any reader unpacks them.

A content stream of 100 KB can unpack to tens of megabytes of drawing operators and keep a renderer busy for
minutes. Every zlib stream in the file is unpacked in pieces that are thrown away, doubly deflated ones twice
(ISO 32000-1 §7.4.4). Left out: other filters, whose gain is bounded by the size of the file or the picture,
and time, which only a worker with a clock can bound. Pure.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from mingzheng.formats.errors import ResourceLimitError

if TYPE_CHECKING:
    from zlib import _Decompress as _Unpacker

__all__ = ["STREAM_MAX", "TOTAL_MAX", "check_inflated"]

STREAM_MAX: Final = 16 * 1024 * 1024  # one stream
TOTAL_MAX: Final = 48 * 1024 * 1024  # all streams of a file
_PIECE: Final = 1 << 18
_DEPTH: Final = 4  # filters on top of each other
_STREAM: Final = re.compile(rb"stream\r?\n?")
_HEADER: Final = 2
_STEP: Final = 64
_DEFLATE: Final = 8  # RFC 1950: low half of the first byte


def check_inflated(data: bytes, *, stream_max: int, total_max: int) -> int:
    """The bytes all deflated streams unpack to; ResourceLimitError above a limit. Cost: about 4 ms per MB out."""
    total, place = 0, 0
    while (found := _STREAM.search(data, place)) is not None:
        start = place = found.end()
        if _is_zlib(data[start : start + 2]):
            size, used = _inflated(memoryview(data)[start:], min(stream_max, total_max - total), _DEPTH)
            total += size
            place = start + used
    return total


def _is_zlib(head: bytes) -> bool:
    return len(head) == 2 and head[0] & 15 == _DEFLATE and (head[0] << 8 | head[1]) % 31 == 0


def _inflated(data: memoryview, limit: int, depth: int) -> tuple[int, int]:
    """Bytes out of one stream and of a stream within it, and bytes taken.

    The check sum is not looked at, and a damaged stream counts up to the damage: readers do the same.
    """
    unpacker, size, taken = zlib.decompressobj(-zlib.MAX_WBITS), 0, _HEADER
    inner: list[bytes] = []
    waiting: bytes | memoryview = b""
    damaged = False
    while not (unpacker.eof or damaged):
        if not waiting:
            waiting = data[taken : taken + _PIECE]
            taken += len(waiting)
            if not waiting:
                break
        before = unpacker.copy()
        try:
            piece = unpacker.decompress(waiting, _PIECE)
            waiting = unpacker.unconsumed_tail
        except zlib.error:
            piece, damaged = _salvaged(before, bytes(waiting)), True
        size += len(piece)
        if size > limit:
            raise ResourceLimitError("inflated bytes of a PDF", limit=limit)
        if inner or (size == len(piece) and depth > 1 and _is_zlib(piece[:2])):
            inner.append(piece)
    if inner:
        size += _inflated(memoryview(b"".join(inner)), limit - size, depth - 1)[0]
    return size, taken - len(unpacker.unused_data)  # at the end the tail says the same bytes a second time


def _salvaged(unpacker: _Unpacker, data: bytes) -> bytes:
    """What comes out of damaged data before the damage."""
    out = bytearray()
    for step in (_STEP, 1):
        while data:
            before = unpacker.copy()
            try:
                out += unpacker.decompress(data[:step])
            except zlib.error:
                unpacker = before
                break
            data = data[step:]
    return bytes(out)
