"""A copy of an embedded log as it is at one moment, while its writer goes on (docs/workspace.md, "Keeping it").

The database is read in one transaction and copied by SQLite's online backup. Of the public files only those that the
copied head needs are taken; a partial tile that is gone by then is cut out of the wider one that took its place. The
file `instance` stays behind: the copy is read-only until it is shown an outside anchor (docs/spec/storage.md).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mingzheng.log.database import Database
from mingzheng.log.directory import DATABASE
from mingzheng.log.durable import fsync_dir, make_dirs, write_file
from mingzheng.log.hashing import HASH_BYTES, Hash
from mingzheng.log.recovery import root_at
from mingzheng.log.refusal import DiskDisagreesError
from mingzheng.log.sequencer import PUBLIC
from mingzheng.log.state import HeadRow, LogRow
from mingzheng.log.store import CHECKPOINT, PosixStore
from mingzheng.log.tile import ENTRIES, TILE_WIDTH, Tile, bundles_of, encode_bundle, tiles_of

_TRIES: Final = 3
_LENGTH_BYTES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedLog:
    """What was copied: a log of that head. `is_through` False: a round that was cut short is in the copy, too."""

    row: LogRow
    size: int
    root: Hash
    is_through: bool


class LogMoment:
    """One moment of the log in a directory, held from `hold` on. Close it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database = Database(directory / DATABASE, read_only=True)

    def hold(self) -> bool:
        """See the log as it is now; says whether its last round is through. Again: see it anew."""
        self._database.let_go()
        self._database.hold()
        return _is_through(self._database)

    def row(self) -> LogRow:
        """What log this is. Raises LogMissingError."""
        return self._database.log_row()

    def copy_to(self, target: Path) -> CopiedLog:
        """Write it into a new directory. Raises DiskDisagreesError if tiles and head do not fit, OSError."""
        head, through = self._database.head(), _is_through(self._database)
        staged = self._database.staged()
        size = staged[0][0] if staged else head.size
        make_dirs(target / PUBLIC)
        self._database.copy_to(target / DATABASE)
        for tile in (*tiles_of(size), *bundles_of(size)):
            path = target / PUBLIC / tile.path()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, self._bytes(tile))
        if head.note is not None:
            write_file(target / PUBLIC / CHECKPOINT, head.note)
        _check(head, size, target)
        fsync_dir(target)
        return CopiedLog(row=self.row(), size=head.size, root=head.root, is_through=through)

    def close(self) -> None:
        """Let the moment go."""
        self._database.close()

    def _bytes(self, tile: Tile) -> bytes:
        """A tile's bytes, if need be the beginning of a wider one's."""
        for _ in range(_TRIES):  # between looking at a partial and at the full one, the writer may have filled it
            for width in range(tile.width, TILE_WIDTH + 1):
                wider = Tile(level=tile.level, index=tile.index, width=width)
                try:
                    data = (self._directory / PUBLIC / wider.path()).read_bytes()
                except (FileNotFoundError, NotADirectoryError):
                    continue
                return _beginning(data, tile)
        raise DiskDisagreesError(f"{tile.path()} is missing")


def _is_through(database: Database) -> bool:
    head = database.head()
    return not database.staged() and head.note is not None and head.signed_size == head.size


def _beginning(data: bytes, tile: Tile) -> bytes:
    if tile.level != ENTRIES:
        return data[: tile.width * HASH_BYTES]
    entries, at = [], 0
    for _ in range(tile.width):
        stop = at + _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES])
        entries.append(data[at + _LENGTH_BYTES : stop])
        at = stop
    return encode_bundle(entries)


def _check(head: HeadRow, size: int, target: Path) -> None:
    if size == head.size:
        store = PosixStore(target / PUBLIC, target / "temporary")
        if size and root_at(size, size, store) != head.root:
            raise DiskDisagreesError("the tiles do not give the root of the head: run `mingzheng log fsck`")
