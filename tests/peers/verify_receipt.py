"""Judge receipts with scitt-cose, an RFC 9942 implementation that is not ours. Runs in the peers' environment.

In (stdin): JSON list of {"receipt", "entry", "pem"} (bytes as hex). Out: JSON list of {"ok", "errors"}.
"""

import json
import sys
from importlib.metadata import version

from scitt_cose.receipt import verify_receipt


def judge(case: dict[str, str]) -> dict[str, object]:
    result = verify_receipt(
        bytes.fromhex(case["receipt"]), leaf_entry_hex=case["entry"], log_public_key_pem=case["pem"].encode()
    )
    return {"ok": result.ok, "errors": result.errors}


if __name__ == "__main__":
    verdicts = [judge(case) for case in json.load(sys.stdin)]
    json.dump({"peer": f"scitt-cose {version('scitt-cose')}", "verdicts": verdicts}, sys.stdout)
