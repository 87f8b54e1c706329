"""Many values in little memory: each as its bytes, one behind the other, made anew when it is looked at.

Source: docs/records.md, "Images": a file has tens of thousands of rows, and a record as objects takes five times the
memory of its bytes. Nothing goes to the disk: it is personal data. Pure.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

__all__ = ["Packed", "pack_values", "unpack_values"]

_T = TypeVar("_T")


class Packed(Sequence[_T], Generic[_T]):
    """A sequence that grows at its end; `unpack` makes of the bytes what `pack` was given."""

    def __init__(self, pack: Callable[[_T], bytes], unpack: Callable[[bytes], _T], items: Iterable[_T] = ()) -> None:
        self._pack, self._unpack = pack, unpack
        self._data, self._ends = bytearray(), array("Q", [0])
        for item in items:
            self.append(item)

    def append(self, item: _T) -> None:
        """One more."""
        self._data += self._pack(item)
        self._ends.append(len(self._data))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> _T: ...

    @overload
    def __getitem__(self, place: slice) -> list[_T]: ...

    def __getitem__(self, place: int | slice) -> _T | list[_T]:
        places = range(len(self))[place]
        return self._at(places) if isinstance(places, int) else [self._at(each) for each in places]

    def __iter__(self) -> Iterator[_T]:
        return map(self._at, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """With any sequence, item by item."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def _at(self, place: int) -> _T:
        return self._unpack(bytes(memoryview(self._data)[self._ends[place] : self._ends[place + 1]]))


def pack_values(values: Sequence[object]) -> bytes:
    """Texts, numbers, None and lists of them; any text, lone surrogates too."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def unpack_values(data: bytes) -> list[object]:
    """What `pack_values` was given, as a list."""
    values = json.loads(data.decode("utf-8", "surrogatepass"))
    assert isinstance(values, list)
    return values
