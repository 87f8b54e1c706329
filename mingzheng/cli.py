"""The one command `mingzheng`: sub-commands are loaded from each room's `cli.py` when they are called, not before.

Settings: `mingzheng.toml` in the working directory < environment < flags. stdout is data, stderr is talk, both UTF-8.
Exit status: 0 good, 1 some not valid, 2 usage, 3 cannot decide, 4 input or output, 70 internal error.
"""

import contextlib
import errno
import importlib
import importlib.resources
import json
import logging
import os
import sys
import tomllib
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, NoReturn

import click

from mingzheng import __version__

PROGRAM = "mingzheng"
COMPLETION = "_MINGZHENG_COMPLETE"  # click's name for it
EXIT_CANCELLED = 1
EXIT_IO = 4
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
IO_ZH = "文件读写失败；请检查路径、权限和磁盘空间后重试。"
IO_EN = "check the path, its permissions and the space on the disk, then try again"
IO_FULL_EN = "free space on the disk, then run the same command again"
IO_WHY = {
    errno.ENOENT: "没有这个文件或目录；请检查路径后重试。",
    errno.EISDIR: "这是目录，不是文件；请写出文件名后重试。",
    errno.ENOTDIR: "路径中间的一段不是目录；请检查路径后重试。",
    errno.EACCES: "没有读写权限；请检查文件和目录的权限后重试。",
    errno.ENOSPC: "磁盘已满；请腾出空间后再运行一次同样的命令。",
    errno.EROFS: "文件系统只读；请换一个位置或解除只读后重试。",
    errno.ENAMETOOLONG: "文件名太长；请换一个短的名称后重试。",
}
SQLITE_FAILS = frozenset({"sqlite3.OperationalError", "sqlite3.DatabaseError"})  # by name: most commands load no SQLite
CONFIG_NAME = "mingzheng.toml"
CONFIG_MAX_BYTES = 1_048_576  # as for a workspace's own file of that name
SETTINGS = frozenset({"workspace", "trust", "lang", "policy"})
# A file in the working directory may be anybody's: an upload folder must not choose whom to trust or relax the check.
FILE_SETTINGS = frozenset({"workspace", "lang", "policy"})
FILE_POLICIES = frozenset({"bid", "audit"})

# command -> module:attribute; the help line is here so that `--help` loads no room.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("mingzheng.demo:demo", "Play a whole batch for three issuers. 演示：三个机构的完整一批。"),
    "init": ("mingzheng.issuer.cli:init", "Make a workspace: keys, log, ledger. 建立签发工作区。"),
    "issuer": ("mingzheng.issuer.cli:issuer_group", "Add or list issuers of a workspace. 管理签发机构。"),
    "records": ("mingzheng.issuer.records_cli:records_group", "Template and check of records. 申请记录的模板与检查。"),
    "issue": ("mingzheng.issuer.issue_cli:issue", "Issue copies from records. 按记录签发证书。"),
    "application": (
        "mingzheng.issuer.application_cli:application_group",
        "Whose certificates holders sign with. 持证人签名所用证书的颁发机构。",
    ),
    "reissue": ("mingzheng.issuer.cli:reissue", "Re-issue (换领); supersedes live copies. 换领证书。"),
    "revoke": ("mingzheng.issuer.cli:revoke", "Revoke for good. 撤销（不可恢复）。"),
    "suspend": ("mingzheng.issuer.cli:suspend", "Suspend until reinstated. 暂停（可恢复）。"),
    "reinstate": ("mingzheng.issuer.cli:reinstate", "End a suspension. 恢复。"),
    "lock": ("mingzheng.issuer.lock_cli:lock_command", "No new copy, not public. 锁定：不能取得新副本。"),
    "unlock": ("mingzheng.issuer.lock_cli:unlock_command", "End a lock. 解锁。"),
    "void": ("mingzheng.issuer.cli:void", "Close a serial that was never used. 作废序号。"),
    "approve": ("mingzheng.issuer.approval_cli:approve", "Approve what another operator asked for. 批准申请。"),
    "requests": ("mingzheng.issuer.approval_cli:requests", "List what waits for a second person. 等待批准的申请。"),
    "withdraw": ("mingzheng.issuer.approval_cli:withdraw", "Take a request back. 撤回申请。"),
    "operator": ("mingzheng.issuer.operator_cli:operator_group", "Persons whose keys sign acts. 管理经办人。"),
    "journal": ("mingzheng.issuer.journal_cli:journal", "What was done, and by whom. 操作日志。"),
    "status": ("mingzheng.issuer.story_cli:status_command", "Everything of one registration. 一个注册的全部经过。"),
    "expiring": ("mingzheng.issuer.expiring_cli:expiring_command", "What is about to end. 即将届满的清单。"),
    "notice": (
        "mingzheng.issuer.notice_cli:notice_group",
        "Notices: extensions, retired forms, seals. 公告：延期、式样、印章。",
    ),
    "seal": ("mingzheng.issuer.seal_cli:seal_group", "Seals: keys, certificates, rules. 管理印章。"),
    "key": ("mingzheng.issuer.key_cli:key_group", "Keys: list, add, retire, report stolen. 密钥的增加、停用与失密。"),
    "backup": ("mingzheng.issuer.keep_cli:backup_command", "Back a workspace up while it works. 备份工作区。"),
    "restore": ("mingzheng.issuer.keep_cli:restore_command", "Make a workspace from a backup. 从备份恢复。"),
    "migrate": ("mingzheng.issuer.keep_cli:migrate_command", "Bring an older workspace up. 升级旧工作区。"),
    "ledger": ("mingzheng.issuer.keep_cli:ledger_group", "Forget personal data. 抹去台账中的个人数据。"),
    "trust": ("mingzheng.issuer.cli:trust_group", "Export, publish, update trust data. 导出、发布、更新信任数据。"),
    "verify": ("mingzheng.verifier.cli:verify", "Check files, photos or QR texts offline. 离线核验。"),
    "inspect": ("mingzheng.verifier.cli:inspect", "Show what a file or code contains. 查看内容（不作信任判断）。"),
    "log": ("mingzheng.issuer.cli:log_group", "Audit, prove, check the log. 审计、证明、检查日志。"),
    "witness": ("mingzheng.log.witness_cli:witness_group", "Cosign heads of logs. 运行见证方。"),
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
        if isinstance(command, click.Group):
            show_first_lines(command)
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
@click.version_option(__version__, "--version", prog_name=PROGRAM, help="Show the version. 显示版本。")
@click.option("-v", "--verbose", count=True, help="Say more on standard error. 输出更多过程信息。")
@click.option("-q", "--quiet", is_flag=True, help="Errors only. 仅输出错误。")
@click.pass_context
def cli(ctx: click.Context, verbose: int, quiet: bool) -> None:
    """明证 mingzheng: certificates that prove themselves without a network. 不靠网络也能核验的证书。

    \b
    mingzheng demo                                    演示一批证书的一生 see the whole life of a batch
    mingzheng verify cert.pdf --trust trust           离线核验 check a certificate offline
    mingzheng log audit log --vkey log.vkey           审计日志 audit a log, ours or any tlog-tiles log

    Settings 设置: the table [defaults] of mingzheng.toml in the working directory (workspace, lang, and policy if
    strict: bid or audit) < MINGZHENG_WORKSPACE, MINGZHENG_TRUST, MINGZHENG_LANG, MINGZHENG_POLICY < flags 命令行选项。

    Shell completion 命令补全: `eval "$(_MINGZHENG_COMPLETE=bash_source mingzheng)"` (also zsh, fish).
    """
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    _log_to_stderr(level)
    settings = {**read_config(Path.cwd() / CONFIG_NAME), **read_environment(os.environ)}
    name = ctx.invoked_subcommand or ""
    if (command := cli.get_command(ctx, name)) is not None:
        ctx.default_map = {name: defaults_for(command, settings)}


def show_first_lines(group: click.Group) -> None:
    """Let `--help` of a group list its commands in both languages: click alone stops at the first sentence."""
    for command in group.commands.values():
        command.short_help = " ".join((command.help or "").partition("\n\n")[0].split())


def _log_to_stderr(level: int) -> None:
    """Our own log lines only: what image and PDF libraries log may quote a file's metadata, names among it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    ours = logging.getLogger(PROGRAM)
    ours.handlers[:] = [handler]
    ours.setLevel(level)
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())  # else the libraries' warnings reach the terminal


def main() -> NoReturn:
    """Run the command; every failure becomes a sentence with a stable code and the right exit status."""
    _use_utf8()
    try:
        status = cli.main(prog_name=PROGRAM, standalone_mode=False)  # click returns the status of ctx.exit() here
        sys.stdout.flush()
    except click.Abort as error:
        _stop(error)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except click.ClickException as error:
        _usage(error)
    except BrokenPipeError:
        _reader_left()
    except OSError as error:
        what = f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": ")
        todo = IO_FULL_EN if error.errno == errno.ENOSPC else IO_EN
        _fail("io", IO_WHY.get(error.errno or 0, IO_ZH), f"{what}; {todo}", EXIT_IO)
    except SystemExit:  # click ends this way after shell completion, and when nobody reads any more
        if COMPLETION not in os.environ:
            _reader_left()
        raise
    except Exception as error:  # noqa: BLE001 - the outermost edge: a typed error is the user's, any other is ours
        _surprise(error)
    raise SystemExit(status if isinstance(status, int) else 0)


def _stop(error: click.Abort) -> NoReturn:
    if isinstance(error.__cause__, KeyboardInterrupt):
        click.echo("已中断；再运行一次同样的命令即可继续。 Interrupted; run the same command again to go on.", err=True)
        raise SystemExit(EXIT_INTERRUPTED)
    click.echo("已取消。 Cancelled.", err=True)
    raise SystemExit(EXIT_CANCELLED)


def _usage(error: click.ClickException) -> NoReturn:
    context = getattr(error, "ctx", None)
    name = context.command_path if isinstance(context, click.Context) else PROGRAM
    zh = f"命令用法有误{_usage_zh(error)}；用法见 {name} --help。"
    _fail("usage", zh, " ".join(error.format_message().split()), error.exit_code)


def _usage_zh(error: click.ClickException) -> str:
    """What click says in English only, in Chinese; nothing where the message is in both languages already."""
    if isinstance(error, click.MissingParameter):
        return f"：缺少 {_named(error)}"
    if isinstance(error, click.NoSuchOption):
        return f"：没有选项 {error.option_name}"
    if isinstance(error, click.BadOptionUsage):
        return f"：选项 {error.option_name} 的写法不对"
    if not isinstance(error, click.BadParameter) or any("\u4e00" <= letter <= "\u9fff" for letter in error.message):
        return ""
    kind = error.param.type if error.param is not None else None
    if isinstance(kind, click.Choice):
        return f"：{_named(error)} 只能是 {'、'.join(kind.choices)} 之一"
    if isinstance(kind, click.Path):
        return f"：{_named(error)} 所指的文件或目录不存在、不可读，或种类不对"
    return f"：{_named(error)} 的值不对"


def _named(error: click.BadParameter) -> str:
    hint = error.param_hint if error.param_hint is not None else error.param and error.param.get_error_hint(error.ctx)
    return (hint if isinstance(hint, str) else " ".join(hint or ("参数",))).replace("'", "")


def _surprise(error: Exception) -> NoReturn:
    code = getattr(error, "code", None)
    if isinstance(code, str):
        zh, en = getattr(error, "zh", None), getattr(error, "en", None)  # some errors speak both languages themselves
        both = isinstance(zh, str) and isinstance(en, str)
        detail = f"（{zh}） {en}" if both else str(error)
        _fail(code, chinese(code), detail, getattr(error, "exit_code", EXIT_IO))
    if isinstance(error, UnicodeEncodeError) and any(_undecoded(word) for word in sys.argv):
        zh = "命令里有一个参数的文字编码无法识别；请用 UTF-8 终端重新输入。"
        _fail("usage", zh, "an argument is in no encoding that is known: type it again in a UTF-8 terminal", 2)
    if f"{type(error).__module__}.{type(error).__name__}" in SQLITE_FAILS:
        _fail("io", IO_ZH, f"the database cannot be read or written: {error}", EXIT_IO)
    logging.getLogger(__name__).debug("internal error", exc_info=error)
    zh = "程序内部错误；请带上加 -vv 再运行一次的输出报告。"
    en = f"Internal error, please report it with the output of -vv. ({type(error).__name__})"
    _fail("internal", zh, en, EXIT_INTERNAL)


def _undecoded(word: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in word)


def chinese(code: str) -> str:
    """The Chinese sentence of an error code: what is wrong and what to do next; empty if there is none."""
    table = importlib.resources.files("mingzheng").joinpath("errors_zh.json").read_text(encoding="utf-8")
    found = json.loads(table).get(code, "")
    assert isinstance(found, str)
    return found


def _fail(code: str, zh: str, detail: str, status: int) -> NoReturn:
    line = " ".join(part for part in (f"错误 error [{code}]", zh, detail) if part)
    with contextlib.suppress(BrokenPipeError):
        click.echo(line, err=True)
    raise SystemExit(status)


def _reader_left() -> NoReturn:
    """Whoever read our output has gone: leave quietly, and let nothing try to flush it again."""
    os._exit(EXIT_IO)


def _use_utf8() -> None:
    """UTF-8 on every stream, whatever the locale says (LANG=C, a Windows code page)."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="surrogateescape" if stream is sys.stdin else "backslashreplace")


def read_config(path: Path) -> dict[str, str]:
    """The table [defaults] of `mingzheng.toml`, which may be a workspace's own file. Raises a usage error."""
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as stream:
            raw = stream.read(CONFIG_MAX_BYTES + 1)
        if len(raw) > CONFIG_MAX_BYTES:
            raise click.UsageError(f"{CONFIG_NAME}: 超过 1 MiB (over 1 MiB)")
        table = tomllib.loads(raw.decode("utf-8"))
    except (RecursionError, ValueError) as error:  # no UTF-8, no TOML, nested too deep, integers of thousands of digits
        raise click.UsageError(f"{CONFIG_NAME}: 不是有效的 TOML 文件 (not a TOML file): {error}") from error
    if "workspace" not in table:  # else the issuer's room reads the other tables
        _refuse_unknown(set(table), {"defaults"}, "")
    defaults = table.get("defaults", {})
    if not isinstance(defaults, dict) or not all(isinstance(v, str) for v in defaults.values()):
        raise click.UsageError(f"{CONFIG_NAME}: [defaults] 只能是文本键值 (must be a table of texts)")
    _refuse_unknown(set(defaults), FILE_SETTINGS, "[defaults] ")
    if defaults.get("policy", "bid") not in FILE_POLICIES:
        raise click.UsageError(
            f"{CONFIG_NAME}: 文件里的 policy 只能是 bid 或 audit；放宽请用 --policy 或 MINGZHENG_POLICY "
            "(a file may only set bid or audit; relax the check with --policy or MINGZHENG_POLICY)"
        )
    return dict(defaults)


def _refuse_unknown(found: Set[str], known: Set[str], where: str) -> None:
    if unknown := sorted(found - known):
        raise click.UsageError(
            f"{CONFIG_NAME}: {where}有未知的键 (unknown keys): {', '.join(unknown)}; "
            f"可用 (known): {', '.join(sorted(known))}"
        )


def read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of the environment, MINGZHENG_TRUST and so on; an empty one is not set."""
    named = {name: environment.get(f"MINGZHENG_{name.upper()}", "") for name in SETTINGS}
    return {name: value for name, value in named.items() if value}


def defaults_for(command: click.Command, settings: Mapping[str, str]) -> dict[str, Any]:
    """click's default map of a command: the settings it has an option for, and those of the commands below it.

    A command that takes either --trust or --vkey gets no default for --trust: the choice is the user's each time.
    """
    options = {parameter.name for parameter in command.params if isinstance(parameter, click.Option)}
    if "vkey" in options:
        options.discard("trust")
    found: dict[str, Any] = {name: value for name, value in settings.items() if name in options}
    if isinstance(command, click.Group):
        found |= {name: defaults_for(child, settings) for name, child in command.commands.items()}
    return found
