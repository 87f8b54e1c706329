"""Notices at the desk: what one would say, whom it affects, and giving it.

Source: docs/spec/notices.md, docs/spec/log.md ("Two persons"). `propose` writes the body with the issuer's next
number and refuses what verifiers would not believe; `preview` says which copies in the ledger it concerns; `give`
signs it with the act key, stores it as an act and brings it into the log. Where an issuer has operators, one asks for
the proposal's body and another approves it. A seal change ends and begins the workspace's own rule on its day: `settle`
sees to it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from mingzheng.formats import cbor
from mingzheng.formats.civil import MAX_DAY, day_of_time
from mingzheng.formats.claims import EVERYWHERE, Claims, parse_claims
from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.issuer.approval import Effect, Proposal
from mingzheng.issuer.approvalerrors import RequestChangedError, RequestForgedError
from mingzheng.issuer.kept import parse_kept
from mingzheng.issuer.noticebook import Given, counting, list_notices
from mingzheng.issuer.noticeerrors import (
    NoticeGivenError,
    NoticeInvalidError,
    NoticeScopeError,
    NoticeUnknownError,
)
from mingzheng.issuer.publish import settle, sign_notice
from mingzheng.issuer.refusals import RefusalError, UnknownIssuerError
from mingzheng.issuer.requestform import parse_form
from mingzheng.issuer.rows import NOTICE_ACT, CopyRow, NewAct, RequestRow
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.sealrules import rule_of, rules_with
from mingzheng.issuer.standing import standing_extensions
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.entry import NoticeType
from mingzheng.log.errors import NoticeBodyError
from mingzheng.log.noticebody import (
    FIRST_NUMBER,
    MAX_NOTICES,
    ExtensionBody,
    NoticeBody,
    RetiredFormBody,
    RetractionBody,
    SealChangeBody,
    encode_body,
    parse_body,
)
from mingzheng.log.noticestanding import standing_numbers

__all__ = [
    "Affected",
    "Given",
    "NoticePreview",
    "NoticeProposal",
    "asked_for",
    "asking",
    "concerned",
    "effect_of_notice",
    "extensions_in_force",
    "give",
    "list_notices",
    "new_act",
    "preview",
    "propose",
    "reread",
]

_IN_FORCE: Final = frozenset({CopyStatus.LIVE, CopyStatus.SUSPENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeProposal:
    """A notice that is not given yet."""

    issuer: int
    body: NoticeBody

    @property
    def body_bytes(self) -> bytes:
        """What goes into the log."""
        return encode_body(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """One copy in force that a notice concerns; for an extension the ends it moves, as the claims have them."""

    registration_no: str
    kind: int
    serial: int
    ends: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePreview:
    """Whom a notice concerns, by registration number and serial."""

    proposal: NoticeProposal
    copies: tuple[Affected, ...]
    retracted: NoticeBody | None = None

    @property
    def registrations(self) -> tuple[str, ...]:
        """Their registration numbers, each once."""
        return tuple(dict.fromkeys(item.registration_no for item in self.copies))


def extensions_in_force(workspace: Workspace, issuer: int, today: int) -> tuple[BlanketExtension, ...]:
    """The issuer's extensions that are in the log and stand today."""
    given = list_notices(workspace, issuer)
    return standing_extensions(counting(item for item in given if item.row.leaf_index is not None), today)


def propose(workspace: Workspace, issuer: int | None, make: Callable[[int], NoticeBody]) -> NoticeProposal:
    """The notice that `make` writes for the issuer's next number; None: the workspace's only issuer.

    Raises UnknownIssuerError, NoticeInvalidError, NoticeScopeError, NoticeUnknownError, NoticeGivenError for one that
    stands already, SealOptionError for a seal change that a later rule stands in the way of.
    """
    number = _issuer(workspace, issuer)
    given = list_notices(workspace, number)
    if len(given) >= MAX_NOTICES:  # one more, and verifiers would refuse them all
        raise NoticeInvalidError("number", f"{MAX_NOTICES} notices were given, the most that verifiers read")
    body = make(FIRST_NUMBER + len(given))
    _check_scope(workspace, number, body)
    _check_retraction(given, body)
    try:
        encode_body(body)
    except NoticeBodyError as error:
        raise NoticeInvalidError(error.field, error.detail) from error
    held = tuple(counting(given))
    standing = standing_numbers({item.number: item for item in held}, MAX_DAY)
    for item in held:
        if item.number in standing and replace(item, number=body.number) == body:
            raise NoticeGivenError(item.number)
    if isinstance(body, SealChangeBody):
        rules_with(workspace, rule_of(number, body))
    return NoticeProposal(issuer=number, body=body)


def reread(workspace: Workspace, issuer: int, notice: NoticeType, data: bytes) -> NoticeProposal:
    """The proposal that was asked for with this body, if it may still be given as it is: as `propose` raises."""

    def same(number: int) -> NoticeBody:
        body = parse_body(notice, data)
        if body.number != number:
            raise NoticeGivenError(body.number)
        return body

    return propose(workspace, issuer, same)


def asking(proposal: NoticeProposal, *, reason: str) -> Proposal:
    """The notice as one operator asks for it. An issuer has one open request of each type: they share the number."""
    code = proposal.body.notice
    return Proposal(
        issuer=proposal.issuer,
        code=code,
        abouts=(proposal.body_bytes,),
        target=cbor.encode((int(code),)),
        reason=reason,
    )


def asked_for(workspace: Workspace, row: RequestRow) -> NoticeProposal:
    """The notice that a request asks for. Raises RequestChangedError if it may not be given any more as it is."""
    form = parse_form(row.body)
    match form.code, form.abouts:
        case NoticeType() as code, (bytes(data),):
            pass
        case _:
            raise RequestForgedError(row.id.hex())
    try:
        return reread(workspace, row.issuer, code, data)
    except (RefusalError, NoticeBodyError) as error:
        raise RequestChangedError(row.id.hex()) from error


def effect_of_notice(workspace: Workspace, row: RequestRow, today: int) -> Effect:
    """What a requested notice would do now. Raises as `asked_for`."""
    proposal = asked_for(workspace, row)
    return Effect(abouts=(proposal.body_bytes,), acts=(new_act(proposal, day=today, reason=row.reason),))


def preview(workspace: Workspace, proposal: NoticeProposal) -> NoticePreview:
    """Which copies in force the notice concerns; where it retracts a void one, those alone that bear the end of it."""
    body: NoticeBody = proposal.body
    retracted: NoticeBody | None = None
    chain: list[Given] = []
    while isinstance(body, RetractionBody):  # one that retracts a retraction concerns whom that had concerned
        wanted = body.retracted
        chain.append(next(item for item in list_notices(workspace, proposal.issuer) if item.body.number == wanted))
        body = chain[-1].body
        retracted = retracted or body
    if any(item.void for item in chain[:-1]):  # a retraction that does nothing: to end it changes nothing
        return NoticePreview(proposal=proposal, copies=(), retracted=retracted)
    reach = _reach_of_void if chain and chain[-1].void else _reach
    found = [
        Affected(registration_no=row.registration_no, kind=row.kind, serial=row.serial, ends=ends)
        for row, claims in _in_force(workspace, proposal.issuer)
        if (ends := reach(workspace, proposal.body, body, row, claims)) is not None
    ]
    found.sort(key=lambda item: (item.registration_no, item.serial))
    return NoticePreview(proposal=proposal, copies=tuple(found), retracted=retracted)


def new_act(proposal: NoticeProposal, *, day: int, reason: str) -> NewAct:
    """The ledger's act of giving it."""
    return NewAct(
        issuer=proposal.issuer,
        act=NOTICE_ACT + int(proposal.body.notice),
        serials=(),
        day=day,
        reason=reason,
        status=CopyStatus.LIVE,  # of no serial
    )


def give(workspace: Workspace, proposal: NoticeProposal, *, reason: str, now: int) -> Given:
    """Give the notice by the act key alone. Killed anywhere and run again, it is given once.

    Raises TwoPersonsError where the issuer has operators; NoticeGivenError if its number is taken by now.
    """
    settle(workspace, now=now)
    today, issuer, number = day_of_time(now), proposal.issuer, proposal.body.number
    if len(workspace.ledger.notices(issuer)) + FIRST_NUMBER != number:
        raise NoticeGivenError(number)
    workspace.ledger.store_acts(
        [new_act(proposal, day=today, reason=reason)],
        sign=lambda act, act_number: sign_notice(workspace, act, act_number, proposal.body_bytes),
    )
    settle(workspace, now=now)
    return list_notices(workspace, issuer)[-1]


def _issuer(workspace: Workspace, issuer: int | None) -> int:
    numbers = [spec.number for spec in workspace.config.issuers if issuer in (None, spec.number)]
    if len(numbers) != 1:
        raise UnknownIssuerError("请用 --issuer 指定一个机构", "name one issuer with --issuer")
    return numbers[0]


def _check_scope(workspace: Workspace, issuer: int, body: NoticeBody) -> None:
    """Verifiers refuse a notice that speaks of more than its issuer's keys may."""
    spec = workspace.config.issuer(issuer)
    assert spec is not None  # `_issuer`
    if isinstance(body, RetractionBody):
        return
    for name, wanted, held in (
        ("kinds", body.kinds, spec.kinds),
        ("jurisdictions", body.jurisdictions, spec.jurisdictions),
    ):
        if beyond := sorted(set(wanted) - set(held)):
            raise NoticeScopeError(name, beyond)


def _check_retraction(given: tuple[Given, ...], body: NoticeBody) -> None:
    if isinstance(body, RetractionBody) and body.retracted not in {item.body.number for item in given}:
        raise NoticeUnknownError(body.retracted)


def _in_force(workspace: Workspace, issuer: int) -> Iterator[tuple[CopyRow, Claims]]:
    for row in workspace.ledger.all_copies():
        if row.issuer == issuer and row.status in _IN_FORCE and row.claims:  # none: forgotten
            yield row, parse_claims(row.claims)


def concerned(body: NoticeBody, claims: Claims) -> tuple[int, ...] | None:
    """The ends of a copy that a notice moves (none for other notices); None: it does not concern the copy."""
    if isinstance(body, RetractionBody) or claims.kind not in body.kinds:
        return None
    if isinstance(body, SealChangeBody):  # as a rule of sealing reads its regions
        sealed = claims.jurisdiction in body.jurisdictions and claims.copy_issued_on >= body.from_day
        return () if sealed else None
    if {claims.jurisdiction, EVERYWHERE}.isdisjoint(body.jurisdictions):
        return None
    if isinstance(body, RetiredFormBody):
        return () if claims.template == body.template else None
    return _moved(body, claims)


def _reach(
    workspace: Workspace, given: NoticeBody, body: NoticeBody, row: CopyRow, claims: Claims
) -> tuple[int, ...] | None:
    """As `concerned`; of a retracted extension the copies, too, that bear the moved end themselves."""
    ends = concerned(body, claims)
    if ends is None and isinstance(given, RetractionBody) and isinstance(body, ExtensionBody):
        return _borne(workspace, body, row, claims)
    return ends


def _reach_of_void(
    workspace: Workspace, given: NoticeBody, body: NoticeBody, row: CopyRow, claims: Claims
) -> tuple[int, ...] | None:
    """Of what does nothing: the copies that got its end in their print before it was found out."""
    return _borne(workspace, body, row, claims) if isinstance(body, ExtensionBody) else None


def _borne(workspace: Workspace, body: ExtensionBody, row: CopyRow, claims: Claims) -> tuple[int, ...] | None:
    """The end that a copy bears by this extension, its record having another: no verifier moves it back."""
    if claims.kind not in body.kinds:
        return None
    if {claims.jurisdiction, EVERYWHERE}.isdisjoint(body.jurisdictions) or body.new_end not in _ends(claims):
        return None
    current = workspace.ledger.current_record(row.registration)
    if current is None or current[0] != row.record or not current[1]:
        return None
    record = parse_kept(current[1]).record
    stated = {record.registered_until, *(item.last_day for item in record.specialties)}
    return None if body.new_end in stated else (body.new_end,)


def _ends(claims: Claims) -> set[int]:
    return {claims.registered_until, *(item.last_day for item in claims.specialties)}


def _moved(body: ExtensionBody, claims: Claims) -> tuple[int, ...] | None:
    return tuple(sorted(day for day in _ends(claims) if body.first_end <= day <= body.last_end)) or None
