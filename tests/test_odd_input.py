"""Whatever is typed, no command ends in a traceback or an internal error: odd files, directories, numbers, letters.

Every command gets each oddity in every argument and option that takes it; what is refused is refused in words.
"""

import getpass
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from desk import run, sit_down
from test_examples import EXAMPLES
from test_examples import _commands as commands

ODD_TEXTS = (
    "",
    " ",
    "\udcff\udcfe",
    "9" * 400,
    "-1",
    "a\nb",
    "\u202e文",
    "../..",
    "null.bin",
    "empty",
    "a-directory",
    "loop",
)
SERVERS = {"demo", "log serve", "witness serve", "doctor"}  # these need nothing to run for long


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        sit_down(base, patch)
        Path("empty").write_bytes(b"")
        Path("null.bin").write_bytes(bytes(range(256)) * 16)
        Path("a-directory").mkdir()
        Path("loop").symlink_to("loop")
        Path("a-workspace").mkdir()
        Path("a-workspace/mingzheng.toml").write_bytes(b"\xff\x00[[[")
        yield base


def _odd_lines(command: click.Command, odd: str) -> Iterator[list[str]]:
    """The command with every argument and needed option odd; then with each other option odd as well."""
    needed = [p for p in command.params if isinstance(p, click.Argument) or p.required]
    words = [word for p in needed for word in ([p.opts[0], odd] if isinstance(p, click.Option) else ["--", odd])]
    arguments = [word for at, word in enumerate(words) if word == "--" or (at and words[at - 1] == "--")]
    options = [word for word in words if word not in ("--",)][: len(words) - len(arguments)]
    tail = ["--", *[word for word in arguments if word != "--"]] if arguments else []
    yield [*options, *tail]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter not in needed and not parameter.is_flag:
            yield [*options, parameter.opts[0], odd, *tail]


def _no_terminal(_: str) -> str:
    raise EOFError


@pytest.mark.parametrize("odd", ODD_TEXTS)
def test_odd_input_is_refused_in_words(desk: Path, odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sit_down(desk, monkeypatch)
    monkeypatch.setattr(getpass, "getpass", _no_terminal)
    bad = []
    for path, command in commands():
        if path in SERVERS:
            continue
        for words in _odd_lines(command, odd):
            told = run(*path.split(), *words)
            if told.status == 70 or "Traceback" in told.err:
                bad.append(f"{path} {words}: {told.err[-200:]}")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("file", ["null.bin", "empty", "a-directory", "loop", "missing"])
@pytest.mark.parametrize("workspace", ["a-workspace", "a-directory", "null.bin"])
def test_odd_files_in_plausible_commands(
    desk: Path, file: str, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sit_down(desk, monkeypatch)
    monkeypatch.setattr(getpass, "getpass", _no_terminal)
    lines = (
        ("records", "check", file),
        ("inspect", file),
        ("verify", file, "--trust", workspace, "--policy", "site"),
        ("trust", "show", file),
        ("issue", file, "--workspace", workspace, "--out", "o", "--copy", "usage", "--passphrase-file", "pass.txt"),
        ("restore", file, "--workspace", "new"),
        ("migrate", "--workspace", workspace, "--to", file),
        ("backup", "--workspace", workspace, "--to", file),
        ("approve", file, "--workspace", workspace, "--operator", "张三"),
        ("journal", "--workspace", workspace),
        ("log", "audit", file, "--vkey", file),
        ("log", "evidence", file, "--vkey", file),
        ("doctor", "--workspace", workspace),
    )
    for words in lines:
        told = run(*words)
        assert told.status != 70, (words, told.err)
        assert "Traceback" not in told.err


WAITS = (
    "demo",
    "log serve",
    "witness serve",
    "doctor",
    "log watch",
    "log mirror",
    "log audit http",
    "trust update",
    "log cosign",
)
ODD_VALUES = ("99999999999999999999", "null.bin", "\udcff", "a-directory", "2026-02-30", "-1")


def _spoiled(at: int, line: str) -> Iterator[list[str]]:
    """An example with one of its values odd, each in turn."""
    words = shlex.split(line.partition(" > ")[0])
    for place, word in enumerate(words[2:], start=2):
        if not word.startswith("--"):
            yield [*words[:place], ODD_VALUES[(at + place) % len(ODD_VALUES)], *words[place + 1 :]]


def test_examples_with_one_odd_value_are_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sit_down(tmp_path, monkeypatch)
    monkeypatch.setattr(getpass, "getpass", lambda _: "passphrase of the workspace")
    made = "init --workspace W --issuer 示范厅 --origin demo.example/log --demo --kind cn.constructor.1 --one-person"
    assert run(*shlex.split(made)).status == 0
    assert run("trust", "export", "--workspace", "W", "trust").status == 0
    Path("records.csv").write_bytes(run("records", "template", "--kind", "cn.constructor.1").raw)
    shutil.copy("records.csv", "records.xlsx")
    shutil.copytree("W/log/public", "log")
    Path("null.bin").write_bytes(bytes(range(256)) * 16)
    Path("a-directory").mkdir()
    bad = []
    for at, (_, line) in enumerate(EXAMPLES):
        for words in () if line.startswith(WAITS) else _spoiled(at, line):
            told = run(*words, typed=b"n\n")
            if told.status == 70 or "Traceback" in told.err:
                bad.append(f"{words}: {told.err[-200:]}")
    assert not bad, "\n".join(bad)
