"""Is an application for re-issue signed by the holder? Whose certificate, of which authority, when, and is it theirs.

Source: notice of Shanghai of 2022-07-05, annex two, steps 4 and 5 (the applicant signs the application with a personal
digital certificate); docs/workspace.md (Application). Pure: the signature itself was read by `formats.pdf.holdersign`.

The notices name neither the certificates nor a term, so this is ours: the common name must be the record's name, an
identity number must be the record's wherever the certificate bears one, and the application is dated no earlier than
the certificate that it asks to exchange. The time is the signer's own word, so the certificate must be valid today,
too. Left out: whether the authority has revoked the certificate meanwhile.
"""

import re
from collections.abc import Sequence
from typing import Final

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.formats.pdf.holdersign import HolderSignature, HolderSignatureError
from mingzheng.issuer.applicationerrors import (
    ApplicationChangedError,
    ApplicationDateError,
    ApplicationError,
    ApplicationExpiredError,
    ApplicationPdfError,
    ApplicationUnsignedError,
    HolderCertificateError,
    OtherPersonError,
    SeveralSignaturesError,
    UnknownCaError,
)
from mingzheng.issuer.cells import CellError
from mingzheng.issuer.record import ApplicationRecord
from mingzheng.issuer.tidy import tidy_name
from mingzheng.keys.certsubject import CertSubject, read_subject
from mingzheng.keys.errors import KeysError
from mingzheng.keys.x509 import Certificate, check_chain, may_sign, parse_certificate

__all__ = ["CLOCK_SLACK_SECONDS", "check_signer", "refusal_of"]

CLOCK_SLACK_SECONDS: Final = 600  # the holder's clock may be ahead of the desk's
_TIME_FAULTS: Final = frozenset({"chain.expired", "chain.not_yet_valid"})
_SPACES: Final = " \t\u3000"
_RESIDENT: Final = re.compile(r"[1-9][0-9]{16}[0-9Xx]")
_TYPED: Final = re.compile(r"(?:IDC|PAS|PNO)[A-Z]{2}-(.+)")  # ETSI EN 319 412-1 §5.1.3
_FILE_FAULTS: Final = ("file.coverage", "file.digest", "file.later_change")  # of the signature, not of the file


def check_signer(
    signature: HolderSignature, record: ApplicationRecord, *, roots: Sequence[Certificate], since: int, now: int
) -> tuple[Certificate, bool]:
    """The signer's certificate, and whether it names the holder's identity number.

    `roots`: the pinned authorities; `since`: day of the certificate that is exchanged. Raises an ApplicationError.
    """
    certificate, pool = _certificates(signature)
    _check_day(signature.signed_at, since, now)
    if certificate.is_ca or not may_sign(certificate):
        raise HolderCertificateError
    faults: set[str] = set()
    for at in (signature.signed_at, now):
        faults.update(check_chain(certificate, pool=pool, roots=roots, at=at))
    if faults - _TIME_FAULTS:
        raise UnknownCaError(min(faults - _TIME_FAULTS))
    if faults:
        raise ApplicationExpiredError
    try:
        subject = read_subject(certificate)
    except KeysError as error:
        raise HolderCertificateError from error
    return certificate, _is_theirs(subject, record)


def refusal_of(error: HolderSignatureError) -> ApplicationError:
    """What a clerk is told of a file without a signature to judge."""
    fault = error.fault
    if fault == "holder.unsigned":
        return ApplicationUnsignedError()
    if fault == "holder.several":
        return SeveralSignaturesError()
    if fault.startswith("file.") and fault not in _FILE_FAULTS:
        return ApplicationPdfError(fault)
    return ApplicationChangedError(fault)


def _certificates(signature: HolderSignature) -> tuple[Certificate, list[Certificate]]:
    try:
        certificate = parse_certificate(signature.outcome.certificate)
        return certificate, [parse_certificate(above) for above in signature.outcome.chain]
    except KeysError as error:
        raise HolderCertificateError from error


def _check_day(signed_at: int, since: int, now: int) -> None:
    if signed_at > now + CLOCK_SLACK_SECONDS:
        raise ApplicationDateError("在以后", "in the future")
    if day_of_time(signed_at) < since:
        day = format_day(since)
        raise ApplicationDateError(
            f"早于所换证书的签发日 {day}", f"before the day of the certificate to be exchanged, {day}"
        )


def _is_theirs(subject: CertSubject, record: ApplicationRecord) -> bool:
    """Whether name and number are the record's; the number counts only where both have one."""
    if len(subject.names) != 1 or _plain_name(subject.names[0]) != record.name:
        raise OtherPersonError("姓名", "the name")
    numbers = [*subject.identity_codes, *_identity_numbers(subject, record)]
    if record.id_number is None or not numbers:
        return False
    if any(number.strip(_SPACES).upper() != record.id_number for number in numbers):
        raise OtherPersonError("身份证件号码", "the identity number")
    return True


def _plain_name(text: str) -> str:
    try:
        return tidy_name(text.strip(_SPACES), [])
    except CellError:
        return ""


def _identity_numbers(subject: CertSubject, record: ApplicationRecord) -> list[str]:
    """Serial numbers of the subject that are an identity number; others are the authority's own business."""
    found = []
    for text in subject.serial_numbers:
        typed = _TYPED.fullmatch(text)
        if typed is not None:
            found.append(typed[1])
        elif _RESIDENT.fullmatch(text) or text.upper() == record.id_number:
            found.append(text)
    return found
