"""The demo as a user plays it: in a directory with a space and 中文, twice, and where it must not play at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import mingzheng.demo as face
from mingzheng.cli import cli
from mingzheng.demo import MARK, Case, DemoError, Stage, demo
from mingzheng.demo_data import ARCHITECTS, CONSTRUCTORS, SAFETY

PEOPLE = (*CONSTRUCTORS, *ARCHITECTS, *SAFETY)
VERDICTS = [
    "VALID",
    "VALID_COMPARE",
    "USAGE_EXPIRED",
    "REVOKED",
    "SUSPENDED",
    "SUPERSEDED",
    "SEAL_MISSING",
    "SEAL_INVALID",
    "SEAL_WRONG_BODY",
    "FILE_CHANGED",
    "FORGED",
    "NOT_LOGGED",
    "UNKNOWN_ISSUER",
    "NOT_OUR_FORMAT",
    "STALE",
]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[bytes]]:
    """One run of the command in a process of its own, as under LANG=C."""
    place = tmp_path_factory.mktemp("演示 demo")
    out = place / "结果 out"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MINGZHENG_")},
        "LANG": "C",
        "XDG_STATE_HOME": str(place / "state"),
    }
    words = [sys.executable, "-m", "mingzheng", "-v", "demo", "--out", str(out)]
    return out, subprocess.run(words, capture_output=True, check=False, timeout=300, env=environment, cwd=place)


Played = tuple[Path, subprocess.CompletedProcess[bytes]]


def test_every_case_comes_out_as_named_beforehand(played: Played) -> None:
    out, done = played
    shown = done.stdout.decode("utf-8")
    assert done.returncode == 0, shown + done.stderr.decode("utf-8")
    assert "0 例意外" in shown
    assert "✗" not in shown
    assert all(f"✓ {verdict}" in shown for verdict in VERDICTS)
    assert f"结果在 Results in {out}\n" in shown
    assert f'"{out / "certificates"}" --trust' in shown


def test_leaves_certificates_trust_log_and_reports(played: Played) -> None:
    out, _ = played
    for form in ("pdf", "ofd"):
        assert len(list((out / "certificates").glob(f"*.{form}"))) >= 8
    assert (out / "cases" / "scan.png").exists()
    assert (out / "cases" / "photo.jpg").exists()
    assert (out / "log" / "checkpoint").read_bytes().startswith(b"demo.mingzheng.example/log\n")
    assert (out / "log.vkey").read_text().startswith("demo.mingzheng.example/log+")
    assert (out / "trust" / "CURRENT").exists()


def test_reports_exist_in_both_languages_and_as_data(played: Played) -> None:
    reports = played[0] / "reports"
    assert "证书数据有效，请人工比对" in (reports / "trust.zh.txt").read_text("utf-8")
    assert "compare" in (reports / "trust.en.txt").read_text("utf-8")
    rows = [json.loads(line) for line in (reports / "trust.ndjson").read_text("utf-8").splitlines()]
    assert {row["verdict"] for row in rows} == set(VERDICTS) - {"STALE"}
    assert json.loads((reports / "trust-old.ndjson").read_text("utf-8"))["verdict"] == "STALE"
    assert "没有异常" in (reports / "audit.txt").read_text("utf-8")


def test_public_files_hold_no_personal_text(played: Played) -> None:
    """Neither name nor employer nor number of anybody is in the log or the trust data."""
    out, _ = played
    public = b"".join(
        path.read_bytes() for room in ("log", "trust") for path in (out / room).rglob("*") if path.is_file()
    )
    assert len(public) > 1000
    for person in PEOPLE:
        for text in (person.name, person.registration_no, person.employer):
            assert text.encode() not in public


def test_talk_on_standard_error_names_nobody(played: Played) -> None:
    talk = played[1].stderr.decode("utf-8")
    assert not [person.name for person in PEOPLE if person.name in talk]


def test_commands_shown_are_short_and_relative(played: Played) -> None:
    out, done = played
    shown = [line for line in done.stdout.decode("utf-8").splitlines() if line.startswith("$ mingzheng ")]
    assert len(shown) > 15
    assert not [line for line in shown if str(out.parent) in line]
    assert "$ mingzheng trust export trust --workspace workspace --passphrase-file passphrase.txt" in shown


def test_the_passphrase_is_private(played: Played) -> None:
    assert (played[0] / "passphrase.txt").stat().st_mode & 0o077 == 0


def test_an_earlier_demo_is_not_replaced_unasked(played: Played) -> None:
    result = CliRunner().invoke(demo, ["--out", str(played[0])])
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (played[0] / "log.vkey").exists()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_directory_that_is_no_demo_is_left_alone(tmp_path: Path, force: list[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = CliRunner().invoke(demo, ["--out", str(tmp_path), *force])
    assert result.exit_code == 2
    assert "不是演示目录" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_file_in_the_place_is_left_alone(tmp_path: Path, force: list[str]) -> None:
    (tmp_path / "out").write_text("mine")
    result = CliRunner().invoke(demo, ["--out", str(tmp_path / "out"), *force])
    assert result.exit_code == 2
    assert (tmp_path / "out").read_text() == "mine"


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    out = face._fresh(tmp_path, force=False)
    assert sorted(path.name for path in out.iterdir()) == [MARK, "passphrase.txt"]


def test_a_surprise_fails_the_demo(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs last: a short play over the first, with one verdict named wrongly."""
    out, _ = played
    monkeypatch.setenv("XDG_STATE_HOME", str(out.parent / "state"))
    old = (out / "log.vkey").read_text()

    def play(stage: Stage) -> list[Case]:
        face._found(stage)
        good = stage.issue("constructors", CONSTRUCTORS[:1])[0]
        face._publish(stage)
        forged = face._forge(stage, good.pdf)["tampered"]
        return [
            Case(title="一级建造师 good copy PDF", path=good.pdf, trust="trust", expected="REVOKED"),
            Case(title="一级建造师 good copy OFD", path=good.ofd, trust="trust", expected="VALID"),
            Case(title="改过一个字 one character changed", path=forged, trust="trust", expected="FORGED"),
        ]

    monkeypatch.setattr(face, "_play", play)
    result = CliRunner().invoke(cli, ["demo", "--out", str(out), "--force"])
    assert isinstance(result.exception, DemoError)
    assert result.exception.exit_code == 1
    missed = [line for line in result.stdout.splitlines() if line.startswith("✗")]
    assert [line.split() for line in missed] == [["✗", "VALID", "(≠", "REVOKED)", "一级建造师", "good", "copy", "PDF"]]
    assert "1 例意外" in result.stdout
    assert (out / "log.vkey").read_text() != old
    assert (out / "reports" / "trust.zh.txt").exists()


def test_a_command_that_fails_stops_the_demo(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with pytest.raises(DemoError, match="status 0, not 3"):
        stage.run("doctor", status=3)
    with pytest.raises(click.UsageError):
        stage.run("nothing")
