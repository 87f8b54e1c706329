"""Compact receipts (RFC 9942 over one block) and full receipts (C2SP tlog-proof): docs/spec/receipt.md.

RFC 9942 signs neither tree size nor leaf index. A compact receipt therefore names its block in the signed
header; with the block's width fixed there and the path's length fixed by it, one leaf hash verifies at one
index only. What revocation is keyed by (issuer, serial) stands inside the leaf, never beside it.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from mingzheng.formats import cbor, cose
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import CborLimits
from mingzheng.keys.alg import Alg, PublicKey, verify
from mingzheng.keys.errors import SignatureInvalidError
from mingzheng.keys.signer import Signer
from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.block import MAX_HEIGHT, Block, is_block
from mingzheng.log.checkpoint import Checkpoint, open_checkpoint
from mingzheng.log.errors import (
    ReceiptAlgorithmError,
    ReceiptBlockError,
    ReceiptMalformedError,
    ReceiptSignatureError,
)
from mingzheng.log.hashing import HASH_BYTES, Hash
from mingzheng.log.merkle import MAX_SIZE
from mingzheng.log.proof import InclusionProof, root_from_inclusion, verify_inclusion

RECEIPT_ALGS = frozenset({Alg.EDDSA, Alg.ES256})
MAX_RECEIPT_BYTES = 512  # 8 hashes and the longest numbers take 420
MAX_ORIGIN = 65_535

ALG_LABEL = 1
VDS_LABEL = 395  # verifiable data structure (RFC 9942)
VDS_RFC9162_SHA256 = 1
VDP_LABEL = 396  # verifiable data proofs
INCLUSION_LABEL = -1
BLOCK_LABEL = -65_538  # private use: [origin, start, end]

TLOG_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
MAX_TLOG_PROOF_BYTES = 73_728  # a note of 64 KiB with its witnesses, 63 hashes, the extra line
MAX_PATH_HASHES = 63
MAX_EXTRA_BYTES = 4_096

_LIMITS = CborLimits(max_bytes=MAX_RECEIPT_BYTES, max_depth=4)

# The whole spelling of a receipt but for the three lengths, which `_match_fast` compares: strict CBOR with fixed labels
# is a regular language.
_UINT = (
    rb"([\x00-\x17]|\x18[\x18-\xff]|\x19(?!\x00)[\x00-\xff]{2}"
    rb"|\x1a(?!\x00{2})[\x00-\xff]{4}|\x1b(?!\x00{4})[\x00-\xff]{8})"
)
_LABELS = rb"\x19\x01\x8b\x01\x3a\x00\x01\x00\x01"
_FAST = re.compile(
    rb"\xd2\x84(?:[\x50-\x57]|\x58[\x18-\x22])(\xa3\x01([\x26\x27])" + _LABELS + rb"\x83" + _UINT * 3 + rb")"
    rb"\xa1\x19\x01\x8c\xa1\x20\x81(?:\x58[\x18-\xff]|\x59\x01[\x00-\xff])(\x83"
    + _UINT * 2
    + rb"([\x80-\x88])((?:\x58\x20[\x00-\xff]{32}){1,8}))\xf6\x58\x40([\x00-\xff]{64})"
)
_HASH_ITEM = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactReceipt:
    """A well-formed receipt over the block [start, end) of an origin; nothing is verified yet."""

    alg: int
    origin: int
    start: int
    end: int
    leaf_index: int  # within the block
    hashes: tuple[Hash, ...]
    signature: bytes

    @property
    def index(self) -> int:
        """The entry's index in the log, if the receipt verifies."""
        return self.start + self.leaf_index


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBlock:
    """A block's root under the receipt key: one signature serves every leaf of the block."""

    alg: int
    origin: int
    block: Block
    root: Hash
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkProof:
    """Two receipts of one receipt key that no single log can have given: kept as evidence."""

    first: CompactReceipt
    first_root: Hash
    second: CompactReceipt
    second_root: Hash


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A C2SP tlog-proof: inclusion path and checkpoint note; nothing is verified yet."""

    index: int
    hashes: tuple[Hash, ...]
    checkpoint_note: bytes
    extra: bytes | None


def sign_block(signer: Signer, *, origin: int, block: Block, root: Hash) -> SignedBlock:
    """Sign a block's root with the origin's receipt key. Only for blocks below the durable head.

    Raises ReceiptAlgorithmError for a key of another role's algorithm, ReceiptBlockError for a shape or
    origin number that no receipt can carry.
    """
    alg = int(signer.public_key.alg)
    if alg not in RECEIPT_ALGS:
        raise ReceiptAlgorithmError(f"a receipt key has algorithm -8 or -7, not {alg}")
    _check_block(origin, block.start, block.end)
    message = cose.sig_structure(_protected(alg, origin, block.start, block.end), root)
    return SignedBlock(alg=alg, origin=origin, block=block, root=root, signature=signer.sign(message))


def compact_receipt(signed: SignedBlock, *, index: int, leaf: Hash, hashes: Sequence[Hash]) -> bytes:
    """The receipt of log index `index`, from its path within the block.

    Raises a ProofError or ReceiptBlockError if leaf and path do not give the signed root.
    """
    receipt = CompactReceipt(
        alg=signed.alg,
        origin=signed.origin,
        start=signed.block.start,
        end=signed.block.end,
        leaf_index=index - signed.block.start,
        hashes=tuple(hashes),
        signature=signed.signature,
    )
    verify_inclusion(_path_proof(receipt), leaf, signed.root)
    return encode_compact_receipt(receipt)


def sign_compact_receipt(
    signer: Signer, *, origin: int, block: Block, index: int, leaf: Hash, hashes: Sequence[Hash]
) -> bytes:
    """Sign the block that this leaf and path give and return its receipt. Raises as `sign_block`."""
    path = InclusionProof(index=index - block.start, size=block.width, hashes=tuple(hashes))
    signed = sign_block(signer, origin=origin, block=block, root=root_from_inclusion(path, leaf))
    return compact_receipt(signed, index=index, leaf=leaf, hashes=hashes)


def encode_compact_receipt(receipt: CompactReceipt) -> bytes:
    """The receipt's one spelling."""
    proof = cbor.encode((receipt.end - receipt.start, receipt.leaf_index, receipt.hashes))
    return cose.encode_sign1(
        cose.Sign1(
            protected=_protected(receipt.alg, receipt.origin, receipt.start, receipt.end),
            unprotected={VDP_LABEL: {INCLUSION_LABEL: (proof,)}},
            payload=None,
            signature=receipt.signature,
        )
    )


def parse_compact_receipt(data: bytes) -> CompactReceipt:
    """Read a receipt. Raises ReceiptMalformedError, or ReceiptBlockError if its numbers are no block's.

    One match for a receipt in its one spelling, the general reader for all else: it says what is wrong.
    """
    match = _FAST.fullmatch(data)
    if match is None or not _lengths_agree(match):
        return parse_compact_receipt_generic(data)
    _protected, alg, origin, start, end, _proof, tree_size, leaf_index, _count, path, signature = match.groups()
    return _checked(
        CompactReceipt(
            alg=-1 - (alg[0] & 0x1F),
            origin=_uint(origin),
            start=_uint(start),
            end=_uint(end),
            leaf_index=_uint(leaf_index),
            hashes=tuple(Hash(path[at : at + HASH_BYTES]) for at in range(2, len(path), _HASH_ITEM)),
            signature=signature,
        ),
        _uint(tree_size),
    )


def parse_compact_receipt_generic(data: bytes) -> CompactReceipt:
    """The same as `parse_compact_receipt` through strict CBOR item by item; errors name the part."""
    try:
        sign1 = cose.parse_sign1(data, limits=_LIMITS, detached=True)
        alg, origin, start, end = _parse_protected(sign1.protected)
        tree_size, leaf_index, hashes = _parse_unprotected(sign1.unprotected)
    except FormatError as error:
        raise ReceiptMalformedError(f"{error.code}", field="receipt", offset=error.offset) from error
    receipt = CompactReceipt(
        alg=alg,
        origin=origin,
        start=start,
        end=end,
        leaf_index=leaf_index,
        hashes=hashes,
        signature=sign1.signature,
    )
    return _checked(receipt, tree_size)


def receipt_root(receipt: CompactReceipt, leaf: Hash) -> Hash:
    """The block root that this leaf and the receipt's path give; raises a ProofError.

    A block is a complete subtree: each bit of the leaf's place says on which side its sibling stands.
    """
    place, width, hashes = receipt.leaf_index, receipt.end - receipt.start, receipt.hashes
    complete = 0 <= place < width and not width & (width - 1) and len(hashes) == width.bit_length() - 1
    if not complete or len(leaf) != HASH_BYTES:
        return root_from_inclusion(_path_proof(receipt), leaf)
    root: bytes = leaf
    for sibling in hashes:
        if len(sibling) != HASH_BYTES:
            return root_from_inclusion(_path_proof(receipt), leaf)
        root = sha256(b"\x01" + sibling + root if place & 1 else b"\x01" + root + sibling).digest()
        place >>= 1
    return Hash(root)


def verify_compact_receipt(receipt: CompactReceipt, leaf: Hash, *, key: PublicKey, block_height: int) -> int:
    """Check that the origin's one receipt key vouches for `leaf`; returns its index in the log.

    `key` and `block_height` are those that the trust data give for `receipt.origin`: the origin number is
    signed, so a receipt of another origin fails under this key. Cost: at most 8 hashes and one signature.

    Raises ReceiptBlockError for a block wider than the origin's, ReceiptAlgorithmError, ReceiptSignatureError
    (also for every other leaf, index, size or origin).
    """
    if not is_block(receipt.start, receipt.end, block_height):
        raise ReceiptBlockError(f"[{receipt.start}, {receipt.end}) is no block at height {block_height}")
    if key.alg not in RECEIPT_ALGS or receipt.alg != key.alg:
        raise ReceiptAlgorithmError(f"receipt has algorithm {receipt.alg}, its origin's key {int(key.alg)}")
    root = receipt_root(receipt, leaf)
    protected = _protected(receipt.alg, receipt.origin, receipt.start, receipt.end)
    try:
        verify(key, signature=receipt.signature, message=cose.sig_structure(protected, root))
    except SignatureInvalidError as error:
        raise ReceiptSignatureError("the receipt key did not sign the root of this leaf and path") from error
    return receipt.index


def find_fork(
    first: tuple[CompactReceipt, Hash], second: tuple[CompactReceipt, Hash], *, key: PublicKey, block_height: int
) -> ForkProof | None:
    """Whether two (receipt, leaf) pairs contradict each other: overlapping blocks, not the same block and root.

    Blocks never change and never overlap, so two verified receipts of one origin either share their block and
    its root or share no leaf. Raises as `verify_compact_receipt` if either does not verify.
    """
    (one, one_leaf), (two, two_leaf) = first, second
    verify_compact_receipt(one, one_leaf, key=key, block_height=block_height)
    verify_compact_receipt(two, two_leaf, key=key, block_height=block_height)
    one_root, two_root = receipt_root(one, one_leaf), receipt_root(two, two_leaf)
    if one.origin != two.origin or one.end <= two.start or two.end <= one.start:
        return None
    if (one.start, one.end, one_root) == (two.start, two.end, two_root):
        return None
    return ForkProof(first=one, first_root=one_root, second=two, second_root=two_root)


# --- full receipts (C2SP tlog-proof)


def format_tlog_proof(proof: TlogProof) -> bytes:
    """The proof's text; raises ReceiptMalformedError for a value that has no spelling."""
    lines = [TLOG_PROOF_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {_encode64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += [_encode64(item) for item in proof.hashes]
    data = "".join(f"{line}\n" for line in [*lines, ""]).encode() + proof.checkpoint_note
    if parse_tlog_proof(data) != proof:
        raise ReceiptMalformedError("value has no spelling", field="tlog-proof")
    return data


def parse_tlog_proof(data: bytes) -> TlogProof:
    """Read a tlog-proof; raises ReceiptMalformedError for all but the one spelling."""
    if len(data) > MAX_TLOG_PROOF_BYTES:
        raise ReceiptMalformedError(f"over {MAX_TLOG_PROOF_BYTES} bytes", field="tlog-proof")
    head, blank, note = data.partition(b"\n\n")
    if not blank or not note:
        raise ReceiptMalformedError("no empty line before a checkpoint", field="tlog-proof")
    lines = _ascii(head).split("\n")
    if lines[0] != TLOG_PROOF_HEADER:
        raise ReceiptMalformedError("another header line", field="tlog-proof")
    at = 1
    extra = None
    if lines[at:] and lines[at].startswith("extra "):
        extra = _decode64(lines[at].removeprefix("extra "), "extra", at)
        at += 1
    if not lines[at:] or not lines[at].startswith("index "):
        raise ReceiptMalformedError("no index line", field="tlog-proof", offset=at)
    index = _decimal(lines[at].removeprefix("index "))
    hashes = [_decode64(line, "hash", number) for number, line in enumerate(lines[at + 1 :], at + 1)]
    if len(hashes) > MAX_PATH_HASHES or any(len(item) != HASH_BYTES for item in hashes):
        raise ReceiptMalformedError(f"not at most {MAX_PATH_HASHES} hashes of 32 bytes", field="hash")
    if extra is not None and len(extra) > MAX_EXTRA_BYTES:
        raise ReceiptMalformedError(f"over {MAX_EXTRA_BYTES} bytes", field="extra")
    return TlogProof(index=index, hashes=tuple(Hash(h) for h in hashes), checkpoint_note=note, extra=extra)


def verify_full_receipt(proof: TlogProof, leaf: Hash, *, vkey: VerifierKey, origin: str) -> Checkpoint:
    """Check `leaf` at `proof.index` under the checkpoint that the origin's key signed; returns that head.

    Witness cosignatures are left to the caller. Raises a KeysError for the note, CheckpointError,
    CheckpointOriginError, a ProofError.
    """
    checkpoint = open_checkpoint(proof.checkpoint_note, vkeys=[vkey], origin=origin)
    path = InclusionProof(index=proof.index, size=checkpoint.size, hashes=proof.hashes)
    verify_inclusion(path, leaf, checkpoint.root)
    return checkpoint


# --- helpers


def _path_proof(receipt: CompactReceipt) -> InclusionProof:
    return InclusionProof(index=receipt.leaf_index, size=receipt.end - receipt.start, hashes=receipt.hashes)


def _protected(alg: int, origin: int, start: int, end: int) -> bytes:
    """`{1: alg, 395: 1, -65538: [origin, start, end]}` in its one spelling."""
    numbers = cbor.head(0, origin) + cbor.head(0, start) + cbor.head(0, end)
    return b"\xa3\x01" + cbor.head(1, -1 - alg) + b"\x19\x01\x8b\x01\x3a\x00\x01\x00\x01\x83" + numbers


def _lengths_agree(match: re.Match[bytes]) -> bool:
    """Whether the lengths before header, proof and path are those of what follows."""
    data, protected, proof = match.string, match[1], match[6]
    at = match.start(6)
    head = cbor.head(2, len(proof))
    return (
        data[2 : match.start(1)] == cbor.head(2, len(protected))
        and data[at - len(head) : at] == head
        and match[9][0] & 0x1F == len(match[10]) // _HASH_ITEM
    )


@lru_cache(maxsize=4_096)
def _uint(item: bytes) -> int:
    return int.from_bytes(item[1:]) if len(item) > 1 else item[0]


def _checked(receipt: CompactReceipt, tree_size: int) -> CompactReceipt:
    """The receipt, if its numbers fit together; raises ReceiptBlockError."""
    _check_block(receipt.origin, receipt.start, receipt.end)
    width, hashes = receipt.end - receipt.start, receipt.hashes
    if tree_size != width:
        raise ReceiptBlockError(f"tree size {tree_size} of a block {width} wide")
    if not 0 <= receipt.leaf_index < width:
        raise ReceiptBlockError(f"leaf index {receipt.leaf_index} in a block {width} wide")
    if len(hashes) != width.bit_length() - 1:
        raise ReceiptBlockError(f"{len(hashes)} hashes for a block {width} wide")
    return receipt


def _parse_protected(protected: bytes) -> tuple[int, int, int, int]:
    value = cbor.decode(protected, max_bytes=MAX_RECEIPT_BYTES, max_depth=2)
    if not isinstance(value, dict) or set(value) != {ALG_LABEL, VDS_LABEL, BLOCK_LABEL}:
        raise ReceiptMalformedError("not exactly the labels 1, 395, -65538", field="protected")
    alg, vds, block = value[ALG_LABEL], value[VDS_LABEL], value[BLOCK_LABEL]
    if type(alg) is not int or alg not in RECEIPT_ALGS:
        raise ReceiptMalformedError("algorithm is not -8 or -7", field="protected")
    if vds != VDS_RFC9162_SHA256:
        raise ReceiptMalformedError("data structure is not RFC9162_SHA256", field="protected")
    origin, start, end = _ints(block, 3, "protected")
    return alg, origin, start, end


def _parse_unprotected(value: object) -> tuple[int, int, tuple[Hash, ...]]:
    proofs = value.get(VDP_LABEL) if isinstance(value, dict) and len(value) == 1 else None
    inclusion = proofs.get(INCLUSION_LABEL) if isinstance(proofs, dict) and len(proofs) == 1 else None
    if not isinstance(inclusion, tuple) or len(inclusion) != 1 or not isinstance(inclusion[0], bytes):
        raise ReceiptMalformedError("not exactly {396: {-1: [proof]}}", field="unprotected")
    proof = cbor.decode(inclusion[0], max_bytes=MAX_RECEIPT_BYTES, max_depth=2)
    if not isinstance(proof, tuple) or len(proof) != 3:
        raise ReceiptMalformedError("not [tree size, leaf index, hashes]", field="proof")
    tree_size, leaf_index = _ints(proof[:2], 2, "proof")
    hashes = proof[2]
    if not isinstance(hashes, tuple):
        raise ReceiptMalformedError("hashes are no array", field="proof")
    path: list[Hash] = []
    for item in hashes:
        if not isinstance(item, bytes) or len(item) != HASH_BYTES:
            raise ReceiptMalformedError("a hash is not 32 bytes", field="proof", offset=len(path))
        path.append(Hash(item))
    return tree_size, leaf_index, tuple(path)


def _ints(value: cbor.Value, count: int, field: str) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) != count:
        raise ReceiptMalformedError(f"not an array of {count}", field=field)
    numbers = tuple(item for item in value if isinstance(item, int))
    if len(numbers) != count:
        raise ReceiptMalformedError("not integers", field=field)
    return numbers


def _check_block(origin: int, start: int, end: int) -> None:
    if not 1 <= origin <= MAX_ORIGIN:
        raise ReceiptBlockError(f"origin {origin} is not 1 to {MAX_ORIGIN}")
    if end > MAX_SIZE or not is_block(start, end, MAX_HEIGHT):
        raise ReceiptBlockError(f"[{start}, {end}) is no block of any height")


def _encode64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode64(text: str, field: str, line: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReceiptMalformedError("not base64", field=field, offset=line) from error
    if _encode64(data) != text:
        raise ReceiptMalformedError("not canonical base64", field=field, offset=line)
    return data


def _ascii(head: bytes) -> str:
    try:
        return head.decode("ascii")
    except UnicodeDecodeError as error:
        raise ReceiptMalformedError("not ASCII", field="tlog-proof", offset=error.start) from error


def _decimal(text: str) -> int:
    plain = text.isascii() and text.isdigit() and len(text) <= 19
    if not plain or (text[0] == "0" and text != "0") or int(text) >= MAX_SIZE:
        raise ReceiptMalformedError("not a decimal number below 2^63 - 1", field="index")
    return int(text)
