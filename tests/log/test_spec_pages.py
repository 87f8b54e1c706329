"""The example bytes of the log's spec pages are the reference vectors' bytes."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def load(name: str) -> dict[str, object]:
    value = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def fences(page: str, kind: str) -> list[str]:
    text = (ROOT / "docs" / "spec" / page).read_text(encoding="utf-8")
    return [body for name, body in FENCE.findall(text) if name == kind]


def hex_of(body: str) -> str:
    return "".join("".join(line.split("#")[0].split()) for line in body.splitlines())


def entries() -> dict[str, dict[str, str]]:
    listed = load("log/log.json")["entries"]
    assert isinstance(listed, list)
    return {case["name"]: case for case in listed}


def test_log_page() -> None:
    known = entries()
    want = [known[name]["hex"] for name in ("issue-4", "act-revoke", "act-revoke-two", "time", "filler")]
    assert [hex_of(body) for body in fences("log.md", "hex")] == want
    assert fences("log.md", "checkpoint") == [load("log/log.json")["checkpoint"]]
    text = (ROOT / "docs" / "spec" / "log.md").read_text(encoding="utf-8")
    assert f"`{known['issue-4']['leaf_hash']}`" in text


def test_notices_page() -> None:
    good = load("notice/bodies.json")["good"]
    assert isinstance(good, list)
    assert [hex_of(body) for body in fences("notices.md", "hex")] == [good[0]["hex"]]


def test_receipt_page() -> None:
    vectors = load("receipt/receipts.json")
    assert isinstance(vectors["good"], list)
    case = next(case for case in vectors["good"] if case["name"] == "eddsa-8")
    assert [hex_of(body) for body in fences("receipt.md", "hex")] == [case["hex"]]
    assert case["entry"] == entries()["issue-4"]["hex"]
    assert isinstance(vectors["bad"], list)
    page = (ROOT / "docs" / "spec" / "receipt.md").read_text(encoding="utf-8")
    assert f"{len(vectors['bad'])} named faults" in page


def test_witness_page() -> None:
    vectors = load("witness/cosignatures.json")
    assert isinstance(vectors["cosignatures"], list)
    cases = {case["alg"]: case for case in vectors["cosignatures"] if case["time"]}  # the last of each: w2
    assert fences("witness.md", "cosigned") == [f"{vectors['checkpoint']}{cases['ed25519']['line']}"]
    assert fences("witness.md", "message") == [bytes.fromhex(cases["ed25519"]["message"]).decode()]
    assert [hex_of(body) for body in fences("witness.md", "hex")] == [cases["ml-dsa-44"]["message"]]


def test_status_page() -> None:
    vectors = load("status/status.json")
    assert [hex_of(body) for body in fences("status.md", "hex")][:2] == [vectors["body"], vectors["list"]]


@pytest.mark.parametrize(
    ("page", "size"), [("log.md", 54), ("receipt.md", 133), ("status.md", 115), ("status.md", 200)]
)
def test_the_sizes_that_the_pages_name(page: str, size: int) -> None:
    assert size in {len(hex_of(body)) // 2 for body in fences(page, "hex")}
    assert f"{size} bytes" in (ROOT / "docs" / "spec" / page).read_text(encoding="utf-8")


def test_the_reference_vectors_are_what_the_independent_program_makes() -> None:
    """It runs on hashlib, cbor2 and cryptography: where cbor2 is missing the library's own tests still compare."""
    pytest.importorskip("cbor2")
    program = VECTORS / "make_log_vectors.py"
    scope: dict[str, object] = {"__name__": "make_log_vectors", "__file__": str(program)}
    exec(compile(program.read_text(encoding="utf-8"), str(program), "exec"), scope)  # a file of this repository
    check = scope["made"]
    assert callable(check)
    for name, value in check().items():
        assert json.loads(json.dumps(value)) == load(name)
