"""Contestants in turn, round by round: each a slice of CPU time long, so that caches are warm and the clock is fine.

A contestant that takes longer than a slice runs once a round. The first round measures how many calls fill a slice
and is not counted. No garbage is collected within a slice. A contestant of another process answers with the CPU
seconds of one call.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

SLICE_SECONDS = 0.05
CALLS_MAX = 200

Work = Callable[[], object]
Contestant = Callable[[], float]


class Timed:
    """A contestant of this process: CPU seconds a call."""

    def __init__(self, work: Work) -> None:
        self._work, self._calls = work, 0

    def __call__(self) -> float:
        """One slice."""
        if not self._calls:
            self._work()  # loads what it needs
            once = self._slice(1)
            self._calls = min(CALLS_MAX, max(1, math.ceil(SLICE_SECONDS / max(once, 1e-6))))
        return self._slice(self._calls)

    def _slice(self, calls: int) -> float:
        gc.collect()
        gc.disable()
        try:
            begin = time.process_time()
            for _ in range(calls):
                self._work()
            return (time.process_time() - begin) / calls
        finally:
            gc.enable()


def rounds_of(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """Seconds a call of every contestant in every round."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, contestant in contestants.items():
            seconds = contestant()
            if number:
                spent[name].append(seconds)
    return spent


def table(spent: Mapping[str, Sequence[float]], ours: str, others: Sequence[str]) -> dict[str, dict[str, float]]:
    """One of ours beside others of the same rounds; ratios are those of a round, their median and lower quartile."""
    rows = {}
    for name in (ours, *(other for other in others if other in spent)):
        times = spent[name]
        ratios = sorted(other / max(own, 1e-7) for other, own in zip(times, spent[ours], strict=True))
        rows["ours" if name == ours else name] = {
            "median_ms": round(statistics.median(times) * 1000, 3),
            "p95_ms": round(sorted(times)[min(len(times) - 1, int(0.95 * len(times)))] * 1000, 3),
            "times_ours": round(statistics.median(ratios), 3),
            "times_ours_lower_quartile": round(ratios[len(ratios) // 4], 3),
        }
    return rows
