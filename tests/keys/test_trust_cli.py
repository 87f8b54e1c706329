"""The commands of trust data over TUF, as the people of the ceremony use them."""

import dataclasses
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tufworld import trust_files

from mingzheng.keys import trust_cli
from mingzheng.keys.cli import trust_group
from mingzheng.keys.errors import KeysError
from mingzheng.keys.pins import VARIABLE
from mingzheng.keys.snapshot import save_store
from mingzheng.keys.tuferrors import TufSettingError
from mingzheng.keys.tufmeta import key_id, parse_public_key_file, parse_root, parse_targets, write_root

NOW = int(time.time())
NAMES = ("alice", "bob", "carol", "dave", "release", "online", "online2")


class Desk:
    """A directory, a passphrase, and the command."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.secret = home / "secret"
        self.secret.write_text("a passphrase for tests\n")
        self.secret.chmod(0o600)
        (home / "exported").mkdir()
        save_store(home / "exported", trust_files(generation=1, made_at=NOW))

    def run(self, *words: str, answer: str = "") -> Result:
        result = CliRunner().invoke(trust_group, [*words], input=answer)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def signing(self, *words: str, answer: str = "") -> Result:
        return self.run(*words, "--passphrase-file", str(self.secret), answer=answer)

    def path(self, name: str) -> str:
        return str(self.home / name)

    def keyid(self, name: str) -> str:
        return key_id(parse_public_key_file((self.home / f"{name}.pub").read_bytes()))

    def init(self) -> Result:
        roots = [word for name in ("alice", "bob", "carol") for word in ("--root", self.path(f"{name}.pub"))]
        others = ["--targets", self.path("release.pub"), "--online", self.path("online.pub")]
        return self.run("init", self.path("pub"), *roots, "--threshold", "2", *others)

    def sign(self, name: str, version: int, *more: str, answer: str = "y\n") -> Result:
        file, out = self.path(f"pub/staging/{version}.root.json"), self.path(f"{version}.{name}.json")
        return self.signing("sign", file, "--key", self.path(f"{name}.key"), "--out", out, *more, answer=answer)

    def install(self, version: int, *names: str) -> Result:
        return self.run("install", self.path("pub"), *(self.path(f"{version}.{name}.json") for name in names))

    def begin(self, begun: Path) -> None:
        shutil.copytree(begun, self.home / "pub")

    def publish(self, *more: str, online: str = "online") -> Result:
        keys = ["--key", self.path("release.key"), "--key", self.path(f"{online}.key")]
        return self.signing("publish", self.path("pub"), *keys, *more)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are made once: a passphrase takes a fifth of a second each time."""
    desk = Desk(tmp_path_factory.mktemp("keys"))
    for name in NAMES:
        result = desk.signing("key", desk.path(f"{name}.key"))
        assert result.stdout.split() == [desk.keyid(name), desk.path(f"{name}.pub")]
    return desk.home


@pytest.fixture(scope="module")
def begun(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose first root is in force, signed once for all tests that go on from there."""
    home = tmp_path_factory.mktemp("begun") / "desk"
    shutil.copytree(keys, home, ignore=shutil.ignore_patterns("exported"))
    desk = Desk(home)
    desk.init()
    for name in ("alice", "bob"):
        desk.sign(name, 1)
    assert "已生效" in desk.install(1, "alice", "bob").stdout
    return home / "pub"


@pytest.fixture
def desk(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "pins"))
    for name in NAMES:
        (tmp_path / f"{name}.pub").write_bytes((keys / f"{name}.pub").read_bytes())
        descriptor = os.open(tmp_path / f"{name}.key", os.O_WRONLY | os.O_CREAT, 0o600)
        with open(descriptor, "wb") as file:
            file.write((keys / f"{name}.key").read_bytes())
    return Desk(tmp_path)


def test_a_ceremony_a_publication_and_a_verifier(desk: Desk) -> None:
    waiting = desk.init()
    assert (waiting.exit_code, waiting.stdout.strip()) == (3, desk.path("pub/staging/1.root.json"))
    assert "0/2" in waiting.stderr
    said = desk.sign("alice", 1).stderr
    body = parse_root((desk.home / "pub/staging/1.root.json").read_bytes())
    for word in ("根 root 1", body.fingerprint, " 天 days", desk.keyid("carol")):
        assert word in said
    half = desk.install(1, "alice")
    assert (half.exit_code, "1/2" in half.stderr) == (3, True)
    desk.sign("bob", 1)
    assert desk.install(1, "bob").exit_code == 0
    done = desk.publish("--trust", desk.path("exported"), "--json", "--zip", desk.path("trust.zip"))
    assert json.loads(done.stdout)["timestamp"] == 1
    first = desk.run("update", desk.path("store"), "--from", desk.path("pub"), "--root", body.fingerprint)
    assert "已更新" in first.stderr
    again = desk.run("update", desk.path("store"), "--from", desk.path("trust.zip"), "--json")
    assert json.loads(again.stdout)["changed"] is False
    assert "已是最新" in desk.run("update", desk.path("store"), "--from", desk.path("pub")).stderr
    shown = desk.run("show", desk.path("store")).stdout
    assert "经 TUF" in shown
    assert body.fingerprint in shown
    assert "时间戳 timestamp 2" in desk.publish().stdout


def test_the_first_root_as_a_file(desk: Desk, begun: Path) -> None:
    desk.begin(begun)
    desk.publish("--trust", desk.path("exported"))
    with pytest.raises(KeysError) as caught:
        desk.run("update", desk.path("store"), "--from", desk.path("pub"))
    assert caught.value.code == "tuf.no_root"
    root = desk.path("pub/metadata/1.root.json")
    assert desk.run("update", desk.path("store"), "--from", desk.path("pub"), "--root", root).exit_code == 0


def test_who_says_no_signs_nothing(desk: Desk) -> None:
    desk.init()
    assert desk.sign("alice", 1, answer="n\n").exit_code == 1
    assert not (desk.home / "1.alice.json").exists()


def test_a_rotation_says_who_comes_and_who_goes(desk: Desk, begun: Path) -> None:
    desk.begin(begun)
    desk.publish("--trust", desk.path("exported"))
    change = ["--remove-root", desk.keyid("carol").upper(), "--add-root", desk.path("dave.pub")]
    more = ["--threshold", "3", "--online", desk.path("online2.pub")]
    assert desk.run("rotate", desk.path("pub"), *change, *more).exit_code == 3
    current = ["--current", desk.path("pub/metadata/1.root.json")]
    with pytest.raises(KeysError) as caught:
        desk.sign("alice", 2)
    assert caught.value.code == "tuf.bad_setting"
    shown = desk.sign("alice", 2, *current).stderr
    assert f"- 移除 removed {desk.keyid('carol')}" in shown
    assert f"+ 新增 added {desk.keyid('dave')}" in shown
    assert "2 → 3" in shown
    for name in ("bob", "dave"):
        desk.sign(name, 2, *current, "--yes")
    assert desk.install(2, "alice", "bob", "dave").exit_code == 0
    with pytest.raises(KeysError) as caught:
        desk.publish()
    assert caught.value.code == "tuf.wrong_key"
    assert desk.publish(online="online2").stdout.startswith("根 root 2")


def test_a_renewal_of_the_publishers_keys_alone(desk: Desk, begun: Path) -> None:
    desk.begin(begun)
    assert desk.run("rotate", desk.path("pub"), "--targets", desk.path("dave.pub")).exit_code == 3
    with pytest.raises(KeysError) as caught:
        desk.run("rotate", desk.path("pub"), "--remove-root", "0" * 64)
    assert caught.value.code == "tuf.bad_setting"


def test_targets_signed_away_from_the_publisher(desk: Desk, begun: Path) -> None:
    desk.begin(begun)
    words = ["publish", desk.path("pub"), "--trust", desk.path("exported"), "--key", desk.path("online.key")]
    waiting = desk.signing(*words)
    assert (waiting.exit_code, "0/1" in waiting.stderr) == (3, True)
    file = waiting.stdout.strip()
    sign = ["sign", file, "--key", desk.path("release.key"), "--yes"]
    with pytest.raises(KeysError):
        desk.signing(*sign)
    shown = desk.signing(*sign, "--current", desk.path("pub/metadata/1.root.json"))
    assert parse_targets(Path(file).read_bytes()).signatures
    assert "信任数据指纹" in shown.stderr
    told = desk.run("install", desk.path("pub"), file)
    assert (told.exit_code, told.stdout.strip()) == (0, file)
    assert desk.signing(*words).exit_code == 0


def test_what_is_signed_by_hand_is_said_only_against_its_predecessor(desk: Desk, begun: Path) -> None:
    desk.begin(begun)
    desk.run("rotate", desk.path("pub"), "--days", "30")
    third = parse_root((desk.home / "pub/staging/2.root.json").read_bytes()).body
    (desk.home / "3.json").write_bytes(write_root(dataclasses.replace(third, version=3), {}))
    with pytest.raises(KeysError) as caught:
        words = ["--key", desk.path("alice.key"), "--current", desk.path("pub/metadata/1.root.json")]
        desk.signing("sign", desk.path("3.json"), *words)
    assert caught.value.code == "tuf.bad_setting"


def test_without_the_tuf_library_the_rest_works(desk: Desk, begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.begin(begun)
    monkeypatch.setitem(sys.modules, "mingzheng.keys.tufclient", None)
    with pytest.raises(KeysError) as caught:
        desk.publish("--trust", desk.path("exported"))
    assert caught.value.code == "tuf.not_installed"
    with pytest.raises(KeysError) as caught:
        desk.run("update", desk.path("store"), "--from", desk.path("pub"))
    assert caught.value.code == "tuf.not_installed"


def test_a_passphrase_is_asked_for_where_none_is_given(desk: Desk) -> None:
    desk.init()
    with pytest.raises(KeysError) as caught:
        desk.run("sign", desk.path("pub/staging/1.root.json"), "--key", desk.path("alice.key"), "--yes")
    assert caught.value.code == "custody.bad_passphrase"


def test_one_descriptor_opens_every_key(desk: Desk) -> None:
    read, write = os.pipe()
    os.write(write, desk.secret.read_bytes())
    os.close(write)
    paths = tuple(Path(desk.path(f"{name}.key")) for name in ("release", "online"))
    opened = trust_cli._signers(paths, {"passphrase_file": None, "passphrase_fd": read})
    os.close(read)
    assert [key_id(one.public_key) for one in opened] == [desk.keyid("release"), desk.keyid("online")]


def test_a_mistyped_fingerprint_is_a_matter_of_usage(desk: Desk, begun: Path) -> None:
    desk.begin(begun)
    done = desk.run("update", desk.path("store"), "--from", desk.path("pub"), "--root", "1f0c")
    assert done.exit_code == 2
    assert "指纹" in done.stderr
    assert not Path(desk.path("store")).exists()


def test_a_threshold_of_nought_is_not_passed_over(desk: Desk, begun: Path) -> None:
    desk.begin(begun)
    for name in ("--threshold", "--targets-threshold"):
        with pytest.raises(TufSettingError):
            desk.run("rotate", desk.path("pub"), name, "0")
