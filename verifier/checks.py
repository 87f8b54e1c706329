"""One function per rule: (context, subject) -> findings. No input or output, no clock.

Source: docs/spec/verdicts.md; the section is named at each function. Every check runs as far as its
inputs exist; which finding becomes the verdict is decided in `findings.verdict_of`, not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.formats.claims import Claims, Copy, Specialty
from mingzheng.formats.credential import Credential, UnverifiedCredential
from mingzheng.formats.profile import (
    Citation,
    Handwriting,
    MissingFactError,
    Profile,
    Window,
    WindowClosedError,
    usage_last_day,
    usage_window,
)
from mingzheng.keys.errors import KeysError, MldsaUnavailableError
from mingzheng.keys.trust import IssuerRecord, KeyRecord
from mingzheng.log.acts import SerialState
from mingzheng.log.entry import issue_entry
from mingzheng.log.errors import LogError
from mingzheng.log.fastentry import issue_bytes
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.quorum import Quorum
from mingzheng.log.receipt import CompactReceipt, parse_compact_receipt, receipt_root, verify_compact_receipt
from mingzheng.log.status import StatusBody
from mingzheng.verifier.context import CACHED_BLOCKS, VerifyContext
from mingzheng.verifier.errors import VerifierError
from mingzheng.verifier.extended import End, Ends, ends_of
from mingzheng.verifier.findings import Code, Finding, Freshness, Grade
from mingzheng.verifier.heads import Proved, included, witnessed
from mingzheng.verifier.times import format_time

_STATE_CODES: Final = {
    SerialState.REVOKED: Code.REVOKED,
    SerialState.VOID: Code.VOID,
    SerialState.SUSPENDED: Code.SUSPENDED,
    SerialState.SUPERSEDED: Code.SUPERSEDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A credential that holds (`pipeline._open`), with what the trust data says about its issuer and kind."""

    credential: Credential
    issuer: IssuerRecord
    profile: Profile | None

    @property
    def claims(self) -> Claims:
        """What the issuer signed."""
        return self.credential.claims

    @property
    def key(self) -> KeyRecord:
        """The credential key's record."""
        return self.credential.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """Where the log is shown to hold the credential: (origin, index) of each good receipt.

    `witnessed`: among them is a full receipt under a head that the quorum cosigned, or a block of a landmark list.
    """

    places: tuple[tuple[int, int], ...]
    findings: tuple[Finding, ...]
    witnessed: bool

    @property
    def grade(self) -> Grade:
        """docs/adr/0008: who vouches that the entry is there."""
        if not self.places:
            return Grade.NONE
        return Grade.WITNESSED if self.witnessed else Grade.LOG_WORD


def check_trust(ctx: VerifyContext) -> Iterator[Finding]:
    """§trust and §clock: what the trust data and the clock themselves are worth."""
    wanted = ctx.expect.trust_fingerprint
    if wanted is not None and wanted != ctx.fingerprint:
        yield ctx.finding(Code.TRUST_FINGERPRINT_DIFFERS, fingerprint=ctx.fingerprint, expected=wanted)
    if not ctx.signed and wanted != ctx.fingerprint:
        yield ctx.finding(Code.TRUST_UNSIGNED, fingerprint=ctx.fingerprint)
    if ctx.now < ctx.clock_floor:
        yield ctx.finding(Code.CLOCK_SUSPECT, floor=format_time(ctx.clock_floor))


def check_scope(ctx: VerifyContext, subject: Subject) -> Iterator[Finding]:
    """docs/spec/credential.md, Verification 4: kind, jurisdiction, day of issue, bodies; is the kind open."""
    claims, key = subject.claims, subject.key
    if claims.kind not in key.kinds:
        yield ctx.finding(Code.KEY_OUT_OF_SCOPE, field="kind", kind=claims.kind)
    if claims.jurisdiction not in key.jurisdictions:
        yield ctx.finding(Code.KEY_OUT_OF_SCOPE, field="jurisdiction", jurisdiction=claims.jurisdiction)
    if not key.allows_day(claims.copy_issued_on):
        yield ctx.finding(Code.KEY_OUT_OF_SCOPE, field="issued_on", issued_on=format_day(claims.copy_issued_on))
    for field, body in (("issuing_body", claims.issuing_body), ("sealing_body", claims.sealing_body)):
        if body not in subject.issuer.bodies:
            yield ctx.finding(Code.KEY_OUT_OF_SCOPE, field=field, body=body)
    yield from _enabled(ctx, subject)


def _enabled(ctx: VerifyContext, subject: Subject) -> Iterator[Finding]:
    """docs/profiles.md, Kinds announced before they open: nobody could issue such a copy on that day."""
    claims, profile = subject.claims, subject.profile
    opened = None if profile is None else profile.enabled_from
    if profile is None or opened is None or profile.enabled_on(claims.copy_issued_on):
        return
    day = "not-yet" if opened.value is None else format_day(opened.value)
    days = {"issued_on": format_day(claims.copy_issued_on), "enabled_from": day}
    yield ctx.finding(Code.KEY_OUT_OF_SCOPE, cites=opened.citation, field="enabled_from", kind=claims.kind, **days)


def check_prefix(ctx: VerifyContext, subject: Subject, prefix: str | None) -> Iterator[Finding]:
    """docs/spec/qr.md: a prefix counts only for the issuer that lists it."""
    if prefix is not None and prefix not in subject.issuer.prefixes:
        yield ctx.finding(Code.NOT_OUR_FORMAT, reason="prefix")
        yield ctx.finding(Code.LOOKALIKE_URL, prefix=prefix)


def leaf_of(subject: Subject) -> Hash:
    """The hash of the one log entry this credential has; raises LogError if it can have none."""
    credential = subject.credential
    entry = issue_entry(credential.claims, identity=credential.identity, kid=credential.kid, issuer=subject.key.issuer)
    return leaf_hash(issue_bytes(entry))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one good receipt shows."""

    origin: int
    index: int
    witnessed: bool


def listed_at(ctx: VerifyContext, unverified: UnverifiedCredential, claims: Claims, key: KeyRecord) -> Shown | None:
    """docs/spec/landmark.md: where a landmark list holds the credential with these claims, by hashing alone.

    None if none does, whatever the reason: then both signatures decide.
    """
    if unverified.receipt is None:
        return None
    entry = issue_entry(claims, identity=unverified.identity, kid=unverified.kid, issuer=key.issuer)
    try:
        receipt = parse_compact_receipt(unverified.receipt)
        root = receipt_root(receipt, leaf_hash(issue_bytes(entry)))
    except LogError:
        return None
    signer = ctx.trust.receipt_key(receipt.origin)
    may_be = signer is not None and key.may_log(receipt.origin) and _receipt_day(signer, claims.copy_issued_on)
    if not may_be or not _is_listed(ctx, receipt, root):
        return None
    return Shown(origin=receipt.origin, index=receipt.index, witnessed=True)


def _is_listed(ctx: VerifyContext, receipt: CompactReceipt, root: Hash) -> bool:
    index = ctx.landmarks.get(receipt.origin)
    return index is not None and index.holds(receipt.start, receipt.end, root)


def check_inclusion(
    ctx: VerifyContext,
    subject: Subject,
    *,
    compact: Sequence[bytes],
    full: Sequence[bytes],
    listed: Sequence[Shown] = (),
) -> Inclusion:
    """§grades: the compact receipts inside the credential's copies and the full receipts beside them.

    `listed`: what the copies opened by `listed_at` showed; their receipts are not among `compact`.
    """
    shown: list[Shown] = list(listed)
    findings: list[Finding] = []
    if not compact and not full and len(shown) == 1:
        return Inclusion(places=((shown[0].origin, shown[0].index),), findings=(), witnessed=shown[0].witnessed)
    try:
        leaf = leaf_of(subject)
    except LogError as error:
        return Inclusion(places=(), findings=(ctx.finding(Code.FORGED, reason=error.code),), witnessed=False)
    for check, receipts in ((_compact, compact), (_full, full)):
        for receipt in receipts:
            outcome = check(ctx, subject, leaf, receipt)
            if isinstance(outcome, Finding):
                findings.append(outcome)
            else:
                shown.append(outcome)
    indexes = {item.origin: item.index for item in shown}
    if any(indexes[item.origin] != item.index for item in shown):
        findings.append(ctx.finding(Code.RECEIPT_INVALID, reason="index_differs"))
        shown = []
    return Inclusion(
        places=tuple((item.origin, item.index) for item in shown),
        findings=tuple(findings),
        witnessed=any(item.witnessed for item in shown),
    )


def _compact(ctx: VerifyContext, subject: Subject, leaf: Hash, data: bytes) -> Finding | Shown:
    try:
        receipt = parse_compact_receipt(data)
    except LogError as error:
        return ctx.finding(Code.RECEIPT_INVALID, reason=error.code)
    key = ctx.trust.receipt_key(receipt.origin)
    if key is None or not subject.key.may_log(receipt.origin):
        return ctx.finding(Code.RECEIPT_INVALID, reason="origin", origin=receipt.origin)
    if not _receipt_day(key, subject.claims.copy_issued_on):
        return ctx.finding(Code.RECEIPT_INVALID, reason="receipt_key_days", origin=receipt.origin)
    root = receipt_root(receipt, leaf)
    listed = _is_listed(ctx, receipt, root)
    if key.compromised is None or not listed:  # a thief's signature neither adds to nor takes from what witnesses saw
        try:
            _verify_block(ctx, receipt, leaf, root, key)
        except LogError as error:
            return ctx.finding(Code.RECEIPT_INVALID, reason=error.code, origin=receipt.origin)
        if key.compromised is not None:
            return ctx.finding(Code.RECEIPT_KEY_COMPROMISED, origin=receipt.origin)
    return Shown(origin=receipt.origin, index=receipt.index, witnessed=listed)


def _receipt_day(key: KeyRecord, issued_on: int) -> bool:
    """The sequencer's civil day may differ by one from the copy's (docs/spec/log.md, Rounds)."""
    return any(key.allows_day(issued_on + step) for step in (0, -1, 1))


def _verify_block(ctx: VerifyContext, receipt: CompactReceipt, leaf: Hash, root: Hash, key: KeyRecord) -> None:
    """Verify the receipt; the same signature over the same block and root is verified once per context."""
    seen = (key.kid, receipt.alg, receipt.origin, receipt.start, receipt.end, root, receipt.signature)
    if seen in ctx.blocks_seen:
        return
    height = ctx.trust.origins[receipt.origin].block_height
    verify_compact_receipt(receipt, leaf, key=key.public_key, block_height=height)
    if len(ctx.blocks_seen) >= CACHED_BLOCKS:
        ctx.blocks_seen.clear()
    ctx.blocks_seen.add(seen)


def _full(ctx: VerifyContext, subject: Subject, leaf: Hash, data: bytes) -> Finding | Shown:
    try:
        proved = included(data, leaf, ctx.heads)
        cosigned = ctx.quorum is not None and _cosigned(proved, ctx.quorum)
    except (LogError, KeysError, VerifierError) as error:
        return ctx.finding(Code.RECEIPT_INVALID, reason=error.code)
    head = proved.head
    origin = head.origin.number
    if not subject.key.may_log(origin):
        return ctx.finding(Code.RECEIPT_INVALID, reason="origin", origin=origin)
    if not _receipt_day(head.key, subject.claims.copy_issued_on):
        return ctx.finding(Code.RECEIPT_INVALID, reason="checkpoint_key_days", origin=origin)
    if not head.sound:
        return ctx.finding(Code.RECEIPT_KEY_COMPROMISED, origin=origin)
    return Shown(origin=origin, index=proved.index, witnessed=cosigned)


def _cosigned(proved: Proved, quorum: Quorum) -> bool:
    """Whether the quorum cosigned it; not, as far as anybody knows, where its signatures cannot be checked."""
    try:
        return witnessed(proved, quorum)
    except MldsaUnavailableError:
        return False


def check_grade(ctx: VerifyContext, subject: Subject, inclusion: Inclusion) -> Iterator[Finding]:
    """§grades and §compromise: what the receipts are worth, and whether the key still counts there."""
    code = Code.LOG_UNWITNESSED if ctx.quorum is None else Code.LOG_WORD_ONLY
    if not inclusion.places:
        code = Code.NOT_LOGGED
    if inclusion.grade is not Grade.WITNESSED:
        reasons = [ctx.landmarks_refused[o] for o, _ in inclusion.places if o in ctx.landmarks_refused]
        once = ("grade", code, *reasons[:1])
        yield from ctx.once(once, lambda: [ctx.finding(code, landmark=reasons[0]) if reasons else ctx.finding(code)])
    key = subject.key
    if key.compromised is None or any(key.counts_at(origin=o, index=i) for o, i in inclusion.places):
        return
    kid = key.kid.hex()
    if not inclusion.places:
        yield ctx.finding(Code.KEY_COMPROMISED, kid=kid)
    for origin, index in inclusion.places:
        good = key.compromised.get(origin, 0)
        yield ctx.finding(Code.KEY_COMPROMISED, kid=kid, origin=origin, index=index, good_size=good)


def check_status(ctx: VerifyContext, subject: Subject, inclusion: Inclusion) -> Iterator[Finding]:
    """§status: what the issuer's list says of this serial."""
    issuer, claims = subject.key.issuer, subject.claims
    index = ctx.statuses.get(issuer)
    if index is None:
        return
    state = index.state_of(claims.serial)
    body = index.body
    if state is SerialState.UNKNOWN:
        code = Code.SERIAL_NEWER_THAN_LIST if _may_be_newer(body, claims, inclusion) else Code.SERIAL_NOT_IN_LIST
        yield ctx.finding(code, serial=claims.serial, next_serial=body.next_serial)
    elif state is not SerialState.LIVE:
        yield ctx.finding(_STATE_CODES[state], serial=claims.serial, as_of=format_time(body.this_update))


def _may_be_newer(body: StatusBody, claims: Claims, inclusion: Inclusion) -> bool:
    """docs/spec/status.md, last paragraph; and no proved place inside what the list covers."""
    covered = {head.origin: head.size for head in body.origins}
    if any(index < covered.get(origin, 0) for origin, index in inclusion.places):
        return False
    return claims.copy_issued_on >= day_of_time(body.this_update) - 1


def check_freshness(ctx: VerifyContext, issuer: int) -> Iterator[Finding]:
    """§freshness: is there a list, how old is it, is it later than the judging day."""
    index = ctx.statuses.get(issuer)
    if index is None:
        reason = ctx.refused.get(issuer)
        if reason is None:
            yield ctx.finding(Code.STATUS_MISSING, issuer=issuer)
        else:
            yield ctx.finding(Code.STATUS_REFUSED, issuer=issuer, reason=reason)
        return
    as_of = format_time(index.body.this_update)
    oldest = format_time(min(index.body.this_update, ctx.trust.made_at))
    match freshness_of(ctx, issuer):
        case Freshness.STALE:
            yield ctx.finding(Code.STALE, as_of=oldest)
        case Freshness.AGED:
            yield ctx.finding(Code.DATA_AGED, as_of=oldest)
    if ctx.at is not None and day_of_time(index.body.this_update) > ctx.at:
        yield ctx.finding(Code.REVOCATION_POSTDATES, as_of=as_of, day=format_day(ctx.at))


def freshness_of(ctx: VerifyContext, issuer: int) -> Freshness:
    """The age of an issuer's list and of the trust data around it, the older counts; by the clock, never by `--at`."""
    index = ctx.statuses.get(issuer)
    if index is None:
        return Freshness.NONE
    body = index.body
    return ctx.policy.freshness(
        now=ctx.now,
        this_update=min(body.this_update, ctx.trust.made_at),
        next_update=body.next_update if ctx.expires is None else min(body.next_update, ctx.expires),
    )


def check_windows(ctx: VerifyContext, subject: Subject) -> Iterator[Finding]:
    """§windows: registration, specialties, usage window, copy type, on the judging day."""
    claims, day = subject.claims, ctx.day
    ends = ends_of(ctx.notices_of(subject.key.issuer), claims, subject.profile, on=day)
    yield from _extended(ctx, subject, ends)
    if day > ends.registration.day:
        end, until = ends.registration, format_day(claims.registered_until)
        cites = end.by[-1] if end.by else None
        yield ctx.finding(Code.REGISTRATION_EXPIRED, cites=cites, registered_until=until, **_moved(end))
    begins = max(claims.copy_issued_on, claims.certificate_issued_on)
    if day < begins:
        yield ctx.finding(Code.NOT_YET_VALID, issued_on=format_day(begins), day=format_day(day))
    yield from _specialties(ctx, subject, ends)
    yield from _usage(ctx, subject, ends)


def _extended(ctx: VerifyContext, subject: Subject, ends: Ends) -> Iterator[Finding]:
    """docs/spec/notices.md, Extension: every end that a notice has moved."""
    claims, end = subject.claims, ends.registration
    if end.by:
        days = {"registered_until": format_day(claims.registered_until), **_moved(end)}
        if claims.usage_until is not None and ends.copy > claims.usage_until:
            days["usage_until"] = format_day(ends.copy)
        yield ctx.finding(Code.REGISTRATION_EXTENDED, cites=end.by[-1], **days)
    for item, last in zip(claims.specialties, ends.specialties, strict=True):
        if last.by and last != end:
            days = {"specialty": item.code, "last_day": format_day(item.last_day), **_moved(last)}
            yield ctx.finding(Code.REGISTRATION_EXTENDED, cites=last.by[-1], **days)


def _moved(end: End) -> dict[str, str | int]:
    """Where notices moved an end, and which; nothing if none did."""
    if not end.by:
        return {}
    return {"extended_until": format_day(end.day), "notice": " ".join(str(notice.number) for notice in end.by)}


def _specialties(ctx: VerifyContext, subject: Subject, ends: Ends) -> Iterator[Finding]:
    claims, day = subject.claims, ctx.day
    expected = ctx.expect.specialty
    held = [replace(item, last_day=end.day) for item, end in zip(claims.specialties, ends.specialties, strict=True)]
    needed: Sequence[Specialty] = held
    if expected is not None:
        needed = [item for item in held if expected in _names(subject.profile, item.code)]
        if not needed:
            yield ctx.finding(Code.SPECIALTY_EXPIRED, state="not_held", expected=expected)
            return
    rest: Sequence[Specialty] = held
    if needed and not any(item.first_day <= day <= item.last_day for item in needed):
        rest = [item for item in rest if item not in needed]
        waiting = [item.first_day for item in needed if day < item.first_day]
        if waiting:
            yield ctx.finding(Code.NOT_YET_VALID, first_day=format_day(min(waiting)), day=format_day(day))
        else:
            last = max(item.last_day for item in needed)
            yield ctx.finding(Code.SPECIALTY_EXPIRED, state="ended", last_day=format_day(last))
    for item in rest:
        if day > item.last_day:
            yield ctx.finding(Code.SPECIALTY_LAPSED, specialty=item.code, last_day=format_day(item.last_day))
        elif day < item.first_day:
            yield ctx.finding(Code.SPECIALTY_NOT_BEGUN, specialty=item.code, first_day=format_day(item.first_day))


def _names(profile: Profile | None, code: int) -> frozenset[str]:
    """What a reader may call a specialty: its number, official code or names."""
    name = None if profile is None else profile.specialties.get(code)
    if name is None:
        return frozenset({str(code)})
    known = (str(code), name.official_code, name.name_zh, name.name_en)
    return frozenset(text for text in known if text is not None)


def _usage(ctx: VerifyContext, subject: Subject, ends: Ends) -> Iterator[Finding]:
    claims, profile = subject.claims, subject.profile
    until = claims.usage_until
    if profile is None:
        yield ctx.finding(Code.PROFILE_MISSING, kind=claims.kind, jurisdiction=claims.jurisdiction)
        if until is not None and ctx.day > until:
            yield ctx.finding(Code.USAGE_EXPIRED, usage_until=format_day(until))
        return
    if claims.copy is Copy.APPROVAL and profile.usage_window is not None:
        yield ctx.finding(Code.NOT_A_USAGE_COPY)
    if until is None:
        if claims.copy is Copy.USAGE and profile.usage_window is not None:
            yield ctx.finding(Code.FORGED, reason="exp_absent")
        if ends.copy < ctx.day <= ends.registration.day:
            yield _fresh_copy(ctx, ends, format_day(claims.registered_until))
        return
    if ctx.day <= until <= _last_day(profile, ends):
        return
    window = _allowed(profile, ends)
    allowed = claims.registered_until if window is None or window.usage_until is None else window.usage_until
    if until > allowed:
        binding = "" if window is None else " ".join(window.binding)
        days = {"usage_until": format_day(until), "allowed_until": format_day(allowed)}
        yield ctx.finding(Code.WINDOW_TOO_LONG, cites=_citation(window, allowed), binding=binding, **days)
    if ctx.day > ends.copy:
        if claims.registered_until < ctx.day <= ends.registration.day:
            yield _fresh_copy(ctx, ends, format_day(until))
        else:
            days = {"usage_until": format_day(until)}
            if ends.copy > until:  # a notice had moved it, and that day has passed, too
                days["extended_until"] = format_day(ends.copy)
            cites = _citation(window, ends.copy) or _citation(window, until)
            yield ctx.finding(Code.USAGE_EXPIRED, cites=cites, **days)


def _fresh_copy(ctx: VerifyContext, ends: Ends, until: str) -> Finding:
    """The registration stands by notice alone; this copy does not, and a fresh one is due."""
    end = ends.registration
    return ctx.finding(Code.USAGE_EXPIRED, cites=end.by[-1], usage_until=until, **_moved(end))


def _last_day(profile: Profile, ends: Ends) -> int:
    """The last day that the profile's rules allow, without saying why; -1 where they cannot say."""
    last = usage_last_day(profile, ends.caps)
    return -1 if last is None else last


def _allowed(profile: Profile, ends: Ends) -> Window | None:
    """The window the profile's rules give this copy; None if they cannot give one."""
    try:
        return usage_window(profile, ends.caps)
    except WindowClosedError as error:
        return error.window
    except MissingFactError:
        return None


def _citation(window: Window | None, day: int) -> Citation | None:
    """The clause of the first rule that gives `day`."""
    steps = () if window is None else window.trace
    return next((step.citation for step in steps if step.day == day), None)


def check_form(ctx: VerifyContext, subject: Subject) -> Iterator[Finding]:
    """§forms: is the copy on a form that a notice has retired."""
    claims = subject.claims
    notices = ctx.notices_of(subject.key.issuer)
    found = notices.form(kind=claims.kind, jurisdiction=claims.jurisdiction, template=claims.template)
    if found is None:
        return
    notice, form = found
    last = notice.day - 1 if form.equal_until is None else form.equal_until
    if form.equal_until is None and ctx.day <= last:
        return  # never equal: before the notice it was no old form yet
    code = Code.FORM_RETIRED if ctx.day > last else Code.FORM_OLD_EQUAL
    paper = {"reason": "notice.paper"} if form.paper else {}
    yield ctx.finding(code, cites=notice, template=form.template, until=format_day(last), notice=notice.number, **paper)


def check_notices(ctx: VerifyContext, issuer: int) -> Iterator[Finding]:
    """docs/spec/notices.md, Believing a notice: all of an issuer's, or none and no verdict without them."""
    reason = ctx.notices_refused.get(issuer)
    if reason is not None:
        yield ctx.finding(Code.NOTICE_REFUSED, issuer=issuer, reason=reason)


def check_purpose(ctx: VerifyContext, subject: Subject) -> Iterator[Finding]:
    """§purpose: the purpose in the copy is the expected one, character by character."""
    expected = ctx.expect.purpose
    if expected is not None and subject.claims.purpose != expected:
        yield ctx.finding(Code.PURPOSE_MISMATCH, state="absent" if subject.claims.purpose is None else "other")


def check_handwriting(ctx: VerifyContext, subject: Subject) -> Iterator[Finding]:
    """§compare: ink is for people; say so where the notice asks for it."""
    profile = subject.profile
    if profile is not None and wants_handwriting(profile):
        key = ("handwriting", profile.code, profile.jurisdiction, profile.effective_from)
        cites = profile.handwriting.citation
        yield from ctx.once(key, lambda: [ctx.finding(Code.HANDWRITING_COMPARE, cites=cites)])


def wants_handwriting(profile: Profile) -> bool:
    """Does the notice of this kind speak of a signature in ink on the print?"""
    return profile.handwriting.value is not Handwriting.SILENT
