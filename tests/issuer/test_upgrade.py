"""Every released ledger comes up to this version and equals one that this program would have written itself."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from conftest import FULL
from crashpoints import run
from ledgerhistory import dump, play, take_back
from office import NOW, Office, person

from mingzheng.issuer.journal import faults_of
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.manifest import MANIFEST, parse_manifest
from mingzheng.issuer.refusals import (
    BackupExistsError,
    LedgerNewerError,
    LedgerOlderError,
    NotALedgerError,
    WorkspaceBusyError,
    WorkspaceMissingError,
)
from mingzheng.issuer.restore import restore
from mingzheng.issuer.schema import MIGRATIONS, SCHEMA_VERSION, STEPS, CopyState, CopyStatus
from mingzheng.issuer.upgrade import plan_upgrade, upgrade
from mingzheng.issuer.workspace import Workspace

STEP = 1 if FULL else 5  # write points between two kills

VECTORS = Path(__file__).parent.parent / "vectors" / "ledger"
RELEASED = sorted(int(path.stem.removeprefix("version-")) for path in VECTORS.glob("version-*.sql"))


def load(version: int, path: Path) -> Path:
    """A ledger as the program of that version left it."""
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript((VECTORS / f"version-{version}.sql").read_text(encoding="utf-8"))
    database.close()
    return path


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("new") / "ledger"
    with Ledger.create(path) as ledger:
        play(ledger)
    return dump(path, journal=False)


def test_every_version_but_this_one_has_a_vector_and_words() -> None:
    assert list(range(1, SCHEMA_VERSION)) == RELEASED
    assert sorted(STEPS) == sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION + 1))
    for zh, en in STEPS.values():
        assert any("\u4e00" <= letter <= "\u9fff" for letter in zh)
        assert en.isascii()


@pytest.mark.parametrize("version", RELEASED)
def test_an_upgraded_ledger_equals_a_new_one_of_the_same_history(version: int, tmp_path: Path, wanted: str) -> None:
    path = load(version, tmp_path / "ledger")
    with pytest.raises(LedgerOlderError) as caught:
        Ledger.open(path)
    assert "migrate" in str(caught.value)
    with Ledger.upgrade(path) as ledger:
        rows = list(ledger.all_copies())
        assert {row.state for row in rows} == set(CopyState)
        assert {row.status for row in rows} == set(CopyStatus)
    assert dump(path, journal=False) == wanted
    with Ledger.open(path) as ledger:
        assert list(ledger.all_copies()) == rows
        starts = {issuer: ledger.counters(issuer)[1] for issuer in (1, 2)}
        assert (list(ledger.desk.journal()), ledger.desk.journal_starts()) == ([], starts)
        assert faults_of(ledger.desk.journal(), ledger.desk.told(), starts) == ()


@pytest.mark.parametrize("version", RELEASED)
def test_killed_at_any_statement_it_is_whole_and_goes_on(version: int, tmp_path: Path, wanted: str) -> None:
    path = tmp_path / "ledger"
    load(version, path)
    before = dump(path)
    points = run(lambda _report: Ledger.upgrade(path).close()).points
    assert len(points) > SCHEMA_VERSION - version
    for fatal in range(0, len(points), STEP):
        for stray in tmp_path.glob("ledger-*"):
            stray.unlink()
        load(version, path)
        assert run(lambda _report: Ledger.upgrade(path).close(), kill_at=fatal).killed
        left = dump(path)
        assert left == before or f"user_version = {version};" not in left
        Ledger.upgrade(path).close()
        assert dump(path, journal=False) == wanted, points[fatal]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    made = Office(tmp_path_factory.mktemp("office")).build()
    made.issue([person(1)])
    return made


def older(office: Office, base: Path) -> Path:
    """A copy of the workspace whose ledger lacks what the last version brings."""
    shutil.copytree(office.root, base)
    take_back(base / "ledger.sqlite")
    return base


def test_a_backup_comes_first_and_can_be_gone_back_to(office: Office, tmp_path: Path) -> None:
    root = older(office, tmp_path / "W")
    before = dump(root / "ledger.sqlite")
    assert plan_upgrade(root).steps == (SCHEMA_VERSION,)
    with pytest.raises(LedgerOlderError):
        Workspace.open(root, office.access)
    made = upgrade(root, backup=tmp_path / "b", with_keys=True, now=NOW)
    assert made is not None
    assert parse_manifest((tmp_path / "b" / MANIFEST).read_bytes()).schema == SCHEMA_VERSION - 1
    assert dump(root / "ledger.sqlite", journal=False) == dump(office.root / "ledger.sqlite", journal=False)
    assert plan_upgrade(root).steps == ()
    assert upgrade(root, backup=tmp_path / "b", with_keys=True, now=NOW) is None
    restore(tmp_path / "b", tmp_path / "back", anchor=(office.root / "log/public/checkpoint").read_bytes(), now=NOW)
    assert dump(tmp_path / "back" / "ledger.sqlite") == before


def test_without_a_backup_nothing_is_upgraded(office: Office, tmp_path: Path) -> None:
    root = older(office, tmp_path / "W")
    before = dump(root / "ledger.sqlite")
    (tmp_path / "b").mkdir()
    with pytest.raises(BackupExistsError):
        upgrade(root, backup=tmp_path / "b", with_keys=True, now=NOW)
    assert dump(root / "ledger.sqlite") == before


def test_what_is_refused(office: Office, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceMissingError):
        plan_upgrade(tmp_path)
    shutil.copytree(office.root, tmp_path / "W")
    with office.open(), pytest.raises(WorkspaceBusyError):
        upgrade(office.root, backup=tmp_path / "b", with_keys=True, now=NOW)
    database = sqlite3.connect(tmp_path / "W" / "ledger.sqlite", isolation_level=None)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    with pytest.raises(LedgerNewerError):
        plan_upgrade(tmp_path / "W")
    (tmp_path / "W" / "ledger.sqlite").write_bytes(b"no ledger at all" * 100)
    with pytest.raises(NotALedgerError):
        plan_upgrade(tmp_path / "W")
    with pytest.raises(NotALedgerError):
        Ledger.upgrade(tmp_path / "none")
