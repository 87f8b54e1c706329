"""Trust export: a store verifiers can load, status lists fresh and provable, generations that only rise."""

import hashlib
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from office import ARCHITECTS, CONSTRUCTORS, NOW, ORIGIN, Office, architect, person

from mingzheng.formats.library import read_shipped_templates
from mingzheng.issuer.exporting import claimed_this_update, export_trust, read_status, refresh_status
from mingzheng.issuer.lifecycle import find_serial, perform
from mingzheng.issuer.refusals import ForeignStoreError
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import vkey_for
from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.entry import encode_entry
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.log.status import open_status_list, status_entry


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path, issuers=(CONSTRUCTORS, ARCHITECTS)).build()
    made.issue([person(1), person(2), architect(1)])
    return made


def test_the_store_holds_everything_a_verifier_needs(office: Office) -> None:
    with office.open() as workspace:
        perform(workspace, ActType.REVOKE, find_serial(workspace, serial=1, issuer=1), reason="", now=NOW + 1)
        exported = export_trust(workspace, office.base / "trust", now=NOW + 2)
    stored = load_store(office.base / "trust")
    assert (stored.fingerprint, stored.data.generation) == (exported.fingerprint, 1)
    assert stored.data.made_at == NOW + 2
    assert stored.data.origins == {1: ORIGIN}
    assert set(stored.data.issuers) == {1, 2}
    assert stored.data.issuers[2].prefixes == ("https://zs.example.cn/v#",)
    checkpoint_key, receipt_key = stored.data.checkpoint_key(1), stored.data.receipt_key(1)
    assert checkpoint_key is not None
    assert receipt_key is not None
    vkey = vkey_for(checkpoint_key.name, checkpoint_key.public_key)
    open_checkpoint(stored.data.blobs["checkpoints/1"], vkeys=[vkey], origin=ORIGIN.name)
    assert "profiles/cn.constructor.1.0.toml" in stored.data.blobs
    assert stored.data.blobs["templates/architect.toml"] == read_shipped_templates()["architect.toml"]
    fonts = json.loads(stored.data.blobs["fonts.json"])
    kai = files("mingzheng.formats.fonts").joinpath("MingZhengKai-Regular.ttf").read_bytes()
    assert fonts == {"schema": 1, "fonts": {"MingZhengKai-Regular.ttf": hashlib.sha256(kai).hexdigest()}}
    for number, revoked in ((1, (1,)), (2, ())):
        (key,) = stored.data.keys_of(Role.STATUS, number)
        body = open_status_list(stored.data.blobs[f"status/{number}.cbor"], key.public_key)
        assert (body.issuer, body.revoked) == (number, revoked)
        proof = parse_tlog_proof(stored.data.blobs[f"status/{number}.tlog-proof"])
        leaf = leaf_hash(encode_entry(status_entry(body)))
        verify_full_receipt(proof, leaf, vkey=vkey, origin=ORIGIN.name)


def test_nothing_secret_leaves_the_workspace(office: Office) -> None:
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=NOW + 1)
    secrets = [path.read_bytes().removeprefix(b"secret") for path in (office.root / "keys").iterdir()]
    for path in (office.base / "trust").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(secret in data for secret in secrets)
            assert "王".encode() not in data


def test_lists_are_made_when_due_and_only_then(office: Office) -> None:
    with office.open() as workspace:
        assert read_status(workspace, 1) is None
        assert refresh_status(workspace, 1, now=NOW + 1)
        assert not refresh_status(workspace, 1, now=NOW + 1 + 3_600)
        assert refresh_status(workspace, 1, now=NOW + 2 + 3_600)
        first = read_status(workspace, 1)
        assert first is not None
        assert first.this_update == NOW + 2 + 3_600
        target = find_serial(workspace, serial=0, issuer=1)
        perform(workspace, ActType.SUSPEND, target, reason="", now=NOW + 4_000)
        assert refresh_status(workspace, 1, now=NOW + 4_000)
        after = read_status(workspace, 1)
        assert after is not None
        assert after.suspended == (0,)


def test_generations_rise_whatever_the_store_or_the_ledger_remember(office: Office) -> None:
    with office.open() as workspace:
        assert export_trust(workspace, office.base / "a", now=NOW + 1).generation == 1
        assert export_trust(workspace, office.base / "a", now=NOW + 2).generation == 2
        assert export_trust(workspace, office.base / "b", now=NOW + 3).generation == 3
        assert export_trust(workspace, office.base / "a", now=NOW + 4).generation == 4
        workspace.ledger._db.execute("DELETE FROM meta")
        assert export_trust(workspace, office.base / "a", now=NOW + 5).generation == 5


def test_the_store_of_another_log_is_left_alone(office: Office) -> None:
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=NOW + 1)
        workspace.config = replace(workspace.config, origin=replace(ORIGIN, name="test.example/other"))
        with pytest.raises(ForeignStoreError):
            export_trust(workspace, office.base / "trust", now=NOW + 2)


def test_the_age_of_a_list_is_read_without_trust_or_not_at_all(office: Office) -> None:
    with office.open() as workspace:
        refresh_status(workspace, 1, now=NOW + 1)
        row = workspace.ledger.status(1)
    assert row is not None
    assert claimed_this_update(row.list) == NOW + 1
    for damaged in (b"", row.list[:-1], row.list[5:]):
        assert claimed_this_update(damaged) is None


def test_an_issuer_without_entries_has_an_empty_list(tmp_path: Path) -> None:
    office = Office(tmp_path).build()
    with office.open() as workspace:
        assert export_trust(workspace, tmp_path / "trust", now=NOW).status_lists == 1
        body = read_status(workspace, 1)
        assert body is not None
        assert body.next_serial == 0
    assert office.fsck().clean
