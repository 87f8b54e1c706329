"""Keys added, retired and reported stolen: what the workspace signs with, what the log and verifiers are told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from office import DAY, NOW, Office, person

import mingzheng.issuer.keywork as keywork
import mingzheng.issuer.options as shared
from mingzheng.formats.credential import parse_credential
from mingzheng.issuer.config import KeySpec
from mingzheng.issuer.exporting import export_trust, read_status, refresh_status
from mingzheng.issuer.key_cli import key_group
from mingzheng.issuer.keywork import add_key, compromise_key, lost_copies, retire_key
from mingzheng.issuer.lifecycle import find_serial, perform
from mingzheng.issuer.publish import settle
from mingzheng.issuer.refusals import KeyMissingError, KeyStateError, OptionError
from mingzheng.issuer.workspace import LOG, Access, NewOperator, Workspace
from mingzheng.keys.kid import Kid
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.log.acts import ActType
from mingzheng.log.cli import log_group
from mingzheng.log.entry import KeyEventEntry, KeyEventType, OriginSize, parse_entry
from mingzheng.log.sequencer import PUBLIC

DAYS = (DAY, DAY + 900)
LATER = NOW + 86_400


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


def key_of(office: Office, role: Role, issuer: int = 1, place: int = -1) -> KeySpec:
    with office.open() as workspace:
        return [key for key in workspace.config.keys if (key.role, key.issuer) == (role, issuer)][place]


def events(office: Office) -> list[KeyEventEntry]:
    with office.open() as workspace:
        size, _ = workspace.log.head()
        reader = workspace.log.reader()
        reader.refresh()
        entries = [parse_entry(data) for _, data in reader.entries(0, size)]
    return [entry for entry in entries if isinstance(entry, KeyEventEntry)]


def exported(office: Office, now: int = LATER) -> dict[Kid, KeyRecord]:
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=now)
    return dict(load_store(office.base / "trust").data.keys)


def audited(office: Office) -> Result:
    arguments = ["audit", str(office.root / LOG / PUBLIC), "--trust", str(office.base / "trust"), "--json"]
    return CliRunner().invoke(log_group, arguments)


# --- a key that follows another


def test_a_new_key_signs_from_its_first_day_and_the_old_copies_stay(office: Office) -> None:
    old = key_of(office, Role.CREDENTIAL)
    (before,) = office.issue([person(1)])
    with office.open() as workspace:
        made = add_key(workspace, Role.CREDENTIAL, 1, days=DAYS, now=NOW)
        assert workspace.signer(Role.CREDENTIAL, 1, DAY).public_key.kid == made.kid
        assert workspace.signer(Role.CREDENTIAL, 1, DAY - 1).public_key.kid == old.kid
    (after,) = office.issue([person(2)])
    assert [parse_credential(row.signed or b"").kid for row in (before.row, after.row)] == [old.kid, made.kid]
    (event,) = events(office)
    assert (event.event, event.subject_kid, event.kid) == (
        KeyEventType.ADDED,
        made.kid,
        key_of(office, Role.AUTHORITY).kid,
    )
    records = exported(office)
    assert (records[made.kid].valid_from, records[made.kid].valid_until) == DAYS
    assert records[old.kid].retired_on is None
    assert office.fsck().clean
    assert audited(office).exit_code == 0


@pytest.mark.parametrize("role", [Role.ACT, Role.STATUS, Role.AUTHORITY])
def test_every_other_key_is_followed_too(office: Office, role: Role) -> None:
    (issued,) = office.issue([person(1)])
    with office.open() as workspace:
        made = add_key(workspace, role, 1, days=DAYS, now=NOW)
        perform(
            workspace, ActType.REVOKE, find_serial(workspace, serial=issued.row.serial, issuer=1), reason="", now=NOW
        )
        assert workspace.signer(role, 1, DAY).public_key.kid == made.kid
    exported(office)
    assert audited(office).exit_code == 0
    assert [event.subject_kid for event in events(office)] == [made.kid]


def test_without_an_authority_key_only_that_is_made(office: Office) -> None:
    late = NOW + 86_400 * 1_100
    with office.open() as workspace:
        with pytest.raises(KeyMissingError):
            add_key(workspace, Role.CREDENTIAL, 1, days=(DAY + 1_100, DAY + 1_200), now=late)
        add_key(workspace, Role.AUTHORITY, 1, days=(DAY + 1_100, DAY + 1_200), now=late)
        add_key(workspace, Role.CREDENTIAL, 1, days=(DAY + 1_100, DAY + 1_200), now=late)
    assert len(events(office)) == 1  # nobody could speak for the authority key


def test_an_issuer_that_is_not_there_gets_no_key(office: Office) -> None:
    with office.open() as workspace, pytest.raises(OptionError):
        add_key(workspace, Role.ACT, 9, days=DAYS, now=NOW)


# --- retired


def test_a_retired_key_signs_nothing_and_what_it_signed_stays(office: Office) -> None:
    old = key_of(office, Role.CREDENTIAL)
    office.issue([person(1)])
    with office.open() as workspace:
        retire_key(workspace, old.kid, now=NOW)
        assert retire_key(workspace, old.kid, now=NOW).retired_on == DAY  # again: done once
        with pytest.raises(KeyStateError):
            retire_key(workspace, old.kid, now=LATER)
    with pytest.raises(KeyMissingError):
        office.issue([person(2)])
    with office.open() as workspace:
        add_key(workspace, Role.CREDENTIAL, 1, days=DAYS, now=NOW)
    office.issue([person(2)])
    assert [event.event for event in events(office)] == [KeyEventType.RETIRED, KeyEventType.ADDED]
    assert exported(office)[old.kid].retired_on == DAY
    assert audited(office).exit_code == 0


def test_a_submit_key_retires_without_a_word_to_the_log(office: Office) -> None:
    with office.open() as workspace:
        old, new = (workspace.add_key(Role.SUBMIT, 1, days=(DAY, DAY + more)).kid for more in (900, 800))
        assert workspace.newest_signer(Role.SUBMIT, 1).public_key.kid == old
        retire_key(workspace, old, now=NOW)
        assert retire_key(workspace, old, now=LATER).retired_on == DAY
        assert workspace.newest_signer(Role.SUBMIT, 1).public_key.kid == new
        retire_key(workspace, new, now=NOW)
        with pytest.raises(KeyMissingError, match=r"has no submit key$"):
            workspace.newest_signer(Role.SUBMIT, 1)
    assert events(office) == []
    assert exported(office)[old].retired_on == DAY


def test_an_authority_key_that_is_out_signs_no_event_that_names_it(office: Office) -> None:
    old = key_of(office, Role.AUTHORITY)
    with office.open() as workspace:
        new = add_key(workspace, Role.AUTHORITY, 1, days=DAYS, now=NOW)
        assert workspace.authority(1, DAY, old.kid).public_key.kid == old.kid
        retire_key(workspace, old.kid, now=NOW)
        assert workspace.authority(1, DAY, old.kid).public_key.kid == new.kid


# --- stolen


@pytest.mark.parametrize("role", [Role.CREDENTIAL, Role.ACT, Role.STATUS, Role.AUTHORITY])
def test_a_stolen_key_signs_nothing_and_its_last_good_size_goes_out(office: Office, role: Role) -> None:
    old = key_of(office, role)
    with office.open() as workspace:
        refresh_status(workspace, 1, now=NOW)
        size, _ = workspace.log.head()
        if role is Role.AUTHORITY:
            with pytest.raises(KeyMissingError):
                compromise_key(workspace, old.kid, good_size=size, now=NOW)
        add_key(workspace, role, 1, days=DAYS, now=NOW)
        compromise_key(workspace, old.kid, good_size=size, now=NOW)
        assert compromise_key(workspace, old.kid, good_size=size, now=NOW).good_size == size  # again: done once
        with pytest.raises(KeyStateError):
            compromise_key(workspace, old.kid, good_size=size + 1, now=NOW)
        with pytest.raises(KeyStateError):
            retire_key(workspace, old.kid, now=NOW)
        assert compromise_key(workspace, old.kid, good_size=size - 1, now=NOW).good_size == size - 1
    if role is Role.CREDENTIAL:
        office.issue([person(2)])
    assert [event.sizes for event in events(office)] == [(), (OriginSize(1, size),), (OriginSize(1, size - 1),)]
    assert exported(office)[old.kid].compromised == {1: size - 1}
    with office.open() as workspace:
        assert read_status(workspace, 1) is not None
    assert office.fsck().clean


def test_an_operator_key_ends_like_an_act_key_and_goes_on_asking_for_two(office: Office) -> None:
    with office.open() as workspace:
        persons = (NewOperator(name=name, passphrase=b"own passphrase") for name in ("甲", "乙"))
        left, stolen = (workspace.add_operator(1, person, days=(DAY, DAY + 9)) for person in persons)
        assert retire_key(workspace, left.kid, now=NOW).retired_on == DAY
        assert compromise_key(workspace, stolen.kid, good_size=0, now=NOW).good_size == 0
        assert workspace.config.needs_two(1, DAY)
    assert [event.subject_kid for event in events(office)] == [left.kid, stolen.kid]
    data = exported(office)
    assert (data[left.kid].retired_on, data[stolen.kid].compromised) == (DAY, {1: 0})
    assert data[left.kid].role is Role.OPERATOR


def test_only_copies_under_the_stolen_key_are_to_be_issued_again(office: Office) -> None:
    old = key_of(office, Role.CREDENTIAL)
    office.issue([person(1)])
    with office.open() as workspace:
        suspended = find_serial(workspace, serial=0, issuer=1)
        perform(workspace, ActType.SUSPEND, suspended, reason="", now=NOW)
        add_key(workspace, Role.CREDENTIAL, 1, days=DAYS, now=NOW)
    office.issue([person(2)])
    with office.open() as workspace:
        assert lost_copies(workspace, compromise_key(workspace, old.kid, good_size=0, now=NOW)) == (0,)


def test_a_size_above_the_log_is_refused(office: Office) -> None:
    kid = key_of(office, Role.CREDENTIAL).kid
    with office.open() as workspace, pytest.raises(OptionError, match="0 entries"):
        compromise_key(workspace, kid, good_size=1, now=NOW)
    assert key_of(office, Role.CREDENTIAL).good_size is None


def test_a_stolen_receipt_key_is_told_to_verifiers_alone(office: Office) -> None:
    kid = key_of(office, Role.RECEIPT, 0).kid
    with office.open() as workspace:
        compromise_key(workspace, kid, good_size=0, now=NOW)
    assert exported(office)[kid].compromised == {1: 0}
    assert events(office) == []


def test_no_other_key_of_the_log_and_no_stranger_is_named(office: Office) -> None:
    checkpoint = key_of(office, Role.CHECKPOINT, 0).kid
    with office.open() as workspace:
        for kid in (checkpoint, Kid(bytes(8))):
            with pytest.raises(OptionError):
                compromise_key(workspace, kid, good_size=0, now=NOW)
            with pytest.raises(OptionError):
                retire_key(workspace, kid, now=NOW)


def test_killed_between_its_steps_and_run_again_it_is_said_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.issue([person(1)])
    kid = key_of(office, Role.CREDENTIAL).kid
    for name in ("_tell", "refresh_status"):
        with monkeypatch.context() as patch, office.open() as workspace:
            patch.setattr(keywork, name, _die)
            with pytest.raises(KeyboardInterrupt):
                compromise_key(workspace, kid, good_size=2, now=NOW)
        assert key_of(office, Role.CREDENTIAL).good_size == 2
    with office.open() as workspace:
        compromise_key(workspace, kid, good_size=2, now=NOW)
    assert len(events(office)) == 1


def test_a_retirement_that_was_killed_is_finished_on_a_later_day(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    kid = key_of(office, Role.ACT).kid
    with monkeypatch.context() as patch, office.open() as workspace:
        patch.setattr(keywork, "_tell", _die)
        with pytest.raises(KeyboardInterrupt):
            retire_key(workspace, kid, now=NOW)
    assert events(office) == []
    with office.open() as workspace:
        assert retire_key(workspace, kid, now=LATER).retired_on == DAY
        with pytest.raises(KeyStateError):
            retire_key(workspace, kid, now=LATER)
    (event,) = events(office)
    assert (event.event, event.subject_kid, event.day) == (KeyEventType.RETIRED, kid, DAY + 1)


def test_an_event_that_the_log_never_saw_is_signed_again_on_a_later_day(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.issue([person(1)])
    kid = key_of(office, Role.CREDENTIAL).kid
    seen: list[bool] = []

    def settle_once(workspace: Workspace, *, now: int) -> object:
        seen.append(True)
        return _die() if len(seen) == 2 else settle(workspace, now=now)

    with monkeypatch.context() as patch, office.open() as workspace:
        patch.setattr(keywork, "settle_keys", settle_once)
        with pytest.raises(KeyboardInterrupt):
            retire_key(workspace, kid, now=NOW)
    assert events(office) == []
    with office.open() as workspace:
        settle(workspace, now=NOW + 5 * 86_400)
    (event,) = events(office)
    assert (event.event, event.day) == (KeyEventType.RETIRED, DAY + 5)


def _die(*_: object, **__: object) -> object:
    raise KeyboardInterrupt


# --- the commands


@pytest.fixture
def run(office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def access(_: shared.Secret) -> Access:
        return office.access

    monkeypatch.setattr(shared, "access_of", access)
    monkeypatch.setattr(shared.time, "time", lambda: float(NOW))

    def invoke(*arguments: str, answer: str | None = None) -> Result:
        environment = {"MINGZHENG_WORKSPACE": str(office.root)}
        return CliRunner().invoke(key_group, arguments, env=environment, input=answer)

    return invoke


def test_the_commands(office: Office, run: Callable[..., Result]) -> None:
    office.issue([person(1)])
    listed = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [item["role"] for item in listed] == ["receipt", "checkpoint", "authority", "credential", "act", "status"]
    assert all(item["state"] == "good" for item in listed)
    kids = {item["role"]: item["kid"] for item in listed}
    assert "credential" in run("add", "--role", "credential", "--issuer", "1").stdout
    assert run("compromise", kids["credential"], "--yes").exit_code == 2  # no size
    assert run("compromise", kids["receipt"], "--yes", "--good-size", "2").exit_code == 2
    assert run("compromise", "xyz", "--yes").exit_code == 2
    assert "key list" in str(run("compromise", "00" * 8, "--yes").exception)
    assert run("compromise", kids["credential"], "--good-size", "2", answer="n\n").exit_code == 1
    done = run("compromise", kids["credential"], "--good-size", "2", "--json", answer="y\n")
    assert json.loads(done.stdout.splitlines()[-1])["reissue"] == []
    assert "序号：0" in run("compromise", kids["credential"], "--good-size", "0", "--yes").stdout
    assert "serials: 0" in run("compromise", kids["credential"], "--good-size", "0", "--yes", "--lang", "en").stdout
    assert run("compromise", kids["receipt"], "--yes").exit_code == 0
    assert "已停用" in run("retire", kids["act"], "--yes").stdout
    states = [json.loads(line)["state"] for line in run("list", "--json").stdout.splitlines()]
    assert states == ["compromised", "good", "good", "compromised", "retired", "good", "good"]
    assert "compromised < 0" in run("list", "--lang", "en").stdout
    wrong = ("add", "--role", "act", "--issuer", "1", "--valid-from", "2026-02-01", "--valid-until", "2026-01-01")
    assert run(*wrong).exit_code == 2
