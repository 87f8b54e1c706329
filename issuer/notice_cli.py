"""`mingzheng notice list|add`: what an authority announces about many copies at once.

Source: docs/spec/notices.md. Parse, call, print; `noticework` decides.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import click

import mingzheng.issuer.approval as approval
import mingzheng.issuer.noticework as noticework
import mingzheng.issuer.show as show
import mingzheng.issuer.showdesk as showdesk
from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.issuer.act_cli import EXIT_WAITING
from mingzheng.issuer.deedwords import void_notice
from mingzheng.issuer.noticebook import Given
from mingzheng.issuer.noticework import NoticePreview
from mingzheng.issuer.operators import Operator, check_operator, unlock
from mingzheng.issuer.options import (
    COMMON,
    DRY_RUN,
    ISSUER_NUMBER,
    JSON,
    LANG,
    OPERATOR,
    REASON,
    WORKSPACE,
    YES,
    check_passphrase,
    confirm,
    open_workspace,
    options_of,
    person_secret,
    print_lines,
    read_day,
    read_kinds,
    read_regions,
    time_of,
)
from mingzheng.issuer.places import kind_name, place_name
from mingzheng.issuer.publish import finish
from mingzheng.log.noticebody import (
    ExtensionBody,
    Moves,
    NoticeBody,
    RetiredFormBody,
    RetractionBody,
    SealChangeBody,
)

__all__ = ["RULE_STAYS_EN", "RULE_STAYS_ZH", "notice_group", "notice_text", "preview_texts"]

LISTED: Final = 20  # registrations that a preview for people names

_TYPES_ZH: Final = {
    "BLANKET_EXTENSION": "统一延期",
    "RETIRED_FORM": "式样停用",
    "SEAL_CHANGE": "启用印章",
    "RETRACTION": "撤回公告",
}
RULE_STAYS_ZH: Final = "工作区的用印规则不随之更改：此后由谁用印，请用 mingzheng seal rule --replace 写明"
RULE_STAYS_EN: Final = (
    "the workspace's rule of sealing stays: `mingzheng seal rule --replace` says who seals from then on"
)
_CITATION: Final = click.option("--citation", required=True, help="Title and clause. 公告名称与条款。")
_ABOUT: Final = options_of(
    _CITATION,
    click.option("--kind", "kinds", multiple=True, required=True, callback=read_kinds, help="Kind; repeatable. 种类。"),
    click.option(
        "--jurisdiction",
        "jurisdictions",
        multiple=True,
        required=True,
        callback=read_regions,
        help="Region, cn: everywhere; repeatable. 地区，cn 为全部。",
    ),
)
_GIVING: Final = options_of(ISSUER_NUMBER, REASON, OPERATOR, COMMON, DRY_RUN, YES)


def _day(name: str, text: str, *, required: bool = True) -> Callable[[Any], Any]:
    return click.option(name, required=required, callback=read_day, help=text)


@click.group("notice")
def notice_group() -> None:
    """Notices: extensions, retired forms, seals. 公告：统一延期、式样停用、启用印章。"""


@notice_group.group("add")
def notice_add() -> None:
    """Give a notice, once previewed; with operators, ask for it. 发布公告，先预览；设有经办人的为提出申请。"""


@notice_group.command("list")
@WORKSPACE
@ISSUER_NUMBER
@JSON
@LANG
def notice_list(*, issuer: int | None, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """List the notices that were given. 列出已发布的公告。

    \b
    mingzheng notice list --workspace W
    """
    with open_workspace(options["workspace"], options, True) as opened:
        numbers = [spec.number for spec in opened.config.issuers if issuer in (None, spec.number)]
        found = [item for number in numbers for item in noticework.list_notices(opened, number)]
    print_lines([_given_json(item) for item in found], [_given_text(item, lang) for item in found], as_json)


@notice_add.command("extension")
@_ABOUT
@_day("--first-end", "First end that moves. 被延长的最早截止日。")
@_day("--last-end", "Last end that moves. 被延长的最晚截止日。")
@_day("--new-end", "Where they move. 新截止日。")
@_day("--effective", "First day it counts, by default today. 生效日，默认今天。", required=False)
@click.option("--move-windows", is_flag=True, help="Usage windows move too, never past day 180. 使用时限同延。")
@click.option("--revive", is_flag=True, help="Copies that have run out hold again. 已过期的证书恢复使用。")
@_GIVING
def notice_extension(*, first_end: int, last_end: int, new_end: int, effective: int | None, **options: Any) -> None:
    """Move the ends of registrations in a range to a later day. 统一延长注册有效期。

    Copies that have run out stay so unless --revive: a fresh copy is due.

    \b
    mingzheng notice add extension --workspace W --citation 示例厅〔2026〕1号第二条 --kind cn.constructor.2 \\
        --jurisdiction ln --first-end 2026-03-12 --last-end 2026-06-30 --new-end 2026-07-31 --reason …… --dry-run
    """

    def make(number: int, today: int) -> NoticeBody:
        return ExtensionBody(
            number=number,
            citation=options["citation"],
            jurisdictions=options["jurisdictions"],
            kinds=options["kinds"],
            effective_day=today if effective is None else effective,
            first_end=first_end,
            last_end=last_end,
            new_end=new_end,
            moves=Moves.USAGE if options["move_windows"] else Moves.REGISTRATION,
            revives=options["revive"],
        )

    _give(make, options)


@notice_add.command("form")
@_ABOUT
@click.option("--template", type=click.IntRange(1, 65535), required=True, help="Number of the old form. 旧式样编号。")
@_day("--equal-until", "Last day it is equal; void at once if absent. 同等有效的最后一日，缺省即停用。", required=False)
@click.option("--paper", is_flag=True, help="It speaks of paper too. 同时涉及纸质证书。")
@_GIVING
def notice_form(*, template: int, equal_until: int | None, paper: bool, **options: Any) -> None:
    """Say until when copies on an old form are equal. 规定旧式样同等有效到哪一天。

    \b
    mingzheng notice add form --workspace W --citation 示例委〔2026〕2号三（三） --kind cn.constructor.2 \\
        --jurisdiction sh --template 1 --equal-until 2026-12-31 --reason …… --dry-run
    """

    def make(number: int, today: int) -> NoticeBody:
        return RetiredFormBody(
            number=number,
            citation=options["citation"],
            jurisdictions=options["jurisdictions"],
            kinds=options["kinds"],
            template=template,
            equal_until=equal_until,
            paper=paper,
        )

    _give(make, options)


@notice_add.command("seal")
@_ABOUT
@_day("--from", "First day of issue that it rules. 起用日。")
@click.option(
    "--body",
    "bodies",
    type=click.IntRange(0, 65535),
    multiple=True,
    required=True,
    help="Who seals, in this order; 0: the sealing body of the record. 用印机关，按次序。",
)
@_GIVING
def notice_seal(*, bodies: tuple[int, ...], **options: Any) -> None:
    """Say who seals from a day on; the workspace's rule changes with it. 规定自某日起谁用印，工作区规则随之更换。

    \b
    mingzheng notice add seal --workspace W --citation 示例部〔2026〕3号二（一） --kind cn.constructor.1 \\
        --jurisdiction cn --from 2026-12-01 --body 0 --reason …… --dry-run
    """

    def make(number: int, today: int) -> NoticeBody:
        return SealChangeBody(
            number=number,
            citation=options["citation"],
            jurisdictions=options["jurisdictions"],
            kinds=options["kinds"],
            from_day=options["from"],
            bodies=bodies,
        )

    _give(make, options)


@notice_add.command("retract")
@click.argument("number", type=click.IntRange(1, 65535))
@_CITATION
@_day("--from", "First day it holds no more, by default today. 失效日，默认今天。", required=False)
@_GIVING
def notice_retract(number: int, **options: Any) -> None:
    """Retract an earlier notice from a day on; both stay in the log. 自某日起撤回先前的公告，两者都留在日志中。

    \b
    mingzheng notice add retract 1 --workspace W --citation 示例厅〔2026〕4号 --reason …… --dry-run
    """

    def make(own: int, today: int) -> NoticeBody:
        from_day = today if options["from"] is None else options["from"]
        return RetractionBody(number=own, citation=options["citation"], retracted=number, from_day=from_day)

    _give(make, options)


def _give(make: Callable[[int, int], NoticeBody], options: dict[str, Any]) -> None:
    lang, as_json = options["lang"], options["as_json"]
    with open_workspace(options["workspace"], options) as opened:
        now = time_of(opened, options["as_of"])
        today = day_of_time(now)
        if not options["dry_run"]:
            finish(opened, now=now)  # of a notice that was cut short: asked again, it is given but for this
        proposal = noticework.propose(opened, options["issuer"], lambda number: make(number, today))
        seen = noticework.preview(opened, proposal)
        if options["dry_run"]:
            print_lines([_preview_json(seen)], preview_texts(seen, lang), as_json)
            return
        issuer, name = proposal.issuer, options["operator"]
        check_operator(opened, issuer, name, now=now)
        for line in preview_texts(seen, lang):
            click.echo(line, err=True)
        person: Operator | None = None
        if name is not None:
            person = unlock(opened, issuer, name, passphrase=person_secret(options).read, now=now)
        check_passphrase(opened, options["yes"])
        confirm(options["yes"])
        if person is not None:
            row = approval.ask(opened, noticework.asking(proposal, reason=options["reason"]), person, now=now)
            path = str(approval.request_path(opened, row))
            waiting = showdesk.waiting_text(row, str(opened.root), path, lang)
            print_lines([showdesk.request_json(row, path)], [waiting], as_json)
            raise click.exceptions.Exit(EXIT_WAITING)
        given = noticework.give(opened, proposal, reason=options["reason"], now=now)
    print_lines([_given_json(given)], [_given_text(given, lang)], as_json)


# --- words


def _preview_json(seen: NoticePreview) -> show.Json:
    """What would be given, and whom it concerns."""
    return {
        "type": "plan",
        **_body_json(seen.proposal.issuer, seen.proposal.body),
        "registrations": len(seen.registrations),
        "copies": [
            {
                "registration_no": item.registration_no,
                "kind": item.kind,
                "serial": item.serial,
                "ends": [format_day(day) for day in item.ends],
            }
            for item in seen.copies
        ],
    }


def preview_texts(seen: NoticePreview, lang: show.Lang) -> list[str]:
    """What a notice would say, what it rests on, whom it concerns."""
    body, people, copies = seen.proposal.body, seen.registrations, len(seen.copies)
    lines = [notice_text(body, lang)]
    if lang == "zh":
        lines.append(f"依据：{body.citation}")
        lines.append(f"涉及 {len(people)} 个注册、{copies} 份在用证书")
    else:
        lines.append(f"rests on: {body.citation}")
        lines.append(f"concerns {len(people)} registrations with {copies} copies in force")
    if isinstance(seen.retracted, SealChangeBody):
        lines.append(RULE_STAYS_ZH if lang == "zh" else RULE_STAYS_EN)
    lines += [f"  {number}" for number in people[:LISTED]]
    if len(people) > LISTED:
        rest = len(people) - LISTED
        lines.append(
            f"  ……另有 {rest} 个（--json 列出全部）" if lang == "zh" else f"  … and {rest} more (all with --json)"
        )
    return lines


def _given_json(item: Given) -> show.Json:
    place = {"log_index": item.row.leaf_index, "reason": item.row.reason}
    day = {"day": format_day(item.entry.day), "act_number": item.entry.act_number}
    return {"type": "notice", **_body_json(item.row.issuer, item.body), **day, **place, "void": item.void}


def _given_text(item: Given, lang: show.Lang) -> str:
    day, index = format_day(item.entry.day), item.row.leaf_index
    tail = f"{day}  日志序 {index}" if lang == "zh" else f"{day}  log index {index}"
    void = f"  {void_notice(lang)}" if item.void else ""
    return f"{notice_text(item.body, lang)}  {item.body.citation}  {tail}{void}"


def _body_json(issuer: int, body: NoticeBody) -> show.Json:
    days = {"effective_day", "first_end", "last_end", "new_end", "equal_until", "from_day"}
    fields: show.Json = {"issuer": issuer, "notice": body.notice.name.lower()}
    for name in body.__slots__:
        value = getattr(body, name)
        if name in days:
            value = None if value is None else format_day(value)
        elif isinstance(value, Moves):
            value = "usage" if value is Moves.USAGE else "registration"
        elif isinstance(value, tuple):
            value = list(value)
        fields[name] = value
    return fields


def notice_text(body: NoticeBody, lang: show.Lang) -> str:
    """A notice in a line: number, kind, whom it is about, what it does."""
    what = _TYPES_ZH[body.notice.name] if lang == "zh" else body.notice.name.replace("_", " ").lower()
    head = f"第 {body.number} 号公告（{what}）" if lang == "zh" else f"notice {body.number} ({what})"
    if isinstance(body, RetractionBody):
        day = format_day(body.from_day)
        end = f"第 {body.retracted} 号自 {day} 起失效" if lang == "zh" else f"notice {body.retracted} ends on {day}"
        return f"{head}：{end}" if lang == "zh" else f"{head}: {end}"
    colon, about = ("：" if lang == "zh" else ": "), _about(body.kinds, body.jurisdictions, lang)
    return f"{head}{colon}{about}{'；' if lang == 'zh' else '; '}{_effect(body, lang)}"


def _about(kinds: Sequence[int], places: Sequence[int], lang: show.Lang) -> str:
    comma, profiles = ("、" if lang == "zh" else ", "), load_shipped_profiles()
    names = comma.join(kind_name(profiles, code, lang) for code in kinds)
    return f"{names}{comma}{comma.join(place_name(code, lang) for code in places)}"


def _effect(body: ExtensionBody | RetiredFormBody | SealChangeBody, lang: show.Lang) -> str:
    zh = lang == "zh"
    if isinstance(body, ExtensionBody):
        days = (body.first_end, body.last_end, body.new_end, body.effective_day)
        first, last, new, start = (format_day(day) for day in days)
        text = f"自 {start} 起，{first} 至 {last} 届满的延至 {new}"
        if not zh:
            text = f"from {start} on ends of {first} to {last} become {new}"
        if body.moves is Moves.USAGE:
            text += "；使用时限同延，不超过 180 天" if zh else "; usage windows too, never past day 180"
        if body.revives:
            return text + ("；已过期的证书恢复使用" if zh else "; copies that have run out hold again")
        return text + ("；已过期的证书须重新下载" if zh else "; copies that have run out must be fetched anew")
    if isinstance(body, RetiredFormBody):
        paper = ("" if not body.paper else "（含纸质）") if zh else ("" if not body.paper else ", paper too")
        if body.equal_until is None:
            return (f"式样 {body.template} 即日停用" if zh else f"form {body.template} is void at once") + paper
        day = format_day(body.equal_until)
        text = f"式样 {body.template} 至 {day} 同等有效" if zh else f"form {body.template} is equal through {day}"
        return text + paper
    day, bodies = format_day(body.from_day), " ".join(map(str, body.bodies))
    return f"自 {day} 起依次由机关 {bodies} 用印" if zh else f"from {day} on sealed by bodies {bodies}, in order"
