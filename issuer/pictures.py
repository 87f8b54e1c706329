"""The images of many records: read, normalised and stored while the rows before them are checked.

Source: docs/records.md, "Images". Decoding and the disk leave the interpreter free, so a few threads keep every core
busy; a bounded number of rows is ahead, and records come out in their order. Effectful.
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.issuer.errors import ImageError
from mingzheng.issuer.faults import Fault
from mingzheng.issuer.intake import normalise_photo, normalise_signature
from mingzheng.issuer.record import ApplicationRecord
from mingzheng.log.durable import fsync_dir, replace, unlink, write_file

__all__ = ["PictureWork", "Pictures", "keep_image"]

_FEW: Final = 16  # records that are not worth a thread
_AHEAD: Final = 4  # rows per thread that may be ready before they are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The normalised images of one record and their SHA-256; faults if one cannot be had."""

    photo: bytes | None
    signature_image: bytes | None
    faults: tuple[Fault, ...]

    @property
    def photo_digest(self) -> bytes | None:
        """SHA-256 of the photo."""
        return None if self.photo is None else hashlib.sha256(self.photo).digest()

    @property
    def signature_digest(self) -> bytes | None:
        """SHA-256 of the signature image."""
        return None if self.signature_image is None else hashlib.sha256(self.signature_image).digest()


class PictureWork:
    """Reads the images of records below `base`; keeps them in `store` by digest, or nowhere (None)."""

    def __init__(self, base: Path, store: Path | None) -> None:
        self._base, self._store = base, store

    def of(self, records: Sequence[ApplicationRecord]) -> Iterator[tuple[ApplicationRecord, Pictures]]:
        """Each record with its images, in order. What was stored is durable when the iterator has ended."""
        if self._store is not None:
            _remove_unfinished(self._store)
        if len(records) <= _FEW:
            yield from ((record, self._read(record)) for record in records)
        else:
            threads = min(8, 2 * (os.cpu_count() or 1))
            with ThreadPoolExecutor(threads, thread_name_prefix="images") as pool:
                yield from self._ahead(pool, records, threads * _AHEAD)
        if self._store is not None:
            fsync_dir(self._store)

    def _ahead(
        self, pool: ThreadPoolExecutor, records: Iterable[ApplicationRecord], most: int
    ) -> Iterator[tuple[ApplicationRecord, Pictures]]:
        waiting: deque[tuple[ApplicationRecord, Future[Pictures]]] = deque()
        todo = iter(records)
        try:
            for record in islice(todo, most):
                waiting.append((record, pool.submit(self._read, record)))
            while waiting:
                record, future = waiting.popleft()
                yield record, future.result()
                for following in islice(todo, 1):
                    waiting.append((following, pool.submit(self._read, following)))
        finally:
            for _, future in waiting:
                future.cancel()

    def _read(self, record: ApplicationRecord) -> Pictures:
        photo, faults = self._image(record.row, "photo", record.photo, normalise_photo)
        signature, more = self._image(record.row, "signature_image", record.signature_image, normalise_signature)
        found = (*faults, *more)
        if self._store is not None and not found:
            for image in (photo, signature):
                if image is not None:
                    keep_image(self._store, image)
        return Pictures(photo=photo, signature_image=signature, faults=found)

    def _image(
        self, row: int, column: str, name: str | None, normalise: Callable[[bytes], bytes]
    ) -> tuple[bytes | None, tuple[Fault, ...]]:
        """A normalised image; a fault if it cannot be had."""
        if name is None:
            return None, ()
        try:
            with (self._base / name).open("rb") as stream:
                data = stream.read(LIMITS_DEFAULT.image_bytes + 1)
            return normalise(data), ()
        except OSError:
            words = ("图片文件读不到", "the image file cannot be read")
            remedy = ("检查路径（相对于记录文件）", "check the path: it starts at the records file")
            return None, (_fault(row, column, "record.image_unreadable", words, remedy),)
        except ImageError as error:
            remedy = ("换一张图片", "use another image")
            return None, (_fault(row, column, error.code, (error.zh, error.en), remedy),)


def _remove_unfinished(store: Path) -> None:
    """What a killed command was writing, before anything new is written: nobody else writes here."""
    for path in store.glob("*.tmp"):
        unlink(path)


def keep_image(store: Path, data: bytes) -> bytes:
    """Put an image under its digest unless it is there, its bytes on disk before it has the name; gives the digest.

    The name is durable after `fsync_dir(store)`.
    """
    digest = hashlib.sha256(data)
    path = store / digest.hexdigest()
    if not path.exists():
        temporary = path.with_suffix(f".{threading.get_ident()}.tmp")
        write_file(temporary, data)
        replace(temporary, path)
    return digest.digest()


def _fault(row: int, field: str, code: str, message: tuple[str, str], remedy: tuple[str, str]) -> Fault:
    return Fault(
        row=row,
        field=field,
        code=code,
        message_zh=message[0],
        message_en=message[1],
        remedy_zh=remedy[0],
        remedy_en=remedy[1],
    )
