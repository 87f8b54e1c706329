"""`mingzheng notice`: previews that change nothing, notices that are listed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from office import CONSTRUCTORS, Office, person
from operatoroffice import NAMES, operator_office, passphrase

from mingzheng.cli import cli
from mingzheng.issuer.approvalerrors import OperatorNeededError, RequestDoneError
from mingzheng.issuer.noticeerrors import NoticeGivenError
from mingzheng.issuer.workspace import Workspace

ABOUT = ("--citation", "某通知第一条", "--kind", "cn.constructor.1", "--jurisdiction", "cn", "--reason", "通知")
COMMANDS = {
    "extension": ("--first-end", "2026-06-01", "--last-end", "2029-12-31", "--new-end", "2030-01-31"),
    "form": ("--template", "1", "--equal-until", "2026-12-31"),
    "seal": ("--from", "2026-12-01", "--body", "0"),
}


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office(tmp_path, issuers=(CONSTRUCTORS,)).build()
    made.issue([person(1), person(2)])
    monkeypatch.setattr("mingzheng.issuer.notice_cli.open_workspace", lambda *_: made.open())
    monkeypatch.setattr(Workspace, "check_as_of", lambda _: None)
    return made


def run(*words: str, lang: str = "zh") -> str:
    result = CliRunner().invoke(cli, ["notice", *words, "--workspace", "W", "--lang", lang], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_dry_run_says_whom_it_concerns_and_gives_nothing(office: Office, name: str, lang: str) -> None:
    output = run("add", name, *ABOUT, *COMMANDS[name], "--as-of", "2026-06-01", "--dry-run", lang=lang)
    assert "某通知第一条" in output
    assert ("第 1 号公告" if lang == "zh" else "notice 1") in output
    assert run("list") == ""


def test_given_listed_and_retracted(office: Office) -> None:
    words = ("--as-of", "2026-06-02", "--yes", "--json")
    lines = []
    for name, more in COMMANDS.items():
        lines += run("add", name, *ABOUT, *more, *words).splitlines()[-1:]
    lines += run("add", "retract", "1", "--citation", "撤回", "--reason", "误发", *words).splitlines()[-1:]
    rows = [json.loads(line) for line in lines]
    assert [(row["number"], row["notice"]) for row in rows] == [
        *((1, "blanket_extension"), (2, "retired_form"), (3, "seal_change"), (4, "retraction")),
    ]
    assert rows[0]["effective_day"] == rows[0]["day"] == "2026-06-02"
    assert [json.loads(line) for line in run("list", "--json").splitlines()] == rows
    for lang in ("zh", "en"):
        assert len(run("list", lang=lang).splitlines()) == 4


def test_a_preview_as_json_names_every_copy(office: Office) -> None:
    more = (*COMMANDS["extension"], "--move-windows", "--revive", "--as-of", "2026-06-02", "--dry-run", "--json")
    (row,) = [json.loads(line) for line in run("add", "extension", *ABOUT, *more).splitlines()]
    assert (row["type"], row["moves"], row["revives"], row["registrations"]) == ("plan", "usage", True, 2)
    assert all(item["ends"] for item in row["copies"])


def test_many_registrations_are_counted(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.issuer.notice_cli.LISTED", 1)
    more = (*COMMANDS["extension"], "--as-of", "2026-06-02", "--dry-run")
    assert "另有 1 个" in run("add", "extension", *ABOUT, *more)
    assert "1 more" in run("add", "extension", *ABOUT, *more, lang="en")


def test_a_form_that_is_void_at_once(office: Office) -> None:
    more = ("--template", "1", "--paper", "--as-of", "2026-06-02", "--dry-run")
    assert "即日停用" in run("add", "form", *ABOUT, *more)
    assert "void at once, paper too" in run("add", "form", *ABOUT, *more, lang="en")
    assert "（含纸质）" in run("add", "form", *ABOUT, *more)


def test_a_preview_says_from_which_day_on_an_extension_counts(office: Office) -> None:
    """It is what the second person sees before they approve."""
    more = (*COMMANDS["extension"], "--effective", "2026-08-01", "--as-of", "2026-06-02", "--dry-run")
    assert "自 2026-08-01 起，" in run("add", "extension", *ABOUT, *more)
    assert "from 2026-08-01 on" in run("add", "extension", *ABOUT, *more, lang="en")


@pytest.mark.parametrize(("name", "rules"), [("seal", [(0,)]), ("extension", [])])
def test_one_operator_asks_and_another_approves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, rules: list[tuple[int, ...]]
) -> None:
    """An extension is of type 1, as a revocation is of acts: neither is taken for the other."""
    office = operator_office(tmp_path)
    for module in ("notice_cli", "approval_cli"):
        monkeypatch.setattr(f"mingzheng.issuer.{module}.open_workspace", lambda *_: office.open())
        monkeypatch.setattr(f"mingzheng.issuer.{module}.person_secret", lambda _: Typed())
    monkeypatch.setattr(Workspace, "check_as_of", lambda _: None)
    tail = ("--workspace", "W", "--as-of", "2026-06-02", "--yes", "--json")
    words = ("notice", "add", name, *ABOUT, *COMMANDS[name], *tail)
    nobody = CliRunner().invoke(cli, words)
    assert nobody.exit_code != 0
    assert isinstance(nobody.exception, OperatorNeededError)
    asked = CliRunner().invoke(cli, [*words, "--operator", NAMES[0]])
    assert asked.exit_code == 3, asked.output
    request = json.loads(asked.output.splitlines()[-1])["id"]
    assert run("list") == ""
    alone = CliRunner().invoke(cli, ["approve", request, "--operator", NAMES[0], *tail])
    assert alone.exit_code != 0
    seen = CliRunner().invoke(cli, ["approve", request, "--operator", NAMES[1], *tail[:4], "--dry-run"])
    assert "某通知第一条" in seen.output
    done = CliRunner().invoke(cli, ["approve", request, "--operator", NAMES[1], *tail])
    assert done.exit_code == 0, done.output
    (row,) = [json.loads(line) for line in run("list", "--json").splitlines()]
    assert (row["number"], row["reason"]) == (1, "通知")
    with office.open() as workspace:
        assert [rule.bodies for rule in workspace.config.sealing.rules] == rules


class Typed:
    """Every person's passphrase, typed right."""

    def read(self, name: str) -> bytes:
        return passphrase(name)


def rules_of(office: Office) -> list[tuple[int, ...]]:
    with office.open() as workspace:
        return [rule.bodies for rule in workspace.config.sealing.rules]


def test_a_seal_change_cut_short_before_its_rule_is_finished_by_asking_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("notice", "add", "seal", *ABOUT, *COMMANDS["seal"], "--workspace", "W", "--as-of", "2026-06-02", "--yes")
    with monkeypatch.context() as killed:
        killed.setattr("mingzheng.issuer.publish.keep_seal_rules", lambda _: 0)
        assert CliRunner().invoke(cli, words).exit_code == 0
    CliRunner().invoke(cli, [*words, "--dry-run"])
    assert rules_of(office) == []
    again = CliRunner().invoke(cli, words)
    assert isinstance(again.exception, NoticeGivenError)
    assert rules_of(office) == [(0,)]


def test_an_approval_cut_short_before_its_rule_is_finished_by_approving_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = operator_office(tmp_path)
    for module in ("notice_cli", "approval_cli"):
        monkeypatch.setattr(f"mingzheng.issuer.{module}.open_workspace", lambda *_: office.open())
        monkeypatch.setattr(f"mingzheng.issuer.{module}.person_secret", lambda _: Typed())
    monkeypatch.setattr(Workspace, "check_as_of", lambda _: None)
    tail = ("--workspace", "W", "--as-of", "2026-06-02", "--yes", "--json")
    asked = CliRunner().invoke(cli, ["notice", "add", "seal", *ABOUT, *COMMANDS["seal"], *tail, "--operator", NAMES[0]])
    approve = ("approve", json.loads(asked.output.splitlines()[-1])["id"], "--operator", NAMES[1], *tail)
    with monkeypatch.context() as killed:
        killed.setattr("mingzheng.issuer.publish.keep_seal_rules", lambda _: 0)
        assert CliRunner().invoke(cli, approve).exit_code == 0
    CliRunner().invoke(cli, [*approve, "--dry-run"])
    assert rules_of(office) == []
    again = CliRunner().invoke(cli, approve)
    assert isinstance(again.exception, RequestDoneError)
    assert rules_of(office) == [(0,)]
