"""Bombs are found before a reader unpacks them; honest files pass."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.errors import ResourceLimitError
from mingzheng.formats.pdf.inflate import STREAM_MAX, TOTAL_MAX, check_inflated

MEGABYTE = 1 << 20


def stream(data: bytes, *, end: bytes = b"\n") -> bytes:
    return b"1 0 obj <</Filter /FlateDecode>>\nstream" + end + data + b"\nendstream\nendobj\n"


def total(*streams: bytes, stream_max: int = STREAM_MAX, total_max: int = TOTAL_MAX) -> int:
    return check_inflated(b"%PDF-1.7\n" + b"".join(streams), stream_max=stream_max, total_max=total_max)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_counts_what_streams_unpack_to(end: bytes) -> None:
    assert total(stream(zlib.compress(bytes(1000)), end=end), stream(b"plain"), stream(zlib.compress(b"12"))) == 1002


def test_limits_hold_at_the_cap_and_break_one_above() -> None:
    pair = [stream(zlib.compress(bytes(size))) for size in (1000, 500)]
    assert total(*pair, stream_max=1000, total_max=1500) == 1500
    for limits in ((999, 1500), (1000, 1499)):
        with pytest.raises(ResourceLimitError):
            total(*pair, stream_max=limits[0], total_max=limits[1])


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_streams_within_streams_are_counted(layers: int) -> None:
    data = bytes(40 * MEGABYTE)
    for _ in range(layers):
        data = zlib.compress(data)
    with pytest.raises(ResourceLimitError):
        total(stream(data))


def test_a_bomb_is_unpacked_in_small_pieces() -> None:
    import tracemalloc

    bomb = stream(zlib.compress(bytes(64 * MEGABYTE)))
    tracemalloc.start()
    with pytest.raises(ResourceLimitError):
        total(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MEGABYTE


def test_damaged_streams_count_up_to_the_damage() -> None:
    data = zlib.compress(bytes(range(256)) * 100, 0)
    assert total(stream(data[:-4] + b"sum!")) == 25_600
    assert 10_000 <= total(stream(data[:12_000] + b"\xff" * 9)) < 25_700
    assert total(stream(zlib.compress(b"12345")[:-4])) == 5  # checksum cut off
    assert total(b"stream\n") == total(b"stream\nx") == 0


@pytest.mark.parametrize("damage", ["check sum", "after the stream within"])
def test_a_bomb_inside_a_damaged_stream_is_found(damage: str) -> None:
    inside = zlib.compress(bytes(40 * MEGABYTE))
    outside = zlib.compress(inside)[:-4]
    if damage == "after the stream within":
        packer = zlib.compressobj()
        outside = packer.compress(inside) + packer.flush(zlib.Z_SYNC_FLUSH) + b"\xff" * 50
    with pytest.raises(ResourceLimitError):
        total(stream(outside))


def test_the_word_stream_inside_packed_data_does_not_matter() -> None:
    body = b"stream\n" + zlib.compress(bytes(100))
    raw = zlib.compress(body, 0)
    assert total(stream(raw)) == len(body)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_number(data: bytes) -> None:
    assert total(data) >= 0
    assert total(stream(b"\x78\x9c" + data)) >= 0


def test_a_stream_of_more_than_one_piece_counts_once() -> None:
    body = bytes(270_000)
    data = b"".join(b"stream\n" + zlib.compress(body) + b"\nendstream\n" + b"x" * 3000 for _ in range(3))
    assert check_inflated(data, stream_max=STREAM_MAX, total_max=TOTAL_MAX) == 3 * len(body)
