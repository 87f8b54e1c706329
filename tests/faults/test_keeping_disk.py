"""Backup, restore, migrate and forget on a disk that is full, and every writing command on one that is read-only.

Each refusal is one sentence in two languages with a stable code; afterwards nothing is lost, nothing half-done lies
about, and with room the same command does what it was to do.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgerhistory import dump, take_back
from office import NOW, Office, person, table

import mingzheng.issuer.cli as commands
import mingzheng.issuer.keep_cli as keeping
import mingzheng.issuer.options as shared
from mingzheng.cli import main
from mingzheng.issuer.lifecycle import find_registration, perform
from mingzheng.log.acts import ActType

pytestmark = pytest.mark.root

TEXT = re.compile(
    r"^错误 error \[(io|log\.state_unavailable|ledger\.write)\] [^\n]*[\u4e00-\u9fff][^\n]*[a-z]{3}[^\n]*\n$"
)
NO = person(1)["registration_no"]
FORGET = ("ledger", "forget", "--registration", NO, "--kind", "cn.constructor.1", "--reason", "申请", "--yes")
LOCKED = ("--registration", person(3)["registration_no"], "--kind", "cn.constructor.1", "--reason", "因故", "--yes")
NOTICE = ("--citation", "通知", "--kind", "cn.constructor.1", "--jurisdiction", "cn", "--template", "1", *LOCKED[4:])
RECORDS = ("--out", "out", "--copy", "usage", "--purpose", "投标")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Person 1 issued and revoked; commands are typed in its directory, with cheap keys."""
    made = Office(tmp_path).build()
    made.issue([person(1)])
    made.issue([person(3)])
    with made.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=NO, issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="", now=NOW)
    for module in (commands, shared):
        monkeypatch.setattr(module, "access_of", lambda _secret: made.access)
    for module in (commands, keeping, shared):
        monkeypatch.setattr(module.time, "time", lambda: float(NOW + 60))
    monkeypatch.chdir(tmp_path)
    Path("records.csv").write_bytes(table([person(2)]))
    Path("zhang").write_bytes(b"passphrase of zhang")
    Path("zhang").chmod(0o600)
    return made


def leave(place: Path, kib: int) -> None:
    """Fill the file system but for so much."""
    with (place / "ballast").open("wb") as stream:
        stream.write(bytes(max(shutil.disk_usage(place).free - kib * 1024, 0)))


def type_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["mingzheng", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code, capsys.readouterr().err


def refused(told: tuple[object, str]) -> str:
    status, said = told
    found = TEXT.search(said.splitlines(keepends=True)[-1])
    assert (status, found is not None) == (4, True), said
    return found[1]  # type: ignore[index]


def test_a_full_disk_leaves_nothing_of_a_backup_or_a_workspace(
    office: Office, small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert type_it(capsys, monkeypatch, "backup", "--workspace", "W", "--to", "whole")[0] == 0
    for target in ("b", "b.tar"):
        for words in (
            ("backup", "--workspace", "W", "--to", str(small / target)),
            ("restore", "whole", "--workspace", str(small / "V")),
        ):
            for kib in (0, 40, 120):
                leave(small, kib)
                assert refused(type_it(capsys, monkeypatch, *words)) in {"io", "ledger.write", "log.state_unavailable"}
                assert [path.name for path in small.iterdir()] == ["ballast"]
                (small / "ballast").unlink()
            assert type_it(capsys, monkeypatch, *words)[0] == 0
            for path in small.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_full_disk_under_migrate_and_forget(
    office: Office, small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree("W", small / "W")
    take_back(small / "W" / "ledger.sqlite")
    before = dump(small / "W" / "ledger.sqlite")
    leave(small, 0)
    told = type_it(capsys, monkeypatch, "migrate", "--workspace", str(small / "W"), "--to", "first", "--yes")
    assert refused(told) in {"ledger.write", "io"}
    (small / "ballast").unlink()
    assert dump(small / "W" / "ledger.sqlite") == before
    told = type_it(capsys, monkeypatch, "migrate", "--workspace", str(small / "W"), "--to", "second", "--yes")
    assert told[0] == 0
    codes = []
    for kib in range(0, 400, 40):
        leave(small, kib)
        told = type_it(capsys, monkeypatch, *FORGET, "--workspace", str(small / "W"))
        (small / "ballast").unlink()
        if told[0] == 0:
            break
        codes.append(refused(told))
    else:
        assert type_it(capsys, monkeypatch, *FORGET, "--workspace", str(small / "W"))[0] == 0
    assert codes
    for path in (small / "W").rglob("*"):
        assert not path.is_file() or NO.encode() not in path.read_bytes()


def test_commands_in_a_read_only_workspace_say_so(
    office: Office, small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree("W", small / "W")
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    before = {path: path.read_bytes() for path in (small / "W").rglob("*") if path.is_file()}
    place = ("--workspace", str(small / "W"))
    for words in (
        ("issue", "records.csv", *RECORDS, *place),
        ("revoke", "--serial", "0", "--reason", "因故", "--yes", *place),
        *((name, "--serial", "1", "--reason", "因故", "--yes", *place) for name in ("suspend", "void")),
        ("lock", *LOCKED, *place),
        ("notice", "add", "form", *NOTICE, *place),
        ("seal", "trial", *place),
        ("operator", "add", "张三", "--issuer", "1", "--operator-passphrase-file", "zhang", *place),
        ("log", "roll-over", "--number", "2", "--name", "test.example/log-2", *place),
        ("trust", "export", "trust", *place),
        ("key", "add", "--role", "credential", "--issuer", "1", *place),
        ("issuer", "add", "--number", "2", "--name", "示范厅", *place),
        ("migrate", "--to", "b", "--yes", *place),
        (*FORGET, *place),
        ("backup", "--to", "b", *place),
        ("restore", "whole", "--workspace", str(small / "V")),
        ("init", "--issuer", "示范厅", "--origin", "demo.example/log", "--demo", "--workspace", str(small / "V")),
    ):
        if words[0] == "restore":
            assert type_it(capsys, monkeypatch, "backup", "--workspace", "W", "--to", "whole")[0] == 0
        told = type_it(capsys, monkeypatch, *words)
        if words[0] == "migrate":
            continue  # nothing is to be done: it says so
        assert refused(told), words
    assert {path: path.read_bytes() for path in (small / "W").rglob("*") if path.is_file()} == before
    assert not Path("b").exists()
