"""Why the log's writer refuses: every reason a typed error with a stable code (docs/spec/log.md, adr/0010).

Pure. Two families: a *submission* refused (SubmissionError and its leaves name the position in the call) and a
*directory* refused (StorageError and its leaves: what is on disk, in the database and in the memory of signed
heads do not agree, so nothing is signed).
"""

from typing import ClassVar

from mingzheng.log.errors import LogError


class SubmissionError(LogError):
    """Entry number `position` of a submission is refused for `reason` (a code); nothing of the call was appended."""

    code: ClassVar[str] = "log.submission_refused"

    def __init__(self, position: int, reason: str, detail: str) -> None:
        super().__init__(f"entry {position} of the submission refused ({reason}): {detail}")
        self.position, self.reason, self.detail = position, reason, detail


class RoundTooLargeError(LogError):
    """More entries in one call than a round takes."""

    code: ClassVar[str] = "log.round_too_large"

    def __init__(self, got: int, cap: int) -> None:
        super().__init__(f"{got} entries in one call, at most {cap}")
        self.got, self.cap = got, cap


class ClockBackwardsError(LogError):
    """The caller's time lies before the last round's."""

    code: ClassVar[str] = "log.clock_backwards"

    def __init__(self, now: int, last: int) -> None:
        super().__init__(f"the clock says {now}, the last round was written at {last}")
        self.now, self.last = now, last


class ClockJumpError(LogError):
    """The caller's time lies so far after the last round's that the clock may be wrong."""

    code: ClassVar[str] = "log.clock_jump"

    def __init__(self, now: int, last: int) -> None:
        super().__init__(
            f"the clock says {now}, the last round was written at {last}: if the clock is right, "
            "confirm today's date with `mingzheng log resume --today`"
        )
        self.now, self.last = now, last


class IndexNotLoggedError(LogError):
    """An index beyond the signed tree size."""

    code: ClassVar[str] = "log.index_not_logged"

    def __init__(self, index: int, size: int) -> None:
        super().__init__(f"entry {index} asked for, the signed tree has {size}")
        self.index, self.size = index, size


class StorageError(LogError):
    """What is stored cannot be trusted to sign from."""

    code: ClassVar[str] = "log.storage"


class WriterActiveError(StorageError):
    """Another process (or another object of this one) writes this log."""

    code: ClassVar[str] = "log.writer_active"

    def __init__(self, name: str) -> None:
        super().__init__(f"another writer holds {name!r} of this log")


class LogExistsError(StorageError):
    """A log was to be created where one is, or was."""

    code: ClassVar[str] = "log.exists"


class LogMissingError(StorageError):
    """No complete log in the directory: never created, or its database or head row is gone."""

    code: ClassVar[str] = "log.missing"


class WrongIdentityError(StorageError):
    """The directory belongs to another origin, key or configuration than the one asked for."""

    code: ClassVar[str] = "log.wrong_identity"

    def __init__(self, what: str, *, want: str, got: str) -> None:
        super().__init__(f"the log's {what} is {got}, opened as {want}")
        self.what, self.want, self.got = what, want, got


class DiskDisagreesError(StorageError):
    """Tiles, bundles or checkpoint on disk contradict the database row: nothing is signed."""

    code: ClassVar[str] = "log.disk_disagrees"


class RestoredBackupError(StorageError):
    """The directory is a copy: entries written after the copy was made may be missing. Read-only until an anchor."""

    code: ClassVar[str] = "log.restored_backup"


class BehindMemoryError(StorageError):
    """This machine remembers a larger signed head than the database holds: an older state was put back."""

    code: ClassVar[str] = "log.behind_memory"

    def __init__(self, *, size: int, remembered: int) -> None:
        super().__init__(
            f"the database holds {size} entries, but a head of {remembered} was signed on this machine: "
            f"{remembered - size} entries are missing"
        )
        self.size, self.remembered = size, remembered


class ForkedHeadError(StorageError):
    """Two heads of one size and different roots, both under our key: `ours` and `theirs` are the signed notes."""

    code: ClassVar[str] = "log.split_view"

    def __init__(self, size: int, *, ours: bytes, theirs: bytes) -> None:
        super().__init__(f"two different signed heads of size {size}")
        self.size, self.ours, self.theirs = size, ours, theirs


class AnchorRefusedError(StorageError):
    """The outside checkpoint does not show that this state is the newest one signed."""

    code: ClassVar[str] = "log.anchor_refused"

    def __init__(self, detail: str, *, missing: int | None = None) -> None:
        super().__init__(detail)
        self.missing = missing


class WriterBrokenError(StorageError):
    """A write failed half-way; the object refuses everything until the log is opened again."""

    code: ClassVar[str] = "log.writer_broken"


class StateUnavailableError(StorageError):
    """The database cannot be reached, or failed: whether the last write took effect is not known."""

    code: ClassVar[str] = "log.state_unavailable"


class FencedError(StorageError):
    """Another process took over the right to sign: this one may change nothing any more."""

    code: ClassVar[str] = "log.fenced"

    def __init__(self, detail: str = "another process has taken over this log") -> None:
        super().__init__(detail)


class LogFrozenError(StorageError):
    """The log was closed: its successor takes what is new. Reading, proofs and receipts of its entries go on."""

    code: ClassVar[str] = "log.frozen"


class NotFrozenError(StorageError):
    """Something that only a frozen log has was asked of one that is open."""

    code: ClassVar[str] = "log.not_frozen"


class RolledElsewhereError(StorageError):
    """A frozen log and the one that is to go on from it do not name each other."""

    code: ClassVar[str] = "log.rolled_elsewhere"


class ShardNotBegunError(StorageError):
    """A log that goes on from another has not written its first entry yet: the roll-over was cut short."""

    code: ClassVar[str] = "log.shard_not_begun"


class LogMovedError(StorageError):
    """The log goes on in another storage: this one only tells what it held when it was moved."""

    code: ClassVar[str] = "log.moved"
