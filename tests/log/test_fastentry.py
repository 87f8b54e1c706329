"""The fast way to read entries is the slow way, on every kind of input."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from logworld import act, issue, notice

from mingzheng.keys.kid import Kid
from mingzheng.log.acts import ActType
from mingzheng.log.entry import Entry, FillerEntry, IssueEntry, TimeEntry, encode_entry, parse_entry
from mingzheng.log.errors import EntryError
from mingzheng.log.fastentry import issue_bytes, read_entry

EDGES = (0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**40 - 1, 2**40)
DAYS = (-25_567, -1, 0, 1, 23, 24, 255, 256, 20_000, 65_535, 65_536, 2_932_896)


def _outcome(read: Callable[[bytes], Entry], data: bytes) -> object:
    try:
        return read(data)
    except EntryError as error:
        return (type(error), error.field, error.offset, error.detail)


def _issue(issuer: int, kind: int, serial: int, day: int) -> bytes:
    return encode_entry(
        IssueEntry(
            issuer=issuer, kid=Kid(bytes(8)), kind=kind, serial=serial, identity=bytes(range(32)), issued_day=day
        )
    )


def _written(write: Callable[[IssueEntry], bytes], entry: IssueEntry) -> object:
    try:
        return write(entry)
    except EntryError as error:
        return (type(error), error.field, error.detail)


def test_every_edge_is_written_the_same() -> None:
    for number in (-1, *EDGES):
        for serial in (-1, *EDGES):
            for day in (*DAYS, 2_932_897):
                for size in (7, 8, 32):
                    entry = IssueEntry(
                        issuer=number,
                        kid=Kid(bytes(min(size, 8))),
                        kind=max(number, 1),
                        serial=serial,
                        identity=bytes(32 if size == 8 else size),
                        issued_day=day,
                    )
                    assert _written(issue_bytes, entry) == _written(encode_entry, entry)


def test_every_edge_reads_the_same() -> None:
    for number in (n for n in EDGES if 1 <= n <= 65_535):
        for serial in (n for n in EDGES if n < 2**40):
            for day in DAYS:
                data = _issue(number, number, serial, day)
                assert read_entry(data) == parse_entry(data)


@given(st.integers(1, 65_535), st.integers(1, 65_535), st.integers(0, 2**40 - 1), st.integers(-25_567, 2_932_896))
def test_any_issue_reads_the_same(issuer: int, kind: int, serial: int, day: int) -> None:
    data = _issue(issuer, kind, serial, day)
    assert read_entry(data) == parse_entry(data)


OTHERS = [encode_entry(FillerEntry()), encode_entry(TimeEntry(seconds=9)), act(0, ActType.VOID, [1]), notice(3)]


@given(st.sampled_from([issue(0), issue(70_000), issue(2**33, day=1), *OTHERS]), st.data())
def test_any_change_of_any_entry_has_the_same_outcome(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data)))
    insert = draw.draw(st.binary(max_size=3))
    cut = draw.draw(st.integers(0, 3))
    changed = data[:at] + insert + data[at + cut :]
    assert _outcome(read_entry, changed) == _outcome(parse_entry, changed)


def test_longer_spellings_of_every_integer_are_refused_alike() -> None:
    data = issue(5)
    for at, byte in enumerate(data):
        for longer in (
            bytes([0x18, byte]),
            bytes([0x19, 0, byte]),
            bytes([0x1A, 0, 0, 0, byte]),
            bytes([0x1B, *bytes(7), byte]),
        ):
            changed = data[:at] + longer + data[at + 1 :]
            assert _outcome(read_entry, changed) == _outcome(parse_entry, changed)
    beyond = issue(2**40 - 1).replace(b"\x1b\x00\x00\x00\xff", b"\x1b\x00\x00\x01\xff")
    assert _outcome(read_entry, beyond) == _outcome(parse_entry, beyond)


def test_days_after_the_last_are_refused_alike() -> None:
    last = _issue(1, 1, 1, 2_932_896)
    for data in (last, last[:-1] + b"\xa1", last[:-4] + b"\x00\xff\xff\xff"):
        assert _outcome(read_entry, data) == _outcome(parse_entry, data)
