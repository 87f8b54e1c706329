"""Lock and unlock: no new copy of a registration can be obtained meanwhile; copies out stay as they are.

Source: docs/workspace.md (Lock), docs/profiles.md (Lock). Not an act: nothing goes into the log or the status list.
A lock needs a rule of the kind that knows one; an unlock needs none. Done once, however often it is asked for.
"""

from dataclasses import dataclass

from mingzheng.formats.civil import day_of_time
from mingzheng.formats.rules_lock import LockAnswer, LockFacts, LockState, lock_state
from mingzheng.issuer.approvalerrors import OperatorNeededError, OtherIssuerError
from mingzheng.issuer.kept import parse_kept
from mingzheng.issuer.lockerrors import LockWithoutRuleError
from mingzheng.issuer.operators import Operator
from mingzheng.issuer.plan import profile_of
from mingzheng.issuer.refusals import RegistrationUnknownError
from mingzheng.issuer.rows import DESK, By, Registration
from mingzheng.issuer.workspace import Workspace

__all__ = ["LockPlan", "change_lock", "plan_lock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPlan:
    """What a lock (`locked`) or unlock would do; `rule` None where no profile governs any more."""

    registration: Registration
    locked: bool
    is_done: bool
    rule: LockState | None


def plan_lock(workspace: Workspace, registration: Registration, *, locked: bool, today: int) -> LockPlan:
    """What it would do today. Raises RegistrationUnknownError; LockWithoutRuleError for a lock without a rule."""
    found = workspace.ledger.current_record(registration)
    if found is None or not found[1]:  # never seen, or forgotten
        raise RegistrationUnknownError
    record = parse_kept(found[1]).record
    profile = profile_of(record, workspace.profiles(), day=today)
    rule = None if profile is None else lock_state(profile, LockFacts(locked_on=today, unlocked_on=None, on=today))
    if locked and (rule is None or rule.answer is LockAnswer.NO_RULE):
        source = None if rule is None else rule.trace[0].citation
        zh = "该日没有适用的规则" if source is None else source.text_zh()
        en = "none governs that day" if source is None else source.text_en()
        raise LockWithoutRuleError(record.kind, zh, en)
    is_done = workspace.ledger.locks.is_locked(registration) is locked
    return LockPlan(registration=registration, locked=locked, is_done=is_done, rule=rule)


def change_lock(
    workspace: Workspace,
    registration: Registration,
    *,
    locked: bool,
    reason: str,
    now: int,
    operator: Operator | None = None,
) -> LockPlan:
    """Carry it out; returns what was left to do. `operator`: who does it, where the issuer has operators.

    Raises as `plan_lock`, OperatorNeededError, OtherIssuerError, ClockBehindError.
    """
    today, issuer = day_of_time(now), registration.issuer
    if operator is None and workspace.config.needs_two(issuer, today):
        raise OperatorNeededError(issuer)
    if operator is not None and operator.key.issuer != issuer:
        raise OtherIssuerError(issuer)
    plan = plan_lock(workspace, registration, locked=locked, today=today)
    workspace.ledger.check_clock(now)  # and no more: a clock far ahead would stop every command after this one
    by = DESK if operator is None else By(operators=(operator.name,))
    workspace.ledger.locks.store(registration, locked=locked, now=now, reason=reason, by=by)
    return plan
