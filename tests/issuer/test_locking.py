"""Lock: no new copy by any way, nothing of it in public, copies out untouched, who and why in the journal."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import FULL
from crashpoints import run
from office import DAY, NOW, Office, person
from operatoroffice import NAMES, OperatorOffice, operator_office, passphrase, present, target_of

from mingzheng.cli import cli
from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Copy
from mingzheng.formats.rules_lock import LockAnswer
from mingzheng.formats.rules_source import Citation
from mingzheng.issuer.approvalerrors import OperatorNeededError, OtherIssuerError
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.forget import forget
from mingzheng.issuer.issue import issue, plan_jobs
from mingzheng.issuer.journal import faults_of, parse_deed
from mingzheng.issuer.lifecycle import Target, find_registration, perform, plan_reissue, reissue
from mingzheng.issuer.lockerrors import LockWithoutRuleError, NewCopiesLockedError
from mingzheng.issuer.locking import change_lock, plan_lock
from mingzheng.issuer.plan import profile_of
from mingzheng.issuer.publish import settle
from mingzheng.issuer.refusals import ClockBehindError, FaultyRecordsError, RegistrationUnknownError
from mingzheng.issuer.rows import Registration
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType

STEP = 1 if FULL else 5  # write points between two kills

NO = person(1)["registration_no"]
WHY = "涉嫌挂证，正在核查"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("once") / "office"
    base.mkdir()
    Office(base).build().issue([person(1), person(2)])
    return base


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path).build()
    made.issue([person(1), person(2)])
    return made


def of(workspace: Workspace, number: int = 1) -> Registration:
    found = find_registration(workspace, kind=1, registration_no=person(number)["registration_no"], issuer=1)
    return found.registration


def lock(workspace: Workspace, *, locked: bool = True, now: int = NOW + 1) -> bool:
    """Whether anything was left to do."""
    return not change_lock(workspace, of(workspace), locked=locked, reason=WHY, now=now).is_done


def test_a_locked_registration_gets_no_copy_by_any_way(office: Office) -> None:
    with office.open() as workspace:
        target = Target(registration=of(workspace), serial=None)
        ready = plan_reissue(workspace, target, wanted=None, reason="", now=NOW + 1)
        assert lock(workspace)
        with pytest.raises(NewCopiesLockedError):
            plan_reissue(workspace, target, wanted=None, reason="", now=NOW + 2)
        with pytest.raises(NewCopiesLockedError):
            reissue(workspace, target, wanted=None, reason="", now=NOW + 2, out=office.out)
        with pytest.raises(NewCopiesLockedError):  # the ledger itself, whoever made the job
            plan_jobs(workspace, [ready])
        for purpose, copy in (("投标", Copy.USAGE), ("另一项目", Copy.USAGE), ("", Copy.APPROVAL)):
            with pytest.raises(FaultyRecordsError) as caught:
                issue(workspace, office.request([person(1)], copy=copy, purpose=purpose), out=office.out, now=NOW + 3)
            (fault,) = caught.value.faults
            assert (fault.code, fault.field) == ("record.registration_locked", "registration_no")
        assert workspace.ledger.counters(1)[0] == 2
        (other,) = issue(workspace, office.request([person(2)], purpose="另一项目"), out=office.out, now=NOW + 4)
        assert other.row.serial == 2


def test_an_unlock_lets_copies_be_made_again(office: Office) -> None:
    with office.open() as workspace:
        assert not lock(workspace, locked=False)
        assert lock(workspace)
        assert not lock(workspace, now=NOW + 2)
        assert lock(workspace, locked=False, now=NOW + 3)
        assert [row.locked for row in workspace.ledger.locks.changes(of(workspace))] == [True, False]
        (made,) = issue(workspace, office.request([person(1)], purpose="另一项目"), out=office.out, now=NOW + 4)
        assert made.row.status is CopyStatus.LIVE


def test_nothing_of_a_lock_is_public_and_copies_out_stay(office: Office) -> None:
    with office.open() as workspace:
        ledger = workspace.ledger

        def state() -> tuple[object, ...]:
            return ledger.counters(1), ledger.all_acts(), ledger.last_event_index(1), tuple(ledger.all_copies())

        before = state()
        lock(workspace)
        assert state() == before
        export_trust(workspace, office.base / "trust", now=NOW + 5)
    written = b"".join(
        path.read_bytes() for place in ("trust", "W/log") for path in (office.base / place).rglob("*") if path.is_file()
    )
    assert WHY.encode() not in written
    assert office.fsck().clean


def test_suspension_and_lock_know_nothing_of_each_other(office: Office) -> None:
    with office.open() as workspace:
        target = Target(registration=of(workspace), serial=None)
        lock(workspace)
        perform(workspace, ActType.SUSPEND, target, reason="", now=NOW + 2)
        perform(workspace, ActType.REINSTATE, target, reason="", now=NOW + 3)
        assert workspace.ledger.locks.is_locked(target.registration)
        perform(workspace, ActType.SUSPEND, target, reason="", now=NOW + 4)
        lock(workspace, locked=False, now=NOW + 5)
        assert [row.status for row in workspace.ledger.copies_of(target.registration)] == [CopyStatus.SUSPENDED]


def test_a_lock_cites_its_rule_and_takes_one(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as workspace:
        plan = plan_lock(workspace, of(workspace), locked=True, today=DAY)
        assert plan.rule is not None
        assert plan.rule.answer is LockAnswer.NO_NEW_COPY
        assert "三（三）" in plan.rule.trace[0].citation.text_zh()
        lock(workspace)
        without = _no_lock_rule(monkeypatch)
        with pytest.raises(LockWithoutRuleError) as caught:
            plan_lock(workspace, of(workspace), locked=True, today=DAY)
        assert "通知未提" in caught.value.zh
        assert without()
        assert lock(workspace, locked=False, now=NOW + 9)  # what was made under an earlier rule can be ended
        monkeypatch.setattr("mingzheng.issuer.locking.profile_of", lambda *_, **__: None)
        with pytest.raises(LockWithoutRuleError):
            plan_lock(workspace, of(workspace), locked=True, today=DAY)
        assert plan_lock(workspace, of(workspace), locked=False, today=DAY).rule is None


def _no_lock_rule(monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    silent = Citation(notice=None, clause=None, by_analogy_zh="通知未提锁定", by_analogy_en="no notice knows a lock")
    asked = []

    def changed(*given: object, **named: object) -> object:
        profile = profile_of(*given, **named)  # type: ignore[arg-type]
        assert profile is not None
        asked.append(profile)
        return replace(profile, rules=replace(profile.rules, lock=silent))

    monkeypatch.setattr("mingzheng.issuer.locking.profile_of", changed)
    return lambda: bool(asked)


def test_a_person_stands_behind_it_where_the_issuer_has_operators(tmp_path: Path) -> None:
    made: OperatorOffice = operator_office(tmp_path)
    with made.open() as workspace:
        named, me = target_of(workspace).registration, present(workspace, NAMES[0])
        with pytest.raises(OperatorNeededError):
            change_lock(workspace, named, locked=True, reason=WHY, now=NOW)
        other = Registration(issuer=2, kind=1, registration_no=NO)
        with pytest.raises(OtherIssuerError):
            change_lock(workspace, other, locked=True, reason=WHY, now=NOW, operator=me)
        change_lock(workspace, named, locked=True, reason=WHY, now=NOW, operator=me)
        desk = workspace.ledger.desk
        last = list(desk.journal())[-1]
        deed = parse_deed(last.body)
        assert (deed.what, deed.operators, deed.acts, last.reason) == ("lock", NAMES[:1], (), WHY)
        (change,) = workspace.ledger.locks.changes(named)
        assert (change.journal, change.day, change.reason) == (deed.number, DAY, WHY)
        assert not faults_of(desk.journal(), desk.told(), desk.journal_starts())


def test_a_clock_set_back_locks_nothing(office: Office) -> None:
    with office.open() as workspace, pytest.raises(ClockBehindError):
        lock(workspace, now=NOW - 86_400)
    with office.open() as workspace:
        assert not workspace.ledger.locks.changes(of(workspace))


def test_a_clock_far_ahead_does_not_stop_the_desk_for_good(office: Office) -> None:
    """A lock goes into no log, which would refuse such a clock: so the ledger does not remember it."""
    far = NOW + 86_400 * 900
    with office.open() as workspace:
        lock(workspace, now=far)
        settle(workspace, now=NOW + 1)
        assert parse_deed(list(workspace.ledger.desk.journal())[-1].body).time == far


def test_forgetting_takes_the_reason_and_the_number_of_a_lock(office: Office) -> None:
    late = NOW + 86_400 * 1_500
    with office.open() as workspace:
        named = of(workspace)
        lock(workspace)
        forget(workspace, named, reason="到期", now=late)
        with pytest.raises(RegistrationUnknownError):
            plan_lock(workspace, named, locked=True, today=DAY)
        rows = workspace.ledger._db.execute("SELECT registration_no, reason FROM lock_change").fetchall()
        assert [(name.startswith("forgotten-"), reason) for name, reason in rows] == [(True, "")]
        desk = workspace.ledger.desk
        assert WHY not in [row.reason for row in desk.journal()]
        assert not faults_of(desk.journal(), desk.told(), desk.journal_starts())
        hidden = Registration(issuer=1, kind=1, registration_no=rows[0][0])
        with pytest.raises(RegistrationUnknownError):
            plan_lock(workspace, hidden, locked=False, today=DAY)
    assert WHY.encode() not in (office.root / "ledger.sqlite").read_bytes()


def _ignoring(scene: Callable[[Path], None], base: Path, _report: object) -> None:
    scene(base)


def test_killed_before_any_write_it_is_done_once(once: Path, tmp_path: Path) -> None:
    def locked_in(base: Path) -> None:
        with Office(base).open() as workspace:
            lock(workspace)

    def scene(name: str) -> Path:
        return shutil.copytree(once, tmp_path / name)

    counted = scene("count")
    points = run(partial(_ignoring, locked_in, counted)).points
    assert len(points) >= 4
    for fatal in range(0, len(points), STEP):
        base = scene(str(fatal))
        assert run(partial(_ignoring, locked_in, base), kill_at=fatal).killed
        with Office(base).open() as workspace:
            desk = workspace.ledger.desk
            rows = [parse_deed(row.body).what for row in desk.journal()]
            assert rows.count("lock") == len(workspace.ledger.locks.changes(of(workspace)))
        locked_in(base)
        with Office(base).open() as workspace:
            assert len(workspace.ledger.locks.changes(of(workspace))) == 1
            assert [parse_deed(row.body).what for row in workspace.ledger.desk.journal()].count("lock") == 1


@pytest.fixture
def command(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    shutil.copytree(once, tmp_path / "office")
    office = Office(tmp_path / "office")
    monkeypatch.setattr("mingzheng.issuer.options.access_of", lambda _secret: office.access)

    def call(name: str, *more: str, number: str = NO, today: bool = True) -> Result:
        head = [name, "--workspace", str(office.root), "--registration", number, "--kind", "cn.constructor.1"]
        head += ["--reason", WHY]
        return CliRunner().invoke(cli, [*head, *(["--as-of", format_day(DAY + 1)] if today else []), *more])

    return call


def test_the_commands_in_both_languages(command: Callable[..., Result]) -> None:
    shown = command("lock", "--dry-run")
    assert "将锁定" in shown.stdout
    assert "三（三）" in shown.stdout
    assert "would lock" in command("lock", "--dry-run", "--lang", "en").stdout
    assert "已锁定" in command("lock", "--yes").stdout
    assert "无需处理" in command("lock", "--yes").stdout
    assert "already so" in command("lock", "--yes", "--lang", "en").stdout
    assert "would unlock" in command("unlock", "--dry-run", "--lang", "en").stdout
    told = command("unlock", "--yes", "--json").stdout
    assert '"locked": false' in told
    assert NO not in told
    assert "unlocked" in command("lock", "--yes").stdout + command("unlock", "--yes", "--lang", "en").stdout


def test_the_command_asks_and_refuses(command: Callable[..., Result]) -> None:
    assert command("lock").exit_code == 1  # nobody answered
    assert "已锁定" not in command("lock", "--dry-run").stdout
    assert isinstance(command("lock", "--yes", number="京0").exception, RegistrationUnknownError)
    assert command("lock", "--yes", "--operator", "张三").exception is not None


def test_the_command_takes_the_persons_own_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = operator_office(tmp_path)
    monkeypatch.setattr("mingzheng.issuer.options.access_of", lambda _secret: made.access)
    secret = tmp_path / "zhang"
    secret.write_bytes(passphrase(NAMES[0]))
    secret.chmod(0o600)
    head = ["lock", "--workspace", str(made.root), "--registration", NO, "--kind", "cn.constructor.1", "--reason", WHY]
    head += ["--as-of", format_day(DAY + 1), "--yes"]
    runner = CliRunner()
    assert isinstance(runner.invoke(cli, head).exception, OperatorNeededError)
    done = runner.invoke(cli, [*head, "--operator", NAMES[0], "--operator-passphrase-file", str(secret)])
    assert (done.exit_code, "已锁定" in done.stdout) == (0, True)
