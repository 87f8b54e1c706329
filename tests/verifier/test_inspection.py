"""Looking inside without trusting anything: every answer says so, no input raises."""

import json
from pathlib import Path

import jsonschema
from hypothesis import given
from hypothesis import strategies as st
from simulator import PREFIX, World

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.credential import attach_receipt
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.inspection import flatten, holds_credential, inspect_extracted
from mingzheng.verifier.report import Json

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = json.loads((ROOT / "verifier" / "inspect.schema.json").read_text(encoding="utf-8"))


def look(*candidates: Candidate, receipts: tuple[bytes, ...] = ()) -> dict[str, Json]:
    facts = FileFacts(kind=FileKind.PDF, pages=1, attachments=(), full_receipts=receipts, seals=())
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
