"""Status deltas: any chain gives the full list byte for byte; what does not start from the held list is refused."""

import json
import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator import signer

from mingzheng.formats import cbor, cose
from mingzheng.keys.alg import Alg
from mingzheng.keys.signer import InMemorySigner
from mingzheng.log import statusdelta
from mingzheng.log.acts import SerialState
from mingzheng.log.entry import OriginHead
from mingzheng.log.errors import StatusError, StatusMalformedError
from mingzheng.log.hashing import Hash
from mingzheng.log.status import StatusBody, encode_body, open_status_list, sign_status_list, status_from_events
from mingzheng.log.statusdelta import (
    MAX_CHANGES,
    StatusDeltaBaseError,
    StatusDeltaTooLargeError,
    StatusDeltaUnrelatedError,
    apply_delta,
    apply_deltas,
    make_delta,
)

STATUS = signer("status 1")
STATES = st.dictionaries(st.integers(0, 300), st.sampled_from(SerialState), max_size=60)


def body_of(states: dict[int, SerialState], step: int, issuer: int = 1) -> StatusBody:
    """The list of one hour; serials that were known stay known."""
    known = {0: SerialState.LIVE, 300 + step: SerialState.LIVE} | states
    head = OriginHead(1, 10 * step, Hash(bytes([step]) * 32))
    return status_from_events(
        known, issuer=issuer, this_update=3_600 * (step + 1), next_update=3_600 * (step + 2), origins=[head]
    )


def signed(states: dict[int, SerialState], step: int, issuer: int = 1) -> bytes:
    return sign_status_list(body_of(states, step, issuer), STATUS)


@given(st.lists(STATES, min_size=2, max_size=5))
def test_a_chain_of_deltas_is_the_full_list_byte_for_byte(history: list[dict[int, SerialState]]) -> None:
    lists = [signed(states, step) for step, states in enumerate(history)]
    deltas = [make_delta(old, new) for old, new in pairwise(lists)]
    assert apply_deltas(lists[0], deltas) == lists[-1]
    assert apply_delta(lists[0], make_delta(lists[0], lists[-1])) == lists[-1]
    assert open_status_list(apply_deltas(lists[0], deltas), STATUS.public_key) == body_of(history[-1], len(history) - 1)
    assert apply_deltas(lists[0], []) == lists[0]


def test_a_delta_fits_the_list_that_it_starts_from_and_no_other() -> None:
    lists = [signed({7: SerialState.REVOKED} if step > 1 else {}, step) for step in range(4)]
    delta = make_delta(lists[1], lists[2])
    for step in (0, 2, 3):
        with pytest.raises(StatusDeltaBaseError):
            apply_delta(lists[step], delta)
    with pytest.raises(StatusDeltaBaseError):
        apply_delta(signed({}, 1, issuer=2), delta)
    with pytest.raises(StatusDeltaBaseError):
        apply_deltas(lists[0], [make_delta(lists[0], lists[1]), make_delta(lists[2], lists[3])])
    resigned = sign_status_list(body_of({}, 1), signer("another"))
    assert apply_delta(resigned, delta) == lists[2]  # the same body under another key is the same list


def test_there_is_no_delta_between_lists_that_do_not_follow() -> None:
    with pytest.raises(StatusDeltaUnrelatedError, match="same issuer"):
        make_delta(signed({}, 0), signed({}, 1, issuer=2))
    with pytest.raises(StatusDeltaUnrelatedError, match="later list"):
        make_delta(signed({}, 1), signed({}, 0))
    fewer = replace(body_of({}, 1), next_serial=5)
    with pytest.raises(StatusDeltaUnrelatedError, match="fewer"):
        make_delta(signed({}, 0), sign_status_list(fewer, STATUS))
    for data in (b"", b"\xd2", signed({}, 0)[:-1]):
        with pytest.raises(StatusMalformedError):
            make_delta(data, signed({}, 1))


OLD = signed({3: SerialState.SUSPENDED, 9: SerialState.REVOKED}, 1)
NEW = signed({3: SerialState.REVOKED, 9: SerialState.REVOKED, 12: SerialState.VOID}, 2)
DELTA = make_delta(OLD, NEW)
EMPTY = (0, b"")


def fields() -> list[cbor.Value]:
    value = cbor.decode(DELTA, max_bytes=10_000, max_depth=4)
    assert isinstance(value, tuple)
    return list(value)


def sets(*changed: tuple[int, cbor.Value]) -> tuple[cbor.Value, ...]:
    items = fields()[8]
    assert isinstance(items, tuple)
    return tuple((dict(enumerate(items)) | dict(changed)).values())


BAD: list[tuple[int, cbor.Value]] = [
    *((0, value) for value in (0, 2, "1")),
    *((1, value) for value in (b"", bytes(31), 7)),
    *((2, value) for value in (7, "x", bytes(65))),
    *((3, value) for value in (b"", bytes(63), 7)),
    *((4, value) for value in (-1, 5, 301, 2**40 + 1, "1")),
    *((5, value) for value in (0, -1, "1", 2**40, 1)),
    *((6, value) for value in (0, "1", 1)),
    *((7, value) for value in ((), ((0, 1, bytes(32)),), ((1, 1, b""),))),
    *((8, value) for value in ((), sets()[:3], (*sets(), (EMPTY, EMPTY)), 7)),
    *(
        (8, sets((0, value)))
        for value in (7, (), (EMPTY,), (EMPTY, 7), (EMPTY, (-1, b"")), (EMPTY, (0,)), (EMPTY, ("0", b"")))
    ),
    (8, sets((0, ((1, b"\x0b\x80"), EMPTY)))),
    (8, sets((0, (EMPTY, (1, bytes(40)))))),
    (8, sets((3, (EMPTY, EMPTY)))),
]


@pytest.mark.parametrize(("at", "value"), BAD, ids=str)
def test_hostile_deltas_are_refused(at: int, value: cbor.Value) -> None:
    changed = fields()
    changed[at] = value
    with pytest.raises(StatusError):
        apply_delta(OLD, cbor.encode(tuple(changed)))


def test_what_leaves_was_there_and_what_joins_was_not() -> None:
    """Serial 9 is in the revoked set already, serial 12 in none."""
    whole = encode_body(body_of({9: SerialState.REVOKED}, 2))
    parsed = cbor.decode(whole, max_bytes=1000, max_depth=4)
    assert isinstance(parsed, tuple)
    nine = parsed[6]
    for pair in ((EMPTY, nine), (nine, nine)):
        changed = fields()
        changed[8] = sets((0, pair))
        with pytest.raises(StatusMalformedError):
            apply_delta(OLD, cbor.encode(tuple(changed)))
    changed = fields()
    changed[8] = sets((2, (nine, EMPTY)))
    with pytest.raises(StatusMalformedError):
        apply_delta(OLD, cbor.encode(tuple(changed)))


def test_a_delta_says_at_most_so_many_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody signed it: DELTA says that one serial left and two joined."""
    monkeypatch.setattr(statusdelta, "MAX_CHANGES", 3)
    assert apply_delta(OLD, make_delta(OLD, NEW)) == NEW
    monkeypatch.setattr(statusdelta, "MAX_CHANGES", 2)
    with pytest.raises(StatusDeltaTooLargeError) as refused:
        apply_delta(OLD, DELTA)
    assert (refused.value.code, refused.value.got) == ("status.delta_too_large", 3)
    with pytest.raises(StatusDeltaTooLargeError):
        make_delta(OLD, NEW)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("side", range(2))
def test_a_delta_of_few_bytes_for_many_serials_is_not_unpacked(
    place: int, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bit a serial: two megabytes would be 16 million numbers, 16 MiB 134 million."""
    monkeypatch.setattr(statusdelta, "decode_set", None)
    for count in (MAX_CHANGES + 1, 8 << 21):
        many = (count, bytes(1 << 21))
        changed = fields()
        changed[4] = 2 * count
        changed[8] = sets(*((at, (EMPTY, EMPTY)) for at in range(4)), (place, (many, EMPTY) if side else (EMPTY, many)))
        with pytest.raises(StatusDeltaTooLargeError):
            apply_delta(OLD, cbor.encode(tuple(changed)))


def test_other_shapes_are_refused() -> None:
    for data in (b"", b"\x80", DELTA[:-1], DELTA + b"\x00", cbor.encode(tuple(fields()[:-1]))):
        with pytest.raises(StatusMalformedError):
            apply_delta(OLD, data)
    header = cose.encode_sign1(cose.Sign1(protected=b"", unprotected={4: b""}, payload=b"", signature=bytes(64)))
    with pytest.raises(StatusMalformedError):
        apply_delta(header, DELTA)


def test_a_flipped_bit_never_gives_a_list_that_verifies() -> None:
    for position in range(len(DELTA) * 8):
        changed = bytearray(DELTA)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(StatusError):
            open_status_list(apply_delta(OLD, bytes(changed)), STATUS.public_key)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_status_errors(data: bytes) -> None:
    with pytest.raises(StatusError):
        apply_delta(OLD, data)


def test_an_hour_of_a_million_serials_takes_few_bytes() -> None:
    """1 % of 10^6 serials in the sets; an hour adds 2 revocations in a busy register."""
    rng = random.Random(1)
    serials = rng.sample(range(1_000_000), 10_000)
    before = StatusBody(
        issuer=1,
        next_serial=1_000_000,
        this_update=1,
        next_update=2,
        origins=(OriginHead(1, 10, Hash(bytes(32))),),
        revoked=tuple(sorted(serials[:-2])),
        superseded=(),
        void=(),
        suspended=(),
    )
    after = replace(before, revoked=tuple(sorted(serials)), this_update=3_601, next_update=3_602)
    old, new = sign_status_list(before, STATUS), sign_status_list(after, STATUS)
    delta = make_delta(old, new)
    assert apply_delta(old, delta) == new
    assert len(delta) < 220 < 9_000 < len(new)


def test_the_spec_page_shows_the_bytes_of_a_delta() -> None:
    """From the list of the page, an hour later: 1002 is reinstated, 1004 revoked, 1005 issued, nothing else."""
    root = Path(__file__).parents[2]
    case = json.loads((root / "tests/vectors/status/status.json").read_text(encoding="utf-8"))
    key = InMemorySigner.from_private_bytes(Alg.ED25519, bytes.fromhex(case["key"]["seed"]))
    held = bytes.fromhex(case["list"])
    body = open_status_list(held, key.public_key)
    later = replace(
        body,
        next_serial=1006,
        this_update=body.this_update + 3_600,
        next_update=body.next_update + 3_600,
        origins=(body.origins[0], OriginHead(7, 14, Hash(b"\x14" * 32))),
        revoked=(1001, 1003, 1004),
        suspended=(),
    )
    after = sign_status_list(later, key)
    page = (root / "docs/spec/status.md").read_text(encoding="utf-8").split("### Example bytes of a delta", 1)[1]
    shown, packed = re.findall(r"^```hex\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    delta, listed = (
        bytes.fromhex("".join("".join(line.split("#")[0].split()) for line in item.splitlines()))
        for item in (shown, packed)
    )
    assert delta == make_delta(held, after)
    assert listed == after == apply_delta(held, delta)
    assert f"({len(delta)} bytes)" in page
    assert f"({len(listed)} bytes)" in page
