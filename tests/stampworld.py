"""A time-stamping authority and a revocation list under the CA of `sealpress`, all in this process."""

import datetime
import hashlib
from dataclasses import dataclass
from functools import cache

import sealpress
from asn1crypto import algos, cms, core, keys, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.sign.timestamps import DummyTimeStamper

from mingzheng.formats.pdf.seal import Evidence

MOMENT = datetime.datetime.fromtimestamp(sealpress.AT, datetime.UTC)


@cache
def crl() -> bytes:
    """DER of the CA's list of revoked certificates: none."""
    key = load_der_private_key(sealpress.private("root").private_bytes(), None)
    assert not isinstance(key, rsa.RSAPrivateKey)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_der_x509_certificate(sealpress.root()).subject)
        .last_update(MOMENT - datetime.timedelta(hours=1))
        .next_update(MOMENT + datetime.timedelta(days=30))
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@cache
def _authority() -> tuple[bytes, keys.PrivateKeyInfo]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer_key = load_der_private_key(sealpress.private("root").private_bytes(), None)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "测试时间戳")]))
        .issuer_name(x509.load_der_x509_certificate(sealpress.root()).subject)
        .public_key(key.public_key())
        .serial_number(77)
        .not_valid_before(MOMENT - datetime.timedelta(days=900))
        .not_valid_after(MOMENT + datetime.timedelta(days=900))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(issuer_key, hashes.SHA256())  # type: ignore[arg-type]
        .public_bytes(Encoding.DER)
    )
    private = keys.PrivateKeyInfo.load(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


@dataclass(frozen=True)
class LocalStamps:
    """A TimeStampService: level T, or LTA with evidence."""

    archive: bool
    token_bytes_max: int = 4096
    at: int = sealpress.AT + 5

    @property
    def evidence(self) -> Evidence | None:
        if not self.archive:
            return None
        certificates = (sealpress.root(), _authority()[0])
        return Evidence(certificates=certificates, crls=(crl(),), ocsps=())

    def stamp(self, digest: bytes) -> bytes:
        request = tsp.TimeStampReq(
            {
                "version": 1,
                "message_imprint": {
                    "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
                    "hashed_message": digest,
                },
                "cert_req": True,
                "nonce": core.Integer(int.from_bytes(hashlib.sha256(digest).digest()[:8])),
            }
        )
        token = respond(request, self.at)["time_stamp_token"]
        assert isinstance(token, cms.ContentInfo)
        data: bytes = token.dump()
        return data


def respond(request: tsp.TimeStampReq, at: int = sealpress.AT + 5) -> tsp.TimeStampResp:
    """What the authority answers at a moment."""
    certificate, private = _authority()
    stamper = DummyTimeStamper(
        tsa_cert=asn1_x509.Certificate.load(certificate),
        tsa_key=private,
        fixed_dt=datetime.datetime.fromtimestamp(at, datetime.UTC),
    )
    return stamper.request_tsa_response(request)
