"""From what was found in a file or a code to reports: the fixed order of checks, never an exception on input.

Source: docs/spec/verdicts.md. Pure; the import closure of `verify_text` is the port scope of a browser
verifier. Reading files into candidates is `formats.extract`'s business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mingzheng.formats.candidate import Candidate, Extracted, Source
from mingzheng.formats.claims import Claims
from mingzheng.formats.credential import (
    Credential,
    UnverifiedCredential,
    open_credential,
    open_logged_credential,
    parse_credential,
)
from mingzheng.formats.errors import (
    CredentialForgedError,
    FormatError,
    NotOurFormatError,
    ResourceLimitError,
    UnknownVersionError,
)
from mingzheng.formats.onekind import named_kinds
from mingzheng.formats.qrtext import parse_qr_text
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.verifier import checks
from mingzheng.verifier.checks import Inclusion, Shown, Subject
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.findings import LOOK_YOURSELF, Code, Finding, Severity, verdict_of
from mingzheng.verifier.pageoutcome import PageJudge, PageOutcome
from mingzheng.verifier.report import Report
from mingzheng.verifier.sealcheck import DOCUMENTS, check_seals

INK: Final = "ink.signature"  # the box that the holder signs by hand
NO_INCLUSION: Final = Inclusion(places=(), findings=(), witnessed=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A credential's bytes as they were met, and the QR prefix before them."""

    data: bytes
    prefix: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A candidate that holds a credential; `identity` of other bytes is their own SHA-256."""

    met: Met
    candidate: Candidate
    identity: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the checks say of one credential; `subject` only if its signature holds."""

    findings: tuple[Finding, ...]
    subject: Subject | None
    inclusion: Inclusion


@dataclass(frozen=True, slots=True)
class _Opened:
    """A copy that holds. `listed`: by the log's word alone, which shows it there."""

    credential: Credential
    listed: Shown | None


class _Several:
    """Judges no page of a file that holds several certificates: which page is whose, is for people."""

    def compare(self, subject: Subject, tokens: Sequence[bytes]) -> PageOutcome:
        """Not compared."""
        return PageOutcome(compared=False, reason="page.several", mismatches=())


SEVERAL: Final = _Several()


def verify_text(text: str, ctx: VerifyContext, *, file: str = "") -> Report:
    """The report on one QR text, as a scanner returned it."""
    candidate = Candidate(source=Source.TEXT, page=None, text=text, data=None, where="text")
    outcome = _token(candidate, ctx)
    if isinstance(outcome, NotOurFormatError):
        return _foreign_report([outcome], ctx, file)
    judged = judge([outcome.met], ctx)
    notes = (ctx.finding(Code.SEAL_ABSENT),)
    return _report(judged, ctx, file=file, place=candidate, notes=notes)


def verify_extracted(
    extracted: Extracted, ctx: VerifyContext, file: str, *, pages: PageJudge | None = None
) -> tuple[Report, ...]:
    """The reports on one file: a row for each credential in it, one row if there is none.

    Without `pages` no page is compared, and no verdict is VALID.
    """
    outcomes = [(candidate, _token(candidate, ctx)) for candidate in extracted.candidates]
    tokens = [item for _, item in outcomes if isinstance(item, Token)]
    foreign = [item for _, item in outcomes if isinstance(item, NotOurFormatError)]
    problems = tuple(_problems(extracted, ctx, file))
    if not tokens:
        return (_foreign_report(foreign, ctx, file, notes=problems),)
    notes = (*_notes(extracted, tokens, foreign, ctx), *problems)
    clash = _clash(tokens, foreign, outcomes)
    if clash is not None:
        ambiguous = ctx.finding(Code.AMBIGUOUS, reason=clash, count=len({token.identity for token in tokens}))
        judged = Judged(findings=(ambiguous,), subject=None, inclusion=NO_INCLUSION)
        return (_report(judged, ctx, file=file, place=tokens[0].candidate, notes=notes),)
    groups: dict[bytes, list[Token]] = {}
    for token in tokens:
        groups.setdefault(token.identity, []).append(token)
    reports = []
    for group in groups.values():
        full = extracted.facts.full_receipts if len(groups) == 1 else ()
        judged = judge([token.met for token in group], ctx, full_receipts=full)
        seals = () if judged.subject is None else tuple(check_seals(ctx, judged.subject, extracted.facts))
        outcome = _compare(judged, extracted, group, pages if len(groups) == 1 else SEVERAL)
        found = (*notes, *seals, *_page(outcome, extracted, judged, ctx))
        sure = None if extracted.facts.scanned else outcome
        report = _report(judged, ctx, file=file, place=group[0].candidate, notes=found, outcome=sure)
        reports.append(replace(report, seals=extracted.facts.seals))
    return tuple(reports)


def refuse(error: FormatError, ctx: VerifyContext, file: str) -> Report:
    """The report on a file that could not be read into candidates."""
    if isinstance(error, NotOurFormatError):
        return _foreign_report([error], ctx, file)
    code = Code.RESOURCE_LIMIT if isinstance(error, ResourceLimitError) else Code.UNREADABLE
    judged = Judged(findings=(ctx.finding(code, reason=error.code),), subject=None, inclusion=NO_INCLUSION)
    return _report(judged, ctx, file=file, place=None, notes=())


def judge(copies: Sequence[Met], ctx: VerifyContext, *, full_receipts: Sequence[bytes] = ()) -> Judged:
    """Run every check on one credential, met once or several times in the same file.

    All its copies must hold: they differ at most in signature bytes and receipt. `copies` is not empty.
    """
    opened: list[_Opened] = []
    for data in dict.fromkeys([copy.data for copy in copies]):
        outcome = _open(data, ctx)
        if isinstance(outcome, Finding):
            return _not_opened(outcome, data, ctx)
        opened.append(outcome)
    credential = opened[0].credential
    claims, key = credential.claims, credential.key
    profile = ctx.profiles.select(claims.kind, claims.jurisdiction, claims.copy_issued_on)
    subject = Subject(credential=credential, issuer=ctx.trust.issuers[key.issuer], profile=profile)
    signed = dict.fromkeys(item.credential.receipt for item in opened if item.listed is None)
    compact = [receipt for receipt in signed if receipt is not None]
    listed = [item.listed for item in opened if item.listed is not None]
    inclusion = checks.check_inclusion(ctx, subject, compact=compact, full=full_receipts, listed=listed)
    prefixes = dict.fromkeys(copy.prefix for copy in copies)
    findings = [finding for prefix in prefixes for finding in checks.check_prefix(ctx, subject, prefix)]
    if listed:
        findings += ctx.once(("unsigned",), lambda: [ctx.finding(Code.ISSUER_SIGNATURE_NOT_CHECKED)])
    findings += [*inclusion.findings, *_rules(ctx, subject, inclusion)]
    return Judged(findings=tuple(findings), subject=subject, inclusion=inclusion)


def _rules(ctx: VerifyContext, subject: Subject, inclusion: Inclusion) -> Iterator[Finding]:
    yield from checks.check_scope(ctx, subject)
    yield from checks.check_grade(ctx, subject, inclusion)
    yield from checks.check_status(ctx, subject, inclusion)
    yield from checks.check_windows(ctx, subject)
    yield from checks.check_form(ctx, subject)
    yield from checks.check_purpose(ctx, subject)
    yield from checks.check_handwriting(ctx, subject)
    issuer = subject.key.issuer
    yield from ctx.once(("issuer", issuer), lambda: checks.check_freshness(ctx, issuer))
    yield from ctx.once(("notices", issuer), lambda: checks.check_notices(ctx, issuer))
    yield from ctx.once(("trust",), lambda: checks.check_trust(ctx))


def _token(candidate: Candidate, ctx: VerifyContext) -> Token | NotOurFormatError:
    """Attachments are bytes, codes are digits: a code that holds raw bytes is not one of ours."""
    prefix = None
    data = candidate.data if candidate.source is Source.ATTACHMENT else None
    if data is None:
        try:
            read = parse_qr_text(candidate.text or "", prefixes=ctx.prefixes)
        except NotOurFormatError as error:
            return error
        data, prefix = read.data, read.prefix
    try:
        identity = parse_credential(data).identity
    except FormatError:
        identity = hashlib.sha256(data).digest()
    return Token(met=Met(data=data, prefix=prefix), candidate=candidate, identity=identity)


def _open(data: bytes, ctx: VerifyContext) -> _Opened | Finding:
    """docs/spec/credential.md, Verification 1 to 3; by policy the log's word for 2 (docs/spec/landmark.md)."""
    try:
        unverified = parse_credential(data)
    except FormatError as error:
        return ctx.finding(Code.FORGED, reason=error.code)
    key = _key_of(unverified, ctx)
    if key is None:
        return ctx.finding(Code.UNKNOWN_ISSUER, kid=unverified.kid.hex())
    if ctx.trust_log:
        by_log = _open_by_log(unverified, key, ctx)
        if by_log is not None:
            return by_log
    try:
        return _Opened(open_credential(unverified, key), None)
    except CredentialForgedError as error:
        cause = error.__cause__
        reason = cause.code if isinstance(cause, FormatError) else error.code
        return ctx.finding(Code.FORGED, reason=reason, kid=unverified.kid.hex())
    except UnknownVersionError as error:
        return ctx.finding(Code.VERSION_UNKNOWN, version=error.version)


def _open_by_log(unverified: UnverifiedCredential, key: KeyRecord, ctx: VerifyContext) -> _Opened | None:
    listed: Shown | None = None

    def is_logged(claims: Claims) -> bool:
        nonlocal listed
        listed = checks.listed_at(ctx, unverified, claims, key)
        return listed is not None

    credential = open_logged_credential(unverified, key, is_logged)
    return None if credential is None else _Opened(credential, listed)


def _key_of(unverified: UnverifiedCredential, ctx: VerifyContext) -> KeyRecord | None:
    key = ctx.trust.key(unverified.kid)
    return key if key is not None and key.role is Role.CREDENTIAL else None


def _not_opened(finding: Finding, data: bytes, ctx: VerifyContext) -> Judged:
    """No claims to check; but a compromised key stays one under a version we cannot read."""
    findings = [finding, *checks.check_trust(ctx)]
    if finding.code is Code.VERSION_UNKNOWN:
        key = _key_of(parse_credential(data), ctx)
        if key is not None and key.compromised is not None:
            findings.append(ctx.finding(Code.KEY_COMPROMISED, kid=key.kid.hex()))
    return Judged(findings=tuple(findings), subject=None, inclusion=NO_INCLUSION)


def _clash(
    tokens: Sequence[Token],
    foreign: Sequence[NotOurFormatError],
    outcomes: Sequence[tuple[Candidate, Token | NotOurFormatError]],
) -> str | None:
    """§ambiguous: why the file contradicts itself, or None."""
    attached = {token.identity for token in tokens if token.candidate.source is Source.ATTACHMENT}
    visible = {token.identity for token in tokens if token.candidate.source is not Source.ATTACHMENT}
    if len(attached) > 1:
        return "two_attachments"
    if attached and (visible - attached or (foreign and not visible)):
        return "attachment_is_not_the_visible_code"
    slots: dict[tuple[Source, int | None, str], set[bytes]] = {}
    for candidate, outcome in outcomes:
        slot = (candidate.source, candidate.page, candidate.where)
        slots.setdefault(slot, set()).add(outcome.identity if isinstance(outcome, Token) else b"")
    if any(len(found) > 1 for found in slots.values()):
        return "two_codes_in_one_place"
    return None


def _notes(
    extracted: Extracted, tokens: Sequence[Token], foreign: Sequence[NotOurFormatError], ctx: VerifyContext
) -> Iterator[Finding]:
    """What the file itself adds to the report of every credential in it."""
    if extracted.kind in DOCUMENTS and all(token.candidate.source is Source.ATTACHMENT for token in tokens):
        yield ctx.finding(Code.CODE_NOT_VISIBLE)
    if foreign:
        yield ctx.finding(Code.FOREIGN_CODE, count=len(foreign))
        yield from _lookalikes(foreign, ctx)


def _compare(
    judged: Judged, extracted: Extracted, group: Sequence[Token], pages: PageJudge | None
) -> PageOutcome | None:
    """The page against the signed data; None where there is no page of ours to compare."""
    if judged.subject is None or extracted.kind not in DOCUMENTS:
        return None
    if pages is None:
        return PageOutcome(compared=False, reason="page.not_looked_at", mismatches=())
    return pages.compare(judged.subject, [token.met.data for token in group])


def _page(outcome: PageOutcome | None, extracted: Extracted, judged: Judged, ctx: VerifyContext) -> Iterator[Finding]:
    """§page: what the comparison says."""
    if outcome is None:
        return
    if extracted.facts.scanned:
        yield from _scan(outcome, judged, ctx)
        return
    if not outcome.compared:
        yield ctx.finding(Code.PAGE_NOT_COMPARED, reason=outcome.reason)
    for name in outcome.filled:  # ink in a file: nobody can say whose, or when
        yield ctx.finding(Code.PAGE_NOT_COMPARED, reason="page.ink_written", box=name)
    for mismatch in outcome.mismatches:
        yield ctx.finding(Code.PAGE_MISMATCH, reason=mismatch.reason, box=mismatch.name, page=mismatch.page)


def _scan(outcome: PageOutcome, judged: Judged, ctx: VerifyContext) -> Iterator[Finding]:
    """Paper is for people to compare: what a machine noticed tells them where to look first."""
    yield ctx.finding(Code.PAGE_NOT_COMPARED, reason="page.scanned")
    for mismatch in outcome.mismatches:
        yield ctx.finding(Code.PAGE_NOT_COMPARED, reason="page.look_here", box=mismatch.name, page=mismatch.page)
    profile = None if judged.subject is None else judged.subject.profile
    if INK in outcome.empty and profile is not None and checks.wants_handwriting(profile):
        yield ctx.finding(Code.HANDWRITING_MISSING, box=INK)


def _problems(extracted: Extracted, ctx: VerifyContext, file: str) -> Iterator[Finding]:
    promised = named_kinds(file)
    if promised is not None and extracted.kind not in promised:
        yield ctx.finding(Code.FILE_KIND_MISMATCH, reason=extracted.kind.value)
    for code in dict.fromkeys(code for code, _detail in extracted.problems):
        yield ctx.finding(Code.FILE_PROBLEM, reason=code)


def _lookalikes(foreign: Sequence[NotOurFormatError], ctx: VerifyContext) -> Iterator[Finding]:
    """One warning for each alien address, as inert text, without what stands behind its `#`."""
    for url in dict.fromkeys((error.url or "").partition("#")[0] for error in foreign if error.lookalike):
        yield ctx.finding(Code.LOOKALIKE_URL, text=url)


def _foreign_report(
    foreign: Sequence[NotOurFormatError], ctx: VerifyContext, file: str, *, notes: tuple[Finding, ...] = ()
) -> Report:
    reason = foreign[0].code if foreign else "no_code"
    findings = (ctx.finding(Code.NOT_OUR_FORMAT, reason=reason), *_lookalikes(foreign, ctx))
    judged = Judged(findings=findings, subject=None, inclusion=NO_INCLUSION)
    return _report(judged, ctx, file=file, place=None, notes=notes)


def verdict_for(findings: Sequence[Finding], ctx: VerifyContext, *, compared: bool = False) -> Code:
    """The verdict that these findings give under the policy; `compared`: a page was, and is the signed one."""
    blocking = frozenset(item.code for item in findings if item.severity is Severity.BLOCKS)
    sure = compared and not any(item.code in LOOK_YOURSELF for item in findings)
    return verdict_of(blocking, at_given=ctx.at is not None, compared=sure)


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What blocks first, then duties, then notes; within each the order of the codes."""
    return tuple(sorted(findings, key=_weight))


def _report(
    judged: Judged,
    ctx: VerifyContext,
    *,
    file: str,
    place: Candidate | None,
    notes: tuple[Finding, ...],
    outcome: PageOutcome | None = None,
) -> Report:
    findings = in_order((*judged.findings, *notes))
    compared = outcome is not None and outcome.compared and not outcome.mismatches
    # A genuine credential behind somebody else's address is not shown: it would lend the address its credit.
    hidden = any(item.code is Code.NOT_OUR_FORMAT for item in findings)
    return Report(
        file=file,
        source="" if place is None else place.source.value,
        page=None if place is None else place.page,
        verdict=verdict_for(findings, ctx, compared=compared),
        grade=judged.inclusion.grade,
        findings=findings,
        subject=None if hidden else judged.subject,
        places=judged.inclusion.places,
        outcome=outcome,
        seals=(),
        context=ctx,
    )


_SEVERITIES: Final = {severity: rank for rank, severity in enumerate(Severity)}
_CODES: Final = {code: rank for rank, code in enumerate(Code)}


def _weight(finding: Finding) -> tuple[int, int]:
    return _SEVERITIES[finding.severity], _CODES[finding.code]
