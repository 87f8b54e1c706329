"""The types of the rules about registrations, forms, copies and prints, one per verb of a profile.

Spec: docs/profiles.md. A rule or a `Citation` stands where a profile states either the rule or why there is none.
Days are civil days at UTC+08:00 as integers. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.formats.rules_source import Citation, Cited


class Unit(StrEnum):
    """What is renewed, and lapses, by itself."""

    SPECIALTY = "specialty"
    REGISTRATION = "registration"


class Unrenewed(StrEnum):
    """What becomes of a unit that ended without an application."""

    LAPSES = "lapses"
    CANCELLED = "cancelled"


class DataChanged(StrEnum):
    """What changed data call for."""

    DOWNLOAD_AGAIN = "download_again"
    SILENT = "silent"


class FormName(StrEnum):
    """The forms a certificate may have."""

    PAPER = "paper"
    ELECTRONIC_OLD = "electronic-old"
    ELECTRONIC = "electronic"


class Standing(StrEnum):
    """What a form is worth in a period."""

    EQUAL = "equal"
    CONTINUES = "continues"
    VOID = "void"


class Precedence(StrEnum):
    """Which form holds where two of them differ."""

    ELECTRONIC = "electronic"
    SILENT = "silent"


class WindowMove(StrEnum):
    """Whether a blanket extension moves the usage window of copies already out."""

    UNMOVED = "unmoved"
    MOVED = "moved"


class OldCopies(StrEnum):
    """What a blanket extension does for copies that have run out."""

    APPLY_AGAIN = "apply_again"
    REVIVE = "revive"


class Severity(StrEnum):
    """What a finding means under a policy."""

    BLOCKS = "blocks"
    DUTY = "duty"
    NOTE = "note"


class PolicyName(StrEnum):
    """Who looks at a certificate, and how strictly."""

    SITE = "site"
    BID = "bid"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """What the notices leave open, with one known value each."""

    borders: Cited[str]  # "inclusive"
    last_day: Cited[str]  # "inclusive"
    birthday: Cited[str]  # "inclusive"
    leap_day: Cited[str]  # "feb-28"
    exact_term: Cited[str]  # "full_term"


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """When a renewal may be applied for and what it gives; numbers of days count back from the end."""

    unit: Cited[Unit]
    opens: Cited[int]
    closes: Cited[int]
    unrenewed: Cited[Unrenewed]
    transition: Cited[int] | None  # until this day what has ended may still be renewed
    starts: Cited[str]  # "approval_day"
    term: Cited[int]  # years
    term_end: Cited[str]  # "same_day"
    age_cut: Cited[int] | Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeLimit:
    """Past this birthday nothing may be applied for."""

    years: Cited[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How many days must be left to the end for a change to be applied for."""

    days_left: Cited[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reissue:
    """The exchange of a certificate for a new one of the same validity."""

    only_while: Cited[str]  # "valid_and_idle"
    validity: Cited[str]  # "kept"
    issue_date: Cited[str]  # "reissue_day"
    old_copies: Cited[str]  # "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What a form is worth from `first_day` (None: since ever) to `last_day` (None: no end set)."""

    standing: Standing
    first_day: int | None
    last_day: int | None
    citation: Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form of certificate: when it was issued, and its periods, one after the other."""

    name: FormName
    name_zh: str
    name_en: str
    issued_from: int | None
    issued_until: int | None
    citation: Citation
    periods: tuple[Period, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionRule:
    """What a blanket extension does, and those that notices have granted."""

    moves: Cited[str]  # "registration_ends"
    usage_window: Cited[WindowMove]
    old_copies: Cited[OldCopies]
    granted: tuple[BlanketExtension, ...]
    granted_from: tuple[Cited[int], ...]  # the day each takes effect, with a source of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class HandwritingSeverity:
    """What follows from missing or different ink, by policy."""

    missing: Mapping[PolicyName, Severity]
    differs: Mapping[PolicyName, Severity]
    citation: Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What a locked holder cannot do."""

    stops: Cited[str]  # "new_copies"
    shown: Cited[str]  # "not_public"
    copies_out: Cited[str]  # "untouched"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTables:
    """All of a profile's rules but the usage window, the seals and what the page must bear."""

    conventions: Conventions
    renewal: Renewal | Citation
    age_limit: AgeLimit | Citation
    change: Change | Citation
    reissue: Reissue | Citation
    data_changed: Cited[DataChanged]
    forms: tuple[Form, ...]
    precedence: Cited[Precedence]
    extension: ExtensionRule | Citation
    handwriting_severity: HandwritingSeverity
    lock: Lock | Citation
