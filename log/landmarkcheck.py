"""Draw a log's landmark lists again from its entries, and compare hashes (docs/spec/landmark.md): for the auditor.

Rounds are read off the time entries from the log's start on, once a run and only if the run met landmark entries.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from mingzheng.log.alarms import Alarm
from mingzheng.log.client import LogReader
from mingzheng.log.collected import OriginKeys
from mingzheng.log.entry import LandmarkEntry, TimeEntry
from mingzheng.log.errors import EntryError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.landmark import BlockBook, LandmarkMalformedError, encode_body

CODE = "audit.landmark_mismatch"
_TIME = b"\x83\x01\x07"  # how every time entry begins


class LandmarkCheck:
    """Keeps the rounds and block roots read so far; reads on when a list needs more."""

    def __init__(self, reader: LogReader, keys: OriginKeys) -> None:
        self._reader, self._origin = reader, keys.number
        self._book = BlockBook(origin=keys.number, height=keys.block_height)

    def check(self, entries: Sequence[tuple[int, LandmarkEntry]]) -> Iterator[Alarm]:
        """Alarms for the landmark entries (index, entry) whose hash is not that of the list at their head."""
        for index, entry in entries:
            self._read_to(index)
            wrong = self._wrong(entry)
            if wrong is not None:
                yield Alarm(code=CODE, index=index, detail=wrong, evidence={"logged": entry.sha256.hex()})

    def _read_to(self, size: int) -> None:
        book = self._book
        if book.end >= size:
            return
        for first, items in self._reader.bundles(book.end):
            for index, data in enumerate(items, first):
                end = index + 1 + (index + 1) % 2  # a filler follows where the count would be odd
                if data[:3] == _TIME and book.end < end <= size and (seconds := _time(data)) is not None:
                    book.add_round(end, seconds, self._reader.node)
            if first + len(items) >= size:
                return

    def _wrong(self, entry: LandmarkEntry) -> str | None:
        if len(entry.origins) != 1 or entry.origins[0].origin != self._origin:
            return "its heads are not exactly this log's"
        times = {"this_update": entry.this_update, "next_update": entry.next_update}
        try:
            body = self._book.draw(entry.origins[0], **times, read=self._reader.node)
            got = sha256(encode_body(body)).digest()
        except LandmarkMalformedError as error:
            return str(error)
        return None if got == entry.sha256 else f"the entries below give a list with hash {got.hex()}"


def _time(data: bytes) -> int | None:
    try:
        entry = read_entry(data)
    except EntryError:
        return None
    return entry.seconds if isinstance(entry, TimeEntry) else None
