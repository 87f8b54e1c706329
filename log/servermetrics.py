"""Counters of a log's server, as Prometheus reads them (text format 0.0.4). Pure; names of routes, never paths."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_HELP: Final[Mapping[str, str]] = {
    "requests_total": "Answered requests by route, method and status.",
    "refusals_total": "Refused requests by code.",
    "entries_total": "Entries answered with index and receipt.",
    "rounds_total": "Published rounds.",
    "round_seconds": "From the start of a round to its receipts.",
    "inclusion_seconds": "From taking a request to its receipts.",
    "request_seconds": "From a request to its answer, by route.",
    "log_size": "Entries in the log.",
    "queue_entries": "Entries that wait.",
    "loop_lag_seconds": "How late the event loop is; entries are refused above 2.",
    "ready": "1 if entries are taken.",
    "resident_bytes": "Memory of the process.",
    "open_files": "Open file descriptors.",
}


class Histogram:
    """Counts below fixed bounds, sum and count."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = 0.0

    def add(self, value: float, count: int = 1) -> None:
        """`count` observations of `value`."""
        at = next((place for place, bound in enumerate(_BOUNDS) if value <= bound), len(_BOUNDS))
        self._counts[at] += count
        self._sum += value * count

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """As Prometheus has them: cumulative."""
        total, comma = 0, "," if labels else ""
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {total}'
        tail = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{tail} {self._sum:.6f}"
        yield f"{name}_count{tail} {total}"


class Metrics:
    """What is counted. Every method is a few additions; the two threads that call touch different numbers."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self._refusals: dict[str, int] = defaultdict(int)
        self._seconds: dict[str, Histogram] = defaultdict(Histogram)
        self._rounds, self._inclusion = Histogram(), Histogram()
        self._entries = self._round_count = self._size = 0

    def answered(self, *, route: str, method: str, status: int, code: str | None, seconds: float) -> None:
        """A request was answered. `route` and `method` are of closed sets."""
        self._requests[route, method, status] += 1
        self._seconds[route].add(seconds)
        if code is not None:
            self._refusals[code] += 1

    def round_done(self, *, entries: int, seconds: float, size: int) -> None:
        """See serverqueue.Observer."""
        self._round_count += 1
        self._entries += entries
        self._rounds.add(seconds)
        self._size = size

    def request_done(self, *, entries: int, seconds: float) -> None:
        """See serverqueue.Observer."""
        self._inclusion.add(seconds, entries)

    def text(self, gauges: Mapping[str, float]) -> str:
        """The page. `gauges`: what is measured now."""
        counted = {
            "requests_total": {
                f'route="{route}",method="{method}",status="{status}"': count
                for (route, method, status), count in sorted(self._requests.items())
            },
            "refusals_total": {f'code="{code}"': count for code, count in sorted(self._refusals.items())},
            "entries_total": {"": self._entries},
            "rounds_total": {"": self._round_count},
        }
        lines: list[str] = []
        for name, rows in counted.items():
            lines += [*_head(name, "counter"), *(_line(name, labels, value) for labels, value in rows.items())]
        for name, value in {"log_size": self._size, **gauges}.items():
            lines += [*_head(name, "gauge"), _line(name, "", value)]
        for name, histogram in (("round_seconds", self._rounds), ("inclusion_seconds", self._inclusion)):
            lines += [*_head(name, "histogram"), *histogram.lines(_full(name), "")]
        lines += _head("request_seconds", "histogram")
        for route, histogram in sorted(self._seconds.items()):
            lines += histogram.lines(_full("request_seconds"), f'route="{route}"')
        return "\n".join([*lines, ""])


def _full(name: str) -> str:
    return f"mingzheng_log_{name}"


def _head(name: str, kind: str) -> tuple[str, str]:
    return f"# HELP {_full(name)} {_HELP[name]}", f"# TYPE {_full(name)} {kind}"


def _line(name: str, labels: str, value: float) -> str:
    return f"{_full(name)}{{{labels}}} {value}" if labels else f"{_full(name)} {value}"


__all__ = ["Histogram", "Metrics"]
