"""Every verdict that this version can give has a certificate that gets it, in both languages, with its rule."""

import hashlib
from collections.abc import Callable

import pytest
from sealcases import Different, judged, seal
from simulator import DAY, HOUR, World, flip, noon, signer

from mingzheng.formats import cbor, cose
from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, SealFacts, Source
from mingzheng.formats.civil import format_day, parse_day
from mingzheng.formats.claims import Copy, Specialty
from mingzheng.formats.credential import attach_receipt, sign_credential
from mingzheng.formats.errors import ResourceLimitError, UnreadableError
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.sniff import FileKind
from mingzheng.log.acts import ActType
from mingzheng.log.noticebody import RetiredFormBody
from mingzheng.verifier.context import Expectations
from mingzheng.verifier.findings import FINDINGS, RESERVED, VERDICTS, Code, Severity
from mingzheng.verifier.pageoutcome import PageJudge
from mingzheng.verifier.pipeline import refuse, verify_extracted, verify_text
from mingzheng.verifier.report import Report, report_to_json
from mingzheng.verifier.reporttext import report_to_text


def pdf(*candidates: Candidate, receipts: tuple[bytes, ...] = (), seals: tuple[SealFacts, ...] = ()) -> Extracted:
    facts = FileFacts(kind=FileKind.PDF, pages=1, attachments=(), full_receipts=receipts, seals=seals)
    return Extracted(kind=FileKind.PDF, candidates=candidates, facts=facts, problems=())


def attached(data: bytes) -> Candidate:
    return Candidate(source=Source.ATTACHMENT, page=None, text=None, data=data, where="attachment:credential")


def seen(text: str, where: str = "page:1:qr") -> Candidate:
    return Candidate(source=Source.QR, page=1, text=text, data=None, where=where)


# --- one certificate for each verdict


def _unreadable() -> Report:
    return refuse(UnreadableError("damaged"), World().context(), "x.pdf")


def _not_ours() -> Report:
    return verify_text("https://zs-example.cn/v?no=京111", World().context())


def _limit() -> Report:
    return refuse(ResourceLimitError("image_pixels", limit=1, got=2), World().context(), "x.png")


def _ambiguous() -> Report:
    world = World()
    one, two = world.issue(world.claims(), world.claims(serial=1))
    (report,) = verify_extracted(pdf(attached(one.token), seen(two.text)), world.context(), "x.pdf")
    return report


def _forged() -> Report:
    world = World()
    token = world.issue_one().token
    return verify_text(to_digits(flip(token, len(token) - 1)), world.context())


def _out_of_scope() -> Report:
    world = World()
    return verify_text(world.issue_one(kind=7).text, world.context())


def _compromised() -> Report:
    world = World()
    issued = world.issue_one()
    world.compromise(world.issuers[1].credential_signer.public_key.kid, {1: issued.index})
    return verify_text(issued.text, world.context())


def _unknown_issuer() -> Report:
    world = World()
    stranger = sign_credential(world.claims(), signer("stranger"))
    return verify_text(to_digits(stranger), world.context())


def _receipt_invalid() -> Report:
    world = World()
    one, two = world.issue(world.claims(), world.claims(serial=1))
    stolen = attach_receipt(one.token, world.logs[1].compact_receipt(two.index))
    return verify_text(to_digits(stolen), world.context())


def _acted(act: ActType) -> Callable[[], Report]:
    def make() -> Report:
        world = World()
        issued = world.issue_one()
        world.act(act, issued.claims.serial)
        return verify_text(issued.text, world.context())

    return make


def _not_logged() -> Report:
    world = World()
    return verify_text(to_digits(world.issue_one().bare), world.context())


def _old_form(equal_until: int) -> RetiredFormBody:
    scope = {"jurisdictions": (0,), "kinds": (1,), "template": 1, "paper": False}
    return RetiredFormBody(number=1, citation="某通知第三条", equal_until=equal_until, **scope)  # type: ignore[arg-type]


def _form_retired() -> Report:
    world = World()
    world.give_notice(_old_form(DAY - 1))
    return verify_text(world.issue_one().text, world.context())


def _registration_expired() -> Report:
    world = World()
    issued = world.issue_one(registered_until=DAY + 10)
    return verify_text(issued.text, world.context(at=DAY + 11))


def _specialty_expired() -> Report:
    world = World()
    ends = (Specialty(code=1, first_day=DAY - 400, last_day=DAY + 5),)
    issued = world.issue_one(specialties=ends, usage_until=DAY + 5)
    return verify_text(issued.text, world.context(at=DAY + 6))


def _usage_expired() -> Report:
    world = World()
    return verify_text(world.issue_one().text, world.context(at=DAY + 181))


def _clock_suspect() -> Report:
    world = World()
    return verify_text(world.issue_one().text, world.context(now=world.now - 1))


def _not_yet_valid() -> Report:
    world = World()
    return verify_text(world.issue_one().text, world.context(at=DAY - 1))


def _not_a_usage_copy() -> Report:
    world = World()
    issued = world.issue_one(copy=Copy.APPROVAL, purpose=None, usage_until=None)
    return verify_text(issued.text, world.trusting(policy="bid"))


def _purpose_mismatch() -> Report:
    world = World()
    return verify_text(world.issue_one().text, world.context(expect=Expectations(purpose="乙项目投标")))


def _stale() -> Report:
    world = World()
    return verify_text(world.issue_one().text, world.context(now=world.now + 7 * 24 * HOUR + 1))


def _cannot_decide() -> Report:
    world = World()
    return verify_text(world.issue_one().text, world.context(policy="bid"))


def _valid_compare() -> Report:
    world = World()
    return verify_text(world.issue_one().text, world.context())


def _sealed(*seals: SealFacts, pages: PageJudge | None = None) -> Callable[[], Report]:
    return lambda: judged(seals, pages=pages)


CASES: dict[Code, Callable[[], Report]] = {
    Code.UNREADABLE: _unreadable,
    Code.NOT_OUR_FORMAT: _not_ours,
    Code.RESOURCE_LIMIT: _limit,
    Code.AMBIGUOUS: _ambiguous,
    Code.FORGED: _forged,
    Code.KEY_OUT_OF_SCOPE: _out_of_scope,
    Code.KEY_COMPROMISED: _compromised,
    Code.UNKNOWN_ISSUER: _unknown_issuer,
    Code.RECEIPT_INVALID: _receipt_invalid,
    Code.SEAL_INVALID: _sealed(seal(1), seal(2, "seal.signature")),
    Code.SEAL_MISSING: _sealed(seal(1)),
    Code.SEAL_WRONG_BODY: _sealed(seal(1), seal(2), seal(3)),
    Code.FILE_CHANGED: _sealed(seal(1), seal(2, "file.digest")),
    Code.PAGE_MISMATCH: _sealed(seal(1), seal(2), pages=Different()),
    Code.VALID: _sealed(seal(1), seal(2)),
    Code.REVOKED: _acted(ActType.REVOKE),
    Code.VOID: _acted(ActType.VOID),
    Code.NOT_LOGGED: _not_logged,
    Code.SUSPENDED: _acted(ActType.SUSPEND),
    Code.SUPERSEDED: _acted(ActType.SUPERSEDE),
    Code.FORM_RETIRED: _form_retired,
    Code.REGISTRATION_EXPIRED: _registration_expired,
    Code.SPECIALTY_EXPIRED: _specialty_expired,
    Code.USAGE_EXPIRED: _usage_expired,
    Code.NOT_YET_VALID: _not_yet_valid,
    Code.NOT_A_USAGE_COPY: _not_a_usage_copy,
    Code.PURPOSE_MISMATCH: _purpose_mismatch,
    Code.CLOCK_SUSPECT: _clock_suspect,
    Code.STALE: _stale,
    Code.CANNOT_DECIDE: _cannot_decide,
    Code.VALID_COMPARE: _valid_compare,
}


def test_every_verdict_but_the_reserved_has_a_case() -> None:
    assert set(CASES) == VERDICTS - RESERVED


@pytest.mark.parametrize("code", CASES)
def test_verdict_in_both_languages_with_its_rule(code: Code) -> None:
    report = CASES[code]()
    assert report.verdict is code
    message = report.context.messages.of(code)
    for lang, sentence in (("zh", message.zh), ("en", message.en)):
        text = report_to_text(report, lang)  # type: ignore[arg-type]
        squeezed = "".join(text.split())
        assert f"[{code}]" in text
        assert "".join(sentence.split()) in squeezed
    row = report_to_json(report)
    assert row["verdict"] == code.value
    findings = {item["code"]: item for item in row["findings"]}  # type: ignore[index,union-attr,call-overload]
    if code in FINDINGS:
        assert findings[code.value]["severity"] == "blocks"  # type: ignore[index,call-overload]
        assert findings[code.value]["rule"].startswith(message.rule)  # type: ignore[index,union-attr,call-overload]
    elif code is Code.CANNOT_DECIDE:
        named = {item.code for item in report.findings if item.severity is Severity.BLOCKS}
        assert named
        assert not named & VERDICTS


# --- borders


@pytest.mark.parametrize("extra", [0, 1])
def test_usage_window_ends_with_its_last_day(extra: int) -> None:
    world = World()
    report = verify_text(world.issue_one().text, world.context(at=DAY + 180 + extra))
    assert report.verdict is (Code.USAGE_EXPIRED if extra else Code.VALID_COMPARE)


def test_usage_expired_cites_the_notice() -> None:
    report = _usage_expired()
    finding = next(item for item in report.findings if item.code is Code.USAGE_EXPIRED)
    assert "三（二）" in finding.rule
    assert "《关于开展一级建造师电子注册证书试点工作的通知》" in finding.rule_en


def test_the_judging_day_without_at_is_the_civil_day_of_china() -> None:
    world = World()
    issued = world.issue_one()
    last = noon(DAY + 180) + 12 * HOUR - 1  # 23:59:59 +08:00 of the last day

    def judged_at(now: int) -> Code:
        world.now = now - HOUR  # data an hour old
        return verify_text(issued.text, world.context(now=now)).verdict

    assert judged_at(last) is Code.VALID_COMPARE
    assert judged_at(last + 1) is Code.USAGE_EXPIRED


@pytest.mark.parametrize(
    ("policy", "age", "verdict", "finding"),
    [
        ("site", 0, Code.VALID_COMPARE, None),
        ("site", 24 * HOUR, Code.VALID_COMPARE, None),
        ("site", 24 * HOUR + 1, Code.VALID_COMPARE, Code.DATA_AGED),
        ("site", 7 * 24 * HOUR, Code.VALID_COMPARE, Code.DATA_AGED),
        ("site", 7 * 24 * HOUR + 1, Code.STALE, Code.STALE),
        ("bid", 24 * HOUR, Code.VALID_COMPARE, None),
        ("bid", 24 * HOUR + 1, Code.STALE, Code.STALE),
        ("audit", HOUR, Code.VALID_COMPARE, None),
        ("audit", HOUR + 1, Code.STALE, Code.STALE),
    ],
)
def test_freshness_by_policy(policy: str, age: int, verdict: Code, finding: Code | None) -> None:
    world = World()
    issued = world.issue_one()
    report = verify_text(issued.text, world.trusting(policy=policy, now=world.now + age))
    assert report.verdict is verdict
    codes = {item.code for item in report.findings}
    assert finding in codes if finding else not codes & {Code.DATA_AGED, Code.STALE}


def test_clock_behind_the_trust_data_stands_before_not_yet_valid_without_at_and_after_with() -> None:
    world = World()
    issued = world.issue_one()
    yesterday = world.now - 24 * HOUR
    report = verify_text(issued.text, world.context(now=yesterday))
    assert {Code.CLOCK_SUSPECT, Code.NOT_YET_VALID} <= {item.code for item in report.findings}
    assert report.verdict is Code.CLOCK_SUSPECT
    late = verify_text(issued.text, world.context(now=yesterday, at=DAY - 1))
    assert late.verdict is Code.NOT_YET_VALID
    wrong = world.context(now=yesterday, at=DAY, expect=Expectations(purpose="x"))
    assert verify_text(issued.text, wrong).verdict is Code.PURPOSE_MISMATCH
    assert verify_text(issued.text, world.context(now=yesterday, at=DAY)).verdict is Code.CLOCK_SUSPECT


def test_expired_beats_a_suspect_clock() -> None:
    world = World()
    issued = world.issue_one(registered_until=DAY - 10)
    report = verify_text(issued.text, world.context(now=world.now - 1))
    assert report.verdict is Code.REGISTRATION_EXPIRED


def test_status_postdating_the_judging_day_is_stated_and_judged_as_it_stands() -> None:
    world = World()
    issued = world.issue_one()
    world.now += 24 * HOUR
    world.act(ActType.REVOKE, issued.claims.serial)
    report = verify_text(issued.text, world.context(at=DAY))
    assert report.verdict is Code.REVOKED
    assert Code.REVOCATION_POSTDATES in {item.code for item in report.findings}
    same_day = verify_text(issued.text, world.context(at=DAY + 1))
    assert Code.REVOCATION_POSTDATES not in {item.code for item in same_day.findings}


def test_reinstated_is_valid_again() -> None:
    world = World()
    issued = world.issue_one()
    world.act(ActType.SUSPEND, issued.claims.serial)
    assert verify_text(issued.text, world.context()).verdict is Code.SUSPENDED
    world.act(ActType.REINSTATE, issued.claims.serial)
    assert verify_text(issued.text, world.context()).verdict is Code.VALID_COMPARE


# --- serials


def _codes(report: Report) -> set[Code]:
    return {item.code for item in report.findings}


@pytest.mark.parametrize(("age", "newer"), [(0, True), (1, True), (2, False)])
def test_serial_above_the_list(age: int, newer: bool) -> None:
    """A list made on day D decides copies issued on D − 1 or later that it has not heard of."""
    world = World()
    world.issue_one()
    world.publish_status()
    late = world.issue_one(copy_issued_on=DAY - age)
    report = verify_text(late.text, world.context(publish=False))
    assert report.verdict is (Code.VALID_COMPARE if newer else Code.CANNOT_DECIDE)
    assert (Code.SERIAL_NEWER_THAN_LIST if newer else Code.SERIAL_NOT_IN_LIST) in _codes(report)


def test_serial_above_the_list_but_logged_below_its_heads_is_not_decided() -> None:
    """The list covers the entry and yet does not know the serial: it is not the list of this log."""
    world = World()
    known, hidden = world.issue(world.claims(), world.claims(serial=1))
    world.issuers[1].states.pop(1)
    world.issuers[1].next_serial = 1
    report = verify_text(hidden.text, world.context())
    assert report.verdict is Code.CANNOT_DECIDE
    assert Code.SERIAL_NOT_IN_LIST in _codes(report)
    assert verify_text(known.text, world.context()).verdict is Code.VALID_COMPARE


def test_void_serial_that_was_never_issued() -> None:
    world = World()
    world.issue_one()
    world.act(ActType.VOID, 1)
    never = world.claims(serial=1)
    token = sign_credential(never, world.issuers[1].credential_signer)
    report = verify_text(to_digits(token), world.context())
    assert report.verdict is Code.VOID
    assert Code.NOT_LOGGED in _codes(report)


def test_no_list_is_no_decision() -> None:
    world = World()
    issued = world.issue_one()
    report = verify_text(issued.text, world.context(publish=False))
    assert report.verdict is Code.CANNOT_DECIDE
    assert Code.STATUS_MISSING in _codes(report)
    assert report_to_json(report)["trust"]["freshness"] == "none"  # type: ignore[index,call-overload]


# --- compromise


@pytest.mark.parametrize(
    ("above", "verdict"), [(-1, Code.KEY_COMPROMISED), (0, Code.KEY_COMPROMISED), (1, Code.VALID_COMPARE)]
)
def test_compromised_key_below_at_and_above_its_last_good_size(above: int, verdict: Code) -> None:
    world = World()
    world.issue_one(issuer=2)
    issued = world.issue_one()
    world.compromise(world.issuers[1].credential_signer.public_key.kid, {1: issued.index + above})
    assert verify_text(issued.text, world.context()).verdict is verdict


def test_compromised_key_counts_in_no_origin_that_the_event_does_not_name() -> None:
    world = World()
    issued = world.issue_one(log=2)
    kid = world.issuers[1].credential_signer.public_key.kid
    world.compromise(kid, {1: 1_000})
    assert verify_text(issued.text, world.context()).verdict is Code.KEY_COMPROMISED
    world.compromise(kid, {1: 1_000, 2: issued.index + 1})
    assert verify_text(issued.text, world.context()).verdict is Code.VALID_COMPARE


def test_compromised_key_without_inclusion() -> None:
    world = World()
    issued = world.issue_one()
    world.compromise(world.issuers[1].credential_signer.public_key.kid, {1: 1_000})
    report = verify_text(to_digits(issued.bare), world.context())
    assert report.verdict is Code.KEY_COMPROMISED
    assert Code.NOT_LOGGED in _codes(report)


def test_compromised_receipt_key_downgrades_its_receipts() -> None:
    world = World()
    issued = world.issue_one()
    world.compromise(world.logs[1].receipt_signer.public_key.kid, {1: 1_000})
    report = verify_text(issued.text, world.context())
    assert report.verdict is Code.NOT_LOGGED
    assert Code.RECEIPT_KEY_COMPROMISED in _codes(report)
    # the full receipt stands on another key and still counts
    whole = pdf(attached(issued.token), seen(issued.text), receipts=(world.logs[1].full_receipt(issued.index),))
    (report,) = verify_extracted(whole, world.context(), "x.pdf")
    assert report.verdict is Code.VALID_COMPARE


def test_compromised_checkpoint_key_downgrades_full_receipts_and_refuses_lists() -> None:
    world = World()
    issued = world.issue_one()
    world.publish_status()
    world.compromise(world.logs[1].checkpoint_signer.public_key.kid, {1: 1_000})
    whole = pdf(attached(issued.bare), receipts=(world.logs[1].full_receipt(issued.index),))
    (report,) = verify_extracted(whole, world.context(), "x.pdf")
    assert {Code.NOT_LOGGED, Code.RECEIPT_KEY_COMPROMISED, Code.STATUS_REFUSED} <= _codes(report)
    assert report.verdict is Code.NOT_LOGGED


def test_retired_keys_verify_what_they_signed_in_their_time() -> None:
    world = World()
    issued = world.issue_one()
    for kid in (world.issuers[1].credential_signer.public_key.kid, world.logs[1].receipt_signer.public_key.kid):
        world.change_key(kid, retired_on=DAY)
    assert verify_text(issued.text, world.context()).verdict is Code.VALID_COMPARE
    world.change_key(world.logs[1].receipt_signer.public_key.kid, retired_on=DAY - 2)
    assert verify_text(issued.text, world.context()).verdict is Code.RECEIPT_INVALID
    world.change_key(world.issuers[1].credential_signer.public_key.kid, retired_on=DAY - 1)
    assert Code.KEY_OUT_OF_SCOPE in _codes(verify_text(issued.text, world.context()))


# --- key, version, scope


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": 7}, "kind"),
        ({"jurisdiction": 11}, "jurisdiction"),
        ({"issuing_body": 9}, "issuing_body"),
        ({"sealing_body": 9}, "sealing_body"),
        ({"copy_issued_on": parse_day("2025-12-31")}, "issued_on"),
        ({"copy_issued_on": parse_day("2028-01-01")}, "issued_on"),
    ],
)
def test_key_out_of_scope_names_the_field(changes: dict[str, object], field: str) -> None:
    world = World()
    issued = world.issue_one(**changes)
    report = verify_text(issued.text, world.context(at=DAY))
    assert report.verdict is Code.KEY_OUT_OF_SCOPE
    named = [item.evidence["field"] for item in report.findings if item.code is Code.KEY_OUT_OF_SCOPE]
    assert named == [field]


def test_a_key_of_another_role_is_no_issuer() -> None:
    world = World()
    token = sign_credential(world.claims(), world.issuers[1].status_signer)
    assert verify_text(to_digits(token), world.context()).verdict is Code.UNKNOWN_ISSUER


def test_a_status_list_is_no_credential() -> None:
    world = World()
    context = world.context()
    assert verify_text(to_digits(world.blobs["status/1.cbor"]), context).verdict is Code.UNKNOWN_ISSUER


def _of_version(world: World, version: int) -> str:
    """A well-signed credential of another format version."""
    key = world.issuers[1].credential_signer
    payload = cbor.encode({4: 57_600, 6: 57_600, -65_537: {0: version, 1: "future"}})
    protected = cose.protected_header(int(key.public_key.alg), key.public_key.kid)
    signature = key.sign(cose.sig_structure(protected, payload))
    return to_digits(
        cose.encode_sign1(cose.Sign1(protected=protected, unprotected={}, payload=payload, signature=signature))
    )


def test_a_good_signature_over_an_unknown_version_asks_for_an_update() -> None:
    world = World()
    report = verify_text(_of_version(world, 2), world.context())
    assert report.verdict is Code.CANNOT_DECIDE
    assert Code.VERSION_UNKNOWN in _codes(report)
    assert report.subject is None


def test_an_unknown_version_under_a_compromised_key_is_compromised() -> None:
    world = World()
    world.compromise(world.issuers[1].credential_signer.public_key.kid, {1: 1_000})
    assert verify_text(_of_version(world, 2), world.context()).verdict is Code.KEY_COMPROMISED


def test_malformed_claims_under_a_good_signature_are_forged() -> None:
    world = World()
    report = verify_text(_of_version(world, 1), world.context())
    assert report.verdict is Code.FORGED


# --- windows and profile


def test_usage_copy_without_exp_where_the_profile_has_a_window_is_forged() -> None:
    world = World()
    report = verify_text(world.issue_one(usage_until=None).text, world.context())
    assert report.verdict is Code.FORGED


def test_approval_copy_passes_on_site_and_is_noted() -> None:
    world = World()
    issued = world.issue_one(copy=Copy.APPROVAL, purpose=None, usage_until=None)
    report = verify_text(issued.text, world.context())
    assert report.verdict is Code.VALID_COMPARE
    noted = next(item for item in report.findings if item.code is Code.NOT_A_USAGE_COPY)
    assert noted.severity is Severity.NOTE


def test_without_a_profile_nothing_is_decided() -> None:
    world = World()
    world.blobs = {name: data for name, data in world.blobs.items() if "constructor.1" not in name}
    issued = world.issue_one()
    report = verify_text(issued.text, world.context())
    assert report.verdict is Code.CANNOT_DECIDE
    assert Code.PROFILE_MISSING in _codes(report)
    assert verify_text(issued.text, world.context(at=DAY + 181)).verdict is Code.USAGE_EXPIRED


@pytest.mark.parametrize("policy", ["site", "bid", "audit"])
def test_a_window_longer_than_the_rule_is_found(policy: str) -> None:
    world = World()
    report = verify_text(world.issue_one(usage_until=DAY + 181).text, world.trusting(policy=policy))
    found = next(item for item in report.findings if item.code is Code.WINDOW_TOO_LONG)
    assert found.evidence["allowed_until"] == format_day(DAY + 180)
    assert found.evidence["binding"] == "D180"
    assert report.verdict is (Code.VALID_COMPARE if policy == "site" else Code.CANNOT_DECIDE)


def test_a_window_past_the_sixty_fifth_birthday_is_found() -> None:
    world = World()
    born = parse_day("1961-09-01")
    report = verify_text(world.issue_one(birth=born).text, world.context())
    found = next(item for item in report.findings if item.code is Code.WINDOW_TOO_LONG)
    assert found.evidence["allowed_until"] == "2026-09-01"
    assert found.evidence["binding"] == "AGE65"


def test_a_window_that_should_not_have_opened_is_found() -> None:
    world = World()
    report = verify_text(world.issue_one(birth=parse_day("1950-01-01")).text, world.context())
    assert Code.WINDOW_TOO_LONG in _codes(report)


def test_a_copy_without_the_specialty_its_rule_needs_is_measured_by_the_registration() -> None:
    world = World()
    report = verify_text(world.issue_one(specialties=(), registered_until=DAY + 100).text, world.context())
    found = next(item for item in report.findings if item.code is Code.WINDOW_TOO_LONG)
    assert found.evidence["allowed_until"] == format_day(DAY + 100)


LINES = (
    Specialty(code=1, first_day=DAY - 400, last_day=DAY - 1),
    Specialty(code=2, first_day=DAY + 30, last_day=DAY + 600),
    Specialty(code=12, first_day=DAY - 300, last_day=DAY + 700),
)


@pytest.mark.parametrize(
    ("expected", "verdict"),
    [
        (None, Code.VALID_COMPARE),
        ("12", Code.VALID_COMPARE),
        ("机电工程", Code.VALID_COMPARE),
        ("10401012", Code.VALID_COMPARE),
        ("1", Code.SPECIALTY_EXPIRED),
        ("建筑工程", Code.SPECIALTY_EXPIRED),
        ("2", Code.NOT_YET_VALID),
        ("3", Code.SPECIALTY_EXPIRED),
        ("没有这个专业", Code.SPECIALTY_EXPIRED),
    ],
)
def test_expected_specialty(expected: str | None, verdict: Code) -> None:
    world = World()
    issued = world.issue_one(specialties=LINES)
    report = verify_text(issued.text, world.context(expect=Expectations(specialty=expected)))
    assert report.verdict is verdict
    if expected in {None, "12"}:
        assert {Code.SPECIALTY_LAPSED, Code.SPECIALTY_NOT_BEGUN} <= _codes(report)


@pytest.mark.parametrize("expected", ["1", None])
@pytest.mark.parametrize(
    ("day", "verdict"),
    [
        (DAY - 6, Code.NOT_YET_VALID),
        (DAY - 5, Code.VALID_COMPARE),
        (DAY + 5, Code.VALID_COMPARE),
        (DAY + 6, Code.SPECIALTY_EXPIRED),
    ],
)
def test_first_and_last_day_of_a_specialty_are_inside(expected: str | None, day: int, verdict: Code) -> None:
    world = World()
    only = (Specialty(code=1, first_day=DAY - 5, last_day=DAY + 5),)
    early = {"copy_issued_on": DAY - 20, "certificate_issued_on": DAY - 20, "usage_until": DAY + 20}
    issued = world.issue_one(specialties=only, **early)
    assert verify_text(issued.text, world.context(at=day, expect=Expectations(specialty=expected))).verdict is verdict
    both = (*only, Specialty(code=2, first_day=DAY - 20, last_day=DAY + 20))
    report = verify_text(world.issue_one(specialties=both, **early).text, world.context(at=day))
    assert (Code.SPECIALTY_LAPSED in _codes(report)) is (day == DAY + 6)
    assert (Code.SPECIALTY_NOT_BEGUN in _codes(report)) is (day == DAY - 6)


def test_a_specialty_that_begins_today_is_not_waited_for() -> None:
    """Between one that has ended and one that begins later, the later one's first day is named."""
    world = World()
    lines = (
        Specialty(code=1, first_day=DAY - 400, last_day=DAY - 1),
        Specialty(code=2, first_day=DAY + 1, last_day=DAY + 600),
        Specialty(code=3, first_day=DAY + 9, last_day=DAY + 600),
    )
    report = verify_text(world.issue_one(specialties=lines).text, world.context())
    finding = next(item for item in report.findings if item.code is Code.NOT_YET_VALID)
    assert finding.evidence["first_day"] == format_day(DAY + 1)


def test_the_expired_specialty_is_the_verdict_and_only_the_others_are_lapsed() -> None:
    world = World()
    lines = (
        Specialty(code=1, first_day=DAY - 400, last_day=DAY - 2),
        Specialty(code=2, first_day=DAY - 400, last_day=DAY - 1),
        Specialty(code=12, first_day=DAY - 400, last_day=DAY + 400),
    )
    issued = world.issue_one(specialties=lines)
    report = verify_text(issued.text, world.context(expect=Expectations(specialty="1")))
    assert report.verdict is Code.SPECIALTY_EXPIRED
    lapsed = [item.evidence["specialty"] for item in report.findings if item.code is Code.SPECIALTY_LAPSED]
    assert lapsed == [2]


def test_handwriting_is_a_duty_where_the_notice_speaks_of_it() -> None:
    world = World()
    found = next(
        item
        for item in verify_text(world.issue_one().text, world.context()).findings
        if item.code is Code.HANDWRITING_COMPARE
    )
    assert found.severity is Severity.DUTY
    assert "三（三）" in found.rule


def test_no_specialty_runs_some_ended_some_not_begun() -> None:
    world = World()
    issued = world.issue_one(specialties=LINES[:2])
    report = verify_text(issued.text, world.context())
    assert report.verdict is Code.NOT_YET_VALID


def test_a_copy_issued_before_its_certificate_is_not_yet_valid() -> None:
    world = World()
    issued = world.issue_one(certificate_issued_on=DAY + 3)
    assert verify_text(issued.text, world.context(at=DAY + 2)).verdict is Code.NOT_YET_VALID
    assert verify_text(issued.text, world.context(at=DAY + 3)).verdict is Code.VALID_COMPARE


def test_old_form_is_equal_until_its_last_day() -> None:
    world = World()
    world.give_notice(_old_form(DAY))
    issued = world.issue_one()
    report = verify_text(issued.text, world.context())
    assert report.verdict is Code.VALID_COMPARE
    assert Code.FORM_OLD_EQUAL in _codes(report)
    assert verify_text(issued.text, world.context(at=DAY + 1)).verdict is Code.FORM_RETIRED


def test_purpose_must_be_equal_and_present() -> None:
    world = World()
    context = Expectations(purpose="甲项目投标")
    issued, without = world.issue_one(), world.issue_one(purpose=None)
    assert verify_text(issued.text, world.context(expect=context)).verdict is Code.VALID_COMPARE
    assert verify_text(without.text, world.context(expect=context)).verdict is Code.PURPOSE_MISMATCH


# --- trust


@pytest.mark.parametrize("policy", ["bid", "audit"])
def test_unsigned_trust_blocks_unless_its_fingerprint_is_confirmed(policy: str) -> None:
    world = World()
    issued = world.issue_one()
    assert verify_text(issued.text, world.context(policy=policy)).verdict is Code.CANNOT_DECIDE
    assert verify_text(issued.text, world.trusting(policy=policy)).verdict is Code.VALID_COMPARE


@pytest.mark.parametrize("policy", ["site", "bid", "audit"])
def test_another_fingerprint_than_the_confirmed_blocks_everywhere(policy: str) -> None:
    world = World()
    context = world.context(policy=policy, expect=Expectations(trust_fingerprint="0" * 64))
    report = verify_text(world.issue_one().text, context)
    assert report.verdict is Code.CANNOT_DECIDE
    assert Code.TRUST_FINGERPRINT_DIFFERS in _codes(report)


def test_with_a_quorum_nobody_meets_lists_are_refused_and_receipts_the_logs_word_only() -> None:
    """Trust data that demands witnesses decides nothing without them."""
    world = World()
    world.demand("group g 2 w1 w2 w3", quorum="g")
    world.cosign("w1")
    issued = world.issue_one()
    for policy in ("site", "bid", "audit"):
        report = verify_text(issued.text, world.context(policy=policy))
        assert report.verdict is Code.CANNOT_DECIDE
        assert {Code.LOG_WORD_ONLY, Code.STATUS_REFUSED} <= _codes(report)
    severity = {
        policy: world.context(policy=policy).policy.severity(Code.LOG_WORD_ONLY) for policy in ("site", "bid", "audit")
    }
    assert severity == {"site": Severity.DUTY, "bid": Severity.BLOCKS, "audit": Severity.BLOCKS}


def test_identity_is_the_hash_of_what_was_signed() -> None:
    world = World()
    issued = world.issue_one()
    row = report_to_json(verify_text(issued.text, world.context()))
    bare = report_to_json(verify_text(to_digits(issued.bare), world.context()))
    assert row["credential"]["identity"] == issued.identity.hex()  # type: ignore[index,call-overload]
    assert bare["credential"]["identity"] == issued.identity.hex()  # type: ignore[index,call-overload]
    assert hashlib.sha256(issued.token).hexdigest() != issued.identity.hex()
