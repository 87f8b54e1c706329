"""Reports on their way from a worker to its parent, and uploads' outcomes with them.

Everything both sides hold anyway (the context, its keys, issuers and profiles) travels as a name. The rest travels as
a tree of plain values, and is built again only into our own dataclasses and enumerations, each object a new one: a
reader taken over by a file cannot make the parent call anything, nor change what other files are judged by. Pickle
carries the tree for its speed; it may name no class and hold no object, for its opcode BUILD writes into whatever it
is given. Effectful (io).
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Final

from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.errors import VerifierError
from mingzheng.verifier.report import Report

__all__ = ["WireError", "pack_reports", "unpack_reports"]

_OURS: Final = "mingzheng."
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})
_MOST_VALUES: Final = 1_000_000  # in one answer; pickle can write down a value once and mean it often
_HELD, _OBJECT, _MEMBER, _MAPPING = "held", "object", "member", "mapping"
_GROUPS: Final[Mapping[str, Callable[[Iterable[Any]], object]]] = {"tuple": tuple, "list": list, "frozenset": frozenset}


class WireError(VerifierError):
    """A worker's answer that is none: it is not believed, and the file counts as not read."""

    code: ClassVar[str] = "verifier.bad_answer"


def pack_reports(reports: Sequence[Report], ctx: VerifyContext) -> bytes:
    """The reports as bytes, without the context they were made in."""
    names = {id(value): name for name, value in _held(ctx)}
    return pickle.dumps(_tree(tuple(reports), names), protocol=pickle.HIGHEST_PROTOCOL)


def unpack_reports(data: bytes, ctx: VerifyContext) -> tuple[Report, ...]:
    """The reports in this context; WireError for anything but reports that `pack_reports` made."""
    try:
        found = _Builder(dict(_held(ctx))).value(_PlainUnpickler(io.BytesIO(data)).load())
    except (pickle.UnpicklingError, *_PICKLE_ERRORS) as error:
        raise WireError("the answer of a worker cannot be read") from error
    if not (isinstance(found, tuple) and found and all(isinstance(item, Report) for item in found)):
        raise WireError("the answer of a worker is no report")
    if any(item.context is not ctx for item in found):
        raise WireError("the answer of a worker is a report of another context")
    return found


# What pickle, and building, are known to raise on bytes that are no answer.
_PICKLE_ERRORS: Final = (
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    MemoryError,
    OverflowError,
    RecursionError,
)


def _held(ctx: VerifyContext) -> Iterable[tuple[str, object]]:
    yield "context", ctx
    for number, issuer in ctx.trust.issuers.items():
        yield f"issuer/{number}", issuer
    for kid, key in ctx.trust.keys.items():
        yield f"key/{kid.hex()}", key
    for place, profile in enumerate(ctx.profiles.profiles):
        yield f"profile/{place}", profile


def _tree(value: Any, names: Mapping[int, str]) -> object:
    """Plain values as they are; all others as a tuple that begins with what they are."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if (name := names.get(id(value))) is not None:
        return (_HELD, name)
    if kind.__name__ in _GROUPS:
        return (kind.__name__, *(_tree(item, names) for item in value))
    if isinstance(value, Mapping):
        return (_MAPPING, *((_tree(key, names), _tree(item, names)) for key, item in value.items()))
    if isinstance(value, Enum):
        return (_MEMBER, kind.__module__, kind.__name__, value.value)
    if is_dataclass(kind):
        return (_OBJECT, kind.__module__, kind.__name__, *(_tree(getattr(value, name), names) for name in _names(kind)))
    raise TypeError(f"a {kind.__name__} does not travel")


class _PlainUnpickler(pickle.Unpickler):
    """Reads plain values and tuples; whatever names a class or an object of ours is refused."""

    def find_class(self, module_name: str, global_name: str, /) -> object:
        raise pickle.UnpicklingError("no class travels")


class _Builder:
    """Builds values again; every object is a new one but for those that are `held` here."""

    def __init__(self, held: Mapping[str, object]) -> None:
        self._held, self._left = held, _MOST_VALUES

    def value(self, tree: Any) -> Any:
        """The value of a tree; raises one of `_PICKLE_ERRORS`."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("too many values")
        if type(tree) in _PLAIN:
            return tree
        if type(tree) is not tuple:
            raise TypeError("not a tree")
        kind, *parts = tree
        match kind:
            case "held":
                (name,) = parts
                return self._held[name]
            case "mapping":
                return MappingProxyType({self.value(key): self.value(item) for key, item in parts})
            case "member":
                module_name, name, number = parts
                return _ours(module_name, name, Enum)(number)
            case "object":
                return self._object(*parts)
            case _:
                return _GROUPS[kind](self.value(part) for part in parts)

    def _object(self, module_name: str, name: str, *parts: object) -> object:
        kind = _ours(module_name, name, object)
        made = object.__new__(kind)
        for field, part in zip(_names(kind), parts, strict=True):
            object.__setattr__(made, field, self.value(part))
        return made


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _ours(module_name: str, name: str, base: type) -> Any:
    """One of our dataclasses or, with `base` Enum, of our enumerations."""
    if not module_name.startswith(_OURS) or "." in name:
        raise ValueError("not one of ours")
    found = getattr(importlib.import_module(module_name), name)
    if not (isinstance(found, type) and issubclass(found, base) and (base is Enum or is_dataclass(found))):
        raise TypeError("not a value")
    return found
