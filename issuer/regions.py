"""Province codes as people write them: GB/T 2260 numbers and the letters of ISO 3166-2:CN (GB/T 2260 letter codes)."""

from collections.abc import Mapping
from typing import Final

__all__ = ["LETTERS", "read_region"]

LETTERS: Final[Mapping[str, int]] = {
    "cn": 0,  # national
    "bj": 11, "tj": 12, "he": 13, "sx": 14, "nm": 15, "ln": 21, "jl": 22, "hl": 23, "sh": 31, "js": 32, "zj": 33,
    "ah": 34, "fj": 35, "jx": 36, "sd": 37, "ha": 41, "hb": 42, "hn": 43, "gd": 44, "gx": 45, "hi": 46, "cq": 50,
    "sc": 51, "gz": 52, "yn": 53, "xz": 54, "sn": 61, "gs": 62, "qh": 63, "nx": 64, "xj": 65, "tw": 71, "hk": 81,
    "mo": 82,
}  # fmt: skip
_NUMBERS: Final = frozenset(LETTERS.values())


def read_region(text: str) -> int | None:
    """`sh`, `31`, `cn` or `0` as a number; None for anything else."""
    if text.lower() in LETTERS:
        return LETTERS[text.lower()]
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 2 else -1
    return number if number in _NUMBERS and text == str(number) else None
