"""Pixels of an image file, decoded by Pillow within limits. Effectful: a decoder in C is at work.

Only for files whose coded data PDF cannot take as it is; size comes from the header before anything is decoded.
"""

from __future__ import annotations

import io
import struct
import zlib

from mingzheng.formats.errors import ResourceLimitError
from mingzheng.formats.imagehead import ImageError, read_head
from mingzheng.formats.limits import Limits
from mingzheng.formats.pdf.imageembed import Pixels

__all__ = ["decode_image"]


def decode_image(data: bytes, *, limits: Limits) -> Pixels:
    """Grey or RGB pixels and opacity; ImageError if damaged, ResourceLimitError if too large."""
    from PIL import Image

    head = read_head(data)
    if head.width * head.height > limits.image_pixels:
        raise ResourceLimitError("image_pixels", limit=limits.image_pixels, got=head.width * head.height)
    try:
        with Image.open(io.BytesIO(data), formats=(head.kind.upper(),)) as picture:
            grey = picture.mode in ("1", "L", "LA", "I;16")
            clear = picture.has_transparency_data
            wide = picture.convert("LA" if grey else "RGBA") if clear else picture.convert("L" if grey else "RGB")
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise ImageError("image data is damaged") from error
    colour = wide.convert("L" if grey else "RGB")
    return Pixels(
        width=head.width,
        height=head.height,
        channels=1 if grey else 3,
        data=colour.tobytes(),
        alpha=wide.getchannel("A").tobytes() if clear else None,
    )
