"""Holders who sign applications: an authority of personal certificates, its certificates, signed PDFs and signatures.

Written by hand from RFC 5280, RFC 5652 and ISO 32000-1, without the product's own writers of CMS and PDF; the product
only lends DER and the keys. Everything that a signer could do otherwise can be done otherwise here.
"""

import datetime
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from office import DAY, NOW

from mingzheng.formats.civil import day_start
from mingzheng.keys import der
from mingzheng.keys.certmake import der_algorithm
from mingzheng.keys.sealkey import SealAlg, SealPrivate, parse_seal_private, sm2_seal_private
from mingzheng.keys.sm3 import sm3

SIGNED_AT = NOW - 3_600
FIRST, LAST = day_start(DAY - 300), day_start(DAY + 300)
NAME = "王乙明"  # of `office.person(1)`
ID_NUMBER = "110101198503030011"
CODE = "1.2.156.10260.4.1.1"
DATA = "1.2.840.113549.1.7.1"
SIGN_USAGE, CA_BITS, NO_USAGE = b"\x06\xc0", b"\x01\x06", b"\x05\x20"  # digitalSignature+nonRepudiation; CA; encipher
SIGNING_CA_BITS = b"\x01\x86"  # digitalSignature, keyCertSign, cRLSign
_HASHES: Mapping[str, tuple[str, Callable[[bytes], bytes]]] = {
    "sha256": ("2.16.840.1.101.3.4.2.1", lambda data: hashlib.sha256(data).digest()),
    "sm3": ("1.2.156.10197.1.401", sm3),
}
_HOLE = 16_000  # hexadecimal digits


@cache
def key(name: str, alg: SealAlg) -> SealPrivate:
    """A key that follows from its name (RSA ones are made anew in every run)."""
    scalar = hashlib.sha256(f"holder {name}".encode()).digest()
    if alg is SealAlg.SM2:
        return sm2_seal_private(scalar)
    made: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if alg is SealAlg.RSA:
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        made = ec.derive_private_key(int.from_bytes(scalar) >> 1, ec.SECP256R1())
    return parse_seal_private(made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), alg=alg)


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A key with its certificate."""

    private: SealPrivate
    certificate: bytes
    chain: tuple[bytes, ...] = ()


class HolderCa:
    """An authority of personal certificates."""

    def __init__(self, name: str = "示例个人证书颁发机构", alg: SealAlg = SealAlg.P256) -> None:
        self.name, self.private = name, key(name, alg)
        self.root = self._make(der_name(name), self.private.spki, 1, (True, CA_BITS))

    def holder(
        self,
        name: str = NAME,
        *,
        alg: SealAlg = SealAlg.P256,
        number: str | None = None,
        code: bytes | None = None,
        days: tuple[int, int] = (FIRST, LAST),
        usage: bytes | None = SIGN_USAGE,
        ca: bool = False,
    ) -> Holder:
        """A person's certificate. `number`: serialNumber of the subject; `code`: DER of the identity code."""
        private = key(name, alg)
        more = b"" if code is None else der.der_sequence(der.der_oid(CODE), der.der_octets(code))
        subject = der_name(name, number)
        serial = int.from_bytes(hashlib.sha256(subject + private.spki + more).digest()[:8]) | 1
        made = self._make(subject, private.spki, serial, (ca, SIGNING_CA_BITS if ca else usage), days=days, more=more)
        return Holder(private=private, certificate=made)

    def _make(
        self,
        subject: bytes,
        spki: bytes,
        serial: int,
        may: tuple[bool, bytes | None],
        *,
        days: tuple[int, int] = (FIRST - 86_400, LAST + 86_400),
        more: bytes = b"",
    ) -> bytes:
        ca, usage = may
        basic = der.der_sequence(der.der_bool(True)) if ca else der.der_sequence()
        extensions = _extension("2.5.29.19", basic)
        if usage is not None:
            extensions += _extension("2.5.29.15", der.der_tlv(der.BIT_STRING, usage))
        algorithm = der_algorithm(self.private.alg)
        tbs = der.der_sequence(
            der.der_explicit(0, der.der_integer(2)),
            der.der_integer(serial),
            algorithm,
            der_name(self.name),
            der.der_sequence(*map(der.der_utctime, days)),
            subject,
            spki,
            der.der_explicit(3, der.der_sequence(extensions, more)),
        )
        return der.der_sequence(tbs, algorithm, der.der_bits(self.private.sign(tbs)))


def der_name(common_name: str, number: str | None = None) -> bytes:
    parts = [("2.5.4.6", der.der_printable("CN")), ("2.5.4.3", der.der_utf8(common_name))]
    if number is not None:
        parts.append(("2.5.4.5", der.der_printable(number)))
    return der.der_sequence(*(der.der_set(der.der_sequence(der.der_oid(oid), value)) for oid, value in parts))


def _extension(oid: str, value: bytes) -> bytes:
    return der.der_sequence(der.der_oid(oid), der.der_bool(True), der.der_octets(value))


def attribute(oid: str, value: bytes) -> bytes:
    return der.der_sequence(der.der_oid(oid), der.der_set(value))


def sign(
    holder: Holder,
    content: bytes,
    *,
    signed_at: int | None = None,
    names: bytes | None = None,
    unsigned: bytes = b"",
) -> bytes:
    """A detached CMS over the content. `names`: the certificate that it says it is signed with."""
    oid, digest = _HASHES["sm3" if holder.private.alg is SealAlg.SM2 else "sha256"]
    hashing = der.der_sequence(der.der_oid(oid))
    entry = der.der_sequence(hashing, der.der_octets(digest(names or holder.certificate)))
    attributes = [
        attribute("1.2.840.113549.1.9.3", der.der_oid(DATA)),
        attribute("1.2.840.113549.1.9.4", der.der_octets(digest(content))),
        attribute("1.2.840.113549.1.9.16.2.47", der.der_sequence(der.der_sequence(entry))),
    ]
    if signed_at is not None:
        attributes.append(attribute("1.2.840.113549.1.9.5", der.der_utctime(signed_at)))
    signed = der.der_set(*attributes)
    own = der.parse_der(holder.certificate).children()[0].children()
    info = der.der_sequence(
        der.der_integer(1),
        der.der_sequence(own[3].raw(), own[1].raw()),
        hashing,
        b"\xa0" + signed[1:],
        der_algorithm(holder.private.alg),
        der.der_octets(holder.private.sign(signed)),
        unsigned,
    )
    body = der.der_sequence(
        der.der_integer(1),
        der.der_set(hashing),
        der.der_sequence(der.der_oid(DATA)),
        der.der_tlv(0xA0, b"".join((holder.certificate, *holder.chain))),
        der.der_set(info),
    )
    return der.der_sequence(der.der_oid("1.2.840.113549.1.7.2"), der.der_explicit(0, body))


def pdf_time(at: int) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("D:%Y%m%d%H%M%SZ")


def signed_pdf(
    *holders: Holder,
    at: int = SIGNED_AT,
    text: str = "Application for exchange",
    catalogue: str = "",
    cms: Callable[[bytes], bytes] | None = None,
    leave_out: int = 0,
    subfilter: str = "ETSI.CAdES.detached",
) -> bytes:
    """A one-page application with the signature of each holder, all in one revision.

    `cms` makes something else than `sign`; the last `leave_out` bytes of the file are not covered.
    """
    fields = [4 + 2 * place for place in range(len(holders))]
    refs = " ".join(f"{number} 0 R" for number in fields)
    form = f"/AcroForm <</Fields [{refs}] /SigFlags 3>>" if holders else ""
    drawn = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
    last = 4 + 2 * len(holders)
    objects = [
        f"<</Type /Catalog /Pages 2 0 R {form} {catalogue}>>".encode(),
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        f"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Annots [{refs}] /Contents {last} 0 R "
        f"/Resources <</Font <</F1 <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>>>>>>>".encode(),
    ]
    for place, number in enumerate(fields):
        objects.append(
            f"<</Type /Annot /Subtype /Widget /FT /Sig /T (Holder{place}) /V {number + 1} 0 R /Rect [0 0 0 0] "
            f"/P 3 0 R /F 132>>".encode()
        )
        objects.append(
            b"<</Type /Sig /Filter /Adobe.PPKLite /SubFilter /%b /M (%b) /ByteRange [%-41b] /Contents <%b>>>"
            % (subfilter.encode(), pdf_time(at).encode(), b"", b"0" * _HOLE)
        )
    objects.append(b"<</Length %d>>\nstream\n%b\nendstream" % (len(drawn), drawn))
    data = lay_out(objects)
    for holder in reversed(holders):
        data = fill(data, holder, cms, leave_out)
    return data


def lay_out(objects: Sequence[bytes]) -> bytes:
    """A file of one revision with a classic table."""
    data, offsets = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start, size = len(data), len(objects) + 1
    data += b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<</Size %d /Root 1 0 R>>\n" % (size, table, size)
    return data + b"startxref\n%d\n%%%%EOF\n" % start


def fill(data: bytes, holder: Holder, cms: Callable[[bytes], bytes] | None, leave_out: int) -> bytes:
    """Sign the last empty hole."""
    start = data.rindex(b"/Contents <0000") + len(b"/Contents ")
    stop = start + _HOLE + 2
    numbers = b"0 %d %d %d" % (start, stop, len(data) - stop - leave_out)
    place = data.rindex(b"/ByteRange [", 0, start) + len(b"/ByteRange [")
    data = data[:place] + numbers.ljust(41) + data[place + 41 :]
    content = data[:start] + data[stop : len(data) - leave_out]
    made = sign(holder, content) if cms is None else cms(content)
    return data[: start + 1] + made.hex().encode().ljust(_HOLE, b"0") + data[stop - 1 :]
