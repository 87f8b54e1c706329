"""XML in small trees: what is read, what is refused and by which code, limits at the cap and one above."""

import codecs
import contextlib
import dataclasses
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.errors import FormatError, ResourceLimitError
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.errors import OfdXmlError
from mingzheng.formats.ofd.xmlread import parse_counted, parse_xml

SMALL = dataclasses.replace(OFD_LIMITS, xml_bytes=200, xml_depth=3, xml_attributes=2, xml_nodes=4)


def code_of(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        parse_xml(data, limits=OFD_LIMITS)
    return caught.value.code


def test_a_tree_with_names_spaces_and_text() -> None:
    root, count = parse_counted(
        (
            '<o:A xmlns:o="urn:o" x="1" o:y="2">\n t<o:B/><!-- c --><C xmlns="urn:c"> é&amp;&#x4e2d; </C>'
            "u<![CDATA[<]]></o:A>"
        ).encode(),
        limits=OFD_LIMITS,
        nodes=3,
    )
    assert (root.tag, root.namespace) == ("A", "urn:o")
    assert root.attributes == {"x": "1", "urn:o y": "2"}
    assert (root.get("x"), root.get("y")) == ("1", None)
    assert root.text == "\n tu<"
    assert [(child.tag, child.namespace) for child in root.children] == [("B", "urn:o"), ("C", "urn:c")]
    assert (root.text_of("C"), root.text_of("B"), root.text_of("D")) == ("é&中", "", None)
    assert root.first("D") is None
    assert [child.tag for child in root.every("B")] == ["B"]
    assert count == 3


def test_the_elements_allowed_are_those_of_the_caller() -> None:
    with pytest.raises(FormatError) as caught:
        parse_counted(b"<a><b/><c/></a>", limits=OFD_LIMITS, nodes=2)
    assert caught.value.code == "ofd.xml.nodes"


def test_a_tree_is_freed_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        parse_xml(b"<a><b x='1'>t</b></a>", limits=OFD_LIMITS)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "data",
    [
        b"<a/>",
        codecs.BOM_UTF8 + b'<?xml version="1.0"?><a/>',
        b'<?xml version="1.0" encoding="utf-8"?><a/>',
        b"<?xml version='1.0' encoding='UTF8' standalone='yes'?><a/>",
    ],
)
def test_spellings_of_utf8_are_read(data: bytes) -> None:
    assert parse_xml(data, limits=OFD_LIMITS).tag == "a"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "ofd.xml.malformed"),
        (b"<a>", "ofd.xml.malformed"),
        (b"<a/><b/>", "ofd.xml.malformed"),
        (b"<a/>x", "ofd.xml.malformed"),
        (b"x<a/>", "ofd.xml.malformed"),
        (b"<a b='1' b='2'/>", "ofd.xml.malformed"),
        (b"<a xmlns:o='u' xmlns:p='u' o:b='1' p:b='2'/>", "ofd.xml.malformed"),
        (b"<o:a/>", "ofd.xml.malformed"),
        (b"<a>&b;</a>", "ofd.xml.malformed"),
        (b"<a>&#0;</a>", "ofd.xml.malformed"),
        (b"<a>\x00</a>", "ofd.xml.malformed"),
        (b"<a>\xef\xbf\xbf</a>", "ofd.xml.malformed"),
        (b"<?xml version='2.0'?><a/>", "ofd.xml.malformed"),
        (b"<!DOCTYPE a><a/>", "ofd.xml.doctype"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "ofd.xml.doctype"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "ofd.xml.doctype"),
        (b"<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://x/'> %p;]><a/>", "ofd.xml.doctype"),
        (b"<?x y?><a/>", "ofd.xml.instruction"),
        (b"<a><?xml-stylesheet href='x'?></a>", "ofd.xml.instruction"),
        (b"<a xmlns:i='http://www.w3.org/2001/XInclude'><i:include href='x'/></a>", "ofd.xml.instruction"),
        ("<?xml version='1.0' encoding='UTF-16'?><a/>".encode("utf-16"), "ofd.xml.encoding"),
        ("<a/>".encode("utf-16-le"), "ofd.xml.encoding"),
        ("<a/>".encode("utf-16-be"), "ofd.xml.encoding"),
        ("<a/>".encode("utf-32-be"), "ofd.xml.encoding"),
        (b"<?xml version='1.0' encoding='GBK'?><a/>", "ofd.xml.encoding"),
        (b"<?xml version='1.0' encoding='utf-7'?>+ADw-a/>", "ofd.xml.encoding"),
        (b"<?xml version='1.0' encoding = 'ISO-8859-1' ?><a/>", "ofd.xml.encoding"),
        (b"<a>\xff</a>", "ofd.xml.encoding"),
        (b"<a>\xc0\xaf</a>", "ofd.xml.encoding"),
        (b"<a>\xed\xa0\x80</a>", "ofd.xml.encoding"),
    ],
)
def test_what_is_refused_has_its_code(data: bytes, code: str | None) -> None:
    if code is None:  # expat reads any version; nothing rests on it
        assert parse_xml(data, limits=OFD_LIMITS).tag == "a"
    else:
        assert code_of(data) == code


@pytest.mark.parametrize(
    ("good", "bad", "code"),
    [
        (b"<a>" + b"x" * 193 + b"</a>", b"<a>" + b"x" * 194 + b"</a>", "ofd.xml.size"),
        (b"<a><a><a/></a></a>", b"<a><a><a><a/></a></a></a>", "ofd.xml.depth"),
        (b"<a b='' c=''/>", b"<a b='' c='' d=''/>", "ofd.xml.attributes"),
        (b"<a><b/><b/><b/></a>", b"<a><b/><b/><b/><b/></a>", "ofd.xml.nodes"),
    ],
)
def test_limits_hold_at_the_cap_and_break_one_above(good: bytes, bad: bytes, code: str) -> None:
    assert parse_xml(good, limits=SMALL).tag == "a"
    with pytest.raises(FormatError) as caught:
        parse_xml(bad, limits=SMALL)
    assert caught.value.code == code


def test_great_depth_many_elements_and_many_attributes_cost_little() -> None:
    assert code_of(b"<a>" * 200_000) == "ofd.xml.depth"
    assert code_of(b"<a>" + b"<b/>" * 200_000) == "ofd.xml.nodes"
    attributes = b" ".join(b'a%d="1"' % number for number in range(10_000))
    assert code_of(b"<a " + attributes + b"/>") == "ofd.xml.attributes"


@given(st.text(max_size=200))
def test_text_comes_back_as_it_was(text: str) -> None:
    clean = "".join(char for char in text if char in "\t\n" or (" " <= char <= "\ud7ff" and char != "\x7f"))
    spelled = clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert parse_xml(f"<a>{spelled}</a>".encode(), limits=OFD_LIMITS).text == clean


@given(st.binary(max_size=200))
def test_any_bytes_give_a_tree_or_a_typed_error(data: bytes) -> None:
    for body in (data, b"<a>" + data, b"<a>" + data + b"</a>", b"<?xml " + data):
        with contextlib.suppress(OfdXmlError, ResourceLimitError):
            parse_xml(body, limits=OFD_LIMITS)


def test_another_version_of_xml_is_refused() -> None:
    """XML 1.1 has other line ends and undeclared prefixes: readers of 1.0 refuse it or read something else."""
    for version in ("1.1", "2.0", "1.00"):
        with pytest.raises(OfdXmlError):
            parse_xml(f'<?xml version="{version}"?><a/>'.encode(), limits=OFD_LIMITS)
    assert parse_xml(b'<?xml version="1.0"?><a/>', limits=OFD_LIMITS).tag == "a"
