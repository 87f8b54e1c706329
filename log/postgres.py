"""A log's durable state in PostgreSQL: see State; one schema for each log (docs/spec/storage.md).

Exactly one signer: a session's advisory lock, and the row `signer` whose epoch every takeover raises and every write
names. Whoever lost the lock while paused finds another epoch and changes nothing (FencedError). `synchronous_commit`
is on; a server with `fsync` or `full_page_writes` off is refused.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mingzheng.keys.kid import Kid
from mingzheng.log.book import LOG_ITSELF
from mingzheng.log.hashing import Hash
from mingzheng.log.refusal import (
    DiskDisagreesError,
    FencedError,
    LogExistsError,
    LogMissingError,
    RestoredBackupError,
    StorageError,
    WriterActiveError,
    WriterBrokenError,
)
from mingzheng.log.refusal import StateUnavailableError as StateUnavailableError
from mingzheng.log.state import Carry, FrozenHead, HeadRow, IssuerRow, LogRow, RoundRows, Standing, StateRows

SCHEMA = 2
_UPGRADED = 1  # the schema before: no notice numbers
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_PAGE = 10_000
_WAITS = "connect_timeout=10 keepalives=1 keepalives_idle=20 keepalives_interval=5 keepalives_count=3"

_TABLES: tuple[LiteralString, ...] = (
    "CREATE SCHEMA IF NOT EXISTS {schema}",
    """CREATE TABLE {schema}.log (
        one int PRIMARY KEY CHECK (one = 1), version int NOT NULL, origin int NOT NULL, name text NOT NULL,
        height int NOT NULL, vkey text NOT NULL, receipt bytea NOT NULL, instance text NOT NULL, standing text NOT NULL)
    """,
    "CREATE TABLE {schema}.signer (one int PRIMARY KEY CHECK (one = 1), epoch bigint NOT NULL)",
    """CREATE TABLE {schema}.head (
        one int PRIMARY KEY CHECK (one = 1), size bigint NOT NULL, root bytea NOT NULL, last_time bigint NOT NULL,
        cleaned bigint NOT NULL, note bytea, signed_size bigint)""",
    "CREATE TABLE {schema}.staged (idx bigint PRIMARY KEY, entry bytea NOT NULL)",
    "CREATE TABLE {schema}.submission (key bytea PRIMARY KEY, idx bigint NOT NULL)",
    "CREATE INDEX submission_by_index ON {schema}.submission (idx, key)",
    """CREATE TABLE {schema}.serial (
        issuer int NOT NULL, serial bigint NOT NULL, state int NOT NULL, idx bigint NOT NULL,
        PRIMARY KEY (issuer, serial))""",
    "CREATE INDEX serial_by_state ON {schema}.serial (issuer, state, serial) WHERE state > 1",
    "CREATE TABLE {schema}.round (start bigint PRIMARY KEY, stop bigint NOT NULL)",
    "CREATE TABLE {schema}.retired (issuer int, kid bytea, idx bigint NOT NULL, PRIMARY KEY (issuer, kid))",
    """CREATE TABLE {schema}.issuer (
        issuer int PRIMARY KEY, next_act bigint NOT NULL, next_serial bigint NOT NULL, last_index bigint NOT NULL,
        status_index bigint, status_time bigint, status_sizes text NOT NULL, next_notice bigint NOT NULL DEFAULT 1)
    """,
    """CREATE TABLE {schema}.shard (
        origin int PRIMARY KEY, name text NOT NULL, size bigint NOT NULL, root bytea NOT NULL)""",
    "CREATE TABLE {schema}.carried (one int PRIMARY KEY CHECK (one = 1), data bytea NOT NULL)",
)
_UPGRADE: tuple[LiteralString, ...] = (
    "ALTER TABLE {schema}.issuer ADD COLUMN next_notice bigint NOT NULL DEFAULT 1",
    "UPDATE {schema}.log SET version = 2",
)

Row = tuple[Any, ...]


class StateUnsafeError(StorageError):
    """The database server does not force commits to disk."""

    code: ClassVar[str] = "log.state_unsafe"


class PostgresState:
    """See State. One connection, opened by `open`."""

    def __init__(self, conninfo: str, schema: str, *, take_over: bool = False) -> None:
        """`take_over`: end the session of whoever holds the lock. It finds itself fenced."""
        if not _NAME.fullmatch(schema):
            raise StateUnavailableError("a schema's name is a lower-case letter, then letters, digits and _")
        self._conninfo, self._schema, self._take_over = conninfo, schema, take_over
        self._connection: psycopg.Connection[Row] | None = None
        self._epoch: int | None = None

    # --- the right to write

    def open(self) -> None:
        """See State."""
        with _spoken():
            self._connection = psycopg.connect(
                make_conninfo(_WAITS, **conninfo_to_dict(self._conninfo)), autocommit=True
            )
        self._check_server()
        if not self._lock():
            self.close()
            raise WriterActiveError(f"schema {self._schema}")
        if self._has_tables():
            self._epoch = self._next_epoch()
            self._upgrade()

    @property
    def epoch(self) -> int | None:
        """Under which this process writes; None before it may."""
        return self._epoch

    def close(self) -> None:
        """See State."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):  # the server would notice the end of the session only a little later
                connection.execute("SELECT pg_advisory_unlock_all()")
            with _spoken():
                connection.close()

    def _check_server(self) -> None:
        for name in ("fsync", "full_page_writes"):
            if self._one("SELECT current_setting(%s)", (name,)) != ("on",):
                raise StateUnsafeError(f"the database server runs with {name} = off")
        self._all("SET synchronous_commit = on")
        self._all("SET lock_timeout = '30s'")

    def _lock(self) -> bool:
        key = int.from_bytes(hashlib.sha256(f"mingzheng/log/{self._schema}".encode()).digest()[:8], "big", signed=True)
        if self._one("SELECT pg_try_advisory_lock(%s)", (key,)) == (True,):
            return True
        if not self._take_over:
            return False
        # Waits until the other session is gone: only then may its advisory lock be ours.
        self._all(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = %s",
            (key,),
        )
        return self._one("SELECT pg_try_advisory_lock(%s)", (key,)) == (True,)

    def _has_tables(self) -> bool:
        return self._one("SELECT to_regclass(%s) IS NOT NULL", (f"{self._schema}.log",)) == (True,)

    def _upgrade(self) -> None:
        """Bring the tables of the schema before to this one."""
        if self._one("SELECT version FROM {schema}.log") == (_UPGRADED,):
            with self._writing():
                for statement in _UPGRADE:
                    self._all(statement)

    def _next_epoch(self) -> int:
        found = self._one("UPDATE {schema}.signer SET epoch = epoch + 1 RETURNING epoch")
        if found is None:
            raise LogMissingError("the signer row is gone from the database: refusing to sign beside another")
        return int(found[0])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction that begins by showing that we are still the signer."""
        with _spoken(), self._connected().transaction():
            if self._one("SELECT 1 FROM {schema}.signer WHERE epoch = %s FOR UPDATE", (self._epoch,)) is None:
                raise FencedError
            yield

    # --- what it is

    def is_complete(self) -> bool:
        """See State."""
        return self._has_tables() and self._one("SELECT 1 FROM {schema}.log") is not None

    def initialise(self, row: LogRow, root: Hash, carry: Carry) -> None:
        """See State."""
        with _spoken(), self._connected().transaction():
            for statement in _TABLES:
                self._all(statement)
            self._all(
                "INSERT INTO {schema}.log VALUES (1, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    *(SCHEMA, row.origin, row.name, row.height, row.vkey, row.receipt_kid),
                    *(self._instance(), row.standing),
                ),
            )
            self._all("INSERT INTO {schema}.signer VALUES (1, 1)")
            self._all("INSERT INTO {schema}.head VALUES (1, 0, %s, %s, 0, NULL, NULL)", (root, carry.last_time))
            if carry.heads:
                self._all("INSERT INTO {schema}.carried VALUES (1, %s)", (carry.blob,))
            for head in carry.heads:
                values = (head.origin, head.name, head.size, head.root)
                self._all("INSERT INTO {schema}.shard VALUES (%s, %s, %s, %s)", values)
            self._put_issuers(carry.issuers.items())
            self._copy("COPY {schema}.serial FROM STDIN", ((*item, -1) for item in carry.serials))
            self._copy("COPY {schema}.retired FROM STDIN", ((*key, index) for key, index in carry.retired.items()))
        self._epoch = 1

    def import_rows(self, source: StateRows) -> None:
        """See `migrate.ImportState`."""
        again = self.is_complete()
        if again and self.log_row().standing is not Standing.IMPORTING:
            raise LogExistsError("the schema already holds a log")
        head = source.head()
        row = replace(source.log_row(), standing=Standing.IMPORTING)
        carry = Carry(heads=source.frozen_heads(), last_time=head.last_time, blob=source.carried())
        with _spoken(), self._connected().transaction():
            if again:
                self._all("DROP SCHEMA {schema} CASCADE")
            self.initialise(row, head.root, carry)
            self._all(
                "UPDATE {schema}.head SET size = %s, cleaned = %s, note = %s, signed_size = %s",
                (head.size, head.cleaned, head.note, head.signed_size),
            )
            self._copy("COPY {schema}.staged FROM STDIN", source.staged())
            self._copy("COPY {schema}.submission FROM STDIN", source.all_submissions())
            self._copy("COPY {schema}.serial FROM STDIN", source.all_serials())
            self._copy("COPY {schema}.round FROM STDIN", source.all_rounds())
            retired = ((*place, index) for place, index in source.retired().items())
            self._copy("COPY {schema}.retired FROM STDIN", retired)
            self._put_issuers((number, source.issuer_row(number)) for number in (LOG_ITSELF, *source.issuers()))
        self._epoch = 1

    def doubt(self) -> StorageError | None:
        """See State: a copied, restored or promoted database has another identity than the log was written in."""
        found = self._one("SELECT instance FROM {schema}.log")
        if found == (self._instance(),):
            return None
        return RestoredBackupError(
            "this database is a copy of the log's own (restored, promoted or loaded from a dump): entries written "
            "after the copy was made may be missing. Read-only until a checkpoint from outside equals its head"
        )

    def vouch(self) -> None:
        """See State."""
        with self._writing():
            self._all("UPDATE {schema}.log SET instance = %s", (self._instance(),))

    def _instance(self) -> str:
        """Server, its timeline (a promoted standby and a point-in-time recovery begin another), database, schema.

        The timeline that is written now: `pg_control_checkpoint` names the old one until the first checkpoint after a
        promotion, minutes later.
        """
        found = self._one(
            "SELECT (SELECT system_identifier FROM pg_control_system()), "
            "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int, "
            "(SELECT oid FROM pg_database WHERE datname = current_database()), "
            "(SELECT oid FROM pg_namespace WHERE nspname = %s)",
            (self._schema,),
        )
        assert found is not None
        return "/".join(map(str, found))

    def log_row(self) -> LogRow:
        """See State."""
        query: LiteralString = "SELECT version, origin, name, height, vkey, receipt, standing FROM {schema}.log"
        found = self._one(query) if self._has_tables() else None
        if found is None or found[0] != SCHEMA:
            raise LogMissingError(f"the database holds no log of schema {SCHEMA}")
        _version, origin, name, height, vkey, receipt, standing = found
        return LogRow(
            origin=origin, name=name, height=height, vkey=vkey, receipt_kid=receipt, standing=Standing(standing)
        )

    def set_standing(self, standing: Standing) -> None:
        """See State."""
        with self._writing():
            self._all("UPDATE {schema}.log SET standing = %s", (standing,))

    def frozen_heads(self) -> tuple[FrozenHead, ...]:
        """See State."""
        found = self._all("SELECT origin, name, size, root FROM {schema}.shard ORDER BY origin")
        return tuple(FrozenHead(origin=row[0], name=row[1], size=row[2], root=Hash(row[3])) for row in found)

    def carried(self) -> bytes:
        """See State."""
        if not self.frozen_heads():
            return b""
        found = self._one("SELECT data FROM {schema}.carried")
        if found is None:
            raise DiskDisagreesError("the carried state is gone from the database")
        return bytes(found[0])

    # --- rounds

    def head(self) -> HeadRow:
        """See State."""
        found = self._one("SELECT size, root, last_time, cleaned, note, signed_size FROM {schema}.head")
        if found is None:
            raise LogMissingError("the head row is gone from the database: refusing to start from nothing")
        size, root, last_time, cleaned, note, signed = found
        return HeadRow(size=size, root=Hash(root), last_time=last_time, cleaned=cleaned, note=note, signed_size=signed)

    def staged(self) -> list[tuple[int, bytes]]:
        """See State."""
        return [(row[0], row[1]) for row in self._all("SELECT idx, entry FROM {schema}.staged ORDER BY idx")]

    def commit_round(self, rows: RoundRows) -> None:
        """See State."""
        old, start = rows.old, rows.old.size
        with self._writing():
            moved = self._one(
                "UPDATE {schema}.head SET size = %s, root = %s, last_time = %s "
                "WHERE size = %s AND root = %s RETURNING 1",
                (rows.size, rows.root, rows.time, old.size, old.root),
            )
            if moved is None:
                raise DiskDisagreesError(f"the head row is no longer the one of size {old.size}")
            self._copy("COPY {schema}.staged FROM STDIN", enumerate(rows.entries, start))
            self._all("INSERT INTO {schema}.round VALUES (%s, %s)", (start, rows.size))
            self._copy("COPY {schema}.submission FROM STDIN", rows.keys)
            changed = [(issuer, serial, *value) for (issuer, serial), value in rows.serials.items()]
            if changed:
                self._all(
                    "INSERT INTO {schema}.serial SELECT * FROM "
                    "unnest(%s::int[], %s::bigint[], %s::int[], %s::bigint[]) "
                    "ON CONFLICT (issuer, serial) DO UPDATE SET state = excluded.state",
                    [list(column) for column in zip(*changed, strict=True)],
                )
            self._put_issuers(rows.issuers.items())
            for (issuer, kid), index in rows.retired.items():
                values = (issuer, kid, index)
                self._all("INSERT INTO {schema}.retired VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", values)
            if rows.closes:
                self._all("UPDATE {schema}.log SET standing = %s", (Standing.FROZEN,))

    def store_note(self, note: bytes, head: HeadRow) -> None:
        """See State."""
        with self._writing():
            moved = self._one(
                "UPDATE {schema}.head SET note = %s, signed_size = size WHERE size = %s AND root = %s RETURNING 1",
                (note, head.size, head.root),
            )
            if moved is None:
                raise DiskDisagreesError(f"the head row is no longer the one of size {head.size}")
            self._all("DELETE FROM {schema}.staged WHERE idx < %s", (head.size,))

    def set_cleaned(self, size: int) -> None:
        """See State."""
        with self._writing():
            self._all("UPDATE {schema}.head SET cleaned = %s", (size,))

    def set_time(self, time: int) -> None:
        """See State."""
        with self._writing():
            self._all("UPDATE {schema}.head SET last_time = %s", (time,))

    # --- questions

    def indexes_of(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """See State."""
        found = self._all("SELECT key, idx FROM {schema}.submission WHERE key = ANY(%s)", (list(keys),))
        return {row[0]: row[1] for row in found}

    def serials(self, issuer: int, serials: Iterable[int]) -> dict[int, int]:
        """See State."""
        query: LiteralString = "SELECT serial, state FROM {schema}.serial WHERE issuer = %s AND serial = ANY(%s)"
        return {row[0]: row[1] for row in self._all(query, (issuer, list(serials)))}

    def serials_in_state(self, issuer: int, state: int) -> list[int]:
        """See State."""
        query: LiteralString = (
            "SELECT serial FROM {schema}.serial WHERE issuer = %s AND state = %s AND state > 1 ORDER BY serial"
        )
        return [row[0] for row in self._all(query, (issuer, state))]

    def serial_index(self, issuer: int, serial: int) -> int | None:
        """See State."""
        found = self._one("SELECT idx FROM {schema}.serial WHERE issuer = %s AND serial = %s", (issuer, serial))
        return None if found is None else int(found[0])

    def issuer_row(self, issuer: int) -> IssuerRow:
        """See State."""
        query: LiteralString = (
            "SELECT next_act, next_notice, next_serial, last_index, status_index, status_time, status_sizes "
            "FROM {schema}.issuer WHERE issuer = %s"
        )
        found = self._one(query, (issuer,))
        if found is None:
            return IssuerRow()
        act, notice, serial, last, index, time, sizes = found
        return IssuerRow(
            next_act=act,
            next_notice=notice,
            next_serial=serial,
            last_index=last,
            status_index=index,
            status_time=time,
            status_sizes=dict(json.loads(sizes)),
        )

    def retired(self) -> dict[tuple[int, Kid], int]:
        """See State."""
        found = self._all("SELECT issuer, kid, idx FROM {schema}.retired")
        return {(row[0], Kid(row[1])): row[2] for row in found}

    def round_of(self, index: int) -> tuple[int, int]:
        """See State."""
        query: LiteralString = "SELECT start, stop FROM {schema}.round WHERE start <= %s ORDER BY start DESC LIMIT 1"
        found = self._one(query, (index,))
        if found is None or index >= found[1]:
            raise DiskDisagreesError(f"the database knows no round with entry {index}")
        return int(found[0]), int(found[1])

    def issuers(self) -> list[int]:
        """See State."""
        return [row[0] for row in self._all("SELECT issuer FROM {schema}.issuer WHERE issuer > 0 ORDER BY issuer")]

    def first_indexes(self, issuer: int, serials: Iterable[int]) -> dict[int, int]:
        """See State."""
        query: LiteralString = "SELECT serial, idx FROM {schema}.serial WHERE issuer = %s AND serial = ANY(%s)"
        return {row[0]: row[1] for row in self._all(query, (issuer, list(serials)))}

    def all_serials(self) -> Iterator[tuple[int, int, int, int]]:
        """See State. A page at a time."""
        last = (-1, -1)
        while page := self._all(
            "SELECT issuer, serial, state, idx FROM {schema}.serial WHERE (issuer, serial) > (%s, %s) "
            "ORDER BY issuer, serial LIMIT %s",
            (*last, _PAGE),
        ):
            yield from ((row[0], row[1], row[2], row[3]) for row in page)
            last = page[-1][:2]

    def all_rounds(self) -> Iterator[tuple[int, int]]:
        """See State."""
        last = -1
        while page := self._all(
            "SELECT start, stop FROM {schema}.round WHERE start > %s ORDER BY start LIMIT %s", (last, _PAGE)
        ):
            yield from ((row[0], row[1]) for row in page)
            last = page[-1][0]

    def all_submissions(self) -> Iterator[tuple[bytes, int]]:
        """See State."""
        last = (-1, b"")
        while page := self._all(
            "SELECT idx, key FROM {schema}.submission WHERE (idx, key) > (%s, %s) ORDER BY idx, key LIMIT %s",
            (*last, _PAGE),
        ):
            yield from ((row[1], row[0]) for row in page)
            last = page[-1][:2]

    def integrity_faults(self) -> list[str]:
        """See State: page checksums are the server's business; here only that the single rows are single."""
        faults = []
        for table in ("log", "signer", "head"):
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(self._schema, table))
            with _spoken():
                (count,) = self._connected().execute(query).fetchone() or (0,)
            if count != 1:
                faults.append(f"table {table} has {count} rows")
        return faults

    # --- statements

    def _connected(self) -> "psycopg.Connection[Row]":
        if self._connection is None:
            raise WriterBrokenError("the state is not open")
        return self._connection

    def _all(self, statement: LiteralString, values: Sequence[object] = ()) -> list[Row]:
        with _spoken():
            query = sql.SQL(statement).format(schema=sql.Identifier(self._schema))
            cursor = self._connected().execute(query, values)
            return cursor.fetchall() if cursor.description is not None else []

    def _one(self, statement: LiteralString, values: Sequence[object] = ()) -> Row | None:
        found = self._all(statement, values)
        return found[0] if found else None

    def _copy(self, statement: LiteralString, rows: Iterable[Sequence[object]]) -> None:
        query = sql.SQL(statement).format(schema=sql.Identifier(self._schema))
        with _spoken(), self._connected().cursor().copy(query) as copy:
            for row in rows:
                copy.write_row(row)

    def _put_issuers(self, rows: Iterable[tuple[int, IssuerRow]]) -> None:
        for number, row in rows:
            sizes = json.dumps(sorted(row.status_sizes.items()))
            status = (row.status_index, row.status_time, sizes)
            values = (number, row.next_act, row.next_serial, row.last_index, *status, row.next_notice)
            self._all(
                "INSERT INTO {schema}.issuer VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (issuer) DO UPDATE SET next_notice = excluded.next_notice, "
                "next_act = excluded.next_act, next_serial = excluded.next_serial, last_index = excluded.last_index, "
                "status_index = excluded.status_index, status_time = excluded.status_time, "
                "status_sizes = excluded.status_sizes",
                values,
            )


@contextmanager
def _spoken() -> Iterator[None]:
    """The library's errors as ours. No values of statements are in the message."""
    try:
        yield
    except psycopg.Error as error:
        raise StateUnavailableError(f"the database failed ({type(error).__name__}, {error.sqlstate})") from error
