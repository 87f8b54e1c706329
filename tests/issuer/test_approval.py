"""Two persons at the desk: one alone revokes nothing; a request is approved once, as it was asked, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from office import ARCHITECTS, DAY, NOW, person
from operatoroffice import (
    NAMES,
    OperatorOffice,
    approved,
    asked,
    looked_at,
    operator_office,
    passphrase,
    present,
    target_of,
)

from mingzheng.formats.civil import day_start
from mingzheng.issuer.approval import approve, ask, end_late, open_requests, read_request, request_path, withdraw
from mingzheng.issuer.approvalerrors import (
    AlreadyAskedError,
    ApprovalError,
    AskedKeyOutError,
    OperatorError,
    OperatorNeededError,
    OtherIssuerError,
    OtherLogError,
    PersonNeededError,
    RequestAlteredError,
    RequestChangedError,
    RequestDoneError,
    RequestExpiredError,
    RequestForgedError,
    RequestMalformedError,
    RequestUnknownError,
    RequestWithdrawnError,
    SamePersonError,
    TwoPersonsError,
)
from mingzheng.issuer.issue import plan_jobs
from mingzheng.issuer.lifecycle import effect_of, find_serial, perform, plan_reissue, propose
from mingzheng.issuer.operators import Operator, add_operator, retire_operator, sign_again, unlock
from mingzheng.issuer.publish import settle, sign_act
from mingzheng.issuer.refusals import ClockBehindError
from mingzheng.issuer.requestform import Part, encode_form, parse_form
from mingzheng.issuer.rows import NewAct
from mingzheng.issuer.schema import CopyStatus, RegistrationState, RequestState
from mingzheng.issuer.workspace import NewOperator, Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.entry import ActEntry, NoticeType, parse_entry
from mingzheng.log.refusal import SubmissionError


@pytest.fixture
def office(tmp_path: Path) -> OperatorOffice:
    return operator_office(tmp_path)


def last_act(workspace: Workspace) -> ActEntry:
    entry = parse_entry(workspace.ledger.all_acts()[-1].entry)
    assert isinstance(entry, ActEntry)
    return entry


def test_one_asks_and_another_approves(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        assert asked(workspace) == row  # the same again is the same
        assert workspace.ledger.all_acts() == ()
        path = request_path(workspace, row)
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (row.body, 0o600)
        assert person(1)["registration_no"].encode() not in row.body
        assert read_request(workspace, str(path)) == read_request(workspace, row.id.hex()) == row.id
        approved(workspace, row, now=NOW + 9)
        entry = last_act(workspace)
        assert entry.request is not None
        assert entry.request.kid == present(workspace, NAMES[0]).key.kid
        assert entry.kid == present(workspace, NAMES[1]).key.kid
        assert workspace.ledger.all_acts()[-1].leaf_index is not None
        target = target_of(workspace)
        assert workspace.ledger.registration_state(target.registration) is RegistrationState.REVOKED
        assert {copy.status for copy in workspace.ledger.copies_of(target.registration)} == {CopyStatus.REVOKED}
        assert not path.exists()
        assert propose(workspace, ActType.REVOKE, target, reason="", now=NOW + 9) is None
    assert office.fsck().clean


def test_one_operator_alone_does_not_revoke(office: OperatorOffice) -> None:
    """Neither through the library, nor with a row of the ledger made by hand."""
    with office.open() as workspace:
        me, target = present(workspace, NAMES[0]), target_of(workspace)
        with pytest.raises(TwoPersonsError):
            perform(workspace, ActType.REVOKE, target, reason="", now=NOW, operator=me)
        with pytest.raises(OperatorNeededError):
            perform(workspace, ActType.SUSPEND, target, reason="", now=NOW)
        new = NewAct(issuer=1, act=1, serials=(0,), day=DAY, reason="", status=CopyStatus.REVOKED)
        for signer in (None, me.signer):
            with pytest.raises(TwoPersonsError):
                sign_act(workspace, new, 0, by=signer)
        by_hand = replace(new, act=int(ActType.SUSPEND))
        entry = parse_entry(sign_act(workspace, by_hand, 0, by=me.signer))
        assert isinstance(entry, ActEntry)
        forged = _signed_as_revocation(workspace, entry, me)
        workspace.ledger.store_acts([new], sign=lambda _act, _number: forged)
        with pytest.raises(SubmissionError) as caught:
            settle(workspace, now=NOW)
        assert caught.value.reason == "rule.one_person"


def _signed_as_revocation(workspace: Workspace, entry: ActEntry, me: Operator) -> bytes:
    from mingzheng.log.entry import act_message, encode_entry

    entry = replace(entry, act=ActType.REVOKE)
    return encode_entry(replace(entry, signature=me.signer.sign(act_message(entry, workspace.config.origin.name))))


def test_everyday_acts_are_signed_by_the_person_who_does_them(office: OperatorOffice) -> None:
    with office.open() as workspace:
        me, target = present(workspace, NAMES[0]), target_of(workspace)
        for act in (ActType.SUSPEND, ActType.REINSTATE):
            perform(workspace, act, target, reason="", now=NOW, operator=me)
            assert last_act(workspace).kid == me.key.kid
        stranger = replace(me, key=replace(me.key, issuer=2))
        with pytest.raises(OtherIssuerError):
            perform(workspace, ActType.SUSPEND, target, reason="", now=NOW, operator=stranger)
    office.issue([person(1, employer="上海示例建设有限公司")], now=NOW + 9)  # supersedes: the desk's own key
    with office.open() as workspace:
        assert last_act(workspace).act is ActType.SUPERSEDE
        assert workspace.config.key_records()[last_act(workspace).kid].role == "act"


def test_the_same_person_does_not_approve(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        with pytest.raises(SamePersonError):
            approved(workspace, row, NAMES[0])
        me = present(workspace, NAMES[0])
        disguised = Operator(name="王五", key=me.key, signer=me.signer)  # the same key under another name
        with pytest.raises(SamePersonError):
            approve(workspace, row.id, disguised, effects=effect_of, now=NOW)
        workspace.add_operator(1, NewOperator(name=NAMES[0], passphrase=passphrase(NAMES[0])), days=(DAY, DAY + 99))
        newest = present(workspace, NAMES[0])  # one person with two keys is one person
        assert newest.key.kid != me.key.kid
        with pytest.raises(SamePersonError):
            approve(workspace, row.id, newest, effects=effect_of, now=NOW)
        elsewhere = replace(present(workspace, NAMES[1]), key=replace(present(workspace, NAMES[1]).key, issuer=2))
        with pytest.raises(OtherIssuerError):
            approve(workspace, row.id, elsewhere, effects=effect_of, now=NOW)
        proposal = propose(workspace, ActType.REVOKE, target_of(workspace), reason="", now=NOW)
        assert proposal is not None
        with pytest.raises(OtherIssuerError):
            ask(workspace, proposal, elsewhere, now=NOW)
        with pytest.raises(AlreadyAskedError):
            asked(workspace, NAMES[1])
        assert workspace.ledger.all_acts() == ()


def test_what_is_not_open_is_not_approved(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        withdraw(workspace, row.id, present(workspace, NAMES[1]), reason="no", now=NOW)
        assert not request_path(workspace, row).exists()
        with pytest.raises(RequestWithdrawnError):
            approved(workspace, row)
        again = asked(workspace)
        assert again.id != row.id
        approved(workspace, again)
        for _ in range(2):
            with pytest.raises(RequestDoneError):
                approved(workspace, again)
        with pytest.raises(RequestDoneError):
            withdraw(workspace, again.id, present(workspace, NAMES[1]), reason="", now=NOW)
        with pytest.raises(RequestDoneError):  # not even within the ledger
            workspace.ledger.desk.finish(again.id)
        assert len(workspace.ledger.all_acts()) == 1


def test_a_request_is_good_for_seven_days(office: OperatorOffice) -> None:
    with office.open() as workspace:
        late = asked(workspace)
        in_time = asked(workspace, number=2)
        approved(workspace, in_time, now=day_start(DAY + 7) + 9)
        with pytest.raises(RequestExpiredError):
            approved(workspace, late, now=day_start(DAY + 8) + 9)
        assert open_requests(workspace, now=day_start(DAY + 8) + 9) == ()
        with pytest.raises(RequestExpiredError):
            looked_at(workspace, late, now=day_start(DAY + 8) + 9)
        end_late(workspace, now=day_start(DAY + 8) + 9)
        found = workspace.ledger.desk.request(late.id)
        assert found is not None
        assert found.state is RequestState.EXPIRED
    assert office.fsck().clean


def test_a_request_does_not_outlive_what_it_was_about(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
    office.issue([person(1)], now=NOW + 9, purpose="另一项目")
    with office.open() as workspace:
        with pytest.raises(RequestChangedError):
            approved(workspace, row, now=NOW + 9)
        newer = asked(workspace, now=NOW + 9)  # takes the place of the one that no longer fits
        assert [open_.id for open_ in open_requests(workspace, now=NOW + 9)] == [newer.id]
        serial = parse_form(newer.body).serials[0]
        alone = propose(
            workspace, ActType.REVOKE, find_serial(workspace, serial=serial, issuer=1), reason="", now=NOW + 9
        )
        assert alone is not None
        other = ask(workspace, alone, present(workspace, NAMES[0], NOW + 9), now=NOW + 9)
        approved(workspace, newer, now=NOW + 9)
        with pytest.raises(RequestChangedError):
            approved(workspace, other, now=NOW + 9)


def test_a_registration_without_copies_takes_two_as_well(office: OperatorOffice) -> None:
    with office.open() as workspace:
        me, target = present(workspace, NAMES[0]), target_of(workspace)
        (serial,) = (row.serial for row in workspace.ledger.copies_of(target.registration))
        voided(workspace, serial)
        with pytest.raises(TwoPersonsError):
            perform(workspace, ActType.REVOKE, target, reason="", now=NOW, operator=me)
        row = asked(workspace)
        assert parse_form(row.body).parts == ()
        approved(workspace, row)
        assert workspace.ledger.registration_state(target.registration) is RegistrationState.REVOKED


def voided(workspace: Workspace, serial: int, *, now: int = NOW) -> None:
    """One asks for the void of a copy, another approves."""
    named = find_serial(workspace, serial=serial, issuer=1)
    proposal = propose(workspace, ActType.VOID, named, reason="错误", now=now)
    assert proposal is not None
    approved(workspace, ask(workspace, proposal, present(workspace, NAMES[0], now), now=now), now=now)


def test_one_operator_alone_does_not_void_what_somebody_holds(office: OperatorOffice) -> None:
    """It would end a copy as a revocation does."""
    with office.open() as workspace:
        me, target = present(workspace, NAMES[0]), target_of(workspace)
        (row,) = workspace.ledger.copies_of(target.registration)
        one = find_serial(workspace, serial=row.serial, issuer=1)
        for operator in (me, None):
            with pytest.raises(TwoPersonsError):
                perform(workspace, ActType.VOID, one, reason="", now=NOW, operator=operator)
        new = NewAct(issuer=1, act=5, serials=(row.serial,), day=DAY, reason="", status=CopyStatus.VOID)
        for signer in (None, me.signer):
            with pytest.raises(TwoPersonsError):
                sign_act(workspace, new, 0, by=signer)
        voided(workspace, row.serial)
        entry = last_act(workspace)
        assert (entry.act, entry.serials) == (ActType.VOID, (row.serial,))
        assert entry.request is not None
        assert workspace.ledger.copy(1, row.serial).status is CopyStatus.VOID
        assert workspace.ledger.registration_state(target.registration) is RegistrationState.ACTIVE
        assert propose(workspace, ActType.VOID, one, reason="", now=NOW) is None
    assert office.fsck().clean


def test_what_was_never_logged_is_voided_by_the_desk_alone(office: OperatorOffice) -> None:
    """A copy whose day passed before the log saw it: nobody holds it."""
    with office.open() as workspace:
        job = plan_reissue(workspace, target_of(workspace), wanted=None, reason="", now=NOW)
        (row,) = plan_jobs(workspace, [job])
        assert settle(workspace, now=NOW + 86_400).voided == 1
        entry = last_act(workspace)
        assert (entry.act, entry.serials, entry.request) == (ActType.VOID, (row.serial,), None)
    assert office.fsck().clean


def test_a_request_of_anything_else_is_not_carried_out(office: OperatorOffice) -> None:
    with office.open() as workspace:
        proposal = propose(workspace, ActType.REVOKE, target_of(workspace), reason="", now=NOW)
        assert proposal is not None
        for code in (ActType.SUSPEND, NoticeType.BLANKET_EXTENSION):
            abouts = (b"body",) if isinstance(code, NoticeType) else proposal.abouts
            asks = replace(proposal, code=code, abouts=abouts)
            row = ask(workspace, asks, present(workspace, NAMES[0]), now=NOW)
            with pytest.raises(RequestForgedError):
                approved(workspace, row)
        assert workspace.ledger.all_acts() == ()


def test_a_notice_of_the_same_number_is_another_request_than_an_act(office: OperatorOffice) -> None:
    """Notice 1 and act 1 are equal as numbers: neither takes the place of the other."""
    with office.open() as workspace:
        row = asked(workspace)
        proposal = propose(workspace, ActType.REVOKE, target_of(workspace), reason="why", now=NOW)
        assert proposal is not None
        assert int(NoticeType.BLANKET_EXTENSION) == int(proposal.code)
        told = replace(proposal, code=NoticeType.BLANKET_EXTENSION, abouts=(b"body",))
        other = ask(workspace, told, present(workspace, NAMES[0]), now=NOW)
        assert {one.id for one in open_requests(workspace, now=NOW)} == {row.id, other.id}


def test_only_what_is_done_moves_the_clock(office: OperatorOffice) -> None:
    """A demo's day is what a command says: looking, or being refused, leaves it as it was."""
    late, soon = day_start(DAY + 8) + 9, day_start(DAY + 3) + 9
    with office.open() as workspace:
        row = asked(workspace)
        with pytest.raises(RequestExpiredError):
            approved(workspace, row, now=late)
        looked_at(workspace, row, now=soon)
        with pytest.raises(SamePersonError):
            approved(workspace, row, NAMES[0], now=soon)
        settle(workspace, now=NOW)  # no later time was remembered
        approved(workspace, row, now=soon)
        with pytest.raises(ClockBehindError):
            settle(workspace, now=NOW)


def _other_serials(body: bytes) -> bytes:
    form = parse_form(body)
    return encode_form(replace(form, parts=(Part(about=(99,), signature=form.parts[0].signature),)))


def _other_issuer(body: bytes) -> bytes:
    return encode_form(replace(parse_form(body), issuer=2))


def _other_kid(body: bytes) -> bytes:
    return encode_form(replace(parse_form(body), kid=b"12345678"))  # type: ignore[arg-type]


def _other_day(body: bytes) -> bytes:
    return encode_form(replace(parse_form(body), day=DAY + 1))


def _other_id(body: bytes) -> bytes:
    return encode_form(replace(parse_form(body), id=b"87654321"))


@pytest.mark.parametrize("change", [_other_serials, _other_issuer, _other_kid, _other_day, _other_id])
def test_an_altered_request_is_refused(office: OperatorOffice, change: Callable[[bytes], bytes]) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        workspace.ledger._db.execute("DROP TRIGGER request_kept")
        workspace.ledger._db.execute("UPDATE request SET body = ?", (change(row.body),))
        with pytest.raises(RequestForgedError):
            approved(workspace, row)
        path = request_path(workspace, row)
        if change is not _other_id:
            with pytest.raises(RequestAlteredError):
                read_request(workspace, str(path))
        assert workspace.ledger.all_acts() == ()


@pytest.mark.parametrize(
    "change",
    ["reason = 'another'", "target = x'820141'", "operator = '李四'", "operator = '王五'", "seal = zeroblob(64)"],
)
def test_what_the_ledger_keeps_beside_a_request_is_signed_too(office: OperatorOffice, change: str) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        workspace.ledger._db.execute("DROP TRIGGER request_kept")
        workspace.ledger._db.execute(f"UPDATE request SET {change}")
        with pytest.raises(RequestForgedError):
            approved(workspace, row)


def test_a_request_with_the_offices_key_is_forged(office: OperatorOffice) -> None:
    with office.open() as workspace:
        me = present(workspace, NAMES[0])
        signer = workspace.signer(me.key.role.ACT, 1, DAY)
        key = next(key for key in workspace.config.keys if key.kid == signer.public_key.kid)
        proposal = propose(workspace, ActType.REVOKE, target_of(workspace), reason="", now=NOW)
        assert proposal is not None
        row = ask(workspace, proposal, Operator(name=NAMES[0], key=key, signer=signer), now=NOW)
        with pytest.raises(RequestForgedError):
            approved(workspace, row)


def test_a_request_of_a_key_that_went_out_is_refused(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        retire_operator(workspace, 1, NAMES[0], now=NOW)
        with pytest.raises(AskedKeyOutError):
            approved(workspace, row)
        with pytest.raises(OperatorError) as caught:
            present(workspace, NAMES[0])
        assert caught.value.code == "operator.out"


def test_a_request_for_another_log_is_refused(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        form = replace(parse_form(row.body), origin=2)
        workspace.ledger._db.execute("DROP TRIGGER request_kept")
        workspace.ledger._db.execute("UPDATE request SET body = ?", (encode_form(form),))
        with pytest.raises(OtherLogError):
            approved(workspace, row)


def test_files_are_read_strictly(office: OperatorOffice, tmp_path: Path) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        for name in ("nothing", "00" * 8):
            with pytest.raises(RequestUnknownError):
                read_request(workspace, name)
        file = tmp_path / "file"
        for data in (b"", b"\x80", row.body + b"\0", row.body[:-1], b"\x89\x02" + row.body[2:], bytes(800_000)):
            file.write_bytes(data)
            with pytest.raises(RequestMalformedError):
                read_request(workspace, str(file))


def test_one_flipped_bit_of_a_request_is_never_approved(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        workspace.ledger._db.execute("DROP TRIGGER request_kept")
        for at in range(len(row.body)):
            body = bytearray(row.body)
            body[at] ^= 1 << (at % 8)
            workspace.ledger._db.execute("UPDATE request SET body = ?", (bytes(body),))
            with pytest.raises(ApprovalError):
                looked_at(workspace, row)


def test_an_operator_of_another_issuer_has_no_say(office: OperatorOffice) -> None:
    with office.open() as workspace:
        persons = [NewOperator(name="王五", passphrase=passphrase("王五"))]
        workspace.add_issuer(ARCHITECTS, valid_from=DAY - 9, valid_until=DAY + 9, operators=persons)
        row = asked(workspace)
        other = unlock(workspace, 2, "王五", passphrase=passphrase, now=NOW)
        with pytest.raises(OtherIssuerError):
            approve(workspace, row.id, other, effects=effect_of, now=NOW)
        with pytest.raises(OtherIssuerError):
            withdraw(workspace, row.id, other, reason="", now=NOW)


# --- signed, stored, and the log not reached for days


def _stuck(office: OperatorOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approved, stored, and cut short before the log."""
    with office.open() as workspace, monkeypatch.context() as patch:
        row = asked(workspace)
        calls = []

        def once(*args: object, **named: object) -> None:
            calls.append(1)
            if len(calls) > 1:
                raise OSError("cut short")
            settle(*args, **named)  # type: ignore[arg-type]

        patch.setattr("mingzheng.issuer.approval.settle", once)
        with pytest.raises(OSError, match="cut short"):
            approved(workspace, row)


def test_an_act_that_waited_for_days_is_signed_again_by_the_same_person_or_not_at_all(
    office: OperatorOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stuck(office, monkeypatch)
    later = day_start(DAY + 3) + 9
    with office.open() as workspace:
        with pytest.raises(PersonNeededError) as caught:
            settle(workspace, now=later)
        assert caught.value.names == (NAMES[1],)
        present(workspace, NAMES[0], later)  # another one is not enough
        with pytest.raises(PersonNeededError):
            settle(workspace, now=later)
        present(workspace, NAMES[1], later)
        assert sign_again(workspace, now=later) == 1
        entry = last_act(workspace)
        assert entry.request is not None
        assert (entry.day, entry.request.day) == (DAY + 3, DAY)
    assert office.fsck().clean


def test_a_request_that_is_too_old_by_then_takes_both_again(
    office: OperatorOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stuck(office, monkeypatch)
    later = day_start(DAY + 9) + 9
    with office.open() as workspace:
        present(workspace, NAMES[1], later)
        with pytest.raises(PersonNeededError) as caught:
            settle(workspace, now=later)
        assert caught.value.names == (NAMES[0],)
        present(workspace, NAMES[0], later)
        settle(workspace, now=later)
        entry = last_act(workspace)
        assert entry.request is not None
        assert (entry.day, entry.request.day) == (DAY + 9, DAY + 9)
    assert office.fsck().clean


def test_for_a_key_that_expired_meanwhile_another_operator_stands_in(
    office: OperatorOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stuck(office, monkeypatch)
    later = day_start(DAY + 3) + 9
    with office.open() as workspace:
        keys = [replace(key, valid_until=DAY + 1) if key.operator == NAMES[1] else key for key in workspace.config.keys]
        workspace.store_config(replace(workspace.config, keys=tuple(keys)))
        third = workspace.add_operator(1, NewOperator(name="王五", passphrase=passphrase("王五")), days=(DAY, DAY + 99))
        present(workspace, NAMES[0], later)
        with pytest.raises(PersonNeededError):  # who asked does not stand in for who approved
            settle(workspace, now=later)
        present(workspace, "王五", later)
        settle(workspace, now=later)
        assert last_act(workspace).kid == third.kid
    assert office.fsck().clean


@pytest.mark.parametrize("act", [ActType.REVOKE, ActType.VOID])
def test_a_new_first_operator_begins_after_what_one_person_did(tmp_path: Path, act: ActType) -> None:
    from office import Office

    office = Office(tmp_path).build()
    office.issue([person(1), person(2)])
    with office.open() as workspace:
        (row,) = workspace.ledger.copies_of(target_of(workspace).registration)
        perform(workspace, act, find_serial(workspace, serial=row.serial, issuer=1), reason="", now=NOW)
        new = NewOperator(name="张三", passphrase=passphrase("张三"))
        made = add_operator(workspace, 1, new, days=(None, DAY + 99), now=NOW)
        assert made.valid_from == DAY + 1
        assert not workspace.config.needs_two(1, DAY)
        assert workspace.config.needs_two(1, DAY + 1)


def test_a_new_first_operator_begins_today_after_a_void_of_what_was_never_logged(tmp_path: Path) -> None:
    from office import Office

    office = Office(tmp_path).build()
    office.issue([person(1)], now=NOW - 86_400)
    with office.open() as workspace:
        job = plan_reissue(workspace, target_of(workspace), wanted=None, reason="", now=NOW - 86_400)
        plan_jobs(workspace, [job])
        assert settle(workspace, now=NOW).voided == 1
        new = NewOperator(name="张三", passphrase=passphrase("张三"))
        assert add_operator(workspace, 1, new, days=(None, DAY + 99), now=NOW).valid_from == DAY
