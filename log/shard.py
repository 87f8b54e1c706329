"""What a log carries over into its successor: the carried state (docs/spec/storage.md, Shards).

Pure. Anyone draws it from the frozen log's entries, so its hash in the successor's entry 0 need not be believed.
Runs of serials keep it small: a thousandth of the serials' number where few were revoked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby, pairwise
from typing import ClassVar, TypeVar

from mingzheng.formats import cbor
from mingzheng.formats.errors import FormatError
from mingzheng.keys.kid import KID_BYTES, Kid
from mingzheng.log.book import STATES, Book, IssuerBook
from mingzheng.log.densestates import DenseStates
from mingzheng.log.entry import (
    MAX_NUMBER,
    MAX_SERIAL,
    MAX_TIME,
    OriginHead,
    ShardEntry,
    read_bytes,
    read_heads,
    read_int,
)
from mingzheng.log.errors import EntryError, LogError
from mingzheng.log.merkle import MAX_SIZE
from mingzheng.log.noticebody import FIRST_NUMBER
from mingzheng.log.state import CARRIED, IssuerRow

_Ordered = TypeVar("_Ordered", int, tuple[int, Kid])
VERSION = 2
MAX_BYTES = 256 << 20
MAX_BEFORE_BYTES = MAX_BYTES + (1 << 20)
_DEPTH = 6  # carried, issuers, issuer, states, state, runs
_NEVER = 0  # in place of the time of a status list that was never made


class CarriedError(LogError):
    """A carried state that is not the one spelling of one."""

    code: ClassVar[str] = "shard.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedIssuer:
    """One issuer's part. `runs`: state (position in `book.STATES`) → (first serial, count), rising, apart."""

    next_act: int
    next_notice: int
    next_serial: int
    status_time: int | None
    status_sizes: Mapping[int, int]
    runs: Mapping[int, tuple[tuple[int, int], ...]]

    def row(self) -> IssuerRow:
        """As a row of the successor: nothing stands there yet."""
        return IssuerRow(
            next_act=self.next_act,
            next_notice=self.next_notice,
            next_serial=self.next_serial,
            status_time=self.status_time,
            status_sizes=dict(self.status_sizes),
        )

    def serials(self) -> Iterator[tuple[int, int]]:
        """(serial, state), rising by state, then serial."""
        for state, runs in self.runs.items():
            for first, count in runs:
                yield from ((serial, state) for serial in range(first, first + count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Everything the next rule book begins with. Issuer 0 is the log's own: what its landmarks said."""

    issuers: Mapping[int, CarriedIssuer]
    retired: frozenset[tuple[int, Kid]]

    def serials(self) -> Iterator[tuple[int, int, int]]:
        """(issuer, serial, state)."""
        for number, issuer in self.issuers.items():
            yield from ((number, serial, state) for serial, state in issuer.serials())


def carried_issuer(row: IssuerRow, states: Iterable[tuple[int, int]]) -> CarriedIssuer:
    """From an issuer's row and its (serial, state) in rising serials."""
    runs: dict[int, list[tuple[int, int]]] = {}
    last: tuple[int, int] | None = None  # serial and state before
    for serial, state in states:
        if last == (serial - 1, state):
            first, count = runs[state][-1]
            runs[state][-1] = (first, count + 1)
        elif state:
            runs.setdefault(state, []).append((serial, 1))
        last = (serial, state)
    return CarriedIssuer(
        next_act=row.next_act,
        next_notice=row.next_notice,
        next_serial=row.next_serial,
        status_time=row.status_time,
        status_sizes=dict(sorted(row.status_sizes.items())),
        runs={state: tuple(runs[state]) for state in sorted(runs)},
    )


def carried_of_book(book: Book) -> Carried:
    """What a log carries over whose entries all went through `book`."""
    return Carried(
        issuers={
            number: carried_issuer(
                IssuerRow(
                    next_act=found.next_act,
                    next_notice=found.next_notice,
                    next_serial=found.next_serial,
                    status_time=found.status_time,
                    status_sizes=found.status_sizes,
                ),
                sorted(found.states.items()),
            )
            for number, found in sorted(book.issuers.items())
        },
        retired=frozenset(book.retired),
    )


def carried_of_rows(
    issuers: Mapping[int, IssuerRow], serials: Iterable[tuple[int, int, int, int]], retired: Iterable[tuple[int, Kid]]
) -> Carried:
    """The same from a log's rows; `serials`: (issuer, serial, state, index) in order."""
    found = {number: carried_issuer(row, ()) for number, row in sorted(issuers.items())}
    for number, rows in groupby(serials, key=lambda row: row[0]):
        found[number] = carried_issuer(issuers.get(number, IssuerRow()), ((row[1], row[2]) for row in rows))
    return Carried(issuers=dict(sorted(found.items())), retired=frozenset(retired))


def shard_entry(heads: Sequence[OriginHead], carried: bytes) -> ShardEntry:
    """Entry 0 of the log that goes on from `heads` with the encoded carried state."""
    return ShardEntry(origins=tuple(sorted(heads)), sha256=sha256(carried).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What an auditor knows of the logs before: their frozen heads, and the encoded carried state."""

    heads: tuple[OriginHead, ...]
    carried: bytes

    def begins(self) -> ShardEntry:
        """Entry 0 of the log that goes on from them."""
        return shard_entry(self.heads, self.carried)


def encode_before(before: Before) -> bytes:
    """As the auditor's file: [1, [+ [origin, size, root]], carried]."""
    return cbor.encode((VERSION, tuple(tuple(head) for head in sorted(before.heads)), before.carried))


def parse_before(data: bytes) -> Before:
    """Read what `encode_before` wrote; raises CarriedError."""
    try:
        version, heads, carried = _array(cbor.decode(data, max_bytes=MAX_BEFORE_BYTES, max_depth=3), 3)
        if version != VERSION or type(version) is not int or not isinstance(carried, bytes):
            raise CarriedError(f"not the closed log of an audit in version {VERSION}")
        before = Before(heads=read_heads(heads), carried=carried)
    except FormatError as error:
        raise CarriedError(f"not strict CBOR: {error.code}") from error
    except EntryError as error:
        raise CarriedError(str(error)) from error
    parse_carried(before.carried)
    return before


def book_after(carried: Carried, begins: ShardEntry, empty: Book) -> Book:
    """The rule book of the successor before its entry 0: `empty`, with what is carried over."""
    book = replace(empty, begins=begins)
    book.retired = dict.fromkeys(sorted(carried.retired), CARRIED)
    for number, found in carried.issuers.items():
        states = DenseStates()
        states.update(found.serials())
        book.issuers[number] = IssuerBook(
            next_act=found.next_act,
            next_notice=found.next_notice,
            next_serial=found.next_serial,
            states=states,
            status_time=found.status_time,
            status_sizes=dict(found.status_sizes),
        )
    return book


def encode_carried(carried: Carried) -> bytes:
    """The one spelling; raises CarriedError for a value outside the schema."""
    data = cbor.encode(
        (
            VERSION,
            tuple(_issuer_value(number, carried.issuers[number]) for number in sorted(carried.issuers)),
            tuple(sorted((issuer, bytes(kid)) for issuer, kid in carried.retired)),
        )
    )
    parse_carried(data)
    return data


def parse_carried(data: bytes) -> Carried:
    """Read a carried state. Raises CarriedError for all but the one spelling; at most 256 MiB."""
    try:
        value = cbor.decode(data, max_bytes=MAX_BYTES, max_depth=_DEPTH)
        version, issuers, retired = _array(value, 3)
        if version != VERSION or type(version) is not int:
            raise CarriedError(f"version {version!r}, this program reads {VERSION}")
        parts = [_read_issuer(item) for item in _array(issuers, None)]
        _rising([number for number, _issuer in parts])
        lost = [_read_retired(item) for item in _array(retired, None)]
        _rising(lost)
    except FormatError as error:
        raise CarriedError(f"not strict CBOR: {error.code}") from error
    except EntryError as error:
        raise CarriedError(str(error)) from error
    return Carried(issuers=dict(parts), retired=frozenset(lost))


def _issuer_value(number: int, issuer: CarriedIssuer) -> cbor.Value:
    states = tuple((state, tuple(part for run in issuer.runs[state] for part in run)) for state in sorted(issuer.runs))
    sizes = tuple(sorted(issuer.status_sizes.items()))
    time = _NEVER if issuer.status_time is None else issuer.status_time
    return (number, issuer.next_act, issuer.next_notice, issuer.next_serial, time, sizes, states)


def _read_issuer(value: cbor.Value) -> tuple[int, CarriedIssuer]:
    number, act, notice, serial, time, sizes, states = _array(value, 7)
    pairs = [_array(item, 2) for item in _array(sizes, None)]
    found = [(read_int(origin, "origin", 1, MAX_NUMBER), read_int(size, "size", 0, MAX_SIZE)) for origin, size in pairs]
    _rising([origin for origin, _size in found])
    runs = [_read_runs(item) for item in _array(states, None)]
    _rising([state for state, _runs in runs])
    moment = read_int(time, "status_time", 0, MAX_TIME)
    return read_int(number, "issuer", 0, MAX_NUMBER), CarriedIssuer(
        next_act=read_int(act, "next_act", 0, MAX_SERIAL + 1),
        next_notice=read_int(notice, "next_notice", FIRST_NUMBER, MAX_NUMBER + 1),
        next_serial=read_int(serial, "next_serial", 0, MAX_SERIAL + 1),
        status_time=None if moment == _NEVER else moment,
        status_sizes=dict(found),
        runs=dict(runs),
    )


def _read_runs(value: cbor.Value) -> tuple[int, tuple[tuple[int, int], ...]]:
    state, flat = _array(value, 2)
    numbers = [read_int(item, "run", 0, MAX_SERIAL + 1) for item in _array(flat, None)]
    if not numbers or len(numbers) % 2:
        raise CarriedError("runs of serials are pairs, at least one")
    runs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    for first, count in runs:
        if not count or first + count > MAX_SERIAL + 1:
            raise CarriedError(f"a run of {count} serials from {first}")
    for (first, count), (after, _count) in pairwise(runs):
        if first + count >= after:
            raise CarriedError("runs of serials touch")
    return read_int(state, "state", 1, len(STATES) - 1), runs


def _read_retired(value: cbor.Value) -> tuple[int, Kid]:
    issuer, kid = _array(value, 2)
    return read_int(issuer, "issuer", 1, MAX_NUMBER), Kid(read_bytes(kid, "kid", KID_BYTES))


def _array(value: cbor.Value, length: int | None) -> tuple[cbor.Value, ...]:
    if not isinstance(value, tuple) or (length is not None and len(value) != length):
        raise CarriedError("not an array" if length is None else f"not an array of {length}")
    return value


def _rising(items: Sequence[_Ordered]) -> None:
    if any(before >= after for before, after in pairwise(items)):
        raise CarriedError("not strictly rising")
