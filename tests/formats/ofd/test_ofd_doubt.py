"""Pictures of seals that readers may show differently; whole packages are in tests/verifier/test_ofd_pages.py."""

import io

import pytest
from PIL import Image

from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.ofd.doubt import picture_doubts


def jpeg(*, progressive: bool = False, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (60, 60), "red").save(out, "JPEG", progressive=progressive)
    return out.getvalue()


def segment(mark: int, body: bytes) -> bytes:
    return bytes([0xFF, mark]) + (2 + len(body)).to_bytes(2) + body


def behind_the_start(data: bytes, more: bytes) -> bytes:
    return data[:2] + more + data[2:]


TURNED = segment(0xE1, b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")


@pytest.mark.parametrize("data", [jpeg(), jpeg(progressive=True), jpeg(mode="CMYK")])
def test_a_plain_jpeg_is_not_doubted(data: bytes) -> None:
    assert [*picture_doubts(data, LIMITS_DEFAULT.ofd)] == []
    commented = behind_the_start(data, segment(0xFE, b"a seal"))
    assert [*picture_doubts(commented, LIMITS_DEFAULT.ofd)] == []


@pytest.mark.parametrize(
    "data",
    [
        behind_the_start(jpeg(), TURNED),
        behind_the_start(jpeg(), segment(0xE2, b"ICC_PROFILE\0\x01\x01")),
        jpeg() + b"\0",
        jpeg()[:-2],
        jpeg()[:2],
        jpeg()[:30],
        b"\xff\xd8" + segment(0xE0, b"JFIF\0") * 3,
    ],
    ids=["Exif", "ICC", "more", "less", "nothing", "cut", "no picture"],
)
def test_a_jpeg_with_more_than_its_samples_is_doubted(data: bytes) -> None:
    assert [*picture_doubts(data, LIMITS_DEFAULT.ofd)] == ["picture"]
