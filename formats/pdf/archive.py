"""What makes a PDF fit to be archived and listened to: XMP packet, colour profile, output intent, dates.

Specs: ISO 19005-3 (PDF/A-3, level A) §6.2.3 and §6.6, ISO 14289-1 (PDF/UA-1) §5, ISO 16684-1 (XMP), ICC.1:2001-04
(profile version 2) with the primaries and the curve of IEC 61966-2-1 (sRGB). Nothing here is copied from a profile
of anybody's: the numbers are computed. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from struct import pack
from typing import ClassVar, Final

from mingzheng.formats.civil import date_of
from mingzheng.formats.errors import FormatError
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, ref, stream, text_string

__all__ = ["ComposeError", "PdfMetadata", "date_string", "info", "output_intents", "srgb_profile", "xmp"]

_XMP_HEAD: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
# The XYZ of the primaries of sRGB, adapted to the D50 of the profile connection space (Bradford).
_PRIMARIES: Final = {
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
}
_D50: Final = (0.9642, 1.0, 0.8249)
_CURVE_POINTS: Final = 256
_EXTENSION: Final = """<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
 xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>PDF/UA Universal Accessibility Schema</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">
<pdfaProperty:name>part</pdfaProperty:name>
<pdfaProperty:valueType>Integer</pdfaProperty:valueType>
<pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>Part of ISO 14289 that the file follows</pdfaProperty:description>
</rdf:li></rdf:Seq></pdfaSchema:property>
</rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>"""


class ComposeError(FormatError):
    """What should go into the document cannot: a control character in the metadata, an unusable attachment name."""

    code: ClassVar[str] = "pdf.compose"


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfMetadata:
    """Document properties besides the title, which is the page's; `made_on` is the day of issue of the copy.

    Without a day the file carries no date at all.
    """

    author: str
    subject: str
    producer: str
    made_on: int | None = None  # days since 1970-01-01 at UTC+08:00


def info(title: str, metadata: PdfMetadata) -> bytes:
    """The information dictionary, the same as the XMP packet says (ISO 19005-3 §6.6.3)."""
    entries = {
        "Title": text_string(title),
        "Author": text_string(metadata.author),
        "Subject": text_string(metadata.subject),
        "Producer": text_string(metadata.producer),
    }
    if metadata.made_on is not None:
        entries["CreationDate"] = entries["ModDate"] = date_string(metadata.made_on)
    return dictionary(entries)


def date_string(day: int) -> bytes:
    """The first instant of a day as a PDF date (ISO 32000-1 §7.9.4)."""
    return b"(D:%b000000+08'00')" % date_of(day).strftime("%Y%m%d").encode()


def xmp(title: str, language: str, metadata: PdfMetadata) -> bytes:
    """The metadata stream, uncompressed so that any tool finds it."""
    dates = ""
    if metadata.made_on is not None:
        moment = f"{date_of(metadata.made_on).isoformat()}T00:00:00+08:00"
        dates = f"<xmp:CreateDate>{moment}</xmp:CreateDate>\n<xmp:ModifyDate>{moment}</xmp:ModifyDate>\n"
    packet = f"""{_XMP_HEAD}
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"
 xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/">
<pdfaid:part>3</pdfaid:part>
<pdfaid:conformance>A</pdfaid:conformance>
<pdfuaid:part>1</pdfuaid:part>
<dc:format>application/pdf</dc:format>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{_xml(title)}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{_xml(metadata.author)}</rdf:li></rdf:Seq></dc:creator>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{_xml(metadata.subject)}</rdf:li></rdf:Alt></dc:description>
<dc:language><rdf:Bag><rdf:li>{_xml(language)}</rdf:li></rdf:Bag></dc:language>
<pdf:Producer>{_xml(metadata.producer)}</pdf:Producer>
{dates}</rdf:Description>
{_EXTENSION}</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
    return stream(packet.encode(), {"Type": b"/Metadata", "Subtype": b"/XML"}, compress=False)


def output_intents(objects: PdfObjects) -> bytes:
    """The array that says what the device colours of the file mean: sRGB (ISO 19005-3 §6.2.3)."""
    profile = objects.add(_profile_stream())
    intent = dictionary(
        Type=b"/OutputIntent",
        S=b"/GTS_PDFA1",
        OutputConditionIdentifier=b"(sRGB IEC61966-2.1)",
        Info=b"(sRGB IEC61966-2.1)",
        DestOutputProfile=ref(profile),
    )
    return array([intent])


@cache
def _profile_stream() -> bytes:
    return stream(srgb_profile(), {"N": b"3", "Alternate": b"/DeviceRGB"}, level=9)


def srgb_profile() -> bytes:
    """An ICC profile of version 2 for an RGB display: three primaries, one curve of 256 points."""
    samples = (round(_linear(place / (_CURVE_POINTS - 1)) * 65535) for place in range(_CURVE_POINTS))
    curve = b"curv" + bytes(4) + pack(">I", _CURVE_POINTS) + b"".join(pack(">H", value) for value in samples)
    name = b"mingzheng sRGB\0"
    tags = {
        b"desc": b"desc" + bytes(4) + pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text" + bytes(4) + b"No copyright, use freely\0",
        b"wtpt": _xyz(_D50),
        **{tag: _xyz(value) for tag, value in _PRIMARIES.items()},
    }
    place = 128 + 4 + 12 * (len(tags) + 3)
    table, body = [], b""
    for tag, data in (*tags.items(), (b"rTRC", curve)):
        table.append(tag + pack(">II", place + len(body), len(data)))
        if tag == b"rTRC":  # one curve serves all three
            table.extend(other + table[-1][4:] for other in (b"gTRC", b"bTRC"))
        body += data + bytes(-len(data) % 4)
    size = place + len(body)
    head = pack(">I4xI", size, 0x02400000) + b"mntrRGB XYZ " + pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    head += bytes(28) + b"".join(_fixed(value) for value in _D50)
    return head.ljust(128, b"\0") + pack(">I", len(table)) + b"".join(table) + body


def _linear(value: float) -> float:
    """IEC 61966-2-1: from the coded value to the linear one."""
    linear: float = value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
    return linear


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_fixed(part) for part in value)


def _fixed(value: float) -> bytes:
    return pack(">i", round(value * 65536))


def _xml(text: str) -> str:
    if any(char < " " or char in "\x7f\ufffe\uffff" for char in text):
        raise ComposeError("control character in the document properties")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # xml.sax loads an HTTP client
