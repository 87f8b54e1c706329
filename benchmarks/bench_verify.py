"""Token verification: ours beside the signature alone, a bare cbor2 loop and two COSE libraries, in one run.

`python -m benchmarks.bench_verify [--smoke]` prints one JSON object: CPU µs per token, median and 95th
percentile over rounds, and the median of the paired ratios to ours. Every round runs every contestant once,
one after the other, so that load falls on all alike. Ours does everything a verdict needs: strict parsing,
issuer signature, scope, receipt (signature and path), grade, status list, freshness, windows by the profile.
The others do what their line says. Peers run in the environment MINGZHENG_PEERS_PYTHON names; they know
their own algorithm labels (pycose −8 only), so their tokens are the same claims under −8.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.peer import Peer, peers_python

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the corpus is the simulator's world

Contest = dict[str, Callable[[], object]]
BLOCKING = ["STALE", "TRUST_UNSIGNED"]  # under policy bid


def corpus(count: int, *, together: int) -> tuple[Any, list[bytes]]:
    """A world and `count` tokens, logged `together` in a round."""
    from simulator import World

    world = World()
    tokens: list[bytes] = []
    while len(tokens) < count:
        first = world.issuers[1].next_serial
        issued = world.issue(*(world.claims(serial=first + number) for number in range(together)))
        tokens += [item.token for item in issued]
    return world, tokens[:count]


def contestants(world: Any, tokens: Sequence[bytes]) -> Contest:
    """Everything that runs in this environment."""
    from mingzheng.formats.credential import parse_credential
    from mingzheng.verifier.batch import verify_batch

    context = world.trusting()
    key = world.issuers[1].credential_signer.public_key
    parsed = [parse_credential(token) for token in tokens]

    def ours() -> object:
        context.blocks_seen.clear()  # a new batch: nothing remembered
        verdicts = verify_batch(tokens, context)
        assert set(verdicts) == {"VALID_COMPARE"}
        return verdicts

    made: Contest = {"ours": ours, "signature_alone": lambda: [key._verify(u.signature, u.signed) for u in parsed]}
    if importlib.util.find_spec("cbor2") is not None:
        bare = _Bare(world)
        made["bare_cbor2_signature_window"] = lambda: [bare.window(token) for token in tokens]
        made["bare_cbor2_signature_window_receipt"] = lambda: [bare.receipt(token) for token in tokens]
    return made


class _Bare:
    """What a user writes in an afternoon with cbor2 and cryptography: no strictness, no scope, no status."""

    def __init__(self, world: Any) -> None:
        import cbor2
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self.loads, self.dumps = cbor2.loads, cbor2.dumps
        raw = world.issuers[1].credential_signer.public_key.raw()
        self.keys = {world.issuers[1].credential_signer.public_key.kid: Ed25519PublicKey.from_public_bytes(raw)}
        self.log_key = Ed25519PublicKey.from_public_bytes(world.logs[1].receipt_signer.public_key.raw())
        self.now = world.now

    def window(self, token: bytes) -> Any:
        protected, unprotected, payload, signature = self.loads(token).value
        signed = self.dumps(["Signature1", protected, b"", payload])
        self.keys[self.loads(protected)[4]].verify(signature, signed)
        claims = self.loads(payload)
        assert claims[6] <= self.now < claims[4]
        return unprotected, signed, claims

    def receipt(self, token: bytes) -> None:
        unprotected, signed, claims = self.window(token)
        fields = claims[-65537]
        identity = hashlib.sha256(signed).digest()
        day = (claims[6] + 28_800) // 86_400
        kid = next(iter(self.keys))
        entry = self.dumps([1, 1, 1, kid, fields[4], fields[15], identity, day])
        protected, header, _none, signature = self.loads(unprotected[394][0]).value
        _size, index, path = self.loads(header[396][-1][0])
        node = hashlib.sha256(b"\x00" + entry).digest()
        for sibling in path:
            node = hashlib.sha256(b"\x01" + (sibling + node if index & 1 else node + sibling)).digest()
            index >>= 1
        self.log_key.verify(signature, self.dumps(["Signature1", protected, b"", node]))


def peers_of(python: str, world: Any, tokens: Sequence[bytes]) -> Peer:
    """The COSE libraries, with the same claims under their own label; one line of CPU seconds a round."""
    from mingzheng.formats import cbor, cose
    from mingzheng.formats.credential import parse_credential

    key = world.issuers[1].credential_signer
    relabelled = []
    for token in tokens:
        payload = parse_credential(token).payload
        protected = cbor.encode({1: -8, 4: key.public_key.kid})
        signature = key.sign(cose.sig_structure(protected, payload))
        relabelled.append(
            b"\xd2\x84" + cbor.encode(protected) + b"\xa0" + cbor.encode(payload) + b"\x58\x40" + signature
        )
    job = {"tokens": [item.hex() for item in relabelled], "raw": key.public_key.raw().hex()}
    return Peer(python, "verify_cose.py", job)


def measure(contest: Contest, peers: Peer | None, *, count: int, rounds: int) -> dict[str, Any]:
    """CPU µs per token; ratios are paired within a round."""
    spent: dict[str, list[float]] = {name: [] for name in contest}
    for operation in contest.values():
        operation()  # warm up
    for _ in range(rounds):
        for name, operation in contest.items():
            start = time.process_time_ns()
            operation()
            spent[name].append((time.process_time_ns() - start) / 1e3 / count)
        for name, seconds in (peers.ask("go") if peers is not None else {}).items():
            spent.setdefault(name, []).append(seconds * 1e6 / count)
    return {name: _row(times, spent["ours"]) for name, times in spent.items()}


def _row(times: list[float], ours: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "median_us": round(statistics.median(times), 1),
        "p95_us": round(ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))], 1),
        "times_ours": round(statistics.median(a / b for a, b in zip(times, ours, strict=True)), 2),
    }


def command_line(world: Any, token: bytes, folder: Path, *, runs: int) -> dict[str, float]:
    """Wall seconds of `mingzheng verify` on one QR picture, process start included."""
    from mingzheng.formats.qrimage import encode_qr, matrix_to_png
    from mingzheng.formats.qrtext import to_digits
    from mingzheng.keys.snapshot import save_store

    world.publish_status()
    save_store(folder / "trust", world.trust_files())
    picture = folder / "code.png"
    picture.write_bytes(matrix_to_png(encode_qr(to_digits(token)), 8))
    command = [sys.executable, "-m", "mingzheng", "verify", str(picture), "--trust", str(folder / "trust"), "--json"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as installed
    times, load, before = [], os.getloadavg()[0], _children()
    for _ in range(runs + 1):
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
        times.append(time.perf_counter() - start)
        row = json.loads(done.stdout)
        assert row["verdict"] == "STALE", row["verdict"]  # the world of the tests lies in the past; all else held
        assert [found["code"] for found in row["findings"] if found["severity"] == "blocks"] == BLOCKING
    return {
        "median_s": round(statistics.median(times[1:]), 3),
        "worst_s": round(max(times[1:]), 3),
        "cpu_s": round((_children() - before) / (runs + 1), 3),
        "load": round(max(load, os.getloadavg()[0]), 1),
        "runs": runs,
    }


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(*, smoke: bool) -> dict[str, Any]:
    """The whole benchmark as one JSON object."""
    import tempfile

    count, rounds = (3, 1) if smoke else (600, 20)
    python = peers_python()
    results: dict[str, Any] = {}
    versions: dict[str, str] = {"cryptography": metadata.version("cryptography")}
    if importlib.util.find_spec("cbor2") is not None:
        versions["cbor2"] = metadata.version("cbor2")
    for name, together in (("bulk_15_in_a_round", 15), ("issued_alone", 1)):
        world, tokens = corpus(count, together=together)
        peers = None if python is None else peers_of(python, world, tokens)
        results[name] = {
            "token_bytes": len(tokens[0]),
            "contestants": measure(contestants(world, tokens), peers, count=count, rounds=rounds),
        }
        if peers is not None:
            versions.update({f"peer {key}": value for key, value in peers.versions.items()})
            peers.close()
    world, tokens = corpus(1, together=1)
    with tempfile.TemporaryDirectory() as folder:
        picture = command_line(world, tokens[0], Path(folder), runs=1 if smoke else 20)
    return {
        "bench": "verify",
        "tokens": count,
        "rounds": rounds,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "commit": _commit(),
        "versions": versions,
        "absent": [] if python else ["python-cwt", "pycose"],
        "token_cpu": results,
        "command_on_a_qr_picture": picture,
    }


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    print(json.dumps(run(smoke="--smoke" in sys.argv), ensure_ascii=False, indent=1))
