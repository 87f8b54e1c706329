"""What the pipeline makes of a page comparison, whoever made it: scans, pictures, several copies; no file is read."""

from collections.abc import Sequence

import pytest
from sealcases import Different, Equal
from simulator import PREFIX, World, flip

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.findings import Code, Severity
from mingzheng.verifier.pageoutcome import PageJudge, PageOutcome
from mingzheng.verifier.pipeline import verify_extracted
from mingzheng.verifier.report import Report, report_to_json


class Unsigned:
    """A judge for whom all is equal and the box for the signature is empty."""

    def compare(self, subject: object, tokens: Sequence[bytes]) -> PageOutcome:
        return PageOutcome(compared=True, reason="", mismatches=(), empty=("ink.signature", "ink.date"))


class Unlike:
    """A judge that says where a page differs and that it was not compared."""

    def compare(self, subject: object, tokens: Sequence[bytes]) -> PageOutcome:
        return PageOutcome(compared=False, reason="page.redrawn", mismatches=())


def seen(text: str, where: str = "page:1:qr") -> Candidate:
    return Candidate(source=Source.QR, page=1, text=text, data=None, where=where)


def rows(
    context: VerifyContext,
    pages: PageJudge,
    *candidates: Candidate,
    kind: FileKind = FileKind.PDF,
    scanned: bool = False,
) -> tuple[Report, ...]:
    facts = FileFacts(kind=kind, pages=1, attachments=(), full_receipts=(), seals=(), scanned=scanned)
    return verify_extracted(
        Extracted(kind=kind, candidates=candidates, facts=facts, problems=()), context, f"x.{kind}", pages=pages
    )


def evidence(report: Report, code: Code) -> list[dict[str, str | int]]:
    return [dict(item.evidence) for item in report.findings if item.code is code]


def test_a_scan_is_never_a_page_that_was_compared() -> None:
    world = World()
    (report,) = rows(world.context(), Equal(), seen(world.issue_one().text), scanned=True)
    assert report.verdict is Code.VALID_COMPARE
    assert not report.compared
    assert report_to_json(report)["page_compared"] is False
    assert evidence(report, Code.PAGE_NOT_COMPARED) == [{"reason": "page.scanned"}]


def test_a_scan_that_differs_says_where_to_look() -> None:
    world = World()
    (report,) = rows(world.context(), Different(), seen(world.issue_one().text), scanned=True)
    assert evidence(report, Code.PAGE_NOT_COMPARED) == [
        {"reason": "page.scanned"},
        {"reason": "page.look_here", "box": "name", "page": 1},
    ]
    assert evidence(report, Code.PAGE_MISMATCH) == []


@pytest.mark.parametrize(("policy", "verdict"), [("site", Code.VALID_COMPARE), ("bid", Code.CANNOT_DECIDE)])
def test_a_scan_with_an_empty_box_for_the_signature_has_none(policy: str, verdict: Code) -> None:
    world = World()
    code = seen(world.issue_one().text)
    (report,) = rows(world.trusting(policy=policy), Unsigned(), code, scanned=True)
    assert evidence(report, Code.HANDWRITING_MISSING) == [{"box": "ink.signature"}]
    (found,) = [item for item in report.findings if item.code is Code.HANDWRITING_MISSING]
    assert found.severity is (Severity.BLOCKS if policy == "bid" else Severity.DUTY)
    assert report.verdict is verdict
    (file,) = rows(world.trusting(policy=policy), Unsigned(), code)  # a file is signed when it was printed
    assert evidence(file, Code.HANDWRITING_MISSING) == []


def test_a_picture_has_no_page_to_compare() -> None:
    """Whatever a judge would say of it."""
    world = World()
    (report,) = rows(world.context(), Equal(), seen(world.issue_one().text), kind=FileKind.PNG)
    assert (report.verdict, report.outcome) == (Code.VALID_COMPARE, None)


def test_of_several_certificates_in_a_file_none_is_compared() -> None:
    world = World()
    first, second = world.issue(world.claims(), world.claims(serial=world.issuers[1].next_serial + 1))
    found = rows(world.context(), Equal(), seen(first.text), seen(second.text, "page:1:code:1"))
    assert [report.verdict for report in found] == [Code.VALID_COMPARE] * 2
    assert [evidence(report, Code.PAGE_NOT_COMPARED) for report in found] == [[{"reason": "page.several"}]] * 2


def test_what_the_judge_did_not_compare_is_not_valid() -> None:
    world = World()
    (report,) = rows(world.context(), Unlike(), seen(world.issue_one().text))
    assert report.verdict is Code.VALID_COMPARE
    assert evidence(report, Code.PAGE_NOT_COMPARED) == [{"reason": "page.redrawn"}]


@pytest.mark.parametrize("order", [1, -1])
def test_every_address_before_a_copy_is_looked_at(order: int) -> None:
    """Beside a plain code of issuer 2, the same behind the address of issuer 1."""
    world = World()
    text = world.issue_one(issuer=2).text
    codes = [seen(text), seen(PREFIX + text, "page:1:code:1")][::order]
    (report,) = rows(world.context(), Equal(), *codes)
    assert report.verdict is Code.NOT_OUR_FORMAT
    assert report.subject is None


def test_two_spoilt_codes_in_one_place_contradict_each_other() -> None:
    """They are no credential and yet two: neither is taken for the other."""
    world = World()
    token = world.issue_one().token
    spoilt = [to_digits(flip(token, at)) for at in (1, 2)]
    (report,) = rows(world.context(), Equal(), *map(seen, spoilt))
    assert evidence(report, Code.AMBIGUOUS) == [{"reason": "two_codes_in_one_place", "count": 2}]
    apart = rows(world.context(), Equal(), seen(spoilt[0]), seen(spoilt[1], "page:1:code:1"))
    assert [row.verdict for row in apart] == [Code.FORGED] * 2


def test_unsigned_trust_is_named_beside_what_does_not_open() -> None:
    world = World()
    token = world.issue_one().token
    code = seen(to_digits(flip(token, len(token) - 1)))
    (report,) = rows(world.context(), Equal(), code)
    assert report.verdict is Code.FORGED
    assert evidence(report, Code.TRUST_UNSIGNED)
