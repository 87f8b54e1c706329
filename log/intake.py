"""What a log's server hands its verified requests to, and what comes back. Pure: values and one protocol.

Two forms: the thread that owns the log (`serverqueue.Sequencing`), and the queue in the database through which front
ends reach it (`frontqueue.FrontQueue`). Source: docs/spec/server.md, "Writing" and "Front ends".
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mingzheng.log.refusal import SubmissionError
from mingzheng.log.servererrors import LogUnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """One entry in the log."""

    index: int
    receipt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerQuestion:
    """Where the log is with an issuer; with `serial`: where that serial stands."""

    issuer: int
    serial: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerState:
    """What the log expects next of an issuer, at this size."""

    next_act: int
    next_notice: int
    next_serial: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPlace:
    """Where a serial's issue (or void) stands; None: nowhere yet."""

    index: int | None


IssuerAnswer: TypeAlias = IssuerState | SerialPlace
Answer: TypeAlias = tuple[Appended, ...] | IssuerAnswer | SubmissionError | LogUnavailableError


class Intake(Protocol):
    """Takes requests from the event loop's thread; futures are answered from any."""

    @property
    def trouble(self) -> str | None:
        """Why no entries are taken: a code; None if they are."""

    @property
    def alive(self) -> bool:
        """Whether there is somebody who will answer."""

    def waiting(self) -> int:
        """Entries that wait."""

    def check_room(self) -> None:
        """Raise BusyError or LogUnavailableError if nothing would be taken now; cheap, before anything is verified."""

    def take(self, entries: Sequence[bytes], *, issuer: int) -> "Future[tuple[Appended, ...]]":
        """Take entries of one issuer, to be appended together. Raises BusyError, LogUnavailableError.

        The future gives one Appended for each, or SubmissionError (position within these entries), BusyError, or
        LogUnavailableError: then nothing is promised, and asking again tells.
        """

    def ask_issuer(self, question: IssuerQuestion) -> "Future[IssuerAnswer]":
        """IssuerState, or SerialPlace where a serial was asked for. Raises BusyError, LogUnavailableError."""


__all__ = ["Answer", "Appended", "Intake", "IssuerAnswer", "IssuerQuestion", "IssuerState", "SerialPlace"]
