"""Random histories against a naive model of RFC 6962: one list of entries, every root from scratch.

Steps: rounds, repeats, receipts, closing, crashes at any call of the storage, takeovers. After every step the log says
what the model says. `MINGZHENG_FULL=1`: at least 10,000 steps in memory; the other storages run fewer.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest
from conftest import FULL
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from logstores import CloudWorld, DirectoryWorld, MemoryWorld, World
from logworld import DAY, IDENTITY, NAME, RECEIPT, act, issue

from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.entry import FillerEntry, TimeEntry, encode_entry
from mingzheng.log.receipt import (
    parse_compact_receipt,
    parse_tlog_proof,
    verify_compact_receipt,
    verify_full_receipt,
)
from mingzheng.log.writer import Log

STEPS = {"count": 0}


class Crash(Exception):
    """The process is gone: nothing it has in memory counts."""


def leaf(entry: bytes) -> bytes:
    """RFC 6962 §2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


class Machine(RuleBasedStateMachine):
    """A log of one storage beside the model."""

    make: type[World]

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="mingzheng-model-"))
        self.world: World = self.make(root=self.root)
        self.log: Log | None = self.world.create()
        self.entries: list[bytes] = []
        self.where: dict[bytes, int] = {}
        self.heads: list[bytes] = []
        self.acts = 0
        self.serial = 0
        self.doubtful: list[bytes] = []  # submitted, and the process died before it could say where

    def teardown(self) -> None:
        self.world.close()
        shutil.rmtree(self.root)

    def _open(self) -> Log:
        if self.log is None:
            self.log = self.world.open()
            self._settle()
        return self.log

    def _settle(self) -> None:
        """After a crash: the round is there as a whole or not at all; the model takes over what is."""
        assert self.log is not None
        size = self.log.head()[0]
        if self.doubtful and size > len(self.entries):
            self._grow(self.doubtful)
            assert size == len(self.entries)
        self.doubtful = []

    def _grow(self, batch: list[bytes]) -> None:
        for entry in batch:
            self.where[entry] = len(self.entries)
            self.entries.append(entry)
        self.entries.append(encode_entry(TimeEntry(seconds=self.world.now)))
        if len(self.entries) % 2:
            self.entries.append(encode_entry(FillerEntry()))

    def _batch(self, count: int, revoke: bool) -> list[bytes]:
        batch = [issue(self.serial + at) for at in range(count)]
        self.serial += count
        if revoke:
            batch.append(act(self.acts, ActType.REVOKE, [self.serial - 1]))
            self.acts += 1
        return batch

    @rule(count=st.sampled_from([1, 1, 2, 3, 5, 30, 255, 256, 300]), revoke=st.booleans())
    def append(self, count: int, revoke: bool) -> None:
        log = self._open()
        batch = self._batch(count, revoke)
        indexes = self.world.submit(log, *batch)
        start = len(self.entries)
        self._grow(batch)
        assert indexes == tuple(range(start, start + len(batch)))
        self.heads.append(log.checkpoint())

    @precondition(lambda self: self.where)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        entries = data.draw(st.lists(st.sampled_from(list(self.where)), min_size=1, max_size=4))
        log = self._open()
        assert self.world.submit(log, *entries) == tuple(self.where[entry] for entry in entries)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def receipts(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.entries) - 1))
        log = self._open()
        hashed = leaf(self.entries[index])
        compact = parse_compact_receipt(log.compact_receipt(index))
        assert verify_compact_receipt(compact, hashed, key=RECEIPT.public_key, block_height=4) == index  # type: ignore[arg-type]
        full = parse_tlog_proof(log.full_receipt(index))
        head = verify_full_receipt(full, hashed, vkey=IDENTITY.vkey(), origin=NAME)  # type: ignore[arg-type]
        assert head.root == root([leaf(entry) for entry in self.entries])

    @rule()
    def reopen(self) -> None:
        if self.log is not None:
            self.log.close()
            self.log = None
        self._open()

    @precondition(lambda self: isinstance(self.world, MemoryWorld))
    @rule(count=st.sampled_from([1, 2, 40, 257]), at=st.integers(0, 14), when=st.sampled_from(["before", "after"]))
    def crash(self, count: int, at: int, when: str) -> None:
        """Die at the `at`th call of the storage, before or after it took effect."""
        assert isinstance(self.world, MemoryWorld)
        log = self._open()
        calls = 0

        def hook(_name: str, now: str) -> None:
            nonlocal calls
            calls += now == when
            if calls > at:
                raise Crash

        batch = self._batch(count, revoke=False)
        self.world.there.hook = hook
        try:
            self.world.submit(log, *batch)
        except Crash:
            self.doubtful = batch
            self.log = None
            self.world.there.holder = None
        else:
            self._grow(batch)
        finally:
            self.world.there.hook = lambda _name, _when: None

    @precondition(lambda self: not isinstance(self.world, DirectoryWorld))
    @rule()
    def take_over(self) -> None:
        old = self.log
        assert not isinstance(self.world, DirectoryWorld)
        self.log = self.world.open(take_over=True)
        self._settle()
        if old is not None:
            old.close()

    @invariant()
    def same_head(self) -> None:
        STEPS["count"] += 1
        if self.log is not None:
            leaves = [leaf(entry) for entry in self.entries]
            assert self.log.head() == (len(leaves), root(leaves))
            published = self.world.published()
            assert published is not None
            head = open_checkpoint(published, vkeys=[IDENTITY.vkey()], origin=NAME)
            assert (head.size, head.root) == (len(leaves), root(leaves))


class MemoryMachine(Machine):
    """In memory, with crashes."""

    make = MemoryWorld


class DirectoryMachine(Machine):
    """In a directory."""

    make = DirectoryWorld


class CloudMachine(Machine):
    """In PostgreSQL and an S3 server."""

    make = CloudWorld


CLOUD = pytest.param(CloudMachine, (6, 100), marks=[pytest.mark.postgres, pytest.mark.s3], id="cloud")


@pytest.mark.parametrize(
    ("machine", "examples"),
    [
        pytest.param(MemoryMachine, (15, 420), id="memory"),
        pytest.param(DirectoryMachine, (4, 100), id="directory"),
        CLOUD,
    ],
)
def test_random_histories_agree_with_the_model(
    machine: type[Machine], examples: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert DAY  # one civil day holds every history: each step is a second
    STEPS["count"] = 0
    few, many = examples
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=many if FULL else few,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with capsys.disabled():
        print(f"\n{machine.__name__}: {STEPS['count']} steps, no difference")
    if FULL and machine is MemoryMachine:
        assert STEPS["count"] >= 10_000
