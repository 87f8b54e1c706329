"""What the log would admit of a serial, with acts that are on their way to it (docs/spec/log.md, Order of acts)."""

from collections.abc import Iterable

from mingzheng.issuer.issuinglog import IssuingLog
from mingzheng.log.acts import SerialEvent, SerialState, step
from mingzheng.log.book import CODE_OF
from mingzheng.log.entry import ActEntry, Entry
from mingzheng.log.errors import ActOrderError
from mingzheng.log.statusmaker import ListingLog

__all__ = ["SerialStates"]

_ENDED = (SerialState.SUSPENDED, SerialState.REVOKED, SerialState.SUPERSEDED, SerialState.VOID)


class SerialStates:
    """The log's states of serials as of its newest head, moved on by every act that is taken."""

    def __init__(self, listing: ListingLog, issuing: IssuingLog) -> None:
        self._listing, self._issuing = listing, issuing
        self._lists: dict[int, dict[int, SerialState]] = {}
        self._moved: dict[tuple[int, int], SerialState] = {}

    def take(self, entry: Entry) -> dict[int, SerialState]:
        """Take an act in; the serials for which it is refused, with the state that they are in."""
        refused: dict[int, SerialState] = {}
        if not isinstance(entry, ActEntry):
            return refused
        for serial in entry.serials:
            state = self._state(entry.issuer, serial)
            try:
                self._moved[entry.issuer, serial] = step(state, SerialEvent(entry.act))
            except ActOrderError:
                refused[serial] = state
        return refused

    def issued(self, issuer: int, serials: Iterable[int]) -> dict[int, SerialState]:
        """Those that the log has seen issued."""
        found = (serial for serial in serials if self._issuing.index_of_serial(issuer, serial) is not None)
        return dict.fromkeys(found, SerialState.LIVE)

    def _state(self, issuer: int, serial: int) -> SerialState:
        moved = self._moved.get((issuer, serial))
        if moved is not None:
            return moved
        if issuer not in self._lists:
            self._listing.head()
            read = self._listing.serials_in_state
            self._lists[issuer] = {one: state for state in _ENDED for one in read(issuer, CODE_OF[state])}
        found = self._lists[issuer].get(serial)
        if found is not None:
            return found
        logged = self._issuing.index_of_serial(issuer, serial) is not None
        return SerialState.LIVE if logged else SerialState.UNKNOWN
