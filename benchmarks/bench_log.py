"""The log: append with fsync, receipts, audit; proof building and checking beside pymerkle and merkle-py in one run.

`python -m benchmarks.bench_log [--smoke]` prints one JSON object. Appends: wall time and CPU per entry by batch size,
on the disk of the temporary directory, every batch durable and under a published checkpoint. Proofs: CPU µs per
operation, every contestant once per round, ratios paired within a round. Peers run in the environment that
MINGZHENG_PEERS_PYTHON names. merkle-py is shown with the forgery it accepts and with how few of its own proofs verify.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peer import Peer, peers_python
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import EMPTY_EDGE, grow, root_of
from mingzheng.log.monitor import AuditPlan, audit
from mingzheng.log.proof import build_inclusion, verify_inclusion

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # keys and entries of the tests' log

Times = dict[str, float]


def appends(batch: int, total: int) -> dict[str, Any]:
    """Append `total` issue entries, `batch` a call, each call durable and published before the next."""
    from logworld import NOW, LogWorld, issue, keyed

    with tempfile.TemporaryDirectory() as name:
        world = LogWorld(root=Path(name))
        submissions = keyed(issue(serial) for serial in range(total))
        log = world.create()
        waits: list[float] = []
        cpu, wall = time.process_time(), time.perf_counter()
        for start in range(0, total, batch):
            begun = time.perf_counter()
            log.submit(submissions[start : start + batch], now=NOW)
            waits.append((time.perf_counter() - begun) * 1e3)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        size = sum(path.stat().st_size for path in world.public.rglob("*") if path.is_file())
        made = {
            "entries": total,
            "per_second": round(total / wall),
            "cpu_us_per_entry": round(cpu / total * 1e6, 1),
            "call_median_ms": round(statistics.median(waits), 2),
            "call_p95_ms": round(sorted(waits)[min(len(waits) - 1, round(0.95 * len(waits)))], 2),
            "public_bytes_per_entry": round(size / total, 1),
        }
        if batch >= 1_000:
            made |= _reading(world, log, min(total, 500))
        world.close()
    return made


def _reading(world: Any, log: Any, receipts: int) -> dict[str, Any]:
    from logworld import ORIGIN_KEYS, trust

    start = time.process_time()
    for index in range(receipts):
        log.compact_receipt(index)
    made = {"compact_receipt_cpu_us": round((time.process_time() - start) / receipts * 1e6, 1)}
    fetcher = DirectoryFetcher(world.public)
    plan = AuditPlan(fetcher=fetcher, keys=ORIGIN_KEYS, trust=trust(), state_file=None, receipts_dir=None)
    start = time.process_time()
    report = audit(plan)
    assert report.clean
    return made | {"audit_cpu_us_per_entry": round((time.process_time() - start) / report.entries * 1e6, 1)}


def ours(entries: list[bytes]) -> Times:
    """One round of our tree: hash, grow, prove, check."""
    start = time.process_time()
    leaves = [leaf_hash(entry) for entry in entries]
    growth = grow(EMPTY_EDGE, leaves)
    root = growth.edge.root()
    built = time.process_time()

    def read(level: int, index: int) -> Hash:
        return Hash(growth.levels[level][32 * index : 32 * index + 32])

    count = min(len(entries), 200)
    begun = time.process_time()
    proofs = [build_inclusion(index, len(leaves), read) for index in range(count)]
    proved = time.process_time()
    for leaf, proof in zip(leaves, proofs, strict=False):
        verify_inclusion(proof, leaf, root)
    checked = time.process_time()
    return {
        "append_and_root": (built - start) / len(entries),
        "prove": (proved - begun) / count,
        "check": (checked - proved) / count,
    }


def our_answer_to_the_forgery() -> dict[str, bool]:
    """The same attack on our tree: concatenated leaf hashes passed off as entries."""
    leaves = [leaf_hash(entry) for entry in (b"a", b"b", b"c", b"d")]
    forged = [leaf_hash(leaves[0] + leaves[1]), leaf_hash(leaves[2] + leaves[3])]
    return {"same_root_for_other_entries": root_of(leaves) == root_of(forged)}


def proofs(peers: Peer | None, *, count: int, rounds: int) -> dict[str, Any]:
    """CPU µs per operation and contestant, and the median of the paired ratios to ours."""
    entries = [b"entry %d" % number for number in range(count)]
    spent: dict[str, list[Times]] = {"ours": []}
    for _ in range(rounds):
        spent["ours"].append(ours(entries))
        for name, times in ({} if peers is None else peers.ask("round")).items():
            spent.setdefault(name, []).append(times)
    return {
        operation: {
            name: {
                "median_us": round(statistics.median(times[operation] for times in runs) * 1e6, 2),
                "times_ours": round(
                    statistics.median(
                        theirs[operation] / max(mine[operation], 1e-12)
                        for theirs, mine in zip(runs, spent["ours"], strict=True)
                    ),
                    2,
                ),
            }
            for name, runs in spent.items()
        }
        for operation in ("append_and_root", "prove", "check")
    }


def main() -> None:
    """Print the JSON."""
    smoke = "--smoke" in sys.argv
    python = peers_python()
    count = 64 if smoke else 1_024
    peers = Peer(python, "merkle_trees.py", {"count": count}) if python else None
    about: dict[str, Any] = {} if peers is None else dict(peers.versions)
    batches = {1: 3, 1_000: 1_000} if smoke else {1: 200, 64: 6_400, 256: 25_600, 1_000: 100_000, 10_000: 200_000}
    result = {
        "bench": "log",
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "append_with_fsync": {str(batch): appends(batch, total) for batch, total in batches.items()},
        "tree_leaves": count,
        "proofs": proofs(peers, count=count, rounds=1 if smoke else 20),
        "forgery": {"ours": our_answer_to_the_forgery(), "merkle_py": about.get("forgery")},
        "versions": about.get("versions", {}),
        "corpus": hashlib.sha256(b"".join(b"entry %d" % number for number in range(count))).hexdigest(),
    }
    if peers is not None:
        peers.close()
    print(json.dumps(result, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
