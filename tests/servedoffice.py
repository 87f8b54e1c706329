"""An office whose log is served: the node in this process, requests without a socket, files that can be changed."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from office import NOW, Office
from serverworld import QUICK, Clock

from mingzheng.issuer.issuinglog import IssuingLog
from mingzheng.issuer.remote import open_followed, origin_keys
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.trust import Role
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.followed import FollowedLog
from mingzheng.log.sequencer import PUBLIC, EmbeddedLog
from mingzheng.log.serverfiles import PublicFiles
from mingzheng.log.servergate import Gate, GateLimits, Nonces
from mingzheng.log.servermetrics import Metrics
from mingzheng.log.servernode import HEADERS, Face, HttpRequest, LogNode, Writing
from mingzheng.log.serverqueue import Sequencing
from mingzheng.log.submitclient import Answer, Patience, RemoteLog


class Watched:
    """A log's public files: what was asked for, and a way to change what comes."""

    def __init__(self, root: Path) -> None:
        self.root, self.paths = root, list[str]()
        self.change: Callable[[str, bytes], bytes] = lambda _path, data: data

    def fetch(self, path: str) -> bytes:
        self.paths.append(path)
        return self.change(path, DirectoryFetcher(self.root).fetch(path))

    def bundles(self) -> int:
        """How many bundles were asked for since the last call."""
        found = sum(path.startswith("tile/entries/") for path in self.paths)
        self.paths.clear()
        return found


class Serving:
    """The office's log behind a node, without a socket; the answers to the first `lost` requests go astray.

    `before`: called before every request that has a body.
    """

    def __init__(self, office: Office, *, own: bool = False) -> None:
        """`own`: with a submit key of the log's own."""
        self.office, self.clock, self.lost, self.asked = office, Clock(seconds=NOW), 0, 0
        self.waits: list[float] = []
        self.before: Callable[[], None] = lambda: None
        with office.open() as workspace:
            workspace.add_key(Role.SUBMIT, 1)
            if own:
                workspace.add_log_key(Role.SUBMIT)
            identity, config = workspace.log_identity(), workspace.config
            directory, origin = workspace.log_directory(), config.origin
        self.sequencing = Sequencing(
            lambda: EmbeddedLog.open(directory, identity, act_keys=config, memory_dir=office.base / "memory"),
            limits=QUICK,
            clocks=self.clock,
            observer=Metrics(),
        )
        gate = Gate(origin=origin.number, name=origin.name, record=config.record, limits=GateLimits(address=None))
        face = Face(
            metrics=Metrics(), monotonic=self.clock.monotonic, gauges=dict, chinese=lambda _code: "", openapi=b""
        )
        self.files = Watched(directory / PUBLIC)
        writing = Writing(
            origin_name=origin.name,
            gate=gate,
            sequencing=self.sequencing,
            clocks=self.clock,
            nonces=Nonces(most=100, entries=1_000),
        )
        self.node = LogNode(PublicFiles(self.files), face, writing)
        self.sequencing.start(timeout=30)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked += 1
        if body:
            self.before()
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
        submits = {key.issuer for key in workspace.config.keys if key.role is Role.SUBMIT}
        signers = {number: workspace.newest_signer(Role.SUBMIT, number) for number in submits}
        patience = Patience(seconds=1, sleep=lambda _wait: None, monotonic=self.clock.monotonic, now=self.clock.now)
        return RemoteLog(self, LogReader(self.files, keys.vkey), keys, signers=signers, patience=patience)

    def follow(self, workspace: Workspace) -> FollowedLog:
        return open_followed(self.files, workspace, close=lambda: None, pause=self.waits.append)

    def open(self) -> Workspace:
        """The workspace of an office whose log is here."""
        return Workspace.open(self.office.root, replace(self.office.access, remote=self.remote, follow=self.follow))
