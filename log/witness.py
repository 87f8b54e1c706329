"""A witness's decisions: C2SP tlog-witness, `add-checkpoint` and `sign-subtree`, as functions of what it has seen.

Pure: the store hands in the newest head it cosigned of the log, persists the new one with the answer's cosignature,
and only then lets the answer out. The order of checks is that of the answers 400, 404, 403, 400, 409, 422. Stricter
than the specification in one thing: a clock that stands before the last cosignature signs nothing (503).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.keys.errors import KeysError
from mingzheng.keys.note import Note, format_line, open_note, parse_note
from mingzheng.keys.vkey import VerifierKey, decode_base64
from mingzheng.log.checkpoint import Checkpoint, parse_foreign_checkpoint
from mingzheng.log.cosign import Cosigner, Subtree
from mingzheng.log.errors import CheckpointError, ProofError
from mingzheng.log.hashing import EMPTY_ROOT, HASH_BYTES, Hash
from mingzheng.log.merkle import MAX_SIZE
from mingzheng.log.proof import ConsistencyProof, SubtreeProof, is_subtree, verify_consistency, verify_subtree

MAX_REQUEST_BYTES: Final = 131_072
MAX_PROOF_LINES: Final = 63
TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered: status, media type and body."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The newest head of a log that this witness cosigned. `note`: the log's signatures and its own."""

    size: int
    root: Hash
    time: int
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer, and what must be durable before it goes out (None: nothing changes)."""

    answer: Answer
    state: Seen | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A well-formed request; nothing of it is verified. `note` begins with the line `origin`."""

    old: int
    hashes: tuple[Hash, ...]
    note: bytes
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignSubtree:
    """A well-formed request; nothing of it is verified. `note` is the reference checkpoint."""

    start: int
    end: int
    root: Hash
    hashes: tuple[Hash, ...]
    note: bytes
    origin: str


class _Refused(Exception):  # never leaves this module
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def parse_add_checkpoint(body: bytes) -> AddCheckpoint | Answer:
    """Read a request; anything but its one spelling is the answer 400."""
    try:
        head, note, origin = _split(body)
        if not head[0].startswith("old "):
            raise _Refused(400, "the first line is not the old size")
        old = _decimal(head[0].removeprefix("old "))
        return AddCheckpoint(old=old, hashes=_hashes(head[1:]), note=note, origin=origin)
    except _Refused as error:
        return _refusal(error)


def parse_sign_subtree(body: bytes) -> SignSubtree | Answer:
    """Read a request; anything but its one spelling of a subtree is the answer 400."""
    try:
        head, note, origin = _split(body)
        words = head[0].split(" ")
        if len(words) != 3 or words[0] != "subtree" or len(head) < 2:
            raise _Refused(400, "the first two lines are not a subtree's range and hash")
        start, end = _decimal(words[1]), _decimal(words[2])
        if not is_subtree(start, end):
            raise _Refused(400, "the range is no subtree")
        (root,) = _hashes(head[1:2])
        return SignSubtree(start=start, end=end, root=root, hashes=_hashes(head[2:]), note=note, origin=origin)
    except _Refused as error:
        return _refusal(error)


def format_add_checkpoint(*, old: int, hashes: Sequence[Hash], note: bytes) -> bytes:
    """The body a log sends."""
    return "".join(f"{line}\n" for line in (f"old {old}", *map(_encode, hashes), "")).encode() + note


def format_sign_subtree(proof: SubtreeProof, *, root: Hash, note: bytes) -> bytes:
    """The body a log sends; `note` is the head of `proof.size` that the witness cosigned."""
    lines = (f"subtree {proof.start} {proof.end}", _encode(root), *map(_encode, proof.hashes), "")
    return "".join(f"{line}\n" for line in lines).encode() + note


def decide_checkpoint(
    request: AddCheckpoint, *, log_vkeys: Sequence[VerifierKey], seen: Seen | None, cosigner: Cosigner, time: int
) -> Decision:
    """Cosign the head if it grows out of `seen`. `log_vkeys`: the keys this witness knows of the origin; none: 404.

    The caller persists `state` against exactly this `seen` before the answer goes out, else two requests could roll
    the witness back.
    """
    try:
        note, head = _open(request.note, request.origin, log_vkeys)
        _check_growth(request, head, seen)
        if time <= 0 or (seen is not None and time < seen.time):
            raise _Refused(503, "this witness's clock stands before its last cosignature")
    except _Refused as error:
        return Decision(answer=_refusal(error), state=None)
    lines = cosigner.cosign(note.text, time=time)
    log_lines = "".join(format_line(good.vkey.name, good.vkey.key_hash, good.signature) for good in note.verified)
    kept = f"{note.text}\n{log_lines}{lines}".encode()
    state = Seen(size=head.size, root=head.root, time=time, note=kept)
    return Decision(answer=Answer(status=200, content_type=TEXT, body=lines.encode()), state=state)


def decide_subtree(request: SignSubtree, *, known: bool, cosigner: Cosigner) -> Answer:
    """Cosign a subtree of a head that this witness has cosigned. `known`: the origin is one of its logs."""
    try:
        if not known or not cosigner.signs_subtrees:
            raise _Refused(404, "unknown log" if not known else "this witness signs no subtrees")
        try:
            note = open_note(request.note, cosigner.vkeys)
        except KeysError as error:
            raise _Refused(403, "not a head that this witness cosigned") from error
        if not any(good.timestamp for good in note.verified):
            raise _Refused(403, "not a head that this witness cosigned")
        head = _head(note.text)
        if request.end > head.size:
            raise _Refused(400, "the subtree ends beyond the checkpoint")
        proof = SubtreeProof(start=request.start, end=request.end, size=head.size, hashes=request.hashes)
        try:
            verify_subtree(proof, request.root, head.root)
        except ProofError as error:
            raise _Refused(422, error.code) from error
    except _Refused as error:
        return _refusal(error)
    tree = Subtree(origin=request.origin, start=request.start, end=request.end, root=request.root)
    return Answer(status=200, content_type=TEXT, body=cosigner.cosign_subtree(tree).encode())


def refuse(status: int, detail: str) -> Answer:
    """An answer that says why not."""
    return Answer(status=status, content_type=TEXT, body=f"{detail}\n".encode())


def _open(raw: bytes, origin: str, log_vkeys: Sequence[VerifierKey]) -> tuple[Note, Checkpoint]:
    """The log's own signature and a head under it: 404, 403, 400, and 422 for an impossible root."""
    if not log_vkeys:
        raise _Refused(404, "unknown log")
    try:
        note = open_note(raw, log_vkeys)
    except KeysError as error:  # its form was read with the request
        raise _Refused(403, error.code) from error
    if note.text.startswith(f"{origin}\n0\n") and not note.text.startswith(f"{origin}\n0\n{_encode(EMPTY_ROOT)}\n"):
        raise _Refused(422, "the root is not that of the empty tree")
    return note, _head(note.text)


def _head(text: str) -> Checkpoint:
    try:
        return parse_foreign_checkpoint(text)[0]
    except CheckpointError as error:
        raise _Refused(400, error.code) from error


def _check_growth(request: AddCheckpoint, head: Checkpoint, seen: Seen | None) -> None:
    """400, 409 and 422: the head continues the one that was seen."""
    if request.old > head.size:
        raise _Refused(400, "the old size is above the checkpoint's")
    size = 0 if seen is None else seen.size
    if request.old != size:
        raise _Refused(409, str(size))
    if seen is None or size == 0:
        if request.hashes:
            raise _Refused(422, "a proof from size 0")
        return
    proof = ConsistencyProof(old=size, new=head.size, hashes=request.hashes)
    try:
        verify_consistency(proof, seen.root, head.root)
    except ProofError as error:
        raise _Refused(422, error.code) from error


def _split(body: bytes) -> tuple[list[str], bytes, str]:
    """The lines before the empty one, the note behind it, and the note's first line."""
    if len(body) > MAX_REQUEST_BYTES:
        raise _Refused(413, f"over {MAX_REQUEST_BYTES} bytes")
    head, blank, note = body.partition(b"\n\n")
    if not blank or not head.isascii():
        raise _Refused(400, "no empty line before a checkpoint")
    lines = head.decode("ascii").split("\n")
    try:
        origin = parse_note(note).text.split("\n", 1)[0]
    except KeysError as error:
        raise _Refused(400, error.code) from error
    return lines, note, origin


def _hashes(lines: Sequence[str]) -> tuple[Hash, ...]:
    if len(lines) > MAX_PROOF_LINES:
        raise _Refused(400, f"more than {MAX_PROOF_LINES} proof lines")
    found = [decode_base64(line) for line in lines]
    hashes = tuple(Hash(item) for item in found if item is not None and len(item) == HASH_BYTES)
    if len(hashes) != len(lines):
        raise _Refused(400, "a line is not a hash in base64")
    return hashes


def _decimal(text: str) -> int:
    plain = text.isascii() and text.isdigit() and len(text) <= 19
    if not plain or (text[0] == "0" and text != "0") or int(text) > MAX_SIZE:
        raise _Refused(400, "not a decimal number of at most 2^63 - 1 without leading zeros")
    return int(text)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _refusal(error: _Refused) -> Answer:
    if error.status == 409:
        return Answer(status=409, content_type=SIZE, body=f"{error}\n".encode())
    return refuse(error.status, str(error))
