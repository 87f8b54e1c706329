"""Follow a log, keep it byte for byte, serve it as static files (docs/audit.md, Mirror and repair).

Nothing is stored that the new head does not cover, and the head is published last, so a mirror killed at any moment
serves a whole log. A fork, rollback or changed history is refused: the mirror goes on serving what it has.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mingzheng.log.checkpoint import Checkpoint, open_foreign_checkpoint
from mingzheng.log.client import Fetcher, LogReader
from mingzheng.log.collected import Found, OriginKeys, compare_heads
from mingzheng.log.cosign import Cosigner
from mingzheng.log.durable import make_dirs
from mingzheng.log.errors import LogError
from mingzheng.log.lock import WriterLock
from mingzheng.log.store import PosixStore
from mingzheng.log.tile import ENTRIES, TILE_WIDTH, Tile, encode_bundle, tiles_of

_BATCH_FILES = 64
TEMPORARY = ".temporary"
LOCK = ".lock"

_logger = logging.getLogger(__name__)


class MirrorRefusedError(LogError):
    """The log's head does not extend the mirror's: nothing was stored. `found` tells how, with its evidence."""

    code: ClassVar[str] = "mirror.not_consistent"

    def __init__(self, found: Found) -> None:
        super().__init__(found.alarm.detail)
        self.found = found


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """One run: from which size to which, and how many files were new."""

    before: int | None
    head: Checkpoint
    files: int


class Mirror:
    """A directory that is a log again. `cosigner`: adds its own line to the head that it publishes."""

    def __init__(self, directory: Path, keys: OriginKeys, *, cosigner: Cosigner | None = None) -> None:
        self._keys, self._cosigner = keys, cosigner
        self._store = PosixStore(directory, directory.with_name(directory.name + TEMPORARY))
        self._lock = directory.with_name(directory.name + LOCK)

    def follow(self, fetcher: Fetcher, *, now: int) -> Mirrored:
        """Fetch what is new; `now` stands in a cosignature.

        Raises MirrorRefusedError, WriterActiveError, FetchError, TileUntrueError, KeysError, DiskDisagreesError,
        OSError.
        """
        make_dirs(self._lock.parent)
        lock = WriterLock(self._lock)  # two at once would mix their files, and the slower put an older head back
        try:
            return self._follow(fetcher, now)
        finally:
            lock.release()

    def _follow(self, fetcher: Fetcher, now: int) -> Mirrored:
        self._store.prepare()
        reader = LogReader(fetcher, self._keys.vkey, origin=self._keys.name)
        head = reader.refresh()
        before = self._head()
        if before is not None:
            found = compare_heads(reader, before[0], before[1], "mirror")
            if found is not None:
                raise MirrorRefusedError(found)
        old = 0 if before is None else before[1].size
        count = self._store_new(reader, old, head.size)
        if before is None or before[1] != head:
            self._publish(reader.note(), now)
            for level in (ENTRIES, *range(8)):
                self._forget_partials(level, old, head.size)
            _logger.info("mirrored size=%d files=%d", head.size, count)
        return Mirrored(before=None if before is None else old, head=head, files=count)

    def _head(self) -> tuple[bytes, Checkpoint] | None:
        note = self._store.read_checkpoint()
        if note is None:
            return None
        return note, open_foreign_checkpoint(note, vkeys=[self._keys.vkey], origin=self._keys.name)

    def _store_new(self, reader: LogReader, old: int, size: int) -> int:
        batch: list[tuple[Tile, bytes]] = []
        count = 0
        for item in new_files(reader, old, size):
            batch.append(item)
            count += 1
            if len(batch) >= _BATCH_FILES:
                self._store.write(batch)
                batch = []
        self._store.write(batch)
        return count

    def _publish(self, note: bytes, now: int) -> None:
        if self._cosigner is not None:
            text = note.decode().split("\n\n", 1)[0] + "\n"
            note += self._cosigner.cosign(text, time=now).encode()
        self._store.publish_checkpoint(note)

    def _forget_partials(self, level: int, old: int, size: int) -> None:
        """Partial forms of tiles that are full now."""
        shift = 8 * max(level, 0)
        index = (old >> shift) // TILE_WIDTH
        if (old >> shift) % TILE_WIDTH and (size >> shift) >= (index + 1) * TILE_WIDTH:
            self._store.remove_partials(Tile(level=level, index=index, width=TILE_WIDTH))


def new_files(reader: LogReader, old: int, size: int) -> Iterator[tuple[Tile, bytes]]:
    """Every verified bundle and tile that the log of `size` entries has and that of `old` has not, bundles first."""
    for first, entries in reader.bundles(old) if old < size else ():
        yield Tile(level=ENTRIES, index=first // TILE_WIDTH, width=len(entries)), encode_bundle(entries)
    for tile in tiles_of(size):
        had = (old >> (8 * tile.level)) - tile.index * TILE_WIDTH
        if had < tile.width:
            yield tile, reader.tile(tile)


__all__ = ["Mirror", "MirrorRefusedError", "Mirrored", "new_files"]
