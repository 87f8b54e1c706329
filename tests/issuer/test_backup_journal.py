"""Backups and restorings stand in the journal of the ledger they concern, or did not happen."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from office import NOW, Office, person

from mingzheng.issuer.backup import back_up
from mingzheng.issuer.journal import faults_of, parse_deed
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.refusals import LedgerWriteError
from mingzheng.issuer.restore import restore


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    made = Office(tmp_path_factory.mktemp("office")).build()
    made.issue([person(1), person(2)])
    return made


@pytest.fixture
def saved(office: Office, tmp_path: Path) -> Path:
    return back_up(office.root, tmp_path / "saved", with_keys=True, now=NOW).path


def deeds(root: Path) -> list[tuple[str, int, tuple[str, ...], int]]:
    with Ledger.open(root / "ledger.sqlite") as ledger:
        found = [parse_deed(row.body) for row in ledger.desk.journal()]
        assert faults_of(ledger.desk.journal(), ledger.desk.told(), ledger.desk.journal_starts()) == ()
    return [(deed.what, deed.count, deed.operators, deed.time) for deed in found]


def test_backups_and_restorings_are_entered_where_they_are_made(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.root, tmp_path / "W")
    before = deeds(tmp_path / "W")
    made = back_up(tmp_path / "W", tmp_path / "b.tar", with_keys=True, now=NOW + 500)
    row = ("backup", made.manifest.copies, (), NOW + 500)
    assert deeds(tmp_path / "W") == [*before, row]
    restore(tmp_path / "b.tar", tmp_path / "W2", anchor=None, now=NOW - 9)  # a clock behind: the ledger's is newer
    assert [deed[:2] for deed in deeds(tmp_path / "W2")] == [*(deed[:2] for deed in before), ("restore", row[1])]
    assert deeds(tmp_path / "W2")[-1][3] >= NOW


def test_a_backup_that_cannot_be_entered_is_none(
    office: Office, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("mingzheng.issuer.deskbook.DeskBook.note", full)
    left = sorted(tmp_path.iterdir())
    for name in ("b", "b.tar"):
        with pytest.raises(LedgerWriteError):
            back_up(office.root, tmp_path / name, with_keys=True, now=NOW)
    with pytest.raises(LedgerWriteError):
        restore(saved, tmp_path / "W2", anchor=None, now=NOW)
    assert sorted(tmp_path.iterdir()) == left
