"""Reading and writing the tables of mingzheng.toml: every value of one type within bounds, no key that is not known.

Source: docs/workspace.md. Pure. Faults are ConfigError and name the place.
"""

from collections.abc import Mapping

from mingzheng.formats.civil import parse_day
from mingzheng.issuer.refusals import ConfigError

__all__ = ["Reader", "quote"]


class Reader:
    """One table being read; `done` refuses what nobody asked for."""

    def __init__(self, where: str, items: Mapping[str, object]) -> None:
        self._where, self._items, self._left = where, items, set(items)

    def has(self, key: str) -> bool:
        """Is the key there?"""
        return key in self._items

    def place(self, key: str) -> str:
        """Where a key stands, for messages."""
        return f"{self._where}.{key}" if self._where else key

    def take(self, key: str, kind: type) -> object:
        """The value of a key, of exactly that type."""
        self._left.discard(key)
        value = self._items.get(key)
        if type(value) is not kind:
            raise ConfigError(self.place(key), f"{kind.__name__} expected")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        """A number within bounds."""
        value = self.take(key, int)
        assert isinstance(value, int)
        if not low <= value <= high:
            raise ConfigError(self.place(key), f"not in {low}..{high}")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        return bool(self.take(key, bool))

    def text(self, key: str) -> str:
        """Printable text without space around it."""
        value = str(self.take(key, str))
        if not value or value != value.strip() or not value.isprintable() or len(value) > 1000:
            raise ConfigError(self.place(key), "printable trimmed text of 1 to 1000 characters expected")
        return value

    def day(self, key: str) -> int:
        """A day."""
        try:
            return parse_day(self.text(key))
        except ValueError as error:
            raise ConfigError(self.place(key), "a day YYYY-MM-DD expected") from error

    def table(self, key: str) -> "Reader":
        """A table below this one."""
        value = self.take(key, dict)
        assert isinstance(value, dict)
        return Reader(self.place(key), value)

    def tables(self, key: str) -> list["Reader"]:
        """An array of tables; none if the key is absent."""
        if not self.has(key):
            return []
        value = self.take(key, list)
        assert isinstance(value, list)
        found = []
        for place, item in enumerate(value):
            if not isinstance(item, dict):
                raise ConfigError(f"{self.place(key)}[{place}]", "table expected")
            found.append(Reader(f"{self.place(key)}[{place}]", item))
        return found

    def numbers(self, key: str, low: int, high: int) -> tuple[int, ...]:
        """Rising numbers within bounds."""
        value = self.take(key, list)
        assert isinstance(value, list)
        if any(type(item) is not int or not low <= item <= high for item in value) or value != sorted(set(value)):
            raise ConfigError(self.place(key), f"rising numbers {low}..{high} expected")
        return tuple(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Printable texts."""
        value = self.take(key, list)
        assert isinstance(value, list)
        if not all(isinstance(item, str) and item and item.isprintable() for item in value):
            raise ConfigError(self.place(key), "printable texts expected")
        return tuple(value)

    def names(self) -> tuple[str, ...]:
        """The keys there are."""
        return tuple(self._items)

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        if self._left:
            raise ConfigError(self.place(min(self._left)), "unknown key")


def quote(text: str) -> str:
    """A TOML basic string; control characters never get here (`_Reader.text`, `isprintable`)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
