"""Credential: reference bytes, the 26 bad inputs, identity, receipts, and both parsers alike."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import pathlib
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import cose, credential
from mingzheng.formats.claims import encode_claims, parse_claims
from mingzheng.formats.credential import (
    Credential,
    attach_receipt,
    detach_receipt,
    open_credential,
    parse_credential,
    parse_credential_generic,
    sign_credential,
)
from mingzheng.formats.errors import (
    ClaimsError,
    CredentialForgedError,
    CredentialKeyError,
    FormatError,
    UnknownVersionError,
)
from mingzheng.formats.qrtext import parse_qr_text
from mingzheng.keys.alg import Alg, parse_public_key
from mingzheng.keys.errors import KeysError
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import KeyRecord, Role

ROOT = pathlib.Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors" / "credential"
SAMPLE = json.loads((VECTORS / "sample.json").read_text("utf-8"))
REFERENCES = {item["name"]: item for item in SAMPLE["references"]}
HOSTILE = json.loads((VECTORS / "hostile.json").read_text("utf-8"))
BOUNDS = json.loads((VECTORS / "bounds.json").read_text("utf-8"))
TWINS = json.loads((VECTORS / "receipt_twins.json").read_text("utf-8"))
ALGS = {"ed25519": Alg.ED25519, "esp256": Alg.ESP256}


def key_record(spki: bytes, alg: Alg, *, role: Role = Role.CREDENTIAL) -> KeyRecord:
    public_key = parse_public_key(spki, alg=alg)
    return KeyRecord(
        kid=public_key.kid,
        role=role,
        public_key=public_key,
        issuer=1,
        jurisdictions=frozenset({0, 31}),
        kinds=frozenset({1}),
        valid_from=0,
        valid_until=30_000,
        origins=frozenset({1}),
    )


KEYS = {name: key_record(bytes.fromhex(item["spki"]), ALGS[name]) for name, item in REFERENCES.items()}
BY_KID = {key.kid: key for key in KEYS.values()}
GOOD = bytes.fromhex(REFERENCES["ed25519"]["credential"])
GOOD_EC = bytes.fromhex(REFERENCES["esp256"]["credential"])
CLAIMS = parse_claims(bytes.fromhex(REFERENCES["ed25519"]["payload"]))


def accept(data: bytes) -> Credential:
    """What a verifier does before it looks at scope, receipt, status and rules."""
    unverified = parse_credential(data)
    return open_credential(unverified, BY_KID.get(unverified.kid, KEYS["ed25519"]))


def code_of(data: bytes) -> str:
    try:
        accept(data)
    except FormatError as error:
        return error.code
    return "accept"


# Reference bytes


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_bytes(name: str) -> None:
    item = REFERENCES[name]
    signer = InMemorySigner.from_private_bytes(ALGS[name], bytes.fromhex(item["private"]))
    made = sign_credential(CLAIMS, signer)
    assert made.hex() == item["credential"]
    unverified = parse_credential(made)
    assert unverified.alg == ALGS[name]
    assert unverified.kid.hex() == item["kid"]
    assert unverified.payload.hex() == item["payload"]
    assert unverified.signature.hex() == item["signature"]
    assert unverified.signed.hex() == item["sig_structure"]
    assert unverified.identity.hex() == item["identity"]
    assert unverified.receipt is None
    opened = accept(made)
    assert opened.claims == CLAIMS
    assert opened.key is KEYS[name]


def test_size_of_the_fixed_sample() -> None:
    words = SAMPLE["claims"]
    assert (len(words["name"]), len(words["employer"]), len(words["purpose"])) == (4, 21, 23)
    assert len(words["specialties"]) == 2
    assert len(GOOD) == len(GOOD_EC) == 384
    without_purpose = dataclasses.replace(CLAIMS, purpose=None)
    signer = InMemorySigner.from_private_bytes(Alg.ED25519, bytes(range(32)))
    assert len(sign_credential(without_purpose, signer)) == 311


# Hostile vectors: well-signed, one fault each


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: f"{case['row']}-{case['name']}")
def test_hostile_vector(case: dict[str, Any]) -> None:
    assert code_of(bytes.fromhex(case["hex"])) == case["code"]


@pytest.mark.parametrize("case", BOUNDS, ids=lambda case: case["name"])
def test_bounds_vector(case: dict[str, Any]) -> None:
    assert code_of(bytes.fromhex(case["hex"])) == case["code"]


def refused(row: int, *parts: str) -> None:
    """Every hostile vector of a row whose name begins so is refused; there is at least one each."""
    for part in parts:
        cases = [case for case in HOSTILE if case["row"] == row and case["name"].startswith(part)]
        assert cases, part
        for case in cases:
            assert code_of(bytes.fromhex(case["hex"])) not in ("accept", "claims.unknown_version"), case["name"]


def test_row_01_alg_only_unprotected() -> None:
    refused(1, "alg_only_unprotected")


def test_row_02_alg_absent() -> None:
    refused(2, "alg_absent", "protected_empty", "alg_text")


def test_row_03_alg_of_another_kind_of_key() -> None:
    refused(3, "alg_esp256_over_ed25519", "alg_es256_over", "alg_alias", "alg_ed448")


def test_row_04_alg_conflict() -> None:
    refused(4, "alg_conflict", "alg_repeated")


def test_row_05_kid_unprotected_or_in_conflict() -> None:
    refused(5, "kid_only_unprotected", "kid_conflict", "kid_short", "kid_path")


def test_row_06_crit_and_other_headers() -> None:
    refused(6, "crit_unknown", "crit_unprotected", "jku", "receipts_two", "receipts_none")


def test_row_07_duplicate_label() -> None:
    refused(7, "protected_duplicate", "unprotected_duplicate")


def test_row_08_exp_twice() -> None:
    refused(8, "exp_twice")


def test_row_09_exp_of_strange_value() -> None:
    refused(9, "exp_nan", "exp_infinity", "exp_bignum", "exp_float", "exp_negative", "exp_within_day")


def test_row_10_exp_missing_is_no_window_and_never_a_default() -> None:
    """Whether a copy may lack a window is the profile's rule; here absence stays visible."""
    case = next(case for case in BOUNDS if case["name"] == "exp_absent")
    assert accept(bytes.fromhex(case["hex"])).claims.usage_until is None


def test_row_11_iat_missing_or_within_a_day_or_nbf() -> None:
    """A future iat is NOT_YET_VALID, by the verifier's clock; this room has none."""
    refused(11, "iat_missing", "iat_within_day", "nbf_added")


def test_row_12_trailing_bytes() -> None:
    refused(12, "trailing_outer", "trailing_protected", "trailing_payload")


def test_row_13_other_spellings() -> None:
    refused(13, "indefinite", "nonminimal", "unsorted", "float_key")


def test_row_14_nesting() -> None:
    refused(14, "nest_7", "nest_300", "nest_2900")


def test_row_15_tags_and_types() -> None:
    refused(15, "tag_regex", "tag_cyclic", "tag_mime", "tag_decimal", "tag_bignum", "tag_set", "type_")


def test_row_16_huge_lengths() -> None:
    refused(16, "length_2e31", "length_2e62", "length_2e63", "over_4096")


def test_row_17_no_compression_anywhere() -> None:
    refused(17, "zlib", "payload_zlib")
    for module in ("cbor", "cose", "claims", "credential", "qrtext"):
        tree = ast.parse((ROOT / "formats" / f"{module}.py").read_text("utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not imported & {"zlib", "gzip", "bz2", "lzma", "zipfile"}


def test_row_18_weak_and_foreign_keys_never_become_key_records() -> None:
    order_4 = bytes(32)
    order_1 = b"\x01" + bytes(31)
    non_canonical = (2**255 - 19 + 1).to_bytes(32, "little")
    ed448 = bytes.fromhex("3043300506032b6571033a00") + bytes(57)
    head = bytes.fromhex("302a300506032b6570032100")
    for spki in (head + order_4, head + order_1, head + non_canonical, ed448):
        with pytest.raises(KeysError):
            key_record(spki, Alg.ED25519)
    with pytest.raises(KeysError):
        key_record(bytes.fromhex(REFERENCES["esp256"]["spki"]), Alg.ED25519)


def test_row_19_signature_encodings() -> None:
    refused(
        19, "esp256_der", "esp256_r_", "esp256_s_", "signature_0", "signature_63", "signature_65", "ed25519_s_plus_l"
    )


def test_row_19_high_s_is_the_same_credential() -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = GOOD_EC[:-32] + (order - int.from_bytes(GOOD_EC[-32:], "big")).to_bytes(32, "big")
    assert twin != GOOD_EC
    assert accept(twin).identity == accept(GOOD_EC).identity


def test_row_20_other_contexts_and_structures() -> None:
    refused(20, "context_", "external_aad", "untagged", "tag_18_twice", "tag_61", "tag_98", "five_", "payload_null")


def test_row_21_key_of_another_issuer() -> None:
    """Province and kind of a key are checked in the verifier; no key but the kid's is ever used."""
    refused(21, "signed_by_another_key", "iss_claim")
    with pytest.raises(CredentialKeyError):
        open_credential(parse_credential(GOOD), KEYS["esp256"])


def test_row_22_no_clock_in_this_room() -> None:
    """Stale and rolled-back data are the verifier's: here an old credential opens as it always did."""
    for module in ("cbor", "cose", "claims", "credential", "qrtext", "civil", "text"):
        source = (ROOT / "formats" / f"{module}.py").read_text("utf-8")
        assert "now(" not in source
        assert "import time" not in source


def test_row_23_a_copied_code_has_the_same_identity() -> None:
    """A replay cannot be told from the first showing: the record is proved, not who shows it."""
    assert accept(GOOD).identity == accept(bytes(GOOD)).identity


def test_row_24_swapped_code_has_another_identity() -> None:
    other = sign_credential(
        dataclasses.replace(CLAIMS, serial=CLAIMS.serial + 1),
        InMemorySigner.from_private_bytes(Alg.ED25519, bytes.fromhex(REFERENCES["ed25519"]["private"])),
    )
    assert accept(other).identity != accept(GOOD).identity


def test_row_25_foreign_code_beside_a_genuine_one() -> None:
    """Each code is judged by itself (pictures: test_qrimage)."""
    assert parse_qr_text(str(int.from_bytes(GOOD, "big")), prefixes=()).data == GOOD
    with pytest.raises(FormatError):
        parse_qr_text("https://zs.example.cn/v1/", prefixes=("https://zs.example.cn/v1/#",))


def test_row_26_confusable_names() -> None:
    refused(26, "name_nfd", "name_zero_width", "name_bidi", "name_surrogate", "name_private_use", "name_unassigned")


def test_rows_of_vectors() -> None:
    by_files = {case["row"] for case in HOSTILE}
    assert by_files | {10, 18, 22, 23, 24, 25} == set(range(1, 27))
    assert len(HOSTILE) > 120


# open_credential


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.CREDENTIAL])
def test_key_of_another_role_opens_nothing(role: Role) -> None:
    record = dataclasses.replace(KEYS["ed25519"], role=role)
    with pytest.raises(CredentialKeyError):
        open_credential(parse_credential(GOOD), record)


def test_record_that_swears_another_algorithm() -> None:
    record = dataclasses.replace(KEYS["esp256"], kid=KEYS["ed25519"].kid)
    with pytest.raises(CredentialForgedError, match="algorithm"):
        open_credential(parse_credential(GOOD), record)


def test_unknown_version_needs_a_good_signature() -> None:
    data = bytes.fromhex(next(case["hex"] for case in BOUNDS if case["name"] == "unknown_version"))
    with pytest.raises(UnknownVersionError):
        accept(data)
    with pytest.raises(CredentialForgedError):
        accept(data[:-1] + bytes((data[-1] ^ 1,)))


@given(st.integers(0, 8 * len(GOOD) - 1))
def test_one_flipped_bit_never_opens(bit: int) -> None:
    changed = bytearray(GOOD)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FormatError):
        accept(bytes(changed))


def test_every_prefix_and_one_more_byte_is_refused() -> None:
    for data in (GOOD, bytes.fromhex(TWINS[4]["credential"])):
        for cut in range(len(data)):
            with pytest.raises(FormatError):
                parse_credential(data[:cut])
        with pytest.raises(FormatError):
            parse_credential(data + b"\0")


# sign_credential


def test_sign_refuses_algorithms_of_receipts() -> None:
    with pytest.raises(CredentialKeyError):
        sign_credential(CLAIMS, InMemorySigner.from_private_bytes(Alg.EDDSA, bytes(range(32))))


def test_sign_refuses_claims_out_of_bounds() -> None:
    signer = InMemorySigner.from_private_bytes(Alg.ED25519, bytes(range(32)))
    with pytest.raises(ClaimsError):
        sign_credential(dataclasses.replace(CLAIMS, serial=-1), signer)


# Receipts


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: f"{len(twin['receipt']) // 2}B")
def test_receipt_changes_the_bytes_and_not_the_identity(twin: dict[str, str]) -> None:
    receipt, data = bytes.fromhex(twin["receipt"]), bytes.fromhex(twin["credential"])
    assert attach_receipt(GOOD, receipt) == data
    assert detach_receipt(data) == (GOOD, receipt)
    assert attach_receipt(data, receipt[:-1]) == attach_receipt(GOOD, receipt[:-1])
    opened = accept(data)
    assert opened.receipt == receipt
    assert opened.identity == accept(GOOD).identity
    assert dataclasses.replace(opened, receipt=None) == accept(GOOD)


def test_receipt_too_large_is_refused() -> None:
    room = 4096 - len(GOOD) - 7
    largest = attach_receipt(GOOD, bytes(room))
    assert len(largest) == 4096
    assert credential._parse_fast(largest) is not None
    with pytest.raises(FormatError):
        attach_receipt(GOOD, bytes(room + 1))
    with pytest.raises(FormatError):
        attach_receipt(GOOD[:-1], None)


# The quick parser means what the general one means


def same(data: bytes) -> bool:
    """Whether both parsers agree; true for acceptance too."""
    quick = credential._parse_fast(data)
    try:
        slow = parse_credential_generic(data)
    except FormatError:
        return quick is None
    return quick == slow


def test_parsers_agree_on_the_vectors() -> None:
    for case in (*HOSTILE, *BOUNDS):
        assert same(bytes.fromhex(case["hex"]))
    for twin in TWINS:
        assert same(bytes.fromhex(twin["credential"]))


@given(st.sampled_from([GOOD, GOOD_EC, *(bytes.fromhex(twin["credential"]) for twin in TWINS)]), st.data())
def test_parsers_agree_on_changed_bytes(data: bytes, draw: st.DataObject) -> None:
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, min(30, len(changed) - 1)) | st.integers(0, len(changed) - 1))
        changed[at] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.sampled_from([0, 0, 0, 1, 2, 70]))
    assert same(bytes(changed)[: len(changed) - cut])


@given(st.binary(max_size=200))
def test_parsers_agree_on_noise_behind_a_good_beginning(noise: bytes) -> None:
    for keep in (0, 1, 5, 16, 17, 21, 22, 23):
        assert same(GOOD[:keep] + noise)
        assert same(bytes.fromhex(TWINS[4]["credential"])[:keep] + noise)


@given(st.binary(max_size=400), st.none() | st.binary(max_size=300), st.sampled_from(sorted(cose.ALGS_CREDENTIAL)))
def test_parsers_agree_on_any_well_formed_credential(payload: bytes, receipt: bytes | None, alg: int) -> None:
    parts = cose.Sign1(
        protected=cose.protected_header(alg, KEYS["ed25519"].kid),
        unprotected={} if receipt is None else {cose.RECEIPTS: (receipt,)},
        payload=payload,
        signature=bytes(64),
    )
    data = cose.encode_sign1(parts)
    assert credential._parse_fast(data) is not None
    assert same(data)
    assert parse_credential(data).payload == payload


def test_parsers_agree_on_every_length_and_every_spelling_of_it() -> None:
    """Payload or receipt of each length under each head that could mean it: only the shortest is taken."""
    begin, end = GOOD[:16], GOOD[-66:]
    for length in (*range(64), *range(250, 262)):
        content = bytes((0x17, 0x58, 0x40) * 88)[:length]
        heads = [bytes((0x40 | length,))] if length < 24 else []
        heads += [b"\x58" + bytes((length,))] if length < 256 else []
        heads += [b"\x59" + length.to_bytes(2, "big"), b"\x5a" + length.to_bytes(4, "big")]
        for place, head in enumerate(heads):
            for data in (
                begin + b"\xa0" + head + content + end,
                begin + b"\xa1\x19\x01\x8a\x81" + head + content + b"\x41a" + end,
            ):
                assert same(data)
                assert (credential._parse_fast(data) is not None) == (place == 0)


def test_parsers_agree_on_every_head_of_the_signature() -> None:
    """Two bytes that nothing signs: another spelling would be the same credential in other bytes."""
    for at in (len(GOOD) - 66, len(GOOD) - 65):
        for value in range(256):
            data = GOOD[:at] + bytes((value,)) + GOOD[at + 1 :]
            assert same(data)
            assert (credential._parse_fast(data) is not None) == (data == GOOD)


def test_quick_parser_takes_the_common_spelling() -> None:
    """Else a fault in it would go unseen: the general one would do all the work."""
    assert credential._parse_fast(GOOD) is not None
    assert all(credential._parse_fast(bytes.fromhex(twin["credential"])) for twin in TWINS)


@given(st.binary(max_size=200))
def test_raises_only_typed_errors(data: bytes) -> None:
    with pytest.raises(FormatError):
        accept(data)
    with pytest.raises(FormatError):
        accept(zlib.compress(data))


def test_identity_is_of_the_signed_bytes() -> None:
    expected = cose.sig_structure(cose.protected_header(-19, KEYS["ed25519"].kid), encode_claims(CLAIMS))
    assert parse_credential(GOOD).identity == hashlib.sha256(expected).digest()
