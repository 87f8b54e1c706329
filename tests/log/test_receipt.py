"""Receipts: reference bytes, every bit, every index, size and serial; full receipts of another maker."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import cbor, cose
from mingzheng.keys.alg import Alg, PublicKey, parse_public_key
from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.block import Block, blocks
from mingzheng.log.entry import IssueEntry, encode_entry
from mingzheng.log.errors import (
    CheckpointOriginError,
    LogError,
    ProofError,
    ProofIndexError,
    ReceiptAlgorithmError,
    ReceiptBlockError,
    ReceiptInvalidError,
    ReceiptMalformedError,
    ReceiptSignatureError,
    RootMismatchError,
)
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.proof import InclusionProof, build_block_inclusion, root_from_inclusion
from mingzheng.log.receipt import (
    MAX_TLOG_PROOF_BYTES,
    CompactReceipt,
    TlogProof,
    compact_receipt,
    encode_compact_receipt,
    find_fork,
    format_tlog_proof,
    parse_compact_receipt,
    parse_compact_receipt_generic,
    parse_tlog_proof,
    receipt_root,
    sign_block,
    sign_compact_receipt,
    verify_compact_receipt,
    verify_full_receipt,
)

VECTORS = Path(__file__).parents[1] / "vectors"
CASES = json.loads((VECTORS / "receipt" / "receipts.json").read_text(encoding="utf-8"))
LEAVES = [Hash(bytes.fromhex(leaf)) for leaf in CASES["leaf_hashes"]]
GOOD = {case["name"]: case for case in CASES["good"]}
SYNTHETIC = VECTORS / "log" / "synthetic_log600"
KID = Kid(b"kidkidki")
SIGNER = InMemorySigner.from_private_bytes(Alg.EDDSA, bytes.fromhex(CASES["keys"]["eddsa"]["seed"]))
ECDSA_SIGNER = InMemorySigner.from_private_bytes(Alg.ES256, bytes.fromhex(CASES["keys"]["es256"]["seed"]))
ORIGIN = CASES["origin"]


def key_of(name: str) -> PublicKey:
    facts = CASES["keys"][name]
    return parse_public_key(bytes.fromhex(facts["spki"]), alg=Alg(facts["alg"]))


def leaf_of(serial: int) -> Hash:
    entry = IssueEntry(issuer=1, kid=KID, kind=1, serial=serial, identity=b"i" * 32, issued_day=20_000)
    return leaf_hash(encode_entry(entry))


def receipt_in(leaves: list[Hash], index: int, *, start: int = 0, origin: int = ORIGIN) -> CompactReceipt:
    """The receipt of log index `index` where the block at `start` holds `leaves`."""

    def read(level: int, at: int) -> Hash:
        return root_of(leaves[(at << level) - start : ((at + 1) << level) - start])

    block = Block(start=start, end=start + len(leaves))
    path = build_block_inclusion(index, block.start, block.end, read)
    leaf = leaves[index - start]
    data = sign_compact_receipt(SIGNER, origin=origin, block=block, index=index, leaf=leaf, hashes=path.hashes)
    return parse_compact_receipt(data)


def check(receipt: CompactReceipt, leaf: Hash, *, height: int = 4) -> int:
    return verify_compact_receipt(receipt, leaf, key=SIGNER.public_key, block_height=height)


# --- reference bytes


@pytest.mark.parametrize("name", GOOD)
def test_reference_receipt_is_written_read_and_verified(name: str) -> None:
    case = GOOD[name]
    data = bytes.fromhex(case["hex"])
    alg = name.split("-")[0]
    signer = SIGNER if alg == "eddsa" else ECDSA_SIGNER
    receipt = parse_compact_receipt(data)
    leaf = leaf_hash(bytes.fromhex(case["entry"]))
    assert leaf.hex() == case["leaf_hash"]
    assert verify_compact_receipt(receipt, leaf, key=key_of(alg), block_height=4) == case["index"]
    assert encode_compact_receipt(receipt) == data
    block = Block(start=receipt.start, end=receipt.end)
    made = sign_compact_receipt(
        signer, origin=ORIGIN, block=block, index=case["index"], leaf=leaf, hashes=receipt.hashes
    )
    assert made == data
    assert receipt_root(receipt, leaf) == root_of(LEAVES[receipt.start : receipt.end])


@pytest.mark.parametrize("case", CASES["bad"], ids=lambda case: case["name"])
def test_named_fault_is_refused_with_its_code(case: dict[str, str]) -> None:
    leaf = Hash(bytes.fromhex(GOOD["eddsa-3"]["leaf_hash"]))
    with pytest.raises(ReceiptInvalidError) as caught:
        check(parse_compact_receipt(bytes.fromhex(case["hex"])), leaf)
    assert caught.value.code == case["code"]


# --- every bit, every leaf, every number


@pytest.mark.parametrize("name", ["eddsa-3", "es256-8"])
def test_every_flipped_bit_of_a_receipt_is_refused(name: str) -> None:
    case = GOOD[name]
    data = bytes.fromhex(case["hex"])
    key = key_of(name.split("-")[0])
    leaf = Hash(bytes.fromhex(case["leaf_hash"]))
    for at in range(len(data)):
        for bit in range(8):
            changed = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
            with pytest.raises(ReceiptInvalidError):
                verify_compact_receipt(parse_compact_receipt(changed), leaf, key=key, block_height=4)


def test_every_other_byte_of_a_receipts_numbers_is_refused() -> None:
    """All 255 other values of each byte before the hashes: labels, numbers, heads."""
    case = GOOD["eddsa-8"]
    data, leaf = bytes.fromhex(case["hex"]), Hash(bytes.fromhex(case["leaf_hash"]))
    for at in range(data.index(LEAVES[9])):
        for value in set(range(256)) - {data[at]}:
            with pytest.raises(ReceiptInvalidError):
                check(parse_compact_receipt(data[:at] + bytes([value]) + data[at + 1 :]), leaf)


def outcome(parse: Callable[[bytes], CompactReceipt], data: bytes) -> object:
    try:
        return parse(data)
    except ReceiptInvalidError as error:
        return error.code


def test_the_fast_reader_and_the_general_one_always_agree() -> None:
    """Every flipped bit, every doubled and every dropped byte, of every width."""
    samples = [bytes.fromhex(case["hex"]) for case in (*CASES["good"], *CASES["bad"])]
    leaves = [leaf_of(serial) for serial in range(256)]
    samples += [encode_compact_receipt(receipt_in(leaves[: 1 << h], 2**40 + 1, start=2**40)) for h in range(1, 9)]
    accepted = 0
    for data in samples:
        for at in range(min(len(data), 90)):
            changed = [data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :] for bit in range(8)]
            changed += [data, data[:at] + data[at + 1 :], data[:at] + data[at : at + 1] + data[at:], data[:at]]
            for item in changed:
                got = outcome(parse_compact_receipt, item)
                assert got == outcome(parse_compact_receipt_generic, item)
                if isinstance(got, CompactReceipt):
                    accepted += 1
                    assert encode_compact_receipt(got) == item
    assert accepted > 1000


def number(value: int, spelling: int) -> bytes:
    """An unsigned integer at one of five head lengths, minimal or not, or cut off."""
    size = (0, 1, 2, 4, 8)[spelling]
    if size == 0:
        return bytes([value % 24])
    return bytes([(0x18, 0x19, 0x1A, 0x1B)[spelling - 1]]) + (value % 256**size).to_bytes(size)


numbers = st.builds(number, st.integers(0, 300) | st.integers(0, 2**64 - 1), st.integers(0, 4))


@given(st.lists(numbers, min_size=5, max_size=5), st.integers(0, 9), st.integers(0, 9), st.sampled_from([0, 0, 1, -1]))
def test_both_readers_agree_on_numbers_in_every_spelling(items: list[bytes], told: int, count: int, off: int) -> None:
    protected = b"\xa3\x01\x27\x19\x01\x8b\x01\x3a\x00\x01\x00\x01\x83" + b"".join(items[:3])
    proof = b"\x83" + b"".join(items[3:]) + bytes([0x80 + told]) + (b"\x58\x20" + bytes(32)) * count
    lengths = cbor.head(2, len(protected) + off), cbor.head(2, len(proof))
    data = b"\xd2\x84" + lengths[0] + protected + b"\xa1\x19\x01\x8c\xa1\x20\x81" + lengths[1] + proof
    data += b"\xf6\x58\x40" + bytes(64)
    assert outcome(parse_compact_receipt, data) == outcome(parse_compact_receipt_generic, data)


def test_every_truncation_is_refused() -> None:
    data = bytes.fromhex(GOOD["eddsa-3"]["hex"])
    for end in range(len(data)):
        with pytest.raises(ReceiptMalformedError):
            parse_compact_receipt(data[:end])


def test_a_receipt_shows_no_other_leaf_of_its_block() -> None:
    for index in range(8):
        receipt = receipt_in(LEAVES[:8], index)
        for other in range(10):
            if other == index:
                assert check(receipt, LEAVES[other]) == index
            else:
                with pytest.raises(ReceiptSignatureError):
                    check(receipt, LEAVES[other])


def test_no_change_of_numbers_verifies() -> None:
    leaves = [leaf_of(serial) for serial in range(8)]
    receipt = receipt_in(leaves, 67, start=64)
    assert check(receipt, leaves[3]) == 67
    for origin in (0, ORIGIN - 1, ORIGIN, ORIGIN + 1):
        for start in range(48, 97):
            for end in range(start, start + 20):
                for leaf_index in range(-1, 9):
                    changed = replace(receipt, origin=origin, start=start, end=end, leaf_index=leaf_index)
                    if changed == receipt:
                        continue
                    with pytest.raises((ReceiptInvalidError, ProofError)):
                        check(changed, leaves[3])


def test_a_receipt_of_another_origin_with_equal_block_is_refused() -> None:
    leaves = [leaf_of(serial) for serial in range(8)]
    there = receipt_in(leaves, 3, origin=ORIGIN + 1)
    assert check(there, leaves[3]) == 3
    with pytest.raises(ReceiptSignatureError):
        check(replace(there, origin=ORIGIN), leaves[3])
    other = InMemorySigner.from_private_bytes(Alg.EDDSA, bytes([9]) * 32)
    with pytest.raises(ReceiptSignatureError):
        verify_compact_receipt(there, leaves[3], key=other.public_key, block_height=4)


@given(st.data())
def test_no_change_of_index_size_or_serial_makes_a_revoked_credential_valid(data: st.DataObject) -> None:
    """Revocation is keyed by the serial inside the leaf: a revoked credential's receipt serves no other serial,
    and no other receipt or number serves the revoked one as another entry."""
    height = data.draw(st.integers(1, 4))
    width = 1 << height
    start = width * data.draw(st.integers(0, 2**40))
    serials = data.draw(st.lists(st.integers(0, 2**40 - 1), min_size=width, max_size=width, unique=True))
    leaves = [leaf_of(serial) for serial in serials]
    revoked = data.draw(st.integers(0, width - 1))
    receipt = receipt_in(leaves, start + revoked, start=start)
    assert check(receipt, leaves[revoked]) == start + revoked

    claimed = data.draw(st.integers(0, 2**40 - 1).filter(lambda serial: serial != serials[revoked]))
    with pytest.raises(ReceiptSignatureError):
        check(receipt, leaf_of(claimed))
    changed = replace(
        receipt,
        start=data.draw(st.sampled_from([start, 0, width, start + width])),
        end=data.draw(st.sampled_from([start + width, width, 2 * width, start + 2 * width])),
        leaf_index=data.draw(st.integers(0, 2 * width)),
        origin=data.draw(st.sampled_from([ORIGIN, ORIGIN + 1])),
    )
    if changed != receipt:
        for leaf in (leaves[revoked], leaf_of(claimed)):
            with pytest.raises((ReceiptInvalidError, ProofError)):
                check(changed, leaf)


@given(st.binary(max_size=250))
def test_random_bytes_raise_nothing_but_receipt_errors(data: bytes) -> None:
    for raw in (data, b"\xd2" + data, b"\xd2\x84" + data):
        with pytest.raises(ReceiptInvalidError):
            parse_compact_receipt(raw)


# --- shapes


def wrapped(protected: cbor.Value, unprotected: cbor.Value, *, payload: bytes | None = None) -> bytes:
    assert isinstance(unprotected, dict)
    head = cbor.encode(protected) if not isinstance(protected, bytes) else protected
    sign1 = cose.Sign1(protected=head, unprotected=unprotected, payload=payload, signature=bytes(64))
    return cose.encode_sign1(sign1)


HEAD: dict[cbor.Key, cbor.Value] = {1: -8, 395: 1, -65538: (7, 0, 2)}
PROOF = cbor.encode((2, 0, (bytes(32),)))
VDP: dict[cbor.Key, cbor.Value] = {396: {-1: (PROOF,)}}


def test_the_sample_shape_is_accepted() -> None:
    assert parse_compact_receipt(wrapped(HEAD, VDP)).index == 0


@pytest.mark.parametrize(
    "head",
    [
        {}, (), b"", {1: -8, 395: 1}, {1: -8, -65538: (7, 0, 2)}, {395: 1, -65538: (7, 0, 2)}, {**HEAD, 3: 0},
        {**HEAD, 4: b"k"}, {**HEAD, 1: -19}, {**HEAD, 1: -9}, {**HEAD, 1: "-8"}, {**HEAD, 1: (-8,)}, {**HEAD, 1: b""},
        {**HEAD, 395: 2}, {**HEAD, 395: b"\1"}, {**HEAD, -65538: (7, 0)}, {**HEAD, -65538: (7, 0, 2, 0)},
        {**HEAD, -65538: 7}, {**HEAD, -65538: (7, 0, b"\2")}, {**HEAD, -65538: ("7", 0, 2)}, {**HEAD, -65538: {}},
        {1: -8, 395: 1, -65537: (7, 0, 2)}, (1, 395, -65538), (-65538, 1, 395),
    ],
)  # fmt: skip
def test_other_protected_headers_are_refused(head: cbor.Value) -> None:
    with pytest.raises(ReceiptMalformedError) as caught:
        parse_compact_receipt(wrapped(head, VDP))
    assert caught.value.code == "receipt.malformed"


@pytest.mark.parametrize(
    "header",
    [
        {}, {396: {-1: (PROOF,)}, 4: b"k"}, {395: {-1: (PROOF,)}}, {396: (PROOF,)}, {396: {}}, {396: {-2: (PROOF,)}},
        {396: {-1: (PROOF,), -2: ()}}, {396: {-1: PROOF}}, {396: {-1: ()}}, {396: {-1: (PROOF, PROOF)}},
        {396: {-1: (2,)}}, {396: {-1: ((2, 0, (bytes(32),)),)}}, {396: 0}, {396: {-1: (b"",)}},
        {396: {-1: (PROOF + b"\0",)}}, {396: {-1: (b"\xf6",)}},
    ],
)  # fmt: skip
def test_other_unprotected_headers_are_refused(header: cbor.Value) -> None:
    with pytest.raises(ReceiptMalformedError):
        parse_compact_receipt(wrapped(HEAD, header))


@pytest.mark.parametrize(
    "proof",
    [(), 2, (2, 0), (2, 0, (bytes(32),), 0), ("2", 0, (bytes(32),)), (2, b"", (bytes(32),)), (2, 0, bytes(32)),
     (2, 0, (bytes(31),)), (2, 0, (1,)), (2, 0, {})],
)  # fmt: skip
def test_other_proofs_are_refused(proof: cbor.Value) -> None:
    with pytest.raises(ReceiptMalformedError):
        parse_compact_receipt(wrapped(HEAD, {396: {-1: (cbor.encode(proof),)}}))


@pytest.mark.parametrize(
    ("block", "proof"),
    [
        ((0, 0, 2), (2, 0, 1)), ((65_536, 0, 2), (2, 0, 1)), ((-1, 0, 2), (2, 0, 1)),
        ((7, 0, 1), (1, 0, 0)), ((7, 3, 4), (1, 0, 0)), ((7, 0, 3), (3, 0, 2)), ((7, 2, 6), (4, 0, 2)),
        ((7, 2, 2), (0, 0, 0)), ((7, 4, 2), (2, 0, 1)), ((7, -2, 0), (2, 0, 1)), ((7, 0, 512), (512, 0, 9)),
        ((7, 2**63, 2**63 + 2), (2, 0, 1)), ((7, 0, 2), (4, 0, 1)), ((7, 0, 2), (1, 0, 1)), ((7, 0, 4), (2, 0, 1)),
        ((7, 0, 2), (2, 2, 1)), ((7, 0, 2), (2, -1, 1)), ((7, 0, 2), (2, 0, 0)), ((7, 0, 2), (2, 0, 2)),
    ],
)  # fmt: skip
def test_numbers_that_are_no_blocks_are_refused(block: tuple[int, int, int], proof: tuple[int, int, int]) -> None:
    size, index, count = proof
    inner = cbor.encode((size, index, (bytes(32),) * count))
    with pytest.raises(ReceiptBlockError) as caught:
        parse_compact_receipt(wrapped({**HEAD, -65538: block}, {396: {-1: (inner,)}}))
    assert caught.value.code == "receipt.bad_block"


def test_an_attached_payload_and_a_longer_input_are_refused() -> None:
    with pytest.raises(ReceiptMalformedError):
        parse_compact_receipt(wrapped(HEAD, VDP, payload=bytes(32)))
    with pytest.raises(ReceiptMalformedError):
        parse_compact_receipt(bytes(600))


def test_the_widest_receipt_fits_its_cap() -> None:
    receipt = CompactReceipt(
        alg=-8,
        origin=65_535,
        start=2**62,
        end=2**62 + 256,
        leaf_index=255,
        hashes=(Hash(bytes(32)),) * 8,
        signature=bytes(64),
    )
    data = encode_compact_receipt(receipt)
    assert len(data) <= 420
    assert parse_compact_receipt(data) == receipt


def test_a_level_of_the_block_costs_34_bytes_in_the_qr_code() -> None:
    sizes = [len(encode_compact_receipt(receipt_in([leaf_of(n) for n in range(1 << h)], 0))) for h in range(1, 5)]
    assert sizes == [133, 167, 201, 235]


# --- keys and heights


def test_a_block_wider_than_the_origin_admits_is_refused() -> None:
    receipt = receipt_in(LEAVES[:8], 3)
    assert check(receipt, LEAVES[3], height=3) == 3
    with pytest.raises(ReceiptBlockError):
        check(receipt, LEAVES[3], height=2)


def test_the_algorithm_is_the_keys() -> None:
    receipt = receipt_in(LEAVES[:8], 3)
    with pytest.raises(ReceiptAlgorithmError):
        verify_compact_receipt(receipt, LEAVES[3], key=ECDSA_SIGNER.public_key, block_height=4)
    with pytest.raises(ReceiptAlgorithmError):
        check(replace(receipt, alg=-7), LEAVES[3])
    as_issuer = InMemorySigner.from_private_bytes(Alg.ED25519, bytes.fromhex(CASES["keys"]["eddsa"]["seed"]))
    with pytest.raises(ReceiptAlgorithmError):
        verify_compact_receipt(receipt, LEAVES[3], key=as_issuer.public_key, block_height=4)
    with pytest.raises(ReceiptAlgorithmError):
        verify_compact_receipt(replace(receipt, alg=-19), LEAVES[3], key=as_issuer.public_key, block_height=4)
    with pytest.raises(ReceiptAlgorithmError):
        sign_block(as_issuer, origin=1, block=Block(start=0, end=2), root=LEAVES[0])


@pytest.mark.parametrize(("origin", "block"), [(0, (0, 2)), (65_536, (0, 2)), (1, (0, 1)), (1, (2, 6)), (1, (0, 512))])
def test_nothing_is_signed_that_no_receipt_carries(origin: int, block: tuple[int, int]) -> None:
    with pytest.raises(ReceiptBlockError):
        sign_block(SIGNER, origin=origin, block=Block(start=block[0], end=block[1]), root=LEAVES[0])


def test_one_signature_serves_every_leaf_of_the_block() -> None:
    (block,) = blocks(0, 8, 4)
    signed = sign_block(SIGNER, origin=ORIGIN, block=block, root=root_of(LEAVES[:8]))
    for index in range(8):
        receipt = receipt_in(LEAVES[:8], index)
        data = compact_receipt(signed, index=index, leaf=LEAVES[index], hashes=receipt.hashes)
        assert parse_compact_receipt(data) == receipt
    with pytest.raises(RootMismatchError):
        compact_receipt(signed, index=1, leaf=LEAVES[0], hashes=receipt_in(LEAVES[:8], 0).hashes)
    with pytest.raises(ProofIndexError):
        compact_receipt(signed, index=8, leaf=LEAVES[0], hashes=receipt_in(LEAVES[:8], 0).hashes)


# --- forks


def test_two_roots_of_one_block_are_a_fork() -> None:
    honest, split = [leaf_of(n) for n in range(4)], [leaf_of(n + 10) for n in range(4)]
    one, two = receipt_in(honest, 1), receipt_in(split, 2)
    fork = find_fork((one, honest[1]), (two, split[2]), key=SIGNER.public_key, block_height=4)
    assert fork is not None
    assert (fork.first_root, fork.second_root) == (root_of(honest), root_of(split))
    assert (fork.first, fork.second) == (one, two)


def test_overlapping_blocks_are_a_fork() -> None:
    leaves = [leaf_of(n) for n in range(8)]
    wide, narrow = receipt_in(leaves, 1), receipt_in(leaves[4:6], 5, start=4)
    assert find_fork((wide, leaves[1]), (narrow, leaves[5]), key=SIGNER.public_key, block_height=4) is not None


def test_no_fork_between_agreeing_neighbouring_or_foreign_receipts() -> None:
    leaves = [leaf_of(n) for n in range(8)]
    key = SIGNER.public_key
    one = receipt_in(leaves[:4], 1)
    pairs = [
        (receipt_in(leaves[:4], 2), leaves[2]),
        (receipt_in(leaves[4:], 5, start=4), leaves[5]),
        (receipt_in([leaf_of(99), leaf_of(98)], 0, origin=ORIGIN + 1), leaf_of(99)),
    ]
    for other in pairs:
        assert find_fork((one, leaves[1]), other, key=key, block_height=4) is None
        assert find_fork(other, (one, leaves[1]), key=key, block_height=4) is None


def test_a_fork_needs_two_receipts_that_verify() -> None:
    leaves = [leaf_of(n) for n in range(4)]
    receipt = receipt_in(leaves, 1)
    with pytest.raises(ReceiptSignatureError):
        find_fork((receipt, leaves[1]), (receipt, leaves[2]), key=SIGNER.public_key, block_height=4)


# --- full receipts


VKEY = parse_vkey((SYNTHETIC / "log.vkey").read_text().strip())
PROOFS = {index: (SYNTHETIC / "proofs" / f"{index}.tlog-proof").read_bytes() for index in (0, 300, 599)}


def foreign_leaf(index: int) -> Hash:
    return Hash(bytes.fromhex((SYNTHETIC / "proofs" / f"{index}.leafhash").read_text().strip()))


@pytest.mark.parametrize("index", PROOFS)
def test_full_receipts_of_another_maker_verify(index: int) -> None:
    proof = parse_tlog_proof(PROOFS[index])
    assert (proof.index, proof.extra) == (index, None)
    assert format_tlog_proof(proof) == PROOFS[index]
    head = verify_full_receipt(proof, foreign_leaf(index), vkey=VKEY, origin=VKEY.name)
    assert head.size == 600


def test_full_receipts_show_no_other_leaf_index_origin_or_key() -> None:
    proof, leaf = parse_tlog_proof(PROOFS[300]), foreign_leaf(300)
    with pytest.raises(RootMismatchError):
        verify_full_receipt(proof, foreign_leaf(0), vkey=VKEY, origin=VKEY.name)
    for index in (0, 299, 301, 599, 600, 2**40):
        with pytest.raises(ProofError):
            verify_full_receipt(replace(proof, index=index), leaf, vkey=VKEY, origin=VKEY.name)
    with pytest.raises(CheckpointOriginError):
        verify_full_receipt(proof, leaf, vkey=VKEY, origin="log.example/other")
    tessera = parse_vkey((VECTORS / "log" / "tessera_log15" / "log.vkey").read_text().strip())
    with pytest.raises(KeysError):
        verify_full_receipt(proof, leaf, vkey=tessera, origin=VKEY.name)


def test_every_changed_byte_of_a_full_receipts_path_or_head_is_refused() -> None:
    raw, leaf = PROOFS[599], foreign_leaf(599)
    end = raw.index("\n— w1".encode())  # the witnesses' lines are the caller's business
    for at in range(end):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises((LogError, KeysError)):
            verify_full_receipt(parse_tlog_proof(changed), leaf, vkey=VKEY, origin=VKEY.name)


NOTE = b"o\n1\nAAAA\n\n\xe2\x80\x94 x y\n"
H64 = base64.b64encode(bytes(32)).decode()
HEADER = "c2sp.org/tlog-proof@v1\n"


def test_extra_data_is_carried() -> None:
    for extra in (b"", b"extra", bytes(4096)):
        proof = TlogProof(index=7, hashes=(Hash(bytes(32)),), checkpoint_note=NOTE, extra=extra)
        raw = format_tlog_proof(proof)
        assert parse_tlog_proof(raw) == proof
        assert raw.startswith(HEADER.encode() + b"extra " + base64.b64encode(extra) + b"\nindex 7\n")


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n", HEADER, HEADER + "index 0\n", HEADER + "index 0\n\n", HEADER + "\n", HEADER + "\nnote",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nnote", "\nindex 0\n\nnote", HEADER + "extra YQ==\n\nnote",
        HEADER + "index 00\n\nnote", HEADER + "index +0\n\nnote", HEADER + "index -1\n\nnote",
        HEADER + "index ٠\n\nnote", HEADER + "index \n\nnote", HEADER + "index  0\n\nnote", HEADER + "index\n\nnote",
        HEADER + "0\n\nnote", HEADER + "index " + "1" * 5000 + "\n\nnote",
        HEADER + f"index {2**63 - 1}\n\nnote", HEADER + f"index {10**30}\n\nnote", HEADER + "Index 0\n\nnote",
        HEADER + "index 0\nAAAA\n\nnote", HEADER + f"index 0\n {H64}\n\nnote", HEADER + f"index 0\n{H64[:-1]}\n\nnote",
        HEADER + f"index 0\n{H64[:-2]}B=\n\nnote", HEADER + "index 0\n" + f"{H64}\n" * 64 + "\nnote",
        HEADER + "extra YR==\nindex 0\n\nnote", HEADER + "extra !\nindex 0\n\nnote",
        HEADER + "index 0\nindex 0\n\nnote", HEADER + "index 0\nextra YQ==\n\nnote", "﻿" + HEADER + "index 0\n\nnote",
        HEADER + "extra " + base64.b64encode(bytes(4097)).decode() + "\nindex 0\n\nnote",
        HEADER + "index 0\r\n\r\nnote", HEADER + "index 0\n\n" + "n" * 80_000,
    ],
)  # fmt: skip
def test_refuses_every_other_spelling_of_a_full_receipt(text: str) -> None:
    with pytest.raises(ReceiptMalformedError):
        parse_tlog_proof(text.encode())


def test_full_receipts_at_their_caps() -> None:
    hashes = (Hash(bytes(32)),) * 63
    proof = TlogProof(index=2**63 - 2, hashes=hashes, checkpoint_note=b"", extra=bytes(4096))
    bare = len(format_tlog_proof(replace(proof, checkpoint_note=b"n"))) - 1
    full = replace(proof, checkpoint_note=b"n" * (MAX_TLOG_PROOF_BYTES - bare))
    raw = format_tlog_proof(full)
    assert len(raw) == MAX_TLOG_PROOF_BYTES
    assert parse_tlog_proof(raw) == full
    with pytest.raises(ReceiptMalformedError, match="bytes"):
        parse_tlog_proof(raw + b"n")


@pytest.mark.parametrize(
    "proof",
    [
        TlogProof(index=-1, hashes=(), checkpoint_note=NOTE, extra=None),
        TlogProof(index=2**63, hashes=(), checkpoint_note=NOTE, extra=None),
        TlogProof(index=0, hashes=(Hash(b""),), checkpoint_note=NOTE, extra=None),
        TlogProof(index=0, hashes=(), checkpoint_note=b"", extra=None),
        TlogProof(index=0, hashes=(Hash(bytes(32)),) * 64, checkpoint_note=NOTE, extra=None),
    ],
)
def test_refuses_to_write_a_full_receipt_without_spelling(proof: TlogProof) -> None:
    with pytest.raises(ReceiptMalformedError):
        format_tlog_proof(proof)


@given(st.binary(max_size=200))
def test_random_full_receipts_raise_nothing_but_receipt_errors(data: bytes) -> None:
    for raw in (data, HEADER.encode() + data, HEADER.encode() + b"index 0\n" + data, PROOFS[0][:60] + data):
        try:
            proof = parse_tlog_proof(raw)
        except ReceiptMalformedError:
            continue
        assert format_tlog_proof(proof) == raw


# --- receipts of another maker, at the level where our profile allows


SCITT = VECTORS / "receipt" / "scitt_cose_v1"


@pytest.mark.parametrize("name", ["valid-eddsa", "valid-es256", "fail-tampered-path"])
def test_foreign_receipts_lack_our_block_but_their_paths_verify(name: str) -> None:
    expected = json.loads((SCITT / name / "expected.json").read_text(encoding="utf-8"))
    data = (SCITT / name / "receipt.cose").read_bytes()
    with pytest.raises(ReceiptMalformedError):
        parse_compact_receipt(data)
    proof = InclusionProof(
        index=expected["leaf_index"],
        size=expected["tree_size"],
        hashes=tuple(Hash(bytes.fromhex(h)) for h in expected["inclusion_path"]),
    )
    root = root_from_inclusion(proof, leaf_hash(bytes.fromhex(expected["leaf_entry"])))
    assert (root.hex() == expected["reconstructed_root"]) is expected["receipt_valid"]


def test_the_example_of_the_rfc_has_our_structure_without_our_block() -> None:
    data = (VECTORS / "receipt" / "cose_receipts_rfc9942" / "inclusion-receipt.cbor").read_bytes()
    with pytest.raises(ReceiptMalformedError):
        parse_compact_receipt(data)


@given(st.integers(0, 8), st.data())
def test_the_root_of_a_path_is_the_one_of_the_rfc(height: int, data: st.DataObject) -> None:
    """In a complete subtree and, whatever the numbers, in what no block can be."""
    place = data.draw(st.integers(-1, 1 << height))
    width = data.draw(st.sampled_from([1 << height, (1 << height) + 1]))
    item = st.one_of(*[st.binary(min_size=32, max_size=32)] * 4, st.binary(min_size=31, max_size=31))
    drawn = data.draw(st.lists(item, min_size=max(0, height - 1), max_size=height + 1))
    hashes = tuple(map(Hash, drawn))
    receipt = CompactReceipt(alg=-8, origin=1, start=0, end=width, leaf_index=place, hashes=hashes, signature=bytes(64))
    leaf = Hash(data.draw(st.binary(min_size=31, max_size=32)))

    def outcome(read: Callable[[], Hash]) -> object:
        try:
            return read()
        except ProofError as error:
            return type(error), str(error)

    proof = InclusionProof(index=place, size=width, hashes=hashes)
    assert outcome(lambda: receipt_root(receipt, leaf)) == outcome(lambda: root_from_inclusion(proof, leaf))
