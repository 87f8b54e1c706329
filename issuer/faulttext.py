"""The words of a fault: one sentence and one remedy, each in Chinese and English. Pure."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["FaultText", "Severity"]


class Severity(StrEnum):
    """Whether a row can be issued."""

    FAULT = "fault"  # not before it is mended
    NOTE = "note"  # yes; said so that a person can look


@dataclass(frozen=True, slots=True)
class FaultText:
    """Sentences of one code; braces take the arguments of `make_fault`."""

    message_zh: str
    message_en: str
    remedy_zh: str
    remedy_en: str
    severity: Severity = Severity.FAULT
