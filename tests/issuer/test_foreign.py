"""Entries that a thief wrote to the log around the ledger: what waits, what goes on, who says so."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import thief
from click.testing import CliRunner, Result
from noticebodies import old_form
from office import CONSTRUCTORS, DAY, NOW, Office, person
from operatoroffice import NAMES, OperatorOffice, approved, asked, operator_office, present
from servedoffice import Serving

import mingzheng.issuer.options as shared
from mingzheng.cli import cli
from mingzheng.issuer.approvalerrors import OtherIssuerError, PersonNeededError, SamePersonError
from mingzheng.issuer.backup import back_up
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.foreign import acknowledge, find_foreign, foreign_of, note_foreign, settle_keys
from mingzheng.issuer.foreignerrors import (
    ForeignAuthorityError,
    ForeignEntriesError,
    ForeignKeyGoodError,
    ForeignPersonsError,
)
from mingzheng.issuer.issue import issue
from mingzheng.issuer.journal import faults_of, parse_deed
from mingzheng.issuer.keywork import add_key, compromise_key
from mingzheng.issuer.lifecycle import find_serial, perform
from mingzheng.issuer.noticebook import counting, list_notices
from mingzheng.issuer.noticework import give, propose
from mingzheng.issuer.operators import add_operator
from mingzheng.issuer.publish import settle, sign_act
from mingzheng.issuer.refusals import LedgerBehindLogError
from mingzheng.issuer.restore import restore
from mingzheng.issuer.rows import NewAct
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.story import registrations_of, story_of
from mingzheng.issuer.workspace import NewOperator, Workspace
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.log.acts import ActType
from mingzheng.log.entry import ActEntry, KeyEventEntry, NoticeEntry, parse_entry

DAYS = (DAY, DAY + 900)
MOST = 2**40 - 1


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path, issuers=(CONSTRUCTORS,)).build()
    made.issue([person(1), person(2)])
    return made


def replaced(workspace: Workspace, role: Role, *, good_size: int, now: int = NOW + 20) -> None:
    """The key of that role is called stolen, after a new one was made."""
    old = next(key.kid for key in workspace.config.keys if (key.role, key.issuer) == (role, 1))
    add_key(workspace, role, 1, days=DAYS, now=now)
    compromise_key(workspace, old, good_size=good_size, now=now)


def sound(workspace: Workspace) -> list[str]:
    """The journal holds; what it tells."""
    desk = workspace.ledger.desk
    assert faults_of(desk.journal(), desk.told(), desk.journal_starts()) == ()
    return [parse_deed(row.body).what for row in desk.journal()]


def revokes(workspace: Workspace, serial: int, now: int) -> None:
    perform(workspace, ActType.REVOKE, find_serial(workspace, serial=serial, issuer=1), reason="", now=now)


def strikes(workspace: Workspace, what: str) -> int:
    if what == "act":
        return thief.acts(workspace, ActType.SUSPEND, (0,))
    return thief.issues(workspace, {"next": 2, "far": 50}[what])


@pytest.mark.parametrize("what", ["act", "next", "far"])
def test_the_authority_acts_while_everything_else_waits(office: Office, what: str) -> None:
    with office.open() as workspace:
        good = strikes(workspace, what)
    with office.open() as workspace:
        with pytest.raises(LedgerBehindLogError):
            issue(workspace, office.request([person(3)]), out=office.out, now=NOW + 10)
        with pytest.raises(LedgerBehindLogError):
            export_trust(workspace, office.base / "trust", now=NOW + 10)
        role = Role.ACT if what == "act" else Role.CREDENTIAL
        replaced(workspace, role, good_size=good)
        with pytest.raises(ForeignEntriesError):
            issue(workspace, office.request([person(3)]), out=office.out, now=NOW + 30)
        with pytest.raises(ForeignEntriesError):
            revokes(workspace, 1, NOW + 30)
        assert export_trust(workspace, office.base / "trust", now=NOW + 31).generation == 1
        assert acknowledge(workspace, 1, [], reason="失窃", now=NOW + 40) == 1
        made = issue(workspace, office.request([person(n) for n in range(3, 6)]), out=office.out, now=NOW + 41)
        taken = {2} if what == "next" else set()
        assert {item.row.serial for item in made} == set(range(2, 6)) - taken - ({5} if not taken else set())
        revokes(workspace, 1, NOW + 42)
        export_trust(workspace, office.base / "trust", now=NOW + 43)
        told = sound(workspace)
        assert told.count("foreign") == told.count("foreign-acknowledged") == 1
        assert not find_foreign(workspace)
        assert acknowledge(workspace, 1, [], reason="", now=NOW + 44) == 0
    assert office.fsck().clean


def test_a_served_log_is_no_other(tmp_path: Path) -> None:
    serving = Serving(Office(tmp_path).build(), own=True)
    try:
        with serving.open() as workspace:
            issue(workspace, serving.office.request([person(1)]), out=serving.office.out, now=NOW)
            good = thief.acts(workspace, ActType.SUSPEND, (0,), now=NOW)
        with serving.open() as workspace:
            (found,) = find_foreign(workspace)
            assert (found.row.leaf_index, found.serials, found.row.number) == (good, (0,), 0)
            replaced(workspace, Role.ACT, good_size=good, now=NOW)
            export_trust(workspace, tmp_path / "trust", now=NOW)
            assert acknowledge(workspace, 1, [], reason="失窃", now=NOW) == 1
            assert workspace.ledger.copy(1, 0).status is CopyStatus.SUSPENDED
            issue(workspace, serving.office.request([person(2)]), out=serving.office.out, now=NOW)
    finally:
        serving.sequencing.stop()
    assert serving.office.fsck().clean


def test_the_largest_serial_stops_nothing(office: Office) -> None:
    with office.open() as workspace:
        good = thief.issues(workspace, MOST)
        thief.acts(workspace, ActType.VOID, (3, 4))  # ahead
        replaced(workspace, Role.CREDENTIAL, good_size=good)
        replaced(workspace, Role.ACT, good_size=good)
        acknowledge(workspace, 1, [], reason="失窃", now=NOW + 30)
        made = issue(workspace, office.request([person(n) for n in range(3, 6)]), out=office.out, now=NOW + 41)
        assert sorted(item.row.serial for item in made) == [2, 5, 6]
        assert workspace.ledger.counters(1)[0] == 7
    assert office.fsck().clean


def test_what_it_did_to_copies_is_as_the_log_has_it(office: Office) -> None:
    with office.open() as workspace:
        good = thief.acts(workspace, ActType.SUSPEND, (0,))
        thief.acts(workspace, ActType.REVOKE, (1,))
        replaced(workspace, Role.ACT, good_size=good)
        copies = [workspace.ledger.copy(1, serial) for serial in (0, 1)]
        assert [row.status for row in copies] == [CopyStatus.SUSPENDED, CopyStatus.REVOKED]
        story = story_of(workspace, copies[0].registration, today=DAY)
        assert [(event.what, event.operators) for event in story.events] == [("foreign-suspend", ())]
        acknowledge(workspace, 1, [], reason="失窃", now=NOW + 30)
        perform(workspace, ActType.REINSTATE, find_serial(workspace, serial=0, issuer=1), reason="", now=NOW + 31)
        assert workspace.ledger.copy(1, 0).status is CopyStatus.LIVE
        sound(workspace)
    assert office.fsck().clean


def test_nothing_is_acknowledged_under_a_key_that_counts(office: Office) -> None:
    with office.open() as workspace:
        first = thief.acts(workspace, ActType.SUSPEND, (0,))
        second = thief.issues(workspace, 9)
        with pytest.raises(ForeignKeyGoodError):
            acknowledge(workspace, 1, [], reason="", now=NOW + 10)
        replaced(workspace, Role.ACT, good_size=first + 1)  # too large: the entry counts
        with pytest.raises(ForeignKeyGoodError, match=f"entry {first} "):
            acknowledge(workspace, 1, [], reason="", now=NOW + 30)
        old = next(key.kid for key in workspace.config.keys if key.good_size is not None)
        compromise_key(workspace, old, good_size=first, now=NOW + 31)
        with pytest.raises(ForeignKeyGoodError, match=f"entry {second} "):
            acknowledge(workspace, 1, [], reason="", now=NOW + 32)
        replaced(workspace, Role.CREDENTIAL, good_size=second, now=NOW + 33)
        assert acknowledge(workspace, 1, [], reason="", now=NOW + 34) == 2


def test_who_strikes_again_is_waited_for_again(office: Office) -> None:
    with office.open() as workspace:
        good = thief.acts(workspace, ActType.SUSPEND, (0,))
        assert note_foreign(workspace, now=NOW + 5)
        thief.issues(workspace, 7, now=NOW + 6)
        replaced(workspace, Role.ACT, good_size=good)
        assert len(foreign_of(workspace)) == 2
        replaced(workspace, Role.CREDENTIAL, good_size=good, now=NOW + 21)
        assert acknowledge(workspace, 1, [], reason="", now=NOW + 30) == 2
        settle(workspace, now=NOW + 31)


def test_a_foreign_notice_is_told_only_as_void(office: Office) -> None:
    with office.open() as workspace:
        good = thief.gives(workspace, old_form())
        add_key(workspace, Role.ACT, 1, days=DAYS, now=NOW + 10)
        export_trust(workspace, office.base / "trust", now=NOW + 11)
        assert not any(name.startswith("notices/") for name in load_store(office.base / "trust").data.blobs)
        assert not list(counting(list_notices(workspace, 1)))
        compromise_key(workspace, thief.key_of_config(workspace, Role.ACT), good_size=good, now=NOW + 12)
        acknowledge(workspace, 1, [], reason="", now=NOW + 13)
        give(
            workspace, propose(workspace, 1, lambda number: replace(old_form(), number=number)), reason="", now=NOW + 14
        )
        assert [(item.void, item.row.foreign) for item in list_notices(workspace, 1)] == [(True, True), (False, False)]
        assert [body.number for body in counting(list_notices(workspace, 1))] == [2]
        export_trust(workspace, office.base / "trust", now=NOW + 15)
    blobs = load_store(office.base / "trust").data.blobs
    assert {"notices/1-1.cbor", "notices/1-2.cbor"} <= blobs.keys()


def test_acts_of_ours_that_it_overtook_come_behind(office: Office) -> None:
    """Killed between storing and logging, and the thief is faster: their numbers and the notice's are taken."""
    with office.open() as workspace:
        new = NewAct(issuer=1, act=1, serials=(0,), day=DAY, reason="因故", status=CopyStatus.REVOKED)
        workspace.ledger.store_acts([new], sign=lambda act, number: sign_act(workspace, act, number))
        proposal = propose(workspace, 1, lambda number: replace(old_form(), number=number))
        from mingzheng.issuer.noticework import new_act
        from mingzheng.issuer.publish import sign_notice

        workspace.ledger.store_acts(
            [new_act(proposal, day=DAY, reason="通知")],
            sign=lambda act, number: sign_notice(workspace, act, number, proposal.body_bytes),
        )
        good = thief.gives(workspace, old_form(template=9))
        with pytest.raises(LedgerBehindLogError):
            settle(workspace, now=NOW + 10)
        replaced(workspace, Role.ACT, good_size=good)
        sound(workspace)
        assert [act.number for act in workspace.ledger.unlogged_acts()] == [-2, -1]
        acknowledge(workspace, 1, [], reason="", now=NOW + 30)
        assert settle(workspace, now=NOW + 31).acts == 2
        rows = [act for act in workspace.ledger.all_acts() if act.act > 0]
        assert [(act.act, act.number) for act in rows] == [(1, 3), (102, 4)]
        entry = parse_entry(rows[1].entry)
        assert isinstance(entry, NoticeEntry)
        assert [item.body.number for item in list_notices(workspace, 1)] == [1, 2]
        assert workspace.ledger.desk.deed_of_act(1, 3) is not None
        told = sound(workspace)
        assert told.count("revoke-moved") == 2
    assert office.fsck().clean


@pytest.mark.parametrize(("theirs", "left"), [((0,), (1,)), ((0, 1), ())])
def test_of_what_it_ended_itself_nothing_is_said_again(
    office: Office, theirs: tuple[int, ...], left: tuple[int, ...]
) -> None:
    with office.open() as workspace:
        new = NewAct(issuer=1, act=1, serials=(0, 1), day=DAY, reason="因故", status=CopyStatus.REVOKED)
        workspace.ledger.store_acts([new], sign=lambda act, number: sign_act(workspace, act, number))
        good = thief.acts(workspace, ActType.SUPERSEDE, theirs)
        replaced(workspace, Role.ACT, good_size=good)
        acknowledge(workspace, 1, [], reason="", now=NOW + 30)
        settle(workspace, now=NOW + 31)
        acts = [parse_entry(act.entry) for act in workspace.ledger.all_acts() if act.act > 0]
        assert [act.serials for act in acts if isinstance(act, ActEntry)] == ([left] if left else [])
        found = [workspace.ledger.copy(1, serial).status for serial in (0, 1)]
        assert found == [CopyStatus.SUPERSEDED, CopyStatus.REVOKED if left else CopyStatus.SUPERSEDED]
        told = sound(workspace)
        assert ("revoke-gone" in told) is not bool(left)
        settle(workspace, now=NOW + 32)
    assert office.fsck().clean


def test_a_serial_that_was_planned_and_is_taken_is_planned_anew(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office.open() as workspace:
        with monkeypatch.context() as killed:
            killed.setattr("mingzheng.issuer.publish._submit_copies", _killed)
            with pytest.raises(RuntimeError):
                issue(workspace, office.request([person(3)]), out=office.out, now=NOW + 2)
        good = thief.issues(workspace, 2)
        with pytest.raises(LedgerBehindLogError, match="serial"):
            issue(workspace, office.request([person(3)]), out=office.out, now=NOW + 10)
        replaced(workspace, Role.CREDENTIAL, good_size=good)
        acknowledge(workspace, 1, [], reason="", now=NOW + 30)
        (made,) = issue(workspace, office.request([person(3)]), out=office.out, now=NOW + 31)
        assert made.row.serial == 3
    assert office.fsck().clean


def _killed(*_: object) -> None:
    raise RuntimeError


def test_a_thief_of_the_authority_key_is_followed_by_a_new_one(office: Office) -> None:
    authority = thief.key_of(office, Role.AUTHORITY)
    with office.open() as workspace:
        good = thief.retires(workspace, authority)
        with pytest.raises(ForeignAuthorityError):
            add_key(workspace, Role.ACT, 1, days=DAYS, now=NOW + 10)
        with pytest.raises(ForeignEntriesError):  # mingzheng.toml says something else of that key
            export_trust(workspace, office.base / "trust", now=NOW + 11)
        replaced(workspace, Role.AUTHORITY, good_size=good)
        assert acknowledge(workspace, 1, [], reason="", now=NOW + 30) == 1
        revokes(workspace, 0, NOW + 31)
        events = [parse_entry(act.entry) for act in workspace.ledger.all_acts() if act.act < 0]
        assert all(isinstance(event, KeyEventEntry) and event.kid != authority for event in events)
    assert office.fsck().clean


def test_an_old_ledger_speaks_for_no_keys(office: Office) -> None:
    """A backup of before a theft was said is put back: it notes our own entries, and tells nobody of keys."""
    files = {name: (office.root / name).read_bytes() for name in ("ledger.sqlite", "mingzheng.toml")}
    with office.open() as workspace:
        replaced(workspace, Role.ACT, good_size=4, now=NOW + 10)
    for name, data in files.items():
        (office.root / name).write_bytes(data)
    with office.open() as workspace:
        note_foreign(workspace, now=NOW + 15)
        with pytest.raises(ForeignEntriesError):
            export_trust(workspace, office.base / "trust", now=NOW + 20)
        with pytest.raises(ForeignKeyGoodError):
            acknowledge(workspace, 1, [], reason="", now=NOW + 21)


def test_a_backup_with_foreign_serials_is_restored(office: Office) -> None:
    with office.open() as workspace:
        good = thief.issues(workspace, 50)
        replaced(workspace, Role.CREDENTIAL, good_size=good)
    back_up(office.root, office.base / "kept", with_keys=True, now=NOW + 30)
    assert restore(office.base / "kept", office.base / "again", anchor=None, now=NOW + 40).root.is_dir()


# two persons


@pytest.fixture
def persons(tmp_path: Path) -> OperatorOffice:
    return operator_office(tmp_path)


def struck(workspace: Workspace) -> None:
    good = thief.issues(workspace, 9)
    replaced(workspace, Role.CREDENTIAL, good_size=good)


def test_one_person_does_not_acknowledge(persons: OperatorOffice) -> None:
    with persons.open() as workspace:
        struck(workspace)
        one, two = (present(workspace, name, NOW + 30).key for name in NAMES)
        for here in ((), (one,)):
            with pytest.raises(ForeignPersonsError):
                acknowledge(workspace, 1, here, reason="", now=NOW + 30)
        with pytest.raises(SamePersonError):
            acknowledge(workspace, 1, (one, one), reason="", now=NOW + 30)
        with pytest.raises(SamePersonError):
            acknowledge(workspace, 1, (one, replace(one, operator="王五")), reason="", now=NOW + 30)
        with pytest.raises(SamePersonError):  # two keys of one person
            acknowledge(workspace, 1, (one, replace(two, operator=one.operator)), reason="", now=NOW + 30)
        workspace.persons.pop(two.kid)  # not here: the key was not opened
        with pytest.raises(OtherIssuerError):
            acknowledge(workspace, 1, (one, two), reason="", now=NOW + 30)
        two = present(workspace, NAMES[1], NOW + 30).key
        assert acknowledge(workspace, 1, (one, two), reason="失窃", now=NOW + 30) == 1
        last = parse_deed(list(workspace.ledger.desk.journal())[-1].body)
        assert (last.what, last.operators, last.count) == ("foreign-acknowledged", NAMES, 1)
        sound(workspace)


def test_new_persons_acknowledge_where_both_keys_were_stolen(persons: OperatorOffice) -> None:
    with persons.open() as workspace:
        struck(workspace)
        for name in ("王五", "赵六"):
            who = NewOperator(name=name, passphrase=f"passphrase of {name}".encode())
            add_operator(workspace, 1, who, days=(None, DAY + 900), now=NOW + 25)
        here = [present(workspace, name, NOW + 30).key for name in ("王五", "赵六")]
        assert acknowledge(workspace, 1, here, reason="失窃", now=NOW + 30) == 1


def test_what_two_persons_signed_waits_for_them(persons: OperatorOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """An approved revocation that the log had not yet: numbered anew, and signed by the second person alone."""
    with persons.open() as workspace:
        row = asked(workspace)
        with monkeypatch.context() as killed:
            killed.setattr(
                "mingzheng.issuer.publish.submit_acts", lambda _workspace, acts, _now: _killed() if acts else None
            )
            with pytest.raises(RuntimeError):
                approved(workspace, row)
    with persons.open() as workspace:
        good = thief.acts(workspace, ActType.SUSPEND, (1,))
        replaced(workspace, Role.ACT, good_size=good)
        here = [present(workspace, name, NOW + 30).key for name in NAMES]
        acknowledge(workspace, 1, here, reason="失窃", now=NOW + 30)
    with persons.open() as workspace:
        with pytest.raises(PersonNeededError):
            settle(workspace, now=NOW + 31)
        present(workspace, NAMES[1], NOW + 32)
        settle(workspace, now=NOW + 32)
        (act,) = [act for act in workspace.ledger.all_acts() if act.act == ActType.REVOKE]
        assert act.leaf_index is not None
        sound(workspace)
    assert persons.fsck().clean


# as it is typed


@pytest.fixture
def typed(office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr(shared.time, "time", lambda: float(NOW + 60))
    monkeypatch.setattr("mingzheng.issuer.foreign_cli.open_workspace", lambda *_: office.open())
    monkeypatch.setattr("mingzheng.issuer.key_cli.open_workspace", lambda *_: office.open())
    return lambda *words, answer=None: CliRunner().invoke(cli, [*words, "--workspace", "W"], input=answer)


def test_it_is_listed_said_and_acknowledged(office: Office, typed: Callable[..., Result]) -> None:
    assert "没有" in typed("log", "foreign").stderr
    with office.open() as workspace:
        good = thief.acts(workspace, ActType.SUSPEND, (0,))
    kid = thief.key_of(office, Role.ACT).hex()
    row = json.loads(typed("log", "foreign", "--json").stdout)
    want = {"index": good, "what": "suspend", "serials": [0], "kids": [kid], "good_kids": [kid], "state": "new"}
    assert {name: row[name] for name in want} == want
    assert "密钥在此仍算数" in typed("log", "foreign").stdout
    assert "非本台账所写" not in typed("key", "list").stderr
    assert "1 条" in typed("key", "add", "--role", "act", "--issuer", "1").stderr
    refused = typed("log", "acknowledge", "--reason", "失窃", "--yes")
    assert isinstance(refused.exception, ForeignKeyGoodError)
    assert typed("key", "compromise", kid, "--good-size", str(good), "--yes").exit_code == 0
    assert typed("log", "acknowledge", "--reason", "失窃", answer="n\n").exit_code == 1
    done = typed("log", "acknowledge", "--reason", "失窃", "--json", answer="y\n")
    assert json.loads(done.stdout) == {"issuer": 1, "acknowledged": 1}
    assert "acknowledged" in typed("log", "foreign", "--lang", "en").stdout
    with office.open() as workspace:
        settle_keys(workspace, now=NOW + 70)
        (found,) = registrations_of(workspace, person(1)["registration_no"], kind=None, issuer=None)
        assert story_of(workspace, found, today=DAY).copies
