"""Backing a workspace up while issuing goes on (docs/workspace.md, "Keeping it").

The ledger's write lock is held for a moment, until ledger and logs are each seen in a read transaction: whatever the
log of that moment has, the ledger has planned or signed before, and every index in the ledger is in that log. Then
both are copied by SQLite's online backup while others write on; the rest are files that are only ever replaced whole.
Everything is built in `.NAME.partial` beside the target and renamed, the manifest last: a backup is there whole or not
at all; before the renaming it is entered in the journal. Files are for their owner alone. No key is opened.
"""

import contextlib
import io
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mingzheng.issuer.archive import copy_file, describe, is_archive, pack, private_dir
from mingzheng.issuer.config import WorkspaceConfig, parse_config
from mingzheng.issuer.deskbook import note_in
from mingzheng.issuer.ledgerfile import ledger_version
from mingzheng.issuer.logplace import is_moved
from mingzheng.issuer.manifest import MANIFEST, LogEntry, Manifest, format_manifest, is_safe_path
from mingzheng.issuer.refusals import (
    BackupChangedError,
    BackupExistsError,
    BackupUnfinishedError,
    LedgerWriteError,
    RollOverUnfinishedError,
    WorkspaceMissingError,
)
from mingzheng.issuer.workspace import APPLICATIONS, CONFIG, IMAGES, KEYS, LEDGER, LOG
from mingzheng.issuer.workspacelock import LOCK
from mingzheng.log.copying import LogMoment
from mingzheng.log.durable import fsync_dir
from mingzheng.log.state import Standing

__all__ = ["BackedUp", "back_up", "log_directories"]

README: Final = "README.txt"
_WAIT_SECONDS: Final = 2.0  # for a round to end; a writer waits for the ledger up to ten
_BUSY_SECONDS: Final = 300.0  # planning 100,000 copies is one transaction of half a minute and more
_STEP_SECONDS: Final = 0.005
_PARTIAL: Final = ".partial"
_PACKED: Final = ".tar"
_APPLICATIONS_SINCE: Final = 4  # the ledger's schema that has them
_MADE_AGAIN: Final = "cosigned"
_MAY_LAG: Final = ("landmark", "followed")  # may speak of less than the log, never of more: copied before it
_README_TEXT: Final = """明证工作区备份 Backup of a mingzheng workspace

内含个人数据：申请记录（含身份证件号码）、照片、签名图像、换领申请；{keys_zh}。按涉密个人信息保管，只给需要的人。
遗忘 (mingzheng ledger forget) 不会抹去备份里的数据：超过保存期的备份应销毁。
恢复：mingzheng restore 备份 --workspace 新目录 --anchor 外部最新检查点。manifest.json 列出每个文件的 SHA-256。

It holds personal data: application records with identity numbers, photos, signature images, signed
applications; {keys_en}. Keep it as such.
`mingzheng ledger forget` does not reach into backups: destroy those that are past their time.
To restore: mingzheng restore BACKUP --workspace NEW --anchor NEWEST-CHECKPOINT-FROM-OUTSIDE. manifest.json lists the
SHA-256 of every file.
"""
_KEYS_ZH = {True: "密钥文件（已用口令加密）", False: "不含密钥文件"}
_KEYS_EN = {True: "the key files, encrypted under their passphrases", False: "no key files"}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """A backup that was made.

    `left_out`: links and the like, and names that no backup takes. `unfinished`: what earlier ones, cut short, left
    beside it.
    """

    path: Path
    manifest: Manifest
    left_out: tuple[str, ...]
    unfinished: tuple[str, ...]


def back_up(root: Path, target: Path, *, with_keys: bool, now: int) -> BackedUp:
    """Make a backup of the workspace at `target`: one file if it ends in `.tar`, else a directory.

    Raises WorkspaceMissingError, BackupExistsError, BackupUnfinishedError, RollOverUnfinishedError,
    BackupChangedError, an error of ledger or log, OSError; then nothing is left.
    """
    for name in (CONFIG, LEDGER, LOG):
        if not (root / name).exists():
            raise WorkspaceMissingError(root.name or str(root), name)
    root, target = root.resolve(), target.absolute()
    if os.path.lexists(target) or target.resolve().is_relative_to(root):
        raise BackupExistsError(target.name)
    partial = target.parent / f".{target.name}{_PARTIAL}"
    packed = partial.with_name(f"{partial.name}{_PACKED}")
    for left in (partial, packed):
        if left.exists():
            raise BackupUnfinishedError(left.name)
    partial.mkdir(mode=0o700)
    try:
        manifest, left_out = _Copy(root, partial).run(with_keys=with_keys, now=now)
        if is_archive(target):
            pack(partial, packed)
        note_in(root / LEDGER, "backup", time=now, count=manifest.copies)
        if is_archive(target):
            shutil.rmtree(partial)  # first: once the backup has its name, nobody would look for this
            os.rename(packed, target)
        else:
            os.rename(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        packed.unlink(missing_ok=True)
        raise
    fsync_dir(target.parent)
    _logger.info("backed up files=%d copies=%d", len(manifest.files), manifest.copies)
    unfinished = tuple(
        sorted(
            path.name
            for path in target.parent.glob(f".*{_PARTIAL}*")
            if (path.name.endswith(_PARTIAL) and path.is_dir()) or path.name.endswith(f"{_PARTIAL}{_PACKED}")
        )
    )
    return BackedUp(path=target, manifest=manifest, left_out=left_out, unfinished=unfinished)


def log_directories(config: WorkspaceConfig) -> tuple[str, ...]:
    """The directories of the logs that there are, oldest first."""
    first = config.begun[0].number
    return tuple(LOG if origin.number == first else f"{LOG}-{origin.number}" for origin in config.begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """Ledger and logs, each held in a read transaction of one moment, and mingzheng.toml of it."""

    ledger: sqlite3.Connection
    config: bytes
    logs: tuple[tuple[str, LogMoment], ...]
    elsewhere: bool


class _Copy:
    def __init__(self, root: Path, target: Path) -> None:
        self._root, self._target = root, target
        self._left_out: list[str] = []

    def run(self, *, with_keys: bool, now: int) -> tuple[Manifest, tuple[str, ...]]:
        lagging = {path.name for name in _MAY_LAG for path in self._root.glob(f"{name}*")}
        self._files(lambda name: name in lagging)
        with _moment(self._root) as moment:
            schema = ledger_version(self._root / LEDGER)
            _copy_database(moment.ledger, self._target / LEDGER)
            logs = tuple(self._log(name, log) for name, log in moment.logs)
            self._put(CONFIG, moment.config)
            names = {name for name, _log in moment.logs}
        skipped = {CONFIG, LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", LOCK, *lagging, *([] if with_keys else [KEYS])}
        self._files(lambda name: name not in skipped | names and not name.startswith(_MADE_AGAIN))
        copies = self._check_named(schema)
        has_keys = any((self._target / KEYS).glob("*"))  # there may be none, or a link that is left out
        self._put(README, _README_TEXT.format(keys_zh=_KEYS_ZH[has_keys], keys_en=_KEYS_EN[has_keys]).encode())
        manifest = Manifest(
            made_at=now,
            schema=schema,
            copies=copies,
            has_keys=has_keys,
            elsewhere=moment.elsewhere,
            logs=logs,
            files=describe(self._target),
        )
        self._put(MANIFEST, format_manifest(manifest))
        fsync_dir(self._target)
        return manifest, tuple(name if name.isprintable() else repr(name)[1:-1] for name in self._left_out)

    def _log(self, name: str, log: LogMoment) -> LogEntry:
        copied = log.copy_to(self._target / name)
        return LogEntry(
            directory=name,
            name=copied.row.name,
            size=copied.size,
            root=copied.root.hex(),
            is_through=copied.is_through,
        )

    def _put(self, name: str, data: bytes) -> None:
        copy_file(io.BytesIO(data), self._target / name, name)

    def _files(self, wanted: Callable[[str], bool]) -> None:
        """Plain files below the entries of the workspace whose names are wanted; no half-written ones."""
        for top in sorted(self._root.iterdir()):
            if wanted(top.name) and not _is_temporary(top.name):
                for path in sorted(top.rglob("*")) if top.is_dir() and not top.is_symlink() else [top]:
                    self._file(path)

    def _file(self, path: Path) -> None:
        name = path.relative_to(self._root).as_posix()
        is_plain = not path.is_symlink() and (path.is_file() or path.is_dir() or not path.exists())
        if any(name.startswith(f"{gone}/") for gone in self._left_out):
            return
        if is_plain and _is_temporary(path.name) and not path.is_dir():
            return
        if not is_plain or not is_safe_path(name) or name in (README, MANIFEST):  # `restore` would refuse, or take away
            self._left_out.append(name)
        elif path.is_dir():
            private_dir(self._target / name)
        else:
            with (
                contextlib.suppress(FileNotFoundError),
                path.open("rb") as stream,
            ):  # what a command took away meanwhile
                copy_file(stream, self._target / name, name)

    def _check_named(self, schema: int) -> int:
        """How many copies the ledger has; every image and application that it names must be here."""
        queries = [(IMAGES, "SELECT photo FROM copy UNION SELECT signature_image FROM copy")]
        if schema >= _APPLICATIONS_SINCE:
            queries.append((APPLICATIONS, "SELECT file FROM application UNION SELECT beside FROM application"))
        database = sqlite3.connect(self._target / LEDGER, isolation_level=None)
        try:
            named = [
                self._target / directory / bytes(row[0]).hex()
                for directory, query in queries
                for row in database.execute(query)
                if row[0] is not None
            ]
            copies = database.execute("SELECT count(*) FROM copy").fetchone()[0]
        finally:
            database.close()
        gone = sum(not path.is_file() for path in named)
        if gone:
            raise BackupChangedError(gone)
        return int(copies)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") or name.endswith(".tmp")


@contextlib.contextmanager
def _moment(root: Path) -> Iterator[_Moment]:
    with contextlib.ExitStack() as stack:
        path = root / LEDGER
        holder, reader = (stack.enter_context(contextlib.closing(_connect(path))) for _ in range(2))
        try:
            holder.execute("BEGIN IMMEDIATE")  # nobody moves the ledger until log and ledger are seen
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM meta").fetchone()
        except sqlite3.OperationalError as error:
            raise LedgerWriteError(str(error)) from error
        data = (root / CONFIG).read_bytes()
        config = parse_config(data)
        current, logs, elsewhere = log_directories(config)[-1], [], False
        for name in log_directories(config):
            log = stack.enter_context(contextlib.closing(LogMoment(root / name)))
            elsewhere |= name == current and is_moved(root / name)
            _wait_for_round(log)
            logs.append((name, log))
        standing = logs[-1][1].row().standing
        following = config.following
        if following is not None and standing is Standing.FROZEN:
            raise RollOverUnfinishedError(following.number)
        holder.execute("ROLLBACK")
        yield _Moment(ledger=reader, config=data, logs=tuple(logs), elsewhere=elsewhere)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)


def _wait_for_round(log: LogMoment) -> None:
    """See the log between two rounds, if there is such a moment soon; a round that was cut short is no hindrance."""
    until = time.monotonic() + _WAIT_SECONDS
    while not log.hold() and time.monotonic() < until:
        time.sleep(_STEP_SECONDS)


def _copy_database(source: sqlite3.Connection, target: Path) -> None:
    """SQLite's online backup of the moment that `source` sees; the copy is checked."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        source.backup(copy)
        found = copy.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise LedgerWriteError(str(error)) from error
    finally:
        copy.close()
    if found != "ok":
        raise sqlite3.DatabaseError(found)
