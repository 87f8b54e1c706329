"""Make X.509 certificates and requests: for an authority's own seal CA, the demonstration and tests.

Source: RFC 5280 §4, RFC 2986 (requests), RFC 7093 §2 method 1 (key identifiers), GM/T 0015-2012. The bytes follow from
the wish and the keys, the signature of SM2 apart (it draws a random number). Serial numbers and times come from the
caller. Left out on purpose: revocation lists, policies, other names.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from mingzheng.keys import der
from mingzheng.keys.errors import CertSpecError, DerError
from mingzheng.keys.sealkey import SealAlg, SealPrivate
from mingzheng.keys.x509 import (
    KEY_USAGES,
    OID_AKI,
    OID_BASIC_CONSTRAINTS,
    OID_KEY_USAGE,
    OID_SKI,
    Certificate,
    key_alg_of,
    key_bits,
    parse_certificate,
)

CA_USAGE: Final = frozenset({"keyCertSign", "cRLSign"})
SEAL_USAGE: Final = frozenset({"digitalSignature", "nonRepudiation"})
MAX_NAME: Final = 64  # ub-common-name, ub-organization-name

_SECONDS_2050: Final = 2_524_608_000
_IDENTIFIER_BYTES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CertSpec:
    """A wish for a certificate. `spki`: DER SubjectPublicKeyInfo of the subject; times are unix seconds, inside."""

    subject_cn: str
    subject_o: str
    spki: bytes
    serial: int
    not_before: int
    not_after: int
    ca: bool = False
    path_len: int | None = None
    key_usage: frozenset[str] = SEAL_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class CertIssuer:
    """Who signs: a key and its certificate; None makes the certificate self-signed (a root)."""

    key: SealPrivate
    certificate: Certificate | None = None


def make_certificate(spec: CertSpec, issuer: CertIssuer) -> bytes:
    """DER of the certificate wished for, signed by `issuer`.

    Extensions: basic constraints and key usage (critical), subject and authority key identifier. Raises CertSpecError
    for a wish that breaks RFC 5280 or an issuer that may not grant it.
    """
    _check(spec, issuer)
    above = issuer.certificate
    subject = der_name(spec.subject_cn, spec.subject_o)
    algorithm = der_algorithm(issuer.key.alg)
    own = key_identifier(spec.spki)
    authority = own if above is None else above.ski or key_identifier(above.spki)
    tbs = der.der_sequence(
        der.der_explicit(0, der.der_integer(2)),
        der.der_integer(spec.serial),
        algorithm,
        subject if above is None else above.subject,
        der.der_sequence(_time(spec.not_before), _time(spec.not_after)),
        subject,
        spec.spki,
        der.der_explicit(3, der.der_sequence(*_extensions(spec, own, authority))),
    )
    data = der.der_sequence(tbs, algorithm, der.der_bits(issuer.key.sign(tbs)))
    parse_certificate(data)  # never make what cannot be read
    return data


class RequestKey(Protocol):
    """A key that signs the request for its own certificate: in memory or in a token."""

    @property
    def alg(self) -> SealAlg:
        """With what it signs."""
        ...

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        ...

    def sign(self, message: bytes) -> bytes:
        """See SealKey.sign."""
        ...


def make_csr(*, subject_cn: str, subject_o: str, key: RequestKey) -> bytes:
    """DER of a PKCS #10 request for a certificate of `key` (RFC 2986), to hand to an outside CA."""
    info = der.der_sequence(der.der_integer(0), der_name(subject_cn, subject_o), key.spki, der.der_tlv(0xA0, b""))
    return der.der_sequence(info, der_algorithm(key.alg), der.der_bits(key.sign(info)))


def der_name(common_name: str, organization: str) -> bytes:
    """The Name C=CN, O=organization, CN=common name; raises CertSpecError."""
    for text in (common_name, organization):
        if not 1 <= len(text) <= MAX_NAME or text != text.strip() or not text.isprintable():
            raise CertSpecError(f"names are printable, trimmed and of 1 to {MAX_NAME} characters")
    pairs = (("2.5.4.6", der.der_printable("CN")), ("2.5.4.10", der.der_utf8(organization)))
    parts = (*pairs, ("2.5.4.3", der.der_utf8(common_name)))
    return der.der_sequence(*(der.der_set(der.der_sequence(der.der_oid(oid), value)) for oid, value in parts))


def der_algorithm(alg: SealAlg) -> bytes:
    """AlgorithmIdentifier of a signature: NULL parameters for RSA (RFC 8017 §A.2.4), none for the others."""
    return der.der_sequence(der.der_oid(alg.oid), *((der.der_null(),) if alg is SealAlg.RSA else ()))


def key_identifier(spki: bytes) -> bytes:
    """The first 160 bits of SHA-256 over the public key's bits (RFC 7093 §2 method 1)."""
    return hashlib.sha256(key_bits(spki)).digest()[:_IDENTIFIER_BYTES]


def _check(spec: CertSpec, issuer: CertIssuer) -> None:
    key_alg_of(spec.spki)
    above = issuer.certificate
    if not 0 < spec.serial < 1 << 159:
        raise CertSpecError("a serial number has 1 to 20 bytes and is positive")
    if not 0 <= spec.not_before <= spec.not_after:
        raise CertSpecError("validity ends before it begins")
    if not spec.key_usage or not spec.key_usage <= frozenset(KEY_USAGES):
        raise CertSpecError(f"key usages are some of {', '.join(KEY_USAGES)}")
    if spec.ca != ("keyCertSign" in spec.key_usage) or (
        spec.path_len is not None and not (spec.ca and spec.path_len >= 0)
    ):
        raise CertSpecError("a CA has key usage keyCertSign and may have a path length, others neither")
    if issuer.key.spki != (spec.spki if above is None else above.spki):
        raise CertSpecError("the issuer's private key is not of its certificate")
    if above is not None and not (above.is_ca and "keyCertSign" in (above.key_usage or ())):
        raise CertSpecError("the issuer's certificate is no CA's")
    if above is not None and spec.ca and above.path_len == 0:
        raise CertSpecError("the issuer's path length allows no further CA")


def _time(at: int) -> bytes:
    """RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050."""
    try:
        return der.der_utctime(at) if at < _SECONDS_2050 else der.der_generalized(at)
    except DerError as error:
        raise CertSpecError(str(error)) from error


def _extensions(spec: CertSpec, own: bytes, authority: bytes) -> list[bytes]:
    constraints = [der.der_bool(True)] if spec.ca else []
    if spec.path_len is not None:
        constraints.append(der.der_integer(spec.path_len))
    return [
        _extension(OID_BASIC_CONSTRAINTS, der.der_sequence(*constraints), critical=True),
        _extension(OID_KEY_USAGE, _usage_bits(spec.key_usage), critical=True),
        _extension(OID_SKI, der.der_octets(own)),
        _extension(OID_AKI, der.der_sequence(der.der_implicit(0, der.der_octets(authority)))),
    ]


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = (der.der_bool(True),) if critical else ()
    return der.der_sequence(der.der_oid(oid), *flag, der.der_octets(value))


def _usage_bits(usages: frozenset[str]) -> bytes:
    """A named BIT STRING: no zero bits at its end (X.690 §11.2.2)."""
    bits = [name in usages for name in KEY_USAGES]
    last = max(i for i, bit in enumerate(bits) if bit)
    octets = last // 8 + 1
    value = sum(1 << 8 * octets - 1 - i for i, bit in enumerate(bits) if bit)
    return der.der_bits(value.to_bytes(octets), unused=8 * octets - 1 - last)
