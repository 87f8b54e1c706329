"""What one reading process may use, and how much it uses: memory, processor time, wall time.

Linux enforces all of it (setrlimit(2): RLIMIT_AS, RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_CORE). macOS takes RLIMIT_AS and
does not keep it, Windows has none of them: there the parent looks at the memory of a busy worker ten times a second
and kills it, and the wall clock stands for the processor time. The branches for macOS and Windows were run only as
simulations (docs/spec/verdicts.md §reading). Effectful.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import resource
else:
    try:
        import resource
    except ImportError:  # Windows
        resource = None

__all__ = ["POOL_LIMITS", "PoolLimits", "confine", "grant_time", "kernel_keeps_memory", "processors", "resident_bytes"]

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Caps for one file in one worker."""

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int  # address space where the kernel keeps it, else resident memory
    files: int  # after so many a worker is replaced: no reader leaks for ever


POOL_LIMITS: Final = PoolLimits(wall_seconds=15.0, cpu_seconds=10, memory_bytes=1024 * _MIB, files=2_000)


def confine(limits: PoolLimits) -> None:
    """In a worker, once: its memory, no files written, no core dumps (they would hold the file).

    A worker that begins large (a copy of a large parent) may grow by half of the limit.
    """
    if resource is None:
        return
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    if kernel_keeps_memory():
        _lower(resource.RLIMIT_AS, max(limits.memory_bytes, _address_space() + limits.memory_bytes // 2))


def grant_time(limits: PoolLimits) -> None:
    """In a worker, before each file: so many seconds of processor time from here, then SIGXCPU."""
    if resource is not None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _lower(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + 1 + limits.cpu_seconds)


def kernel_keeps_memory(platform: str = sys.platform) -> bool:
    """Whether RLIMIT_AS is kept here; if not, the parent must look."""
    return resource is not None and platform == "linux"


def resident_bytes(pid: int, platform: str = sys.platform) -> int | None:
    """The resident memory of a process; None if the system does not say (it may just have ended)."""
    try:
        if platform == "win32":
            return _windows_resident(pid)
        if platform == "darwin":
            return _listed_resident(pid)
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def processors() -> int:
    """How many workers can run at once."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _lower(what: int, soft: int) -> None:
    """Set the soft limit, never above the hard one."""
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _listed_resident(pid: int) -> int:
    """By ps(1), which every Unix has; KiB."""
    import subprocess

    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False)
    return int(done.stdout) * 1024


def _windows_resident(pid: int) -> int:
    """By GetProcessMemoryInfo (psapi.h, PROCESS_MEMORY_COUNTERS: the working set is the third field)."""
    import ctypes

    kernel = ctypes.CDLL("kernel32") if not hasattr(ctypes, "WinDLL") else ctypes.WinDLL("kernel32")
    query_limited, vm_read = 0x1000, 0x0010
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(query_limited | vm_read, False, pid))
    if not handle:
        raise OSError("no such process")
    try:
        sizes = (ctypes.c_size_t * 10)()  # DWORD cb, DWORD faults, then SIZE_T fields
        if not kernel.K32GetProcessMemoryInfo(handle, ctypes.byref(sizes), ctypes.sizeof(sizes)):
            raise OSError("no memory information")
        first = 8 // ctypes.sizeof(ctypes.c_size_t)  # the two DWORDs
        return int(sizes[first + 1])
    finally:
        kernel.CloseHandle(handle)
