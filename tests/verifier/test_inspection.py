"""Looking inside without trusting anything: every answer says so, no input raises."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
from hypothesis import given
from hypothesis import strategies as st
from outsideca import OutsideCa
from simulator import PREFIX, World

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, SealFacts, SealForm, Source
from mingzheng.formats.credential import attach_receipt
from mingzheng.formats.sniff import FileKind
from mingzheng.keys.sealkey import SealAlg
from mingzheng.verifier.inspection import flatten, holds_credential, inspect_extracted, label
from mingzheng.verifier.report import Json

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = json.loads((ROOT / "verifier" / "inspect.schema.json").read_text(encoding="utf-8"))


def look(
    *candidates: Candidate, receipts: tuple[bytes, ...] = (), seals: tuple[SealFacts, ...] = ()
) -> dict[str, Json]:
    facts = FileFacts(kind=FileKind.PDF, pages=1, attachments=(), full_receipts=receipts, seals=seals)
    found = inspect_extracted(
        Extracted(kind=FileKind.PDF, candidates=candidates, facts=facts, problems=(("pdf.page", "2"),)), "x.pdf"
    )
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(found)))
    assert found["trusted"] is False
    return found


def seen(text: str) -> Candidate:
    return Candidate(source=Source.QR, page=1, text=text, data=None, where="page:1:qr")


def attached(data: bytes) -> Candidate:
    return Candidate(source=Source.ATTACHMENT, page=None, text=None, data=data, where="attachment:credential")


def test_all_parts_of_a_credential() -> None:
    world = World()
    issued = world.issue_one()
    receipt = world.logs[1].full_receipt(issued.index)
    found = look(attached(issued.token), seen(PREFIX + issued.text), receipts=(receipt, b"x"))
    assert holds_credential(found)
    leaves = dict(flatten(found))
    assert leaves["items[0].credential.claims.name"] == "张三丰"
    assert leaves["items[0].credential.receipt.origin"] == "1"
    assert leaves["items[1].prefix"] == PREFIX
    assert leaves["receipts[0].origin"] == world.logs[1].name
    assert leaves["receipts[1].error"] == "receipt.malformed"
    assert leaves["problems[0]"] == "pdf.page"


def test_foreign_codes_and_broken_parts() -> None:
    world = World()
    issued = world.issue_one()
    bare, odd = attached(issued.bare), attached(attach_receipt(issued.bare, b"odd"))
    found = look(seen("https://a.example/v"), attached(b"x"), bare, odd)
    leaves = dict(flatten(found))
    assert leaves["items[0].lookalike"] == "True"
    assert leaves["items[1].error"] == "cose.malformed"
    assert leaves["items[3].credential.receipt.error"] == "receipt.malformed"
    assert not holds_credential(look(seen("https://a.example/v")))
    assert not holds_credential(look())


def test_raw_bytes_in_a_code_are_not_ours() -> None:
    raw = Candidate(source=Source.QR, page=None, text=None, data=World().issue_one().token, where="image:code:1")
    assert not holds_credential(look(raw))


@given(st.text(), st.binary(max_size=200))
def test_nothing_raises(text: str, data: bytes) -> None:
    look(seen(text), attached(data), attached(b"\xd2\x84" + data), receipts=(data,))


def test_claims_that_cannot_be_read_are_named() -> None:
    world = World()
    token = bytearray(world.issue_one().bare)
    token[40] ^= 0xFF
    found = look(attached(bytes(token)))
    assert "error" in json.dumps(found)


def test_seals_are_shown_with_whoever_signed() -> None:
    seal = SealFacts(
        form=SealForm.PADES,
        place="Seal1",
        certificate=OutsideCa(SealAlg.SM2).maker,
        chain=(),
        signed_at=1_795_000_000,
        timestamped=False,
        details=None,
        marks=(),
        faults=("file.changed",),
    )
    found = look(seals=(seal, replace(seal, certificate=b"", signed_at=None)))
    leaves = dict(flatten(found))
    assert "CN=maker" in leaves["seals[0].signer"]
    assert leaves["seals[0].signed_at"].endswith("+08:00")
    assert leaves["seals[0].faults[0]"] == "file.changed"
    assert "seals[1].signer" not in leaves


def names(schema: object, above: str = "") -> Iterator[str]:
    """Every name that the schema allows, with the one above it."""
    if isinstance(schema, dict):
        for name, below in schema.get("properties", {}).items():
            yield f"{above}[0].{name}" if above else name
            yield from names(below, name)
        for key in ("items", "anyOf"):
            yield from names(schema.get(key), above)
    elif isinstance(schema, list):
        for each in schema:
            yield from names(each, above)


def test_every_name_has_a_word_in_chinese() -> None:
    for name in names(SCHEMA):
        assert label(name, "en") == name
        assert not re.search("[a-z]", label(name, "zh")), name
    assert label("items[1].credential.claims.name", "zh") == "内容[1].凭证.签名字段.姓名"
    assert label("seals[0].name", "zh") == "印章[0].名称"
