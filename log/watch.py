"""What happened to one credential since: every entry of the log that names its serial or its key (docs/audit.md).

The whole log is read under its signed head, so nothing can be left out of what is told; that the entries follow the
rules is the audit's business, but an act whose signature is not good is told as such.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mingzheng.formats.civil import day_of_time
from mingzheng.formats.claims import parse_claims
from mingzheng.formats.credential import UnverifiedCredential
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import TrustData
from mingzheng.log.actkeys import TrustActKeys
from mingzheng.log.acts import SerialEvent, SerialState, step
from mingzheng.log.book import (
    ActSignatureError,
    Book,
    OnePersonError,
    RequestDayError,
    RequestSignatureError,
    SamePersonError,
    UnknownKeyError,
)
from mingzheng.log.client import LogReader
from mingzheng.log.collected import OriginKeys
from mingzheng.log.entry import (
    ActEntry,
    CloseEntry,
    Entry,
    IssueEntry,
    KeyEventEntry,
    TimeEntry,
    encode_entry,
    issue_entry,
)
from mingzheng.log.errors import ActOrderError, EntryError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.hashing import EMPTY_ROOT
from mingzheng.log.quorum import quorum_of

_UNSIGNED = (
    *(ActSignatureError, UnknownKeyError),
    *(OnePersonError, SamePersonError, RequestSignatureError, RequestDayError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """`what`: issue, the name of an act, key_added, key_retired, key_compromised. `logged_at`: the round's time.

    `counts`: False for an act that its issuer's key, or the two persons it takes, did not sign or that may not
    follow, and for the issue of another credential under the same serial.
    """

    index: int
    what: str
    day: int
    logged_at: int | None
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What the log of `size` entries says of a serial. `issued_here`: this very credential stands in it.

    `closed`: the log was closed, so what came later stands in its successor. `witnessed`: the quorum of the trust data
    cosigned the head; None if they demand none.
    """

    issuer: int
    serial: int
    kid: Kid
    size: int
    happenings: tuple[Happening, ...]
    issued_here: bool
    state: SerialState
    last_time: int | None
    closed: bool
    witnessed: bool | None

    @property
    def live(self) -> bool:
        """Issued, and neither suspended nor ended, by a head that shows it: not a closed log's, not an unwitnessed."""
        issued = self.issued_here and any(item.what == "issue" and item.counts for item in self.happenings)
        return issued and self.state is SerialState.LIVE and not self.closed and self.witnessed is not False


def watch(reader: LogReader, credential: UnverifiedCredential, trust: TrustData, keys: OriginKeys) -> Course | None:
    """Read the log from its first entry; None if the trust data do not know the credential's key.

    Raises FormatError for its claims, KeysError, FetchError, TileUntrueError, PolicyError, QuorumUnboundError.
    """
    quorum = quorum_of(trust)
    record = trust.key(credential.kid)
    if record is None:
        return None
    claims = parse_claims(credential.payload)
    mine = encode_entry(issue_entry(claims, identity=credential.identity, kid=credential.kid, issuer=record.issuer))
    watcher = _Watcher(Book(origin=keys.number, origin_name=keys.name, keys=TrustActKeys(trust)), mine)
    for index, data in reader.entries(0, reader.checkpoint().size):
        watcher.take(index, data)
    seen = None if quorum is None else quorum.count(reader.note(), origin=keys.number, name=keys.name, vkey=keys.vkey)
    return Course(
        issuer=record.issuer,
        serial=claims.serial,
        kid=credential.kid,
        size=reader.checkpoint().size,
        happenings=watcher.happenings(),
        issued_here=watcher.issued,
        state=watcher.state,
        last_time=watcher.last_time,
        closed=watcher.closed,
        witnessed=None if seen is None else seen.satisfied,
    )


class _Watcher:
    def __init__(self, book: Book, mine: bytes) -> None:
        entry = read_entry(mine)
        assert isinstance(entry, IssueEntry)  # it was just made
        self._book, self._mine = book, entry
        self._found: list[tuple[int, str, int, bool]] = []
        self._logged: list[int] = []
        self.issued = self.closed = False
        self.state = SerialState.UNKNOWN
        self.last_time: int | None = None

    def take(self, index: int, data: bytes) -> None:
        """One entry; most are another's issue."""
        try:
            entry = read_entry(data)
        except EntryError:
            return
        if isinstance(entry, TimeEntry):
            self.last_time = entry.seconds
            self._logged += [entry.seconds] * (len(self._found) - len(self._logged))
        elif isinstance(entry, CloseEntry):
            self.closed = True
        elif isinstance(entry, IssueEntry | ActEntry | KeyEventEntry) and entry.issuer == self._mine.issuer:
            for what, day, counts in self._of(entry, index):
                self._found.append((index, what, day, counts))

    def _of(self, entry: IssueEntry | ActEntry | KeyEventEntry, index: int) -> Iterator[tuple[str, int, bool]]:
        if isinstance(entry, IssueEntry):
            if entry.serial == self._mine.serial:
                same = entry == self._mine
                self.issued = self.issued or same
                yield "issue", entry.issued_day, self._step(SerialEvent.ISSUE) and same
        elif isinstance(entry, ActEntry):
            if self._mine.serial in entry.serials:
                signed = self._signed(entry, index)
                yield entry.act.name.lower(), entry.day, signed and self._step(SerialEvent(entry.act))
        elif entry.subject_kid == self._mine.kid:
            yield f"key_{entry.event.name.lower()}", entry.day, self._signed(entry, index)

    def _signed(self, entry: Entry, index: int) -> bool:
        faults = Book(origin=self._book.origin, origin_name=self._book.origin_name, keys=self._book.keys).apply(
            entry, index, lambda _size: EMPTY_ROOT
        )
        return not any(isinstance(fault, _UNSIGNED) for fault in faults)

    def _step(self, event: SerialEvent) -> bool:
        try:
            self.state = step(self.state, event)
        except ActOrderError:
            return False
        return True

    def happenings(self) -> tuple[Happening, ...]:
        """What was found, in log order."""
        times: list[int | None] = [*self._logged, *[None] * (len(self._found) - len(self._logged))]
        return tuple(
            Happening(index=index, what=what, day=day, logged_at=logged, counts=counts)
            for (index, what, day, counts), logged in zip(self._found, times, strict=True)
        )


def logged_day(happening: Happening) -> int | None:
    """The civil day of the round."""
    return None if happening.logged_at is None else day_of_time(happening.logged_at)
