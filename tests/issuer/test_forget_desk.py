"""Forgetting where operators asked, approved and withdrew: nothing of it tells of the person, the journal still holds.

What the journal, requests and their files keep is looked at byte by byte, and guesses are tried against it.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from office import ARCHITECTS, CONSTRUCTORS, NOW, Office, person
from operatoroffice import NAMES, OperatorOffice, approved, asked, passphrase, present, target_of

import mingzheng.issuer.keep_cli as commands
import mingzheng.issuer.options as shared
from mingzheng.issuer.approval import ask, open_requests, request_path, withdraw
from mingzheng.issuer.approvalerrors import OperatorNeededError, OtherIssuerError
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.forget import forget, plan_forget
from mingzheng.issuer.forgeterrors import ForgetRequestOpenError
from mingzheng.issuer.journal import faults_of, parse_deed, reason_digest
from mingzheng.issuer.journal_cli import journal
from mingzheng.issuer.lifecycle import find_serial, perform, propose
from mingzheng.issuer.operators import add_operator, unlock
from mingzheng.issuer.requestform import seal_message
from mingzheng.issuer.rows import JournalRow, Registration, RequestRow
from mingzheng.issuer.schema import RequestState
from mingzheng.issuer.workspace import LOG, NewOperator
from mingzheng.keys.alg import verify
from mingzheng.keys.errors import SignatureInvalidError
from mingzheng.log.acts import ActType
from mingzheng.log.cli import log_group
from mingzheng.log.sequencer import PUBLIC

NO = person(1)["registration_no"]
HERE = Registration(issuer=1, kind=1, registration_no=NO)
WHY = f"王乙明（{NO}）本人申请"
DAY_SECONDS = 86_400


def build(base: Path) -> OperatorOffice:
    """Person 1: a request withdrawn, one for a serial done, suspended and back, then revoked. Person 2 beside."""
    office = OperatorOffice(base, issuers=(CONSTRUCTORS, ARCHITECTS)).build()
    office.issue([person(1), person(2)])
    office.issue([person(1)], purpose="注册")
    with office.open() as workspace:
        me = present(workspace, NAMES[0])
        ours = workspace.ledger.copies_of(HERE)
        one = propose(workspace, ActType.REVOKE, target_of(workspace), reason=WHY, now=NOW)
        assert one is not None
        withdraw(workspace, ask(workspace, one, me, now=NOW).id, me, reason=f"{WHY}，误", now=NOW)
        serial = propose(
            workspace, ActType.REVOKE, find_serial(workspace, serial=ours[0].serial, issuer=1), reason=WHY, now=NOW
        )
        assert serial is not None
        approved(workspace, ask(workspace, serial, me, now=NOW))
        for act in (ActType.SUSPEND, ActType.REINSTATE):
            perform(workspace, act, target_of(workspace), reason=WHY, now=NOW, operator=me)
        perform(workspace, ActType.SUSPEND, target_of(workspace, 2), reason="他人", now=NOW, operator=me)
        asked(workspace, number=2)
        last = propose(workspace, ActType.REVOKE, target_of(workspace), reason=WHY, now=NOW)
        assert last is not None
        approved(workspace, ask(workspace, last, me, now=NOW))
    return office


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> OperatorOffice:
    return build(tmp_path_factory.mktemp("once"))


@pytest.fixture
def made(once: OperatorOffice, tmp_path: Path) -> OperatorOffice:
    """A copy of it, which needs no log."""
    shutil.copytree(once.base, tmp_path / "copy")
    return OperatorOffice(tmp_path / "copy", issuers=once.issuers)


def forget_it(made: OperatorOffice, *, now: int = NOW + 60) -> None:
    with made.open() as workspace:
        forget(workspace, HERE, reason="持证人申请", now=now, operator=present(workspace, NAMES[0]))


def state(made: OperatorOffice) -> tuple[tuple[RequestRow, ...], tuple[JournalRow, ...]]:
    with made.open() as workspace:
        return workspace.ledger.desk.all_requests(), tuple(workspace.ledger.desk.journal())


def faults(made: Office) -> tuple[object, ...]:
    with made.open() as workspace:
        desk = workspace.ledger.desk
        return faults_of(desk.journal(), desk.told(), desk.journal_starts())


def holding(made: Office, secrets: list[bytes]) -> list[bytes]:
    """Which of them stand in a file of the workspace, as bytes or as hexadecimal."""
    files = [path for path in made.root.rglob("*") if path.is_file()]
    data = b"".join(path.read_bytes() + path.name.encode() for path in files)
    return [secret for secret in secrets if secret in data or secret.hex().encode() in data]


def test_no_byte_of_requests_and_journal_tells_of_the_person(made: OperatorOffice) -> None:
    requests, rows = state(made)
    ours = [row for row in requests if WHY in row.reason]
    assert {row.state for row in ours} == {RequestState.DONE, RequestState.WITHDRAWN}
    secrets = [NO.encode(), "王乙明".encode(), *(row.seal for row in ours), *(row.target for row in ours)]
    secrets += [row.salt for row in rows if row.salt is not None and WHY in (row.reason or "")]
    assert len(secrets) == 2 + 3 + 3 + 8
    assert holding(made, secrets) == secrets
    for row in ours:  # as left by a command that was killed
        (made.root / "requests" / f"{row.id.hex()}.request").write_bytes(row.body)
    forget_it(made)
    assert holding(made, secrets) == []
    waiting = [row for row in requests if row.state is RequestState.OPEN]
    assert [path.name for path in (made.root / "requests").iterdir()] == [f"{row.id.hex()}.request" for row in waiting]


def test_a_right_guess_is_not_confirmed_by_anything(made: OperatorOffice) -> None:
    """Who knows number, reason, operator and all keys has nothing to try them against."""

    def confirmed() -> tuple[int, int]:
        requests, rows = state(made)
        with made.open() as workspace:
            keys = [key.public_key for key in workspace.config.keys if key.operator]
        seals = sum(
            _verifies(lambda key=key, row=row, old=old: verify(key, signature=row.seal, message=_sealed(row, old)))
            for row in requests
            for old in before
            for key in keys
        )
        salts = [row.salt for row in rows if row.salt is not None]
        reasons = {reason_digest(salt, guess) for salt in salts for guess in (WHY, f"{WHY}，误")}
        return seals, sum(parse_deed(row.body).reason in reasons for row in rows)

    before = [row for row in state(made)[0] if WHY in row.reason]
    assert confirmed() == (2 + 2 + 1, 8)  # two of the three requests are about the same
    forget_it(made)
    assert confirmed() == (0, 0)


def _sealed(row: RequestRow, old: RequestRow) -> bytes:
    return seal_message(row.body, target=old.target, reason=old.reason, operator=row.operator)


def _verifies(check: Callable[[], None]) -> bool:
    try:
        check()
    except SignatureInvalidError:
        return False
    return True


def test_the_journal_holds_and_grows_by_one_row(made: OperatorOffice) -> None:
    requests, rows = state(made)
    forget_it(made)
    after_requests, after = state(made)
    assert [(row.number, row.body, row.digest) for row in after[:-1]] == [
        (row.number, row.body, row.digest) for row in rows
    ]
    assert faults(made) == ()
    deed = parse_deed(after[-1].body)
    assert (deed.what, deed.issuer, deed.count, deed.operators, deed.time) == ("forget", 1, 2, NAMES[:1], NOW + 60)
    assert (deed.serials, deed.acts, deed.decision, deed.request) == (b"", (), 0, b"")
    assert (after[-1].reason, after[-1].salt) == (None, None)
    kept = {row.number: row.reason for row in rows if row.reason is not None and WHY not in row.reason}
    assert {row.number: row.reason for row in after if row.reason is not None} == kept
    assert set(kept.values()) == {"他人", "why"}
    for old, new in zip(requests, after_requests, strict=True):
        assert (old.id, old.body, old.operator, old.state) == (new.id, new.body, new.operator, new.state)
        gone = WHY in old.reason
        assert (new.target, new.reason, new.seal) == ((b"", "", b"") if gone else (old.target, old.reason, old.seal))


def test_check_and_audit_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build(tmp_path)
    forget_it(made)
    monkeypatch.setattr(shared, "access_of", lambda _secret: made.access)
    said = CliRunner().invoke(journal, ["--workspace", str(made.root), "--check"])
    assert (said.exit_code, "尾值" in said.stdout) == (0, True)
    told = CliRunner().invoke(journal, ["--workspace", str(made.root), "--json"]).stdout.splitlines()
    last = json.loads(told[-1])
    assert (last["what"], last["count"], last["operators"], last["reason"]) == ("forget", 2, ["张三"], None)
    assert NO not in "".join(told)
    with made.open() as workspace:
        export_trust(workspace, tmp_path / "trust", now=NOW + 120)
    arguments = [str(made.root / LOG / PUBLIC), "--trust", str(tmp_path / "trust"), "--json"]
    assert CliRunner().invoke(log_group, ["audit", *arguments]).exit_code == 0
    assert made.fsck().clean


def test_a_waiting_request_about_it_is_in_the_way_for_its_seven_days(made: OperatorOffice) -> None:
    late = NOW + DAY_SECONDS * 1_000
    other = Registration(issuer=1, kind=1, registration_no=person(2)["registration_no"])
    day, (waiting,) = NOW // DAY_SECONDS, [row for row in state(made)[0] if row.state is RequestState.OPEN]
    with made.open() as workspace:
        with workspace.ledger.step() as database:  # revoked by other ways
            statement = "UPDATE {} SET {} = 'revoked' WHERE registration_no = ?"
            for table, column in (("registration", "state"), ("copy", "status")):
                database.execute(statement.format(table, column), (other.registration_no,))
        for later in (0, 7):
            with pytest.raises(ForgetRequestOpenError) as caught:
                plan_forget(workspace, other, today=day + later)
            assert waiting.id.hex() in str(caught.value)
        me = present(workspace, NAMES[0])
        with pytest.raises(ForgetRequestOpenError):
            forget(workspace, other, reason="", now=NOW + 60, operator=me)
        assert workspace.ledger.desk.request(waiting.id) == waiting
        assert plan_forget(workspace, other, today=day + 9).requests == (waiting,)
        forget(workspace, other, reason="", now=NOW + DAY_SECONDS * 9, operator=me)
        assert open_requests(workspace, now=late) == ()
        assert not request_path(workspace, waiting).exists()
        deeds = [parse_deed(row.body) for row in workspace.ledger.desk.journal()]
        assert [deed.what for deed in deeds[-2:]] == ["request-expired", "forget"]
        found = workspace.ledger.desk.request(waiting.id)
        assert found is not None
        assert (found.target, found.reason, found.seal) == (b"", "", b"")
    assert faults(made) == ()


def test_who_forgets_is_an_operator_of_the_issuer(tmp_path: Path) -> None:
    made = build(tmp_path)
    with made.open() as workspace:
        with pytest.raises(OperatorNeededError):
            forget(workspace, HERE, reason="", now=NOW + 60)
        other = NewOperator(name="赵六", passphrase=passphrase("赵六"))
        add_operator(workspace, 2, other, days=(None, NOW // DAY_SECONDS + 100), now=NOW)
        theirs = unlock(workspace, 2, "赵六", passphrase=passphrase, now=NOW)
        with pytest.raises(OtherIssuerError):
            forget(workspace, HERE, reason="", now=NOW + 60, operator=theirs)
        assert len(workspace.ledger.copies_of(HERE)) == 2


def test_what_was_altered_by_hand_goes_too(made: OperatorOffice) -> None:
    """A reason beside a row that cannot be read (nobody can say whose it is), a request known by its serials alone."""
    database = sqlite3.connect(made.root / "ledger.sqlite", isolation_level=None)
    last = database.execute("SELECT MAX(number) FROM journal").fetchone()[0]
    database.execute("INSERT INTO journal VALUES (?, x'00', x'00')", (last + 1,))
    database.execute("INSERT INTO journal_reason VALUES (?, x'00', ?)", (last + 1, WHY))
    database.execute("DROP TRIGGER request_kept")
    database.execute("UPDATE request SET target = x'00' WHERE state <> 'open'")
    database.close()
    forget_it(made)
    assert holding(made, [NO.encode()]) == []


def test_reasons_of_one_person_go_by_act_and_by_decision(tmp_path: Path) -> None:
    """Without operators, an act on a serial and a decision without copies stand alone in the journal."""
    made = Office(tmp_path).build()
    made.issue([person(1)])
    with made.open() as workspace:
        perform(workspace, ActType.VOID, find_serial(workspace, serial=0, issuer=1), reason=WHY, now=NOW)
        for act in (ActType.SUSPEND, ActType.REVOKE):
            perform(workspace, act, target_of(workspace), reason=WHY, now=NOW)
        found = [parse_deed(row.body) for row in workspace.ledger.desk.journal() if row.reason == WHY]
        assert [(deed.acts, deed.decision) for deed in found] == [((0,), 0), ((), 1), ((), 2)]
        forget(workspace, HERE, reason="", now=NOW + 60)
        assert [row.reason for row in workspace.ledger.desk.journal()] == [None] * 5
    assert holding(made, [NO.encode()]) == []
    assert faults(made) == ()


def test_only_ended_requests_can_be_emptied_and_only_whole(made: OperatorOffice) -> None:
    database = sqlite3.connect(made.root / "ledger.sqlite", isolation_level=None)
    whole = "UPDATE request SET target = x'', reason = '', seal = x'' WHERE state {} 'open'"
    for refused in (
        whole.format("="),
        "UPDATE request SET reason = 'x' WHERE state = 'open'",
        "UPDATE request SET seal = x'' WHERE state <> 'open'",
        "UPDATE request SET reason = 'x' WHERE state <> 'open'",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(refused)
    assert database.execute(whole.format("<>")).rowcount == 3
    database.close()


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(commands.ledger_group, arguments, env={"MINGZHENG_WORKSPACE": "W"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command_asks_for_the_person(made: OperatorOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "access_of", lambda _secret: made.access)
    monkeypatch.chdir(made.base)
    Path("secret").write_bytes(passphrase(NAMES[1]))
    Path("secret").chmod(0o600)
    words = ("forget", "--registration", NO, "--kind", "cn.constructor.1", "--reason", "申请", "--as-of", "2026-06-02")
    assert "2 份副本" in run(*words, "--dry-run").stdout
    with pytest.raises(OperatorNeededError):
        run(*words, "--yes")
    person_words = ("--operator", NAMES[1], "--operator-passphrase-file", "secret")
    assert "已抹去 2 份" in run(*words, *person_words, "--yes").stdout
    deed = parse_deed(state(made)[1][-1].body)
    assert (deed.what, deed.operators) == ("forget", NAMES[1:])
    with made.open() as workspace, workspace.ledger.step() as database:
        database.execute("INSERT INTO meta (name, value) VALUES ('unswept', 1)")
    assert "上次中断" in run(*words, *person_words, "--yes").stdout  # nobody is asked to finish it
