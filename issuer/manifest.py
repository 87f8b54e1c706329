"""The manifest of a backup: what is in it, and the SHA-256 of every file. Written last. Pure.

Source: docs/workspace.md ("Keeping it"). One spelling: JSON, keys in this order, files by path. It proves that a copy
is whole and unchanged by accident; who can change the backup can change the manifest, too. What shows that a backup is
the newest is a checkpoint from outside.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mingzheng.issuer.refusals import BackupDamagedError

__all__ = [
    "MANIFEST",
    "MAX_BYTES",
    "FileEntry",
    "LogEntry",
    "Manifest",
    "format_manifest",
    "is_safe_path",
    "parse_manifest",
]

MANIFEST: Final = "manifest.json"
MAX_BYTES: Final = 256 * 1024 * 1024
_FORMAT: Final = "mingzheng-backup/1"
_MAX_PATH: Final = 400
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file: its path below the backup with `/`, its length and SHA-256."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One log. `is_through` False: a round that was cut short is in it, too."""

    directory: str
    name: str
    size: int
    root: str
    is_through: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds. `elsewhere`: the log is in a database server and not in here."""

    made_at: int  # seconds since the epoch
    schema: int  # of the ledger
    copies: int
    has_keys: bool
    elsewhere: bool
    logs: tuple[LogEntry, ...]
    files: tuple[FileEntry, ...]


def format_manifest(manifest: Manifest) -> bytes:
    """The one spelling."""
    value = {
        "format": _FORMAT,
        "made_at": manifest.made_at,
        "ledger_schema": manifest.schema,
        "copies": manifest.copies,
        "keys": manifest.has_keys,
        "log_elsewhere": manifest.elsewhere,
        "personal_data": True,
        "logs": [
            {"directory": x.directory, "name": x.name, "size": x.size, "root": x.root, "through": x.is_through}
            for x in manifest.logs
        ],
        "files": [{"path": x.path, "bytes": x.size_bytes, "sha256": x.sha256} for x in manifest.files],
    }
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def parse_manifest(data: bytes) -> Manifest:
    """Read what `format_manifest` wrote. Raises BackupDamagedError."""
    if len(data) > MAX_BYTES:
        raise BackupDamagedError(MANIFEST, "too long")
    try:
        value = json.loads(data)
        found = _read(value)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BackupDamagedError(MANIFEST, "not a manifest") from error
    if format_manifest(found) != data:
        raise BackupDamagedError(MANIFEST, "not as this program writes it")
    for entry in found.files:
        if not is_safe_path(entry.path) or _HEX.fullmatch(entry.sha256) is None or entry.size_bytes < 0:
            raise BackupDamagedError(MANIFEST, "a file entry")
    paths = [entry.path for entry in found.files]
    if paths != sorted(set(paths)):
        raise BackupDamagedError(MANIFEST, "the order of files")
    return found


def is_safe_path(path: str) -> bool:
    """Whether a path stays below where it is put, and names no hidden file."""
    parts = path.split("/")
    plain = path.isprintable() and "\\" not in path and ":" not in path
    return plain and len(path) <= _MAX_PATH and all(part and not part.startswith(".") for part in parts)


def _read(value: Mapping[str, Any]) -> Manifest:
    logs = tuple(
        LogEntry(
            directory=_text(x["directory"]),
            name=_text(x["name"]),
            size=_count(x["size"]),
            root=_text(x["root"]),
            is_through=_flag(x["through"]),
        )
        for x in value["logs"]
    )
    files = tuple(
        FileEntry(path=_text(x["path"]), size_bytes=_count(x["bytes"]), sha256=_text(x["sha256"]))
        for x in value["files"]
    )
    return Manifest(
        made_at=_count(value["made_at"]),
        schema=_count(value["ledger_schema"]),
        copies=_count(value["copies"]),
        has_keys=_flag(value["keys"]),
        elsewhere=_flag(value["log_elsewhere"]),
        logs=logs,
        files=files,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value
