"""Kill a re-issue on an application before every write; run it again: one re-issue, one application, its file whole."""

from pathlib import Path

from conftest import FULL
from crashpoints import run
from holderpress import ID_NUMBER, HolderCa, signed_pdf
from office import NOW, Office, person

from mingzheng.issuer.applicationfiles import read_kept
from mingzheng.issuer.applying import Exchange, Handed, exchange, pin_holder_ca
from mingzheng.issuer.journal import faults_of, parse_deed
from mingzheng.issuer.lifecycle import find_registration
from mingzheng.issuer.rows import Registration
from mingzheng.issuer.schema import CopyState, CopyStatus

STEP = 1 if FULL else 7
NO = person(1)["registration_no"]
HERE = Registration(issuer=1, kind=1, registration_no=NO)
CA = HolderCa()
SIGNED = signed_pdf(CA.holder(number=ID_NUMBER))


def scene(base: Path) -> Office:
    base.mkdir()
    office = Office(base).build()
    office.issue([person(1, id_number=ID_NUMBER)])
    with office.open() as workspace:
        pin_holder_ca(workspace, "ca.cer", CA.root)
    return office


def work(office: Office, now: int = NOW + 60) -> None:
    asked = Exchange(wanted=None, reason="换领", handed=Handed(data=SIGNED, signature=None))
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        exchange(workspace, target, asked, now=now, out=office.out)


def whole(office: Office) -> int:
    """All of it or nothing of it; how many applications there are."""
    with office.open() as workspace:
        copies, found = workspace.ledger.copies_of(HERE), workspace.ledger.applications.of(HERE)
        fresh = [row for row in copies if row.record != copies[0].record]
        assert len(fresh) == len(found) <= 1
        for row in found:
            assert (row.record, row.serial) == (fresh[0].record, fresh[0].serial)
            assert read_kept(office.root / "applications", row.facts) == (SIGNED,)
        desk = workspace.ledger.desk
        assert faults_of(desk.journal(), desk.told(), desk.journal_starts()) == ()
        deeds = [parse_deed(row.body).what for row in desk.journal()]
        assert deeds.count("application") == len(found)
        return len(found)


def test_killed_before_any_write_it_is_done_once(tmp_path: Path) -> None:
    office = scene(tmp_path / "count")
    points = run(lambda _report: work(office)).points
    plan = next(at for at, name in enumerate(points) if name == "os.mkdir" or name.startswith("sql BEGIN"))
    seen = set()
    for fatal in {*range(0, len(points), STEP), *range(plan, min(plan + 24, len(points)))}:
        office = scene(tmp_path / str(fatal))
        assert run(lambda _report, office=office: work(office), kill_at=fatal).killed
        seen.add(whole(office))
        work(office, NOW + 120)
        assert whole(office) == 1
        assert [path.name for path in (office.root / "applications").iterdir() if path.suffix == ".tmp"] == []
        with office.open() as workspace:
            old, new = workspace.ledger.copies_of(HERE)
            assert (old.status, new.status) == (CopyStatus.SUPERSEDED, CopyStatus.LIVE)
            assert new.state is CopyState.DELIVERED
        assert office.fsck().clean
    assert seen == {0, 1}


def test_killed_and_run_on_the_next_day_the_application_still_counts(tmp_path: Path) -> None:
    office = scene(tmp_path / "count")
    points = run(lambda _report: work(office)).points
    for fatal in range(0, len(points), 1 if FULL else 13):
        office = scene(tmp_path / str(fatal))
        assert run(lambda _report, office=office: work(office), kill_at=fatal).killed
        work(office, NOW + 86_400)
        with office.open() as workspace:
            (row,) = workspace.ledger.applications.of(HERE)
            live = [copy for copy in workspace.ledger.copies_of(HERE) if copy.status is CopyStatus.LIVE]
            assert [copy.record for copy in live] == [row.record]
            assert (live[0].serial, live[0].state) == (row.serial, CopyState.DELIVERED)
