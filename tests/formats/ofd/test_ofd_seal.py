"""Seals on our own OFD files: they hold, the second covers the first, every change shows, misuse is refused."""

import dataclasses
import io
import random
import zipfile
from functools import cache
from typing import TYPE_CHECKING, Any

import ofdoffice
import pytest
from conftest import FULL
from ofdforge import AT, CA_USAGE, DAY, certificate, seal_of_version

from mingzheng.formats.candidate import SealFacts, SealForm
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd import seal as sealing
from mingzheng.formats.ofd.compose import SIGNATURES
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.seal import OfdSealError, SealPlacement, make_seal, seal_ofd
from mingzheng.formats.ofd.sealpicture import seal_picture_ofd
from mingzheng.formats.ofd.ses import SesError, encode_seal, encode_seal_info, parse_seal, parse_signature
from mingzheng.formats.ofd.xmlwrite import OfdWriteError
from mingzheng.formats.ofd.zipwrite import join_package, pack_file, split_package, write_package
from mingzheng.formats.page import PageSpec, Rect, SealShape, SealSlot, seal_slots
from mingzheng.formats.sealart import organisation_seal
from mingzheng.keys.errors import CertError
from mingzheng.keys.sealkey import SealAlg
from mingzheng.keys.sm2backend import can_sign
from mingzheng.keys.sm3 import sm3
from mingzheng.keys.x509 import parse_certificate, verify_signed

if TYPE_CHECKING:
    from conftest import Studio  # type: ignore[import-not-found]
else:
    Studio = Any


pytestmark = pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")


def files_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def checked(data: bytes) -> tuple[tuple[SealFacts, ...], tuple[tuple[str, str], ...]]:
    package = read_package(data, limits=OFD_LIMITS)
    return check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)


def exchanged(data: bytes, name: str, body: bytes) -> bytes:
    """The package with one file exchanged."""
    return join_package(pack_file(name, body, level=1) if file.name == name else file for file in split_package(data))


@cache
def page_of(studio: Studio, kind: int) -> PageSpec:
    return studio.page(studio.claims(kind=kind, specialties=() if kind == 3 else studio.claims().specialties))


@cache
def sealed(studio: Studio, kind: int = 1, vector: bool = False) -> bytes:
    return ofdoffice.sealed(page_of(studio, kind), vector=vector)


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("kind", [1, 3])
def test_seals_hold_and_stand_where_they_were_put(studio: Studio, kind: int, vector: bool) -> None:
    facts, faults = checked(sealed(studio, kind, vector))
    slots = seal_slots(page_of(studio, kind))
    assert faults == ()
    assert len(facts) == len(slots) == (2 if kind == 3 else 1)
    for at, (fact, slot) in enumerate(zip(facts, slots, strict=True)):
        assert fact.faults == ()
        assert (fact.form, fact.place) == (SealForm.SES, f"Doc_0/Signs/Sign_{at}")
        assert fact.certificate == ofdoffice.seal_key(slot.body).certificate
        assert fact.signed_at == AT + 60 * at
        assert fact.details is not None
        assert (fact.details.version, fact.details.name) == (4, slot.body)
        (mark,) = fact.marks
        assert (mark.page, mark.rect) == (1, ofdoffice.place(slot).rect)


def test_the_second_seal_covers_everything_of_the_first(studio: Studio) -> None:
    files = files_of(sealed(studio, 3))
    first, second = (files[f"Doc_0/Signs/Sign_{at}/Signature.xml"].decode() for at in (0, 1))
    own = {f"Doc_0/Signs/Sign_1/{name}" for name in ("Signature.xml", "SignedValue.dat")}
    for name in files.keys() - own - {SIGNATURES}:
        assert f'FileRef="/{name}"' in second
    assert "Signatures.xml" not in first + second
    assert "Sign_1" not in first
    assert first.index("SignedInfo") < first.index("SignedValue")


def test_signed_values_are_what_the_standards_ask_for(studio: Studio) -> None:
    files = files_of(sealed(studio, 1))
    base = "Doc_0/Signs/Sign_0"
    signature = parse_signature(files[f"{base}/SignedValue.dat"])
    assert signature.seal.raw == files[f"{base}/Seal.esl"]
    assert signature.data_hash == sm3(files[f"{base}/Signature.xml"])
    assert signature.property_info == f"/{base}/Signature.xml"
    for who, message, value in (
        (signature.certificate, signature.signed, signature.signature),
        (signature.seal.maker_certificate, signature.seal.signed, signature.seal.signature),
    ):
        verify_signed(parse_certificate(who), algorithm_oid=SealAlg.SM2.oid, message=message, signature=value)


def test_first_seal_is_untouched_by_the_second(studio: Studio) -> None:
    page = page_of(studio, 3)
    one, two = seal_slots(page)
    before = ofdoffice.put_on(ofdoffice.composed(page, seals=2), one)
    assert checked(before)[0][0].faults == ()
    after = ofdoffice.put_on(before, two)
    old, new = files_of(before), files_of(after)
    assert {name for name in old if old[name] != new[name]} == {SIGNATURES}
    assert [fact.faults for fact in checked(after)[0]] == [(), ()]


def test_every_changed_byte_of_a_covered_file_shows(studio: Studio) -> None:
    data = sealed(studio, 3)
    files, chance = files_of(data), random.Random(3)
    covered = [name for name in files if name != SIGNATURES]
    for _ in range(2000 if FULL else 80):
        name = chance.choice(covered)
        body = bytearray(files[name])
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        try:
            facts, faults = checked(exchanged(data, name, bytes(body)))
        except FormatError:
            continue
        assert faults or any(fact.faults for fact in facts), name


def test_every_changed_bit_of_a_signed_value_shows(studio: Studio) -> None:
    """Each seal's value flipped at places all over it, its certificate and picture included."""
    data = sealed(studio, 3, vector=True)
    files, chance = files_of(data), random.Random(4)
    for at in (0, 1):
        name = f"Doc_0/Signs/Sign_{at}/SignedValue.dat"
        for _ in range(500 if FULL else 25):
            body = bytearray(files[name])
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            facts, _ = checked(exchanged(data, name, bytes(body)))
            assert facts[at].faults or not facts[at].certificate
            assert at or "file.digest" in facts[1].faults  # the first one's value is under the second seal


@pytest.mark.parametrize("name", ["Doc_0/More.xml", "Doc_0/Signs/Sign_0/More.dat", "Doc_0/Annots/Annotations.xml"])
def test_an_added_file_shows(studio: Studio, name: str) -> None:
    files = {**files_of(sealed(studio, 3)), name: b"<x/>"}
    facts, faults = checked(write_package(list(files.items())))
    assert [("file.uncovered", name)] == list(faults)
    assert all(fact.faults == ("file.uncovered",) for fact in facts)


def test_a_seal_taken_off_leaves_the_other_but_is_missed(studio: Studio) -> None:
    """Taking off the last seal cannot be seen in the file: that two were due is for the trust data to say."""
    files = {name: body for name, body in files_of(sealed(studio, 3)).items() if "Sign_1" not in name}
    files[SIGNATURES] = files_of(ofdoffice.put_on(
        ofdoffice.composed(page_of(studio, 3), seals=2), seal_slots(page_of(studio, 3))[0]))[SIGNATURES]  # fmt: skip
    facts, faults = checked(write_package(list(files.items())))
    assert ([fact.faults for fact in facts], faults) == ([()], ())
    del files["Doc_0/Signs/Sign_0/SignedValue.dat"]
    assert checked(write_package(list(files.items())))[0][0].faults


def slot_of(studio: Studio) -> SealSlot:
    return seal_slots(page_of(studio, 1))[0]


@cache
def ready(studio: Studio) -> bytes:
    return ofdoffice.composed(page_of(studio, 1), seals=1)


def refused(reason: str, studio: Studio, **changes: Any) -> None:
    slot = slot_of(studio)
    values: dict[str, Any] = {
        "seal": ofdoffice.seal(slot.body),
        "key": ofdoffice.seal_key(slot.body),
        "placements": [ofdoffice.place(slot)],
        "at": AT,
    }
    with pytest.raises(OfdSealError) as caught:
        seal_ofd(ready(studio), **{**values, **changes})
    assert caught.value.reason == reason


def test_sealing_is_refused_where_it_would_not_hold(studio: Studio) -> None:
    slot = slot_of(studio)
    refused("signer", studio, key=ofdoffice.seal_key("another"))
    refused("validity", studio, at=AT - 2 * DAY)
    refused("validity", studio, at=AT + 501 * DAY)
    refused("place", studio, placements=[])
    refused("place", studio, placements=[dataclasses.replace(ofdoffice.place(slot), page=2)])
    off = Rect(x_mm=190, y_mm=200, width_mm=42, height_mm=42)
    refused("place", studio, placements=[SealPlacement(page=1, rect=off)])
    refused("algorithm", studio, key=dataclasses.replace(ofdoffice.seal_key(slot.body), alg=SealAlg.P256))
    design = ofdoffice.design(slot.body, SealShape.CIRCLE)
    lasting = dataclasses.replace(design, valid_until=AT + 4000 * DAY)
    late = make_seal(lasting, maker=ofdoffice.seal_key("maker"))
    refused("certificate", studio, seal=late, at=AT + 3000 * DAY)
    old = parse_seal(ofdoffice.seal(slot.body))
    digests = dataclasses.replace(
        old.info, certs_kind=sealing.CertListKind.DIGESTS, certs=(bytes(32),), digest_names=("SM3",)
    )
    by_digest = encode_seal(
        encode_seal_info(digests), certificate=old.maker_certificate, algorithm=old.algorithm, signature=old.signature
    )
    refused("signer", studio, seal=by_digest)


def test_only_seals_of_version_4_are_put_on(studio: Studio) -> None:
    for version in (1, 5):
        refused("version", studio, seal=seal_of_version(version, "alice"), key=ofdoffice.seal_key("alice"))


def test_only_files_made_ready_are_sealed(studio: Studio) -> None:
    slot = slot_of(studio)
    with pytest.raises(OfdSealError) as caught:
        ofdoffice.put_on(ofdoffice.composed(page_of(studio, 1)), slot)
    assert caught.value.reason == "not_prepared"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files_of(ready(studio)).items():
            archive.writestr(name, body)
    with pytest.raises(OfdWriteError):
        ofdoffice.put_on(stream.getvalue(), slot)
    with pytest.raises(FormatError):
        ofdoffice.put_on(b"PK", slot)
    with pytest.raises(SesError):
        seal_ofd(ready(studio), seal=b"0", key=ofdoffice.seal_key(slot.body), placements=[ofdoffice.place(slot)], at=AT)


def test_designs_that_will_not_do_are_refused() -> None:
    good = ofdoffice.design("某局", SealShape.CIRCLE)
    for reason, changes in (
        ("esid", {"esid": "a b"}),
        ("esid", {"esid": ""}),
        ("name", {"name": ""}),
        ("name", {"name": "a" * 101}),
        ("name", {"name": "a\n"}),
        ("picture", {"picture": b"GIF89a"}),
        ("picture", {"picture_type": "gif"}),
        ("size", {"width_mm": 0}),
        ("size", {"height_mm": 201}),
        ("kind", {"kind": 3}),
        ("validity", {"valid_until": good.valid_from}),
        ("signers", {"signers": ()}),
        ("signers", {"signers": (certificate("not for signing", usage=CA_USAGE - {"keyCertSign"}),)}),
    ):
        with pytest.raises(OfdSealError) as caught:
            make_seal(dataclasses.replace(good, **changes), maker=ofdoffice.seal_key("maker"))  # type: ignore[arg-type]
        assert caught.value.reason == reason
    with pytest.raises(CertError):
        make_seal(dataclasses.replace(good, signers=(b"x",)), maker=ofdoffice.seal_key("maker"))


def test_a_maker_whose_signature_does_not_hold_makes_no_seal() -> None:
    class Wrong:
        alg = SealAlg.SM2
        certificate = ofdoffice.seal_key("maker").certificate
        chain = ()

        def sign(self, message: bytes) -> bytes:
            return ofdoffice.seal_key("another").sign(message)

    with pytest.raises(CertError):
        make_seal(ofdoffice.design("某局", SealShape.CIRCLE), maker=Wrong())


def test_the_face_as_ofd_is_a_package_of_its_own(studio: Studio) -> None:
    art = organisation_seal("某省住房和城乡建设厅", number=None, fonts=studio.fonts)
    data = seal_picture_ofd(art)
    package = read_package(data, limits=OFD_LIMITS)
    file = read_ofd(package, limits=OFD_LIMITS)
    (page,) = file.pages
    assert (page.box.width_mm, page.box.height_mm) == (art.width_mm, art.height_mm)
    assert file.reachable == package.files.keys()
    assert package.files["Doc_0/Pages/Page_0/Content.xml"].count(b"<ofd:PathObject") == len(art.paths)
    assert data == seal_picture_ofd(art)
