"""What the OFD tables of two benchmarks share: the floor that nobody can avoid, and the job of the peer with gmssl."""

import base64
import io
import xml.etree.ElementTree as ET
import zipfile

from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.ses import parse_signature
from mingzheng.keys.sm3 import sm3
from mingzheng.keys.x509 import parse_certificate


def floor(data: bytes) -> None:
    """Unzip, parse every XML, SM3 of every file; nothing is checked."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            body = archive.read(name)
            sm3(body)
            if name.endswith(".xml"):
                ET.fromstring(body)  # our own file


def job(data: bytes) -> dict[str, str]:
    """What the peer is told: the file, the outer signature and its key."""
    package = read_package(data, limits=OFD_LIMITS)
    name = next(name for name in package.files if name.endswith("SignedValue.dat"))
    signed = parse_signature(package.files[name])
    return {
        "file": base64.b64encode(data).decode(),
        "public": parse_certificate(signed.certificate).spki[-64:].hex(),
        "message": signed.signed.hex(),
        "signature": signed.signature.hex(),
    }
