"""`mingzheng approve|requests|withdraw`: the second person, and what waits for one (docs/workspace.md, Operators)."""

from collections.abc import Mapping
from typing import Any, Final

import click

import mingzheng.issuer.approval as approval
import mingzheng.issuer.show as show
import mingzheng.issuer.showdesk as showdesk
from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.issuer.approval import Effects, Review
from mingzheng.issuer.approvalerrors import RequestForgedError
from mingzheng.issuer.lifecycle import BY_TWO, ActPlan, decode_target, effect_of
from mingzheng.issuer.notice_cli import preview_texts
from mingzheng.issuer.noticework import asked_for, effect_of_notice, preview
from mingzheng.issuer.operators import find_key, unlock
from mingzheng.issuer.options import (
    AS_OF,
    COMMON,
    DRY_RUN,
    JSON,
    LANG,
    OPERATOR_NEEDED,
    REASON,
    WORKSPACE,
    YES,
    check_passphrase,
    confirm,
    open_workspace,
    person_secret,
    print_lines,
    time_of,
)
from mingzheng.issuer.requestform import parse_form
from mingzheng.issuer.rows import RequestRow
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.entry import NoticeType

__all__ = ["EFFECTS", "approve", "requests", "withdraw"]

EFFECTS: Final[Mapping[ActType, Effects]] = dict.fromkeys(BY_TWO, effect_of)
"""What a requested act would do now. Notices have one for all: their types are other numbers that compare equal."""


def _effects_of(workspace: Workspace, identity: bytes) -> Effects:
    row = workspace.ledger.desk.request(identity)
    assert row is not None  # `read_request`
    code = parse_form(row.body).code
    found = effect_of_notice if isinstance(code, NoticeType) else EFFECTS.get(code)
    if found is None:
        raise RequestForgedError(identity.hex())
    return found


def _preview(workspace: Workspace, found: Review, lang: show.Lang) -> list[str]:
    """What would be done, as the ledger is now."""
    row, form = found.row, found.form
    asked = f"{row.operator} {format_day(form.day)}"
    lines = [f"  申请人 {asked}；事由：{row.reason}" if lang == "zh" else f"  asked by {asked}; reason: {row.reason}"]
    if isinstance(form.code, ActType):
        decision = found.effect.decision
        plan = ActPlan(
            act=form.code,
            target=decode_target(row),
            serials=form.serials,
            state=None if decision is None else decision.state,
        )
        return [show.act_text(plan, lang, done=False), *showdesk.preview(workspace, plan, True, lang), *lines]
    return [*preview_texts(preview(workspace, asked_for(workspace, row)), lang), *lines]


@click.command("approve")
@click.argument("request", metavar="REQUEST")
@OPERATOR_NEEDED
@COMMON
@DRY_RUN
@YES
def approve(request: str, *, operator: str, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """Approve what another operator asked for: shown again as things are now, then done. 批准另一名经办人的申请。

    REQUEST is the id that `revoke`, `void` or `notice add` printed, or the request's file. 申请编号，或申请文件。

    \b
    mingzheng approve 0123456789abcdef --workspace W --operator 李四
    mingzheng approve W/requests/0123456789abcdef.request --workspace W --operator 李四 --dry-run
    """
    with open_workspace(options["workspace"], options) as opened:
        now = time_of(opened, options["as_of"])
        identity = approval.read_request(opened, request)
        effects = _effects_of(opened, identity)
        look = approval.look if options["dry_run"] else approval.review
        found = look(opened, identity, effects=effects, now=now)
        issuer = found.form.issuer
        approval.check_second(found, opened.config, operator)
        find_key(opened.config, issuer, operator, day_of_time(now))
        text = _preview(opened, found, lang)
        if options["dry_run"]:
            path = str(approval.request_path(opened, found.row))
            print_lines([showdesk.request_json(found.row, path)], ["\n".join(text)], as_json)
            return
        click.echo("\n".join(text), err=True)
        person = unlock(opened, issuer, operator, passphrase=person_secret(options).read, now=now)
        check_passphrase(opened, options["yes"])
        confirm(options["yes"])
        done = approval.approve(opened, identity, person, effects=effects, now=now)
        after = opened.ledger.desk.positions()
    item: show.Json = {
        "type": "approved",
        "id": identity.hex(),
        "what": done.review.form.code.name.lower(),
        "issuer": issuer,
        "serials": list(done.review.form.serials),
        "operators": [done.review.row.operator, operator],
        "acts": [act.number for act in done.acts],
        "log": [list(after[issuer, act.number]) for act in done.acts if (issuer, act.number) in after],
    }
    names = f"{done.review.row.operator}、{operator}" if lang == "zh" else f"{done.review.row.operator}, {operator}"
    said = f"已办理，{names}" if lang == "zh" else f"done by {names}"
    print_lines([item], [said], as_json)


@click.command("requests")
@WORKSPACE
@AS_OF
@LANG
@JSON
def requests(*, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """List what waits for a second person. 列出等待批准的申请。

    \b
    mingzheng requests --workspace W
    """
    with open_workspace(options["workspace"], options, True) as opened:
        rows: tuple[RequestRow, ...] = approval.open_requests(opened, now=time_of(opened, options["as_of"]))
        items = [showdesk.request_json(row, str(approval.request_path(opened, row))) for row in rows]
    print_lines(items, (showdesk.request_text(row, lang) for row in rows), as_json)


@click.command("withdraw")
@click.argument("request", metavar="REQUEST")
@OPERATOR_NEEDED
@REASON
@COMMON
def withdraw(request: str, *, operator: str, reason: str, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """Take an open request back, or turn it down. 撤回或拒绝一项申请。

    \b
    mingzheng withdraw 0123456789abcdef --workspace W --operator 李四 --reason 写错了序号
    """
    with open_workspace(options["workspace"], options) as opened:
        now = time_of(opened, options["as_of"])
        identity = approval.read_request(opened, request)
        row = opened.ledger.desk.request(identity)
        assert row is not None  # `read_request`
        person = unlock(opened, row.issuer, operator, passphrase=person_secret(options).read, now=now)
        approval.withdraw(opened, identity, person, reason=reason, now=now)
    said = f"申请 {identity.hex()} 已撤回" if lang == "zh" else f"request {identity.hex()} is withdrawn"
    print_lines([{"type": "withdrawn", "id": identity.hex()}], [said], as_json)
