"""What an audit asks of witnesses: a quorum on the head, and times that do not contradict theirs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from logworld import CHECKPOINT, ORIGIN_KEYS, issue, rounded, trust, write_log
from logworld import NOW as START
from witnessworld import cosigner

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.alg import Alg
from mingzheng.keys.trust import Role, TrustData
from mingzheng.keys.vkey import format_vkey
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.cosign import Cosigner
from mingzheng.log.monitor import AuditPlan, AuditReport, audit

DAY = 86_400
W1, W2, STRANGER = (cosigner(name, Alg.ED25519) for name in ("w1", "w2", "w3"))


def _policy(threshold: int = 1) -> str:
    lines = [f"witness {name} {format_vkey(who.vkeys[0])}" for name, who in (("a", W1), ("b", W2))]
    return "\n".join([*lines, f"group g {threshold} a b", "quorum g", ""])


def _trust(threshold: int = 1, **change: object) -> TrustData:
    """With the records of both witnesses; `change`: of the first one's."""
    data = trust()
    ours = data.keys[CHECKPOINT.public_key.kid]
    for number, who in enumerate((W1, W2)):
        vkey = who.vkeys[0]
        record = replace(ours, kid=vkey.public_key.kid, role=Role.WITNESS, public_key=vkey.public_key, name=vkey.name)
        data = replace(data, keys={**data.keys, record.kid: replace(record, **({} if number else change))})  # type: ignore[arg-type]
    return replace(data, quorum=_policy(threshold))


def _audit(
    public: Path, state: Path | None = None, *, threshold: int = 1, data: TrustData | None = None
) -> AuditReport:
    return audit(
        AuditPlan(
            fetcher=DirectoryFetcher(public),
            keys=ORIGIN_KEYS,
            trust=data or _trust(threshold),
            state_file=state,
            receipts_dir=None,
        )
    )


def _publish(public: Path, entries: Sequence[bytes], *seen: tuple[Cosigner, int]) -> None:
    """A log whose head these witnesses cosigned at these times."""
    note = write_log(public, entries)
    text = note.decode().split("\n\n", 1)[0] + "\n"
    lines = "".join(who.cosign(text, time=at) for who, at in seen)
    (public / "checkpoint").write_bytes(note + lines.encode())


def _codes(report: AuditReport) -> list[str]:
    return [alarm.code for alarm in report.alarms]


FIRST = rounded([issue(0)])


def test_a_head_with_its_quorum_is_clean(tmp_path: Path) -> None:
    _publish(tmp_path / "log", FIRST, (W1, START + 1), (STRANGER, START + 1))
    assert _audit(tmp_path / "log").clean


@pytest.mark.parametrize(
    ("seen", "threshold", "want"),
    [
        ([], 1, ["witness.quorum_not_met"]),
        ([(STRANGER, START)], 1, ["witness.quorum_not_met"]),
        ([(W1, START)], 2, ["witness.quorum_not_met"]),
        ([(W1, START), (W2, START + DAY)], 2, []),
    ],
)
def test_a_head_without_its_quorum_is_not_accepted(
    tmp_path: Path, seen: list[tuple[Cosigner, int]], threshold: int, want: list[str]
) -> None:
    _publish(tmp_path / "log", FIRST, *seen)
    state = tmp_path / "audit.json"
    assert _codes(_audit(tmp_path / "log", state, threshold=threshold)) == want
    assert state.exists() is (not want)


@pytest.mark.parametrize(
    "change",
    [{"compromised": {}}, {"origins": frozenset({8})}, {"valid_until": day_of_time(START) - 1}, {"role": Role.RECEIPT}],
    ids=str,
)
def test_who_does_not_count_for_a_verifier_does_not_count_here(tmp_path: Path, change: dict[str, object]) -> None:
    _publish(tmp_path / "log", FIRST, (W1, START + 1))
    state = tmp_path / "audit.json"
    report = _audit(tmp_path / "log", state, data=_trust(**change))
    assert _codes(report) == ["policy.unbound" if "role" in change else "witness.quorum_not_met"]
    assert not state.exists()


def test_a_quorum_of_none_asks_nobody(tmp_path: Path) -> None:
    write_log(tmp_path / "log", FIRST)
    assert _audit(tmp_path / "log", data=replace(trust(), quorum="quorum none\n")).clean


def test_a_broken_line_of_a_known_witness_is_an_alarm(tmp_path: Path) -> None:
    _publish(tmp_path / "log", FIRST, (W1, START))
    note = tmp_path / "log/checkpoint"
    body = note.read_bytes().splitlines(keepends=True)
    last = body[-1]
    note.write_bytes(b"".join(body[:-1]) + last[:-20] + (b"A" if last[-20:-19] != b"A" else b"B") + last[-19:])
    assert len(_audit(tmp_path / "log").alarms) == 1


@pytest.mark.parametrize(
    ("times", "want"),
    [
        ([START], []),
        ([START - DAY], []),
        ([START - DAY - 1], ["audit.witness_time"]),
        ([START - DAY - 1, START], []),
    ],
)
def test_the_log_is_not_ahead_of_every_witness(tmp_path: Path, times: list[int], want: list[str]) -> None:
    _publish(tmp_path / "log", FIRST, *zip((W1, W2), times, strict=False))
    assert _codes(_audit(tmp_path / "log")) == want


@pytest.mark.parametrize(
    ("times", "want"),
    [
        ([START + DAY], []),
        ([START + DAY + 1], []),
        ([START + DAY + 2], ["audit.witness_time"]),
        ([START + 9 * DAY, START + DAY], []),
    ],
)
def test_no_round_is_dated_before_what_witnesses_had_seen(tmp_path: Path, times: list[int], want: list[str]) -> None:
    """The next round says START + 1: an operator who turns its clock back."""
    state = tmp_path / "audit.json"
    _publish(tmp_path / "a", FIRST, *zip((W1, W2), times, strict=False))
    assert _audit(tmp_path / "a", state).clean
    entries = [*FIRST, *rounded([issue(1)], now=START + 1)]
    _publish(tmp_path / "b", entries, *zip((W1, W2), [at + 1 for at in times], strict=False))
    report = _audit(tmp_path / "b", state)
    assert _codes(report) == want
    assert all(alarm.index == 3 for alarm in report.alarms)


def test_a_state_without_cosignatures_says_nothing_of_times(tmp_path: Path) -> None:
    state = tmp_path / "audit.json"
    write_log(tmp_path / "a", FIRST)
    plain = AuditPlan(
        fetcher=DirectoryFetcher(tmp_path / "a"), keys=ORIGIN_KEYS, trust=trust(), state_file=state, receipts_dir=None
    )
    assert audit(plain).clean
    _publish(tmp_path / "b", [*FIRST, *rounded([issue(1)], now=START + 1)], (W1, START + 1))
    assert _audit(tmp_path / "b", state).clean
