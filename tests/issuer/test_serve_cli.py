"""`log serve` and `log submit-key`: what is refused before anything runs, and what they put together."""

import asyncio
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from office import NOW, Office, person
from serverworld import plain, said

import mingzheng.issuer.options as shared
import mingzheng.issuer.serve_cli as serve_cli
from mingzheng.issuer.cli import log_group
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.logplace import FrontEmbeddedError
from mingzheng.issuer.refusals import LogBehindLedgerError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import Role
from mingzheng.log.servernode import LogNode
from mingzheng.log.serverrun import FrontPlan, JsonLines, ServePlan, node_of
from mingzheng.log.store import StoreFetcher


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    office = Office(tmp_path).build()
    monkeypatch.setattr(shared, "access_of", lambda _secret: office.access)
    monkeypatch.setattr(serve_cli, "default_memory_dir", lambda _environment: office.access.memory_dir)
    return office


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[ServePlan]:
    found: list[ServePlan] = []
    monkeypatch.setattr(serve_cli, "run", found.append)
    monkeypatch.setattr(serve_cli, "_log_json", lambda: None)
    return found


def _run(*words: str | Path) -> Any:
    return CliRunner().invoke(log_group, [str(word) for word in words])


@pytest.mark.parametrize(
    "words",
    [(), ("--listen", "8600", "--workspace", "W"), ("--listen", "h:70000", "--workspace", "W"),
     ("--public", ".", "--trust", ".")],
)  # fmt: skip
def test_usage(words: tuple[str, ...]) -> None:
    assert _run("serve", *words).exit_code == 2


def test_a_workspace_is_served_under_its_submit_keys(office: Office, plans: list[ServePlan]) -> None:
    assert _run("submit-key", "--workspace", office.root, "--issuer", "9").exit_code != 0
    made = _run("submit-key", "--workspace", office.root, "--issuer", "1")
    assert made.exit_code == 0
    kid = Kid(bytes.fromhex(made.output.strip()))
    assert _run("serve", "--workspace", office.root, "--listen", "[::1]:1234", "--no-address-limit").exit_code == 0
    plan = plans.pop()
    assert (plan.host, plan.port) == ("::1", 1234)
    assert plan.write is not None
    assert plan.write.gate.address is None
    record = plan.write.records()(kid)
    assert record is not None
    assert (record.role, record.issuer) == (Role.SUBMIT, 1)
    assert plan.chinese("server.busy")
    own = Kid(bytes.fromhex(_run("submit-key", "--workspace", office.root, "--issuer", "0").output.strip()))
    with office.open() as workspace:
        log_s = workspace.config.record(own)
    assert log_s is not None
    assert (log_s.role, log_s.issuer, log_s.kinds, log_s.origins) == (Role.SUBMIT, 0, frozenset(), frozenset({1}))
    with office.open():  # the server left the workspace's lock
        pass
    with node_of(plan):
        pass


def test_a_log_older_than_the_ledger_is_not_served(office: Office, plans: list[ServePlan], tmp_path: Path) -> None:
    log, older = office.root / "log", tmp_path / "older"
    shutil.copytree(log, older)
    office.issue([person(1)])
    assert _run("serve", "--workspace", office.root).exit_code == 0
    shutil.rmtree(log / "public")
    shutil.copytree(older / "public", log / "public")
    shutil.copyfile(older / "log.sqlite", log / "log.sqlite")
    shutil.rmtree(office.base / "memory")
    refused = _run("serve", "--workspace", office.root)
    assert isinstance(refused.exception, LogBehindLedgerError)
    assert len(plans) == 1


def test_a_copy_is_served_for_reading_alone(office: Office, plans: list[ServePlan]) -> None:
    assert _run("serve", "--public", office.root / "log" / "public").exit_code == 0
    assert plans[0].write is None
    assert plans[0].fetcher.fetch("checkpoint").startswith(b"test.example/log\n")


@pytest.mark.parametrize(
    "words",
    [("--front",), ("--front", "--trust", ".", "--public", "."), ("--front", "--trust", ".", "--take-over"),
     ("--take-over", "--public", "."), ("--take-over", "--workspace", "W")],
)  # fmt: skip
def test_usage_of_front_ends(words: tuple[str, ...]) -> None:
    assert _run("serve", *words).exit_code == 2


def test_an_embedded_log_has_no_front_ends(office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MINGZHENG_LOG_DATABASE", raising=False)
    for words in (("--workspace", office.root), ()):
        refused = _run("serve", "--front", "--trust", tmp_path, *words)
        assert isinstance(refused.exception, FrontEmbeddedError)
        assert (refused.exception.code, refused.exception.exit_code) == ("log.front_embedded", 2)


@pytest.mark.postgres
@pytest.mark.s3
def test_a_front_end_needs_trust_data_and_the_place_alone(
    office: Office, plans: list[ServePlan], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from logstores import new_place

    from mingzheng.log.cloud import PREFIX_VARIABLE, VARIABLES

    place = new_place()
    account = place.bucket.account
    values = {"database": place.database, "schema": place.schema, "endpoint": place.bucket.endpoint}
    values |= {"bucket": place.bucket.name, "region": account.region}
    values |= {"access_key": account.access_key, "secret_key": account.secret_key}
    for what, value in values.items():
        monkeypatch.setenv(VARIABLES[what], value)
    monkeypatch.setenv(PREFIX_VARIABLE, place.prefix)
    trust = tmp_path / "trust"
    with office.open() as opened:
        export_trust(opened, trust, now=NOW)
    moved = _run("migrate", "--workspace", office.root, "--yes")
    assert moved.exit_code == 0, moved.output
    assert _run("serve", "--front", "--trust", trust, "--workspace", office.root).exit_code == 2
    for _ in range(2):
        assert _run("serve", "--workspace", office.root, "--take-over").exit_code == 0
    front = _run("serve", "--front", "--trust", trust, "--no-address-limit")
    assert front.exit_code == 0, front.exception
    with node_of(plans[2]) as node:
        assert isinstance(plans[2].write, FrontPlan)
        assert plans[2].write.gate.address is None
        _until(node, 503, "log.no_signer")
        assert asyncio.run(node.handle(plain("/checkpoint"))).body.startswith(b"test.example/log\n")
        with node_of(plans[1]):
            _until(node, 200, None)
        _until(node, 503, "log.no_signer")
    for plan in plans:
        assert isinstance(plan.fetcher, StoreFetcher)
        plan.fetcher._store.close()


def _until(node: LogNode, status: int, reason: str | None) -> None:
    end = time.monotonic() + 30
    while True:
        reply = asyncio.run(node.handle(plain("/readyz")))
        if (reply.status, said(reply).get("reason")) == (status, reason):
            return
        assert time.monotonic() < end, reply
        time.sleep(0.02)


def test_log_lines_are_json() -> None:
    record = logging.LogRecord("mingzheng.log.x", logging.INFO, "f", 1, "sequenced size=%d", (3,), None)
    record.fields = {"status": 200, "code": None}
    line = JsonLines().format(record)
    assert '"event": "sequenced size=3"' in line
    assert '"status": 200' in line
    assert "code" not in line
