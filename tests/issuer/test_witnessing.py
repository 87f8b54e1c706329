"""From a policy file to verdicts: issuing under witnesses, exporting with their quorum, and without them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from noticebodies import old_form
from office import NOW, Office, person
from witnessnet import LoopbackWitness

from mingzheng.issuer.cli import log_group
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.noticework import give, propose
from mingzheng.issuer.publish import token_of
from mingzheng.issuer.rows import CopyRow
from mingzheng.issuer.witnessing import POLICY, cosign_head, cosigned_head, full_receipt, read_policy, witness_copies
from mingzheng.issuer.workspace import log_vkey
from mingzheng.keys.alg import Alg
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.policy import PolicyError, PolicyKeyError, QuorumNotMetError
from mingzheng.log.witnessclient import WitnessUrlError
from mingzheng.verifier.context import Expectations, Judging, TrustSource, VerifyContext, build_context
from mingzheng.verifier.findings import Code, Grade
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import Judged, Met, judge, verdict_for

ALGS = {"w1": Alg.ED25519, "w2": Alg.ML_DSA_44, "w3": Alg.ED25519}


@dataclass
class Scene:
    """An office and three witnesses of its log, two of which are a quorum."""

    office: Office
    witnesses: dict[str, LoopbackWitness]

    def policy(self, text: str | None = None) -> None:
        lines = "".join(witness.policy_line() for witness in self.witnesses.values())
        made = f"{lines}group g 2 {' '.join(self.witnesses)}\nquorum g\n" if text is None else text
        (self.office.root / POLICY).write_text(made, encoding="utf-8")

    def down(self, *names: str) -> None:
        for name, witness in self.witnesses.items():
            witness.down = name in names

    def export(self, now: int = NOW + 60) -> None:
        for witness in self.witnesses.values():
            witness.now = now
        with self.office.open() as workspace:
            export_trust(workspace, self.office.base / "trust", now=now)

    def context(self, policy: str = "bid", now: int = NOW + 60) -> VerifyContext:
        stored = load_store(self.office.base / "trust")
        source = TrustSource(data=stored.data, fingerprint=stored.fingerprint, signed=False)
        return build_context(
            source,
            judging=Judging(now=now, at=None, policy=load_policies()[policy]),
            expect=Expectations(trust_fingerprint=stored.fingerprint),
            messages=load_messages(),
        )

    def row(self, serial: int) -> CopyRow:
        with self.office.open() as workspace:
            return workspace.ledger.copy(1, serial)

    def judged(self, serial: int, context: VerifyContext) -> Judged:
        row = self.row(serial)
        assert row.proof is not None
        return judge([Met(data=token_of(row), prefix=None)], context, full_receipts=[row.proof])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    office = Office(tmp_path).build()
    with office.open() as workspace:
        vkey = parse_vkey(log_vkey(workspace.config))
    witnesses = {name: LoopbackWitness(tmp_path / name, name, alg, now=NOW) for name, alg in ALGS.items()}
    for witness in witnesses.values():
        witness.watch(vkey)
    made = Scene(office, witnesses)
    made.policy()
    yield made
    for witness in witnesses.values():
        witness.close()


def test_copies_are_issued_under_the_quorum_and_pass_where_it_is_demanded(scene: Scene) -> None:
    scene.down("w3")
    (issued,) = scene.office.issue([person(1)])
    scene.export()
    context = scene.context()
    assert set(context.statuses) == {1}
    found = scene.judged(issued.row.serial, context)
    assert found.inclusion.grade is Grade.WITNESSED
    assert verdict_for(found.findings, context) is Code.VALID_COMPARE
    assert not {Code.LOG_WORD_ONLY, Code.LOG_UNWITNESSED} & {item.code for item in found.findings}


def test_issuing_goes_on_without_witnesses_and_exporting_does_not(scene: Scene) -> None:
    scene.down(*ALGS)
    (issued,) = scene.office.issue([person(1)])
    assert list(scene.office.out.iterdir())
    with pytest.raises(QuorumNotMetError, match="w1"):
        scene.export()
    assert not (scene.office.base / "trust").exists()
    scene.down("w2")
    scene.export()
    context = scene.context()
    found = scene.judged(issued.row.serial, context)
    assert found.inclusion.grade is Grade.WITNESSED  # by the landmark list, which has its block
    without = replace(context, landmarks={})
    found = scene.judged(issued.row.serial, without)
    assert found.inclusion.grade is Grade.LOG_WORD  # what was printed stays what it was
    assert verdict_for(found.findings, without) is Code.CANNOT_DECIDE
    with scene.office.open() as workspace:
        policy = read_policy(workspace)
        assert policy is not None
        head = cosigned_head(workspace, policy)
        assert full_receipt(workspace, 0, head=None) == workspace.log.full_receipt(0)
        assert issued.row.leaf_index is not None
        later = full_receipt(workspace, issued.row.leaf_index, head=head)
    better = judge([Met(data=token_of(issued.row), prefix=None)], without, full_receipts=[later])
    assert better.inclusion.grade is Grade.WITNESSED
    assert verdict_for(better.findings, context) is Code.VALID_COMPARE


def test_without_a_policy_nothing_is_demanded(scene: Scene) -> None:
    (scene.office.root / POLICY).unlink()
    (issued,) = scene.office.issue([person(1)])
    scene.export()
    assert load_store(scene.office.base / "trust").data.quorum is None
    assert scene.judged(issued.row.serial, scene.context()).inclusion.grade is Grade.LOG_WORD
    scene.policy("quorum none\n")
    scene.export(NOW + 90)
    assert load_store(scene.office.base / "trust").data.quorum is None


def test_files_already_made_keep_their_receipt(scene: Scene) -> None:
    scene.down(*ALGS)
    (issued,) = scene.office.issue([person(1)])
    before = scene.row(issued.row.serial)
    scene.down()
    with scene.office.open() as workspace:
        assert witness_copies(workspace, [(1, issued.row.serial)]) == 0
    assert scene.row(issued.row.serial).proof == before.proof


def test_a_stale_cosigned_head_does_not_serve(scene: Scene) -> None:
    """The status entry stands beyond the head that was cosigned: a newer one is asked for, or nothing is exported."""
    scene.office.issue([person(1)])
    scene.export()
    scene.office.issue([person(2)], now=NOW + 3_700)
    scene.down(*ALGS)
    with pytest.raises(QuorumNotMetError):
        scene.export(NOW + 3_800)
    scene.down()
    scene.export(NOW + 3_900)
    assert set(scene.context(now=NOW + 3_900).statuses) == {1}


def test_a_head_that_no_longer_meets_the_policy_is_not_used(scene: Scene) -> None:
    scene.office.issue([person(1)])
    with scene.office.open() as workspace:
        policy = read_policy(workspace)
        assert policy is not None
        assert cosigned_head(workspace, policy) is not None
        scene.policy(scene.witnesses["w1"].policy_line() + "quorum w1\n")
        narrowed = read_policy(workspace)
        assert narrowed is not None
        assert cosigned_head(workspace, narrowed) is not None
        (workspace.root / "cosigned/checkpoint").write_bytes(b"damaged")
        assert cosigned_head(workspace, narrowed) is None
        (workspace.root / "cosigned/sizes.json").write_bytes(b"[]")
        assert cosign_head(workspace, narrowed).witnessed.satisfied
        assert cosigned_head(workspace, narrowed) is not None
        assert cosigned_head(workspace, policy) is None  # one cosignature, where the policy asks for two


BAD_POLICIES = {
    "nonsense": ("x\n", PolicyError),
    "a bad address": ("{w1}", WitnessUrlError),
    "another log": ("log other.example+8a0c6e3a+AQ==\nquorum none\n", PolicyError),
}


@pytest.mark.parametrize("case", BAD_POLICIES)
def test_a_bad_policy_stops_before_anything_is_sent(scene: Scene, case: str) -> None:
    text, error = BAD_POLICIES[case]
    line = scene.witnesses["w1"].policy_line().replace("http://", "ftp://")
    scene.policy(text.replace("{w1}", line + "quorum w1\n"))
    with scene.office.open() as workspace, pytest.raises(error):
        read_policy(workspace)


def test_a_policy_is_text(scene: Scene) -> None:
    line = scene.witnesses["w1"].policy_line().encode().replace(b" w1 ", b" w\xff ")
    (scene.office.root / POLICY).write_bytes(line + b"quorum w\xff\n")
    with scene.office.open() as workspace, pytest.raises(PolicyError, match="UTF-8"):
        read_policy(workspace)


def test_a_policy_that_lists_logs_lists_ours(scene: Scene, tmp_path: Path) -> None:
    other = Office(tmp_path / "other", seed="other") if (tmp_path / "other").mkdir() is None else None
    assert other is not None
    other.build()
    with other.open() as workspace:
        theirs = log_vkey(workspace.config)
    with scene.office.open() as workspace:
        ours = log_vkey(workspace.config)
        scene.policy(f"log {ours}\n{scene.witnesses['w1'].policy_line()}quorum w1\n")
        assert read_policy(workspace) is not None
        scene.policy(f"log {theirs}\n{scene.witnesses['w1'].policy_line()}quorum w1\n")
        with pytest.raises(PolicyKeyError):
            read_policy(workspace)


# --- commands


def run(scene: Scene, *arguments: object) -> Result:
    return CliRunner().invoke(log_group, [str(item) for item in arguments])


def test_log_cosign_says_who_cosigned(scene: Scene) -> None:
    scene.down(*ALGS)
    scene.office.issue([person(1)])
    scene.down("w3")
    result = run(scene, "cosign", "--workspace", scene.office.root, "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.output)
    assert shown["satisfied"] is True
    assert shown["witnesses"] == {"w1": NOW, "w2": NOW}
    assert set(shown["failures"]) == {"w3"}
    scene.down("w2", "w3")
    with scene.office.open() as workspace:
        policy = read_policy(workspace)
        assert policy is not None
    result = run(scene, "cosign", "--workspace", scene.office.root, "--lang", "zh")
    assert result.exit_code == 0  # w2's cosignature of this head is kept from before
    assert "满足策略" in result.output


def test_log_cosign_warns_of_a_fork(scene: Scene, tmp_path: Path) -> None:
    """A workspace rebuilt from the same keys: the witnesses remember what its log said before."""
    scene.office.issue([person(1)])
    twin = Office(tmp_path / "twin") if (tmp_path / "twin").mkdir() is None else None
    assert twin is not None
    twin.build().issue([person(2), person(3)])
    (twin.root / POLICY).write_bytes((scene.office.root / POLICY).read_bytes())
    for lang, word in (("zh", "另一段历史"), ("en", "another history")):
        result = run(scene, "cosign", "--workspace", twin.root, "--lang", lang)
        assert result.exit_code != 0
        assert word in result.output


def test_log_cosign_without_a_policy(scene: Scene) -> None:
    (scene.office.root / POLICY).unlink()
    assert run(scene, "cosign", "--workspace", scene.office.root).exit_code != 0


def test_notices_are_exported_under_the_head_that_the_quorum_cosigned(scene: Scene) -> None:
    with scene.office.open() as workspace:
        proposal = propose(workspace, 1, lambda number: old_form(number))
        give(workspace, proposal, reason="", now=NOW + 30)
    scene.export()
    context = scene.context()
    assert context.quorum is not None
    assert not context.notices_refused
    assert set(context.notices_of(1).forms) == {1}
