"""Opening the ledger's file: is it a ledger, of which version, and bringing its tables up (docs/workspace.md, "Keeping
it"). Every step of `schema.MIGRATIONS` is one transaction with its version number.
"""

import sqlite3
from pathlib import Path
from typing import Final

from mingzheng.issuer.refusals import (
    LedgerNewerError,
    LedgerOlderError,
    LedgerUnreadableError,
    LedgerWriteError,
    NotALedgerError,
    RefusalError,
)
from mingzheng.issuer.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION

__all__ = ["connect_ledger", "connect_to_read", "ledger_version"]

_BUSY_SECONDS: Final = 10.0
_NOT_THE_FILES_FAULT: Final = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")


def connect_ledger(path: Path, *, create: bool, upgrade: bool = False) -> sqlite3.Connection:
    """The ledger's file, open in WAL mode and fully synchronous; with `create` or `upgrade` its tables are made.

    Raises NotALedgerError, LedgerNewerError, LedgerOlderError, LedgerWriteError.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        _check_version(connection, path.name, create=create)
        if not upgrade:
            _check_current(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise
        raise _refusal(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path, *, settled: bool) -> sqlite3.Connection:
    """The ledger's file where nothing can be written; nothing is. `settled`: nobody writes it meanwhile.

    A write-ahead file that holds something is read only with its index beside it: without that SQLite would have to
    make one. Raises as `connect_ledger`, and LedgerUnreadableError.
    """
    ahead = path.with_name(f"{path.name}-wal")
    whole = settled and not (ahead.is_file() and ahead.stat().st_size)
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if whole else ''}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
    except sqlite3.DatabaseError as error:
        raise LedgerUnreadableError(path.name) from error
    try:
        _check_version(connection, path.name, create=False)
        _check_current(connection)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        if error.sqlite_errorname.startswith(_NOT_THE_FILES_FAULT):
            raise LedgerUnreadableError(path.name) from error
        raise NotALedgerError(path.name) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _refusal(error: sqlite3.DatabaseError, path: Path) -> RefusalError:
    if error.sqlite_errorname.startswith(_NOT_THE_FILES_FAULT):
        return LedgerWriteError(str(error))
    return NotALedgerError(path.name)


def _check_version(connection: sqlite3.Connection, name: str, *, create: bool) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not create and application != APPLICATION_ID:
        raise NotALedgerError(name)
    if version > SCHEMA_VERSION:
        raise LedgerNewerError(version, SCHEMA_VERSION)


def _check_current(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if 0 < version < SCHEMA_VERSION:  # 0: made, and cut short before it had tables
        raise LedgerOlderError(version, SCHEMA_VERSION)


def _migrate(connection: sqlite3.Connection) -> None:
    """Run the missing migrations, each one transaction with its version number."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for step in range(version + 1, SCHEMA_VERSION + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in MIGRATIONS[step]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {step}")
        connection.execute("COMMIT")


def ledger_version(path: Path) -> int:
    """The version of a ledger's tables; changes nothing. Raises NotALedgerError, LedgerNewerError."""
    if not path.is_file():
        raise NotALedgerError(path.name)
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
    try:
        _check_version(connection, path.name, create=False)
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise _refusal(error, path) from error
    finally:
        connection.close()
