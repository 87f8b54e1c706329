"""Every durable write of the log to files goes through here; one place to inject faults.

A file is made visible only by rename after its bytes are on disk: write a temporary file, fsync it,
rename it over the name, fsync the directory (docs/adr/0010-storage-commit-order.md).
SQLite does its own durable writes (WAL, synchronous=FULL) in `database`.
"""

import os
from pathlib import Path

_HAS_DIRECTORY_FSYNC = os.name == "posix"


def write_file(path: Path, data: bytes) -> None:
    """Create or overwrite `path` with `data` and force the bytes to disk. The name itself is not yet durable."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(source: Path, target: Path) -> None:
    """Rename `source` over `target` atomically; durable after `fsync_dir(target.parent)`."""
    os.replace(source, target)


def fsync_dir(path: Path) -> None:
    """Force the names in a directory to disk. Windows has no such call: its renames are journalled."""
    if not _HAS_DIRECTORY_FSYNC:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_dirs(path: Path) -> None:
    """Create `path` and its missing parents, each name durable before the next is made in it."""
    if path.is_dir():
        return
    make_dirs(path.parent)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not path.is_dir():
            raise
    fsync_dir(path.parent)


def unlink(path: Path) -> None:
    """Remove a file; one that is already gone is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def remove_dir(path: Path) -> None:
    """Remove an empty directory; one that is already gone is fine."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return


def publish(path: Path, data: bytes, *, temporary: Path) -> None:
    """Put `data` at `path` through `temporary` (same file system), everything durable on return."""
    write_file(temporary, data)
    replace(temporary, path)
    fsync_dir(path.parent)
