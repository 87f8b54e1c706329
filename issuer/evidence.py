"""What seals of level B-LTA carry along: certificates and revocation lists that prove them in ten years.

Source: ETSI EN 319 142-1 §5.4.2 and §6.3 (level B-LTA), RFC 5280 §5 (lists); docs/workspace.md ("Time stamps"). Pure.
Files are told by their content. Taken is only what can be used: DER, a list signed by one of the certificates and in
force, and a list for each seal's issuer that does not name the seal. Left out: OCSP answers (they are over within
days, and each is about one certificate), revocation of the time-stamping authority's certificate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.issuer.refusals import SealFileError
from mingzheng.keys.crl import (
    LooseCertificate,
    RevocationList,
    parse_loose_certificate,
    parse_revocation_list,
)
from mingzheng.keys.errors import CertMalformedError

__all__ = ["MAX_EVIDENCE_BYTES", "EvidenceFiles", "check_covered", "read_evidence"]

MAX_EVIDENCE_BYTES: Final = 1024 * 1024  # it goes into every file


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFiles:
    """Evidence that was checked, DER. Only `read_evidence` makes it."""

    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]


def read_evidence(files: Mapping[str, bytes], *, known: Iterable[bytes], now: int) -> EvidenceFiles:
    """The files of `[documents] evidence` by name; `known`: certificates (DER) that may have signed the lists, too.

    Raises SealFileError that names the file.
    """
    certificates: dict[str, LooseCertificate] = {}
    lists: dict[str, RevocationList] = {}
    total = 0
    for name, data in files.items():
        total += len(data)
        if total > MAX_EVIDENCE_BYTES:
            raise SealFileError(name, "长期验证材料合计超过 1 MiB", "the evidence is over 1 MiB together")
        found = _sniff(name, data)
        if isinstance(found, LooseCertificate):
            certificates[name] = found
        else:
            lists[name] = found
    signers = [*certificates.values(), *map(parse_loose_certificate, known)]
    for name, crl in lists.items():
        _check_list(name, crl, signers, now)
    if not lists:
        raise SealFileError(
            ", ".join(files),
            "没有吊销列表（CRL）；只有证书达不到 B-LTA",
            "there is no revocation list (CRL) among them: certificates alone do not make B-LTA",
        )
    return EvidenceFiles(
        certificates=tuple(files[name] for name in certificates), crls=tuple(files[name] for name in lists)
    )


def check_covered(evidence: EvidenceFiles, seals: Mapping[str, bytes]) -> None:
    """Each seal's certificate (DER, by name) has a list of its issuer, which does not name it.

    Raises SealFileError that names the certificate.
    """
    lists = [parse_revocation_list(data) for data in evidence.crls]
    for name, data in seals.items():
        certificate = parse_loose_certificate(data)
        if not any(crl.is_about(certificate) for crl in lists):
            raise SealFileError(
                name,
                "长期验证材料里没有其签发者的吊销列表（CRL）；加到 [documents] evidence",
                "the evidence holds no revocation list of its issuer: add one to [documents] evidence",
            )
        if any(crl.revokes(certificate) for crl in lists):
            raise SealFileError(
                name,
                "其签发者已吊销这张证书；用 mingzheng seal revoke 停用印章并更换",
                "its issuer has revoked it: `mingzheng seal revoke`, then a new seal",
            )


def _sniff(name: str, data: bytes) -> LooseCertificate | RevocationList:
    if data.lstrip().startswith(b"-----"):
        raise SealFileError(
            name,
            "是 PEM；转成 DER（openssl x509 或 openssl crl，-outform DER）",
            "PEM: make it DER (openssl x509 or openssl crl, -outform DER)",
        )
    for parse in (parse_revocation_list, parse_loose_certificate):
        try:
            return parse(data)
        except CertMalformedError:
            continue
    raise SealFileError(
        name,
        "既不是 DER 证书，也不是 DER 吊销列表（CRL）；OCSP 应答不能用",
        "neither a certificate nor a revocation list (CRL) in DER; OCSP answers are of no use here",
    )


def _check_list(name: str, crl: RevocationList, signers: Iterable[LooseCertificate], now: int) -> None:
    if not any(crl.is_signed_by(signer) for signer in signers):
        raise SealFileError(
            name,
            "吊销列表不是所列证书中任何一个签发的；把其签发者的证书也加到 [documents] evidence",
            "no certificate at hand signed this list: add its issuer's to [documents] evidence",
        )
    if crl.ends is None or crl.ends < now:
        day = "?" if crl.ends is None else format_day(day_of_time(crl.ends))
        raise SealFileError(
            name,
            f"吊销列表到 {day} 为止，已过期；取来新的，替换这个文件",
            f"this revocation list ended {day}: fetch the new one and replace the file",
        )
    if crl.begins > now:
        raise SealFileError(name, "吊销列表的日期在以后", "this revocation list is of a later time")
