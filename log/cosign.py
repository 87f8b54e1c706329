"""Cosignatures on checkpoints and subtrees: C2SP tlog-cosignature over the signed notes of `keys.note`.

A witness has one name and at most one key of each kind under it. A cosignature of time 0 (which `sign-subtree` gives)
does not say that the tree was the largest its signer saw: it is verified, and never counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mingzheng.keys.alg import verify
from mingzheng.keys.cosignature import TIME_BYTES, subtree_message
from mingzheng.keys.errors import NoteSignatureInvalidError, NoteSignerError, NoteUntrustedError, SignatureInvalidError
from mingzheng.keys.note import UnverifiedSignature, cosign_line, format_line, open_note
from mingzheng.keys.signer import Signer
from mingzheng.keys.vkey import TYPE_ML_DSA_44, VerifierKey, cosigner_vkey
from mingzheng.log.checkpoint import Checkpoint, parse_checkpoint
from mingzheng.log.errors import CheckpointOriginError
from mingzheng.log.hashing import Hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A witness's good signature on a head; `time` in unix seconds, never 0."""

    vkey: VerifierKey
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedHead:
    """A head that its log signed, and the known witnesses that cosigned it. Only `open_cosigned` makes it."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtree:
    """The leaves [start, end) of an origin and their root."""

    origin: str
    start: int
    end: int
    root: Hash


class Cosigner:
    """Who cosigns: a name and its keys, Ed25519, ML-DSA-44 or one of each."""

    def __init__(self, name: str, signers: Sequence[Signer]) -> None:
        """Raises NoteSignerError for no key, two of a kind or one that cosigns nothing, BadVkeyError for a bad name."""
        self.name = name
        self.vkeys = tuple(cosigner_vkey(name, signer.public_key) for signer in signers)
        self._signers = tuple(signers)
        if not signers or len({vkey.sig_type for vkey in self.vkeys}) != len(signers):
            raise NoteSignerError("a witness has one key of each kind at most, and at least one")

    @property
    def signs_subtrees(self) -> bool:
        """Whether there is an ML-DSA-44 key: Ed25519 cosignatures cover whole trees only."""
        return any(vkey.sig_type == TYPE_ML_DSA_44 for vkey in self.vkeys)

    def cosign(self, text: str, *, time: int) -> str:
        """The lines over a checkpoint's text, one per key. Raises NoteSignerError unless time > 0."""
        if time <= 0:
            raise NoteSignerError("a witness states when it saw the tree")
        return "".join(cosign_line(self.name, signer, text=text, timestamp=time) for signer in self._signers)

    def cosign_subtree(self, tree: Subtree) -> str:
        """The ML-DSA-44 line over a subtree, of time 0. Raises NoteSignerError without such a key."""
        for vkey, signer in zip(self.vkeys, self._signers, strict=True):
            if vkey.sig_type == TYPE_ML_DSA_44:
                signature = signer.sign(_message(vkey, tree))
                return format_line(self.name, vkey.key_hash, bytes(TIME_BYTES) + signature)
        raise NoteSignerError("only an ML-DSA-44 key signs subtrees")


def open_cosigned(
    note: bytes, *, origin: str, log_vkeys: Sequence[VerifierKey], witnesses: Sequence[VerifierKey]
) -> CosignedHead:
    """Verify a head of our own kind with every line of the known witnesses.

    The log must have signed it itself: cosignatures alone do not make a head. Raises a KeysError for the note,
    NoteUntrustedError if none of `log_vkeys` signed, NoteSignatureInvalidError if a line of a known key fails,
    CheckpointError, CheckpointOriginError.
    """
    opened = open_note(note, [*log_vkeys, *witnesses])
    if not any(good.vkey in log_vkeys for good in opened.verified):
        raise NoteUntrustedError("the log itself did not sign this head")
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin != origin:
        raise CheckpointOriginError(want=origin, got=checkpoint.origin)
    cosignatures = [
        Cosignature(vkey=good.vkey, time=good.timestamp)
        for good in opened.verified
        if good.vkey in witnesses and good.timestamp
    ]
    return CosignedHead(checkpoint=checkpoint, cosignatures=tuple(cosignatures))


def verify_subtree_line(line: UnverifiedSignature, tree: Subtree, *, vkey: VerifierKey) -> None:
    """Check a `sign-subtree` line of a known ML-DSA-44 key. Raises NoteSignatureInvalidError."""
    time, signature = line.signature[:TIME_BYTES], line.signature[TIME_BYTES:]
    known = (vkey.name, vkey.key_hash, vkey.sig_type) == (line.name, line.key_hash, TYPE_ML_DSA_44)
    if not known or vkey.public_key is None or time != bytes(TIME_BYTES):
        raise NoteSignatureInvalidError(name=vkey.name)
    try:
        verify(vkey.public_key, signature=signature, message=_message(vkey, tree))
    except SignatureInvalidError as error:
        raise NoteSignatureInvalidError(name=vkey.name) from error


def _message(vkey: VerifierKey, tree: Subtree) -> bytes:
    return subtree_message(
        cosigner=vkey.name, timestamp=0, origin=tree.origin, start=tree.start, end=tree.end, root=tree.root
    )
