"""Decoded pixels: grey or colour, opacity apart, within limits."""

import dataclasses
import io

import pytest
from PIL import Image

from mingzheng.formats.errors import ResourceLimitError
from mingzheng.formats.imagehead import ImageError
from mingzheng.formats.images import decode_image
from mingzheng.formats.limits import LIMITS_DEFAULT


def png(mode: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (4, 3), None).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "channels", "alpha"), [("L", 1, False), ("RGB", 3, False), ("LA", 1, True), ("RGBA", 3, True)]
)
def test_channels_and_opacity(mode: str, channels: int, alpha: bool) -> None:
    pixels = decode_image(png(mode), limits=LIMITS_DEFAULT)
    assert (pixels.width, pixels.height, pixels.channels) == (4, 3, channels)
    assert len(pixels.data) == 12 * channels
    assert (pixels.alpha is not None) == alpha
    assert pixels.alpha is None or len(pixels.alpha) == 12


def test_palette_with_a_transparent_colour_has_opacity() -> None:
    pixels = decode_image(png("P", transparency=0), limits=LIMITS_DEFAULT)
    assert pixels.channels == 3
    assert pixels.alpha == bytes(12)


def test_limit_is_checked_before_decoding() -> None:
    limits = dataclasses.replace(LIMITS_DEFAULT, image_pixels=12)
    assert decode_image(png("L"), limits=limits).width == 4
    with pytest.raises(ResourceLimitError) as caught:
        decode_image(png("L"), limits=dataclasses.replace(limits, image_pixels=11))
    assert (caught.value.limit, caught.value.got) == (11, 12)


@pytest.mark.parametrize("cut", [34, 40, 45])
def test_damaged_data_is_an_image_error(cut: int) -> None:
    with pytest.raises(ImageError):
        decode_image(png("RGBA")[:cut], limits=LIMITS_DEFAULT)
