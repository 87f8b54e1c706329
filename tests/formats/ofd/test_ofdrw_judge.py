"""ofdrw, a reader and writer of OFD by others, judges our sealed files: valid, the same text, seals where we put them.

It runs in Java (tests/java/ofdrw) and is given one certificate and one of the kind with two seals, seal faces as PNG
and as OFD. The last test holds its word on the files of the collection against the table kept here, and that table
against our own check.
"""

import json
import statistics
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import javajudge
import ofdoffice
import pypdfium2
import pytest
from PIL import Image, ImageFilter

from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.page import PageSpec, Rect, TextRun, bounds, seal_slots, without_slots
from mingzheng.formats.qrimage import read_qr
from mingzheng.keys.sm2backend import can_sign

if TYPE_CHECKING:
    from conftest import Studio  # type: ignore[import-not-found]
else:
    Studio = Any

needs_sm2 = pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")
VECTORS = Path(__file__).resolve().parents[2] / "vectors/ofd"
TABLE: Mapping[str, Any] = json.loads((VECTORS / "ofdrw-answers.json").read_text(encoding="utf-8"))
SCALE = 8.0  # pixels a millimetre
WELL = {"references": "ok", "seal": "ok", "value": "ok"}
STRICTER = {  # valid to ofdrw, not to us
    "files/v4_tax_test_999_multipage.ofd": "OFD.xml is not covered: its DocRoot can be moved",
    "files/v4_partial_coverage_templates.ofd": "the template pages are not covered",
    "crafted/extra_file.ofd": "a file that no seal covers",
    "crafted/rootswap.ofd": "another document behind the sealed one",
    "crafted/dup_evil_first.ofd": "two entries of one name: which one is read depends on the reader",
}


@pytest.fixture(scope="module")
def pages(studio: Studio) -> dict[str, PageSpec]:
    two = studio.page(studio.claims(kind=3, specialties=()))
    return {"one": studio.page(), "rare": studio.page(studio.extreme()), "two": two, "vector": two}


@pytest.fixture(scope="module")
def files(pages: dict[str, PageSpec], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("ofdrw")
    found = {}
    for name, page in pages.items():
        found[name] = folder / f"{name}.ofd"
        found[name].write_bytes(ofdoffice.sealed(page, vector=name == "vector"))
    return found


def judged(work: tuple[str, ...], files: Mapping[str, Path]) -> dict[str, Any]:
    lines = javajudge.run("ofdrw", "judge.Judge", *work, *files.values())
    answers = {Path(answer["file"]).stem: answer for answer in (json.loads(line[0]) for line in lines)}
    assert answers.keys() == files.keys()
    assert not [answer["error"] for answer in answers.values() if "error" in answer]
    return answers


@pytest.mark.java
@needs_sm2
def test_every_seal_is_valid(files: dict[str, Path], pages: dict[str, PageSpec]) -> None:
    for name, answer in judged(("verify",), files).items():
        assert answer["whole"] == "valid", name
        assert answer["signatures"] == [WELL] * len(seal_slots(pages[name])), name


@pytest.mark.java
@needs_sm2
def test_the_text_is_that_of_the_page_and_the_attachments_are_whole(
    files: dict[str, Path], pages: dict[str, PageSpec]
) -> None:
    for name, answer in judged(("text",), files).items():
        (found,) = answer["pages"]
        runs = [box for box in without_slots(pages[name]).boxes if isinstance(box, TextRun)]
        assert "".join(found) == "".join(run.text for run in runs)
        if name != "rare":  # there a run is parted at characters outside the basic plane
            assert found == [run.text for run in runs]
        for field in ofdoffice.metadata(pages[name]).fields:
            assert field.value in "".join(found)
        attached = {label: bytes.fromhex(item["hex"]) for label, item in answer["attachments"].items()}
        assert attached == ofdoffice.ATTACHMENTS
        assert not any(item["visible"] for item in answer["attachments"].values())


def pixels(picture: Image.Image, rect: Rect) -> list[tuple[int, int, int]]:
    place = (rect.x_mm, rect.y_mm, rect.right_mm, rect.bottom_mm)
    cut = picture.crop(tuple(round(value * SCALE) for value in place))  # type: ignore[arg-type]
    return list(zip(*(cut.getchannel(band).tobytes() for band in "RGB"), strict=True))


def red(found: list[tuple[int, int, int]]) -> float:
    """The share of pixels that are red."""
    return sum(one > 150 and two < 110 and three < 110 for one, two, three in found) / len(found)


@pytest.mark.java
@needs_sm2
def test_the_picture_shows_text_code_and_seals_where_we_put_them(
    studio: Studio, files: dict[str, Path], pages: dict[str, PageSpec], tmp_path: Path
) -> None:
    for name, answer in judged(("image", str(tmp_path), str(SCALE)), files).items():
        page = pages[name]
        (path,) = answer["images"]
        picture = Image.open(path).convert("RGB")
        assert picture.size == pytest.approx((page.width_mm * SCALE, page.height_mm * SCALE), abs=2)
        slots = seal_slots(page)
        for slot in slots:
            place = ofdoffice.place(slot).rect
            assert 0.1 < red(pixels(picture, place)) < 0.5, (name, slot.name)
        flat = printed(studio, without_slots(page)).filter(ImageFilter.GaussianBlur(1.5))
        grey = picture.convert("L").filter(ImageFilter.GaussianBlur(1.5))
        for run in (box for box in without_slots(page).boxes if isinstance(box, TextRun)):
            assert likeness(grey, flat, bounds(run)) > 0.8, (name, run.name)
        (code,) = page.named("qr")
        cut = picture.crop(tuple(round(v * SCALE) for v in (20, 211, 66, 257)))  # type: ignore[arg-type]
        (symbol,) = read_qr(cut, limits=LIMITS_DEFAULT)
        assert symbol.text == studio.digits()
        left, top = (min(corner[axis] for corner in symbol.position) / SCALE + (20, 211)[axis] for axis in (0, 1))
        edge = code.module_mm * 4  # type: ignore[union-attr]
        assert (left, top) == pytest.approx((code.rect.x_mm + edge, code.rect.y_mm + edge), abs=0.5)  # type: ignore[union-attr]


def printed(studio: Studio, page: PageSpec) -> Image.Image:
    """The page's PDF, as PDFium draws it."""
    with pypdfium2.PdfDocument(studio.pdf(page)) as document:
        return document[0].render(scale=SCALE * 25.4 / 72, grayscale=True).to_pil().copy()


def likeness(one: Image.Image, two: Image.Image, rect: Rect) -> float:
    """How far the ink of two pictures stands at the same places: 1 the same, 0 no relation."""
    place = tuple(round(value * SCALE) for value in (rect.x_mm, rect.y_mm, rect.right_mm, rect.bottom_mm))
    inks = [[255 - level for level in picture.crop(place).tobytes()] for picture in (one, two)]  # type: ignore[arg-type]
    return statistics.correlation(*inks)


@cache
def answers() -> dict[str, Any]:
    import importlib.util

    spec = importlib.util.spec_from_file_location("make_ofdrw_answers", VECTORS.parent / "make_ofdrw_answers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.answers()
    return found


@pytest.mark.java
def test_the_table_is_what_ofdrw_says() -> None:
    assert answers() == TABLE


def holds(name: str) -> bool | None:
    """Whether all seals of a file hold to us; None: there are none."""
    try:
        package = read_package((VECTORS / name).read_bytes(), limits=OFD_LIMITS)
        facts, faults = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
    except FormatError:
        return False
    return None if not facts else not faults and not any(fact.faults for fact in facts)


def test_our_check_agrees_with_ofdrw_but_where_it_is_stricter() -> None:
    there = {str(path.relative_to(VECTORS)) for part in ("files", "crafted") for path in VECTORS.glob(f"{part}/*.ofd")}
    assert there == TABLE.keys()
    for name, answer in TABLE.items():
        theirs = {"valid": True, "unsigned": None}.get(answer.get("whole", ""), False)
        if "error" in answer:  # ofdrw ends with an exception: the list of signatures is named and missing
            theirs = None
        ours = holds(name)
        if name in STRICTER:
            assert (theirs, ours) == (True, False), name
        else:
            assert ours == theirs, name
