"""Proof of a log's misconduct that a third party checks without the log: two signed statements that exclude each other.

Pure. Four kinds, as JSON (one spelling is not needed: it is checked, not hashed):
- `split_view`: two checkpoints of one size with different roots.
- `history_changed`: an older checkpoint, a newer one, and the newer tree's consistency proof for the older size, whose
  root is not the one signed.
- `receipt_against_checkpoint`: a compact receipt with its leaf, and the inclusion proof of the block's first leaf under
  a checkpoint, which gives the block another root.
- `entries`: entries under a checkpoint that break a rule (`charge`).
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, assert_never

from mingzheng.keys.alg import PublicKey
from mingzheng.keys.errors import KeysError
from mingzheng.keys.trust import TrustData
from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.charge import Charge, ChargeError, check_charge
from mingzheng.log.checkpoint import Checkpoint, open_foreign_checkpoint
from mingzheng.log.errors import LogError, ProofError
from mingzheng.log.hashing import Hash, parse_hash
from mingzheng.log.patterns import BurstError, parse_burst
from mingzheng.log.proof import (
    ConsistencyProof,
    InclusionProof,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)
from mingzheng.log.receipt import parse_compact_receipt, receipt_root, verify_compact_receipt
from mingzheng.log.stretch import Stretch

MAX_BYTES = 1 << 24
MAX_STRETCHES = 16

SPLIT_VIEW = "split_view"
HISTORY_CHANGED = "history_changed"
RECEIPT_AGAINST_CHECKPOINT = "receipt_against_checkpoint"
ENTRIES = "entries"


class EvidenceError(LogError):
    """The file proves nothing."""

    code: ClassVar[str] = "evidence.proves_nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitView:
    """Two signed notes of one origin."""

    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryChanged:
    """`root`: what the newer tree has at the older size, shown by `hashes`."""

    older: bytes
    newer: bytes
    root: Hash
    hashes: tuple[Hash, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptAgainstCheckpoint:
    """`leaf`: what the receipt vouches for; `first_leaf` and `hashes`: the block's first leaf in the tree of `note`."""

    receipt: bytes
    leaf: Hash
    note: bytes
    first_leaf: Hash
    hashes: tuple[Hash, ...]


Evidence: TypeAlias = SplitView | HistoryChanged | ReceiptAgainstCheckpoint | Charge


def format_evidence(evidence: Evidence) -> bytes:
    """The evidence as a JSON file."""
    return json.dumps(_values(evidence), indent=1).encode() + b"\n"


def _values(evidence: Evidence) -> dict[str, object]:
    match evidence:
        case SplitView():
            return {"kind": SPLIT_VIEW, "first": _64(evidence.first), "second": _64(evidence.second)}
        case HistoryChanged():
            return {
                "kind": HISTORY_CHANGED,
                "older": _64(evidence.older),
                "newer": _64(evidence.newer),
                "root": _64(evidence.root),
                "hashes": [_64(item) for item in evidence.hashes],
            }
        case ReceiptAgainstCheckpoint():
            return {
                "kind": RECEIPT_AGAINST_CHECKPOINT,
                "receipt": _64(evidence.receipt),
                "leaf": _64(evidence.leaf),
                "note": _64(evidence.note),
                "first_leaf": _64(evidence.first_leaf),
                "hashes": [_64(item) for item in evidence.hashes],
            }
        case Charge():
            return _charge_values(evidence)
    assert_never(evidence)


def _charge_values(charge: Charge) -> dict[str, object]:
    return {
        "kind": ENTRIES,
        "claim": charge.claim,
        "index": charge.index,
        "limit": None if charge.limit is None else charge.limit.text(),
        "note": _64(charge.note),
        "stretches": [
            {
                "start": item.start,
                "entries": [_64(entry) for entry in item.entries],
                "left": [_64(node) for node in item.left],
                "right": [_64(node) for node in item.right],
            }
            for item in charge.stretches
        ],
    }


def parse_evidence(data: bytes) -> Evidence:
    """Read an evidence file; raises EvidenceError."""
    if len(data) > MAX_BYTES:
        raise EvidenceError(f"over {MAX_BYTES} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EvidenceError("not JSON") from error
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == SPLIT_VIEW:
        return SplitView(first=_take(value, "first"), second=_take(value, "second"))
    if kind == HISTORY_CHANGED:
        root, hashes = _take_hash(value, "root"), _take_hashes(value)
        return HistoryChanged(older=_take(value, "older"), newer=_take(value, "newer"), root=root, hashes=hashes)
    if kind == RECEIPT_AGAINST_CHECKPOINT:
        return ReceiptAgainstCheckpoint(
            receipt=_take(value, "receipt"),
            leaf=_take_hash(value, "leaf"),
            note=_take(value, "note"),
            first_leaf=_take_hash(value, "first_leaf"),
            hashes=_take_hashes(value),
        )
    if kind == ENTRIES:
        return _take_charge(value)
    raise EvidenceError("not a kind of evidence that is known")


def check_evidence(
    evidence: Evidence,
    *,
    vkey: VerifierKey,
    origin: str,
    number: int = 0,
    receipt_key: PublicKey | None = None,
    block_height: int = 8,
    trust: TrustData | None = None,
) -> str:
    """Which misconduct of the log with these keys is proved (of `entries`: the claim); raises EvidenceError if none is.

    `number`, `receipt_key` and `block_height` serve receipts only: a receipt of another origin says nothing of this
    log, even where the two share a key. `trust` serves entries whose keys matter.
    """
    try:
        match evidence:
            case SplitView():
                return _check_split(evidence, vkey, origin)
            case HistoryChanged():
                return _check_history(evidence, vkey, origin)
            case ReceiptAgainstCheckpoint():
                if receipt_key is None:
                    raise EvidenceError("the origin's receipt key is needed")
                head = _open(evidence.note, vkey, origin)
                return _check_receipt(evidence, head, number, receipt_key, block_height)
            case Charge():
                check_charge(evidence, _open(evidence.note, vkey, origin), trust)
                return evidence.claim
    except (KeysError, ProofError, ChargeError) as error:
        raise EvidenceError(f"a part of it does not verify: {error}") from error
    assert_never(evidence)


def _check_split(evidence: SplitView, vkey: VerifierKey, origin: str) -> str:
    first, second = _open(evidence.first, vkey, origin), _open(evidence.second, vkey, origin)
    if first.size != second.size or first.root == second.root:
        raise EvidenceError("the two heads do not contradict each other")
    return SPLIT_VIEW


def _check_history(evidence: HistoryChanged, vkey: VerifierKey, origin: str) -> str:
    older, newer = _open(evidence.older, vkey, origin), _open(evidence.newer, vkey, origin)
    proof = ConsistencyProof(old=older.size, new=newer.size, hashes=evidence.hashes)
    verify_consistency(proof, evidence.root, newer.root)
    if evidence.root == older.root:
        raise EvidenceError("the older head is a prefix of the newer")
    return HISTORY_CHANGED


def _check_receipt(
    evidence: ReceiptAgainstCheckpoint, head: Checkpoint, number: int, key: PublicKey, height: int
) -> str:
    try:
        receipt = parse_compact_receipt(evidence.receipt)
        verify_compact_receipt(receipt, evidence.leaf, key=key, block_height=height)
    except LogError as error:
        raise EvidenceError(f"the receipt does not verify: {error}") from error
    if receipt.origin != number:
        raise EvidenceError(f"the receipt is of origin {receipt.origin}, the checkpoint of origin {number}")
    if receipt.end > head.size:
        raise EvidenceError("the block lies beyond the checkpoint")
    proof = InclusionProof(index=receipt.start, size=head.size, hashes=evidence.hashes)
    verify_inclusion(proof, evidence.first_leaf, head.root)
    inner = InclusionProof(
        index=0,
        size=receipt.end - receipt.start,
        hashes=evidence.hashes[: (receipt.end - receipt.start).bit_length() - 1],
    )
    if root_from_inclusion(inner, evidence.first_leaf) == receipt_root(receipt, evidence.leaf):
        raise EvidenceError("the receipt agrees with the checkpoint")
    return RECEIPT_AGAINST_CHECKPOINT


def _open(note: bytes, vkey: VerifierKey, origin: str) -> Checkpoint:
    try:
        return open_foreign_checkpoint(note, vkeys=[vkey], origin=origin)
    except (KeysError, LogError) as error:
        raise EvidenceError(f"a checkpoint does not verify: {error}") from error


def _64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _take(value: Mapping[str, object], name: str) -> bytes:
    text = value.get(name)
    if not isinstance(text, str):
        raise EvidenceError(f"{name} is missing")
    return _decode(text)


def _take_hash(value: Mapping[str, object], name: str) -> Hash:
    try:
        return parse_hash(_take(value, name))
    except ProofError as error:
        raise EvidenceError(f"{name} is no hash") from error


def _take_hashes(value: Mapping[str, object]) -> tuple[Hash, ...]:
    return _hashes(value.get("hashes"))


def _hashes(items: object) -> tuple[Hash, ...]:
    if not isinstance(items, list) or len(items) > 130:
        raise EvidenceError("hashes are no short list")
    try:
        return tuple(parse_hash(_decode(item)) for item in items if isinstance(item, str))
    except ProofError as error:
        raise EvidenceError("hashes are no hashes") from error


def _take_charge(value: Mapping[str, object]) -> Charge:
    claim, index, limit, stretches = (value.get(name) for name in ("claim", "index", "limit", "stretches"))
    if not isinstance(claim, str) or not isinstance(index, int) or not isinstance(stretches, list):
        raise EvidenceError("claim, index or stretches are missing")
    if len(stretches) > MAX_STRETCHES:
        raise EvidenceError(f"more than {MAX_STRETCHES} stretches")
    try:
        burst = parse_burst(limit) if isinstance(limit, str) else None
    except BurstError as error:
        raise EvidenceError("limit is none") from error
    return Charge(
        claim=claim,
        index=index,
        note=_take(value, "note"),
        stretches=tuple(_take_stretch(item) for item in stretches),
        limit=burst,
    )


def _take_stretch(item: object) -> Stretch:
    if not isinstance(item, dict):
        raise EvidenceError("a stretch is no object")
    start, entries = item.get("start"), item.get("entries")
    if not isinstance(start, int) or not isinstance(entries, list) or not all(isinstance(e, str) for e in entries):
        raise EvidenceError("a stretch lacks its start or entries")
    left, right = _hashes(item.get("left")), _hashes(item.get("right"))
    return Stretch(start=start, entries=tuple(_decode(entry) for entry in entries), left=left, right=right)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceError("not base64") from error
