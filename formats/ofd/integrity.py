"""Do the seals and signatures of an OFD package hold, and do they cover all of it? Trust is not judged here.

Source: GM/T 0031-2014 §6.1.2 and §6.2.3 (order of the checks), GB/T 38540-2020, GB/T 35275, GB/T 33190 §18. The
order for each: format; signature value; the signer's certificate; digest of Signature.xml, then of every file it
lists; the seal (its maker's signature, the signer in its list); coverage; where it stands. All faults are reported,
not the first alone. All documents of the package are checked. Not here: chains, validity, revocation, which body
must seal (verifier.sealcheck), and whose a time stamp is: it must hold by itself, its time is not used.

Seals are the same in thousands of files: the outcome of checking one is kept, for the last few hundred of them.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import mingzheng.keys.sm2backend  # noqa: F401 - gives SM2 its fast engine
from mingzheng.formats.candidate import SealDetails, SealFacts, SealForm, SealMark
from mingzheng.formats.ofd.coverage import in_order, uncovered, unlisted
from mingzheng.formats.ofd.errors import OfdXmlError
from mingzheng.formats.ofd.gbsign import OID_SM2_SM3, SM2_NAMES, bound_to, parse_signed_data
from mingzheng.formats.ofd.sealmarks import mark_faults, seal_marks
from mingzheng.formats.ofd.ses import CertListKind, SesError, SesSeal, SesSignature, SesVersionError, parse_signature
from mingzheng.formats.ofd.signedinfo import Digest, OfdSignatureError, SignedInfo, link_name, read_signed_info
from mingzheng.formats.pdf.cmscheck import check_stamp
from mingzheng.keys.errors import CertAlgorithmError, CertError
from mingzheng.keys.sm3 import sm3
from mingzheng.keys.x509 import Certificate, may_sign, parse_certificate, verify_signed

if TYPE_CHECKING:
    from mingzheng.formats.limits import OfdLimits
    from mingzheng.formats.ofd.document import OfdBody, OfdFile, OfdSignature
    from mingzheng.formats.ofd.package import Package

__all__ = ["FAULTS", "SEAL_CACHE_MAX", "check_ofd"]

SEAL_CACHE_MAX: Final = 256

_STAMP_SLACK: Final = 86_400  # seconds between the signer's clock and the time stamp

FAULTS: Final = {  # code -> what it says; the order is the order of the checks
    "seal.format": "the signature or its Signature.xml cannot be read / 印章签名或其描述文件无法读取",
    "seal.version": "a seal of a version that is not known / 电子印章的版本不认识",
    "seal.algorithm": "an algorithm that is not accepted, or two that differ / 签名算法不被接受或前后不一致",
    "seal.digest_method": "a digest method that is not accepted, such as MD5 / 摘要算法不被接受（如 MD5、SHA-1）",
    "seal.signature": "the signature value does not hold / 签名值验证不通过",
    "seal.certificate": "the signer's certificate cannot be read / 签名人证书无法读取",
    "seal.certificate_usage": "the signer's certificate is not for signing / 签名人证书的用途不含签名",
    "seal.place": "the signature names another place of the package / 签名中写明的位置不是它所在的位置",
    "seal.timestamp": "a time stamp that does not hold, or is of an unknown kind / 时间戳不成立或种类不认识",
    "file.signature_xml": "the description of the seal was changed after sealing / 印章的描述文件在盖章后被改动",
    "file.digest": "a sealed file was changed / 已盖章的文件被改动",
    "file.missing": "a sealed file is gone / 已盖章的文件缺失",
    "file.sealed_after_closing": "a seal was added after this one closed the list / 此章封闭签章列表后又加盖了别的章",
    "seal.seal_format": "the certificate of the seal's maker cannot be read / 电子印章制作者证书无法读取",
    "seal.seal_signature": "the seal is not its maker's / 电子印章上的制作者签名不成立",
    "seal.seal_differs": "Seal.esl is not the seal that was used / 印章文件与所用印章不一致",
    "seal.cert_list": "the signer is not among those who may use the seal / 签名人证书不在印章的证书列表中",
    "file.uncovered": "a file that the seal does not cover / 有文件不在印章保护范围内",
    "seal.mark": "the seal stands on no page, or beyond its edge / 印章不在页面之内",
    "seal.mark_overlap": "the seal stands over another one / 印章盖在另一枚印章之上",
    # of the file as a whole
    "file.several_documents": "more than one document in the package / 文件包内不止一个文档",
    "file.signature_list": "the list of signatures holds something else / 签章列表中有不应有的内容",
    "file.signatures_missing": "the list of signatures is named and missing / 所指的签章列表缺失",
    "file.unlisted_seal": "files of a seal that is not in the list / 有未列入签章列表的印章文件",
    "file.damaged": "a file of the document is not XML / 文档中有文件不是有效的 XML",
    "file.comment": "a comment on the package, which no seal covers / 文件包带有印章保护不到的注释",
}

Fault = tuple[str, str]  # code, name of the file or place


@dataclass(slots=True, kw_only=True)
class _Work:
    """One signature under examination."""

    entry: OfdSignature
    body: OfdBody
    info: SignedInfo | None
    faults: list[str] = field(default_factory=list)
    named: list[Fault] = field(default_factory=list)  # with the files they are about
    form: SealForm = SealForm.SES
    certificate: bytes = b""
    chain: tuple[bytes, ...] = ()
    signed_at: int | None = None
    details: SealDetails | None = None
    seal_checked: bool = False

    def fault(self, code: str, detail: str = "") -> None:
        """Note a fault; `detail` names the file, if it is about one."""
        if code not in self.faults:
            self.faults.append(code)
        if detail:
            self.named.append((code, detail))

    @property
    def place(self) -> str:
        """The folder of the signature; its number in the list if it has none."""
        return (self.entry.file or "").rpartition("/")[0] or f"#{self.entry.id[:16]}"


def check_ofd(package: Package, file: OfdFile, *, limits: OfdLimits) -> tuple[tuple[SealFacts, ...], tuple[Fault, ...]]:
    """The seals in the order of sealing with the faults of each, and the faults of the file with the names of files.

    Raises ResourceLimitError and the errors of hostile XML; everything else wrong is a fault. Cost: two SM2
    verifications for each seal, one if the seal was seen before, and a digest of every file.
    """
    works = [_open(package, body, entry, limits) for body in file.bodies for entry in body.signatures]
    readable = [work for work in works if work.info is not None]
    infos = [work.info for work in readable if work.info is not None]
    order = in_order(infos)
    ordered = [readable[place] for place in order]
    digests = _Digests(package)
    marks: list[SealMark] = []
    for place, work in enumerate(ordered):
        later = [infos[other] for other in order[place + 1 :]]
        assert work.info is not None
        _check_value(package, work, work.info)
        _check_digests(digests, work, work.info, later)
        for name in uncovered(package, file, work.info, later=later, seal_checked=work.seal_checked):
            work.fault("file.uncovered", name)
        for code in mark_faults(work.info, work.body, marks):
            work.fault(code)
        marks += seal_marks(work.info, work.body)
    done = [*ordered, *(work for work in works if work.info is None)]
    named = dict.fromkeys(item for work in done for item in work.named)
    of_file = dict.fromkeys(_file_faults(package, file, infos))
    return tuple(_facts(work) for work in done), (*named, *of_file)


def _open(package: Package, body: OfdBody, entry: OfdSignature, limits: OfdLimits) -> _Work:
    """(a) Read Signature.xml. What is hostile in it is raised, what is broken is a fault."""
    work = _Work(entry=entry, body=body, info=None, form=SealForm.SIGNED if entry.kind == "Sign" else SealForm.SES)
    if entry.file is None:
        work.fault("seal.format")
        return work
    try:
        work.info = read_signed_info(package, entry.file, limits=limits)
    except (OfdSignatureError, OfdXmlError) as error:
        if isinstance(error, OfdXmlError) and type(error) is not OfdXmlError:
            raise
        work.fault("seal.format", entry.file)
    return work


def _check_value(package: Package, work: _Work, info: SignedInfo) -> None:
    """(a) format, (b) signature value, (c) certificate, (e) digest of Signature.xml."""
    if info.digest is None:
        work.fault("seal.digest_method")
    value = package.files[info.value_file]
    try:
        if work.form is SealForm.SIGNED:
            _check_signed_data(work, info, value)
        else:
            _check_ses(package, work, info, value)
    except SesVersionError:
        work.fault("seal.version")
    except (SesError, OfdSignatureError):
        work.fault("seal.format", info.value_file)


def _check_signed_data(work: _Work, info: SignedInfo, value: bytes) -> None:
    signed = parse_signed_data(value)
    work.certificate, work.chain, work.signed_at = signed.certificate.der, signed.chain, signed.signed_at
    if not may_sign(signed.certificate):
        work.fault("seal.certificate_usage")
    if info.digest is None:
        return
    message = bound_to(signed, info.raw, info.digest)
    if message is None:
        work.fault("file.signature_xml", info.file)
        message = signed.message if signed.message is not None else b""
    _verify(work, info, signed.certificate, signed.algorithm, message, signed.signature)


def _check_ses(package: Package, work: _Work, info: SignedInfo, value: bytes) -> None:
    ses = parse_signature(value)
    work.certificate, work.signed_at = ses.certificate, ses.time
    work.details = details = _details(ses.seal)
    try:
        certificate = _signer(ses.certificate)
    except CertError:
        work.fault("seal.certificate")
    else:
        if not may_sign(certificate):
            work.fault("seal.certificate_usage")
        _verify(work, info, certificate, ses.algorithm, ses.signed, ses.signature)
    if ses.time is None or not _is_stamped(ses.timestamp, ses.signature, near=ses.time):
        work.fault("seal.timestamp")
    if not _is_stamped(ses.seal.timestamp, ses.seal.signature, near=None):
        work.fault("seal.timestamp")
    if link_name("", ses.property_info) != info.file:
        work.fault("seal.place")
    if info.digest is not None and info.digest(info.raw) != ses.data_hash:
        work.fault("file.signature_xml", info.file)
    for code in _seal_faults(ses.seal, details.sha256):
        work.fault(code)
    if not _is_listed(ses):
        work.fault("seal.cert_list")
    if info.seal_named:
        work.seal_checked = info.seal_file is not None and package.files[info.seal_file] == ses.seal.raw
        if not work.seal_checked:
            work.fault("seal.seal_differs")


def _is_stamped(token: bytes | None, value: bytes, *, near: int | None) -> bool:
    """There is no time stamp, or one over this signature value that holds by itself, near the signer's time.

    Whose it is, nobody can say: the trust data names no time-stamping authorities for OFD. So its time is not used.
    """
    if token is None:
        return True
    at = check_stamp(token, digest=lambda name: hashlib.new(name, value).digest())
    return at is not None and (near is None or abs(at - near) <= _STAMP_SLACK)


def _verify(
    work: _Work, info: SignedInfo, certificate: Certificate, algorithm: str, message: bytes, signature: bytes
) -> None:
    """(b) The signature value, under the one algorithm that both places name."""
    inner = OID_SM2_SM3 if algorithm in SM2_NAMES else algorithm
    outer = OID_SM2_SM3 if info.method in SM2_NAMES else info.method
    if inner != outer:
        work.fault("seal.algorithm")
    try:
        verify_signed(certificate, algorithm_oid=inner, message=message, signature=signature)
    except CertAlgorithmError:
        work.fault("seal.algorithm")
    except CertError:
        work.fault("seal.signature")


class _Digests:
    """Each file is digested once, however many seals and references name it."""

    def __init__(self, package: Package) -> None:
        self._files = package.files
        self._known: dict[tuple[Digest, str], bytes] = {}

    def of(self, digest: Digest, name: str) -> bytes:
        """The digest of a file of the package."""
        known = self._known.get((digest, name))
        if known is None:
            known = self._known[digest, name] = digest(self._files[name])
        return known


def _check_digests(digests: _Digests, work: _Work, info: SignedInfo, later: Sequence[SignedInfo]) -> None:
    """(e) Every file the signature lists."""
    lists = {work.body.signature_list}
    for reference in info.references:
        if reference.file is None:
            work.fault("file.missing", reference.name)
        elif info.digest is not None and digests.of(info.digest, reference.file) != reference.digest:
            closed = reference.file in lists and any(info.value_file in other.covered for other in later)
            work.fault("file.sealed_after_closing" if closed else "file.digest", reference.file)


def _is_listed(ses: SesSignature) -> bool:
    """(f) The signer's certificate is in the seal's list, by its bytes or its digest."""
    seal = ses.seal.info
    if seal.certs_kind is CertListKind.CERTIFICATES:
        return ses.certificate in seal.certs
    return bool({sm3(ses.certificate), hashlib.sha256(ses.certificate).digest()} & set(seal.certs))


def _details(seal: SesSeal) -> SealDetails:
    return SealDetails(
        version=seal.version,
        seal_id=seal.info.esid,
        name=seal.info.name,
        maker_certificate=seal.maker_certificate,
        created=seal.info.created,
        valid_from=seal.info.valid_from,
        valid_until=seal.info.valid_until,
        sha256=hashlib.sha256(seal.raw).digest(),
    )


_seals: Final[OrderedDict[bytes, tuple[str, ...]]] = OrderedDict()  # digest of a seal -> its faults, newest last


@lru_cache(maxsize=SEAL_CACHE_MAX)
def _signer(raw: bytes) -> Certificate:
    """The same certificate signs thousands of files."""
    return parse_certificate(raw)


def _seal_faults(seal: SesSeal, key: bytes) -> tuple[str, ...]:
    """(f) The seal's own signature, from memory if this very seal, of SHA-256 `key`, was checked before."""
    known = _seals.pop(key, None)
    faults = tuple(_check_maker(seal)) if known is None else known
    _seals[key] = faults
    while len(_seals) > SEAL_CACHE_MAX:
        _seals.popitem(last=False)
    return faults


def _check_maker(seal: SesSeal) -> Iterator[str]:
    try:
        maker = parse_certificate(seal.maker_certificate)
    except CertError:
        yield "seal.seal_format"
        return
    algorithm = OID_SM2_SM3 if seal.algorithm in SM2_NAMES else seal.algorithm
    try:
        verify_signed(maker, algorithm_oid=algorithm, message=seal.signed, signature=seal.signature)
    except CertError:
        yield "seal.seal_signature"


def _file_faults(package: Package, file: OfdFile, infos: Sequence[SignedInfo]) -> Iterator[Fault]:
    if len(file.bodies) > 1:
        yield "file.several_documents", ""
    for body in file.bodies:
        if body.list_faulty:
            yield "file.signature_list", body.signature_list or ""
        if body.list_named and body.signature_list is None:
            yield "file.signatures_missing", ""
    for name in unlisted(package, file, infos):
        yield "file.unlisted_seal", name
    for name in file.damaged:
        yield "file.damaged", name
    if package.comment:
        yield "file.comment", ""


_ORDER: Final = {code: place for place, code in enumerate(FAULTS)}


def _facts(work: _Work) -> SealFacts:
    return SealFacts(
        form=work.form,
        place=work.place,
        certificate=work.certificate,
        chain=work.chain,
        signed_at=work.signed_at,
        timestamped=False,
        details=work.details,
        marks=() if work.info is None else seal_marks(work.info, work.body),
        faults=tuple(sorted(work.faults, key=_ORDER.__getitem__)),
    )
