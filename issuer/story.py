"""The whole story of one registration, as the ledger has it: data, copies, acts, notices, locks, requests, ends.

Source: docs/workspace.md (Status). Reads only; nothing is settled, so what waits for the log shows as waiting.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Final

from mingzheng.formats.claims import Claims, parse_claims
from mingzheng.formats.rules_copy import copy_end
from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.formats.rules_source import Citation
from mingzheng.formats.window import WindowState, window_state
from mingzheng.issuer.approvalerrors import RequestForgedError
from mingzheng.issuer.expiring import Ending, ends_of_record, window_rule
from mingzheng.issuer.foreign import foreign_of
from mingzheng.issuer.journal import deed_name
from mingzheng.issuer.kept import KeptRecord, parse_kept
from mingzheng.issuer.lifecycle import decode_target
from mingzheng.issuer.noticebook import list_notices
from mingzheng.issuer.noticework import concerned, extensions_in_force
from mingzheng.issuer.record import ApplicationRecord
from mingzheng.issuer.refusals import RegistrationUnknownError
from mingzheng.issuer.requestform import parse_form
from mingzheng.issuer.rows import ApplicationRow, CopyRow, Registration, RequestRow
from mingzheng.issuer.schema import RegistrationState
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.book import REQUEST_DAYS
from mingzheng.log.noticebody import RetractionBody, parse_body

__all__ = ["CopyStory", "DataChange", "Event", "Pending", "Place", "Story", "registrations_of", "story_of"]

_ABSENT: Final = frozenset({"row", "purpose", "photo", "signature_image"})  # of a record: not data of a registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entry stands."""

    origin: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChange:
    """Data of the registration: since when, what differs from the data before (names of fields, no values)."""

    digest: bytes
    day: int
    changed: tuple[str, ...]
    reissued: int
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyStory:
    """A copy: its row and claims, where it stands in the log, until when it can be used and by which clauses."""

    row: CopyRow
    claims: Claims
    place: Place | None
    until: int
    window: WindowState
    rule: tuple[Citation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An act, a notice, a decision, a lock: what, when, why, by whom (who asked, who approved), where in the log."""

    what: str
    day: int
    reason: str
    operators: tuple[str, ...] = ()
    number: int | None = None  # of the act, of the notice
    serials: tuple[int, ...] = ()  # of this registration
    others: int = 0  # serials of other registrations in the same act
    citation: str | None = None  # of a notice
    void: bool = False  # a notice that its key's compromise took the effect from
    place: Place | None = None
    order: int = 0  # its row of the journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What one operator asked for and nobody has approved; `last_day`: after it the request has expired."""

    id: bytes
    what: str
    operator: str
    day: int
    last_day: int
    reason: str
    serials: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All of it on a day."""

    registration: Registration
    kind: str
    day: int
    state: RegistrationState
    locked: bool
    record: ApplicationRecord
    data: tuple[DataChange, ...]
    copies: tuple[CopyStory, ...]
    events: tuple[Event, ...]
    pending: tuple[Pending, ...]
    applications: tuple[ApplicationRow, ...]  # what the holder signed for a re-issue
    ends: tuple[Ending, ...]


def registrations_of(
    workspace: Workspace, registration_no: str, *, kind: int | None, issuer: int | None
) -> tuple[Registration, ...]:
    """Every registration of that number, of one kind and issuer or of all. Raises RegistrationUnknownError for none."""
    kinds = sorted({head.code for head in workspace.profiles().heads}) if kind is None else [kind]
    found = [one for code in kinds for one in workspace.ledger.registrations(code, registration_no)]
    ours = tuple(one for one in found if issuer in (None, one.issuer))
    if not ours:
        raise RegistrationUnknownError
    return ours


def story_of(workspace: Workspace, registration: Registration, *, today: int) -> Story:
    """The story of one registration. Raises RegistrationUnknownError for one that was never seen, or forgotten."""
    ledger = workspace.ledger
    state, current = ledger.registration_state(registration), ledger.current_record(registration)
    if state is None or current is None or not current[1]:
        raise RegistrationUnknownError
    kept, rows = parse_kept(current[1]), ledger.copies_of(registration)
    extensions = extensions_in_force(workspace, registration.issuer, today)
    copies = tuple(_copy(workspace, row, extensions, today) for row in rows)
    notices = tuple(_notices(workspace, registration, [copy.claims for copy in copies]))
    events = [
        *_acts(workspace, registration, {row.serial for row in rows}),
        *_foreign(workspace, registration, {row.serial for row in rows}),
        *_decisions(workspace, registration),
        *notices,
        *_locks(workspace, registration),
    ]
    return Story(
        registration=registration,
        kind=kept.record.kind,
        day=today,
        state=state,
        locked=ledger.locks.is_locked(registration),
        record=kept.record,
        data=tuple(_data(workspace, rows, current[0])),
        copies=copies,
        events=tuple(sorted(events, key=lambda event: (event.day, event.order))),
        pending=tuple(_pending(workspace, registration, (copies, {item.number for item in notices}), today)),
        applications=ledger.applications.of(registration),
        ends=()
        if state is RegistrationState.REVOKED
        else tuple(ends_of_record(registration, kept.record, workspace.profiles(), extensions, today=today)),
    )


def _data(workspace: Workspace, rows: Iterable[CopyRow], current: bytes) -> Iterator[DataChange]:
    before: KeptRecord | None = None
    seen: set[bytes] = set()
    for row in sorted(rows, key=lambda row: (row.day, row.serial)):
        if row.record in seen:
            continue
        seen.add(row.record)
        kept = parse_kept(workspace.ledger.record_body(row.record))
        yield DataChange(
            digest=row.record,
            day=row.day,
            changed=() if before is None else tuple(_differing(before, kept)),
            reissued=kept.reissued,
            current=row.record == current,
        )
        before = kept


def _differing(before: KeptRecord, after: KeptRecord) -> Iterator[str]:
    for field in fields(ApplicationRecord):
        if field.name not in _ABSENT and getattr(before.record, field.name) != getattr(after.record, field.name):
            yield field.name
    if before.photo != after.photo:
        yield "photo"
    if before.signature_image != after.signature_image:
        yield "signature_image"


def _copy(workspace: Workspace, row: CopyRow, extensions: tuple[BlanketExtension, ...], today: int) -> CopyStory:
    claims = parse_claims(row.claims)
    profile = workspace.profiles().select(claims.kind, claims.jurisdiction, claims.copy_issued_on)
    until = copy_end(extensions, claims, profile, on=today)
    return CopyStory(
        row=row,
        claims=claims,
        place=_place(workspace, row.shard, row.leaf_index),
        until=until,
        window=window_state(first_day=claims.copy_issued_on, usage_until=until, day=today),
        rule=window_rule(claims, profile) if claims.usage_until is not None else (),
    )


def _place(workspace: Workspace, shard: int, index: int | None) -> Place | None:
    return None if index is None else Place(origin=workspace.config.begun[shard].name, index=index)


def _acts(workspace: Workspace, registration: Registration, ours: set[int]) -> Iterator[Event]:
    desk, issuer = workspace.ledger.desk, registration.issuer
    for act in desk.acts_naming(issuer, ours):
        mine = tuple(serial for serial in act.serials if serial in ours)
        deed = desk.deed_of_act(issuer, act.number)
        yield Event(
            what=deed_name(act.act),
            day=act.day,
            reason=act.reason,
            operators=() if deed is None else deed.operators,
            number=act.number,
            serials=mine,
            others=len(act.serials) - len(mine),
            place=_place(workspace, act.shard, act.leaf_index),
            order=0 if deed is None else deed.number,
        )


def _foreign(workspace: Workspace, registration: Registration, ours: set[int]) -> Iterator[Event]:
    """What somebody else did to its copies, under the issuer's keys."""
    for item in foreign_of(workspace, registration.issuer):
        mine = tuple(serial for serial in item.serials if serial in ours)
        if mine:
            yield Event(
                what=f"foreign-{'issue' if item.row.act is None else deed_name(item.row.act)}",
                day=item.row.day,
                reason="",
                number=item.row.number,
                serials=mine,
                others=len(item.serials) - len(mine),
                place=_place(workspace, item.row.shard, item.row.leaf_index),
            )


def _decisions(workspace: Workspace, registration: Registration) -> Iterator[Event]:
    desk = workspace.ledger.desk
    for number, decision in desk.decisions(registration).items():
        deed = desk.deed_of_decision(number)
        yield Event(
            what=f"registration-{decision.state}",
            day=decision.day,
            reason=decision.reason,
            operators=() if deed is None else deed.operators,
            order=0 if deed is None else deed.number,
        )


def _notices(workspace: Workspace, registration: Registration, copies: list[Claims]) -> Iterator[Event]:
    named: set[int] = set()
    for given in list_notices(workspace, registration.issuer):
        body = given.body
        if isinstance(body, RetractionBody):
            ours = body.retracted in named
        else:
            ours = any(concerned(body, claims) is not None for claims in copies)
        if not ours:
            continue
        named.add(body.number)
        number = given.entry.act_number
        deed = None if given.row.foreign else workspace.ledger.desk.deed_of_act(registration.issuer, number)
        yield Event(
            what=f"{'foreign-' if given.row.foreign else ''}notice-{given.entry.notice.name.lower()}",
            day=given.row.day,
            reason=given.row.reason,
            operators=() if deed is None else deed.operators,
            number=body.number,
            citation=body.citation,
            void=given.void,
            place=_place(workspace, given.row.shard, given.row.leaf_index),
            order=0 if deed is None else deed.number,
        )


def _locks(workspace: Workspace, registration: Registration) -> Iterator[Event]:
    for change in workspace.ledger.locks.changes(registration):
        deed = workspace.ledger.desk.deed(change.journal)
        yield Event(
            what="lock" if change.locked else "unlock",
            day=change.day,
            reason=change.reason,
            operators=() if deed is None else deed.operators,
            order=change.journal,
        )


def _pending(
    workspace: Workspace, registration: Registration, ours: tuple[tuple[CopyStory, ...], set[int | None]], today: int
) -> Iterator[Pending]:
    """What waits about it, its copies, or the notices (by number) that concern these."""
    for row in workspace.ledger.desk.open_requests():
        form = parse_form(row.body)
        if row.issuer != registration.issuer or today - form.day > REQUEST_DAYS:
            continue
        if not _asks_about(row, registration, *ours):
            continue
        yield Pending(
            id=row.id,
            what=form.code.name.lower(),
            operator=row.operator,
            day=form.day,
            last_day=form.day + REQUEST_DAYS,
            reason=row.reason,
            serials=form.serials,
        )


def _asks_about(
    row: RequestRow, registration: Registration, copies: tuple[CopyStory, ...], notices: set[int | None]
) -> bool:
    form = parse_form(row.body)
    if isinstance(form.code, ActType):
        try:
            return decode_target(row).registration == registration
        except RequestForgedError:  # altered in the ledger, or emptied: `requests` and `approve` say so
            return False
    bodies = [parse_body(form.code, about) for about in form.abouts if isinstance(about, bytes)]
    if any(isinstance(body, RetractionBody) and body.retracted in notices for body in bodies):
        return True
    return any(concerned(body, copy.claims) is not None for body in bodies for copy in copies)
