"""A store brought forward over TUF: what it takes, what it remembers, what it promises; the drills of the root."""

import dataclasses
import json
import shutil
from pathlib import Path

import crashpoints
import pytest
from conftest import FULL
from tuf.api.exceptions import DownloadError, RepositoryError
from tufworld import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DAY,
    EVE,
    NOW,
    ONLINE2,
    RELEASE2,
    THIEF,
    World,
    make_root,
    signed,
    trust_files,
)

from mingzheng.keys import tufclient
from mingzheng.keys.errors import KeysError, RollbackError, StoreDamagedError, TrustError
from mingzheng.keys.snapshot import SEEN, SIGNED, load_store, save_store, writing
from mingzheng.keys.tufchain import Evidence, format_evidence, open_evidence, parse_evidence
from mingzheng.keys.tufclient import FirstRoot, Updated, check_publication, update_store
from mingzheng.keys.tuferrors import (
    TufClockError,
    TufError,
    TufExpiredError,
    TufMissingFileError,
    TufMixedError,
    TufNoRootError,
    TufOldThresholdError,
    TufRefusedError,
    TufRollbackError,
    TufRootGapError,
    TufRootUnknownError,
    TufThresholdError,
)
from mingzheng.keys.tuffetch import MemorySource
from mingzheng.keys.tufmeta import RoleName, listed, parse_root, parse_timestamp


class Counting(MemorySource):
    """A mirror that says what was asked of it."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.asked: list[str] = []

    def read(self, path: str, *, most: int) -> bytes:
        self.asked.append(path)
        return super().read(path, most=most)


class Client:
    """A verifier's store and the pins of its machine."""

    def __init__(self, directory: Path, world: World) -> None:
        self.directory, self.world = directory, world
        self.pins = frozenset({parse_root(world.first).fingerprint})
        self.update(first=FirstRoot(data=world.first))

    def update(self, *, first: FirstRoot | None = None, now: int = NOW) -> Updated:
        self.source = Counting(self.world.files)
        return update_store(self.directory, self.source, first=first, pins=self.pins, now=now)

    @property
    def signed(self) -> bool:
        return load_store(self.directory, pins=self.pins).signed_by_tuf

    @property
    def generation(self) -> int:
        return load_store(self.directory, pins=self.pins).data.generation


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(tmp_path: Path, world: World) -> Client:
    return Client(tmp_path / "store", world)


def test_follows_publications(client: Client, world: World) -> None:
    world.publish(trust_files(generation=2, extra={"status/1.cbor": b"a", "profiles/x.toml": b""}))
    done = client.update()
    stored = load_store(client.directory, pins=client.pins)
    assert (done.changed, done.generation, done.fingerprint) == (True, 2, stored.fingerprint)
    assert stored.files == world.trust
    assert stored.expires == done.expires == NOW + 2 * DAY
    assert stored.first_root == done.first_root
    assert client.signed
    assert not client.update().changed


def test_files_at_hand_are_not_fetched_again(client: Client, world: World) -> None:
    world.publish(trust_files(generation=2, extra={"status/1.cbor": b"a", "status/2.cbor": b"b"}))
    client.update()
    world.publish(trust_files(generation=3, extra={"status/1.cbor": b"a", "status/2.cbor": b"c"}))
    client.update()
    assert len([path for path in client.source.asked if path.startswith("targets/")]) == 2


def test_a_new_date_alone_replaces_the_evidence_only(client: Client, world: World) -> None:
    world.now += DAY
    world.put_timestamp()
    assert not client.update(now=NOW + DAY).changed
    assert load_store(client.directory, pins=client.pins).expires == NOW + 3 * DAY


def test_an_unsigned_store_becomes_signed_with_the_same_files(tmp_path: Path, world: World) -> None:
    save_store(tmp_path, world.trust)
    done = update_store(
        tmp_path, MemorySource(world.files), first=FirstRoot(data=world.first), pins=frozenset(), now=NOW
    )
    assert not done.changed
    assert load_store(tmp_path, pins={done.first_root}).signed_by_tuf


def test_saving_by_hand_makes_it_unsigned_again(client: Client) -> None:
    save_store(client.directory, trust_files(generation=2))
    assert not client.signed


# First roots and pins


def test_the_first_root_by_its_fingerprint_is_looked_for(tmp_path: Path, world: World) -> None:
    third = [world.rotate(), world.rotate()][-1]
    world.publish(trust_files(generation=2))
    first = FirstRoot(fingerprint=parse_root(third).fingerprint)
    done = update_store(tmp_path, MemorySource(world.files), first=first, pins=frozenset(), now=NOW)
    assert (done.root_version, done.first_root) == (3, first.fingerprint)
    assert load_store(tmp_path, pins={done.first_root}).signed_by_tuf


def test_no_first_root_no_update(tmp_path: Path, world: World) -> None:
    source = MemorySource(world.files)
    with pytest.raises(TufNoRootError):
        update_store(tmp_path, source, first=None, pins=frozenset(), now=NOW)
    with pytest.raises(TufRootUnknownError):
        update_store(tmp_path, source, first=FirstRoot(fingerprint="0" * 64), pins=frozenset(), now=NOW)
    with pytest.raises(TufThresholdError):
        first = FirstRoot(data=signed(make_root(1), [ALICE]))
        update_store(tmp_path, source, first=first, pins=frozenset(), now=NOW)


def test_a_mirror_with_roots_without_end_is_not_searched_for_ever(tmp_path: Path, world: World) -> None:
    class Endless(MemorySource):
        def read(self, path: str, *, most: int) -> bytes:
            return world.first

    with pytest.raises(TufRootUnknownError):
        update_store(tmp_path, Endless({}), first=FirstRoot(fingerprint="0" * 64), pins=frozenset(), now=NOW)


def test_a_store_of_another_machine_needs_the_fingerprint_again(client: Client, world: World) -> None:
    pins, client.pins = client.pins, frozenset()
    assert not client.signed
    with pytest.raises(TufRootUnknownError):
        client.update()
    client.update(first=FirstRoot(fingerprint=next(iter(pins))))


def test_a_root_in_the_middle_of_the_chain_confirms_it(client: Client, world: World) -> None:
    second = world.rotate()
    client.update()
    done = client.update(first=FirstRoot(data=second))
    assert {done.first_root} == client.pins


def test_a_forged_beginning_before_a_true_root_is_dropped(tmp_path: Path, world: World) -> None:
    """A thief makes a root 1 that names the true keepers beside himself, so that the true root 2 follows from it."""
    second = world.rotate()
    world.publish(trust_files(generation=2))
    forged = signed(make_root(1, root=[THIEF, ALICE, BOB, CAROL], threshold=1), [THIEF])
    with writing(tmp_path) as writer:
        writer.remember(Evidence(roots=(forged, second)))
    true = parse_root(second).fingerprint
    first = FirstRoot(fingerprint=true)
    done = update_store(tmp_path, MemorySource(world.files), first=first, pins=frozenset(), now=NOW)
    assert done.first_root == true


def test_a_wrong_root_given_once_does_not_displace_the_right_memory(client: Client, world: World) -> None:
    other = World()
    other.files.clear()
    for version in range(1, 5):
        other.add_root(make_root(version, root=[DAVE, EVE]), [DAVE, EVE])
    client.world = other
    with pytest.raises(TufMissingFileError):
        client.update(first=FirstRoot(data=other.first))
    client.world = world
    world.publish(trust_files(generation=2))
    assert client.update().generation == 2


def test_an_update_that_broke_off_between_snapshot_and_targets_goes_on(client: Client, world: World) -> None:
    world.publish(trust_files(generation=2))
    held = world.files.pop("metadata/2.targets.json")
    with pytest.raises(TufError):
        client.update()
    world.files["metadata/2.targets.json"] = held
    assert client.update().generation == 2
    assert "metadata/2.snapshot.json" not in client.source.asked


# What no edit of a store can do


def _thief(world: World) -> Evidence:
    """A whole publication of the same files under the thief's own root."""
    body = make_root(1, root=[THIEF], threshold=1, targets=[RELEASE2], online=ONLINE2)
    world.online, world.release = ONLINE2, (RELEASE2,)
    world.add_root(body, [THIEF])
    world.publish(world.trust)
    return world.evidence()


def test_a_store_under_another_root_is_unsigned(client: Client) -> None:
    evidence = _thief(World())
    path = client.directory / "generations" / "1" / SIGNED
    path.write_bytes(format_evidence(evidence))
    stored = load_store(client.directory, pins=client.pins)
    assert not stored.signed_by_tuf
    assert stored.first_root == parse_root(evidence.roots[0]).fingerprint


def test_evidence_of_other_files_is_refused(tmp_path: Path, world: World) -> None:
    save_store(tmp_path, trust_files(generation=1, extra={"seals.json": b"{}"}))
    (tmp_path / "generations" / "1" / SIGNED).write_bytes(format_evidence(world.evidence()))
    with pytest.raises(StoreDamagedError):
        load_store(tmp_path, pins={parse_root(world.first).fingerprint})


def test_a_store_signed_by_hand_with_every_part_forged_is_never_signed(tmp_path: Path, world: World) -> None:
    """The true first root, and all below it by a thief: his root 2, his targets, his timestamp."""
    pins = {parse_root(world.first).fingerprint}
    forged = World()
    forged.files["metadata/2.root.json"] = signed(make_root(2, root=[THIEF], threshold=1), [THIEF])
    forged.publish(trust_files(generation=7))
    save_store(tmp_path, forged.trust)
    path = tmp_path / "generations" / "7" / SIGNED
    good = forged.evidence()
    bad = [
        dataclasses.replace(good, roots=(world.first, forged.files["metadata/2.root.json"])),
        dataclasses.replace(good, roots=()),
        dataclasses.replace(good, targets=None),
        dataclasses.replace(good, targets=world.targets),
        dataclasses.replace(good, snapshot=world.snapshot),
    ]
    forged.release = (THIEF,)
    forged.publish(trust_files(generation=7))
    bad.append(forged.evidence())
    for evidence in bad:
        path.write_bytes(format_evidence(evidence))
        with pytest.raises(KeysError):
            load_store(tmp_path, pins=pins)
    path.write_bytes(format_evidence(good))
    assert load_store(tmp_path, pins=pins).signed_by_tuf


def test_every_step_of_the_evidence_is_judged_without_a_clock(world: World) -> None:
    """Each part by the keys of its role and by the part above it; a root that the snapshot names is among the roots."""
    world.rotate()
    world.publish(trust_files(generation=2))
    good = world.evidence()
    timestamp, targets = parse_timestamp(good.timestamp or b"").body, listed(world.targets, 2)
    assert len(open_evidence(good).roots) == 2
    world.put_snapshot(targets=targets, root=listed(b"another root", 2))
    other_root = world.evidence()
    bad: list[tuple[type[TufError], Evidence]] = [
        (TufThresholdError, dataclasses.replace(good, timestamp=signed(timestamp, [THIEF]))),
        (TufRootGapError, dataclasses.replace(good, roots=good.roots[:1])),
        (TufMixedError, other_root),
        (TufMixedError, dataclasses.replace(good, snapshot=other_root.snapshot)),
    ]
    for error, evidence in bad:
        with pytest.raises(error):
            open_evidence(evidence)


def test_every_byte_of_the_evidence_counts_or_changes_nothing(client: Client) -> None:
    path = client.directory / "generations" / "1" / SIGNED
    whole, before = path.read_bytes(), load_store(client.directory, pins=client.pins)
    for at in range(0, len(whole), 7 if FULL else 29):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            stored = load_store(client.directory, pins=client.pins)
        except TrustError:
            continue
        assert stored.files == before.files  # white space, or the same root a byte of whose signature is spare
        assert not stored.signed_by_tuf or stored.evidence is not None


ROOT_ONLY = b'{"version":1,"roots":[%s],"timestamp":null,"snapshot":null,"targets":null}'


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"version":2}', *(ROOT_ONLY % root for root in (b"", b'"!"', b'"A"', b'"e30"'))],
)
def test_evidence_has_one_form(client: Client, data: bytes) -> None:
    (client.directory / "generations" / "1" / SIGNED).write_bytes(data)
    with pytest.raises(TufError):
        load_store(client.directory, pins=client.pins)


def test_evidence_comes_back_as_it_was(world: World) -> None:
    for evidence in (world.evidence(), Evidence(roots=(world.first,))):
        assert parse_evidence(format_evidence(evidence)) == evidence
    assert open_evidence(world.evidence()).evidence() == world.evidence()


# Memory


def test_a_new_root_is_remembered_though_the_update_failed(client: Client, world: World) -> None:
    world.rotate(online=ONLINE2)
    with pytest.raises(TufThresholdError):
        client.update()  # the timestamp is still the old key's
    del world.files["metadata/2.root.json"]
    with pytest.raises(TufThresholdError):
        client.update()  # and the mirror cannot make it forget
    assert client.generation == 1


def test_without_its_memory_a_store_still_goes_by_its_evidence(client: Client, world: World) -> None:
    world.publish(trust_files(generation=2))
    client.update()
    old = World()
    broken = Evidence(roots=(old.first, signed(make_root(2, root=[THIEF], threshold=1), [THIEF])))
    for spoil in (b"", b"{", format_evidence(old.evidence()), format_evidence(broken)):
        (client.directory / SEEN).write_bytes(spoil)
        client.world = old
        with pytest.raises(TufRollbackError):
            client.update()
    (client.directory / SEEN).unlink()
    with pytest.raises(TufRollbackError):
        client.update()


def test_memory_alone_holds_too(tmp_path: Path, world: World) -> None:
    pins = {parse_root(world.first).fingerprint}
    old = dict(world.files)
    world.publish(trust_files(generation=2))
    with writing(tmp_path) as writer:
        assert writer.seen() is None
        writer.remember(world.evidence())
    with pytest.raises(TufRollbackError):
        update_store(tmp_path, MemorySource(old), first=None, pins=pins, now=NOW)


def test_a_publication_caught_between_root_and_timestamp_is_taken(client: Client, world: World) -> None:
    """The new root is out, the snapshot still lists the one before: nothing was hidden."""
    world.rotate()
    world.put_timestamp()
    assert client.update().root_version == 2


# Drills (acceptance: key drills of the root)


def test_drill_fast_forward_by_a_stolen_online_key_is_undone_by_a_new_root(client: Client, world: World) -> None:
    world.versions[RoleName.TIMESTAMP] = 2**40
    world.versions[RoleName.SNAPSHOT] = 2**40
    world.put_snapshot(targets=listed(world.targets, 1))
    client.update()
    world.versions.update({RoleName.TIMESTAMP: 5, RoleName.SNAPSHOT: 5})
    world.publish(trust_files(generation=2))
    with pytest.raises(TufRollbackError):
        client.update()
    world.rotate(online=ONLINE2)
    world.online = ONLINE2
    world.publish(trust_files(generation=3))
    assert client.update().generation == 3


def test_drill_fast_forward_by_a_stolen_targets_key_is_undone_by_a_new_root(client: Client, world: World) -> None:
    world.publish(trust_files(generation=2**52))
    client.update()
    world.publish(trust_files(generation=2))
    with pytest.raises(RollbackError):
        client.update()
    world.rotate(targets=[RELEASE2])
    world.release = (RELEASE2,)
    world.publish(trust_files(generation=2**52, extra={"seals.json": b"{}"}))
    with pytest.raises(RollbackError):
        client.update()  # not even then does one number mean two sets of files
    world.publish(trust_files(generation=3))
    assert client.update().generation == 3
    assert client.signed
    world.publish(trust_files(generation=3, extra={"seals.json": b"{}"}))
    with pytest.raises(RollbackError):
        client.update()


def test_drill_a_lost_key_is_replaced_while_the_threshold_stands(client: Client, world: World) -> None:
    world.rotate([ALICE, BOB], root=[ALICE, BOB, DAVE])  # Carol's is lost
    world.rotate([ALICE, DAVE], root=[ALICE, DAVE, EVE])  # then Bob's
    world.publish(trust_files(generation=2))
    assert client.update().root_version == 3


def test_drill_below_the_threshold_nothing_follows_until_a_new_first_root_is_pinned(
    client: Client, world: World
) -> None:
    """Two of three root keys are lost. What is published goes on while the root lives; then a new beginning by hand."""
    world.rotate([ALICE], root=[ALICE, DAVE, EVE])
    with pytest.raises(TufOldThresholdError):
        client.update()
    del world.files["metadata/2.root.json"]
    world.root = make_root(1)
    world.publish(trust_files(generation=2))
    assert client.update().generation == 2
    late = NOW + 366 * DAY
    world.now = late
    world.publish(trust_files(generation=3))
    with pytest.raises(TufExpiredError):
        client.update(now=late)
    assert client.signed  # what it has stays, and its age is the policy's business
    anew = World()
    anew.now = late
    anew.files.clear()
    root = make_root(1, root=[DAVE, EVE], targets=[RELEASE2], online=ONLINE2, expires=late + 365 * DAY)
    anew.add_root(root, [DAVE, EVE])
    anew.online, anew.release = ONLINE2, (RELEASE2,)
    anew.publish(trust_files(generation=4, made_at=late))
    client.world = anew
    with pytest.raises(TufExpiredError):
        client.update(now=late)
    done = client.update(first=FirstRoot(fingerprint=parse_root(anew.first).fingerprint), now=late)
    assert done.generation == 4
    assert not client.signed  # until its root is pinned
    client.pins = frozenset({done.first_root})
    assert client.signed


def test_drill_an_expired_root_is_followed_to_its_successor(client: Client, world: World) -> None:
    late = NOW + 400 * DAY
    world.now = late
    world.publish(trust_files(generation=2, made_at=late))
    with pytest.raises(TufExpiredError):
        client.update(now=late)
    world.rotate([ALICE, CAROL], expires=late + 365 * DAY)
    world.publish(trust_files(generation=3, made_at=late))
    assert client.update(now=late).generation == 3


@pytest.mark.parametrize("missed", [2, 3, 10])
def test_drill_rotation_across_missed_versions(client: Client, world: World, missed: int) -> None:
    """Every key of the first root has gone by the time the client comes back."""
    keepers = [ALICE, BOB, CAROL]
    for number in range(missed):
        follow = [*keepers[1:], (DAVE, EVE, ALICE, BOB, CAROL)[number % 5]]
        world.rotate(keepers[1:], root=follow)
        keepers = follow
    world.publish(trust_files(generation=2))
    done = client.update()
    assert done.root_version == missed + 1
    assert {done.first_root} == client.pins
    assert client.signed


def test_drill_more_missed_roots_than_at_a_time_by_updating_again(client: Client, world: World) -> None:
    for _ in range(70):
        world.rotate()
    world.publish(trust_files(generation=2))
    with pytest.raises(TufError) as caught:
        client.update()
    assert caught.value.code == "tuf.root_gap"
    assert client.update().root_version == 71


# Clocks

OFFSETS = {
    "ten years back": -3652 * DAY,
    "1970": -NOW,
    "181 days back": -181 * DAY,
    "a day back": -DAY,
    "six minutes back": -360,
    "five minutes back": -300,
    "right": 0,
    "six minutes ahead": 360,
    "a day ahead": DAY,
    "two days ahead, to the second": 2 * DAY,
    "181 days ahead": 181 * DAY,
    "2038": 2**31 - NOW,
}


@pytest.mark.parametrize("name", OFFSETS)
def test_twelve_clocks(client: Client, world: World, name: str) -> None:
    """Behind the data by more than honest clocks differ: refused as such; ahead: as expired. Never taken."""
    world.publish(trust_files(generation=2))
    offset = OFFSETS[name]
    if offset < -300:
        with pytest.raises(TufClockError):
            client.update(now=NOW + offset)
    elif offset >= 2 * DAY:
        with pytest.raises(TufExpiredError):
            client.update(now=NOW + offset)
    else:
        assert client.update(now=NOW + offset).generation == 2


@pytest.mark.parametrize("name", [name for name, offset in OFFSETS.items() if offset < -300])
def test_a_clock_behind_is_refused_on_the_first_update_too(tmp_path: Path, world: World, name: str) -> None:
    with pytest.raises(TufClockError):
        update_store(
            tmp_path,
            MemorySource(world.files),
            first=FirstRoot(data=world.first),
            pins=frozenset(),
            now=NOW + OFFSETS[name],
        )


def test_an_unsigned_store_sets_no_floor(tmp_path: Path, world: World) -> None:
    save_store(tmp_path, trust_files(generation=1, made_at=NOW + 99 * DAY))
    world.publish(trust_files(generation=2))
    source, first = MemorySource(world.files), FirstRoot(data=world.first)
    assert update_store(tmp_path, source, first=first, pins=frozenset(), now=NOW).generation == 2


# Kills


def test_a_kill_at_any_point_leaves_old_or_new_and_signed(tmp_path: Path, client: Client, world: World) -> None:
    """Stopped before every call that changes the disk, and in the midst of every write; then it is run again."""
    world.rotate()
    world.publish(trust_files(generation=2))

    def update(home: Path) -> None:
        update_store(home, MemorySource(world.files), first=None, pins=client.pins, now=NOW)

    def fresh(number: int) -> Path:
        return Path(shutil.copytree(client.directory, tmp_path / str(number)))

    start = fresh(0)
    points = crashpoints.run(lambda report: update(start)).points
    kills = [(at, when) for at, name in enumerate(points) for when in ("before", "torn")[: 1 + (name == "os.write")]]
    assert len(kills) > 20
    for number, (at, when) in enumerate(kills if FULL else kills[::6], start=1):
        home = fresh(number)
        assert crashpoints.run(lambda report, home=home: update(home), kill_at=at, when=when).killed
        stored = load_store(home, pins=client.pins)
        assert stored.signed_by_tuf
        assert stored.data.generation in (1, 2)
        update(home)
        assert load_store(home, pins=client.pins).data.generation == 2


# The two judges


def test_what_ours_takes_and_python_tuf_does_not_is_named(client: Client, world: World) -> None:
    """No case is known; should a later version know one, it has a code."""
    evidence = world.evidence()
    assert check_publication(MemorySource(world.files), evidence, now=NOW).files().version == 1
    client.update()
    with pytest.raises(TufRefusedError), tufclient._named():
        raise RepositoryError("something new")
    with pytest.raises(DownloadError):
        tufclient._Watched(MemorySource({}), evidence, NOW).fetch("metadata/timestamp.json")


def test_evidence_is_json_that_people_can_take_apart(client: Client) -> None:
    document = json.loads((client.directory / "generations" / "1" / SIGNED).read_bytes())
    assert sorted(document) == ["roots", "snapshot", "targets", "timestamp", "version"]
