"""Backup and restore: whole, private, of one moment; a restored workspace signs nothing until shown an anchor."""

import io
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from crashpoints import run
from office import DAY, NOW, Office, person
from operatoroffice import asked, operator_office

import mingzheng.issuer.backup as backup_module
from mingzheng.issuer.archive import describe
from mingzheng.issuer.backup import README, back_up
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.lifecycle import find_registration, perform
from mingzheng.issuer.manifest import MANIFEST, format_manifest, is_safe_path, parse_manifest
from mingzheng.issuer.pictures import keep_image
from mingzheng.issuer.refusals import (
    BackupChangedError,
    BackupDamagedError,
    BackupExistsError,
    BackupUnfinishedError,
    LedgerBehindLogError,
    LedgerWriteError,
    LogBehindLedgerError,
    RollOverUnfinishedError,
    WorkspaceExistsError,
    WorkspaceMissingError,
)
from mingzheng.issuer.restore import restore
from mingzheng.issuer.schema import SCHEMA_VERSION
from mingzheng.keys.trust import OriginRecord
from mingzheng.log.acts import ActType
from mingzheng.log.copying import LogMoment
from mingzheng.log.refusal import AnchorRefusedError, ForkedHeadError, RestoredBackupError, StorageError

CHECKPOINT = Path("log") / "public" / "checkpoint"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Two people issued, one revoked. Tests leave it as it is."""
    made = Office(tmp_path_factory.mktemp("office")).build()
    made.issue([person(1), person(2)])
    with made.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=person(2)["registration_no"], issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="死亡", now=NOW + 60)
    return made


@pytest.fixture
def saved(office: Office, tmp_path: Path) -> Path:
    return back_up(office.root, tmp_path / "saved", with_keys=True, now=NOW).path


def restored(office: Office, source: Path, base: Path, anchor: bytes | None = None) -> Office:
    """The restored workspace on a machine that remembers nothing."""
    base.mkdir()
    made = Office(base)
    restore(source, made.root, anchor=anchor, now=NOW)
    return made


def forge(saved: Path, name: str, data: bytes) -> None:
    """Change a file of a backup and the manifest with it, as somebody would who wants to be believed."""
    (saved / name).write_bytes(data)
    forge_manifest(saved)


def forge_manifest(saved: Path) -> None:
    manifest = parse_manifest((saved / MANIFEST).read_bytes())
    (saved / MANIFEST).unlink()
    (saved / MANIFEST).write_bytes(format_manifest(replace(manifest, files=describe(saved))))


def modes(root: Path) -> dict[str, int]:
    paths = [root, *root.rglob("*")]
    return {path.relative_to(root).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_a_backup_says_what_is_in_it_and_is_private(office: Office, saved: Path) -> None:
    manifest = parse_manifest((saved / MANIFEST).read_bytes())
    assert (manifest.copies, manifest.schema, manifest.has_keys, manifest.elsewhere) == (2, SCHEMA_VERSION, True, False)
    assert [(log.name, log.directory, log.is_through) for log in manifest.logs] == [("test.example/log", "log", True)]
    names = {entry.path for entry in manifest.files}
    assert {"mingzheng.toml", "ledger.sqlite", "log/log.sqlite", CHECKPOINT.as_posix(), README} <= names
    assert not {name for name in names if name.startswith(("lock", "log/instance", "log/lock")) or "-wal" in name}
    assert {f"keys/{path.name}" for path in (office.root / "keys").iterdir()} <= names
    assert {f"images/{path.name}" for path in (office.root / "images").iterdir()} <= names
    assert "个人数据" in (saved / README).read_text()
    assert "personal data" in (saved / README).read_text()
    for path, mode in modes(saved).items():
        assert mode == (0o700 if (saved / path).is_dir() else 0o600), path
    assert not list(saved.parent.glob(".*"))


def test_keys_are_left_out_only_by_choice(office: Office, tmp_path: Path) -> None:
    made = back_up(office.root, tmp_path / "b.tar", with_keys=False, now=NOW)
    assert not [entry for entry in made.manifest.files if entry.path.startswith("keys/")]
    there = restored(office, made.path, tmp_path / "there")
    assert list((there.root / "keys").iterdir()) == []
    shutil.copytree(office.root / "keys", there.root / "keys", dirs_exist_ok=True)
    with there.open() as workspace:
        assert isinstance(workspace.log.read_only, RestoredBackupError)


def test_an_archive_is_one_private_file_with_the_manifest_last(office: Office, tmp_path: Path) -> None:
    made = back_up(office.root, tmp_path / "b.tar", with_keys=True, now=NOW)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    with tarfile.open(made.path) as archive:
        assert archive.getnames()[-1] == MANIFEST
    there = restored(office, made.path, tmp_path / "there")
    assert there.fsck().clean
    assert not list(tmp_path.glob(".*"))


def test_a_restored_workspace_signs_nothing_until_shown_its_head(office: Office, saved: Path, tmp_path: Path) -> None:
    anchor = (office.root / CHECKPOINT).read_bytes()
    there = restored(office, saved, tmp_path / "there")
    before = {path: path.read_bytes() for path in (there.root / "log").rglob("*") if path.is_file()}
    with there.open() as workspace:
        assert workspace.ledger.counters(1) == (2, 1)
    with pytest.raises(RestoredBackupError):
        there.issue([person(3)], now=NOW + 120)
    with there.open() as workspace:
        with pytest.raises(RestoredBackupError):
            export_trust(workspace, tmp_path / "trust", now=NOW + 120)
        target = find_registration(workspace, kind=1, registration_no=person(1)["registration_no"], issuer=None)
        with pytest.raises(RestoredBackupError):
            perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 120)
    assert not (tmp_path / "trust").exists()
    for path, data in before.items():
        assert path.read_bytes() == data or path.suffix == ".sqlite", path
    with there.open() as workspace:
        workspace.log.resume_from_anchor(anchor)
    there.issue([person(3)], now=NOW + 180)
    assert there.fsck().clean


def test_a_restored_workspace_has_the_modes_of_a_new_one(office: Office, saved: Path, tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        made = Office(tmp_path).build()
    finally:
        os.umask(old)
    there = modes(restored(office, saved, tmp_path / "there").root)
    new = modes(made.root)
    for name in ("keys", "images", "ledger.sqlite", "mingzheng.toml", "log", "log/public", "log/log.sqlite"):
        assert there[name] == new[name], name
    assert (there["keys"], there["images"], there["ledger.sqlite"]) == (0o700, 0o700, 0o600)
    assert {mode for name, mode in there.items() if name.startswith(("keys/", "images/"))} == {0o600}
    assert MANIFEST not in there
    assert README not in there


def test_requests_that_wait_stay_their_owners_in_a_restored_workspace(tmp_path: Path) -> None:
    made = operator_office(tmp_path)
    with made.open() as workspace:
        row = asked(workspace)
    there = modes(
        restored(made, back_up(made.root, tmp_path / "saved", with_keys=True, now=NOW).path, tmp_path / "x").root
    )
    assert (there["requests"], there[f"requests/{row.id.hex()}.request"]) == (0o700, 0o600)


def test_anchors(office: Office, saved: Path, tmp_path: Path) -> None:
    older = Office(tmp_path).build()
    smaller = (older.root / CHECKPOINT).read_bytes()  # the same seeded key, an empty log
    with pytest.raises(AnchorRefusedError, match="proves nothing"):
        restore(saved, tmp_path / "W2", anchor=smaller, now=NOW)
    older.issue([person(5), person(6), person(7)], now=NOW)
    with older.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=person(5)["registration_no"], issuer=None)
        perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 60)
    with pytest.raises((AnchorRefusedError, ForkedHeadError)):
        restore(saved, tmp_path / "W2", anchor=(older.root / CHECKPOINT).read_bytes(), now=NOW)
    with pytest.raises(AnchorRefusedError, match="no checkpoint"):
        restore(saved, tmp_path / "W2", anchor=b"what", now=NOW)
    assert not (tmp_path / "W2").exists()
    assert not list(tmp_path.glob(".W2*"))
    restore(saved, tmp_path / "W2", anchor=(office.root / CHECKPOINT).read_bytes(), now=NOW)


def test_a_backup_behind_the_anchor_says_how_many_are_missing(office: Office, saved: Path, tmp_path: Path) -> None:
    there = restored(office, saved, tmp_path / "there")
    with there.open() as workspace:
        workspace.log.resume_from_anchor((office.root / CHECKPOINT).read_bytes())
    there.issue([person(4)], now=NOW + 120)
    with pytest.raises(AnchorRefusedError) as caught:
        restore(saved, tmp_path / "W2", anchor=(there.root / CHECKPOINT).read_bytes(), now=NOW)
    assert caught.value.missing == 2


def test_nothing_is_overwritten(office: Office, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupExistsError):
        back_up(office.root, saved, with_keys=True, now=NOW)
    with pytest.raises(BackupExistsError):
        back_up(office.root, office.root / "here", with_keys=True, now=NOW)
    with pytest.raises(WorkspaceExistsError):
        restore(saved, office.root, anchor=None, now=NOW)
    with pytest.raises(WorkspaceMissingError):
        back_up(tmp_path, tmp_path / "b", with_keys=True, now=NOW)
    (tmp_path / ".b.partial").mkdir()
    (tmp_path / ".w.restore").mkdir()
    with pytest.raises(BackupUnfinishedError):
        back_up(office.root, tmp_path / "b", with_keys=True, now=NOW)
    with pytest.raises(BackupUnfinishedError):
        restore(saved, tmp_path / "w", anchor=None, now=NOW)


def drop(saved: Path) -> None:
    next((saved / "images").iterdir()).unlink()


def flip(saved: Path) -> None:
    data = bytearray((saved / "ledger.sqlite").read_bytes())
    data[5_000] ^= 1
    (saved / "ledger.sqlite").write_bytes(data)


def add(saved: Path) -> None:
    (saved / "profiles").mkdir(exist_ok=True)
    (saved / "profiles" / "mine.toml").write_text("x = 1")


def link(saved: Path) -> None:
    (saved / "images" / "link").symlink_to("/etc/hostname")


def lose_manifest(saved: Path) -> None:
    (saved / MANIFEST).unlink()


def spell(saved: Path) -> None:
    (saved / MANIFEST).write_bytes((saved / MANIFEST).read_bytes().replace(b"\n", b" \n", 1))


def tile(saved: Path) -> None:
    path = next((saved / "log/public/tile/entries").rglob("*.p/*"))
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    forge(saved, path.relative_to(saved).as_posix(), bytes(data))


@pytest.mark.parametrize("damage", [drop, flip, add, link, lose_manifest, spell, tile])
def test_a_damaged_backup_restores_nothing(saved: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(saved)
    with pytest.raises(BackupDamagedError):
        restore(saved, tmp_path / "W2", anchor=None, now=NOW)
    assert not (tmp_path / "W2").exists()
    assert not list(tmp_path.glob(".W2*"))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "mingzheng-backup/2"},
        {"files": [{"path": "../x", "bytes": 1, "sha256": "0" * 64}]},
        {"files": [{"path": "x", "bytes": -1, "sha256": "0" * 64}]},
        {"files": [{"path": "x", "bytes": True, "sha256": "0" * 64}]},
        {"files": [{"path": "x", "bytes": 1, "sha256": "0"}]},
        {"files": [{"path": "y", "bytes": 1, "sha256": "0" * 64}, {"path": "x", "bytes": 1, "sha256": "0" * 64}]},
        {"files": 3},
        {"keys": 1},
        {"logs": [{"directory": 1}]},
        {"more": 1},
    ],
)
def test_a_manifest_has_one_spelling(saved: Path, change: dict[str, object]) -> None:
    value = json.loads((saved / MANIFEST).read_bytes())
    value.update(change)
    with pytest.raises(BackupDamagedError):
        parse_manifest((json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../a", "a/..", ".a", "a/.b", "a\\b", "C:a", "a\nb", "a" * 401])
def test_unsafe_paths(path: str) -> None:
    assert not is_safe_path(path)
    assert is_safe_path("images/00")


def hostile(kind: str, name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for _ in range(2 if kind == "twice" else 1):
            member = tarfile.TarInfo(name)
            if kind == "link":
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
            if kind == "device":
                member.type = tarfile.CHRTYPE
            archive.addfile(member)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no tar",
        hostile("file", "../../x"),
        hostile("file", "/tmp/x"),
        hostile("twice", "x"),
        hostile("link", "x"),
        hostile("device", "x"),
        hostile("file", "x")[:700],
        hostile("file", "x"),
    ],
)
def test_hostile_archives(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(data)
    with pytest.raises(BackupDamagedError):
        restore(tmp_path / "b.tar", tmp_path / "W2", anchor=None, now=NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar"]


def test_ledger_and_log_of_different_moments_are_refused(office: Office, saved: Path, tmp_path: Path) -> None:
    path = saved / "ledger.sqlite"
    whole = path.read_bytes()

    def change(statement: str) -> None:
        path.write_bytes(whole)
        database = sqlite3.connect(path, isolation_level=None)
        database.execute(statement)
        database.close()
        forge_manifest(saved)

    for statement, error in (
        ("UPDATE counter SET next_serial = 1", LedgerBehindLogError),
        ("UPDATE counter SET next_act = 0", LedgerBehindLogError),
        ("UPDATE copy SET leaf_index = 99 WHERE serial = 0", LogBehindLedgerError),
    ):
        change(statement)
        with pytest.raises(error):
            restore(saved, tmp_path / "W2", anchor=None, now=NOW)
    assert not (tmp_path / "W2").exists()


def test_an_image_that_went_away_is_no_whole_backup(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.root, tmp_path / "W")
    next((tmp_path / "W" / "images").iterdir()).unlink()
    with pytest.raises(BackupChangedError):
        back_up(tmp_path / "W", tmp_path / "b", with_keys=True, now=NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["W"]


def test_links_are_left_out_and_named_temporary_files_too(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.root, tmp_path / "W")
    (tmp_path / "W" / "images" / "a.tmp").write_bytes(b"half")
    (tmp_path / "W" / "mine").symlink_to("/etc")
    (tmp_path / "W" / "followed").mkdir()
    (tmp_path / "W" / "followed" / "head").write_bytes(b"head")
    made = back_up(tmp_path / "W", tmp_path / "b", with_keys=True, now=NOW)
    names = {entry.path for entry in made.manifest.files}
    assert made.left_out == ("mine",)
    assert "followed/head" in names
    assert "images/a.tmp" not in names


def test_what_a_restore_would_refuse_is_left_out_and_named(office: Office, tmp_path: Path) -> None:
    """Else such a backup is called made, and can never be restored."""
    shutil.copytree(office.root, tmp_path / "W")
    (tmp_path / "W" / "seals" / ".git").mkdir(parents=True)
    (tmp_path / "W" / "seals" / ".git" / "config").write_bytes(b"mine")
    (tmp_path / "W" / "seals" / "说明\u3000一.txt").write_bytes(b"mine")
    (tmp_path / "W" / "seals" / "a:b").write_bytes(b"mine")
    (tmp_path / "W" / "mine.txt").write_bytes(b"mine")
    for name in (README, MANIFEST):  # a backup's own: a restored workspace has none
        (tmp_path / "W" / name).write_bytes(b"mine")
    made = back_up(tmp_path / "W", tmp_path / "b", with_keys=True, now=NOW)
    assert set(made.left_out) == {README, MANIFEST, "seals/.git", "seals/a:b", "seals/说明\\u3000一.txt"}
    there = restored(office, made.path, tmp_path / "there")
    assert (there.root / "mine.txt").read_bytes() == b"mine"
    assert not (there.root / "seals").exists()


def test_keys_behind_a_link_are_not_said_to_be_in_it(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.root, tmp_path / "W")
    (tmp_path / "W" / "keys").rename(tmp_path / "elsewhere")
    (tmp_path / "W" / "keys").symlink_to(tmp_path / "elsewhere")
    made = back_up(tmp_path / "W", tmp_path / "b", with_keys=True, now=NOW)
    assert (made.left_out, made.manifest.has_keys) == (("keys",), False)
    assert "不含密钥文件" in (made.path / README).read_text()


def test_what_is_not_known_to_be_public_stays_its_owners_in_a_restored_workspace(
    office: Office, tmp_path: Path
) -> None:
    shutil.copytree(office.root, tmp_path / "W")
    (tmp_path / "W" / "faults.csv").write_bytes(b"mine")
    (tmp_path / "W" / "certificates").mkdir()
    (tmp_path / "W" / "certificates" / "a.pdf").write_bytes(b"mine")
    (tmp_path / "W" / "followed").mkdir()
    (tmp_path / "W" / "followed" / "1.state").write_bytes(b"head")
    made = back_up(tmp_path / "W", tmp_path / "b", with_keys=True, now=NOW)
    there = modes(restored(office, made.path, tmp_path / "there").root)
    assert (there["faults.csv"], there["certificates"], there["certificates/a.pdf"]) == (0o600, 0o700, 0o600)
    assert (there["."], there["followed"], there["followed/1.state"]) == (0o755, 0o755, 0o644)


def test_a_killed_archive_is_there_whole_or_named_by_the_next(office: Office, tmp_path: Path) -> None:
    def save(base: Path) -> None:
        back_up(office.root, base / "b.tar", with_keys=True, now=NOW)

    (tmp_path / "count").mkdir()
    points = len(run(lambda _report: save(tmp_path / "count")).points)
    for fatal in [*range(0, points - 30, 17), *range(points - 30, points)]:
        place = tmp_path / str(fatal)
        place.mkdir()
        assert run(lambda _report, place=place: save(place), kill_at=fatal).killed
        left = {path.name for path in place.iterdir()}
        assert left == {"b.tar"} or left <= {".b.tar.partial", ".b.tar.partial.tar"}
        other = back_up(office.root, place / "c", with_keys=True, now=NOW)
        assert set(other.unfinished) == left - {"b.tar"}
        for name in sorted(other.unfinished):
            with pytest.raises(BackupUnfinishedError, match=name):
                save(place)
            shutil.rmtree(place / name) if (place / name).is_dir() else (place / name).unlink()
        if "b.tar" not in left:
            save(place)
        shutil.rmtree(place)


def test_no_backup_between_two_logs(tmp_path: Path) -> None:
    made = Office(tmp_path).build()
    with made.open() as workspace:
        workspace.announce(OriginRecord(number=2, name="test.example/log2", block_height=4), (DAY, DAY + 400))
        workspace.log.close_for(2, now=NOW)
    with pytest.raises(RollOverUnfinishedError):
        back_up(made.root, tmp_path / "b", with_keys=True, now=NOW)


def test_killed_before_any_write_a_backup_is_not_there_and_a_workspace_is_not_restored(
    office: Office, saved: Path, tmp_path: Path
) -> None:
    def save(base: Path) -> None:
        back_up(office.root, base / "b", with_keys=True, now=NOW)

    def load(base: Path) -> None:
        restore(saved, base / "b", anchor=None, now=NOW)

    for number, work in enumerate((save, load)):
        base = tmp_path / f"count{number}"
        base.mkdir()
        points = len(run(lambda _report, work=work, base=base: work(base)).points)
        for fatal in range(0, points, 7):
            place = tmp_path / f"{number}-{fatal}"
            place.mkdir()
            run(lambda _report, work=work, place=place: work(place), kill_at=fatal)
            left = [path.name for path in place.iterdir()]
            assert left in ([], [".b.partial"], [".b.restore"], ["b"])
            if left == ["b"]:
                assert fatal >= points - 8
            shutil.rmtree(place)


def test_ledger_and_log_are_of_one_moment(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the log is looked at nobody writes the ledger; what is written afterwards is not in the backup."""
    shutil.copytree(office.root, tmp_path / "W")
    outside = sqlite3.connect(tmp_path / "W" / "ledger.sqlite", isolation_level=None, timeout=0)
    log = sqlite3.connect(tmp_path / "W" / "log" / "log.sqlite", isolation_level=None, timeout=0)
    wait, copy, met = backup_module._wait_for_round, backup_module._copy_database, []

    def look(moment: LogMoment) -> None:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            outside.execute("UPDATE counter SET next_serial = 50")
        met.append("locked")
        wait(moment)

    def copy_later(source: sqlite3.Connection, target: Path) -> None:
        outside.execute("UPDATE counter SET next_serial = 60")
        log.execute("UPDATE head SET last_time = 7")
        met.append("written")
        copy(source, target)

    monkeypatch.setattr(backup_module, "_wait_for_round", look)
    monkeypatch.setattr(backup_module, "_copy_database", copy_later)
    made = back_up(tmp_path / "W", tmp_path / "b", with_keys=True, now=NOW).path
    assert met == ["locked", "written"]
    for file, query, later in (
        ("ledger.sqlite", "SELECT next_serial FROM counter", 60),
        ("log/log.sqlite", "SELECT last_time FROM head", 7),
    ):
        saved = sqlite3.connect(made / file)
        assert saved.execute(query).fetchone()[0] != later
        saved.close()
    outside.close()
    log.close()


def test_a_backup_outwaits_a_long_transaction(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning 100,000 copies holds the ledger for half a minute; the row of a finished backup waits as long."""
    waits, connect = [], sqlite3.connect

    def spy(path: object, **options: float) -> sqlite3.Connection:
        if path == office.root / "ledger.sqlite":
            waits.append(options["timeout"])
        return connect(path, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", spy)
    back_up(office.root, tmp_path / "b", with_keys=True, now=NOW)
    assert (len(waits), min(waits) >= 300) == (3, True)  # who holds it, who reads it, the row of the journal


ISSUING = """
import sys
from pathlib import Path
from office import NOW, Office, person
from mingzheng.issuer.issue import prepare
from mingzheng.issuer.publish import settle
from mingzheng.issuer.jobs import plan_job
from mingzheng.formats.claims import encode_claims
from mingzheng.issuer.randomness import SystemRandomness
office = Office(Path(sys.argv[1]))
number = 10
while True:
    with office.open() as workspace:
        for _ in range(8):
            now = NOW + number
            found = prepare(workspace, office.request([person(number), person(number + 1)]), now=now, store_images=True)
            by_key = {job.order.key: job for job in found.jobs}
            rows = workspace.ledger.plan(
                [job.order for job in found.jobs],
                make_claims=lambda order, serial, salt: encode_claims(plan_job(by_key[order.key], serial, salt).claims),
                randomness=SystemRandomness())
            settle(workspace, now=now)
            print(" ".join(str(row.serial) for row in rows), flush=True)
            number += 2
"""


def test_backups_at_any_moment_of_full_issuing_are_whole(tmp_path: Path) -> None:
    """Another process issues without a pause (pages are not drawn: that is what takes time, and writes no ledger)."""
    made = Office(tmp_path).build()
    said = (tmp_path / "said").open("wb")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", ISSUING, str(tmp_path)], stdout=said, env=environment)
    rounds = 25 if os.environ.get("MINGZHENG_FULL") == "1" else 5
    sizes = []
    try:
        for number in range(rounds):
            deadline = time.monotonic() + 120
            while (tmp_path / "said").stat().st_size < 8 * (number + 1) and time.monotonic() < deadline:
                assert child.poll() is None
            promised = {int(word) for word in (tmp_path / "said").read_bytes().rpartition(b"\n")[0].split()}
            done = back_up(made.root, tmp_path / f"b{number}", with_keys=True, now=NOW)
            there = restored(made, done.path, tmp_path / f"there{number}")
            assert there.fsck().faults == ()
            with there.open() as workspace:
                logged = {row.serial for row in workspace.ledger.all_copies() if row.leaf_index is not None}
                assert promised <= logged
                assert isinstance(workspace.log.read_only, StorageError)
            sizes.append(done.manifest.logs[0].size)
    finally:
        child.kill()
        child.wait()
        said.close()
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0] > 0
    final = back_up(made.root, tmp_path / "last", with_keys=True, now=NOW)  # the writer was killed: a round may be open
    there = restored(made, final.path, tmp_path / "last-there")
    with made.open() as workspace:
        assert workspace.log.read_only is None
    anchor = (made.root / CHECKPOINT).read_bytes()
    with there.open() as workspace:
        workspace.log.resume_from_anchor(anchor)
    assert there.fsck().clean


def test_a_partial_tile_that_is_gone_is_cut_out_of_the_wider_one(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.root / "log", tmp_path / "log")
    moment = LogMoment(tmp_path / "log")
    assert moment.hold()
    whole = moment.copy_to(tmp_path / "whole")
    public = tmp_path / "log" / "public"
    for path in sorted(public.rglob("*.p/*")):  # as if the writer had gone on
        data = path.read_bytes()
        more = b"\x00\x03abc" if "entries" in path.parts else bytes(32)
        path.rename(path.with_name("200"))
        path.with_name("200").write_bytes(data + more * (200 - whole.size))
    cut = moment.copy_to(tmp_path / "cut")
    assert cut == whole
    for path in (tmp_path / "whole" / "public").rglob("*"):
        if path.is_file():
            same = tmp_path / "cut" / "public" / path.relative_to(tmp_path / "whole" / "public")
            assert same.read_bytes() == path.read_bytes()
    for path in sorted(public.rglob("*.p/*")):
        path.unlink()
    with pytest.raises(StorageError, match="missing"):
        moment.copy_to(tmp_path / "none")
    moment.close()


def test_modes_of_a_workspace_at_work(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        made = Office(tmp_path).build()
        with made.open() as workspace:
            keep_image(made.root / "images", b"an image")
            workspace.ledger.advance_clock(NOW)
            found = modes(made.root)
    finally:
        os.umask(old)
    assert {name: found[name] for name in ("keys", "images")} == {"keys": 0o700, "images": 0o700}
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        assert found[name] == 0o600
    for name in ("mingzheng.toml", "log/log.sqlite", "log/public/checkpoint"):
        assert found[name] == 0o644


def test_a_round_that_was_cut_short_is_rolled_forward_in_the_restored_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(name: str) -> Office:
        (tmp_path / name).mkdir()
        return Office(tmp_path / name).build()

    counted, cut = made("counted"), made("cut")
    points = run(lambda _report: (counted.issue([person(1)]), None)[1]).points
    staged = points.index("sql many staged")
    committed = staged + points[staged:].index("sql COMMIT")
    assert run(lambda _report: (cut.issue([person(1)]), None)[1], kill_at=committed, when="after").killed
    monkeypatch.setattr(backup_module, "_WAIT_SECONDS", 0.0)
    saved = back_up(cut.root, tmp_path / "b", with_keys=True, now=NOW)
    assert [log.is_through for log in saved.manifest.logs] == [False]
    there = restored(cut, saved.path, tmp_path / "there")
    with cut.open() as workspace:
        assert workspace.log.read_only is None  # rolled forward there, too, and published
    with there.open() as workspace:
        workspace.log.resume_from_anchor((cut.root / CHECKPOINT).read_bytes())
    assert len(there.issue([person(1)], now=NOW + 60)) == 1
    assert there.fsck().clean


def test_a_backup_whose_parts_do_not_belong_together(office: Office, saved: Path, tmp_path: Path) -> None:
    manifest = parse_manifest((saved / MANIFEST).read_bytes())
    (saved / MANIFEST).write_bytes(format_manifest(replace(manifest, logs=())))
    with pytest.raises(BackupDamagedError, match="other logs"):
        restore(saved, tmp_path / "W2", anchor=None, now=NOW)
    (saved / "ledger.sqlite").unlink()
    forge_manifest(saved)
    with pytest.raises(BackupDamagedError, match="missing"):
        restore(saved, tmp_path / "W2", anchor=None, now=NOW)
    assert not (tmp_path / "W2").exists()


def test_tiles_that_are_not_of_the_head_are_not_backed_up(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.root, tmp_path / "W")
    for path in (tmp_path / "W/log/public/tile/0").rglob("*.p/*"):
        path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(StorageError, match="fsck"):
        back_up(tmp_path / "W", tmp_path / "b", with_keys=True, now=NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["W"]


def test_a_ledger_that_cannot_be_frozen_is_named(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(office.root, tmp_path / "W")
    monkeypatch.setattr(backup_module, "_BUSY_SECONDS", 0.01)
    writer = sqlite3.connect(tmp_path / "W" / "ledger.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerWriteError):
        back_up(tmp_path / "W", tmp_path / "b", with_keys=True, now=NOW)
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["W"]
