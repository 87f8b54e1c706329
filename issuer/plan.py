"""Plan of one copy: record + profile + issuer + day -> claims, with the trace of every rule that set a date.

Spec: docs/records.md, docs/profiles.md and docs/spec/notices.md (At the desk): a copy bears the ends where blanket
extensions have moved them by its day of issue, and its window is capped by those. The one home of the rules of issue:
the command's preview, the check of a whole file and the copy itself all pass here. Serial, salt and image digest come
from the ledger. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.claims import Claims, Copy, Specialty, check_claims
from mingzheng.formats.errors import ClaimsError
from mingzheng.formats.profile import (
    MissingFactError,
    NumberForm,
    Profile,
    ProfileSet,
    Requirement,
    TraceStep,
    Window,
    WindowClosedError,
    WindowFacts,
    usage_window,
)
from mingzheng.formats.rules_extension import BlanketExtension, ExtensionError
from mingzheng.issuer.errors import (
    BirthAfterIssueError,
    ClaimsRefusedError,
    CopyBeforeCertificateError,
    NotEnabledError,
    PlanError,
    PurposeError,
    RecordFaultyError,
    RegistrationEndedError,
    RequiredImageError,
    SpecialtiesEndedError,
    WindowRefusedError,
    WrongProfileError,
)
from mingzheng.issuer.faults import Fault, make_fault
from mingzheng.issuer.record import ApplicationRecord, ParsedRecords, nearest
from mingzheng.issuer.standing import Extended, as_extended
from mingzheng.keys.trust import IssuerRecord

__all__ = [
    "Allotment",
    "CopyOrder",
    "Plan",
    "check_records",
    "find_body",
    "plan_copy",
    "plan_window",
    "profile_of",
    "record_faults",
]

# Province abbreviation, grade, two digits of the province of first registration, two years, serial (docs/records.md).
_CONSTRUCTOR: Final = re.compile(r"[\u4e00-\u9fa5]([12])[0-9]{2}(?:[0-9]{4}|[0-9]{8})[0-9]{5}")
_GRADES: Final = {NumberForm.CONSTRUCTOR_1: "1", NumberForm.CONSTRUCTOR_2: "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOrder:
    """What is asked for: type of copy, purpose (None: the record's own), civil day of issue.

    `extensions`: those of the issuer that stand on the day; what the profile granted counts without them.
    """

    copy: Copy
    purpose: str | None
    day: int
    extensions: tuple[BlanketExtension, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """What the ledger gives to one copy: serial, 16 bytes of salt, and the digest over its stored images."""

    serial: int
    salt: bytes
    image_digest: bytes
    has_photo: bool
    has_signature_image: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Claims ready to sign; `window` None on an approval copy, which has none. `extended`: ends that were moved."""

    claims: Claims
    window: Window | None
    trace: tuple[TraceStep, ...]
    extended: tuple[Extended, ...]


def profile_of(record: ApplicationRecord, profiles: ProfileSet, *, day: int) -> Profile | None:
    """Return the profile that governs a record's copy issued on `day`."""
    code = profiles.code_of(record.kind)
    return None if code is None else profiles.select(code, record.jurisdiction, day)


def check_records(
    parsed: ParsedRecords, *, profiles: ProfileSet, issuer: IssuerRecord, order: CopyOrder
) -> ParsedRecords:
    """Check every record of a file against its profile, the issuer and the day; faults join those of parsing.

    A record left over can be planned with the same order; images are checked by their columns only.
    """
    records: list[ApplicationRecord] = []
    faults = list(parsed.faults)
    for record in parsed.records:
        found = _all_faults(record, profiles, issuer, order)
        faults += found
        if not found:
            records.append(record)
    return ParsedRecords(records=tuple(records), faults=tuple(sorted(faults, key=lambda fault: fault.row)))


def record_faults(record: ApplicationRecord, profile: Profile, issuer: IssuerRecord) -> tuple[Fault, ...]:
    """Return what a record gets wrong against its profile and issuer, whatever the day."""
    return (
        *_number_faults(record, profile),
        *_specialty_faults(record, profile),
        *_employer_faults(record, profile),
        *_body_faults(record, issuer),
    )


def plan_window(record: ApplicationRecord, profile: Profile, *, order: CopyOrder) -> Window | None:
    """Apply the rules of the day; None for an approval copy. The window may itself have no end (no rule for one).

    Ends count where extensions have moved them.

    Raises WrongProfileError, NotEnabledError, RegistrationEndedError, SpecialtiesEndedError,
    CopyBeforeCertificateError, BirthAfterIssueError, PurposeError, WindowRefusedError, or RecordFaultyError (a
    specialty is missing).
    """
    if profile.id != record.kind or profile.jurisdiction not in (0, record.jurisdiction):
        raise WrongProfileError(profile.id)
    if not profile.effective_on(order.day):
        raise WrongProfileError(profile.id)
    if profile.enabled_from is not None and not profile.enabled_on(order.day):
        raise NotEnabledError(profile.id, profile.enabled_from)
    if record.birth >= record.certificate_issued_on:
        raise BirthAfterIssueError
    if order.day < record.certificate_issued_on:
        raise CopyBeforeCertificateError(record.certificate_issued_on)
    record, _ = as_extended(record, profile, order.extensions, on=order.day)
    if order.day > record.registered_until:
        raise RegistrationEndedError(record.registered_until)
    in_force = any(item.first_day <= order.day <= item.last_day for item in record.specialties)
    if record.specialties and not in_force:
        raise SpecialtiesEndedError(order.day)
    if order.copy is Copy.APPROVAL:
        if order.purpose is not None:
            raise PurposeError
        return None
    facts = WindowFacts(
        download=order.day,
        specialty_untils=tuple(item.last_day for item in record.specialties),
        registered_until=record.registered_until,
        birth=record.birth,
    )
    try:
        return usage_window(profile, facts)
    except WindowClosedError as error:
        raise WindowRefusedError(error.window.binding, error.last_day) from error
    except MissingFactError as error:  # birth and registration end are always there
        raise RecordFaultyError(record.row, ("record.specialty_missing",)) from error


def plan_copy(
    record: ApplicationRecord,
    profile: Profile,
    *,
    issuer: IssuerRecord,
    order: CopyOrder,
    allotment: Allotment,
) -> Plan:
    """Plan one copy. The record's purpose is used where the order has none; an approval copy bears none.

    Raises RecordFaultyError, RequiredImageError, what `plan_window` raises, or ClaimsRefusedError.
    """
    if faults := record_faults(record, profile, issuer):
        raise RecordFaultyError(record.row, tuple(fault.code for fault in faults))
    window = plan_window(record, profile, order=order)
    for what, present, rule in (
        ("photo", allotment.has_photo, profile.photo),
        ("signature", allotment.has_signature_image, profile.signature_image),
    ):
        if rule.value is Requirement.REQUIRED and not present:
            raise RequiredImageError(what)
    usage = order.copy is Copy.USAGE
    record, extended = as_extended(record, profile, order.extensions, on=order.day)
    claims = Claims(
        name=record.name,
        sex=record.sex,
        birth=record.birth,
        kind=profile.code,
        jurisdiction=record.jurisdiction,
        registration_no=record.registration_no,
        specialties=_specialties(record, profile),
        certificate_issued_on=record.certificate_issued_on,
        employer=record.employer,
        registered_until=record.registered_until,
        copy=order.copy,
        purpose=(order.purpose or record.purpose) if usage else None,
        issuing_body=_body(record.issuing_body, issuer),
        sealing_body=_body(record.sealing_body, issuer),
        serial=allotment.serial,
        salt=allotment.salt,
        image_digest=allotment.image_digest,
        template=profile.template,
        copy_issued_on=order.day,
        usage_until=window.usage_until if window else None,
    )
    try:
        check_claims(claims)
    except ClaimsError as error:
        raise ClaimsRefusedError(error.field, error.detail) from error
    return Plan(claims=claims, window=window, trace=window.trace if window else (), extended=extended)


def find_body(text: str, issuer: IssuerRecord) -> int | None:
    """Return the number of a body written as its number or its name."""
    for number, name in issuer.bodies.items():
        if text in (name, str(number)):
            return number
    return None


def _all_faults(record: ApplicationRecord, profiles: ProfileSet, issuer: IssuerRecord, order: CopyOrder) -> list[Fault]:
    if profiles.code_of(record.kind) is None:
        known = nearest(record.kind, profiles.ids())
        return [make_fault(record.row, "kind", "record.bad_kind", nearest=known)]
    profile = profile_of(record, profiles, day=order.day)
    if profile is None:
        return [make_fault(record.row, "kind", "record.no_profile")]
    found = list(record_faults(record, profile, issuer))
    if profile.photo.value is Requirement.REQUIRED and record.photo is None:
        found.append(make_fault(record.row, "photo", "record.photo_missing"))
    if profile.signature_image.value is Requirement.REQUIRED and record.signature_image is None:
        found.append(make_fault(record.row, "signature_image", "record.signature_image_missing"))
    try:
        plan_window(record, profile, order=order)
    except RecordFaultyError:
        pass  # already among those of record_faults
    except PlanError as error:
        found.append(_of_error(record.row, error, error.zh, error.en))
    except ExtensionError as error:  # more of them than are read
        found.append(_of_error(record.row, error, f"统一延期不能适用：{error.detail}", error.detail))
    return found


def _of_error(row: int, error: PlanError | ExtensionError, zh: str, en: str) -> Fault:
    return Fault(
        row=row,
        field="",
        code=error.code,
        message_zh=zh,
        message_en=en,
        remedy_zh="更正该行的数据，或去掉该行",
        remedy_en="correct the data of this row, or take the row out",
    )


def _number_faults(record: ApplicationRecord, profile: Profile) -> Iterable[Fault]:
    form = profile.registration_no.value
    if form is NumberForm.FREE:
        return
    match = _CONSTRUCTOR.fullmatch(record.registration_no)
    if match is None or match[1] != _GRADES[form]:
        yield make_fault(record.row, "registration_no", "record.registration_no_form")


def _specialty_faults(record: ApplicationRecord, profile: Profile) -> Iterable[Fault]:
    need = profile.specialty.value
    if need is Requirement.NONE:
        if record.specialties:
            yield make_fault(record.row, "specialties", "record.specialty_unexpected")
        return
    if need is Requirement.REQUIRED and not record.specialties:
        yield make_fault(record.row, "specialties", "record.specialty_missing")
    numbers: list[int] = []
    for place, item in enumerate(record.specialties, start=1):
        number = _specialty_number(item.name, profile)
        if number is None:
            known = nearest(item.name, [entry.name_zh for entry in profile.specialties.values()])
            yield make_fault(record.row, "specialties", "record.specialty_unknown", place=place, nearest=known)
        elif number in numbers:
            yield make_fault(record.row, "specialties", "record.specialty_twice", place=place)
        else:
            numbers.append(number)


def _employer_faults(record: ApplicationRecord, profile: Profile) -> Iterable[Fault]:
    need = profile.employer.value
    if need is Requirement.REQUIRED and record.employer is None:
        yield make_fault(record.row, "employer", "record.employer_missing")
    if need is Requirement.NONE and record.employer is not None:
        yield make_fault(record.row, "employer", "record.employer_unexpected")


def _body_faults(record: ApplicationRecord, issuer: IssuerRecord) -> Iterable[Fault]:
    for column, text in (("issuing_body", record.issuing_body), ("sealing_body", record.sealing_body)):
        if find_body(text, issuer) is None:
            known = nearest(text, list(issuer.bodies.values()) or [issuer.name])
            yield make_fault(record.row, column, "record.unknown_body", nearest=known)


def _specialty_number(text: str, profile: Profile) -> int | None:
    """Return the number of a specialty written as its name, its official code or its number."""
    for number, entry in profile.specialties.items():
        if text in (entry.name_zh, entry.official_code, str(number)):
            return number
    return None


def _specialties(record: ApplicationRecord, profile: Profile) -> tuple[Specialty, ...]:
    """The specialties of a faultless record in rising order of their numbers."""
    numbered = ((_specialty_number(item.name, profile) or 0, item) for item in record.specialties)
    return tuple(
        Specialty(code=number, first_day=item.first_day, last_day=item.last_day)
        for number, item in sorted(numbered, key=lambda pair: pair[0])
    )


def _body(text: str, issuer: IssuerRecord) -> int:
    """The number of a body of a faultless record."""
    return find_body(text, issuer) or 0
