"""Reading and writing one credential: our strict codec beside cbor2, interleaved in one run.

`python -m benchmarks.bench_codec [--smoke]` prints one JSON object: CPU µs per operation (median
and 95th percentile over rounds) and the median of the paired ratios to our operation of the same
line. `cbor2_strict` is what cbor2 needs to be as strict: decode, encode again, compare.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import cbor2

from mingzheng.formats import cbor
from mingzheng.formats.claims import encode_claims, parse_claims
from mingzheng.formats.credential import parse_credential, parse_credential_generic
from mingzheng.formats.qrtext import parse_qr_text, to_digits

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = json.loads((ROOT / "tests" / "vectors" / "credential" / "sample.json").read_text("utf-8"))["references"][0]
PAYLOAD, CREDENTIAL = bytes.fromhex(SAMPLE["payload"]), bytes.fromhex(SAMPLE["credential"])
DIGITS = to_digits(CREDENTIAL)
CLAIMS = parse_claims(PAYLOAD)
VALUE = cbor.decode(PAYLOAD, max_bytes=4096, max_depth=6)


def cbor2_strict() -> bool:
    """Decode, encode again, compare (duplicate keys, spellings and trailing bytes come out)."""
    return cbor2.dumps(cbor2.loads(PAYLOAD), canonical=True) == PAYLOAD


LINES: Mapping[str, Mapping[str, Callable[[], object]]] = {
    "decode claims map, 298 B": {
        "ours": lambda: cbor.decode(PAYLOAD, max_bytes=4096, max_depth=6),
        "cbor2": lambda: cbor2.loads(PAYLOAD),
        "cbor2_strict": cbor2_strict,
    },
    "encode claims map": {
        "ours": lambda: cbor.encode(VALUE),
        "cbor2_canonical": lambda: cbor2.dumps(VALUE, canonical=True),
    },
    "parse credential, identity included": {
        "ours": lambda: parse_credential(CREDENTIAL),
        "ours_general_decoder": lambda: parse_credential_generic(CREDENTIAL),
    },
    "claims, checked": {"ours": lambda: parse_claims(PAYLOAD), "ours_encode": lambda: encode_claims(CLAIMS)},
    "QR text, 925 digits": {
        "ours": lambda: parse_qr_text(DIGITS, prefixes=()),
        "ours_to_digits": lambda: to_digits(CREDENTIAL),
    },
}


def measure(operations: Mapping[str, Callable[[], object]], *, rounds: int, loop: int) -> dict[str, Any]:
    """CPU µs of each operation, one batch of each per round; ratios are paired within a round."""
    spent: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(rounds):
        for name, operation in operations.items():
            start = time.process_time_ns()
            for _ in range(loop):
                operation()
            spent[name].append((time.process_time_ns() - start) / 1e3 / loop)
    table = {}
    for name, times in spent.items():
        ordered = sorted(times)
        table[name] = {
            "median_us": round(statistics.median(times), 2),
            "p95_us": round(ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))], 2),
            "times_ours": round(
                statistics.median(a / max(b, 1e-9) for a, b in zip(times, spent["ours"], strict=True)), 2
            ),
        }
    return table


def main() -> None:
    """Print the JSON."""
    smoke = "--smoke" in sys.argv
    rounds, loop = (1, 10) if smoke else (20, 1000)
    result = {
        "bench": "codec",
        "rounds": rounds,
        "operations_per_round": loop,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {"cbor2": metadata.version("cbor2")},
        "bytes": {"credential": len(CREDENTIAL), "payload": len(PAYLOAD), "digits": len(DIGITS)},
        "lines": {name: measure(line, rounds=rounds, loop=loop) for name, line in LINES.items()},
    }
    print(json.dumps(result, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
