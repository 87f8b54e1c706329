"""Cells as spreadsheets leave them: mended where only one thing can be meant, refused where not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.issuer.cells import CellError
from mingzheng.issuer.columns import Holds
from mingzheng.issuer.tables import CellKind
from mingzheng.issuer.tidy import Note, check_characters, tidy, tidy_name


def tidied(cell: str, what: Holds = Holds.NUMBER, kind: CellKind | None = None) -> tuple[str, list[str]]:
    text, notes = tidy(cell, what, kind)
    return text, [code for code, _ in notes]


def refused(cell: str, what: Holds, kind: CellKind | None = None) -> str:
    with pytest.raises(CellError) as caught:
        tidy(cell, what, kind)
    return caught.value.code


def refused_character(text: str, what: Holds) -> tuple[str, dict[str, int | str]]:
    with pytest.raises(CellError) as caught:
        check_characters(text, what)
    return caught.value.code, caught.value.arguments


@pytest.mark.parametrize("what", list(Holds))
@pytest.mark.parametrize("cell", ["建筑工程", "a b.c-d", "2022-06-27", "A1", "沪1312006200712345"])
def test_what_is_ordinary_stays(cell: str, what: Holds) -> None:
    text, notes = tidied(cell, what)
    assert (text, notes) == (cell, [])


def test_several_things_at_once() -> None:
    notes = ["record.apostrophe", "record.fullwidth", "record.inner_space", "record.decimal"]
    assert tidied("'１２３ ４５６.0") == ("123456", notes)
    assert tidied('="007"') == ("007", ["record.formula_text"])
    assert tidied("\u00a01\u00a02", Holds.TEXT) == ("1 2", ["record.odd_space"])
    assert tidied("ＡＢＣ（集团）", Holds.TEXT) == ("ABC（集团）", ["record.fullwidth"])
    assert tidied("（１）", Holds.CODE) == ("(1)", ["record.fullwidth"])
    assert tidied("ａ/１.jpg", Holds.PATH) == ("ａ/１.jpg", [])
    assert tidied("'", Holds.TEXT) == ("'", [])


def test_numbers_of_workbooks() -> None:
    assert tidied("31", Holds.CODE, CellKind.NUMBER) == ("31", [])
    assert tidied("31", Holds.NUMBER, CellKind.NUMBER) == ("31", ["record.number_cell"])
    assert tidied("2022-06-27", Holds.DATE, CellKind.DATE) == ("2022-06-27", [])
    assert refused("2022-06-27", Holds.NUMBER, CellKind.DATE) == "record.cell_date"
    assert refused("1" * 16, Holds.NUMBER, CellKind.ROUNDED) == "record.number_rounded"
    assert refused("", Holds.TEXT, CellKind.UNCALCULATED) == "record.formula_uncalculated"
    assert refused("", Holds.TEXT, CellKind.ERROR) == "record.cell_error"
    assert refused("TRUE", Holds.TEXT, CellKind.BOOLEAN) == "record.cell_boolean"


@pytest.mark.parametrize("cell", ["3.2E+17", "1.10101198503030E+17", "1E5", "1e+09"])
def test_scientific_notation_is_no_number_of_anybody(cell: str) -> None:
    assert refused(cell, Holds.NUMBER) == refused(cell, Holds.CODE) == "record.scientific"
    assert tidied(cell, Holds.TEXT) == (cell, [])


@pytest.mark.parametrize("cell", ["44739", "1234", "446739", "44739.5", "４４７３９"])
def test_serial_numbers_of_days(cell: str) -> None:
    assert refused(cell, Holds.DATE) == "record.date_serial"


def test_errors_and_truth_values_as_text() -> None:
    for cell in ("#N/A", "#REF!"):
        assert refused(cell, Holds.TEXT) == "record.cell_error"
    for cell in ("TRUE", "false"):
        assert refused(cell, Holds.NAME) == "record.cell_boolean"


# Names and characters


@pytest.mark.parametrize("dot", "•‧∙⋅・･．●ㆍ⸱․﹒")
def test_dots_of_a_name_become_one(dot: str) -> None:
    notes: list[Note] = []
    assert tidy_name(f"买买提{dot}艾力", notes) == "买买提·艾力"
    assert notes == [("record.interpunct", {})]


def test_spaces_and_lost_characters_of_a_name() -> None:
    notes: list[Note] = []
    assert tidy_name("JOHN SMITH", notes) == "JOHN SMITH"
    assert notes == [("record.name_space", {"place": 5})]
    for lost in "?？\ufffd□■":
        with pytest.raises(CellError) as caught:
            tidy_name(f"王{lost}明", [])
        assert (caught.value.code, caught.value.arguments) == ("record.lost_character", {"place": 2})


@pytest.mark.parametrize("what", [Holds.NAME, Holds.TEXT, Holds.NUMBER])
@pytest.mark.parametrize("char", "\u200b\u200d\u200e\u202a\u202e\u2066\u2069\u00ad\u061c\u2028\x07\x85\U000e0041")
def test_invisible_and_bidirectional_characters_are_named(char: str, what: Holds) -> None:
    code, arguments = refused_character(f"王{char}明", what)
    assert (code, arguments["place"], arguments["codepoint"]) == ("record.invisible", 2, f"U+{ord(char):04X}")


def test_private_use_characters_are_named_and_their_new_place_where_there_is_one() -> None:
    assert refused_character("\ue5e5", Holds.TEXT) == ("record.private_use", {"place": 1, "codepoint": "U+E5E5"})
    assert refused_character("\U000f0000", Holds.NAME)[0] == "record.private_use"
    assert refused_character("王\ue863", Holds.NAME) == (
        "record.compatibility",
        {"place": 2, "codepoint": "U+E863", "instead": "䶮 (U+4DAE)"},
    )


def test_compatibility_characters_name_the_ordinary_one() -> None:
    for what in (Holds.NAME, Holds.TEXT):
        assert refused_character("王\uf979", what) == (
            "record.compatibility",
            {"place": 2, "codepoint": "U+F979", "instead": "凉 (U+51C9)"},
        )
        assert refused_character("\u2fa6", what)[1]["instead"] == "金 (U+91D1)"
        assert refused_character("\u2e8c", what) == ("record.radical", {"place": 1, "codepoint": "U+2E8C"})
        check_characters("\ufa0e\ufa29", what)  # ideographs like any other, in a block named otherwise
    assert refused_character("㈱", Holds.NAME)[1]["instead"] == "( (U+0028) 株 (U+682A) ) (U+0029)"
    check_characters("㈱（集团）·№", Holds.TEXT)
    check_characters("王（小）·明𠮷䶮", Holds.NAME)


@given(st.text(max_size=20), st.sampled_from(list(Holds)), st.sampled_from([None, *CellKind]))
def test_only_typed_errors_and_tidy_cells_stay_tidy(text: str, what: Holds, kind: CellKind | None) -> None:
    try:
        found, _ = tidy(text, what, kind)
        check_characters(found, what)
    except CellError:
        return
    if what is Holds.TEXT:
        again, notes = tidy(found, what, None)
        assert "record.odd_space" not in [code for code, _ in notes]
        assert again == found or found.startswith(("'", "＇", '="'))
