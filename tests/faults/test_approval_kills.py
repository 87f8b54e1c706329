"""Kill asking and approving before every write; then run it again: one request, one act, nothing lost or doubled."""

from functools import partial
from pathlib import Path

from conftest import FULL
from crashpoints import run
from office import NOW
from operatoroffice import NAMES, OperatorOffice, approved, asked, operator_office, present, target_of

from mingzheng.issuer.approval import open_requests, request_path
from mingzheng.issuer.approvalerrors import RequestDoneError
from mingzheng.issuer.journal import faults_of, parse_deed
from mingzheng.issuer.lifecycle import propose
from mingzheng.issuer.publish import settle
from mingzheng.issuer.schema import CopyStatus
from mingzheng.log.acts import ActType
from mingzheng.log.entry import ActEntry, parse_entry

STEP = 1 if FULL else 17


def scene(base: Path) -> OperatorOffice:
    base.mkdir()
    return operator_office(base)


def asking(office: OperatorOffice) -> None:
    with office.open() as workspace:
        asked(workspace, now=NOW + 60)


def approving(office: OperatorOffice) -> None:
    with office.open() as workspace:
        (row,) = open_requests(workspace, now=NOW + 90)
        approved(workspace, row, now=NOW + 90)


def deeds(office: OperatorOffice) -> list[str]:
    with office.open() as workspace:
        desk = workspace.ledger.desk
        assert faults_of(desk.journal(), desk.told(), desk.journal_starts()) == ()
        return [parse_deed(row.body).what for row in desk.journal()]


def test_killed_before_any_write_a_request_is_asked_for_once(tmp_path: Path) -> None:
    office = scene(tmp_path / "count")
    points = len(run(lambda _report: asking(office)).points)
    for fatal in range(0, points, STEP):
        office = scene(tmp_path / str(fatal))
        assert run(lambda _report, office=office: asking(office), kill_at=fatal).killed
        asking(office)
        with office.open() as workspace:
            (row,) = open_requests(workspace, now=NOW + 60)
            path = request_path(workspace, row)
            assert [file.name for file in path.parent.iterdir()] == [path.name]
            assert path.read_bytes() == row.body
            assert workspace.ledger.all_acts() == ()
        assert deeds(office) == ["issue", "request"]
    assert points > 5


def test_killed_before_any_write_an_approval_is_done_once(tmp_path: Path) -> None:
    def prepared(name: str) -> OperatorOffice:
        made = scene(tmp_path / name)
        asking(made)
        return made

    office = prepared("count")
    points = len(run(lambda _report: approving(office)).points)
    for fatal in range(0, points, STEP):
        office = prepared(str(fatal))
        with office.open() as workspace:
            (row,) = open_requests(workspace, now=NOW + 60)
        assert run(partial(_quietly, office), kill_at=fatal).killed
        with office.open() as workspace:
            try:
                approved(workspace, row, now=NOW + 120)
            except RequestDoneError:
                settle(workspace, now=NOW + 120)
            target = target_of(workspace)
            assert propose(workspace, ActType.REVOKE, target, reason="", now=NOW + 120) is None
            (act,) = workspace.ledger.all_acts()
            entry = parse_entry(act.entry)
            assert isinstance(entry, ActEntry)
            assert entry.request is not None
            assert act.leaf_index is not None
            assert workspace.log.reader().entry(act.leaf_index) == act.entry
            assert {copy.status for copy in workspace.ledger.copies_of(target.registration)} == {CopyStatus.REVOKED}
            assert present(workspace, NAMES[1]).key.kid == entry.kid
        assert deeds(office) == ["issue", "request", "revoke"]
        assert office.fsck().clean
    assert points > 10


def _quietly(office: OperatorOffice, _report: object) -> None:
    approving(office)
