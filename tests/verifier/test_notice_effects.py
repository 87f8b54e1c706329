"""What believed notices do to copies, day by day (docs/spec/notices.md, Extension, Retired form, Retraction)."""

from dataclasses import replace

import pytest
from noticebodies import extension, old_form, retraction
from simulator import DAY, Issued, World

from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Copy, Specialty
from mingzheng.log.noticebody import Moves, NoticeBody
from mingzheng.verifier.batch import verify_batch
from mingzheng.verifier.context import Expectations
from mingzheng.verifier.findings import Code, Finding
from mingzheng.verifier.pipeline import verify_text
from mingzheng.verifier.report import Report

END = DAY + 30  # of registration, specialties and usage window of the copies below
NEW = DAY + 90
EFFECTIVE = DAY + 10
OK = Code.VALID_COMPARE


def issue(world: World, *, end: int = END, **changes: object) -> Issued:
    """A usage copy of a registration that ends on `end`, and its window and specialties with it."""
    lines = (Specialty(code=1, first_day=DAY - 400, last_day=end),)
    fields: dict[str, object] = {"registered_until": end, "specialties": lines, "usage_until": end, **changes}
    return world.issue_one(**fields)  # type: ignore[arg-type]


def judged(world: World, issued: Issued, on: int, **settings: object) -> Report:
    """The report on a day; the batch must agree."""
    context = world.context(at=on, **settings)  # type: ignore[arg-type]
    report = verify_text(issued.text, context)
    assert verify_batch([issued.token], context) == (report.verdict,)
    return report


def verdicts(world: World, issued: Issued, *days: int) -> list[Code]:
    return [judged(world, issued, day).verdict for day in days]


def found(report: Report, code: Code) -> Finding | None:
    return next((item for item in report.findings if item.code is code), None)


def world_with(*bodies: NoticeBody) -> World:
    world = World()
    for body in bodies:
        world.give_notice(body)
    return world


# --- extension


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        # (moves, revives) and where the copy's own window ends; judged on the last day of the moved registration
        ({"moves": Moves.REGISTRATION, "revives": False}, Code.USAGE_EXPIRED),
        ({"moves": Moves.USAGE, "revives": False}, OK),
        ({"moves": Moves.REGISTRATION, "revives": True}, OK),
        ({"moves": Moves.USAGE, "revives": True}, OK),
    ],
)
def test_a_copy_that_had_not_run_out_when_the_notice_took_effect(changes: dict[str, object], verdict: Code) -> None:
    world = world_with(extension(effective_day=EFFECTIVE, **changes))
    issued = issue(world)
    assert verdicts(world, issued, END, END + 1, NEW) == [OK, verdict, verdict]
    assert verdicts(world, issued, NEW + 1) == [Code.REGISTRATION_EXPIRED]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"moves": Moves.REGISTRATION, "revives": False}, Code.USAGE_EXPIRED),
        ({"moves": Moves.USAGE, "revives": False}, Code.USAGE_EXPIRED),
        ({"moves": Moves.REGISTRATION, "revives": True}, OK),
        ({"moves": Moves.USAGE, "revives": True}, OK),
    ],
)
def test_a_copy_that_had_run_out_when_the_notice_took_effect(changes: dict[str, object], verdict: Code) -> None:
    world = world_with(extension(effective_day=END + 1, **changes))
    assert verdicts(world, issue(world), END, END + 1, NEW, NEW + 1) == [
        *(OK, verdict, verdict, Code.REGISTRATION_EXPIRED),
    ]


def test_the_day_of_effect_is_the_last_day_that_a_window_may_end_on_to_be_moved() -> None:
    body = extension(first_end=EFFECTIVE - 1, last_end=END, effective_day=EFFECTIVE, moves=Moves.USAGE)
    world = world_with(body)
    ended, ends = issue(world, end=EFFECTIVE - 1), issue(world, end=EFFECTIVE)
    assert verdicts(world, ended, EFFECTIVE) == [Code.USAGE_EXPIRED]
    assert verdicts(world, ends, EFFECTIVE + 1, NEW) == [OK, OK]


@pytest.mark.parametrize(("end", "moved"), [(END - 6, False), (END - 5, True), (END + 5, True), (END + 6, False)])
def test_borders_of_the_range(end: int, moved: bool) -> None:
    world = world_with(extension(first_end=END - 5, last_end=END + 5, effective_day=EFFECTIVE))
    expected = Code.USAGE_EXPIRED if moved else Code.REGISTRATION_EXPIRED
    assert verdicts(world, issue(world, end=end), end, end + 1) == [OK, expected]


def test_before_its_effective_day_it_moves_nothing() -> None:
    world = world_with(extension(effective_day=END + 20, revives=True))
    assert verdicts(world, issue(world), END + 19, END + 20) == [Code.REGISTRATION_EXPIRED, OK]


def test_past_a_window_that_a_notice_moved_the_finding_says_until_when_and_by_which_clause() -> None:
    world = world_with(extension(effective_day=EFFECTIVE, moves=Moves.USAGE))
    issued = issue(world)
    late = found(judged(world, issued, NEW + 1), Code.USAGE_EXPIRED)
    assert late is not None
    assert late.evidence == {"usage_until": format_day(END), "extended_until": format_day(NEW)}
    plain = found(judged(World(), issue(World()), END + 1), Code.USAGE_EXPIRED)
    assert plain is not None
    assert plain.rule.startswith("docs/spec/verdicts.md §windows; 《")
    assert late.rule == plain.rule


def test_what_the_findings_say() -> None:
    world = world_with(extension(effective_day=EFFECTIVE))
    report = judged(world, issue(world), END + 1)
    moved = {"extended_until": format_day(NEW), "notice": "1"}
    note, expired = found(report, Code.REGISTRATION_EXTENDED), found(report, Code.USAGE_EXPIRED)
    assert note is not None
    assert expired is not None
    assert note.evidence == {"registered_until": format_day(END), **moved}
    assert expired.evidence == {"usage_until": format_day(END), **moved}
    assert "第 1 号公告：延期通知第一条" in expired.rule
    assert "notice 1: 延期通知第一条" in expired.rule_en
    late = found(judged(world, issue(world), NEW + 1), Code.REGISTRATION_EXPIRED)
    assert late is not None
    assert late.evidence == {"registered_until": format_day(END), **moved}


def test_a_moved_window_is_named_in_the_note() -> None:
    world = world_with(extension(effective_day=EFFECTIVE, moves=Moves.USAGE))
    note = found(judged(world, issue(world), END + 1), Code.REGISTRATION_EXTENDED)
    assert note is not None
    assert note.evidence["usage_until"] == format_day(NEW)


def test_day_180_is_never_moved() -> None:
    """Whatever a notice moves or revives: no copy outlives its 180 days."""
    for changes in ({"moves": Moves.USAGE}, {"revives": True}, {"moves": Moves.USAGE, "revives": True}):
        body = extension(effective_day=EFFECTIVE, last_end=DAY + 180, new_end=DAY + 300, **changes)  # type: ignore[arg-type]
        world = world_with(body)
        issued, full = issue(world), issue(world, end=DAY + 180)
        for each in (issued, full):
            assert verdicts(world, each, DAY + 180, DAY + 181, DAY + 300) == [
                *(OK, Code.USAGE_EXPIRED, Code.USAGE_EXPIRED),
            ]


def test_a_window_that_another_cap_binds_is_not_moved() -> None:
    """The copy ends at day 180, in the range by chance: its registration's moved end does not lengthen it."""
    world = world_with(extension(first_end=DAY + 170, last_end=DAY + 190, new_end=DAY + 400, moves=Moves.USAGE))
    issued = issue(world, end=DAY + 185, usage_until=DAY + 180)
    assert verdicts(world, issued, DAY + 180, DAY + 181) == [OK, Code.USAGE_EXPIRED]


def test_a_birthday_is_never_moved() -> None:
    """The holder turns 65 on day 60: a copy that ends then stays so, one that ended before goes on to then."""
    world = world_with(extension(first_end=END, last_end=DAY + 60, effective_day=DAY, moves=Moves.USAGE, revives=True))
    birth = world.day + 60 - 23_741  # 65 years back, leap days included
    issued = issue(world, birth=birth)
    on = [day for day in range(END, NEW + 1) if judged(world, issued, day).verdict is OK]
    assert on == list(range(END, on[-1] + 1))
    assert abs(on[-1] - (DAY + 60)) <= 1  # the birthday itself is the window's rule (formats.window)


def test_specialties_move_by_themselves() -> None:
    world = world_with(extension(effective_day=EFFECTIVE, moves=Moves.USAGE))
    lines = (
        Specialty(code=1, first_day=DAY - 400, last_day=END),
        Specialty(code=12, first_day=DAY - 400, last_day=END - 3),
    )
    issued = world.issue_one(specialties=lines, usage_until=END)  # its registration ends far later
    assert verdicts(world, issued, END + 1, NEW, NEW + 1) == [OK, OK, Code.SPECIALTY_EXPIRED]
    note = found(judged(world, issued, END + 1), Code.REGISTRATION_EXTENDED)
    assert note is not None
    assert note.evidence == {
        "specialty": 1, "last_day": format_day(END), "extended_until": format_day(NEW), "notice": "1",
    }  # fmt: skip
    assert found(judged(world, issued, END + 1), Code.SPECIALTY_LAPSED) is not None  # 12: out of the range
    wanted = Expectations(specialty="1")
    assert judged(world, issued, NEW, expect=wanted).verdict is OK


def test_an_approval_copy_ends_with_the_registration_it_was_issued_with() -> None:
    for changes, verdict in (
        ({}, Code.USAGE_EXPIRED),
        ({"moves": Moves.USAGE}, OK),
        ({"revives": True}, OK),
    ):
        world = world_with(extension(effective_day=EFFECTIVE, **changes))  # type: ignore[arg-type]
        issued = issue(world, copy=Copy.APPROVAL, purpose=None, usage_until=None)
        assert verdicts(world, issued, END, END + 1, NEW, NEW + 1) == [
            *(OK, verdict, verdict, Code.REGISTRATION_EXPIRED),
        ]


def test_a_copy_whose_window_goes_beyond_its_registration_needs_no_fresh_one() -> None:
    world = world_with(extension(effective_day=EFFECTIVE))
    issued = issue(world, usage_until=END + 40)
    report = judged(world, issued, END + 1)
    assert found(report, Code.USAGE_EXPIRED) is None
    assert found(report, Code.REGISTRATION_EXPIRED) is None


def test_a_copy_out_of_its_window_while_its_registration_runs_is_as_ever() -> None:
    world = world_with(extension(effective_day=EFFECTIVE))
    report = judged(world, issue(world, usage_until=END - 10), END - 5)
    expired = found(report, Code.USAGE_EXPIRED)
    assert expired is not None
    assert expired.evidence == {"usage_until": format_day(END - 10)}


def test_a_copy_issued_under_moved_windows_is_not_too_long() -> None:
    body = extension(effective_day=DAY, moves=Moves.USAGE)
    world = world_with(body)
    issued = issue(world, usage_until=NEW)
    assert found(judged(world, issued, NEW, policy="bid"), Code.WINDOW_TOO_LONG) is None
    world = world_with(replace(body, moves=Moves.REGISTRATION))
    assert found(judged(world, issue(world, usage_until=NEW), END), Code.WINDOW_TOO_LONG) is not None


def test_without_a_profile_no_window_moves() -> None:
    world = world_with(extension(effective_day=EFFECTIVE, moves=Moves.USAGE, revives=True))
    issued = issue(world)
    world.blobs = {name: data for name, data in world.blobs.items() if not name.startswith("profiles/")}
    report = judged(world, issued, END + 1)
    assert found(report, Code.USAGE_EXPIRED) is not None
    note = found(report, Code.REGISTRATION_EXTENDED)
    assert note is not None
    assert "usage_until" not in note.evidence


def test_where_the_rules_cannot_say_no_window_moves() -> None:
    """The cap by specialties lacks its fact."""
    world = world_with(extension(effective_day=EFFECTIVE, moves=Moves.USAGE, revives=True))
    issued = issue(world, specialties=())
    assert verdicts(world, issued, END + 1) == [Code.USAGE_EXPIRED]


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"jurisdictions": (0,)}, True),
        ({"jurisdictions": (31,)}, True),
        ({"jurisdictions": (21, 31, 61)}, True),
        ({"jurisdictions": (21,)}, False),
        ({"kinds": (1, 2)}, True),
        ({"kinds": (2,)}, False),
    ],
)
def test_other_kinds_and_jurisdictions_are_left_alone(changes: dict[str, object], moved: bool) -> None:
    world = world_with(extension(effective_day=EFFECTIVE, **changes))
    expected = Code.USAGE_EXPIRED if moved else Code.REGISTRATION_EXPIRED
    assert verdicts(world, issue(world, jurisdiction=31), END + 1) == [expected]


def test_a_province_notice_leaves_national_copies_alone() -> None:
    world = world_with(extension(effective_day=EFFECTIVE, jurisdictions=(31,)))
    assert verdicts(world, issue(world, jurisdiction=0), END + 1) == [Code.REGISTRATION_EXPIRED]


def test_another_issuers_notice_does_nothing_here() -> None:
    world = World()
    world.give_notice(extension(effective_day=EFFECTIVE, revives=True), issuer=2)
    assert verdicts(world, issue(world), END + 1) == [Code.REGISTRATION_EXPIRED]


def test_overlapping_extensions_lead_to_the_latest_end_together() -> None:
    first = extension(1, effective_day=EFFECTIVE)
    second = extension(2, effective_day=EFFECTIVE, first_end=NEW - 5, last_end=NEW + 5, new_end=NEW + 60)
    world = world_with(first, second)
    report = judged(world, issue(world), NEW + 1)
    note = found(report, Code.REGISTRATION_EXTENDED)
    assert note is not None
    assert note.evidence["notice"] == "1 2"
    assert note.evidence["extended_until"] == format_day(NEW + 60)
    assert verdicts(world, issue(world), NEW + 60, NEW + 61) == [Code.USAGE_EXPIRED, Code.REGISTRATION_EXPIRED]


def test_retraction_is_judged_on_the_day() -> None:
    back = END + 20
    world = world_with(extension(1, effective_day=EFFECTIVE, revives=True), retraction(2, 1, back))
    issued = issue(world)
    assert verdicts(world, issued, back - 1, back) == [OK, Code.REGISTRATION_EXPIRED]
    assert found(judged(world, issued, back), Code.REGISTRATION_EXTENDED) is None


def test_a_retracted_retraction() -> None:
    back = END + 20
    bodies = (
        extension(1, effective_day=EFFECTIVE, revives=True), retraction(2, 1, back), retraction(3, 2, back + 5),
    )  # fmt: skip
    world = world_with(*bodies)
    assert verdicts(world, issue(world), back - 1, back, back + 4, back + 5) == [
        *(OK, Code.REGISTRATION_EXPIRED, Code.REGISTRATION_EXPIRED, OK),
    ]


def test_the_liaoning_notice() -> None:
    """notices 003: ends of 2022-03-12 to 06-30 become 2022-07-31; who wants the electronic copy applies again."""
    span = {"first_end": DAY, "last_end": DAY + 110, "new_end": DAY + 141, "effective_day": DAY}
    world = world_with(extension(**span))  # type: ignore[arg-type]
    assert verdicts(world, issue(world, end=DAY + 110), DAY + 110, DAY + 111, DAY + 141, DAY + 142) == [
        *(OK, Code.USAGE_EXPIRED, Code.USAGE_EXPIRED, Code.REGISTRATION_EXPIRED),
    ]
    fresh = issue(world, end=DAY + 141)
    assert verdicts(world, fresh, DAY + 111, DAY + 141, DAY + 142) == [OK, OK, Code.REGISTRATION_EXPIRED]


# --- retired form


def test_equal_until_its_day_and_retired_after_it() -> None:
    world = world_with(old_form(equal_until=DAY + 5))
    issued = world.issue_one()
    assert verdicts(world, issued, DAY, DAY + 5, DAY + 6) == [OK, OK, Code.FORM_RETIRED]
    equal = found(judged(world, issued, DAY + 5), Code.FORM_OLD_EQUAL)
    assert equal is not None
    assert equal.evidence == {"template": 1, "until": format_day(DAY + 5), "notice": 1}
    assert "某通知第三条" in equal.rule


def test_never_equal_from_the_notices_day_on() -> None:
    world = World(DAY - 1)
    issued = world.issue_one()
    world.now += 86_400
    world.give_notice(old_form(equal_until=None))
    assert verdicts(world, issued, DAY - 1, DAY) == [OK, Code.FORM_RETIRED]
    assert found(judged(world, issued, DAY - 1), Code.FORM_OLD_EQUAL) is None


def test_a_notice_about_paper_says_so() -> None:
    world = world_with(old_form(equal_until=DAY, paper=True))
    equal = found(judged(world, world.issue_one(), DAY), Code.FORM_OLD_EQUAL)
    assert equal is not None
    assert equal.evidence["reason"] == "notice.paper"


@pytest.mark.parametrize(
    ("changes", "retired"),
    [({}, True), ({"template": 2}, False), ({"kinds": (2,)}, False), ({"jurisdictions": (31,)}, False)],
)
def test_other_forms_are_left_alone(changes: dict[str, object], retired: bool) -> None:
    world = world_with(old_form(**changes))  # type: ignore[arg-type]
    assert verdicts(world, world.issue_one(), DAY) == [Code.FORM_RETIRED if retired else OK]


def test_everywhere_is_every_province() -> None:
    world = world_with(old_form())
    assert verdicts(world, world.issue_one(jurisdiction=31), DAY) == [Code.FORM_RETIRED]


def test_of_two_notices_about_a_form_the_later_holds_and_a_retraction_gives_the_earlier_back() -> None:
    bodies = (old_form(1, equal_until=DAY + 5), old_form(2, equal_until=DAY + 9), retraction(3, 2, DAY + 8))
    world = world_with(*bodies)
    issued = world.issue_one()
    assert verdicts(world, issued, DAY + 6, DAY + 7, DAY + 8) == [OK, OK, Code.FORM_RETIRED]


def test_a_later_notice_about_another_kind_does_not_hide_the_one_that_concerns_this() -> None:
    world = world_with(old_form(1), old_form(2, kinds=(2,), equal_until=DAY + 9))
    assert verdicts(world, world.issue_one(), DAY) == [Code.FORM_RETIRED]
