"""Charges that do not hold: every claim with entries that do not prove it, files that are not well-formed."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from logworld import (
    ACT,
    CREDENTIAL,
    DAY,
    IDENTITY,
    NAME,
    NOW,
    ORIGIN_KEYS,
    STATUS,
    act,
    issue,
    key_event,
    notice,
    rounded,
    trust,
    write_log,
)

from mingzheng.keys.trust import TrustData
from mingzheng.log import gather as gather_module
from mingzheng.log.acts import ActType
from mingzheng.log.alarms import Alarm
from mingzheng.log.charge import Charge, can_be_charged
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.entry import KeyEventType, TimeEntry, encode_entry
from mingzheng.log.evidence import MAX_STRETCHES, EvidenceError, check_evidence, format_evidence, parse_evidence
from mingzheng.log.gather import Gatherer, TooLongError
from mingzheng.log.hashing import Hash
from mingzheng.log.patterns import BurstError, BurstLimit, parse_burst
from mingzheng.log.stretch import Stretch, build_stretch

KID = CREDENTIAL.public_key.kid
LIMIT = BurstLimit(kind=1, most=1, window="day")


class _Shown:
    """A log of these entries, and charges about it."""

    def __init__(self, root: Path, entries: Sequence[bytes]) -> None:
        write_log(root, entries)
        self.entries = entries
        self.reader = LogReader(DirectoryFetcher(root), ORIGIN_KEYS.vkey)

    def charge(self, claim: str, index: int, *shown: int, limit: BurstLimit | None = None) -> Charge:
        size = self.reader.checkpoint().size
        stretches = tuple(
            build_stretch(at, self.entries[at : at + 1], size, self.reader.node) for at in (index, *shown)
        )
        return Charge(claim=claim, index=index, note=self.reader.note(), stretches=stretches, limit=limit)


def _check(charge: Charge, data: TrustData | None = None) -> str:
    again = parse_evidence(format_evidence(charge))
    assert again == charge
    return check_evidence(again, vkey=IDENTITY.vkey(), origin=NAME, trust=data)


TIME = encode_entry(TimeEntry(seconds=NOW))
LATER = encode_entry(TimeEntry(seconds=NOW + 3 * 86_400))
LOST = key_event(0, KeyEventType.COMPROMISED, KID, 1)
FORGED_LOSS = LOST[:-1] + bytes([LOST[-1] ^ 1])

# entries, claim, index, others shown, whether it holds
CASES: dict[str, tuple[list[bytes], str, int, tuple[int, ...], bool]] = {
    "dated back": ([issue(0, day=DAY - 2), TIME], "audit.backdated", 0, (1,), True),
    "dated right": ([issue(0, day=DAY - 1), TIME], "audit.backdated", 0, (1,), False),
    "no time shown": ([issue(0, day=DAY - 2), TIME], "audit.backdated", 0, (), False),
    "a time before, later than the day": ([LATER, issue(0)], "audit.backdated", 1, (0,), True),
    "a time after, but not the round's": ([issue(0), TIME, LATER, LATER], "audit.backdated", 0, (2,), False),
    "an old time before, as it should be": ([TIME, issue(0, day=DAY + 3)], "audit.backdated", 1, (0,), False),
    "between not shown": ([issue(0, day=DAY - 2), issue(1), TIME], "audit.backdated", 0, (2,), False),
    "all between shown": ([issue(0, day=DAY - 2), issue(1), TIME], "audit.backdated", 0, (1, 2), True),
    "dated ahead": ([issue(0, day=DAY + 2), issue(1), TIME], "audit.backdated", 0, (2,), True),
    "garbage between": ([issue(0, day=DAY - 2), b"\xff", TIME], "audit.backdated", 0, (1, 2), True),
    "an act is not dated back": ([act(0, ActType.REVOKE, [0]), LATER], "audit.backdated", 0, (1,), False),
    "garbage is not dated back": ([b"\xff", LATER], "audit.backdated", 0, (1,), False),
    "time goes back": ([LATER, TIME], "audit.time_backwards", 1, (0,), True),
    "time goes on": ([TIME, LATER], "audit.time_backwards", 1, (0,), False),
    "time after it": ([TIME, LATER], "audit.time_backwards", 0, (1,), False),
    "not a time": ([LATER, issue(0)], "audit.time_backwards", 1, (0,), False),
    "lost by an event": ([issue(0), LOST, issue(1)], "audit.compromised_key_used", 2, (1,), True),
    "below the good size": ([issue(0), LOST], "audit.compromised_key_used", 0, (1,), False),
    "a forged event": ([issue(0), FORGED_LOSS, issue(1)], "audit.compromised_key_used", 2, (1,), False),
    "no event shown": ([issue(0), LOST, issue(1)], "audit.compromised_key_used", 2, (), False),
    "another's key": ([LOST, act(1, ActType.REVOKE, [0])], "audit.compromised_key_used", 1, (0,), False),
    "an entry of no key": ([LOST, TIME], "audit.compromised_key_used", 1, (0,), False),
    "an event of retirement": (
        [key_event(0, KeyEventType.RETIRED, KID), issue(1)], "audit.compromised_key_used", 1, (0,), False),
    "a burst": ([issue(0), issue(1), TIME], "audit.burst", 1, (0, 2), True),
    "no burst": ([issue(0), issue(1, kind=2), TIME], "audit.burst", 0, (1, 2), False),
    "two issuers are no burst": ([issue(0), issue(0, issuer=2), TIME], "audit.burst", 0, (1, 2), False),
    "a kind without that limit": ([issue(0, kind=2), issue(1, kind=2), TIME], "audit.burst", 0, (1, 2), False),
    "a burst without its time": ([issue(0), issue(1), TIME], "audit.burst", 1, (0,), False),
    "a burst with a hole": ([issue(0), issue(1), issue(2), TIME], "audit.burst", 0, (2, 3), False),
    "a burst over two days": ([issue(0), TIME, issue(1), LATER], "audit.burst", 2, (0, 1, 3), False),
    "a burst of acts": ([act(0, ActType.REVOKE, [0]), TIME], "audit.burst", 0, (1,), False),
    "a forged act": ([act(0, ActType.REVOKE, [0], key=STATUS)], "rule.act_signature", 0, (), True),
    "a signed act": ([act(0, ActType.REVOKE, [0])], "rule.act_signature", 0, (), False),
    "an unknown key": ([issue(0, kid=ACT.public_key.kid)], "rule.unknown_key", 0, (), True),
    "a known key": ([issue(0)], "rule.unknown_key", 0, (), False),
    "a kind out of scope": ([issue(0, kind=999)], "rule.key_kind", 0, (), True),
    "a day out of scope": ([issue(0, day=DAY + 2_000)], "rule.key_day", 0, (), True),
    "no request": ([act(0, ActType.REVOKE, [0])], "rule.one_person", 0, (), False),
    "a malformed body": ([notice(0, body=b"notice")], "rule.notice_body", 0, (), True),
    "a body": ([notice(0)], "rule.notice_body", 0, (), False),
    "a notice number needs those before": ([notice(0, 2)], "rule.notice_number", 0, (), False),
    "a malformed entry": ([b"\xff"], "entry.malformed", 0, (), True),
    "another fault": ([b"\xff"], "entry.unknown_type", 0, (), False),
    "a sound entry": ([issue(0)], "entry.malformed", 0, (), False),
    "no such claim": ([issue(0)], "audit.gap", 0, (), False),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_claim_holds_or_not(tmp_path: Path, case: str) -> None:
    entries, claim, index, shown, holds = CASES[case]
    charge = _Shown(tmp_path / "log", entries).charge(claim, index, *shown, limit=LIMIT)
    if holds:
        assert can_be_charged(claim)
        assert _check(charge, trust()) == claim
    else:
        with pytest.raises(EvidenceError):
            _check(charge, trust())


def test_trust_data_that_call_a_key_lost_are_enough(tmp_path: Path) -> None:
    shown = _Shown(tmp_path / "log", [issue(0), issue(1)])
    data = trust()
    keys = {**data.keys, KID: replace(data.keys[KID], compromised={7: 1})}
    assert _check(shown.charge("audit.compromised_key_used", 1), replace(data, keys=keys))
    with pytest.raises(EvidenceError):
        _check(shown.charge("audit.compromised_key_used", 0), replace(data, keys=keys))
    keys = {**data.keys, KID: replace(data.keys[KID], compromised={7: 1}, issuer=2)}  # another issuer's key was lost
    with pytest.raises(EvidenceError):
        _check(shown.charge("audit.compromised_key_used", 1), replace(data, keys=keys))


def test_a_void_by_one_person_is_proved_with_the_issue_of_what_it_voids(tmp_path: Path) -> None:
    void, data = act(0, ActType.VOID, [1, 5]), trust(operators=2)
    entries = [issue(0), issue(1), issue(5, issuer=2), void, issue(5)]
    shown = _Shown(tmp_path / "log", entries)
    assert _check(shown.charge("rule.one_person", 3, 1), data) == "rule.one_person"
    with pytest.raises(EvidenceError):  # no operators: one person may
        _check(shown.charge("rule.one_person", 3, 1), trust())
    for others in ((), (0,), (2,), (4,)):  # nothing, another serial, another issuer's, one that came after
        with pytest.raises(EvidenceError):
            _check(shown.charge("rule.one_person", 3, *others), data)


def test_the_issue_of_what_was_voided_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    void = act(0, ActType.VOID, [300])
    shown = _Shown(
        tmp_path / "log", [issue(serial) for serial in range(3)] + [issue(300), b"\xff", *[TIME] * 300, void]
    )
    gatherer, alarm = Gatherer(shown.reader, {}), Alarm(code="rule.one_person", index=305, detail="")
    charge = gatherer.charge(alarm)
    assert charge is not None
    assert [stretch.start for stretch in charge.stretches] == [3, 305]
    assert _check(charge, trust(operators=2)) == "rule.one_person"
    monkeypatch.setattr(gather_module, "MAX_ENTRIES", 40)
    with pytest.raises(TooLongError):
        gatherer.charge(alarm)
    before = _Shown(tmp_path / "after", [issue(1), void])  # issued in the log before this one: nothing to show here
    assert Gatherer(before.reader, {}).charge(replace(alarm, index=1)) is None


@pytest.mark.parametrize("data", [None, replace(trust(), origins={})])
def test_claims_about_keys_need_trust_data_that_name_the_log(tmp_path: Path, data: TrustData | None) -> None:
    shown = _Shown(tmp_path / "log", [issue(0, kind=999), LOST, issue(1)])
    for charge in (shown.charge("rule.key_kind", 0), shown.charge("audit.compromised_key_used", 2, 1)):
        with pytest.raises(EvidenceError, match="trust data"):
            _check(charge, data)


def test_a_burst_needs_its_limit_and_stretches_the_signed_tree(tmp_path: Path) -> None:
    shown = _Shown(tmp_path / "log", [issue(0), issue(1), TIME])
    good = shown.charge("audit.burst", 1, 0, 2, limit=LIMIT)
    other = _Shown(tmp_path / "other", [issue(5), issue(6), TIME]).charge("audit.burst", 1, 0, 2, limit=LIMIT)
    wrong = [
        replace(good, limit=None),
        replace(good, index=7),
        replace(good, stretches=()),
        replace(good, stretches=other.stretches),
        replace(good, note=other.note[:-5] + b"AAA=\n"),
        replace(good, stretches=(replace(good.stretches[0], right=()),)),
        replace(good, stretches=(replace(good.stretches[0], left=(Hash(b"x"),)), *good.stretches[1:])),
    ]
    assert _check(good) == "audit.burst"
    for charge in wrong:
        with pytest.raises(EvidenceError):
            check_evidence(charge, vkey=IDENTITY.vkey(), origin=NAME, trust=trust())


def _values(charge: Charge) -> dict[str, object]:
    value = json.loads(format_evidence(charge))
    assert isinstance(value, dict)
    return value


BAD: dict[str, Callable[[dict[str, object]], object]] = {
    "no claim": lambda value: value.pop("claim"),
    "index is text": lambda value: value.update(index="1"),
    "no stretches": lambda value: value.pop("stretches"),
    "too many stretches": lambda value: value.update(stretches=[{}] * (MAX_STRETCHES + 1)),
    "a stretch is a number": lambda value: value.update(stretches=[1]),
    "a stretch without start": lambda value: value.update(stretches=[{"entries": [], "left": [], "right": []}]),
    "entries are numbers": lambda value: value.update(
        stretches=[{"start": 0, "entries": [1], "left": [], "right": []}]
    ),
    "no base64": lambda value: value.update(stretches=[{"start": 0, "entries": ["!"], "left": [], "right": []}]),
    "no hashes": lambda value: value.update(stretches=[{"start": 0, "entries": [], "left": None, "right": []}]),
    "a bad limit": lambda value: value.update(limit="many"),
    "no note": lambda value: value.pop("note"),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_are_not_well_formed_prove_nothing(tmp_path: Path, case: str) -> None:
    value = _values(_Shown(tmp_path / "log", [b"\xff"]).charge("entry.malformed", 0))
    BAD[case](value)
    with pytest.raises(EvidenceError):
        parse_evidence(json.dumps(value).encode())


def test_evidence_too_large_for_a_file_is_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _Shown(tmp_path / "log", rounded([issue(0, day=DAY - 2), *(issue(at) for at in range(1, 9))]))
    gatherer = Gatherer(shown.reader, {})
    alarm = Alarm(code="audit.backdated", index=0, detail="")
    assert gatherer.charge(alarm) is not None
    monkeypatch.setattr(gather_module, "MAX_STRETCH_BYTES", 100)
    with pytest.raises(TooLongError):
        gatherer.charge(alarm)
    monkeypatch.setattr(gather_module, "MAX_ENTRIES", 3)
    with pytest.raises(TooLongError):
        gatherer.charge(alarm)
    assert gatherer.charge(Alarm(code="audit.gap", index=None, detail="")) is None
    assert gatherer.charge(Alarm(code="rule.serial_order", index=1, detail="")) is None


@pytest.mark.parametrize(
    "text",
    ["", "1", "1:2", "1:2/week", "0:1/day", "65536:1/day", "1:0/day", "01:1/day", "1:1/day\n", "x:1/day", "1:٢/day"],
)
def test_limits_have_one_spelling(text: str) -> None:
    with pytest.raises(BurstError):
        parse_burst(text)


def test_limits_read_back() -> None:
    for text in ("1:3000/day", "*:1/hour", "65535:999999999999/hour"):
        assert parse_burst(text).text() == text


def test_base64_of_the_file_is_strict(tmp_path: Path) -> None:
    value = _values(_Shown(tmp_path / "log", [b"\xff"]).charge("entry.malformed", 0))
    value["note"] = base64.b64encode(b"no note").decode() + "\n"
    with pytest.raises(EvidenceError):
        parse_evidence(json.dumps(value).encode())


def test_a_stretch_is_what_it_says() -> None:
    assert Stretch(start=3, entries=(b"", b""), left=(), right=()).end == 5
