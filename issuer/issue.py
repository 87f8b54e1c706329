"""Issuing: from a file of records to delivered certificates, resuming from whatever state a kill left.

Source: docs/life-of-a-certificate.md. `prepare` reads, checks and previews and changes nothing but stored images;
`issue` plans in one transaction, signs, logs, renders and reads back. Running the same command again gives the same
files and no second serial. Nothing is issued while any row has a fault.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, overload

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.formats.claims import Copy, encode_claims
from mingzheng.formats.errors import FormatError
from mingzheng.formats.profile import ProfileSet
from mingzheng.issuer.applicationfiles import keep_application
from mingzheng.issuer.errors import PlanError
from mingzheng.issuer.faultfile import write_faulty
from mingzheng.issuer.faults import Fault, make_fault, name_cells
from mingzheng.issuer.jobs import Job, JobPress, plan_job, plan_kept
from mingzheng.issuer.kept import KeptRecord, batch_key, copy_key, format_kept, parse_kept, request_key
from mingzheng.issuer.noticework import extensions_in_force
from mingzheng.issuer.operators import acting
from mingzheng.issuer.pictures import Pictures, PictureWork, SameImages
from mingzheng.issuer.plan import CopyOrder, check_records, profile_of
from mingzheng.issuer.press import Press
from mingzheng.issuer.publish import settle
from mingzheng.issuer.randomness import Randomness, SystemRandomness
from mingzheng.issuer.record import ApplicationRecord, ParsedRecords, packed_records
from mingzheng.issuer.recordfile import RecordsFile, read_records
from mingzheng.issuer.refusals import (
    FaultyRecordsError,
    SealMissingError,
    SealPlacesError,
    SealRuleMissingError,
    UnknownIssuerError,
)
from mingzheng.issuer.render import Outbox, Renderer
from mingzheng.issuer.rows import By, CopyRow, Order, Registration
from mingzheng.issuer.schema import CopyStatus, FileForm, RegistrationState
from mingzheng.issuer.sealing import Sealer, Sheet
from mingzheng.issuer.witnessing import witness_copies
from mingzheng.issuer.workspace import APPLICATIONS, IMAGES, Workspace
from mingzheng.keys.trust import IssuerRecord, Role

__all__ = [
    "Issued",
    "IssuedFile",
    "Job",
    "Prepared",
    "Progress",
    "Request",
    "deliver_jobs",
    "issue",
    "issue_file",
    "job_for",
    "order_of",
    "plan_jobs",
    "prepare",
]

Step = Literal["check", "deliver"]
Progress = Callable[[Step, int, int], None]  # told after each row: of which step, how many are done, how many there are


def _silent(_step: Step, _done: int, _count: int) -> None:
    """Nobody looks."""


_CLOSED: Final = {
    RegistrationState.SUSPENDED: (
        "该注册已暂停",
        "the registration is suspended",
        "先恢复：reinstate",
        "reinstate it first",
    ),
    RegistrationState.REVOKED: ("该注册已撤销", "the registration is revoked", "去掉该行", "take the row out"),
}

_LOCKED: Final = (
    ("该注册已锁定，不能取得新副本", "the registration is locked: no new copy can be obtained"),
    ("先解锁：unlock，或去掉该行", "unlock it first, or take the row out"),
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One issuing command: the file's bytes, where its image paths start, and what is asked for."""

    data: bytes
    images: Path
    copy: Copy
    purpose: str | None
    issuer: int | None  # None: the one whose scope fits
    forms: tuple[FileForm, ...] | None = None  # None: what the workspace makes by default
    faulty_beside: Path | None = None  # directory for the faulty rows, and the others are issued; None: all or none


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a file gave. Issued only if there is no fault, or without the faulty rows if that was asked for."""

    file: RecordsFile
    jobs: Sequence[Job]
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A delivered copy."""

    job: Job
    row: CopyRow
    paths: tuple[Path, ...]  # one per form asked for, PDF first
    seals: tuple[int, ...]  # bodies, in the order of sealing; none: unsealed

    @property
    def path(self) -> Path:
        """The first of its files."""
        return self.paths[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedFile:
    """What became of a file: the copies, and the file with the rows that were left out."""

    prepared: Prepared
    issued: tuple[Issued, ...]
    faulty: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checks:
    """What every record of a file is checked against."""

    profiles: ProfileSet
    named: Mapping[int, IssuerRecord]  # issuers by number
    number: int | None  # the issuer that was asked for
    orders: Mapping[int, CopyOrder]  # by issuer
    press: Press
    sealer: Sealer
    forms: tuple[FileForm, ...]
    batch: bytes


def prepare(
    workspace: Workspace, request: Request, *, now: int, store_images: bool, progress: Progress = _silent
) -> Prepared:
    """Read and check a file of records against profiles, issuer, ledger and day; every fault at once.

    `store_images` False (a dry run) leaves the workspace untouched.
    """
    file = read_records(request.data)
    profiles = workspace.profiles()
    wanted = CopyOrder(copy=request.copy, purpose=request.purpose, day=day_of_time(now))
    orders = {spec.number: order_of(workspace, spec.number, wanted) for spec in workspace.config.issuers}
    checked = _check(workspace, file.parsed, profiles, orders, request.issuer)
    file = replace(file, parsed=replace(file.parsed, records=()))  # those that are sound are in `checked`
    press = Press(workspace)
    checks = _Checks(
        profiles=profiles,
        named=workspace.config.issuer_records(),
        number=request.issuer,
        orders=orders,
        press=press,
        sealer=Sealer(workspace, press.fonts, now=now),
        forms=workspace.config.sealing.forms if request.forms is None else request.forms,
        batch=batch_key(request.data, copy=int(request.copy), purpose=request.purpose, issuer=request.issuer),
    )
    small = JobPress(workspace.ledger, profiles, checks.named, orders, batch=checks.batch)
    jobs = small.packed()
    faults, notes = list(checked.faults), list(file.parsed.notes)
    same = SameImages(checked.records)
    work = PictureWork(request.images, workspace.root / IMAGES if store_images else None)
    with closing(work.of(checked.records)) as rows:  # whatever ends the loop ends the reading processes
        for done, (record, pictures) in enumerate(rows, start=1):
            job, found = _job(workspace, record, pictures, checks)
            faults += found
            if job is not None:
                jobs.append(job)
                same.add(record, pictures)
                notes += _ledger_notes(workspace, job)
            progress("check", done, len(checked.records))
    differing = {fault.row: fault for fault in same.faults()}
    kept = jobs if not differing else small.packed(job for job in jobs if job.row not in differing)
    return Prepared(
        file=file,
        jobs=kept,
        faults=_in_order([*faults, *differing.values()], file.parsed.columns),
        notes=_in_order(notes, file.parsed.columns),
    )


def _in_order(faults: Iterable[Fault], columns: Sequence[str]) -> tuple[Fault, ...]:
    return name_cells(sorted(faults, key=lambda fault: fault.row), columns)


def issue(
    workspace: Workspace,
    request: Request,
    *,
    out: Path,
    now: int,
    randomness: Randomness | None = None,
) -> tuple[Issued, ...]:
    """As `issue_file`; only the copies."""
    return issue_file(workspace, request, out=out, now=now, randomness=randomness).issued


def issue_file(
    workspace: Workspace,
    request: Request,
    *,
    out: Path,
    now: int,
    randomness: Randomness | None = None,
    progress: Progress = _silent,
) -> IssuedFile:
    """Issue the records of a file into `out`, in file order; resumes what an earlier run left.

    With `faulty_beside` the faulty rows are written there first, and the others are issued. Raises FaultyRecordsError
    (nothing issued), or an error of ledger, log or rendering: run again to go on.
    """
    settle(workspace, now=now)
    prepared = prepare(workspace, request, now=now, store_images=True, progress=progress)
    faulty = None
    if prepared.faults:
        if request.faulty_beside is None or not prepared.jobs:
            raise FaultyRecordsError(
                prepared.faults, prepared.notes, none_good=request.faulty_beside is not None and not prepared.jobs
            )
        faulty = write_faulty(prepared.file, prepared.faults, beside=request.faulty_beside)
    outbox = Outbox(directory=out, forms=request.forms)
    issued = deliver_jobs(workspace, prepared.jobs, out=outbox, now=now, randomness=randomness, progress=progress)
    return IssuedFile(prepared=prepared, issued=issued, faulty=faulty)


def deliver_jobs(
    workspace: Workspace,
    jobs: Sequence[Job],
    *,
    out: Path | Outbox,
    now: int,
    randomness: Randomness | None = None,
    progress: Progress = _silent,
) -> tuple[Issued, ...]:
    """Plan, log, render and read back; what is done already is not done again."""
    renderer = Renderer(workspace, out, now=now)  # first of all: nothing is planned that could not be written there
    alike = {_sealed_alike(job): place for place, job in enumerate(jobs)}
    by = {issuer: acting(workspace, issuer, now=now) for issuer in sorted({issuer for issuer, *_ in alike})}
    for issuer in by:  # before a serial is given out: who does it, and both keys, are there
        for role in (Role.CREDENTIAL, Role.ACT):
            workspace.signer(role, issuer, day_of_time(now))
    for job in map(jobs.__getitem__, alike.values()):  # and so are the seals
        renderer.check(job.preview.claims, job.profile, job.issuer.number)
    named = _planned(workspace, jobs, SystemRandomness() if randomness is None else randomness, by)
    settle(workspace, now=now)
    witness_copies(workspace, named)
    issued = []
    for job, copy in zip(jobs, named, strict=True):
        paths = renderer.deliver(workspace.ledger.copy(*copy))
        delivered = workspace.ledger.copy(*copy)
        issued.append(Issued(job=job, row=delivered, paths=paths, seals=renderer.bodies(delivered)))
        progress("deliver", len(issued), len(jobs))
    return tuple(issued)


def plan_jobs(
    workspace: Workspace,
    jobs: Sequence[Job],
    *,
    randomness: Randomness | None = None,
    by: Mapping[int, By] | None = None,
) -> tuple[CopyRow, ...]:
    """Fix serial, salt and claims of every job in one transaction; what is planned already stays. `by`: as `plan`."""
    named = _planned(workspace, jobs, SystemRandomness() if randomness is None else randomness, by)
    return tuple(workspace.ledger.copy(*copy) for copy in named)


def _planned(
    workspace: Workspace, jobs: Sequence[Job], randomness: Randomness, by: Mapping[int, By] | None
) -> list[tuple[int, int]]:
    """Issuer and serial of every job's copy. No more than one job at a time is taken out of `jobs`."""
    orders = _Orders(jobs)

    def make_claims(order: Order, serial: int, salt: bytes) -> bytes:
        return encode_claims(plan_job(orders.job_of(order), serial, salt).claims)

    for order in orders:
        if order.application is not None:
            keep_application(workspace.root / APPLICATIONS, order.application)
    named = workspace.ledger.plan_serials(orders, make_claims=make_claims, randomness=randomness, by=by)
    _logger.info("planned copies=%d", len(named))
    return named


class _Orders(Sequence[Order]):
    """The orders of jobs; the job of the order that was taken last is at hand."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs, self._last = jobs, None if not jobs else jobs[0]

    def __len__(self) -> int:
        return len(self._jobs)

    @overload
    def __getitem__(self, place: int) -> Order: ...

    @overload
    def __getitem__(self, place: slice) -> list[Order]: ...

    def __getitem__(self, place: int | slice) -> Order | list[Order]:
        if isinstance(place, slice):
            return [job.order for job in self._jobs[place]]
        self._last = self._jobs[place]
        return self._last.order

    def job_of(self, order: Order) -> Job:
        """The job of the order that was taken last."""
        assert self._last is not None
        assert self._last.order is order
        return self._last


def order_of(workspace: Workspace, issuer: int, wanted: CopyOrder) -> CopyOrder:
    """The order with the issuer's extensions that are in the log and stand on its day."""
    return replace(wanted, extensions=extensions_in_force(workspace, issuer, wanted.day))


def job_for(
    workspace: Workspace,
    kept: KeptRecord,
    *,
    issuer: int,
    wanted: CopyOrder,
    batch: bytes = b"",
    reason: str = "",
    seen: bool = True,
) -> Job:
    """The job of one copy from kept data; `batch` empty: a command of its own. `seen` False: the ledger is not asked
    about a registration that it does not have.

    `wanted` is from `order_of`. Raises a PlanError if no copy may be planned on that day.
    """
    record = kept.record
    profile = profile_of(record, workspace.profiles(), day=wanted.day)
    assert profile is not None  # its kind was issued before
    named = workspace.config.issuer_records()[issuer]
    registration = Registration(issuer=issuer, kind=profile.code, registration_no=record.registration_no)
    purpose = (wanted.purpose or record.purpose) if wanted.copy is Copy.USAGE else None
    request = request_key(record=kept.digest, copy=int(wanted.copy), purpose=purpose, issuer=issuer)
    preview = plan_kept(kept, profile, named, wanted)  # refuses what cannot be planned
    order = Order(
        key=copy_key(request=request, day=wanted.day, ends=tuple(item.end for item in preview.extended)),
        request=request,
        batch=batch or request,
        registration=registration,
        record_digest=kept.digest,
        record_body=format_kept(kept),
        day=wanted.day,
        reason=reason,
        photo=kept.photo,
        signature_image=kept.signature_image,
    )
    return Job(
        row=record.row,
        kept=kept,
        profile=profile,
        issuer=named,
        wanted=wanted,
        order=order,
        existing=workspace.ledger.existing(order) if seen else None,
        supersedes=_superseded(workspace, order) if seen else (),
    )


def _sealed_alike(job: Job) -> tuple[int, int, int, int]:
    claims = job.preview.claims
    return job.issuer.number, claims.kind, claims.jurisdiction, claims.sealing_body


def _check(
    workspace: Workspace,
    parsed: ParsedRecords,
    profiles: ProfileSet,
    orders: Mapping[int, CopyOrder],
    number: int | None,
) -> ParsedRecords:
    """Records checked against profile and issuer."""
    records = packed_records()
    faults = list(parsed.faults)
    named = workspace.config.issuer_records()
    for record in parsed.records:
        kind = profiles.code_of(record.kind)
        try:
            # an unknown kind is check_records' to name; any issuer serves for that
            spec = (
                workspace.config.issuers[0] if kind is None else workspace.issuer_for(kind, record.jurisdiction, number)
            )
        except UnknownIssuerError as error:
            faults.append(_fault(record.row, "kind", error.code, (error.zh, error.en), _REMEDY_ISSUER))
            continue
        found = check_records(
            ParsedRecords(records=(record,), faults=()),
            profiles=profiles,
            issuer=named[spec.number],
            order=orders[spec.number],
        )
        for sound in found.records:
            records.append(sound)
        if found.faults and kind is not None:  # what the ledger says of the sound ones comes later (`_job`)
            faults += _shut(workspace, _registration(spec.number, kind, record), record.row)
        faults += found.faults
    return ParsedRecords(records=records, faults=tuple(faults))


_REMEDY_ISSUER: Final = ("检查种类、地区或 --issuer", "check kind, jurisdiction or --issuer")


def _job(
    workspace: Workspace, record: ApplicationRecord, pictures: Pictures, checks: _Checks
) -> tuple[Job | None, list[Fault]]:
    """The job of one record, or its faults: images, ledger, rules, and whether the page can be printed."""
    kind = checks.profiles.code_of(record.kind)
    assert kind is not None  # check_records
    issuer = checks.named[workspace.issuer_for(kind, record.jurisdiction, checks.number).number]
    registration = _registration(issuer.number, kind, record)
    seen = workspace.ledger.registration_state(registration) is not None
    closed = _shut(workspace, registration, record.row) if seen else []
    if closed or pictures.faults:
        return None, [*closed, *pictures.faults]
    kept = KeptRecord(record=record, photo=pictures.photo_digest, signature_image=pictures.signature_digest, reissued=0)
    kept, fault = _against_ledger(workspace, registration, kept) if seen else (kept, None)
    if fault is not None:
        return None, [fault]
    images = pictures.photo, pictures.signature_image
    try:
        job = job_for(
            workspace, kept, issuer=issuer.number, wanted=checks.orders[issuer.number], batch=checks.batch, seen=seen
        )
        claims = job.preview.claims
        page = checks.press.check(claims, job.profile, issuer.number, images)
        checks.sealer.check(Sheet(issuer=issuer.number, claims=claims, page=page), checks.forms)
    except (SealMissingError, SealRuleMissingError, SealPlacesError) as error:
        return None, [_fault(record.row, "sealing_body", error.code, (error.zh, error.en), _REMEDY_SEAL)]
    except PlanError as error:
        return None, [_fault(record.row, "", error.code, (error.zh, error.en), _REMEDY_ROW)]
    except FormatError as error:  # its text says both languages at once
        return None, [_fault(record.row, "", error.code, (error.detail, error.detail), _REMEDY_ROW)]
    if job.existing is not None and job.existing.status is not CopyStatus.LIVE:
        return None, [_closed_copy(record.row, job.existing)]
    return job, []


_REMEDY_SEAL: Final = ("检查印章与用印规则：mingzheng seal list", "look at seals and rules: mingzheng seal list")
_REMEDY_ROW: Final = ("更正该行的数据，或去掉该行", "correct the data of this row, or take the row out")


def _registration(issuer: int, kind: int, record: ApplicationRecord) -> Registration:
    return Registration(issuer=issuer, kind=kind, registration_no=record.registration_no)


def _shut(workspace: Workspace, registration: Registration, row: int) -> list[Fault]:
    """That the registration is suspended, revoked or locked: named beside every other fault of the row."""
    state = workspace.ledger.registration_state(registration)
    if state in _CLOSED:
        zh, en, remedy_zh, remedy_en = _CLOSED[state]
        code = f"record.registration_{state}"
        return [_fault(row, "registration_no", code, (zh, en), (remedy_zh, remedy_en))]
    if workspace.ledger.locks.is_locked(registration):
        return [_fault(row, "registration_no", "record.registration_locked", *_LOCKED)]
    return []


def _against_ledger(
    workspace: Workspace, registration: Registration, kept: KeptRecord
) -> tuple[KeptRecord, Fault | None]:
    """Refuse data older than the ledger's; take over its count of re-issues."""
    found = workspace.ledger.current_record(registration)
    if found is None:
        return kept, None
    current = parse_kept(found[1])
    if kept.same_data(current):
        return replace(kept, reissued=current.reissued), None
    used = {copy.record for copy in workspace.ledger.copies_of(registration) if copy.status is not CopyStatus.VOID}
    if kept.record.certificate_issued_on < current.record.certificate_issued_on or kept.digest in used:
        return kept, _outdated(kept.record.row)
    return kept, None


def _outdated(row: int) -> Fault:
    return _fault(
        row,
        "certificate_issued_on",
        "record.outdated",
        ("台账里该注册已有更新的数据（换领或变更）", "the ledger has newer data of this registration"),
        ("用最新数据更新该行，或用 reissue 换领", "bring the row up to date, or use `reissue`"),
    )


def _closed_copy(row: int, copy: CopyRow) -> Fault:
    return _fault(
        row,
        "registration_no",
        "record.copy_closed",
        (
            f"同一天的同一份（序号 {copy.serial}）状态为 {copy.status}",
            f"today's copy (serial {copy.serial}) is {copy.status}",
        ),
        ("次日再签发，或用 reissue 换领", "issue it on another day, or use `reissue`"),
    )


def _ledger_notes(workspace: Workspace, job: Job) -> list[Fault]:
    """Whether the ledger has this very copy, or one that differs by its day only, from another command than this."""
    mine, found = job.order.batch, job.existing
    if workspace.ledger.registration_state(job.order.registration) is None:
        return []
    if found is not None:
        arguments: dict[str, int | str] = {"serial": found.serial}
        return [] if found.batch == mine else [_ledger_note(job, "record.already_issued", arguments)]
    for copy in reversed(workspace.ledger.copies_of(job.order.registration)):
        if copy.request == job.order.request and copy.status is CopyStatus.LIVE and copy.batch != mine:
            arguments = {"serial": copy.serial, "day": format_day(copy.day)}
            return [_ledger_note(job, "record.issued_before", arguments)]
    return []


def _ledger_note(job: Job, code: str, arguments: Mapping[str, int | str]) -> Fault:
    return make_fault(job.row, "registration_no", code, **arguments)


def _superseded(workspace: Workspace, order: Order) -> tuple[int, ...]:
    """Serials of live copies of other data: what logging this copy will supersede."""
    return tuple(
        copy.serial
        for copy in workspace.ledger.copies_of(order.registration)
        if copy.record != order.record_digest and copy.status in (CopyStatus.LIVE, CopyStatus.SUSPENDED)
    )


def _fault(row: int, field: str, code: str, message: Iterable[str], remedy: Iterable[str]) -> Fault:
    zh, en = message
    remedy_zh, remedy_en = remedy
    return Fault(
        row=row, field=field, code=code, message_zh=zh, message_en=en, remedy_zh=remedy_zh, remedy_en=remedy_en
    )
