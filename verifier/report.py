"""A report: one verdict, every finding, the credential's fields, and what the answer rests on.

Source: docs/spec/verdicts.md, "Report"; JSON by `verify.schema.json`. The words for people are in
`reporttext`. Nothing here depends on the clock but the verdict itself, so that a second run with the same
data gives the same bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mingzheng.formats.candidate import SealFacts
from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Copy, Sex, Specialty
from mingzheng.formats.profile import Profile
from mingzheng.verifier.checks import Subject, freshness_of
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.findings import Code, Finding, Freshness, Grade
from mingzheng.verifier.pageoutcome import PageOutcome, Pictures
from mingzheng.verifier.times import format_time

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"

SCHEMA_VERSION: Final = 2
NO_PICTURES: Final = Pictures()
SEX_NAMES: Final = {Sex.MALE: ("男", "male"), Sex.FEMALE: ("女", "female")}
COPY_NAMES: Final = {Copy.APPROVAL: ("批准件", "approval copy"), Copy.USAGE: ("使用件", "usage copy")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer on one credential, or on a file that holds none."""

    file: str  # as the caller named it
    source: str  # "attachment", "qr", "text", or "" when nothing was found
    page: int | None
    verdict: Code
    grade: Grade
    findings: tuple[Finding, ...]  # what blocks first, then duties, then notes
    subject: Subject | None  # None: no field may be shown
    places: tuple[tuple[int, int], ...]  # (origin number, log index) proved
    outcome: PageOutcome | None  # None: no page that could be compared
    seals: tuple[SealFacts, ...]
    context: VerifyContext = field(repr=False)
    pictures: Pictures = field(default=NO_PICTURES, repr=False)

    @property
    def compared(self) -> bool:
        """Whether the page was compared and shows what was signed."""
        return self.outcome is not None and self.outcome.compared and not self.outcome.mismatches

    @property
    def known_until(self) -> int | None:
        """Up to when revocations of this issuer are known, unix seconds."""
        index = None if self.subject is None else self.context.statuses.get(self.subject.key.issuer)
        return None if index is None else index.body.this_update

    @property
    def freshness(self) -> Freshness:
        """The age of that data under the policy."""
        return Freshness.NONE if self.subject is None else freshness_of(self.context, self.subject.key.issuer)


def report_to_json(report: Report) -> dict[str, Json]:
    """The report as a JSON object of schema version 2; keys in a fixed order."""
    ctx = report.context
    message = ctx.messages.of(report.verdict)
    return {
        "schema_version": SCHEMA_VERSION,
        "file": report.file,
        "source": report.source,
        "page": report.page,
        "verdict": report.verdict.value,
        "message_zh": message.zh,
        "message_en": message.en,
        "grade": report.grade.value,
        "policy": ctx.policy.name,
        "judged_on": format_day(ctx.day),
        "findings": [_finding(item, ctx) for item in report.findings],
        "page_compared": report.compared,
        "seals": [seal_to_json(seal) for seal in report.seals],
        "credential": None if report.subject is None else _credential(report, report.subject),
        "trust": _trust(report),
    }


def specialty_names(profile: Profile | None, item: Specialty) -> tuple[str | None, str | None]:
    """The Chinese and the English name of a specialty, where the profile knows it."""
    name = None if profile is None else profile.specialties.get(item.code)
    return (None, None) if name is None else (name.name_zh, name.name_en)


def _finding(item: Finding, ctx: VerifyContext) -> Json:
    message = ctx.messages.of(item.code)
    return {
        "code": item.code.value,
        "severity": item.severity.value,
        "message_zh": message.zh,
        "message_en": message.en,
        "rule": item.rule,
        "evidence": dict(item.evidence),
    }


def _credential(report: Report, subject: Subject) -> Json:
    claims, profile, issuer = subject.claims, subject.profile, subject.issuer
    sex_zh, sex_en = SEX_NAMES[claims.sex]
    copy_zh, copy_en = COPY_NAMES[claims.copy]
    return {
        "identity": subject.credential.identity.hex(),
        "name": claims.name,
        "sex": {"number": int(claims.sex), "zh": sex_zh, "en": sex_en},
        "birth": format_day(claims.birth),
        "kind": {
            "number": claims.kind,
            "id": None if profile is None else profile.id,
            "zh": None if profile is None else profile.name_zh,
            "en": None if profile is None else profile.name_en,
        },
        "jurisdiction": claims.jurisdiction,
        "registration_no": claims.registration_no,
        "specialties": [_specialty(profile, item) for item in claims.specialties],
        "certificate_issued_on": format_day(claims.certificate_issued_on),
        "employer": claims.employer,
        "registered_until": format_day(claims.registered_until),
        "copy": {"number": int(claims.copy), "zh": copy_zh, "en": copy_en},
        "purpose": claims.purpose,
        "copy_issued_on": format_day(claims.copy_issued_on),
        "usage_until": None if claims.usage_until is None else format_day(claims.usage_until),
        "issuer": {"number": issuer.number, "zh": issuer.name, "en": issuer.name_en},
        "issuing_body": _body(subject, claims.issuing_body),
        "sealing_body": _body(subject, claims.sealing_body),
        "serial": claims.serial,
        "template": claims.template,
        "image_digest": claims.image_digest.hex(),
        "kid": subject.credential.kid.hex(),
        "log": [_place(report, origin, index) for origin, index in dict.fromkeys(report.places)],
    }


def seal_to_json(seal: SealFacts) -> dict[str, Json]:
    """A seal as its file shows it; what it is worth is in the findings."""
    return {
        "place": seal.place,
        "form": seal.form.value,
        "certificate_sha256": hashlib.sha256(seal.certificate).hexdigest() if seal.certificate else None,
        "name": None if seal.details is None else seal.details.name,
        "signed_at": None if seal.signed_at is None else format_time(seal.signed_at),
        "timestamped": seal.timestamped,
        "faults": list(seal.faults),
    }


def _specialty(profile: Profile | None, item: Specialty) -> Json:
    zh, en = specialty_names(profile, item)
    days: dict[str, Json] = {"first_day": format_day(item.first_day), "last_day": format_day(item.last_day)}
    return {"number": item.code, "zh": zh, "en": en, **days}


def _body(subject: Subject, number: int) -> Json:
    return {"number": number, "name": subject.issuer.bodies.get(number)}


def _place(report: Report, origin: int, index: int) -> Json:
    return {"origin": report.context.trust.origins[origin].name, "index": index}


def _trust(report: Report) -> Json:
    ctx, known = report.context, report.known_until
    return {
        "revocations_known_until": None if known is None else format_time(known),
        "freshness": report.freshness.value,
        "fingerprint": ctx.fingerprint,
        "generation": ctx.trust.generation,
        "made_at": format_time(ctx.trust.made_at),
        "signed": ctx.signed,
    }
