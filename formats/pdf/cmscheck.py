"""The signature inside a PDF seal: CMS SignedData, read strictly and checked against a digest.

Specs: RFC 5652 (CMS), RFC 5035 (signing-certificate-v2), RFC 6211 (algorithm protection), RFC 3161 (time
stamps), ETSI EN 319 122-1 and 319 142-1 (CAdES in PAdES). One signer, detached, SHA-256, P-256 or RSA; the
signer's certificate inside and named by a signed attribute; other certificates only if they are its issuers;
unsigned attributes: a time stamp or none. The time stamp's own signature is checked, whether its maker is
trusted is not: so its time counts only near the time the signer gave (the caller's check). Pure.

A holder's signature on an application (`check_holder_cms`) is read by the same rules and may be made with more: P-384,
SHA-384 and SHA-512, and SM2 with SM3 (GM/T 0009-2012) under the same object identifiers of CMS. Left out: the
identifiers of GM/T 0010 for the envelope itself, and signatures that do not name their certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mingzheng.keys import der
from mingzheng.keys.errors import CertAlgorithmError, KeysError
from mingzheng.keys.sm2 import OID_SM2_SM3
from mingzheng.keys.sm3 import sm3
from mingzheng.keys.x509 import CertAlg, Certificate, parse_certificate, verify_signed

__all__ = ["CmsOutcome", "check_cms", "check_holder_cms", "check_stamp", "hash_of"]

_DATA: Final = "1.2.840.113549.1.7.1"
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_STAMP_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_PROTECTION: Final = "1.2.840.113549.1.9.52"
_CERTIFICATE_V1: Final = "1.2.840.113549.1.9.16.2.12"
_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_STAMP: Final = "1.2.840.113549.1.9.16.2.14"
_HASHES: Final[Mapping[str, str]] = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_HOLDER_HASHES: Final[Mapping[str, str]] = {**_HASHES, "1.2.156.10197.1.401": "sm3"}
_RSA: Final = "1.2.840.113549.1.1.1"  # rsaEncryption: the hash is the one of the digest (RFC 3370 §3.2)
_RSA_WITH: Final[Mapping[str, str]] = {
    "sha256": "1.2.840.113549.1.1.11",
    "sha384": "1.2.840.113549.1.1.12",
    "sha512": "1.2.840.113549.1.1.13",
}
_ECDSA_WITH: Final[Mapping[str, str]] = {"sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3"}
_SM2_WITH: Final[Mapping[str, str]] = {"sm3": OID_SM2_SM3}
_WITH: Final = {CertAlg.RSA: _RSA_WITH, CertAlg.P256: _ECDSA_WITH, CertAlg.P384: _ECDSA_WITH, CertAlg.SM2: _SM2_WITH}
_NULL_ALLOWED: Final = frozenset({CertAlg.RSA, CertAlg.SM2})
_CERTIFICATES_MAX: Final = 8
_CMS_BYTES_MAX: Final = 64 * 1024
_CMS_DEPTH_MAX: Final = 40  # a time stamp inside adds twenty
_CERTIFICATES: Final = 0xA0
_SIGNED_ATTRIBUTES: Final = 0xA0
_UNSIGNED_ATTRIBUTES: Final = 0xA1
_EXPLICIT: Final = 0xA0
_DIRECTORY_NAME: Final = 0xA4


@dataclass(frozen=True, slots=True, kw_only=True)
class CmsOutcome:
    """What a signature says; no faults: its value, attributes and digest hold. Trust is judged elsewhere.

    `statement`: SHA-256 of what the key signed. It stays the same whatever is done to the rest of the CMS: padding,
    certificates, a time stamp, another spelling of the same signature.
    """

    certificate: bytes
    chain: tuple[bytes, ...]
    stamped_at: int | None  # unix seconds, of a time stamp that holds
    faults: tuple[str, ...]
    signed_at: int | None = None  # by the signed attribute, if there is one
    statement: bytes = b""


class _Refused(Exception):
    """A check that failed, with the code of its fault."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """A SignedData with its one SignerInfo, read but not checked."""

    content_type: str
    content: bytes | None
    certificates: tuple[bytes, ...]
    issuer: bytes
    serial: int
    hash_name: str
    hash_raw: bytes
    algorithm: der.Node
    attributes: Mapping[str, der.Node]
    message: bytes  # the signed attributes as they are signed
    signature: bytes
    unsigned: Mapping[str, der.Node]


def check_cms(data: bytes, *, digest: bytes) -> CmsOutcome:
    """Check a seal's CMS over content with this SHA-256. Never raises: the first fault ends the check.

    Faults: seal.cms (bytes or structure), seal.algorithm, seal.attributes, seal.certificate, seal.chain,
    file.digest, seal.signature, seal.timestamp.
    """
    return _check(data, lambda _name: digest, holder=False)


def check_holder_cms(data: bytes, *, digest: Callable[[str], bytes]) -> CmsOutcome:
    """The same for a holder's signature; `digest` hashes the content (sha256, sha384, sha512, sm3: see `hash_of`)."""
    return _check(data, digest, holder=True)


def hash_of(name: str, data: bytes) -> bytes:
    """A digest by the name the checks use."""
    return sm3(data) if name == "sm3" else hashlib.new(name, data).digest()


def _check(data: bytes, digest: Callable[[str], bytes], *, holder: bool) -> CmsOutcome:
    certificate, statement = b"", b""
    chain: tuple[bytes, ...] = ()
    stamped_at = signed_at = None
    faults: tuple[str, ...] = ()
    try:
        signed = _read(data, _HOLDER_HASHES if holder else _HASHES)
        signer, others = _signer(signed)
        certificate, chain = signer.der, tuple(other.der for other in others)
        _check_detached(signed, signer, digest, holder=holder)
        _check_signature(signed, signer)
        _check_chain(signer, others)
        stamped_at = _stamped_at(signed)
        statement = hashlib.sha256(signed.message).digest()
        if _SIGNING_TIME in signed.attributes:
            signed_at = der.read_time(signed.attributes[_SIGNING_TIME])
    except _Refused as refused:
        faults = (refused.fault,)
    except (KeysError, IndexError):
        faults = ("seal.cms",)
    return CmsOutcome(
        certificate=certificate,
        chain=chain,
        stamped_at=stamped_at,
        faults=faults,
        signed_at=signed_at,
        statement=statement,
    )


def check_stamp(data: bytes, *, digest: Callable[[str], bytes]) -> int | None:
    """The time of a time stamp over a file (RFC 3161) or None if it does not hold; `digest` hashes the file."""
    try:
        return _check_stamp(_read(data, _HASHES), digest)
    except (_Refused, KeysError, IndexError):
        return None


def _check_detached(signed: _Signed, signer: Certificate, digest: Callable[[str], bytes], *, holder: bool) -> None:
    """What is asked of a seal, or of a holder's signature, beyond a good signature."""
    if signed.content_type != _DATA or signed.content is not None:
        raise _Refused("seal.cms")
    if not holder and (signed.hash_name != "sha256" or signer.key_alg not in (CertAlg.P256, CertAlg.RSA)):
        raise _Refused("seal.algorithm")
    _check_attributes(signed, signer, versions=(_CERTIFICATE_V2,))
    if der.read_octets(signed.attributes[_DIGEST]) != digest(signed.hash_name):
        raise _Refused("file.digest")


def _read(data: bytes, hashes: Mapping[str, str]) -> _Signed:
    """ContentInfo and SignedData (RFC 5652 §3, §5.1); certificates are cut out unread, `_signer` reads them once."""
    if len(data) > _CMS_BYTES_MAX:
        raise _Refused("seal.cms")
    kind, wrapped = _inside(data, der.SEQUENCE, 2)
    if der.read_oid(der.parse_der(kind)) != _SIGNED_DATA:
        raise _Refused("seal.cms")
    parts = _inside(_inside(wrapped, _EXPLICIT, 1)[0], der.SEQUENCE)
    if not 4 <= len(parts) <= 5:
        raise _Refused("seal.cms")  # revocation lists, or nobody signed
    version, digests, content = (der.parse_der(part) for part in parts[:3])
    infos = _sequence(_only(der.expect(der.parse_der(parts[-1], max_depth=_CMS_DEPTH_MAX), der.SET)))
    held = _sequence(content)
    content_type = der.read_oid(held[0])
    if der.read_integer(version) != (1 if content_type == _DATA else 3) or len(held) > 2:
        raise _Refused("seal.cms")
    if len(parts) == 4 or parts[3][0] != _CERTIFICATES:
        raise _Refused("seal.certificate" if len(parts) == 4 else "seal.cms")
    certificates = _inside(parts[3], _CERTIFICATES)
    if not 1 <= len(certificates) <= _CERTIFICATES_MAX:
        raise _Refused("seal.certificate")
    if not 6 <= len(infos) <= 7 or der.read_integer(infos[0]) != 1:
        raise _Refused("seal.cms")
    hash_name = _hash_name(infos[2], hashes)
    if _hash_name(_only(der.expect(digests, der.SET)), hashes) != hash_name:
        raise _Refused("seal.cms")
    inside = der.read_octets(_only(der.expect(held[1], _EXPLICIT))) if len(held) == 2 else None
    return _signer_info(infos, hash_name, (content_type, inside), certificates)


def _inside(data: bytes, tag: int, count: int | None = None) -> tuple[bytes, ...]:
    """The values inside the one constructed value that `data` is, each as it stands, none of them read."""
    place, end = _header(data, 0, len(data))
    if data[0] != tag or end != len(data):
        raise _Refused("seal.cms")
    found = []
    while place < end:
        _, stop = _header(data, place, end)
        found.append(data[place:stop])
        place = stop
    if count is not None and len(found) != count:
        raise _Refused("seal.cms")
    return tuple(found)


def _header(data: bytes, place: int, end: int) -> tuple[int, int]:
    """Where the content of the value at `place` begins and ends; lengths in their shortest form (X.690 §10.1)."""
    first = data[place + 1]
    begin, size = place + 2, first
    if first >= 0x80:
        begin += first & 0x7F
        size = int.from_bytes(data[place + 2 : begin])
        if not 1 <= first & 0x7F <= 4 or size < 0x80 or size < 1 << 8 * (begin - place - 3):
            raise _Refused("seal.cms")
    if begin + size > end:
        raise _Refused("seal.cms")
    return begin, begin + size


def _signer_info(
    info: Sequence[der.Node], hash_name: str, content: tuple[str, bytes | None], certificates: tuple[bytes, ...]
) -> _Signed:
    """SignerInfo (RFC 5652 §5.3): named by issuer and serial, with signed attributes."""
    issuer, serial = _sequence(info[1], 2)
    if info[3].tag != _SIGNED_ATTRIBUTES:
        raise _Refused("seal.attributes")
    unsigned: Mapping[str, der.Node] = {}
    if len(info) == 7:
        unsigned = _attributes(der.expect(info[6], _UNSIGNED_ATTRIBUTES))
        if not unsigned:
            raise _Refused("seal.cms")
    return _Signed(
        content_type=content[0],
        content=content[1],
        certificates=certificates,
        issuer=der.expect(issuer, der.SEQUENCE).raw(),
        serial=der.read_integer(serial),
        hash_name=hash_name,
        hash_raw=info[2].raw(),
        algorithm=info[4],
        attributes=_attributes(info[3]),
        message=bytes([der.SET]) + info[3].raw()[1:],
        signature=der.read_octets(info[5]),
        unsigned=unsigned,
    )


def _attributes(node: der.Node) -> Mapping[str, der.Node]:
    """Attributes with one value each, none twice, in the order of DER."""
    found: dict[str, der.Node] = {}
    raws = []
    for child in node.children():
        kind, values = _sequence(child, 2)
        name = der.read_oid(kind)
        if name in found:
            raise _Refused("seal.attributes")
        found[name] = _only(der.expect(values, der.SET))
        raws.append(child.raw())
    if raws != sorted(raws):
        raise _Refused("seal.cms")
    return found


def _signer(signed: _Signed) -> tuple[Certificate, tuple[Certificate, ...]]:
    """The certificate the signer is named by, and the others."""
    if len(set(signed.certificates)) != len(signed.certificates):
        raise _Refused("seal.certificate")
    try:
        parsed = [_certificate(raw) for raw in signed.certificates]
    except KeysError:
        raise _Refused("seal.certificate") from None
    named = [one for one in parsed if one.issuer == signed.issuer and one.serial == signed.serial]
    if len(named) != 1:
        raise _Refused("seal.certificate")
    return named[0], tuple(one for one in parsed if one is not named[0])


def _check_attributes(signed: _Signed, signer: Certificate, *, versions: tuple[str, ...]) -> None:
    """Content type, digest present, the certificate named (RFC 5035), algorithms protected (RFC 6211)."""
    attributes = signed.attributes
    if _CONTENT_TYPE not in attributes or _DIGEST not in attributes:
        raise _Refused("seal.attributes")
    if der.read_oid(attributes[_CONTENT_TYPE]) != signed.content_type:
        raise _Refused("seal.attributes")
    names = [version for version in versions if version in attributes]
    if not names:
        raise _Refused("seal.attributes")
    if not all(_names(attributes[name], signer, old=name == _CERTIFICATE_V1) for name in names):
        raise _Refused("seal.certificate")
    if _PROTECTION in attributes:
        digest, algorithm = _sequence(attributes[_PROTECTION], 2)
        same = algorithm.tag == 0xA1 and algorithm.content() == signed.algorithm.content()
        if digest.raw() != signed.hash_raw or not same:
            raise _Refused("seal.attributes")


def _names(value: der.Node, signer: Certificate, *, old: bool) -> bool:
    """Whether the attribute's first entry is the digest of this certificate, and of its issuer and serial."""
    entry = list(_sequence(_sequence(_sequence(value)[0])[0]))
    name = "sha1" if old else "sha256"
    if not old and entry[0].tag == der.SEQUENCE:
        name = _hash_name(entry.pop(0), _HOLDER_HASHES)
    found = hashlib.new(name, signer.der, usedforsecurity=False).digest() if old else hash_of(name, signer.der)
    if der.read_octets(entry[0]) != found:
        return False
    if len(entry) == 1:
        return True
    names, serial = _sequence(entry[1], 2)
    directory = _only(der.expect(names, der.SEQUENCE))
    named = directory.tag == _DIRECTORY_NAME and directory.content() == signer.issuer
    return named and der.read_integer(serial) == signer.serial


def _check_signature(signed: _Signed, signer: Certificate) -> None:
    name, *parameters = _sequence(signed.algorithm)
    algorithm = der.read_oid(name)
    if algorithm == _RSA:
        algorithm = _RSA_WITH.get(signed.hash_name, "")
    right = ([], [der.der_null()]) if signer.key_alg in _NULL_ALLOWED else ([],)
    expected = _WITH[signer.key_alg].get(signed.hash_name)
    if expected is None or algorithm != expected or [node.raw() for node in parameters] not in right:
        raise _Refused("seal.algorithm")
    try:
        verify_signed(signer, algorithm_oid=algorithm, message=signed.message, signature=signed.signature)
    except CertAlgorithmError:
        raise _Refused("seal.algorithm") from None
    except KeysError:
        raise _Refused("seal.signature") from None


def _check_chain(signer: Certificate, others: tuple[Certificate, ...]) -> None:
    """Every other certificate must be the issuer of the one before; what is left over was smuggled in.

    A root must have signed itself. Nothing here vouches for an intermediate certificate that comes without its root.
    """
    current, left = signer, list(others)
    while left:
        above = next((one for one in left if one.subject == current.issuer), None)
        if above is None or not _issued(above, current):
            raise _Refused("seal.chain")
        left.remove(above)
        current = above
    is_root = current.subject == current.issuer or (current.aki is not None and current.aki == current.ski)
    if others and is_root and not _issued(current, current):
        raise _Refused("seal.chain")


@lru_cache(maxsize=256)
def _certificate(raw: bytes) -> Certificate:
    return parse_certificate(raw)


@lru_cache(maxsize=256)
def _issued(above: Certificate, below: Certificate) -> bool:
    """Whether the signature on `below` is by the key of `above` (RFC 5280 §4.1)."""
    try:
        verify_signed(above, algorithm_oid=below.algorithm_oid, message=below.tbs, signature=below.signature)
    except KeysError:
        return False
    return True


def _stamped_at(signed: _Signed) -> int | None:
    """The time of the one time stamp there may be (RFC 3161 §2.4.2); nothing else may be unsigned."""
    if not signed.unsigned:
        return None
    if set(signed.unsigned) != {_STAMP}:
        raise _Refused("seal.cms")
    try:
        return _check_stamp(
            _read(signed.unsigned[_STAMP].raw(), _HASHES), lambda name: hashlib.new(name, signed.signature).digest()
        )
    except (_Refused, KeysError, IndexError):
        raise _Refused("seal.timestamp") from None


def _check_stamp(stamp: _Signed, digest: Callable[[str], bytes]) -> int:
    signer, others = _signer(stamp)
    if stamp.content_type != _STAMP_INFO or stamp.content is None or stamp.unsigned:
        raise _Refused("seal.timestamp")
    _check_attributes(stamp, signer, versions=(_CERTIFICATE_V1, _CERTIFICATE_V2))
    if der.read_octets(stamp.attributes[_DIGEST]) != hashlib.new(stamp.hash_name, stamp.content).digest():
        raise _Refused("seal.timestamp")
    _check_signature(stamp, signer)
    _check_chain(signer, others)
    info = _sequence(der.parse_der(stamp.content))
    algorithm, imprint = _sequence(info[2], 2)
    if der.read_octets(imprint) != digest(_hash_name(algorithm, _HASHES)):
        raise _Refused("seal.timestamp")
    if der.read_integer(info[0]) != 1:
        raise _Refused("seal.timestamp")
    return der.read_time(info[4])


def _hash_name(node: der.Node, known: Mapping[str, str]) -> str:
    """The hash of an AlgorithmIdentifier, parameters NULL or absent."""
    name, *parameters = _sequence(node)
    if [one.raw() for one in parameters] not in ([], [der.der_null()]):
        raise _Refused("seal.cms")
    found = known.get(der.read_oid(name))
    if found is None:
        raise _Refused("seal.algorithm")
    return found


def _sequence(node: der.Node, count: int | None = None) -> tuple[der.Node, ...]:
    children = der.expect(node, der.SEQUENCE).children()
    if not children or (count is not None and len(children) != count):
        raise _Refused("seal.cms")
    return children


def _only(node: der.Node) -> der.Node:
    children = node.children()
    if len(children) != 1:
        raise _Refused("seal.cms")
    return children[0]
