"""Cosigners: heads under both kinds of key, subtrees under ML-DSA-44, who may not be a cosigner."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import BadVkeyError, NoteSignatureInvalidError, NoteSignerError, NoteUntrustedError
from mingzheng.keys.note import UnverifiedSignature, parse_note
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.cosign import Cosigner, Subtree, open_cosigned, verify_subtree_line
from mingzheng.log.errors import CheckpointOriginError
from mingzheng.log.hashing import Hash

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/witness/cosignatures.json").read_text(encoding="utf-8"))
NOTE = VECTORS["checkpoint"].encode()
TEXT = parse_note(NOTE).text
LOG = parse_vkey(VECTORS["log_vkey"])
NAME = "witness.example/w2"
CASES = [case for case in VECTORS["cosignatures"] if case["name"] == NAME]
HEADS = {case["alg"]: case for case in CASES if case["time"]}
SUBTREES = [case for case in CASES if not case["time"]]
ED = InMemorySigner.from_private_bytes(Alg.ED25519, bytes.fromhex(HEADS["ed25519"]["seed"]))
PQ = InMemorySigner.from_private_bytes(Alg.ML_DSA_44, bytes.fromhex(HEADS["ml-dsa-44"]["seed"]))
COSIGNER = Cosigner(NAME, [ED, PQ])


def subtree(case: dict[str, str]) -> Subtree:
    root = Hash(bytes.fromhex(case["root"]))
    return Subtree(origin=VECTORS["origin"], start=int(case["start"]), end=int(case["end"]), root=root)


def line_of(text: str) -> UnverifiedSignature:
    return parse_note(f"x\n\n{text}".encode()).signatures[0]


def test_cosigns_a_head_with_every_key() -> None:
    assert [vkey.sig_type for vkey in COSIGNER.vkeys] == [4, 6]
    raw = NOTE + COSIGNER.cosign(TEXT, time=99).encode()
    head = open_cosigned(raw, origin=VECTORS["origin"], log_vkeys=[LOG], witnesses=COSIGNER.vkeys)
    assert head.checkpoint.size == 14
    assert [(item.vkey, item.time) for item in head.cosignatures] == [(vkey, 99) for vkey in COSIGNER.vkeys]
    assert open_cosigned(raw, origin=VECTORS["origin"], log_vkeys=[LOG], witnesses=[]).cosignatures == ()


def test_a_head_needs_its_logs_own_signature() -> None:
    raw = (TEXT + "\n" + COSIGNER.cosign(TEXT, time=99)).encode()
    with pytest.raises(NoteUntrustedError):
        open_cosigned(raw, origin=VECTORS["origin"], log_vkeys=[LOG], witnesses=COSIGNER.vkeys)
    with pytest.raises(CheckpointOriginError):
        open_cosigned(NOTE, origin="else", log_vkeys=[LOG], witnesses=[])


def test_a_witness_states_a_time() -> None:
    for time in (0, -1):
        with pytest.raises(NoteSignerError):
            COSIGNER.cosign(TEXT, time=time)


@pytest.mark.parametrize("case", SUBTREES, ids=lambda case: f"{case['start']}-{case['end']}")
def test_subtrees(case: dict[str, str]) -> None:
    tree, vkey = subtree(case), COSIGNER.vkeys[1]
    for text in (case["line"], COSIGNER.cosign_subtree(tree)):
        verify_subtree_line(line_of(text), tree, vkey=vkey)
        for other in (
            Subtree(origin="else", start=tree.start, end=tree.end, root=tree.root),
            Subtree(origin=tree.origin, start=tree.start, end=tree.end + 1, root=tree.root),
            Subtree(origin=tree.origin, start=tree.start, end=tree.end, root=Hash(bytes(32))),
        ):
            with pytest.raises(NoteSignatureInvalidError):
                verify_subtree_line(line_of(text), other, vkey=vkey)


def test_subtree_lines_of_another_kind() -> None:
    tree = subtree(SUBTREES[0])
    head_line = line_of(HEADS["ml-dsa-44"]["line"])  # of a time, over the whole tree
    good = line_of(SUBTREES[0]["line"])
    timed = replace(good, signature=(1).to_bytes(8) + good.signature[8:])  # a time that the signature does not cover
    for line, vkey in ((head_line, COSIGNER.vkeys[1]), (timed, COSIGNER.vkeys[1]), (good, COSIGNER.vkeys[0])):
        with pytest.raises(NoteSignatureInvalidError):
            verify_subtree_line(line, tree, vkey=vkey)


def test_who_may_be_a_cosigner() -> None:
    for signers in ([], [ED, ED], [PQ, PQ]):
        with pytest.raises(NoteSignerError):
            Cosigner(NAME, signers)
    with pytest.raises(BadVkeyError):
        Cosigner(NAME, [InMemorySigner.from_private_bytes(Alg.ESP256, b"\1" * 32)])
    with pytest.raises(BadVkeyError):
        Cosigner("a name", [ED])
    alone = Cosigner(NAME, [ED])
    assert COSIGNER.signs_subtrees
    assert not alone.signs_subtrees
    with pytest.raises(NoteSignerError):
        alone.cosign_subtree(subtree(SUBTREES[0]))
