"""The checkpoint keys of the trust data, and what full receipts prove under them.

Source: docs/spec/receipt.md, docs/spec/witness.md. Pure; everything that verifiers believe because a log holds it
(copies, status lists, landmark lists, notices) is proved here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mingzheng.keys.note import parse_note
from mingzheng.keys.trust import KeyRecord, OriginRecord, TrustData
from mingzheng.keys.vkey import VerifierKey, vkey_for
from mingzheng.log.hashing import Hash
from mingzheng.log.quorum import Quorum
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.verifier.errors import UnknownHeadError


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadKey:
    """Who signs the checkpoints of an origin."""

    origin: OriginRecord
    vkey: VerifierKey
    key: KeyRecord

    @property
    def sound(self) -> bool:
        """False once the key is compromised."""
        return self.key.compromised is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """Where a full receipt proves its leaf: at `index` of the log of `head`, under the checkpoint `note`."""

    head: HeadKey
    index: int
    note: bytes


def head_keys(trust: TrustData) -> dict[str, HeadKey]:
    """The checkpoint key of every origin that has one, by the origin's name."""
    heads = {}
    for origin in trust.origins.values():
        key = trust.checkpoint_key(origin.number)
        if key is not None:
            vkey = vkey_for(key.name, key.public_key)
            heads[origin.name] = HeadKey(origin=origin, vkey=vkey, key=key)
    return heads


def included(proof_bytes: bytes, leaf: Hash, heads: Mapping[str, HeadKey]) -> Proved:
    """Where a full receipt proves `leaf`, under the origin's own checkpoint key.

    The caller looks at `sound`, at the key's days and at the witnesses (`witnessed`). Raises LogError, KeysError,
    UnknownHeadError.
    """
    proof = parse_tlog_proof(proof_bytes)
    name = parse_note(proof.checkpoint_note).text.split("\n", 1)[0]
    head = heads.get(name)
    if head is None:
        raise UnknownHeadError("the checkpoint is of no origin in the trust data")
    verify_full_receipt(proof, leaf, vkey=head.vkey, origin=name)
    return Proved(head=head, index=proof.index, note=proof.checkpoint_note)


def witnessed(proved: Proved, quorum: Quorum) -> bool:
    """Whether the quorum cosigned the checkpoint of a full receipt.

    Raises a KeysError if a line of a known witness fails, MldsaUnavailableError where it cannot be checked.
    """
    origin = proved.head.origin
    return quorum.count(proved.note, origin=origin.number, name=origin.name, vkey=proved.head.vkey).satisfied
