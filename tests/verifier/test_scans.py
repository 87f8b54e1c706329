"""Scans and odd files as people hand them in: a row for each certificate, and words for what is wrong with the file."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageFilter, ImageOps
from simulator import World

from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.verifier.findings import Code, Severity
from mingzheng.verifier.pipeline import refuse, verify_extracted
from mingzheng.verifier.report import Report
from mingzheng.verifier.reporttext import report_to_text

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
DPI = 200
A4, A3 = (1_654, 2_339), (2_339, 3_307)


def code(text: str) -> Image.Image:
    """0.33 mm a module, as printed."""
    fine = Image.open(io.BytesIO(matrix_to_png(encode_qr(text), 8))).convert("L")
    side = round(fine.width / 8 * 0.33 / 25.4 * DPI)
    return fine.resize((side, side), Image.Resampling.BOX)


def page(*texts: str, size: tuple[int, int] = A4) -> Image.Image:
    """A sheet of grey paper with the codes where ours stand, one above the other."""
    sheet = Image.new("L", size, 238)
    for row, text in enumerate(texts):
        sheet.paste(code(text), (180, size[1] - 500 * (row + 1)))
    return sheet


def pdf(*pages: Image.Image) -> bytes:
    out = io.BytesIO()
    pages[0].save(out, "PDF", resolution=DPI, save_all=True, append_images=pages[1:])
    return out.getvalue()


def saved(picture: Image.Image, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


class Office:
    """A world with certificates, and how a file of theirs is judged."""

    def __init__(self) -> None:
        self.world = World()
        claims = self.world.claims
        self.texts = [one.text for one in self.world.issue(*(claims(serial=number) for number in range(3)))]
        self.world.publish_status()
        self.context = self.world.context(policy="site")

    def rows(self, data: bytes, name: str = "x") -> Sequence[Report]:
        try:
            return verify_extracted(extract(data, limits=LIMITS_DEFAULT), self.context, name)
        except FormatError as error:
            return (refuse(error, self.context, name),)

    def verdicts(self, data: bytes) -> list[Code]:
        return [row.verdict for row in self.rows(data)]


@pytest.fixture(scope="module")
def office() -> Office:
    return Office()


def problems(row: Report) -> set[object]:
    return {item.evidence.get("reason") for item in row.findings if item.code is Code.FILE_PROBLEM}


def test_a_scan_of_several_pages_gives_a_row_for_each_certificate(office: Office) -> None:
    rows = office.rows(pdf(*(page(text) for text in office.texts)))
    assert [row.verdict for row in rows] == [Code.VALID_COMPARE] * 3
    assert [row.page for row in rows] == [1, 2, 3]
    assert [row.subject.claims.serial for row in rows if row.subject] == [0, 1, 2]
    assert all(problems(row) == set() for row in rows)


def test_two_certificates_on_one_sheet_are_two_rows(office: Office) -> None:
    assert office.verdicts(pdf(page(*office.texts[:2]))) == [Code.VALID_COMPARE] * 2
    assert office.verdicts(saved(page(*office.texts[:2]), "PNG")) == [Code.VALID_COMPARE] * 2


def test_a_page_without_a_code_among_others_is_named(office: Office) -> None:
    (row,) = office.rows(pdf(page(office.texts[0]), page()))
    assert row.verdict is Code.VALID_COMPARE
    assert problems(row) == {"pdf.page_without_code"}


@pytest.mark.parametrize("angle", [90, 180, 270])
@pytest.mark.parametrize("size", [A4, A3], ids=["A4", "A3"])
def test_a_scan_turned_round_is_read(office: Office, angle: int, size: tuple[int, int]) -> None:
    turned = page(office.texts[0], size=size).rotate(angle, expand=True)
    for file in (pdf(turned), saved(turned, "JPEG", quality=80)):
        (row,) = office.rows(file)
        assert row.verdict is Code.VALID_COMPARE
        assert problems(row) == set()


@pytest.mark.parametrize("angle", [0, 90])
def test_a_mirrored_scan_is_read_and_said_to_be_mirrored(office: Office, angle: int) -> None:
    mirrored = ImageOps.mirror(page(office.texts[0])).rotate(angle, expand=True)
    for file in (pdf(mirrored), saved(mirrored, "PNG")):
        (row,) = office.rows(file)
        assert row.verdict is Code.VALID_COMPARE
        assert problems(row) == {"image.mirrored"}
        assert [item.severity for item in row.findings if item.code is Code.FILE_PROBLEM] == [Severity.DUTY]
        assert "镜像" in report_to_text(row, "zh")
        assert "mirrored" in report_to_text(row, "en")


PICTURE = Image.new("RGB", (300, 200), "white")
PDF_PAGE = pdf(Image.new("L", (200, 200), 255))
JPEG = saved(Image.effect_noise((400, 300), 60), "JPEG")
PNG = saved(Image.effect_noise((400, 300), 60), "PNG")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400)


@pytest.mark.parametrize(
    ("name", "data", "reason", "zh", "en"),
    [
        ("tiff", saved(PICTURE, "TIFF"), "file.tiff", "TIFF", "TIFF"),
        ("tiff, many pages", (VECTORS / "qr/img/tiff_g4.tif").read_bytes(), "file.tiff", "PDF 或 PNG", "PDF or PNG"),
        ("heic", HEIC, "file.picture_kind", "PNG", "PNG"),
        ("webp", saved(PICTURE, "WEBP"), "file.picture_kind", "JPEG", "JPEG"),
        ("gif", saved(PICTURE, "GIF"), "file.picture_kind", "JPEG", "JPEG"),
        ("bmp", saved(PICTURE, "BMP"), "file.picture_kind", "JPEG", "JPEG"),
        ("pdf cut", PDF_PAGE[: len(PDF_PAGE) * 2 // 3], "file.truncated", "不完整", "missing"),
        ("pdf without its end", PDF_PAGE[: PDF_PAGE.rindex(b"%%EOF")], "file.truncated", "不完整", "missing"),
        ("jpeg cut", JPEG[: len(JPEG) // 2], "file.truncated", "不完整", "missing"),
        ("png cut", PNG[: len(PNG) // 2], "file.truncated", "不完整", "missing"),
        ("png without its end", PNG[:-12], "file.truncated", "不完整", "missing"),
        ("nothing", b"", "file.unreadable", "损坏", "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 22 else "",
)
def test_a_file_that_is_not_read_says_why_in_both_languages(
    office: Office, name: str, data: bytes, reason: str, zh: str, en: str
) -> None:
    (row,) = office.rows(data)
    assert row.verdict is Code.UNREADABLE
    assert row.findings[0].evidence == {"reason": reason}
    assert zh.replace(" ", "") in "".join(report_to_text(row, "zh").split())
    assert en in " ".join(report_to_text(row, "en").split())
    assert f"({reason})" in "".join(report_to_text(row, "en").split())


def test_a_pdf_whose_last_revision_is_cut_is_not_taken_for_the_one_before(office: Office) -> None:
    """An update that did not arrive whole: readers would show the page as it was."""
    grown = PDF_PAGE + b"1 0 obj\n<</Type /Catalog>>\nendobj\nxref\n0 1\n"
    (row,) = office.rows(grown)
    assert row.findings[0].evidence == {"reason": "file.truncated"}
    (row,) = office.rows(PDF_PAGE + b"\n" * 3_000)
    assert row.verdict is Code.NOT_OUR_FORMAT


def test_a_pdf_called_ofd_and_an_ofd_called_pdf_are_named(office: Office) -> None:
    (row,) = office.rows(pdf(page(office.texts[0])), "cert.ofd")
    assert Code.FILE_KIND_MISMATCH in {item.code for item in row.findings}
    package = next(iter(sorted((VECTORS / "ofd/files").glob("*.ofd")))).read_bytes()
    for row in office.rows(package, "cert.pdf"):
        assert row.verdict is Code.UNREADABLE or Code.FILE_KIND_MISMATCH in {item.code for item in row.findings}


def test_a_code_too_faint_at_first_is_found_with_patience(office: Office) -> None:
    """Blurred to 1.2 pixels: only the second, sharpened look reads it."""
    faint = page(office.texts[0]).filter(ImageFilter.GaussianBlur(1.2))
    assert office.verdicts(pdf(faint)) == [Code.VALID_COMPARE]
    assert office.verdicts(saved(faint, "JPEG", quality=80)) == [Code.VALID_COMPARE]
