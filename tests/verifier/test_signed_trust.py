"""Trust data that came over TUF, as a verifier sees them: signed or not, their age, the clock."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tufworld
from simulator import HOUR, World

from mingzheng.keys.pins import VARIABLE, add_pin
from mingzheng.keys.snapshot import load_store, save_store
from mingzheng.keys.tufclient import FirstRoot, update_store
from mingzheng.keys.tuffetch import MemorySource
from mingzheng.verifier.bulk import Recipe
from mingzheng.verifier.context import Expectations, Judging, TrustSource, VerifyContext, build_context
from mingzheng.verifier.findings import Code, Freshness
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import verify_text
from mingzheng.verifier.report import report_to_json

DAY = 24 * HOUR


@pytest.fixture
def world() -> World:
    return World()


def over_tuf(world: World, store: Path, *, now: int | None = None) -> str:
    """The world's trust data, published and brought into `store`; gives the fingerprint of the first root."""
    world.publish_status()
    mirror = tufworld.World()
    mirror.now = world.now
    mirror.add_root(tufworld.make_root(1, expires=world.now + 365 * DAY), [tufworld.ALICE, tufworld.BOB])
    mirror.publish(world.trust_files())
    first = FirstRoot(data=mirror.first)
    source = MemorySource(mirror.files)
    done = update_store(store, source, first=first, pins=frozenset(), now=world.now if now is None else now)
    return done.first_root


def judged(store: Path, pin: str, *, policy: str, now: int) -> VerifyContext:
    stored = load_store(store, pins={pin})
    return build_context(
        TrustSource(
            data=stored.data,
            fingerprint=stored.fingerprint,
            signed=stored.signed_by_tuf,
            expires=stored.expires if stored.signed_by_tuf else None,
        ),
        judging=Judging(now=now, at=None, policy=load_policies()[policy]),
        expect=Expectations(),
        messages=load_messages(),
    )


def test_trust_unsigned_goes_away_with_the_pin_and_only_with_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command does it: the store alone is not enough, the machine must know the first root."""
    issued = world.issue_one()
    pin = over_tuf(world, tmp_path / "store")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "pins"))
    recipe = Recipe(trust=tmp_path / "store", now=world.now, at=None, policy="bid", expect=Expectations())
    before = verify_text(issued.text, recipe.build())
    assert before.verdict is Code.CANNOT_DECIDE
    assert Code.TRUST_UNSIGNED in {item.code for item in before.findings}
    add_pin(os.environ, pin)
    after = verify_text(issued.text, recipe.build())
    assert after.verdict is Code.VALID_COMPARE
    assert Code.TRUST_UNSIGNED not in {item.code for item in after.findings}
    assert report_to_json(after)["trust"]["signed"] is True  # type: ignore[index,call-overload]


FRESH, AGED, STALE = Freshness.FRESH, Freshness.AGED, Freshness.STALE
AGES = {
    "now": 0,
    "six days and 23 hours": 7 * DAY - HOUR,
    "seven days and a second": 7 * DAY + 1,
    "30 days": 30 * DAY,
    "31 days": 31 * DAY,
    "from the future": -1,
}
CELLS = {
    "site": (FRESH, AGED, STALE, STALE, STALE, None),
    "bid": (FRESH, STALE, STALE, STALE, STALE, None),
    "audit": (FRESH, STALE, STALE, STALE, STALE, None),
}


@pytest.mark.parametrize("policy", CELLS)
@pytest.mark.parametrize("age", AGES)
def test_eighteen_cells_of_age(world: World, tmp_path: Path, policy: str, age: str) -> None:
    issued = world.issue_one()
    pin = over_tuf(world, tmp_path)
    wanted = dict(zip(AGES, CELLS[policy], strict=True))[age]
    report = verify_text(issued.text, judged(tmp_path, pin, policy=policy, now=world.now + AGES[age]))
    codes = {item.code for item in report.findings}
    if wanted is None:
        assert report.verdict is Code.CLOCK_SUSPECT
        return
    assert report.freshness is wanted
    assert (Code.STALE in codes, Code.DATA_AGED in codes) == (wanted is STALE, wanted is AGED)
    assert report.verdict is (Code.STALE if wanted is STALE else Code.VALID_COMPARE)
    assert report.known_until == world.now  # said whatever the verdict


@pytest.mark.parametrize(
    ("policy", "lag", "wanted"), [("site", 8 * DAY, STALE), ("site", 2 * DAY, AGED), ("bid", 2 * DAY, STALE)]
)
def test_a_fresh_list_in_old_trust_data_is_as_old_as_they_are(
    world: World, policy: str, lag: int, wanted: Freshness
) -> None:
    """A list may be new and yet rest on a key that newer trust data would have withdrawn."""
    issued = world.issue_one()
    context = world.trusting(policy=policy)
    older = dataclasses.replace(context, trust=dataclasses.replace(context.trust, made_at=world.now - lag))
    assert verify_text(issued.text, older).freshness is wanted


def test_audit_is_stale_past_the_end_of_the_signatures(world: World) -> None:
    issued = world.issue_one()
    context = world.trusting(policy="audit")
    inside = dataclasses.replace(context, expires=world.now)
    assert verify_text(issued.text, inside).freshness is FRESH
    outside = dataclasses.replace(context, expires=world.now - 1, constants={})
    assert verify_text(issued.text, outside).verdict is Code.STALE


OFFSETS = {
    "ten years back": (-3652 * DAY, Code.CLOCK_SUSPECT),
    "181 days back": (-181 * DAY, Code.CLOCK_SUSPECT),
    "a day back": (-DAY, Code.CLOCK_SUSPECT),
    "six minutes back": (-360, Code.CLOCK_SUSPECT),
    "a second back": (-1, Code.CLOCK_SUSPECT),
    "right": (0, Code.VALID_COMPARE),
    "a day ahead": (DAY, Code.VALID_COMPARE),
    "181 days ahead": (181 * DAY, Code.USAGE_EXPIRED),
    "1970": (None, Code.CLOCK_SUSPECT),
    "2038": (2**31, Code.REGISTRATION_EXPIRED),
    "leap day 2028": (1_835_395_200, Code.USAGE_EXPIRED),
    "midnight in Shanghai": (-12 * HOUR, Code.CLOCK_SUSPECT),
}


@pytest.mark.parametrize("name", OFFSETS)
def test_twelve_clocks(world: World, tmp_path: Path, name: str) -> None:
    """No clock that is behind the data gives a pass; one ahead is at worst too strict."""
    issued = world.issue_one()
    pin = over_tuf(world, tmp_path)
    offset, wanted = OFFSETS[name]
    now = 0 if offset is None else offset if offset > 10**9 else world.now + offset
    assert verify_text(issued.text, judged(tmp_path, pin, policy="site", now=now)).verdict is wanted


def test_the_command_verifies_a_signed_store_without_the_tuf_library(world: World, tmp_path: Path) -> None:
    issued = world.issue_one()
    pin = over_tuf(world, tmp_path / "store")
    (tmp_path / "pins").write_text(f"{pin}\n")
    program = f"""
import sys
from mingzheng.verifier.cli import verify
try:
    verify.main(["-", "--trust", {str(tmp_path / "store")!r}, "--policy", "site", "--json"], standalone_mode=False)
except SystemExit:
    pass
assert not [name for name in sys.modules if name.split(".")[0] in ("tuf", "securesystemslib", "urllib3")]
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=issued.text,
        env={**os.environ, VARIABLE: str(tmp_path / "pins")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert '"signed": true' in done.stdout


def test_an_unsigned_store_is_as_before(world: World, tmp_path: Path) -> None:
    world.publish_status()
    save_store(tmp_path, world.trust_files())
    stored = load_store(tmp_path)
    assert (stored.signed_by_tuf, stored.evidence, stored.expires, stored.first_root) == (False, None, None, None)
