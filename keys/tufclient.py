"""Bring a trust store forward from a publication: python-tuf's updater, watched by our own strict reader.

Source: The Update Framework Specification 1.0 §5, docs/spec/trust.md, "Update". Each metadata file goes through
`tufchain`, which names a refusal, before python-tuf sees it; both must accept, and neither can overrule the other.
python-tuf works in a temporary directory; what it has accepted is remembered in the store's SEEN whatever happens
then, and the store changes only when every file is there. Left out: delegations, and caching for other clients.
"""

import contextlib
import datetime
import io
import tempfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final, assert_never

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from mingzheng.keys.errors import StoreMissingError
from mingzheng.keys.snapshot import StoredTrust, StoreWriter, check_generation, load_store, writing
from mingzheng.keys.trust import fingerprint, parse_trust
from mingzheng.keys.tufchain import (
    MAX_ROOTS,
    Chain,
    Evidence,
    add_root,
    add_snapshot,
    add_targets,
    add_timestamp,
    check_file,
    start_chain,
    still_vouched,
)
from mingzheng.keys.tuferrors import (
    TufClockError,
    TufEndlessError,
    TufError,
    TufMissingFileError,
    TufNoRootError,
    TufRefusedError,
    TufRootUnknownError,
    TufWrongLengthError,
)
from mingzheng.keys.tuffetch import Source
from mingzheng.keys.tufmeta import MAX_BYTES, RoleName, TargetFile, parse_root, parse_timestamp

MAX_NEW_ROOTS: Final = 64
CLOCK_SLACK: Final = 300  # seconds that two honest clocks may differ
METADATA: Final = "metadata/"
TARGETS: Final = "targets/"
_HISTORY: Final = "root_history"
_LOCAL: Final = (RoleName.TIMESTAMP, RoleName.SNAPSHOT, RoleName.TARGETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRoot:
    """The first root somebody vouches for: the file itself, or its fingerprint (64 hexadecimal digits)."""

    data: bytes | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What an update did."""

    changed: bool  # the files in force are others than before
    generation: int
    fingerprint: str
    first_root: str
    root_version: int
    expires: int  # of the first part to expire


def update_store(directory: Path, source: Source, *, first: FirstRoot | None, pins: Set[str], now: int) -> Updated:
    """Make the publication at `source` the store's generation in force. `now`: seconds; `pins`: roots believed here.

    Raises TufError with the code that says why not, TrustError for trust data that are refused as such; the store
    then holds what it held.
    """
    with writing(directory) as writer:
        stored = _stored(directory, pins)
        if stored is not None and stored.signed_by_tuf:
            _check_clock(now, stored.data.made_at)
        seen = _memory(writer, stored, pins)
        roots = _first_roots(source, first, seen, pins)
        evidence = Evidence(roots=roots) if seen is None else replace(seen, roots=roots)
        with _working(source, evidence, now, writer) as work:
            chain = work.refresh()
            files = work.files(chain, known={} if stored is None else stored.files)
        data = parse_trust(files)
        _check_clock(now, data.made_at)
        old = None if stored is None or stored.evidence is None else stored.evidence.targets
        changed = check_generation(directory, files, may_fall=not still_vouched(chain, old))
        if changed:
            writer.put(files, evidence=chain.evidence())
        else:
            writer.sign(data.generation, chain.evidence())
    return Updated(
        changed=changed,
        generation=data.generation,
        fingerprint=fingerprint(files),
        first_root=chain.roots[0].fingerprint,
        root_version=chain.root.version,
        expires=chain.expires(),
    )


def check_publication(source: Source, evidence: Evidence, *, now: int) -> Chain:
    """Read a publication as a verifier would who holds `evidence`, and keep nothing. Raises as `update_store`."""
    with _working(source, evidence, now, None) as work:
        chain = work.refresh()
        _check_clock(now, parse_trust(work.files(chain, known={})).made_at)
    return chain


class _Work:
    """One run of python-tuf's updater in a directory of its own."""

    def __init__(self, place: Path, source: Source, evidence: Evidence, now: int) -> None:
        self._place, self._source, self._evidence, self._now = place, source, evidence, now
        self._first = parse_root(evidence.roots[0]).body.version
        self.fetcher = _Watched(source, evidence, now)

    def refresh(self) -> Chain:
        """Metadata from the first root to the targets, each accepted by both."""
        _seed(self._place, self._first, self._evidence)
        config = UpdaterConfig(
            max_root_rotations=len(self._evidence.roots) - 1 + MAX_NEW_ROOTS,  # it counts those at hand, too
            root_max_length=MAX_BYTES[RoleName.ROOT],
            timestamp_max_length=MAX_BYTES[RoleName.TIMESTAMP],
            snapshot_max_length=MAX_BYTES[RoleName.SNAPSHOT],
            targets_max_length=MAX_BYTES[RoleName.TARGETS],
        )
        with _named():
            self._updater = Updater(
                str(self._place),
                METADATA,
                target_dir=str(self._place / "files"),
                target_base_url=TARGETS,
                fetcher=self.fetcher,
                config=config,
                bootstrap=self._evidence.roots[0],
            )
            # The updater reads the clock itself; ours was read once, at the edge. It offers no other way (7.0.1).
            self._updater._trusted_set.reference_time = datetime.datetime.fromtimestamp(self._now, datetime.UTC)
            self._updater.refresh()
        # Once more from what it keeps: parts that it had no need to fetch are looked at by the same clock.
        self.fetcher.chain = self._replay(self.accepted())
        return self.fetcher.chain

    def files(self, chain: Chain, *, known: Mapping[str, bytes]) -> dict[str, bytes]:
        """Every file listed; what is `known` already is not fetched."""
        files = {}
        for name, listed in chain.files().files.items():
            files[name] = self._held(name, listed, known) or self._download(name)
        return files

    def accepted(self) -> Evidence:
        """The metadata that python-tuf has accepted so far, as it lies in its directory."""
        roots = list(self._evidence.roots)
        while (path := self._place / _HISTORY / f"{self._first + len(roots)}.root.json").is_file():
            roots.append(path.read_bytes())
        rest = {role: _read(self._place / f"{role}.json") for role in _LOCAL}
        return Evidence(
            roots=tuple(roots),
            timestamp=rest[RoleName.TIMESTAMP],
            snapshot=rest[RoleName.SNAPSHOT],
            targets=rest[RoleName.TARGETS],
        )

    def _replay(self, kept: Evidence) -> Chain:
        assert kept.timestamp is not None
        assert kept.snapshot is not None
        assert kept.targets is not None
        chain = start_chain(kept.roots)
        chain = add_timestamp(chain, kept.timestamp, seen=self._evidence, now=self._now)
        chain = add_snapshot(chain, kept.snapshot, seen=self._evidence, now=self._now)
        return add_targets(chain, kept.targets, now=self._now)

    def _held(self, name: str, listed: TargetFile, known: Mapping[str, bytes]) -> bytes | None:
        data = known.get(name)
        if data is not None:
            with contextlib.suppress(TufError):
                check_file(name, listed, data)
                return data
        return None

    def _download(self, name: str) -> bytes:
        with _named():
            info = self._updater.get_targetinfo(name)
            assert info is not None  # both have read the same targets, and there are no delegations
            return Path(self._updater.download_target(info)).read_bytes()


class _Watched(FetcherInterface):
    """Fetches for python-tuf from a source, and lets our own reader look first."""

    def __init__(self, source: Source, seen: Evidence, now: int) -> None:
        self._source, self._seen, self._now = source, seen, now
        self.chain = start_chain(seen.roots)

    @contextlib.contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """The file at `url`, of at most `max_length` bytes."""
        look = self._target if url.startswith(TARGETS) else self._metadata
        yield io.BytesIO(look(url, max_length))

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Not used: without a limit nothing is read."""
        raise DownloadError(f"{url}: no limit given")

    def _target(self, url: str, most: int) -> bytes:
        folder, _, last = url.removeprefix(TARGETS).rpartition("/")
        name = f"{folder}/{last.partition('.')[2]}".removeprefix("/")
        try:
            data = self._source.read(url, most=most)
        except TufEndlessError as error:
            raise TufWrongLengthError(str(error)) from error
        check_file(name, self.chain.files().files[name], data)
        return data

    def _metadata(self, url: str, most: int) -> bytes:
        role = RoleName(url.removesuffix(".json").rpartition("/")[2].rpartition(".")[2])
        try:
            data = self._source.read(url, most=most)
        except TufMissingFileError as error:
            if role is RoleName.ROOT:  # there is no newer root
                raise DownloadHTTPError(str(error), 404) from error
            raise
        self.chain = self._step(role, data)
        return data

    def _step(self, role: RoleName, data: bytes) -> Chain:
        seen, now = self._seen, self._now
        match role:
            case RoleName.ROOT:
                return add_root(self.chain, data)
            case RoleName.TIMESTAMP:
                return add_timestamp(self.chain, data, seen=seen, now=now)
            case RoleName.SNAPSHOT:
                return add_snapshot(self.chain, data, seen=seen, now=now)
            case RoleName.TARGETS:
                if self.chain.snapshot is None:  # python-tuf found the one seen still good
                    assert seen.snapshot is not None
                    self.chain = add_snapshot(self.chain, seen.snapshot, seen=seen, now=now)
                return add_targets(self.chain, data, now=now)
            case _:
                assert_never(role)


@contextlib.contextmanager
def _working(source: Source, evidence: Evidence, now: int, writer: StoreWriter | None) -> Iterator[_Work]:
    """A run whose accepted metadata are remembered whatever becomes of it."""
    with tempfile.TemporaryDirectory(prefix="mingzheng-") as place:
        work = _Work(Path(place), source, evidence, now)
        try:
            yield work
        finally:
            if writer is not None:
                writer.remember(work.accepted())


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """What python-tuf refuses although our own reader took it."""
    try:
        yield
    except (RepositoryError, DownloadError) as error:
        raise TufRefusedError(f"{type(error).__name__}: {error}") from error


def _stored(directory: Path, pins: Set[str]) -> StoredTrust | None:
    try:
        return load_store(directory, pins=pins)
    except StoreMissingError:
        return None


def _memory(writer: StoreWriter, stored: StoredTrust | None, pins: Set[str]) -> Evidence | None:
    """The newest that was seen: SEEN, or, should that be lost, older or of another root, the evidence in force."""
    found = [] if stored is None or stored.evidence is None else [stored.evidence]
    with contextlib.suppress(TufError):
        seen = writer.seen()
        if seen is not None:
            start_chain(seen.roots)
            found.append(seen)
    return max(found, key=lambda evidence: (_first_of(evidence) in pins, *_age(evidence)), default=None)


def _first_of(evidence: Evidence) -> str:
    return parse_root(evidence.roots[0]).fingerprint


def _age(evidence: Evidence) -> tuple[int, int]:
    """Root and timestamp version: what is higher was seen later."""
    version = 0
    if evidence.timestamp is not None:
        with contextlib.suppress(TufError):
            version = parse_timestamp(evidence.timestamp).body.version
    return parse_root(evidence.roots[-1]).body.version, version


def _first_roots(source: Source, first: FirstRoot | None, seen: Evidence | None, pins: Set[str]) -> tuple[bytes, ...]:
    """The roots to begin with: those seen, if their first is believed; else from the one that is given.

    Roots before the one somebody vouches for are dropped: whoever made them may have named its keys beside his own.
    """
    have = [] if seen is None else [parse_root(root).fingerprint for root in seen.roots]
    if first is None:
        if seen is None:
            raise TufNoRootError("no first root is known: give its file or fingerprint")
        if have[0] not in pins:
            raise TufRootUnknownError("the store's first root is not pinned on this machine: give its fingerprint")
        return seen.roots
    data = _given(source, first)
    given = parse_root(data).fingerprint
    if seen is not None and given in have:
        return seen.roots if have[0] in pins else seen.roots[have.index(given) :]
    return (data,)


def _given(source: Source, first: FirstRoot) -> bytes:
    """The first root that somebody vouches for; by its fingerprint it is looked for at the mirror."""
    if first.data is not None:
        return start_chain((first.data,)).roots[0].data
    for version in range(1, MAX_ROOTS + 1):
        try:
            data = source.read(f"{METADATA}{version}.root.json", most=MAX_BYTES[RoleName.ROOT])
        except TufMissingFileError:
            break
        if parse_root(data).fingerprint == first.fingerprint:
            return data
    raise TufRootUnknownError("the mirror holds no root of the fingerprint given")


def _check_clock(now: int, made_at: int) -> None:
    if now < made_at - CLOCK_SLACK:
        raise TufClockError("this machine's clock is behind the trust data")


def _seed(place: Path, first: int, evidence: Evidence) -> None:
    """Lay out what was seen where python-tuf looks for it."""
    (place / _HISTORY).mkdir()
    (place / "files").mkdir()
    for number, root in enumerate(evidence.roots, start=first):
        (place / _HISTORY / f"{number}.root.json").write_bytes(root)
    parts = zip(_LOCAL, (evidence.timestamp, evidence.snapshot, evidence.targets), strict=True)
    for role, data in parts:
        if data is not None:
            (place / f"{role}.json").write_bytes(data)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
