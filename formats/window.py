"""The usage window of a copy: the earliest of the days that a profile's rules give, with a trace.

Spec: docs/profiles.md, "Usage window"; the rules come from the notices that each profile cites. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, assert_never

from mingzheng.formats.civil import birthday, format_day
from mingzheng.formats.profile_model import Cap, CapVerb, Citation, Profile, SpecialtyPick, UsageWindow
from mingzheng.formats.strict_toml import ProfileError


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFacts:
    """What the window of one copy depends on; `download` is the day the copy is issued."""

    download: int
    specialty_untils: tuple[int, ...]
    registered_until: int | None
    birth: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """One candidate for the last day, the rule that gives it and where the rule stands."""

    rule: str
    day: int
    citation: Citation
    by_analogy: bool
    binding: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """First and last usable day of a copy; `usage_until` None: the kind has no window in this jurisdiction.

    `binding` names every rule that gives `usage_until`, in the order D180, SPECIALTY, REGISTRATION, AGE65.
    """

    first_day: int
    usage_until: int | None
    binding: tuple[str, ...]
    trace: tuple[TraceStep, ...]
    no_window: Citation | None


class MissingFactError(ProfileError):
    """A cap needs a fact that was not given."""

    code: ClassVar[str] = "profile.missing_fact"

    def __init__(self, fact: str, *, profile_id: str) -> None:
        super().__init__(f"{profile_id} needs {fact} to set the usage window")
        self.fact = fact


class WindowClosedError(ProfileError):
    """The window would end before the day it starts: nothing may be issued."""

    code: ClassVar[str] = "profile.window_closed"

    def __init__(self, window: "Window", *, last_day: int) -> None:
        super().__init__(
            f"no usage window: {', '.join(window.binding)} ended {format_day(last_day)},"
            f" before {format_day(window.first_day)}"
        )
        self.window, self.last_day = window, last_day


class WindowState(StrEnum):
    """Where a day stands against a window."""

    NOT_YET_VALID = "NOT_YET_VALID"
    VALID = "VALID"
    USAGE_EXPIRED = "USAGE_EXPIRED"


def usage_window(profile: Profile, facts: WindowFacts) -> Window:
    """Compute the usage window of a copy issued on `facts.download`.

    Source: the profile; every step of the trace cites its notice. The earliest candidate wins; all that
    give the same day bind.

    Raises MissingFactError if a cap lacks its fact, WindowClosedError if the last day lies before the first.
    """
    rule = profile.usage_window
    if rule is None:
        return Window(
            first_day=facts.download,
            usage_until=None,
            binding=(),
            trace=(),
            no_window=profile.no_usage_window,
        )
    candidates = [(f"D{rule.days.value}", facts.download + rule.days.value, rule.days.citation)]
    by_verb = {cap.verb: cap for cap in rule.caps}
    for verb in CapVerb:  # the order of the enumeration is the order of `binding`
        if verb in by_verb:
            candidates.append(_cap_candidate(profile, rule, by_verb[verb], facts))
    until = min(day for _, day, _ in candidates)
    trace = tuple(
        TraceStep(rule=name, day=day, citation=source, by_analogy=source.by_analogy, binding=day == until)
        for name, day, source in candidates
    )
    binding = tuple(step.rule for step in trace if step.binding)
    window = Window(first_day=facts.download, usage_until=until, binding=binding, trace=trace, no_window=None)
    if until < facts.download:
        raise WindowClosedError(window, last_day=until)
    return window


def usage_last_day(profile: Profile, facts: WindowFacts) -> int | None:
    """`usage_window(…).usage_until` without its trace; None too where that raises."""
    rule = profile.usage_window
    if rule is None:
        return None
    until = facts.download + rule.days.value
    try:
        for cap in rule.caps:
            until = min(until, _cap_candidate(profile, rule, cap, facts)[1])
    except MissingFactError:
        return None
    return until if until >= facts.download else None


def window_state(*, first_day: int, usage_until: int | None, day: int) -> WindowState:
    """Tell how `day` stands to the window [first_day, usage_until]; both borders are inside.

    `usage_until` None: no end by the window (the registration end governs and is checked by itself).
    """
    if day < first_day:
        return WindowState.NOT_YET_VALID
    if usage_until is not None and day > usage_until:
        return WindowState.USAGE_EXPIRED
    return WindowState.VALID


def _cap_candidate(profile: Profile, rule: UsageWindow, cap: Cap, facts: WindowFacts) -> tuple[str, int, Citation]:
    match cap.verb:
        case CapVerb.SPECIALTY_UNTIL:
            if not facts.specialty_untils:
                raise MissingFactError("specialty_until", profile_id=profile.id)
            pick = rule.several_specialties
            earliest = pick is not None and pick.value is SpecialtyPick.EARLIEST
            ends = facts.specialty_untils
            return "SPECIALTY", min(ends) if earliest else max(ends), cap.citation
        case CapVerb.REGISTERED_UNTIL:
            if facts.registered_until is None:
                raise MissingFactError("registered_until", profile_id=profile.id)
            return "REGISTRATION", facts.registered_until, cap.citation
        case CapVerb.HOLDER_TURNS:
            if facts.birth is None:
                raise MissingFactError("birth", profile_id=profile.id)
            years = cap.years or 0  # parse_profile sets it with this verb
            return f"AGE{years}", birthday(facts.birth, years), cap.citation
        case _ as unknown:
            assert_never(unknown)
