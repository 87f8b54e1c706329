"""Checkpoints: real heads of other logs, our reference head, one spelling only."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import KeysError
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import parse_vkey, vkey_for
from mingzheng.log.checkpoint import (
    Checkpoint,
    format_checkpoint,
    open_checkpoint,
    open_foreign_checkpoint,
    parse_checkpoint,
    parse_foreign_checkpoint,
    sign_checkpoint,
)
from mingzheng.log.errors import CheckpointError, CheckpointOriginError
from mingzheng.log.hashing import EMPTY_ROOT, Hash, leaf_hash

VECTORS = Path(__file__).parents[1] / "vectors" / "log"
LOG = json.loads((VECTORS / "log.json").read_text(encoding="utf-8"))
ROOT = leaf_hash(b"root")
ROOT64 = base64.b64encode(ROOT).decode()
SIGNER = InMemorySigner.from_private_bytes(Alg.ED25519, bytes.fromhex(LOG["checkpoint_seed"]))


def real_heads() -> list[tuple[str, str, str]]:
    heads = []
    for name, origin in (("sumdb", "go.sum database tree"), ("rekor2", "log2025-1.rekor.sigstore.dev")):
        for case in json.loads((VECTORS / f"real_checkpoints_{name}.json").read_text(encoding="utf-8")):
            heads.append((case["vkey"], case["note"], origin))
    return heads


@pytest.mark.parametrize(("vkey", "note", "origin"), real_heads())
def test_real_heads_of_sumdb_and_rekor_verify(vkey: str, note: str, origin: str) -> None:
    keys = [parse_vkey(vkey)]
    head = open_foreign_checkpoint(note.encode(), vkeys=keys, origin=origin)
    assert head == open_checkpoint(note.encode(), vkeys=keys, origin=origin)
    lines = note.split("\n")
    assert (head.origin, str(head.size)) == (lines[0], lines[1])
    with pytest.raises(KeysError):
        open_foreign_checkpoint(note.replace(lines[1], str(head.size + 1)).encode(), vkeys=keys, origin=origin)


def test_our_head_is_the_reference_head() -> None:
    head = Checkpoint(origin=LOG["origin"], size=len(LOG["order"]), root=Hash(bytes.fromhex(LOG["root"])))
    raw = sign_checkpoint(head, signer=SIGNER)
    assert raw.decode() == LOG["checkpoint"]
    assert open_checkpoint(raw, vkeys=[parse_vkey(LOG["vkey"])], origin=LOG["origin"]) == head


def test_refuses_the_head_of_another_log_under_a_known_key() -> None:
    head = Checkpoint(origin="log.example/a", size=0, root=EMPTY_ROOT)
    raw = sign_checkpoint(head, signer=SIGNER)
    vkey = vkey_for("log.example/a", SIGNER.public_key)
    with pytest.raises(CheckpointOriginError) as caught:
        open_checkpoint(raw, vkeys=[vkey], origin="log.example/b")
    assert (caught.value.want, caught.value.got) == ("log.example/b", "log.example/a")


def test_every_bit_of_the_reference_head_counts() -> None:
    raw = LOG["checkpoint"].encode()
    vkey = parse_vkey(LOG["vkey"])
    for at in range(len(raw)):
        for bit in range(8):
            changed = raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :]
            with pytest.raises((KeysError, CheckpointError, CheckpointOriginError)):
                open_checkpoint(changed, vkeys=[vkey], origin=LOG["origin"])


def test_text_of_a_head() -> None:
    head = Checkpoint(origin="o", size=5, root=ROOT)
    assert format_checkpoint(head) == f"o\n5\n{ROOT64}\n"
    assert parse_checkpoint(f"o\n5\n{ROOT64}\n") == head


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "body"), ("o", "body"), ("o\n5\n", "body"), (f"o\n5\n{ROOT64}", "body"), (f"5\n{ROOT64}\n", "body"),
        (f"\n5\n{ROOT64}\n", "origin"), ("o" * 257 + f"\n5\n{ROOT64}\n", "origin"),
        (f"o\n05\n{ROOT64}\n", "size"), (f"o\n+5\n{ROOT64}\n", "size"), (f"o\n 5\n{ROOT64}\n", "size"),
        (f"o\n-5\n{ROOT64}\n", "size"), (f"o\n1_0\n{ROOT64}\n", "size"), (f"o\n٥\n{ROOT64}\n", "size"),
        (f"o\n５\n{ROOT64}\n", "size"), (f"o\n\n{ROOT64}\n", "size"), (f"o\n5.0\n{ROOT64}\n", "size"),
        (f"o\n{2**63}\n{ROOT64}\n", "size"), (f"o\n{10**30}\n{ROOT64}\n", "size"), (f"o\n00\n{ROOT64}\n", "size"),
        (f"o\n5\n{ROOT64[:-1]}\n", "root"), (f"o\n5\n{ROOT64}=\n", "root"), (f"o\n5\n {ROOT64}\n", "root"),
        (f"o\n5\n{ROOT64[:10]}!{ROOT64[10:]}\n", "root"), ("o\n5\nAAAA\n", "root"), ("o\n5\n\n", "root"),
        (f"o\n5\n{base64.urlsafe_b64encode(bytes([255]) * 32).decode()}\n", "root"), ("o\n5\n根\n", "root"),
        (f"o\n0\n{ROOT64}\n", "root"), (f"o\n5\n{base64.b64encode(EMPTY_ROOT).decode()}\n", "root"),
        (f"o\n5\n{ROOT64}\nextension\n", "extension"), (f"o\n5\n{ROOT64}\n\n", "extension"),
        (f"o\n5\n{ROOT64}\n" + "x" * 5000 + "\n", "body"),
    ],
)  # fmt: skip
def test_refuses_every_other_spelling(text: str, field: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        parse_checkpoint(text)
    assert (caught.value.field, caught.value.code) == (field, "checkpoint.malformed")


def test_refuses_base64_that_is_not_canonical() -> None:
    loose = ROOT64[:-2] + chr(ord(ROOT64[-2]) + 1) + "="
    assert base64.b64decode(loose) == ROOT
    with pytest.raises(CheckpointError, match="canonical"):
        parse_checkpoint(f"o\n5\n{loose}\n")


def test_extension_lines_of_other_logs_are_read_over() -> None:
    head, extensions = parse_foreign_checkpoint(f"o\n5\n{ROOT64}\nTimezone: UTC\nx\n")
    assert (head.size, extensions) == (5, ("Timezone: UTC", "x"))
    with pytest.raises(CheckpointError, match="extension"):
        parse_foreign_checkpoint(f"o\n5\n{ROOT64}\n" + "x\n" * 17)
    with pytest.raises(CheckpointError, match="extension"):
        parse_foreign_checkpoint(f"o\n5\n{ROOT64}\n\nx\n")


@pytest.mark.parametrize(
    "head",
    [
        Checkpoint(origin="", size=0, root=EMPTY_ROOT),
        Checkpoint(origin="a\nb", size=0, root=EMPTY_ROOT),
        Checkpoint(origin="a", size=-1, root=ROOT),
        Checkpoint(origin="a", size=2**63, root=ROOT),
        Checkpoint(origin="a", size=1, root=Hash(bytes(31))),
        Checkpoint(origin="a", size=0, root=ROOT),
    ],
)
def test_refuses_to_write_a_head_without_spelling(head: Checkpoint) -> None:
    with pytest.raises(CheckpointError):
        format_checkpoint(head)


def test_heads_at_their_caps() -> None:
    for head in (
        Checkpoint(origin="o" * 256, size=1, root=ROOT),
        Checkpoint(origin="o", size=2**63 - 1, root=ROOT),
        Checkpoint(origin="o", size=0, root=EMPTY_ROOT),
    ):
        assert parse_checkpoint(format_checkpoint(head)) == head
    lines = ["x" * 200] * 15
    text = f"o\n5\n{ROOT64}\n" + "".join(f"{line}\n" for line in lines)
    padded = text + "y" * (4096 - len(text) - 1) + "\n"
    assert len(padded) == 4096
    assert len(parse_foreign_checkpoint(padded)[1]) == 16
    with pytest.raises(CheckpointError, match="4096 characters"):
        parse_foreign_checkpoint(padded[:-1] + "y\n")


@given(st.text(max_size=60))
def test_what_parses_is_spelled_as_it_was(text: str) -> None:
    for body in (text, f"o\n{text}\n{ROOT64}\n", f"o\n7\n{text}\n"):
        try:
            head = parse_checkpoint(body)
        except CheckpointError:
            continue
        assert format_checkpoint(head) == body


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_round_trip(size: int, root: bytes) -> None:
    head = Checkpoint(origin="日志.example/一", size=size, root=Hash(root))
    assert parse_checkpoint(format_checkpoint(head)) == head
