"""Revocation lists and certificates of others, as evidence that goes into files: read leniently, believed in nothing.

Source: RFC 5280 §4 and §5. A time-stamping authority's certificate bears critical extensions that `x509` refuses, and
nothing here decides what a verifier believes: so they are read by `cryptography`. Left out: deltas, indirect lists,
OCSP, SM2 (its lists are no use in a PDF).
"""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mingzheng.keys.errors import CertMalformedError

__all__ = ["LooseCertificate", "RevocationList", "parse_loose_certificate", "parse_revocation_list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseCertificate:
    """A certificate of whatever use. Only `parse_loose_certificate` makes it."""

    _subject: x509.Name = field(repr=False)
    _issuer: x509.Name = field(repr=False)
    _parsed: x509.Certificate = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A revocation list, times in unix seconds. Only `parse_revocation_list` makes it."""

    begins: int
    ends: int | None  # None: it does not say
    _issuer: x509.Name = field(repr=False)
    _parsed: x509.CertificateRevocationList = field(repr=False)

    def is_signed_by(self, certificate: LooseCertificate) -> bool:
        """Is it that certificate's list, by name and by signature?"""
        if certificate._subject != self._issuer:
            return False
        try:  # a key that is none, that is not known, or that signs nothing
            return self._parsed.is_signature_valid(certificate._parsed.public_key())  # type: ignore[arg-type]
        except (ValueError, UnsupportedAlgorithm, TypeError):
            return False

    def is_about(self, certificate: LooseCertificate) -> bool:
        """Did its issuer issue that certificate, by name?"""
        return certificate._issuer == self._issuer

    def revokes(self, certificate: LooseCertificate) -> bool:
        """Does it name that certificate, which it is about?"""
        serial = certificate._parsed.serial_number
        return self.is_about(certificate) and self._parsed.get_revoked_certificate_by_serial_number(serial) is not None


def parse_loose_certificate(data: bytes) -> LooseCertificate:
    """A certificate in DER. Raises CertMalformedError."""
    try:
        parsed = x509.load_der_x509_certificate(data)
        return LooseCertificate(_subject=parsed.subject, _issuer=parsed.issuer, _parsed=parsed)  # names are read late
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertMalformedError("not a certificate in DER") from error


def parse_revocation_list(data: bytes) -> RevocationList:
    """A revocation list in DER. Raises CertMalformedError."""
    try:
        parsed = x509.load_der_x509_crl(data)
        end = parsed.next_update_utc
        return RevocationList(
            begins=int(parsed.last_update_utc.timestamp()),
            ends=None if end is None else int(end.timestamp()),
            _issuer=parsed.issuer,
            _parsed=parsed,
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertMalformedError("not a revocation list in DER") from error
