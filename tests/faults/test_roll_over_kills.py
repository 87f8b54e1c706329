"""Kill the roll-over of a workspace's log before every write; then run it again and look at everything.

Write points are found by `crashpoints`, as for the issuing command. A few by default, all with MINGZHENG_FULL=1.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import FULL
from crashpoints import run
from office import DAY, NOW, Office, SeededVault, person

from mingzheng.issuer.render import Renderer
from mingzheng.issuer.rollover import RolledOver, roll_over
from mingzheng.issuer.workspace import log_vkey
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.entry import CloseEntry, IssueEntry, ShardEntry, parse_entry
from mingzheng.log.fsck import fsck

NEXT = "test.example/log-2"
FIRST, STEP = (0, 1) if FULL else (45, 70)


def scene(base: Path) -> Office:
    base.mkdir()
    office = Office(base).build()
    office.issue([person(1)])
    return office


@pytest.fixture(autouse=True)
def unprinted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are logged and not drawn: what is killed is the roll-over. A kill loses nothing that was not forced."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(Renderer, "deliver", lambda _renderer, _row: ())


def rolled(office: Office, now: int = NOW + 60) -> RolledOver:
    with office.open() as workspace:
        return roll_over(workspace, 2, NEXT, days=(DAY - 400, DAY + 1_000), now=now)


def check_world(office: Office) -> None:
    """One log is closed, the other goes on from it; both are whole; the ledger and the files name what is there."""
    with office.open() as workspace:
        config = workspace.config
        vkeys = [parse_vkey(log_vkey(config, number)) for number in (1, 2)]
        rows = {row.serial: row for row in workspace.ledger.all_copies()}
    assert (config.origin.number, config.following) == (2, None)
    assert sum(key.role is Role.RECEIPT for key in config.keys) == 2
    entries = []
    for name, vkey in zip(("log", "log-2"), vkeys, strict=True):
        assert fsck(office.root / name, vkey=vkey).clean
        reader = LogReader(DirectoryFetcher(office.root / name / "public"), vkey)
        reader.refresh()
        entries.append([parse_entry(data) for _, data in reader.entries(0, reader.checkpoint().size)])
    old, new = entries
    assert len(old) == config.closed[0].size
    assert [entry.successor for entry in old if isinstance(entry, CloseEntry)] == [2]
    assert isinstance(new[0], ShardEntry)
    assert [(head.origin, head.size) for head in new[0].origins] == [(1, len(old))]
    issued = {
        entry.serial: (shard, entry) for shard in (0, 1) for entry in entries[shard] if isinstance(entry, IssueEntry)
    }
    assert {serial: shard for serial, (shard, _) in issued.items()} == {
        serial: row.shard for serial, row in rows.items()
    }


def test_killed_before_any_write_a_roll_over_ends_the_same_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office, done = scene(tmp_path / "count"), set()
    outcome = run(lambda _report: (rolled(office), None)[1])
    assert not outcome.killed
    built = len(outcome.points)
    for fatal in range(FIRST, built, STEP):
        office = scene(tmp_path / str(fatal))
        assert run(lambda _report, office=office: (rolled(office), None)[1], kill_at=fatal).killed
        office.access = replace(office.access, vault=SeededVault(f"after {fatal}"))  # real keys never come twice
        done.add(rolled(office, NOW + 120).done)
        office.issue([person(2)], now=NOW + 180)
        check_world(office)
        assert not rolled(office, NOW + 240).done
        shutil.rmtree(tmp_path / str(fatal))
    with capsys.disabled():
        print(f"\nroll-over: {built} write points, killed before {len(range(FIRST, built, STEP))}", end=" ")
    assert built > 40
    assert True in done
