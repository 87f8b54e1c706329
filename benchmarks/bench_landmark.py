"""Verification by hashing alone against a landmark list, beside the signature path on the same tokens, in one run.

`python -m benchmarks.bench_landmark [--smoke]` prints one JSON object. *ours*: `verify_batch` under `--trust-log`, a
verdict with every strict check. *hash only raw*: parse, claims, leaf, path, list; no rule, no verdict. Lists of 10^6
copies: bytes, seconds to believe, memory, look-ups; issued in bulk (511 in a round) and singly (the newest half).
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from importlib import metadata
from typing import Any

from benchmarks.bench_verify import _commit, corpus, measure


def contestants(world: Any, tokens: Sequence[bytes]) -> dict[str, Any]:
    """Ours both ways, the raw path, the signature alone, and a loop over cbor2 that checks nothing else."""
    from simulator import WITNESSES

    from mingzheng.formats.credential import parse_credential
    from mingzheng.formats.fastclaims import read_claims
    from mingzheng.verifier.batch import verify_batch
    from mingzheng.verifier.checks import listed_at

    world.demand("group g 2 w1 w2 w3", quorum="g")
    world.cosign(*WITNESSES)
    world.publish_landmark()
    signed = world.trusting()
    by_log = replace(signed, trust_log=True)
    credential = world.issuers[1].credential_signer.public_key
    record = by_log.trust.keys[credential.kid]
    parsed = [parse_credential(token) for token in tokens]

    def verdicts(context: Any) -> None:
        context.blocks_seen.clear()  # a new batch: nothing remembered
        assert set(verify_batch(tokens, context)) == {"VALID_COMPARE"}

    def raw() -> None:
        for token in tokens:
            unverified = parse_credential(token)
            assert listed_at(by_log, unverified, read_claims(unverified.payload), record) is not None

    made = {
        "ours": lambda: verdicts(by_log),
        "hash_only_raw": raw,
        "signature_path_to_the_verdict": lambda: verdicts(signed),
        "signature_alone": lambda: [credential._verify(u.signature, u.signed) for u in parsed],
    }
    if importlib.util.find_spec("cbor2") is not None:
        bare = _Bare(world)
        made["bare_cbor2_hashes_alone"] = lambda: [bare.holds(token) for token in tokens]
    return made


class _Bare:
    """A loop over cbor2 (compiled) with the same hashes and a dictionary of roots: no strictness, no rule."""

    def __init__(self, world: Any) -> None:
        import cbor2

        self.loads, self.dumps = cbor2.loads, cbor2.dumps
        body = world.logs[1].landmark()
        self.roots = {body.roots[at : at + 32] for at in range(0, len(body.roots), 32)}
        self.kid = world.issuers[1].credential_signer.public_key.kid

    def holds(self, token: bytes) -> None:
        protected, unprotected, payload, _signature = self.loads(token).value
        claims = self.loads(payload)
        fields = claims[-65537]
        identity = sha256(self.dumps(["Signature1", protected, b"", payload])).digest()
        day = (claims[6] + 28_800) // 86_400
        entry = self.dumps([1, 1, 1, self.kid, fields[4], fields[15], identity, day])
        _protected, header, _none, _receipt_signature = self.loads(unprotected[394][0]).value
        _size, index, path = self.loads(header[396][-1][0])
        node = sha256(b"\x00" + entry).digest()
        for sibling in path:
            node = sha256(b"\x01" + (sibling + node if index & 1 else node + sibling)).digest()
            index >>= 1
        assert node in self.roots


def big_list(rounds: int, length: int) -> dict[str, Any]:
    """A list of `rounds` rounds of `length` entries; its leaves are made up, its hashes are true."""
    from mingzheng.keys.alg import Alg
    from mingzheng.keys.signer import InMemorySigner
    from mingzheng.log.block import blocks
    from mingzheng.log.entry import OriginHead
    from mingzheng.log.hashing import Hash
    from mingzheng.log.landmark import LandmarkBody, LandmarkIndex, open_landmark_list, sign_landmark_list
    from mingzheng.log.merkle import EMPTY_EDGE, grow

    widths = [block.width for n in range(rounds) for block in blocks(n * length, (n + 1) * length, 4)]
    roots = [Hash(sha256(n.to_bytes(8)).digest()) for n in range(len(widths))]
    width = min(widths)
    assert set(widths) == {width}  # so the tree above the blocks is one over equal subtrees
    root = grow(EMPTY_EDGE, roots).edge.root()
    body = LandmarkBody(
        head=OriginHead(1, rounds * length, root), height=4, this_update=1, next_update=2, start=0, left=b"",
        rounds=(length,) * rounds, roots=b"".join(roots),
    )  # fmt: skip
    signer = InMemorySigner.from_private_bytes(Alg.ED25519, bytes(range(32)))
    listed = sign_landmark_list(body, signer)
    begin = time.process_time()
    index = LandmarkIndex(open_landmark_list(listed, signer.public_key))
    seconds = time.process_time() - begin
    tracemalloc.start()
    held = LandmarkIndex(open_landmark_list(listed, signer.public_key))
    memory, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(held) == len(index)
    places = range(0, len(widths), max(1, len(widths) // 10_000))
    begin = time.process_time()
    for place in places:
        assert index.holds(place * width, (place + 1) * width, roots[place])
    spent = time.process_time() - begin
    return {
        "copies": rounds * (length - 1),
        "blocks": len(widths),
        "list_bytes": len(listed),
        "bytes_a_copy": round(len(listed) / (rounds * (length - 1)), 2),
        "seconds_to_believe": round(seconds, 3),
        "memory_mb": round(memory / 1e6, 1),
        "peak_memory_mb": round(peak / 1e6, 1),
        "look_up_us": round(spent / len(places) * 1e6, 2),
    }


def run(*, smoke: bool) -> dict[str, Any]:
    """The whole benchmark as one JSON object."""
    count, rounds = (15, 1) if smoke else (600, 20)
    world, tokens = corpus(count, together=15)
    table = measure(contestants(world, tokens), None, count=count, rounds=rounds)
    return {
        "bench": "landmark",
        "tokens": count,
        "rounds": rounds,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "commit": _commit(),
        "versions": {"cryptography": metadata.version("cryptography")},
        "token_cpu": {"contestants": table},
        "tokens_a_second_and_core": {
            name: round(1e6 / row["median_us"]) for name, row in table.items() if name in ("ours", "hash_only_raw")
        },
        "lists": {
            "million_in_bulk": big_list(*((10, 512) if smoke else (1_957, 512))),
            "half_a_million_singly": big_list(*((10, 2) if smoke else (500_000, 2))),
        },
    }


if __name__ == "__main__":
    print(json.dumps(run(smoke="--smoke" in sys.argv), ensure_ascii=False, indent=1))
