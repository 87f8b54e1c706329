"""The publisher's side: roots that wait for their keepers, publications, rotation; stopped anywhere, run again."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import crashpoints
import pytest
from conftest import FULL
from tufworld import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DAY,
    NOW,
    ONLINE,
    ONLINE2,
    RELEASE,
    RELEASE2,
    THIEF,
    signed,
    trust_files,
)

from mingzheng.keys import tufrepo
from mingzheng.keys.durable import locked
from mingzheng.keys.errors import RollbackError, StoreBusyError, StoreWriteError, TrustMalformedError
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.tufclient import FirstRoot, update_store
from mingzheng.keys.tuferrors import (
    TufClockError,
    TufExpiredError,
    TufInForceError,
    TufMissingFileError,
    TufNoRootError,
    TufNotStagedError,
    TufSettingError,
    TufThresholdError,
    TufWrongKeyError,
)
from mingzheng.keys.tuffetch import DirectorySource, ZipSource
from mingzheng.keys.tufmeta import RoleName, parse_root, parse_targets
from mingzheng.keys.tufrepo import (
    Holders,
    Published,
    Waiting,
    add_signature,
    current_root,
    holders_of,
    install,
    parse_signable,
    plan_root,
    publish,
    stage_root,
    write_zip,
)

YEAR = NOW + 365 * DAY


def holders(
    root: Sequence[InMemorySigner] = (ALICE, BOB, CAROL),
    *,
    threshold: int = 2,
    targets: Sequence[InMemorySigner] = (RELEASE,),
    targets_threshold: int = 1,
    online: InMemorySigner = ONLINE,
) -> Holders:
    return Holders(
        root=tuple(one.public_key for one in root),
        threshold=threshold,
        targets=tuple(one.public_key for one in targets),
        targets_threshold=targets_threshold,
        online=online.public_key,
    )


def begin(repo: Path, who: Holders | None = None) -> None:
    """A first root in force."""
    waiting = stage_root(repo, who or holders(), first=True, expires=YEAR)
    assert waiting.path is not None
    sign_all(repo, waiting.path, [ALICE, BOB])


def sign_all(repo: Path, path: Path, signers: Sequence[InMemorySigner]) -> Waiting:
    """Each keeper on a machine of his own, with a copy of the file."""
    current = current_root(repo) if (repo / "metadata" / "1.root.json").exists() else None
    data = path.read_bytes()
    for signer in signers:
        done = install(repo, add_signature(parse_signable(data), signer, current))
    return done


def client(repo: Path, store: Path, *, now: int = NOW) -> int:
    """A verifier's update from the directory; gives the generation."""
    first = FirstRoot(data=(repo / "metadata" / "1.root.json").read_bytes())
    return update_store(store, DirectorySource(repo), first=first, pins=frozenset(), now=now).generation


def published(repo: Path, files: dict[str, bytes] | None, *signers: InMemorySigner, now: int = NOW) -> Published:
    done = publish(repo, files, signers=signers or (RELEASE, ONLINE), now=now)
    assert isinstance(done, Published)
    return done


def test_a_root_comes_into_force_when_enough_have_signed(tmp_path: Path) -> None:
    waiting = stage_root(tmp_path, holders(), first=True, expires=YEAR)
    assert (waiting.role, waiting.version, waiting.missing) == (RoleName.ROOT, 1, (("root", 0, 2),))
    assert waiting.path is not None
    with pytest.raises(TufNoRootError):
        current_root(tmp_path)
    data = waiting.path.read_bytes()
    one = install(tmp_path, add_signature(parse_signable(data), ALICE, None))
    assert one.missing == (("root", 1, 2),)
    two = install(tmp_path, add_signature(parse_signable(data), BOB, None))
    assert two.path is None
    assert current_root(tmp_path).version == 1
    assert not list((tmp_path / "staging").iterdir())
    again = install(tmp_path, add_signature(parse_signable(data), BOB, None))
    assert again.path is None  # it is in force already


def test_the_same_again_keeps_what_is_signed_and_another_begins_anew(tmp_path: Path) -> None:
    path = stage_root(tmp_path, holders(), first=True, expires=YEAR).path
    assert path is not None
    sign_all(tmp_path, path, [ALICE])
    assert stage_root(tmp_path, holders(), first=True, expires=YEAR + DAY).missing == (("root", 1, 2),)
    assert stage_root(tmp_path, holders(threshold=3), first=True, expires=YEAR).missing == (("root", 0, 3),)
    begin(tmp_path)
    with pytest.raises(TufInForceError):
        stage_root(tmp_path, holders(), first=True, expires=YEAR)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0},
        {"threshold": 4},
        {"targets_threshold": 2},
        {"root": (ALICE, ALICE, BOB)},
        {"targets": (ALICE,)},
        {"online": ALICE},
        {"online": RELEASE},
        {"targets": ()},
    ],
)
def test_roots_that_may_not_be(wrong: dict[str, object]) -> None:
    with pytest.raises(TufSettingError):
        plan_root(holders(**wrong), version=1, expires=YEAR)  # type: ignore[arg-type]


def test_holders_come_back_from_a_root() -> None:
    body = plan_root(holders(targets=(RELEASE, RELEASE2), targets_threshold=2), version=1, expires=YEAR)
    assert plan_root(holders_of(body), version=1, expires=YEAR) == body


def test_a_key_without_a_say_does_not_sign(tmp_path: Path) -> None:
    path = stage_root(tmp_path, holders(), first=True, expires=YEAR).path
    assert path is not None
    for signer in (RELEASE, ONLINE, THIEF):
        with pytest.raises(TufWrongKeyError):
            add_signature(parse_signable(path.read_bytes()), signer, None)


def test_what_answers_nothing_that_waits_is_not_taken(tmp_path: Path) -> None:
    begin(tmp_path)
    published(tmp_path, trust_files(generation=1))
    stage_root(tmp_path, holders(threshold=3), first=False, expires=YEAR)
    body = plan_root(holders(threshold=1), version=2, expires=YEAR)
    with pytest.raises(TufNotStagedError):
        install(tmp_path, signed(body, [ALICE, BOB]))
    with pytest.raises(TufNotStagedError):
        install(tmp_path, (tmp_path / "metadata" / "timestamp.json").read_bytes())
    with pytest.raises(TufNotStagedError):
        parse_signable((tmp_path / "metadata" / "1.snapshot.json").read_bytes())
    waiting = (tmp_path / "staging" / "2.root.json").read_bytes()
    with pytest.raises(TufThresholdError):
        install(tmp_path, waiting)  # not signed at all
    with pytest.raises(TufThresholdError):
        install(tmp_path, signed(parse_root(waiting).body, [THIEF]))


def test_publishes_what_a_verifier_takes(tmp_path: Path) -> None:
    repo, store = tmp_path / "repo", tmp_path / "store"
    begin(repo)
    files = trust_files(generation=1, extra={"status/1.cbor": b"a"})
    done = published(repo, files)
    assert (done.root_version, done.targets_version, done.snapshot_version, done.timestamp_version) == (1, 1, 1, 1)
    assert done.expires == NOW + 2 * DAY
    assert client(repo, store) == 1
    assert load_store(store).files == files
    assert published(repo, files) == Published(
        root_version=1, targets_version=1, snapshot_version=1, timestamp_version=2, expires=NOW + 2 * DAY
    )
    assert published(repo, trust_files(generation=2)).targets_version == 2
    assert client(repo, store) == 2


def test_a_new_date_needs_the_online_key_only(tmp_path: Path) -> None:
    begin(tmp_path)
    with pytest.raises(TufMissingFileError):
        publish(tmp_path, None, signers=[ONLINE], now=NOW)
    published(tmp_path, trust_files(generation=1))
    done = published(tmp_path, None, ONLINE, now=NOW + 4 * DAY)
    assert (done.targets_version, done.snapshot_version, done.timestamp_version) == (1, 2, 2)
    waiting = publish(tmp_path, None, signers=[ONLINE], now=NOW + 60 * DAY)  # the targets near their end
    assert isinstance(waiting, Waiting)
    assert waiting.missing == (("targets", 0, 1),)
    assert published(tmp_path, None, RELEASE, ONLINE, now=NOW + 60 * DAY).targets_version == 2


def test_what_may_not_be_published(tmp_path: Path) -> None:
    with pytest.raises(TufNoRootError):
        publish(tmp_path, trust_files(generation=1), signers=[RELEASE, ONLINE], now=NOW)
    begin(tmp_path)
    with pytest.raises(TrustMalformedError):
        publish(tmp_path, {"a": b""}, signers=[RELEASE, ONLINE], now=NOW)
    with pytest.raises(TufWrongKeyError):
        publish(tmp_path, trust_files(generation=5), signers=[RELEASE, THIEF], now=NOW)
    published(tmp_path, trust_files(generation=5))
    for files in (trust_files(generation=4), trust_files(generation=5, extra={"seals.json": b"{}"})):
        with pytest.raises(RollbackError):
            publish(tmp_path, files, signers=[RELEASE, ONLINE], now=NOW)
    with pytest.raises(TufExpiredError):
        publish(tmp_path, None, signers=[RELEASE, ONLINE], now=YEAR)
    before = (tmp_path / "metadata" / "timestamp.json").read_bytes()
    with pytest.raises(TrustMalformedError):  # a verifier would refuse it: nothing comes into force
        bad = trust_files(generation=6)
        bad["trust.json"] = bad["trust.json"].replace(b"made_at", b"made_on")
        publish(tmp_path, bad, signers=[RELEASE, ONLINE], now=NOW)
    assert (tmp_path / "metadata" / "timestamp.json").read_bytes() == before


def test_trust_data_ahead_of_the_clock_are_not_published(tmp_path: Path) -> None:
    begin(tmp_path)
    with pytest.raises(TufClockError):
        publish(tmp_path, trust_files(generation=1, made_at=NOW + 301), signers=[RELEASE, ONLINE], now=NOW)
    assert not (tmp_path / "metadata" / "timestamp.json").exists()
    assert published(tmp_path, trust_files(generation=1, made_at=NOW + 300)).timestamp_version == 1


def test_targets_signed_offline_by_two(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    begin(repo, holders(targets=(RELEASE, RELEASE2), targets_threshold=2))
    files = trust_files(generation=1)
    waiting = publish(repo, files, signers=[ONLINE], now=NOW)
    assert isinstance(waiting, Waiting)
    assert waiting.missing == (("targets", 0, 2),)
    assert waiting.path is not None
    data = waiting.path.read_bytes()
    with pytest.raises(TufWrongKeyError):
        add_signature(parse_signable(data), ONLINE, current_root(repo))
    with pytest.raises(TufWrongKeyError):
        add_signature(parse_signable(data), RELEASE, None)
    one = install(repo, add_signature(parse_signable(data), RELEASE, current_root(repo)))
    assert one.missing == (("targets", 1, 2),)
    assert isinstance(publish(repo, files, signers=[ONLINE], now=NOW), Waiting)
    two = install(repo, add_signature(parse_signable(data), RELEASE2, current_root(repo)))
    assert two.missing == ()
    assert published(repo, files, ONLINE).targets_version == 1
    assert not list((repo / "staging").iterdir())
    assert client(repo, tmp_path / "store") == 1
    other = publish(repo, trust_files(generation=2), signers=[RELEASE, ONLINE], now=NOW)
    assert isinstance(other, Waiting)
    assert other.missing == (("targets", 1, 2),)


def test_rotation_takes_verifiers_along(tmp_path: Path) -> None:
    """A keeper goes, the online key and the publisher's key are replaced; a verifier that missed it all follows."""
    repo, store = tmp_path / "repo", tmp_path / "store"
    begin(repo)
    published(repo, trust_files(generation=1))
    client(repo, store)
    changes: list[tuple[Holders, list[InMemorySigner]]] = [
        (holders((ALICE, BOB, DAVE)), [ALICE, BOB]),
        (holders((ALICE, BOB, DAVE), online=ONLINE2), [ALICE, DAVE]),
        (holders((BOB, DAVE, CAROL), threshold=2, targets=(RELEASE2,), online=ONLINE2), [BOB, DAVE]),
    ]
    for who, signers in changes:
        waiting = stage_root(repo, who, first=False, expires=YEAR)
        assert waiting.path is not None
        assert {name for name, _, _ in waiting.missing} == {"old root", "root"}
        assert sign_all(repo, waiting.path, signers).path is None
    with pytest.raises(TufWrongKeyError):
        publish(repo, trust_files(generation=2), signers=[RELEASE2, ONLINE], now=NOW)
    done = published(repo, trust_files(generation=2), RELEASE2, ONLINE2)
    assert done.root_version == 4
    assert client(repo, store) == 2


def test_after_the_publishers_key_has_gone_the_same_files_are_signed_anew(tmp_path: Path) -> None:
    begin(tmp_path)
    published(tmp_path, trust_files(generation=1))
    waiting = stage_root(tmp_path, holders(targets=(RELEASE2,)), first=False, expires=YEAR)
    assert waiting.path is not None
    sign_all(tmp_path, waiting.path, [ALICE, BOB])
    assert isinstance(publish(tmp_path, None, signers=[RELEASE, ONLINE], now=NOW), Waiting)
    assert published(tmp_path, None, RELEASE2, ONLINE).targets_version == 2


def test_a_zip_holds_what_is_in_force_and_nothing_else(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    begin(repo)
    with pytest.raises(TufMissingFileError):
        write_zip(repo, tmp_path / "a.zip")
    published(repo, trust_files(generation=1, extra={"seals.json": b"old"}))
    files = trust_files(generation=2, extra={"status/1.cbor": b"a"})
    published(repo, files)
    write_zip(repo, tmp_path / "a.zip")
    write_zip(repo, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert len(archive.namelist()) == 4 + len(files)
    first = FirstRoot(data=(repo / "metadata" / "1.root.json").read_bytes())
    source = ZipSource(tmp_path / "a.zip")
    done = update_store(tmp_path / "store", source, first=first, pins=frozenset(), now=NOW)
    assert done.generation == 2


def test_what_the_system_refuses_is_named(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    begin(repo)
    published(repo, trust_files(generation=1))
    with pytest.raises(StoreWriteError):
        write_zip(repo, tmp_path / "nowhere" / "a.zip")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreWriteError):
        stage_root(tmp_path / "file", holders(), first=True, expires=YEAR)


def test_repository_and_store_may_be_reached_over_links(tmp_path: Path) -> None:
    for name in ("repo", "store"):
        (tmp_path / f"{name} itself").mkdir()
        (tmp_path / name).symlink_to(tmp_path / f"{name} itself")
    begin(tmp_path / "repo")
    published(tmp_path / "repo", trust_files(generation=1))
    assert client(tmp_path / "repo", tmp_path / "store") == 1


def test_every_directory_of_a_file_is_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[Path] = set()
    monkeypatch.setattr(tufrepo, "sync_directory", synced.add)
    begin(tmp_path)
    published(tmp_path, trust_files(generation=1, extra={"a/b/c": b"deep"}))
    assert {tmp_path, tmp_path / "targets", tmp_path / "targets/a"} <= synced


def test_a_zip_of_a_publication_with_a_hole_is_not_written(tmp_path: Path) -> None:
    begin(tmp_path / "repo")
    published(tmp_path / "repo", trust_files(generation=1))
    next((tmp_path / "repo/targets").glob("*.trust.json")).unlink()
    with pytest.raises(TufMissingFileError):
        write_zip(tmp_path / "repo", tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_other_trust_data_take_the_place_of_what_waits(tmp_path: Path) -> None:
    begin(tmp_path, holders(targets=(RELEASE, RELEASE2), targets_threshold=2))
    for generation in (1, 2):
        waiting = publish(tmp_path, trust_files(generation=generation), signers=[RELEASE, ONLINE], now=NOW)
        assert isinstance(waiting, Waiting)
        assert (waiting.version, waiting.missing) == (1, (("targets", 1, 2),))


def test_one_publisher_at_a_time(tmp_path: Path) -> None:
    begin(tmp_path)
    with locked(tmp_path), pytest.raises(StoreBusyError):
        publish(tmp_path, trust_files(generation=1), signers=[RELEASE, ONLINE], now=NOW)


def test_a_stop_anywhere_leaves_the_old_publication_or_the_new(tmp_path: Path) -> None:
    """Killed before every call that changes the disk and in the midst of every write; verifiers never see a half."""
    base = tmp_path / "base"
    begin(base)
    published(base, trust_files(generation=1))
    files = trust_files(generation=2, extra={"status/1.cbor": b"a"})

    def fresh(number: int) -> Path:
        return Path(shutil.copytree(base, tmp_path / str(number)))

    start = fresh(0)
    points = crashpoints.run(lambda report: published(start, files) and None).points
    kills = [(at, when) for at, name in enumerate(points) for when in ("before", "torn")[: 1 + (name == "os.write")]]
    assert len(kills) > 30
    for number, (at, when) in enumerate(kills if FULL else kills[::7], start=1):
        repo = fresh(number)
        done = crashpoints.run(lambda report, repo=repo: published(repo, files) and None, kill_at=at, when=when)
        assert done.killed
        assert client(repo, tmp_path / f"{number}-store") in (1, 2)
        assert published(repo, files).targets_version == 2
        assert client(repo, tmp_path / f"{number}-store") == 2


def test_a_stop_in_a_rotation_is_gone_on_from(tmp_path: Path) -> None:
    base = tmp_path / "base"
    begin(base)
    waiting = stage_root(base, holders((ALICE, BOB, DAVE)), first=False, expires=YEAR)
    assert waiting.path is not None
    data = waiting.path.read_bytes()
    for signer in (ALICE, BOB):
        data = add_signature(parse_signable(data), signer, current_root(base))
    points = crashpoints.run(lambda report: install(Path(shutil.copytree(base, tmp_path / "0")), data) and None).points
    for at in range(0, len(points), 1 if FULL else 3):
        repo = Path(shutil.copytree(base, tmp_path / f"r{at}"))
        crashpoints.run(lambda report, repo=repo: install(repo, data) and None, kill_at=at)
        assert install(repo, data).path is None
        assert current_root(repo).version == 2
        stage_root(repo, holders((ALICE, BOB, DAVE)), first=False, expires=YEAR + DAY)


def test_targets_that_wait_too_long_are_made_anew(tmp_path: Path) -> None:
    begin(tmp_path, holders(targets=(RELEASE, RELEASE2), targets_threshold=2))
    publish(tmp_path, trust_files(generation=1), signers=[RELEASE, ONLINE], now=NOW)
    late = NOW + 80 * DAY
    waiting = publish(tmp_path, trust_files(generation=1), signers=[ONLINE], now=late)
    assert isinstance(waiting, Waiting)
    assert waiting.missing == (("targets", 0, 2),)
    assert waiting.path is not None
    assert parse_targets(waiting.path.read_bytes()).body.expires == late + 90 * DAY
