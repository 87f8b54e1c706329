"""Files of a backup: written privately, hashed, packed into one tar file and read out of it (docs/workspace.md).

Directories are 700, files 600. A backup is a directory, or, by the name `….tar`, one uncompressed file of the same
files. Reading takes plain files with safe names only, each once.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from mingzheng.issuer.manifest import MANIFEST, FileEntry, is_safe_path
from mingzheng.issuer.refusals import BackupDamagedError
from mingzheng.log.durable import fsync_dir

__all__ = ["copy_file", "describe", "is_archive", "pack", "private_dir", "unpack"]

PRIVATE_FILE: Final = 0o600
PRIVATE_DIR: Final = 0o700
_CHUNK: Final = 1 << 20


def is_archive(path: Path) -> bool:
    """Whether that name stands for one file."""
    return path.suffix == ".tar"


def private_dir(path: Path) -> None:
    """Make a directory and its missing parents, each for the owner alone."""
    if not path.is_dir():
        private_dir(path.parent)
        path.mkdir(mode=PRIVATE_DIR)


def copy_file(source: IO[bytes], target: Path, name: str) -> FileEntry:
    """Copy into a new private file, durable on return."""
    private_dir(target.parent)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE_FILE)
    try:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return FileEntry(path=name, size_bytes=size, sha256=digest.hexdigest())


def describe(root: Path) -> tuple[FileEntry, ...]:
    """Every file below, made private and durable, with its digest; by path."""
    found = []
    for directory, _names, files in os.walk(root):
        os.chmod(directory, PRIVATE_DIR)
        for name in files:
            path = Path(directory, name)
            os.chmod(path, PRIVATE_FILE)
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                os.fsync(stream.fileno())
            relative = path.relative_to(root).as_posix()
            found.append(FileEntry(path=relative, size_bytes=path.stat().st_size, sha256=digest))
        fsync_dir(Path(directory))
    return tuple(sorted(found, key=lambda entry: entry.path))


def pack(directory: Path, target: Path) -> None:
    """All files of a backup as one new file, the manifest last; durable on return."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            paths = sorted(path for path in directory.rglob("*") if path.is_file())
            for path in sorted(paths, key=lambda path: path.name == MANIFEST and path.parent == directory):
                member = tarfile.TarInfo(path.relative_to(directory).as_posix())
                member.size, member.mode = path.stat().st_size, PRIVATE_FILE
                with path.open("rb") as source:
                    archive.addfile(member, source)
        stream.flush()
        os.fsync(stream.fileno())


def unpack(source: Path, target: Path) -> dict[str, FileEntry]:
    """Every file of a backup, directory or archive, copied below `target`; by path, the manifest among them.

    Raises BackupDamagedError for anything but plain files with safe names, and for what is no backup.
    """
    found: dict[str, FileEntry] = {}
    members = _of_directory(source) if source.is_dir() else _of_archive(source)
    for name, stream in members:
        with stream:
            if not is_safe_path(name) or name in found:
                raise BackupDamagedError(source.name, "a file with a name that no backup has, or twice")
            found[name] = copy_file(stream, target / name, name)
    if MANIFEST not in found:
        raise BackupDamagedError(MANIFEST, "missing: the backup is not whole, or no backup")
    return found


def _of_directory(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for directory, names, files in os.walk(source):
        for name in (*names, *files):
            if Path(directory, name).is_symlink():
                raise BackupDamagedError(source.name, "a link")
        for name in files:
            path = Path(directory, name)
            if not path.is_file():
                raise BackupDamagedError(source.name, "something that is no plain file")
            yield path.relative_to(source).as_posix(), path.open("rb")


def _of_archive(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        with tarfile.open(source, mode="r:") as archive:
            for member in archive:
                if not member.isreg() or member.sparse is not None:
                    raise BackupDamagedError(source.name, "something that is no plain file")
                stream = archive.extractfile(member)
                assert stream is not None  # a plain file
                yield member.name, stream
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise BackupDamagedError(source.name, "no tar file, or cut short") from error
