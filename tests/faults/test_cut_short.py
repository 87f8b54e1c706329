"""What a command that was cut short left undone or lying about, and what the next one makes of it.

Each case is a point that the kills of `test_desk_faults` found; here it is made on purpose, and quickly.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from noticebodies import retraction, seals
from office import DAY, NOW, Office, person, table
from operatoroffice import NAMES, approved, asked, operator_office, passphrase, present

from mingzheng.cli import cli
from mingzheng.formats.civil import MAX_DAY, format_day
from mingzheng.formats.page import SealShape
from mingzheng.issuer.approval import approve, ask, request_path, withdraw
from mingzheng.issuer.approvalerrors import OperatorExistsError, RequestDoneError, RequestWithdrawnError
from mingzheng.issuer.forget import forget
from mingzheng.issuer.lifecycle import find_registration, perform
from mingzheng.issuer.noticework import asking, effect_of_notice, give, propose
from mingzheng.issuer.operators import add_operator
from mingzheng.issuer.publish import settle
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import RuleSpec, SealSpec
from mingzheng.issuer.sealrules import add_rule
from mingzheng.issuer.sealwork import request_seal
from mingzheng.issuer.workspace import NewOperator, Workspace
from mingzheng.keys.sealkey import SealAlg
from mingzheng.log.acts import ActType
from mingzheng.log.entry import KeyEventEntry, parse_entry

NO = person(1)["registration_no"]


class CutShort(BaseException):
    """The command ends here."""


def ends_at(monkeypatch: pytest.MonkeyPatch, place: str, calls: int) -> None:
    """The function of that name works so many times, then the command is cut short."""
    module, name = place.rsplit(".", 1)
    plain: Callable[..., Any] = getattr(__import__(module, fromlist=[name]), name)
    left = calls

    def until(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        if left == 0:
            raise CutShort
        left -= 1
        return plain(*arguments, **named)

    monkeypatch.setattr(place, until)


def change(number: int = 1) -> Any:
    return replace(seals(number), from_day=DAY + 5)


def rules(workspace: Workspace) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(rule.valid_from, rule.valid_until, rule.bodies) for rule in workspace.config.sealing.rules]


def test_a_seal_change_that_was_approved_and_cut_short_gets_its_rule_from_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = operator_office(tmp_path)
    with office.open() as workspace:
        first, second = (present(workspace, name) for name in NAMES)
        row = ask(workspace, asking(propose(workspace, 1, change), reason="通知"), first, now=NOW + 1)
        with monkeypatch.context() as patch, pytest.raises(CutShort):
            ends_at(patch, "mingzheng.issuer.publish.keep_seal_rules", 2)  # the first is before the act
            approve(workspace, row.id, second, effects=effect_of_notice, now=NOW + 2)
    with office.open() as workspace:
        assert rules(workspace) == []
        with pytest.raises(RequestDoneError):
            approve(workspace, row.id, present(workspace, NAMES[1]), effects=effect_of_notice, now=NOW + 3)
        assert rules(workspace) == [(DAY + 5, MAX_DAY, (1,))]
        settle(workspace, now=NOW + 4)
        assert len(rules(workspace)) == 1


@pytest.mark.parametrize(("day", "want"), [(5, [(5, 99, (0,))]), (9, [(9, 99, (0,)), (5, 8, (1,))])])
def test_a_rule_that_was_added_by_hand_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, day: int, want: list[tuple[int, int, tuple[int, ...]]]
) -> None:
    """Settling must never stop over it: everything else waits for settling."""
    office = Office(tmp_path).build()
    with office.open() as workspace:
        with monkeypatch.context() as patch, pytest.raises(CutShort):
            ends_at(patch, "mingzheng.issuer.publish.keep_seal_rules", 1)
            give(workspace, propose(workspace, 1, change), reason="", now=NOW + 1)
        days = {"valid_from": DAY + day, "valid_until": DAY + 99}
        rule = RuleSpec(issuer=1, kinds=(1,), jurisdictions=(0,), bodies=(0,), **days)
        add_rule(workspace, rule)
        add_rule(workspace, rule)  # once
        settle(workspace, now=NOW + 2)
        assert [(first - DAY, last - DAY, bodies) for first, last, bodies in rules(workspace)] == want


def test_a_retracted_seal_change_leaves_its_rule_and_the_preview_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path).build()
    with office.open() as workspace:
        give(workspace, propose(workspace, 1, change), reason="", now=NOW + 1)
    monkeypatch.setattr("mingzheng.issuer.options.access_of", lambda _secret: office.access)
    words = ["notice", "add", "retract", "1", "--workspace", str(office.root), "--citation", "撤", "--reason", "撤"]
    words += ["--as-of", format_day(DAY + 1), "--dry-run"]
    for lang, text in (("zh", "用印规则不随之更改"), ("en", "rule of sealing stays")):
        assert text in CliRunner().invoke(cli, [*words, "--lang", lang]).stdout
    with office.open() as workspace:
        give(workspace, propose(workspace, 1, lambda number: retraction(number, 1, DAY + 2)), reason="", now=NOW + 2)
        assert rules(workspace) == [(DAY + 5, MAX_DAY, (1,))]


def test_an_act_that_was_stored_and_cut_short_reaches_the_log_when_it_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = operator_office(tmp_path)
    with office.open() as workspace, monkeypatch.context() as patch, pytest.raises(CutShort):
        ends_at(patch, "mingzheng.issuer.lifecycle.settle", 1)
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=1)
        person_here = present(workspace, NAMES[0])
        perform(workspace, ActType.SUSPEND, target, reason="", now=NOW + 1, operator=person_here)
    with office.open() as workspace:
        assert len(workspace.ledger.unlogged_acts()) == 1
    monkeypatch.setattr("mingzheng.issuer.options.access_of", lambda _secret: office.access)
    (tmp_path / "secret").write_bytes(passphrase(NAMES[0]))
    (tmp_path / "secret").chmod(0o600)
    words = ["suspend", "--workspace", str(office.root), "--registration", NO, "--kind", "cn.constructor.1", "--yes"]
    words += ["--reason", "查", "--operator", NAMES[0], "--operator-passphrase-file", str(tmp_path / "secret")]
    done = CliRunner().invoke(cli, [*words, "--as-of", format_day(DAY + 1)])
    assert (done.exit_code, "无需" in done.stdout) == (0, True), done.stdout
    with office.open() as workspace:
        assert workspace.ledger.unlogged_acts() == ()
        assert len(workspace.ledger.all_acts()) == 1
    assert office.fsck().clean


def test_an_operator_whom_the_log_was_not_told_of_is_told_when_added_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = operator_office(tmp_path)
    new = NewOperator(name="王五", passphrase=b"passphrase of wang")
    with office.open() as workspace:
        with monkeypatch.context() as patch, pytest.raises(CutShort):
            ends_at(patch, "mingzheng.issuer.operators.tell_added", 0)
            add_operator(workspace, 1, new, days=(None, DAY + 900), now=NOW + 1)
        for _ in range(2):
            with pytest.raises(OperatorExistsError):
                add_operator(workspace, 1, new, days=(None, DAY + 900), now=NOW + 2)
        events = [parse_entry(act.entry) for act in workspace.ledger.all_acts()]
        (key,) = (key for key in workspace.config.keys if key.operator == "王五")
    assert [entry.subject_kid for entry in events if isinstance(entry, KeyEventEntry)] == [key.kid]


@pytest.mark.parametrize("end", ["approve", "withdraw"])
def test_the_file_of_a_request_that_has_ended_goes_when_it_is_asked_for_again(tmp_path: Path, end: str) -> None:
    office = operator_office(tmp_path)
    with office.open() as workspace:
        row = asked(workspace, now=NOW + 1)
        path = request_path(workspace, row)
        data, second = path.read_bytes(), present(workspace, NAMES[1])
        for again in (False, True):
            if again:
                path.write_bytes(data)  # as a kill leaves it
            refusal = RequestDoneError if end == "approve" else RequestWithdrawnError
            try:
                if end == "approve":
                    approved(workspace, row, now=NOW + 2)
                else:
                    withdraw(workspace, row.id, second, reason="", now=NOW + 2)
                assert not again
            except refusal:
                assert again
            assert not path.exists()


def test_what_a_killed_import_left_of_a_picture_goes_with_the_next_and_with_forgetting(tmp_path: Path) -> None:
    office = Office(tmp_path).build()
    left = office.root / "images" / f"{'ab' * 32}.140123456789.tmp"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"a photo")
    office.issue([person(1)])
    assert not left.exists()
    left.write_bytes(b"a photo")
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 1)
        forget(workspace, target.registration, reason="", now=NOW + 2)
    assert not left.exists()


def test_what_a_killed_command_left_of_the_faulty_rows_goes_with_the_next(tmp_path: Path) -> None:
    office = Office(tmp_path).build()
    rows = [person(1), person(2, sex="?")]
    left = tmp_path / ".faults.csv.tmp"
    for _ in range(2):  # the second time the file itself is there already
        left.write_bytes(b"a name")
        (tmp_path / "records.csv").write_bytes(table(rows))
        words = ["issue", "records.csv", "--workspace", "W", "--out", "out"]
        words += ["--copy", "approval", "--skip-faulty", "--as-of", format_day(DAY)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mingzheng.issuer.options.access_of", lambda _secret: office.access)
            patch.chdir(tmp_path)
            assert CliRunner().invoke(cli, words).exit_code == 1
        assert not left.exists()
        assert len(list(tmp_path.rglob("faults*.csv"))) == 1


def test_a_seal_that_is_asked_for_again_is_the_same_key(tmp_path: Path) -> None:
    office = Office(tmp_path).build()
    wanted = SealSpec(
        issuer=1,
        body=1,
        form=FileForm.PDF,
        name="示范厅",
        art=SealShape.CIRCLE,
        line=None,
        code=None,
        alg=SealAlg.P256,
        key=None,
        certificate=None,
        chain=(),
        seal=None,
        picture=None,
        valid_from=DAY,
        valid_until=DAY + 100,
        revoked_on=None,
    )
    with office.open() as workspace:
        for name, count in (("示范厅", 1), ("示范厅", 1), ("别的", 2)):
            assert request_seal(workspace, replace(wanted, name=name)) is not None
            assert len(workspace.config.sealing.seals) == count
        assert len({spec.key for spec in workspace.config.sealing.seals}) == 2
