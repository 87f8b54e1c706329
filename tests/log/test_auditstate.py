"""What an audit keeps of its own work: read back as it was, or refused whole."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logworld import CREDENTIAL, DAY, NAME, issue, rounded, trust

from mingzheng.keys.trust import Role
from mingzheng.log import auditstate as auditstate_module
from mingzheng.log.alarms import Alarm
from mingzheng.log.auditstate import (
    MAGIC,
    Losses,
    Progress,
    ProgressError,
    dump_check,
    format_progress,
    load_check,
    parse_progress,
    rules_digest,
)
from mingzheng.log.book import Book, IssuerBook
from mingzheng.log.densestates import DenseStates
from mingzheng.log.hashing import Hash
from mingzheng.log.patterns import BurstLimit, Bursts
from mingzheng.log.rulecheck import RuleCheck


def _check() -> RuleCheck:
    return RuleCheck(Book(origin=7, origin_name=NAME, keys=None), lambda _size: None)


def _judged() -> RuleCheck:
    check = _check()
    for index, data in enumerate(rounded([issue(0), issue(70_000)], [issue(2), issue(3)])):
        assert list(check.take(index, data)) == []
    return check


def _progress(**changes: Any) -> Progress:
    values: dict[str, Any] = {
        "position": 8,
        "root": Hash(bytes(32)),
        "rules": bytes(32),
        "alarms": (Alarm(code="audit.gap", index=None, detail="张", evidence={"a": 1, "b": "c"}),),
        "losses": Losses(upto=8, found={(1, CREDENTIAL.public_key.kid, 4): (2, 7)}),
        "filed": {"audit.gap@None": "0000.json"},
        "judged": dump_check(_judged()),
    }
    return Progress(**{**values, **changes})


def test_progress_reads_back() -> None:
    again = parse_progress(format_progress(_progress()))
    check = _check()
    load_check(check, again.judged)
    assert format_progress(again) == format_progress(_progress())
    assert dump_check(check) == dump_check(_judged())
    assert dict(check.book.issuers[1].states) == {0: 1, 2: 1, 3: 1, 70_000: 1}


def test_an_issuer_of_notices_alone_is_kept() -> None:
    check = _check()
    check.book.issuers[5] = IssuerBook(states={3: 2}, next_notice=7)
    again = _check()
    load_check(again, dump_check(check))
    assert again.book.issuers[5].next_notice == 7
    assert dict(again.book.issuers[5].states) == {3: 2}


def _packed(plain: bytes) -> bytes:
    body = zlib.compress(plain)
    return MAGIC + hashlib.sha256(body).digest() + body


@pytest.mark.parametrize(
    "data",
    [b"", MAGIC, MAGIC + bytes(32), _packed(b""), _packed(b"{}"), _packed(b"[" * 100_000), _packed(b"[1]"),
     _packed(b'{"position": "x"}'), MAGIC + hashlib.sha256(b"no zlib").digest() + b"no zlib"],
)  # fmt: skip
def test_bytes_that_are_no_progress_are_refused(data: bytes) -> None:
    with pytest.raises(ProgressError):
        parse_progress(data)


def test_a_body_under_another_checksum_is_refused() -> None:
    """A whole body of this program, but not the one that the checksum was made for."""
    start = len(MAGIC) + 32
    mine, other = format_progress(_progress()), format_progress(_progress(position=6))
    assert parse_progress(other).position == 6
    with pytest.raises(ProgressError):
        parse_progress(mine[:start] + other[start:])


def test_bytes_behind_the_end_are_refused() -> None:
    body = zlib.compress(b"{}") + b"x"
    with pytest.raises(ProgressError):
        parse_progress(MAGIC + hashlib.sha256(body).digest() + body)


BAD: dict[str, Callable[[dict[str, Any]], object]] = {
    "no issuers": lambda value: value.pop("issuers"),
    "issuers is a list": lambda value: value.update(issuers=[1]),
    "an issuer is short": lambda value: value["issuers"].update({"1": [0]}),
    "states are no zlib": lambda value: value["issuers"]["1"].__setitem__(6, "AAAA"),
    "states are no base64": lambda value: value["issuers"]["1"].__setitem__(6, "!"),
    "states are cut": lambda value: value["issuers"]["1"].__setitem__(7, 5),
    "a kid is no hex": lambda value: value.update(retired=[[1, "zz", 3]]),
    "no chain": lambda value: value.update(chain=[]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_taken_up_is_refused(case: str) -> None:
    value = dump_check(_judged())
    BAD[case](value)
    with pytest.raises(ProgressError):
        load_check(_check(), value)


def test_the_digest_names_the_rules() -> None:
    limit = BurstLimit(kind=1, most=2, window="day")
    digests = {
        rules_digest(trust(), number=number, name=name, height=height, limits=limits)
        for number, name, height, limits in (
            (7, NAME, 4, ()),
            (8, NAME, 4, ()),
            (7, "x", 4, ()),
            (7, NAME, 5, ()),
            (7, NAME, 4, (limit,)),
        )
    }
    assert len(digests) == 5


def test_progress_of_other_rules_of_the_program_is_not_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def digest() -> bytes:
        return rules_digest(trust(), number=7, name=NAME, height=4, limits=())

    before = digest()
    monkeypatch.setattr(auditstate_module, "RULES_VERSION", auditstate_module.RULES_VERSION + 1)
    assert digest() != before


@pytest.mark.parametrize(
    "change",
    [{"role": Role.ACT}, {"issuer": 2}, {"kinds": frozenset({1})}, {"valid_from": DAY}, {"valid_until": DAY},
     {"origins": frozenset({7, 8})}, {"retired_on": DAY}, {"compromised": {}}, {"compromised": {7: 1}}],
    ids=str,
)  # fmt: skip
def test_any_change_of_a_key_is_another_judgement(change: dict[str, Any]) -> None:
    data, kid = trust(), CREDENTIAL.public_key.kid
    other = replace(data, keys={**data.keys, kid: replace(data.keys[kid], **change)})
    one, two = (rules_digest(item, number=7, name=NAME, height=4, limits=()) for item in (data, other))
    assert one != two


def test_old_windows_are_forgotten() -> None:
    bursts = Bursts([BurstLimit(kind=None, most=10**6, window="hour")])
    for hour in range(5_000):
        assert list(bursts.take(hour * 3_600, [(hour, 1, 1)])) == []
    assert len(bursts._counts) < 4_100


@given(st.sets(st.one_of(st.integers(0, 60), st.integers(60_000, 80_000)), max_size=20), st.integers(0, 80_100))
def test_gaps_are_what_is_not_there(named: set[int], end: int) -> None:
    states = DenseStates()
    for serial in named:
        states[serial] = 1
    count, ranges = states.gaps(end, most=100)
    missing = [serial for serial in range(end) if serial not in named]
    assert count == len(missing)
    assert [serial for first, last in ranges for serial in range(first, last + 1)] == missing
    assert len(states) == len(named)
    again = DenseStates.load(*states.dump())
    assert dict(again) == dict(states)
