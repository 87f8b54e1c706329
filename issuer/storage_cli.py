"""`mingzheng log migrate` and `log roll-over`: where a workspace's log goes on (docs/spec/storage.md)."""

import os
from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.show as show
from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.logplace import move_log
from mingzheng.issuer.options import (
    COMMON,
    JSON,
    LANG,
    SECRET,
    WORKSPACE,
    YES,
    check_passphrase,
    confirm,
    open_workspace,
    print_lines,
    time_of,
)
from mingzheng.issuer.rollover import announce, check_possible, is_rolled_over, roll_over
from mingzheng.issuer.workspace import Workspace, log_vkey
from mingzheng.keys.trust import Role
from mingzheng.log.cli import log_group

__all__ = ["log_migrate", "log_roll_over"]

KEY_YEARS: Final = 5


@log_group.command("migrate")
@WORKSPACE
@YES
@SECRET
@JSON
@LANG
def log_migrate(workspace: Path, *, yes: bool, as_json: bool, lang: str, **options: Any) -> None:
    """Move the log to PostgreSQL and an S3-compatible store, compared byte for byte. 迁移日志。

    The place is named by MINGZHENG_LOG_DATABASE, _SCHEMA, _S3_ENDPOINT, _S3_BUCKET, _S3_REGION, _S3_PREFIX,
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, now and from then on. The directory becomes read-only. May be run
    again if it was cut short. 目标由环境变量指定；迁移后原目录只读；中途停止可再次运行。

    \b
    mingzheng log migrate --workspace W
    """
    confirm(yes)
    with open_workspace(workspace, options) as opened:
        moved = move_log(opened.log_directory(), opened.log_identity(), os.environ)
    value: dict[str, object] = {"size": moved.size, "objects": moved.objects, "rows": moved.rows}
    text = (
        f"已迁移：{moved.size} 条，{moved.objects} 个文件，{moved.rows} 行，逐一核对一致。"
        if lang == "zh"
        else f"moved: {moved.size} entries, {moved.objects} files, {moved.rows} rows, all compared."
    )
    print_lines([value], [text], as_json)


@log_group.command("roll-over")
@click.option("--number", type=click.IntRange(1, 65535), required=True, help="Number of the next log. 后继日志编号。")
@click.option("--name", required=True, help="Name of the next log, e.g. log.example/2027. 后继日志名。")
@click.option("--announce", "only_announce", is_flag=True, help="Only make its keys, ahead of time. 只预告：生成密钥。")
@COMMON
@YES
def log_roll_over(
    workspace: Path,
    *,
    number: int,
    name: str,
    only_announce: bool,
    yes: bool,
    as_of: int | None,
    as_json: bool,
    lang: show.Lang,
    **options: Any,
) -> None:
    """End the workspace's log for good and go on in its successor. 封存日志，在后继日志中继续。

    Copies of the old log stay as good as they are. Some days before, --announce: the next `trust export` (and `trust
    publish`) then tells verifiers the new keys, and the printed verifier key goes to witnesses and auditors. After the
    roll-over: `trust export`, and start the server anew. Cut short, run it again.
    先用 --announce 预告并导出信任数据，换日志后再导出一次；中途停止可再次运行。旧日志的证书照旧有效。

    \b
    mingzheng log roll-over --workspace W --number 2 --name log.example/2027 --announce
    mingzheng log roll-over --workspace W --number 2 --name log.example/2027
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, as_of)
        days = _key_days(opened, now)
        if only_announce and not is_rolled_over(opened, number, name):
            announce(opened, number, name, days=days)
            vkey = log_vkey(opened.config, number)
            told = show.announced_json(number, name, vkey), show.announced_text(number, name, vkey, lang)
        else:
            if not is_rolled_over(opened, number, name):
                check_possible(opened, number, name)
                click.echo(show.roll_over_text(opened.config.origin, number, name, lang), err=True)
                check_passphrase(opened, yes)
                confirm(yes)
            done = roll_over(opened, number, name, days=days, now=now)
            told = show.rolled_over_json(done), show.rolled_over_text(done, lang)
    print_lines([told[0]], [told[1]], as_json)


def _key_days(workspace: Workspace, now: int) -> tuple[int, int]:
    """First and last day of the new log's keys: today and five years; a demo's keys also cover the past."""
    today, old = day_of_time(now), workspace.config.log_key(Role.CHECKPOINT, workspace.config.origin.number)
    first = min(today, old.valid_from) if workspace.config.demo and old is not None else today
    return first, today + KEY_YEARS * 365 + 1
