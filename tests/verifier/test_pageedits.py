"""One field edited, on files of every kind, both copies, in PDF and OFD: no edit may leave the page equal."""

import dataclasses
import io
import os
import random
from collections.abc import Callable

import ofdoffice
import pagepress
import pytest
from conftest import FULL
from pagepress import KINDS, boxes, compare, edited, everyday, is_equal, make, painted, pdf, sealed_pdf
from PIL import Image

from mingzheng.formats.claims import Copy
from mingzheng.formats.page import ImageBox, PageSpec, QrSlot, Rect, SealSlot
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.pagecheck import PERSON, REDRAWN

EDITS = 500 if FULL else 12
BASE = int(os.environ.get("MINGZHENG_PAGE_SEED", "0")) * 1_000_000  # other certificates and edits for every number
MM = 72 / 25.4

Edit = Callable[[pagepress.Certificate, random.Random], PageSpec | None]


def with_claims(made: pagepress.Certificate, **changes: object) -> PageSpec:
    """The page of other claims with the code and the pictures of the true one."""
    credential = dataclasses.replace(
        made.subject.credential, claims=dataclasses.replace(made.claims, **changes)  # type: ignore[arg-type]
    )  # fmt: skip
    images = {box.name: box.data for box in made.page.boxes if isinstance(box, ImageBox)}
    subject = dataclasses.replace(made.subject, credential=credential)
    return pagepress.draw(subject, made.token, images.get("photo"), images.get("signature.image"))


def other_day(made: pagepress.Certificate, rng: random.Random) -> PageSpec | None:
    names = ["birth", "registered_until"]
    names += ["usage_until"] if made.claims.usage_until is not None and made.claims.copy is Copy.USAGE else []
    name = rng.choice(names)
    days = rng.choice((1, -1, 10, 365, 3650))
    return with_claims(made, **{name: getattr(made.claims, name) + days})


def other_specialties(made: pagepress.Certificate, rng: random.Random) -> PageSpec | None:
    rows = list(made.claims.specialties)
    if not rows:
        return None
    at = rng.randrange(len(rows))
    how = rng.choice(("longer", "fewer", "other", "more"))
    free = sorted(set(range(1, 7)) - {row.code for row in rows})
    if how == "fewer" and len(rows) > 1:
        del rows[at]
    elif how == "other" and free:
        rows[at] = dataclasses.replace(rows[at], code=rng.choice(free))
    elif how == "more" and free and len(rows) < 4:
        rows.append(dataclasses.replace(rows[at], code=rng.choice(free)))
    else:
        rows[at] = dataclasses.replace(rows[at], last_day=rows[at].last_day + rng.choice((1, 365, 1096)))
    return with_claims(made, specialties=tuple(sorted(rows, key=lambda row: row.code)))


def other_picture(name: str, drawn: Callable[[int], bytes]) -> Edit:
    def edit(made: pagepress.Certificate, rng: random.Random) -> PageSpec | None:
        def changed(box: ImageBox) -> ImageBox:
            return dataclasses.replace(box, data=rng.choice((similar(box.data), drawn(100 + rng.randrange(50)))))

        found = [box for box in made.page.boxes if isinstance(box, ImageBox) and box.name == name]
        boxes = tuple(changed(box) if box in found else box for box in made.page.boxes)  # type: ignore[arg-type]
        return dataclasses.replace(made.page, boxes=boxes) if found else None

    return edit


def similar(data: bytes) -> bytes:
    """The same picture coded again: nothing a person would see."""
    picture, out = Image.open(io.BytesIO(data)), io.BytesIO()
    if picture.format == "JPEG":
        picture.save(out, "JPEG", quality=91)
    else:
        picture.putpixel((0, 0), 254)
        picture.save(out, "PNG")
    return out.getvalue()


def other_character(made: pagepress.Certificate, rng: random.Random) -> PageSpec | None:
    return edited(made, rng)[0]


KINDS_OF_EDIT: tuple[Edit, ...] = (
    other_character,
    other_day,
    other_character,
    other_specialties,
    other_character,
    other_picture("photo", pagepress.photo),
    other_character,
    other_picture("signature.image", pagepress.signature),
)


@pytest.mark.parametrize("seed", range(EDITS))
def test_no_edit_of_one_field_leaves_the_page_equal(seed: int) -> None:
    rng = random.Random(BASE + seed)
    made = make(BASE + 20_000 + seed, kind=KINDS[seed % 3], copy=list(Copy)[seed // 3 % 2])
    page = KINDS_OF_EDIT[seed % len(KINDS_OF_EDIT)](made, rng)
    if page is None or page.boxes == made.page.boxes:  # nothing of that sort is printed on this one
        page = edited(made, rng)[0]
    if rng.random() < 0.5:
        data, kind = (sealed_pdf(page) if rng.random() < 0.5 else pdf(page)), FileKind.PDF
    else:
        data, kind = ofdoffice.sealed(page) if rng.random() < 0.5 else pagepress.ofd(page), FileKind.OFD
    result = compare(made, data, kind)
    if any(theirs != ours for theirs, ours in zip(pictures(page), pictures(made.page), strict=True)):
        assert result.mismatches or result.reason == PERSON
    else:
        assert result.mismatches, result


def pictures(page: PageSpec) -> list[bytes]:
    return [box.data for box in page.boxes if isinstance(box, ImageBox)]


def spot(x_mm: float, y_mm: float) -> bytes:
    return b"%.2f %.2f" % (x_mm * MM, (297 - y_mm) * MM)


def rect_of(name: str) -> Rect:
    (box,) = (box for box in everyday().page.boxes if box.name == name)
    assert isinstance(box, QrSlot | SealSlot | ImageBox)
    return box.rect


@pytest.mark.parametrize("level", [b"0 g", b"0.5 g", b"0.9 g", b"0.96 g", b"1 1 0 rg", b"1 1 0.9 rg", b"1 0.9 0.9 rg"])
def test_writing_in_an_empty_place_is_found_however_pale(level: bytes) -> None:
    data = painted(pdf(everyday().page), level + b" BT /T 14 Tf %b Td (GRADE A) Tj ET" % spot(60, 200))
    assert compare(everyday(), data).mismatches


@pytest.mark.parametrize("place", [(16, 20, 20), (10, 21, 8), (1, 2, 5)])
def test_writing_over_a_code_that_can_still_be_read_is_found(place: tuple[float, float, int]) -> None:
    rect, (right, down, size) = rect_of("qr"), place
    where = spot(rect.x_mm + right, rect.y_mm + down)
    data = painted(pdf(everyday().page), b"0 g BT /T %d Tf %b Td (JIA) Tj ET" % (size, where))
    assert boxes(compare(everyday(), data)) == {"qr"}


def test_a_page_drawn_anew_is_for_people() -> None:
    """The whole page moved by a hair: every character as it was, every edge another."""
    data = painted(pdf(everyday().page), b"")
    assert is_equal(compare(everyday(), data))
    moved = data.replace(
        b"<</Length 1>>stream\nq\nendstream", b"<</Length 24>>stream\nq 1 0 0 1 0.15 0.15 cm  \nendstream"
    )
    result = compare(everyday(), moved)
    assert (result.compared, result.reason, result.mismatches) == (False, REDRAWN, ())
