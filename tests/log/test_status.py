"""Status lists: reference bytes, one spelling, size against the entropy bound, no confusion with credentials."""

import json
import math
import random
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import cbor, cose
from mingzheng.formats.claims import Claims, Copy, Sex
from mingzheng.formats.credential import open_credential, parse_credential, sign_credential
from mingzheng.formats.errors import FormatError
from mingzheng.keys.alg import Alg, parse_public_key
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.log.acts import SerialState
from mingzheng.log.entry import OriginHead, StatusEntry, encode_entry, parse_entry
from mingzheng.log.errors import StatusError, StatusForgedError, StatusMalformedError
from mingzheng.log.hashing import Hash
from mingzheng.log.status import (
    MAX_BYTES,
    STATUS_DOMAIN,
    StatusBody,
    StatusIndex,
    decode_set,
    encode_body,
    encode_set,
    open_status_list,
    parse_body,
    rice_parameter,
    sign_status_list,
    status_entry,
    status_from_events,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "status"
CASE = json.loads((VECTORS / "status.json").read_text(encoding="utf-8"))
SIGNER = InMemorySigner.from_private_bytes(Alg.ED25519, bytes.fromhex(CASE["key"]["seed"]))
ECDSA_SIGNER = InMemorySigner.from_private_bytes(Alg.ESP256, bytes([5]) * 32)
BODY_BYTES = bytes.fromhex(CASE["body"])
HEADS = (OriginHead(1, 4, Hash(bytes(32))), OriginHead(3, 0, Hash(bytes(32))))
BODY = StatusBody(
    issuer=1,
    next_serial=100,
    this_update=10,
    next_update=20,
    origins=HEADS,
    revoked=(0, 1, 99),
    superseded=(2,),
    void=(),
    suspended=(50, 51),
)


# --- reference bytes


def test_reference_list_is_read_and_written_byte_for_byte() -> None:
    body = parse_body(BODY_BYTES)
    assert encode_body(body) == BODY_BYTES
    names = ("revoked", "superseded", "void", "suspended")
    assert {name: list(getattr(body, name)) for name in names} == CASE["serials"]
    signed = bytes.fromhex(CASE["list"])
    assert sign_status_list(body, SIGNER) == signed
    key = parse_public_key(bytes.fromhex(CASE["key"]["spki"]), alg=Alg.ED25519)
    assert open_status_list(signed, key) == body


def test_reference_body_hash_is_in_the_reference_log() -> None:
    entry = status_entry(parse_body(BODY_BYTES))
    assert entry.sha256 == sha256(BODY_BYTES).digest() == bytes.fromhex(CASE["body_sha256"])
    log = json.loads((VECTORS.parent / "log" / "log.json").read_text(encoding="utf-8"))
    logged = next(parse_entry(bytes.fromhex(c["hex"])) for c in log["entries"] if c["name"] == "status")
    assert isinstance(logged, StatusEntry)
    assert entry == logged
    assert parse_entry(encode_entry(entry)) == entry


@pytest.mark.parametrize("case", CASE["sets"], ids=lambda case: f"{case['count']}-of-{case['limit']}")
def test_reference_sets(case: dict[str, object]) -> None:
    limit = int(str(case["limit"]))
    serials = case.get("serials") or list(range(int(str(case["start"])), limit, int(str(case["step"]))))
    assert isinstance(serials, list)
    data = bytes.fromhex(str(case["hex"]))
    assert encode_set(serials, limit) == data
    assert decode_set(data, count=len(serials), limit=limit) == tuple(serials)


# --- coding


def test_the_parameter_is_the_stated_function() -> None:
    for count in range(60):
        for limit in range(count, 400):
            k = rice_parameter(count, limit)
            if count == 0 or 1000 * count > 962 * limit:
                assert k == 0
            else:
                assert 1000 * count * 2**k <= 962 * limit < 1000 * count * 2 ** (k + 1)


def test_every_subset_of_ten_serials_has_one_spelling() -> None:
    for limit in range(11):
        for bits in range(1 << limit):
            serials = tuple(n for n in range(limit) if bits >> n & 1)
            data = encode_set(serials, limit)
            assert decode_set(data, count=len(serials), limit=limit) == serials


def test_every_short_byte_string_is_the_one_spelling_or_refused() -> None:
    for limit in (0, 5, 40):
        for count in range(5):
            for length in range(3):
                for number in range(256**length):
                    data = number.to_bytes(length) if length else b""
                    try:
                        serials = decode_set(data, count=count, limit=limit)
                    except StatusMalformedError:
                        continue
                    assert encode_set(serials, limit) == data
                    assert len(serials) == count


@given(st.sets(st.integers(0, 5000)), st.integers(0, 2**40))
def test_round_trip_of_any_set(serials: set[int], more: int) -> None:
    ordered = tuple(sorted(serials))
    limit = min((ordered[-1] + 1 if ordered else 0) + more, 2**40)
    assert decode_set(encode_set(ordered, limit), count=len(ordered), limit=limit) == ordered


@given(st.binary(max_size=60), st.integers(-2, 300), st.integers(0, 400))
def test_random_sets_are_the_one_spelling_or_refused(data: bytes, count: int, limit: int) -> None:
    try:
        serials = decode_set(data, count=count, limit=limit)
    except StatusMalformedError:
        return
    assert encode_set(serials, limit) == data


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05])
def test_size_is_within_3_percent_of_the_entropy_bound(share: float) -> None:
    limit = 1_000_000
    count = int(limit * share)
    serials = tuple(sorted(random.Random(7).sample(range(limit), count)))
    bits = math.lgamma(limit + 1) - math.lgamma(count + 1) - math.lgamma(limit - count + 1)
    bound = bits / math.log(2) / 8
    data = encode_set(serials, limit)
    assert len(data) <= 1.03 * bound
    assert decode_set(data, count=count, limit=limit) == serials


EXACT = {0.001: (1_426, 1_435, 1_597), 0.01: (10_099, 10_135, 10_297), 0.05: (35_799, 36_162, 36_324)}


@pytest.mark.parametrize("share", EXACT)
def test_sizes_of_signed_lists_are_those_of_the_page(share: float) -> None:
    """Acceptance: sets at most 3 % above the bound, all else in a list of one origin at most 200 bytes."""
    limit = 1_000_000
    count = int(limit * share)
    bits = math.lgamma(limit + 1) - math.lgamma(count + 1) - math.lgamma(limit - count + 1)
    bound = math.ceil(bits / math.log(2) / 8)
    serials = tuple(sorted(random.Random(7).sample(range(limit), count)))
    head = OriginHead(1, 3_000_000, Hash(bytes(32)))
    body = replace(
        BODY, next_serial=limit, this_update=1_795_222_800, next_update=1_795_226_400, origins=(head,),
        revoked=serials, superseded=(), void=(), suspended=(),
    )  # fmt: skip
    coded, listed = len(encode_set(serials, limit)), len(sign_status_list(body, SIGNER))
    assert (bound, coded, listed) == EXACT[share]
    assert coded <= 1.03 * bound
    assert listed - coded <= 200
    page = (Path(__file__).parents[2] / "docs" / "spec" / "status.md").read_text(encoding="utf-8")
    assert f"| {100 * share:g} % | {bound:,} B | {coded:,} B | {listed:,} B |" in page


@pytest.mark.parametrize(
    ("data", "count", "limit", "why"),
    [
        (b"", 1, 10, "does not fit"),
        (b"\x00", -1, 10, "does not fit"),
        (b"\x00", 5, 4, "does not fit"),
        (b"", 2**62, 2**40, "does not fit"),
        (b"\x00", 2**39, 2**40, "does not fit"),
        (b"\x00", 0, 10, "trailing"),
        (b"\xff", 1, 1, "cut short"),
        (b"\xff\xff", 8, 8, "cut short"),
        (b"\x80", 1, 1, "not below"),
        (b"\x01", 1, 1, "padding"),
        (b"\x00\x00", 1, 1, "longer than any"),
        (bytes(50), 1, 10, "longer than any"),
        (b"\x00\x00", 2, 20, "trailing"),
        (b"\xf8\x00", 5, 8, "not below"),
    ],
)
def test_hostile_sets(data: bytes, count: int, limit: int, why: str) -> None:
    with pytest.raises(StatusMalformedError, match=why):
        decode_set(data, count=count, limit=limit)


# --- bodies


def fields(body: StatusBody) -> list[cbor.Value]:
    value = cbor.decode(encode_body(body), max_bytes=10_000, max_depth=4)
    assert isinstance(value, tuple)
    return list(value)


def test_round_trip_of_a_body() -> None:
    assert parse_body(encode_body(BODY)) == BODY


HEAD_ROW: cbor.Value = (1, 0, bytes(32))
BAD_FIELDS: list[tuple[int, str, tuple[cbor.Value, ...]]] = [
    (0, "version", (0, 2, b"\1")),
    (1, "issuer", (0, 65_536, -1, b"")),
    (2, "next_serial", (-1, 2**40 + 1, "1")),
    (3, "this_update", (0, 2**40, b"")),
    (4, "next_update", (10, 9, 0, 2**40)),
    (5, "origins", ((), (HEAD_ROW, HEAD_ROW), ((2, 0, bytes(32)), HEAD_ROW), ((1, 0),), 1, ((1, 0, b""),))),
    (6, "revoked", ((), (0,), (0, b"", 0), ("0", b""), (0, 0), 1, (b"", 0), (0, b"\0"), (1, b""), (101, bytes(99)))),
    (9, "suspended", ((1, b"\xff" * 9), {}, (0, ""))),
]


@pytest.mark.parametrize(("at", "field", "values"), BAD_FIELDS, ids=lambda v: v if isinstance(v, str) else "")
def test_each_field_outside_its_bounds_is_refused_by_name(at: int, field: str, values: tuple[cbor.Value, ...]) -> None:
    for value in values:
        changed = fields(BODY)
        changed[at] = value
        with pytest.raises(StatusMalformedError) as caught:
            parse_body(cbor.encode(tuple(changed)))
        assert (caught.value.field, caught.value.code) == (field, "status.malformed"), value


def test_other_shapes_are_refused() -> None:
    for value in ((), 1, tuple(fields(BODY)[:-1]), (*fields(BODY), 0), {}, b""):
        with pytest.raises(StatusMalformedError):
            parse_body(cbor.encode(value))
    for data in (b"", b"\xff", encode_body(BODY) + b"\0", encode_body(BODY)[:-1], b"\x9f\xff"):
        with pytest.raises(StatusMalformedError) as caught:
            parse_body(data)
        assert "not strict CBOR" in str(caught.value)


def test_a_body_and_a_list_beyond_16_mib_are_refused_before_they_are_read() -> None:
    for refuse in (parse_body, lambda data: open_status_list(data, SIGNER.public_key)):
        with pytest.raises(StatusMalformedError, match=r"cbor\.too_long"):
            refuse(b"\xd2" + bytes(MAX_BYTES))


def test_the_widest_numbers_of_a_body() -> None:
    body = replace(BODY, next_serial=2**40, revoked=(0, 2**40 - 1), issuer=65_535, this_update=1, next_update=2**40 - 1)
    assert parse_body(encode_body(body)) == body
    assert StatusIndex(body).state_of(2**40 - 1) is SerialState.REVOKED


def test_overlapping_sets_are_refused_both_ways() -> None:
    overlapping = replace(BODY, suspended=(1, 50))
    with pytest.raises(StatusMalformedError, match="two sets"):
        encode_body(overlapping)
    changed = fields(BODY)
    changed[9] = (2, encode_set((1, 50), 100))
    with pytest.raises(StatusMalformedError, match="two sets"):
        parse_body(cbor.encode(tuple(changed)))


@pytest.mark.parametrize("serials", [(5, 5), (6, 5), (-1,), (100,), (1, True), ("1",), (1.0,)])
def test_sets_that_do_not_rise_below_next_serial_are_not_written(serials: tuple[int, ...]) -> None:
    with pytest.raises(StatusMalformedError, match="strictly rising"):
        encode_body(replace(BODY, revoked=(), superseded=(), suspended=serials))


@pytest.mark.parametrize(
    "body",
    [
        replace(BODY, issuer=0),
        replace(BODY, next_update=10),
        replace(BODY, origins=()),
        replace(BODY, origins=(HEADS[1], HEADS[0])),
    ],
)
def test_bodies_outside_the_schema_are_not_written(body: StatusBody) -> None:
    with pytest.raises(StatusMalformedError):
        encode_body(body)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_status_errors(data: bytes) -> None:
    for raw in (data, b"\x8a\x01" + data, BODY_BYTES[:60] + data):
        try:
            body = parse_body(raw)
        except StatusMalformedError:
            continue
        assert encode_body(body) == raw


def test_a_flipped_bit_of_the_body_is_refused_or_another_body() -> None:
    for at in range(len(BODY_BYTES)):
        for bit in range(8):
            changed = BODY_BYTES[:at] + bytes([BODY_BYTES[at] ^ (1 << bit)]) + BODY_BYTES[at + 1 :]
            try:
                body = parse_body(changed)
            except StatusMalformedError:
                continue
            assert encode_body(body) == changed


# --- signatures


@pytest.mark.parametrize("signer", [SIGNER, ECDSA_SIGNER], ids=["ed25519", "esp256"])
def test_sign_and_open(signer: InMemorySigner) -> None:
    data = sign_status_list(BODY, signer)
    assert open_status_list(data, signer.public_key) == BODY
    other = ECDSA_SIGNER if signer is SIGNER else SIGNER
    with pytest.raises(StatusForgedError):
        open_status_list(data, other.public_key)


def test_every_flipped_bit_of_a_list_is_refused() -> None:
    data = sign_status_list(BODY, SIGNER)
    for at in range(len(data)):
        for bit in range(8):
            changed = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
            with pytest.raises(StatusError):
                open_status_list(changed, SIGNER.public_key)


def test_a_key_of_the_same_kid_length_but_other_bytes_is_refused() -> None:
    stranger = InMemorySigner.from_private_bytes(Alg.ED25519, bytes([6]) * 32)
    protected = cose.protected_header(-19, SIGNER.public_key.kid)
    message = cose.sig_structure(protected, encode_body(BODY), external_aad=STATUS_DOMAIN)
    sign1 = cose.Sign1(protected=protected, unprotected={}, payload=encode_body(BODY), signature=stranger.sign(message))
    with pytest.raises(StatusForgedError, match="did not sign"):
        open_status_list(cose.encode_sign1(sign1), SIGNER.public_key)


@pytest.mark.parametrize("header", [(-19, Kid(bytes(8))), (-9, SIGNER.public_key.kid)])
def test_the_header_names_the_status_key_and_its_algorithm(header: tuple[int, Kid]) -> None:
    """Signed by the right key, but over a header that names another key or algorithm."""
    protected, payload = cose.protected_header(*header), encode_body(BODY)
    signature = SIGNER.sign(cose.sig_structure(protected, payload, external_aad=STATUS_DOMAIN))
    sign1 = cose.Sign1(protected=protected, unprotected={}, payload=payload, signature=signature)
    with pytest.raises(StatusForgedError, match="another key"):
        open_status_list(cose.encode_sign1(sign1), SIGNER.public_key)


def test_a_receipt_key_neither_signs_nor_opens_a_list() -> None:
    receipt_key = InMemorySigner.from_private_bytes(Alg.EDDSA, bytes.fromhex(CASE["key"]["seed"]))
    with pytest.raises(StatusForgedError):
        sign_status_list(BODY, receipt_key)
    with pytest.raises(StatusForgedError):
        open_status_list(sign_status_list(BODY, SIGNER), receipt_key.public_key)


def test_an_unprotected_header_is_refused() -> None:
    sign1 = cose.parse_sign1(sign_status_list(BODY, SIGNER))
    data = cose.encode_sign1(replace(sign1, unprotected={394: (b"",)}))
    with pytest.raises(StatusMalformedError, match="unprotected"):
        open_status_list(data, SIGNER.public_key)


@pytest.mark.parametrize("data", [b"", b"\xd2", b"\xd2\x80", b"\xd2\x84\x40\xa0\xf6\x40", b"\x84"])
def test_other_structures_are_refused(data: bytes) -> None:
    with pytest.raises(StatusMalformedError):
        open_status_list(data, SIGNER.public_key)


def test_a_list_without_the_domain_is_no_list() -> None:
    """The same key, header and payload signed as a credential is: the external AAD keeps them apart."""
    with pytest.raises(StatusForgedError):
        open_status_list(bytes.fromhex(CASE["signed_as_credential"]), SIGNER.public_key)


CLAIMS = Claims(
    name="张三",
    sex=Sex.MALE,
    birth=3650,
    kind=1,
    jurisdiction=0,
    registration_no="京1112021202100001",
    specialties=(),
    certificate_issued_on=18_000,
    employer="某建设工程有限公司",
    registered_until=21_000,
    copy=Copy.USAGE,
    purpose=None,
    issuing_body=1,
    sealing_body=1,
    serial=1,
    salt=bytes(16),
    image_digest=bytes(32),
    template=1,
    copy_issued_on=20_000,
    usage_until=20_180,
)


def record(signer: InMemorySigner) -> KeyRecord:
    """The worst case for the domain: the status key itself, trusted as a credential key."""
    return KeyRecord(
        kid=signer.public_key.kid,
        role=Role.CREDENTIAL,
        public_key=signer.public_key,
        issuer=1,
        jurisdictions=frozenset({0}),
        kinds=frozenset({1}),
        valid_from=0,
        valid_until=30_000,
        origins=frozenset({1}),
    )


@pytest.mark.parametrize("signer", [SIGNER, ECDSA_SIGNER], ids=["ed25519", "esp256"])
def test_a_list_offered_as_credential_is_refused_even_under_the_same_key(signer: InMemorySigner) -> None:
    with pytest.raises(FormatError):
        open_credential(parse_credential(sign_status_list(BODY, signer)), record(signer))
    genuine = sign_credential(CLAIMS, signer)
    assert open_credential(parse_credential(genuine), record(signer)).claims == CLAIMS


@pytest.mark.parametrize("signer", [SIGNER, ECDSA_SIGNER], ids=["ed25519", "esp256"])
def test_a_credential_offered_as_list_is_refused_even_under_the_same_key(signer: InMemorySigner) -> None:
    with pytest.raises(StatusForgedError):
        open_status_list(sign_credential(CLAIMS, signer), signer.public_key)


# --- lookups and building


def test_states_of_serials() -> None:
    index = StatusIndex(BODY)
    assert index.body is BODY
    want = {0: SerialState.REVOKED, 99: SerialState.REVOKED, 2: SerialState.SUPERSEDED, 51: SerialState.SUSPENDED}
    for serial in range(-3, 110):
        default = SerialState.LIVE if 0 <= serial < 100 else SerialState.UNKNOWN
        if serial in (1, 50):
            continue
        assert index.state_of(serial) is want.get(serial, default)
    voided = StatusIndex(replace(BODY, void=(7,)))
    assert voided.state_of(7) is SerialState.VOID


@given(st.dictionaries(st.integers(0, 2000), st.sampled_from(SerialState), max_size=80))
def test_a_list_built_from_states_answers_them_again(states: dict[int, SerialState]) -> None:
    body = status_from_events(states, issuer=3, this_update=5, next_update=6, origins=[HEADS[1], HEADS[0]])
    known = [serial for serial, state in states.items() if state is not SerialState.UNKNOWN]
    assert body.next_serial == max(known, default=-1) + 1
    assert body.origins == HEADS
    index = StatusIndex(parse_body(encode_body(body)))
    for serial in known:
        assert index.state_of(serial) is states[serial]
    assert index.state_of(body.next_serial) is SerialState.UNKNOWN


def test_the_order_in_which_states_are_told_changes_nothing() -> None:
    states = {n: list(SerialState)[n % 6] for n in range(60)}
    backwards = dict(reversed(states.items()))
    one = status_from_events(states, issuer=1, this_update=5, next_update=6, origins=HEADS)
    two = status_from_events(backwards, issuer=1, this_update=5, next_update=6, origins=HEADS[::-1])
    assert encode_body(one) == encode_body(two)


def test_an_issuer_without_serials_has_a_list_too() -> None:
    body = status_from_events({}, issuer=1, this_update=5, next_update=6, origins=HEADS)
    assert (body.next_serial, body.revoked) == (0, ())
    assert encode_body(body).endswith(b"\x82\x00\x40" * 4)
    with pytest.raises(StatusMalformedError):
        status_from_events({}, issuer=1, this_update=5, next_update=5, origins=HEADS)
