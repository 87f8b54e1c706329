"""Identity documents: the forms that are published, the check character, birth date and sex."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import Sex
from mingzheng.issuer.cells import CellError
from mingzheng.issuer.identity import IdType, check_id_number, read_id_number, read_id_type


def code_of(number: str, kind: IdType = IdType.RESIDENT) -> str:
    with pytest.raises(CellError) as caught:
        read_id_number(number, kind)
    return caught.value.code


def id_number(first17: str) -> str:
    """Check character by the weights as GB 11643 prints them."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return first17 + "10X98765432"[sum(int(d) * w for d, w in zip(first17, weights, strict=True)) % 11]


@given(st.from_regex("[1-9][0-9]{16}", fullmatch=True), st.integers(0, 17), st.integers(1, 9))
def test_identity_number_check_character(first17: str, place: int, step: int) -> None:
    number = id_number(first17)
    assert read_id_number(number, IdType.RESIDENT) == read_id_number(number.lower(), IdType.RESIDENT) == number
    if 0 < place < 17:  # any one digit changed is found
        digit = str((int(number[place]) + step) % 10)
        wrong = number[:place] + digit + number[place + 1 :]
        assert code_of(wrong) == ("record.id_number_rounded" if wrong.endswith("000") else "record.id_number_check")


def test_identity_number_published_example() -> None:
    assert read_id_number("11010519491231002X", IdType.RESIDENT) == "11010519491231002X"  # the standard's own example
    for text in (
        "",
        "01010519491231002X",
        "11010519491231002",
        "1101051949123100 2X",
        "１1010519491231002X",
        "11010519491231002Y",
    ):
        assert code_of(text) == "record.id_number_form"


def test_identity_number_against_other_cells() -> None:
    birth = parse_day("1949-12-31")
    assert check_id_number("11010519491231002X", IdType.RESIDENT, birth=birth, sex=Sex.FEMALE) == []
    assert check_id_number("11010519491231002X", IdType.RESIDENT, birth=birth + 1, sex=Sex.MALE) == [
        "record.id_number_birth",
        "record.id_number_sex",
    ]
    assert check_id_number("11010519491231002X", IdType.RESIDENT, birth=None, sex=None) == []


def test_names_of_documents() -> None:
    for kind in IdType:
        assert read_id_type(str(kind)) is kind
    assert read_id_type("身份证") is IdType.RESIDENT
    assert read_id_type("Passport") is IdType.PASSPORT
    assert read_id_type("回乡证") is IdType.HK_MACAO_PASS
    assert read_id_type("台胞证") is IdType.TAIWAN_PASS
    assert read_id_type("台湾居民居住证") is IdType.RESIDENCE_PERMIT
    assert read_id_type("permanent-resident") is IdType.PERMANENT_RESIDENT
    for bad in ("", "证", "驾驶证", "1"):
        with pytest.raises(CellError) as caught:
            read_id_type(bad)
        assert caught.value.code == "record.id_type"


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (IdType.PASSPORT, "E12345678"),
        (IdType.PASSPORT, "P1234"),
        (IdType.PASSPORT, "A" * 20),
        (IdType.HK_MACAO_PASS, "H12345678"),
        (IdType.HK_MACAO_PASS, "m1234567801"),
        (IdType.TAIWAN_PASS, "12345678"),
        (IdType.TAIWAN_PASS, "1234567890AB"),
        (IdType.RESIDENCE_PERMIT, id_number("81000019850303012")),
        (IdType.RESIDENCE_PERMIT, id_number("82000019850303012")),
        (IdType.RESIDENCE_PERMIT, id_number("83000019850303012")),
        (IdType.PERMANENT_RESIDENT, "USA110112345678"),
        (IdType.PERMANENT_RESIDENT, id_number("91184019850303012")),
    ],
)
def test_forms_taken(kind: IdType, number: str) -> None:
    assert read_id_number(number, kind) == number.upper()


@pytest.mark.parametrize(
    ("kind", "number", "code"),
    [
        (IdType.PASSPORT, "1234", "record.passport_form"),
        (IdType.PASSPORT, "A" * 21, "record.passport_form"),
        (IdType.PASSPORT, "E1234-678", "record.passport_form"),
        (IdType.HK_MACAO_PASS, "C12345678", "record.hk_macao_pass_form"),
        (IdType.HK_MACAO_PASS, "H123456789", "record.hk_macao_pass_form"),
        (IdType.TAIWAN_PASS, "1234567", "record.taiwan_pass_form"),
        (IdType.TAIWAN_PASS, "1" * 13, "record.taiwan_pass_form"),
        (IdType.RESIDENCE_PERMIT, id_number("84000019850303012"), "record.residence_permit_form"),
        (IdType.RESIDENCE_PERMIT, id_number("81000119850303012"), "record.residence_permit_form"),
        (IdType.PERMANENT_RESIDENT, "US1110112345678", "record.permanent_resident_form"),
        (IdType.PERMANENT_RESIDENT, id_number("81184019850303012"), "record.permanent_resident_form"),
    ],
)
def test_forms_refused(kind: IdType, number: str, code: str) -> None:
    assert code_of(number, kind) == code


def test_check_characters_of_the_other_cards() -> None:
    for kind, first in (
        (IdType.RESIDENCE_PERMIT, "81000019850303012"),
        (IdType.PERMANENT_RESIDENT, "91184019850303012"),
    ):
        right = id_number(first)
        wrong = right[:17] + ("1" if right[17] != "1" else "2")
        assert code_of(wrong, kind) == "record.id_number_check"


def test_what_the_other_numbers_say_of_their_holder() -> None:
    birth, other = parse_day("1985-03-03"), parse_day("1985-03-04")
    permit, card = id_number("81000019850303012"), id_number("91184019850303012")
    assert check_id_number(permit, IdType.RESIDENCE_PERMIT, birth=other, sex=Sex.MALE) == [
        "record.id_number_birth",
        "record.id_number_sex",
    ]
    assert check_id_number(card, IdType.PERMANENT_RESIDENT, birth=other, sex=Sex.MALE) == ["record.id_number_birth"]
    assert check_id_number("USA110112345678", IdType.PERMANENT_RESIDENT, birth=other, sex=Sex.MALE) == []
    assert check_id_number("A" * 18, IdType.PASSPORT, birth=birth, sex=Sex.MALE) == []


def test_a_number_that_a_spreadsheet_rounded() -> None:
    assert code_of("110101198503030000") == "record.id_number_rounded"
    whole = next(
        number
        for place in range(100)
        if (number := id_number(f"1101{place:02}19850303200")).endswith("000")  # sequence 200, check character 0
    )
    assert read_id_number(whole, IdType.RESIDENT) == whole
    assert check_id_number(whole, IdType.RESIDENT, birth=None, sex=None) == ["record.id_number_zeros"]
