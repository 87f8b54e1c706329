"""The auditor: follow a log from a stored head, recompute everything it serves, check its entries' rules.

Works for any C2SP tlog-tiles log; our own also by docs/spec/log.md once trust data name its origin. Every run reads
the whole log again: what changed since the last run shows, and nothing rests on an earlier run but its head.
The stored head moves only when nothing speaks against the new one.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import TrustData
from mingzheng.log.actkeys import TrustActKeys
from mingzheng.log.book import Book
from mingzheng.log.checkpoint import Checkpoint, open_foreign_checkpoint
from mingzheng.log.client import Fetcher, FetchError, LogReader, TileUntrueError
from mingzheng.log.collected import Found, OriginKeys, ReceiptCheck, compare_heads
from mingzheng.log.durable import make_dirs, publish, write_file
from mingzheng.log.entry import FillerEntry, LandmarkEntry, StatusEntry, TimeEntry
from mingzheng.log.errors import EntryError, LogError
from mingzheng.log.evidence import Evidence, format_evidence
from mingzheng.log.fastentry import read_entry
from mingzheng.log.hashing import Hash
from mingzheng.log.rulecheck import Alarm, RuleCheck

STATE_VERSION = 1
MAX_STATE_BYTES = 1 << 21
MAX_ALARMS = 10_000
FORKS = frozenset({"audit.split_view", "audit.rollback", "audit.history_changed"})

_logger = logging.getLogger(__name__)


class AuditStateError(LogError):
    """The state file is not one this program wrote, or is of another log."""

    code: ClassVar[str] = "audit.bad_state"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit found. `counts`: day → what → how many. `notes`: what could not be checked, and why."""

    origin: str
    size: int
    root: Hash
    followed_from: int | None
    alarms: tuple[Alarm, ...]
    counts: Mapping[int, Mapping[str, int]]
    entries: int
    receipts_agreed: int
    notes: tuple[str, ...]
    evidence_files: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """No alarm."""
        return not self.alarms


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """What to audit and with what. `trust` None: a foreign log, generic checks only."""

    fetcher: Fetcher
    keys: OriginKeys
    trust: TrustData | None
    state_file: Path | None
    receipts_dir: Path | None


def audit(plan: AuditPlan) -> AuditReport:
    """Run one audit. Alarms are in the report; raises OSError and AuditStateError for the auditor's own files.

    With a state file, evidence for third parties is written beside it, and the verified head kept in it.
    """
    return _Audit(plan).run()


class _Audit:
    def __init__(self, plan: AuditPlan) -> None:
        self._plan = plan
        self._reader = LogReader(plan.fetcher, plan.keys.vkey, origin=plan.keys.name)
        self._alarms: list[Alarm] = []
        self._evidence: list[str] = []
        self._notes: list[str] = []
        self._counts: Mapping[int, Mapping[str, int]] = {}
        self._entries = 0
        self._agreed = 0

    def run(self) -> AuditReport:
        before = None if self._plan.state_file is None else read_state(self._plan.state_file, self._plan.keys)
        head: Checkpoint | None = None
        try:
            head = self._reader.refresh()
            if before is not None:
                self._follow(before)
            self._read_all()
            self._receipts()
        except (TileUntrueError, FetchError) as error:
            self._alarm(Alarm(code=error.code, index=None, detail=str(error), evidence={"path": error.path}))
        except (KeysError, LogError) as error:
            self._alarm(Alarm(code=error.code, index=None, detail=str(error)))
        if head is not None and self._plan.state_file is not None and not self._speaks_against():
            write_state(self._plan.state_file, self._reader.note(), self._plan.keys, head)
        return AuditReport(
            origin=self._plan.keys.name,
            size=0 if head is None else head.size,
            root=Hash(b"") if head is None else head.root,
            followed_from=None if before is None else before[1].size,
            alarms=tuple(self._alarms),
            counts=self._counts,
            entries=self._entries,
            receipts_agreed=self._agreed,
            notes=tuple(self._notes),
            evidence_files=tuple(self._evidence),
        )

    def _follow(self, before: tuple[bytes, Checkpoint]) -> None:
        note, head = before
        found = compare_heads(self._reader, note, head, "state")
        if found is not None:
            self._found(found)

    def _read_all(self) -> None:
        """Every bundle and, above it, every tile; each entry by the rules if trust data tell the origin."""
        check = self._rule_check()
        for first, entries in self._reader.bundles():
            self._entries += len(entries)
            if check is not None:
                for index, entry in enumerate(entries, first):
                    for alarm in check.take(index, entry):
                        self._alarm(alarm)
        if check is None:
            self._notes.append("no trust data: entries were hashed, not read")
            return
        for alarm in check.finish(self._entries):
            self._alarm(alarm)
        self._counts = check.counts
        for alarm in self._compromises(check):
            self._alarm(alarm)

    def _rule_check(self) -> RuleCheck | None:
        trust, keys = self._plan.trust, self._plan.keys
        if trust is None:
            return None
        book = Book(origin=keys.number, origin_name=keys.name, keys=TrustActKeys(trust))
        return RuleCheck(book, self._reader.root_at)

    def _compromises(self, check: RuleCheck) -> Iterator[Alarm]:
        """Count what compromised keys put into the log at or above their last good sizes, in one more pass."""
        good = dict(check.good_sizes)
        for record in () if self._plan.trust is None else self._plan.trust.keys.values():
            if record.compromised is not None:
                place, size = (record.issuer, record.kid), record.compromised.get(self._plan.keys.number, 0)
                good[place] = min(size, good.get(place, size))
        if not good:
            return
        found: dict[tuple[int, Kid], tuple[int, int]] = {}  # how many, and the last
        for index, data in self._reader.entries(min(good.values()), self._entries):
            author = _author(data)
            if author is not None and author in good and index >= good[author]:
                found[author] = (found.get(author, (0, 0))[0] + 1, index)
        for (issuer, kid), (count, last) in sorted(found.items()):
            size = good[issuer, kid]
            detail = f"issuer {issuer}: {count} entries of key {kid.hex()} stand at or above its last good size {size}"
            evidence: dict[str, str | int] = {"good_size": size, "entries": count, "last": last}
            yield Alarm(code="audit.compromised_key_used", index=last, detail=detail, evidence=evidence)

    def _receipts(self) -> None:
        if self._plan.receipts_dir is None:
            return
        check = ReceiptCheck(self._reader, self._plan.keys, self._plan.trust)
        for found in check.check_dir(self._plan.receipts_dir):
            self._found(found)
        self._agreed = check.agreed
        if check.other_origin:
            self._notes.append(f"{check.other_origin} receipts are of other origins")

    def _found(self, found: Found) -> None:
        alarm = found.alarm
        if found.evidence is not None and self._plan.state_file is not None:
            name = self._write_evidence(found.evidence)
            alarm = Alarm(
                code=alarm.code, index=alarm.index, detail=alarm.detail, evidence={**alarm.evidence, "file": name}
            )
        self._alarm(alarm)

    def _write_evidence(self, evidence: Evidence) -> str:
        assert self._plan.state_file is not None  # the caller looked
        directory = self._plan.state_file.with_name(self._plan.state_file.name + ".evidence")
        make_dirs(directory)
        data = format_evidence(evidence)
        number = 0
        while (path := directory / f"{number:04}.json").exists() and path.read_bytes() != data:
            number += 1
        write_file(path, data)
        self._evidence.append(str(path))
        return path.name

    def _alarm(self, alarm: Alarm) -> None:
        if len(self._alarms) < MAX_ALARMS:
            self._alarms.append(alarm)
            _logger.info("alarm code=%s index=%s", alarm.code, alarm.index)
        elif len(self._notes) == 0 or self._notes[-1] != "more alarms were left out":
            self._notes.append("more alarms were left out")

    def _speaks_against(self) -> bool:
        """Whether something found concerns the head itself, so that it must not replace the one in the state."""
        return any(
            alarm.code in FORKS or alarm.code.startswith(("client.", "note.", "checkpoint.")) for alarm in self._alarms
        )


def _author(data: bytes) -> tuple[int, Kid] | None:
    """Whose key wrote the entry; None for entries without a key and malformed ones."""
    try:
        entry = read_entry(data)
    except EntryError:
        return None
    return (
        None if isinstance(entry, StatusEntry | LandmarkEntry | TimeEntry | FillerEntry) else (entry.issuer, entry.kid)
    )


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
