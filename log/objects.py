"""A log's public files as objects of an S3-compatible store: Store with conditional writes (docs/spec/storage.md).

Tiles and bundles are put only where nothing is (`If-None-Match: *`); a key that is taken must hold the same bytes.
`checkpoint` is put only over the one last read with `read_checkpoint` (`If-Match`), so a writer that was overtaken
publishes nothing; readers use `fetch`, which gives no right to replace what they saw.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from mingzheng.log.refusal import DiskDisagreesError, FencedError, StorageError
from mingzheng.log.s3 import S3Client
from mingzheng.log.store import CHECKPOINT
from mingzheng.log.tile import Tile

_WORKERS = 8
_NO_SUCH_ETAG = '"00000000000000000000000000000000"'


class UnconditionalStoreError(StorageError):
    """The object store ignores conditions on writes: two writers could overwrite each other's files."""

    code: ClassVar[str] = "log.objects_unconditional"


class ObjectStore:
    """See Store. Keys are `prefix` + the tlog-tiles path, so any web server in front of the bucket serves the log."""

    def __init__(self, client: S3Client, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self._etag: str | None = None
        self._known = False  # whether `_etag` is what we last saw
        self._pool: ThreadPoolExecutor | None = None

    def prepare(self) -> None:
        """See Store. Refuses a store that ignores conditions, once there is something to try it on."""
        answer = self._client.get(self._prefix + CHECKPOINT)
        if answer is not None:
            self._check_conditions(answer.body)

    def close(self) -> None:
        """See Store."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        self._client.close()

    def read(self, tile: Tile) -> bytes:
        """See Store."""
        return self.fetch(tile.path())

    def fetch(self, path: str) -> bytes:
        """See Store."""
        answer = self._client.get(self._prefix + path)
        if answer is None:
            raise DiskDisagreesError(f"{path} is missing")
        return answer.body

    def write(self, files: Iterable[tuple[Tile, bytes]]) -> None:
        """See Store. Several at a time, in no order: nothing refers to them before the checkpoint."""
        items = [(tile.path(), data) for tile, data in files]
        if len(items) == 1:
            self._put(*items[0])
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=_WORKERS)
        for _none in self._pool.map(lambda item: self._put(*item), items):
            pass

    def _put(self, path: str, data: bytes) -> None:
        if self._client.put(self._prefix + path, data, if_match=None) is None and self.fetch(path) != data:
            raise DiskDisagreesError(f"{path} is there with other bytes; it may never change")

    def read_checkpoint(self) -> bytes | None:
        """See Store. What is read here is what `publish_checkpoint` may replace."""
        answer = self._client.get(self._prefix + CHECKPOINT)
        self._etag, self._known = (None, True) if answer is None else (answer.etag, True)
        return None if answer is None else answer.body

    def publish_checkpoint(self, note: bytes) -> None:
        """See Store. Raises FencedError if another checkpoint than the one last read is there."""
        if not self._known:
            self.read_checkpoint()
        first = self._etag is None
        answer = self._client.put(self._prefix + CHECKPOINT, note, if_match=self._etag)
        if answer is not None and answer.etag:
            self._etag = answer.etag
        elif self.read_checkpoint() != note:  # else it is our own, of an attempt whose answer (or its ETag) was lost
            self._etag = _NO_SUCH_ETAG
            raise FencedError("another process has published a checkpoint of this log")
        if first:
            self._check_conditions(note)

    def remove_partials(self, tile: Tile) -> None:
        """See Store."""
        for name in list(self._client.names(f"{self._prefix}{tile.path()}.p/")):
            self._client.delete(name)

    def is_empty(self) -> bool:
        """See Store."""
        return next(self._client.names(f"{self._prefix}tile/", most=1), None) is None and self.read_checkpoint() is None

    def names(self) -> Iterator[str]:
        """See Store."""
        for name in self._client.names(self._prefix):
            yield name.removeprefix(self._prefix)

    def _check_conditions(self, note: bytes) -> None:
        """Try both conditions where they must fail; with the bytes that are there, so that nothing changes."""
        key = self._prefix + CHECKPOINT
        for condition in (None, _NO_SUCH_ETAG):
            if self._client.put(key, note, if_match=condition) is not None:
                raise UnconditionalStoreError("the object store ignores If-None-Match or If-Match: no log can be there")
