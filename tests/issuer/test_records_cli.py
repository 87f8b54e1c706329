"""`mingzheng records`: a sample that is itself faultless, and every fault of a file without a workspace."""

import csv
import importlib.util
import io
import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from office import person, picture, table

from mingzheng.formats.civil import day_start, format_day, parse_day
from mingzheng.formats.library import load_shipped_profiles, read_shipped_profiles
from mingzheng.formats.profile import parse_profile
from mingzheng.issuer import progress, workbook
from mingzheng.issuer.progress import ProgressLine
from mingzheng.issuer.recordfile import read_records
from mingzheng.issuer.records_cli import records_group
from mingzheng.issuer.sample import sample_rows

KINDS = sorted({profile.id for profile in load_shipped_profiles().profiles})
needs_xlsx = pytest.mark.skipif(
    importlib.util.find_spec("openpyxl") is None, reason='openpyxl is not installed: pip install "mingzheng[xlsx]"'
)
ON = ("--on", "2026-06-01")


def run(*arguments: str, data: bytes | None = None) -> Result:
    result = CliRunner().invoke(records_group, list(arguments), input=data)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(picture(300, 420))
    (tmp_path / "sign.png").write_bytes(picture(300, 100))
    return tmp_path


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("form", ["csv", pytest.param("xlsx", marks=needs_xlsx)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_is_faultless(kind: str, form: str, lang: str, folder: Path) -> None:
    made = run("template", "--kind", kind, "--format", form, "--lang", lang, *ON)
    assert made.exit_code == 0
    (folder / "records").write_bytes(made.stdout_bytes)
    checked = run("check", "records", "--no-images", "--json", *ON)
    *faults, last = [json.loads(line) for line in checked.stdout.splitlines()]
    announced = kind == "cn.post-training"  # and not open yet: that is all that is wrong with its sample
    assert [fault["code"] for fault in faults] == ["plan.not_enabled"] * announced
    assert last == {"type": "checked", "good": 1 - announced, "faults": int(announced), "notes": 0}


DAYS = ("2021-08-01", "2024-02-28", "2024-02-29", "2024-03-01", "2026-12-31", "2027-01-02", "2028-02-29", "2040-01-01")
FAR = ("2040-02-29", "2049-12-31", "2099-12-31")


@pytest.mark.parametrize("day", [*DAYS, *FAR])
@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_is_faultless_on_whatever_day_it_is_made(kind: str, day: str, folder: Path) -> None:
    made = run("template", "--kind", kind, "--on", day).stdout_bytes
    assert run("template", "--kind", kind, "--on", day).stdout_bytes == made
    (folder / "records").write_bytes(made)
    parsed = read_records(made).parsed
    (record,), on = parsed.records, parse_day(day)
    assert record.certificate_issued_on <= on < record.registered_until
    assert all(item.first_day <= on < item.last_day for item in record.specialties)
    assert 40 * 365 <= on - record.birth <= 42 * 366  # far from every age the rules know
    result = run("check", "records", "--no-images", "--json", "--on", day)
    *faults, _ = [json.loads(line) for line in result.stdout.splitlines()]
    assert [fault["code"] for fault in faults] == ["plan.not_enabled"] * (kind == "cn.post-training")


@pytest.mark.parametrize(
    ("day", "issued", "end"),
    [
        ("2024-02-28", "2023-02-28", "2026-02-28"),
        ("2024-02-29", "2023-02-28", "2026-02-28"),
        ("2024-03-01", "2023-03-01", "2026-03-01"),
        ("2025-02-28", "2024-02-28", "2027-02-28"),
        ("2026-12-31", "2025-12-31", "2028-12-31"),
        ("2027-01-01", "2026-01-01", "2029-01-01"),
        ("2040-02-29", "2039-02-28", "2042-02-28"),
    ],
)
def test_the_dates_of_the_sample_are_counted_from_the_day(day: str, issued: str, end: str) -> None:
    data = run("template", "--kind", "cn.constructor.1", "--on", day).stdout_bytes
    (record,) = read_records(data).parsed.records
    (line,) = record.specialties
    assert [format_day(each) for each in (record.certificate_issued_on, line.first_day)] == [issued] * 2
    assert [format_day(each) for each in (record.registered_until, line.last_day)] == [end] * 2


@pytest.mark.parametrize("day", ["0001-01-01", "1900-01-01", "9999-12-31"])
def test_a_sample_for_a_day_at_the_end_of_the_calendar_is_no_crash(day: str) -> None:
    assert run("template", "--kind", "cn.constructor.1", "--on", day).exit_code == 0


def test_a_sample_is_made_for_today_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.issuer.records_cli.time.time", lambda: day_start(parse_day("2031-05-06")) + 1)
    told = run("template", "--kind", "cn.architect.1", "--on", "2031-05-06").stdout_bytes
    assert run("template", "--kind", "cn.architect.1").stdout_bytes == told
    assert run("template", "--kind", "cn.architect.1", "--on", "2031-05-07").stdout_bytes != told


def test_a_term_of_one_year_begins_today() -> None:
    text = read_shipped_profiles()["cn.constructor.2.0.toml"].replace(b"term = { value = 3", b"term = { value = 1")
    profile = parse_profile(text)
    rows = sample_rows(profile, jurisdiction=0, zh=False, day=parse_day("2026-06-01"))
    person_row = dict(zip(rows[0], rows[2], strict=True))
    assert (person_row["certificate_issued_on"], person_row["registered_until"]) == ("2026-06-01", "2027-06-01")


def test_the_csv_sample_opens_in_a_spreadsheet_with_its_chinese() -> None:
    data = run("template", "--kind", "cn.constructor.1").stdout_bytes
    assert data.startswith(b"\xef\xbb\xbf")
    header, notes, sample = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    assert header[2] == "姓名"
    assert all(note.startswith("#") for note in notes)
    assert len(header) == len(notes) == len(sample)


@needs_xlsx
def test_cells_of_the_workbook_are_text() -> None:
    import openpyxl

    data = run("template", "--kind", "cn.constructor.1", "--format", "xlsx").stdout_bytes
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    assert {cell.number_format for row in sheet.iter_rows() for cell in row} == {"@"}
    assert sheet.column_dimensions["G"].number_format == "@"


def test_a_sample_for_a_province() -> None:
    data = run("template", "--kind", "cn.constructor.2", "--jurisdiction", "ln").stdout_bytes.decode("utf-8-sig")
    assert "辽2212006200712345" in data
    assert ",21," in data


@pytest.mark.parametrize("arguments", [("--kind", "cn.x"), ("--kind", "cn.safety", "--jurisdiction", "zz")])
def test_samples_that_there_are_not(arguments: tuple[str, ...]) -> None:
    assert run("template", *arguments).exit_code == 2


def test_without_the_library_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    assert not workbook.can_write()
    refused = run("template", "--kind", "cn.safety", "--format", "xlsx")
    assert refused.exit_code == 2
    assert "mingzheng[xlsx]" in refused.stderr
    (fault,) = read_records(b"PK\x03\x04[Content_Types].xml xl/").parsed.faults
    assert fault.code == "record.xlsx_library"
    assert "mingzheng[xlsx]" in fault.remedy_zh


def test_check_says_every_fault_with_its_cell_and_exits_1(folder: Path) -> None:
    rows = [
        person(1),
        person(2, sex="x"),
        person(3, photo="absent.png"),
        person(4, kind="cn.x"),
        person(5, employer=""),
    ]
    (folder / "records.csv").write_bytes(table(rows))
    result = run("check", "records.csv", *ON)
    assert result.exit_code == 1
    assert result.stdout == ""
    said = result.stderr.splitlines()
    named = ["D3 性别（sex）", "O4 照片（photo）", "A5 证书种类（kind）", "K6 聘用企业（employer）"]
    assert [line.split("：")[0] for line in said[:-1]] == named
    assert said[-1] == "1 行无误，4 处错误"
    english = run("check", "records.csv", "--lang", "en", *ON).stderr
    assert "D3 sex: unknown sex; write 男 or 女 (1 or 2). [record.bad_sex]" in english
    assert english.splitlines()[-1] == "good rows: 1, faults: 4"


def test_check_reads_standard_input_and_bodies_are_left_to_the_workspace() -> None:
    result = run("check", "-", *ON, data=table([person(1, issuing_body="某机关")]))
    assert (result.exit_code, result.stderr) == (0, "1 行无误，0 处错误\n")


def test_notes_are_few_for_people_and_all_for_programs() -> None:
    data = table([person(number, employer=f"{number}\u00a0公司") for number in range(6)])
    result = run("check", "-", *ON, data=data)
    assert result.exit_code == 0
    assert result.stderr.count("提示 K") == 3
    assert "提示 [record.odd_space] 还有 3 处" in result.stderr
    assert "note [record.odd_space]: 3 more" in run("check", "-", "--lang", "en", *ON, data=data).stderr
    assert run("check", "-", "--json", *ON, data=data).stdout.count('"type": "note"') == 6


def test_a_file_that_is_none_says_so_without_a_cell() -> None:
    assert run("check", "-", data=b"%PDF").stderr.startswith("文件：文件不是表格（是 PDF）")


def test_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError):
        run("check", "absent.csv")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("lang", "words"), [("zh", " / 100，约剩 0:07"), ("en", " of 100, about 0:07 left")])
def test_progress_and_time_left(lang: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, terminal = Clock(), Terminal()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    with ProgressLine(lang, shown=True) as line:  # type: ignore[arg-type]
        for done in range(1, 31):
            clock.now = 100 + done * 0.1
            line("check", done, 100)
        assert words in terminal.getvalue()
        line("check", 100, 100)
        assert terminal.getvalue().endswith(" \r")
        line("deliver", 1, 100)
        line("deliver", 2, 100)
        clock.now += 5
        line("deliver", 3, 100)
    assert terminal.getvalue().endswith(" \r")


@pytest.mark.parametrize("terminal", [Terminal(), io.StringIO()])
def test_no_progress_with_quiet(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    monkeypatch.setattr(logging.getLogger("mingzheng"), "level", logging.ERROR)
    with ProgressLine("zh", shown=True) as line:
        line("check", 1, 100)
        clock.now += 60
        line("check", 2, 100)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("lang", "words"),
    [("zh", "检查 {} / 1,000，约剩 0:{:02d}\n"), ("en", "checked {} of 1,000, about 0:{:02d} left\n")],
)
def test_a_log_shows_a_line_every_tenth(lang: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = Clock(), io.StringIO()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(progress.sys, "stderr", log)
    began = clock.now
    with ProgressLine(lang, shown=True) as line:  # type: ignore[arg-type]
        for done in range(1, 1_001):
            clock.now = began + (done - 1) * 0.05
            line("check", done, 1_000)
    assert log.getvalue() == "".join(words.format(100 * tenth, 50 - 5 * tenth) for tenth in range(1, 10))


def test_a_log_shows_a_line_every_half_minute_and_none_of_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = Clock(), io.StringIO()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(progress.sys, "stderr", log)
    with ProgressLine("en", shown=True) as line:
        for done in range(1, 101):
            clock.now += 0.02
            line("check", done, 100)
        assert log.getvalue() == ""
        for done in range(1, 5):
            clock.now += 29
            line("deliver", done, 1_000)
    assert log.getvalue().count("\n") == 1
    assert log.getvalue().startswith("issued 3 of 1,000")
