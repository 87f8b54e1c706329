"""The PDF of a page, as independent readers see it: PDFium always, poppler where it is installed."""

import ctypes
import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageOps

from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.page import BLACK, PageSpec, Path, QrSlot, Rect, Role, TextRun, bounds
from mingzheng.formats.pdf.compose import ComposeError, PdfMetadata, compose_pdf
from mingzheng.formats.qrimage import read_qr

if TYPE_CHECKING:
    from conftest import Studio  # type: ignore[import-not-found]
else:
    Studio = Any

FALLBACK = FilePath(__file__).resolve().parents[1] / "vectors/fonts/fallback.ttf"
DPI = 200
MM = DPI / 25.4


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def pdfium_text(file: bytes) -> str:
    with pypdfium2.PdfDocument(file) as document:
        page = document[0]
        return squeezed(page.get_textpage().get_text_range())


def rendered(file: bytes, dpi: int = DPI) -> Image.Image:
    with pypdfium2.PdfDocument(file) as document:
        picture = document[0].render(scale=dpi / 72, grayscale=True).to_pil()
        return picture.copy()


def poppler(program: str, file: bytes, tmp_path: FilePath, *options: str, to: tuple[str, ...] = ()) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"{program} (poppler-utils) is not installed")
    path = tmp_path / "page.pdf"
    path.write_bytes(file)
    done = subprocess.run([program, *options, str(path), *to], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode("utf-8")


@pytest.mark.parametrize("kind", ["everyday", "extreme"])
def test_text_of_every_run_comes_back(studio: Studio, kind: str) -> None:
    page = studio.page(studio.claims() if kind == "everyday" else studio.extreme())
    found = pdfium_text(studio.pdf(page))
    runs = [box.text for box in page.boxes if isinstance(box, TextRun)]
    assert len(runs) > 25
    for text in runs:
        assert squeezed(text) in found, text
    assert sorted(found) == sorted(squeezed("".join(runs)))  # and nothing else


def test_poppler_reads_the_same_text(studio: Studio, tmp_path: FilePath) -> None:
    page = studio.page(studio.extreme())
    found = squeezed(poppler("pdftotext", studio.pdf(page), tmp_path, "-raw", "-enc", "UTF-8", to=("-",)))
    for run in page.boxes:
        if isinstance(run, TextRun):
            assert squeezed(run.text) in found


def test_poppler_finds_embedded_subset_fonts_with_unicode(studio: Studio, tmp_path: FilePath) -> None:
    lines = poppler("pdffonts", studio.pdf(), tmp_path).splitlines()[2:]
    (line,) = lines
    assert re.match(r"[A-Z]{6}\+MingZhengKai-Regular\s+CID TrueType\s+Identity-H\s+yes yes yes", line)


def test_poppler_reads_the_tags(studio: Studio, tmp_path: FilePath) -> None:
    info = poppler("pdfinfo", studio.pdf(), tmp_path, "-enc", "UTF-8")
    assert re.search(r"^Tagged:\s+yes$", info, re.MULTILINE)
    assert "A4" in info
    assert "中华人民共和国一级建造师注册证书" in info
    tree = poppler("pdfinfo", studio.pdf(), tmp_path, "-struct-text", "-enc", "UTF-8")
    assert tree.startswith("Document")
    assert tree.index("使用有效期") < tree.index("H1") < tree.index("张建国") < tree.index("个人签名")
    assert tree.count("Figure") == 4  # photo, seal, signature, code


def ink_outside(page: PageSpec, picture: Image.Image, slack_mm: float = 0.7) -> list[tuple[int, int, int, int]]:
    """Where a picture of the page is dark outside every box."""
    canvas = picture.point(lambda level: 0 if level < 140 else 255)
    paper = ImageDraw.Draw(canvas)
    for box in page.boxes:
        rect = bounds(box)
        if isinstance(box, Path) and box.name in ("frame.rosette", "frame.band"):
            continue
        grown = (rect.x_mm - slack_mm, rect.y_mm - slack_mm, rect.right_mm + slack_mm, rect.bottom_mm + slack_mm)
        edges = [value * MM for value in grown]
        if isinstance(box, Path):  # an outline covers its line, not its inside
            thick = round(2 * slack_mm * MM)
            paper.rectangle(edges, outline=255, width=thick)
        else:
            paper.rectangle(edges, fill=255)
    band = 7.5 + 7.0 + slack_mm
    box = ImageOps.invert(canvas).crop(tuple(round(v * MM) for v in (band, band, 210 - band, 297 - band))).getbbox()
    return [box] if box else []


@pytest.mark.parametrize("kind", ["everyday", "extreme"])
def test_rendered_ink_lies_inside_the_boxes(studio: Studio, kind: str) -> None:
    page = studio.page(studio.claims() if kind == "everyday" else studio.extreme())
    picture = rendered(studio.pdf(page))
    assert ink_outside(page, picture) == []


def test_ink_outside_its_box_would_be_found(studio: Studio) -> None:
    page = studio.page()
    picture = rendered(studio.pdf(page))
    stripped = dataclasses.replace(page, boxes=tuple(box for box in page.boxes if box.name != "field.name.value"))
    assert ink_outside(stripped, picture)


def test_every_run_leaves_ink_in_its_box(studio: Studio) -> None:
    page = studio.page(studio.extreme())
    picture = rendered(studio.pdf(page))
    for box in page.boxes:
        if isinstance(box, TextRun) and box.text not in "：·":
            rect = bounds(box)
            part = picture.crop(tuple(round(v * MM) for v in (rect.x_mm, rect.y_mm, rect.right_mm, rect.bottom_mm)))
            assert part.getextrema()[0] < 190, box.name


def test_nothing_is_printed_over_the_text(studio: Studio) -> None:
    """The pale rosette may cross a line; it stays far from the darkness of ink."""
    page = studio.page()
    grounds = tuple(box for box in page.boxes if box.name == "frame.rosette")
    picture = rendered(studio.pdf(dataclasses.replace(page, boxes=grounds), {}))
    assert picture.getextrema()[0] > 170


@pytest.mark.parametrize("length", [150, 480, 640])
def test_code_is_read_from_the_page_at_200_dpi_in_grey_and_at_95_percent(studio: Studio, length: int) -> None:
    from mingzheng.formats.qrimage import encode_qr

    digits = studio.digits(length)
    file = studio.pdf(studio.page(qr_rows=encode_qr(digits).rows))
    picture = rendered(file)
    for seen in (
        picture,
        picture.resize((round(picture.width * 0.95), round(picture.height * 0.95)), Image.Resampling.BICUBIC),
    ):
        assert [symbol.text for symbol in read_qr(seen, limits=LIMITS_DEFAULT)] == [digits]


def test_code_has_no_seams_between_its_modules(studio: Studio) -> None:
    rows = (b"\1" * 85,) * 85
    page = studio.page(qr_rows=rows)
    (slot,) = (box for box in page.boxes if isinstance(box, QrSlot))
    quiet = slot.module_mm * 4 + 0.3
    inside = (slot.rect.x_mm + quiet, slot.rect.y_mm + quiet, slot.rect.right_mm - quiet, slot.rect.bottom_mm - quiet)
    for dpi in (97, 150, 211):
        part = rendered(studio.pdf(page), dpi).crop(tuple(round(v * dpi / 25.4) for v in inside))
        assert part.getextrema()[1] == 0


def test_same_input_same_bytes_in_this_and_another_process(studio: Studio) -> None:
    file = studio.pdf()
    assert file == studio.pdf()
    program = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]); from conftest import Studio;"
        "print(hashlib.sha256(Studio().pdf()).hexdigest())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(FilePath(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == hashlib.sha256(file).hexdigest()


def test_no_date_but_the_one_given_and_no_trace_of_the_machine(studio: Studio) -> None:
    dated = studio.pdf()
    assert set(re.findall(rb"D:[^)]*|\d{4}-\d\d-\d\dT[^<]*", dated)) == {
        b"D:20261121000000+08'00'",
        b"2026-11-21T00:00:00+08:00",
    }
    metadata = dataclasses.replace(studio.metadata, made_on=None)
    file = compose_pdf(studio.page(), fonts=studio.fonts, attachments={"receipt": b""}, metadata=metadata)
    assert not re.search(rb"CreationDate|ModDate|CreateDate|/home|/root|/tmp", file)


def test_attachments_are_listed_associated_and_unchanged(studio: Studio, tmp_path: FilePath) -> None:
    files = {"credential": bytes(range(256)), "receipt": b"c2sp.org/tlog-proof@v1\n"}
    file = studio.pdf(attachments=files)
    with pypdfium2.PdfDocument(file) as document:
        found = [document.get_attachment(index) for index in range(document.count_attachments())]
        assert [one.get_name() for one in found] == ["credential", "receipt"]
        assert {one.get_name(): bytes(one.get_data()) for one in found} == files
    assert b"/AFRelationship /Data" in file
    assert b"/Subtype /application#2Fcose" in file
    assert re.search(rb"/AF \[\d+ 0 R \d+ 0 R\]", file)
    if shutil.which("pdfdetach"):
        assert "2 embedded files" in poppler("pdfdetach", file, tmp_path, "-list")


def test_page_without_attachments_has_no_names(studio: Studio) -> None:
    file = studio.pdf(attachments={})
    assert b"/EmbeddedFiles" not in file
    assert b"/AF " not in file


@pytest.mark.parametrize("label", ["", "a/b", "名", "a b", "x)"])
def test_refuses_attachment_names_of_other_characters(studio: Studio, label: str) -> None:
    with pytest.raises(ComposeError):
        studio.pdf(attachments={label: b""})


def test_catalogue_says_language_title_and_tags(studio: Studio) -> None:
    file = studio.pdf()
    assert file.startswith(b"%PDF-1.7\n")
    assert b"/Lang <FEFF007A0068002D0043004E>" in file
    assert b"/MarkInfo <</Marked true>>" in file
    assert b"/DisplayDocTitle true" in file
    assert b"/PrintScaling /None" in file
    with pypdfium2.PdfDocument(file) as document:
        assert document.is_tagged()
        assert document.get_metadata_dict()["Title"] == "中华人民共和国一级建造师注册证书"
        assert document.get_page_size(0) == pytest.approx((595.28, 841.89), abs=0.01)


def test_metadata_is_well_formed_xml_whatever_the_text(studio: Studio) -> None:
    metadata = PdfMetadata(author="A & B <部>", subject="]]> & </x:xmpmeta>", producer="mingzheng")
    file = compose_pdf(studio.page(), fonts=studio.fonts, attachments={}, metadata=metadata)
    packet = file[file.index(b"<x:xmpmeta") : file.rindex(b"</x:xmpmeta>") + 12]
    root = ElementTree.fromstring(packet)
    words = [text.strip() for text in root.itertext() if text.strip()]
    assert {"A & B <部>", "]]> & </x:xmpmeta>", "application/pdf"} <= set(words)
    with pytest.raises(ComposeError):
        compose_pdf(
            studio.page(),
            fonts=studio.fonts,
            attachments={},
            metadata=dataclasses.replace(metadata, subject="a\nb"),
        )


def test_images_go_in_unchanged(studio: Studio) -> None:
    file = studio.pdf()
    assert studio.photo() in file
    data = studio.signature()
    assert data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8] in file


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_signature_shows_on_the_paper(studio: Studio, mode: str) -> None:
    page = studio.page(signature=studio.signature(mode))
    file = studio.pdf(page)
    assert b"/SMask" in file
    (box,) = page.named("signature.image")
    rect = bounds(box)
    part = rendered(file).crop(tuple(round(v * MM) for v in (rect.x_mm, rect.y_mm, rect.right_mm, rect.bottom_mm)))
    assert part.getextrema()[0] < 60
    assert part.getextrema()[1] == 255


def test_fallback_font_is_embedded_and_its_text_comes_back(studio: Studio) -> None:
    fonts = load_fonts(FALLBACK)
    run = TextRun(
        name="t",
        group="t",
        role=Role.TEXT,
        x_mm=20,
        y_mm=50,
        width_mm=50,
        size_mm=10,
        text="张\u4e02三",
        tracking_mm=1,
        colour=BLACK,
        language="en",
    )
    page = PageSpec(width_mm=210, height_mm=297, language="zh-CN", title="t", boxes=(run,))
    file = compose_pdf(page, fonts=fonts, attachments={}, metadata=studio.metadata)
    assert pdfium_text(file) == "张\u4e02三"
    assert file.count(b"/Subtype /Type0") == 2
    with pypdfium2.PdfDocument(file) as document:
        text = document[0].get_textpage()
        lefts = [text.get_charbox(index, loose=True)[0] for index in range(3)]
    step = 11 * 72 / 25.4
    assert lefts[1] - lefts[0] == pytest.approx(step, abs=0.1)
    assert lefts[2] - lefts[1] == pytest.approx(step, abs=0.1)


def test_page_that_ends_in_a_shape_or_begins_without_decoration(studio: Studio) -> None:
    box = Path(
        name="figure",
        role=Role.FIGURE,
        alt="一个方块",
        rect=Rect(x_mm=10, y_mm=10, width_mm=10, height_mm=10),
        data="M 10 10 L 20 10 L 20 20 L 10 20 Z",
        line_mm=0,
        dash_mm=(),
        colour=BLACK,
    )
    page = PageSpec(width_mm=100, height_mm=100, language="zh-CN", title="t", boxes=(box,))
    file = compose_pdf(page, fonts=studio.fonts, attachments={}, metadata=studio.metadata)
    picture = rendered(file)
    assert picture.getpixel((round(15 * MM), round(15 * MM))) == 0
    assert picture.getpixel((round(25 * MM), round(15 * MM))) == 255
    assert b"/Font <<>>" in file


def test_widths_of_the_font_are_those_of_the_layout(studio: Studio) -> None:
    """The right end of a line, as PDFium places it, is where the layout measured it."""
    page = studio.page()
    with pypdfium2.PdfDocument(studio.pdf(page)) as document:
        text = document[0].get_textpage()
        for run in page.boxes:
            if not (isinstance(run, TextRun) and run.name == "field.registration_no.value"):
                continue
            searcher = text.search(run.text)
            place = searcher.get_next()
            assert place is not None
            last = text.get_charbox(place[0] + place[1] - 1, loose=True)
            assert last[2] * 25.4 / 72 == pytest.approx(run.x_mm + run.width_mm, abs=0.05)


def test_file_stays_small(studio: Studio) -> None:
    assert len(studio.pdf()) - len(studio.photo()) < 120_000


def test_pdfium_sees_alternative_texts(studio: Studio) -> None:
    raw = pypdfium2.raw
    with pypdfium2.PdfDocument(studio.pdf()) as document:
        tree = raw.FPDF_StructTree_GetForPage(document[0])
        found = []

        def walk(element: Any) -> None:
            length = raw.FPDF_StructElement_GetAltText(element, None, 0)
            if length > 2:
                buffer = ctypes.create_string_buffer(length)
                raw.FPDF_StructElement_GetAltText(element, buffer, length)
                found.append(buffer.raw[:-2].decode("utf-16-le"))
            for index in range(max(0, raw.FPDF_StructElement_CountChildren(element))):
                child = raw.FPDF_StructElement_GetChildAtIndex(element, index)
                if child:
                    walk(child)

        for index in range(raw.FPDF_StructTree_CountChildren(tree)):
            walk(raw.FPDF_StructTree_GetChildAtIndex(tree, index))
        raw.FPDF_StructTree_Close(tree)
    assert found[0] == "持证人照片"
    assert any(alt.startswith("二维码") for alt in found)
    assert any(alt.startswith("印章位置") for alt in found)
