"""Move a log from its directory to another storage: same origin, same keys, every byte compared (docs/spec/storage.md).

At most one side can be written at any time: the target is *importing* until the source is *moved*. Each step is durable
and may be repeated; a move that was cut short is run again.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Protocol

from mingzheng.log.directory import DirectoryState
from mingzheng.log.entry import CloseEntry
from mingzheng.log.fastentry import read_entry
from mingzheng.log.fsck import check_storage, fsck
from mingzheng.log.recovery import LogIdentity, check_identity
from mingzheng.log.refusal import LogExistsError, LogMissingError, LogMovedError, StorageError
from mingzheng.log.sequencer import PUBLIC, TEMPORARY, EmbeddedLog
from mingzheng.log.state import Standing, State, StateRows
from mingzheng.log.store import CHECKPOINT, PosixStore, Store
from mingzheng.log.tile import TILE_WIDTH, Tile, bundle_of, parse_bundle, parse_path

_BATCH = 64
_logger = logging.getLogger(__name__)


class ImportState(State, Protocol):
    """A state that can take over the rows of another."""

    def import_rows(self, source: StateRows) -> None:
        """Make the log with these rows and the standing *importing*, all or nothing; what an import left goes first.

        Raises LogExistsError if there is a log that is not importing.
        """


class MigrationDiffersError(StorageError):
    """What was written does not read back as what the source holds: nothing was switched."""

    code: ClassVar[str] = "log.migration_differs"


class SourceDamagedError(StorageError):
    """The log to be moved is damaged: repair it first."""

    code: ClassVar[str] = "log.migration_source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What was moved and compared."""

    size: int
    objects: int
    rows: int


def migrate(directory: Path, identity: LogIdentity, *, store: Store, state: ImportState) -> Migrated:
    """Move the log of `directory` into `store` and `state`, which this function opens and closes.

    Raises SourceDamagedError, LogExistsError, LogMovedError, MigrationDiffersError, WriterActiveError, other
    StorageErrors.
    """
    source_store = PosixStore(directory / PUBLIC, directory / TEMPORARY)
    if not EmbeddedLog.exists(directory):
        raise LogMissingError("no log database in the directory")
    source = DirectoryState(directory)
    try:
        source.open()
        state.open()
        row = source.log_row()
        check_identity(row, identity)
        moved = row.standing is Standing.MOVED
        if moved and _is_there(state, identity):
            return _counted(source, source_store)  # done before
        _check_source(directory, source, identity)
        if not moved:  # else everything was copied before the source was marked
            _copy(source_store, source, store, state)
        _compare(source_store, source, store, state)
        report = check_storage(store, state, vkey=identity.vkey())
        if not report.clean:
            raise MigrationDiffersError(f"{report.faults[0].path}: {report.faults[0].detail}")
        standing = _standing(source_store, source)
        source.set_standing(Standing.MOVED)
        state.set_standing(standing)
        copied = _counted(source, source_store)
        _logger.info("migrated size=%d objects=%d rows=%d", copied.size, copied.objects, copied.rows)
        return copied
    finally:
        state.close()
        source.close()
        store.close()


def _is_there(state: State, identity: LogIdentity) -> bool:
    """Whether the target of a log that was moved is in use, False if only its marking is left to do.

    Raises LogMovedError for any other place: a second copy that opens would be a second signer.
    """
    if not state.is_complete():
        raise LogMovedError("the log was moved to another place than this one, and goes on there")
    row = state.log_row()
    check_identity(row, identity)
    return row.standing is not Standing.IMPORTING


def _check_source(directory: Path, source: DirectoryState, identity: LogIdentity) -> None:
    """Nothing waits for its tiles, this is no restored copy, and every byte is sound."""
    doubt = source.doubt()
    if doubt is not None:
        raise doubt
    report = fsck(directory, vkey=identity.vkey())
    if not report.clean:
        raise SourceDamagedError(f"{report.faults[0].path}: {report.faults[0].detail}")


def _copy(source_store: Store, source: StateRows, store: Store, state: ImportState) -> None:
    """Rows first (they claim the target), then tiles, then the checkpoint."""
    if not state.is_complete() and not store.is_empty():
        raise LogExistsError("the object store already holds a published log under this prefix")
    state.import_rows(source)
    store.prepare()
    there = set(source_store.names())
    for name in [name for name in store.names() if name not in there]:  # of an earlier try, since then made full
        tile = parse_path(name)
        store.remove_partials(Tile(level=tile.level, index=tile.index, width=TILE_WIDTH))
    for names in _batches(name for name in source_store.names() if name != CHECKPOINT):
        store.write((parse_path(name), source_store.fetch(name)) for name in names)
    note = source_store.read_checkpoint()
    if note is None:
        raise SourceDamagedError("the source has no published checkpoint")
    if store.read_checkpoint() != note:
        store.publish_checkpoint(note)


def _counted(source: StateRows, store: Store) -> Migrated:
    return Migrated(
        size=source.head().size, objects=sum(1 for _ in store.names()), rows=sum(1 for _ in _all_rows(source))
    )


def _compare(source_store: Store, source: StateRows, store: Store, state: StateRows) -> None:
    """Every object byte for byte, no object more; every row equal, no row more."""
    names = sorted(source_store.names())
    if names != sorted(store.names()):
        raise MigrationDiffersError("the object store holds other names than the directory")
    for name in names:
        if store.fetch(name) != source_store.fetch(name):
            raise MigrationDiffersError(f"{name} reads back with other bytes")
    for ours, theirs in zip_longest(_all_rows(source), _all_rows(state)):
        if ours != theirs:
            raise MigrationDiffersError(f"row {ours!r} of the source reads back as {theirs!r}")


def _all_rows(state: StateRows) -> Iterator[tuple[object, ...]]:
    """Every row but the standing, in one order for every storage."""
    row, head = state.log_row(), state.head()
    yield ("log", row.origin, row.name, row.height, row.vkey, row.receipt_kid)
    yield ("head", head.size, head.root, head.last_time, head.cleaned, head.note, head.signed_size)
    for shard in state.frozen_heads():
        yield ("shard", shard.origin, shard.name, shard.size, shard.root)
    yield ("carried", state.carried())
    for number in (0, *state.issuers()):
        found = state.issuer_row(number)
        counters = (found.next_act, found.next_notice, found.next_serial, found.last_index)
        status = (found.status_index, found.status_time)
        yield ("issuer", number, *counters, *status, *sorted(found.status_sizes.items()))
    for (issuer, kid), index in sorted(state.retired().items()):
        yield ("retired", issuer, kid, index)
    yield from (("staged", *item) for item in state.staged())
    yield from (("round", *item) for item in state.all_rounds())
    yield from (("serial", *item) for item in state.all_serials())
    yield from (("submission", *item) for item in state.all_submissions())


def _standing(store: Store, source: StateRows) -> Standing:
    """Frozen if the last round closed the log; also when the source says *moved* already."""
    size = source.head().size
    if size == 0:
        return Standing.OPEN
    start, stop = source.round_of(size - 1)
    for index in range(max(start, stop - 3), stop):  # a close entry stands alone in its round
        if isinstance(read_entry(_entry(store, index, size)), CloseEntry):
            return Standing.FROZEN
    return Standing.OPEN


def _entry(store: Store, index: int, size: int) -> bytes:
    bundle = bundle_of(index, size)
    return parse_bundle(store.read(bundle), width=bundle.width)[index % TILE_WIDTH]


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for name in names:
        batch.append(name)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
