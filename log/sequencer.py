"""The embedded log: one directory, one writer, one round per call (docs/spec/log.md, docs/adr/0010).

Public files in `public/`, state in SQLite beside it (`directory`), the writing itself in `writer`.
"""

from pathlib import Path
from typing import Self

from mingzheng.log.book import ActKeys as ActKeys
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.directory import DATABASE, DirectoryState
from mingzheng.log.durable import make_dirs
from mingzheng.log.instance import HeadMemory
from mingzheng.log.recovery import LogIdentity as LogIdentity
from mingzheng.log.refusal import LogMissingError
from mingzheng.log.rounds import Submission as Submission
from mingzheng.log.state import NOTHING_CARRIED, Carry
from mingzheng.log.store import PosixStore
from mingzheng.log.writer import MAX_CLOCK_JUMP as MAX_CLOCK_JUMP
from mingzheng.log.writer import Log

PUBLIC = "public"
TEMPORARY = "temporary"


class EmbeddedLog(Log):
    """A log in a directory of its own. Not for several threads at once. Close it, or use it in a `with` statement."""

    def __init__(self, directory: Path, identity: LogIdentity, *, act_keys: ActKeys, memory: HeadMemory | None) -> None:
        """Use `create` or `open`."""
        self._directory = directory
        store = PosixStore(directory / PUBLIC, directory / TEMPORARY)
        super().__init__(store, DirectoryState(directory), identity, act_keys=act_keys, memory=memory)

    @classmethod
    def create(
        cls,
        directory: Path,
        identity: LogIdentity,
        *,
        act_keys: ActKeys,
        memory_dir: Path | None,
        carry: Carry = NOTHING_CARRIED,
    ) -> Self:
        """Make the empty log in `directory` and publish its checkpoint of size 0.

        `memory_dir`: where heads signed on this machine are remembered (`instance.default_memory_dir`), None for
        no memory. `carry`: of a shard, what it takes over (`shard`). A creation cut short before its database was
        complete may be repeated. Raises LogExistsError if a log is or was here, or under this key; WriterActiveError.
        """
        make_dirs(directory)
        memory = None if memory_dir is None else HeadMemory(memory_dir, identity.vkey_text())
        log = cls(directory, identity, act_keys=act_keys, memory=memory)
        log.begin(carry)
        return log

    @classmethod
    def open(cls, directory: Path, identity: LogIdentity, *, act_keys: ActKeys, memory_dir: Path | None) -> Self:
        """Open the log in `directory`, roll a round forward that was cut short, and publish.

        A restored copy opens read-only: see `read_only`. Raises LogMissingError, WriterActiveError,
        WrongIdentityError, ForkedHeadError, DiskDisagreesError.
        """
        if not cls.exists(directory):
            raise LogMissingError("no log database in the directory")
        memory = None if memory_dir is None else HeadMemory(memory_dir, identity.vkey_text())
        log = cls(directory, identity, act_keys=act_keys, memory=memory)
        log.resume()
        return log

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether a log database is there (complete or not)."""
        return (directory / DATABASE).is_file()

    @property
    def public(self) -> Path:
        """The tlog-tiles directory: what may be copied to a web server or a stick."""
        return self._directory / PUBLIC

    def reader(self) -> LogReader:
        """A verifying reader of the public directory."""
        return LogReader(DirectoryFetcher(self.public), self._identity.vkey())


__all__ = ["MAX_CLOCK_JUMP", "ActKeys", "EmbeddedLog", "LogIdentity", "Submission"]
