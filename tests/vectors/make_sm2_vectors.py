"""Make the SM2 and certificate vectors by an independent path: cbor2 and the openssl command (3.0 or newer).

Run by hand: `python tests/vectors/make_sm2_vectors.py`; what it writes is committed. SM2 signatures draw a random
number, so another run gives other bytes. Nothing of mingzheng is imported. Writes sm2/signatures.json,
credential/sm2.json and x509/certificates.json.
"""

from __future__ import annotations

import base64
import hashlib
import pathlib
import subprocess
import tempfile
from typing import Any

from make_credential_vectors import PAYLOAD, dumps, make, signed_bytes, write

ID = "1234567812345678"
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
ALG = -66037
WORK = pathlib.Path(tempfile.mkdtemp())


def openssl(*words: str, data: bytes | None = None) -> bytes:
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True, cwd=WORK).stdout


class Key:
    """A private key in a file of openssl's."""

    def __init__(self, name: str, *options: str) -> None:
        self.file = f"{name}.key"
        (WORK / self.file).write_bytes(openssl("genpkey", *options))
        self.spki = openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")

    @property
    def is_sm2(self) -> bool:
        return bytes.fromhex("06082a811ccf5501822d") in self.spki

    @property
    def kid(self) -> bytes:
        return hashlib.sha256(self.spki).digest()[:8]

    def scalar(self) -> bytes:
        lines = openssl("pkey", "-in", self.file, "-noout", "-text").decode().splitlines()
        digits = "".join(lines[2:5]).replace(":", "").replace(" ", "")
        return bytes.fromhex(digits)[-32:].rjust(32, b"\0")

    def sign_der(self, message: bytes, *, user_id: str = ID) -> bytes:
        (WORK / "message").write_bytes(message)
        options = ("-rawin", "-digest", "sm3", "-pkeyopt", f"hexdistid:{user_id.encode().hex()}")
        return openssl("pkeyutl", "-sign", "-inkey", self.file, *options, "-in", "message")

    def sign(self, message: bytes, *, user_id: str = ID) -> bytes:
        return raw(self.sign_der(message, user_id=user_id))


def raw(der: bytes) -> bytes:
    """r and s of a DER signature, 32 bytes each."""
    size = der[3]
    r, s = der[4 : 4 + size], der[4 + size + 2 :]
    return int.from_bytes(r, "big").to_bytes(32, "big") + int.from_bytes(s, "big").to_bytes(32, "big")


def signatures(key: Key) -> list[dict[str, Any]]:
    """Good signatures over messages of several lengths and under several ids, each made by openssl."""
    cases = []
    for size in (0, 1, 31, 32, 33, 64, 1000):
        for user_id in (ID, "ALICE123@YAHOO.COM", "x"):
            message = bytes(range(256)) * 4
            message = message[:size]
            cases.append(
                {
                    "point": key.spki[-65:].hex(),
                    "id": user_id.encode().hex(),
                    "message": message.hex(),
                    "signature": key.sign(message, user_id=user_id).hex(),
                    "der": key.sign_der(message, user_id=user_id).hex(),
                }
            )
    return cases


def credential(key: Key) -> dict[str, Any]:
    """The fixed sample signed with SM2, and well-made credentials with one fault each."""
    protected = dumps({1: ALG, 4: key.kid})
    message = signed_bytes(protected, PAYLOAD)
    signature = key.sign(message)
    r, s = signature[:32], signature[32:]
    order = ORDER.to_bytes(32, "big")
    t_zero = ORDER - int.from_bytes(r, "big")
    hostile = []

    def add(name: str, code: str, signed: bytes, head: bytes = protected) -> None:
        hostile.append({"name": name, "code": code, "hex": make(PAYLOAD, protected=head, sign=lambda _m: signed).hex()})

    add("der_signature", "cose.malformed", key.sign_der(message))
    add("other_id", "credential.forged", key.sign(message, user_id="1234567812345679"))
    add("no_id", "credential.forged", key.sign(message, user_id=""))
    add("other_message", "credential.forged", key.sign(message + b"\0"))
    add("digest_instead_of_message", "credential.forged", key.sign(hashlib.sha256(message).digest()))
    add("other_key", "credential.forged", Key("stranger", "-algorithm", "SM2").sign(message))
    add("swapped", "credential.forged", s + r)
    add("r_zero", "credential.forged", bytes(32) + s)
    add("s_zero", "credential.forged", r + bytes(32))
    add("r_is_order", "credential.forged", order + s)
    add("s_is_order", "credential.forged", r + order)
    add("r_plus_s_is_order", "credential.forged", r + t_zero.to_bytes(32, "big"))
    add("negated_s", "credential.forged", r + (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big"))
    for number, code in ((-9, "credential.forged"), (-19, "credential.forged"), (-65537, "cose.malformed")):
        head = dumps({1: number, 4: key.kid})
        add(f"alg_{-number}_over_sm2_key", code, key.sign(signed_bytes(head, PAYLOAD)), head)
    for number in (-66036, -66038, -48, 66037, -131573):
        head = dumps({1: number, 4: key.kid})
        add(f"alg_{number}", "cose.malformed", key.sign(signed_bytes(head, PAYLOAD)), head)
    return {
        "reference": {
            "name": "sm2",
            "private": key.scalar().hex(),
            "spki": key.spki.hex(),
            "kid": key.kid.hex(),
            "protected": protected.hex(),
            "payload": PAYLOAD.hex(),
            "sig_structure": message.hex(),
            "identity": hashlib.sha256(message).hexdigest(),
            "signature": signature.hex(),
            "credential": make(PAYLOAD, protected=protected, sign=lambda _m: signature).hex(),
        },
        "hostile": hostile,
    }


CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
END = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,nonRepudiation\n"
KEYIDS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
KINDS = {
    "sm2": ("-algorithm", "SM2"),
    "p256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "p384": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
}


def issue(
    subject: str, key: Key, extensions: str, digest: str = "-sha256", *, issuer: tuple[str, Key] | None = None
) -> str:
    """A certificate by the openssl command, kept as a PEM file; its DER in base64."""
    (WORK / "ext").write_text(extensions)
    name = f"/C=CN/O=测试机构/CN={subject}"
    own = ("-sm3", "-sigopt", f"distid:{ID}") if key.is_sm2 else ("-sha256",)
    (WORK / "csr").write_bytes(openssl("req", "-new", "-utf8", "-key", key.file, "-subj", name, *own))
    by = ("-CA", f"{issuer[0]}.pem", "-CAkey", issuer[1].file) if issuer else ("-key", key.file)
    ids = (
        *(("-sigopt", f"distid:{ID}") if digest == "-sm3" else ()),
        *(("-vfyopt", f"distid:{ID}") if key.is_sm2 else ()),
    )
    words = ("-req", "-in", "csr", "-days", "36500", "-extfile", "ext", "-set_serial", "0x1234567890abcdef")
    pem = openssl("x509", *words, *by, *ids, digest)
    (WORK / f"{subject}.pem").write_bytes(pem)
    return base64.b64encode(openssl("x509", "-outform", "DER", data=pem)).decode()


def certificates() -> dict[str, Any]:
    """For each kind of key a root, a certificate of every kind under it where openssl signs it, and odd ones."""
    keys = {name: Key(f"end {name}", *options) for name, options in KINDS.items()}
    made: dict[str, Any] = {}
    for name, options in KINDS.items():
        root = Key(f"root {name}", *options)
        digest = {"sm2": "-sm3", "p384": "-sha384"}.get(name, "-sha256")
        made[f"root {name}"] = issue(f"root {name}", root, CA, digest)
        for other in (name, "p256"):
            end = issue(f"{other} by {name}", keys[other], END + KEYIDS, digest, issuer=(f"root {name}", root))
            made[f"{other} by {name}"] = end
    p256 = keys["p256"]
    odd = {
        "no key usage": "basicConstraints=critical,CA:FALSE\n",
        "unknown critical": END + "1.2.3.4.5=critical,ASN1:UTF8String:x\n",
        "unknown": END + "1.2.3.4.5=ASN1:UTF8String:x\n",
        "harmless critical": END + "subjectAltName=critical,DNS:x\nextendedKeyUsage=critical,emailProtection\n"
        "certificatePolicies=critical,1.2.3\n",
        "name constraints": CA + "nameConstraints=critical,permitted;DNS:x\n",
        "path length": CA.replace("CA:TRUE", "CA:TRUE,pathlen:3"),
    }
    for name, extensions in odd.items():
        made[name] = issue(name, p256, extensions)
    made["rsa 1024"] = issue("rsa 1024", Key("weak", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"), END)
    made["ed25519"] = ed25519()
    return made


def ed25519() -> str:
    Key("ed", "-algorithm", "ED25519")
    pem = openssl("req", "-new", "-x509", "-key", "ed.key", "-subj", "/CN=ed", "-days", "36500")
    return base64.b64encode(openssl("x509", "-outform", "DER", data=pem)).decode()


def main() -> None:
    key = Key("credential", "-algorithm", "SM2")
    write("sm2/signatures.json", signatures(key))
    write("credential/sm2.json", credential(key))
    write("x509/certificates.json", certificates())


if __name__ == "__main__":
    main()
