"""The structure of a document: links, resources, pages, lists; what cannot be shown and what is only noted."""

import contextlib
import dataclasses
import posixpath
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ofdforge import LIST, NS, Files, Zipped, document, folder, put, signature_list, xml, zipped

from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.document import OfdFile, name_at, parse_box, read_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.xmlread import parse_counted
from mingzheng.keys.sm2backend import can_sign

PAGE = "Doc_0/Pages/Page_0/Content.xml"
ROOT = "Doc_0/Document.xml"


def stored(files: Files) -> bytes:
    """Nothing deflated: what repeats itself would be refused for its ratio."""
    return zipped([Zipped(name=name.encode(), body=body, method=0) for name, body in files.items()])


def read(files: Files, **limits: int) -> OfdFile:
    package = read_package(stored(files), limits=OFD_LIMITS)
    return read_ofd(package, limits=dataclasses.replace(OFD_LIMITS, **limits))


def code_of(files: Files, **limits: int) -> str:
    with pytest.raises(FormatError) as caught:
        read(files, **limits)
    return caught.value.code


def changed(name: str, old: bytes, new: bytes) -> Files:
    files = document(seals=False)
    assert old in files[name]
    files[name] = files[name].replace(old, new)
    return files


def test_everything_a_reader_shows() -> None:
    file = read(document(seals=False))
    (body,) = file.bodies
    (page,) = file.pages
    assert (body.doc_id, dict(body.custom), body.root_file) == ("0" * 32, {"n": "v"}, ROOT)
    assert (page.number, page.id, page.file, page.box.height_mm) == (1, "1", PAGE, 297)
    assert [(item.id, item.file, item.foreground) for item in page.templates] == [
        ("9", "Doc_0/Tpls/Tpl_0/Content.xml", False)
    ]
    assert page.resources["5"].file == "Doc_0/Res/qr.png"
    assert (page.resources["5"].kind, page.resources["5"].element.get("Format")) == ("MultiMedia", "PNG")
    assert [note.get("ID") for note in page.annotations] == ["7"]
    assert [(item.name, item.file, item.visible) for item in body.attachments] == [
        ("credential", "Doc_0/Attachs/credential.cose", False),
        ("receipt", "Doc_0/Attachs/receipt.cose", True),
    ]
    assert (body.list_named, body.signature_list, body.list_faulty, body.signatures) == (False, None, False, ())
    assert file.reachable == file.package.files.keys()
    assert (file.missing, file.damaged) == ((), ())


@pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")
def test_the_signature_list_is_read_and_its_files_are_no_content() -> None:
    (body,) = read(put(document())).bodies
    assert (body.list_named, body.signature_list, body.list_faulty) == (True, LIST, False)
    assert [(item.id, item.kind, item.file) for item in body.signatures] == [
        ("1", "Seal", f"{folder(0)}/Signature.xml")
    ]
    assert not any("/Signs/" in name for name in read(put(document())).reachable)


@pytest.mark.parametrize(
    "listed",
    [
        b"<x/>",
        signature_list([]).replace(b"</ofd:Signatures>", b"<!-- --><ofd:Layer/></ofd:Signatures>"),
        signature_list([]).replace(b"<ofd:MaxSignId>", b'<ofd:MaxSignId a="1">'),
        signature_list([]).replace(b"<ofd:MaxSignId>", b"text<ofd:MaxSignId>"),
        signature_list([]).replace(b"<ofd:Signatures ", b'<ofd:Signatures a="1" '),
        signature_list(["Seal"]),  # leads nowhere
        xml('<Signatures xmlns="urn:other"/>'),
        b"<ofd",
    ],
)
def test_a_list_with_anything_else_in_it_is_faulty(listed: bytes) -> None:
    assert read(document(extra={LIST: listed})).bodies[0].list_faulty


def test_other_namespaces_and_ways_to_link() -> None:
    files = {
        name: body.replace(b"http://www.ofdspec.org/2016", b"http://www.ofdspec.org")
        for name, body in document(seals=False).items()
    }
    assert read(files).pages
    for old, new in (
        (b'BaseLoc="Pages/', b'BaseLoc="/Doc_0/Pages/'),
        (b'BaseLoc="Pages/', b'BaseLoc="pages/'),
        (b'BaseLoc="Pages/', b'BaseLoc="./Pages/../Pages/'),
        (b'BaseLoc="Pages/', b'BaseLoc=" Pages/'),
        (b'BaseLoc="Pages/', b'BaseLoc="../../../Doc_0/Pages/'),
    ):
        assert read(changed(ROOT, old, new)).pages[0].file == PAGE


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("OFD.xml", b"Doc_0/Document.xml", b"Doc_9/Document.xml"),
        ("OFD.xml", b"<ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>", b""),
        ("OFD.xml", b"DocBody", b"DocBodi"),
        ("OFD.xml", b"ofd:OFD", b"ofd:OFE"),
        ("OFD.xml", b"http://www.ofdspec.org/2016", b"urn:other"),
        (ROOT, b"ofd:Document>", b"ofd:Documents>"),
        (ROOT, b"http://www.ofdspec.org/2016", b"urn:other"),
        (ROOT, b"<ofd:PageArea><ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox></ofd:PageArea>", b""),
        (ROOT, b"0 0 210 297", b"0 0 210 0"),
        (ROOT, b"ofd:Pages", b"ofd:Pagez"),
        (ROOT, b'<ofd:Page ID="1" BaseLoc="Pages/Page_0/Content.xml"/>', b""),
    ],
)
def test_what_cannot_be_shown_is_refused(name: str, old: bytes, new: bytes) -> None:
    files = changed(name, old, new)
    if new.endswith(b"Documents>"):
        files[ROOT] = files[ROOT].replace(b"<ofd:Document ", b"<ofd:Documents ")
    assert code_of(files) == "ofd.document.malformed"


def test_a_package_without_a_root_is_refused() -> None:
    files = document(seals=False)
    del files["OFD.xml"]
    assert code_of(files) == "ofd.document.malformed"


def test_a_page_with_its_own_size_and_resources() -> None:
    own = b"<ofd:PageRes>Own.xml</ofd:PageRes><ofd:Area><ofd:PhysicalBox>0 0 100 50</ofd:PhysicalBox></ofd:Area>"
    files = changed(PAGE, b"<ofd:Content>", own + b"<ofd:Content>")
    files["Doc_0/Pages/Page_0/Own.xml"] = xml(
        f'<ofd:Res {NS} BaseLoc="/Doc_0/Fonts"><ofd:Fonts><ofd:Font ID="5"><ofd:FontFile>a.ttf</ofd:FontFile>'
        '</ofd:Font></ofd:Fonts><ofd:ColorSpaces><ofd:ColorSpace ID="6" Profile="p.icc"/></ofd:ColorSpaces></ofd:Res>'
    )
    files["Doc_0/Fonts/a.ttf"] = b"font"
    file = read(files)
    (page,) = file.pages
    assert page.box.width_mm == 100
    assert (page.resources["5"].kind, page.resources["5"].file) == ("Font", "Doc_0/Fonts/a.ttf")
    assert file.missing == ("Doc_0/Fonts/p.icc",)


def test_templates_in_front_and_unknown_ones() -> None:
    (page,) = read(changed(PAGE, b'ZOrder="Background"', b'ZOrder="Foreground"')).pages
    assert page.templates[0].foreground
    (page,) = read(changed(PAGE, b'TemplateID="9"', b'TemplateID="8"')).pages
    assert page.templates == ()


def test_broken_parts_are_noted_and_hostile_ones_raised() -> None:
    file = read(changed(PAGE, b"</ofd:Page>", b""))
    assert (file.pages, file.damaged) == ((), (PAGE,))
    for name in ("Doc_0/PublicRes.xml", "Doc_0/Annots/Annotations.xml", "Doc_0/Attachs/Attachments.xml"):
        files = document(seals=False)
        files[name] = b"<a>"
        assert read(files).damaged == (name,)
        files[name] = b"<!DOCTYPE a><a/>"
        assert code_of(files) == "ofd.xml.doctype"
    assert code_of(changed("OFD.xml", b"</ofd:OFD>", b"")) == "ofd.xml.malformed"


def test_versions_and_extensions_are_followed() -> None:
    files = changed(
        "OFD.xml", b"</ofd:DocBody>", b'<ofd:Versions><ofd:Version BaseLoc="V.xml"/></ofd:Versions></ofd:DocBody>'
    )
    files["V.xml"] = xml(
        f"<ofd:DocVersion {NS}><ofd:FileList><ofd:File>/gone.xml</ofd:File></ofd:FileList></ofd:DocVersion>"
    )
    files[ROOT] = files[ROOT].replace(b"</ofd:Document>", b"<ofd:Extensions>E.xml</ofd:Extensions></ofd:Document>")
    files["Doc_0/E.xml"] = xml(
        f"<ofd:Extensions {NS}><ofd:Extension><ofd:ExtendData>d</ofd:ExtendData></ofd:Extension></ofd:Extensions>"
    )
    files["Doc_0/d"] = b"d"
    file = read(files)
    assert {"V.xml", "Doc_0/E.xml", "Doc_0/d"} <= file.reachable
    assert file.missing == ("gone.xml",)


def test_limits_hold_at_the_cap_and_break_one_above() -> None:
    two = changed(ROOT, b"<ofd:Pages>", b'<ofd:Pages><ofd:Page ID="8" BaseLoc="Pages/Page_0/Content.xml"/>')
    assert len(read(two, pages=2).pages) == 2
    assert code_of(two, pages=1) == "ofd.document.limit"
    assert code_of(document(seals=False), items=1) == "ofd.document.limit"
    assert read(document(seals=False), items=2)
    bodies = document(seals=False)
    body = bodies["OFD.xml"].partition(b"<ofd:DocBody>")[2].partition(b"</ofd:OFD>")[0]
    bodies["OFD.xml"] = bodies["OFD.xml"].replace(b"</ofd:OFD>", b"<ofd:DocBody>" + body + b"</ofd:OFD>")
    assert len(read(bodies, documents=2).bodies) == 2
    assert code_of(bodies, documents=1) == "ofd.document.limit"
    listed = document(extra={LIST: signature_list(["Seal"] * 3)})
    assert len(read(listed, signatures=3).bodies[0].signatures) == 3
    assert code_of(listed, signatures=2) == "ofd.document.limit"


def test_the_limit_of_elements_is_of_the_whole_package() -> None:
    files = document(seals=False)
    bodies = [body for name, body in files.items() if name.endswith(".xml")]
    nodes = (
        sum(parse_counted(body, limits=OFD_LIMITS, nodes=1000)[1] for body in bodies) - 1
    )  # the tags' file is not opened
    assert read(files, xml_nodes=nodes)
    assert code_of(document(seals=False), xml_nodes=nodes - 1) == "ofd.xml.nodes"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "1 2 3",
        "1 2 3 4 5",
        "1 2 3 x",
        "0 0 0 5",
        "0 0 5 -1",
        "nan 0 1 1",
        "0 0 inf 1",
        "0 0 1e9 1",
        "1,2,3,4",
    ],
)
def test_no_boxes(text: str | None) -> None:
    assert parse_box(text) is None


@given(st.lists(st.integers(1, 9999), min_size=4, max_size=4))
def test_boxes_with_any_blanks(numbers: list[int]) -> None:
    box = parse_box("  " + "\n ".join(f"{number / 100:.2f}" for number in numbers) + " ")
    assert box is not None
    assert [box.x_mm, box.y_mm, box.width_mm, box.height_mm] == [number / 100 for number in numbers]


# files that ask for much work with few bytes


def cpu_seconds(files: Files) -> float:
    package = read_package(stored(files), limits=OFD_LIMITS)
    began = time.process_time()
    with contextlib.suppress(FormatError):
        read_ofd(package, limits=OFD_LIMITS)
    return time.process_time() - began


def test_links_repeated_do_not_multiply_the_work() -> None:
    fonts = "".join(f'<ofd:Font ID="{number}"/>' for number in range(1900))
    files = changed(
        ROOT, b"</ofd:CommonData>", b"<ofd:PublicRes>PublicRes.xml</ofd:PublicRes>" * 9000 + b"</ofd:CommonData>"
    )
    files["Doc_0/PublicRes.xml"] = xml(f"<ofd:Res {NS}><ofd:Fonts>{fonts}</ofd:Fonts></ofd:Res>")
    assert cpu_seconds(files) < 2


def test_pages_and_templates_repeated_do_not_multiply_the_work() -> None:
    page = b'<ofd:Page ID="1" BaseLoc="Pages/Page_0/Content.xml"/>'
    files = changed(ROOT, page, page * OFD_LIMITS.pages)
    files[PAGE] = files[PAGE].replace(b"<ofd:Content>", b'<ofd:Template TemplateID="9"/>' * 15 + b"<ofd:Content>")
    files["Doc_0/Tpls/Tpl_0/Content.xml"] = xml(
        f"<ofd:Page {NS}>" + "<ofd:PageRes>x</ofd:PageRes>" * 40_000 + "</ofd:Page>"
    )
    assert cpu_seconds(files) < 2
    assert len(read(files | {"Doc_0/Tpls/Tpl_0/Content.xml": xml(f"<ofd:Page {NS}/>")}).pages[0].templates) == 16
    files[PAGE] = files[PAGE].replace(b"<ofd:Content>", b'<ofd:Template TemplateID="9"/><ofd:Content>')
    assert code_of(files) == "ofd.document.limit"


def test_annotations_repeated_are_limited() -> None:
    page = '<ofd:Page PageID="1"><ofd:FileLoc>Page_0/Annotation.xml</ofd:FileLoc></ofd:Page>'
    files = document(seals=False)
    files["Doc_0/Annots/Annotations.xml"] = xml(f"<ofd:Annotations {NS}>{page * 1900}</ofd:Annotations>")
    assert len(read(files).pages[0].annotations) == 1900
    notes = "<ofd:Annot/>" * 1900
    files["Doc_0/Annots/Page_0/Annotation.xml"] = xml(f"<ofd:PageAnnot {NS}>{notes}</ofd:PageAnnot>")
    assert code_of(files) == "ofd.document.limit"
    assert cpu_seconds(files) < 2


@given(st.text("ab./ ", max_size=6), st.text("ab./ \\", max_size=8))
def test_a_link_means_what_paths_mean(start: str, location: str) -> None:
    assert name_at(start, location) == posixpath.normpath(posixpath.join("/", start, location)).lstrip("/")


@pytest.mark.parametrize("twin", ["qr.png", "Res/qr.png", "Doc_0/qr.png"])
def test_a_link_that_another_folder_leads_elsewhere_goes_two_ways(twin: str) -> None:
    files = document(seals=False)
    assert read(files).two_ways == ()
    assert read({**files, twin: b"another"}).two_ways == ("Doc_0/Res/qr.png",)
