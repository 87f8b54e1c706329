"""Who a personal certificate is about: its common name, serial numbers in the subject, identity code.

Source: RFC 5280 §4.1.2.6 (subject), RFC 4519 §2.31 (serialNumber), GM/T 0015-2012 and GB/T 20518-2018 (the extension
1.2.156.10260.4.1.1, identity code of a person). Of a `Certificate` that was parsed; what is read here is not proven.
CAs write the identity code as one text or as a SEQUENCE of tagged texts: every text in it counts. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mingzheng.keys import der
from mingzheng.keys.der import Node
from mingzheng.keys.errors import CertMalformedError, DerError
from mingzheng.keys.x509 import Certificate

__all__ = ["CertSubject", "read_subject"]

OID_COMMON_NAME: Final = "2.5.4.3"
OID_SERIAL_NUMBER: Final = "2.5.4.5"
OID_IDENTITY_CODE: Final = "1.2.156.10260.4.1.1"
_CONSTRUCTED: Final = 0x20
_EXTENSIONS: Final = 0xA3
_CODECS: Final = {0x1E: "utf-16-be", 0x1C: "utf-32-be"}  # BMPString, UniversalString; every other text: UTF-8


@dataclass(frozen=True, slots=True, kw_only=True)
class CertSubject:
    """Texts as they stand in the certificate; kept out of `repr`."""

    names: tuple[str, ...] = field(repr=False)  # common names
    serial_numbers: tuple[str, ...] = field(repr=False)
    identity_codes: tuple[str, ...] = field(repr=False)


def read_subject(certificate: Certificate) -> CertSubject:
    """The subject of a certificate. Raises CertMalformedError for a text or an extension that cannot be read."""
    try:
        pairs = tuple(_attributes(der.parse_der(certificate.subject)))
        codes = tuple(_codes(certificate.tbs))
    except (DerError, UnicodeDecodeError, IndexError) as error:
        raise CertMalformedError("certificate: subject or identity code cannot be read") from error
    return CertSubject(
        names=tuple(text for oid, text in pairs if oid == OID_COMMON_NAME),
        serial_numbers=tuple(text for oid, text in pairs if oid == OID_SERIAL_NUMBER),
        identity_codes=codes,
    )


def _attributes(name: Node) -> Iterator[tuple[str, str]]:
    for rdn in der.expect(name, der.SEQUENCE).children():
        for pair in der.expect(rdn, der.SET).children():
            kind, value = der.expect(pair, der.SEQUENCE).children()[:2]
            oid = der.read_oid(kind)
            if oid in (OID_COMMON_NAME, OID_SERIAL_NUMBER):
                yield oid, _text(value)


def _codes(tbs: bytes) -> Iterator[str]:
    for part in der.expect(der.parse_der(tbs), der.SEQUENCE).children():
        if part.tag != _EXTENSIONS:
            continue
        for item in part.children()[0].children():
            fields = item.children()
            if der.read_oid(fields[0]) == OID_IDENTITY_CODE:
                yield from _leaves(der.parse_der(der.read_octets(fields[-1])))


def _leaves(node: Node) -> Iterator[str]:
    if node.tag & _CONSTRUCTED:
        for child in node.children():
            yield from _leaves(child)
    else:
        yield _text(node)


def _text(node: Node) -> str:
    return node.content().decode(_CODECS.get(node.tag, "utf-8"))
