"""The one command `mingzheng`: sub-commands are loaded from each room's `cli.py` when they are called, not before.

Settings: `mingzheng.toml` in the working directory < environment < flags. stdout is data, stderr is talk, both UTF-8.
Exit status: 0 good, 1 some not valid, 2 usage, 3 cannot decide, 4 input or output, 70 internal error.
"""

import contextlib
import importlib
import logging
import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from mingzheng import __version__

EXIT_IO = 4
EXIT_INTERNAL = 70
CONFIG_NAME = "mingzheng.toml"
CONFIG_MAX_BYTES = 65536

# command -> module:attribute; the help line is here so that `--help` loads no room.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("mingzheng.demo:demo", "Play a whole batch for three issuers. 演示：三个机构的完整一批。"),
    "init": ("mingzheng.issuer.cli:init", "Make a workspace: keys, log, ledger. 建立签发工作区。"),
    "issuer": ("mingzheng.issuer.cli:issuer_group", "Add or list issuers of a workspace. 管理签发机构。"),
    "issue": ("mingzheng.issuer.cli:issue", "Issue copies from records. 按记录签发证书。"),
    "reissue": ("mingzheng.issuer.cli:reissue", "Re-issue (换领); supersedes live copies. 换领证书。"),
    "revoke": ("mingzheng.issuer.cli:revoke", "Revoke for good. 撤销（不可恢复）。"),
    "suspend": ("mingzheng.issuer.cli:suspend", "Suspend until reinstated. 暂停（可恢复）。"),
    "reinstate": ("mingzheng.issuer.cli:reinstate", "End a suspension. 恢复。"),
    "void": ("mingzheng.issuer.cli:void", "Close a serial that was never used. 作废序号。"),
    "trust": ("mingzheng.issuer.cli:trust_group", "Export and show trust data. 导出、查看信任数据。"),
    "verify": ("mingzheng.verifier.cli:verify", "Check files, photos or QR texts offline. 离线核验。"),
    "inspect": ("mingzheng.verifier.cli:inspect", "Show what a file or code contains. 查看内容（不作信任判断）。"),
    "log": ("mingzheng.issuer.cli:log_group", "Audit, prove, check the log. 审计、证明、检查日志。"),
    "rules": ("mingzheng.issuer.rules_cli:rules_group", "Ask the rules of the notices. 查询通知规则。"),
    "doctor": ("mingzheng.doctor:doctor", "Say what is installed and what is missing. 检查运行环境。"),
}


class LazyGroup(click.Group):
    """A group whose sub-commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module behind a name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`, from the table above, so that no room is loaded."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but name the commands there are when the name is unknown."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            known = ", ".join(COMMANDS)
            raise click.UsageError(f"{error.message} 没有这个命令；可用的命令 (commands): {known}", ctx) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", prog_name="mingzheng")
@click.option("-v", "--verbose", count=True, help="Say more on standard error. 输出更多过程信息。")
@click.option("-q", "--quiet", is_flag=True, help="Errors only. 仅输出错误。")
@click.pass_context
def cli(ctx: click.Context, verbose: int, quiet: bool) -> None:
    """明证 mingzheng: certificates that prove themselves without a network.

    \b
    mingzheng demo                                    see a whole life of a batch
    mingzheng verify cert.pdf --trust trust           check a certificate offline
    mingzheng log audit log --vkey log.vkey           audit a log, ours or any tlog-tiles log

    Shell completion: `eval "$(_MINGZHENG_COMPLETE=bash_source mingzheng)"` (also zsh, fish).
    """
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    ctx.default_map = _defaults(Path.cwd() / CONFIG_NAME)


def main() -> NoReturn:
    """Run the command; every failure becomes a sentence with a stable code and the right exit status."""
    _use_utf8()
    try:
        status = cli.main(standalone_mode=False)  # click returns the status of ctx.exit() here
        _leave(status if isinstance(status, int) else 0)
    except click.Abort:
        click.echo("已中断，未完成的步骤会在下次继续。 Interrupted; run the command again to go on.", err=True)
        _leave(130)
    except click.ClickException as error:
        error.show()
        _leave(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        os._exit(EXIT_IO)
    except OSError as error:
        _fail("io", f"{error.strerror or error} {error.filename or ''}".strip(), EXIT_IO)
    except Exception as error:  # the outermost edge: a typed error is the user's, anything else is ours
        code = getattr(error, "code", None)
        if isinstance(code, str):
            _fail(code, str(error), getattr(error, "exit_code", EXIT_IO))
        logging.getLogger(__name__).debug("internal error", exc_info=True)
        _fail(
            "internal",
            f"程序内部错误，请带上 -vv 的输出报告。 Internal error, please report it with the output of -vv. "
            f"({type(error).__name__})",
            EXIT_INTERNAL,
        )


def _fail(code: str, message: str, status: int) -> NoReturn:
    click.echo(f"错误 error [{code}] {message}", err=True)
    _leave(status)


def _leave(status: int | str | None) -> NoReturn:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    raise SystemExit(status)


def _use_utf8() -> None:
    """UTF-8 on every stream, whatever the locale says (LANG=C, a Windows code page)."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="surrogateescape" if stream is sys.stdin else "backslashreplace")


def _defaults(path: Path) -> dict[str, Any]:
    """`mingzheng.toml` as click's default map: the keys of [defaults] for every command that has such an option."""
    if not path.is_file():
        return {}
    try:
        raw = path.read_bytes()[: CONFIG_MAX_BYTES + 1]
        if len(raw) > CONFIG_MAX_BYTES:
            raise click.UsageError(f"{CONFIG_NAME}: 超过 64 KiB (over 64 KiB)")
        table = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"{CONFIG_NAME}: 不是有效的 TOML 文件 (not a TOML file): {error}") from error
    defaults = table.get("defaults", {})
    allowed = {"workspace", "trust", "lang", "policy"}
    if not isinstance(defaults, dict) or not all(isinstance(v, str) for v in defaults.values()):
        raise click.UsageError(f"{CONFIG_NAME}: [defaults] 只能是文本键值 (must be a table of texts)")
    if unknown := set(defaults) - allowed:
        raise click.UsageError(
            f"{CONFIG_NAME}: [defaults] 里有未知的键 (unknown keys): {', '.join(sorted(unknown))}; "
            f"可用 (known): {', '.join(sorted(allowed))}"
        )
    flat = {key.replace("-", "_"): value for key, value in defaults.items()}
    return {name: _nested(flat, 2) for name in COMMANDS}


def _nested(flat: dict[str, Any], depth: int) -> dict[str, Any]:
    """The same defaults for a command and, one level down, for the commands of a group."""
    names = ("add", "list", "export", "show", "audit", "prove", "fsck", "status", "resume", "window")
    if depth == 0:
        return dict(flat)
    return {**flat, **{name: _nested(flat, depth - 1) for name in names}}
