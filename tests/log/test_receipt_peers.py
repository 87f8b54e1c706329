"""Our compact receipts judged by an RFC 9942 implementation that is not ours (scitt-cose, in its own environment)."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from mingzheng.keys.alg import Alg
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.log.block import Block
from mingzheng.log.entry import IssueEntry, encode_entry
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import EMPTY_EDGE, grow, root_of
from mingzheng.log.proof import build_block_inclusion
from mingzheng.log.receipt import compact_receipt, sign_block

pytestmark = pytest.mark.peers

TESTS = Path(__file__).parents[1]
CASES = json.loads((TESTS / "vectors" / "receipt" / "receipts.json").read_text(encoding="utf-8"))
SCITT = TESTS / "vectors" / "receipt" / "scitt_cose_v1"


def judge(cases: list[dict[str, str]]) -> list[bool]:
    run = subprocess.run(
        [os.environ["MINGZHENG_PEERS_PYTHON"], str(TESTS / "peers" / "verify_receipt.py")],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answer = json.loads(run.stdout)
    assert answer["peer"].startswith("scitt-cose ")
    return [verdict["ok"] for verdict in answer["verdicts"]]


def test_the_peer_accepts_each_reference_receipt_for_its_entry_alone() -> None:
    cases, want = [], []
    for case in CASES["good"]:
        pem = CASES["keys"][case["name"].split("-")[0]]["pem"]
        for other in CASES["good"]:
            cases.append({"receipt": case["hex"], "entry": other["entry"], "pem": pem})
            want.append(other["entry"] == case["entry"])
    assert judge(cases) == want
    assert any(want)
    assert not all(want)


def test_the_peer_accepts_receipts_of_every_width_and_place() -> None:
    cases = []
    for alg, name in ((Alg.EDDSA, "eddsa"), (Alg.ES256, "es256")):
        signer = InMemorySigner.from_private_bytes(alg, bytes.fromhex(CASES["keys"][name]["seed"]))
        for height in range(1, 9):
            width = 1 << height
            entries = [
                encode_entry(
                    IssueEntry(issuer=1, kid=Kid(b"kidkidki"), kind=1, serial=n, identity=bytes(32), issued_day=1)
                )
                for n in range(width)
            ]
            leaves = [leaf_hash(entry) for entry in entries]
            block = Block(start=5 * width, end=6 * width)
            signed = sign_block(signer, origin=7, block=block, root=root_of(leaves))
            levels = grow(EMPTY_EDGE, leaves).levels
            for at in {0, 1, width // 2, width - 1}:
                hashes = build_block_inclusion(
                    at, 0, width, lambda level, i, levels=levels: Hash(levels[level][32 * i : 32 * i + 32])
                ).hashes
                data = compact_receipt(signed, index=block.start + at, leaf=leaves[at], hashes=hashes)
                pem = CASES["keys"][name]["pem"]
                cases.append({"receipt": data.hex(), "entry": entries[at].hex(), "pem": pem})
    assert len(cases) > 50
    assert all(judge(cases))


def test_the_peer_refuses_flipped_bits_that_its_signature_covers() -> None:
    """Every byte of path and signature; the numbers it leaves unsigned are our header's business."""
    case = next(case for case in CASES["good"] if case["name"] == "eddsa-3")
    data, pem = bytes.fromhex(case["hex"]), CASES["keys"]["eddsa"]["pem"]
    changed = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data) - 64 - 70, len(data))]
    cases = [{"receipt": item.hex(), "entry": case["entry"], "pem": pem} for item in changed]
    assert not any(judge(cases))


def test_the_peer_agrees_with_its_own_vectors() -> None:
    cases, want = [], []
    for name in ("valid-eddsa", "valid-es256", "fail-tampered-path"):
        expected = json.loads((SCITT / name / "expected.json").read_text(encoding="utf-8"))
        pem = (SCITT / name / "log-key.pub").read_text(encoding="utf-8")
        receipt = (SCITT / name / "receipt.cose").read_bytes().hex()
        cases.append({"receipt": receipt, "entry": expected["leaf_entry"], "pem": pem})
        want.append(expected["receipt_valid"])
    assert judge(cases) == want
