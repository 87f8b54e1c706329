"""Make the reference vectors of landmark lists by a path of their own: hashlib, cbor2 and cryptography alone.

Run `python tests/vectors/make_landmark_vectors.py` to write landmark/ again; `--check` compares instead. The log is the
one of `make_log_vectors.py`: two rounds, [0, 10) and [10, 14).
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import cbor2

HERE = Path(__file__).parent
LOG: dict[str, Any] = runpy.run_path(str(HERE / "make_log_vectors.py"), run_name="make_log_vectors")
NOW, ORIGIN = LOG["NOW"], LOG["ORIGIN_NUMBER"]
DAY_SECONDS = 86_400


def body(leaves: list[bytes], start: int, left: list[tuple[int, int]], blocks: list[tuple[int, int]]) -> bytes:
    root_of = LOG["root_of"]
    size = blocks[-1][1]
    rounds = bytes(length // 2 for length in ([10, 4] if start == 0 and size == 14 else [size - start]))
    return bytes(
        LOG["cbor"](
            [
                1,
                [ORIGIN, size, root_of(leaves[:size])],
                4,
                NOW,
                NOW + DAY_SECONDS,
                start,
                b"".join(root_of(leaves[a:b]) for a, b in left),
                rounds,
                b"".join(root_of(leaves[a:b]) for a, b in blocks),
            ]
        )
    )


def made() -> dict[str, Any]:
    listed, raw = LOG["entry_vectors"]()
    names = [case["name"] for case in listed]
    leaves = [LOG["leaf_hash"](raw[names.index(name)]) for name in LOG["ORDER"]]
    key = LOG["Key"]("landmark", LOG["ED25519"])
    protected = LOG["cbor"]({1: key.alg, 4: key.kid})
    lists = {
        "whole": body(leaves, 0, [], [(0, 8), (8, 10)]),
        "two-rounds": body(leaves, 0, [], [(0, 8), (8, 10), (10, 12), (12, 14)]),
        "second-round": body(leaves, 10, [(0, 8), (8, 10)], [(10, 12), (12, 14)]),
    }
    cases = []
    for name, data in lists.items():
        signature = key.sign(LOG["cbor"](["Signature1", protected, b"mingzheng/landmark/v1", data]))
        signed = LOG["cbor"](cbor2.CBORTag(18, [protected, {}, data, signature]))
        entry = [1, 6, [cbor2.loads(data)[1]], NOW, NOW + DAY_SECONDS, LOG["sha256"](data)]
        cases.append({"name": name, "body": data.hex(), "list": signed.hex(), "entry": LOG["cbor"](entry).hex()})
    return {"key": key.facts(), "leaf_hashes": [leaf.hex() for leaf in leaves], "cases": cases}


def main() -> int:
    path = HERE / "landmark" / "landmark.json"
    text = json.dumps(made(), indent=1) + "\n"
    if "--check" in sys.argv:
        return int(path.read_text(encoding="utf-8") != text)
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
