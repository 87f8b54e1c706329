"""`mingzheng lock|unlock`: no new copy of a registration can be obtained (docs/workspace.md, Lock)."""

from typing import Any

import click

import mingzheng.issuer.lifecycle as lifecycle
import mingzheng.issuer.show as show
from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.act_cli import find_target
from mingzheng.issuer.locking import LockPlan, change_lock, plan_lock
from mingzheng.issuer.operators import Operator, check_operator, unlock
from mingzheng.issuer.options import (
    COMMON,
    DRY_RUN,
    ISSUER_NUMBER,
    OPERATOR,
    REASON,
    YES,
    confirm,
    open_workspace,
    options_of,
    person_secret,
    print_lines,
    time_of,
)
from mingzheng.issuer.rules_show import outcome_json, outcome_lines

__all__ = ["lock_command", "unlock_command"]

_REGISTRATION = options_of(
    click.option("--registration", required=True, help="Registration number. 注册编号。"),
    click.option("--kind", required=True, help="Kind. 证书种类。"),
    ISSUER_NUMBER,
)


def _json(plan: LockPlan, *, done: bool) -> show.Json:
    return {
        "type": "lock" if done else "plan",
        "issuer": plan.registration.issuer,
        "locked": plan.locked,
        "already": plan.is_done,
        "public": False,
        "copies_out_affected": False,
        "rule": None if plan.rule is None else outcome_json(plan.rule),
    }


def _text(plan: LockPlan, lang: show.Lang, *, done: bool) -> str:
    if plan.is_done:
        return "已是该状态，无需处理" if lang == "zh" else "already so: nothing to do"
    if plan.locked:
        zh = f"{'已' if done else '将'}锁定：不能取得新副本；不公示，已发出的副本不受影响"
        en = f"{'locked' if done else 'would lock'}: no new copy; not public, copies already out stay as they are"
    else:
        zh = f"{'已' if done else '将'}解锁：可以取得新副本"
        en = f"{'unlocked' if done else 'would unlock'}: new copies can be obtained"
    lines = [zh if lang == "zh" else en]
    if plan.locked and plan.rule is not None:
        lines += [*outcome_lines("lock", plan.rule, lang)][1:]
    return "\n".join(lines)


def _command(name: str, text: str, *, locked: bool) -> click.Command:
    def command(*, reason: str, as_json: bool, lang: show.Lang, **options: Any) -> None:
        with open_workspace(options["workspace"], options) as opened:
            now = time_of(opened, options["as_of"])
            target: lifecycle.Target = find_target(opened, {"serial": None} | options)
            issuer, person = target.registration.issuer, options["operator"]
            plan = plan_lock(opened, target.registration, locked=locked, today=day_of_time(now))
            if options["dry_run"]:
                print_lines([_json(plan, done=False)], [_text(plan, lang, done=False)], as_json)
                return
            check_operator(opened, issuer, person, now=now)
            if not plan.is_done:
                click.echo(_text(plan, lang, done=False), err=True)
                operator: Operator | None = None
                if person is not None:
                    operator = unlock(opened, issuer, person, passphrase=person_secret(options).read, now=now)
                else:
                    opened.check_passphrase()  # no key is used: but whoever only found the files open does not lock
                confirm(options["yes"])
                plan = change_lock(
                    opened, target.registration, locked=locked, reason=reason, now=now, operator=operator
                )
        print_lines([_json(plan, done=True)], [_text(plan, lang, done=True)], as_json)

    command.__doc__ = text
    return click.command(name)(options_of(_REGISTRATION, REASON, OPERATOR, COMMON, DRY_RUN, YES)(command))


lock_command = _command(
    "lock",
    "Lock a registration: no new copy can be obtained, nothing is published, copies out stay. "
    "锁定：不能取得新副本，不公示，已发出的副本不受影响。\n\n"
    "To stop a certificate that is out, use suspend. 要停用已发出的证书，用 suspend。"
    "\n\n\b\nmingzheng lock --workspace W --registration 京1112006200712345 --kind cn.constructor.1 --reason …… \\\n"
    "    --operator 张三\n",
    locked=True,
)
unlock_command = _command(
    "unlock",
    "End a lock: copies can be obtained again. 解锁。"
    "\n\n\b\nmingzheng unlock --workspace W --registration 京1112006200712345 --kind cn.constructor.1 --reason …… \\\n"
    "    --operator 张三\n",
    locked=False,
)
