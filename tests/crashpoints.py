"""Kill a program at every write point: runs a scenario in a forked child and counts, or dies at, each durable step.

A write point is one call of os.write, fsync, replace, rename, mkdir, rmdir, unlink or truncate, one SQLite statement
that changes anything, or a COMMIT. The child dies by SIGKILL before the n-th point, after it, or (os.write) half-way.
With `stop` it is not killed: from the n-th point on the disk is full, or read-only, and whatever needs room fails with
the error that the system or SQLite has for it; `files` counts files opened for writing and SQLite's own copying, too.
The scenario tells the parent things through `report`, which survives the kill.
"""

import builtins
import errno
import io
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
Stop = Literal["full", "read-only"]
Report = Callable[[object], None]
Scenario = Callable[[Report], None]

_CALLS = ("write", "fsync", "replace", "rename", "mkdir", "rmdir", "unlink", "truncate", "ftruncate", "link")
_READS = ("select", "pragma table_info", "pragma integrity_check", "explain")
_NEED_NO_ROOM = ("os.unlink", "os.rmdir", "sql ROLLBACK")
_WRITING = frozenset("wxa+")
_STOPS = {"full": (errno.ENOSPC, "SQLITE_FULL", "database or disk is full")} | {
    "read-only": (errno.EROFS, "SQLITE_READONLY", "attempt to write a readonly database")
}


@dataclass(frozen=True)
class Outcome:
    """What the child reported, which points it passed, and whether it was killed (else it ended by itself)."""

    reports: list[Any]
    points: list[str]
    killed: bool


class Failed(Exception):
    """The scenario raised: the traceback of the child."""


def run(
    scenario: Scenario,
    *,
    kill_at: int | None = None,
    when: When = "before",
    stop: tuple[Stop, int] | None = None,
    files: bool = False,
) -> Outcome:
    """Run the scenario in a child; die at point `kill_at` (from 0), or never; `stop`: why, and from which point on."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _in_child(scenario, write, (kill_at, when), (stop, files))
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


def _in_child(
    scenario: Scenario, pipe: int, kill: tuple[int | None, When], fault: tuple[tuple[Stop, int] | None, bool]
) -> None:
    raw_write = os.write

    def tell(kind: str, value: object) -> None:
        raw_write(pipe, json.dumps([kind, value]).encode() + b"\n")

    try:
        _install(tell, *kill, *fault)
        scenario(lambda value: tell("report", value))
    except BaseException:  # noqa: BLE001 whatever it is, the parent must hear of it
        tell("error", traceback.format_exc())
    finally:
        os._exit(0)


def _install(
    tell: Callable[[str, object], None], kill_at: int | None, when: When, stop: tuple[Stop, int] | None, files: bool
) -> None:
    count = -1

    def guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            here = count == kill_at
            tell("point", name)
            if stop is not None and count >= stop[1] and name not in _NEED_NO_ROOM:
                if name == "os.write" and stop[0] == "full":
                    call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise _no_room(stop[0], name)
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

        def backup(self, *arguments: Any, **named: Any) -> None:
            (guarded("sql backup", super().backup) if files else super().backup)(*arguments, **named)

    if files:
        _guard_files(guarded)
    real = sqlite3.connect

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return real(*arguments, **{"factory": Connection, **named})

    sqlite3.connect = connect  # type: ignore[assignment]


def _guard_files(guarded: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> None:
    """Opening a file for writing is a write point: it makes the file, or empties it."""
    plain_open, system_open = builtins.open, os.open
    opened, made = guarded("open", plain_open), guarded("os.open", system_open)

    def python(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        ours = isinstance(file, str | os.PathLike) and _WRITING.intersection(mode)
        return (opened if ours else plain_open)(file, mode, *arguments, **named)

    def system(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        return int((made if flags & (os.O_CREAT | os.O_TRUNC) else system_open)(path, flags, *arguments, **named))

    builtins.open = io.open = python  # type: ignore[assignment]
    os.open = system


def _no_room(why: Stop, name: str) -> Exception:
    number, sqlite_name, text = _STOPS[why]
    if not name.startswith("sql "):
        return OSError(number, os.strerror(number), name)
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = sqlite_name
    return error


def _die() -> None:
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
