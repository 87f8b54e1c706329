"""Serial → state in little memory, for whoever replays a whole log: the auditor and `fsck`. Pure."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, MutableMapping

from mingzheng.log.acts import SerialState
from mingzheng.log.book import CODE_OF

_DENSE_SLACK = 65_536
_DENSE_SHARE = 8  # the dense part is at most about twice as many bytes for each serial seen
_UNKNOWN = CODE_OF[SerialState.UNKNOWN]

_KNOWN = re.compile(rb"[^\x00]")
assert _UNKNOWN == 0  # the expression above


class DenseStates(MutableMapping[int, int]):
    """Serial → state, a byte each while serials are dense; a hostile log's outliers go to a dictionary."""

    __slots__ = ("_dense", "_seen", "_sparse")

    def __init__(self) -> None:
        self._dense = bytearray()
        self._seen = 0  # how often a serial was set for the first time
        self._sparse: dict[int, int] = {}

    def __getitem__(self, serial: int) -> int:
        if serial < len(self._dense):
            state = self._dense[serial] or self._sparse.get(serial, _UNKNOWN)
        else:
            state = self._sparse.get(serial, _UNKNOWN)
        if state == _UNKNOWN:
            raise KeyError(serial)
        return state

    def __setitem__(self, serial: int, state: int) -> None:
        dense = self._dense
        if self._sparse and serial in self._sparse:  # it stays there: one place for each serial
            self._sparse[serial] = state
            return
        if serial >= len(dense):
            if serial > _DENSE_SHARE * self._seen + _DENSE_SLACK:
                self._seen += 1
                self._sparse[serial] = state
                return
            dense.extend(bytes(max(serial + 1, 2 * len(dense)) - len(dense)))
        if not dense[serial]:
            self._seen += 1
        dense[serial] = state

    def __delitem__(self, serial: int) -> None:
        if self._sparse.pop(serial, None) is None:
            self._dense[serial] = _UNKNOWN

    def __iter__(self) -> Iterator[int]:
        yield from (serial for serial, state in enumerate(self._dense) if state)
        yield from self._sparse

    def __len__(self) -> int:
        return len(self._dense) - self._dense.count(_UNKNOWN) + len(self._sparse)

    def in_state(self, state: int) -> list[int]:
        """The serials in a state that is not UNKNOWN, rising."""
        dense, found = self._dense, list[int]()
        at = dense.find(state)
        while at >= 0:
            found.append(at)
            at = dense.find(state, at + 1)
        return sorted([*found, *(serial for serial, known in self._sparse.items() if known == state)])

    def gaps(self, end: int, *, most: int) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Serials below `end` that were never named: how many, and their first ranges [first, last]."""
        outliers = sorted(serial for serial in self._sparse if serial < end)
        reach = min(end, len(self._dense))
        known = reach - self._dense.count(_UNKNOWN, 0, reach) + len(outliers)
        ranges: list[tuple[int, int]] = []
        at = 0
        while len(ranges) < most and at < end:
            first = self._unknown_from(at)
            if first >= end:
                break
            last = min(self._known_from(first, outliers, end), end) - 1
            ranges.append((first, last))
            at = last + 1
        return end - known, tuple(ranges)

    def _unknown_from(self, serial: int) -> int:
        while True:
            found = self._dense.find(_UNKNOWN, serial)
            serial = max(serial, len(self._dense)) if found < 0 else found
            if serial not in self._sparse:
                return serial
            serial += 1

    def _known_from(self, serial: int, outliers: list[int], end: int) -> int:
        match = _KNOWN.search(self._dense, serial)
        place = bisect_left(outliers, serial)
        return min(end if match is None else match.start(), outliers[place] if place < len(outliers) else end)

    def dump(self) -> tuple[bytes, dict[int, int]]:
        """The dense part and the outliers, for `load`."""
        return bytes(self._dense.rstrip(b"\0")), dict(self._sparse)

    @classmethod
    def load(cls, dense: bytes, sparse: Mapping[int, int]) -> "DenseStates":
        """What `dump` gave."""
        states = cls()
        states._dense, states._sparse = bytearray(dense), dict(sparse)
        states._seen = len(states)
        return states

    @classmethod
    def of(cls, states: Mapping[int, int]) -> "DenseStates":
        """The same states: themselves if they are dense already."""
        if isinstance(states, cls):
            return states
        made = cls()
        made.update(states)
        return made
