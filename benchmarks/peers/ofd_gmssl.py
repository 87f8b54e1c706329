"""Peer of bench_seal: the check of a sealed OFD as gmssl's documentation would have it done.

Runs in an environment of its own. Reads one JSON line with the job, then one line per round; answers each round with
the CPU seconds it took. Unzips, reads the references, digests every file with gmssl's SM3, verifies the outer SM2
signature with gmssl. The seal inside, coverage and certificates are not looked at.
"""

import base64
import io
import json
import sys
import time
import xml.etree.ElementTree as ET
import zipfile
from importlib import metadata

from gmssl import func, sm2, sm3

NAMESPACE = "{http://www.ofdspec.org/2016}"


def check(job):
    """One file."""
    archive = zipfile.ZipFile(io.BytesIO(job["file"]))
    name = next(name for name in archive.namelist() if name.endswith("/Signature.xml"))
    tree = ET.fromstring(archive.read(name))
    for reference in tree.iter(NAMESPACE + "Reference"):
        body = archive.read(reference.get("FileRef").lstrip("/"))
        digest = bytes.fromhex(sm3.sm3_hash(func.bytes_to_list(body)))
        if base64.b64decode(reference.find(NAMESPACE + "CheckValue").text) != digest:
            raise SystemExit("a digest does not agree")
    crypt = sm2.CryptSM2(private_key="", public_key=job["public"], asn1=True)
    if not crypt.verify_with_sm3(job["signature"], bytes.fromhex(job["message"])):
        raise SystemExit("the signature does not verify")


def main():
    job = json.loads(sys.stdin.readline())
    job["file"] = base64.b64decode(job["file"])
    print(json.dumps({"gmssl": metadata.version("gmssl")}), flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        check(job)
        print(json.dumps(time.process_time() - start), flush=True)


if __name__ == "__main__":
    main()
