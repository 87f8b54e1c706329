"""`mingzheng rules …`: ask the shipped profiles what the notices say, without a workspace.

Spec: docs/profiles.md, "Usage window"; output: rules-window.schema.json. Parse, call, print. The other questions:
`rules_ask_cli`.
"""

import json
from collections.abc import Sequence

import click

from mingzheng.formats.civil import format_day, format_day_zh
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
from mingzheng.issuer.errors import NoProfileError, WindowRefusedError
from mingzheng.issuer.rules_args import day_option, days_option, kind_code, place_option
from mingzheng.issuer.rules_ask_cli import COMMANDS
from mingzheng.issuer.rules_show import Json, citation_json, head_json
from mingzheng.issuer.show import rule_name

__all__ = ["rules_group"]


@click.group("rules")
def rules_group() -> None:
    """Ask the rules of the notices. 查询通知规则。

    \b
    mingzheng rules window --kind cn.constructor.1 --download 2022-06-27 \\
        --specialty-until 2025-01-01 --birth 1957-09-01
    """


@rules_group.command("window")
@click.option("--kind", required=True, help="Kind id, such as cn.constructor.1. 证书种类。")
@day_option("--download", "Day the copy is issued. 使用件签发日。", required=True)
@days_option("--specialty-until", "End of a specialty; repeat. 专业截止日，可重复。")
@day_option("--registered-until", "End of the registration. 注册有效期截止日。")
@day_option("--birth", "Date of birth of the holder. 出生日期。")
@place_option
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="语言。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. 输出 JSON。")
@click.option("--trace", is_flag=True, help="JSON with every rule and its source. JSON 附各条规则及出处。")
def window(
    kind: str,
    download: int,
    jurisdiction: int,
    lang: str,
    as_json: bool,
    trace: bool,
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
    if as_json or trace:
        more = trace_json(profile, jurisdiction, found) if trace else {}
        click.echo(json.dumps(window_json(found) | more, ensure_ascii=False))
        return
    for line in window_lines(profile, found, lang):
        click.echo(line)


def window_json(found: Window) -> Json:
    """Return the object of rules-window.schema.json."""
    until = found.usage_until
    return {"usage_until": None if until is None else format_day(until), "binding": list(found.binding)}


def trace_json(profile: Profile, jurisdiction: int, found: Window) -> Json:
    """Return what `--trace` adds: the profile that answers, every candidate, the source of there being no window."""
    return {
        **head_json("window", profile, jurisdiction),
        "first_day": format_day(found.first_day),
        "trace": [
            {
                "rule": step.rule,
                "day": format_day(step.day),
                "word": None,
                "binding": step.binding,
                **citation_json(step.citation),
            }
            for step in found.trace
        ],
        "no_window": None if found.no_window is None else citation_json(found.no_window),
    }


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


def _profile(kind: str, jurisdiction: int, day: int) -> Profile:
    profile = load_shipped_profiles().select(kind_code(kind), jurisdiction, day)
    if profile is None:
        raise NoProfileError(kind, jurisdiction, day)
    return profile


for _command in COMMANDS:
    rules_group.add_command(_command)
