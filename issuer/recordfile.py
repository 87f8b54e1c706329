"""A records file as it is on disk: what it is is told by its bytes; its rows are kept beside the records.

Spec: docs/records.md. Effectful: workbooks are read by a library (`workbook`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.issuer.faults import make_fault
from mingzheng.issuer.record import ParsedRecords, parse_json, parse_table
from mingzheng.issuer.tables import MAX_FILE_BYTES, FileKind, Row, Table, read_csv, tell
from mingzheng.issuer.workbook import read_workbook

__all__ = ["RecordsFile", "read_records"]

_NO_TABLE: Final = {
    FileKind.XLS: "record.file_xls",
    FileKind.XLSB: "record.file_xlsb",
    FileKind.ODS: "record.file_ods",
    FileKind.ENCRYPTED: "record.file_encrypted",
    FileKind.HTML: "record.file_html",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsFile:
    """What a file gave. Its rows are not kept beside the records: who needs them reads them again."""

    kind: FileKind
    data: bytes
    parsed: ParsedRecords

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of a table as they were read; none of JSON or of what is no table. Reads the file."""
        return _table(self.kind, "", self.data).rows


def read_records(data: bytes) -> RecordsFile:
    """Read a file of records, whatever it is; never raises on input."""
    kind, name = tell(data)
    if kind is FileKind.JSON:
        return RecordsFile(kind=kind, data=data, parsed=parse_json(data))
    return RecordsFile(kind=kind, data=data, parsed=parse_table(_table(kind, name, data)))


def _table(kind: FileKind, name: str, data: bytes) -> Table:
    if len(data) > MAX_FILE_BYTES:
        return _refused("record.file_too_large", limit=MAX_FILE_BYTES)
    if kind is FileKind.XLSX:
        return read_workbook(data)
    if kind is FileKind.TEXT:
        return read_csv(data)
    if kind in _NO_TABLE:
        return _refused(_NO_TABLE[kind])
    return _refused("record.file_other", what=name)


def _refused(code: str, **arguments: int | str) -> Table:
    return Table(rows=(), faults=(make_fault(0, "", code, **arguments),))
