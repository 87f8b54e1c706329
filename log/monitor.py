"""The auditor: follow a log from a stored head, recompute everything it serves, check its entries' rules.

Works for any C2SP tlog-tiles log; our own also by docs/spec/log.md once trust data name its origin. A run goes on
where the last one came to, if the head it reads has there the root that was judged (docs/audit.md, State). The stored
head moves only when nothing speaks against the new one.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import TrustData
from mingzheng.log.actkeys import TrustActKeys
from mingzheng.log.alarms import Alarm
from mingzheng.log.auditfiles import AuditFiles, AuditStateError
from mingzheng.log.auditstate import Losses, Progress, ProgressError, dump_check, load_check, rules_digest
from mingzheng.log.book import Book
from mingzheng.log.checkpoint import Checkpoint
from mingzheng.log.client import Fetcher, FetchError, LogReader, TileUntrueError
from mingzheng.log.collected import Found, OriginKeys, ReceiptCheck, compare_heads
from mingzheng.log.entry import (
    ActEntry,
    IssueEntry,
    KeyEventEntry,
    NoticeEntry,
    OriginHead,
    encode_entry,
    kids_of,
)
from mingzheng.log.errors import EntryError, LogError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.gather import Gatherer, TooLongError
from mingzheng.log.hashing import Hash
from mingzheng.log.headcheck import check_witnesses
from mingzheng.log.landmarkcheck import LandmarkCheck
from mingzheng.log.patterns import BurstLimit
from mingzheng.log.rulecheck import RuleCheck
from mingzheng.log.shard import Before, book_after, carried_of_book, encode_carried, parse_carried

MAX_ALARMS = 10_000
MAX_CHARGES = 256
MAX_CHARGED_BYTES = 64 << 20
SAVE_EVERY = 131_072
FORKS = frozenset({"audit.split_view", "audit.rollback", "audit.history_changed"})
_OF_THE_HEAD = ("client.", "note.", "checkpoint.", "witness.")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit found. `counts`: day → what → how many. `notes`: what could not be checked, and why.

    `entries` were judged, those below `resumed_from` by earlier runs.
    """

    origin: str
    size: int
    root: Hash
    followed_from: int | None
    resumed_from: int
    alarms: tuple[Alarm, ...]
    counts: Mapping[int, Mapping[str, int]]
    entries: int
    receipts_agreed: int
    notes: tuple[str, ...]
    evidence_files: tuple[str, ...]
    closed: Before | None = None  # of a closed log: what its successor must go on from

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
    bursts: tuple[BurstLimit, ...] = ()
    from_start: bool = False
    before: Before | None = None  # of a log that goes on from a frozen one: the `closed` of that one's report


def audit(plan: AuditPlan) -> AuditReport:
    """Run one audit. Alarms are in the report; raises OSError, AuditStateError, AuditBusyError for the auditor's files.

    With a state file, evidence for third parties is written beside it, and the verified head kept in it.
    """
    return _Audit(plan).run()


class _Audit:
    def __init__(self, plan: AuditPlan) -> None:
        self._plan = plan
        self._files = None if plan.state_file is None else AuditFiles(plan.state_file, plan.keys)
        self._reader = LogReader(plan.fetcher, plan.keys.vkey, origin=plan.keys.name)
        self._landmarks = LandmarkCheck(self._reader, plan.keys)
        self._alarms: list[Alarm] = []
        self._lasting: list[Alarm] = []  # of entries: reported by every run that goes on from here
        self._losses = Losses(upto=0, found={})
        self._filed: dict[str, str] = {}
        self._evidence: list[str] = []
        self._notes: list[str] = []
        self._counts: Mapping[int, Mapping[str, int]] = {}
        self._entries = self._start = 0
        self._agreed = 0
        self._closed: Before | None = None
        self._against = False  # something speaks against the head: it must not replace the one in the state

    def run(self) -> AuditReport:
        if self._files is None:
            return self._run(None)
        with self._files.held():
            return self._run(self._files.head())

    def _run(self, before: tuple[bytes, Checkpoint] | None) -> AuditReport:
        head: Checkpoint | None = None
        try:
            head = self._reader.refresh()
            if before is not None:
                self._follow(before)
            self._read_all(before)
            self._receipts()
        except (TileUntrueError, FetchError) as error:
            found = Alarm(code=error.code, index=None, detail=str(error), evidence={"path": error.path})
            self._alarm(found, against=True)
        except (KeysError, LogError) as error:  # not everything was looked at: whatever it is, the head is not accepted
            self._alarm(Alarm(code=error.code, index=None, detail=str(error)), against=True)
        if head is not None and self._files is not None and not self._against:
            self._files.keep_head(self._reader.note(), head)
            if self._closed is not None:
                self._files.keep_closed(self._closed)
        return AuditReport(
            origin=self._plan.keys.name,
            size=0 if head is None else head.size,
            root=Hash(b"") if head is None else head.root,
            followed_from=None if before is None else before[1].size,
            resumed_from=self._start,
            alarms=tuple(self._alarms),
            counts=self._counts,
            entries=self._entries,
            receipts_agreed=self._agreed,
            notes=tuple(self._notes),
            evidence_files=tuple(self._evidence),
            closed=self._closed,
        )

    def _follow(self, before: tuple[bytes, Checkpoint]) -> None:
        note, head = before
        found = compare_heads(self._reader, note, head, "state")
        if found is not None:
            self._found(found)

    def _read_all(self, before: tuple[bytes, Checkpoint] | None) -> None:
        """Every bundle and, above it, every tile; each entry by the rules if trust data tell the origin."""
        plan, trust = self._plan, self._plan.trust
        if trust is None:
            for _first, entries in self._reader.bundles():
                self._entries += len(entries)
            self._notes.append("no trust data: entries were hashed, not read")
            return
        check, rules = self._take_up(trust)
        self._counts = check.counts
        try:
            self._judge(check, rules)
        finally:
            self._counts = check.counts
        self._check_landmarks(check)
        for alarm in check.finish(self._entries):
            self._alarm(alarm)
        for alarm in self._compromises(check, trust):
            self._alarm(alarm)
        self._closed = self._end(check.book)
        gatherer = Gatherer(self._reader, check.good_events)
        for found in check_witnesses(self._reader, gatherer, plan.keys, trust, before):
            self._found(found)
        self._charge(gatherer)
        if check.settled:
            self._save(check, rules, self._entries)

    def _take_up(self, trust: TrustData) -> tuple[RuleCheck, bytes]:
        """A rule check as the last run left it, or a fresh one."""
        plan = self._plan
        keys, limits = plan.keys, plan.bursts
        rules = rules_digest(trust, number=keys.number, name=keys.name, height=keys.block_height, limits=limits)
        if plan.before is not None:  # another predecessor, another book
            rules = sha256(rules + encode_entry(plan.before.begins())).digest()
        check = self._rule_check(trust)
        try:
            kept = None if self._files is None or plan.from_start else self._files.progress()
            if kept is None or kept.rules != rules or not self._is_at(kept.position, kept.root):
                return check, rules
            load_check(check, kept.judged)
        except ProgressError as error:
            _logger.warning("progress not taken up: %s", error)
            return self._rule_check(trust), rules
        self._start = self._entries = kept.position
        self._losses, self._filed = kept.losses, dict(kept.filed)
        self._lasting.extend(kept.alarms)
        for alarm in kept.alarms:
            self._alarm(alarm)
        return check, rules

    def _is_at(self, position: int, root: Hash) -> bool:
        """Whether the head being read stands on what was judged."""
        return 0 < position <= self._reader.checkpoint().size and self._reader.root_at(position) == root

    def _rule_check(self, trust: TrustData) -> RuleCheck:
        keys, before = self._plan.keys, self._plan.before
        book = Book(origin=keys.number, origin_name=keys.name, keys=TrustActKeys(trust))
        if before is not None:
            book = book_after(parse_carried(before.carried), before.begins(), book)
        return RuleCheck(book, self._reader.root_at, self._plan.bursts)

    def _end(self, book: Book) -> Before | None:
        """What the successor of a closed log must go on from."""
        if book.closed is None:
            return None
        head = self._reader.checkpoint()
        mine = OriginHead(origin=self._plan.keys.number, size=head.size, root=head.root)
        heads = () if self._plan.before is None else self._plan.before.heads
        return Before(heads=(*heads, mine), carried=encode_carried(carried_of_book(book)))

    def _judge(self, check: RuleCheck, rules: bytes) -> None:
        """Every entry from the start on; how far it came is kept at ends of rounds."""
        due = self._start + SAVE_EVERY
        for first, entries in self._reader.bundles(self._start):
            skipped = max(self._start - first, 0)
            for index, entry in enumerate(entries[skipped:], first + skipped):
                for alarm in check.take(index, entry):
                    self._lasting.append(alarm)
                    self._alarm(alarm)
                self._entries = index + 1
                if index >= due and check.settled:
                    self._check_landmarks(check)
                    self._save(check, rules, index + 1)
                    due = index + SAVE_EVERY

    def _check_landmarks(self, check: RuleCheck) -> None:
        """Draw the landmark lists met since the last call again: before anything is kept as judged."""
        for alarm in self._landmarks.check(check.landmarks):
            self._lasting.append(alarm)
            self._alarm(alarm)
        check.landmarks.clear()

    def _save(self, check: RuleCheck, rules: bytes, position: int) -> None:
        if self._files is None or position == 0:
            return
        progress = Progress(
            position=position,
            root=self._reader.root_at(position),
            rules=rules,
            alarms=tuple(self._lasting[:MAX_ALARMS]),
            losses=self._losses,
            filed=self._filed,
            judged=dump_check(check),
        )
        self._files.keep_progress(progress)
        _logger.info("kept position=%d", position)

    def _compromises(self, check: RuleCheck, trust: TrustData) -> Iterator[Alarm]:
        """Count what compromised keys put into the log at or above their last good sizes, in one more pass.

        What an earlier run counted for the same size is not read again.
        """
        good = dict(check.good_sizes)
        for record in trust.keys.values():
            if record.compromised is not None:
                place, size = (record.issuer, record.kid), record.compromised.get(self._plan.keys.number, 0)
                good[place] = min(size, good.get(place, size))
        found: dict[tuple[int, Kid, int], tuple[int, int]] = {}  # how many, and the last
        start: dict[tuple[int, Kid], int] = {}
        for (issuer, kid), size in good.items():
            kept = self._losses.found.get((issuer, kid, size))
            start[issuer, kid] = size if kept is None else max(size, self._losses.upto)
            found[issuer, kid, size] = (0, 0) if kept is None else kept
        for index, data in self._reader.entries(min(start.values(), default=self._entries), self._entries):
            for author in _authors(data):
                if author in good and index >= start[author]:
                    lost = (*author, good[author])
                    found[lost] = (found[lost][0] + 1, index)
        self._losses = Losses(upto=self._entries, found=found)
        for (issuer, kid, size), (count, last) in sorted(found.items()):
            if not count:
                continue
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

    def _charge(self, gatherer: Gatherer) -> None:
        """Evidence files for what entries alone prove; one an alarm, kept from run to run."""
        if self._files is None:
            return
        made = left = size = 0
        for place, alarm in enumerate(self._alarms):
            key = f"{alarm.code}@{alarm.index}"
            path = self._files.filed(self._filed[key]) if key in self._filed else None
            if path is None and made < MAX_CHARGES and size < MAX_CHARGED_BYTES:
                try:
                    charge = gatherer.charge(alarm)
                except TooLongError:
                    charge, left = None, left + 1
                if charge is not None:
                    path, made = self._files.file(charge), made + 1
                    size += path.stat().st_size
            elif path is None:
                left += 1
            if path is not None:
                self._filed[key] = path.name
                self._evidence.append(str(path))
                self._alarms[place] = replace(alarm, evidence={**alarm.evidence, "file": path.name})
        if left:
            self._notes.append(f"{left} alarms without an evidence file: too many, or too long")

    def _found(self, found: Found) -> None:
        alarm = found.alarm
        if found.evidence is not None and self._files is not None:
            path = self._files.file(found.evidence)
            self._evidence.append(str(path))
            alarm = replace(alarm, evidence={**alarm.evidence, "file": path.name})
        self._alarm(alarm)

    def _alarm(self, alarm: Alarm, *, against: bool = False) -> None:
        """The first that speaks against the head is always shown: alarms of entries must not crowd it out."""
        against = against or alarm.code in FORKS or alarm.code.startswith(_OF_THE_HEAD)
        if len(self._alarms) < MAX_ALARMS or (against and not self._against):
            self._alarms.append(alarm)
            _logger.info("alarm code=%s index=%s", alarm.code, alarm.index)
        elif len(self._notes) == 0 or self._notes[-1] != "more alarms were left out":
            self._notes.append("more alarms were left out")
        self._against = self._against or against


def _authors(data: bytes) -> tuple[tuple[int, Kid], ...]:
    """Whose keys wrote the entry; nobody's for entries without a key and malformed ones."""
    try:
        entry = read_entry(data)
    except EntryError:
        return ()
    if isinstance(entry, IssueEntry | ActEntry | NoticeEntry | KeyEventEntry):
        return tuple((entry.issuer, kid) for kid in dict.fromkeys(kids_of(entry)))
    return ()


__all__ = ["AuditPlan", "AuditReport", "AuditStateError", "Before", "audit"]
