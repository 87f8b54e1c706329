"""What only shows over time: bursts of issuing, serials left out, and the course of a key (docs/audit.md, Definitions).

Pure. Each watcher is fed a round or an entry at a time, and can be kept and taken up again (`dump`, `load`) as values
that JSON can hold.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.kid import Kid
from mingzheng.log.alarms import Alarm
from mingzheng.log.densestates import DenseStates
from mingzheng.log.entry import KeyEventEntry, KeyEventType
from mingzheng.log.errors import LogError

MAX_GAP_AGE = 86_400
"""Seconds a serial may be left out before it is an alarm."""

MAX_RANGES = 10
MAX_LIMITS = 64

Window: TypeAlias = Literal["day", "hour"]
Json: TypeAlias = object

_LIMIT = re.compile(r"(\*|[1-9][0-9]{0,4}):([1-9][0-9]{0,11})/(day|hour)", re.ASCII)
_SAMPLE_SECONDS = 60
_KEPT_WINDOWS = 4_096


class BurstError(LogError):
    """A burst limit that is not `KIND:N/day` or `KIND:N/hour`."""

    code: ClassVar[str] = "audit.bad_burst"


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstLimit:
    """At most `most` issues of a kind (None: of any one kind) by one issuer in one window."""

    kind: int | None
    most: int
    window: Window

    def applies(self, kind: int) -> bool:
        """Whether this limit counts that kind."""
        return self.kind in (None, kind)

    def text(self) -> str:
        """As `parse_burst` reads it."""
        return f"{'*' if self.kind is None else self.kind}:{self.most}/{self.window}"


def parse_burst(text: str) -> BurstLimit:
    """Read `KIND:N/day`, `KIND:N/hour` or `*:N/…`; raises BurstError."""
    match = _LIMIT.fullmatch(text)
    if match is None or (match[1] != "*" and int(match[1]) > 65_535):
        raise BurstError(f"{text!r}: expected KIND:N/day, KIND:N/hour, or * for KIND")
    kind, most, window = match.groups()
    return BurstLimit(
        kind=None if kind == "*" else int(kind), most=int(most), window="day" if window == "day" else "hour"
    )


def window_of(seconds: int, window: Window) -> int:
    """Number of the civil day (Asia/Shanghai) or clock hour that a time lies in."""
    return day_of_time(seconds) if window == "day" else seconds // 3_600


class Bursts:
    """Counts issues by (limit, issuer, kind, window); alarms at the first one over the limit."""

    def __init__(self, limits: Sequence[BurstLimit]) -> None:
        self._limits = tuple(limits)
        self._counts: dict[tuple[int, int, int, int], tuple[int, int]] = {}  # how many, and the first one's index

    def take(self, seconds: int, issues: Sequence[tuple[int, int, int]]) -> Iterator[Alarm]:
        """The issues (index, issuer, kind) of a round of that time."""
        if not self._limits:
            return
        added: dict[tuple[int, int], list[int]] = {}
        for index, issuer, kind in issues:
            added.setdefault((issuer, kind), []).append(index)
        for number, limit in enumerate(self._limits):
            window = window_of(seconds, limit.window)
            for (issuer, kind), its in added.items():
                if limit.applies(kind):
                    yield from self._add((number, issuer, kind, window), its, limit)
        if len(self._counts) > _KEPT_WINDOWS:
            recent = {window_of(seconds, limit.window) for limit in self._limits}
            self._counts = {place: found for place, found in self._counts.items() if place[3] in recent}

    def _add(self, place: tuple[int, int, int, int], its: Sequence[int], limit: BurstLimit) -> Iterator[Alarm]:
        _number, issuer, kind, window = place
        count = len(its)
        before, first = self._counts.get(place, (0, its[0]))
        self._counts[place] = (before + count, first)
        if before <= limit.most < before + count:
            over = its[limit.most - before]
            detail = f"issuer {issuer}, kind {kind}: more than {limit.most} in {limit.window} {window}, from {first} on"
            evidence: dict[str, str | int] = {"issuer": issuer, "kind": kind, "limit": limit.text(), "first": first}
            yield Alarm(code="audit.burst", index=over, detail=detail, evidence=evidence)

    def dump(self) -> Json:
        """The counts so far."""
        return [[*place, *found] for place, found in sorted(self._counts.items())]

    def load(self, rows: Iterable[Sequence[int]]) -> None:
        """Take up what `dump` gave, under the same limits."""
        self._counts = {(row[0], row[1], row[2], row[3]): (row[4], row[5]) for row in rows}


class Gaps:
    """Remembers how far each issuer's serials had come, to tell at the end which were left out for too long."""

    def __init__(self) -> None:
        self._samples: dict[int, list[tuple[int, int]]] = {}

    def take(self, seconds: int, issuer: int, next_serial: int) -> None:
        """After a round: the issuer's next serial. A sample a minute; only the newest older than a day is kept."""
        samples = self._samples.setdefault(issuer, [])
        if samples and samples[-1][1] >= next_serial:
            return
        if len(samples) > 1 and seconds - samples[-2][0] < _SAMPLE_SECONDS:
            samples.pop()  # a later one stands for it: the alarm may come a minute late
        samples.append((seconds, next_serial))
        while len(samples) > 1 and samples[1][0] <= seconds - MAX_GAP_AGE:
            samples.pop(0)

    def finish(self, last_time: int, states: Mapping[int, DenseStates]) -> Iterator[Alarm]:
        """Alarms for serials that were below the next one a day ago and still are in no state."""
        for issuer, samples in sorted(self._samples.items()):
            old = [serial for seconds, serial in samples if seconds <= last_time - MAX_GAP_AGE]
            if not old or issuer not in states:
                continue
            count, ranges = states[issuer].gaps(old[-1], most=MAX_RANGES)
            if count:
                text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
                more = " …" if sum(b - a + 1 for a, b in ranges) < count else ""
                evidence: dict[str, str | int] = {"issuer": issuer, "serials": count, "first": ranges[0][0]}
                yield Alarm(
                    code="audit.gap",
                    index=None,
                    detail=f"issuer {issuer}: {count} serials left out: {text}{more}",
                    evidence=evidence,
                )

    def dump(self) -> Json:
        """The samples."""
        return [[issuer, [list(sample) for sample in samples]] for issuer, samples in sorted(self._samples.items())]

    def load(self, rows: Iterable[tuple[int, Iterable[Sequence[int]]]]) -> None:
        """Take up what `dump` gave."""
        self._samples = {issuer: [(sample[0], sample[1]) for sample in samples] for issuer, samples in rows}


class KeyChain:
    """The course of each subject key: added at most once and before it signs, retired at most once, then lost."""

    def __init__(self) -> None:
        self._events: dict[tuple[int, Kid], list[KeyEventType]] = {}
        self._used: dict[tuple[int, Kid], int] = {}  # first index

    def use(self, issuer: int, kid: Kid, index: int) -> None:
        """A key signed an entry."""
        if (issuer, kid) not in self._used:
            self._used[issuer, kid] = index

    def take(self, entry: KeyEventEntry, index: int, *, known: bool) -> Iterator[Alarm]:
        """One event; `known`: whether the trust data name the subject as a key of the issuer."""
        place = (entry.issuer, entry.subject_kid)
        before = self._events.setdefault(place, [])
        detail = None
        match entry.event:
            case KeyEventType.ADDED if before:
                detail = "added after other events of it"
            case KeyEventType.ADDED if place in self._used:
                detail = f"added after it signed entry {self._used[place]}"
            case KeyEventType.RETIRED if KeyEventType.RETIRED in before or KeyEventType.COMPROMISED in before:
                detail = "retired again, or after it was compromised"
        if not known:
            detail = "no key of that issuer in the trust data"
        if entry.event not in before:
            before.append(entry.event)
        if detail is not None:
            text = f"issuer {entry.issuer}, key {entry.subject_kid.hex()}: {detail}"
            yield Alarm(code="audit.key_chain", index=index, detail=text)

    def dump(self) -> Json:
        """Events and first uses."""
        events = [[issuer, kid.hex(), [int(item) for item in items]] for (issuer, kid), items in self._events.items()]
        return [sorted(events), sorted([issuer, kid.hex(), at] for (issuer, kid), at in self._used.items())]

    def load(self, events: Iterable[tuple[int, str, Iterable[int]]], used: Iterable[tuple[int, str, int]]) -> None:
        """Take up what `dump` gave."""
        self._events = {
            (i, Kid(bytes.fromhex(kid))): [KeyEventType(item) for item in items] for i, kid, items in events
        }
        self._used = {(issuer, Kid(bytes.fromhex(kid))): at for issuer, kid, at in used}
