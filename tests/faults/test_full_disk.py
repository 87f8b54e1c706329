"""A full disk, a real one: a small tmpfs, and commands typed on it with less and less room left.

Every refusal is a sentence in two languages; with room again the same command does what it was to do; every checkpoint
ever published is a head of the final tree, so no fork was signed.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FULL
from logworld import IDENTITY, NAME, LogWorld, issue, keyed
from office import NOW, SeededVault, person, picture, table
from promises import Promises, hold

import mingzheng.issuer.cli as commands
import mingzheng.issuer.options as shared
from mingzheng.cli import main
from mingzheng.issuer.workspace import Access, Workspace, log_vkey
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.errors import LogError
from mingzheng.log.fsck import fsck

pytestmark = pytest.mark.root

STEP_KIB = 4 if FULL else 24
SIZE = "4m" if FULL else "1m"  # every step leaves some files behind
TEXT = re.compile(
    r"^错误 error \[(io|log\.state_unavailable|ledger\.write)\] [^\n]*[\u4e00-\u9fff][^\n]*[a-z]{3}[^\n]*\n$"
)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def leave(place: Path, kib: int) -> None:
    """Fill the file system but for so much."""
    with (place / "ballast").open("wb") as stream:
        free = shutil.disk_usage(place).free - kib * 1024
        stream.write(bytes(max(free, 0)))


def test_a_log_on_a_full_disk_promises_nothing_and_goes_on_with_room(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, promises, refused = LogWorld(root=small), Promises(), 0
    world.create()
    world.close()
    serial = 0
    for kib in range(0, 240, STEP_KIB):
        batch = [issue(number) for number in range(serial, serial + 12)]
        leave(small, kib)
        try:
            promises.acknowledge(batch, world.open().submit(keyed(batch), now=world.now))
        except (LogError, OSError):
            refused += 1
        finally:
            world.close()
        promises.look(world)
        (small / "ballast").unlink()
        promises.acknowledge(batch, world.open().submit(keyed(batch), now=world.now))
        world.close()
        promises.look(world)
        serial += len(batch)
    proofs = hold(world, promises)
    reader = LogReader(DirectoryFetcher(world.public), IDENTITY.vkey(), origin=NAME)
    assert reader.refresh().size >= serial
    assert refused >= 2
    with capsys.disabled():
        print(f"\nfull disk: {refused} of {len(range(0, 240, STEP_KIB))} rounds refused, {proofs} proofs")


def _command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["mingzheng", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code, capsys.readouterr().err


def test_commands_on_a_full_disk_say_so_in_two_languages(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = SeededVault()

    def access(_secret: object = None) -> Access:
        return Access(passphrase=lambda: b"secret", vault=vault, memory_dir=tmp_path / "memory")

    for module in (commands, shared):
        monkeypatch.setattr(module, "access_of", access)
    monkeypatch.setattr(commands.time, "time", lambda: float(NOW))
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(picture(300, 420))
    Path("sign.png").write_bytes(picture(300, 100))
    workspace = str(small / "W")
    init = ("init", "--issuer", "示范厅", "--origin", "demo.example/log", "--demo", "--workspace", workspace)
    assert _command(monkeypatch, capsys, *init)[0] == 0
    notes, codes = set(), []
    issuing = ("issue", "records.csv", "--out", "out", "--copy", "usage", "--purpose", "投标", "--workspace", workspace)
    for number, kib in enumerate(range(0, 160, 2 * STEP_KIB)):
        Path("records.csv").write_bytes(table([person(number)]))
        leave(small, kib)
        status, said = _command(monkeypatch, capsys, *issuing)
        if status != 0:
            found = TEXT.search(said.splitlines(keepends=True)[-1])
            assert (status, found is not None) == (4, True), said
            codes.append(found[1])  # type: ignore[index]
        notes.add((small / "W/log/public/checkpoint").read_bytes())
        (small / "ballast").unlink()
        assert _command(monkeypatch, capsys, *issuing)[0] == 0
        notes.add((small / "W/log/public/checkpoint").read_bytes())
    with Workspace.open(small / "W", access()) as opened:
        vkey = parse_vkey(log_vkey(opened.config))
    assert fsck(small / "W/log", vkey=vkey).faults == ()
    reader = LogReader(DirectoryFetcher(small / "W/log/public"), vkey)
    reader.refresh()
    for note in notes:
        head = open_checkpoint(note, vkeys=[vkey], origin=vkey.name)
        assert head.size == 0 or reader.root_at(head.size) == head.root
    assert codes
    with capsys.disabled():
        print(f"\nfull disk, commands: {len(codes)} refused: {dict(Counter(codes))}")
