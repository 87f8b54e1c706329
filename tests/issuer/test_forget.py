"""Forgetting: nothing is left in any file from which the person could be told or a guess be confirmed."""

import contextlib
import hashlib
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import FULL
from crashpoints import run
from noticebodies import extension, retraction
from office import DAY, NOW, Office, person, picture

import mingzheng.issuer.showdesk as showdesk
from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import parse_claims
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.forget import EMPTIED, WHAT_STAYS, Forgotten, check_reason, forget, plan_forget
from mingzheng.issuer.forgeterrors import ForgetReasonError, ForgetTooEarlyError, ForgetUnknownError
from mingzheng.issuer.kept import parse_kept
from mingzheng.issuer.lifecycle import find_registration, find_serial, perform, plan_act, plan_reissue
from mingzheng.issuer.noticework import give, preview, propose
from mingzheng.issuer.refusals import (
    RegistrationClosedError,
    RegistrationLockedError,
    RegistrationUnknownError,
    SweepBusyError,
)
from mingzheng.issuer.rows import NewAct, Registration
from mingzheng.issuer.schema import MIGRATIONS, CopyState, CopyStatus
from mingzheng.issuer.workspace import Workspace, log_vkey
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.acts import ActType
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.noticebody import Moves

STEP = 1 if FULL else 5  # write points between two kills

NO = person(1)["registration_no"]
HERE = Registration(issuer=1, kind=1, registration_no=NO)
CAME = NOW + 600


@pytest.fixture(scope="module")
def done_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawing pages is what takes long: once for all."""
    base = tmp_path_factory.mktemp("once") / "office"
    build(base)
    return base


@pytest.fixture
def made(done_once: Path, tmp_path: Path) -> Office:
    """A copy of it: its log is read-only, and forgetting needs none."""
    return copied(done_once, tmp_path / "copy")


def copied(source: Path, base: Path) -> Office:
    shutil.copytree(source, base)
    return Office(base)


def build(base: Path) -> Office:
    """Person 1 with a picture of their own, three copies and a change of data, revoked; person 2 beside them."""
    base.mkdir(exist_ok=True)
    made = Office(base).build()
    (base / "own.png").write_bytes(picture(310, 430))
    first, second = person(1, photo="own.png"), person(2)
    made.issue([first, second])
    made.issue([first], purpose="注册")
    made.issue([person(1, photo="own.png", employer="上海示例建设有限公司")], now=NOW + 60)
    with made.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="王乙明本人申请", now=NOW + 120)
    return made


def secrets_of(made: Office) -> list[bytes]:
    """Every byte string that belongs to person 1 alone: names, texts, salts, digests, signed bytes."""
    with made.open() as workspace:
        rows, found = workspace.ledger.copies_of(HERE), workspace.ledger.current_record(HERE)
        assert found is not None
        record, theirs = parse_kept(found[1]).record, workspace.ledger.copy(1, _other(workspace))
    secrets = [NO.encode(), record.name.encode(), "王乙明".encode(), found[0], "上海示例建设有限公司".encode()]
    for row in rows:
        salt = parse_claims(row.claims).salt
        secrets += [
            salt,
            row.key,
            row.request,
            row.batch,
            row.record,
            row.claims,
            row.signed or b"",
            row.receipt or b"",
        ]
        secrets += [row.photo or b"", *(file.sha256 for file in row.files), *(file.name.encode() for file in row.files)]
        secrets.append(hashlib.sha256(row.claims).digest())
    shared = {theirs.batch, theirs.receipt, theirs.signature_image}
    return [secret for secret in secrets if secret and secret not in shared]


def _other(workspace: object) -> int:
    rows = workspace.ledger.all_copies()  # type: ignore[attr-defined]
    return next(row.serial for row in rows if row.registration_no != NO)


def forget_it(made: Office, *, now: int = CAME, reason: str = "持证人申请") -> Forgotten:
    with made.open() as workspace:
        return forget(workspace, HERE, reason=reason, now=now)


def leaks(made: Office, secrets: list[bytes]) -> list[str]:
    """Files of the workspace that still hold one of them, as bytes or as hexadecimal."""
    found = []
    for path in sorted(made.root.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        text = f"{path.name}".encode()
        found += [
            f"{path.name}: {secret.hex()}"
            for secret in secrets
            if secret in data or secret.hex().encode() in data + text
        ]
    return found


def test_no_byte_of_the_person_is_left_in_any_file(made: Office) -> None:
    secrets = secrets_of(made)
    assert {name.partition(":")[0] for name in leaks(made, secrets)} >= {"ledger.sqlite"}
    done = forget_it(made)
    assert leaks(made, secrets) == []
    assert (len(done.copies), done.images, done.shared_reasons) == (3, 1, 0)


def test_what_earlier_programs_left_in_free_pages_goes_too_while_the_ledger_is_open(made: Office) -> None:
    secret = b"left by a program that did not overwrite " * 4
    old = sqlite3.connect(made.root / "ledger.sqlite", isolation_level=None)
    old.execute("PRAGMA secure_delete = OFF")
    old.execute("INSERT INTO record (digest, body) VALUES (x'99', ?)", (secret * 100,))
    old.execute("DELETE FROM record WHERE digest = x'99'")
    old.close()
    assert leaks(made, [secret])
    with made.open() as workspace:
        forget(workspace, HERE, reason="", now=CAME)
        assert leaks(made, [secret]) == []


def test_what_stays_is_what_the_log_shows(made: Office) -> None:
    with made.open() as workspace:
        before = workspace.ledger.copies_of(HERE)
        others = [row for row in workspace.ledger.all_copies() if row.registration_no != NO]
        acts = workspace.ledger.all_acts()
    done = forget_it(made)
    for old, new in zip(before, done.copies, strict=True):
        for name in ("issuer", "serial", "kind", "day", "state", "status", "leaf_index", "shard", "logged_at"):
            assert getattr(old, name) == getattr(new, name)
        assert (new.claims, new.signed, new.receipt, new.proof, new.record) == (b"", b"", b"", None, b"")
        assert new.registration_no.startswith("forgotten-")
    with made.open() as workspace:
        assert [
            row for row in workspace.ledger.all_copies() if row.registration_no == others[0].registration_no
        ] == others
        assert [replace(act, reason="") for act in acts] == [
            replace(act, reason="") for act in workspace.ledger.all_acts()
        ]
        assert {act.reason for act in workspace.ledger.all_acts()} == {""}
        assert workspace.read_image(others[0].photo)
        assert workspace.ledger.counters(1) == (4, 2)


def test_log_and_auditor_see_no_difference_and_work_goes_on(tmp_path: Path) -> None:
    made = build(tmp_path)
    with made.open() as workspace:
        vkey = parse_vkey(log_vkey(workspace.config))
    public = made.root / "log" / "public"
    before = {path: path.read_bytes() for path in public.rglob("*") if path.is_file()}
    forget_it(made)
    assert {path: path.read_bytes() for path in public.rglob("*") if path.is_file()} == before
    assert made.fsck().clean
    made.issue([person(1), person(3)], now=CAME + 60)  # the same person may come again
    with made.open() as workspace:
        export_trust(workspace, tmp_path / "trust", now=CAME + 120)
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        assert len(workspace.ledger.copies_of(target.registration)) == 1
    reader = LogReader(DirectoryFetcher(public), vkey)
    assert reader.refresh().size > 0
    assert made.fsck().clean


def test_an_act_on_a_forgotten_serial_is_still_possible(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1, registered_until="2026-12-31")])
    later = NOW + 86_400 * (parse_day("2027-01-01") - DAY)
    done = forget_it(made, now=later)
    assert [row.status for row in done.copies] == [CopyStatus.LIVE]  # past its last day
    with made.open() as workspace:
        target = find_serial(workspace, serial=0, issuer=None)
        with pytest.raises(RegistrationClosedError):
            plan_reissue(workspace, target, wanted=None, reason="", now=later)
        perform(workspace, ActType.REVOKE, target, reason="冒领", now=later)
        assert workspace.ledger.copy(1, 0).status is CopyStatus.REVOKED
    assert made.fsck().clean


def test_only_after_the_last_day_of_registration_and_copies(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1)])
    last = parse_day("2028-06-01")
    with made.open() as workspace:
        assert len(plan_forget(workspace, HERE, today=last + 1).copies) == 1
        with pytest.raises(ForgetTooEarlyError) as caught:
            plan_forget(workspace, HERE, today=last)
        assert (caught.value.copies, caught.value.last_day) == (0, last)
        with pytest.raises(ForgetTooEarlyError) as caught:
            plan_forget(workspace, HERE, today=DAY)
        assert (caught.value.copies, caught.value.last_day) == (1, parse_day("2028-06-01"))
        with workspace.ledger.step() as database:
            database.execute("UPDATE registration SET state = 'revoked'")
        with pytest.raises(ForgetTooEarlyError) as caught:
            plan_forget(workspace, HERE, today=DAY)
        assert (caught.value.copies, caught.value.last_day < parse_day("2028-06-01")) == (1, True)


@pytest.mark.parametrize("effective", [DAY, DAY + 300])
def test_an_end_that_a_notice_moves_counts_where_it_stands(tmp_path: Path, effective: int) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1, registered_until="2026-12-31")])
    end, late = parse_day("2026-12-31"), NOW + 2
    body = extension(first_end=end - 9, last_end=end, new_end=end + 60, effective_day=effective)
    with made.open() as workspace:
        give(workspace, propose(workspace, 1, lambda _: body), reason="疫情", now=NOW + 1)
        for today in (end + 1, end + 60):
            with pytest.raises(ForgetTooEarlyError) as caught:
                plan_forget(workspace, HERE, today=today)
            assert caught.value.last_day == end + 60
        assert plan_forget(workspace, HERE, today=end + 61).copies
        ended = retraction(2, 1, DAY + 1)
        give(workspace, propose(workspace, 1, lambda _: ended), reason="有误", now=late)
        assert plan_forget(workspace, HERE, today=end + 1).copies


def test_a_window_that_a_notice_moves_counts_where_it_stands(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    ends = "建筑工程:2024-03-01:2026-07-31"
    made.issue([person(1, specialties=ends, registered_until="2026-07-31")])
    end = parse_day("2026-07-31")
    body = extension(first_end=end, last_end=end, new_end=end + 30, moves=Moves.USAGE)
    with made.open() as workspace:
        give(workspace, propose(workspace, 1, lambda _: body), reason="疫情", now=NOW + 1)
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        with workspace.ledger.step() as database:  # of a revoked registration copies alone count
            database.execute("UPDATE registration SET state = 'revoked'")
        with pytest.raises(ForgetTooEarlyError) as caught:
            plan_forget(workspace, target.registration, today=end + 1)
        assert (caught.value.copies, caught.value.last_day) == (1, end + 30)


def test_a_forgotten_copy_hinders_no_notice_and_no_preview_of_an_act(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1, registered_until="2026-12-31"), person(2)])
    done = forget_it(made, now=NOW + 86_400 * (parse_day("2027-01-01") - DAY))
    (gone,) = done.copies
    with made.open() as workspace:
        body = extension(first_end=DAY, last_end=DAY + 4_000, new_end=DAY + 4_000)
        seen = preview(workspace, propose(workspace, 1, lambda _: body))
        assert seen.registrations == (person(2)["registration_no"],)
        target = find_serial(workspace, serial=gone.serial, issuer=None)
        plan = plan_act(workspace, ActType.REVOKE, target)
        assert [any(word in line for line in showdesk.preview(workspace, plan, False, lang)) for lang, word in (
            ("zh", "已遗忘"), ("en", "forgotten"),
        )] == [True, True]  # fmt: skip
        with pytest.raises(ForgetUnknownError):
            plan_forget(workspace, gone.registration, today=DAY + 4_000)


def test_what_a_killed_import_left_of_images_goes_too(made: Office) -> None:
    images = made.root / "images"
    kept = set(images.iterdir())
    left = [images / f"{'5a' * 32}.tmp", images / f"{'a5' * 32}.140.tmp", images / ("55" * 32)]
    for path in left:
        path.write_bytes(b"half a picture")
    assert forget_it(made).images == 1 + len(left)
    assert set(images.iterdir()) < kept


def test_a_copy_on_its_way_holds_it_up(made: Office) -> None:
    with made.open() as workspace:
        with workspace.ledger.step() as database:
            database.execute("UPDATE copy SET state = 'planned', status = 'live' WHERE serial = 0")
        issuer = workspace.ledger.copy(1, 0).registration
        with pytest.raises(RegistrationLockedError):
            plan_forget(workspace, issuer, today=DAY + 4_000)


@pytest.mark.parametrize("reason", ["{name}本人申请", "{first} {rest}申请", "编号{wide}到期", "注册 {no} 到期"])
def test_a_reason_that_tells_who_it_is_about_is_refused(made: Office, reason: str) -> None:
    name = person(1)["name"]
    wide = NO[0] + "".join(chr(ord(digit) + 0xFEE0) for digit in NO[1:])
    before = (made.root / "ledger.sqlite").read_bytes()
    with pytest.raises(ForgetReasonError):
        forget_it(made, reason=reason.format(name=name, first=name[0], rest=name[1:], wide=wide, no=NO))
    assert (made.root / "ledger.sqlite").read_bytes() == before
    forget_it(made)


def test_nor_may_it_tell_the_identity_number(tmp_path: Path) -> None:
    made, number = Office(tmp_path).build(), "110105198503030017"
    made.issue([person(1, id_number=number)])
    with made.open() as workspace:
        plan = plan_forget(workspace, HERE, today=parse_day("2028-06-02"))
        check_reason(workspace, plan, "持证人申请")
        with pytest.raises(ForgetReasonError):
            check_reason(workspace, plan, f"证件 {number[:6]} {number[6:].lower()}")


def test_the_same_again_is_unknown_and_changes_nothing(made: Office) -> None:
    forget_it(made)
    before = (made.root / "ledger.sqlite").read_bytes()
    with pytest.raises(ForgetUnknownError):
        forget_it(made)
    with made.open() as workspace, pytest.raises(RegistrationUnknownError):
        find_registration(workspace, kind=1, registration_no=NO, issuer=None)
    assert (made.root / "ledger.sqlite").read_bytes() == before


def test_two_forgotten_ones_stand_apart(made: Office) -> None:
    forget_it(made)
    with made.open() as workspace:
        other = Registration(issuer=1, kind=1, registration_no=person(2)["registration_no"])
        forget(workspace, other, reason="", now=NOW + 86_400 * 1_000)
        names = {row.registration_no for row in workspace.ledger.all_copies()}
        keys = {row.key for row in workspace.ledger.all_copies()}
        assert (len(names), len(keys)) == (2, 4)
        assert list((made.root / "images").iterdir()) == []


def test_a_reason_shared_with_others_stays_and_is_counted(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1), person(2)])
    moved = {"employer": "上海示例建设有限公司"}
    made.issue([person(1, **moved), person(2, **moved)], now=NOW + 60)  # one act supersedes both
    done = forget_it(made, now=NOW + 86_400 * 1_000)
    assert (len(done.copies), done.shared_reasons) == (2, 1)


def test_a_shared_reason_goes_with_the_last_registration_that_it_may_tell_of(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    made.issue([person(1), person(2), person(3)])
    late, others = NOW + 86_400 * 1_000, [Registration(issuer=1, kind=1, registration_no=no) for no in _numbers(2, 3)]
    with made.open() as workspace:
        two = tuple(sorted(row.serial for row in workspace.ledger.all_copies() if row.registration != others[1]))
        for serials, reason in ((two, "王乙明与王丙明互换"), (two[:1], "先前之事")):
            act = NewAct(
                issuer=1, act=ActType.SUPERSEDE, serials=serials, day=DAY, reason=reason, status=CopyStatus.SUPERSEDED
            )
            workspace.ledger.store_acts([act], sign=lambda _act, _number: b"entry")
    assert forget_it(made, now=late).shared_reasons == 1
    with made.open() as workspace:
        assert forget(workspace, others[1], reason="", now=late).shared_reasons == 0  # it names none of that one's
        assert "王乙明与王丙明互换" in _reasons(workspace)
        assert forget(workspace, others[0], reason="", now=late).shared_reasons == 0
        assert _reasons(workspace) == set()


def _numbers(*people: int) -> list[str]:
    return [person(number)["registration_no"] for number in people]


def _reasons(workspace: Workspace) -> set[str]:
    with workspace.ledger.step() as database:
        query = "SELECT reason FROM act UNION SELECT reason FROM journal_reason"
        return {row[0] for row in database.execute(query)} - {""}


def test_while_another_program_reads_the_sweep_is_not_called_done(
    made: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = secrets_of(made)
    monkeypatch.setattr("mingzheng.issuer.ledgerfile._BUSY_SECONDS", 0.01)
    reader = sqlite3.connect(made.root / "ledger.sqlite", isolation_level=None)
    with made.open() as workspace:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM copy").fetchone()
        with pytest.raises(SweepBusyError):
            forget(workspace, HERE, reason="", now=CAME)
        reader.execute("COMMIT")
        reader.close()
        assert forget(workspace, HERE, reason="", now=CAME).copies == ()
    assert leaks(made, secrets) == []


def test_killed_before_any_write_it_is_done_once(done_once: Path, tmp_path: Path) -> None:
    counted = copied(done_once, tmp_path / "count")
    points = run(lambda _report: (forget_it(counted), None)[1]).points
    assert len(points) > 15
    for fatal in range(0, len(points), STEP):
        made = copied(done_once, tmp_path / str(fatal))
        secrets = secrets_of(made)
        assert run(lambda _report, made=made: (forget_it(made), None)[1], kill_at=fatal).killed
        with contextlib.suppress(ForgetUnknownError):  # killed after all was done
            forget_it(made)
        assert leaks(made, secrets) == [], points[fatal]
        with made.open() as workspace:
            rows = [row for row in workspace.ledger.all_copies() if not row.claims]
            assert len(rows) == 3
            assert {row.state for row in rows} == {CopyState.DELIVERED}
        assert made.fsck().clean


def test_every_column_of_the_ledger_is_emptied_or_has_a_reason_to_stay() -> None:
    database = sqlite3.connect(":memory:")
    for version in sorted(MIGRATIONS):
        for statement in MIGRATIONS[version]:
            database.execute(statement)
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns = {(table, row[1]) for table in tables for row in database.execute(f"PRAGMA table_info({table})")}
    assert columns == EMPTIED | WHAT_STAYS.keys()
    assert not EMPTIED & WHAT_STAYS.keys()
