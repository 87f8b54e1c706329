"""The one command: every failure is a sentence in two languages with a code and a status; settings have one order."""

import logging
import os
import re
import sqlite3
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import mingzheng.cli as face
from mingzheng import __version__
from mingzheng.__main__ import main as started
from mingzheng.cli import COMMANDS, SETTINGS, cli, defaults_for, main

ROOT = Path(__file__).resolve().parent.parent
C_LOCALE = {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}


class TypedError(Exception):
    """As the rooms have them."""

    code = "trust.no_store"


class UsageLikeError(TypedError):
    exit_code = 2


class BilingualError(TypedError):
    """Says what is wrong here in both languages."""

    zh = "目录是空的"
    en = "the directory is empty"


class StrangeError(Exception):
    code = "no.such_code"


@pytest.fixture(autouse=True)
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in SETTINGS:
        monkeypatch.delenv(f"MINGZHENG_{name.upper()}", raising=False)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int | str | None, str, str]]:
    """Run `main` with these words in this process: status, stdout, stderr."""

    def call(*words: str) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(sys, "argv", ["mingzheng", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call


Run = Callable[..., tuple[int, str, str]]


def install(monkeypatch: pytest.MonkeyPatch, command: click.Command) -> None:
    """Put a command of the test among the commands, as `probe`."""
    module = types.ModuleType("probe_module")
    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "probe_module", module)
    monkeypatch.setattr(face, "COMMANDS", {**COMMANDS, "probe": ("probe_module:command", "A probe. 探针。")})


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command()
    def probe() -> None:
        raise error

    install(monkeypatch, probe)


def spawn(*words: str, program: str = "", **settings: object) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own; `program` runs before it."""
    start = f"{program}\nfrom mingzheng.cli import main\nmain()"
    environment = {**os.environ, **(settings.pop("env", None) or {})}  # type: ignore[dict-item]
    return subprocess.run(
        [sys.executable, "-c", start, *words],
        capture_output="stdout" not in settings,
        check=False,
        timeout=60,
        env=environment,
        **settings,  # type: ignore[call-overload]
    )


# --- failures


def test_typed_error_is_one_line_with_code_chinese_and_english(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, TypedError("there is no CURRENT"))
    status, out, err = run("probe")
    assert (status, out) == (4, "")
    assert err == f"错误 error [trust.no_store] {face.chinese('trust.no_store')} there is no CURRENT\n"
    assert "信任数据" in err


def test_typed_error_names_its_own_status(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, UsageLikeError("wrong"))
    assert run("probe")[0] == 2


def test_error_of_two_languages_keeps_them_apart(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, BilingualError("目录是空的 / the directory is empty"))
    zh = face.chinese("trust.no_store")
    assert run("probe")[2] == f"错误 error [trust.no_store] {zh} （目录是空的） the directory is empty\n"


def test_code_without_a_sentence_gives_the_message_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, StrangeError("something"))
    assert run("probe") == (4, "", "错误 error [no.such_code] something\n")


def test_real_command_and_real_error(run: Run, tmp_path: Path) -> None:
    status, _, err = run("verify", "cert.pdf", "--trust", str(tmp_path))
    assert status == 4
    assert err.startswith("错误 error [trust.no_store] 该目录里没有信任数据")


def test_a_disk_that_is_full_under_a_database_is_no_internal_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, sqlite3.OperationalError("database or disk is full"))
    status, _, err = run("probe")
    assert status == 4
    assert err.startswith(f"错误 error [io] {face.IO_ZH}")
    assert "database or disk is full" in err
    raising(monkeypatch, sqlite3.IntegrityError("UNIQUE constraint failed"))
    assert run("probe")[0] == 70


def test_internal_error_is_70_and_shows_nothing_of_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, KeyError("欧阳明远 310101"))
    status, out, err = run("probe")
    assert (status, out) == (70, "")
    assert err.startswith("错误 error [internal] 程序内部错误")
    assert "KeyError" in err
    assert "Traceback" not in err
    assert "欧阳明远" not in err


@pytest.mark.parametrize(
    ("error", "zh", "shown"),
    [
        (
            OSError(28, "No space left on device", "/x/log"),
            "磁盘已满；请腾出空间后再运行一次同样的命令。",
            "No space left on device: /x/log",
        ),
        (PermissionError(13, "Permission denied"), "没有读写权限；请检查文件和目录的权限后重试。", "Permission denied"),
        (OSError("something"), "文件读写失败；请检查路径、权限和磁盘空间后重试。", "OSError"),
    ],
)
def test_system_error_is_4(run: Run, monkeypatch: pytest.MonkeyPatch, error: OSError, zh: str, shown: str) -> None:
    raising(monkeypatch, error)
    status, _, err = run("probe")
    assert status == 4
    next_step = "check the path, its permissions and the space on the disk, then try again"
    if error.errno == 28:
        next_step = "free space on the disk, then run the same command again"
    assert err == f"错误 error [io] {zh} {shown}; {next_step}\n"


def test_interruption_says_that_it_may_be_run_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    status, _, err = run("probe")
    assert status == 130
    assert "已中断；再运行一次同样的命令即可继续" in err


class InterruptedLoading:
    """Somebody presses Ctrl-C while the program is loaded."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """See importlib.abc.MetaPathFinder."""
        if name == "mingzheng.cli":
            raise KeyboardInterrupt


def test_interruption_while_modules_are_loaded_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "mingzheng.cli")
    monkeypatch.setattr(sys, "meta_path", [InterruptedLoading(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        started()
    assert ended.value.code == 130
    assert capsys.readouterr().err.startswith("已中断；再运行一次同样的命令即可继续。 Interrupted")


def test_the_installed_command_is_the_one_that_an_interruption_cannot_surprise() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert table["project"]["scripts"] == {"mingzheng": f"{started.__module__}:{started.__name__}"}


def test_declined_question_is_cancelled_not_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, click.Abort())
    assert run("probe") == (1, "", "已取消。 Cancelled.\n")


def test_unknown_command_names_those_there_are(run: Run) -> None:
    status, _, err = run("verfy")
    assert status == 2
    assert err.startswith("错误 error [usage] 命令用法有误；用法见 mingzheng --help。")
    assert "没有这个命令" in err
    assert all(name in err for name in COMMANDS)


def test_wrong_option_says_where_the_help_is(run: Run) -> None:
    status, _, err = run("verify", "--no-such-option")
    assert status == 2
    assert "用法见 mingzheng verify --help" in err
    assert "--no-such-option" in err


def test_other_failures_of_click_are_usage_errors(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, click.ClickException("no file"))
    assert run("probe") == (1, "", "错误 error [usage] 命令用法有误；用法见 mingzheng --help。 no file\n")


def test_without_words_the_help_is_shown(run: Run) -> None:
    status, out, err = run()
    assert status == 2
    assert "离线核验" in out + err


def test_status_of_a_command_is_the_status(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.pass_context
    def probe(ctx: click.Context) -> None:
        ctx.exit(3)

    install(monkeypatch, probe)
    assert run("probe") == (3, "", "")


# --- settings


@click.group()
def several() -> None:
    """A group with a command below it."""


@several.command()
@click.option("--workspace", envvar="MINGZHENG_WORKSPACE")
@click.option("--trust")
@click.option("--lang", default="zh")
@click.option("--policy", default="bid")
@click.option("--purpose")
def inner(**options: str | None) -> None:
    for name, value in options.items():
        click.echo(f"{name}={value}")


@several.command()
@click.option("--trust")
@click.option("--vkey")
def choice(trust: str | None, vkey: str | None) -> None:
    click.echo(f"{trust} {vkey}")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_file_then_environment_then_flag(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    install(monkeypatch, several)
    default = {"lang": "zh", "policy": "bid"}.get(name)
    assert f"{name}={default}\n" in run("probe", "inner")[1]
    file = {"trust": default, "policy": "audit"}.get(name, "file")
    if name != "trust":
        (tmp_path / "mingzheng.toml").write_text(f'[defaults]\n{name} = "{file}"\n')
    assert f"{name}={file}\n" in run("probe", "inner")[1]
    monkeypatch.setenv(f"MINGZHENG_{name.upper()}", "")
    assert f"{name}={file}\n" in run("probe", "inner")[1]
    monkeypatch.setenv(f"MINGZHENG_{name.upper()}", "environment")
    assert f"{name}=environment\n" in run("probe", "inner")[1]
    assert f"{name}=flag\n" in run("probe", "inner", f"--{name}", "flag")[1]


@pytest.mark.parametrize("line", ['trust = "theirs"', 'policy = "site"', 'policy = "none"'])
def test_a_file_lying_about_neither_chooses_trust_nor_relaxes_the_check(run: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "mingzheng.toml").write_text(f"[defaults]\n{line}\n")
    status, out, err = run("doctor")
    assert (status, out) == (2, "")
    assert "[usage]" in err


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a.b = {" * 3000])
def test_a_hostile_file_is_a_usage_error(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "mingzheng.toml").write_text(text)
    assert run("doctor")[0] == 2


def test_log_lines_are_ours_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def probe() -> None:
        logging.getLogger("PIL.TiffImagePlugin").debug("ImageDescription 张三")
        logging.getLogger("mingzheng.log").debug("sequenced size=2")

    install(monkeypatch, probe)
    err = run("-vv", "probe")[2]
    assert "sequenced size=2" in err
    assert "张三" not in err


def test_settings_touch_no_other_option(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, several)
    monkeypatch.setenv("MINGZHENG_PURPOSE", "environment")
    assert "purpose=None\n" in run("probe", "inner")[1]


def test_choice_between_trust_and_vkey_is_never_made_by_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, several)
    monkeypatch.setenv("MINGZHENG_TRUST", "environment")
    assert run("probe", "choice", "--vkey", "x")[1] == "None x\n"


def test_real_commands_take_the_settings(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = {"workspace": "W", "trust": "T", "lang": "en", "policy": "site"}
    context = click.Context(cli)

    def taken(*path: str) -> object:
        command = cli.get_command(context, path[0])
        assert command is not None
        found: object = defaults_for(command, settings)
        for word in path[1:]:
            assert isinstance(found, dict)
            found = found[word]
        return found

    assert taken("verify") == {"trust": "T", "lang": "en", "policy": "site"}
    assert taken("issue") == {"workspace": "W", "lang": "en"}
    assert taken("trust", "export") == {"workspace": "W", "lang": "en"}
    assert taken("log", "audit") == {"lang": "en"}
    assert taken("records", "template") == {"lang": "en"}
    (tmp_path / "T").mkdir()
    monkeypatch.setenv("MINGZHENG_TRUST", "T")
    assert "[trust.no_store]" in run("verify", "cert.pdf")[2]
    monkeypatch.setenv("MINGZHENG_WORKSPACE", "nowhere")
    assert "[workspace.missing]" in run("issuer", "list")[2]


def test_every_option_named_like_a_setting_is_one() -> None:
    context = click.Context(cli)

    def walk(command: click.Command) -> None:
        for parameter in command.params:
            for option in parameter.opts:
                if option.removeprefix("--") in SETTINGS:
                    assert parameter.name == option.removeprefix("--")
        if isinstance(command, click.Group):
            for child in command.commands.values():
                walk(child)

    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        walk(command)


def test_settings_file_of_a_workspace_serves_too(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, several)
    text = '[workspace]\nversion = 1\n[origin]\nnumber = 1\n[defaults]\nlang = "en"\n'
    (tmp_path / "mingzheng.toml").write_text(text)
    assert "lang=en\n" in run("probe", "inner")[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[defaults]\ncolour = "red"\n', "未知的键 (unknown keys): colour"),
        (b'[default]\nlang = "en"\n', "未知的键 (unknown keys): default"),
        (b"[defaults]\nlang = 1\n", "只能是文本键值"),
        (b'defaults = "x"\n', "只能是文本键值"),
        (b"[defaults\n", "不是有效的 TOML 文件"),
        (b'[defaults]\nlang = "\xff"\n', "不是有效的 TOML 文件"),
        (b"#" * (face.CONFIG_MAX_BYTES + 1), "超过 1 MiB"),
    ],
)
def test_faulty_settings_file_is_named(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "mingzheng.toml").write_bytes(content)
    status, _, err = run("doctor")
    assert status == 2
    assert said in err
    assert "mingzheng.toml" in err


def test_settings_file_at_its_limit_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mingzheng.toml").write_bytes(b"#" * face.CONFIG_MAX_BYTES)
    assert run("records", "template", "--kind", "cn.safety")[0] == 0


def test_help_needs_no_sound_settings_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mingzheng.toml").write_bytes(b"[")
    assert run("--help")[0] == 0
    assert run("--version")[0] == 0


# --- a process of its own


def test_output_is_utf8_whatever_the_locale() -> None:
    done = spawn("records", "template", "--kind", "cn.constructor.2", env=C_LOCALE)
    assert done.returncode == 0
    assert "建设" in done.stdout.decode("utf-8")
    done = spawn("nothing", env=C_LOCALE)
    assert done.returncode == 2
    assert "没有这个命令" in done.stderr.decode("utf-8")


def test_version() -> None:
    assert spawn("--version").stdout.decode() == f"mingzheng, version {__version__}\n"


LOGGING = """
import sys, types, click, logging
import mingzheng.cli as face
@click.command()
@click.option("--fail", is_flag=True)
def command(fail):
    for level in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("mingzheng.probe"), level)("said %s", level)
    if fail:
        raise KeyError("secret")
module = types.ModuleType("probe_module")
module.command = command
sys.modules["probe_module"] = module
face.COMMANDS = {**face.COMMANDS, "probe": ("probe_module:command", "x")}
"""


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        (["-q"], ["error"]),
        ([], ["warning", "error"]),
        (["-v"], ["info", "warning", "error"]),
        (["-vv"], ["debug", "info", "warning", "error"]),
        (["-vvv"], ["debug", "info", "warning", "error"]),
    ],
)
def test_verbosity(words: list[str], levels: list[str]) -> None:
    done = spawn(*words, "probe", program=LOGGING)
    said = [line.rsplit(" ", 1)[1] for line in done.stderr.decode().splitlines() if "said" in line]
    assert said == levels
    assert done.stdout == b""


def test_traceback_only_when_asked_for() -> None:
    assert b"Traceback" not in spawn("probe", "--fail", program=LOGGING).stderr
    asked = spawn("-vv", "probe", "--fail", program=LOGGING)
    assert asked.returncode == 70
    assert b"Traceback" in asked.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_script(shell: str) -> None:
    done = spawn(env={"_MINGZHENG_COMPLETE": f"{shell}_source"})
    assert b"_MINGZHENG_COMPLETE" in done.stdout
    if shell != "bash":  # click asks bash for its version first
        assert done.stderr == b""


def test_shell_completion_knows_the_commands() -> None:
    done = spawn(env={"_MINGZHENG_COMPLETE": "bash_complete", "COMP_WORDS": "mingzheng ver", "COMP_CWORD": "1"})
    assert done.stdout.decode().split() == ["plain,verify"]


def test_reader_that_left_is_no_traceback() -> None:
    """Status 4: part of the output is lost."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = spawn("records", "template", "--kind", "cn.safety", stdout=write, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert done.returncode == 4
    assert done.stderr == b""


def test_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "mingzheng", "nothing"], capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "mingzheng --help" in done.stderr.decode("utf-8")


@pytest.mark.parametrize("group", ["log", "seal", "key", "trust", "witness", "rules", "issuer"])
def test_groups_list_their_commands_in_both_languages(run: Run, group: str) -> None:
    shown = run(group, "--help")[1].partition("Commands:")[2]
    command = cli.get_command(click.Context(cli), group)
    assert isinstance(command, click.Group)
    for name in command.commands:
        row = re.search(rf"^  {name} .*\n(?:    .*\n)*", shown, re.MULTILINE)
        assert row is not None
        assert re.search("[\u4e00-\u9fff]", row[0]), name


def test_help_loads_no_room() -> None:
    program = (
        "import atexit, sys; atexit.register(lambda: print([m for m in sys.modules if m.startswith('mingzheng.')]))"
    )
    done = spawn("--help", program=program)
    assert done.stdout.decode("utf-8").splitlines()[-1] == "['mingzheng.cli']"
