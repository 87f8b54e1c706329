"""Acts of two persons (docs/spec/log.md, Two persons): who, which, when; sequencer and auditor say the same."""

import copy
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from logworld import (
    ACT,
    AUTHORITY,
    CREDENTIAL,
    DAY,
    IDENTITY,
    NAME,
    NOW,
    OPERATORS,
    ORIGIN_KEYS,
    STATUS,
    Keys,
    by_two,
    issue,
    key_event,
    retired_form,
    rounded,
    signed,
    signer,
    trust,
    write_log,
)

from mingzheng.keys.alg import Alg
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import KeyRecord, Role, TrustData
from mingzheng.log.actkeys import TrustActKeys, two_from
from mingzheng.log.acts import ActType
from mingzheng.log.book import ActKeys, Book, KeyRetiredError, RuleError
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.entry import (
    ActEntry,
    Asked,
    Entry,
    KeyEventType,
    NoticeEntry,
    NoticeType,
    Request,
    act_message,
    asked_of,
    encode_entry,
    kids_of,
    parse_entry,
    request_message,
)
from mingzheng.log.errors import EntryError
from mingzheng.log.evidence import check_evidence, parse_evidence
from mingzheng.log.hashing import EMPTY_ROOT, Hash
from mingzheng.log.monitor import AuditPlan, audit
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.rounds import Draft, RoundTime, Submission, make_round
from mingzheng.log.rulecheck import RuleCheck

ONE, TWO, THREE = OPERATORS
AT = 20
"""Where the entries of these tests stand."""

REVOKE = ActEntry(
    issuer=1, kid=ACT.public_key.kid, act_number=0, act=ActType.REVOKE, serials=(1, 2), day=DAY, signature=bytes(64)
)
NOTICE = NoticeEntry(
    issuer=1,
    kid=ACT.public_key.kid,
    act_number=0,
    notice=NoticeType.RETIRED_FORM,
    day=DAY,
    body=retired_form(1),
    signature=bytes(64),
)
SUSPEND, SUPERSEDE = replace(REVOKE, act=ActType.SUSPEND), replace(REVOKE, act=ActType.SUPERSEDE)
VOID = replace(REVOKE, act=ActType.VOID)
UNISSUED = replace(VOID, serials=(11, 12))
BY_TWO = (REVOKE, NOTICE, VOID)


def no_root(_size: int) -> Hash | None:
    return EMPTY_ROOT


def book(keys: ActKeys | None) -> Book:
    """Issuer 1 with the serials 0 to 9 live."""
    made = Book(origin=7, origin_name=NAME, keys=keys)
    for serial in range(10):
        assert made.apply(parse_entry(issue(serial)), serial, no_root) == []
    return made


def faults(entry: Entry, keys: ActKeys | None, at: int = AT) -> list[RuleError]:
    return book(keys).apply(parse_entry(encode_entry(entry)), at, no_root)


def codes(entry: Entry, keys: ActKeys | None, at: int = AT) -> list[str]:
    return sorted(fault.code for fault in faults(entry, keys, at))


def with_records(keys: Keys, *changed: KeyRecord) -> Keys:
    keys.of.update({record.kid: record for record in changed})
    return keys


def record(keys: Keys, key: InMemorySigner, **changes: object) -> KeyRecord:
    return replace(keys.of[key.public_key.kid], **changes)  # type: ignore[arg-type]


def by_one(entry: ActEntry | NoticeEntry, key: InMemorySigner = ACT) -> ActEntry | NoticeEntry:
    entry = replace(entry, kid=key.public_key.kid)
    return replace(entry, signature=key.sign(act_message(entry, NAME)))


# --- who


@pytest.mark.parametrize("operators", [0, 1, 2, 3])
@pytest.mark.parametrize("entry", [REVOKE, NOTICE, SUSPEND, SUPERSEDE, VOID, UNISSUED], ids=lambda e: type(e).__name__)
def test_everyone_who_may_sign_what(entry: ActEntry | NoticeEntry, operators: int) -> None:
    """Every choice of one or two of the act key, a status key, an unknown key and three operators."""
    keys, known = Keys(operators), OPERATORS[:operators]
    people = (ACT, STATUS, signer("nobody"), ONE, TWO, THREE)
    needs_two = operators > 0 and entry in BY_TWO
    for one in people:
        want = [] if one in (ACT, *known) else ["rule.unknown_key"]
        want += ["rule.one_person"] if needs_two else []
        assert codes(by_one(entry, one), keys) == sorted(want)
    for first, second in itertools.product(people, people):
        want = ["rule.unknown_key" for key in (first, second) if key not in known]
        want += ["rule.same_person"] if first is second else []
        assert codes(by_two(entry, (first, second)), keys) == sorted(want)


def test_one_operator_alone_can_neither_revoke_nor_give_notice() -> None:
    keys = Keys(operators=1)
    for entry in BY_TWO:
        assert codes(by_one(entry, ONE), keys) == ["rule.one_person"]
        assert codes(by_two(entry, (ONE, ONE)), keys) == ["rule.same_person"]
        assert codes(by_two(entry, (ACT, ONE)), keys) == ["rule.unknown_key"]


def test_one_person_voids_what_was_never_issued_and_nothing_else() -> None:
    """A live or suspended copy would end as by a revocation, under another name."""
    for first in (None, SUSPEND, REVOKE, SUPERSEDE):
        made = book(Keys(operators=2))
        if first is not None:
            assert made.apply(by_two(first), 15, no_root) == []
        void = by_one(replace(VOID, act_number=0 if first is None else 1, serials=(2, 11)), ONE)
        found = [fault.code for fault in made.apply(void, AT, no_root)]
        ended = [] if first in (None, SUSPEND) else ["rule.serial_order"]
        assert found == ["rule.one_person", *ended]
    made = book(Keys(operators=2))
    assert made.apply(by_one(UNISSUED, ONE), AT, no_root) == []
    again = by_one(replace(UNISSUED, act_number=1), ONE)  # voided, and never issued: the order of acts refuses it
    assert [fault.code for fault in made.apply(again, AT + 1, no_root)] == ["rule.serial_order"] * 2


def test_a_void_in_the_round_of_the_issue_takes_two() -> None:
    fresh = {0: parse_entry(issue(11)), 1: by_one(replace(VOID, serials=(11,)))}
    for which, want in ((fresh, "rule.one_person"), ({1: fresh[1]}, None)):
        draft = Draft(known={}, places={at: at for at in which}, fresh={})
        draft.fresh.update({at: Submission(key=b"%d" % at, entry=encode_entry(e)) for at, e in which.items()})
        reason = None
        try:
            make_round(draft, which, book(Keys(2)), time=RoundTime(start=AT, now=NOW), root_at=no_root)
        except SubmissionError as error:
            reason = error.reason
        assert reason == want


def test_one_public_key_under_two_records_is_one_person() -> None:
    keys = Keys(operators=2)
    other = Kid(b"otherkid")
    with_records(keys, record(keys, ONE, kid=other))
    asked = ONE.sign(request_message(asked_of(REVOKE), NAME, kid=other, day=DAY))
    entry = replace(REVOKE, kid=ONE.public_key.kid, request=Request(kid=other, day=DAY, signature=asked))
    assert codes(replace(entry, signature=ONE.sign(act_message(entry, NAME))), keys) == ["rule.same_person"]


def test_operators_of_another_issuer_or_origin_are_none() -> None:
    for change in ({"issuer": 2}, {"origins": frozenset({8})}, {"role": Role.ACT}, {"role": Role.CREDENTIAL}):
        for who in (ONE, TWO):
            keys = Keys(operators=2)
            with_records(keys, record(keys, who, **change))
            assert codes(by_two(REVOKE), keys) == ["rule.unknown_key"], change


def test_another_algorithm_is_a_person_as_well() -> None:
    keys, key = Keys(operators=2), signer("operator 4", Alg.ESP256)
    public = key.public_key
    with_records(keys, record(keys, ONE, kid=public.kid, public_key=public))
    assert codes(by_two(REVOKE, (key, TWO)), keys) == []
    assert codes(by_two(REVOKE, (TWO, key)), keys) == []


@pytest.mark.parametrize("role", [Role.CREDENTIAL, Role.AUTHORITY])
def test_an_operator_key_does_nothing_else(role: Role) -> None:
    entry: Entry
    if role is Role.CREDENTIAL:
        entry = parse_entry(issue(50, kid=ONE.public_key.kid))
    else:
        event = parse_entry(key_event(0, KeyEventType.ADDED, STATUS.public_key.kid))
        entry = parse_entry(signed(replace(event, kid=ONE.public_key.kid), key=ONE))  # type: ignore[call-overload,arg-type]
    assert codes(entry, Keys(operators=2)) == ["rule.unknown_key"]


# --- since when


def test_two_are_needed_from_the_first_day_of_the_first_operator_key() -> None:
    for entry in BY_TWO:
        for since, want in ((DAY + 1, []), (DAY, ["rule.one_person"]), (DAY - 900, ["rule.one_person"])):
            assert codes(by_one(entry), Keys(1, since)) == want
    later, earlier = Keys(2, DAY + 5), Keys(2, DAY + 5)
    with_records(earlier, record(earlier, TWO, valid_from=DAY))
    assert codes(by_one(REVOKE), later) == []
    assert codes(by_one(REVOKE), earlier) == ["rule.one_person"]


@pytest.mark.parametrize(
    "change",
    [{"retired_on": DAY - 10}, {"compromised": {}}, {"compromised": {7: 3}}, {"valid_until": DAY - 10},
     {"origins": frozenset({8})}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_operator_keys_that_are_out_still_ask_for_two(change: dict[str, object]) -> None:
    """A thief of the act key must not be able to bring one person's acts back."""
    keys = Keys(operators=1)
    with_records(keys, record(keys, ONE, **change))
    assert codes(by_one(REVOKE), keys) == ["rule.one_person"]


def test_the_operators_of_one_issuer_ask_nothing_of_another() -> None:
    keys = Keys(operators=1)
    with_records(keys, record(keys, ONE, issuer=2))
    assert codes(by_one(REVOKE), keys) == []


def test_trust_data_say_since_when() -> None:
    data = trust(operators=2, since=DAY)
    keys = TrustActKeys(data)
    assert [keys.needs_two(1, day) for day in (DAY - 1, DAY, DAY + 5_000)] == [False, True, True]
    assert not keys.needs_two(2, DAY)
    assert not TrustActKeys(trust()).needs_two(1, DAY)
    assert two_from(data.keys.values()) == {1: DAY}


# --- keys that are out, and days


@pytest.mark.parametrize("who", [ONE, TWO])
@pytest.mark.parametrize(
    ("change", "want"),
    [
        ({"retired_on": DAY - 1}, ["rule.key_day"]),
        ({"retired_on": DAY}, []),
        ({"valid_until": DAY - 1}, ["rule.key_day"]),
        ({"valid_from": DAY + 1}, ["rule.key_day"]),
        ({"compromised": {}}, ["rule.key_compromised"]),
        ({"compromised": {7: AT}}, ["rule.key_compromised"]),
        ({"compromised": {7: AT + 1}}, []),
        ({"compromised": {8: AT + 1}}, ["rule.key_compromised"]),
    ],
)
def test_both_keys_must_be_sound(who: InMemorySigner, change: dict[str, object], want: list[str]) -> None:
    keys = Keys(operators=2)
    with_records(keys, record(keys, who, **change))
    for entry in BY_TWO:
        assert codes(by_two(entry), keys) == want


def test_each_key_must_be_valid_on_its_own_day() -> None:
    keys = Keys(operators=2)
    with_records(keys, record(keys, ONE, retired_on=DAY - 3), record(keys, TWO, valid_from=DAY))
    assert codes(by_two(REVOKE, asked_on=DAY - 3), keys) == []
    assert codes(by_two(REVOKE, asked_on=DAY - 2), keys) == ["rule.key_day"]
    assert codes(by_two(REVOKE, (TWO, ONE), asked_on=DAY - 1), keys) == ["rule.key_day", "rule.key_day"]


@pytest.mark.parametrize("who", [ONE, TWO])
@pytest.mark.parametrize("event", [KeyEventType.RETIRED, KeyEventType.COMPROMISED])
def test_a_key_event_ends_both_halves(who: InMemorySigner, event: KeyEventType) -> None:
    kid = who.public_key.kid
    made = book(Keys(operators=2))
    assert made.apply(parse_entry(key_event(0, event, kid, AT)), 15, no_root) == []
    entry = by_two(replace(REVOKE, act_number=1), asked_on=DAY - 1)
    (fault,) = made.apply(entry, AT, no_root)
    assert isinstance(fault, KeyRetiredError)
    assert (fault.code, fault.kid, fault.at) == ("rule.key_retired", kid, 15)


@pytest.mark.parametrize("asked", range(-10, 4))
def test_a_request_lasts_seven_days(asked: int) -> None:
    want = [] if -7 <= asked <= 1 else ["rule.request_day"]
    for entry in (*BY_TWO, SUSPEND):
        assert codes(by_two(entry, asked_on=DAY + asked), Keys(operators=2)) == want


# --- which


def asked_for(
    entry: ActEntry | NoticeEntry, asked: Asked, origin: str = NAME, **changes: object
) -> ActEntry | NoticeEntry:
    """`entry`, approved by TWO, with ONE's request for something else."""
    kid = ONE.public_key.kid
    message = request_message(asked, origin, kid=changes.pop("kid", kid), day=changes.pop("day", DAY))  # type: ignore[arg-type]
    entry = replace(entry, kid=TWO.public_key.kid, request=Request(kid=kid, day=DAY, signature=ONE.sign(message)))
    return replace(entry, signature=TWO.sign(act_message(entry, NAME)))


ASKED, TOLD = asked_of(REVOKE), asked_of(NOTICE)
OTHERS: dict[str, tuple[ActEntry | NoticeEntry, Callable[[], ActEntry | NoticeEntry]]] = {
    "origin": (REVOKE, lambda: asked_for(REVOKE, ASKED, "log.example.cn/2")),
    "fewer serials": (REVOKE, lambda: asked_for(REVOKE, replace(ASKED, about=(1,)))),
    "other serials": (REVOKE, lambda: asked_for(REVOKE, replace(ASKED, about=(1, 3)))),
    "act": (REVOKE, lambda: asked_for(REVOKE, replace(ASKED, code=ActType.SUSPEND))),
    "issuer": (REVOKE, lambda: asked_for(REVOKE, replace(ASKED, issuer=2))),
    "kid": (REVOKE, lambda: asked_for(REVOKE, ASKED, kid=TWO.public_key.kid)),
    "day": (REVOKE, lambda: asked_for(REVOKE, ASKED, day=DAY - 1)),
    "notice for an act": (REVOKE, lambda: asked_for(REVOKE, replace(ASKED, code=NoticeType.BLANKET_EXTENSION))),
    "body": (NOTICE, lambda: asked_for(NOTICE, replace(TOLD, about=retired_form(2)))),
    "notice": (NOTICE, lambda: asked_for(NOTICE, replace(TOLD, code=NoticeType.SEAL_CHANGE))),
    "act for a notice": (NOTICE, lambda: asked_for(NOTICE, ASKED)),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_request_for_something_else_is_none(case: str) -> None:
    entry, make = OTHERS[case]
    asked = ASKED if entry is REVOKE else TOLD
    assert codes(asked_for(entry, asked), Keys(operators=2)) == []
    assert codes(make(), Keys(operators=2)) == ["rule.request_signature"]


def test_the_second_persons_signature_covers_the_first_persons_request() -> None:
    keys, entry = Keys(operators=3), by_two(REVOKE)
    assert codes(replace(entry, request=None), keys) == ["rule.act_signature", "rule.one_person"]
    third = by_two(REVOKE, (THREE, TWO))
    assert codes(replace(entry, request=third.request), keys) == ["rule.act_signature"]
    alone = by_one(REVOKE, TWO)
    assert codes(replace(alone, request=entry.request), keys) == ["rule.act_signature"]


def test_no_signature_serves_in_the_other_place() -> None:
    """A request is no approval, and an approval no request."""
    keys, entry = Keys(operators=2), by_two(REVOKE)
    assert entry.request is not None
    swapped = replace(
        entry,
        kid=entry.request.kid,
        signature=entry.request.signature,
        request=Request(kid=entry.kid, day=DAY, signature=entry.signature),
    )
    assert codes(swapped, keys) == ["rule.act_signature", "rule.request_signature"]


def test_a_request_serves_once() -> None:
    made = book(Keys(operators=3))
    revoke = by_two(replace(REVOKE, act_number=0))
    told = by_two(replace(NOTICE, act_number=1))
    assert made.apply(revoke, 20, no_root) == []
    assert made.apply(told, 21, no_root) == []

    def again(entry: ActEntry | NoticeEntry, number: int) -> list[str]:
        entry = replace(entry, act_number=number)
        entry = replace(entry, signature=TWO.sign(act_message(entry, NAME)))
        return [fault.code for fault in copy.deepcopy(made).apply(entry, 22, no_root)]

    assert again(revoke, 2) == ["rule.serial_order", "rule.serial_order"]
    assert again(told, 2) == ["rule.notice_number"]
    assert again(by_two(REVOKE, (THREE, TWO)), 2) == ["rule.serial_order", "rule.serial_order"]


def test_a_request_on_an_act_that_needs_none_is_checked_in_full() -> None:
    for operators, entry in itertools.product((0, 2), (SUSPEND, SUPERSEDE, UNISSUED)):
        keys = Keys(operators)
        assert codes(by_two(entry), keys) == ([] if operators else ["rule.unknown_key", "rule.unknown_key"])
        assert codes(by_two(entry, asked_on=DAY - 8), Keys(operators=2)) == ["rule.request_day"]
        assert codes(asked_for(entry, asked_of(REVOKE)), Keys(operators=2)) == ["rule.request_signature"]
        assert codes(by_two(entry, (ONE, ONE)), Keys(operators=2)) == ["rule.same_person"]


def test_without_trust_data_only_the_shape_is_checked() -> None:
    """`fsck` knows no keys: one kid twice and the days it sees all the same."""
    assert codes(by_two(REVOKE, (STATUS, CREDENTIAL)), None) == []
    assert codes(by_one(REVOKE), None) == []
    assert codes(by_two(REVOKE, (ONE, ONE), asked_on=DAY - 8), None) == ["rule.request_day", "rule.same_person"]


# --- nothing of an accepted entry can be changed

ACCEPTED = tuple(encode_entry(by_two(entry, asked_on=DAY - 1)) for entry in BY_TWO)


def _refused(data: bytes) -> bool:
    try:
        entry = parse_entry(data)
    except EntryError:
        return True
    return bool(book(Keys(operators=3)).apply(entry, AT, no_root))


@given(st.sampled_from(ACCEPTED), st.data())
def test_any_changed_byte_of_an_accepted_entry_is_refused(data: bytes, draw: st.DataObject) -> None:
    assert not _refused(data)
    at = draw.draw(st.integers(0, len(data) - 1))
    value = draw.draw(st.integers(0, 255).filter(lambda value: value != data[at]))
    assert _refused(data[:at] + bytes([value]) + data[at + 1 :])


_KIDS = [key.public_key.kid for key in (ACT, ONE, TWO, THREE)]
CHANGES: dict[str, st.SearchStrategy[object]] = {
    "act_number": st.integers(0, 3),
    "kid": st.sampled_from(_KIDS),
    "act": st.sampled_from(ActType),
    "serials": st.sets(st.integers(0, 9), min_size=1).map(lambda found: tuple(sorted(found))),
    "notice": st.sampled_from(NoticeType),
    "body": st.integers(1, 4).map(retired_form) | st.binary(max_size=8),
    "day": st.integers(DAY - 1, DAY + 1),
    "signature": st.binary(min_size=64, max_size=64),
}
ASKING: dict[str, st.SearchStrategy[object]] = {
    "kid": st.sampled_from(_KIDS),
    "day": st.integers(DAY - 8, DAY + 2),
    "signature": st.binary(min_size=64, max_size=64),
}


@given(st.sampled_from(ACCEPTED), st.data())
def test_any_changed_field_of_an_accepted_entry_is_refused(data: bytes, draw: st.DataObject) -> None:
    entry = parse_entry(data)
    assert isinstance(entry, ActEntry | NoticeEntry)
    assert entry.request is not None
    in_request = draw.draw(st.booleans())
    of: object = entry.request if in_request else entry
    names = [name for name in (ASKING if in_request else CHANGES) if hasattr(of, name)]
    changed = {name: draw.draw((ASKING if in_request else CHANGES)[name]) for name in draw.draw(_some(names))}
    changes = {"request": replace(entry.request, **changed)} if in_request else changed  # type: ignore[arg-type]
    other = replace(entry, **changes)  # type: ignore[arg-type]
    assert _refused(encode_entry(other)) == (other != entry)


def _some(names: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)


# --- sequencer and auditor

PEOPLE = (ACT, AUTHORITY, *OPERATORS)
STEPS = st.fixed_dictionaries(
    {
        "what": st.sampled_from([*ActType, "notice", "notice", "retire"]),
        "people": st.lists(st.sampled_from(range(len(PEOPLE))), min_size=1, max_size=2),
        "serials": st.sets(st.integers(0, 11), min_size=1, max_size=2),
        "number": st.sampled_from([0, 0, 0, 0, 1, -1]),
        "said": st.sampled_from([0, 0, 0, 1, -1]),
        "day": st.sampled_from([0, 0, 0, 1, -1, 2]),
        "asked": st.sampled_from([0, 0, -1, -7, -8, 1, 2]),
    }
)


def _made(step: dict[str, object], before: Book) -> Entry:
    """The entry of a step, numbered as the log stands."""
    issuer, people = before.issuer(1), [PEOPLE[at] for at in step["people"]]  # type: ignore[union-attr,attr-defined]
    number = max(0, issuer.next_act + step["number"])  # type: ignore[operator]
    day = DAY + step["day"]  # type: ignore[operator]
    if step["what"] == "retire":  # a compromise is counted at the end: `_report`
        return parse_entry(key_event(number, KeyEventType.RETIRED, people[0].public_key.kid))
    if step["what"] == "notice":
        body = retired_form(max(1, issuer.next_notice + step["said"]))  # type: ignore[operator]
        entry: ActEntry | NoticeEntry = replace(NOTICE, act_number=number, body=body, day=day)
    else:
        serials = tuple(sorted(step["serials"]))  # type: ignore[call-overload]
        entry = replace(REVOKE, act_number=number, act=ActType(step["what"]), serials=serials, day=day)
    if len(people) == 1:
        return by_one(entry, people[0])
    return by_two(entry, people, asked_on=day + step["asked"])  # type: ignore[operator]


def _sequenced(before: Book, entry: Entry, at: int) -> tuple[Book, str | None]:
    """What the sequencer says: the book afterwards, or the reason why not."""
    draft = Draft(known={}, places={0: 0}, fresh={0: Submission(key=b"k", entry=encode_entry(entry))})
    after = copy.deepcopy(before)
    try:
        make_round(draft, {0: entry}, after, time=RoundTime(start=at, now=NOW), root_at=no_root)
    except SubmissionError as error:
        return before, error.reason
    return after, None


def _audited(entries: Iterable[bytes], keys: ActKeys) -> set[str]:
    check = RuleCheck(Book(origin=7, origin_name=NAME, keys=keys), no_root)
    return {alarm.code for index, data in enumerate(entries) for alarm in check.take(index, data)}


@given(st.integers(0, 3), st.lists(STEPS, max_size=8))
@example(2, [{"what": ActType.REVOKE, "people": [2, 3], "serials": {1}, "number": 0, "said": 0, "day": 0, "asked": -7}])
def test_sequencer_and_auditor_say_the_same(operators: int, steps: list[dict[str, object]]) -> None:
    keys = Keys(operators)
    log = rounded([issue(serial) for serial in range(10)])
    at_hand = book(keys)
    for step in steps:
        entry = _made(step, at_hand)
        at_hand, reason = _sequenced(at_hand, entry, len(log))
        with_it = [*log, *rounded([encode_entry(entry)])]
        found = _audited(with_it, keys) - {"audit.key_chain"}
        if reason is None:
            assert found == set()
            log = with_it
        else:
            assert reason in found


# --- the auditor's report and its evidence


def _report(directory: Path, entries: list[bytes], data: TrustData) -> tuple[list[str], list[str]]:
    """Alarm codes, and what their evidence files prove to others."""
    write_log(directory / "log", entries)
    fetcher, state = DirectoryFetcher(directory / "log"), directory / "audit.json"
    plan = AuditPlan(fetcher=fetcher, keys=ORIGIN_KEYS, trust=data, state_file=state, receipts_dir=None, bursts=())
    report = audit(plan)
    proved = [
        check_evidence(parse_evidence(path.read_bytes()), vkey=IDENTITY.vkey(), origin=NAME, trust=data)
        for path in sorted((directory / "audit.json.evidence").glob("*.json"))
    ]
    return sorted(alarm.code for alarm in report.alarms), proved


BROKEN: dict[str, tuple[Callable[[], ActEntry | NoticeEntry], str, bool]] = {
    "one person": (lambda: by_one(REVOKE), "rule.one_person", True),
    "a void by one person": (lambda: by_one(VOID), "rule.one_person", True),
    "same person": (lambda: by_two(REVOKE, (ONE, ONE)), "rule.same_person", True),
    "another request": (lambda: asked_for(REVOKE, replace(ASKED, about=(3,))), "rule.request_signature", True),
    "an old request": (lambda: by_two(NOTICE, asked_on=DAY - 8), "rule.request_day", True),
    "no body": (lambda: by_two(replace(NOTICE, body=b"notice")), "rule.notice_body", True),
    "a notice too far": (lambda: by_two(replace(NOTICE, body=retired_form(2))), "rule.notice_number", False),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_auditor_names_and_proves_it(tmp_path: Path, case: str) -> None:
    make, code, alone = BROKEN[case]
    entries = rounded([issue(serial) for serial in range(4)], [encode_entry(make())])
    found, proved = _report(tmp_path, entries, trust(operators=2))
    assert (found, proved) == ([code], [code] if alone else [])


def test_an_honest_log_of_two_persons_is_clean(tmp_path: Path) -> None:
    entries = rounded(
        [issue(serial) for serial in range(4)],
        [encode_entry(by_two(REVOKE, asked_on=DAY - 7)), encode_entry(by_two(replace(NOTICE, act_number=1)))],
    )
    assert _report(tmp_path, entries, trust(operators=2)) == ([], [])


@pytest.mark.parametrize("who", [ONE, TWO])
@pytest.mark.parametrize("told_by", ["trust data", "key event"])
def test_what_a_stolen_operator_key_helped_to_write_is_counted(
    tmp_path: Path, who: InMemorySigner, told_by: str
) -> None:
    kid, data = who.public_key.kid, trust(operators=2)
    rounds: list[list[bytes]] = [[issue(serial) for serial in range(4)], [encode_entry(by_two(REVOKE))]]
    if told_by == "key event":
        rounds.append([key_event(1, KeyEventType.COMPROMISED, kid, 6)])
    else:
        data = replace(data, keys={**data.keys, kid: replace(data.keys[kid], compromised={7: 6})})
    code = "audit.compromised_key_used"
    assert _report(tmp_path, rounded(*rounds), data) == ([code], [code])


def test_a_stolen_operator_key_after_its_event_is_summed_up_too(tmp_path: Path) -> None:
    for number, who in enumerate((ONE, TWO)):
        event = key_event(0, KeyEventType.COMPROMISED, who.public_key.kid, 6)
        revoke = encode_entry(by_two(replace(REVOKE, act_number=1)))
        entries = rounded([issue(serial) for serial in range(4)], [event], [revoke])
        code = "audit.compromised_key_used"
        assert _report(tmp_path / str(number), entries, trust(operators=2)) == ([code], [code])


def test_a_key_that_asked_before_it_was_added_breaks_the_chain(tmp_path: Path) -> None:
    entries = rounded(
        [issue(serial) for serial in range(4)],
        [encode_entry(by_two(REVOKE)), key_event(1, KeyEventType.ADDED, ONE.public_key.kid)],
    )
    assert _report(tmp_path, entries, trust(operators=2))[0] == ["audit.key_chain"]


def test_an_entry_rests_on_its_keys() -> None:
    assert kids_of(by_two(REVOKE)) == (TWO.public_key.kid, ONE.public_key.kid)
    assert kids_of(by_one(NOTICE)) == (ACT.public_key.kid,)
    assert kids_of(parse_entry(issue(0))) == (CREDENTIAL.public_key.kid,)  # type: ignore[arg-type]
