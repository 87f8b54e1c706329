"""XML files of an OFD package as small trees, by expat.

Source: XML 1.0, Namespaces in XML, GB/T 33190. Refused with codes of their own, before they cost anything: document
types (and with them every entity that is not predefined), processing instructions, XInclude, encodings other than
UTF-8, deep nesting, many attributes, many elements; versions other than 1.0 are malformed. A byte order mark is
tolerated. Comments are skipped. Pure.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
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

__all__ = ["Element", "parse_counted", "parse_xml"]

_SPACE: Final = " "  # between namespace and name; cannot occur in either
_XINCLUDE: Final = "http://www.w3.org/2001/XInclude"
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"\0<", b"<\0")
_ENCODING: Final = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]*)["']""")


class Element(NamedTuple):
    """An element; `attributes` by local name, those of a namespace as "namespace name". A tuple: thousands are made.

    `text` is all text directly in it, joined.
    """

    tag: str
    namespace: str
    attributes: Mapping[str, str]
    children: tuple[Element, ...]
    text: str

    def get(self, name: str) -> str | None:
        """The attribute of this name without a namespace."""
        return self.attributes.get(name)

    def first(self, tag: str) -> Element | None:
        """The first child of this local name."""
        for child in self.children:
            if child.tag == tag:
                return child
        return None

    def every(self, tag: str) -> list[Element]:
        """The children of this local name."""
        return [child for child in self.children if child.tag == tag]

    def text_of(self, tag: str) -> str | None:
        """The text of the first child of this name without blanks around it."""
        child = self.first(tag)
        return None if child is None else child.text.strip()


_Fields = tuple[str, str, Mapping[str, str], tuple[Element, ...], str]
_element: Final[Callable[[_Fields], Element]] = partial(tuple.__new__, Element)  # half the cost of Element(…)


def parse_xml(data: bytes, *, limits: OfdLimits) -> Element:
    """The root element. Raises OfdXmlError and its kin, and the four limits on XML."""
    return parse_counted(data, limits=limits, nodes=limits.xml_nodes)[0]


def parse_counted(data: bytes, *, limits: OfdLimits, nodes: int) -> tuple[Element, int]:
    """The same for a file that may have `nodes` elements; the root element and how many elements there are."""
    if len(data) > limits.xml_bytes:
        raise OfdXmlSizeError("bytes of an XML file", limit=limits.xml_bytes, got=len(data))
    _check_encoding(data)
    # the encoding is fixed: a declaration of another one is refused above, never obeyed
    parser: Any = expat.ParserCreate("utf-8", _SPACE)
    parser.XmlDeclHandler = _declaration
    parser.StartDoctypeDeclHandler = _doctype
    parser.ProcessingInstructionHandler = _instruction
    grown = _grow(parser, limits, nodes)
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise OfdXmlError(f"not well-formed XML ({expat.errors.messages.get(error.code, '?')})") from error
    return grown()


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


def _declaration(version: str, *_: object) -> None:
    if version != "1.0":
        raise OfdXmlError("XML of another version than 1.0")


def _doctype(*_: object) -> None:
    raise OfdXmlDoctypeError("XML with a document type declaration")


def _instruction(*_: object) -> None:
    raise OfdXmlInstructionError("XML with a processing instruction")


def _grow(parser: Any, limits: OfdLimits, nodes: int) -> Callable[[], tuple[Element, int]]:
    """Have the parser build a tree; what is returned gives the root and the count when all is parsed.

    An error raised in a handler ends the parse at once. No handler holds the parser: it is freed without the collector.
    """
    depth_max, attributes_max, count = limits.xml_depth, limits.xml_attributes, 0
    top: list[Element] = []
    names: dict[str, tuple[str, str]] = {}  # as expat gives it -> local name, namespace
    opened: list[tuple[dict[str, str], list[Element], list[str]]] = [({}, top, [])]  # attributes, children, text

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > nodes:
            raise OfdXmlNodesError("elements of an XML file", limit=nodes)
        if len(opened) > depth_max:
            raise OfdXmlDepthError("depth of an XML file", limit=depth_max)
        if len(attributes) > attributes_max:  # none is there twice: expat refuses that
            raise OfdXmlAttributesError("attributes of an element", limit=attributes_max, got=len(attributes))
        if name not in names:
            names[name] = _split(name)
        opened.append((attributes, [], []))

    def end(name: str) -> None:
        attributes, children, text = opened.pop()
        tag, namespace = names[name]
        inside = tuple(children) if children else ()
        opened[-1][1].append(_element((tag, namespace, attributes, inside, "".join(text))))

    def characters(text: str) -> None:
        opened[-1][2].append(text)

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    return lambda: (top[0], count)  # expat ends well only behind a root element


def _split(name: str) -> tuple[str, str]:
    """Local name and namespace."""
    if name.startswith(_XINCLUDE):
        raise OfdXmlInstructionError("XML that includes other files")
    namespace, _, tag = name.rpartition(_SPACE)
    return tag, namespace
