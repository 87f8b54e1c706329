"""What is about to end: usage windows of copies in force, registrations and their specialties.

Source: docs/workspace.md (Expiring). Ends stand where the issuer's notices and the profile's extensions have moved
them. Of a copy the rule that set its window is named, of an end the rule of its renewal, and what can be done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Final

from mingzheng.formats.claims import Claims, parse_claims
from mingzheng.formats.profile import Profile, ProfileError, ProfileSet, WindowFacts, usage_window
from mingzheng.formats.rules_copy import copy_end, copy_moved
from mingzheng.formats.rules_extension import (
    BlanketExtension,
    ExtensionAnswer,
)
from mingzheng.formats.rules_renewal import Application, ApplicationFacts, renewal_application
from mingzheng.formats.rules_source import Citation
from mingzheng.issuer.kept import parse_kept
from mingzheng.issuer.noticework import extensions_in_force
from mingzheng.issuer.plan import profile_of
from mingzheng.issuer.record import ApplicationRecord
from mingzheng.issuer.rows import Registration
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.standing import Scope, end_on
from mingzheng.issuer.workspace import Workspace

__all__ = ["THRESHOLDS", "Ending", "EndingOf", "ends_of_record", "expiring", "window_movers", "window_rule"]

THRESHOLDS: Final = (1, 7, 30)


class EndingOf(StrEnum):
    """What ends."""

    WINDOW = "window"
    REGISTRATION = "registration"
    SPECIALTY = "specialty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One end. `stated`: where the record or the copy has it; `end`: where it stands under the notices."""

    registration: Registration
    name: str
    what: EndingOf
    specialty: str | None
    serial: int | None
    stated: int
    end: int
    days_left: int
    rule: tuple[Citation, ...]  # what sets or ends it
    moved_by: tuple[Citation, ...]
    renewal: Application | None  # of registrations and specialties; None without a profile

    @property
    def threshold(self) -> int | None:
        """The nearest warning that has come: 1, 7 or 30 days."""
        return next((days for days in THRESHOLDS if self.days_left <= days), None)


def expiring(workspace: Workspace, *, within: int, kind: int | None, today: int) -> tuple[Ending, ...]:
    """What ends in the next `within` days, today included; the nearest first."""
    found: list[Ending] = []
    profiles = workspace.profiles()
    moving = {spec.number: extensions_in_force(workspace, spec.number, today) for spec in workspace.config.issuers}
    for registration in workspace.ledger.open_registrations():
        if kind not in (None, registration.kind):
            continue
        current = workspace.ledger.current_record(registration)
        if current is None or not current[1]:
            continue
        record, extensions = parse_kept(current[1]).record, moving.get(registration.issuer, ())
        ends = ends_of_record(registration, record, profiles, extensions, today=today)
        windows = _windows(workspace, registration, record.name, extensions, today)
        found += (item for item in chain(ends, windows) if 0 <= item.days_left <= within)
    return tuple(
        sorted(found, key=lambda item: (item.end, item.registration.registration_no, item.what, item.serial or 0))
    )


def ends_of_record(
    registration: Registration,
    record: ApplicationRecord,
    profiles: ProfileSet,
    extensions: tuple[BlanketExtension, ...],
    *,
    today: int,
) -> Iterator[Ending]:
    """The end of a registration and of each of its specialties, however far away."""
    profile = profile_of(record, profiles, day=today)
    scope = Scope(kind=registration.kind, jurisdiction=record.jurisdiction)
    ends: list[tuple[EndingOf, str | None, int]] = [(EndingOf.REGISTRATION, None, record.registered_until)]
    ends += [(EndingOf.SPECIALTY, item.name, item.last_day) for item in record.specialties]
    for what, specialty, stated in ends:
        moved = end_on(extensions, scope, profile, end=stated, on=today)
        renewal = None
        if profile is not None:
            facts = ApplicationFacts(end=moved.end, on=today, birth=record.birth)
            renewal = renewal_application(profile, facts)
        applied = [step.citation for step in moved.trace if step.word == "APPLIED"]
        yield Ending(
            registration=registration,
            name=record.name,
            what=what,
            specialty=specialty,
            serial=None,
            stated=stated,
            end=moved.end,
            days_left=moved.end - today,
            rule=() if renewal is None else tuple(step.citation for step in renewal.trace if step.binding),
            moved_by=tuple(applied) if moved.answer is ExtensionAnswer.MOVED else (),
            renewal=renewal,
        )


def window_rule(claims: Claims, profile: Profile | None) -> tuple[Citation, ...]:
    """The clauses that set a usage window; none if its profile is not known any more."""
    if profile is None:
        return ()
    facts = WindowFacts(
        download=claims.copy_issued_on,
        specialty_untils=tuple(item.last_day for item in claims.specialties),
        registered_until=claims.registered_until,
        birth=claims.birth,
    )
    try:
        window = usage_window(profile, facts)
    except ProfileError:
        return ()
    return tuple(step.citation for step in window.trace if step.binding)


def window_movers(extensions: Sequence[BlanketExtension], claims: Claims, *, on: int) -> tuple[Citation, ...]:
    """The clauses that move a usage window, on the way to where it stands that day."""
    if claims.usage_until is None:
        return ()
    return tuple(rule.citation for rule in copy_moved(extensions, claims, on=on).applied)


def _windows(
    workspace: Workspace,
    registration: Registration,
    name: str,
    extensions: tuple[BlanketExtension, ...],
    today: int,
) -> Iterator[Ending]:
    for row in workspace.ledger.copies_of(registration):
        claims = parse_claims(row.claims)
        if row.status not in (CopyStatus.LIVE, CopyStatus.SUSPENDED) or claims.usage_until is None:
            continue
        profile = workspace.profiles().select(claims.kind, claims.jurisdiction, claims.copy_issued_on)
        end = copy_end(extensions, claims, profile, on=today)
        yield Ending(
            registration=registration,
            name=name,
            what=EndingOf.WINDOW,
            specialty=None,
            serial=row.serial,
            stated=claims.usage_until,
            end=end,
            days_left=end - today,
            rule=window_rule(claims, profile),
            moved_by=window_movers(extensions, claims, on=today) if end != claims.usage_until else (),
            renewal=None,
        )
