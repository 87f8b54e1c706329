"""The text rule of the credential (docs/spec/credential.md, "Conventions").

A text is in Normalization Form C; the only white space is ASCII space, and only inside;
control, format (bidirectional and zero-width among them), surrogate, private-use and
unassigned characters are refused (general categories Cc, Cf, Cs, Co, Cn, Zs, Zl, Zp), and so
are the invisible characters of other categories (variation selectors, fillers, blank braille):
two texts that look the same must not be two names.

"Unassigned" follows the Unicode data of the running Python (3.11: Unicode 14). The newest CJK
extensions (H from Unicode 15, I from 15.1, J from 17) are unassigned to an older Python: an
issuer must run on the oldest Python its verifiers use, or such a name is refused by them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mingzheng.formats.errors import TextCharacterError, TextLengthError, TextNotNormalizedError

# Printable ASCII, the middle dot of foreign names, full-width brackets and the basic CJK block
# (wholly assigned since Unicode 14): all NFC, all visible. Nearly every text ends here.
_PLAIN: Final = re.compile(r"[!-~·（）\u4e00-\u9fff]+(?: +[!-~·（）\u4e00-\u9fff]+)*")
_REFUSED_CATEGORIES: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"))
# Default_Ignorable_Code_Point outside those categories (DerivedCoreProperties.txt) and U+2800.
_INVISIBLE: Final = frozenset(
    (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    )
)


def check_text(text: str, *, min_chars: int, max_chars: int) -> None:
    """Refuse a text that breaks the rule above or has not min_chars … max_chars code points.

    Raises TextLengthError, TextCharacterError or TextNotNormalizedError.
    """
    if not min_chars <= len(text) <= max_chars:
        raise TextLengthError(min_chars=min_chars, max_chars=max_chars, got=len(text))
    if _PLAIN.fullmatch(text) is None:
        _check_slowly(text)


def _check_slowly(text: str) -> None:
    for index, char in enumerate(text):
        if char == " " and 0 < index < len(text) - 1:
            continue
        if unicodedata.category(char) in _REFUSED_CATEGORIES or ord(char) in _INVISIBLE:
            raise TextCharacterError(index=index, codepoint=ord(char))
    if not unicodedata.is_normalized("NFC", text):
        raise TextNotNormalizedError("text is not in Normalization Form C / 文本未按 NFC 规范化")
