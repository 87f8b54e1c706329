"""The text rule of the credential (docs/spec/credential.md, "Conventions").

A text is in Normalization Form C; the only white space is ASCII space, and only inside; every other character is in
the fixed table of `repertoire`: no control, format (bidirectional and zero-width among them), surrogate, private-use,
unassigned or invisible ones. Two texts that look the same must not be two names, and no verdict may rest on which
Python runs.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mingzheng.formats.errors import TextCharacterError, TextLengthError, TextNotNormalizedError
from mingzheng.formats.repertoire import is_printable

# Printable ASCII, the middle dot of foreign names, full-width brackets and the basic CJK block
# (wholly assigned since Unicode 14): all NFC, all visible. Nearly every text ends here.
PLAIN: Final = re.compile(r"[!-~·（）\u4e00-\u9fff]+(?: +[!-~·（）\u4e00-\u9fff]+)*")


def check_text(text: str, *, min_chars: int, max_chars: int) -> None:
    """Refuse a text that breaks the rule above or has not min_chars … max_chars code points.

    Raises TextLengthError, TextCharacterError or TextNotNormalizedError.
    """
    if not min_chars <= len(text) <= max_chars:
        raise TextLengthError(min_chars=min_chars, max_chars=max_chars, got=len(text))
    if PLAIN.fullmatch(text) is None:
        _check_slowly(text)


def _check_slowly(text: str) -> None:
    for index, char in enumerate(text):
        if char == " " and 0 < index < len(text) - 1:
            continue
        if not is_printable(ord(char)):
            raise TextCharacterError(index=index, codepoint=ord(char))
    if not unicodedata.is_normalized("NFC", text):
        raise TextNotNormalizedError("text is not in Normalization Form C / 文本未按 NFC 规范化")
