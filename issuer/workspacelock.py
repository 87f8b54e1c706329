"""The lock of a workspace: one command at a time; where nothing can be written, what there is to lock may be read."""

import errno
from pathlib import Path
from typing import Final

from mingzheng.issuer.refusals import WorkspaceBusyError
from mingzheng.log.lock import WriterLock
from mingzheng.log.refusal import WriterActiveError

__all__ = ["LOCK", "lock_to_read", "lock_workspace"]

LOCK: Final = "lock"
_UNWRITABLE: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


def lock_workspace(root: Path) -> WriterLock:
    """Held until `release`. Raises WorkspaceBusyError."""
    try:
        return WriterLock(root / LOCK)
    except WriterActiveError as error:
        raise WorkspaceBusyError from error


def lock_to_read(root: Path) -> tuple[WriterLock | None, bool]:
    """The lock, if there is one to take where nothing can be written; and whether nobody writes meanwhile."""
    try:
        return lock_workspace(root), True
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
    try:
        return WriterLock(root / LOCK, unwritable=True), True
    except WriterActiveError as error:
        raise WorkspaceBusyError from error
    except FileNotFoundError:
        return None, True
    except PermissionError:
        return None, False
