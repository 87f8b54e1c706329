"""Read from a verified log what proves an alarm to a third party: the entries it needs, with the hashes around them.

Only what `LogReader` has verified is taken. Caps: a stretch of 70,000 entries and 6 MB.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.kid import Kid
from mingzheng.log.acts import ActType
from mingzheng.log.alarms import Alarm
from mingzheng.log.book import DAY_TOLERANCE
from mingzheng.log.charge import (
    BACKDATED,
    BURST,
    COMPROMISED,
    ONE_PERSON,
    TIME_BACKWARDS,
    Charge,
    can_be_charged,
)
from mingzheng.log.client import LogReader
from mingzheng.log.entry import ActEntry, IssueEntry, KeyEventEntry, NoticeEntry, TimeEntry, kids_of
from mingzheng.log.errors import EntryError, LogError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.patterns import parse_burst
from mingzheng.log.stretch import Stretch, build_stretch
from mingzheng.log.tile import TILE_WIDTH

MAX_ENTRIES: Final = 70_000
MAX_STRETCH_BYTES: Final = 6_000_000


class TooLongError(LogError):
    """The proof would need more entries than a file may hold."""

    code: ClassVar[str] = "evidence.too_long"


class Gatherer:
    """Makes charges out of alarms. `events`: which entry called a key compromised, by (issuer, kid)."""

    def __init__(self, reader: LogReader, events: Mapping[tuple[int, Kid], int]) -> None:
        self._reader, self._events = reader, events

    def charge(self, alarm: Alarm) -> Charge | None:
        """What proves the alarm, None if entries alone cannot. Raises TooLongError, FetchError, TileUntrueError."""
        index = alarm.index
        if index is None or not can_be_charged(alarm.code):
            return None
        limit = None
        if alarm.code == BACKDATED:
            stretches = self._day(index)
        elif alarm.code == TIME_BACKWARDS:
            before = self._time_before(index)
            stretches = () if before is None else (self._stretch(before[0]), self._stretch(index))
        elif alarm.code == COMPROMISED:
            stretches = self._compromised(index)
        elif alarm.code == BURST:
            limit = parse_burst(str(alarm.evidence["limit"]))
            after = self._time_after(index)
            end = index if after is None else after[0]
            stretches = (self._stretch(int(alarm.evidence["first"]), end + 1),)
        elif alarm.code == ONE_PERSON:
            stretches = self._by_one(index)
        else:
            stretches = (self._stretch(index),)
        if not stretches:
            return None
        note = self._reader.note()
        return Charge(claim=alarm.code, index=index, note=note, stretches=stretches, limit=limit)

    def _day(self, index: int) -> tuple[Stretch, ...]:
        """The entry between two time entries; all up to its round's where neither alone contradicts it."""
        entry = read_entry(self._reader.entry(index))
        assert isinstance(entry, IssueEntry)  # the alarm is about one
        before, after = self._time_before(index), self._time_after(index)
        around = [self._stretch(place[0]) for place in (before, after) if place is not None]
        late = before is not None and day_of_time(before[1]) - entry.issued_day > DAY_TOLERANCE
        early = after is not None and entry.issued_day - day_of_time(after[1]) > DAY_TOLERANCE
        if late or early or after is None:
            return (*around, self._stretch(index))
        return (*around[:-1], self._stretch(index, after[0] + 1))

    def _compromised(self, index: int) -> tuple[Stretch, ...]:
        entry = read_entry(self._reader.entry(index))
        assert isinstance(entry, IssueEntry | ActEntry | NoticeEntry | KeyEventEntry)  # the alarm is about one
        places = [(entry.issuer, kid) for kid in kids_of(entry)]
        events = [self._events[place] for place in places if place in self._events]
        return (*map(self._stretch, events), self._stretch(index))

    def _by_one(self, index: int) -> tuple[Stretch, ...]:
        """The entry; of a void with the issue of a serial that it voids. None if that is in an earlier log."""
        entry = read_entry(self._reader.entry(index))
        if not isinstance(entry, ActEntry) or entry.act != ActType.VOID:
            return (self._stretch(index),)
        issued = self._issue_before(entry, index)
        return () if issued is None else (self._stretch(issued), self._stretch(index))

    def _issue_before(self, act: ActEntry, index: int) -> int | None:
        """Where below `index` one of the act's serials was issued. Raises TooLongError after MAX_ENTRIES."""
        end = index
        while end > 0:
            if index - end >= MAX_ENTRIES:
                raise TooLongError(f"more than {MAX_ENTRIES} entries to the issue")
            start = (end - 1) // TILE_WIDTH * TILE_WIDTH
            for at, data in self._reader.entries(start, end):
                try:
                    entry = read_entry(data)
                except EntryError:
                    continue
                if isinstance(entry, IssueEntry) and entry.issuer == act.issuer and entry.serial in act.serials:
                    return at
            end = start
        return None

    def _stretch(self, start: int, end: int | None = None) -> Stretch:
        end = start + 1 if end is None else end
        if end - start > MAX_ENTRIES:
            raise TooLongError(f"{end - start} entries")
        entries: list[bytes] = []
        room = MAX_STRETCH_BYTES
        for _index, data in self._reader.entries(start, end):
            room -= len(data)
            if room < 0:  # said while reading: entries of a log that is charged may be as long as they come
                raise TooLongError(f"{end - start} entries of over {MAX_STRETCH_BYTES} bytes")
            entries.append(data)
        return build_stretch(start, entries, self._reader.checkpoint().size, self._reader.node)

    def _time_before(self, index: int) -> tuple[int, int] | None:
        """(index, seconds) of the last time entry below `index`."""
        while index > 0:
            start = (index - 1) // TILE_WIDTH * TILE_WIDTH
            found = list(_times(self._reader.entries(start, index)))
            if found:
                return found[-1]
            index = start
        return None

    def _time_after(self, index: int) -> tuple[int, int] | None:
        """(index, seconds) of the first time entry above `index`."""
        return next(_times(self._reader.entries(index + 1, self._reader.checkpoint().size)), None)

    def first_time(self, index: int) -> tuple[int, int] | None:
        """(index, seconds) of the first time entry at or above `index`."""
        return self._time_after(index - 1)

    def last_time(self) -> tuple[int, int] | None:
        """(index, seconds) of the log's last time entry."""
        return self._time_before(self._reader.checkpoint().size)


def _times(entries: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, int]]:
    for index, data in entries:
        try:
            entry = read_entry(data)
        except EntryError:
            continue
        if isinstance(entry, TimeEntry):
            yield index, entry.seconds


__all__: Sequence[str] = ("Gatherer", "TooLongError")
