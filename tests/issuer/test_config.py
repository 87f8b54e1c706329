"""mingzheng.toml of a workspace: read back as written, every fault named by its place."""

import base64
import hashlib
import tomllib
from dataclasses import replace

import pytest
from algs import NEEDS_SM2
from hypothesis import given
from hypothesis import strategies as st
from office import ARCHITECTS, CONSTRUCTORS, ORIGIN

from mingzheng.issuer.config import (
    CREDENTIAL_ALGS,
    MAX_BYTES,
    ClosedOrigin,
    IssuerSpec,
    KeySpec,
    WorkspaceConfig,
    format_config,
    issuer_roles,
    parse_config,
)
from mingzheng.issuer.refusals import ConfigError, OriginUnknownError
from mingzheng.keys.alg import Alg
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import Role


def key(seed: int, role: Role = Role.CREDENTIAL, issuer: int = 1, alg: Alg = Alg.ED25519, first: int = 100) -> KeySpec:
    signer = InMemorySigner.from_private_bytes(alg, bytes([seed]) * 32)
    return KeySpec(
        role=role, issuer=issuer, public_key=signer.public_key, file=f"{seed}.pem", valid_from=first, valid_until=200
    )


CONFIG = WorkspaceConfig(
    demo=True,
    origin=ORIGIN,
    issuers=(CONSTRUCTORS, ARCHITECTS),
    keys=(
        key(1),
        key(2, Role.ACT),
        key(3, Role.CREDENTIAL, 2, Alg.ESP256),
        key(4, Role.RECEIPT, 0, Alg.EDDSA),
        key(5, Role.CHECKPOINT, 0),
        key(6, first=150),
    ),
    defaults={"lang": "en"},
)
TEXT = format_config(CONFIG).decode()


def test_reads_back_what_it_writes() -> None:
    assert parse_config(TEXT.encode()) == CONFIG
    assert format_config(parse_config(TEXT.encode())).decode() == TEXT


@pytest.mark.parametrize("name", ["p256", pytest.param("sm2", marks=NEEDS_SM2)])
def test_an_issuer_chooses_what_signs_its_credentials(name: str) -> None:
    alg = CREDENTIAL_ALGS[name]
    chosen = replace(CONFIG, issuers=(CONSTRUCTORS, replace(ARCHITECTS, credential_alg=alg)), keys=(key(7, alg=alg),))
    text = format_config(chosen).decode()
    assert f'credential_alg = "{name}"' in text
    assert parse_config(text.encode()) == chosen
    assert dict(issuer_roles(chosen.issuers[1]))[Role.CREDENTIAL] is alg
    assert {role for role, other in issuer_roles(chosen.issuers[1]) if other is not Alg.ED25519} == {Role.CREDENTIAL}
    for wrong in ('"ES256"', "-9", '""'):
        with pytest.raises(ConfigError):
            parse_config(text.replace(f'"{name}"', wrong).encode())


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=30)


@given(names, st.dictionaries(st.integers(1, 65535), names, min_size=1, max_size=4))
def test_any_printable_name_survives(name: str, bodies: dict[int, str]) -> None:
    spec = replace(CONSTRUCTORS, name=name, bodies=bodies)
    config = replace(CONFIG, issuers=(spec, ARCHITECTS))
    assert parse_config(format_config(config)) == config


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("version = 1", "version = 2", "workspace.version"),
        ("demo = true", "demo = 1", "workspace.demo"),
        ("demo = true", "demo = true\nmore = 1", "workspace.more"),
        ("block_height = 4", "block_height = 9", "origin.block_height"),
        ('number = 1\nname = "test', 'number = 0\nname = "test', "origin.number"),
        ('name = "test.example/log"', 'name = " test.example/log"', "origin.name"),
        ('name = "test.example/log"', "", "origin.name"),
        ("kinds = [1, 2]", "kinds = [2, 1]", "issuers[0].kinds"),
        ("kinds = [1, 2]", "kinds = [1, 1]", "issuers[0].kinds"),
        ("kinds = [1, 2]", 'kinds = ["1"]', "issuers[0].kinds"),
        ("kinds = [1, 2]", "kinds = []", "issuers 1"),
        ("jurisdictions = [0, 31]", "jurisdictions = [83]", "issuers[0].jurisdictions"),
        ("prefixes = []", "prefixes = [1]", "issuers[0].prefixes"),
        ('1 = "示范省', '01 = "示范省', "issuers[0].bodies.01"),
        ('1 = "示范省', '"x" = "示范省', "issuers[0].bodies.x"),
        ('1 = "示范省', '70000 = "示范省', "issuers[0].bodies.70000"),
        ("number = 2", "number = 1", "issuers"),
        ('role = "act"', 'role = "king"', "keys[1].spki"),
        ('role = "act"', 'role = "act"\nextra = 1', "keys[1].extra"),
        ("alg = -9", "alg = -19", "keys[2].spki"),
        ("alg = -9", "alg = 5", "keys[2].alg"),
        ('valid_from = "1970-04-11"', 'valid_from = "1970-4-11"', "keys[0].valid_from"),
        ('file = "1.pem"', 'file = "../1.pem"', "keys.file"),
        ('role = "receipt"\nissuer = 0', 'role = "receipt"\nissuer = 1', "keys.issuer"),
        ('role = "credential"\nissuer = 1', 'role = "credential"\nissuer = 9', "keys.issuer"),
        ('role = "act"\nissuer = 1', 'role = "act"\nissuer = 0', "keys.issuer"),
        ("[workspace]", "top = 1\n[workspace]", "top"),
        ("[workspace]", "[workspace]\n[[", "mingzheng.toml"),
        ('"lang" = "en"', '"lang" = ""', "defaults.lang"),
        ("jurisdictions = [0, 31]", "jurisdictions = [5]", "issuers 1"),
    ],
)
def test_names_the_place_of_a_fault(old: str, new: str, where: str) -> None:
    assert old in TEXT
    with pytest.raises(ConfigError) as caught:
        parse_config(TEXT.replace(old, new, 1).encode())
    assert caught.value.where == where


@pytest.mark.parametrize(
    "data", [b"\xff", b"workspace = 1", b"issuers = 1", b"[[issuers]]\n[workspace]\nversion = true"]
)
def test_refuses_what_is_no_such_file(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_config(data)


def test_refuses_tables_of_the_wrong_shape() -> None:
    for old, new in (("[[keys]]\n", "[keys]\n"), ("[origin]", "[[origin]]")):
        with pytest.raises(ConfigError):
            parse_config(TEXT.replace(old, new).encode())
    plain = TEXT[: TEXT.index("[[issuers]]")]
    with pytest.raises(ConfigError) as caught:
        parse_config((plain.replace("[workspace]", "keys = [1]\n[workspace]")).encode())
    assert caught.value.where == "keys[0]"


def test_caps_the_size_and_refuses_one_key_twice() -> None:
    with pytest.raises(ConfigError):
        parse_config(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError):
        format_config(replace(CONFIG, keys=(*CONFIG.keys, key(1, Role.STATUS))))


def test_a_workspace_without_issuers_or_keys_can_be_read() -> None:
    config = parse_config(TEXT[: TEXT.index("[[issuers]]")].encode())
    assert (config.issuers, config.keys) == ((), ())


def test_finds_the_newest_key_that_is_valid_on_the_day() -> None:
    assert CONFIG.key_for(Role.CREDENTIAL, 1, 149) == CONFIG.keys[0]
    assert CONFIG.key_for(Role.CREDENTIAL, 1, 150) == CONFIG.keys[5]
    assert CONFIG.key_for(Role.CREDENTIAL, 1, 200) == CONFIG.keys[5]
    assert CONFIG.key_for(Role.CREDENTIAL, 1, 201) is None
    assert CONFIG.key_for(Role.STATUS, 1, 150) is None


def test_gives_trust_records_with_the_issuers_scope_and_the_logs_names() -> None:
    records = CONFIG.key_records()
    credential, receipt, checkpoint = (records[CONFIG.keys[at].kid] for at in (0, 3, 4))
    assert (credential.kinds, credential.jurisdictions) == (frozenset({1, 2}), frozenset({0, 31}))
    assert (receipt.issuer, receipt.kinds, receipt.name) == (0, frozenset(), "")
    assert checkpoint.name == ORIGIN.name
    assert all(record.origins == {ORIGIN.number} for record in records.values())
    assert CONFIG.issuer_records()[2].bodies == {1: "示范注册建筑师管理委员会", 2: "示范主任委员"}
    assert CONFIG.issuer(9) is None


def test_answers_the_log_about_its_keys() -> None:
    act = CONFIG.keys[1]
    assert CONFIG.record(act.kid) == CONFIG.key_records()[act.kid]
    assert CONFIG.record(Kid(bytes(8))) is None
    assert CONFIG.may_name(1, ORIGIN.number)
    assert not CONFIG.may_name(1, ORIGIN.number + 1)


def test_tells_the_log_from_which_day_on_it_takes_two_persons() -> None:
    out = replace(key(7, Role.OPERATOR, first=150), retired_on=160, good_size=0, operator="甲")
    config = replace(CONFIG, keys=(*CONFIG.keys, out, replace(key(8, Role.OPERATOR, first=200), operator="乙")))
    assert parse_config(format_config(config)) == config
    assert [config.needs_two(1, day) for day in (149, 150, 161, 10_000)] == [False, True, True, True]
    assert not config.needs_two(2, 200)
    assert not CONFIG.needs_two(1, 200)
    assert config.key_records()[out.kid].role is Role.OPERATOR


def test_holds_no_private_key() -> None:
    table = tomllib.loads(TEXT)
    for entry in table["keys"]:
        spki = base64.b64decode(entry["spki"])
        assert len(spki) in (44, 91)
        assert set(entry) == {"role", "issuer", "alg", "spki", "file", "valid_from", "valid_until"}


def test_issuer_specs_are_values() -> None:
    assert replace(CONSTRUCTORS, number=1) == CONSTRUCTORS
    assert isinstance(CONSTRUCTORS, IssuerSpec)


# --- the logs of a workspace (docs/spec/storage.md)

ROLLED = replace(
    CONFIG,
    origin=replace(ORIGIN, number=3, name="test.example/log-3"),
    closed=(
        ClosedOrigin(origin=ORIGIN, size=40),
        ClosedOrigin(origin=replace(ORIGIN, number=2, name="test.example/log-2"), size=9),
    ),
    following=replace(ORIGIN, number=7, name="test.example/log-7"),
    keys=(
        replace(key(1), good_size=5, good_origin=2),
        replace(key(2, Role.ACT), good_size=6),
        key(4, Role.RECEIPT, 0, Alg.EDDSA),
        key(5, Role.CHECKPOINT, 0),
        *(replace(key(10 + n, Role.RECEIPT, 0, Alg.EDDSA), origin=n) for n in (2, 3, 7)),
        *(replace(key(20 + n, Role.CHECKPOINT, 0), origin=n) for n in (2, 3, 7)),
    ),
)
ROLLED_TEXT = format_config(ROLLED).decode()


# SHA-256 of this file as the program wrote it that knew one log
BEFORE = "29feb7ac3603b13cf5c524d7b5f0d737ffc9c4d67a679a040da2e61139433b7a"


def test_the_file_of_a_workspace_with_one_log_is_as_it_always_was() -> None:
    assert hashlib.sha256(TEXT.encode()).hexdigest() == BEFORE
    tables = TEXT.split("\n\n")
    assert tables[1] == '[origin]\nnumber = 1\nname = "test.example/log"\nblock_height = 4'
    assert tables[2].startswith("[defaults]\n")
    for word in ("closed_origins", "next_origin", "\norigin = ", "good_origin", "size = "):
        assert word not in TEXT
    assert [line.split(" = ")[0] for line in tables[-3].splitlines()] == [
        *("[[keys]]", "role", "issuer", "alg", "spki", "file", "valid_from", "valid_until")
    ]


def test_several_logs_are_read_back() -> None:
    assert parse_config(ROLLED_TEXT.encode()) == ROLLED
    assert [ROLLED.shard, [ROLLED.shard_of(number) for number in (1, 2, 3)]] == [2, [0, 1, 2]]
    assert sorted(ROLLED.origins) == [1, 2, 3, 7]
    for number in (0, 4, 7):
        with pytest.raises(OriginUnknownError):
            ROLLED.shard_of(number)


def test_keys_are_of_their_own_log_or_of_all() -> None:
    records = ROLLED.key_records()
    for spec in ROLLED.keys:
        record = records[spec.kid]
        assert record.origins == ({1, 2, 3, 7} if spec.issuer else {spec.origin or 1})
        if spec.role is Role.CHECKPOINT:
            assert record.name == ROLLED.origins[spec.origin or 1].name
    assert [records[spec.kid].compromised for spec in ROLLED.keys[:3]] == [{1: 40, 2: 5}, {1: 6}, None]
    found = ROLLED.key_for(Role.RECEIPT, 0, 150)
    assert found is not None
    assert found.origin == 3  # the log that is written to
    assert [ROLLED.may_name(1, number) for number in (1, 2, 3, 4, 7)] == [True, True, True, False, True]
    assert ROLLED.log_key(Role.LANDMARK, 3) is None


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("number = 2\n", "number = 1\n", "origin"),
        ("number = 2\n", "number = 3\n", "origin"),
        ("number = 3\n", "number = 8\n", "origin"),
        ("number = 7\n", "number = 3\n", "origin"),
        ('name = "test.example/log-2"', 'name = "test.example/log"', "origin"),
        ('name = "test.example/log-7"', 'name = "test.example/log-3"', "origin"),
        ("size = 40", "size = 0", "closed_origins[0].size"),
        ("size = 40\n", "", "closed_origins[0].size"),
        ("size = 40\n", "size = 40\nroot = 1\n", "closed_origins[0].root"),
        ("[next_origin]\n", "[next_origin]\nsize = 1\n", "next_origin.size"),
        ("origin = 7\n", "origin = 6\n", "keys.origin"),
        ("issuer = 0\norigin = 2\n", "issuer = 0\norigin = 1\n", "keys.origin"),
        ("issuer = 1\n", "issuer = 1\norigin = 2\n", "keys.origin"),
        ("good_origin = 2", "good_origin = 1", "keys.good_origin"),
        ("good_origin = 2", "good_origin = 7", "keys.good_origin"),
        ("good_size = 5\n", "", "keys.good_origin"),
        ("issuer = 0\norigin = 2\n", "issuer = 0\norigin = 2\ngood_size = 0\ngood_origin = 2\n", "keys.good_origin"),
        ("good_origin = 2", "good_origin = 0", "keys[0].good_origin"),
    ],
)
def test_names_the_place_of_a_fault_in_several_logs(old: str, new: str, where: str) -> None:
    assert old in ROLLED_TEXT
    with pytest.raises(ConfigError) as caught:
        parse_config(ROLLED_TEXT.replace(old, new, 1).encode())
    assert caught.value.where == where
