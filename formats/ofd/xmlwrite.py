"""XML of OFD packages as text: elements with their prefix, attributes in the order given, nothing between them.

Source: GB/T 33190 (namespace, number format). No blanks or line ends are added, so that the bytes are decided by
the content alone. A character XML cannot hold is an error, never dropped. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from mingzheng.formats.errors import FormatError

__all__ = ["NAMESPACE", "OfdWriteError", "box", "document", "element", "escape", "number", "numbers"]

NAMESPACE: Final = "http://www.ofdspec.org/2016"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_SPECIAL: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


class OfdWriteError(FormatError):
    """What should go into an OFD package cannot."""

    code: ClassVar[str] = "ofd.write"


def escape(text: str) -> str:
    """Text for content or an attribute; OfdWriteError for characters XML cannot hold."""
    if _FORBIDDEN.search(text):
        raise OfdWriteError("a control character in a text of the document")
    return text.translate(_SPECIAL)


def element(tag: str, attributes: Mapping[str, str | int] | None = None, *content: str, prefix: str = "ofd") -> str:
    """An element; `content` is markup already written, attribute values are plain text."""
    head = f"{prefix}:{tag}"
    if attributes:
        head += "".join(f' {name}="{escape(str(value))}"' for name, value in attributes.items())
    inside = "".join(content)
    return f"<{head}>{inside}</{prefix}:{tag}>" if inside else f"<{head}/>"


def document(root: str, *, prefix: str = "ofd", namespace: str = NAMESPACE) -> bytes:
    """A whole XML file around a written root element, which gets the namespace as its first attribute."""
    end = re.match(rf"<{prefix}:\w+", root)
    assert end is not None
    return f'{_HEAD}{root[: end.end()]} xmlns:{prefix}="{namespace}"{root[end.end() :]}'.encode()


def number(millimetres: float) -> str:
    """Three decimals at most, no trailing zeros, no minus zero."""
    text = f"{millimetres:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def numbers(values: Iterable[float]) -> str:
    """Numbers with a blank between (ST_Array)."""
    return " ".join(map(number, values))


def box(x_mm: float, y_mm: float, width_mm: float, height_mm: float) -> str:
    """ST_Box."""
    return numbers((x_mm, y_mm, width_mm, height_mm))
