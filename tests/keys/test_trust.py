"""Trust data: what goes in comes out; every rule of roles and scopes has a refusal of its own."""

import base64
import copy
import dataclasses
import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from algs import NEEDS_SM2
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys import trust as module
from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import (
    BadBlobNameError,
    BadPrefixError,
    BadScopeError,
    DuplicateKidError,
    DuplicateNameError,
    DuplicateNumberError,
    KeysError,
    KeySharedError,
    KidMismatchError,
    OriginKeysError,
    RoleAlgError,
    TrustMalformedError,
    TrustTooLargeError,
    TrustVersionError,
    UnknownIssuerError,
    UnknownOriginError,
)
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import (
    KeyRecord,
    Role,
    TrustData,
    check_blob_name,
    check_files,
    fingerprint,
    format_trust,
    listing,
    parse_trust,
)

MakeRecord = Callable[..., KeyRecord]
Json = dict[str, Any]


def document(data: TrustData) -> Json:
    loaded: Json = json.loads(format_trust(data)["trust.json"])
    return loaded


def parse(top: object, **blobs: bytes) -> TrustData:
    return parse_trust({"trust.json": json.dumps(top).encode(), **blobs})


def key_item(top: Json, role: str, number: int = 0) -> Json:
    return [key for key in top["keys"] if key["role"] == role][number]


def with_key(world: TrustData, record: KeyRecord) -> TrustData:
    return dataclasses.replace(world, keys={**world.keys, record.kid: record})


def test_round_trip(world: TrustData) -> None:
    files = format_trust(world)
    assert parse_trust(files) == world
    assert format_trust(parse_trust(files)) == files
    assert next(iter(files)) == "trust.json"
    assert "某省住房和城乡建设厅" in files["trust.json"].decode()


def test_the_published_example_is_what_is_written(world: TrustData) -> None:
    example = (Path(__file__).parent.parent / "vectors" / "trust" / "trust.json").read_bytes()
    assert format_trust(world)["trust.json"] == example
    assert parse_trust({"trust.json": example, **world.blobs}) == world


def test_order_of_input_does_not_matter(world: TrustData) -> None:
    top = document(world)
    for part in ("issuers", "origins", "keys"):
        top[part].reverse()
    for item in top["keys"]:
        item["kinds"].reverse()
    assert format_trust(parse(top, **world.blobs)) == format_trust(world)


def test_travels_by_pickle_and_copy(world: TrustData) -> None:
    for again in (pickle.loads(pickle.dumps(world)), copy.deepcopy(world)):
        assert again == world
        assert again.receipt_key(1) == world.receipt_key(1)


def test_looks_up_keys(world: TrustData) -> None:
    for kid, record in world.keys.items():
        assert world.key(kid) == record
        assert record in world.keys_of(record.role, record.issuer)
    assert world.key(Kid(bytes(8))) is None
    for origin in (1, 2):
        receipt, checkpoint = world.receipt_key(origin), world.checkpoint_key(origin)
        assert receipt is not None
        assert checkpoint is not None
        assert (receipt.role, receipt.origins) == (Role.RECEIPT, {origin})
        assert (checkpoint.role, checkpoint.origins) == (Role.CHECKPOINT, {origin})
    assert world.receipt_key(3) is None
    assert world.checkpoint_key(3) is None
    assert world.keys_of(Role.ACT, 2) == ()
    assert [k.kid for k in world.keys_of(Role.RECEIPT, 0)] == sorted(
        k.kid for k in world.keys.values() if k.role is Role.RECEIPT
    )


def test_scope(make_record: MakeRecord) -> None:
    record = make_record(1, Role.CREDENTIAL)
    assert record.scope_allows(kind=1, jurisdiction=0, day=20000)
    assert record.scope_allows(kind=2, jurisdiction=12, day=21000)
    assert not record.scope_allows(kind=3, jurisdiction=0, day=20000)
    assert not record.scope_allows(kind=1, jurisdiction=13, day=20000)
    assert not record.scope_allows(kind=1, jurisdiction=0, day=19999)
    assert not record.scope_allows(kind=1, jurisdiction=0, day=21001)
    assert record.may_log(1)
    assert not record.may_log(2)


@pytest.mark.parametrize(("retired_on", "last"), [(None, 21000), (20500, 20500), (22000, 21000)])
def test_retirement_ends_validity(make_record: MakeRecord, retired_on: int | None, last: int) -> None:
    record = make_record(1, Role.CREDENTIAL, retired_on=retired_on)
    assert record.allows_day(last)
    assert not record.allows_day(last + 1)


def test_compromise_cuts_off(make_record: MakeRecord) -> None:
    sound = make_record(1, Role.CREDENTIAL)
    assert sound.counts_at(origin=1, index=None)
    assert sound.counts_at(origin=9, index=10**9)
    lost = make_record(1, Role.CREDENTIAL, compromised={1: 5})
    assert lost.counts_at(origin=1, index=0)
    assert lost.counts_at(origin=1, index=4)
    for origin, index in ((1, 5), (1, 6), (2, 0), (1, None), (1, -1)):
        assert not lost.counts_at(origin=origin, index=index)
    assert not make_record(1, Role.CREDENTIAL, compromised={}).counts_at(origin=1, index=0)


def test_no_role_is_missing_from_the_world(world: TrustData) -> None:
    assert {record.role for record in world.keys.values()} == set(Role)


# --- refusals: the mutated document, the error -------------------------------------------------------


def mutate(top: Json, path: str, value: object) -> None:
    *parents, last = path.split(".")
    here: Any = top
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here[part]
    here[int(last) if isinstance(here, list) else last] = value


SHAPE = [
    ("generation", 0, TrustMalformedError),
    ("generation", -1, TrustMalformedError),
    ("generation", True, TrustMalformedError),
    ("generation", "1", TrustMalformedError),
    ("generation", 2**53, TrustMalformedError),
    ("made_at", -1, TrustMalformedError),
    ("made_at", 2**40, TrustMalformedError),
    ("made_at", None, TrustMalformedError),
    ("version", 2, TrustVersionError),
    ("version", 0, TrustMalformedError),
    ("version", "1", TrustMalformedError),
    ("extra", 1, TrustMalformedError),
    ("issuers", {}, TrustMalformedError),
    ("issuers", [1], TrustMalformedError),
    ("issuers.0.extra", 1, TrustMalformedError),
    ("issuers.0.number", 0, TrustMalformedError),
    ("issuers.0.number", 65536, TrustMalformedError),
    ("issuers.0.number", 2, DuplicateNumberError),
    ("issuers.0.name", "", TrustMalformedError),
    ("issuers.0.name", "a\u202eb", TrustMalformedError),
    ("issuers.0.name", "a" * 129, TrustMalformedError),
    ("issuers.0.name_en", 5, TrustMalformedError),
    ("issuers.0.bodies", {}, TrustMalformedError),
    ("issuers.0.bodies.0.number", 2, DuplicateNumberError),
    ("issuers.0.bodies.0.number", 0, TrustMalformedError),
    ("issuers.0.bodies.0.name", " x", TrustMalformedError),
    ("issuers.0.bodies.0.x", 1, TrustMalformedError),
    ("issuers.0.prefixes", "https://a.example/v#", TrustMalformedError),
    ("issuers.0.prefixes", ["https://a.example/v#"] * 17, TrustTooLargeError),
    ("issuers.0.prefixes.0", 1, TrustMalformedError),
    ("origins.0.number", 2, DuplicateNumberError),
    ("origins.0.number", 0, TrustMalformedError),
    ("origins.0.name", "log.example/b", DuplicateNameError),
    ("origins.0.name", "a b", TrustMalformedError),
    ("origins.0.name", "a+b", TrustMalformedError),
    ("origins.0.name", "", TrustMalformedError),
    ("origins.0.block_height", 0, TrustMalformedError),
    ("origins.0.block_height", 9, TrustMalformedError),
    ("origins.0.x", 1, TrustMalformedError),
    ("quorum", "", TrustMalformedError),
    ("quorum", "no newline", TrustMalformedError),
    ("quorum", "a\x00\n", TrustMalformedError),
    ("quorum", 1, TrustMalformedError),
    ("quorum", "a" * 131_072 + "\n", TrustMalformedError),
    ("keys", None, TrustMalformedError),
    ("keys.0.x", 1, TrustMalformedError),
    ("keys.0.kid", "00", TrustMalformedError),
    ("keys.0.kid", "0" * 16, KidMismatchError),
    ("keys.0.kid", 5, TrustMalformedError),
    ("keys.0.role", "admin", TrustMalformedError),
    ("keys.0.role", "Act", TrustMalformedError),
    ("keys.0.role", None, TrustMalformedError),
    ("keys.0.alg", -257, TrustMalformedError),
    ("keys.0.alg", "EdDSA", TrustMalformedError),
    ("keys.0.spki", "", TrustMalformedError),
    ("keys.0.spki", "AAAA", TrustMalformedError),
    ("keys.0.spki", "!", TrustMalformedError),
    ("keys.0.spki", "A" * 257, TrustMalformedError),
    ("keys.0.issuer", -1, TrustMalformedError),
    ("keys.0.issuer", 65536, TrustMalformedError),
    ("keys.0.issuer", None, TrustMalformedError),
    ("keys.0.kinds", [1, 1], TrustMalformedError),
    ("keys.0.kinds", [65536], TrustMalformedError),
    ("keys.0.kinds", [-1], TrustMalformedError),
    ("keys.0.kinds", "all", TrustMalformedError),
    ("keys.0.jurisdictions", [0, 0], TrustMalformedError),
    ("keys.0.origins", [3], UnknownOriginError),
    ("keys.0.origins", [1, 1], TrustMalformedError),
    ("keys.0.valid_from", "2026-02-30", TrustMalformedError),
    ("keys.0.valid_from", "20260201", TrustMalformedError),
    ("keys.0.valid_from", 20000, TrustMalformedError),
    ("keys.0.valid_until", "0000-01-01", TrustMalformedError),
    ("keys.0.retired_on", "", TrustMalformedError),
    ("keys.0.compromised", {}, TrustMalformedError),
    ("keys.0.compromised", [{"origin": 1}], TrustMalformedError),
    ("keys.0.compromised", [{"origin": 0, "good_size": 1}], TrustMalformedError),
    ("keys.0.compromised", [{"origin": 1, "good_size": -1}], TrustMalformedError),
    ("keys.0.compromised", [{"origin": 1, "good_size": 2**63}], TrustMalformedError),
    ("keys.0.compromised", [{"origin": 1, "good_size": 1}] * 2, DuplicateNumberError),
    ("keys.0.compromised", [{"origin": 7, "good_size": 1}], UnknownOriginError),
    ("keys.0.name", 1, TrustMalformedError),
    ("keys.0.name", "a b", TrustMalformedError),
]


@pytest.mark.parametrize(("path", "value", "error"), SHAPE, ids=lambda v: str(v)[:30])
def test_refuses_a_wrong_part(world: TrustData, path: str, value: object, error: type[KeysError]) -> None:
    top = document(world)
    mutate(top, path, value)
    with pytest.raises(error) as caught:
        parse(top)
    assert type(caught.value) is error


SCOPE = [
    ("credential", {"jurisdictions": [1]}, BadScopeError),
    ("credential", {"jurisdictions": [10]}, BadScopeError),
    ("credential", {"jurisdictions": [83]}, BadScopeError),
    ("credential", {"kinds": [0]}, BadScopeError),
    ("credential", {"origins": [0]}, UnknownOriginError),
    ("credential", {"name": "x"}, BadScopeError),
    ("credential", {"issuer": 0}, BadScopeError),
    ("credential", {"issuer": 9}, UnknownIssuerError),
    ("credential", {"valid_from": "2030-01-02", "valid_until": "2030-01-01"}, BadScopeError),
    ("credential", {"alg": -8}, RoleAlgError),
    ("act", {"alg": -8}, RoleAlgError),
    ("status", {"alg": -8}, RoleAlgError),
    ("receipt", {"alg": -19}, RoleAlgError),
    ("checkpoint", {"alg": -8}, RoleAlgError),
    ("witness", {"alg": -8}, RoleAlgError),
    ("checkpoint", {"name": ""}, BadScopeError),
    ("witness", {"name": ""}, BadScopeError),
    ("witness", {"origins": []}, BadScopeError),
    ("receipt", {"origins": []}, BadScopeError),
    ("receipt", {"name": "x"}, BadScopeError),
    ("receipt", {"kinds": [1]}, BadScopeError),
    ("receipt", {"jurisdictions": [0]}, BadScopeError),
    ("receipt", {"issuer": 1}, BadScopeError),
    ("landmark", {"origins": [1, 2]}, BadScopeError),
    ("report", {"issuer": 0}, BadScopeError),
    ("act", {"issuer": 0}, BadScopeError),
]


@pytest.mark.parametrize(("role", "change", "error"), SCOPE, ids=lambda v: str(v)[:40])
def test_refuses_a_scope(world: TrustData, role: str, change: Json, error: type[KeysError]) -> None:
    top = document(world)
    items = [key for key in top["keys"] if key["role"] == role and key["alg"] in (-19, -8)]
    items[0].update(change)
    with pytest.raises(error) as caught:
        parse(top)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("change", "good"),
    [({}, True), ({"kinds": [1]}, False), ({"jurisdictions": [0]}, False), ({"origins": []}, False),
     ({"origins": [1, 2]}, False)],
)  # fmt: skip
def test_a_submit_key_of_issuer_0_names_one_log_and_nothing_else(
    world: TrustData, change: dict[str, Json], good: bool
) -> None:
    top = document(world)
    own: dict[str, Json] = {"role": "submit", "issuer": 0, "kinds": [], "jurisdictions": [], "origins": [1]}
    key_item(top, "report").update({**own, **change})
    if good:
        assert [key.issuer for key in parse(top).keys_of(Role.SUBMIT, 0)] == [0]
    else:
        with pytest.raises(BadScopeError):
            parse(top)


@pytest.mark.parametrize("role", ["checkpoint", "witness"])
def test_notes_are_signed_with_ed25519_only(world: TrustData, make_record: MakeRecord, role: str) -> None:
    top = document(world)
    record = make_record(40, Role.CREDENTIAL, Alg.ESP256)
    spki = base64.b64encode(record.public_key.spki).decode()
    key_item(top, role).update({"kid": record.kid.hex(), "spki": spki, "alg": -9})
    with pytest.raises(RoleAlgError):
        parse(top)


@NEEDS_SM2
@pytest.mark.parametrize("role", list(Role))
def test_sm2_is_for_credentials_alone(world: TrustData, make_record: MakeRecord, role: Role) -> None:
    top = document(world)
    record = make_record(41, Role.CREDENTIAL, Alg.SM2)
    spki = base64.b64encode(record.public_key.spki).decode()
    key_item(top, role.value).update({"kid": record.kid.hex(), "spki": spki, "alg": -66037})
    if role is Role.CREDENTIAL:
        data = parse(top)
        assert data.keys[record.kid].public_key == record.public_key
        assert parse_trust(format_trust(data)) == data
    else:
        with pytest.raises(RoleAlgError):
            parse(top)


def test_weak_keys_are_refused(world: TrustData) -> None:
    top = document(world)
    weak = bytes.fromhex("302a300506032b6570032100") + bytes(32)
    kid = hashlib.sha256(weak).hexdigest()[:16]
    key_item(top, "act").update({"kid": kid, "spki": base64.b64encode(weak).decode()})
    with pytest.raises(TrustMalformedError, match="small order"):
        parse(top)


@pytest.mark.parametrize("role", list(Role))
def test_one_key_never_has_two_records(world: TrustData, role: Role) -> None:
    """Whatever the second record says: another role, another origin, another algorithm number."""
    top = document(world)
    again = dict(key_item(top, role.value))
    for other in ("act", "receipt", "checkpoint", "credential"):
        second = dict(key_item(top, other)) | {k: again[k] for k in ("kid", "spki", "alg")}
        if second["alg"] in (-19, -8):
            second["alg"] = -8 if other == "receipt" else -19
        with pytest.raises(KeySharedError):
            parse({**top, "keys": [*top["keys"], second]})


def test_two_keys_with_one_kid_are_refused(
    world: TrustData, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mingzheng.keys.alg.kid_of_spki", lambda spki: Kid(b"\x11" * 8))
    top = document(dataclasses.replace(world, keys={}))
    records = [make_record(1, Role.ACT), make_record(2, Role.STATUS)]
    top["keys"] = [module._key_json(record) for record in records]
    with pytest.raises(DuplicateKidError):
        parse(top)


@pytest.mark.parametrize(("role", "alg"), [(Role.RECEIPT, Alg.EDDSA), (Role.CHECKPOINT, Alg.ED25519)])
def test_one_receipt_and_one_checkpoint_key_per_origin(
    world: TrustData, make_record: MakeRecord, role: Role, alg: Alg
) -> None:
    name = "log.example/c" if role is Role.CHECKPOINT else ""
    second = make_record(50, role, alg, issuer=0, kinds=frozenset(), jurisdictions=frozenset(), name=name)
    with pytest.raises(OriginKeysError):
        format_trust(with_key(world, second))
    both = dataclasses.replace(second, origins=frozenset({1, 2}))
    with pytest.raises(OriginKeysError):
        format_trust(with_key(world, both))


def test_an_origin_may_lack_keys(world: TrustData) -> None:
    keys = {kid: record for kid, record in world.keys.items() if record.role is not Role.RECEIPT}
    again = parse_trust(format_trust(dataclasses.replace(world, keys=keys)))
    assert again.receipt_key(1) is None


BAD_PREFIXES = [
    "",
    "#",
    "http://a.example/v#",
    "https://a.example/v",
    "https://a.example/v#x",
    "https://a.example/v##",
    "https://a.example/#v#",
    "https://user@a.example/v#",
    "https://a.example/v?x=1#",
    "https://A.example/v#",
    "https://.example/v#",
    "https://a.example./v#",
    "https://a.example:0/v#",
    "https://a.example:123456/v#",
    "https:///v#",
    "HTTPS://a.example/v#",
    " https://a.example/v#",
    "https://a.example/v#\n",
    "https://明.example/v#",
    "https://a.example/明#",
    "https://a.example/%2e#",
    "https://a.example\\v#",
    "https://a.example/" + "v" * 46 + "#",
]


@pytest.mark.parametrize("prefix", BAD_PREFIXES)
def test_refuses_bad_prefixes(world: TrustData, prefix: str) -> None:
    top = document(world)
    top["issuers"][0]["prefixes"] = [prefix]
    with pytest.raises(BadPrefixError):
        parse(top)


GOOD_PREFIXES = ["https://a#", "https://a.example:8443/v#", "https://a/v/w/#", "https://a.example/" + "v" * 45 + "#"]


@pytest.mark.parametrize("prefix", GOOD_PREFIXES)
def test_takes_good_prefixes(world: TrustData, prefix: str) -> None:
    top = document(world)
    top["issuers"][0]["prefixes"] = [prefix]
    assert parse(top).issuers[1].prefixes == (prefix,)


def test_refuses_a_prefix_twice(world: TrustData) -> None:
    top = document(world)
    top["issuers"][0]["prefixes"] = ["https://a.example/v#"] * 2
    with pytest.raises(BadPrefixError, match="begins with another"):
        parse(top)


# --- files -------------------------------------------------------------------------------------------

BAD_NAMES = ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a", "a/.", ".hidden", "a/.b", "A", "a b", "a\\b", "a:b"]
BAD_NAMES += ["a\n", "é", "明", "a\0", "-a", "_a", "a" * 129, "~a"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_refuses_bad_file_names(world: TrustData, name: str) -> None:
    with pytest.raises(BadBlobNameError):
        parse_trust({**format_trust(world), name: b""})


@pytest.mark.parametrize("name", ["a", "a" * 128, "profiles/cn.constructor.1.0.toml", "checkpoints/1", "a/b/c_d-e.f"])
def test_takes_good_file_names(name: str) -> None:
    check_blob_name(name)


def test_refuses_a_file_under_a_file(world: TrustData) -> None:
    with pytest.raises(BadBlobNameError, match="under a file"):
        parse_trust({**format_trust(world), "x": b"", "x/y/z": b""})


@pytest.mark.parametrize("name", ["x/y", "x/y/z", "x/y/z/w"])
def test_refuses_a_file_at_any_depth_under_a_file(world: TrustData, name: str) -> None:
    with pytest.raises(BadBlobNameError, match="under a file"):
        check_files({"x": b"", name: b""})


def test_a_key_may_cover_every_jurisdiction(world: TrustData, make_record: MakeRecord) -> None:
    every = frozenset({0, *range(11, 83)})
    record = make_record(70, Role.CREDENTIAL, jurisdictions=every, compromised={1: 0, 2: 2**63 - 1})
    assert parse_trust(format_trust(with_key(world, record))).keys[record.kid] == record


def test_caps_are_those_of_the_specification() -> None:
    assert (module.MAX_JSON_BYTES, module.MAX_FILE_BYTES, module.MAX_TOTAL_BYTES) == (2**22, 2**24, 2**26)
    assert (module.MAX_FILES, module.MAX_RECORDS, module.MAX_NAME_CHARS) == (4096, 4096, 128)
    assert (module.MAX_PREFIX_CHARS, module.MAX_BLOCK_HEIGHT, module.MAX_NUMBER) == (64, 8, 65535)


def test_caps(world: TrustData, monkeypatch: pytest.MonkeyPatch) -> None:
    files = format_trust(world)
    size = len(files["trust.json"])
    assert size > 64
    parse_trust(files)
    for name, at_cap in (
        ("MAX_FILES", len(files)),
        ("MAX_FILE_BYTES", size),
        ("MAX_JSON_BYTES", size),
        ("MAX_TOTAL_BYTES", sum(map(len, files.values()))),
        ("MAX_RECORDS", len(world.keys)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, at_cap)
            parse_trust(files)
            patch.setattr(module, name, at_cap - 1)
            with pytest.raises(TrustTooLargeError):
                parse_trust(files)


def test_needs_trust_json() -> None:
    with pytest.raises(TrustMalformedError, match=r"trust\.json"):
        parse_trust({})
    for content in (b"", b"[]", b"null", b"{}", b'{"version": 1}', b"\xff", b"[" * 10000):
        with pytest.raises(TrustMalformedError):
            parse_trust({"trust.json": content})


def test_fingerprint_is_that_of_sha256sum(world: TrustData) -> None:
    files = format_trust(world)
    lines = "".join(f"{hashlib.sha256(files[n]).hexdigest()}  {n}\n" for n in sorted(files))
    assert listing(files) == lines.encode()
    assert fingerprint(files) == hashlib.sha256(lines.encode()).hexdigest()
    assert fingerprint(dict(reversed(files.items()))) == fingerprint(files)


def test_fingerprint_sees_every_change(world: TrustData) -> None:
    files = format_trust(world)
    seen = {fingerprint(files)}
    for name in files:
        seen.add(fingerprint({**files, name: files[name] + b"x"}))
        seen.add(fingerprint({n: d for n, d in files.items() if n != name}))
        seen.add(fingerprint({(f"{n}x" if n == name else n): d for n, d in files.items()}))
    assert len(seen) == 1 + 3 * len(files)


# --- writing -----------------------------------------------------------------------------------------


def test_never_writes_what_it_would_not_read(world: TrustData, make_record: MakeRecord) -> None:
    for change, error in (
        ({"generation": 0}, TrustMalformedError),
        ({"made_at": -1}, TrustMalformedError),
        ({"quorum": "\ud800\n"}, TrustMalformedError),
        ({"blobs": {"../x": b""}}, BadBlobNameError),
        ({"issuers": {}}, UnknownIssuerError),
        ({"origins": {}}, UnknownOriginError),
        ({"issuers": {**world.issuers, 3: world.issuers[1]}}, DuplicateNumberError),
    ):
        with pytest.raises(error):
            format_trust(dataclasses.replace(world, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("day", [-(10**6), 10**7, 2**80])
def test_never_writes_a_day_that_is_none(world: TrustData, make_record: MakeRecord, day: int) -> None:
    with pytest.raises(TrustMalformedError):
        format_trust(with_key(world, make_record(60, Role.ACT, valid_from=day)))


def test_never_writes_a_mapping_that_lies(world: TrustData, make_record: MakeRecord) -> None:
    """An issuer under another number than its own would silently move when read back."""
    moved = dataclasses.replace(world, issuers={1: world.issuers[1], 5: world.issuers[2]})
    with pytest.raises(TrustMalformedError, match="read back"):
        format_trust(moved)


@given(st.data())
def test_any_changed_byte_is_refused_or_canonical(data: st.DataObject) -> None:
    files = format_trust(_small())
    raw = bytearray(files["trust.json"])
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_trust({"trust.json": bytes(raw)})
    except KeysError:
        return
    assert parse_trust(format_trust(parsed)) == parsed


@given(st.dictionaries(st.text(max_size=6), st.binary(max_size=30), max_size=3), st.binary(max_size=60))
def test_raises_only_its_own_errors(files: dict[str, bytes], top: bytes) -> None:
    with pytest.raises(KeysError):
        parse_trust({**files, "trust.json": top})


def _small() -> TrustData:
    key = InMemorySigner.from_private_bytes(Alg.ED25519, b"\x01" * 32).public_key
    record = KeyRecord(
        kid=key.kid,
        role=Role.CREDENTIAL,
        public_key=key,
        issuer=1,
        jurisdictions=frozenset({0}),
        kinds=frozenset({1}),
        valid_from=0,
        valid_until=1,
        origins=frozenset(),
    )
    issuer = module.IssuerRecord(number=1, name="甲", name_en="A", bodies={}, prefixes=("https://a/v#",))
    return TrustData(
        generation=1,
        made_at=0,
        issuers={1: issuer},
        origins={},
        keys={key.kid: record},
        quorum=None,
        blobs={},
    )


def test_a_quorum_at_the_cap_and_a_witness_with_an_ml_dsa_key(world: TrustData) -> None:
    """64 witnesses with keys of 1,312 bytes fit; what the text says is another room's to read."""
    key = InMemorySigner.from_private_bytes(Alg.ML_DSA_44, b"\x07" * 32).public_key
    old = next(record for record in world.keys.values() if record.role is Role.WITNESS)
    record = dataclasses.replace(old, kid=key.kid, public_key=key)
    keys = {kid: item for kid, item in world.keys.items() if kid != old.kid} | {key.kid: record}
    data = dataclasses.replace(world, keys=keys, quorum="a" * 131_071 + "\n")
    again = parse_trust(format_trust(data))
    assert again == data
    assert again.keys[key.kid].public_key.raw() == key.raw()
