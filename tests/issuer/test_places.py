"""Names of regions: one for each that records may name."""

from mingzheng.issuer.cells import PROVINCES
from mingzheng.issuer.places import place_name


def test_every_region_that_records_may_name_has_a_name_in_both_languages() -> None:
    names = {lang: {place_name(code, lang) for code in (0, *PROVINCES.values())} for lang in ("zh", "en")}
    assert len(names["zh"]) == len(names["en"]) == len(PROVINCES) + 1
    assert all(name.isascii() and not name.isdigit() for name in names["en"])
    assert (place_name(0, "zh"), place_name(61, "zh"), place_name(99, "en")) == ("全国", "陕西", "99")
