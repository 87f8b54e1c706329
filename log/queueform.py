"""Rows of the queue between front ends and the signer, and answers as bytes (docs/spec/storage.md, "Queue"). Pure.

An answer is deterministic CBOR: [1, [+ [index, receipt]]] appended; [2, position, reason, detail] refused;
[3, reason] the log does not write; [4, next_act, next_notice, next_serial, size]; [5, index or null].
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeAlias
from unicodedata import normalize

from mingzheng.formats import cbor
from mingzheng.formats.errors import CborError
from mingzheng.log.errors import LogError
from mingzheng.log.intake import Answer, Appended, IssuerState, SerialPlace
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.servererrors import LogUnavailableError

if TYPE_CHECKING:
    from mingzheng.log.wake import Wake

REQUEST_BYTES: Final = 16
ROWS_AT_ONCE: Final = 256
MAX_ANSWER_BYTES: Final = 1 << 20
NO_SIGNER: Final = "log.no_signer"
OTHER_LOG: Final = "log.wrong_identity"
STALE_SECONDS: Final = 5.0
"""A signer whose last sign of life is older than this is none."""

_APPENDED, _REFUSED, _UNAVAILABLE, _STATE, _PLACE = 1, 2, 3, 4, 5
_MAX_DETAIL: Final = 2_000


class QueueRowError(LogError):
    """A row of the queue between front ends and signer is not as this program writes it."""

    code: ClassVar[str] = "log.queue_row"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """A request that waits. `request`: 16 random bytes, its name. `bundle`: entries; None: a question, about `serial`.

    `entries`: how many, 1 for a question.
    """

    request: bytes
    issuer: int
    serial: int | None
    bundle: bytes | None
    entries: int

    @property
    def size_bytes(self) -> int:
        """What it holds of the queue's room."""
        return 0 if self.bundle is None else len(self.bundle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What waits in the queue, of all front ends."""

    entries: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The signer's last sign of life, by the database's clock. `trouble`: why it takes nothing; `vkey`: whose log."""

    age_seconds: float
    trouble: str | None
    vkey: str


Judge: TypeAlias = Callable[[Beat | None, Load], Sequence[QueueRow]]


class FrontTable(Protocol):
    """What a front end does with the queue. Every method raises StateUnavailableError."""

    def put(self, judge: Judge) -> None:
        """Insert the rows that `judge` gives back for the signer's beat and what waits; nobody else inserts meanwhile.

        Beat None, and nothing inserted: there are no tables yet.
        """

    def look(self) -> tuple[Beat | None, Load]:
        """The same two, without inserting."""

    def queued(self, requests: Collection[bytes]) -> set[bytes]:
        """Those that wait for the signer."""

    def answers(self, requests: Collection[bytes]) -> dict[bytes, bytes]:
        """Those that are answered."""

    def wait(self, wake: "Wake", seconds: float) -> None:
        """Until there may be answers, or woken, or the seconds are over."""

    def close(self) -> None:
        """More than once is fine."""


class SignerTable(Protocol):
    """What the signer does. `epoch`: what it was given when it opened the log; another's raises FencedError.

    Every method raises StateUnavailableError.
    """

    def prepare(self, epoch: int) -> None:
        """Make the tables that are not there."""

    def rows(self, *, but: Collection[bytes]) -> list[QueueRow]:
        """The oldest rows but those, in order of arrival, at most ROWS_AT_ONCE."""

    def answer(self, epoch: int, bodies: Mapping[bytes, bytes]) -> None:
        """Store answers and take what they answer out of the queue, all or nothing."""

    def beat(self, epoch: int, *, vkey: str, trouble: str | None, alive: bool) -> None:
        """A sign of life; the last one if not `alive`."""

    def sweep(self, epoch: int, *, seconds: int) -> int:
        """Drop answers that are older; how many."""

    def wait(self, wake: "Wake", seconds: float) -> None:
        """Until there may be requests, or woken, or the seconds are over."""

    def close(self) -> None:
        """More than once is fine."""


def standing(beat: Beat | None, vkey: str) -> str | None:
    """Why nothing may be queued now: a code; None if it may."""
    if beat is None or not -STALE_SECONDS <= beat.age_seconds <= STALE_SECONDS:
        return NO_SIGNER
    return OTHER_LOG if beat.vkey != vkey else beat.trouble


def encode_answer(answer: Answer) -> bytes:
    """An answer as it is stored."""
    match answer:
        case SubmissionError():
            value: cbor.Value = (_REFUSED, answer.position, answer.reason, _text(answer.detail))
        case LogUnavailableError():
            value = (_UNAVAILABLE, answer.reason)
        case IssuerState():
            value = (_STATE, answer.next_act, answer.next_notice, answer.next_serial, answer.size)
        case SerialPlace():
            value = (_PLACE, answer.index)
        case _:
            value = (_APPENDED, tuple((item.index, item.receipt) for item in answer))
    return cbor.encode(value, allow_null=True)


def decode_answer(data: bytes, row: QueueRow) -> Answer:
    """The answer to `row`. Raises QueueRowError if it is none, or one to another question."""
    try:
        value = cbor.decode(data, max_bytes=MAX_ANSWER_BYTES, max_depth=3, allow_null=True)
    except CborError as error:
        raise QueueRowError(f"an answer of {len(data)} bytes is no answer ({error.code})") from error
    match value:
        case (2, int(position), str(reason), str(detail)) if 0 <= position < row.entries:
            return SubmissionError(position, reason, detail)
        case (3, str(reason)):
            return LogUnavailableError(reason)
        case (1, tuple(items)) if row.bundle is not None and len(items) == row.entries:
            return tuple(_appended(item) for item in items)
        case (4, int(act), int(notice), int(serial), int(size)) if row.bundle is None and row.serial is None:
            numbers = {"next_act": _count(act), "next_notice": _count(notice), "next_serial": _count(serial)}
            return IssuerState(**numbers, size=_count(size))
        case (5, int() | None as index) if row.bundle is None and row.serial is not None:
            return SerialPlace(index=None if index is None else _count(index))
    raise QueueRowError("an answer is none to what was asked")


def _text(text: str) -> str:
    """As CBOR here takes it, whatever an entry made the message quote."""
    return normalize("NFC", text[:_MAX_DETAIL].encode(errors="replace").decode())


def _appended(item: cbor.Value) -> Appended:
    match item:
        case (int(index), bytes(receipt)):
            return Appended(index=_count(index), receipt=receipt)
    raise QueueRowError("an answer is not one of index and receipt")


def _count(value: int) -> int:
    if value < 0:
        raise QueueRowError("a negative number in an answer")
    return value


__all__ = [
    *("MAX_ANSWER_BYTES", "NO_SIGNER", "OTHER_LOG", "REQUEST_BYTES", "ROWS_AT_ONCE", "STALE_SECONDS"),
    *("Beat", "FrontTable", "Judge", "Load", "QueueRow", "QueueRowError", "SignerTable"),
    *("decode_answer", "encode_answer", "standing"),
]
