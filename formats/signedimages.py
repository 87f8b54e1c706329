"""Portrait and signature image as the very files that were signed, found again among the pictures of a document.

Spec: docs/spec/credential.md, `image_digest`. A JPEG lies whole in a PDF; of a PNG only the coded data does, and a
PNG without further chunks is put together again around it. A digest decides, so any number of wrong guesses does no
harm. Pure.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.claims import image_digest

__all__ = ["BLANK_IMAGE", "CANDIDATES_MAX", "SignedImages", "find_signed", "png_around"]

CANDIDATES_MAX: Final = 32
_MAGIC: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedImages:
    """The two files whose digests are in the claims; None where the certificate has none."""

    photo: bytes | None
    signature: bytes | None


def find_signed(files: Sequence[bytes], digest: bytes) -> SignedImages | None:
    """The pair of files that gives the digest of the claims, None if it is not among these."""
    choices: tuple[bytes | None, ...] = (None, *dict.fromkeys(files[:CANDIDATES_MAX]))
    for photo in choices:
        for signature in choices:
            if image_digest(photo, signature) == digest:
                return SignedImages(photo=photo, signature=signature)
    return None


def png_around(coded: bytes, *, width: int, height: int, bits_per_pixel: int) -> bytes | None:
    """The PNG file of one IDAT chunk, grey or RGB; None where it cannot have been one of these."""
    if not 0 < min(width, height) <= max(width, height) < 1 << 31 or bits_per_pixel not in (1, 2, 4, 8, 24):
        return None
    bits, kind = (8, 2) if bits_per_pixel == 24 else (bits_per_pixel, 0)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"".join((_MAGIC, _chunk(b"IHDR", header), _chunk(b"IDAT", coded), _chunk(b"IEND", b"")))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _blank() -> bytes:
    made = png_around(zlib.compress(b"\0\xff"), width=1, height=1, bits_per_pixel=8)
    assert made is not None
    return made


BLANK_IMAGE: Final = _blank()  # one white pixel: keeps the place of an image that only a person can judge
