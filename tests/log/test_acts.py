"""The order of acts: every sequence of events up to length 4 against the words of the spec."""

import re
from itertools import product

import pytest

from mingzheng.log.acts import FINAL_STATES, ActType, SerialEvent, SerialState, step
from mingzheng.log.errors import ActOrderError

# docs/spec/log.md: nothing -> issue | void; issued -> (suspend <-> reinstate)*, -> revoke | supersede | void.
# i issue, s suspend, r reinstate, x one of revoke (R), supersede (S), void (V).
ALLOWED = re.compile(r"(V|i(sr)*s?[RSV]?)?")
LETTER = {
    SerialEvent.ISSUE: "i",
    SerialEvent.SUSPEND: "s",
    SerialEvent.REINSTATE: "r",
    SerialEvent.REVOKE: "R",
    SerialEvent.SUPERSEDE: "S",
    SerialEvent.VOID: "V",
}
LAST_STATE = {
    "": SerialState.UNKNOWN,
    "i": SerialState.LIVE,
    "r": SerialState.LIVE,
    "s": SerialState.SUSPENDED,
    "R": SerialState.REVOKED,
    "S": SerialState.SUPERSEDED,
    "V": SerialState.VOID,
}


def run(events: tuple[SerialEvent, ...]) -> SerialState | None:
    state = SerialState.UNKNOWN
    try:
        for event in events:
            state = step(state, event)
    except ActOrderError:
        return None
    return state


@pytest.mark.parametrize("length", range(6))
def test_every_sequence_is_admitted_exactly_as_the_spec_says(length: int) -> None:
    for events in product(SerialEvent, repeat=length):
        word = "".join(LETTER[event] for event in events)
        want = LAST_STATE[word[-1:]] if ALLOWED.fullmatch(word) else None
        assert run(events) is want, word


def test_final_states_admit_nothing() -> None:
    assert {SerialState.REVOKED, SerialState.SUPERSEDED, SerialState.VOID} == FINAL_STATES
    for state in FINAL_STATES:
        for event in SerialEvent:
            with pytest.raises(ActOrderError):
                step(state, event)


def test_an_issue_after_void_is_refused_and_named() -> None:
    void = step(SerialState.UNKNOWN, ActType.VOID)
    with pytest.raises(ActOrderError) as caught:
        step(void, SerialEvent.ISSUE)
    assert (caught.value.state, caught.value.event, caught.value.code) == ("void", "issue", "act.order")


def test_an_act_is_the_event_of_the_same_number() -> None:
    for act in ActType:
        assert SerialEvent(act).name == act.name
        for state in SerialState:
            assert run_one(state, act) is run_one(state, SerialEvent(act))


def run_one(state: SerialState, event: ActType | SerialEvent) -> SerialState | None:
    try:
        return step(state, event)
    except ActOrderError:
        return None
