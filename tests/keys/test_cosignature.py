"""Cosignatures (C2SP tlog-cosignature): messages byte for byte, lines of both kinds in notes, what has no spelling."""

import base64
import json
from pathlib import Path

import pytest

from mingzheng.keys.alg import Alg
from mingzheng.keys.cosignature import (
    MAX_SIZE,
    MAX_TIMESTAMP,
    checkpoint_message,
    cosignature_message,
    subtree_message,
)
from mingzheng.keys.errors import BadVkeyError, NoteMalformedError, NoteSignatureInvalidError, NoteSignerError
from mingzheng.keys.note import cosign_line, format_line, join_note, open_note, parse_note
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import (
    TYPE_COSIGNATURE,
    TYPE_ML_DSA_44,
    cosigner_vkey,
    format_vkey,
    key_hash,
    parse_vkey,
    vkey_for,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/witness/cosignatures.json").read_text(encoding="utf-8"))
NOTE = VECTORS["checkpoint"].encode()
TEXT = parse_note(NOTE).text
HEADS = [case for case in VECTORS["cosignatures"] if case["time"]]
SUBTREES = [case for case in VECTORS["cosignatures"] if not case["time"]]
ALGS = {"ed25519": Alg.ED25519, "ml-dsa-44": Alg.ML_DSA_44}


def signer_of(case: dict[str, str]) -> InMemorySigner:
    return InMemorySigner.from_private_bytes(ALGS[case["alg"]], bytes.fromhex(case["seed"]))


@pytest.mark.parametrize("case", HEADS, ids=lambda case: f"{case['alg']} {case['name']}")
def test_reference_lines_verify_and_are_ours(case: dict[str, str]) -> None:
    time = int(case["time"])
    vkey = parse_vkey(case["vkey"])
    assert format_vkey(cosigner_vkey(case["name"], signer_of(case).public_key)) == case["vkey"]
    note = open_note(NOTE + case["line"].encode(), [vkey])
    assert [(good.vkey, good.timestamp) for good in note.verified] == [(vkey, time)]
    made = cosign_line(case["name"], signer_of(case), text=TEXT, timestamp=time)
    if case["alg"] == "ed25519":
        assert made == case["line"]
        assert cosignature_message(TEXT, time).hex() == case["message"]
    else:
        assert checkpoint_message(TEXT, cosigner=case["name"], timestamp=time).hex() == case["message"]
        assert open_note(NOTE + made.encode(), [vkey]).verified[0].timestamp == time


@pytest.mark.parametrize("case", SUBTREES, ids=lambda case: f"{case['start']}-{case['end']}")
def test_reference_subtrees(case: dict[str, str]) -> None:
    message = subtree_message(
        cosigner=case["name"],
        timestamp=0,
        origin=VECTORS["origin"],
        start=int(case["start"]),
        end=int(case["end"]),
        root=bytes.fromhex(case["root"]),
    )
    assert message.hex() == case["message"]


def test_all_reference_lines_in_one_note() -> None:
    raw = NOTE + "".join(case["line"] for case in HEADS).encode()
    vkeys = [parse_vkey(text) for text in (VECTORS["log_vkey"], *(case["vkey"] for case in HEADS))]
    assert [good.vkey for good in open_note(raw, vkeys).verified] == vkeys


@pytest.mark.parametrize("case", HEADS[:2], ids=lambda case: case["alg"])
def test_every_changed_field_fails(case: dict[str, str]) -> None:
    """One bit of time or signature, another name under the same key, another head, a line of a smaller tree."""
    vkey, line = parse_vkey(case["vkey"]), case["line"]
    blob = base64.b64decode(line.split(" ")[2])
    for at in (4, 11, 12, 40, len(blob) - 1):
        bad = bytearray(blob)
        bad[at] ^= 1
        with pytest.raises(NoteSignatureInvalidError):
            open_note(NOTE + format_line(case["name"], bytes(bad[:4]), bytes(bad[4:])).encode(), [vkey])
    for blobs in (blob[:5], blob[:12], blob[:-1], blob + b"\0"):
        with pytest.raises(NoteSignatureInvalidError):
            open_note(NOTE + format_line(case["name"], blobs[:4], blobs[4:]).encode(), [vkey])
    lines = TEXT.split("\n")
    for other in ((lines[0], "13", lines[2]), (lines[0] + "x", lines[1], lines[2]), (*lines[:2], "A" * 43 + "=")):
        with pytest.raises(NoteSignatureInvalidError):
            open_note(join_note("\n".join(other) + "\n", [line]), [vkey])


@pytest.mark.parametrize("case", HEADS[:2], ids=lambda case: case["alg"])
def test_a_time_beyond_the_last_fails_whatever_was_signed(case: dict[str, str]) -> None:
    vkey, signer = parse_vkey(case["vkey"]), signer_of(case)
    message = {
        "ed25519": cosignature_message(TEXT, MAX_TIMESTAMP),
        "ml-dsa-44": checkpoint_message(TEXT, cosigner=case["name"], timestamp=MAX_TIMESTAMP),
    }[case["alg"]]
    signature = signer.sign(message)
    for time in (MAX_TIMESTAMP, MAX_TIMESTAMP + 1, 2**64 - 1):
        raw = NOTE + format_line(case["name"], vkey.key_hash, time.to_bytes(8) + signature).encode()
        if time == MAX_TIMESTAMP:
            assert open_note(raw, [vkey]).verified[0].timestamp == time
            continue
        with pytest.raises(NoteSignatureInvalidError):
            open_note(raw, [vkey])


def test_only_ml_dsa_binds_the_name_and_leaves_extension_lines_out() -> None:
    """Why a witness uses one key under one name, and nobody trusts extension lines."""
    for case in HEADS[:2]:
        other = "other.example"
        key = parse_vkey(case["vkey"]).key
        kind = TYPE_COSIGNATURE if case["alg"] == "ed25519" else TYPE_ML_DSA_44
        blob = base64.b64decode(case["line"].split(" ")[2])[4:]
        hashed = key_hash(other, kind, key)
        renamed = NOTE + format_line(other, hashed, blob).encode()
        vkey = cosigner_vkey(other, signer_of(case).public_key)
        extended = join_note(TEXT + "extension\n", [case["line"]])
        if kind == TYPE_COSIGNATURE:
            assert open_note(renamed, [vkey]).verified
            with pytest.raises(NoteSignatureInvalidError):
                open_note(extended, [parse_vkey(case["vkey"])])
        else:
            with pytest.raises(NoteSignatureInvalidError):
                open_note(renamed, [vkey])
            assert open_note(extended, [parse_vkey(case["vkey"])]).verified


@pytest.mark.parametrize("text", ["", "a\n", "a\n1\n", "a\n1\nAAAA\n", "a\n01\n{r}\n", "a\nx\n{r}\n", "\n1\n{r}\n"])
def test_ml_dsa_cosigns_checkpoints_only(text: str) -> None:
    text = text.replace("{r}", "A" * 43 + "=")
    case = HEADS[1]
    with pytest.raises(NoteMalformedError):
        cosign_line(case["name"], signer_of(case), text=text, timestamp=1)


@pytest.mark.parametrize("size", ["١", "01", "+1", "1_0", "", "9" * 20, str(2**63), "-1", " 1"])
def test_sizes_have_one_spelling(size: str) -> None:
    with pytest.raises(NoteMalformedError):
        checkpoint_message(f"a\n{size}\n{'A' * 43}=\n", cosigner="w", timestamp=1)


def message(**changes: object) -> bytes:
    values = {"cosigner": "w", "timestamp": 0, "origin": "o", "start": 8, "end": 13, "root": bytes(32)}
    return subtree_message(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"cosigner": ""},
        {"cosigner": "w" * 256},
        {"origin": ""},
        {"origin": "日" * 86},
        {"start": -1},
        {"start": 14},
        {"end": MAX_SIZE + 1},
        {"start": 0, "timestamp": MAX_TIMESTAMP + 1},
        {"start": 0, "timestamp": -1},
        {"timestamp": 1},
        {"root": bytes(31)},
    ],
)
def test_messages_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(NoteMalformedError):
        message(**changes)


def test_messages_at_the_borders() -> None:
    assert len(message()) == 12 + 2 + 8 + 2 + 16 + 32
    message(cosigner="w" * 255, origin="日" * 85, end=MAX_SIZE)
    message(start=0, timestamp=MAX_TIMESTAMP)


def test_who_cosigns() -> None:
    with pytest.raises(BadVkeyError):
        vkey_for("w", signer_of(HEADS[1]).public_key)
    with pytest.raises(BadVkeyError):
        vkey_for("w", signer_of(HEADS[0]).public_key, sig_type=TYPE_ML_DSA_44)
    p256 = InMemorySigner.from_private_bytes(Alg.ESP256, b"\1" * 32)
    with pytest.raises(NoteSignerError):
        cosign_line("w", p256, text=TEXT, timestamp=1)
    for case in HEADS[:2]:
        with pytest.raises(NoteSignerError):
            cosign_line("w", signer_of(case), text=TEXT, timestamp=MAX_TIMESTAMP + 1)
    kind, key = HEADS[1]["vkey"].split("+", 2)[2], base64.b64decode(HEADS[1]["vkey"].split("+", 2)[2])
    assert kind
    for bad in (key[:-1], key + b"\0"):
        with pytest.raises(BadVkeyError):
            parse_vkey(f"w+{key_hash('w', 6, bad[1:]).hex()}+{base64.b64encode(bad).decode()}")
