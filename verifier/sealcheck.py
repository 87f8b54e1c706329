"""The seals of a file against the seal table: whose they are, when they were put, in which order, which are missing.

Source: docs/spec/verdicts.md, "Seals"; GM/T 0031-2014 6.1.2 and 6.2.3 for the order of the steps. What a seal's own
bytes say was checked when the file was read (`formats`): here only trust is judged, from the trust data and never
from a certificate in the file. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.candidate import FileFacts, SealFacts, SealForm
from mingzheng.formats.civil import day_of_time
from mingzheng.formats.sniff import FileKind
from mingzheng.keys.errors import KeysError
from mingzheng.keys.sealtable import SEALING_BODY, SealRecord
from mingzheng.keys.x509 import check_chain, parse_certificate
from mingzheng.verifier.checks import Subject
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.findings import Code, Finding

__all__ = ["DOCUMENTS", "check_seals"]

DOCUMENTS: Final = frozenset({FileKind.PDF, FileKind.OFD})
CLOCK_SLACK: Final = 300  # seconds that a sealer's clock may run before ours
_FORMS: Final = {SealForm.PADES: "pdf", SealForm.SES: "ofd", SealForm.SIGNED: "ofd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A seal made with this body's certificate, good or bad; `number` from 1 in the order of sealing."""

    number: int
    seal: SealFacts
    body: int
    good: bool


def check_seals(ctx: VerifyContext, subject: Subject, facts: FileFacts) -> Iterator[Finding]:
    """§seals: every finding about the seals of a file that holds this credential."""
    if facts.kind not in DOCUMENTS or (facts.scanned and not facts.seals):
        yield ctx.finding(Code.SEAL_ABSENT)
        return
    required = _required(ctx, subject)
    if not facts.seals:
        yield from (ctx.finding(Code.FILE_PROBLEM, reason=code) for code in dict.fromkeys(c for c, _ in facts.faults))
        yield from (ctx.finding(Code.SEAL_MISSING, reason="seal.none", body=body) for body in required)
        if not required:
            yield ctx.finding(Code.SEAL_ABSENT)
        return
    yield from (ctx.finding(Code.FILE_CHANGED, reason=code) for code in dict.fromkeys(c for c, _ in facts.faults))
    placed: list[_Placed] = []
    for number, seal in enumerate(facts.seals, start=1):
        found = tuple(_seal(ctx, subject, seal, number))
        yield from (item for item in found if isinstance(item, Finding))
        placed += [item for item in found if isinstance(item, _Placed)]
    yield from _set(ctx, placed, required)


def _required(ctx: VerifyContext, subject: Subject) -> tuple[int, ...]:
    """The bodies whose seals this copy must carry, in order."""
    claims = subject.claims
    rule = ctx.seals.rule_for(subject.key.issuer, claims.kind, claims.jurisdiction, claims.copy_issued_on)
    bodies = () if rule is None else rule.bodies
    return tuple(claims.sealing_body if body == SEALING_BODY else body for body in bodies)


def _seal(ctx: VerifyContext, subject: Subject, seal: SealFacts, number: int) -> Iterator[Finding | _Placed]:
    """One seal: what is wrong with it, and the body it is of. A bad seal is there all the same, it is not missing."""
    for fault in seal.faults:
        code = Code.FILE_CHANGED if fault.startswith("file.") else Code.SEAL_INVALID
        yield ctx.finding(code, reason=fault, seal=number)
    issuer, form = subject.key.issuer, _FORMS[seal.form]
    if not any(record.issuer == issuer and record.form == form for record in ctx.seals.seals):
        yield ctx.finding(Code.SEAL_NOT_CHECKED, seal=number)  # the trust data says nothing about such seals
        return
    pinned = ctx.seals.by_certificate(hashlib.sha256(seal.certificate).digest())
    records = [record for record in pinned if record.issuer == issuer and record.form == form]
    if not records:
        yield _stranger(ctx, seal, number, known=bool(pinned))
        return
    faults = [tuple(_record(ctx, subject, seal, record)) for record in records]
    good = next((record for record, found in zip(records, faults, strict=True) if not found), None)
    if good is None:
        yield from (ctx.finding(Code.SEAL_INVALID, reason=fault, seal=number) for fault in faults[0])
    sound = good is not None and not seal.faults
    yield _Placed(number=number, seal=seal, body=(good or records[0]).body, good=sound)


def _stranger(ctx: VerifyContext, seal: SealFacts, number: int, *, known: bool) -> Finding:
    """A sound seal of somebody else: of another body if a CA of the table stands behind it, else of nobody we know."""
    if known or _chains(ctx, seal):
        return ctx.finding(Code.SEAL_WRONG_BODY, reason="seal.other_body", seal=number)
    return ctx.finding(Code.SEAL_INVALID, reason="seal.untrusted", seal=number)


def _chains(ctx: VerifyContext, seal: SealFacts) -> bool:
    try:
        certificate = parse_certificate(seal.certificate)
        pool = [parse_certificate(data) for data in seal.chain]
    except KeysError:
        return False
    at = ctx.now if seal.signed_at is None else seal.signed_at
    return not check_chain(certificate, pool=pool, roots=ctx.seals.cas, at=at)


def _record(ctx: VerifyContext, subject: Subject, seal: SealFacts, record: SealRecord) -> Iterator[str]:
    """Why this pinned certificate does not stand behind this seal; nothing if it does."""
    if seal.signed_at is None:
        yield "seal.no_time"
        return
    day = day_of_time(seal.signed_at)
    certificate = record.certificate
    if not (certificate.not_before <= seal.signed_at <= certificate.not_after):
        yield "seal.certificate_expired"
    if not record.valid_from <= day <= record.valid_until:
        yield "seal.outside_days"
    if record.revoked_on is not None and day >= record.revoked_on:
        yield "seal.revoked"
    # The day of sealing is the signer's word; it cannot be before the logged day of issue, so whoever steals a key
    # can put it on copies issued before the revocation only, and those are the issuer's.
    # A clock behind the trust data (CLOCK_SUSPECT, blocks) makes no seal false that was there when these were made.
    latest = max(ctx.now, ctx.clock_floor)
    if day < subject.claims.copy_issued_on or seal.signed_at > latest + CLOCK_SLACK:
        yield "seal.wrong_day"
    if seal.form is not SealForm.PADES:  # in an OFD a seal is asked for: a bare signature has no maker to answer for it
        yield from _maker(ctx, seal, seal.signed_at)


def _maker(ctx: VerifyContext, seal: SealFacts, at: int) -> Iterator[str]:
    details = seal.details
    if details is None:
        yield "seal.no_details"
        return
    maker = ctx.seals.maker(hashlib.sha256(details.maker_certificate).digest())
    if maker is None:
        yield "seal.maker_untrusted"
    elif maker.revoked_on is not None and day_of_time(at) >= maker.revoked_on:
        yield "seal.maker_revoked"
    elif not maker.certificate.not_before <= details.created <= maker.certificate.not_after:
        yield "seal.maker_expired"
    if not details.valid_from <= at <= details.valid_until:
        yield "seal.seal_expired"


def _set(ctx: VerifyContext, placed: list[_Placed], required: tuple[int, ...]) -> Iterator[Finding]:
    """The seals together: each required body once, in order, nobody else's."""
    bodies = [item.body for item in placed]
    wanted = list(required)
    for at, item in enumerate(placed):
        if item.body in bodies[:at]:
            yield ctx.finding(Code.SEAL_INVALID, reason="seal.repeated", seal=item.number, body=item.body)
        elif required and item.body not in required:
            yield ctx.finding(Code.SEAL_WRONG_BODY, reason="seal.other_body", seal=item.number, body=item.body)
    yield from (
        ctx.finding(Code.SEAL_MISSING, reason="seal.missing", body=body) for body in wanted if body not in bodies
    )
    order = [body for body in dict.fromkeys(bodies) if body in required]
    if order != [body for body in required if body in order]:
        yield ctx.finding(Code.SEAL_INVALID, reason="seal.order")
    times = [item.seal.signed_at or 0 for item in placed if item.good]
    if times != sorted(times):
        yield ctx.finding(Code.SEAL_INVALID, reason="seal.times_out_of_order")
