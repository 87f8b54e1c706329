"""Check a log's entries in order against its rules: the auditor's half of docs/spec/log.md.

Pure: entries in, alarms out; it never stops at a fault. Memory: some bytes per serial, and the sets of the status
lists, from which every list is drawn again where its entry stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.kid import Kid
from mingzheng.log.acts import SerialState
from mingzheng.log.alarms import Alarm
from mingzheng.log.book import (
    CODE_OF,
    DAY_TOLERANCE,
    ActSignatureError,
    Book,
    IssuerBook,
    KeyCompromisedError,
    KeyRetiredError,
    RootAt,
    RuleError,
    UnknownKeyError,
    clock_faults,
)
from mingzheng.log.densestates import DenseStates
from mingzheng.log.entry import (
    OWN_ENTRIES,
    ActEntry,
    Entry,
    FillerEntry,
    IssueEntry,
    KeyEventEntry,
    KeyEventType,
    LandmarkEntry,
    NoticeEntry,
    SignedEntry,
    StatusEntry,
    TimeEntry,
    kids_of,
)
from mingzheng.log.errors import EntryError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.patterns import BurstLimit, Bursts, Gaps, KeyChain
from mingzheng.log.status import StatusBody, encode_body

_UNKNOWN = CODE_OF[SerialState.UNKNOWN]
_LIVE = CODE_OF[SerialState.LIVE]
_FORGED = (ActSignatureError, UnknownKeyError)


class RuleCheck:
    """Feed every entry in order to `take`, then call `finish`."""

    def __init__(self, book: Book, root_at: RootAt, limits: Sequence[BurstLimit] = ()) -> None:
        self.book = book
        self.bursts, self.gaps, self.chain = Bursts(limits), Gaps(), KeyChain()
        self.counts: dict[int, dict[str, int]] = {}
        self.good_sizes: dict[tuple[int, Kid], int] = {}  # of keys that an event called compromised; the least counts
        self.good_events: dict[tuple[int, Kid], int] = {}  # the event's index
        self._root_at = root_at
        self.landmarks: list[tuple[int, LandmarkEntry]] = []  # met in this run: their lists are drawn again behind it
        self._sets: dict[int, dict[int, set[int]]] = _sets_of(book)
        self._round: list[tuple[int, IssueEntry | SignedEntry | StatusEntry]] = []  # whose times await the round's
        self._length = 0  # entries of the round so far, time included
        self._timed = False
        self.last_time = 0

    @property
    def settled(self) -> bool:
        """Whether the last entry ended a round, so that nothing is half judged."""
        return not self._round and (self._timed or not self._length)

    @property
    def awaits_filler(self) -> bool:
        """Whether the round's time entry was the last one: a filler may follow."""
        return self._timed

    def resume(self, *, last_time: int, awaits_filler: bool) -> None:
        """Go on behind a settled place; book, counts and watchers are the caller's to fill."""
        self.last_time, self._timed, self._length = last_time, awaits_filler, int(awaits_filler)
        self._sets = _sets_of(self.book)

    def take(self, index: int, data: bytes) -> Iterator[Alarm]:
        """Alarms of the entry at `index`."""
        try:
            entry = read_entry(data)
        except EntryError as error:
            yield Alarm(code=error.code, index=index, detail=str(error))
            self._length += 1
            return
        yield from self._shape(index, entry)
        if isinstance(entry, OWN_ENTRIES):
            for fault in self.book.apply(entry, index, self._root_at):
                yield Alarm(code=fault.code, index=index, detail=str(fault))
            return
        if isinstance(entry, StatusEntry):
            yield from self._redraw(index, entry)
        before = self._before(entry) if isinstance(entry, IssueEntry | ActEntry) else {}
        faults = self.book.apply(entry, index, self._root_at)
        for fault in faults:
            if not self._summed_up(fault, entry, index):
                yield Alarm(code=fault.code, index=index, detail=str(fault))
        if isinstance(entry, IssueEntry | ActEntry):
            self._after(entry.issuer, before)
        if not isinstance(entry, StatusEntry | LandmarkEntry):
            for kid in kids_of(entry):
                self.chain.use(entry.issuer, kid, index)
        self._count(entry)
        if isinstance(entry, LandmarkEntry):
            self.landmarks.append((index, entry))
        else:
            self._round.append((index, entry))
        if isinstance(entry, KeyEventEntry):
            yield from self._key_event(entry, index, sound=not any(isinstance(fault, _FORGED) for fault in faults))

    def _summed_up(self, fault: RuleError, entry: Entry, index: int) -> bool:
        """What a compromised key wrote is counted at the end, with what only a later event shows."""
        if isinstance(fault, KeyRetiredError) and isinstance(entry, IssueEntry | ActEntry | NoticeEntry):
            return index >= self.good_sizes.get((entry.issuer, fault.kid), index + 1)
        return isinstance(fault, KeyCompromisedError)

    def _key_event(self, entry: KeyEventEntry, index: int, *, sound: bool) -> Iterator[Alarm]:
        """`sound`: its authority signed it. What a forged one says of a key is not believed."""
        keys, place = self.book.keys, (entry.issuer, entry.subject_kid)
        record = None if keys is None else keys.record(entry.subject_kid)
        known = keys is None or (record is not None and record.issuer == entry.issuer)
        if sound:
            yield from self.chain.take(entry, index, known=known)
        if sound and entry.event == KeyEventType.COMPROMISED:
            size = next((item.size for item in entry.sizes if item.origin == self.book.origin), 0)
            if size <= self.good_sizes.get(place, size):
                self.good_sizes[place], self.good_events[place] = size, index

    def finish(self, size: int) -> Iterator[Alarm]:
        """Alarms that only the end shows: serials left out; the head must stand between two rounds."""
        states = {number: DenseStates.of(book.states) for number, book in self.book.issuers.items()}
        yield from self.gaps.finish(self.last_time, states)
        if self._timed and size % 2:
            yield Alarm(code="audit.round_shape", index=size - 1, detail="the last round lacks its filler")
        elif self._length and not self._timed:
            yield Alarm(
                code="audit.round_shape", index=size - 1, detail="the head stands inside a round: no time entry"
            )

    def _shape(self, index: int, entry: Entry) -> Iterator[Alarm]:
        """Entries, one time entry, a filler if the count would be odd; times never go back; days fit the time."""
        if isinstance(entry, FillerEntry):
            if not (self._timed and index % 2):
                yield Alarm(code="audit.round_shape", index=index, detail="a filler where none is needed")
            self._timed, self._length = False, 0
            return
        if self._timed:
            if index % 2:
                yield Alarm(code="audit.round_shape", index=index, detail="the round before lacks its filler")
            self._timed, self._length = False, 0
        self._length += 1
        if isinstance(entry, TimeEntry):
            if self._length == 1:
                yield Alarm(code="audit.round_shape", index=index, detail="a round of a time entry alone")
            if entry.seconds < self.last_time:
                detail = f"time {entry.seconds} after {self.last_time}"
                yield Alarm(code="audit.time_backwards", index=index, detail=detail)
            yield from self._times(entry.seconds)
            self.last_time, self._timed = entry.seconds, True

    def _times(self, seconds: int) -> Iterator[Alarm]:
        day = day_of_time(seconds)
        for index, entry in self._round:
            for fault in clock_faults(entry, seconds):
                yield Alarm(code=fault.code, index=index, detail=str(fault))
            if isinstance(entry, IssueEntry) and abs(entry.issued_day - day) > DAY_TOLERANCE:
                detail = f"issued on day {entry.issued_day}, logged on day {day}"
                evidence = {"issued_day": entry.issued_day, "logged_day": day}
                yield Alarm(code="audit.backdated", index=index, detail=detail, evidence=evidence)
        issues = [(index, entry.issuer, entry.kind) for index, entry in self._round if isinstance(entry, IssueEntry)]
        yield from self.bursts.take(seconds, issues)
        for issuer in {entry.issuer for _index, entry in self._round}:
            self.gaps.take(seconds, issuer, self.book.issuer(issuer).next_serial)
        self._round.clear()

    def _before(self, entry: IssueEntry | ActEntry) -> dict[int, int]:
        """States of the serials that the entry names."""
        serials = (entry.serial,) if isinstance(entry, IssueEntry) else entry.serials
        book = self.book.issuers.get(entry.issuer)
        if book is None:
            book = self.book.issuers[entry.issuer] = IssuerBook()
        if type(book.states) is dict and not book.states:
            book.states = DenseStates()
        states = book.states
        return {serial: states.get(serial, _UNKNOWN) for serial in serials}

    def _after(self, issuer: int, before: Mapping[int, int]) -> None:
        """Move the serials between the sets of the lists."""
        for serial, was in before.items():
            state = self.book.issuers[issuer].states.get(serial, _UNKNOWN)
            if state != was and (state > _LIVE or was > _LIVE):
                sets = self._sets.setdefault(issuer, {})
                sets.setdefault(was, set()).discard(serial)
                if state > _LIVE:
                    sets.setdefault(state, set()).add(serial)

    def _redraw(self, index: int, entry: StatusEntry) -> Iterator[Alarm]:
        """Draw the list again from what its issuer did below the entry, and compare its hash."""
        begins = self.book.begins
        known = {self.book.origin, *(head.origin for head in (() if begins is None else begins.origins))}
        others = [head.origin for head in entry.origins if head.origin not in known and head.size]
        if others:
            detail = f"also covers origins {others}: their entries are needed to draw it again"
            yield Alarm(code="audit.status_unchecked", index=index, detail=detail)
            return
        got = sha256(encode_body(self._body(entry))).digest()
        if got != entry.sha256:
            detail = f"the entries below give a list with hash {got.hex()}, logged is {entry.sha256.hex()}"
            evidence: dict[str, str | int] = {"recomputed": got.hex(), "logged": entry.sha256.hex()}
            yield Alarm(code="audit.status_mismatch", index=index, detail=detail, evidence=evidence)

    def _body(self, entry: StatusEntry) -> StatusBody:
        sets = self._sets.get(entry.issuer, {})

        def members(state: SerialState) -> tuple[int, ...]:
            return tuple(sorted(sets.get(CODE_OF[state], ())))

        return StatusBody(
            issuer=entry.issuer,
            next_serial=self.book.issuer(entry.issuer).next_serial,
            this_update=entry.this_update,
            next_update=entry.next_update,
            origins=entry.origins,
            revoked=members(SerialState.REVOKED),
            superseded=members(SerialState.SUPERSEDED),
            void=members(SerialState.VOID),
            suspended=members(SerialState.SUSPENDED),
        )

    def _count(self, entry: IssueEntry | SignedEntry | StatusEntry | LandmarkEntry) -> None:
        if isinstance(entry, IssueEntry):
            day, label = entry.issued_day, f"issue.{entry.kind}"
        elif isinstance(entry, ActEntry):
            day, label = entry.day, entry.act.name.lower()
        elif isinstance(entry, NoticeEntry):
            day, label = entry.day, f"notice.{entry.notice.name.lower()}"
        elif isinstance(entry, KeyEventEntry):
            day, label = entry.day, "key_event"
        else:
            day, label = day_of_time(entry.this_update), "status" if isinstance(entry, StatusEntry) else "landmark"
        counts = self.counts.setdefault(day, {})
        counts[label] = counts.get(label, 0) + (len(entry.serials) if isinstance(entry, ActEntry) else 1)


def _sets_of(book: Book) -> dict[int, dict[int, set[int]]]:
    """The sets of the lists as a book that goes on from another log begins with."""
    sets: dict[int, dict[int, set[int]]] = {}
    for number, issuer in book.issuers.items():
        for serial, state in issuer.states.items():
            if state > _LIVE:
                sets.setdefault(number, {}).setdefault(state, set()).add(serial)
    return sets
