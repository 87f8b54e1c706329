"""Servers in processes of their own on loopback: killed, attacked by bytes and patience, traced, used by our client."""

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FULL
from logworld import ORIGIN_KEYS, issue, keyed
from serverprogram import Server, running, wait_ready
from serverworld import STRANGER, SUBMIT, SUBMIT_2, posted

from mingzheng.formats.civil import day_of_time
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.log.submitclient import RemoteLog, ServerUnreachableError

pytestmark = pytest.mark.server
ROOT = Path(__file__).resolve().parents[2]
PATHS = 500


def _today(serial: int) -> bytes:
    return issue(serial, day=day_of_time(int(time.time())))


def _remote(server: Server) -> RemoteLog:
    return RemoteLog.at(f"http://127.0.0.1:{server.port}", ORIGIN_KEYS, signers={1: SUBMIT, 2: SUBMIT_2})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("live")) as server, _remote(server) as log:
        log.submit(keyed([_today(serial) for serial in range(10_000, 10_300)]), now=0)
        yield server


def _raw(server: Server, data: bytes) -> bytes:
    """Bytes to the socket; what comes until the server closes or is silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=3) as wire:
        got = b""
        try:
            wire.sendall(data)
            while len(got) < 1 << 20:
                part = wire.recv(65_536)
                if not part:
                    break
                got += part
                if got.count(b"\r\n\r\n"):
                    wire.settimeout(0.2)
        except OSError:
            pass
        return got


def test_issuing_over_the_wire(server: Server) -> None:
    with _remote(server) as log:
        entries = [_today(serial) for serial in range(20)]
        indexes = log.submit(keyed(entries), now=0)
        assert log.submit(keyed(reversed(entries)), now=0) == tuple(reversed(indexes))
        for entry, index in zip(entries, indexes, strict=True):
            proof = parse_tlog_proof(log.full_receipt(index))
            verify_full_receipt(proof, leaf_hash(entry), vkey=ORIGIN_KEYS.vkey, origin=ORIGIN_KEYS.name)
        assert log.issuer_row(1).next_serial >= 20


def test_head_and_conditional_requests(server: Server) -> None:
    for target in ("/checkpoint", "/tile/0/000", "/tile/entries/000"):
        status, headers, body = server.ask("GET", target)
        assert status == 200
        again = server.ask("HEAD", target)
        assert (again[0], again[1]["Content-Length"], again[2]) == (200, str(len(body)), b"")
        same = server.ask("GET", target, headers={"If-None-Match": headers["ETag"]})
        assert (same[0], same[2]) == (304, b"")


def test_bytes_that_are_no_request_break_nothing(server: Server) -> None:
    garbage = [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /checkpoint\r\n\r\n",
        b"GET /checkpoint HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"GET http://other/checkpoint HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /v1/entries HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/entries HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/entries HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /v1/entries HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /v1/entries HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/entries HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST /v1/entries HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n\r\n",
        b"POST /v1/entries HTTP/1.1\r\nExpect: 200-maybe\r\nContent-Length: 1\r\n\r\na",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /checkpoint HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    ]
    chance = random.Random(3)
    good = b"GET /checkpoint HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ in range(200 if FULL else 60):
        raw = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            raw[chance.randrange(len(raw) - 4)] = chance.randrange(256)
        garbage.append(bytes(raw))
    for data in garbage:
        answer = _raw(server, data)
        assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5")), (data[:80], answer[:200])
        assert b"Traceback" not in answer
    assert server.ask("GET", "/readyz")[0] == 200


def test_forged_requests_over_the_wire_append_nothing(server: Server) -> None:
    before = server.ask("GET", "/checkpoint")[2]
    for number in range(300 if FULL else 40):
        now = int(time.time())
        request = posted(_today(50_000 + number), key=STRANGER, created=now)
        status, _headers, body = server.ask(request.method, request.target, request.body, request.headers)
        assert (status, json.loads(body)["code"]) == (403, "submit.unknown_key")
    assert server.ask("GET", "/checkpoint")[2] == before


def test_log_lines_are_json_and_name_nobody(server: Server) -> None:
    server.ask("GET", "/secret-path-%E5%BC%A0?name=x")
    lines = [json.loads(line) for line in server.stderr.read_text(encoding="utf-8").splitlines()]
    assert any(line.get("route") == "entries" and line["kid"] == SUBMIT.public_key.kid.hex() for line in lines)
    text = json.dumps([line for line in lines if line["event"] != "serving"], ensure_ascii=False)
    for word in ("127.0.0.1", "secret-path", "%E5", "python-http", "User-Agent", "Signature"):
        assert word not in text


def test_a_second_server_on_the_log_stops_and_says_why(server: Server) -> None:
    root = server.stderr.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    command = [sys.executable, str(ROOT / "tests" / "serverprogram.py"), str(root), "0", "{}"]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    assert done.returncode != 0
    assert b"log.writer_active" in done.stderr
    assert server.ask("GET", "/readyz")[0] == 200


def test_killed_while_writing_and_started_again_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Writers keep asking through every kill; each entry ends up in the log once, where its first answer said."""
    acknowledged: dict[int, bytes] = {}
    kills = 10 if FULL else 2
    for number in range(kills):
        with running(tmp_path) as server:
            stop, written, enough = threading.Event(), threading.Event(), len(acknowledged) + 40

            def write(
                base: int,
                server: Server = server,
                stop: threading.Event = stop,
                written: threading.Event = written,
                enough: int = enough,
            ) -> None:
                with _remote(server) as log:
                    log._patience = type(log._patience)(seconds=0.2)
                    for serial in itertools.count(base):
                        try:
                            (index,) = log.submit(keyed([_today(serial)]), now=0)
                        except ServerUnreachableError:
                            return
                        acknowledged[index] = _today(serial)
                        if len(acknowledged) >= enough:
                            written.set()
                        if stop.is_set():
                            return

            writers = [threading.Thread(target=write, args=(1_000_000 * number + 100_000 * k,)) for k in range(4)]
            for writer in writers:
                writer.start()
            assert written.wait(60)
            os.kill(server.process.pid, signal.SIGKILL)
            stop.set()
            for writer in writers:
                writer.join(60)
                assert not writer.is_alive()
    with running(tmp_path) as server, _remote(server) as log:
        again = dict(list(acknowledged.items())[:200])
        assert dict(zip(log.submit(keyed(again.values()), now=0), again.values(), strict=True)) == again
    reader = LogReader(DirectoryFetcher(tmp_path / "log" / "public"), ORIGIN_KEYS.vkey)
    size = reader.refresh().size
    held = dict(reader.entries(0, size))
    assert acknowledged
    assert all(held[index] == entry for index, entry in acknowledged.items())
    entries = [entry for entry in held.values() if entry in set(acknowledged.values())]
    assert len(entries) == len(acknowledged)
    print(f"{kills} kills, {len(acknowledged)} acknowledged, none lost, none twice")


def test_told_to_stop_it_answers_what_it_took(tmp_path: Path) -> None:
    with running(tmp_path, queue={"linger_seconds": 2.0}) as server:
        now = int(time.time())
        request = posted(_today(1), created=now)
        got: list[int] = []
        asking = threading.Thread(
            target=lambda: got.append(server.ask(request.method, request.target, request.body, request.headers)[0])
        )
        asking.start()
        while asking.is_alive() and b"mingzheng_log_queue_entries 1\n" not in server.ask("GET", "/metrics")[2]:
            time.sleep(0.02)
        server.process.terminate()
        asking.join(60)
        assert got == [200]


def test_slow_clients_do_not_hold_up_the_others(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT))
    from benchmarks.loadgen import paced, slow

    async def attacked(port: int, mode: str, count: int) -> float:
        stop = asyncio.Event()
        attack = asyncio.create_task(slow(port, mode, count, stop))
        await asyncio.sleep(1)
        request = itertools.repeat(b"GET /checkpoint HTTP/1.1\r\nHost: x\r\n\r\n")
        outcome = await paced(port, 16, request, rate=50, seconds=6 if FULL else 2)
        stop.set()
        await attack
        assert outcome.statuses[200] == sum(outcome.statuses.values())
        return outcome.quantile(0.99)

    with running(tmp_path) as server, _remote(server) as log:
        log.submit(keyed([_today(serial) for serial in range(256)]), now=0)
        for mode in ("head", "body", "read"):
            p99 = asyncio.run(attacked(server.port, mode, 400 if FULL else 100))
            print(f"{mode}: p99 {p99} ms")
            assert p99 < 5_000  # far below the time that a slow client is given; a few ms where nothing else runs


@pytest.mark.parametrize(
    "body", [False, pytest.param(True, marks=pytest.mark.skipif(not FULL, reason="half a minute"))]
)
def test_a_client_that_drips_is_cut_off(server: Server, body: bool) -> None:
    """Its time runs from the first byte, not from the last."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(b"POST /v1/entries HTTP/1.1\r\nHost: x\r\n" + (b"Content-Length: 99999\r\n\r\n" if body else b""))
        start, answer = time.monotonic(), b""
        wire.settimeout(0.5)
        while time.monotonic() - start < 60:
            try:
                wire.sendall(b"a" if body else b"A: b\r\n")
                part = wire.recv(4_096)
                if not part:
                    break
                answer += part
            except TimeoutError:
                continue
            except OSError:
                break
        seconds = time.monotonic() - start
    assert seconds < (45 if body else 25)
    assert answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 503")), answer[:100]


@pytest.mark.strace
def test_no_path_over_the_wire_opens_a_file_outside(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with running(tmp_path) as server, _remote(server) as log:
        log.submit(keyed([_today(serial) for serial in range(300)]), now=0)
        command = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,stat,newfstatat,readlink", "-o", str(trace)]
        tracer = subprocess.Popen([*command, "-p", str(server.process.pid)], stderr=subprocess.DEVNULL)
        try:
            while "TracerPid:\t0\n" in Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8"):
                assert tracer.poll() is None
                time.sleep(0.05)
            time.sleep(1)  # for its other threads
            chance = random.Random(7)
            ups, goals = ["..", "%2e%2e", "..%2f", "..\\", "%252e%252e", "....//", "%c0%ae%c0%ae"], [
                "log.sqlite", "etc/passwd", "lock", "checkpoint", "instance"]  # fmt: skip
            heads = ["/", "//", "/tile/", "/tile/0/", "/tile/0/x001/", "/checkpoint/", "/tile/entries/000.p/"]
            for _ in range(PATHS):
                steps = [chance.choice(ups) for _ in range(chance.randrange(1, 6))]
                path = chance.choice(heads) + "/".join([*steps, chance.choice(goals)])
                answer = _raw_quick(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")), (path, answer[:80])
            size = int(server.ask("GET", "/checkpoint")[2].split(b"\n")[1])
            assert server.ask("GET", f"/tile/0/001.p/{size - 256}")[0] == 200
            wait_ready(server)
        finally:
            tracer.terminate()
            tracer.wait(30)
    text = trace.read_text(encoding="utf-8", errors="replace")
    named = [line.split('"')[1] for line in text.splitlines() if line.count('"') >= 2]
    public = str(tmp_path / "log" / "public")
    outside = [name for name in named if name and not name.startswith((public, "/proc/self", "/sys", "/etc/localtime"))]
    assert any("/tile/0/001.p/" in name for name in named), "the tracer saw nothing"
    assert not [name for name in outside if "sqlite" in name or "passwd" in name or ".." in name or "lock" in name]
    print(f"{PATHS} paths, {len(named)} names traced, outside: {sorted(set(outside))}")


def _raw_quick(server: Server, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(data)
        return wire.recv(65_536)
