"""Photo and signature image at intake: checked, turned upright, stripped and re-encoded once.

Spec: docs/records.md, "Images". What comes out is embedded unchanged in every copy and its digest is signed. PNG
(ISO/IEC 15948) and JPEG (ITU-T T.81) by magic bytes; sizes from the header before anything is decoded. Effectful:
Pillow decodes.
"""

import io
import re
import struct
import threading
import warnings
from typing import Final, Literal

from PIL import Image, ImageOps

from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.issuer.errors import ImageError, ImageFormatError, ImageShapeError, ImageTooLargeError

__all__ = ["normalise_photo", "normalise_signature"]

What = Literal["photo", "signature"]

PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
PNG_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"
JPEG_MAGIC: Final = b"\xff\xd8\xff"
MAX_PIXELS: Final = LIMITS_DEFAULT.image_pixels
MAX_BYTES: Final = LIMITS_DEFAULT.image_bytes
MAX_SIDE: Final = LIMITS_DEFAULT.image_side

# Portrait: two-inch photo 35 x 49 mm at up to 300 dpi. Signature: a line at up to 300 dpi over 50 mm.
PHOTO_MIN: Final = (90, 120)
PHOTO_MAX: Final = (413, 579)
PHOTO_ASPECT: Final = (0.60, 0.90)  # width / height; one inch 25x35 is 0.71, US visa squares are refused
PHOTO_QUALITY: Final = 85
SIGNATURE_MIN: Final = (60, 20)
SIGNATURE_MAX: Final = (600, 300)
SIGNATURE_ASPECT: Final = (0.50, 8.0)  # names are also written from top to bottom
SIGNATURE_GREYS: Final = 16
SIGNATURE_LEVEL: Final = 6  # of zlib; 9 takes four times as long for a tenth less

# A progressive picture has about ten scans. One of 80 bytes can cost a pass over all pixels.
MAX_SCANS: Final = 100
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # neither within a scan nor a fill byte
_SCAN: Final = 0xDA
_END: Final = 0xD9

# JPEG markers: frames that Pillow decodes; segments without a length.
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_OTHER_FRAMES: Final = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
# What Pillow raises on hostile input, found by fuzzing and in its issue threads.
_DECODER_FAILURES: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    ArithmeticError,
    LookupError,
    TypeError,
    struct.error,
    Image.DecompressionBombError,
)
_NAMES: Final = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
)


class _Quiet:
    """Keeps warnings about odd metadata, which is dropped anyway, from whoever runs us; many threads may be inside."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._caught: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._caught is not None:
                self._caught.__exit__(None, None, None)


_QUIET: Final = _Quiet()


def normalise_photo(data: bytes) -> bytes:
    """Return a portrait as a baseline JPEG of at most 413 x 579 pixels, RGB, without metadata.

    The same input gives the same output with the same Pillow; run once and stored. Raises ImageError leaves.
    """
    image = _decode(data, "photo")
    _check_shape(image, "photo", PHOTO_MIN, PHOTO_ASPECT)
    image = _shrink(image, PHOTO_MAX)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=PHOTO_QUALITY, subsampling=2, optimize=True, progressive=False)
    return out.getvalue()


def normalise_signature(data: bytes) -> bytes:
    """Return a signature as a PNG of at most 600 x 300 pixels in 16 greys, without metadata."""
    image = _decode(data, "signature")
    _check_shape(image, "signature", SIGNATURE_MIN, SIGNATURE_ASPECT)
    grey = _shrink(image, SIGNATURE_MAX).convert("L")
    step = 255 // (SIGNATURE_GREYS - 1)
    grey = grey.point([round(level / step) * step for level in range(256)])
    out = io.BytesIO()
    grey.save(out, "PNG", compress_level=SIGNATURE_LEVEL)
    return out.getvalue()


def _decode(data: bytes, what: What) -> Image.Image:
    """Return the picture upright, in RGB, transparent parts on white."""
    width, height = _header(data, what)
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(
            what,
            f"{width}×{height} 像素，最多 {MAX_PIXELS} 像素",
            f"{width} x {height} pixels, at most {MAX_PIXELS} are read",
        )
    kind = "PNG" if data.startswith(PNG_MAGIC) else "JPEG"
    try:
        with _QUIET, Image.open(io.BytesIO(data), formats=(kind,)) as opened:
            if opened.size != (width, height) or opened.mode == "CMYK":
                raise _damaged(what)  # a second header that says something else than the first
            opened.load()
            ImageOps.exif_transpose(opened, in_place=True)  # most are upright: no second picture
            return _flatten(opened)
    except ImageError:
        raise
    except _DECODER_FAILURES as error:
        raise _damaged(what) from error


def _header(data: bytes, what: What) -> tuple[int, int]:
    """Return width and height from the first bytes, nothing decoded."""
    if not data:
        raise _bad_format(what, "文件为空", "the file is empty")
    if len(data) > MAX_BYTES:
        raise ImageTooLargeError(what, f"文件超过 {MAX_BYTES} 字节", f"the file has more than {MAX_BYTES} bytes")
    if data.startswith(PNG_MAGIC):
        if len(data) < 33 or data[12:16] != b"IHDR" or PNG_END not in data:
            raise _damaged(what)
        width, height = struct.unpack(">II", data[16:24])
    elif data.startswith(JPEG_MAGIC):
        if _has_many_scans(data):
            raise ImageTooLargeError(what, f"超过 {MAX_SCANS} 次扫描", f"the picture has more than {MAX_SCANS} scans")
        width, height = _jpeg_size(data, what)
    else:
        name = next((name for magic, name in _NAMES if data.startswith(magic)), "")
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            name = "WebP"
        if data[4:8] == b"ftyp":
            name = "AVIF" if data[8:11] == b"avi" else "HEIC"
        raise _bad_format(
            what,
            f"不是 PNG 或 JPEG{f'（是 {name}）' if name else ''}",
            f"neither PNG nor JPEG{f' ({name})' if name else ''}",
        )
    if not (width and height):
        raise _damaged(what)
    return width, height


def _jpeg_size(data: bytes, what: What) -> tuple[int, int]:
    """Walk the segments to the frame header; refuse CMYK and frames that are not baseline or progressive."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker in _BARE:
            place += 2
        elif marker in _FRAMES:
            if place + 10 > len(data):
                break
            height, width, parts = struct.unpack(">HHB", data[place + 5 : place + 10])
            if parts not in (1, 3):
                raise _bad_format(what, "CMYK 颜色模式", "CMYK colours")
            return width, height
        elif marker in _OTHER_FRAMES or marker in (0xD9, 0xDA):
            break
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4])
    raise _damaged(what)


def _has_many_scans(data: bytes) -> bool:
    """From marker to marker, over whatever lies between them, as decoders go; what is behind the end is not read."""
    place, scans = 2, 0
    while scans <= MAX_SCANS and (found := _MARKER.search(data, place)) is not None:
        marker, place = data[found.end() - 1], found.end()
        if marker == _END:
            return False
        scans += marker == _SCAN
        if marker not in _BARE:
            place += max(2, int.from_bytes(data[place : place + 2]))
    return scans > MAX_SCANS


def _flatten(image: Image.Image) -> Image.Image:
    """RGB on white; 16-bit greys are scaled down."""
    if image.mode in ("I;16", "I;16B", "I"):
        image = image.point(lambda level: level / 257).convert("L")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    flat = Image.new("RGB", image.size)  # a new picture: no metadata comes along
    flat.paste(image if image.mode == "RGB" else image.convert("RGB"))
    return flat


def _check_shape(image: Image.Image, what: What, least: tuple[int, int], aspect: tuple[float, float]) -> None:
    width, height = image.size
    if width < least[0] or height < least[1]:
        raise ImageShapeError(
            what,
            f"{width}×{height} 像素太小，至少 {least[0]}×{least[1]}",
            f"{width} x {height} pixels are too few, at least {least[0]} x {least[1]} are needed",
        )
    if not aspect[0] <= width / height <= aspect[1]:
        raise ImageShapeError(
            what,
            f"宽高比 {width / height:.2f} 不合适，应在 {aspect[0]:.2f} 至 {aspect[1]:.2f} 之间",
            f"width/height is {width / height:.2f}, {aspect[0]:.2f} to {aspect[1]:.2f} is taken",
        )


def _shrink(image: Image.Image, most: tuple[int, int]) -> Image.Image:
    """Size down to fit, never up."""
    width, height = image.size
    factor = min(1.0, most[0] / width, most[1] / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _bad_format(what: What, zh: str, en: str) -> ImageFormatError:
    return ImageFormatError(what, f"{zh}；请另存为 PNG 或 JPEG（RGB）", f"{en}; save it as PNG or JPEG in RGB")


def _damaged(what: What) -> ImageFormatError:
    return _bad_format(what, "文件损坏或不完整", "the file is damaged or cut short")
