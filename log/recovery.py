"""Opening a log again: is it ours, is it the newest state, do disk and database agree, roll forward.

Nothing here signs. Every doubt is a typed refusal (docs/adr/0010-storage-commit-order.md).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from mingzheng.keys.errors import KeysError
from mingzheng.keys.signer import Signer
from mingzheng.keys.vkey import VerifierKey, format_vkey, vkey_for
from mingzheng.log.checkpoint import Checkpoint, open_checkpoint
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import Hash
from mingzheng.log.instance import HeadMemory
from mingzheng.log.merkle import tree_root
from mingzheng.log.refusal import (
    AnchorRefusedError,
    BehindMemoryError,
    DiskDisagreesError,
    ForkedHeadError,
    LogFrozenError,
    LogMissingError,
    LogMovedError,
    StorageError,
    WrongIdentityError,
)
from mingzheng.log.state import HeadRow, LogRow, Standing, State
from mingzheng.log.store import Store
from mingzheng.log.tail import Tail, append, check_tail, load_tail, stored_node

_vkey_of = lru_cache(maxsize=64)(vkey_for)  # checking a key's point costs more than a signature


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIdentity:
    """What a log is and who signs for it; fixed for its whole life.

    `checkpoint_signer`: Ed25519 (-19), named by the origin name. `receipt_signer`: -8 or -7.
    """

    origin_number: int
    origin_name: str
    block_height: int
    checkpoint_signer: Signer
    receipt_signer: Signer

    def vkey(self) -> VerifierKey:
        """The verifier key of the log's checkpoints."""
        return _vkey_of(self.origin_name, self.checkpoint_signer.public_key)

    def vkey_text(self) -> str:
        """The same as the string `name+hash+key`."""
        return format_vkey(self.vkey())


def check_identity(row: LogRow, identity: LogIdentity) -> None:
    """Raise WrongIdentityError if the directory holds another log than `identity`."""
    pairs = (
        ("origin number", str(identity.origin_number), str(row.origin)),
        ("origin name", identity.origin_name, row.name),
        ("block height", str(identity.block_height), str(row.height)),
        ("checkpoint key", identity.vkey_text(), row.vkey),
        ("receipt key", identity.receipt_signer.public_key.kid.hex(), row.receipt_kid.hex()),
    )
    for what, want, got in pairs:
        if want != got:
            raise WrongIdentityError(what, want=want, got=got)


def standing_of(row: LogRow) -> StorageError | None:
    """Why nothing is appended to a log of this standing, None if it is open. Raises LogMissingError."""
    match row.standing:
        case Standing.OPEN:
            return None
        case Standing.FROZEN:
            return LogFrozenError("the log is closed; its successor takes what is new")
        case Standing.MOVED:
            return LogMovedError("the log was moved to another storage and goes on there")
        case Standing.IMPORTING:
            raise LogMissingError("a move of the log into this storage is not through: run it again")
        case _:
            assert_never(row.standing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What can be compared with: the row, and the tiles, complete up to `disk_size` (less while a round is queued)."""

    head: HeadRow
    disk_size: int
    store: Store


def stored_state(database: State, store: Store) -> Stored:
    """The state before any roll forward."""
    head, staged = database.head(), database.staged()
    return Stored(head=head, disk_size=staged[0][0] if staged else head.size, store=store)


def check_memory(stored: Stored, note: bytes | None, identity: LogIdentity) -> StorageError | None:
    """Compare with the highest head signed on this machine; BehindMemoryError is returned.

    Raises ForkedHeadError if that head is no prefix of ours, DiskDisagreesError if the memory is unreadable.
    """
    if note is None:
        return None
    remembered = _open_own(note, identity, "the memory of signed heads")
    if remembered.size > stored.head.size:
        return BehindMemoryError(size=stored.head.size, remembered=remembered.size)
    check_prefix(remembered, note, stored)
    return None


def check_published(stored: Stored, identity: LogIdentity) -> bytes | None:
    """The published checkpoint: it must be a head of ours, not after the database's. Raises StorageError leaves."""
    note = stored.store.read_checkpoint()
    if note is None:
        return None
    published = _open_own(note, identity, "the published checkpoint")
    if published.size > stored.head.size:
        raise DiskDisagreesError(
            f"the published checkpoint has {published.size} entries, the database {stored.head.size}: "
            "an older database was put back"
        )
    check_prefix(published, note, stored)
    return note


def check_prefix(older: Checkpoint, note: bytes, stored: Stored) -> None:
    """Raise ForkedHeadError unless our tree had this root at this size."""
    head = stored.head
    if older.size == head.size:
        root = head.root
    elif older.size <= stored.disk_size:
        root = root_at(older.size, stored.disk_size, stored.store)
    else:
        raise DiskDisagreesError(f"a head of {older.size} entries was signed, the tiles end at {stored.disk_size}")
    if older.root != root:
        raise ForkedHeadError(older.size, ours=head.note or b"", theirs=note)


def root_at(size: int, of_size: int, store: Store) -> Hash:
    """Root of the first `size` entries, from the stored tiles of the tree of `of_size`."""

    return tree_root(size, lambda level, index: stored_node(level, index, of_size, store.read))


def roll_forward(database: State, store: Store, head: HeadRow) -> Tail:
    """Finish what the last writer had made durable in the database, and check the end of the log twice.

    Raises DiskDisagreesError if tiles, queue and row do not fit together: then nothing may be signed.
    """
    staged = database.staged()
    start = staged[0][0] if staged else head.size
    if [index for index, _entry in staged] != list(range(start, head.size)):
        raise DiskDisagreesError("the durable queue has a gap or does not end at the head row's size")
    try:
        tail = load_tail(start, store.read)
        if staged:
            plan = append(tail, [entry for _index, entry in staged])
            if plan.tail.edge.root() != head.root:
                raise DiskDisagreesError("tiles on disk with the durable queue do not give the head row's root")
            store.write(plan.files)
            tail = plan.tail
    except DiskDisagreesError:
        raise
    except LogError as error:
        raise DiskDisagreesError(f"the end of the log cannot be read: {error}") from error
    check_tail(start, head.size, head.root, store.read)
    return tail


def check_anchor(note: bytes, head: HeadRow, identity: LogIdentity) -> None:
    """An outside checkpoint proves this state the newest only if it is ours and equals our head.

    Raises AnchorRefusedError (`missing`: how many entries we lack), ForkedHeadError.
    """
    try:
        anchor = open_checkpoint(note, vkeys=[identity.vkey()], origin=identity.origin_name)
    except (KeysError, LogError) as error:
        raise AnchorRefusedError(f"the anchor is no checkpoint under this log's key: {error}") from error
    if anchor.size > head.size:
        missing = anchor.size - head.size
        raise AnchorRefusedError(
            f"the anchor has {anchor.size} entries, this copy {head.size}: {missing} are missing; "
            "bring them back from a mirror or a newer backup",
            missing=missing,
        )
    if anchor.size < head.size:
        raise AnchorRefusedError(
            f"an anchor of {anchor.size} entries proves nothing about a copy of {head.size}: show the newest checkpoint"
        )
    if anchor.root != head.root:
        raise ForkedHeadError(anchor.size, ours=head.note or b"", theirs=note)


def remember(memory: HeadMemory | None, note: bytes, identity: LogIdentity) -> None:
    """Write the head just signed to the outside memory, unless another copy has signed a higher or other one.

    Raises BehindMemoryError or ForkedHeadError: the caller throws the note away.
    """
    if memory is None:
        return
    signed = _open_own(note, identity, "the new checkpoint")
    before = memory.read()
    if before is not None:
        remembered = _open_own(before, identity, "the memory of signed heads")
        if remembered.size > signed.size:
            raise BehindMemoryError(size=signed.size, remembered=remembered.size)
        if remembered.size == signed.size and remembered.root != signed.root:
            raise ForkedHeadError(signed.size, ours=note, theirs=before)
    if before != note:
        memory.write(note)


def _open_own(note: bytes, identity: LogIdentity, what: str) -> Checkpoint:
    try:
        return open_checkpoint(note, vkeys=[identity.vkey()], origin=identity.origin_name)
    except (KeysError, LogError) as error:
        raise DiskDisagreesError(f"{what} is not one of this log's: {error}") from error
