"""The entries of the log as deterministic CBOR arrays (docs/spec/log.md, Entries), strict both ways.

Limits: 40,000 bytes an entry, 32,768 bytes a notice's body, 4,096 serials an act. No personal data.
`encode_entry(parse_entry(data)) == data` for every accepted input.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeAlias, assert_never

from mingzheng.formats import cbor
from mingzheng.formats.errors import FormatError
from mingzheng.keys.kid import Kid
from mingzheng.log.acts import ActType
from mingzheng.log.errors import EntryError, EntryTooLargeError, EntryTypeError, EntryVersionError
from mingzheng.log.hashing import HASH_BYTES, Hash
from mingzheng.log.merkle import MAX_SIZE

VERSION = 1
MAX_BYTES = 40_000
MAX_BODY_BYTES = 32_768
MAX_SERIALS = 4_096
MAX_NUMBER = 65_535
MAX_SERIAL = 2**40 - 1
MAX_TIME = 2**40 - 1
MIN_DAY = -25_567  # 1900-01-01
MAX_DAY = 2_932_896  # 9999-12-31
KID_BYTES = 8
SIGNATURE_BYTES = 64
ACT_DOMAIN = "mingzheng/act/v1"
REQUEST_DOMAIN = "mingzheng/request/v1"

_DEPTH = 3  # entry, list of heads, head
_WITH_REQUEST = 10  # items of an act or notice of two persons


class EntryType(IntEnum):
    """Second item of every entry."""

    ISSUE = 1
    ACT = 2
    NOTICE = 3
    KEY_EVENT = 4
    STATUS = 5
    LANDMARK = 6
    TIME = 7
    FILLER = 8
    SHARD = 9
    CLOSE = 10


class NoticeType(IntEnum):
    """What a notice announces."""

    BLANKET_EXTENSION = 1
    RETIRED_FORM = 2
    SEAL_CHANGE = 3
    RETRACTION = 4


class KeyEventType(IntEnum):
    """What happened to a key."""

    ADDED = 1
    RETIRED = 2
    COMPROMISED = 3


class OriginSize(NamedTuple):
    """A size of one log, named by its origin number."""

    origin: int
    size: int


class OriginHead(NamedTuple):
    """A head of one log, named by its origin number."""

    origin: int
    size: int
    root: Hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the first of two persons signed, days before the second did: see `request_message`."""

    kid: Kid  # of the first person's operator key
    day: int
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one person asks for and another approves: an act on serials, or a notice's body."""

    issuer: int
    code: ActType | NoticeType
    about: tuple[int, ...] | bytes  # serials, strictly rising; or the body


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueEntry:
    """A credential was issued. A function of the credential and its key's issuer number alone."""

    issuer: int
    kid: Kid  # of the credential key
    kind: int
    serial: int
    identity: bytes  # 32 bytes
    issued_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActEntry:
    """An act of the issuer on serials, signed by its act key, or by an operator's; with two persons, the second's."""

    issuer: int
    kid: Kid  # of the act or operator key
    act_number: int
    act: ActType
    serials: tuple[int, ...]  # strictly rising
    day: int
    signature: bytes
    request: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeEntry:
    """A notice in full, signed as an act is. `body`: what `noticebody` reads."""

    issuer: int
    kid: Kid
    act_number: int
    notice: NoticeType
    day: int
    body: bytes
    signature: bytes
    request: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEventEntry:
    """A key was added, retired or compromised, signed by the issuer's authority key."""

    issuer: int
    kid: Kid  # of the authority key
    act_number: int
    event: KeyEventType
    subject_kid: Kid
    day: int
    sizes: tuple[OriginSize, ...]  # rising origins; for a compromise the last good sizes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEntry:
    """The hash of a status list's unsigned body and the heads it was drawn from."""

    issuer: int
    origins: tuple[OriginHead, ...]  # rising origins
    this_update: int
    next_update: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkEntry:
    """The hash of a landmark list's unsigned body and the heads it was drawn from."""

    origins: tuple[OriginHead, ...]
    this_update: int
    next_update: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeEntry:
    """When the round was sequenced, seconds since the epoch."""

    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillerEntry:
    """Makes a round's count even."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEntry:
    """Entry 0 of a log that goes on where frozen ones ended (docs/spec/storage.md, Shards)."""

    origins: tuple[OriginHead, ...]  # the frozen heads, rising origins
    sha256: bytes  # of the carried state


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseEntry:
    """The log ends with this round; `successor` is the origin that goes on."""

    successor: int


SignedEntry: TypeAlias = ActEntry | NoticeEntry | KeyEventEntry
OwnEntry: TypeAlias = TimeEntry | FillerEntry | ShardEntry | CloseEntry
"""What the sequencer alone writes."""
OWN_ENTRIES = (TimeEntry, FillerEntry, ShardEntry, CloseEntry)
Entry: TypeAlias = IssueEntry | SignedEntry | StatusEntry | LandmarkEntry | OwnEntry


class IssuedClaims(Protocol):
    """What an issue entry takes from a credential's claims."""

    @property
    def kind(self) -> int: ...
    @property
    def serial(self) -> int: ...
    @property
    def copy_issued_on(self) -> int: ...


def issue_entry(claims: IssuedClaims, *, identity: bytes, kid: Kid, issuer: int) -> IssueEntry:
    """The one issue entry of a credential; `issuer` is the number in the key's trust record."""
    return IssueEntry(
        issuer=issuer,
        kid=kid,
        kind=claims.kind,
        serial=claims.serial,
        identity=identity,
        issued_day=claims.copy_issued_on,
    )


def act_message(entry: SignedEntry, origin_name: str) -> bytes:
    """What the key of `entry.kid` signs: domain, origin, entry without its signature (a request included)."""
    return cbor.encode((ACT_DOMAIN, origin_name, _fields(entry)[:-1]))


def asked_of(entry: ActEntry | NoticeEntry) -> Asked:
    """What an entry does, as its first person asked for it."""
    if isinstance(entry, ActEntry):
        return Asked(issuer=entry.issuer, code=entry.act, about=entry.serials)
    return Asked(issuer=entry.issuer, code=entry.notice, about=entry.body)


def kids_of(entry: IssueEntry | SignedEntry) -> tuple[Kid, ...]:
    """The keys that an entry rests on: its own, and that of a request in it."""
    request = entry.request if isinstance(entry, ActEntry | NoticeEntry) else None
    return (entry.kid,) if request is None else (entry.kid, request.kid)


def request_message(asked: Asked, origin_name: str, *, kid: Kid, day: int) -> bytes:
    """What the first person signs with the operator key `kid` on `day`. No act number: that comes with the second."""
    kind = EntryType.ACT if isinstance(asked.code, ActType) else EntryType.NOTICE
    fields = (REQUEST_DOMAIN, origin_name, asked.issuer, int(kind), int(asked.code), asked.about, kid, day)
    return cbor.encode(fields)


def encode_entry(entry: Entry) -> bytes:
    """The entry's leaf bytes; raises EntryError for a value outside the schema."""
    fields = _fields(entry)
    _parse(fields)
    data = cbor.encode(fields)
    _check_size(data)
    return data


def parse_entry(data: bytes) -> Entry:
    """Read leaf bytes; raises an EntryError that names field or offset for all but the one spelling."""
    _check_size(data)
    try:
        value = cbor.decode(data, max_bytes=MAX_BYTES, max_depth=_DEPTH)
    except FormatError as error:
        raise EntryError(f"not strict CBOR: {error.code}", field="entry", offset=error.offset) from error
    return _parse(value)


# --- values to CBOR


def _fields(entry: Entry) -> tuple[cbor.Value, ...]:
    match entry:
        case IssueEntry():
            e = entry
            return (VERSION, 1, e.issuer, e.kid, e.kind, e.serial, e.identity, e.issued_day)
        case ActEntry():
            a = entry
            act = (VERSION, 2, a.issuer, a.kid, a.act_number, int(a.act), a.serials, a.day)
            return (*act, *_asking(a.request), a.signature)
        case NoticeEntry():
            n = entry
            notice = (VERSION, 3, n.issuer, n.kid, n.act_number, int(n.notice), n.day, n.body)
            return (*notice, *_asking(n.request), n.signature)
        case KeyEventEntry():
            k = entry
            sizes = tuple(tuple(item) for item in k.sizes)
            head = (VERSION, 4, k.issuer, k.kid, k.act_number, int(k.event))
            return (*head, k.subject_kid, k.day, sizes, k.signature)
        case StatusEntry():
            s = entry
            return (VERSION, 5, s.issuer, _plain(s.origins), s.this_update, s.next_update, s.sha256)
        case LandmarkEntry():
            m = entry
            return (VERSION, 6, _plain(m.origins), m.this_update, m.next_update, m.sha256)
        case TimeEntry():
            return (VERSION, 7, entry.seconds)
        case FillerEntry():
            return (VERSION, 8)
        case ShardEntry():
            return (VERSION, 9, _plain(entry.origins), entry.sha256)
        case CloseEntry():
            return (VERSION, 10, entry.successor)
    assert_never(entry)


def _asking(request: Request | None) -> tuple[cbor.Value, ...]:
    return () if request is None else ((request.kid, request.day, request.signature),)


def _plain(heads: Sequence[OriginHead]) -> tuple[tuple[int, int, bytes], ...]:
    return tuple((head.origin, head.size, head.root) for head in heads)


# --- CBOR to values


def _parse(value: cbor.Value) -> Entry:
    if not isinstance(value, tuple) or len(value) < 2:
        raise EntryError("not an array of at least two items", field="entry")
    if type(value[0]) is not int or type(value[1]) is not int:
        raise EntryError("version and type are not integers", field="entry")
    if value[0] != VERSION:
        raise EntryVersionError(f"version {value[0]}, this program reads {VERSION}", field="version")
    parser = _PARSERS.get(value[1])
    if parser is None:
        raise EntryTypeError(f"type {value[1]}", field="type")
    lengths, parse = parser
    if len(value) not in lengths:
        raise EntryError(f"{len(value)} items instead of {' or '.join(map(str, lengths))}", field="entry")
    return parse(value)


def _issue(v: tuple[cbor.Value, ...]) -> IssueEntry:
    return IssueEntry(
        issuer=read_int(v[2], "issuer", 1, MAX_NUMBER),
        kid=Kid(read_bytes(v[3], "kid", KID_BYTES)),
        kind=read_int(v[4], "kind", 1, MAX_NUMBER),
        serial=read_int(v[5], "serial", 0, MAX_SERIAL),
        identity=read_bytes(v[6], "identity", HASH_BYTES),
        issued_day=read_int(v[7], "issued_day", MIN_DAY, MAX_DAY),
    )


def _act(v: tuple[cbor.Value, ...]) -> ActEntry:
    return ActEntry(
        issuer=read_int(v[2], "issuer", 1, MAX_NUMBER),
        kid=Kid(read_bytes(v[3], "kid", KID_BYTES)),
        act_number=read_int(v[4], "act_number", 0, MAX_SERIAL),
        act=ActType(read_int(v[5], "act", 1, len(ActType))),
        serials=_read_serials(v[6]),
        day=read_int(v[7], "day", MIN_DAY, MAX_DAY),
        signature=read_bytes(v[-1], "signature", SIGNATURE_BYTES),
        request=_request(v),
    )


def _notice(v: tuple[cbor.Value, ...]) -> NoticeEntry:
    body = v[7]
    if not isinstance(body, bytes) or len(body) > MAX_BODY_BYTES:
        raise EntryError(f"not a byte string of at most {MAX_BODY_BYTES}", field="body")
    return NoticeEntry(
        issuer=read_int(v[2], "issuer", 1, MAX_NUMBER),
        kid=Kid(read_bytes(v[3], "kid", KID_BYTES)),
        act_number=read_int(v[4], "act_number", 0, MAX_SERIAL),
        notice=NoticeType(read_int(v[5], "notice", 1, len(NoticeType))),
        day=read_int(v[6], "day", MIN_DAY, MAX_DAY),
        body=body,
        signature=read_bytes(v[-1], "signature", SIGNATURE_BYTES),
        request=_request(v),
    )


def _request(v: tuple[cbor.Value, ...]) -> Request | None:
    """The item before the signature of an act or notice of ten items."""
    if len(v) != _WITH_REQUEST:
        return None
    item = v[-2]
    if not isinstance(item, tuple) or len(item) != 3:
        raise EntryError("not [kid, day, signature]", field="request")
    return Request(
        kid=Kid(read_bytes(item[0], "request", KID_BYTES)),
        day=read_int(item[1], "request", MIN_DAY, MAX_DAY),
        signature=read_bytes(item[2], "request", SIGNATURE_BYTES),
    )


def _key_event(v: tuple[cbor.Value, ...]) -> KeyEventEntry:
    sizes = []
    for item in _read_list(v[8], "sizes", 0):
        if not isinstance(item, tuple) or len(item) != 2:
            raise EntryError("not [origin, size]", field="sizes")
        sizes.append(
            OriginSize(origin=read_int(item[0], "sizes", 1, MAX_NUMBER), size=read_int(item[1], "sizes", 0, MAX_SIZE))
        )
    _check_rising([item.origin for item in sizes], "sizes")
    return KeyEventEntry(
        issuer=read_int(v[2], "issuer", 1, MAX_NUMBER),
        kid=Kid(read_bytes(v[3], "kid", KID_BYTES)),
        act_number=read_int(v[4], "act_number", 0, MAX_SERIAL),
        event=KeyEventType(read_int(v[5], "event", 1, len(KeyEventType))),
        subject_kid=Kid(read_bytes(v[6], "subject_kid", KID_BYTES)),
        day=read_int(v[7], "day", MIN_DAY, MAX_DAY),
        sizes=tuple(sizes),
        signature=read_bytes(v[9], "signature", SIGNATURE_BYTES),
    )


def _status(v: tuple[cbor.Value, ...]) -> StatusEntry:
    this_update, next_update = read_times(v[4], v[5])
    return StatusEntry(
        issuer=read_int(v[2], "issuer", 1, MAX_NUMBER),
        origins=read_heads(v[3]),
        this_update=this_update,
        next_update=next_update,
        sha256=read_bytes(v[6], "sha256", HASH_BYTES),
    )


def _landmark(v: tuple[cbor.Value, ...]) -> LandmarkEntry:
    this_update, next_update = read_times(v[3], v[4])
    return LandmarkEntry(
        origins=read_heads(v[2]),
        this_update=this_update,
        next_update=next_update,
        sha256=read_bytes(v[5], "sha256", HASH_BYTES),
    )


def _time(v: tuple[cbor.Value, ...]) -> TimeEntry:
    return TimeEntry(seconds=read_int(v[2], "seconds", 1, MAX_TIME))


def _filler(v: tuple[cbor.Value, ...]) -> FillerEntry:
    return FillerEntry()


def _shard(v: tuple[cbor.Value, ...]) -> ShardEntry:
    return ShardEntry(origins=read_heads(v[2]), sha256=read_bytes(v[3], "sha256", HASH_BYTES))


def _close(v: tuple[cbor.Value, ...]) -> CloseEntry:
    return CloseEntry(successor=read_int(v[2], "successor", 1, MAX_NUMBER))


_PARSERS: dict[int, tuple[tuple[int, ...], Callable[[tuple[cbor.Value, ...]], Entry]]] = {
    int(EntryType.ISSUE): ((8,), _issue),
    int(EntryType.ACT): ((9, _WITH_REQUEST), _act),
    int(EntryType.NOTICE): ((9, _WITH_REQUEST), _notice),
    int(EntryType.KEY_EVENT): ((10,), _key_event),
    int(EntryType.STATUS): ((7,), _status),
    int(EntryType.LANDMARK): ((6,), _landmark),
    int(EntryType.TIME): ((3,), _time),
    int(EntryType.FILLER): ((2,), _filler),
    int(EntryType.SHARD): ((4,), _shard),
    int(EntryType.CLOSE): ((3,), _close),
}


# --- items, also read in status lists


def read_int(value: cbor.Value, field: str, low: int, high: int) -> int:
    """An integer of low to high; raises EntryError."""
    if type(value) is not int or not low <= value <= high:
        raise EntryError(f"not an integer of {low} to {high}", field=field)
    return value


def read_bytes(value: cbor.Value, field: str, length: int) -> bytes:
    """A byte string of this length; raises EntryError."""
    if not isinstance(value, bytes) or len(value) != length:
        raise EntryError(f"not a byte string of {length}", field=field)
    return value


def read_heads(value: cbor.Value) -> tuple[OriginHead, ...]:
    """At least one [origin, size, root] in rising origins; raises EntryError."""
    heads = []
    for item in _read_list(value, "origins", 1):
        if not isinstance(item, tuple) or len(item) != 3:
            raise EntryError("not [origin, size, root]", field="origins")
        heads.append(
            OriginHead(
                origin=read_int(item[0], "origins", 1, MAX_NUMBER),
                size=read_int(item[1], "origins", 0, MAX_SIZE),
                root=Hash(read_bytes(item[2], "origins", HASH_BYTES)),
            )
        )
    _check_rising([head.origin for head in heads], "origins")
    return tuple(heads)


def read_times(this_update: cbor.Value, next_update: cbor.Value) -> tuple[int, int]:
    """Two times, the second later; raises EntryError."""
    this_time = read_int(this_update, "this_update", 1, MAX_TIME)
    next_time = read_int(next_update, "next_update", 1, MAX_TIME)
    if next_time <= this_time:
        raise EntryError("not later than this_update", field="next_update")
    return this_time, next_time


def _read_serials(value: cbor.Value) -> tuple[int, ...]:
    items = _read_list(value, "serials", 1)
    if len(items) > MAX_SERIALS:
        raise EntryError(f"{len(items)} serials, at most {MAX_SERIALS}", field="serials")
    serials = tuple(read_int(item, "serials", 0, MAX_SERIAL) for item in items)
    _check_rising(serials, "serials")
    return serials


def _read_list(value: cbor.Value, field: str, least: int) -> tuple[cbor.Value, ...]:
    if not isinstance(value, tuple) or len(value) < least:
        raise EntryError(f"not an array of at least {least}", field=field)
    return value


def _check_rising(numbers: Sequence[int], field: str) -> None:
    for at, (before, after) in enumerate(pairwise(numbers)):
        if before >= after:
            raise EntryError("not strictly rising", field=field, offset=at + 1)


def _check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise EntryTooLargeError(f"{len(data)} bytes, at most {MAX_BYTES}", field="entry")
