"""Issuing into a served log: the workspace's ledger, the log behind signed requests, killed and repeated."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from office import NOW, Office, person
from servedoffice import Serving

from mingzheng.formats.claims import Copy
from mingzheng.issuer.publish import settle
from mingzheng.issuer.refusals import KeyMissingError
from mingzheng.issuer.remote import open_remote
from mingzheng.issuer.schema import CopyState
from mingzheng.keys.trust import Role
from mingzheng.log.submitclient import ServerUnreachableError


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(Office(tmp_path).build())
    serving.office.access = replace(serving.office.access, remote=serving.remote)
    yield serving
    serving.sequencing.stop()


def _states(office: Office) -> list[tuple[int, CopyState, bytes | None]]:
    with office.open() as workspace:
        return [(row.serial, row.state, row.receipt) for row in (workspace.ledger.copy(1, n) for n in range(3))]


def test_copies_are_issued_through_the_server_as_they_are_beside_it(serving: Serving, tmp_path: Path) -> None:
    serving.office.issue([person(number) for number in range(3)])
    states = _states(serving.office)
    assert [state for _serial, state, _receipt in states] == [CopyState.DELIVERED] * 3
    assert serving.asked > 0
    serving.sequencing.stop()
    assert serving.office.fsck().clean


def test_lost_answers_do_not_log_twice(serving: Serving) -> None:
    serving.lost = 4
    serving.office.issue([person(number) for number in range(3)])
    again = _states(serving.office)
    serving.office.issue([person(number) for number in range(3)], copy=Copy.USAGE)
    assert _states(serving.office) == again or all(state is CopyState.DELIVERED for _serial, state, _receipt in again)
    serving.sequencing.stop()
    assert serving.office.fsck().clean


def test_a_server_that_does_not_answer_leaves_copies_that_the_next_run_finishes(serving: Serving) -> None:
    serving.lost = 10_000
    with pytest.raises(ServerUnreachableError):
        serving.office.issue([person(number) for number in range(3)])
    serving.lost = 0
    with serving.office.open() as workspace:
        settle(workspace, now=NOW)
    with serving.office.open() as workspace:
        assert not list(workspace.ledger.unlogged())
    serving.sequencing.stop()
    assert serving.office.fsck().clean


def test_what_a_workspace_submits_with(tmp_path: Path) -> None:
    serving = Serving(Office(tmp_path).build(), own=True)
    serving.sequencing.stop()
    with serving.office.open() as workspace, open_remote("http://127.0.0.1:1", workspace) as log:
        assert set(log._signers) == {0, 1}
        keys = tuple(key for key in workspace.config.keys if (key.role, key.issuer) != (Role.SUBMIT, 0))
        workspace.store_config(replace(workspace.config, keys=keys))
        with open_remote("http://127.0.0.1:1", workspace) as other:
            assert set(other._signers) == {1}


def test_an_issuer_without_submit_key_is_told(tmp_path: Path) -> None:
    office = Office(tmp_path).build()
    with office.open() as workspace, pytest.raises(KeyMissingError):
        open_remote("http://127.0.0.1:1", workspace)
