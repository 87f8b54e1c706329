"""The rule tables of a profile: TOML in, `RuleTables` out.

Spec: docs/profiles.md, from "Conventions" to "Lock". Pure.
"""

from collections.abc import Mapping
from typing import Final

from mingzheng.formats.rules_extension import BlanketExtension, ExtensionError
from mingzheng.formats.rules_model import (
    AgeLimit,
    Change,
    Conventions,
    DataChanged,
    ExtensionRule,
    Form,
    FormName,
    HandwritingSeverity,
    Lock,
    OldCopies,
    Period,
    PolicyName,
    Precedence,
    Reissue,
    Renewal,
    RuleTables,
    Severity,
    Standing,
    Unit,
    Unrenewed,
    WindowMove,
)
from mingzheng.formats.rules_read import (
    between,
    one_of,
    read_citation,
    read_cited,
    read_day,
    read_either,
    read_optional,
    read_optional_day,
    the_word,
)
from mingzheng.formats.rules_source import Cited, Sources
from mingzheng.formats.strict_toml import ProfileValueError, Table

MAX_DAYS_BEFORE: Final = 366
MAX_TERM: Final = 10
MAX_AGE: Final = 150
MAX_PERIODS: Final = 8
MAX_GRANTED: Final = 64


def read_rules(
    top: Table, sources: Sources, *, code: int, jurisdiction: int, severity: HandwritingSeverity
) -> RuleTables:
    """Read the rule tables of a profile of this kind and jurisdiction."""
    return RuleTables(
        conventions=_conventions(top.table("conventions"), sources),
        renewal=read_either(top, "renewal", sources, _renewal),
        age_limit=read_either(top, "age_limit", sources, _age_limit),
        change=read_either(top, "change", sources, _change),
        reissue=read_either(top, "reissue", sources, _reissue),
        data_changed=read_cited(top, "data_changed", sources, one_of(DataChanged)),
        forms=_forms(top, sources),
        precedence=read_cited(top, "precedence", sources, one_of(Precedence)),
        extension=read_either(
            top, "extension", sources, lambda table, known: _extension(table, known, code=code, place=jurisdiction)
        ),
        handwriting_severity=severity,
        lock=read_either(top, "lock", sources, _lock),
    )


def read_severity(table: Table, sources: Sources) -> HandwritingSeverity:
    """Read what follows from missing or different ink, by policy."""
    severity = HandwritingSeverity(
        missing=_by_policy(table.table("missing")),
        differs=_by_policy(table.table("differs")),
        citation=read_citation(table, sources),
    )
    table.done()
    return severity


def _by_policy(table: Table) -> Mapping[PolicyName, Severity]:
    found = {policy: one_of(Severity)(table, policy) for policy in PolicyName}
    table.done()
    return found


def _conventions(table: Table, sources: Sources) -> Conventions:
    inclusive = the_word("inclusive")
    conventions = Conventions(
        borders=read_cited(table, "borders", sources, inclusive),
        last_day=read_cited(table, "last_day", sources, inclusive),
        birthday=read_cited(table, "birthday", sources, inclusive),
        leap_day=read_cited(table, "leap_day", sources, the_word("feb-28")),
        exact_term=read_cited(table, "exact_term", sources, the_word("full_term")),
    )
    table.done()
    return conventions


def _renewal(table: Table, sources: Sources) -> Renewal:
    days = between(0, MAX_DAYS_BEFORE)
    rule = Renewal(
        unit=read_cited(table, "unit", sources, one_of(Unit)),
        opens=read_cited(table, "opens", sources, days),
        closes=read_cited(table, "closes", sources, days),
        unrenewed=read_cited(table, "unrenewed", sources, one_of(Unrenewed)),
        transition=read_optional(table, "transition", sources, read_day),
        starts=read_cited(table, "starts", sources, the_word("approval_day")),
        term=read_cited(table, "term", sources, between(1, MAX_TERM)),
        term_end=read_cited(table, "term_end", sources, the_word("same_day")),
        age_cut=read_either(table, "age_cut", sources, _age),
    )
    if rule.closes.value > rule.opens.value:
        raise ProfileValueError(table.at("closes"), "lies before the day on which applications open")
    return rule


def _age(table: Table, sources: Sources) -> Cited[int]:
    return Cited(value=table.integer("value", 1, MAX_AGE), citation=read_citation(table, sources))


def _age_limit(table: Table, sources: Sources) -> AgeLimit:
    return AgeLimit(years=read_cited(table, "years", sources, between(1, MAX_AGE)))


def _change(table: Table, sources: Sources) -> Change:
    return Change(days_left=read_cited(table, "days_left", sources, between(1, MAX_DAYS_BEFORE)))


def _reissue(table: Table, sources: Sources) -> Reissue:
    return Reissue(
        only_while=read_cited(table, "only_while", sources, the_word("valid_and_idle")),
        validity=read_cited(table, "validity", sources, the_word("kept")),
        issue_date=read_cited(table, "issue_date", sources, the_word("reissue_day")),
        old_copies=read_cited(table, "old_copies", sources, the_word("superseded")),
    )


def _lock(table: Table, sources: Sources) -> Lock:
    return Lock(
        stops=read_cited(table, "stops", sources, the_word("new_copies")),
        shown=read_cited(table, "shown", sources, the_word("not_public")),
        copies_out=read_cited(table, "copies_out", sources, the_word("untouched")),
    )


def _forms(top: Table, sources: Sources) -> tuple[Form, ...]:
    forms: list[Form] = []
    for item in top.tables("forms", low=1, high=len(FormName)):
        first, last = read_optional_day(item, "issued_from"), read_optional_day(item, "issued_until")
        if first is not None and last is not None and last < first:
            raise ProfileValueError(item.at("issued_until"), "lies before issued_from")
        forms.append(
            Form(
                name=one_of(FormName)(item, "form"),
                name_zh=item.text("zh"),
                name_en=item.text("en"),
                issued_from=first,
                issued_until=last,
                citation=read_citation(item, sources),
                periods=_periods(item, sources),
            )
        )
        item.done()
    names = [form.name for form in forms]
    if len(set(names)) != len(names) or FormName.ELECTRONIC not in names:
        raise ProfileValueError("forms", "each form once at most, electronic always")
    return tuple(forms)


def _periods(form: Table, sources: Sources) -> tuple[Period, ...]:
    periods: list[Period] = []
    for item in form.tables("standing", low=1, high=MAX_PERIODS):
        period = Period(
            standing=one_of(Standing)(item, "value"),
            first_day=read_optional_day(item, "from"),
            last_day=read_optional_day(item, "until"),
            citation=read_citation(item, sources),
        )
        item.done()
        if period.first_day is not None and period.last_day is not None and period.last_day < period.first_day:
            raise ProfileValueError(item.at("until"), "lies before from")
        before = periods[-1] if periods else None
        if before is not None and (before.last_day is None or period.first_day != before.last_day + 1):
            raise ProfileValueError(item.at("from"), "a period begins the day after the one before it ends")
        periods.append(period)
    return tuple(periods)


def _extension(table: Table, sources: Sources, *, code: int, place: int) -> ExtensionRule:
    moves = read_cited(table, "moves", sources, the_word("registration_ends"))
    window = read_cited(table, "usage_window", sources, one_of(WindowMove))
    copies = read_cited(table, "old_copies", sources, one_of(OldCopies))
    granted, effective = [], []
    for item in table.tables("granted", low=0, high=MAX_GRANTED):
        effective.append(read_cited(item, "from", sources, read_day))
        try:
            extension = BlanketExtension(
                first_end=read_day(item, "first_end"),
                last_end=read_day(item, "last_end"),
                new_end=read_day(item, "new_end"),
                kinds=(code,),
                jurisdictions=(place,),
                effective_on=effective[-1].value,
                retracted_on=read_optional_day(item, "retracted"),
                moves_usage_window=window.value is WindowMove.MOVED,
                revives_copies=copies.value is OldCopies.REVIVE,
                citation=read_citation(item, sources),
            )
        except ExtensionError as error:
            raise ProfileValueError(item.path, str(error)) from error
        item.done()
        granted.append(extension)
    return ExtensionRule(
        moves=moves,
        usage_window=window,
        old_copies=copies,
        granted=tuple(granted),
        granted_from=tuple(effective),
    )
