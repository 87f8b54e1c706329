"""Tables for spreadsheets: UTF-8 with a byte order mark, CR LF, and no cell that a spreadsheet would run. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["BOM", "csv_line", "quoted", "safe_cell"]

BOM: Final = "\ufeff"  # without it Excel reads UTF-8 as the code page of the machine
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(value: object) -> str:
    """A cell: empty for None, an apostrophe before whatever a spreadsheet might take for a formula."""
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, int):
        return text
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def csv_line(cells: Iterable[object] | Sequence[object]) -> str:
    """One line of RFC 4180 without its end."""
    return ",".join(quoted(safe_cell(cell)) for cell in cells)


def quoted(text: str) -> str:
    """A cell of RFC 4180 as it stands: for text that is ours."""
    if any(mark in text for mark in ',"\r\n'):
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text
