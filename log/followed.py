"""A served log as lists need it: followed by its verified tiles, entries submitted over HTTP (docs/spec/server.md).

Nothing is the server's word: every entry that the lists rest on was read under a signed head that goes on from the one
seen before. A run reads only what is new; what is known stands in a file, whose loss costs a run from the start.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

from mingzheng.keys.errors import KeysError
from mingzheng.log.auditfiles import AuditFiles
from mingzheng.log.auditstate import MAX_BYTES, ProgressError
from mingzheng.log.book import ActKeys, Book, IssuerBook, StatusClockError, StatusIncompleteError
from mingzheng.log.checkpoint import Checkpoint, open_foreign_checkpoint
from mingzheng.log.client import CHECKPOINT, Fetcher, LogReader
from mingzheng.log.collected import OriginKeys, compare_heads
from mingzheng.log.densestates import DenseStates
from mingzheng.log.durable import make_dirs, publish
from mingzheng.log.entry import OriginHead
from mingzheng.log.errors import LogError
from mingzheng.log.followstate import Followed, format_followed, parse_followed
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.receipt import TlogProof, format_tlog_proof
from mingzheng.log.refusal import IndexNotLoggedError, SubmissionError
from mingzheng.log.rounds import Submission
from mingzheng.log.shard import Before, book_after, parse_carried
from mingzheng.log.submitclient import AnswerUntrueError

_BUNDLES: Final = "tile/entries/"
_WAITS: Final = (1.0, 2.0, 4.0)  # seconds
_KEPT_TILES: Final = 1_024  # of 8 KB at most
_logger = logging.getLogger(__name__)


class HeadNotNewerError(LogError):
    """The served log shows an older head than it showed before: nothing is drawn from it."""

    code: ClassVar[str] = "follow.rollback"


class HeadForkedError(LogError):
    """The served log has signed two histories; the proof of it is kept beside what is known of the log."""

    code: ClassVar[str] = "follow.forked"


class Submitter(Protocol):
    """How an entry gets into the log: `submitclient.RemoteLog`."""

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        """Append what is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowPlan:
    """Which log, and by what it is judged. `issuers`: whose entries must keep every rule under `act_keys`.

    `state`: the file of what is known. `before`: of a log that goes on from a closed one.
    """

    fetcher: Fetcher
    keys: OriginKeys
    act_keys: ActKeys
    issuers: frozenset[int]
    state: Path
    before: Before | None = None
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedIdentity:
    """Which log it is."""

    origin_number: int
    block_height: int


class _Remembering:
    """Keeps tiles from reading to reading: what stands under their names never changes. Readers verify them."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher, self._kept = fetcher, dict[str, bytes]()

    def fetch(self, path: str) -> bytes:
        """See Fetcher."""
        data = self._kept.get(path)
        if data is None:
            data = self._fetcher.fetch(path)
            if path != CHECKPOINT and not path.startswith(_BUNDLES):
                if len(self._kept) >= _KEPT_TILES:
                    self._kept.clear()
                self._kept[path] = data
        return data


class FollowedLog:
    """A `statusmaker.ListingLog` over a served log. `close`: what to let go of at the end."""

    def __init__(self, plan: FollowPlan, submitter: Callable[[], Submitter], *, close: Callable[[], None]) -> None:
        """`submitter`: asked for when something is submitted, for that needs a key."""
        self._plan, self._submitter, self._close = plan, submitter, close
        self._files = _Remembering(plan.fetcher)
        self._reader = LogReader(self._files, plan.keys.vkey, origin=plan.keys.name)
        self._known: Followed | None = None
        self._leaves: dict[int, Hash] = {}  # of what was submitted here, by index

    def close(self) -> None:
        """See ListingLog."""
        self._close()

    # --- what it says

    @property
    def identity(self) -> FollowedIdentity:
        """See ListingLog."""
        return FollowedIdentity(origin_number=self._plan.keys.number, block_height=self._plan.keys.block_height)

    def head(self) -> tuple[int, Hash]:
        """The newest head, followed: what the other methods say is as of it.

        Raises HeadNotNewerError, HeadForkedError, FollowRuleError, CarriedUnknownError, FetchError, TileUntrueError,
        KeysError, LogError, OSError; whatever it is, nothing is known of a newer head then.
        """
        found = self._follow()
        return found.size, self._reader.checkpoint().root

    def frozen_heads(self) -> tuple[OriginHead, ...]:
        """See ListingLog."""
        begins = self._at_hand().book.begins
        return () if begins is None else begins.origins

    def issuer_row(self, issuer: int) -> IssuerBook:
        """See ListingLog."""
        return self._at_hand().book.issuers.get(issuer, IssuerBook())

    def serials_in_state(self, issuer: int, state: int) -> list[int]:
        """See ListingLog."""
        return DenseStates.of(self.issuer_row(issuer).states).in_state(state)

    def rounds(self) -> Iterable[tuple[int, int]]:
        """See ListingLog."""
        return self._at_hand().rounds()

    def checkpoint(self) -> bytes:
        """See ListingLog."""
        return self._at_hand().note

    def reader(self) -> LogReader:
        """See ListingLog."""
        made = LogReader(self._files, self._plan.keys.vkey, origin=self._plan.keys.name)
        made.use(self.checkpoint())
        return made

    def full_receipt(self, index: int) -> bytes:
        """The tlog-proof of an entry under a followed head.

        Raises as `head`, IndexNotLoggedError, AnswerUntrueError for an entry submitted here that is another there.
        """
        known = self._at_hand()
        if index >= known.size:
            known = self._follow()
        if not 0 <= index < known.size:
            raise IndexNotLoggedError(index, known.size)
        leaf = self._reader.leaf(index)
        if self._leaves.get(index, leaf) != leaf:
            raise AnswerUntrueError(f"entry {index} in the log is not the one that was submitted")
        proof = self._reader.inclusion(index)
        return format_tlog_proof(TlogProof(index=index, hashes=proof.hashes, checkpoint_note=known.note, extra=None))

    # --- what it does

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        """See ListingLog. A server whose clock is behind ours is asked again a little later.

        After `rule.status_incomplete` a second goes by: a cache may show the head before for so long.

        Raises as `RemoteLog.submit`.
        """
        indexes = self._submitted(submissions, now)
        self._leaves |= {index: leaf_hash(item.entry) for index, item in zip(indexes, submissions, strict=True)}
        return indexes

    def _submitted(self, submissions: Sequence[Submission], now: int) -> tuple[int, ...]:
        for wait in _WAITS:
            try:
                return self._submitter().submit(submissions, now=now)
            except SubmissionError as error:
                if error.reason == StatusIncompleteError.code:
                    self._plan.pause(_WAITS[0])
                if error.reason != StatusClockError.code:
                    raise
            self._plan.pause(wait)
        return self._submitter().submit(submissions, now=now)

    # --- following

    def _at_hand(self) -> Followed:
        return self._follow() if self._known is None else self._known

    def _follow(self) -> Followed:
        known, self._known = self._known or self._load(), None  # half-taken entries are never gone on from
        head = self._newest(max([known.size, *(index + 1 for index in self._leaves)]))
        if known.size:
            self._compare(known.note)
        if known.size < head.size or not known.note:
            for index, data in self._reader.entries(known.size, head.size):
                known.take(index, data, self._reader.root_at)
            known.note = self._reader.note()
            self._keep(known)
            _logger.info("followed size=%d", known.size)
        self._known = known
        return known

    def _newest(self, size: int) -> Checkpoint:
        """The published head. One below `size` was cached somewhere, perhaps: it is asked for again a little later."""
        for wait in _WAITS:
            if (head := self._reader.refresh()).size >= size:
                return head
            self._plan.pause(wait)
        return self._reader.refresh()

    def _compare(self, note: bytes) -> None:
        """Raise unless the head that is read goes on from the one that was seen last."""
        found = compare_heads(self._reader, note, self._open(note), "followed")
        if found is None:
            return
        if found.evidence is None:  # an older head contradicts nothing
            raise HeadNotNewerError(found.alarm.detail)
        path = AuditFiles(self._plan.state, self._plan.keys).file(found.evidence)
        raise HeadForkedError(f"{found.alarm.detail}; proof in {path.parent.name}/{path.name}")

    def _open(self, note: bytes) -> Checkpoint:
        return open_foreign_checkpoint(note, vkeys=[self._plan.keys.vkey], origin=self._plan.keys.name)

    def _empty(self) -> Followed:
        plan = self._plan
        book = Book(origin=plan.keys.number, origin_name=plan.keys.name, keys=plan.act_keys)
        if plan.before is not None:
            book = book_after(parse_carried(plan.before.carried), plan.before.begins(), book)
        return Followed(book=book, issuers=plan.issuers)

    def _load(self) -> Followed:
        """What the file knows; nothing, where there is none of this log."""
        try:
            with open(self._plan.state, "rb") as file:
                known = parse_followed(file.read(MAX_BYTES + 1), self._empty())
            known.size = self._open(known.note).size
        except FileNotFoundError:
            return self._empty()
        except (ProgressError, KeysError, LogError) as error:
            _logger.warning("what was known of the log is not taken up: %s", error)
            return self._empty()
        return known

    def _keep(self, known: Followed) -> None:
        state = self._plan.state
        make_dirs(state.parent)
        publish(state, format_followed(known), temporary=state.with_name(state.name + ".tmp"))


__all__ = ["FollowPlan", "FollowedLog", "HeadForkedError", "HeadNotNewerError"]
