"""Entries that stand in a signed tree and break a rule: the evidence kind `entries` (docs/audit.md, Evidence).

Pure. `check_charge` believes nothing but the log's signature, the trust data given to it, and what the stretches fold
to. What it proves is what the claim says, no more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import TrustData
from mingzheng.log.actkeys import TrustActKeys
from mingzheng.log.book import (
    DAY_TOLERANCE,
    ActSignatureError,
    Book,
    KeyDayError,
    OnePersonError,
    RuleError,
    UnknownKeyError,
)
from mingzheng.log.checkpoint import Checkpoint
from mingzheng.log.entry import (
    ActEntry,
    Entry,
    IssueEntry,
    KeyEventEntry,
    KeyEventType,
    NoticeEntry,
    TimeEntry,
    kids_of,
    parse_entry,
)
from mingzheng.log.errors import EntryError, LogError, ProofError
from mingzheng.log.hashing import EMPTY_ROOT
from mingzheng.log.patterns import BurstLimit, window_of
from mingzheng.log.stretch import Stretch, stretch_root

BACKDATED = "audit.backdated"
TIME_BACKWARDS = "audit.time_backwards"
COMPROMISED = "audit.compromised_key_used"
BURST = "audit.burst"
ONE_PERSON = OnePersonError.code
RULES = frozenset(
    {"rule.unknown_key", "rule.key_kind", "rule.key_day", "rule.act_signature", ONE_PERSON, "rule.same_person"}
    | {"rule.request_signature", "rule.request_day", "rule.notice_body"}
)
ENTRY = "entry."


class ChargeError(LogError):
    """The stretches do not prove the claim."""

    code: ClassVar[str] = "evidence.not_charged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The claim about entry `index` of the tree that `note` signs. `limit`: of a burst only."""

    claim: str
    index: int
    note: bytes
    stretches: tuple[Stretch, ...]
    limit: BurstLimit | None = None


def can_be_charged(claim: str) -> bool:
    """Whether some entries alone can prove it."""
    return claim in {BACKDATED, TIME_BACKWARDS, COMPROMISED, BURST} | RULES or claim.startswith(ENTRY)


def check_charge(charge: Charge, head: Checkpoint, trust: TrustData | None) -> None:
    """Prove the claim under a verified head; raises ChargeError.

    `trust` serves the claims about keys, of the origin that has the head's name.
    """
    placed = _placed(charge.stretches, head)
    if charge.index not in placed:
        raise ChargeError("the entry it is about is not there")
    if charge.claim.startswith(ENTRY):
        _check_malformed(charge, placed[charge.index])
        return
    entries = _Entries(placed)
    match charge.claim:
        case claim if claim == BACKDATED:
            _check_day(entries, charge.index)
        case claim if claim == TIME_BACKWARDS:
            _check_times(entries, charge.index)
        case claim if claim == COMPROMISED:
            _check_compromised(entries, charge.index, _Setting.of(trust, head.origin))
        case claim if claim == BURST and charge.limit is not None:
            _check_burst(entries, charge.index, charge.limit)
        case claim if claim in RULES:
            _check_rule(entries, charge, _Setting.of(trust, head.origin))
        case _:
            raise ChargeError("not a claim that entries alone can prove")


class _Entries:
    """The entries shown, by index, read when asked for."""

    def __init__(self, placed: Mapping[int, bytes]) -> None:
        self.placed = placed

    def entry(self, index: int) -> Entry:
        """The entry at an index that is shown; raises ChargeError if it is malformed."""
        try:
            return parse_entry(self.placed[index])
        except EntryError as error:
            raise ChargeError(f"entry {index} is malformed") from error

    def times(self) -> Iterator[tuple[int, int]]:
        """(index, seconds) of the time entries shown, rising."""
        for index in sorted(self.placed):
            entry = self._sound(index)
            if isinstance(entry, TimeEntry):
                yield index, entry.seconds

    def rounds(self) -> Iterator[tuple[int, IssueEntry]]:
        """(round's time, issue entry) of those whose round's time is shown with all between."""
        seconds: int | None = None
        above = -1
        for index in sorted(self.placed, reverse=True):
            if index != above - 1:
                seconds = None
            above = index
            entry = self._sound(index)
            if isinstance(entry, TimeEntry):
                seconds = entry.seconds
            elif isinstance(entry, IssueEntry) and seconds is not None:
                yield seconds, entry

    def round_time(self, index: int) -> int | None:
        """The time of the round that the entry stands in, None unless all up to its time entry is shown."""
        while (index := index + 1) in self.placed:
            entry = self._sound(index)
            if isinstance(entry, TimeEntry):
                return entry.seconds
        return None

    def _sound(self, index: int) -> Entry | None:
        try:
            return parse_entry(self.placed[index])
        except EntryError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """The trust data with the number of the log in them."""

    trust: TrustData
    number: int
    name: str

    @classmethod
    def of(cls, trust: TrustData | None, name: str) -> "_Setting":
        """Raises ChargeError if the trust data do not name the log."""
        numbers = [] if trust is None else [item.number for item in trust.origins.values() if item.name == name]
        if trust is None or not numbers:
            raise ChargeError("trust data that name the log are needed")
        return cls(trust=trust, number=numbers[0], name=name)

    def faults(self, entry: Entry, index: int, issues: Mapping[int, IssueEntry] | None = None) -> list[RuleError]:
        """What a rule book that knows the keys, and of other entries these alone, says of this one."""
        book = Book(origin=self.number, origin_name=self.name, keys=TrustActKeys(self.trust))
        for at, issue in (issues or {}).items():
            book.apply(issue, at, lambda _size: EMPTY_ROOT)
        return book.apply(entry, index, lambda _size: EMPTY_ROOT)

    def good_size(self, issuer: int, kid: Kid, events: Iterable[tuple[int, Entry]]) -> int | None:
        """The least size that the trust data or these events state for a key; None if it is sound."""
        record = self.trust.key(kid)
        lost = None if record is None or record.issuer != issuer else record.compromised
        sizes = [] if lost is None else [lost.get(self.number, 0)]
        for index, event in events:
            if not isinstance(event, KeyEventEntry) or event.event != KeyEventType.COMPROMISED:
                continue
            if (event.issuer, event.subject_kid) != (issuer, kid) or self._unsound(event, index):
                continue
            sizes.append(next((item.size for item in event.sizes if item.origin == self.number), 0))
        return min(sizes, default=None)

    def _unsound(self, event: Entry, index: int) -> bool:
        wrong = (UnknownKeyError, ActSignatureError, KeyDayError)
        return any(isinstance(fault, wrong) for fault in self.faults(event, index))


def _placed(stretches: Iterable[Stretch], head: Checkpoint) -> dict[int, bytes]:
    placed: dict[int, bytes] = {}
    for stretch in stretches:
        try:
            root = stretch_root(stretch, head.size)
        except ProofError as error:
            raise ChargeError(f"a stretch does not fit the head: {error}") from error
        if root != head.root:
            raise ChargeError("a stretch is not in the signed tree")
        placed.update(enumerate(stretch.entries, stretch.start))
    return placed


def _check_malformed(charge: Charge, data: bytes) -> None:
    try:
        parse_entry(data)
    except EntryError as error:
        if error.code == charge.claim:
            return
    raise ChargeError("the entry does not have that fault")


def _check_rule(entries: _Entries, charge: Charge, setting: _Setting) -> None:
    """Of the entry alone, but for a void by one person: the issue of what it voids is shown below it."""
    entry, issues = entries.entry(charge.index), {}
    if charge.claim == ONE_PERSON and isinstance(entry, ActEntry):
        shown = {at: entries.entry(at) for at in entries.placed if at < charge.index}
        issues = {at: one for at, one in shown.items() if isinstance(one, IssueEntry)}
    if charge.claim not in {fault.code for fault in setting.faults(entry, charge.index, issues)}:
        raise ChargeError("the entry does not break that rule")


def _check_day(entries: _Entries, index: int) -> None:
    entry = entries.entry(index)
    if not isinstance(entry, IssueEntry):
        raise ChargeError("not an issue entry")
    logged = entries.round_time(index)
    if logged is not None and abs(day_of_time(logged) - entry.issued_day) > DAY_TOLERANCE:
        return
    for at, seconds in entries.times():
        late = day_of_time(seconds) - entry.issued_day
        if (at < index and late > DAY_TOLERANCE) or (at > index and -late > DAY_TOLERANCE):
            return
    raise ChargeError("the times shown do not contradict the day of issue")


def _check_times(entries: _Entries, index: int) -> None:
    entry = entries.entry(index)
    if not isinstance(entry, TimeEntry):
        raise ChargeError("not a time entry")
    if not any(at < index and seconds > entry.seconds for at, seconds in entries.times()):
        raise ChargeError("no time entry before it states a later time")


def _check_compromised(entries: _Entries, index: int, setting: _Setting) -> None:
    entry = entries.entry(index)
    if not isinstance(entry, IssueEntry | ActEntry | NoticeEntry | KeyEventEntry):
        raise ChargeError("an entry of no key")
    others = ((at, entries.entry(at)) for at in entries.placed if at != index)
    shown = [*others]
    sizes = [setting.good_size(entry.issuer, kid, shown) for kid in kids_of(entry)]
    if not any(size is not None and index >= size for size in sizes):
        raise ChargeError("neither trust data nor an event shown calls the key compromised at that place")


def _check_burst(entries: _Entries, index: int, limit: BurstLimit) -> None:
    entry = entries.entry(index)
    if not isinstance(entry, IssueEntry):
        raise ChargeError("not an issue entry")
    who = (entry.issuer, entry.kind)
    found = Counter(
        window_of(seconds, limit.window)
        for seconds, item in entries.rounds()
        if (item.issuer, item.kind) == who and limit.applies(item.kind)
    )
    if max(found.values(), default=0) <= limit.most:
        raise ChargeError("no window has more than the limit")
