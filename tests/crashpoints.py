"""Kill a program at every write point: runs a scenario in a forked child and counts, or dies at, each durable step.

A write point is one call of os.write, fsync, replace, rename, mkdir, rmdir, unlink or truncate, one SQLite statement
that changes anything, or a COMMIT. The child dies by SIGKILL before the n-th point, after it, or (os.write) half-way.
The scenario tells the parent things through `report`, which survives the kill.
"""

import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

When = Literal["before", "torn", "after"]
Report = Callable[[object], None]
Scenario = Callable[[Report], None]

_CALLS = ("write", "fsync", "replace", "rename", "mkdir", "rmdir", "unlink", "truncate", "ftruncate", "link")
_READS = ("select", "pragma table_info", "pragma integrity_check", "explain")


@dataclass(frozen=True)
class Outcome:
    """What the child reported, which points it passed, and whether it was killed (else it ended by itself)."""

    reports: list[Any]
    points: list[str]
    killed: bool


class Failed(Exception):
    """The scenario raised: the traceback of the child."""


def run(scenario: Scenario, *, kill_at: int | None = None, when: When = "before") -> Outcome:
    """Run the scenario in a child; die at point number `kill_at` (from 0), or never."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _in_child(scenario, write, kill_at, when)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        lines = [json.loads(line) for line in pipe.read().split(b"\n") if line.endswith(b"]")]
    _pid, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    for kind, value in lines:
        if kind == "error":
            raise Failed(value)
    if not killed and os.waitstatus_to_exitcode(status) != 0:
        raise Failed(f"the child left with {status}")
    return Outcome(
        reports=[value for kind, value in lines if kind == "report"],
        points=[value for kind, value in lines if kind == "point"],
        killed=killed,
    )


def _in_child(scenario: Scenario, pipe: int, kill_at: int | None, when: When) -> None:
    raw_write = os.write

    def tell(kind: str, value: object) -> None:
        raw_write(pipe, json.dumps([kind, value]).encode() + b"\n")

    try:
        _install(tell, kill_at, when)
        scenario(lambda value: tell("report", value))
    except BaseException:  # noqa: BLE001 whatever it is, the parent must hear of it
        tell("error", traceback.format_exc())
    finally:
        os._exit(0)


def _install(tell: Callable[[str, object], None], kill_at: int | None, when: When) -> None:
    count = -1

    def guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            here = count == kill_at
            tell("point", name)
            if here and when == "before":
                _die()
            if here and when == "torn" and name == "os.write":
                call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                _die()
            result = call(*arguments, **named)
            if here:
                _die()
            return result

        return wrapper

    for name in _CALLS:
        setattr(os, name, guarded(f"os.{name}", getattr(os, name)))

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            plain = super().execute
            if sql.lstrip().lower().startswith(_READS):
                return plain(sql, *parameters)
            return guarded(f"sql {sql.split()[0].upper()}", plain)(sql, *parameters)  # type: ignore[no-any-return]

        def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
            return guarded(f"sql many {sql.split()[2]}", super().executemany)(sql, rows)  # type: ignore[no-any-return]

        def commit(self) -> None:
            guarded("sql commit", super().commit)()

    real = sqlite3.connect

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return real(*arguments, **{"factory": Connection, **named})

    sqlite3.connect = connect  # type: ignore[assignment]


def _die() -> None:
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
