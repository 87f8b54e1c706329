"""The kernel fails or kills at every occurrence of every system call by which the log appends: strace injection.

A forked child waits until strace holds it, then makes a log, appends and closes; so occurrences are counted from the
first call of the log's own, not from the interpreter's start. A trace without faults says which calls those are and how
often each is made; the calls that durable programs may make and ours does not are listed, and must not be in the trace.
Default counts take a few occurrences of each call; MINGZHENG_FULL=1 takes every one.
"""

import mmap
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FULL
from logworld import LogWorld, act, issue, keyed, notice
from promises import Board, Promises, hold

from mingzheng.log.acts import ActType
from mingzheng.log.errors import LogError
from mingzheng.log.refusal import LogMissingError

pytestmark = [pytest.mark.strace, pytest.mark.slow]

CALLED = (
    *("openat", "read", "pread64", "write", "pwrite64", "fsync", "fdatasync", "rename", "mkdir", "close"),
    *("unlink", "rmdir", "ftruncate"),
)
# Names become visible by rename and by nothing else; bytes reach files by write and pwrite64.
NEVER_CALLED = (
    *("open", "openat2", "creat", "link", "linkat", "symlink", "symlinkat", "renameat", "renameat2", "mkdirat"),
    *("readv", "preadv", "preadv2", "writev", "pwritev", "pwritev2", "sync_file_range", "msync", "fallocate"),
    *("truncate", "sync", "syncfs", "copy_file_range", "sendfile", "splice", "io_uring_enter"),
)
OURS = ("write", "fsync", "rename", "mkdir")  # not SQLite's: an error of one of these may not be passed over
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC")
SAMPLES = 4
BATCHES = (
    (issue(0), issue(1)),
    tuple(issue(serial) for serial in range(2, 262)),
    (act(0, ActType.REVOKE, [0]), act(1, ActType.SUSPEND, [5, 6]), notice(2), issue(300)),
)
EXPECTED = 4 + 262 + 4 + 2
OWN_ERROR, BUG = 3, 70


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """In memory where there is memory: neither a kill nor an injected error touches the page cache."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        yield Path(name)


def _open(world: LogWorld) -> None:
    try:
        world.open()
    except LogMissingError:
        world.create()


def _work(world: LogWorld, board: Board) -> None:
    """Make or open the log, append every batch, close it."""
    _open(world)
    log = world.opened[-1]
    board.note("opened")
    for number, batch in enumerate(BATCHES):
        for index, entry in zip(log.submit(keyed(batch), now=world.now + number), batch, strict=True):
            board.note("acknowledged", index, entry)
    world.close()


def _in_child(world: LogWorld, board: Board, go: mmap.mmap) -> None:
    """Never returns. What strace does to a call is an OSError or sqlite's error here, and ours in the end."""
    status = BUG
    try:
        board.watch_publication()
        while not go[0]:
            time.sleep(0.0005)  # until strace holds this process; no call of those that are counted
        _work(world, board)
        status = 0
    except (LogError, OSError) as error:
        board.note("stopped", 0, (getattr(error, "code", None) or type(error).__name__).encode())
        status = OWN_ERROR
    except BaseException:  # noqa: BLE001 whatever it is, the parent must hear of it
        board.note("bug", 0, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _traced(world: LogWorld, board: Board, options: list[str]) -> int:
    """Run the work in a child that strace holds; its wait status."""
    go = mmap.mmap(-1, 1)
    child = os.fork()
    if child == 0:
        _in_child(world, board, go)
    command = ["strace", "-p", str(child), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        assert "attached" in (line := tracer.stderr.readline()), line
        go[0] = 1
        _pid, status = os.waitpid(child, 0)
        tracer.stderr.read()
    return status


def _count(scratch: Path) -> tuple[Counter[str], str]:
    """How often each call is made, and the trace."""
    root = scratch / "count"
    root.mkdir()
    trace = scratch / "trace"
    world, board = LogWorld(root=root), Board()
    assert _traced(world, board, ["-o", str(trace)]) == 0
    shutil.rmtree(root)
    text = trace.read_text(encoding="utf-8", errors="replace")
    return Counter(re.findall(r"^(\w+)\(", text, re.MULTILINE)), text


@pytest.fixture(scope="module")
def counted(scratch: Path) -> tuple[Counter[str], str]:
    _work(LogWorld(root=scratch / "warm"), Board())  # everything that Python loads late is loaded now
    return _count(scratch)


def test_the_append_path_makes_these_calls_and_no_others(
    counted: tuple[Counter[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    counts, _trace = counted
    assert {call for call in CALLED if counts[call] == 0} == set()
    assert {call: counts[call] for call in NEVER_CALLED if counts[call]} == {}
    with capsys.disabled():
        print("\ntrace: " + ", ".join(f"{call} {counts[call]}" for call in CALLED))
        print("never called: " + " ".join(NEVER_CALLED))


def _occurrences(count: int) -> list[int]:
    """Every one, or a few spread from the first to the last."""
    if FULL or count <= SAMPLES:
        return list(range(1, count + 1))
    return sorted({1 + round(number * (count - 1) / (SAMPLES - 1)) for number in range(SAMPLES)})


def _promised(board: Board, world: LogWorld) -> Promises:
    promises = Promises()
    promises.read(board)
    promises.look(world)
    return promises


def _finish(world: LogWorld, promises: Promises) -> int:
    """Undisturbed, in this process: open, fsck, ask for everything again, and prove it all."""
    _open(world)
    log = world.opened[-1]
    assert log.read_only is None
    promises.look(world)
    proofs = hold(world, promises)
    for number, batch in enumerate(BATCHES):
        promises.acknowledge(batch, log.submit(keyed(batch), now=world.now + number))
        promises.look(world)
    assert log.head()[0] == EXPECTED
    world.close()
    return proofs + hold(world, promises)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLED)
def test_a_fault_of_the_kernel_breaks_no_promise(
    scratch: Path,
    counted: tuple[Counter[str], str],
    call: str,
    fault: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends: Counter[str] = Counter()
    proofs = 0
    occurrences = _occurrences(counted[0][call])
    for when in occurrences:
        root = Path(tempfile.mkdtemp(dir=scratch))
        world, board = LogWorld(root=root), Board()
        options = ["-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}", "-o", os.devnull]
        ends[_end(_traced(world, board, options))] += 1
        proofs += _finish(world, _promised(board, world))
        board.close()
        shutil.rmtree(root)
    if fault == "signal=KILL":
        assert ends["killed"] >= len(occurrences) - 1  # a trace may have one call more: the last of a process
    elif call in OURS:
        assert ends["went on"] == 0
    with capsys.disabled():
        told = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
        print(f"\n{call} {fault}: {len(occurrences)} occurrences, {told}; {proofs} proofs")


def _end(status: int) -> str:
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return "killed"
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, OWN_ERROR), code
    return "stopped with an error" if code else "went on"
