"""A signature as PAdES wants it: detached CMS of level CAdES baseline B (ETSI EN 319 142-1 §6.3, RFC 5652).

Signed attributes are content-type, message-digest and signing-certificate-v2 (RFC 5035), nothing else: the time of
signing stands in the PDF. SHA-256 throughout. A time stamp goes into the unsigned attributes (level T). Left out:
signature policies, commitment types, countersignatures. Pure: the key signs through the callable given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.pdf.revise import PdfSealError
from mingzheng.keys.der import (
    der_explicit,
    der_integer,
    der_null,
    der_octets,
    der_oid,
    der_sequence,
    der_set,
    der_tlv,
)
from mingzheng.keys.x509 import parse_certificate

__all__ = ["CmsAlgorithm", "Signer", "detached_cms", "signer_of"]

_DATA: Final = der_oid("1.2.840.113549.1.7.1")
_SIGNED_DATA: Final = der_oid("1.2.840.113549.1.7.2")
_SHA256: Final = der_sequence(der_oid("2.16.840.1.101.3.4.2.1"))
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.47"
_TIME_STAMP: Final = "1.2.840.113549.1.9.16.2.14"
_SET_IMPLICIT_0: Final = 0xA0
_SET_IMPLICIT_1: Final = 0xA1


@dataclass(frozen=True, slots=True, kw_only=True)
class CmsAlgorithm:
    """How a signature is named, and how long one can be."""

    identifier: bytes  # AlgorithmIdentifier
    signature_bytes_max: int


ALGORITHMS: Final = {
    "ecdsa-p256-sha256": CmsAlgorithm(identifier=der_sequence(der_oid("1.2.840.10045.4.3.2")), signature_bytes_max=72),
    "rsa-sha256": CmsAlgorithm(
        identifier=der_sequence(der_oid("1.2.840.113549.1.1.11"), der_null()), signature_bytes_max=512
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Everything of a signature that is the same for every file of one key."""

    algorithm: CmsAlgorithm
    identity: bytes  # IssuerAndSerialNumber
    certificates: bytes  # [0] IMPLICIT SET OF Certificate
    attributes: tuple[bytes, ...]  # signed ones that do not depend on the file

    @property
    def size_max(self) -> int:
        """Bytes of the longest signature without a time stamp."""
        fake = bytes(self.algorithm.signature_bytes_max)
        return len(detached_cms(self, digest=bytes(32), sign=lambda _: fake, stamp=None))


def signer_of(algorithm: str, certificate: bytes, chain: Sequence[bytes]) -> Signer:
    """The signer of a certificate (DER) with the certificates above it.

    Raises PdfSealError for an algorithm PDF readers do not know (SM2), CertError for a broken certificate.
    """
    known = ALGORITHMS.get(algorithm)
    if known is None:
        raise PdfSealError("PDF 印章的密钥须为 P-256 或 RSA / a PDF is sealed with a P-256 or RSA key")
    parsed = parse_certificate(certificate)
    reference = der_sequence(der_sequence(der_sequence(der_octets(hashlib.sha256(certificate).digest()))))
    return Signer(
        algorithm=known,
        identity=der_sequence(parsed.issuer, der_integer(parsed.serial)),
        certificates=der_tlv(_SET_IMPLICIT_0, b"".join(sorted({certificate, *chain}))),
        attributes=(_attribute(_CONTENT_TYPE, _DATA), _attribute(_SIGNING_CERTIFICATE, reference)),
    )


def detached_cms(
    signer: Signer, *, digest: bytes, sign: Callable[[bytes], bytes], stamp: Callable[[bytes], bytes] | None
) -> bytes:
    """The CMS over content with this SHA-256 digest; `stamp` gives a time-stamp token over a SHA-256 digest."""
    attributes = der_set(*signer.attributes, _attribute(_MESSAGE_DIGEST, der_octets(digest)))
    signature = sign(attributes)
    parts = [
        der_integer(1),
        signer.identity,
        _SHA256,
        bytes([_SET_IMPLICIT_0]) + attributes[1:],
        signer.algorithm.identifier,
        der_octets(signature),
    ]
    if stamp is not None:
        token = stamp(hashlib.sha256(signature).digest())
        parts.append(der_tlv(_SET_IMPLICIT_1, _attribute(_TIME_STAMP, token)))
    signed = der_sequence(
        der_integer(1),
        der_set(_SHA256),
        der_sequence(_DATA),
        signer.certificates,
        der_set(der_sequence(*parts)),
    )
    return der_sequence(_SIGNED_DATA, der_explicit(0, signed))


def _attribute(kind: str, value: bytes) -> bytes:
    return der_sequence(der_oid(kind), der_set(value))
