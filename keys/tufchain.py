"""What follows from what in TUF metadata: from the first root to the list of trust files.

Source: The Update Framework Specification 1.0 §5.3–5.6 (client workflow), with the additions of
docs/spec/trust.md. Every step returns a new chain or raises the error that names the refusal; python-tuf goes
through the same steps beside it (`tufclient`). The same steps without clock and memory check the evidence that
a local store keeps (`open_evidence`). Left out: fetching, and keeping anything.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from mingzheng.keys.errors import TrustError
from mingzheng.keys.strictjson import Json, load_json, take_int, take_list, take_object, take_string
from mingzheng.keys.trust import TRUST_FILE
from mingzheng.keys.tuferrors import (
    TufError,
    TufExpiredError,
    TufMalformedError,
    TufMissingTargetError,
    TufMixedError,
    TufOldThresholdError,
    TufRollbackError,
    TufRootGapError,
    TufRootVersionError,
    TufThresholdError,
    TufWrongHashError,
    TufWrongLengthError,
)
from mingzheng.keys.tufmeta import (
    MAX_BYTES,
    B,
    Listed,
    RoleName,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
    parse_root,
    parse_snapshot,
    parse_targets,
    parse_timestamp,
)

EVIDENCE_VERSION: Final = 1
MAX_ROOTS: Final = 1024
MAX_EVIDENCE_BYTES: Final = 16 << 20
_EVIDENCE_KEYS: Final = ("version", "roots", "timestamp", "snapshot", "targets")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Metadata files as they came: the roots from the first, and the newest of the other roles."""

    roots: tuple[bytes, ...]
    timestamp: bytes | None = None
    snapshot: bytes | None = None
    targets: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What is proved so far. Only the functions below make it."""

    roots: tuple[Signed[Root], ...]
    timestamp: Signed[Timestamp] | None = None
    snapshot: Signed[Snapshot] | None = None
    targets: Signed[Targets] | None = None

    @property
    def root(self) -> Root:
        """The newest root."""
        return self.roots[-1].body

    def files(self) -> Targets:
        """The list of trust files, once the chain is whole."""
        assert self.targets is not None
        return self.targets.body

    def expires(self) -> int:
        """When the first of the parts expires, once the chain is whole."""
        assert self.timestamp is not None
        assert self.snapshot is not None
        assert self.targets is not None
        parts = (self.root, self.timestamp.body, self.snapshot.body, self.targets.body)
        return min(part.expires for part in parts)

    def evidence(self) -> Evidence:
        """The files again."""
        rest = [None if part is None else part.data for part in (self.timestamp, self.snapshot, self.targets)]
        roots = tuple(root.data for root in self.roots)
        return Evidence(roots=roots, timestamp=rest[0], snapshot=rest[1], targets=rest[2])


def start_chain(roots: Sequence[bytes]) -> Chain:
    """Begin with a first root, which vouches for itself, and the roots after it. Who believes it, the caller knows."""
    first = parse_root(roots[0])
    _check_threshold(first, first.body, RoleName.ROOT)
    chain = Chain(roots=(first,))
    for data in roots[1:]:
        chain = add_root(chain, data)
    return chain


def add_root(chain: Chain, data: bytes) -> Chain:
    """§5.3: the next root, signed by the threshold of its predecessor and by its own."""
    fresh = parse_root(data)
    wanted = chain.root.version + 1
    if fresh.body.version != wanted:
        raise TufRootVersionError(f"root {wanted} says that it is root {fresh.body.version}")
    role = chain.root.roles[RoleName.ROOT]
    good = len(fresh.signers(chain.root, RoleName.ROOT))
    if good < role.threshold:
        raise TufOldThresholdError(f"root {wanted}: {good} of {role.threshold} signatures of root {wanted - 1}'s keys")
    _check_threshold(fresh, fresh.body, RoleName.ROOT)
    return replace(chain, roots=(*chain.roots, fresh))


def add_timestamp(chain: Chain, data: bytes, *, seen: Evidence, now: int) -> Chain:
    """§5.4: the timestamp, not older than the one seen. At an equal version the one seen stays."""
    _check_fresh("root", chain.root.expires, now)
    fresh = parse_timestamp(data)
    _check_threshold(fresh, chain.root, RoleName.TIMESTAMP)
    old = _seen(chain, seen.timestamp, parse_timestamp, RoleName.TIMESTAMP)
    if old is not None:
        _check_not_below("timestamp", fresh.body.version, old.body.version)
        if fresh.body.version == old.body.version:
            fresh = old
        _check_not_below("snapshot", fresh.body.snapshot.version, old.body.snapshot.version)
    _check_fresh("timestamp", fresh.body.expires, now)
    return replace(chain, timestamp=fresh)


def add_snapshot(chain: Chain, data: bytes, *, seen: Evidence, now: int) -> Chain:
    """§5.5: the snapshot that the timestamp lists, in which nothing has become older; its root is at hand."""
    assert chain.timestamp is not None
    fresh = _listed(chain, data, chain.timestamp.body.snapshot, parse_snapshot, RoleName.SNAPSHOT)
    old = _seen(chain, seen.snapshot, parse_snapshot, RoleName.SNAPSHOT)
    if old is not None:
        _check_not_below("root", fresh.body.root.version, old.body.root.version)
        _check_not_below("targets", fresh.body.targets.version, old.body.targets.version)
    _check_fresh("snapshot", fresh.body.expires, now)
    _check_root_at_hand(chain, fresh.body.root)
    return replace(chain, snapshot=fresh)


def add_targets(chain: Chain, data: bytes, *, now: int) -> Chain:
    """§5.6: the targets that the snapshot lists; trust.json is among the files."""
    assert chain.snapshot is not None
    fresh = _listed(chain, data, chain.snapshot.body.targets, parse_targets, RoleName.TARGETS)
    _check_fresh("targets", fresh.body.expires, now)
    return replace(chain, targets=_with_trust(fresh))


def check_file(name: str, file: TargetFile, data: bytes) -> None:
    """§5.7: a trust file is as long as listed and has the hash listed."""
    if len(data) != file.length:
        raise TufWrongLengthError(f"{name}: {len(data)} bytes, listed with {file.length}")
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise TufWrongHashError(f"{name}: not the file that is listed")


def open_evidence(evidence: Evidence) -> Chain:
    """The whole chain, without clock: what a store keeps beside its files. Raises as the steps do."""
    chain = start_chain(evidence.roots)
    if evidence.timestamp is None or evidence.snapshot is None or evidence.targets is None:
        raise TufMalformedError("the evidence is not whole")
    timestamp = parse_timestamp(evidence.timestamp)
    _check_threshold(timestamp, chain.root, RoleName.TIMESTAMP)
    snapshot = _listed(chain, evidence.snapshot, timestamp.body.snapshot, parse_snapshot, RoleName.SNAPSHOT)
    _check_root_at_hand(chain, snapshot.body.root)
    targets = _listed(chain, evidence.targets, snapshot.body.targets, parse_targets, RoleName.TARGETS)
    return replace(chain, timestamp=timestamp, snapshot=snapshot, targets=_with_trust(targets))


def still_vouched(chain: Chain, targets: bytes | None) -> bool:
    """Are these targets, taken in earlier, signed by keys that the newest root still names?"""
    return targets is None or _seen(chain, targets, parse_targets, RoleName.TARGETS) is not None


def format_evidence(evidence: Evidence) -> bytes:
    """Evidence as one file, so that it is replaced as a whole."""
    rest = {"timestamp": evidence.timestamp, "snapshot": evidence.snapshot, "targets": evidence.targets}
    document = {"version": EVIDENCE_VERSION, "roots": [_text(root) for root in evidence.roots]}
    document |= {name: None if data is None else _text(data) for name, data in rest.items()}
    return json.dumps(document, indent=1, sort_keys=True).encode("ascii") + b"\n"


def parse_evidence(data: bytes) -> Evidence:
    """Read what `format_evidence` wrote; raises TufMalformedError."""
    try:
        fields = take_object(load_json(data), "evidence", _EVIDENCE_KEYS)
        take_int(fields["version"], "version", low=EVIDENCE_VERSION, high=EVIDENCE_VERSION)
        roots = take_list(fields["roots"], "roots", most=MAX_ROOTS)
        if not roots:
            raise TufMalformedError("evidence without a root")
        return Evidence(
            roots=tuple(_bytes(item, RoleName.ROOT) for item in roots),
            timestamp=_bytes_or_none(fields["timestamp"], RoleName.TIMESTAMP),
            snapshot=_bytes_or_none(fields["snapshot"], RoleName.SNAPSHOT),
            targets=_bytes_or_none(fields["targets"], RoleName.TARGETS),
        )
    except TufError:
        raise
    except TrustError as error:
        raise TufMalformedError(str(error)) from error


def _check_threshold(signed: Signed[B], root: Root, role: RoleName) -> None:
    good, wanted = len(signed.signers(root, role)), root.roles[role].threshold
    if good < wanted:
        raise TufThresholdError(f"{role}: {good} good signatures, {wanted} are needed")


def _check_fresh(what: str, expires: int, now: int) -> None:
    if now >= expires:
        raise TufExpiredError(f"{what} has expired")


def _check_not_below(what: str, version: int, seen: int) -> None:
    if version < seen:
        raise TufRollbackError(f"{what} {version} is older than {seen}, which was seen")


def _check_root_at_hand(chain: Chain, named: Listed) -> None:
    """A root that the snapshot names is one of ours; it may lag behind a rotation, never be ahead of it."""
    if named.version > chain.root.version:
        raise TufRootGapError(f"root {named.version} is in force, but only {chain.root.version} was found")
    for root in chain.roots:
        if root.body.version == named.version:
            _check_listed(root.data, root.body.version, named, RoleName.ROOT)


def _listed(
    chain: Chain, data: bytes, listed: Listed, parse: Callable[[bytes], Signed[B]], role: RoleName
) -> Signed[B]:
    """The file, if it is the one listed and its role's keys signed it."""
    fresh = parse(data)
    _check_listed(data, fresh.body.version, listed, role)
    _check_threshold(fresh, chain.root, role)
    return fresh


def _check_listed(data: bytes, version: int, listed: Listed, role: RoleName) -> None:
    if version != listed.version:
        raise TufMixedError(f"{role}: version {version}, listed is {listed.version}")
    if len(data) != listed.length or hashlib.sha256(data).hexdigest() != listed.sha256:
        raise TufMixedError(f"{role} {version}: not the file that is listed")


def _seen(chain: Chain, data: bytes | None, parse: Callable[[bytes], Signed[B]], role: RoleName) -> Signed[B] | None:
    """What was seen counts while the newest root still names the keys that signed it (§5.3.11)."""
    if data is None:
        return None
    try:
        old = parse(data)
        _check_threshold(old, chain.root, role)
    except TrustError:
        return None
    return old


def _with_trust(targets: Signed[Targets]) -> Signed[Targets]:
    if TRUST_FILE not in targets.body.files:
        raise TufMissingTargetError(f"the publication lists no {TRUST_FILE}")
    return targets


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(value: Json, role: RoleName) -> bytes:
    text = take_string(value, role, most=MAX_BYTES[role] * 4 // 3 + 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise TufMalformedError(f"{role}: not base64") from None


def _bytes_or_none(value: Json, role: RoleName) -> bytes | None:
    return None if value is None else _bytes(value, role)
