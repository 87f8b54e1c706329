"""The identifier of an electronic licence: public examples hold, one changed character never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.ofd.licence import (
    ROOT,
    LicenceId,
    LicenceIdError,
    check_character,
    format_licence_id,
    parse_licence_id,
)

PUBLIC = (  # from the program code and the data of public offices
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.002.S",
    "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
    "1.2.156.3005.2.11100000000013338W032.11220000013544541J.2430599.001.F",
    "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",
)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("text", PUBLIC)
def test_public_identifiers_hold(text: str) -> None:
    licence = parse_licence_id(text)
    assert format_licence_id(licence) == text
    assert text.startswith(f"{ROOT}.{licence.type_code}.{licence.issuer_code}.{licence.serial}.")
    assert licence.version == int(text.split(".")[-2])


@pytest.mark.parametrize("text", PUBLIC)
def test_every_change_of_one_character_is_refused(text: str) -> None:
    for at, char in enumerate(text):
        for other in ALPHABET + ALPHABET.lower() + ". ０":
            if other != char:
                with pytest.raises(LicenceIdError):
                    parse_licence_id(text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize("text", PUBLIC)
def test_every_shortened_identifier_is_refused(text: str) -> None:
    for at in range(len(text)):
        with pytest.raises(LicenceIdError):
            parse_licence_id(text[:at])
    for more in (text + "0", text + ".0", " " + text, text + "\n"):
        with pytest.raises(LicenceIdError):
            parse_licence_id(more)


@given(
    type_code=st.text(ALPHABET, min_size=21, max_size=21),
    issuer=st.text(ALPHABET, min_size=6, max_size=18),
    serial=st.text(ALPHABET, min_size=1, max_size=32),
    version=st.integers(1, 999),
)
def test_round_trip_and_one_check_character_alone(type_code: str, issuer: str, serial: str, version: int) -> None:
    licence = LicenceId(type_code=type_code, issuer_code=issuer, serial=serial, version=version)
    text = format_licence_id(licence)
    assert parse_licence_id(text) == licence
    for other in ALPHABET:
        if other != text[-1]:
            with pytest.raises(LicenceIdError, match="check character"):
                parse_licence_id(text[:-1] + other)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("type_code", "1" * 20),
        ("issuer_code", "1" * 19),
        ("serial", ""),
        ("serial", "a"),
        ("serial", "1" * 33),
        ("version", 0),
        ("version", 1000),
    ],
)
def test_parts_out_of_form_are_refused(part: str, value: object) -> None:
    good = {"type_code": "1" * 21, "issuer_code": "1" * 18, "serial": "1", "version": 1}
    with pytest.raises(LicenceIdError):
        LicenceId(**{**good, part: value})  # type: ignore[arg-type]


def test_the_check_is_of_iso_7064() -> None:
    assert check_character("A12425GABC1234002") == "M"  # a published example: GRid A1-2425G-ABC1234002-M
