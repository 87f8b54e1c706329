"""What an operator can get wrong, typed as commands: each is refused in two languages, and nothing is signed.

Two programs on one log, an older copy put back (all of it, or half), another log's keys or name, rows and files of the
database deleted. No case may make the log's keys sign: neither a checkpoint nor a block. A full disk is in
`test_full_disk`; the same mistakes on a database server and an object store are in `tests/log/test_failover.py`.
"""

import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from office import DAY, NOW, SeededVault, person, picture, table
from witnessnet import LoopbackWitness

import mingzheng.issuer.cli as commands
import mingzheng.issuer.options as shared
from mingzheng.cli import main
from mingzheng.issuer.witnessing import POLICY
from mingzheng.issuer.workspace import Access, Workspace, log_vkey
from mingzheng.keys.alg import Alg
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.entry import IssueEntry, encode_entry
from mingzheng.log.fsck import fsck
from mingzheng.log.refusal import DiskDisagreesError
from mingzheng.log.sequencer import Submission

IO = 4
ISSUE = ("issue", "records.csv", "--out", "out", "--copy", "usage", "--purpose", "投标", "--workspace", "W")
TEXT = re.compile(r"^错误 error \[([a-z_.]+)\] [^\n]*[\u4e00-\u9fff][^\n]*[a-z]{3}[^\n]*\n$")


class World:
    """A workspace with two rounds behind it, a copy of it after the first, and who signs what."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.base, self.monkeypatch, self.capsys = base, monkeypatch, capsys
        self.vault, self.memory = SeededVault(), base / "memory"
        self.signed: list[bytes] = []
        self.out = ""
        self.log_kids: set[bytes] = set()
        self.root, self.log = base / "W", base / "W/log"

    def access(self, _secret: object = None) -> Access:
        return Access(passphrase=lambda: b"secret", vault=self.vault, memory_dir=self.memory)

    def command(self, *words: str) -> tuple[object, str]:
        """Type a command; its status and what it said."""
        self.monkeypatch.setattr(sys, "argv", ["mingzheng", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        self.out, said = self.capsys.readouterr()
        return stop.value.code, said

    def issue(self, *numbers: int) -> tuple[object, str]:
        (self.base / "records.csv").write_bytes(table([person(number) for number in numbers]))
        return self.command(*ISSUE)

    def build(self) -> None:
        init = ("init", "--issuer", "示范厅", "--origin", "demo.example/log", "--demo", "--workspace", "W")
        assert self.command(*init)[0] == 0
        assert self.issue(1)[0] == 0
        shutil.copytree(self.root, self.base / "older")
        assert self.issue(1, 2)[0] == 0
        with Workspace.open(self.root, self.access()) as workspace:
            self.vkey = parse_vkey(log_vkey(workspace.config))
            self.log_kids = {key.kid for key in workspace.config.keys if key.role in (Role.CHECKPOINT, Role.RECEIPT)}
        self.signed.clear()

    def sql(self, statement: str) -> None:
        database = sqlite3.connect(self.log / "log.sqlite")
        database.execute(statement)
        database.commit()
        database.close()

    def heads(self) -> dict[str, bytes]:
        """Everything public, and the heads remembered."""
        found = [*(self.log / "public").rglob("*"), *self.memory.glob("*.note")]
        return {str(path): path.read_bytes() for path in found if path.is_file()}

    def by_the_log(self) -> list[bytes]:
        return [kid for kid in self.signed if kid in self.log_kids]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    made = World(tmp_path, monkeypatch, capsys)
    sign = InMemorySigner.sign

    def noted(signer: InMemorySigner, message: bytes) -> bytes:
        made.signed.append(signer.public_key.kid)
        return sign(signer, message)

    monkeypatch.setattr(InMemorySigner, "sign", noted)
    for module in (commands, shared):
        monkeypatch.setattr(module, "access_of", made.access)
    monkeypatch.setattr(commands.time, "time", lambda: float(NOW))
    for name in ("MINGZHENG_WORKSPACE", "MINGZHENG_LOG_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(picture(300, 420))
    Path("sign.png").write_bytes(picture(300, 100))
    made.build()
    return made


# --- the mistakes


def _whole_copy_put_back(world: World) -> None:
    shutil.rmtree(world.root)
    shutil.copytree(world.base / "older", world.root)


def _whole_copy_on_another_machine(world: World) -> None:
    _whole_copy_put_back(world)
    shutil.rmtree(world.memory)


def _log_put_back_in_place(world: World) -> None:
    shutil.rmtree(world.log / "public")
    shutil.copytree(world.base / "older/log/public", world.log / "public")
    _database_put_back(world)


def _log_put_back_where_nothing_remembers(world: World) -> None:
    _log_put_back_in_place(world)
    shutil.rmtree(world.memory)


def _database_put_back(world: World) -> None:
    shutil.copyfile(world.base / "older/log/log.sqlite", world.log / "log.sqlite")


def _files_put_back(world: World) -> None:
    shutil.rmtree(world.log / "public")
    shutil.copytree(world.base / "older/log/public", world.log / "public")


def _checkpoint_lost(world: World) -> None:
    (world.log / "public/checkpoint").unlink()
    shutil.rmtree(world.log / "public/tile")


def _other_name(world: World) -> None:
    config = world.root / "mingzheng.toml"
    config.write_text(config.read_text("utf-8").replace("demo.example/log", "demo.example/lag"), "utf-8")


def _other_keys(world: World) -> None:
    """The log's directory under a workspace that has the same name and keys of its own."""
    shutil.move(world.log, world.base / "kept")
    shutil.rmtree(world.root)
    world.vault = SeededVault("another office")
    init = ("init", "--issuer", "示范厅", "--origin", "demo.example/log", "--demo", "--workspace", "W")
    assert world.command(*init)[0] == 0
    shutil.rmtree(world.log)
    shutil.move(world.base / "kept", world.log)
    world.signed.clear()


def _key_files_exchanged(world: World) -> None:
    stranger = InMemorySigner.from_private_bytes(Alg.ED25519, bytes(range(32)))
    with Workspace.open(world.root, world.access()) as workspace:
        (spec,) = [key for key in workspace.config.keys if key.role is Role.CHECKPOINT]
    (path,) = [path for path in (world.root / "keys").iterdir() if spec.kid.hex() in path.name]
    path.write_bytes(b"secret" + stranger.private_bytes())


def _deleted(table_name: str) -> Callable[[World], None]:
    def mistake(world: World) -> None:
        world.sql(f"DELETE FROM {table_name}")

    return mistake


def _database_deleted(world: World) -> None:
    for path in world.log.glob("log.sqlite*"):
        path.unlink()


def _database_emptied(world: World) -> None:
    for path in world.log.glob("log.sqlite-*"):
        path.unlink()
    (world.log / "log.sqlite").write_bytes(b"")


def _database_of_zeros(world: World) -> None:
    (world.log / "log.sqlite").write_bytes(bytes(40_960))


def _instance_deleted(world: World) -> None:
    (world.log / "instance").unlink()


@dataclass(frozen=True)
class Case:
    """A mistake, and the code of the refusal."""

    mistake: Callable[[World], None]
    code: str


CASES = {
    "an older copy of all, this machine remembers": Case(_whole_copy_put_back, "log.restored_backup"),
    "an older copy of all, another machine": Case(_whole_copy_on_another_machine, "log.restored_backup"),
    "an older log in its place": Case(_log_put_back_in_place, "log.behind_memory"),
    "an older log in its place, nothing remembered": Case(_log_put_back_where_nothing_remembers, "ledger.log_behind"),
    "an older database": Case(_database_put_back, "log.disk_disagrees"),
    "older files": Case(_files_put_back, "log.disk_disagrees"),
    "all files lost": Case(_checkpoint_lost, "log.disk_disagrees"),
    "another name": Case(_other_name, "log.wrong_identity"),
    "keys of another workspace": Case(_other_keys, "log.wrong_identity"),
    "a strange key under the checkpoint key's name": Case(_key_files_exchanged, "workspace.key_mismatch"),
    "the head's row deleted": Case(_deleted("head"), "log.missing"),
    "the log's row deleted": Case(_deleted("log"), "log.missing"),
    "the database deleted": Case(_database_deleted, "log.missing"),
    "the database emptied": Case(_database_emptied, "log.missing"),
    "the database overwritten": Case(_database_of_zeros, "log.state_unavailable"),
    "the mark of this directory deleted": Case(_instance_deleted, "log.restored_backup"),
}


def refused(world: World, said: tuple[object, str], code: str, *, exit_status: int = IO) -> None:
    """An error of that code in both languages, and no signature of the log."""
    status, text = said
    found = TEXT.search(text.splitlines(keepends=True)[-1])
    assert found is not None, text
    assert (found[1], status) == (code, exit_status), text
    assert world.by_the_log() == []


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_refused_and_nothing_is_signed(world: World, name: str) -> None:
    CASES[name].mistake(world)
    before = world.heads()
    refused(world, world.issue(1, 2, 3), CASES[name].code)
    refused(world, world.issue(1, 2, 3), CASES[name].code)  # asking again changes nothing
    after = world.heads()
    assert {path: after[path] for path in before} == before
    assert {after[path] for path in after.keys() - before.keys()} <= set(before.values())  # the same head, remembered


def test_a_second_command_and_a_running_server_are_told_from_each_other(world: World) -> None:
    before = world.heads()
    with Workspace.open(world.root, world.access()):
        refused(world, world.issue(1, 2, 3), "workspace.busy", exit_status=1)
    shutil.copytree(world.root, world.base / "second", ignore=shutil.ignore_patterns("log"))
    os.symlink(world.log, world.base / "second/log")  # the store that both are to serve
    with Workspace.open(world.base / "second", world.access()) as other:
        assert other.log.read_only is None
        world.signed.clear()
        refused(world, world.issue(1, 2, 3), "log.writer_active")
    assert world.heads() == before
    assert world.issue(1, 2, 3)[0] == 0


def test_without_the_lock_file_the_row_of_the_head_still_keeps_two_writers_apart(world: World) -> None:
    """The lock's file deleted under a writer: a second gets in, the first is stopped at the row, before it signs."""
    shutil.copytree(world.root, world.base / "second", ignore=shutil.ignore_patterns("log"))
    os.symlink(world.log, world.base / "second/log")
    with Workspace.open(world.base / "second", world.access()) as other:
        assert other.log.read_only is None
        (world.log / "lock").unlink()
        assert world.issue(1, 2, 3)[0] == 0
        world.signed.clear()
        before = world.heads()
        with pytest.raises(DiskDisagreesError, match="no longer the one of size"):
            other.log.submit([_late_entry(other)], now=NOW + 5)
    assert world.by_the_log() == []
    assert world.heads() == before
    sound(world)


def _late_entry(workspace: Workspace) -> Submission:
    """An entry that the first writer's log would take."""
    (key,) = [key for key in workspace.config.keys if key.role is Role.CREDENTIAL]
    entry = IssueEntry(issuer=1, kid=key.kid, kind=1, serial=50_000, identity=bytes(32), issued_day=DAY)
    return Submission(key=bytes(32), entry=encode_entry(entry))


def sound(world: World) -> None:
    """fsck is clean, and every head there is belongs to the tree."""
    assert fsck(world.log, vkey=world.vkey).faults == ()
    reader = LogReader(DirectoryFetcher(world.log / "public"), world.vkey)
    reader.refresh()
    for path in [world.base / "older/log/public/checkpoint", *world.memory.glob("*.note")]:
        head = open_checkpoint(path.read_bytes(), vkeys=[world.vkey], origin=world.vkey.name)
        assert reader.root_at(head.size) == head.root


# --- coming back: only a checkpoint from outside that is the newest


def test_a_witness_tells_of_a_copy_that_nothing_here_can_tell(world: World) -> None:
    """Log, ledger and memory all as they were: the witness has cosigned more, and says so; asking signs nothing."""
    witness = LoopbackWitness(world.base / "w1", "w1", Alg.ED25519, now=NOW)
    try:
        witness.watch(world.vkey)
        policy = witness.policy_line() + "quorum w1\n"
        (world.root / POLICY).write_text(policy, "utf-8")
        assert world.command("log", "cosign", "--workspace", "W")[0] == 0
        _log_put_back_in_place(world)
        for path in (world.base / "older").glob("ledger.sqlite*"):
            shutil.copyfile(path, world.root / path.name)
        shutil.rmtree(world.memory)
        shutil.rmtree(world.root / "cosigned", ignore_errors=True)
        world.signed.clear()
        for lang, met in (("zh", "不满足策略"), ("en", "the policy is NOT met")):
            status, _said = world.command("log", "cosign", "--workspace", "W", "--lang", lang)
            assert (status, met in world.out) == (1, True), world.out
            assert "has cosigned size 4 already, this head has 2" in world.out
        assert world.by_the_log() == []
    finally:
        witness.close()


def test_only_the_newest_checkpoint_from_outside_lets_a_copy_write(world: World) -> None:
    newest = (world.log / "public/checkpoint").read_bytes()  # as a mirror, a witness or a stick keeps it
    older = (world.base / "older/log/public/checkpoint").read_bytes()
    resume = ("log", "resume", "--workspace", "W", "--anchor", "anchor")
    _whole_copy_on_another_machine(world)
    for anchor in (newest, newest.replace(b"demo", b"dome"), b"", older[:-9] + b"AAAAAAA=\n"):
        Path("anchor").write_bytes(anchor)
        refused(world, world.command(*resume), "log.anchor_refused")
        refused(world, world.issue(1, 2, 3), "log.restored_backup")
    shutil.rmtree(world.root)
    shutil.copytree(world.base / "older", world.root)
    Path("anchor").write_bytes(older)  # no newer one was ever seen: then this is the newest, by the operator's word
    assert world.command(*resume)[0] == 0
    shutil.rmtree(world.base / "out")  # it holds certificates that this copy knows nothing of: they stay in the way
    assert world.issue(1, 3)[0] == 0
