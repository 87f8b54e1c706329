"""What a JPEG or PNG file says of itself before anything is decoded: size, channels, kind.

Sources: ITU-T T.81 annex B (JPEG markers), PNG (ISO/IEC 15948) clause 11. Every length is checked before it is
used; no pixel is touched. Left out: other formats. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from struct import unpack_from
from typing import ClassVar, Final

from mingzheng.formats.errors import FormatError

__all__ = ["ImageError", "ImageHead", "ImageKind", "read_head"]

_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC: Final = b"\xff\xd8\xff"
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; what DCTDecode takes
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # PNG colour type -> samples per pixel
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_MAX_SEGMENTS: Final = 4096


class ImageError(FormatError):
    """Not an image of the kinds that go on a page."""

    code: ClassVar[str] = "image.unsupported"


class ImageKind(StrEnum):
    """The image formats a page carries."""

    JPEG = "jpeg"
    PNG = "png"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHead:
    """Facts of the header; for PNG `colour_type` and `interlaced` are its own, for JPEG 0 and False."""

    kind: ImageKind
    width: int
    height: int
    channels: int
    bits: int
    colour_type: int
    interlaced: bool


def read_head(data: bytes) -> ImageHead:
    """The header of a JPEG or PNG file; ImageError if it is neither or damaged."""
    if data.startswith(_PNG_MAGIC):
        return _png(data)
    if data.startswith(_JPEG_MAGIC):
        return _jpeg(data)
    raise ImageError("neither a JPEG nor a PNG file", offset=0)


def _png(data: bytes) -> ImageHead:
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\rIHDR":
        raise ImageError("PNG does not begin with its header", offset=8)
    width, height, bits, colour_type, compression, filtering, interlace = unpack_from(">IIBBBBB", data, 16)
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31):
        raise ImageError("PNG without area", offset=16)
    if bits not in _DEPTHS.get(colour_type, ()) or compression or filtering or interlace > 1:
        raise ImageError("PNG of an unknown kind", offset=24)
    return ImageHead(
        kind=ImageKind.PNG,
        width=width,
        height=height,
        channels=_CHANNELS[colour_type],
        bits=bits,
        colour_type=colour_type,
        interlaced=bool(interlace),
    )


def _jpeg(data: bytes) -> ImageHead:
    place = 2
    for _ in range(_MAX_SEGMENTS):
        if place + 4 > len(data) or data[place] != 0xFF:
            raise ImageError("JPEG ends or loses its way before its frame header", offset=place)
        marker = data[place + 1]
        if marker == 0xFF or marker in _ALONE:  # fill byte, or a marker without a segment
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if length < 2 or place + 2 + length > len(data):
            raise ImageError("JPEG segment longer than the file", offset=place)
        if marker in _FRAMES:
            return _frame(data, place, length)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            raise ImageError(f"JPEG coding 0x{marker:02X} is not supported", offset=place)
        place += 2 + length
    raise ImageError("JPEG with too many segments", offset=place)


def _frame(data: bytes, place: int, length: int) -> ImageHead:
    if length < 8:
        raise ImageError("JPEG frame header too short", offset=place)
    bits, height, width, channels = unpack_from(">BHHB", data, place + 4)
    if bits != 8 or channels not in (1, 3) or not width or not height or length != 8 + 3 * channels:
        raise ImageError("JPEG is not 8-bit grey or colour with three channels", offset=place)
    return ImageHead(
        kind=ImageKind.JPEG,
        width=width,
        height=height,
        channels=channels,
        bits=bits,
        colour_type=0,
        interlaced=False,
    )
