"""Rules of sealing in mingzheng.toml: added by `seal rule`, and by every seal change that was given.

Source: docs/workspace.md ("Seals"), docs/spec/notices.md. A rule begins and what it replaces ends the day before, in
one write of mingzheng.toml. `keep_seal_rules` looks at the notices that are there, so a kill between one and its rule
loses none.
"""

from collections.abc import Sequence
from dataclasses import replace

from mingzheng.formats.civil import MAX_DAY, format_day
from mingzheng.issuer.noticebook import counting, list_notices
from mingzheng.issuer.refusals import SealOptionError
from mingzheng.issuer.sealconfig import SEALING_BODY, RuleSpec
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.noticebody import SealChangeBody
from mingzheng.log.noticestanding import standing_numbers

__all__ = ["add_rule", "check_body", "in_the_way", "keep_seal_rules", "rule_of", "rules_with"]


def add_rule(workspace: Workspace, rule: RuleSpec, *, gone: Sequence[RuleSpec] = ()) -> None:
    """Add a rule of sealing; one in force for the same certificates ends the day before. Raises SealOptionError.

    `gone`: rules `in_the_way` that it takes the place of, of its kinds and regions; for others they stay.
    """
    rules = rules_with(workspace, rule, gone=gone)
    workspace.store_config(replace(workspace.config, sealing=replace(workspace.config.sealing, rules=rules)))


def in_the_way(workspace: Workspace, rule: RuleSpec) -> tuple[RuleSpec, ...]:
    """The rules from its day or a later one that speak of the same certificates.

    Raises SealOptionError where a seal change that counts has made one: it would be made again.
    """
    rules = workspace.config.sealing.rules
    found = () if rule in rules else tuple(other for other in rules if _stands(other, rule))
    for body in _seal_changes(workspace, rule.issuer) if found else ():
        made = rule_of(rule.issuer, body)
        if any(replace(other, valid_until=made.valid_until) == made for other in found):
            day = format_day(made.valid_from)
            raise SealOptionError(
                f"{day} 起的规则出自仍然有效的公告 {body.number}；先撤回该公告 (notice add retract {body.number})",
                f"the rule from {day} is that of notice {body.number}, which counts: "
                f"retract it first (notice add retract {body.number})",
            )
    return found


def rules_with(workspace: Workspace, rule: RuleSpec, *, gone: Sequence[RuleSpec] = ()) -> tuple[RuleSpec, ...]:
    """The rules as `add_rule` would leave them; unchanged where it is one of them. Raises SealOptionError."""
    for body in rule.bodies:
        if body != SEALING_BODY:
            check_body(workspace, rule.issuer, body)
    if rule in workspace.config.sealing.rules:
        return workspace.config.sealing.rules
    rules: list[RuleSpec] = []
    for other in workspace.config.sealing.rules:
        if other in gone:
            rules += _for_others(other, rule)
        elif _stands(other, rule):
            day = format_day(other.valid_from)
            raise SealOptionError(
                f"与 {day} 起的规则冲突；要取代它，用 mingzheng seal rule … --replace",
                f"a rule from {day} stands in the way: `mingzheng seal rule … --replace` takes its place",
            )
        else:
            rules.append(replace(other, valid_until=rule.valid_from - 1) if other.meets(rule) else other)
    return (*rules, rule)


def keep_seal_rules(workspace: Workspace) -> int:
    """Make every seal change that was given and counts a rule of the workspace, once; returns how many were made.

    A rule that `seal rule` has added meanwhile stays: this one ends the day before it, or is not made. What a
    seal change that is retracted, or found void, had made is left to `seal rule`: what holds in its place is for the
    authority to say.
    """
    made = 0
    for spec in workspace.config.issuers:
        for body in _seal_changes(workspace, spec.number):
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


def _seal_changes(workspace: Workspace, issuer: int) -> tuple[SealChangeBody, ...]:
    """The seal changes that count and were not retracted."""
    given = {body.number: body for body in counting(list_notices(workspace, issuer))}
    standing = (given[number] for number in standing_numbers(given, MAX_DAY))
    return tuple(body for body in standing if isinstance(body, SealChangeBody))


def _stands(other: RuleSpec, rule: RuleSpec) -> bool:
    return other.meets(rule) and other.valid_from >= rule.valid_from


def _for_others(gone: RuleSpec, rule: RuleSpec) -> list[RuleSpec]:
    """What a rule says of certificates that the one in its place does not speak of."""
    kinds = tuple(kind for kind in gone.kinds if kind not in rule.kinds)
    common = tuple(kind for kind in gone.kinds if kind in rule.kinds)
    regions = tuple(region for region in gone.jurisdictions if region not in rule.jurisdictions)
    parts = (replace(gone, kinds=kinds), replace(gone, kinds=common, jurisdictions=regions))
    return [part for part in parts if part.kinds and part.jurisdictions]


def _beside_others(workspace: Workspace, rule: RuleSpec) -> RuleSpec | None:
    """The rule until the day before a later one; None if it is there already, or another of its day is."""
    rules = workspace.config.sealing.rules
    if any(replace(other, valid_until=rule.valid_until) == rule for other in rules):  # a later rule may have ended it
        return None
    later = [other.valid_from for other in rules if other.meets(rule) and other.valid_from >= rule.valid_from]
    first = min(later, default=MAX_DAY + 1)
    return replace(rule, valid_until=min(rule.valid_until, first - 1)) if first > rule.valid_from else None
