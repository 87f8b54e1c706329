"""Peers of bench_log: pymerkle and merkle-py over the same entries, and merkle-py's forgery, in their own environment.

Reads one JSON line {"count": n}, answers with versions and the forgery; then a line per round, answered with
CPU seconds per operation. merkle-py declares a dependency (py-utls) only for building: it must be installed beside it.
"""

import contextlib
import hashlib
import json
import sys
import time
import warnings
from importlib import metadata

warnings.simplefilter("ignore")

import merklepy  # noqa: E402
import pymerkle  # noqa: E402


def sha(data):
    return hashlib.sha256(data).digest()


def forgery():
    """Two entries that were never added, under the root of four that were: no domain separation."""
    entries = [b"a", b"b", b"c", b"d"]
    honest = merklepy.MerkleTree()
    honest.add_leaves(True, *entries)
    left, right = sha(b"a") + sha(b"b"), sha(b"c") + sha(b"d")
    forged = merklepy.MerkleTree()
    forged.add_leaves(True, left, right)
    accepted = honest.validate_proof(forged.get_proof(sha(left)), sha(left), honest.get_root_hash())
    big = merklepy.MerkleTree()
    proofs = big.add_leaves(True, *(b"%d" % number for number in range(100)))
    leaves = [sha(b"%d" % number) for number in range(100)]
    good = sum(
        big.validate_proof(proof, leaf, big.get_root_hash())
        for proof, leaf in zip(proofs, leaves, strict=True)
        if proof
    )
    return {
        "same_root_for_other_entries": forged.get_root_hash() == honest.get_root_hash(),
        "honest_tree_accepts_forged_entry": bool(accepted),
        "own_proofs_that_verify_of_100": good,
    }


def clock(operation, count):
    start = time.process_time()
    result = operation()
    return (time.process_time() - start) / count, result


def pymerkle_round(entries):
    def build():
        tree = pymerkle.InmemoryTree(algorithm="sha256")
        for entry in entries:
            tree.append_entry(entry)
        return tree, tree.get_root()

    build_s, (tree, root) = clock(build, len(entries))
    count = min(len(entries), 200)
    prove_s, proofs = clock(lambda: [tree.prove_inclusion(number + 1) for number in range(count)], count)
    leaves = [tree.get_leaf(number + 1) for number in range(count)]
    check = pymerkle.verify_inclusion
    check_s, _ = clock(lambda: [check(leaf, root, proof) for leaf, proof in zip(leaves, proofs, strict=True)], count)
    return {"append_and_root": build_s, "prove": prove_s, "check": check_s}


def merklepy_round(entries):
    def build():
        tree = merklepy.MerkleTree()
        tree._make = list  # its own add_leaves also builds every proof, which is quadratic
        tree.add_leaves(True, *entries)
        del tree._make
        tree._levels.insert(0, tree._leaves)
        while len(tree._levels[0]) > 1:
            tree._levels.insert(0, tree._next_level())
        tree._isReady = True
        return tree, tree.get_root_hash()

    build_s, (tree, root) = clock(build, len(entries))
    leaves = [sha(entry) for entry in entries[:2]]  # the only proofs of it that verify
    times = 100
    prove_s, _ = clock(lambda: [tree.get_proof(leaf) for _ in range(times) for leaf in leaves], times * 2)
    proofs = [tree.get_proof(leaf) for leaf in leaves]
    check = tree.validate_proof
    check_s, results = clock(
        lambda: [check(proof, leaf, root) for _ in range(times) for leaf, proof in zip(leaves, proofs, strict=True)],
        times * 2,
    )
    if not all(results):
        raise SystemExit("merkle-py refused its own first two proofs")
    return {"append_and_root": build_s, "prove": prove_s, "check": check_s}


def main():
    job = json.loads(sys.stdin.readline())
    entries = [b"entry %d" % number for number in range(job["count"])]
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # merkle-py prints
        answer = {"versions": {n: metadata.version(n) for n in ("pymerkle", "merkle-py")}, "forgery": forgery()}
        print(json.dumps(answer), file=out, flush=True)
        for _line in sys.stdin:
            times = {"pymerkle": pymerkle_round(entries), "merkle_py": merklepy_round(entries)}
            print(json.dumps(times), file=out, flush=True)


if __name__ == "__main__":
    main()
