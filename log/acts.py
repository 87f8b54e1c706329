"""What may follow what for one serial, in log order (docs/spec/log.md, Order of acts).

One table for sequencer, auditor and status list. Final states admit nothing, an issue after void included.
"""

from enum import Enum, IntEnum

from mingzheng.log.errors import ActOrderError


class ActType(IntEnum):
    """What an act entry does to its serials; the numbers stand in the entry."""

    REVOKE = 1
    SUSPEND = 2
    REINSTATE = 3
    SUPERSEDE = 4
    VOID = 5


class SerialEvent(IntEnum):
    """What can happen to a serial: being issued, or an act of the same number."""

    ISSUE = 0
    REVOKE = 1
    SUSPEND = 2
    REINSTATE = 3
    SUPERSEDE = 4
    VOID = 5


class SerialState(Enum):
    """Where a serial stands at one size of the log."""

    UNKNOWN = "unknown"
    LIVE = "live"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    VOID = "void"


FINAL_STATES = frozenset({SerialState.REVOKED, SerialState.SUPERSEDED, SerialState.VOID})

_NEXT: dict[tuple[SerialState, int], SerialState] = {
    (SerialState.UNKNOWN, SerialEvent.ISSUE): SerialState.LIVE,
    (SerialState.UNKNOWN, SerialEvent.VOID): SerialState.VOID,
    (SerialState.LIVE, SerialEvent.SUSPEND): SerialState.SUSPENDED,
    (SerialState.LIVE, SerialEvent.REVOKE): SerialState.REVOKED,
    (SerialState.LIVE, SerialEvent.SUPERSEDE): SerialState.SUPERSEDED,
    (SerialState.LIVE, SerialEvent.VOID): SerialState.VOID,
    (SerialState.SUSPENDED, SerialEvent.REINSTATE): SerialState.LIVE,
    (SerialState.SUSPENDED, SerialEvent.REVOKE): SerialState.REVOKED,
    (SerialState.SUSPENDED, SerialEvent.SUPERSEDE): SerialState.SUPERSEDED,
    (SerialState.SUSPENDED, SerialEvent.VOID): SerialState.VOID,
}


def step(state: SerialState, event: SerialEvent | ActType) -> SerialState:
    """The state after `event`; raises ActOrderError if it may not follow `state`."""
    after = _NEXT.get((state, int(event)))
    if after is None:
        raise ActOrderError(state=state.value, event=event.name.lower())
    return after
