"""The types of a profile: what holds for a certificate kind in a jurisdiction from a day on.

Spec: docs/profiles.md. Code knows only the closed sets below; every value carries a citation: a clause of a
notice, or the reason why it is taken by analogy. Days are civil days at UTC+08:00 as integers. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.rules_model import RuleTables
from mingzheng.formats.rules_source import Citation, Cited, Notice

__all__ = [
    "Cap",
    "CapVerb",
    "Citation",
    "Cited",
    "FieldName",
    "Handwriting",
    "Notice",
    "NumberForm",
    "PageField",
    "Profile",
    "Requirement",
    "SealKind",
    "SealSlot",
    "SpecialtyName",
    "SpecialtyPick",
    "UsageWindow",
]


class CapVerb(StrEnum):
    """What may cut a usage window short."""

    SPECIALTY_UNTIL = "specialty_until"
    REGISTERED_UNTIL = "registered_until"
    HOLDER_TURNS = "holder_turns"  # written `holder_turns:65`


class SpecialtyPick(StrEnum):
    """Which of several specialty ends caps the window."""

    LATEST = "latest"
    EARLIEST = "earliest"


class Handwriting(StrEnum):
    """What a notice says of the ink signature on a print."""

    INVALID_UNLESS_MATCHING = "invalid_unless_matching"
    MUST_MATCH = "must_match"
    MUST_SIGN = "must_sign"
    SILENT = "silent"


class Requirement(StrEnum):
    """Whether a kind has a thing at all."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


class NumberForm(StrEnum):
    """Forms of a registration number; patterns are code, never data (a pattern can run for ever)."""

    CONSTRUCTOR_1 = "constructor:1"
    CONSTRUCTOR_2 = "constructor:2"
    FREE = "free"


class SealKind(StrEnum):
    """A body's seal or a named person's."""

    BODY = "body"
    PERSON = "person"


class FieldName(StrEnum):
    """What a page may show; every one comes from the claims or is a place for ink."""

    USAGE_WINDOW = "usage_window"
    NAME = "name"
    SEX = "sex"
    BIRTH = "birth"
    REGISTRATION_NO = "registration_no"
    EMPLOYER = "employer"
    SPECIALTIES = "specialties"
    REGISTERED_UNTIL = "registered_until"
    PURPOSE = "purpose"
    ISSUING_BODY = "issuing_body"
    SIGNATURE = "signature"
    SIGNATURE_DATE = "signature_date"
    ISSUED_ON = "issued_on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """One thing that may end the window earlier; `years` only with HOLDER_TURNS."""

    verb: CapVerb
    years: int | None
    citation: Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageWindow:
    """Last usable day = day of issue + days, both inside; the earliest of this and the caps wins."""

    starts: Cited[str]  # "issue_day"
    days: Cited[int]
    last_day: Cited[str]  # "inclusive"
    leap_birthday: Cited[str] | None  # "feb-28"; only with HOLDER_TURNS
    several_specialties: Cited[SpecialtyPick] | None  # only with SPECIALTY_UNTIL
    caps: tuple[Cap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialtyName:
    """A specialty: its number in the credential, its official code where one is known, its names."""

    number: int
    official_code: str | None
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSlot:
    """A seal that a copy issued from `first_day` (None: since ever) to `last_day` (None: no end set) must carry.

    `on_behalf_of`: the issuing body, where the notice names another one as the body that seals.
    """

    kind: SealKind
    name: str
    on_behalf_of: str | None
    first_day: int | None
    last_day: int | None
    citation: Citation

    def in_force(self, day: int) -> bool:
        """Tell whether a copy issued on `day` needs this seal."""
        begun = self.first_day is None or self.first_day <= day
        return begun and (self.last_day is None or day <= self.last_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageField:
    """A labelled place on the page, in the order of the page."""

    name: FieldName
    label_zh: str
    label_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All that is data about one kind in one jurisdiction between two days (both inside)."""

    id: str
    code: int
    jurisdiction: int
    name_zh: str
    name_en: str
    title_zh: str
    title_en: str
    template: int
    effective_from: int
    effective_until: int | None
    effective: Citation
    notices: Mapping[str, Notice]
    specialty: Cited[Requirement]
    specialties: Mapping[int, SpecialtyName]
    specialty_codes: Citation | None
    employer: Cited[Requirement]
    registration_no: Cited[NumberForm]
    usage_window: UsageWindow | None
    no_usage_window: Citation | None
    photo: Cited[Requirement]
    signature_image: Cited[Requirement]
    handwriting: Cited[Handwriting]
    seals: tuple[SealSlot, ...]
    enabled_from: Cited[int | None] | None  # None: as the profile; a value None: announced, no day set
    rules: RuleTables
    fields: tuple[PageField, ...]
    fields_source: Citation

    def effective_on(self, day: int) -> bool:
        """Tell whether this profile governs copies issued on `day`."""
        return self.effective_from <= day and (self.effective_until is None or day <= self.effective_until)

    def seals_on(self, day: int) -> tuple[SealSlot, ...]:
        """Return the seals a copy issued on `day` must carry."""
        return tuple(seal for seal in self.seals if seal.in_force(day))

    def enabled_on(self, day: int) -> bool:
        """Tell whether copies may be issued on `day` at all: the kind is open, not just announced."""
        opened = self.enabled_from
        return opened is None or (opened.value is not None and opened.value <= day)
