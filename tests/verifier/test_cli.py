"""The two commands: paths, languages, exit status, standard input, and silence about people."""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from simulator import DAY, HOUR, Issued, World, flip

from mingzheng.formats.civil import format_day
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.formats.qrtext import to_digits
from mingzheng.keys.snapshot import save_store
from mingzheng.log.acts import ActType
from mingzheng.verifier.cli import inspect, verify


@dataclass(frozen=True, kw_only=True)
class Place:
    """A directory with a trust store and some files, and the clock set to an hour after the store."""

    path: Path
    world: World
    good: Issued
    revoked: Issued

    @property
    def trust(self) -> list[str]:
        return ["--trust", str(self.path / "trust")]

    def file(self, name: str, content: str | bytes) -> str:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(target)

    def run(self, *words: str, **settings: object) -> Result:
        return CliRunner().invoke(verify, [*words, *self.trust], **settings)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    world = World()
    good, revoked = world.issue(world.claims(), world.claims(serial=1))
    world.act(ActType.REVOKE, 1)
    world.publish_status()
    save_store(tmp_path / "trust", world.trust_files())
    monkeypatch.setattr(time, "time", lambda: float(world.now + HOUR))
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return Place(path=tmp_path, world=world, good=good, revoked=revoked)


def rows(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_picture_passes_on_site(place: Place) -> None:
    picture = place.file("code.png", matrix_to_png(encode_qr(place.good.text), 4))
    result = place.run(picture, "--policy", "site")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("✓ 证书数据有效，请人工比对")
    assert result.stderr == ""


def test_bid_is_the_default_and_wants_the_fingerprint(place: Place) -> None:
    code = place.file("code.txt", place.good.text)
    undecided = place.run(code)
    assert undecided.exit_code == 3
    assert "TRUST_UNSIGNED" in undecided.stdout
    fingerprint = place.world.source().fingerprint
    assert place.run(code, "--trust-fingerprint", fingerprint.upper()).exit_code == 0
    assert place.run(code, "--trust-fingerprint", "0" * 64).exit_code == 3


def test_a_bad_fingerprint_is_a_usage_error(place: Place) -> None:
    result = place.run(place.file("code.txt", place.good.text), "--trust-fingerprint", "xyz")
    assert getattr(result.exception, "exit_code", None) == 2


def test_directories_are_read_in_order_and_rows_are_counted(place: Place) -> None:
    place.file("up/b/2.txt", place.revoked.text)
    place.file("up/a.txt", place.good.text)
    place.file("up/c.bin", b"\x00\x01")
    result = place.run(str(place.path / "up"), "--policy", "site", "--json")
    assert result.exit_code == 1
    found = [(Path(str(row["file"])).name, row["verdict"]) for row in rows(result)]
    assert found == [("a.txt", "VALID_COMPARE"), ("2.txt", "REVOKED"), ("c.bin", "UNREADABLE")]
    assert result.stderr.strip() == "合计 total 3: UNREADABLE 1  REVOKED 1  VALID_COMPARE 1"
    up = (str(place.path / "up"), "--policy", "site")
    shown = place.run(*up, "--lang", "zh").stderr.strip()
    assert shown == "合计 3：无法读取 1；已被撤销 1；证书数据有效，请人工比对 1"


def test_several_rows_begin_with_a_line_each_and_long_runs_show_what_does_not_pass(place: Place) -> None:
    good = [place.file(f"up/{'very-' * 20}long/{number}.txt", place.good.text) for number in range(3)]
    revoked = place.file("r.txt", place.revoked.text)
    few = place.run(good[0], revoked, "--policy", "site", "--lang", "en").stdout.splitlines()
    assert few[0].startswith("  1. ✓ Credential valid")
    assert few[0].endswith("long/0.txt")
    assert "…" in few[0]
    assert few[1].startswith("  2. ✗ Revoked")
    assert [line for line in few if line.startswith("1. ✓")]
    long = place.run(*good, revoked, "--policy", "site")
    assert "另见" not in long.stdout
    assert "\n4. ✗ 已被撤销" in long.stdout
    assert "通过的 3 份未列全文" in long.stdout
    assert "DUPLICATE" not in long.stdout
    full = place.run(*good, revoked, "--policy", "site", "--full")
    assert "另见: 第 1、3 份" in full.stdout
    assert "未列全文" not in full.stdout


def test_one_wins_over_three(place: Place) -> None:
    paths = [place.file("a.txt", place.good.text), place.file("b.txt", place.revoked.text)]
    assert place.run(*paths).exit_code == 1
    assert place.run(paths[0]).exit_code == 3


def test_an_empty_directory_is_a_usage_error(place: Place) -> None:
    (place.path / "empty").mkdir()
    assert place.run(str(place.path / "empty")).exit_code == 2


def test_a_missing_file_is_an_io_error_and_the_others_are_still_judged(place: Place) -> None:
    result = place.run(str(place.path / "nowhere.png"), place.file("a.txt", place.revoked.text), "--json")
    assert result.exit_code == 4
    assert [row["verdict"] for row in rows(result)] == ["REVOKED"]
    assert "nowhere.png" in result.stderr
    assert place.run(str(place.path / "nowhere.png")).exit_code == 4


def test_standard_input_is_texts_one_a_line_or_a_file(place: Place) -> None:
    lines = f"{place.good.text}\r\nhttps://a.example/v\n\n{place.revoked.text}\n"
    result = place.run("-", "--policy", "site", "--json", input=lines)
    assert [row["verdict"] for row in rows(result)] == ["VALID_COMPARE", "NOT_OUR_FORMAT", "REVOKED"]
    picture = matrix_to_png(encode_qr(place.good.text), 4)
    assert place.run("-", "--policy", "site", input=picture).exit_code == 0
    assert [row["verdict"] for row in rows(place.run("-", "--json", input=b""))] == ["UNREADABLE"]


def test_judging_day_purpose_and_specialty(place: Place) -> None:
    code = place.file("a.txt", place.good.text)
    late = place.run(code, "--policy", "site", "--at", format_day(DAY + 181), "--json")
    assert rows(late)[0]["verdict"] == "USAGE_EXPIRED"
    assert rows(late)[0]["judged_on"] == format_day(DAY + 181)
    other = place.run(code, "--policy", "site", "--expect-purpose", "乙项目投标", "--json")
    assert rows(other)[0]["verdict"] == "PURPOSE_MISMATCH"
    assert place.run(code, "--policy", "site", "--expect-specialty", "机电工程").exit_code == 0
    assert place.run(code, "--policy", "site", "--expect-specialty", "3").exit_code == 1
    assert place.run(code, "--at", "21.11.2026").exit_code == 2


@pytest.mark.parametrize(
    ("environment", "words", "english"),
    [
        ({}, [], False),
        ({"LANG": "C"}, [], False),
        ({"LANG": "en_GB.UTF-8"}, [], True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US"}, [], True),
        ({"LANG": "en_GB.UTF-8"}, ["--lang", "zh"], False),
        ({}, ["--lang", "en"], True),
    ],
)
def test_language(place: Place, environment: dict[str, str], words: list[str], english: bool) -> None:
    result = place.run(place.file("a.txt", place.good.text), "--policy", "site", *words, env=environment)
    assert ("Credential valid" in result.stdout) is english
    assert ("证书数据有效" in result.stdout) is not english


def test_files_over_the_limit_are_not_read_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    big = place.path / "big.bin"
    with big.open("wb") as file:
        file.truncate(21 * 1024 * 1024)
    assert [row["verdict"] for row in rows(place.run(str(big), "--json"))] == ["RESOURCE_LIMIT"]


def test_a_damaged_store_stops_the_run(place: Place) -> None:
    (place.path / "trust" / "CURRENT").write_text("9\n")
    result = place.run(place.file("a.txt", place.good.text))
    assert getattr(result.exception, "code", "").startswith("trust.")
    assert CliRunner().invoke(verify, ["x", "--trust", str(place.path / "nowhere")]).exit_code == 2


def test_standard_error_names_no_person(place: Place) -> None:
    forged = to_digits(flip(place.good.token, 50))
    names = [place.file("a.txt", place.good.text), place.file("b.txt", forged), str(place.path / "missing.pdf")]
    result = place.run(*names)
    personal = ("张三丰", "京111200620080001", "某某建设集团有限公司", "1980-05-17")
    assert not [word for word in personal if word in result.stderr]


def test_inspect_shows_everything_and_trusts_nothing(place: Place) -> None:
    picture = place.file("code.png", matrix_to_png(encode_qr(place.good.text), 4))
    shown = CliRunner().invoke(inspect, [picture])
    assert shown.exit_code == 0
    assert "张三丰" in shown.stdout
    assert "未经任何核验" in shown.stderr
    found = json.loads(CliRunner().invoke(inspect, [picture, "--json"]).stdout)
    assert found["trusted"] is False
    assert found["items"][0]["credential"]["claims"]["serial"] == 0
    assert "签名字段.姓名: 张三丰" in CliRunner().invoke(inspect, [picture, "--lang", "zh"]).stdout
    assert "claims.name: 张三丰" in CliRunner().invoke(inspect, [picture, "--lang", "en"]).stdout
    alien = place.file("alien.txt", "https://a.example/v")
    assert CliRunner().invoke(inspect, [alien]).exit_code == 1


@pytest.mark.parametrize("command", [verify, inspect])
def test_help_in_both_languages(command: Callable[..., object]) -> None:
    text = CliRunner().invoke(command, ["--help"]).output  # type: ignore[arg-type]
    assert "Exit status" in text
    assert "退出码" in text


def test_conflicts_are_seen_across_files(place: Place) -> None:
    world = place.world
    other = world.issue_one(employer="另一家公司")
    world.generation += 1
    world.publish_status()
    save_store(place.path / "trust", world.trust_files())
    paths = [place.file("a.txt", place.good.text), place.file("b.txt", other.text)]
    found = rows(place.run(*paths, "--policy", "site", "--json"))
    assert ["CONFLICT_UNIT" in json.dumps(row["findings"]) for row in found] == [False, True]
    assert place.run(*paths, "--policy", "site").stdout.count("CONFLICT_UNIT") >= 2
    assert os.path.basename(str(found[0]["file"])) == "a.txt"


def test_rows_are_written_before_the_next_file_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that brings the run down leaves the rows before it."""
    paths = [place.file("a.txt", place.good.text), place.file("b.txt", place.good.text)]
    read = Path.stat

    def failing(path: Path, **settings: bool) -> os.stat_result:
        if path.name == "b.txt" and sys._getframe(1).f_code.co_name == "_read":
            raise KeyboardInterrupt
        return read(path, **settings)

    monkeypatch.setattr(Path, "stat", failing)
    result = place.run(*paths, "--policy", "site", "--json")
    assert result.exit_code != 0
    assert [row["verdict"] for row in rows(result)] == ["VALID_COMPARE"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_or_a_device_is_refused_at_once(place: Place) -> None:
    pipe = place.path / "pipe.pdf"
    os.mkfifo(pipe)
    good = place.file("a.txt", place.good.text)
    result = place.run(str(pipe), "/dev/zero", good, "--policy", "site", "--json")
    assert result.exit_code == 4
    assert [row["verdict"] for row in rows(result)] == ["VALID_COMPARE"]
    assert result.stderr.count("[verifier.not_a_file]") == 2
    shown = CliRunner().invoke(inspect, [str(pipe)])
    assert getattr(shown.exception, "code", "") == "verifier.not_a_file"


def test_standard_input_over_a_limit_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import mingzheng.verifier.cli as cli

    good = place.good.text
    text = f"{good}\n{'1' * 70_000}\n{good}\n"
    words = ("-", "--policy", "site", "--json")

    def verdicts(**limits: int) -> list[object]:
        monkeypatch.setattr(cli, "LIMITS_DEFAULT", dataclasses.replace(LIMITS_DEFAULT, **limits))
        result = place.run(*words, input=text)
        assert result.exit_code == 1
        return [row["verdict"] for row in rows(result)]

    passes, over = "VALID_COMPARE", "RESOURCE_LIMIT"
    assert verdicts() == [passes, over, passes]
    assert verdicts(lines=3) == [passes, over, passes]
    assert verdicts(lines=2) == [passes, over, over]
    assert verdicts(lines=1) == [passes, over]
    assert verdicts(file_bytes=len(text)) == [passes, over, passes]
    assert verdicts(file_bytes=len(text) - 1) in ([passes, over, over], [passes, over, passes, over])
    assert verdicts(file_bytes=len(text) - 9) == [passes, over, over]
    assert verdicts(file_bytes=len(good) + 5) == [passes, over]
    assert verdicts(file_bytes=10) == [over]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_files_in_any_number_of_processes_give_the_same_rows(place: Place, jobs: str) -> None:
    picture = matrix_to_png(encode_qr(place.good.text), 4)
    for number in range(6):
        place.file(f"up/{number}.png", picture if number % 2 else picture[:200])
    result = place.run(str(place.path / "up"), "--policy", "site", "--json", "--jobs", jobs)
    assert [Path(str(row["file"])).name for row in rows(result)] == [f"{number}.png" for number in range(6)]
    assert [row["verdict"] for row in rows(result)] == ["UNREADABLE", "VALID_COMPARE"] * 3
    assert place.run("x", "--jobs", "0").exit_code == 2
