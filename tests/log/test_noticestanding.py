"""Which notices are void, and how many a log takes (docs/spec/notices.md, "Void"; docs/spec/log.md, Entries)."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from noticebodies import old_form
from simulator import World, operator

from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import KeyRecord
from mingzheng.log.book import Book
from mingzheng.log.entry import NoticeEntry
from mingzheng.log.noticebody import MAX_NOTICES
from mingzheng.log.noticestanding import is_void

LOG = "log1.example.cn/mingzheng"


def entry_and_keys(**sizes: Mapping[int, int] | None) -> tuple[NoticeEntry, dict[Kid, KeyRecord]]:
    """A notice asked for by 甲 and approved by 乙, and the records of both with those good sizes."""
    world = World()
    world.operators("甲", "乙")
    for name, size in sizes.items():
        world.change_key(operator(name).public_key.kid, compromised=size)
    return world.notice_entry(old_form(), by=("甲", "乙")), dict(world.keys())


@pytest.mark.parametrize("name", ["甲", "乙"])
@pytest.mark.parametrize(
    ("size", "index", "void"),
    [
        (None, 7, False),
        (None, None, False),
        ({1: 8}, 7, False),
        ({1: 8}, 8, True),
        ({1: 0}, 0, True),
        ({2: 9}, 7, True),  # another log's size says nothing of this one
        ({1: 8}, None, True),  # not in the log yet
    ],
)
def test_either_key_and_the_border(name: str, size: Mapping[int, int] | None, index: int | None, *, void: bool) -> None:
    entry, keys = entry_and_keys(**{name: size})
    assert is_void(entry, keys, origin=1, index=index) is void


def test_a_key_that_is_not_there_makes_void() -> None:
    entry, keys = entry_and_keys()
    del keys[entry.kid]
    assert is_void(entry, keys, origin=1, index=7)


@pytest.mark.parametrize(("number", "taken"), [(MAX_NOTICES, True), (MAX_NOTICES + 1, False)])
def test_a_log_takes_no_more_notices_than_verifiers_read(number: int, *, taken: bool) -> None:
    """Else whoever stole a key could give one more, and verifiers would refuse them all for good."""
    world = World()
    entry = world.notice_entry(old_form(number))
    book = Book(origin=1, origin_name=LOG, keys=None)
    book.issuer(1).next_notice, book.issuer(1).next_act = number, entry.act_number
    faults = [fault.code for fault in book.apply(replace(entry), 0, lambda _size: None)]
    assert faults == ([] if taken else ["rule.notice_number"])
