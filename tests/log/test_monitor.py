"""The auditor: clean on honest logs, an alarm and evidence for every way to cheat."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from logworld import (
    ACT,
    CREDENTIAL,
    DAY,
    IDENTITY,
    NAME,
    NOW,
    ORIGIN_KEYS,
    STATUS,
    Keys,
    LogWorld,
    act,
    issue,
    key_event,
    notice,
    rounded,
    trust,
    write_log,
)

from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import OriginRecord, Role, TrustData
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log import book as book_module
from mingzheng.log import monitor as monitor_module
from mingzheng.log.actkeys import TrustActKeys
from mingzheng.log.acts import ActType
from mingzheng.log.alarms import codes, sentence
from mingzheng.log.auditfiles import AuditBusyError, AuditFiles
from mingzheng.log.book import Book, StatusIncompleteError
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.collected import OriginKeys
from mingzheng.log.densestates import DenseStates
from mingzheng.log.entry import (
    FillerEntry,
    KeyEventType,
    LandmarkEntry,
    OriginHead,
    TimeEntry,
    encode_entry,
    parse_entry,
)
from mingzheng.log.errors import BlockError
from mingzheng.log.evidence import check_evidence, parse_evidence
from mingzheng.log.hashing import EMPTY_ROOT, Hash, leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.monitor import AuditPlan, AuditReport, AuditStateError, audit
from mingzheng.log.rulecheck import RuleCheck
from mingzheng.log.status import StatusBody, status_entry
from mingzheng.log.statusmaker import make_status

TWO_ISSUERS = {n: replace(trust().issuers[1], number=n) for n in (1, 2)}
LOGS = Path(__file__).parent.parent / "vectors" / "log"


def _plan(public: Path, *, state: Path | None = None, receipts: Path | None = None) -> AuditPlan:
    return AuditPlan(
        fetcher=DirectoryFetcher(public), keys=ORIGIN_KEYS, trust=trust(), state_file=state, receipts_dir=receipts
    )


def _audit(public: Path, **more: Path) -> AuditReport:
    return audit(_plan(public, **more))


def _codes(report: AuditReport) -> list[str]:
    return [alarm.code for alarm in report.alarms]


# --- honest logs


def test_a_whole_life_is_clean_and_counted(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(300)), *(issue(serial, kind=2) for serial in range(300, 310)))
    make_status(log, 1, signer=STATUS, now=world.now)
    world.submit(
        log, act(0, ActType.SUSPEND, [1, 2]), act(1, ActType.REINSTATE, [2]), notice(2), issue(320, day=DAY - 1)
    )
    world.submit(log, act(3, ActType.REVOKE, [1]), act(4, ActType.VOID, [310, 311]))
    make_status(log, 1, signer=STATUS, now=world.now + 9)
    world.now += 9
    world.submit(log, key_event(5, KeyEventType.RETIRED, CREDENTIAL.public_key.kid))
    report = _audit(world.public)
    assert report.alarms == ()
    assert report.clean
    assert (report.size, report.root) == log.head()
    assert report.entries == report.size
    assert report.counts == {
        DAY - 1: {"issue.1": 1},
        DAY: {
            "issue.1": 300,
            "issue.2": 10,
            "suspend": 2,
            "reinstate": 1,
            "revoke": 1,
            "void": 2,
            "notice.retired_form": 1,
            "key_event": 1,
            "status": 2,
        },
    }


def test_the_empty_log_is_clean(world: LogWorld) -> None:
    world.create()
    assert _audit(world.public).clean


@pytest.mark.parametrize(("name", "size"), [("tessera_log15", 15), ("synthetic_log600", 600)])
def test_foreign_logs_get_the_generic_checks(name: str, size: int) -> None:
    vkey = parse_vkey((LOGS / name / "log.vkey").read_text().strip())
    keys = OriginKeys(number=0, name=vkey.name, block_height=8, vkey=vkey, receipt_key=None)
    fetcher = DirectoryFetcher(LOGS / name)
    report = audit(AuditPlan(fetcher=fetcher, keys=keys, trust=None, state_file=None, receipts_dir=None))
    assert report.clean
    assert (report.entries, report.counts) == (size, {})
    assert report.notes == ("no trust data: entries were hashed, not read",)


# --- following


def test_follows_from_its_state_and_moves_it(world: LogWorld, tmp_path: Path) -> None:
    state = tmp_path / "states" / "audit.json"
    log = world.create()
    world.submit(log, issue(0))
    assert _audit(world.public, state=state).followed_from is None
    world.submit(log, issue(1))
    report = _audit(world.public, state=state)
    assert (report.followed_from, report.clean) == (2, True)
    assert json.loads(state.read_text())["size"] == 4
    assert _audit(world.public, state=state).followed_from == 4


@pytest.fixture
def forked(world: LogWorld, tmp_path: Path) -> tuple[Path, Path, Path]:
    """State of an honest head of 4, and two logs: the honest one, and the place for another under its key."""
    honest, other, state = tmp_path / "honest", tmp_path / "other", tmp_path / "audit.json"
    write_log(honest, rounded([issue(0)], [issue(1)]))
    assert _audit(honest, state=state).clean
    return honest, other, state


def _evidence(report: AuditReport) -> str:
    (name,) = report.evidence_files
    return check_evidence(
        parse_evidence(Path(name).read_bytes()),
        vkey=IDENTITY.vkey(),
        origin=NAME,
        number=ORIGIN_KEYS.number,
        receipt_key=ORIGIN_KEYS.receipt_key,
        block_height=4,
    )


def test_split_view_leaves_evidence_and_keeps_the_old_head(forked: tuple[Path, Path, Path]) -> None:
    _honest, other, state = forked
    write_log(other, rounded([issue(0)], [issue(2)]))
    kept = state.read_bytes()
    report = _audit(other, state=state)
    assert _codes(report) == ["audit.split_view"]
    assert _evidence(report) == "split_view"
    assert state.read_bytes() == kept
    again = _audit(other, state=state)
    assert again.evidence_files == report.evidence_files  # the same proof is not written twice


def test_changed_history_leaves_evidence(forked: tuple[Path, Path, Path]) -> None:
    _honest, other, state = forked
    write_log(other, rounded([issue(0)], [issue(2)], [issue(3)]))
    kept = state.read_bytes()
    report = _audit(other, state=state)
    assert _codes(report) == ["audit.history_changed"]
    assert _evidence(report) == "history_changed"
    assert state.read_bytes() == kept


def test_rollback_alarms_and_keeps_the_newer_head(forked: tuple[Path, Path, Path]) -> None:
    _honest, other, state = forked
    write_log(other, rounded([issue(0)]))
    kept = state.read_bytes()
    report = _audit(other, state=state)
    assert _codes(report) == ["audit.rollback"]
    assert report.alarms[0].evidence == {"source": "state", "theirs": 4, "ours": 2}
    assert state.read_bytes() == kept


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 19))
def test_every_fork_is_told_from_every_extension(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int, change: int
) -> None:
    root = tmp_path_factory.mktemp("fork")
    entries = [[issue(serial)] for serial in range(first)]
    write_log(root / "a", rounded(*entries))
    state = root / "audit.json"
    assert _audit(root / "a", state=state).clean
    later = [[issue(serial if serial != change else 500)] for serial in range(second)]
    write_log(root / "b", rounded(*later))
    found = _codes(_audit(root / "b", state=state))
    honest = change >= min(first, second)
    if second < first:
        assert found == ["audit.rollback"]
    elif honest:
        assert found == []
    else:
        assert found == ["audit.split_view" if second == first else "audit.history_changed"]


BAD_STATES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"version": 2, "note": ""}',
    b'{"version": 1, "note": "x"}',
    b"\xff",
    b"[" * 90000,
]


@pytest.mark.parametrize("data", BAD_STATES)
def test_a_state_that_is_none_stops_the_audit(world: LogWorld, tmp_path: Path, data: bytes) -> None:
    world.create()
    state = tmp_path / "audit.json"
    state.write_bytes(data)
    with pytest.raises(AuditStateError):
        _audit(world.public, state=state)
    assert state.read_bytes() == data


# --- what the log serves


SERVED: dict[str, Callable[[Path], object]] = {
    "tile": lambda p: (p / "tile/0/000.p/4").write_bytes(bytes(128)),
    "missing tile": lambda p: (p / "tile/0/000.p/4").unlink(),
    "bundle": lambda p: (p / "tile/entries/000.p/4").write_bytes(b"\x00\x01a" * 4),
    "checkpoint": lambda p: (p / "checkpoint").write_bytes(b"x\n0\n"),
    "no checkpoint": lambda p: (p / "checkpoint").unlink(),
}


@pytest.mark.parametrize("case", SERVED)
def test_anything_not_covered_by_the_signed_head_alarms(tmp_path: Path, case: str) -> None:
    public, state = tmp_path / "log", tmp_path / "audit.json"
    write_log(public, rounded([issue(0)], [issue(1)]))
    SERVED[case](public)
    report = _audit(public, state=state)
    assert len(report.alarms) == 1
    assert not state.exists()  # a head whose entries cannot be read is not remembered


# --- the entries' rules


def _status(entries: Sequence[bytes], size: int, **change: object) -> bytes:
    body = StatusBody(
        issuer=1,
        next_serial=2,
        this_update=NOW,
        next_update=NOW + 60,
        origins=(OriginHead(7, size, root_of([leaf_hash(entry) for entry in entries[:size]])),),
        revoked=(),
        superseded=(),
        void=(),
        suspended=(),
    )
    return encode_entry(status_entry(replace(body, **change)))  # type: ignore[arg-type]


def _head(entries: Sequence[bytes], size: int) -> OriginHead:
    return OriginHead(7, size, root_of([leaf_hash(entry) for entry in entries[:size]]))


def _landmark(entries: Sequence[bytes], size: int) -> bytes:
    heads = (_head(entries, size),)
    return encode_entry(LandmarkEntry(origins=heads, this_update=NOW, next_update=NOW + 1, sha256=bytes(32)))


TWO = rounded([issue(0), issue(1)])
TIME = encode_entry(TimeEntry(seconds=NOW))
FILLER = encode_entry(FillerEntry())
KID = CREDENTIAL.public_key.kid

CHEATS: dict[str, tuple[Callable[[], list[bytes]], list[tuple[str, int]]]] = {
    "serial twice": (lambda: rounded([issue(0), issue(0, kind=2)]), [("rule.serial_order", 1)]),
    "issue after void": (lambda: rounded([act(0, ActType.VOID, [5]), issue(5)]), [("rule.serial_order", 1)]),
    "revoke of an unknown serial": (lambda: rounded([act(0, ActType.REVOKE, [5])]), [("rule.serial_order", 0)]),
    "act left out": (
        lambda: rounded([issue(0), act(0, ActType.SUSPEND, [0]), act(2, ActType.REVOKE, [0])]),
        [("rule.act_number", 2)],
    ),
    "act repeated": (
        lambda: rounded([issue(0), act(0, ActType.SUSPEND, [0]), act(0, ActType.REVOKE, [0])]),
        [("rule.act_number", 2)],
    ),
    "act of another key": (
        lambda: rounded([issue(0), act(0, ActType.REVOKE, [0], key=STATUS)]),
        [("rule.act_signature", 1)],
    ),
    "act replayed from another origin": (
        lambda: rounded([issue(0), act(0, ActType.REVOKE, [0], origin="other")]),
        [("rule.act_signature", 1)],
    ),
    "issue by no credential key": (lambda: rounded([issue(0, kid=ACT.public_key.kid)]), [("rule.unknown_key", 0)]),
    "issue for another issuer": (lambda: rounded([issue(0, issuer=2)]), [("rule.unknown_key", 0)]),
    "backdated": (lambda: rounded([issue(0, day=DAY - 2)]), [("audit.backdated", 0)]),
    "postdated": (lambda: rounded([issue(0), issue(1, day=DAY + 2)]), [("audit.backdated", 1)]),
    "time goes back": (lambda: [*TWO, *rounded([issue(3)], now=NOW - 1)], [("audit.time_backwards", 5)]),
    "unknown entry": (lambda: rounded([b"\x82\x01\x0b"]), [("entry.unknown_type", 0)]),
    "no CBOR": (lambda: rounded([b"\xff"]), [("entry.malformed", 0)]),
    "no time at the end": (lambda: [issue(0)], [("audit.round_shape", 0)]),
    "no filler at the end": (lambda: [issue(0), issue(1), TIME], [("audit.round_shape", 2)]),
    "no filler between": (lambda: [issue(0), issue(1), TIME, issue(2), issue(3), TIME], [("audit.round_shape", 3)]),
    "filler not needed": (lambda: [issue(0), TIME, FILLER, issue(1), TIME, FILLER], [("audit.round_shape", 2)]),
    "filler alone": (lambda: [FILLER, *rounded([issue(0)])][:1], [("audit.round_shape", 0)]),
    "time alone": (lambda: [TIME, FILLER], [("audit.round_shape", 0)]),
    "retired key goes on": (
        lambda: rounded([key_event(0, KeyEventType.RETIRED, KID)], [issue(0)]),
        [("rule.key_retired", 2)],
    ),
    "kind out of the key's scope": (lambda: rounded([issue(0, kind=999)]), [("rule.key_kind", 0)]),
    "issue after the key's days": (
        lambda: rounded([issue(0, day=DAY + 1001)], now=NOW + 1001 * 86_400),
        [("rule.key_day", 0)],
    ),
    "act before the key's days": (
        lambda: rounded([issue(0), act(0, ActType.REVOKE, [0], day=DAY - 18_000)]),
        [("rule.key_day", 1), ("rule.act_day", 1)],
    ),
    "act dated two days back": (
        lambda: rounded([issue(0), act(0, ActType.REVOKE, [0], day=DAY - 2)]),
        [("rule.act_day", 1)],
    ),
    "status that hides a revocation": (
        lambda: [*(e := rounded([issue(0), issue(1), act(0, ActType.REVOKE, [1])])), *rounded([_status(e, 4)])],
        [("audit.status_mismatch", 4)],
    ),
    "status with a revocation too many": (
        lambda: [*TWO, *rounded([_status(TWO, 4, revoked=(1,))])],
        [("audit.status_mismatch", 4)],
    ),
    "status with another count": (
        lambda: [*TWO, *rounded([_status(TWO, 4, next_serial=3)])],
        [("audit.status_mismatch", 4)],
    ),
    "status of a foreign root": (
        lambda: [*TWO, *rounded([_status([issue(7)] * 4, 4)])],
        [("rule.wrong_head", 4)],
    ),
    "status drawn before a revocation": (
        lambda: [*TWO, *rounded([act(0, ActType.REVOKE, [1])], [_status(TWO, 4)])],
        [("audit.status_mismatch", 6), ("rule.status_incomplete", 6)],
    ),
    "status drawn before a notice": (
        lambda: [*TWO, *rounded([notice(0)], [_status(TWO, 4)])],
        [("rule.status_incomplete", 6)],
    ),
    "status that goes back to a smaller size": (
        lambda: [*TWO, *(e := [*TWO, *rounded([_status(TWO, 4)])])[4:], *rounded([_status(e, 5)], [_status(e, 4)])],
        [("rule.head_shrinks", 8)],
    ),
    "status that leaves an origin out": (
        lambda: [*TWO, *rounded([_status(TWO, 4, origins=(_head(TWO, 4), OriginHead(8, 0, EMPTY_ROOT)))]),
                 *rounded([_status(TWO, 4)])],
        [("rule.unknown_origin", 4), ("rule.head_shrinks", 6)],
    ),
    "status of an invented origin": (
        lambda: [*TWO, *rounded([_status(TWO, 4, origins=(_head(TWO, 4), OriginHead(9999, 5, Hash(bytes(32)))))])],
        [("audit.status_unchecked", 4), ("rule.unknown_origin", 4)],
    ),
    "status of the future": (
        lambda: [*TWO, *rounded([_status(TWO, 4, this_update=NOW + 1, next_update=NOW + 2)])],
        [("rule.status_clock", 4)],
    ),
    "status of the past": (
        lambda: [*TWO, *rounded([_status(TWO, 4, this_update=NOW - 3601)])],
        [("rule.status_clock", 4)],
    ),
    "status that holds for too long": (
        lambda: [*TWO, *rounded([_status(TWO, 4, next_update=NOW + 86_401)])],
        [("rule.status_clock", 4)],
    ),
    "landmark that goes back": (
        lambda: [*TWO, *rounded([_landmark(TWO, 4), _landmark(TWO, 2)])],
        [("rule.head_shrinks", 5), ("audit.landmark_mismatch", 4), ("audit.landmark_mismatch", 5)],
    ),
    "status of a head to come": (
        lambda: [*TWO, *rounded([_status([*TWO, *TWO], 8)])],
        [("rule.wrong_head", 4)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHEATS)
def test_every_way_to_cheat_alarms(tmp_path: Path, case: str) -> None:
    make, want = CHEATS[case]
    write_log(tmp_path / "log", make())
    report = _audit(tmp_path / "log")
    assert [(alarm.code, alarm.index) for alarm in report.alarms] == want
    for alarm in report.alarms:
        for lang in ("zh", "en"):
            assert sentence(alarm.code, lang) not in ("", alarm.code)


@pytest.mark.parametrize("times", [(NOW, NOW + 1), (NOW - 3600, NOW - 3599), (NOW, NOW + 86_400)])
def test_status_lists_are_drawn_again_where_they_stand(tmp_path: Path, times: tuple[int, int]) -> None:
    """All of the issuer's entries below are in the list; others' may stand between."""
    first = rounded([issue(0), issue(1), act(0, ActType.SUSPEND, [0])])
    two = replace(trust(), keys={kid: Keys().of[kid] for kid in Keys().of}, issuers=TWO_ISSUERS)
    status = _status(first, 4, suspended=(0,), this_update=times[0], next_update=times[1])
    write_log(tmp_path / "log", [*first, *rounded([issue(5, issuer=2), status])])
    report = audit(replace(_plan(tmp_path / "log"), trust=two))
    assert report.alarms == ()


def test_a_status_may_lie_one_round_below_its_entry_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MAX_STATUS_LAG", 3)
    for others, want in ((3, []), (4, [StatusIncompleteError])):
        book = Book(origin=7, origin_name=NAME, keys=None)
        for index in range(others):
            book.apply(parse_entry(issue(index, issuer=2)), index, lambda _size: EMPTY_ROOT)
        entry = parse_entry(_status([], 0, next_serial=0))
        assert [type(fault) for fault in book.apply(entry, others, lambda _size: EMPTY_ROOT)] == want


def _with_origin_8() -> TrustData:
    """A second log, in which issuer 1 may log too."""
    data = trust()
    keys = {kid: replace(key, origins=frozenset({7, 8})) if key.issuer else key for kid, key in data.keys.items()}
    return replace(data, keys=keys, origins={**data.origins, 8: OriginRecord(number=8, name="b", block_height=4)})


@pytest.mark.parametrize(
    ("head", "want"),
    [
        (OriginHead(8, 0, EMPTY_ROOT), []),
        (OriginHead(8, 0, Hash(bytes(32))), ["rule.wrong_head"]),
        (OriginHead(8, 1, Hash(bytes(32))), ["audit.status_unchecked"]),
    ],
)
def test_a_status_over_several_logs_is_clean_only_if_ours_alone_has_entries(
    tmp_path: Path, head: OriginHead, want: list[str]
) -> None:
    """Those of another log cannot be seen here: what rests on them is an alarm, not a clean report."""
    status = _status(TWO, 4, origins=(_head(TWO, 4), head))
    write_log(tmp_path / "log", [*TWO, *rounded([status])])
    report = audit(replace(_plan(tmp_path / "log"), trust=_with_origin_8()))
    assert _codes(report) == want
    assert report.clean is (not want)


def test_entries_above_a_compromised_keys_last_good_size_are_counted(tmp_path: Path) -> None:
    entries = rounded([issue(0)], [issue(1), issue(2), b"\x00"], [key_event(0, KeyEventType.COMPROMISED, KID, 2)])
    write_log(tmp_path / "log", entries)
    report = _audit(tmp_path / "log")
    assert _codes(report) == ["entry.malformed", "audit.compromised_key_used"]
    assert report.alarms[1].evidence == {"good_size": 2, "entries": 2, "last": 3}
    good = rounded([issue(0)], [key_event(0, KeyEventType.COMPROMISED, KID, 2)])
    write_log(tmp_path / "good", good)
    assert _audit(tmp_path / "good").clean


LOST = KeyEventType.COMPROMISED
KEY_LOSSES: dict[str, tuple[list[Sequence[bytes]], dict[Kid, dict[int, int]], list[dict[str, int]]]] = {
    "no size for this log: nothing counts": (
        [[issue(0)], [key_event(0, LOST, KID)]],
        {},
        [{"good_size": 0, "entries": 1, "last": 0}],
    ),
    "the least size counts": (
        [[issue(0)], [key_event(0, LOST, KID, 100)], [key_event(1, LOST, KID, 0)], [key_event(2, LOST, KID, 50)]],
        {},
        [{"good_size": 0, "entries": 1, "last": 0}],
    ),
    "trust data say so": ([[issue(0), issue(1)]], {KID: {7: 1}}, [{"good_size": 1, "entries": 1, "last": 1}]),
    "trust data without this log": ([[issue(0)]], {KID: {}}, [{"good_size": 0, "entries": 1, "last": 0}]),
    "trust data above all entries": ([[issue(0)]], {KID: {7: 1}}, []),
    "trust data and an event": (
        [[issue(0), issue(1)], [key_event(0, LOST, KID, 4)]],
        {KID: {7: 1}},
        [{"good_size": 1, "entries": 1, "last": 1}],
    ),
    "an act key": (
        [[issue(0)], [act(0, ActType.REVOKE, [0])]],
        {ACT.public_key.kid: {7: 0}},
        [{"good_size": 0, "entries": 1, "last": 2}],
    ),
    "several keys": (
        [[issue(0)], [act(0, ActType.REVOKE, [0]), _status([], 0)]],
        {ACT.public_key.kid: {}, KID: {}},
        [{"good_size": 0, "entries": 1, "last": at} for at in (2, 0)],
    ),
}


@pytest.mark.parametrize("case", KEY_LOSSES)
def test_the_least_good_size_that_trust_data_or_log_state_counts(tmp_path: Path, case: str) -> None:
    given, lost, want = KEY_LOSSES[case]
    data = trust()
    keys = {kid: replace(key, compromised=lost.get(kid)) for kid, key in data.keys.items()}
    write_log(tmp_path / "log", rounded(*given))
    report = audit(replace(_plan(tmp_path / "log"), trust=replace(data, keys=keys)))
    found = [dict(item.evidence) for item in report.alarms if item.code == "audit.compromised_key_used"]
    assert sorted(map(str, found)) == sorted(map(str, want))
    assert "rule.key_compromised" not in _codes(report)


def test_alarms_have_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "MAX_ALARMS", 5)
    write_log(tmp_path / "log", rounded([b"\x00"] * 9))
    report = _audit(tmp_path / "log")
    assert len(report.alarms) == 5
    assert report.notes == ("more alarms were left out",)


def test_alarms_of_entries_do_not_crowd_out_what_speaks_against_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that serves rubbish entries, and behind them what its head does not cover."""
    monkeypatch.setattr(monitor_module, "MAX_ALARMS", 5)
    state, public = tmp_path / "audit.json", tmp_path / "log"
    write_log(public, rounded([b"\x00"] * 9, *([issue(serial)] for serial in range(400))))
    bundle = public / "tile/entries/002"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"x")
    report = _audit(public, state=state)
    assert [alarm.code for alarm in report.alarms] == ["entry.malformed"] * 5 + ["client.tile_untrue"]
    assert not state.exists()


def test_an_audit_cut_short_does_not_accept_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the error's code."""

    def cut(*_: object) -> object:
        raise BlockError(start=0, end=1, height=1, detail="")

    monkeypatch.setattr(RuleCheck, "finish", cut)
    write_log(tmp_path / "log", rounded([issue(0)]))
    report = _audit(tmp_path / "log", state=tmp_path / "audit.json")
    assert _codes(report) == [BlockError.code]
    assert not (tmp_path / "audit.json").exists()


def test_one_audit_at_a_time_uses_a_state(tmp_path: Path) -> None:
    write_log(tmp_path / "log", rounded([issue(0)]))
    state = tmp_path / "audit.json"
    with AuditFiles(state, ORIGIN_KEYS).held(), pytest.raises(AuditBusyError, match=r"audit\.json"):
        _audit(tmp_path / "log", state=state)
    assert not state.exists()
    assert _audit(tmp_path / "log", state=state).clean


def test_every_code_has_a_sentence_in_both_languages() -> None:
    for code in codes():
        assert sentence(code, "zh") != sentence(code, "en")
    assert sentence("entry.unknown_type", "en") == "An entry is malformed."
    assert sentence("nobody.knows", "zh") == "nobody.knows"


# --- the states' table


@example([(65_537, 1), (0, 1), (65_537, 1)])  # an outlier that comes again once it would be dense
@given(st.lists(st.tuples(st.one_of(st.integers(0, 300), st.integers(0, 2**40)), st.integers(1, 5)), max_size=60))
def test_dense_states_are_a_dictionary(items: list[tuple[int, int]]) -> None:
    dense, plain = DenseStates(), {}
    for serial, state in items:
        dense[serial] = state
        plain[serial] = state
        assert dense.get(serial) == state
    assert dict(dense) == plain
    assert len(dense) == len(plain)
    for serial in list(plain):
        del dense[serial]
    assert len(dense) == 0
    assert 5 not in dense


def test_a_huge_serial_takes_no_memory() -> None:
    states = DenseStates()
    states[2**40 - 1] = 1
    for serial in range(200_000):
        states[serial] = 1
    assert states[2**40 - 1] == 1
    assert len(states) == 200_001


def test_sparse_serials_take_no_memory() -> None:
    """Each just within reach of a table that doubles: 40 entries once asked for gigabytes."""
    states, serial = DenseStates(), 65_536
    for _ in range(40):
        states[serial] = 1
        serial = 2 * serial + 65_536
        assert len(states._dense) < 200_000
    assert len(states) == 40


def test_rules_without_keys_leave_signatures_out() -> None:
    check = RuleCheck(Book(origin=7, origin_name=NAME, keys=None), lambda _size: None)
    entries = rounded([issue(0, issuer=9), act(0, ActType.REVOKE, [0], issuer=9, key=STATUS)])
    assert [alarm for index, data in enumerate(entries) for alarm in check.take(index, data)] == []
    assert parse_entry(entries[0])


def test_the_state_survives_a_directory_that_is_gone(tmp_path: Path) -> None:
    public, state = tmp_path / "log", tmp_path / "audit.json"
    write_log(public, TWO)
    assert _audit(public, state=state).clean
    shutil.rmtree(public)
    kept = state.read_bytes()
    assert _codes(_audit(public, state=state)) == ["client.fetch_failed"]
    assert state.read_bytes() == kept


def test_second_proof_gets_a_second_file(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    write_log(tmp_path / "a", rounded([issue(0)]))
    assert _audit(tmp_path / "a", state=state).clean
    names = []
    for serial in (1, 2):
        write_log(tmp_path / f"b{serial}", rounded([issue(serial)]))
        names += _audit(tmp_path / f"b{serial}", state=state).evidence_files
    assert [Path(name).name for name in names] == ["0000.json", "0001.json"]


def test_trust_data_answer_for_their_keys_and_origins() -> None:
    keys = TrustActKeys(_with_origin_8())
    assert keys.record(KID) == _with_origin_8().keys[KID]
    assert keys.record(Kid(bytes(8))) is None
    names = [(issuer, origin) for issuer in (0, 1, 2) for origin in (6, 7, 8, 9) if keys.may_name(issuer, origin)]
    assert names == [(0, 7), (0, 8), (1, 7), (1, 8)]


@pytest.mark.parametrize("change", [{"role": Role.ACT}, {"issuer": 2}, {"origins": frozenset({8})}])
def test_a_key_writes_only_in_its_role_for_its_issuer_at_its_origins(tmp_path: Path, change: dict[str, object]) -> None:
    data = trust()
    keys = {**data.keys, KID: replace(data.keys[KID], **change)}  # type: ignore[arg-type]
    write_log(tmp_path / "log", rounded([issue(0)]))
    assert _codes(audit(replace(_plan(tmp_path / "log"), trust=replace(data, keys=keys)))) == ["rule.unknown_key"]


def test_every_alarm_is_documented() -> None:
    page = (LOGS.parent.parent.parent / "docs" / "audit.md").read_text(encoding="utf-8")
    for code in codes():
        assert f"| `{code}` | {sentence(code, 'zh')} | {sentence(code, 'en')} |" in page
