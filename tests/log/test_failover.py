"""Exactly one signer: takeover while the other works, sleeps or is cut off; nothing is lost and no head forks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cloudservers
import pytest
from logstores import CloudWorld, DirectoryWorld, MemoryWorld, Rows
from logworld import IDENTITY, NAME, issue, keyed

from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.hashing import EMPTY_ROOT, leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.refusal import (
    BehindMemoryError,
    DiskDisagreesError,
    FencedError,
    LogMissingError,
    RestoredBackupError,
    StorageError,
    WriterActiveError,
    WriterBrokenError,
)
from mingzheng.log.state import NOTHING_CARRIED
from mingzheng.log.tile import Tile
from mingzheng.log.writer import Log, row_of

CLOUD = pytest.param(CloudWorld, marks=[pytest.mark.postgres, pytest.mark.s3], id="cloud")
Many = MemoryWorld | CloudWorld


@pytest.fixture(params=[pytest.param(MemoryWorld, id="memory"), CLOUD])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Many]:
    """A world in which a process may lose its right to sign."""
    made: Many = request.param(root=tmp_path)
    yield made
    made.close()


def _check(world: Many, log: Log, notes: list[bytes], acknowledged: dict[bytes, int]) -> None:
    """fsck clean, every acknowledged entry where it was said to be, every head ever published a prefix."""
    entries = [data for _index, data in log.reader().entries(0, log.head()[0])]
    for entry, index in acknowledged.items():
        assert entries[index] == entry
    leaves = [leaf_hash(data) for data in entries]
    for note in [*notes, log.checkpoint()]:
        head = open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=NAME)
        assert root_of(leaves[: head.size]) == head.root
    log.close()
    assert world.fsck().faults == ()


def test_a_second_signer_is_refused_while_the_first_lives(world: Many) -> None:
    first = world.create()
    for _ in range(3):
        with pytest.raises(WriterActiveError):
            world.open()
    assert world.submit(first, issue(0)) == (0,)


def test_an_idle_signer_finds_itself_fenced_after_a_takeover(world: Many) -> None:
    first = world.create()
    world.submit(first, issue(0))
    before = first.checkpoint()
    second = world.open(take_over=True)
    world.submit(second, issue(1))
    for attempt in (
        lambda: world.submit(first, issue(2)),
        lambda: first.confirm_clock(world.now + 9),
        lambda: world.submit(first, issue(3)),
    ):
        with pytest.raises(StorageError):
            attempt()
    assert world.published() == second.checkpoint()
    _check(world, second, [before], {issue(0): 0, issue(1): 2})


STEPS = ("commit_round", "write", "store_note", "publish_checkpoint", "remove_partials")


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_signer_that_slept_through_a_takeover_changes_nothing(
    world: Many, monkeypatch: pytest.MonkeyPatch, step: str, late: bool
) -> None:
    """It wakes at each step of a round, before and after the step took effect; its successor went on meanwhile."""
    first = world.create()
    world.submit(first, *(issue(serial) for serial in range(200)))
    notes = [first.checkpoint()]
    acknowledged: dict[bytes, int] = {}
    part = first._state if step in ("commit_round", "store_note") else first._store
    real = getattr(part, step)
    seconds: list[Log] = []

    def asleep(*arguments: object) -> None:
        monkeypatch.setattr(part, step, real)
        if late:
            real(*arguments)
        second = world.open(take_over=True)
        seconds.append(second)
        notes.append(second.checkpoint())
        acknowledged[issue(900)] = world.submit(second, issue(900))[0]
        notes.append(second.checkpoint())
        if not late:
            real(*arguments)

    monkeypatch.setattr(part, step, asleep)
    entries = [issue(serial) for serial in range(200, 400)]
    try:
        indexes = world.submit(first, *entries)
    except StorageError:
        pass
    else:  # its last head was published before it slept: the promise holds
        assert step == "remove_partials" or (step == "publish_checkpoint" and late)
        acknowledged |= dict(zip(entries, indexes, strict=True))
    with pytest.raises(StorageError):
        world.submit(first, issue(901))
    (second,) = seconds
    assert world.published() == second.checkpoint()
    again = world.submit(second, *entries)
    for entry, index in zip(entries, again, strict=True):
        assert acknowledged.setdefault(entry, index) == index
    _check(world, second, notes, acknowledged)


def test_two_signers_race_for_every_round(world: Many) -> None:
    """Each takes over from the other before every round and both try; one head per size, whoever won."""
    holder = world.create()
    acknowledged: dict[bytes, int] = {}
    notes: list[bytes] = []
    for turn in range(12):
        taken = world.open(take_over=True)
        with pytest.raises(StorageError):
            world.submit(holder, issue(1000 + turn))
        (acknowledged[issue(turn)],) = world.submit(taken, issue(turn))
        notes.append(taken.checkpoint())
        holder.close()
        holder = taken
    last = world.open(take_over=True)
    _check(world, last, notes, acknowledged)


# --- what is deleted or put back


def test_a_deleted_signer_or_head_row_is_refused(world: Many) -> None:
    log = world.create()
    world.submit(log, issue(0))
    note = log.checkpoint()
    log.close()
    for table in ("signer", "head"):
        with _without(world, table), pytest.raises(LogMissingError):
            world.open()
    assert world.published() == note
    assert world.open().head()[0] == 2


def test_a_signer_row_deleted_under_a_signer_stops_it(world: Many) -> None:
    log = world.create()
    world.submit(log, issue(0))
    with _without(world, "signer"), pytest.raises(FencedError):
        world.submit(log, issue(1))
    with pytest.raises(WriterBrokenError):
        world.submit(log, issue(1))


class _Without:
    """The only row of a table is gone for a while."""

    def __init__(self, world: Many, table: str) -> None:
        self._world, self._table = world, table
        self._kept: object = None

    def __enter__(self) -> None:
        if isinstance(self._world, MemoryWorld):
            rows = self._world.there.rows
            assert rows is not None
            self._kept = replace(rows)
            if self._table == "signer":
                rows.epoch = None
            else:
                rows.head = None
            return
        import psycopg

        place = self._world.place
        with psycopg.connect(place.database) as connection:
            connection.execute(f"CREATE TABLE {place.schema}.kept AS SELECT * FROM {place.schema}.{self._table}")
            connection.execute(f"DELETE FROM {place.schema}.{self._table}")

    def __exit__(self, *_exception: object) -> None:
        if isinstance(self._world, MemoryWorld):
            assert isinstance(self._kept, Rows)
            self._world.there.rows = self._kept
            return
        import psycopg

        place = self._world.place
        with psycopg.connect(place.database) as connection:
            connection.execute(f"INSERT INTO {place.schema}.{self._table} SELECT * FROM {place.schema}.kept")
            connection.execute(f"DROP TABLE {place.schema}.kept")


def _without(world: Many, table: str) -> _Without:
    return _Without(world, table)


class _Backups:
    """Copies of one half of a log, and putting them back."""

    def __init__(self, world: Many) -> None:
        self._world = world

    def objects(self) -> dict[str, bytes]:
        if isinstance(self._world, MemoryWorld):
            return dict(self._world.there.objects)
        store = self._world.place.store()
        found = {name: store.fetch(name) for name in store.names()}
        store.close()
        return found

    def put_objects(self, kept: dict[str, bytes]) -> None:
        if isinstance(self._world, MemoryWorld):
            self._world.there.objects = dict(kept)
            return
        store = self._world.place.store()
        for name in list(store.names()):
            store._client.delete(self._world.place.prefix + name)
        for name, data in kept.items():
            store._client.put(self._world.place.prefix + name, data, if_match=None)
        store.close()

    TABLES = (
        "log",
        "signer",
        "head",
        "staged",
        "submission",
        "serial",
        "round",
        "retired",
        "issuer",
        "shard",
        "carried",
    )

    def rows(self) -> object:
        if isinstance(self._world, MemoryWorld):
            assert self._world.there.rows is not None
            return self._world.there.rows.clone()
        import psycopg

        place = self._world.place
        with psycopg.connect(place.database) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {place.schema}_backup CASCADE")
            connection.execute(f"CREATE SCHEMA {place.schema}_backup")
            for table in self.TABLES:
                connection.execute(
                    f"CREATE TABLE {place.schema}_backup.{table} AS SELECT * FROM {place.schema}.{table}"
                )
        return None

    def put_rows(self, kept: object) -> None:
        if isinstance(self._world, MemoryWorld):
            assert isinstance(kept, Rows)
            self._world.there.rows = kept.clone()
            return
        import psycopg

        place = self._world.place
        with psycopg.connect(place.database) as connection:
            for table in self.TABLES:
                connection.execute(f"DELETE FROM {place.schema}.{table}")
                connection.execute(f"INSERT INTO {place.schema}.{table} SELECT * FROM {place.schema}_backup.{table}")


@pytest.mark.parametrize("remember", [True, False])
@pytest.mark.parametrize("what", ["database", "objects", "both"])
def test_an_older_half_put_back_is_refused(world: Many, what: str, remember: bool) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(150)))
    log.close()
    backups = _Backups(world)
    objects, rows = backups.objects(), backups.rows()
    log = world.open()
    world.submit(log, *(issue(serial) for serial in range(150, 299)))
    log.close()
    if what in ("database", "both"):
        backups.put_rows(rows)
    if what in ("objects", "both"):
        backups.put_objects(objects)
    before = world.published()
    if what == "both" and not remember:
        return  # nothing in the storage itself can know: an anchor, a witness or another machine's memory must
    if what == "both":
        log = world.open()
        assert isinstance(log.read_only, BehindMemoryError)
        for attempt in (lambda: world.submit(log, issue(900)), lambda: log.compact_receipt(0)):
            with pytest.raises(BehindMemoryError):
                attempt()
    else:
        with pytest.raises(DiskDisagreesError):
            world.open(remember=remember)
    assert world.published() == before


def test_a_copied_database_opens_for_reading_until_an_anchor_is_shown(world: Many) -> None:
    log = world.create()
    world.submit(log, issue(0))
    note = log.checkpoint()
    log.close()
    if isinstance(world, MemoryWorld):
        assert world.there.rows is not None
        world.there.rows.copy = True
    else:
        import psycopg

        with psycopg.connect(world.place.database) as connection:  # as a loaded dump looks: another schema's number
            connection.execute(f"UPDATE {world.place.schema}.log SET instance = '1/1/1/1'")
    log = world.open()
    assert isinstance(log.read_only, RestoredBackupError)
    with pytest.raises(RestoredBackupError):
        world.submit(log, issue(1))
    log.resume_from_anchor(note)
    assert world.submit(log, issue(1)) == (2,)
    log.close()
    assert world.open().read_only is None


def test_a_tile_with_other_bytes_stops_the_signer(world: Many) -> None:
    log = world.create()
    tile = Tile(level=0, index=0, width=2)
    if isinstance(world, MemoryWorld):
        world.there.objects[tile.path()] = bytes(64)
    else:
        log._store.write([(tile, bytes(64))])
    with pytest.raises(DiskDisagreesError, match="never change"):
        log.submit(keyed([issue(0)]), now=world.now)


def test_a_directory_has_one_writer_too(tmp_path: Path) -> None:
    world = DirectoryWorld(root=tmp_path)
    log = world.create()
    with pytest.raises(WriterActiveError):
        world.open()
    log.close()
    with world.open() as log:
        assert world.submit(log, issue(0)) == (0,)
    assert world.fsck().faults == ()


def _switch_off(conninfo: str, name: str) -> None:
    """Change a setting of a server; it is read by whoever connects a little later."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(conninfo, autocommit=True) as connection:
        for other in ("fsync", "full_page_writes"):
            value = sql.SQL("off" if other == name else "on")
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(other), value))
        connection.execute("SELECT pg_reload_conf()")
    for _attempt in range(1_000):
        with psycopg.connect(conninfo, autocommit=True) as connection:
            found = [connection.execute(f"SHOW {other}").fetchone() for other in ("fsync", "full_page_writes")]
        if found == [("off",) if other == name else ("on",) for other in ("fsync", "full_page_writes")]:
            return
    raise AssertionError(f"{name} stays on")


@pytest.mark.postgres
def test_a_promoted_standby_is_doubted_at_once_and_an_unsafe_server_refused() -> None:
    """Its first checkpoint, from which on its control file names the new timeline, is minutes away."""
    import psycopg

    from mingzheng.log.postgres import PostgresState, StateUnsafeError

    server = cloudservers.postgres()
    state = PostgresState(server.conninfo, "promoted")
    state.open()
    state.initialise(row_of(IDENTITY), EMPTY_ROOT, NOTHING_CARRIED)
    assert state.doubt() is None
    with cloudservers.standby(server) as other:
        with psycopg.connect(other.conninfo, autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote(true, 60)").fetchone() == (True,)
        copy = PostgresState(other.conninfo, "promoted")
        copy.open()
        assert isinstance(copy.doubt(), RestoredBackupError)
        copy.vouch()
        assert copy.doubt() is None
        copy.close()
        for name in ("full_page_writes", "fsync"):
            _switch_off(other.conninfo, name)
            with pytest.raises(StateUnsafeError, match=name):
                copy.open()
            copy.close()
    assert state.doubt() is None
    state.close()
