"""Codes, order, policy table, messages and document: one set, one order, everywhere."""

import itertools
import json
import re
from pathlib import Path

import pytest

from mingzheng.verifier.errors import SettingError, TableError
from mingzheng.verifier.findings import (
    DERIVED,
    FINDINGS,
    ORDER_AT_DATE,
    ORDER_BY_CLOCK,
    PASSING,
    RESERVED,
    UNDECIDED,
    VERDICTS,
    Code,
    Freshness,
    Severity,
    verdict_of,
)
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.messages import parse_messages
from mingzheng.verifier.policy import MUST_BLOCK, POLICY_NAMES, parse_policies, select_policy

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = (ROOT / "docs" / "spec" / "verdicts.md").read_text(encoding="utf-8")
POLICIES = (ROOT / "verifier" / "policies.json").read_bytes()
MESSAGES = (ROOT / "verifier" / "messages.json").read_bytes()

# DESIGN's order, written out a second time on purpose.
ORDER = [
    *("UNREADABLE", "NOT_OUR_FORMAT", "RESOURCE_LIMIT", "AMBIGUOUS"),
    *("FORGED", "KEY_OUT_OF_SCOPE", "KEY_COMPROMISED", "UNKNOWN_ISSUER", "RECEIPT_INVALID"),
    *("SEAL_INVALID", "SEAL_MISSING", "SEAL_WRONG_BODY", "FILE_CHANGED", "PAGE_MISMATCH"),
    *("REVOKED", "VOID", "NOT_LOGGED", "SUSPENDED", "SUPERSEDED"),
    *("FORM_RETIRED", "REGISTRATION_EXPIRED", "SPECIALTY_EXPIRED", "USAGE_EXPIRED"),
    *("CLOCK_SUSPECT", "NOT_YET_VALID", "NOT_A_USAGE_COPY", "PURPOSE_MISMATCH"),
    *("STALE", "CANNOT_DECIDE", "VALID_COMPARE", "VALID"),
]


# --- order


def test_order_is_the_documented_one() -> None:
    assert [code.value for code in ORDER_BY_CLOCK] == ORDER
    moved = [name for name in ORDER if name != "CLOCK_SUSPECT"]
    moved.insert(moved.index("STALE"), "CLOCK_SUSPECT")
    assert [code.value for code in ORDER_AT_DATE] == moved
    line = next(text for text in DOCUMENT.splitlines() if text.startswith("`UNREADABLE` →"))
    assert re.findall(r"`(\w+)`", line) == ORDER


def test_code_spelling_is_its_name() -> None:
    assert all(code.value == code.name for code in Code)
    assert set(Code) == FINDINGS | DERIVED
    assert PASSING <= VERDICTS
    assert UNDECIDED <= VERDICTS
    assert not FINDINGS & PASSING


@pytest.mark.parametrize("at_given", [False, True])
def test_verdict_is_the_first_blocking_one(at_given: bool) -> None:
    order = ORDER_AT_DATE if at_given else ORDER_BY_CLOCK
    assert verdict_of(frozenset(), at_given=at_given, compared=False) is Code.VALID_COMPARE
    assert verdict_of(frozenset(), at_given=at_given, compared=True) is Code.VALID
    for one, other in itertools.product(FINDINGS, FINDINGS):
        verdicts = {code if code in VERDICTS else Code.CANNOT_DECIDE for code in (one, other)}
        expected = min(verdicts, key=order.index)
        for compared in (False, True):
            assert verdict_of(frozenset({one, other}), at_given=at_given, compared=compared) is expected
        assert expected not in PASSING


# --- tables


def test_tables_document_and_enumeration_agree() -> None:
    messages, policies = load_messages(), load_policies()
    rows = {}
    for line in DOCUMENT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and cells[0].strip("`") in set(Code):
            rows[Code(cells[0].strip("`"))] = cells[1:]
    assert set(rows) == set(Code)
    for code, cells in rows.items():
        message = messages.of(code)
        severities = [policies[name].severity(code).value if code in FINDINGS else "–" for name in POLICY_NAMES]
        assert cells == [*severities, message.zh, message.en, message.rule]


def test_document_names_the_reserved_codes() -> None:
    last = DOCUMENT.split("## Reserved")[1]
    assert set(re.findall(r"`(\w+)`", last)) == {code.value for code in RESERVED}


def test_rules_name_documents_and_sections_that_exist() -> None:
    for code in Code:
        for part in load_messages().of(code).rule.split("; "):
            name, _, section = part.partition(" §")
            text = (ROOT / name).read_text(encoding="utf-8").lower()
            word = section.split(" ")[0].lower()
            assert not word or re.search(rf"^## {word}", text, flags=re.MULTILINE), f"{code}: {part}"


def test_every_code_has_one_sentence_in_each_language_that_says_what_to_do() -> None:
    for code in Code:
        message = load_messages().of(code)
        assert re.fullmatch(r"[^。]*[\u4e00-\u9fff][^。]*。", message.zh), code
        assert re.fullmatch(r"[A-Z][^.]*\.", message.en), code
        assert not re.search(r"[\u4e00-\u9fff]", message.en + message.title_en), code
        assert len(message.zh) <= 60
        assert len(message.title_zh) <= 14


def test_policies_say_what_the_design_says() -> None:
    policies = load_policies()
    assert list(policies) == ["site", "bid", "audit"]
    blocks = {
        code: [name for name in POLICY_NAMES if policies[name].severity(code) is Severity.BLOCKS] for code in FINDINGS
    }
    assert blocks[Code.NOT_A_USAGE_COPY] == ["bid"]
    for code in (Code.TRUST_UNSIGNED, Code.LOG_WORD_ONLY, Code.PAGE_NOT_COMPARED, Code.WINDOW_TOO_LONG):
        assert blocks[code] == ["bid", "audit"]
    for code in VERDICTS & FINDINGS - {Code.NOT_A_USAGE_COPY}:
        assert blocks[code] == ["site", "bid", "audit"]
    assert blocks[Code.LOG_UNWITNESSED] == []
    assert {code for code, names in blocks.items() if names == list(POLICY_NAMES)} == MUST_BLOCK


@pytest.mark.parametrize(
    ("name", "age", "left", "expected"),
    [
        ("site", 86_400, -1, Freshness.FRESH),
        ("site", 86_401, 1, Freshness.AGED),
        ("site", 604_801, 1, Freshness.STALE),
        ("bid", 86_400, -1, Freshness.FRESH),
        ("bid", 86_401, 1, Freshness.STALE),
        ("audit", 99_999, 0, Freshness.AGED),
        ("audit", 1, -1, Freshness.STALE),
        ("audit", -5, 1, Freshness.FRESH),
    ],
)
def test_freshness(name: str, age: int, left: int, expected: Freshness) -> None:
    policy = load_policies()[name]
    assert policy.freshness(now=1_000_000, this_update=1_000_000 - age, next_update=1_000_000 + left) is expected


def test_unknown_policy_is_a_setting_error() -> None:
    assert select_policy(load_policies(), "bid").name == "bid"
    with pytest.raises(SettingError):
        select_policy(load_policies(), "lenient")


# --- hostile tables


def _broken(data: bytes, *path: str, value: object) -> bytes:
    document = json.loads(data)
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize("code", sorted(MUST_BLOCK))
@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_no_table_may_let_a_false_certificate_pass(code: Code, policy: str) -> None:
    with pytest.raises(TableError, match="must block"):
        parse_policies(_broken(POLICIES, "table", code, policy, value="note"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        POLICIES.replace(b'"schema": 1', b'"schema": 1.0'),
        POLICIES.replace(b'"schema": 1', b'"schema": 2'),
        POLICIES.replace(b'"schema": 1,', b'"schema": 1, "schema": 1,'),
        _broken(POLICIES, "table", "FORGED", value=None),
        _broken(POLICIES, "table", "VALID", value={"site": "note", "bid": "note", "audit": "note"}),
        _broken(POLICIES, "table", "SEAL_ABSENT", "site", value="maybe"),
        _broken(POLICIES, "table", "SEAL_ABSENT", "site", value=1),
        _broken(POLICIES, "policies", "site", value=None),
        _broken(POLICIES, "policies", "lenient", value={}),
        _broken(POLICIES, "policies", "site", "stale", value="never"),
        _broken(POLICIES, "policies", "site", "stale_seconds", value=0),
        _broken(POLICIES, "policies", "audit", "stale_seconds", value=5),
        _broken(POLICIES, "policies", "site", "fresh_seconds", value=-1),
        _broken(POLICIES, "policies", "site", "name_zh", value=" "),
    ],
)
def test_policies_are_read_strictly(data: bytes) -> None:
    with pytest.raises(TableError):
        parse_policies(data)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        _broken(MESSAGES, "codes", "FORGED", value=None),
        _broken(MESSAGES, "codes", "NEW_CODE", value={}),
        _broken(MESSAGES, "codes", "FORGED", "zh", value="\u202e"),
        _broken(MESSAGES, "codes", "FORGED", "en", value=None),
        _broken(MESSAGES, "evidence", value=[]),
        _broken(MESSAGES, "evidence", value={str(number): {"zh": "x", "en": "x"} for number in range(501)}),
        _broken(MESSAGES, "evidence", "serial", value={"zh": "x"}),
        _broken(MESSAGES, "reasons", value=None),
    ],
)
def test_messages_are_read_strictly(data: bytes) -> None:
    with pytest.raises(TableError):
        parse_messages(data)
