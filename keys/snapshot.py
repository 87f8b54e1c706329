"""The local trust store: generations of trust files in a directory, replaced as a whole.

    CURRENT                      number of the generation in force
    generations/<n>/SHA256SUMS   one line per file; its own SHA-256 is the fingerprint
    generations/<n>/files/…      trust.json and the blobs

A generation is written aside, made durable and renamed into place; then CURRENT is replaced. Whatever
stops the writer, a reader finds the old generation or the new one, whole. The last two generations are
kept, so that a reader that has just read CURRENT finds its files. Source: DESIGN §7.
Left out: importing through TUF, which will fill the same store and set `signed_by_tuf`.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mingzheng.keys import sm2backend  # noqa: F401 - whoever loads keys verifies with the fast engine
from mingzheng.keys.errors import (
    BadBlobNameError,
    RollbackError,
    StoreBusyError,
    StoreDamagedError,
    StoreMissingError,
    StoreWriteError,
    TrustTooLargeError,
)
from mingzheng.keys.trust import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    TrustData,
    check_blob_name,
    listing,
    parse_trust,
)

CURRENT: Final = "CURRENT"
GENERATIONS: Final = "generations"
MANIFEST: Final = "SHA256SUMS"
FILES: Final = "files"
MAX_MANIFEST_BYTES: Final = MAX_FILES * 256
_LOCK: Final = "LOCK"
_STAGING: Final = ".staging"
_DISCARD: Final = ".discard"
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,15}\n")
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrust:
    """Trust data as a store holds it. `fingerprint`: 64 hex digits over every file."""

    data: TrustData
    files: Mapping[str, bytes]
    fingerprint: str
    signed_by_tuf: bool


def load_store(directory: Path) -> StoredTrust:
    """Read the generation in force; every file is checked against the manifest before it is used.

    Raises StoreMissingError if there is no store, StoreDamagedError if any file is missing, extra,
    changed or a symbolic link, and what `parse_trust` raises.
    """
    try:
        return _load(directory)
    except OSError as error:
        raise StoreDamagedError(f"trust store not readable: {error.strerror}") from error


def save_store(directory: Path, files: Mapping[str, bytes]) -> None:
    """Make `files` the generation in force.

    Saving what is already in force does nothing. Raises what `parse_trust` raises, RollbackError unless
    the generation rises, StoreBusyError while another process writes, StoreWriteError if the system
    refuses; after any error the old generation still stands, or the new one already does.
    """
    data = parse_trust(files)
    try:
        (directory / GENERATIONS).mkdir(parents=True, exist_ok=True)
        _check_directory(directory / GENERATIONS)
        with _locked(directory):
            if _must_write(directory, data.generation, files):
                _write_generation(directory, data.generation, files)
                _discard_old(directory, data.generation)
    except OSError as error:
        raise StoreWriteError(f"trust store not written: {error.strerror}") from error


def _load(directory: Path) -> StoredTrust:
    number = _read_current(directory)
    if number is None:
        raise StoreMissingError(f"no trust store here: there is no {CURRENT}")
    generation = directory / GENERATIONS / str(number)
    for part in (generation.parent, generation, generation / FILES):
        _check_directory(part)
    manifest = _read_file(generation / MANIFEST, cap=MAX_MANIFEST_BYTES)
    files = _read_listed(generation / FILES, _parse_manifest(manifest))
    data = parse_trust(files)
    if data.generation != number:
        raise StoreDamagedError(f"generation {number} holds trust data of generation {data.generation}")
    name = hashlib.sha256(manifest).hexdigest()
    return StoredTrust(data=data, files=files, fingerprint=name, signed_by_tuf=False)


def _must_write(directory: Path, generation: int, files: Mapping[str, bytes]) -> bool:
    number = _read_current(directory)
    if number is None:
        return True
    if generation < number:
        raise RollbackError(f"generation {generation} is below the stored {number}")
    if generation > number:
        return True
    manifest = _read_file(directory / GENERATIONS / str(number) / MANIFEST, cap=MAX_MANIFEST_BYTES)
    if manifest != listing(files):
        raise RollbackError(f"generation {number} is stored with other files: raise the generation")
    return False


def _write_generation(directory: Path, generation: int, files: Mapping[str, bytes]) -> None:
    home = directory / GENERATIONS
    staging = home / _STAGING
    _remove(staging, home)
    for name in sorted(files):
        path = staging / FILES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_file(path, files[name])
    _write_file(staging / MANIFEST, listing(files))
    for folder in sorted({path.parent for path in staging.rglob("*")}, reverse=True):
        _sync_directory(folder)
    final = home / str(generation)
    _remove(final, home)  # left by a writer that stopped before CURRENT
    staging.rename(final)
    _sync_directory(home)
    _sync_directory(directory)
    fresh = directory / f"{CURRENT}.new"
    fresh.unlink(missing_ok=True)
    _write_file(fresh, b"%d\n" % generation)
    fresh.replace(directory / CURRENT)
    _sync_directory(directory)
    _sync_directory(directory.absolute().parent)


def _discard_old(directory: Path, generation: int) -> None:
    """Keep the generation in force and the one before; failing to tidy up is no failure."""
    home = directory / GENERATIONS
    with contextlib.suppress(OSError, StoreDamagedError):
        numbers = sorted(int(entry.name) for entry in home.iterdir() if entry.name.isdecimal())
        for number in [n for n in numbers if n < generation][:-1]:
            _remove(home / str(number), home)


def _remove(path: Path, home: Path) -> None:
    """Take a directory away in one step, then delete it: nobody sees half of it under its name."""
    discard = home / _DISCARD
    for target in (discard, path):
        if target.is_symlink():
            raise StoreDamagedError(f"{target.name} is a symbolic link")
    if discard.exists():
        shutil.rmtree(discard)
    if path.exists():
        path.rename(discard)
        shutil.rmtree(discard)


def _write_file(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
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


def _read_current(directory: Path) -> int | None:
    path = directory / CURRENT
    if not path.is_symlink() and not path.exists():
        return None
    text = _read_file(path, cap=32)
    if not _NUMBER.fullmatch(text):
        raise StoreDamagedError(f"{CURRENT} is not a generation number")
    return int(text)


def _parse_manifest(manifest: bytes) -> dict[str, str]:
    """Digest by name; raises StoreDamagedError unless it is what `listing` writes."""
    try:
        lines = manifest.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise StoreDamagedError(f"{MANIFEST} is not ASCII") from None
    digests: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise StoreDamagedError(f"{MANIFEST} holds a line that is not digest and name")
        digests[match[2]] = match[1]
    if len(digests) > MAX_FILES:
        raise TrustTooLargeError(f"{len(digests)} files, cap is {MAX_FILES}")
    if manifest != "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode():
        raise StoreDamagedError(f"{MANIFEST} is not sorted or names a file twice")
    return digests


def _read_listed(root: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    present = _walk(root)
    if present != set(digests):
        odd = min(present ^ set(digests))
        raise StoreDamagedError(f"{odd}: {'extra' if odd in present else 'missing'} file")
    files: dict[str, bytes] = {}
    room = MAX_TOTAL_BYTES
    for name in sorted(digests):
        files[name] = _read_file(root / name, cap=min(room, MAX_FILE_BYTES))
        room -= len(files[name])
        if hashlib.sha256(files[name]).hexdigest() != digests[name]:
            raise StoreDamagedError(f"{name}: not the file the manifest lists")
    return files


def _walk(root: Path) -> set[str]:
    """Names of all files below `root`; raises on links, odd names and too many."""
    found: set[str] = set()
    folders = [""]
    while folders:
        folder = folders.pop()
        entries = list(os.scandir(root / folder))
        if folder and not entries:
            raise StoreDamagedError(f"{folder}: extra directory")
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            try:
                check_blob_name(name)
            except BadBlobNameError as error:
                raise StoreDamagedError(f"extra file: {error}") from error
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif entry.is_file(follow_symlinks=False):
                found.add(name)
            else:
                raise StoreDamagedError(f"{name}: not a regular file")
        if len(found) + len(folders) > MAX_FILES:
            raise TrustTooLargeError(f"store holds more than {MAX_FILES} files")
    return found


def _check_directory(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        raise StoreDamagedError(f"{path.name}: not a directory of this store")


def _read_file(path: Path, *, cap: int) -> bytes:
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
