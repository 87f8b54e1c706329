"""`log serve` and `log submit-key`: what is refused before anything runs, and what they put together."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from office import Office, person

import mingzheng.issuer.options as shared
import mingzheng.issuer.serve_cli as serve_cli
from mingzheng.issuer.cli import log_group
from mingzheng.issuer.refusals import LogBehindLedgerError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import Role
from mingzheng.log.serverrun import JsonLines, ServePlan, node_of


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


def test_log_lines_are_json() -> None:
    record = logging.LogRecord("mingzheng.log.x", logging.INFO, "f", 1, "sequenced size=%d", (3,), None)
    record.fields = {"status": 200, "code": None}
    line = JsonLines().format(record)
    assert '"event": "sequenced size=3"' in line
    assert '"status": 200' in line
    assert "code" not in line
