"""The auditor at full strength: nine misdeeds in a long log and nothing else, proofs that stand alone, runs resumed."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import FULL
from crookedlog import BURST, NINE, CrookedLog, crooked, crooked_trust
from logworld import ACT, CREDENTIAL, DAY, IDENTITY, NAME, NOW, ORIGIN_KEYS, act, issue, key_event, rounded, write_log

from mingzheng.keys.snapshot import save_store
from mingzheng.keys.trust import format_trust
from mingzheng.log import gather as gather_module
from mingzheng.log import monitor as monitor_module
from mingzheng.log.acts import ActType
from mingzheng.log.cli import log_group
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.entry import FillerEntry, KeyEventType, TimeEntry, encode_entry
from mingzheng.log.evidence import EvidenceError, check_evidence, parse_evidence
from mingzheng.log.monitor import AuditPlan, AuditReport, audit
from mingzheng.log.patterns import parse_burst

SIZE = 100_000 if FULL else 3_000
HERE = Path(__file__).parent


def _plan(public: Path, state: Path | None, **more: object) -> AuditPlan:
    plan = AuditPlan(
        fetcher=DirectoryFetcher(public),
        keys=ORIGIN_KEYS,
        trust=crooked_trust(),
        state_file=state,
        receipts_dir=None,
        bursts=(parse_burst(BURST),),
    )
    return replace(plan, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def crook(tmp_path_factory: pytest.TempPathFactory) -> tuple[CrookedLog, Path]:
    """The log, and a directory with it (`log`) and the state of an auditor who had seen another (`audit.json`)."""
    root = tmp_path_factory.mktemp("crooked")
    made = crooked(SIZE)
    write_log(root / "log", made.entries)
    other = rounded([issue(0), issue(1)], [issue(2)])
    write_log(root / "other", other)
    assert audit(_plan(root / "other", root / "audit.json")).clean
    return made, root


def _state(root: Path, name: str) -> Path:
    """A copy of the state of the auditor who had seen another log."""
    path = root / f"{name}.json"
    path.write_bytes((root / "audit.json").read_bytes())
    return path


def _codes(report: AuditReport) -> list[str]:
    return sorted(alarm.code for alarm in report.alarms)


def test_nine_misdeeds_are_nine_alarms(crook: tuple[CrookedLog, Path]) -> None:
    made, root = crook
    report = audit(_plan(root / "log", _state(root, "nine")))
    assert report.entries == len(made.entries) >= SIZE
    assert _codes(report) == sorted(NINE), Counter(_codes(report))
    assert report.resumed_from == 0
    total = Counter[str]()
    for counts in report.counts.values():
        total.update(counts)
    assert (total["issue.1"] + total["issue.2"], total["issue.2"], total["revoke"]) == (made.serial, 110, 4)
    print(f"entries {report.entries}, alarms {len(report.alarms)}")


def test_every_one_of_the_nine_is_proved_without_the_log(crook: tuple[CrookedLog, Path]) -> None:
    _made, root = crook
    report = audit(_plan(root / "log", _state(root, "proofs")))
    proofs = root / "proofs.json.evidence"
    claims = []
    for alarm in report.alarms:
        evidence = parse_evidence((proofs / str(alarm.evidence["file"])).read_bytes())
        claim = check_evidence(evidence, vkey=IDENTITY.vkey(), origin=NAME, trust=crooked_trust())
        assert claim in (alarm.code, alarm.code.removeprefix("audit."))
        claims.append(claim)
        with pytest.raises(EvidenceError):
            check_evidence(evidence, vkey=IDENTITY.vkey(), origin="log.example.cn/2", trust=crooked_trust())
    assert len(claims) == len(list(proofs.iterdir())) == 9
    again = audit(_plan(root / "log", _state(root, "proofs")))
    assert [alarm.evidence for alarm in again.alarms] == [alarm.evidence for alarm in report.alarms]
    assert len(list(proofs.iterdir())) == 9


def test_the_command_says_so(crook: tuple[CrookedLog, Path], tmp_path: Path) -> None:
    _made, root = crook
    store, state = tmp_path / "trust", _state(root, "command")
    save_store(store, format_trust(crooked_trust()))
    arguments = ["audit", str(root / "log"), "--trust", str(store), "--state", str(state), "--burst", BURST, "--json"]
    done = CliRunner().invoke(log_group, arguments)
    assert done.exit_code == 1
    assert sorted(alarm["code"] for alarm in json.loads(done.output)["alarms"]) == sorted(NINE)
    for path in sorted((root / "command.json.evidence").iterdir()):
        arguments = ["evidence", str(path), "--trust", str(store), "--origin", NAME]
        proved = CliRunner().invoke(log_group, arguments)
        assert (proved.exit_code, "已证明" in proved.output) == (0, True), proved.output
        kind = json.loads(path.read_bytes())
        assert (f"limit 限额 {BURST}" in proved.output) is (kind.get("claim") == "audit.burst")


KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from mingzheng.log import auditfiles, monitor
from log_auditor import _plan
monitor.SAVE_EVERY = {every}
kept, left = auditfiles.AuditFiles.keep_progress, [{kills}]
def keep(files, progress):
    kept(files, progress)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
auditfiles.AuditFiles.keep_progress = keep
monitor.audit(_plan(Path({log!r}), Path({state!r})))
"""


@pytest.mark.parametrize("kills", [1, 2, 3] if FULL else [2])
def test_a_killed_run_goes_on_and_finds_the_same(crook: tuple[CrookedLog, Path], tmp_path: Path, kills: int) -> None:
    """SIGKILL behind the writing of the progress file, in a process of its own."""
    made, root = crook
    state = _state(root, f"killed{kills}")
    (tmp_path / "log_auditor.py").write_bytes(Path(__file__).read_bytes())
    program = KILLED.format(
        paths=[str(tmp_path), str(HERE.parent)], every=SIZE // 5, kills=kills, log=str(root / "log"), state=str(state)
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr
    report = audit(_plan(root / "log", state))
    assert report.resumed_from >= kills * SIZE // 6
    assert report.entries == len(made.entries)
    assert _codes(report) == sorted(NINE)
    fresh = audit(_plan(root / "log", state, from_start=True))
    assert fresh.resumed_from == 0
    assert (_codes(fresh), fresh.counts) == (_codes(report), report.counts)
    again = audit(_plan(root / "log", state))
    assert again.resumed_from == len(made.entries)
    assert (_codes(again), again.counts) == (_codes(report), report.counts)


# --- going on


def test_a_log_judged_in_any_pieces_is_judged_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every end of a round the log is what was published so far; all that is found at last is the same."""
    made = crooked(400)
    whole = tmp_path / "whole"
    write_log(whole, made.entries)
    want = audit(_plan(whole, tmp_path / "whole.json"))
    monkeypatch.setattr(monitor_module, "SAVE_EVERY", 64)
    ends = [at + 1 for at in range(1, len(made.entries), 2) if _ends_round(made.entries, at)]
    state = tmp_path / "pieces.json"
    for number, end in enumerate([*ends[5::17], len(made.entries)]):
        piece = tmp_path / f"piece{number}"
        write_log(piece, made.entries[:end])
        got = audit(_plan(piece, state))
        assert (got.resumed_from > 0) == (number > 0)
    assert [a.code for a in got.alarms] == [a.code for a in want.alarms]
    assert [a.index for a in got.alarms] == [a.index for a in want.alarms]
    assert (got.counts, got.entries) == (want.counts, want.entries)


def _ends_round(entries: list[bytes], at: int) -> bool:
    return entries[at].startswith(b"\x83\x01\x07") or entries[at] == b"\x82\x01\x08"


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Path, Path]:
    """A log of two rounds and the state of a clean audit of it."""
    public, state = tmp_path / "log", tmp_path / "audit.json"
    write_log(public, rounded([issue(0)], [issue(1)]))
    assert audit(_plan(public, state)).clean
    assert audit(_plan(public, state)).resumed_from == 4
    return public, state


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other version", "gone"])
def test_a_doubtful_progress_file_costs_a_run_from_the_start(judged: tuple[Path, Path], damage: str) -> None:
    public, state = judged
    path = state.with_name("audit.json.progress")
    data = bytearray(path.read_bytes())
    match damage:
        case "flipped":
            data[len(data) // 2] ^= 1
        case "cut":
            del data[-1:]
        case "empty":
            data.clear()
        case "other version":
            data[:28] = data[:28].replace(b"v1", b"v2")
    path.write_bytes(data)
    if damage == "gone":
        path.unlink()
    report = audit(_plan(public, state))
    assert (report.clean, report.resumed_from) == (True, 0)
    assert audit(_plan(public, state)).resumed_from == 4


def test_other_rules_start_over(judged: tuple[Path, Path]) -> None:
    public, state = judged
    data = crooked_trust()
    record = replace(data.keys[CREDENTIAL.public_key.kid], kinds=frozenset({2}))
    other = replace(data, keys={**data.keys, record.kid: record})
    report = audit(_plan(public, state, trust=other))
    assert (report.resumed_from, _codes(report)) == (0, ["rule.key_kind"] * 2)
    assert audit(_plan(public, state, bursts=())).resumed_from == 0
    assert audit(_plan(public, state, bursts=())).resumed_from == 4


def test_another_tree_below_is_read_again(judged: tuple[Path, Path], tmp_path: Path) -> None:
    """The progress of one log is never taken for another's, whatever the heads say."""
    _public, state = judged
    write_log(tmp_path / "other", rounded([issue(0)], [issue(1, day=DAY - 2)], [issue(2)]))
    report = audit(_plan(tmp_path / "other", state))
    assert report.resumed_from == 0
    assert _codes(report) == ["audit.backdated", "audit.history_changed"]


def test_what_was_found_once_is_said_until_a_run_from_the_start(tmp_path: Path) -> None:
    entries = rounded([issue(0), issue(0)])
    public, state = tmp_path / "log", tmp_path / "audit.json"
    write_log(public, entries)
    assert _codes(audit(_plan(public, state))) == ["rule.serial_order"]
    write_log(tmp_path / "more", [*entries, *rounded([issue(1)])])
    report = audit(_plan(tmp_path / "more", state))
    assert (report.resumed_from, _codes(report)) == (4, ["rule.serial_order"])


def test_a_loss_that_becomes_known_later_counts_what_was_judged_before(tmp_path: Path) -> None:
    entries = rounded([issue(0), issue(1)])
    state, lost = tmp_path / "audit.json", KeyEventType.COMPROMISED
    kid = CREDENTIAL.public_key.kid
    steps = [
        ([], None),
        ([key_event(0, lost, kid, 1)], 1),
        ([issue(2)], 2),
        ([act(1, ActType.REVOKE, [0])], 2),
        ([key_event(2, lost, kid, 0)], 3),
    ]
    for number, (more, count) in enumerate(steps):
        entries += rounded(more) if more else []
        write_log(tmp_path / f"log{number}", entries)
        report = audit(_plan(tmp_path / f"log{number}", state))
        assert (report.resumed_from > 0) == (number > 0)
        assert [alarm.evidence["entries"] for alarm in report.alarms] == ([] if count is None else [count])


# --- gaps


def _days(*rounds: tuple[float, list[int]]) -> list[bytes]:
    """Issues of serials at so many days after NOW."""
    entries: list[bytes] = []
    for days, serials in rounds:
        now = NOW + int(days * 86_400)
        given = [issue(at, day=(now + 28_800) // 86_400) for at in serials]
        entries += [*given, encode_entry(TimeEntry(seconds=now))]
        if len(entries) % 2:
            entries.append(encode_entry(FillerEntry()))
    return entries


GAPS: dict[str, tuple[list[bytes], list[tuple[int, int]]]] = {
    "none": (_days((0, [0, 1]), (2, [2])), []),
    "younger than a day": (_days((0, [0]), (0.5, [3]), (1.49, [4])), []),
    "a day old": (_days((0, [0]), (0.5, [3]), (1.5, [4])), [(1, 2)]),
    "closed late": (_days((0, [0]), (0.5, [2]), (3, [1])), []),
    "two ranges and one too young": (_days((0, [1, 4]), (2, [9])), [(0, 3)]),
    "an outlier": (_days((0, [2**40 - 1]), (2, [0])), [(1, 2**40 - 2)]),
    "voided": ([*_days((0, [0, 2])), *rounded([act(0, ActType.VOID, [1])]), *_days((2, [3]))], []),
}


@pytest.mark.parametrize("case", GAPS)
def test_serials_left_out_for_a_day_are_an_alarm(tmp_path: Path, case: str) -> None:
    entries, want = GAPS[case]
    write_log(tmp_path / "log", entries)
    report = audit(_plan(tmp_path / "log", tmp_path / "audit.json"))
    assert [(a.evidence["first"], a.evidence["serials"]) for a in report.alarms if a.code == "audit.gap"] == want
    assert len(report.alarms) == len(want)
    again = audit(_plan(tmp_path / "log", tmp_path / "audit.json"))
    assert [a.detail for a in again.alarms] == [a.detail for a in report.alarms]


# --- bursts


@pytest.mark.parametrize(
    ("limits", "want"),
    [
        (["1:2/hour"], 1),
        (["1:3/hour"], 0),
        (["*:2/hour"], 2),
        (["*:3/day"], 2),
        (["1:4/day", "2:1/hour"], 2),
        (["3:1/day"], 0),
        ([], 0),
    ],
)
def test_bursts_count_by_issuer_kind_and_window(tmp_path: Path, limits: list[str], want: int) -> None:
    now = NOW - NOW % 86_400 + 5 * 3_600  # 13:00 in Shanghai
    days = {"day": (now + 28_800) // 86_400}
    entries = rounded([issue(0, **days), issue(1, **days), issue(2, kind=2, **days)], now=now)
    entries += rounded([issue(3, **days), issue(4, kind=2, **days), issue(5, kind=2, **days)], now=now + 3_599)
    entries += rounded([issue(6, **days), issue(7, **days)], now=now + 3_600)
    entries += rounded([issue(8, kind=2, **days)], now=now + 3_601)
    write_log(tmp_path / "log", entries)
    plan = _plan(tmp_path / "log", tmp_path / "audit.json", bursts=tuple(parse_burst(text) for text in limits))
    report = audit(plan)
    assert _codes(report) == ["audit.burst"] * want
    for alarm in report.alarms:
        evidence = parse_evidence((tmp_path / "audit.json.evidence" / str(alarm.evidence["file"])).read_bytes())
        assert check_evidence(evidence, vkey=IDENTITY.vkey(), origin=NAME) == "audit.burst"


# --- the course of keys


ADDED, RETIRED, LOST = KeyEventType.ADDED, KeyEventType.RETIRED, KeyEventType.COMPROMISED


@pytest.mark.parametrize(
    ("events", "want"),
    [
        ([ADDED, RETIRED, LOST, LOST], []),
        ([RETIRED, LOST], []),
        ([ADDED, ADDED], ["audit.key_chain"]),
        ([RETIRED, RETIRED], ["audit.key_chain"]),
        ([LOST, RETIRED], ["audit.key_chain"]),
        ([RETIRED, ADDED], ["audit.key_chain", "rule.key_retired"]),
    ],
)
def test_key_events_follow_one_another(tmp_path: Path, events: list[KeyEventType], want: list[str]) -> None:
    made = [key_event(number, event, ACT.public_key.kid, 9) for number, event in enumerate(events)]
    write_log(tmp_path / "log", rounded(made))
    assert _codes(audit(_plan(tmp_path / "log", None))) == want


def test_a_key_is_added_before_it_signs_and_is_the_issuers(tmp_path: Path) -> None:
    entries = rounded([issue(0)], [key_event(0, ADDED, CREDENTIAL.public_key.kid)])
    write_log(tmp_path / "a", entries)
    assert _codes(audit(_plan(tmp_path / "a", None))) == ["audit.key_chain"]
    write_log(tmp_path / "b", rounded([key_event(0, ADDED, type(CREDENTIAL.public_key.kid)(bytes(8)))]))
    assert _codes(audit(_plan(tmp_path / "b", None))) == ["audit.key_chain"]


def test_time_that_goes_back_is_proved_alone(tmp_path: Path) -> None:
    state = tmp_path / "audit.json"
    write_log(tmp_path / "log", [*rounded([issue(0)]), *rounded([issue(1)], now=NOW - 9)])
    (alarm,) = audit(_plan(tmp_path / "log", state)).alarms
    evidence = parse_evidence((tmp_path / "audit.json.evidence" / str(alarm.evidence["file"])).read_bytes())
    assert check_evidence(evidence, vkey=IDENTITY.vkey(), origin=NAME) == "audit.time_backwards"


def test_too_many_alarms_are_said_not_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "MAX_CHARGES", 3)
    write_log(tmp_path / "log", rounded([b"\x00"] * 9))
    report = audit(_plan(tmp_path / "log", tmp_path / "audit.json"))
    assert (len(report.alarms), len(report.evidence_files)) == (9, 3)
    assert report.notes == ("6 alarms without an evidence file: too many, or too long",)
    again = audit(_plan(tmp_path / "log", tmp_path / "audit.json"))
    assert len(again.evidence_files) == 6


def test_evidence_of_one_run_is_capped_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "MAX_CHARGED_BYTES", 1)
    write_log(tmp_path / "log", rounded([b"\x00"] * 9))
    report = audit(_plan(tmp_path / "log", tmp_path / "audit.json"))
    assert (len(report.alarms), len(report.evidence_files)) == (9, 1)
    assert report.notes == ("8 alarms without an evidence file: too many, or too long",)


def test_a_charge_too_long_for_a_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_module, "MAX_ENTRIES", 2)
    write_log(tmp_path / "log", rounded([issue(0, day=DAY - 2), *(issue(at) for at in range(1, 9))]))
    report = audit(_plan(tmp_path / "log", tmp_path / "audit.json"))
    assert (_codes(report), report.evidence_files) == (["audit.backdated"], ())
    assert report.notes[0].startswith("1 alarms without an evidence file")
    store = tmp_path / "trust"
    save_store(store, format_trust(crooked_trust()))
    arguments = ["audit", str(tmp_path / "log"), "--trust", str(store), "--state", str(tmp_path / "b.json")]
    assert "项警报没有证据文件" in CliRunner().invoke(log_group, arguments).output
