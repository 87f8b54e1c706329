"""Grade WITNESSED and lists under a quorum: the table of docs/spec/witness.md, cell by cell."""

import base64
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from simulator import DAY, WITNESSES, Issued, World, cosigned, noon, signer, witness, witness_signer

from mingzheng.keys.note import cosign_line, format_line, parse_note
from mingzheng.keys.vkey import format_vkey, vkey_for
from mingzheng.log.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from mingzheng.log.quorum import quorum_of
from mingzheng.log.receipt import TlogProof, format_tlog_proof, parse_tlog_proof
from mingzheng.verifier.context import Expectations, VerifyContext
from mingzheng.verifier.errors import TrustUnusableError
from mingzheng.verifier.findings import Code, Grade
from mingzheng.verifier.pipeline import Judged, Met, judge, verdict_for, verify_text

POLICIES = ("site", "bid", "audit")
TWO_OF_THREE = (("group g 2 w1 w2 w3",), "g")
TWO_GROUPS = (("group a any w1 w2", "group b any w3", "group both all a b"), "both")
NOBODY: tuple[tuple[str, ...], str] = ((), "none")
Renote = Callable[[bytes, World], bytes]


def by(*names: str) -> Renote:
    return lambda note, world: cosigned(note, *names, time=world.now)


def smaller(note: bytes, world: World) -> bytes:
    """Good lines of two witnesses, but over a smaller head of the same log."""
    log = world.logs[1]
    head = replace(_head(world), size=_head(world).size - 2)
    text = parse_note(sign_checkpoint(head, signer=log.checkpoint_signer)).text
    return note + "".join(witness(name).cosign(text, time=world.now) for name in ("w1", "w2")).encode()


def bad_line(name: str) -> Renote:
    """Quorum met, and one more line under a known witness's name and key that does not verify."""

    def change(note: bytes, world: World) -> bytes:
        good = cosigned(note, *WITNESSES, time=world.now)
        line = good.decode().splitlines()[-1 - list(reversed(WITNESSES)).index(name)]
        blob = bytearray(base64.b64decode(line.split(" ")[2]))
        blob[-1] ^= 1
        bad = format_line(witness(name).name, bytes(blob[:4]), bytes(blob[4:]))
        return good.replace(f"{line}\n".encode(), bad.encode())

    return change


def at_time(time: int, *names: str) -> Renote:
    def change(note: bytes, world: World) -> bytes:
        text = parse_note(note).text
        lines = [cosign_line(witness(n).name, witness_signer(n), text=text, timestamp=time) for n in names]
        return note + "".join(lines).encode()

    return change


def _head(world: World) -> Checkpoint:
    return parse_checkpoint(parse_note(world.logs[1].checkpoint()).text)


def receipt(world: World, issued: Issued, renote: Renote) -> bytes:
    """The full receipt under the log's head, with other lines behind it."""
    world.cosign()
    proof = parse_tlog_proof(world.logs[1].full_receipt(issued.index))
    note = renote(proof.checkpoint_note, world)
    return format_tlog_proof(TlogProof(index=proof.index, hashes=proof.hashes, checkpoint_note=note, extra=None))


OK, LACKS, INVALID = Code.VALID_COMPARE, Code.CANNOT_DECIDE, Code.RECEIPT_INVALID
# case: quorum of the trust data (None: none), what stands behind the head, grade, finding, verdict by policy
Row = tuple[tuple[tuple[str, ...], str] | None, Renote | None, Grade, Code | None, tuple[Code, Code, Code]]
TABLE: dict[str, Row] = {
    "no quorum, no cosignature": (None, by(), Grade.LOG_WORD, Code.LOG_UNWITNESSED, (OK, OK, OK)),
    "no quorum, all cosign": (None, by(*WITNESSES), Grade.LOG_WORD, Code.LOG_UNWITNESSED, (OK, OK, OK)),
    "quorum none, all cosign": (NOBODY, by(*WITNESSES), Grade.LOG_WORD, Code.LOG_UNWITNESSED, (OK, OK, OK)),
    "met by two": (TWO_OF_THREE, by("w1", "w2"), Grade.WITNESSED, None, (OK, OK, OK)),
    "met by two, one ML-DSA-44": (TWO_OF_THREE, by("w3", "w1"), Grade.WITNESSED, None, (OK, OK, OK)),
    "met by all": (TWO_OF_THREE, by(*WITNESSES), Grade.WITNESSED, None, (OK, OK, OK)),
    "met, and a stranger's line": (TWO_OF_THREE, by("w1", "w2", "w8"), Grade.WITNESSED, None, (OK, OK, OK)),
    "compact receipt alone": (TWO_OF_THREE, None, Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
    "no cosignature": (TWO_OF_THREE, by(), Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
    "not met": (TWO_OF_THREE, by("w2"), Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
    "one witness twice": (TWO_OF_THREE, by("w2", "w2"), Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
    "strangers": (TWO_OF_THREE, by("w8", "w9"), Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
    "one and a stranger": (TWO_OF_THREE, by("w1", "w9"), Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
    "without times": (TWO_OF_THREE, at_time(0, "w1", "w2"), Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
    "a smaller head cosigned": (TWO_OF_THREE, smaller, Grade.LOG_WORD, Code.RECEIPT_INVALID, (INVALID,) * 3),
    "bad line": (TWO_OF_THREE, bad_line("w1"), Grade.LOG_WORD, Code.RECEIPT_INVALID, (INVALID,) * 3),
    "bad ML-DSA-44 line": (TWO_OF_THREE, bad_line("w3"), Grade.LOG_WORD, Code.RECEIPT_INVALID, (INVALID,) * 3),
    "both groups": (TWO_GROUPS, by("w2", "w3"), Grade.WITNESSED, None, (OK, OK, OK)),
    "one of two groups": (TWO_GROUPS, by("w1", "w2"), Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
    "the other of two groups": (TWO_GROUPS, by("w3"), Grade.LOG_WORD, Code.LOG_WORD_ONLY, (OK, LACKS, LACKS)),
}


def demanding(quorum: tuple[tuple[str, ...], str] | None) -> tuple[World, Issued]:
    """A world with a copy, whose lists all three witnesses cosigned."""
    world = World()
    issued = world.issue_one()
    if quorum is not None:
        world.demand(*quorum[0], quorum=quorum[1])
    world.cosign(*WITNESSES)
    world.publish_status()
    return world, issued


def context_of(world: World, policy: str) -> VerifyContext:
    expect = Expectations(trust_fingerprint=world.source().fingerprint)
    return world.context(policy=policy, expect=expect, publish=False)


def judged(world: World, issued: Issued, policy: str, *full: bytes) -> tuple[Judged, VerifyContext]:
    context = context_of(world, policy)
    return judge([Met(data=issued.token, prefix=None)], context, full_receipts=full), context


@pytest.mark.parametrize("case", TABLE)
def test_the_table_of_grades(case: str) -> None:
    quorum, renote, grade, finding, verdicts = TABLE[case]
    world, issued = demanding(quorum)
    full = () if renote is None else (receipt(world, issued, renote),)
    for policy, verdict in zip(POLICIES, verdicts, strict=True):
        found, context = judged(world, issued, policy, *full)
        assert not context.refused
        assert found.inclusion.grade is grade
        told = {item.code for item in found.findings}
        kinds = {Code.LOG_UNWITNESSED, Code.LOG_WORD_ONLY, Code.RECEIPT_INVALID}
        if finding is Code.RECEIPT_INVALID:
            kinds -= {Code.LOG_WORD_ONLY}  # what the compact receipt is worth stands beside it
        assert told & kinds == (set() if finding is None else {finding})
        assert verdict_for(found.findings, context) is verdict


# --- status lists under a quorum

NOT_MET = "witness.quorum_not_met"
BAD = "note.signature_invalid"
LISTS: dict[str, tuple[tuple[tuple[str, ...], str] | None, Renote, str | None]] = {
    "no quorum": (None, by(), None),
    "quorum none": (NOBODY, by(), None),
    "met": (TWO_OF_THREE, by("w1", "w3"), None),
    "not met": (TWO_OF_THREE, by("w3"), NOT_MET),
    "no cosignature": (TWO_OF_THREE, by(), NOT_MET),
    "strangers": (TWO_OF_THREE, by("w8", "w9"), NOT_MET),
    "without times": (TWO_OF_THREE, at_time(0, "w1", "w2"), NOT_MET),
    "a smaller head cosigned": (TWO_OF_THREE, smaller, BAD),
    "bad line": (TWO_OF_THREE, bad_line("w2"), BAD),
    "one of two groups": (TWO_GROUPS, by("w1", "w2"), NOT_MET),
    "both groups": (TWO_GROUPS, by("w1", "w3"), None),
}


def relist(world: World, renote: Renote) -> None:
    proof = parse_tlog_proof(world.blobs["status/1.tlog-proof"])
    bare = proof.checkpoint_note.split("\n— witness".encode())[0] + b"\n"
    note = renote(bare if "\n— witness".encode() in proof.checkpoint_note else proof.checkpoint_note, world)
    world.blobs["status/1.tlog-proof"] = format_tlog_proof(replace(proof, checkpoint_note=note))


@pytest.mark.parametrize("case", LISTS)
def test_a_list_enters_only_under_the_quorum(case: str) -> None:
    quorum, renote, refused = LISTS[case]
    world, issued = demanding(quorum)
    relist(world, renote)
    for policy in POLICIES:
        context = context_of(world, policy)
        assert dict(context.refused) == ({} if refused is None else {1: refused})
        assert (1 in context.statuses) == (refused is None)
        if refused is not None:
            report = verify_text(issued.text, context)
            assert report.verdict is Code.CANNOT_DECIDE
            assert Code.STATUS_REFUSED in {item.code for item in report.findings}


# --- the witness's own record


def test_a_witness_counts_in_its_scope_only() -> None:
    """Two of three; w1's record is changed, so its line counts nothing though it is good."""
    kid = witness_signer("w1").public_key.kid
    for changes, counts in (
        ({}, True),
        ({"valid_until": DAY}, True),
        ({"valid_until": DAY - 1}, False),
        ({"valid_from": DAY + 1}, False),
        ({"retired_on": DAY - 1}, False),
        ({"retired_on": DAY}, True),
        ({"origins": frozenset({2})}, False),
        ({"compromised": {1: 2**40}}, False),
        ({"compromised": {}}, False),
    ):
        world, issued = demanding(TWO_OF_THREE)
        full = receipt(world, issued, by("w1", "w2"))
        world.change_key(kid, **changes)  # type: ignore[arg-type]
        found, context = judged(world, issued, "site", full)
        assert found.inclusion.grade is (Grade.WITNESSED if counts else Grade.LOG_WORD), changes
        assert not context.refused  # the lists have three cosignatures, two remain


def test_the_time_of_a_cosignature_is_its_witness_s_word() -> None:
    """A retired witness's older lines go on counting; what it dates after its last day does not."""
    world, issued = demanding(TWO_OF_THREE)
    world.change_key(witness_signer("w1").public_key.kid, retired_on=DAY)
    later = receipt(world, issued, at_time(noon(DAY + 1), "w1", "w2"))
    assert judged(world, issued, "site", later)[0].inclusion.grade is Grade.LOG_WORD
    in_time = receipt(world, issued, at_time(noon(DAY), "w1", "w2"))
    assert judged(world, issued, "site", in_time)[0].inclusion.grade is Grade.WITNESSED


def test_a_policy_may_name_logs() -> None:
    for listed, grade in (((1,), Grade.WITNESSED), ((1, 2), Grade.WITNESSED), ((2,), Grade.LOG_WORD)):
        world, issued = demanding(TWO_OF_THREE)
        full = receipt(world, issued, by("w1", "w2"))
        heads = context_of(world, "site").heads
        lines = [f"log {format_vkey(heads[world.logs[number].name].vkey)}\n" for number in listed]
        assert world.quorum is not None
        world.quorum = "".join(lines) + world.quorum
        found, context = judged(world, issued, "site", full)
        assert found.inclusion.grade is grade
        assert (1 in context.statuses) == (grade is Grade.WITNESSED)


UNUSABLE: dict[str, Callable[[World], str]] = {
    "no policy": lambda _: "x\n",
    "no quorum line": lambda w: (w.quorum or "").replace("quorum g\n", ""),
    "unknown witness": lambda w: f"witness w9 {format_vkey(witness('w9').vkeys[0])}\n{w.quorum}",
    "unknown log": lambda w: f"log {format_vkey(vkey_for('log9', signer('log 9').public_key))}\n{w.quorum}",
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_trust_data_with_an_unusable_policy_serve_nothing(case: str) -> None:
    world, _ = demanding(TWO_OF_THREE)
    world.quorum = UNUSABLE[case](world)
    with pytest.raises(TrustUnusableError):
        context_of(world, "site")


def test_compromised_checkpoint_key_has_no_witnesses() -> None:
    world, issued = demanding(TWO_OF_THREE)
    full = receipt(world, issued, by(*WITNESSES))
    world.compromise(world.logs[1].checkpoint_signer.public_key.kid, {1: 2**40})
    found, _ = judged(world, issued, "site", full)
    assert found.inclusion.grade is Grade.LOG_WORD  # the compact receipt's
    assert Code.RECEIPT_KEY_COMPROMISED in {item.code for item in found.findings}


def test_receipts_that_differ_show_nothing_whoever_cosigned() -> None:
    world, issued = demanding(TWO_OF_THREE)
    again = world.issue(issued.claims)[0]
    world.publish_status()
    full = receipt(world, again, by("w1", "w2"))
    found, _ = judged(world, issued, "site", full)
    assert found.inclusion.grade is Grade.NONE
    assert {Code.RECEIPT_INVALID, Code.NOT_LOGGED} <= {item.code for item in found.findings}


def test_where_ml_dsa_is_missing_nothing_is_witnessed_by_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    world, issued = demanding(TWO_OF_THREE)
    full = receipt(world, issued, by("w1", "w2", "w3"))
    without = receipt(world, issued, by("w1", "w2"))
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
    found, context = judged(world, issued, "site", full)
    assert found.inclusion.grade is Grade.LOG_WORD
    assert Code.RECEIPT_INVALID not in {item.code for item in found.findings}
    assert dict(context.refused) == {1: "mldsa.unavailable", 2: "mldsa.unavailable"}
    assert judged(world, issued, "site", without)[0].inclusion.grade is Grade.WITNESSED


def test_quorum_of_trust_data_without_one() -> None:
    world = World()
    assert quorum_of(world.source().data) is None
    world.demand(quorum="none")
    assert quorum_of(world.source().data) is None
    world.demand(quorum="w1")
    quorum = quorum_of(world.source().data)
    assert quorum is not None
    assert set(quorum.records) == set(WITNESSES)
