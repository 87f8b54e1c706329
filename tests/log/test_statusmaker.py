"""Status lists from the log: every hour, signed, logged, and drawn again byte for byte by the auditor."""

import hashlib

import pytest
from logworld import IDENTITY, NAME, STATUS, LogWorld, act, issue

from mingzheng.log.acts import ActType
from mingzheng.log.entry import OriginHead, StatusEntry, parse_entry
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.log.status import encode_body, open_status_list
from mingzheng.log.statusmaker import STATUS_INTERVAL, make_status, status_body, status_is_due


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


@pytest.mark.parametrize(("age", "due"), [(0, False), (STATUS_INTERVAL, False), (STATUS_INTERVAL + 1, True)])
def test_a_list_is_due_when_the_last_is_over_an_hour_old(world: LogWorld, age: int, due: bool) -> None:
    log = world.create()
    assert status_is_due(log, 1, now=world.now)
    make_status(log, 1, signer=STATUS, now=world.now)
    assert status_is_due(log, 1, now=world.now + age) is due
    assert status_is_due(log, 2, now=world.now + age)
    log.close()
    assert status_is_due(world.open(), 1, now=world.now + age) is due


def test_the_same_list_again_is_the_same_entry(world: LogWorld) -> None:
    log = world.create()
    first = make_status(log, 1, signer=STATUS, now=world.now)
    second = make_status(log, 1, signer=STATUS, now=world.now)
    assert second.index != first.index  # the head moved: another body
    assert second.body.origins != first.body.origins
