"""`log roll-over`: what it does, what it refuses, which log the other commands mean afterwards."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from noticebodies import old_form
from office import DAY, NOW, Office, person
from witnessnet import LoopbackWitness

import mingzheng.issuer.cli as commands
import mingzheng.issuer.options as shared
import mingzheng.issuer.rollover as rollover
import mingzheng.issuer.serve_cli as serve_cli
from mingzheng.issuer.config import parse_config
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.key_cli import key_group
from mingzheng.issuer.keywork import compromise_key, lost_copies
from mingzheng.issuer.noticework import give, propose
from mingzheng.issuer.publish import sign_act, token_of
from mingzheng.issuer.refusals import (
    DemoNameError,
    ForeignStoreError,
    KeyMissingError,
    KeyStateError,
    LogBehindLedgerError,
    OptionError,
    OriginUnknownError,
    RollOverUnfinishedError,
)
from mingzheng.issuer.remote import origin_keys
from mingzheng.issuer.render import Renderer
from mingzheng.issuer.rollover import (
    RolledOver,
    RollOverMovedError,
    RollOverNameError,
    RollOverNumberError,
    RollOverOtherError,
    RollOverPolicyError,
    RollOverServedError,
    announce,
    roll_over,
)
from mingzheng.issuer.rows import CopyRow, NewAct
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.witnessing import POLICY
from mingzheng.issuer.workspace import CONFIG, current_log, log_vkey
from mingzheng.keys.alg import Alg
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.acts import ActType
from mingzheng.log.entry import KeyEventEntry, OriginSize, parse_entry
from mingzheng.log.policy import QuorumNotMetError
from mingzheng.log.receipt import parse_compact_receipt, parse_tlog_proof
from mingzheng.log.refusal import LogFrozenError, RestoredBackupError, RolledElsewhereError, WriterActiveError
from mingzheng.log.serverrun import ServePlan
from mingzheng.verifier.context import Expectations, Judging, TrustSource, build_context
from mingzheng.verifier.findings import Code, Grade
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import Judged, Met, judge, verdict_for

NEXT = "test.example/log-2"
THIRD = "test.example/log-3"
DAYS = (DAY - 400, DAY + 1_000)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


@pytest.fixture(autouse=True)
def unprinted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are logged and not drawn, files not forced to the disk: most of the time that these tests would take."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(Renderer, "deliver", lambda _renderer, _row: (Path("none"),))


def rolled(office: Office, now: int = NOW + 60, number: int = 2, name: str = NEXT) -> RolledOver:
    with office.open() as workspace:
        return roll_over(workspace, number, name, days=DAYS, now=now)


def exported(office: Office, now: int) -> None:
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=now)


def files_of(office: Office) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(office.root.rglob("*")) if path.is_file()}


# --- what it does


def test_asked_again_it_says_so_and_changes_nothing(office: Office) -> None:
    office.issue([person(1)])
    done = rolled(office)
    assert (done.done, done.cosigned, done.closed.origin.number, done.origin.number) == (True, None, 1, 2)
    before = files_of(office)
    assert rolled(office, NOW + 120) == replace(done, done=False)
    assert files_of(office) == before


def test_a_log_without_entries_and_a_third_log(office: Office) -> None:
    rolled(office)
    (first,) = office.issue([person(1)], now=NOW + 120)
    rolled(office, NOW + 180, 3, THIRD)
    (second,) = office.issue([person(2)], now=NOW + 240)
    assert [item.row.shard for item in (first, second)] == [1, 2]
    exported(office, NOW + 300)
    data = load_store(office.base / "trust").data
    assert sorted(data.origins) == [1, 2, 3]
    assert len({data.receipt_key(number) for number in (1, 2, 3)} - {None}) == 3
    assert current_log(office.root) == office.root / "log-3"
    assert current_log(office.base) == office.base / "log"


def test_what_is_on_its_way_goes_into_the_old_log_first(office: Office) -> None:
    (item,) = office.issue([person(1)])
    with office.open() as workspace:
        act = NewAct(issuer=1, act=int(ActType.REVOKE), serials=(0,), day=DAY, reason="x", status=CopyStatus.REVOKED)
        workspace.ledger.store_acts([act], sign=lambda new, number: sign_act(workspace, new, number))
    rolled(office)
    with office.open() as workspace:
        assert not workspace.ledger.unlogged_acts()
        (stored,) = workspace.ledger.all_acts()
        assert stored.leaf_index is not None
        assert workspace.ledger.last_event_index(1, shard=0) == stored.leaf_index > (item.row.leaf_index or 0)
        assert workspace.ledger.last_event_index(1, shard=1) == workspace.last_event() == -1


def test_keys_are_announced_once(office: Office) -> None:
    with office.open() as workspace:
        before = workspace.config.key_records()
        announce(workspace, 2, NEXT, days=DAYS)
        keys = workspace.config.keys
        announce(workspace, 2, NEXT, days=DAYS)
        assert workspace.config.keys == keys
        assert {key.role for key in keys if key.origin == 2} == {Role.RECEIPT, Role.CHECKPOINT}
        log_keys = {kid: record for kid, record in before.items() if not record.issuer}
        assert workspace.config.key_records().items() >= log_keys.items()
    (item,) = office.issue([person(1)])  # until it is rolled over, log 1 goes on
    assert parse_compact_receipt(item.row.receipt or b"").origin == 1
    rolled(office)
    with office.open() as workspace:
        assert {key.kid for key in keys} <= {key.kid for key in workspace.config.keys}
        assert origin_keys(workspace).number == 2
        assert origin_keys(workspace).vkey.name == NEXT


def test_trust_data_of_before_are_gone_on_with_and_those_of_another_log_are_not(office: Office, tmp_path: Path) -> None:
    exported(office, NOW + 10)
    rolled(office)
    exported(office, NOW + 120)
    assert load_store(office.base / "trust").data.generation == 2
    (tmp_path / "other").mkdir()
    other = Office(tmp_path / "other", seed="other").build()
    with other.open() as workspace:
        roll_over(workspace, 3, THIRD, days=DAYS, now=NOW)
    exported(other, NOW + 60)
    with other.open() as workspace, pytest.raises(ForeignStoreError):
        export_trust(workspace, office.base / "trust", now=NOW + 180)


def test_a_status_list_is_made_in_the_new_log_though_the_last_is_young(office: Office) -> None:
    office.issue([person(number) for number in range(4)])
    exported(office, NOW + 10)
    rolled(office)
    exported(office, NOW + 70)
    proof = parse_tlog_proof(load_store(office.base / "trust").data.blobs["status/1.tlog-proof"])
    assert proof.checkpoint_note.startswith(NEXT.encode() + b"\n")
    with office.open() as workspace:
        before = workspace.ledger.status(1)
        assert before is not None
        assert before.covered < 6  # of the log that is written to
    exported(office, NOW + 80)
    with office.open() as workspace:
        assert workspace.ledger.status(1) == before  # nothing was heard since
    office.issue([person(5)], now=NOW + 90)
    exported(office, NOW + 100)
    with office.open() as workspace:
        assert workspace.ledger.status(1) != before


def test_a_copy_of_the_old_log_is_rendered_afterwards(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = office.issue([person(1)])
    rolled(office)
    monkeypatch.undo()
    (again,) = office.issue([person(1)], now=NOW + 120)
    assert (again.row.serial, again.row.shard, again.path.is_file()) == (item.row.serial, 0, True)


# --- what it refuses


REFUSED = (
    (1, NEXT, RollOverNumberError),
    (1, "test.example/log", RollOverNumberError),
    (2, "test.example/log", RollOverNameError),
    (2, "test.example log", RollOverNameError),
    (2, "test.a+b", RollOverNameError),
    (2, "test." + "x" * 251, RollOverNameError),
    (2, "log.example/2", DemoNameError),
)


def test_refuses_numbers_and_names_that_do_not_follow(office: Office) -> None:
    before = (office.root / CONFIG).read_bytes()
    with office.open() as workspace:
        for number, name, error in REFUSED:
            with pytest.raises(error) as caught:
                announce(workspace, number, name, days=DAYS)
            assert caught.value.zh
            assert caught.value.en
            with pytest.raises(error):
                roll_over(workspace, number, name, days=DAYS, now=NOW)
    assert (office.root / CONFIG).read_bytes() == before


def test_refuses_numbers_and_names_that_were_used(office: Office) -> None:
    rolled(office)
    for number, name, error in (
        (1, THIRD, RollOverNumberError),
        (2, THIRD, RollOverNumberError),
        (3, NEXT, RollOverNameError),
        (3, "test.example/log", RollOverNameError),
    ):
        with pytest.raises(error):
            rolled(office, NOW + 120, number, name)


def test_refuses_another_log_than_announced(office: Office) -> None:
    with office.open() as workspace:
        announce(workspace, 2, NEXT, days=DAYS)
    for number, name in ((2, THIRD), (3, NEXT)):
        with pytest.raises(RollOverOtherError, match=r"2 test\.example/log-2"):
            rolled(office, NOW + 60, number, name)
    assert rolled(office).done


def test_an_announcement_can_be_struck_out_by_hand(office: Office) -> None:
    with office.open() as workspace:
        before = workspace.config
        announce(workspace, 2, NEXT, days=DAYS)
        assert workspace.config != before
    text = (office.root / CONFIG).read_text(encoding="utf-8")
    tables = [table for table in text.split("\n\n") if "[next_origin]" not in table and "\norigin = " not in table]
    (office.root / CONFIG).write_text("\n\n".join(tables).rstrip("\n") + "\n", encoding="utf-8")
    with office.open() as workspace:
        assert workspace.config == before
    assert rolled(office, name=THIRD).done


def test_refuses_a_log_that_is_served_or_moved(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as serving:
        log = serving.log  # a server holds the log's lock, not the workspace's
        serving._lock.release()
        with pytest.raises(WriterActiveError):
            rolled(office)
        log.close()
    office.access = replace(office.access, remote=lambda _workspace: log)
    with pytest.raises(RollOverServedError):
        rolled(office)
    office.access = replace(office.access, remote=None)
    monkeypatch.setattr(rollover, "is_moved", lambda _directory: True)
    with pytest.raises(RollOverMovedError):
        rolled(office)


def test_refuses_a_restored_copy_and_a_log_closed_for_another(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.root, tmp_path / "copy")
    shutil.rmtree(office.root)
    shutil.copytree(tmp_path / "copy", office.root)
    before = (office.root / CONFIG).read_bytes()
    with pytest.raises(RestoredBackupError):
        rolled(office)
    assert (office.root / CONFIG).read_bytes() == before
    (tmp_path / "second").mkdir()
    second = Office(tmp_path / "second", seed="second").build()
    with second.open() as workspace:
        workspace.log.close_for(5, now=NOW)
    with pytest.raises(RolledElsewhereError):
        rolled(second)
    with second.open() as workspace, pytest.raises(LogFrozenError):
        export_trust(workspace, second.base / "trust", now=NOW)
    assert rolled(second, NOW + 60, 5, NEXT).done  # closed by the library, gone on with here


def test_commands_in_between_say_that_it_was_cut_short(office: Office) -> None:
    with office.open() as workspace:
        announce(workspace, 2, NEXT, days=DAYS)
        workspace.log.close_for(2, now=NOW)
    with pytest.raises(RollOverUnfinishedError):
        office.issue([person(1)])
    assert rolled(office).done
    assert office.issue([person(1)], now=NOW + 120)


def test_a_closed_log_that_is_not_all_there_is_not_exported(office: Office) -> None:
    older = (office.root / "log" / "public" / "checkpoint").read_bytes()
    rolled(office)
    (office.root / "log" / "public" / "checkpoint").write_bytes(older)
    with office.open() as workspace, pytest.raises(LogBehindLedgerError):
        export_trust(workspace, office.base / "trust", now=NOW + 120)


def test_a_log_without_its_keys_is_named(office: Office) -> None:
    with office.open() as workspace:
        config = workspace.config
        for role in (Role.CHECKPOINT, Role.RECEIPT):
            workspace.config = replace(config, keys=tuple(key for key in config.keys if key.role is not role))
            with pytest.raises(KeyMissingError):
                workspace.log_identity()
            with pytest.raises(KeyMissingError):
                origin_keys(workspace)
        with pytest.raises(OriginUnknownError):
            workspace.log_directory(9)


# --- stolen keys


def test_a_key_stolen_in_one_log_or_the_other(office: Office) -> None:
    (old,) = office.issue([person(1)])
    done = rolled(office)
    (new,) = office.issue([person(2)], now=NOW + 120)
    with office.open() as workspace:
        kid = next(key.kid for key in workspace.config.keys if key.role is Role.CREDENTIAL)
        with pytest.raises(OptionError):
            compromise_key(workspace, kid, good_size=done.closed.size + 1, origin=1, now=NOW + 180)
        with pytest.raises(OriginUnknownError):
            compromise_key(workspace, kid, good_size=1, origin=9, now=NOW + 180)
        later = compromise_key(workspace, kid, good_size=3, now=NOW + 180)
        record = workspace.key_record(kid)
        assert record is not None
        assert record.compromised == {1: done.closed.size, 2: 3}
        assert lost_copies(workspace, later) == ()
        first = compromise_key(workspace, kid, good_size=1, origin=1, now=NOW + 240)
        record = workspace.key_record(kid)
        assert record is not None
        assert record.compromised == {1: 1}
        assert lost_copies(workspace, first) == (new.row.serial,)
        with pytest.raises(KeyStateError):
            compromise_key(workspace, kid, good_size=3, now=NOW + 300)
        reader = workspace.log.reader()
        reader.refresh()
        entries = [parse_entry(data) for _, data in reader.entries(0, workspace.log.head()[0])]
    said = [entry.sizes for entry in entries if isinstance(entry, KeyEventEntry)]
    assert said == [(OriginSize(1, done.closed.size), OriginSize(2, 3)), (OriginSize(1, 1),)]
    assert parse_config((office.root / CONFIG).read_bytes())  # it can be read again
    assert old.row.leaf_index == 0


def test_a_stolen_receipt_key_is_of_one_log(office: Office) -> None:
    rolled(office)
    with office.open() as workspace:
        for number in (1, 2):
            key = workspace.config.log_key(Role.RECEIPT, number)
            assert key is not None
            compromise_key(workspace, key.kid, good_size=0, now=NOW + 120)
            record = workspace.key_record(key.kid)
            assert record is not None
            assert record.compromised == {number: 0}


# --- witnesses


@pytest.fixture
def witness(office: Office, tmp_path: Path) -> Iterator[LoopbackWitness]:
    made = LoopbackWitness(tmp_path / "w1", "w1", Alg.ED25519, now=NOW)
    _watch(office, made, 1)
    yield made
    made.close()


def _watch(office: Office, witness: LoopbackWitness, number: int, *, logs: str = "") -> None:
    with office.open() as workspace:
        witness.watch(parse_vkey(log_vkey(workspace.config, number)))
    (office.root / POLICY).write_text(f"{logs}{witness.policy_line()}quorum w1\n", encoding="utf-8")


def _judged(office: Office, row: CopyRow, now: int) -> tuple[Judged, Code]:
    """A bare code, at a committee that demands witnesses."""
    stored = load_store(office.base / "trust")
    context = build_context(
        TrustSource(data=stored.data, fingerprint=stored.fingerprint, signed=False),
        judging=Judging(now=now, at=None, policy=load_policies()["bid"]),
        expect=Expectations(trust_fingerprint=stored.fingerprint),
        messages=load_messages(),
    )
    found = judge([Met(data=token_of(row), prefix=None)], context)
    return found, verdict_for(found.findings, context)


def test_bare_codes_of_both_logs_are_witnessed(office: Office, witness: LoopbackWitness) -> None:
    (old,) = office.issue([person(1)])
    with office.open() as workspace:
        announce(workspace, 2, NEXT, days=DAYS)
    _watch(office, witness, 2)
    assert rolled(office).cosigned
    (new,) = office.issue([person(2)], now=NOW + 120)
    exported(office, NOW + 180)
    data = load_store(office.base / "trust").data
    assert {"landmark/1.cbor", "landmark/2.cbor", "landmark/1.tlog-proof"} <= data.blobs.keys()
    for row in (old.row, new.row):
        found, verdict = _judged(office, row, NOW + 180)
        assert (found.inclusion.grade, verdict) == (Grade.WITNESSED, Code.VALID_COMPARE)
    with office.open() as workspace:  # the drill: the receipt key of the log that is closed was stolen
        key = workspace.config.log_key(Role.RECEIPT, 1)
        assert key is not None
        compromise_key(workspace, key.kid, good_size=0, now=NOW + 240)
    exported(office, NOW + 240)
    for row in (old.row, new.row):
        assert _judged(office, row, NOW + 240)[1] is Code.VALID_COMPARE


def test_the_last_head_is_cosigned_later(
    office: Office, witness: LoopbackWitness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "access_of", lambda _secret: office.access)
    (old,) = office.issue([person(1)])  # a head that is not the last one is cosigned
    witness.down = True
    assert rolled(office).cosigned is False
    witness.down = False
    _watch(office, witness, 2)
    exported(office, NOW + 120)
    blobs = load_store(office.base / "trust").data.blobs
    assert "landmark/1.cbor" not in blobs
    assert blobs["checkpoints/1"] == (office.root / "log" / "public" / "checkpoint").read_bytes()
    assert _judged(office, old.row, NOW + 120)[1] is Code.CANNOT_DECIDE
    done = _run("log", office, "cosign", "--origin", "1", "--json")
    assert (done.exit_code, json.loads(done.stdout)["type"]) == (0, "cosigned")
    exported(office, NOW + 180)
    assert _judged(office, old.row, NOW + 180)[1] is Code.VALID_COMPARE


def test_witnesses_found_after_the_end_of_a_log_still_cosign_it(office: Office, tmp_path: Path) -> None:
    (old,) = office.issue([person(1)])
    rolled(office)
    made = LoopbackWitness(tmp_path / "w1", "w1", Alg.ED25519, now=NOW)
    try:
        for number in (1, 2):
            _watch(office, made, number)
        with office.open() as workspace:
            policy = rollover.read_policy(workspace)
            assert policy is not None
            rollover.cosign_head(workspace, policy, origin=1)
        exported(office, NOW + 180)
    finally:
        made.close()
    assert _judged(office, old.row, NOW + 240)[0].inclusion.grade is Grade.WITNESSED


def test_a_notice_of_a_closed_log_is_not_exported_without_the_witnesses_that_the_trust_data_demand(
    office: Office, tmp_path: Path
) -> None:
    with office.open() as workspace:
        give(workspace, propose(workspace, 1, lambda _: old_form(template=999)), reason="", now=NOW + 1)
    rolled(office)
    (new,) = office.issue([person(1)], now=NOW + 70)
    made = LoopbackWitness(tmp_path / "w1", "w1", Alg.ED25519, now=NOW)
    try:
        for number in (1, 2):
            _watch(office, made, number)
        with pytest.raises(QuorumNotMetError, match="--origin 1"):
            exported(office, NOW + 180)
        assert not (office.base / "trust").exists()
        with office.open() as workspace:
            policy = rollover.read_policy(workspace)
            assert policy is not None
            rollover.cosign_head(workspace, policy, origin=1)
        exported(office, NOW + 180)
    finally:
        made.close()
    assert Code.NOTICE_REFUSED not in {item.code for item in _judged(office, new.row, NOW + 240)[0].findings}


def test_a_policy_that_lists_logs_must_list_the_next(office: Office, witness: LoopbackWitness) -> None:
    with office.open() as workspace:
        ours = f"log {log_vkey(workspace.config)}\n"
    _watch(office, witness, 1, logs=ours)
    with pytest.raises(RollOverPolicyError) as caught:
        rolled(office)
    assert not (office.root / "log-2").exists()
    office.issue([person(1)], now=NOW + 90)  # nothing was closed
    line = caught.value.en.split("add the line: ")[1]
    _watch(office, witness, 2, logs=f"{ours}{line}\n")
    assert rolled(office, NOW + 120).cosigned


# --- the commands


def _run(group: str, office: Office, *words: str) -> Result:
    command = {"log": commands.log_group, "key": key_group}[group]
    return CliRunner().invoke(command, [*words[:1], "--workspace", str(office.root), *words[1:]])


def test_the_commands(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "access_of", lambda _secret: office.access)
    (old,) = office.issue([person(1)])
    wanted = ("roll-over", "--number", "2", "--name", NEXT, "--as-of", "2026-06-01", "--json")
    ahead = _run("log", office, *wanted, "--announce")
    assert ahead.exit_code == 0, ahead.output
    told = json.loads(ahead.stdout)
    assert (told["type"], told["origin"], told["name"]) == ("announced", 2, NEXT)
    assert "2\n" not in _run("log", office, *wanted[:-1], "--announce", "--lang", "en").stdout
    refused = CliRunner().invoke(
        commands.log_group, [wanted[0], "--workspace", str(office.root), *wanted[1:]], input="n\n"
    )
    assert refused.exit_code == 1
    monkeypatch.setattr(shared, "time_of", lambda *_: NOW + 60)
    done = json.loads(_run("log", office, *wanted, "--yes").stdout)
    assert (done["done"], done["closed"]["origin"], done["origin"], done["vkey"]) == (True, 1, 2, told["vkey"])
    for lang in ("zh", "en"):
        again = _run("log", office, *wanted[:-1], "--lang", lang)
        assert again.exit_code == 0
        assert NEXT in again.stdout
    assert json.loads(_run("log", office, *wanted, "--announce").stdout)["done"] is False
    proof = parse_tlog_proof(_run("log", office, "prove", "--serial", "0").stdout.encode())
    with office.open() as workspace:
        vkey = parse_vkey(log_vkey(workspace.config, 1))
    assert proof.index == old.row.leaf_index
    assert proof.checkpoint_note.startswith(vkey.name.encode() + b"\n")
    sizes = [
        json.loads(_run("log", office, "fsck", "--json", *more).stdout)["size"] for more in (("--origin", "1"), ())
    ]
    assert sizes[0] == done["closed"]["size"] > sizes[1] == 2
    assert isinstance(_run("log", office, "fsck", "--origin", "9").exception, OriginUnknownError)
    listed = [json.loads(line) for line in _run("key", office, "list", "--json").stdout.splitlines()]
    assert sorted(row["origin"] for row in listed if "origin" in row) == [1, 1, 1, 2, 2]
    assert "log 2" in _run("key", office, "list", "--lang", "en").stdout
    kid = next(row["kid"] for row in listed if row["role"] == "receipt")
    assert _run("key", office, "compromise", kid, "--origin", "1", "--yes").exit_code == 2


def test_a_closed_log_is_served_for_reading(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[ServePlan] = []
    monkeypatch.setattr(shared, "access_of", lambda _secret: office.access)
    monkeypatch.setattr(serve_cli, "run", plans.append)
    monkeypatch.setattr(serve_cli, "_log_json", lambda: None)
    rolled(office)
    for words in (("--origin", "1"), ()):
        assert _run("log", office, "serve", *words).exit_code == 0
    assert [plan.write is None for plan in plans] == [True, False]
    names = [plan.fetcher.fetch("checkpoint").split(b"\n")[0].decode() for plan in plans]
    assert names == ["test.example/log", NEXT]
    for words in (("--origin", "2"), ("--origin", "1", "--trust", str(office.base))):
        assert _run("log", office, "serve", *words).exit_code == 2
