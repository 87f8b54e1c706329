"""Is this directory the one the log was written in, and the newest state of it? (docs/adr/0010)

Two independent guards against signing from an old copy:
- the file `instance` is made once. The database remembers its inode and change time, which a copy restored from
  a backup cannot have (no ordinary program can set a change time). The device number is remembered for people
  to read, not compared: it changes over reboots.
- the *memory* of signed heads, outside the log directory (the user's state directory), keeps the highest head
  signed under each checkpoint key on this machine. It catches what restores inode and change time as well:
  a virtual machine snapshot of one disk, or a restored file system.
"""

import contextlib
import hashlib
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mingzheng.log.durable import make_dirs, publish, write_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What tells this `instance` file from a copy of it."""

    device: int
    inode: int
    changed_ns: int

    def is_same_file(self, other: "Instance") -> bool:
        """Same inode and same change time: not a copy."""
        return (self.inode, self.changed_ns) == (other.inode, other.changed_ns)


def make_instance(path: Path) -> Instance:
    """Write the file anew (its content is random and means nothing) and say what it looks like."""
    write_file(path, secrets.token_hex(16).encode() + b"\n")
    return read_instance(path)


def read_instance(path: Path) -> Instance:
    """Look at the file. Raises FileNotFoundError if it is gone."""
    found = os.stat(path)
    return Instance(device=found.st_dev, inode=found.st_ino, changed_ns=found.st_ctime_ns)


def default_memory_dir(environment: Mapping[str, str]) -> Path:
    """Where this user's programs keep state that is not configuration: XDG_STATE_HOME or the platform's place."""
    if sys.platform == "win32":  # pragma: no cover
        return Path(environment.get("LOCALAPPDATA", "~\\AppData\\Local")).expanduser() / "mingzheng" / "heads"
    if sys.platform == "darwin":  # pragma: no cover
        return Path("~/Library/Application Support/mingzheng/heads").expanduser()
    base = environment.get("XDG_STATE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path(environment.get("HOME", "~")).expanduser() / ".local/state"
    return root / "mingzheng" / "heads"


class HeadMemory:
    """The highest signed head of one checkpoint key, kept as the signed note itself."""

    def __init__(self, directory: Path, vkey: str) -> None:
        self._path = directory / f"{hashlib.sha256(vkey.encode()).hexdigest()[:32]}.note"

    def read(self) -> bytes | None:
        """The remembered note, None if nothing was ever signed under this key here."""
        self._sweep()
        with contextlib.suppress(FileNotFoundError):
            return self._path.read_bytes()
        return None

    def write(self, note: bytes) -> None:
        """Remember `note`, durable on return. The caller has checked that it is not older than what is there."""
        make_dirs(self._path.parent)
        publish(self._path, note, temporary=self._path.with_suffix(f".{os.getpid()}.tmp"))

    def _sweep(self) -> None:
        """Remove what killed writers left half-written; of a process that still runs nothing is touched."""
        for left in self._path.parent.glob(f"{self._path.stem}.*.tmp"):
            number = left.name.split(".")[1]
            if number.isdecimal() and not _runs(int(number)):
                left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
