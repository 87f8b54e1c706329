"""A witness's answers (C2SP tlog-witness): every status, every small old and new size, forks, subtrees, monitors."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from witnessworld import LOG_KEY, LOG_VKEY, MAIN, NOW, ORIGIN, Branch, WitnessWorld, cosigner, signer

from mingzheng.keys.alg import Alg
from mingzheng.keys.note import open_note, parse_note, sign_note
from mingzheng.keys.vkey import vkey_for
from mingzheng.log.cosign import Subtree, verify_subtree_line
from mingzheng.log.hashing import EMPTY_ROOT
from mingzheng.log.merkle import MAX_SIZE, subtree_root
from mingzheng.log.proof import build_subtree, is_subtree
from mingzheng.log.witness import (
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    Answer,
    Seen,
    decide_checkpoint,
    format_sign_subtree,
    parse_add_checkpoint,
    parse_sign_subtree,
)

FORK = Branch("fork", 5)
ONE = cosigner("w1", Alg.ED25519)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[WitnessWorld]:
    made = WitnessWorld(tmp_path / "w")
    yield made
    made.store.close()


def decide(body: bytes, seen: Seen | None, *, time: int = NOW) -> tuple[Answer, Seen | None]:
    request = parse_add_checkpoint(body)
    if isinstance(request, Answer):
        return request, None
    decision = decide_checkpoint(request, log_vkeys=[LOG_VKEY], seen=seen, cosigner=ONE, time=time)
    return decision.answer, decision.state


def seen_at(size: int, branch: Branch = MAIN) -> Seen | None:
    if size < 0:
        return None
    return Seen(size=size, root=branch.root(size), time=NOW - 1, note=b"")


def test_cosigns_a_growing_log(world: WitnessWorld) -> None:
    old = 0
    for size in (0, 0, 1, 2, 2, 7, 8, 64, 65):
        status, body = world.add(MAIN.request(old, size))
        assert status == 200
        note = open_note(MAIN.note(size) + body, [LOG_VKEY, *world.vkeys()])
        assert [good.vkey for good in note.verified] == [LOG_VKEY, *world.vkeys()]
        assert [good.timestamp for good in note.verified] == [None, world.now, world.now]
        old = size


@pytest.mark.parametrize("held", range(-1, 9))
def test_every_old_and_new_size_up_to_eight(held: int) -> None:
    """200 only from exactly what was seen, with its proof; else the number it must start from."""
    state = seen_at(held)
    latest = max(held, 0)
    for old in range(9):
        for new in range(9):
            answer, after = decide(MAIN.request(old, new), state)
            if old > new:
                assert answer.status == 400
            elif old != latest:
                assert (answer.status, answer.content_type) == (409, "text/x.tlog.size")
                assert answer.body == b"%d\n" % latest
            else:
                assert answer.status == 200
                assert after is not None
                assert (after.size, after.root, after.time) == (new, MAIN.root(new), NOW)
                continue
            assert after is None


@pytest.mark.parametrize("fork", range(8))
def test_no_fork_of_a_small_log_is_cosigned(fork: int) -> None:
    """Another history from entry `fork` on, at every size, from every head seen: with every proof there is."""
    other = Branch("other", fork)
    for held in range(fork + 1, 9):
        for new in range(held, 10):
            for branch in (MAIN, other):
                hashes = branch.prove(held, new).hashes
                request = AddCheckpoint(old=held, hashes=hashes, note=other.note(new), origin=ORIGIN)
                decision = decide_checkpoint(request, log_vkeys=[LOG_VKEY], seen=seen_at(held), cosigner=ONE, time=NOW)
                assert decision.answer.status == 422
                assert decision.state is None


def change(body: bytes, old: bytes, new: bytes) -> bytes:
    assert old in body
    return body.replace(old, new, 1)


STRANGER = signer("stranger")
OTHER_ORIGIN = Branch(origin="else.example")
GOOD = MAIN.request(4, 6)
HASH_LINE = GOOD.split(b"\n")[1]
REFUSED: dict[str, tuple[int, bytes]] = {
    "empty": (400, b""),
    "no checkpoint": (400, b"old 4\n\n"),
    "no empty line": (400, b"old 4\n" + MAIN.note(6)),
    "no old line": (400, GOOD.split(b"\n", 1)[1]),
    "old without a number": (400, change(GOOD, b"old 4", b"old ")),
    "old with a zero before": (400, change(GOOD, b"old 4", b"old 04")),
    "old with a sign": (400, change(GOOD, b"old 4", b"old +4")),
    "old with two spaces": (400, change(GOOD, b"old 4", b"old  4")),
    "old negative": (400, change(GOOD, b"old 4", b"old -4")),
    "old too big": (400, change(GOOD, b"old 4", b"old 9223372036854775808")),
    "old of twenty digits": (400, change(GOOD, b"old 4", b"old 99999999999999999999")),
    "old in other digits": (400, change(GOOD, b"old 4", "old ٤".encode())),
    "carriage returns": (400, change(GOOD, b"old 4\n", b"old 4\r\n")),
    "a hash cut short": (400, change(GOOD, HASH_LINE, HASH_LINE[:-4])),
    "a hash that is no base64": (400, change(GOOD, HASH_LINE, b"*" * 44)),
    "a hash in another spelling": (400, change(GOOD, HASH_LINE, HASH_LINE[:-1])),
    "64 proof lines": (400, change(GOOD, HASH_LINE, b"\n".join([HASH_LINE] * 64))),
    "old above the checkpoint": (400, change(GOOD, b"old 4", b"old 7")),
    "no note": (400, b"old 4\n\nnothing\n"),
    "a note that is no checkpoint": (400, b"old 4\n\n" + sign_note(f"{ORIGIN}\nx\n", [(ORIGIN, LOG_KEY)])),
    "a note with a short root": (400, b"old 4\n\n" + sign_note(f"{ORIGIN}\n6\nAAAA\n", [(ORIGIN, LOG_KEY)])),
    "unknown origin": (404, OTHER_ORIGIN.request(4, 6)),
    "unknown origin under the key of a known one": (404, b"old 4\n\n" + OTHER_ORIGIN.note(6, LOG_KEY)),
    "no signature of the log": (403, b"old 4\n\n" + MAIN.note(6, STRANGER)),
    "a bad signature of the log": (403, change(GOOD, b"\n6\n", b"\n7\n")),
    "a good one and a bad one": (403, GOOD + MAIN.note(7).split(b"\n\n")[1]),
    "another old size": (409, MAIN.request(3, 6)),
    "old size zero": (409, MAIN.request(0, 6)),
    "a proof left out": (422, b"old 4\n\n" + MAIN.note(6)),
    "a proof changed": (422, change(GOOD, HASH_LINE, base64.b64encode(bytes(32)))),
    "a proof too long": (422, change(GOOD, HASH_LINE, HASH_LINE + b"\n" + HASH_LINE)),
    "63 proof lines": (422, change(GOOD, HASH_LINE, b"\n".join([HASH_LINE] * 63))),
    "the same size and another root": (422, b"old 4\n\n" + Branch("other", 2).note(4)),
    "the same size and a proof": (422, b"old 4\n" + HASH_LINE + b"\n\n" + MAIN.note(4)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    status, body = REFUSED[case]
    answer, after = decide_any_origin(body)
    assert (answer.status, after) == (status, None)
    assert answer.body.endswith(b"\n")
    if status == 409:
        assert answer.body == b"4\n"


def decide_any_origin(body: bytes) -> tuple[Answer, Seen | None]:
    """As `decide`, with the witness's own look at the origin."""
    request = parse_add_checkpoint(body)
    if isinstance(request, Answer):
        return request, None
    vkeys = [LOG_VKEY] if request.origin == ORIGIN else []
    decision = decide_checkpoint(request, log_vkeys=vkeys, seen=seen_at(4), cosigner=ONE, time=NOW)
    return decision.answer, decision.state


def test_the_first_head_needs_no_proof_and_takes_none() -> None:
    for seen in (None, seen_at(0)):
        assert decide(MAIN.request(0, 6), seen)[0].status == 200
        with_proof = b"old 0\n" + HASH_LINE + b"\n\n" + MAIN.note(6)
        assert decide(with_proof, seen)[0].status == 422


def test_the_empty_tree_has_one_root() -> None:
    text = f"{ORIGIN}\n0\n{base64.b64encode(bytes(32)).decode()}\n"
    assert decide(b"old 0\n\n" + sign_note(text, [(ORIGIN, LOG_KEY)]), None)[0].status == 422
    assert decide(MAIN.request(0, 0), None)[0].status == 200
    of_none = f"{ORIGIN}\n5\n{base64.b64encode(EMPTY_ROOT).decode()}\n"
    assert decide(b"old 0\n\n" + sign_note(of_none, [(ORIGIN, LOG_KEY)]), None)[0].status == 400


def test_a_clock_behind_signs_nothing() -> None:
    for time in (0, -1, NOW - 2):
        assert decide(MAIN.request(4, 6), seen_at(4), time=time)[0].status == 503
    assert decide(MAIN.request(4, 6), seen_at(4), time=NOW - 1)[0].status == 200
    assert decide(MAIN.request(0, 6), None, time=0)[0].status == 503


def test_strangers_lines_and_extension_lines_change_nothing() -> None:
    more = MAIN.note(6) + MAIN.note(6, STRANGER).split(b"\n\n")[1]
    hashes = MAIN.prove(4, 6).hashes
    text = f"{parse_note(MAIN.note(6)).text}extension\n"
    for note in (more, sign_note(text, [(ORIGIN, LOG_KEY)])):
        request = AddCheckpoint(old=4, hashes=hashes, note=note, origin=ORIGIN)
        decision = decide_checkpoint(request, log_vkeys=[LOG_VKEY], seen=seen_at(4), cosigner=ONE, time=NOW)
        assert decision.answer.status == 200
        assert decision.state is not None
        kept = open_note(decision.state.note, [LOG_VKEY, *ONE.vkeys])
        assert len(kept.verified) == 2
        assert not kept.unverified  # what nobody verified is not passed on


def test_a_log_with_two_keys_is_known_by_either(world: WitnessWorld) -> None:
    second = signer("second log key")
    assert world.add(MAIN.request(0, 3, note=MAIN.note(3, second)))[0] == 403
    world.store.add_log(vkey_for(ORIGIN, second.public_key), origin=ORIGIN)
    assert world.add(MAIN.request(0, 3, note=MAIN.note(3, second)))[0] == 200
    assert world.add(MAIN.request(3, 4))[0] == 200


# --- sign-subtree


def reference(size: int, *, time: int = NOW) -> bytes:
    text = parse_note(MAIN.note(size)).text
    return f"{text}\n{cosigner().cosign(text, time=time)}".encode()


def subtree_body(start: int, end: int, size: int, note: bytes | None = None) -> bytes:
    proof = build_subtree(start, end, size, MAIN.read)
    root = subtree_root(start, end, MAIN.read)
    return format_sign_subtree(proof, root=root, note=reference(size) if note is None else note)


def test_signs_every_subtree_of_a_head_it_cosigned(world: WitnessWorld) -> None:
    for start, end in [(s, e) for s in range(14) for e in range(s + 1, 15) if is_subtree(s, e)]:
        answer = world.node.handle("POST", "/sign-subtree", subtree_body(start, end, 14), now=NOW)
        assert answer.status == 200
        (line,) = parse_note(b"x\n\n" + answer.body).signatures
        tree = Subtree(origin=ORIGIN, start=start, end=end, root=subtree_root(start, end, MAIN.read))
        verify_subtree_line(line, tree, vkey=world.vkeys()[1])


SUBTREE = subtree_body(8, 13, 14)
ROOT_LINE = SUBTREE.split(b"\n")[1]
NO_SUBTREE: dict[str, tuple[int, Callable[[], bytes]]] = {
    "no range": (400, lambda: SUBTREE.split(b"\n", 1)[1]),
    "another word": (400, lambda: change(SUBTREE, b"subtree 8", b"tree 8")),
    "no hash": (400, lambda: b"subtree 8 13\n\n" + reference(14)),
    "a hash cut short": (400, lambda: change(SUBTREE, ROOT_LINE, ROOT_LINE[:-4])),
    "a zero before": (400, lambda: change(SUBTREE, b"subtree 8", b"subtree 08")),
    "no subtree": (400, lambda: change(SUBTREE, b"subtree 8 13", b"subtree 7 13")),
    "empty range": (400, lambda: change(SUBTREE, b"subtree 8 13", b"subtree 8 8")),
    "beyond the checkpoint": (400, lambda: change(SUBTREE, b"subtree 8 13", b"subtree 8 16")),
    "numbers too big": (400, lambda: change(SUBTREE, b"subtree 8 13", b"subtree 8 9223372036854775808")),
    "64 proof lines": (400, lambda: change(SUBTREE, ROOT_LINE, b"\n".join([ROOT_LINE] * 65))),
    "no note": (400, lambda: b"subtree 8 13\n" + ROOT_LINE + b"\n\nx\n"),
    "unknown origin": (404, lambda: subtree_body(8, 13, 14, OTHER_ORIGIN.note(14))),
    "signed by the log alone": (403, lambda: subtree_body(8, 13, 14, MAIN.note(14))),
    "cosigned by another witness": (
        403,
        lambda: subtree_body(
            8, 13, 14, MAIN.note(14) + cosigner("w2").cosign("x\n1\n" + "A" * 43 + "=\n", time=1).encode()
        ),
    ),
    "cosigned over another head": (403, lambda: change(subtree_body(8, 13, 14), b"\n14\n", b"\n15\n")),
    "another root": (422, lambda: change(SUBTREE, ROOT_LINE, base64.b64encode(bytes(32)))),
    "a proof left out": (422, lambda: b"subtree 8 13\n" + ROOT_LINE + b"\n\n" + reference(14)),
    "another range": (422, lambda: change(SUBTREE, b"subtree 8 13", b"subtree 8 12")),
}


@pytest.mark.parametrize("case", NO_SUBTREE)
def test_subtree_refusals(world: WitnessWorld, case: str) -> None:
    status, body = NO_SUBTREE[case]
    assert world.node.handle("POST", "/sign-subtree", body(), now=NOW).status == status


def test_a_subtree_cosignature_of_no_time_is_no_reference(world: WitnessWorld) -> None:
    """What `sign-subtree` gives for [0, n) reads like a cosignature of a head; it says less, and opens nothing."""
    answer = world.node.handle("POST", "/sign-subtree", subtree_body(0, 14, 14), now=NOW)
    note = f"{parse_note(MAIN.note(14)).text}\n".encode() + answer.body
    assert open_note(note, world.vkeys()).verified[0].timestamp == 0
    assert world.node.handle("POST", "/sign-subtree", subtree_body(8, 13, 14, note), now=NOW).status == 403


def test_a_witness_without_ml_dsa_signs_no_subtrees(tmp_path: Path) -> None:
    world = WitnessWorld(tmp_path / "w", cosigner=ONE)
    assert world.node.handle("POST", "/sign-subtree", SUBTREE, now=NOW).status == 404
    world.store.close()


# --- monitors, and everything else that comes in


def test_monitors_read_what_was_answered(world: WitnessWorld) -> None:
    path = f"/{hashlib.sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    get = lambda where: world.node.handle("GET", where, b"", now=NOW)  # noqa: E731
    assert get(path).status == 404
    old = 0
    for size in (3, 3, 8):
        _, body = world.add(MAIN.request(old, size))
        old = size
        answer = get(path)
        assert answer.status == 200
        assert answer.body == MAIN.note(size) + body
    for other in ("/", "", "/x/checkpoint", path.upper(), path + "/", path[1:], "/" + "0" * 64 + "/checkpoint"):
        assert get(other).status == 404


def test_a_log_it_does_not_know(world: WitnessWorld) -> None:
    assert world.add(OTHER_ORIGIN.request(0, 3))[0] == 404
    assert world.add(b"old x\n\n")[0] == 400
    assert world.node.handle("POST", "/sign-subtree", b"", now=NOW).status == 400


def test_methods_and_sizes(world: WitnessWorld) -> None:
    handle = world.node.handle
    assert handle("GET", "/add-checkpoint", b"", now=NOW).status == 405
    assert handle("PUT", "/sign-subtree", b"", now=NOW).status == 405
    assert handle("POST", "/", b"", now=NOW).status == 404
    assert handle("POST", "/add-checkpoint", bytes(MAX_REQUEST_BYTES), now=NOW).status == 400
    assert handle("POST", "/add-checkpoint", bytes(MAX_REQUEST_BYTES + 1), now=NOW).status == 413
    for parse in (parse_add_checkpoint, parse_sign_subtree):
        answer = parse(bytes(MAX_REQUEST_BYTES + 1))
        assert isinstance(answer, Answer)
        assert answer.status == 413


def test_sizes_at_the_border() -> None:
    text = f"{ORIGIN}\n{MAX_SIZE}\n{'A' * 43}=\n"
    body = f"old {MAX_SIZE}\n\n".encode() + sign_note(text, [(ORIGIN, LOG_KEY)])
    assert decide(body, None)[0].status == 409
    state = Seen(size=MAX_SIZE, root=MAIN.root(0), time=1, note=b"")
    assert decide(body, state)[0].status == 422


@given(st.binary(max_size=300), st.sampled_from(["/add-checkpoint", "/sign-subtree"]))
def test_any_bytes_are_answered(data: bytes, path: str) -> None:
    for body in (data, b"old 4\n\n" + data, b"subtree 8 13\n" + ROOT_LINE + b"\n\n" + data, GOOD + data):
        parsed = (parse_add_checkpoint if path == "/add-checkpoint" else parse_sign_subtree)(body)
        if isinstance(parsed, Answer):
            assert parsed.status == 400


@given(st.data())
def test_a_request_with_one_changed_byte_is_cosigned_only_if_it_means_the_same(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    body = GOOD[:at] + bytes([GOOD[at] ^ (1 << data.draw(st.integers(0, 7)))]) + GOOD[at + 1 :]
    answer, after = decide_any_origin(body)
    assert (answer.status == 200) == (after is not None)
    if after is not None:
        assert (after.size, after.root) == (6, MAIN.root(6))
