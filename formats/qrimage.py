"""QR symbols out of a QR text, and QR texts out of a picture (docs/spec/qr.md).

Writer: zxing-cpp, chosen by `benchmarks/bench_qr.py`: it splits digits and prefix into the
shortest segments by itself, reaches the same version as segno with hand-made segments, and takes
a twelfth of the time. Reader: zxing-cpp restricted to QR codes, pyzbar (if installed) only where
zxing-cpp finds nothing. Pictures are PNG or JPEG by their first bytes, never by name; the size
in the header is checked before a pixel is decoded, and only the first frame is looked at. A picture
of more than 8 million pixels is made smaller first: the time of the search grows with the square
of the patterns that look like corners of a code.
Needs the extra `mingzheng[scan]`.
"""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from typing import Final

import zxingcpp
from PIL import Image

from mingzheng.formats.errors import FormatError, ResourceLimitError, UnreadableError
from mingzheng.formats.limits import QR_DIGITS_MAX, Limits
from mingzheng.formats.qrtext import is_prefix

ERROR_CORRECTION: Final = "M"
QUIET_ZONE: Final = 4  # modules (ISO/IEC 18004 §6.3.8)
MODULE_MM_MIN: Final = 0.33

SEARCHED_PIXELS: Final = 8_000_000  # a page that fills a 4:3 photo: 3.6 pixels a module

_DIGITS: Final = re.compile(rf"[1-9][0-9]{{0,{QR_DIGITS_MAX - 1}}}")
_QR_ONLY: Final = zxingcpp.BarcodeFormats(zxingcpp.QRCode)  # trying every symbology costs 14 times as much
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
# What Pillow is known to raise on damaged files; DecompressionBombError is handled apart.
_PILLOW_ERRORS: Final = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError),
    *(OverflowError, struct.error, zlib.error, NotImplementedError),
)

Point = tuple[int, int]


class QrTextRefusedError(FormatError):
    """A text asked to be written that is not the digits of a credential or not a proper prefix."""

    code = "qr.text_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class QrMatrix:
    """The modules of a QR symbol without quiet zone: `rows[y][x]` is 1 for dark, 0 for light."""

    version: int  # 1 … 40
    size: int  # modules per side: 17 + 4 · version
    rows: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QrSymbol:
    """One QR code found in a picture: its text (bytes if not UTF-8), corners in pixels, its reader."""

    text: str | bytes
    position: tuple[Point, Point, Point, Point]
    reader: str  # "zxing-cpp" or "zbar"


def encode_qr(digits: str, prefix: str | None = None) -> QrMatrix:
    """The smallest QR symbol at level M for `digits` behind `prefix`; QrTextRefusedError otherwise."""
    if _DIGITS.fullmatch(digits) is None or not (prefix is None or is_prefix(prefix)):
        raise QrTextRefusedError("not the digits of a credential behind nothing or a listed prefix")
    symbol = zxingcpp.create_barcode((prefix or "") + digits, zxingcpp.QRCode, ec_level=ERROR_CORRECTION)
    levels = bytes(symbol.to_image(scale=1, add_quiet_zones=False))  # type: ignore[call-overload]
    size = math.isqrt(len(levels))
    dark = bytes(1 if level < 128 else 0 for level in range(256))
    rows = tuple(levels[y * size : (y + 1) * size].translate(dark) for y in range(size))
    return QrMatrix(version=(size - 17) // 4, size=size, rows=rows)


def matrix_to_png(matrix: QrMatrix, px_per_module: int, quiet: int = QUIET_ZONE) -> bytes:
    """A 1-bit grey PNG of the symbol with `quiet` light modules around it; the same bytes every time."""
    side = (matrix.size + 2 * quiet) * px_per_module
    lines = bytearray()
    for y in range(-quiet, matrix.size + quiet):
        row = matrix.rows[y] if 0 <= y < matrix.size else bytes(matrix.size)
        modules = bytes(quiet) + row + bytes(quiet)
        bits = "".join(("0" if module else "1") * px_per_module for module in modules)
        packed = int(bits.ljust(-side % 8 + side, "0"), 2).to_bytes((side + 7) // 8, "big")
        lines += (b"\0" + packed) * px_per_module
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"".join((_PNG, _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines, 9)), _chunk(b"IEND", b"")))


def read_qr(picture: bytes | Image.Image, *, limits: Limits) -> tuple[QrSymbol, ...]:
    """Every QR code in a PNG or JPEG file, or in a picture already decoded, in reading order.

    Raises UnreadableError (no PNG or JPEG, damaged) or ResourceLimitError (bytes, pixels, codes).
    """
    grey = _grey(open_picture(picture, limits=limits) if isinstance(picture, bytes) else picture)
    small = _small(grey)
    found = _read_zxing(small) or _read_zbar(small)
    if small is not grey:
        found = [_enlarged(symbol, grey.width / small.width, grey.height / small.height) for symbol in found]
    if len(found) > limits.qr_symbols:
        raise ResourceLimitError("QR codes in a picture", limit=limits.qr_symbols, got=len(found))
    return tuple(sorted(found, key=lambda symbol: (symbol.position[0][1], symbol.position[0][0])))


def open_picture(data: bytes, *, limits: Limits) -> Image.Image:
    """Decode a PNG or JPEG file within the limits; the first frame of several."""
    if len(data) > limits.image_bytes:
        raise ResourceLimitError("picture bytes", limit=limits.image_bytes, got=len(data))
    kind, width, height = picture_size(data)
    _check_size(width, height, limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but readable files, as phones write them
            image = Image.open(io.BytesIO(data), formats=(kind,))
            _check_size(*image.size, limits)  # what Pillow will allocate, should it read another header
            image.load()
    except Image.DecompressionBombError as error:
        raise ResourceLimitError("pixels", limit=limits.image_pixels) from error
    except _PILLOW_ERRORS as error:
        raise UnreadableError(f"damaged {kind} picture") from error
    return image


def picture_size(data: bytes) -> tuple[str, int, int]:
    """("PNG" or "JPEG", width, height) as the header says; UnreadableError for anything else."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return "PNG", width, height
    if data.startswith(_JPEG):
        return "JPEG", *_jpeg_size(data)
    raise UnreadableError("neither a PNG nor a JPEG picture")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height of the first frame header (ITU-T T.81 §B.2.2)."""
    pos = 2
    while pos + 9 <= len(data) and data[pos] == 0xFF:
        marker = data[pos + 1]
        if marker == 0xFF:  # fill byte
            pos += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[pos + 5 : pos + 9])
            return width, height
        else:
            pos += 2 + int.from_bytes(data[pos + 2 : pos + 4], "big")
    raise UnreadableError("JPEG picture without frame header")


def _check_size(width: int, height: int, limits: Limits) -> None:
    if max(width, height) > limits.image_side:
        raise ResourceLimitError("picture side", limit=limits.image_side, got=max(width, height))
    if width * height > limits.image_pixels:
        raise ResourceLimitError("pixels", limit=limits.image_pixels, got=width * height)


def _grey(image: Image.Image) -> Image.Image:
    """Eight-bit grey; transparent parts become the white of paper."""
    if image.mode == "L":
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        return image.point(lambda level: level * (1 / 256)).convert("L")
    if "A" in image.mode or "transparency" in image.info:
        layered = image.convert("RGBA" if image.mode == "P" else "LA")
        paper = Image.new("L", layered.size, 255)
        paper.paste(layered.convert("L"), mask=layered.getchannel("A"))
        return paper
    return image.convert("L")


def _small(grey: Image.Image) -> Image.Image:
    """The picture itself, or a smaller one of at most SEARCHED_PIXELS."""
    pixels = grey.width * grey.height
    if pixels <= SEARCHED_PIXELS:
        return grey
    scale = math.sqrt(SEARCHED_PIXELS / pixels)
    size = max(1, int(grey.width * scale)), max(1, int(grey.height * scale))
    return grey.resize(size, Image.Resampling.BILINEAR)


def _enlarged(symbol: QrSymbol, across: float, down: float) -> QrSymbol:
    """The same code with its corners in pixels of the picture as it came."""
    return replace(symbol, position=_corners([(round(x * across), round(y * down)) for x, y in symbol.position]))


def _read_zxing(grey: Image.Image) -> list[QrSymbol]:
    symbols = []
    for code in zxingcpp.read_barcodes(grey, formats=_QR_ONLY):
        at = code.position
        corners = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
        symbols.append(
            QrSymbol(
                text=_text_of(bytes(code.bytes)),
                position=_corners([(point.x, point.y) for point in corners]),
                reader="zxing-cpp",
            )
        )
    return symbols


def _read_zbar(grey: Image.Image) -> list[QrSymbol]:
    """Second opinion by pyzbar where it is installed. It guesses encodings, so only ASCII counts."""
    try:
        from pyzbar import pyzbar

        codes = pyzbar.decode(grey, symbols=[pyzbar.ZBarSymbol.QRCODE])
        return [
            QrSymbol(
                text=code.data.decode("ascii"),
                position=_corners([(point.x, point.y) for point in code.polygon]),
                reader="zbar",
            )
            for code in codes
            if code.data.isascii()
        ]
    except Exception:  # noqa: BLE001 - pyzbar raises ValueError, AssertionError and others on odd codes
        return []


def _corners(points: list[Point]) -> tuple[Point, Point, Point, Point]:
    """Four corners; a reader that reports fewer or more gives the bounding box."""
    if len(points) == 4:
        return points[0], points[1], points[2], points[3]
    xs, ys = [x for x, _ in points] or [0], [y for _, y in points] or [0]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _text_of(content: bytes) -> str | bytes:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
