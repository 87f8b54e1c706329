"""Workers that hang, eat memory, burn time or die: the run goes on, the order stays, nothing is left behind."""

import contextlib
import ctypes
import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mingzheng.formats import confine, pool
from mingzheng.formats.confine import POOL_LIMITS, PoolLimits
from mingzheng.formats.pool import Done, Loss, Pool, PoolBrokenError, Start, Task, WorkerMemoryError, default_start

# No honest worker comes near these times however slow the machine is: a test that wants one to end says so itself.
LIMITS = PoolLimits(wall_seconds=300.0, cpu_seconds=120, memory_bytes=POOL_LIMITS.memory_bytes, files=1_000)
FOR_EVER = 3600  # seconds; no test waits for it
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limits of Linux")


def act(name: str, data: bytes) -> bytes:
    """What a reader can do to its process."""
    match name.partition(":")[0]:
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(0)
        case "sleep":
            time.sleep(FOR_EVER)
        case "spin":
            while True:
                pass
        case "memory":
            return bytes(len(bytearray(3 * 1024**3)))[:1]
        case "grow":
            held = []
            while True:
                held.append(b"x" * (8 << 20))
        case "short":
            raise WorkerMemoryError
        case "write":
            Path(name.partition(":")[2]).write_bytes(b"x" * 10)
        case "segfault":
            ctypes.string_at(0)
        case "once":  # dies the first time
            mark = Path(name.partition(":")[2])
            if not mark.is_dir():
                mark.mkdir()
                os.abort()
        case "pid":
            return str(os.getpid()).encode()
        case "wrong":
            raise ValueError("张三")
        case _:
            pass
    return name.encode() + b"=" + data


def set_up() -> pool.Work:
    return act


def broken() -> pool.Work:
    raise RuntimeError("no trust data")


@pytest.fixture
def nothing_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def run(*names: str, workers: int = 2, limits: PoolLimits = LIMITS, start: Start | None = None) -> list[object]:
    with Pool[str](set_up, workers=workers, limits=limits, start=start) as made:
        return list(made.run(Task(name=name, data=b"1") for name in names))


pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning"),
]


def good(name: str) -> bytes:
    return name.encode() + b"=1"


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_answers_come_in_order_whatever_happens_between(workers: int, tmp_path: Path) -> None:
    names = ["a", "abort", "b", "kill", f"once:{tmp_path}/x", "c", "exit", "d", "wrong", "e"]
    expected = [
        *(good("a"), Loss.CRASH, good("b"), Loss.MEMORY, good(names[4]), good("c")),
        *(Loss.CRASH, good("d"), Loss.CRASH, good("e")),
    ]
    assert run(*names, workers=workers, start=Start.FORK) == expected


@LINUX
@pytest.mark.parametrize(
    ("name", "loss"),
    [("memory", Loss.MEMORY), ("grow", Loss.MEMORY), ("short", Loss.MEMORY), ("segfault", Loss.CRASH)],
)
def test_the_kernel_ends_what_takes_too_much(name: str, loss: Loss) -> None:
    small = dataclasses.replace(LIMITS, memory_bytes=256 * 1024 * 1024)  # touched page by page, in both tries
    assert run("a", name, "b", limits=small, start=Start.FORK) == [good("a"), loss, good("b")]


@LINUX
def test_the_kernel_ends_what_takes_too_long_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = _given(monkeypatch)
    short = dataclasses.replace(LIMITS, cpu_seconds=1)
    assert run("a", "spin", "b", limits=short, start=Start.FORK) == [good("a"), Loss.CPU, good("b")]
    assert given.count("spin") == 1


@LINUX
def test_what_kills_its_reader_has_two_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    given = _given(monkeypatch)
    assert run("a", "abort", "b", start=Start.FORK) == [good("a"), Loss.CRASH, good("b")]
    assert sorted(given) == ["a", "abort", "abort", "b"]


def _given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that workers are given from now on, as often as they are."""
    names: list[str] = []
    give = Pool._give

    def noted(made: Pool[str], worker: "pool._Worker[str]", slot: "pool._Slot[str]") -> None:
        assert slot.task is not None
        names.append(slot.task.name)
        give(made, worker, slot)

    monkeypatch.setattr(Pool, "_give", noted)
    return names


@LINUX
def test_a_worker_writes_no_file(tmp_path: Path) -> None:
    assert run(f"write:{tmp_path}/x", "b", start=Start.FORK) == [Loss.CRASH, good("b")]
    assert not (tmp_path / "x").exists() or (tmp_path / "x").read_bytes() == b""


def test_one_that_sleeps_is_killed_by_the_parent_after_both_tries() -> None:
    begun = time.monotonic()
    limits = dataclasses.replace(LIMITS, wall_seconds=0.5)
    assert run("sleep", "a", limits=limits, start=Start.FORK) == [Loss.WALL, good("a")]
    assert 1.0 <= time.monotonic() - begun < 60.0  # both tries; the rest is for a slow machine


def test_a_second_try_is_alone_and_in_a_fresh_worker(tmp_path: Path) -> None:
    first, last = run("pid", f"once:{tmp_path}/x", "pid", workers=1, start=Start.FORK)[::2]
    assert first != last


def test_a_worker_lives_for_many_files_and_is_then_replaced() -> None:
    limits = dataclasses.replace(LIMITS, files=2)
    found = run("pid", "pid", "pid", "pid", workers=1, limits=limits, start=Start.FORK)
    assert found[0] == found[1] != found[2] == found[3]


def test_what_is_done_keeps_its_place_and_no_worker_is_started_for_it() -> None:
    with Pool[str](broken, workers=1, limits=LIMITS, start=Start.FORK) as made:
        assert list(made.run([Done("x"), Done("y")])) == [Done("x"), Done("y")]
    with Pool[str](set_up, workers=2, limits=LIMITS, start=Start.FORK) as made:
        found = list(made.run([Task(name="a", data=b"1"), Done("x"), Task(name="b", data=b"")]))
    assert found == [good("a"), Done("x"), b"b="]


def test_answers_are_given_before_the_next_item_is_asked_for() -> None:
    asked: list[str] = []

    def items() -> Iterator[Task | Done[str]]:
        for name in ("x", "y"):
            asked.append(name)
            yield Done(name)

    with Pool[str](set_up, workers=1, limits=LIMITS, start=Start.FORK) as made:
        answers = made.run(items())
        assert next(answers) == Done("x")
        assert asked == ["x"]


def test_no_more_than_so_many_answers_wait_for_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "AHEAD", 2)
    asked = 0

    def items() -> Iterator[Task | Done[str]]:
        nonlocal asked
        yield Task(name="sleep", data=b"")
        while asked < 50:
            asked += 1
            yield Done(str(asked))

    limits = dataclasses.replace(LIMITS, wall_seconds=0.3)
    with Pool[str](set_up, workers=2, limits=limits, start=Start.FORK) as made:
        answers = made.run(items())
        assert next(answers) is Loss.WALL
        assert asked <= 4
        assert len(list(answers)) == 50


def test_no_items_no_answers() -> None:
    assert run() == []


def test_large_files_and_odd_names_arrive_whole() -> None:
    data = bytes(range(256)) * 40_000
    with Pool[str](set_up, workers=1, limits=LIMITS, start=Start.FORK) as made:
        (answer,) = made.run([Task(name="\udcff证", data=data)])
    assert answer == b"\xff\xe8\xaf\x81=" + data or isinstance(answer, Loss)


def test_a_run_that_is_broken_off_leaves_nobody() -> None:
    made = Pool[str](set_up, workers=2, limits=LIMITS, start=Start.FORK)
    with pytest.raises(KeyboardInterrupt), made:
        for _ in made.run(Task(name=name, data=b"1") for name in ("a", "sleep", "sleep")):
            raise KeyboardInterrupt


def test_ctrl_c_is_left_to_the_parent() -> None:
    with Pool[str](set_up, workers=1, limits=LIMITS, start=Start.FORK) as made:
        answers = made.run(Task(name=name, data=b"1") for name in ("pid", "a"))
        os.kill(int(next(answers)), signal.SIGINT)  # type: ignore[call-overload]
        assert next(answers) == good("a")


def test_a_worker_that_dies_while_idle_is_replaced() -> None:
    with Pool[str](set_up, workers=1, limits=LIMITS, start=Start.FORK) as made:
        answers = made.run(Task(name=name, data=b"1" * 1_000_000) for name in ("pid", "a"))
        made._workers[0:] = made._workers
        pid = int(next(answers))  # type: ignore[call-overload]
        os.kill(pid, signal.SIGKILL)
        made._workers[0].process.join()
        assert next(answers) == b"a=" + b"1" * 1_000_000


def test_a_set_up_that_fails_is_an_error_of_its_own() -> None:
    with (
        pytest.raises(PoolBrokenError) as caught,
        Pool[str](broken, workers=1, limits=LIMITS, start=Start.FORK) as made,
    ):
        list(made.run([Task(name="a", data=b"")]))
    assert caught.value.code == "verifier.pool_broken"


def test_spawned_workers_do_the_same() -> None:
    """What Windows and macOS do: nothing is inherited, everything is pickled."""
    assert run("a", "abort", "b", workers=1, start=Start.SPAWN) == [good("a"), Loss.CRASH, good("b")]


def test_without_the_kernels_limits_the_parent_looks_at_memory_and_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows, simulated: no module `resource`; the parent polls and kills."""
    monkeypatch.setattr(confine, "resource", None)
    limits = dataclasses.replace(LIMITS, memory_bytes=300 * 1024 * 1024)
    assert run("a", "grow", "b", limits=limits, start=Start.FORK) == [good("a"), Loss.MEMORY, good("b")]
    slow = dataclasses.replace(LIMITS, wall_seconds=0.4, memory_bytes=1 << 40)
    assert run("spin", "b", limits=slow, start=Start.FORK) == [Loss.WALL, good("b")]


def test_start_is_a_fork_only_where_no_other_thread_holds_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_start() is Start.FORK
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert default_start() is Start.SPAWN
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    for platform in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        assert default_start() is Start.SPAWN


# The life of a worker, lived here so that it can be watched


def talk(monkeypatch: pytest.MonkeyPatch, work: pool.Work, *files: tuple[str, bytes], loud: bool) -> list[str]:
    """What a worker says to these files; its limits and its silence are only written down."""
    done: list[str] = []
    monkeypatch.setattr(pool, "confine", lambda limits: done.append("confined"))
    monkeypatch.setattr(pool, "grant_time", lambda limits: done.append("time"))
    monkeypatch.setattr(pool, "_silence", lambda: done.append("silent"))
    ours, theirs = multiprocessing.Pipe()
    other, another = multiprocessing.Pipe()
    for name, data in files:
        ours.send_bytes(name.encode("utf-8", "surrogateescape"))
        ours.send_bytes(data)
    before = signal.getsignal(signal.SIGINT)
    reader = threading.Thread(target=_hear_all, args=(ours, len(files)))
    reader.start()
    try:
        pool.work_on(theirs, [other], lambda: work, LIMITS, loud=loud)
    finally:
        signal.signal(signal.SIGINT, before)
        theirs.close()
        another.close()
        reader.join()
    assert other.closed
    return done


def _hear_all(line: "Connection[bytes, bytes]", files: int) -> None:
    """Until the worker is ready and has answered to all files or has ended; then it is told to go."""
    with contextlib.suppress(EOFError, OSError):  # it ended, perhaps with files unread
        for _ in range(1 + files):
            line.recv_bytes()
    line.close()


def test_a_worker_is_confined_before_it_reads_and_has_its_time_for_each_file(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def work(name: str, data: bytes) -> bytes:
        seen.append(name)
        return b"x"

    assert talk(monkeypatch, work, ("a", b"1"), ("b\udcff", b"2"), loud=False) == [
        *("silent", "confined", "time", "time")
    ]
    assert seen == ["a", "b\udcff"]


@pytest.mark.parametrize("error", [MemoryError, WorkerMemoryError])
def test_a_worker_short_of_memory_says_so_and_ends(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def work(name: str, data: bytes) -> bytes:
        raise error

    assert talk(monkeypatch, work, ("a", b"1"), ("b", b"2"), loud=True) == ["confined", "time"]


def test_the_end_of_a_process_says_what_ended_it() -> None:
    assert pool._why(-signal.SIGXCPU) is Loss.CPU
    assert pool._why(-signal.SIGKILL) is Loss.MEMORY
    assert {pool._why(code) for code in (None, 0, 1, -signal.SIGSEGV)} == {Loss.CRASH}
