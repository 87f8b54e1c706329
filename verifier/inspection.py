"""What a file or a code contains, with nothing trusted: for people who want to look inside.

Source: docs/spec/credential.md, receipt.md, qr.md. No key is looked up and no signature of a credential or receipt
checked; of seals the file says whose they are, and nobody was asked whether they may be there. Every answer says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mingzheng.formats.candidate import Candidate, Extracted, SealFacts, Source
from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Claims, parse_claims
from mingzheng.formats.credential import parse_credential
from mingzheng.formats.errors import FormatError, NotOurFormatError
from mingzheng.formats.qrtext import is_prefix, parse_qr_text
from mingzheng.keys.errors import KeysError
from mingzheng.keys.note import parse_note
from mingzheng.keys.x509 import parse_certificate
from mingzheng.log.checkpoint import parse_checkpoint
from mingzheng.log.errors import LogError
from mingzheng.log.receipt import parse_compact_receipt, parse_tlog_proof
from mingzheng.verifier.messages import Lang
from mingzheng.verifier.report import Json, seal_to_json

SCHEMA_VERSION: Final = 1
UNTRUSTED: Final = "nothing here was verified"
_LABELS: Final = {
    "": "",
    "schema_version": "格式版本",
    "file": "文件",
    "kind": "种类",
    "trusted": "可信",
    "remark": "说明",
    "items": "内容",
    "receipts": "完整回执",
    "seals": "印章",
    "problems": "问题",
    "source": "来源",
    "page": "页",
    "where": "位置",
    "prefix": "网址前缀",
    "error": "错误码",
    "lookalike": "仿冒",
    "url": "网址",
    "credential": "凭证",
    "bytes": "字节",
    "alg": "算法",
    "kid": "密钥编号",
    "identity": "标识",
    "receipt": "回执",
    "origin": "日志",
    "block": "区段",
    "index": "条目",
    "size": "日志条数",
    "claims": "签名字段",
    "name": "名称",
    "claims.name": "姓名",
    "sex": "性别",
    "birth": "出生日期",
    "jurisdiction": "地区",
    "registration_no": "注册编号",
    "specialties": "注册专业",
    "number": "编号",
    "first_day": "起",
    "last_day": "止",
    "certificate_issued_on": "签发日期",
    "employer": "聘用企业",
    "registered_until": "注册有效期至",
    "copy": "类型",
    "purpose": "用途",
    "issuing_body": "发证机关",
    "sealing_body": "盖章机关",
    "serial": "序号",
    "image_digest": "图像摘要",
    "template": "版式",
    "copy_issued_on": "本份签发日",
    "usage_until": "使用时限",
    "place": "位置",
    "form": "形式",
    "certificate_sha256": "证书摘要",
    "signer": "盖章证书",
    "signed_at": "时间",
    "timestamped": "有时间戳",
    "faults": "不成立之处",
}


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
        "seals": [seal_to_json(seal) | {"signer": _signer(seal)} for seal in extracted.facts.seals],
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


def label(name: str, lang: Lang) -> str:
    """The name of a leaf for people; in English it is the JSON's own."""
    if lang == "en":
        return name
    words, above = [], ""
    for part in name.split("."):
        word, bracket, place = part.partition("[")
        words.append(_LABELS.get(f"{above}.{word}", _LABELS[word]) + bracket + place)
        above = word
    return ".".join(words)


def _signer(seal: SealFacts) -> Json:
    """The subject of the certificate, if that can be read."""
    try:
        return parse_certificate(seal.certificate).subject_text
    except KeysError:
        return None


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
