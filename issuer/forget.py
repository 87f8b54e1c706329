"""Forgetting a registration: what the ledger knows of a person goes, what the log shows stays.

Source: docs/workspace.md ("Forgetting"). One transaction takes everything out of the rows from which the person could
be told, or a guess about the person be confirmed: records, claims with their salts, signed bytes, digests made of them,
names and digests of files, image digests, applications, free texts, the registration number (a random name stands in
its place). Then the sweep: images and applications that no row names, and the ledger's own file, written anew. That it
is due is noted in that transaction; a sweep cut short is finished by the next call. No log is opened, and no key is
needed but the operator's where the issuer has operators. The journal gets a row and keeps all others: what they say of
reasons is salted, and the salts go. Of an ended request goes what its first person sealed, and the seal, which would
confirm a guess.

Why the log's leaf says nothing any more: its identity is SHA-256 over bytes that hold 16 random bytes of salt; without
these no guess about the person can be tried. `WHAT_STAYS` says of every column whether it is emptied, and why not.
"""

import logging
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mingzheng.formats.civil import day_of_time
from mingzheng.formats.claims import parse_claims
from mingzheng.formats.rules_copy import copy_end
from mingzheng.issuer.approval import end_late, tidy_requests
from mingzheng.issuer.approvalerrors import OperatorNeededError, OtherIssuerError, RequestForgedError
from mingzheng.issuer.deskbook import unpacked
from mingzheng.issuer.forgeterrors import (
    ForgetReasonError,
    ForgetRequestOpenError,
    ForgetTooEarlyError,
    ForgetUnknownError,
)
from mingzheng.issuer.journal import parse_deed
from mingzheng.issuer.kept import parse_kept
from mingzheng.issuer.lifecycle import decode_target
from mingzheng.issuer.noticebook import counting, list_notices
from mingzheng.issuer.operators import Operator
from mingzheng.issuer.plan import profile_of
from mingzheng.issuer.record import ApplicationRecord
from mingzheng.issuer.refusals import (
    RegistrationLockedError,
)
from mingzheng.issuer.requestform import parse_form
from mingzheng.issuer.rows import DESK, By, CopyRow, Registration, RequestRow
from mingzheng.issuer.schema import CopyStatus, RegistrationState, RequestState
from mingzheng.issuer.standing import Scope, end_on, standing_extensions
from mingzheng.issuer.workspace import APPLICATIONS, IMAGES, Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.book import REQUEST_DAYS
from mingzheng.log.durable import fsync_dir, unlink

__all__ = ["EMPTIED", "WHAT_STAYS", "ForgetPlan", "Forgotten", "forget", "plan_forget"]

_OPEN: Final = (CopyStatus.LIVE, CopyStatus.SUSPENDED)
_NOBODY: Final = b""  # digest of the empty record that stands for forgotten ones
_UNSWEPT: Final = "unswept"  # in `meta`
_STORED: Final = re.compile(r"[0-9a-f]{64}((\.[0-9]+)?\.tmp)?")  # and what a killed import left (`pictures.keep_image`)
_KEY_BYTES: Final = 32
_IMAGES_IN_USE: Final = (
    "SELECT photo FROM copy WHERE photo IS NOT NULL "
    "UNION SELECT signature_image FROM copy WHERE signature_image IS NOT NULL"
)
_APPLICATIONS_IN_USE: Final = "SELECT file FROM application UNION SELECT beside FROM application WHERE beside NOTNULL"

EMPTIED: Final = frozenset(
    {
        ("record", "digest"),
        ("record", "body"),
        ("registration", "registration_no"),
        ("registration", "record"),
        ("copy", "key"),
        ("copy", "request"),
        ("copy", "batch"),
        ("copy", "registration_no"),
        ("copy", "record"),
        ("copy", "claims"),
        ("copy", "reason"),
        ("copy", "photo"),
        ("copy", "signature_image"),
        ("copy", "signed"),
        ("copy", "receipt"),
        ("copy", "proof"),
        ("file", "issuer"),
        ("file", "serial"),
        ("file", "form"),
        ("file", "name"),
        ("file", "sha256"),
        ("act", "reason"),
        ("decision", "registration_no"),
        ("decision", "reason"),
        ("request", "target"),
        ("request", "reason"),
        ("request", "seal"),
        ("journal_reason", "number"),
        ("journal_reason", "salt"),
        ("journal_reason", "reason"),
        ("lock_change", "registration_no"),
        ("lock_change", "reason"),
        ("application", "statement"),
        ("application", "issuer"),
        ("application", "kind"),
        ("application", "registration_no"),
        ("application", "record"),
        ("application", "serial"),
        ("application", "file"),
        ("application", "beside"),
        ("application", "certificate"),
        ("application", "subject"),
        ("application", "by_number"),
        ("application", "signed_at"),
        ("application", "is_stamped"),
        ("application", "day"),
        ("application", "journal"),
    }
)

# table, column -> why it stays. A new column is in one of the two, or a test fails.
_PUBLIC: Final = "stands in the log"
_COUNT: Final = "a count of the whole ledger"
_MADE: Final = "made by the forgetting itself"
_RANDOM: Final = "random"
_STAFF: Final = "names of operators are the office's own: who answers for an act"
WHAT_STAYS: Final[Mapping[tuple[str, str], str]] = {
    ("meta", "name"): _COUNT,
    ("meta", "value"): _COUNT,
    ("counter", "issuer"): _COUNT,
    ("counter", "next_serial"): _COUNT,
    ("counter", "next_act"): _COUNT,
    ("registration", "issuer"): _PUBLIC,
    ("registration", "kind"): _PUBLIC,
    ("registration", "state"): "closed: no copy is planned under the random name",
    ("copy", "issuer"): _PUBLIC,
    ("copy", "serial"): _PUBLIC,
    ("copy", "kind"): _PUBLIC,
    ("copy", "day"): _PUBLIC,
    ("copy", "state"): _PUBLIC,
    ("copy", "status"): _PUBLIC,
    ("copy", "leaf_index"): _PUBLIC,
    ("copy", "shard"): _PUBLIC,
    ("copy", "logged_at"): _PUBLIC,
    ("act", "issuer"): _PUBLIC,
    ("act", "number"): _PUBLIC,
    ("act", "act"): _PUBLIC,
    ("act", "serials"): _PUBLIC,
    ("act", "day"): _PUBLIC,
    ("act", "entry"): _PUBLIC,
    ("act", "leaf_index"): _PUBLIC,
    ("act", "shard"): _PUBLIC,
    ("act", "journal"): _COUNT,
    ("act", "first_number"): _COUNT,
    ("foreign_entry", "shard"): _PUBLIC,
    ("foreign_entry", "leaf_index"): _PUBLIC,
    ("foreign_entry", "issuer"): _PUBLIC,
    ("foreign_entry", "number"): _PUBLIC,
    ("foreign_entry", "act"): _PUBLIC,
    ("foreign_entry", "day"): _PUBLIC,
    ("foreign_entry", "entry"): _PUBLIC,
    ("foreign_entry", "noted"): _COUNT,
    ("foreign_entry", "agreed"): _COUNT,
    ("foreign_serial", "issuer"): _PUBLIC,
    ("foreign_serial", "serial"): _PUBLIC,
    ("act_serial", "issuer"): _PUBLIC,
    ("act_serial", "serial"): _PUBLIC,
    ("act_serial", "number"): _PUBLIC,
    ("decision", "id"): _COUNT,
    ("decision", "issuer"): _PUBLIC,
    ("decision", "kind"): _PUBLIC,
    ("decision", "state"): "says what was decided, of nobody",
    ("decision", "day"): "says when, of nobody",
    ("decision", "journal"): _COUNT,
    ("status_list", "issuer"): _PUBLIC,
    ("status_list", "covered"): _PUBLIC,
    ("status_list", "this_update"): _PUBLIC,
    ("status_list", "list"): _PUBLIC,
    ("status_list", "proof"): _PUBLIC,
    ("lock_change", "id"): _COUNT,
    ("lock_change", "issuer"): _PUBLIC,
    ("lock_change", "kind"): _PUBLIC,
    ("lock_change", "locked"): "says what was decided, of nobody",
    ("lock_change", "day"): "says when, of nobody",
    ("lock_change", "journal"): _COUNT,
    ("forgotten", "name"): _MADE,
    ("forgotten", "day"): _MADE,
    ("forgotten", "reason"): _MADE,
    ("forgotten", "copies"): _MADE,
    ("request", "id"): _RANDOM,
    ("request", "issuer"): _PUBLIC,
    ("request", "body"): "names serials and keys, as the log does; signed without registration and reason",
    ("request", "operator"): _STAFF,
    ("request", "state"): "says how it ended, of nobody",
    ("journal", "number"): _COUNT,
    ("journal", "body"): f"names serials by a digest, reasons by a salted one, decisions by number; {_STAFF}",
    ("journal", "digest"): "a digest of rows that say nothing of the person",
    ("journal_start", "issuer"): _PUBLIC,
    ("journal_start", "next_act"): _COUNT,
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetPlan:
    """What would be forgotten: the copies of a registration, all revoked, superseded, void or past their last day.

    `requests`: what operators asked about it; all have ended.
    """

    registration: Registration
    copies: tuple[CopyRow, ...]
    requests: tuple[RequestRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What stays of each copy, and how much was removed. No copies: an earlier forgetting was brought to its end."""

    copies: tuple[CopyRow, ...]  # as the ledger has them now
    images: int
    shared_reasons: int  # acts that name other registrations' copies, too, keep their reason until these are forgotten


def plan_forget(workspace: Workspace, registration: Registration, *, today: int) -> ForgetPlan:
    """Which copies would be forgotten.

    Raises ForgetTooEarlyError while one still counts, RegistrationLockedError while one is on its way to the log,
    ForgetRequestOpenError while an operator's request about it waits, ForgetUnknownError.
    """
    ledger = workspace.ledger
    state, found = ledger.registration_state(registration), ledger.current_record(registration)
    if state is None or found is None or not found[1]:  # never seen, or forgotten
        raise ForgetUnknownError
    copies = ledger.copies_of(registration)
    for row in copies:
        if row.is_unlogged:
            raise RegistrationLockedError(row.issuer, row.serial)
    ends = _Ends(workspace, registration.issuer, today)
    days = [ends.of_copy(row) for row in copies if row.status in _OPEN]
    counting = [day for day in days if day >= today]
    last = max(counting, default=None)
    if state is not RegistrationState.REVOKED:
        until = ends.of_registration(registration.kind, parse_kept(found[1]).record)
        last = max(until, last or until) if until >= today else last
    if last is not None:
        raise ForgetTooEarlyError(len(counting), last)
    return ForgetPlan(registration=registration, copies=copies, requests=_requests(workspace, registration, today))


def check_reason(workspace: Workspace, plan: ForgetPlan, reason: str) -> None:
    """A reason stays: raises ForgetReasonError if it tells who is forgotten, by name or by a number."""
    digests = {row.record for row in plan.copies}
    records = [parse_kept(workspace.ledger.record_body(digest)).record for digest in digests]
    current = workspace.ledger.current_record(plan.registration)
    if current is not None and current[1]:
        records.append(parse_kept(current[1]).record)
    telling = {plan.registration.registration_no}
    for record in records:
        telling |= {text for text in (record.name, record.id_number) if text is not None}
    plain = _plain(reason)
    if any(_plain(text) in plain for text in telling):
        raise ForgetReasonError


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split()).casefold()


def forget(
    workspace: Workspace, registration: Registration, *, reason: str, now: int, operator: Operator | None = None
) -> Forgotten:
    """Erase a registration and sweep; killed anywhere and run again, it is done once. There is no way back.

    Raises as `plan_forget` and `check_reason`, OperatorNeededError, OtherIssuerError, ClockBehindError, SweepBusyError,
    LedgerWriteError.
    An earlier call that was cut short is swept first; if the registration is gone then, that was it.
    """
    workspace.ledger.check_clock(now)
    swept = _sweep(workspace)
    end_late(workspace, now=now)  # ends those that have waited too long
    try:
        plan = plan_forget(workspace, registration, today=day_of_time(now))
    except ForgetUnknownError:
        if swept is None:
            raise
        return Forgotten(copies=(), images=swept, shared_reasons=0)
    check_reason(workspace, plan, reason)
    by = _by(workspace, registration.issuer, operator, day_of_time(now))
    name = f"forgotten-{secrets.token_hex(16)}"
    with workspace.ledger.step() as database:
        shared = _erase(database, plan, name)
        note = (name, day_of_time(now), reason, len(plan.copies))
        database.execute("INSERT INTO forgotten (name, day, reason, copies) VALUES (?, ?, ?, ?)", note)
        database.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, 1)", (_UNSWEPT,))
        workspace.ledger.desk.note("forget", time=now, count=len(plan.copies), issuer=registration.issuer, by=by)
    images = _sweep(workspace) or 0
    _logger.info("forgotten copies=%d images=%d", len(plan.copies), images)
    stays = tuple(workspace.ledger.copy(row.issuer, row.serial) for row in plan.copies)
    return Forgotten(copies=stays, images=images, shared_reasons=shared)


def _by(workspace: Workspace, issuer: int, operator: Operator | None, today: int) -> By:
    if operator is None:
        if workspace.config.needs_two(issuer, today):
            raise OperatorNeededError(issuer)
        return DESK
    if operator.key.issuer != issuer:
        raise OtherIssuerError(issuer)
    return By(operators=(operator.name,))


def _requests(workspace: Workspace, registration: Registration, today: int) -> tuple[RequestRow, ...]:
    """What was asked about the registration; nothing of it waits any more."""
    serials = {row.serial for row in workspace.ledger.copies_of(registration)}
    found = tuple(row for row in workspace.ledger.desk.all_requests() if _is_about(row, registration, serials))
    for row in found:
        if row.state is RequestState.OPEN and today - parse_form(row.body).day <= REQUEST_DAYS:
            raise ForgetRequestOpenError(row.id.hex())
    return found


def _is_about(row: RequestRow, registration: Registration, serials: set[int]) -> bool:
    form = parse_form(row.body)
    if row.issuer != registration.issuer or not isinstance(form.code, ActType):
        return False
    if not serials.isdisjoint(form.serials):
        return True
    try:
        return decode_target(row).registration == registration
    except RequestForgedError:  # emptied by an earlier forgetting, or altered
        return False


class _Ends:
    """The last days of registrations and copies, wherever the issuer's notices move them, also from a day to come."""

    def __init__(self, workspace: Workspace, issuer: int, today: int) -> None:
        bodies = counting(list_notices(workspace, issuer))
        self._extensions, self._profiles = standing_extensions(bodies, today), workspace.profiles()
        self._today, self._on = today, max((today, *(rule.effective_on for rule in self._extensions)))

    def of_registration(self, kind: int, record: ApplicationRecord) -> int:
        scope = Scope(kind=kind, jurisdiction=record.jurisdiction)
        profile = profile_of(record, self._profiles, day=self._today)
        return end_on(self._extensions, scope, profile, end=record.registered_until, on=self._on).end

    def of_copy(self, row: CopyRow) -> int:
        claims = parse_claims(row.claims)
        profile = self._profiles.select(claims.kind, claims.jurisdiction, claims.copy_issued_on)
        return copy_end(self._extensions, claims, profile, on=self._on)


def _erase(database: sqlite3.Connection, plan: ForgetPlan, name: str) -> int:
    """Every statement of the transaction; how many acts keep a reason that is not this registration's alone."""
    named = plan.registration
    place = (named.issuer, named.kind, named.registration_no)
    where = "WHERE issuer = ?1 AND kind = ?2 AND registration_no = ?3"
    records = {row.record for row in plan.copies}
    records |= {row[0] for row in database.execute(f"SELECT record FROM registration {where}", place)}  # noqa: S608
    database.execute("INSERT OR IGNORE INTO record (digest, body) VALUES (?, ?)", (_NOBODY, b""))
    database.execute(
        "INSERT INTO registration (issuer, kind, registration_no, state, record) VALUES (?, ?, ?, 'revoked', ?)",
        (named.issuer, named.kind, name, _NOBODY),
    )
    database.executemany(
        "DELETE FROM file WHERE issuer = ? AND serial = ?", [(row.issuer, row.serial) for row in plan.copies]
    )
    database.executemany(
        "UPDATE copy SET registration_no = ?3, key = ?4, request = x'', batch = x'', record = x'', claims = x'', "
        "reason = '', photo = NULL, signature_image = NULL, signed = iif(signed IS NULL, NULL, x''), "
        "receipt = iif(receipt IS NULL, NULL, x''), proof = NULL WHERE issuer = ?1 AND serial = ?2",
        [(row.issuer, row.serial, name, secrets.token_bytes(_KEY_BYTES)) for row in plan.copies],
    )
    found = database.execute(f"SELECT id FROM decision {where}", place).fetchall()  # noqa: S608 (constants)
    decisions = {row[0] for row in found}
    database.execute(f"UPDATE decision SET registration_no = ?4, reason = '' {where}", (*place, name))  # noqa: S608
    locks = f"SELECT journal FROM lock_change {where}"  # noqa: S608 (constants)
    database.execute(f"DELETE FROM journal_reason WHERE number IN ({locks})", place)  # noqa: S608
    database.execute(f"UPDATE lock_change SET registration_no = ?4, reason = '' {where}", (*place, name))  # noqa: S608
    database.execute(f"DELETE FROM application {where}", place)  # noqa: S608 (constants)
    database.execute(f"DELETE FROM registration {where}", place)  # noqa: S608 (constants)
    database.executemany(
        "DELETE FROM record WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM copy WHERE record = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM registration WHERE record = ?1)",
        [(digest,) for digest in sorted(records - {_NOBODY})],
    )
    database.executemany(
        "UPDATE request SET target = x'', reason = '', seal = x'' WHERE id = ?", [(row.id,) for row in plan.requests]
    )
    own, shared = _erase_reasons(database, named.issuer, {row.serial for row in plan.copies})
    _erase_journal(database, named.issuer, acts=own, named=decisions | {row.id for row in plan.requests})
    return shared


def _erase_reasons(database: sqlite3.Connection, issuer: int, serials: set[int]) -> tuple[set[int], int]:
    """The numbers of the acts that lost theirs, and how many keep it: those that name a copy not forgotten yet."""
    forgotten = database.execute("SELECT serial FROM copy WHERE issuer = ? AND claims = x''", (issuer,))
    gone = serials | {row[0] for row in forgotten}
    shared, own = 0, []
    for number, data in database.execute("SELECT number, serials FROM act WHERE issuer = ?", (issuer,)).fetchall():
        named = set(unpacked(data))
        if not named & serials:
            continue
        if named <= gone:
            own.append((issuer, number))
        else:
            shared += 1
    database.executemany("UPDATE act SET reason = '' WHERE issuer = ? AND number = ?", own)
    return {number for _issuer, number in own}, shared


def _erase_journal(
    database: sqlite3.Connection, issuer: int, *, acts: set[int], named: AbstractSet[int | bytes]
) -> None:
    """Take out the reasons that belong to rows of these acts, or of a decision or request that is named."""
    rows = database.execute("SELECT number, body FROM journal JOIN journal_reason USING (number)").fetchall()
    erased = []
    for number, body in rows:
        try:
            deed = parse_deed(body)
        except ValueError:  # whose it is nobody can say any more
            erased.append((number,))
            continue
        mine = deed.issuer == issuer and bool(deed.acts) and acts.issuperset(deed.acts)
        if mine or deed.decision in named or deed.request in named:
            erased.append((number,))
    database.executemany("DELETE FROM journal_reason WHERE number = ?", erased)


def _sweep(workspace: Workspace) -> int | None:
    """Remove images and applications that no row names and files of ended requests, and rewrite the ledger.

    How many images that were, None if nothing was due.
    """
    ledger = workspace.ledger
    with ledger.step() as database:
        due = database.execute("SELECT 1 FROM meta WHERE name = ?", (_UNSWEPT,)).fetchone()
        images, applications = (
            {bytes(row[0]).hex() for row in database.execute(query)} if due else set()
            for query in (_IMAGES_IN_USE, _APPLICATIONS_IN_USE)
        )
    if not due:
        return None
    _remove_unused(workspace.root / APPLICATIONS, applications)
    removed = _remove_unused(workspace.root / IMAGES, images)
    tidy_requests(workspace)
    ledger.sweep()
    with ledger.step() as database:
        database.execute("DELETE FROM meta WHERE name = ?", (_UNSWEPT,))
    return removed


def _remove_unused(directory: Path, used: set[str]) -> int:
    """Remove the files of a directory that are named by a digest nobody uses; how many that were."""
    if not directory.is_dir():
        return 0
    unused = [path for path in directory.iterdir() if _STORED.fullmatch(path.name) and path.name not in used]
    for path in unused:
        unlink(path)
    fsync_dir(directory)
    return len(unused)
