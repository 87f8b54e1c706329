"""X.509 certificates of seals: read strictly, check what they signed, walk to a root.

Source: RFC 5280 §4 (fields), §6.1 (paths, without policies and name constraints), RFC 5480, RFC 8017 §8.2,
GM/T 0015-2012 (SM2 certificates), GM/T 0009-2012. The set of keys and algorithms is closed: SM2, P-256, P-384, RSA of
2,048 to 8,192 bits. Time is given by the caller. Left out on purpose: versions 1 and 2, revocation lists (the trust
data says what is revoked), name constraints (critical ones are refused like every unknown critical extension).
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mingzheng.keys import der
from mingzheng.keys.der import Node
from mingzheng.keys.errors import (
    BadSpkiError,
    CertAlgorithmError,
    CertExtensionError,
    CertKeyError,
    CertMalformedError,
    CertSignatureError,
    DerError,
)
from mingzheng.keys.sm2 import (
    OID_EC_PUBLIC_KEY,
    OID_SM2_CURVE,
    OID_SM2_SM3,
    check_point,
    signature_from_der,
    sm2_verify,
)

MAX_BYTES: Final = 65536
MAX_TEXT: Final = 200
MAX_PATH: Final = 6
MAX_PATHS: Final = 16
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192

OID_ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"
OID_ECDSA_SHA384: Final = "1.2.840.10045.4.3.3"
OID_RSA: Final = "1.2.840.113549.1.1.1"
OID_RSA_SHA256: Final = "1.2.840.113549.1.1.11"
OID_RSA_SHA384: Final = "1.2.840.113549.1.1.12"
OID_RSA_SHA512: Final = "1.2.840.113549.1.1.13"
OID_P256: Final = "1.2.840.10045.3.1.7"
OID_P384: Final = "1.3.132.0.34"

OID_SKI: Final = "2.5.29.14"
OID_KEY_USAGE: Final = "2.5.29.15"
OID_BASIC_CONSTRAINTS: Final = "2.5.29.19"
OID_AKI: Final = "2.5.29.35"
# Extensions that may be critical and ask nothing of a seal: other names, policies, extended key usage.
_HARMLESS: Final = frozenset({"2.5.29.17", "2.5.29.32", "2.5.29.37"})

# RFC 5280 §4.2.1.3, bit 0 first.
KEY_USAGES: Final = (
    *("digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement"),
    *("keyCertSign", "cRLSign", "encipherOnly", "decipherOnly"),
)
_SIGNING: Final = frozenset({"digitalSignature", "nonRepudiation"})
_HASHES: Final = {OID_RSA_SHA256: hashes.SHA256(), OID_RSA_SHA384: hashes.SHA384(), OID_RSA_SHA512: hashes.SHA512()}
_SHORT_NAMES: Final = {
    "2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "1.2.840.113549.1.9.1": "E",
}  # fmt: skip
_TEXT_CODECS: Final = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii",
                       0x1C: "utf-32-be", 0x1E: "utf-16-be"}  # fmt: skip

_Loaded = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | bytes


class CertAlg(StrEnum):
    """What kind of key a certificate certifies."""

    SM2 = "sm2"
    P256 = "p256"
    P384 = "p384"
    RSA = "rsa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An X.509 certificate, well-formed; nothing about it is proven. Only `parse_certificate` makes it.

    `subject`, `issuer`: DER of the Names. `subject_text`: for people, at most 200 printable characters. Times are unix
    seconds, both borders inside. `key_usage`: None when the certificate does not say.
    """

    der: bytes = field(repr=False)
    sha256: bytes = field(compare=False)
    subject: bytes = field(compare=False, repr=False)
    subject_text: str = field(compare=False, repr=False)
    issuer: bytes = field(compare=False, repr=False)
    serial: int = field(compare=False)
    not_before: int = field(compare=False)
    not_after: int = field(compare=False)
    spki: bytes = field(compare=False, repr=False)
    key_alg: CertAlg = field(compare=False)
    key_usage: frozenset[str] | None = field(compare=False)
    is_ca: bool = field(compare=False)
    path_len: int | None = field(compare=False)
    ski: bytes | None = field(compare=False)
    aki: bytes | None = field(compare=False)
    tbs: bytes = field(compare=False, repr=False)
    algorithm_oid: str = field(compare=False)
    signature: bytes = field(compare=False, repr=False)

    def valid_at(self, at: int) -> bool:
        """Is that second inside the validity?"""
        return self.not_before <= at <= self.not_after


def parse_certificate(data: bytes) -> Certificate:
    """Read one certificate. Cost: about 0.3 ms.

    Raises CertMalformedError, CertKeyError (a key outside the closed set, off its curve or weak), CertExtensionError.
    """
    try:
        return _certificate(bytes(data))
    except DerError as error:
        raise CertMalformedError(f"certificate: {error}") from error


def verify_signed(signer: Certificate | bytes, *, algorithm_oid: str, message: bytes, signature: bytes) -> None:
    """Check that the key of a certificate (or DER SubjectPublicKeyInfo) signed `message`.

    SM2 with SM3 (user id 1234567812345678) and ECDSA: DER SEQUENCE {r, s}; RSA: PKCS #1 v1.5. Raises
    CertAlgorithmError for an algorithm outside the set or of another key, CertSignatureError, CertKeyError.
    """
    alg, key = _load(signer.spki if isinstance(signer, Certificate) else bytes(signer))
    if algorithm_oid not in _FITTING[alg]:
        raise CertAlgorithmError(f"algorithm {algorithm_oid[:80]} does not fit a key of kind {alg}")
    try:
        if isinstance(key, bytes):
            good = sm2_verify(key, message, signature_from_der(signature))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), _HASHES[algorithm_oid])
            good = True
        else:
            key.verify(signature, message, ec.ECDSA(hashes.SHA256() if alg is CertAlg.P256 else hashes.SHA384()))
            good = True
    except (InvalidSignature, DerError):
        good = False
    if not good:
        raise CertSignatureError("signature does not verify under the certificate's key")


def may_sign(certificate: Certificate) -> bool:
    """May its key sign documents: key usage digitalSignature or nonRepudiation? One that does not say, may not."""
    return bool(_SIGNING & (certificate.key_usage or frozenset()))


def check_chain(
    certificate: Certificate, *, pool: Iterable[Certificate], roots: Iterable[Certificate], at: int
) -> tuple[str, ...]:
    """The faults of the best path from `certificate` over `pool` to one of `roots`; empty when there is a good one.

    Codes: chain.no_root, chain.signature, chain.not_ca, chain.key_usage, chain.path_length, chain.not_yet_valid,
    chain.expired (each of any certificate of the path, the root's included, at the second `at`). A certificate that
    is itself one of the roots is a path of one. At most 6 certificates long, at most 16 paths are tried.
    """
    anchors = {root.sha256: root for root in roots}
    between = {other.sha256: other for other in pool} | anchors
    best: tuple[str, ...] = ("chain.no_root",)
    for number, path in enumerate(_paths((certificate,), tuple(between.values()), frozenset(anchors))):
        if number == MAX_PATHS:
            break
        faults = _path_faults(path, at)
        if not faults:
            return ()
        if best == ("chain.no_root",) or len(faults) < len(best):
            best = faults
    return best


def key_bits(spki: bytes) -> bytes:
    """The content of the BIT STRING of a SubjectPublicKeyInfo: what key identifiers are made from."""
    return der.read_bits(der.expect(der.parse_der(spki, max_bytes=MAX_BYTES), der.SEQUENCE).children()[1])


def key_alg_of(spki: bytes) -> CertAlg:
    """The kind of key; raises CertKeyError, CertMalformedError."""
    return _load(spki)[0]


_FITTING: Final = {
    CertAlg.SM2: frozenset({OID_SM2_SM3}),
    CertAlg.P256: frozenset({OID_ECDSA_SHA256}),
    CertAlg.P384: frozenset({OID_ECDSA_SHA384}),
    CertAlg.RSA: frozenset(_HASHES),
}


def _certificate(data: bytes) -> Certificate:
    top = der.expect(der.parse_der(data, max_bytes=MAX_BYTES), der.SEQUENCE)
    tbs, algorithm, signature = _parts(top, 3)
    fields = der.expect(tbs, der.SEQUENCE).children()
    if len(fields) < 7 or fields[0].tag != 0xA0 or [der.read_integer(n) for n in fields[0].children()] != [2]:
        raise CertMalformedError("not a certificate of version 3")
    serial, inner, issuer, validity, subject, spki = fields[1:7]
    if inner.raw() != algorithm.raw():
        raise CertMalformedError("two different signature algorithms")
    not_before, not_after = (der.read_time(node) for node in _parts(validity, 2))
    number = der.read_integer(serial)
    if not 0 < number < 1 << 168 or not_before > not_after or not issuer.children():
        raise CertMalformedError("serial number, validity or issuer out of range")
    der.expect(issuer, der.SEQUENCE)
    extensions = _extensions(fields[7:])
    is_ca, path_len = _basic_constraints(extensions.get(OID_BASIC_CONSTRAINTS))
    return Certificate(
        der=data,
        sha256=hashlib.sha256(data).digest(),
        subject=subject.raw(),
        subject_text=_name_text(subject),
        issuer=issuer.raw(),
        serial=number,
        not_before=not_before,
        not_after=not_after,
        spki=spki.raw(),
        key_alg=_load(spki.raw())[0],
        key_usage=_key_usage(extensions.get(OID_KEY_USAGE)),
        is_ca=is_ca,
        path_len=path_len,
        ski=der.read_octets(extensions[OID_SKI]) if OID_SKI in extensions else None,
        aki=_authority_key(extensions.get(OID_AKI)),
        tbs=tbs.raw(),
        algorithm_oid=_algorithm(algorithm),
        signature=der.read_bits(signature),
    )


def _parts(node: Node, count: int) -> tuple[Node, ...]:
    parts = der.expect(node, der.SEQUENCE).children()
    if len(parts) != count:
        raise CertMalformedError(f"offset {node.start}: {len(parts)} parts, expected {count}")
    return parts


def _algorithm(node: Node) -> str:
    """The OID of an AlgorithmIdentifier whose parameters are absent or NULL."""
    parts = der.expect(node, der.SEQUENCE).children()
    if not 1 <= len(parts) <= 2:
        raise CertMalformedError(f"offset {node.start}: no algorithm identifier")
    if len(parts) == 2:
        der.read_null(parts[1])
    return der.read_oid(parts[0])


def _extensions(fields: tuple[Node, ...]) -> dict[str, Node]:
    """The known extensions by OID, parsed one level; everything else must not be critical."""
    found: dict[str, Node] = {}
    seen: set[str] = set()
    tags = [node.tag for node in fields]
    if tags not in ([], [0xA3]):
        raise CertMalformedError("something other than extensions after the public key")
    for holder in fields:
        (sequence,) = holder.children() if len(holder.children()) == 1 else (holder,)
        for item in der.expect(sequence, der.SEQUENCE).children():
            parts = der.expect(item, der.SEQUENCE).children()
            if not 2 <= len(parts) <= 3:
                raise CertMalformedError(f"offset {item.start}: no extension")
            oid, critical = der.read_oid(parts[0]), len(parts) == 3 and der.read_bool(parts[1])
            value = der.read_octets(parts[-1])
            if oid in seen:
                raise CertMalformedError(f"extension {oid} twice")
            seen.add(oid)
            if oid in (OID_SKI, OID_KEY_USAGE, OID_BASIC_CONSTRAINTS, OID_AKI):
                found[oid] = der.parse_der(value)
            elif critical and oid not in _HARMLESS:
                raise CertExtensionError(f"critical extension {oid} is not known here")
    return found


def _basic_constraints(node: Node | None) -> tuple[bool, int | None]:
    if node is None:
        return False, None
    parts = list(der.expect(node, der.SEQUENCE).children())
    is_ca = bool(parts) and parts[0].tag == der.BOOLEAN and der.read_bool(parts.pop(0))
    path_len = der.read_integer(parts.pop(0)) if parts else None
    if parts or (path_len is not None and (path_len < 0 or not is_ca)):
        raise CertMalformedError("basic constraints that mean nothing")
    return is_ca, path_len


def _key_usage(node: Node | None) -> frozenset[str] | None:
    if node is None:
        return None
    unused, body = der.read_named_bits(node)
    bits = int.from_bytes(body) >> unused
    count = 8 * len(body) - unused
    if not bits or count > len(KEY_USAGES):
        raise CertMalformedError("key usage that means nothing")
    return frozenset(name for i, name in enumerate(KEY_USAGES[:count]) if bits >> count - 1 - i & 1)


def _authority_key(node: Node | None) -> bytes | None:
    parts = () if node is None else der.expect(node, der.SEQUENCE).children()
    return parts[0].content() if parts and parts[0].tag == 0x80 else None


def _name_text(name: Node) -> str:
    """The attributes of a Name in their order: "C=CN, O=…, CN=…"."""
    texts = []
    for rdn in der.expect(name, der.SEQUENCE).children():
        for pair in der.expect(rdn, der.SET).children():
            kind, value = _parts(pair, 2)
            oid = der.read_oid(kind)
            codec = _TEXT_CODECS.get(value.tag, "latin-1")
            text = value.content().decode(codec, "replace")
            texts.append(f"{_SHORT_NAMES.get(oid, oid)}={text}")
    joined = ", ".join(texts)[:MAX_TEXT]
    return "".join("\ufffd" if unicodedata.category(char)[0] == "C" else char for char in joined)


@lru_cache(maxsize=256)
def _load(spki: bytes) -> tuple[CertAlg, _Loaded]:
    """The key of a SubjectPublicKeyInfo; of SM2, its point."""
    try:
        return _read_spki(spki)
    except DerError as error:
        raise CertMalformedError(f"public key: {error}") from error
    except (BadSpkiError, ValueError) as error:
        raise CertKeyError("public key is not on its curve or out of range") from error


def _read_spki(spki: bytes) -> tuple[CertAlg, _Loaded]:
    algorithm, bits = _parts(der.parse_der(spki, max_bytes=MAX_BYTES), 2)
    body, parts = der.read_bits(bits), der.expect(algorithm, der.SEQUENCE).children()
    if len(parts) != 2:
        raise CertKeyError("public key without parameters")
    oid = der.read_oid(parts[0])
    if oid == OID_RSA:
        der.read_null(parts[1])
        return CertAlg.RSA, _read_rsa(body)
    if oid != OID_EC_PUBLIC_KEY or parts[1].tag != der.OID or body[:1] != b"\x04":
        raise CertKeyError("public key is neither RSA nor an uncompressed point of a named curve")
    curve = der.read_oid(parts[1])
    if curve == OID_SM2_CURVE:
        check_point(body)
        return CertAlg.SM2, body
    if curve == OID_P256:
        return CertAlg.P256, ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), body)
    if curve == OID_P384:
        return CertAlg.P384, ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), body)
    raise CertKeyError(f"public key of kind {curve} is not read here")


def _read_rsa(body: bytes) -> rsa.RSAPublicKey:
    modulus, exponent = (der.read_integer(part) for part in _parts(der.parse_der(body), 2))
    good_size = modulus > 0 and MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS
    if not good_size or not 65537 <= exponent < 1 << 32:
        raise CertKeyError(f"RSA key of {modulus.bit_length()} bits or a small exponent")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _paths(
    path: tuple[Certificate, ...], between: tuple[Certificate, ...], anchors: frozenset[bytes]
) -> Iterator[tuple[Certificate, ...]]:
    """Every way from the last certificate of `path` up to a root, by names and key identifiers."""
    last = path[-1]
    if last.sha256 in anchors:
        yield path
    elif len(path) < MAX_PATH:
        taken = {certificate.sha256 for certificate in path}
        for other in between:
            named = other.subject == last.issuer and (None in (last.aki, other.ski) or last.aki == other.ski)
            if named and other.sha256 not in taken:
                yield from _paths((*path, other), between, anchors)


def _path_faults(path: tuple[Certificate, ...], at: int) -> tuple[str, ...]:
    """RFC 5280 §6.1.3 (a) and §6.1.4 (k) to (n), from the end certificate up."""
    faults: set[str] = set()
    for certificate in path:
        if at < certificate.not_before:
            faults.add("chain.not_yet_valid")
        if at > certificate.not_after:
            faults.add("chain.expired")
    for below, (child, parent) in enumerate(pairwise(path)):
        try:
            verify_signed(parent, algorithm_oid=child.algorithm_oid, message=child.tbs, signature=child.signature)
        except (CertSignatureError, CertAlgorithmError):
            faults.add("chain.signature")
        if not parent.is_ca:
            faults.add("chain.not_ca")
        if "keyCertSign" not in (parent.key_usage or ()):
            faults.add("chain.key_usage")
        if parent.path_len is not None and parent.path_len < below:
            faults.add("chain.path_length")
    return tuple(sorted(faults))
