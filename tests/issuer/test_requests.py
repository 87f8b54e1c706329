"""Requests that nobody can approve any more stand in nobody's way, and the journal has the time of each."""

from pathlib import Path

import pytest
from noticebodies import old_form
from office import DAY, NOW
from operatoroffice import NAMES, OperatorOffice, approved, asked, operator_office, passphrase, present

from mingzheng.formats.civil import day_start
from mingzheng.issuer.approval import ask, open_requests, withdraw
from mingzheng.issuer.approvalerrors import AlreadyAskedError, AskedKeyOutError, OtherLogError, RequestExpiredError
from mingzheng.issuer.journal import parse_deed
from mingzheng.issuer.noticework import asking, propose
from mingzheng.issuer.operators import add_operator, retire_operator
from mingzheng.issuer.publish import settle
from mingzheng.issuer.refusals import ClockBehindError
from mingzheng.issuer.rollover import roll_over
from mingzheng.issuer.rows import RequestRow
from mingzheng.issuer.schema import RequestState
from mingzheng.issuer.workspace import NewOperator, Workspace

FAR = day_start(DAY + 9_000)


@pytest.fixture
def office(tmp_path: Path) -> OperatorOffice:
    return operator_office(tmp_path)


def told(workspace: Workspace) -> tuple[str, int]:
    deed = parse_deed(list(workspace.ledger.desk.journal())[-1].body)
    return deed.what, deed.time


def states(workspace: Workspace, *rows: RequestRow) -> list[RequestState]:
    found = {row.id: row.state for row in workspace.ledger.desk.all_requests()}
    return [found[row.id] for row in rows]


def test_another_operator_asks_again_where_the_key_that_asked_is_out(office: OperatorOffice) -> None:
    with office.open() as workspace:
        third = NewOperator(name="王五", passphrase=passphrase("王五"))
        add_operator(workspace, 1, third, days=(None, DAY + 99), now=NOW)
        row = asked(workspace, NAMES[0])
        with pytest.raises(AlreadyAskedError):
            asked(workspace, NAMES[1])
        retire_operator(workspace, 1, NAMES[0], now=NOW)
        with pytest.raises(AskedKeyOutError):
            approved(workspace, row)
        again = asked(workspace, NAMES[1])
        assert states(workspace, row, again) == [RequestState.WITHDRAWN, RequestState.OPEN]
        approved(workspace, again, "王五")


@pytest.mark.parametrize("name", NAMES)
def test_after_a_roll_over_the_same_is_asked_for_anew(office: OperatorOffice, name: str) -> None:
    with office.open() as workspace:
        row = asked(workspace, NAMES[0])
        roll_over(workspace, 2, "test.example/log-2", days=(DAY - 400, DAY + 1_000), now=NOW + 5)
    with office.open() as workspace:
        with pytest.raises(OtherLogError):
            approved(workspace, row, now=NOW + 9)
        again = asked(workspace, name, now=NOW + 9)
        assert states(workspace, row, again) == [RequestState.WITHDRAWN, RequestState.OPEN]
        approved(workspace, again, next(other for other in NAMES if other != name), now=NOW + 9)


def test_the_journal_has_the_time_of_asking_withdrawing_and_expiring(office: OperatorOffice) -> None:
    """Neither of them brings anything into the log, nor moves the ledger's clock."""
    with office.open() as workspace:
        proposal = asking(propose(workspace, 1, lambda _: old_form()), reason="通知")
        for late in (86_400, 5 * 86_400):
            row = ask(workspace, proposal, present(workspace, NAMES[0]), now=NOW + late)
            assert told(workspace) == ("request", NOW + late)
            withdraw(workspace, row.id, present(workspace, NAMES[1]), reason="", now=NOW + late + 60)
            assert told(workspace) == ("request-withdrawn", NOW + late + 60)
        row = ask(workspace, proposal, present(workspace, NAMES[0]), now=NOW)
        with pytest.raises(RequestExpiredError):
            withdraw(workspace, row.id, present(workspace, NAMES[1]), reason="", now=FAR)
        assert told(workspace) == ("request-expired", FAR)
        settle(workspace, now=NOW + 1)


def test_a_clock_set_back_neither_asks_nor_withdraws(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        me = present(workspace, NAMES[0])
        proposal = asking(propose(workspace, 1, lambda _: old_form()), reason="通知")
        with pytest.raises(ClockBehindError):
            ask(workspace, proposal, me, now=NOW - 1)
        with pytest.raises(ClockBehindError):
            withdraw(workspace, row.id, me, reason="", now=NOW - 1)
        assert open_requests(workspace, now=NOW) == (row,)
