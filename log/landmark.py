"""Landmark lists: the block roots of a log's live range, provably those of a signed tree (docs/spec/landmark.md).

A list repeats every block root from `start` to the size of its head, and the subtrees before it: hashing them up must
give the head's root. So nothing in a list rests on whoever signed it. Full roots, not shortened ones, for that reason.
The boundaries of the blocks follow from the lengths of the rounds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import ClassVar

from mingzheng.formats import cbor, cose
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import CborLimits
from mingzheng.keys.alg import Alg, PublicKey, verify
from mingzheng.keys.errors import SignatureInvalidError
from mingzheng.keys.signer import Signer
from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.block import MAX_HEIGHT, Block, blocks
from mingzheng.log.checkpoint import Checkpoint
from mingzheng.log.entry import LandmarkEntry, OriginHead, encode_entry, read_heads, read_int, read_times
from mingzheng.log.errors import EntryError, LogError, MalformedError
from mingzheng.log.hashing import EMPTY_ROOT, HASH_BYTES, Hash, leaf_hash
from mingzheng.log.merkle import MAX_SIZE, HashReader, range_nodes
from mingzheng.log.proof import ConsistencyProof, verify_consistency
from mingzheng.log.receipt import TlogProof, verify_full_receipt

VERSION = 1
MAX_BYTES = 16 * 1024 * 1024
MAX_BLOCKS = 500_000
"""Roots in one list: the newest whole rounds that have no more."""

LIVE_SECONDS = 400 * 86_400
"""A list begins with the first round that is no older: longer than any usage window, so every usage copy is in it."""

LANDMARK_DOMAIN = b"mingzheng/landmark/v1"
LANDMARK_ALGS = frozenset({Alg.ED25519, Alg.ESP256})
MAX_ROUND = 65_536

_LIMITS = CborLimits(max_bytes=MAX_BYTES, max_depth=3)
_ITEMS = 9
_MAX_LEFT = 63


class LandmarkError(LogError):
    """Base: a landmark list that is not to be used."""

    code: ClassVar[str] = "landmark.invalid"


class LandmarkMalformedError(LandmarkError, MalformedError):
    """Landmark list bytes are not in their one spelling, or a list has no spelling."""

    code: ClassVar[str] = "landmark.malformed"


class LandmarkForgedError(LandmarkError):
    """Another key, algorithm or signature than the log's landmark key."""

    code: ClassVar[str] = "landmark.forged"


class LandmarkUntrueError(LandmarkError):
    """The roots of the list do not give the root of the head it names: they are not that log's blocks."""

    code: ClassVar[str] = "landmark.untrue"


class LandmarkUnprovedError(LandmarkError):
    """The file beside a list does not show that its head came before the checkpoint that holds its entry."""

    code: ClassVar[str] = "landmark.unproved"


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkBody:
    """What a list says. `left`, `roots`: joined hashes of 32 bytes; nothing is believed before `check_landmark`."""

    head: OriginHead
    height: int  # of the origin's greatest block
    this_update: int
    next_update: int
    start: int  # first leaf of the first block: a round begins there
    left: bytes  # roots of the fewest complete subtrees over [0, start), the largest first
    rounds: tuple[int, ...]  # lengths of the rounds from `start` to the head's size
    roots: bytes  # of the blocks of those rounds


class LandmarkIndex:
    """The block roots of one list whose roots were checked: built once, a search in an array each.

    Memory: the roots and eight bytes a block.
    """

    __slots__ = ("_roots", "_starts", "body")

    def __init__(self, body: LandmarkBody) -> None:
        """Raises LandmarkMalformedError, LandmarkUntrueError."""
        self.body = body
        self._starts = check_landmark(body)
        self._roots = body.roots

    def __len__(self) -> int:
        return len(self._starts) - 1

    def holds(self, start: int, end: int, root: bytes) -> bool:
        """Whether [start, end) is a block of the list and has this root."""
        starts = self._starts
        at = bisect_left(starts, start)
        if at + 1 >= len(starts) or starts[at] != start or starts[at + 1] != end:
            return False
        return self._roots[at * HASH_BYTES : (at + 1) * HASH_BYTES] == root

    def block_at(self, index: int) -> tuple[Block, Hash] | None:
        """The block that holds leaf `index`, and its root; None if the list does not cover it."""
        starts = self._starts
        if not self.body.start <= index < self.body.head.size:
            return None
        at = bisect_right(starts, index) - 1
        root = Hash(self._roots[at * HASH_BYTES : (at + 1) * HASH_BYTES])
        return Block(start=starts[at], end=starts[at + 1]), root


class BlockBook:
    """The rounds and block roots of one log from `start` on; gives its list at any head that it has reached.

    For the maker of lists and for the auditor, who draws them again. Memory: 32 bytes a block, 24 a round.
    """

    def __init__(self, *, origin: int, height: int, start: int = 0) -> None:
        self._origin, self._height, self._start = origin, height, start
        self._ends, self._times, self._blocks = array("Q"), array("Q"), array("Q", [0])
        self._roots = bytearray()

    @property
    def end(self) -> int:
        """Where the last round ended."""
        return self._ends[-1] if self._ends else self._start

    def add_round(self, end: int, seconds: int, read: HashReader) -> None:
        """Take in the round from the last one's end to `end`, with its time. Raises BlockError."""
        cut = blocks(self.end, end, self._height)
        for block in cut:
            self._roots += read(block.width.bit_length() - 1, block.start // block.width)
        self._ends.append(end)
        self._times.append(seconds)
        self._blocks.append(self._blocks[-1] + len(cut))

    def draw(self, head: OriginHead, *, this_update: int, next_update: int, read: HashReader) -> LandmarkBody:
        """The one list of the log at `head` for these times. Raises LandmarkMalformedError if no round ends there."""
        count = bisect_right(self._ends, head.size)
        if head.origin != self._origin or (self._ends[count - 1] if count else self._start) != head.size:
            raise LandmarkMalformedError(f"no round of origin {self._origin} ends at {head.size}", field="head")
        first = bisect_left(self._times, max(0, this_update - LIVE_SECONDS), 0, count)
        first = max(first, bisect_left(self._blocks, max(0, self._blocks[count] - MAX_BLOCKS), 0, count))
        ends = self._ends[first:count]
        start = self._ends[first - 1] if first else self._start
        return LandmarkBody(
            head=head,
            height=self._height,
            this_update=this_update,
            next_update=next_update,
            start=start,
            left=b"".join(read(level, index) for level, index in range_nodes(0, start)),
            rounds=tuple(end - begin for begin, end in zip([start, *ends], ends, strict=False)),
            roots=bytes(self._roots[self._blocks[first] * HASH_BYTES : self._blocks[count] * HASH_BYTES]),
        )


def check_landmark(body: LandmarkBody) -> array[int]:
    """Hash the list up to its head's root; the blocks' starts, and behind them the size.

    Cost: a hash a block. Raises LandmarkMalformedError if lengths do not fit, LandmarkUntrueError.
    """
    starts = _starts(body)
    left, roots = body.left, body.roots
    stack = [left[at : at + HASH_BYTES] for at in range(0, len(left), HASH_BYTES)]
    for number, start in enumerate(starts[:-1]):
        node = roots[number * HASH_BYTES : (number + 1) * HASH_BYTES]
        at = start // (starts[number + 1] - start)
        while at & 1:  # the stack holds one node per one-bit of the leaves so far
            node = sha256(b"\x01" + stack.pop() + node).digest()
            at >>= 1
        stack.append(node)
    root: bytes = EMPTY_ROOT
    if stack:
        root = stack.pop()
        while stack:
            root = sha256(b"\x01" + stack.pop() + root).digest()
    if root != body.head.root:
        raise LandmarkUntrueError(f"the roots give {root.hex()}, the head of size {body.head.size} has another")
    return starts


def encode_body(body: LandmarkBody) -> bytes:
    """The body's one spelling; raises LandmarkMalformedError for a value outside the schema."""
    head = OriginHead(*body.head)
    _check_numbers(((tuple(head),), body.height, body.this_update, body.next_update, body.start))
    _starts(body)
    rounds = b"".join(map(_varint, body.rounds))
    return cbor.encode(
        (
            *(VERSION, tuple(head), body.height, body.this_update, body.next_update),
            *(body.start, body.left, rounds, body.roots),
        )
    )


def parse_body(data: bytes) -> LandmarkBody:
    """Read a body; raises LandmarkMalformedError for all but the one spelling. Hashes are not looked at."""
    try:
        value = cbor.decode(data, max_bytes=MAX_BYTES, max_depth=_LIMITS.max_depth)
    except FormatError as error:
        raise LandmarkMalformedError(f"not strict CBOR: {error.code}", field="body", offset=error.offset) from error
    if not isinstance(value, tuple) or len(value) != _ITEMS:
        raise LandmarkMalformedError(f"not an array of {_ITEMS}", field="body")
    if value[0] != VERSION:
        raise LandmarkMalformedError(f"version is not {VERSION}", field="version")
    head, height, times, start = _check_numbers(((value[1],), *value[2:6]))
    left, rounds, roots = value[6:]
    if not isinstance(left, bytes) or not isinstance(rounds, bytes) or not isinstance(roots, bytes):
        raise LandmarkMalformedError("left, rounds and roots are not byte strings", field="body")
    body = LandmarkBody(
        head=head,
        height=height,
        this_update=times[0],
        next_update=times[1],
        start=start,
        left=left,
        rounds=tuple(_varints(rounds)),
        roots=roots,
    )
    _starts(body)
    return body


def landmark_entry(body: LandmarkBody) -> LandmarkEntry:
    """The log entry that carries the SHA-256 of this body."""
    return LandmarkEntry(
        origins=(body.head,),
        this_update=body.this_update,
        next_update=body.next_update,
        sha256=sha256(encode_body(body)).digest(),
    )


def sign_landmark_list(body: LandmarkBody, signer: Signer) -> bytes:
    """The signed list. Raises LandmarkForgedError for a key whose algorithm no landmark key has."""
    key = signer.public_key
    if key.alg not in LANDMARK_ALGS:
        raise LandmarkForgedError(f"a landmark key has algorithm -19 or -9, not {int(key.alg)}")
    payload = encode_body(body)
    protected = cose.protected_header(int(key.alg), key.kid)
    signature = signer.sign(cose.sig_structure(protected, payload, external_aad=LANDMARK_DOMAIN))
    return cose.encode_sign1(cose.Sign1(protected=protected, unprotected={}, payload=payload, signature=signature))


def open_landmark_list(data: bytes, key: PublicKey) -> LandmarkBody:
    """Verify a list under the log's landmark key and read it; its roots are left to `LandmarkIndex`.

    Raises LandmarkMalformedError, LandmarkForgedError.
    """
    try:
        sign1 = cose.parse_sign1(data, limits=_LIMITS)
        alg, kid = cose.parse_protected(sign1.protected)
    except FormatError as error:
        raise LandmarkMalformedError(f"{error.code}", field="list", offset=error.offset) from error
    if sign1.unprotected or sign1.payload is None:
        raise LandmarkMalformedError("unprotected header is not empty or payload is missing", field="list")
    if key.alg not in LANDMARK_ALGS or (alg, kid) != (key.alg, key.kid):
        raise LandmarkForgedError("another key or algorithm than the log's landmark key")
    message = cose.sig_structure(sign1.protected, sign1.payload, external_aad=LANDMARK_DOMAIN)
    try:
        verify(key, signature=sign1.signature, message=message)
    except SignatureInvalidError as error:
        raise LandmarkForgedError("the landmark key did not sign this list") from error
    return parse_body(sign1.payload)


def verify_landmark_proof(proof: TlogProof, body: LandmarkBody, *, vkey: VerifierKey, origin: str) -> Checkpoint:
    """Check that one signed checkpoint holds the list's entry and continues the list's head; returns it.

    `proof.extra`: the hashes of the consistency proof from the head's size to the checkpoint's, joined. Witnesses are
    left to the caller. Raises as `verify_full_receipt`, LandmarkUnprovedError, a ProofError.
    """
    checkpoint = verify_full_receipt(proof, leaf_hash(encode_entry(landmark_entry(body))), vkey=vkey, origin=origin)
    hashes = proof.extra or b""
    if len(hashes) % HASH_BYTES:
        raise LandmarkUnprovedError(f"{len(hashes)} bytes are no row of hashes")
    consistency = ConsistencyProof(
        old=body.head.size,
        new=checkpoint.size,
        hashes=tuple(Hash(hashes[at : at + HASH_BYTES]) for at in range(0, len(hashes), HASH_BYTES)),
    )
    verify_consistency(consistency, body.head.root, checkpoint.root)
    return checkpoint


# --- helpers


def _starts(body: LandmarkBody) -> array[int]:
    """Where each block starts, and the size behind them; the lengths of everything fit together."""
    if len(body.left) != body.start.bit_count() * HASH_BYTES:
        raise LandmarkMalformedError("not one hash per one-bit of start", field="left")
    if len(body.roots) > MAX_BLOCKS * HASH_BYTES:
        raise LandmarkMalformedError(f"over {MAX_BLOCKS} roots", field="roots")
    if len(body.rounds) * HASH_BYTES > len(body.roots):
        raise LandmarkMalformedError("more rounds than roots", field="rounds")
    if any(type(length) is not int or length % 2 or not 2 <= length <= MAX_ROUND for length in body.rounds):
        raise LandmarkMalformedError(f"not even lengths of 2 to {MAX_ROUND}", field="rounds")
    if body.start + sum(body.rounds) != body.head.size or body.start % 2:
        raise LandmarkMalformedError("the rounds do not lead from start to the head's size", field="rounds")
    starts = array("Q")
    for end, length in zip(accumulate(body.rounds, initial=body.start), body.rounds, strict=False):
        starts.extend(block.start for block in blocks(end, end + length, body.height))
        if len(starts) * HASH_BYTES > len(body.roots):
            break
    if len(starts) * HASH_BYTES != len(body.roots):
        raise LandmarkMalformedError("not one root for each block of the rounds", field="roots")
    starts.append(body.head.size)
    return starts


def _check_numbers(values: tuple[cbor.Value, ...]) -> tuple[OriginHead, int, tuple[int, int], int]:
    heads, height, this_update, next_update, start = values
    try:
        return (
            read_heads(heads)[0],
            read_int(height, "height", 1, MAX_HEIGHT),
            read_times(this_update, next_update),
            read_int(start, "start", 0, MAX_SIZE),
        )
    except EntryError as error:
        raise LandmarkMalformedError(error.detail, field=error.field, offset=error.offset) from error


def _varint(length: int) -> bytes:
    """Half of an even length, seven bits a byte, the low ones first."""
    half, out = length // 2, bytearray()
    while half > 127:
        out.append(half & 127 | 128)
        half >>= 7
    out.append(half)
    return bytes(out)


def _varints(data: bytes) -> Iterator[int]:
    """The lengths; raises LandmarkMalformedError for what `_varint` does not write."""
    half = shift = 0
    for offset, byte in enumerate(data):
        half |= (byte & 127) << shift
        if byte > 127:
            shift += 7
            if shift > 14:
                raise LandmarkMalformedError("a length is too long", field="rounds", offset=offset)
            continue
        if not byte:
            raise LandmarkMalformedError("a length is 0 or not as short as can be", field="rounds", offset=offset)
        yield 2 * half
        half = shift = 0
    if shift:
        raise LandmarkMalformedError("cut short", field="rounds")
