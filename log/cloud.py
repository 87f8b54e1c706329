"""A log for many machines: state in PostgreSQL, public files in an S3-compatible store (docs/spec/storage.md).

Any number of processes may read the public files; one at a time signs. Needs the extra `mingzheng[cloud]`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Self

from mingzheng.log.book import ActKeys
from mingzheng.log.instance import HeadMemory
from mingzheng.log.objects import ObjectStore
from mingzheng.log.postgres import PostgresState
from mingzheng.log.queuetable import PostgresFeed, PostgresFront
from mingzheng.log.recovery import LogIdentity
from mingzheng.log.refusal import StorageError
from mingzheng.log.s3 import Bucket, S3Client
from mingzheng.log.sigv4 import Account
from mingzheng.log.state import NOTHING_CARRIED, Carry
from mingzheng.log.writer import Log

VARIABLES: Final = {
    "database": "MINGZHENG_LOG_DATABASE",
    "schema": "MINGZHENG_LOG_SCHEMA",
    "endpoint": "MINGZHENG_LOG_S3_ENDPOINT",
    "bucket": "MINGZHENG_LOG_S3_BUCKET",
    "region": "MINGZHENG_LOG_S3_REGION",
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
}
PREFIX_VARIABLE: Final = "MINGZHENG_LOG_S3_PREFIX"


class CloudSettingsError(StorageError):
    """The environment does not say where the log is."""

    code: ClassVar[str] = "log.cloud_settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudPlace:
    """Where a log is. `database`: a libpq connection string; one `schema` and one `prefix` for each log."""

    database: str = field(repr=False)
    schema: str
    bucket: Bucket
    prefix: str

    def state(self, *, take_over: bool = False) -> PostgresState:
        """A state that is not yet open."""
        return PostgresState(self.database, self.schema, take_over=take_over)

    def end_signer(self) -> None:
        """End the session of whoever signs, which finds itself fenced. Raises StateUnavailableError."""
        state = self.state(take_over=True)
        try:
            state.open()
        finally:
            state.close()

    def front(self) -> PostgresFront:
        """The queue, as a front end has it."""
        return PostgresFront(self.database, self.schema)

    def feed(self) -> PostgresFeed:
        """The queue, as the signer has it."""
        return PostgresFeed(self.database, self.schema)

    def store(self) -> ObjectStore:
        """The public files."""
        return ObjectStore(S3Client(self.bucket), self.prefix)


def place_from_environment(environment: Mapping[str, str]) -> CloudPlace:
    """The place that the variables name: secrets are never arguments of a command. Raises CloudSettingsError."""
    missing = sorted(name for name in VARIABLES.values() if not environment.get(name))
    if missing:
        raise CloudSettingsError(f"not set: {', '.join(missing)}")
    found = {what: environment[name] for what, name in VARIABLES.items()}
    prefix = environment.get(PREFIX_VARIABLE, "")
    if prefix.startswith("/") or (prefix and not prefix.endswith("/")):
        raise CloudSettingsError(f"{PREFIX_VARIABLE} ends in / and does not begin with one")
    account = Account(access_key=found["access_key"], secret_key=found["secret_key"], region=found["region"])
    return CloudPlace(
        database=found["database"],
        schema=found["schema"],
        bucket=Bucket(endpoint=found["endpoint"], name=found["bucket"], account=account),
        prefix=prefix,
    )


class CloudLog(Log):
    """A log in PostgreSQL and an object store. Not for several threads at once."""

    @classmethod
    def create(
        cls,
        place: CloudPlace,
        identity: LogIdentity,
        *,
        act_keys: ActKeys,
        memory_dir: Path | None,
        carry: Carry = NOTHING_CARRIED,
    ) -> Self:
        """Make the empty log and publish its checkpoint of size 0. Raises as `EmbeddedLog.create`."""
        memory = None if memory_dir is None else HeadMemory(memory_dir, identity.vkey_text())
        log = cls(place.store(), place.state(), identity, act_keys=act_keys, memory=memory)
        log.begin(carry)
        return log

    @classmethod
    def open(
        cls,
        place: CloudPlace,
        identity: LogIdentity,
        *,
        act_keys: ActKeys,
        memory_dir: Path | None,
        take_over: bool = False,
    ) -> Self:
        """Become the signer and roll forward. `take_over`: end the session of the one there is.

        Raises as `EmbeddedLog.open`, StateUnavailableError, ObjectsUnavailableError.
        """
        memory = None if memory_dir is None else HeadMemory(memory_dir, identity.vkey_text())
        log = cls(place.store(), place.state(take_over=take_over), identity, act_keys=act_keys, memory=memory)
        log.resume()
        return log

    @property
    def epoch(self) -> int | None:
        """Under which this process signs; None where the log is open for reading alone."""
        if self._read_only is not None or not isinstance(self._state, PostgresState):
            return None
        return self._state.epoch
