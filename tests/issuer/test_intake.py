"""Images at intake: what is taken comes out stripped and stable, what is not taken has a typed reason."""

import contextlib
import io
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from mingzheng.issuer import intake
from mingzheng.issuer.errors import ImageError, ImageFormatError, ImageShapeError, ImageTooLargeError
from mingzheng.issuer.intake import (
    PHOTO_MAX,
    PHOTO_MIN,
    SIGNATURE_MAX,
    SIGNATURE_MIN,
    normalise_photo,
    normalise_signature,
)


def picture(size: tuple[int, int] = (300, 400), mode: str = "RGB") -> Image.Image:
    """Two halves: dark on top, bright below."""
    image = Image.new("L", size, 40)
    image.paste(220, (0, size[1] // 2, size[0], size[1]))
    return image.convert(mode)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "L")])
def test_photo_becomes_a_plain_jpeg(kind: str, mode: str) -> None:
    data = normalise_photo(saved(picture(mode=mode), kind))
    image = opened(data)
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (300, 400))
    assert "progressive" not in image.info
    assert normalise_photo(saved(picture(mode=mode), kind)) == data


def test_photo_is_sized_down_never_up() -> None:
    assert opened(normalise_photo(saved(picture((3000, 4000))))).size == (413, 551)
    assert opened(normalise_photo(saved(picture((600, 990))))).size == (351, 579)
    assert opened(normalise_photo(saved(picture(PHOTO_MAX)))).size == PHOTO_MAX
    assert opened(normalise_photo(saved(picture(PHOTO_MIN)))).size == PHOTO_MIN


def test_progressive_jpeg_and_fill_bytes() -> None:
    data = saved(picture(), "JPEG", progressive=True)
    assert opened(normalise_photo(data)).size == (300, 400)
    filled = data[:2] + b"\xff\xff" + data[2:]
    assert opened(normalise_photo(filled)).size == (300, 400)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = picture()
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = upright.transpose(undo[orientation]) if orientation in undo else upright
    out = opened(normalise_photo(saved(turned, "JPEG", exif=exif, quality=95)))
    assert out.size == (300, 400)
    assert out.getpixel((150, 20))[0] < 80  # type: ignore[index]
    assert out.getpixel((150, 380))[0] > 180  # type: ignore[index]


def test_metadata_is_stripped() -> None:
    secret = "31.2304N 121.4737E"
    exif = Image.Exif()
    exif[0x010E] = secret
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", secret)
    text.add_itxt("XML:com.adobe.xmp", secret)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    inputs = (
        saved(picture(), "JPEG", exif=exif, icc_profile=profile, comment=secret.encode()),
        saved(picture(), "PNG", pnginfo=text, exif=exif, icc_profile=profile, dpi=(72, 72)),
    )
    for data in inputs:
        assert secret.encode() in data
        photo, signature = normalise_photo(data), normalise_signature(data)
        assert secret.encode() not in photo + signature
        assert not opened(photo).getexif()
        assert set(opened(photo).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert opened(signature).info == {}


def test_transparency_becomes_white() -> None:
    clear = Image.new("RGBA", (300, 400), (0, 0, 0, 0))
    assert opened(normalise_photo(saved(clear))).getpixel((9, 9)) == (255, 255, 255)
    palette = picture(mode="P")
    assert opened(normalise_photo(saved(palette, transparency=0))).size == (300, 400)
    grey = Image.new("LA", (300, 100), (0, 0))
    assert opened(normalise_signature(saved(grey))).getpixel((9, 9)) == 255


def test_sixteen_bit_grey() -> None:
    deep = Image.new("I;16", (300, 100), 65_535)
    deep.paste(0, (0, 0, 150, 100))
    out = opened(normalise_signature(saved(deep)))
    assert (out.getpixel((10, 10)), out.getpixel((290, 10))) == (0, 255)


def test_signature_is_a_small_grey_png() -> None:
    data = normalise_signature(saved(picture((1600, 600), "RGB")))
    image = opened(data)
    assert (image.format, image.mode, image.size) == ("PNG", "L", (600, 225))
    levels = {level for _, level in image.getcolors() or []}
    assert levels <= set(range(0, 256, 17))
    assert normalise_signature(saved(picture((1600, 600), "RGB"))) == data
    assert opened(normalise_signature(saved(picture(SIGNATURE_MIN)))).size == SIGNATURE_MIN
    assert opened(normalise_signature(saved(picture((200, 400))))).size == (150, 300)
    assert SIGNATURE_MAX == (600, 300)


@pytest.mark.parametrize("size", [(89, 120), (90, 119), (10, 10), (1, 1)])
def test_photo_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(ImageShapeError) as caught:
        normalise_photo(saved(picture(size)))
    assert caught.value.code == "image.shape"
    assert caught.value.what == "photo"


@pytest.mark.parametrize("size", [(400, 300), (400, 400), (100, 400)])
def test_photo_of_a_bad_shape(size: tuple[int, int]) -> None:
    with pytest.raises(ImageShapeError, match="width/height"):
        normalise_photo(saved(picture(size)))


@pytest.mark.parametrize("size", [(59, 20), (60, 19), (900, 100), (60, 200)])
def test_signature_of_a_bad_shape(size: tuple[int, int]) -> None:
    with pytest.raises(ImageShapeError) as caught:
        normalise_signature(saved(picture(size)))
    assert caught.value.what == "signature"


def png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + b"\x00\x00\x00\x00IEND\xaeB`\x82"


def jpeg_claiming(width: int, height: int, frame: int = 0xC0, parts: int = 3) -> bytes:
    return b"\xff\xd8\xff" + bytes([frame]) + struct.pack(">HBHHB", 17, 8, height, width, parts) + bytes(12)


@pytest.mark.parametrize("make", [png_claiming, jpeg_claiming])
def test_pixels_are_counted_before_decoding(make: Callable[[int, int], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image, "open", never)
    for width, height in ((60_000, 60_000), (32_768, 1), (6_325, 6_325)):
        with pytest.raises(ImageTooLargeError) as caught:
            normalise_photo(make(width, height))
        assert caught.value.code == "image.too_large"


def scans_of(count: int, between: bytes = b"") -> bytes:
    """A progressive picture whose last scan, and the table before it, stand there `count` times more."""
    data = saved(picture(mode="L"), "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xc4") : -2]
    return data[:-2] + (between + last) * count + data[-2:]


def test_a_picture_of_very_many_scans_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    few = intake.MAX_SCANS - saved(picture(mode="L"), "JPEG", progressive=True).count(b"\xff\xda")
    assert opened(normalise_photo(scans_of(few))).size == (300, 400)
    tail = b"\xff\xda" * 200  # a film behind the picture is no part of it
    assert opened(normalise_photo(scans_of(0) + tail)).size == (300, 400)
    note = b"\xff\xfe" + (402).to_bytes(2) + tail  # nor is what a segment holds
    assert opened(normalise_photo(saved(picture(), "JPEG")[:2] + note + saved(picture(), "JPEG")[2:])).size == (
        300,
        400,
    )
    monkeypatch.setattr(Image, "open", None)
    for between in (b"", b"\0", b"\xff", b"\xff\0", b"\xff\xd0"):
        with pytest.raises(ImageTooLargeError, match="scans"):
            normalise_photo(scans_of(few + 1, between))


def test_bytes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(picture())
    monkeypatch.setattr(intake, "MAX_BYTES", len(data))
    normalise_photo(data)
    with pytest.raises(ImageTooLargeError):
        normalise_photo(data + b"\x00")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "neither PNG nor JPEG;"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "WebP"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"),
        (b"GIF89a", "GIF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "EPS"),
        (b"%PDF-1.7", "PDF"),
        (b"II*\x00", "TIFF"),
        (b"MM\x00*", "TIFF"),
        (b"BM", "BMP"),
        (saved(picture(mode="CMYK"), "JPEG"), "CMYK"),
        (jpeg_claiming(300, 400, 0xC3), "damaged"),
        (jpeg_claiming(300, 400)[:12], "damaged"),
        (jpeg_claiming(300, 400), "damaged"),
        (jpeg_claiming(0, 400), "damaged"),
        (png_claiming(300, 400), "damaged"),
        (png_claiming(300, 0), "damaged"),
        (png_claiming(300, 400)[:20], "damaged"),
        (b"\xff\xd8\xff", "damaged"),
        (b"\xff\xd8\xff\xd9", "damaged"),
        (b"\xff\xd8\xff\xd0\xff\x01\xff\xd9\x00\x00", "damaged"),
        (b"\xff\xd8\xff\xe0\x00\x00" * 3, "damaged"),
    ],
)
def test_what_is_not_taken_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(ImageFormatError, match=reason) as caught:
        normalise_photo(data)
    assert caught.value.code == "image.format"
    assert caught.value.zh


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_every_cut_is_refused(kind: str) -> None:
    data = saved(picture((90, 120)), kind)
    for end in range(0, len(data) - 14, 7):
        with pytest.raises(ImageError):
            normalise_photo(data[:end])


def test_a_second_header_that_says_more_is_refused() -> None:
    data = saved(picture(), "JPEG")
    small = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 120, 90, 3) + b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    with pytest.raises(ImageFormatError, match="damaged"):
        normalise_photo(data[:2] + small + data[2:])


def test_text_bomb_is_refused() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "x" * 80_000_000, zip=True)
    with pytest.raises(ImageFormatError):
        normalise_photo(saved(picture(), pnginfo=text))


@given(st.data())
def test_damaged_bytes_raise_only_image_errors(data: st.DataObject) -> None:
    good = bytearray(saved(picture((90, 120)), data.draw(st.sampled_from(["PNG", "JPEG"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    for normalise in (normalise_photo, normalise_signature):
        with contextlib.suppress(ImageError):
            assert normalise(bytes(good))
