"""Landmark lists out of a workspace: made when due, taken along with the witnesses' head, shown by `log landmark`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from office import NOW, Office, person
from witnessnet import LoopbackWitness

from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.landmarks import DIRECTORY, LIST, PROOF, kept_landmark, landmark_blobs, refresh_landmark
from mingzheng.issuer.publish import token_of
from mingzheng.issuer.witnessing import POLICY, Cosigned
from mingzheng.issuer.workspace import log_vkey
from mingzheng.keys.alg import Alg
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.landmarkmaker import LANDMARK_INTERVAL
from mingzheng.verifier.bulk import Recipe
from mingzheng.verifier.context import Expectations
from mingzheng.verifier.findings import Code, Grade
from mingzheng.verifier.pipeline import Met, judge, verdict_for


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


@pytest.fixture
def witness(office: Office, tmp_path: Path) -> Iterator[LoopbackWitness]:
    with office.open() as workspace:
        vkey = parse_vkey(log_vkey(workspace.config))
    made = LoopbackWitness(tmp_path / "w1", "w1", Alg.ED25519, now=NOW)
    made.watch(vkey)
    (office.root / POLICY).write_text(f"{made.policy_line()}quorum w1\n", encoding="utf-8")
    yield made
    made.close()


def test_a_bare_code_is_witnessed_from_the_next_export_on(office: Office, witness: LoopbackWitness) -> None:
    witness.down = True
    (issued,) = office.issue([person(1)])
    witness.down = False
    for step, listed in ((60, True), (120, True)):
        with office.open() as workspace:
            export_trust(workspace, office.base / "trust", now=NOW + step)
        stored = load_store(office.base / "trust")
        assert ("landmark/1.cbor" in stored.data.blobs) is listed
        assert len(stored.data.keys_of(Role.LANDMARK, 0)) == 1
        recipe = Recipe(
            trust=office.base / "trust",
            now=NOW + step,
            at=None,
            policy="bid",
            expect=Expectations(trust_fingerprint=stored.fingerprint),
            trust_log=True,
        )
        context = recipe.build()
        assert dict(context.landmarks_refused) == {}
        for trust_log in (False, True):
            found = judge([Met(data=token_of(issued.row), prefix=None)], replace(context, trust_log=trust_log))
            assert found.inclusion.grade is Grade.WITNESSED
            assert verdict_for(found.findings, context) is Code.VALID_COMPARE
            left_out = {item.code for item in found.findings} & {Code.ISSUER_SIGNATURE_NOT_CHECKED}
            assert bool(left_out) is trust_log


def test_without_witnesses_no_list_is_exported(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        size = workspace.log.head()[0]
        export_trust(workspace, office.base / "trust", now=NOW + 1)
        assert kept_landmark(workspace) is None
        assert workspace.log.head()[0] == size + 2  # the status entry alone
    stored = load_store(office.base / "trust")
    assert not [name for name in stored.data.blobs if name.startswith("landmark")]
    assert stored.data.keys_of(Role.LANDMARK, 0) == ()


def test_a_list_is_made_when_it_is_due(office: Office) -> None:
    with office.open() as workspace:
        assert not refresh_landmark(workspace, now=NOW)  # an empty log
        assert kept_landmark(workspace) is None
    office.issue([person(1)])
    with office.open() as workspace:
        assert refresh_landmark(workspace, now=NOW + 1)
        assert not refresh_landmark(workspace, now=NOW + 1 + LANDMARK_INTERVAL)
        assert refresh_landmark(workspace, now=NOW + 2 + LANDMARK_INTERVAL)
        kept = kept_landmark(workspace)
        assert kept is not None
        assert kept.body.start == 0
        keys = [spec for spec in workspace.config.keys if spec.role is Role.LANDMARK]
        assert len(keys) == 1
    office.issue([person(2)], now=NOW + 3 + LANDMARK_INTERVAL)
    with office.open() as workspace:
        assert refresh_landmark(workspace, now=NOW + 4 + LANDMARK_INTERVAL)


def test_damaged_files_only_cost_a_new_list(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        refresh_landmark(workspace, now=NOW + 1)
        for name in (LIST, PROOF):
            path = workspace.root / DIRECTORY / name
            data = path.read_bytes()
            for damaged in (None, data[:-9] + b"A" + data[-8:], b""):
                path.unlink() if damaged is None else path.write_bytes(damaged)
                assert kept_landmark(workspace) is None
            path.write_bytes(data)
            assert kept_landmark(workspace) is not None
            path.unlink()
            assert refresh_landmark(workspace, now=NOW + 2)
            assert kept_landmark(workspace) is not None


def test_a_head_that_does_not_cover_the_entry_takes_no_list(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        assert landmark_blobs(workspace, Cosigned(note=b"", size=100)) == {}
        refresh_landmark(workspace, now=NOW + 1)
        kept = kept_landmark(workspace)
        assert kept is not None
        assert landmark_blobs(workspace, Cosigned(note=b"", size=kept.index)) == {}
