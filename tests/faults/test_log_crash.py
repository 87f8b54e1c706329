"""Kill the log's writer before, within and after every write point; then every promise must still hold.

Promises: opening works (or creation can be repeated), fsck is clean, what was acknowledged is provable at its index,
every checkpoint ever published is a head of the final tree, and the same submissions give the same indexes.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from crashpoints import Failed, Outcome, Report, When, run
from logworld import IDENTITY, NAME, RECEIPT, LogWorld, act, issue, keyed, notice

from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.errors import LogError
from mingzheng.log.fsck import fsck
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.merkle import root_of
from mingzheng.log.receipt import (
    parse_compact_receipt,
    parse_tlog_proof,
    verify_compact_receipt,
    verify_full_receipt,
)
from mingzheng.log.refusal import LogExistsError, LogMissingError
from mingzheng.log.sequencer import EmbeddedLog, Submission

FULL = os.environ.get("MINGZHENG_FULL") == "1"
PAIRS = 400 if FULL else 4
TIMES: tuple[When, ...] = ("before", "torn", "after")

BATCHES: tuple[tuple[bytes, ...], ...] = (
    (issue(0), issue(1), issue(2)),
    tuple(issue(serial) for serial in range(3, 262)),
    (act(0, ActType.REVOKE, [0]), act(1, ActType.SUSPEND, [5, 6]), notice(2), issue(300)),
)
EXPECTED = 4 + 260 + 6


class NoIdempotency(EmbeddedLog):
    """The control: every submission is taken for a new one."""

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        return super().submit([Submission(key=os.urandom(16), entry=item.entry) for item in submissions], now=now)


@dataclass
class Trial:
    """One directory, what was promised about it so far, and the scenario that writes it."""

    world: LogWorld
    acknowledged: dict[bytes, int]
    published: list[bytes]

    def scenario(self, report: Report) -> None:
        """Create or open, submit every batch, ask for receipts; acknowledge each step to the parent."""
        _watch_publication(report)
        log = _create_or_open(self.world)
        report(["opened"])
        for number, batch in enumerate(BATCHES):
            report(["ack", number, log.submit(keyed(batch), now=self.world.now + number)])
            log.compact_receipt(0)
        log.close()

    def note(self, outcome: Outcome) -> None:
        for report in outcome.reports:
            if report[0] == "ack":
                for entry, index in zip(BATCHES[report[1]], report[2], strict=True):
                    assert self.acknowledged.setdefault(entry, index) == index
            elif report[0] == "published":
                self.published.append(bytes.fromhex(report[1]))

    def check(self) -> None:
        """Finish the work in this process and hold every promise against the result."""
        log = _create_or_open(self.world)
        assert log.read_only is None
        seen = (self.world.public / "checkpoint").read_bytes()
        assert fsck(self.world.directory, vkey=IDENTITY.vkey()).faults == ()
        for entry, index in self.acknowledged.items():
            assert log.reader().entry(index) == entry
        for number, batch in enumerate(BATCHES):
            indexes = log.submit(keyed(batch), now=self.world.now + number)
            for entry, index in zip(batch, indexes, strict=True):
                assert self.acknowledged.setdefault(entry, index) == index
        assert log.head()[0] == EXPECTED
        self._check_proofs(log)
        assert fsck(self.world.directory, vkey=IDENTITY.vkey()).faults == ()
        leaves = [leaf_hash(data) for _index, data in log.reader().entries(0, EXPECTED)]
        for note in {*self.published, seen, log.checkpoint()}:
            head = open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=NAME)
            assert root_of(leaves[: head.size]) == head.root
        log.close()

    def _check_proofs(self, log: EmbeddedLog) -> None:
        for entry, index in list(self.acknowledged.items())[::20]:
            leaf = leaf_hash(entry)
            receipt = parse_compact_receipt(log.compact_receipt(index))
            assert verify_compact_receipt(receipt, leaf, key=RECEIPT.public_key, block_height=4) == index
            verify_full_receipt(parse_tlog_proof(log.full_receipt(index)), leaf, vkey=IDENTITY.vkey(), origin=NAME)


@pytest.fixture
def memory_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: a SIGKILL spares the page cache anyway, and fsync costs nothing."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def _watch_publication(report: Report) -> None:
    """Tell the parent every checkpoint before it becomes visible."""
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        if Path(target).name == "checkpoint":
            report(["published", Path(source).read_bytes().hex()])
        replace(source, target)

    os.replace = watched  # type: ignore[assignment]


def _create_or_open(world: LogWorld) -> EmbeddedLog:
    try:
        return world.open()
    except LogMissingError:
        return world.create()


def _trial(root: Path, maker: type[EmbeddedLog] = EmbeddedLog) -> Trial:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    return Trial(world=LogWorld(root=root, maker=maker), acknowledged={}, published=[])


def _points(root: Path) -> list[str]:
    trial = _trial(root)
    return run(trial.scenario).points


def _kills(points: list[str]) -> Iterator[tuple[int, When]]:
    """At full counts every point in every way it can die there, else every seventh one in one way, by turns."""
    for number, name in [*enumerate(points)][:: 1 if FULL else 7]:
        ways = [when for when in TIMES if when != "torn" or name == "os.write"]
        yield from ((number, when) for when in (ways if FULL else [ways[number // 7 % len(ways)]]))


def test_killed_at_every_write_point_no_promise_is_broken(memory_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = _points(memory_dir / "count")
    kills = list(_kills(points))
    assert len(points) >= 100
    for number, when in kills:
        trial = _trial(memory_dir / "trial")
        outcome = run(trial.scenario, kill_at=number, when=when)
        assert outcome.killed, (number, when)
        trial.note(outcome)
        trial.check()
    with capsys.disabled():
        print(f"\nlog: {len(points)} write points, {len(kills)} kills, no promise broken")


def test_killed_again_while_recovering(memory_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counted are pairs whose second kill hit before the log was open again; others are checked, not counted."""
    points = _points(memory_dir / "count")
    chance = random.Random(7)
    inside = after = 0
    while inside < PAIRS:
        trial = _trial(memory_dir / "trial")
        first, when = chance.choice(list(_kills(points)))
        trial.note(run(trial.scenario, kill_at=first, when=when))
        second = run(trial.scenario, kill_at=chance.randrange(24), when=chance.choice(TIMES))
        trial.note(second)
        trial.check()
        opened = ["opened"] in second.reports
        inside += second.killed and not opened
        after += second.killed and opened
    with capsys.disabled():
        print(f"\nlog: {inside} double kills with the second inside recovery, {after} after it, no promise broken")


def test_a_build_without_idempotency_fails_this_suite(memory_dir: Path) -> None:
    points = _points(memory_dir / "count")
    broken = 0
    for number in range(0, len(points), 20):
        trial = _trial(memory_dir / "trial", NoIdempotency)
        try:
            trial.note(run(trial.scenario, kill_at=number))
            trial.check()
        except (AssertionError, LogError):
            broken += 1
        trial.world.close()
    assert broken > 0


def test_a_scenario_that_fails_is_no_kill() -> None:
    def scenario(report: Report) -> None:
        raise LogExistsError("on purpose")

    with pytest.raises(Failed, match="on purpose"):
        run(scenario)
    assert not run(lambda report: report("done")).killed
