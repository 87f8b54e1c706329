"""Limits of a reading process, and what stands in for them where the kernel has none."""

import ctypes
import os
import subprocess
import sys
import types
from typing import Any

import pytest

from mingzheng.formats import confine
from mingzheng.formats.confine import POOL_LIMITS, grant_time, kernel_keeps_memory, processors, resident_bytes

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_limits_are_those_of_the_threat_model() -> None:
    assert (POOL_LIMITS.wall_seconds, POOL_LIMITS.cpu_seconds) == (15.0, 10)
    assert POOL_LIMITS.memory_bytes == 1024**3


class Recorder:
    """A module `resource` that only writes down."""

    RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_CPU, RLIM_INFINITY, RUSAGE_SELF = 1, 2, 3, 4, -1, 0

    def __init__(self, hard: int) -> None:
        self.hard = hard
        self.set: dict[int, tuple[int, int]] = {}

    def getrlimit(self, what: int) -> tuple[int, int]:
        return (self.hard, self.hard)

    def setrlimit(self, what: int, values: tuple[int, int]) -> None:
        self.set[what] = values

    def getrusage(self, who: int) -> Any:
        return types.SimpleNamespace(ru_utime=2.5, ru_stime=1.0)


@LINUX
def test_soft_limits_are_set_below_the_hard_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    free = Recorder(-1)
    monkeypatch.setattr(confine, "resource", free)
    confine.confine(POOL_LIMITS)
    grant_time(POOL_LIMITS)
    assert free.set[1] == free.set[2] == (0, -1)
    assert free.set[3][0] >= POOL_LIMITS.memory_bytes
    assert free.set[4] == (14, -1)
    tight = Recorder(100)
    monkeypatch.setattr(confine, "resource", tight)
    confine.confine(POOL_LIMITS)
    assert tight.set[3] == (100, 100)


def test_without_the_module_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "resource", None)
    confine.confine(POOL_LIMITS)
    grant_time(POOL_LIMITS)
    assert not kernel_keeps_memory()


def test_macos_does_not_keep_the_limit_of_memory() -> None:
    assert not kernel_keeps_memory("darwin")
    assert kernel_keeps_memory("linux") is (confine.resource is not None)


@LINUX
def test_memory_of_a_process_on_linux() -> None:
    found = resident_bytes(os.getpid())
    assert found is not None
    assert 5_000_000 < found < 10**10
    assert resident_bytes(2**22 + 1) is None


def test_memory_of_a_process_on_macos_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [" 5120\n", ""]

    def listed(command: list[str], **_: object) -> Any:
        assert command == ["ps", "-o", "rss=", "-p", "7"]
        return types.SimpleNamespace(stdout=answers.pop(0))

    monkeypatch.setattr(subprocess, "run", listed)
    assert resident_bytes(7, "darwin") == 5120 * 1024
    assert resident_bytes(7, "darwin") is None


@pytest.mark.parametrize(("opens", "tells", "found"), [(1, 1, 12345), (0, 1, None), (1, 0, None)])
def test_memory_of_a_process_on_windows_simulated(
    monkeypatch: pytest.MonkeyPatch, opens: int, tells: int, found: int | None
) -> None:
    """The layout of PROCESS_MEMORY_COUNTERS: two DWORDs, then SIZE_T fields, the second of them the working set."""
    closed: list[object] = []

    class Open:
        restype: object = None

        def __call__(self, access: int, inherit: bool, pid: int) -> int:
            return opens

    def told(handle: object, where: Any, size: int) -> int:
        sizes = where._obj
        sizes[8 // ctypes.sizeof(ctypes.c_size_t) + 1] = 12345
        return tells

    kernel = types.SimpleNamespace(OpenProcess=Open(), K32GetProcessMemoryInfo=told, CloseHandle=closed.append)
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: kernel, raising=False)
    assert resident_bytes(7, "win32") == found
    assert len(closed) == opens


def test_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processors() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1
