"""Kill the issuing command before every write of ledger, log and files; then run it again and look at everything.

Write points are not listed by hand: `crashpoints` finds every call that changes a file and every SQLite statement that
is not a query, and kills the child process by SIGKILL before the n-th. By default every seventh point is taken, all of
them with MINGZHENG_FULL=1.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import FULL
from crashpoints import run
from office import DAY, NOW, Office, SeededSealVault, person

import mingzheng.issuer.issue as issue_module
from mingzheng.formats.candidate import SealFacts
from mingzheng.formats.civil import day_start
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.lifecycle import find_registration, perform
from mingzheng.issuer.publish import entry_of
from mingzheng.issuer.refusals import LedgerBehindLogError
from mingzheng.issuer.schema import CopyState, CopyStatus, FileForm
from mingzheng.issuer.workspace import log_vkey
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.entry import ActEntry, IssueEntry, parse_entry
from mingzheng.log.refusal import AnchorRefusedError, BehindMemoryError, RestoredBackupError
from mingzheng.log.status import open_status_list

STEP = 1 if FULL else 29
SEALED_STEP = 1 if FULL else 67
CHANGED = person(1, employer="上海示例建设有限公司")
FIRST = [person(1), person(2)]
SECOND = [CHANGED, person(2), person(3)]  # one with changed data, one known, one new


class Scene:
    """An office where `FIRST` is issued and `SECOND` is about to be."""

    def __init__(self, base: Path, *, sealed: bool = False) -> None:
        base.mkdir()
        self.office = Office(base).build()
        if sealed:  # every copy as sealed PDF and sealed OFD
            self.office.with_seals()
        self.office.issue(FIRST)

    def work(self) -> None:
        self.office.issue(SECOND, now=NOW + 60)

    def notes(self) -> list[bytes]:
        """Every signed head there is: published, remembered, in the log's database."""
        found = [(self.office.root / "log" / "public" / "checkpoint").read_bytes()]
        found += [path.read_bytes() for path in (self.office.base / "memory").glob("*.note")]
        database = sqlite3.connect(self.office.root / "log" / "log.sqlite")
        found += [row[0] for row in database.execute("SELECT note FROM head WHERE note IS NOT NULL")]
        database.close()
        return found


def points_of(work: Callable[[], object]) -> int:
    """How many write points the work has."""
    outcome = run(lambda _report: (work(), None)[1])
    assert not outcome.killed
    return len(outcome.points)


def kill(work: Callable[[], object], fatal: int) -> None:
    assert run(lambda _report: (work(), None)[1], kill_at=fatal).killed


def check_world(scene: Scene, old_notes: list[bytes], *, rows: int, serials: int, superseded: int) -> None:
    """One live, logged, delivered credential per record; a clean log; every head ever signed is a prefix of it."""
    office = scene.office
    with office.open() as workspace:
        vkey = parse_vkey(log_vkey(workspace.config))
        copies = list(workspace.ledger.all_copies())
        assert not workspace.ledger.unlogged()
        assert not workspace.ledger.unlogged_acts()
        assert workspace.ledger.counters(1)[0] == serials
    live = [row for row in copies if row.status is CopyStatus.LIVE]
    assert len(live) == len({row.key for row in live}) == len({row.record for row in live}) == rows
    assert {row.state for row in live} <= {CopyState.DELIVERED}
    assert sum(row.status is CopyStatus.SUPERSEDED for row in copies) == superseded
    reader = LogReader(DirectoryFetcher(office.root / "log" / "public"), vkey)
    reader.refresh()
    raw = [entry for _, entry in reader.entries(0, reader.checkpoint().size)]
    issued = {entry.serial: data for data in raw if isinstance(entry := parse_entry(data), IssueEntry)}
    assert len(issued) == sum(isinstance(parse_entry(data), IssueEntry) for data in raw)
    assert len(issued) == sum(row.leaf_index is not None for row in copies)
    for row in copies:
        if row.leaf_index is not None:
            assert raw[row.leaf_index] == issued[row.serial] == entry_of(row)
    acts = [entry for data in raw if isinstance(entry := parse_entry(data), ActEntry)]
    assert [entry.act_number for entry in acts] == list(range(len(acts)))
    for note in [*old_notes, *scene.notes()]:
        head = open_checkpoint(note, vkeys=[vkey], origin=vkey.name)
        assert head.size == 0 or reader.root_at(head.size) == head.root
    assert office.fsck().faults == ()
    for row in live:
        assert row.files
        for file in row.files:
            assert hashlib.sha256((office.out / file.name).read_bytes()).digest() == file.sha256
    assert not list(office.out.glob(".*"))


def kill_and_resume(base: Path, fatal: int, *, sealed: bool = False) -> None:
    """One point: kill, resume, check, run once more, check that nothing moved."""
    scene = Scene(base, sealed=sealed)
    kill(scene.work, fatal)
    notes = scene.notes()
    first = scene.office.issue(SECOND, now=NOW + 120)
    check_world(scene, notes, rows=3, serials=4, superseded=1)
    again = scene.office.issue(SECOND, now=NOW + 180)
    assert [item.row for item in again] == [item.row for item in first]
    for item in first if sealed else ():
        assert [file.form for file in item.row.files] == list(FileForm)
        assert [fact.signed_at for path in item.paths for fact in facts(path)] == [item.row.logged_at] * 2
    shutil.rmtree(base)


def test_killed_before_any_write_the_issuing_command_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = points_of(Scene(tmp_path / "count").work)
    for fatal in range(0, points, STEP):
        kill_and_resume(tmp_path / str(fatal), fatal)
    with capsys.disabled():
        print(f"\nissuing command: {points} write points, killed before {len(range(0, points, STEP))}", end=" ")
    assert points > 100


def test_killed_before_any_write_a_command_that_makes_two_sealed_files_each_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signatures of SM2 differ from run to run: the ledger names the file that is there, and no other."""
    points = points_of(Scene(tmp_path / "count", sealed=True).work)
    for fatal in range(3, points, SEALED_STEP):
        kill_and_resume(tmp_path / str(fatal), fatal, sealed=True)
    with capsys.disabled():
        print(f"\nsealed: {points} write points, killed before {len(range(3, points, SEALED_STEP))}", end=" ")
    assert points > 100


def test_killed_before_any_write_trial_seals_are_made_again(tmp_path: Path) -> None:
    def scene(name: str) -> Office:
        (tmp_path / name).mkdir()
        return Office(tmp_path / name).build()

    points = points_of(scene("count").with_seals)
    for fatal in range(0, points, SEALED_STEP):
        office = scene(str(fatal))
        kill(office.with_seals, fatal)
        office.access = replace(office.access, seal_vault=SeededSealVault(f"after {fatal}"))
        office.with_seals()
        with office.open() as workspace:
            assert len(workspace.config.sealing.seals) == 2
        (item,) = office.issue([person(5)])
        assert [len(facts(path)) for path in item.paths] == [1, 1]


def facts(path: Path) -> tuple[SealFacts, ...]:
    """The seals of a file, all of which hold."""
    data = path.read_bytes()
    if path.suffix == ".pdf":
        found, faults = check_pdf(data)
    else:
        package = read_package(data, limits=OFD_LIMITS)
        found, faults = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
    assert faults == ()
    assert all(fact.faults == () for fact in found)
    return found


def revoke_first(office: Office) -> tuple[int, ...]:
    with office.open() as workspace:
        number = person(1)["registration_no"]
        target = find_registration(workspace, kind=1, registration_no=number, issuer=None)
        return perform(workspace, ActType.REVOKE, target, reason="reason", now=NOW + 60).serials


def test_killed_before_any_write_a_revocation_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = points_of(partial(revoke_first, Scene(tmp_path / "count").office))
    for fatal in range(0, points, STEP):
        scene = Scene(tmp_path / str(fatal))
        kill(partial(revoke_first, scene.office), fatal)
        notes = scene.notes()
        revoke_first(scene.office)
        assert revoke_first(scene.office) == ()
        check_world(scene, notes, rows=1, serials=2, superseded=0)
        with scene.office.open() as workspace:
            assert [act.act for act in workspace.ledger.all_acts()] == [ActType.REVOKE]
    with capsys.disabled():
        print(f"\nrevocation: {points} write points, killed before {len(range(0, points, STEP))}", end=" ")


def test_killed_before_any_write_a_trust_export_can_be_repeated(tmp_path: Path) -> None:
    def export(office: Office) -> None:
        with office.open() as workspace:
            export_trust(workspace, office.base / "trust", now=NOW + 60)

    points = points_of(partial(export, Scene(tmp_path / "count").office))
    for fatal in range(0, points, STEP):
        scene = Scene(tmp_path / str(fatal))
        kill(partial(export, scene.office), fatal)
        notes = scene.notes()
        export(scene.office)
        check_world(scene, notes, rows=2, serials=2, superseded=0)
        stored = load_store(scene.office.base / "trust")
        assert stored.data.generation >= 1
        (key,) = stored.data.keys_of(Role.STATUS, 1)
        assert open_status_list(stored.data.blobs["status/1.cbor"], key.public_key).next_serial == 2


def test_resumed_on_the_next_day_unlogged_serials_are_voided_and_logged_ones_kept(tmp_path: Path) -> None:
    rows = [person(7), person(8)]

    def work(office: Office) -> None:
        office.issue(rows, now=NOW + 60)

    points = points_of(partial(work, Scene(tmp_path / "count").office))
    outcomes = set()
    for fatal in range(0, points, 1 if FULL else 15):
        scene = Scene(tmp_path / str(fatal))
        kill(partial(work, scene.office), fatal)
        notes = scene.notes()
        issued = scene.office.issue(rows, now=day_start(DAY + 1) + 60)
        with scene.office.open() as workspace:
            copies = list(workspace.ledger.all_copies())
        voided = sum(row.status is CopyStatus.VOID for row in copies)
        assert voided in (0, 2)
        assert voided == 0 or {item.row.day for item in issued} == {DAY + 1}
        check_world(scene, notes, rows=4, serials=4 + voided, superseded=0)
        outcomes.add(voided)
    assert outcomes == {0, 2}


def test_a_build_without_idempotency_fails_these_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = points_of(Scene(tmp_path / "count").work)
    monkeypatch.setattr(issue_module, "copy_key", lambda **_: os.urandom(32))
    monkeypatch.setattr(issue_module, "request_key", lambda **_: os.urandom(32))
    with pytest.raises(AssertionError):
        kill_and_resume(tmp_path / "point", points // 2)


def spied(office: Office) -> tuple[Office, list[bytes]]:
    """The same office with a list of every message its keys sign."""
    messages: list[bytes] = []
    vault = office.access.vault

    class Spy:
        def __init__(self, signer: Any) -> None:
            self._signer = signer
            self.public_key = signer.public_key

        def sign(self, message: bytes) -> bytes:
            messages.append(message)
            signature: bytes = self._signer.sign(message)
            return signature

    class SpyVault:
        generate, save = vault.generate, vault.save

        def load(self, *args: Any) -> Any:
            return Spy(vault.load(*args))

    office.access = replace(office.access, vault=SpyVault())
    return office, messages


@pytest.mark.parametrize("what", ["whole", "log", "in place"])
def test_a_restored_backup_signs_neither_a_block_nor_a_checkpoint(tmp_path: Path, what: str) -> None:
    scene = Scene(tmp_path / "scene")
    root = scene.office.root
    part = root if what == "whole" else root / "log"
    backup = tmp_path / "backup"
    shutil.copytree(part, backup)
    scene.work()
    if what == "in place":  # a snapshot of the disk: the instance file keeps inode and change time
        for path in sorted(backup.rglob("*")):
            if path.is_file() and path.name != "instance":
                (part / path.relative_to(backup)).write_bytes(path.read_bytes())
    else:
        shutil.rmtree(part)
        shutil.copytree(backup, part)
    office, messages = spied(scene.office)
    before = (root / "log" / "public" / "checkpoint").read_bytes()
    with pytest.raises((RestoredBackupError, BehindMemoryError)):
        office.issue([person(9)], now=NOW + 600)
    assert messages == []
    assert (root / "log" / "public" / "checkpoint").read_bytes() == before


def test_a_moved_workspace_goes_on_once_it_is_shown_its_newest_checkpoint(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene")
    office, root = scene.office, scene.office.root
    first = (root / "log" / "public" / "checkpoint").read_bytes()
    office.issue([person(8)], now=NOW + 30)
    shutil.copytree(root, tmp_path / "moved")
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "moved", root)
    newest = (root / "log" / "public" / "checkpoint").read_bytes()
    with office.open() as workspace:
        with pytest.raises(AnchorRefusedError):
            workspace.log.resume_from_anchor(first)
        workspace.log.resume_from_anchor(newest)
    office.issue([person(9)], now=NOW + 600)
    check_world(scene, [first, newest], rows=4, serials=4, superseded=0)


def test_a_ledger_put_back_from_a_backup_issues_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene")
    old = (scene.office.root / "ledger.sqlite").read_bytes()
    scene.work()
    (scene.office.root / "ledger.sqlite").write_bytes(old)
    office, messages = spied(scene.office)
    with pytest.raises(LedgerBehindLogError):
        office.issue([person(9)], now=NOW + 600)
    assert messages == []
