"""Kill what the authority does behind a thief's entries before every write; then run it again: all of it once."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import thief
from conftest import FULL
from crashpoints import run
from office import CONSTRUCTORS, DAY, NOW, Office, SeededVault, person

from mingzheng.issuer.foreign import acknowledge, foreign_of
from mingzheng.issuer.journal import faults_of, parse_deed
from mingzheng.issuer.keywork import add_key, compromise_key
from mingzheng.issuer.noticebook import list_notices
from mingzheng.issuer.publish import settle, sign_act
from mingzheng.issuer.rows import NewAct
from mingzheng.issuer.schema import CopyStatus
from mingzheng.keys.trust import Role
from mingzheng.log.entry import KeyEventEntry, parse_entry

STEP = 1 if FULL else 23


def scene(base: Path) -> Office:
    """A copy, an act of ours on its way, and a thief who took its number, a serial ahead and a notice's number."""
    base.mkdir()
    office = Office(base, issuers=(CONSTRUCTORS,)).build()
    office.issue([person(1)])
    with office.open() as workspace:
        new = NewAct(issuer=1, act=1, serials=(0,), day=DAY, reason="因故", status=CopyStatus.REVOKED)
        workspace.ledger.store_acts([new], sign=lambda act, number: sign_act(workspace, act, number))
        assert thief.issues(workspace, 1) >= 2
        thief.acts(workspace, thief.ActType.VOID, (7,))
    return office


def goes_on(office: Office, _report: object = None) -> None:
    with office.open() as workspace:
        days = (DAY, DAY + 900)
        for role in (Role.CREDENTIAL, Role.ACT):
            old = thief.key_of_config(workspace, role)
            add_key(workspace, role, 1, days=days, now=NOW + 20)
            compromise_key(workspace, old, good_size=2, now=NOW + 20)
        acknowledge(workspace, 1, [], reason="失窃", now=NOW + 20)
        settle(workspace, now=NOW + 20)


def seen(office: Office) -> object:
    with office.open() as workspace:
        desk = workspace.ledger.desk
        assert faults_of(desk.journal(), desk.told(), desk.journal_starts()) == ()
        entries = [parse_entry(act.entry) for act in workspace.ledger.all_acts()]
        assert not workspace.ledger.unlogged_acts()
        assert list_notices(workspace, 1) == ()
        events = [(e.event, e.subject_kid) for e in entries if isinstance(e, KeyEventEntry)]
        told = [parse_deed(row.body).what for row in desk.journal()]
        acts = [(act.act, act.number) for act in workspace.ledger.all_acts()]
        foreign = [(item.row.leaf_index, item.row.agreed) for item in foreign_of(workspace)]
        keys = [(key.role, key.good_size) for key in workspace.config.keys]
        return acts, len(events), told, foreign, keys, workspace.ledger.counters(1)


def test_killed_before_any_write_the_authority_goes_on(tmp_path: Path) -> None:
    office = scene(tmp_path / "count")
    points = len(run(partial(goes_on, office)).points)
    want = seen(office)
    for fatal in range(0, points, STEP):
        office = scene(tmp_path / str(fatal))
        assert run(partial(goes_on, office), kill_at=fatal).killed
        office.access = replace(office.access, vault=SeededVault("again"))  # the killed one may have made keys
        goes_on(office)
        assert seen(office) == want
        assert office.fsck().clean
    assert points > 40
