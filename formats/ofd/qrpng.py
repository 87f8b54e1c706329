"""A QR code as a PNG of one bit a pixel, quiet zone included: what an image object of a page shows.

Source: PNG (ISO/IEC 15948). Several pixels a module, so that a reader that smooths pictures leaves the modules
apart. Pure.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from mingzheng.formats.page import QR_QUIET

__all__ = ["PIXELS_PER_MODULE", "qr_png"]

PIXELS_PER_MODULE: Final = 8  # a whole byte of one-bit pixels
_LIGHT: Final = b"\xff"
_BYTES: Final = bytes([0xFF, 0x00, *[0x00] * 254])  # module -> its byte


def qr_png(rows: tuple[bytes, ...]) -> bytes:
    """The picture of `rows` (one byte, 0 light or 1 dark, per module)."""
    side = len(rows) + 2 * QR_QUIET
    edge = _LIGHT * QR_QUIET
    blank = (b"\0" + _LIGHT * side) * (QR_QUIET * PIXELS_PER_MODULE)
    lines = [(b"\0" + edge + row.translate(_BYTES) + edge) * PIXELS_PER_MODULE for row in rows]
    pixels = side * PIXELS_PER_MODULE
    header = struct.pack(">IIBBBBB", pixels, pixels, 1, 0, 0, 0, 0)
    body = zlib.compress(b"".join((blank, *lines, blank)), 6)
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, body, b"")))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
