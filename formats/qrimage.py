"""QR symbols out of a QR text, and QR texts out of a picture (docs/spec/qr.md).

Writer: zxing-cpp, chosen by `benchmarks/bench_qr.py`: it splits digits and prefix into the
shortest segments by itself, reaches the same version as segno with hand-made segments, and takes
a twelfth of the time. Reader: zxing-cpp restricted to QR codes; where it finds nothing it looks once
more at the picture enlarged and sharpened (what blur and copiers take from prints of two pixels a module
comes back: docs/results/photos.md), then pyzbar (if installed). Pictures are PNG or JPEG by their first
bytes, never by name; the size in the header is checked before a pixel is decoded, and only the first frame
is looked at. A JPEG of 11 million pixels or more is first decoded at half its size, in whole only if that
shows no code; any picture of more than 8 million is made smaller: the time of the search grows with the
square of the patterns that look like corners of a code.
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
from PIL import Image, ImageFilter

from mingzheng.formats.errors import FormatError, ResourceLimitError, TruncatedError, UnreadableError
from mingzheng.formats.limits import QR_DIGITS_MAX, Limits
from mingzheng.formats.qrtext import is_prefix

ERROR_CORRECTION: Final = "M"
QUIET_ZONE: Final = 4  # modules (ISO/IEC 18004 §6.3.8)
MODULE_MM_MIN: Final = 0.33

SEARCHED_PIXELS: Final = 8_000_000  # a page that fills a 4:3 photo: 3.6 pixels a module
HALVED_PIXELS: Final = 11_000_000  # from here on half the size still shows 2.1 pixels a module of such a page
ENLARGED: Final = 2.0
_SHARPER: Final = ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0)
_LEVELS: Final = {"L": 0b01, "M": 0b00, "Q": 0b11, "H": 0b10}  # ISO/IEC 18004 table 12
_FORMAT_POLYNOMIAL, _FORMAT_MASK = 0b10100110111, 0b101010000010010  # §7.9.1
_SURE: Final = 13  # bits of 15: rather silent than wrong on a poor picture
_FORMAT_PLACES: Final = (  # (column, row) of bits 14 to 0 beside the upper left finder, figure 25
    *((column, 8) for column in (0, 1, 2, 3, 4, 5, 7, 8)),
    *((8, row) for row in (7, 5, 4, 3, 2, 1, 0)),
)

_DIGITS: Final = re.compile(rf"[1-9][0-9]{{0,{QR_DIGITS_MAX - 1}}}")
# Trying every symbology costs 14 times as much. Micro QR has one finder and, in its smallest version, no error
# correction: a corner of a blurred code is taken for one (docs/results/photos.md).
_QR_ONLY: Final = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCodeModel1, zxingcpp.BarcodeFormat.QRCodeModel2])
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"  # ITU-T T.81 table B.1
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
    mirrored: bool  # seen from behind: a code that is read all the same


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


def read_qr(
    picture: bytes | Image.Image, *, limits: Limits, patient: bool = True, pixels: memoryview | None = None
) -> tuple[QrSymbol, ...]:
    """Every QR code in a PNG or JPEG file, or in a picture already decoded, in reading order.

    `patient`: where nothing is found, look again by all means there are (a blank A4 page at 200 dpi takes ten times
    as long). `pixels`: those of a grey picture, row by row, where the caller has them (a copy of a page takes as long
    as half the search). Raises UnreadableError (no PNG or JPEG, damaged), TruncatedError, ResourceLimitError (bytes,
    pixels, codes).
    """
    found: list[QrSymbol] = []
    if isinstance(picture, bytes):
        _, width, height = picture_size(picture)
        if _is_halved(picture, limits):
            half = _grey(open_picture(picture, limits=limits, halved=True))
            found = _enlarged(_read_zxing(half), width / half.width, height / half.height)
        picture = picture if found else open_picture(picture, limits=limits)
    if not found and not isinstance(picture, bytes):
        found = _search(_grey(picture), pixels, patient=patient)
    if len(found) > limits.qr_symbols:
        raise ResourceLimitError("QR codes in a picture", limit=limits.qr_symbols, got=len(found))
    return tuple(sorted(found, key=lambda symbol: (symbol.position[0][1], symbol.position[0][0])))


def _search(grey: Image.Image, pixels: memoryview | None, *, patient: bool) -> list[QrSymbol]:
    small = _small(grey)
    found = _read_zxing(small, pixels if small is grey else None)
    if not found and patient:
        sharp = _sharpened(small)
        found = _enlarged(_read_zxing(sharp), small.width / sharp.width, small.height / sharp.height)
        found = found or _read_zbar(small)
    return found if small is grey else _enlarged(found, grey.width / small.width, grey.height / small.height)


def open_picture(data: bytes, *, limits: Limits, halved: bool = False) -> Image.Image:
    """Decode a PNG or JPEG file within the limits; the first frame of several.

    JPEG is decoded in grey, `halved` at half its width and height (neither touches what a PNG gives).
    """
    if len(data) > limits.image_bytes:
        raise ResourceLimitError("picture bytes", limit=limits.image_bytes, got=len(data))
    kind, width, height = picture_size(data)
    _check_size(width, height, limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but readable files, as phones write them
            image = Image.open(io.BytesIO(data), formats=(kind,))
            _check_size(*image.size, limits)  # what Pillow will allocate, should it read another header
            share = 2 if halved else 1
            image.draft("L", (image.width // share, image.height // share))
            image.load()
    except Image.DecompressionBombError as error:
        raise ResourceLimitError("pixels", limit=limits.image_pixels) from error
    except _PILLOW_ERRORS as error:
        if kind == "JPEG" and _JPEG_END not in data[data.rfind(_JPEG_SCAN) :]:
            raise TruncatedError("the end of the JPEG picture is missing") from error
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


def _is_halved(data: bytes, limits: Limits) -> bool:
    kind, width, height = picture_size(data)
    return kind == "JPEG" and HALVED_PIXELS <= width * height <= limits.image_pixels


def _sharpened(grey: Image.Image) -> Image.Image:
    """Twice as large, as far as the limit of a search goes, with the edges that blur has taken."""
    scale = min(ENLARGED, math.sqrt(SEARCHED_PIXELS / (grey.width * grey.height)))
    size = max(1, int(grey.width * scale)), max(1, int(grey.height * scale))
    return grey.resize(size, Image.Resampling.BICUBIC).filter(_SHARPER)


def _enlarged(found: list[QrSymbol], across: float, down: float) -> list[QrSymbol]:
    """The same codes with their corners in pixels of a picture that is so many times as large."""
    return [
        replace(one, position=_corners([(round(x * across), round(y * down)) for x, y in one.position]))
        for one in found
    ]


def _read_zxing(grey: Image.Image, pixels: memoryview | None = None) -> list[QrSymbol]:
    """By zxing-cpp, which takes two thirds longer over a Pillow image than over its bytes."""
    symbols = []
    flat = memoryview(grey.tobytes()) if pixels is None else pixels
    for code in zxingcpp.read_barcodes(flat.cast("B", (grey.height, grey.width)), formats=_QR_ONLY):
        at = code.position
        corners = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
        position = _corners([(point.x, point.y) for point in corners])
        symbols.append(
            QrSymbol(
                text=_text_of(bytes(code.bytes)),
                position=position,
                reader="zxing-cpp",
                mirrored=_is_mirrored(grey, position, code),
            )
        )
    return symbols


def _is_mirrored(grey: Image.Image, position: tuple[Point, Point, Point, Point], code: zxingcpp.Barcode) -> bool:
    """Whether the format bits beside the first corner stand the wrong way round: zxing-cpp does not say."""
    extra = code.extra if isinstance(code.extra, dict) else {}
    version, mask, level = (str(extra.get(name, "")) for name in ("Version", "DataMask", "ECLevel"))
    if not (version.isdecimal() and mask.isdecimal() and level in _LEVELS):
        return False
    first, right, _, below = position
    side = 17 + 4 * int(version)
    levels = []
    for column, row in _FORMAT_PLACES:
        u, v = (column + 0.5) / side, (row + 0.5) / side
        x = int(first[0] + (right[0] - first[0]) * u + (below[0] - first[0]) * v)
        y = int(first[1] + (right[1] - first[1]) * u + (below[1] - first[1]) * v)
        seen = grey.getpixel((min(max(x, 0), grey.width - 1), min(max(y, 0), grey.height - 1)))
        levels.append(seen if isinstance(seen, int) else 0)
    middle = (max(levels) + min(levels)) / 2
    bits = "".join("1" if level < middle else "0" for level in levels)
    wanted = f"{_format_bits(_LEVELS[level], int(mask)):015b}"
    return _agreement(bits, wanted[::-1]) >= max(_SURE, _agreement(bits, wanted) + 2)


def _format_bits(level: int, mask: int) -> int:
    """The 15 bits of level and mask (ISO/IEC 18004 §7.9.1)."""
    data = rest = (level << 3 | mask) << 10
    for shift in range(4, -1, -1):
        if rest >> (shift + 10) & 1:
            rest ^= _FORMAT_POLYNOMIAL << shift
    return (data | rest) ^ _FORMAT_MASK


def _agreement(bits: str, wanted: str) -> int:
    """Equal bits, as they are or all turned over (a light code on a dark ground)."""
    equal = sum(one == other for one, other in zip(bits, wanted, strict=True))
    return max(equal, len(wanted) - equal)


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
                mirrored=False,
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
