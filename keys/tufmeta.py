"""TUF metadata, strictly: parse, write, and the bytes that are signed.

Source: The Update Framework Specification 1.0 §4 (file formats), narrowed as docs/spec/trust.md says: Ed25519
keys only, consistent snapshots, no delegations, no unknown fields, `root.json` listed in the snapshot.
Signatures are over canonical JSON (OLPC: sorted keys, no white space, only `"` and `\\` escaped). Times are
seconds since the epoch. Left out: what follows from what, see `tufchain`.
"""

import datetime
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeAlias, TypeVar, assert_never

from mingzheng.keys.alg import Alg, PublicKey, parse_public_key, spki_of_raw, verify
from mingzheng.keys.errors import BadSpkiError, KeySharedError, SignatureInvalidError, TrustError, WeakKeyError
from mingzheng.keys.strictjson import Json, load_json, take_hex, take_int, take_list, take_object, take_string
from mingzheng.keys.trust import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, check_blob_name
from mingzheng.keys.tuferrors import TufError, TufMalformedError, TufSpecVersionError, TufWrongRoleError

SPEC_VERSION: Final = "1.0.31"
MAX_VERSION: Final = 2**53 - 1
MAX_KEYS: Final = 32
MAX_SIGNATURES: Final = 64
ROOT_FILE: Final = "root.json"
SNAPSHOT_FILE: Final = "snapshot.json"
TARGETS_FILE: Final = "targets.json"

_SPEC: Final = re.compile(r"1\.0(?:\.[0-9]{1,4})?", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)


class RoleName(StrEnum):
    """The four top-level roles."""

    ROOT = "root"
    TARGETS = "targets"
    SNAPSHOT = "snapshot"
    TIMESTAMP = "timestamp"


MAX_BYTES: Final[Mapping[RoleName, int]] = {
    RoleName.ROOT: 65_536,
    RoleName.TARGETS: 2 << 20,
    RoleName.SNAPSHOT: 16_384,
    RoleName.TIMESTAMP: 16_384,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKeys:
    """Who signs for a role, and how many of them must."""

    keyids: tuple[str, ...]  # sorted
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Which keys hold which role."""

    version: int
    expires: int
    keys: Mapping[str, PublicKey]
    roles: Mapping[RoleName, RoleKeys]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A metadata file as the level above lists it."""

    version: int
    length: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFile:
    """A trust file as targets lists it."""

    length: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """Which snapshot is the present one."""

    version: int
    expires: int
    snapshot: Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Which root and targets belong together."""

    version: int
    expires: int
    root: Listed
    targets: Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Every trust file, by name."""

    version: int
    expires: int
    files: Mapping[str, TargetFile]

    def listing(self) -> bytes:
        """The manifest of these files: its SHA-256 is the fingerprint of the trust data."""
        return "".join(f"{self.files[name].sha256}  {name}\n" for name in sorted(self.files)).encode()


Body: TypeAlias = Root | Timestamp | Snapshot | Targets
B = TypeVar("B", bound=Body)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Generic[B]):
    """A metadata file that is well formed; nothing is said about its signatures."""

    body: B
    payload: bytes  # what is signed
    signatures: Mapping[str, bytes]  # by key id
    data: bytes  # the file

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits over the signed part: the same whoever has signed so far."""
        return hashlib.sha256(self.payload).hexdigest()

    def signers(self, root: Root, role: RoleName) -> frozenset[str]:
        """The keys of `role` in `root` whose signatures are good. Others are not looked at."""
        return frozenset(keyid for keyid in root.roles[role].keyids if self._signed_by(keyid, root.keys[keyid]))

    def _signed_by(self, keyid: str, key: PublicKey) -> bool:
        if keyid not in self.signatures:
            return False
        try:
            verify(key, signature=self.signatures[keyid], message=self.payload)
        except SignatureInvalidError:
            return False
        return True


AnySigned: TypeAlias = Signed[Root] | Signed[Targets] | Signed[Snapshot] | Signed[Timestamp]


def parse_root(data: bytes) -> Signed[Root]:
    """Parse a root. Raises TufMalformedError, TufSpecVersionError, TufWrongRoleError, KeySharedError."""
    return _parse(data, RoleName.ROOT, ("keys", "roles", "consistent_snapshot"), _take_root)


def parse_timestamp(data: bytes) -> Signed[Timestamp]:
    """Parse a timestamp. Raises as `parse_root`."""
    return _parse(data, RoleName.TIMESTAMP, ("meta",), _take_timestamp)


def parse_snapshot(data: bytes) -> Signed[Snapshot]:
    """Parse a snapshot. Raises as `parse_root`."""
    return _parse(data, RoleName.SNAPSHOT, ("meta",), _take_snapshot)


def parse_targets(data: bytes) -> Signed[Targets]:
    """Parse targets. Raises as `parse_root`, and BadBlobNameError for a name no store would take."""
    return _parse(data, RoleName.TARGETS, ("targets",), _take_targets)


def parse_any(data: bytes) -> AnySigned:
    """Parse a file of whichever role it says it is."""
    if len(data) > max(MAX_BYTES.values()):
        raise TufMalformedError("no metadata file is that long")
    role = _guarded(lambda: _role_of(load_json(data)))
    match role:
        case RoleName.ROOT:
            return parse_root(data)
        case RoleName.TARGETS:
            return parse_targets(data)
        case RoleName.SNAPSHOT:
            return parse_snapshot(data)
        case RoleName.TIMESTAMP:
            return parse_timestamp(data)
        case _:
            assert_never(role)


def write_root(body: Root, signatures: Mapping[str, bytes]) -> bytes:
    """A root as a file."""
    return _write(RoleName.ROOT, body, signatures, _root_json(body))


def write_timestamp(body: Timestamp, signatures: Mapping[str, bytes]) -> bytes:
    """A timestamp as a file."""
    return _write(RoleName.TIMESTAMP, body, signatures, {"meta": {SNAPSHOT_FILE: _listed_json(body.snapshot)}})


def write_snapshot(body: Snapshot, signatures: Mapping[str, bytes]) -> bytes:
    """A snapshot as a file."""
    meta: Json = {ROOT_FILE: _listed_json(body.root), TARGETS_FILE: _listed_json(body.targets)}
    return _write(RoleName.SNAPSHOT, body, signatures, {"meta": meta})


def write_targets(body: Targets, signatures: Mapping[str, bytes]) -> bytes:
    """Targets as a file."""
    files: Json = {n: {"hashes": {"sha256": f.sha256}, "length": f.length} for n, f in body.files.items()}
    return _write(RoleName.TARGETS, body, signatures, {"targets": files})


def with_signatures(signed: AnySigned, more: Mapping[str, bytes]) -> bytes:
    """The file with signatures added; those it has stay."""
    top = load_json(signed.data)
    assert isinstance(top, dict)
    return _file(top["signed"], {**more, **signed.signatures})


def listed(data: bytes, version: int) -> Listed:
    """How the level above lists a metadata file."""
    return Listed(version=version, length=len(data), sha256=hashlib.sha256(data).hexdigest())


def canonical(value: Json) -> bytes:
    """The bytes that are signed (specification §4.2: canonical JSON)."""
    return _canonical(value).encode("utf-8")


def key_json(key: PublicKey) -> dict[str, Json]:
    """A public key as metadata holds it."""
    return {"keytype": "ed25519", "keyval": {"public": key.raw().hex()}, "scheme": "ed25519"}


def key_id(key: PublicKey) -> str:
    """SHA-256 over the key's canonical JSON (specification §4.2)."""
    return hashlib.sha256(canonical(key_json(key))).hexdigest()


def write_public_key(key: PublicKey) -> bytes:
    """A public key as a file to hand over."""
    return canonical(key_json(key)) + b"\n"


def parse_public_key_file(data: bytes) -> PublicKey:
    """Read what `write_public_key` wrote; raises TufMalformedError."""
    return _guarded(lambda: _take_key(load_json(data[:4096]), "key"))


def _parse(data: bytes, role: RoleName, keys: tuple[str, ...], take: Callable[[dict[str, Json], str], B]) -> Signed[B]:
    if len(data) > MAX_BYTES[role]:
        raise TufMalformedError(f"{role}: {len(data)} bytes, cap is {MAX_BYTES[role]}")

    def read() -> Signed[B]:
        top = load_json(data)
        found = _role_of(top)
        if found is not role:
            raise TufWrongRoleError(f"{found} where {role} was expected")
        assert isinstance(top, dict)
        take_object(top, role, ("signatures", "signed"))
        fields = take_object(top["signed"], role, ("_type", "spec_version", "version", "expires", *keys))
        signatures = _take_signatures(top["signatures"], role)
        return Signed(body=take(fields, role), payload=canonical(fields), signatures=signatures, data=bytes(data))

    return _guarded(read)


def _guarded(read: Callable[[], _T]) -> _T:
    """Faults of form become TufMalformedError; a key of two roles and a bad file name keep their own codes."""
    try:
        return read()
    except (TufError, KeySharedError):
        raise
    except (BadSpkiError, WeakKeyError) as error:
        raise TufMalformedError(f"a key is no Ed25519 key: {error}") from error
    except TrustError as error:
        if error.code == "trust.malformed":
            raise TufMalformedError(str(error)) from error
        raise


def _role_of(top: Json) -> RoleName:
    """The role a file says it has; its version of the specification is looked at first."""
    signed = top.get("signed") if isinstance(top, dict) else None
    if not isinstance(signed, dict) or "_type" not in signed or "spec_version" not in signed:
        raise TufMalformedError("not a metadata file")
    spec = take_string(signed["spec_version"], "spec_version", most=32)
    if not _SPEC.fullmatch(spec):
        raise TufSpecVersionError("metadata is not of version 1.0 of the specification")
    try:
        return RoleName(take_string(signed["_type"], "_type", most=32))
    except ValueError:
        raise TufMalformedError("metadata is of no top-level role") from None


def _take_signatures(value: Json, where: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in take_list(value, f"{where}: signatures", most=MAX_SIGNATURES):
        fields = take_object(item, f"{where}: signature", ("keyid", "sig"))
        keyid = take_hex(fields["keyid"], f"{where}: keyid", size=32).hex()
        if keyid in found:
            raise TufMalformedError(f"{where}: two signatures of one key")
        found[keyid] = take_hex(fields["sig"], f"{where}: sig", size=64)
    return found


def _take_root(fields: dict[str, Json], where: str) -> Root:
    if fields["consistent_snapshot"] is not True:
        raise TufMalformedError(f"{where}: consistent_snapshot is not true")
    keys = _take_keys(fields["keys"], where)
    roles = take_object(fields["roles"], f"{where}: roles", tuple(RoleName))
    taken = {role: _take_role(roles[role], f"{where}: {role}") for role in RoleName}
    used = [keyid for role in taken.values() for keyid in role.keyids]
    if set(used) != set(keys):
        raise TufMalformedError(f"{where}: the keys are not those the roles name")
    _check_apart(taken)
    version, expires = _take_head(fields, where)
    return Root(version=version, expires=expires, keys=keys, roles=taken)


def _take_keys(value: Json, where: str) -> dict[str, PublicKey]:
    if not isinstance(value, dict) or len(value) > 3 * MAX_KEYS:
        raise TufMalformedError(f"{where}: keys: expected an object of few keys")
    keys = {keyid: _take_key(item, f"{where}: key") for keyid, item in value.items()}
    if any(key_id(key) != keyid for keyid, key in keys.items()):
        raise TufMalformedError(f"{where}: a key id is not the hash of its key")
    return keys


def _take_key(value: Json, where: str) -> PublicKey:
    fields = take_object(value, where, ("keytype", "keyval", "scheme"))
    if fields["keytype"] != "ed25519" or fields["scheme"] != "ed25519":
        raise TufMalformedError(f"{where}: not an Ed25519 key")
    raw = take_hex(take_object(fields["keyval"], where, ("public",))["public"], where, size=32)
    return parse_public_key(spki_of_raw(raw, alg=Alg.ED25519), alg=Alg.ED25519)


def _take_role(value: Json, where: str) -> RoleKeys:
    fields = take_object(value, where, ("keyids", "threshold"))
    items = take_list(fields["keyids"], f"{where}: keyids", most=MAX_KEYS)
    keyids = [take_hex(item, f"{where}: keyid", size=32).hex() for item in items]
    if len(set(keyids)) != len(keyids):
        raise TufMalformedError(f"{where}: a key is named twice")
    threshold = take_int(fields["threshold"], f"{where}: threshold", low=1, high=len(keyids))  # so one key at least
    return RoleKeys(keyids=tuple(sorted(keyids)), threshold=threshold)


def _check_apart(roles: Mapping[RoleName, RoleKeys]) -> None:
    """A root key does nothing else; a targets key neither. Snapshot and timestamp may share one."""
    root, targets = set(roles[RoleName.ROOT].keyids), set(roles[RoleName.TARGETS].keyids)
    online = {*roles[RoleName.SNAPSHOT].keyids, *roles[RoleName.TIMESTAMP].keyids}
    if root & targets or (root | targets) & online:
        raise KeySharedError("one key holds two roles that must be apart")


def _take_timestamp(fields: dict[str, Json], where: str) -> Timestamp:
    meta = take_object(fields["meta"], f"{where}: meta", (SNAPSHOT_FILE,))
    version, expires = _take_head(fields, where)
    snapshot = _take_listed(meta[SNAPSHOT_FILE], where, RoleName.SNAPSHOT)
    return Timestamp(version=version, expires=expires, snapshot=snapshot)


def _take_snapshot(fields: dict[str, Json], where: str) -> Snapshot:
    meta = take_object(fields["meta"], f"{where}: meta", (ROOT_FILE, TARGETS_FILE))
    version, expires = _take_head(fields, where)
    return Snapshot(
        version=version,
        expires=expires,
        root=_take_listed(meta[ROOT_FILE], where, RoleName.ROOT),
        targets=_take_listed(meta[TARGETS_FILE], where, RoleName.TARGETS),
    )


def _take_targets(fields: dict[str, Json], where: str) -> Targets:
    value = fields["targets"]
    if not isinstance(value, dict) or len(value) > MAX_FILES:
        raise TufMalformedError(f"{where}: expected an object of at most {MAX_FILES} files")
    files = {}
    for name, item in value.items():
        check_blob_name(name)
        length, digest = _take_file(item, f"{where}: {name}", ("hashes", "length"), MAX_FILE_BYTES)
        files[name] = TargetFile(length=length, sha256=digest)
    if sum(file.length for file in files.values()) > MAX_TOTAL_BYTES:
        raise TufMalformedError(f"{where}: the files are over {MAX_TOTAL_BYTES} bytes together")
    version, expires = _take_head(fields, where)
    return Targets(version=version, expires=expires, files=files)


def _take_listed(value: Json, where: str, role: RoleName) -> Listed:
    length, digest = _take_file(value, f"{where}: {role}", ("hashes", "length", "version"), MAX_BYTES[role])
    assert isinstance(value, dict)
    version = take_int(value["version"], f"{where}: {role}: version", low=1, high=MAX_VERSION)
    return Listed(version=version, length=length, sha256=digest)


def _take_file(value: Json, where: str, keys: tuple[str, ...], most: int) -> tuple[int, str]:
    fields = take_object(value, where, keys)
    digest = take_hex(take_object(fields["hashes"], where, ("sha256",))["sha256"], where, size=32)
    return take_int(fields["length"], f"{where}: length", low=0, high=most), digest.hex()


def _take_head(fields: dict[str, Json], where: str) -> tuple[int, int]:
    version = take_int(fields["version"], f"{where}: version", low=1, high=MAX_VERSION)
    text = take_string(fields["expires"], f"{where}: expires", most=20)
    if not _TIME.fullmatch(text):
        raise TufMalformedError(f"{where}: expires is not like 2026-11-21T00:00:00Z")
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise TufMalformedError(f"{where}: expires at no time there is") from None
    return version, int(when.timestamp())


def format_expires(seconds: int) -> str:
    """A time as metadata writes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _root_json(body: Root) -> dict[str, Json]:
    roles: dict[str, Json] = {
        name: {"keyids": [*role.keyids], "threshold": role.threshold} for name, role in body.roles.items()
    }
    keys: dict[str, Json] = {keyid: key_json(key) for keyid, key in body.keys.items()}
    return {"keys": keys, "roles": roles, "consistent_snapshot": True}


def _listed_json(item: Listed) -> Json:
    return {"hashes": {"sha256": item.sha256}, "length": item.length, "version": item.version}


def _write(role: RoleName, body: Body, signatures: Mapping[str, bytes], fields: Mapping[str, Json]) -> bytes:
    head = {"_type": role.value, "spec_version": SPEC_VERSION, "version": body.version}
    return _file({**head, "expires": format_expires(body.expires), **fields}, signatures)


def _file(signed: Json, signatures: Mapping[str, bytes]) -> bytes:
    lines: list[Json] = [{"keyid": keyid, "sig": signatures[keyid].hex()} for keyid in sorted(signatures)]
    document = {"signatures": lines, "signed": signed}
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode("ascii")


def _canonical(value: Json) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return "{" + ",".join(f"{_canonical(key)}:{_canonical(value[key])}" for key in sorted(value)) + "}"


def keyring(keys: Iterable[PublicKey]) -> dict[str, PublicKey]:
    """Keys by their ids."""
    return {key_id(key): key for key in keys}
