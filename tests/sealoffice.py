"""A small seal office for tests: a root, seal keys of two kinds, sealed PDFs; everything the same in every run."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.page import Rect
from mingzheng.formats.pdf.seal import PdfSealing, seal_pdf
from mingzheng.formats.sealart import organisation_seal, personal_seal, seal_art_pdf
from mingzheng.keys.certmake import CA_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealkey import MemorySealKey, SealAlg, SealPrivate, make_seal_key, parse_seal_private
from mingzheng.keys.x509 import parse_certificate

BEGIN, END = 1_767_225_600, 1_924_991_999  # 2026 to 2030
SEALED_AT = 1_795_262_400
_BODY = "某省住房和城乡建设厅"
ORGANISATION = Rect(x_mm=140, y_mm=220, width_mm=42, height_mm=42)
PERSON = Rect(x_mm=100, y_mm=232, width_mm=22, height_mm=22)


@cache
def private(number: int, alg: SealAlg = SealAlg.P256) -> SealPrivate:
    """The seal key of a number; RSA keys are new in every run."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = (
        rsa.generate_private_key(65537, 2048)
        if alg is SealAlg.RSA
        else ec.derive_private_key(0x1234567 + number, ec.SECP256R1())
    )
    return parse_seal_private(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), alg=alg)


@cache
def root() -> bytes:
    spec = CertSpec(
        subject_cn="seal root",
        subject_o="test office",
        spki=private(0).spki,
        serial=1,
        not_before=BEGIN,
        not_after=END,
        ca=True,
        key_usage=CA_USAGE,
    )
    return make_certificate(spec, CertIssuer(key=private(0)))


@cache
def seal_key(number: int, alg: SealAlg = SealAlg.P256, *, chain: bool = False) -> MemorySealKey:
    """A key with its certificate under the root."""
    key = private(number, alg)
    spec = CertSpec(
        subject_cn=f"seal {number}",
        subject_o="test office",
        spki=key.spki,
        serial=100 + number,
        not_before=BEGIN,
        not_after=END,
    )
    certificate = make_certificate(spec, CertIssuer(key=private(0), certificate=parse_certificate(root())))
    return make_seal_key(key, certificate=certificate, chain=(root(),) if chain else ())


@cache
def _art(person: bool) -> bytes:
    fonts = load_fonts()
    face = personal_seal("张建国印", fonts=fonts) if person else organisation_seal(_BODY, number=None, fonts=fonts)
    return seal_art_pdf(face)


def sealing(number: int, *, alg: SealAlg = SealAlg.P256, chain: bool = False, field: str = "") -> PdfSealing:
    """The seal of a number: 1 is round, the others are square."""
    return PdfSealing(
        key=seal_key(number, alg, chain=chain),
        field=field or f"Seal{number}",
        rect=ORGANISATION if number == 1 else PERSON,
        art_pdf=_art(number != 1),
        art_png=None,
        reason="",
    )


@cache
def sealed(page: bytes, seals: int = 1, *, alg: SealAlg = SealAlg.P256, chain: bool = False) -> bytes:
    """A page with one or two seals of different keys."""
    wanted = [sealing(number, alg=alg, chain=chain) for number in range(1, seals + 1)]
    return seal_pdf(page, seals=wanted, at=SEALED_AT, timestamps=None)
