"""Blanket extensions: a notice moves all ends of a range to a later day.

Spec: docs/profiles.md, "Extension". What is moved are ends of registrations and specialties; the usage window of a
copy only where the notice says so. Of several extensions the latest end that they lead to holds, so their order
does not matter and moving a moved end changes nothing. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Final

from mingzheng.formats.civil import MAX_DAY, MIN_DAY
from mingzheng.formats.claims import EVERYWHERE
from mingzheng.formats.errors import FormatError
from mingzheng.formats.rules_source import Citation
from mingzheng.formats.rules_trace import Outcome, RuleStep, step

__all__ = [
    "MAX_EXTENSIONS",
    "BlanketExtension",
    "ExtensionAnswer",
    "ExtensionError",
    "ExtensionFacts",
    "ExtensionState",
    "ExtensionUse",
    "MovedEnd",
    "for_copies",
    "moved_end",
]

MAX_EXTENSIONS: Final = 1_000

# Every end that extensions lead to, with the end it came from and by which; the first one came from nowhere.
Reached = dict[int, "tuple[int, BlanketExtension] | None"]


class ExtensionError(FormatError):
    """An extension that would shorten something, or concerns nothing; or too many of them."""

    code: ClassVar[str] = "rules.bad_extension"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlanketExtension:
    """Ends in [first_end, last_end] become `new_end`, judged on days from `effective_on` to before `retracted_on`.

    `kinds` and `jurisdictions` are codes, neither empty; jurisdiction 0 stands for all.

    Raises ExtensionError if the days are out of order, out of range, or an end would be moved back.
    """

    first_end: int
    last_end: int
    new_end: int
    kinds: tuple[int, ...]
    jurisdictions: tuple[int, ...]
    effective_on: int
    retracted_on: int | None
    moves_usage_window: bool
    revives_copies: bool
    citation: Citation

    def __post_init__(self) -> None:
        retracted = self.effective_on if self.retracted_on is None else self.retracted_on
        days = (self.first_end, self.last_end, self.new_end, self.effective_on, retracted)
        if not all(MIN_DAY <= day <= MAX_DAY for day in days):
            raise ExtensionError("a day of the extension is out of range")
        if not self.first_end <= self.last_end <= self.new_end:
            raise ExtensionError("first_end, last_end and new_end must follow each other: an end is never moved back")
        if retracted < self.effective_on:
            raise ExtensionError("retracted before it takes effect")
        for name, codes in (("kinds", self.kinds), ("jurisdictions", self.jurisdictions)):
            if not codes or list(codes) != sorted(set(codes)):
                raise ExtensionError(f"{name} must be ascending, each once, at least one")

    def concerns(self, kind: int, jurisdiction: int) -> bool:
        """Tell whether it speaks of this kind in this jurisdiction."""
        places = self.jurisdictions
        return kind in self.kinds and (EVERYWHERE in places or jurisdiction in places)


class ExtensionState(StrEnum):
    """What one extension does to one end on one day."""

    APPLIED = "APPLIED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    OUTRUN = "OUTRUN"  # in its range, but others lead to a later end
    NOT_YET = "NOT_YET"
    RETRACTED = "RETRACTED"


class ExtensionAnswer(StrEnum):
    """What became of an end."""

    MOVED = "MOVED"
    UNMOVED = "UNMOVED"
    NO_RULE = "NO_RULE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionFacts:
    """An end of a registration or specialty, the last usable day of a copy (None: not asked), the day judged."""

    kind: int
    jurisdiction: int
    end: int
    usage_until: int | None
    on: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionUse:
    """An extension of this kind and jurisdiction, and what it does."""

    extension: BlanketExtension
    state: ExtensionState


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedEnd(Outcome[ExtensionAnswer]):
    """Where an end stands on a day; `history` holds every extension that concerns it, retracted ones too.

    `apply_again`: the end was moved, and copies that had run out stay so.
    """

    end: int
    usage_until: int | None
    apply_again: bool
    history: tuple[ExtensionUse, ...]

    @property
    def applied(self) -> tuple[BlanketExtension, ...]:
        """The extensions that led there, in order: every step on the way leads to a later end."""
        applied = (use.extension for use in self.history if use.state is ExtensionState.APPLIED)
        return tuple(sorted(applied, key=lambda rule: rule.new_end))


def moved_end(extensions: Iterable[BlanketExtension], facts: ExtensionFacts) -> MovedEnd:
    """Return where `facts.end` stands on `facts.on` under `extensions`. Cost: at most MAX_EXTENSIONS squared.

    Raises ExtensionError if there are more than MAX_EXTENSIONS.
    """
    known = sorted(extensions, key=lambda one: (one.effective_on, one.first_end, one.last_end, one.new_end))
    if len(known) > MAX_EXTENSIONS:
        raise ExtensionError(f"{len(known)} extensions, at most {MAX_EXTENSIONS} are read")
    ours = [one for one in known if one.concerns(facts.kind, facts.jurisdiction)]
    active = [one for one in ours if _state_by_day(one, facts.on) is None]
    reached = _reachable(facts.end, active)
    end, path = _latest(reached)
    usage_until = facts.usage_until
    if usage_until is not None:
        usage_until, _ = _latest(_reachable(usage_until, [one for one in active if one.moves_usage_window]))
    history = tuple(ExtensionUse(extension=one, state=_state(one, facts.on, reached, path)) for one in ours)
    return MovedEnd(
        answer=ExtensionAnswer.MOVED if path else ExtensionAnswer.UNMOVED,
        trace=tuple(_steps(history)),
        end=end,
        usage_until=usage_until,
        apply_again=bool(path) and not all(one.revives_copies for one in path),
        history=history,
    )


def for_copies(rule: BlanketExtension) -> BlanketExtension | None:
    """The rule narrowed to the ends of copies that it moves: of old ones only if it revives them. None: no copy's."""
    first = rule.first_end if rule.revives_copies else max(rule.first_end, rule.effective_on)
    if not (rule.revives_copies or rule.moves_usage_window) or first > rule.last_end:
        return None
    return replace(rule, first_end=first)


def _state_by_day(one: BlanketExtension, on: int) -> ExtensionState | None:
    if one.retracted_on is not None and on >= one.retracted_on:
        return ExtensionState.RETRACTED
    return ExtensionState.NOT_YET if on < one.effective_on else None


def _state(one: BlanketExtension, on: int, reached: Reached, path: list[BlanketExtension]) -> ExtensionState:
    by_day = _state_by_day(one, on)
    if by_day is not None:
        return by_day
    if any(one is other for other in path):
        return ExtensionState.APPLIED
    in_range = any(one.first_end <= end <= one.last_end for end in reached)
    return ExtensionState.OUTRUN if in_range else ExtensionState.OUT_OF_RANGE


def _latest(reached: Reached) -> tuple[int, list[BlanketExtension]]:
    """Return the latest end that was reached, and the extensions on the way."""
    latest = current = max(reached)
    path: list[BlanketExtension] = []
    while (by := reached[current]) is not None:
        current, extension = by
        path.insert(0, extension)
    return latest, path


def _reachable(end: int, active: list[BlanketExtension]) -> Reached:
    """Return every end that can be reached from `end`; each is looked at once."""
    reached: Reached = {end: None}
    pending = [end]
    while pending:
        current = pending.pop(0)
        for one in active:
            if one.first_end <= current <= one.last_end and one.new_end not in reached:
                reached[one.new_end] = (current, one)
                pending.append(one.new_end)
    return reached


def _steps(history: tuple[ExtensionUse, ...]) -> Iterable[RuleStep]:
    for place, use in enumerate(history, 1):
        one = use.extension
        yield step(
            f"EXTENSION{place}", one.citation, use.state is ExtensionState.APPLIED, day=one.new_end, word=use.state
        )
