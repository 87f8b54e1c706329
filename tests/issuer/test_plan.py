"""Plan of a copy: the rules of issue in one place, claims that the codec takes, typed refusals."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import Claims, Copy, Sex, Specialty, encode_claims, parse_claims
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import Cited, Profile, Requirement
from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.issuer.errors import (
    BirthAfterIssueError,
    ClaimsRefusedError,
    CopyBeforeCertificateError,
    NoProfileError,
    PlanError,
    PurposeError,
    RecordFaultyError,
    RegistrationEndedError,
    RequiredImageError,
    SpecialtiesEndedError,
    WindowRefusedError,
    WrongProfileError,
)
from mingzheng.issuer.plan import (
    Allotment,
    CopyOrder,
    check_records,
    find_body,
    plan_copy,
    plan_window,
    profile_of,
    record_faults,
)
from mingzheng.issuer.record import ApplicationRecord, ParsedRecords, RecordSpecialty
from mingzheng.keys.trust import IssuerRecord

PROFILES = load_shipped_profiles()
ISSUER = IssuerRecord(
    number=1, name="住房和城乡建设部", name_en="MOHURD", bodies={1: "住房和城乡建设部", 2: "行政审批处"}, prefixes=()
)
DAY = parse_day("2022-06-27")
BUILDING = RecordSpecialty(name="建筑工程", first_day=DAY - 500, last_day=DAY + 900)
RECORD = ApplicationRecord(
    row=2,
    kind="cn.constructor.1",
    jurisdiction=0,
    name="王小明",
    sex=Sex.MALE,
    birth=parse_day("1985-03-03"),
    id_number=None,
    registration_no="京1112006200712345",
    specialties=(BUILDING,),
    certificate_issued_on=DAY - 500,
    employer="北京示例建设有限公司",
    registered_until=DAY + 900,
    issuing_body="1",
    sealing_body="行政审批处",
    photo="1.jpg",
    signature_image="1.png",
    purpose=None,
)
ARCHITECT = replace(RECORD, kind="cn.architect.1", registration_no="20221100001", specialties=())
USAGE = CopyOrder(copy=Copy.USAGE, purpose=None, day=DAY)
APPROVAL = CopyOrder(copy=Copy.APPROVAL, purpose=None, day=DAY)
ALLOTMENT = Allotment(serial=7, salt=bytes(16), image_digest=bytes(32), has_photo=True, has_signature_image=True)


def governing(record: ApplicationRecord, day: int = DAY) -> Profile:
    found = profile_of(record, PROFILES, day=day)
    assert found is not None
    return found


def codes_of(record: ApplicationRecord, order: CopyOrder = USAGE) -> list[str]:
    parsed = ParsedRecords(records=(record,), faults=())
    checked = check_records(parsed, profiles=PROFILES, issuer=ISSUER, order=order)
    assert bool(checked.records) != bool(checked.faults)
    return [fault.code for fault in checked.faults]


def test_usage_copy() -> None:
    record = replace(RECORD, purpose="A项目投标")
    plan = plan_copy(record, governing(record), issuer=ISSUER, order=USAGE, allotment=ALLOTMENT)
    claims = plan.claims
    assert claims.usage_until == parse_day("2022-12-24")
    assert (claims.kind, claims.template, claims.serial) == (1, 1, 7)
    assert (claims.issuing_body, claims.sealing_body) == (1, 2)
    assert claims.specialties == (Specialty(code=1, first_day=DAY - 500, last_day=DAY + 900),)
    assert claims.purpose == "A项目投标"
    assert claims.copy_issued_on == DAY
    assert plan.window is not None
    assert plan.window.binding == ("D180",)
    assert [step.rule for step in plan.trace] == ["D180", "SPECIALTY", "AGE65"]
    assert parse_claims(encode_claims(claims)) == claims
    ordered = replace(USAGE, purpose="B项目投标")
    assert (
        plan_copy(record, governing(record), issuer=ISSUER, order=ordered, allotment=ALLOTMENT).claims.purpose
        == "B项目投标"
    )


def test_approval_copy_has_neither_end_nor_purpose() -> None:
    record = replace(RECORD, purpose="A项目投标")
    plan = plan_copy(record, governing(record), issuer=ISSUER, order=APPROVAL, allotment=ALLOTMENT)
    assert (plan.claims.usage_until, plan.claims.purpose, plan.window, plan.trace) == (None, None, None, ())
    with pytest.raises(PurposeError):
        plan_window(RECORD, governing(RECORD), order=replace(APPROVAL, purpose="A项目投标"))


def test_architect_and_safety_are_capped_by_the_registration() -> None:
    for kind in ("cn.architect.1", "cn.safety"):
        record = replace(ARCHITECT, kind=kind, registered_until=DAY + 30)
        plan = plan_copy(record, governing(record), issuer=ISSUER, order=USAGE, allotment=ALLOTMENT)
        assert plan.claims.usage_until == DAY + 30
        assert plan.window is not None
        assert plan.window.binding == ("REGISTRATION",)
        assert plan.claims.specialties == ()


def test_shaanxi_usage_copy_has_no_end_of_its_own() -> None:
    record = replace(
        RECORD, kind="cn.constructor.2", jurisdiction=61, registration_no="陕2612006200712345", signature_image=None
    )
    allotment = replace(ALLOTMENT, has_signature_image=False)
    plan = plan_copy(record, governing(record), issuer=ISSUER, order=USAGE, allotment=allotment)
    assert plan.claims.usage_until is None
    assert plan.window is not None
    assert plan.window.no_window is not None
    assert (plan.claims.kind, plan.claims.jurisdiction) == (2, 61)


def test_specialties_by_name_code_or_number_in_rising_order() -> None:
    written = [
        RecordSpecialty(name=name, first_day=DAY, last_day=DAY + place)
        for place, name in enumerate(("12", "10401010", "公路工程", "11", "建筑工程"))
    ]
    record = replace(RECORD, specialties=tuple(written))
    plan = plan_copy(record, governing(record), issuer=ISSUER, order=USAGE, allotment=ALLOTMENT)
    assert [item.code for item in plan.claims.specialties] == [1, 2, 10, 11, 12]
    assert plan.claims.usage_until == DAY + 4
    assert plan.claims.specialties[2].last_day == DAY + 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"registration_no": "京2112006200712345"}, "record.registration_no_form"),
        ({"registration_no": "京111200620071234"}, "record.registration_no_form"),
        ({"registration_no": "京１112006200712345"}, "record.registration_no_form"),
        ({"registration_no": "J1112006200712345"}, "record.registration_no_form"),
        ({"specialties": (replace(BUILDING, name="土木"),)}, "record.specialty_unknown"),
        ({"specialties": (BUILDING, replace(BUILDING, name="1"))}, "record.specialty_twice"),
        ({"specialties": ()}, "record.specialty_missing"),
        ({"employer": None}, "record.employer_missing"),
        ({"issuing_body": "3"}, "record.unknown_body"),
        ({"sealing_body": "别处"}, "record.unknown_body"),
    ],
)
def test_record_against_profile_and_issuer(change: dict[str, object], code: str) -> None:
    record = replace(RECORD, **change)  # type: ignore[arg-type]
    assert codes_of(record) == [code]
    with pytest.raises(RecordFaultyError) as caught:
        plan_copy(record, governing(record), issuer=ISSUER, order=USAGE, allotment=ALLOTMENT)
    assert caught.value.codes == (code,)
    assert caught.value.row == 2


def test_day_and_record_are_both_reported() -> None:
    record = replace(RECORD, employer=None, specialties=(), registered_until=DAY - 1)
    assert codes_of(record) == ["record.specialty_missing", "record.employer_missing", "plan.registration_ended"]
    with pytest.raises(RecordFaultyError):
        plan_window(replace(RECORD, specialties=()), governing(RECORD), order=USAGE)


def test_short_and_long_registration_numbers() -> None:
    for number in ("陕161061212345", "京1992006200712345"):
        assert codes_of(replace(RECORD, registration_no=number)) == []


def test_kinds_without_specialties_or_employer() -> None:
    assert codes_of(replace(ARCHITECT, specialties=(BUILDING,))) == ["record.specialty_unexpected"]
    profile = governing(ARCHITECT)
    bare = replace(profile, employer=Cited(value=Requirement.NONE, citation=profile.employer.citation))
    assert [fault.code for fault in record_faults(ARCHITECT, bare, ISSUER)] == ["record.employer_unexpected"]
    nobody = replace(ISSUER, bodies={})
    assert {fault.code for fault in record_faults(ARCHITECT, profile, nobody)} == {"record.unknown_body"}


def test_kind_and_images_are_checked_with_the_file() -> None:
    assert codes_of(replace(RECORD, kind="cn.constuctor.1")) == ["record.bad_kind"]
    assert codes_of(RECORD, replace(USAGE, day=parse_day("2021-01-31"))) == ["record.no_profile"]
    assert codes_of(replace(RECORD, photo=None, signature_image=None)) == [
        "record.photo_missing",
        "record.signature_image_missing",
    ]
    assert codes_of(RECORD) == []


def test_faults_of_parsing_and_of_planning_stand_in_row_order() -> None:
    late = replace(RECORD, row=5, registered_until=DAY - 1)
    early = replace(RECORD, row=3, employer=None)
    checked = check_records(
        ParsedRecords(records=(late, RECORD, early), faults=()), profiles=PROFILES, issuer=ISSUER, order=USAGE
    )
    assert [(fault.row, fault.code) for fault in checked.faults] == [
        (3, "record.employer_missing"),
        (5, "plan.registration_ended"),
    ]
    assert checked.records == (RECORD,)
    assert checked.faults[1].message_zh
    assert checked.faults[1].remedy_en


@pytest.mark.parametrize(
    ("record", "order", "error"),
    [
        (replace(RECORD, registered_until=DAY - 1), USAGE, RegistrationEndedError),
        (replace(RECORD, registered_until=DAY - 1), APPROVAL, RegistrationEndedError),
        (replace(RECORD, specialties=(replace(BUILDING, last_day=DAY - 1),)), USAGE, SpecialtiesEndedError),
        (replace(RECORD, specialties=(replace(BUILDING, first_day=DAY + 1),)), USAGE, SpecialtiesEndedError),
        (replace(RECORD, specialties=(replace(BUILDING, last_day=DAY - 1),)), APPROVAL, SpecialtiesEndedError),
        (replace(RECORD, certificate_issued_on=DAY + 1), USAGE, CopyBeforeCertificateError),
        (replace(RECORD, birth=DAY), USAGE, BirthAfterIssueError),
        (replace(RECORD, birth=RECORD.certificate_issued_on), USAGE, BirthAfterIssueError),
        (replace(RECORD, birth=parse_day("1957-06-26")), USAGE, WindowRefusedError),
    ],
)
def test_refused_on_that_day(record: ApplicationRecord, order: CopyOrder, error: type[PlanError]) -> None:
    with pytest.raises(error) as caught:
        plan_copy(record, governing(record), issuer=ISSUER, order=order, allotment=ALLOTMENT)
    assert caught.value.code == error.code
    assert codes_of(record, order) == [error.code]
    assert caught.value.zh
    assert caught.value.en
    assert record.name not in str(caught.value)


def test_borders_of_the_day() -> None:
    on_the_day = replace(
        RECORD,
        certificate_issued_on=DAY,
        registered_until=DAY,
        specialties=(replace(BUILDING, first_day=DAY, last_day=DAY),),
        birth=parse_day("1957-06-27"),
    )
    window = plan_window(on_the_day, governing(on_the_day), order=USAGE)
    assert window is not None
    assert window.usage_until == DAY
    assert window.binding == ("SPECIALTY", "AGE65")


def test_another_profile_is_refused() -> None:
    architect = governing(ARCHITECT)
    shanghai = PROFILES.select(2, 31, DAY)
    assert shanghai is not None
    second = replace(RECORD, kind="cn.constructor.2", jurisdiction=33)
    for record, profile, day in (
        (RECORD, architect, DAY),
        (second, shanghai, DAY),
        (RECORD, governing(RECORD), parse_day("2021-01-31")),
    ):
        with pytest.raises(WrongProfileError):
            plan_window(record, profile, order=replace(USAGE, day=day))


@pytest.mark.parametrize("what", ["photo", "signature"])
def test_required_images(what: str) -> None:
    missing = replace(ALLOTMENT, has_photo=what != "photo", has_signature_image=what != "signature")
    with pytest.raises(RequiredImageError) as caught:
        plan_copy(RECORD, governing(RECORD), issuer=ISSUER, order=USAGE, allotment=missing)
    assert caught.value.what == what


def test_ceilings_say_how_much_to_cut() -> None:
    order = replace(USAGE, purpose="投" * 44)
    with pytest.raises(ClaimsRefusedError) as caught:
        plan_copy(RECORD, governing(RECORD), issuer=ISSUER, order=order, allotment=ALLOTMENT)
    assert caught.value.field == "purpose"
    assert "4" in caught.value.en
    with pytest.raises(ClaimsRefusedError):
        plan_copy(RECORD, governing(RECORD), issuer=ISSUER, order=USAGE, allotment=replace(ALLOTMENT, salt=b"short"))


def test_bodies_by_number_or_name() -> None:
    assert [find_body(text, ISSUER) for text in ("1", "2", "行政审批处", "3", "")] == [1, 2, 2, None, None]


def test_no_profile_error_speaks() -> None:
    error = NoProfileError("cn.x.1", 31, DAY)
    assert "cn.x.1" in error.zh
    assert "2022-06-27" in error.en


def claims_or_error(record: ApplicationRecord, order: CopyOrder) -> Claims | PlanError:
    try:
        profile = governing(record, order.day)
        return plan_copy(record, profile, issuer=ISSUER, order=order, allotment=ALLOTMENT).claims
    except PlanError as error:
        return error


@given(
    day=st.integers(DAY - 500, DAY + 1_200),
    registered=st.integers(-10, 400),
    ends=st.lists(st.tuples(st.integers(-300, 10), st.integers(0, 400)), min_size=1, max_size=3),
    age_days=st.integers(-5, 400),
    copy=st.sampled_from(Copy),
)
def test_a_planned_copy_is_usable_on_its_day_and_never_beyond_its_rules(
    day: int, registered: int, ends: list[tuple[int, int]], age_days: int, copy: Copy
) -> None:
    names = ("建筑工程", "公路工程", "机电工程")
    record = replace(
        RECORD,
        birth=day + age_days - 23_741,  # turns 65 about age_days after the day
        certificate_issued_on=DAY - 700,
        registered_until=day + registered,
        specialties=tuple(
            RecordSpecialty(name=name, first_day=day + first, last_day=day + first + length)
            for name, (first, length) in zip(names, ends, strict=False)
        ),
    )
    order = CopyOrder(copy=copy, purpose=None, day=day)
    claims = claims_or_error(record, order)
    if isinstance(claims, PlanError):
        assert codes_of(record, order) == [claims.code]
        return
    assert codes_of(record, order) == []
    assert parse_claims(encode_claims(claims)) == claims
    assert day <= claims.registered_until
    assert (claims.usage_until is None) == (copy is Copy.APPROVAL)
    if claims.usage_until is not None:
        assert day <= claims.usage_until <= day + 180
        assert claims.usage_until <= max(item.last_day for item in claims.specialties)


def test_more_extensions_than_are_read_are_a_fault_of_the_row() -> None:
    """Not an error that ends the check of the file."""
    profile = profile_of(RECORD, PROFILES, day=DAY)
    assert profile is not None
    one = BlanketExtension(
        first_end=DAY,
        last_end=DAY,
        new_end=DAY,
        kinds=(1,),
        jurisdictions=(0,),
        effective_on=DAY,
        retracted_on=None,
        moves_usage_window=False,
        revives_copies=False,
        citation=profile.effective,
    )
    order = CopyOrder(copy=Copy.APPROVAL, purpose=None, day=DAY, extensions=(one,) * 1_001)
    found = check_records(ParsedRecords(records=(RECORD,), faults=()), profiles=PROFILES, issuer=ISSUER, order=order)
    assert "rules.bad_extension" in [fault.code for fault in found.faults]
    assert found.records == ()
