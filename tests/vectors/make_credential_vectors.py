"""Make the reference vectors of the credential by an independent path: cbor2 and cryptography only.

Run by hand: `python tests/vectors/make_credential_vectors.py`; the files it writes are committed
and the tests compare our own encoder with them byte for byte. Nothing of mingzheng is imported.
Writes credential/sample.json (the fixed sample), credential/receipt_twins.json,
credential/hostile.json (well-signed credentials with one fault each) and qr/sample.json.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import pathlib
import zlib
from collections.abc import Callable
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = pathlib.Path(__file__).parent
CHINA = datetime.timezone(datetime.timedelta(hours=8))
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

SAMPLE: dict[str, Any] = {
    "name": "欧阳明哲",
    "sex": 1,
    "birth": "1985-03-14",
    "kind": 1,
    "jurisdiction": 31,
    "registration_no": "沪1312015201500123",
    "specialties": [
        {"code": 1, "first_day": "2024-05-06", "last_day": "2028-05-05"},
        {"code": 4, "first_day": "2025-09-01", "last_day": "2028-08-31"},
    ],
    "certificate_issued_on": "2024-05-06",
    "employer": "上海浦江建设工程集团第二工程有限责任公司甲",
    "registered_until": "2028-08-31",
    "copy": 2,
    "purpose": "仅用于浦东新区学校改扩建工程施工投标资格审查用",
    "issuing_body": 1,
    "sealing_body": 1,
    "serial": 1048577,
    "salt": "000102030405060708090a0b0c0d0e0f",
    "photo_text": "sample photo",
    "signature_text": None,
    "template": 1,
    "copy_issued_on": "2026-11-21",
    "usage_until": "2027-05-20",
}
ED_SEED = hashlib.sha256(b"mingzheng test vector: Ed25519 credential key").digest()
EC_SCALAR = int.from_bytes(hashlib.sha256(b"mingzheng test vector: P-256 credential key").digest(), "big")
ED_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(ED_SEED)
EC_KEY = ec.derive_private_key(EC_SCALAR, ec.SECP256R1())


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def kid(key: Any) -> bytes:
    return hashlib.sha256(spki(key)).digest()[:8]


def dumps(value: Any) -> bytes:
    return cbor2.dumps(value, canonical=True)


def day(text: str) -> int:
    return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days


def midnight(text: str, *, days_later: int = 0) -> int:
    date = datetime.date.fromisoformat(text) + datetime.timedelta(days=days_later)
    return int(datetime.datetime(date.year, date.month, date.day, tzinfo=CHINA).timestamp())


def image_digest(photo: str | None, signature: str | None) -> bytes:
    parts = [bytes(32) if text is None else hashlib.sha256(text.encode()).digest() for text in (photo, signature)]
    return hashlib.sha256(parts[0] + parts[1]).digest()


def fields_of(words: dict[str, Any]) -> dict[int, Any]:
    fields = {
        0: 1,
        1: words["name"],
        2: words["sex"],
        3: day(words["birth"]),
        4: words["kind"],
        5: words["jurisdiction"],
        6: words["registration_no"],
        7: [[s["code"], day(s["first_day"]), day(s["last_day"])] for s in words["specialties"]],
        8: day(words["certificate_issued_on"]),
        9: words["employer"],
        10: day(words["registered_until"]),
        11: words["copy"],
        12: words["purpose"],
        13: words["issuing_body"],
        14: words["sealing_body"],
        15: words["serial"],
        16: bytes.fromhex(words["salt"]),
        17: image_digest(words["photo_text"], words["signature_text"]),
        18: words["template"],
    }
    return {key: value for key, value in fields.items() if value is not None and value != []}


def claims_of(words: dict[str, Any], **changes: Any) -> dict[int, Any]:
    """The claims map; `changes` are `f<key>` for a field (None removes it), `exp`, `iat` likewise."""
    fields = fields_of(words)
    outer = {4: midnight(words["usage_until"], days_later=1), 6: midnight(words["copy_issued_on"])}
    for name, value in changes.items():
        target, key = (fields, int(name[1:])) if name.startswith("f") else (outer, {"exp": 4, "iat": 6}[name])
        target.pop(key, None)
        if value is not None:
            target[key] = value
    return {**outer, -65537: fields}


def sign_ed(message: bytes) -> bytes:
    return ED_KEY.sign(message)


def sign_ec(message: bytes) -> bytes:
    der = EC_KEY.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signed_bytes(protected: bytes, payload: bytes, context: str = "Signature1", aad: bytes = b"") -> bytes:
    return dumps([context, protected, aad, payload])


def make(
    payload: bytes,
    *,
    protected: bytes | None = None,
    unprotected: Any = None,
    sign: Callable[[bytes], bytes] = sign_ed,
    context: str = "Signature1",
    aad: bytes = b"",
) -> bytes:
    """A tagged COSE_Sign1 whose signature holds over whatever the parts are."""
    if protected is None:
        protected = dumps({1: -19, 4: kid(ED_KEY)})
    signature = sign(signed_bytes(protected, payload, context, aad))
    return dumps(cbor2.CBORTag(18, [protected, unprotected or {}, payload, signature]))


PAYLOAD = dumps(claims_of(SAMPLE))
ED_PROTECTED = dumps({1: -19, 4: kid(ED_KEY)})
EC_PROTECTED = dumps({1: -9, 4: kid(EC_KEY)})


def reference(name: str, key: Any, protected: bytes, sign: Callable[[bytes], bytes], secret: str) -> dict[str, Any]:
    message = signed_bytes(protected, PAYLOAD)
    return {
        "name": name,
        "private": secret,
        "spki": spki(key).hex(),
        "kid": kid(key).hex(),
        "protected": protected.hex(),
        "payload": PAYLOAD.hex(),
        "sig_structure": message.hex(),
        "identity": hashlib.sha256(message).hexdigest(),
        "signature": sign(message).hex(),
        "credential": make(PAYLOAD, protected=protected, sign=sign).hex(),
    }


def insert_pair(payload: bytes, count_at: int, at: int, pair: bytes) -> bytes:
    """A map with one more pair, spelt by hand."""
    return payload[:count_at] + bytes([payload[count_at] + 1]) + payload[count_at + 1 : at] + pair + payload[at:]


def hostile() -> list[dict[str, Any]]:
    """One fault each, in the numbering of the 26 bad inputs; `code` is the error our reader must raise."""
    ed, p, k = ED_PROTECTED, PAYLOAD, kid(ED_KEY)
    good = make(p)
    rows: list[tuple[int, str, str, bytes]] = []

    def add(row: int, name: str, code: str, data: bytes) -> None:
        rows.append((row, name, code, data))

    add(1, "alg_only_unprotected", "cose.malformed", make(p, protected=dumps({4: k}), unprotected={1: -19}))
    add(2, "alg_absent", "cose.malformed", make(p, protected=dumps({4: k})))
    add(2, "protected_empty", "cose.malformed", make(p, protected=b"", unprotected={1: -19, 4: k}))
    add(2, "alg_text", "cose.malformed", make(p, protected=dumps({1: "EdDSA", 4: k})))
    add(3, "alg_esp256_over_ed25519_key", "credential.forged", make(p, protected=dumps({1: -9, 4: k})))
    add(3, "alg_es256_over_ed25519_key", "cose.malformed", make(p, protected=dumps({1: -7, 4: k})))
    add(3, "alg_alias_eddsa", "cose.malformed", make(p, protected=dumps({1: -8, 4: k})))
    add(3, "alg_ed448", "cose.malformed", make(p, protected=dumps({1: -53, 4: k})))
    add(4, "alg_conflict", "cose.malformed", make(p, unprotected={1: -9}))
    add(4, "alg_repeated_unprotected", "cose.malformed", make(p, unprotected={1: -19}))
    add(5, "kid_only_unprotected", "cose.malformed", make(p, protected=dumps({1: -19}), unprotected={4: k}))
    add(5, "kid_conflict", "cose.malformed", make(p, unprotected={4: kid(EC_KEY)}))
    add(5, "kid_short", "cose.malformed", make(p, protected=dumps({1: -19, 4: k[:7]})))
    add(5, "kid_path", "credential.wrong_key", make(p, protected=dumps({1: -19, 4: b"../../.k"})))
    add(6, "crit_unknown", "cose.malformed", make(p, protected=dumps({1: -19, 2: [99], 4: k})))
    add(6, "crit_unprotected", "cose.malformed", make(p, unprotected={2: [99]}))
    add(6, "jku_header", "cose.malformed", make(p, protected=dumps({1: -19, 4: k, 32: "http://127.0.0.1/k"})))
    add(6, "receipts_two", "cose.malformed", make(p, unprotected={394: [b"a", b"b"]}))
    add(6, "receipts_none", "cose.malformed", make(p, unprotected={394: []}))
    add(6, "receipt_no_bytes", "cose.malformed", make(p, unprotected={394: ["a"]}))
    add(6, "receipt_no_array", "cose.malformed", make(p, unprotected={394: b"a"}))
    add(6, "receipts_and_more", "cose.malformed", make(p, unprotected={394: [b"a"], 396: {}}))
    add(7, "protected_duplicate_label", "cose.malformed", make(p, protected=b"\xa3\x01\x32\x01\x32" + ed[3:]))
    unprotected_twice = good[:16] + b"\xa2\x19\x01\x8a\x81\x41a\x19\x01\x8a\x81\x41b" + good[17:]
    add(7, "unprotected_duplicate_label", "cbor.key_order", unprotected_twice)
    exp = p[1:7]
    assert (p[0], exp[0]) == (0xA3, 4)
    add(8, "exp_twice", "credential.forged", make(insert_pair(p, 0, 1, exp)))
    for name, value in (
        ("nan", float("nan")),
        ("infinity", float("inf")),
        ("float", 1809532800.0),
        ("bignum", 2**70),
        ("negative", -1),
        ("far", 2**63),
        ("within_day", midnight("2027-05-21") + 1),
        ("text", "2027-05-05"),
        ("zero", 0),
    ):
        add(9, f"exp_{name}", "credential.forged", make(dumps(claims_of(SAMPLE, exp=value))))
    add(11, "iat_missing", "credential.forged", make(dumps(claims_of(SAMPLE, iat=None))))
    add(11, "iat_within_day", "credential.forged", make(dumps(claims_of(SAMPLE, iat=midnight("2026-11-21") + 1))))
    add(11, "nbf_added", "credential.forged", make(dumps({**claims_of(SAMPLE), 5: midnight("2026-11-21")})))
    add(12, "trailing_outer", "cbor.trailing", good + b"\0")
    add(12, "trailing_protected", "cose.malformed", make(p, protected=ed + b"\0"))
    add(12, "trailing_payload", "credential.forged", make(p + b"\0"))
    add(13, "indefinite_outer", "cbor.not_canonical", b"\xd2\x9f" + good[2:] + b"\xff")
    add(13, "indefinite_protected", "cose.malformed", make(p, protected=b"\xbf" + ed[1:] + b"\xff"))
    add(13, "indefinite_claims", "credential.forged", make(b"\xbf" + p[1:] + b"\xff"))
    add(
        13, "indefinite_payload_string", "cbor.not_canonical", good[:17] + b"\x5f" + good[17:-66] + b"\xff" + good[-66:]
    )
    add(13, "nonminimal_alg", "cose.malformed", make(p, protected=b"\xa2\x01\x38\x12" + ed[3:]))
    add(13, "nonminimal_tag", "cose.malformed", b"\xd8\x12" + good[1:])
    add(13, "nonminimal_array", "cbor.not_canonical", b"\xd2\x98\x04" + good[2:])
    add(13, "nonminimal_exp_label", "credential.forged", make(p[:1] + b"\x18\x04" + p[2:]))
    add(13, "nonminimal_payload_length", "cbor.not_canonical", good[:17] + b"\x5a\0\0" + good[18:])
    unsorted = b"\xa3" + p[7:13] + p[1:7] + p[13:]
    add(13, "unsorted_claims", "credential.forged", make(unsorted))
    add(13, "unsorted_protected", "cose.malformed", make(p, protected=b"\xa2" + ed[3:] + ed[1:3]))
    add(
        13,
        "float_key_twin",
        "credential.forged",
        make(insert_pair(p, 0, 7, b"\xfb" + bytes.fromhex("4010000000000000") + exp[1:])),
    )
    add(14, "nest_7", "cbor.too_deep", good[:16] + b"\xa1\x19\x01\x8a" + b"\x81" * 5 + b"\x40" + good[17:])
    add(14, "nest_300", "cbor.too_deep", good[:16] + b"\xa1\x19\x01\x8a" + b"\x81" * 300 + b"\x40" + good[17:])
    add(14, "nest_2900", "cbor.too_deep", good[:16] + b"\xa1\x19\x01\x8a" + b"\x81" * 2900 + b"\x40" + good[17:])
    add(14, "nest_300_claims", "credential.forged", make(b"\x81" * 300 + b"\x00"))
    for name, tagged in (
        ("regex", cbor2.CBORTag(35, "a+b+$")),
        ("cyclic", cbor2.CBORTag(28, [cbor2.CBORTag(29, 0)])),
        ("mime", cbor2.CBORTag(36, "Content-Type: text/plain\n\nx")),
        ("decimal", cbor2.CBORTag(4, [10**12, 1])),
        ("bignum", cbor2.CBORTag(2, b"\xff" * 900)),
        ("set", cbor2.CBORTag(258, [1, 2])),
        ("stringref", cbor2.CBORTag(256, ["aaaa", cbor2.CBORTag(25, 0)])),
        ("date", cbor2.CBORTag(0, "2022-06-27T00:00:00Z")),
    ):
        add(15, f"tag_{name}", "credential.forged", make(dumps(claims_of(SAMPLE, f12=tagged))))
    for name, value in (("true", True), ("undefined", cbor2.undefined), ("simple", cbor2.CBORSimpleValue(59))):
        add(15, f"type_{name}", "credential.forged", make(dumps(claims_of(SAMPLE, f4=value))))
    add(15, "type_null", "credential.forged", make(b"\xa3" + exp + p[7:13] + p[13:18] + b"\xf6"))
    for bits in (31, 32, 62, 63):
        length = (1 << bits).to_bytes(8, "big") if bits > 31 else (1 << bits).to_bytes(4, "big")
        lead = b"\x5b" if bits > 31 else b"\x5a"
        add(16, f"length_2e{bits}_string", "cbor.truncated", good[:17] + lead + length + good[20:])
        add(16, f"length_2e{bits}_array", "credential.forged", make(bytes([lead[0] + 0x40]) + length))
        add(16, f"length_2e{bits}_map", "credential.forged", make(bytes([lead[0] + 0x60]) + length))
    add(16, "over_4096", "cbor.too_long", make(p, unprotected={394: [bytes(4096 - len(good) - 7 + 1)]}))
    add(17, "zlib_bomb", "cose.malformed", zlib.compress(bytes(1 << 20), 9))
    add(17, "zlib_of_good", "cose.malformed", zlib.compress(good, 9))
    add(17, "payload_zlib", "credential.forged", make(zlib.compress(p, 9)))
    signature = sign_ec(signed_bytes(EC_PROTECTED, p))
    r, s = signature[:32], signature[32:]
    der = utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    order = P256_ORDER.to_bytes(32, "big")
    for name, code, bad in (
        ("der_signature", "cose.malformed", der),
        ("r_zero", "credential.forged", bytes(32) + s),
        ("s_zero", "credential.forged", r + bytes(32)),
        ("r_is_order", "credential.forged", order + s),
        ("s_is_order", "credential.forged", r + order),
        ("swapped", "credential.forged", s + r),
    ):
        add(19, f"esp256_{name}", code, make(p, protected=EC_PROTECTED, sign=lambda _m, bad=bad: bad))
    for size in (0, 63, 65):
        add(
            19,
            f"signature_{size}_bytes",
            "cose.malformed",
            make(p, sign=lambda m, size=size: (sign_ed(m) + b"\0")[:size]),
        )
    s_plus_l = (int.from_bytes(good[-32:], "little") + 2**252 + 27742317777372353535851937790883648493).to_bytes(
        32, "little"
    )
    add(19, "ed25519_s_plus_l", "credential.forged", good[:-32] + s_plus_l)
    add(20, "context_signature", "credential.forged", make(p, context="Signature"))
    add(20, "context_countersignature", "credential.forged", make(p, context="CounterSignature"))
    add(20, "external_aad_status", "credential.forged", make(p, aad=b"mingzheng/status/v1"))
    add(20, "untagged", "cose.malformed", good[1:])
    add(20, "tag_18_twice", "cbor.type", b"\xd2" + good)
    add(20, "tag_61_around", "cose.malformed", b"\xd8\x3d" + good)
    add(20, "tag_98_sign", "cose.malformed", b"\xd8\x62" + good[1:])
    add(20, "tag_17_mac0", "cose.malformed", b"\xd1" + good[1:])
    add(20, "five_elements", "cose.malformed", b"\xd2\x85" + good[2:] + b"\x40")
    add(20, "three_elements", "cose.malformed", b"\xd2\x83" + good[2:-66])
    add(20, "payload_null", "cbor.type", good[:17] + b"\xf6" + good[-66:])
    add(20, "payload_text", "cose.malformed", good[:17] + b"\x61a" + good[-66:])
    add(20, "protected_text", "cose.malformed", b"\xd2\x84\x61a" + good[16:])
    add(20, "unprotected_array", "cose.malformed", good[:16] + b"\x80" + good[17:])
    add(20, "signature_text", "cose.malformed", good[:-66] + b"\x61a")
    add(
        21,
        "signed_by_another_key",
        "credential.forged",
        make(p, sign=ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).sign),
    )
    add(21, "iss_claim_added", "credential.forged", make(dumps({**claims_of(SAMPLE), 1: "another issuer"})))
    for name, text in (
        ("nfd", "Ange\u0301la"),
        ("zero_width_space", "张\u200b三"),
        ("zero_width_joiner", "张\u200d三"),
        ("bidi_override", "张\u202e三"),
        ("bidi_isolate", "张\u2067三\u2069"),
        ("bom", "\ufeff张三"),
        ("soft_hyphen", "张\u00ad三"),
        ("variation_selector", "辻\U000e0100"),
        ("private_use", "张\ue000"),
        ("unassigned", "张\u0378"),
        ("tag_character", "张三\U000e0041"),
        ("control", "张\n三"),
        ("nul", "张三\0"),
        ("no_break_space", "张\u00a0三"),
        ("ideographic_space", "张\u3000三"),
        ("leading_space", " 张三"),
        ("trailing_space", "张三 "),
        ("only_space", " "),
        ("compatibility_ideograph", "\uf900"),
        ("hangul_filler", "张\u3164"),
        ("empty", ""),
        ("41_characters", "甲" * 41),
    ):
        add(26, f"name_{name}", "credential.forged", make(dumps(claims_of(SAMPLE, f1=text))))
    surrogate = p.replace("欧阳明哲".encode(), b"\xed\xa0\x80" + "阳明哲".encode())
    add(26, "name_surrogate", "credential.forged", make(surrogate))
    return [{"row": row, "name": name, "code": code, "hex": data.hex()} for row, name, code, data in rows]


def bounds() -> list[dict[str, Any]]:
    """Well-signed claims one step outside and just inside their bounds."""
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("unknown_version", "claims.unknown_version", {"f0": 2}),
        ("unknown_version_far", "claims.unknown_version", {"f0": 2**64 - 1, "f1": None}),
        ("version_missing", "credential.forged", {"f0": None}),
        ("version_text", "credential.forged", {"f0": "1"}),
        ("version_negative", "credential.forged", {"f0": -1}),
        ("unknown_field", "credential.forged", {"f19": 0}),
        ("unknown_field_negative", "credential.forged", {"f-1": 0}),
        ("specialties_empty", "credential.forged", {"f7": []}),
        ("specialties_17", "credential.forged", {"f7": [[code, 1, 2] for code in range(1, 18)]}),
        ("specialties_16", "accept", {"f7": [[code, 1, 2] for code in range(1, 17)]}),
        ("specialties_unsorted", "credential.forged", {"f7": [[2, 1, 2], [1, 1, 2]]}),
        ("specialties_repeated", "credential.forged", {"f7": [[1, 1, 2], [1, 3, 4]]}),
        ("specialty_code_0", "credential.forged", {"f7": [[0, 1, 2]]}),
        ("specialty_code_65536", "credential.forged", {"f7": [[65536, 1, 2]]}),
        ("specialty_backwards", "credential.forged", {"f7": [[1, 3, 2]]}),
        ("specialty_one_day", "accept", {"f7": [[1, 3, 3]]}),
        ("specialty_of_two", "credential.forged", {"f7": [[1, 3]]}),
        ("specialty_text", "credential.forged", {"f7": [["1", 3, 4]]}),
        ("specialty_no_array", "credential.forged", {"f7": [1]}),
        ("specialties_map", "credential.forged", {"f7": {1: 2}}),
        ("specialties_absent", "accept", {"f7": None}),
        ("employer_absent", "accept", {"f9": None}),
        ("purpose_absent", "accept", {"f12": None}),
        ("exp_absent", "accept", {"exp": None}),
        ("sex_0", "credential.forged", {"f2": 0}),
        ("sex_3", "credential.forged", {"f2": 3}),
        ("sex_2", "accept", {"f2": 2}),
        ("copy_0", "credential.forged", {"f11": 0}),
        ("copy_3", "credential.forged", {"f11": 3}),
        ("copy_1", "accept", {"f11": 1}),
        ("birth_1899", "credential.forged", {"f3": day("1899-12-31")}),
        ("birth_1900", "accept", {"f3": day("1900-01-01")}),
        ("birth_2099", "accept", {"f3": day("2099-12-31")}),
        ("birth_2100", "credential.forged", {"f3": day("2100-01-01")}),
        ("jurisdiction_0", "accept", {"f5": 0}),
        ("jurisdiction_10", "credential.forged", {"f5": 10}),
        ("jurisdiction_11", "accept", {"f5": 11}),
        ("jurisdiction_82", "accept", {"f5": 82}),
        ("jurisdiction_83", "credential.forged", {"f5": 83}),
        ("registered_until_9999", "accept", {"f10": day("9999-12-31")}),
        ("registered_until_10000", "credential.forged", {"f10": day("9999-12-31") + 1}),
        ("serial_max", "accept", {"f15": 2**40 - 1}),
        ("serial_over", "credential.forged", {"f15": 2**40}),
        ("serial_negative", "credential.forged", {"f15": -1}),
        ("salt_15", "credential.forged", {"f16": bytes(15)}),
        ("salt_17", "credential.forged", {"f16": bytes(17)}),
        ("salt_text", "credential.forged", {"f16": "0123456789abcdef"}),
        ("image_digest_31", "credential.forged", {"f17": bytes(31)}),
        ("image_digest_33", "credential.forged", {"f17": bytes(33)}),
        ("name_bytes", "credential.forged", {"f1": "张三".encode()}),
        ("employer_40", "accept", {"f9": "甲" * 40}),
        ("employer_41", "credential.forged", {"f9": "甲" * 41}),
        ("purpose_empty", "credential.forged", {"f12": ""}),
    ]
    for key, name in ((4, "kind"), (13, "issuing_body"), (14, "sealing_body"), (18, "template")):
        for value, code in ((0, "credential.forged"), (65535, "accept"), (65536, "credential.forged")):
            cases.append((f"{name}_{value}", code, {f"f{key}": value}))
    for key in (1, 2, 3, 4, 5, 6, 8, 10, 11, 13, 14, 15, 16, 17, 18):
        cases.append((f"missing_{key}", "credential.forged", {f"f{key}": None}))
    vectors = [
        {"name": name, "code": code, "hex": make(dumps(claims_of(SAMPLE, **changes))).hex()}
        for name, code, changes in cases
    ]
    for name, value in (
        ("claims_array", [1]),
        ("claims_int", 1),
        ("claims_without_fields", {6: 57600}),
        ("fields_array", {6: 57600, -65537: [1]}),
    ):
        vectors.append({"name": name, "code": "credential.forged", "hex": make(dumps(value)).hex()})
    return vectors


def write(name: str, value: Any) -> None:
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    references = [
        reference("ed25519", ED_KEY, ED_PROTECTED, sign_ed, ED_SEED.hex()),
        reference("esp256", EC_KEY, EC_PROTECTED, sign_ec, EC_SCALAR.to_bytes(32, "big").hex()),
    ]
    write("credential/sample.json", {"desc": "the fixed sample", "claims": SAMPLE, "references": references})
    twins = []
    for size in (0, 1, 23, 24, 140, 245, 255, 256):
        receipt = (b"\xd2" + bytes(range(256)))[:size]
        twins.append({"receipt": receipt.hex(), "credential": make(PAYLOAD, unprotected={394: [receipt]}).hex()})
    write("credential/receipt_twins.json", twins)
    write("credential/hostile.json", hostile())
    write("credential/bounds.json", bounds())
    write(
        "qr/sample.json",
        [
            {
                "name": item["name"],
                "hex": item["credential"],
                "digits": str(int(item["credential"], 16)),
                "prefix": "https://zs.example.cn/v1/#",
            }
            for item in references
        ],
    )
    print(len(bytes.fromhex(references[0]["credential"])), "bytes signed")


if __name__ == "__main__":
    main()
