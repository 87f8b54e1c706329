"""Acts of one person that the log lacks on the day from which they take two: two operators answer for them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from noticebodies import old_form
from office import CONSTRUCTORS, DAY, NOW, Office, person
from operatoroffice import NAMES, approved, asked, operator_office, passphrase, present, target_of

from mingzheng.formats.civil import day_start
from mingzheng.issuer.approvalerrors import OperatorExistsError, PersonNeededError
from mingzheng.issuer.journal import parse_deed
from mingzheng.issuer.keywork import compromise_key
from mingzheng.issuer.lifecycle import find_serial, perform
from mingzheng.issuer.noticework import give, propose
from mingzheng.issuer.operators import add_operator, retire_operator, sign_again
from mingzheng.issuer.publish import settle
from mingzheng.issuer.workspace import NewOperator, Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.entry import ActEntry, KeyEventEntry, NoticeEntry, parse_entry

LATER = day_start(DAY + 4) + 9


def _revoke(workspace: Workspace) -> None:
    perform(workspace, ActType.REVOKE, target_of(workspace), reason="", now=NOW)


def _void(workspace: Workspace) -> None:
    perform(workspace, ActType.VOID, find_serial(workspace, serial=0, issuer=1), reason="", now=NOW)


def _suspend(workspace: Workspace) -> None:
    perform(workspace, ActType.SUSPEND, target_of(workspace), reason="", now=NOW)


def _notice(workspace: Workspace) -> None:
    give(workspace, propose(workspace, 1, lambda _: old_form()), reason="", now=NOW)


def stuck(office: Office, act: Callable[[Workspace], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators begin in two days; one person acts today, and the log is not reached."""
    office.issue([person(1), person(2)])
    with office.open() as workspace:
        for name in NAMES:
            new = NewOperator(name=name, passphrase=passphrase(name))
            add_operator(workspace, 1, new, days=(DAY + 2, DAY + 99), now=NOW)
    with office.open() as workspace, monkeypatch.context() as patch:
        patch.setattr("mingzheng.issuer.publish.submit_acts", _unreached)
        with pytest.raises(OSError, match="not reached"):
            act(workspace)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path, issuers=(CONSTRUCTORS,)).build()


@pytest.mark.parametrize("act", [_revoke, _void, _notice])
def test_two_operators_sign_again_what_takes_two_by_now(
    office: Office, act: Callable[[Workspace], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck(office, act, monkeypatch)
    with office.open() as workspace:
        for _ in range(2):
            with pytest.raises(PersonNeededError) as caught:
                settle(workspace, now=LATER)
            assert set(caught.value.names) == set(NAMES)
            present(workspace, NAMES[0], LATER)  # one is not enough
        present(workspace, NAMES[1], LATER)
        assert sign_again(workspace, now=LATER) == 1
        row = workspace.ledger.all_acts()[-1]
        entry = parse_entry(row.entry)
        assert isinstance(entry, ActEntry | NoticeEntry)
        assert entry.request is not None
        keys = [workspace.config.operator_of(kid) for kid in (entry.request.kid, entry.kid)]
        assert keys == list(NAMES)
        assert (row.day, row.leaf_index is not None) == (DAY + 4, True)
        assert parse_deed(list(workspace.ledger.desk.journal())[-1].body).operators == NAMES
    assert office.fsck().clean


@pytest.mark.parametrize("how", ["retired", "stolen"])
def test_an_act_of_somebody_who_is_gone_does_not_stop_the_desk_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Their key is put out, a new operator stands in; each step is kept, though the log waits for the last."""
    office = operator_office(tmp_path)
    with office.open() as workspace, monkeypatch.context() as patch:
        row = asked(workspace)
        patch.setattr("mingzheng.issuer.publish.submit_acts", _unreached)
        with pytest.raises(OSError, match="not reached"):
            approved(workspace, row)
        (gone,) = (key for key in workspace.config.keys if key.operator == NAMES[1])
    with office.open() as workspace:
        with pytest.raises(PersonNeededError):
            settle(workspace, now=LATER)
        with pytest.raises(PersonNeededError):
            if how == "retired":
                retire_operator(workspace, 1, NAMES[1], now=LATER)
            else:
                compromise_key(workspace, gone.kid, good_size=workspace.log.head()[0], now=LATER)
        third = NewOperator(name="王五", passphrase=passphrase("王五"))
        with pytest.raises(PersonNeededError):
            add_operator(workspace, 1, third, days=(None, DAY + 99), now=LATER)
        with pytest.raises(OperatorExistsError):
            add_operator(workspace, 1, third, days=(None, DAY + 99), now=LATER)
    with office.open() as workspace:
        present(workspace, NAMES[0], LATER)  # who asked does not stand in
        with pytest.raises(PersonNeededError):
            sign_again(workspace, now=LATER)
        made = present(workspace, "王五", LATER)
        sign_again(workspace, now=LATER)
        entry = parse_entry(workspace.ledger.all_acts()[0].entry)
        assert isinstance(entry, ActEntry)
        assert entry.kid == made.key.kid
        events = [parse_entry(act.entry) for act in workspace.ledger.all_acts()[1:]]
        assert [type(event) for event in events] == [KeyEventEntry] * 2  # told once each
        assert not workspace.ledger.unlogged_acts()
    assert office.fsck().clean


def _unreached(_workspace: Workspace, acts: object, _now: int) -> None:
    if acts:
        raise OSError("the log is not reached")


def test_what_one_person_may_still_do_is_signed_again_by_the_desk(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck(office, _suspend, monkeypatch)
    with office.open() as workspace:
        assert settle(workspace, now=LATER).acts == 1
    assert office.fsck().clean
