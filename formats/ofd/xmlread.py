"""XML files of an OFD package as small trees, by expat.

Source: XML 1.0, Namespaces in XML, GB/T 33190. Refused with codes of their own, before they cost anything: document
types (and with them every entity that is not predefined), processing instructions, XInclude, encodings other than
UTF-8, deep nesting, many attributes, many elements; versions other than 1.0 are malformed. A byte order mark is
tolerated. Comments are skipped. Pure.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from xml.parsers import expat

from mingzheng.formats.ofd.errors import (
    OfdXmlAttributesError,
    OfdXmlDepthError,
    OfdXmlDoctypeError,
    OfdXmlEncodingError,
    OfdXmlError,
    OfdXmlInstructionError,
    OfdXmlNodesError,
    OfdXmlSizeError,
)

if TYPE_CHECKING:
    from mingzheng.formats.limits import OfdLimits

__all__ = ["Element", "count_elements", "parse_xml"]

_SPACE: Final = " "  # between namespace and name; cannot occur in either
_XINCLUDE: Final = "http://www.w3.org/2001/XInclude"
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"\0<", b"<\0")
_ENCODING: Final = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]*)["']""")
_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """An element; `attributes` by local name, those of a namespace as "namespace name".

    `text` is all text directly in it, joined; `line` from 1.
    """

    tag: str
    namespace: str
    attributes: Mapping[str, str]
    children: tuple[Element, ...]
    text: str
    line: int

    def get(self, name: str) -> str | None:
        """The attribute of this name without a namespace."""
        return self.attributes.get(name)

    def first(self, tag: str) -> Element | None:
        """The first child of this local name."""
        return next((child for child in self.children if child.tag == tag), None)

    def every(self, tag: str) -> Iterator[Element]:
        """The children of this local name."""
        return (child for child in self.children if child.tag == tag)

    def text_of(self, tag: str) -> str | None:
        """The text of the first child of this name without blanks around it."""
        child = self.first(tag)
        return None if child is None else child.text.strip()


def parse_xml(data: bytes, *, limits: OfdLimits) -> Element:
    """The root element. Raises OfdXmlError and its kin, and the four limits on XML."""
    if len(data) > limits.xml_bytes:
        raise OfdXmlSizeError("bytes of an XML file", limit=limits.xml_bytes, got=len(data))
    _check_encoding(data)
    builder = _Builder(limits)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise OfdXmlError(f"not well-formed XML ({expat.errors.messages.get(error.code, '?')})") from error
    assert builder.root is not None  # expat ends well only behind a root element
    return builder.root


def count_elements(root: Element) -> int:
    """How many elements the tree has."""
    count, waiting = 0, [root]
    while waiting:
        waiting.extend(waiting.pop().children)
        count += 1
    return count


def _check_encoding(data: bytes) -> None:
    """UTF-8 throughout, and nothing else claimed: two readers must not see two texts."""
    if data[:2] in _WIDE or data[:4] == b"\0\0\0<":
        raise OfdXmlEncodingError("XML in another encoding than UTF-8")
    body = data.removeprefix(codecs.BOM_UTF8)
    claimed = _ENCODING.match(body[:256])
    if claimed is not None and claimed[1].lower() not in (b"utf-8", b"utf8"):
        raise OfdXmlEncodingError("XML in another encoding than UTF-8")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OfdXmlEncodingError("bytes that are not UTF-8", offset=error.start) from None


# An element whose end has not come: name, attributes, line, children, text.
_Open: TypeAlias = tuple[str, Mapping[str, str], int, "list[Element]", list[str]]


class _Builder:
    """The handlers of one parse; an error raised in one ends the parse at once."""

    def __init__(self, limits: OfdLimits) -> None:
        self.limits, self.nodes = limits, 0
        self.root: Element | None = None
        self.open: list[_Open] = []
        # the encoding is fixed: a declaration of another one is refused above, never obeyed
        parser: Any = expat.ParserCreate("utf-8", _SPACE)
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self.parser = parser

    def _declaration(self, version: str, *_: object) -> None:
        if version != "1.0":
            raise OfdXmlError("XML of another version than 1.0")

    def _doctype(self, *_: object) -> None:
        raise OfdXmlDoctypeError("XML with a document type declaration")

    def _instruction(self, *_: object) -> None:
        raise OfdXmlInstructionError("XML with a processing instruction")

    def _start(self, name: str, pairs: list[str]) -> None:
        limits = self.limits
        self.nodes += 1
        if self.nodes > limits.xml_nodes:
            raise OfdXmlNodesError("elements of an XML file", limit=limits.xml_nodes)
        if len(self.open) >= limits.xml_depth:
            raise OfdXmlDepthError("depth of an XML file", limit=limits.xml_depth)
        if len(pairs) > 2 * limits.xml_attributes:
            raise OfdXmlAttributesError("attributes of an element", limit=limits.xml_attributes, got=len(pairs) // 2)
        if name.startswith(_XINCLUDE):
            raise OfdXmlInstructionError("XML that includes other files")
        attributes = dict(zip(pairs[::2], pairs[1::2], strict=True)) if pairs else _NONE
        self.open.append((name, attributes, self.parser.CurrentLineNumber, [], []))

    def _end(self, _name: str) -> None:
        name, attributes, line, children, text = self.open.pop()
        namespace, _, tag = name.rpartition(_SPACE)
        element = Element(
            tag=tag,
            namespace=namespace,
            attributes=attributes,
            children=tuple(children),
            text="".join(text),
            line=line,
        )
        if self.open:
            self.open[-1][3].append(element)
        else:
            self.root = element

    def _text(self, text: str) -> None:
        self.open[-1][4].append(text)
