"""Strict reading of TOML 1.0 tables: known keys, exact types, typed errors that name the path.

Spec: TOML 1.0 through the standard library's `tomllib`, narrowed: no floats, no date literals, no empty
strings, every key must be asked for. Left out: everything our profiles do not need.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Final

from mingzheng.formats.errors import FormatError

__all__ = ["ProfileError", "ProfileSyntaxError", "ProfileValueError", "Table", "naming", "read_document"]

MAX_DOCUMENT_BYTES: Final = 65_536
MAX_TEXT_CHARS: Final = 1_000


class ProfileError(FormatError):
    """Base of every fault of a profile file or of its use; `file` names it where it has a name."""

    code: ClassVar[str] = "profile.error"
    file: str | None = None

    def __str__(self) -> str:
        """What is wrong, after the name of the file."""
        text = super().__str__()
        return text if self.file is None else f"{self.file}: {text}"


@contextmanager
def naming(file: str | None) -> Iterator[None]:
    """Errors of the profile file that is read meanwhile say its name; the first that is named keeps it."""
    try:
        yield
    except ProfileError as error:
        error.file = error.file or file
        raise


class ProfileSyntaxError(ProfileError):
    """The file is not UTF-8 TOML within the limits."""

    code: ClassVar[str] = "profile.syntax"


class ProfileValueError(ProfileError):
    """A key is unknown, missing, of the wrong type or out of its closed set."""

    code: ClassVar[str] = "profile.value"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class Table:
    """One TOML table being read; `done()` refuses whatever nobody asked for.

    `path` is the dotted place of the table in its document, "" for the document itself.
    """

    def __init__(self, items: Mapping[str, object], path: str) -> None:
        self._items = items
        self._left = set(items)
        self.path = path

    def at(self, key: str) -> str:
        """Return the dotted path of `key`."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Tell whether `key` is present; does not count as reading it."""
        return key in self._items

    def is_text(self, key: str) -> bool:
        """Tell whether `key` is present and a text; does not count as reading it."""
        return isinstance(self._items.get(key), str)

    def names(self) -> tuple[str, ...]:
        """Return the keys in the order of the file."""
        return tuple(self._items)

    def text(self, key: str) -> str:
        """Read a required text: printable, no surrounding white space, 1 to 1,000 characters."""
        value = self._take(key)
        if not isinstance(value, str):
            raise ProfileValueError(self.at(key), f"text expected, {_type_name(value)} found")
        if not value or value != value.strip() or not value.isprintable() or len(value) > MAX_TEXT_CHARS:
            raise ProfileValueError(self.at(key), "text must be printable, trimmed and 1 to 1000 characters")
        return value

    def optional_text(self, key: str) -> str | None:
        """Read a text that may be absent."""
        return self.text(key) if self.has(key) else None

    def integer(self, key: str, low: int, high: int) -> int:
        """Read a required integer of the closed range [low, high]."""
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ProfileValueError(self.at(key), f"integer expected, {_type_name(value)} found")
        if not low <= value <= high:
            raise ProfileValueError(self.at(key), f"{value} is outside {low}..{high}")
        return value

    def choice(self, key: str, allowed: Iterable[str]) -> str:
        """Read a text of a closed set."""
        value, known = self.text(key), tuple(allowed)
        if value not in known:
            raise ProfileValueError(self.at(key), f"{value!r} is none of {', '.join(known)}")
        return value

    def table(self, key: str) -> "Table":
        """Read a required sub-table."""
        return _as_table(self._take(key), self.at(key))

    def tables(self, key: str, *, low: int, high: int) -> tuple["Table", ...]:
        """Read an array of tables with low to high members; an absent key is an empty array."""
        value: object = self._take(key) if self.has(key) else []
        if not isinstance(value, list):
            raise ProfileValueError(self.at(key), f"array of tables expected, {_type_name(value)} found")
        if not low <= len(value) <= high:
            raise ProfileValueError(self.at(key), f"{len(value)} members, {low} to {high} expected")
        return tuple(_as_table(item, f"{self.at(key)}[{place}]") for place, item in enumerate(value))

    def done(self) -> None:
        """Refuse keys that were not read."""
        if self._left:
            raise ProfileValueError(self.at(min(self._left)), "unknown key")

    def _take(self, key: str) -> object:
        if key not in self._items:
            raise ProfileValueError(self.at(key), "missing")
        self._left.discard(key)
        return self._items[key]


def read_document(data: bytes) -> dict[str, object]:
    """Read one TOML document of at most 65,536 bytes of UTF-8, without a byte order mark."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ProfileSyntaxError(f"profile has {len(data)} bytes, at most {MAX_DOCUMENT_BYTES} are read")
    try:
        return tomllib.loads(data.decode("utf-8", "strict"), parse_float=_refuse_float)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileSyntaxError(f"profile is not UTF-8 TOML: {error}") from error
    except (RecursionError, ValueError) as error:  # deep nesting; integers of thousands of digits
        raise ProfileSyntaxError("profile is nested too deep or holds an unreadable number") from error


def _refuse_float(_literal: str) -> float:
    raise ValueError("floats are not used in profiles")


def _as_table(value: object, path: str) -> Table:
    if not isinstance(value, dict):
        raise ProfileValueError(path, f"table expected, {_type_name(value)} found")
    return Table(value, path)


def _type_name(value: object) -> str:
    return type(value).__name__
