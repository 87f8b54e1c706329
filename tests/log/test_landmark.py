"""Landmark lists: reference bytes, one spelling, roots that hash up to the signed head, lookups, hostile lists."""

import json
import random
import re
import runpy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import FULL
from hypothesis import given
from hypothesis import strategies as st
from simulator import MemoryLog, noon, signer

from mingzheng.formats import cbor, cose
from mingzheng.formats.civil import parse_day
from mingzheng.keys.alg import Alg, parse_public_key
from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import vkey_for
from mingzheng.log import landmark
from mingzheng.log.block import blocks
from mingzheng.log.entry import LandmarkEntry, OriginHead, encode_entry
from mingzheng.log.errors import BlockError, LogError, ProofError
from mingzheng.log.hashing import Hash
from mingzheng.log.landmark import (
    LANDMARK_DOMAIN,
    LIVE_SECONDS,
    MAX_BYTES,
    BlockBook,
    LandmarkBody,
    LandmarkError,
    LandmarkForgedError,
    LandmarkIndex,
    LandmarkMalformedError,
    LandmarkUnprovedError,
    LandmarkUntrueError,
    check_landmark,
    encode_body,
    landmark_entry,
    open_landmark_list,
    parse_body,
    sign_landmark_list,
    verify_landmark_proof,
)
from mingzheng.log.merkle import subtree_root, tree_root
from mingzheng.log.proof import build_consistency
from mingzheng.log.receipt import parse_tlog_proof
from mingzheng.log.status import STATUS_DOMAIN

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
FILE = json.loads((VECTORS / "landmark" / "landmark.json").read_text(encoding="utf-8"))
CASES = {case["name"]: case for case in FILE["cases"]}
SIGNER = InMemorySigner.from_private_bytes(Alg.ED25519, bytes.fromhex(FILE["key"]["seed"]))
ECDSA_SIGNER = InMemorySigner.from_private_bytes(Alg.ESP256, bytes([7]) * 32)
DAY = 86_400
NOW = noon(parse_day("2026-06-01"))
EXAMPLE = parse_body(bytes.fromhex(CASES["second-round"]["body"]))


class Drawn:
    """A log in memory whose book of blocks is kept round by round."""

    def __init__(self, lengths: list[int], *, height: int = 4, seconds: int = 60) -> None:
        self.log = MemoryLog(1, height=height)
        self.book = BlockBook(origin=1, height=height)
        self.heads = [self.log.head()]
        for number, count in enumerate(lengths):
            self.log.append([b"%d %d" % (number, place) for place in range(count)], now=NOW + number * seconds)
            self.book.add_round(self.log.size, self.log.now, self.log.node)
            self.heads.append(self.log.head())

    def draw(self, head: OriginHead | None = None, *, now: int | None = None) -> LandmarkBody:
        now = self.log.now if now is None else now
        return self.book.draw(head or self.log.head(), this_update=now, next_update=now + DAY, read=self.log.node)


@pytest.mark.parametrize("name", CASES)
def test_reference_lists_are_read_and_written_byte_for_byte(name: str) -> None:
    case = CASES[name]
    key = parse_public_key(bytes.fromhex(FILE["key"]["spki"]), alg=Alg.ED25519)
    body = open_landmark_list(bytes.fromhex(case["list"]), key)
    assert encode_body(body).hex() == case["body"]
    assert sign_landmark_list(body, SIGNER).hex() == case["list"]
    assert encode_entry(landmark_entry(body)).hex() == case["entry"]
    index = LandmarkIndex(body)
    assert len(index) == len(body.roots) // 32


def test_the_reference_vectors_are_what_the_independent_program_makes() -> None:
    pytest.importorskip("cbor2")
    program = runpy.run_path(str(VECTORS / "make_landmark_vectors.py"), run_name="make_landmark_vectors")
    assert program["made"]() == FILE


def test_the_spec_page_shows_the_reference_bytes() -> None:
    page = (ROOT / "docs" / "spec" / "landmark.md").read_text(encoding="utf-8")
    (fence,) = re.findall(r"^```hex\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = "".join("".join(line.split("#")[0].split()) for line in fence.splitlines())
    case = CASES["second-round"]
    assert shown == case["body"]
    assert f"body ({len(shown) // 2} bytes)" in page
    assert f"({len(case['list']) // 2} bytes)" in page


# --- drawing


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 6), st.integers(0, 12))
def test_every_list_hashes_up_to_its_head_and_holds_every_block(lengths: list[int], height: int, at: int) -> None:
    drawn = Drawn(lengths, height=height)
    head = drawn.heads[min(at, len(lengths))]
    if head.size == 0:
        assert drawn.draw(head).roots == b""
        return
    body = drawn.draw(head)
    assert parse_body(encode_body(body)) == body
    index = LandmarkIndex(body)
    start = seen = 0
    for length in body.rounds:
        for block in blocks(start, start + length, height):
            root = subtree_root(block.start, block.end, drawn.log.node)
            assert index.holds(block.start, block.end, root)
            assert not index.holds(block.start, block.end, bytes(32))
            assert not index.holds(block.start, block.end + block.width, root)
            for leaf in range(block.start, block.end):
                assert index.block_at(leaf) == (block, root)
            seen += 1
        start += length
    assert (seen, start) == (len(index), head.size)
    assert index.block_at(-1) is None
    assert index.block_at(head.size) is None
    assert not index.holds(head.size, head.size + 2, bytes(32))


@pytest.mark.parametrize(
    ("days", "first"), [(0, 0), (400, 0), (401, 1), (402, 2), (408, 8), (409, 9), (410, 10), (500, 10)]
)
def test_a_list_begins_with_the_live_range(days: int, first: int) -> None:
    drawn = Drawn([3, 5, 1, 8, 2, 2, 30, 7, 1, 9], seconds=DAY)
    body = drawn.draw(now=NOW + days * DAY)
    assert body.start == drawn.heads[first].size
    assert len(body.rounds) == 10 - first
    check_landmark(body)
    assert parse_body(encode_body(body)) == body


def test_the_live_range_is_longer_than_every_shipped_usage_window() -> None:
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "formats" / "profiles").glob("*.toml"))
    windows = [int(days) for days in re.findall(r"^\[usage_window\.days\]\nvalue = (\d+)", rules, re.MULTILINE)]
    assert windows
    assert max(windows) * DAY < LIVE_SECONDS


@pytest.mark.parametrize(("most", "start"), [(1, None), (3, 3), (4, 3), (5, 2), (6, 0), (7, 0)])
def test_a_list_keeps_the_newest_whole_rounds_under_its_cap(
    most: int, start: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Drawn([1, 1, 3, 5])  # blocks: 1, 1, 1, 3 of rounds of 2, 2, 4, 6 leaves
    assert [len(blocks(a.size, b.size, 4)) for a, b in zip(drawn.heads, drawn.heads[1:], strict=False)] == [1, 1, 1, 2]
    monkeypatch.setattr(landmark, "MAX_BLOCKS", most)
    body = drawn.draw()
    want = {1: 4, 3: 2, 4: 1, 5: 0, 6: 0, 7: 0}[most]
    assert body.start == drawn.heads[want].size
    check_landmark(body)


def test_a_book_that_begins_later_draws_the_same_list() -> None:
    drawn = Drawn([3, 5, 1, 8, 2], seconds=100 * DAY)
    later = BlockBook(origin=1, height=4, start=drawn.heads[2].size)
    for number in range(3, 6):
        later.add_round(drawn.heads[number].size, NOW + (number - 1) * 100 * DAY, drawn.log.node)
    now = NOW + 600 * DAY
    assert drawn.draw(now=now).start == drawn.heads[2].size
    again = later.draw(drawn.log.head(), this_update=now, next_update=now + DAY, read=drawn.log.node)
    assert again == drawn.draw(now=now)
    assert later.end == drawn.book.end == drawn.log.size


def test_a_list_ends_where_a_round_ends() -> None:
    drawn = Drawn([3, 5, 1])
    for head in (drawn.log.head()._replace(size=drawn.log.size - 1), drawn.log.head()._replace(origin=2)):
        with pytest.raises(LandmarkMalformedError, match="no round of origin"):
            drawn.draw(head)
    with pytest.raises(BlockError):
        drawn.book.add_round(drawn.log.size + 1, NOW, drawn.log.node)


# --- one spelling


def fields(body: LandmarkBody = EXAMPLE) -> list[cbor.Value]:
    value = cbor.decode(encode_body(body), max_bytes=MAX_BYTES, max_depth=3)
    assert isinstance(value, tuple)
    return list(value)


HEAD = tuple(EXAMPLE.head)
BAD: list[tuple[int, str, cbor.Value]] = [
    *((0, "version", value) for value in (0, 2, "1")),
    *((1, "origins", value) for value in (7, (), (7, 14), (0, *HEAD[1:]), (65_536, *HEAD[1:]), (7, -1, HEAD[2]))),
    *((1, "origins", value) for value in ((7, 14, HEAD[2][1:]), (7, 14, HEAD[2], 0), (7, 2**63, HEAD[2]))),
    *((1, "rounds", value) for value in ((7, 12, HEAD[2]), (7, 16, HEAD[2]), (7, 15, HEAD[2]), (7, 0, HEAD[2]))),
    *((2, "height", value) for value in (0, 9, "4")),
    *((3, "this_update", value) for value in (0, -1, 2**40, "1")),
    *((4, "next_update", value) for value in (0, EXAMPLE.this_update, 2**40)),
    *((5, "start", value) for value in (-1, "10", 2**63)),
    *((5, "left", value) for value in (0, 11, 14)),
    *((5, "rounds", value) for value in (6, 12, 18)),
    *((6, "left", value) for value in (b"", EXAMPLE.left[:-1], EXAMPLE.left + bytes(32), bytes(32))),
    *((6, "body", value) for value in (0, "", ())),
    *((7, "body", value) for value in (2, (2,))),
    *((7, "rounds", value) for value in (b"", b"\x00", b"\x01", b"\x03", b"\x82", b"\x82\x00", b"\x00\x02")),
    *(
        (7, "rounds", value)
        for value in (b"\x80\x80\x04", b"\xff\xff\xff\x01", b"\x81\x80\x02", b"\x01\x00", b"\x01" * 3)
    ),
    *((8, "body", value) for value in (2, (2,))),
    *((8, "roots", value) for value in (EXAMPLE.roots[:-32], EXAMPLE.roots[:-1], EXAMPLE.roots + bytes(32))),
    *((8, "rounds", value) for value in (b"", bytes(31))),
]


@pytest.mark.parametrize(("at", "field", "value"), BAD, ids=str)
def test_each_field_outside_its_bounds_is_refused_by_name(at: int, field: str, value: cbor.Value) -> None:
    changed = fields()
    changed[at] = value
    with pytest.raises(LandmarkMalformedError) as caught:
        parse_body(cbor.encode(tuple(changed)))
    assert caught.value.field == field


def test_other_shapes_are_refused() -> None:
    good = encode_body(EXAMPLE)
    for data in (b"", b"\x80", good[:-1], good + b"\x00", cbor.encode(tuple(fields()[:-1])), cbor.encode({1: 2})):
        with pytest.raises(LandmarkMalformedError):
            parse_body(data)
    with pytest.raises(LandmarkMalformedError):
        parse_body(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": (4.0,)},
        {"rounds": (True,)},
        {"rounds": (3,)},
        {"rounds": (65_538,)},
        {"rounds": ()},
        {"roots": bytes(32)},
        {"left": b""},
        {"height": 0},
        {"start": 11},
        {"this_update": 0},
        {"next_update": 1},
        {"head": EXAMPLE.head._replace(origin=0)},
        {"head": EXAMPLE.head._replace(size=13)},
    ],
    ids=str,
)
def test_values_outside_the_schema_are_not_written(change: dict[str, object]) -> None:
    with pytest.raises(LandmarkMalformedError):
        encode_body(replace(EXAMPLE, **change))  # type: ignore[arg-type]


def test_the_longest_round_and_the_most_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn([65_534], height=8)
    body = drawn.draw()
    assert body.rounds == (65_536,)
    assert parse_body(encode_body(body)) == body
    assert len(LandmarkIndex(body)) == 256
    monkeypatch.setattr(landmark, "MAX_BLOCKS", 255)
    with pytest.raises(LandmarkMalformedError, match="over 255 roots"):
        parse_body(encode_body_unchecked(body))


def encode_body_unchecked(body: LandmarkBody) -> bytes:
    return cbor.encode(
        (1, tuple(body.head), body.height, body.this_update, body.next_update, 0, b"", b"\x80\x80\x02", body.roots)
    )


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_landmark_errors(data: bytes) -> None:
    for read in (parse_body, lambda item: open_landmark_list(item, SIGNER.public_key)):
        with pytest.raises(LandmarkError):
            read(data)


def test_a_flipped_bit_of_the_body_is_refused_another_body_or_untrue() -> None:
    """No other list of the same head is true: only version, times and hashes can change at all."""
    data = encode_body(EXAMPLE)
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        try:
            body = parse_body(bytes(changed))
            assert encode_body(body) == changed
            check_landmark(body)
        except LandmarkError:
            continue
        assert replace(body, this_update=1, next_update=2, height=4) == replace(
            EXAMPLE, this_update=1, next_update=2, height=4, head=EXAMPLE.head._replace(origin=body.head.origin)
        )


@pytest.mark.parametrize("part", ["left", "roots"])
def test_any_other_root_is_untrue(part: str) -> None:
    drawn = Drawn([3, 5, 1, 8, 2], seconds=DAY)
    body = drawn.draw(now=NOW + 402 * DAY)
    data = getattr(body, part)
    for at in range(0, len(data), 32):
        for other in (bytes(32), data[:32] if at else data[32:64]):
            with pytest.raises(LandmarkUntrueError):
                check_landmark(replace(body, **{part: data[:at] + other + data[at + 32 :]}))
    with pytest.raises(LandmarkUntrueError):
        LandmarkIndex(replace(body, head=body.head._replace(root=Hash(bytes(32)))))


def test_other_boundaries_of_the_same_leaves_are_true_nodes_or_untrue() -> None:
    """Whoever lies about rounds can only name other true subtrees of the signed tree."""
    drawn = Drawn([7, 7])
    body = replace(drawn.draw(), rounds=(16,), roots=tree_root(16, drawn.log.node))
    assert LandmarkIndex(body).holds(0, 16, drawn.log.head().root)
    with pytest.raises(LandmarkMalformedError):
        check_landmark(replace(body, roots=body.roots * 2))


# --- signing


@pytest.mark.parametrize("key", [SIGNER, ECDSA_SIGNER], ids=["ed25519", "p256"])
def test_sign_and_open(key: InMemorySigner) -> None:
    assert open_landmark_list(sign_landmark_list(EXAMPLE, key), key.public_key) == EXAMPLE


def test_flipped_bits_of_a_list_are_refused() -> None:
    data = sign_landmark_list(EXAMPLE, SIGNER)
    places = range(len(data) * 8) if FULL else random.Random(1).sample(range(len(data) * 8), 120)
    for position in places:
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(LandmarkError):
            open_landmark_list(bytes(changed), SIGNER.public_key)


def signed(domain: bytes, *, unprotected: dict[cbor.Key, cbor.Value] | None = None) -> bytes:
    payload = encode_body(EXAMPLE)
    protected = cose.protected_header(int(Alg.ED25519), SIGNER.public_key.kid)
    signature = SIGNER.sign(cose.sig_structure(protected, payload, external_aad=domain))
    return cose.encode_sign1(
        cose.Sign1(protected=protected, unprotected=unprotected or {}, payload=payload, signature=signature)
    )


def test_the_domain_is_its_own() -> None:
    assert open_landmark_list(signed(LANDMARK_DOMAIN), SIGNER.public_key) == EXAMPLE
    for domain in (b"", STATUS_DOMAIN, b"mingzheng/landmark/v2"):
        with pytest.raises(LandmarkForgedError):
            open_landmark_list(signed(domain), SIGNER.public_key)
    with pytest.raises(LandmarkMalformedError):
        open_landmark_list(signed(LANDMARK_DOMAIN, unprotected={4: b""}), SIGNER.public_key)


def test_other_keys_and_algorithms_neither_sign_nor_open() -> None:
    data = sign_landmark_list(EXAMPLE, SIGNER)
    receipt = signer("receipt", Alg.EDDSA)
    for key in (ECDSA_SIGNER.public_key, receipt.public_key, signer("other").public_key):
        with pytest.raises(LandmarkForgedError):
            open_landmark_list(data, key)
    with pytest.raises(LandmarkForgedError):
        sign_landmark_list(EXAMPLE, receipt)


@pytest.mark.parametrize("header", [(-19, Kid(bytes(8))), (-9, SIGNER.public_key.kid)])
def test_the_header_names_the_landmark_key_and_its_algorithm(header: tuple[int, Kid]) -> None:
    """Signed by the right key, but over a header that names another key or algorithm."""
    protected, payload = cose.protected_header(*header), encode_body(EXAMPLE)
    signature = SIGNER.sign(cose.sig_structure(protected, payload, external_aad=LANDMARK_DOMAIN))
    sign1 = cose.Sign1(protected=protected, unprotected={}, payload=payload, signature=signature)
    with pytest.raises(LandmarkForgedError, match="another key"):
        open_landmark_list(cose.encode_sign1(sign1), SIGNER.public_key)


def test_an_odd_place_is_where_no_round_begins() -> None:
    """Even if the list holds no round at all."""
    head, nodes = EXAMPLE.head._replace(size=11), bytes(32 * 3)
    with pytest.raises(LandmarkMalformedError, match="lead from start"):
        encode_body(replace(EXAMPLE, head=head, start=11, left=nodes, rounds=(), roots=b""))


# --- the file beside a list


def beside(drawn: Drawn, body: LandmarkBody, *, entry: LandmarkEntry | None = None) -> bytes:
    """The list's entry logged, and its full receipt with the consistency proof."""
    log = drawn.log
    (index,) = log.append([encode_entry(entry or landmark_entry(body))], now=log.now)
    return log.landmark_proof(index, body.head.size)


def checked(drawn: Drawn, body: LandmarkBody, data: bytes) -> int:
    log = drawn.log
    vkey = vkey_for(log.name, log.checkpoint_signer.public_key)
    return verify_landmark_proof(parse_tlog_proof(data), body, vkey=vkey, origin=log.name).size


@pytest.mark.parametrize("lengths", [[1], [14], [3, 5, 1, 8, 2], [15, 15]])
def test_one_checkpoint_stands_for_entry_and_roots(lengths: list[int]) -> None:
    drawn = Drawn(lengths)
    body = drawn.draw()
    assert checked(drawn, body, beside(drawn, body)) == drawn.log.size


def test_hostile_proofs_are_refused() -> None:
    drawn = Drawn([3, 5, 1, 8, 2])
    body = drawn.draw()
    proof = parse_tlog_proof(beside(drawn, body))
    log, extra = drawn.log, proof.extra
    assert extra is not None
    vkey = vkey_for(log.name, log.checkpoint_signer.public_key)
    for other in (None, b"", extra[:-32], extra[:-1], extra + bytes(32), bytes(len(extra))):
        with pytest.raises((ProofError, LandmarkUnprovedError)):
            verify_landmark_proof(replace(proof, extra=other), body, vkey=vkey, origin=log.name)
    with pytest.raises(LogError):
        verify_landmark_proof(replace(proof, index=proof.index + 1), body, vkey=vkey, origin=log.name)
    with pytest.raises(LogError):
        verify_landmark_proof(proof, replace(body, next_update=body.next_update + 1), vkey=vkey, origin=log.name)
    with pytest.raises((LogError, KeysError)):
        verify_landmark_proof(proof, body, vkey=vkey, origin="another")


def test_a_true_list_of_another_history_is_refused() -> None:
    """A log that shows witnesses one tree and lists blocks of another: the entry is there, the head is not."""
    drawn, other = Drawn([3, 5, 1]), Drawn([5, 3, 1])
    phantom = other.draw()
    check_landmark(phantom)
    with pytest.raises(ProofError):
        checked(drawn, phantom, beside(drawn, phantom))


def test_a_list_logged_twice_is_proved_twice() -> None:
    drawn = Drawn([3, 5])
    body = drawn.draw()
    first, second = beside(drawn, body), beside(drawn, body)
    assert checked(drawn, body, first) == drawn.log.size - 2
    assert checked(drawn, body, second) == drawn.log.size


def test_consistency_hashes_are_those_of_the_rfc() -> None:
    drawn = Drawn([3, 5, 1, 8, 2])
    body = drawn.draw()
    extra = parse_tlog_proof(beside(drawn, body)).extra
    assert extra == b"".join(build_consistency(body.head.size, drawn.log.size, drawn.log.node).hashes)
    assert sha256(encode_body(body)).digest() == landmark_entry(body).sha256
