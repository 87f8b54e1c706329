"""The commands as a clerk types them: output, exit status, questions, both languages, nothing secret in arguments."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from office import NOW, SeededVault, person, picture, table

import mingzheng.issuer.cli as commands
import mingzheng.issuer.issue_cli as issuing
import mingzheng.issuer.options as shared
from mingzheng.formats.civil import day_of_time, format_day, parse_day
from mingzheng.issuer.refusals import DemoNameError, DemoOnlyError, RefusalError, WorkspaceExistsError
from mingzheng.issuer.workspace import Access
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.receipt import parse_tlog_proof

NUMBER = person(1)["registration_no"]


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Test keys instead of scrypt, a fixed clock, no memory outside, an own working directory."""

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


def run(command: click.Command, *arguments: str, **options: str) -> Result:
    result = CliRunner().invoke(command, arguments, env={"MINGZHENG_WORKSPACE": "W"}, **options)  # type: ignore[arg-type]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def make() -> Result:
    return run(commands.init, "--issuer", "示范厅", "--origin", "demo.example/log", "--demo")


def issue(*options: str) -> Result:
    return run(issuing.issue, "records.csv", "--out", "out", "--copy", "usage", "--purpose", "投标", *options)


def test_init_prints_the_logs_key_and_says_the_scope() -> None:
    result = make()
    assert parse_vkey(result.stdout.strip()).name == "demo.example/log"
    assert "cn.constructor.1" in result.stderr
    assert "2000-01-01" in result.stderr
    with pytest.raises(WorkspaceExistsError):
        make()


def test_init_takes_scope_bodies_and_days() -> None:
    result = run(
        commands.init,
        *("--issuer", "示范厅", "--origin", "log.example/1", "--kind", "cn.constructor.2", "--jurisdiction", "sh"),
        *("--body", "1=甲机关", "--body", "2=乙机关", "--valid-from", "2026-01-01", "--valid-until", "2027-01-01"),
        *("--prefix", "https://zs.example.cn/v#", "--name-en", "Department", "--lang", "en"),
        "--one-person",
    )
    assert "(cn.constructor.2); regions Shanghai; keys valid 2026-01-01 – 2027-01-01" in result.stderr
    (item,) = lines(run(commands.issuer_group, "list", "--json"))
    assert item == {"number": 1, "name": "示范厅", "kinds": ["cn.constructor.2"], "jurisdictions": [31]}
    assert "示范厅" in run(commands.issuer_group, "list").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--kind", "cn.nothing"),
        ("--jurisdiction", "99"),
        ("--body", "甲机关"),
        ("--body", "1=甲", "--body", "1=乙"),
        ("--valid-from", "2026-1-1"),
        ("--valid-from", "2040-01-01"),
        ("--origin-number", "0"),
    ],
)
def test_init_refuses_options_it_cannot_read(arguments: tuple[str, ...]) -> None:
    result = run(commands.init, "--issuer", "示范厅", "--origin", "log.example/1", "--one-person", *arguments)
    assert result.exit_code == 2
    assert not Path("W").exists()


def test_only_demo_names_go_with_demo() -> None:
    for origin, flags in (("demo.example", ()), ("log.example", ("--demo",))):
        with pytest.raises(DemoNameError):
            run(commands.init, "--issuer", "示范厅", "--origin", origin, "--one-person", *flags)


def test_issuers_are_added() -> None:
    make()
    added = ("add", "--number", "2", "--name", "示范委员会", "--kind", "cn.architect.1", "--body", "1=示范委员会")
    assert "2" in run(commands.issuer_group, *added).stderr
    assert [item["number"] for item in lines(run(commands.issuer_group, "list", "--json"))] == [1, 2]


def test_issue_prints_one_line_per_copy_and_the_same_again() -> None:
    make()
    first = issue("--json")
    assert first.exit_code == 0
    copies = lines(first)
    assert {item["serial"] for item in copies} == {0, 1}
    assert copies[0]["usage_until"] == "2026-11-28"
    assert copies[0]["binding"] == ["D180"]
    assert all(Path(str(item["file"])).is_file() for item in copies)
    assert lines(issue("--json")) == copies
    assert "序号 0" in issue().stdout
    assert "serial 0" in issue("--lang", "en").stdout


def test_a_dry_run_shows_windows_rules_and_what_exists() -> None:
    make()
    plan = lines(issue("--dry-run", "--json"))
    assert [item["type"] for item in plan] == ["plan", "plan"]
    assert [step["rule"] for step in plan[0]["trace"]] == ["D180", "SPECIALTY", "AGE65"]  # type: ignore[attr-defined]
    assert not Path("out").exists()
    issue()
    assert "已有序号" in issue("--dry-run").stdout
    Path("records.csv").write_bytes(table([person(1, employer="上海示例建设有限公司")]))
    assert "将被取代的序号" in issue("--dry-run").stdout
    assert "supersedes serials" in issue("--dry-run", "--lang", "en").stdout


def test_good_rows_go_ahead_and_the_others_wait_in_a_file() -> None:
    make()
    Path("records.csv").write_bytes(table([person(1), person(2, sex="?")]))
    result = issue("--skip-faulty")
    assert result.exit_code == 1
    assert len(list(Path("out").iterdir())) == 1
    assert "D3 性别（sex）" in result.stderr
    assert "已签发 1 份" in result.stderr
    assert "faults.csv" in result.stderr
    again = issue("--skip-faulty", "--lang", "en")
    assert "1 copies issued; the faulty rows are in faults.csv" in again.stderr
    Path("records.csv").write_bytes(Path("faults.csv").read_bytes().replace(b"?,1985", "男,1985".encode()))
    assert issue().exit_code == 0
    assert len(list(Path("out").iterdir())) == 2


def test_faults_are_all_listed_and_nothing_is_issued() -> None:
    make()
    Path("records.csv").write_bytes(table([person(1, sex="?"), person(2, photo="absent.png")]))
    for options in ((), ("--dry-run",)):
        result = issue(*options)
        assert result.exit_code == 1
        assert "D2 性别（sex）" in result.stderr
        assert "O3 照片（photo）" in result.stderr
        assert not Path("out").exists()
    assert [item["code"] for item in lines(issue("--json"))] == ["record.bad_sex", "record.image_unreadable"]
    assert "D2 sex:" in issue("--lang", "en").stderr


def test_records_come_from_standard_input_or_json() -> None:
    make()
    text = table([person(1)]).decode()
    result = run(issuing.issue, "-", "--out", "out", "--copy", "approval", "--json", input=text)
    assert lines(result)[0]["usage_until"] is None
    assert "无使用时限" in run(issuing.issue, "-", "--out", "out", "--copy", "approval", input=text).stdout
    row = {key: value for key, value in person(2).items() if value}
    Path("records.json").write_text(json.dumps([row]), encoding="utf-8")
    result = run(issuing.issue, "records.json", "--out", "out", "--copy", "approval", "--lang", "en")
    assert "no usage window" in result.stdout


def test_dates_move_in_demo_workspaces_only() -> None:
    make()
    assert lines(issue("--json", "--as-of", "2026-05-30"))[0]["issued_on"] == "2026-05-30"
    Path("W").rename("demo")
    run(commands.init, "--issuer", "示范厅", "--origin", "log.example/1", "--one-person")
    with pytest.raises(DemoOnlyError):
        issue("--as-of", "2026-05-30")
    assert issue("--as-of", "yesterday").exit_code == 2


def test_acts_ask_first_and_dry_runs_do_not_act() -> None:
    make()
    issue()
    of = ("--registration", NUMBER, "--kind", "cn.constructor.1", "--reason", "why")
    assert "将撤销 1 份" in run(commands.revoke, *of, "--dry-run").stdout
    refused = run(commands.revoke, *of, input="n\n")
    assert refused.exit_code == 1
    assert lines(run(commands.revoke, *of, "--dry-run", "--json"))[0]["serials"] != []
    done = run(commands.revoke, *of, input="y\n")
    assert "已撤销 1 份" in done.stdout
    assert "已是该状态" in run(commands.revoke, *of, "--yes").stdout
    assert "nothing to do" in run(commands.revoke, *of, "--lang", "en").stdout


def test_every_act_has_its_command() -> None:
    make()
    issue()
    of = ("--registration", NUMBER, "--kind", "cn.constructor.1", "--reason", "why", "--yes", "--json")
    serial = lines(run(commands.suspend, *of))[0]["serials"][0]  # type: ignore[index]
    (again,) = lines(run(commands.reinstate, *of))
    assert again == {
        "type": "act",
        "act": "reinstate",
        "issuer": 1,
        "serials": [serial],
        "registration_state": "active",
    }
    (voided,) = lines(run(commands.void, "--serial", str(serial), "--reason", "why", "--yes", "--json"))
    assert (voided["act"], voided["registration_state"]) == ("void", None)
    gone = run(commands.revoke, *of[:-1], "--lang", "en")
    assert "no copy in force" in gone.stdout
    listed = run(commands.log_group, "status", "--lang", "en")
    assert "1 void" in listed.stdout
    (status,) = lines(run(commands.log_group, "status", "--json"))
    assert (status["void"], status["made"]) == (1, False)


def test_log_landmark_makes_a_list_and_shows_it() -> None:
    make()
    with pytest.raises(RefusalError, match="empty"):
        run(commands.log_group, "landmark")
    issue()
    (made,) = lines(run(commands.log_group, "landmark", "--json"))
    assert (made["type"], made["made"], made["start"], made["size"], made["blocks"]) == ("landmark", True, 0, 4, 1)
    assert "现行地标清单" in run(commands.log_group, "landmark").stdout
    assert (
        "landmark list in force: entries [0, 4), 1 blocks" in run(commands.log_group, "landmark", "--lang", "en").stdout
    )


def test_status_lists_are_exported_and_stepped_from_one_to_the_next(tmp_path: Path) -> None:
    make()
    export = (commands.log_group, "status-export", "list.out", "--uri", "https://zs.example.cn/status/1")
    with pytest.raises(RefusalError, match="no status list"):
        run(*export)
    issue()
    run(commands.log_group, "status")
    run(*export)
    assert (tmp_path / "list.out").read_bytes()[:2] == b"\xd2\x84"
    run(*export, "--form", "jwt")
    assert (tmp_path / "list.out").read_bytes().count(b".") == 2
    with pytest.raises(RefusalError, match="name one issuer"):
        run(*export, "--issuer", "9")
    run(commands.trust_group, "export", "trust")
    (old,) = (path.read_bytes() for path in tmp_path.glob("trust/**/1.cbor"))
    (tmp_path / "old").write_bytes(old)
    run(commands.revoke, "--serial", "0", "--reason", "x", "--yes")
    run(commands.trust_group, "export", "trust")
    new = max(tmp_path.glob("trust/**/1.cbor"), key=lambda path: path.stat().st_mtime_ns).read_bytes()
    assert new != old
    (tmp_path / "new").write_bytes(new)
    run(commands.log_group, "status-delta", "old", "new", "step")
    run(commands.log_group, "status-apply", "old", "step", "made")
    assert (tmp_path / "made").read_bytes() == new


@pytest.mark.parametrize(
    "target",
    [
        (),
        ("--registration", NUMBER),
        ("--kind", "cn.constructor.1"),
        ("--serial", "0", "--registration", NUMBER, "--kind", "cn.constructor.1"),
        ("--registration", NUMBER, "--kind", "cn.nothing"),
    ],
)
def test_a_target_is_a_registration_with_its_kind_or_a_serial(target: tuple[str, ...]) -> None:
    make()
    assert run(commands.revoke, *target, "--reason", "why").exit_code == 2


def test_a_dry_run_of_a_file_ends_with_the_total() -> None:
    make()
    words = ("records.csv", "--out", "out", "--copy", "usage", "--purpose", "投标", "--dry-run")
    told = run(issuing.issue, *words).stdout.splitlines()
    assert told[0].startswith("第 ")
    assert told[-1].startswith("共 ")
    assert "将取代 0 份旧证书" in told[-1]
    assert "superseded" in run(issuing.issue, *words, "--lang", "en").stdout.splitlines()[-1]
    assert "共 " not in run(issuing.issue, *words, "--json").stdout


def test_reissue_previews_asks_and_delivers() -> None:
    make()
    issue()
    of = ("--registration", NUMBER, "--kind", "cn.constructor.1", "--reason", "why", "--out", "out")
    told = run(commands.reissue, *of, "--dry-run").stdout
    assert "将被取代的序号" in told
    assert "第 1 行" not in told
    assert "规则没有换领" in told
    assert "三（七）" in told
    assert run(commands.reissue, *of, input="n\n").exit_code == 1
    (copy,) = lines(run(commands.reissue, *of, "--yes", "--json", "--copy", "usage", "--purpose", "新项目"))
    assert copy["rule"]["answer"] == "NO_RULE"  # type: ignore[index]
    assert copy["serial"] == 2
    assert len(copy["superseded"]) == 1  # type: ignore[arg-type]
    assert Path(str(copy["file"])).is_file()


def test_trust_is_exported_one_generation_up() -> None:
    make()
    issue()
    assert "第 1 代" in run(commands.trust_group, "export", "trust").stdout
    (item,) = lines(run(commands.trust_group, "export", "trust", "--json"))
    assert item["generation"] == 2
    assert load_store(Path("trust")).fingerprint == item["fingerprint"]
    assert "generation 3" in run(commands.trust_group, "export", "trust", "--lang", "en").stdout


def test_the_log_proves_checks_and_resumes() -> None:
    make()
    issue()
    proof = run(commands.log_group, "prove", "--serial", "1")
    assert parse_tlog_proof(proof.stdout.encode()).index == 1
    checked = run(commands.log_group, "fsck", "--json")
    assert (checked.exit_code, lines(checked)[0]["clean"]) == (0, True)
    tile = next(path for path in Path("W/log/public/tile").rglob("*") if path.is_file())
    whole = tile.read_bytes()
    tile.write_bytes(bytes(len(whole)))
    assert run(commands.log_group, "fsck").exit_code == 1
    tile.write_bytes(whole)
    anchor = Path("anchor")
    anchor.write_bytes(Path("W/log/public/checkpoint").read_bytes())
    assert run(commands.log_group, "resume", "--anchor", "anchor").exit_code == 0
    assert run(commands.log_group, "resume").exit_code == 2


def test_a_clock_is_confirmed_with_the_day_it_shows() -> None:
    make()
    issue()
    assert run(commands.log_group, "resume", "--today", "2001-01-01").exit_code == 2
    today = format_day(day_of_time(NOW))
    assert run(commands.log_group, "resume", "--today", today).exit_code == 0


def test_a_serial_that_is_not_logged_has_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    make()
    with monkeypatch.context() as patch:
        patch.setattr("mingzheng.issuer.issue.settle", lambda *_args, **_named: None)
        with pytest.raises(AssertionError):
            issue()
    with pytest.raises(RefusalError):
        run(commands.log_group, "prove", "--serial", "0")


def test_no_option_takes_a_passphrase_itself() -> None:
    for command in (commands.init, issuing.issue, commands.revoke, commands.void, commands.reissue):
        names = [name for parameter in command.params for name in parameter.opts]
        found = [name for name in names if "pass" in name]
        assert {name.removeprefix("--operator-").removeprefix("--") for name in found} == {
            "passphrase-file",
            "passphrase-fd",
        }
        for parameter in command.params:
            if any("pass" in name for name in parameter.opts):
                assert parameter.envvar is None


def test_passphrases_are_read_from_file_descriptor_or_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pass"
    file.write_bytes(b"correct horse battery")
    file.chmod(0o600)
    assert shared.Secret(file=file, fd=None).read() == b"correct horse battery"
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(shared, "read_passphrase", lambda **named: asked.append(named) or b"typed")
    assert shared.Secret(file=None, fd=None, confirm=True).read() == b"typed"
    assert asked[0]["confirm"] is True


def test_days_are_civil_days_of_china() -> None:
    assert parse_day("2000-01-01") == commands.DEMO_KEYS_FROM
