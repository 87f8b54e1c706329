"""The local trust store: generations of trust files in a directory, replaced as a whole.

    CURRENT                      number of the generation in force
    generations/<n>/SHA256SUMS   one line per file; its own SHA-256 is the fingerprint
    generations/<n>/files/…      trust.json and the blobs
    generations/<n>/SIGNED       the TUF metadata under which these files came, if they did
    SEEN                         the newest TUF metadata this store has seen

A generation is written aside, made durable and renamed into place; then CURRENT is replaced. Whatever
stops the writer, a reader finds the old generation or the new one, whole. The generation before is kept,
so that a reader that has just read CURRENT finds its files; so is a higher one whose signers a root has since
disowned. Source: DESIGN §7, docs/spec/trust.md.
SIGNED is checked on every reading, without python-tuf; whether its first root is believed, a caller says by its pins.
Left out: fetching over TUF (`tufclient`), which fills the store through `writing`.
"""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mingzheng.keys import sm2backend  # noqa: F401 - whoever loads keys verifies with the fast engine
from mingzheng.keys.durable import locked, read_file, replace_file, sync_directory, write_file
from mingzheng.keys.errors import (
    BadBlobNameError,
    RollbackError,
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
from mingzheng.keys.tufchain import MAX_EVIDENCE_BYTES, Evidence, format_evidence, open_evidence, parse_evidence

CURRENT: Final = "CURRENT"
GENERATIONS: Final = "generations"
MANIFEST: Final = "SHA256SUMS"
FILES: Final = "files"
SIGNED: Final = "SIGNED"
SEEN: Final = "SEEN"
MAX_MANIFEST_BYTES: Final = MAX_FILES * 256
_STAGING: Final = ".staging"
_DISCARD: Final = ".discard"
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,15}\n")
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrust:
    """Trust data as a store holds it. `fingerprint`: 64 hex digits over every file."""

    data: TrustData
    files: Mapping[str, bytes]
    fingerprint: str
    signed_by_tuf: bool  # the evidence holds, and its first root is pinned
    evidence: Evidence | None = None  # holds, whoever pinned its root
    first_root: str | None = None  # fingerprint
    expires: int | None = None  # when the first part of the evidence does


def load_store(directory: Path, *, pins: Set[str] = frozenset()) -> StoredTrust:
    """Read the generation in force; every file is checked against the manifest before it is used.

    `pins`: first roots that are believed; without one the store is unsigned, whatever it holds.

    Raises StoreMissingError if there is no store, StoreDamagedError if any file is missing, extra,
    changed or a symbolic link, TufError if there is evidence of signatures and it does not hold for these
    very files, and what `parse_trust` raises.
    """
    try:
        return _load(directory, pins)
    except OSError as error:
        raise StoreDamagedError(f"trust store not readable: {error.strerror}") from error


def save_store(directory: Path, files: Mapping[str, bytes]) -> None:
    """Make `files` the generation in force.

    Saving what is already in force does nothing. Raises what `parse_trust` raises, RollbackError unless
    the generation rises, StoreBusyError while another process writes, StoreWriteError if the system
    refuses; after any error the old generation still stands, or the new one already does.
    """
    data = parse_trust(files)
    with writing(directory) as writer:
        if _must_write(directory, data.generation, files):
            writer.put(files, evidence=None)


class StoreWriter:
    """A store under its lock. Only `writing` makes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def seen(self) -> Evidence | None:
        """The newest metadata this store has seen; None if it never saw any. Raises TufMalformedError."""
        path = self._directory / SEEN
        if not path.is_symlink() and not path.exists():
            return None
        return parse_evidence(read_file(path, cap=MAX_EVIDENCE_BYTES))

    def remember(self, evidence: Evidence) -> None:
        """Replace what was seen."""
        replace_file(self._directory / SEEN, format_evidence(evidence))

    def put(self, files: Mapping[str, bytes], *, evidence: Evidence | None) -> None:
        """Make `files` the generation in force, with the evidence for them; the caller has checked both."""
        generation = parse_trust(files).generation
        _write_generation(self._directory, generation, files, evidence)
        _discard_old(self._directory, generation)

    def sign(self, generation: int, evidence: Evidence) -> None:
        """Replace the evidence of the generation in force; its files stay."""
        replace_file(self._directory / GENERATIONS / str(generation) / SIGNED, format_evidence(evidence))


@contextlib.contextmanager
def writing(directory: Path) -> Iterator[StoreWriter]:
    """The store `directory`, made if there is none, one writer at a time. Raises StoreBusyError, StoreWriteError."""
    try:
        (directory / GENERATIONS).mkdir(parents=True, exist_ok=True)
        _check_directory(directory / GENERATIONS)
        with locked(directory):
            yield StoreWriter(directory)
    except OSError as error:
        raise StoreWriteError(
            f"trust store not written ({error.strerror}): see to the disk, then run the same command again"
        ) from error


def check_generation(directory: Path, files: Mapping[str, bytes], *, may_fall: bool) -> bool:
    """Would `put` change the files in force? Raises RollbackError for a lower generation, or the same of other files.

    `may_fall`: the keys that vouched for what is in force are no longer believed, so its number binds nobody.
    """
    generation = parse_trust(files).generation
    number = _read_current(directory)
    if may_fall and number is not None and generation < number:
        return True
    return _must_write(directory, generation, files)


def _load(directory: Path, pins: Set[str]) -> StoredTrust:
    number = _read_current(directory)
    if number is None:
        raise StoreMissingError(f"no trust store here: there is no {CURRENT}")
    generation = directory / GENERATIONS / str(number)
    for part in (generation.parent, generation, generation / FILES):
        _check_directory(part)
    manifest = read_file(generation / MANIFEST, cap=MAX_MANIFEST_BYTES)
    files = _read_listed(generation / FILES, _parse_manifest(manifest))
    data = parse_trust(files)
    if data.generation != number:
        raise StoreDamagedError(f"generation {number} holds trust data of generation {data.generation}")
    name = hashlib.sha256(manifest).hexdigest()
    stored = StoredTrust(data=data, files=files, fingerprint=name, signed_by_tuf=False)
    path = generation / SIGNED
    if not path.is_symlink() and not path.exists():
        return stored
    return _with_evidence(stored, read_file(path, cap=MAX_EVIDENCE_BYTES), manifest, pins)


def _with_evidence(stored: StoredTrust, signed: bytes, manifest: bytes, pins: Set[str]) -> StoredTrust:
    """The store with its evidence, which must hold and be of these files."""
    evidence = parse_evidence(signed)
    chain = open_evidence(evidence)
    if chain.files().listing() != manifest:
        raise StoreDamagedError(f"{SIGNED} is not of these files")
    first = chain.roots[0].fingerprint
    return replace(stored, signed_by_tuf=first in pins, evidence=evidence, first_root=first, expires=chain.expires())


def _must_write(directory: Path, generation: int, files: Mapping[str, bytes]) -> bool:
    number = _read_current(directory)
    if number is None:
        return True
    if generation < number:
        raise RollbackError(f"generation {generation} is below the stored {number}")
    if generation > number:
        return True
    if _manifest(directory, number) != listing(files):
        raise RollbackError(f"generation {number} is stored with other files: raise the generation")
    return False


def _manifest(directory: Path, number: int) -> bytes:
    return read_file(directory / GENERATIONS / str(number) / MANIFEST, cap=MAX_MANIFEST_BYTES)


def _write_generation(directory: Path, generation: int, files: Mapping[str, bytes], evidence: Evidence | None) -> None:
    home = directory / GENERATIONS
    staging = home / _STAGING
    _remove(staging, home)
    for name in sorted(files):
        path = staging / FILES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, files[name])
    write_file(staging / MANIFEST, listing(files))
    if evidence is not None:
        write_file(staging / SIGNED, format_evidence(evidence))
    for folder in sorted({path.parent for path in staging.rglob("*")}, reverse=True):
        sync_directory(folder)
    final = home / str(generation)
    _remove(final, home)  # left by a writer that stopped before CURRENT
    staging.rename(final)
    sync_directory(home)
    sync_directory(directory)
    replace_file(directory / CURRENT, b"%d\n" % generation)
    sync_directory(directory.absolute().parent)


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


def _read_current(directory: Path) -> int | None:
    path = directory / CURRENT
    if not path.is_symlink() and not path.exists():
        return None
    text = read_file(path, cap=32)
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
        files[name] = read_file(root / name, cap=min(room, MAX_FILE_BYTES))
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
