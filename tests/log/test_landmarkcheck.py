"""The auditor draws landmark lists again: honest ones are clean, every other is an alarm, also across runs."""

from dataclasses import replace
from pathlib import Path

import pytest
from logworld import NAME, ORIGIN_KEYS, LogWorld, issue, keyed, signer, trust

from mingzheng.log import monitor
from mingzheng.log.alarms import sentence
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.entry import LandmarkEntry, OriginHead, encode_entry
from mingzheng.log.hashing import Hash
from mingzheng.log.landmark import LIVE_SECONDS, LandmarkBody, landmark_entry
from mingzheng.log.landmarkcheck import CODE
from mingzheng.log.landmarkmaker import landmark_body, make_landmark
from mingzheng.log.monitor import AuditPlan, AuditReport, audit
from mingzheng.log.sequencer import EmbeddedLog

LANDMARK = signer("landmark")


def audited(world: LogWorld, state: Path | None = None) -> AuditReport:
    fetcher = DirectoryFetcher(world.public)
    return audit(AuditPlan(fetcher=fetcher, keys=ORIGIN_KEYS, trust=trust(), state_file=state, receipts_dir=None))


def grown(world: LogWorld) -> EmbeddedLog:
    log = world.create()
    for number in range(6):
        world.submit(log, *(issue(10 * number + place) for place in range(number + 1)))
    return log


def logged(world: LogWorld, log: EmbeddedLog, entry: LandmarkEntry) -> int:
    (index,) = log.submit(keyed([encode_entry(entry)]), now=world.now)
    return index


def test_honest_lists_are_clean_before_and_behind_the_live_range(world: LogWorld) -> None:
    log = grown(world)
    make_landmark(log, signer=LANDMARK, now=world.now)
    world.now += LIVE_SECONDS - 86_400
    make_landmark(log, signer=LANDMARK, now=world.now)
    world.now += 10 * 86_400
    made = make_landmark(log, signer=LANDMARK, now=world.now)
    assert made.body.start > 0
    report = audited(world)
    assert [alarm.code for alarm in report.alarms if alarm.code.startswith("audit.landmark")] == []
    assert sum(day.get("landmark", 0) for day in report.counts.values()) == 3


def _phantom(body: LandmarkBody) -> LandmarkEntry:
    return landmark_entry(replace(body, roots=bytes(32) + body.roots[32:]))


def _shorter(body: LandmarkBody) -> LandmarkEntry:
    """Begins later than the live range does."""
    length = body.rounds[0]
    return landmark_entry(
        replace(body, start=length, left=body.roots[:32], rounds=body.rounds[1:], roots=body.roots[32:])
    )


CHEATS = {
    "a block that the log never had": _phantom,
    "a list that leaves old rounds out": _shorter,
    "another hash": lambda body: replace(landmark_entry(body), sha256=bytes(32)),
    "other times": lambda body: replace(landmark_entry(body), next_update=body.next_update + 1),
    "a head inside a round": lambda body: replace(
        landmark_entry(body), origins=(body.head._replace(size=body.head.size - 1),)
    ),
    "another log beside": lambda body: replace(
        landmark_entry(body), origins=(OriginHead(5, 0, Hash(bytes(32))), body.head)
    ),
    "another log behind": lambda body: replace(
        landmark_entry(body), origins=(body.head, OriginHead(9, 0, Hash(bytes(32))))
    ),
}


@pytest.mark.parametrize("case", CHEATS)
def test_every_other_list_is_an_alarm(case: str, world: LogWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.log.book.Book._heads", lambda *_: iter(()))  # the sequencer looks away
    log = grown(world)
    body = landmark_body(log, now=world.now)
    index = logged(world, log, CHEATS[case](body))
    report = audited(world)
    assert [(alarm.code, alarm.index) for alarm in report.alarms] == [(CODE, index)]
    for lang in ("zh", "en"):
        assert sentence(CODE, lang) not in ("", CODE)
    assert report.origin == NAME


def test_an_alarm_stays_across_runs_and_each_list_is_drawn_once(
    world: LogWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "SAVE_EVERY", 4)
    log = grown(world)
    state = tmp_path / "audit.json"
    index = logged(world, log, _phantom(landmark_body(log, now=world.now)))
    first = audited(world, state)
    assert [(alarm.code, alarm.index) for alarm in first.alarms] == [(CODE, index)]
    make_landmark(log, signer=LANDMARK, now=world.now)
    later = logged(world, log, _phantom(landmark_body(log, now=world.now)))
    second = audited(world, state)
    assert [(alarm.code, alarm.index) for alarm in second.alarms] == [(CODE, index), (CODE, later)]
    assert [alarm.index for alarm in audited(world, state).alarms] == [index, later]


def test_a_false_list_is_an_alarm_before_what_stands_behind_it_is_kept(
    world: LogWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The progress is written after every round: what it says was judged, was."""
    monkeypatch.setattr(monitor, "SAVE_EVERY", 1)
    log = grown(world)
    index = logged(world, log, _phantom(landmark_body(log, now=world.now)))
    world.submit(log, issue(100))
    state = tmp_path / "audit.json"
    assert [alarm.index for alarm in audited(world, state).alarms] == [index]
    again = audited(world, state)
    assert ([alarm.index for alarm in again.alarms], again.resumed_from) == ([index], log.head()[0])
