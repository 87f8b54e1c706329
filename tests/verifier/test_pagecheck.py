"""The page check on PDF: honest pages are equal, every trick that shows something else than was signed is found."""

import dataclasses
import io
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pagepress
import pytest
import zxingcpp
from conftest import FULL
from pagepress import (
    HELVETICA,
    KINDS,
    boxes,
    by_poppler,
    compare,
    content_stream,
    edited,
    form,
    is_equal,
    make,
    painted,
    pdf,
    printed,
    rendered,
    sealed_pdf,
)
from PIL import Image

from mingzheng.formats.page import Box, PageSpec, TextRun
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.pagecheck import OTHER_LAYOUT, PERSON, PHOTO, SCAN, SEVERAL, FilePages

HONEST = 500 if FULL else 4
EDITS = 500 if FULL else 10
SEAL_RED = b"0.85 0.05 0.05"
MM = 72 / 25.4


@cache
def certificate() -> pagepress.Certificate:
    """An everyday certificate with portrait and signature image."""
    return pagepress.everyday()


def change(page: PageSpec, name: str, how: Callable[[Box], Box | None]) -> PageSpec:
    """The page with the first box of a name changed or taken out."""
    (first, *_) = page.named(name)
    made = [how(box) if box is first else box for box in page.boxes]
    return dataclasses.replace(page, boxes=tuple(box for box in made if box is not None))


def reworded(page: PageSpec, name: str, text: str) -> PageSpec:
    def how(box: Box) -> Box:
        assert isinstance(box, TextRun)
        return dataclasses.replace(box, text=text)

    return change(page, name, how)


def over(name: str, *, page: PageSpec | None = None) -> bytes:
    """PDF operands of the rectangle of a box."""
    run = next(box for box in (page or certificate().page).boxes if box.name == name)
    assert isinstance(run, TextRun)
    x, y = run.x_mm * MM, (297 - run.y_mm - 0.2 * run.size_mm) * MM
    return b"%.2f %.2f %.2f %.2f" % (x, y, run.width_mm * MM, 1.1 * run.size_mm * MM)


@pytest.mark.parametrize("seed", range(HONEST))
def test_an_honest_page_is_equal(seed: int) -> None:
    made = make(1000 + seed, kind=KINDS[seed % 3])
    data = sealed_pdf(made.page, png=seed % 2 == 0) if seed % 2 else pdf(made.page)
    result = compare(made, data)
    assert is_equal(result), result
    assert (result.filled, result.unproved) == ((), ())
    assert result.empty == ("ink.signature", "ink.date")
    assert result.shipped


@pytest.mark.parametrize("seed", range(250 if FULL else 1))
def test_an_honest_page_through_a_jpeg_has_no_mismatch(seed: int) -> None:
    made = make(2000 + seed, kind=KINDS[seed % 3], photo=pagepress.photo(seed % 5))
    result = compare(made, printed(rendered(sealed_pdf(made.page)), exact=seed % 2 == 0))
    assert (result.compared, result.reason, result.mismatches) == (False, PERSON, ())
    assert "photo" in result.unproved


@pytest.mark.poppler
@pytest.mark.parametrize("seed", range(250 if FULL else 3))
def test_an_honest_page_by_poppler_through_a_jpeg_has_no_mismatch(seed: int) -> None:
    made = make(3000 + seed, kind=KINDS[seed % 3], photo=pagepress.photo(seed % 5))
    result = compare(made, printed(by_poppler(sealed_pdf(made.page)), exact=seed % 2 == 0))
    assert (result.compared, result.reason, result.mismatches) == (False, PERSON, ())


@pytest.mark.parametrize("seed", range(EDITS))
def test_one_changed_character_is_found(seed: int) -> None:
    made = make(4000 + seed)
    page, name = edited(made, random.Random(seed))
    found = boxes(compare(made, pdf(page)))
    assert name in found
    assert found <= {name, name.replace(".value", ".colon")}  # ink of the first character may reach the colon's box


@pytest.mark.parametrize("seed", range(100 if FULL else 1))
def test_one_changed_character_is_found_through_a_jpeg(seed: int) -> None:
    made = make(5000 + seed)
    page, name = edited(made, random.Random(seed))
    assert name in boxes(compare(made, printed(rendered(pdf(page)))))


@pytest.mark.parametrize("field", ["name", "registration_no", "birth", "specialties", "registered_until", "purpose"])
def test_a_page_of_other_claims_is_found(field: str) -> None:
    made = make(7, kind=1, purpose="某某工程投标")
    claims = made.claims
    specialties = tuple(dataclasses.replace(item, last_day=item.last_day + 1) for item in claims.specialties)
    others = {
        "name": "张二国",
        "registration_no": claims.registration_no[:-1] + str((int(claims.registration_no[-1]) + 1) % 10),
        "birth": claims.birth + 1,
        "specialties": specialties,
        "registered_until": claims.registered_until + 3,
        "purpose": "某某工程投杯",
    }
    other = make(7, **{"kind": 1, "purpose": "某某工程投标", field: others[field]})
    result = compare(made, pdf(other.page))
    assert result.compared
    assert any(name.startswith(f"field.{field}") for name in boxes(result)), result


def test_another_portrait_is_never_equal() -> None:
    made, wrong = certificate(), pagepress.photo(2)
    page = change(made.page, "photo", lambda box: dataclasses.replace(box, data=wrong))  # type: ignore[call-arg]
    result = compare(made, pdf(page))
    assert (result.compared, result.reason) == (False, PERSON)
    assert result.unproved == ("photo", "signature.image")


def test_the_signed_portrait_must_also_be_the_one_that_is_seen() -> None:
    """The signed file lies on the page, under another picture."""
    made = certificate()
    rect = next(box.rect for box in made.page.boxes if box.name == "photo")  # type: ignore[union-attr]
    wrong = Image.open(io.BytesIO(pagepress.photo(2)))
    head = (
        b"<</Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /ColorSpace /DeviceRGB" % wrong.size
    )
    xobject = head + b" /Length %d>>stream\n%b\nendstream" % (len(wrong.tobytes()), wrong.tobytes())
    where = (rect.width_mm * MM, rect.height_mm * MM, rect.x_mm * MM, (297 - rect.bottom_mm) * MM)
    data = painted(pdf(made.page), b"q %.2f 0 0 %.2f %.2f %.2f cm /Y Do Q" % where, xobject=xobject)
    assert boxes(compare(made, data)) == {"photo"}


NAME = "field.name.value"


def false_page() -> bytes:
    """The page with another name, nothing else."""
    return pdf(reworded(certificate().page, NAME, "张二国"))


def true_name(operators: bytes) -> bytes:
    """The true name as text that a reader of text finds and nobody sees."""
    x, y, *_ = over(NAME).split()
    return b"BT /T 14 Tf %b %b %b Td (ZHANG JIANGUO) Tj ET" % (operators, x, y)


def annotation(flags: int) -> bytes:
    x, y, width, height = map(float, over(NAME).split())
    rect = b"%.2f %.2f %.2f %.2f" % (x, y, x + width, y + height)
    return b"<</Type /Annot /Subtype /FreeText /F %d /Rect [%b] /DA (/T 12 Tf) /Contents () /AP <</N 9004 0 R>>>>" % (
        flags, rect,
    )  # fmt: skip


def annotated(flags: int) -> bytes:
    """An annotation over the name."""
    shown = form(b"1 g 0 0 60 20 re f 0 g BT /T 14 Tf 2 4 Td (WANG) Tj ET", b"0 0 60 20")
    more = (annotation(flags), shown)
    return painted(pdf(certificate().page), b"", page=b"/Annots [9003 0 R]", more=more)


TRICKS: dict[str, Callable[[], bytes]] = {
    "another name": false_page,
    "true name invisible": lambda: painted(false_page(), true_name(b"3 Tr")),
    "true name in white": lambda: painted(false_page(), true_name(b"1 g")),
    "true name clipped away": lambda: painted(false_page(), b"0 0 1 1 re W n " + true_name(b"")),
    "true name as ActualText": lambda: painted(
        false_page(), b"/Span <</ActualText (ZHANG JIANGUO)>> BDC " + true_name(b"3 Tr") + b" EMC"
    ),
    "name covered": lambda: painted(pdf(certificate().page), b"1 g %b re f" % over(NAME)),
    "name covered and written over": lambda: painted(
        pdf(certificate().page), b"1 g %b re f 0 g " % over(NAME) + true_name(b"0 Tr")
    ),
    "name taken out": lambda: pdf(change(certificate().page, NAME, lambda _: None)),
    "annotation over the name": lambda: annotated(4),
    "annotation on the screen only": lambda: annotated(0),
    "name struck out": lambda: painted(pdf(certificate().page), b"0.6 w %b m 300 %b l S" % _line(NAME)),
    "red stamp over the name": lambda: painted(pdf(certificate().page), SEAL_RED + b" rg %b re f" % over(NAME)),
    "thin red stamp over the name": lambda: painted(
        pdf(certificate().page), SEAL_RED + b" RG 1 w %b re S" % over(NAME)
    ),
    "half transparent white over the name": lambda: painted(
        pdf(certificate().page), b"1 1 0.4 rg %b re f" % over(NAME)
    ),
}


def _line(name: str) -> tuple[bytes, bytes]:
    x, y, _, height = map(float, over(name).split())
    middle = b"%.2f" % (y + height / 2)
    return b"%.2f " % x + middle, middle


@pytest.mark.parametrize("trick", [*TRICKS][:: 1 if FULL else 2])
def test_a_trick_on_a_field_is_found(trick: str) -> None:
    result = compare(certificate(), TRICKS[trick]())
    assert result.compared, result
    assert NAME in boxes(result), result


@pytest.mark.parametrize(
    "content",
    [
        b"0 g BT /T 9 Tf 220 200 Td (AND TWO MORE YEARS) Tj ET",  # beside the fields
        b"0.7 g BT /T 6 Tf 220 200 Td (valid until 2030) Tj ET",
        b"0 0 1 rg 300 640 40 12 re f",
        b"1 0.9 0.2 rg 300 200 60 20 re f",  # bright as paper, in colour
        b"1 g 20 400 20 60 re f",  # white over the frame
        b"0.6 G 0.4 w 60 320 m 500 320 l S",
        b"0 g 2 2 6 6 re f",  # in the corner of the paper
    ],
)
def test_ink_outside_the_boxes_is_found(content: bytes) -> None:
    result = compare(certificate(), painted(pdf(certificate().page), content))
    assert result.compared
    assert result.mismatches


def test_only_red_may_stand_in_the_place_of_a_seal() -> None:
    made = certificate()
    (slot,) = (box for box in made.page.boxes if box.name == "seal.0")
    place = b"%.2f %.2f" % ((slot.rect.x_mm + 9) * MM, (297 - slot.rect.y_mm - 8) * MM)  # type: ignore[union-attr]
    text = b"BT /T 9 Tf %b Td (UNTIL 2031) Tj ET" % place
    assert boxes(compare(made, painted(pdf(made.page), SEAL_RED + b" rg " + text))) == {
        "seal.0"
    }  # the page's, no seal's
    assert boxes(compare(made, painted(pdf(made.page), b"0.97 g " + text))) == {"seal.0"}
    assert boxes(compare(made, painted(pdf(made.page), b"0 g " + text))) == {"seal.0"}
    assert boxes(compare(made, painted(pdf(made.page), b"0 0 0.8 rg " + text))) == {"seal.0"}


def test_other_ink_than_red_in_the_place_of_a_seal_is_found_on_a_picture_of_the_page() -> None:
    """There the seal and what is written into its place cannot be told apart but by colour."""
    made = certificate()
    (slot,) = (box for box in made.page.boxes if box.name == "seal.0")
    place = b"%.2f %.2f" % ((slot.rect.x_mm + 9) * MM, (297 - slot.rect.y_mm - 8) * MM)  # type: ignore[union-attr]
    text = b"0 0 0.8 rg BT /T 9 Tf %b Td (UNTIL 2031) Tj ET" % place
    assert "seal.0" in boxes(compare(made, printed(rendered(painted(pdf(made.page), text)), exact=True)))


def test_ink_boxes_are_reported_and_never_judged() -> None:
    made = certificate()
    box = next(box for box in made.page.boxes if box.name == "ink.signature.box")
    rect = box.rect  # type: ignore[union-attr]
    x, y = (rect.x_mm + 6) * MM, (297 - rect.y_mm - 8) * MM
    curve = b"0 0 0.5 RG 1.2 w %.1f %.1f m %.1f %.1f %.1f %.1f %.1f %.1f c S" % (
        x,
        y,
        x + 20,
        y + 14,
        x + 30,
        y - 14,
        x + 70,
        y,
    )
    result = compare(made, painted(pdf(made.page), curve))
    assert (result.filled, result.empty, result.mismatches) == (("ink.signature",), ("ink.date",), ())


def test_what_is_shown_only_on_paper_is_found() -> None:
    made = certificate()
    group = b"<</Type /OCG /Name (x) /Usage <</Print <</PrintState /ON>> /View <</ViewState /OFF>>>>>>"
    hidden = painted(pdf(made.page), b"1 g %b re f" % over(NAME), more=(group,))
    assert NAME in boxes(compare(made, hidden))
    # No-view and print: not on the screen, on paper.
    result = compare(made, annotated(4 | 32))
    assert NAME in boxes(result)


def test_a_page_printed_to_another_size_is_compared_by_its_frame() -> None:
    made = certificate()
    small = printed(rendered(pdf(made.page), 250), size_mm=(189.0, 267.3))
    assert compare(made, small).reason == PERSON
    false = printed(rendered(false_page(), 250), size_mm=(189.0, 267.3))
    assert NAME in boxes(compare(made, false))


def test_a_scan_is_for_people() -> None:
    made = certificate()
    picture = rendered(pdf(made.page)).rotate(1.5, fillcolor=(255, 255, 255))
    result = compare(made, printed(picture))
    assert (result.compared, result.reason, result.mismatches) == (False, SCAN, ())


def test_another_page_altogether_is_no_page_of_ours() -> None:
    other = certificate()
    data = pagepress.pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595.276 841.89]/Contents 4 0 R/Resources<</Font<</T 5 0 R>>>>>>",
            content_stream(b"BT /T 30 Tf 90 700 Td (A CERTIFICATE) Tj ET"),
            HELVETICA,
        ]
    )
    assert compare(other, data).reason == OTHER_LAYOUT


def test_pages_that_are_not_looked_at_say_why() -> None:
    made = certificate()
    two = pdf(made.page).replace(b"/Kids [3 0 R] /Count 1", b"/Kids [3 0 R 3 0 R] /Count 2")
    assert compare(made, two).reason in (SEVERAL, "file.unreadable")
    picture = io.BytesIO()
    rendered(pdf(made.page), 72).save(picture, "PNG")
    assert compare(made, picture.getvalue(), FileKind.PNG).reason == PHOTO
    assert compare(made, b"%PDF-1.7 nothing").reason == "file.unreadable"
    unknown = dataclasses.replace(made, subject=dataclasses.replace(made.subject, profile=None))
    assert compare(unknown, pdf(made.page)).reason == "page.profile_unknown"
    claims = dataclasses.replace(made.claims, template=77)
    credential = dataclasses.replace(made.subject.credential, claims=claims)
    strange = dataclasses.replace(made, subject=dataclasses.replace(made.subject, credential=credential))
    assert compare(strange, pdf(made.page)).reason == "page.template_unknown"


def test_a_code_drawn_otherwise_counts_if_it_reads_the_same() -> None:
    """Other modules for the same digits, as another writer of codes may choose them."""
    made = certificate()
    text = pagepress.PREFIX + to_digits(made.token)
    symbol = zxingcpp.create_barcode(text, zxingcpp.QRCode, ec_level="Q")
    levels = bytes(symbol.to_image(scale=1, add_quiet_zones=False))
    side = int(len(levels) ** 0.5)
    rows = tuple(bytes(level < 128 for level in levels[y * side : (y + 1) * side]) for y in range(side))
    page = change(made.page, "qr", lambda box: dataclasses.replace(box, rows=rows))  # type: ignore[call-arg]
    assert is_equal(compare(made, pdf(page)))


def test_a_code_of_another_credential_is_found() -> None:
    made, other = certificate(), make(11)
    rows = next(box.rows for box in other.page.boxes if box.name == "qr")  # type: ignore[union-attr]
    page = change(made.page, "qr", lambda box: dataclasses.replace(box, rows=rows))  # type: ignore[call-arg]
    assert boxes(compare(made, pdf(page))) == {"qr"}


def test_a_mismatch_can_be_drawn() -> None:
    result = compare(certificate(), false_page())
    assert result.picture is not None
    picture = Image.open(io.BytesIO(result.picture(result.mismatches[0])))
    assert picture.format == "PNG"
    assert picture.width > 2 * 15 / 25.4 * 150
    colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20) or ()}
    assert (220, 0, 0) in colours


def test_pictures_of_the_page_are_for_the_report() -> None:
    made = certificate()
    (page,) = FilePages(pdf(made.page), FileKind.PDF, pagepress.kit()).pictures()
    assert page.png.startswith(b"\x89PNG")
    assert (round(page.width_mm), round(page.height_mm)) == (210, 297)


ATTACKS = sorted((Path(__file__).resolve().parent.parent / "vectors" / "pdf").glob("*.pdf"))
VISIBLE = {"actualtext_spoof", "annot_overlay", "clipped_away", "covered_by_box", "honest"}


@pytest.mark.parametrize("path", [path for path in ATTACKS if path.stem in VISIBLE or "image_text" in path.stem])
def test_pages_of_others_are_never_equal(path: Path) -> None:
    """Files that show another text than they hold, none of them on a page of ours."""
    result = compare(certificate(), path.read_bytes())
    assert not result.compared
    assert result.mismatches == ()


def test_the_files_of_the_attack_set_are_there() -> None:
    assert {path.stem for path in ATTACKS} >= VISIBLE
