"""Operators as an office types them: two at the beginning, questions, waiting, approval, journal; both languages."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from office import NOW, SeededVault, architect, person, picture, table

import mingzheng.issuer.cli as commands
import mingzheng.issuer.issue_cli as issue_cli
import mingzheng.issuer.options as shared
from mingzheng.cli import cli
from mingzheng.doctor import doctor
from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.issuer.approval_cli import approve, requests, withdraw
from mingzheng.issuer.approvalerrors import (
    OperatorExistsError,
    OperatorNeededError,
    OperatorOutError,
    OperatorUnknownError,
    RequestForgedError,
    SamePersonError,
    TwoOperatorsError,
)
from mingzheng.issuer.config import parse_config
from mingzheng.issuer.journal_cli import journal
from mingzheng.issuer.operator_cli import operator_group
from mingzheng.issuer.refusals import ConfigError, KeyMismatchError, OptionError
from mingzheng.issuer.workspace import Access
from mingzheng.keys.errors import BadPrivateKeyError
from mingzheng.keys.trust import Role

NUMBER = person(1)["registration_no"]
OF = ("--registration", NUMBER, "--kind", "cn.constructor.1", "--reason", "why")
TODAY = format_day(day_of_time(NOW))
NAMES = ("张三", "李四")


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vault = SeededVault()

    def access(secret: shared.Secret) -> Access:
        return Access(passphrase=lambda: b"secret", vault=vault, memory_dir=tmp_path / "memory")

    for module in (commands, shared):
        monkeypatch.setattr(module, "access_of", access)
    monkeypatch.setattr(commands.time, "time", lambda: float(NOW))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(picture(300, 420))
    (tmp_path / "sign.png").write_bytes(picture(300, 100))
    (tmp_path / "records.csv").write_bytes(table([person(1), person(2)]))
    for name in (*NAMES, "王五"):
        (tmp_path / name).write_bytes(f"passphrase of {name}".encode())
        (tmp_path / name).chmod(0o600)


def run(command: click.Command, *arguments: str, **options: str) -> Result:
    result = CliRunner().invoke(command, arguments, env={"MINGZHENG_WORKSPACE": "W"}, **options)  # type: ignore[arg-type]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def secrets(*names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in ("--operator-passphrase-file", name))


def by(name: str) -> tuple[str, ...]:
    return ("--operator", name, *secrets(name))


def init(*options: str) -> Result:
    return run(commands.init, "--issuer", "示范厅", "--origin", "demo.example/log", "--demo", *options)


ISSUE = ("records.csv", "--out", "out", "--copy", "usage", "--purpose", "投标")


def issue(*who: str) -> None:
    run(issue_cli.issue, *ISSUE, *who)


def office() -> None:
    init(*("--operator", NAMES[0], "--operator", NAMES[1]), *secrets(*NAMES))
    issue(*by(NAMES[0]))


def test_init_takes_two_persons_or_says_that_there_is_one() -> None:
    real = ("--issuer", "示范厅", "--origin", "log.example/1")
    for options in (
        (),
        ("--operator", "张三"),
        ("--operator", "张三", "--operator", "张三"),
        ("--operator", "张三", "--operator", "李四", "--one-person"),
    ):
        with pytest.raises(TwoOperatorsError):
            run(commands.init, *real, *options)
    with pytest.raises(TwoOperatorsError):
        init("--operator", "张三")
    with pytest.raises(OptionError):  # one passphrase for both
        run(commands.init, *real, "--operator", "张三", "--operator", "李四", *secrets("张三", "张三"))
    assert not Path("W").exists()
    said = run(commands.init, *real, "--one-person").stderr
    assert "一人办理" in said
    assert "one person" in said
    assert "一人办理" in run(operator_group, "list").stderr
    assert "one person" in run(operator_group, "list", "--lang", "en").stderr
    assert "一人办理" in run(doctor, "--workspace", "W").stdout


def test_operators_are_made_listed_and_retired() -> None:
    office()
    assert "撤销须两人" in run(doctor, "--workspace", "W").stdout
    listed = lines(run(operator_group, "list", "--json"))
    assert [(item["operator"], item["may_sign"]) for item in listed] == [("张三", True), ("李四", True)]
    config = parse_config(Path("W/mingzheng.toml").read_bytes())
    assert [key.operator for key in config.keys if key.role is Role.OPERATOR] == list(NAMES)
    with pytest.raises(OperatorExistsError):
        run(operator_group, "add", "张三", *secrets("张三"))
    added = run(operator_group, "add", "王五", *secrets("王五"), "--json")
    assert lines(added)[0]["valid_from"] == TODAY
    assert run(operator_group, "retire", "王五", input="n\n").exit_code == 1
    run(operator_group, "retire", "王五", "--yes")
    with pytest.raises(OperatorOutError):
        run(operator_group, "retire", "王五", "--yes")
    with pytest.raises(OperatorUnknownError):
        run(operator_group, "retire", "赵六", "--yes")
    assert "不能撤销" in run(operator_group, "retire", "李四", "--yes").stderr
    assert "不可签名" in run(operator_group, "list").stdout
    for words in (
        ("add", " x"),
        ("add", "长" * 41),
        ("add", "赵六", "--issuer", "9"),
        ("add", "赵六", "--valid-until", "2001-01-01"),
    ):
        with pytest.raises(OptionError):
            run(operator_group, *words, *secrets("王五"))
    run(operator_group, "add", "王五", *secrets("王五"))  # again, with a new key
    what = [item["what"] for item in lines(run(journal, "--json"))]
    assert what == ["issue", "key-added", "key-retired", "key-retired", "key-added"]


def test_issuers_are_added_with_their_operators() -> None:
    init()
    added = ("add", "--number", "2", "--name", "示范委员会", "--kind", "cn.architect.1", "--body", "1=示范委员会")
    run(commands.issuer_group, *added, "--operator", "张三", "--operator", "李四", *secrets(*NAMES))
    assert [item["issuer"] for item in lines(run(operator_group, "list", "--json"))] == [2, 2]


def test_a_revocation_waits_for_a_second_person() -> None:
    office()
    preview = run(commands.revoke, *OF, "--dry-run")
    assert NUMBER in preview.stdout
    assert "须两名经办人" in preview.stdout
    assert "使用件" in preview.stdout
    with pytest.raises(OperatorNeededError):
        run(commands.revoke, *OF, "--yes")
    with pytest.raises(OperatorUnknownError):
        run(commands.revoke, *OF, "--yes", *by("王五"))
    assert run(commands.revoke, *OF, *by("张三"), input="n\n").exit_code == 1
    assert lines(run(requests, "--json")) == []
    waiting = run(commands.revoke, *OF, *by("张三"), "--json", input="y\n")
    assert waiting.exit_code == 3
    (item,) = lines(waiting)
    assert (item["type"], item["state"], item["operator"], item["day"]) == ("request", "open", "张三", TODAY)
    name, file = str(item["id"]), str(item["file"])
    text = run(commands.revoke, *OF, *by("张三"), "--yes", "--lang", "en")
    assert f"mingzheng approve {name}" in text.stdout
    assert name in run(requests).stdout
    assert run(requests).stdout.split("\t")[1] == "撤销"
    assert "\trevoke\tissuer 1" in run(requests, "--lang", "en").stdout
    with pytest.raises(SamePersonError):
        run(approve, name, *by("张三"), "--yes")
    with pytest.raises((BadPrivateKeyError, KeyMismatchError)):  # the other's name with one's own passphrase
        run(approve, name, "--operator", "李四", *secrets("张三"), "--yes")
    shown = run(approve, file, *by("李四"), "--dry-run")
    assert NUMBER in shown.stdout
    assert "申请人 张三" in shown.stdout
    assert run(approve, name, *by("李四"), input="n\n").exit_code == 1
    done = run(approve, file, *by("李四"), "--json", input="y\n")
    assert "申请人 张三" in done.stderr
    (item,) = lines(done)
    assert (item["type"], item["operators"], item["acts"]) == ("approved", list(NAMES), [0])
    assert run(requests).stdout == ""
    assert "已是该状态" in run(commands.revoke, *OF, *by("张三"), "--yes").stdout
    rows = lines(run(journal, "--json"))
    assert [(row["what"], row["operators"]) for row in rows][1:] == [("request", ["张三"]), ("revoke", list(NAMES))]
    assert "\t撤销\t张三、李四\t" in run(journal).stdout
    assert [line.split("\t")[2] for line in run(journal).stdout.splitlines()] == ["签发", "申请", "撤销"]
    assert "\trequest\t" in run(journal, "--lang", "en").stdout
    assert "张三 李四" in run(journal, "--csv").stdout
    checked = run(journal, "--check", "--json")
    assert (checked.exit_code, lines(checked)[0]["rows"]) == (0, 3)
    assert run(journal, "--csv", "--json").exit_code == 2


def test_a_request_is_turned_down() -> None:
    office()
    (item,) = lines(run(commands.revoke, "--serial", "0", "--reason", "x", *by("张三"), "--yes", "--json"))
    said = run(withdraw, str(item["id"]), *by("李四"), "--reason", "no", "--lang", "en")
    assert "withdrawn" in said.stdout
    assert run(requests).stdout == ""
    assert [row["what"] for row in lines(run(journal, "--json"))][-1] == "request-withdrawn"


def test_everyday_acts_name_their_operator() -> None:
    office()
    with pytest.raises(OperatorNeededError):
        run(commands.suspend, *OF, "--yes")
    run(commands.suspend, *OF, *by("张三"), "--yes")
    run(commands.reinstate, *OF, *by("李四"), "--yes")
    rows = lines(run(journal, "--json"))
    assert [row["operators"] for row in rows][1:] == [["张三"], ["李四"]]
    assert "已写入 0 项" in run(operator_group, "sign-again", *by("张三")).stdout


def test_a_void_waits_for_a_second_person() -> None:
    office()
    void = ("--serial", "0", "--reason", "错误")
    preview = run(commands.void, *void, "--dry-run", "--json")
    assert lines(preview)[0]["two_persons"] is True
    waiting = run(commands.void, *void, *by("张三"), "--yes", "--json")
    assert waiting.exit_code == 3
    (item,) = lines(waiting)
    assert (item["what"], item["serials"]) == ("void", [0])
    shown = run(approve, str(item["id"]), *by("李四"), "--dry-run")
    assert "作废只及于该序号" in shown.stdout
    (done,) = lines(run(approve, str(item["id"]), *by("李四"), "--yes", "--json"))
    assert (done["what"], done["operators"]) == ("void", list(NAMES))
    assert run(commands.void, *void, *by("张三"), "--yes").exit_code == 0  # nothing is left to do


def test_who_issues_is_in_the_journal() -> None:
    office()
    for missing in ((), ("--yes",)):
        with pytest.raises(OperatorNeededError, match="--operator 写明您是谁（张三、李四）"):
            if missing:
                run(commands.reissue, *OF, "--out", "out", *missing)
            else:
                issue()
    with pytest.raises(OperatorUnknownError):
        issue(*by("王五"))
    with pytest.raises((BadPrivateKeyError, KeyMismatchError)):  # a name alone is not enough
        issue("--operator", "李四", *secrets("张三"))
    with pytest.raises((BadPrivateKeyError, KeyMismatchError)):
        run(commands.reissue, *OF, "--out", "out", "--yes", "--operator", "李四", *secrets("张三"))
    assert len(lines(run(journal, "--json"))) == 1
    run(issue_cli.issue, *ISSUE, "--dry-run")
    run(commands.reissue, *OF, "--out", "out", "--dry-run")
    run(commands.reissue, *OF, "--out", "out", "--yes", *by("李四"))
    issue(*by("李四"))  # nothing is left to issue: no row
    rows = lines(run(journal, "--json"))
    assert [(row["what"], row["operators"]) for row in rows] == [
        ("issue", ["张三"]),
        ("issue", ["李四"]),
        ("supersede", []),
    ]


def test_of_two_issuers_each_has_its_operators() -> None:
    """A name counts for the issuers whose operator it is; the desk issues for those without any."""
    init(*("--kind", "cn.constructor.1", "--operator", NAMES[0], "--operator", NAMES[1]), *secrets(*NAMES))
    added = ("add", "--name", "委员会", "--number", "2", "--kind", "cn.architect.1", "--body", "2=主任委员")
    run(commands.issuer_group, *added, "--body", "1=委员会", "--one-person")
    Path("records.csv").write_bytes(table([person(3), architect(4)]))
    with pytest.raises(OperatorNeededError):  # only known when the rows are read
        issue()
    with pytest.raises(OptionError):
        issue("--issuer", "2", *by("张三"))
    issue(*by("张三"))
    rows = lines(run(journal, "--json"))
    assert [(row["issuer"], row["operators"]) for row in rows][-2:] == [(1, ["张三"]), (2, [])]


def test_an_office_without_operators_takes_no_name() -> None:
    init()
    issue()
    with pytest.raises(OptionError):
        issue(*by("张三"))
    with pytest.raises(OptionError):
        run(commands.reissue, *OF, "--out", "out", "--yes", *by("张三"))
    with pytest.raises(OptionError):
        run(commands.revoke, *OF, *by("张三"), "--yes")
    assert run(commands.revoke, *OF, "--yes").exit_code == 0


def test_a_changed_journal_is_found_by_command(tmp_path: Path) -> None:
    import sqlite3

    office()
    database = sqlite3.connect(tmp_path / "W" / "ledger.sqlite")
    database.execute("DROP TRIGGER journal_kept")
    database.execute("UPDATE journal SET digest = zeroblob(32)")
    database.commit()
    database.close()
    for lang, word in (("zh", "接不上"), ("en", "does not follow")):
        checked = run(journal, "--check", "--lang", lang)
        assert checked.exit_code == 1
        assert word in checked.stdout


def test_an_operator_key_names_its_person_and_no_other_key_does() -> None:
    office()
    text = Path("W/mingzheng.toml").read_text(encoding="utf-8")
    for changed in (
        text.replace('operator = "张三"\n', ""),
        text.replace('operator = "张三"', f'operator = "{"长" * 41}"'),
        text.replace('role = "status"', 'role = "status"\noperator = "张三"'),
    ):
        assert changed != text
        with pytest.raises(ConfigError):
            parse_config(changed.encode())


def test_an_operators_passphrase_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = []

    def read(**named: object) -> bytes:
        prompts.append(named)
        return b"typed passphrase"

    monkeypatch.setattr(shared, "read_passphrase", read)
    asked = shared.person_secret({"operator_files": (), "operator_fds": (9,)}, 1, confirm=True)
    assert asked.read("张三") == b"typed passphrase"
    assert "张三" in str(prompts[0]["prompt"])
    assert prompts[0]["confirm"] is True
    assert shared.person_secret({"operator_files": (), "operator_fds": (9,)}).fd == 9


def test_a_request_of_a_kind_that_nobody_performs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    office()
    (item,) = lines(run(commands.revoke, "--serial", "0", "--reason", "x", *by("张三"), "--yes", "--json"))
    monkeypatch.setattr("mingzheng.issuer.approval_cli.EFFECTS", {})
    with pytest.raises(RequestForgedError):
        run(approve, str(item["id"]), *by("李四"), "--yes")


@pytest.mark.parametrize("name", ["approve", "requests", "withdraw", "operator", "journal", "revoke"])
def test_the_commands_are_there(name: str) -> None:
    assert cli.get_command(click.Context(cli), name) is not None
