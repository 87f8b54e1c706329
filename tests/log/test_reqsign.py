"""Signed requests: the page's example, every header damaged, every covered thing changed."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logworld import NAME, NOW, issue, signer

import mingzheng.log.reqsign as reqsign
from mingzheng.keys.alg import Alg
from mingzheng.log.reqsign import Target, origin_header, parse_signed, sign_request, verify_signed
from mingzheng.log.servererrors import (
    ServerError,
    SubmitDigestError,
    SubmitForgedError,
    SubmitHeaderError,
    SubmitOriginError,
)
from mingzheng.log.tile import encode_bundle

PAGE = Path(__file__).resolve().parents[2] / "docs" / "spec" / "server.md"
KEY, P256 = signer("submit"), signer("submit p256", Alg.ESP256)
TARGET = Target(method="POST", path="/v1/entries", body=encode_bundle([issue(1004)]), origin=NAME)
NONCE = "bm9uY2Ugb2YgZG9jcw"


def _headers(key: object = KEY, target: Target = TARGET) -> dict[str, str]:
    made = sign_request(target, signer=key, created=NOW, nonce=NONCE)  # type: ignore[arg-type]
    return {name.lower(): value for name, value in made.items()}


def test_the_example_of_the_page() -> None:
    text = re.sub(r"\n +;", ";", PAGE.read_text(encoding="utf-8"))
    for name, value in sign_request(TARGET, signer=KEY, created=NOW, nonce=NONCE).items():
        assert f"\n{name}: {value}\n" in text
    assert f"Content-Length: {len(TARGET.body)}\n" in text


@pytest.mark.parametrize("key", [KEY, P256], ids=["ed25519", "p256"])
def test_what_was_signed_verifies(key: object) -> None:
    signed = parse_signed(_headers(key))
    assert (signed.created, signed.nonce, signed.kid) == (NOW, NONCE, key.public_key.kid)  # type: ignore[attr-defined]
    verify_signed(signed, TARGET, key=key.public_key)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (replace(TARGET, method="PUT"), SubmitForgedError),
        (replace(TARGET, path="/v1/entries2"), SubmitForgedError),
        (replace(TARGET, path="/v1/entries?"), SubmitForgedError),
        (replace(TARGET, body=TARGET.body + b"\0"), SubmitDigestError),
        (replace(TARGET, body=b""), SubmitDigestError),
        (replace(TARGET, origin=NAME + "/2"), SubmitOriginError),
    ],
)
def test_a_request_that_is_not_the_signed_one_is_refused(changed: Target, error: type[ServerError]) -> None:
    with pytest.raises(error):
        verify_signed(parse_signed(_headers()), changed, key=KEY.public_key)


def test_another_key_or_algorithm_is_a_forgery() -> None:
    for key in (signer("other"), P256):
        with pytest.raises(SubmitForgedError):
            verify_signed(parse_signed(_headers()), TARGET, key=key.public_key)
    named = _headers(P256)
    named["signature-input"] = named["signature-input"].replace("ecdsa-p256-sha256", "ed25519")
    with pytest.raises(SubmitForgedError):
        verify_signed(parse_signed(named), TARGET, key=P256.public_key)


def test_a_good_signature_that_names_another_algorithm_is_a_forgery() -> None:
    """The key alone says which algorithm; a request that says otherwise is not taken, whoever signed it."""
    named = _headers()
    params = named["signature-input"].replace("ed25519", "ecdsa-p256-sha256")
    base = reqsign._base(
        TARGET, digest=named["content-digest"], origin=named["log-origin"], params=params.removeprefix("mingzheng=")
    )
    signature = base64.b64encode(KEY.sign(base)).decode()
    signed = parse_signed({**named, "signature-input": params, "signature": f"mingzheng=:{signature}:"})
    with pytest.raises(SubmitForgedError):
        verify_signed(signed, TARGET, key=KEY.public_key)


@pytest.mark.parametrize("name", ["content-digest", "signature-input", "signature"])
def test_a_missing_or_twofold_header_is_refused(name: str) -> None:
    headers = _headers()
    for value in ("", headers[name] + " ", " " + headers[name], f"{headers[name]}, {headers[name]}"):
        with pytest.raises(SubmitHeaderError):
            parse_signed({**headers, name: value})
    del headers[name]
    with pytest.raises(SubmitHeaderError):
        parse_signed(headers)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mingzheng=(", "sig=("),
        ('"@method" "@path"', '"@path" "@method"'),
        (' "log-origin"', ""),
        (f"created={NOW}", "created=0"),
        (f"created={NOW}", f"created=0{NOW}"),
        (f"created={NOW}", f"created=+{NOW}"),
        (f"created={NOW}", "created=1790000000000"),
        (NONCE, "short"),
        (NONCE, "n" * 65),
        (NONCE, NONCE + "="),
        ('keyid="', 'keyid="00'),
        ("ed25519", "hmac-sha256"),
        ("ed25519", "rsa-v1_5-sha256"),
        (';tag="mingzheng-submit"', ""),
        ('tag="mingzheng-submit"', 'tag="mingzheng-submit";expires=9999999999'),
    ],
)
def test_every_other_spelling_of_the_parameters_is_refused(old: str, new: str) -> None:
    headers = _headers()
    assert old in headers["signature-input"]
    headers["signature-input"] = headers["signature-input"].replace(old, new)
    with pytest.raises(SubmitHeaderError):
        parse_signed(headers)


def test_base64_has_one_spelling() -> None:
    headers = _headers()
    digest, signature = headers["content-digest"], headers["signature"]
    last = digest[-3]
    loose = digest[:-3] + ("B" if last == "A" else chr(ord(last) + 1)) + "=:"
    for name, value in (("content-digest", loose), ("signature", signature[:-4] + "B==:")):
        with pytest.raises(SubmitHeaderError):
            parse_signed({**headers, name: value})


@given(at=st.integers(0, 2**16), bit=st.integers(0, 6), name=st.sampled_from(sorted(_headers())))
def test_one_flipped_bit_never_verifies(at: int, bit: int, name: str) -> None:
    headers = _headers()
    raw = bytearray(headers[name].encode())
    raw[at % len(raw)] ^= 1 << bit
    with pytest.raises(ServerError):
        verify_signed(parse_signed({**headers, name: raw.decode("latin-1")}), TARGET, key=KEY.public_key)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.text(max_size=5))
def test_origins_are_told_apart(one: str, more: str) -> None:
    header = origin_header(one)
    assert header.isascii()
    assert " " not in header
    if more.isascii():
        assert (origin_header(one + more) == header) == (not more)


@given(st.dictionaries(st.sampled_from(sorted(_headers())), st.text(max_size=200)))
def test_any_headers_are_read_or_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SubmitHeaderError):
        parse_signed(headers)
