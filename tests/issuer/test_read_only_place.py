"""Commands that change nothing, where nothing can be written: a read-only mount, a directory of somebody else.

Root may write anywhere: as root the commands run under another user's id.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from deskacts import READING
from office import person
from operatoroffice import asked, operator_office

from mingzheng.cli import cli
from mingzheng.issuer.refusals import LedgerUnreadableError, WorkspaceBusyError
from mingzheng.issuer.workspacelock import lock_workspace

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs the permissions of POSIX")
NOBODY = 65534
WORDS = [(*words[:-1], person(1)["registration_no"]) if "--registration" in words else words for words in READING]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office with two copies and a request that waits."""
    office = operator_office(tmp_path_factory.mktemp("made"))
    with office.open() as workspace:
        asked(workspace)
    return office.root


@pytest.fixture
def place(made: Path) -> Iterator[Path]:
    """The workspace where another user may go."""
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    shutil.copytree(made, base / "W")
    yield base / "W"
    close(base / "W", 0o700, 0o600)
    shutil.rmtree(base)


def close(root: Path, directories: int, files: int) -> None:
    """Give everything these modes, and to another user if this one is root."""
    for path in (root, *root.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(directories if path.is_dir() else files)


def read(root: Path, *words: str) -> Result:
    """A command, typed by a user who is not root."""
    root_too = os.geteuid() == 0
    if root_too:
        os.seteuid(NOBODY)
    try:
        return CliRunner().invoke(cli, [*words, "--workspace", str(root)])
    finally:
        if root_too:
            os.seteuid(0)


def held(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


FORMS = {"all": (0o555, 0o444), "directories": (0o555, 0o600)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_it_says_the_same_and_changes_nothing(place: Path, words: tuple[str, ...], form: str) -> None:
    written = read_before(place, words)
    close(place, *FORMS[form])
    before = held(place)
    found = read(place, *words)
    assert found.exit_code == 0, repr(found.exception)
    assert found.stdout == written
    assert held(place) == before


def read_before(place: Path, words: tuple[str, ...]) -> str:
    close(place, 0o755, 0o644)
    return read(place, *words).stdout


def test_a_place_without_its_lock_is_read(place: Path) -> None:
    (place / "lock").unlink()
    close(place, *FORMS["all"])
    assert read(place, "requests").exit_code == 0


def test_whoever_writes_there_is_waited_for(place: Path) -> None:
    close(place, *FORMS["all"])
    lock = lock_workspace(place) if os.geteuid() == 0 else None
    if lock is None:
        pytest.skip("needs a user who may write where another may not")
    assert isinstance(read(place, "requests").exception, WorkspaceBusyError)
    lock.release()


@pytest.fixture
def killed(place: Path) -> Callable[[bool], None]:
    """A command was killed there: what it wrote stands in the write-ahead file, with or without its index."""

    def leave(index: bool) -> None:
        writer = sqlite3.connect(place / "ledger.sqlite", isolation_level=None)
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        for (name,) in writer.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            writer.execute(f"DROP TRIGGER {name}")
        writer.execute("DELETE FROM journal")
        kept = {
            name: (place / name).read_bytes() for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")
        }
        writer.close()
        for name, data in kept.items():
            if index or not name.endswith("-shm"):
                (place / name).write_bytes(data)

    return leave


def test_what_a_killed_command_wrote_is_read_by_its_index(place: Path, killed: Callable[[bool], None]) -> None:
    assert read_before(place, ("journal",)) != ""
    killed(True)
    close(place, *FORMS["all"])
    found = read(place, "journal")
    assert (found.exit_code, found.stdout) == (0, "")


def test_what_a_killed_command_wrote_is_never_passed_over(place: Path, killed: Callable[[bool], None]) -> None:
    killed(False)
    close(place, *FORMS["all"])
    error = read(place, "journal").exception
    assert isinstance(error, LedgerUnreadableError)
    assert "copy the whole workspace" in str(error)
    close(place, 0o755, 0o644)  # as in a copy
    assert read(place, "journal").stdout == ""
