"""Our own files with two seals, as issued, edited in every way we could think of: none comes through unnoticed."""

import dataclasses
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import ofdoffice
import pytest
from ofdforge import LIST, NS, Files, Press, Zipped, folder, pack, put, seal, signature_list, xml, zipped

from mingzheng.formats.candidate import FileFacts
from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.keys.sm2backend import can_sign

pytestmark = pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")

ROOT, DOC, PAGE = "OFD.xml", "Doc_0/Document.xml", "Doc_0/Pages/Page_0/Content.xml"
SIGN, SIGN_2 = f"{folder(0)}/Signature.xml", f"{folder(1)}/Signature.xml"
VALUE, VALUE_2 = f"{folder(0)}/SignedValue.dat", f"{folder(1)}/SignedValue.dat"
Edit = Callable[[Files], None]


@cache
def own(studio: Any) -> tuple[tuple[str, bytes], ...]:
    page = studio.page(studio.claims(kind=3, specialties=()))
    return tuple(read_package(ofdoffice.sealed(page), limits=OFD_LIMITS).files.items())


def facts_of(data: bytes) -> FileFacts:
    package = read_package(data, limits=OFD_LIMITS)
    file = read_ofd(package, limits=OFD_LIMITS)
    seals, faults = check_ofd(package, file, limits=OFD_LIMITS)
    return dataclasses.replace(extract_nothing(), seals=seals, faults=faults)


def extract_nothing() -> FileFacts:
    return extract(b"1", limits=LIMITS_DEFAULT).facts


def test_as_issued_it_holds(studio: Any) -> None:
    found = extract(pack(dict(own(studio))), limits=LIMITS_DEFAULT)
    assert [item.faults for item in found.facts.seals] == [(), ()]
    assert found.facts.faults == ()
    assert found.problems == ()
    assert [item.where for item in found.candidates] == ["attachment:credential", "page:1:qr"]
    assert found.facts.attachments == ("credential", "receipt")


def sub(name: str, pattern: bytes, new: bytes) -> Edit:
    """Replace the first match; it must be there."""

    def edit(files: Files) -> None:
        files[name], count = re.subn(pattern, new, files[name], count=1, flags=re.DOTALL)
        assert count == 1

    return edit


def add(name: str, body: bytes = b"<x/>") -> Edit:
    return lambda files: files.update({name: body})


def drop(name: str) -> Edit:
    return lambda files: files.pop(name) and None


def swap(one: str, two: str) -> Edit:
    return lambda files: files.update({one: files[two], two: files[one]})


def both(*edits: Edit) -> Edit:
    def edit(files: Files) -> None:
        for item in edits:
            item(files)

    return edit


def first(suffix: str, then: Callable[[str], Edit]) -> Edit:
    """An edit of the first file whose name ends so."""
    return lambda files: then(next(name for name in files if name.endswith(suffix)))(files)


def second_document(files: Files) -> None:
    for name in [name for name in files if name.startswith("Doc_0/") and "/Signs/" not in name]:
        files[name.replace("Doc_0", "Doc_1", 1)] = files[name].replace(b"Doc_0", b"Doc_1")
    body = files[ROOT].partition(b"<ofd:DocBody>")[2].partition(b"</ofd:OFD>")[0]
    fresh = body.replace(b"Doc_0/Document.xml", b"Doc_1/Document.xml")
    files[ROOT] = files[ROOT].replace(b"<ofd:DocBody>", b"<ofd:DocBody>" + fresh, 1)


STAMP = '<ofd:StampAnnot ID="30" PageRef="8" Boundary="140 220 40 40"/>'


def resealed(files: Files) -> None:
    """A forger strips both seals, edits, and puts one of his own on."""
    for name in [name for name in files if "/Sign_" in name]:
        del files[name]
    sub(PAGE, rb"</ofd:Layer>", b"<!-- --></ofd:Layer>")(files)
    files.update(put(files, [Press(seal=seal("alice"), stamps=STAMP)]))


ANNOTATIONS = xml(
    f'<ofd:Annotations {NS}><ofd:Page PageID="1"><ofd:FileLoc>B.xml</ofd:FileLoc></ofd:Page></ofd:Annotations>'
)
ANNOTATION = xml(f'<ofd:PageAnnot {NS}><ofd:Annot ID="900" Type="Stamp" Creator="x"/></ofd:PageAnnot>')
EDITS: dict[str, Edit] = {
    "digit on the page": sub(PAGE, rb"(<ofd:TextCode[^>]*>)", rb"\g<1>1"),
    "glyphs on the page": sub(PAGE, rb"<ofd:TextCode", b"<ofd:CGTransform CodePosition='0'/><ofd:TextCode"),
    "cover path": sub(PAGE, rb"</ofd:Layer>", b'<ofd:PathObject ID="901" Boundary="0 0 210 297"/></ofd:Layer>'),
    "further layer": sub(PAGE, rb"</ofd:Content>", b"<ofd:Layer/></ofd:Content>"),
    "template in front": sub(PAGE, rb"<ofd:Template ", b'<ofd:Template ZOrder="Foreground" '),
    "template": first("Tpl_0/Content.xml", lambda name: sub(name, rb"</ofd:Page>", b" </ofd:Page>")),
    "font": first(".ttf", lambda name: sub(name, rb".\Z", b"!")),
    "pictures swapped": lambda files: swap(*[name for name in files if name.endswith((".png", ".jpg"))][:2])(files),
    "credential exchanged": first("credential.cose", lambda name: add(name, b"x")),
    "receipt emptied": first("receipt.txt", lambda name: add(name, b"")),
    "attachments swapped": lambda files: swap(*[n for n in files if "Attachs/" in n][1:3])(files),
    "attachment shown": first("Attachments.xml", lambda name: sub(name, rb'Visible="false"', b'Visible="true"')),
    "further attachment": first("Attachments.xml", lambda name: sub(name, rb"</ofd:Att", b"<x/></ofd:Att")),
    "metadata": sub(ROOT, rb"<ofd:Author>", b"<ofd:Author>x"),
    "custom data": sub(ROOT, rb"(<ofd:CustomData [^>]*>)", rb"\g<1>9"),
    "tags": first("CustomTags.xml", lambda name: sub(name, rb"</ofd:CustomTags>", b" </ofd:CustomTags>")),
    "usage window": sub(DOC, rb'EndDate="', b'EndDate="2'),
    "page size": sub(DOC, rb"PhysicalBox>0 0 210", b"PhysicalBox>0 0 211"),
    "action on opening": sub(DOC, rb"</ofd:Document>", b"<ofd:Actions/></ofd:Document>"),
    "annotation linked": both(
        sub(DOC, rb"</ofd:Document>", b"<ofd:Annotations>A.xml</ofd:Annotations></ofd:Document>"),
        add("Doc_0/A.xml", ANNOTATIONS),
        add("Doc_0/B.xml", ANNOTATION),
    ),
    "file added": add("Doc_0/Res/more.bin"),
    "file added beside the seal": add(f"{folder(0)}/more.bin"),
    "folder of a third seal": add(f"{folder(2)}/Signature.xml"),
    "second document": second_document,
    "root moved": sub(ROOT, rb"Doc_0/Document.xml", b"Doc_1/Document.xml"),
    "list pointer cut": sub(ROOT, rb"<ofd:Signatures>.*</ofd:Signatures>", b""),
    "list pointer moved": both(
        sub(ROOT, rb"Signs/Signatures.xml", b"Signs/Other.xml"), add("Doc_0/Signs/Other.xml", signature_list([]))
    ),
    "list emptied": add(LIST, signature_list([])),
    "list gone": drop(LIST),
    "list says Sign": sub(LIST, rb'Type="Seal"', b'Type="Sign"'),
    "list with content": sub(LIST, rb"</ofd:Signatures>", b"<ofd:Layer/></ofd:Signatures>"),
    "first seal struck off": sub(LIST, rb'<ofd:Signature [^>]*Sign_0[^>]*/>', b""),
    "second seal struck off": sub(LIST, rb'<ofd:Signature [^>]*Sign_1[^>]*/>', b""),
    "stamp moved": sub(SIGN, rb'Boundary="', b'Boundary="1'),
    "stamp dropped": sub(SIGN, rb"<ofd:StampAnnot[^>]*/>", b""),
    "stamp added": sub(SIGN_2, rb"(<ofd:StampAnnot[^>]*/>)", rb"\g<1>\g<1>"),
    "reference dropped": sub(SIGN_2, rb"<ofd:Reference .*?</ofd:Reference>", b""),
    "references emptied": sub(SIGN_2, rb"(<ofd:References[^>]*>).*(</ofd:References>)", rb"\g<1>\g<2>"),
    "digest downgraded": sub(SIGN, rb'CheckMethod="[^"]*"', b'CheckMethod="MD5"'),
    "seals swapped": swap(SIGN, SIGN_2),
    "values swapped": swap(VALUE, VALUE_2),
    "seal files swapped": swap(f"{folder(0)}/Seal.esl", f"{folder(1)}/Seal.esl"),
    "value doubled": lambda files: files.update({VALUE_2: files[VALUE]}),
    "value cut": lambda files: files.update({VALUE: files[VALUE][:-1]}),
    "value lengthened": lambda files: files.update({VALUE_2: files[VALUE_2] + b"\0"}),
    "seal file gone": drop(f"{folder(1)}/Seal.esl"),
    "entity": sub(DOC, rb"\?>", b"?><!DOCTYPE a [<!ENTITY b 'c'>]>"),
    "instruction": sub(PAGE, rb"\?>", b"?><?x y?>"),
}  # fmt: skip

CONTAINER: dict[str, Callable[[list[Zipped]], bytes]] = {
    "comment": lambda entries: zipped(entries, comment=b"x"),
    "bytes behind": lambda entries: zipped(entries) + b"x",
    "bytes before": lambda entries: b"x" + zipped(entries),
    "bytes between": lambda entries: zipped([entries[0], dataclasses.replace(entries[1], before=b"x"), *entries[2:]]),
    "entry twice": lambda entries: zipped([*entries, dataclasses.replace(entries[2], body=b"evil")]),
    "entry twice, first": lambda entries: zipped([dataclasses.replace(entries[2], body=b"evil"), *entries]),
    "other capitals": lambda entries: zipped([*entries, Zipped(name=entries[1].name.upper(), body=b"evil")]),
    "detour": lambda entries: zipped([*entries, Zipped(name=b"./" + entries[1].name, body=b"evil")]),
    "backslash": lambda entries: zipped([*entries, Zipped(name=entries[1].name.replace(b"/", b"\\"), body=b"evil")]),
    "absolute": lambda entries: zipped([*entries, Zipped(name=b"/" + entries[1].name, body=b"evil")]),
    "out of the package": lambda entries: zipped([*entries, Zipped(name=b"../x", body=b"evil")]),
    "other name in the header": lambda entries: zipped(
        [dataclasses.replace(entries[0], local={"name": b"OFD.xmk"}), *entries[1:]]
    ),
    "encrypted": lambda entries: zipped([dataclasses.replace(entries[0], flags=0x0801), *entries[1:]]),
    "second name": lambda entries: zipped([dataclasses.replace(entries[0], extra=b"\x75\x70\x01\0x"), *entries[1:]]),
    "cut": lambda entries: zipped(entries)[:-30],
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_of_a_file_is_noticed(studio: Any, what: str) -> None:
    files = dict(own(studio))
    EDITS[what](files)
    assert files != dict(own(studio))
    try:
        facts = facts_of(pack(files))
    except FormatError:
        return
    assert any(item.faults for item in facts.seals) or facts.faults


def test_stripped_and_sealed_again_it_holds_under_another_certificate(studio: Any) -> None:
    """Whose seal it is, is not for the file to say: the forger's certificate is in no trust data."""
    files = dict(own(studio))
    resealed(files)
    facts = facts_of(pack(files))
    assert [item.faults for item in facts.seals] == [()]
    theirs = {item.certificate for item in facts_of(pack(dict(own(studio)))).seals}
    assert theirs.isdisjoint(item.certificate for item in facts.seals)


@pytest.mark.parametrize("what", CONTAINER)
def test_an_edit_of_the_container_is_noticed(studio: Any, what: str) -> None:
    data = CONTAINER[what]([Zipped(name=name.encode(), body=body) for name, body in own(studio)])
    try:
        facts = facts_of(data)
    except FormatError as error:
        assert error.code.startswith("ofd.zip.")  # noqa: PT017
        return
    assert facts.faults == (("file.comment", ""),)
