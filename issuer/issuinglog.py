"""What issuing needs of a log, here or served elsewhere (docs/spec/server.md). Pure: types only."""

from collections.abc import Sequence
from typing import Protocol

from mingzheng.log.refusal import StorageError
from mingzheng.log.rounds import Submission

__all__ = ["Counters", "IssuingLog"]


class Counters(Protocol):
    """What the log expects next of an issuer."""

    @property
    def next_act(self) -> int:
        """The number of its next act."""

    @property
    def next_notice(self) -> int:
        """The number of its next notice."""

    @property
    def next_serial(self) -> int:
        """Above every serial that the log has seen."""


class IssuingLog(Protocol):
    """What issuing needs of a log: `log.writer.Log`, or `log.submitclient.RemoteLog`. See there."""

    @property
    def read_only(self) -> StorageError | None:
        """Why it takes nothing."""

    def check_clock(self, now: int) -> None:
        """Refuse a clock that is wrong."""

    def issuer_row(self, issuer: int) -> Counters:
        """What it expects next."""

    def next_act_number(self, issuer: int) -> int:
        """The number of the issuer's next act."""

    def index_of_serial(self, issuer: int, serial: int) -> int | None:
        """Where a serial stands."""

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        """Append what is new."""

    def compact_receipt(self, index: int) -> bytes:
        """The receipt of an entry just submitted."""

    def full_receipt(self, index: int) -> bytes:
        """The tlog-proof of an entry."""

    def close(self) -> None:
        """Let go."""
