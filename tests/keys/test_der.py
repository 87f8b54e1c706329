"""DER: one accepted spelling, every fault typed, readers and writers each other's inverse."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys import der
from mingzheng.keys.der import Node, parse_der
from mingzheng.keys.errors import DerError, DerLimitError, DerTagError, DerTruncatedError, DerValueError


def node(data: bytes) -> Node:
    return parse_der(data)


def test_a_tree_by_hand() -> None:
    data = bytes.fromhex("300a02010504030102030500")
    top = node(data)
    assert (top.tag, top.start, top.header, top.end) == (0x30, 0, 2, 12)
    one, two, three = top.children()
    assert (one.start, one.header, one.end) == (2, 4, 5)
    assert (der.read_integer(one), der.read_octets(two)) == (5, b"\1\2\3")
    der.read_null(three)
    assert top.raw() == data
    assert two.raw() == data[5:10]
    assert two.content() == b"\1\2\3"
    assert data == der.der_sequence(der.der_integer(5), der.der_octets(b"\1\2\3"), der.der_null())


def test_nodes_inside_count_from_the_beginning_of_the_data() -> None:
    inner = der.der_sequence(der.der_sequence(der.der_octets(bytes(200))))
    leaf = node(inner).children()[0].children()[0]
    assert leaf.raw() == inner[leaf.start : leaf.end] == der.der_octets(bytes(200))


def test_a_primitive_has_no_children() -> None:
    with pytest.raises(DerTagError):
        node(b"\x05\x00").children()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536, 70000])
def test_lengths(size: int) -> None:
    data = der.der_octets(bytes(size))
    assert der.read_octets(node(data)) == bytes(size)
    assert data[:2] != b"\x04\x80"


LENGTHS = {
    "empty": "",
    "tag alone": "04",
    "long form of a short length": "04810100",
    "padded": "0482000101",
    "padded to three": "04830000ff",
    "indefinite": "30800000",
    "indefinite, and long enough for 128": "0480" + "00" * 128,
    "length cut": "0482ff",
    "length of five": "04850000000001",
    "content cut": "040201",
    "trailing": "050000",
    "reserved": "04ff",
    "inner too long": "3003040200",
    "inner cut": "300104",
    "127 in long form": "04817f" + "00" * 127,
}


@pytest.mark.parametrize("name", LENGTHS)
def test_refuses_lengths(name: str) -> None:
    with pytest.raises(DerTruncatedError):
        node(bytes.fromhex(LENGTHS[name]))


@pytest.mark.parametrize(
    "data", ["0000", "1f2001", "1f00", "4100", "c100", "6000", "e000", "1000", "1100", "2400", "2200", "2c00", "bf2000"]
)
def test_refuses_tags(data: str) -> None:
    """End of contents, long tags, application, private, primitive SEQUENCE and SET, constructed strings."""
    with pytest.raises(DerTagError):
        node(bytes.fromhex(data))


def test_limits() -> None:
    deep = b""
    for _ in range(16):
        deep = der.der_sequence(deep)
    assert node(deep)
    with pytest.raises(DerLimitError):
        node(der.der_sequence(deep))
    assert parse_der(der.der_sequence(deep), max_depth=17)
    many = der.der_sequence(*[der.der_null()] * (der.MAX_NODES - 1))
    assert len(node(many).children()) == der.MAX_NODES - 1
    with pytest.raises(DerLimitError):
        node(der.der_sequence(*[der.der_null()] * der.MAX_NODES))
    assert parse_der(bytes.fromhex("0500"), max_bytes=2)
    with pytest.raises(DerLimitError):
        parse_der(bytes.fromhex("0500"), max_bytes=1)


# Values


@given(st.integers(-(2**520), 2**520))
def test_integers(number: int) -> None:
    data = der.der_integer(number)
    assert der.read_integer(node(data)) == number
    padded = der.der_tlv(2, (b"\xff" if number < 0 else b"\x00") + data[-(data[1]) :])
    with pytest.raises(DerValueError):
        der.read_integer(node(padded))


@pytest.mark.parametrize(
    ("number", "spelt"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (-128, "020180"), (-129, "0202ff7f"), (-1, "0201ff")],
)
def test_integers_at_the_borders(number: int, spelt: str) -> None:
    assert der.der_integer(number).hex() == spelt
    assert der.read_integer(node(bytes.fromhex(spelt))) == number


def test_integer_size() -> None:
    assert der.read_integer(node(der.der_integer(1 << 8 * der.MAX_INTEGER_BYTES - 2)))
    for bad in (b"", b"\1" + bytes(der.MAX_INTEGER_BYTES)):
        with pytest.raises(DerValueError):
            der.read_integer(node(der.der_tlv(2, bad)))


@pytest.mark.parametrize("value", [True, False])
def test_booleans(value: bool) -> None:
    assert der.read_bool(node(der.der_bool(value))) is value


@pytest.mark.parametrize("body", ["", "01", "7f", "0000", "ffff"])
def test_refuses_booleans(body: str) -> None:
    with pytest.raises(DerValueError):
        der.read_bool(node(der.der_tlv(1, bytes.fromhex(body))))


def test_null_is_empty() -> None:
    with pytest.raises(DerValueError):
        der.read_null(node(b"\x05\x01\x00"))


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("1.2.156.10197.1.501", "06082a811ccf55018375"),
        ("2.5.29.15", "0603551d0f"),
        ("0.0", "060100"),
        ("1.39", "06014f"),
        ("2.0", "060150"),
        ("2.999.3", "0603883703"),
        ("2.16.840.1.101.3.4.1.42", "060960864801650304012a"),
    ],
)
def test_object_identifiers(text: str, spelt: str) -> None:
    assert der.der_oid(text).hex() == spelt
    assert der.read_oid(node(bytes.fromhex(spelt))) == text


arcs = st.lists(st.integers(0, 2**40), max_size=6)


@given(st.integers(0, 2), st.integers(0, 39), arcs)
def test_any_object_identifier(first: int, second: int, rest: list[int]) -> None:
    text = ".".join(map(str, (first, second, *rest)))
    assert der.read_oid(node(der.der_oid(text))) == text


@pytest.mark.parametrize("body", ["", "80", "8001", "2a8001", "2a81", "00" * 65])
def test_refuses_object_identifiers(body: str) -> None:
    with pytest.raises(DerValueError):
        der.read_oid(node(der.der_tlv(6, bytes.fromhex(body))))


@pytest.mark.parametrize("text", ["", "1", "3.1", "0.40", "1.40", "1.2.", "1..2", "1.02", "1.-2", "1.٢", "1.2\n", "x"])
def test_writes_no_wrong_object_identifier(text: str) -> None:
    with pytest.raises(DerValueError):
        der.der_oid(text)


def test_bits() -> None:
    assert der.read_bits(node(der.der_bits(b"\1\2"))) == b"\1\2"
    assert der.read_named_bits(node(der.der_bits(b"\xe0", unused=5))) == (5, b"\xe0")
    assert der.read_named_bits(node(der.der_bits(b""))) == (0, b"")
    with pytest.raises(DerValueError):
        der.read_bits(node(der.der_bits(b"\xe0", unused=5)))
    for body in ("", "08ff", "01", "01ff", "0580" + "10"):
        with pytest.raises(DerValueError):
            der.read_named_bits(node(der.der_tlv(3, bytes.fromhex(body))))


@given(st.text())
def test_utf8(text: str) -> None:
    assert der.read_utf8(node(der.der_utf8(text))) == text


def test_refuses_text_of_another_alphabet() -> None:
    for body in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80"):
        with pytest.raises(DerValueError):
            der.read_utf8(node(der.der_tlv(der.UTF8, body)))
    for read, tag in ((der.read_ia5, der.IA5), (der.read_printable, der.PRINTABLE)):
        with pytest.raises(DerValueError):
            read(node(der.der_tlv(tag, "明".encode())))
    for body in (b"a@b", b"a*b", b"a_b", b"a\n", b"\0"):
        with pytest.raises(DerValueError):
            der.read_printable(node(der.der_tlv(der.PRINTABLE, body)))
    for write in (der.der_ia5, der.der_printable):
        with pytest.raises(DerValueError):
            write("明")
    with pytest.raises(DerValueError):
        der.der_printable("a@b")


def test_ascii_texts() -> None:
    assert der.read_ia5(node(der.der_ia5("ES@*\0"))) == "ES@*\0"
    assert der.read_printable(node(der.der_printable("Az09 '()+,-./:=?"))) == "Az09 '()+,-./:=?"


def seconds(*fields: int) -> int:
    return int(datetime.datetime(*fields, tzinfo=datetime.UTC).timestamp())  # type: ignore[arg-type,misc]


TIMES = [
    (der.UTC_TIME, b"500101000000Z", seconds(1950, 1, 1)),
    (der.UTC_TIME, b"491231235959Z", seconds(2049, 12, 31, 23, 59, 59)),
    (der.UTC_TIME, b"261121120000Z", seconds(2026, 11, 21, 12)),
    (der.GENERALIZED_TIME, b"20261121120000Z", seconds(2026, 11, 21, 12)),
    (der.GENERALIZED_TIME, b"99991231235959Z", seconds(9999, 12, 31, 23, 59, 59)),
    (der.GENERALIZED_TIME, b"00010101000000Z", -62_135_596_800),
]


@pytest.mark.parametrize(("tag", "body", "at"), TIMES)
def test_times(tag: int, body: bytes, at: int) -> None:
    assert der.read_time(node(der.der_tlv(tag, body))) == at
    write = der.der_utctime if tag == der.UTC_TIME else der.der_generalized
    assert write(at) == der.der_tlv(tag, body)


def test_a_fraction_is_dropped() -> None:
    for body in (b"20261121120000.5Z", b"20261121120000.001Z"):
        assert der.read_time(node(der.der_tlv(der.GENERALIZED_TIME, body))) == seconds(2026, 11, 21, 12)


@pytest.mark.parametrize(
    ("tag", "body"),
    [
        (der.UTC_TIME, b"2611211200Z"),
        (der.UTC_TIME, b"261121120000"),
        (der.UTC_TIME, b"261121120000+0800"),
        (der.UTC_TIME, b"20261121120000Z"),
        (der.UTC_TIME, b"261321120000Z"),
        (der.UTC_TIME, b"260230120000Z"),
        (der.UTC_TIME, b"261121120060Z"),
        (der.UTC_TIME, b"261121240000Z"),
        (der.UTC_TIME, b"2611211200\xb20Z"),
        (der.GENERALIZED_TIME, b"20261121120000.0Z"),
        (der.GENERALIZED_TIME, b"20261121120000.Z"),
        (der.GENERALIZED_TIME, b"20261121120000.50Z"),
        (der.GENERALIZED_TIME, b"20261121120000,5Z"),
        (der.GENERALIZED_TIME, b"20261121120000"),
        (der.GENERALIZED_TIME, b"00000101000000Z"),
        (der.GENERALIZED_TIME, b"20261121120000Z\n"),
    ],
)
def test_refuses_times(tag: int, body: bytes) -> None:
    with pytest.raises(DerValueError):
        der.read_time(node(der.der_tlv(tag, body)))


def test_times_out_of_range_are_not_written() -> None:
    for at in (seconds(1949, 12, 31), seconds(2050, 1, 1), 10**18):
        with pytest.raises(DerValueError):
            der.der_utctime(at)
    for at in (10**18, -(10**18), 253_402_300_800):
        with pytest.raises(DerValueError):
            der.der_generalized(at)


READERS = [
    der.read_bool, der.read_integer, der.read_null, der.read_oid, der.read_octets, der.read_bits, der.read_utf8,
    der.read_ia5, der.read_printable, der.read_time,
]  # fmt: skip


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_every_reader_wants_its_tag(read: object) -> None:
    with pytest.raises(DerTagError):
        read(node(b"\x80\x00"))  # type: ignore[operator]


def test_sets_are_sorted() -> None:
    parts = [der.der_integer(n) for n in (5, 1, 300)]
    assert der.der_set(*parts) == der.der_set(*reversed(parts)) == bytes.fromhex("310a0201010201050202012c")


def test_context_tags() -> None:
    part = der.der_integer(5)
    assert der.der_explicit(0, part).hex() == "a003020105"
    assert der.der_implicit(0, part).hex() == "800105"
    assert der.der_implicit(3, der.der_sequence(part)).hex() == "a303020105"
    inner = node(der.der_explicit(1, part)).children()[0]
    assert der.read_integer(inner) == 5
    assert node(der.der_implicit(2, part)).content() == b"\5"


# Properties


leaves = st.one_of(
    st.integers(-(2**70), 2**70).map(der.der_integer),
    st.binary(max_size=300).map(der.der_octets),
    st.just(der.der_null()),
)
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4).map(lambda parts: der.der_sequence(*parts)))


def spelt_again(tree: Node) -> bytes:
    if not tree.tag & 0x20:
        return der.der_tlv(tree.tag, tree.content())
    return der.der_tlv(tree.tag, b"".join(map(spelt_again, tree.children())))


@given(trees)
def test_written_trees_read_back(data: bytes) -> None:
    assert spelt_again(node(data)) == data
    for changed in (data + b"\0", data[:-1]):
        with pytest.raises(DerError):
            node(changed)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A tree with one byte made a long length."""
    data = draw(trees)
    place = draw(st.integers(0, len(data) - 1))
    return data[:place] + b"\x81" + data[place + 1 :]


@given(st.binary(max_size=60) | damaged())
def test_what_is_read_has_one_spelling(data: bytes) -> None:
    """Whatever bytes come: refused with a typed error, or exactly what the writer makes of the tree."""
    try:
        tree = node(data)
    except DerError:
        return
    assert spelt_again(tree) == data
