"""Acts after issue: by registration or serial, once, in the order the log allows; re-issue keeps the end."""

from pathlib import Path

import pytest
from office import ARCHITECTS, CONSTRUCTORS, DAY, NOW, Office, architect, person

from mingzheng.formats.civil import day_start
from mingzheng.formats.claims import Copy, parse_claims
from mingzheng.issuer.lifecycle import (
    Target,
    find_registration,
    find_serial,
    perform,
    plan_act,
    plan_reissue,
    reissue,
)
from mingzheng.issuer.plan import CopyOrder
from mingzheng.issuer.refusals import (
    ActRefusedError,
    RegistrationClosedError,
    RegistrationUnknownError,
    SerialUnknownError,
    UnknownIssuerError,
)
from mingzheng.issuer.rows import Registration
from mingzheng.issuer.schema import CopyStatus, RegistrationState
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.entry import ActEntry, parse_entry

NEXT_DAY = day_start(DAY + 1) + 36_000
NUMBER = person(1)["registration_no"]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path).build()
    made.issue([person(1), person(2)])
    made.issue([person(1)], purpose="另一项目")
    return made


def of_person_1(workspace: Workspace) -> Target:
    return find_registration(workspace, kind=1, registration_no=NUMBER, issuer=None)


def statuses(office: Office) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with office.open() as workspace:
        for row in workspace.ledger.all_copies():
            found.setdefault(row.registration_no, []).append(str(row.status))
    return found


@pytest.mark.parametrize(
    ("act", "status", "state"),
    [
        (ActType.REVOKE, "revoked", RegistrationState.REVOKED),
        (ActType.SUSPEND, "suspended", RegistrationState.SUSPENDED),
    ],
)
def test_an_act_on_a_registration_reaches_all_its_live_copies_once(
    office: Office, act: ActType, status: str, state: RegistrationState
) -> None:
    with office.open() as workspace:
        target = of_person_1(workspace)
        planned = plan_act(workspace, act, target)
        assert len(planned.serials) == 2
        assert perform(workspace, act, target, reason="why", now=NOW + 1) == planned
        assert plan_act(workspace, act, target).is_done
        assert perform(workspace, act, target, reason="why", now=NOW + 2).is_done
        assert workspace.ledger.registration_state(target.registration) is state
        (row,) = workspace.ledger.all_acts()
        assert row.leaf_index is not None
        entry = parse_entry(row.entry)
        assert isinstance(entry, ActEntry)
        assert entry.serials == planned.serials
        assert b"why" not in row.entry
    assert statuses(office)[NUMBER] == [status, status]
    assert statuses(office)[person(2)["registration_no"]] == ["live"]


def test_suspension_ends_and_revocation_does_not(office: Office) -> None:
    with office.open() as workspace:
        target = of_person_1(workspace)
        perform(workspace, ActType.SUSPEND, target, reason="", now=NOW + 1)
        assert len(perform(workspace, ActType.REINSTATE, target, reason="", now=NOW + 2).serials) == 2
        assert perform(workspace, ActType.REINSTATE, target, reason="", now=NOW + 2).is_done
        perform(workspace, ActType.SUSPEND, target, reason="", now=NOW + 3)
        assert len(perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 4).serials) == 2
        for act in (ActType.REINSTATE, ActType.SUSPEND):
            with pytest.raises(ActRefusedError):
                perform(workspace, act, target, reason="", now=NOW + 5)
        assert [row.number for row in workspace.ledger.all_acts()] == [0, 1, 2, 3]
    assert office.fsck().clean


def test_an_act_on_a_serial_leaves_the_registration(office: Office) -> None:
    with office.open() as workspace:
        target = find_serial(workspace, serial=0, issuer=None)
        assert perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 1).serials == (0,)
        assert perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 1).is_done
        assert workspace.ledger.registration_state(target.registration) is RegistrationState.ACTIVE
        with pytest.raises(ActRefusedError):
            plan_act(workspace, ActType.SUSPEND, target)
        with pytest.raises(ActRefusedError) as refused:
            plan_act(workspace, ActType.VOID, target)
        assert (refused.value.zh, refused.value.en) == (
            "序号 0 已撤销，不能再作废",
            "serial 0 is revoked: void may not follow",
        )


def test_void_closes_one_serial_only(office: Office) -> None:
    with office.open() as workspace:
        with pytest.raises(ActRefusedError):
            plan_act(workspace, ActType.VOID, of_person_1(workspace))
        target = find_serial(workspace, serial=1, issuer=1)
        perform(workspace, ActType.VOID, target, reason="", now=NOW + 1)
        assert workspace.ledger.copy(1, 1).status is CopyStatus.VOID


def test_a_registration_without_copies_in_force_changes_by_decision_alone(office: Office) -> None:
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=person(2)["registration_no"], issuer=1)
        serial = workspace.ledger.copies_of(target.registration)[0].serial
        one = find_serial(workspace, serial=serial, issuer=1)
        perform(workspace, ActType.REVOKE, one, reason="", now=NOW + 1)
        plan = perform(workspace, ActType.REVOKE, target, reason="closed", now=NOW + 2)
        assert (plan.serials, plan.state) == ((), RegistrationState.REVOKED)
        assert len(workspace.ledger.all_acts()) == 1
        decided = workspace.ledger._db.execute("SELECT state, reason FROM decision").fetchall()
        assert decided == [("revoked", "closed")]


def test_targets_are_found_or_refused(tmp_path: Path) -> None:
    office = Office(tmp_path, issuers=(CONSTRUCTORS, ARCHITECTS)).build()
    office.issue([person(1), architect(1)])
    with office.open() as workspace:
        with pytest.raises(UnknownIssuerError):
            find_serial(workspace, serial=0, issuer=None)
        with pytest.raises(SerialUnknownError):
            find_serial(workspace, serial=5, issuer=1)
        assert find_serial(workspace, serial=0, issuer=2).registration.kind == 3
        for kind, number, issuer in ((3, NUMBER, None), (1, "x", None), (1, NUMBER, 2)):
            with pytest.raises(RegistrationUnknownError):
                find_registration(workspace, kind=kind, registration_no=number, issuer=issuer)
        (row,) = workspace.ledger.copies_of(Registration(issuer=1, kind=1, registration_no=NUMBER))
        workspace.ledger._db.execute(
            "INSERT INTO registration SELECT 2, kind, registration_no, state, record FROM registration WHERE issuer = 1"
        )
        with pytest.raises(UnknownIssuerError):
            find_registration(workspace, kind=1, registration_no=row.registration_no, issuer=None)


def test_a_reissue_keeps_the_end_and_supersedes_all(office: Office) -> None:
    with office.open() as workspace:
        target = of_person_1(workspace)
        old = parse_claims(workspace.ledger.copies_of(target.registration)[0].claims)
        issued = reissue(workspace, target, wanted=None, reason="new form", now=NEXT_DAY, out=office.out)
        claims = parse_claims(issued.row.claims)
        assert claims.copy is Copy.APPROVAL
        assert (claims.certificate_issued_on, old.certificate_issued_on) == (DAY + 1, old.certificate_issued_on)
        assert claims.registered_until == old.registered_until
        assert issued.path.is_file()
        assert len(issued.job.supersedes) == 2
        (act,) = workspace.ledger.all_acts()
        assert (act.act, act.reason) == (ActType.SUPERSEDE, "new form")
        again = reissue(workspace, target, wanted=None, reason="new form", now=NEXT_DAY + 9, out=office.out)
        assert again.row == issued.row
    assert sorted(statuses(office)[NUMBER]) == ["live", "superseded", "superseded"]


def test_a_reissue_on_the_day_of_the_certificate_is_still_a_new_one(tmp_path: Path) -> None:
    office = Office(tmp_path).build()
    office.issue([person(1, certificate_issued_on="2026-06-01")])
    with office.open() as workspace:
        issued = reissue(workspace, of_person_1(workspace), wanted=None, reason="", now=NOW + 1, out=office.out)
        assert issued.row.serial == 1
        assert workspace.ledger.copy(1, 0).status is CopyStatus.SUPERSEDED


def test_a_reissue_cut_short_is_finished_on_the_next_day(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    with office.open() as workspace:
        target = of_person_1(workspace)
        with monkeypatch.context() as patch:
            patch.setattr("mingzheng.issuer.issue.Renderer.deliver", full)
            with pytest.raises(OSError, match="disk full"):
                reissue(workspace, target, wanted=None, reason="lost", now=NOW + 1, out=office.out)
        issued = reissue(workspace, target, wanted=None, reason="lost", now=NEXT_DAY, out=office.out)
        assert (issued.row.serial, issued.row.day) == (3, DAY)
        assert reissue(workspace, target, wanted=None, reason="", now=NEXT_DAY, out=office.out).row.serial == 4


def test_a_reissue_by_serial_is_like_that_copy(office: Office) -> None:
    with office.open() as workspace:
        target = find_serial(workspace, serial=2, issuer=1)
        issued = reissue(workspace, target, wanted=None, reason="", now=NEXT_DAY, out=office.out)
        claims = parse_claims(issued.row.claims)
        assert (claims.copy, claims.purpose) == (Copy.USAGE, "另一项目")


def test_a_reissue_takes_the_copy_asked_for_and_refuses_closed_registrations(office: Office) -> None:
    wanted = CopyOrder(copy=Copy.USAGE, purpose="新项目", day=DAY + 1)
    with office.open() as workspace:
        target = of_person_1(workspace)
        job = plan_reissue(workspace, target, wanted=wanted, reason="", now=NEXT_DAY)
        assert job.preview.claims.purpose == "新项目"
        perform(workspace, ActType.SUSPEND, target, reason="", now=NEXT_DAY)
        with pytest.raises(RegistrationClosedError):
            plan_reissue(workspace, target, wanted=wanted, reason="", now=NEXT_DAY)
        unknown = Target(registration=Registration(issuer=1, kind=1, registration_no="x"), serial=None)
        with pytest.raises(RegistrationUnknownError):
            plan_reissue(workspace, unknown, wanted=wanted, reason="", now=NEXT_DAY)
