"""Files that survive a power cut, and one writer at a time: what the stores of this room are written with.

A file is written beside its place, made durable and renamed into it, so that a reader finds the old one or the new
one. Reading refuses links, and never takes more than it was told to. Sources: fsync(2), rename(2), flock(2).
"""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mingzheng.keys.errors import StoreBusyError, StoreDamagedError, TrustTooLargeError

_LOCK: Final = "LOCK"
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in the place of another, durably and at once."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    write_file(fresh, data)
    fresh.replace(path)
    sync_directory(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file, durably; its directory is the caller's to sync."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; a link to one will do, as for any path to a store."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the store's lock; it goes away with the process that holds it."""
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o644)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise StoreBusyError("another process is writing this trust store") from error
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreBusyError("another process is writing this trust store") from error


def read_file(path: Path, *, cap: int) -> bytes:
    """Read a regular file that is no link, at most `cap` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        what = "a symbolic link" if error.errno == errno.ELOOP else "not readable"
        raise StoreDamagedError(f"{path.name}: {what}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreDamagedError(f"{path.name}: not a regular file")
        if status.st_size > cap:
            raise TrustTooLargeError(f"{path.name}: {status.st_size} bytes, cap is {cap}")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(cap + 1)
    finally:
        os.close(descriptor)
    if len(data) > cap:
        raise TrustTooLargeError(f"{path.name}: grew over its cap of {cap} bytes while it was read")
    return data
