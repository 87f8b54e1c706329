"""Many uploads judged in worker processes: what a file says comes back as rows, whatever the file does.

A text is judged at once, it never reaches a library. Everything else is read, verified and compared inside a worker;
a file whose worker was lost twice is a row RESOURCE_LIMIT that says why. Workers that fork have the context already,
spawned ones build it again from the recipe and must come to the same trust data. Source: docs/spec/verdicts.md
§reading. Effectful.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias, assert_never

from mingzheng.formats.confine import POOL_LIMITS, PoolLimits
from mingzheng.formats.errors import FileTooHungryError, FormatError, ResourceLimitError
from mingzheng.formats.limits import LIMITS_DEFAULT, Limits
from mingzheng.formats.pool import Done, Loss, Pool, Start, Task, Work, WorkerMemoryError, default_start
from mingzheng.formats.sniff import FileKind, sniff
from mingzheng.keys.pins import read_pins
from mingzheng.keys.snapshot import load_store
from mingzheng.verifier.context import Expectations, Judging, TrustSource, VerifyContext, build_context
from mingzheng.verifier.errors import VerifierError
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import refuse, verify_extracted
from mingzheng.verifier.policy import select_policy
from mingzheng.verifier.report import Json, Report
from mingzheng.verifier.sealcheck import DOCUMENTS
from mingzheng.verifier.wire import WireError, pack_reports, unpack_reports

if TYPE_CHECKING:
    from mingzheng.verifier.pagejudge import PageBench

__all__ = ["Bulk", "FileJudge", "Recipe", "Refusal", "TrustChangedError", "Upload", "inspect_file", "judge_file"]

Rows: TypeAlias = Iterable[Report]

_IN_PLACE: Final = frozenset({FileKind.TEXT, FileKind.UNKNOWN})  # no library looks at these
_KEPT_BLOCKS: Final = "4"  # of 16 MiB: Pillow uses them again for the next page, a tenth of the time per file


class TrustChangedError(VerifierError):
    """The trust data was replaced while a run was under way: run again."""

    code: ClassVar[str] = "verifier.trust_changed"


class FileTooSlowError(ResourceLimitError):
    """Reading the file took longer than any honest file does, twice."""

    code: ClassVar[str] = "file.too_slow"


class ReaderCrashedError(ResourceLimitError):
    """The file brought the reading process down, twice."""

    code: ClassVar[str] = "file.reader_crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as it came."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything a judge is made from, so that another process can make the same."""

    trust: Path
    now: int
    at: int | None
    policy: str
    expect: Expectations
    trust_log: bool = False  # docs/spec/landmark.md
    files: Limits = LIMITS_DEFAULT
    drawn: bool = False  # rows bring pictures of their pages along

    def build(self) -> VerifyContext:
        """Read the trust store and check it; the errors of `load_store` and `build_context`."""
        stored = load_store(self.trust, pins=read_pins(os.environ))
        return build_context(
            TrustSource(
                data=stored.data,
                fingerprint=stored.fingerprint,
                signed=stored.signed_by_tuf,
                expires=stored.expires if stored.signed_by_tuf else None,
            ),
            judging=Judging(
                now=self.now,
                at=self.at,
                policy=select_policy(load_policies(), self.policy),
                trust_log=self.trust_log,
            ),
            expect=self.expect,
            messages=load_messages(),
        )


class FileJudge:
    """Reads and judges files in this process, one after the other."""

    def __init__(self, ctx: VerifyContext, *, files: Limits = LIMITS_DEFAULT, drawn: bool = False) -> None:
        self.ctx, self._files, self._drawn = ctx, files, drawn

    def rows(self, data: bytes, name: str) -> tuple[Report, ...]:
        """The rows of one file; raises FormatError."""
        from mingzheng.formats.extract import check_file, extract  # pictures and PDF: slow to load

        kind = check_file(data, limits=self._files)
        if kind in DOCUMENTS and (proved := self._bench.proved_rows(data, kind, name)):
            return proved
        extracted = extract(data, limits=self._files)
        if extracted.kind not in DOCUMENTS:
            return verify_extracted(extracted, self.ctx, name)
        return self._bench.rows(data, extracted, name)

    @cached_property
    def _bench(self) -> PageBench:
        from mingzheng.verifier.pagejudge import PageBench

        return PageBench(self.ctx, limits=self._files, drawn=self._drawn)


def judge_file(data: bytes, ctx: VerifyContext, name: str, *, files: Limits = LIMITS_DEFAULT) -> tuple[Report, ...]:
    """The rows of one file, read in this process: where nothing is lost if the file brings it down."""
    try:
        return FileJudge(ctx, files=files).rows(data, name)
    except FormatError as error:
        return (refuse(error, ctx, name),)


class Bulk:
    """Judges uploads in at most `jobs` processes; a context manager that leaves none behind."""

    def __init__(
        self,
        recipe: Recipe,
        context: VerifyContext,
        *,
        jobs: int,
        limits: PoolLimits = POOL_LIMITS,
        start: Start | None = None,
    ) -> None:
        self._context = context
        self._limits = limits
        self._files = recipe.files
        start = start or default_start()
        set_up = (
            partial(_inherited, context, recipe)
            if start is Start.FORK
            else partial(_built, recipe, context.fingerprint)
        )
        self._pool: Pool[Rows] = Pool(set_up, workers=jobs, limits=limits, start=start)

    def __enter__(self) -> Bulk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def rows(self, uploads: Iterable[Upload | Rows]) -> Iterator[Report]:
        """The rows of every upload, in order; rows that are there already keep their place."""
        names: deque[str] = deque()

        def items() -> Iterator[Task | Done[Rows]]:
            for upload in uploads:
                names.append(upload.name if isinstance(upload, Upload) else "")
                yield self._item(upload)

        for answer in self._pool.run(items()):
            yield from self._rows(answer, names.popleft())

    def _item(self, upload: Upload | Rows) -> Task | Done[Rows]:
        if not isinstance(upload, Upload):
            return Done(upload)
        if len(upload.data) > self._files.file_bytes or sniff(upload.data) in _IN_PLACE:
            return Done(judge_file(upload.data, self._context, upload.name, files=self._files))
        return Task(name=upload.name, data=upload.data)

    def _rows(self, answer: bytes | Loss | Done[Rows], name: str) -> Rows:
        if isinstance(answer, Done):
            return answer.value
        if isinstance(answer, bytes):
            try:
                rows = unpack_reports(answer, self._context)
            except WireError:
                rows = ()
            if rows and all(row.file == name for row in rows):
                return rows
            answer = Loss.CRASH  # a reader that answers nonsense, or for another file, was taken over
        return (refuse(_refusal(answer, self._limits), self._context, name),)


def inspect_file(
    data: bytes, name: str, *, files: Limits, limits: PoolLimits = POOL_LIMITS, start: Start | None = None
) -> dict[str, Json]:
    """What a file contains, read in a worker; Refusal or ResourceLimitError where `extract` or the worker gives up."""
    with Pool[Rows](partial(_inspector, files), workers=1, limits=limits, start=start) as pool:
        (answer,) = pool.run([Task(name=name, data=data)])
    if isinstance(answer, Loss):
        raise _refusal(answer, limits)
    assert isinstance(answer, bytes)  # no item was done already
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    match found:
        case {"refused": [str(code), str(text)]}:
            raise Refusal(code, text)
        case dict() if "refused" not in found:
            return found
    raise _refusal(Loss.CRASH, limits)  # nonsense: the reader was taken over


class Refusal(Exception):
    """An error that a worker met: its stable code and its text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def _inspector(files: Limits) -> Work:
    return partial(_inspected, files)


def _inspected(files: Limits, name: str, data: bytes) -> bytes:
    from mingzheng.formats.extract import extract
    from mingzheng.verifier.inspection import inspect_extracted

    found: dict[str, Json]
    try:
        found = inspect_extracted(extract(data, limits=files), name)
    except FileTooHungryError as error:
        raise WorkerMemoryError from error
    except FormatError as error:
        found = {"refused": [error.code, str(error)]}
    return json.dumps(found).encode()


def _refusal(loss: Loss, limits: PoolLimits) -> ResourceLimitError:
    match loss:
        case Loss.WALL | Loss.CPU:
            return FileTooSlowError("seconds", limit=int(limits.wall_seconds))
        case Loss.MEMORY:
            return FileTooHungryError("memory", limit=limits.memory_bytes)
        case Loss.CRASH:
            return ReaderCrashedError("crashes", limit=0)
    assert_never(loss)


def _inherited(context: VerifyContext, recipe: Recipe) -> Work:
    """A worker that was forked has the context."""
    os.environ.setdefault("PILLOW_BLOCKS_MAX", _KEPT_BLOCKS)  # read when Pillow is loaded, with the first picture
    return partial(_work, FileJudge(context, files=recipe.files, drawn=recipe.drawn))


def _built(recipe: Recipe, fingerprint: str) -> Work:
    """A worker that was spawned builds the context again."""
    context = recipe.build()
    if context.fingerprint != fingerprint:
        raise TrustChangedError("the trust data changed while the run was under way")
    return _inherited(context, recipe)


def _work(judge: FileJudge, name: str, data: bytes) -> bytes:
    try:
        reports = judge.rows(data, name)
    except FileTooHungryError as error:
        raise WorkerMemoryError from error  # a fresh worker may have enough
    except FormatError as error:
        reports = (refuse(error, judge.ctx, name),)
    return pack_reports(reports, judge.ctx)
