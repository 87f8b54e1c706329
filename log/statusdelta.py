"""Status deltas: from the status list one holds to the next, byte for byte (docs/spec/status.md, "Deltas").

A delta carries the next list's header, signature and head as they are, and of each set what left and what joined. It
is signed by nobody: what it gives is the next signed list, which is believed by its own signature and log entry. It
fits one list alone, named by the hash of its body.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, TypeAlias

from mingzheng.formats import cbor, cose
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import CborLimits
from mingzheng.log.entry import OriginHead, read_bytes, read_heads, read_int
from mingzheng.log.errors import EntryError, StatusError, StatusMalformedError
from mingzheng.log.status import MAX_BYTES, StatusBody, decode_set, encode_body, encode_set, parse_body

VERSION = 1
SETS = ("revoked", "superseded", "void", "suspended")

_LIMITS = CborLimits(max_bytes=MAX_BYTES, max_depth=4)
# In one delta: a list of MAX_BYTES may hold 2^27 serials, which nobody signed here; this many cost 0.2 GB, and a list
# that changed more is taken whole.
MAX_CHANGES = MAX_BYTES // 16
_ITEMS = 9
_MAX_HEADER = 64


class StatusDeltaBaseError(StatusError):
    """The delta does not start from the list that is held: fetch the one that does, or the whole list."""

    code: ClassVar[str] = "status.delta_base"

    def __init__(self, *, want: bytes, got: bytes) -> None:
        super().__init__(f"the delta starts from the list with hash {want.hex()}, held is {got.hex()}")
        self.want, self.got = want, got


class StatusDeltaUnrelatedError(StatusError):
    """Two lists between which there is no delta: of two issuers, or the second is the older one."""

    code: ClassVar[str] = "status.delta_unrelated"


class StatusDeltaTooLargeError(StatusError):
    """More serials left and joined than a delta may say: take the whole list."""

    code: ClassVar[str] = "status.delta_too_large"

    def __init__(self, *, got: int) -> None:
        super().__init__(f"{got} serials left or joined, a delta says at most {MAX_CHANGES}: take the whole list")
        self.got = got


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """A signed list taken apart; nothing is verified."""

    protected: bytes
    signature: bytes
    body: StatusBody
    digest: bytes  # of the body's bytes


def make_delta(held: bytes, after: bytes) -> bytes:
    """The one delta from a signed list to a later one of the same issuer; neither is verified.

    Raises StatusMalformedError, StatusDeltaUnrelatedError, StatusDeltaTooLargeError.
    """
    old, new = _read(held), _read(after)
    if old.body.issuer != new.body.issuer or old.body.this_update > new.body.this_update:
        raise StatusDeltaUnrelatedError("not a later list of the same issuer")
    if old.body.next_serial > new.body.next_serial:
        raise StatusDeltaUnrelatedError("the later list knows fewer serials")
    body = new.body
    sets: list[cbor.Value] = []
    changes = 0
    for name in SETS:
        before, now = set(getattr(old.body, name)), set(getattr(body, name))
        changes += len(before ^ now)
        sets.append((_coded(before - now, body.next_serial), _coded(now - before, body.next_serial)))
    if changes > MAX_CHANGES:
        raise StatusDeltaTooLargeError(got=changes)
    heads = tuple((head.origin, head.size, head.root) for head in map(OriginHead._make, body.origins))
    times = (body.this_update, body.next_update)
    return cbor.encode(
        (VERSION, old.digest, new.protected, new.signature, body.next_serial, *times, heads, tuple(sets))
    )


def apply_delta(held: bytes, delta: bytes) -> bytes:
    """The next signed list, byte for byte; verify it as any other before use.

    Raises StatusDeltaBaseError if the delta starts from another list than the held one, StatusDeltaTooLargeError,
    StatusMalformedError for a delta that is not the one spelling of anything.
    """
    value = _decoded(delta)
    old = _read(held)
    try:
        base = read_bytes(value[1], "base", 32)
        signature = read_bytes(value[3], "signature", cose.SIGNATURE_BYTES)
        next_serial = read_int(value[4], "next_serial", old.body.next_serial if base == old.digest else 0, 2**40)
        heads = read_heads(value[7])
        times = [read_int(value[place], "times", 1, 2**40 - 1) for place in (5, 6)]
    except EntryError as error:
        raise StatusMalformedError(error.detail, field=error.field, offset=error.offset) from error
    if base != old.digest:
        raise StatusDeltaBaseError(want=base, got=old.digest)
    protected = value[2]
    if not isinstance(protected, bytes) or len(protected) > _MAX_HEADER:
        raise StatusMalformedError(f"header is no byte string of at most {_MAX_HEADER}", field="protected")
    changed = {
        name: _changed(getattr(old.body, name), pair, next_serial, name)
        for name, pair in zip(SETS, _pairs(value[8]), strict=True)
    }
    body = StatusBody(
        issuer=old.body.issuer,
        next_serial=next_serial,
        this_update=times[0],
        next_update=times[1],
        origins=heads,
        revoked=changed["revoked"],
        superseded=changed["superseded"],
        void=changed["void"],
        suspended=changed["suspended"],
    )
    sign1 = cose.Sign1(protected=protected, unprotected={}, payload=encode_body(body), signature=signature)
    after = cose.encode_sign1(sign1)
    if make_delta(held, after) != delta:
        raise StatusMalformedError("another delta says the same", field="delta")
    return after


def apply_deltas(held: bytes, deltas: Iterable[bytes]) -> bytes:
    """Follow a chain of deltas from the held list; raises as `apply_delta` at the first that does not fit."""
    for delta in deltas:
        held = apply_delta(held, delta)
    return held


# --- helpers


def _read(listed: bytes) -> _List:
    try:
        sign1 = cose.parse_sign1(listed, limits=_LIMITS)
    except FormatError as error:
        raise StatusMalformedError(f"{error.code}", field="list", offset=error.offset) from error
    if sign1.unprotected or sign1.payload is None:
        raise StatusMalformedError("unprotected header is not empty or payload is missing", field="list")
    return _List(
        protected=sign1.protected,
        signature=sign1.signature,
        body=parse_body(sign1.payload),
        digest=sha256(sign1.payload).digest(),
    )


def _decoded(delta: bytes) -> tuple[cbor.Value, ...]:
    try:
        value = cbor.decode(delta, max_bytes=MAX_BYTES, max_depth=4)
    except FormatError as error:
        raise StatusMalformedError(f"not strict CBOR: {error.code}", field="delta", offset=error.offset) from error
    if not isinstance(value, tuple) or len(value) != _ITEMS or value[0] != VERSION:
        raise StatusMalformedError(f"not an array of {_ITEMS} of version {VERSION}", field="delta")
    return value


_Set: TypeAlias = tuple[int, bytes]


def _pairs(value: cbor.Value) -> tuple[tuple[_Set, _Set], ...]:
    """What left and what joined of each set, still coded: how many is known before any of it is decoded."""
    if not isinstance(value, tuple) or len(value) != len(SETS):
        raise StatusMalformedError(f"not {len(SETS)} sets", field="sets")
    pairs = tuple(_pair(item, name) for item, name in zip(value, SETS, strict=True))
    changes = sum(count for pair in pairs for count, _ in pair)
    if changes > MAX_CHANGES:
        raise StatusDeltaTooLargeError(got=changes)
    return pairs


def _pair(value: cbor.Value, name: str) -> tuple[_Set, _Set]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise StatusMalformedError("not [left, joined]", field=name)
    left, joined = (_set(item, name) for item in value)
    return left, joined


def _set(value: cbor.Value, name: str) -> _Set:
    if not isinstance(value, tuple) or len(value) != 2:
        raise StatusMalformedError("not [count, bytes]", field=name)
    count, data = value
    if type(count) is not int or type(data) is not bytes or count < 0:
        raise StatusMalformedError("not [count, bytes]", field=name)
    return count, data


def _coded(serials: set[int], limit: int) -> tuple[int, bytes]:
    return len(serials), encode_set(sorted(serials), limit)


def _changed(before: tuple[int, ...], pair: tuple[_Set, _Set], limit: int, name: str) -> tuple[int, ...]:
    """The set without what left and with what joined; both must change it."""
    left, joined = (set(decode_set(data, count=count, limit=limit, field=name)) for count, data in pair)
    now = set(before)
    if not left <= now or joined & now:
        raise StatusMalformedError("takes out what is not there or puts in what is", field=name)
    return tuple(sorted(now - left | joined))
