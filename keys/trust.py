"""Trust data: which key may say what about what, from when to when.

Source: DESIGN §4 (roles, scopes), §6 (compromise), §7 (trust data). One directory of files:
`trust.json` (strict JSON, parsed here) and blobs that other rooms read (profiles, status lists,
checkpoints), known here only by name and digest. Nothing in here is signed: whoever imports the files
decides to trust them, and `fingerprint` names the set. Seals have a table of their own
(`keys.sealtable`). Left out: TUF, which signs the set from outside (`keys.tufchain`).
"""

import base64
import datetime
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from mingzheng.keys.alg import Alg, PublicKey, parse_alg, parse_public_key
from mingzheng.keys.errors import (
    BadBlobNameError,
    BadPrefixError,
    BadScopeError,
    BadSpkiError,
    BadVkeyError,
    DuplicateKidError,
    DuplicateNameError,
    DuplicateNumberError,
    KeySharedError,
    KidMismatchError,
    OriginKeysError,
    RoleAlgError,
    TrustMalformedError,
    TrustTooLargeError,
    TrustVersionError,
    UnknownAlgError,
    UnknownIssuerError,
    UnknownOriginError,
    WeakKeyError,
)
from mingzheng.keys.kid import KID_BYTES, Kid
from mingzheng.keys.strictjson import (
    Json,
    check_printable,
    load_json,
    take_date,
    take_hex,
    take_int,
    take_list,
    take_object,
    take_string,
    take_text,
)
from mingzheng.keys.vkey import check_name, decode_base64

TRUST_FILE: Final = "trust.json"
FORMAT_VERSION: Final = 1
MAX_JSON_BYTES: Final = 4 << 20
MAX_FILE_BYTES: Final = 16 << 20
MAX_TOTAL_BYTES: Final = 64 << 20
MAX_FILES: Final = 4096
MAX_RECORDS: Final = 4096
MAX_NAME_CHARS: Final = 128
MAX_PREFIX_CHARS: Final = 64
MAX_QUORUM_CHARS: Final = 131072  # as log.policy: 64 witnesses with ML-DSA-44 keys
MAX_NUMBER: Final = 65535
MAX_SPKI_CHARS: Final = 2048  # an ML-DSA-44 key takes 1,780 base64 characters
MAX_BLOCK_HEIGHT: Final = 8
MAX_SECONDS: Final = 2**40 - 1
MAX_GENERATION: Final = 2**53 - 1
MAX_TREE_SIZE: Final = 2**63 - 1

_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()
_JURISDICTIONS: Final = frozenset({0, *range(11, 83)})  # national, GB/T 2260 province codes
_BLOB_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*", re.ASCII)
_PREFIX: Final = re.compile(
    r"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?(?:/[A-Za-z0-9._~-]*)*#", re.ASCII
)
_KEY_FIELDS: Final = (
    *("kid", "role", "alg", "spki", "issuer", "jurisdictions", "kinds", "valid_from", "valid_until"),
    *("origins", "name", "compromised", "retired_on"),
)
_T = TypeVar("_T")
_Numbered = TypeVar("_Numbered", "IssuerRecord", "OriginRecord")


class Role(StrEnum):
    """What a key is for. A key has exactly one role."""

    AUTHORITY = "authority"
    CREDENTIAL = "credential"
    ACT = "act"
    OPERATOR = "operator"  # as `act`, and one person's
    RECEIPT = "receipt"
    CHECKPOINT = "checkpoint"
    WITNESS = "witness"
    STATUS = "status"
    LANDMARK = "landmark"
    SUBMIT = "submit"
    REPORT = "report"


# Keys of the log, not of an issuer; how many origins each may name.
LOG_ROLES: Final[Mapping[Role, tuple[int, int]]] = {
    Role.RECEIPT: (1, 1),
    Role.CHECKPOINT: (1, 1),
    Role.LANDMARK: (1, 1),
    Role.WITNESS: (1, MAX_RECORDS),
}
_ONE_PER_ORIGIN: Final = (Role.RECEIPT, Role.CHECKPOINT)
_NOTE_ROLES: Final = (Role.CHECKPOINT, Role.WITNESS)
_ROLE_ALGS: Final[Mapping[Role, frozenset[Alg]]] = {
    Role.CREDENTIAL: frozenset({Alg.ED25519, Alg.ESP256, Alg.SM2}),
    Role.RECEIPT: frozenset({Alg.EDDSA, Alg.ES256}),
    Role.CHECKPOINT: frozenset({Alg.ED25519}),
    Role.WITNESS: frozenset({Alg.ED25519, Alg.ML_DSA_44}),
}
_OTHER_ALGS: Final = frozenset({Alg.ED25519, Alg.ESP256})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One key, its one role and its scope.

    `issuer`: 0 for the log's keys. Days are days since 1970-01-01 (UTC+8), borders inclusive.
    `name`: the name in notes, of checkpoint and witness keys only. `compromised`: per origin the number
    of entries that are still good; None while the key is sound.
    """

    kid: Kid
    role: Role
    public_key: PublicKey
    issuer: int
    jurisdictions: frozenset[int]
    kinds: frozenset[int]
    valid_from: int
    valid_until: int
    origins: frozenset[int]
    name: str = ""
    compromised: Mapping[int, int] | None = None
    retired_on: int | None = None

    def scope_allows(self, *, kind: int, jurisdiction: int, day: int) -> bool:
        """May this key speak about that kind and jurisdiction on that day of issue?"""
        return kind in self.kinds and jurisdiction in self.jurisdictions and self.allows_day(day)

    def allows_day(self, day: int) -> bool:
        """Is the day inside the key's validity, and not after its retirement?"""
        last = self.valid_until if self.retired_on is None else min(self.valid_until, self.retired_on)
        return self.valid_from <= day <= last

    def may_log(self, origin: int) -> bool:
        """May that origin hold what this key says?"""
        return origin in self.origins

    def counts_at(self, *, origin: int, index: int | None) -> bool:
        """Does a thing of this key count, its inclusion in `origin` proved at `index` (None: unproved)?

        Always while the key is sound; after a compromise only below that origin's last good size.
        """
        if self.compromised is None:
            return True
        return index is not None and 0 <= index < self.compromised.get(origin, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRecord:
    """An issuing authority: its bodies by number, and the QR prefixes it prints."""

    number: int
    name: str
    name_en: str
    bodies: Mapping[int, str]
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRecord:
    """A log: number ↔ name, and the height of its greatest block."""

    number: int
    name: str
    block_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustData:
    """Everything a verifier believes. Checked by `parse_trust`, and by `format_trust` when written.

    `made_at`: unix seconds, the floor of every clock. `quorum`: tlog-policy text, None without witnesses.
    """

    generation: int
    made_at: int
    issuers: Mapping[int, IssuerRecord]
    origins: Mapping[int, OriginRecord]
    keys: Mapping[Kid, KeyRecord]
    quorum: str | None
    blobs: Mapping[str, bytes]
    _by_origin: dict[tuple[Role, int], KeyRecord] = field(init=False, repr=False, compare=False)
    _by_issuer: dict[tuple[Role, int], tuple[KeyRecord, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_origin: dict[tuple[Role, int], KeyRecord] = {}
        by_issuer: dict[tuple[Role, int], tuple[KeyRecord, ...]] = {}
        for kid in sorted(self.keys):
            record = self.keys[kid]
            place = (record.role, record.issuer)
            by_issuer[place] = (*by_issuer.get(place, ()), record)
            if record.role in _ONE_PER_ORIGIN:
                by_origin.update({(record.role, origin): record for origin in record.origins})
        object.__setattr__(self, "_by_origin", by_origin)
        object.__setattr__(self, "_by_issuer", by_issuer)

    def key(self, kid: Kid) -> KeyRecord | None:
        """The record of that kid."""
        return self.keys.get(kid)

    def receipt_key(self, origin: int) -> KeyRecord | None:
        """The one key that signs that origin's compact receipts."""
        return self._by_origin.get((Role.RECEIPT, origin))

    def checkpoint_key(self, origin: int) -> KeyRecord | None:
        """The one key that signs that origin's checkpoints."""
        return self._by_origin.get((Role.CHECKPOINT, origin))

    def keys_of(self, role: Role, issuer: int) -> tuple[KeyRecord, ...]:
        """The keys of that role and issuer (0: the log's), by rising kid."""
        return self._by_issuer.get((role, issuer), ())


def parse_trust(files: Mapping[str, bytes]) -> TrustData:
    """Read and check a set of trust files.

    Raises a leaf of TrustError that names the fault; nothing is accepted in part.
    """
    check_files(files)
    if TRUST_FILE not in files:
        raise TrustMalformedError(f"there is no {TRUST_FILE}")
    if len(files[TRUST_FILE]) > MAX_JSON_BYTES:
        raise TrustTooLargeError(f"{TRUST_FILE} is over {MAX_JSON_BYTES} bytes")
    top = _take_top(load_json(files[TRUST_FILE]))
    issuers = _unique(_take_records(top["issuers"], "issuers", _take_issuer), "issuer")
    origins = _unique(_take_records(top["origins"], "origins", _take_origin), "origin")
    _check_origin_names(origins.values())
    records = _take_records(top["keys"], "keys", _take_key)
    _check_keys(records)
    for record in records:
        _check_references(record, issuers, origins)
        _check_scope(record)
    return TrustData(
        generation=take_int(top["generation"], "generation", low=1, high=MAX_GENERATION),
        made_at=take_int(top["made_at"], "made_at", low=0, high=MAX_SECONDS),
        issuers=issuers,
        origins=origins,
        keys={record.kid: record for record in records},
        quorum=_take_quorum(top["quorum"]),
        blobs={name: bytes(data) for name, data in files.items() if name != TRUST_FILE},
    )


def format_trust(data: TrustData) -> dict[str, bytes]:
    """The files of `data`, the same bytes every time; `parse_trust` gives `data` back.

    Raises what `parse_trust` would raise: trust data that cannot be read back is never written.
    """
    top = {
        "version": FORMAT_VERSION,
        "generation": data.generation,
        "made_at": data.made_at,
        "issuers": [_issuer_json(data.issuers[n]) for n in sorted(data.issuers)],
        "origins": [_origin_json(data.origins[n]) for n in sorted(data.origins)],
        "keys": [_key_json(data.keys[kid]) for kid in sorted(data.keys)],
        "quorum": data.quorum,
    }
    # A lone surrogate passes here and is refused as not UTF-8 when the bytes are read back.
    text = (json.dumps(top, ensure_ascii=False, indent=1) + "\n").encode(errors="surrogatepass")
    files = {TRUST_FILE: text, **{name: data.blobs[name] for name in sorted(data.blobs)}}
    if parse_trust(files) != data:
        raise TrustMalformedError("trust data would not read back as it is")
    return files


def fingerprint(files: Mapping[str, bytes]) -> str:
    """64 hexadecimal digits that name a set of files: SHA-256 over `listing`."""
    return hashlib.sha256(listing(files)).hexdigest()


def listing(files: Mapping[str, bytes]) -> bytes:
    """One line per file, by name, as sha256sum writes them: digest, two spaces, name."""
    lines = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return "".join(lines).encode()


def check_files(files: Mapping[str, bytes]) -> None:
    """Check names, counts and sizes of a set of trust files before anything reads them."""
    if len(files) > MAX_FILES:
        raise TrustTooLargeError(f"{len(files)} files, cap is {MAX_FILES}")
    for name, data in files.items():
        check_blob_name(name)
        if len(data) > MAX_FILE_BYTES:
            raise TrustTooLargeError(f"{name} is over {MAX_FILE_BYTES} bytes")
        parents = name.split("/")[:-1]
        if any("/".join(parents[: i + 1]) in files for i in range(len(parents))):
            raise BadBlobNameError(f"{name!r} lies under a file")
    if sum(map(len, files.values())) > MAX_TOTAL_BYTES:
        raise TrustTooLargeError(f"files are over {MAX_TOTAL_BYTES} bytes together")


def check_blob_name(name: str) -> None:
    """A relative path of lower-case names; no part is empty or begins with a dot."""
    if len(name) > MAX_NAME_CHARS or not _BLOB_NAME.fullmatch(name):
        raise BadBlobNameError(f"not a safe relative file name: {name[:MAX_NAME_CHARS]!r}")


def _take_top(value: Json) -> dict[str, Json]:
    if isinstance(value, dict) and "version" in value:
        version = take_int(value["version"], "version", low=1, high=MAX_NUMBER)
        if version != FORMAT_VERSION:
            raise TrustVersionError(f"trust data of version {version}: update this program")
    keys = ("version", "generation", "made_at", "issuers", "origins", "keys", "quorum")
    return take_object(value, TRUST_FILE, keys)


def _take_records(value: Json, where: str, take: Callable[[Json, str], _T]) -> list[_T]:
    items = take_list(value, where, most=MAX_RECORDS)
    return [take(item, f"{where}[{i}]") for i, item in enumerate(items)]


def _take_issuer(value: Json, where: str) -> IssuerRecord:
    item = take_object(value, where, ("number", "name", "name_en", "bodies", "prefixes"))
    prefixes = take_list(item["prefixes"], f"{where}.prefixes", most=16)
    return IssuerRecord(
        number=take_int(item["number"], f"{where}.number", low=1, high=MAX_NUMBER),
        name=take_text(item["name"], f"{where}.name", most=MAX_NAME_CHARS),
        name_en=take_text(item["name_en"], f"{where}.name_en", most=MAX_NAME_CHARS),
        bodies=_take_bodies(item["bodies"], f"{where}.bodies"),
        prefixes=_take_prefixes(prefixes, f"{where}.prefixes"),
    )


def _take_bodies(value: Json, where: str) -> dict[int, str]:
    bodies: dict[int, str] = {}
    for item in take_list(value, where, most=MAX_RECORDS):
        body = take_object(item, where, ("number", "name"))
        number = take_int(body["number"], where, low=1, high=MAX_NUMBER)
        if number in bodies:
            raise DuplicateNumberError(f"{where}: two bodies have the number {number}")
        bodies[number] = take_text(body["name"], where, most=MAX_NAME_CHARS)
    return bodies


def _take_prefixes(items: list[Json], where: str) -> tuple[str, ...]:
    prefixes = tuple(take_string(item, where, most=1024) for item in items)
    for i, prefix in enumerate(prefixes):
        if len(prefix) > MAX_PREFIX_CHARS or not _PREFIX.fullmatch(prefix):
            raise BadPrefixError(f"{where}: expected https://host/path# of at most {MAX_PREFIX_CHARS} characters")
        if any(prefix.startswith(other) for j, other in enumerate(prefixes) if j != i):
            raise BadPrefixError(f"{where}: a prefix begins with another")
    return prefixes


def _take_origin(value: Json, where: str) -> OriginRecord:
    item = take_object(value, where, ("number", "name", "block_height"))
    return OriginRecord(
        number=take_int(item["number"], f"{where}.number", low=1, high=MAX_NUMBER),
        name=_take_note_name(item["name"], f"{where}.name"),
        block_height=take_int(item["block_height"], f"{where}.block_height", low=1, high=MAX_BLOCK_HEIGHT),
    )


def _take_note_name(value: Json, where: str) -> str:
    name = take_text(value, where, most=255)
    try:
        check_name(name)
    except BadVkeyError as error:
        raise TrustMalformedError(f"{where}: {error}") from error
    return name


def _take_key(value: Json, where: str) -> KeyRecord:
    item = take_object(value, where, _KEY_FIELDS)
    role = _take_role(item["role"], f"{where}.role")
    public_key = _take_public_key(item, where)
    kid = Kid(take_hex(item["kid"], f"{where}.kid", size=KID_BYTES))
    if kid != public_key.kid:
        raise KidMismatchError(f"{where}: kid is {kid.hex()}, its key's is {public_key.kid.hex()}")
    name = take_string(item["name"], f"{where}.name", most=255)
    return KeyRecord(
        kid=kid,
        role=role,
        public_key=public_key,
        issuer=take_int(item["issuer"], f"{where}.issuer", low=0, high=MAX_NUMBER),
        jurisdictions=_take_numbers(item["jurisdictions"], f"{where}.jurisdictions"),
        kinds=_take_numbers(item["kinds"], f"{where}.kinds"),
        valid_from=_take_day(item["valid_from"], f"{where}.valid_from"),
        valid_until=_take_day(item["valid_until"], f"{where}.valid_until"),
        origins=_take_numbers(item["origins"], f"{where}.origins"),
        name=_take_note_name(name, f"{where}.name") if name else "",
        compromised=_take_compromised(item["compromised"], f"{where}.compromised"),
        retired_on=None if item["retired_on"] is None else _take_day(item["retired_on"], f"{where}.retired_on"),
    )


def _take_role(value: Json, where: str) -> Role:
    try:
        return Role(take_string(value, where, most=16))
    except ValueError:
        raise TrustMalformedError(f"{where}: not a role") from None


def _take_public_key(item: Mapping[str, Json], where: str) -> PublicKey:
    try:
        alg = parse_alg(take_int(item["alg"], f"{where}.alg", low=-2 * MAX_NUMBER, high=MAX_NUMBER))
        spki = decode_base64(take_string(item["spki"], f"{where}.spki", most=MAX_SPKI_CHARS))
        if spki is None:
            raise TrustMalformedError(f"{where}.spki: not canonical base64")
        return parse_public_key(spki, alg=alg)
    except (UnknownAlgError, BadSpkiError, WeakKeyError) as error:
        raise TrustMalformedError(f"{where}: {error}") from error


def _take_numbers(value: Json, where: str) -> frozenset[int]:
    items = take_list(value, where, most=MAX_RECORDS)
    numbers = frozenset(take_int(item, where, low=0, high=MAX_NUMBER) for item in items)
    if len(numbers) != len(items):
        raise TrustMalformedError(f"{where}: a number stands twice")
    return numbers


def _take_day(value: Json, where: str) -> int:
    try:
        return datetime.date.fromisoformat(take_date(value, where)).toordinal() - _EPOCH
    except ValueError:
        raise TrustMalformedError(f"{where}: there is no such day") from None


def _take_compromised(value: Json, where: str) -> dict[int, int] | None:
    if value is None:
        return None
    sizes: dict[int, int] = {}
    for item in take_list(value, where, most=MAX_RECORDS):
        entry = take_object(item, where, ("origin", "good_size"))
        origin = take_int(entry["origin"], where, low=1, high=MAX_NUMBER)
        if origin in sizes:
            raise DuplicateNumberError(f"{where}: origin {origin} stands twice")
        sizes[origin] = take_int(entry["good_size"], where, low=0, high=MAX_TREE_SIZE)
    return sizes


def _take_quorum(value: Json) -> str | None:
    if value is None:
        return None
    text = take_string(value, "quorum", most=MAX_QUORUM_CHARS)
    if not text.endswith("\n"):
        raise TrustMalformedError("quorum: expected lines, each ending in a newline")
    check_printable(text, "quorum", allowed="\n")
    return text


def _unique(records: Iterable[_Numbered], what: str) -> dict[int, _Numbered]:
    result: dict[int, _Numbered] = {}
    for record in records:
        if record.number in result:
            raise DuplicateNumberError(f"two {what}s have the number {record.number}")
        result[record.number] = record
    return result


def _check_origin_names(origins: Iterable[OriginRecord]) -> None:
    for name, count in Counter(origin.name for origin in origins).items():
        if count > 1:
            raise DuplicateNameError(f"two origins have the name {name!r}")


def _check_keys(records: Iterable[KeyRecord]) -> None:
    """One key, one record; one kid, one key; one receipt and one checkpoint key per origin."""
    keys: dict[bytes, Kid] = {}
    kids: set[Kid] = set()
    taken: set[tuple[Role, int]] = set()
    for record in records:
        raw = record.public_key.raw()
        if raw in keys:
            raise KeySharedError(f"one public key has two records ({record.kid.hex()})")
        if record.kid in kids:
            raise DuplicateKidError(f"two keys have the kid {record.kid.hex()}")
        keys[raw] = record.kid
        kids.add(record.kid)
        if record.role in _ONE_PER_ORIGIN:
            places = {(record.role, origin) for origin in record.origins}
            if places & taken:
                raise OriginKeysError(f"an origin has a second {record.role} key ({record.kid.hex()})")
            taken |= places


def _check_references(
    record: KeyRecord, issuers: Mapping[int, IssuerRecord], origins: Mapping[int, OriginRecord]
) -> None:
    where = f"key {record.kid.hex()}"
    if record.issuer and record.issuer not in issuers:
        raise UnknownIssuerError(f"{where}: there is no issuer {record.issuer}")
    named = record.origins | frozenset(record.compromised or ())
    if not named <= origins.keys():
        raise UnknownOriginError(f"{where}: there is no origin {min(named - origins.keys())}")


def _check_scope(record: KeyRecord) -> None:
    """The algorithm and scope a key of that role must have."""
    where = f"key {record.kid.hex()} of role {record.role}"
    if record.public_key.alg not in _ROLE_ALGS.get(record.role, _OTHER_ALGS):
        raise RoleAlgError(f"{where}: algorithm {int(record.public_key.alg)} is not allowed")
    if record.valid_from > record.valid_until:
        raise BadScopeError(f"{where}: valid_from is after valid_until")
    if not record.jurisdictions <= _JURISDICTIONS:
        raise BadScopeError(f"{where}: jurisdictions are 0 and 11 to 82")
    if 0 in record.kinds or 0 in record.origins:
        raise BadScopeError(f"{where}: kinds and origins begin at 1")
    if bool(record.name) != (record.role in _NOTE_ROLES):
        raise BadScopeError(f"{where}: keys that sign notes have a name, others none")
    if record.role in LOG_ROLES:
        low, high = LOG_ROLES[record.role]
        if record.issuer or record.kinds or record.jurisdictions:
            raise BadScopeError(f"{where}: a log's key has no issuer, kinds or jurisdictions")
        if not low <= len(record.origins) <= high:
            raise BadScopeError(f"{where}: names {len(record.origins)} origins, expected {low} to {high}")
    elif not record.issuer and record.role is not Role.SUBMIT:
        raise BadScopeError(f"{where}: needs an issuer")
    elif not record.issuer and (record.kinds or record.jurisdictions or len(record.origins) != 1):
        raise BadScopeError(f"{where}: what submits a log's own entries names that log and nothing else")


def _issuer_json(issuer: IssuerRecord) -> dict[str, Json]:
    return {
        "number": issuer.number,
        "name": issuer.name,
        "name_en": issuer.name_en,
        "bodies": [{"number": n, "name": issuer.bodies[n]} for n in sorted(issuer.bodies)],
        "prefixes": list(issuer.prefixes),
    }


def _origin_json(origin: OriginRecord) -> dict[str, Json]:
    return {"number": origin.number, "name": origin.name, "block_height": origin.block_height}


def _key_json(record: KeyRecord) -> dict[str, Json]:
    lost = record.compromised
    return {
        "kid": record.kid.hex(),
        "role": record.role.value,
        "alg": int(record.public_key.alg),
        "spki": base64.b64encode(record.public_key.spki).decode("ascii"),
        "issuer": record.issuer,
        "jurisdictions": [*sorted(record.jurisdictions)],
        "kinds": [*sorted(record.kinds)],
        "valid_from": _day_text(record.valid_from),
        "valid_until": _day_text(record.valid_until),
        "origins": [*sorted(record.origins)],
        "name": record.name,
        "compromised": None if lost is None else [{"origin": n, "good_size": lost[n]} for n in sorted(lost)],
        "retired_on": None if record.retired_on is None else _day_text(record.retired_on),
    }


def _day_text(day: int) -> str:
    try:
        return datetime.date.fromordinal(day + _EPOCH).isoformat()
    except (ValueError, OverflowError):
        raise TrustMalformedError(f"there is no day {day}") from None
