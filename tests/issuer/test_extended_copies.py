"""A copy issued while a blanket extension stands bears the moved ends and caps (docs/spec/notices.md, New copies).

Liaoning's own extension of 2022 (liaoning-2022, 末段) and the signed notices of an office; both sides of every border.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from noticebodies import extension, retraction
from office import DAY, NOW, Office, person

from mingzheng.formats.civil import format_day, parse_day
from mingzheng.formats.claims import Claims, Copy, Sex, parse_claims
from mingzheng.formats.credential import attach_receipt
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import Profile
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.formats.rules_renewal import ApplicationFacts, RenewalAnswer, renewal_application
from mingzheng.issuer import show
from mingzheng.issuer.errors import RegistrationEndedError, WindowRefusedError
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.issue import Job, issue_file, prepare
from mingzheng.issuer.lifecycle import find_registration, plan_reissue
from mingzheng.issuer.noticework import give, preview, propose
from mingzheng.issuer.plan import Allotment, CopyOrder, Plan, plan_copy, profile_of
from mingzheng.issuer.record import ApplicationRecord, RecordSpecialty
from mingzheng.issuer.standing import standing_extensions
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import IssuerRecord
from mingzheng.log.noticebody import ExtensionBody, Moves, NoticeBody
from mingzheng.verifier.context import Expectations, Judging, TrustSource, build_context
from mingzheng.verifier.findings import Code
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import verify_text
from mingzheng.verifier.report import Report

PROFILES = load_shipped_profiles()
ISSUER = IssuerRecord(number=1, name="某省厅", name_en="A Department", bodies={1: "某省厅"}, prefixes=())
ALLOTMENT = Allotment(serial=7, salt=bytes(16), image_digest=bytes(32), has_photo=True, has_signature_image=True)


def day(text: str) -> int:
    return parse_day(text)


# --- Liaoning 2022: granted by the rules of the kind


def liaoning(end: str, *, specialty: str | None = None, birth: str = "1985-03-03") -> ApplicationRecord:
    line = RecordSpecialty(name="建筑工程", first_day=day("2019-06-01"), last_day=day(specialty or end))
    return ApplicationRecord(
        row=2,
        kind="cn.constructor.2",
        jurisdiction=21,
        name="王小明",
        sex=Sex.MALE,
        birth=day(birth),
        id_number=None,
        registration_no="辽2212006200712345",
        specialties=(line,),
        certificate_issued_on=day("2019-06-01"),
        employer="沈阳示例建设有限公司",
        registered_until=day(end),
        issuing_body="1",
        sealing_body="1",
        photo="1.jpg",
        signature_image="1.png",
        purpose=None,
    )


def governing(record: ApplicationRecord, on: int) -> Profile:
    found = profile_of(record, PROFILES, day=on)
    assert found is not None
    return found


def planned(
    record: ApplicationRecord, on: int, *, extensions: tuple[BlanketExtension, ...] = (), copy: Copy = Copy.USAGE
) -> Plan:
    order = CopyOrder(copy=copy, purpose=None, day=on, extensions=extensions)
    return plan_copy(record, governing(record, on), issuer=ISSUER, order=order, allotment=ALLOTMENT)


@pytest.mark.parametrize(
    ("end", "on", "until"),
    [
        ("2022-03-11", "2022-03-11", "2022-03-11"),  # the day before the range
        ("2022-03-12", "2022-03-11", "2022-03-12"),  # the day before it takes effect
        ("2022-03-12", "2022-03-12", "2022-07-31"),
        ("2022-03-12", "2022-03-13", "2022-07-31"),  # past the stated end
        ("2022-06-30", "2022-06-30", "2022-07-31"),
        ("2022-06-30", "2022-07-31", "2022-07-31"),  # the moved end itself
        ("2022-07-01", "2022-06-30", "2022-07-01"),  # the day after the range
    ],
)
def test_liaonings_extension_is_in_every_new_copy(end: str, on: str, until: str) -> None:
    """《关于对新版二级建造师注册申报系统的几点参考事项》末段: ends of 2022-03-12 to 06-30 are 07-31."""
    plan = planned(liaoning(end), day(on))
    assert format_day(plan.claims.registered_until) == until
    assert [format_day(item.last_day) for item in plan.claims.specialties] == [until]
    assert plan.claims.usage_until == day(until)  # the cap of the moved specialty, long before day 180
    assert bool(plan.extended) == (end != until)
    for item in plan.extended:
        assert (format_day(item.stated), format_day(item.end)) == (end, until)
        assert "几点参考事项》末段" in item.citations[0].text_zh()


def test_the_day_after_the_moved_end_nothing_is_issued() -> None:
    with pytest.raises(RegistrationEndedError) as caught:
        planned(liaoning("2022-06-30"), day("2022-08-01"))
    assert "2022-07-31" in caught.value.zh
    with pytest.raises(RegistrationEndedError):
        planned(liaoning("2022-03-11"), day("2022-03-12"))


def test_each_end_is_moved_by_itself() -> None:
    plan = planned(liaoning("2022-12-31", specialty="2022-06-30"), day("2022-07-15"))
    assert plan.claims.registered_until == day("2022-12-31")
    (only,) = plan.extended
    assert (only.specialty, format_day(only.end)) == ("建筑工程", "2022-07-31")


def test_an_approval_copy_bears_the_moved_end_too() -> None:
    plan = planned(liaoning("2022-06-30"), day("2022-07-15"), copy=Copy.APPROVAL)
    assert (plan.claims.registered_until, plan.claims.usage_until) == (day("2022-07-31"), None)


@pytest.mark.parametrize(
    ("on", "answer"),
    [
        ("2022-06-30", RenewalAnswer.TOO_EARLY),  # 31 days before the moved end
        ("2022-07-01", RenewalAnswer.OPEN),
        ("2022-07-26", RenewalAnswer.OPEN),
        ("2022-07-27", RenewalAnswer.TOO_LATE),  # 4 days before it
        ("2022-07-31", RenewalAnswer.TOO_LATE),
        ("2022-08-01", RenewalAnswer.EXPIRED_AUTO_CANCEL),
    ],
)
def test_renewal_counts_from_the_end_that_a_copy_bears(on: str, answer: RenewalAnswer) -> None:
    """liaoning-2022 一、3 and 二、一: 30 to 5 days before the end; 末段 moves the end."""
    record = liaoning("2022-06-30")
    end = planned(record, min(day(on), day("2022-07-31"))).claims.registered_until
    facts = ApplicationFacts(end=end, on=day(on), birth=record.birth)
    assert renewal_application(governing(record, day(on)), facts).answer is answer


# --- signed notices, by plan


END, NEW = DAY + 30, DAY + 90


def own(end: int = END, **changes: object) -> ApplicationRecord:
    line = RecordSpecialty(name="建筑工程", first_day=DAY - 500, last_day=end)
    base = liaoning("2022-06-30")
    national = {"kind": "cn.constructor.1", "jurisdiction": 0, "registration_no": "京1112006200712345"}
    return replace(base, **{**national, "specialties": (line,), "registered_until": end, **changes})  # type: ignore[arg-type]


def standing(*bodies: NoticeBody, on: int) -> tuple[BlanketExtension, ...]:
    return standing_extensions(bodies or (extension(),), on)


def borne(record: ApplicationRecord, on: int, *bodies: NoticeBody) -> int:
    return planned(record, on, extensions=standing(*bodies, on=on)).claims.registered_until


@pytest.mark.parametrize(("on", "until"), [(DAY + 4, END), (DAY + 5, NEW), (DAY + 6, NEW), (END + 1, NEW), (NEW, NEW)])
def test_from_the_effective_day_on(on: int, until: int) -> None:
    assert borne(own(), on, extension(effective_day=DAY + 5)) == until


@pytest.mark.parametrize(("end", "until"), [(END - 1, END - 1), (END, NEW), (END + 3, NEW), (END + 4, END + 4)])
def test_the_ends_of_the_range_and_no_other(end: int, until: int) -> None:
    assert borne(own(end), DAY, extension(first_end=END, last_end=END + 3)) == until


def test_of_another_kind_or_region_nothing_moves() -> None:
    assert borne(own(), DAY, extension(kinds=(2,))) == END
    assert borne(own(), DAY, extension(jurisdictions=(31,))) == END
    assert borne(own(jurisdiction=31), DAY, extension(jurisdictions=(31,))) == NEW


@pytest.mark.parametrize(("on", "until"), [(DAY + 6, NEW), (DAY + 7, END), (END, END)])
def test_after_a_retraction_a_copy_bears_the_stated_end(on: int, until: int) -> None:
    assert borne(own(), on, extension(), retraction(2, 1, DAY + 7)) == until


def test_after_a_retraction_what_is_past_its_stated_end_gets_no_copy() -> None:
    bodies = extension(), retraction(2, 1, END + 5)
    assert borne(own(), END + 4, *bodies) == NEW
    with pytest.raises(RegistrationEndedError):
        borne(own(), END + 5, *bodies)


def test_the_window_never_passes_day_180_nor_the_birthday() -> None:
    far = standing(extension(new_end=DAY + 900), on=DAY)
    assert planned(own(), DAY, extensions=far).claims.usage_until == DAY + 180
    old = own(birth=day("1961-08-01"))
    claims = planned(old, DAY, extensions=far).claims
    assert (claims.usage_until, claims.registered_until) == (day("2026-08-01"), DAY + 900)
    past = own(birth=day("1961-05-01"))
    with pytest.raises(WindowRefusedError):
        planned(past, DAY, extensions=far)


# --- at the desk, and as a verifier sees it


SPECIALTY, REGISTERED = parse_day("2027-01-01"), parse_day("2028-06-01")
NEAR = SPECIALTY - 20  # within 180 days of it
BODY = extension(first_end=SPECIALTY, last_end=SPECIALTY, new_end=SPECIALTY + 60, effective_day=DAY)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


def noon(on: int) -> int:
    return NOW + (on - DAY) * 86_400


def gives(workspace: Workspace, body: NoticeBody, *, on: int) -> None:
    give(workspace, propose(workspace, 1, lambda number: replace(body, number=number)), reason="", now=noon(on))


def issue_on(office: Office, workspace: Workspace, on: int, number: int = 1) -> tuple[Claims, str]:
    request = office.request([person(number)])
    (made,) = issue_file(workspace, request, out=office.out, now=noon(on)).issued
    row = made.row
    assert row.signed is not None
    assert row.receipt is not None
    return parse_claims(row.claims), to_digits(attach_receipt(row.signed, row.receipt))


def job_on(office: Office, workspace: Workspace, on: int) -> Job:
    (job,) = prepare(workspace, office.request([person(1)]), now=noon(on), store_images=False).jobs
    return job


def judged(office: Office, workspace: Workspace, text: str, on: int) -> Report:
    export_trust(workspace, office.base / "trust", now=noon(on))
    stored = load_store(office.base / "trust")
    context = build_context(
        TrustSource(data=stored.data, fingerprint=stored.fingerprint, signed=False),
        judging=Judging(now=noon(on), at=None, policy=load_policies()["site"]),
        expect=Expectations(),
        messages=load_messages(),
    )
    return verify_text(text, context)


def test_the_dry_run_names_the_notice_and_changes_nothing(office: Office) -> None:
    with office.open() as workspace:
        assert show.job_json(job_on(office, workspace, NEAR))["extended"] == []
        gives(workspace, BODY, on=DAY)
        before = workspace.ledger.counters(1)
        job = job_on(office, workspace, NEAR)
        assert workspace.ledger.counters(1) == before
    (line,) = show.job_json(job)["extended"]  # type: ignore[misc]
    assert (line["specialty"], line["stated"], line["until"]) == ("建筑工程", "2027-01-01", "2027-03-02")
    assert "延期通知第一条" in line["citations_zh"][0]
    for lang, word in (("zh", "专业 建筑工程有效期统一延期"), ("en", "specialty 建筑工程 extended")):
        text = show.job_text(job, lang)  # type: ignore[arg-type]
        assert word in text
        assert "延期通知第一条" in text
        assert "2027-01-01 → 2027-03-02" in text


def test_a_fresh_copy_holds_through_the_moved_end_and_is_not_moved_again(office: Office) -> None:
    with office.open() as workspace:
        old_claims, old = issue_on(office, workspace, NEAR - 1)
        gives(workspace, BODY, on=NEAR)
        claims, text = issue_on(office, workspace, NEAR)
        assert (old_claims.usage_until, claims.usage_until) == (SPECIALTY, SPECIALTY + 60)
        assert claims.specialties[0].last_day == SPECIALTY + 60
        for on, fresh, stale in (
            (SPECIALTY, Code.VALID_COMPARE, Code.VALID_COMPARE),
            (SPECIALTY + 1, Code.VALID_COMPARE, Code.USAGE_EXPIRED),
            (SPECIALTY + 60, Code.VALID_COMPARE, Code.USAGE_EXPIRED),
            (SPECIALTY + 61, Code.SPECIALTY_EXPIRED, Code.SPECIALTY_EXPIRED),
        ):
            report = judged(office, workspace, text, on)
            assert report.verdict is fresh, on
            codes = {item.code for item in report.findings}
            assert not codes & {Code.REGISTRATION_EXTENDED, Code.WINDOW_TOO_LONG}
            assert judged(office, workspace, old, on).verdict is stale


def test_a_moved_end_that_is_the_last_of_the_range_moves_to_itself(office: Office) -> None:
    body = replace(BODY, last_end=SPECIALTY + 60)
    with office.open() as workspace:
        gives(workspace, body, on=NEAR)
        claims, text = issue_on(office, workspace, NEAR)
        report = judged(office, workspace, text, NEAR)
    assert claims.specialties[0].last_day == SPECIALTY + 60
    assert Code.REGISTRATION_EXTENDED not in {item.code for item in report.findings}


def test_where_extensions_follow_each_other_old_and_new_copies_end_together(office: Office) -> None:
    more = replace(BODY, first_end=SPECIALTY + 60, last_end=SPECIALTY + 60, new_end=SPECIALTY + 90, revives=True)
    with office.open() as workspace:
        _, old = issue_on(office, workspace, NEAR - 1)
        gives(workspace, replace(BODY, moves=Moves.USAGE), on=NEAR)
        _, text = issue_on(office, workspace, NEAR)
        gives(workspace, replace(more, moves=Moves.USAGE), on=NEAR + 1)
        both, _ = issue_on(office, workspace, NEAR + 1)
        assert both.specialties[0].last_day == SPECIALTY + 90
        for on, verdict in ((SPECIALTY + 90, Code.VALID_COMPARE), (SPECIALTY + 91, Code.SPECIALTY_EXPIRED)):
            assert {judged(office, workspace, each, on).verdict for each in (old, text)} == {verdict}


def test_on_the_day_of_the_notice_itself_a_new_copy_is_made(office: Office) -> None:
    with office.open() as workspace:
        first, _ = issue_on(office, workspace, NEAR)
        again, _ = issue_on(office, workspace, NEAR)
        gives(workspace, BODY, on=NEAR)
        fresh, _ = issue_on(office, workspace, NEAR)
        same, _ = issue_on(office, workspace, NEAR)
    assert first.serial == again.serial != fresh.serial == same.serial


def test_a_notice_that_is_not_in_the_log_moves_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as workspace:
        with monkeypatch.context() as patch:
            patch.setattr("mingzheng.issuer.publish.submit_acts", lambda *_: None)
            gives(workspace, BODY, on=NEAR)
            assert job_on(office, workspace, NEAR).preview.extended == ()
        assert issue_on(office, workspace, NEAR)[0].usage_until == SPECIALTY + 60  # settled first


def test_a_retraction_names_the_copies_that_bear_the_moved_end(office: Office) -> None:
    with office.open() as workspace:
        old, _ = issue_on(office, workspace, NEAR - 1)
        gives(workspace, BODY, on=NEAR)
        fresh, text = issue_on(office, workspace, NEAR)
        other, _ = issue_on(office, workspace, NEAR, number=2)
        back = propose(workspace, 1, lambda number: retraction(number, 1, NEAR + 1))
        seen = preview(workspace, back)
        assert sorted((item.serial, item.ends) for item in seen.copies) == sorted(
            [(old.serial, (SPECIALTY,)), (fresh.serial, (SPECIALTY + 60,)), (other.serial, (SPECIALTY + 60,))]
        )
        give(workspace, back, reason="", now=noon(NEAR + 1))
        later, _ = issue_on(office, workspace, NEAR + 1)
        assert later.usage_until == SPECIALTY
        assert judged(office, workspace, text, SPECIALTY + 60).verdict is Code.VALID_COMPARE  # it bears that end


def test_a_preview_of_an_extension_names_no_copy_that_bears_its_new_end(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, BODY, on=NEAR)
        issue_on(office, workspace, NEAR)
        other: ExtensionBody = replace(BODY, first_end=SPECIALTY + 1, last_end=SPECIALTY + 1)
        assert preview(workspace, propose(workspace, 1, lambda number: replace(other, number=number))).copies == ()


def test_a_reissue_bears_the_moved_end_and_says_so(office: Office) -> None:
    with office.open() as workspace:
        issue_on(office, workspace, NEAR - 1)
        target = find_registration(workspace, kind=1, registration_no=person(1)["registration_no"], issuer=1)
        wanted = CopyOrder(copy=Copy.USAGE, purpose="投标", day=NEAR)
        before = plan_reissue(workspace, target, wanted=wanted, reason="", now=noon(NEAR))
        assert before.preview.claims.usage_until == SPECIALTY
        gives(workspace, BODY, on=NEAR)
        job = plan_reissue(workspace, target, wanted=wanted, reason="", now=noon(NEAR))
        assert job.preview.claims.usage_until == SPECIALTY + 60
        assert [item.end for item in job.preview.extended] == [SPECIALTY + 60]


def test_the_data_of_the_ledger_keep_the_stated_end(office: Office) -> None:
    with office.open() as workspace:
        first, _ = issue_on(office, workspace, NEAR - 1)
        gives(workspace, BODY, on=NEAR)
        fresh, _ = issue_on(office, workspace, NEAR)
        rows = [workspace.ledger.copy(1, claims.serial) for claims in (first, fresh)]
        assert rows[0].record == rows[1].record
        assert {str(row.status) for row in rows} == {"live"}


def test_without_a_notice_a_past_end_is_a_fault_and_with_it_none(office: Office) -> None:
    past = SPECIALTY + 1
    with office.open() as workspace:
        request = office.request([person(1)])
        refused = prepare(workspace, request, now=noon(past), store_images=False)
        assert [fault.code for fault in refused.faults] == ["plan.specialties_ended"]
        gives(workspace, BODY, on=past)
        allowed = prepare(workspace, request, now=noon(past), store_images=False)
        assert allowed.faults == ()
