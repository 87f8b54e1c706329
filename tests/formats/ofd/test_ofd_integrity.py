"""Seals and coverage of packages made by the forge: what holds, and every way it does not, each with its code."""

import base64
import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import sealpress
from conftest import FULL
from hypothesis import given
from hypothesis import strategies as st
from ofdforge import (
    AT,
    DAY,
    LIST,
    NS,
    SM2,
    Files,
    Press,
    certificate,
    document,
    folder,
    key,
    pack,
    put,
    seal,
    seal_of_version,
    ses_value,
    signature_list,
    xml,
)
from stampworld import LocalStamps

from mingzheng.formats.candidate import SealFacts, SealForm
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd import integrity
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import FAULTS, SEAL_CACHE_MAX, check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.ses import encode_seal, encode_seal_info, encode_signature, encode_tbs, parse_seal
from mingzheng.keys import der
from mingzheng.keys.sm2backend import can_sign
from mingzheng.keys.sm3 import sm3

pytestmark = pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")

SECOND = '<ofd:StampAnnot ID="31" PageRef="1" Boundary="90 230 22 22"/>'
BOB = Press(signer="bob", stamps=SECOND)
PAGE = "Doc_0/Pages/Page_0/Content.xml"
SIGN = f"{folder(0)}/Signature.xml"
VALUE = f"{folder(0)}/SignedValue.dat"
Checked = tuple[tuple[SealFacts, ...], tuple[tuple[str, str], ...]]


def check(files: Files) -> Checked:
    package = read_package(pack(files), limits=OFD_LIMITS)
    return check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)


def faults_of(files: Files) -> tuple[list[tuple[str, ...]], set[tuple[str, str]]]:
    seals, named = check(files)
    return [item.faults for item in seals], set(named)


# what holds


def test_one_seal_over_everything_holds() -> None:
    (facts,), named = check(put(document()))
    assert (facts.faults, named) == ((), ())
    assert (facts.form, facts.place, facts.signed_at) == (SealForm.SES, "Doc_0/Signs/Sign_0", AT)
    assert facts.certificate == certificate("alice")
    assert facts.details is not None
    assert facts.details.maker_certificate == certificate("maker")
    assert (facts.details.valid_from, facts.details.valid_until) == (AT - DAY, AT + 500 * DAY)
    assert facts.details.sha256 == hashlib.sha256(seal("alice", "bob")).digest()
    assert [(mark.page, mark.rect.x_mm) for mark in facts.marks] == [(1, 140)]


def test_a_second_seal_chains_over_the_first() -> None:
    seals, named = check(put(document(), [Press(), BOB]))
    assert [item.place for item in seals] == [folder(0), folder(1)]
    assert [item.faults for item in seals] == [(), ()]
    assert named == ()


def test_the_order_of_sealing_is_not_the_order_of_the_list() -> None:
    files = put(document(), [Press(), BOB])
    head, first, second = (files[LIST].index(mark) for mark in (b"<ofd:Signature ID", b'ID="1"', b'ID="2"'))
    assert head < first < second
    lines = files[LIST].decode()
    one, two = (f'<ofd:Signature ID="{n}" Type="Seal" BaseLoc="/{folder(n - 1)}/Signature.xml"/>' for n in (1, 2))
    files[LIST] = lines.replace(one + two, two + one).encode()
    seals, named = check(files)
    assert [item.place for item in seals] == [folder(0), folder(1)]
    assert named == ()


@pytest.mark.parametrize(
    "press",
    [
        Press(whole=True),
        Press(esl=False),
        Press(check="sm3"),
        Press(check="2.16.840.1.101.3.4.2.1", digest=lambda data: hashlib.sha256(data).digest(),
              value=lambda raw, name: value_with(raw, name, data_hash=hashlib.sha256(raw).digest())),
        Press(seal=seal("alice", digests=True)),
        Press(seal=seal_of_version(5, "alice")),
        Press(stamps=""),
        Press(method="1.2.156.10197.1.301"),
    ],
    ids=["whole", "no seal file", "name of digest", "sha256", "digests", "version 5", "no stamp", "other oid"],
)  # fmt: skip
def test_other_honest_ways_hold(press: Press) -> None:
    assert faults_of(put(document(), [press])) == ([()], set())


def value_with(
    raw: bytes, name: str, *, data_hash: bytes | None = None, place: str | None = None, oid: str = SM2,
    signer: str = "alice", named: str | None = None, timestamp: bytes | None = None, use: bytes | None = None,
) -> bytes:  # fmt: skip
    """A signature value with one thing other than it should be."""
    tbs = encode_tbs(
        use or seal("alice", "bob"), time=AT, data_hash=data_hash or sm3(raw), property_info=place or f"/{name}"
    )
    return encode_signature(
        tbs,
        certificate=certificate(named or signer),
        algorithm=oid,
        signature=key(signer).sign(tbs),
        timestamp=timestamp,
    )


def version_1(raw: bytes, name: str, *, time: bytes | None = None) -> bytes:
    """SES_Signature of version 1: certificate and algorithm are inside the signed part."""
    tbs = der.der_sequence(
        der.der_integer(1),
        seal_of_version(1, "alice"),
        time or der.der_bits(b"20261121160000Z"),
        der.der_bits(sm3(raw)),
        der.der_ia5(f"/{name}"),
        der.der_octets(certificate("alice")),
        der.der_oid(SM2),
    )
    return der.der_sequence(tbs, der.der_bits(key("alice").sign(tbs)))


def test_version_1_holds() -> None:
    (facts,), named = check(put(document(), [Press(seal=seal_of_version(1, "alice"), value=version_1)]))
    assert (facts.faults, named) == ((), ())
    assert facts.details is not None
    assert facts.details.version == 1


def stamped(raw: bytes, name: str, *, late: int = 0, of: bytes | None = None) -> bytes:
    """A signature value of version 4 with a time stamp (RFC 3161) over the signature, or over something else."""
    tbs = encode_tbs(seal("alice", "bob"), time=sealpress.AT - late, data_hash=sm3(raw), property_info=f"/{name}")
    signature = key("alice").sign(tbs)
    token = LocalStamps(archive=False).stamp(hashlib.sha256(of or signature).digest())
    return encode_signature(tbs, certificate=certificate("alice"), algorithm=SM2, signature=signature, timestamp=token)


def test_a_time_stamp_must_hold_and_its_time_is_not_used() -> None:
    (facts,), named = check(put(document(), [Press(value=lambda raw, name: stamped(raw, name, late=60))]))
    assert (facts.faults, named) == ((), ())
    assert (facts.timestamped, facts.signed_at) == (False, sealpress.AT - 60)
    for value in (
        lambda raw, name: stamped(raw, name, of=b"x"),
        lambda raw, name: stamped(raw, name, late=86_400 * 2),
    ):
        assert faults_of(put(document(), [Press(value=value)]))[0] == [("seal.timestamp",)]


def test_a_time_stamp_on_a_seal_of_version_5() -> None:
    bare = parse_seal(seal_of_version(5, "alice"))
    token = LocalStamps(archive=False).stamp(hashlib.sha256(bare.signature).digest())
    for stamp, faults in ((token, ()), (b"\1\2\3", ("seal.timestamp",))):
        whole = der.parse_der(bare.raw)
        body = b"".join(node.raw() for node in whole.children())
        press = Press(seal=der.der_sequence(body, der.der_explicit(0, der.der_bits(stamp))))
        assert faults_of(put(document(), [press]))[0] == [faults]


# what does not: one thing wrong in the signature


def swapped(*names: str) -> bytes:
    """A seal whose info is of other signers than its maker signed."""
    good = parse_seal(seal("alice", "bob"))
    info = encode_seal_info(replace(good.info, name="另一枚印章"))
    return encode_seal(info, certificate=good.maker_certificate, algorithm=good.algorithm, signature=good.signature)


def of_bad_maker() -> bytes:
    good = parse_seal(seal("alice", "bob"))
    return encode_seal(good.signed, certificate=b"\x30\x00", algorithm=good.algorithm, signature=good.signature)


Value = Callable[[bytes, str], bytes]
UNMADE = {"seal.seal_differs"}
WRONG_VALUES: dict[str, tuple[Value, set[str]]] = {
    "nothing": (lambda raw, name: b"", {"seal.format"}),
    "trailing": (lambda raw, name: value_with(raw, name) + b"\0", {"seal.format"}),
    "bare": (lambda raw, name: key("alice").sign(raw), {"seal.format"}),
    "other key": (lambda raw, name: value_with(raw, name, signer="mallory", named="alice"), {"seal.signature"}),
    "not in the list": (lambda raw, name: value_with(raw, name, signer="mallory"), {"seal.cert_list"}),
    "other algorithm": (lambda raw, name: value_with(raw, name, oid="1.2.840.10045.4.3.2"), {"seal.algorithm"}),
    "other place": (lambda raw, name: value_with(raw, name, place="/Doc_0/Signs/Sign_9/Signature.xml"), {"seal.place"}),
    "other digest": (lambda raw, name: value_with(raw, name, data_hash=sm3(b"x")), {"file.signature_xml"}),
    "time stamp": (lambda raw, name: value_with(raw, name, timestamp=b"\x30\0"), {"seal.timestamp"}),
    "other seal": (lambda raw, name: value_with(raw, name, use=seal("alice")), {"seal.seal_differs"}),
    "no maker's seal": (lambda raw, name: value_with(raw, name, use=swapped()), UNMADE | {"seal.seal_signature"}),
    "no maker": (lambda raw, name: value_with(raw, name, use=of_bad_maker()), UNMADE | {"seal.seal_format"}),
    "time of version 1": (
        lambda raw, name: version_1(raw, name, time=der.der_bits(b"\x30\0")),
        {"seal.timestamp", "seal.seal_differs"},
    ),
    "version 7": (
        lambda raw, name: value_with(raw, name).replace(b"\x02\x01\x04", b"\x02\x01\x07", 1), {"seal.version"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_VALUES)
def test_a_wrong_signature_value_is_named(what: str) -> None:
    value, expected = WRONG_VALUES[what]
    ((faults,), named) = faults_of(put(document(), [Press(value=value)]))
    assert set(faults) == expected
    assert list(faults) == sorted(faults, key=list(FAULTS).index)
    assert {name for code, name in named if code == "seal.format"} <= {VALUE}


def test_a_certificate_that_may_not_sign_or_is_none() -> None:
    def of_ca(raw: bytes, name: str) -> bytes:
        tbs = encode_tbs(seal("alice", "bob"), time=AT, data_hash=sm3(raw), property_info=f"/{name}")
        cert = certificate("alice", usage=frozenset({"keyEncipherment"}))
        return encode_signature(tbs, certificate=cert, algorithm=SM2, signature=key("alice").sign(tbs))

    def of_none(raw: bytes, name: str) -> bytes:
        tbs = encode_tbs(seal("alice", "bob"), time=AT, data_hash=sm3(raw), property_info=f"/{name}")
        return encode_signature(tbs, certificate=b"\x30\0", algorithm=SM2, signature=key("alice").sign(tbs))

    assert faults_of(put(document(), [Press(value=of_ca)]))[0] == [("seal.certificate_usage", "seal.cert_list")]
    assert faults_of(put(document(), [Press(value=of_none)]))[0] == [("seal.certificate", "seal.cert_list")]


@pytest.mark.parametrize("check_method", ["MD5", "SHA1", "", "1.2.156.10197.1.401.2", "2.16.840.1.101.3.4.2.3"])
def test_weak_and_unknown_digests_are_refused(check_method: str) -> None:
    press = Press(check=check_method, digest=lambda data: hashlib.md5(data).digest())
    assert faults_of(put(document(), [press]))[0] == [("seal.digest_method",)]


def test_a_method_that_differs_from_the_signature_is_refused() -> None:
    assert faults_of(put(document(), [Press(method="1.2.840.113549.1.1.11")]))[0] == [("seal.algorithm",)]


# what does not: the package after sealing


Edit = Callable[[Files], None]


def _set(name: str, old: bytes, new: bytes) -> Edit:
    def edit(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return edit


def _add(name: str, body: bytes) -> Edit:
    return lambda files: files.update({name: body})


def _drop(name: str) -> Edit:
    return lambda files: files.pop(name) and None


BOGUS = f"{folder(7)}/Signature.xml"


def _bogus_seal(files: Files) -> None:
    """A signature added later whose files are content: it must not spare them."""
    files[LIST] = files[LIST].replace(
        b"</ofd:Signatures>", f'<ofd:Signature ID="8" BaseLoc="/{BOGUS}"/></ofd:Signatures>'.encode()
    )
    files["Doc_0/Extra.xml"] = b"<extra/>"
    files[BOGUS] = xml(
        f'<ofd:Signature {NS}><ofd:SignedInfo><ofd:References CheckMethod="SM3"/><ofd:Seal><ofd:BaseLoc>/{PAGE}'
        "</ofd:BaseLoc></ofd:Seal></ofd:SignedInfo><ofd:SignedValue>/Doc_0/Extra.xml</ofd:SignedValue></ofd:Signature>"
    )


def _second_body(files: Files) -> None:
    body = files["OFD.xml"].partition(b"<ofd:DocBody>")[2].partition(b"</ofd:OFD>")[0]
    files["OFD.xml"] = files["OFD.xml"].replace(b"</ofd:OFD>", b"<ofd:DocBody>" + body + b"</ofd:OFD>")


def _moved_root(files: Files) -> None:
    files["Doc_1/Document.xml"] = files["Doc_0/Document.xml"].replace(b'BaseLoc="', b'BaseLoc="/Doc_0/')
    _set("OFD.xml", b"Doc_0/Document.xml", b"Doc_1/Document.xml")(files)


def _unlinked_list(files: Files) -> None:
    _set("OFD.xml", f"<ofd:Signatures>/{LIST}</ofd:Signatures>".encode(), b"")(files)


def _repeated(files: Files) -> None:
    entry = f'<ofd:Signature ID="1" Type="Seal" BaseLoc="/{SIGN}"/>'.encode()
    _set(LIST, entry, entry + entry)(files)


def says(edit: Edit, code: str, name: str) -> tuple[Edit, set[str], set[tuple[str, str]]]:
    """The seal and the file both say this code, and the file names this one."""
    return edit, {code}, {(code, name)}


COPY = "Doc_0/Pages/Page_0/Copy.xml"
TEMPLATE = "Doc_0/Tpls/Tpl_0/Content.xml"
NOTES = "Doc_0/Annots/Annotations.xml"
NOTE = "Doc_0/Annots/Page_0/Annotation.xml"
ROOT = "Doc_0/Document.xml"
ESL = f"{folder(0)}/Seal.esl"
TOKEN = "Doc_0/Attachs/credential.cose"
# edit, faults of the seal (None: whatever they are), faults of the file
LISTED = {("file.signature_list", LIST)}
EDITS: dict[str, tuple[Edit, set[str] | None, set[tuple[str, str]]]] = {
    "page text": says(_set(PAGE, b"22 213", b"23 213"), "file.digest", PAGE),
    "attachment": says(_add(TOKEN, b"x"), "file.digest", TOKEN),
    "metadata": says(_set("OFD.xml", b">v<", b">w<"), "file.digest", "OFD.xml"),
    "picture": says(_add("Doc_0/Res/qr.png", b"\x89PNG"), "file.digest", "Doc_0/Res/qr.png"),
    "template": says(_set(TEMPLATE, b"<ofd:Content/>", b"<ofd:Content></ofd:Content>"), "file.digest", TEMPLATE),
    "annotation": says(_set(NOTE, b"Link", b"Path"), "file.digest", NOTE),
    "annotations emptied": says(_add(NOTES, xml(f"<ofd:Annotations {NS}/>")), "file.digest", NOTES),
    "permissions": says(_set(ROOT, b"</ofd:Document>", b"<ofd:Permissions/></ofd:Document>"), "file.digest", ROOT),
    "page size": (_set(ROOT, b"210 297", b"297 210"), {"file.digest", "seal.mark"}, {("file.digest", ROOT)}),
    "blank in covered XML": says(_set(PAGE, b"/>", b" />"), "file.digest", PAGE),
    "file gone": says(_drop("Doc_0/Tags/Tag.xml"), "file.missing", "Doc_0/Tags/Tag.xml"),
    "file renamed": (
        lambda files: files.update({COPY: files.pop(PAGE)}),
        {"file.missing", "file.uncovered", "seal.mark"},
        {("file.missing", PAGE), ("file.uncovered", COPY)},
    ),
    "file added": says(_add("Doc_0/Extra.xml", b"<x/>"), "file.uncovered", "Doc_0/Extra.xml"),
    "file added at the top": says(_add("readme.txt", b"x"), "file.uncovered", "readme.txt"),
    "whole-package protection added": says(_add("OFDEntries.xml", b"<x/>"), "file.uncovered", "OFDEntries.xml"),
    "page broken": (
        _set(PAGE, b"</ofd:Page>", b"</ofd:Pag>"),
        {"file.digest", "seal.mark"},
        {("file.digest", PAGE), ("file.damaged", PAGE)},
    ),
    "root moved": (
        _moved_root,
        {"file.digest", "file.uncovered"},
        {("file.digest", "OFD.xml"), ("file.uncovered", "Doc_1/Document.xml")},
    ),
    "stamp moved": says(_set(SIGN, b"140 220", b"100 100"), "file.signature_xml", SIGN),
    "stamp dropped": says(_set(SIGN, b"StampAnnot", b"Stamp_nnot"), "file.signature_xml", SIGN),
    "provider": says(_set(SIGN, b'"forge"', b'"forgd"'), "file.signature_xml", SIGN),
    "date": says(_set(SIGN, b"20261121", b"20261122"), "file.signature_xml", SIGN),
    "downgrade": (
        _set(SIGN, b'CheckMethod="1.2.156.10197.1.401"', b'CheckMethod="MD5"'),
        {"seal.digest_method"},
        set(),
    ),
    "reference list emptied": (_set(SIGN, b"<ofd:Reference ", b"<ofd:Referenc_ "), None, set()),
    "description broken": says(_set(SIGN, b"</ofd:Signature>", b""), "seal.format", SIGN),
    "description of nothing": says(_add(SIGN, b"<x/>"), "seal.format", SIGN),
    "value gone": says(_drop(VALUE), "seal.format", SIGN),
    "description gone": (_drop(SIGN), {"seal.format"}, LISTED),
    "seal file changed": (_add(ESL, b"x"), {"file.digest", "seal.seal_differs"}, {("file.digest", ESL)}),
    "seal file gone": (_drop(ESL), {"file.missing", "seal.seal_differs"}, {("file.missing", ESL)}),
    "list with text": (_set(LIST, b"<ofd:MaxSignId>", b"x<ofd:MaxSignId>"), set(), LISTED),
    "list with an element": (_set(LIST, b"</ofd:Signatures>", b"<ofd:Content/></ofd:Signatures>"), set(), LISTED),
    "list with an attribute": (_set(LIST, b' Type="Seal"', b' Type="Seal" a="b"'), set(), LISTED),
    "list with an entry twice": (_repeated, None, LISTED),
    "list broken": (
        _set(LIST, b"</ofd:Signatures>", b""),
        None,
        {("file.signature_list", LIST), ("file.damaged", LIST)},
    ),
    "list gone": (_drop(LIST), None, {("file.signatures_missing", "")}),
    "list emptied": (_add(LIST, signature_list([])), None, {("file.unlisted_seal", SIGN)}),
    "list not named": (_unlinked_list, None, {("file.unlisted_seal", LIST)}),
    "seal called a signature": says(_set(LIST, b'Type="Seal"', b'Type="Sign"'), "seal.format", VALUE),
    "type unknown": (_set(LIST, b'Type="Seal"', b'Type="Stamp"'), set(), LISTED),
    "second document": (_second_body, None, {("file.several_documents", "")}),
    "bogus seal": (_bogus_seal, None, {("seal.format", "Doc_0/Extra.xml")}),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_after_sealing_is_named(what: str) -> None:
    edit, expected, named = EDITS[what]
    files = put(document())
    edit(files)
    seals, found = faults_of(files)
    assert found >= named
    assert any(seals) or found, "nobody noticed"
    if expected is not None:
        assert set(seals[0]) == expected


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_after_two_seals_is_noticed(what: str) -> None:
    files = put(document(), [Press(), BOB])
    try:
        EDITS[what][0](files)
    except AssertionError:
        pytest.skip("the list of two seals reads otherwise")
    seals, found = faults_of(files)
    assert any(seals) or found


# the second seal


def test_a_second_seal_that_leaves_out_the_first_is_named() -> None:
    for name in (SIGN, VALUE, f"{folder(0)}/Seal.esl"):
        seals, named = faults_of(put(document(), [Press(), replace(BOB, skip=(name,))]))
        assert seals == [(), ("file.uncovered",)]
        assert named == {("file.uncovered", name)}


def test_a_change_of_the_first_signature_value_breaks_the_second_seal() -> None:
    files = put(document(), [Press(), BOB])
    files[VALUE] = files[VALUE][:-1] + bytes((files[VALUE][-1] ^ 1,))
    seals, named = faults_of(files)
    assert seals == [("seal.signature",), ("file.digest",)]
    assert named == {("file.digest", VALUE)}


def test_a_second_seal_taken_away_leaves_its_files_or_one_whole_seal() -> None:
    files = put(document(), [Press(), BOB])
    one = put(document())
    left = files | {LIST: one[LIST]}
    seals, named = faults_of(left)
    assert seals == [("file.uncovered",)]
    assert ("file.unlisted_seal", f"{folder(1)}/Signature.xml") in named
    gone = {name: body for name, body in left.items() if folder(1) not in name}
    assert faults_of(gone) == ([()], set())  # one good seal: which are required is for the verifier


def test_the_first_seal_taken_off_the_list_is_named_though_covered() -> None:
    files = put(document(), [Press(), BOB])
    files[LIST] = files[LIST].replace(f'<ofd:Signature ID="1" Type="Seal" BaseLoc="/{SIGN}"/>'.encode(), b"")
    seals, named = faults_of(files)
    assert seals == [()]
    assert {code for code, _ in named} == {"file.unlisted_seal"}


def test_a_seal_added_after_the_list_was_closed_is_explained() -> None:
    seals, named = faults_of(put(document(), [Press(whole=True), BOB]))
    assert seals == [("file.sealed_after_closing",), ()]
    assert named == {("file.sealed_after_closing", LIST)}


def test_a_list_changed_without_a_later_seal_is_a_change() -> None:
    files = put(document(), [Press(whole=True)])
    files[LIST] = files[LIST].replace(b"<ofd:MaxSignId>1<", b"<ofd:MaxSignId>2<")
    assert faults_of(files) == ([("file.digest",)], {("file.digest", LIST)})


def test_seals_side_by_side_and_over_each_other() -> None:
    over = replace(BOB, stamps='<ofd:StampAnnot ID="31" PageRef="1" Boundary="170 250 22 22"/>')
    assert faults_of(put(document(), [Press(), over]))[0] == [(), ("seal.mark_overlap",)]


@pytest.mark.parametrize(
    "stamp", ['PageRef="2" Boundary="10 10 40 40"', 'PageRef="1" Boundary="180 10 40 40"',
              'PageRef="1" Boundary="-9 10 40 40"', 'PageRef="1" Boundary="10 10 40 40" Clip="50 0 10 10"']
)  # fmt: skip
def test_a_stamp_beside_the_page_is_named(stamp: str) -> None:
    press = Press(stamps=f'<ofd:StampAnnot ID="30" {stamp}/>')
    assert faults_of(put(document(), [press]))[0] == [("seal.mark",)]


@pytest.mark.parametrize("stamp", ['PageRef="1"', 'PageRef="1" Boundary="1 2 3"', 'Boundary="1 1 9 9" Clip="x"'])
def test_a_stamp_without_a_place_is_no_description(stamp: str) -> None:
    press = Press(stamps=f'<ofd:StampAnnot ID="30" {stamp}/>')
    assert faults_of(put(document(), [press]))[0] == [("seal.format",)]


def test_wrong_references_are_no_description() -> None:
    good = put(document())
    want = base64.b64encode(sm3(good[PAGE]))
    for old, new in (
        (want, b"!" * 44),
        (b'FileRef="/OFD.xml"', b""),
        (b"</ofd:CheckValue>", b"</ofd:CheckValue><ofd:CheckValue/>"),
    ):
        files = dict(good)
        _set(SIGN, old, new)(files)
        assert faults_of(files)[0] == [("seal.format",)]
    files = dict(good)
    _set(SIGN, want, base64.b64encode(sm3(good[PAGE])[:16]))(files)  # a digest of another length
    assert set(faults_of(files)[0][0]) == {"file.signature_xml", "file.digest"}


def test_too_many_references_or_stamps_are_no_description() -> None:
    stamp = '<ofd:StampAnnot PageRef="1" Boundary="10 10 40 40"/>'
    most = OFD_LIMITS.marks
    assert faults_of(put(document(), [Press(stamps=stamp * most)]))[0] == [()]
    assert faults_of(put(document(), [Press(stamps=stamp * (most + 1))]))[0] == [("seal.format",)]


def test_hostile_xml_in_a_signature_is_raised() -> None:
    files = put(document())
    files[SIGN] = b"<!DOCTYPE x>" + files[SIGN].partition(b"?>")[2]
    with pytest.raises(FormatError) as caught:
        check(files)
    assert caught.value.code == "ofd.xml.doctype"


def test_a_reference_outside_the_package_is_missing() -> None:
    seals, named = faults_of(put(document(), [Press(more={"../../etc/passwd": b"x"})]))
    assert seals == [("file.missing",)]
    assert named == {("file.missing", "etc/passwd")}


# every byte and bit


def test_every_changed_byte_of_a_covered_file_is_noticed() -> None:
    good = put(document(), [Press(), BOB])
    chance = random.Random(1)
    names = [name for name in good if name != LIST]
    for _ in range(3000 if FULL else 250):
        name = chance.choice(names)
        at = chance.randrange(len(good[name]))
        changed = good[name][:at] + bytes((good[name][at] ^ chance.randrange(1, 256),)) + good[name][at + 1 :]
        try:
            seals, named = faults_of(good | {name: changed})
        except FormatError:
            continue
        assert any(seals) or named, (name, at)


def test_every_changed_bit_of_a_signature_value_is_noticed() -> None:
    good = put(document())
    value = good[VALUE]
    chance = random.Random(2)
    bits = range(len(value) * 8) if FULL else chance.sample(range(len(value) * 8), 300)
    package = read_package(pack(good), limits=OFD_LIMITS)
    file = read_ofd(package, limits=OFD_LIMITS)
    for bit in bits:
        changed = bytearray(value)
        changed[bit // 8] ^= 1 << bit % 8
        forged = replace(package, files={**package.files, VALUE: bytes(changed)})
        seals, _ = check_ofd(forged, file, limits=OFD_LIMITS)
        assert seals[0].faults, bit


@cache
def sealed() -> bytes:
    return pack(put(document()))


@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_edit_of_the_bytes_gives_facts_or_a_typed_error(edits: list[tuple[int, int]]) -> None:
    data = bytearray(sealed())
    for place, byte in edits:
        data[place % len(data)] = byte
    try:
        package = read_package(bytes(data), limits=OFD_LIMITS)
        file = read_ofd(package, limits=OFD_LIMITS)
        seals, named = check_ofd(package, file, limits=OFD_LIMITS)
    except FormatError:
        return
    assert {code for item in seals for code in item.faults} <= FAULTS.keys()
    assert {code for code, _ in named} <= FAULTS.keys()


# the memory of seals


def test_a_seal_is_checked_once_and_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    whole = integrity._check_maker

    def counted(item):  # type: ignore[no-untyped-def]
        calls.append(item.raw)
        return whole(item)

    monkeypatch.setattr(integrity, "_check_maker", counted)
    integrity._seals.clear()
    files = put(document(), [Press(), BOB])
    check(files)
    check(files)
    assert len(calls) == 1
    for number in range(SEAL_CACHE_MAX + 5):
        integrity._seals[number.to_bytes(32)] = ()
    check(files)
    assert len(integrity._seals) == SEAL_CACHE_MAX


def test_a_bad_seal_is_remembered_as_bad() -> None:
    files = put(document(), [Press(seal=swapped())])
    for _ in range(2):
        assert faults_of(files)[0] == [("seal.seal_signature",)]
    assert faults_of(put(document()))[0] == [()]


def test_codes_say_seal_or_file_and_come_in_two_languages() -> None:
    for code, words in FAULTS.items():
        assert code.split(".")[0] in ("seal", "file")
        assert len(words.split(" / ")) == 2


def test_the_value_of_the_forge_is_what_the_forge_says() -> None:
    assert ses_value(Press(), b"x", SIGN) != ses_value(Press(signer="bob"), b"x", SIGN)
