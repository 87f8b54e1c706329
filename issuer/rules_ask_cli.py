"""The dated questions of `mingzheng rules`: ends, renewal, change, reissue, seal, form, extension, handwriting, images,
lock.

Spec: docs/profiles.md; output: rules-<command>.schema.json. Parse, call, print.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import click

from mingzheng.formats.civil import format_day, parse_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import Citation, Profile, ProfileSet
from mingzheng.formats.rules_change import ChangeFacts, change_application
from mingzheng.formats.rules_ends import EndsFacts, ends_on
from mingzheng.formats.rules_extend import EndFacts, extended_end
from mingzheng.formats.rules_extension import BlanketExtension, ExtensionError
from mingzheng.formats.rules_forms import FormFacts, form_standing, which_holds
from mingzheng.formats.rules_handwriting import Ink, judge_ink
from mingzheng.formats.rules_images import required_images
from mingzheng.formats.rules_lock import LockFacts, lock_state
from mingzheng.formats.rules_model import FormName, PolicyName
from mingzheng.formats.rules_pick import governing_or_next, own_or_national
from mingzheng.formats.rules_reissue import ReissueFacts, data_change, exchange
from mingzheng.formats.rules_renewal import Application, ApplicationFacts, renewal_application, renewed_validity
from mingzheng.formats.rules_seals import required_seals
from mingzheng.formats.rules_trace import RuleFactError
from mingzheng.issuer.errors import NoProfileError
from mingzheng.issuer.rules_args import day_option, days_option, kind_code, place_option
from mingzheng.issuer.rules_show import (
    Json,
    application_json,
    day_json,
    head_json,
    head_line,
    moved_json,
    outcome_json,
    outcome_lines,
    renewed_json,
    word_text,
)

__all__ = ["COMMANDS"]

P = ParamSpec("P")
T = TypeVar("T")
Pick = Callable[[ProfileSet, int, int, int], Profile | None]

_kind = click.option("--kind", required=True, help="Kind id, such as cn.constructor.1. 证书种类。")
_lang = click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="语言。")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object. 输出 JSON。")
_birth = day_option("--birth", "Date of birth of the holder. 出生日期。")


def _asked(command: Callable[P, T]) -> Callable[P, T]:
    """What every question has: kind, jurisdiction, language, form of the answer."""
    return _kind(place_option(_lang(_json(command))))


@click.command("renewal")
@_asked
@days_option("--until", "End of a specialty or registration; repeat. 专业（注册）截止日，可重复。")
@day_option("--on", "Day of application. 申请日。", required=True)
@day_option("--approved-on", "Day of approval: from when to when it is then good. 准予延续之日。")
@_birth
def renewal(
    kind: str,
    jurisdiction: int,
    on: int,
    lang: str,
    as_json: bool,
    **facts: int | tuple[int, ...] | None,
) -> None:
    """Tell whether a renewal may be applied for, and what an approval gives. 查询延续注册。

    \b
    mingzheng rules renewal --kind cn.constructor.2 --jurisdiction ln --on 2022-06-25 \\
        --until 2022-06-30 --birth 1980-05-01 --approved-on 2022-06-28
    """
    profile = _profile(kind, jurisdiction, on)
    ends, approved, birth = facts["until"], facts["approved_on"], facts["birth"]
    assert isinstance(ends, tuple)
    assert not isinstance(approved, tuple)
    assert not isinstance(birth, tuple)
    if not ends and approved is None:
        raise click.UsageError("需要 --until 或 --approved-on (--until or --approved-on is needed)")
    found = [(end, _application(profile, ApplicationFacts(end=end, on=on, birth=birth))) for end in ends]
    renewed = None
    if approved is not None:
        given = approved
        renewed = _needing(lambda: renewed_validity(profile, approved_on=given, birth=birth))
    if as_json:
        _print(
            head_json("renewal", profile, jurisdiction)
            | {
                "ends": [application_json(end, one) for end, one in found],
                "renewed": None if renewed is None else renewed_json(renewed),
            }
        )
        return
    click.echo(head_line(profile, lang))
    for end, one in found:
        _echo(outcome_lines("renewal", one, lang, until=format_day(end), **_days(opens=one.opens, closes=one.closes)))
    if renewed is not None:
        days = _days(valid_from=renewed.valid_from, valid_until=renewed.valid_until)
        _echo(outcome_lines("renewed", renewed, lang, **days))


@click.command("change")
@_asked
@day_option("--until", "End of the registration. 注册有效期截止日。", required=True)
@day_option("--on", "Day of application. 申请日。", required=True)
@_birth
def change(kind: str, jurisdiction: int, lang: str, as_json: bool, until: int, on: int, **facts: int | None) -> None:
    """Tell whether a change of the registration may be applied for. 查询变更注册。

    \b
    mingzheng rules change --kind cn.constructor.2 --jurisdiction ln --on 2022-06-20 \\
        --until 2022-06-30 --birth 1980-05-01
    """
    profile = _profile(kind, jurisdiction, on)
    found = _needing(lambda: change_application(profile, ChangeFacts(end=until, on=on, birth=facts["birth"])))
    if as_json:
        _print(head_json("change", profile, jurisdiction) | outcome_json(found, closes=day_json(found.closes)))
        return
    _show(profile, lang, outcome_lines("change", found, lang, **_days(closes=found.closes)))


@click.command("ends")
@_asked
@day_option("--on", "Day asked for. 查询日。", required=True)
@day_option("--registered-until", "End of the registration. 注册有效期截止日。", required=True)
@days_option("--specialty-until", "End of a specialty; repeat. 专业截止日，可重复。")
def ends(
    kind: str,
    jurisdiction: int,
    lang: str,
    as_json: bool,
    on: int,
    registered_until: int,
    **facts: tuple[int, ...],
) -> None:
    """Tell what of a registration is in force on a day. 查询注册与各专业是否在有效期内。

    \b
    mingzheng rules ends --kind cn.constructor.1 --jurisdiction sh --on 2023-06-01 \\
        --registered-until 2025-01-01 --specialty-until 2023-05-31 --specialty-until 2025-01-01
    """
    profile = _profile(kind, jurisdiction, on)
    asked = EndsFacts(on=on, registered_until=registered_until, specialty_untils=facts["specialty_until"])
    found = _needing(lambda: ends_on(profile, asked))
    ended = [format_day(end) for end in found.ended]
    if as_json:
        _print(head_json("ends", profile, jurisdiction) | outcome_json(found, ended=ended))
        return
    _show(profile, lang, outcome_lines("ends", found, lang, ended=("、" if lang == "zh" else ", ").join(ended)))


@click.command("reissue")
@_asked
@day_option("--on", "Day of the exchange. 换领日。", required=True)
@day_option("--registered-until", "End of the registration. 注册有效期截止日。", required=True)
@click.option("--pending", is_flag=True, help="Another matter is pending. 尚有其他申请事项在办。")
@_birth
def reissue(
    kind: str, jurisdiction: int, lang: str, as_json: bool, on: int, registered_until: int, **facts: Any
) -> None:
    """Tell whether a certificate may be exchanged, and what changed data call for. 查询换领。

    \b
    mingzheng rules reissue --kind cn.constructor.2 --jurisdiction sh --on 2022-07-05 \\
        --registered-until 2023-08-01
    """
    profile = _profile(kind, jurisdiction, on)
    asked = ReissueFacts(on=on, registered_until=registered_until, pending=facts["pending"], birth=facts["birth"])
    found = _needing(lambda: exchange(profile, asked))
    data = data_change(profile)
    days = {"issued_on": found.issued_on, "registered_until": found.registered_until}
    if as_json:
        more = {key: day_json(day) for key, day in days.items()} | {"supersedes": found.supersedes}
        answer = outcome_json(found, **more) | {"data_changed": outcome_json(data)}
        _print(head_json("reissue", profile, jurisdiction) | answer)
        return
    _show(profile, lang, outcome_lines("reissue", found, lang, **_days(**days)))
    _echo(outcome_lines("data_changed", data, lang))


@click.command("seal")
@_asked
@day_option("--issued-on", "Day of issue of the copy. 副本签发日。", required=True)
@click.option("--seal", "seals", multiple=True, help="Name of a seal on it; repeat. 其上的签章名称，可重复。")
def seal(kind: str, jurisdiction: int, lang: str, as_json: bool, issued_on: int, seals: tuple[str, ...]) -> None:
    """Tell which seals a copy of a day must carry, all together. 查询应有的签章。

    \b
    mingzheng rules seal --kind cn.architect.1 --issued-on 2022-06-27 --seal 全国注册建筑师管理委员会
    """
    profile = _profile(kind, jurisdiction, issued_on, governing_or_next)
    found = required_seals(profile, issued_on=issued_on, present=seals)
    names = {"required": found.required, "missing": found.missing, "others": found.others}
    if as_json:
        _print(head_json("seal", profile, jurisdiction) | outcome_json(found, **{k: list(v) for k, v in names.items()}))
        return
    comma = "、" if lang == "zh" else ", "
    words = {key: comma.join(value) for key, value in names.items()}
    _show(profile, lang, outcome_lines("seal", found, lang, **words))


@click.command("form")
@_asked
@click.option("--form", "name", type=click.Choice([str(one) for one in FormName]), required=True, help="证照形式。")
@day_option("--on", "Day judged. 判断日。", required=True)
@day_option("--issued-on", "Day of issue it bears. 其签发日。")
@day_option("--valid-until", "Its own end. 其自身有效期截止日。")
def form(kind: str, jurisdiction: int, lang: str, as_json: bool, name: str, on: int, **facts: int | None) -> None:
    """Tell what paper, a former or a present electronic form is worth on a day. 查询证照形式的效力。

    \b
    mingzheng rules form --kind cn.constructor.2 --jurisdiction sh --form electronic-old --on 2023-06-01
    """
    profile = _profile(kind, jurisdiction, on, own_or_national)
    asked = FormFacts(form=FormName(name), on=on, issued_on=facts["issued_on"], valid_until=facts["valid_until"])
    found, holds = _needing(lambda: form_standing(profile, asked)), which_holds(profile)
    if as_json:
        answer = outcome_json(found, void_from=day_json(found.void_from)) | {"precedence": outcome_json(holds)}
        _print(head_json("form", profile, jurisdiction) | answer)
        return
    _show(profile, lang, outcome_lines("form", found, lang))
    _echo(outcome_lines("precedence", holds, lang))


@click.command("extension")
@_asked
@day_option("--until", "End of a registration or specialty. 注册（专业）截止日。", required=True)
@day_option("--on", "Day judged. 判断日。", required=True)
@day_option("--usage-until", "Last usable day of a copy. 使用件的最后可用日。")
@click.option("--grant", "grants", multiple=True, help="FIRST:LAST:NEW:FROM[:RETRACTED], days; repeat. 拟议的延期。")
def extension(
    kind: str,
    jurisdiction: int,
    lang: str,
    as_json: bool,
    grants: tuple[str, ...],
    **facts: int | None,
) -> None:
    """Tell where an end stands under blanket extensions, with their history. 查询统一延期。

    \b
    mingzheng rules extension --kind cn.constructor.2 --jurisdiction ln --until 2022-03-12 --on 2022-04-01
    """
    end, on = facts["until"], facts["on"]
    assert end is not None
    assert on is not None
    profile = _profile(kind, jurisdiction, on, own_or_national)
    given = [_grant(text, profile.code, jurisdiction) for text in grants]
    asked = EndFacts(jurisdiction=jurisdiction, end=end, usage_until=facts["usage_until"], on=on)
    found = extended_end(profile, given, asked)
    if as_json:
        _print(head_json("extension", profile, jurisdiction) | moved_json(found))
        return
    _show(profile, lang, outcome_lines("extension", found, lang, **_days(until=found.end)))


@click.command("handwriting")
@_asked
@click.option("--ink", type=click.Choice([str(one) for one in Ink]), required=True, help="手写签名所见。")
@day_option("--issued-on", "Day of issue of the copy. 副本签发日。", required=True)
@click.option(
    "--policy", type=click.Choice([str(one) for one in PolicyName]), default="bid", show_default=True, help="查验场合。"
)
def handwriting(kind: str, jurisdiction: int, lang: str, as_json: bool, ink: str, issued_on: int, policy: str) -> None:
    """Tell what a missing or different signature on a print means. 查询手写签名的规则。

    \b
    mingzheng rules handwriting --kind cn.constructor.1 --jurisdiction sh --issued-on 2022-06-27 --ink missing
    """
    profile = _profile(kind, jurisdiction, issued_on)
    found = judge_ink(profile, ink=Ink(ink), policy=PolicyName(policy))
    if as_json:
        _print(
            head_json("handwriting", profile, jurisdiction)
            | outcome_json(found, policy=policy, severity=found.severity)
        )
        return
    severity = "" if found.severity is None else word_text(found.severity, lang)
    _show(profile, lang, outcome_lines("handwriting", found, lang, severity=severity))


@click.command("images")
@_asked
@day_option("--on", "Day of issue of the copy. 副本签发日。", required=True)
@click.option("--photo", is_flag=True, help="The record brings a photo. 有照片。")
@click.option("--signature-image", is_flag=True, help="The record brings a signature image. 有签名图像。")
def images(kind: str, jurisdiction: int, lang: str, as_json: bool, on: int, **brought: bool) -> None:
    """Tell which images a record must bring, and which are missing. 查询必须提供的照片与签名图像。

    \b
    mingzheng rules images --kind cn.constructor.2 --jurisdiction sh --on 2022-06-27 --photo
    """
    profile = _profile(kind, jurisdiction, on)
    found = required_images(profile, photo=brought["photo"], signature_image=brought["signature_image"])
    if as_json:
        answer = outcome_json(found, missing=list(found.missing))
        _print(head_json("images", profile, jurisdiction) | answer)
        return
    missing = ("、" if lang == "zh" else ", ").join(word_text(name, lang) for name in found.missing)
    _show(profile, lang, outcome_lines("images", found, lang, missing=missing))


@click.command("lock")
@_asked
@day_option("--locked-on", "First day of the lock. 锁定之日。", required=True)
@day_option("--unlocked-on", "First day after it. 解锁之日。")
@day_option("--on", "Day asked for. 查询日。", required=True)
def lock(kind: str, jurisdiction: int, lang: str, as_json: bool, locked_on: int, on: int, **facts: int | None) -> None:
    """Tell what a lock stops, and what it leaves alone. 查询锁定的后果。

    \b
    mingzheng rules lock --kind cn.constructor.2 --jurisdiction sn --locked-on 2019-03-01 --on 2019-03-02
    """
    profile = _profile(kind, jurisdiction, on)
    found = lock_state(profile, LockFacts(locked_on=locked_on, unlocked_on=facts["unlocked_on"], on=on))
    if as_json:
        answer = outcome_json(found, public=found.public, copies_out_affected=found.copies_out_affected)
        _print(head_json("lock", profile, jurisdiction) | answer)
        return
    _show(profile, lang, outcome_lines("lock", found, lang))


COMMANDS: tuple[click.Command, ...] = (ends, renewal, change, reissue, seal, form, extension, handwriting, images, lock)


def _profile(kind: str, jurisdiction: int, day: int, pick: Pick = ProfileSet.select) -> Profile:
    profile = pick(load_shipped_profiles(), kind_code(kind), jurisdiction, day)
    if profile is None:
        raise NoProfileError(kind, jurisdiction, day)
    return profile


def _application(profile: Profile, facts: ApplicationFacts) -> Application:
    return _needing(lambda: renewal_application(profile, facts))


def _needing(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except RuleFactError as error:
        option = "--" + error.fact.replace("_", "-")
        raise click.UsageError(f"这一规则需要 {option} (is needed for this rule)") from error


def _grant(text: str, kind: int, jurisdiction: int) -> BlanketExtension:
    parts = text.split(":")
    reason = Citation(notice=None, clause=None, by_analogy_zh="命令行给出", by_analogy_en="given with the command")
    try:
        days = [parse_day(part) for part in parts]
        if len(days) not in (4, 5):
            raise ValueError("four or five days")
        return BlanketExtension(
            first_end=days[0],
            last_end=days[1],
            new_end=days[2],
            kinds=(kind,),
            jurisdictions=(jurisdiction,),
            effective_on=days[3],
            retracted_on=days[4] if len(days) == 5 else None,
            moves_usage_window=False,
            revives_copies=False,
            citation=reason,
        )
    except (ValueError, ExtensionError) as error:
        raise click.BadParameter(
            "写成 首日:末日:新截止日:生效日[:撤回日]，依次不早于前者"
            " (FIRST:LAST:NEW:FROM[:RETRACTED], days that follow each other)",
            param_hint="--grant",
        ) from error


def _days(**days: int | None) -> dict[str, object]:
    return {name: "—" if day is None else format_day(day) for name, day in days.items()}


def _show(profile: Profile, lang: str, lines: Iterable[str]) -> None:
    click.echo(head_line(profile, lang))
    _echo(lines)


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _print(value: Json) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))
