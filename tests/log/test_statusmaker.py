"""Status lists from the log: every hour, signed, logged, and drawn again byte for byte by the auditor."""

import hashlib
from collections.abc import Sequence

import pytest
from logworld import IDENTITY, NAME, STATUS, LogWorld, act, issue, keyed

from mingzheng.log.acts import ActType
from mingzheng.log.entry import OriginHead, StatusEntry, parse_entry
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.log.refusal import ClockBackwardsError, SubmissionError
from mingzheng.log.sequencer import EmbeddedLog, Submission
from mingzheng.log.status import encode_body, open_status_list
from mingzheng.log.statusmaker import MAX_DRAWS, STATUS_INTERVAL, make_status, status_body


def test_a_list_says_what_the_log_says(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(10)))
    world.submit(log, act(0, ActType.SUSPEND, [1, 2]), act(1, ActType.REVOKE, [2, 3]), act(2, ActType.VOID, [12]))
    world.submit(log, act(3, ActType.SUPERSEDE, [4]))
    size, root = log.head()
    made = make_status(log, 1, signer=STATUS, now=world.now)
    body = open_status_list(made.signed_list, STATUS.public_key)
    assert body == made.body
    assert (body.suspended, body.revoked, body.void, body.superseded) == ((1,), (2, 3), (12,), (4,))
    assert body.next_serial == 13
    assert body.origins == (OriginHead(7, size, root),)
    assert (body.this_update, body.next_update) == (world.now, world.now + STATUS_INTERVAL)
    entry = parse_entry(log.reader().entry(made.index))
    assert isinstance(entry, StatusEntry)
    assert entry.sha256 == hashlib.sha256(encode_body(body)).digest()
    leaf = leaf_hash(log.reader().entry(made.index))
    verify_full_receipt(parse_tlog_proof(made.full_receipt), leaf, vkey=IDENTITY.vkey(), origin=NAME)


def test_an_issuer_without_entries_has_an_empty_list(world: LogWorld) -> None:
    log = world.create()
    body = status_body(log, 2, now=world.now)
    assert (body.next_serial, body.revoked, body.suspended) == (0, (), ())
    assert make_status(log, 2, signer=STATUS, now=world.now).index == 0


def test_the_same_list_again_is_the_same_entry(world: LogWorld) -> None:
    log = world.create()
    first = make_status(log, 1, signer=STATUS, now=world.now)
    second = make_status(log, 1, signer=STATUS, now=world.now)
    assert second.index != first.index  # the head moved: another body
    assert second.body.origins != first.body.origins


class _ActsBetween(EmbeddedLog):
    """Its issuer acts `left` times just before a list is appended."""

    left = 0
    done = 0

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        if self.left:
            self.left, self.done = self.left - 1, self.done + 1
            super().submit(keyed([act(self.done - 1, ActType.VOID, [self.done])]), now=now)
        return super().submit(submissions, now=now)


@pytest.mark.parametrize("between", [0, MAX_DRAWS - 1, MAX_DRAWS])
def test_a_list_is_drawn_again_if_its_issuer_acted_meanwhile(world: LogWorld, between: int) -> None:
    world.maker = _ActsBetween
    log = world.create()
    assert isinstance(log, _ActsBetween)
    world.submit(log, issue(0))
    log.left = between
    if between == MAX_DRAWS:
        with pytest.raises(SubmissionError) as caught:
            make_status(log, 1, signer=STATUS, now=world.now)
        assert caught.value.reason == "rule.status_incomplete"
    else:
        assert make_status(log, 1, signer=STATUS, now=world.now).body.void == tuple(range(1, between + 1))


def test_other_refusals_are_not_tried_again(world: LogWorld) -> None:
    log = world.create()
    make_status(log, 1, signer=STATUS, now=world.now)
    with pytest.raises(ClockBackwardsError):
        make_status(log, 1, signer=STATUS, now=world.now - 1)
