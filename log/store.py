"""Where a log's public files live: the Store protocol and its form on a POSIX (or Windows) directory.

Files appear whole or not at all; one that is there never changes (C2SP tlog-tiles), except `checkpoint`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from mingzheng.log.client import FetchError
from mingzheng.log.durable import fsync_dir, make_dirs, publish, remove_dir, replace, unlink, write_file
from mingzheng.log.refusal import DiskDisagreesError
from mingzheng.log.tile import Tile, parse_path

CHECKPOINT = "checkpoint"


class Store(Protocol):
    """Public files of one log. Writes are durable on return."""

    def read(self, tile: Tile) -> bytes:
        """A tile's or bundle's bytes; raises DiskDisagreesError if it is not there."""

    def write(self, files: Iterable[tuple[Tile, bytes]]) -> None:
        """Put tiles and bundles; the same bytes again are fine, others raise DiskDisagreesError."""

    def read_checkpoint(self) -> bytes | None:
        """The published checkpoint, None before the first; for its writer, who checks it. Readers use `fetch`."""

    def publish_checkpoint(self, note: bytes) -> None:
        """Replace the checkpoint last read; raises FencedError where a store can tell that it is another by now."""

    def remove_partials(self, tile: Tile) -> None:
        """Forget the partial forms of a tile that is now full."""

    def is_empty(self) -> bool:
        """Whether nothing was ever published here."""

    def prepare(self) -> None:
        """Make ready for writing; sweep what a killed writer left half-written."""

    def names(self) -> Iterator[str]:
        """The path of everything that is published, in order; for checks and copies."""

    def fetch(self, path: str) -> bytes:
        """The bytes under a published path; raises DiskDisagreesError if they are not there."""

    def close(self) -> None:
        """Let go of connections; more than once is fine."""


class StoreFetcher:
    """What a Store publishes, for a verifying reader (`client.Fetcher`)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fetch(self, path: str) -> bytes:
        """The bytes at a path; raises FetchError."""
        if path != CHECKPOINT:
            parse_path(path)
        try:
            return self._store.fetch(path)
        except DiskDisagreesError as error:
            raise FetchError(path, "is missing") from error


class PosixStore:
    """The directory `public/` in tlog-tiles layout; temporary files are made in `temporary/` beside it."""

    def __init__(self, public: Path, temporary: Path) -> None:
        self._public, self._temporary = public, temporary
        self._named: set[Path] = set()  # directories whose names we know to be on disk

    def prepare(self) -> None:
        """Make the directories and sweep what a killed writer left half-written."""
        make_dirs(self._public)
        make_dirs(self._temporary)
        for leftover in sorted(self._temporary.iterdir()):
            unlink(leftover)

    def read(self, tile: Tile) -> bytes:
        """See Store."""
        return self.fetch(tile.path())

    def fetch(self, path: str) -> bytes:
        """See Store."""
        try:
            return (self._public / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DiskDisagreesError(f"{path} is missing") from error

    def write(self, files: Iterable[tuple[Tile, bytes]]) -> None:
        """See Store. Order: every temporary file and its fsync, every rename, every directory's fsync.

        A directory is synced for a file that is there already, too: its writer may have been killed before that.
        """
        waiting: list[tuple[Path, Path]] = []
        parents: dict[Path, None] = {}
        for number, (tile, data) in enumerate(files):
            target = self._public / tile.path()
            parents[target.parent] = None
            if target.exists():
                if target.read_bytes() != data:
                    raise DiskDisagreesError(f"{tile.path()} is there with other bytes; it may never change")
                continue
            temporary = self._temporary / f"{number}.tmp"
            write_file(temporary, data)
            waiting.append((temporary, target))
        for parent in parents:
            self._make(parent)
        for temporary, target in waiting:
            replace(temporary, target)
        for parent in parents:
            fsync_dir(parent)

    def _make(self, directory: Path) -> None:
        """Make a directory of the log, and all names down to it durable: also those that a killed writer had made."""
        if directory in self._named:
            return
        if directory != self._public:
            self._make(directory.parent)
        if directory.is_dir():
            fsync_dir(directory.parent)
        else:
            make_dirs(directory)
        self._named.add(directory)

    def read_checkpoint(self) -> bytes | None:
        """See Store."""
        try:
            return (self._public / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None

    def publish_checkpoint(self, note: bytes) -> None:
        """See Store."""
        publish(self._public / CHECKPOINT, note, temporary=self._temporary / "checkpoint.tmp")

    def remove_partials(self, tile: Tile) -> None:
        """See Store. Not forced to disk: a partial that comes back after a power cut does no harm."""
        directory = self._public / f"{tile.path()}.p"
        if directory.is_dir():
            for partial in sorted(directory.iterdir()):
                unlink(partial)
            remove_dir(directory)
            self._named.discard(directory)

    def is_empty(self) -> bool:
        """See Store."""
        return not (self._public / CHECKPOINT).exists() and not (self._public / "tile").exists()

    def names(self) -> Iterator[str]:
        """See Store."""
        for path in sorted(self._public.rglob("*")):
            if not path.is_dir():
                yield path.relative_to(self._public).as_posix()

    def close(self) -> None:
        """See Store: nothing is held."""
