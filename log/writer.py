"""An open log over any storage: one writer, one round per call (docs/spec/log.md, storage.md, docs/adr/0010).

Commit order of a round: (1) queue, indexes and the head row in one durable transaction, by compare-and-swap;
(2) bundles and tiles; (3) the written bytes read back and recomputed; (4) the checkpoint signed from the row alone,
remembered outside, stored with the queue emptied; (5) published. Any failure on the way breaks the object: open the
log again, which rolls forward or refuses.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Self

from mingzheng.log.block import Block, block_of
from mingzheng.log.book import LOG_ITSELF, ActKeys, Book, IssuerBook, wanted_serials
from mingzheng.log.checkpoint import Checkpoint, sign_checkpoint
from mingzheng.log.client import LogReader
from mingzheng.log.entry import CloseEntry, Entry, OriginHead, ShardEntry
from mingzheng.log.errors import MalformedError, ProofError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.hashing import EMPTY_ROOT, Hash
from mingzheng.log.instance import HeadMemory
from mingzheng.log.proof import (
    InclusionProof,
    build_block_inclusion,
    build_inclusion,
    root_from_inclusion,
    verify_inclusion,
)
from mingzheng.log.receipt import SignedBlock, TlogProof, compact_receipt, format_tlog_proof, sign_block
from mingzheng.log.recovery import (
    LogIdentity,
    check_anchor,
    check_identity,
    check_memory,
    check_published,
    remember,
    roll_forward,
    root_at,
    standing_of,
    stored_state,
)
from mingzheng.log.refusal import (
    ClockBackwardsError,
    ClockJumpError,
    DiskDisagreesError,
    IndexNotLoggedError,
    LogExistsError,
    LogFrozenError,
    LogMovedError,
    NotFrozenError,
    RolledElsewhereError,
    ShardNotBegunError,
    StorageError,
    WriterBrokenError,
)
from mingzheng.log.rounds import (
    Draft,
    Round,
    RoundTime,
    Submission,
    check_call,
    make_round,
    own_draft,
    parse_fresh,
    sort_out,
)
from mingzheng.log.shard import carried_of_rows, encode_carried, shard_entry
from mingzheng.log.state import (
    CARRIED,
    Carry,
    FrozenHead,
    HeadRow,
    IssuerRow,
    LogRow,
    RoundRows,
    State,
    StateRows,
    issuer_row_of,
)
from mingzheng.log.store import Store, StoreFetcher
from mingzheng.log.tail import Tail, append, check_tail, stored_node
from mingzheng.log.tile import TILE_HEIGHT, TILE_WIDTH, Tile

MAX_CLOCK_JUMP = 400 * 86_400
"""Seconds from one round to the next, unless somebody confirms the clock: more than a year of silence."""

_CACHED_BLOCKS = 4_096
_CACHED_TILES = 256
_logger = logging.getLogger(__name__)


class Log:
    """An open log. Not for several threads at once. Close it, or use it in a `with` statement."""

    def __init__(
        self, store: Store, state: State, identity: LogIdentity, *, act_keys: ActKeys, memory: HeadMemory | None
    ) -> None:
        """Then call `begin` for a new log or `resume` for one that is there."""
        self._store, self._state, self._identity = store, state, identity
        self._act_keys, self._memory = act_keys, memory
        self._ready = False
        self._head: HeadRow | None = None
        self._tail: Tail | None = None
        self._read_only: StorageError | None = None
        self._begins: ShardEntry | None = None
        self._blocks: dict[Block, SignedBlock] = {}
        self._tiles: dict[Tile, bytes] = {}

    def begin(self, carry: Carry) -> None:
        """Make the empty log and publish its checkpoint of size 0; a failure closes it.

        Raises LogExistsError if a log is or was here, or under this key; WriterActiveError.
        """
        try:
            self._state.open()
            self._ready = True
            self._create(carry)
        except BaseException:
            self.close()
            raise

    def resume(self) -> None:
        """Open the log that is there, roll a round forward that was cut short, and publish; a failure closes it.

        Raises LogMissingError, WriterActiveError, WrongIdentityError, ForkedHeadError, DiskDisagreesError.
        """
        try:
            self._state.open()
            self._ready = True
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give up storage and the right to write; more than once is fine."""
        self._ready = False
        self._state.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # --- what it says

    @property
    def read_only(self) -> StorageError | None:
        """Why this log signs nothing (log.restored_backup, log.behind_memory), None if it writes."""
        return self._read_only

    @property
    def identity(self) -> LogIdentity:
        """Origin and signers."""
        return self._identity

    def head(self) -> tuple[int, Hash]:
        """Size and root of the database row."""
        row = self._row()
        return row.size, row.root

    def checkpoint(self) -> bytes:
        """The last signed checkpoint. Raises WriterBrokenError if none was signed."""
        note = self._row().note
        if note is None:
            raise WriterBrokenError("no checkpoint was signed yet")
        return note

    def reader(self) -> LogReader:
        """A verifying reader of the public files."""
        return LogReader(StoreFetcher(self._store), self._identity.vkey())

    def index_of_serial(self, issuer: int, serial: int) -> int | None:
        """Where the issue (or a void that came first) of the serial stands, None if no entry here names it."""
        index = self._db().serial_index(issuer, serial)
        return None if index == CARRIED else index

    def next_act_number(self, issuer: int) -> int:
        """The number that the issuer's next act, notice or key event must carry."""
        return self._db().issuer_row(issuer).next_act

    def issuer_row(self, issuer: int) -> IssuerRow:
        """The issuer's counters and last status entry."""
        return self._db().issuer_row(issuer)

    def serials_in_state(self, issuer: int, state: int) -> list[int]:
        """Serials of the issuer in a state (position in `book.STATES`), rising."""
        return self._db().serials_in_state(issuer, state)

    def issuers(self) -> list[int]:
        """Issuers with an entry here."""
        return self._db().issuers()

    def rounds(self) -> Iterable[tuple[int, int]]:
        """Every round [start, stop), rising."""
        return self._db().all_rounds()

    def database_faults(self) -> list[str]:
        """The storage's own check of its state; for `fsck`."""
        return self._db().integrity_faults()

    # --- what it does

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        """Append what is new in one round; the index of every submission, in order.

        On return the entries are durable and under a published checkpoint. A key seen before with the same entry
        gives its old index. Nothing of a refused call is appended. `now`: seconds since the epoch.

        Raises SubmissionError (position and reason), RoundTooLargeError, ClockBackwardsError,
        ClockJumpError, a StorageError.
        """
        database, row = self._writable()
        if row.size == 0 and self._begins is not None:
            raise ShardNotBegunError("the shard's first entry was not written yet: run the roll-over again")
        check_call(submissions)
        known = database.indexes_of(dict.fromkeys(item.key for item in submissions))
        draft = sort_out(submissions, known, self._leaf)
        if draft.fresh:
            self._round(draft, parse_fresh(draft), now=now)
        return draft.indexes(row.size)

    def begin_shard(self, *, now: int) -> None:
        """Write entry 0 of a log that goes on from a frozen one; nothing if it is there. Raises as `submit`."""
        _database, row = self._writable()
        if row.size == 0 and self._begins is not None:
            self._round(own_draft(self._begins), {0: self._begins}, now=now)

    def close_for(self, successor: int, *, now: int) -> None:
        """End the log: its last round says which origin goes on. Nothing if it is frozen. Raises as `submit`."""
        if isinstance(self._read_only, LogFrozenError):
            return
        self._writable()
        entry = CloseEntry(successor=successor)
        self._round(own_draft(entry), {0: entry}, now=now)
        self._read_only = standing_of(self._db().log_row())

    def carry(self) -> Carry:
        """What the successor of this frozen log takes over. Raises StorageError if it is not frozen."""
        if not isinstance(self._read_only, LogFrozenError):
            raise NotFrozenError("only a log that was closed has a successor")
        state, head = self._db(), self._row()
        rows = {number: state.issuer_row(number) for number in (LOG_ITSELF, *state.issuers())}
        if rows[LOG_ITSELF] == IssuerRow():
            del rows[LOG_ITSELF]
        carried = carried_of_rows(rows, state.all_serials(), state.retired())
        identity = self._identity
        mine = FrozenHead(origin=identity.origin_number, name=identity.origin_name, size=head.size, root=head.root)
        return Carry(
            heads=(*state.frozen_heads(), mine),
            last_time=head.last_time,
            issuers={number: issuer.row() for number, issuer in carried.issuers.items()},
            serials=carried.serials(),
            retired=dict.fromkeys(carried.retired, CARRIED),
            blob=encode_carried(carried),
        )

    def check_closed_for(self, successor: int) -> None:
        """Raise RolledElsewhereError if the close entry of this frozen log names another origin."""
        size = self._row().size
        start, stop = self._db().round_of(size - 1)
        for _index, data in self.reader().entries(start, stop):
            entry = read_entry(data)
            if isinstance(entry, CloseEntry) and entry.successor != successor:
                raise RolledElsewhereError(f"the log was closed for origin {entry.successor}, not {successor}")

    def check_follows(self, old: "Log") -> None:
        """Raise RolledElsewhereError if this log does not go on from `old` as its last predecessor."""
        if self._begins != begins_from(old.carry()):
            raise RolledElsewhereError("the new log goes on from something else than this frozen log")

    def frozen_heads(self) -> tuple[OriginHead, ...]:
        """The heads of the logs before this one: every status list names them."""
        return () if self._begins is None else self._begins.origins

    def check_clock(self, now: int) -> None:
        """Raise ClockBackwardsError before the last round's time, ClockJumpError over 400 days after it.

        A round written under a clock that is far ahead would refuse every honest one after it.
        """
        row = self._row()
        if now < row.last_time:
            raise ClockBackwardsError(now, row.last_time)
        if row.size and now - row.last_time > MAX_CLOCK_JUMP:
            raise ClockJumpError(now, row.last_time)

    def confirm_clock(self, now: int) -> None:
        """Take a time that somebody looked at and confirmed; the next round is measured from it.

        Raises ClockBackwardsError, a StorageError.
        """
        database, row = self._writable()
        if now < row.last_time:
            raise ClockBackwardsError(now, row.last_time)
        database.set_time(now)
        self._head = database.head()
        _logger.info("clock confirmed at=%d", now)

    def compact_receipt(self, index: int) -> bytes:
        """The receipt of an entry over its block (docs/spec/receipt.md).

        Raises IndexNotLoggedError for an index that no signed checkpoint covers, a StorageError.
        """
        database, row = self._db(), self._row()
        if self._tail is None or not isinstance(self._read_only, LogFrozenError | None):
            self._writable()
        if not 0 <= index < (row.signed_size or 0):
            raise IndexNotLoggedError(index, row.signed_size or 0)
        start, stop = database.round_of(index)
        block = block_of(index, start=start, end=stop, height=self._identity.block_height)
        signed = self._sign_block(block)
        proof = build_block_inclusion(index, block.start, block.end, self._node)
        return compact_receipt(signed, index=index, leaf=self._leaf(index), hashes=proof.hashes)

    def full_receipt(self, index: int) -> bytes:
        """A C2SP tlog-proof of an entry under the last signed checkpoint. Raises as `compact_receipt`."""
        row = self._row()
        size = row.signed_size or 0
        if not 0 <= index < size or row.note is None:
            raise IndexNotLoggedError(index, size)
        proof = self._inclusion(index)
        return format_tlog_proof(TlogProof(index=index, hashes=proof.hashes, checkpoint_note=row.note, extra=None))

    def resume_from_anchor(self, checkpoint_note: bytes) -> None:
        """Let a restored copy write again, shown a checkpoint from outside that equals its head.

        Raises AnchorRefusedError, ForkedHeadError, BehindMemoryError, LogMovedError; the log stays read-only then.
        """
        if self._read_only is None:
            return
        if isinstance(self._read_only, LogMovedError):
            raise self._read_only
        database, row = self._db(), self._row()
        check_anchor(checkpoint_note, row, self._identity)
        remembered = None if self._memory is None else self._memory.read()
        behind = check_memory(stored_state(database, self._store), remembered, self._identity)
        if behind is not None:
            raise behind
        database.vouch()
        self._read_only = standing_of(database.log_row())
        self._recover()
        _logger.info("resumed size=%d", row.size)

    # --- opening

    def _create(self, carry: Carry) -> None:
        if self._state.is_complete():
            raise LogExistsError("there is a log already")
        if not self._store.is_empty():
            raise LogExistsError("there is a published log whose database is gone")
        if self._memory is not None and self._memory.read() is not None:
            raise LogExistsError("this machine remembers a signed head under this key: its log is lost, not new")
        self._store.prepare()
        self._state.initialise(row_of(self._identity), EMPTY_ROOT, carry)
        self._recover()

    def _open(self) -> None:
        database = self._state
        row = database.log_row()
        check_identity(row, self._identity)
        stored = stored_state(database, self._store)
        self._head = head = stored.head
        standing = standing_of(row)
        self._read_only = database.doubt()
        check_published(stored, self._identity)
        if self._memory is not None:
            behind = check_memory(stored, self._memory.read(), self._identity)
            self._read_only = self._read_only or behind
        if isinstance(standing, LogMovedError):
            self._read_only = standing
        elif self._read_only is None:
            self._recover()
            self._read_only = standing
        if self._read_only is not None:
            _logger.warning("read-only code=%s size=%d", self._read_only.code, head.size)

    def _recover(self) -> None:
        """Roll forward, sign what the row says if that was not yet done, publish, clean up."""
        database = self._db()
        head = database.head()
        self._begins = begins_of(database)
        self._store.prepare()
        self._tail = roll_forward(database, self._store, head)
        if head.note is None or head.signed_size != head.size:
            self._sign(head)
        else:
            remember(self._memory, head.note, self._identity)
            if check_published(stored_state(database, self._store), self._identity) != head.note:
                self._store.publish_checkpoint(head.note)
            self._head = head
        self._clean()

    # --- one round

    def _round(self, draft: Draft, parsed: dict[int, Entry], *, now: int) -> None:
        self.check_clock(now)
        row, book = self._row(), self._book_for(parsed)
        made = make_round(draft, parsed, book, time=RoundTime(start=row.size, now=now), root_at=self._root_at)
        self._append(row, made, book, [item.key for item in draft.fresh.values() if item.key])

    def _append(self, row: HeadRow, made: Round, book: Book, keys: Sequence[bytes]) -> None:
        database, tail = self._db(), self._tail
        assert tail is not None  # a writable log has recovered
        plan = append(tail, made.entries)
        rows = RoundRows(
            old=row,
            size=plan.tail.edge.size,
            root=plan.tail.edge.root(),
            time=made.time,
            entries=made.entries,
            keys=[(key, made.start + place) for place, key in enumerate(keys)],
            serials={
                (issuer, serial): (book.issuers[issuer].states[serial], index)
                for (issuer, serial), index in made.touched.items()
            },
            issuers={number: issuer_row_of(found) for number, found in book.issuers.items()},
            retired=book.retired,
            closes=made.closes,
        )
        self._tail = None  # broken until the round is through
        database.commit_round(rows)
        self._store.write(plan.files)
        check_tail(row.size, rows.size, rows.root, self._store.read)
        self._sign(database.head())
        self._tail = plan.tail
        self._clean()
        _logger.info("sequenced size=%d entries=%d", rows.size, len(made.entries))

    def _sign(self, head: HeadRow) -> None:
        """Sign the durable row and publish. The note leaves this function only after it is remembered."""
        identity = self._identity
        checkpoint = Checkpoint(origin=identity.origin_name, size=head.size, root=head.root)
        note = sign_checkpoint(checkpoint, signer=identity.checkpoint_signer)
        remember(self._memory, note, identity)
        database = self._db()
        database.store_note(note, head)
        self._store.publish_checkpoint(note)
        self._head = database.head()
        self._tiles.clear()

    def _clean(self) -> None:
        """Remove partial tiles and bundles that full ones have replaced."""
        row = self._row()
        if row.cleaned // TILE_WIDTH == row.size // TILE_WIDTH:
            return
        level = 0
        while (count := row.size >> (TILE_HEIGHT * level)) > 0:
            for index in range((row.cleaned >> (TILE_HEIGHT * level)) // TILE_WIDTH, count // TILE_WIDTH):
                for kind in (level, -1) if level == 0 else (level,):
                    self._store.remove_partials(Tile(level=kind, index=index, width=TILE_WIDTH))
            level += 1
        self._db().set_cleaned(row.size)
        self._head = self._db().head()

    def _book_for(self, parsed: dict[int, Entry]) -> Book:
        database = self._db()
        identity = self._identity
        book = Book(
            origin=identity.origin_number,
            origin_name=identity.origin_name,
            keys=self._act_keys,
            retired=database.retired(),
            begins=self._begins,
        )
        for number, serials in wanted_serials(parsed).items():
            row = database.issuer_row(number)
            book.issuers[number] = IssuerBook(
                next_act=row.next_act,
                next_notice=row.next_notice,
                next_serial=row.next_serial,
                states=database.serials(number, serials),
                last_index=row.last_index,
                status_index=row.status_index,
                status_time=row.status_time,
                status_sizes=dict(row.status_sizes),
            )
        return book

    def _root_at(self, size: int) -> Hash | None:
        row = self._row()
        if size > row.size:
            return None
        return row.root if size == row.size else root_at(size, row.size, self._store)

    # --- stored hashes

    def _sign_block(self, block: Block) -> SignedBlock:
        signed = self._blocks.get(block)
        if signed is None:
            identity = self._identity
            root = self._block_root(block)
            signed = sign_block(identity.receipt_signer, origin=identity.origin_number, block=block, root=root)
            if len(self._blocks) >= _CACHED_BLOCKS:
                self._blocks.clear()
            self._blocks[block] = signed
        return signed

    def _block_root(self, block: Block) -> Hash:
        """The block's root, shown to be in the signed tree: a bit that flipped on disk is never signed."""
        proof = self._inclusion(block.start)
        inner = proof.hashes[: block.width.bit_length() - 1]
        return root_from_inclusion(InclusionProof(index=0, size=block.width, hashes=inner), self._leaf(block.start))

    def _inclusion(self, index: int) -> InclusionProof:
        row = self._row()
        try:
            proof = build_inclusion(index, row.signed_size or 0, self._node)
            verify_inclusion(proof, self._leaf(index), row.root)
        except (ProofError, MalformedError) as error:
            raise DiskDisagreesError(f"tiles on the path of entry {index} do not give the signed root") from error
        return proof

    def _node(self, level: int, index: int) -> Hash:
        return stored_node(level, index, self._row().signed_size or 0, self._tile)

    def _tile(self, tile: Tile) -> bytes:
        data = self._tiles.get(tile)
        if data is None:
            if len(self._tiles) >= _CACHED_TILES:
                self._tiles.clear()
            data = self._tiles[tile] = self._store.read(tile)
        return data

    def _leaf(self, index: int) -> Hash:
        return self._node(0, index)

    def _db(self) -> State:
        if not self._ready:
            raise WriterBrokenError("the log is closed")
        return self._state

    def _row(self) -> HeadRow:
        if self._head is None:
            raise WriterBrokenError("the log never opened")
        return self._head

    def _writable(self) -> tuple[State, HeadRow]:
        if self._read_only is not None:
            raise self._read_only
        if self._tail is None:
            raise WriterBrokenError("a write failed half-way: open the log again")
        return self._db(), self._row()


def begins_of(state: StateRows) -> ShardEntry | None:
    """Entry 0 of a log that goes on from frozen ones; None for one that does not."""
    heads = [OriginHead(origin=head.origin, size=head.size, root=head.root) for head in state.frozen_heads()]
    return shard_entry(heads, state.carried()) if heads else None


def begins_from(carry: Carry) -> ShardEntry:
    """Entry 0 of the log that takes this over."""
    return shard_entry([OriginHead(origin=x.origin, size=x.size, root=x.root) for x in carry.heads], carry.blob)


def row_of(identity: LogIdentity) -> LogRow:
    """What the state keeps of an identity."""
    return LogRow(
        origin=identity.origin_number,
        name=identity.origin_name,
        height=identity.block_height,
        vkey=identity.vkey_text(),
        receipt_kid=identity.receipt_signer.public_key.kid,
    )
