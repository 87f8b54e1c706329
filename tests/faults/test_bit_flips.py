"""One flipped bit in what the sequencer holds or hands on: no checkpoint is ever signed over anything but the entries.

The flips on disk, found by `fsck` and repaired from a mirror, are in tests/log/test_mirror.py.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import FULL
from logworld import IDENTITY, ORIGIN_KEYS, LogWorld, issue

from mingzheng.log import writer as writer_module
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.sequencer import EmbeddedLog
from mingzheng.log.tail import Append, Tail
from mingzheng.log.tile import Tile

FLIPS = 1_000 if FULL else 21
BASE = 300


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _in_edge(tail: Tail, chance: random.Random) -> Tail:
    hashes = list(tail.edge.hashes)
    at = chance.randrange(len(hashes))
    hashes[at] = Hash(_flipped(hashes[at], chance))
    return replace(tail, edge=replace(tail.edge, hashes=tuple(hashes)))


def _in_partials(tail: Tail, chance: random.Random) -> Tail:
    partials = list(tail.partials)
    at = chance.choice([number for number, data in enumerate(partials) if data])
    partials[at] = _flipped(partials[at], chance)
    return replace(tail, partials=tuple(partials))


def _in_bundle(tail: Tail, chance: random.Random) -> Tail:
    bundle = list(tail.bundle)
    at = chance.randrange(len(bundle))
    bundle[at] = _flipped(bundle[at], chance)
    return replace(tail, bundle=tuple(bundle))


BUFFERS: dict[str, Callable[[Tail, random.Random], Tail]] = {
    "edge": _in_edge,
    "partial tiles": _in_partials,
    "bundle": _in_bundle,
}
PLANS = ("file to write", "edge to come", "root to come")


def _flip_plan(plan: Append, kind: str, chance: random.Random) -> Append:
    if kind == "file to write":
        files = list(plan.files)
        at = chance.randrange(len(files))
        files[at] = (files[at][0], _flipped(files[at][1], chance))
        return replace(plan, files=tuple(files))
    return replace(plan, tail=_in_edge(plan.tail, chance))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LogWorld:
    world = LogWorld(root=tmp_path_factory.mktemp("flips"))
    log = world.create()
    world.submit(log, *(issue(at) for at in range(BASE)))
    world.close()
    return world


def test_no_checkpoint_is_signed_over_a_flipped_bit(
    base: LogWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, outcomes = random.Random(7), Counter[str]()
    kinds = [*BUFFERS, *PLANS, "tile on its way"]
    for number in range(FLIPS):
        kind = kinds[number % len(kinds)]
        world = LogWorld(root=tmp_path / str(number), now=base.now)
        shutil.copytree(base.root, world.root)
        with monkeypatch.context() as patch:
            outcomes[f"{kind}: {_trial(world, kind, chance, patch)}"] += 1
        _check_heads(world)
        shutil.rmtree(world.root)
    print(f"flips {FLIPS}: {dict(sorted(outcomes.items()))}")
    assert not any("signed" in outcome for outcome in outcomes)


def _trial(world: LogWorld, kind: str, chance: random.Random, patch: pytest.MonkeyPatch) -> str:
    """Flip, append, open again: what came of it."""
    log = world.open(remember=False)
    if log.read_only is not None:
        log.resume_from_anchor((world.public / "checkpoint").read_bytes())
    _damage(log, kind, chance, patch)
    try:
        count = chance.randrange(1, 40)
        world.submit(log, *(issue(BASE + at) for at in range(count)))
        _check_heads(world)  # the flipped hash is in a tile that this round did not touch
        world.submit(log, *(issue(BASE + at) for at in range(count, 300)))
    except LogError as error:
        outcome = error.code
    else:
        return "signed"
    finally:
        world.close()
    patch.undo()
    try:
        again = world.open(remember=False)
        again.reader().refresh()
    except LogError:
        return f"{outcome}, stays shut"
    finally:
        world.close()
    return f"{outcome}, goes on"


def _damage(log: EmbeddedLog, kind: str, chance: random.Random, patch: pytest.MonkeyPatch) -> None:
    if kind in BUFFERS:
        assert log._tail is not None
        log._tail = BUFFERS[kind](log._tail, chance)
    elif kind in PLANS:
        real = writer_module.append
        patch.setattr(writer_module, "append", lambda tail, entries: _flip_plan(real(tail, entries), kind, chance))
    else:
        write = type(log._store).write

        def flipping(store: object, files: Iterable[tuple[Tile, bytes]]) -> None:
            held = list(files)
            at = chance.randrange(len(held))
            held[at] = (held[at][0], _flipped(held[at][1], chance))
            write(store, held)  # type: ignore[arg-type]

        patch.setattr(type(log._store), "write", flipping)


def _check_heads(world: LogWorld) -> None:
    """What is published is signed over exactly the entries that are there, the old ones unchanged."""
    note = (world.public / "checkpoint").read_bytes()
    head = open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=IDENTITY.origin_name)
    reader = LogReader(DirectoryFetcher(world.public), ORIGIN_KEYS.vkey)
    try:
        entries = [entry for _index, entry in reader.entries(0, head.size)]
    except LogError:
        assert head.size == BASE + 2  # damaged behind the old head's back: its own files must still be whole
        raise
    assert entries[:BASE] == [issue(at) for at in range(BASE)]
    assert root_of([leaf_hash(entry) for entry in entries]) == head.root
