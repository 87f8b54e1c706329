"""The memory of signed heads: what a killed writer left half-written goes, a running one's stays."""

import os
from pathlib import Path

from mingzheng.log.instance import HeadMemory

KILLED = 2**22 + 1  # above the largest process number that Linux gives


def test_what_a_killed_writer_left_goes_and_a_running_one_keeps_its_own(tmp_path: Path) -> None:
    memory = HeadMemory(tmp_path, "log+00000000+key")
    memory.write(b"note")
    (note,) = tmp_path.iterdir()
    left, running = (note.with_suffix(f".{number}.tmp") for number in (KILLED, os.getpid()))
    other = tmp_path / f"{'0' * 32}.{KILLED}.tmp"  # of another log
    for path in (left, running, other):
        path.write_bytes(b"half")
    assert memory.read() == b"note"
    assert sorted(tmp_path.iterdir()) == sorted([note, running, other])
