"""The images of many records: read and normalised by processes of their own, stored while the rows are checked.

Source: docs/records.md, "Images". What is decoded is foreign data, and decoding holds the interpreter: a few processes
keep every core busy, and none of them has a key or may write. A bounded number of rows is ahead, and records come out
in their order. Effectful.
"""

import hashlib
import json
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from mingzheng.formats.confine import PoolLimits, processors
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.pool import Done, Loss, Pool, Start, Task, Work
from mingzheng.issuer.errors import ImageError, ImageFormatError
from mingzheng.issuer.faults import Fault, make_fault
from mingzheng.issuer.intake import normalise_photo, normalise_signature
from mingzheng.issuer.record import ApplicationRecord, rows_named_twice
from mingzheng.log.durable import fsync_dir, replace, unlink, write_file

__all__ = ["PictureWork", "Pictures", "SameImages", "keep_image", "read_image", "set_up"]

_FEW: Final = 64  # records that are not worth a process
_TOGETHER: Final = 8  # records in one task: readers do not wait for the checks of one row
_WRITERS: Final = 4  # threads that wait for the disk
_WAITING: Final = 64  # images on their way to the disk
# Generous: an image of the most pixels that are taken needs a second. A process costs half a second to start.
_LIMITS: Final = PoolLimits(wall_seconds=60.0, cpu_seconds=30, memory_bytes=1 << 30, files=1_000)
_GOOD, _BAD, _UNREADABLE = b"G", b"B", b"U"
_TOO_MUCH: Final = (
    "文件损坏，读取它的进程中止或超时；请另存为 PNG 或 JPEG（RGB）",
    "the file is damaged: the process that read it died or took too long; save it as PNG or JPEG in RGB",
)

_Found: TypeAlias = bytes | tuple[str, str, str]  # an image, or code and words of its fault


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


class SameImages:
    """Rows of one registration have the same images, whatever their paths: images are data."""

    def __init__(self, records: Sequence[ApplicationRecord]) -> None:
        self._twice = rows_named_twice(records)
        self._found: dict[tuple[str, str], list[tuple[int, bytes | None, bytes | None]]] = {}

    def add(self, record: ApplicationRecord, pictures: Pictures) -> None:
        """The images of a row without a fault."""
        if record.row in self._twice:
            rows = self._found.setdefault((record.kind, record.registration_no), [])
            rows.append((record.row, pictures.photo_digest, pictures.signature_digest))

    def faults(self) -> list[Fault]:
        """A fault of every row that another one contradicts."""
        found = []
        for rows in self._found.values():
            first = rows[0]
            second = next((one for one in rows if one[1:] != first[1:]), None)
            for row, photo, signature in rows if second is not None else ():
                other = second if (photo, signature) == first[1:] else first
                assert other is not None
                column = "photo" if other[1] != photo else "signature_image"
                found.append(make_fault(row, column, "record.conflicting_images", other=other[0]))
        return found


class PictureWork:
    """Reads the images of records below `base`; keeps them in `store` by digest, or nowhere (None)."""

    def __init__(self, base: Path, store: Path | None) -> None:
        self._base, self._store = base, store

    def of(self, records: Sequence[ApplicationRecord]) -> Generator[tuple[ApplicationRecord, Pictures], None, None]:
        """Each record with its images, in order. What was stored is durable when the iterator has ended.

        Raises PoolBrokenError if reading processes cannot be started, OSError if the disk refuses an image.
        """
        if self._store is not None:
            _remove_unfinished(self._store)
        with Keeper(self._store) as keeper:
            read = self._here(records) if len(records) <= _FEW else self._elsewhere(records)
            for record, answers in read:
                pictures = _pictures(record, answers)
                if not pictures.faults:
                    keeper.keep(image for image in (pictures.photo, pictures.signature_image) if image is not None)
                yield record, pictures

    def _here(self, records: Iterable[ApplicationRecord]) -> Iterator[tuple[ApplicationRecord, list[bytes | Loss]]]:
        for record in records:
            yield record, [read_image(path, what) for path, what in self._named(record)]

    def _elsewhere(
        self, records: Sequence[ApplicationRecord]
    ) -> Iterator[tuple[ApplicationRecord, list[bytes | Loss]]]:
        """By processes that hold no key and may write nothing: always new ones, never copies of this one."""
        starts = range(0, len(records), _TOGETHER)
        with _pool(processors() + 1) as pool:
            answers = pool.run(self._task(records[start : start + _TOGETHER]) for start in starts)
            for start, answer in zip(starts, answers, strict=True):
                batch = records[start : start + _TOGETHER]
                if isinstance(answer, bytes):
                    images: Iterator[bytes | Loss] = unpack(answer)
                else:
                    images = self._one_by_one(batch)
                for record in batch:
                    yield record, list(islice(images, len(_named(record))))

    def _one_by_one(self, batch: Iterable[ApplicationRecord]) -> Iterator[bytes | Loss]:
        """Images of which one, at least, killed its reader: each by itself tells which."""
        with _pool(1) as pool:
            for answer in pool.run(_task([named]) for record in batch for named in self._named(record)):
                assert not isinstance(answer, Done)  # none was put in
                yield next(unpack(answer)) if isinstance(answer, bytes) else answer

    def _task(self, batch: Iterable[ApplicationRecord]) -> Task:
        return _task([named for record in batch for named in self._named(record)])

    def _named(self, record: ApplicationRecord) -> list[tuple[str, str]]:
        return [(str(self._base / name), what) for what, name in _named(record)]


class Keeper:
    """Stores images while others are read: a few threads wait for the disk. All is durable when the block is left."""

    def __init__(self, store: Path | None) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(_WRITERS, thread_name_prefix="images")
        self._waiting: deque[Future[bytes]] = deque()

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while self._waiting and kind is None:
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)
        if self._store is not None and kind is None:
            fsync_dir(self._store)

    def keep(self, images: Iterable[bytes]) -> None:
        """Begin to store; waits while too much is on its way. Raises OSError for what the disk refused before."""
        if self._store is None:
            return
        for image in images:
            self._waiting.append(self._pool.submit(keep_image, self._store, image))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()


def set_up() -> Work:
    """For a reading process: it takes paths with what they show, and answers their images as `unpack` reads them."""
    return lambda _, paths: b"".join(_framed(read_image(path, what)) for path, what in json.loads(paths))


def unpack(answer: bytes) -> Iterator[bytes]:
    """The images of an answer: each behind its length in four bytes."""
    place = 0
    while place < len(answer):
        end = place + 4 + int.from_bytes(answer[place : place + 4])
        yield answer[place + 4 : end]
        place = end


def read_image(path: str, what: str) -> bytes:
    """A normalised image, or what is wrong with it: one byte that tells which, and the bytes or the words in JSON."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(LIMITS_DEFAULT.image_bytes + 1)
        return _GOOD + (normalise_photo if what == "photo" else normalise_signature)(data)
    except OSError:
        return _UNREADABLE
    except ImageError as error:
        return _BAD + json.dumps([error.code, *error.told]).encode()


def _named(record: ApplicationRecord) -> tuple[tuple[str, str], ...]:
    both = (("photo", record.photo), ("signature_image", record.signature_image))
    return tuple((what, name) for what, name in both if name is not None)


def _found(answer: bytes | Loss, what: str) -> _Found:
    """The image, or code and words of a fault. A reader that died or took too long was given a damaged file."""
    if isinstance(answer, Loss):
        error = ImageFormatError(what, *_TOO_MUCH)
        return (error.code, *error.told)
    if answer[:1] == _GOOD:
        return answer[1:]
    if answer == _UNREADABLE:
        return ("record.image_unreadable", "图片文件读不到", "the image file cannot be read")
    code, zh, en = json.loads(answer[1:])
    return (code, zh, en)


def _pictures(record: ApplicationRecord, answers: Sequence[bytes | Loss]) -> Pictures:
    images: dict[str, bytes] = {}
    faults: list[Fault] = []
    for (what, _), answer in zip(_named(record), answers, strict=True):
        found = _found(answer, what)
        if isinstance(found, bytes):
            images[what] = found
        else:
            faults.append(_fault(record.row, what, *found))
    return Pictures(photo=images.get("photo"), signature_image=images.get("signature_image"), faults=tuple(faults))


def _pool(workers: int) -> Pool[bytes]:
    return Pool(set_up, workers=workers, limits=_LIMITS, start=Start.SPAWN)


def _task(named: Sequence[tuple[str, str]]) -> Task:
    return Task(name="", data=json.dumps(named).encode())


def _framed(image: bytes) -> bytes:
    return len(image).to_bytes(4) + image


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


def _fault(row: int, field: str, code: str, zh: str, en: str) -> Fault:
    path = code == "record.image_unreadable"
    return Fault(
        row=row,
        field=field,
        code=code,
        message_zh=zh,
        message_en=en,
        remedy_zh="检查路径（相对于记录文件）" if path else "换一张图片",
        remedy_en="check the path: it starts at the records file" if path else "use another image",
    )
