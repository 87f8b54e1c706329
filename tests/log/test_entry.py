"""Entries: the reference bytes, round trips, and every field at and beyond its bounds."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.cbor import decode
from mingzheng.keys.alg import Alg, parse_public_key, verify
from mingzheng.keys.kid import Kid
from mingzheng.log.acts import ActType
from mingzheng.log.entry import (
    ActEntry,
    Entry,
    FillerEntry,
    IssueEntry,
    KeyEventEntry,
    KeyEventType,
    LandmarkEntry,
    NoticeEntry,
    NoticeType,
    OriginHead,
    OriginSize,
    Request,
    StatusEntry,
    TimeEntry,
    act_message,
    asked_of,
    encode_entry,
    issue_entry,
    parse_entry,
    request_message,
)
from mingzheng.log.errors import EntryError, EntryTooLargeError, EntryTypeError, EntryVersionError, LogError
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import root_of

VECTORS = Path(__file__).parents[1] / "vectors" / "log"
LOG = json.loads((VECTORS / "log.json").read_text(encoding="utf-8"))
CASES = {case["name"]: case for case in LOG["entries"]}
KID = Kid(b"kidkidki")
HASH = bytes(range(32))
SIGNATURE = bytes(64)
HEADS = (OriginHead(1, 0, Hash(HASH)), OriginHead(9, 2**63 - 1, Hash(HASH)))

SAMPLES: tuple[Entry, ...] = (
    IssueEntry(issuer=1, kid=KID, kind=1, serial=0, identity=HASH, issued_day=-1),
    ActEntry(issuer=1, kid=KID, act_number=0, act=ActType.VOID, serials=(0, 5), day=0, signature=SIGNATURE),
    NoticeEntry(issuer=1, kid=KID, act_number=1, notice=NoticeType.SEAL_CHANGE, day=9, body=b"", signature=SIGNATURE),
    KeyEventEntry(
        issuer=1,
        kid=KID,
        act_number=2,
        event=KeyEventType.COMPROMISED,
        subject_kid=KID,
        day=3,
        sizes=(OriginSize(1, 0), OriginSize(2, 7)),
        signature=SIGNATURE,
    ),
    StatusEntry(issuer=1, origins=HEADS, this_update=1, next_update=2, sha256=HASH),
    LandmarkEntry(origins=HEADS, this_update=1, next_update=2**40 - 1, sha256=HASH),
    TimeEntry(seconds=1),
    FillerEntry(),
)
REQUEST = Request(kid=Kid(b"requests"), day=-3, signature=bytes([7]) * 64)
OF_TWO = tuple(replace(sample, request=REQUEST) for sample in SAMPLES if isinstance(sample, ActEntry | NoticeEntry))


# --- reference bytes


@pytest.mark.parametrize("name", CASES)
def test_reference_entry_is_read_and_written_byte_for_byte(name: str) -> None:
    case = CASES[name]
    data = bytes.fromhex(case["hex"])
    entry = parse_entry(data)
    assert encode_entry(entry) == data
    assert leaf_hash(data).hex() == case["leaf_hash"]
    if "message" in case:
        assert isinstance(entry, ActEntry | NoticeEntry | KeyEventEntry)
        message = act_message(entry, LOG["origin"])
        assert message.hex() == case["message"]
        key = parse_public_key(bytes.fromhex(case["spki"]), alg=Alg.ED25519)
        verify(key, signature=entry.signature, message=message)
    if "request_message" in case:
        assert isinstance(entry, ActEntry | NoticeEntry)
        assert entry.request is not None
        kid, day = entry.request.kid, entry.request.day
        message = request_message(asked_of(entry), LOG["origin"], kid=kid, day=day)
        assert message.hex() == case["request_message"]
        key = parse_public_key(bytes.fromhex(case["request_spki"]), alg=Alg.ED25519)
        verify(key, signature=entry.request.signature, message=message)


def test_reference_entries_cover_all_eight_types() -> None:
    kinds = {type(parse_entry(bytes.fromhex(case["hex"]))) for case in LOG["entries"]}
    assert kinds == {type(sample) for sample in SAMPLES}


def test_reference_log_has_the_reference_root() -> None:
    leaves = [leaf_hash(bytes.fromhex(CASES[name]["hex"])) for name in LOG["order"]]
    assert root_of(leaves).hex() == LOG["root"]


def test_values_of_the_reference_entries() -> None:
    act = parse_entry(bytes.fromhex(CASES["act-revoke"]["hex"]))
    assert isinstance(act, ActEntry)
    assert (act.act, act.serials, act.act_number) == (ActType.REVOKE, (1001, 1003), 1)
    widest = parse_entry(bytes.fromhex(CASES["issue-widest"]["hex"]))
    assert isinstance(widest, IssueEntry)
    assert widest.serial == 2**40 - 1
    assert len(CASES["issue-widest"]["hex"]) // 2 <= 80


# --- building


@dataclass(frozen=True)
class Claims:
    kind: int
    serial: int
    copy_issued_on: int
    name: str = "张三"


def test_issue_entry_takes_nothing_personal_and_depends_on_each_part() -> None:
    base = issue_entry(Claims(1, 7, 20_000), identity=HASH, kid=KID, issuer=3)
    assert base == IssueEntry(issuer=3, kid=KID, kind=1, serial=7, identity=HASH, issued_day=20_000)
    assert "张三".encode() not in encode_entry(base)
    others = [
        issue_entry(Claims(2, 7, 20_000), identity=HASH, kid=KID, issuer=3),
        issue_entry(Claims(1, 8, 20_000), identity=HASH, kid=KID, issuer=3),
        issue_entry(Claims(1, 7, 20_001), identity=HASH, kid=KID, issuer=3),
        issue_entry(Claims(1, 7, 20_000), identity=bytes(32), kid=KID, issuer=3),
        issue_entry(Claims(1, 7, 20_000), identity=HASH, kid=Kid(bytes(8)), issuer=3),
        issue_entry(Claims(1, 7, 20_000), identity=HASH, kid=KID, issuer=4),
    ]
    assert len({leaf_hash(encode_entry(entry)) for entry in [base, *others]}) == 7


@pytest.mark.parametrize("sample", [*SAMPLES, *OF_TWO], ids=lambda s: type(s).__name__)
def test_round_trip(sample: Entry) -> None:
    assert parse_entry(encode_entry(sample)) == sample


def test_act_message_binds_origin_and_every_field_but_the_signature() -> None:
    act = SAMPLES[1]
    assert isinstance(act, ActEntry)
    message = act_message(act, "log.example/a")
    assert message == act_message(replace(act, signature=bytes([1]) * 64), "log.example/a")
    assert cbor2.loads(message) == ["mingzheng/act/v1", "log.example/a", [1, 2, 1, KID, 0, 5, [0, 5], 0]]
    changed = [replace(act, issuer=2), replace(act, kid=Kid(bytes(8))), replace(act, act_number=1)]
    changed += [replace(act, act=ActType.REVOKE), replace(act, serials=(0, 6)), replace(act, day=1)]
    messages = {act_message(other, "log.example/a") for other in changed} | {act_message(act, "log.example/b")}
    assert message not in messages
    assert len(messages) == 7


def test_act_message_covers_the_request() -> None:
    for entry in OF_TWO:
        message = act_message(entry, "log.example/a")
        assert cbor2.loads(message)[2][-1] == [REQUEST.kid, REQUEST.day, REQUEST.signature]
        changed = [replace(REQUEST, kid=KID), replace(REQUEST, day=0), replace(REQUEST, signature=SIGNATURE), None]
        others = {act_message(replace(entry, request=other), "log.example/a") for other in changed}
        assert len(others | {message}) == 5


def test_request_message_binds_origin_and_everything_that_is_asked_for() -> None:
    act, notice = OF_TWO
    asked = asked_of(act)
    message = request_message(asked, "log.example/a", kid=KID, day=-3)
    assert cbor2.loads(message) == ["mingzheng/request/v1", "log.example/a", 1, 2, 5, [0, 5], KID, -3]
    told = request_message(asked_of(notice), "log.example/a", kid=KID, day=-3)
    assert cbor2.loads(told) == ["mingzheng/request/v1", "log.example/a", 1, 3, 3, b"", KID, -3]
    others = [
        request_message(replace(asked, issuer=2), "log.example/a", kid=KID, day=-3),
        request_message(replace(asked, code=ActType.REVOKE), "log.example/a", kid=KID, day=-3),
        request_message(replace(asked, about=(0, 6)), "log.example/a", kid=KID, day=-3),
        request_message(asked, "log.example/b", kid=KID, day=-3),
        request_message(asked, "log.example/a", kid=REQUEST.kid, day=-3),
        request_message(asked, "log.example/a", kid=KID, day=-2),
    ]
    assert len({message, told, *others, act_message(act, "log.example/a")}) == 9


def test_limits_at_the_cap_and_one_beyond() -> None:
    act = SAMPLES[1]
    assert isinstance(act, ActEntry)
    full = replace(act, serials=tuple(range(2**40 - 4096, 2**40)), request=REQUEST)
    data = encode_entry(full)
    assert len(data) <= 40_000
    assert parse_entry(data) == full
    with pytest.raises(EntryError, match="4097"):
        encode_entry(replace(act, serials=tuple(range(4097))))
    notice = SAMPLES[2]
    assert isinstance(notice, NoticeEntry)
    assert parse_entry(encode_entry(replace(notice, body=bytes(32_768)))) == replace(notice, body=bytes(32_768))
    with pytest.raises(EntryError, match="32768"):
        encode_entry(replace(notice, body=bytes(32_769)))
    heads = tuple(OriginHead(n, 2**62, Hash(HASH)) for n in range(1, 2000))
    with pytest.raises(EntryTooLargeError) as caught:
        encode_entry(StatusEntry(issuer=1, origins=heads, this_update=1, next_update=2, sha256=HASH))
    assert caught.value.code == "entry.too_large"
    with pytest.raises(EntryTooLargeError):
        parse_entry(bytes(40_001))


# --- hostile


ISSUE = [1, 1, 1, KID, 1, 0, HASH, 0]
ACT = [1, 2, 1, KID, 0, 1, [0], 0, SIGNATURE]
NOTICE = [1, 3, 1, KID, 0, 1, 0, b"", SIGNATURE]
ACT_OF_TWO = [*ACT[:-1], [KID, 0, SIGNATURE], SIGNATURE]
NOTICE_OF_TWO = [*NOTICE[:-1], [KID, 0, SIGNATURE], SIGNATURE]
EVENT = [1, 4, 1, KID, 0, 1, KID, 0, [], SIGNATURE]
STATUS = [1, 5, 1, [[1, 0, HASH]], 1, 2, HASH]
LANDMARK = [1, 6, [[1, 0, HASH]], 1, 2, HASH]
TIME = [1, 7, 1]

NOT_NUMBER = (0, -1, 65_536, b"", "1", [1], {})
NOT_BYTES = (b"", b"\0" * 7, "kidkidki", 1, [])
NOT_SERIAL = (-1, 2**40, b"", "0", [0])
NOT_DAY = (-25_568, 2_932_897, 2**63, b"", "0", [])
NOT_SECONDS = (0, -1, 2**40, "1", b"")
NOT_HEADS = ([], 1, [1], [[1, 0]], [[1, 0, HASH, 0]], [[0, 0, HASH]], [[65_536, 0, HASH]], [[1, -1, HASH]])
NOT_HEADS += ([[1, 2**63, HASH]], [[1, 0, HASH[:31]]], [[1, 0, HASH], [1, 0, HASH]], [[2, 0, HASH], [1, 0, HASH]], {})
NOT_SERIALS = ([], 5, [5, 5], [6, 5], [-1], [2**40], ["1"], [[1]], {}, b"\1")
NOT_REQUEST = (0, b"", SIGNATURE, KID, [], [KID], [KID, 0], [KID, 0, SIGNATURE, 0], [KID[:7], 0, SIGNATURE], {})
NOT_REQUEST += ([KID, -25_568, SIGNATURE], [KID, "0", SIGNATURE], [KID, 0, SIGNATURE[:63]], [KID, 0, [SIGNATURE]])
NOT_SIZES = (0, [1], [[1]], [[1, 2, 3]], [[0, 1]], [[1, -1]], [[1, 2**63]], [[1, 1], [1, 1]], [[2, 1], [1, 1]], {})

FAULTS: list[tuple[list[object], int, str, tuple[object, ...]]] = [
    (ISSUE, 2, "issuer", NOT_NUMBER), (ISSUE, 3, "kid", NOT_BYTES), (ISSUE, 4, "kind", NOT_NUMBER),
    (ISSUE, 5, "serial", NOT_SERIAL), (ISSUE, 6, "identity", (*NOT_BYTES, HASH + b"\0")),
    (ISSUE, 7, "issued_day", NOT_DAY),
    (ACT, 2, "issuer", NOT_NUMBER), (ACT, 3, "kid", NOT_BYTES), (ACT, 4, "act_number", NOT_SERIAL),
    (ACT, 5, "act", (0, 6, -1, "1", b"")), (ACT, 6, "serials", NOT_SERIALS), (ACT, 7, "day", NOT_DAY),
    (ACT, 8, "signature", (*NOT_BYTES, bytes(63), bytes(65))),
    (NOTICE, 2, "issuer", NOT_NUMBER), (NOTICE, 3, "kid", NOT_BYTES), (NOTICE, 4, "act_number", NOT_SERIAL),
    (NOTICE, 5, "notice", (0, 5)), (NOTICE, 6, "day", NOT_DAY), (NOTICE, 7, "body", ("", 1, [], bytes(32_769))),
    (NOTICE, 8, "signature", NOT_BYTES),
    (ACT_OF_TWO, 8, "request", NOT_REQUEST), (ACT_OF_TWO, 9, "signature", NOT_BYTES),
    (NOTICE_OF_TWO, 8, "request", NOT_REQUEST), (NOTICE_OF_TWO, 9, "signature", NOT_BYTES),
    (EVENT, 2, "issuer", NOT_NUMBER), (EVENT, 3, "kid", NOT_BYTES), (EVENT, 4, "act_number", NOT_SERIAL),
    (EVENT, 5, "event", (0, 4)), (EVENT, 6, "subject_kid", NOT_BYTES), (EVENT, 7, "day", NOT_DAY),
    (EVENT, 8, "sizes", NOT_SIZES), (EVENT, 9, "signature", NOT_BYTES),
    (STATUS, 2, "issuer", NOT_NUMBER), (STATUS, 3, "origins", NOT_HEADS), (STATUS, 4, "this_update", NOT_SECONDS),
    (STATUS, 5, "next_update", (*NOT_SECONDS, 1)), (STATUS, 6, "sha256", NOT_BYTES),
    (LANDMARK, 2, "origins", NOT_HEADS), (LANDMARK, 3, "this_update", NOT_SECONDS),
    (LANDMARK, 4, "next_update", (*NOT_SECONDS, 1)), (LANDMARK, 5, "sha256", NOT_BYTES),
    (TIME, 2, "seconds", NOT_SECONDS),
]  # fmt: skip


@pytest.mark.parametrize(("good", "at", "field", "bad"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_each_field_outside_its_bounds_is_refused_by_name(
    good: list[object], at: int, field: str, bad: tuple[object, ...]
) -> None:
    parse_entry(cbor2.dumps(good))
    for value in bad:
        changed = [*good[:at], value, *good[at + 1 :]]
        with pytest.raises(EntryError) as caught:
            parse_entry(cbor2.dumps(changed, canonical=True))
        assert caught.value.field == field, value


@pytest.mark.parametrize("good", [ISSUE, ACT, NOTICE, ACT_OF_TWO, NOTICE_OF_TWO, EVENT, STATUS, LANDMARK, TIME, [1, 8]])
def test_every_other_number_of_items_is_refused(good: list[object]) -> None:
    parse_entry(cbor2.dumps(good))
    for changed in ([*good, 0], good[:-1], good[:1], []):
        with pytest.raises(EntryError):
            parse_entry(cbor2.dumps(changed))


def test_unknown_versions_and_types_have_their_own_errors() -> None:
    for version in (0, 2, -1, 2**64 - 1):
        with pytest.raises(EntryVersionError):
            parse_entry(cbor2.dumps([version, 8]))
    for number in (0, 11, -1, 2**64 - 1):
        with pytest.raises(EntryTypeError):
            parse_entry(cbor2.dumps([1, number]))


@pytest.mark.parametrize("value", [1, b"", "", {}, [], [1], {1: 8}, [b"", 8], ["1", 8], [1, "8"], [1, []], [[1], 8]])
def test_other_shapes_are_refused(value: object) -> None:
    with pytest.raises(EntryError) as caught:
        parse_entry(cbor2.dumps(value))
    assert caught.value.code == "entry.malformed"


@pytest.mark.parametrize(
    "data",
    ["", "82", "8201", "82010800", "9f0108ff", "82180108", "820118 08", "d2820108", "82f508", "8201f6",
     "82fa3f80000008", "98020108", "c6820108", "a0", "ff", "8201fb4020000000000000", "8883" + "81" * 50],
)  # fmt: skip
def test_other_spellings_are_refused_with_their_place(data: str) -> None:
    with pytest.raises(EntryError):
        parse_entry(bytes.fromhex(data.replace(" ", "")))


def test_the_offset_of_a_spelling_fault_is_kept() -> None:
    with pytest.raises(EntryError) as caught:
        parse_entry(bytes.fromhex("82010800"))
    assert caught.value.offset == 3
    assert "cbor.trailing" in str(caught.value)


def test_every_truncation_and_every_trailing_byte_is_refused() -> None:
    for case in LOG["entries"]:
        data = bytes.fromhex(case["hex"])
        for end in range(len(data)):
            with pytest.raises(EntryError):
                parse_entry(data[:end])
        with pytest.raises(EntryError):
            parse_entry(data + b"\0")


def test_a_flipped_bit_is_refused_or_another_entry_in_its_one_spelling() -> None:
    for name in (
        "issue-0",
        "act-revoke",
        "act-revoke-two",
        "keyevent-compromised",
        "status",
        "landmark",
        "time",
        "filler",
    ):
        data = bytes.fromhex(CASES[name]["hex"])
        for at in range(len(data)):
            for bit in range(8):
                changed = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
                try:
                    entry = parse_entry(changed)
                except EntryError:
                    continue
                assert encode_entry(entry) == changed


@given(st.binary(max_size=120))
def test_random_bytes_raise_nothing_but_entry_errors(data: bytes) -> None:
    for prefix in (b"", b"\x88\x01\x01", b"\x89\x01\x02\x01\x48kidkidki"):
        try:
            entry = parse_entry(prefix + data)
        except EntryError:
            continue
        assert encode_entry(entry) == prefix + data


ints = st.integers(-(2**64), 2**64 - 1)
items = st.recursive(
    ints | st.binary(max_size=64) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 5), inner, max_size=2),
    max_leaves=12,
)


@given(st.integers(0, 9), st.lists(items, max_size=9))
def test_random_values_raise_nothing_but_entry_errors(number: int, rest: list[object]) -> None:
    data = cbor2.dumps([1, number, *rest], canonical=True)
    try:
        entry = parse_entry(data)
    except EntryError:
        return
    assert encode_entry(entry) == data


def test_encoding_refuses_what_parsing_refuses() -> None:
    for bad in (
        replace(SAMPLES[0], issuer=0),  # type: ignore[type-var]
        replace(SAMPLES[0], serial=True),  # type: ignore[type-var]
        replace(SAMPLES[1], serials=(3, 3)),  # type: ignore[type-var]
        replace(SAMPLES[4], next_update=1),  # type: ignore[type-var]
    ):
        with pytest.raises(LogError):
            encode_entry(bad)


def test_entries_hold_no_text_at_all() -> None:
    """Nothing a person could be named by: numbers, hashes, keys and a notice's body are all there is."""

    def walk(value: object) -> list[object]:
        return [leaf for item in value for leaf in walk(item)] if isinstance(value, tuple) else [value]

    for case in LOG["entries"]:
        value = decode(bytes.fromhex(case["hex"]), max_bytes=40_000, max_depth=3)
        assert not any(isinstance(leaf, str) for leaf in walk(value))
