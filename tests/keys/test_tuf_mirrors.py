"""Mirrors that mix what they ever held: whatever a verifier takes is one whole publication, and never an older one."""

import tempfile
from pathlib import Path

from conftest import FULL
from hypothesis import given, settings
from hypothesis import strategies as st
from tufworld import ALICE, BOB, CAROL, DAVE, EVE, NOW, ONLINE, ONLINE2, World, trust_files

from mingzheng.keys.errors import TrustError
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.tufclient import FirstRoot, update_store
from mingzheng.keys.tuffetch import MemorySource
from mingzheng.keys.tufmeta import parse_root

KEEPERS = ((ALICE, BOB, CAROL), (BOB, CAROL, DAVE), (CAROL, DAVE, EVE), (CAROL, EVE, ALICE), (CAROL, ALICE, BOB))
STEPS = st.sampled_from(["publish", "renew", "rotate", "rotate online", "honest", "old", "mix", "cut", "flip"])


@settings(max_examples=300 if FULL else 12)
@given(st.lists(st.tuples(STEPS, st.integers(0, 2**16)), min_size=4, max_size=10))
def test_only_whole_publications_that_follow_each_other(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        _play(Path(place), World(), steps)


def _play(store: Path, world: World, steps: list[tuple[str, int]]) -> None:
    pins = {parse_root(world.first).fingerprint}
    history, genuine = [dict(world.files)], [dict(world.trust)]
    update_store(store, MemorySource(world.files), first=FirstRoot(data=world.first), pins=frozenset(), now=NOW)
    held = 0
    for step, number in [*steps, ("honest", 0)]:
        if step in ("publish", "renew", "rotate", "rotate online"):
            _honest(world, step, len(genuine) + 1)
            history.append(dict(world.files))
            genuine.append(dict(world.trust))
            continue
        mirror = _mirror(history, step, number)
        try:
            update_store(store, MemorySource(mirror), first=None, pins=pins, now=NOW)
        except TrustError:
            assert step != "honest"
        stored = load_store(store, pins=pins)
        assert stored.signed_by_tuf
        found = max(at for at, trust in enumerate(genuine) if trust == stored.files)
        assert found >= held
        held = found
    assert stored.files == genuine[-1]


def _honest(world: World, step: str, generation: int) -> None:
    if step == "renew":
        world.put_timestamp()
        return
    if step != "publish":
        if step == "rotate online":
            world.online = ONLINE2 if world.online is ONLINE else ONLINE
        world.rotate((ALICE, BOB, CAROL, DAVE, EVE), root=KEEPERS[world.root.version % 5], online=world.online)
    world.publish(trust_files(generation=generation, extra={"status/1.cbor": b"%d" % generation}))


def _mirror(history: list[dict[str, bytes]], step: str, number: int) -> dict[str, bytes]:
    newest, other = dict(history[-1]), history[number % len(history)]
    paths = sorted(newest)
    path = paths[number % len(paths)]
    match step:
        case "old":
            return dict(other)
        case "mix":
            chosen = [other if number >> at % 16 & 1 else newest for at in range(len(paths))]
            return {name: held.get(name, newest[name]) for name, held in zip(paths, chosen, strict=True)}
        case "cut":
            return {name: data for name, data in newest.items() if name != path}
        case "flip":
            data = newest[path]
            at = number % len(data)
            return {**newest, path: data[:at] + bytes([data[at] ^ 1 << number % 8]) + data[at + 1 :]}
        case _:
            return newest
