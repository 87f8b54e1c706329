"""A workspace out of a backup (docs/workspace.md, "Keeping it"; docs/spec/storage.md, "Opening").

Every file is hashed while it is copied and compared with the manifest; logs are checked whole, ledger against log, and
both against an anchor where one is shown. Only then, entered in its journal, the workspace appears, by one rename. It
is read-only: the copy of the log has no file `instance`, so nothing is signed until `log resume` (or `restore
--anchor`) shows a checkpoint from outside that equals its head.
"""

import os
import re
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mingzheng.issuer.archive import unpack
from mingzheng.issuer.backup import README, log_directories
from mingzheng.issuer.config import WorkspaceConfig, parse_config
from mingzheng.issuer.deskbook import note_in
from mingzheng.issuer.ledgerfile import ledger_version
from mingzheng.issuer.manifest import MANIFEST, MAX_BYTES, Manifest, parse_manifest
from mingzheng.issuer.refusals import (
    BackupDamagedError,
    BackupUnfinishedError,
    LedgerBehindLogError,
    LogBehindLedgerError,
    WorkspaceExistsError,
)
from mingzheng.issuer.workspace import APPLICATIONS, CONFIG, IMAGES, KEYS, LEDGER, log_vkey
from mingzheng.keys.errors import KeysError
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.database import Database
from mingzheng.log.directory import DATABASE
from mingzheng.log.durable import fsync_dir
from mingzheng.log.errors import LogError
from mingzheng.log.fsck import fsck
from mingzheng.log.refusal import AnchorRefusedError, ForkedHeadError

__all__ = ["Restored", "restore"]

_PUBLIC_DIR: Final = 0o755
_PUBLIC_FILE: Final = 0o644
_PRIVATE_DIR: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_PRIVATE: Final = (KEYS, IMAGES, APPLICATIONS)
# What is known to hold nothing personal and nothing secret; all else is its owner's alone.
_OPEN: Final = re.compile(r"(mingzheng\.toml|witnesses\.policy|seals|profiles|fonts|(log|landmark|followed)(-[0-9]+)?)")
_SHARD_SINCE: Final = 3  # the ledger's schema that tells indexes of several logs apart
_FOREIGN_SINCE: Final = 4  # and a table of entries that are not this desk's


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A workspace that was restored. It signs nothing yet."""

    root: Path
    manifest: Manifest


def restore(source: Path, root: Path, *, anchor: bytes | None, now: int) -> Restored:
    """Make the workspace `root`, which must not exist, from a backup. All or nothing.

    `anchor`: the newest checkpoint, from outside; compared before anything appears, it does not open the log.

    Raises WorkspaceExistsError, BackupUnfinishedError, BackupDamagedError, AnchorRefusedError, ForkedHeadError,
    LedgerBehindLogError, LogBehindLedgerError, OSError.
    """
    root = root.resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise WorkspaceExistsError(root.name)
    build = root.parent / f".{root.name}.restore"
    if build.exists():
        raise BackupUnfinishedError(build.name)
    root.parent.mkdir(parents=True, exist_ok=True)
    build.mkdir(mode=_PRIVATE_DIR)
    try:
        manifest = _unpack(source, build)
        config = parse_config((build / CONFIG).read_bytes())
        _check(build, config, manifest)
        if anchor is not None and not manifest.elsewhere:
            _check_anchor(build, config, anchor)
        note_in(build / LEDGER, "restore", time=now, count=manifest.copies)
        _finish(build)
        os.rename(build, root)
    except BaseException:
        shutil.rmtree(build, ignore_errors=True)
        raise
    fsync_dir(root.parent)
    return Restored(root=root, manifest=manifest)


def _unpack(source: Path, build: Path) -> Manifest:
    """Every file of the backup in `build`, exactly those that the manifest names."""
    if source.is_dir() and not (source / MANIFEST).is_file():
        raise BackupDamagedError(MANIFEST, "missing: the backup is not whole, or no backup")
    found = unpack(source, build)
    if found.pop(MANIFEST).size_bytes > MAX_BYTES:
        raise BackupDamagedError(MANIFEST, "too long")
    manifest = parse_manifest((build / MANIFEST).read_bytes())
    wanted = {entry.path: entry for entry in manifest.files}
    wrong = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    if wrong:
        raise BackupDamagedError(wrong[0], f"{len(wrong)} files are missing, changed or not in the manifest")
    for name in (CONFIG, LEDGER):
        if name not in wanted:
            raise BackupDamagedError(name, "missing")
    return manifest


def _check(build: Path, config: WorkspaceConfig, manifest: Manifest) -> None:
    """The logs are whole, and the ledger fits the last of them."""
    version, names = ledger_version(build / LEDGER), log_directories(config)
    if [entry.directory for entry in manifest.logs] != list(names):
        raise BackupDamagedError(CONFIG, "names other logs than the manifest")
    if manifest.elsewhere:
        return
    for entry, origin in zip(manifest.logs, config.begun, strict=True):
        report = fsck(build / entry.directory, vkey=parse_vkey(log_vkey(config, origin.number)))
        if entry.is_through and not report.clean:
            fault = report.faults[0]
            raise BackupDamagedError(f"{entry.directory}/{fault.path}", fault.detail)
    _check_ledger(build, config, names[-1], version)


def _check_ledger(build: Path, config: WorkspaceConfig, name: str, version: int) -> None:
    log = Database(build / name / DATABASE, read_only=True)
    ledger = sqlite3.connect(build / LEDGER, isolation_level=None)
    try:
        size = log.head().size
        shard = f"AND shard = {config.shard}" if version >= _SHARD_SINCE else ""
        for issuer in config.issuers:
            counters = ledger.execute(
                "SELECT next_serial, next_act FROM counter WHERE issuer = ?", (issuer.number,)
            ).fetchone() or (0, 0)
            row = log.issuer_row(issuer.number)
            if version >= _FOREIGN_SINCE:  # serials that entries of others took, which were noted
                query = "SELECT COALESCE(MAX(serial) + 1, 0) FROM foreign_serial WHERE issuer = ?"
                counters = (max(counters[0], ledger.execute(query, (issuer.number,)).fetchone()[0]), counters[1])
            for what, mine, theirs in zip(("serial", "act"), counters, (row.next_serial, row.next_act), strict=True):
                if theirs > mine:
                    raise LedgerBehindLogError(issuer.number, what, mine, theirs)
            query = (
                f"SELECT max(leaf_index) FROM (SELECT leaf_index FROM copy WHERE issuer = ?1 {shard} "  # noqa: S608
                f"UNION ALL SELECT leaf_index FROM act WHERE issuer = ?1 {shard})"
            )
            last = ledger.execute(query, (issuer.number,)).fetchone()[0]
            if last is not None and last >= size:
                raise LogBehindLedgerError(size, last + 1)
    except sqlite3.DatabaseError as error:
        raise BackupDamagedError(LEDGER, str(error)) from error
    finally:
        ledger.close()
        log.close()


def _check_anchor(build: Path, config: WorkspaceConfig, note: bytes) -> None:
    """The anchor must be the head of the log that is written to."""
    vkey = parse_vkey(log_vkey(config))
    database = Database(build / log_directories(config)[-1] / DATABASE, read_only=True)
    try:
        head = database.head()
    finally:
        database.close()
    try:
        anchor = open_checkpoint(note, vkeys=[vkey], origin=vkey.name)
    except (KeysError, LogError) as error:
        raise AnchorRefusedError(f"the anchor is no checkpoint under this log's key: {error}") from error
    if anchor.size > head.size:
        missing = anchor.size - head.size
        raise AnchorRefusedError(
            f"the anchor has {anchor.size} entries, this backup {head.size}: {missing} are missing; "
            "take a newer backup",
            missing=missing,
        )
    if anchor.size < head.size:
        raise AnchorRefusedError(
            f"an anchor of {anchor.size} entries proves nothing about a backup of {head.size}: "
            "show the newest checkpoint"
        )
    if anchor.root != head.root:
        raise ForkedHeadError(anchor.size, ours=head.note or b"", theirs=note)


def _finish(build: Path) -> None:
    """What a backup has and a workspace has not goes, what it must have is there, and modes are those of a new one."""
    for name in (MANIFEST, README):
        (build / name).unlink(missing_ok=True)
    for name in _PRIVATE:
        (build / name).mkdir(mode=_PRIVATE_DIR, exist_ok=True)
    for stray in (*build.rglob("*-wal"), *build.rglob("*-shm")):
        stray.unlink()
    for directory, _names, files in os.walk(build):
        parts = Path(directory).relative_to(build).parts
        os.chmod(directory, _PRIVATE_DIR if parts and not _OPEN.fullmatch(parts[0]) else _PUBLIC_DIR)
        for name in files:
            is_open = _OPEN.fullmatch((*parts, name)[0])
            os.chmod(Path(directory, name), _PUBLIC_FILE if is_open else _PRIVATE_FILE)
        fsync_dir(Path(directory))
