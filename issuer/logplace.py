"""Where a workspace's log is: its directory, or after `log migrate` a database server and an object store.

The directory stays and says that it was moved; the new place is named by environment variables (docs/spec/storage.md),
so that no secret of it stands in the workspace. The extra `mingzheng[cloud]` is loaded only then.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mingzheng.issuer.refusals import EXIT_STORED, EXIT_USAGE, RefusalError
from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.book import ActKeys
from mingzheng.log.client import DirectoryFetcher, Fetcher
from mingzheng.log.database import Database
from mingzheng.log.directory import DATABASE
from mingzheng.log.entry import OriginHead
from mingzheng.log.fsck import FsckReport, check_storage, fsck
from mingzheng.log.migrate import Migrated, migrate
from mingzheng.log.recovery import LogIdentity
from mingzheng.log.refusal import LogMissingError
from mingzheng.log.sequencer import PUBLIC, EmbeddedLog
from mingzheng.log.shard import Before
from mingzheng.log.state import Standing
from mingzheng.log.store import StoreFetcher
from mingzheng.log.writer import Log

if TYPE_CHECKING:
    from mingzheng.log.cloud import CloudPlace


class CloudExtraError(RefusalError):
    """The log is, or is to be, in a database server, whose client library is not installed."""

    code: ClassVar[str] = "log.cloud_extra"
    exit_code: ClassVar[int] = EXIT_STORED


class FrontEmbeddedError(RefusalError):
    """A front end was to be started for a log that lives in one directory, where one process alone takes entries."""

    code: ClassVar[str] = "log.front_embedded"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self) -> None:
        super().__init__(
            "前端 (--front) 只用于数据库里的日志，内嵌日志只能由一个进程接收条目；先运行 mingzheng log migrate，"
            "再设置 MINGZHENG_LOG_DATABASE 等环境变量",
            "front ends are for a log in a database; an embedded log takes entries in one process only: "
            "run `mingzheng log migrate`, then set MINGZHENG_LOG_DATABASE and the others",
        )


def is_moved(directory: Path) -> bool:
    """Whether the log of that directory goes on in another storage."""
    path = directory / DATABASE
    if not path.is_file() or path.stat().st_size == 0:
        return False
    database = Database(path, read_only=True)
    try:
        return database.log_row().standing is Standing.MOVED
    except LogMissingError:
        return False
    finally:
        database.close()


def before_of(directory: Path) -> Before | None:
    """What the log of that directory goes on from, whoever writes it now; None for nothing, or for no log there."""
    path = directory / DATABASE
    if not path.is_file() or path.stat().st_size == 0:
        return None
    database = Database(path, read_only=True)
    try:
        heads = tuple(OriginHead(head.origin, head.size, head.root) for head in database.frozen_heads())
        return Before(heads=heads, carried=database.carried()) if heads else None
    finally:
        database.close()


def open_log(
    directory: Path,
    identity: LogIdentity,
    *,
    act_keys: ActKeys,
    memory_dir: Path | None,
    environment: Mapping[str, str],
) -> Log:
    """The log, opened for writing where it is. Raises as `EmbeddedLog.open`, CloudSettingsError, CloudExtraError."""
    if not is_moved(directory):
        return EmbeddedLog.open(directory, identity, act_keys=act_keys, memory_dir=memory_dir)
    place = cloud_place(environment)
    from mingzheng.log.cloud import CloudLog

    return CloudLog.open(place, identity, act_keys=act_keys, memory_dir=memory_dir)


def check_log(directory: Path, vkey: VerifierKey, environment: Mapping[str, str]) -> FsckReport:
    """fsck of the log where it is. In a database server nobody may write meanwhile."""
    if not is_moved(directory):
        return fsck(directory, vkey=vkey)
    place = cloud_place(environment)
    state, store = place.state(), place.store()
    try:
        state.open()
        return check_storage(store, state, vkey=vkey)
    finally:
        state.close()
        store.close()


def public_files(directory: Path, environment: Mapping[str, str]) -> Fetcher:
    """The public files of the log where it is. Raises CloudSettingsError, CloudExtraError."""
    return (
        StoreFetcher(cloud_place(environment).store()) if is_moved(directory) else DirectoryFetcher(directory / PUBLIC)
    )


def move_log(directory: Path, identity: LogIdentity, environment: Mapping[str, str]) -> Migrated:
    """Move the log to the place that the environment names. Raises as `migrate`."""
    place = cloud_place(environment)
    return migrate(directory, identity, store=place.store(), state=place.state())


def cloud_place(environment: Mapping[str, str]) -> "CloudPlace":
    """The place that the environment names. Raises CloudSettingsError, CloudExtraError."""
    try:
        from mingzheng.log.cloud import place_from_environment
    except ImportError as error:
        raise CloudExtraError(
            "需要数据库客户端：pip install 'mingzheng[cloud]'", "needs the database client: mingzheng[cloud]"
        ) from error
    return place_from_environment(environment)
