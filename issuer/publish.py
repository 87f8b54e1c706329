"""From the ledger to the log: sign what is planned, submit what is signed, store what the log gives.

Source: docs/life-of-a-certificate.md. `settle` brings every copy and act that is on its way, of whatever command, into
the log; it can be killed anywhere and run again: signed bytes and signed acts are stored before they are submitted,
and the log answers the same submission with the same index. A copy whose day passed before it was logged is voided.
A copy of changed data supersedes the live copies of the old data, and a seal change makes the workspace's rule: derived
here from the ledger, so no kill loses it.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mingzheng.formats.civil import day_of_time
from mingzheng.formats.claims import parse_claims
from mingzheng.formats.credential import CredentialBytes, attach_receipt, parse_credential, sign_credential
from mingzheng.issuer.approvalerrors import PersonNeededError, TwoPersonsError
from mingzheng.issuer.foreignerrors import ForeignEntriesError
from mingzheng.issuer.refusals import LedgerBehindLogError
from mingzheng.issuer.rows import NOTICE_ACT, ActRow, By, CopyRow, Logged, NewAct, Registration
from mingzheng.issuer.schema import CopyState, CopyStatus
from mingzheng.issuer.sealrules import keep_seal_rules
from mingzheng.issuer.serialstates import SerialStates
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import Signer
from mingzheng.keys.trust import Role
from mingzheng.log.acts import ActType
from mingzheng.log.book import DAY_TOLERANCE, REQUEST_DAYS, ActNumberError, SerialOrderError
from mingzheng.log.entry import (
    ActEntry,
    KeyEventEntry,
    NoticeEntry,
    NoticeType,
    Request,
    act_message,
    asked_of,
    encode_entry,
    issue_entry,
    kids_of,
    parse_entry,
    request_message,
)
from mingzheng.log.noticebody import encode_body, parse_body
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.sequencer import Submission

__all__ = [
    "MAX_SERIALS",
    "Settled",
    "check_agreement",
    "ends_copies",
    "entry_of",
    "finish",
    "place_held",
    "settle",
    "sign_act",
    "sign_approved",
    "sign_key_event",
    "sign_notice",
    "submit_acts",
    "token_of",
]

MAX_SERIALS: Final = 4_096  # of one act: docs/spec/log.md
CHUNK: Final = 4_096  # copies per round
VOID_REASON: Final = "day passed before the copy was logged"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one settling did, in counts."""

    logged: int
    voided: int
    superseded: int
    acts: int


def finish(workspace: Workspace, *, now: int) -> None:
    """Do what an earlier command that was cut short left, and nothing (the clock stays as it is) if it left nothing.

    Raises as `settle`.
    """
    if workspace.ledger.unlogged() or workspace.ledger.unlogged_acts():
        settle(workspace, now=now)
    else:
        keep_seal_rules(workspace)


def settle(workspace: Workspace, *, now: int) -> Settled:
    """Bring everything that is on its way into the log. `now`: seconds since the epoch.

    Raises ClockBehindError, ClockJumpError, LedgerBehindLogError, ForeignEntriesError, a StorageError of the log (a
    restored backup signs nothing) or a SubmissionError.
    """
    check_agreement(workspace)
    workspace.ledger.check_clock(now)
    workspace.issuing_log.check_clock(now)  # before the ledger remembers a clock that is far ahead
    workspace.ledger.advance_clock(now)
    today = day_of_time(now)
    place_held(workspace, today)
    stale, fresh = _sort_out(workspace, today)
    _sign_planned(workspace, fresh)
    acts = [*_voids(stale, today), *_supersedes(workspace, fresh, today)]
    if acts:
        workspace.ledger.store_acts(acts, sign=lambda act, number: sign_act(workspace, act, number))
    copies = [row for row in workspace.ledger.unlogged() if row.state is CopyState.SIGNED]
    for start in range(0, len(copies), CHUNK):
        _submit_copies(workspace, copies[start : start + CHUNK], now)
    _redate(workspace, today)
    pending = workspace.ledger.unlogged_acts()
    submit_acts(workspace, pending, now)
    keep_seal_rules(workspace)
    return Settled(
        logged=len(copies),
        voided=len(stale),
        superseded=sum(len(act.serials) for act in acts if act.act == ActType.SUPERSEDE),
        acts=len(pending),
    )


def check_agreement(workspace: Workspace) -> None:
    """Refuse to go on when the log knows more than the ledger, or signs nothing itself, or while entries that are not
    this desk's wait to be looked at (`foreign`)."""
    if workspace.issuing_log.read_only is not None:
        raise workspace.issuing_log.read_only
    for issuer in workspace.config.issuers:
        in_log, (serial, act) = (
            workspace.issuing_log.issuer_row(issuer.number),
            workspace.ledger.counters(issuer.number),
        )
        reached = max(serial, workspace.ledger.foreign.reach(issuer.number))
        if in_log.next_serial > reached:
            raise LedgerBehindLogError(issuer.number, "serial", reached, in_log.next_serial)
        if in_log.next_act > act:
            raise LedgerBehindLogError(issuer.number, "act", act, in_log.next_act)
    for number, count in workspace.ledger.foreign.waiting().items():
        raise ForeignEntriesError(number, count)


def sign_act(workspace: Workspace, act: NewAct, number: int, *, by: Signer | None = None) -> bytes:
    """The log entry of an act, under the issuer's act key or that of the operator who does it.

    Raises TwoPersonsError for a revocation, or the voiding of what was logged, that takes two.
    """
    if workspace.config.needs_two(act.issuer, act.day) and ends_copies(workspace, act.issuer, act.act, act.serials):
        raise TwoPersonsError(act.issuer)
    signer = workspace.signer(Role.ACT, act.issuer, act.day) if by is None else by
    return _signed(workspace, _entry(act, number, act.serials), signer)


def ends_copies(workspace: Workspace, issuer: int, act: int, serials: Iterable[int]) -> bool:
    """Whether an act is a revocation, or a void that names a copy the log has: not one that was never logged."""
    if act != ActType.VOID:
        return act == ActType.REVOKE
    return any(workspace.ledger.copy(issuer, serial).leaf_index is not None for serial in serials)


def sign_notice(workspace: Workspace, act: NewAct, number: int, body: bytes) -> bytes:
    """The log entry of a notice under the issuer's act key. Raises TwoPersonsError where it takes two."""
    if workspace.config.needs_two(act.issuer, act.day):
        raise TwoPersonsError(act.issuer)
    return _signed(workspace, _entry(act, number, body), workspace.signer(Role.ACT, act.issuer, act.day))


def sign_approved(
    workspace: Workspace, act: NewAct, number: int, *, by: Signer, request: Request, about: tuple[int, ...] | bytes
) -> bytes:
    """The log entry of an act or notice that one operator asked for (`request`) and another, `by`, approves."""
    return _signed(workspace, replace(_entry(act, number, about), request=request), by)


def _entry(act: NewAct, number: int, about: tuple[int, ...] | bytes) -> ActEntry | NoticeEntry:
    """Key and signature come with `_signed`."""
    kid, unsigned = Kid(bytes(8)), bytes(64)
    if isinstance(about, bytes):
        return NoticeEntry(
            issuer=act.issuer,
            kid=kid,
            act_number=number,
            notice=NoticeType(act.act - NOTICE_ACT),
            day=act.day,
            body=about,
            signature=unsigned,
        )
    return ActEntry(
        issuer=act.issuer,
        kid=kid,
        act_number=number,
        act=ActType(act.act),
        serials=about,
        day=act.day,
        signature=unsigned,
    )


def _signed(workspace: Workspace, entry: ActEntry | NoticeEntry, signer: Signer) -> bytes:
    entry = replace(entry, kid=signer.public_key.kid)
    return encode_entry(replace(entry, signature=signer.sign(act_message(entry, workspace.config.origin.name))))


def sign_key_event(workspace: Workspace, event: KeyEventEntry) -> bytes:
    """The log entry of a key event under the authority key that it names, or the newest if that is out."""
    signer = workspace.authority(event.issuer, event.day, event.kid)
    entry = replace(event, kid=signer.public_key.kid)
    return encode_entry(replace(entry, signature=signer.sign(act_message(entry, workspace.config.origin.name))))


def entry_of(row: CopyRow) -> bytes:
    """The leaf of a signed copy: what any verifier rebuilds from the credential."""
    assert row.signed is not None  # schema: not planned
    credential = parse_credential(row.signed)
    claims = parse_claims(credential.payload)
    return encode_entry(issue_entry(claims, identity=credential.identity, kid=credential.kid, issuer=row.issuer))


def token_of(row: CopyRow) -> CredentialBytes:
    """The credential of a logged copy with its compact receipt: what the QR code carries."""
    assert row.signed is not None  # schema: logged
    assert row.receipt is not None
    return attach_receipt(row.signed, row.receipt)


def _sort_out(workspace: Workspace, today: int) -> tuple[list[CopyRow], list[CopyRow]]:
    """Unlogged copies: (those whose day has passed and that the log has never seen, the others)."""
    stale: list[CopyRow] = []
    fresh: list[CopyRow] = []
    for row in workspace.ledger.unlogged():
        unseen = workspace.issuing_log.index_of_serial(row.issuer, row.serial) is None
        (stale if row.day < today and unseen else fresh).append(row)
    return stale, fresh


def _sign_planned(workspace: Workspace, rows: Iterable[CopyRow]) -> None:
    signed = []
    for row in rows:
        if row.state is CopyState.PLANNED:
            signer = workspace.signer(Role.CREDENTIAL, row.issuer, row.day)
            signed.append((row.issuer, row.serial, bytes(sign_credential(parse_claims(row.claims), signer))))
    if signed:
        workspace.ledger.store_signed(signed)
        _logger.info("signed copies=%d", len(signed))


def _voids(stale: Sequence[CopyRow], today: int) -> Iterator[NewAct]:
    by_issuer: dict[int, list[int]] = defaultdict(list)
    for row in stale:
        by_issuer[row.issuer].append(row.serial)
    for issuer, serials in by_issuer.items():
        yield from _chunks(issuer, serials, ActType.VOID, CopyStatus.VOID, (today, VOID_REASON))


def _supersedes(workspace: Workspace, fresh: Sequence[CopyRow], today: int) -> Iterator[NewAct]:
    """Acts for the live copies whose registration is getting a copy of other data."""
    reasons: dict[Registration, str] = {}
    for row in fresh:
        reasons[row.registration] = row.reason or reasons.get(row.registration, "")
    serials: dict[tuple[int, str], list[int]] = defaultdict(list)
    for registration, reason in reasons.items():
        current = workspace.ledger.current_record(registration)
        for row in workspace.ledger.copies_of(registration):
            replaced = current is not None and row.record != current[0] and not row.is_unlogged
            if replaced and row.status in (CopyStatus.LIVE, CopyStatus.SUSPENDED):
                serials[registration.issuer, reason].append(row.serial)
    for (issuer, reason), found in sorted(serials.items()):
        yield from _chunks(issuer, found, ActType.SUPERSEDE, CopyStatus.SUPERSEDED, (today, reason))


def _chunks(
    issuer: int, serials: Iterable[int], act: ActType, status: CopyStatus, day_reason: tuple[int, str]
) -> Iterator[NewAct]:
    rising = tuple(sorted(serials))
    for start in range(0, len(rising), MAX_SERIALS):
        yield NewAct(
            issuer=issuer,
            act=int(act),
            serials=rising[start : start + MAX_SERIALS],
            day=day_reason[0],
            reason=day_reason[1],
            status=status,
        )


def _redate(workspace: Workspace, today: int) -> None:
    """Sign acts again, under their own numbers, that the log never saw and would now refuse for their day."""
    stale = [
        replace(act, day=today, entry=_sign_again(workspace, act, today))
        for act in workspace.ledger.unlogged_acts()
        if abs(act.day - today) > DAY_TOLERANCE and act.number >= workspace.issuing_log.next_act_number(act.issuer)
    ]
    if stale:
        workspace.ledger.store_acts_redated([(act, _signers(workspace, act)) for act in stale])
        _logger.info("redated acts=%d", len(stale))


def place_held(workspace: Workspace, today: int, *, only_keys: bool = False) -> None:
    """Sign acts again, under new numbers, that gave theirs up for an entry that is not ours. Raises as `settle`.

    Serials for which the log would refuse the act by now, since another ended them, are left out; an act of which
    nothing is left is taken back.
    """
    ledger = workspace.ledger
    held = {number for _issuer, number, act in ledger.foreign.held() if act < 0 or not only_keys}
    if not held:
        return
    pending = ledger.unlogged_acts()
    states = SerialStates(workspace.listing_log, workspace.issuing_log)
    for act in pending:
        if act.number >= 0:
            states.take(parse_entry(act.entry))
    for act in sorted((act for act in pending if act.number in held), key=lambda act: (act.issuer, -act.number)):
        _place(workspace, act, states, today)
        _logger.info("numbered again act=%d", act.number)


def _place(workspace: Workspace, act: ActRow, states: SerialStates, today: int) -> None:
    entry = parse_entry(act.entry)
    refused = states.take(entry)
    if isinstance(entry, ActEntry) and entry.request is None and workspace.config.needs_two(act.issuer, today):
        taken = {} if entry.act != ActType.VOID else states.issued(act.issuer, entry.serials)
        refused |= taken  # of a serial that somebody issued since, which takes two
    if isinstance(entry, ActEntry) and refused:
        left = tuple(serial for serial in entry.serials if serial not in refused)
        workspace.ledger.foreign.leave_out(act, left, {serial: str(state.value) for serial, state in refused.items()})
        if not left:
            return
        request = None if entry.request is None else replace(entry.request, signature=b"")
        act = replace(act, entry=encode_entry(replace(entry, serials=left, request=request)))

    def sign(number: int) -> tuple[int, bytes]:
        return today, _sign_again(workspace, act, today, number=number)

    def by(signed: bytes) -> By:
        return _signers(workspace, replace(act, entry=signed))

    workspace.ledger.foreign.place(act, sign, by)


def _signers(workspace: Workspace, act: ActRow) -> By:
    """The persons who signed it, in the order in which they did."""
    entry = parse_entry(act.entry)
    assert isinstance(entry, ActEntry | NoticeEntry | KeyEventEntry)
    names = (workspace.config.operator_of(kid) for kid in reversed(kids_of(entry)))
    return By(operators=tuple(name for name in names if name))


def _sign_again(workspace: Workspace, act: ActRow, day: int, *, number: int | None = None) -> bytes:
    """`number`: the new one, by default the old one."""
    entry = parse_entry(act.entry)
    assert isinstance(entry, ActEntry | NoticeEntry | KeyEventEntry)
    entry = replace(entry, act_number=entry.act_number if number is None else number)
    if isinstance(entry, NoticeEntry) and number is not None:
        entry = _with_number(workspace, entry)
    if isinstance(entry, KeyEventEntry):
        return sign_key_event(workspace, replace(entry, day=day))
    if not workspace.config.operator_of(entry.kid):
        if workspace.config.needs_two(entry.issuer, day) and _takes_two(workspace, entry):
            return _by_two(workspace, entry, day)
        signer = workspace.signer(Role.ACT, entry.issuer, day)
        return _signed(workspace, replace(entry, day=day), signer)
    return _by_persons(workspace, entry, day)


def _takes_two(workspace: Workspace, entry: ActEntry | NoticeEntry) -> bool:
    return isinstance(entry, NoticeEntry) or ends_copies(workspace, entry.issuer, entry.act, entry.serials)


def _by_two(workspace: Workspace, entry: ActEntry | NoticeEntry, day: int) -> bytes:
    """Sign again what one person did before the issuer's first operator began: two who are here answer for it now."""
    operators = workspace.config.operators(entry.issuer, day)
    here = {key.operator: workspace.persons[key.kid] for key in operators if key.kid in workspace.persons}
    if len(here) < 2:
        missing = dict.fromkeys(key.operator for key in operators if key.operator not in here)
        raise PersonNeededError(entry.issuer, entry.act_number, *[*here, *missing][:2])
    first, second = [*here.values()][:2]
    kid = first.public_key.kid
    message = request_message(asked_of(entry), workspace.config.origin.name, kid=kid, day=day)
    request = Request(kid=kid, day=day, signature=first.sign(message))
    return _signed(workspace, replace(entry, day=day, request=request), second)


def _by_persons(workspace: Workspace, entry: ActEntry | NoticeEntry, day: int) -> bytes:
    """Sign again what a person signed: with that person's key, if somebody has opened it, and never with another's.

    A request that is too old by now is signed again, too. For a key that has gone out since, another operator who is
    here stands in.
    """
    first = entry.request
    second = _person(workspace, entry, entry.kid, day, others=() if first is None else (first.kid,))
    if first is not None and (
        not first.signature or day - first.day > REQUEST_DAYS or _is_out(workspace, first.kid, day)
    ):
        signer = _person(workspace, entry, first.kid, day, others=(second.public_key.kid,))
        kid = signer.public_key.kid
        message = request_message(asked_of(entry), workspace.config.origin.name, kid=kid, day=day)
        entry = replace(entry, request=Request(kid=kid, day=day, signature=signer.sign(message)))
    return _signed(workspace, replace(entry, day=day), second)


def _with_number(workspace: Workspace, entry: NoticeEntry) -> NoticeEntry:
    """A notice under the number that the log expects: a foreign one may have taken its own. What changed so the first
    of two persons has not signed."""
    body, number = parse_body(entry.notice, entry.body), workspace.issuing_log.issuer_row(entry.issuer).next_notice
    if body.number == number:
        return entry
    request = None if entry.request is None else replace(entry.request, signature=b"")
    return replace(entry, body=encode_body(replace(body, number=number)), request=request)


def _person(
    workspace: Workspace, entry: ActEntry | NoticeEntry, kid: Kid, day: int, *, others: Sequence[Kid]
) -> Signer:
    """The opened key of that kid; if it may sign no more, of an operator who is none of the others."""
    if not _is_out(workspace, kid, day):
        if kid in workspace.persons:
            return workspace.persons[kid]
        raise PersonNeededError(entry.issuer, entry.act_number, workspace.config.operator_of(kid))
    taken = {workspace.config.operator_of(other) for other in others}
    for key in workspace.config.operators(entry.issuer, day):
        if key.kid in workspace.persons and key.operator not in taken:
            return workspace.persons[key.kid]
    raise PersonNeededError(entry.issuer, entry.act_number, "…")


def _is_out(workspace: Workspace, kid: Kid, day: int) -> bool:
    return not any(key.kid == kid and key.may_sign(day) for key in workspace.config.keys)


def _submit_copies(workspace: Workspace, rows: Sequence[CopyRow], now: int) -> None:
    """One round: entries in serial order; then the receipts, all stored in one transaction."""
    log = workspace.issuing_log
    entries = [entry_of(row) for row in rows]
    submissions = [Submission(key=hashlib.sha256(entry).digest(), entry=entry) for entry in entries]
    try:
        indexes = log.submit(submissions, now=now)
    except SubmissionError as error:
        if error.reason == SerialOrderError.code:  # somebody used it meanwhile
            row = rows[error.position]
            raise LedgerBehindLogError(row.issuer, "serial", row.serial, row.serial + 1) from error
        raise
    workspace.ledger.store_logged(
        Logged(
            issuer=row.issuer,
            serial=row.serial,
            leaf_index=index,
            receipt=log.compact_receipt(index),
            proof=log.full_receipt(index),
            logged_at=now,
            shard=workspace.config.shard,
        )
        for row, index in zip(rows, indexes, strict=True)
    )
    _logger.info("logged copies=%d first_index=%d", len(rows), indexes[0])


def submit_acts(workspace: Workspace, acts: Sequence[ActRow], now: int) -> None:
    """Bring signed acts into the log, and store where they stand. Raises a SubmissionError."""
    if not acts:
        return
    submissions = [Submission(key=hashlib.sha256(act.entry).digest(), entry=act.entry) for act in acts]
    try:
        indexes = workspace.issuing_log.submit(submissions, now=now)
    except SubmissionError as error:
        act = acts[error.position]
        expected = workspace.issuing_log.next_act_number(act.issuer)
        if error.reason == ActNumberError.code and act.number < expected:  # somebody used it meanwhile
            raise LedgerBehindLogError(act.issuer, "act", act.number, expected) from error
        raise
    workspace.ledger.store_acts_logged(
        ((act.issuer, act.number, index) for act, index in zip(acts, indexes, strict=True)),
        shard=workspace.config.shard,
    )
    _logger.info("logged acts=%d first_index=%d", len(acts), indexes[0])
