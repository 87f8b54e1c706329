"""A workspace whose log moves to a database server and an object store, and goes on issuing there."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result
from office import NOW, SeededVault, person, picture, table

import mingzheng.issuer.cli as commands
import mingzheng.issuer.issue_cli as issuing
import mingzheng.issuer.logplace as logplace
import mingzheng.issuer.options as shared
from mingzheng.issuer.logplace import CloudExtraError, check_log, is_moved, open_log
from mingzheng.issuer.witnessing import Cosigned, full_receipt
from mingzheng.issuer.workspace import LOG, Access, Workspace, log_vkey
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.refusal import LogMissingError
from mingzheng.log.s3 import S3Client
from mingzheng.log.sequencer import PUBLIC
from mingzheng.log.store import PosixStore

ACCESS: list[Access] = []
assert S3Client  # loaded before the clock is fixed: object stores look at the time of a request


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A workspace with one issued batch, test keys, a fixed clock."""
    access = Access(passphrase=lambda: b"secret", vault=SeededVault(), memory_dir=tmp_path / "memory")
    ACCESS[:] = [access]
    for module in (commands, shared):
        monkeypatch.setattr(module, "access_of", lambda _secret: access)
    monkeypatch.setattr(commands.time, "time", lambda: float(NOW))
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(picture(300, 420))
    Path("sign.png").write_bytes(picture(300, 100))
    run(commands.init, "--issuer", "示范厅", "--origin", "demo.example/log", "--demo")
    issue(1, 2)


def run(command: click.Command, *arguments: str) -> Result:
    result = CliRunner().invoke(command, arguments, env={"MINGZHENG_WORKSPACE": "W"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def issue(*people: int) -> None:
    Path("records.csv").write_bytes(table([person(number) for number in people]))
    done = run(issuing.issue, "records.csv", "--out", f"out-{people[0]}", "--copy", "usage", "--purpose", "投标")
    assert done.exit_code == 0, done.output


@pytest.mark.postgres
@pytest.mark.s3
def test_a_moved_workspace_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from logstores import new_place

    from mingzheng.log.cloud import PREFIX_VARIABLE, VARIABLES, CloudSettingsError

    place = new_place()
    values = {
        "database": place.database,
        "schema": place.schema,
        "endpoint": place.bucket.endpoint,
        "bucket": place.bucket.name,
        "region": place.bucket.account.region,
        "access_key": place.bucket.account.access_key,
        "secret_key": place.bucket.account.secret_key,
    }
    with pytest.raises(CloudSettingsError, match="MINGZHENG_LOG_DATABASE"):
        run(commands.log_group, "migrate", "--yes")
    assert not is_moved(Path("W") / LOG)
    for what, value in values.items():
        monkeypatch.setenv(VARIABLES[what], value)
    for prefix in ("/a/", "a"):
        monkeypatch.setenv(PREFIX_VARIABLE, prefix)
        with pytest.raises(CloudSettingsError, match="PREFIX"):
            run(commands.log_group, "migrate", "--yes")
    monkeypatch.setenv(PREFIX_VARIABLE, place.prefix)
    moved = run(commands.log_group, "migrate", "--yes", "--json")
    found = json.loads(moved.stdout)
    assert moved.exit_code == 0
    assert found["size"] > 2
    assert is_moved(Path("W") / LOG)
    issue(3)
    checked = run(commands.log_group, "fsck", "--json")
    report = json.loads(checked.stdout)
    assert (report["clean"], report["faults"]) == (True, [])
    assert report["size"] > found["size"]
    again = run(commands.log_group, "migrate", "--yes", "--lang", "en")
    assert "all compared" in again.stdout
    proof = run(commands.log_group, "prove", "--serial", "2")
    assert proof.stdout.startswith("c2sp.org/tlog-proof@v1\n")
    monkeypatch.delenv(VARIABLES["secret_key"])
    with pytest.raises(CloudSettingsError):
        issue(4)


def test_without_the_client_library_the_move_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mingzheng.log.cloud", None)
    with pytest.raises(CloudExtraError):
        run(commands.log_group, "migrate", "--yes")


def test_a_log_in_its_directory_is_opened_and_checked_there(tmp_path: Path) -> None:
    with Workspace.open(Path("W"), ACCESS[0]) as workspace:
        vkey = parse_vkey(log_vkey(workspace.config))
    assert check_log(Path("W") / LOG, vkey, {}).clean
    assert not is_moved(tmp_path)
    (tmp_path / "log.sqlite").write_bytes(b"")
    assert not is_moved(tmp_path)
    import sqlite3

    connection = sqlite3.connect(tmp_path / "log.sqlite")
    connection.execute("CREATE TABLE other (x)")
    connection.commit()
    connection.close()
    assert not is_moved(tmp_path)
    with Workspace.open(Path("W"), ACCESS[0]) as workspace, pytest.raises(LogMissingError):
        open_log(
            tmp_path / "none", workspace.log_identity(), act_keys=workspace.config, memory_dir=None, environment={}
        )


def test_witnesses_are_shown_the_log_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with Workspace.open(Path("W"), ACCESS[0]) as workspace:
        head = Cosigned(note=workspace.log.checkpoint(), size=workspace.log.head()[0])
        wanted = workspace.log.full_receipt(1)
    shutil.copytree(Path("W") / LOG / PUBLIC, elsewhere)
    (Path("W") / LOG / PUBLIC / "checkpoint").unlink()  # what stayed behind is of no use
    place = SimpleNamespace(store=lambda: PosixStore(elsewhere, tmp_path / "temporary"))
    monkeypatch.setattr(logplace, "is_moved", lambda _directory: True)
    monkeypatch.setattr(logplace, "cloud_place", lambda _environment: place)
    with Workspace.open(Path("W"), ACCESS[0]) as workspace:
        assert full_receipt(workspace, 1, head=head) == wanted
