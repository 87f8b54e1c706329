"""Rules of sealing in mingzheng.toml: added by `seal rule`, and by every seal change that was given.

Source: docs/workspace.md ("Seals"), docs/spec/notices.md. A rule begins and what it replaces ends the day before, in
one write of mingzheng.toml. `keep_seal_rules` looks at the notices that are there, so a kill between one and its rule
loses none.
"""

from dataclasses import replace

from mingzheng.formats.civil import MAX_DAY, format_day
from mingzheng.issuer.noticebook import counting, list_notices
from mingzheng.issuer.refusals import SealOptionError
from mingzheng.issuer.sealconfig import SEALING_BODY, RuleSpec
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.noticebody import RetractionBody, SealChangeBody

__all__ = ["add_rule", "check_body", "keep_seal_rules", "rule_of", "rules_with"]


def add_rule(workspace: Workspace, rule: RuleSpec) -> None:
    """Add a rule of sealing; one in force for the same certificates ends the day before. Raises SealOptionError."""
    rules = rules_with(workspace, rule)
    workspace.store_config(replace(workspace.config, sealing=replace(workspace.config.sealing, rules=rules)))


def rules_with(workspace: Workspace, rule: RuleSpec) -> tuple[RuleSpec, ...]:
    """The rules as `add_rule` would leave them; unchanged where it is one of them. Raises SealOptionError."""
    for body in rule.bodies:
        if body != SEALING_BODY:
            check_body(workspace, rule.issuer, body)
    if rule in workspace.config.sealing.rules:
        return workspace.config.sealing.rules
    rules = []
    for other in workspace.config.sealing.rules:
        if other.meets(rule):
            if other.valid_from >= rule.valid_from:
                day = format_day(other.valid_from)
                raise SealOptionError(f"与 {day} 起的规则冲突", f"a rule from {day} stands in the way")
            other = replace(other, valid_until=rule.valid_from - 1)
        rules.append(other)
    return (*rules, rule)


def keep_seal_rules(workspace: Workspace) -> int:
    """Make every seal change that was given and counts a rule of the workspace, once; returns how many were made.

    A rule that `seal rule` has added meanwhile stays: this one ends the day before it, or is not made. What a
    seal change that is retracted, or found void, had made is left to `seal rule`: what holds in its place is for the
    authority to say.
    """
    made = 0
    for spec in workspace.config.issuers:
        given = tuple(counting(list_notices(workspace, spec.number)))
        ended = {body.retracted for body in given if isinstance(body, RetractionBody)}
        for body in given:
            if isinstance(body, SealChangeBody) and body.number not in ended:
                rule = _beside_others(workspace, rule_of(spec.number, body))
                if rule is not None:
                    add_rule(workspace, rule)
                    made += 1
    return made


def rule_of(issuer: int, body: SealChangeBody) -> RuleSpec:
    """The rule that a seal change says."""
    return RuleSpec(
        issuer=issuer,
        kinds=body.kinds,
        jurisdictions=body.jurisdictions,
        bodies=body.bodies,
        valid_from=body.from_day,
        valid_until=MAX_DAY,
    )


def check_body(workspace: Workspace, issuer: int, body: int) -> None:
    """Refuse a body that the issuer does not have. Raises SealOptionError."""
    named = workspace.config.issuer(issuer)
    if named is None or body not in named.bodies:
        raise SealOptionError(f"机构 {issuer} 没有编号为 {body} 的机关", f"issuer {issuer} has no body {body}")


def _beside_others(workspace: Workspace, rule: RuleSpec) -> RuleSpec | None:
    """The rule until the day before a later one; None if it is there already, or another of its day is."""
    rules = workspace.config.sealing.rules
    if any(replace(other, valid_until=rule.valid_until) == rule for other in rules):  # a later rule may have ended it
        return None
    later = [other.valid_from for other in rules if other.meets(rule) and other.valid_from >= rule.valid_from]
    first = min(later, default=MAX_DAY + 1)
    return replace(rule, valid_until=min(rule.valid_until, first - 1)) if first > rule.valid_from else None
