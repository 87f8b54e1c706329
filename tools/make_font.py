"""Make formats/fonts/MingZhengKai-Regular.ttf from LXGW WenKai Regular (development only, needs fontTools).

    python tools/make_font.py /usr/share/fonts/truetype/lxgw-wenkai/LXGWWenKai-Regular.ttf

The source font is under the SIL Open Font License 1.1 with the reserved names "LXGW" and "霞鹜", so the subset
carries a name of its own. What goes in, where the source comes from and how to renew it: docs/fonts.md.
The same source and the same fontTools give the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "formats/fonts/MingZhengKai-Regular.ttf"
STANDARD_TABLE: Final = ROOT / "tests/vectors/fonts/tgh-2013.txt"
RANGES: Final = (
    (0x0020, 0x007E),  # ASCII
    (0x00A0, 0x00FF),  # Latin-1, the interpunct U+00B7 of names among it
    (0x2010, 0x2040),  # dashes, quotation marks, ellipsis, per mille
    (0x2103, 0x2103),
    (0x2160, 0x217F),  # Roman numerals
    (0x2190, 0x2193),
    (0x2460, 0x249B),  # numbers in circles and brackets
    (0x25A0, 0x25FF),
    (0x3000, 0x303F),  # CJK punctuation and U+3007
    (0x3400, 0x4DBF),  # Extension A
    (0xF900, 0xFAFF),  # compatibility ideographs, the twelve unified ones among them
    (0xFF00, 0xFFEF),  # full-width forms
    (0x20000, 0x3FFFF),  # everything the source has beyond the first plane
)
DROPPED_TABLES: Final = ("vhea", "vmtx", "GDEF", "GSUB", "GPOS", "BASE", "gasp", "DSIG", "fpgm", "prep", "cvt ")
EPOCH: Final = 3_757_363_200  # head.created and head.modified: 2023-01-23, seconds since 1904
NAMES: Final = {
    1: "MingZheng Kai",
    2: "Regular",
    3: "MingZheng Kai Regular 1.0",
    4: "MingZheng Kai Regular",
    5: "Version 1.000",
    6: "MingZhengKai-Regular",
    10: "A subset for certificates; copyright holders and licence as stated, changes in docs/fonts.md",
}
KEPT_NAMES: Final = (0, 13, 14)  # copyright, licence, licence address


def wanted() -> set[int]:
    """The characters the shipped font should have."""
    points = {ord(char) for line in _table_lines() for char in line}
    for first, last in RANGES:
        points.update(range(first, last + 1))
    return points | _gb2312()


def make(source: Path, target: Path) -> int:
    """Write the subset; returns the number of characters it has."""
    font = TTFont(source, recalcTimestamp=False)
    options = Options()
    options.hinting = False
    options.layout_features = []
    options.glyph_names = False
    options.notdef_outline = True
    options.drop_tables += list(DROPPED_TABLES)
    options.name_IDs = ["*"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=wanted() & set(font.getBestCmap()))
    subsetter.subset(font)
    _rename(font)
    font["head"].created = font["head"].modified = EPOCH
    font.save(target)
    return len(font.getBestCmap())


def _rename(font: TTFont) -> None:
    table = font["name"]
    kept = {name: table.getName(name, 3, 1, 0x409).toUnicode() for name in KEPT_NAMES}
    table.names = []
    for number, text in sorted({**kept, **NAMES}.items()):
        table.setName(text, number, 3, 1, 0x409)


def _gb2312() -> set[int]:
    points = set()
    for row in range(0xA1, 0xF8):
        for cell in range(0xA1, 0xFF):
            try:
                points.add(ord(bytes((row, cell)).decode("gb2312")))
            except UnicodeDecodeError:
                continue
    return points


def _table_lines() -> list[str]:
    lines = STANDARD_TABLE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_font.py SOURCE.ttf")
    count = make(Path(sys.argv[1]), TARGET)
    sys.stdout.write(f"{TARGET.name}: {count} characters, {TARGET.stat().st_size} bytes\n")
