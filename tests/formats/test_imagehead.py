"""Image headers: what is taken, what is refused, and that nothing but ImageError comes out."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mingzheng.formats.imagehead import ImageError, ImageKind, read_head


def file(mode: str, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (30, 20)).save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int = 1, height: int = 1, bits: int = 8, colour: int = 0, rest: bytes = b"\0\0\0") -> bytes:
    body = b"IHDR" + struct.pack(">IIBB", width, height, bits, colour) + rest
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(
    ("mode", "kind", "options", "channels", "bits"),
    [
        ("L", "JPEG", {}, 1, 8),
        ("RGB", "JPEG", {}, 3, 8),
        ("RGB", "JPEG", {"progressive": True}, 3, 8),
        ("1", "PNG", {}, 1, 1),
        ("L", "PNG", {}, 1, 8),
        ("P", "PNG", {}, 1, 1),
        ("RGB", "PNG", {}, 3, 8),
        ("LA", "PNG", {}, 2, 8),
        ("RGBA", "PNG", {}, 4, 8),
        ("I;16", "PNG", {}, 1, 16),
    ],
)
def test_reads_size_and_channels(mode: str, kind: str, options: dict[str, object], channels: int, bits: int) -> None:
    head = read_head(file(mode, kind, **options))
    assert head.kind is ImageKind(kind.lower())
    assert (head.width, head.height, head.channels, head.bits) == (30, 20, channels, bits)
    assert not head.interlaced


def test_skips_fill_bytes_and_lone_markers_in_jpeg() -> None:
    plain = file("L", "JPEG")
    assert read_head(plain[:2] + b"\xff\x01\xff\xff\xff" + plain[3:]).width == 30


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        png()[:32],
        png(width=0),
        png(height=0),
        png(width=1 << 31),
        png(bits=3),
        png(bits=8, colour=5),
        png(bits=4, colour=2),
        png(rest=b"\1\0\0"),
        png(rest=b"\0\1\0"),
        png(rest=b"\0\0\2"),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x01" + bytes(9),
        b"\xff\xd8\xff\xe0\xff\xff" + bytes(9),
        b"\xff\xd8\xff\xc0\x00\x04\x08\x00" + bytes(9),
        b"\xff\xd8\xff\xc0\x00\x0b\x0c\x00\x10\x00\x10\x01\x01\x11\x00",  # 12 bits
        b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x00\x00\x10\x01\x01\x11\x00",  # no height
        b"\xff\xd8\xff\xc0\x00\x14\x08\x00\x10\x00\x10\x04" + bytes(12),  # four channels
        b"\xff\xd8\xff\xc3\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00",  # lossless
        b"\xff\xd8\xff\xe0\x00\x02\x00" + bytes(9),
        b"\xff\xd8" + b"\xff" * 9000,
    ],
)
def test_refuses_what_no_page_carries(data: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        read_head(data)
    assert caught.value.code == "image.unsupported"


@given(st.sampled_from(["JPEG", "PNG"]), st.integers(0, 400), st.binary(max_size=3))
def test_damage_gives_a_head_or_an_image_error(kind: str, place: int, damage: bytes) -> None:
    data = bytearray(file("RGB", kind))
    data[place : place + len(damage)] = damage
    try:
        head = read_head(bytes(data[: place + 200]))
    except ImageError:
        return
    assert head.width > 0
    assert head.height > 0
