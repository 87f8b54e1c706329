"""Bodies of notices: the reference bytes, every field at and beyond its bounds, hostile values."""

import json
from dataclasses import replace
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.log.entry import MAX_BODY_BYTES, MAX_DAY, MIN_DAY, NoticeType
from mingzheng.log.errors import NoticeBodyError, NoticeVersionError
from mingzheng.log.noticebody import (
    FIRST_NUMBER,
    MAX_KINDS,
    ExtensionBody,
    Moves,
    NoticeBody,
    RetiredFormBody,
    RetractionBody,
    SealChangeBody,
    encode_body,
    parse_body,
)

FILE = json.loads((Path(__file__).parents[1] / "vectors" / "notice" / "bodies.json").read_text(encoding="utf-8"))
GOOD = {case["name"]: case for case in FILE["good"]}
BAD = {case["name"]: case for case in FILE["bad"]}
DAY = 20_778

EXTENSION = [1, 1, "厅〔2026〕1号", [0, 21], [1, 3], DAY, 5, 7, 9, 1, 0]
RETIRED = [1, 2, "厅〔2026〕1号", [0], [1], 4, DAY, 0]
SEALS = [1, 3, "厅〔2026〕1号", [11], [2], DAY, [7, 3]]
RETRACTION = [1, 4, "厅〔2026〕1号", 2, DAY]
OF_TYPE = dict(zip(NoticeType, (EXTENSION, RETIRED, SEALS, RETRACTION), strict=True))


@pytest.mark.parametrize("name", GOOD)
def test_reference_body_is_read_and_written_byte_for_byte(name: str) -> None:
    data, notice = bytes.fromhex(GOOD[name]["hex"]), NoticeType(GOOD[name]["notice"])
    body = parse_body(notice, data)
    assert encode_body(body) == data
    assert body.notice is notice


def test_values_of_the_reference_bodies() -> None:
    found = {name: parse_body(NoticeType(case["notice"]), bytes.fromhex(case["hex"])) for name, case in GOOD.items()}
    head = {"citation": "示例厅〔2026〕1号，第二条"}
    assert found["extension"] == ExtensionBody(
        number=1,
        jurisdictions=(0, 21),
        kinds=(1, 3),
        effective_day=DAY,
        first_end=DAY + 10,
        last_end=DAY + 120,
        new_end=DAY + 150,
        moves=Moves.REGISTRATION,
        revives=False,
        **head,
    )
    scope = {"jurisdictions": (0,), "kinds": (1,), "template": 4, **head}
    assert found["retired-form"] == RetiredFormBody(number=2, equal_until=DAY + 60, paper=False, **scope)  # type: ignore[arg-type]
    assert found["retired-form-at-once"] == RetiredFormBody(number=3, equal_until=None, paper=True, **scope)  # type: ignore[arg-type]
    assert found["seal-change"] == SealChangeBody(
        number=4, jurisdictions=(11,), kinds=(2,), from_day=DAY + 30, bodies=(7, 3), **head
    )
    assert found["retraction"] == RetractionBody(number=6, retracted=5, from_day=DAY + 40, **head)
    assert {body.notice for body in found.values()} == set(NoticeType)


@pytest.mark.parametrize("name", BAD)
def test_bad_reference_body_is_refused(name: str) -> None:
    with pytest.raises(NoticeBodyError) as caught:
        parse_body(NoticeType(BAD[name]["notice"]), bytes.fromhex(BAD[name]["hex"]))
    assert caught.value.code == BAD[name]["code"]


NOT_DAY = (MIN_DAY - 1, MAX_DAY + 1, "1", b"", None, [1])
NOT_NUMBER = (0, -1, 65_536, "1", b"", None, [])
NOT_FLAG = (-1, 2, None, "0", [])
NOT_TEXT = ("", "条" * 201, "\u202e条", " 条", "条 ", "e\u0301", 1, None, [], b"x")
NOT_JURISDICTIONS = ([], [10], [83], [0, 0], [21, 11], [-1], ["0"], 0, None, [None], [[0]], list(range(11, 85)))
NOT_KINDS = ([], [0], [65_536], [1, 1], [2, 1], ["1"], 1, None, list(range(1, MAX_KINDS + 2)))
NOT_BODIES = ([], [7, 7], [-1], [65_536], [1, 2, 3, 4, 5], 7, None, ["7"])

FAULTS: list[tuple[NoticeType, int, str, tuple[object, ...]]] = []
for _notice, _value in OF_TYPE.items():
    FAULTS += [(_notice, 1, "number", NOT_NUMBER), (_notice, 2, "citation", NOT_TEXT)]
    if _notice is not NoticeType.RETRACTION:
        FAULTS += [(_notice, 3, "jurisdictions", NOT_JURISDICTIONS), (_notice, 4, "kinds", NOT_KINDS)]
FAULTS += [
    (NoticeType.BLANKET_EXTENSION, 5, "effective_day", NOT_DAY),
    (NoticeType.BLANKET_EXTENSION, 6, "first_end", NOT_DAY),
    (NoticeType.BLANKET_EXTENSION, 7, "last_end", (*NOT_DAY, 4)),
    (NoticeType.BLANKET_EXTENSION, 8, "new_end", (*NOT_DAY, 6)),
    (NoticeType.BLANKET_EXTENSION, 9, "moves", (0, 3, *NOT_FLAG[2:])),
    (NoticeType.BLANKET_EXTENSION, 10, "revives", NOT_FLAG),
    (NoticeType.RETIRED_FORM, 5, "template", NOT_NUMBER),
    (NoticeType.RETIRED_FORM, 6, "equal_until", (*NOT_DAY[:4], [1])),
    (NoticeType.RETIRED_FORM, 7, "paper", NOT_FLAG),
    (NoticeType.SEAL_CHANGE, 5, "from_day", NOT_DAY),
    (NoticeType.SEAL_CHANGE, 6, "bodies", NOT_BODIES),
    (NoticeType.RETRACTION, 3, "retracted", (*NOT_NUMBER, 4, 5)),
    (NoticeType.RETRACTION, 4, "from_day", NOT_DAY),
]


@pytest.mark.parametrize(("notice", "at", "field", "bad"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_each_field_outside_its_bounds_is_refused_by_name(
    notice: NoticeType, at: int, field: str, bad: tuple[object, ...]
) -> None:
    good = OF_TYPE[notice]
    parse_body(notice, cbor2.dumps(good))
    for value in bad:
        with pytest.raises(NoticeBodyError) as caught:
            parse_body(notice, cbor2.dumps([*good[:at], value, *good[at + 1 :]], canonical=True))
        assert caught.value.field in (field, "body"), value  # "body": no CBOR of ours at all
        assert caught.value.code == "notice.malformed"


def test_bounds_themselves_are_taken() -> None:
    for notice, at, value in (
        (NoticeType.BLANKET_EXTENSION, 1, 65_535),
        (NoticeType.BLANKET_EXTENSION, 2, "条" * 200),
        (NoticeType.BLANKET_EXTENSION, 3, [0, *range(11, 83)]),
        (NoticeType.BLANKET_EXTENSION, 4, list(range(1, MAX_KINDS + 1))),
        (NoticeType.BLANKET_EXTENSION, 5, MIN_DAY),
        (NoticeType.BLANKET_EXTENSION, 8, MAX_DAY),
        (NoticeType.BLANKET_EXTENSION, 8, 7),
        (NoticeType.RETIRED_FORM, 6, None),
        (NoticeType.SEAL_CHANGE, 6, [4, 0, 65_535, 1]),
        (NoticeType.RETRACTION, 3, 3),
    ):
        good = OF_TYPE[notice]
        data = cbor2.dumps([*good[:at], value, *good[at + 1 :]])
        assert encode_body(parse_body(notice, data)) == data


def test_an_extension_moves_some_end_to_a_later_day() -> None:
    for first, last, new, fits in (
        (5, 5, 5, False),
        (5, 5, 6, True),
        (5, 6, 6, True),
        (6, 5, 9, False),
        (5, 9, 8, False),
    ):
        data = cbor2.dumps([*EXTENSION[:6], first, last, new, *EXTENSION[9:]])
        if fits:
            parse_body(NoticeType.BLANKET_EXTENSION, data)
        else:
            with pytest.raises(NoticeBodyError):
                parse_body(NoticeType.BLANKET_EXTENSION, data)


@pytest.mark.parametrize("notice", NoticeType)
def test_other_shapes_and_versions_are_refused(notice: NoticeType) -> None:
    good = OF_TYPE[notice]
    data = cbor2.dumps(good)
    for other in (
        b"",
        data[:-1],
        data + b"\0",
        bytes(MAX_BODY_BYTES + 1),
        cbor2.dumps([*good, 0]),
        cbor2.dumps(good[:-1]),
    ):
        with pytest.raises(NoticeBodyError):
            parse_body(notice, other)
    for value in (1, "", [], ["1"], {}, None, [None], [[1]]):
        with pytest.raises(NoticeBodyError) as caught:
            parse_body(notice, cbor2.dumps(value))
        assert (caught.value.code, caught.value.field) == ("notice.malformed", "body")
    for version in (0, 2, 2**64 - 1):
        with pytest.raises(NoticeVersionError):
            parse_body(notice, cbor2.dumps([version, *good[1:]]))


def test_a_body_of_one_type_is_none_of_another() -> None:
    for notice, value in OF_TYPE.items():
        for other in NoticeType:
            if other is not notice:
                with pytest.raises(NoticeBodyError):
                    parse_body(other, cbor2.dumps(value))


def test_what_could_not_be_read_back_is_not_written() -> None:
    for notice, value in OF_TYPE.items():
        body = parse_body(notice, cbor2.dumps(value))
        for changes in ({"number": 0}, {"number": True}, {"citation": "e\u0301"}, {"citation": b"x"}, {"number": 1.5}):
            with pytest.raises(NoticeBodyError):
                encode_body(replace(body, **changes))  # type: ignore[arg-type]


DAYS = st.integers(MIN_DAY, MAX_DAY)
HEAD = {
    "number": st.integers(FIRST_NUMBER, 65_535),
    "citation": st.text(st.sampled_from("建办〔2026〕1号，第二条abc019"), min_size=1, max_size=200),
}
SCOPE = {
    "jurisdictions": st.sets(st.sampled_from([0, *range(11, 83)]), min_size=1).map(lambda x: tuple(sorted(x))),
    "kinds": st.sets(st.integers(1, 65_535), min_size=1, max_size=20).map(lambda x: tuple(sorted(x))),
}


@st.composite
def extensions(draw: st.DrawFn) -> ExtensionBody:
    first, last, new = sorted(draw(st.lists(DAYS, min_size=3, max_size=3).filter(lambda days: min(days) < max(days))))
    made = st.builds(
        ExtensionBody, **HEAD, **SCOPE, effective_day=DAYS, first_end=st.just(first), last_end=st.just(last),
        new_end=st.just(new), moves=st.sampled_from(Moves), revives=st.booleans(),
    )  # fmt: skip
    return draw(made)


bodies: st.SearchStrategy[NoticeBody] = st.one_of(
    extensions(),
    st.builds(
        RetiredFormBody, **HEAD, **SCOPE, template=st.integers(1, 65_535), equal_until=st.none() | DAYS,
        paper=st.booleans(),
    ),
    st.builds(
        SealChangeBody, **HEAD, **SCOPE, from_day=DAYS,
        bodies=st.lists(st.integers(0, 65_535), min_size=1, max_size=4, unique=True).map(tuple),
    ),
    st.builds(RetractionBody, **HEAD | {"number": st.just(9)}, retracted=st.integers(1, 8), from_day=DAYS),
)  # fmt: skip


@given(bodies)
def test_every_body_survives_its_encoding(body: NoticeBody) -> None:
    data = encode_body(body)
    assert len(data) <= MAX_BODY_BYTES
    assert parse_body(body.notice, data) == body


@given(st.sampled_from(NoticeType), st.binary(max_size=60))
def test_random_bytes_raise_nothing_but_body_errors(notice: NoticeType, data: bytes) -> None:
    try:
        body = parse_body(notice, data)
    except NoticeBodyError:
        return
    assert encode_body(body) == data


@given(st.sampled_from(FILE["good"]), st.data())
def test_a_changed_byte_is_refused_or_another_body_in_its_one_spelling(
    case: dict[str, str], draw: st.DataObject
) -> None:
    data, notice = bytes.fromhex(case["hex"]), NoticeType(int(case["notice"]))
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :]
    try:
        body = parse_body(notice, changed)
    except NoticeBodyError:
        return
    assert encode_body(body) == changed
