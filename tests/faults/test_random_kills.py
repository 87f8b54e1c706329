"""Kill at random moments, not at counted ones, while eight writers append; then every promise must still hold.

Two ways in which eight people write one log. *Served*, the usual one: one process owns the log, and eight writers hand
it entries through the queue that the server's requests go through; it is killed. *Contending*: eight programs on one
directory, each opens the log, appends, closes, and asks again where another holds the lock; each is killed at a moment
of its own. A writer that got no answer asks again with the same entry, as clients do.
"""

import os
import random
import select
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from conftest import FULL
from logworld import IDENTITY, NOW, LogWorld, issue, keyed
from promises import Board, Promises, hold
from serverworld import QUICK, Clock

from mingzheng.log.fsck import fsck
from mingzheng.log.refusal import WriterActiveError
from mingzheng.log.servermetrics import Metrics
from mingzheng.log.serverqueue import Sequencing

KILLS = 1_000 if FULL else 8
WRITERS = 8
KILLS_OF_A_LOG = 24 if FULL else 8
SERVED_SECONDS, CONTENDING_SECONDS = 0.25, 0.5  # the latest moment of a kill; who contends waits for the lock
FILLED = 240  # entries before the first kill: the writers fill the first tile


@pytest.fixture
def scratch() -> Iterator[Path]:
    """In memory where there is memory: a kill spares the page cache anyway."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        yield Path(name)


@dataclass
class Writer:
    """Entries in order, one at a time: the next is asked for when the one before was answered."""

    number: int
    answered: int = 0

    def entry(self) -> bytes:
        return issue(FILLED + self.number + WRITERS * self.answered)

    def settle(self, promises: Promises) -> None:
        """After a kill, in the parent: what had no answer is asked for again."""
        while self.entry() in promises.acknowledged:
            self.answered += 1


def _serve(world: LogWorld, board: Board, writers: list[Writer]) -> None:
    """One process: the log's owner, and eight writers that wait for their answers."""
    sequencing = Sequencing(world.open, limits=QUICK, clocks=Clock(), observer=Metrics())
    sequencing.start(timeout=60)
    board.note("opened")

    def write(writer: Writer) -> None:
        while True:
            entry = writer.entry()
            (appended,) = sequencing.offer([entry]).result(60)
            board.note("acknowledged", appended.index, entry)
            writer.answered += 1

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _contend(world: LogWorld, writer: Writer, board: Board) -> None:
    """One of eight processes."""
    while True:
        try:
            log = world.open()
        except WriterActiveError:
            time.sleep(0.0005)  # another has it
            continue
        board.note("opened")
        entry = writer.entry()
        (index,) = log.submit(keyed([entry]), now=NOW)
        board.note("acknowledged", index, entry)
        writer.answered += 1
        world.close()


def _fork(work: Callable[[Board], None], board: Board) -> int:
    child = os.fork()
    if child == 0:
        try:
            board.watch_publication()
            work(board)
        except BaseException:  # noqa: BLE001 whatever it is, the parent must hear of it
            board.note("bug", 0, traceback.format_exc().encode())
        finally:
            os._exit(70)
    return child


def _kill_after(child: int, seconds: float) -> None:
    """A kill by nobody's plan; a child that ends by itself is a bug."""
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], seconds)
    os.close(handle)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _pid, status = os.waitpid(child, 0)
    assert ended or os.WTERMSIG(status) == signal.SIGKILL


@dataclass
class Tally:
    """What a run did, for the line it prints."""

    kills: int = 0
    before_open: int = 0
    acknowledged: int = 0
    checkpoints: int = 0
    proofs: int = 0
    logs: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills ({self.before_open} of them before the log was open), {self.logs} logs, "
            f"{self.acknowledged} acknowledged entries, {self.checkpoints} checkpoints, {self.proofs} proofs"
        )


class Life:
    """One log and its writers, through many kills."""

    def __init__(self, root: Path, chance: random.Random, tally: Tally) -> None:
        root.mkdir()
        self.world, self.chance, self.tally = LogWorld(root=root), chance, tally
        self.promises = Promises()
        filling = [issue(serial) for serial in range(FILLED)]
        self.promises.acknowledge(filling, self.world.create().submit(keyed(filling), now=NOW))
        self.world.close()
        self.writers = [Writer(number) for number in range(WRITERS)]

    def served_kill(self) -> None:
        self._run([lambda board: _serve(self.world, board, self.writers)], SERVED_SECONDS)

    def contending_kills(self) -> None:
        works = [partial(_contend, self.world, writer) for writer in self.writers]
        self._run(works, CONTENDING_SECONDS)

    def _run(self, works: Sequence[Callable[[Board], None]], longest: float) -> None:
        boards = [Board() for _work in works]
        children = [_fork(work, board) for work, board in zip(works, boards, strict=True)]
        moments = sorted((self.chance.uniform(0, longest), child) for child in children)
        before = 0.0
        for moment, child in moments:
            _kill_after(child, moment - before)
            before = moment
        self.promises.read_all(boards)
        self.tally.kills += len(children)
        self.tally.before_open += sum(all(kind != "opened" for kind, *_rest in x.records()) for x in boards)
        self._look()
        for board in boards:
            board.close()

    def _look(self) -> None:
        """Whatever was cut short, opening the log mends it, and it is sound."""
        self.promises.look(self.world)
        log = self.world.open()
        assert log.read_only is None
        self.promises.look(self.world)
        self.world.close()
        assert fsck(self.world.directory, vkey=IDENTITY.vkey()).faults == ()
        for writer in self.writers:
            writer.settle(self.promises)

    def end(self) -> None:
        self.tally.proofs += hold(self.world, self.promises)
        self.tally.acknowledged += len(self.promises.acknowledged) - FILLED
        self.tally.checkpoints += len(self.promises.published)
        self.tally.logs += 1
        shutil.rmtree(self.world.root)


@pytest.mark.parametrize("way", ["served", "contending"])
def test_killed_at_random_under_eight_writers(scratch: Path, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    chance, tally = random.Random(f"{way} 17"), Tally()
    while tally.kills < KILLS or tally.acknowledged < KILLS // 4:  # a busy machine kills many before their turn
        life = Life(scratch / str(tally.logs), chance, tally)
        until = tally.kills + KILLS_OF_A_LOG
        while tally.kills < until:
            life.served_kill() if way == "served" else life.contending_kills()
        life.end()
    with capsys.disabled():
        print(f"\n{way}, {WRITERS} writers: {tally}, no promise broken")
