"""From candidates to reports: rows, clashes, foreign codes, and never an exception or a false pass."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator import DAY, PREFIX, Issued, World, flip, twin
from strategies import hostile_credentials, hostile_texts

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, SealFacts, SealForm, Source
from mingzheng.formats.credential import attach_receipt, parse_credential
from mingzheng.formats.errors import FormatError, NotOurFormatError, ResourceLimitError, UnreadableError
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.sniff import FileKind
from mingzheng.log.acts import ActType
from mingzheng.log.errors import EntryError
from mingzheng.verifier.batch import verify_batch
from mingzheng.verifier.findings import PASSING, Code, Grade
from mingzheng.verifier.pipeline import Met, judge, refuse, verdict_for, verify_extracted, verify_text
from mingzheng.verifier.report import Report, report_to_json
from mingzheng.verifier.reporttext import report_to_text

PADES = SealFacts(
    form=SealForm.PADES,
    place="Seal1",
    certificate=b"",
    chain=(),
    signed_at=None,
    timestamped=False,
    details=None,
    marks=(),
    faults=(),
)


def extracted(
    *candidates: Candidate,
    kind: FileKind = FileKind.PDF,
    receipts: tuple[bytes, ...] = (),
    seals: tuple[SealFacts, ...] = (),
    problems: tuple[tuple[str, str], ...] = (),
) -> Extracted:
    facts = FileFacts(kind=kind, pages=1, attachments=(), full_receipts=receipts, seals=seals)
    return Extracted(kind=kind, candidates=candidates, facts=facts, problems=problems)


def attached(data: bytes, where: str = "attachment:credential") -> Candidate:
    return Candidate(source=Source.ATTACHMENT, page=None, text=None, data=data, where=where)


def seen(text: str, where: str = "page:1:qr", page: int | None = 1) -> Candidate:
    return Candidate(source=Source.QR, page=page, text=text, data=None, where=where)


def codes(report: Report) -> set[Code]:
    return {item.code for item in report.findings}


def two(world: World) -> tuple[Issued, Issued]:
    one, other = world.issue(world.claims(), world.claims(serial=world.issuers[1].next_serial + 1))
    return one, other


# --- one credential, several places


def test_attachment_and_visible_code_of_one_credential_are_one_row() -> None:
    world = World()
    issued = world.issue_one()
    full = world.logs[1].full_receipt(issued.index)
    file = extracted(attached(issued.bare), seen(issued.text), receipts=(full,))
    (report,) = verify_extracted(file, world.context(), "x.pdf")
    assert report.verdict is Code.VALID_COMPARE
    assert report.grade is Grade.LOG_WORD
    assert report.places == ((1, issued.index), (1, issued.index))
    shown = report_to_json(report)["credential"]["log"]  # type: ignore[index,call-overload]
    assert shown == [{"origin": world.logs[1].name, "index": issued.index}]
    assert {Code.PAGE_NOT_COMPARED, Code.SEAL_ABSENT} <= codes(report)
    assert Code.CODE_NOT_VISIBLE not in codes(report)


@pytest.mark.parametrize("policy", ["bid", "audit"])
def test_pdf_page_not_compared_blocks(policy: str) -> None:
    world = World()
    issued = world.issue_one()
    file = extracted(attached(issued.token), seen(issued.text))
    (report,) = verify_extracted(file, world.trusting(policy=policy), "x.pdf")
    assert report.verdict is Code.CANNOT_DECIDE
    picture = extracted(seen(issued.text, "image:code:1", None), kind=FileKind.PNG)
    (report,) = verify_extracted(picture, world.trusting(policy=policy), "x.png")
    assert report.verdict is Code.VALID_COMPARE
    assert Code.PAGE_NOT_COMPARED not in codes(report)


def test_receipt_may_stand_in_the_attachment_only() -> None:
    world = World()
    issued = world.issue_one()
    file = extracted(attached(issued.bare), receipts=(world.logs[1].full_receipt(issued.index),))
    (report,) = verify_extracted(file, world.context(), "x.pdf")
    assert report.verdict is Code.VALID_COMPARE
    assert Code.CODE_NOT_VISIBLE in codes(report)


def test_a_damaged_copy_beside_a_good_one_of_the_same_identity_is_forged() -> None:
    """The signature is no part of the identity: both copies must hold, in either order."""
    world = World()
    issued = world.issue_one()
    damaged = flip(issued.token, len(issued.token) - 1)
    assert parse_credential(damaged).identity == issued.identity
    for first, second in ((damaged, issued.token), (issued.token, damaged)):
        file = extracted(attached(first), seen(to_digits(second)))
        (report,) = verify_extracted(file, world.context(), "x.pdf")
        assert report.verdict is Code.FORGED


def test_ecdsa_twin_is_the_same_credential() -> None:
    world = World()
    issued = world.issue_one(issuer=2)
    other = twin(issued.token)
    assert other != issued.token
    context = world.context()
    first, second = verify_text(issued.text, context), verify_text(to_digits(other), context)
    assert first.verdict is second.verdict is Code.VALID_COMPARE
    (report,) = verify_extracted(extracted(attached(issued.token), seen(to_digits(other))), context, "x.pdf")
    assert report.verdict is Code.VALID_COMPARE


def test_receipt_that_does_not_fit_beside_one_that_does_is_invalid() -> None:
    world = World()
    one, other = two(world)
    wrong = world.logs[1].full_receipt(other.index)
    (report,) = verify_extracted(extracted(attached(one.token), receipts=(wrong,)), world.context(), "x.pdf")
    assert report.verdict is Code.RECEIPT_INVALID


def test_receipts_at_two_indexes_of_one_log_are_invalid() -> None:
    world = World()
    issued = world.issue_one()
    (again,) = world.logs[1].append([world.logs[1].entries[issued.index]], now=world.now)
    file = extracted(attached(issued.token), receipts=(world.logs[1].full_receipt(again),))
    (report,) = verify_extracted(file, world.context(), "x.pdf")
    assert report.verdict is Code.RECEIPT_INVALID
    assert report.grade is Grade.NONE


def test_full_receipts_of_unknown_logs_and_of_logs_the_key_may_not_use() -> None:
    world = World()
    issued = world.issue_one(issuer=2, log=2)  # issuer 2 may log to 1 only
    context = world.context()
    for receipt in (b"", b"nonsense", world.logs[2].full_receipt(issued.index)):
        file = extracted(attached(issued.bare), receipts=(receipt,))
        (report,) = verify_extracted(file, context, "x.pdf")
        assert report.verdict is Code.RECEIPT_INVALID
    assert verify_text(issued.text, context).verdict is Code.RECEIPT_INVALID
    world.logs[1].name = "elsewhere.example/log"
    stranger = world.issue_one()
    file = extracted(attached(stranger.bare), receipts=(world.logs[1].full_receipt(stranger.index),))
    (report,) = verify_extracted(file, context, "x.pdf")
    assert report.verdict is Code.RECEIPT_INVALID


def test_receipt_over_a_block_wider_than_the_origins_is_invalid() -> None:
    world = World()
    world.logs[1].height = 5
    issued = world.issue(*(world.claims(serial=serial) for serial in range(31)))
    wide = [item for item in issued if len(item.token) == max(len(each.token) for each in issued)]
    assert verify_text(wide[0].text, world.context()).verdict is Code.VALID_COMPARE
    world.logs[1].height = 4
    assert verify_text(wide[0].text, world.context()).verdict is Code.RECEIPT_INVALID


def test_a_credential_that_can_have_no_entry_is_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of claims lie inside those of entries; if they ever did not, nothing would pass."""

    def refuse_entry(_entry: object) -> bytes:
        raise EntryError("out of bounds", field="serial")

    world = World()
    issued, context = world.issue_one(), world.context()
    monkeypatch.setattr("mingzheng.verifier.checks.issue_bytes", refuse_entry)
    assert verify_text(issued.text, context).verdict is Code.FORGED


# --- several credentials


def test_several_credentials_are_a_row_each() -> None:
    world = World()
    one, other = two(world)
    world.act(ActType.REVOKE, other.claims.serial)
    file = extracted(seen(one.text, "image:code:1", None), seen(other.text, "image:code:2", None), kind=FileKind.JPEG)
    first, second = verify_extracted(file, world.context(), "x.jpg")
    assert (first.verdict, second.verdict) == (Code.VALID_COMPARE, Code.REVOKED)


def test_full_receipts_are_not_held_against_one_of_several() -> None:
    world = World()
    one, other = two(world)
    pages = (seen(one.text), seen(other.text, "page:2:qr", 2))
    file = extracted(*pages, receipts=(world.logs[1].full_receipt(one.index),))
    reports = verify_extracted(file, world.context(), "x.pdf")
    assert [report.verdict for report in reports] == [Code.VALID_COMPARE, Code.VALID_COMPARE]


@pytest.mark.parametrize("case", ["attachment", "two_attachments", "slot", "slot_foreign", "only_foreign_visible"])
def test_contradictions_are_ambiguous_and_show_no_fields(case: str) -> None:
    world = World()
    one, other = two(world)
    files = {
        "attachment": (attached(one.token), seen(one.text), seen(other.text, "page:1:code:1")),
        "two_attachments": (attached(one.token), attached(other.token, "attachment:credential:2")),
        "slot": (seen(one.text), seen(other.text)),
        "slot_foreign": (seen(one.text), seen("https://zs-example.cn/v")),
        "only_foreign_visible": (attached(one.token), seen("https://zs-example.cn/v", "page:1:code:1")),
    }
    (report,) = verify_extracted(extracted(*files[case]), world.context(), "x.pdf")
    assert report.verdict is Code.AMBIGUOUS
    assert report.subject is None
    assert one.claims.name not in report_to_text(report, "zh")


def test_the_same_code_twice_in_one_place_is_no_contradiction() -> None:
    world = World()
    issued = world.issue_one()
    (report,) = verify_extracted(extracted(seen(issued.text), seen(issued.text)), world.context(), "x.pdf")
    assert report.verdict is Code.VALID_COMPARE


# --- foreign codes


def test_foreign_code_beside_ours_is_named_and_never_opened() -> None:
    world = World()
    issued = world.issue_one()
    file = extracted(
        seen(issued.text), seen("https://zs-example.cn/v", "page:1:code:1"), seen("WIFI:S:x;;", "page:1:code:2")
    )
    (report,) = verify_extracted(file, world.context(), "x.pdf")
    assert report.verdict is Code.VALID_COMPARE
    found = {item.code: item for item in report.findings}
    assert found[Code.FOREIGN_CODE].evidence["count"] == 2
    assert found[Code.LOOKALIKE_URL].evidence["text"] == "https://zs-example.cn/v"


def test_files_without_any_code_of_ours() -> None:
    world = World()
    context = world.context()
    (empty,) = verify_extracted(extracted(kind=FileKind.PNG), context, "x.png")
    assert empty.verdict is Code.NOT_OUR_FORMAT
    (foreign,) = verify_extracted(extracted(seen("https://a.example/x")), context, "x.pdf")
    assert {Code.NOT_OUR_FORMAT, Code.LOOKALIKE_URL} <= codes(foreign)
    raw = Candidate(source=Source.QR, page=None, text=None, data=world.issue_one().token, where="image:code:1")
    (binary,) = verify_extracted(extracted(raw, kind=FileKind.PNG), context, "x.png")
    assert binary.verdict is Code.NOT_OUR_FORMAT


def test_problems_of_the_file_are_reported_once_each() -> None:
    world = World()
    problems = (("pdf.page", "page 2"), ("pdf.page", "page 3"), ("pdf.attachment", "x"))
    file = extracted(seen(world.issue_one().text), problems=problems, seals=(PADES,))
    (report,) = verify_extracted(file, world.context(), "x.pdf")
    reasons = [item.evidence["reason"] for item in report.findings if item.code is Code.FILE_PROBLEM]
    assert reasons == ["pdf.page", "pdf.attachment"]
    assert Code.SEAL_NOT_CHECKED in codes(report)
    assert Code.SEAL_ABSENT not in codes(report)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (UnreadableError("x"), Code.UNREADABLE),
        (ResourceLimitError("pages", limit=1), Code.RESOURCE_LIMIT),
        (NotOurFormatError("x", lookalike=True, url="https://a.example"), Code.NOT_OUR_FORMAT),
        (FormatError("x"), Code.UNREADABLE),
    ],
)
def test_files_that_cannot_be_read(error: FormatError, verdict: Code) -> None:
    assert refuse(error, World().context(), "x").verdict is verdict


# --- prefixes


def test_the_issuers_own_prefix_is_accepted() -> None:
    world = World()
    assert verify_text(PREFIX + world.issue_one().text, world.context()).verdict is Code.VALID_COMPARE


def test_a_prefix_of_another_issuer_is_refused_and_lends_no_credit() -> None:
    world = World()
    issued = world.issue_one(issuer=2)
    report = verify_text(PREFIX + issued.text, world.context())
    assert report.verdict is Code.NOT_OUR_FORMAT
    assert Code.LOOKALIKE_URL in codes(report)
    assert report.subject is None
    assert issued.claims.name not in report_to_text(report, "zh")
    assert verify_text(issued.text, world.context()).verdict is Code.VALID_COMPARE


@pytest.mark.parametrize(
    "alien",
    [
        "https://zs.example.cn.evil.cn/v#",
        "http://zs.example.cn/v#",
        "https://zs.example.cn/v?",
        "HTTPS://ZS.EXAMPLE.CN/V#",
        "https://zs.exаmple.cn/v#",  # Cyrillic а
        " ",
    ],
)
def test_any_other_prefix_before_genuine_digits_is_refused(alien: str) -> None:
    world = World()
    report = verify_text(alien + world.issue_one().text, world.context())
    assert report.verdict is Code.NOT_OUR_FORMAT
    warned = [item.evidence["text"] for item in report.findings if item.code is Code.LOOKALIKE_URL]
    assert all("#" not in str(text) for text in warned)


@pytest.mark.parametrize("change", ["０", "+", " ", "_", "0", "\n", "."])
def test_digits_have_one_spelling(change: str) -> None:
    world = World()
    text = world.issue_one().text
    context = world.context()
    for spelled in (change + text, text + change, text[:9] + change + text[9:]):
        assert verify_text(spelled, context).verdict not in PASSING


# --- hostile input


@pytest.mark.parametrize("issuer", [1, 2])
@pytest.mark.parametrize("bit", [0, 3, 7])
def test_no_flipped_bit_passes(issuer: int, bit: int) -> None:
    world = World()
    token = world.issue_one(issuer=issuer).token
    context = world.context()
    verdicts = verify_batch([flip(token, position, bit) for position in range(len(token))], context)
    assert not set(verdicts) & PASSING
    assert verify_batch([token], context) == (Code.VALID_COMPARE,)


def test_no_shortened_or_lengthened_token_passes() -> None:
    world = World()
    token = world.issue_one().token
    context = world.context()
    cut = [token[:end] for end in range(len(token))] + [token + b"\x00", token + token, b"\x00" + token]
    assert not set(verify_batch(cut, context)) & PASSING


WORLD = World()
ISSUED = WORLD.issue_one()
CONTEXT = WORLD.context()


@given(hostile_texts())
def test_no_text_raises_or_passes(text: str) -> None:
    report = verify_text(text, CONTEXT, file=text)
    assert report.verdict not in PASSING
    assert report_to_json(report)["credential"] is None
    assert report_to_text(report, "zh")
    assert report_to_text(report, "en")


@given(hostile_credentials())
def test_no_bytes_raise_or_pass(data: bytes) -> None:
    file = extracted(attached(data), seen(ISSUED.text), receipts=(data,))
    assert all(report.verdict not in PASSING for report in verify_extracted(file, CONTEXT, "x"))
    assert verify_batch([data], CONTEXT)[0] not in PASSING


@given(st.binary(max_size=300))
def test_no_receipt_bytes_raise_or_pass(data: bytes) -> None:
    token = attach_receipt(ISSUED.bare, data)
    (verdict,) = verify_batch([token], CONTEXT)
    assert verdict is Code.RECEIPT_INVALID


@given(st.integers(0, len(ISSUED.token) - 1), st.integers(0, 255))
def test_no_changed_byte_passes_even_after_the_good_one(position: int, value: int) -> None:
    """The cache of verified blocks must not lend its answer to other bytes."""
    changed = ISSUED.token[:position] + bytes([value]) + ISSUED.token[position + 1 :]
    first, second = verify_batch([ISSUED.token, changed], CONTEXT)
    assert first is Code.VALID_COMPARE
    assert second is (Code.VALID_COMPARE if changed == ISSUED.token else second)
    assert changed == ISSUED.token or second not in PASSING


def test_no_change_of_index_size_or_serial_makes_a_revoked_credential_valid() -> None:
    world = World()
    claims = [world.claims(serial=serial) for serial in range(6)]
    issued = world.issue(*claims)
    revoked = issued[2]
    world.act(ActType.REVOKE, 2)
    context = world.context()
    receipts = [world.logs[1].compact_receipt(item.index) for item in issued]
    for receipt in receipts:
        assert verify_batch([attach_receipt(revoked.bare, receipt)], context)[0] not in PASSING
    body = receipts[2]
    for position in range(len(body)):
        for bit in range(8):
            changed = attach_receipt(revoked.bare, flip(body, position, bit))
            assert verify_batch([changed], context)[0] not in PASSING
    renumbered = replace(revoked.claims, serial=4)
    assert world.leaf(revoked.bare, renumbered, issuer=1) != world.leaf(revoked.bare, revoked.claims, issuer=1)


# --- batch


def test_batch_and_text_agree() -> None:
    world = World()
    tokens = [world.issue_one(usage_until=DAY + span).token for span in (0, 10, 180, 181)]
    tokens += [flip(tokens[0], 40), tokens[0][:50]]
    for policy in ("site", "bid", "audit"):
        context = world.context(policy=policy, at=DAY + 5)
        expected = tuple(verify_text(to_digits(token), context).verdict for token in tokens)
        assert verify_batch(tokens, context) == expected


def test_cache_of_blocks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.verifier.checks.CACHED_BLOCKS", 2)
    world = World()
    issued = [world.issue_one() for _ in range(5)]
    context = world.context()
    for item in issued:
        judged = judge([Met(data=item.token, prefix=None)], context)
        assert verdict_for(judged.findings, context) is Code.VALID_COMPARE
        assert len(context.blocks_seen) <= 2


@pytest.mark.parametrize(("retired_on", "holds"), [(DAY - 2, False), (DAY - 1, True), (DAY, True)])
def test_a_full_receipt_needs_a_checkpoint_key_of_its_days(retired_on: int, holds: bool) -> None:
    """As for compact receipts: the sequencer's day may differ by one from the copy's."""
    world = World()
    issued = world.issue_one()
    world.change_key(world.logs[1].checkpoint_signer.public_key.kid, retired_on=retired_on)
    file = extracted(attached(issued.bare), receipts=(world.logs[1].full_receipt(issued.index),))
    (report,) = verify_extracted(file, world.context(), "x")
    reasons = [item.evidence.get("reason") for item in report.findings if item.code is Code.RECEIPT_INVALID]
    assert reasons == ([] if holds else ["checkpoint_key_days"])
