"""What happens to copies after they are issued: revoke, suspend, reinstate, void, and re-issue (换领).

Where the issuer has operators, an act is a person's, and one of `BY_TWO` two persons': `propose` and `effect_of` are
its two halves, between which `approval` stands.

Source: docs/life-of-a-certificate.md ("Acts"), docs/spec/log.md ("Order of acts"). `plan_act` says what would happen
and changes nothing; `perform` stores the signed act, then submits it. Both first see everything on its way into the
log, so an act never overtakes a copy. Doing the same again finds nothing left to do. Reasons stay in the ledger.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mingzheng.formats import cbor
from mingzheng.formats.civil import day_of_time
from mingzheng.formats.claims import Copy, parse_claims
from mingzheng.formats.errors import FormatError
from mingzheng.formats.rules_reissue import Exchange
from mingzheng.issuer.approval import Effect, Proposal
from mingzheng.issuer.approvalerrors import (
    OperatorNeededError,
    OtherIssuerError,
    RequestChangedError,
    RequestForgedError,
    TwoPersonsError,
)
from mingzheng.issuer.deedwords import copy_status_word, deed_word
from mingzheng.issuer.errors import WrongProfileError
from mingzheng.issuer.issue import Issued, Job, deliver_jobs, job_for, order_of
from mingzheng.issuer.kept import parse_kept
from mingzheng.issuer.lockerrors import NewCopiesLockedError
from mingzheng.issuer.noticework import extensions_in_force
from mingzheng.issuer.operators import Operator
from mingzheng.issuer.plan import CopyOrder, profile_of
from mingzheng.issuer.publish import MAX_SERIALS, settle, sign_act
from mingzheng.issuer.refusals import (
    ActRefusedError,
    RefusalError,
    RegistrationClosedError,
    RegistrationUnknownError,
    UnknownIssuerError,
)
from mingzheng.issuer.reissuing import check_reissue, reissue_of
from mingzheng.issuer.render import Outbox
from mingzheng.issuer.requestform import parse_form
from mingzheng.issuer.rows import DESK, STATUS_AFTER, By, CopyRow, Decision, NewAct, Registration, RequestRow
from mingzheng.issuer.schema import CopyState, CopyStatus, RegistrationState
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.book import REQUEST_DAYS

__all__ = [
    "BY_TWO",
    "ActPlan",
    "Target",
    "decode_target",
    "effect_of",
    "encode_target",
    "find_registration",
    "find_serial",
    "perform",
    "plan_act",
    "plan_reissue",
    "propose",
    "reissue",
    "reissue_rule",
]


BY_TWO: Final = frozenset({ActType.REVOKE, ActType.VOID})
"""What ends somebody's copy for good: takes two operators, where the issuer has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an act is about: a whole registration, or one serial of it."""

    registration: Registration
    serial: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActPlan:
    """What an act would do. No serials and no new state: it is done already."""

    act: ActType
    target: Target
    serials: tuple[int, ...]
    state: RegistrationState | None

    @property
    def is_done(self) -> bool:
        """Nothing is left to do."""
        return not self.serials and self.state is None


_FROM: Final[Mapping[ActType, frozenset[CopyStatus]]] = {
    ActType.REVOKE: frozenset({CopyStatus.LIVE, CopyStatus.SUSPENDED}),
    ActType.SUSPEND: frozenset({CopyStatus.LIVE}),
    ActType.REINSTATE: frozenset({CopyStatus.SUSPENDED}),
    ActType.VOID: frozenset({CopyStatus.LIVE, CopyStatus.SUSPENDED}),
}
_STATE: Final[Mapping[ActType, RegistrationState]] = {
    ActType.REVOKE: RegistrationState.REVOKED,
    ActType.SUSPEND: RegistrationState.SUSPENDED,
    ActType.REINSTATE: RegistrationState.ACTIVE,
}


def find_registration(workspace: Workspace, *, kind: int, registration_no: str, issuer: int | None) -> Target:
    """The registration of that kind and number. Raises RegistrationUnknownError, UnknownIssuerError."""
    found = workspace.ledger.registrations(kind, registration_no)
    if issuer is not None:
        found = tuple(registration for registration in found if registration.issuer == issuer)
    if not found:
        raise RegistrationUnknownError
    if len(found) > 1:
        raise UnknownIssuerError(
            "几个机构都有这个注册编号，请用 --issuer 指定",
            "several issuers have this registration: name one with --issuer",
        )
    return Target(registration=found[0], serial=None)


def find_serial(workspace: Workspace, *, serial: int, issuer: int | None) -> Target:
    """One serial. Raises SerialUnknownError, UnknownIssuerError."""
    numbers = [spec.number for spec in workspace.config.issuers]
    if issuer is None and len(numbers) > 1:
        raise UnknownIssuerError(
            "有几个机构，序号须与 --issuer 一起给出", "there are several issuers: a serial needs --issuer"
        )
    row = workspace.ledger.copy(numbers[0] if issuer is None else issuer, serial)
    return Target(registration=row.registration, serial=serial)


def plan_act(workspace: Workspace, act: ActType, target: Target) -> ActPlan:
    """What the act would do now. Raises ActRefusedError for an act that may not follow."""
    if target.serial is not None:
        row = workspace.ledger.copy(target.registration.issuer, target.serial)
        return ActPlan(act=act, target=target, serials=_one(act, row), state=None)
    if act is ActType.VOID:
        raise ActRefusedError("作废只能按序号进行", "only a serial can be voided")
    state = workspace.ledger.registration_state(target.registration)
    if state is RegistrationState.REVOKED and act is not ActType.REVOKE:
        raise ActRefusedError("该注册已撤销，不可恢复", "the registration is revoked, and that is final")
    serials = tuple(row.serial for row in workspace.ledger.copies_of(target.registration) if row.status in _FROM[act])
    return ActPlan(act=act, target=target, serials=serials, state=None if state is _STATE[act] else _STATE[act])


def perform(
    workspace: Workspace, act: ActType, target: Target, *, reason: str, now: int, operator: Operator | None = None
) -> ActPlan:
    """Carry the act out; returns what it did. Killed anywhere and run again, it is done once.

    `operator`: who does it, where the issuer has operators. Raises TwoPersonsError for what takes two there
    (`propose`), OperatorNeededError, OtherIssuerError.
    """
    issuer, today = target.registration.issuer, day_of_time(now)
    if workspace.config.needs_two(issuer, today):
        if act in BY_TWO:
            raise TwoPersonsError(issuer)
        if operator is None:
            raise OperatorNeededError(issuer)
    if operator is not None and operator.key.issuer != issuer:
        raise OtherIssuerError(issuer)
    settle(workspace, now=now)
    plan = plan_act(workspace, act, target)
    signer = None if operator is None else operator.signer
    if not plan.is_done:
        effect = _effect(plan, reason=reason, today=today)
        workspace.ledger.store_acts(
            effect.acts,
            sign=lambda new, number: sign_act(workspace, new, number, by=signer),
            decision=effect.decision,
            by=DESK if operator is None else By(operators=(operator.name,)),
        )
        settle(workspace, now=now)
    return plan


def propose(workspace: Workspace, act: ActType, target: Target, *, reason: str, now: int) -> Proposal | None:
    """The act that one operator would ask another to approve; None if nothing is left to do.

    Brings what is on its way into the log first. Raises ActRefusedError.
    """
    settle(workspace, now=now)
    plan = plan_act(workspace, act, target)
    if plan.is_done:
        return None
    return Proposal(
        issuer=target.registration.issuer,
        code=act,
        abouts=_effect(plan, reason=reason, today=day_of_time(now)).abouts,
        target=encode_target(target),
        reason=reason,
    )


def effect_of(workspace: Workspace, row: RequestRow, today: int) -> Effect:
    """What a requested act would do now. Raises RequestChangedError if nothing, or if it may not follow;
    RequestForgedError for a request of anything that takes no second person."""
    code = parse_form(row.body).code
    if not isinstance(code, ActType) or code not in BY_TWO:
        raise RequestForgedError(row.id.hex())
    try:
        plan = plan_act(workspace, code, decode_target(row))
    except RefusalError as error:
        raise RequestChangedError(row.id.hex()) from error
    if plan.is_done:
        raise RequestChangedError(row.id.hex())
    return _effect(plan, reason=row.reason, today=today)


def encode_target(target: Target) -> bytes:
    """A target as a request keeps it: [kind, registration number, ? serial]."""
    registration = target.registration
    head = (registration.kind, registration.registration_no.encode())
    return cbor.encode(head if target.serial is None else (*head, target.serial))


def decode_target(row: RequestRow) -> Target:
    """The target of a request. Raises RequestForgedError for what `encode_target` does not write."""
    try:
        match cbor.decode(row.target, max_bytes=1_024, max_depth=1):
            case (int(kind), bytes(number)):
                serial = None
            case (int(kind), bytes(number), int(serial)):
                pass
            case _:
                raise RequestForgedError(row.id.hex())
        registration = Registration(issuer=row.issuer, kind=kind, registration_no=number.decode())
    except (FormatError, UnicodeDecodeError) as error:
        raise RequestForgedError(row.id.hex()) from error
    return Target(registration=registration, serial=serial)


def _effect(plan: ActPlan, *, reason: str, today: int) -> Effect:
    """The acts of a plan, at most 4,096 serials each, and the decision."""
    issuer = plan.target.registration.issuer
    acts = tuple(
        NewAct(
            issuer=issuer,
            act=int(plan.act),
            serials=plan.serials[start : start + MAX_SERIALS],
            day=today,
            reason=reason,
            status=STATUS_AFTER[plan.act],
        )
        for start in range(0, len(plan.serials), MAX_SERIALS)
    )
    decision = None
    if plan.state is not None:
        decision = Decision(registration=plan.target.registration, state=plan.state, day=today, reason=reason)
    return Effect(abouts=tuple(act.serials for act in acts), acts=acts, decision=decision)


def plan_reissue(workspace: Workspace, target: Target, *, wanted: CopyOrder | None, reason: str, now: int) -> Job:
    """The job of a re-issue: same data and same end, certificate issue day today; it supersedes all live copies.

    `wanted` None: the copy type and purpose of the target's serial, an approval copy for a registration. A re-issue of
    today, or one that was cut short, is answered with the copy it made.

    A new one is refused where the rule of the kind refuses it (`reissue_rule`).

    Raises RegistrationClosedError, NewCopiesLockedError, RegistrationUnknownError, what the rule refuses
    (`reissueerrors`) or a PlanError.
    """
    found = workspace.ledger.current_record(target.registration)
    if found is None:
        raise RegistrationUnknownError
    state, today = workspace.ledger.registration_state(target.registration), day_of_time(now)
    if state is not RegistrationState.ACTIVE:
        raise RegistrationClosedError(str(state))
    if workspace.ledger.locks.is_locked(target.registration):
        raise NewCopiesLockedError
    kept = parse_kept(found[1])
    undelivered = any(
        row.record == found[0] and row.status is CopyStatus.LIVE and row.state is not CopyState.DELIVERED
        for row in workspace.ledger.copies_of(target.registration)
    )
    if not (kept.reissued and (undelivered or kept.record.certificate_issued_on == today)):
        check_reissue(reissue_rule(workspace, target, now=now))
        record = replace(kept.record, certificate_issued_on=today)
        kept = replace(kept, record=record, reissued=kept.reissued + 1)
    issuer = target.registration.issuer
    order = order_of(workspace, issuer, wanted or _like(workspace, target, today))
    return job_for(workspace, kept, issuer=issuer, wanted=order, reason=reason)


def reissue_rule(workspace: Workspace, target: Target, *, now: int) -> Exchange:
    """What the rule of re-issue says today, as `mingzheng rules reissue` does with the facts of the ledger.

    Pending are requests that wait for a second person, a suspension, and a lock. Raises RegistrationUnknownError,
    WrongProfileError where none governs today.
    """
    found = workspace.ledger.current_record(target.registration)
    if found is None or not found[1]:  # never seen, or forgotten
        raise RegistrationUnknownError
    registration, today, record = target.registration, day_of_time(now), parse_kept(found[1]).record
    profile = profile_of(record, workspace.profiles(), day=today)
    if profile is None:
        raise WrongProfileError(record.kind)
    pending = (
        workspace.ledger.registration_state(registration) is RegistrationState.SUSPENDED
        or workspace.ledger.locks.is_locked(registration)
        or any(_is_about(row, registration, today) for row in workspace.ledger.desk.open_requests())
    )
    extensions = extensions_in_force(workspace, registration.issuer, today)
    return reissue_of(record, profile, extensions, on=today, pending=pending)


def _is_about(row: RequestRow, registration: Registration, today: int) -> bool:
    """Whether an act on that registration, or on a copy of it, still waits. Notices are about nobody in particular."""
    form = parse_form(row.body)
    if not isinstance(form.code, ActType) or today - form.day > REQUEST_DAYS:
        return False
    return decode_target(row).registration == registration


def reissue(
    workspace: Workspace, target: Target, *, wanted: CopyOrder | None, reason: str, now: int, out: Path | Outbox
) -> Issued:
    """Carry a re-issue out and deliver its file."""
    settle(workspace, now=now)
    job = plan_reissue(workspace, target, wanted=wanted, reason=reason, now=now)
    return deliver_jobs(workspace, [job], out=out, now=now)[0]


def _one(act: ActType, row: CopyRow) -> tuple[int, ...]:
    if row.status is STATUS_AFTER[act]:
        return ()
    if row.status not in _FROM[act]:
        raise ActRefusedError(
            f"序号 {row.serial} {copy_status_word(row.status, 'zh')}，不能再{deed_word(act.name.lower(), 'zh')}",
            f"serial {row.serial} is {row.status}: {act.name.lower()} may not follow",
        )
    return (row.serial,)


def _like(workspace: Workspace, target: Target, today: int) -> CopyOrder:
    if target.serial is None:
        return CopyOrder(copy=Copy.APPROVAL, purpose=None, day=today)
    claims = parse_claims(workspace.ledger.copy(target.registration.issuer, target.serial).claims)
    return CopyOrder(copy=claims.copy, purpose=claims.purpose, day=today)
