"""`mingzheng operator`: the persons of an issuer, each with a key of their own (docs/workspace.md, Operators)."""

from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.show as show
import mingzheng.issuer.showdesk as showdesk
from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.foreign_cli import foreign_warning
from mingzheng.issuer.operators import add_operator, retire_operator, sign_again, unlock
from mingzheng.issuer.options import (
    AS_OF,
    COMMON,
    JSON,
    LANG,
    PERSON_SECRET,
    WORKSPACE,
    YES,
    check_passphrase,
    confirm,
    new_operators,
    open_workspace,
    person_secret,
    print_lines,
    read_day,
    time_of,
)

__all__ = ["operator_group"]

KEY_YEARS: Final = 5
_ISSUER = click.option(
    "--issuer", type=click.IntRange(1, 65535), default=1, show_default=True, help="Whose. 机构编号。"
)


@click.group("operator")
def operator_group() -> None:
    """Operators: persons whose keys sign acts; two of them revoke. 经办人；撤销须两人。

    A change reaches verifiers with the next `trust export`. A served log is started anew.
    变更随下一次 trust export 到达核验方；日志另有服务进程的，须重启。
    """


@operator_group.command("add")
@click.argument("name")
@_ISSUER
@click.option("--valid-from", callback=read_day, help="First day, by default today. 起用日。")
@click.option("--valid-until", callback=read_day, help="Last day, by default in five years. 截止日。")
@PERSON_SECRET
@COMMON
def operator_add(
    name: str, *, issuer: int, workspace: Path, as_of: int | None, as_json: bool, lang: show.Lang, **options: Any
) -> None:
    """Make a key for a person, under that person's own passphrase. 为经办人建立密钥，用其本人的口令。

    The issuer's first operator's first day is tomorrow if one person revoked something today: what was done stays good.

    \b
    mingzheng operator add 王五 --workspace W --issuer 1
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, as_of)
        last = options["valid_until"]
        days = (options["valid_from"], day_of_time(now) + KEY_YEARS * 365 + 1 if last is None else last)
        (person,) = new_operators((name,), options)
        made = add_operator(opened, issuer, person, days=days, now=now)
        foreign_warning(opened, lang)
        config, today = opened.config, day_of_time(now)
    print_lines([showdesk.operator_json(made, today)], [showdesk.operator_text(made, today, lang)], as_json)
    for line in showdesk.persons_lines(config, max(today, made.valid_from), lang):
        click.echo(line, err=True)


@operator_group.command("list")
@WORKSPACE
@AS_OF
@LANG
@JSON
def operator_list(workspace: Path, *, as_of: int | None, as_json: bool, lang: show.Lang) -> None:
    """List the operators, and say where one person can act alone. 列出经办人，并说明哪些机构可一人办理。

    \b
    mingzheng operator list --workspace W
    """
    with open_workspace(workspace, {}, True) as opened:
        today = day_of_time(time_of(opened, as_of))
        config = opened.config
    keys = [key for key in config.keys if key.operator]
    items = (showdesk.operator_json(key, today) for key in keys)
    print_lines(items, (showdesk.operator_text(key, today, lang) for key in keys), as_json)
    for line in showdesk.persons_lines(config, today, lang):
        click.echo(line, err=True)


@operator_group.command("retire")
@click.argument("name")
@_ISSUER
@COMMON
@YES
def operator_retire(
    name: str,
    *,
    issuer: int,
    workspace: Path,
    yes: bool,
    as_of: int | None,
    as_json: bool,
    lang: show.Lang,
    **options: Any,
) -> None:
    """Let a person's key sign nothing more; what it signed stays good. 停用经办人的密钥；已办理的仍然有效。

    A stolen key: `mingzheng key compromise`. 密钥失窃用 mingzheng key compromise。

    \b
    mingzheng operator retire 张三 --workspace W --issuer 1
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, as_of)
        check_passphrase(opened, yes)
        confirm(yes)
        done = retire_operator(opened, issuer, name, now=now)
        config, today = opened.config, day_of_time(now)
    print_lines([showdesk.operator_json(done, today)], [showdesk.operator_text(done, today, lang)], as_json)
    for line in showdesk.persons_lines(config, today, lang):
        click.echo(line, err=True)


@operator_group.command("sign-again")
@click.option("--operator", "names", multiple=True, required=True, help="Who is here; repeatable. 在场的经办人。")
@_ISSUER
@PERSON_SECRET
@COMMON
def operator_sign_again(
    names: tuple[str, ...],
    *,
    issuer: int,
    workspace: Path,
    as_of: int | None,
    as_json: bool,
    lang: show.Lang,
    **options: Any,
) -> None:
    """Sign acts again that did not reach the log for days, then log them. 对多日未写入日志的行为重新签名并写入。

    \b
    mingzheng operator sign-again --workspace W --operator 李四
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, as_of)
        for at, name in enumerate(names):
            unlock(opened, issuer, name, passphrase=person_secret(options, at).read, now=now)
        count = sign_again(opened, now=now)
    text = f"已写入 {count} 项" if lang == "zh" else f"logged {count} acts"
    print_lines([{"type": "signed_again", "acts": count}], [text], as_json)
