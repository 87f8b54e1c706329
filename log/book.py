"""What the log's entries have said so far, and whether the next one may follow (docs/spec/log.md).

Pure; one rule book for the sequencer, which refuses, and the auditor, which alarms. `Book.apply` takes an entry in
and returns every rule it breaks; the sequencer throws its book away on the first, the auditor goes on.
`clock_faults` is for the end of a round, when its time is known.
"""

from collections.abc import Generator, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.alg import verify
from mingzheng.keys.errors import SignatureInvalidError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.log.acts import ActType, SerialEvent, SerialState, step
from mingzheng.log.entry import (
    OWN_ENTRIES,
    ActEntry,
    CloseEntry,
    Entry,
    FillerEntry,
    IssueEntry,
    KeyEventEntry,
    KeyEventType,
    LandmarkEntry,
    NoticeEntry,
    OriginHead,
    Request,
    ShardEntry,
    SignedEntry,
    StatusEntry,
    TimeEntry,
    act_message,
    asked_of,
    request_message,
)
from mingzheng.log.errors import ActOrderError, LogError, NoticeBodyError
from mingzheng.log.hashing import EMPTY_ROOT, Hash
from mingzheng.log.noticebody import FIRST_NUMBER, MAX_NOTICES, parse_body

MAX_STATUS_LAG = 65_536
"""How far below its own index a status entry's size may lie: the largest round. Other issuers' entries may stand
between, its own issuer's may not; whoever holds the list alone can check this much."""

MAX_STATUS_AGE = 3_600
MAX_STATUS_SPAN = 86_400
"""Seconds: `this_update` before the round's time, `next_update` after `this_update`."""

DAY_TOLERANCE = 1
"""Days between what an entry is dated and its round."""

REQUEST_DAYS = 7
"""Days that the first of two persons' request may lie before the entry of the second."""

LOG_ITSELF = 0
"""Issuer number under which the book keeps what landmark entries said."""

STATES = tuple(SerialState)
CODE_OF = {state: code for code, state in enumerate(STATES)}
_UNKNOWN = CODE_OF[SerialState.UNKNOWN]
_LIVE = CODE_OF[SerialState.LIVE]
_ISSUED = frozenset(CODE_OF[state] for state in SerialState) - {_UNKNOWN, CODE_OF[SerialState.VOID]}

_ISSUES = (Role.CREDENTIAL,)
_AUTHORISES = (Role.AUTHORITY,)
_ACTS = (Role.ACT, Role.OPERATOR)
_PERSONS = (Role.OPERATOR,)


class ActKeys(Protocol):
    """Who may write what: answered from trust data, or from a workspace's own keys."""

    def record(self, kid: Kid) -> KeyRecord | None:
        """The key of that kid with its role and scope; None if there is none."""

    def may_name(self, issuer: int, origin: int) -> bool:
        """Whether lists of the issuer (landmarks: issuer 0) may be drawn from that origin too."""

    def needs_two(self, issuer: int, day: int) -> bool:
        """Whether on that day the issuer revokes, voids what it issued and gives notice by two persons: it has had an
        operator key by then, sound or not."""


class RuleError(LogError):
    """Base: an entry breaks a rule of the log."""

    code: ClassVar[str] = "rule.broken"


class UnknownKeyError(RuleError):
    """The kid is no key of that issuer and role."""

    code: ClassVar[str] = "rule.unknown_key"


class KeyRetiredError(RuleError):
    """The kid was retired or declared compromised earlier in the log."""

    code: ClassVar[str] = "rule.key_retired"

    def __init__(self, kid: Kid, at: int, what: str = "was retired at") -> None:
        super().__init__(f"kid {kid.hex()} {what} entry {at}")
        self.kid, self.at = kid, at


class KeyKindError(RuleError):
    """A credential key issues a kind that is not in its scope."""

    code: ClassVar[str] = "rule.key_kind"


class KeyDayError(RuleError):
    """An entry is of a day outside its key's days."""

    code: ClassVar[str] = "rule.key_day"


class KeyCompromisedError(RuleError):
    """The trust data call the key compromised, and the entry is not below its last good size."""

    code: ClassVar[str] = "rule.key_compromised"


class ActDayError(RuleError):
    """An act, notice or key event is dated more than a day away from its round."""

    code: ClassVar[str] = "rule.act_day"


class SerialOrderError(RuleError):
    """A serial comes twice, or an act may not follow its state."""

    code: ClassVar[str] = "rule.serial_order"


class ActNumberError(RuleError):
    """Act numbers of an issuer are not dense from 0: one was repeated or left out."""

    code: ClassVar[str] = "rule.act_number"

    def __init__(self, *, issuer: int, want: int, got: int) -> None:
        super().__init__(f"issuer {issuer}: act number {got}, the next is {want}")
        self.want, self.got = want, got


class ActSignatureError(RuleError):
    """The act key (key events: the authority key) did not sign this."""

    code: ClassVar[str] = "rule.act_signature"


class OnePersonError(RuleError):
    """A revocation, the voiding of an issued serial or a notice by one person, though its issuer has operator keys."""

    code: ClassVar[str] = "rule.one_person"


class SamePersonError(RuleError):
    """The first and the second of two persons are one key."""

    code: ClassVar[str] = "rule.same_person"


class RequestSignatureError(RuleError):
    """The operator key that a request names did not sign it."""

    code: ClassVar[str] = "rule.request_signature"


class RequestDayError(RuleError):
    """A request is dated more than 7 days before the entry that carries it, or more than a day after it."""

    code: ClassVar[str] = "rule.request_day"


class NoticeFormError(RuleError):
    """A notice's body is none of the four bodies."""

    code: ClassVar[str] = "rule.notice_body"


class NoticeNumberError(RuleError):
    """Notice numbers of an issuer are not dense from 1 to 1,000: one was repeated, left out, or is one too many."""

    code: ClassVar[str] = "rule.notice_number"

    def __init__(self, *, issuer: int, want: int, got: int) -> None:
        super().__init__(f"issuer {issuer}: notice number {got}, the next is {want}")
        self.want, self.got = want, got


class HeadError(RuleError):
    """A status or landmark entry names a head that this log never had, or one after itself."""

    code: ClassVar[str] = "rule.wrong_head"


class HeadShrinksError(RuleError):
    """A list states a smaller size of an origin than the list before it, or leaves the origin out."""

    code: ClassVar[str] = "rule.head_shrinks"


class UnknownOriginError(RuleError):
    """A list names an origin that is unknown, or that no key of the issuer may log in."""

    code: ClassVar[str] = "rule.unknown_origin"


class StatusIncompleteError(RuleError):
    """A status entry was drawn before an entry of its issuer that stands below it, or too far back."""

    code: ClassVar[str] = "rule.status_incomplete"


class StatusTimeError(RuleError):
    """An issuer's status entries go back in time."""

    code: ClassVar[str] = "rule.status_time"


class StatusClockError(RuleError):
    """A status entry's times do not fit the time of its round, or its list holds for too long."""

    code: ClassVar[str] = "rule.status_clock"


class MissingHeadError(RuleError):
    """A status or landmark entry does not cover this log."""

    code: ClassVar[str] = "rule.origin_missing"


class LogClosedError(RuleError):
    """The log was closed; its successor takes what is new."""

    code: ClassVar[str] = "rule.log_closed"


class ShardError(RuleError):
    """Entry 0 does not say what this log goes on from, or says what is not so; or such an entry stands elsewhere."""

    code: ClassVar[str] = "rule.wrong_shard"


@dataclass(slots=True, kw_only=True)
class IssuerBook:
    """One issuer's part. `states`: serial → position in STATES; serials never named are absent.

    `last_index`: of its last entry other than a status entry, -1 before the first. `status_sizes`: the greatest size
    of each origin that its lists stated.
    """

    next_act: int = 0
    next_notice: int = FIRST_NUMBER
    next_serial: int = 0
    states: MutableMapping[int, int] = field(default_factory=dict)
    last_index: int = -1
    status_index: int | None = None
    status_time: int | None = None
    status_sizes: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """One signature, and whose it should be."""

    issuer: int
    kid: Kid
    roles: tuple[Role, ...]  # one of which its key must have
    day: int
    signature: bytes
    forged: RuleError  # what it is if the key did not sign


class RootAt(Protocol):
    """Gives the log's own root at a size, None if it cannot say."""

    def __call__(self, size: int, /) -> Hash | None: ...


@dataclass(slots=True, kw_only=True)
class Book:
    """All issuers of one log. `keys` None: signatures and key membership go unchecked (no trust data).

    `begins`: what entry 0 must be, None for a log that continues none. `closed`: the index of the close entry.
    """

    origin: int
    origin_name: str
    keys: ActKeys | None
    issuers: dict[int, IssuerBook] = field(default_factory=dict)
    retired: dict[tuple[int, Kid], int] = field(default_factory=dict)
    begins: ShardEntry | None = None
    closed: int | None = None

    def issuer(self, number: int) -> IssuerBook:
        """The issuer's part, empty at first."""
        found = self.issuers.get(number)
        if found is None:
            found = self.issuers[number] = IssuerBook()
        return found

    def apply(self, entry: Entry, index: int, root_at: RootAt) -> list[RuleError]:
        """Take the entry in; every rule it breaks, none if it may stand at `index`.

        `root_at` serves sizes up to `index`. Time and filler entries are the round's own and break nothing here.
        """
        if index == 0 or self.closed is not None:
            return [*self._border(entry, index), *self._inside(entry, index, root_at)]
        return self._inside(entry, index, root_at)

    def _border(self, entry: Entry, index: int) -> Iterator[RuleError]:
        """Where the log begins and ends."""
        if self.closed is not None and not isinstance(entry, TimeEntry | FillerEntry):
            yield LogClosedError(f"the log was closed at entry {self.closed}")
        if index == 0 and self.begins is not None and entry != self.begins:
            yield ShardError("entry 0 is not the one that follows from the logs before")

    def _inside(self, entry: Entry, index: int, root_at: RootAt) -> list[RuleError]:
        if isinstance(entry, IssueEntry):
            return self._issue(entry, index)
        if isinstance(entry, ActEntry | NoticeEntry | KeyEventEntry):
            return [*self._signed(entry, index), *self._effects(entry, index)]
        if isinstance(entry, StatusEntry):
            return [*self._heads(entry.issuer, entry.origins, index, root_at), *self._status(entry, index)]
        if isinstance(entry, LandmarkEntry):
            return list(self._heads(LOG_ITSELF, entry.origins, index, root_at))
        if isinstance(entry, ShardEntry) and (index != 0 or self.begins is None):
            return [ShardError("a log goes on from another only at entry 0, and only from one that is known")]
        if isinstance(entry, CloseEntry) and self.closed is None:
            self.closed = index
        return []

    def _key(self, issuer: int, kid: Kid, roles: tuple[Role, ...]) -> KeyRecord | None:
        """The issuer's key of one of those roles that may log here."""
        record = None if self.keys is None else self.keys.record(kid)
        if record is None or record.issuer != issuer or record.role not in roles or not record.may_log(self.origin):
            return None
        return record

    def _issue(self, entry: IssueEntry, index: int) -> list[RuleError]:
        faults: list[RuleError] = []
        issuer, kid, serial = entry.issuer, entry.kid, entry.serial
        if self.keys is not None:
            key = self._key(issuer, kid, _ISSUES)
            if key is None:
                faults.append(UnknownKeyError(f"kid {kid.hex()} may not issue for issuer {issuer} here"))
            else:
                if entry.kind not in key.kinds:
                    faults.append(KeyKindError(f"kid {kid.hex()} may not issue kind {entry.kind}"))
                faults.extend(self._scope(key, entry.issued_day, index))
        if self.retired and (issuer, kid) in self.retired:
            faults.append(KeyRetiredError(kid, self.retired[issuer, kid]))
        book = self.issuer(issuer)
        book.last_index = index
        if book.states.get(serial, _UNKNOWN) == _UNKNOWN:
            book.states[serial] = _LIVE
        else:
            faults.extend(_step(book, issuer, serial, SerialEvent.ISSUE))
        if serial >= book.next_serial:
            book.next_serial = serial + 1
        return faults

    def _scope(self, key: KeyRecord, day: int, index: int) -> Iterator[RuleError]:
        if not key.allows_day(day):
            yield KeyDayError(f"kid {key.kid.hex()} is not valid on day {day}")
        if not key.counts_at(origin=self.origin, index=index):
            yield KeyCompromisedError(f"kid {key.kid.hex()} is compromised at or below entry {index}")

    def _signed(self, entry: SignedEntry, index: int) -> Iterator[RuleError]:
        issuer, what = entry.issuer, f"issuer {entry.issuer}, act number {entry.act_number}"
        request = None if isinstance(entry, KeyEventEntry) else entry.request
        signed = _Signed(
            issuer=issuer,
            kid=entry.kid,
            roles=_AUTHORISES if isinstance(entry, KeyEventEntry) else _ACTS if request is None else _PERSONS,
            day=entry.day,
            signature=entry.signature,
            forged=ActSignatureError(f"{what}: signature is not good"),
        )
        key = yield from self._signature(signed, act_message(entry, self.origin_name), index)
        if isinstance(entry, ActEntry | NoticeEntry):
            if request is not None:
                yield from self._request(entry, request, key, index)
            elif self._needs_two(entry):
                yield OnePersonError(f"{what}: the issuer has operators, and one person alone signed this")
        book = self.issuer(issuer)
        if entry.act_number != book.next_act:
            yield ActNumberError(issuer=issuer, want=book.next_act, got=entry.act_number)
        book.next_act = max(book.next_act, entry.act_number + 1)

    def _signature(self, signed: "_Signed", message: bytes, index: int) -> Generator[RuleError, None, KeyRecord | None]:
        """One signature under a key of its roles that is sound here and on its day; returns the key if it is one."""
        issuer, kid, key = signed.issuer, signed.kid, None
        if self.keys is not None:
            key = self._key(issuer, kid, signed.roles)
            if key is None:
                yield UnknownKeyError(f"kid {kid.hex()} is no {' or '.join(signed.roles)} key of issuer {issuer}")
            else:
                yield from self._scope(key, signed.day, index)
                try:
                    verify(key.public_key, signature=signed.signature, message=message)
                except SignatureInvalidError:
                    yield signed.forged
        if (issuer, kid) in self.retired:
            yield KeyRetiredError(kid, self.retired[issuer, kid])
        return key

    def _needs_two(self, entry: ActEntry | NoticeEntry) -> bool:
        """Of one person's entry: whether it ends what somebody holds, or tells something of it."""
        if self.keys is None or not self.keys.needs_two(entry.issuer, entry.day):
            return False
        if isinstance(entry, NoticeEntry) or entry.act == ActType.REVOKE:
            return True
        if entry.act != ActType.VOID:
            return False
        states = self.issuer(entry.issuer).states  # of a serial that was never issued nobody holds a copy
        return any(states.get(serial, _UNKNOWN) in _ISSUED for serial in entry.serials)

    def _request(
        self, entry: ActEntry | NoticeEntry, request: Request, second: KeyRecord | None, index: int
    ) -> Iterator[RuleError]:
        """The first person's: another operator than the second, who asked for just this in the days before."""
        issuer, kid, what = entry.issuer, request.kid, f"issuer {entry.issuer}, act number {entry.act_number}"
        signed = _Signed(
            issuer=issuer,
            kid=kid,
            roles=_PERSONS,
            day=request.day,
            signature=request.signature,
            forged=RequestSignatureError(f"{what}: kid {kid.hex()} did not ask for this"),
        )
        message = request_message(asked_of(entry), self.origin_name, kid=kid, day=request.day)
        first = yield from self._signature(signed, message, index)
        if kid == entry.kid or (first and second and first.public_key.raw() == second.public_key.raw()):
            yield SamePersonError(f"{what}: asked for and approved by one key, {kid.hex()}")
        if not -REQUEST_DAYS <= request.day - entry.day <= DAY_TOLERANCE:
            yield RequestDayError(f"{what}: asked for on day {request.day}, of day {entry.day}")

    def _number(self, entry: NoticeEntry) -> Iterator[RuleError]:
        """Its body is one, and of the next number."""
        try:
            number = parse_body(entry.notice, entry.body).number
        except NoticeBodyError as error:
            yield NoticeFormError(f"issuer {entry.issuer}, act number {entry.act_number}: {error}")
            return
        book = self.issuer(entry.issuer)
        if number != book.next_notice or number > MAX_NOTICES:  # of more, verifiers would believe none
            yield NoticeNumberError(issuer=entry.issuer, want=book.next_notice, got=number)
        book.next_notice = max(book.next_notice, number + 1)

    def _effects(self, entry: SignedEntry, index: int) -> Iterator[RuleError]:
        self.issuer(entry.issuer).last_index = index
        if isinstance(entry, NoticeEntry):
            yield from self._number(entry)
        elif isinstance(entry, ActEntry):
            book = self.issuer(entry.issuer)
            event = SerialEvent(entry.act)
            for serial in entry.serials:
                yield from _step(book, entry.issuer, serial, event)
                if event == SerialEvent.VOID and serial >= book.next_serial:
                    book.next_serial = serial + 1
        else:
            subject = (entry.issuer, entry.subject_kid)
            if entry.event != KeyEventType.ADDED:
                self.retired.setdefault(subject, index)
            elif subject in self.retired:
                yield KeyRetiredError(entry.subject_kid, self.retired[subject], "comes back after")

    def _heads(self, issuer: int, origins: tuple[OriginHead, ...], index: int, root_at: RootAt) -> Iterator[RuleError]:
        book = self.issuer(issuer)
        sizes = {head.origin: head.size for head in origins}
        if self.origin not in sizes:
            yield MissingHeadError(f"origin {self.origin} is not among the heads")
        frozen = {} if self.begins is None else {head.origin: head for head in self.begins.origins}
        for origin in frozen.keys() - sizes.keys() if issuer != LOG_ITSELF else ():
            yield MissingHeadError(f"origin {origin}, from which this log goes on, is not among the heads")
        for head in origins:
            if head.origin == self.origin:
                root = root_at(head.size) if head.size <= index else None
            elif head.origin in frozen:
                root = frozen[head.origin].root if head.size == frozen[head.origin].size else None
            elif self.keys is not None and not self.keys.may_name(issuer, head.origin):
                yield UnknownOriginError(f"origin {head.origin} is not one that issuer {issuer} may log in")
                continue
            else:
                root = EMPTY_ROOT if head.size == 0 else head.root  # another log's: its auditor's to check
            if root != head.root:
                yield HeadError(f"size {head.size} with root {head.root.hex()} is no head of this log before {index}")
        for origin, size in book.status_sizes.items():
            if issuer == LOG_ITSELF and origin in frozen:
                continue  # a landmark list is of one log: the frozen ones have had their last
            if sizes.get(origin, -1) < size:
                yield HeadShrinksError(f"issuer {issuer}: origin {origin} had {size}, now {sizes.get(origin)}")
            sizes[origin] = max(size, sizes.get(origin, size))
        book.status_sizes = sizes

    def _status(self, entry: StatusEntry, index: int) -> Iterator[RuleError]:
        book = self.issuer(entry.issuer)
        for head in entry.origins:
            if head.origin == self.origin and head.size <= max(book.last_index, index - MAX_STATUS_LAG - 1):
                yield StatusIncompleteError(
                    f"issuer {entry.issuer}: drawn at size {head.size}, its last entry is {book.last_index}, "
                    f"the list stands at {index}"
                )
        if book.status_time is not None and entry.this_update < book.status_time:
            yield StatusTimeError(f"issuer {entry.issuer}: this-update {entry.this_update} after {book.status_time}")
        book.status_index, book.status_time = index, max(entry.this_update, book.status_time or 0)


def clock_faults(entry: Entry, seconds: int) -> Iterator[RuleError]:
    """What of an entry does not fit a round of that time. Days of issue are looked at beside (`DAY_TOLERANCE`)."""
    if isinstance(entry, ActEntry | NoticeEntry | KeyEventEntry):
        today = day_of_time(seconds)
        if abs(entry.day - today) > DAY_TOLERANCE:
            yield ActDayError(f"issuer {entry.issuer}, act number {entry.act_number}: day {entry.day}, today {today}")
    if isinstance(entry, StatusEntry):
        age, span = seconds - entry.this_update, entry.next_update - entry.this_update
        if not 0 <= age <= MAX_STATUS_AGE or span > MAX_STATUS_SPAN:
            yield StatusClockError(
                f"issuer {entry.issuer}: this-update {entry.this_update} and next-update {entry.next_update} "
                f"in a round of {seconds}"
            )


def wanted_serials(entries: Mapping[int, Entry]) -> dict[int, set[int]]:
    """Which serials of which issuers these entries (by position) name: what to look up before applying them."""
    wanted: dict[int, set[int]] = {}
    for entry in entries.values():
        if isinstance(entry, IssueEntry):
            wanted.setdefault(entry.issuer, set()).add(entry.serial)
        elif isinstance(entry, ActEntry):
            wanted.setdefault(entry.issuer, set()).update(entry.serials)
        elif isinstance(entry, NoticeEntry | KeyEventEntry | StatusEntry):
            wanted.setdefault(entry.issuer, set())
        elif not isinstance(entry, OWN_ENTRIES):  # a landmark
            wanted.setdefault(LOG_ITSELF, set())
    return wanted


def _step(book: IssuerBook, issuer: int, serial: int, event: SerialEvent) -> Iterator[RuleError]:
    state = STATES[book.states.get(serial, _UNKNOWN)]
    try:
        book.states[serial] = CODE_OF[step(state, event)]
    except ActOrderError as error:
        yield SerialOrderError(f"issuer {issuer}, serial {serial}: {error}")
