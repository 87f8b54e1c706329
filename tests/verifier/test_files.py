"""Real pictures and texts through extraction and back: what a person with a phone would hold up."""

import io
import zlib
from collections.abc import Sequence

import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter
from simulator import PREFIX, World

from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.log.acts import ActType
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.findings import Code
from mingzheng.verifier.pipeline import refuse, verify_extracted
from mingzheng.verifier.report import Report


def code(digits: str, prefix: str | None = None) -> Image.Image:
    return Image.open(io.BytesIO(matrix_to_png(encode_qr(digits, prefix), 4))).convert("L")


def other(text: str) -> Image.Image:
    """A QR code that is not ours."""
    drawn = zxingcpp.create_barcode(text, zxingcpp.QRCode).to_image(scale=6)
    height, width = drawn.shape
    picture = Image.frombytes("L", (width, height), bytes(memoryview(drawn)))
    framed = Image.new("L", (width + 60, height + 60), 255)
    framed.paste(picture, (30, 30))
    return framed


def sheet(*pictures: Image.Image) -> Image.Image:
    page = Image.new("L", (1_600, 700 * len(pictures)), 240)
    for row, picture in enumerate(pictures):
        page.paste(picture, (200, 30 + 700 * row))
    return page


def saved(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def judge(data: bytes, context: VerifyContext) -> Sequence[Report]:
    try:
        return verify_extracted(extract(data, limits=LIMITS_DEFAULT), context, "x")
    except FormatError as error:
        return [refuse(error, context, "x")]


def test_photo_with_blur_rotation_and_a_prefix() -> None:
    world = World()
    issued = world.issue_one()
    page = sheet(code(issued.text, PREFIX)).rotate(7, expand=True, fillcolor=200)
    page = page.filter(ImageFilter.GaussianBlur(0.8))
    (report,) = judge(saved(page, "JPEG"), world.context())
    assert report.verdict is Code.VALID_COMPARE
    assert report.subject is not None
    assert report.subject.claims.name == "张三丰"


def test_two_certificates_on_one_photo() -> None:
    world = World()
    one, two = world.issue(world.claims(), world.claims(serial=1))
    world.act(ActType.REVOKE, 1)
    reports = judge(saved(sheet(code(one.text), code(two.text))), world.context())
    assert sorted(report.verdict for report in reports) == [Code.REVOKED, Code.VALID_COMPARE]


def test_look_alike_code_alone_and_beside_a_genuine_one() -> None:
    world = World()
    issued = world.issue_one()
    alien = other("https://zs-example.com.cn/query?id=1")
    (alone,) = judge(saved(alien), world.context())
    assert alone.verdict is Code.NOT_OUR_FORMAT
    assert Code.LOOKALIKE_URL in {item.code for item in alone.findings}
    (beside,) = judge(saved(sheet(code(issued.text), alien)), world.context())
    assert beside.verdict is Code.VALID_COMPARE
    assert {Code.FOREIGN_CODE, Code.LOOKALIKE_URL} <= {item.code for item in beside.findings}


def test_a_picture_without_a_code_and_a_code_that_is_painted_over() -> None:
    world = World()
    context = world.context()
    (blank,) = judge(saved(Image.new("L", (300, 300), 255)), context)
    assert blank.verdict is Code.NOT_OUR_FORMAT
    picture = code(world.issue_one().text)
    ImageDraw.Draw(picture).rectangle((0, 0, picture.width // 2, picture.height // 2), fill=255)
    (damaged,) = judge(saved(picture), context)
    assert damaged.verdict is Code.NOT_OUR_FORMAT


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"", Code.UNREADABLE),
        (b"\x89PNG\r\n\x1a\n", Code.UNREADABLE),
        (b"\xff\xd8\xff\xe0", Code.UNREADABLE),
        (b"%PDF-1.7\n", Code.UNREADABLE),
        (b"PK\x03\x04OFD.xml", Code.UNREADABLE),
        (b"\x00\x01\x02", Code.UNREADABLE),
        (b"hello", Code.NOT_OUR_FORMAT),
        (b"1" * 70_000, Code.RESOURCE_LIMIT),
        (bytes(LIMITS_DEFAULT.file_bytes + 1), Code.RESOURCE_LIMIT),
    ],
)
def test_files_that_hold_nothing(data: bytes, verdict: Code) -> None:
    (report,) = judge(data, World().context())
    assert report.verdict is verdict


def test_a_picture_over_the_pixel_limit_is_refused_by_its_header() -> None:
    picture = bytearray(saved(Image.new("1", (8, 8))))
    picture[16:24] = (20_000).to_bytes(4) + (20_000).to_bytes(4)
    (report,) = judge(bytes(picture), World().context())
    assert report.verdict is Code.RESOURCE_LIMIT


@pytest.mark.parametrize("policy", ["site", "bid", "audit"])
def test_a_picture_that_holds_a_page_is_never_judged_as_a_picture(policy: str) -> None:
    """A PDF reader shows the page in the private chunk, so the code beside it proves nothing."""
    world = World()
    picture = saved(code(world.issue_one().text))
    page = b"%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n"
    chunk = len(page).to_bytes(4) + b"prVt" + page + zlib.crc32(b"prVt" + page).to_bytes(4)
    context = world.context(policy=policy)
    (report,) = judge(picture[:33] + chunk + picture[33:], context)
    assert report.verdict is Code.UNREADABLE
    assert report.findings[0].evidence == {"reason": "file.two_kinds"}


@pytest.mark.parametrize(
    ("name", "policy", "verdict"),
    [
        ("cert.pdf", "site", Code.VALID_COMPARE),
        ("cert.pdf", "bid", Code.CANNOT_DECIDE),
        ("cert.PDF", "audit", Code.CANNOT_DECIDE),
        ("cert.html", "bid", Code.CANNOT_DECIDE),
        ("cert.png", "bid", Code.VALID_COMPARE),
        ("cert.jpg", "bid", Code.VALID_COMPARE),
        ("cert", "bid", Code.VALID_COMPARE),
    ],
)
def test_a_name_of_another_kind_is_a_finding(name: str, policy: str, verdict: Code) -> None:
    world = World()
    picture = extract(saved(code(world.issue_one().text)), limits=LIMITS_DEFAULT)
    context = world.trusting(policy=policy)
    (report,) = verify_extracted(picture, context, name)
    assert report.verdict is verdict
    named = Code.FILE_KIND_MISMATCH in {item.code for item in report.findings}
    assert named is name.lower().endswith((".pdf", ".html"))


def test_a_name_of_another_kind_is_named_even_without_a_code() -> None:
    blank = extract(saved(Image.new("L", (300, 300), 255)), limits=LIMITS_DEFAULT)
    (report,) = verify_extracted(blank, World().context(), "cert.pdf")
    assert report.verdict is Code.NOT_OUR_FORMAT
    assert Code.FILE_KIND_MISMATCH in {item.code for item in report.findings}
