"""The files of holders' applications, in `applications/` under their SHA-256: for their owner alone, never changed.

Source: docs/workspace.md (Application, File modes). A file has its name only once its bytes are on disk.
"""

import hashlib
import os
from pathlib import Path

from mingzheng.issuer.applicationerrors import ApplicationMissingError
from mingzheng.issuer.rows import Application, NewApplication
from mingzheng.log.durable import fsync_dir, replace

__all__ = ["keep_application", "read_kept"]

_PRIVATE_DIR = 0o700
_PRIVATE_FILE = 0o600


def keep_application(store: Path, new: NewApplication) -> None:
    """Keep the files, durable on return; what is there stays, and so does what the ledger has of the same statement."""
    if not store.is_dir():  # a workspace of before
        os.mkdir(store, _PRIVATE_DIR)
        fsync_dir(store.parent)
    for digest, data in ((new.facts.file, new.data), (new.facts.beside, new.signature)):
        if data is not None and hashlib.sha256(data).digest() == digest:
            _keep(store / digest.hex(), data)
    fsync_dir(store)


def read_kept(store: Path, facts: Application) -> tuple[bytes, ...]:
    """The file, and the signature beside it if that is where it is. Raises ApplicationMissingError."""
    return tuple(_read(store / digest.hex(), digest) for digest in (facts.file, facts.beside) if digest is not None)


def _keep(path: Path, data: bytes) -> None:
    if path.exists():
        return
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), _PRIVATE_FILE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    replace(temporary, path)


def _read(path: Path, digest: bytes) -> bytes:
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).digest() != digest:
        raise ApplicationMissingError(digest.hex())
    return data
