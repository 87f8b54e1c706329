"""Our credentials judged by COSE libraries that are not ours (python-cwt, pycose; their own environment)."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import subprocess
from typing import Any

import pytest

pytestmark = pytest.mark.peers

TESTS = pathlib.Path(__file__).parents[1]
SAMPLE = json.loads((TESTS / "vectors" / "credential" / "sample.json").read_text("utf-8"))
TWINS = json.loads((TESTS / "vectors" / "credential" / "receipt_twins.json").read_text("utf-8"))
ALGS = {"ed25519": -19, "esp256": -9}


@functools.cache
def cases() -> tuple[list[dict[str, Any]], list[str | None]]:
    """Cases and the payload a peer must find: the references, with receipts, and each with a flipped bit."""
    made, want = [], []
    for item in SAMPLE["references"]:
        credentials = [item["credential"]]
        if item["name"] == "ed25519":
            credentials += [twin["credential"] for twin in TWINS]
        for credential in credentials:
            data = bytes.fromhex(credential)
            base = {"alg": ALGS[item["name"]], "spki": item["spki"], "kid": item["kid"]}
            made.append({**base, "credential": credential})
            want.append(item["payload"])
            for at in (8, len(data) - 70, len(data) - 1):  # kid, claims, signature
                changed = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
                made.append({**base, "credential": changed.hex()})
                want.append(None)
    return made, want


@functools.cache
def judged() -> dict[str, Any]:
    done = subprocess.run(
        [os.environ["MINGZHENG_PEERS_PYTHON"], str(TESTS / "peers" / "verify_credential.py")],
        input=json.dumps(cases()[0]),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("peer", ["cwt", "pycose"])
def test_peer_accepts_ours_and_refuses_every_flipped_bit(peer: str) -> None:
    answer = judged().get(peer)
    if answer is None:
        pytest.skip(f"{peer} is not in the peers' environment")
    print(peer, answer["version"])
    want = cases()[1]
    assert len(want) == 40
    assert answer["payloads"] == want
