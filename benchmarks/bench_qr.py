"""QR writing and reading: zxing-cpp beside segno, qrcode and pyzbar, interleaved in one run.

`python -m benchmarks.bench_qr [--smoke]` prints one JSON object. CPU time per operation in ms
(median and 95th percentile over rounds) and the median of the paired ratios to ours. Sizes: the
fixed sample signed only, with a one-hash and a four-hash receipt, with and without prefix. Pages:
A4 in grey at 200 dpi with one code of module 0.33 mm. A peer that is not installed is named in
`absent`; with MINGZHENG_PEERS_PYTHON set the program runs itself in that environment instead.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = json.loads((ROOT / "tests" / "vectors" / "qr" / "sample.json").read_text("utf-8"))[0]
PEERS = {"segno": "segno", "qrcode": "qrcode", "pyzbar": "pyzbar"}
DPI, MODULE_MM = 200, 0.33


def corpus() -> dict[str, tuple[str, str | None]]:
    """Digits and prefix of each case; receipts are noise of the size receipts have."""
    cases: dict[str, tuple[str, str | None]] = {}
    for name, extra in (("signed", 0), ("one_hash", 146), ("four_hashes", 251)):
        data = bytes.fromhex(SAMPLE["hex"]) + random.Random(extra).randbytes(extra)
        digits = str(int.from_bytes(data, "big"))
        cases[name] = (digits, None)
        cases[f"{name}_prefix"] = (digits, SAMPLE["prefix"])
    return cases


def writers() -> dict[str, Callable[[str, str | None], int]]:
    """Each gives the version of the symbol it made as a matrix of modules."""
    from mingzheng.formats.qrimage import encode_qr

    made: dict[str, Callable[[str, str | None], int]] = {
        "ours": lambda digits, prefix: encode_qr(digits, prefix).version
    }
    if _installed("segno"):
        import segno

        def with_segno(digits: str, prefix: str | None) -> int:
            parts = [digits] if prefix is None else [prefix, digits]
            return int(segno.make_qr(parts, error="m", boost_error=False).version)

        made["segno"] = with_segno
    if _installed("qrcode"):
        import qrcode

        def with_qrcode(digits: str, prefix: str | None) -> int:
            code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M)
            code.add_data((prefix or "") + digits, optimize=20)
            code.make(fit=True)
            return int(code.version)

        made["qrcode"] = with_qrcode
    return made


def readers() -> dict[str, Callable[[Any], int]]:
    """Each gives the number of codes it read whose text is the right one."""
    from mingzheng.formats.limits import LIMITS_DEFAULT
    from mingzheng.formats.qrimage import read_qr

    made: dict[str, Callable[[Any], int]] = {
        "ours": lambda page: sum(symbol.reader == "zxing-cpp" for symbol in read_qr(page, limits=LIMITS_DEFAULT))
    }
    if _installed("pyzbar"):
        try:
            from pyzbar import pyzbar
        except ImportError:  # the package without its system library
            return made
        made["pyzbar"] = lambda page: len(pyzbar.decode(page, symbols=[pyzbar.ZBarSymbol.QRCODE]))
    return made


def page(digits: str, prefix: str | None) -> Any:
    """An A4 page at 200 dpi, in grey, with the code at the lower right."""
    from PIL import Image

    from mingzheng.formats.qrimage import QUIET_ZONE, encode_qr, matrix_to_png

    matrix = encode_qr(digits, prefix)
    side = round((matrix.size + 2 * QUIET_ZONE) * MODULE_MM / 25.4 * DPI)
    code = Image.open(io.BytesIO(matrix_to_png(matrix, 8))).convert("L").resize((side, side), Image.Resampling.BOX)
    sheet = Image.new("L", (round(210 / 25.4 * DPI), round(297 / 25.4 * DPI)), 235)
    sheet.paste(code, (sheet.width - side - 150, sheet.height - side - 150))
    return sheet


def measure(operations: dict[str, Callable[[], int]], rounds: int) -> dict[str, dict[str, float | int]]:
    """CPU ms per operation, one of each per round; ratios are paired within a round."""
    spent: dict[str, list[float]] = {name: [] for name in operations}
    answers = {name: operation() for name, operation in operations.items()}  # warm up
    for _ in range(rounds):
        for name, operation in operations.items():
            start = time.process_time_ns()
            operation()
            spent[name].append((time.process_time_ns() - start) / 1e6)
    table: dict[str, dict[str, float | int]] = {}
    for name, times in spent.items():
        ratios = [other / max(own, 1e-6) for other, own in zip(times, spent["ours"], strict=True)]
        ordered = sorted(times)
        table[name] = {
            "answer": answers[name],
            "median_ms": round(statistics.median(times), 3),
            "p95_ms": round(ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))], 3),
            "times_ours": round(statistics.median(ratios), 2),
        }
    return table


def run(*, rounds: int) -> dict[str, Any]:
    writing, reading = {}, {}
    for name, (digits, prefix) in corpus().items():
        made = {who: functools.partial(write, digits, prefix) for who, write in writers().items()}
        writing[name] = {"digits": len(digits), "writers": measure(made, rounds)}
        sheet = page(digits, prefix)
        seen = {who: functools.partial(read, sheet) for who, read in readers().items()}
        reading[name] = measure(seen, rounds)
    packages = ("zxing-cpp", "pillow", *PEERS)
    return {
        "bench": "qr",
        "rounds": rounds,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "commit": _commit(),
        "versions": {name: metadata.version(name) for name in packages if _installed(name.replace("-", ""))},
        "absent": [name for name in PEERS if not _installed(name)],
        "write": writing,
        "read_a4_200dpi": reading,
    }


def _installed(module: str) -> bool:
    return importlib.util.find_spec({"pillow": "PIL"}.get(module, module)) is not None


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Print the JSON, from the peers' environment where this one lacks a peer."""
    peers = os.environ.get("MINGZHENG_PEERS_PYTHON")
    missing = [name for name in PEERS if not _installed(name)]
    if missing and peers and "--here" not in sys.argv:
        command = [peers, "-m", "benchmarks.bench_qr", *sys.argv[1:], "--here"]
        raise SystemExit(subprocess.run(command, cwd=ROOT, check=False).returncode)
    print(json.dumps(run(rounds=1 if "--smoke" in sys.argv else 20), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
