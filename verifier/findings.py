"""The closed set of verdicts and findings, and the fixed order of verdicts.

Source: docs/spec/verdicts.md. A *verdict* is the one answer of a report; a
*finding* is one observation with its rule and evidence. Codes are stable: one
spelling each, never reused. What a finding weighs is data (`policy`), what it
says to a reader is data (`messages`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Code(StrEnum):
    """Every verdict and finding; the value is the spelling in reports."""

    # verdicts, in the order of docs/spec/verdicts.md
    UNREADABLE = "UNREADABLE"
    NOT_OUR_FORMAT = "NOT_OUR_FORMAT"
    RESOURCE_LIMIT = "RESOURCE_LIMIT"
    AMBIGUOUS = "AMBIGUOUS"
    FORGED = "FORGED"
    KEY_OUT_OF_SCOPE = "KEY_OUT_OF_SCOPE"
    KEY_COMPROMISED = "KEY_COMPROMISED"
    UNKNOWN_ISSUER = "UNKNOWN_ISSUER"
    RECEIPT_INVALID = "RECEIPT_INVALID"
    SEAL_INVALID = "SEAL_INVALID"
    SEAL_MISSING = "SEAL_MISSING"
    SEAL_WRONG_BODY = "SEAL_WRONG_BODY"
    FILE_CHANGED = "FILE_CHANGED"
    PAGE_MISMATCH = "PAGE_MISMATCH"
    REVOKED = "REVOKED"
    VOID = "VOID"
    NOT_LOGGED = "NOT_LOGGED"
    SUSPENDED = "SUSPENDED"
    SUPERSEDED = "SUPERSEDED"
    FORM_RETIRED = "FORM_RETIRED"
    REGISTRATION_EXPIRED = "REGISTRATION_EXPIRED"
    SPECIALTY_EXPIRED = "SPECIALTY_EXPIRED"
    USAGE_EXPIRED = "USAGE_EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    NOT_A_USAGE_COPY = "NOT_A_USAGE_COPY"
    PURPOSE_MISMATCH = "PURPOSE_MISMATCH"
    CLOCK_SUSPECT = "CLOCK_SUSPECT"
    STALE = "STALE"
    CANNOT_DECIDE = "CANNOT_DECIDE"
    VALID_COMPARE = "VALID_COMPARE"
    VALID = "VALID"

    # findings beside the verdict
    TRUST_UNSIGNED = "TRUST_UNSIGNED"
    TRUST_FINGERPRINT_DIFFERS = "TRUST_FINGERPRINT_DIFFERS"
    LOG_WORD_ONLY = "LOG_WORD_ONLY"
    LOG_UNWITNESSED = "LOG_UNWITNESSED"
    RECEIPT_KEY_COMPROMISED = "RECEIPT_KEY_COMPROMISED"
    PAGE_NOT_COMPARED = "PAGE_NOT_COMPARED"
    SEAL_ABSENT = "SEAL_ABSENT"
    SEAL_NOT_CHECKED = "SEAL_NOT_CHECKED"
    HANDWRITING_COMPARE = "HANDWRITING_COMPARE"
    FORM_OLD_EQUAL = "FORM_OLD_EQUAL"
    REGISTRATION_EXTENDED = "REGISTRATION_EXTENDED"
    SPECIALTY_LAPSED = "SPECIALTY_LAPSED"
    SPECIALTY_NOT_BEGUN = "SPECIALTY_NOT_BEGUN"
    WINDOW_TOO_LONG = "WINDOW_TOO_LONG"
    PROFILE_MISSING = "PROFILE_MISSING"
    VERSION_UNKNOWN = "VERSION_UNKNOWN"
    STATUS_MISSING = "STATUS_MISSING"
    STATUS_REFUSED = "STATUS_REFUSED"
    NOTICE_REFUSED = "NOTICE_REFUSED"
    SERIAL_NEWER_THAN_LIST = "SERIAL_NEWER_THAN_LIST"
    SERIAL_NOT_IN_LIST = "SERIAL_NOT_IN_LIST"
    REVOCATION_POSTDATES = "REVOCATION_POSTDATES"
    DATA_AGED = "DATA_AGED"
    FOREIGN_CODE = "FOREIGN_CODE"
    LOOKALIKE_URL = "LOOKALIKE_URL"
    CODE_NOT_VISIBLE = "CODE_NOT_VISIBLE"
    FILE_PROBLEM = "FILE_PROBLEM"
    CONFLICT_UNIT = "CONFLICT_UNIT"
    DUPLICATE = "DUPLICATE"
    FILE_KIND_MISMATCH = "FILE_KIND_MISMATCH"

    HANDWRITING_MISSING = "HANDWRITING_MISSING"

    ISSUER_SIGNATURE_NOT_CHECKED = "ISSUER_SIGNATURE_NOT_CHECKED"


class Severity(StrEnum):
    """What a finding weighs under a policy."""

    BLOCKS = "blocks"  # the certificate does not pass
    DUTY = "duty"  # a person must do something before relying on it
    NOTE = "note"  # good to know


class Grade(StrEnum):
    """How well inclusion in the log is shown (docs/spec/verdicts.md)."""

    NONE = "NONE"
    LOG_WORD = "LOG_WORD"
    WITNESSED = "WITNESSED"


class Freshness(StrEnum):
    """The age of the revocation data against the policy's numbers."""

    FRESH = "fresh"
    AGED = "aged"
    STALE = "stale"
    NONE = "none"  # no usable status list


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One observation; `severity` is already the one of the report's policy."""

    code: Code
    severity: Severity
    rule: str  # the specification or notice it rests on
    rule_en: str  # the same in English; titles of notices stay Chinese
    evidence: Mapping[str, str | int]  # small, no personal data


_C = Code
_BEFORE: tuple[Code, ...] = (
    *(_C.UNREADABLE, _C.NOT_OUR_FORMAT, _C.RESOURCE_LIMIT, _C.AMBIGUOUS),
    *(_C.FORGED, _C.KEY_OUT_OF_SCOPE, _C.KEY_COMPROMISED, _C.UNKNOWN_ISSUER, _C.RECEIPT_INVALID),
    *(_C.SEAL_INVALID, _C.SEAL_MISSING, _C.SEAL_WRONG_BODY, _C.FILE_CHANGED, _C.PAGE_MISMATCH),
    *(_C.REVOKED, _C.VOID),
    _C.NOT_LOGGED,
    *(_C.SUSPENDED, _C.SUPERSEDED),
    *(_C.FORM_RETIRED, _C.REGISTRATION_EXPIRED, _C.SPECIALTY_EXPIRED, _C.USAGE_EXPIRED),
)
_MIDDLE: tuple[Code, ...] = (_C.NOT_YET_VALID, _C.NOT_A_USAGE_COPY, _C.PURPOSE_MISMATCH)
_END: tuple[Code, ...] = (_C.STALE, _C.CANNOT_DECIDE, _C.VALID_COMPARE, _C.VALID)
# The clock stands early when today is the judging day (its error moves every
# window), late when --at gives the day (then it only hides the age of the data).
ORDER_BY_CLOCK: tuple[Code, ...] = (*_BEFORE, _C.CLOCK_SUSPECT, *_MIDDLE, *_END)
ORDER_AT_DATE: tuple[Code, ...] = (*_BEFORE, *_MIDDLE, _C.CLOCK_SUSPECT, *_END)
VERDICTS: frozenset[Code] = frozenset(ORDER_BY_CLOCK)
PASSING: frozenset[Code] = frozenset({_C.VALID, _C.VALID_COMPARE})
UNDECIDED: frozenset[Code] = frozenset({_C.CLOCK_SUSPECT, _C.STALE, _C.CANNOT_DECIDE})
DERIVED: frozenset[Code] = PASSING | {_C.CANNOT_DECIDE}  # never findings themselves
FINDINGS: frozenset[Code] = frozenset(Code) - DERIVED
RESERVED: frozenset[Code] = frozenset()  # documented, but no check in this version produces them
# Beside these a person must look, whatever was compared: they hold the verdict at VALID_COMPARE.
LOOK_YOURSELF: frozenset[Code] = frozenset(
    {
        *(_C.PAGE_NOT_COMPARED, _C.SEAL_NOT_CHECKED, _C.CODE_NOT_VISIBLE, _C.FOREIGN_CODE, _C.LOOKALIKE_URL),
        *(_C.FILE_PROBLEM, _C.FILE_KIND_MISMATCH, _C.HANDWRITING_MISSING, _C.CONFLICT_UNIT),
    }
)
_RANK: Mapping[bool, Mapping[Code, int]] = MappingProxyType(
    {
        False: MappingProxyType({code: rank for rank, code in enumerate(ORDER_BY_CLOCK)}),
        True: MappingProxyType({code: rank for rank, code in enumerate(ORDER_AT_DATE)}),
    }
)


def verdict_of(blocking: frozenset[Code], *, at_given: bool, compared: bool) -> Code:
    """The first verdict in the fixed order among the blocking codes.

    A blocking finding that is no verdict gives CANNOT_DECIDE. Nothing blocking gives VALID if the page was
    compared with the signed data and nothing asks a person to look, else VALID_COMPARE.
    """
    if not blocking:
        return Code.VALID if compared else Code.VALID_COMPARE
    rank = _RANK[at_given]
    verdicts = {code if code in VERDICTS else Code.CANNOT_DECIDE for code in blocking}
    return min(verdicts, key=rank.__getitem__)
