"""The queue between front ends and the signer in PostgreSQL (docs/spec/storage.md, "Queue"): three tables, two faces.

A front end may insert into `queue`, and read; only the signer writes answers and signs of life, each in a transaction
that first shows its epoch. Both sides are told by NOTIFY, which is only a hint: whoever misses one looks anyway.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mingzheng.log.queueform import ROWS_AT_ONCE, Beat, Judge, Load, QueueRow
from mingzheng.log.refusal import FencedError, StateUnavailableError
from mingzheng.log.wake import Wake

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_WAITS: Final = (
    "application_name=mingzheng-queue connect_timeout=5 "
    "keepalives=1 keepalives_idle=5 keepalives_interval=5 keepalives_count=2"
)
_TABLES: Final[tuple[LiteralString, ...]] = (
    """CREATE TABLE IF NOT EXISTS {schema}.queue (
        place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        request bytea NOT NULL UNIQUE CHECK (octet_length(request) = 16), issuer int NOT NULL, serial bigint,
        bundle bytea CHECK (octet_length(bundle) <= 262144), entries int NOT NULL CHECK (entries BETWEEN 1 AND 256),
        taken_at timestamptz NOT NULL DEFAULT clock_timestamp())""",
    """CREATE TABLE IF NOT EXISTS {schema}.answer (
        request bytea PRIMARY KEY, body bytea NOT NULL, answered_at timestamptz NOT NULL DEFAULT clock_timestamp())""",
    """CREATE TABLE IF NOT EXISTS {schema}.beat (
        one int PRIMARY KEY CHECK (one = 1), epoch bigint NOT NULL, vkey text NOT NULL, trouble text,
        beat_at timestamptz NOT NULL)""",
)
_ASLEEP: Final = "SET idle_in_transaction_session_timeout = '3s'"
"""Who stops inside a transaction (a machine put to sleep) is ended: its locks would stop every other front end, and
keep a successor from raising the signer's epoch. Shorter than a statement's wait for a lock."""

Row = tuple[Any, ...]


class _Connection:
    """One connection that listens on a channel of the schema's queue."""

    _hears: LiteralString = ""
    _says: LiteralString = ""

    def __init__(self, conninfo: str, schema: str, *, commit: LiteralString) -> None:
        if not _NAME.fullmatch(schema):
            raise StateUnavailableError("a schema's name is a lower-case letter, then letters, digits and _")
        self._schema = schema
        digest = hashlib.sha256(f"mingzheng/queue/{schema}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._channel = f"mingzheng_{digest[:12].hex()}_"
        with _spoken():
            self._db = psycopg.connect(make_conninfo(_WAITS, **conninfo_to_dict(conninfo)), autocommit=True)
        try:
            self._db.add_notify_handler(lambda _notice: None)  # else they pile up: that one came is enough
            self._all("SET synchronous_commit = " + commit)
            self._all("SET lock_timeout = '5s'")
            self._all("SET statement_timeout = '20s'")
            self._all(_ASLEEP)
            with _spoken():
                self._db.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel + self._hears)))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See FrontTable."""
        with suppress(psycopg.Error):
            self._db.close()

    def wait(self, wake: Wake, seconds: float) -> None:
        """See FrontTable."""
        with _spoken():
            if wake.wait(seconds, other=self._db.fileno()):
                self._db.pgconn.consume_input()
                while self._db.pgconn.notifies() is not None:
                    pass

    def _notify(self) -> None:
        self._all("SELECT pg_notify(%s, '')", (self._channel + self._says,))

    def _all(self, statement: LiteralString, values: Sequence[object] = ()) -> list[Row]:
        with _spoken():
            query = sql.SQL(statement).format(schema=sql.Identifier(self._schema))
            cursor = self._db.execute(query, values)
            return cursor.fetchall() if cursor.description is not None else []

    def _many(self, statement: LiteralString, rows: Sequence[Sequence[object]]) -> None:
        with _spoken():
            self._db.cursor().executemany(sql.SQL(statement).format(schema=sql.Identifier(self._schema)), rows)


class PostgresFront(_Connection):
    """See FrontTable. What it inserts is no promise, so its commits wait for no disk."""

    _hears, _says = "answer", "queue"

    def __init__(self, conninfo: str, schema: str) -> None:
        super().__init__(conninfo, schema, commit="off")

    def put(self, judge: Judge) -> None:
        """See FrontTable."""
        try:
            with _spoken(), self._db.transaction():
                self._all("SELECT pg_advisory_xact_lock(%s)", (self._key,))
                rows = judge(*self._look())
                values = [(row.request, row.issuer, row.serial, row.bundle, row.entries) for row in rows]
                if values:
                    self._many(
                        "INSERT INTO {schema}.queue (request, issuer, serial, bundle, entries) "
                        "VALUES (%s, %s, %s, %s, %s)",
                        values,
                    )
                    self._notify()
        except _NoTablesError:
            judge(None, Load(entries=0, size_bytes=0))

    def look(self) -> tuple[Beat | None, Load]:
        """See FrontTable."""
        try:
            return self._look()
        except _NoTablesError:
            return None, Load(entries=0, size_bytes=0)

    def queued(self, requests: Collection[bytes]) -> set[bytes]:
        """See FrontTable."""
        found = self._all("SELECT request FROM {schema}.queue WHERE request = ANY(%s)", (list(requests),))
        return {bytes(row[0]) for row in found}

    def answers(self, requests: Collection[bytes]) -> dict[bytes, bytes]:
        """See FrontTable."""
        found = self._all("SELECT request, body FROM {schema}.answer WHERE request = ANY(%s)", (list(requests),))
        return {bytes(row[0]): bytes(row[1]) for row in found}

    def _look(self) -> tuple[Beat | None, Load]:
        beats = self._all(
            "SELECT extract(epoch FROM clock_timestamp() - beat_at)::float8, trouble, vkey FROM {schema}.beat"
        )
        ((entries, size),) = self._all(
            "SELECT coalesce(sum(entries), 0)::bigint, coalesce(sum(octet_length(bundle)), 0)::bigint "
            "FROM {schema}.queue"
        )
        load = Load(entries=entries, size_bytes=size)
        return (Beat(age_seconds=beats[0][0], trouble=beats[0][1], vkey=beats[0][2]) if beats else None), load


class PostgresFeed(_Connection):
    """See SignerTable. Its commits are forced to disk."""

    _hears, _says = "queue", "answer"

    def __init__(self, conninfo: str, schema: str) -> None:
        super().__init__(conninfo, schema, commit="on")

    def prepare(self, epoch: int) -> None:
        """See SignerTable."""
        with self._fenced(epoch):
            for statement in _TABLES:
                self._all(statement)

    def rows(self, *, but: Collection[bytes]) -> list[QueueRow]:
        """See SignerTable."""
        found = self._all(
            "SELECT request, issuer, serial, bundle, entries FROM {schema}.queue WHERE request <> ALL(%s) "
            "ORDER BY place LIMIT %s",
            (list(but), ROWS_AT_ONCE),
        )
        return [QueueRow(request=row[0], issuer=row[1], serial=row[2], bundle=row[3], entries=row[4]) for row in found]

    def answer(self, epoch: int, bodies: Mapping[bytes, bytes]) -> None:
        """See SignerTable."""
        with self._fenced(epoch):
            self._all(
                "INSERT INTO {schema}.answer (request, body) SELECT * FROM unnest(%s::bytea[], %s::bytea[]) "
                "ON CONFLICT DO NOTHING",
                (list(bodies.keys()), list(bodies.values())),
            )
            self._all("DELETE FROM {schema}.queue WHERE request = ANY(%s)", (list(bodies),))
            self._notify()

    def beat(self, epoch: int, *, vkey: str, trouble: str | None, alive: bool) -> None:
        """See SignerTable."""
        with self._fenced(epoch):
            self._all(
                "INSERT INTO {schema}.beat VALUES (1, %s, %s, %s, "
                "clock_timestamp() - CASE WHEN %s THEN interval '0' ELSE interval '1 day' END) "
                "ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, vkey = excluded.vkey, "
                "trouble = excluded.trouble, beat_at = excluded.beat_at",
                (epoch, vkey, trouble, alive),
            )

    def sweep(self, epoch: int, *, seconds: int) -> int:
        """See SignerTable."""
        with self._fenced(epoch):
            gone = self._all(
                "DELETE FROM {schema}.answer WHERE answered_at < clock_timestamp() - make_interval(secs => %s) "
                "RETURNING 1",
                (seconds,),
            )
            return len(gone)

    @contextmanager
    def _fenced(self, epoch: int) -> Iterator[None]:
        """One transaction that begins by showing that this process is still the signer."""
        with _spoken(), self._db.transaction():
            if not self._all("SELECT 1 FROM {schema}.signer WHERE epoch = %s FOR SHARE", (epoch,)):
                raise FencedError
            yield


class _NoTablesError(StateUnavailableError):
    """No signer has opened this log's queue yet: the tables are not there."""


@contextmanager
def _spoken() -> Iterator[None]:
    """The library's errors as ours. No values of statements are in the message."""
    try:
        yield
    except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
        raise _NoTablesError("the database has no queue of that log") from error
    except psycopg.Error as error:
        raise StateUnavailableError(f"the database failed ({type(error).__name__}, {error.sqlstate})") from error


__all__ = ["PostgresFeed", "PostgresFront"]
