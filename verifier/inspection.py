"""What a file or a code contains, with nothing trusted: for people who want to look inside.

Source: docs/spec/credential.md, receipt.md, qr.md. No key is looked up and no signature checked; every
answer says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mingzheng.formats.candidate import Candidate, Extracted, Source
from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Claims, parse_claims
from mingzheng.formats.credential import parse_credential
from mingzheng.formats.errors import FormatError, NotOurFormatError
from mingzheng.formats.qrtext import is_prefix, parse_qr_text
from mingzheng.keys.errors import KeysError
from mingzheng.keys.note import parse_note
from mingzheng.log.checkpoint import parse_checkpoint
from mingzheng.log.errors import LogError
from mingzheng.log.receipt import parse_compact_receipt, parse_tlog_proof
from mingzheng.verifier.report import Json

SCHEMA_VERSION: Final = 1
UNTRUSTED: Final = "nothing here was verified"


def inspect_extracted(extracted: Extracted, file: str) -> dict[str, Json]:
    """A JSON object on everything found in a file."""
    items: list[Json] = [_candidate(each) for each in extracted.candidates]
    return {
        "schema_version": SCHEMA_VERSION,
        "file": file,
        "kind": extracted.kind.value,
        "trusted": False,
        "remark": UNTRUSTED,
        "items": items,
        "receipts": [_full_receipt(data) for data in extracted.facts.full_receipts],
        "problems": [code for code, _detail in extracted.problems],
    }


def holds_credential(inspected: Mapping[str, Json]) -> bool:
    """Whether at least one item has the shape of a credential."""
    items = inspected["items"]
    return isinstance(items, list) and any(isinstance(item, dict) and item["credential"] for item in items)


def flatten(value: Json, name: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a JSON value with their dotted names, for a terminal."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from flatten(item, f"{name}[{number}]")
    elif value is not None:
        yield name, str(value)


def _candidate(candidate: Candidate) -> Json:
    found: dict[str, Json] = {"source": candidate.source.value, "page": candidate.page, "where": candidate.where}
    data, prefix = candidate.data, None
    if data is None or candidate.source is not Source.ATTACHMENT:
        text = candidate.text or ""
        prefix = _prefix_of(text)
        try:
            data = parse_qr_text(text, prefixes=() if prefix is None else (prefix,)).data
        except NotOurFormatError as error:
            alien: dict[str, Json] = {"error": error.code, "lookalike": error.lookalike, "url": error.url}
            return found | alien | {"prefix": None, "credential": None}
    return found | {"prefix": prefix} | _credential(data)


def _prefix_of(text: str) -> str | None:
    head, mark, _digits = text.partition("#")
    return head + mark if mark and is_prefix(head + mark) else None


def _credential(data: bytes) -> dict[str, Json]:
    try:
        unverified = parse_credential(data)
    except FormatError as error:
        return {"error": error.code, "credential": None}
    found: dict[str, Json] = {
        "bytes": len(data),
        "alg": unverified.alg,
        "kid": unverified.kid.hex(),
        "identity": unverified.identity.hex(),
        "receipt": None if unverified.receipt is None else _compact_receipt(unverified.receipt),
    }
    try:
        found["claims"] = _claims(parse_claims(unverified.payload))
    except FormatError as error:
        found["claims"] = {"error": error.code}
    return {"credential": found}


def _claims(claims: Claims) -> dict[str, Json]:
    return {
        "name": claims.name,
        "sex": int(claims.sex),
        "birth": format_day(claims.birth),
        "kind": claims.kind,
        "jurisdiction": claims.jurisdiction,
        "registration_no": claims.registration_no,
        "specialties": [
            {"number": s.code, "first_day": format_day(s.first_day), "last_day": format_day(s.last_day)}
            for s in claims.specialties
        ],
        "certificate_issued_on": format_day(claims.certificate_issued_on),
        "employer": claims.employer,
        "registered_until": format_day(claims.registered_until),
        "copy": int(claims.copy),
        "purpose": claims.purpose,
        "issuing_body": claims.issuing_body,
        "sealing_body": claims.sealing_body,
        "serial": claims.serial,
        "image_digest": claims.image_digest.hex(),
        "template": claims.template,
        "copy_issued_on": format_day(claims.copy_issued_on),
        "usage_until": None if claims.usage_until is None else format_day(claims.usage_until),
    }


def _compact_receipt(data: bytes) -> Json:
    try:
        receipt = parse_compact_receipt(data)
    except LogError as error:
        return {"error": error.code}
    return {
        "alg": receipt.alg,
        "origin": receipt.origin,
        "block": [receipt.start, receipt.end],
        "index": receipt.index,
    }


def _full_receipt(data: bytes) -> Json:
    try:
        proof = parse_tlog_proof(data)
        checkpoint = parse_checkpoint(parse_note(proof.checkpoint_note).text)
    except (LogError, KeysError) as error:
        return {"error": error.code}
    return {"index": proof.index, "origin": checkpoint.origin, "size": checkpoint.size}
