"""What a log must keep besides its public files, and who may change it: the State protocol (docs/spec/storage.md).

Pure: rows and the protocol. Forms: one SQLite file (`database`), PostgreSQL (`postgres`), memory (tests). The row
`head` is the compare-and-swap cell; the rest can be derived again from the entries, but for idempotency keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from mingzheng.keys.kid import Kid
from mingzheng.log.book import IssuerBook
from mingzheng.log.hashing import Hash
from mingzheng.log.noticebody import FIRST_NUMBER
from mingzheng.log.refusal import StorageError

CARRIED = -1
"""Index of a serial whose first entry stands in an earlier shard."""


class Standing(StrEnum):
    """Whether rounds may be appended here."""

    OPEN = "open"
    FROZEN = "frozen"  # its last entry says that it is closed
    MOVED = "moved"  # it goes on in another storage
    IMPORTING = "importing"  # a move into this storage is not through


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """What a log is: fixed at creation, but for its standing."""

    origin: int
    name: str
    height: int
    vkey: str
    receipt_kid: bytes
    standing: Standing = Standing.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """The compare-and-swap row. `note`: the last signed checkpoint, of `signed_size`; None before the first."""

    size: int
    root: Hash
    last_time: int
    cleaned: int
    note: bytes | None
    signed_size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRow:
    """What `book.IssuerBook` keeps of an issuer, but for the states of its serials."""

    next_act: int = 0
    next_notice: int = FIRST_NUMBER
    next_serial: int = 0
    last_index: int = -1
    status_index: int | None = None
    status_time: int | None = None
    status_sizes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenHead:
    """The last head of an earlier shard."""

    origin: int
    name: str
    size: int
    root: Hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """What a new shard takes over: the earlier shards' heads, every issuer's counters, serials and retired keys."""

    heads: Sequence[FrozenHead] = ()
    last_time: int = 0
    issuers: Mapping[int, IssuerRow] = field(default_factory=dict)
    serials: Iterable[tuple[int, int, int]] = ()  # issuer, serial, state
    retired: Mapping[tuple[int, Kid], int] = field(default_factory=dict)
    blob: bytes = b""  # the same, encoded: what entry 0 of the shard gives the hash of


NOTHING_CARRIED = Carry()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRows:
    """Everything one round writes in one transaction.

    `serials`: (issuer, serial) → (state, index of the first entry that names it); `retired`: (issuer, kid) → index.
    `closes`: the round ends the log, which is frozen from here on.
    """

    old: HeadRow
    size: int
    root: Hash
    time: int
    entries: Sequence[bytes]
    keys: Sequence[tuple[bytes, int]]
    serials: Mapping[tuple[int, int], tuple[int, int]]
    issuers: Mapping[int, IssuerRow]
    retired: Mapping[tuple[int, Kid], int]
    closes: bool = False


class StateRows(Protocol):
    """What the durable state of one log says; nothing here changes anything."""

    def log_row(self) -> LogRow:
        """What log this is. Raises LogMissingError if it is gone."""

    def frozen_heads(self) -> tuple[FrozenHead, ...]:
        """The earlier shards, by rising origin number."""

    def carried(self) -> bytes:
        """The encoded carried state that the log began with; empty for one that goes on from none."""

    def head(self) -> HeadRow:
        """The row that may be signed. Raises LogMissingError if it was deleted."""

    def staged(self) -> list[tuple[int, bytes]]:
        """Entries sequenced and not yet known to be in tiles, by index."""

    def indexes_of(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """Idempotency keys already used → the index of their entry."""

    def serials(self, issuer: int, serials: Iterable[int]) -> dict[int, int]:
        """States of the serials that any entry named, by serial."""

    def serials_in_state(self, issuer: int, state: int) -> list[int]:
        """Every serial of the issuer in one state other than unknown (0) and live (1), rising."""

    def serial_index(self, issuer: int, serial: int) -> int | None:
        """Where the first entry of a serial stands; CARRIED in an earlier shard; None if no entry names it."""

    def issuer_row(self, issuer: int) -> IssuerRow:
        """Counters of an issuer; all zero for one that is new here."""

    def retired(self) -> dict[tuple[int, Kid], int]:
        """Keys that a key event retired or declared compromised → its index."""

    def round_of(self, index: int) -> tuple[int, int]:
        """The round [start, stop) that holds entry `index`. Raises DiskDisagreesError if no row does."""

    def issuers(self) -> list[int]:
        """Every issuer with an entry in this log. Row 0 is the log's own: what its landmarks said."""

    def first_indexes(self, issuer: int, serials: Iterable[int]) -> dict[int, int]:
        """Serial → index of the first entry that names it."""

    def all_serials(self) -> Iterable[tuple[int, int, int, int]]:
        """Every (issuer, serial, state, index), in order."""

    def all_rounds(self) -> Iterable[tuple[int, int]]:
        """Every round [start, stop), rising."""

    def all_submissions(self) -> Iterable[tuple[bytes, int]]:
        """Every idempotency key with its index, by index, then key."""

    def integrity_faults(self) -> list[str]:
        """The storage's own check of itself; empty when sound."""


class State(StateRows, Protocol):
    """Durable state of one log. From `open` to `close` this object alone may change it.

    Every method is one transaction, durable on return. A writer that lost its right raises FencedError and has changed
    nothing. Any other error of a writing method leaves open whether it took effect: the log is opened again.
    """

    def open(self) -> None:
        """Take the right to write. Raises WriterActiveError if another has it."""

    def close(self) -> None:
        """Give it up; more than once is fine."""

    def is_complete(self) -> bool:
        """Whether a log was made here and the making came to its end."""

    def initialise(self, row: LogRow, root: Hash, carry: Carry) -> None:
        """Make the log with the head row of the empty tree, all or nothing."""

    def doubt(self) -> StorageError | None:
        """Why this looks like a copy of the state that the log was written in; None if it is that state."""

    def vouch(self) -> None:
        """Take this state for the log's own, after an anchor showed it to be the newest."""

    def set_standing(self, standing: Standing) -> None:
        """Change whether rounds may be appended."""

    def commit_round(self, rows: RoundRows) -> None:
        """Stage the round and move the head, or raise DiskDisagreesError if the head is not `rows.old`."""

    def store_note(self, note: bytes, head: HeadRow) -> None:
        """Keep the signed checkpoint of `head` and drop its staged entries, which are in re-read tiles by now.

        Raises DiskDisagreesError if the head is another.
        """

    def set_cleaned(self, size: int) -> None:
        """Obsolete partial tiles below `size` are removed."""

    def set_time(self, time: int) -> None:
        """Measure the next round's time from here."""


def issuer_row_of(found: IssuerBook) -> IssuerRow:
    """The row of an issuer's part of the book."""
    return IssuerRow(
        next_act=found.next_act,
        next_notice=found.next_notice,
        next_serial=found.next_serial,
        last_index=found.last_index,
        status_index=found.status_index,
        status_time=found.status_time,
        status_sizes=found.status_sizes,
    )
