"""Revocation lists and certificates of others: lenient, and what cannot be read is said when it is read."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mingzheng.keys.crl import parse_loose_certificate, parse_revocation_list
from mingzheng.keys.errors import CertMalformedError

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = BEGIN + datetime.timedelta(days=30)
KEY, OTHER = (ec.derive_private_key(number, ec.SECP256R1()) for number in (7, 8))
HAN = "测".encode()


def name(text: str = "测试机构") -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(serial: int, *, subject: str = "测试机构", key: object = KEY) -> bytes:
    builder = x509.CertificateBuilder(name(), name(subject), key.public_key(), serial, BEGIN, END)  # type: ignore[attr-defined]
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def revocations(*serials: int, key: ec.EllipticCurvePrivateKey = KEY, issuer: str = "测试机构") -> bytes:
    builder = x509.CertificateRevocationListBuilder(name(issuer), BEGIN, END)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(BEGIN).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_list_names_what_its_issuer_revoked() -> None:
    held = parse_revocation_list(revocations(5))
    assert (held.begins, held.ends) == (int(BEGIN.timestamp()), int(END.timestamp()))
    assert held.revokes(parse_loose_certificate(certificate(5)))
    assert not held.revokes(parse_loose_certificate(certificate(6)))
    other = parse_revocation_list(revocations(5, issuer="别的机构"))
    assert not other.is_about(parse_loose_certificate(certificate(5)))
    assert not other.revokes(parse_loose_certificate(certificate(5)))


def test_a_list_is_its_signers_by_name_and_by_signature() -> None:
    signer = parse_loose_certificate(certificate(1))
    assert parse_revocation_list(revocations()).is_signed_by(signer)
    assert not parse_revocation_list(revocations(key=OTHER)).is_signed_by(signer)
    assert not parse_revocation_list(revocations(issuer="别的机构")).is_signed_by(signer)


def test_a_key_that_signs_nothing_signed_no_list() -> None:
    agreed = x25519.X25519PrivateKey.from_private_bytes(bytes(32))
    assert not parse_revocation_list(revocations()).is_signed_by(parse_loose_certificate(certificate(1, key=agreed)))


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_what_is_neither_is_refused(cut: int) -> None:
    for parse, data in ((parse_loose_certificate, certificate(1)), (parse_revocation_list, revocations())):
        with pytest.raises(CertMalformedError):
            parse(data[:cut])


def test_a_name_that_is_no_text_is_refused_at_once() -> None:
    """The library reads names only when they are asked for."""
    for parse, data in ((parse_loose_certificate, certificate(1)), (parse_revocation_list, revocations())):
        with pytest.raises(CertMalformedError):
            parse(data.replace(HAN, b"\xff\xff\xff"))
