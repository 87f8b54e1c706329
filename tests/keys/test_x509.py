"""Certificates: openssl's are read and walked, one fault each is named, nothing malformed passes."""

import base64
import datetime
import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys import der
from mingzheng.keys.certmake import CA_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.errors import (
    CertAlgorithmError,
    CertError,
    CertExtensionError,
    CertKeyError,
    CertMalformedError,
    CertSignatureError,
)
from mingzheng.keys.sealkey import SealAlg, SealPrivate, parse_seal_private
from mingzheng.keys.x509 import (
    MAX_BYTES,
    OID_ECDSA_SHA256,
    OID_RSA_SHA256,
    OID_RSA_SHA384,
    OID_RSA_SHA512,
    CertAlg,
    Certificate,
    check_chain,
    key_alg_of,
    key_bits,
    may_sign,
    parse_certificate,
    verify_signed,
)

FILE = pathlib.Path(__file__).parents[1] / "vectors" / "x509" / "certificates.json"
DER = {name: base64.b64decode(text) for name, text in json.loads(FILE.read_text("utf-8")).items()}
REFUSED = {"unknown critical", "name constraints", "rsa 1024", "ed25519"}
CERTS = {name: parse_certificate(data) for name, data in DER.items() if name not in REFUSED}
NOW = 1_800_000_000


@pytest.mark.parametrize("name", CERTS)
def test_reads_what_openssl_makes(name: str) -> None:
    made = CERTS[name]
    assert made.der == DER[name]
    assert made.serial == 0x1234567890ABCDEF
    assert made.subject_text == f"C=CN, O=测试机构, CN={name}"
    assert made.tbs in made.der
    assert made.not_after - made.not_before == 36_500 * 86_400
    assert made.valid_at(made.not_before)
    assert made.valid_at(made.not_after)
    assert not made.valid_at(made.not_before - 1)
    assert not made.valid_at(made.not_after + 1)
    assert key_alg_of(made.spki) is made.key_alg
    assert key_bits(made.spki) in made.spki


def test_fields_of_a_root_and_of_a_signer() -> None:
    root, end = CERTS["root sm2"], CERTS["sm2 by sm2"]
    assert (root.is_ca, root.path_len, root.key_alg) == (True, None, CertAlg.SM2)
    assert root.key_usage == {"keyCertSign", "cRLSign"}
    assert root.subject == root.issuer == end.issuer
    assert (end.is_ca, end.path_len) == (False, None)
    assert end.aki == root.ski
    assert root.aki is None
    assert end.key_usage == {"digitalSignature", "nonRepudiation"}
    assert CERTS["path length"].path_len == 3


def test_who_may_sign() -> None:
    assert may_sign(CERTS["sm2 by sm2"])
    assert not may_sign(CERTS["root sm2"])
    assert CERTS["no key usage"].key_usage is None
    assert not may_sign(CERTS["no key usage"])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("unknown critical", CertExtensionError),
        ("name constraints", CertExtensionError),
        ("rsa 1024", CertKeyError),
        ("ed25519", CertKeyError),
    ],
)
def test_refuses_what_it_does_not_know(name: str, error: type[CertError]) -> None:
    with pytest.raises(error):
        parse_certificate(DER[name])


# Chains of openssl


@pytest.mark.parametrize("name", [name for name in CERTS if " by " in name])
def test_walks_to_its_root_and_to_no_other(name: str) -> None:
    root = CERTS[f"root {name.split()[-1]}"]
    others = [made for made in CERTS.values() if made != root]
    assert check_chain(CERTS[name], pool=(), roots=[root], at=NOW) == ()
    assert check_chain(CERTS[name], pool=others, roots=[root], at=NOW) == ()
    assert check_chain(CERTS[name], pool=[root], roots=[], at=NOW) == ("chain.no_root",)
    assert check_chain(CERTS[name], pool=[root], roots=[made for made in others if made.is_ca], at=NOW) == (
        "chain.no_root",
    )


@pytest.mark.parametrize("name", [name for name in CERTS if " by " in name])
def test_one_changed_byte_of_the_signed_part_breaks_the_chain(name: str) -> None:
    made, root = CERTS[name], CERTS[f"root {name.split()[-1]}"]
    verify_signed(root, algorithm_oid=made.algorithm_oid, message=made.tbs, signature=made.signature)
    for place in range(0, len(made.tbs), 23):
        changed = bytearray(made.tbs)
        changed[place] ^= 1
        with pytest.raises(CertSignatureError):
            verify_signed(root, algorithm_oid=made.algorithm_oid, message=bytes(changed), signature=made.signature)


# Chains made here


def seal_private(fill: int) -> SealPrivate:
    key = ec.derive_private_key(fill, ec.SECP256R1())
    return parse_seal_private(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), alg=SealAlg.P256)


def make(fill: int, by: int, above: Certificate | None, **wish: Any) -> Certificate:
    private = seal_private(fill)
    spec: dict[str, Any] = {
        "subject_cn": f"n{fill}", "subject_o": "o", "spki": private.spki, "serial": fill, "not_before": NOW - 100,
        "not_after": NOW + 100, "ca": True, "key_usage": CA_USAGE,
    }  # fmt: skip
    issuer = CertIssuer(key=seal_private(by), certificate=above)
    return parse_certificate(make_certificate(CertSpec(**(spec | wish)), issuer))


END = {"ca": False, "key_usage": frozenset({"digitalSignature"})}
ROOT = make(1, 1, None)
SUB = make(2, 1, ROOT)
LEAF = make(3, 2, SUB, **END)


def faults(leaf: Certificate, *pool: Certificate, root: Certificate = ROOT, at: int = NOW) -> tuple[str, ...]:
    return check_chain(leaf, pool=pool, roots=[root], at=at)


def test_a_chain_of_three() -> None:
    assert faults(LEAF, SUB) == ()
    assert faults(LEAF, SUB, ROOT, LEAF) == ()
    assert faults(LEAF) == ("chain.no_root",)
    assert faults(LEAF, ROOT) == ("chain.no_root",)
    assert faults(ROOT) == ()
    assert check_chain(LEAF, pool=(), roots=[SUB], at=NOW) == ()
    assert check_chain(LEAF, pool=(), roots=[LEAF], at=NOW) == ()


@pytest.mark.parametrize(
    ("at", "fault"),
    [(NOW - 101, "chain.not_yet_valid"), (NOW - 100, None), (NOW + 100, None), (NOW + 101, "chain.expired")],
)
def test_every_certificate_is_valid_at_that_second(at: int, fault: str | None) -> None:
    wide = {"not_before": 0, "not_after": NOW * 2}
    for narrow in range(3):
        root = make(1, 1, None, **(wide if narrow != 0 else {}))
        sub = make(2, 1, root, **(wide if narrow != 1 else {}))
        leaf = make(3, 2, sub, **END, **(wide if narrow != 2 else {}))
        assert faults(leaf, sub, root=root, at=at) == (() if fault is None else (fault,))


def unmade(certificate: Certificate, change: Callable[[bytes], bytes], by: int) -> Certificate:
    """The certificate with its signed part changed and signed anew: what `make_certificate` refuses to make."""
    tbs = change(certificate.tbs)
    algorithm = der.der_sequence(der.der_oid(OID_ECDSA_SHA256))
    return parse_certificate(der.der_sequence(tbs, algorithm, der.der_bits(seal_private(by).sign(tbs))))


def test_an_issuer_that_is_no_ca() -> None:
    end = make(2, 1, ROOT, **END)
    assert end.ski == SUB.ski  # the same key
    assert faults(LEAF, end) == ("chain.key_usage", "chain.not_ca")
    assert faults(LEAF, end, SUB) == ()


def test_path_lengths() -> None:
    for length, good in ((0, False), (1, True), (2, True)):
        root = make(1, 1, None, path_len=length)
        sub = make(2, 1, ROOT, path_len=None)
        leaf = make(3, 2, sub, **END)
        assert faults(leaf, sub, root=root) == (() if good else ("chain.path_length",))
    root = make(1, 1, None, path_len=0)
    assert faults(make(3, 1, root, **END), root=root) == ()


def test_a_forged_issuer_of_the_same_name() -> None:
    forged = make(9, 9, None, subject_cn="n1")
    leaf = make(3, 9, forged, **END)
    assert forged.subject == ROOT.subject
    assert faults(leaf, forged) == ("chain.no_root",)  # the key identifiers differ
    nameless = unmade(leaf, lambda tbs: _without_extensions(tbs), 9)
    assert nameless.aki is None
    assert faults(nameless, forged) == ("chain.signature",)


def _without_extensions(tbs: bytes) -> bytes:
    return der.der_sequence(*(node.raw() for node in der.parse_der(tbs).children() if node.tag != 0xA3))


def test_circles_end() -> None:
    one = make(4, 5, make(5, 5, None), subject_cn="n4")
    two = make(5, 4, one, subject_cn="n5")
    assert faults(one, two) == ("chain.no_root",)


def test_a_long_chain_and_many_ways_end() -> None:
    chain = [ROOT]
    for fill in range(10, 16):
        chain.append(make(fill, fill - 1 if fill > 10 else 1, chain[-1]))
    assert faults(chain[5], *chain[1:5]) == ()
    assert faults(chain[6], *chain[1:6]) == ("chain.no_root",)
    crowd = [make(2, 1, ROOT, serial=number) for number in range(100, 130)]
    wrong = [unmade(made, lambda tbs: tbs, 8) for made in crowd]
    assert faults(LEAF, *wrong) == ("chain.signature",)
    assert faults(LEAF, *wrong[:8], SUB) == ()


def test_the_better_way_is_told() -> None:
    old = make(2, 1, ROOT, serial=77, not_after=NOW - 50)
    worse = unmade(make(2, 1, ROOT, serial=78, not_after=NOW - 50), lambda tbs: tbs, 8)
    assert faults(LEAF, worse, old) == faults(LEAF, old, worse) == ("chain.expired",)
    assert faults(LEAF, worse, old, SUB) == ()


# verify_signed


RSA = rsa.generate_private_key(65537, 2048)
RSA_SPKI = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("oid", "digest"),
    [(OID_RSA_SHA256, hashes.SHA256()), (OID_RSA_SHA384, hashes.SHA384()), (OID_RSA_SHA512, hashes.SHA512())],
)
def test_rsa(oid: str, digest: hashes.HashAlgorithm) -> None:
    from cryptography.hazmat.primitives.asymmetric import padding

    signature = RSA.sign(b"m", padding.PKCS1v15(), digest)
    verify_signed(RSA_SPKI, algorithm_oid=oid, message=b"m", signature=signature)
    for message, wrong in ((b"n", signature), (b"m", signature[:-1]), (b"m", b""), (b"m", bytes(256))):
        with pytest.raises(CertSignatureError):
            verify_signed(RSA_SPKI, algorithm_oid=oid, message=message, signature=wrong)
    with pytest.raises(CertAlgorithmError):
        verify_signed(RSA_SPKI, algorithm_oid="1.2.840.113549.1.1.10", message=b"m", signature=signature)
    with pytest.raises(CertAlgorithmError):
        verify_signed(RSA_SPKI, algorithm_oid=OID_ECDSA_SHA256, message=b"m", signature=signature)


@pytest.mark.parametrize("name", ["sm2 by sm2", "p256 by p256", "p384 by p384"])
def test_signatures_in_other_spellings_are_refused(name: str) -> None:
    made, root = CERTS[name], CERTS[f"root {name.split()[-1]}"]
    r, s = (der.read_integer(node) for node in der.parse_der(made.signature).children())
    good = der.der_sequence(der.der_integer(r), der.der_integer(s))
    assert good == made.signature
    size = 48 if "p384" in name else 32
    for wrong in (
        good + b"\0",
        good[:-1],
        b"",
        r.to_bytes(size) + s.to_bytes(size),
        der.der_sequence(der.der_tlv(2, b"\0\0" + r.to_bytes(size)), der.der_integer(s)),
        der.der_sequence(der.der_integer(r), der.der_integer(0)),
        der.der_sequence(der.der_integer(s), der.der_integer(r)),
        der.der_sequence(der.der_integer(-r), der.der_integer(s)),
    ):
        with pytest.raises(CertSignatureError):
            verify_signed(root, algorithm_oid=made.algorithm_oid, message=made.tbs, signature=wrong)


def test_the_algorithm_must_fit_the_key() -> None:
    for name in ("sm2", "p256", "p384", "rsa"):
        root = CERTS[f"root {name}"]
        for other in ("sm2", "p256", "p384", "rsa"):
            if other != name:
                oid = CERTS[f"root {other}"].algorithm_oid
                with pytest.raises(CertAlgorithmError):
                    verify_signed(root, algorithm_oid=oid, message=b"m", signature=root.signature)


# Keys


def spki(oid: str, parameters: bytes, body: bytes) -> bytes:
    return der.der_sequence(der.der_sequence(der.der_oid(oid), parameters), der.der_bits(body))


EC_OID, RSA_OID, SM2_OID = "1.2.840.10045.2.1", "1.2.840.113549.1.1.1", "1.2.156.10197.1.301"
P256_OID, P384_OID, P521_OID = "1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"
MODULUS = RSA.public_key().public_numbers().n


def rsa_key(modulus: int, exponent: int, parameters: bytes = b"\x05\x00") -> bytes:
    return spki(RSA_OID, parameters, der.der_sequence(der.der_integer(modulus), der.der_integer(exponent)))


KEYS: dict[str, tuple[bytes, type[CertError]]] = {
    "sm2 off curve": (spki(EC_OID, der.der_oid(SM2_OID), b"\4" + bytes(64)), CertKeyError),
    "sm2 compressed": (spki(EC_OID, der.der_oid(SM2_OID), b"\2" + bytes(32)), CertKeyError),
    "p256 off curve": (spki(EC_OID, der.der_oid(P256_OID), b"\4" + bytes(64)), CertKeyError),
    "p384 off curve": (spki(EC_OID, der.der_oid(P384_OID), b"\4" + bytes(96)), CertKeyError),
    "p521": (spki(EC_OID, der.der_oid(P521_OID), b"\4" + bytes(132)), CertKeyError),
    "explicit curve": (spki(EC_OID, der.der_sequence(), b"\4" + bytes(64)), CertKeyError),
    "curve as algorithm": (spki(SM2_OID, der.der_null(), key_bits(CERTS["sm2 by sm2"].spki)), CertKeyError),
    "no parameters": (der.der_sequence(der.der_sequence(der.der_oid(EC_OID)), der.der_bits(b"\4")), CertKeyError),
    "rsa small": (rsa_key(MODULUS >> 1, 65537), CertKeyError),
    "rsa large": (rsa_key((MODULUS << 6200) | 1, 65537), CertKeyError),
    "rsa exponent 3": (rsa_key(MODULUS, 3), CertKeyError),
    "rsa even exponent": (rsa_key(MODULUS, 65538), CertKeyError),
    "rsa huge exponent": (rsa_key(MODULUS, (1 << 32) + 1), CertKeyError),
    "rsa negative": (rsa_key(-MODULUS, 65537), CertKeyError),
    "rsa parameters": (rsa_key(MODULUS, 65537, der.der_octets(b"")), CertMalformedError),
    "rsa three parts": (spki(RSA_OID, der.der_null(), der.der_sequence(*[der.der_integer(1)] * 3)), CertMalformedError),
    "no der": (b"\x30\x05", CertMalformedError),
    "odd bits": (der.der_sequence(der.der_sequence(), der.der_bits(b"\xfe", unused=1)), CertMalformedError),
}


@pytest.mark.parametrize("name", KEYS)
def test_refuses_keys(name: str) -> None:
    data, error = KEYS[name]
    with pytest.raises(error):
        key_alg_of(data)
    with pytest.raises(CertError):
        verify_signed(data, algorithm_oid=OID_ECDSA_SHA256, message=b"m", signature=b"")


# Malformed certificates


def rebuilt(change: Callable[[list[bytes]], object], name: str = "p256 by p256") -> bytes:
    """The certificate with the parts of its signed part changed (the signature no longer holds: not asked here)."""
    tbs, algorithm, signature = (node.raw() for node in der.parse_der(DER[name]).children())
    parts = [node.raw() for node in der.parse_der(tbs).children()]
    change(parts)
    return der.der_sequence(der.der_sequence(*parts), algorithm, signature)


def extension(oid: str, value: bytes, *flags: bytes) -> bytes:
    return der.der_sequence(der.der_oid(oid), *flags, der.der_octets(value))


def with_extensions(*items: bytes) -> Callable[[list[bytes]], object]:
    return lambda parts: parts.__setitem__(7, der.der_explicit(3, der.der_sequence(*items)))


BC, KU, AKI, SKI = "2.5.29.19", "2.5.29.15", "2.5.29.35", "2.5.29.14"
UTC = der.der_utctime
MALFORMED: dict[str, Callable[[list[bytes]], object]] = {
    "version 1": lambda parts: parts.pop(0),
    "version 2": lambda parts: parts.__setitem__(0, der.der_explicit(0, der.der_integer(1))),
    "two versions": lambda parts: parts.__setitem__(0, der.der_tlv(0xA0, der.der_integer(2) * 2)),
    "serial 0": lambda parts: parts.__setitem__(1, der.der_integer(0)),
    "serial negative": lambda parts: parts.__setitem__(1, der.der_integer(-1)),
    "serial too long": lambda parts: parts.__setitem__(1, der.der_integer(1 << 168)),
    "other algorithm inside": lambda parts: parts.__setitem__(2, der.der_sequence(der.der_oid(OID_RSA_SHA256))),
    "issuer empty": lambda parts: parts.__setitem__(3, der.der_sequence()),
    "issuer a set": lambda parts: parts.__setitem__(3, der.der_set(der.der_null())),
    "validity turned": lambda parts: parts.__setitem__(4, der.der_sequence(UTC(10), UTC(9))),
    "validity of one": lambda parts: parts.__setitem__(4, der.der_sequence(UTC(10))),
    "name pair of three": lambda parts: parts.__setitem__(
        5, der.der_sequence(der.der_set(der.der_sequence(*[der.der_oid("2.5.4.3")] * 3)))
    ),
    "too few": lambda parts: parts.__delitem__(slice(5, None)),
    "unique id": lambda parts: parts.insert(7, der.der_tlv(0x81, b"\0x")),
    "extensions twice": lambda parts: parts.append(parts[7]),
    "extensions bare": lambda parts: parts.__setitem__(7, der.der_explicit(3, der.der_null())),
    "extensions of two": lambda parts: parts.__setitem__(7, der.der_tlv(0xA3, der.der_sequence() * 2)),
    "extension of one": with_extensions(der.der_sequence(der.der_oid(KU))),
    "extension of four": with_extensions(der.der_sequence(*[der.der_oid(KU)] * 4)),
    "extension repeated": with_extensions(extension("1.2.3", b""), extension("1.2.3", b"")),
    "key usage empty": with_extensions(extension(KU, der.der_bits(b""))),
    "key usage nothing": with_extensions(extension(KU, der.der_bits(b"\0"))),
    "key usage ten bits": with_extensions(extension(KU, der.der_bits(b"\x80\x40", unused=6))),
    "key usage trailing": with_extensions(extension(KU, der.der_bits(b"\x80", unused=7) + b"\0")),
    "path length of no ca": with_extensions(extension(BC, der.der_sequence(der.der_integer(0)))),
    "path length negative": with_extensions(extension(BC, der.der_sequence(der.der_bool(True), der.der_integer(-1)))),
    "constraints of three": with_extensions(
        extension(BC, der.der_sequence(der.der_bool(True), der.der_integer(1), der.der_null()))
    ),
    "key identifier no octets": with_extensions(extension(SKI, der.der_null())),
    "authority key no sequence": with_extensions(extension(AKI, der.der_null())),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_refuses_malformed(name: str) -> None:
    parse_certificate(rebuilt(lambda parts: None))
    with pytest.raises(CertMalformedError):
        parse_certificate(rebuilt(MALFORMED[name]))


def test_odd_but_allowed() -> None:
    made = parse_certificate(
        rebuilt(
            with_extensions(
                extension(BC, der.der_sequence(der.der_bool(False)), der.der_bool(False)),
                extension(AKI, der.der_sequence(der.der_tlv(0x82, b"\1"))),
                extension(KU, der.der_bits(b"\x03\x80", unused=7), der.der_bool(True)),
            )
        )
    )
    assert (made.is_ca, made.aki, made.key_usage) == (False, None, {"cRLSign", "encipherOnly", "decipherOnly"})
    bare = parse_certificate(rebuilt(lambda parts: parts.pop()))
    assert (bare.is_ca, bare.aki, bare.ski, bare.key_usage) == (False, None, None, None)


def test_algorithm_identifiers() -> None:
    oid = der.der_oid(OID_ECDSA_SHA256)
    for parts, good in (
        ((oid,), True),
        ((oid, der.der_null()), True),
        ((oid, der.der_integer(1)), False),
        ((oid, der.der_null(), der.der_null()), False),
        ((), False),
    ):
        algorithm = der.der_sequence(*parts)
        tbs, _, signature = (node.raw() for node in der.parse_der(DER["p256 by p256"]).children())
        inner = [node.raw() for node in der.parse_der(tbs).children()]
        inner[2] = algorithm
        data = der.der_sequence(der.der_sequence(*inner), algorithm, signature)
        if good:
            assert parse_certificate(data).algorithm_oid == OID_ECDSA_SHA256
        else:
            with pytest.raises(CertMalformedError):
                parse_certificate(data)


def test_names_for_people() -> None:
    def named(*values: bytes) -> str:
        sets = [der.der_set(der.der_sequence(der.der_oid("2.5.4.3"), value)) for value in values]
        return parse_certificate(rebuilt(lambda parts: parts.__setitem__(5, der.der_sequence(*sets)))).subject_text

    assert named(der.der_tlv(0x1E, "章".encode("utf-16-be"))) == "CN=章"
    assert named(der.der_tlv(0x14, b"\xe9")) == "CN=é"
    assert named(der.der_utf8("a\n\u202eb\u200b")) == "CN=a\ufffd\ufffdb\ufffd"
    assert named(der.der_tlv(der.UTF8, b"\xff")) == "CN=\ufffd"
    assert named(der.der_integer(65)) == "CN=A"
    assert len(named(*[der.der_utf8("长" * 64)] * 9)) == 200
    assert named() == ""


def test_size_and_parts() -> None:
    for data in (b"", b"\x30\x00", bytes(MAX_BYTES + 1), DER["p256 by p256"] + b"\0", DER["p256 by p256"][:-1]):
        with pytest.raises(CertMalformedError):
            parse_certificate(data)


@given(st.sampled_from(sorted(CERTS)), st.data())
def test_changed_bytes_raise_typed_errors_or_another_certificate(name: str, data: st.DataObject) -> None:
    changed = bytearray(DER[name])
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] = data.draw(st.integers(0, 255))
    try:
        made = parse_certificate(bytes(changed))
    except CertError:
        return
    assert (made == CERTS[name]) is (bytes(changed) == DER[name])


def test_dates_as_openssl_says_them() -> None:
    made = CERTS["root p256"]
    assert datetime.datetime.fromtimestamp(made.not_before, datetime.UTC).year == 2026
    assert datetime.datetime.fromtimestamp(made.not_after, datetime.UTC).year == 2126  # a GeneralizedTime
