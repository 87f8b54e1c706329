"""How far an audit has come, as bytes: what the rule book knew behind entry `position` (docs/audit.md, State).

Pure. One line of JSON, zlib-compressed, behind a magic and the SHA-256 of what follows: a torn or altered file is
noticed, and then costs a run from the start, no more. `rules` names everything the judgement rests on; `root` is the
tree's root at `position`: the caller goes on only if the head it reads has the same one there.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import TrustData
from mingzheng.log.alarms import Alarm
from mingzheng.log.book import IssuerBook
from mingzheng.log.densestates import DenseStates
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import HASH_BYTES, Hash
from mingzheng.log.patterns import BurstLimit
from mingzheng.log.rulecheck import RuleCheck

MAGIC = b"mingzheng/audit-progress/v1\n"
RULES_VERSION = 2
"""Raise it with every change to what the auditor finds: what was judged by less is judged again."""

MAX_BYTES = 1 << 28
MAX_PLAIN_BYTES = 1 << 30


class ProgressError(LogError):
    """The progress file is torn, altered or of another version: the audit starts from entry 0."""

    code: ClassVar[str] = "audit.bad_progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What compromised keys had written when [0, upto) was counted: (issuer, kid, good size) → (how many, the last)."""

    upto: int
    found: Mapping[tuple[int, Kid, int], tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Everything but the rule check itself, which `load_check` fills from `judged`. `filed`: alarm → evidence file."""

    position: int
    root: Hash
    rules: bytes
    alarms: tuple[Alarm, ...]
    losses: Losses
    filed: Mapping[str, str]
    judged: Mapping[str, Any]


def rules_digest(trust: TrustData, *, number: int, name: str, height: int, limits: Sequence[BurstLimit]) -> bytes:
    """SHA-256 over what the judgement of entries rests on, beside the entries. `height`: of the origin's blocks."""
    keys = [
        [
            record.kid.hex(), str(record.role), int(record.public_key.alg), record.public_key.spki.hex(), record.issuer,
            sorted(record.kinds), record.valid_from, record.valid_until, sorted(record.origins), record.retired_on,
            None if record.compromised is None else sorted(record.compromised.items()),
        ]
        for record in trust.keys.values()
    ]  # fmt: skip
    value = [
        RULES_VERSION,
        number,
        name,
        height,
        [limit.text() for limit in limits],
        sorted(keys),
        sorted(trust.origins),
    ]
    return sha256(json.dumps(value, ensure_ascii=True).encode()).digest()


def dump_check(check: RuleCheck) -> dict[str, Any]:
    """What a settled check knows, as values for JSON."""
    book = check.book
    return {
        "issuers": {str(number): dump_issuer(item) for number, item in sorted(book.issuers.items())},
        "closed": book.closed,
        "retired": sorted([issuer, kid.hex(), index] for (issuer, kid), index in book.retired.items()),
        "counts": {str(day): counts for day, counts in sorted(check.counts.items())},
        "good_sizes": sorted(
            [issuer, kid.hex(), size, check.good_events[issuer, kid]]
            for (issuer, kid), size in check.good_sizes.items()
        ),
        "last_time": check.last_time,
        "awaits_filler": check.awaits_filler,
        "bursts": check.bursts.dump(),
        "gaps": check.gaps.dump(),
        "chain": check.chain.dump(),
    }


def load_check(check: RuleCheck, value: Mapping[str, Any]) -> None:
    """Fill a fresh check with what `dump_check` gave; raises ProgressError."""
    try:
        check.book.issuers = {int(number): load_issuer(item) for number, item in value["issuers"].items()}
        check.book.retired = {(issuer, _kid(kid)): index for issuer, kid, index in value["retired"]}
        check.book.closed = value["closed"]
        check.counts = {int(day): dict(counts) for day, counts in value["counts"].items()}
        check.good_sizes = {(issuer, _kid(kid)): size for issuer, kid, size, _index in value["good_sizes"]}
        check.good_events = {(issuer, _kid(kid)): index for issuer, kid, _size, index in value["good_sizes"]}
        check.bursts.load(value["bursts"])
        check.gaps.load(value["gaps"])
        check.chain.load(*value["chain"])
        check.resume(last_time=int(value["last_time"]), awaits_filler=bool(value["awaits_filler"]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, zlib.error) as error:
        raise ProgressError(f"what was judged cannot be taken up: {type(error).__name__}") from error


def format_progress(progress: Progress) -> bytes:
    """The file's bytes."""
    value = {
        "position": progress.position,
        "root": progress.root.hex(),
        "rules": progress.rules.hex(),
        "alarms": [[item.code, item.index, item.detail, dict(item.evidence)] for item in progress.alarms],
        "losses_upto": progress.losses.upto,
        "losses": [[i, kid.hex(), good, *found] for (i, kid, good), found in sorted(progress.losses.found.items())],
        "filed": dict(progress.filed),
        "judged": progress.judged,
    }
    return pack_state(MAGIC, value)


def parse_progress(data: bytes) -> Progress:
    """Read a file that this program wrote whole; raises ProgressError for any other."""
    value = unpack_state(MAGIC, data)
    try:
        return Progress(
            position=int(value["position"]),
            root=Hash(bytes.fromhex(value["root"])),
            rules=bytes.fromhex(value["rules"]),
            alarms=tuple(Alarm(code=c, index=i, detail=d, evidence=e) for c, i, d, e in value["alarms"]),
            losses=Losses(
                upto=int(value["losses_upto"]),
                found={(i, _kid(kid), good): (count, last) for i, kid, good, count, last in value["losses"]},
            ),
            filed=dict(value["filed"]),
            judged=dict(value["judged"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProgressError("not what this program writes") from error


def pack_state(magic: bytes, value: Mapping[str, Any]) -> bytes:
    """A value for JSON as a file of that magic."""
    body = zlib.compress(json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode(), 1)
    return magic + sha256(body).digest() + body


def unpack_state(magic: bytes, data: bytes) -> Any:
    """What `pack_state` packed; raises ProgressError for any other bytes."""
    start = len(magic) + HASH_BYTES
    body = data[start:]
    if not data.startswith(magic) or len(data) > MAX_BYTES or sha256(body).digest() != data[len(magic) : start]:
        raise ProgressError("torn, altered or of another version")
    try:
        return json.loads(_inflate(body))
    except (zlib.error, ValueError, RecursionError) as error:
        raise ProgressError("not what this program writes") from error


def _inflate(body: bytes) -> bytes:
    plain = zlib.decompressobj()
    data = plain.decompress(body, MAX_PLAIN_BYTES)
    if not plain.eof or plain.unused_data:
        raise ProgressError("not what this program writes")
    return data


def dump_issuer(book: IssuerBook) -> list[Any]:
    """An issuer's part of a book, as values for JSON."""
    dense, sparse = DenseStates.of(book.states).dump()
    packed = base64.b64encode(zlib.compress(dense, 1)).decode()
    return [
        book.next_act, book.next_serial, book.last_index, book.status_index, book.status_time,
        sorted(book.status_sizes.items()), packed, len(dense), sorted(sparse.items()), book.next_notice,
    ]  # fmt: skip


def load_issuer(row: Sequence[Any]) -> IssuerBook:
    """What `dump_issuer` gave. Raises ValueError, TypeError, zlib.error."""
    next_act, next_serial, last_index, status_index, status_time, sizes, packed, length, sparse, next_notice = row
    dense = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), MAX_PLAIN_BYTES)
    if len(dense) != length:
        raise ValueError("states are cut short")
    return IssuerBook(
        next_act=next_act,
        next_notice=next_notice,
        next_serial=next_serial,
        states=DenseStates.load(dense, dict(sparse)),
        last_index=last_index,
        status_index=status_index,
        status_time=status_time,
        status_sizes=dict(sizes),
    )


def _kid(text: str) -> Kid:
    return Kid(bytes.fromhex(text))
