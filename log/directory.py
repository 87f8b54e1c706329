"""The state of an embedded log in its directory: SQLite file, writer's lock, the `instance` file (docs/adr/0010)."""

from pathlib import Path

from mingzheng.log.database import Database
from mingzheng.log.hashing import Hash
from mingzheng.log.instance import Instance, make_instance, read_instance
from mingzheng.log.lock import WriterLock
from mingzheng.log.refusal import LogMissingError, RestoredBackupError, StorageError, WriterBrokenError
from mingzheng.log.state import Carry, LogRow

DATABASE = "log.sqlite"
INSTANCE = "instance"
LOCK = "lock"


class DirectoryState(Database):
    """See State. The lock is held from `open` to `close`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: WriterLock | None = None
        self._connected = False

    def open(self) -> None:
        """See State. An empty database file is as none."""
        self._lock = WriterLock(self._directory / LOCK)
        path = self._directory / DATABASE
        if path.is_file() and path.stat().st_size > 0:
            self._connect()

    def close(self) -> None:
        """See State."""
        if self._connected:
            self._connected = False
            super().close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def is_complete(self) -> bool:
        """See State."""
        return self._connected and super().is_complete()

    def log_row(self) -> LogRow:
        """See State."""
        if not self._connected:
            raise LogMissingError("the directory holds no log: creation was cut short")
        return super().log_row()

    def initialise(self, row: LogRow, root: Hash, carry: Carry, instance: Instance | None = None) -> None:
        """See State. The file `instance` is made here, once."""
        if self._lock is None:
            raise WriterBrokenError("the state is not open")
        made = make_instance(self._directory / INSTANCE) if instance is None else instance
        if not self._connected:
            self._connect()
        super().initialise(row, root, carry, made)

    def doubt(self) -> StorageError | None:
        """See State: a copy has another inode and change time than the database remembers."""
        try:
            found = read_instance(self._directory / INSTANCE)
        except FileNotFoundError:
            return RestoredBackupError(
                "the file `instance` is gone: the directory was restored or tampered with; "
                "show the newest checkpoint from outside with `mingzheng log resume --anchor`"
            )
        if self.instance().is_same_file(found):
            return None
        return RestoredBackupError(
            "this directory is a copy of the log's own: entries written after the copy was made may be missing. "
            "Read-only until `log resume --anchor` shows a checkpoint from outside that equals its head"
        )

    def vouch(self) -> None:
        """See State."""
        path = self._directory / INSTANCE
        self.set_instance(read_instance(path) if path.is_file() else make_instance(path))

    def _connect(self) -> None:
        Database.__init__(self, self._directory / DATABASE)
        self._connected = True
