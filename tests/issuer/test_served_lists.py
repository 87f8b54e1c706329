"""Trust data out of a workspace whose log is served, and goes on being served: lists, checkpoint, landmarks."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from logworld import IDENTITY, Keys, LogWorld, rounded
from logworld import issue as leaf
from office import DAY, NOW, Office, person
from servedoffice import Serving
from witnessnet import LoopbackWitness

import mingzheng.verifier.cli as verifier_commands
from mingzheng.issuer.exporting import export_trust, read_status, refresh_status
from mingzheng.issuer.issue import Issued, issue
from mingzheng.issuer.landmarks import kept_landmark, refresh_landmark
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.lifecycle import find_serial, perform
from mingzheng.issuer.logplace import before_of
from mingzheng.issuer.publish import sign_act, token_of
from mingzheng.issuer.refusals import LogBehindLedgerError, LogSubmitterError
from mingzheng.issuer.remote import FOLLOWED
from mingzheng.issuer.rollover import roll_over
from mingzheng.issuer.rows import NewAct
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.witnessing import POLICY, cosign_head, cosigned_head, read_policy
from mingzheng.issuer.workspace import log_vkey
from mingzheng.keys.alg import Alg
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import Checkpoint, sign_checkpoint
from mingzheng.log.client import TileUntrueError
from mingzheng.log.durable import make_dirs
from mingzheng.log.entry import encode_entry
from mingzheng.log.errors import LogError
from mingzheng.log.followed import HeadForkedError, HeadNotNewerError
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.landmarkmaker import landmark_body
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.sequencer import EmbeddedLog
from mingzheng.log.status import open_status_list, status_entry
from mingzheng.log.statusmaker import status_body
from mingzheng.log.store import PosixStore
from mingzheng.log.tail import EMPTY_TAIL, append
from mingzheng.log.writer import begins_from
from mingzheng.verifier.bulk import Recipe
from mingzheng.verifier.context import Expectations
from mingzheng.verifier.findings import Code, Grade
from mingzheng.verifier.pipeline import Met, judge, verdict_for


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(Office(tmp_path).build(), own=True)
    yield serving
    serving.sequencing.stop()


def _issue(serving: Serving, *numbers: int) -> tuple[Issued, ...]:
    office = serving.office
    with serving.open() as workspace:
        return issue(workspace, office.request([person(number) for number in numbers]), out=office.out, now=NOW)


def _revoke(serving: Serving, serial: int, now: int) -> None:
    serving.clock.seconds = now
    with serving.open() as workspace:
        perform(workspace, ActType.REVOKE, find_serial(workspace, serial=serial, issuer=1), reason="", now=now)


def _export(serving: Serving, now: int) -> int:
    serving.clock.seconds = now
    with serving.open() as workspace:
        return export_trust(workspace, serving.office.base / "trust", now=now).status_lists


def _verdicts(office: Office, monkeypatch: pytest.MonkeyPatch, now: int) -> dict[str, str]:
    monkeypatch.setattr(verifier_commands.time, "time", lambda: float(now))
    arguments = [str(office.out), "--trust", str(office.base / "trust"), "--policy", "site", "--json"]
    result = CliRunner().invoke(verifier_commands.verify, arguments)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {Path(row["file"]).name: row["verdict"] for row in rows}


def test_a_served_log_is_issued_into_revoked_in_and_exported_from(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = _issue(serving, 1, 2)
    assert _export(serving, NOW + 30) == 1
    _revoke(serving, bad.row.serial, NOW + 60)
    assert _export(serving, NOW + 90) == 1
    assert _export(serving, NOW + 91) == 0  # neither due nor anything new
    want = {good.path.name: "VALID", bad.path.name: "REVOKED"}
    assert _verdicts(serving.office, monkeypatch, NOW + 120) == want
    stored = load_store(serving.office.base / "trust")
    (key,) = stored.data.keys_of(Role.STATUS, 1)
    body = open_status_list(stored.data.blobs["status/1.cbor"], key.public_key)
    assert body.revoked == (bad.row.serial,)
    proof = parse_tlog_proof(stored.data.blobs["status/1.tlog-proof"])
    with serving.office.open() as workspace:
        vkey = parse_vkey(log_vkey(workspace.config))
    verify_full_receipt(proof, leaf_hash(encode_entry(status_entry(body))), vkey=vkey, origin=vkey.name)
    serving.sequencing.stop()
    assert serving.office.fsck().clean


def test_lists_are_those_of_the_log_s_own_process(serving: Serving) -> None:
    _issue(serving, *range(5))
    _revoke(serving, 3, NOW + 5)
    _export(serving, NOW + 10)
    with serving.open() as workspace:
        followed = workspace.listing_log
        drawn = status_body(followed, 1, now=NOW + 20), landmark_body(followed, now=NOW + 20)
        head, note = followed.head(), followed.checkpoint()
    serving.sequencing.stop()
    with serving.office.open() as workspace:
        log = workspace.listing_log
        assert (log.head(), log.checkpoint()) == (head, note)
        assert (status_body(log, 1, now=NOW + 20), landmark_body(log, now=NOW + 20)) == drawn


def test_the_next_export_reads_only_new_entries(serving: Serving) -> None:
    _issue(serving, *range(1, 4))
    _export(serving, NOW + 10)
    serving.files.bundles()
    with serving.open() as workspace:
        assert workspace.listing_log.head()[0]
    assert serving.files.bundles() == 0
    (serving.office.root / FOLLOWED / "1.state").write_bytes(b"damaged")
    _export(serving, NOW + 20)
    assert serving.files.bundles() >= 1
    assert serving.office.root.joinpath(FOLLOWED, "1.state").stat().st_size > 100


@pytest.mark.parametrize("times", [1, 3])
def test_an_act_in_between_and_the_list_is_drawn_again(serving: Serving, times: int) -> None:
    """Another office of the same issuer acts just before the list gets into the log."""
    _issue(serving, 1, 2)
    left = [times]
    with serving.open() as workspace:
        acts = []
        for number in range(times):
            new = NewAct(issuer=1, act=int(ActType.VOID), serials=(50 + number,), day=NOW // 86_400, reason="",
                         status=CopyStatus.VOID)  # fmt: skip
            acts.append(sign_act(workspace, new, number))

        def between() -> None:
            if left[0]:
                left[0] -= 1
                serving.sequencing.take([acts.pop(0)], issuer=1).result(30)

        serving.before = between
        if times == 3:
            with pytest.raises(SubmissionError) as caught:
                refresh_status(workspace, 1, now=NOW)
            assert caught.value.reason == "rule.status_incomplete"
            assert read_status(workspace, 1) is None
        else:
            assert refresh_status(workspace, 1, now=NOW)
            body = read_status(workspace, 1)
            assert body is not None
            assert body.void == (50,)


def test_killed_between_logging_and_storing_the_next_run_makes_one_valid_list(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    (issued,) = _issue(serving, 1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Ledger, "store_status", killed)
        _export(serving, NOW + 10)
    assert not (serving.office.base / "trust").exists()
    assert _export(serving, NOW + 10) == 1
    assert _verdicts(serving.office, monkeypatch, NOW + 20) == {issued.path.name: "VALID"}
    serving.sequencing.stop()
    assert serving.office.fsck().clean


def _snapshot(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _refused(serving: Serving, error: type[LogError], now: int) -> None:
    trust, state = serving.office.base / "trust", serving.office.root / FOLLOWED / "1.state"
    before, known = _snapshot(trust), state.read_bytes()
    with pytest.raises(error):
        _export(serving, now)
    assert _snapshot(trust) == before
    assert state.read_bytes() == known


def test_an_older_head_a_fork_and_a_bad_tile_export_nothing(serving: Serving, tmp_path: Path) -> None:
    _issue(serving, 1)
    old = serving.files.fetch("checkpoint")
    _export(serving, NOW + 10)
    serving.files.change = lambda path, data: old if path == "checkpoint" else data
    _refused(serving, HeadNotNewerError, NOW + 4_000)
    serving.files.change = lambda _path, data: data
    public, serving.files.root = serving.files.root, _forked(serving, tmp_path / "fork")
    _refused(serving, HeadForkedError, NOW + 4_000)
    assert list((serving.office.root / FOLLOWED / "1.state.evidence").iterdir())
    serving.files.root = public
    serving.clock.seconds = NOW + 4_000
    serving.files.change = lambda path, data: data[:-1] + bytes([data[-1] ^ 1]) if "tile" in path else data
    _refused(serving, TileUntrueError, NOW + 4_000)
    serving.files.change = lambda _path, data: data
    assert _export(serving, NOW + 4_000) == 1


def _forked(serving: Serving, directory: Path) -> Path:
    """Another history of the same length and more, under the log's own key."""
    with serving.office.open() as workspace:
        identity = workspace.log_identity()
    plan = append(EMPTY_TAIL, rounded([leaf(number) for number in range(30)]))
    make_dirs(directory)
    store = PosixStore(directory, directory.with_name("fork.temporary"))
    store.prepare()
    store.write(plan.files)
    head = Checkpoint(origin=identity.origin_name, size=plan.tail.edge.size, root=plan.tail.edge.root())
    store.publish_checkpoint(sign_checkpoint(head, signer=identity.checkpoint_signer))
    return directory


def test_a_log_that_the_ledger_knows_to_be_longer_is_refused(serving: Serving) -> None:
    empty = serving.files.fetch("checkpoint")
    _issue(serving, 1)
    serving.files.change = lambda path, data: empty if path == "checkpoint" else data
    with pytest.raises(LogBehindLedgerError):
        _export(serving, NOW + 10)
    assert not (serving.office.base / "trust").exists()


def test_what_a_log_goes_on_from_is_read_beside_its_writer(tmp_path: Path) -> None:
    world = LogWorld(tmp_path)
    old = world.create()
    world.submit(old, leaf(0), leaf(1))
    assert before_of(world.directory) is None
    assert before_of(tmp_path / "nowhere") is None
    old.close_for(8, now=world.now)
    carry = old.carry()
    identity = replace(IDENTITY, origin_number=8, origin_name="log.example.cn/2")
    with EmbeddedLog.create(tmp_path / "new", identity, act_keys=Keys(), memory_dir=None, carry=carry) as new:
        new.begin_shard(now=world.now)
        before = before_of(tmp_path / "new")
        assert before is not None
        assert (before.begins(), before.heads) == (begins_from(carry), new.frozen_heads())
    world.close()


def test_a_log_that_was_rolled_over_is_served_and_exported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path).build()
    old, bad = office.issue([person(1), person(2)])
    with office.open() as workspace:
        perform(workspace, ActType.REVOKE, find_serial(workspace, serial=bad.row.serial, issuer=1), reason="", now=NOW)
        workspace.add_log_key(Role.SUBMIT)  # of the old log: of no use in the next
        roll_over(workspace, 2, "test.example/next", days=(DAY, DAY + 400), now=NOW + 1)
        assert not workspace.config.has_log_submitter
    serving = Serving(office, own=True)
    try:
        serving.clock.seconds = NOW + 5
        with serving.open() as workspace:
            request = office.request([person(3)])
            (new,) = issue(workspace, request, out=office.out, now=NOW + 5)
            assert workspace.listing_log.frozen_heads() != ()
        assert _export(serving, NOW + 30) == 1
        want = {old.path.name: "VALID", bad.path.name: "REVOKED", new.path.name: "VALID"}
        assert _verdicts(office, monkeypatch, NOW + 60) == want
        assert (office.root / FOLLOWED / "2.state").is_file()
        with serving.open() as workspace:
            assert refresh_landmark(workspace, now=NOW + 30)
    finally:
        serving.sequencing.stop()


@pytest.fixture
def witness(serving: Serving, tmp_path: Path) -> Iterator[LoopbackWitness]:
    with serving.office.open() as workspace:
        vkey = parse_vkey(log_vkey(workspace.config))
    made = LoopbackWitness(tmp_path / "w1", "w1", Alg.ED25519, now=NOW)
    made.watch(vkey)
    (serving.office.root / POLICY).write_text(f"{made.policy_line()}quorum w1\n", encoding="utf-8")
    yield made
    made.close()


def test_with_witnesses_the_landmark_list_goes_along(serving: Serving, witness: LoopbackWitness) -> None:
    witness.down = True
    (issued,) = _issue(serving, 1)
    witness.down = False
    for step in (60, 120):
        _export(serving, NOW + step)
        stored = load_store(serving.office.base / "trust")
        assert "landmark/1.cbor" in stored.data.blobs
        assert len(stored.data.keys_of(Role.LANDMARK, 0)) == len(stored.data.keys_of(Role.SUBMIT, 0)) == 1
        expect = Expectations(trust_fingerprint=stored.fingerprint)
        trust = serving.office.base / "trust"
        context = Recipe(trust=trust, now=NOW + step, at=None, policy="bid", expect=expect, trust_log=False).build()
        assert dict(context.landmarks_refused) == {}
        found = judge([Met(data=token_of(issued.row), prefix=None)], context)
        assert found.inclusion.grade is Grade.WITNESSED
        assert verdict_for(found.findings, context) is Code.VALID_COMPARE


def test_without_a_submit_key_of_the_log_its_landmark_list_is_refused(
    serving: Serving, witness: LoopbackWitness
) -> None:
    _issue(serving, 1)
    with serving.open() as workspace:
        keys = tuple(key for key in workspace.config.keys if (key.role, key.issuer) != (Role.SUBMIT, 0))
        workspace.store_config(replace(workspace.config, keys=keys))
    with pytest.raises(LogSubmitterError):
        _export(serving, NOW + 60)
    assert not (serving.office.base / "trust").exists()
    with serving.open() as workspace:
        assert kept_landmark(workspace) is None
        policy = read_policy(workspace)
        assert policy is not None
        assert cosign_head(workspace, policy).witnessed.satisfied  # `log cosign` needs no key
        assert cosigned_head(workspace, policy) is not None


def test_a_head_that_forks_is_shown_to_no_witness(serving: Serving, witness: LoopbackWitness, tmp_path: Path) -> None:
    _issue(serving, 1)
    _export(serving, NOW + 60)
    fork = _forked(serving, tmp_path / "fork")
    serving.files.root = fork
    with serving.open() as workspace:
        policy = read_policy(workspace)
        assert policy is not None
        with pytest.raises(HeadForkedError):
            cosign_head(workspace, policy)
