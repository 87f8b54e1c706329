"""Seal keys and sealed PDFs for tests: one CA, one key per body, a time-stamping authority in this process."""

import hashlib
from collections.abc import Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.page import PageSpec, SealShape, seal_slots
from mingzheng.formats.pdf.seal import PdfSealing, TimeStampService, seal_pdf
from mingzheng.formats.sealart import organisation_seal, personal_seal, seal_art_pdf, seal_art_png
from mingzheng.keys.certmake import CA_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealkey import MemorySealKey, SealAlg, SealPrivate, make_seal_key, parse_seal_private
from mingzheng.keys.x509 import parse_certificate

AT = 1795248000  # 2026-11-21 16:00 +08:00
DAY = 86_400


@cache
def private(name: str, alg: SealAlg = SealAlg.P256) -> SealPrivate:
    """A key that follows from its name (RSA ones are made anew in every run)."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if alg is SealAlg.RSA:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        key = ec.derive_private_key(int.from_bytes(hashlib.sha256(name.encode()).digest()) >> 1, ec.SECP256R1())
    return parse_seal_private(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), alg=alg)


@cache
def root() -> bytes:
    """DER of the CA's certificate."""
    key = private("root")
    spec = CertSpec(
        subject_cn="印章测试根",
        subject_o="某部",
        spki=key.spki,
        serial=1,
        not_before=AT - 900 * DAY,
        not_after=AT + 9000 * DAY,
        ca=True,
        key_usage=CA_USAGE,
    )
    return make_certificate(spec, CertIssuer(key=key))


@cache
def certificate(name: str, alg: SealAlg = SealAlg.P256) -> bytes:
    """DER of the certificate of a body's key."""
    spec = CertSpec(
        subject_cn=name,
        subject_o="某部",
        spki=private(name, alg).spki,
        serial=int.from_bytes(hashlib.sha256(name.encode() + alg.encode()).digest()[:8]),
        not_before=AT - 30 * DAY,
        not_after=AT + 1000 * DAY,
    )
    issuer = CertIssuer(key=private("root"), certificate=parse_certificate(root()))
    return make_certificate(spec, issuer)


@cache
def seal_key(name: str, alg: SealAlg = SealAlg.P256) -> MemorySealKey:
    """A seal key with its certificate and the root above it."""
    return make_seal_key(private(name, alg), certificate=certificate(name, alg), chain=(root(),))


@cache
def art(name: str, shape: SealShape, size_mm: float) -> tuple[bytes, bytes]:
    """The picture of a body's seal, as PDF and as PNG."""
    fonts = load_fonts()
    seal = (
        organisation_seal(name, number=None, size_mm=size_mm, fonts=fonts)
        if shape is SealShape.CIRCLE
        else personal_seal("张三", size_mm=size_mm, fonts=fonts)
    )
    return seal_art_pdf(seal), seal_art_png(seal)


def sealings(page: PageSpec, *, algs: Sequence[SealAlg] = (SealAlg.P256,) * 4, png: bool = False) -> list[PdfSealing]:
    """A sealing for every slot of a page."""
    found = []
    for index, slot in enumerate(seal_slots(page)):
        pdf, picture = art(slot.body, slot.shape, slot.rect.width_mm)
        found.append(
            PdfSealing(
                key=seal_key(slot.body, algs[index]),
                field=f"Seal{index + 1}",
                rect=slot.rect,
                art_pdf=None if png else pdf,
                art_png=picture if png else None,
                reason="签发 / issued",
                alt=f"印章：{slot.body}",
            )
        )
    return found


def sealed(
    data: bytes,
    page: PageSpec,
    *,
    algs: Sequence[SealAlg] = (SealAlg.P256,) * 4,
    png: bool = False,
    timestamps: TimeStampService | None = None,
) -> bytes:
    """The file with all its seals."""
    return seal_pdf(data, seals=sealings(page, algs=algs, png=png), at=AT, timestamps=timestamps)
