"""Make the reference vectors of witnesses by a path of their own: struct, hashlib and cryptography, nothing of ours.

Run `python tests/vectors/make_witness_vectors.py` to write witness/cosignatures.json again; `--check` compares what is
deterministic and verifies what is not (ML-DSA-44 signatures are hedged). Messages are packed here by the words of C2SP
tlog-cosignature. All keys are test keys: their seeds are SHA-256 of a public phrase.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

HERE = Path(__file__).parent
TARGET = HERE / "witness" / "cosignatures.json"
ORIGIN = "log.example/mingzheng/demo"
TIME = 1_795_222_860
SIZE = 14


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def seed(name: str) -> bytes:
    return sha256(b"mingzheng test vector key: " + name.encode())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def note_key(name: str, kind: int, public: bytes) -> tuple[bytes, str]:
    """Key id and vkey by signed-note: SHA-256(name || newline || type || key)[:4]."""
    typed = bytes([kind]) + public
    key_id = sha256(name.encode() + b"\n" + typed)[:4]
    return key_id, f"{name}+{key_id.hex()}+{b64(typed)}"


def vector(data: bytes) -> bytes:
    """opaque <1..2^8-1> of RFC 8446 section 3.4."""
    return struct.pack(">B", len(data)) + data


def cosigned_message(name: str, time: int, start: int, end: int, root: bytes) -> bytes:
    label = b"subtree/v1\n\0"
    assert len(label) == 12
    head = label + vector(name.encode()) + struct.pack(">Q", time) + vector(ORIGIN.encode())
    return head + struct.pack(">QQ", start, end) + root


def make() -> dict[str, object]:
    log = json.loads((HERE / "log" / "log.json").read_text(encoding="utf-8"))
    assert (log["origin"], len(log["order"])) == (ORIGIN, SIZE)
    root, body = bytes.fromhex(log["root"]), f"{ORIGIN}\n{SIZE}\n{b64(bytes.fromhex(log['root']))}\n"
    lines = []
    for name in ("witness.example/甲", "witness.example/w2"):
        key = Ed25519PrivateKey.from_private_bytes(seed(f"{name} ed25519"))
        key_id, vkey = note_key(name, 0x04, key.public_key().public_bytes_raw())
        message = f"cosignature/v1\ntime {TIME}\n{body}".encode()
        blob = key_id + struct.pack(">Q", TIME) + key.sign(message)
        lines.append(_line(name, "ed25519", vkey, message, TIME, 0, SIZE, blob))
        pq = MLDSA44PrivateKey.from_seed_bytes(seed(f"{name} ml-dsa-44"))
        key_id, vkey = note_key(name, 0x06, pq.public_key().public_bytes_raw())
        message = cosigned_message(name, TIME, 0, SIZE, root)
        blob = key_id + struct.pack(">Q", TIME) + pq.sign(message)
        lines.append(_line(name, "ml-dsa-44", vkey, message, TIME, 0, SIZE, blob))
    entries = {entry["name"]: bytes.fromhex(entry["hex"]) for entry in log["entries"]}
    hashes = [sha256(b"\x00" + entries[name]) for name in log["order"]]
    for start, end in ((0, 8), (8, 13), (8, 14), (12, 14), (13, 14)):
        name = "witness.example/w2"
        pq = MLDSA44PrivateKey.from_seed_bytes(seed(f"{name} ml-dsa-44"))
        key_id, vkey = note_key(name, 0x06, pq.public_key().public_bytes_raw())
        subroot = tree_hash(hashes[start:end])
        message = cosigned_message(name, 0, start, end, subroot)
        blob = key_id + struct.pack(">Q", 0) + pq.sign(message)
        lines.append({**_line(name, "ml-dsa-44", vkey, message, 0, start, end, blob), "root": subroot.hex()})
    return {"origin": ORIGIN, "log_vkey": log["vkey"], "checkpoint": log["checkpoint"], "cosignatures": lines}


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1 by its own recursive words."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:]))


def _line(
    name: str, alg: str, vkey: str, message: bytes, time: int, start: int, end: int, blob: bytes
) -> dict[str, object]:
    return {
        "name": name,
        "alg": alg,
        "seed": seed(f"{name} {alg}").hex(),
        "vkey": vkey,
        "time": time,
        "start": start,
        "end": end,
        "message": message.hex(),
        "line": f"— {name} {b64(blob)}\n",
    }


def check() -> None:
    """Every byte but the hedged signatures is as made now, and those verify."""
    kept, made = json.loads(TARGET.read_text(encoding="utf-8")), make()
    for old, new in zip(kept["cosignatures"], made["cosignatures"], strict=True):  # type: ignore[call-overload]
        blob = base64.b64decode(old["line"].split(" ")[2])
        if old["alg"] == "ml-dsa-44":
            key = MLDSA44PrivateKey.from_seed_bytes(bytes.fromhex(old["seed"]))
            key.public_key().verify(blob[12:], bytes.fromhex(old["message"]))
            new["line"] = old["line"]
        assert old == new, old["name"]
    assert {**kept, "cosignatures": []} == {**made, "cosignatures": []}


if __name__ == "__main__":
    if "--check" in sys.argv:
        check()
    else:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(json.dumps(make(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
