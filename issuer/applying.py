"""A re-issue on the holder's signed application: read, check, attach, keep; and the authorities holders sign under.

Source: docs/workspace.md (Application). The application is stored in the transaction that plans the re-issue, its files
are kept before it under their digests; a command cut short between the two leaves files that the next sweep
(`ledger forget`) removes, and does the rest when it is run again.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mingzheng.formats.pdf.holdersign import HolderSignatureError, inflates_beyond, read_beside, read_inside
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.issuer.application import check_signer, refusal_of
from mingzheng.issuer.applicationerrors import (
    ApplicationCaError,
    ApplicationFileError,
    ApplicationPdfError,
    HolderCaMissingError,
)
from mingzheng.issuer.issue import Issued, Job, deliver_jobs
from mingzheng.issuer.kept import parse_kept
from mingzheng.issuer.lifecycle import Target, plan_reissue
from mingzheng.issuer.plan import CopyOrder
from mingzheng.issuer.publish import settle
from mingzheng.issuer.render import Outbox
from mingzheng.issuer.rows import Application, NewApplication
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.errors import KeysError
from mingzheng.keys.x509 import Certificate, parse_certificate

__all__ = [
    "MAX_APPLICATION_BYTES",
    "MAX_SIGNATURE_BYTES",
    "Exchange",
    "Handed",
    "exchange",
    "pin_holder_ca",
    "plan_exchange",
]

MAX_APPLICATION_BYTES: Final = 8 * 1024 * 1024
MAX_SIGNATURE_BYTES: Final = 64 * 1024
_INFLATED_MAX: Final = 64 * 1024 * 1024
_CA_SUFFIX: Final = "cer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What the holder handed in: a signed PDF, or any file with the signature (CMS, DER) beside it."""

    data: bytes
    signature: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What is asked for: as `plan_reissue`, and on what application."""

    wanted: CopyOrder | None
    reason: str
    handed: Handed


def exchange(workspace: Workspace, target: Target, asked: Exchange, *, now: int, out: Path | Outbox) -> Issued:
    """Carry a re-issue out on an application, and deliver its file; killed anywhere and run again, it is done once."""
    settle(workspace, now=now)
    job = plan_exchange(workspace, target, asked, now=now)
    return deliver_jobs(workspace, [job], out=out, now=now)[0]


def plan_exchange(workspace: Workspace, target: Target, asked: Exchange, *, now: int) -> Job:
    """The job of a re-issue with its application, checked; changes nothing. Raises an ApplicationError, or as
    `plan_reissue`.
    """
    job = plan_reissue(workspace, target, wanted=asked.wanted, reason=asked.reason, now=now)
    application = _check(workspace, job, asked.handed, now)
    return replace(job, order=replace(job.order, application=application))


def pin_holder_ca(workspace: Workspace, name: str, certificate: bytes) -> str:
    """Pin an authority (DER): holders may sign under it from now on; its name under seals/.

    Raises ApplicationCaError.
    """
    _ca(name, certificate)
    kept = workspace.seals.keep(certificate, "holder-ca", _CA_SUFFIX)
    if kept not in workspace.config.holder_cas:
        workspace.store_config(replace(workspace.config, holder_cas=(*workspace.config.holder_cas, kept)))
    return kept


def _check(workspace: Workspace, job: Job, handed: Handed, now: int) -> NewApplication:
    roots = _roots(workspace)
    _check_sizes(handed)
    book, registration, record = workspace.ledger.applications, job.order.registration, job.order.record_digest
    try:
        if handed.signature is not None:
            signature = read_beside(handed.data, handed.signature)
        else:
            if not handed.data.startswith(b"%PDF-"):
                raise ApplicationPdfError("file.structure")
            if inflates_beyond(handed.data, _INFLATED_MAX):
                raise ApplicationFileError("展开后过大", "is too large once it is unpacked")
            signature = read_inside(handed.data, check_pdf(handed.data))
    except HolderSignatureError as error:
        raise refusal_of(error) from error
    known = book.find(signature.outcome.statement)
    if known is not None and book.check(known.facts, registration, record):
        return NewApplication(facts=known.facts, data=handed.data, signature=handed.signature)  # as it was checked then
    since = _exchanged_on(workspace, job)
    certificate, by_number = check_signer(signature, job.kept.record, roots=roots, since=since, now=now)
    facts = Application(
        file=hashlib.sha256(handed.data).digest(),
        beside=None if handed.signature is None else hashlib.sha256(handed.signature).digest(),
        statement=signature.outcome.statement,
        certificate=certificate.sha256,
        subject=certificate.subject_text,
        by_number=by_number,
        signed_at=signature.signed_at,
        is_stamped=signature.is_stamped,
    )
    book.check(facts, registration, record)
    return NewApplication(facts=facts, data=handed.data, signature=handed.signature)


def _check_sizes(handed: Handed) -> None:
    for data, most, zh, en in (
        (handed.data, MAX_APPLICATION_BYTES, "", "file"),
        (handed.signature, MAX_SIGNATURE_BYTES, "的签名文件", "'s signature file"),
    ):
        if data is not None and not data:
            raise ApplicationFileError(f"{zh}是空的", f"{en} is empty")
        if data is not None and len(data) > most:
            raise ApplicationFileError(f"{zh}超过 {most // 1024} KiB", f"{en} is over {most // 1024} KiB")


def _roots(workspace: Workspace) -> list[Certificate]:
    if not workspace.config.holder_cas:
        raise HolderCaMissingError
    return [_ca(name, workspace.seals.file(name)) for name in workspace.config.holder_cas]


def _ca(name: str, data: bytes) -> Certificate:
    try:
        certificate = parse_certificate(data)
    except KeysError as error:
        raise ApplicationCaError(name) from error
    if not certificate.is_ca or "keyCertSign" not in (certificate.key_usage or ()):
        raise ApplicationCaError(name)
    return certificate


def _exchanged_on(workspace: Workspace, job: Job) -> int:
    """The day of the certificate that is exchanged: the newest of the registration's other data."""
    rows = workspace.ledger.copies_of(job.order.registration)
    others = {
        row.record
        for row in rows
        if row.record != job.order.record_digest and (row.status is not CopyStatus.VOID or row.leaf_index is not None)
    }
    days = [parse_kept(workspace.ledger.record_body(digest)).record.certificate_issued_on for digest in others]
    return max(days, default=job.kept.record.certificate_issued_on)
