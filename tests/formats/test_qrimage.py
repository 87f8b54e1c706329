"""QR pictures: sizes of the design, both directions, prints at 200 dpi, hostile pictures."""

from __future__ import annotations

import dataclasses
import io
import json
import pathlib
import random
import struct
import sys
import types
import zlib
from typing import Any

import pytest
import segno
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from mingzheng.formats import qrimage
from mingzheng.formats.claims import Claims, Specialty, parse_claims
from mingzheng.formats.credential import attach_receipt, parse_credential, sign_credential
from mingzheng.formats.errors import FormatError, ResourceLimitError, TruncatedError, UnreadableError
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.qrimage import (
    MODULE_MM_MIN,
    QUIET_ZONE,
    SEARCHED_PIXELS,
    QrMatrix,
    QrTextRefusedError,
    encode_qr,
    matrix_to_png,
    open_picture,
    picture_size,
    read_qr,
)
from mingzheng.formats.qrtext import parse_qr_text, to_digits
from mingzheng.keys.alg import Alg
from mingzheng.keys.signer import InMemorySigner

VECTORS = pathlib.Path(__file__).parents[1] / "vectors"
IMAGES = VECTORS / "qr" / "img"
SAMPLE = json.loads((VECTORS / "qr" / "sample.json").read_text("utf-8"))[0]
DATA = bytes.fromhex(SAMPLE["hex"])
PREFIX = SAMPLE["prefix"]
SIGNER = InMemorySigner.from_private_bytes(Alg.ED25519, bytes(range(32)))
# One hash and four hashes (docs/spec/receipt.md) with block positions up to 2^32 and the largest origin number.
RECEIPT_ALONE, RECEIPT_BULK = 143, 245  # bytes


def noise(size: int) -> bytes:
    return b"\xd2" + random.Random(size).randbytes(size - 1)


def ceiling_claims(claims: Claims, *, chars: int, specialties: int) -> Claims:
    return dataclasses.replace(
        claims,
        employer="建" * chars,
        purpose="投" * chars,
        registration_no="沪" + "1" * 19,
        name="欧阳" + "明" * (13 if chars == 40 else 2),
        specialties=tuple(Specialty(code=n, first_day=20_000, last_day=21_000) for n in range(1, specialties + 1)),
    )


CLAIMS = parse_claims(parse_credential(DATA).payload)
SIX = sign_credential(ceiling_claims(CLAIMS, chars=40, specialties=6), SIGNER)
FULL = sign_credential(
    dataclasses.replace(
        ceiling_claims(CLAIMS, chars=40, specialties=16), name="欧" * 40, registration_no="沪" * 40, serial=2**40 - 1
    ),
    SIGNER,
)


# Sizes


@pytest.mark.parametrize(
    ("receipt", "prefix", "most"),
    [
        (0, None, 15),
        (RECEIPT_ALONE, None, 18),
        (RECEIPT_BULK, None, 20),
        (0, PREFIX, 16),
        (RECEIPT_ALONE, PREFIX, 19),
        (RECEIPT_BULK, PREFIX, 21),
    ],
)
def test_versions_of_the_fixed_sample(receipt: int, prefix: str | None, most: int) -> None:
    data = attach_receipt(DATA, noise(receipt) if receipt else None)
    matrix = encode_qr(to_digits(data), prefix)
    print(f"sample {len(data)} B, prefix {prefix is not None}: version {matrix.version} (at most {most})")
    assert matrix.version <= most
    assert (matrix.size + 2 * QUIET_ZONE) * MODULE_MM_MIN <= 36.0


def test_real_receipts_are_no_larger_than_supposed() -> None:
    """The log's reference receipts at small positions: 10 bytes of room for larger numbers."""
    vectors = json.loads((VECTORS / "receipt" / "receipts.json").read_text("utf-8"))["good"]
    sizes = {case["name"]: len(case["hex"]) // 2 for case in vectors}
    assert sizes["eddsa-8"] == 133  # one hash
    assert sizes["eddsa-3"] == 133 + 2 * 34  # three
    assert RECEIPT_ALONE >= 133 + 10
    assert RECEIPT_BULK >= 133 + 3 * 34 + 10


@pytest.mark.parametrize(
    ("name", "data", "receipt", "version"),
    [
        ("six specialties, 15+40+40 characters", SIX, 0, 19),
        ("six specialties, 15+40+40 characters", SIX, RECEIPT_ALONE, 22),
        ("six specialties, 15+40+40 characters", SIX, RECEIPT_BULK, 23),
        ("every claim at its ceiling", FULL, 0, 23),
        ("every claim at its ceiling", FULL, RECEIPT_BULK, 27),
    ],
)
def test_versions_at_the_ceilings(name: str, data: bytes, receipt: int, version: int) -> None:
    """Larger than the sample, still one code: it is stated, not bounded, by the design."""
    whole = attach_receipt(data, noise(receipt) if receipt else None)
    matrix = encode_qr(to_digits(whole), PREFIX)
    print(f"{name}: {len(whole)} B, version {matrix.version}")
    assert matrix.version == version
    (symbol,) = read_qr(matrix_to_png(matrix, 3), limits=LIMITS_DEFAULT)
    assert isinstance(symbol.text, str)
    assert parse_qr_text(symbol.text, prefixes=(PREFIX,)).data == whole


@pytest.mark.parametrize("size", [2, 20, 100, 250, 384, 531, 636, 900, 1411])
@pytest.mark.parametrize("prefix", [None, PREFIX])
def test_as_small_as_segments_made_by_hand(size: int, prefix: str | None) -> None:
    digits = to_digits(noise(size))
    parts = [digits] if prefix is None else [prefix, digits]
    by_hand = segno.make_qr(parts, error="m", boost_error=False)
    assert encode_qr(digits, prefix).version <= int(by_hand.version)


# Both directions


@given(st.binary(max_size=700), st.sampled_from([None, PREFIX]), st.integers(1, 4))
def test_written_then_read(tail: bytes, prefix: str | None, scale: int) -> None:
    digits = to_digits(b"\xd2" + tail)
    png = matrix_to_png(encode_qr(digits, prefix), max(scale, 2))
    symbols = read_qr(png, limits=LIMITS_DEFAULT)
    assert [symbol.text for symbol in symbols] == [(prefix or "") + digits]


def test_matrix_is_plain_data() -> None:
    matrix = encode_qr(SAMPLE["digits"])
    assert matrix.size == 17 + 4 * matrix.version == len(matrix.rows)
    assert {len(row) for row in matrix.rows} == {matrix.size}
    assert set(b"".join(matrix.rows)) == {0, 1}
    assert matrix.rows[0][:8] == bytes((1, 1, 1, 1, 1, 1, 1, 0))  # finder pattern, separator
    assert matrix == encode_qr(SAMPLE["digits"])


@pytest.mark.parametrize(
    ("digits", "prefix"),
    [
        ("", None),
        ("012", None),
        ("１２", None),
        ("12\n", None),
        ("1" * 3401, None),
        ("12", "http://a.cn/#"),
        ("12", ""),
    ],
)
def test_writes_nothing_but_our_text(digits: str, prefix: str | None) -> None:
    with pytest.raises(QrTextRefusedError):
        encode_qr(digits, prefix)


@pytest.mark.parametrize("scale", [1, 2, 3, 8])
@pytest.mark.parametrize("quiet", [0, 1, 4])
def test_png_shows_the_matrix(scale: int, quiet: int) -> None:
    matrix = QrMatrix(version=1, size=3, rows=(b"\1\0\1", b"\0\1\1", b"\0\0\1"))
    image = Image.open(io.BytesIO(matrix_to_png(matrix, scale, quiet)))
    image.load()
    side = (3 + 2 * quiet) * scale
    assert (image.mode, image.size) == ("1", (side, side))
    for y in range(side):
        for x in range(side):
            row, column = y // scale - quiet, x // scale - quiet
            dark = 0 <= row < 3 and 0 <= column < 3 and matrix.rows[row][column]
            assert image.getpixel((x, y)) == (0 if dark else 255)


# Prints: 200 dpi, grey, 95 % scale


def printed(matrix: QrMatrix, *, dpi: int = 200, scale: float = 0.95, seed: int = 1) -> Image.Image:
    """The code on a piece of grey paper as a scanner sees it: module 0.33 mm, ink 70, paper 215."""
    fine = Image.open(io.BytesIO(matrix_to_png(matrix, 8))).convert("L")
    side = round((matrix.size + 2 * QUIET_ZONE) * MODULE_MM_MIN * scale / 25.4 * dpi)
    code = fine.resize((side, side), Image.Resampling.BOX).point(lambda level: 70 + level * 145 // 255)
    page = Image.new("L", (side + 160, side + 120), 215)
    page.paste(code, (71, 53))
    page = page.rotate(0.7, Image.Resampling.BICUBIC, fillcolor=215).filter(ImageFilter.GaussianBlur(0.5))
    grain = Image.frombytes("L", page.size, random.Random(seed).randbytes(page.width * page.height))
    return Image.blend(page, grain, 0.06)


PRINTS = [
    pytest.param(size, prefix, id=f"{size}B-{'prefix' if prefix else 'bare'}")
    for size in (0, RECEIPT_ALONE, RECEIPT_BULK)
    for prefix in (None, PREFIX)
]


@pytest.mark.parametrize(("receipt", "prefix"), PRINTS)
def test_print_is_read_by_zxing(receipt: int, prefix: str | None) -> None:
    data = attach_receipt(DATA, noise(receipt) if receipt else None)
    (symbol,) = read_qr(printed(encode_qr(to_digits(data), prefix)), limits=LIMITS_DEFAULT)
    assert symbol.reader == "zxing-cpp"
    assert parse_qr_text(str(symbol.text), prefixes=(PREFIX,)).data == data


@pytest.mark.parametrize(("receipt", "prefix"), PRINTS)
def test_print_as_jpeg_upside_down(receipt: int, prefix: str | None) -> None:
    data = attach_receipt(DATA, noise(receipt) if receipt else None)
    out = io.BytesIO()
    printed(encode_qr(to_digits(data), prefix)).rotate(180).save(out, "JPEG", quality=60)
    (symbol,) = read_qr(out.getvalue(), limits=LIMITS_DEFAULT)
    assert parse_qr_text(str(symbol.text), prefixes=(PREFIX,)).data == data


@pytest.mark.zbar
@pytest.mark.parametrize(("receipt", "prefix"), PRINTS)
def test_print_is_read_by_zbar(receipt: int, prefix: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qrimage, "_read_zxing", lambda grey, pixels=None: [])
    data = attach_receipt(DATA, noise(receipt) if receipt else None)
    (symbol,) = read_qr(printed(encode_qr(to_digits(data), prefix)), limits=LIMITS_DEFAULT)
    assert symbol.reader == "zbar"
    assert parse_qr_text(str(symbol.text), prefixes=(PREFIX,)).data == data


# Several codes


def test_each_code_of_a_page_comes_back() -> None:
    other = to_digits(noise(200))
    page = Image.new("L", (900, 1200), 255)
    for digits, at in ((other, (300, 700)), (SAMPLE["digits"], (20, 20))):
        page.paste(Image.open(io.BytesIO(matrix_to_png(encode_qr(digits), 3))), at)
    symbols = read_qr(page, limits=LIMITS_DEFAULT)
    assert [symbol.text for symbol in symbols] == [SAMPLE["digits"], other]
    (left, top), _, (right, bottom), _ = symbols[0].position
    assert 20 <= left < right <= 20 + 85 * 3
    assert 20 <= top < bottom <= 20 + 85 * 3


def test_more_codes_than_the_limit() -> None:
    page = (IMAGES / "qr_200_small_codes.png").read_bytes()
    with pytest.raises(ResourceLimitError):
        read_qr(page, limits=LIMITS_DEFAULT)
    assert len(read_qr(page, limits=dataclasses.replace(LIMITS_DEFAULT, qr_symbols=256))) > 150


def test_picture_without_code() -> None:
    assert read_qr(Image.new("L", (200, 200), 255), limits=LIMITS_DEFAULT) == ()


# Hostile pictures


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("png_20000x20000_1bit.png", ResourceLimitError),
        ("png_claims_60000x60000.png", ResourceLimitError),
        ("png_ztxt_bomb.png", UnreadableError),
        ("tiff_g4.tif", UnreadableError),
        ("eps_as_jpg.jpg", UnreadableError),
    ],
)
def test_hostile_picture_is_refused(name: str, error: type[FormatError]) -> None:
    with pytest.raises(error):
        read_qr((IMAGES / name).read_bytes(), limits=LIMITS_DEFAULT)


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("qr_lookalike_url.png", 1),
        ("qr_two_different_payloads.png", 2),
        ("qr_inverted.png", 1),
        ("qr_v40_full.png", 1),
        ("qr_binary_all_bytes.png", 1),
        ("qr_newline_suffix.png", 1),
    ],
)
def test_foreign_code_is_read_and_is_not_our_format(name: str, codes: int) -> None:
    symbols = read_qr((IMAGES / name).read_bytes(), limits=LIMITS_DEFAULT)
    assert len(symbols) == codes
    for symbol in symbols:
        if isinstance(symbol.text, bytes):
            assert symbol.text == bytes(range(256))
            continue
        with pytest.raises(FormatError) as caught:
            parse_qr_text(symbol.text, prefixes=(PREFIX,))
        assert getattr(caught.value, "lookalike", None) == (name == "qr_lookalike_url.png")


def png(width: int, height: int, *, rows: bytes = b"") -> bytes:
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            qrimage._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
            qrimage._chunk(b"IDAT", zlib.compress(rows)),
            qrimage._chunk(b"IEND", b""),
        )
    )


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def test_limits_at_and_over() -> None:
    limits = dataclasses.replace(LIMITS_DEFAULT, image_pixels=800, image_side=80)
    good = png(80, 10, rows=b"\0" * 11 * 10)
    assert open_picture(good, limits=limits).size == (80, 10)
    for data in (png(80, 11), png(81, 1), png(1, 81)):
        with pytest.raises(ResourceLimitError):
            open_picture(data, limits=limits)
    with pytest.raises(ResourceLimitError):
        open_picture(jpeg(Image.new("L", (80, 11))), limits=limits)
    assert open_picture(jpeg(Image.new("L", (80, 10))), limits=limits).size == (80, 10)
    exact = dataclasses.replace(limits, image_bytes=len(good))
    assert open_picture(good, limits=exact).size == (80, 10)
    with pytest.raises(ResourceLimitError):
        open_picture(good + b"\0", limits=exact)


def test_second_header_counts_too() -> None:
    """What Pillow will allocate is checked as well as what our own look at the header said."""
    small = jpeg(Image.new("L", (8, 8)))
    at = small.index(b"\xff\xc0")
    frame = small[at : at + 2 + int.from_bytes(small[at + 2 : at + 4], "big")]
    large = frame[:5] + struct.pack(">HH", 7000, 7000) + frame[9:]
    double = small[:at] + frame + large + small[at + len(frame) :]
    assert picture_size(double)[1:] == (8, 8)
    with pytest.raises(ResourceLimitError):
        open_picture(double, limits=LIMITS_DEFAULT)
    huge = frame[:5] + struct.pack(">HH", 60_000, 60_000) + frame[9:]
    with pytest.raises(ResourceLimitError):
        open_picture(small[:at] + frame + huge + small[at + len(frame) :], limits=LIMITS_DEFAULT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x02",
        b"\xff\xd8" + b"\xff" * 100,
        b"\xff\xd8\xff\xe0\x00\x02\x00" + b"\0" * 50,
        b"\xff\xd8\xff\xc4\x00\x02\xff\xda\x00\x02" + b"\0" * 50,
        b"GIF89a" + b"\0" * 50,
        b"BM" + b"\0" * 50,
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"II*\0",
    ],
    ids=lambda data: repr(data[:10]),
)
def test_no_picture_of_ours(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_qr(data, limits=LIMITS_DEFAULT)


SMALL_PNG = matrix_to_png(encode_qr("123456789"), 2)
SMALL_JPEG = jpeg(Image.open(io.BytesIO(SMALL_PNG)).convert("RGB"))


@given(st.sampled_from([SMALL_PNG, SMALL_JPEG]), st.data())
def test_damaged_pictures_raise_only_typed_errors(picture: bytes, draw: st.DataObject) -> None:
    changed = bytearray(picture)
    for _ in range(draw.draw(st.integers(1, 4))):
        changed[draw.draw(st.integers(0, len(changed) - 1))] = draw.draw(st.integers(0, 255))
    end = draw.draw(st.just(len(changed)) | st.integers(0, len(changed)))
    try:
        read_qr(bytes(changed[:end]), limits=dataclasses.replace(LIMITS_DEFAULT, image_pixels=1_000_000))
    except (UnreadableError, ResourceLimitError):
        return


def _modes() -> list[Image.Image]:
    base = Image.open(io.BytesIO(matrix_to_png(encode_qr("123456789"), 4))).convert("L")
    clear = Image.new("RGBA", base.size, (0, 0, 0, 0))
    clear.putalpha(base.point(lambda level: 255 - level))  # dark modules opaque black, paper transparent
    palette = base.convert("P")
    palette.info["transparency"] = 255
    sixteen = base.convert("I").point(lambda level: level * 256)
    modes = [base.convert(mode) for mode in ("1", "RGB", "CMYK", "YCbCr", "P", "LA")]
    return [*modes, clear, palette, sixteen]


@pytest.mark.parametrize("number", range(9))
def test_pixel_formats(number: int) -> None:
    (symbol,) = read_qr(_modes()[number], limits=LIMITS_DEFAULT)
    assert symbol.text == "123456789"


def test_sixteen_bit_png_and_first_frame_only() -> None:
    sixteen = _modes()[8].convert("I;16")
    assert read_qr(sixteen, limits=LIMITS_DEFAULT)[0].text == "123456789"
    first, second = _modes()[1], Image.open(io.BytesIO(matrix_to_png(encode_qr("98765"), 4))).convert("RGB")
    out = io.BytesIO()
    first.save(out, "PNG", save_all=True, append_images=[second.resize(first.size)])
    assert [symbol.text for symbol in read_qr(out.getvalue(), limits=LIMITS_DEFAULT)] == ["123456789"]


def test_odd_but_readable_file_is_read_without_a_warning() -> None:
    """An animation chunk that promises no frames: Pillow warns and reads the picture."""
    odd = SMALL_PNG[:33] + qrimage._chunk(b"acTL", struct.pack(">II", 0, 0)) + SMALL_PNG[33:]
    assert read_qr(odd, limits=LIMITS_DEFAULT)[0].text == "123456789"


# The second reader


class _Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y


def _pyzbar(decode: Any) -> types.ModuleType:
    package = types.ModuleType("pyzbar")
    module = types.ModuleType("pyzbar.pyzbar")
    module.decode = decode  # type: ignore[attr-defined]
    module.ZBarSymbol = types.SimpleNamespace(QRCODE=64)  # type: ignore[attr-defined]
    package.pyzbar = module  # type: ignore[attr-defined]
    return package


BLANK = Image.new("L", (100, 100), 255)


@pytest.mark.parametrize(
    "error", [ValueError("4294967295 is not a valid ZBarOrientation"), AssertionError(), TypeError(), OSError()]
)
def test_every_exception_of_pyzbar_is_caught(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setitem(sys.modules, "pyzbar", _pyzbar(decode))
    assert read_qr(BLANK, limits=LIMITS_DEFAULT) == ()


def test_no_pyzbar_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyzbar", None)
    assert read_qr(BLANK, limits=LIMITS_DEFAULT) == ()


def test_pyzbar_speaks_only_where_zxing_finds_nothing_and_only_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    corners = [_Point(5, 5), _Point(5, 9), _Point(9, 9), _Point(9, 5)]
    codes = [
        types.SimpleNamespace(data=b"12", polygon=corners),
        types.SimpleNamespace(data=b"34", polygon=corners[:3]),
        types.SimpleNamespace(data=b"56", polygon=[]),
        types.SimpleNamespace(data="甲".encode(), polygon=corners),
    ]
    monkeypatch.setitem(sys.modules, "pyzbar", _pyzbar(lambda *_, **__: codes))
    found = read_qr(BLANK, limits=LIMITS_DEFAULT)
    assert [(symbol.text, symbol.reader) for symbol in found] == [("56", "zbar"), ("12", "zbar"), ("34", "zbar")]
    assert found[0].position == ((0, 0), (0, 0), (0, 0), (0, 0))
    assert found[2].position == ((5, 5), (9, 5), (9, 9), (5, 9))
    assert [symbol.reader for symbol in read_qr(SMALL_PNG, limits=LIMITS_DEFAULT)] == ["zxing-cpp"]


# Large pictures


def large(size: tuple[int, int], *codes: tuple[str, int, tuple[int, int]]) -> Image.Image:
    """A light sheet with codes: digits, pixels per module, place."""
    sheet = Image.new("L", size, 235)
    for digits, scale, place in codes:
        sheet.paste(Image.open(io.BytesIO(matrix_to_png(encode_qr(digits), scale))).convert("L"), place)
    return sheet


def test_a_photo_at_the_pixel_limit_still_gives_its_code_and_place() -> None:
    """A page of 297 mm on 7,300 pixels: modules of 0.33 mm take 8 of them."""
    digits = "7" + "1234567890" * 150
    (symbol,) = read_qr(large((7_300, 5_470), (digits, 8, (4_000, 3_000))), limits=LIMITS_DEFAULT)
    assert symbol.text == digits
    (left, top), (right, bottom) = symbol.position[0], symbol.position[2]
    assert abs(left - 4_032) < 12
    assert abs(top - 3_032) < 12
    side = encode_qr(digits).size * 8
    assert abs(right - left - side) < 12
    assert abs(bottom - top - side) < 12


@pytest.mark.parametrize("size", [(4_032, 3_024), (2_828, 2_828), (7_300, 5_470), (32_767, 1_220), (1, 32_767)])
def test_no_more_pixels_are_searched_than_stated(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr("mingzheng.formats.qrimage._read_zxing", lambda grey, pixels=None: seen.append(grey.size) or [])
    assert read_qr(Image.new("L", size, 255), limits=LIMITS_DEFAULT) == ()
    (first, sharpened) = seen
    assert all(width * height <= SEARCHED_PIXELS for width, height in seen)
    assert min(sharpened) >= min(first)
    if size[0] * size[1] <= SEARCHED_PIXELS:
        assert first == size
    seen.clear()
    assert read_qr(Image.new("L", size, 255), limits=LIMITS_DEFAULT, patient=False) == ()
    assert len(seen) == 1


# Seen from behind, at half the size, sharpened


@pytest.mark.parametrize("size", [20, 60, 384, 655])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
@pytest.mark.parametrize("light", [False, True])
def test_a_mirrored_code_is_read_and_known_for_one(size: int, turned: int, light: bool) -> None:
    picture = Image.open(io.BytesIO(matrix_to_png(encode_qr(to_digits(noise(size))), 4))).convert("L").rotate(turned)
    shown = ImageOps.invert(picture) if light else picture
    for mirrored, seen in ((False, shown), (True, ImageOps.mirror(shown)), (True, ImageOps.flip(shown))):
        (symbol,) = read_qr(seen, limits=LIMITS_DEFAULT)
        assert symbol.text == to_digits(noise(size))
        assert symbol.mirrored is mirrored


def test_format_bits_are_those_of_the_standard() -> None:
    """ISO/IEC 18004 annex C: level M, mask 5; the example of the standard and two more of its table."""
    assert f"{qrimage._format_bits(0b00, 5):015b}" == "100000011001110"
    assert f"{qrimage._format_bits(0b01, 0):015b}" == "111011111000100"
    assert f"{qrimage._format_bits(0b10, 7):015b}" == "000100000111011"


def photo(width: int, height: int, *, module: int) -> bytes:
    page = Image.new("L", (width, height), 230)
    code = Image.open(io.BytesIO(matrix_to_png(encode_qr(SAMPLE["digits"]), 8))).convert("L")
    side = (17 + 4 * 15 + 2 * QUIET_ZONE) * module // 2
    page.paste(code.resize((side, side), Image.Resampling.BOX), (width // 3, height // 3))
    return jpeg(page)


def test_a_large_photo_is_decoded_at_half_its_size_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    whole = qrimage._read_zxing

    def watched(grey: Image.Image, pixels: memoryview | None = None) -> list[qrimage.QrSymbol]:
        seen.append(grey.size)
        return whole(grey, pixels)

    monkeypatch.setattr(qrimage, "_read_zxing", watched)
    (symbol,) = read_qr(photo(4_000, 3_000, module=16), limits=LIMITS_DEFAULT)
    assert seen == [(2_000, 1_500)]
    assert symbol.text == SAMPLE["digits"]
    (left, top), _, (right, _), _ = symbol.position
    assert abs(left - 1_333 - 4 * 8) < 12
    assert abs(top - 1_000 - 4 * 8) < 12
    assert abs(right - left - 77 * 8) < 12
    seen.clear()
    (symbol,) = read_qr(photo(4_000, 3_000, module=5), limits=LIMITS_DEFAULT)  # 1.25 pixels at half the size
    assert symbol.text == SAMPLE["digits"]
    assert seen[0] == (2_000, 1_500)
    assert len(seen) > 1
    seen.clear()
    assert len(read_qr(photo(3_000, 3_000, module=16), limits=LIMITS_DEFAULT)) == 1
    assert max(max(size) for size in seen) > 1_500


def test_blur_that_a_plain_look_cannot_read_is_read_with_patience() -> None:
    blurred = printed(encode_qr(SAMPLE["digits"]), dpi=200).filter(ImageFilter.GaussianBlur(1.1))
    assert read_qr(blurred, limits=LIMITS_DEFAULT, patient=False) == ()
    (symbol,) = read_qr(blurred, limits=LIMITS_DEFAULT)
    assert symbol.text == SAMPLE["digits"]
    (left, top), _, (right, bottom), _ = symbol.position
    assert 60 < left < right < blurred.width - 60
    assert 45 < top < bottom < blurred.height - 45


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_a_jpeg_cut_short_is_named(keep: float) -> None:
    grain = jpeg(Image.frombytes("L", (300, 200), random.Random(3).randbytes(60_000)))
    with pytest.raises(TruncatedError):
        read_qr(grain[: int(len(grain) * keep)], limits=LIMITS_DEFAULT)


def test_a_micro_qr_code_is_not_looked_for() -> None:
    """The corner of a blurred code can be taken for one of four digits, and a good scan then for a contradiction."""
    drawn = zxingcpp.create_barcode("9021", zxingcpp.MicroQRCode).to_image(scale=8)
    height, width = drawn.shape
    page = Image.new("L", (width + 80, height + 80), 255)
    page.paste(Image.frombytes("L", (width, height), bytes(memoryview(drawn))), (40, 40))
    assert len(zxingcpp.read_barcodes(page, formats=zxingcpp.MicroQRCode)) == 1
    assert read_qr(page, limits=LIMITS_DEFAULT) == ()
