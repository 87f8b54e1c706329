"""A publication of trust data in memory, with every key at hand: honest by default, forged on demand.

Keys are fixed (Ed25519 seeds), times are given, nothing is read from disk. `World.files` is what a mirror would hold;
a test changes it, or changes a part and signs it again.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence

from mingzheng.keys.alg import Alg
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.tufchain import Evidence
from mingzheng.keys.tufmeta import (
    Body,
    Listed,
    RoleKeys,
    RoleName,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
    canonical,
    key_id,
    keyring,
    listed,
    write_root,
    write_snapshot,
    write_targets,
    write_timestamp,
)

NOW = 1_790_000_000
DAY = 86_400
LIFE = {RoleName.ROOT: 365 * DAY, RoleName.TARGETS: 90 * DAY, RoleName.SNAPSHOT: 7 * DAY, RoleName.TIMESTAMP: 2 * DAY}


def signer(fill: int) -> InMemorySigner:
    """A key from one byte."""
    return InMemorySigner.from_private_bytes(Alg.ED25519, bytes([fill]) * 32)


ALICE, BOB, CAROL, DAVE, EVE = (signer(fill) for fill in (101, 102, 103, 104, 105))
RELEASE, ONLINE, RELEASE2, ONLINE2, THIEF = (signer(fill) for fill in (111, 112, 113, 114, 199))


def trust_files(*, generation: int, made_at: int = NOW, extra: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """The smallest trust data, and what else is wanted."""
    document = {
        "version": 1,
        "generation": generation,
        "made_at": made_at,
        "quorum": None,
        "issuers": [],
        "origins": [],
        "keys": [],
    }
    return {"trust.json": json.dumps(document).encode(), **(extra or {})}


def signed(body: Body, signers: Sequence[InMemorySigner]) -> bytes:
    """A metadata file with these signatures, whoever they are."""
    write = {Root: write_root, Timestamp: write_timestamp, Snapshot: write_snapshot, Targets: write_targets}[type(body)]
    payload = canonical(json.loads(write(body, {}))["signed"])  # type: ignore[operator]
    return write(body, {key_id(one.public_key): one.sign(payload) for one in signers})  # type: ignore[operator]


def resigned(data: bytes, signers: Sequence[InMemorySigner], **changes: object) -> bytes:
    """A metadata file with fields of its signed part changed (None: taken out) and signed again."""
    part = json.loads(data)["signed"]
    for name, value in changes.items():
        part.pop(name, None)
        if value is not None:
            part[name] = value
    signatures = [{"keyid": key_id(one.public_key), "sig": one.sign(canonical(part)).hex()} for one in signers]
    document = {"signatures": signatures, "signed": part}
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def make_root(
    version: int,
    *,
    root: Sequence[InMemorySigner] = (ALICE, BOB, CAROL),
    threshold: int = 2,
    targets: Sequence[InMemorySigner] = (RELEASE,),
    targets_threshold: int = 1,
    online: InMemorySigner = ONLINE,
    expires: int = NOW + LIFE[RoleName.ROOT],
) -> Root:
    """A root body."""
    holders = {
        RoleName.ROOT: (root, threshold),
        RoleName.TARGETS: (targets, targets_threshold),
        RoleName.SNAPSHOT: ((online,), 1),
        RoleName.TIMESTAMP: ((online,), 1),
    }
    roles = {
        role: RoleKeys(keyids=tuple(sorted(key_id(one.public_key) for one in who)), threshold=many)
        for role, (who, many) in holders.items()
    }
    keys = keyring(one.public_key for who, _ in holders.values() for one in who)
    return Root(version=version, expires=expires, keys=keys, roles=roles)


class World:
    """A publisher and its mirror. `files`: path -> bytes, what a client may fetch."""

    def __init__(self) -> None:
        self.now = NOW
        self.files: dict[str, bytes] = {}
        self.root = make_root(1)
        self.online, self.release = ONLINE, (RELEASE,)
        self.versions = dict.fromkeys(RoleName, 0)
        self.add_root(self.root, [ALICE, BOB])
        self.publish(trust_files(generation=1))

    @property
    def first(self) -> bytes:
        """The first root, as it would be handed over."""
        return self.files["metadata/1.root.json"]

    def add_root(self, body: Root, signers: Sequence[InMemorySigner]) -> bytes:
        """Put a root at the mirror under its own number."""
        self.root, data = body, signed(body, signers)
        self.versions[RoleName.ROOT] = body.version
        self.files[f"metadata/{body.version}.root.json"] = data
        return data

    def rotate(self, signers: Sequence[InMemorySigner] = (ALICE, BOB), **changes: object) -> bytes:
        """The next root."""
        return self.add_root(make_root(self.root.version + 1, **changes), signers)  # type: ignore[arg-type]

    def publish(self, trust: Mapping[str, bytes]) -> None:
        """Trust files and everything above them."""
        self.trust = dict(trust)
        for name, data in trust.items():
            self.files[target_path(name, data)] = data
        files = {n: TargetFile(length=len(d), sha256=hashlib.sha256(d).hexdigest()) for n, d in trust.items()}
        version, expires = self._next(RoleName.TARGETS), self._until(RoleName.TARGETS)
        self.put_targets(Targets(version=version, expires=expires, files=files))

    def put_targets(self, body: Targets) -> None:
        """These targets, listed by a new snapshot."""
        self.targets = signed(body, self.release)
        self.files[f"metadata/{body.version}.targets.json"] = self.targets
        self.put_snapshot(targets=listed(self.targets, body.version))

    def put_snapshot(self, *, targets: Listed, root: Listed | None = None, **changes: int) -> None:
        """A snapshot that lists these, listed by a new timestamp."""
        newest = self.files[f"metadata/{self.root.version}.root.json"]
        body = Snapshot(
            version=self._next(RoleName.SNAPSHOT),
            expires=self._until(RoleName.SNAPSHOT),
            root=root or listed(newest, self.root.version),
            targets=targets,
        )
        body = dataclasses.replace(body, **changes)
        self.versions[RoleName.SNAPSHOT] = body.version
        self.snapshot = signed(body, [self.online])
        self.files[f"metadata/{body.version}.snapshot.json"] = self.snapshot
        self.put_timestamp(snapshot=listed(self.snapshot, body.version))

    def put_timestamp(self, *, snapshot: Listed | None = None, **changes: int) -> None:
        """A timestamp that lists this snapshot (by default the newest)."""
        snapshot = snapshot or listed(self.snapshot, self.versions[RoleName.SNAPSHOT])
        version, expires = self._next(RoleName.TIMESTAMP), self._until(RoleName.TIMESTAMP)
        body = dataclasses.replace(Timestamp(version=version, expires=expires, snapshot=snapshot), **changes)
        self.versions[RoleName.TIMESTAMP] = body.version
        self.files["metadata/timestamp.json"] = signed(body, [self.online])

    def evidence(self) -> Evidence:
        """What a client holds that has come to the end."""
        roots = tuple(self.files[f"metadata/{n}.root.json"] for n in range(1, self.root.version + 1))
        timestamp = self.files["metadata/timestamp.json"]
        return Evidence(roots=roots, timestamp=timestamp, snapshot=self.snapshot, targets=self.targets)

    def _next(self, role: RoleName) -> int:
        self.versions[role] += 1
        return self.versions[role]

    def _until(self, role: RoleName) -> int:
        return self.now + LIFE[role]


def target_path(name: str, data: bytes) -> str:
    """Where a mirror holds a trust file."""
    folder, _, last = name.rpartition("/")
    return "targets/" + "/".join(filter(None, (folder, f"{hashlib.sha256(data).hexdigest()}.{last}")))
