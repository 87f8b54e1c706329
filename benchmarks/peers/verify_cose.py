"""Peers of bench_verify: python-cwt and pycose on the same claims, signature only, in an environment of their own.

Reads one JSON line with tokens and key, answers with versions; then a line per round, answered with the CPU
seconds each library took for all tokens.
"""

import json
import sys
import time
from importlib import metadata

from cwt import COSE, COSEKey
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import Sign1Message


def timed(operation, tokens):
    start = time.process_time()
    for token in tokens:
        operation(token)
    return time.process_time() - start


def main():
    job = json.loads(sys.stdin.readline())
    tokens = [bytes.fromhex(token) for token in job["tokens"]]
    raw = bytes.fromhex(job["raw"])
    kid = tokens[0][8:16]
    cose = COSE.new(alg_auto_inclusion=False, kid_auto_inclusion=False)
    key = COSEKey.new({1: 1, 2: kid, 3: -8, -1: 6, -2: raw})
    other = OKPKey(crv=Ed25519, x=raw)

    def with_cwt(token):
        cose.decode(token, key)

    def with_pycose(token):
        message = Sign1Message.decode(token)
        message.key = other
        if not message.verify_signature():
            raise SystemExit("pycose refused a good token")

    for operation in (with_cwt, with_pycose):
        operation(tokens[0])
    names = ("cwt", "pycose", "cbor2", "cryptography")
    print(json.dumps({name: metadata.version(name) for name in names}), flush=True)
    for _line in sys.stdin:
        print(
            json.dumps(
                {
                    "python_cwt_signature": timed(with_cwt, tokens),
                    "pycose_signature": timed(with_pycose, tokens),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
