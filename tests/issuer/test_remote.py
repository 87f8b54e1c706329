"""Issuing into a served log: the workspace's ledger, the log behind signed requests, killed and repeated."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from office import NOW, ORIGIN, Office, person
from serverworld import QUICK, Clock

from mingzheng.formats.claims import Copy
from mingzheng.issuer.issuinglog import IssuingLog
from mingzheng.issuer.publish import settle
from mingzheng.issuer.refusals import KeyMissingError
from mingzheng.issuer.remote import open_remote, origin_keys
from mingzheng.issuer.schema import CopyState
from mingzheng.issuer.workspace import LOG, Workspace
from mingzheng.keys.trust import Role
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.sequencer import PUBLIC, EmbeddedLog
from mingzheng.log.serverfiles import PublicFiles
from mingzheng.log.servergate import Gate, GateLimits, Nonces
from mingzheng.log.servermetrics import Metrics
from mingzheng.log.servernode import HEADERS, Face, HttpRequest, LogNode, Writing
from mingzheng.log.serverqueue import Sequencing
from mingzheng.log.submitclient import Answer, Patience, RemoteLog, ServerUnreachableError


class Serving:
    """The office's log behind a node, without a socket; the answers to the first `lost` requests go astray."""

    def __init__(self, office: Office) -> None:
        self.office, self.clock, self.lost, self.asked = office, Clock(seconds=NOW), 0, 0
        with office.open() as workspace:
            workspace.add_key(Role.SUBMIT, 1)
            identity, config = workspace.log_identity(), workspace.config
        directory = office.root / LOG
        self.sequencing = Sequencing(
            lambda: EmbeddedLog.open(directory, identity, act_keys=config, memory_dir=office.base / "memory"),
            limits=QUICK,
            clocks=self.clock,
            observer=Metrics(),
        )
        gate = Gate(origin=ORIGIN.number, name=ORIGIN.name, record=config.record, limits=GateLimits(address=None))
        face = Face(
            metrics=Metrics(), monotonic=self.clock.monotonic, gauges=dict, chinese=lambda _code: "", openapi=b""
        )
        self.files = DirectoryFetcher(directory / PUBLIC)
        writing = Writing(
            origin_name=ORIGIN.name,
            gate=gate,
            sequencing=self.sequencing,
            clocks=self.clock,
            nonces=Nonces(most=100, entries=1_000),
        )
        self.node = LogNode(PublicFiles(self.files), face, writing)
        self.sequencing.start(timeout=30)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked += 1
        given = {name.lower(): value for name, value in headers.items() if name.lower() in HEADERS}
        request = HttpRequest(method=method, target=path, headers=given, body=body, peer=b"")
        reply = asyncio.run(self.node.handle(request))
        if self.lost:
            self.lost -= 1
            raise ConnectionResetError
        return Answer(status=reply.status, retry_after=None, body=reply.body)

    def close(self) -> None:
        pass

    def remote(self, workspace: Workspace) -> IssuingLog:
        keys = origin_keys(workspace)
        signers = {1: workspace.newest_signer(Role.SUBMIT, 1)}
        patience = Patience(seconds=1, sleep=lambda _wait: None, monotonic=self.clock.monotonic, now=self.clock.now)
        return RemoteLog(self, LogReader(self.files, keys.vkey), keys, signers=signers, patience=patience)


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


def test_an_issuer_without_submit_key_is_told(tmp_path: Path) -> None:
    office = Office(tmp_path).build()
    with office.open() as workspace, pytest.raises(KeyMissingError):
        open_remote("http://127.0.0.1:1", workspace)
