"""Every example in every command's help is typed as it stands, on a prepared desk, and ends with the status it should.

What cannot run here (servers, other persons' keys, tokens, addresses) is named below with the reason, and is parsed.
"""

import getpass
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pypdfium2
import pytest
from desk import Told, change, run, sit_down
from holderpress import HolderCa, signed_pdf

from mingzheng.cli import cli
from mingzheng.issuer.randomness import SystemRandomness

NUMBER = "京1112006200712345"
# Examples that end with another status than 0, by how they begin.
STATUS = {
    "revoke --workspace W --registration": 3,  # a request: another operator approves
    "verify cert.pdf": 2,  # the fingerprint is cut short
    "verify - ": 1,  # so is the text of the code
    "verify uploads": 3,  # trust data that nobody vouches for decide no bid
}
# Not run, by how they begin: why, and who runs them.
NOT_RUN = {
    "demo": "takes a minute: tests/test_demo.py",
    "log serve": "a server: tests/server",
    "witness serve": "a server: tests/server",
    "log audit https:": "a network",
    "log mirror": "a network: tests/log",
    "log watch": "a network",
    "log status-apply": "two days of status lists: tests/issuer/test_served_lists.py",
    "log status-delta": "two days of status lists: tests/issuer/test_served_lists.py",
    "log evidence": "an audit that found two heads: tests/log",
    "log repair": "a damaged log and a mirror of it: tests/log",
    "log resume": "a restored workspace: tests/issuer/test_backup.py",
    "log landmark": "time between landmarks: tests/issuer/test_landmarks.py",
    "log migrate": "a database server: tests/issuer/test_storage_cli.py",
    "log acknowledge": "a log somebody else wrote to: tests/issuer/test_foreign.py",
    "log cosign": "witnesses: tests/issuer/test_witnessing.py",
    "log submit-key": "a served log: tests/issuer/test_serve_cli.py",
    "log roll-over": "a year's end: tests/e2e/test_roll_over.py",
    "restore": "a checkpoint from outside: tests/issuer/test_backup.py",
    "trust init": "keys of several persons: tests/issuer/test_publish.py",
    "trust install": "keys of several persons",
    "trust publish": "keys of several persons",
    "trust rotate": "keys of several persons",
    "trust sign": "keys of several persons",
    "trust update": "a network or a medium",
    "seal install": "an outside authority: tests/test_docs_clerks.py, tests/issuer/test_seal_cli.py",
    "seal make ": "an outside authority: tests/issuer/test_seal_cli.py",
    "seal maker --workspace W --certificate": "an outside authority: tests/issuer/test_seal_cli.py",
    "seal request --workspace W --issuer 1 --body 1 --form pdf --out pdf.csr --token": "a token",
    "operator retire": "takes a second operator away: tests/issuer/test_operators.py",
    "operator sign-again": "an act that did not reach the log: tests/issuer/test_operators.py",
    "void": "a serial that was never used: tests/issuer/test_cli.py",
    "ledger forget": "a registration that has ended: tests/issuer/test_keep_cli.py",
    "notice add retract": "a notice in force: tests/issuer/test_notice_cli.py",
    "key": "a kid of that workspace: tests/issuer/test_keywork.py",
    "witness adopt": "a head from elsewhere: tests/log",
    "reinstate": "a suspended copy: tests/test_docs_clerks.py",
    "withdraw": "an id of that workspace: tests/issuer/test_approval.py",
    "approve": "an id of that workspace: tests/test_docs_clerks.py",
    "backup --workspace W --to /media": "a mounted medium; the other example runs",
}


def _commands() -> Iterator[tuple[str, click.Command]]:
    def walk(command: click.Command, path: str, parent: click.Context) -> Iterator[tuple[str, click.Command]]:
        if not isinstance(command, click.Group):
            yield path, command
            return
        inner = click.Context(command, info_name=path, parent=parent)
        for name in command.list_commands(inner):
            child = command.get_command(inner, name)
            assert child is not None
            yield from walk(child, f"{path} {name}".strip(), inner)

    yield from walk(cli, "", click.Context(cli))


def _examples() -> Iterator[tuple[str, str]]:
    """Command, and one line of its help without the name of the program."""
    for path, command in _commands():
        text = re.sub(r"\\\n\s*", "", (command.help or "").replace("\b", ""))
        for line in text.splitlines():
            if found := re.match(rf"\s*(?:echo \S+ \| )?mingzheng ({re.escape(path)}(?: .*)?)$", line):
                yield path, found[1].strip()


EXAMPLES = tuple(_examples())


def _begins(line: str, table: Iterable[str]) -> str | None:
    return next((start for start in table if line.startswith(start)), None)


def _asked(prompt: str) -> str:
    owner = next((name for name in ("张三", "李四", "王五", "赵六") if name in prompt), "工作区 workspace")
    return f"passphrase of {owner}"


def _as_they_come(_: SystemRandomness, items: list[int]) -> None:
    assert items == sorted(items)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A desk with a workspace of 18 copies, its records, certificates, trust data and log."""
    base = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        sit_down(base, patch)
        patch.setattr(getpass, "getpass", _asked)
        operators = ("--operator", "张三", "--operator", "李四")
        kinds = ("--kind", "cn.constructor.1", "--kind", "cn.constructor.2")
        regions = ("--jurisdiction", "cn", "--jurisdiction", "sh", "--jurisdiction", "ln")
        start = ("--issuer", "示范厅", "--origin", "demo.example/log", "--demo", *operators, *kinds, *regions)
        told = run("init", "--workspace", "W", *start)
        assert told.status == 0
        Path("log.vkey").write_text(told.out, encoding="utf-8")
        Path("sample.csv").write_bytes(run("records", "template", "--kind", "cn.constructor.1").raw)
        patch.setattr(SystemRandomness, "shuffle", _as_they_come)
        numbers = [f"京11120062007{number:05d}" for number in range(1, 18)]
        numbers.insert(9, NUMBER)  # the examples end its copies, and name serial 17 and the first file for others
        change(Path("sample.csv"), Path("records.csv"), *({"注册编号": one, "地区": "0"} for one in numbers))
        told = run(
            *("issue", "records.csv", "--workspace", "W", "--out", "certificates"),
            *("--copy", "usage", "--purpose", "投标", "--operator", "张三"),
        )
        assert told.status == 0, told.err
        _beside()
        yield base


def _beside() -> None:
    """What else the examples name."""
    change(Path("sample.csv"), Path("records.csv"), {"注册编号": NUMBER, "地区": "0"})
    shutil.copy("records.csv", "records.xlsx")  # what a file is is told by its bytes
    assert run("trust", "export", "--workspace", "W", "trust").status == 0
    made = sorted(Path("certificates").glob("*.pdf"))
    shutil.copy(made[0], "cert.pdf")
    Path("uploads").mkdir()
    shutil.copy(made[0], "uploads")
    pypdfium2.PdfDocument("cert.pdf")[0].render(scale=3).to_pil().save("photo.jpg")
    shutil.copytree("W/log/public", "log")
    Path("collected").mkdir()
    Path("holder-ca.cer").write_bytes(HolderCa().root)
    Path("application.pdf").write_bytes(signed_pdf(HolderCa().holder("王小明")))
    Path("secret").write_text("passphrase of w1\n", encoding="utf-8")
    Path("secret").chmod(0o600)


# Some examples stand on others.
LAST = ("witness init", "witness", "issuer add", "issuer list", "seal rule", "seal request", "seal")


def _order(example: tuple[str, str]) -> int:
    return next((at for at, start in enumerate(LAST, start=1) if example[1].startswith(start)), 0)


def _type(line: str, *, alone: Path) -> Told:
    """Type an example; one that makes a workspace in a directory of its own."""
    words, _, file = line.partition(" > ")
    if line.startswith("init "):
        alone.mkdir()
        shutil.copy("pass.txt", alone)
        os.chdir(alone)
    told = run(*shlex.split(words), typed=b"y\n")
    os.chdir(alone.parent)
    if file:
        Path(f"{alone.name}.{file}").write_bytes(told.raw)
    return told


def test_every_example_ends_as_it_should(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sit_down(prepared, monkeypatch)
    monkeypatch.setattr(getpass, "getpass", _asked)
    wrong = []
    for at, (_, line) in enumerate(sorted(EXAMPLES, key=_order)):
        if _begins(line, NOT_RUN):
            continue
        start = _begins(line, STATUS)
        wanted = STATUS[start] if start else 0
        told = _type(line, alone=prepared / f"example-{at}")
        if told.status != wanted:
            wrong.append(f"{told.status}: {line}\n    {told.err[-300:]}")
    assert not wrong, "\n".join(wrong)


def test_what_is_not_run_parses_and_every_reason_is_needed() -> None:
    commands = dict(_commands())
    for path, line in EXAMPLES:
        words = shlex.split(line.partition(" > ")[0])[len(path.split()) :]
        commands[path].make_context(path, words, resilient_parsing=True)
    for start in (*NOT_RUN, *STATUS):
        assert any(line.startswith(start) for _, line in EXAMPLES), start


def test_every_command_has_an_example() -> None:
    assert {path for path, _ in _commands()} - {path for path, _ in EXAMPLES} == set()
