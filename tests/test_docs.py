"""The documents say what the code does: every command, error code, finding, decision and threat."""

import ast
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mingzheng.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def _reference() -> object:
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()


def test_commands_page_is_what_the_commands_say() -> None:
    """In a process of its own: click keeps the help option of whoever asked a command for it first."""
    program = f"import runpy; print(runpy.run_path({str(DOCS / 'make_reference.py')!r})['commands_page'](), end='')"
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == done.stdout.decode("utf-8")


def test_errors_page_is_what_the_classes_say() -> None:
    assert (DOCS / "errors.md").read_text(encoding="utf-8") == REFERENCE.errors_page()  # type: ignore[attr-defined]


def test_every_error_code_has_a_sentence_in_both_languages() -> None:
    codes = REFERENCE.error_codes()  # type: ignore[attr-defined]
    zh = json.loads((ROOT / "mingzheng" / "errors_zh.json").read_text(encoding="utf-8"))
    assert len(codes) > 60
    assert set(zh) == set(codes), set(zh) ^ set(codes)
    for code, text in codes.items():
        assert text, f"{code} has no docstring"
        assert re.search(r"[\u4e00-\u9fff]", zh[code]), f"{code} has no Chinese sentence"


def _every_command() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    context = click.Context(cli, info_name="mingzheng")

    def walk(command: click.Command, path: str, parent: click.Context) -> None:
        found[path] = command
        if isinstance(command, click.Group):
            inner = click.Context(command, info_name=path, parent=parent)
            for name in command.list_commands(inner):
                child = command.get_command(inner, name)
                assert child is not None
                walk(child, f"{path} {name}", inner)

    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        walk(command, name, context)
    return found


@pytest.mark.parametrize("path", sorted(_every_command()))
def test_every_command_has_help_in_both_languages_and_an_example(path: str) -> None:
    command = _every_command()[path]
    assert command.help, f"{path} has no help"
    assert re.search(r"[\u4e00-\u9fff]", command.help)
    if not isinstance(command, click.Group):
        assert f"mingzheng {path}" in command.help, f"{path} shows no example"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert parameter.help, f"{path} {parameter.name} has no help"


@pytest.mark.parametrize("page", ["README.md", "docs/drills.md", "docs/clerks.md"])
def test_commands_in_the_pages_parse(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
    shown = [x.strip() for x in re.findall(r"^mingzheng [^#\n]+", blocks, flags=re.MULTILINE)]
    assert len(shown) >= 8
    commands = _every_command()
    for line in shown:
        words = shlex.split(line.split(" > ")[0])[1:]
        name = next(x for x in (" ".join(words[:count]) for count in (3, 2, 1)) if x in commands)
        options = {name for parameter in commands[name].params for name in parameter.opts}
        used = {word for word in words if word.startswith("--")}
        assert used <= options, f"{line}: {sorted(used - options)}"


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in (DOCS / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 12


def test_every_threat_names_tests_that_exist() -> None:
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| T\d+", line)]
    assert len(rows) >= 20
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
        assert named, f"no test named: {row[:60]}"
        for file, function in named:
            path = ROOT / file
            assert path.is_file(), f"{file} is not there"
            if function:
                names = {n.name for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.FunctionDef)}
                assert function in names, f"{file} has no {function}"


def test_links_between_documents_hold() -> None:
    for page in [ROOT / "README.md", ROOT / "SECURITY.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode("utf-8").split("\0") if name]


def test_no_tracked_file_names_a_path_of_one_machine_or_a_registry() -> None:
    banned = re.compile(r"(?<![A-Za-z0-9_.])/(?:work|farm|root)/|pypi\.org/simple|files\.pythonhosted")
    for path in _tracked():
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".json", ".lock", ".in", ".txt", ".go", ""}:
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            if path != Path(__file__).resolve():
                assert not banned.search(text), f"{path.relative_to(ROOT)}: {banned.search(text)}"
