"""The last day on which a holder may still apply for anything, where a notice sets an age.

Spec: docs/profiles.md, "Age limit". Pure.
"""

from mingzheng.formats.civil import birthday, date_of
from mingzheng.formats.profile_model import Profile
from mingzheng.formats.rules_model import AgeLimit
from mingzheng.formats.rules_source import Citation, Cited
from mingzheng.formats.rules_trace import RuleFactError, RuleStep, step


def age_day(profile: Profile, years: Cited[int], birth: int | None) -> int:
    """Return the birthday on which the holder turns `years`.

    Raises RuleFactError if the date of birth was not given.
    """
    if birth is None:
        raise RuleFactError("birth", profile_id=profile.id)
    return birthday(birth, years.value)


def limit_step(profile: Profile, birth: int | None, on: int) -> RuleStep | None:
    """Return the step of the profile's age limit, binding if `on` is past it; None without a limit."""
    limit = profile.rules.age_limit
    if not isinstance(limit, AgeLimit):
        return None
    day = age_day(profile, limit.years, birth)
    return step(age_name(limit.years), limit.years.citation, on > day, day=day)


def age_name(years: Cited[int]) -> str:
    """The name of an age in traces: AGE65."""
    return f"AGE{years.value}"


def border_steps(
    profile: Profile, on: int, *, borders: tuple[int, ...], end: int | None, age: int | None
) -> list[RuleStep]:
    """Return the conventions that decide because `on` lies on a border itself, each binding."""
    pins = profile.rules.conventions
    if end is not None and on == end:
        return [step("LAST_DAY", pins.last_day.citation, True, day=on)]
    if age is not None and on == age:
        return [step("BIRTHDAY", pins.birthday.citation, True, day=on)]
    return [step("BORDERS", pins.borders.citation, True, day=on)] if on in borders else []


def leap_steps(citation: Citation, *days: int | None) -> list[RuleStep]:
    """Return the convention about 29 February if one of `days` is such a day."""
    leap = any(day is not None and (date_of(day).month, date_of(day).day) == (2, 29) for day in days)
    return [step("LEAP_DAY", citation, False)] if leap else []
