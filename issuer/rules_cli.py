"""`mingzheng rules …`: ask the shipped profiles what the notices say, without a workspace.

Spec: docs/profiles.md, "Usage window"; output: rules-window.schema.json. Parse, call, print.
"""

import json
from collections.abc import Sequence

import click

from mingzheng.formats.civil import MIN_DAY, format_day, format_day_zh, parse_day
from mingzheng.formats.claims import BIRTH_MAX
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import (
    MissingFactError,
    Profile,
    TraceStep,
    Window,
    WindowClosedError,
    WindowFacts,
    usage_window,
)
from mingzheng.issuer.cells import CellError, read_jurisdiction
from mingzheng.issuer.errors import NoProfileError, WindowRefusedError
from mingzheng.issuer.faults import make_fault
from mingzheng.issuer.record import nearest
from mingzheng.issuer.show import rule_name

__all__ = ["rules_group"]

LAST_DAY = 47_846  # 2100-12-31; later days are slips of the keyboard


def _day(ctx: click.Context, param: click.Parameter, text: str) -> int:
    try:
        day = parse_day(text)
    except ValueError:
        raise click.BadParameter("日期写成 YYYY-MM-DD (a day is written YYYY-MM-DD)", ctx, param) from None
    if not MIN_DAY <= day <= LAST_DAY:
        raise click.BadParameter("应在 1900 至 2100 年之间 (a day lies between 1900 and 2100)", ctx, param)
    return day


def _optional_day(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    return None if text is None else _day(ctx, param, text)


def _days(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(_day(ctx, param, text) for text in texts)


def _place(ctx: click.Context, param: click.Parameter, text: str) -> int:
    try:
        return read_jurisdiction(text)
    except CellError as error:
        raise click.BadParameter(_remedy(error.code), ctx, param) from None


@click.group("rules")
def rules_group() -> None:
    """Ask the rules of the notices. 查询通知规则。

    \b
    mingzheng rules window --kind cn.constructor.1 --download 2022-06-27 \\
        --specialty-until 2025-01-01 --birth 1957-09-01
    """


@rules_group.command("window")
@click.option("--kind", required=True, help="Kind id, such as cn.constructor.1. 证书种类。")
@click.option("--download", callback=_day, required=True, help="Day the copy is issued. 使用件签发日。")
@click.option(
    "--specialty-until", callback=_days, multiple=True, help="End of a specialty; repeat. 专业截止日，可重复。"
)
@click.option("--registered-until", callback=_optional_day, help="End of the registration. 注册有效期截止日。")
@click.option("--birth", callback=_optional_day, help="Date of birth of the holder. 出生日期。")
@click.option(
    "--jurisdiction", callback=_place, default="0", show_default=True, help="GB/T 2260 code, 31 or sh. 地区代码。"
)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="语言。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. 输出 JSON。")
def window(
    kind: str,
    download: int,
    jurisdiction: int,
    lang: str,
    as_json: bool,
    **facts: int | tuple[int, ...] | None,
) -> None:
    """Compute the usage window of a copy and say which rule sets its end. 计算使用时限并说明依据。

    \b
    mingzheng rules window --kind cn.architect.1 --download 2022-06-27 --registered-until 2022-07-31 --json

    Exit status 1: no usage copy can be issued on that day.
    """
    profile = _profile(kind, jurisdiction, download)
    try:
        found = usage_window(profile, _facts(download, facts))
    except MissingFactError as error:
        option = "--" + error.fact.replace("_", "-")
        raise click.UsageError(f"{kind} 需要 {option} (is needed for this kind)") from error
    except WindowClosedError as error:
        raise WindowRefusedError(error.window.binding, error.last_day) from error
    if as_json:
        click.echo(json.dumps(window_json(found)))
        return
    for line in window_lines(profile, found, lang):
        click.echo(line)


def window_json(found: Window) -> dict[str, object]:
    """Return the object of rules-window.schema.json."""
    until = found.usage_until
    return {"usage_until": None if until is None else format_day(until), "binding": list(found.binding)}


def window_lines(profile: Profile, found: Window, lang: str) -> Sequence[str]:
    """Return the window and its trace as lines for people."""
    zh = lang == "zh"
    name = profile.name_zh if zh else profile.name_en
    if found.usage_until is None:
        source = found.no_window
        why = "" if source is None else source.text_zh() if zh else source.text_en()
        return (f"{name}：无使用时限" if zh else f"{name}: no usage window", f"    {why}")
    first, last = found.first_day, found.usage_until
    if zh:
        head = f"{name}：使用时限 {format_day_zh(first)} 至 {format_day_zh(last)}（含首尾两日）"
    else:
        head = f"{name}: usable from {format_day(first)} to {format_day(last)}, both days included"
    return (head, *(line for step in found.trace for line in _step_lines(step, zh)))


def _step_lines(step: TraceStep, zh: bool) -> tuple[str, str]:
    mark = "*" if step.binding else " "
    source = step.citation.text_zh() if zh else step.citation.text_en()
    return (
        f"{mark} {format_day(step.day)}  {step.rule:<12} {rule_name(step.rule, 'zh' if zh else 'en')}",
        f"      {source}",
    )


def _facts(download: int, facts: dict[str, int | tuple[int, ...] | None]) -> WindowFacts:
    ends, until, birth = facts["specialty_until"], facts["registered_until"], facts["birth"]
    assert isinstance(ends, tuple)
    assert not isinstance(until, tuple)
    assert not isinstance(birth, tuple)
    if birth is not None and birth > min(download, BIRTH_MAX):
        raise click.UsageError("--birth 晚于 --download (the date of birth lies after the day of issue)")
    return WindowFacts(download=download, specialty_untils=ends, registered_until=until, birth=birth)


def _remedy(code: str) -> str:
    fault = make_fault(0, "", code)
    return f"{fault.remedy_zh} ({fault.remedy_en})"


def _profile(kind: str, jurisdiction: int, day: int) -> Profile:
    profile = load_shipped_profiles().select(_code(kind), jurisdiction, day)
    if profile is None:
        raise NoProfileError(kind, jurisdiction, day)
    return profile


def _code(kind: str) -> int:
    profiles = load_shipped_profiles()
    code = profiles.code_of(kind)
    if code is None:
        known = sorted({profile.id for profile in profiles.profiles})
        raise click.UsageError(
            f"没有这个种类，最接近的是 (unknown kind, the nearest is) {nearest(kind, known)};"
            f" 可用 (known): {', '.join(known)}"
        )
    return code
