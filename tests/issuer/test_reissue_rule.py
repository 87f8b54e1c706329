"""A re-issue asks the rule of re-issue: `mingzheng rules reissue` and the act give one answer, clause and all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from office import CONSTRUCTORS, DAY, NOW, person
from operatoroffice import NAMES, OperatorOffice, present

from mingzheng.cli import cli
from mingzheng.formats.civil import day_start, format_day, parse_day
from mingzheng.formats.rules_reissue import ReissueAnswer
from mingzheng.issuer.approval import ask, withdraw
from mingzheng.issuer.errors import PlanError
from mingzheng.issuer.lifecycle import Target, find_registration, perform, plan_reissue, propose, reissue, reissue_rule
from mingzheng.issuer.locking import change_lock
from mingzheng.issuer.refusals import RefusalError
from mingzheng.issuer.reissueerrors import ReissueAgeError, ReissueExpiredError, ReissuePendingError
from mingzheng.issuer.reissuing import reissue_json, reissue_text
from mingzheng.issuer.rows import RequestRow
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType

UNTIL = "2026-07-31"
TURNS_65 = "1961-06-10"
ROWS = {
    "sh": {"kind": "cn.constructor.2", "jurisdiction": "31", "registration_no": "沪2312006200712345"},
    "ln": {
        "kind": "cn.constructor.2",
        "jurisdiction": "21",
        "registration_no": "辽2212006200712345",
        "birth_date": TURNS_65,
    },
    "first": {},
}


def noon(text: str) -> int:
    return day_start(parse_day(text)) + 43_200


@pytest.fixture
def office(tmp_path: Path) -> OperatorOffice:
    made = OperatorOffice(tmp_path, issuers=(replace(CONSTRUCTORS, jurisdictions=(0, 21, 31)),)).build()
    made.issue([person(1, registered_until=UNTIL) | row for row in ROWS.values()])
    return made


def of(workspace: Workspace, name: str) -> Target:
    row = person(1) | ROWS[name]
    kind = int(row["kind"][-1])
    return find_registration(workspace, kind=kind, registration_no=row["registration_no"], issuer=1)


def asked(workspace: Workspace, target: Target) -> RequestRow:
    proposal = propose(workspace, ActType.REVOKE, target, reason="why", now=NOW)
    assert proposal is not None
    return ask(workspace, proposal, present(workspace, NAMES[0]), now=NOW)


def said(name: str, on: str, *, pending: bool = False) -> dict[str, object]:
    """What `mingzheng rules reissue` answers to the same facts."""
    row = person(1) | ROWS[name]
    words = ["--kind", row["kind"], "--jurisdiction", row["jurisdiction"], "--on", on, "--registered-until", UNTIL]
    words += ["--birth", row["birth_date"], *(("--pending",) if pending else ())]
    value: dict[str, object] = json.loads(CliRunner().invoke(cli, ["rules", "reissue", *words, "--json"]).output)
    return {key: value[key] for key in ("answer", "issued_on", "registered_until", "supersedes", "binding", "trace")}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("on", ["2026-06-10", "2026-06-11", UNTIL, "2026-08-01"])
def test_the_act_and_the_question_give_one_answer(office: OperatorOffice, name: str, on: str) -> None:
    with office.open() as workspace:
        target = of(workspace, name)
        found = reissue_rule(workspace, target, now=noon(on))
        assert reissue_json(found) == said(name, on)
        good = found.answer in (ReissueAnswer.ALLOWED, ReissueAnswer.NO_RULE)
        if good and on != "2026-08-01":
            job = plan_reissue(workspace, target, wanted=None, reason="", now=noon(on))
            claims = job.preview.claims
            assert (format_day(claims.certificate_issued_on), format_day(claims.registered_until)) == (on, UNTIL)
        else:
            with pytest.raises((RefusalError, PlanError)) as caught:
                plan_reissue(workspace, target, wanted=None, reason="", now=noon(on))
            assert caught.value.code in {"reissue.expired", "reissue.age", "plan.registration_ended"}


def test_an_ended_registration_is_refused_by_the_rule_and_its_clause(office: OperatorOffice) -> None:
    with office.open() as workspace, pytest.raises(ReissueExpiredError) as caught:
        plan_reissue(workspace, of(workspace, "sh"), wanted=None, reason="", now=noon("2026-08-01"))
    assert "》二" in caught.value.zh


def test_liaoning_exchanges_nothing_past_the_birthday(office: OperatorOffice) -> None:
    with office.open() as workspace:
        plan_reissue(workspace, of(workspace, "ln"), wanted=None, reason="", now=noon("2026-06-10"))
        with pytest.raises(ReissueAgeError) as caught:
            plan_reissue(workspace, of(workspace, "ln"), wanted=None, reason="", now=noon("2026-06-11"))
    assert "二、一、3" in caught.value.zh


def test_an_open_request_about_it_is_a_pending_matter(office: OperatorOffice) -> None:
    with office.open() as workspace:
        target, other = of(workspace, "sh"), of(workspace, "ln")
        row = asked(workspace, target)
        assert reissue_json(reissue_rule(workspace, target, now=NOW)) == said("sh", format_day(DAY), pending=True)
        with pytest.raises(ReissuePendingError) as caught:
            reissue(workspace, target, wanted=None, reason="", now=NOW, out=office.out)
        assert "》二" in caught.value.zh
        plan_reissue(workspace, other, wanted=None, reason="", now=NOW)  # somebody else's
        withdraw(workspace, row.id, present(workspace, NAMES[1]), reason="", now=NOW)
        done = reissue(workspace, target, wanted=None, reason="", now=NOW, out=office.out)
        assert done.job.supersedes


def test_a_request_that_waited_too_long_is_pending_no_more(office: OperatorOffice) -> None:
    with office.open() as workspace:
        target = of(workspace, "sh")
        asked(workspace, target)
        answers = [reissue_rule(workspace, target, now=NOW + days * 86_400).answer for days in (7, 8)]
    assert answers == [ReissueAnswer.REFUSED_PENDING, ReissueAnswer.ALLOWED]


@pytest.mark.parametrize("what", ["suspend", "lock"])
def test_suspended_and_locked_are_pending_matters_too(office: OperatorOffice, what: str) -> None:
    with office.open() as workspace:
        target, operator = of(workspace, "sh"), present(workspace, NAMES[0])
        if what == "suspend":
            perform(workspace, ActType.SUSPEND, target, reason="", now=NOW, operator=operator)
        else:
            change_lock(workspace, target.registration, locked=True, reason="", now=NOW, operator=operator)
        assert reissue_rule(workspace, target, now=NOW).answer is ReissueAnswer.REFUSED_PENDING
        with pytest.raises(RefusalError):
            plan_reissue(workspace, target, wanted=None, reason="", now=NOW)


def test_where_the_rules_know_no_exchange_a_copy_is_made_all_the_same_and_it_is_said(office: OperatorOffice) -> None:
    with office.open() as workspace:
        target = of(workspace, "first")
        asked(workspace, target)  # no rule wants it done first
        found = reissue_rule(workspace, target, now=NOW)
        assert found.answer is ReissueAnswer.NO_RULE
        assert reissue(workspace, target, wanted=None, reason="", now=NOW, out=office.out).job.supersedes
    zh, en = reissue_text(found, "zh"), reissue_text(found, "en")
    assert zh.startswith("提示：本类证书的规则没有换领")
    assert "三（七）" in zh
    assert en.startswith("note: the rules of this kind know no exchange")
