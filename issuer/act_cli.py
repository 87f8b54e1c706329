"""The commands of acts on what was issued: revoke, suspend, reinstate, void.

Source: docs/life-of-a-certificate.md (Acts), docs/workspace.md (Operators). Each shows who is affected and which rule
says so, asks, and acts; what ends a copy of an issuer with operators stops at a request for a second person.
"""

from collections.abc import Callable
from typing import Any, Final

import click

import mingzheng.issuer.approval as approval
import mingzheng.issuer.lifecycle as lifecycle
import mingzheng.issuer.show as show
import mingzheng.issuer.showdesk as showdesk
from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.lifecycle import ActPlan, Target
from mingzheng.issuer.operators import Operator, check_operator, unlock
from mingzheng.issuer.options import (
    COMMON,
    DRY_RUN,
    ISSUER_NUMBER,
    NUMBER,
    OPERATOR,
    REASON,
    TARGET,
    YES,
    check_passphrase,
    confirm,
    open_workspace,
    options_of,
    person_secret,
    print_lines,
    time_of,
)
from mingzheng.issuer.publish import finish
from mingzheng.issuer.rules_args import kind_code
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType

__all__ = ["EXIT_WAITING", "find_target", "reinstate", "revoke", "suspend", "void"]

EXIT_WAITING: Final = 3
"""Nothing is done yet: a second person must approve."""


def find_target(workspace: Workspace, options: dict[str, Any]) -> Target:
    """The registration or serial that a command names."""
    registration, kind, serial = options["registration"], options["kind"], options["serial"]
    if (serial is None) == (registration is None) or (kind is None) != (registration is None):
        raise click.UsageError("给出 --registration 与 --kind，或 --serial (--registration with --kind, or --serial)")
    if serial is not None:
        return lifecycle.find_serial(workspace, serial=serial, issuer=options["issuer"])
    code = kind_code(kind, workspace.profiles())
    return lifecycle.find_registration(workspace, kind=code, registration_no=registration, issuer=options["issuer"])


def _act_command(act: ActType, name: str, text: str, *, by_registration: bool) -> click.Command:
    def command(*, reason: str, as_json: bool, lang: show.Lang, **options: Any) -> None:
        with open_workspace(options["workspace"], options) as opened:
            now = time_of(opened, options["as_of"])
            target = find_target(opened, {"registration": None, "kind": None} | options)
            issuer, person = target.registration.issuer, options["operator"]
            two = act in lifecycle.BY_TWO and opened.config.needs_two(issuer, day_of_time(now))
            plan = lifecycle.plan_act(opened, act, target)
            if options["dry_run"]:
                text = "\n".join([show.act_text(plan, lang, done=False), *showdesk.preview(opened, plan, two, lang)])
                print_lines([show.act_json(plan, done=False) | {"two_persons": two}], [text], as_json)
                return
            check_operator(opened, issuer, person, now=now)
            operator: Operator | None = None
            if plan.is_done:
                finish(opened, now=now)  # done, and perhaps not in the log yet
            else:
                click.echo(show.act_text(plan, lang, done=False), err=True)
                if person is not None:
                    click.echo("\n".join(showdesk.preview(opened, plan, two, lang)), err=True)
                    operator = unlock(opened, issuer, person, passphrase=person_secret(options).read, now=now)
                check_passphrase(opened, options["yes"])
                confirm(options["yes"])
            if two and operator is not None:
                _ask(opened, plan, operator, reason=reason, now=now, talk=(as_json, lang))
                return
            if not plan.is_done:
                plan = lifecycle.perform(opened, act, target, reason=reason, now=now, operator=operator)
        print_lines([show.act_json(plan, done=True)], [show.act_text(plan, lang, done=True)], as_json)

    command.__doc__ = text
    by_serial = options_of(click.option("--serial", type=NUMBER, required=True, help="Serial. 序号。"), ISSUER_NUMBER)
    chosen: Callable[[Any], Any] = TARGET if by_registration else by_serial
    return click.command(name)(options_of(chosen, REASON, OPERATOR, COMMON, DRY_RUN, YES)(command))


def _ask(
    opened: Workspace, plan: ActPlan, operator: Operator, *, reason: str, now: int, talk: tuple[bool, show.Lang]
) -> None:
    """Store the request, say how it goes on, and leave with the status of what waits."""
    proposal = lifecycle.propose(opened, plan.act, plan.target, reason=reason, now=now)
    if proposal is None:  # settling has just done it
        plan = lifecycle.plan_act(opened, plan.act, plan.target)
        print_lines([show.act_json(plan, done=True)], [show.act_text(plan, talk[1], done=True)], talk[0])
        return
    row = approval.ask(opened, proposal, operator, now=now)
    path = str(approval.request_path(opened, row))
    waiting = showdesk.waiting_text(row, str(opened.root), path, talk[1])
    print_lines([showdesk.request_json(row, path)], [waiting], talk[0])
    raise click.exceptions.Exit(EXIT_WAITING)


_EXAMPLE: Final = (
    "\n\n\b\nmingzheng {name} --workspace W --registration 京1112006200712345 --kind cn.constructor.1 "
    "--reason ……{who}\n"
    "mingzheng {name} --workspace W --serial 17 --reason …… --dry-run\n"
)
_WHO: Final = " \\\n    --operator 张三"
_ASKS: Final = (
    "Where the issuer has operators, this only asks: a second one approves (status 3 until then). "
    "机构设有经办人的，此命令只提出申请，由另一名经办人批准（此前退出码为 3）。"
)
revoke = _act_command(
    ActType.REVOKE,
    "revoke",
    "Revoke for good: a registration with all its live copies, or one copy. 撤销，不可恢复。\n\n"
    + _ASKS
    + _EXAMPLE.format(name="revoke", who=_WHO),
    by_registration=True,
)
suspend = _act_command(
    ActType.SUSPEND,
    "suspend",
    "Suspend until reinstated; nothing is issued meanwhile. 暂停，可恢复。" + _EXAMPLE.format(name="suspend", who=_WHO),
    by_registration=True,
)
reinstate = _act_command(
    ActType.REINSTATE,
    "reinstate",
    "End a suspension. 恢复。" + _EXAMPLE.format(name="reinstate", who=_WHO),
    by_registration=True,
)
void = _act_command(
    ActType.VOID,
    "void",
    "Void one serial, for good: issued by mistake. 作废一个序号，不可恢复。\n\n"
    + _ASKS
    + "\n\n\b\nmingzheng void --workspace W --serial 17 --reason …… --operator 张三\n",
    by_registration=False,
)
