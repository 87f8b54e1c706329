"""A desk: the one command as it is typed, in this process, in a directory of its own, with real files of passphrases.

Keys are real and their files encrypted; only the cost of the passphrase is the least there is, for scrypt would cost
half a second a key. The clock stands still.
"""

import csv
import io
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from office import NOW, picture

from mingzheng.cli import SETTINGS, main
from mingzheng.keys import custody

PASSPHRASES = {"pass.txt": "workspace passphrase", "zhang.txt": "passphrase of zhang", "li.txt": "passphrase of li si"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command said."""

    status: int
    out: str
    err: str
    raw: bytes  # what it wrote to standard output


def sit_down(base: Path, patch: pytest.MonkeyPatch, *, now: int = NOW) -> None:
    """Make `base` the desk: the working directory, with passphrases and images."""
    patch.chdir(base)
    patch.setattr(custody, "SCRYPT_N", 2)
    patch.setattr(custody, "SCRYPT_P", 1)
    patch.setattr(time, "time", lambda: float(now))
    patch.setenv("XDG_STATE_HOME", str(base / "state"))
    for name in SETTINGS:
        patch.delenv(f"MINGZHENG_{name.upper()}", raising=False)
    for name, secret in PASSPHRASES.items():
        Path(name).write_text(f"{secret}\n", encoding="utf-8")
        Path(name).chmod(0o600)
    for name, size in (("photos/1.jpg", (300, 420)), ("signatures/1.png", (300, 100))):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(picture(*size))


def run(*words: str, typed: bytes = b"") -> Told:
    """Type a command."""
    streams = [io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", write_through=True) for raw in (typed, b"", b"")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mingzheng", *words])
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, name, stream)
        patch.setattr(os, "_exit", _left)
        with pytest.raises(SystemExit) as stop:
            main()
    raw, err = (stream.buffer.getvalue() for stream in streams[1:])  # type: ignore[attr-defined]
    code = stop.value.code
    status = code if isinstance(code, int) else int(code is not None)
    return Told(status=status, out=raw.decode("utf-8", "replace"), err=err.decode("utf-8", "replace"), raw=raw)


def _left(status: int) -> None:
    raise SystemExit(status)


def change(source: Path, to: Path, *people: dict[str, str]) -> None:
    """The person of a sample (CSV) once for each of `people`, with those cells."""
    rows = list(csv.reader(io.StringIO(source.read_text(encoding="utf-8-sig"))))
    header, sample = rows[0], rows[2]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for person in people:
        assert set(person) <= set(header), set(person) - set(header)
        writer.writerow([person.get(name, cell) for name, cell in zip(header, sample, strict=True)])
    to.write_text(text.getvalue(), encoding="utf-8")
