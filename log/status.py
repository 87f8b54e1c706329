"""Status lists: which serials of an issuer are revoked, superseded, void or suspended (docs/spec/status.md).

Four Golomb-Rice coded sets of dense serials, within 1 % or so of the entropy bound; the parameter is a stated
function of count and range, so there is one spelling. The signature is over a domain of its own: a list is never a
credential, a credential never a list.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from mingzheng.formats import cbor, cose
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import CborLimits
from mingzheng.keys.alg import Alg, PublicKey, verify
from mingzheng.keys.errors import SignatureInvalidError
from mingzheng.keys.signer import Signer
from mingzheng.log.acts import SerialState
from mingzheng.log.entry import (
    MAX_NUMBER,
    MAX_SERIAL,
    OriginHead,
    StatusEntry,
    read_heads,
    read_int,
    read_times,
)
from mingzheng.log.errors import EntryError, StatusForgedError, StatusMalformedError

VERSION = 1
MAX_BYTES = 16 * 1024 * 1024
STATUS_DOMAIN = b"mingzheng/status/v1"
STATUS_ALGS = frozenset({Alg.ED25519, Alg.ESP256})

_LIMITS = CborLimits(max_bytes=MAX_BYTES, max_depth=4)
_ITEMS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusBody:
    """What the list says, as of the heads in `origins`; each set strictly rising, no serial in two."""

    issuer: int
    next_serial: int  # one more than the highest serial issued or voided, 0 if none
    this_update: int
    next_update: int
    origins: tuple[OriginHead, ...]  # every origin the issuer ever used, in rising number
    revoked: tuple[int, ...]
    superseded: tuple[int, ...]
    void: tuple[int, ...]
    suspended: tuple[int, ...]


class StatusIndex:
    """Look serials up in one list: built once, a dictionary access each."""

    __slots__ = ("_states", "body")

    def __init__(self, body: StatusBody) -> None:
        self.body = body
        self._states: dict[int, SerialState] = {}
        for serials, state in _sets(body):
            self._states.update(dict.fromkeys(serials, state))

    def state_of(self, serial: int) -> SerialState:
        """UNKNOWN for a serial at or above `next_serial`: the list has not heard of it. Else LIVE or its set.

        LIVE says "not in a set"; that the serial was ever issued is shown by a receipt, not by the list.
        """
        if not 0 <= serial < self.body.next_serial:
            return SerialState.UNKNOWN
        return self._states.get(serial, SerialState.LIVE)


def status_from_events(
    states: Mapping[int, SerialState],
    *,
    issuer: int,
    this_update: int,
    next_update: int,
    origins: Sequence[OriginHead],
) -> StatusBody:
    """The one list of an issuer whose serials stand as in `states` at the heads `origins`.

    Raises StatusMalformedError if the values have no spelling.
    """
    members: dict[SerialState, list[int]] = {state: [] for state in SerialState}
    for serial, state in states.items():
        members[state].append(serial)
    used = [max(serials) for state, serials in members.items() if serials and state is not SerialState.UNKNOWN]
    body = StatusBody(
        issuer=issuer,
        next_serial=max(used, default=-1) + 1,
        this_update=this_update,
        next_update=next_update,
        origins=tuple(OriginHead(*head) for head in sorted(origins)),
        revoked=tuple(sorted(members[SerialState.REVOKED])),
        superseded=tuple(sorted(members[SerialState.SUPERSEDED])),
        void=tuple(sorted(members[SerialState.VOID])),
        suspended=tuple(sorted(members[SerialState.SUSPENDED])),
    )
    encode_body(body)
    return body


def encode_body(body: StatusBody) -> bytes:
    """The body's one spelling; raises StatusMalformedError for a value outside the schema."""
    heads = tuple((head.origin, head.size, head.root) for head in map(OriginHead._make, body.origins))
    sets = [(serials, state) for serials, state in _sets(body)]
    _check_head(body.issuer, body.next_serial, (body.this_update, body.next_update), heads)
    for serials, state in sets:
        _check_set(serials, body.next_serial, state.value)
    _check_disjoint([serials for serials, _state in sets])
    coded = tuple((len(serials), encode_set(serials, body.next_serial)) for serials, _state in sets)
    times = (body.this_update, body.next_update)
    return cbor.encode((VERSION, body.issuer, body.next_serial, *times, heads, *coded))


def parse_body(data: bytes) -> StatusBody:
    """Read a body; raises StatusMalformedError for all but the one spelling."""
    try:
        value = cbor.decode(data, max_bytes=MAX_BYTES, max_depth=_LIMITS.max_depth)
    except FormatError as error:
        raise StatusMalformedError(f"not strict CBOR: {error.code}", field="body", offset=error.offset) from error
    if not isinstance(value, tuple) or len(value) != _ITEMS:
        raise StatusMalformedError(f"not an array of {_ITEMS}", field="body")
    if value[0] != VERSION:
        raise StatusMalformedError(f"version is not {VERSION}", field="version")
    issuer, next_serial, times, heads = _check_head(value[1], value[2], (value[3], value[4]), value[5])
    names = ("revoked", "superseded", "void", "suspended")
    sets = [_parse_set(item, next_serial, name) for item, name in zip(value[6:], names, strict=True)]
    _check_disjoint(sets)
    return StatusBody(
        issuer=issuer,
        next_serial=next_serial,
        this_update=times[0],
        next_update=times[1],
        origins=heads,
        revoked=sets[0],
        superseded=sets[1],
        void=sets[2],
        suspended=sets[3],
    )


def status_entry(body: StatusBody) -> StatusEntry:
    """The log entry that carries the SHA-256 of this body."""
    return StatusEntry(
        issuer=body.issuer,
        origins=body.origins,
        this_update=body.this_update,
        next_update=body.next_update,
        sha256=sha256(encode_body(body)).digest(),
    )


def sign_status_list(body: StatusBody, signer: Signer) -> bytes:
    """The signed list. Raises StatusForgedError for a key whose algorithm no status key has."""
    key = signer.public_key
    if key.alg not in STATUS_ALGS:
        raise StatusForgedError(f"a status key has algorithm -19 or -9, not {int(key.alg)}")
    payload = encode_body(body)
    protected = cose.protected_header(int(key.alg), key.kid)
    signature = signer.sign(cose.sig_structure(protected, payload, external_aad=STATUS_DOMAIN))
    return cose.encode_sign1(cose.Sign1(protected=protected, unprotected={}, payload=payload, signature=signature))


def open_status_list(data: bytes, key: PublicKey) -> StatusBody:
    """Verify a list under the issuer's status key and read it.

    The caller checks that the key's issuer is the body's and that a log entry carries the body's hash.
    Raises StatusMalformedError, StatusForgedError.
    """
    try:
        sign1 = cose.parse_sign1(data, limits=_LIMITS)
        alg, kid = cose.parse_protected(sign1.protected)
    except FormatError as error:
        raise StatusMalformedError(f"{error.code}", field="list", offset=error.offset) from error
    if sign1.unprotected or sign1.payload is None:
        raise StatusMalformedError("unprotected header is not empty or payload is missing", field="list")
    if key.alg not in STATUS_ALGS or (alg, kid) != (key.alg, key.kid):
        raise StatusForgedError("another key or algorithm than the issuer's status key")
    message = cose.sig_structure(sign1.protected, sign1.payload, external_aad=STATUS_DOMAIN)
    try:
        verify(key, signature=sign1.signature, message=message)
    except SignatureInvalidError as error:
        raise StatusForgedError("the status key did not sign this list") from error
    return parse_body(sign1.payload)


# --- Golomb-Rice coding


def rice_parameter(count: int, limit: int) -> int:
    """Greatest k >= 0 with 1000 * count * 2^k <= 962 * limit; 0 if there is none or the set is empty.

    The best Rice parameter for geometric gaps is one more than the floor of log2 of 0.481 / density (A. Kiely,
    "Selecting the Golomb Parameter in Rice Coding", IPN Progress Report 42-159, 2004): at most 3.4 % over the bound.
    """
    if count == 0:
        return 0
    return max(0, (962 * limit // (1000 * count)).bit_length() - 1)


def encode_set(serials: Sequence[int], limit: int) -> bytes:
    """Code strictly rising serials below `limit`: gap >> k in unary, then k low bits, bytes from the top bit."""
    k = rice_parameter(len(serials), limit)
    low_mask = (1 << k) - 1
    width = f"0{k}b"
    bits = []
    expected = 0
    for serial in serials:
        gap = serial - expected
        bits.append("1" * (gap >> k) + "0" + (format(gap & low_mask, width) if k else ""))
        expected = serial + 1
    text = "".join(bits)
    if not text:
        return b""
    return int(text + "0" * (-len(text) % 8), 2).to_bytes(-(-len(text) // 8))


def decode_set(data: bytes, *, count: int, limit: int, field: str = "set") -> tuple[int, ...]:
    """Read `count` serials below `limit`. Cost: linear in the bytes.

    Raises StatusMalformedError if the bytes are too few or too many, a serial reaches `limit`, or padding is not
    zero: for one (count, limit) every set has one spelling.
    """
    k = rice_parameter(count, limit)
    if not 0 <= count <= limit or len(data) * 8 < count * (k + 1):
        raise StatusMalformedError(f"count {count} does not fit {len(data)} bytes or range {limit}", field=field)
    if len(data) * 8 > count * (k + 1) + (limit >> k) + 7:
        raise StatusMalformedError("longer than any set of this count and range", field=field)
    bits = format(int.from_bytes(data), f"0{len(data) * 8}b") if data else ""
    serials: list[int] = []
    at = expected = 0
    for _ in range(count):
        zero = bits.find("0", at)
        end = zero + 1 + k
        if zero < 0 or end > len(bits):
            raise StatusMalformedError("set is cut short", field=field, offset=len(serials))
        expected += ((zero - at) << k) | (int(bits[zero + 1 : end], 2) if k else 0)
        serials.append(expected)
        expected += 1
        at = end
    if serials and serials[-1] >= limit:
        raise StatusMalformedError("a serial is not below next_serial", field=field)
    if len(bits) - at >= 8 or "1" in bits[at:]:
        raise StatusMalformedError("trailing bytes or padding that is not zero", field=field)
    return tuple(serials)


# --- helpers


def _sets(body: StatusBody) -> tuple[tuple[tuple[int, ...], SerialState], ...]:
    return (
        (body.revoked, SerialState.REVOKED),
        (body.superseded, SerialState.SUPERSEDED),
        (body.void, SerialState.VOID),
        (body.suspended, SerialState.SUSPENDED),
    )


def _check_head(
    issuer: cbor.Value, next_serial: cbor.Value, times: tuple[cbor.Value, cbor.Value], heads: cbor.Value
) -> tuple[int, int, tuple[int, int], tuple[OriginHead, ...]]:
    try:
        return (
            read_int(issuer, "issuer", 1, MAX_NUMBER),
            read_int(next_serial, "next_serial", 0, MAX_SERIAL + 1),
            read_times(*times),
            read_heads(heads),
        )
    except EntryError as error:
        raise StatusMalformedError(error.detail, field=error.field, offset=error.offset) from error


def _parse_set(value: cbor.Value, limit: int, field: str) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise StatusMalformedError("not [count, bytes]", field=field)
    count, data = value
    if type(count) is not int or type(data) is not bytes:
        raise StatusMalformedError("not [count, bytes]", field=field)
    return decode_set(data, count=count, limit=limit, field=field)


def _check_set(serials: Sequence[int], limit: int, field: str) -> None:
    before = -1
    for at, serial in enumerate(serials):
        if type(serial) is not int or not before < serial < limit:
            raise StatusMalformedError("not strictly rising below next_serial", field=field, offset=at)
        before = serial


def _check_disjoint(sets: Iterable[Sequence[int]]) -> None:
    seen: set[int] = set()
    for serials in sets:
        if not seen.isdisjoint(serials):
            raise StatusMalformedError("a serial stands in two sets", field="body")
        seen.update(serials)
