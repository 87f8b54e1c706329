"""One writer per log directory: an operating system lock on the file `lock`.

The lock belongs to the open file, so it vanishes with the process, also by SIGKILL or power loss; the file itself
stays. POSIX: flock. Windows: a byte-range lock.
"""

import os
import sys
from pathlib import Path

from mingzheng.log.refusal import WriterActiveError


class WriterLock:
    """Held from construction to `release`; a second one on the same file raises WriterActiveError."""

    def __init__(self, path: Path, *, unwritable: bool = False) -> None:
        """`unwritable`: the file is there (else FileNotFoundError) and may only be read."""
        how = os.O_RDONLY if unwritable else os.O_RDWR | os.O_CREAT
        self._descriptor: int | None = os.open(path, how | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            _lock(self._descriptor)
        except OSError as error:
            os.close(self._descriptor)
            self._descriptor = None
            raise WriterActiveError(path.name) from error

    def release(self) -> None:
        """Give the lock up; more than once is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
