"""The CMS of a seal: our own are good; each rule broken in turn has its fault; nothing raises."""

import hashlib
from collections.abc import Callable

import pytest
import sealpress
from conftest import FULL
from hypothesis import given
from hypothesis import strategies as st
from stampworld import LocalStamps

from mingzheng.formats.pdf.cms import detached_cms, signer_of
from mingzheng.formats.pdf.cmscheck import check_cms, check_stamp
from mingzheng.keys import der
from mingzheng.keys.certmake import CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealkey import SealAlg
from mingzheng.keys.x509 import parse_certificate

DIGEST = hashlib.sha256(b"file").digest()
BODY = "某省住房和城乡建设厅"
DATA = "1.2.840.113549.1.7.1"
SHA256 = der.der_sequence(der.der_oid("2.16.840.1.101.3.4.2.1"))
SHA384 = der.der_sequence(der.der_oid("2.16.840.1.101.3.4.2.2"))
MD5 = der.der_sequence(der.der_oid("1.2.840.113549.2.5"))
ECDSA = der.der_sequence(der.der_oid("1.2.840.10045.4.3.2"))


def attribute(oid: str, *values: bytes) -> bytes:
    return der.der_sequence(der.der_oid(oid), der.der_set(*values))


CONTENT = attribute("1.2.840.113549.1.9.3", der.der_oid(DATA))
_DIGEST_OID = "1.2.840.113549.1.9.4"
MESSAGE = attribute(_DIGEST_OID, der.der_octets(DIGEST))


def named(certificate: bytes, *, digest: bytes = b"", more: bytes = b"", algorithm: bytes = b"") -> bytes:
    """signing-certificate-v2."""
    entry = der.der_sequence(algorithm, der.der_octets(digest or hashlib.sha256(certificate).digest()), more)
    return attribute("1.2.840.113549.1.9.16.2.47", der.der_sequence(der.der_sequence(entry)))


class Forge:
    """A CMS put together piece by piece; every piece can be another."""

    def __init__(self, alg: SealAlg = SealAlg.P256) -> None:
        self.key = sealpress.seal_key(BODY, alg)
        own = parse_certificate(self.key.certificate)
        self.version, self.info_version = der.der_integer(1), der.der_integer(1)
        self.digest_algorithms = [SHA256]
        self.content = der.der_sequence(der.der_oid(DATA))
        self.certificates = [self.key.certificate]
        self.crls = b""
        self.identity = der.der_sequence(own.issuer, der.der_integer(own.serial))
        self.digest_algorithm = SHA256
        self.attributes = [CONTENT, MESSAGE, named(self.key.certificate)]
        self.set_of: Callable[..., bytes] = der.der_set
        rsa = der.der_sequence(der.der_oid("1.2.840.113549.1.1.1"), der.der_null())
        self.algorithm = ECDSA if alg is SealAlg.P256 else rsa
        self.signature: bytes | None = None
        self.unsigned: list[bytes] = []
        self.infos = 1
        self.kind = "1.2.840.113549.1.7.2"

    def build(self) -> bytes:
        signed = self.set_of(*self.attributes)
        signature = self.key.sign(signed) if self.signature is None else self.signature
        parts = [
            self.info_version,
            self.identity,
            self.digest_algorithm,
            b"\xa0" + signed[1:],
            self.algorithm,
            der.der_octets(signature),
        ]
        if self.unsigned:
            parts.append(b"\xa1" + der.der_set(*self.unsigned)[1:])
        info = der.der_sequence(*parts)
        certificates = der.der_tlv(0xA0, b"".join(self.certificates)) if self.certificates else b""
        body = der.der_sequence(
            self.version,
            der.der_set(*self.digest_algorithms),
            self.content,
            certificates,
            self.crls,
            der.der_set(*[info] * self.infos),
        )
        return der.der_sequence(der.der_oid(self.kind), der.der_explicit(0, body))


def faults(forge: Forge) -> tuple[str, ...]:
    outcome = check_cms(forge.build(), digest=DIGEST)
    assert len(outcome.faults) <= 1
    return outcome.faults


def test_forge_makes_good_ones_when_left_alone() -> None:
    assert faults(Forge()) == ()
    assert faults(Forge(SealAlg.RSA)) == ()


@pytest.mark.parametrize("alg", [SealAlg.P256, SealAlg.RSA])
def test_our_own_is_good(alg: SealAlg) -> None:
    key = sealpress.seal_key(BODY, alg)
    stamp = LocalStamps(archive=False).stamp
    signer = signer_of(str(key.alg), key.certificate, key.chain)
    cms = detached_cms(signer, digest=DIGEST, sign=key.sign, stamp=lambda value: stamp(value))
    outcome = check_cms(cms, digest=DIGEST)
    assert outcome.faults == ()
    assert (outcome.certificate, outcome.chain) == (key.certificate, (sealpress.root(),))
    assert outcome.stamped_at == sealpress.AT + 5
    assert check_cms(cms, digest=bytes(32)).faults == ("file.digest",)


def _other_certificate() -> bytes:
    return sealpress.certificate("别的机构")


def _issuer_and_serial(serial: int) -> bytes:
    own = parse_certificate(sealpress.seal_key(BODY).certificate)
    return der.der_sequence(der.der_sequence(der.der_tlv(0xA4, own.issuer)), der.der_integer(serial))


def _identity(serial: int) -> bytes:
    issuer = parse_certificate(sealpress.seal_key(BODY).certificate).issuer
    return der.der_sequence(issuer, der.der_integer(serial))


def _own_serial() -> int:
    return parse_certificate(sealpress.seal_key(BODY).certificate).serial


def _protection(algorithm: bytes, digest: bytes = SHA256) -> bytes:
    body = der.der_sequence(digest, b"\xa1" + algorithm[1:])
    return attribute("1.2.840.113549.1.9.52", body)


GOOD: dict[str, Callable[[Forge], object]] = {
    "algorithms protected": lambda f: f.attributes.append(_protection(ECDSA)),
    "issuer and serial named": lambda f: f.attributes.__setitem__(
        2, named(f.key.certificate, more=_issuer_and_serial(_own_serial()))
    ),
    "hash of the certificate named": lambda f: f.attributes.__setitem__(2, named(f.key.certificate, algorithm=SHA256)),
    "unknown signed attribute": lambda f: f.attributes.append(attribute("1.2.3.4", der.der_null())),
    "root along": lambda f: f.certificates.append(sealpress.root()),
    "null parameters": lambda f: f.digest_algorithms.__setitem__(
        0, der.der_sequence(der.der_oid("2.16.840.1.101.3.4.2.1"), der.der_null())
    ),
}

BAD: dict[str, tuple[str, Callable[[Forge], object]]] = {
    "other content type": ("seal.cms", lambda f: setattr(f, "kind", DATA)),
    "version": ("seal.cms", lambda f: setattr(f, "version", der.der_integer(3))),
    "version of the signer": ("seal.cms", lambda f: setattr(f, "info_version", der.der_integer(3))),
    "two signers": ("seal.cms", lambda f: setattr(f, "infos", 2)),
    "no signer": ("seal.cms", lambda f: setattr(f, "infos", 0)),
    "two digests": ("seal.cms", lambda f: f.digest_algorithms.append(SHA384)),
    "other digest announced": ("seal.cms", lambda f: setattr(f, "digest_algorithms", [SHA384])),
    "old digest": ("seal.algorithm", lambda f: setattr(f, "digest_algorithms", [MD5])),
    "digest with parameters": (
        "seal.cms",
        lambda f: setattr(f, "digest_algorithm", der.der_sequence(SHA256[2:], der.der_integer(1))),
    ),
    "content inside": (
        "seal.cms",
        lambda f: setattr(f, "content", der.der_sequence(der.der_oid(DATA), der.der_explicit(0, der.der_octets(b"x")))),
    ),
    "content of another kind": ("seal.cms", lambda f: setattr(f, "content", der.der_sequence(der.der_oid("1.2.3")))),
    "revocation lists": ("seal.cms", lambda f: setattr(f, "crls", b"\xa1\x00")),
    "no certificate": ("seal.certificate", lambda f: setattr(f, "certificates", [])),
    "other certificate": ("seal.certificate", lambda f: setattr(f, "certificates", [_other_certificate()])),
    "certificate twice": ("seal.certificate", lambda f: f.certificates.append(f.certificates[0])),
    "too many certificates": ("seal.certificate", lambda f: setattr(f, "certificates", f.certificates * 9)),
    "broken certificate": ("seal.certificate", lambda f: f.certificates.append(der.der_sequence(der.der_null()))),
    "stray certificate": ("seal.chain", lambda f: f.certificates.append(_other_certificate())),
    "false root": ("seal.chain", lambda f: f.certificates.append(_false_root())),
    "other serial": (
        "seal.certificate",
        lambda f: setattr(
            f, "identity", der.der_sequence(parse_certificate(f.key.certificate).issuer, der.der_integer(9))
        ),
    ),
    "no content type": ("seal.attributes", lambda f: f.attributes.remove(CONTENT)),
    "no digest": ("seal.attributes", lambda f: f.attributes.remove(MESSAGE)),
    "certificate not named": ("seal.attributes", lambda f: f.attributes.pop()),
    "attribute twice": (
        "seal.attributes",
        lambda f: f.attributes.append(attribute("1.2.840.113549.1.9.4", der.der_null())),
    ),
    "content type of another kind": (
        "seal.attributes",
        lambda f: f.attributes.__setitem__(0, attribute("1.2.840.113549.1.9.3", der.der_oid("1.2.3"))),
    ),
    "two values": (
        "seal.cms",
        lambda f: f.attributes.append(attribute("1.2.3.4", der.der_null(), der.der_integer(1))),
    ),
    "unsorted attributes": (
        "seal.cms",
        lambda f: setattr(f, "set_of", lambda *parts: der.der_tlv(0x31, b"".join(sorted(parts, reverse=True)))),
    ),
    "other certificate named": (
        "seal.certificate",
        lambda f: f.attributes.__setitem__(2, named(_other_certificate())),
    ),
    "other serial named": (
        "seal.certificate",
        lambda f: f.attributes.__setitem__(2, named(f.key.certificate, more=_issuer_and_serial(9))),
    ),
    "unknown hash of the certificate": (
        "seal.algorithm",
        lambda f: f.attributes.__setitem__(2, named(f.key.certificate, algorithm=MD5)),
    ),
    "other algorithm protected": (
        "seal.attributes",
        lambda f: f.attributes.append(_protection(der.der_sequence(der.der_oid("1.2.3")))),
    ),
    "other digest protected": ("seal.attributes", lambda f: f.attributes.append(_protection(ECDSA, SHA384))),
    "other signature algorithm": (
        "seal.algorithm",
        lambda f: setattr(f, "algorithm", der.der_sequence(der.der_oid("1.2.840.113549.1.1.11"), der.der_null())),
    ),
    "algorithm with parameters": (
        "seal.algorithm",
        lambda f: setattr(f, "algorithm", der.der_sequence(der.der_oid("1.2.840.10045.4.3.2"), der.der_null())),
    ),
    "signature of zeros": ("seal.signature", lambda f: setattr(f, "signature", bytes(70))),
    "signature of nothing": ("seal.signature", lambda f: setattr(f, "signature", b"")),
    "unknown unsigned attribute": ("seal.cms", lambda f: f.unsigned.append(attribute("1.2.3.4", der.der_null()))),
    "time stamp that is none": (
        "seal.timestamp",
        lambda f: f.unsigned.append(attribute("1.2.840.113549.1.9.16.2.14", der.der_sequence(der.der_null()))),
    ),
    "time stamp over something else": (
        "seal.timestamp",
        lambda f: f.unsigned.append(
            attribute("1.2.840.113549.1.9.16.2.14", LocalStamps(archive=False).stamp(bytes(32)))
        ),
    ),
    "seal in place of a time stamp": (
        "seal.timestamp",
        lambda f: f.unsigned.append(attribute("1.2.840.113549.1.9.16.2.14", Forge().build())),
    ),
}


def _false_root() -> bytes:
    """Named as the root is, with a key of its own."""
    key = sealpress.private("false root")
    real = parse_certificate(sealpress.root())
    spec = CertSpec(
        subject_cn="印章测试根",
        subject_o="某部",
        spki=key.spki,
        serial=1,
        not_before=real.not_before,
        not_after=real.not_after,
        ca=True,
        key_usage=frozenset({"keyCertSign"}),
    )
    return make_certificate(spec, CertIssuer(key=key))


@pytest.mark.parametrize("name", GOOD)
def test_allowed_variants(name: str) -> None:
    forge = Forge()
    GOOD[name](forge)
    assert faults(forge) == ()


@pytest.mark.parametrize("name", BAD)
def test_each_broken_rule_has_its_fault(name: str) -> None:
    forge = Forge()
    wanted, change = BAD[name]
    change(forge)
    assert faults(forge) == (wanted,)


def test_longer_digests_are_refused_for_seals() -> None:
    forge = Forge()
    forge.digest_algorithms, forge.digest_algorithm = [SHA384], SHA384
    assert faults(forge) == ("seal.algorithm",)


def test_keys_of_other_kinds_are_refused() -> None:
    forge = Forge()
    other = sealpress.seal_key(BODY, SealAlg.RSA)
    own = parse_certificate(other.certificate)
    forge.certificates = [other.certificate]
    forge.identity = der.der_sequence(own.issuer, der.der_integer(own.serial))
    forge.attributes[2] = named(other.certificate)
    assert faults(forge) == ("seal.algorithm",)


def test_signed_attributes_are_needed() -> None:
    data = Forge().build().replace(b"\xa0\x81", b"\xa2\x81", 1)
    assert check_cms(data, digest=DIGEST).faults in (("seal.attributes",), ("seal.cms",))


@given(st.binary(max_size=200))
def test_nothing_raises(data: bytes) -> None:
    assert check_cms(data, digest=DIGEST).faults == ("seal.cms",)
    assert check_stamp(data, digest=lambda _: DIGEST) is None


def test_every_flipped_bit_of_ours_is_noticed() -> None:
    """With its root along: an intermediate certificate that comes without its root is vouched for by nothing here."""
    forge = Forge()
    forge.certificates.append(sealpress.root())
    data = forge.build()
    for place in range(len(data)):
        for bit in (1, 2, 4, 8, 16, 32, 64, 128) if FULL else (1 << place % 8,):
            changed = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
            assert check_cms(changed, digest=DIGEST).faults, (place, bit)


def test_time_stamp_over_a_file() -> None:
    token = LocalStamps(archive=False).stamp(DIGEST)
    assert check_stamp(token, digest=lambda name: hashlib.new(name, b"file").digest()) == sealpress.AT + 5
    assert check_stamp(token, digest=lambda name: hashlib.new(name, b"other").digest()) is None
    for place in range(0, len(token), 7):
        changed = token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :]
        assert check_stamp(changed, digest=lambda name: hashlib.new(name, b"file").digest()) is None, place
