"""Check a log's entries in order against its rules: the auditor's half of docs/spec/log.md.

Pure: entries in, alarms out; it never stops at a fault. Memory: some bytes per serial, and the sets of the status
lists, from which every list is drawn again where its entry stands.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from hashlib import sha256

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.kid import Kid
from mingzheng.log.acts import SerialState
from mingzheng.log.book import (
    CODE_OF,
    DAY_TOLERANCE,
    Book,
    IssuerBook,
    KeyCompromisedError,
    RootAt,
    clock_faults,
)
from mingzheng.log.entry import (
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
)
from mingzheng.log.errors import EntryError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.status import StatusBody, encode_body

_DENSE_SLACK = 65_536
_DENSE_SHARE = 8  # the dense part is at most about twice as many bytes for each serial seen
_UNKNOWN = CODE_OF[SerialState.UNKNOWN]
_LIVE = CODE_OF[SerialState.LIVE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something the log must not do. `code` is stable; `index` is the entry's, None for the log as a whole."""

    code: str
    index: int | None
    detail: str
    evidence: Mapping[str, str | int] = field(default_factory=dict)


class DenseStates(MutableMapping[int, int]):
    """Serial → state, a byte each while serials are dense; a hostile log's outliers go to a dictionary."""

    __slots__ = ("_dense", "_seen", "_sparse")

    def __init__(self) -> None:
        self._dense = bytearray()
        self._seen = 0  # how often a serial was set for the first time
        self._sparse: dict[int, int] = {}

    def __getitem__(self, serial: int) -> int:
        if serial < len(self._dense):
            state = self._dense[serial] or self._sparse.get(serial, _UNKNOWN)
        else:
            state = self._sparse.get(serial, _UNKNOWN)
        if state == _UNKNOWN:
            raise KeyError(serial)
        return state

    def __setitem__(self, serial: int, state: int) -> None:
        dense = self._dense
        if self._sparse and serial in self._sparse:  # it stays there: one place for each serial
            self._sparse[serial] = state
            return
        if serial >= len(dense):
            if serial > _DENSE_SHARE * self._seen + _DENSE_SLACK:
                self._seen += 1
                self._sparse[serial] = state
                return
            dense.extend(bytes(max(serial + 1, 2 * len(dense)) - len(dense)))
        if not dense[serial]:
            self._seen += 1
        dense[serial] = state

    def __delitem__(self, serial: int) -> None:
        if self._sparse.pop(serial, None) is None:
            self._dense[serial] = _UNKNOWN

    def __iter__(self) -> Iterator[int]:
        yield from (serial for serial, state in enumerate(self._dense) if state)
        yield from self._sparse

    def __len__(self) -> int:
        return sum(1 for _ in self)


class RuleCheck:
    """Feed every entry in order to `take`, then call `finish`."""

    def __init__(self, book: Book, root_at: RootAt) -> None:
        self.counts: dict[int, dict[str, int]] = {}
        self.good_sizes: dict[tuple[int, Kid], int] = {}  # of keys that an event called compromised; the least counts
        self._book, self._root_at = book, root_at
        self._sets: dict[int, dict[int, set[int]]] = {}
        self._round: list[tuple[int, IssueEntry | SignedEntry | StatusEntry]] = []  # whose times await the round's
        self._length = 0  # entries of the round so far, time included
        self._timed = False
        self._last_time = 0

    def take(self, index: int, data: bytes) -> Iterator[Alarm]:
        """Alarms of the entry at `index`."""
        try:
            entry = read_entry(data)
        except EntryError as error:
            yield Alarm(code=error.code, index=index, detail=str(error))
            self._length += 1
            return
        yield from self._shape(index, entry)
        if isinstance(entry, TimeEntry | FillerEntry):
            return
        if isinstance(entry, StatusEntry):
            yield from self._redraw(index, entry)
        before = self._before(entry) if isinstance(entry, IssueEntry | ActEntry) else {}
        for fault in self._book.apply(entry, index, self._root_at):
            if isinstance(fault, KeyCompromisedError):
                continue  # the auditor sums them up, with those that only a later event shows
            yield Alarm(code=fault.code, index=index, detail=str(fault))
        if isinstance(entry, IssueEntry | ActEntry):
            self._after(entry.issuer, before)
        self._count(entry)
        if not isinstance(entry, LandmarkEntry):
            self._round.append((index, entry))
        if isinstance(entry, KeyEventEntry) and entry.event == KeyEventType.COMPROMISED:
            size = next((item.size for item in entry.sizes if item.origin == self._book.origin), 0)
            place = (entry.issuer, entry.subject_kid)
            self.good_sizes[place] = min(size, self.good_sizes.get(place, size))

    def finish(self, size: int) -> Iterator[Alarm]:
        """Alarms that only the end shows: the head must stand between two rounds."""
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
            if entry.seconds < self._last_time:
                detail = f"time {entry.seconds} after {self._last_time}"
                yield Alarm(code="audit.time_backwards", index=index, detail=detail)
            yield from self._times(entry.seconds)
            self._last_time, self._timed = entry.seconds, True

    def _times(self, seconds: int) -> Iterator[Alarm]:
        day = day_of_time(seconds)
        for index, entry in self._round:
            for fault in clock_faults(entry, seconds):
                yield Alarm(code=fault.code, index=index, detail=str(fault))
            if isinstance(entry, IssueEntry) and abs(entry.issued_day - day) > DAY_TOLERANCE:
                detail = f"issued on day {entry.issued_day}, logged on day {day}"
                evidence = {"issued_day": entry.issued_day, "logged_day": day}
                yield Alarm(code="audit.backdated", index=index, detail=detail, evidence=evidence)
        self._round.clear()

    def _before(self, entry: IssueEntry | ActEntry) -> dict[int, int]:
        """States of the serials that the entry names."""
        serials = (entry.serial,) if isinstance(entry, IssueEntry) else entry.serials
        book = self._book.issuers.get(entry.issuer)
        if book is None:
            book = self._book.issuers[entry.issuer] = IssuerBook(states=DenseStates())
        states = book.states
        return {serial: states.get(serial, _UNKNOWN) for serial in serials}

    def _after(self, issuer: int, before: Mapping[int, int]) -> None:
        """Move the serials between the sets of the lists."""
        for serial, was in before.items():
            state = self._book.issuers[issuer].states.get(serial, _UNKNOWN)
            if state != was and (state > _LIVE or was > _LIVE):
                sets = self._sets.setdefault(issuer, {})
                sets.setdefault(was, set()).discard(serial)
                if state > _LIVE:
                    sets.setdefault(state, set()).add(serial)

    def _redraw(self, index: int, entry: StatusEntry) -> Iterator[Alarm]:
        """Draw the list again from what its issuer did below the entry, and compare its hash."""
        others = [head.origin for head in entry.origins if head.origin != self._book.origin and head.size]
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
            next_serial=self._book.issuer(entry.issuer).next_serial,
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
        elif isinstance(entry, NoticeEntry | KeyEventEntry):
            day, label = entry.day, "notice" if isinstance(entry, NoticeEntry) else "key_event"
        else:
            day, label = day_of_time(entry.this_update), "status" if isinstance(entry, StatusEntry) else "landmark"
        counts = self.counts.setdefault(day, {})
        counts[label] = counts.get(label, 0) + (len(entry.serials) if isinstance(entry, ActEntry) else 1)
