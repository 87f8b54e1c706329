"""Everything a mirror, a thief or a careless publisher can do with trust data, each with the code that names it.

Every case runs against python-tuf's updater and our own reader together. Each runs twice: in one process, and with the
client begun anew between the honest update and the attack, when only what lies on disk can refuse. A third judge is
python-tuf alone: what the specification forbids it must refuse without our reader, too.
"""

import dataclasses
import datetime
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater
from tufworld import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DAY,
    EVE,
    NOW,
    ONLINE,
    ONLINE2,
    RELEASE,
    RELEASE2,
    THIEF,
    World,
    make_root,
    resigned,
    signed,
    target_path,
    trust_files,
)

from mingzheng.keys import tufclient
from mingzheng.keys.errors import KeysError
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.tufclient import FirstRoot, update_store
from mingzheng.keys.tuffetch import MemorySource
from mingzheng.keys.tufmeta import RoleName, TargetFile, key_id, listed, parse_root, parse_snapshot, parse_targets

Attack = Callable[[World], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What happens after an honest update, and the code of the refusal. `ours`: python-tuf alone takes it."""

    attack: Attack
    code: str
    ours: bool = False
    before: Attack | None = None  # what happens before the honest update
    later: int = 0  # seconds on the client's clock since then


CASES: dict[str, Case] = {}


def case(code: str, *, ours: bool = False, later: int = 0, before: Attack | None = None) -> Callable[[Attack], Attack]:
    """Register a case under its function's name."""

    def register(attack: Attack) -> Attack:
        CASES[attack.__name__] = Case(attack=attack, code=code, ours=ours, later=later, before=before)
        return attack

    return register


def some(world: World) -> None:
    """A history: three publications before the client comes."""
    world.publish(trust_files(generation=2))
    world.publish(trust_files(generation=3))


def news(world: World) -> None:
    """An honest next publication, which a case then spoils."""
    world.publish(trust_files(generation=9, extra={"status/1.cbor": b"revoked: 1", "seals.json": b"{}"}))


def change(world: World, path: str, edit: Callable[[bytes], bytes]) -> None:
    world.files[path] = edit(world.files[path])


TIMESTAMP = "metadata/timestamp.json"


def newest(world: World, role: RoleName) -> str:
    return TIMESTAMP if role is RoleName.TIMESTAMP else f"metadata/{world.versions[role]}.{role}.json"


# Roots


@case("tuf.old_threshold")
def root_of_a_thief(world: World) -> None:
    world.rotate([THIEF], root=[THIEF], threshold=1)


@case("tuf.old_threshold")
def root_signed_by_new_keys_only(world: World) -> None:
    world.rotate([DAVE, EVE], root=[DAVE, EVE, CAROL])


@case("tuf.old_threshold")
def root_below_the_old_threshold(world: World) -> None:
    world.rotate([ALICE, DAVE, EVE], root=[ALICE, DAVE, EVE])


@case("tuf.threshold")
def root_below_its_own_threshold(world: World) -> None:
    world.rotate([ALICE, BOB], root=[ALICE, DAVE, EVE])


@case("tuf.threshold")
def root_that_raises_the_threshold_without_meeting_it(world: World) -> None:
    world.rotate([ALICE, BOB], threshold=3)


@case("tuf.old_threshold")
def root_without_a_signature(world: World) -> None:
    world.rotate([])


@case("tuf.malformed")
def root_with_one_signature_counted_twice(world: World) -> None:
    def twice(data: bytes) -> bytes:
        document = json.loads(data)
        document["signatures"] *= 2
        return json.dumps(document).encode()

    world.rotate([ALICE])
    change(world, "metadata/2.root.json", twice)


@case("tuf.old_threshold")
def root_signed_twice_by_one_keeper_under_two_ids(world: World) -> None:
    def copied(data: bytes) -> bytes:
        document = json.loads(data)
        document["signatures"].append({**document["signatures"][0], "keyid": "0" * 64})
        return json.dumps(document).encode()

    world.rotate([ALICE])
    change(world, "metadata/2.root.json", copied)


@case("tuf.old_threshold")
def root_whose_signature_has_one_bit_flipped(world: World) -> None:
    def flipped(data: bytes) -> bytes:
        document = json.loads(data)
        sig = document["signatures"][0]["sig"]
        document["signatures"][0]["sig"] = f"{int(sig[0], 16) ^ 1:x}{sig[1:]}"
        return json.dumps(document).encode()

    world.rotate()
    change(world, "metadata/2.root.json", flipped)


@case("tuf.old_threshold")
def root_changed_after_it_was_signed(world: World) -> None:
    world.rotate()
    change(world, "metadata/2.root.json", lambda data: data.replace(b'"threshold":2', b'"threshold":1'))


@case("tuf.root_version")
def root_of_the_same_number(world: World) -> None:
    world.files["metadata/2.root.json"] = world.first


@case("tuf.root_version")
def root_that_skips_a_number(world: World) -> None:
    world.files["metadata/2.root.json"] = signed(make_root(3), [ALICE, BOB])


@case("tuf.root_gap", ours=True)
def root_withheld_by_the_mirror(world: World) -> None:
    world.rotate()
    news(world)
    del world.files["metadata/2.root.json"]


@case("tuf.threshold")
def root_withheld_that_took_the_online_key_away(world: World) -> None:
    world.rotate(online=ONLINE2)
    world.online = ONLINE2
    news(world)
    del world.files["metadata/2.root.json"]


@case("tuf.root_gap", ours=True)
def root_missing_in_the_middle(world: World) -> None:
    world.rotate()
    world.rotate()
    news(world)
    del world.files["metadata/2.root.json"]


@case("tuf.root_gap", ours=True)
def more_roots_than_are_followed_at_a_time(world: World) -> None:
    for _ in range(tufclient.MAX_NEW_ROOTS + 1):
        world.rotate()
    news(world)


@case("tuf.mixed", ours=True)
def root_other_than_the_snapshot_lists(world: World) -> None:
    world.rotate()
    newer = listed(b"another root", 2)
    world.put_snapshot(targets=listed(world.targets, world.versions[RoleName.TARGETS]), root=newer)


@case("tuf.expired", later=366 * DAY)
def root_expired(world: World) -> None:
    world.now += 366 * DAY
    world.put_timestamp()


@case("tuf.expired")
def root_expired_though_it_is_new(world: World) -> None:
    world.rotate(expires=NOW)
    news(world)


@case("trust.key_shared", ours=True)
def root_whose_key_also_publishes(world: World) -> None:
    world.rotate(targets=[ALICE])
    world.release = (ALICE,)
    news(world)


@case("tuf.malformed")
def root_without_consistent_snapshots(world: World) -> None:
    world.files["metadata/2.root.json"] = resigned(signed(make_root(2), []), [ALICE, BOB], consistent_snapshot=False)


@case("tuf.malformed")
def root_with_a_threshold_of_nought(world: World) -> None:
    fresh = signed(make_root(2), [])
    roles = json.loads(fresh)["signed"]["roles"]
    roles["root"]["threshold"] = 0
    world.files["metadata/2.root.json"] = resigned(fresh, [ALICE, BOB], roles=roles)


@case("tuf.malformed")
def root_with_a_key_under_another_id(world: World) -> None:
    fresh = signed(make_root(2), [])
    part = json.loads(fresh)["signed"]
    keys, roles = part["keys"], part["roles"]
    old = roles["timestamp"]["keyids"][0]
    keys["f" * 64] = keys.pop(old)
    for role in ("timestamp", "snapshot"):
        roles[role]["keyids"] = ["f" * 64]
    world.files["metadata/2.root.json"] = resigned(fresh, [ALICE, BOB], keys=keys, roles=roles)


@case("tuf.endless")
def root_without_end(world: World) -> None:
    world.rotate()
    change(world, "metadata/2.root.json", lambda data: data + b" " * 600_000)


@case("tuf.malformed")
def root_that_is_no_json(world: World) -> None:
    world.files["metadata/2.root.json"] = b"<html>404 not found</html>"


@case("tuf.wrong_role")
def root_that_is_targets(world: World) -> None:
    world.files["metadata/2.root.json"] = world.targets


@case("tuf.spec_version")
def root_of_another_version_of_tuf(world: World) -> None:
    world.files["metadata/2.root.json"] = resigned(signed(make_root(2), []), [ALICE, BOB], spec_version="2.0.0")


# Timestamps


@case("tuf.rollback", before=some)
def timestamp_of_yesterday(world: World) -> None:
    old = World()
    world.files[TIMESTAMP] = old.files[TIMESTAMP]


@case("tuf.rollback", before=lambda world: world.put_timestamp())
def timestamp_of_an_hour_ago_with_the_same_snapshot(world: World) -> None:
    world.put_timestamp(version=1)


@case("tuf.rollback", before=some)
def timestamp_that_names_an_older_snapshot(world: World) -> None:
    data = world.files["metadata/1.snapshot.json"]
    world.put_timestamp(snapshot=listed(data, 1))


@case("tuf.expired", later=2 * DAY)
def timestamp_frozen(world: World) -> None:
    pass


@case("tuf.expired")
def timestamp_that_is_born_expired(world: World) -> None:
    world.put_timestamp(expires=NOW)


@case("tuf.expired", later=2 * DAY)
def timestamp_of_the_same_number_with_a_later_date(world: World) -> None:
    world.now += 2 * DAY
    world.versions[RoleName.TIMESTAMP] -= 1
    world.put_timestamp()


@case("tuf.threshold")
def timestamp_of_a_thief(world: World) -> None:
    world.online = THIEF
    world.put_timestamp()


@case("tuf.threshold")
def timestamp_of_a_thief_under_the_true_key_id(world: World) -> None:
    def relabelled(data: bytes) -> bytes:
        document = json.loads(data)
        document["signatures"][0]["keyid"] = key_id(ONLINE.public_key)
        return json.dumps(document).encode()

    world.online = THIEF
    world.put_timestamp()
    change(world, TIMESTAMP, relabelled)


@case("tuf.threshold")
def timestamp_signed_by_the_publisher_key(world: World) -> None:
    world.online = RELEASE
    world.put_timestamp()


@case("tuf.threshold")
def timestamp_signed_by_a_keeper_of_the_root(world: World) -> None:
    world.online = ALICE
    world.put_timestamp()


@case("tuf.threshold", before=lambda world: world.put_timestamp())
def timestamp_of_the_key_that_was_taken_away(world: World) -> None:
    world.rotate(online=ONLINE2)
    world.put_timestamp()


@case("tuf.wrong_role")
def timestamp_that_is_a_snapshot(world: World) -> None:
    world.files[TIMESTAMP] = world.snapshot


@case("tuf.endless")
def timestamp_without_end(world: World) -> None:
    change(world, TIMESTAMP, lambda data: data + b" " * 20_000)


@case("tuf.missing_file")
def timestamp_missing(world: World) -> None:
    del world.files[TIMESTAMP]


@case("tuf.malformed")
def timestamp_cut_short(world: World) -> None:
    change(world, TIMESTAMP, lambda data: data[:-7])


@case("tuf.malformed")
def timestamp_empty(world: World) -> None:
    world.files[TIMESTAMP] = b""


@case("tuf.malformed", ours=True)
def timestamp_with_a_key_twice(world: World) -> None:
    change(world, TIMESTAMP, lambda data: data.replace(b'"version":', b'"version":1,"version":', 1))


@case("tuf.malformed", ours=True)
def timestamp_with_a_field_nobody_knows(world: World) -> None:
    change(world, TIMESTAMP, lambda data: resigned(data, [ONLINE], note="x"))


@case("tuf.spec_version")
def timestamp_of_another_version_of_tuf(world: World) -> None:
    change(world, TIMESTAMP, lambda data: resigned(data, [ONLINE], spec_version="9.9.9"))


@case("tuf.malformed")
def timestamp_of_version_nought(world: World) -> None:
    change(world, TIMESTAMP, lambda data: resigned(data, [ONLINE], version=0))


# Snapshots


@case("tuf.mixed")
def snapshot_other_than_listed(world: World) -> None:
    news(world)
    change(
        world, newest(world, RoleName.SNAPSHOT), lambda data: resigned(data, [ONLINE], expires="2026-09-29T00:00:00Z")
    )


@case("tuf.mixed")
def snapshot_of_another_number(world: World) -> None:
    news(world)
    world.files[newest(world, RoleName.SNAPSHOT)] = world.files["metadata/1.snapshot.json"]


@case("tuf.mixed")
def snapshot_listed_under_another_number(world: World) -> None:
    news(world)
    number = world.versions[RoleName.SNAPSHOT]
    world.files[f"metadata/{number + 1}.snapshot.json"] = world.snapshot
    world.put_timestamp(snapshot=listed(world.snapshot, number + 1))


@case("tuf.rollback", before=some)
def snapshot_with_older_targets(world: World) -> None:
    world.put_snapshot(targets=listed(world.files["metadata/2.targets.json"], 2))


@case("tuf.rollback", before=lambda world: (world.rotate(), news(world))[1])
def snapshot_with_an_older_root(world: World) -> None:
    targets = listed(world.targets, world.versions[RoleName.TARGETS])
    world.put_snapshot(targets=targets, root=listed(world.first, 1))


@case("tuf.expired")
def snapshot_expired(world: World) -> None:
    world.put_snapshot(targets=listed(world.targets, world.versions[RoleName.TARGETS]), expires=NOW - 1)


@case("tuf.expired", later=8 * DAY)
def snapshot_frozen_under_fresh_timestamps(world: World) -> None:
    world.now += 8 * DAY
    world.put_timestamp()


@case("tuf.threshold")
def snapshot_of_a_thief_who_holds_the_timestamp(world: World) -> None:
    news(world)
    fresh = signed(parse_snapshot(world.snapshot).body, [THIEF])
    world.files[newest(world, RoleName.SNAPSHOT)] = fresh
    world.put_timestamp(snapshot=listed(fresh, world.versions[RoleName.SNAPSHOT]))


@case("tuf.wrong_role")
def snapshot_that_is_a_timestamp(world: World) -> None:
    data = world.files[TIMESTAMP]
    world.files["metadata/7.snapshot.json"] = data
    world.put_timestamp(snapshot=listed(data, 7))


@case("tuf.endless")
def snapshot_longer_than_listed(world: World) -> None:
    news(world)
    change(world, newest(world, RoleName.SNAPSHOT), lambda data: data + b" ")


@case("tuf.mixed")
def snapshot_shorter_than_listed(world: World) -> None:
    news(world)
    number = world.versions[RoleName.SNAPSHOT]
    world.put_timestamp(snapshot=dataclasses.replace(listed(world.snapshot, number), length=len(world.snapshot) + 1))


@case("tuf.missing_file")
def snapshot_missing(world: World) -> None:
    news(world)
    del world.files[newest(world, RoleName.SNAPSHOT)]


@case("tuf.malformed")
def snapshot_that_no_longer_lists_targets(world: World) -> None:
    news(world)
    fresh = resigned(
        world.snapshot, [ONLINE], meta={"root.json": json.loads(world.snapshot)["signed"]["meta"]["root.json"]}
    )
    world.files["metadata/9.snapshot.json"] = resigned(fresh, [ONLINE], version=9)
    world.put_timestamp(snapshot=listed(world.files["metadata/9.snapshot.json"], 9))


# Targets


@case("tuf.mixed")
def targets_other_than_listed(world: World) -> None:
    news(world)
    body = dataclasses.replace(parse_targets(world.targets).body, expires=NOW + 5 * DAY)
    world.files[newest(world, RoleName.TARGETS)] = signed(body, [RELEASE])


@case("tuf.mixed")
def targets_of_yesterday_beside_the_snapshot_of_today(world: World) -> None:
    news(world)
    world.files[newest(world, RoleName.TARGETS)] = world.files["metadata/1.targets.json"]


@case("tuf.mixed")
def targets_listed_under_another_number(world: World) -> None:
    news(world)
    number = world.versions[RoleName.TARGETS] + 1
    world.files[f"metadata/{number}.targets.json"] = world.targets
    world.put_snapshot(targets=listed(world.targets, number))


@case("tuf.threshold")
def targets_of_a_thief_who_holds_the_online_key(world: World) -> None:
    world.release = (THIEF,)
    news(world)


@case("tuf.threshold")
def targets_signed_by_the_online_key(world: World) -> None:
    world.release = (ONLINE,)
    news(world)


def two_publishers(world: World) -> None:
    world.rotate(targets=[RELEASE, RELEASE2], targets_threshold=2)
    world.release = (RELEASE, RELEASE2)
    world.publish(trust_files(generation=2))


@case("tuf.threshold", before=two_publishers)
def targets_signed_by_one_of_two(world: World) -> None:
    world.release = (RELEASE,)
    news(world)


@case("tuf.expired")
def targets_expired(world: World) -> None:
    number = world.versions[RoleName.TARGETS] + 1
    world.versions[RoleName.TARGETS] = number
    world.put_targets(dataclasses.replace(parse_targets(world.targets).body, version=number, expires=NOW))


@case("tuf.expired", later=91 * DAY)
def targets_frozen_under_fresh_snapshots(world: World) -> None:
    world.now += 91 * DAY
    world.put_snapshot(targets=listed(world.targets, world.versions[RoleName.TARGETS]))


@case("tuf.wrong_role")
def targets_that_are_a_snapshot(world: World) -> None:
    world.files["metadata/5.targets.json"] = world.snapshot
    world.put_snapshot(targets=listed(world.snapshot, 5))


@case("tuf.endless")
def targets_longer_than_listed(world: World) -> None:
    news(world)
    change(world, newest(world, RoleName.TARGETS), lambda data: data + b"\n")


@case("tuf.missing_file")
def targets_missing(world: World) -> None:
    news(world)
    del world.files[newest(world, RoleName.TARGETS)]


@case("tuf.missing_target", ours=True)
def targets_without_trust_json(world: World) -> None:
    world.publish({"seals.json": b"{}"})


@case("tuf.malformed", ours=True)
def targets_that_delegate(world: World) -> None:
    number = world.versions[RoleName.TARGETS] + 1
    fresh = resigned(world.targets, [RELEASE], version=number, delegations={"keys": {}, "roles": []})
    world.files[f"metadata/{number}.targets.json"] = fresh
    world.put_snapshot(targets=listed(fresh, number))


@case("trust.bad_blob_name", ours=True)
def targets_that_climb_out_of_the_store(world: World) -> None:
    world.publish({**trust_files(generation=4), "../../etc/passwd": b"x"})


@case("tuf.malformed")
def targets_over_the_size_of_a_store(world: World) -> None:
    files = {f"big/{n}": TargetFile(length=16 << 20, sha256="0" * 64) for n in range(5)}
    old = parse_targets(world.targets).body
    world.versions[RoleName.TARGETS] = 2
    world.put_targets(dataclasses.replace(old, version=2, files={**old.files, **files}))


# Trust files


def spoilt(world: World) -> str:
    news(world)
    return target_path("status/1.cbor", b"revoked: 1")


@case("tuf.wrong_hash")
def file_changed(world: World) -> None:
    change(world, spoilt(world), lambda data: b"revoked: 0")


@case("tuf.wrong_length")
def file_cut_short(world: World) -> None:
    change(world, spoilt(world), lambda data: data[:-1])


@case("tuf.wrong_length")
def file_without_end(world: World) -> None:
    change(world, spoilt(world), lambda data: data * 1_000_000)


@case("tuf.wrong_length")
def file_empty(world: World) -> None:
    change(world, spoilt(world), lambda data: b"")


@case("tuf.missing_file")
def file_missing(world: World) -> None:
    del world.files[spoilt(world)]


@case("tuf.wrong_hash")
def file_of_another_name(world: World) -> None:
    spoilt(world)
    paths = [target_path("status/1.cbor", b"revoked: 1"), target_path("seals.json", b"{}")]
    world.publish({**world.trust, "seals.json": b"no seals!!"})
    world.files[paths[0]] = world.files[target_path("seals.json", b"no seals!!")]


@case("trust.rollback", ours=True, before=some)
def trust_data_of_an_older_generation(world: World) -> None:
    world.publish(trust_files(generation=2, extra={"seals.json": b"{}"}))


@case("trust.rollback", ours=True, before=some)
def trust_data_changed_under_one_generation(world: World) -> None:
    world.publish(trust_files(generation=3, extra={"seals.json": b"{}"}))


@case("trust.malformed", ours=True)
def trust_data_that_are_none(world: World) -> None:
    world.publish({"trust.json": b"{}"})


@case("tuf.clock_behind", ours=True)
def trust_data_from_the_future(world: World) -> None:
    world.publish(trust_files(generation=5, made_at=NOW + 301))


@case("tuf.clock_behind", ours=True, later=-301)
def clock_set_back(world: World) -> None:
    news(world)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clients after the honest update that most cases begin with: ours in `store`, python-tuf's own in `plain`."""
    home = tmp_path_factory.mktemp("base")
    _update(home / "store", World())
    _python_tuf(home / "plain", World(), NOW)
    return home


def _update(directory: Path, world: World) -> None:
    first = FirstRoot(data=world.first)
    update_store(directory, MemorySource(world.files), first=first, pins=frozenset(), now=NOW)


def _honest(directory: Path, world: World, case: Case, base: Path) -> frozenset[str]:
    """The client after an honest update; gives the pins of its machine."""
    if case.before is None:
        shutil.copytree(base / "store", directory)
    else:
        case.before(world)
        _update(directory, world)
    return frozenset({parse_root(world.first).fingerprint})


def _refused(directory: Path, world: World, case: Case, pins: frozenset[str]) -> str:
    with pytest.raises(KeysError) as caught:
        update_store(directory, MemorySource(world.files), first=None, pins=pins, now=NOW + case.later)
    return caught.value.code


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_refused_with_its_own_code_and_the_store_stays(name: str, tmp_path: Path, base: Path) -> None:
    world, case = World(), CASES[name]
    pins = _honest(tmp_path / "store", world, case, base)
    before = load_store(tmp_path / "store", pins=pins)
    case.attack(world)
    assert _refused(tmp_path / "store", world, case, pins) == case.code
    after = load_store(tmp_path / "store", pins=pins)
    assert (after.fingerprint, after.signed_by_tuf) == (before.fingerprint, True)
    assert after.evidence == before.evidence


NEW_PROCESS = """
import json, sys
from pathlib import Path
from mingzheng.keys.errors import KeysError
from mingzheng.keys.tufclient import update_store
from mingzheng.keys.tuffetch import DirectorySource
for line in sys.stdin:
    name, pin, now = json.loads(line)
    home = Path(sys.argv[1]) / name
    try:
        update_store(home / "store", DirectorySource(home / "mirror"), first=None, pins={pin}, now=now)
        print(json.dumps([name, "accepted"]))
    except KeysError as error:
        print(json.dumps([name, error.code]))
"""


def test_refused_by_a_process_that_knows_only_the_disk(tmp_path: Path, base: Path) -> None:
    """The honest updates in this process, the mirrors written to disk, the attacks met by a new process."""
    lines = []
    for name, case in CASES.items():
        world, home = World(), tmp_path / name
        (pin,) = _honest(home / "store", world, case, base)
        case.attack(world)
        for path, data in world.files.items():
            if ".." not in path:
                (home / "mirror" / path).parent.mkdir(parents=True, exist_ok=True)
                (home / "mirror" / path).write_bytes(data)
        lines.append(json.dumps([name, pin, NOW + case.later]))
    done = subprocess.run(
        [sys.executable, "-c", NEW_PROCESS, str(tmp_path)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert found == {name: case.code for name, case in CASES.items()}


class _Plain(FetcherInterface):
    """A mirror as python-tuf sees it without us."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        if url not in self.files:
            raise DownloadHTTPError(url, 404)
        return iter((self.files[url],))


def _python_tuf(directory: Path, world: World, now: int) -> None:
    (directory / "files").mkdir(parents=True, exist_ok=True)
    updater = Updater(
        str(directory), "metadata/", str(directory / "files"), "targets/", _Plain(world.files), bootstrap=world.first
    )
    updater._trusted_set.reference_time = datetime.datetime.fromtimestamp(now, datetime.UTC)
    updater.refresh()
    for name in updater._trusted_set.targets.targets:
        info = updater.get_targetinfo(name)
        assert info is not None
        updater.download_target(info)


@pytest.mark.parametrize("name", CASES)
def test_python_tuf_alone_refuses_what_the_specification_forbids(name: str, tmp_path: Path, base: Path) -> None:
    world, case, home = World(), CASES[name], tmp_path / "plain"
    if case.before is None:
        shutil.copytree(base / "plain", home, symlinks=True)
    else:
        case.before(world)
        _python_tuf(home, world, NOW)
    case.attack(world)
    if case.ours:
        _python_tuf(home, world, NOW + case.later)
        return
    with pytest.raises((RepositoryError, DownloadError, ValueError)):
        _python_tuf(home, world, NOW + case.later)
