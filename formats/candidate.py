"""What a file was found to contain: candidates for a credential, and facts of the file. Nothing here is trusted.

A candidate names the slot it was found in (`where`); two different candidates in one slot, or an attachment
that differs from the visible code, are for the verifier to judge. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.page import Rect
from mingzheng.formats.sniff import FileKind

__all__ = ["Candidate", "Extracted", "FileFacts", "SealDetails", "SealFacts", "SealForm", "SealMark", "Source"]


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


class SealForm(StrEnum):
    """How a file is sealed."""

    PADES = "pades"  # ETSI EN 319 142-1, in a PDF
    SES = "ses"  # electronic seal of GB/T 38540, in an OFD
    SIGNED = "signed"  # digital signature of GB/T 35275 without a seal, in an OFD


@dataclass(frozen=True, slots=True, kw_only=True)
class SealMark:
    """Where a seal's picture stands: page from 1, millimetres from its top left corner."""

    page: int
    rect: Rect


@dataclass(frozen=True, slots=True, kw_only=True)
class SealDetails:
    """The seal inside an electronic-seal signature; its own signature by the maker holds unless a fault says not."""

    version: int  # 1, 4, 5
    seal_id: str
    name: str
    maker_certificate: bytes  # DER
    created: int  # unix seconds, the maker's word
    valid_from: int
    valid_until: int
    sha256: bytes  # of the seal's DER


@dataclass(frozen=True, slots=True, kw_only=True)
class SealFacts:
    """One seal as its file shows it, in the order of sealing. No trust is judged here.

    `faults` are stable codes in the order of the checks: `seal.…` the seal itself does not hold, `file.…` the file
    is not what it sealed. None: structure, signature value, digests and coverage hold.
    """

    form: SealForm
    place: str  # "Seal1" (field name), "Doc_0/Signs/Sign_0"
    certificate: bytes  # DER of the signer's; empty if it cannot be read
    chain: tuple[bytes, ...]  # other certificates that came along
    signed_at: int | None  # unix seconds: the time stamp's if `timestamped`, else the signer's word
    timestamped: bool
    details: SealDetails | None  # of SES only
    marks: tuple[SealMark, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """Facts of the file itself; `full_receipts` are attachments named `receipt`, unread.

    `faults` are (code, detail) pairs of what no seal covers or what must not be in a certificate, `file.…`.
    `scanned`: a document whose pages are nothing but pictures of pages, a print that was scanned.
    """

    kind: FileKind
    pages: int
    attachments: tuple[str, ...]
    full_receipts: tuple[bytes, ...]
    seals: tuple[SealFacts, ...]
    faults: tuple[tuple[str, str], ...] = ()
    scanned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The outcome of reading one file; `problems` are (code, detail) pairs a report should show."""

    kind: FileKind
    candidates: tuple[Candidate, ...]
    facts: FileFacts
    problems: tuple[tuple[str, str], ...]
