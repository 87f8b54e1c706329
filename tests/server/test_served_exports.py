"""The commands against a log that `log serve` serves in a process of its own, which never stops for them."""

import contextlib
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office import person, picture
from serverprogram import Server, free_port, wait_ready

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.issuer.record import COLUMNS

pytestmark = pytest.mark.server
ROOT = Path(__file__).resolve().parents[2]


class Authority:
    """A directory with a workspace `W`, and the commands an operator would type."""

    def __init__(self, base: Path) -> None:
        self.base, self.url = base, ""
        secret = base / "pass"
        secret.write_text("a passphrase for a test\n")
        secret.chmod(0o600)
        today = day_of_time(int(time.time()))
        end = format_day(today + 300)
        rows = [person(number, registered_until=end, specialties=f"建筑工程:2024-01-01:{end}") for number in (1, 2)]
        (base / "photo.png").write_bytes(picture(300, 420))
        (base / "sign.png").write_bytes(picture(300, 100))
        with (base / "records.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    def environment(self) -> dict[str, str]:
        found = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.base / "state")}
        found["HOME"] = str(self.base)
        found.pop("MINGZHENG_LOG_URL", None)
        return {**found, "MINGZHENG_LOG_URL": self.url} if self.url else found

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "mingzheng", *words]

    def run(self, *words: str, secret: bool = True, good: tuple[int, ...] = (0,)) -> Any:
        """What a command prints as JSON lines, or its text."""
        given = [*words, *(["--passphrase-file", "pass"] if secret else [])]
        done = subprocess.run(
            self.command(*given), cwd=self.base, env=self.environment(), capture_output=True, timeout=300
        )
        assert done.returncode in good, done.stderr.decode()
        text = done.stdout.decode()
        return [json.loads(line) for line in text.splitlines()] if "--json" in words else text.strip()

    @contextlib.contextmanager
    def serving(self) -> Iterator[Server]:
        port, errors = free_port(), self.base / "stderr"
        words = ("log", "serve", "--workspace", "W", "--trust", "trust", "--listen", f"127.0.0.1:{port}")
        with errors.open("wb") as file:
            process = subprocess.Popen(
                self.command(*words, "--passphrase-file", "pass"), cwd=self.base, env=self.environment(), stderr=file
            )
        server = Server(port, process, errors)
        try:
            wait_ready(server)
            yield server
        finally:
            process.terminate()
            process.wait(60)


def test_issue_revoke_export_and_verify_while_the_log_is_served(tmp_path: Path) -> None:
    made = Authority(tmp_path)
    made.run("init", "--workspace", "W", "--issuer", "示范机构", "--origin", "test.example/log", "--demo")
    made.run("log", "submit-key", "--workspace", "W", "--issuer", "1")
    made.run("trust", "export", "--workspace", "W", "trust")
    with made.serving() as server:
        made.run("trust", "export", "--workspace", "W", "trust", good=(1, 4))  # the server holds the log
        made.url = f"http://127.0.0.1:{server.port}"
        issue = ("issue", "records.csv", "--workspace", "W", "--out", "out", "--copy", "usage", "--purpose", "投标")
        issued = made.run(*issue, "--json")
        assert len(issued) == 2
        serial = str(issued[1]["serial"])
        made.run("revoke", "--workspace", "W", "--issuer", "1", "--serial", serial, "--reason", "test", "--yes")
        (first,) = made.run("trust", "export", "--workspace", "W", "trust", "--json")
        (second,) = made.run("trust", "export", "--workspace", "W", "trust", "--json")
        assert (first["status_lists"], second["status_lists"]) == (1, 0)
        assert server.process.poll() is None
        assert server.ask("GET", "/readyz")[0] == 200
        rows = made.run("verify", "out", "--trust", "trust", "--policy", "site", "--json", secret=False, good=(0, 1, 3))
        assert sorted(row["verdict"] for row in rows) == ["REVOKED", "VALID"]
        audit = ("log", "audit", made.url, "--trust", "trust", "--json")
        (report,) = made.run(*audit, secret=False)
        assert report["clean"]
        key = ("log", "prove", "--workspace", "W", "--issuer", "1", "--serial", serial)
        assert made.run(*key).startswith("c2sp.org/tlog-proof")
    made.url = ""
    made.run("trust", "export", "--workspace", "W", "trust")  # and without the server, as ever
