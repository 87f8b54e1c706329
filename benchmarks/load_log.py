"""A served log under load: `python -m benchmarks.load_log [--seconds N] [--soak MINUTES] [--peer PROGRAM] [--smoke]`.

On loopback, in one run: tile reads, durable appends, five times too much, slow clients, and with --soak a long quiet
one. Beside it, with --peer, the same load on Tessera's POSIX storage (`benchmarks/peers/tessera`). The generator shares
the machine with the servers. Results: `benchmarks/results/load.json`, page `docs/results/load.md`.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import platform
import re
import resource
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from logworld import NAME, ORIGIN_KEYS, issue  # noqa: E402
from serverprogram import Server, free_port, running  # noqa: E402
from serverworld import SUBMIT  # noqa: E402

from benchmarks.loadgen import RAMP, Outcome, closed, paced, slow  # noqa: E402
from mingzheng.formats.civil import day_of_time  # noqa: E402
from mingzheng.log.client import DirectoryFetcher, LogReader  # noqa: E402
from mingzheng.log.reqsign import WINDOW_SECONDS, Target, sign_request  # noqa: E402
from mingzheng.log.tile import encode_bundle  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "load.json"
PAGE = ROOT / "docs" / "results" / "load.md"
TILE = b"GET /tile/0/000 HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW_CONNECTIONS = 1_000
OVERLOAD = 5
SOAK_GROWTH_PERCENT = 5.0  # between the first and the last third, warm-up left out
SOAK_MINUTES = 25  # shorter ones are mostly warm-up


class Writer:
    """Signed requests, ready to send, and which of them were acknowledged where."""

    def __init__(self, serials: Iterator[int]) -> None:
        self._serials = serials
        self._sent: list[tuple[bytes, ...]] = []
        self.acknowledged: dict[int, bytes] = {}
        self.refused: dict[str, int] = {}

    def make(self, count: int, *, entries: int = 1) -> Iterator[bytes]:
        """`count` requests of so many entries, signed beforehand. Use them within five minutes."""
        self._sent = []
        now = int(time.time())
        made = []
        for _ in range(count):
            batch = tuple(issue(next(self._serials), day=day_of_time(now)) for _ in range(entries))
            self._sent.append(batch)
            made.append(signed(encode_bundle(batch), now))
        return iter(made)

    def keep(self, number: int, status: int, body: bytes) -> None:
        """See loadgen.Keep."""
        if status == 200:
            for entry, row in zip(self._sent[number], json.loads(body)["entries"], strict=True):
                self.acknowledged[row["index"]] = entry
        else:
            code = json.loads(body)["code"] if body else "no answer"
            self.refused[code] = self.refused.get(code, 0) + 1

    def lost(self, public: Path) -> int:
        """How many acknowledged entries the verified log does not hold at their index."""
        reader = LogReader(DirectoryFetcher(public), ORIGIN_KEYS.vkey)
        size = reader.refresh().size
        held = dict(reader.entries(0, size))
        return sum(held.get(index) != entry for index, entry in self.acknowledged.items())


def signed(body: bytes, now: int) -> bytes:
    """A whole signed request."""
    target = Target(method="POST", path="/v1/entries", body=body, origin=NAME)
    headers = sign_request(target, signer=SUBMIT, created=now, nonce=secrets.token_urlsafe(16))
    headers |= {"Host": "x", "Content-Type": "application/octet-stream", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /v1/entries HTTP/1.1\r\n{head}\r\n".encode() + body


def plain(entry: bytes) -> bytes:
    """The peer's request: the bare entry."""
    return b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(entry), entry)


def gauges(port: int) -> dict[str, float]:
    """Memory and open files, as the server tells."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        text = page.read().decode()
    return {name: float(value) for name, value in re.findall(r"^mingzheng_log_(\w+) ([0-9.e+]+)$", text, re.M)}


def reads(port: int, seconds: float) -> dict[str, object]:
    """Full tiles: as fast as they come, then at a rate well below."""
    fast = asyncio.run(closed(port, 64, itertools.repeat(TILE), seconds))
    rate = max(100.0, 0.4 * (fast.statuses[200] / fast.took))
    calm = asyncio.run(paced(port, 256, itertools.repeat(TILE), rate=rate, seconds=seconds))
    return {"64_clients": fast.summary(), f"at_{rate:.0f}_per_second": calm.summary()}


def appends(server: Server, writer: Writer, seconds: float) -> tuple[dict[str, object], float]:
    """Entries one by one from many clients, and in packages; the first rate is what overload multiplies."""
    single = asyncio.run(closed(server.port, 256, writer.make(int(1_500 * seconds)), seconds, writer.keep))
    packed = asyncio.run(closed(server.port, 16, writer.make(int(80 * seconds), entries=64), seconds, writer.keep))
    rate = single.statuses[200] / single.took
    calm = asyncio.run(
        paced(server.port, 512, writer.make(int(0.5 * rate * seconds)), rate=0.5 * rate, seconds=seconds,
              keep=writer.keep)
    )  # fmt: skip
    found = packed.summary() | {"entries_per_second": round(64 * packed.statuses[200] / packed.took)}
    return {"256_clients_one_entry": single.summary(), "16_clients_64_entries": found,
            "half_of_that_rate_one_entry": calm.summary()}, rate  # fmt: skip


def overload(server: Server, writer: Writer, rate: float, seconds: float) -> dict[str, object]:
    """Five times as many as it can take; then how long until an append is quick again."""
    requests = writer.make(int(OVERLOAD * rate * seconds))
    before = dict(writer.refused)
    writer.refused.clear()
    outcome = asyncio.run(paced(server.port, 8_000, requests, rate=OVERLOAD * rate, seconds=seconds, keep=writer.keep))
    refused, writer.refused = writer.refused, before
    start, recovered = time.monotonic(), None
    while recovered is None and time.monotonic() - start < 60:
        probe = asyncio.run(closed(server.port, 1, writer.make(1), 10, writer.keep))
        if probe.statuses[200] == 1 and probe.seconds[0] < 1.0:
            recovered = round(time.monotonic() - start - probe.seconds[0], 2)
    return outcome.summary() | {"offered_per_second": round(OVERLOAD * rate), "refused": refused,
            "seconds_to_recover": recovered}  # fmt: skip


async def _attacked(port: int, mode: str, seconds: float, writer: Writer) -> tuple[Outcome, Outcome, int]:
    stop = asyncio.Event()
    attack = asyncio.create_task(slow(port, mode, SLOW_CONNECTIONS, stop))
    await asyncio.sleep(SLOW_CONNECTIONS / RAMP + 2)
    wanted = writer.make(int(20 * seconds) + 1)
    tiles = paced(port, 32, itertools.repeat(TILE), rate=200, seconds=seconds)
    entries = paced(port, 64, wanted, rate=20, seconds=seconds, keep=writer.keep)
    outcomes = await asyncio.gather(tiles, entries)
    stop.set()
    return outcomes[0], outcomes[1], await attack


def slow_clients(server: Server, writer: Writer, seconds: float) -> dict[str, object]:
    """1,000 slow connections of each kind; beside them a healthy reader and a healthy writer."""
    found: dict[str, object] = {}
    for mode in ("head", "body", "read"):
        tiles, entries, cuts = asyncio.run(_attacked(server.port, mode, seconds, writer))
        found[mode] = {"reads": tiles.summary(), "appends": entries.summary(), "attackers_cut_off": cuts}
    return found


def soak(server: Server, writer: Writer, minutes: float) -> dict[str, object]:
    """200 reads and 50 entries a second; memory and descriptors every ten seconds.

    Memory is compared once the server remembers as much as it ever will: answers and nonces of twice the window in
    which a request may come again.
    """
    rows: list[dict[str, float]] = []
    good: dict[str, int] = {}
    seconds = [0.0]
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        wanted = writer.make(500)

        async def both(wanted: Iterator[bytes] = wanted) -> tuple[Outcome, Outcome]:
            tiles = paced(server.port, 16, itertools.repeat(TILE), rate=200, seconds=10)
            return tuple(await asyncio.gather(tiles, paced(server.port, 64, wanted, rate=50, seconds=10,
                                                           keep=writer.keep)))  # type: ignore[return-value]  # fmt: skip

        for outcome in asyncio.run(both()):
            for status, count in outcome.statuses.items():
                good[str(status)] = good.get(str(status), 0) + count
            seconds.append(outcome.quantile(0.99))
        rows.append(gauges(server.port))
    filled = 1 + 2 * WINDOW_SECONDS // 10
    warm = rows[filled:] if len(rows) >= 2 * filled else rows[len(rows) // 6 :] or rows
    memory, files = [row["resident_bytes"] for row in warm], [row["open_files"] for row in warm]
    third = max(1, len(warm) // 3)
    first, last = sum(memory[:third]) / third, sum(memory[-third:]) / third
    return {
        "minutes": minutes, "answers": good, "worst_p99_ms_of_ten_seconds": max(seconds),
        "resident_mb_first_third": round(first / 2**20, 1), "resident_mb_last_third": round(last / 2**20, 1),
        "growth_percent": round(100 * (last / first - 1), 2), "open_files_min_max": [min(files), max(files)],
        "resident_mb_every_two_minutes": [round(row["resident_bytes"] / 2**20, 1) for row in rows[::12]],
        "log_size": rows[-1]["log_size"],
    }  # fmt: skip


@contextlib.contextmanager
def peer_running(program: Path, root: Path) -> Iterator[int]:
    """The peer, on a port of its own."""
    port = free_port()
    process = subprocess.Popen([str(program), "-dir", str(root), "-listen", f"127.0.0.1:{port}"])
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/checkpoint", timeout=5).close()
                break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def peer(program: Path, serials: Iterator[int], seconds: float) -> dict[str, object]:
    """The same load on Tessera: bare entries, unsigned, answered with the index once integrated."""
    day = day_of_time(int(time.time()))
    with tempfile.TemporaryDirectory() as root, peer_running(program, Path(root)) as port:
        endless = (plain(issue(serial, day=day)) for serial in serials)
        single = asyncio.run(closed(port, 256, endless, seconds))
        calm = asyncio.run(
            paced(port, 512, endless, rate=max(10.0, 0.5 * single.statuses[200] / single.took), seconds=seconds)
        )
        time.sleep(2)
        tiles = asyncio.run(closed(port, 64, itertools.repeat(TILE), seconds))
    return {"256_clients_one_entry": single.summary(), "half_of_that_rate_one_entry": calm.summary(),
            "tile_reads_64_clients": tiles.summary()}  # fmt: skip


def machine() -> dict[str, object]:
    """Cores, processor, versions and load now."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text(encoding="utf-8").splitlines()
             if line.startswith("model name")] if info.exists() else []  # fmt: skip
    return {"cores": os.cpu_count(), "processor": names[0] if names else platform.processor(),
            "python": platform.python_version(), "load_before": [round(x, 2) for x in os.getloadavg()]}  # fmt: skip


def page(results: dict[str, Any]) -> str:
    """The results for people: every number that was measured."""
    lines = ["# A served log under load", "", "Written by `python -m benchmarks.load_log`; docs/spec/server.md.", ""]

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                walk(item, f"{path} · {name}" if path else name)
        else:
            lines.append(f"- {path.replace('_', ' ')}: {value}")

    walk(results, "")
    return "\n".join([*lines, ""])


def broken(results: dict[str, Any]) -> list[str]:
    """Promises the run broke: an acknowledged entry lost, memory that grows, answers other than 200 when soaking."""
    faults = []
    if results["acknowledged_and_lost"]:
        faults.append(f"{results['acknowledged_and_lost']} acknowledged entries lost")
    if soaked := results.get("soak"):
        if soaked["minutes"] >= SOAK_MINUTES and soaked["growth_percent"] > SOAK_GROWTH_PERCENT:
            faults.append(f"memory grew by {soaked['growth_percent']} %")
        if set(soaked["answers"]) != {"200"}:
            faults.append(f"answers were {soaked['answers']}")
    return faults


def main() -> None:
    """Run, keep, print; exit 1 where a promise was broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--soak", type=float, default=0.0, help="minutes")
    parser.add_argument("--only-soak", action="store_true")
    parser.add_argument("--peer", type=Path, help="the built program of benchmarks/peers/tessera")
    parser.add_argument("--smoke", action="store_true", help="a second of each, nothing kept")
    options = parser.parse_args()
    if options.smoke:
        options.seconds = 1.0
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536) if hard > 0 else 65_536, hard))
    results: dict[str, Any] = {"machine": machine(), "seconds_each": options.seconds}
    serials = itertools.count()
    writer = Writer(serials)
    with tempfile.TemporaryDirectory() as root, running(Path(root), level="WARNING") as server:
        asyncio.run(closed(server.port, 4, writer.make(8, entries=64), 60, writer.keep))  # there is a full tile now
        if not options.only_soak:
            results["tile_reads"] = reads(server.port, options.seconds)
            results["durable_appends"], rate = appends(server, writer, options.seconds)
            results["five_times_overload"] = overload(server, writer, rate, options.seconds)
            results["slow_clients"] = slow_clients(server, writer, options.seconds)
        if options.soak:
            results["soak"] = soak(server, writer, options.soak)
        results["acknowledged"] = len(writer.acknowledged)
        results["acknowledged_and_lost"] = writer.lost(Path(root) / "log" / "public")
        results["server"] = gauges(server.port)
    if options.peer is not None:
        results["tessera_posix"] = peer(options.peer.resolve(), serials, options.seconds)
    results["machine"]["load_after"] = [round(x, 2) for x in os.getloadavg()]
    print(json.dumps(results, indent=1))
    if not options.smoke:
        name = "soak" if options.only_soak else "load"
        RESULTS.with_name(f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        PAGE.with_name(f"{name}.md").write_text(page(results), encoding="utf-8")
    if faults := broken(results):
        raise SystemExit("; ".join(faults))
    if options.soak:
        found = results["soak"]
        print(f"memory {found['growth_percent']:+} % from first to last third, answers {found['answers']}, none lost")


if __name__ == "__main__":
    main()
