"""Words that act or hide: where the text of a file gives cause to look at its objects."""

import pytest

from mingzheng.formats.pdf.document import is_suspect


@pytest.mark.parametrize(
    "text",
    [
        *(b"<</JavaScript 5 0 R>>", b"/AA", b"<</S/Launch/F(a)>>", b"[/OC]", b"/3D\0", b"/PS(", b"/XFA%"),
        *(b"/J#53", b"/#4aS 1", b"/A#", b"/A#2", b"/A#2E", b"/a#2Fb#41", b"/##2F2F"),
    ],
)
def test_words_that_give_cause(text: bytes) -> None:
    assert is_suspect(text)
    assert is_suspect(b"<</Type /Page " + text + b" /A#2Fb 1>>")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"/AAA",
        b"/A",
        b"/JavaScripts",
        b"JavaScript (AA)",
        b"/Type/P",
        b"/text#2Fplain",
        b"/text#2fplain",
        b"(#41)",
    ],
)
def test_words_that_give_none(text: bytes) -> None:
    assert not is_suspect(text)
