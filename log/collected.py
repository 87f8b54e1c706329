"""Receipts collected in the field, checked against the log's tiles: `log audit --receipts DIR`.

Every regular file is one of: a compact receipt, a credential carrying one, a tlog-proof. A credential (or a tlog-proof,
by its signed checkpoint) that contradicts the tiles is a fork proof for third parties.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mingzheng.formats.claims import parse_claims
from mingzheng.formats.credential import parse_credential
from mingzheng.formats.errors import FormatError
from mingzheng.keys.alg import PublicKey
from mingzheng.keys.errors import KeysError
from mingzheng.keys.trust import TrustData
from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.alarms import Alarm
from mingzheng.log.checkpoint import Checkpoint, open_foreign_checkpoint
from mingzheng.log.client import LogReader
from mingzheng.log.entry import encode_entry, issue_entry
from mingzheng.log.errors import LogError, ProofError, ReceiptInvalidError, ReceiptSignatureError
from mingzheng.log.evidence import Evidence, HistoryChanged, ReceiptAgainstCheckpoint, SplitView
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.proof import InclusionProof, build_inclusion, verify_inclusion
from mingzheng.log.receipt import (
    TLOG_PROOF_HEADER,
    CompactReceipt,
    parse_compact_receipt,
    parse_tlog_proof,
    verify_compact_receipt,
)

MAX_FILES = 1_000_000
MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginKeys:
    """What the trust data say of one log. `receipt_key` None: compact receipts go unchecked."""

    number: int
    name: str
    block_height: int
    vkey: VerifierKey
    receipt_key: PublicKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one file led to: an alarm, with evidence for third parties where there is some."""

    alarm: Alarm
    evidence: Evidence | None


class ReceiptCheck:
    """Checks files one by one against a verified reader; counts what agreed."""

    def __init__(self, reader: LogReader, keys: OriginKeys, trust: TrustData | None) -> None:
        self._reader, self._keys, self._trust = reader, keys, trust
        self.agreed = 0
        self.other_origin = 0

    def check_dir(self, directory: Path) -> Iterator[Found]:
        """Every regular file of the directory, by name; raises OSError."""
        for number, path in enumerate(sorted(directory.iterdir())):
            if number >= MAX_FILES:
                yield _found("audit.receipt_too_many", path.name, f"more than {MAX_FILES} files: the rest is unread")
                return
            if path.is_file():
                with open(path, "rb") as file:
                    yield from self.check(path.name, file.read(MAX_FILE_BYTES + 1))

    def check(self, name: str, data: bytes) -> Iterator[Found]:
        """One file's bytes."""
        if len(data) > MAX_FILE_BYTES:
            yield _found("audit.receipt_unreadable", name, f"over {MAX_FILE_BYTES} bytes")
        elif data.startswith(TLOG_PROOF_HEADER.encode()):
            yield from self._tlog_proof(name, data)
        else:
            yield from self._cbor(name, data)

    def _cbor(self, name: str, data: bytes) -> Iterator[Found]:
        leaf: Hash | None = None
        raw = data
        try:
            try:
                receipt = parse_compact_receipt(data)
            except ReceiptInvalidError:
                leaf, carried = self._credential(data)
                if carried is None:
                    yield _found("audit.receipt_absent", name, "a credential without receipt")
                    return
                receipt, raw = parse_compact_receipt(carried), carried
        except (LogError, FormatError) as error:
            yield _found("audit.receipt_unreadable", name, f"neither receipt nor credential: {error.code}")
            return
        if receipt.origin != self._keys.number:
            self.other_origin += 1
            return
        yield from self._compact(name, raw, receipt, leaf)

    def _credential(self, data: bytes) -> tuple[Hash | None, bytes | None]:
        unverified = parse_credential(data)
        record = None if self._trust is None else self._trust.key(unverified.kid)
        if record is None:
            return None, unverified.receipt
        claims = parse_claims(unverified.payload)
        entry = issue_entry(claims, identity=unverified.identity, kid=unverified.kid, issuer=record.issuer)
        return leaf_hash(encode_entry(entry)), unverified.receipt

    def _compact(self, name: str, raw: bytes, receipt: CompactReceipt, leaf: Hash | None) -> Iterator[Found]:
        key = self._keys.receipt_key
        if key is None:
            yield _found("audit.receipt_unchecked", name, "no receipt key for this origin in the trust data")
            return
        index, size = receipt.index, self._reader.checkpoint().size
        if leaf is not None:
            try:
                verify_compact_receipt(receipt, leaf, key=key, block_height=self._keys.block_height)
            except (ReceiptInvalidError, ProofError) as error:
                yield _found("audit.receipt_invalid", name, str(error), index)
                return
        if receipt.end > size:
            yield _found("audit.receipt_beyond_head", name, f"vouches for entry {index}, the head has {size}", index)
            return
        logged = self._reader.leaf(index)
        try:
            verify_compact_receipt(receipt, logged, key=key, block_height=self._keys.block_height)
            if leaf in (None, logged):
                self.agreed += 1
                return
        except ReceiptSignatureError:
            pass
        except (ReceiptInvalidError, ProofError) as error:
            yield _found("audit.receipt_invalid", name, str(error), index)
            return
        if leaf is None:
            detail = "signed over another leaf than the logged one, or not at all: its credential would tell"
            yield _found("audit.receipt_unproven", name, detail, index)
            return
        yield self._fork(name, raw, receipt, leaf)

    def _fork(self, name: str, raw: bytes, receipt: CompactReceipt, leaf: Hash) -> Found:
        proof = build_inclusion(receipt.start, self._reader.checkpoint().size, self._reader.node)
        evidence = ReceiptAgainstCheckpoint(
            receipt=raw,
            leaf=leaf,
            note=self._reader.note(),
            first_leaf=self._reader.leaf(receipt.start),
            hashes=proof.hashes,
        )
        detail = f"vouches for an entry at {receipt.index} that is not the one in the log"
        return Found(alarm=_alarm("audit.receipt_fork", name, detail, receipt.index), evidence=evidence)

    def _tlog_proof(self, name: str, data: bytes) -> Iterator[Found]:
        try:
            proof = parse_tlog_proof(data)
            head = open_foreign_checkpoint(proof.checkpoint_note, vkeys=[self._keys.vkey], origin=self._keys.name)
        except (LogError, KeysError) as error:
            yield _found("audit.receipt_unreadable", name, f"no tlog-proof of this log: {error.code}")
            return
        found = compare_heads(self._reader, proof.checkpoint_note, head, name)
        if found is not None:
            yield found
            return
        path = InclusionProof(index=proof.index, size=head.size, hashes=proof.hashes)
        try:
            verify_inclusion(path, self._reader.leaf(proof.index) if proof.index < head.size else Hash(b""), head.root)
            self.agreed += 1
        except ProofError as error:
            yield _found("audit.receipt_invalid", name, str(error), proof.index)


def compare_heads(reader: LogReader, note: bytes, head: Checkpoint, name: str) -> Found | None:
    """Whether a signed head seen elsewhere fits the log as read: None if it is a prefix."""
    ours = reader.checkpoint()
    where: dict[str, str | int] = {"source": name, "theirs": head.size, "ours": ours.size}
    if head.size > ours.size:
        detail = f"a head of {head.size} entries was signed, the log now shows {ours.size}"
        return Found(alarm=Alarm(code="audit.rollback", index=None, detail=detail, evidence=where), evidence=None)
    if head.size == ours.size:
        if head.root == ours.root:
            return None
        detail = f"two signed heads of {head.size} entries with different roots"
        evidence = SplitView(first=note, second=reader.note())
        return Found(alarm=Alarm(code="audit.split_view", index=None, detail=detail, evidence=where), evidence=evidence)
    if head.size == 0 or reader.root_at(head.size) == head.root:
        return None
    proof = reader.consistency(head.size)
    changed = HistoryChanged(older=note, newer=reader.note(), root=reader.root_at(head.size), hashes=proof.hashes)
    detail = f"the first {head.size} entries are not the ones signed before"
    return Found(alarm=Alarm(code="audit.history_changed", index=None, detail=detail, evidence=where), evidence=changed)


def _alarm(code: str, name: str, detail: str, index: int | None = None) -> Alarm:
    return Alarm(code=code, index=index, detail=f"{name}: {detail}", evidence={"source": name})


def _found(code: str, name: str, detail: str, index: int | None = None) -> Found:
    return Found(alarm=_alarm(code, name, detail, index), evidence=None)


__all__ = ["Found", "OriginKeys", "ReceiptCheck", "compare_heads"]
