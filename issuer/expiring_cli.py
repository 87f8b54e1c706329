"""`mingzheng expiring`: what is about to end, by which rule, and what to do (docs/workspace.md, Expiring)."""

from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.show as show
from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.issuer.expiring import Ending, EndingOf, expiring
from mingzheng.issuer.options import AS_OF, JSON, LANG, WORKSPACE, open_workspace, print_lines, time_of
from mingzheng.issuer.rules_args import kind_code
from mingzheng.issuer.rules_show import sentence
from mingzheng.issuer.spreadsheet import BOM, csv_line

__all__ = ["expiring_command"]

MAX_DAYS: Final = 3_660
_COLUMNS: Final = {
    "end": ("届满日", "end"),
    "days_left": ("剩余天数", "days left"),
    "threshold": ("提醒", "warning"),
    "what": ("届满事项", "what ends"),
    "specialty": ("专业", "specialty"),
    "serial": ("序号", "serial"),
    "issuer": ("机构", "issuer"),
    "kind": ("种类", "kind"),
    "registration_no": ("注册编号", "registration"),
    "name": ("姓名", "name"),
    "stated_end": ("原届满日", "stated end"),
    "moved_by": ("延期依据", "moved by"),
    "rule": ("依据", "rule"),
    "to_do": ("处理", "to do"),
}
_WHAT: Final = {
    EndingOf.WINDOW: ("使用时限", "usage window"),
    EndingOf.REGISTRATION: ("注册", "registration"),
    EndingOf.SPECIALTY: ("专业", "specialty"),
}
_FRESH: Final = ("需继续使用的，签发新的使用件", "where it is still needed, issue a fresh usage copy")
_NO_PROFILE: Final = ("没有适用的规则，请查通知", "no rule governs: look at the notices")


def read_within(ctx: click.Context, param: click.Parameter, text: str) -> int:
    """Days, such as 30d or 30."""
    digits = text[:-1] if text.endswith("d") else text
    if digits.isascii() and digits.isdecimal() and len(digits) <= 4 and int(digits) <= MAX_DAYS:
        return int(digits)
    raise click.BadParameter(f"写成 30d 这样的天数，至多 {MAX_DAYS} (days such as 30d, at most {MAX_DAYS})", ctx, param)


@click.command("expiring")
@WORKSPACE
@click.option(
    "--within", callback=read_within, default="30d", show_default=True, help="How many days ahead. 今后多少天。"
)
@click.option("--kind", help="Only this kind. 只看该种类。")
@click.option("--csv", "as_csv", is_flag=True, help="A table for a spreadsheet. 输出表格。")
@AS_OF
@LANG
@JSON
def expiring_command(
    workspace: Path, *, within: int, kind: str | None, as_csv: bool, as_json: bool, lang: show.Lang, **options: Any
) -> None:
    """List usage windows, registrations and specialties about to end; warnings at 30, 7 and 1 day. 即将届满的清单。

    Ends stand where the notices in force have moved them. 届满日已计入现行的统一延期公告。

    \b
    mingzheng expiring --workspace W --within 30d --csv > expiring.csv
    mingzheng expiring --workspace W --within 7d --kind cn.constructor.1
    """
    if as_csv and as_json:
        raise click.UsageError("--csv 与 --json 只用一个 (one of --csv and --json)")
    code = None if kind is None else kind_code(kind)
    with open_workspace(workspace, {}, True) as opened:
        found = expiring(opened, within=within, kind=code, today=day_of_time(time_of(opened, options["as_of"])))
    if as_csv:
        at = 0 if lang == "zh" else 1
        click.echo(BOM + csv_line(names[at] for names in _COLUMNS.values()) + "\r\n", nl=False)
        for item in found:
            click.echo(csv_line(_row(item, lang)[name] for name in _COLUMNS) + "\r\n", nl=False)
        return
    print_lines((ending_json(item) for item in found), ("\t".join(_line(item, lang)) for item in found), as_json)
    if not found and not as_json:
        nothing = f"{within} 天内没有届满的" if lang == "zh" else f"nothing ends within {within} days"
        click.echo(nothing, err=True)


def ending_json(item: Ending) -> show.Json:
    """One end (expiring.schema.json)."""
    more = {"zh": to_do(item, "zh"), "en": to_do(item, "en")}
    return {
        "type": "ending",
        "what": str(item.what),
        "issuer": item.registration.issuer,
        "kind": load_shipped_profiles().id_of(item.registration.kind) or str(item.registration.kind),
        "registration_no": item.registration.registration_no,
        "name": item.name,
        "specialty": item.specialty,
        "serial": item.serial,
        "end": format_day(item.end),
        "stated_end": format_day(item.stated),
        "days_left": item.days_left,
        "threshold": item.threshold,
        "rule": [{"zh": one.text_zh(), "en": one.text_en()} for one in item.rule],
        "moved_by": [{"zh": one.text_zh(), "en": one.text_en()} for one in item.moved_by],
        "renewal": None if item.renewal is None else str(item.renewal.answer),
        "to_do": more,
    }


def to_do(item: Ending, lang: str) -> str:
    """What can be done about it."""
    at = 0 if lang == "zh" else 1
    if item.what is EndingOf.WINDOW:
        return _FRESH[at]
    found = item.renewal
    if found is None:
        return _NO_PROFILE[at]
    days = {
        name: "" if day is None else format_day(day) for name, day in (("opens", found.opens), ("closes", found.closes))
    }
    return sentence("renewal", str(found.answer), lang, {"until": format_day(item.end), **days})


def _row(item: Ending, lang: str) -> dict[str, object]:
    at = 0 if lang == "zh" else 1
    said = ending_json(item)
    sources = {
        name: "; ".join((one.text_zh(), one.text_en())[at] for one in citations)
        for name, citations in (("rule", item.rule), ("moved_by", item.moved_by))
    }
    return {**said, **sources, "what": _WHAT[item.what][at], "to_do": to_do(item, lang)}


def _line(item: Ending, lang: str) -> list[str]:
    row = _row(item, lang)
    left = f"{item.days_left} 天" if lang == "zh" else f"{item.days_left} d"
    what = str(row["what"]) + (f" {item.specialty}" if item.specialty else "")
    if item.serial is not None:
        what += f" #{item.serial}"
    cells = [str(row["end"]), left, what, str(row["registration_no"]), item.name, str(row["to_do"]), str(row["rule"])]
    return [*cells, str(row["moved_by"])] if item.moved_by else cells
