"""`mingzheng status`: the whole story of one registration (docs/workspace.md, Status)."""

from pathlib import Path
from typing import Any

import click

import mingzheng.issuer.show as show
from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.options import AS_OF, ISSUER_NUMBER, JSON, LANG, WORKSPACE, open_workspace, print_lines, time_of
from mingzheng.issuer.rules_args import kind_code
from mingzheng.issuer.showstory import story_json, story_lines
from mingzheng.issuer.story import registrations_of, story_of

__all__ = ["status_command"]


@click.command("status")
@WORKSPACE
@click.option("--registration", required=True, help="Registration number. 注册编号。")
@click.option("--kind", help="Only this kind. 证书种类。")
@ISSUER_NUMBER
@click.option(
    "--full", is_flag=True, help="Sex, birth and employer too; never the identity number. 另列性别、出生日期、单位。"
)
@AS_OF
@LANG
@JSON
def status_command(
    workspace: Path,
    *,
    registration: str,
    kind: str | None,
    issuer: int | None,
    full: bool,
    as_json: bool,
    lang: show.Lang,
    **options: Any,
) -> None:
    """Tell everything of one registration: data, copies, acts, notices, locks, requests, ends. 一个注册的全部经过。

    It changes nothing and takes no passphrase; what waits for the log shows as such. 只查看，不改动。

    \b
    mingzheng status --workspace W --registration 京1112006200712345 --kind cn.constructor.1
    """
    code = None if kind is None else kind_code(kind)
    with open_workspace(workspace, {}, True) as opened:
        today = day_of_time(time_of(opened, options["as_of"]))
        named = registrations_of(opened, registration, kind=code, issuer=issuer)
        stories = [story_of(opened, one, today=today) for one in named]
    items = (story_json(story, full=full) for story in stories)
    print_lines(items, (line for story in stories for line in story_lines(story, lang, full=full)), as_json)
