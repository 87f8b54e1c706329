"""`mingzheng rules`: the cases through the command, its schema, its sentences, its refusals."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator, ValidationError

from mingzheng.issuer.errors import NoProfileError, WindowRefusedError
from mingzheng.issuer.rules_cli import rules_group

CASES = json.loads((Path(__file__).parent.parent / "vectors/rules/cases.json").read_text("utf-8"))["usage"]
TABLE = json.loads((Path(__file__).parent.parent / "vectors/rules/dated.json").read_text("utf-8"))
DATED = [case for case in TABLE["cases"] if case["ask"] == "window"]
SCHEMA = json.loads((files("mingzheng.issuer") / "rules-window.schema.json").read_text("utf-8"))
FULL = [
    *("--kind", "cn.constructor.1"),
    *("--download", "2022-06-27"),
    *("--specialty-until", "2025-01-01"),
    *("--birth", "1957-09-01"),
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(rules_group, list(arguments))


def check_schema(value: object) -> None:
    Draft202012Validator(SCHEMA).validate(value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_cases_as_json(case: dict[str, str]) -> None:
    architect = case["scheme"] == "architect"
    result = run(
        "window",
        *("--kind", "cn.architect.1" if architect else "cn.constructor.1"),
        *("--download", case["download"]),
        *("--registered-until" if architect else "--specialty-until", case["specialty_until"]),
        *("--birth", case["birth"]),
        "--json",
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    check_schema(found)
    assert set(found) == set(SCHEMA["required"]) == {"usage_until", "binding"}
    assert found["usage_until"] == case["expect_until"]
    named = [name.replace("REGISTRATION", "SPECIALTY") if architect else name for name in found["binding"]]
    assert named == case["binding"]


@pytest.mark.parametrize("case", DATED, ids=lambda case: str(case["id"]))
def test_dated_case_through_the_command(case: dict[str, Any]) -> None:
    given = ["window", "--kind", case["kind"], "--jurisdiction", str(case["jurisdiction"])]
    for name, value in case["facts"].items():
        for one in value if isinstance(value, list) else [value]:
            given += [name, one]
    result = run(*given, "--trace")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    check_schema(found)
    assert {key: found[key] for key in case["expect"]} == case["expect"]
    steps = [found["no_window"]] if case["step"] == "NO_WINDOW" else found["trace"]
    notice = case["notice"] and TABLE["notices"][case["notice"]]["key"]
    want = (notice, case["clause"], case["by_analogy"])
    assert want in [
        (step["notice"], step["clause"], step["by_analogy"])
        for step in steps
        if case["step"] == "NO_WINDOW" or (step["rule"] == case["step"] and step["binding"])
    ]


def test_trace_as_json() -> None:
    """`--trace` adds to the answer and changes nothing in it."""
    plain, full = (json.loads(run("window", *FULL, *more).stdout) for more in (["--json"], ["--trace"]))
    check_schema(full)
    assert {key: full[key] for key in plain} == plain
    assert [(step["rule"], step["day"], step["binding"], step["clause"]) for step in full["trace"]] == [
        ("D180", "2022-12-24", False, "三（二）"),
        ("SPECIALTY", "2025-01-01", False, "三（二）"),
        ("AGE65", "2022-09-01", True, "三（二）"),
    ]
    assert full["no_window"] is None
    none = json.loads(
        run(
            "window", "--kind", "cn.constructor.2", "--download", "2022-07-01", "--jurisdiction", "61", "--trace"
        ).stdout
    )
    check_schema(none)
    assert (none["trace"], none["no_window"]["clause"]) == ([], "二（四）")
    half = {**plain, "rule": "window"}
    with pytest.raises(ValidationError):
        check_schema(half)


def test_trace_for_people_in_both_languages() -> None:
    zh, en = run("window", *FULL), run("window", *FULL, "--lang", "en")
    assert zh.stdout.splitlines()[0] == "一级建造师：使用时限 2022年6月27日 至 2022年9月1日（含首尾两日）"
    assert en.stdout.splitlines()[0] == (
        "First-class constructor: usable from 2022-06-27 to 2022-09-01, both days included"
    )
    for text in (zh.stdout, en.stdout):
        assert text.count("三（二）") == 3
        assert [line.split()[1] for line in text.splitlines() if line.startswith("*")] == ["2022-09-01"]
    assert "持证人满 65 周岁当日" in zh.stdout
    assert "the day the holder turns 65" in en.stdout


def test_other_kinds_and_jurisdictions() -> None:
    base = ("window", "--kind", "cn.constructor.2", "--download", "2022-07-01")
    none = run(*base, "--jurisdiction", "61", "--json")
    assert json.loads(none.stdout) == {"usage_until": None, "binding": []}
    check_schema(json.loads(none.stdout))
    assert "无使用时限" in run(*base, "--jurisdiction", "sn").stdout
    assert "no usage window" in run(*base, "--jurisdiction", "61", "--lang", "en").stdout
    two = ("--specialty-until", "2022-08-01", "--specialty-until", "2022-09-01")
    assert json.loads(run(*base, *two, "--jurisdiction", "21", "--json").stdout) == {
        "usage_until": "2022-09-01",
        "binding": ["SPECIALTY"],
    }
    safety = ("window", "--kind", "cn.safety", "--download", "2022-07-01", "--registered-until", "2022-07-01")
    assert "类推" in run(*safety).stdout
    assert "by analogy" in run(*safety, "--lang", "en").stdout
    assert "end of the registration" in run(*safety, "--lang", "en").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--kind", "cn.nobody", "--download", "2022-06-27"],
        FULL[:-2],
        [*FULL[:4], *FULL[6:]],
        [*FULL[:2], "--download", "2022-6-27"],
        [*FULL[:2], "--download", "2101-01-01"],
        [*FULL[:-1], "2022-06-28"],
        [*FULL, "--lang", "fr"],
        [*FULL, "--jurisdiction", "x"],
        [],
    ],
)
def test_wrong_use(arguments: list[str]) -> None:
    result = run("window", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_the_nearest_kind_is_named() -> None:
    assert "cn.architect.1" in run("window", "--kind", "cn.architect", "--download", "2022-06-27").stderr


def test_nothing_to_issue_and_no_rule() -> None:
    closed = run("window", *FULL[:-1], "1950-01-01")
    assert isinstance(closed.exception, WindowRefusedError)
    assert closed.exception.exit_code == 1
    assert closed.exception.rules == ("AGE65",)
    early = run("window", *FULL[:2], "--download", "2021-01-31")
    assert isinstance(early.exception, NoProfileError)
    assert closed.stdout == early.stdout == ""


def test_help_has_an_example() -> None:
    for arguments in (["--help"], ["window", "--help"]):
        assert "mingzheng rules" in run(*arguments).stdout
