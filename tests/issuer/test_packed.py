"""Values as bytes: what comes out is what went in."""

from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.library import load_shipped_profiles
from mingzheng.issuer.packed import Packed, pack_values, unpack_values
from mingzheng.issuer.record import pack_record, packed_records, parse_csv, unpack_record
from mingzheng.issuer.sample import format_sample, sample_rows

values = st.lists(st.none() | st.integers() | st.text(st.characters()) | st.lists(st.text() | st.integers()))


@given(values)
def test_values_come_back(found: list[object]) -> None:
    assert unpack_values(pack_values(found)) == found


@given(st.lists(values))
def test_a_packed_sequence_is_the_sequence(items: list[list[object]]) -> None:
    packed = Packed(pack_values, unpack_values, items)
    assert packed == items
    assert (len(packed), list(packed), list(reversed(packed))) == (len(items), items, items[::-1])
    assert packed[1:3] == items[1:3]
    assert packed != [*items, []]
    assert packed != "other"
    for place in range(-len(items), len(items)):
        assert packed[place] == items[place]


def test_every_sample_record_comes_back() -> None:
    day = 20_600
    for profile in load_shipped_profiles().profiles:
        rows = sample_rows(profile, jurisdiction=31, zh=True, day=day)
        for record in parse_csv(format_sample(rows)).records:
            assert unpack_record(pack_record(record)) == record
            assert packed_records([record])[0] == record
