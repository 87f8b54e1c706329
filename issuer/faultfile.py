"""`faults.csv`: the rows of a file that were not issued, with what to do; mended, it is a records file itself.

Spec: docs/records.md, "faults.csv". UTF-8 with a byte order mark; three columns before the row's own cells. A cell
that a spreadsheet would run as a formula or change (long numbers, leading zeros) gets an apostrophe in front, which
reading takes off again. It holds personal data: mode 600, put in place whole by a rename that never replaces a file.
"""

import contextlib
import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from mingzheng.issuer.columns import ADDED, resolve
from mingzheng.issuer.faults import Fault
from mingzheng.issuer.recordfile import RecordsFile
from mingzheng.issuer.tables import CellKind, FileKind, Row, decode_text
from mingzheng.issuer.tidy import unwrapped
from mingzheng.log.durable import fsync_dir

__all__ = ["format_faulty", "write_faulty"]

_MODE: Final = 0o600
_LONG: Final = re.compile(r"[0-9]{16,100}")
_HALF_A_PAIR: Final = re.compile("[\ud800-\udfff]")
_CHANGED: Final = re.compile(r"[=+\-@＝＋－＠\t\r].*|0[0-9]+|[0-9]{12,}|[0-9.]+[eE]\+?[0-9]+", re.DOTALL)


def write_faulty(file: RecordsFile, faults: Sequence[Fault], *, beside: Path) -> Path | None:
    """Write the faulty rows next to `beside`, durable on return; None if no row is faulty.

    The name is faults.csv (faults.json for JSON), or faults-2.csv and so on: what is there already is kept, unless it
    says the same.
    """
    data = format_faulty(file, faults)
    if data is None:
        return None
    ending = "json" if file.kind is FileKind.JSON else "csv"
    number = 1
    while True:
        path = beside / (f"faults.{ending}" if number == 1 else f"faults-{number}.{ending}")
        if _placed(path, data):
            return path
        number += 1


def _placed(path: Path, data: bytes) -> bool:
    """Put it there if nothing is there, or the same already. What a killed command left goes: it is personal data."""
    temporary = path.with_name(f".{path.name}.tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    if path.exists():
        return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), _MODE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if not _linked(temporary, path):
            return False
        fsync_dir(path.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return True


def _linked(temporary: Path, path: Path) -> bool:
    """Give the file its name unless somebody else took that name meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: the name was free a moment ago
        os.replace(temporary, path)
    return True


def format_faulty(file: RecordsFile, faults: Iterable[Fault]) -> bytes | None:
    """The bytes of the file; None if no row of the records is faulty."""
    by_row: dict[int, list[Fault]] = {}
    for fault in faults:
        by_row.setdefault(fault.row, []).append(fault)
    if file.kind is FileKind.JSON:
        return _as_json(file.data, by_row)
    if not file.parsed.columns:
        return None
    every = file.rows
    rows = [row for row in every if row.number in by_row]
    header = next(row for row in every if resolve(next(filter(None, row.cells))) is not None)
    own = [place for place, cell in enumerate(header.cells) if resolve(cell) not in ADDED]
    if not rows:
        return None
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*ADDED, *(header.cells[place] for place in own)])
    for row in rows:
        found = by_row[row.number]
        extra = row.cells[len(header.cells) :]
        cells = [_shown(row, place) for place in own if place < len(row.cells)]
        added = (str(row.number), _joined(fault.code for fault in found), _joined(map(_remedy, found)))
        writer.writerow([*added, *map(_kept, (*cells, *extra))])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _shown(row: Row, place: int) -> str:
    """A cell. A number that was rounded stays one that is refused: as digits nothing would tell it from a true one."""
    cell = row.cells[place]
    if row.kinds.get(place) is CellKind.ROUNDED and _LONG.fullmatch(cell):
        return f"{cell[0]}.{cell[1:15]}E+{len(cell) - 1}"
    return cell


def _kept(cell: str) -> str:
    """A cell that reads as the one it was made of: what has an apostrophe keeps it, ="…" becomes what is inside."""
    text = unwrapped(cell)
    return "'" + text if _CHANGED.fullmatch(text) else text


def _remedy(fault: Fault) -> str:
    where = f"{fault.field}: " if fault.field else ""
    return f"{where}{fault.message_zh}；{fault.remedy_zh} ({fault.message_en}; {fault.remedy_en})"


def _joined(texts: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(texts))


def _as_json(data: bytes, by_row: Mapping[int, Sequence[Fault]]) -> bytes | None:
    text, _, _ = decode_text(data)
    try:
        items = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    kept = [
        dict(zip(ADDED, (str(row), _joined(f.code for f in found), _joined(map(_remedy, found))), strict=True))
        | {key: value for key, value in items[row - 1].items() if key not in ADDED}
        for row, found in sorted(by_row.items())
        if 0 < row <= len(items)
    ]
    if not kept:
        return None
    said = json.dumps(kept, ensure_ascii=False, indent=1)
    return _HALF_A_PAIR.sub(lambda half: f"\\u{ord(half[0]):04x}", said).encode() + b"\n"
