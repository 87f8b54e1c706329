"""Judge credentials with COSE libraries that are not ours. Runs in the peers' environment.

In (stdin): JSON list of {"credential", "alg", "spki", "kid"} (bytes as hex). Out: per library
{"version", "payloads": [hex of the payload, or null where it refused]}.

python-cwt knows -19 and -9 by itself. pycose knows neither: its own EdDSA and ES256 are entered in
its registry under those numbers, everything else (decoding, Sig_structure, verification) is its own.
"""

import json
import sys
from importlib.metadata import version


def with_cwt(case):
    from cwt import COSE, COSEKey

    spki = bytes.fromhex(case["spki"])
    if case["alg"] == -19:
        key = {1: 1, 3: -19, -1: 6, -2: spki[-32:], 2: bytes.fromhex(case["kid"])}
    else:
        key = {1: 2, 3: -9, -1: 1, -2: spki[-64:-32], -3: spki[-32:], 2: bytes.fromhex(case["kid"])}
    return COSE.new(verify_kid=True).decode(bytes.fromhex(case["credential"]), COSEKey.new(key))


def register_pycose():
    from pycose.algorithms import CoseAlgorithm, EdDSA, Es256

    @CoseAlgorithm.register_attribute()
    class Ed25519(EdDSA):
        identifier, fullname = -19, "ED25519"

    @CoseAlgorithm.register_attribute()
    class Esp256(Es256):
        identifier, fullname = -9, "ESP256"


def with_pycose(case):
    from pycose.keys import EC2Key, OKPKey
    from pycose.keys.curves import P256
    from pycose.keys.curves import Ed25519 as Curve
    from pycose.messages import CoseMessage

    spki = bytes.fromhex(case["spki"])
    message = CoseMessage.decode(bytes.fromhex(case["credential"]))
    if case["alg"] == -19:
        message.key = OKPKey(crv=Curve, x=spki[-32:])
    else:
        message.key = EC2Key(crv=P256, x=spki[-64:-32], y=spki[-32:])
    return message.payload if message.verify_signature() else None


def run(name, judge, cases):
    payloads = []
    for case in cases:
        try:
            payload = judge(case)
        except Exception:  # noqa: BLE001 - a peer's refusal may be any exception
            payload = None
        payloads.append(payload.hex() if isinstance(payload, bytes) else None)
    return {"version": version(name), "payloads": payloads}


def main():
    cases = json.load(sys.stdin)
    answer = {}
    for name, judge in (("cwt", with_cwt), ("pycose", with_pycose)):
        try:
            version(name)
        except ImportError:
            continue
        if name == "pycose":
            register_pycose()
        answer[name] = run(name, judge, cases)
    json.dump(answer, sys.stdout)


main()
