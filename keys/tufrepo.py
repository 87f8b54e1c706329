"""The publisher's side of trust data over TUF: roots that wait for their keepers, publications, rotation.

    metadata/   roots, targets, snapshots, timestamp.json: what mirrors serve
    targets/    the trust files, under their hashes
    staging/    roots and targets that wait for signatures

Spec: docs/spec/trust.md, "Distribution over TUF". Every step can be stopped anywhere and repeated: immutable files are
written first, timestamp.json is replaced last, after python-tuf and our own reader took the whole. Private keys are
handed in as signers; where they live is the caller's business.
"""

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mingzheng.keys.alg import PublicKey
from mingzheng.keys.durable import locked, read_file, replace_file, sync_directory
from mingzheng.keys.errors import RollbackError, StoreWriteError, TrustError
from mingzheng.keys.signer import Signer
from mingzheng.keys.trust import MAX_FILE_BYTES, TRUST_FILE, parse_trust
from mingzheng.keys.tufchain import Chain, Evidence, add_root, start_chain
from mingzheng.keys.tuferrors import (
    TufExpiredError,
    TufInForceError,
    TufMissingFileError,
    TufNoRootError,
    TufNotInstalledError,
    TufNotStagedError,
    TufSettingError,
    TufThresholdError,
    TufWrongKeyError,
)
from mingzheng.keys.tuffetch import DirectorySource, OverlaySource
from mingzheng.keys.tufmeta import (
    MAX_BYTES,
    MAX_KEYS,
    RoleKeys,
    RoleName,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
    key_id,
    keyring,
    listed,
    parse_any,
    parse_root,
    parse_snapshot,
    parse_targets,
    parse_timestamp,
    with_signatures,
    write_root,
    write_snapshot,
    write_targets,
    write_timestamp,
)

DAY: Final = 86_400
ROOT_DAYS: Final = 365
LIFE: Final[Mapping[RoleName, int]] = {
    RoleName.TARGETS: 90 * DAY,
    RoleName.SNAPSHOT: 7 * DAY,
    RoleName.TIMESTAMP: 2 * DAY,
}
METADATA: Final = "metadata"
STAGING: Final = "staging"
TIMESTAMP: Final = "metadata/timestamp.json"
_ROOT_NAME: Final = re.compile(r"([1-9][0-9]{0,8})\.root\.json", re.ASCII)
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Who holds the roles, and how many must sign."""

    root: tuple[PublicKey, ...]
    threshold: int
    targets: tuple[PublicKey, ...]
    targets_threshold: int
    online: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A file that waits for signatures, or has them. `missing`: (role of the signers, have, need)."""

    role: RoleName
    version: int
    path: Path | None  # None: in force
    missing: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication says."""

    root_version: int
    targets_version: int
    snapshot_version: int
    timestamp_version: int
    expires: int


def plan_root(holders: Holders, *, version: int, expires: int) -> Root:
    """The root that names these holders. Raises TufSettingError."""
    roles = {
        RoleName.ROOT: _role(holders.root, holders.threshold),
        RoleName.TARGETS: _role(holders.targets, holders.targets_threshold),
        RoleName.SNAPSHOT: _role((holders.online,), 1),
        RoleName.TIMESTAMP: _role((holders.online,), 1),
    }
    body = Root(
        version=version,
        expires=expires,
        keys=keyring((*holders.root, *holders.targets, holders.online)),
        roles=roles,
    )
    try:
        return parse_root(write_root(body, {})).body
    except TrustError as error:
        raise TufSettingError(str(error)) from error


def holders_of(root: Root) -> Holders:
    """Who holds the roles under a root of our making."""

    def keys(role: RoleName) -> tuple[PublicKey, ...]:
        return tuple(root.keys[keyid] for keyid in root.roles[role].keyids)

    return Holders(
        root=keys(RoleName.ROOT),
        threshold=root.roles[RoleName.ROOT].threshold,
        targets=keys(RoleName.TARGETS),
        targets_threshold=root.roles[RoleName.TARGETS].threshold,
        online=keys(RoleName.TIMESTAMP)[0],
    )


def current_root(repo: Path) -> Root:
    """The root in force. Raises TufNoRootError."""
    return _roots(repo).root


def stage_root(repo: Path, holders: Holders, *, first: bool, expires: int) -> Waiting:
    """Lay the first or the next root out for signing.

    The same holders again keep the file that waits, with the signatures it has. Raises TufInForceError for a first
    root where there is one, TufNoRootError for a next where there is none.
    """
    with _open(repo):
        chain = None if first else _roots(repo)
        if first and (repo / METADATA / "1.root.json").exists():
            raise TufInForceError("there is a first root already: use `trust rotate`")
        version = 1 if chain is None else chain.root.version + 1
        body = plan_root(holders, version=version, expires=expires)
        path = repo / STAGING / f"{version}.root.json"
        waiting = _staged(path)
        if waiting is None or not isinstance(waiting.body, Root) or replace(waiting.body, expires=expires) != body:
            replace_file(path, write_root(body, {}))
        return _advance_root(repo, path, chain)


def install(repo: Path, data: bytes) -> Waiting:
    """Take in a file that was signed elsewhere; a root comes into force when both thresholds are met.

    Raises TufNotStagedError for a file that answers nothing which waits, TufThresholdError for one whose new
    signatures are none of the role's keys.
    """
    with _open(repo):
        signed = parse_signable(data)
        role = RoleName.ROOT if isinstance(signed.body, Root) else RoleName.TARGETS
        path = repo / STAGING / f"{signed.body.version}.{role}.json"
        force = repo / METADATA / path.name
        if force.exists() and parse_any(read_file(force, cap=MAX_BYTES[role])).payload == signed.payload:
            return Waiting(role=role, version=signed.body.version, path=None, missing=())
        waiting = _staged(path)
        if waiting is None or waiting.payload != signed.payload:
            raise TufNotStagedError(f"{path.name}: not the file that waits for signatures")
        chain = None if path.name == "1.root.json" else _roots(repo)
        good = {key: signed.signatures[key] for key in _signers(signed, chain)}
        if not good:
            raise TufThresholdError("the file brings no good signature of a key that counts")
        replace_file(path, with_signatures(waiting, good))
        if role is RoleName.ROOT:
            return _advance_root(repo, path, chain)
        assert chain is not None
        return _waiting_targets(path, chain.root)


def parse_signable(data: bytes) -> Signed[Root] | Signed[Targets]:
    """A file that is signed away from the publisher; raises TufNotStagedError for a snapshot or timestamp."""
    some = parse_any(data)
    if isinstance(some.body, Root):
        return parse_root(data)
    if isinstance(some.body, Targets):
        return parse_targets(data)
    raise TufNotStagedError("only roots and targets are signed by hand")


def add_signature(signed: Signed[Root] | Signed[Targets], signer: Signer, current: Root | None) -> bytes:
    """The file with one more signature. `current`: the root in force, None for a first root.

    Raises TufWrongKeyError for a key that has no say in it.
    """
    keyid = key_id(signer.public_key)
    if keyid not in _entitled(signed, current):
        raise TufWrongKeyError("this key has no say in this file")
    return with_signatures(signed, {keyid: signer.sign(signed.payload)})


def publish(
    repo: Path, files: Mapping[str, bytes] | None, *, signers: Sequence[Signer], now: int
) -> Published | Waiting:
    """Publish trust files, or with None the same ones again under a new date.

    Needs the online key, and for new files the targets keys: below their threshold the targets wait in staging, and
    the same call later goes on. Raises RollbackError for trust data older than published, TufWrongKeyError without
    the online key, and what a verifier would raise: nothing is in force before a verifier takes it.
    """
    if files is not None:
        parse_trust(files)
    with _open(repo):
        chain = _roots(repo)
        if now >= chain.root.expires:
            raise TufExpiredError("the root has expired: rotate it first")
        old = _in_force(repo, chain)
        targets = _targets_for(repo, chain.root, old, files, signers, now)
        if isinstance(targets, Waiting):
            return targets
        for name, file in targets.body.files.items():
            if files is not None:
                _write_once(repo, target_path(name, file), files[name])
        _write_once(repo, f"{METADATA}/{targets.body.version}.targets.json", targets.data)
        snapshot = _snapshot_for(repo, chain, old, targets, signers, now)
        _write_once(repo, f"{METADATA}/{snapshot.body.version}.snapshot.json", snapshot.data)
        number = 1 if old.timestamp is None else parse_timestamp(old.timestamp).body.version + 1
        body = Timestamp(
            version=number,
            expires=now + LIFE[RoleName.TIMESTAMP],
            snapshot=listed(snapshot.data, snapshot.body.version),
        )
        timestamp = _signed(chain.root, RoleName.TIMESTAMP, parse_timestamp(write_timestamp(body, {})), signers)
        proved = _read_back(repo, timestamp, old, now)
        replace_file(repo / TIMESTAMP, timestamp)
        (repo / STAGING / f"{targets.body.version}.targets.json").unlink(missing_ok=True)
        return Published(
            root_version=chain.root.version,
            targets_version=targets.body.version,
            snapshot_version=snapshot.body.version,
            timestamp_version=number,
            expires=proved.expires(),
        )


def write_zip(repo: Path, path: Path) -> None:
    """What is in force as one ZIP file, for a USB stick; the same publication gives the same bytes."""
    with _open(repo):
        chain = _roots(repo)
        evidence = _in_force(repo, chain)
        if evidence.timestamp is None or evidence.snapshot is None or evidence.targets is None:
            raise TufMissingFileError("nothing is published yet")
        snapshot, targets = parse_snapshot(evidence.snapshot).body, parse_targets(evidence.targets).body
        names = [f"{METADATA}/{root.body.version}.root.json" for root in chain.roots]
        names += [
            f"{METADATA}/{snapshot.version}.snapshot.json",
            f"{METADATA}/{targets.version}.targets.json",
            TIMESTAMP,
        ]
        names += [target_path(name, file) for name, file in sorted(targets.files.items())]
        held, packed = DirectorySource(repo), io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), held.read(name, most=MAX_FILE_BYTES))
        try:
            replace_file(path, packed.getvalue())
        except OSError as error:
            raise StoreWriteError(f"{path.name}: {error.strerror}") from error


def target_path(name: str, file: TargetFile) -> str:
    """Where a mirror holds a trust file (specification §6.2, consistent snapshots)."""
    folder, _, last = name.rpartition("/")
    return "/".join(filter(None, ("targets", folder, f"{file.sha256}.{last}")))


def _role(keys: Sequence[PublicKey], threshold: int) -> RoleKeys:
    keyids = tuple(sorted({key_id(key) for key in keys}))
    if len(keyids) != len(keys):
        raise TufSettingError("a key is given twice")
    if not 1 <= threshold <= len(keyids) <= MAX_KEYS:
        raise TufSettingError(f"a threshold of {threshold} does not fit {len(keyids)} keys")
    return RoleKeys(keyids=keyids, threshold=threshold)


@contextlib.contextmanager
def _open(repo: Path) -> Iterator[None]:
    """The repository under its lock, its directories there."""
    try:
        for name in (METADATA, "targets", STAGING):
            (repo / name).mkdir(parents=True, exist_ok=True)
        with locked(repo):
            yield
    except OSError as error:
        raise StoreWriteError(f"not written: {error.strerror}") from error


def _roots(repo: Path) -> Chain:
    """Every root from the first, each checked by its predecessor. Raises TufNoRootError."""
    home = repo / METADATA
    names = os.listdir(home) if home.is_dir() else []
    numbers = sorted(int(match[1]) for match in map(_ROOT_NAME.fullmatch, names) if match)
    if not numbers:
        raise TufNoRootError("no root is in force here: `trust init`, then `trust sign` and `trust install`")
    return start_chain([read_file(home / f"{n}.root.json", cap=MAX_BYTES[RoleName.ROOT]) for n in numbers])


def _staged(path: Path) -> Signed[Root] | Signed[Targets] | None:
    if not path.exists():
        return None
    data = read_file(path, cap=MAX_BYTES[RoleName.TARGETS])
    return parse_root(data) if path.name.endswith(".root.json") else parse_targets(data)


def _entitled(signed: Signed[Root] | Signed[Targets], current: Root | None) -> frozenset[str]:
    """The keys whose signatures count under a file."""
    body = signed.body
    if isinstance(body, Root):
        before = () if current is None else current.roles[RoleName.ROOT].keyids
        return frozenset((*body.roles[RoleName.ROOT].keyids, *before))
    return frozenset() if current is None else frozenset(current.roles[RoleName.TARGETS].keyids)


def _signers(signed: Signed[Root] | Signed[Targets], chain: Chain | None) -> frozenset[str]:
    """The keys that have signed and count."""
    if isinstance(signed.body, Root):
        before = frozenset() if chain is None else signed.signers(chain.root, RoleName.ROOT)
        return before | signed.signers(signed.body, RoleName.ROOT)
    return frozenset() if chain is None else signed.signers(chain.root, RoleName.TARGETS)


def _advance_root(repo: Path, path: Path, chain: Chain | None) -> Waiting:
    """Put a staged root in force if it may be; say what it lacks if not."""
    data = read_file(path, cap=MAX_BYTES[RoleName.ROOT])
    signed = parse_root(data)
    missing = []
    for name, judge in (("old root", None if chain is None else chain.root), ("root", signed.body)):
        if judge is not None:
            have, need = len(signed.signers(judge, RoleName.ROOT)), judge.roles[RoleName.ROOT].threshold
            missing += [(name, have, need)] if have < need else []
    if missing:
        return Waiting(role=RoleName.ROOT, version=signed.body.version, path=path, missing=tuple(missing))
    _ = start_chain((data,)) if chain is None else add_root(chain, data)
    replace_file(repo / METADATA / path.name, data)
    path.unlink()
    return Waiting(role=RoleName.ROOT, version=signed.body.version, path=None, missing=())


def _in_force(repo: Path, chain: Chain) -> Evidence:
    """What is published, by its form only: under a new root the signatures below may not count any more."""
    roots = tuple(root.data for root in chain.roots)
    if not (repo / TIMESTAMP).exists():
        return Evidence(roots=roots)
    timestamp = read_file(repo / TIMESTAMP, cap=MAX_BYTES[RoleName.TIMESTAMP])
    number = parse_timestamp(timestamp).body.snapshot.version
    snapshot = read_file(repo / METADATA / f"{number}.snapshot.json", cap=MAX_BYTES[RoleName.SNAPSHOT])
    number = parse_snapshot(snapshot).body.targets.version
    targets = read_file(repo / METADATA / f"{number}.targets.json", cap=MAX_BYTES[RoleName.TARGETS])
    return Evidence(roots=roots, timestamp=timestamp, snapshot=snapshot, targets=targets)


def _targets_for(
    repo: Path, root: Root, old: Evidence, files: Mapping[str, bytes] | None, signers: Sequence[Signer], now: int
) -> Signed[Targets] | Waiting:
    """The targets in force if they list the same and still count, else new ones, or what those wait for."""
    before = None if old.targets is None else parse_targets(old.targets)
    if files is None and before is None:
        raise TufMissingFileError("nothing is published yet: give the trust data")
    if files is not None and before is not None:
        _check_rises(repo, before.body, files)
    wanted = _listing(files) if files is not None else before.body.files if before is not None else {}
    life, need = LIFE[RoleName.TARGETS], root.roles[RoleName.TARGETS].threshold
    if before is not None and before.body.files == wanted and before.body.expires - now > life // 2:
        good = len(before.signers(root, RoleName.TARGETS))
        if good >= need:
            return before
    version = 1 if before is None else before.body.version + 1
    path = repo / STAGING / f"{version}.targets.json"
    staged = _staged(path)
    late = staged is not None and staged.body.expires - now < life // 2
    if late or staged is None or not isinstance(staged.body, Targets) or staged.body.files != wanted:
        body = Targets(version=version, expires=now + life, files=wanted)
        replace_file(path, write_targets(body, {}))
    waiting = parse_targets(read_file(path, cap=MAX_BYTES[RoleName.TARGETS]))
    ours = {
        key_id(one.public_key): one for one in signers if key_id(one.public_key) in root.roles[RoleName.TARGETS].keyids
    }
    data = with_signatures(waiting, {keyid: one.sign(waiting.payload) for keyid, one in ours.items()})
    if data != waiting.data:
        replace_file(path, data)
    fresh = parse_targets(data)
    return fresh if len(fresh.signers(root, RoleName.TARGETS)) >= need else _waiting_targets(path, root)


def _waiting_targets(path: Path, root: Root) -> Waiting:
    signed = parse_targets(read_file(path, cap=MAX_BYTES[RoleName.TARGETS]))
    have, need = len(signed.signers(root, RoleName.TARGETS)), root.roles[RoleName.TARGETS].threshold
    missing = (("targets", have, need),) if have < need else ()
    return Waiting(role=RoleName.TARGETS, version=signed.body.version, path=path, missing=missing)


def _check_rises(repo: Path, before: Targets, files: Mapping[str, bytes]) -> None:
    """Trust data do not go back, and one generation does not mean two sets of files."""
    path = repo / target_path(TRUST_FILE, before.files[TRUST_FILE])
    last = parse_trust({TRUST_FILE: read_file(path, cap=before.files[TRUST_FILE].length)}).generation
    fresh = parse_trust(files).generation
    if fresh < last or (fresh == last and _listing(files) != before.files):
        raise RollbackError(f"generation {fresh} is not above the published {last}")


def _listing(files: Mapping[str, bytes]) -> dict[str, TargetFile]:
    entries = {name: listed(data, 1) for name, data in files.items()}
    return {name: TargetFile(length=entry.length, sha256=entry.sha256) for name, entry in entries.items()}


def _snapshot_for(
    repo: Path, chain: Chain, old: Evidence, targets: Signed[Targets], signers: Sequence[Signer], now: int
) -> Signed[Snapshot]:
    """The snapshot in force if it says the same and still counts, else a new one."""
    root, life = chain.roots[-1], LIFE[RoleName.SNAPSHOT]
    before = None if old.snapshot is None else parse_snapshot(old.snapshot)
    body = Snapshot(
        version=1 if before is None else before.body.version + 1,
        expires=now + life,
        root=listed(root.data, root.body.version),
        targets=listed(targets.data, targets.body.version),
    )
    if before is not None and before.body.expires - now > life // 2:
        same = replace(before.body, version=body.version, expires=body.expires) == body
        if same and before.signers(root.body, RoleName.SNAPSHOT):
            return before
    return parse_snapshot(_signed(root.body, RoleName.SNAPSHOT, parse_snapshot(write_snapshot(body, {})), signers))


def _signed(
    root: Root, role: RoleName, waiting: Signed[Snapshot] | Signed[Timestamp], signers: Sequence[Signer]
) -> bytes:
    """The file with the online key's signature."""
    for one in signers:
        keyid = key_id(one.public_key)
        if keyid in root.roles[role].keyids:
            return with_signatures(waiting, {keyid: one.sign(waiting.payload)})
    raise TufWrongKeyError("the online key that the root in force names is needed")


def _write_once(repo: Path, name: str, data: bytes) -> None:
    """A file under a name that is never used for anything else; one that a stopped run left is replaced."""
    path = repo / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != data:
        replace_file(path, data)
        for folder in path.parent.relative_to(repo).parents:  # a stopped run may have made them
            sync_directory(repo / folder)


def _read_back(repo: Path, timestamp: bytes, old: Evidence, now: int) -> Chain:
    """What a verifier makes of it who has followed so far."""
    try:
        from mingzheng.keys.tufclient import check_publication
    except ImportError as error:
        raise TufNotInstalledError("the TUF library is needed to publish: install mingzheng[trust]") from error
    return check_publication(OverlaySource({TIMESTAMP: timestamp}, DirectorySource(repo)), old, now=now)
