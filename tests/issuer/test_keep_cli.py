"""backup, restore, migrate and ledger forget as they are typed: words in both languages, questions, exit status."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from ledgerhistory import take_back
from office import NOW, Office, person

import mingzheng.issuer.keep_cli as commands
import mingzheng.issuer.options as shared
from mingzheng.issuer.act_cli import revoke
from mingzheng.issuer.forgeterrors import ForgetTooEarlyError, ForgetUnknownError
from mingzheng.issuer.lifecycle import find_registration, perform
from mingzheng.issuer.schema import SCHEMA_VERSION
from mingzheng.log.acts import ActType
from mingzheng.log.refusal import AnchorRefusedError, BehindMemoryError

NO = person(1)["registration_no"]


class _ShutError(Exception):
    """The passphrase was wrong."""


FORGET = (
    "forget",
    "--registration",
    NO,
    "--kind",
    "cn.constructor.1",
    "--reason",
    "持证人申请",
    "--as-of",
    "2026-06-02",
)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office(tmp_path).build()
    monkeypatch.setattr(shared, "access_of", lambda _secret: made.access)
    monkeypatch.setattr(commands.time, "time", lambda: float(NOW))
    monkeypatch.chdir(tmp_path)
    made.issue([person(1)])
    return made


def run(command: click.Command, *arguments: str, workspace: str = "W", **options: str) -> Result:
    result = CliRunner().invoke(command, arguments, env={"MINGZHENG_WORKSPACE": workspace}, **options)  # type: ignore[arg-type]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_kind_that_is_none_names_the_nearest(office: Office) -> None:
    named = ("--registration", NO, "--kind", "cn.constructor1", "--reason", "x", "--as-of", "2026-06-02")
    for command, arguments in ((commands.ledger_group, ("forget", *named)), (revoke, named)):
        said = CliRunner().invoke(command, arguments, env={"MINGZHENG_WORKSPACE": str(office.root)}).output
        assert "最接近的是 (unknown kind, the nearest is) cn.constructor.1;" in said


def test_a_backup_says_what_it_holds_and_comes_back(office: Office) -> None:
    said = run(commands.backup_command, "--to", "b").stdout
    assert "1 份副本" in said
    assert "个人数据" in said
    assert "personal data" in run(commands.backup_command, "--to", "b.tar", "--without-keys", "--lang", "en").stdout
    value = json.loads(run(commands.backup_command, "--to", "c", "--json").stdout)
    assert (value["copies"], value["keys"], value["log_elsewhere"], value["left_out"]) == (1, True, False, [])
    (office.root / "link").symlink_to("/etc")
    assert "link" in run(commands.backup_command, "--to", "d").stderr
    said = run(commands.restore_command, "b.tar", workspace="V").stdout
    assert "keys/" in said
    assert "只读" in said
    assert "read-only" in run(commands.restore_command, "b", "--lang", "en", workspace="U").stdout


def test_with_its_anchor_a_restored_workspace_writes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    run(commands.backup_command, "--to", "b")
    anchor = "W/log/public/checkpoint"
    value = json.loads(run(commands.restore_command, "b", "--anchor", anchor, "--json", workspace="V").stdout)
    assert value == {"copies": 1, "keys": True, "read_only": False}
    office.issue([person(2)], now=NOW + 60)
    with pytest.raises(AnchorRefusedError):
        run(commands.restore_command, "b", "--anchor", anchor, workspace="U")
    office.root = Path("V").absolute()
    with pytest.raises(BehindMemoryError):  # the machine knows of a later head
        office.issue([person(2)], now=NOW + 120)


def test_a_restored_workspace_that_the_passphrase_does_not_open_is_said_to_be_there(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for again, `restore` would only say that something is there and that another place be taken."""

    def shut(*_arguments: object) -> None:
        raise _ShutError

    anchor = office.root / "log" / "public" / "checkpoint"
    run(commands.backup_command, "--to", "b.tar")
    monkeypatch.setattr(commands, "open_workspace", shut)
    arguments = ("b.tar", "--anchor", str(anchor))
    result = CliRunner().invoke(commands.restore_command, arguments, env={"MINGZHENG_WORKSPACE": "V"})
    assert isinstance(result.exception, _ShutError)
    assert "已恢复" in result.stderr
    assert "mingzheng log resume --anchor" in result.stderr


def test_a_backup_names_what_an_earlier_one_left(office: Office) -> None:
    (office.base / ".W-1.tar.partial.tar").write_bytes(b"half")
    said = run(commands.backup_command, "--to", "b.tar").stderr
    assert said.count(".W-1.tar.partial.tar") == 2
    assert json.loads(run(commands.backup_command, "--to", "c", "--json").stdout)["unfinished"] == [
        ".W-1.tar.partial.tar"
    ]


def test_migrate_shows_its_steps_backs_up_and_asks(office: Office) -> None:
    assert "无需升级" in run(commands.migrate_command, "--dry-run").stdout
    assert "up to date" in run(commands.migrate_command, "--lang", "en").stdout
    take_back(Path("W/ledger.sqlite"))
    value = json.loads(run(commands.migrate_command, "--dry-run", "--json").stdout)
    assert (value["schema"], [step["version"] for step in value["steps"]], value["done"]) == (
        SCHEMA_VERSION - 1,
        [SCHEMA_VERSION],
        False,
    )
    assert run(commands.migrate_command).exit_code == 2  # no place for the backup
    assert run(commands.migrate_command, "--to", "b", input="n\n").exit_code == 1
    assert not Path("b").exists()
    (office.root / "mine").symlink_to("/etc")
    done = run(commands.migrate_command, "--to", "b", "--lang", "en", input="y\n")
    assert "left out, no plain file or no name for one: mine" in done.stderr
    assert f"{SCHEMA_VERSION - 1} → {SCHEMA_VERSION}" in done.stderr
    assert "the backup is b" in done.stdout
    assert Path("b/manifest.json").is_file()
    with office.open() as workspace:
        assert workspace.ledger.counters(1) == (1, 0)


def test_forgetting_says_what_stays_and_asks(office: Office) -> None:
    with pytest.raises(ForgetTooEarlyError):
        run(commands.ledger_group, *FORGET, "--dry-run")
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 60)
    assert "1 份副本" in run(commands.ledger_group, *FORGET, "--dry-run").stdout
    assert json.loads(run(commands.ledger_group, *FORGET, "--dry-run", "--json").stdout) == {
        "serials": [0],
        "done": False,
    }
    asked = run(commands.ledger_group, *FORGET, input="n\n")
    assert asked.exit_code == 1
    assert "SHA-256" in asked.stderr
    assert "salt is gone" in run(commands.ledger_group, *FORGET, "--lang", "en", input="n\n").stderr
    value = json.loads(run(commands.ledger_group, *FORGET, "--yes", "--json").stdout)
    assert value["stays"] == [{"issuer": 1, "serial": 0, "status": "revoked", "index": 0}]
    assert (value["images"], value["shared_reasons"]) == (2, 0)
    with pytest.raises(ForgetUnknownError):
        run(commands.ledger_group, *FORGET, "--yes")
    wrong = ("forget", "--registration", NO, "--kind", "no.such", "--reason", "x", "--yes")
    assert run(commands.ledger_group, *wrong).exit_code == 2


def test_forgetting_wants_the_passphrase_of_the_workspace(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is used; but whoever only found the files open erases nothing, with --yes or without."""

    def wrong() -> bytes:
        raise _ShutError

    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="why", now=NOW + 1)
    shut = replace(office.access, passphrase=wrong)
    monkeypatch.setattr(shared, "access_of", lambda _secret: shut)
    for answer in ((), ("--yes",)):
        with pytest.raises(_ShutError):
            run(commands.ledger_group, *FORGET, *answer, input="y\n")
    run(commands.ledger_group, *FORGET, "--dry-run")
    with office.open() as workspace:
        assert find_registration(workspace, kind=1, registration_no=NO, issuer=None) == target


def test_a_forgetting_that_was_cut_short_is_said_to_be_done(office: Office) -> None:
    with office.open() as workspace, workspace.ledger.step() as database:
        database.execute("INSERT INTO meta (name, value) VALUES ('unswept', 1)")
    words = tuple("京11120062007999" if word == NO else word for word in FORGET)
    assert "上次中断" in run(commands.ledger_group, *words, "--yes").stdout


def test_words_of_a_done_forgetting(office: Office) -> None:
    with office.open() as workspace:
        rows = tuple(workspace.ledger.all_copies())
    done = commands.Forgotten(copies=rows, images=2, shared_reasons=1)
    assert "保留了事由" in commands._done_text(done, "zh")
    assert "keep their reasons" in commands._done_text(done, "en")


def test_a_log_elsewhere_is_said(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    database = sqlite3.connect("W/log/log.sqlite", isolation_level=None)
    database.execute("UPDATE log SET standing = 'moved'")
    database.close()
    done = run(commands.backup_command, "--to", "b")
    assert "database server" in done.stderr
    assert json.loads(run(commands.restore_command, "b", "--json", workspace="V").stdout)["read_only"] is True
    for lang in ("zh", "en"):  # an anchor would open nothing: `log resume` refuses a log that was moved
        said = run(commands.restore_command, "b", "--lang", lang, workspace=f"V-{lang}").stdout
        assert "log resume" not in said
        assert "MINGZHENG_LOG_DATABASE" in said
