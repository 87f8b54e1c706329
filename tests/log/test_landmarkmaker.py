"""Landmark lists from the log on disk: drawn, logged, proved, and drawn again by whoever reads the entries."""

import hashlib

import pytest
from logworld import IDENTITY, NAME, LogWorld, issue, signer

from mingzheng.log.book import Book
from mingzheng.log.entry import LandmarkEntry, TimeEntry, parse_entry
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.landmark import (
    LIVE_SECONDS,
    BlockBook,
    LandmarkIndex,
    LandmarkMalformedError,
    encode_body,
    open_landmark_list,
    verify_landmark_proof,
)
from mingzheng.log.landmarkmaker import LANDMARK_INTERVAL, landmark_body, make_landmark, round_time
from mingzheng.log.receipt import parse_compact_receipt, parse_tlog_proof, receipt_root
from mingzheng.log.sequencer import EmbeddedLog

LANDMARK = signer("landmark")


def grown(world: LogWorld, rounds: int = 20) -> EmbeddedLog:
    """Rounds of 1, 3, 6 … entries."""
    log = world.create()
    for number in range(rounds):
        first = number * (number + 1)
        world.submit(log, *(issue(serial) for serial in range(first, first + 2 * number + 1)))
    return log


def test_a_list_is_drawn_logged_and_proved(world: LogWorld) -> None:
    log = grown(world)
    size, root = log.head()
    made = make_landmark(log, signer=LANDMARK, now=world.now)
    body = open_landmark_list(made.signed_list, LANDMARK.public_key)
    assert body == made.body
    assert (body.head.origin, body.head.size, body.head.root) == (7, size, root)
    assert (body.this_update, body.next_update) == (world.now, world.now + LANDMARK_INTERVAL)
    entry = parse_entry(log.reader().entry(made.index))
    assert isinstance(entry, LandmarkEntry)
    assert entry.sha256 == hashlib.sha256(encode_body(body)).digest()
    proof = parse_tlog_proof(made.proof)
    assert verify_landmark_proof(proof, body, vkey=IDENTITY.vkey(), origin=NAME).size == log.head()[0]
    index = LandmarkIndex(body)
    reader = log.reader()
    for at in range(size):
        receipt = parse_compact_receipt(log.compact_receipt(at))
        assert index.holds(receipt.start, receipt.end, receipt_root(receipt, leaf_hash(reader.entry(at))))


def test_whoever_reads_the_entries_draws_the_same_list(world: LogWorld) -> None:
    """As the auditor does: rounds by their time entries, hashes from verified tiles."""
    log = grown(world)
    world.now += LIVE_SECONDS - 30 * 86_400
    make_landmark(log, signer=LANDMARK, now=world.now)  # a round of its own
    world.now += 40 * 86_400
    made = make_landmark(log, signer=LANDMARK, now=world.now)
    assert 0 < made.body.start < made.body.head.size
    assert len(made.body.rounds) == 1
    reader, book = log.reader(), BlockBook(origin=7, height=4)
    seconds = None
    for index, data in reader.entries(0, made.body.head.size):
        entry = parse_entry(data)
        if isinstance(entry, TimeEntry):
            seconds = entry.seconds
        if seconds is not None and index % 2:  # the time, or the filler behind it
            book.add_round(index + 1, seconds, reader.node)
            seconds = None
    entry = parse_entry(reader.entry(made.index))
    assert isinstance(entry, LandmarkEntry)
    again = book.draw(made.body.head, this_update=entry.this_update, next_update=entry.next_update, read=reader.node)
    assert hashlib.sha256(encode_body(again)).digest() == entry.sha256


def test_an_empty_log_has_no_list(world: LogWorld) -> None:
    with pytest.raises(LandmarkMalformedError, match="empty"):
        landmark_body(world.create(), now=world.now)


def test_a_list_may_follow_a_list_and_the_book_takes_both(world: LogWorld) -> None:
    log = grown(world, 3)
    first = make_landmark(log, signer=LANDMARK, now=world.now)
    second = make_landmark(log, signer=LANDMARK, now=world.now)
    assert second.index > first.index
    book = Book(origin=7, origin_name=NAME, keys=None)
    reader = log.reader()
    faults = [
        fault
        for index, data in reader.entries(0, log.head()[0])
        for fault in book.apply(parse_entry(data), index, reader.root_at)
    ]
    assert faults == []


def test_a_round_without_a_time_is_named(world: LogWorld) -> None:
    log = grown(world, 4)
    with pytest.raises(LandmarkMalformedError, match="no time entry"):
        round_time(log.reader(), 5)
