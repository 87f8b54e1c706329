"""A re-issue on an application: stored with the re-issue or not at all, once, kept, shown, backed up, forgotten."""

import json
import shutil
import sqlite3
import stat
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from holderpress import ID_NUMBER, NAME, SIGNED_AT, HolderCa, sign, signed_pdf
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from office import DAY, NOW, Office, person

from mingzheng.formats.civil import day_start
from mingzheng.formats.claims import Copy
from mingzheng.issuer.applicationerrors import (
    AnotherApplicationError,
    ApplicationMissingError,
    ApplicationReplayedError,
    UnknownCaError,
)
from mingzheng.issuer.applicationfiles import read_kept
from mingzheng.issuer.applying import Exchange, Handed, exchange, pin_holder_ca, plan_exchange
from mingzheng.issuer.backup import back_up
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.forget import forget
from mingzheng.issuer.issue import Issued, plan_jobs
from mingzheng.issuer.journal import faults_of, parse_deed
from mingzheng.issuer.lifecycle import find_registration, perform, reissue
from mingzheng.issuer.plan import CopyOrder
from mingzheng.issuer.publish import settle
from mingzheng.issuer.refusals import BackupChangedError
from mingzheng.issuer.restore import restore
from mingzheng.issuer.rows import ApplicationRow, Registration
from mingzheng.issuer.showstory import story_json, story_lines
from mingzheng.issuer.story import story_of
from mingzheng.log.acts import ActType

NO = person(1)["registration_no"]
HERE = Registration(issuer=1, kind=1, registration_no=NO)
CA = HolderCa()
HOLDER = CA.holder(number=ID_NUMBER)
SIGNED = signed_pdf(HOLDER)
NEXT_DAY = day_start(DAY + 1) + 36_000
SCHEMA = json.loads((files("mingzheng.issuer") / "status.schema.json").read_text("utf-8"))


def build(base: Path) -> Office:
    made = Office(base).build()
    made.issue([person(1, id_number=ID_NUMBER), person(2, name=NAME)])
    with made.open() as workspace:
        pin_holder_ca(workspace, "ca.cer", CA.root)
    return made


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return build(tmp_path)


def asked(data: bytes = SIGNED, signature: bytes | None = None, wanted: CopyOrder | None = None) -> Exchange:
    return Exchange(wanted=wanted, reason="换领", handed=Handed(data=data, signature=signature))


def exchanged(office: Office, what: Exchange | None = None, *, now: int = NOW, number: int = 1) -> Issued:
    with office.open() as workspace:
        no = person(number)["registration_no"]
        target = find_registration(workspace, kind=1, registration_no=no, issuer=None)
        return exchange(workspace, target, what or asked(), now=now, out=office.out)


def rows(office: Office) -> tuple[ApplicationRow, ...]:
    with office.open() as workspace:
        return workspace.ledger.applications.of(HERE)


def kept(office: Office) -> list[str]:
    return sorted(path.name for path in (office.root / "applications").iterdir())


def deeds(office: Office) -> list[str]:
    with office.open() as workspace:
        desk = workspace.ledger.desk
        assert faults_of(desk.journal(), desk.told(), desk.journal_starts()) == ()
        return [parse_deed(row.body).what for row in desk.journal()]


def test_the_application_is_stored_with_the_reissue_and_kept(office: Office) -> None:
    issued = exchanged(office)
    (row,) = rows(office)
    assert (row.record, row.serial, row.day) == (issued.row.record, issued.row.serial, DAY)
    assert (row.facts.signed_at, row.facts.by_number, row.facts.beside) == (SIGNED_AT, True, None)
    assert kept(office) == [row.facts.file.hex()]
    assert read_kept(office.root / "applications", row.facts) == (SIGNED,)
    path = office.root / "applications"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / row.facts.file.hex()).stat().st_mode) == 0o600
    assert deeds(office) == ["issue", "issue", "application", "supersede"]


def test_a_workspace_of_before_gets_the_directory(office: Office) -> None:
    (office.root / "applications").rmdir()
    exchanged(office)
    assert stat.S_IMODE((office.root / "applications").stat().st_mode) == 0o700


def test_the_same_again_is_the_same(office: Office) -> None:
    first, again = exchanged(office), exchanged(office, now=NOW + 60)
    assert (first.row.serial, first.path.read_bytes()) == (again.row.serial, again.path.read_bytes())
    assert len(rows(office)) == 1
    assert deeds(office).count("application") == 1


def test_what_is_attached_is_not_checked_again_when_the_certificate_has_expired(office: Office) -> None:
    short = CA.holder(number=ID_NUMBER, days=(SIGNED_AT - 60, NOW + 60))
    exchanged(office, asked(signed_pdf(short)))
    exchanged(office, asked(signed_pdf(short)), now=NOW + 3_600)
    assert len(rows(office)) == 1


def test_two_copies_of_one_reissue_have_one_application(office: Office) -> None:
    usage = CopyOrder(copy=Copy.USAGE, purpose="投标", day=DAY)
    first, second = exchanged(office), exchanged(office, asked(wanted=usage), now=NOW + 60)
    assert first.row.serial != second.row.serial
    assert first.row.record == second.row.record
    assert [row.serial for row in rows(office)] == [first.row.serial]


def test_an_application_serves_one_reissue_however_it_is_wrapped(office: Office) -> None:
    exchanged(office)
    hole = SIGNED.index(b"/Contents <") + 11
    other_case = SIGNED[:hole] + SIGNED[hole : hole + 16_000].upper() + SIGNED[hole + 16_000 :]
    assert other_case != SIGNED
    for data in (SIGNED, other_case):
        with pytest.raises(ApplicationReplayedError):
            exchanged(office, asked(data), now=NEXT_DAY)
        with pytest.raises(ApplicationReplayedError):  # another registration, of somebody of the same name
            exchanged(office, asked(data), now=NEXT_DAY, number=2)
    assert len(rows(office)) == 1
    assert kept(office) == [rows(office)[0].facts.file.hex()]
    exchanged(office, asked(signed_pdf(HOLDER, at=NEXT_DAY - 60)), now=NEXT_DAY)
    assert len(rows(office)) == 2


def test_a_detached_signature_is_kept_beside_and_spelt_otherwise_is_the_same(office: Office) -> None:
    data = b"whatever the holder's program writes"
    signature = sign(HOLDER, data, signed_at=SIGNED_AT)
    exchanged(office, asked(data, signature))
    (row,) = rows(office)
    assert read_kept(office.root / "applications", row.facts) == (data, signature)
    fresh = sign(HOLDER, data, signed_at=SIGNED_AT)
    for again in (signature, fresh):
        with pytest.raises(ApplicationReplayedError):
            exchanged(office, asked(data, again), now=NEXT_DAY)


def test_a_reissue_has_one_application(office: Office) -> None:
    exchanged(office)
    other = signed_pdf(HOLDER, at=SIGNED_AT + 60)
    with pytest.raises(AnotherApplicationError):
        exchanged(office, asked(other), now=NOW + 60)
    with office.open() as workspace:  # without one, the copy is delivered again and the application stays
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        reissue(workspace, target, wanted=None, reason="", now=NOW + 90, out=office.out)
    assert len(rows(office)) == 1
    assert len(kept(office)) == 1


def test_it_can_be_handed_in_later_on_the_day_of_the_reissue(office: Office) -> None:
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        issued = reissue(workspace, target, wanted=None, reason="换领", now=NOW, out=office.out)
    yesterday = signed_pdf(HOLDER, at=NOW - 86_400)  # before today's certificate, not before the one exchanged
    assert exchanged(office, asked(yesterday), now=NOW + 60).row.serial == issued.row.serial
    assert [row.serial for row in rows(office)] == [issued.row.serial]


def test_a_reissue_that_never_reached_the_log_gives_its_application_back(office: Office) -> None:
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        burnt = plan_exchange(workspace, target, asked(), now=NOW)
        (planned,) = plan_jobs(workspace, [burnt])
        settle(workspace, now=NEXT_DAY)  # its day has passed: the serial is closed
    with pytest.raises(ApplicationReplayedError):  # to its own registration, not to another one's
        exchanged(office, now=NEXT_DAY, number=2)
    issued = exchanged(office, now=NEXT_DAY)
    assert issued.row.serial != planned.serial
    assert [row.serial for row in rows(office)] == [issued.row.serial]
    with pytest.raises(ApplicationReplayedError):
        exchanged(office, now=NEXT_DAY + 86_400)


def test_the_ledger_itself_refuses_a_second_use(office: Office) -> None:
    """Checked before, changed meanwhile: the transaction looks again, and nothing of it is stored."""
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        job = plan_exchange(workspace, target, asked(), now=NOW)
        two = find_registration(workspace, kind=1, registration_no=person(2)["registration_no"], issuer=None)
        stale = replace(plan_exchange(workspace, two, asked(), now=NOW), row=2)
        plan_jobs(workspace, [job])
        before = workspace.ledger.counters(1)
        with pytest.raises(ApplicationReplayedError):
            plan_jobs(workspace, [stale])
        assert workspace.ledger.counters(1) == before


def test_a_refused_application_leaves_nothing(office: Office) -> None:
    foreign = signed_pdf(HolderCa("别的机构").holder())
    with pytest.raises(UnknownCaError):
        exchanged(office, asked(foreign))
    assert (kept(office), rows(office), deeds(office)) == ([], (), ["issue"])


def told(office: Office) -> str:
    with office.open() as workspace:
        story = story_of(workspace, HERE, today=DAY)
    said = ""
    for full in (False, True):
        item = story_json(story, full=full)
        Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(item)))
        said += json.dumps(item, ensure_ascii=False)
        for lang in ("zh", "en"):
            said += "\n".join(story_lines(story, lang, full=full))
    return said


def test_status_shows_it_without_the_certificate_or_the_number(office: Office) -> None:
    exchanged(office)
    (row,) = rows(office)
    said = told(office)
    assert '"applications": [{"serial": ' in said
    assert '"bound_by": "identity_number"' in said
    assert "姓名和证件号码相符" in said
    assert row.facts.file.hex() in said
    assert ID_NUMBER in row.facts.subject
    for secret in (ID_NUMBER, row.facts.subject, row.facts.certificate.hex(), row.facts.statement.hex()):
        assert secret not in said
    with office.open() as workspace:
        journal = b"".join(one.body for one in workspace.ledger.desk.journal())
    for private in (NAME.encode(), ID_NUMBER.encode(), row.facts.file, row.facts.certificate, row.facts.statement):
        assert private not in journal


def test_nothing_of_it_is_published(office: Office, tmp_path: Path) -> None:
    exchanged(office)
    (row,) = rows(office)
    with office.open() as workspace:
        export_trust(workspace, tmp_path / "trust", now=NOW + 60)
    public = [*(office.root / "log").rglob("*"), *(tmp_path / "trust").rglob("*")]
    data = b"".join(path.read_bytes() for path in public if path.is_file())
    for secret in (row.facts.file, row.facts.statement, row.facts.certificate, ID_NUMBER.encode(), NAME.encode()):
        assert secret not in data
        assert secret.hex().encode() not in data


def test_forgetting_takes_the_application_and_its_files(office: Office) -> None:
    exchanged(office)
    data = b"beside"
    exchanged(office, asked(data, sign(HOLDER, data, signed_at=NEXT_DAY - 60)), now=NEXT_DAY)
    found = rows(office)
    assert len(kept(office)) == 3
    stray = office.root / "applications" / ("0" * 64)  # of a command that was cut short
    stray.write_bytes(b"orphan")
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="", now=NEXT_DAY + 60)
        forget(workspace, HERE, reason="申请", now=day_start(DAY + 2_000))
    assert kept(office) == []
    assert rows(office) == ()
    secrets = [one for row in found for one in (row.facts.file, row.facts.statement, row.facts.certificate, row.record)]
    for path in office.root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [one for one in [*secrets, ID_NUMBER.encode()] if one in content], path.name
    assert deeds(office)[-1] == "forget"


def test_forgetting_leaves_the_applications_of_others(office: Office) -> None:
    exchanged(office, asked(signed_pdf(CA.holder(NAME))), number=2)
    exchanged(office)
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 60)
        forget(workspace, HERE, reason="申请", now=day_start(DAY + 2_000))
    assert len(kept(office)) == 1


def test_a_backup_has_it_and_a_restored_workspace_too(office: Office, tmp_path: Path) -> None:
    exchanged(office)
    (row,) = rows(office)
    made = back_up(office.root, tmp_path / "b.tar", with_keys=True, now=NOW + 60)
    assert f"applications/{row.facts.file.hex()}" in [entry.path for entry in made.manifest.files]
    there = tmp_path / "there"
    there.mkdir()
    restore(made.path, there / "W", anchor=None, now=NOW + 60)
    store = there / "W" / "applications"
    assert read_kept(store, row.facts) == (SIGNED,)
    assert (stat.S_IMODE(store.stat().st_mode), stat.S_IMODE(next(store.iterdir()).stat().st_mode)) == (0o700, 0o600)
    shutil.rmtree(office.root / "applications")
    with pytest.raises(ApplicationMissingError):
        read_kept(office.root / "applications", row.facts)
    with pytest.raises(BackupChangedError):
        back_up(office.root, tmp_path / "c.tar", with_keys=True, now=NOW + 60)


def test_a_row_names_its_registration_and_its_data(office: Office) -> None:
    """Two rows for one re-issue, or one statement twice, cannot be written at all."""
    exchanged(office)
    database = sqlite3.connect(office.root / "ledger.sqlite")
    columns = [row[1] for row in database.execute("PRAGMA table_info(application)")]
    names = ", ".join(columns)
    for changed in ("statement", "record"):
        values = ", ".join("x'00'" if name == changed else name for name in columns)
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(f"INSERT INTO application ({names}) SELECT {values} FROM application")
    database.close()
