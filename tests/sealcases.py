"""Seals and pages as a verifier meets them, judged against a seal table of the test's own; no file is read."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from sealpress import private, root
from simulator import DAY, World, noon

from mingzheng.formats.candidate import (
    Candidate,
    Extracted,
    FileFacts,
    SealDetails,
    SealFacts,
    SealForm,
    Source,
)
from mingzheng.formats.page import Rect
from mingzheng.formats.sniff import FileKind
from mingzheng.keys.certmake import CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealtable import MakerRecord, SealRecord, SealRule, SealTable, format_seal_table
from mingzheng.keys.x509 import parse_certificate
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.findings import Code
from mingzheng.verifier.pageoutcome import Mismatch, PageJudge, PageOutcome
from mingzheng.verifier.pipeline import verify_extracted
from mingzheng.verifier.report import Report

BEGIN, END = noon(DAY - 100), noon(DAY + 1_000)  # of the certificates
LAST = DAY + 400
COMMITTEE, CHAIR = 1, 2  # bodies


@cache
def certificate(number: int) -> bytes:
    """DER of the seal certificate of that number, under the one root."""
    spec = CertSpec(
        subject_cn=f"seal {number}",
        subject_o="某部",
        spki=private(f"case {number}").spki,
        serial=100 + number,
        not_before=BEGIN,
        not_after=END,
    )
    issuer = CertIssuer(key=private("root"), certificate=parse_certificate(root()))
    return make_certificate(spec, issuer)


class Equal:
    """A judge for whom every page shows what was signed."""

    def compare(self, subject: object, tokens: Sequence[bytes]) -> PageOutcome:
        assert subject is not None
        assert tokens
        return PageOutcome(compared=True, reason="", mismatches=())


class Different:
    """A judge for whom the name on the page is another."""

    def compare(self, subject: object, tokens: Sequence[bytes]) -> PageOutcome:
        place = Rect(x_mm=24, y_mm=76, width_mm=60, height_mm=7)
        mismatch = Mismatch(name="name", page=1, rect=place, reason="page.differs")
        return PageOutcome(compared=True, reason="", mismatches=(mismatch,))


class Inked:
    """A judge for whom all is equal but that something stands in the box for the signature."""

    def compare(self, subject: object, tokens: Sequence[bytes]) -> PageOutcome:
        return PageOutcome(compared=True, reason="", mismatches=(), filled=("ink.signature",))


def record(key: int, body: int, *, issuer: int = 1, form: str = "pdf", **changes: object) -> SealRecord:
    values: dict[str, object] = {
        "issuer": issuer,
        "body": body,
        "form": form,
        "certificate": parse_certificate(certificate(key)),
        "valid_from": DAY - 10,
        "valid_until": LAST,
        "revoked_on": None,
    }
    return SealRecord(**{**values, **changes})  # type: ignore[arg-type]


def rule(*bodies: int, **changes: object) -> SealRule:
    values: dict[str, object] = {
        "issuer": 1,
        "kinds": frozenset({1}),
        "jurisdictions": frozenset({0}),
        "valid_from": DAY - 10,
        "valid_until": LAST,
        "bodies": bodies,
    }
    return SealRule(**{**values, **changes})  # type: ignore[arg-type]


def table(*parts: SealRecord | SealRule | MakerRecord) -> SealTable:
    return SealTable(
        cas=(parse_certificate(root()),),
        makers=tuple(part for part in parts if isinstance(part, MakerRecord)),
        seals=tuple(part for part in parts if isinstance(part, SealRecord)),
        rules=tuple(part for part in parts if isinstance(part, SealRule)),
    )


def seal(key: int, *faults: str, **changes: object) -> SealFacts:
    facts = SealFacts(
        form=SealForm.PADES,
        place=f"Seal{key}",
        certificate=certificate(key),
        chain=(),
        signed_at=noon(DAY),
        timestamped=False,
        details=None,
        marks=(),
        faults=faults,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


BOTH = table(record(1, COMMITTEE), record(2, CHAIR), rule(COMMITTEE, CHAIR))


def judged(
    seals: Sequence[SealFacts],
    seal_table: SealTable | None = BOTH,
    *,
    kind: FileKind = FileKind.PDF,
    faults: tuple[tuple[str, str], ...] = (),
    scanned: bool = False,
    pages: PageJudge | None = None,
) -> Report:
    world = World()
    if seal_table is not None:
        world.blobs["seals.json"] = format_seal_table(table())
    issued = world.issue_one()
    context: VerifyContext = world.context()
    if seal_table is not None:
        context = replace(context, seals=seal_table)
    facts = FileFacts(
        kind=kind,
        pages=1,
        attachments=(),
        full_receipts=(),
        seals=tuple(seals),
        faults=faults,
        scanned=scanned,
    )
    place = Candidate(source=Source.QR, page=1, text=issued.text, data=None, where="page:1:qr")
    extracted = Extracted(kind=kind, candidates=(place,), facts=facts, problems=())
    (report,) = verify_extracted(extracted, context, f"cert.{kind}", pages=pages or Equal())
    return report


def judged_at(seals: Sequence[SealFacts], *, late: int, at: int | None = None, issued_on: int = DAY) -> Report:
    """A PDF under a clock that is so many seconds behind the trust data, judged on the day `at`."""
    world = World()
    world.blobs["seals.json"] = format_seal_table(table())
    issued = world.issue_one(copy_issued_on=issued_on)
    context = replace(world.context(now=world.now - late, at=at), seals=BOTH)
    facts = FileFacts(
        kind=FileKind.PDF, pages=1, attachments=(), full_receipts=(), seals=tuple(seals), faults=(), scanned=False
    )
    place = Candidate(source=Source.QR, page=1, text=issued.text, data=None, where="page:1:qr")
    extracted = Extracted(kind=FileKind.PDF, candidates=(place,), facts=facts, problems=())
    (report,) = verify_extracted(extracted, context, "cert.pdf", pages=Equal())
    return report


def reasons(report: Report, code: Code) -> list[str]:
    return [str(item.evidence.get("reason", "")) for item in report.findings if item.code is code]


def ses(key: int, **changes: object) -> SealFacts:
    details = SealDetails(
        version=4,
        seal_id="3100000001",
        name="某委员会",
        maker_certificate=certificate(9),
        created=noon(DAY - 10),
        valid_from=noon(DAY - 10),
        valid_until=noon(LAST),
        sha256=bytes(32),
    )
    return seal(key, form=SealForm.SES, details=replace(details, **changes))  # type: ignore[arg-type]
