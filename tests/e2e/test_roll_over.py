"""A workspace whose yearly log ends: copies, acts, receipts, trust data and audits on both sides of the border."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from office import DAY, NOW, Office, person

import mingzheng.verifier.cli as verifier_commands
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.lifecycle import find_serial, perform
from mingzheng.issuer.render import Renderer
from mingzheng.issuer.rollover import announce, roll_over
from mingzheng.issuer.workspace import log_vkey
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.cli import log_group
from mingzheng.log.fsck import fsck
from mingzheng.log.receipt import parse_compact_receipt
from mingzheng.log.status import open_status_list

NEXT = "test.example/log-2"
DAYS = (DAY - 400, DAY + 1_000)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are not forced to the disk: no power fails here."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def unprinted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are logged and not drawn."""
    monkeypatch.setattr(Renderer, "deliver", lambda _renderer, _row: ())


def rolled(office: Office, now: int) -> None:
    with office.open() as workspace:
        assert roll_over(workspace, 2, NEXT, days=DAYS, now=now).done


def exported(office: Office, now: int) -> None:
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=now)


def rows(office: Office, monkeypatch: pytest.MonkeyPatch, now: int, policy: str = "site") -> dict[str, tuple[str, str]]:
    """Verdict and grade of every file, by file name, as a verifier without a network is told."""
    monkeypatch.setattr(verifier_commands.time, "time", lambda: float(now))
    arguments = [str(office.out), "--trust", str(office.base / "trust"), "--policy", policy, "--json"]
    result = CliRunner().invoke(verifier_commands.verify, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return {Path(row["file"]).name: (row["verdict"], row["grade"]) for row in found}


def audited(office: Office, log: str, *options: str) -> dict[str, object]:
    arguments = ["audit", str(office.root / log / "public"), "--trust", str(office.base / "trust"), "--json", *options]
    report: dict[str, object] = json.loads(CliRunner().invoke(log_group, arguments).stdout)
    return report


def test_certificates_live_on_over_the_border(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    old, doomed = office.issue([person(1), person(2)])
    with office.open() as workspace:
        announce(workspace, 2, NEXT, days=DAYS)
    exported(office, NOW + 60)
    good = ("VALID", "LOG_WORD")
    rolled(office, NOW + 120)
    (new,) = office.issue([person(3)], now=NOW + 150)
    expected = {item.path.name: good for item in (old, doomed, new)}  # log 2 was announced in the export before
    assert rows(office, monkeypatch, NOW + 200) == expected
    with office.open() as workspace:
        target = find_serial(workspace, serial=doomed.row.serial, issuer=1)
        perform(workspace, ActType.REVOKE, target, reason="fraud", now=NOW + 240)
    (fresh,) = office.issue([person(1)], now=NOW + 360, purpose="另一次投标")  # a usage copy of an old certificate
    exported(office, NOW + 420)
    changed = {doomed.path.name: ("REVOKED", "LOG_WORD"), fresh.path.name: good}
    assert rows(office, monkeypatch, NOW + 480) == expected | changed
    origins = [parse_compact_receipt(item.row.receipt or b"").origin for item in (old, new, fresh)]
    assert origins == [1, 2, 2]
    assert [item.row.shard for item in (old, new, fresh)] == [0, 1, 1]


@pytest.mark.usefixtures("unprinted")
def test_an_auditor_follows_both_logs(office: Office, tmp_path: Path) -> None:
    office.issue([person(1), person(2)])
    exported(office, NOW + 60)
    rolled(office, NOW + 120)
    with office.open() as workspace:
        perform(workspace, ActType.SUSPEND, find_serial(workspace, serial=0, issuer=1), reason="x", now=NOW + 180)
    office.issue([person(3)], now=NOW + 240)
    exported(office, NOW + 300)
    first = audited(office, "log", "--state", str(tmp_path / "one.json"))
    assert (first["clean"], first["alarms"]) == (True, [])
    second = audited(office, "log-2", "--before", str(tmp_path / "one.json.closed"))
    assert (second["clean"], second["alarms"]) == (True, [])
    alone = audited(office, "log-2")
    assert not alone["clean"]  # what it goes on from is not known
    with office.open() as workspace:
        for number, name in ((1, "log"), (2, "log-2")):
            assert fsck(office.root / name, vkey=parse_vkey(log_vkey(workspace.config, number))).clean


@pytest.mark.usefixtures("unprinted")
def test_the_trust_data_name_every_log(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        announce(workspace, 2, NEXT, days=DAYS)
    exported(office, NOW + 60)
    ahead = load_store(office.base / "trust").data
    assert sorted(ahead.origins) == [1, 2]
    assert (ahead.origins[2].name, "checkpoints/2" in ahead.blobs) == (NEXT, False)
    assert ahead.receipt_key(2) is not None
    rolled(office, NOW + 120)
    exported(office, NOW + 180)
    data = load_store(office.base / "trust").data
    assert data.receipt_key(2) == ahead.receipt_key(2)  # what was announced
    assert {frozenset(key.origins) for key in data.keys.values() if key.issuer} == {frozenset({1, 2})}
    for number, name in ((1, "log"), (2, "log-2")):
        keys = (data.receipt_key(number), data.checkpoint_key(number))
        assert [key and key.origins for key in keys] == [frozenset({number})] * 2
        checkpoint = (office.root / name / "public" / "checkpoint").read_bytes()
        assert data.blobs[f"checkpoints/{number}"] == checkpoint
    with office.open() as workspace:
        vkey = parse_vkey(log_vkey(workspace.config, 1))
        (closed,) = workspace.config.closed
    head = open_checkpoint(data.blobs["checkpoints/1"], vkeys=[vkey], origin=vkey.name)
    (status,) = data.keys_of(Role.STATUS, 1)
    body = open_status_list(data.blobs["status/1.cbor"], status.public_key)
    assert [item.origin for item in body.origins] == [1, 2]
    assert (body.origins[0].size, body.origins[0].root) == (head.size, head.root) == (closed.size, head.root)
