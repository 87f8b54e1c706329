"""Credentials signed with SM2: the reference of another maker, one fault each, both engines and both parsers alike."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from algs import NEEDS_SM2
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import credential
from mingzheng.formats.claims import parse_claims
from mingzheng.formats.credential import (
    Credential,
    attach_receipt,
    detach_receipt,
    open_credential,
    parse_credential,
    parse_credential_generic,
    sign_credential,
)
from mingzheng.formats.errors import CredentialForgedError, FormatError
from mingzheng.formats.qrtext import parse_qr_text, to_digits
from mingzheng.keys.alg import Alg, parse_public_key
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.sm2 import use_engine
from mingzheng.keys.sm2backend import Backend
from mingzheng.keys.trust import KeyRecord, Role

VECTORS = pathlib.Path(__file__).parents[1] / "vectors" / "credential"
FILE = json.loads((VECTORS / "sm2.json").read_text("utf-8"))
REFERENCE = FILE["reference"]
ED = json.loads((VECTORS / "sample.json").read_text("utf-8"))["references"][0]
GOOD = bytes.fromhex(REFERENCE["credential"])
CLAIMS = parse_claims(bytes.fromhex(REFERENCE["payload"]))
KEY = parse_public_key(bytes.fromhex(REFERENCE["spki"]), alg=Alg.SM2)
RECORD = KeyRecord(
    kid=KEY.kid,
    role=Role.CREDENTIAL,
    public_key=KEY,
    issuer=1,
    jurisdictions=frozenset({0, 31}),
    kinds=frozenset({1}),
    valid_from=0,
    valid_until=30_000,
    origins=frozenset({1}),
)


@pytest.fixture(params=["library", "python"], autouse=True)
def _engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything here holds with the library and without."""
    use_engine(Backend() if request.param == "library" else None)
    yield
    use_engine(Backend())


def accept(data: bytes) -> Credential:
    return open_credential(parse_credential(data), RECORD)


def code_of(data: bytes) -> str:
    try:
        accept(data)
    except FormatError as error:
        return error.code
    return "accept"


def test_reference_of_another_maker_opens() -> None:
    unverified = parse_credential(GOOD)
    assert len(GOOD) == 388
    assert unverified.alg == Alg.SM2 == -66037
    assert unverified.kid.hex() == REFERENCE["kid"]
    assert unverified.payload.hex() == REFERENCE["payload"] == ED["payload"]
    assert unverified.signature.hex() == REFERENCE["signature"]
    assert unverified.signed.hex() == REFERENCE["sig_structure"]
    assert unverified.identity.hex() == REFERENCE["identity"]
    assert accept(GOOD).claims == CLAIMS


@pytest.mark.parametrize("case", FILE["hostile"], ids=lambda case: case["name"])
def test_hostile_vector(case: dict[str, Any]) -> None:
    assert code_of(bytes.fromhex(case["hex"])) == case["code"]


@NEEDS_SM2
def test_signed_here_opens_and_keeps_its_identity() -> None:
    use_engine(Backend())
    signer = InMemorySigner.from_private_bytes(Alg.SM2, bytes.fromhex(REFERENCE["private"]))
    assert signer.public_key == KEY
    one, two = sign_credential(CLAIMS, signer), sign_credential(CLAIMS, signer)
    assert one != two  # a new random number each time
    assert accept(one) == accept(two)
    assert accept(one).identity.hex() == REFERENCE["identity"]


def test_header_of_another_algorithm_of_the_same_key() -> None:
    for alg in (Alg.ESP256, Alg.ED25519):
        other = dataclasses.replace(parse_credential(GOOD), alg=int(alg))
        with pytest.raises(CredentialForgedError, match="algorithm"):
            open_credential(other, RECORD)


@pytest.mark.parametrize("bit", [*range(0, 8 * 18, 5), *range(8 * 300, 8 * 388, 11)])
def test_one_flipped_bit_never_opens(bit: int) -> None:
    changed = bytearray(GOOD)
    changed[bit // 8] ^= 1 << bit % 8
    assert code_of(bytes(changed)) != "accept"


def test_every_prefix_and_one_more_byte_is_refused() -> None:
    for cut in range(len(GOOD)):
        with pytest.raises(FormatError):
            parse_credential(GOOD[:cut])
    with pytest.raises(FormatError):
        parse_credential(GOOD + b"\0")


@pytest.mark.parametrize("size", [0, 1, 23, 24, 140, 255, 256])
def test_receipt_changes_the_bytes_and_not_the_identity(size: int) -> None:
    receipt = (b"\xd2" + bytes(255))[:size]
    data = attach_receipt(GOOD, receipt)
    assert detach_receipt(data) == (GOOD, receipt)
    assert accept(data).identity == accept(GOOD).identity
    assert credential._parse_fast(data) == parse_credential_generic(data)


@given(st.data())
def test_parsers_agree_on_changed_bytes(draw: st.DataObject) -> None:
    changed = bytearray(draw.draw(st.sampled_from([GOOD, attach_receipt(GOOD, b"\xd2" * 30)])))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, 30) | st.integers(0, len(changed) - 1))
        changed[at] = draw.draw(st.integers(0, 255))
    quick = credential._parse_fast(bytes(changed))
    try:
        slow = parse_credential_generic(bytes(changed))
    except FormatError:
        assert quick is None
    else:
        assert quick == slow


def test_travels_as_digits() -> None:
    assert parse_qr_text(to_digits(GOOD), prefixes=()).data == GOOD
