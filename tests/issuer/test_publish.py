"""Ledger to log: stored before submitted, serial order, large commands in several rounds, doubtful states refused."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from office import DAY, NOW, Office, person

import mingzheng.issuer.publish as publish_module
from mingzheng.formats.civil import day_start
from mingzheng.formats.claims import Copy, encode_claims
from mingzheng.formats.credential import open_credential, parse_credential
from mingzheng.issuer.issue import Request, prepare
from mingzheng.issuer.plan import Allotment, plan_copy
from mingzheng.issuer.publish import VOID_REASON, check_agreement, entry_of, settle, sign_act, token_of
from mingzheng.issuer.randomness import SystemRandomness
from mingzheng.issuer.refusals import LedgerBehindLogError
from mingzheng.issuer.rows import NewAct, Order
from mingzheng.issuer.schema import CopyState, CopyStatus
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.alg import verify
from mingzheng.keys.trust import Role
from mingzheng.log.acts import ActType
from mingzheng.log.entry import ActEntry, IssueEntry, act_message, parse_entry
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.receipt import parse_compact_receipt, verify_compact_receipt
from mingzheng.log.refusal import ClockJumpError
from mingzheng.log.sequencer import Submission


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


def plan(workspace: Workspace, request: Request, now: int = NOW) -> tuple[int, ...]:
    """Plan without signing: what a command killed right after its plan leaves."""
    jobs = {job.order.key: job for job in prepare(workspace, request, now=now, store_images=True).jobs}

    def claims(order: Order, serial: int, salt: bytes) -> bytes:
        job = jobs[order.key]
        given = Allotment(serial=serial, salt=salt, image_digest=bytes(32), has_photo=True, has_signature_image=True)
        made = plan_copy(job.kept.record, job.profile, issuer=job.issuer, order=job.wanted, allotment=given)
        return encode_claims(made.claims)

    orders = [job.order for job in jobs.values()]
    return tuple(row.serial for row in workspace.ledger.plan(orders, make_claims=claims, randomness=SystemRandomness()))


def people(count: int) -> list[dict[str, str]]:
    return [person(number) for number in range(count)]


def test_signs_logs_and_stores_receipts_that_verify(office: Office) -> None:
    with office.open() as workspace:
        plan(workspace, office.request(people(5)))
        settled = settle(workspace, now=NOW)
        assert (settled.logged, settled.voided, settled.superseded, settled.acts) == (5, 0, 0, 0)
        key = workspace.config.key_for(Role.RECEIPT, 0, DAY)
        assert key is not None
        for row in workspace.ledger.all_copies():
            assert row.state is CopyState.LOGGED
            assert row.leaf_index == row.serial  # one round, appended in serial order
            entry = entry_of(row)
            receipt = parse_compact_receipt(row.receipt or b"")
            index = verify_compact_receipt(receipt, leaf_hash(entry), key=key.public_key, block_height=4)
            assert index == row.leaf_index
            unverified = parse_credential(token_of(row))
            record = workspace.key_record(unverified.kid)
            assert record is not None
            assert open_credential(unverified, record).receipt == row.receipt
            parsed = parse_entry(entry)
            assert isinstance(parsed, IssueEntry)
            assert parsed.identity == unverified.identity
        assert settle(workspace, now=NOW + 1).logged == 0


def test_a_large_command_takes_several_rounds(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_module, "CHUNK", 2)
    with office.open() as workspace:
        plan(workspace, office.request(people(5)))
        assert settle(workspace, now=NOW).logged == 5
        indexes = [row.leaf_index for row in workspace.ledger.all_copies()]
        assert indexes == [0, 1, 4, 5, 8]


def test_stored_signatures_are_submitted_as_they_are(office: Office) -> None:
    with office.open() as workspace:
        plan(workspace, office.request(people(2)))
        rows = workspace.ledger.unlogged()
        publish_module._sign_planned(workspace, rows)
        signed = [row.signed for row in workspace.ledger.unlogged()]
        publish_module._sign_planned(workspace, workspace.ledger.unlogged())
        settle(workspace, now=NOW)
        assert [row.signed for row in workspace.ledger.all_copies()] == signed


def test_a_copy_whose_day_has_passed_is_voided_in_the_log(office: Office) -> None:
    tomorrow = day_start(DAY + 1)
    with office.open() as workspace:
        plan(workspace, office.request(people(3)))
        settled = settle(workspace, now=tomorrow)
        assert (settled.logged, settled.voided, settled.acts) == (0, 3, 1)
        (act,) = workspace.ledger.all_acts()
        entry = parse_entry(act.entry)
        assert isinstance(entry, ActEntry)
        assert (entry.act, entry.serials, act.reason) == (ActType.VOID, (0, 1, 2), VOID_REASON)
        assert plan(workspace, office.request(people(3)), tomorrow) != (0, 1, 2)
        settle(workspace, now=tomorrow)
        assert [row.status for row in workspace.ledger.all_copies()].count(CopyStatus.LIVE) == 3


def test_acts_are_signed_over_the_origin_and_their_number(office: Office) -> None:
    with office.open() as workspace:
        new = NewAct(issuer=1, act=1, serials=(0,), day=DAY, reason="", status=CopyStatus.REVOKED)
        entry = parse_entry(sign_act(workspace, new, 5))
        assert isinstance(entry, ActEntry)
        assert entry.act_number == 5
        key = workspace.config.record(entry.kid)
        assert key is not None
        verify(key.public_key, signature=entry.signature, message=act_message(entry, workspace.config.origin.name))


def test_acts_of_many_serials_are_split(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_module, "MAX_SERIALS", 2)
    with office.open() as workspace:
        plan(workspace, office.request(people(5)))
        settle(workspace, now=day_start(DAY + 1))
        numbers = [(act.number, _serials(act.entry)) for act in workspace.ledger.all_acts()]
        assert numbers == [(0, (0, 1)), (1, (2, 3)), (2, (4,))]
    assert office.fsck().clean


def _serials(entry: bytes) -> Sequence[int]:
    parsed = parse_entry(entry)
    assert isinstance(parsed, ActEntry)
    return parsed.serials


def test_a_ledger_behind_the_log_stops_everything(office: Office) -> None:
    with office.open() as workspace:
        plan(workspace, office.request(people(2)))
        settle(workspace, now=NOW)
        check_agreement(workspace)
        workspace.ledger._db.execute("UPDATE counter SET next_serial = 1")
        with pytest.raises(LedgerBehindLogError, match="serial"):
            check_agreement(workspace)
        workspace.ledger._db.execute("UPDATE counter SET next_serial = 2")
        new = NewAct(issuer=1, act=1, serials=(0,), day=DAY, reason="", status=CopyStatus.REVOKED)
        workspace.ledger.store_acts([new], sign=lambda act, number: sign_act(workspace, act, number))
        settle(workspace, now=NOW)
        workspace.ledger._db.execute("UPDATE counter SET next_act = 0")
        with pytest.raises(LedgerBehindLogError, match="act"):
            check_agreement(workspace)


def test_an_approval_copy_is_published_like_any_other(office: Office) -> None:
    with office.open() as workspace:
        request = replace(office.request(people(1)), copy=Copy.APPROVAL, purpose=None)
        plan(workspace, request)
        assert settle(workspace, now=NOW).logged == 1


def test_an_act_that_waited_for_days_is_dated_again_under_its_number(office: Office) -> None:
    """Killed between storing an act and logging it, and resumed a week later: the log takes no act of that day."""
    later = day_start(DAY + 7)
    with office.open() as workspace:
        plan(workspace, office.request(people(1)))
        settle(workspace, now=NOW)
        new = NewAct(issuer=1, act=1, serials=(0,), day=DAY, reason="r", status=CopyStatus.REVOKED)
        (stored,) = workspace.ledger.store_acts([new], sign=lambda act, number: sign_act(workspace, act, number))
        settle(workspace, now=later)
        (logged,) = workspace.ledger.all_acts()
        assert (logged.number, logged.day, logged.reason) == (stored.number, DAY + 7, "r")
        assert logged.leaf_index is not None
        assert workspace.log.reader().entry(logged.leaf_index) == logged.entry
    assert office.fsck().clean


def test_an_act_that_was_logged_keeps_its_day(office: Office) -> None:
    """Killed between the log and the ledger: the same bytes get their old index."""
    with office.open() as workspace:
        plan(workspace, office.request(people(1)))
        settle(workspace, now=NOW)
        new = NewAct(issuer=1, act=1, serials=(0,), day=DAY, reason="r", status=CopyStatus.REVOKED)
        (stored,) = workspace.ledger.store_acts([new], sign=lambda act, number: sign_act(workspace, act, number))
        key = hashlib.sha256(stored.entry).digest()
        (index,) = workspace.log.submit([Submission(key=key, entry=stored.entry)], now=NOW)
        settle(workspace, now=day_start(DAY + 7))
        assert workspace.ledger.all_acts() == (replace(stored, leaf_index=index),)


def test_a_clock_that_leaps_does_not_reach_the_ledger(office: Office) -> None:
    with office.open() as workspace:
        plan(workspace, office.request(people(1)))
        settle(workspace, now=NOW)
        with pytest.raises(ClockJumpError):
            settle(workspace, now=NOW + 401 * 86_400)
        assert settle(workspace, now=NOW + 1).logged == 0
