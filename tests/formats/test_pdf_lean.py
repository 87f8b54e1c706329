"""The small judgements of the quick way: the hole of a seal, heads of objects nobody announced, moments."""

import pytest

from mingzheng.formats.pdf.lean import hides_objects, read_hole, signing_time

DER = bytes((0x30, 0x81, 2, 0xAB, 0xCD))
HOLE = b"<" + DER.hex().encode() + b"0000>"


@pytest.mark.parametrize(
    ("hole", "good"),
    [
        (HOLE, True),
        (HOLE.upper(), True),
        (HOLE.replace(b"ab", b"AB"), False),  # one case all through: else bytes could change that nobody signs
        (HOLE.replace(b"0>", b">"), False),
        (HOLE.replace(b"00>", b"01>"), False),
        (HOLE.replace(b"0000>", b"00 00>"), False),
        (HOLE.replace(b"<", b"("), False),
        (HOLE.replace(b">", b")"), False),
        (HOLE.replace(b"00>", b"zz>"), False),
        (b"<>", False),
    ],
)
def test_hole_holds_one_value_padded_with_zeros(hole: bytes, *, good: bool) -> None:
    data = b"before" + hole + b"after"
    place = 6, 6 + len(hole)
    found = read_hole(data, (0, *place, 5), [place])
    assert (found is not None) is good
    if found is not None:
        assert (found.cms, found.end) == (DER, len(data))
    for wrong in ((0, *place, 6), (1, *place, 5), (0, *place, 0), (0, *place), (False, *place, 5)):
        assert read_hole(data, wrong, [place]) is None


@pytest.mark.parametrize(
    ("more", "hidden"),
    [
        (b"", False),
        (b"7 0 obj", True),  # without its end one more than twice the number
        (b"7%c\n0%c\nobj", True),
        (b"7\x0b0\x85obj endobj", True),
        (b"object endobj", False),
    ],
)
def test_head_of_an_object_that_is_not_announced(more: bytes, *, hidden: bool) -> None:
    data = b"1 0 obj 5 endobj 2 0 obj 6 endobj " + more
    assert hides_objects(data, 2) is hidden
    assert hides_objects(data, 1)
    assert not hides_objects(data, 3)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b"D:20000101000000Z", 946_684_800),
        (b"D:20000101080000+08'00'", 946_684_800),
        (b"D:19991231203000-03'30", 946_684_800),
        (b"D:20000229235959Z00'00'", 951_868_799),
        (b"D:20010229000000Z", None),
        (b"D:20001301000000Z", None),
        (b"D:20000101000060Z", None),
        (b"D:00000101000000Z", None),
        (b"D:20000101000000", None),
        (b"D:2000010100000Z", None),
    ],
)
def test_moment_with_its_time_zone(text: bytes, moment: int | None) -> None:
    assert signing_time(text) == moment
