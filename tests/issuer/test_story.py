"""The story of a registration: everything that concerns it, nothing of others, no identity number."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from noticebodies import extension, old_form, retraction, seals
from office import DAY, NOW, ORIGIN, Office, person, picture
from operatoroffice import NAMES, OperatorOffice, approved, asked, operator_office, present, target_of

from mingzheng.cli import cli
from mingzheng.formats.civil import format_day, parse_day
from mingzheng.formats.claims import Copy
from mingzheng.formats.rules_renewal import RenewalAnswer
from mingzheng.issuer.approval import approve, ask, withdraw
from mingzheng.issuer.forget import forget
from mingzheng.issuer.issue import plan_jobs
from mingzheng.issuer.journal import parse_deed
from mingzheng.issuer.lifecycle import find_registration, find_serial, perform, plan_reissue, propose
from mingzheng.issuer.locking import change_lock
from mingzheng.issuer.noticework import asking, effect_of_notice, give
from mingzheng.issuer.noticework import propose as propose_notice
from mingzheng.issuer.publish import sign_act
from mingzheng.issuer.refusals import RegistrationUnknownError
from mingzheng.issuer.rows import Decision, NewAct, Registration
from mingzheng.issuer.schema import CopyStatus, RegistrationState
from mingzheng.issuer.showstory import story_json, story_lines
from mingzheng.issuer.story import Story, registrations_of, story_of
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.noticebody import NoticeBody

SCHEMA = json.loads((files("mingzheng.issuer") / "status.schema.json").read_text("utf-8"))
NO = person(1)["registration_no"]
SPECIALTY = parse_day("2027-01-01")
ID_NUMBER = "110101198503030011"


def told(workspace: Workspace, number: int = 1, *, today: int = DAY) -> Story:
    named = find_registration(workspace, kind=1, registration_no=person(number)["registration_no"], issuer=None)
    return story_of(workspace, named.registration, today=today)


def checked(story: Story) -> str:
    """The story as every form of output, which must fit the schema and hold no identity number."""
    said = ""
    for full in (False, True):
        item = story_json(story, full=full)
        Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(item)))
        said += json.dumps(item, ensure_ascii=False)
        for lang in ("zh", "en"):
            said += "\n".join(story_lines(story, lang, full=full))
    assert ID_NUMBER not in said
    return said


def gives(workspace: Workspace, body: NoticeBody, now: int) -> None:
    give(workspace, propose_notice(workspace, 1, lambda number: replace(body, number=number)), reason="通知", now=now)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path).build()
    made.issue([person(1, id_number=ID_NUMBER), person(2)])
    return made


def test_data_copies_acts_notices_and_locks_in_order(office: Office) -> None:
    changed = person(1, id_number=ID_NUMBER, employer="上海示例建设有限公司")
    office.issue([changed], copy=Copy.APPROVAL, now=NOW + 10)
    with office.open() as workspace:
        registration = told(workspace).registration
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=1)
        perform(workspace, ActType.SUSPEND, target, reason="调查", now=NOW + 20)
        gives(workspace, extension(first_end=SPECIALTY, last_end=SPECIALTY, new_end=SPECIALTY + 60), NOW + 30)
        for body in (old_form(template=999), seals(), retraction(0, 1, DAY + 9), retraction(0, 2, DAY + 9)):
            gives(workspace, body, NOW + 40)
        change_lock(workspace, registration, locked=True, reason="核查", now=NOW + 50)
        perform(workspace, ActType.REINSTATE, target, reason="查清", now=NOW + 60)
        story = told(workspace)
    assert [(item.changed, item.current) for item in story.data] == [((), False), (("employer",), True)]
    assert [(copy.row.status, copy.claims.copy) for copy in story.copies] == [
        ("superseded", Copy.USAGE),
        ("live", Copy.APPROVAL),
    ]
    assert [event.what for event in story.events] == [
        "supersede",
        "suspend",
        "registration-suspended",
        "notice-blanket_extension",
        "notice-seal_change",
        "notice-retraction",
        "lock",
        "reinstate",
        "registration-active",
    ]
    assert all(event.place is not None for event in story.events if event.number is not None)
    assert {event.place.origin for event in story.events if event.place is not None} == {ORIGIN.name}
    assert story.locked
    said = checked(story)
    for text in ("调查", "核查", "已锁定", "locked", "延期通知第一条", "usage copy", "批准件"):
        assert text in said


def test_ends_stand_where_notices_moved_them_and_the_rules_are_asked_today(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, extension(first_end=SPECIALTY, last_end=SPECIALTY, new_end=SPECIALTY + 60), NOW + 1)
        story = told(workspace, today=SPECIALTY + 35)
        registration, specialty = story.ends
        assert (specialty.stated, specialty.end) == (SPECIALTY, SPECIALTY + 60)
        assert specialty.renewal is not None
        assert specialty.renewal.answer is RenewalAnswer.OPEN
        assert registration.renewal is not None
        assert registration.renewal.answer is RenewalAnswer.TOO_EARLY
        assert str(story.copies[0].window) == "USAGE_EXPIRED"
        said = checked(story)
        assert "原至 2027-01-01" in said
        assert "was 2027-01-01" in said
        bare = replace(story, ends=(replace(specialty, renewal=None, rule=()),))
        assert "没有适用的规则" in checked(bare)


def test_a_copy_on_its_way_shows_as_waiting(office: Office) -> None:
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=1)
        plan_jobs(workspace, [plan_reissue(workspace, target, wanted=None, reason="", now=NOW + 1)])
        story = told(workspace)
        assert [(copy.row.state, copy.place is None) for copy in story.copies][1] == ("planned", True)
        assert "未入日志" in checked(story)
        assert [(item.reissued, item.changed) for item in story.data][1] == (1, ("certificate_issued_on",))


def test_images_that_changed_are_named(office: Office) -> None:
    (office.base / "other.png").write_bytes(picture(310, 430))
    (office.base / "ink.png").write_bytes(picture(310, 110))
    office.issue([person(1, id_number=ID_NUMBER, photo="other.png", signature_image="ink.png")], now=NOW + 9)
    with office.open() as workspace:
        assert told(workspace).data[1].changed == ("photo", "signature_image")


def test_nothing_of_others(office: Office) -> None:
    with office.open() as workspace:
        serial = told(workspace, 2).copies[0].row.serial
        perform(workspace, ActType.REVOKE, find_serial(workspace, serial=serial, issuer=1), reason="x", now=NOW + 1)
        story = told(workspace)
        assert story.events == ()
        said = checked(story)
        assert person(2)["registration_no"] not in said
        assert person(2)["name"] not in said


def test_an_act_that_names_others_too_counts_them(office: Office) -> None:
    with office.open() as workspace:
        serials = tuple(sorted(row.serial for row in workspace.ledger.all_copies()))
        act = NewAct(issuer=1, act=2, serials=serials, day=DAY, reason="both", status=CopyStatus.SUSPENDED)
        workspace.ledger.store_acts([act], sign=lambda new, number: sign_act(workspace, new, number, by=None))
        (event,) = told(workspace).events
        assert (len(event.serials), event.others, event.place) == (1, 1, None)
        assert "另有 1 份" in checked(told(workspace))


def test_both_persons_and_what_waits(tmp_path: Path) -> None:
    made: OperatorOffice = operator_office(tmp_path)
    with made.open() as workspace:
        approved(workspace, asked(workspace))
        revoked = told(workspace)
        assert [(event.what, event.operators, event.reason) for event in revoked.events] == [
            ("revoke", NAMES, "why"),
            ("registration-revoked", NAMES, "why"),
        ]
        said = checked(revoked)
        assert "张三、李四" in said
        assert revoked.ends == ()
        assert "已撤销，不再延续" in said
        (line,) = [line for line in story_lines(revoked, "zh", full=False) if line.startswith("  序号 ")]
        assert "已撤销" in line
        assert "可使用" not in line
        me = present(workspace, NAMES[0])
        proposal = propose(workspace, ActType.REVOKE, target_of(workspace, 2), reason="坏\x1b[2J人", now=NOW)
        assert proposal is not None
        ask(workspace, proposal, me, now=NOW)
        notice = propose_notice(workspace, 1, lambda number: seals(number))
        ask(workspace, asking(notice, reason="印章"), me, now=NOW)
        waiting = told(workspace, 2)
        assert sorted((item.what, item.operator) for item in waiting.pending) == [
            ("revoke", NAMES[0]),
            ("seal_change", NAMES[0]),
        ]
        assert [item.what for item in told(workspace).pending] == ["seal_change"]
        assert "\x1b" not in "".join(story_lines(waiting, "zh", full=True))
        checked(waiting)
        assert told(workspace, 2, today=DAY + 7).pending
        assert told(workspace, 2, today=DAY + 8).pending == ()
        workspace.ledger._db.execute("DROP TRIGGER request_kept")  # somebody wrote into the file
        workspace.ledger._db.execute("UPDATE request SET target = x''")
        assert [item.what for item in told(workspace, 2).pending] == ["seal_change"]


def test_a_retraction_that_waits_shows_where_its_notice_does(tmp_path: Path) -> None:
    made = operator_office(tmp_path)
    with made.open() as workspace:
        for body in (seals(1), replace(seals(2), kinds=(2,))):  # the second concerns no copy here
            given = propose_notice(workspace, 1, lambda _number, body=body: body)
            row = ask(workspace, asking(given, reason=""), present(workspace, NAMES[0]), now=NOW)
            approve(workspace, row.id, present(workspace, NAMES[1]), effects=effect_of_notice, now=NOW)
        for ended, waiting in ((2, []), (1, ["retraction"])):
            back = propose_notice(workspace, 1, lambda number, ended=ended: retraction(number, ended, DAY + 9))
            row = ask(workspace, asking(back, reason="误发"), present(workspace, NAMES[0]), now=NOW)
            assert [item.what for item in told(workspace).pending] == waiting
            withdraw(workspace, row.id, present(workspace, NAMES[1]), reason="", now=NOW)


def test_what_is_not_there_or_forgotten(office: Office) -> None:
    with office.open() as workspace:
        for kind, number, issuer in ((1, "京0", None), (2, NO, None), (1, NO, 9), (None, "", None)):
            with pytest.raises(RegistrationUnknownError):
                registrations_of(workspace, number, kind=kind, issuer=issuer)
        (named,) = registrations_of(workspace, NO, kind=None, issuer=None)
        with pytest.raises(RegistrationUnknownError):
            story_of(workspace, Registration(issuer=1, kind=2, registration_no=NO), today=DAY)
        forget(workspace, named, reason="", now=NOW + 86_400 * 1_500)
        (hidden,) = workspace.ledger._db.execute(
            "SELECT registration_no FROM registration WHERE record = x''"
        ).fetchone()
        with pytest.raises(RegistrationUnknownError):
            story_of(workspace, replace(named, registration_no=hidden), today=DAY)
        with pytest.raises(RegistrationUnknownError):
            registrations_of(workspace, NO, kind=None, issuer=None)


def test_it_changes_nothing(office: Office) -> None:
    before = (office.root / "ledger.sqlite").read_bytes()
    with office.open() as workspace:
        told(workspace)
    assert (office.root / "ledger.sqlite").read_bytes() == before


@pytest.fixture
def command(office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr("mingzheng.issuer.options.access_of", lambda _secret: office.access)

    def call(*more: str, number: str = NO) -> Result:
        head = ["status", "--workspace", str(office.root), "--registration", number, "--as-of", format_day(DAY)]
        return CliRunner().invoke(cli, [*head, *more])

    return call


def test_the_command(command: Callable[..., Result]) -> None:
    short = json.loads(command("--json").stdout)
    assert short["holder"] == {"name": person(1)["name"]}
    assert short["data"][0]["digest"] is None
    full = json.loads(command("--json", "--full", "--kind", "cn.constructor.1").stdout)
    assert full["holder"]["birth"] == "1985-03-03"
    assert len(full["data"][0]["digest"]) == 64
    zh, en = command().stdout, command("--lang", "en", "--full").stdout
    assert "使用件" in zh
    assert "1985-03-03" not in zh
    assert "usage copy" in en
    assert "1985-03-03" in en
    assert isinstance(command(number="京0").exception, RegistrationUnknownError)
    assert command("--kind", "cn.plumber").exit_code == 2


def told_by_the_journal(workspace: Workspace, registration: Registration) -> list[tuple[object, ...]]:
    """Acts and decisions of a registration, out of every act and every row there is."""
    desk = workspace.ledger.desk
    deeds, places = [parse_deed(row.body) for row in desk.journal()], desk.positions()
    by_act = {(deed.issuer, number): deed for deed in deeds for number in deed.acts}
    ours = {row.serial for row in workspace.ledger.copies_of(registration)}
    found: list[tuple[object, ...]] = []
    for (issuer, number), act in desk.told().acts.items():
        raw = act.serials
        serials = [int.from_bytes(raw[at : at + 8], "big") for at in range(0, len(raw), 8)]
        mine = tuple(serial for serial in serials if serial in ours)
        if issuer == registration.issuer and mine:
            deed, index = by_act[issuer, number], places.get((issuer, number), (0, None))[1]
            found.append((deed.what, deed.operators, deed.number, number, mine, len(serials) - len(mine), index))
    by_decision = {deed.decision: deed for deed in deeds if deed.decision}
    for number, decision in desk.decisions(registration).items():
        deed = by_decision[number]
        found.append((f"registration-{decision.state}", deed.operators, deed.number, None, (), 0, None))
    return sorted(found, key=str)


def told_by_the_story(story: Story) -> list[tuple[object, ...]]:
    return sorted(
        (
            (
                *(event.what, event.operators, event.order, event.number, event.serials, event.others),
                None if event.place is None else event.place.index,
            )
            for event in story.events
        ),
        key=str,
    )


def test_the_story_says_what_the_whole_journal_says(tmp_path: Path) -> None:
    made = operator_office(tmp_path)
    with made.open() as workspace:
        me, you = present(workspace, NAMES[0]), present(workspace, NAMES[1])
        for number, kind, who in ((1, ActType.SUSPEND, me), (2, ActType.SUSPEND, you), (1, ActType.REINSTATE, you)):
            perform(workspace, kind, target_of(workspace, number), reason="", now=NOW, operator=who)
        approved(workspace, asked(workspace, number=2))
        both = tuple(sorted(row.serial for row in workspace.ledger.all_copies()))
        act = NewAct(issuer=1, act=2, serials=both, day=DAY, reason="", status=CopyStatus.SUSPENDED)
        workspace.ledger.store_acts([act], sign=lambda new, number: sign_act(workspace, new, number, by=me.signer))
        for number, count in ((1, 5), (2, 5)):
            story = told(workspace, number)
            assert told_by_the_story(story) == told_by_the_journal(workspace, story.registration)
            assert len(story.events) == count
        database = workspace.ledger._db  # somebody wrote into the file: no act gets another's names
        database.execute("UPDATE act SET journal = journal - 1")
        database.execute("UPDATE decision SET journal = 1")
        assert {event.operators for event in told(workspace).events} == {()}


def test_a_story_costs_its_own_rows(office: Office) -> None:
    """Thousands of acts on others, rows of the journal and ended requests are not read."""
    with office.open() as workspace:
        database, steps = workspace.ledger._db, 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        def cost() -> int:
            nonlocal steps
            steps = 0
            database.set_progress_handler(count, 1)
            told(workspace)
            database.set_progress_handler(None, 0)
            return steps

        before = cost()
        (other,) = workspace.ledger.copies_of(told(workspace, 2).registration)
        act = NewAct(issuer=1, act=2, serials=(other.serial,), day=DAY, reason="x", status=CopyStatus.SUSPENDED)
        held = Decision(registration=other.registration, state=RegistrationState.SUSPENDED, day=DAY, reason="x")
        for _ in range(20):
            workspace.ledger.store_acts([act] * 100, sign=lambda _new, _number: b"entry", decision=held)
        database.executemany(
            "INSERT INTO request VALUES (?, 1, x'', x'', '', '', x'', 'done')",
            [(number.to_bytes(8, "big"),) for number in range(2_000)],
        )
        assert cost() <= before + 50
