"""Digital signatures in an OFD without a seal: SignedData of GB/T 35275 (GM/T 0010), both practices.

Practice (a): the content is the digest of Signature.xml (32 bytes, or their Base64), signed directly. Practice (b):
signed attributes (content type, time, digest of Signature.xml), and the signature is over their SET, tag 31. In
both, what is signed must lead to the bytes of Signature.xml, else the signature is none of this file. DER alone;
one signer; the signer's certificate must come along. Left out: trust, revocation lists, unsigned attributes. Pure.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mingzheng.formats.ofd.signedinfo import Digest, OfdSignatureError
from mingzheng.keys import der
from mingzheng.keys.errors import CertError, DerError
from mingzheng.keys.x509 import Certificate, parse_certificate

if TYPE_CHECKING:
    from mingzheng.keys.der import Node

__all__ = ["OID_SM2_SM3", "SM2_NAMES", "GbSignature", "bound_to", "parse_signed_data"]

OID_SM2_SM3: Final = "1.2.156.10197.1.501"
SM2_NAMES: Final = frozenset({OID_SM2_SM3, "1.2.156.10197.1.301", "1.2.156.10197.1.301.1"})

_SIGNED_DATA: Final = frozenset({"1.2.156.10197.6.1.4.2.2", "1.2.840.113549.1.7.2"})
_DATA: Final = frozenset({"1.2.156.10197.6.1.4.2.1", "1.2.840.113549.1.7.1"})
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_EXPLICIT_0: Final = 0xA0
_IMPLICIT_1: Final = 0xA1
_CERTIFICATES_MAX: Final = 16
_DEPTH_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class GbSignature:
    """A SignedData with one signer. `message` is what the signature is over; None: content that did not come along.

    `bound` are the bytes in which the digest of Signature.xml must stand: the content, or the digest attribute.
    """

    certificate: Certificate
    chain: tuple[bytes, ...]  # DER
    algorithm: str  # OID
    signature: bytes
    message: bytes | None
    content: bytes | None
    attribute: bytes | None  # messageDigest, of practice (b)
    signed_at: int | None  # the signer's word


def parse_signed_data(data: bytes) -> GbSignature:
    """Read a signature value. Raises OfdSignatureError; a bare signature without certificate is none."""
    try:
        return _signed_data(der.parse_der(data, max_depth=_DEPTH_MAX))
    except (DerError, CertError) as error:
        raise OfdSignatureError(f"not a SignedData of GB/T 35275: {error}") from error


def bound_to(signature: GbSignature, raw: bytes, digest: Digest) -> bytes | None:
    """The bytes the signature must be over if it is this Signature.xml's; None if it is another's."""
    want = digest(raw)
    spellings = (want, base64.b64encode(want), raw)
    if signature.attribute is not None:
        if signature.content is not None and signature.content not in spellings:
            return None
        fitting = {want} if signature.content is None else {want, digest(signature.content)}
        return signature.message if signature.attribute in fitting else None
    if signature.content is None:
        return want
    return signature.content if signature.content in spellings else None


def _signed_data(node: Node) -> GbSignature:
    kind, wrapped = _parts(node, 2)
    if der.read_oid(kind) not in _SIGNED_DATA:
        raise OfdSignatureError("a content that is not SignedData")
    (body,) = _parts(der.expect(wrapped, _EXPLICIT_0), 1)
    fields = list(der.expect(body, der.SEQUENCE).children())
    if len(fields) < 4:
        raise OfdSignatureError("a SignedData that is cut off")
    der.read_integer(fields[0])
    der.expect(fields[1], der.SET)
    content = _content(fields[2])
    certificates = _certificates(fields[3])
    rest = [item for item in fields[4:] if item.tag != _IMPLICIT_1]  # revocation lists
    if len(rest) != 1:
        raise OfdSignatureError("a SignedData with other parts than expected")
    signers = der.expect(rest[0], der.SET).children()
    if len(signers) != 1:
        raise OfdSignatureError(f"{len(signers)} signers where there must be one")
    return _signer(signers[0], content, certificates)


def _content(node: Node) -> bytes | None:
    parts = der.expect(node, der.SEQUENCE).children()
    if not 1 <= len(parts) <= 2 or der.read_oid(parts[0]) not in _DATA:
        raise OfdSignatureError("a content of another kind than data")
    if len(parts) == 1:
        return None
    (inner,) = _parts(der.expect(parts[1], _EXPLICIT_0), 1)
    return der.read_octets(inner)


def _certificates(node: Node) -> tuple[Certificate, ...]:
    items = der.expect(node, _EXPLICIT_0).children()
    if not 1 <= len(items) <= _CERTIFICATES_MAX:
        raise OfdSignatureError(f"{len(items)} certificates")
    return tuple(parse_certificate(item.raw()) for item in items)


def _signer(node: Node, content: bytes | None, certificates: tuple[Certificate, ...]) -> GbSignature:
    fields = list(der.expect(node, der.SEQUENCE).children())
    if len(fields) < 5:
        raise OfdSignatureError("a signer that is cut off")
    issuer, serial = _parts(fields[1], 2)
    named = issuer.raw(), der.read_integer(serial)
    mine = [item for item in certificates if (item.issuer, item.serial) == named]
    if not mine:
        raise OfdSignatureError("the signer's certificate did not come along")
    attributes = fields.pop(3) if fields[3].tag == _EXPLICIT_0 else None
    if len(fields) < 5 or any(item.tag != _IMPLICIT_1 for item in fields[5:]):
        raise OfdSignatureError("a signer with other parts than expected")
    algorithm = _algorithm(fields[3])
    message, attribute, signed_at = (content, None, None) if attributes is None else _attributes(attributes)
    return GbSignature(
        certificate=mine[0],
        chain=tuple(item.der for item in certificates if item != mine[0]),
        algorithm=OID_SM2_SM3 if algorithm in SM2_NAMES else algorithm,
        signature=der.read_octets(fields[4]),
        message=message,
        content=content,
        attribute=attribute,
        signed_at=signed_at,
    )


def _algorithm(node: Node) -> str:
    parts = der.expect(node, der.SEQUENCE).children()
    if not 1 <= len(parts) <= 2:
        raise OfdSignatureError("an algorithm that cannot be read")
    return der.read_oid(parts[0])


def _attributes(node: Node) -> tuple[bytes, bytes, int | None]:
    """The SET that was signed, the digest attribute, the time."""
    found: dict[str, Node] = {}
    for item in node.children():
        name, values = _parts(item, 2)
        (value,) = _parts(der.expect(values, der.SET), 1)
        if found.setdefault(der.read_oid(name), value) is not value:
            raise OfdSignatureError("a signed attribute given twice")
    if _MESSAGE_DIGEST not in found or (_CONTENT_TYPE in found and der.read_oid(found[_CONTENT_TYPE]) not in _DATA):
        raise OfdSignatureError("signed attributes without the digest of data")
    signed_at = der.read_time(found[_SIGNING_TIME]) if _SIGNING_TIME in found else None
    return der.der_tlv(der.SET, node.content()), der.read_octets(found[_MESSAGE_DIGEST]), signed_at


def _parts(node: Node, count: int) -> tuple[Node, ...]:
    found = node.children()
    if len(found) != count:
        raise OfdSignatureError(f"{len(found)} parts where there must be {count}")
    return found
