"""The first roots that this machine believes: fingerprints in files outside every trust store.

Spec: docs/spec/trust.md, "Distribution over TUF". One fingerprint a line, a note after it if somebody likes. The
user's own file and the system's count together; MINGZHENG_TRUST_ROOTS names one file instead of both. A store is
reported signed only if its chain begins with one of these, so nothing inside a store can make it so.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mingzheng.keys.durable import sync_directory
from mingzheng.keys.errors import StoreWriteError
from mingzheng.keys.tuferrors import TufMalformedError

VARIABLE: Final = "MINGZHENG_TRUST_ROOTS"
SYSTEM: Final = Path("/etc/mingzheng/trust-roots")
NAME: Final = "trust-roots"
MAX_PIN_BYTES: Final = 65_536
_LINE: Final = re.compile(r"([0-9a-f]{64})(?:[ \t].*)?", re.ASCII)


def read_pins(environment: Mapping[str, str]) -> frozenset[str]:
    """The fingerprints pinned on this machine; raises TufMalformedError for a line that is none."""
    named = environment.get(VARIABLE)
    paths = (Path(named),) if named else (_own(environment), SYSTEM)
    return frozenset(pin for path in paths for pin in _read(path))


def add_pin(environment: Mapping[str, str], fingerprint: str) -> None:
    """Pin a first root for this user, durably. Pinning it again does nothing. Raises StoreWriteError."""
    if fingerprint in read_pins(environment):
        return
    path = Path(environment.get(VARIABLE) or _own(environment))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            between = "\n" if file.read(1) not in (b"", b"\n") else ""  # somebody's editor ended no line
            file.write(f"{between}{fingerprint}\n".encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.absolute().parent)
    except OSError as error:
        raise StoreWriteError(f"the pin was not written: {error.strerror}") from error


def _own(environment: Mapping[str, str]) -> Path:
    if sys.platform == "win32":  # pragma: no cover
        return Path(environment.get("LOCALAPPDATA", "~\\AppData\\Local")).expanduser() / "mingzheng" / NAME
    if sys.platform == "darwin":  # pragma: no cover
        return Path("~/Library/Application Support/mingzheng").expanduser() / NAME
    base = environment.get("XDG_STATE_HOME", "")
    home = Path(environment.get("HOME", "~")).expanduser()
    return (Path(base) if Path(base).is_absolute() else home / ".local/state") / "mingzheng" / NAME


def _read(path: Path) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_PIN_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []  # nobody is believed because of a file that is not there
    except UnicodeDecodeError:
        raise TufMalformedError(f"{path.name} is not text") from None
    if len(text) > MAX_PIN_BYTES:
        raise TufMalformedError(f"{path.name}: over {MAX_PIN_BYTES} characters")
    return [_pin(line, path.name) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _pin(line: str, name: str) -> str:
    match = _LINE.fullmatch(line)
    if match is None:
        raise TufMalformedError(f"{name}: a line does not begin with a fingerprint")
    return match[1]
