"""Make the reference vectors of the log by a path of their own: hashlib, cbor2 and cryptography, nothing of ours.

Run `python tests/vectors/make_log_vectors.py` to write log/, notice/, proof/roots.json, receipt/ and status/ again;
`--check` compares instead. The tests demand that the library reproduces every byte. All keys are test keys: their
seeds are SHA-256 of a public phrase.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HERE = Path(__file__).parent
ORIGIN_NAME = "log.example/mingzheng/demo"
ORIGIN_NUMBER = 7
ISSUER = 12
DAY = 20_778  # 2026-11-21
NOW = 1_795_222_800

EDDSA, ES256, ED25519 = -8, -7, -19


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def seed(role: str) -> bytes:
    return sha256(b"mingzheng test vector key: " + role.encode())


def cbor(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)


class Key:
    """A test key: Ed25519 or P-256 with deterministic ECDSA."""

    def __init__(self, role: str, alg: int) -> None:
        self.alg, self.seed = alg, seed(role)
        if alg == ES256:
            self.ec = ec.derive_private_key(int.from_bytes(self.seed), ec.SECP256R1())
            public = self.ec.public_key()
        else:
            self.ed = ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)
            public = self.ed.public_key()
        self.spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        self.kid = sha256(self.spki)[:8]

    def sign(self, message: bytes) -> bytes:
        if self.alg != ES256:
            return self.ed.sign(message)
        r, s = decode_dss_signature(self.ec.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return r.to_bytes(32) + s.to_bytes(32)

    def facts(self) -> dict[str, object]:
        return {
            "alg": self.alg,
            "seed": self.seed.hex(),
            "spki": self.spki.hex(),
            "kid": self.kid.hex(),
            "pem": self.pem,
        }


# --- RFC 9162 section 2.1 by its own recursive words


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry)


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def root_of(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + root_of(leaves[:k]) + root_of(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), root_of(leaves[k:])]
    return [*path(m - k, leaves[k:]), root_of(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), root_of(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), root_of(leaves[:k])]


# --- entries

# Two rounds, [0, 10) and [10, 14): the first names serials of the issuer, the second is the hourly heartbeat.
ORDER = ["issue-0", "issue-1", "issue-2", "issue-3", "act-suspend", "act-revoke", "notice", "keyevent-compromised"]
ORDER += ["issue-4", "time", "status", "landmark", "time", "filler"]


# Bodies of notices: type of notice, value. Citations and days are made up.
CITATION = "示例厅〔2026〕1号，第二条"
BODIES: dict[str, tuple[int, list[object]]] = {
    "extension": (1, [1, 1, CITATION, [0, 21], [1, 3], DAY, DAY + 10, DAY + 120, DAY + 150, 1, 0]),
    "extension-least": (1, [1, 65_535, "。", [82], [65_535], -25_567, 0, 0, 1, 2, 1]),
    "retired-form": (2, [1, 2, CITATION, [0], [1], 4, DAY + 60, 0]),
    "retired-form-at-once": (2, [1, 3, CITATION, [0], [1], 4, None, 1]),
    "seal-change": (3, [1, 4, CITATION, [11], [2], DAY + 30, [7, 3]]),
    "seal-change-named": (3, [1, 5, CITATION, [11], [2], DAY + 30, [0]]),
    "retraction": (4, [1, 6, CITATION, 5, DAY + 40]),
}
BAD_BODIES: dict[str, tuple[int, str, object]] = {
    "version-2": (4, "notice.unknown_version", [2, 6, CITATION, 5, DAY]),
    "no-array": (4, "notice.malformed", "text"),
    "other-type": (3, "notice.malformed", BODIES["retraction"][1]),
    "number-0": (3, "notice.malformed", [1, 0, CITATION, [11], [2], DAY, [7]]),
    "citation-empty": (4, "notice.malformed", [1, 6, "", 5, DAY]),
    "citation-201": (4, "notice.malformed", [1, 6, "条" * 201, 5, DAY]),
    "jurisdiction-83": (3, "notice.malformed", [1, 1, CITATION, [83], [2], DAY, [7]]),
    "jurisdictions-falling": (3, "notice.malformed", [1, 1, CITATION, [21, 11], [2], DAY, [7]]),
    "no-kind": (3, "notice.malformed", [1, 1, CITATION, [11], [], DAY, [7]]),
    "body-twice": (3, "notice.malformed", [1, 1, CITATION, [11], [2], DAY, [7, 7]]),
    "five-bodies": (3, "notice.malformed", [1, 1, CITATION, [11], [2], DAY, [1, 2, 3, 4, 5]]),
    "ends-swapped": (1, "notice.malformed", [1, 1, CITATION, [0], [1], DAY, 20, 10, 30, 1, 0]),
    "moved-back": (1, "notice.malformed", [1, 1, CITATION, [0], [1], DAY, 10, 20, 19, 1, 0]),
    "moves-3": (1, "notice.malformed", [1, 1, CITATION, [0], [1], DAY, 10, 20, 30, 3, 0]),
    "revives-2": (1, "notice.malformed", [1, 1, CITATION, [0], [1], DAY, 10, 20, 30, 1, 2]),
    "retracts-itself": (4, "notice.malformed", [1, 6, CITATION, 6, DAY]),
    "null-for-a-day": (4, "notice.malformed", [1, 6, CITATION, 5, None]),
}


def body_vectors() -> dict[str, object]:
    good = [{"name": name, "notice": kind, "hex": cbor(value).hex()} for name, (kind, value) in BODIES.items()]
    bad = [
        {"name": name, "notice": kind, "code": code, "hex": cbor(value).hex()}
        for name, (kind, code, value) in BAD_BODIES.items()
    ]
    return {"good": good, "bad": bad}


def entry_vectors() -> tuple[list[dict[str, object]], list[bytes]]:
    credential, act, authority = Key("credential", ED25519), Key("act", ED25519), Key("authority", ED25519)
    listed: list[dict[str, object]] = []
    raw: list[bytes] = []

    def add(name: str, fields: list[object], key: Key | None = None, **more: object) -> None:
        case: dict[str, object] = {"name": name, **more}
        if key is not None:
            message = cbor(["mingzheng/act/v1", ORIGIN_NAME, fields])
            case |= {"message": message.hex(), "spki": key.spki.hex()}
            fields = [*fields, key.sign(message)]
        data = cbor(fields)
        raw.append(data)
        listed.append(case | {"hex": data.hex(), "leaf_hash": leaf_hash(data).hex()})

    for number in range(5):
        identity = sha256(b"example credential %d" % number)
        add(f"issue-{number}", [1, 1, ISSUER, credential.kid, 1, 1000 + number, identity, DAY])
    add("act-suspend", [1, 2, ISSUER, act.kid, 0, 2, [1002], DAY], act)
    add("act-revoke", [1, 2, ISSUER, act.kid, 1, 1, [1001, 1003], DAY], act)
    add("notice", [1, 3, ISSUER, act.kid, 2, 1, DAY, cbor(BODIES["extension"][1])], act)
    event = [1, 4, ISSUER, authority.kid, 3, 3, credential.kid, DAY, [[ORIGIN_NUMBER, 8]]]
    add("keyevent-compromised", event, authority)
    add("time", [1, 7, NOW])
    by_name = {str(case["name"]): leaf_hash(data) for case, data in zip(listed, raw, strict=True)}
    heads = status_heads(root_of([by_name[name] for name in ORDER[:10]]))
    body = cbor(status_body(heads))
    add("status", [1, 5, ISSUER, heads, NOW, NOW + 3600, sha256(body)])
    add("landmark", [1, 6, heads, NOW, NOW + 3600, sha256(b"example landmark list")])
    add("filler", [1, 8])
    widest = [1, 1, 65535, b"\xff" * 8, 65535, 2**40 - 1, b"\xff" * 32, 2_932_896]
    add("issue-widest", widest)
    first, second = Key("operator 1", ED25519), Key("operator 2", ED25519)
    for name, head, code, about in (
        ("act-revoke-two", [1, 2, ISSUER, second.kid, 4, 1, [1001, 1003], DAY], 1, [1001, 1003]),
        ("notice-two", [1, 3, ISSUER, second.kid, 5, 2, DAY, cbor(BODIES["retired-form"][1])], 2, None),
    ):
        asked = [ISSUER, head[1], code, head[7] if about is None else about, first.kid, DAY - 2]
        message = cbor(["mingzheng/request/v1", ORIGIN_NAME, *asked])
        request = [first.kid, DAY - 2, first.sign(message)]
        add(name, [*head, request], second, request_message=message.hex(), request_spki=first.spki.hex())
    return listed, raw


def log_vectors() -> dict[str, object]:
    listed, raw = entry_vectors()
    names = [str(case["name"]) for case in listed]
    leaves = [leaf_hash(raw[names.index(name)]) for name in ORDER]
    key = Key("checkpoint", ED25519)
    root = root_of(leaves)
    text = f"{ORIGIN_NAME}\n{len(leaves)}\n{base64.b64encode(root).decode()}\n"
    raw_key = key.spki[-32:]
    key_hash = sha256(ORIGIN_NAME.encode() + b"\n\x01" + raw_key)[:4]
    line = base64.b64encode(key_hash + key.sign(text.encode())).decode()
    return {
        "origin": ORIGIN_NAME,
        "origin_number": ORIGIN_NUMBER,
        "entries": listed,
        "rounds": [[0, 10], [10, 14]],
        "blocks": {"height": 4, "blocks": [[0, 8], [8, 10], [10, 12], [12, 14]]},
        "order": ORDER,
        "root": root.hex(),
        "vkey": f"{ORIGIN_NAME}+{key_hash.hex()}+{base64.b64encode(bytes([1]) + raw_key).decode()}",
        "checkpoint": f"{text}\n\u2014 {ORIGIN_NAME} {line}\n",
        "checkpoint_seed": key.seed.hex(),
    }


def root_vectors() -> dict[str, object]:
    leaves = [leaf_hash(b"entry %d" % n) for n in range(40)]
    return {
        "leaf": "SHA-256(00 || 'entry N')",
        "roots": [root_of(leaves[:n]).hex() for n in range(41)],
        "inclusion": [
            {"index": m, "size": n, "hashes": [h.hex() for h in path(m, leaves[:n])]}
            for n, m in ((1, 0), (2, 1), (3, 2), (7, 3), (13, 12), (32, 5), (33, 32), (40, 39), (40, 0))
        ],
        "consistency": [
            {"old": m, "new": n, "hashes": [h.hex() for h in subproof(m, leaves[:n], True)]}
            for m, n in ((1, 1), (1, 2), (3, 7), (4, 7), (6, 8), (8, 40), (13, 40), (32, 33), (39, 40))
        ],
    }


# --- receipts


def receipt(key: Key, block: tuple[int, int], index: int, leaves: list[bytes], **change: object) -> bytes:
    start, end = block
    inside = leaves[start:end]
    header = {1: key.alg, 395: 1, -65538: [change.get("origin", ORIGIN_NUMBER), start, end]}
    protected = cbor(header | dict(change.get("header", {})))  # type: ignore[call-overload]
    to_sign = cbor(["Signature1", protected, b"", root_of(inside)])
    hashes_ = change.get("hashes", path(index - start, inside))
    proof = cbor([change.get("tree_size", end - start), change.get("leaf_index", index - start), hashes_])
    unprotected = {396: {-1: [proof]}}
    return cbor(cbor2.CBORTag(18, [protected, unprotected, None, key.sign(to_sign)]))


def receipt_vectors() -> dict[str, object]:
    listed, made = entry_vectors()
    by_name = {str(case["name"]): data for case, data in zip(listed, made, strict=True)}
    raw = [by_name[name] for name in ORDER]
    leaves = [leaf_hash(data) for data in raw]
    ed, es = Key("receipt", EDDSA), Key("receipt", ES256)
    good, bad = [], []
    for name, key in (("eddsa", ed), ("es256", es)):
        for block, index in (((0, 8), 3), ((8, 10), 8)):
            data = receipt(key, block, index, leaves)
            case = {"name": f"{name}-{index}", "index": index, "leaf_hash": leaves[index].hex()}
            good.append(case | {"entry": raw[index].hex(), "spki": key.spki.hex(), "hex": data.hex()})
    inside = path(3, leaves[0:8])
    faults: list[tuple[str, str, bytes]] = [
        ("width-1", "receipt.bad_block", receipt(ed, (3, 4), 3, leaves)),
        ("width-3", "receipt.bad_block", receipt(ed, (0, 3), 2, leaves)),
        ("not-aligned", "receipt.bad_block", receipt(ed, (2, 6), 3, leaves)),
        ("tree-size", "receipt.bad_block", receipt(ed, (0, 8), 3, leaves, tree_size=9)),
        ("tree-size-half", "receipt.bad_block", receipt(ed, (0, 8), 3, leaves, tree_size=4, hashes=inside[:2])),
        ("leaf-index-too-big", "receipt.bad_block", receipt(ed, (0, 8), 3, leaves, leaf_index=8)),
        ("leaf-index-negative", "receipt.bad_block", receipt(ed, (0, 8), 3, leaves, leaf_index=-1)),
        ("leaf-index-other", "receipt.signature_invalid", receipt(ed, (0, 8), 3, leaves, leaf_index=2)),
        ("path-short", "receipt.bad_block", receipt(ed, (0, 8), 3, leaves, hashes=inside[:2])),
        ("path-long", "receipt.bad_block", receipt(ed, (0, 8), 3, leaves, hashes=[*inside, bytes(32)])),
        ("hash-short", "receipt.malformed", receipt(ed, (0, 8), 3, leaves, hashes=[*inside[:2], bytes(31)])),
        ("origin-zero", "receipt.bad_block", receipt(ed, (0, 8), 3, leaves, origin=0)),
        ("header-kid", "receipt.malformed", receipt(ed, (0, 8), 3, leaves, header={4: ed.kid})),
        ("header-crit", "receipt.malformed", receipt(ed, (0, 8), 3, leaves, header={2: [395]})),
        ("vds-2", "receipt.malformed", receipt(ed, (0, 8), 3, leaves, header={395: 2})),
        ("alg-19", "receipt.malformed", receipt(ed, (0, 8), 3, leaves, header={1: -19})),
        ("alg-es256-header", "receipt.wrong_algorithm", receipt(ed, (0, 8), 3, leaves, header={1: -7})),
        ("other-key", "receipt.signature_invalid", receipt(Key("other", EDDSA), (0, 8), 3, leaves)),
        ("trailing-byte", "receipt.malformed", receipt(ed, (0, 8), 3, leaves) + b"\x00"),
        ("untagged", "receipt.malformed", receipt(ed, (0, 8), 3, leaves)[1:]),
    ]
    whole = receipt(ed, (0, 8), 3, leaves)
    moved = whole.replace(cbor([ORIGIN_NUMBER, 0, 8]), cbor([ORIGIN_NUMBER, 8, 16]))
    renamed = whole.replace(cbor([ORIGIN_NUMBER, 0, 8]), cbor([ORIGIN_NUMBER + 1, 0, 8]))
    longer = whole.replace(cbor([ORIGIN_NUMBER, 0, 8]), b"\x83\x18\x07\x00\x08")
    faults += [
        ("moved-block", "receipt.signature_invalid", moved),
        ("other-origin", "receipt.signature_invalid", renamed),
        ("non-minimal-integer", "receipt.malformed", longer.replace(b"\x58\x10", b"\x58\x11", 1)),
    ]
    for name, code, data in faults:
        bad.append({"name": name, "code": code, "hex": data.hex()})
    return {
        "desc": "compact receipts; every bad one is offered with the leaf of eddsa-3 under the eddsa key",
        "keys": {"eddsa": ed.facts(), "es256": es.facts()},
        "block_height": 4,
        "origin": ORIGIN_NUMBER,
        "leaf_hashes": [leaf.hex() for leaf in leaves[:10]],
        "good": good,
        "bad": bad,
    }


# --- status lists


def rice(serials: list[int], limit: int) -> bytes:
    k = 0
    while serials and 1000 * len(serials) * 2 ** (k + 1) <= 962 * limit:
        k += 1
    bits, before = "", -1
    for serial in serials:
        gap = serial - before - 1
        bits += "1" * (gap >> k) + "0" + "".join(str((gap >> at) & 1) for at in range(k - 1, -1, -1))
        before = serial
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


# Serials 0 to 999 were issued or voided in origin 6, the issuer's log before.
SETS: tuple[list[int], ...] = ([1001, 1003], [], [3, 4, 5, 600], [1002])


def status_heads(root: bytes) -> list[object]:
    return [[ORIGIN_NUMBER - 1, 2048, sha256(b"example root of the log before")], [ORIGIN_NUMBER, 10, root]]


def status_body(heads: list[object], limit: int = 1005) -> list[object]:
    sets = [[len(serials), rice(serials, limit)] for serials in SETS]
    return [1, ISSUER, limit, NOW, NOW + 3600, heads, *sets]


def status_vectors() -> dict[str, object]:
    key = Key("status", ED25519)
    listed, _raw = entry_vectors()
    by_name = {str(case["name"]): bytes.fromhex(str(case["leaf_hash"])) for case in listed}
    body = cbor(status_body(status_heads(root_of([by_name[name] for name in ORDER[:10]]))))
    protected = cbor({1: key.alg, 4: key.kid})
    signature = key.sign(cbor(["Signature1", protected, b"mingzheng/status/v1", body]))
    as_credential = key.sign(cbor(["Signature1", protected, b"", body]))
    sets = []
    for step, start, limit in ((1, 0, 5), (2, 0, 20), (3, 1, 100), (7, 6, 1000), (97, 50, 10_000), (1009, 8, 50_000)):
        serials = list(range(start, limit, step))
        data = rice(serials, limit)
        sets.append({"start": start, "step": step, "limit": limit, "count": len(serials), "hex": data.hex()})
    sets += [
        {"serials": [0], "limit": 1, "count": 1, "hex": rice([0], 1).hex()},
        {"serials": [2**40 - 1], "limit": 2**40, "count": 1, "hex": rice([2**40 - 1], 2**40).hex()},
        {"serials": [0, 1, 2, 999], "limit": 1000, "count": 4, "hex": rice([0, 1, 2, 999], 1000).hex()},
    ]
    return {
        "key": key.facts(),
        "serials": {"revoked": SETS[0], "superseded": SETS[1], "void": SETS[2], "suspended": SETS[3]},
        "body": body.hex(),
        "body_sha256": sha256(body).hex(),
        "list": cbor(cbor2.CBORTag(18, [protected, {}, body, signature])).hex(),
        "signed_as_credential": cbor(cbor2.CBORTag(18, [protected, {}, body, as_credential])).hex(),
        "sets": sets,
    }


def made() -> dict[str, dict[str, object]]:
    """Every file and its content."""
    return {
        "log/log.json": log_vectors(),
        "notice/bodies.json": body_vectors(),
        "proof/roots.json": root_vectors(),
        "receipt/receipts.json": receipt_vectors(),
        "status/status.json": status_vectors(),
    }


def main() -> int:
    failed = 0
    for name, value in made().items():
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        if "--check" not in sys.argv:
            (HERE / name).write_text(text, encoding="utf-8")
        elif (HERE / name).read_text(encoding="utf-8") != text:
            print(f"{name} differs")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
