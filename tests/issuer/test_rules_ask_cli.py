"""The dated questions of `mingzheng rules`: the table through the commands, their schemas, sentences and refusals."""

import json
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from mingzheng.formats.rules_change import ChangeAnswer
from mingzheng.formats.rules_ends import EndsAnswer
from mingzheng.formats.rules_extension import ExtensionAnswer, ExtensionState
from mingzheng.formats.rules_forms import FormAnswer, WhichHoldsAnswer
from mingzheng.formats.rules_handwriting import InkAnswer
from mingzheng.formats.rules_images import ImageAnswer
from mingzheng.formats.rules_lock import LockAnswer
from mingzheng.formats.rules_reissue import DataChangeAnswer, ReissueAnswer
from mingzheng.formats.rules_renewal import RenewalAnswer, RenewedAnswer
from mingzheng.formats.rules_seals import SealAnswer
from mingzheng.issuer.errors import NoProfileError
from mingzheng.issuer.rules_ask_cli import COMMANDS
from mingzheng.issuer.rules_cli import rules_group
from mingzheng.issuer.rules_words import ANSWERS, STEPS

VECTORS = Path(__file__).parent.parent / "vectors/rules"
TABLE = json.loads((VECTORS / "dated.json").read_text("utf-8"))
SHARED = json.loads((VECTORS / "cases.json").read_text("utf-8"))["windows"]
PACKAGE = files("mingzheng.issuer")
SCHEMAS = {
    command.name: json.loads((PACKAGE / f"rules-{command.name}.schema.json").read_text("utf-8")) for command in COMMANDS
}
COMMAND_OF = {"renewed": "renewal", "data_changed": "reissue", "precedence": "form"}
LIAONING = ["--kind", "cn.constructor.2", "--jurisdiction", "ln"]
CASES = [case for case in TABLE["cases"] if case["ask"] != "window"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(rules_group, list(arguments))


def arguments(case: dict[str, Any]) -> list[str]:
    found = [
        COMMAND_OF.get(case["ask"], case["ask"]),
        "--kind",
        case["kind"],
        "--jurisdiction",
        str(case["jurisdiction"]),
    ]
    for name, value in case["facts"].items():
        if value is True:
            found.append(name)
        elif value is not False:  # a flag that is not given
            for one in value if isinstance(value, list) else [value]:
                found += [name, one]
    return found


def answer(*given: str) -> dict[str, Any]:
    """The JSON answer of a command, checked against its schema."""
    result = run(*given, "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    Draft202012Validator(SCHEMAS[given[0]]).validate(value)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_case_through_the_command(case: dict[str, Any]) -> None:
    value = answer(*arguments(case))
    match case["ask"]:
        case "renewal":
            (found,) = value["ends"]
        case "renewed":
            found = value["renewed"]
        case "data_changed" | "precedence":
            found = value[case["ask"]]
        case _:
            found = value
    assert {key: found[key] for key in case["expect"]} == case["expect"]
    notice = case["notice"] and TABLE["notices"][case["notice"]]["key"]
    assert [
        step
        for step in found["trace"]
        if step["rule"] == case["step"]
        and step["binding"]
        and (step["notice"], step["clause"], step["by_analogy"]) == (notice, case["clause"], case["by_analogy"])
    ]
    assert value["kind"] == case["kind"]
    assert value["jurisdiction"] == case["jurisdiction"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_case_for_people(case: dict[str, Any]) -> None:
    """Both languages say the same code and name every source."""
    for lang in ("zh", "en"):
        result = run(*arguments(case), "--lang", lang)
        assert result.exit_code == 0, result.output
        assert f"[{case['expect']['answer']}]" in result.stdout
        assert "{" not in result.stdout
        if case["clause"]:
            assert case["clause"] in result.stdout


def shared(case: dict[str, Any]) -> str | None:
    """The answer of our commands to one of the dated cases made by an independent program."""
    place = {"LN": "21", "LN-change": "21", "LN-blanket": "21", "SH-cutover": "31", "SH-reissue": "31"}
    where = ("--kind", "cn.constructor.2", "--jurisdiction", place.get(case["scheme"], "31"))
    match case["scheme"]:
        case "LN":
            value = answer(
                "renewal", *where, "--until", case["expiry"], "--on", case["apply_on"], "--birth", "1980-01-01"
            )
            return str(value["ends"][0]["answer"])
        case "LN-change":
            value = answer(
                "change", *where, "--until", case["expiry"], "--on", case["apply_on"], "--birth", "1980-01-01"
            )
            return str(value["answer"])
        case "LN-blanket":
            return str(answer("extension", *where, "--until", case["expiry"], "--on", "2022-07-15")["until"])
        case "SH-cutover":
            form = "electronic-old" if case["form"] == "old" else "electronic"
            return str(answer("form", *where, "--form", form, "--on", case["on"])["answer"])
        case "MOHURD-architect-paper":
            return str(answer("form", "--kind", "cn.architect.1", "--form", "paper", "--on", case["on"])["answer"])
        case "MOHURD-renewal":
            day, first = case["approve_on"], ("--kind", "cn.constructor.1", "--jurisdiction", "31")
            value = answer("renewal", *first, "--on", day, "--approved-on", day, "--birth", case["birth"])
            return str(value["renewed"]["valid_until"])
        case _:
            return None


@pytest.mark.parametrize("case", SHARED, ids=lambda case: str(case["id"]))
def test_shared_case(case: dict[str, Any]) -> None:
    if case["scheme"] == "SH-reissue":
        where = ("--kind", "cn.constructor.2", "--jurisdiction", "sh")
        value = answer("reissue", *where, "--on", case["reissue_on"], "--registered-until", case["old_until"])
        found = {"new_issue": value["issued_on"], "new_until": value["registered_until"]}
        assert {**found, "old": "SUPERSEDED" if value["supersedes"] else None} == case["expect"]
        return
    want = case["expect_until"] if "expect_until" in case else case["expect"].split(" ")[0]
    assert shared(case) == want


def test_several_specialties_lapse_one_by_one() -> None:
    value = answer(
        *(
            "renewal",
            "--kind",
            "cn.constructor.1",
            "--jurisdiction",
            "sh",
            "--on",
            "2023-06-01",
            "--birth",
            "1980-01-01",
        ),
        *("--until", "2023-05-31", "--until", "2023-06-20", "--until", "2024-06-20"),
    )
    assert [one["answer"] for one in value["ends"]] == ["EXPIRED_LAPSED", "OPEN", "TOO_EARLY"]
    assert value["renewed"] is None


def test_a_profile_that_governs_by_analogy_says_so() -> None:
    question = ("change", "--kind", "cn.constructor.1", "--until", "2023-05-31", "--on", "2023-05-01")
    assert answer(*question, "--jurisdiction", "44")["profile"]["by_analogy"]
    assert not answer(*question, "--jurisdiction", "11")["profile"]["by_analogy"]
    assert "类推" in run(*question, "--jurisdiction", "gd").stdout.splitlines()[1]


@pytest.mark.parametrize(
    ("on", "until", "said"),
    [
        ("2022-06-30", "2022-07-31", "TOO_EARLY"),
        ("2022-07-01", "2022-07-31", "OPEN"),
        ("2022-07-26", "2022-07-31", "OPEN"),
        ("2022-07-27", "2022-07-31", "TOO_LATE"),
        ("2022-08-01", "2022-07-31", "EXPIRED_AUTO_CANCEL"),
    ],
)
def test_renewal_is_asked_with_the_end_that_the_extension_gives(on: str, until: str, said: str) -> None:
    """liaoning-2022 末段, then 一、3 and 二、一: with the end that was stated before, every answer would be another."""
    moved = answer("extension", *LIAONING, "--until", "2022-06-30", "--on", on)["until"]
    assert moved == until
    asked = ("renewal", *LIAONING, "--birth", "1980-05-01", "--on", on)
    (found,) = answer(*asked, "--until", moved)["ends"]
    (stated,) = answer(*asked, "--until", "2022-06-30")["ends"]
    assert found["answer"] == said
    assert (stated["answer"] != said) == (on != "2022-08-01")


def test_history_of_extensions() -> None:
    value = answer(
        *(
            "extension",
            "--kind",
            "cn.constructor.2",
            "--jurisdiction",
            "ln",
            "--until",
            "2023-01-01",
            "--on",
            "2023-03-01",
        ),
        *("--grant", "2023-01-01:2023-01-31:2023-06-30:2023-01-10:2023-02-01"),
    )
    assert [(use["state"], use["retracted_on"]) for use in value["history"]] == [
        ("OUT_OF_RANGE", None),
        ("RETRACTED", "2023-02-01"),
    ]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["ends", *LIAONING, "--on", "2022-06-20", "--registered-until", "2022-06-30"], "--specialty-until"),
        (["renewal", *LIAONING, "--on", "2022-06-20"], "--until"),
        (["renewal", *LIAONING, "--on", "2022-06-20", "--until", "2022-06-30"], "--birth"),
        (["renewal", "--kind", "cn.constructor.1", "--on", "2022-06-20", "--approved-on", "2022-06-20"], "--birth"),
        (["change", *LIAONING, "--on", "2022-06-20", "--until", "2022-06-30"], "--birth"),
        (["change", *LIAONING, "--on", "2022-6-20", "--until", "2022-06-30"], "--on"),
        (["change", "--kind", "cn.x", "--on", "2022-06-20", "--until", "2022-06-30"], "cn.safety"),
        (["form", *LIAONING, "--form", "paper", "--on", "2022-06-20"], "--valid-until"),
        (["form", *LIAONING, "--form", "stone", "--on", "2022-06-20"], "--form"),
        (["extension", *LIAONING, "--until", "2022-06-20", "--on", "2022-06-20", "--grant", "2022-01-01"], "--grant"),
        (
            [
                *("extension", *LIAONING, "--until", "2022-06-20", "--on", "2022-06-20"),
                *("--grant", "2022-02-01:2022-01-01:2022-06-01:2022-01-01"),
            ],
            "--grant",
        ),
        (["handwriting", *LIAONING, "--issued-on", "2022-06-20", "--ink", "blood"], "--ink"),
        (["lock", *LIAONING, "--on", "2022-06-20"], "--locked-on"),
        (["seal", *LIAONING], "--issued-on"),
        (["images", *LIAONING, "--photo"], "--on"),
        (["reissue", *LIAONING, "--on", "2022-06-20", "--registered-until", "soon"], "--registered-until"),
    ],
)
def test_wrong_use(given: list[str], named: str) -> None:
    result = run(*given)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert named in result.stderr


def test_a_day_no_profile_speaks_of() -> None:
    result = run("lock", "--kind", "cn.constructor.1", "--locked-on", "2020-01-01", "--on", "2020-01-01")
    assert isinstance(result.exception, NoProfileError)
    assert result.stdout == ""


def test_images_of_the_day_before_and_the_day_of_a_rule() -> None:
    where = ("images", "--kind", "cn.architect.1", "--jurisdiction", "0", "--photo", "--signature-image")
    assert isinstance(run(*where, "--on", "2021-07-31").exception, NoProfileError)
    assert answer(*where, "--on", "2021-08-01")["answer"] == "COMPLETE"
    said = run("images", "--kind", "cn.architect.1", "--on", "2021-08-01").stdout
    assert "缺少必须的图像：照片、签名图像" in said
    assert "missing: photo, signature image" in run(*where[:5], "--on", "2021-08-01", "--lang", "en").stdout


def test_the_example_of_every_help_page_works() -> None:
    for command in COMMANDS:
        with click.Context(command) as context:
            text = command.get_help(context)
        lines = text.replace("\\\n", " ").splitlines()
        (example,) = [line.strip() for line in lines if line.strip().startswith("mingzheng rules ")]
        words = shlex.split(example)[2:]
        assert words[0] == command.name
        answer(*words)
        assert run(*words).exit_code == 0


def test_schemas_are_schemas_and_name_every_answer() -> None:
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False
    renewal = SCHEMAS["renewal"]["$defs"]
    assert renewal["end"]["properties"]["answer"]["enum"] == list(RenewalAnswer)
    assert renewal["renewed"]["properties"]["answer"]["enum"] == list(RenewedAnswer)
    for name, answers in (
        ("ends", EndsAnswer),
        ("change", ChangeAnswer),
        ("reissue", ReissueAnswer),
        ("seal", SealAnswer),
        ("form", FormAnswer),
        ("extension", ExtensionAnswer),
        ("handwriting", InkAnswer),
        ("images", ImageAnswer),
        ("lock", LockAnswer),
    ):
        assert SCHEMAS[name]["properties"]["answer"]["enum"] == list(answers)
    use = SCHEMAS["extension"]["$defs"]["use"]["properties"]["state"]["enum"]
    assert set(use) == set(ExtensionState)


def test_every_command_has_five_dated_cases_with_notice_and_clause() -> None:
    names = {name for name in rules_group.commands if name != "window"}
    full = [COMMAND_OF.get(case["ask"], case["ask"]) for case in CASES if case["notice"] and case["clause"]]
    assert {name: full.count(name) for name in names if full.count(name) < 5} == {}
    assert {case["ask"] for case in TABLE["cases"]} - {"window"} == {*COMMAND_OF, *names}


def test_there_is_a_sentence_for_every_answer() -> None:
    for name, answers in (
        ("ends", EndsAnswer),
        ("renewal", RenewalAnswer),
        ("renewed", RenewedAnswer),
        ("change", ChangeAnswer),
        ("reissue", ReissueAnswer),
        ("data_changed", DataChangeAnswer),
        ("seal", SealAnswer),
        ("form", FormAnswer),
        ("precedence", WhichHoldsAnswer),
        ("extension", ExtensionAnswer),
        ("handwriting", InkAnswer),
        ("images", ImageAnswer),
        ("lock", LockAnswer),
    ):
        assert set(ANSWERS[name]) == set(answers)
    assert all(zh and en for zh, en in STEPS.values())


def test_the_example_of_the_page_is_what_the_command_says() -> None:
    page = (Path(__file__).parent.parent.parent / "docs/profiles.md").read_text("utf-8")
    block = next(text for text in page.split("```") if "$ mingzheng rules change" in text).strip()
    asked, _, said = block.partition("\n")
    assert run(*shlex.split(asked)[3:]).stdout.strip() == said
