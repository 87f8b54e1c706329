"""Seals against the seal table: whose, when, in which order, which are missing. The table is the world's own."""

from dataclasses import replace

import pytest
from sealcases import (
    BEGIN,
    BOTH,
    CHAIR,
    COMMITTEE,
    END,
    Different,
    Inked,
    certificate,
    judged,
    judged_at,
    reasons,
    record,
    rule,
    seal,
    ses,
    table,
)
from sealpress import private, root
from simulator import DAY, World, noon

from mingzheng.formats.candidate import SealFacts, SealForm
from mingzheng.formats.sniff import FileKind
from mingzheng.keys.certmake import CertIssuer, CertSpec, make_certificate
from mingzheng.keys.errors import SealKeySharedError
from mingzheng.keys.sealtable import MakerRecord, format_seal_table
from mingzheng.keys.x509 import parse_certificate
from mingzheng.verifier.errors import KeySharedError, TrustUnusableError
from mingzheng.verifier.findings import Code, Severity
from mingzheng.verifier.pipeline import verify_text


def test_two_seals_in_order_on_an_equal_page_are_valid() -> None:
    report = judged([seal(1), seal(2)])
    assert report.verdict is Code.VALID
    assert report.compared
    assert [item.place for item in report.seals] == ["Seal1", "Seal2"]


@pytest.mark.parametrize(
    ("seals", "verdict", "code", "reason"),
    [
        ([], Code.SEAL_MISSING, Code.SEAL_MISSING, ["seal.none", "seal.none"]),
        ([seal(1)], Code.SEAL_MISSING, Code.SEAL_MISSING, ["seal.missing"]),
        ([seal(2)], Code.SEAL_MISSING, Code.SEAL_MISSING, ["seal.missing"]),
        ([seal(2), seal(1)], Code.SEAL_INVALID, Code.SEAL_INVALID, ["seal.order"]),
        ([seal(1), seal(1)], Code.SEAL_INVALID, Code.SEAL_INVALID, ["seal.repeated"]),
        ([seal(1), seal(1)], Code.SEAL_INVALID, Code.SEAL_MISSING, ["seal.missing"]),
        ([seal(1), seal(2), seal(3)], Code.SEAL_WRONG_BODY, Code.SEAL_WRONG_BODY, ["seal.other_body"]),
        ([seal(1), seal(3)], Code.SEAL_MISSING, Code.SEAL_WRONG_BODY, ["seal.other_body"]),
        ([seal(1), seal(2, "seal.signature")], Code.SEAL_INVALID, Code.SEAL_INVALID, ["seal.signature"]),
        ([seal(1, "file.digest"), seal(2)], Code.FILE_CHANGED, Code.FILE_CHANGED, ["file.digest"]),
        (
            [seal(1), seal(2, signed_at=noon(DAY) - 86_400)],
            Code.SEAL_INVALID,
            Code.SEAL_INVALID,
            ["seal.wrong_day"],
        ),
        ([seal(1), seal(2, signed_at=noon(DAY + 1))], Code.SEAL_INVALID, Code.SEAL_INVALID, ["seal.wrong_day"]),
        ([seal(1), seal(2, signed_at=None)], Code.SEAL_INVALID, Code.SEAL_INVALID, ["seal.no_time"]),
        (
            [seal(1), seal(2, signed_at=noon(DAY) - 60)],
            Code.SEAL_INVALID,
            Code.SEAL_INVALID,
            ["seal.times_out_of_order"],
        ),
    ],
)
def test_the_two_seal_rule(seals: list[SealFacts], verdict: Code, code: Code, reason: list[str]) -> None:
    report = judged(seals)
    assert report.verdict is verdict
    assert reasons(report, code) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"valid_from": DAY + 1}, "seal.outside_days"),
        ({"valid_until": DAY - 1}, "seal.outside_days"),
        ({"revoked_on": DAY}, "seal.revoked"),
        ({"revoked_on": DAY - 5}, "seal.revoked"),
    ],
)
def test_a_seal_outside_its_days(changes: dict[str, object], reason: str) -> None:
    report = judged([seal(1)], table(record(1, COMMITTEE, **changes), rule(COMMITTEE)))
    assert report.verdict is Code.SEAL_INVALID
    assert reasons(report, Code.SEAL_INVALID) == [reason]
    assert reasons(report, Code.SEAL_MISSING) == []  # it is there, and bad


def test_a_seal_revoked_later_still_counts() -> None:
    assert judged([seal(1)], table(record(1, COMMITTEE, revoked_on=DAY + 1), rule(COMMITTEE))).verdict is Code.VALID


@pytest.mark.parametrize("at", [BEGIN - 1, END + 1])
def test_a_certificate_that_had_ended(at: int) -> None:
    report = judged([seal(1, signed_at=at)], table(record(1, COMMITTEE, valid_from=0, valid_until=40_000)))
    assert "seal.certificate_expired" in reasons(report, Code.SEAL_INVALID)


def test_borders_of_a_seals_days_are_inside() -> None:
    edge = table(record(1, COMMITTEE, valid_from=DAY, valid_until=DAY), rule(COMMITTEE))
    assert judged([seal(1)], edge).verdict is Code.VALID


def test_one_of_two_records_of_a_certificate_is_enough() -> None:
    twice = table(record(1, COMMITTEE, valid_until=DAY - 1), record(1, COMMITTEE, valid_from=DAY), rule(COMMITTEE))
    assert judged([seal(1)], twice).verdict is Code.VALID


def test_a_rule_may_mean_the_body_the_claims_name() -> None:
    named = table(record(2, 2), rule(0))
    assert judged([seal(2)], named).verdict is Code.VALID  # the world's claims name body 2
    assert judged([seal(1)], table(record(1, 1), record(2, 2), rule(0))).verdict is Code.SEAL_MISSING


def test_seals_of_another_issuer_and_of_nobody_we_know() -> None:
    foreign = table(record(1, COMMITTEE), record(2, 1, issuer=2), rule(COMMITTEE))
    assert reasons(judged([seal(1), seal(2)], foreign), Code.SEAL_WRONG_BODY) == ["seal.other_body"]
    stranger = replace(table(record(1, COMMITTEE), rule(COMMITTEE)), cas=())
    report = judged([seal(1), seal(3)], stranger)
    assert report.verdict is Code.SEAL_INVALID
    assert reasons(report, Code.SEAL_INVALID) == ["seal.untrusted"]
    broken = judged([seal(1), seal(3, certificate=b"\x30\x00")])
    assert reasons(broken, Code.SEAL_INVALID) == ["seal.untrusted"]


def test_a_table_that_says_nothing_of_such_seals_leaves_them_unchecked() -> None:
    """Of another issuer's seals only, or of OFD seals only: a seal of this issuer in a PDF is for people."""
    for silent in (table(record(1, 1, issuer=2)), table(record(1, COMMITTEE, form="ofd"))):
        report = judged([seal(1)], silent)
        assert report.verdict is Code.VALID_COMPARE
        assert [item.code for item in report.findings if item.code.startswith("SEAL_")] == [Code.SEAL_NOT_CHECKED]


def test_a_certificate_pinned_for_the_other_form_seals_nothing_here() -> None:
    other = table(record(1, COMMITTEE, form="ofd"), record(2, CHAIR), rule(COMMITTEE))
    report = judged([seal(1)], other)
    assert report.verdict is Code.SEAL_MISSING
    assert reasons(report, Code.SEAL_WRONG_BODY) == ["seal.other_body"]


def test_a_seal_of_a_known_body_that_the_rule_does_not_ask_for() -> None:
    known = table(record(1, COMMITTEE), record(2, CHAIR), record(3, 3), rule(COMMITTEE, CHAIR))
    report = judged([seal(1), seal(2), seal(3)], known)
    assert report.verdict is Code.SEAL_WRONG_BODY
    assert [
        (item.evidence["seal"], item.evidence["body"]) for item in report.findings if item.code is report.verdict
    ] == [(3, 3)]


def test_the_time_of_a_seal_that_does_not_hold_orders_nothing() -> None:
    """Its time is as little worth as it is: one fault, one reason."""
    report = judged([seal(1), seal(2, "seal.signature", signed_at=noon(DAY) - 60)])
    assert reasons(report, Code.SEAL_INVALID) == ["seal.signature"]


@pytest.mark.parametrize(("early", "found"), [(300, []), (301, ["seal.wrong_day"])])
def test_a_sealers_clock_may_run_five_minutes_before_ours(early: int, found: list[str]) -> None:
    report = judged([seal(1, signed_at=noon(DAY) + early)], table(record(1, COMMITTEE), rule(COMMITTEE)))
    assert reasons(report, Code.SEAL_INVALID) == found


# --- a clock behind the trust data (docs/spec/verdicts.md, Clock)


@pytest.mark.parametrize("late", [301, 3_600, 86_400, 400 * 86_400])
def test_a_clock_set_back_makes_no_seal_false_that_is_not_after_the_trust_data(late: int) -> None:
    report = judged_at([seal(1), seal(2)], late=late)
    assert report.verdict is Code.CLOCK_SUSPECT
    assert reasons(report, Code.SEAL_INVALID) == []


@pytest.mark.parametrize("late", [0, 301, 86_400])
@pytest.mark.parametrize(("early", "found"), [(300, []), (301, ["seal.wrong_day"])])
def test_a_seal_after_both_clock_and_trust_data_is_false_whatever_the_clock(
    late: int, early: int, found: list[str]
) -> None:
    report = judged_at([seal(1), seal(2, signed_at=noon(DAY) + early)], late=late)
    assert reasons(report, Code.SEAL_INVALID) == found
    assert report.verdict is (Code.SEAL_INVALID if found else Code.CLOCK_SUSPECT if late else Code.VALID)


@pytest.mark.parametrize(("early", "verdict"), [(3_900, Code.VALID), (3_901, Code.SEAL_INVALID)])
def test_under_a_sound_clock_the_clock_is_the_measure(early: int, verdict: Code) -> None:
    """An hour after the trust data were made."""
    times = {"signed_at": noon(DAY) + early}
    assert judged_at([seal(1), seal(2, **times)], late=-3_600).verdict is verdict


@pytest.mark.parametrize("late", [1, 86_400])
@pytest.mark.parametrize("policy", ["site", "bid", "audit"])
def test_a_suspect_clock_blocks_under_every_policy(late: int, policy: str) -> None:
    """That is why a seal may be measured by the trust data then: nothing passes."""
    world = World()
    issued = world.issue_one()
    found = verify_text(issued.text, world.context(now=world.now - late, policy=policy)).findings
    assert [item.severity for item in found if item.code is Code.CLOCK_SUSPECT] == [Severity.BLOCKS]


@pytest.mark.parametrize("late", [0, 2 * 86_400])
def test_a_judging_day_before_the_copy_is_not_yet_valid_and_its_seals_hold(late: int) -> None:
    """`--at` moves the day that is judged, not the clock that seals are measured by."""
    report = judged_at([seal(1), seal(2)], late=late, at=DAY - 3)
    assert report.verdict is Code.NOT_YET_VALID
    assert reasons(report, Code.SEAL_INVALID) == []
    bad = judged_at([seal(1), seal(2, signed_at=noon(DAY) + 301)], late=late, at=DAY - 3)
    assert bad.verdict is Code.SEAL_INVALID


def test_with_a_clock_a_day_behind_nothing_blocks_but_the_clock_and_what_is_not_yet() -> None:
    """Receipts and lists are measured by logged days alone: no clock makes them false."""
    report = judged_at([seal(1), seal(2)], late=86_400)
    blocking = {item.code for item in report.findings if item.severity is Severity.BLOCKS}
    assert blocking == {Code.CLOCK_SUSPECT, Code.NOT_YET_VALID}


def test_no_rule_and_no_table() -> None:
    assert judged([], table()).verdict is Code.VALID
    assert reasons(judged([], table()), Code.SEAL_ABSENT) == [""]
    report = judged([seal(1)], table())
    assert report.verdict is Code.VALID_COMPARE
    assert [item.code for item in report.findings if item.code is Code.SEAL_NOT_CHECKED]
    assert judged([seal(1)], None).verdict is Code.VALID_COMPARE
    known = table(record(1, COMMITTEE))
    assert judged([seal(1)], known).verdict is Code.VALID  # not required, but it holds


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"valid_from": DAY + 1}, Code.VALID),
        ({"valid_until": DAY - 1}, Code.VALID),
        ({"kinds": frozenset({2})}, Code.VALID),
        ({"jurisdictions": frozenset({31})}, Code.VALID),
        ({"issuer": 2}, Code.VALID),
        ({"valid_from": DAY, "valid_until": DAY}, Code.SEAL_MISSING),
    ],
)
def test_a_rule_holds_for_its_issuer_kinds_places_and_days(changes: dict[str, object], found: Code) -> None:
    assert judged([], table(rule(COMMITTEE, **changes))).verdict is found


def test_what_no_seal_covers() -> None:
    faults = (("file.uncovered", "Doc_0/x"), ("file.uncovered", "Doc_0/y"))
    report = judged([seal(1), seal(2)], faults=faults)
    assert report.verdict is Code.FILE_CHANGED
    assert reasons(report, Code.FILE_CHANGED) == ["file.uncovered"]
    unsealed = judged([], table(), faults=faults)
    assert unsealed.verdict is Code.VALID_COMPARE
    assert reasons(unsealed, Code.FILE_PROBLEM) == ["file.uncovered"]


@pytest.mark.parametrize("kind", [FileKind.PNG, FileKind.JPEG])
def test_pictures_and_scans_need_no_seal(kind: FileKind) -> None:
    assert Code.SEAL_ABSENT in {item.code for item in judged([], kind=kind).findings}
    scan = judged([], scanned=True)
    assert scan.verdict is Code.VALID_COMPARE
    assert {Code.SEAL_ABSENT, Code.PAGE_NOT_COMPARED} <= {item.code for item in scan.findings}
    assert judged([seal(1)], scanned=True).verdict is Code.SEAL_MISSING


MAKER = MakerRecord(certificate=parse_certificate(certificate(9)))
OFD = table(record(1, COMMITTEE, form="ofd"), rule(COMMITTEE), MAKER)


def test_an_electronic_seal() -> None:
    assert judged([ses(1)], OFD, kind=FileKind.OFD).verdict is Code.VALID
    report = judged([replace(ses(1), details=None)], OFD, kind=FileKind.OFD)
    assert reasons(report, Code.SEAL_INVALID) == ["seal.no_details"]


def test_a_digital_signature_is_no_electronic_seal() -> None:
    """With the body's own key: else an expired seal or a revoked maker could be passed by."""
    report = judged([replace(ses(1), form=SealForm.SIGNED, details=None)], OFD, kind=FileKind.OFD)
    assert report.verdict is Code.SEAL_INVALID
    assert reasons(report, Code.SEAL_INVALID) == ["seal.no_details"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"maker_certificate": certificate(8)}, "seal.maker_untrusted"),
        ({"created": BEGIN - 1}, "seal.maker_expired"),
        ({"created": END + 1}, "seal.maker_expired"),
        ({"valid_until": noon(DAY) - 1}, "seal.seal_expired"),
        ({"valid_from": noon(DAY) + 1}, "seal.seal_expired"),
    ],
)
def test_an_electronic_seal_that_does_not_hold(changes: dict[str, object], reason: str) -> None:
    report = judged([ses(1, **changes)], OFD, kind=FileKind.OFD)
    assert report.verdict is Code.SEAL_INVALID
    assert reasons(report, Code.SEAL_INVALID) == [reason]


@pytest.mark.parametrize(("day", "verdict"), [(DAY, Code.SEAL_INVALID), (DAY + 1, Code.VALID)])
def test_a_maker_revoked(day: int, verdict: Code) -> None:
    revoked = table(record(1, COMMITTEE, form="ofd"), rule(COMMITTEE), replace(MAKER, revoked_on=day))
    report = judged([ses(1)], revoked, kind=FileKind.OFD)
    assert report.verdict is verdict
    assert reasons(report, Code.SEAL_INVALID) == (["seal.maker_revoked"] if verdict is Code.SEAL_INVALID else [])


def test_a_table_that_cannot_be_read_makes_the_trust_data_unusable() -> None:
    world = World()
    world.blobs["seals.json"] = b"{}"
    with pytest.raises(TrustUnusableError):
        world.context()


def test_a_key_that_signs_credentials_and_seals_makes_the_trust_data_unusable() -> None:
    """Issuer 2 signs its credentials with P-256, as PDF seals do; issuer 1's table is no excuse."""
    world = World()
    spki = world.issuers[2].credential_signer.public_key.spki
    spec = CertSpec(subject_cn="two", subject_o="某部", spki=spki, serial=9, not_before=BEGIN, not_after=END)
    both = make_certificate(spec, CertIssuer(key=private("root"), certificate=parse_certificate(root())))
    world.blobs["seals.json"] = format_seal_table(table(replace(record(1, 1), certificate=parse_certificate(both))))
    with pytest.raises(KeySharedError) as caught:
        world.context()
    assert caught.value.code == "verifier.key_shared"
    assert isinstance(caught.value, TrustUnusableError)
    assert isinstance(caught.value.__cause__, SealKeySharedError)
    world.blobs["seals.json"] = format_seal_table(BOTH)
    assert world.context().seals == BOTH


def test_a_page_that_differs() -> None:
    report = judged([seal(1), seal(2)], pages=Different())
    assert report.verdict is Code.PAGE_MISMATCH
    assert not report.compared
    (found,) = [item for item in report.findings if item.code is Code.PAGE_MISMATCH]
    assert dict(found.evidence) == {"reason": "page.differs", "box": "name", "page": 1}
    assert judged([seal(1), seal(2)], BOTH, pages=Different(), scanned=True).verdict is Code.VALID_COMPARE


def test_ink_in_a_file_is_for_a_person_whoever_sealed_it() -> None:
    report = judged([seal(1), seal(2)], BOTH, pages=Inked())
    assert report.verdict is Code.VALID_COMPARE
    (found,) = [item for item in report.findings if item.code is Code.PAGE_NOT_COMPARED]
    assert found.evidence == {"reason": "page.ink_written", "box": "ink.signature"}
    assert judged([seal(1), seal(2)], BOTH, pages=Inked(), scanned=True).verdict is Code.VALID_COMPARE
