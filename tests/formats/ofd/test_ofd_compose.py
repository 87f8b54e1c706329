"""The OFD of a page: its elements in order, its places those of the page, its text and pictures the page's own."""

import dataclasses
import io
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ofdoffice
import pypdfium2
import pytest
from fontTools.ttLib import TTFont
from ofdforge import AT, DAY
from PIL import Image, ImageChops, ImageFilter

from mingzheng.formats.civil import format_day
from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.imagehead import ImageError
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.compose import TAGS_NAMESPACE, OfdField, compose_ofd
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.draw import ofd_to_pdf
from mingzheng.formats.ofd.licence import LicenceIdError
from mingzheng.formats.ofd.objects import slot_outline
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.xmlwrite import OfdWriteError
from mingzheng.formats.page import ImageBox, QrSlot, SealSlot, TextRun, seal_slots
from mingzheng.formats.page import Path as PagePath
from mingzheng.formats.qrimage import read_qr
from mingzheng.keys.sm2backend import can_sign

if TYPE_CHECKING:
    from conftest import Studio  # type: ignore[import-not-found]
else:
    Studio = Any

FALLBACK = Path(__file__).resolve().parents[2] / "vectors/fonts/fallback.ttf"
NS = "{http://www.ofdspec.org/2016}"
# Children of every element in the order of the schemas of GB/T 33190-2016; * may repeat.
ORDER = {
    "OFD": "DocBody*",
    "DocBody": "DocInfo DocRoot Versions Signatures",
    "DocInfo": "DocID Title Author Subject Abstract CreationDate ModDate DocUsage Cover Keywords Creator "
    "CreatorVersion CustomDatas",
    "CustomDatas": "CustomData*",
    "Document": "CommonData Pages Outlines Permissions Actions VPreferences Bookmarks Annotations CustomTags "
    "Attachments Extensions",
    "CommonData": "MaxUnitID PageArea PublicRes* DocumentRes* TemplatePage* DefaultCS",
    "PageArea": "PhysicalBox ApplicationBox ContentBox BleedBox",
    "Area": "PhysicalBox ApplicationBox ContentBox BleedBox",
    "Pages": "Page*",
    "Permissions": "Edit Annot Export Signature Watermark PrintScreen Print ValidPeriod",
    "Page": "Template* PageRes* Area Content Actions",
    "Content": "Layer*",
    "Res": "Fonts MultiMedias",
    "Fonts": "Font*",
    "Font": "FontFile",
    "MultiMedias": "MultiMedia*",
    "MultiMedia": "MediaFile",
    "TextObject": "Actions Clips FillColor StrokeColor CGTransform* TextCode",
    "CGTransform": "Glyphs",
    "PathObject": "Actions Clips StrokeColor FillColor AbbreviatedData",
    "ImageObject": "Actions Clips Border",
    "CustomTags": "CustomTag*",
    "CustomTag": "SchemaLoc FileLoc",
    "Attachments": "Attachment*",
    "Attachment": "FileLoc",
    "Signatures": "MaxSignId Signature*",
    "Signature": "SignedInfo SignedValue",
    "SignedInfo": "Provider SignatureMethod SignatureDateTime References StampAnnot* Seal",
    "References": "Reference*",
    "Reference": "CheckValue",
    "Seal": "BaseLoc",
}
REQUIRED = {
    "Font": {"ID", "FontName"},
    "MultiMedia": {"ID", "Type"},
    "TextObject": {"ID", "Boundary", "Font", "Size"},
    "PathObject": {"ID", "Boundary"},
    "ImageObject": {"ID", "Boundary", "ResourceID"},
    "Layer": {"ID"},
    "Res": {"BaseLoc"},
    "Attachment": {"ID", "Name"},
    "CustomTag": {"NameSpace"},
    "TemplatePage": {"ID", "BaseLoc"},
    "StampAnnot": {"ID", "PageRef", "Boundary"},
    "OFD": {"Version", "DocType"},
}


def files_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tree(data: bytes, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(files_of(data)[name])


def every(data: bytes, name: str, tag: str) -> list[ElementTree.Element]:
    return list(tree(data, name).iter(f"{NS}{tag}"))


PAGE = "Doc_0/Pages/Page_0/Content.xml"


def assert_in_order(element: ElementTree.Element) -> None:
    tag = element.tag.removeprefix(NS)
    assert element.tag.startswith(NS)
    if tag in REQUIRED:
        assert REQUIRED[tag] <= element.attrib.keys(), tag
    if tag in ORDER:
        known = ORDER[tag].split()
        places = [next(at for at, name in enumerate(known) if name.rstrip("*") == child.tag.removeprefix(NS))
                  for child in element]  # fmt: skip
        assert places == sorted(places), tag
        once = [at for at in places if not known[at].endswith("*")]
        assert len(once) == len(set(once)), tag
    elif tag not in {"Layer", "Provider"}:
        assert not len(element), tag
    for child in element:
        assert_in_order(child)


@cache
def file(studio: Studio, kind: int = 1, seals: int = 0) -> bytes:
    return ofdoffice.composed(studio.page(studio.claims(kind=kind)), seals=seals)


@pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")
@pytest.mark.parametrize("kind", [1, 3, 6])
def test_elements_stand_in_the_order_of_the_schemas(studio: Studio, kind: int) -> None:
    page = studio.page(studio.claims(kind=kind, specialties=() if kind == 3 else studio.claims().specialties))
    data = ofdoffice.sealed(page)
    names = [name for name in files_of(data) if name.endswith(".xml") and "Tag_" not in name]
    assert len(names) == 8 + 1 + len(seal_slots(page))
    for name in names:
        assert_in_order(tree(data, name))


def test_ids_are_plain_unique_and_within_the_maximum(studio: Studio) -> None:
    data = file(studio)
    ids = []
    for name in (
        PAGE,
        "Doc_0/Tpls/Tpl_0/Content.xml",
        "Doc_0/Document.xml",
        "Doc_0/PublicRes.xml",
        "Doc_0/DocumentRes.xml",
    ):
        ids += [int(element.attrib["ID"]) for element in tree(data, name).iter() if "ID" in element.attrib]
    (most,) = every(data, "Doc_0/Document.xml", "MaxUnitID")
    assert sorted(ids) == list(range(1, max(ids) + 1))
    assert int(most.text or "") == max(ids)


def test_links_are_absolute_and_lead_to_files(studio: Studio) -> None:
    data = file(studio, seals=1)
    there, linked = set(files_of(data)), {"OFD.xml"}
    links = {"DocRoot", "PublicRes", "DocumentRes", "FileLoc", "CustomTags", "Attachments", "Signatures"}
    for name in (name for name in there if name.endswith(".xml")):
        for element in tree(data, name).iter():
            tag, text = element.tag.removeprefix(NS), element.text or ""
            if tag in {"FontFile", "MediaFile"}:
                linked.add(f"Doc_0/Res/{text}")  # the resource file's BaseLoc
            elif tag in links and text:
                assert text.startswith("/")
                linked.add(text[1:])
            if "BaseLoc" in element.attrib and tag != "Res":
                assert element.attrib["BaseLoc"].startswith("/")
                linked.add(element.attrib["BaseLoc"][1:])
    assert linked == there
    package = read_package(data, limits=OFD_LIMITS)
    read = read_ofd(package, limits=OFD_LIMITS)
    assert not read.missing
    assert not read.damaged
    assert read.reachable | {"Doc_0/Signs/Signatures.xml"} == there


def placed(data: bytes) -> Iterator[tuple[str, float, list[float], float]]:
    """Every text object: its text, its baseline, the place of every character, its size."""
    for item in every(data, PAGE, "TextObject"):
        left, top, width, high = map(float, item.attrib["Boundary"].split())
        (code,) = item.iter(f"{NS}TextCode")
        at = left + float(code.attrib["X"])
        places = [at]
        for step in code.attrib.get("DeltaX", "").split():
            places.append(places[-1] + float(step))
        text = code.text or ""
        assert len(places) == len(text)
        baseline = top + float(code.attrib["Y"])
        assert top < baseline < top + high
        assert width > 0
        yield text, baseline, places, float(item.attrib["Size"])


@pytest.mark.parametrize("extreme", [False, True])
def test_every_character_stands_where_the_page_has_it(studio: Studio, extreme: bool) -> None:
    page = studio.page(studio.extreme() if extreme else studio.claims())
    found = placed(ofdoffice.composed(page))
    count = 0
    for run in (box for box in page.boxes if isinstance(box, TextRun)):
        text, places = "", []
        while len(text) < len(run.text):
            part, baseline, at, size = next(found)
            assert baseline == pytest.approx(run.y_mm, abs=0.002)
            assert size == pytest.approx(run.size_mm, abs=0.001)
            text += part
            places += at
        assert text == run.text
        x = run.x_mm
        for char, at_mm in zip(run.text, places, strict=True):
            assert at_mm == pytest.approx(x, abs=0.002)
            x += load_fonts().width(char, run.size_mm) + run.tracking_mm
            count += 1
        assert x - run.tracking_mm == pytest.approx(run.x_mm + run.width_mm, abs=0.002)
    assert next(found, None) is None
    assert count > 200


def test_pictures_paths_and_code_stand_where_the_page_has_them(studio: Studio) -> None:
    page = studio.page()
    data = ofdoffice.composed(page)
    pictures = [box for box in page.boxes if isinstance(box, ImageBox | QrSlot)]
    objects = every(data, PAGE, "ImageObject")
    for box, item in zip(pictures, objects, strict=True):
        rect = box.rect
        wanted = (rect.x_mm, rect.y_mm, rect.width_mm, rect.height_mm)
        assert [float(part) for part in item.attrib["Boundary"].split()] == pytest.approx(wanted, abs=0.001)
        matrix = [float(part) for part in item.attrib["CTM"].split()]
        assert matrix == pytest.approx([rect.width_mm, 0, 0, rect.height_mm, 0, 0], abs=0.001)
    drawn = [box for box in page.boxes if isinstance(box, PagePath | SealSlot)]
    items = every(data, "Doc_0/Tpls/Tpl_0/Content.xml", "PathObject") + every(data, PAGE, "PathObject")
    for path, item in zip(drawn, items, strict=True):
        assert path_points(item) == pytest.approx(page_points(path), abs=0.01)
        assert float(item.attrib["LineWidth"]) > 0
        assert ("DashPattern" in item.attrib) is isinstance(path, SealSlot)


def path_points(item: ElementTree.Element) -> list[float]:
    left, top, width, high = map(float, item.attrib["Boundary"].split())
    (data,) = item.iter(f"{NS}AbbreviatedData")
    values = [float(word) for word in (data.text or "").split() if word not in {"M", "L", "B", "C"}]
    assert all(-0.01 <= x <= width + 0.01 for x in values[::2])
    assert all(-0.01 <= y <= high + 0.01 for y in values[1::2])
    return [value + (left, top)[at % 2] for at, value in enumerate(values)][:2000]


def page_points(path: PagePath | SealSlot) -> list[float]:
    if isinstance(path, SealSlot):
        path = slot_outline(path)
    return [float(word) for word in path.data.split() if word not in {"M", "L", "C", "Z"}][:2000]


def test_filled_paths_are_filled(studio: Studio) -> None:
    page = studio.page()
    shape = next(box for box in page.boxes if isinstance(box, PagePath))
    filled = dataclasses.replace(shape, line_mm=0.0, dash_mm=(), colour=(1, 2, 3))
    data = ofdoffice.composed(dataclasses.replace(page, boxes=(filled,)), fields=())
    (item,) = every(data, "Doc_0/Tpls/Tpl_0/Content.xml", "PathObject")
    assert (item.attrib["Stroke"], item.attrib["Fill"]) == ("false", "true")
    assert item[0].attrib == {"Value": "1 2 3"}
    assert "Doc_0/Tags/CustomTags.xml" not in files_of(data)


def test_fonts_are_truetype_subsets_with_a_cmap(studio: Studio) -> None:
    page = studio.page(studio.extreme())
    data = ofdoffice.composed(page)
    (font,) = every(data, "Doc_0/PublicRes.xml", "Font")
    assert font.attrib["FamilyName"] == "楷体"
    subset = TTFont(io.BytesIO(files_of(data)["Doc_0/Res/font_0.ttf"]))
    wanted = {ord(char) for box in page.boxes if isinstance(box, TextRun) for char in box.text}
    cmap = subset.getBestCmap()
    assert cmap.keys() == wanted
    assert {"glyf", "cmap", "name", "post", "OS/2"} <= set(subset.keys())
    assert 0x20BB7 in cmap  # 𠮷, outside the basic plane: named by its glyph as well, for readers of UTF-16
    named = [item for item in every(data, PAGE, "TextObject") if item.find(f"{NS}CGTransform") is not None]
    assert [item.findtext(f"{NS}TextCode") for item in named] == ["𠮷", "𠮷"]
    for item in named:
        transform = item.find(f"{NS}CGTransform")
        assert transform is not None
        assert transform.attrib == {"CodePosition": "0", "CodeCount": "2", "GlyphCount": "1"}
        assert transform.findtext(f"{NS}Glyphs") == str(subset.getGlyphID(cmap[0x20BB7]))


def test_a_fallback_font_gets_its_own_file(studio: Studio) -> None:
    page = studio.page()
    fonts = load_fonts(FALLBACK)
    char = next(chr(point) for point in TTFont(FALLBACK).getBestCmap() if fonts.split(chr(point))[0][0] == 1)
    run = dataclasses.replace(next(box for box in page.boxes if isinstance(box, TextRun)), text=f"张{char}国")
    spec = dataclasses.replace(page, boxes=(run,))
    data = compose_ofd(spec, fonts=fonts, attachments={}, metadata=ofdoffice.metadata(spec), seals=0)
    assert [item.attrib["FontName"] for item in every(data, "Doc_0/PublicRes.xml", "Font")] == [
        "MingZhengKai-Regular",
        "fallback",
    ]
    fonts_used = [item.attrib["Font"] for item in every(data, PAGE, "TextObject")]
    assert fonts_used[0] == fonts_used[2] != fonts_used[1]
    assert [text for text, *_ in placed(data)] == ["张", char, "国"]
    assert not {name for name in files_of(data) if "Attach" in name or "Tpls" in name}


def test_pictures_keep_their_bytes_and_the_code_can_be_read(studio: Studio) -> None:
    files = files_of(file(studio))
    assert files["Doc_0/Res/image_0.jpg"] == studio.photo()
    assert files["Doc_0/Res/image_1.png"] == studio.signature()
    picture = Image.open(io.BytesIO(files["Doc_0/Res/qr.png"]))
    assert picture.mode == "1"
    (symbol,) = read_qr(files["Doc_0/Res/qr.png"], limits=LIMITS_DEFAULT)
    assert symbol.text == studio.digits()


def test_fields_stand_in_custom_data_and_point_to_their_objects(studio: Studio) -> None:
    page = studio.page()
    data = ofdoffice.composed(page)
    described = ofdoffice.metadata(page)
    custom = {item.attrib["Name"]: item.text for item in every(data, "OFD.xml", "CustomData")}
    assert custom == {**{item.name: item.value for item in described.fields}, "证照标识": described.licence_id}
    texts = {item.attrib["ID"]: item.findtext(f"{NS}TextCode") for item in every(data, PAGE, "TextObject")}
    (leaf,) = (item for item in every(data, "Doc_0/Document.xml", "Page"))
    tags = tree(data, "Doc_0/Tags/Tag_Certificate.xml")
    space = f"{{{TAGS_NAMESPACE}}}"
    for item in tags.iter(f"{space}Field"):
        links = list(item)
        assert {link.attrib["PageRef"] for link in links} == {leaf.attrib["ID"]}
        assert "".join(texts[link.text or ""] or "" for link in links) == custom[item.attrib["Name"]]
    assert len(list(tags)) == len(described.fields) > 5


def test_attachments_are_hidden_and_whole(studio: Studio) -> None:
    data = file(studio)
    items = every(data, "Doc_0/Attachs/Attachments.xml", "Attachment")
    assert [(item.attrib["Name"], item.attrib["Visible"]) for item in items] == [
        ("credential", "false"),
        ("receipt", "false"),
    ]
    for item in items:
        place = item.findtext(f"{NS}FileLoc") or ""
        assert files_of(data)[place[1:]] == ofdoffice.ATTACHMENTS[item.attrib["Name"]]


def test_window_and_permissions(studio: Studio) -> None:
    data = file(studio)
    (period,) = every(data, "Doc_0/Document.xml", "ValidPeriod")
    first, last = format_day(AT // DAY), format_day(AT // DAY + 180)
    assert period.attrib == {"StartDate": f"{first}T00:00:00", "EndDate": f"{last}T23:59:59"}
    (may,) = every(data, "Doc_0/Document.xml", "Permissions")
    assert {child.tag.removeprefix(NS): child.text for child in may if child.text} == {
        "Edit": "false", "Annot": "false", "Export": "true", "Signature": "true", "Watermark": "false",
        "PrintScreen": "true",
    }  # fmt: skip
    bare = ofdoffice.composed(studio.page(), valid_from=None, valid_until=None, licence_id=None)
    assert not every(bare, "Doc_0/Document.xml", "ValidPeriod")


def test_what_seals_need_is_there_before_the_first(studio: Studio) -> None:
    plain, ready = file(studio), file(studio, seals=2)
    assert "Doc_0/Signs/Signatures.xml" not in files_of(plain)
    assert not every(plain, "OFD.xml", "Signatures")
    assert [item.text for item in every(ready, "OFD.xml", "Signatures")] == ["/Doc_0/Signs/Signatures.xml"]
    assert not list(tree(ready, "Doc_0/Signs/Signatures.xml").iter(f"{NS}Signature"))
    assert b"DashPattern" in files_of(plain)[PAGE]
    assert b"DashPattern" not in files_of(ready)[PAGE]


def test_same_page_same_bytes(studio: Studio) -> None:
    assert ofdoffice.composed(studio.page()) == ofdoffice.composed(studio.page())
    assert ofdoffice.composed(studio.page()) != ofdoffice.composed(studio.page(), doc_id="0" * 32)


def test_what_cannot_be_written_is_refused(studio: Studio) -> None:
    page = studio.page()
    twice = OfdField(name="a", value="", boxes=())
    for changes in (
        {"doc_id": "X" * 32},
        {"doc_id": "0" * 31},
        {"author": "a\0"},
        {"fields": (twice, twice)},
        {"fields": (dataclasses.replace(twice, name="证照标识"),)},
    ):
        with pytest.raises(OfdWriteError):
            ofdoffice.composed(page, **changes)
    with pytest.raises(LicenceIdError):
        ofdoffice.composed(page, licence_id="1.2.156.3005.2.x")
    for label in ("Credential", "../x", "", "a" * 33):
        with pytest.raises(OfdWriteError):
            compose_ofd(page, fonts=load_fonts(), attachments={label: b""}, metadata=ofdoffice.metadata(page), seals=0)
    box = next(box for box in page.boxes if isinstance(box, ImageBox))
    with pytest.raises(ImageError):
        ofdoffice.composed(dataclasses.replace(page, boxes=(dataclasses.replace(box, data=b"GIF89a"),)), fields=())


def test_other_attachments_are_taken(studio: Studio) -> None:
    page = studio.page()
    data = compose_ofd(
        page, fonts=load_fonts(), attachments={"notice": b"n"}, metadata=ofdoffice.metadata(page), seals=0
    )
    assert files_of(data)["Doc_0/Attachs/notice.bin"] == b"n"


@pytest.mark.parametrize("kind", ["everyday", "extreme", "architect"])
def test_both_writers_show_the_same_page(studio: Studio, kind: str) -> None:
    """The OFD as our own drawing shows it, and the PDF: both through PDFium, compared with edges blurred."""
    claims = {
        "everyday": studio.claims,
        "extreme": studio.extreme,  # with characters outside the basic plane
        "architect": lambda: studio.claims(kind=3, specialties=()),
    }[kind]()
    page = studio.page(claims)
    package = read_package(ofdoffice.composed(page), limits=OFD_LIMITS)
    ofd, pdf = (shown(data) for data in (ofd_to_pdf(read_ofd(package, limits=OFD_LIMITS)), studio.pdf(page)))
    other = shown(studio.pdf(studio.page(dataclasses.replace(claims, birth=claims.birth + 5))))
    assert ofd.size == pdf.size
    assert ImageChops.difference(ofd, pdf).getextrema()[1] < 50
    assert ImageChops.difference(other, pdf).getextrema()[1] > 80  # a changed digit shows


def shown(file: bytes) -> Image.Image:
    """The page without its code, which one writer has as a picture and the other as a path."""
    with pypdfium2.PdfDocument(file) as document:
        picture = document[0].render(scale=200 / 72, grayscale=True).to_pil().copy()
    picture.paste(255, tuple(round(mm * 200 / 25.4) for mm in (20, 211, 66, 257)))
    return picture.filter(ImageFilter.BoxBlur(3))
