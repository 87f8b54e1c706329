"""`mingzheng journal`: everything that was done, by whom (docs/workspace.md, Journal)."""

import csv
import datetime
import sys
from pathlib import Path

import click

import mingzheng.issuer.show as show
import mingzheng.issuer.showdesk as showdesk
from mingzheng.issuer.journal import faults_of
from mingzheng.issuer.options import JSON, LANG, WORKSPACE, open_workspace, print_lines

__all__ = ["journal"]

_CHINA = datetime.timezone(datetime.timedelta(hours=8))


@click.command("journal")
@WORKSPACE
@click.option("--csv", "as_csv", is_flag=True, help="A table for a spreadsheet. 输出表格。")
@click.option("--check", is_flag=True, help="Look for rows that were changed or removed. 检查是否被改动或删除。")
@LANG
@JSON
@click.pass_context
def journal(ctx: click.Context, workspace: Path, *, as_csv: bool, check: bool, as_json: bool, lang: show.Lang) -> None:
    """Print the journal: what, when, who asked, who approved, why, where in the log. 打印操作日志。

    With --check status 1 says that something was changed or removed; the head, if you keep it elsewhere, also shows
    rows cut off at the end. --check 的退出码 1 表示被改动；另行保存的尾值可以发现末尾的删除。

    \b
    mingzheng journal --workspace W --csv > journal.csv
    mingzheng journal --workspace W --check
    """
    if as_csv and as_json:
        raise click.UsageError("--csv 与 --json 只用一个 (one of --csv and --json)")
    with open_workspace(workspace, {}, True) as opened:
        desk = opened.ledger.desk
        if check:
            faults = faults_of(desk.journal(), desk.told(), desk.journal_starts())
            rows, digest = desk.journal_head()
            head: show.Json = {"type": "head", "rows": rows, "digest": digest.hex()}
            found: list[show.Json] = [
                {"type": "fault", "number": fault.number, "zh": fault.zh, "en": fault.en} for fault in faults
            ]
            said = f"{rows} 条，尾值 {digest.hex()}" if lang == "zh" else f"{rows} rows, head {digest.hex()}"
            print_lines([*found, head], [*(showdesk.fault_text(item, lang) for item in faults), said], as_json)
            ctx.exit(1 if faults else 0)
        places = desk.positions()
        items = (showdesk.journal_json(row, places) for row in desk.journal())
        if as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(showdesk.CSV_COLUMNS)
            writer.writerows(showdesk.journal_cells(item) for item in items)
            return
        for item in items:
            print_lines([item], [showdesk.journal_text(item, lang, _time(item))], as_json)


def _time(item: show.Json) -> str:
    seconds = item["time"]
    assert isinstance(seconds, int)
    return datetime.datetime.fromtimestamp(seconds, _CHINA).strftime("%Y-%m-%d %H:%M")
