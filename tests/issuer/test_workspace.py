"""The workspace on disk: all or nothing at creation, one command at a time, keys only where they belong."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from algs import NEEDS_SM2
from office import ARCHITECTS, CONSTRUCTORS, DAY, NOW, ORIGIN, Office, SeededVault, person

from mingzheng.issuer.pictures import keep_image
from mingzheng.issuer.refusals import (
    ConfigError,
    DemoNameError,
    DemoOnlyError,
    ImageMissingError,
    KeyMismatchError,
    KeyMissingError,
    OptionError,
    UnknownIssuerError,
    WorkspaceBusyError,
    WorkspaceExistsError,
    WorkspaceMissingError,
    WorkspaceUnfinishedError,
)
from mingzheng.issuer.schema import CopyState
from mingzheng.issuer.workspace import Access, FileVault, Foundation, Workspace, check_demo_name, log_vkey
from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import KeysError, WrongPassphraseError
from mingzheng.keys.sealkey import SealAlg
from mingzheng.keys.trust import OriginRecord, Role
from mingzheng.log.refusal import RestoredBackupError

FOUNDATION = Foundation(demo=True, origin=ORIGIN, issuers=(CONSTRUCTORS,), valid_from=DAY - 10, valid_until=DAY + 10)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


def test_holds_keys_ledger_log_images_and_settings(office: Office) -> None:
    names = {path.name for path in office.root.iterdir()}
    assert names == {"applications", "images", "keys", "ledger.sqlite", "log", "mingzheng.toml"}
    for name in ("keys", "images", "applications"):
        assert stat.S_IMODE((office.root / name).stat().st_mode) == 0o700
    assert len(list((office.root / "keys").iterdir())) == 6
    assert not (office.root.parent / ".W.init").exists()


def test_real_custody_encrypts_every_key(tmp_path: Path) -> None:
    access = Access(passphrase=lambda: b"a long passphrase", vault=FileVault(), memory_dir=None)
    Workspace.create(tmp_path / "W", FOUNDATION, access)
    for path in (tmp_path / "W" / "keys").iterdir():
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Workspace.open(tmp_path / "W", access) as workspace:
        assert workspace.signer(Role.CREDENTIAL, 1, DAY).public_key.alg is Alg.ED25519
    wrong = replace(access, passphrase=lambda: b"another passphrase")
    with Workspace.open(tmp_path / "W", wrong) as workspace, pytest.raises(KeysError):
        workspace.signer(Role.CREDENTIAL, 1, DAY)


def test_no_key_is_made_under_a_passphrase_that_opens_none(tmp_path: Path) -> None:
    access = Access(passphrase=lambda: b"a long passphrase", vault=FileVault(), memory_dir=None)
    Workspace.create(tmp_path / "W", FOUNDATION, access)
    before = {path.name for path in (tmp_path / "W" / "keys").iterdir()}
    wrong = replace(access, passphrase=lambda: b"another passphrase")
    attempts: tuple[Callable[[Workspace], object], ...] = (
        lambda workspace: workspace.add_key(Role.STATUS, 1),
        lambda workspace: workspace.add_log_key(Role.RECEIPT),
        lambda workspace: workspace.seals.new_key(SealAlg.P256, "seal"),
    )
    for attempt in attempts:
        with Workspace.open(tmp_path / "W", wrong) as workspace, pytest.raises(WrongPassphraseError):
            attempt(workspace)
    assert {path.name for path in (tmp_path / "W" / "keys").iterdir()} == before


def test_overwrites_nothing_but_takes_an_empty_directory(office: Office, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceExistsError):
        Workspace.create(office.root, FOUNDATION, office.access)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkspaceExistsError):
        Workspace.create(tmp_path / "file", FOUNDATION, office.access)
    (tmp_path / "empty").mkdir()
    Workspace.create(tmp_path / "empty", FOUNDATION, office.access)
    assert (tmp_path / "empty" / "mingzheng.toml").is_file()
    with pytest.MonkeyPatch.context() as patch:
        (tmp_path / "here").mkdir()
        patch.chdir(tmp_path / "here")
        Workspace.create(Path("."), FOUNDATION, office.access)
    assert (tmp_path / "here" / "mingzheng.toml").is_file()


def test_a_failed_creation_leaves_nothing_and_an_interrupted_one_is_named(office: Office, tmp_path: Path) -> None:
    bad = replace(FOUNDATION, issuers=(replace(CONSTRUCTORS, kinds=()),))
    with pytest.raises(ConfigError):
        Workspace.create(tmp_path / "V", bad, office.access)
    assert not (tmp_path / "V").exists()
    assert not (tmp_path / ".V.init").exists()
    (tmp_path / ".V.init").mkdir()
    with pytest.raises(WorkspaceUnfinishedError) as caught:
        Workspace.create(tmp_path / "V", FOUNDATION, office.access)
    assert ".V.init" in str(caught.value)


def test_killed_anywhere_creation_leaves_a_whole_workspace_or_none(tmp_path: Path) -> None:
    from crashpoints import run

    def make(base: Path) -> None:
        Office(base).build()

    (tmp_path / "count").mkdir()
    points = len(run(lambda _report: make(tmp_path / "count")).points)
    for fatal in range(0, points, 6):
        base = tmp_path / str(fatal)
        base.mkdir()
        run(lambda _report, base=base: make(base), kill_at=fatal)  # type: ignore[misc]
        if (base / "W").exists():
            Office(base).issue([person(1)])
        elif (base / ".W.init").exists():
            with pytest.raises(WorkspaceUnfinishedError):
                make(base)
        else:
            make(base)


@pytest.mark.parametrize("name", ["mingzheng.toml", "ledger.sqlite", "log", "keys"])
def test_says_what_is_missing(office: Office, name: str) -> None:
    os.rename(office.root / name, office.root / "elsewhere")
    with pytest.raises(WorkspaceMissingError, match=name):
        office.open()


def test_one_command_at_a_time(office: Office) -> None:
    with office.open() as workspace:
        with pytest.raises(WorkspaceBusyError):
            office.open()
        workspace.close()
        office.open().close()


def test_a_damaged_settings_file_gives_the_lock_back(office: Office) -> None:
    whole = (office.root / "mingzheng.toml").read_bytes()
    (office.root / "mingzheng.toml").write_bytes(b"?")
    with pytest.raises(ConfigError):
        office.open()
    (office.root / "mingzheng.toml").write_bytes(whole)
    office.open().close()


def test_names_of_demo_logs_say_so() -> None:
    for name in ("demo.example", "test.x/1"):
        check_demo_name(name, demo=True)
        with pytest.raises(DemoNameError):
            check_demo_name(name, demo=False)
    check_demo_name("log.example", demo=False)
    with pytest.raises(DemoNameError):
        check_demo_name("log.example", demo=True)


def test_dates_move_only_in_a_demo(office: Office, tmp_path: Path) -> None:
    with office.open() as workspace:
        workspace.check_as_of()
    real = replace(FOUNDATION, demo=False, origin=OriginRecord(number=1, name="log.example", block_height=4))
    Workspace.create(tmp_path / "real", real, office.access)
    with Workspace.open(tmp_path / "real", office.access) as workspace, pytest.raises(DemoOnlyError):
        workspace.check_as_of()


def test_keys_are_loaded_once_and_only_within_their_days(office: Office) -> None:
    asked: list[int] = []
    access = replace(office.access, passphrase=lambda: (asked.append(1), b"secret")[1])
    with Workspace.open(office.root, access) as workspace:
        assert asked == []
        first = workspace.signer(Role.ACT, 1, DAY)
        assert workspace.signer(Role.ACT, 1, DAY) is first
        assert workspace.log.read_only is None
        assert asked == [1]
        with pytest.raises(KeyMissingError):
            workspace.signer(Role.ACT, 1, DAY + 5_000)
        with pytest.raises(KeyMissingError):
            workspace.signer(Role.ACT, 7, DAY)


def test_a_swapped_key_file_is_noticed(office: Office) -> None:
    keys = office.root / "keys"
    act, credential = (next(keys.glob(f"*-{role}-*")) for role in ("act", "credential"))
    act.write_bytes(credential.read_bytes())
    with office.open() as workspace, pytest.raises(KeyMismatchError):
        workspace.signer(Role.ACT, 1, DAY)


def test_adds_issuers_with_keys_of_their_own(office: Office) -> None:
    with office.open() as workspace:
        workspace.add_issuer(ARCHITECTS, valid_from=DAY, valid_until=DAY + 9)
        assert (
            workspace.signer(Role.CREDENTIAL, 2, DAY).public_key != workspace.signer(Role.CREDENTIAL, 1, DAY).public_key
        )
        with pytest.raises(OptionError):
            workspace.add_issuer(ARCHITECTS, valid_from=DAY, valid_until=DAY + 9)
    with office.open() as workspace:
        assert [spec.number for spec in workspace.config.issuers] == [1, 2]
        assert workspace.issuer_for(3, 0, None) == ARCHITECTS
        assert workspace.issuer_for(1, 31, 1) == CONSTRUCTORS
        for kind, region, number in ((3, 31, None), (3, 0, 1), (9, 0, None)):
            with pytest.raises(UnknownIssuerError):
                workspace.issuer_for(kind, region, number)
        workspace.add_issuer(replace(ARCHITECTS, number=3), valid_from=DAY, valid_until=DAY + 9)
        with pytest.raises(UnknownIssuerError):
            workspace.issuer_for(3, 0, None)
        assert workspace.issuer_for(3, 0, 3).number == 3


def test_images_are_stored_once_and_changes_noticed(office: Office) -> None:
    with office.open() as workspace:
        digest = keep_image(office.root / "images", b"picture")
        assert keep_image(office.root / "images", b"picture") == digest
        assert workspace.read_image(digest) == b"picture"
        assert workspace.read_image(None) is None
        (office.root / "images" / digest.hex()).write_bytes(b"another")
        with pytest.raises(ImageMissingError):
            workspace.read_image(digest)
        with pytest.raises(ImageMissingError):
            workspace.read_image(bytes(32))


def test_profiles_and_fonts_of_the_authority_come_before_the_shipped_ones(office: Office) -> None:
    with office.open() as workspace:
        shipped = workspace.profile_files()
        assert workspace.fallback_font() is None
    (office.root / "profiles").mkdir()
    (office.root / "fonts").mkdir()
    (office.root / "fonts" / "fallback.ttf").write_bytes(b"font")
    name = "cn.safety.0.toml"
    changed = shipped[name].replace("三类人员".encode(), "三类人员".encode()) + b"# ours\n"
    (office.root / "profiles" / name).write_bytes(changed)
    with office.open() as workspace:
        assert workspace.profile_files() == shipped | {name: changed}
        assert workspace.profiles() is workspace.profiles()
        assert workspace.fallback_font() == office.root / "fonts" / "fallback.ttf"


def test_a_copied_workspace_opens_its_log_read_only(office: Office, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(office.root, tmp_path / "copy")
    with Workspace.open(tmp_path / "copy", office.access) as workspace:
        assert isinstance(workspace.log.read_only, RestoredBackupError)


def test_the_verifier_key_of_the_log_names_the_origin(office: Office) -> None:
    with office.open() as workspace:
        assert log_vkey(workspace.config).startswith("test.example/log+")
        for kid, record in workspace.config.key_records().items():
            assert workspace.key_record(kid) == record
        assert workspace.key_record(bytes(8)) is None
        assert NOW


def test_vaults_with_one_seed_make_the_same_keys() -> None:
    one, two = SeededVault("a"), SeededVault("a")
    assert one.generate(Alg.ED25519).public_key == two.generate(Alg.ED25519).public_key


@NEEDS_SM2
def test_an_issuer_with_sm2_issues_with_sm2(tmp_path: Path) -> None:
    """The credential key is made, kept, loaded and used; every other key of the issuer stays Ed25519."""
    office = Office(tmp_path, issuers=(replace(CONSTRUCTORS, credential_alg=Alg.SM2),)).build()
    (issued,) = office.issue([person(1)])
    assert issued.row.state is CopyState.DELIVERED
    with office.open() as workspace:
        key = workspace.signer(Role.CREDENTIAL, 1, DAY).public_key
        assert key.alg is Alg.SM2
        assert workspace.signer(Role.ACT, 1, DAY).public_key.alg is Alg.ED25519
        assert workspace.config.key_records()[key.kid].public_key == key
    with office.open() as workspace:
        first = workspace.config
        workspace.add_issuer(replace(ARCHITECTS, credential_alg=Alg.SM2), valid_from=DAY, valid_until=DAY + 1)
        made = [key for key in workspace.config.keys if key not in first.keys and key.role is Role.CREDENTIAL]
        assert [key.public_key.alg for key in made] == [Alg.SM2]
