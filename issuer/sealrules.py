"""Rules of sealing in mingzheng.toml: added by `seal rule`, and by every seal change that was given.

Source: docs/workspace.md ("Seals"), docs/spec/notices.md. A rule begins and what it replaces ends the day before, for
the certificates that both speak of and no others, in one write of mingzheng.toml. `keep_seal_rules` looks at the
notices that are there, so a kill between one and its rule loses none.
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
    """Add a rule of sealing; of its kinds and regions one in force ends the day before. Raises SealOptionError.

    `gone`: rules `in_the_way` that it takes the place of, of its kinds and regions; for others they stay.
    """
    _store(workspace, rules_with(workspace, rule, gone=gone))


def in_the_way(workspace: Workspace, rule: RuleSpec) -> tuple[RuleSpec, ...]:
    """The rules from its day or a later one that speak of the same certificates.

    Raises SealOptionError where a seal change that counts has made one: it would be made again.
    """
    rules = workspace.config.sealing.rules
    found = () if rule in rules else tuple(other for other in rules if _stands(other, rule))
    for body in _seal_changes(workspace, rule.issuer) if found else ():
        made = rule_of(rule.issuer, body)
        if any(_is_part(other, made) for other in found):
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
    for other in workspace.config.sealing.rules:
        if other not in gone and _stands(other, rule):
            day = format_day(other.valid_from)
            raise SealOptionError(
                f"与 {day} 起的规则冲突；要取代它，用 mingzheng seal rule … --replace",
                f"a rule from {day} stands in the way: `mingzheng seal rule … --replace` takes its place",
            )
    return (*_ended(workspace.config.sealing.rules, rule), rule)


def keep_seal_rules(workspace: Workspace) -> int:
    """Make every seal change that was given and counts a rule of the workspace, once; returns how many were made.

    A rule that `seal rule` has added meanwhile stays: for what both speak of, this one ends the day before it, or is
    not made. What a seal change that is retracted, or found void, had made is left to `seal rule`: what holds in its
    place is for the authority to say.
    """
    made = 0
    for spec in workspace.config.issuers:
        for body in _seal_changes(workspace, spec.number):
            parts = _beside_others(workspace, rule_of(spec.number, body))
            if parts:
                rules = workspace.config.sealing.rules
                for part in parts:
                    rules = (*_ended(rules, part), part)
                _store(workspace, rules)  # all in one write: what is there is not made again
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


def _is_part(rule: RuleSpec, made: RuleSpec) -> bool:
    """Whether a rule is what `made` has become, of all its certificates or some: later rules end it in parts."""
    return (
        (rule.issuer, rule.bodies, rule.valid_from) == (made.issuer, made.bodies, made.valid_from)
        and set(rule.kinds) <= set(made.kinds)
        and set(rule.jurisdictions) <= set(made.jurisdictions)
    )


def _ended(rules: Sequence[RuleSpec], rule: RuleSpec) -> list[RuleSpec]:
    """The rules that leave room for this one."""
    return [part for other in rules for part in _until(other, rule)]


def _until(rule: RuleSpec, later: RuleSpec) -> list[RuleSpec]:
    """A rule up to the day before `later` (nothing, if it begins no earlier) where that speaks of the same
    certificates, and whole for the others."""
    if not rule.meets(later):
        return [rule]
    common = replace(
        rule,
        kinds=tuple(kind for kind in rule.kinds if kind in later.kinds),
        jurisdictions=tuple(region for region in rule.jurisdictions if region in later.jurisdictions),
        valid_until=later.valid_from - 1,
    )
    return [*([common] if common.valid_from <= common.valid_until else []), *_for_others(rule, later)]


def _for_others(gone: RuleSpec, rule: RuleSpec) -> list[RuleSpec]:
    """What a rule says of certificates that the one in its place does not speak of."""
    kinds = tuple(kind for kind in gone.kinds if kind not in rule.kinds)
    common = tuple(kind for kind in gone.kinds if kind in rule.kinds)
    regions = tuple(region for region in gone.jurisdictions if region not in rule.jurisdictions)
    parts = (replace(gone, kinds=kinds), replace(gone, kinds=common, jurisdictions=regions))
    return [part for part in parts if part.kinds and part.jurisdictions]


def _beside_others(workspace: Workspace, rule: RuleSpec) -> list[RuleSpec]:
    """What of the rule is left to make: each part until the day before a later rule of the same certificates.

    None of what is there already, or what another rule of its day speaks of.
    """
    parts = [rule]
    for other in workspace.config.sealing.rules:
        if other.valid_from >= rule.valid_from:
            parts = [left for part in parts for left in _until(part, other)]
    return parts


def _store(workspace: Workspace, rules: Sequence[RuleSpec]) -> None:
    sealing = replace(workspace.config.sealing, rules=tuple(rules))
    workspace.store_config(replace(workspace.config, sealing=sealing))
