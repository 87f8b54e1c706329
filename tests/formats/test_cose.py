"""COSE_Sign1 of the profile: hostile vectors at this layer and above, shapes, independent bytes."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import cbor, cose
from mingzheng.formats.credential import parse_credential
from mingzheng.formats.errors import CborError, CborTypeError, CoseError, FormatError
from mingzheng.formats.limits import LIMITS_CREDENTIAL, CborLimits
from mingzheng.keys.alg import Alg, PublicKey, parse_public_key, spki_of_raw, verify
from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid

VECTOR_DIR = pathlib.Path(__file__).parents[1] / "vectors" / "cose"
VECTORS = json.loads((VECTOR_DIR / "vectors.json").read_text("utf-8"))
KID = Kid(b"12345678")


def _keys() -> tuple[PublicKey, PublicKey]:
    raw, point = bytes.fromhex(VECTORS["keys"]["k1"]["raw"]), bytes.fromhex(VECTORS["keys"]["k2"]["point"])
    ed = parse_public_key(spki_of_raw(raw, alg=Alg.EDDSA), alg=Alg.EDDSA)
    return ed, parse_public_key(spki_of_raw(point, alg=Alg.ES256), alg=Alg.ES256)


def _cose_layer_accepts(data: bytes) -> bool:
    """The vectors' own profile on our API: header exactly {1: alg, 4: kid}, key and alg by kid."""
    try:
        parts = cose.parse_sign1(data)
        header = cbor.decode(parts.protected, max_bytes=64, max_depth=1)
        ed, es = _keys()
        key = {b"k1": ed, b"k2": es}.get(header.get(4)) if isinstance(header, dict) else None  # type: ignore[arg-type]
        if key is None or header != {1: int(key.alg), 4: header[4]} or parts.unprotected:  # type: ignore[index,call-overload]
            return False
        assert parts.payload is not None
        verify(key, signature=parts.signature, message=cose.sig_structure(parts.protected, parts.payload))
    except (FormatError, KeysError):
        return False
    return True


@pytest.mark.parametrize("case", VECTORS["vectors"], ids=lambda case: case["name"])
def test_hostile_vector(case: dict[str, Any]) -> None:
    """Accepted at this layer exactly where the vector says so; as a credential never.

    `profile` (untagged) is a refusal under ours. The two good ones carry foreign claims, a 2-byte
    kid and the old algorithm numbers -8 and -7: good COSE, no credential. Their twins, re-signed
    over our profile with one fault each, are tests/vectors/credential/hostile.json.
    """
    data = bytes.fromhex(case["hex"])
    assert _cose_layer_accepts(data) == (case["expect"] == "accept")
    with pytest.raises(FormatError):
        parse_credential(data)


def test_vectors_have_both_kinds() -> None:
    assert [case["expect"] for case in VECTORS["vectors"]].count("accept") == 2
    assert len(VECTORS["vectors"]) == 22


# cose-wg examples of COSE_Sign1


@pytest.mark.parametrize(
    ("name", "expect"),
    [
        ("sign-pass-01", "signature"),  # header spelt h'A0', signed as h'': the profile has no empty header
        ("sign-pass-02", "accept"),  # with external_aad
        ("sign-pass-03", "shape"),  # untagged: the profile demands the tag
        ("sign-fail-01", "shape"),  # tag 998
        ("sign-fail-02", "signature"),
    ],
)
def test_cose_wg_example(name: str, expect: str) -> None:
    case = json.loads((VECTOR_DIR / "sign1-tests" / f"{name}.json").read_text("utf-8"))
    data = bytes.fromhex(case["output"]["cbor"])
    with pytest.raises(FormatError):
        parse_credential(data)
    if expect == "shape":
        with pytest.raises(FormatError):
            cose.parse_sign1(data)
        return
    parts = cose.parse_sign1(data)
    assert parts.payload is not None
    point = b"\x04" + b"".join(
        base64.urlsafe_b64decode(case["input"]["sign0"]["key"][name] + "=") for name in ("x", "y")
    )
    key = parse_public_key(spki_of_raw(point, alg=Alg.ES256), alg=Alg.ES256)
    aad = bytes.fromhex(case["input"]["sign0"].get("external", ""))
    message = cose.sig_structure(parts.protected, parts.payload, aad)
    if expect == "accept":
        verify(key, signature=parts.signature, message=message)
    else:
        with pytest.raises(KeysError):
            verify(key, signature=parts.signature, message=message)


# Shapes

PARTS = cose.Sign1(protected=b"p", unprotected={394: (b"r",)}, payload=b"claims", signature=bytes(64))


def test_encode_then_parse() -> None:
    assert cose.parse_sign1(cose.encode_sign1(PARTS)) == PARTS


@given(
    st.binary(max_size=30),
    st.dictionaries(st.integers(-500, 500), st.integers().filter(lambda n: abs(n) < 2**64), max_size=4),
    st.none() | st.binary(max_size=300),
)
def test_identities(protected: bytes, unprotected: dict[cbor.Key, cbor.Value], payload: bytes | None) -> None:
    parts = cose.Sign1(protected=protected, unprotected=unprotected, payload=payload, signature=bytes(64))
    data = cose.encode_sign1(parts)
    assert cose.parse_sign1(data, detached=payload is None) == parts
    assert cbor2.loads(data).value[0] == protected


@given(st.binary(max_size=120))
def test_raises_only_typed_errors(data: bytes) -> None:
    for detached in (False, True):
        try:
            parts = cose.parse_sign1(b"\xd2" + data, detached=detached)
        except (CborError, CoseError):
            continue
        assert cose.encode_sign1(parts) == b"\xd2" + data


def _array(*members: Any) -> bytes:
    return b"\xd2" + cbor2.dumps(list(members))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xd2",
        cose.encode_sign1(PARTS)[1:],
        b"\xd2\xa0",
        _array(b"p", {}, b"c"),
        _array(b"p", {}, b"c", bytes(64), b""),
        _array("p", {}, b"c", bytes(64)),
        _array(b"p", [], b"c", bytes(64)),
        _array(b"p", {}, "c", bytes(64)),
        _array(b"p", {}, b"c", "s" * 64),
        _array(b"p", {}, b"c", bytes(63)),
        _array(b"p", {}, b"c", bytes(65)),
        _array(b"p", {}, None, bytes(64)),
        _array({}, {}, b"c", bytes(64)),
    ],
)
def test_refuses_shape(data: bytes) -> None:
    with pytest.raises((CoseError, CborError)):
        cose.parse_sign1(data)


def test_detached_demands_null_there_and_nowhere_else() -> None:
    data = _array(b"p", {}, None, bytes(64))
    assert cose.parse_sign1(data, detached=True).payload is None
    with pytest.raises(CoseError):
        cose.parse_sign1(_array(b"p", {}, b"c", bytes(64)), detached=True)
    with pytest.raises(CborTypeError):
        cose.parse_sign1(_array(b"p", {1: None}, None, bytes(64)), detached=True)
    with pytest.raises(CoseError):
        cose.parse_sign1(_array(None, {}, None, bytes(64)), detached=True)
    with pytest.raises(CoseError):
        cose.parse_sign1(_array(b"p", {}, None, None), detached=True)


def test_limits_are_the_callers() -> None:
    parts = cose.Sign1(protected=b"", unprotected={}, payload=bytes(5000), signature=bytes(64))
    data = cose.encode_sign1(parts)
    with pytest.raises(CborError):
        cose.parse_sign1(data, limits=LIMITS_CREDENTIAL)
    assert cose.parse_sign1(data, limits=CborLimits(max_bytes=len(data), max_depth=2)) == parts
    with pytest.raises(CborError):
        cose.parse_sign1(data, limits=CborLimits(max_bytes=len(data) - 1, max_depth=2))


# Header and signed bytes


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=40))
def test_signed_bytes_as_cbor2_makes_them(protected: bytes, payload: bytes, aad: bytes) -> None:
    assert cose.sig_structure(protected, payload, aad) == cbor2.dumps(["Signature1", protected, aad, payload])


@pytest.mark.parametrize("alg", sorted(cose.ALGS_CREDENTIAL))
def test_protected_header(alg: int) -> None:
    data = cose.protected_header(alg, KID)
    assert data == cbor2.dumps({1: alg, 4: KID}, canonical=True)
    assert len(data) == (17 if alg < -65536 else 13)
    assert cose.parse_protected(data) == (alg, KID)


def test_every_other_protected_header_is_refused() -> None:
    """Each changed byte outside the kid, each length, each algorithm byte."""
    good = cose.protected_header(-19, KID)
    accepted = []
    for at in range(5):
        for byte in range(256):
            data = good[:at] + bytes((byte,)) + good[at + 1 :]
            with contextlib.suppress(CoseError):
                accepted.append(cose.parse_protected(data)[0])
    assert sorted(set(accepted)) == [-19, -9]
    assert len(accepted) == 6  # the good one at each of five places, and -9 once
    for data in (b"", good[:-1], good + b"\0"):
        with pytest.raises(CoseError):
            cose.parse_protected(data)


def test_every_other_protected_header_of_sm2_is_refused() -> None:
    good = cose.protected_header(-66037, KID)
    for at in range(9):
        for byte in range(256):
            data = good[:at] + bytes((byte,)) + good[at + 1 :]
            if data != good:
                with pytest.raises(CoseError):
                    cose.parse_protected(data)
    for data in (good[:-1], good + b"\0", good[:8] + good[9:]):
        with pytest.raises(CoseError):
            cose.parse_protected(data)
