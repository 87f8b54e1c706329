"""Drills with the keys of the trust root: publisher and verifier step by step, as docs/spec/trust.md tells it.

The publisher works in a directory, keepers sign copies of files, the verifier updates from that directory and judges
one good copy under the policy `site`.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
from simulator import HOUR, Issued, World
from tufworld import ALICE, BOB, CAROL, DAVE, EVE, ONLINE, ONLINE2, RELEASE, RELEASE2

from mingzheng.keys.errors import KeysError
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.tufclient import FirstRoot, update_store
from mingzheng.keys.tuffetch import DirectorySource
from mingzheng.keys.tufmeta import parse_root
from mingzheng.keys.tufrepo import (
    Holders,
    Published,
    Waiting,
    add_signature,
    current_root,
    install,
    parse_signable,
    publish,
    stage_root,
)
from mingzheng.verifier.context import Expectations, Judging, TrustSource, build_context
from mingzheng.verifier.findings import Code
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import verify_text

DAY = 24 * HOUR
YEAR = 365 * DAY


def holders(root: Sequence[InMemorySigner], *, online: InMemorySigner = ONLINE) -> Holders:
    """Two of the keepers sign."""
    return Holders(
        root=tuple(one.public_key for one in root),
        threshold=2,
        targets=(RELEASE.public_key if online is ONLINE else RELEASE2.public_key,),
        targets_threshold=1,
        online=online.public_key,
    )


class Office:
    """A publisher with a workspace's world behind it."""

    def __init__(self, repo: Path, world: World) -> None:
        self.repo, self.world = repo, world

    def root(self, keepers: Holders, signers: Sequence[InMemorySigner], *, first: bool = False) -> Waiting:
        waiting = stage_root(self.repo, keepers, first=first, expires=self.world.now + YEAR)
        assert waiting.path is not None
        data, current = waiting.path.read_bytes(), None if first else current_root(self.repo)
        for signer in signers:
            waiting = install(self.repo, add_signature(parse_signable(data), signer, current))
        return waiting

    def publish(self, *keys: InMemorySigner) -> Published:
        self.world.publish_status()
        self.world.generation += 1
        done = publish(self.repo, self.world.trust_files(), signers=keys or (RELEASE, ONLINE), now=self.world.now)
        assert isinstance(done, Published)
        return done

    @property
    def first(self) -> str:
        return parse_root((self.repo / "metadata" / "1.root.json").read_bytes()).fingerprint


class Site:
    """A verifier on a building site."""

    def __init__(self, store: Path, office: Office) -> None:
        self.store, self.office, self.pins = store, office, frozenset[str]()

    def update(self, *, root: str | None = None) -> str:
        """ok, or the code of the refusal."""
        first = None if root is None else FirstRoot(fingerprint=root)
        source = DirectorySource(self.office.repo)
        try:
            done = update_store(self.store, source, first=first, pins=self.pins, now=self.office.world.now)
        except KeysError as error:
            return error.code
        if root is not None:
            self.pins |= {done.first_root}
        return "ok"

    def sees(self, issued: Issued) -> tuple[Code, bool]:
        """The verdict on a copy, and whether the trust data count as signed."""
        stored = load_store(self.store, pins=self.pins)
        source = TrustSource(
            data=stored.data, fingerprint=stored.fingerprint, signed=stored.signed_by_tuf, expires=stored.expires
        )
        judging = Judging(now=self.office.world.now, at=None, policy=load_policies()["site"])
        context = build_context(source, judging=judging, expect=Expectations(), messages=load_messages())
        return verify_text(issued.text, context).verdict, stored.signed_by_tuf


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def office(tmp_path: Path, world: World) -> Office:
    office = Office(tmp_path / "pub", world)
    assert office.root(holders([ALICE, BOB, CAROL]), [ALICE, BOB], first=True).path is None
    return office


@pytest.fixture
def site(tmp_path: Path, office: Office) -> Site:
    return Site(tmp_path / "store", office)


@pytest.fixture
def issued(world: World, office: Office, site: Site) -> Issued:
    issued = world.issue_one()
    office.publish()
    assert site.update(root=office.first) == "ok"
    assert site.sees(issued) == (Code.VALID_COMPARE, True)
    return issued


def test_a_root_key_is_lost_and_replaced(office: Office, site: Site, issued: Issued) -> None:
    assert office.root(holders([ALICE, BOB, DAVE]), [ALICE, BOB]).path is None
    office.world.now += HOUR
    office.publish()
    assert site.update() == "ok"
    assert site.sees(issued) == (Code.VALID_COMPARE, True)


def test_below_the_threshold(tmp_path: Path, office: Office, site: Site, issued: Issued) -> None:
    """Two of three keepers are gone. Days go on; the root's date ends it; a new beginning is pinned by hand."""
    waiting = office.root(holders([ALICE, DAVE, EVE]), [ALICE, DAVE, EVE])
    assert waiting.missing == (("old root", 1, 2),)
    office.world.now += 30 * DAY
    office.publish()
    assert site.update() == "ok"
    assert site.sees(issued) == (Code.VALID_COMPARE, True)
    office.world.now += 8 * DAY
    assert site.update() == "tuf.expired"  # nobody publishes; the timestamp has ended
    assert site.sees(issued) == (Code.STALE, True)
    office.publish()
    assert site.update() == "ok"
    office.world.now += YEAR
    with pytest.raises(KeysError) as caught:
        office.publish()
    assert caught.value.code == "tuf.expired"
    assert site.update() == "tuf.expired"
    anew = Office(tmp_path / "anew", office.world)
    anew.root(holders([DAVE, EVE, ALICE], online=ONLINE2), [DAVE, EVE], first=True)
    anew.publish(RELEASE2, ONLINE2)
    site.office = anew
    assert site.update() == "tuf.expired"  # the old chain does not lead there
    assert site.update(root=anew.first) == "ok"
    assert site.sees(issued)[1]


def test_an_expired_root_is_renewed_by_its_keepers(office: Office, site: Site, issued: Issued) -> None:
    office.world.now += YEAR
    assert site.update() == "tuf.expired"
    assert site.sees(issued)[1]  # what it has was signed, however old
    assert office.root(holders([ALICE, BOB, CAROL]), [BOB, CAROL]).path is None
    office.publish()
    assert site.update() == "ok"


def test_rotation_across_two_missed_versions(office: Office, site: Site, issued: Issued) -> None:
    """The site is away while every keeper, the publisher's key and the online key change."""
    assert office.root(holders([BOB, CAROL, DAVE]), [BOB, CAROL]).path is None
    assert office.root(holders([CAROL, DAVE, EVE], online=ONLINE2), [CAROL, DAVE]).path is None
    assert site.update() == "tuf.threshold"  # the new keys are in force, nothing is published under them yet
    assert site.sees(issued) == (Code.VALID_COMPARE, True)
    office.world.now += HOUR
    assert office.publish(RELEASE2, ONLINE2).root_version == 3
    assert site.update() == "ok"
    assert site.sees(issued) == (Code.VALID_COMPARE, True)


def test_a_stolen_online_key_holds_back_news_for_two_days_at_most(office: Office, site: Site, issued: Issued) -> None:
    """The thief stops the mirror; he cannot sign targets. A new root takes the key away."""
    office.world.now += 2 * DAY
    assert site.update() == "tuf.expired"
    assert site.sees(issued) == (Code.VALID_COMPARE, True)  # with DATA_AGED: the policy `site` allows a week
    assert office.root(holders([ALICE, BOB, CAROL], online=ONLINE2), [ALICE, CAROL]).path is None
    office.publish(RELEASE2, ONLINE2)
    assert site.update() == "ok"
