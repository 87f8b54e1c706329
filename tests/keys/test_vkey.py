"""Verifier keys (C2SP signed-note): one spelling, hash checked, unknown types kept."""

import base64
import hashlib
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import BadVkeyError
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import (
    MAX_VKEY_CHARS,
    VerifierKey,
    check_name,
    decode_base64,
    format_vkey,
    key_hash,
    parse_vkey,
    vkey_for,
)

LOG = Path(__file__).parent.parent / "vectors" / "log"
# From the documentation of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def published() -> list[str]:
    keys = [PETER, (LOG / "tessera_log15/log.vkey").read_text().strip()]
    keys.append((LOG / "synthetic_log600/log.vkey").read_text().strip())
    keys += (LOG / "synthetic_log600/witnesses.vkey").read_text().strip().split(",")
    for name in ("real_checkpoints_sumdb.json", "real_checkpoints_rekor2.json"):
        keys += [case["vkey"] for case in json.loads((LOG / name).read_text())]
    return sorted(set(keys))


def ed25519(fill: int = 1) -> InMemorySigner:
    return InMemorySigner.from_private_bytes(Alg.ED25519, bytes([fill]) * 32)


def text_of(name: str, sig_type: int, key: bytes) -> str:
    encoded = base64.b64encode(bytes([sig_type]) + key).decode()
    return f"{name}+{key_hash(name, sig_type, key).hex()}+{encoded}"


@pytest.mark.parametrize("text", published())
def test_reads_published_keys(text: str) -> None:
    vkey = parse_vkey(text)
    assert format_vkey(vkey) == text
    assert vkey.public_key is not None
    assert vkey.public_key.raw() == vkey.key
    assert pickle.loads(pickle.dumps(vkey)) == vkey


@pytest.mark.parametrize("text", published())
def test_refuses_every_substring(text: str) -> None:
    for start in range(len(text)):
        for end in range(start, len(text) + 1):
            if end - start < len(text):
                with pytest.raises(BadVkeyError):
                    parse_vkey(text[start:end])


@pytest.mark.parametrize("text", published())
def test_refuses_every_byte_one_higher(text: str) -> None:
    for i, c in enumerate(text):
        with pytest.raises(BadVkeyError):
            parse_vkey(text[:i] + chr(ord(c) + 1) + text[i + 1 :])


@pytest.mark.parametrize("text", published())
def test_refuses_every_added_character(text: str) -> None:
    for extra in ("A", "+", "=", " ", "\n", "\0", "é"):
        for i in range(len(text) + 1):
            with pytest.raises(BadVkeyError):
                parse_vkey(text[:i] + extra + text[i:])


def test_hash_covers_name_type_and_key() -> None:
    raw = ed25519().public_key.raw()
    expected = hashlib.sha256(b"log.example/a\n\x01" + raw).digest()[:4]
    assert vkey_for("log.example/a", ed25519().public_key).key_hash == expected
    assert vkey_for("log.example/a", ed25519().public_key, sig_type=4).key_hash != expected


def test_refuses_upper_case_hash() -> None:
    name, hashed, key = PETER.split("+", 2)
    with pytest.raises(BadVkeyError):
        parse_vkey(f"{name}+{hashed.upper()}+{key}")


@pytest.mark.parametrize("sig_type", [0x00, 0x03, 0x05, 0x07, 0xFA, 0xFF])
def test_keeps_unknown_types(sig_type: int) -> None:
    text = text_of("log.example/a", sig_type, b"whatever it is")
    vkey = parse_vkey(text)
    assert vkey.public_key is None
    assert vkey.key == b"whatever it is"
    assert format_vkey(vkey) == text


def test_keeps_ecdsa_keys_under_their_own_hash() -> None:
    spki = InMemorySigner.from_private_bytes(Alg.ESP256, b"\x01" * 32).public_key.spki
    text = text_of("rekor.example", 2, spki)
    assert text.split("+")[1] == hashlib.sha256(spki).hexdigest()[:8]
    assert parse_vkey(text).public_key is None


def test_keeps_a_post_quantum_key() -> None:
    assert len(parse_vkey(text_of("w.example", 6, bytes(1312))).key) == 1312


def test_length_cap() -> None:
    long = text_of("w.example", 7, bytes(3056))
    assert len(long) <= MAX_VKEY_CHARS < len(long) + 4
    parse_vkey(long)
    with pytest.raises(BadVkeyError, match="longer"):
        parse_vkey(text_of("w.example", 7, bytes(3057)))


@pytest.mark.parametrize("sig_type", [1, 4])
@pytest.mark.parametrize("key", [b"", b"\x02" * 31, b"\x02" * 33, bytes(32), b"\xff" * 32])
def test_refuses_wrong_and_weak_keys(sig_type: int, key: bytes) -> None:
    with pytest.raises(BadVkeyError):
        parse_vkey(text_of("log.example/a", sig_type, key))


@pytest.mark.parametrize("text", ["", "+", "++", "a++", "a+00000000+", "a+00000000+AA", "log.example", "a+b"])
def test_refuses_what_is_no_vkey(text: str) -> None:
    with pytest.raises(BadVkeyError):
        parse_vkey(text)


BAD_NAMES = ["", "a b", "a+b", "a\nb", "a\tb", "a\x00", "a\x7f", "\ud800", "a\u00a0b", "a\u3000", "\u2028a"]
BAD_NAMES += ["\u1680x", "\u2003x", "\u202fx", "\u205fx", "\u0085x", "n" * 256, "明" * 86]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_refuses_bad_names(name: str) -> None:
    with pytest.raises(BadVkeyError):
        check_name(name)
    with pytest.raises(BadVkeyError):
        vkey_for(name, ed25519().public_key)
    with pytest.raises(BadVkeyError):
        VerifierKey(name=name, key_hash=bytes(4), sig_type=1, key=ed25519().public_key.raw())


@pytest.mark.parametrize("name", ["a", "n" * 255, "明" * 85, "log.example/证书/2026", "a-b_c=d"])
def test_takes_good_names(name: str) -> None:
    vkey = vkey_for(name, ed25519().public_key)
    assert parse_vkey(format_vkey(vkey)) == vkey


def test_parse_refuses_bad_names() -> None:
    with pytest.raises(BadVkeyError):
        parse_vkey(text_of("a b", 1, ed25519().public_key.raw()))


def test_no_value_with_a_wrong_hash_or_type() -> None:
    raw = ed25519().public_key.raw()
    good = vkey_for("a", ed25519().public_key)
    for changed in (
        {"key_hash": bytes(4)},
        {"key_hash": good.key_hash + b"\0"},
        {"sig_type": 4},
        {"sig_type": 256},
        {"sig_type": -1},
        {"name": "b"},
        {"key": b""},
    ):
        fields = {"name": "a", "key_hash": good.key_hash, "sig_type": 1, "key": raw} | changed
        with pytest.raises(BadVkeyError):
            VerifierKey(**fields)  # type: ignore[arg-type]


def test_only_ed25519_signs_notes() -> None:
    with pytest.raises(BadVkeyError):
        vkey_for("a", InMemorySigner.from_private_bytes(Alg.ESP256, b"\x01" * 32).public_key)
    with pytest.raises(BadVkeyError):
        vkey_for("a", ed25519().public_key, sig_type=6)


@pytest.mark.parametrize("text", ["A", "AB", "QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "Q-==", "QQ==QQ==", "Q Q==", "é"])
def test_base64_has_one_spelling(text: str) -> None:
    assert decode_base64(text) is None


@given(st.binary(max_size=100))
def test_base64_round_trip(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data


@given(st.text(max_size=80))
def test_parser_raises_only_its_own_error(text: str) -> None:
    try:
        vkey = parse_vkey(text)
    except BadVkeyError:
        return
    assert format_vkey(vkey) == text
