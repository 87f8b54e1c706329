"""The auditor's own files: the accepted head, how far entries are judged, and evidence (docs/audit.md, State).

Every file is written whole: a new one, synced, renamed over the old. One audit at a time holds them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from mingzheng.keys.errors import KeysError
from mingzheng.log.auditstate import MAX_BYTES, Progress, ProgressError, format_progress, parse_progress
from mingzheng.log.checkpoint import Checkpoint, open_foreign_checkpoint
from mingzheng.log.collected import OriginKeys
from mingzheng.log.durable import make_dirs, publish
from mingzheng.log.errors import LogError
from mingzheng.log.evidence import Evidence, format_evidence
from mingzheng.log.lock import WriterLock
from mingzheng.log.refusal import WriterActiveError
from mingzheng.log.shard import MAX_BEFORE_BYTES, Before, encode_before, parse_before

STATE_VERSION = 1
MAX_STATE_BYTES = 1 << 21


class AuditStateError(LogError):
    """The state file is not one this program wrote, or is of another log."""

    code: ClassVar[str] = "audit.bad_state"


class AuditBusyError(LogError):
    """Another audit with the same state file is running."""

    code: ClassVar[str] = "audit.busy"


class AuditFiles:
    """`FILE`, `FILE.progress`, `FILE.closed` and `FILE.evidence/`."""

    def __init__(self, state: Path, keys: OriginKeys) -> None:
        self._state, self._keys = state, keys
        self._lock = state.with_name(state.name + ".lock")
        self._closed = state.with_name(state.name + ".closed")
        self._progress = state.with_name(state.name + ".progress")
        self._evidence = state.with_name(state.name + ".evidence")

    @contextmanager
    def held(self) -> Iterator[None]:
        """While held, no other audit moves these files: a slower one would put an older head over a newer.

        Raises AuditBusyError if another holds them, OSError.
        """
        make_dirs(self._lock.parent)
        try:
            lock = WriterLock(self._lock)
        except WriterActiveError as error:
            raise AuditBusyError(f"another audit is using {self._state.name}") from error
        try:
            yield
        finally:
            lock.release()

    def head(self) -> tuple[bytes, Checkpoint] | None:
        """The accepted head of the last audit, None before the first. Raises AuditStateError, OSError."""
        return read_state(self._state, self._keys)

    def keep_head(self, note: bytes, head: Checkpoint) -> None:
        """Accept a head."""
        write_state(self._state, note, self._keys, head)

    def progress(self) -> Progress | None:
        """How far the last run came, None before the first. Raises ProgressError, OSError."""
        try:
            with open(self._progress, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        return parse_progress(data)

    def keep_progress(self, progress: Progress) -> None:
        """Replace it."""
        make_dirs(self._progress.parent)
        publish(
            self._progress, format_progress(progress), temporary=self._progress.with_name(self._progress.name + ".tmp")
        )

    def keep_closed(self, before: Before) -> None:
        """What the audit of the successor begins with (`read_closed`)."""
        temporary = self._closed.with_name(self._closed.name + ".tmp")
        publish(self._closed, encode_before(before), temporary=temporary)

    def file(self, evidence: Evidence) -> Path:
        """Put evidence into a file of its own; the same again goes into the same."""
        make_dirs(self._evidence)
        data = format_evidence(evidence)
        number = 0
        while (path := self._evidence / f"{number:04}.json").exists() and path.read_bytes() != data:
            number += 1
        publish(path, data, temporary=self._evidence.with_name(self._evidence.name + ".tmp"))
        return path

    def filed(self, name: str) -> Path | None:
        """The evidence file of that name, if it is still there."""
        path = self._evidence / name
        return path if path.is_file() else None


def read_closed(path: Path) -> Before:
    """What `AuditFiles.keep_closed` kept. Raises CarriedError, OSError."""
    with open(path, "rb") as file:
        return parse_before(file.read(MAX_BEFORE_BYTES + 1))


def read_state(path: Path, keys: OriginKeys) -> tuple[bytes, Checkpoint] | None:
    """The head of the last audit, None before the first. Raises AuditStateError, OSError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_STATE_BYTES)
    except FileNotFoundError:
        return None
    try:
        value = json.loads(data)
        version, note = value["version"], str(value["note"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AuditStateError(f"{path.name} is no audit state") from error
    if version != STATE_VERSION:
        raise AuditStateError(f"state of version {version}, this program reads {STATE_VERSION}")
    try:
        return note, open_foreign_checkpoint(note, vkeys=[keys.vkey], origin=keys.name)
    except (KeysError, LogError) as error:
        raise AuditStateError(f"{path.name} holds no head of this log: {error}") from error


def write_state(path: Path, note: bytes, keys: OriginKeys, head: Checkpoint) -> None:
    """Keep a verified head, atomically."""
    value = {
        "version": STATE_VERSION,
        "origin": keys.name,
        "size": head.size,
        "root": head.root.hex(),
        "note": note.decode(),
    }
    make_dirs(path.parent)
    publish(
        path,
        json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n",
        temporary=path.with_name(path.name + ".tmp"),
    )


__all__ = ["AuditFiles", "AuditStateError", "ProgressError", "read_state", "write_state"]
