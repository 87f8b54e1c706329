"""A real server in a process of its own, for the suites marked `server`: `python serverprogram.py ROOT PORT [OPTIONS]`.

It serves the log of a `LogWorld` at ROOT (made if it is not there) on loopback, with the keys of `serverworld`.
"""

import contextlib
import http.client
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass
class Server:
    """A running server. `stderr`: a file with its log lines."""

    port: int
    process: "subprocess.Popen[bytes]"
    stderr: Path

    def connect(self, timeout: float = 30) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method: str, target: str, body: bytes | None = None, headers: Any = None) -> tuple[int, Any, bytes]:
        connection = self.connect()
        try:
            connection.request(method, target, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running(root: Path, **options: Any) -> Iterator[Server]:
    """A server of the log at `root`, ready; stopped at the end."""
    port = free_port()
    stderr = root / f"stderr-{port}"
    command = [sys.executable, "-W", "error", str(HERE / "serverprogram.py"), str(root), str(port), json.dumps(options)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    with stderr.open("wb") as errors:
        process = subprocess.Popen(command, stderr=errors, env=environment)
    server = Server(port, process, stderr)
    try:
        wait_ready(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(server: Server, seconds: float = 60) -> None:
    """Until it takes entries; fails if it ends first."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.process.poll() is None, server.stderr.read_text(encoding="utf-8")[-2000:]
        with contextlib.suppress(OSError):
            if server.ask("GET", "/readyz")[0] == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not get ready")


def main() -> None:
    """Serve until told to stop."""
    from logworld import IDENTITY, NAME, Keys, LogWorld
    from serverworld import records

    from mingzheng.log.client import DirectoryFetcher
    from mingzheng.log.sequencer import EmbeddedLog
    from mingzheng.log.servergate import GateLimits, Share
    from mingzheng.log.serverqueue import QueueLimits
    from mingzheng.log.serverrun import JsonLines, ServePlan, WritePlan, run

    root, port, options = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.getLogger("mingzheng").addHandler(handler)
    logging.getLogger("mingzheng").setLevel(options.get("level", "INFO"))
    world = LogWorld(root)
    if not EmbeddedLog.exists(world.directory):
        world.create().close()
    submitters = {kid: replace(record, valid_from=0, valid_until=60_000) for kid, record in records().items()}
    keys = Keys()
    keys.of = {kid: replace(record, valid_from=0, valid_until=60_000) for kid, record in keys.of.items()}
    share, address = Share(**options.get("share", {"per_second": 1e9, "burst": 1e9})), options.get("address")
    write = WritePlan(
        open_log=lambda: EmbeddedLog.open(world.directory, IDENTITY, act_keys=keys, memory_dir=world.memory),
        origin_number=7,
        origin_name=NAME,
        records=lambda: submitters.get,
        queue=QueueLimits(**options.get("queue", {})),
        gate=GateLimits(key=share, address=None if address is None else Share(per_second=address, burst=address)),
    )
    files = DirectoryFetcher(world.public)
    run(ServePlan(fetcher=files, host="127.0.0.1", port=port, chinese=lambda _code: "（…）", write=write))


if __name__ == "__main__":
    main()
