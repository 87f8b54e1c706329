"""Making electronic seals and sealing OFD packages with them, one seal after the other.

Specs: GB/T 38540-2020 (seals and their signatures, version 4), GB/T 33190 §18 (Signatures.xml, Signature.xml). A seal
covers every file of the package with what earlier seals left there, except the list of signatures, which each new
seal extends (continue mode); its own Signature.xml is covered by the digest inside the signature. Beside the schema:
CheckMethod is the OID of SM3 (the schema of 2016 knows MD5 and SHA-1 alone), ids are plain integers, which is what
readers expect. Effectful by the house's list: it signs; clock and key come from the caller.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final

import mingzheng.keys.sm2backend  # noqa: F401 - gives SM2 its fast engine
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.compose import SIGNATURES
from mingzheng.formats.ofd.document import OfdBody, read_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.ses import (
    SIGNATURE_V4,
    CertListKind,
    SesSeal,
    SesSealInfo,
    encode_seal,
    encode_seal_info,
    encode_signature,
    encode_tbs,
    parse_seal,
)
from mingzheng.formats.ofd.xmlwrite import OfdWriteError, box, document, element
from mingzheng.formats.ofd.zipwrite import join_package, pack_file, split_package
from mingzheng.formats.page import Rect
from mingzheng.keys.sealkey import SealAlg, SealKey
from mingzheng.keys.sm3 import sm3
from mingzheng.keys.x509 import may_sign, parse_certificate, verify_signed

__all__ = ["OfdSealError", "SealDesign", "SealPlacement", "make_seal", "seal_ofd"]

SM3_OID: Final = "1.2.156.10197.1.401"
MAKER: Final = "mingzheng"
_FOLDER: Final = SIGNATURES.rpartition("/")[0]
_PICTURES: Final = {"png": b"\x89PNG\r\n\x1a\n", "ofd": b"PK\x03\x04"}
_ESID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}", re.ASCII)
_SIDE_MAX_MM: Final = 200
_NAME_MAX: Final = 100


class OfdSealError(OfdWriteError):
    """A seal that cannot be made, or cannot be put on this file with this key; `reason` says why."""

    code: ClassVar[str] = "ofd.seal.refused"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SealDesign:
    """A seal to be made: who it is of, its picture, and the certificates (DER) of those who may use it."""

    esid: str
    name: str
    kind: int  # 1 organisation, 2 person
    picture_type: str  # "png" or "ofd"
    picture: bytes
    width_mm: int
    height_mm: int
    signers: tuple[bytes, ...]
    created: int  # unix seconds
    valid_from: int
    valid_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealPlacement:
    """Where a seal's picture stands: page from 1, millimetres from its top left corner."""

    page: int
    rect: Rect


def make_seal(design: SealDesign, *, maker: SealKey) -> bytes:
    """The DER of a seal of version 4, signed by its maker; OfdSealError for a design that will not do."""
    _check_design(design)
    _check_alg(maker)
    info = encode_seal_info(
        SesSealInfo(
            version=SIGNATURE_V4,
            vid=MAKER,
            esid=design.esid,
            kind=design.kind,
            name=design.name,
            certs_kind=CertListKind.CERTIFICATES,
            certs=design.signers,
            created=design.created,
            valid_from=design.valid_from,
            valid_until=design.valid_until,
            picture_type=design.picture_type,
            picture=design.picture,
            width_mm=design.width_mm,
            height_mm=design.height_mm,
        )
    )
    signature = maker.sign(info)
    certificate = parse_certificate(maker.certificate)
    verify_signed(certificate, algorithm_oid=maker.alg.oid, message=info, signature=signature)  # a seal lasts for years
    return encode_seal(info, certificate=maker.certificate, algorithm=maker.alg.oid, signature=signature)


def seal_ofd(data: bytes, *, seal: bytes, key: SealKey, placements: Sequence[SealPlacement], at: int) -> bytes:
    """The package with one more seal, applied at unix second `at`.

    `data` is of `compose_ofd`, with as many seals as were put on already. Raises OfdSealError (not the signer's
    seal, out of its validity, no place left, page missing), SesError, OfdWriteError and what reading a package
    raises. Cost: one SM2 signature and an SM3 digest of every file.
    """
    parsed = parse_seal(seal)
    _check_use(parsed, key, at)
    package = read_package(data, limits=OFD_LIMITS)
    packed = list(split_package(data))
    if packed[-1].name != SIGNATURES:
        raise OfdSealError("not_prepared", "the package was not prepared for a seal")
    body = read_ofd(package, limits=OFD_LIMITS).bodies[0]
    number = len(body.signatures)
    base = f"{_FOLDER}/Sign_{number}"
    covered = {name: content for name, content in package.files.items() if name != SIGNATURES}
    covered[f"{base}/Seal.esl"] = seal
    described = _signature_xml(covered, base=base, stamps=_stamps(body, placements), at=at)
    tbs = encode_tbs(seal, time=at, data_hash=sm3(described), property_info=f"/{base}/Signature.xml")
    value = encode_signature(tbs, certificate=key.certificate, algorithm=key.alg.oid, signature=key.sign(tbs))
    return join_package(
        [
            *packed[:-1],
            pack_file(f"{base}/Seal.esl", seal),
            pack_file(f"{base}/Signature.xml", described),
            pack_file(f"{base}/SignedValue.dat", value),
            pack_file(SIGNATURES, _list(number + 1)),
        ]
    )


def _check_design(design: SealDesign) -> None:
    if not _ESID.fullmatch(design.esid):
        raise OfdSealError("esid", "the identifier of a seal is 1 to 64 ASCII letters, digits, '.', '_' and '-'")
    if not 1 <= len(design.name) <= _NAME_MAX or not design.name.isprintable():
        raise OfdSealError("name", f"the name of a seal has 1 to {_NAME_MAX} printable characters")
    magic = _PICTURES.get(design.picture_type)
    if magic is None or not design.picture.startswith(magic):
        raise OfdSealError("picture", "the picture of a seal is a PNG or an OFD file")
    if not (0 < design.width_mm <= _SIDE_MAX_MM and 0 < design.height_mm <= _SIDE_MAX_MM):
        raise OfdSealError("size", f"a seal measures 1 to {_SIDE_MAX_MM} mm")
    if design.kind not in (1, 2):
        raise OfdSealError("kind", "a seal is of an organisation (1) or a person (2)")
    if not design.valid_from < design.valid_until:
        raise OfdSealError("validity", "a seal's validity ends before it begins")
    if not design.signers:
        raise OfdSealError("signers", "a seal without anyone who may use it")
    for signer in design.signers:
        if not may_sign(parse_certificate(signer)):
            raise OfdSealError("signers", "a certificate in the seal's list is not for signing")


def _check_use(seal: SesSeal, key: SealKey, at: int) -> None:
    _check_alg(key)
    if seal.version != SIGNATURE_V4:
        raise OfdSealError("version", f"seals of version 4 are applied, this one is of version {seal.version}")
    if seal.info.certs_kind is not CertListKind.CERTIFICATES or key.certificate not in seal.info.certs:
        raise OfdSealError("signer", "印章不属于此签名证书 / the signer is not among those who may use the seal")
    if not seal.info.valid_from <= at <= seal.info.valid_until:
        raise OfdSealError("validity", "印章不在有效期内 / the seal is not valid at this time")
    certificate = parse_certificate(key.certificate)
    if not certificate.not_before <= at <= certificate.not_after:
        raise OfdSealError("certificate", "签名证书不在有效期内 / the signer's certificate is not valid at this time")


def _check_alg(key: SealKey) -> None:
    if key.alg is not SealAlg.SM2:
        raise OfdSealError("algorithm", "OFD 电子印章须用 SM2 密钥 / electronic seals on OFD take an SM2 key")


def _stamps(body: OfdBody, placements: Sequence[SealPlacement]) -> list[str]:
    if not placements:
        raise OfdSealError("place", "a seal needs a place on a page")
    pages = {page.number: page for page in body.pages}
    stamps = []
    for at, placement in enumerate(placements, start=1):
        page, rect = pages.get(placement.page), placement.rect
        if page is None or not rect.inside(
            Rect(x_mm=0, y_mm=0, width_mm=page.box.width_mm, height_mm=page.box.height_mm)
        ):
            raise OfdSealError("place", "a seal's place is not on a page of the document")
        boundary = box(rect.x_mm, rect.y_mm, rect.width_mm, rect.height_mm)
        stamps.append(element("StampAnnot", {"ID": at, "PageRef": page.id, "Boundary": boundary}))
    return stamps


def _signature_xml(covered: Mapping[str, bytes], *, base: str, stamps: list[str], at: int) -> bytes:
    """Signature.xml: what is covered, with digests, where the seal stands, where its signature is."""
    references = [
        element("Reference", {"FileRef": f"/{name}"}, element("CheckValue", None, b64encode(sm3(data)).decode()))
        for name, data in covered.items()
    ]
    info = element(
        "SignedInfo",
        None,
        element("Provider", {"ProviderName": MAKER, "Version": "1.0", "Company": MAKER}),
        element("SignatureMethod", None, SealAlg.SM2.oid),
        element("SignatureDateTime", None, datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%SZ")),
        element("References", {"CheckMethod": SM3_OID}, *references),
        *stamps,
        element("Seal", None, element("BaseLoc", None, f"/{base}/Seal.esl")),
    )
    return document(element("Signature", None, info, element("SignedValue", None, f"/{base}/SignedValue.dat")))


def _list(count: int) -> bytes:
    """Signatures.xml with the seals in order."""
    items = [
        element("Signature", {"ID": at, "Type": "Seal", "BaseLoc": f"/{_FOLDER}/Sign_{at - 1}/Signature.xml"})
        for at in range(1, count + 1)
    ]
    return document(element("Signatures", None, element("MaxSignId", None, str(count)), *items))
