"""The CMS of a seal, read back by asn1crypto and checked with cryptography."""

import hashlib
from typing import Any

import pytest
import sealpress
import stampworld
from asn1crypto import cms
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.pdf.cms import Signer, detached_cms, signer_of
from mingzheng.formats.pdf.revise import PdfSealError
from mingzheng.keys.der import parse_der
from mingzheng.keys.errors import CertError
from mingzheng.keys.sealkey import SealAlg

NAME = "某部"


def signer(alg: SealAlg) -> Signer:
    return signer_of(str(alg), sealpress.certificate(NAME, alg), (sealpress.root(),))


def read(data: bytes) -> Any:
    """SignedData; the bytes must be strict DER from end to end."""
    parse_der(data, max_depth=32)
    info = cms.ContentInfo.load(data, strict=True)
    assert info["content_type"].native == "signed_data"
    return info["content"]


@pytest.mark.parametrize("alg", [SealAlg.P256, SealAlg.RSA])
@given(content=st.binary(max_size=64))
def test_says_what_pades_demands_and_verifies(alg: SealAlg, content: bytes) -> None:
    digest = hashlib.sha256(content).digest()
    key = sealpress.seal_key(NAME, alg)
    signed = read(detached_cms(signer(alg), digest=digest, sign=key.sign, stamp=None))
    assert signed["encap_content_info"]["content"].native is None
    (info,) = signed["signer_infos"]
    attributes = {entry["type"].native: entry["values"] for entry in info["signed_attrs"]}
    assert set(attributes) == {"content_type", "message_digest", "signing_certificate_v2"}
    assert attributes["message_digest"][0].native == digest
    reference = attributes["signing_certificate_v2"][0]["certs"][0]
    assert reference["cert_hash"].native == hashlib.sha256(key.certificate).digest()
    assert reference["hash_algorithm"]["algorithm"].native == "sha256"
    parsed = load_der_x509_certificate(key.certificate)
    assert info["sid"].chosen["serial_number"].native == parsed.serial_number
    assert info["sid"].chosen["issuer"].dump() == parsed.issuer.public_bytes()
    assert {entry.chosen.dump() for entry in signed["certificates"]} == {key.certificate, sealpress.root()}
    assert [entry.dump() for entry in info["signed_attrs"]] == sorted(entry.dump() for entry in info["signed_attrs"])
    message, public = info["signed_attrs"].untag().dump(), parsed.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(info["signature"].native, message, padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(info["signature"].native, message, ec.ECDSA(hashes.SHA256()))


def test_time_stamp_is_over_the_signature() -> None:
    key = sealpress.seal_key(NAME)
    data = detached_cms(
        signer(SealAlg.P256), digest=bytes(32), sign=key.sign, stamp=stampworld.LocalStamps(archive=False).stamp
    )
    (info,) = read(data)["signer_infos"]
    (attribute,) = info["unsigned_attrs"]
    assert attribute["type"].native == "signature_time_stamp_token"
    token = attribute["values"][0]["content"]["encap_content_info"]["content"].parsed
    assert token["message_imprint"]["hashed_message"].native == hashlib.sha256(info["signature"].native).digest()


@pytest.mark.parametrize("alg", [SealAlg.P256, SealAlg.RSA])
def test_no_signature_is_longer_than_the_room_for_it(alg: SealAlg) -> None:
    key, frame = sealpress.seal_key(NAME, alg), signer(alg)
    for number in range(40):
        digest = hashlib.sha256(bytes([number])).digest()
        assert len(detached_cms(frame, digest=digest, sign=key.sign, stamp=None)) <= frame.size_max


def test_refuses_algorithms_readers_do_not_know_and_broken_certificates() -> None:
    for alg in ("sm2-sm3", "", "rsa-sha1"):
        with pytest.raises(PdfSealError):
            signer_of(alg, sealpress.certificate(NAME), ())
    with pytest.raises(CertError):
        signer_of("rsa-sha256", b"\x30\x00", ())
