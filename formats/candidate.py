"""What a file was found to contain: candidates for a credential, and facts of the file. Nothing here is trusted.

A candidate names the slot it was found in (`where`); two different candidates in one slot, or an attachment
that differs from the visible code, are for the verifier to judge. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.sniff import FileKind

__all__ = ["Candidate", "Extracted", "FileFacts", "Source"]


class Source(StrEnum):
    """How a candidate came out of a file."""

    QR = "qr"
    ATTACHMENT = "attachment"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One thing that may be a credential: a text (QR, text file) or bytes (attachment, QR that is no UTF-8).

    `where` is the slot: "text", "attachment:credential", "page:1:qr" (the place where our pages carry the code;
    several codes in it share the slot), "page:1:code:2" (elsewhere on a page), "image:code:1".
    """

    source: Source
    page: int | None  # from 1
    text: str | None
    data: bytes | None
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """Facts of the file itself; `full_receipts` are attachments named `receipt`, unread."""

    kind: FileKind
    pages: int
    attachments: tuple[str, ...]
    full_receipts: tuple[bytes, ...]
    seals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The outcome of reading one file; `problems` are (code, detail) pairs a report should show."""

    kind: FileKind
    candidates: tuple[Candidate, ...]
    facts: FileFacts
    problems: tuple[tuple[str, str], ...]
