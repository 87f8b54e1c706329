"""A holder's application: who may sign it, with what, when; every other file is refused, each with its own code."""

from collections.abc import Callable
from pathlib import Path

import pytest
from holderpress import FIRST, ID_NUMBER, LAST, NAME, NO_USAGE, SIGNED_AT, Holder, HolderCa, sign, signed_pdf
from office import NOW, Office, person

from mingzheng.issuer.applicationerrors import (
    ApplicationCaError,
    ApplicationChangedError,
    ApplicationDateError,
    ApplicationError,
    ApplicationExpiredError,
    ApplicationFileError,
    ApplicationPdfError,
    ApplicationUnsignedError,
    HolderCaMissingError,
    HolderCertificateError,
    OtherPersonError,
    SeveralSignaturesError,
    UnknownCaError,
)
from mingzheng.issuer.applying import (
    MAX_APPLICATION_BYTES,
    MAX_SIGNATURE_BYTES,
    Exchange,
    Handed,
    pin_holder_ca,
    plan_exchange,
)
from mingzheng.issuer.config import format_config, parse_config
from mingzheng.issuer.lifecycle import find_registration
from mingzheng.issuer.refusals import ConfigError, SealFileError
from mingzheng.issuer.rows import Application
from mingzheng.issuer.workspace import CONFIG
from mingzheng.keys import der
from mingzheng.keys.sealkey import SealAlg

NO = person(1)["registration_no"]
CA = HolderCa()
FOREIGN = HolderCa("别的机构", SealAlg.RSA)
DAY_SECONDS = 86_400


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    made = Office(tmp_path_factory.mktemp("office")).build()
    made.issue([person(1, id_number=ID_NUMBER, birth_date="1985-03-03", sex="男"), person(2)])
    with made.open() as workspace:
        pin_holder_ca(workspace, "ca.cer", CA.root)
    return made


def checked(
    office: Office, data: bytes, signature: bytes | None = None, *, number: int = 1, now: int = NOW
) -> Application:
    """What a dry run finds; nothing is stored."""
    with office.open() as workspace:
        no = person(number)["registration_no"]
        target = find_registration(workspace, kind=1, registration_no=no, issuer=None)
        asked = Exchange(wanted=None, reason="换领", handed=Handed(data=data, signature=signature))
        job = plan_exchange(workspace, target, asked, now=now)
        assert job.order.application is not None
        return job.order.application.facts


def code(number: str) -> bytes:
    """The identity code as GM/T 0015 has it: a tagged text in a SEQUENCE."""
    return der.der_sequence(der.der_tlv(0x80, number.encode()))


@pytest.mark.parametrize("alg", list(SealAlg))
@pytest.mark.parametrize("ca_alg", list(SealAlg))
def test_a_signed_pdf_of_every_kind_of_key_is_taken(tmp_path: Path, alg: SealAlg, ca_alg: SealAlg) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1)])
    ca = HolderCa(f"机构 {ca_alg}", ca_alg)
    with made.open() as workspace:
        pin_holder_ca(workspace, "ca.cer", ca.root)
    found = checked(made, signed_pdf(ca.holder(alg=alg)))
    assert (found.signed_at, found.is_stamped, found.by_number) == (SIGNED_AT, False, False)


@pytest.mark.parametrize("alg", list(SealAlg))
def test_a_signature_beside_any_file_is_taken(office: Office, alg: SealAlg) -> None:
    data = b"PK\x03\x04 an application in whatever form"
    found = checked(office, data, sign(CA.holder(alg=alg), data, signed_at=SIGNED_AT))
    assert found.signed_at == SIGNED_AT
    assert found.beside is not None
    with pytest.raises(ApplicationChangedError, match=r"file\.digest"):
        checked(office, data + b" ", sign(CA.holder(alg=alg), data, signed_at=SIGNED_AT))
    with pytest.raises(ApplicationChangedError, match=r"holder\.time"):
        checked(office, data, sign(CA.holder(alg=alg), data))


@pytest.mark.parametrize(
    ("holder", "by_number"),
    [
        (CA.holder(), False),
        (CA.holder(number=ID_NUMBER), True),
        (CA.holder(number=f"IDCCN-{ID_NUMBER}"), True),
        (CA.holder(code=code(ID_NUMBER)), True),
        (CA.holder(code=der.der_printable(ID_NUMBER)), True),
        (CA.holder(number="SH-2024-000017"), False),  # the authority's own count
    ],
)
def test_the_name_binds_and_the_number_where_there_is_one(office: Office, holder: Holder, by_number: bool) -> None:
    assert checked(office, signed_pdf(holder)).by_number is by_number


def test_a_number_counts_for_nothing_where_the_ledger_has_none(office: Office) -> None:
    other = CA.holder("王丙明", number=ID_NUMBER)
    assert checked(office, signed_pdf(other), number=2).by_number is False


OTHER_NUMBER = "110101198503030038"


@pytest.mark.parametrize(
    ("holder", "what"),
    [
        (CA.holder("王丙明", number=ID_NUMBER), "name"),
        (CA.holder(f"{NAME}二"), "name"),
        (CA.holder(number=OTHER_NUMBER), "identity number"),
        (CA.holder(number=f"IDCCN-{OTHER_NUMBER}"), "identity number"),
        (CA.holder(number="PASCN-E12345678"), "identity number"),
        (CA.holder(code=code(OTHER_NUMBER)), "identity number"),
        (CA.holder(number=ID_NUMBER, code=code(OTHER_NUMBER)), "identity number"),
    ],
)
def test_somebody_else_is_refused_and_not_named(office: Office, holder: Holder, what: str) -> None:
    with pytest.raises(OtherPersonError, match=what) as caught:
        checked(office, signed_pdf(holder))
    said = caught.value.zh + caught.value.en
    assert not any(word in said for word in (NAME, "王丙明", ID_NUMBER, OTHER_NUMBER, "E12345678"))


def test_a_name_is_compared_as_the_ledger_writes_it(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1, name="阿迪力·买买提")])
    with made.open() as workspace:
        pin_holder_ca(workspace, "ca.cer", CA.root)
    for spelt in ("阿迪力·买买提", "阿迪力•买买提", " 阿迪力．买买提"):
        checked(made, signed_pdf(CA.holder(spelt)))
    with pytest.raises(OtherPersonError):
        checked(made, signed_pdf(CA.holder("阿迪力买买提")))


def changed(data: bytes) -> bytes:
    return data.replace(b"Application for", b"Application not", 1)


def appended(data: bytes) -> bytes:
    """A later save that shows another page."""
    place = len(data)
    body = b"6 0 obj\n<</Length 4>>\nstream\nq Q \nendstream\nendobj\n"
    last = data[data.rindex(b"startxref\n") + 10 :].split()[0]
    table = b"xref\n6 1\n%010d 00000 n \ntrailer\n<</Size 7 /Root 1 0 R /Prev %b>>\n" % (place, last)
    return data + body + table + b"startxref\n%d\n%%%%EOF\n" % (place + len(body))


GOOD = CA.holder(number=ID_NUMBER)
SM2 = CA.holder(alg=SealAlg.SM2)  # whose signature the check of seals leaves unjudged


def hostile() -> dict[str, tuple[Callable[[], bytes], type[ApplicationError]]]:
    long_ago = (FIRST - 400 * DAY_SECONDS, FIRST - 300 * DAY_SECONDS)
    return {
        "empty": (lambda: b"", ApplicationFileError),
        "too large": (lambda: bytes(MAX_APPLICATION_BYTES + 1), ApplicationFileError),
        "not a PDF": (lambda: b"\xff\xd8\xff a photo", ApplicationPdfError),
        "head of a PDF only": (lambda: b"%PDF-1.7\n", ApplicationPdfError),
        "cut short": (lambda: signed_pdf(GOOD)[:-200], ApplicationError),
        "unsigned": (lambda: signed_pdf(), ApplicationUnsignedError),
        "two signatures": (lambda: signed_pdf(GOOD, CA.holder("王丙明")), SeveralSignaturesError),
        "changed after signing": (lambda: changed(signed_pdf(GOOD)), ApplicationChangedError),
        "saved again after signing": (lambda: appended(signed_pdf(GOOD)), ApplicationChangedError),
        "bytes behind the end": (lambda: signed_pdf(GOOD) + b"\n", ApplicationError),
        "part of the file": (lambda: signed_pdf(GOOD, leave_out=6), ApplicationChangedError),
        "SM2, changed after signing": (lambda: changed(signed_pdf(SM2)), ApplicationChangedError),
        "SM2, saved again after signing": (lambda: appended(signed_pdf(SM2)), ApplicationChangedError),
        "SM2, part of the file": (lambda: signed_pdf(SM2, leave_out=6), ApplicationChangedError),
        "another kind of signature": (
            lambda: signed_pdf(GOOD, subfilter="adbe.pkcs7.detached"),
            ApplicationChangedError,
        ),
        "acts": (lambda: signed_pdf(GOOD, catalogue="/OpenAction 3 0 R"), ApplicationPdfError),
        "layers": (lambda: signed_pdf(GOOD, catalogue="/OCProperties <<>>"), ApplicationPdfError),
        "no CMS": (
            lambda: signed_pdf(GOOD, cms=lambda _content: b"0\x82\x01\x00" + bytes(256)),
            ApplicationChangedError,
        ),
        "names another certificate": (
            lambda: signed_pdf(GOOD, cms=lambda content: sign(GOOD, content, names=CA.root)),
            ApplicationChangedError,
        ),
        "somebody else's key": (
            lambda: signed_pdf(
                GOOD,
                cms=lambda content: sign(
                    Holder(private=CA.holder("王丙明").private, certificate=GOOD.certificate), content
                ),
            ),
            ApplicationChangedError,
        ),
        "unknown authority": (lambda: signed_pdf(FOREIGN.holder(number=ID_NUMBER)), UnknownCaError),
        "an authority of the same name": (lambda: signed_pdf(imposter().holder()), UnknownCaError),
        "the authority's own certificate": (
            lambda: signed_pdf(Holder(private=CA.private, certificate=CA.root)),
            HolderCertificateError,
        ),
        "a CA in the holder's name": (lambda: signed_pdf(CA.holder(ca=True)), HolderCertificateError),
        "a certificate for encryption": (lambda: signed_pdf(CA.holder(usage=NO_USAGE)), HolderCertificateError),
        "a certificate that does not say": (lambda: signed_pdf(CA.holder(usage=None)), HolderCertificateError),
        "expired before": (lambda: signed_pdf(CA.holder(days=long_ago)), ApplicationExpiredError),
        "not yet valid": (lambda: signed_pdf(CA.holder(days=(NOW + 60, LAST))), ApplicationExpiredError),
        "signed before its validity": (lambda: signed_pdf(CA.holder(days=(NOW - 60, LAST))), ApplicationExpiredError),
        "valid then, expired today": (lambda: signed_pdf(CA.holder(days=(FIRST, NOW - 60))), ApplicationExpiredError),
        "dated back into validity": (
            lambda: signed_pdf(CA.holder(days=(FIRST, NOW - 9 * DAY_SECONDS)), at=NOW - 10 * DAY_SECONDS),
            ApplicationExpiredError,
        ),
        "before the certificate": (
            lambda: signed_pdf(CA.holder(days=(0, LAST)), at=NOW - 1_000 * DAY_SECONDS),
            ApplicationDateError,
        ),
        "in the future": (lambda: signed_pdf(GOOD, at=NOW + 3_600), ApplicationDateError),
    }


def imposter() -> HolderCa:
    made = HolderCa(alg=SealAlg.RSA)
    assert made.name == CA.name
    return made


@pytest.mark.parametrize("name", sorted(hostile()))
def test_every_other_file_is_refused(office: Office, name: str) -> None:
    make, error = hostile()[name]
    with pytest.raises(error) as caught:
        checked(office, make())
    assert caught.value.code.startswith("application.")
    assert NAME not in caught.value.zh + caught.value.en


def test_the_sizes_are_taken_to_the_byte(office: Office) -> None:
    data = b"x" * MAX_APPLICATION_BYTES
    checked(office, data, sign(GOOD, data, signed_at=SIGNED_AT))
    with pytest.raises(ApplicationFileError):
        checked(office, data + b"x", sign(GOOD, data, signed_at=SIGNED_AT))
    with pytest.raises(ApplicationFileError):
        checked(office, b"x", bytes(MAX_SIGNATURE_BYTES + 1))
    with pytest.raises(ApplicationChangedError):
        checked(office, b"x", bytes(MAX_SIGNATURE_BYTES))
    with pytest.raises(ApplicationFileError):
        checked(office, b"x", b"")


def test_a_file_that_unpacks_without_end_is_not_unpacked(office: Office) -> None:
    import zlib

    bomb = zlib.compress(bytes(65 * 1024 * 1024), 9)
    data = b"%PDF-1.7\n1 0 obj\n<</Type /ObjStm /Filter /FlateDecode>>\nstream\n" + bomb + b"\nendstream\n"
    with pytest.raises(ApplicationFileError, match="unpacked"):
        checked(office, data)


def test_every_flipped_byte_is_noticed(office: Office) -> None:
    data = signed_pdf(GOOD)
    hole = data.index(b"/Contents <") + 11
    places = [*range(0, hole, 97), *range(hole, hole + 1_600, 41), *range(len(data) - 400, len(data), 37)]
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        for place in places:
            flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            asked = Exchange(wanted=None, reason="", handed=Handed(data=flipped, signature=None))
            with pytest.raises(ApplicationError):
                plan_exchange(workspace, target, asked, now=NOW)


def test_the_holders_clock_may_be_ten_minutes_ahead(office: Office) -> None:
    checked(office, signed_pdf(GOOD, at=NOW + 600))
    with pytest.raises(ApplicationDateError):
        checked(office, signed_pdf(GOOD, at=NOW + 601))


def test_the_day_of_the_certificate_that_is_exchanged_still_counts(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1, certificate_issued_on="2026-05-30")])  # midnight at +08:00 is 16:00 UTC of the day before
    with made.open() as workspace:
        pin_holder_ca(workspace, "ca.cer", CA.root)
    midnight = NOW - 36_000 - 2 * DAY_SECONDS
    checked(made, signed_pdf(GOOD, at=midnight))
    with pytest.raises(ApplicationDateError, match="2026-05-30"):
        checked(made, signed_pdf(GOOD, at=midnight - 1))


def test_without_a_pinned_authority_nothing_is_taken(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1)])
    with pytest.raises(HolderCaMissingError, match="application ca"):
        checked(made, signed_pdf(GOOD))


def test_only_an_authority_can_be_pinned_and_stays_as_it_was(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1)])
    with made.open() as workspace:
        for wrong in (GOOD.certificate, b"", b"what", CA.root[:-1]):
            with pytest.raises(ApplicationCaError):
                pin_holder_ca(workspace, "wrong.cer", wrong)
        assert workspace.config.holder_cas == ()
        name = pin_holder_ca(workspace, "ca.cer", CA.root)
        assert pin_holder_ca(workspace, "again.cer", CA.root) == name
        assert workspace.config.holder_cas == (name,)
    path = made.root / "seals" / name
    path.write_bytes(FOREIGN.root)
    with pytest.raises(SealFileError):
        checked(made, signed_pdf(FOREIGN.holder()))


def test_the_table_of_authorities_is_read_back_and_takes_plain_names(office: Office) -> None:
    text = (office.root / CONFIG).read_bytes()
    assert format_config(parse_config(text)) == text
    (name,) = parse_config(text).holder_cas
    for wrong in ("../x.cer", ".x.cer", "a\\\\b.cer", name):
        with pytest.raises(ConfigError, match="holder_ca"):
            parse_config(text + f'\n[[holder_ca]]\ncertificate = "{wrong}"\n'.encode())
    with pytest.raises(ConfigError, match="holder_ca"):
        parse_config(text + b'\n[[holder_ca]]\ncertificate = "b.cer"\nx = 1\n')
