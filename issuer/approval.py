"""Acts of two persons at the desk: one operator asks, another looks at it again and approves.

Source: docs/workspace.md, Operators; docs/spec/log.md, Two persons. `ask` stores a request and does nothing else.
`approve` checks it against the ledger as it is now and does everything in one transaction: acts with both signatures,
what they make of their copies, the end of the request, the journal. Killed anywhere and run again, each is done once.
What a request would do is told by `Effects`: of acts `lifecycle.effect_of`, of notices their own module.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.approvalerrors import (
    AlreadyAskedError,
    AskedKeyOutError,
    OtherIssuerError,
    OtherLogError,
    RequestAlteredError,
    RequestChangedError,
    RequestDoneError,
    RequestExpiredError,
    RequestForgedError,
    RequestTooLargeError,
    RequestUnknownError,
    RequestWithdrawnError,
    SamePersonError,
)
from mingzheng.issuer.config import WorkspaceConfig
from mingzheng.issuer.operators import Operator
from mingzheng.issuer.publish import MAX_SERIALS, finish, settle, sign_approved
from mingzheng.issuer.requestform import (
    ID_BYTES,
    MAX_PARTS,
    About,
    Part,
    RequestForm,
    check_form,
    encode_form,
    parse_form,
    seal_message,
)
from mingzheng.issuer.rows import DESK, ActRow, By, Decision, NewAct, RequestRow
from mingzheng.issuer.schema import RequestState
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.log.acts import ActType
from mingzheng.log.book import REQUEST_DAYS
from mingzheng.log.durable import fsync_dir, make_dirs, publish, unlink
from mingzheng.log.entry import Asked, NoticeType, request_message

__all__ = [
    "Approved",
    "Effect",
    "Effects",
    "Proposal",
    "Review",
    "approve",
    "ask",
    "check_second",
    "end_late",
    "look",
    "open_requests",
    "read_request",
    "request_path",
    "review",
    "tidy_requests",
    "withdraw",
]

REQUESTS: Final = "requests"
SUFFIX: Final = ".request"
_PRIVATE_FILE: Final = 0o600
_PRIVATE_DIR: Final = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a person asks for. `target`: what it is about in the ledger's words, CBOR; one open request for each."""

    issuer: int
    code: ActType | NoticeType
    abouts: tuple[About, ...]  # an entry of the log each: at most 4,096 serials, or a notice's body
    target: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a request would do now: an act for each of `abouts`, and what becomes of a registration."""

    abouts: tuple[About, ...]
    acts: tuple[NewAct, ...]
    decision: Decision | None = None


Effects: TypeAlias = Callable[[Workspace, RequestRow, int], Effect]
"""(workspace, request, today) → what it would do now; raises RequestChangedError where it cannot any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A request that holds, and what it would do now: what the second person looks at."""

    row: RequestRow
    form: RequestForm
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What an approval did."""

    review: Review
    acts: tuple[ActRow, ...]


def ask(workspace: Workspace, proposal: Proposal, operator: Operator, *, now: int) -> RequestRow:
    """Store a request of that operator and its file; nothing else. Asked again while it is open, it is the same one.

    An open request about the same target that no longer fits, or that nobody could approve any more, is withdrawn.
    Raises OtherIssuerError, AlreadyAskedError for the same of another operator, RequestTooLargeError,
    ClockBehindError.
    """
    workspace.ledger.check_clock(now)
    if operator.key.issuer != proposal.issuer:
        raise OtherIssuerError(proposal.issuer)
    if len(proposal.abouts) > MAX_PARTS:
        raise RequestTooLargeError(MAX_PARTS * MAX_SERIALS)
    by = By(operators=(operator.name,))
    end_late(workspace, now=now)
    for row in open_requests(workspace, now=now):
        form = parse_form(row.body)
        if not _same(form.code, proposal.code) or (form.issuer, row.target) != (proposal.issuer, proposal.target):
            continue
        alike = form.abouts == proposal.abouts and _may_be_approved(workspace, form)
        if alike and row.operator != operator.name:
            raise AlreadyAskedError(row.id.hex(), row.operator)
        if alike and (form.kid, row.reason) == (operator.key.kid, proposal.reason):
            _keep_file(workspace, row)
            return row
        workspace.ledger.desk.close_request(row, RequestState.WITHDRAWN, by=by, now=now)
    row = _request(workspace, proposal, operator, day_of_time(now))
    workspace.ledger.desk.store_request(row, parse_form(row.body).serials, now=now)
    _keep_file(workspace, row)
    tidy_requests(workspace)
    return row


def read_request(workspace: Workspace, named: str) -> bytes:
    """The id of a request that is named by its id or by its file, which must be what the ledger keeps.

    Raises RequestMalformedError, RequestUnknownError, RequestAlteredError.
    """
    path = Path(named)
    if not path.is_file():
        try:
            identity = bytes.fromhex(named)
        except ValueError:
            raise RequestUnknownError(named) from None
        _find(workspace, identity)
        return identity
    with path.open("rb") as stream:
        data = stream.read(2**20)
    form = parse_form(data)
    if _find(workspace, form.id).body != data:
        raise RequestAlteredError(form.id.hex())
    return form.id


def open_requests(workspace: Workspace, *, now: int) -> tuple[RequestRow, ...]:
    """What waits for a second person, without what has waited too long; changes nothing."""
    today = day_of_time(now)
    return tuple(
        row for row in workspace.ledger.desk.open_requests() if today - parse_form(row.body).day <= REQUEST_DAYS
    )


def end_late(workspace: Workspace, *, now: int) -> None:
    """End what has waited too long: part of asking and withdrawing, never of looking."""
    waiting = {row.id for row in open_requests(workspace, now=now)}
    for row in workspace.ledger.desk.open_requests():
        if row.id not in waiting:
            workspace.ledger.desk.close_request(row, RequestState.EXPIRED, by=DESK, now=now)


def review(workspace: Workspace, identity: bytes, *, effects: Effects, now: int) -> Review:
    """As `look`, to go on to `approve`: what is on its way is brought into the log first, once the request itself is
    found sound, and files of requests that have ended are removed. Where nothing is on its way, the workspace's clock
    stays as it is: only what is done moves it.
    """
    try:
        _sound(workspace, identity, now)
    except (RequestDoneError, RequestWithdrawnError, RequestExpiredError) as error:
        tidy_requests(workspace)  # an earlier command, cut short, may have left the file
        if isinstance(error, RequestDoneError):
            finish(workspace, now=now)  # and the log may not have it
        raise
    finish(workspace, now=now)
    return look(workspace, identity, effects=effects, now=now)


def look(workspace: Workspace, identity: bytes, *, effects: Effects, now: int) -> Review:
    """Look at a request as things are now; changes nothing, and no key of a person is needed.

    Raises a leaf of ApprovalError for anything but a sound, open request that would do just what was asked for.
    """
    row, form = _sound(workspace, identity, now)
    effect = effects(workspace, row, day_of_time(now))
    if effect.abouts != form.abouts or len(effect.acts) != len(form.parts):
        raise RequestChangedError(row.id.hex())
    return Review(row=row, form=form, effect=effect)


def _sound(workspace: Workspace, identity: bytes, now: int) -> tuple[RequestRow, RequestForm]:
    """The request, open, of this log, signed by one of the issuer's operators, and not too old."""
    workspace.ledger.check_clock(now)
    row, today = _find(workspace, identity), day_of_time(now)
    _check_state(row)
    form = parse_form(row.body)
    if (form.id, form.issuer) != (row.id, row.issuer):
        raise RequestForgedError(row.id.hex())
    if form.origin != workspace.config.origin.number:
        raise OtherLogError(row.id.hex())
    _check_first(workspace, row, form, today)
    if not 0 <= today - form.day <= REQUEST_DAYS:
        raise RequestExpiredError(row.id.hex())
    return row, form


def check_second(found: Review, config: WorkspaceConfig, name: str) -> None:
    """Refuse the person who asked, by name. Raises SamePersonError."""
    if name in (found.row.operator, config.operator_of(found.form.kid)):
        raise SamePersonError(name)


def approve(workspace: Workspace, identity: bytes, operator: Operator, *, effects: Effects, now: int) -> Approved:
    """Let another operator than the one who asked carry the request out.

    Raises as `review`, SamePersonError, OtherIssuerError.
    """
    found = review(workspace, identity, effects=effects, now=now)
    form, key = found.form, operator.key
    if key.issuer != form.issuer:
        raise OtherIssuerError(form.issuer)
    check_second(found, workspace.config, operator.name)
    first = workspace.config.record(form.kid)
    if key.kid == form.kid or (first is not None and first.public_key.raw() == key.public_key.raw()):
        raise SamePersonError(operator.name)
    settle(workspace, now=now)  # refuses what would not reach the log, and remembers the time
    parts = iter(form.parts)

    def sign(act: NewAct, number: int) -> bytes:
        part = next(parts)
        request = form.request_of(part)
        return sign_approved(workspace, act, number, by=operator.signer, request=request, about=part.about)

    by = By(operators=(found.row.operator, operator.name), request=identity)
    acts = workspace.ledger.store_acts(found.effect.acts, sign=sign, decision=found.effect.decision, by=by)
    settle(workspace, now=now)
    tidy_requests(workspace)
    return Approved(review=found, acts=acts)


def withdraw(workspace: Workspace, identity: bytes, operator: Operator, *, reason: str, now: int) -> RequestRow:
    """End an open request, by any operator of its issuer. Raises as `review` for one that is not open."""
    workspace.ledger.check_clock(now)
    end_late(workspace, now=now)
    row = _find(workspace, identity)
    if row.state is not RequestState.OPEN:
        tidy_requests(workspace)
    _check_state(row)
    if operator.key.issuer != row.issuer:
        raise OtherIssuerError(row.issuer)
    by = By(operators=(operator.name,), request=row.id)
    workspace.ledger.desk.close_request(row, RequestState.WITHDRAWN, by=by, now=now, reason=reason)
    tidy_requests(workspace)
    return row


def request_path(workspace: Workspace, row: RequestRow) -> Path:
    """Where the file of a request is."""
    return workspace.root / REQUESTS / f"{row.id.hex()}{SUFFIX}"


def tidy_requests(workspace: Workspace) -> None:
    """Remove files of requests that are not open any more, and what a killed command left."""
    directory = workspace.root / REQUESTS
    if not directory.is_dir():
        return
    kept = {f"{row.id.hex()}{SUFFIX}" for row in workspace.ledger.desk.open_requests()}
    for path in sorted(directory.iterdir()):
        if path.suffix in (SUFFIX, ".tmp") and path.name not in kept:
            unlink(path)
    fsync_dir(directory)


def _same(one: ActType | NoticeType, other: ActType | NoticeType) -> bool:
    """Acts and notices are numbered alike, and equal numbers of the two are equal."""
    return type(one) is type(other) and one == other


def _may_be_approved(workspace: Workspace, form: RequestForm) -> bool:
    """Whether it is for the log that is written to, and its key has not gone out since."""
    keys = workspace.config.keys
    is_ours = form.origin == workspace.config.origin.number
    return is_ours and any(key.kid == form.kid and key.may_sign(form.day) for key in keys)


def _request(workspace: Workspace, proposal: Proposal, operator: Operator, today: int) -> RequestRow:
    kid, origin = operator.key.kid, workspace.config.origin
    parts = []
    for about in proposal.abouts:
        asked = Asked(issuer=proposal.issuer, code=proposal.code, about=about)
        message = request_message(asked, origin.name, kid=kid, day=today)
        parts.append(Part(about=about, signature=operator.signer.sign(message)))
    form = RequestForm(
        id=secrets.token_bytes(ID_BYTES),
        origin=origin.number,
        issuer=proposal.issuer,
        code=proposal.code,
        kid=kid,
        day=today,
        parts=tuple(parts),
    )
    body = encode_form(form)
    message = seal_message(body, target=proposal.target, reason=proposal.reason, operator=operator.name)
    return RequestRow(
        id=form.id,
        issuer=form.issuer,
        body=body,
        target=proposal.target,
        reason=proposal.reason,
        operator=operator.name,
        seal=operator.signer.sign(message),
        state=RequestState.OPEN,
    )


def _find(workspace: Workspace, identity: bytes) -> RequestRow:
    row = workspace.ledger.desk.request(identity)
    if row is None:
        raise RequestUnknownError(identity.hex())
    return row


def _check_state(row: RequestRow) -> None:
    """Refuse a request that has ended."""
    name = row.id.hex()
    if row.state is RequestState.DONE:
        raise RequestDoneError(name)
    if row.state is RequestState.WITHDRAWN:
        raise RequestWithdrawnError(name)
    if row.state is RequestState.EXPIRED:
        raise RequestExpiredError(name)


def _check_first(workspace: Workspace, row: RequestRow, form: RequestForm, today: int) -> None:
    """The key that asked is an operator's of this issuer, signed all of it, and has not gone out since."""
    record: KeyRecord | None = workspace.config.record(form.kid)
    if record is None or record.role is not Role.OPERATOR or record.issuer != form.issuer:
        raise RequestForgedError(row.id.hex())
    message = seal_message(row.body, target=row.target, reason=row.reason, operator=row.operator)
    check_form(form, record.public_key, workspace.config.origin.name, seal=(row.seal, message))
    if not _may_be_approved(workspace, form):
        raise AskedKeyOutError(row.id.hex())


def _keep_file(workspace: Workspace, row: RequestRow) -> None:
    """The request's file, readable by its owner only: whole or not there."""
    path = request_path(workspace, row)
    if path.is_file() and path.read_bytes() == row.body:
        return
    make_dirs(path.parent)
    path.parent.chmod(_PRIVATE_DIR)
    temporary = path.with_suffix(".tmp")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE))
    publish(path, row.body, temporary=temporary)
