"""From submissions to a round: what is new, whether it may stand, what it changes (docs/spec/log.md, Rounds).

Pure. A round is the new entries in their order, one time entry, and a filler if the count would be odd.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mingzheng.formats.civil import day_of_time
from mingzheng.log.book import DAY_TOLERANCE, Book, RootAt, RuleError, clock_faults
from mingzheng.log.entry import (
    OWN_ENTRIES,
    ActEntry,
    CloseEntry,
    Entry,
    FillerEntry,
    IssueEntry,
    OwnEntry,
    TimeEntry,
    encode_entry,
)
from mingzheng.log.errors import EntryError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.refusal import RoundTooLargeError, SubmissionError

MAX_ENTRIES = 65_534
"""New entries in one call: with time and filler a round stays within 65,536."""

MAX_KEY_BYTES = 64
KEY_CONFLICT = "log.key_conflict"
BAD_KEY = "log.bad_key"
WRONG_DAY = "log.wrong_day"
NOT_SUBMITTABLE = "log.not_submittable"

_FILLER = encode_entry(FillerEntry())


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An entry to append. `key`: 1 to 64 bytes; the same key and entry again give the same index."""

    key: bytes
    entry: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Submissions by position: `known` ones with their index, the others with their place in the round.

    `fresh`: the first submission of each new key, in order of place.
    """

    known: Mapping[int, int]
    places: Mapping[int, int]
    fresh: Mapping[int, Submission]

    def indexes(self, start: int) -> tuple[int, ...]:
        """The index of every submission, the new ones appended from `start`."""
        count = len(self.known) + len(self.places)
        return tuple(self.known[at] if at in self.known else start + self.places[at] for at in range(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTime:
    """Where and when the round stands: its first index, and seconds since the epoch."""

    start: int
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Entries to append from `start`, and for the database which serials they name first where."""

    start: int
    time: int
    entries: tuple[bytes, ...]
    touched: Mapping[tuple[int, int], int]
    closes: bool = False


def own_draft(entry: OwnEntry) -> Draft:
    """The draft of a round with one entry of the sequencer's own, under no key."""
    return Draft(known={}, places={0: 0}, fresh={0: Submission(key=b"", entry=encode_entry(entry))})


def check_call(submissions: Sequence[Submission]) -> None:
    """Raise RoundTooLargeError for too many, SubmissionError for a key or entry of a wrong size."""
    if len(submissions) > MAX_ENTRIES:
        raise RoundTooLargeError(len(submissions), MAX_ENTRIES)
    for position, item in enumerate(submissions):
        if not 1 <= len(item.key) <= MAX_KEY_BYTES:
            raise SubmissionError(position, BAD_KEY, f"key of {len(item.key)} bytes, 1 to {MAX_KEY_BYTES} are taken")


def sort_out(submissions: Sequence[Submission], known: Mapping[bytes, int], leaf_at: Callable[[int], Hash]) -> Draft:
    """Tell repetitions from new entries. Raises SubmissionError where a used key comes with another entry."""
    repeated: dict[int, int] = {}
    places: dict[int, int] = {}
    fresh: dict[int, Submission] = {}
    first: dict[bytes, tuple[int, bytes]] = {}
    for position, item in enumerate(submissions):
        index = known.get(item.key)
        if index is not None:
            if leaf_at(index) != leaf_hash(item.entry):
                raise SubmissionError(position, KEY_CONFLICT, f"the key stands for another entry, at {index}")
            repeated[position] = index
        elif item.key in first:
            place, entry = first[item.key]
            if entry != item.entry:
                raise SubmissionError(position, KEY_CONFLICT, "the key comes twice with different entries")
            places[position] = place
        else:
            first[item.key] = (len(fresh), item.entry)
            places[position] = len(fresh)
            fresh[position] = item
    return Draft(known=repeated, places=places, fresh=fresh)


def parse_fresh(draft: Draft) -> dict[int, Entry]:
    """The new entries by position. Raises SubmissionError for malformed ones and for the sequencer's own."""
    parsed: dict[int, Entry] = {}
    for position, item in draft.fresh.items():
        try:
            entry = read_entry(item.entry)
        except EntryError as error:
            raise SubmissionError(position, error.code, str(error)) from error
        if isinstance(entry, OWN_ENTRIES):
            raise SubmissionError(position, NOT_SUBMITTABLE, "the sequencer alone writes entries of this type")
        parsed[position] = entry
    return parsed


def make_round(draft: Draft, parsed: Mapping[int, Entry], book: Book, *, time: RoundTime, root_at: RootAt) -> Round:
    """Apply every rule in order and form the round; `book` holds the effects afterwards.

    `parsed`: by position. Raises SubmissionError for the first entry that may not stand.
    """
    touched: dict[tuple[int, int], int] = {}
    today = day_of_time(time.now)
    for place, (position, entry) in enumerate(parsed.items()):
        index = time.start + place
        if isinstance(entry, IssueEntry):
            touched.setdefault((entry.issuer, entry.serial), index)
            if abs(entry.issued_day - today) > DAY_TOLERANCE:
                raise SubmissionError(position, WRONG_DAY, f"issued on day {entry.issued_day}, today is day {today}")
        elif isinstance(entry, ActEntry):
            for serial in entry.serials:
                touched.setdefault((entry.issuer, serial), index)
        faults: list[RuleError] = [*book.apply(entry, index, root_at), *clock_faults(entry, time.now)]
        if faults:
            raise SubmissionError(position, faults[0].code, str(faults[0])) from faults[0]
    entries = [item.entry for item in draft.fresh.values()]
    entries.append(encode_entry(TimeEntry(seconds=time.now)))
    if len(entries) % 2:
        entries.append(_FILLER)
    closes = any(isinstance(entry, CloseEntry) for entry in parsed.values())
    return Round(start=time.start, time=time.now, entries=tuple(entries), touched=touched, closes=closes)
