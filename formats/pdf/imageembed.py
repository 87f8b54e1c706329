"""Images as image XObjects, their bytes unchanged where PDF can take them (ISO 32000-1 §7.4.4, §7.4.8, §8.9).

JPEG goes in whole (DCTDecode). A PNG without transparency and interlacing is already what FlateDecode with PNG
predictors reads: its IDAT data goes in as it is. Everything else comes as decoded pixels from `images`. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from mingzheng.formats.imagehead import ImageError, ImageHead, ImageKind
from mingzheng.formats.pdf.objects import dictionary, ref, stream

__all__ = ["ObjectSink", "Pixels", "embed_direct", "embed_pixels"]

_GREY: Final = b"/DeviceGray"
_RGB: Final = b"/DeviceRGB"
_PALETTE: Final = 3  # PNG colour type
_WITH_ALPHA: Final = (4, 6)
_DEPTHS: Final = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """A decoded image: 8-bit grey or RGB samples, and 8-bit opacity if it has any."""

    width: int
    height: int
    channels: int
    data: bytes
    alpha: bytes | None


class ObjectSink(Protocol):
    """What takes objects and gives them numbers."""

    def add(self, body: bytes) -> int:
        """A further object."""
        ...  # pragma: no cover - protocol


def embed_direct(objects: ObjectSink, head: ImageHead, data: bytes) -> int | None:
    """The image object of a file whose coded data PDF reads as it is; None if pixels are needed."""
    if head.kind is ImageKind.JPEG:
        space = _GREY if head.channels == 1 else _RGB
        return objects.add(_image(head.width, head.height, data, {"ColorSpace": space, "Filter": b"/DCTDecode"}))
    if head.interlaced or head.colour_type in _WITH_ALPHA or head.bits not in _DEPTHS:
        return None
    palette, coded, transparent = b"", [], False
    for kind, body in _chunks(data):
        if kind == b"PLTE":
            palette = body
        elif kind == b"tRNS":
            transparent = True
        elif kind == b"IDAT":
            coded.append(body)
    if transparent:
        return None
    space = _GREY if head.channels == 1 else _RGB
    if head.colour_type == _PALETTE:
        if not palette or len(palette) % 3 or len(palette) > 768:
            raise ImageError("PNG palette is missing or damaged")
        space = b"[/Indexed /DeviceRGB %d <%b>]" % (len(palette) // 3 - 1, palette.hex().encode())
    parameters = dictionary(
        Predictor=b"15",
        Colors=b"%d" % head.channels,
        BitsPerComponent=b"%d" % head.bits,
        Columns=b"%d" % head.width,
    )
    entries = {"ColorSpace": space, "Filter": b"/FlateDecode", "DecodeParms": parameters}
    return objects.add(_image(head.width, head.height, b"".join(coded), entries, bits=head.bits))


def embed_pixels(objects: ObjectSink, pixels: Pixels) -> int:
    """The image object of decoded pixels, opacity as a soft mask."""
    entries = {"ColorSpace": _GREY if pixels.channels == 1 else _RGB}
    if pixels.alpha is not None:
        mask = _image(pixels.width, pixels.height, pixels.alpha, {"ColorSpace": _GREY}, compress=True)
        entries["SMask"] = ref(objects.add(mask))
    return objects.add(_image(pixels.width, pixels.height, pixels.data, entries, compress=True))


def _image(
    width: int, height: int, data: bytes, entries: dict[str, bytes], *, bits: int = 8, compress: bool = False
) -> bytes:
    head = {
        "Type": b"/XObject",
        "Subtype": b"/Image",
        "Width": b"%d" % width,
        "Height": b"%d" % height,
        "BitsPerComponent": b"%d" % bits,
    }
    return stream(data, {**head, **entries}, compress=compress)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file, each with its checksum checked."""
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 12 + length
        if end > len(data):
            break
        kind, body = data[place + 4 : place + 8], data[place + 8 : end - 4]
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ImageError("PNG chunk with a wrong checksum", offset=place)
        if kind == b"IEND":
            return
        yield kind, body
        place = end
    raise ImageError("PNG ends too early", offset=place)
